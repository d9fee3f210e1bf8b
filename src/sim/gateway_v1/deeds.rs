//! What the gateway does when an impairment says so.

use crate::time::Instant;

use super::impair::Deed;
use super::octets::{Header, Payload, delete_payload, exchange, notify, notify_payload, payload};
use super::quick::responder_lifetime;
use super::sa::{Sa, XauthState};
use super::{Gateway, esp::Child};
use crate::sa::selector::Selector;

impl Gateway {
    /// Returns whether the SA lives on.
    pub(super) fn carry_out(&mut self, now: Instant, sa: &mut Sa, deed: Deed) -> bool {
        let cookies = sa.cookies();
        match deed {
            Deed::Forget => {
                self.take_children(sa.cky_r);
                return false;
            }
            Deed::Outage(time) => {
                self.silent_until = now.after(time);
                self.forget();
                return false;
            }
            Deed::DeleteIke => {
                self.delete_all(sa);
                return false;
            }
            Deed::DeleteIkeAlone => {
                self.inform(sa, &[delete_payload(1, &[&cookies])]);
                return false;
            }
            Deed::DeleteChildren => {
                for spi in self.take_children(sa.cky_r) {
                    self.inform(sa, &[delete_payload(3, &[&spi.to_be_bytes()])]);
                }
            }
            Deed::DeleteTwice => {
                let deletes = self.deletes_of_children(sa);
                self.inform(sa, &[deletes.clone(), deletes].concat());
            }
            Deed::DeleteThenNotify => {
                let mut payloads = self.deletes_of_children(sa);
                payloads.push(notify_payload(3, &[1, 2, 3, 4], notify::CONNECTED, &[]));
                payloads.push(notify_payload(3, &[1, 2, 3, 4], notify::INVALID_ID_INFORMATION, b"gone"));
                self.inform(sa, &payloads);
            }
            Deed::DeleteAll => {
                let mut payloads = vec![delete_payload(1, &[&cookies])];
                payloads.extend(self.deletes_of_children(sa));
                self.inform(sa, &payloads);
                return false;
            }
            Deed::Rekey => {
                for (client, subnet) in self.pairs_of(sa) {
                    self.begin_quick(now, sa, client, subnet);
                }
            }
            Deed::QuickFor(initiator, responder) => {
                let body = |(kind, data): (u8, Vec<u8>)| [&[kind, 0, 0, 0], data.as_slice()].concat();
                let any = Selector::any_v4();
                self.ask_quick(now, sa, any, any, [body(initiator), body(responder)], false);
            }
            Deed::QuickWithOddProposal => {
                for (client, subnet) in self.pairs_of(sa) {
                    let ids = [super::quick::write_identity(&subnet), super::quick::write_identity(&client)];
                    self.ask_quick(now, sa, client, subnet, ids, true);
                }
            }
            Deed::Push(attributes) => self.push(now, sa, attributes),
            Deed::XauthAgain => {
                sa.xauth = XauthState::Wanted;
                self.ask_for_name(now, sa);
            }
            Deed::Protected(kind, payloads) => {
                let id = self.message_id();
                let message = sa.seal_hashed(kind, 0, id, &payloads);
                self.send_sealed(sa, message);
            }
            Deed::WrongHash(payloads) => {
                let all: Vec<Payload> = std::iter::once((payload::HASH, vec![7; 32])).chain(payloads).collect();
                self.send_encrypted(sa, &all);
            }
            Deed::WithoutHash(payloads) => self.send_encrypted(sa, &payloads),
            Deed::Clear(payloads) => self.send_clear(sa, &payloads),
            Deed::ClearDelete => {
                let mut payloads: Vec<Payload> = self
                    .children_of(sa)
                    .map(|child| delete_payload(3, &[&child.pair.inbound().to_be_bytes()]))
                    .collect();
                payloads.push(delete_payload(1, &[&cookies]));
                self.send_clear(sa, &payloads);
            }
            Deed::ClearProbe => self.send_clear(sa, &[notify_payload(1, &cookies, notify::R_U_THERE, &[0, 0, 0, 1])]),
            Deed::ProbeOfAnother => {
                self.inform(sa, &[notify_payload(1, &[9; 16], notify::R_U_THERE, &[0, 0, 0, 1])]);
            }
            Deed::Lifetime(seconds) => {
                let lifetimes = self.lifetimes_of_children(sa, seconds);
                self.inform(sa, &lifetimes);
            }
            Deed::ClearLifetime(seconds) => {
                let lifetimes = self.lifetimes_of_children(sa, seconds);
                self.send_clear(sa, &lifetimes);
            }
            Deed::Replay => {
                if let Some(datagram) = self.last_protected.clone() {
                    self.outbox.push(datagram);
                }
            }
        }
        true
    }

    fn children_of<'a>(&'a self, sa: &Sa) -> impl Iterator<Item = &'a Child> {
        let owner = sa.cky_r;
        self.children.iter().filter(move |child| child.owner == owner)
    }

    fn lifetimes_of_children(&self, sa: &Sa, seconds: u32) -> Vec<Payload> {
        self.children_of(sa).map(|child| responder_lifetime(child.pair.inbound(), seconds)).collect()
    }

    fn deletes_of_children(&mut self, sa: &Sa) -> Vec<Payload> {
        let spis = self.take_children(sa.cky_r);
        spis.iter().map(|spi| delete_payload(3, &[&spi.to_be_bytes()])).collect()
    }

    /// Both sides' selectors of an SA's children, each pair once.
    fn pairs_of(&self, sa: &Sa) -> Vec<(Selector, Selector)> {
        let mut pairs: Vec<_> = self.children_of(sa).map(|child| (child.client, child.subnet)).collect();
        pairs.sort();
        pairs.dedup();
        pairs
    }

    fn send_encrypted(&mut self, sa: &mut Sa, payloads: &[Payload]) {
        let id = self.message_id();
        let message = sa.seal(exchange::INFORMATIONAL, 0, id, payloads);
        self.send_sealed(sa, message);
    }

    fn send_clear(&mut self, sa: &Sa, payloads: &[Payload]) {
        let id = self.message_id();
        let header = Header { cky_i: sa.cky_i, cky_r: sa.cky_r, exchange: exchange::INFORMATIONAL, flags: 0, id };
        self.send_all(sa.peer, sa.marked, &[header.write_clear(payloads)]);
    }
}
