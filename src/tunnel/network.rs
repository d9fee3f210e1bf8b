//! The network under a tunnel changes: a cable is pulled, an address comes or goes, the host slept. None of that ends a tunnel; it is a reason to look.
//! Another address of ours towards the gateway is told to it where both speak MOBIKE (RFC 4555); elsewhere it is an end: the gateway sends to the old one.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::ike::action::{Command, Failure};
use crate::sa::path::{Framing, Path};
use crate::time::Instant;
use crate::tunnel::attempts::Attempts;
use crate::tunnel::line::{State, Which};
use crate::tunnel::progress::Progress;
use crate::tunnel::{Tunnel, TunnelAction};

/// However often the network changes, the gateway is asked for a sign of life on its account no more often than this.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(5);
/// Who moves again within this time waits until it is over: addresses that come and go make no storm.
const SETTLING_TIME: Duration = Duration::from_secs(5);

impl Tunnel {
    /// Addresses, links or routes of the host changed, or its clock jumped because it slept.
    pub fn handle_network_change(&mut self, now: Instant) {
        let shortest = self.settings.reconnect.first;
        match &mut self.current.state {
            State::Waiting { until, since, is_for_the_network: true } => *until = (*until).min(since.after(shortest)),
            State::Connected(connected) => {
                let remote = connected.remote;
                self.actions.push_back(TunnelAction::LookForPath { remote });
            }
            State::Waiting { .. }
            | State::Resolving(_)
            | State::Binding(..)
            | State::Closing { .. }
            | State::Closed => {}
        }
        self.hurry(now);
    }

    /// From which of our addresses the gateway is reached now, or why it is not.
    pub fn handle_path(&mut self, now: Instant, answer: Result<SocketAddr, String>) {
        let Some(connected) = self.current.connected_mut() else { return };
        let (remote, before) = (connected.remote, connected.local);
        match answer {
            // It may come back before anybody misses it; who does is liveness.
            Err(reason) => {
                if !std::mem::replace(&mut connected.is_cut_off, true) {
                    self.progress(Progress::NoPath { remote, reason });
                }
            }
            Ok(local) if connected.session.can_roam() && (local.ip() != before.ip() || connected.is_cut_off) => {
                connected.is_cut_off = false;
                self.make_way(Which::Current, remote);
                // One that is still being made has nothing to move: what it says goes out from the new address.
                let successor = self.connected(Which::Successor).filter(|successor| successor.session.can_roam());
                if let Some(remote) = successor.map(|successor| successor.remote) {
                    self.make_way(Which::Successor, remote);
                }
            }
            Ok(local) if local.ip() != before.ip() => self.move_on(now, local),
            Ok(_) => {
                connected.is_cut_off = false;
                if !connected.is_answered && now.since(connected.started) >= self.settings.reconnect.first {
                    // What was sent so far may have gone nowhere, and the next repetition is far.
                    self.current.attempts = Attempts::new(self.settings.gateways.clone());
                    self.try_next(now, Which::Current, false);
                } else {
                    self.question(now);
                    self.look_at_link();
                }
            }
        }
    }

    /// A session is to go on with the gateway at this address, from wherever it is reached.
    pub(super) fn make_way(&mut self, which: Which, remote: IpAddr) {
        let port = self.settings.first_port;
        let Some(connected) = self.connected_mut(which) else { return };
        if connected.moving_to.is_none() {
            connected.moving_to = Some(remote);
            self.actions.push_back(TunnelAction::Bind { remote, port });
        }
    }

    /// The way is there, or is not: then the sessions that wait for it stay where they are, and liveness says how long.
    pub(super) fn handle_way(&mut self, now: Instant, remote: IpAddr, answer: Result<SocketAddr, String>) {
        for which in [Which::Current, Which::Successor] {
            let Some(connected) = self.connected_mut(which) else { continue };
            if connected.moving_to.take_if(|to| *to == remote).is_none() {
                continue;
            }
            match &answer {
                Ok(local) => {
                    (connected.local, connected.remote) = (*local, remote);
                    let port = connected.status().path.remote.port();
                    let path = Path { local: *local, remote: (remote, port).into(), framing: Framing::Marked };
                    self.with_session(now, which, |session| session.handle_command(now, Command::Roam(path)));
                }
                Err(reason) => self.tell(which, Progress::NoPath { remote, reason: reason.clone() }),
            }
        }
    }

    /// What the host has of the old way gives place to what it needs for the new one.
    pub(super) fn handle_roamed(&mut self, which: Which, path: Path) {
        let Some(connected) = self.connected_mut(which) else { return };
        connected.children.iter_mut().for_each(|child| child.path = path);
        let ready = connected.ready;
        self.tell(which, Progress::Roamed { local: path.local.ip(), remote: path.remote.ip() });
        if ready {
            self.configure(which);
        }
        if which == Which::Current {
            self.look_at_link();
        }
    }

    /// Asks for a sign of life, unless that was just done: whoever gives the reason gives no storm.
    pub(super) fn question(&mut self, now: Instant) {
        let Some(connected) = self.current.connected_mut() else { return };
        if connected.probed.is_none_or(|last| now.since(last) >= BETWEEN_QUESTIONS) {
            connected.probed = Some(now);
            self.with_session(now, Which::Current, |session| session.handle_command(now, Command::ProbeLiveness));
        }
    }

    /// The gateway is told by the new way that the old tunnel is gone, while the new one is made.
    fn move_on(&mut self, now: Instant, local: SocketAddr) {
        // It was made from the old address, too. What it was for, the new one does as well.
        self.abandon_successor(now);
        let Some(connected) = self.current.take_connected() else { return };
        let (remote, started, up_since, before) =
            (connected.remote, connected.started, connected.up_since, connected.local);
        self.retire(now, *connected, now);
        self.return_at = None;
        let failure = Failure::Moved { from: before.ip(), to: local.ip() };
        self.progress(Progress::Down { remote, failure, was_up: up_since.is_some() });
        self.current.attempts = Attempts::new(self.settings.gateways.clone());
        match SETTLING_TIME.saturating_sub(now.since(started)) {
            Duration::ZERO => self.try_next(now, Which::Current, false),
            wait => self.wait(now, Which::Current, wait, false),
        }
    }

    fn hurry(&mut self, now: Instant) {
        if matches!(&self.current.state, State::Waiting { until, .. } if *until <= now) {
            self.try_next(now, Which::Current, false);
        }
    }
}
