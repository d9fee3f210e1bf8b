//! MOBIKE (RFC 4555), as the side that made the first IKE SA: the SAs stay, and the addresses that they travel between change. Nothing here
//! follows a packet: an address of ours changes because we were told to roam, one of the gateway's because it said it has it too, authenticated.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ike::action::{Event, Failure};
use crate::ike::context::Context;
use crate::ike::profile::RetransmissionPolicy;
use crate::ike::v2::established::{Established, Flow};
use crate::ike::v2::exchange::Request;
use crate::ike::v2::message::mobility::{additional_addresses, cookie2};
use crate::ike::v2::message::notify::{Notify, find, first_error};
use crate::ike::v2::message::{Informational, MessageError};
use crate::ike::v2::nat_detection;
use crate::ike::wire::registry::NotifyType;
use crate::sa::command::DataCommand;
use crate::sa::path::Path;
use crate::sa::spi::IkeSpi;

/// Addresses of the gateway that are kept besides the one in use.
const MOST_ADDRESSES: usize = 4;

/// A request is repeated so often before another address of the gateway is tried.
const PATIENCE: u32 = 3;
/// And nothing else was heard for so long.
const SILENCE: Duration = Duration::from_secs(2);

/// While the gateway does not know where we are, its packets are lost.
const POLICY: RetransmissionPolicy = RetransmissionPolicy {
    first: Duration::from_millis(300),
    growth_percent: 160,
    longest: Duration::from_secs(8),
    repetitions: 9,
    jitter_percent: 20,
};

/// What is known of the addresses besides the path itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Mobility {
    /// Where the gateway can be reached as well.
    others: Vec<IpAddr>,
    /// Which of them is tried next.
    turn: usize,
    /// Where packets go. Another address of the gateway gets them when it has answered.
    packets: Path,
    /// What the gateway last said it sees as our address, as the hash of NAT detection; nothing is known of it before the first answer
    /// under an IKE SA, whose SPIs are in the hash.
    seen_as: Option<Vec<u8>>,
    /// What must come back with the answer to UPDATE_SA_ADDRESSES from another address of the gateway (RFC 4555 §3.7).
    cookie: Option<[u8; 16]>,
    /// A move is to be told once it is done.
    is_moving: bool,
}

impl Mobility {
    pub(super) const fn new(path: Path) -> Self {
        Self { others: Vec::new(), turn: 0, packets: path, seen_as: None, cookie: None, is_moving: false }
    }

    /// The hash holds the SPIs of an IKE SA that is not in use any more.
    pub(super) fn forget_mapping(&mut self) {
        self.seen_as = None;
    }

    /// As it may come from another process.
    pub(super) fn bounded(mut self) -> Self {
        self.others.truncate(MOST_ADDRESSES);
        self
    }

    pub(super) fn knows(&self, address: IpAddr) -> bool {
        self.others.contains(&address)
    }
}

impl Established {
    pub(in crate::ike::v2) fn can_roam(&self) -> bool {
        self.capabilities.mobike && self.closing.is_none()
    }

    /// RFC 4555 §3.5: our packets take the new way at once, requests that wait are repeated on it, and the gateway is told.
    pub(super) fn roam(&mut self, ctx: &mut Context<'_>, path: Path) -> Flow {
        if !self.can_roam() {
            return Flow::Continue(());
        }
        let before = std::mem::replace(&mut self.path, path);
        self.mobility.is_moving = true;
        if before.remote == path.remote {
            self.current.ours.hurry(ctx.now, POLICY, ctx.random);
        } else {
            let (left, taken) = (before.remote.ip(), path.remote.ip());
            self.mobility.others.iter_mut().filter(|other| **other == taken).for_each(|other| *other = left);
        }
        if path.remote == self.mobility.packets.remote {
            self.move_packets(ctx);
        }
        self.current.ours.datagrams().iter().for_each(|message| ctx.transmit(path, message.clone()));
        self.ask_for_update();
        self.send_next(ctx)
    }

    /// RFC 4555 §3.5: where the last request to update is still under way, the next has an ID of its own, and its answer is the one that counts.
    pub(super) fn ask_for_update(&mut self) {
        self.current.ours.ask_next(Request::UpdateAddresses);
    }

    pub(super) fn update_request(&mut self, ctx: &mut Context<'_>) -> Informational {
        let mut notifies = vec![Notify::new(NotifyType::UPDATE_SA_ADDRESSES)];
        notifies.extend(self.nat_detection(ctx));
        self.mobility.cookie = None;
        if self.path.remote != self.mobility.packets.remote {
            let mut cookie = [0; 16];
            ctx.random.fill(&mut cookie);
            notifies.push(Notify::new(NotifyType::COOKIE2).with_data(cookie.to_vec()));
            self.mobility.cookie = Some(cookie);
        }
        Informational { notifies, ..Informational::default() }
    }

    pub(super) const fn update_policy() -> RetransmissionPolicy {
        POLICY
    }

    /// RFC 4555 §3.8: a question for a sign of life also asks what the gateway sees as our address.
    pub(super) fn question(&self, ctx: &mut Context<'_>) -> Informational {
        let notifies = if self.capabilities.mobike { self.nat_detection(ctx).to_vec() } else { Vec::new() };
        Informational { notifies, ..Informational::default() }
    }

