//! What a session has to say, and what the tunnel makes of it.

use std::time::Duration;

use crate::ike::action::{Action, ChildUp, Configuration, Event, Failure, Phase};
use crate::ike::session::Session;
use crate::sa::command::{ChildId, DataCommand};
use crate::time::Instant;
use crate::tunnel::attempts::Attempts;
use crate::tunnel::line::{Belief, Connected, Which};
use crate::tunnel::progress::Progress;
use crate::tunnel::reconnect::jittered;
use crate::tunnel::{Tunnel, TunnelAction};

/// A gateway that misses the last message of a quick mode repeats the one before within this time.
const PROOF_WAIT: Duration = Duration::from_secs(5);

/// While the gateway still sends in old children, new ones are doubted for so long.
const LONGEST_DOUBT: Duration = Duration::from_secs(30);

impl Tunnel {
    /// Lets a session do something, then takes over all it wants done, wherever it stands meanwhile.
    pub(super) fn with_session(&mut self, now: Instant, which: Which, act: impl FnOnce(&mut Session)) {
        self.carry_out(now, which, act);
        self.mind_silence(now);
    }

    fn carry_out(&mut self, now: Instant, which: Which, act: impl FnOnce(&mut Session)) {
        let Some(connected) = self.connected_mut(which) else { return };
        act(&mut connected.session);
        connected.is_answered |= connected.status().spis.1.is_some();
        let name = connected.name;
        while let Some(which) = self.find_session(|other| other == name) {
            let Some(connected) = self.connected_mut(which) else { return };
            let Some(action) = connected.session.poll_action() else { return };
            match action {
                Action::Transmit(transmit) => {
                    connected.sent = connected.sent.saturating_add(1);
                    self.actions.push_back(TunnelAction::Transmit(transmit));
                }
                Action::Data(command) => self.tell_packet_path(now, which, command),
                Action::Event(event) => self.handle_event(now, which, event),
            }
        }
    }

    /// Nothing is sent with what a successor made before it succeeds.
    fn tell_packet_path(&mut self, now: Instant, which: Which, command: DataCommand) {
        if let (Which::Current, DataCommand::RemoveChild { child }) = (which, &command)
            && self.outlives_its_session()
        {
            return self.formers.keep_for_a_while(now, *child);
        }
        if let (Which::Successor, Some(connected)) = (which, self.connected_mut(which)) {
            match &command {
                DataCommand::SwitchOutbound { .. } => return connected.hold(command),
                DataCommand::RemoveChild { child } => connected.let_go_of(*child),
                DataCommand::MovePeer { child, path } => return connected.held_moves(*child, *path),
                DataCommand::InstallInbound { .. }
                | DataCommand::RemoveInbound { .. }
                | DataCommand::RemoveOutbound { .. }
                | DataCommand::Keepalive { .. } => {}
            }
        }
        self.actions.push_back(TunnelAction::Data(command));
    }

    /// An IKEv1 gateway that gets another phase 1 from us deletes the first and keeps its children (RFC 2408 §4.3.1: they are SAs of their own):
    /// they carry what there is until those of the successor do.
    fn outlives_its_session(&self) -> bool {
        let is_ikev1 = |which| self.connected(which).is_some_and(|one| one.phases.children == Phase::QuickMode);
        is_ikev1(Which::Current) && is_ikev1(Which::Successor)
    }

