//! IKEv2 (RFC 7296) as initiator. Each state is a struct named for what it waits for; it admits a datagram without changing, then advances by value.
//!
//! Every state has the same five methods, called by `ike::session`:
//! `handle_datagram(self, &mut Context, Path, &[u8]) -> State`, `handle_timeout(self, &mut Context) -> State`,
//! `handle_command(self, &mut Context, Command) -> State`, `poll_timeout(&self) -> Option<Deadline>`, `status(&self) -> SessionStatus`;
//! `Established` also has `handle_report(self, &mut Context, DataReport) -> State`.

// The states that use these are being put together.
#![allow(dead_code)]

mod auth;
mod capabilities;
mod delete;
mod established;
mod exchange;
mod fragment;
mod keys;
pub mod message;
mod protect;
mod refuse;
mod window;

use std::collections::VecDeque;

use crate::crypto::random::Random;
use crate::crypto::secret::Secret;
use crate::ike::action::{Action, DropReason, Event, Failure, SessionStatus, Transmit};
use crate::ike::nat::NatSituation;
use crate::ike::profile::Profile;
use crate::sa::command::{ChildId, DataCommand};
use crate::sa::path::Path;
use crate::sa::selector::Selector;
use crate::sa::spi::{IkeSpi, InboundSpi, OutboundSpi};
use crate::sa::suite::{EspSuite, IkeSuite};
use crate::time::Instant;

use auth::PeerAuthenticated;
use capabilities::Capabilities;
use established::Established;
use protect::MessageProtection;

/// What a state is given with every call.
pub(super) struct Context<'a> {
    pub(super) now: Instant,
    pub(super) profile: &'a Profile,
    pub(super) random: &'a mut dyn Random,
    pub(super) outbox: &'a mut VecDeque<Action>,
}

impl Context<'_> {
    pub(super) fn transmit(&mut self, path: Path, message: Vec<u8>) {
        self.outbox.push_back(Action::Transmit(Transmit { path, message }));
    }

    pub(super) fn data(&mut self, command: DataCommand) {
        self.outbox.push_back(Action::Data(command));
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outbox.push_back(Action::Event(event));
    }

    pub(super) fn dropped(&mut self, reason: DropReason) {
        self.event(Event::Dropped(reason));
    }
}

/// The machine's states; `session` calls the one it holds.
pub(super) enum State {
    Established(Box<Established>),
    Ended(Ended),
}

/// Nothing is waited for any more; what it was, for people.
pub(super) struct Ended {
    pub(super) last: SessionStatus,
}

impl State {
    /// Ends the session: the event is its last one.
    pub(super) fn end(ctx: &mut Context<'_>, last: SessionStatus, failure: Failure) -> Self {
        ctx.event(Event::Ended(failure));
        Self::Ended(Ended { last: SessionStatus { state: "ended", ..last } })
    }
}

/// A child SA that stands.
#[derive(Clone, Debug)]
struct ChildRecord {
    id: ChildId,
    inbound: InboundSpi,
    outbound: OutboundSpi,
    suite: EspSuite,
    local: Vec<Selector>,
    remote: Vec<Selector>,
    established_at: Instant,
}

/// What IKE_AUTH leaves behind. Only `auth` can make the proof in it.
struct EstablishedParts {
    proof: PeerAuthenticated,
    /// Ours (the initiator's), then the peer's.
    spis: (IkeSpi, IkeSpi),
    suite: IkeSuite,
    protection: MessageProtection,
    sk_d: Secret,
    path: Path,
    nat: NatSituation,
    capabilities: Capabilities,
    child: Option<ChildRecord>,
    established_at: Instant,
}
