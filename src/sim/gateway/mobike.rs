//! MOBIKE (RFC 4555) on the gateway's side: it follows no packet, only UPDATE_SA_ADDRESSES, and may check first that the client is where it says.

use std::net::{IpAddr, SocketAddr};

use crate::crypto::hash::sha1;
use crate::crypto::random::Random;
use crate::time::Instant;

use super::impair::Impairment;
use super::octets::{Message, Payload, exchange, notifies, notify, notify_payload};
use super::rekey::Ask;
use super::{Gateway, Sa};

/// What an IKE SA knows of addresses when both sides speak MOBIKE.
#[derive(Clone, Debug, Default)]
pub(super) struct Mobility {
    pub(super) is_on: bool,
    /// Which address of the gateway the client wants to use, once it said so.
    pub(super) here: Option<IpAddr>,
    /// Where packets go until the client has proven that it gets what is sent to its new address.
    pub(super) packets: Option<SocketAddr>,
}

impl Gateway {
    /// What IKE_AUTH says of it, and whether it is on.
    pub(super) fn offer_mobike(&self, asked: &[Payload]) -> (bool, Vec<Payload>) {
        let is_on = self.settings.mobike && notifies(asked).iter().any(|(kind, _)| *kind == notify::MOBIKE_SUPPORTED);
        let mut said = Vec::new();
        if is_on {
            said.push(notify_payload(notify::MOBIKE_SUPPORTED, &[]));
            said.extend(self.settings.further.iter().map(|address| match address {
                IpAddr::V4(ip) => notify_payload(notify::ADDITIONAL_IP4_ADDRESS, &ip.octets()),
                IpAddr::V6(ip) => notify_payload(notify::ADDITIONAL_IP6_ADDRESS, &ip.octets()),
            }));
        }
        (is_on, said)
    }

    /// What the answer to an INFORMATIONAL request says.
    pub(super) fn answer_mobike(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        source: SocketAddr,
        message: &Message,
        inner: &[Payload],
    ) -> Vec<Payload> {
        if !sa.mobility.is_on {
            return Vec::new();
        }
        let asked = notifies(inner);
        let says = |kind| asked.iter().find(|(one, _)| *one == kind);
        assert!(
            says(notify::NO_NATS_ALLOWED).is_none(),
            "X-07: NO_NATS_ALLOWED from a client that is always behind a NAT"
        );
        let mut answer = Vec::new();
        if says(notify::UPDATE_SA_ADDRESSES).is_some() {
            let refusal = self.settings.impairments.iter().find_map(|impairment| match impairment {
                Impairment::RefuseAddresses(notify) => Some(*notify),
                _ => None,
            });
            if let Some(refusal) = refusal {
                return vec![notify_payload(refusal, &[])];
            }
            self.follow(now, sa, source);
        }
        if says(notify::NAT_DETECTION_SOURCE_IP).is_some() {
            let of = |address: SocketAddr| {
                let ip = match address.ip() {
                    IpAddr::V4(ip) => ip.octets().to_vec(),
                    IpAddr::V6(ip) => ip.octets().to_vec(),
                };
                sha1(&[&message.spi_i, &message.spi_r, &ip, &address.port().to_be_bytes()]).to_vec()
            };
            let mut seen = of(source);
            if self.impaired(&Impairment::RandomMapping) {
                self.random.fill(&mut seen);
            }
            answer.push(notify_payload(notify::NAT_DETECTION_SOURCE_IP, &of((self.settings.address, 4500).into())));
            answer.push(notify_payload(notify::NAT_DETECTION_DESTINATION_IP, &seen));
        }
        if let Some((_, cookie)) = says(notify::COOKIE2) {
            let mut cookie = cookie.clone();
            if self.impaired(&Impairment::OtherCookie2) {
                cookie.reverse();
            }
            answer.push(notify_payload(notify::COOKIE2, &cookie));
        }
        answer
    }

    fn follow(&mut self, now: Instant, sa: &mut Sa, source: SocketAddr) {
        self.counts.updates += 1;
        let is_elsewhere = sa.peer != source;
        let before = std::mem::replace(&mut sa.peer, source);
        sa.mobility.here = self.here;
        if is_elsewhere && self.settings.return_routability && sa.outstanding.is_none() {
            let mut cookie = vec![0; 8 + usize::from(source.port() % 57)];
            self.random.fill(&mut cookie);
            sa.mobility.packets.get_or_insert(before);
            let said = notify_payload(notify::COOKIE2, &cookie);
            self.ask(now, sa, exchange::INFORMATIONAL, &[said], Ask::Route(cookie));
        } else {
            sa.mobility.packets = None;
        }
    }

    /// RFC 4555 §3.7: whether the client is where it said.
    pub(super) fn route_proven(&mut self, sa: &mut Sa, cookie: &[u8], inner: &[Payload]) -> bool {
        sa.mobility.packets = None;
        let returned = notifies(inner).into_iter().any(|(kind, data)| kind == notify::COOKIE2 && data == cookie);
        assert!(returned, "X-07: COOKIE2 did not come back");
        self.counts.routes_proven += 1;
        returned
    }
}