    pub(super) fn handle_event(&mut self, now: Instant, which: Which, event: Event) {
        let is_ready = self.connected(which).is_some_and(|connected| connected.ready);
        let progress = match event {
            Event::SuiteAgreed { phase, suite, local_nat, remote_nat } => {
                Progress::SuiteAgreed { phase, suite, local_nat, remote_nat }
            }
            Event::Authenticated { phase, identity } => Progress::Authenticated { phase, identity },
            Event::UserAccepted { user } => Progress::UserAccepted { user },
            // The proof of its group is no replacement before the end of anything.
            Event::ChildRekeyed { .. } if !is_ready => return,
            Event::ChildRekeyed { by, .. } => Progress::ChildRekeyed { by },
            Event::PfsVerified { group } => Progress::PfsVerified { group },
            Event::IkeRenewed => Progress::IkeRenewed,
            Event::Repeating { exchange, repetition } => Progress::Repeating { exchange, repetition },
            Event::Dropped(reason) => Progress::Dropped(reason),
            Event::Notice(text) => Progress::Notice(text),
            Event::PathProbed { octets, outcome } => return self.handle_path_probed(now, which, octets, outcome),
            Event::ChildUp(child) => return self.handle_child(which, *child),
            Event::ChildGone { child } => return self.handle_child_gone(which, child),
            Event::Ready => return self.handle_ready(now, which),
            Event::Expiring => return self.handle_expiring(now, which),
            Event::Roamed { path } => return self.handle_roamed(which, path),
            Event::SilentBeside { other } => return self.make_way(which, other),
            Event::Ended(failure) => return self.handle_end(now, which, failure),
        };
        self.tell(which, progress);
    }

    /// What the current line has to tell is told. How a successor comes up concerns nobody until it succeeds or fails.
    pub(super) fn tell(&mut self, which: Which, progress: Progress) {
        let is_for_all = matches!(progress, Progress::Dropped(_) | Progress::Notice(_));
        if which == Which::Current || is_for_all {
            self.progress(progress);
        }
    }

    fn handle_child(&mut self, which: Which, child: ChildUp) {
        let Some(connected) = self.connected_mut(which) else { return };
        let (phases, ready) = (connected.phases, connected.ready);
        let is_first = connected.children.is_empty() && !ready;
        connected.children.retain(|other| other.child != child.child);
        connected.children.push(child.clone());
        if is_first && phases.addresses != phases.children {
            self.addresses(which, &child.configuration);
        }
        if which == Which::Current {
            self.earlier.remember(&child.configuration.addresses);
        }
        self.tell(which, Progress::ChildUp { phase: phases.children, suite: child.suite, remote: child.remote });
        if ready {
            self.configure(which);
        }
    }

    fn handle_child_gone(&mut self, which: Which, gone: ChildId) {
        let Some(connected) = self.connected_mut(which) else { return };
        let Some(place) = connected.children.iter().position(|child| child.child == gone) else { return };
        let remote = connected.children.remove(place).remote;
        let ready = connected.ready;
        self.tell(which, Progress::ChildGone { remote });
        if ready {
            self.configure(which);
        }
    }

    fn handle_ready(&mut self, now: Instant, which: Which) {
        let Some(connected) = self.connected_mut(which) else { return };
        // The last message of a quick mode has no answer, and a gateway that did not get it lives all the same: a child is known to be there when
        // something comes in it.
        let is_certain = connected.phases.children != Phase::QuickMode || connected.has_proof();
        // Of a gateway that lost the old children nothing can come in any.
        let is_awaited = !is_certain && !self.succeeds_silence();
        let Some(connected) = self.connected_mut(which) else { return };
        if which == Which::Successor && is_awaited && !connected.ready {
            let belief = Belief { since: now, at: now.after(PROOF_WAIT), is_doubtful: false };
            connected.believed.get_or_insert(belief);
            return;
        }
        self.set_up(which);
    }

    /// Something came in a child. What still comes in an old one says that the gateway has no other.
    pub(super) fn heard(&mut self, which: Which, child: ChildId) {
        let Some(connected) = self.connected_mut(Which::Successor) else { return };
        if which == Which::Successor {
            connected.hear(child);
        }
        let has_proof = connected.has_proof();
        match &mut connected.believed {
            Some(_) if has_proof => self.set_up(Which::Successor),
            Some(belief) if which == Which::Current => belief.is_doubtful = true,
            Some(_) | None => {}
        }
    }

    /// Some gateways use an old child as long as they can: there is an end to all doubt.
    pub(super) fn believe(&mut self, now: Instant, which: Which) {
        let Some(connected) = self.connected_mut(which) else { return };
        let Some(belief) = connected.believed.as_mut().filter(|belief| belief.at <= now) else { return };
        if std::mem::take(&mut belief.is_doubtful) && now.since(belief.since) < LONGEST_DOUBT {
            belief.at = now.after(PROOF_WAIT);
        } else {
            self.set_up(which);
        }
    }