    fn nat_detection(&self, ctx: &mut Context<'_>) -> [Notify; 2] {
        let (initiator, responder) = self.current.header_spis();
        nat_detection::notifies(ctx.random, (initiator.to_octets(), responder.to_octets()), self.path.remote)
    }

    /// The answer to a question: when the gateway sees us elsewhere than before, a NAT between us has forgotten us, and the gateway, which
    /// follows no packet (RFC 4555 §3.8), sends to nowhere until it is told.
    pub(super) fn compare_mapping(&mut self, answer: &Informational) {
        if !self.can_roam() {
            return;
        }
        let Some(seen) = find(&answer.notifies, NotifyType::NAT_DETECTION_DESTINATION_IP) else { return };
        if self.mobility.seen_as.as_ref() != Some(&seen.data) {
            self.mobility.is_moving |= self.mobility.seen_as.is_some();
            self.ask_for_update();
        }
    }

    pub(super) fn receive_update_answer(
        &mut self,
        ctx: &mut Context<'_>,
        answer: Result<Informational, MessageError>,
    ) -> Flow {
        // RFC 4555 §3.5: we have moved on meanwhile, or are about to close.
        if self.current.ours.asks(Request::UpdateAddresses) || self.closing.is_some() {
            return self.receive_informational(ctx, answer);
        }
        let cookie = self.mobility.cookie.take();
        let Ok(said) = &answer else { return self.receive_informational(ctx, answer) };
        match first_error(&said.notifies) {
            None => {}
            Some(error) if error.kind == NotifyType::INVALID_SYNTAX => return self.receive_informational(ctx, answer),
            // UNACCEPTABLE_ADDRESSES, and UNEXPECTED_NAT_DETECTED although we never say NO_NATS_ALLOWED.
            Some(error) => return self.close(ctx, Failure::MoveRefused { notify: error.kind.to_string() }),
        }
        // RFC 4555 §3.7: whoever answers has not read what was sent to this address.
        if cookie.is_some_and(|cookie| cookie2(&said.notifies) != Some(&cookie)) {
            return self
                .close(ctx, Failure::PeerViolation { what: "did not return COOKIE2 from another address of its own" });
        }
        let seen = find(&said.notifies, NotifyType::NAT_DETECTION_DESTINATION_IP);
        self.mobility.seen_as = seen.map(|notify| notify.data.clone());
        self.take_addresses(&said.notifies);
        if self.path != self.mobility.packets {
            self.move_packets(ctx);
        }
        if std::mem::take(&mut self.mobility.is_moving) {
            ctx.event(Event::Roamed { path: self.path });
        }
        self.receive_informational(ctx, answer)
    }

    /// RFC 4555 §3.4: the gateway's list, whenever it gives one.
    pub(super) fn take_addresses(&mut self, notifies: &[Notify]) {
        if !self.capabilities.mobike {
            return;
        }
        if let Some(addresses) = additional_addresses(notifies, MOST_ADDRESSES) {
            self.mobility.others = addresses;
            self.mobility.others.retain(|address| *address != self.path.remote.ip());
        }
    }

    /// What belongs into the answer to an INFORMATIONAL request of the gateway that came on `path`, besides what else it asks.
    pub(super) fn mobike_answer(
        &mut self,
        ctx: &mut Context<'_>,
        name: IkeSpi,
        path: Path,
        asked: &[Notify],
    ) -> Vec<Notify> {
        if !self.capabilities.mobike {
            return Vec::new();
        }
        self.take_addresses(asked);
        let mut answer = Vec::new();
        // RFC 4555 §3.8.
        let detects = find(asked, NotifyType::NAT_DETECTION_SOURCE_IP).is_some();
        if let Some(sa) = self.sas().find(|sa| sa.name() == name).filter(|_| detects) {
            let (initiator, responder) = sa.header_spis();
            let spis = (initiator.to_octets(), responder.to_octets());
            answer.extend(nat_detection::notifies(ctx.random, spis, path.remote));
        }
        // RFC 4555 §3.7.
        answer.extend(cookie2(asked).map(|cookie| Notify::new(NotifyType::COOKIE2).with_data(cookie.to_vec())));
        answer
    }

    /// A request is repeated: if nothing at all comes from the gateway where it was, it may be reached elsewhere.
    pub(super) fn look_elsewhere(&mut self, ctx: &mut Context<'_>, repetition: u32) {
        let is_silent = self.liveness.silence(ctx.now) >= SILENCE;
        if !self.can_roam() || repetition < PATIENCE || !is_silent {
            return;
        }
        let turn = self.mobility.turn.checked_rem(self.mobility.others.len()).unwrap_or_default();
        if let Some(other) = self.mobility.others.get(turn) {
            ctx.event(Event::SilentBeside { other: *other });
            self.mobility.turn = turn.wrapping_add(1);
        }
    }

    fn move_packets(&mut self, ctx: &mut Context<'_>) {
        self.mobility.packets = self.path;
        if let Some(child) = &mut self.child {
            child.travel(self.path);
            ctx.data(DataCommand::MovePeer { child: child.id, path: self.path });
        }
    }
}
