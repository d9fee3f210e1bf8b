//! One configured gateway: which address to try, how long to wait, which inner addresses came, what to tell a person when it fails.
//! It does not know how a name is resolved, a socket opened, a route set or a file read: it asks.

pub mod diagnosis;
pub mod progress;
pub mod reconnect;
pub mod settings;

mod attempts;
mod displacement;
mod network;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::random::Random;
use crate::ike::action::{Action, ChildUp, Command, Configuration, Event, Failure, SessionStatus, Transmit};
use crate::ike::identity::Identity;
use crate::ike::profile::Phases;
use crate::ike::session::Session;
use crate::sa::command::{ChildId, DataCommand, DataReport};
use crate::sa::path::Path;
use crate::time::Instant;
use crate::tunnel::attempts::{Attempts, Next};
use crate::tunnel::displacement::Displacement;
use crate::tunnel::progress::Progress;
use crate::tunnel::reconnect::{Backoff, jittered};
use crate::tunnel::settings::{EarlierAddresses, Host, TunnelSettings};

/// One thing to do. Actions are carried out in order; `Data` is acknowledged before the next one.
#[derive(Debug)]
pub enum TunnelAction {
    /// Look the name up and answer with `handle_resolved`.
    Resolve {
        /// The gateway's name.
        name: String,
    },
    /// Open a fresh socket that can reach this address and answer with `handle_bound`.
    Bind {
        /// The gateway's address.
        remote: IpAddr,
        /// Its port of the first message.
        port: u16,
    },
    /// Say from which local address this one is reached now, with `handle_path`.
    LookForPath {
        /// The gateway's address.
        remote: IpAddr,
    },
    /// Send an IKE message.
    Transmit(Transmit),
    /// Tell the packet path.
    Data(DataCommand),
    /// Set addresses and routes for these children, at least one, and answer with `handle_configured`. What was set before and none of them has goes.
    Configure(Vec<ChildUp>),
    /// Tell whoever watches.
    Progress(Progress),
    /// The tunnel is closed: undo everything and end.
    Closed {
        /// Whether the gateway confirmed.
        confirmed: bool,
    },
}

/// How a tunnel stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelStatus {
    /// State by name.
    pub state: &'static str,
    /// The session, while there is one.
    pub session: Option<SessionStatus>,
    /// Its children.
    pub children: Vec<ChildUp>,
}

/// One configured gateway and the session with it.
pub struct Tunnel {
    settings: Arc<TunnelSettings>,
    random: Box<dyn Random>,
    fork: fn(&mut dyn Random) -> Box<dyn Random>,
    state: State,
    attempts: Attempts,
    backoff: Backoff,
    displacement: Displacement,
    earlier: EarlierAddresses,
    /// The session from an address that we do not have any more, while it is still being closed.
    former: Option<Box<Session>>,
    actions: VecDeque<TunnelAction>,
}

enum State {
    Resolving(Host),
    Binding(Host, IpAddr),
    Connected(Box<Connected>),
    Waiting {
        until: Instant,
        since: Instant,
        /// The gateway did not refuse us: a network that changes is a reason to try sooner.
        is_for_the_network: bool,
    },
    Closed,
}

struct Connected {
    session: Session,
    remote: IpAddr,
    /// Our address and port of the first message.
    local: SocketAddr,
    identity: Identity,
    children: Vec<ChildUp>,
    /// The session has made all children that it could: changes of them are changes of the host from now on.
    ready: bool,
    started: Instant,
    /// IKE messages that left.
    sent: u32,
    /// Something came that a session can be built on.
    is_answered: bool,
    /// An address that has not answered at all by then makes room for the others.
    answer_by: Option<Instant>,
    /// There was no way to the gateway when it was last looked for.
    is_cut_off: bool,
    /// When a change of the network last led to a question.
    probed: Option<Instant>,
    /// Since when addresses and routes are set.
    up_since: Option<Instant>,
    closing: bool,
}

/// The first answer of one address among several is waited for this long: five messages on a link that loses every third each way get one of
/// them through, and back, with 97 of 100.
const ANSWER_WAIT: Duration = Duration::from_secs(8);