    /// The host is to fit the children of a session that is ready. Every child of a session has the same inner addresses.
    pub(super) fn set_up(&mut self, which: Which) {
        let Some(connected) = self.connected_mut(which) else { return };
        connected.ready = true;
        connected.believed = None;
        let phases = connected.phases;
        let Some(child) = connected.children.first() else { return };
        let configuration = child.configuration.clone();
        if phases.addresses == phases.children {
            self.addresses(which, &configuration);
        }
        // Packets of the addresses that come have their SA before the addresses are there; those of the old ones keep theirs.
        self.release(which);
        self.configure(which);
    }

    /// What was held back is sent with from now on.
    pub(super) fn release(&mut self, which: Which) {
        let Some(connected) = self.connected_mut(which) else { return };
        let held = std::mem::take(&mut connected.held);
        self.actions.extend(held.into_iter().map(TunnelAction::Data));
    }

    /// In the order in which they come: with a phase of its own before the children, otherwise in passing and after them.
    pub(super) fn addresses(&mut self, which: Which, configuration: &Configuration) {
        let Some(phases) = self.connected(which).map(|connected| connected.phases) else { return };
        self.tell(
            which,
            Progress::Addresses {
                phase: phases.addresses,
                addresses: configuration.addresses.clone(),
                dns: configuration.dns.clone(),
            },
        );
    }

    /// Has the host fit the children that stand. Without any it stays as it is: the session makes new ones, or ends. While the host is set up for
    /// a successor, the current session has no say in it any more.
    pub(super) fn configure(&mut self, which: Which) {
        let is_succeeded = self.connected(Which::Successor).is_some_and(|successor| successor.ready);
        let Some(connected) = self.connected(which) else { return };
        if connected.children.is_empty() || (which == Which::Current && is_succeeded) {
            return;
        }
        let (name, children) = (connected.name, connected.children.clone());
        self.configuring.push_back(name);
        self.actions.push_back(TunnelAction::Configure(children));
    }

    /// The host fits the current session.
    pub(super) fn configured(&mut self, now: Instant, routes: Progress) {
        let Some(connected) = self.current.connected_mut() else { return };
        let is_new = connected.up_since.is_none();
        connected.up_since.get_or_insert(now);
        let expiring = connected.expiring;
        self.progress(routes);
        if is_new {
            self.current.backoff.reset();
            self.progress(Progress::Up);
            self.plan_return(now);
            self.look_at_link();
            if expiring {
                self.handle_expiring(now, Which::Current);
            }
        }
    }

    pub(super) fn handle_end(&mut self, now: Instant, which: Which, failure: Failure) {
        match which {
            Which::Successor => self.successor_ended(now, failure),
            Which::Current => self.current_ended(now, failure),
        }
    }

    fn current_ended(&mut self, now: Instant, failure: Failure) {
        let Some(connected) = self.current.take_connected() else { return };
        let Connected { remote, up_since, identity, .. } = *connected;
        self.return_at = None;
        if self.succeed_the_ended(now, remote, up_since, &failure) {
            return;
        }
        self.progress(Progress::Down { remote, failure: failure.clone(), was_up: up_since.is_some() });
        let Some(since) = up_since else {
            self.displacement.attempt_failed();
            return self.try_next(now, Which::Current, failure.is_refusal());
        };
        self.current.attempts = Attempts::new(self.settings.gateways.clone());
        let policy = self.settings.reconnect;
        let (wait, is_for_the_network) = match self.displacement.ended(now, since, &failure, &policy, &mut *self.random)
        {
            Some(wait) => {
                self.progress(Progress::Displaced { remote, identity });
                (wait, false)
            }
            None if matches!(failure, Failure::ChildrenDeleted { .. }) => {
                (jittered(policy.refused, &mut *self.random), false)
            }
            // What worked a moment ago is tried again soon, but not by all replicas in the same instant.
            None => (jittered(policy.first, &mut *self.random), true),
        };
        self.wait(now, Which::Current, wait, is_for_the_network);
    }
}
