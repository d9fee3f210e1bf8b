//! Make before break: a session that is to succeed the current one comes up beside it, gets the traffic, and only then the other is closed. It
//! knows why that is wanted, when it is tried again, and what happens when either of the two ends meanwhile.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ike::action::{Command, Failure};
use crate::time::Instant;
use crate::tunnel::Tunnel;
use crate::tunnel::attempts::Attempts;
use crate::tunnel::former::OVERLAP;
use crate::tunnel::line::{Connected, Line, State, Which};
use crate::tunnel::progress::Progress;
use crate::tunnel::reconnect::{Backoff, jittered};
use crate::tunnel::settings::TunnelSettings;

/// How new settings are applied to a tunnel that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The live session goes on with them: only what can change under it differs.
    InPlace,
    /// A new session is made with them, and succeeds the live one when it is ready.
    Successor,
}

/// Why a session is to be succeeded by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The settings changed.
    Settings,
    /// It cannot be kept: authentication has to be repeated, or its keys are not replaced.
    Expiring,
    /// A gateway that comes before this one in the list may be back.
    Return,
    /// The gateway does not answer any more. It may still do so.
    Silence,
}

/// The line of a session that is to succeed the current one.
pub(super) struct Successor {
    pub(super) line: Line,
    reason: Reason,
}

impl Successor {
    /// Why it is wanted.
    pub(super) const fn reason(&self) -> Reason {
        self.reason
    }
}

impl Tunnel {
    /// The settings changed. What is wrong with new ones does not touch the live session: it goes on until a new one stands.
    pub fn handle_settings(&mut self, now: Instant, settings: Arc<TunnelSettings>, change: Change) {
        self.settings = settings;
        let policy = self.settings.reconnect;
        self.current.backoff.adopt(policy);
        if let Some(successor) = &mut self.successor {
            successor.line.backoff.adopt(policy);
        }
        match change {
            Change::InPlace => {
                let upkeep = self.settings.profile.upkeep();
                for which in [Which::Current, Which::Successor] {
                    self.with_session(now, which, |session| session.handle_command(now, Command::Adopt(upkeep)));
                }
                self.plan_return(now);
            }
            Change::Successor => self.change_everything(now),
        }
    }

    fn change_everything(&mut self, now: Instant) {
        self.abandon_successor(now);
        let is_live = self.current.connected().is_some_and(|connected| connected.up_since.is_some());
        match &self.current.state {
            State::Closing { .. } | State::Closed => {}
            State::Connected(_) if is_live => self.start_successor(now, Reason::Settings),
            State::Connected(_) | State::Resolving(_) | State::Binding(..) | State::Waiting { .. } => {
                // Nothing is lost: what was tried was tried with the old settings.
                if let Some(connected) = self.current.take_connected() {
                    self.retire(now, *connected, now);
                }
                self.current.attempts = Attempts::new(self.settings.gateways.clone());
                self.current.backoff = Backoff::new(self.settings.reconnect);
                self.try_next(now, Which::Current, false);
            }
        }
    }

    pub(super) fn start_successor(&mut self, now: Instant, reason: Reason) {
        let gateways = self.settings.gateways.clone();
        let rank = self.current.connected().map_or(0, |connected| connected.rank);
        let attempts = match reason {
            Reason::Settings => Attempts::new(gateways),
            Reason::Expiring => Attempts::starting_with(gateways, rank),
            Reason::Return => Attempts::before(gateways, rank),
            Reason::Silence => Attempts::behind(gateways, rank),
        };
        let line = Line { state: State::Closed, attempts, backoff: Backoff::new(self.settings.reconnect) };
        self.successor = Some(Successor { line, reason });
        self.return_at = None;
        self.progress(Progress::SuccessionBegun { reason });
        self.try_next(now, Which::Successor, false);
    }

    /// The current session cannot be kept for long.
    pub(super) fn handle_expiring(&mut self, now: Instant, which: Which) {
        let Some(connected) = self.connected_mut(which) else { return };
        connected.expiring = true;
        let is_live = which == Which::Current && connected.up_since.is_some();
        let reason = self.successor.as_ref().map(|successor| successor.reason);
        // An attempt to return goes to fewer gateways, and is not repeated.
        if is_live && matches!(reason, None | Some(Reason::Return)) {
            self.abandon_successor(now);
            self.start_successor(now, Reason::Expiring);
        }
    }

    /// The gateway fell silent, or answers again. While it is not known to be dead, others are tried beside it, and at last itself: it may have forgotten us.
    pub(super) fn mind_silence(&mut self, now: Instant) {
        let Some(current) = self.current.connected() else { return };
        let is_silent = current.up_since.is_some() && current.session.is_suspected();
        let is_expiring = current.expiring;
        match (&mut self.successor, is_silent) {
            (None | Some(Successor { reason: Reason::Return, .. }), true) if !self.displacement.is_recognised() => {
                self.abandon_successor(now);
                self.start_successor(now, Reason::Silence);
            }
            // It answers again, and another session is wanted all the same.
            (Some(Successor { reason: reason @ Reason::Silence, .. }), false) if is_expiring => {
                *reason = Reason::Expiring
            }
            (Some(Successor { reason: Reason::Silence, line }), false) => {
                // A gateway that answered both may have the other session already: left alone there, it would get packets that nobody reads.
                let is_known_there =
                    |other: &Connected| other.ready || (other.is_answered && other.remote == current.remote);
                if line.connected().is_some_and(is_known_there) {
                    return;
                }
                self.abandon_successor(now);
                self.progress(Progress::Notice("the gateway answers again".to_owned()));
                self.plan_return(now);
            }
            _ => {}
        }
    }

