//! IKEv2 (RFC 7296) as initiator. Each state is a struct named for what it waits for; it admits a datagram without changing, then advances by value.

mod answer;
mod auth;
mod await_auth;
mod candidate;
mod capabilities;
mod child;
mod collision;
mod established;
mod exchange;
mod fragment;
mod ike_sa;
mod keys;
pub mod message;
mod nat_detection;
mod protect;
mod sa_init;
#[cfg(test)]
mod tests;
mod window;

use crate::ike::action::{Command, Deadline, Event, Failure, SessionStatus};
use crate::ike::context::Context;
use crate::ike::handover::Busy;
use crate::sa::command::DataReport;
use crate::sa::handover::Unrestorable;
use crate::sa::path::Path;
use crate::sa::spi::IkeSpi;

use auth::PeerAuthenticated;
use await_auth::AwaitAuth;
use capabilities::Capabilities;
use child::Child;
use established::Established;
pub(in crate::ike) use established::EstablishedState;
use ike_sa::IkeSa;
use sa_init::{AwaitSaInit, Initiation};

/// A session that speaks IKEv2.
pub(super) struct Machine(State);

impl Machine {
    /// Sends the first message.
    pub(super) fn initiate(ctx: &mut Context<'_>, path: Path) -> Self {
        Self(State::initiate(ctx, path))
    }

    pub(super) fn handle_datagram(&mut self, ctx: &mut Context<'_>, path: Path, message: &[u8]) {
        self.step(|state| state.handle_datagram(ctx, path, message));
    }

    pub(super) fn handle_timeout(&mut self, ctx: &mut Context<'_>) {
        self.step(|state| state.handle_timeout(ctx));
    }

    pub(super) fn handle_command(&mut self, ctx: &mut Context<'_>, command: Command) {
        self.step(|state| state.handle_command(ctx, command));
    }

    pub(super) fn handle_report(&mut self, ctx: &mut Context<'_>, report: DataReport) {
        self.step(|state| state.handle_report(ctx, report));
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        self.0.poll_timeout()
    }

    /// Whether a message names an IKE SA of this session: we chose one of the two SPIs, whoever comes first.
    pub(super) fn owns(&self, message: &[u8]) -> bool {
        let is_named = |name: IkeSpi| message.chunks_exact(8).take(2).any(|spi| spi == name.to_octets());
        match &self.0 {
            State::Established(state) => state.sas().any(|sa| is_named(sa.name())),
            State::AwaitSaInit(_) | State::AwaitAuth(_) | State::Ended(_) => is_named(self.status().spis.0),
        }
    }

    /// What goes on in another process; only a session that is established can.
    pub(super) fn export(&self) -> Result<EstablishedState, Busy> {
        match &self.0 {
            State::Established(state) => state.export(),
            State::AwaitSaInit(_) | State::AwaitAuth(_) => Err(Busy("the tunnel is being made")),
            State::Ended(_) => Err(Busy("the tunnel has ended")),
        }
    }

    /// The session again, in the process that goes on with it.
    pub(super) fn restore(state: EstablishedState) -> Result<Self, Unrestorable> {
        Ok(Self(State::Established(Established::restore(state)?)))
    }

    pub(super) fn can_roam(&self) -> bool {
        matches!(&self.0, State::Established(state) if state.can_roam())
    }

    /// Whether the gateway is probably dead.
    pub(super) const fn is_suspected(&self) -> bool {
        matches!(&self.0, State::Established(state) if state.is_suspected())
    }

    pub(super) fn status(&self) -> SessionStatus {
        self.0.status()
    }

    fn step(&mut self, step: impl FnOnce(State) -> State) {
        let last = self.status();
        self.0 = step(std::mem::replace(&mut self.0, State::Ended(Ended { last })));
    }
}

/// The states, each in a box: a machine is small, and moving from one state to the next is cheap.
enum State {
    AwaitSaInit(Box<AwaitSaInit>),
    AwaitAuth(Box<AwaitAuth>),
    Established(Box<Established>),
    Ended(Ended),
}

/// Nothing is waited for any more; what it was, for people.
struct Ended {
    last: SessionStatus,
}

impl State {
    fn initiate(ctx: &mut Context<'_>, path: Path) -> Self {
        match Initiation::start(ctx, path) {
            Ok(initiation) => Self::AwaitSaInit(Box::new(AwaitSaInit::new(initiation))),
            Err((spi, failure)) => {
                let last = SessionStatus { state: "new", spis: (spi, None), suite: None, path };
                Self::end(ctx, last, failure)
            }
        }
    }

    fn handle_datagram(self, ctx: &mut Context<'_>, path: Path, message: &[u8]) -> Self {
        match self {
            Self::AwaitSaInit(state) => state.handle_datagram(ctx, path, message),
            Self::AwaitAuth(state) => state.handle_datagram(ctx, path, message),
            Self::Established(state) => state.handle_datagram(ctx, path, message),
            Self::Ended(_) => self,
        }
    }

    fn handle_timeout(self, ctx: &mut Context<'_>) -> Self {
        match self {
            Self::AwaitSaInit(state) => state.handle_timeout(ctx),
            Self::AwaitAuth(state) => state.handle_timeout(ctx),
            Self::Established(state) => state.handle_timeout(ctx),
            Self::Ended(_) => self,
        }
    }

    fn handle_command(self, ctx: &mut Context<'_>, command: Command) -> Self {
        match self {
            Self::AwaitSaInit(state) => state.handle_command(ctx, command),
            Self::AwaitAuth(state) => state.handle_command(ctx, command),
            Self::Established(state) => state.handle_command(ctx, command),
            Self::Ended(_) => self,
        }
    }

    /// Before there is a child, the packet path has no news for us.
    fn handle_report(self, ctx: &mut Context<'_>, report: DataReport) -> Self {
        match self {
            Self::Established(state) => state.handle_report(ctx, report),
            Self::AwaitSaInit(_) | Self::AwaitAuth(_) | Self::Ended(_) => self,
        }
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        match self {
            Self::AwaitSaInit(state) => state.poll_timeout(),
            Self::AwaitAuth(state) => state.poll_timeout(),
            Self::Established(state) => state.poll_timeout(),
            Self::Ended(_) => None,
        }
    }

    fn status(&self) -> SessionStatus {
        match self {
            Self::AwaitSaInit(state) => state.status(),
            Self::AwaitAuth(state) => state.status(),
            Self::Established(state) => state.status(),
            Self::Ended(ended) => ended.last.clone(),
        }
    }

    /// Ends the session: the event is its last one.
    fn end(ctx: &mut Context<'_>, last: SessionStatus, failure: Failure) -> Self {
        ctx.event(Event::Ended(failure));
        Self::Ended(Ended { last: SessionStatus { state: "ended", ..last } })
    }
}

/// What IKE_AUTH leaves behind. Only `auth` can make the proof in it.
struct EstablishedParts {
    proof: PeerAuthenticated,
    sa: IkeSa,
    path: Path,
    capabilities: Capabilities,
    child: Option<Child>,
}
