//! The network under a tunnel changes: a cable is pulled, an address comes or goes, the host slept. None of that ends a tunnel; it is a reason to look.
//! Only another address of ours towards the gateway is an end: the gateway sends to the old one.

use std::net::SocketAddr;
use std::time::Duration;

use crate::ike::action::{Action, Command, Event, Failure};
use crate::ike::session::Session;
use crate::time::Instant;
use crate::tunnel::progress::Progress;
use crate::tunnel::{Connected, State, Tunnel, TunnelAction};

/// However often the network changes, the gateway is asked for a sign of life on its account no more often than this.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(5);
/// Who moves again within this time waits until it is over: addresses that come and go make no storm.
const SETTLING_TIME: Duration = Duration::from_secs(5);

impl Tunnel {
    /// Addresses, links or routes of the host changed, or its clock jumped because it slept.
    pub fn handle_network_change(&mut self, now: Instant) {
        let shortest = self.settings.reconnect.first;
        match &mut self.state {
            State::Waiting { until, since, is_for_the_network: true } => *until = (*until).min(since.after(shortest)),
            State::Connected(connected) if !connected.closing => {
                let remote = connected.remote;
                self.actions.push_back(TunnelAction::LookForPath { remote });
            }
            State::Waiting { .. } | State::Connected(_) | State::Resolving(_) | State::Binding(..) | State::Closed => {}
        }
        self.hurry(now);
    }

    /// From which of our addresses the gateway is reached now, or why it is not.
    pub fn handle_path(&mut self, now: Instant, answer: Result<SocketAddr, String>) {
        let State::Connected(connected) = &mut self.state else { return };
        if connected.closing {
            return;
        }
        let (remote, before) = (connected.remote, connected.local);
        match answer {
            // It may come back before anybody misses it; who does is liveness.
            Err(reason) => {
                if !std::mem::replace(&mut connected.is_cut_off, true) {
                    self.progress(Progress::NoPath { remote, reason });
                }
            }
            Ok(local) if local.ip() != before.ip() => self.move_on(now, local),
            Ok(_) => {
                connected.is_cut_off = false;
                if !connected.is_answered && now.since(connected.started) >= self.settings.reconnect.first {
                    // What was sent so far may have gone nowhere, and the next repetition is far.
                    self.attempts.start_over();
                    self.try_next(now, false);
                } else if connected.probed.is_none_or(|last| now.since(last) >= BETWEEN_QUESTIONS) {
                    connected.probed = Some(now);
                    self.with_session(now, |session| session.handle_command(now, Command::ProbeLiveness));
                }
            }
        }
    }

    /// The gateway is told by the new way that the old tunnel is gone, while the new one is made.
    fn move_on(&mut self, now: Instant, local: SocketAddr) {
        let State::Connected(connected) = std::mem::replace(&mut self.state, State::Closed) else { return };
        let Connected { session, remote, started, up_since, local: before, .. } = *connected;
        self.former = Some(Box::new(session));
        self.with_former(|session| session.handle_command(now, Command::Close));
        let failure = Failure::Moved { from: before.ip(), to: local.ip() };
        self.progress(Progress::Down { remote, failure, was_up: up_since.is_some() });
        self.attempts.start_over();
        match SETTLING_TIME.saturating_sub(now.since(started)) {
            Duration::ZERO => self.try_next(now, false),
            wait => self.state = self.wait(now, wait, false),
        }
    }

    /// Whether an IKE message names the session that is being closed. Both protocols have their two SPIs in the same place.
    pub(super) fn is_for_former(&self, message: &[u8]) -> bool {
        let ours = self.former.as_ref().map(|session| session.status().spis.0.to_octets());
        let mut spis = message.chunks_exact(8).take(2);
        ours.is_some_and(|ours| spis.any(|spi| spi == ours))
    }

    /// RFC 7296 §2.3: its DELETE has to wait when another question of ours is not answered yet. How long, the session knows; then it ends.
    pub(super) fn with_former(&mut self, act: impl FnOnce(&mut Session)) {
        let Some(session) = &mut self.former else { return };
        act(session);
        let mut has_ended = false;
        while let Some(action) = session.poll_action() {
            match action {
                Action::Transmit(transmit) => self.actions.push_back(TunnelAction::Transmit(transmit)),
                Action::Data(command) => self.actions.push_back(TunnelAction::Data(command)),
                Action::Event(event) => has_ended |= matches!(event, Event::Ended(_)),
            }
        }
        if has_ended {
            self.former = None;
        }
    }

    fn hurry(&mut self, now: Instant) {
        if matches!(&self.state, State::Waiting { until, .. } if *until <= now) {
            self.try_next(now, false);
        }
    }
}