    /// Another session took the place of one that was up `since` and fell silent. Whoever displaces us is left in peace the next time.
    fn remember_silence(&mut self, now: Instant, since: Option<Instant>, failure: &Failure) {
        let policy = self.settings.reconnect;
        let _ = since.and_then(|since| self.displacement.ended(now, since, failure, &policy, &mut *self.random));
    }

    /// The old session is not heard any more.
    pub(super) fn succeeds_silence(&self) -> bool {
        self.successor.as_ref().is_some_and(|successor| successor.reason == Reason::Silence)
    }

    /// It is not wanted any more.
    pub(super) fn abandon_successor(&mut self, now: Instant) {
        if let Some(connected) = self.successor.take().and_then(|mut successor| successor.line.take_connected()) {
            self.retire(now, *connected, now);
        }
    }

    /// The host is set up for it: it is the current one now.
    pub(super) fn take_over(&mut self, now: Instant, routes: Progress) {
        let Some(Successor { line, reason }) = self.successor.take() else { return };
        let old = std::mem::replace(&mut self.current, line).take_connected();
        if let Some(old) = old {
            if reason == Reason::Silence {
                self.remember_silence(now, old.up_since, &Failure::PeerDead { silent: Duration::ZERO });
            }
            self.retire(now, *old, now.after(OVERLAP));
        }
        self.current.backoff.reset();
        let Some(connected) = self.current.connected_mut() else { return };
        connected.up_since = Some(now);
        let (remote, expiring) = (connected.remote, connected.expiring);
        let configuration = connected.children.first().map(|child| child.configuration.clone()).unwrap_or_default();
        self.earlier.remember(&configuration.addresses);
        self.progress(Progress::Succeeded { reason, remote });
        self.addresses(Which::Current, &configuration);
        self.progress(routes);
        self.plan_return(now);
        self.look_at_link();
        if expiring {
            self.handle_expiring(now, Which::Current);
        }
    }

    /// The host could not be set up for it: what is there stays, or is set again.
    pub(super) fn cannot_take_over(&mut self, now: Instant, reason: String) {
        self.trouble(Which::Successor, Progress::HostFailed { reason });
        if let Some(connected) = self.successor.as_mut().and_then(|successor| successor.line.take_connected()) {
            self.retire(now, *connected, now);
        }
        self.configure(Which::Current);
        self.try_next(now, Which::Successor, true);
    }

    /// An attempt of it failed. The current session goes on.
    pub(super) fn successor_ended(&mut self, now: Instant, failure: Failure) {
        let Some(connected) = self.successor.as_mut().and_then(|successor| successor.line.take_connected()) else {
            return;
        };
        let refused = failure.is_refusal();
        let was_ready = connected.ready;
        if self.successor.as_ref().is_some_and(|successor| successor.reason == Reason::Silence) {
            self.displacement.attempt_failed();
        }
        self.trouble(Which::Successor, Progress::Down { remote: connected.remote, failure, was_up: false });
        if was_ready {
            self.configure(Which::Current);
        }
        self.try_next(now, Which::Successor, refused);
    }

    /// What went wrong with an attempt.
    pub(super) fn trouble(&mut self, which: Which, cause: Progress) {
        match &self.successor {
            Some(Successor { reason, .. }) if which == Which::Successor => {
                let reason = *reason;
                self.progress(Progress::SuccessionFailed { reason, cause: Box::new(cause) });
            }
            _ => self.progress(cause),
        }
    }

    /// Every gateway was tried in vain: `true` if that was all.
    pub(super) fn successor_gives_up(&mut self, now: Instant) -> bool {
        if self.successor.as_ref().is_none_or(|successor| successor.reason != Reason::Return) {
            return false;
        }
        self.successor = None;
        self.plan_return(now);
        true
    }

    /// The current session ended: if another is on its way, it takes its place as it is.
    pub(super) fn succeed_the_ended(
        &mut self,
        now: Instant,
        remote: IpAddr,
        up_since: Option<Instant>,
        failure: &Failure,
    ) -> bool {
        let Some(mut successor) = self.successor.take() else { return false };
        // One that rests would only make the wait longer.
        if matches!(successor.line.state, State::Waiting { .. }) {
            return false;
        }
        if successor.reason == Reason::Silence {
            self.remember_silence(now, up_since, failure);
        }
        let is_ready = |connected: &Connected| connected.ready || connected.believed.is_some();
        let ready =
            successor.line.connected().filter(|connected| is_ready(connected)).map(|connected| connected.remote);
        let may_have_others = successor.line.attempts.may_have_others();
        if let Some(connected) = successor.line.connected_mut() {
            connected.answer_by = connected.answer_by.filter(|_| may_have_others);
        }
        self.current = successor.line;
        match ready {
            Some(remote) => {
                self.progress(Progress::Succeeded { reason: successor.reason, remote });
                self.set_up(Which::Current);
            }
            None => {
                self.progress(Progress::Down { remote, failure: failure.clone(), was_up: true });
                self.release(Which::Current);
            }
        }
        true
    }

    /// When the gateways before the current one are tried again; never if there are none.
    pub(super) fn plan_return(&mut self, now: Instant) {
        let is_behind = self.current.connected().is_some_and(|current| current.up_since.is_some() && current.rank > 0);
        let after = self.settings.return_after.filter(|_| is_behind && self.successor.is_none());
        self.return_at = after.map(|after| now.after(jittered(after, &mut *self.random)));
    }

    pub(super) fn return_timeout(&mut self, now: Instant) {
        if self.return_at.take_if(|at| *at <= now).is_some() && self.successor.is_none() {
            self.start_successor(now, Reason::Return);
        }
    }
}
