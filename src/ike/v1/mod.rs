//! IKEv1 (RFC 2407, 2408, 2409) as initiator of phase 1. Each state admits a datagram without changing, then advances by value.

#![allow(dead_code, unused_imports, clippy::todo)]

mod aggressive;
mod answers;
mod child;
mod dpd;
mod established;
mod fragment;
mod header;
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

use std::sync::Arc;

use crate::ike::action::{Command, Deadline, Event, Failure, SessionStatus};
use crate::ike::context::Context;
use crate::ike::profile::Ikev1;
use crate::sa::command::DataReport;
use crate::sa::path::Path;

use established::Established;
use opening::{Opening, Progress};

/// A session that speaks IKEv1.
pub(super) struct Machine(State);

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
        let progress = Opening::start(ctx, settings, path);
        Self(State::from_opening(ctx, progress))
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

    pub(super) fn status(&self) -> SessionStatus {
        self.0.status()
    }

    fn step(&mut self, step: impl FnOnce(State) -> State) {
        let last = self.status();
        self.0 = step(std::mem::replace(&mut self.0, State::Ended(Ended { last })));
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
