//! IKEv1 (RFC 2407, 2408, 2409) as initiator of phase 1. Each state admits a datagram without changing, then advances by value.

mod aggressive;
mod answers;
mod child;
mod dpd;
mod established;
mod fragment;
pub mod header;
mod informational;
mod isakmp_sa;
mod iv;
mod keys;
mod main_mode;
pub mod message;
mod mode_config;
mod notify;
mod offer;
mod opening;
mod protect;
mod quick_mode;
#[cfg(test)]
mod tests;
mod text;
mod vendor;
mod xauth;

use std::borrow::Cow;
use std::sync::Arc;

use crate::ike::action::{Command, Deadline, DropReason, Event, Failure, SessionStatus};
use crate::ike::context::Context;
use crate::ike::handover::Busy;
use crate::ike::profile::{Ikev1, Phase1Mode, Profile};
use crate::sa::command::DataReport;
use crate::sa::handover::Unrestorable;
use crate::sa::path::Path;

use established::Established;
pub(in crate::ike) use established::EstablishedState;
use fragment::Reassembly;
use header::{Cookies, Header, PayloadType};
use opening::{Opening, Progress};

/// A session that speaks IKEv1.
pub(super) struct Machine {
    state: State,
    fragments: Reassembly,
}

/// The states, each in a box: a machine is small, and moving from one state to the next is cheap.
enum State {
    Opening(Box<Opening>),
    Established(Box<Established>),
    Ended(Ended),
}

/// Nothing is waited for any more; what it was, for people.
struct Ended {
    last: SessionStatus,
}

impl Machine {
    /// Sends the first message.
    pub(super) fn initiate(ctx: &mut Context<'_>, settings: Arc<Ikev1>, path: Path) -> Self {
        if settings.mode == Phase1Mode::Aggressive {
            ctx.event(Event::Notice(aggressive::WARNING.to_owned()));
        }
        let progress = Opening::start(ctx, settings, path);
        Self { state: State::from_opening(ctx, progress), fragments: Reassembly::default() }
    }

    pub(super) fn handle_datagram(&mut self, ctx: &mut Context<'_>, path: Path, message: &[u8]) {
        match self.whole(ctx, path, message) {
            Ok(Some(whole)) => self.step(|state| state.handle_datagram(ctx, path, &whole)),
            Ok(None) => {}
            Err(reason) => ctx.dropped(reason),
        }
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
        self.state.poll_timeout()
    }

    /// Whether a message names an ISAKMP SA of this session.
    pub(super) fn owns(&self, message: &[u8]) -> bool {
        Header::parse(message).is_ok_and(|(header, _)| self.state.owns(header.cookies))
    }

    /// Whether the gateway is probably dead.
    pub(super) const fn is_suspected(&self) -> bool {
        matches!(&self.state, State::Established(state) if state.is_suspected())
    }

    pub(super) fn status(&self) -> SessionStatus {
        self.state.status()
    }

    /// What goes on in another process; only a session that is established can. Fragments come again.
    pub(super) fn export(&self) -> Result<EstablishedState, Busy> {
        match &self.state {
            State::Established(state) => state.export(),
            State::Opening(_) => Err(Busy("the tunnel is being made")),
            State::Ended(_) => Err(Busy("the tunnel has ended")),
        }
    }

    /// The session again, in the process that goes on with it.
    pub(super) fn restore(
        profile: &Profile,
        settings: Arc<Ikev1>,
        state: EstablishedState,
    ) -> Result<Self, Unrestorable> {
        let established = Established::restore(profile, settings, state)?;
        Ok(Self { state: State::Established(Box::new(established)), fragments: Reassembly::default() })
    }

    fn step(&mut self, step: impl FnOnce(State) -> State) {
        let last = self.status();
        self.state = step(std::mem::replace(&mut self.state, State::Ended(Ended { last })));
    }

    /// The message that a datagram is, or that it completes; `None` while others are missing.
    fn whole<'a>(
        &mut self,
        ctx: &Context<'_>,
        path: Path,
        datagram: &'a [u8],
    ) -> Result<Option<Cow<'a, [u8]>>, DropReason> {
        let Ok((header, rest)) = Header::parse(datagram) else { return Ok(Some(datagram.into())) };
        if header.next_payload != PayloadType::FRAGMENT {
            return Ok(Some(datagram.into()));
        }
        if matches!(self.state, State::Ended(_)) {
            return Ok(None);
        }
        if ctx.profile.fragmentation.is_none() || !self.state.owns(header.cookies) {
            return Err(DropReason::NotOurs);
        }
        if path.remote.ip() != self.status().path.remote.ip() {
            return Err(DropReason::WrongAddress);
        }
        Ok(self.fragments.receive(ctx.now, &header, rest)?.map(Cow::Owned))
    }
}

impl State {
    fn handle_datagram(self, ctx: &mut Context<'_>, path: Path, message: &[u8]) -> Self {
        match self {
            Self::Opening(opening) => {
                let progress = opening.handle_datagram(ctx, path, message);
                Self::from_opening(ctx, progress)
            }
            Self::Established(state) => state.handle_datagram(ctx, path, message),
            Self::Ended(_) => self,
        }
    }

    fn handle_timeout(self, ctx: &mut Context<'_>) -> Self {
        match self {
            Self::Opening(opening) => {
                let progress = opening.handle_timeout(ctx);
                Self::from_opening(ctx, progress)
            }
            Self::Established(state) => state.handle_timeout(ctx),
            Self::Ended(_) => self,
        }
    }

    fn handle_command(self, ctx: &mut Context<'_>, command: Command) -> Self {
        match self {
            Self::Opening(opening) => {
                let progress = opening.handle_command(ctx, command);
                Self::from_opening(ctx, progress)
            }
            Self::Established(state) => state.handle_command(ctx, command),
            Self::Ended(_) => self,
        }
    }

    /// Before there is a child, the packet path has no news for us.
    fn handle_report(self, ctx: &mut Context<'_>, report: DataReport) -> Self {
        match self {
            Self::Established(state) => state.handle_report(ctx, report),
            Self::Opening(_) | Self::Ended(_) => self,
        }
    }

    /// Whether a datagram with these cookies may be for us.
    fn owns(&self, cookies: Cookies) -> bool {
        match self {
            Self::Opening(opening) => opening.owns(cookies),
            Self::Established(state) => state.owns(cookies),
            Self::Ended(_) => false,
        }
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        match self {
            Self::Opening(opening) => opening.poll_timeout(),
            Self::Established(state) => state.poll_timeout(),
            Self::Ended(_) => None,
        }
    }

    fn status(&self) -> SessionStatus {
        match self {
            Self::Opening(opening) => opening.status(),
            Self::Established(state) => state.status(),
            Self::Ended(ended) => ended.last.clone(),
        }
    }

    fn from_opening(ctx: &mut Context<'_>, progress: Progress) -> Self {
        match progress {
            Progress::Waiting(opening) => Self::Opening(opening),
            Progress::Ready(opened) => Established::start(ctx, *opened),
            Progress::Failed { last, failure } => Self::end(ctx, last, failure),
        }
    }

    /// Ends the session: the event is its last one.
    fn end(ctx: &mut Context<'_>, last: SessionStatus, failure: Failure) -> Self {
        ctx.event(Event::Ended(failure));
        Self::Ended(Ended { last: SessionStatus { state: "ended", ..last } })
    }
}