impl Tunnel {
    /// A tunnel that starts with the first gateway at once. `fork` makes a generator for a session out of the tunnel's.
    pub fn new(
        settings: Arc<TunnelSettings>,
        random: Box<dyn Random>,
        fork: fn(&mut dyn Random) -> Box<dyn Random>,
        now: Instant,
    ) -> Self {
        let attempts = Attempts::new(settings.gateways.clone());
        let backoff = Backoff::new(settings.reconnect);
        let mut tunnel = Self {
            settings,
            random,
            fork,
            state: State::Closed,
            attempts,
            backoff,
            displacement: Displacement::default(),
            earlier: EarlierAddresses::default(),
            former: None,
            actions: VecDeque::new(),
        };
        tunnel.try_next(now, false);
        tunnel
    }

    /// The resolver's answer.
    pub fn handle_resolved(&mut self, now: Instant, answer: Result<Vec<IpAddr>, String>) {
        let State::Resolving(host) = &self.state else { return };
        let gateway = host.to_string();
        match answer {
            Ok(addresses) if !addresses.is_empty() => {
                self.progress(Progress::Resolved { gateway, addresses: addresses.clone() });
                self.attempts.resolved(addresses);
            }
            Ok(_) => self.progress(Progress::NotResolved { gateway, reason: "the name has no address".into() }),
            Err(reason) => self.progress(Progress::NotResolved { gateway, reason }),
        }
        self.try_next(now, false);
    }

    /// The socket's own address, or why there is none.
    pub fn handle_bound(&mut self, now: Instant, answer: Result<SocketAddr, String>) {
        let State::Binding(host, remote) = &self.state else { return };
        let (host, remote) = (host.clone(), *remote);
        match answer {
            Ok(local) => self.connect(now, &host, self.settings.first_path(local, remote)),
            Err(reason) => {
                self.progress(Progress::NoPath { remote, reason });
                self.try_next(now, false);
            }
        }
    }

    /// An IKE message, without marker.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, message: &[u8]) {
        if self.is_for_former(message) {
            return self.with_former(|session| session.handle_datagram(now, path, message));
        }
        self.with_session(now, |session| session.handle_datagram(now, path, message));
    }

    /// News from the packet path.
    pub fn handle_report(&mut self, now: Instant, report: DataReport) {
        self.with_session(now, |session| session.handle_report(now, report));
    }

    /// Addresses and routes are set, or why not.
    pub fn handle_configured(&mut self, now: Instant, answer: Result<Progress, String>) {
        let State::Connected(connected) = &mut self.state else { return };
        if connected.closing {
            return;
        }
        match answer {
            Ok(routes) => {
                let is_new = connected.up_since.is_none();
                connected.up_since.get_or_insert(now);
                self.progress(routes);
                if is_new {
                    self.backoff.reset();
                    self.progress(Progress::Up);
                }
            }
            Err(reason) => {
                self.progress(Progress::HostFailed { reason });
                self.with_session(now, |session| session.handle_command(now, Command::Close));
            }
        }
    }

    /// Closes: DELETE for a live session, then `Closed`.
    pub fn close(&mut self, now: Instant) {
        if let State::Connected(connected) = &mut self.state {
            connected.closing = true;
            self.with_session(now, |session| session.handle_command(now, Command::Close));
        } else if !matches!(self.state, State::Closed) {
            self.state = State::Closed;
            let confirmed = self.former.take().is_none();
            self.actions.push_back(TunnelAction::Closed { confirmed });
        }
    }

    /// To be called when `poll_timeout` has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.with_former(|session| session.handle_timeout(now));
        match &self.state {
            State::Waiting { until, .. } if *until <= now => self.try_next(now, false),
            State::Connected(connected) if connected.is_unanswered_at(now) => {
                let (sent, waited) = (connected.sent, now.since(connected.started));
                let failure = Failure::NoAnswer { phase: self.phases().first, sent, waited, hints: Vec::new() };
                self.handle_end(now, failure);
            }
            State::Connected(_) => self.with_session(now, |session| session.handle_timeout(now)),
            State::Waiting { .. } | State::Resolving(_) | State::Binding(..) | State::Closed => {}
        }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<TunnelAction> {
        self.actions.pop_front()
    }

    /// When `handle_timeout` wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let at = |session: &Session| session.poll_timeout().map(|deadline| deadline.at);
        let former = self.former.as_deref().and_then(at);
        let state = match &self.state {
            State::Waiting { until, .. } => Some(*until),
            State::Connected(connected) => [at(&connected.session), connected.answer_by()].into_iter().flatten().min(),
            State::Resolving(_) | State::Binding(..) => None,
            State::Closed => return None,
        };
        [former, state].into_iter().flatten().min()
    }

    /// How it stands.
    pub fn status(&self) -> TunnelStatus {
        let (state, connected) = match &self.state {
            State::Resolving(_) => ("resolving", None),
            State::Binding(..) => ("binding", None),
            State::Connected(connected) if connected.up_since.is_some() => ("up", Some(connected)),
            State::Connected(connected) => ("connecting", Some(connected)),
            State::Waiting { .. } => ("waiting", None),
            State::Closed => ("closed", None),
        };
        TunnelStatus {
            state,
            session: connected.map(|connected| connected.session.status()),
            children: connected.map(|connected| connected.children.clone()).unwrap_or_default(),
        }
    }

    fn progress(&mut self, progress: Progress) {
        self.actions.push_back(TunnelAction::Progress(progress));
    }

    fn try_next(&mut self, now: Instant, refused: bool) {
        self.state = match self.attempts.next() {
            Next::Resolve(name) => {
                self.actions.push_back(TunnelAction::Resolve { name: name.clone() });
                State::Resolving(Host::Name(name))
            }
            Next::Connect { host, remote } => {
                if matches!(host, Host::Address(_)) {
                    self.progress(Progress::Resolved { gateway: host.to_string(), addresses: vec![remote] });
                }
                self.actions.push_back(TunnelAction::Bind { remote, port: self.settings.first_port });
                State::Binding(host, remote)
            }
            Next::Exhausted => {
                let wait = self.backoff.next(refused, &mut *self.random);
                self.wait(now, wait, !refused)
            }
        };
    }

    fn wait(&mut self, now: Instant, wait: Duration, is_for_the_network: bool) -> State {
        self.progress(Progress::Waiting { wait });
        State::Waiting { until: now.after(wait), since: now, is_for_the_network }
    }

    fn connect(&mut self, now: Instant, host: &Host, path: Path) {
        self.progress(Progress::Connecting { phase: self.phases().first, remote: path.remote });
        let profile = self.settings.profile(host, path, self.earlier, &self.displacement);
        let identity = profile.local_identity.clone();
        let session = Session::initiate(profile, path, (self.fork)(&mut *self.random), now);
        let remote = path.remote.ip();
        self.state = State::Connected(Box::new(Connected {
            session,
            remote,
            local: path.local,
            identity,
            children: Vec::new(),
            ready: false,
            started: now,
            sent: 0,
            is_answered: false,
            answer_by: self.attempts.has_others().then(|| now.after(ANSWER_WAIT)),
            is_cut_off: false,
            probed: None,
            up_since: None,
            closing: false,
        }));
        self.with_session(now, |_| {});
    }

    /// Lets the session do something, then takes over all it wants done.
    fn with_session(&mut self, now: Instant, act: impl FnOnce(&mut Session)) {
        let State::Connected(connected) = &mut self.state else { return };
        act(&mut connected.session);
        connected.is_answered |= connected.session.status().spis.1.is_some();
        while let State::Connected(connected) = &mut self.state {
            let Some(action) = connected.session.poll_action() else { return };
            match action {
                Action::Transmit(transmit) => {
                    connected.sent = connected.sent.saturating_add(1);
                    self.actions.push_back(TunnelAction::Transmit(transmit));
                }
                Action::Data(command) => self.actions.push_back(TunnelAction::Data(command)),
                Action::Event(event) => self.handle_event(now, event),
            }
        }
    }

    fn handle_event(&mut self, now: Instant, event: Event) {
        let progress = match event {
            Event::SuiteAgreed { phase, suite, local_nat, remote_nat } => {
                Progress::SuiteAgreed { phase, suite, local_nat, remote_nat }
            }
            Event::Authenticated { phase, identity } => Progress::Authenticated { phase, identity },
            Event::UserAccepted { user } => Progress::UserAccepted { user },
            // The proof of its group is no replacement before the end of anything.
            Event::ChildRekeyed { .. } if !self.is_ready() => return,
            Event::ChildRekeyed { by, .. } => Progress::ChildRekeyed { by },
            Event::PfsVerified { group } => Progress::PfsVerified { group },
            Event::IkeRenewed => Progress::IkeRenewed,
            Event::Repeating { exchange, repetition } => Progress::Repeating { exchange, repetition },
            Event::Dropped(reason) => Progress::Dropped(reason),
            Event::Notice(text) => Progress::Notice(text),
            Event::ChildUp(child) => return self.handle_child(*child),
            Event::ChildGone { child } => return self.handle_child_gone(child),
            Event::Ready => return self.handle_ready(),
            Event::Ended(failure) => return self.handle_end(now, failure),
        };
        self.progress(progress);
    }

    fn handle_child(&mut self, child: ChildUp) {
        let phases = self.phases();
        let State::Connected(connected) = &mut self.state else { return };
        let is_first = connected.children.is_empty() && !connected.ready;
        if is_first && phases.addresses != phases.children {
            self.addresses(&child.configuration);
        }
        let State::Connected(connected) = &mut self.state else { return };
        connected.children.retain(|other| other.child != child.child);
        connected.children.push(child.clone());
        let ready = connected.ready;
        self.earlier.remember(&child.configuration.addresses);
        self.progress(Progress::ChildUp { phase: phases.children, suite: child.suite, remote: child.remote.clone() });
        if ready {
            self.configure();
        }
    }

    fn handle_child_gone(&mut self, gone: ChildId) {
        let State::Connected(connected) = &mut self.state else { return };
        let Some(place) = connected.children.iter().position(|child| child.child == gone) else { return };
        let remote = connected.children.remove(place).remote;
        let ready = connected.ready;
        self.progress(Progress::ChildGone { remote });
        if ready {
            self.configure();
        }
    }

    fn is_ready(&self) -> bool {
        matches!(&self.state, State::Connected(connected) if connected.ready)
    }

    /// Every child of a session has the same inner addresses.
    fn handle_ready(&mut self) {
        let State::Connected(connected) = &mut self.state else { return };
        connected.ready = true;
        let Some(child) = connected.children.first() else { return };
        let configuration = child.configuration.clone();
        let phases = self.phases();
        if phases.addresses == phases.children {
            self.addresses(&configuration);
        }
        self.configure();
    }

    /// In the order in which they come: with a phase of its own before the children, otherwise in passing and after them.
    fn addresses(&mut self, configuration: &Configuration) {
        self.progress(Progress::Addresses {
            phase: self.phases().addresses,
            addresses: configuration.addresses.clone(),
            dns: configuration.dns.clone(),
        });
    }

    /// Has the host fit the children that stand. Without any it stays as it is: the session makes new ones, or ends.
    fn configure(&mut self) {
        let State::Connected(connected) = &self.state else { return };
        if !connected.children.is_empty() {
            self.actions.push_back(TunnelAction::Configure(connected.children.clone()));
        }
    }

    fn phases(&self) -> Phases {
        self.settings.profile.protocol.phases()
    }

    fn handle_end(&mut self, now: Instant, failure: Failure) {
        let State::Connected(connected) = &self.state else { return };
        let (remote, up_since, closing) = (connected.remote, connected.up_since, connected.closing);
        let identity = connected.identity.clone();
        if closing {
            let confirmed = matches!(failure, Failure::ClosedByUs { confirmed: true });
            self.state = State::Closed;
            self.actions.push_back(TunnelAction::Closed { confirmed });
            return;
        }
        self.progress(Progress::Down { remote, failure: failure.clone(), was_up: up_since.is_some() });
        let Some(since) = up_since else {
            self.displacement.attempt_failed();
            return self.try_next(now, failure.is_refusal());
        };
        self.attempts.start_over();
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
        self.state = self.wait(now, wait, is_for_the_network);
    }
}

impl Connected {
    /// Until when an answer is waited for, if none has come.
    fn answer_by(&self) -> Option<Instant> {
        self.answer_by.filter(|_| !self.closing && !self.is_answered)
    }

    fn is_unanswered_at(&self, now: Instant) -> bool {
        self.answer_by().is_some_and(|at| at <= now)
    }
}
