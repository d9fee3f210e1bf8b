//! One configured gateway: which address to try, how long to wait, which inner addresses came, what to tell a person when it fails.
//! It does not know how a name is resolved, a socket opened, a route set or a file read: it asks.

pub mod diagnosis;
pub mod handover;
pub mod progress;
pub mod reconnect;
pub mod settings;

mod attempts;
mod displacement;
mod events;
mod former;
mod line;
mod network;
mod path;
mod path_mtu;
mod succession;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::random::Random;
use crate::ike::action::{ChildUp, SessionStatus, Transmit};
use crate::ike::session::Session;
use crate::sa::command::{DataCommand, DataReport};
use crate::sa::path::Path;
use crate::time::Instant;
use crate::tunnel::attempts::{Attempts, Next};
use crate::tunnel::displacement::Displacement;
use crate::tunnel::former::Formers;
use crate::tunnel::line::{Connected, Line, Name, State, Which};
use crate::tunnel::path::Following;
use crate::tunnel::progress::Progress;
use crate::tunnel::reconnect::Backoff;
use crate::tunnel::settings::{EarlierAddresses, Host, TunnelSettings};
use crate::tunnel::succession::Successor;

pub use crate::tunnel::succession::{Change, Reason};

/// One thing to do. Actions are carried out in order; `Data` is acknowledged before the next one.
#[derive(Debug)]
pub enum TunnelAction {
    /// Look the name up and answer with `handle_resolved`.
    Resolve {
        /// The gateway's name.
        name: String,
    },
    /// Make sure that this address can be reached and heard, and answer with `handle_bound`.
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
    /// Say what the link towards this address carries, with `handle_link`.
    LookAtLink {
        /// The gateway's address.
        remote: IpAddr,
    },
    /// Send datagrams of at most so many octets, IP header included: the path carries no longer ones.
    FollowPath {
        /// The gateway's address.
        remote: IpAddr,
        /// Octets.
        octets: u16,
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

/// One configured gateway, or several, and the session with one of them. Beside that there may be one that is to succeed it, and those that it
/// succeeded and that are being closed.
pub struct Tunnel {
    settings: Arc<TunnelSettings>,
    random: Box<dyn Random>,
    fork: fn(&mut dyn Random) -> Box<dyn Random>,
    current: Line,
    /// Never without a session that is current.
    successor: Option<Successor>,
    formers: Formers,
    /// Of the next session.
    next_name: Name,
    /// Whose children the host is being set up for, in the order in which it was asked.
    configuring: VecDeque<Name>,
    /// When the gateways before the current one are tried again.
    return_at: Option<Instant>,
    displacement: Displacement,
    earlier: EarlierAddresses,
    following: Following,
    actions: VecDeque<TunnelAction>,
}

/// The first answer of one address among several is waited for this long: five messages on a link that loses every third packet each way get one of
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
        let mut tunnel = Self::idle(settings, random, fork);
        tunnel.try_next(now, Which::Current, false);
        tunnel
    }

    fn idle(
        settings: Arc<TunnelSettings>,
        random: Box<dyn Random>,
        fork: fn(&mut dyn Random) -> Box<dyn Random>,
    ) -> Self {
        let current = Line {
            state: State::Closed,
            attempts: Attempts::new(settings.gateways.clone()),
            backoff: Backoff::new(settings.reconnect),
        };
        Self {
            settings,
            random,
            fork,
            current,
            successor: None,
            formers: Formers::default(),
            next_name: Name::FIRST,
            configuring: VecDeque::new(),
            return_at: None,
            displacement: Displacement::default(),
            earlier: EarlierAddresses::default(),
            following: Following::default(),
            actions: VecDeque::new(),
        }
    }

    /// What it was told to do.
    pub const fn settings(&self) -> &Arc<TunnelSettings> {
        &self.settings
    }

    /// The resolver's answer for this name. What was not asked last is not used.
    pub fn handle_resolved(&mut self, now: Instant, name: &str, answer: Result<Vec<IpAddr>, String>) {
        let is_it = |line: &Line| matches!(&line.state, State::Resolving(Host::Name(asked)) if asked == name);
        let Some(which) = self.find_line(is_it) else { return };
        let gateway = name.to_owned();
        match answer {
            Ok(addresses) if !addresses.is_empty() => {
                if let Some(line) = self.line_mut(which) {
                    line.attempts.resolved(addresses.clone());
                }
                self.tell(which, Progress::Resolved { gateway, addresses });
            }
            Ok(_) => self.trouble(which, Progress::NotResolved { gateway, reason: "the name has no address".into() }),
            Err(reason) => self.trouble(which, Progress::NotResolved { gateway, reason }),
        }
        self.try_next(now, which, false);
    }

    /// The address of the socket that reaches this gateway, or why there is none.
    pub fn handle_bound(&mut self, now: Instant, remote: IpAddr, answer: Result<SocketAddr, String>) {
        let is_it = |line: &Line| matches!(&line.state, State::Binding(_, asked) if *asked == remote);
        let Some(which) = self.find_line(is_it) else { return self.handle_way(now, remote, answer) };
        match answer {
            Ok(local) => self.connect(now, which, local),
            Err(reason) => {
                self.trouble(which, Progress::NoPath { remote, reason });
                self.try_next(now, which, false);
            }
        }
    }

    /// An IKE message, without marker.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, message: &[u8]) {
        if let Some(name) = self.formers.owner(message) {
            return self.with_former(now, name, |session| session.handle_datagram(now, path, message));
        }
        let successor = self.successor.as_ref().and_then(|successor| successor.line.connected());
        let which = match successor.is_some_and(|connected| connected.session.owns(message)) {
            true => Which::Successor,
            false => Which::Current,
        };
        self.with_session(now, which, |session| session.handle_datagram(now, path, message));
    }

    /// News from the packet path.
    pub fn handle_report(&mut self, now: Instant, report: DataReport) {
        self.note_report(now, &report);
        match report.child() {
            Some(child) => {
                if let Some(which) = self.find_session(|name| name.has(child)) {
                    let is_heard = matches!(report, DataReport::InboundSeen { .. });
                    self.with_session(now, which, |session| session.handle_report(now, report));
                    if is_heard {
                        self.heard(which, child);
                    }
                } else if let Some(name) = self.formers.find(|name| name.has(child)) {
                    self.with_former(now, name, |session| session.handle_report(now, report));
                }
            }
            None => self.with_session(now, Which::Current, |session| session.handle_report(now, report)),
        }
    }

    /// Addresses and routes are set, or why not.
    pub fn handle_configured(&mut self, now: Instant, answer: Result<Progress, String>) {
        let Some(asker) = self.configuring.pop_front() else { return };
        match (self.find_session(|name| name == asker), answer) {
            (Some(Which::Current), Ok(routes)) => self.configured(now, routes),
            (Some(Which::Current), Err(reason)) => {
                self.progress(Progress::HostFailed { reason });
                self.with_session(now, Which::Current, |session| {
                    session.handle_command(now, crate::ike::action::Command::Close);
                });
            }
            (Some(Which::Successor), Ok(routes)) => self.take_over(now, routes),
            (Some(Which::Successor), Err(reason)) => self.cannot_take_over(now, reason),
            (None, _) => {}
        }
    }

    /// Closes: DELETE for all live sessions, then `Closed`.
    pub fn close(&mut self, now: Instant) {
        if matches!(self.current.state, State::Closing { .. } | State::Closed) {
            return;
        }
        let successor = self.successor.take().and_then(|mut successor| successor.line.take_connected());
        let current = self.current.take_connected();
        let confirmed = self.formers.is_empty();
        let had_sessions = current.is_some() || successor.is_some();
        self.current.state = State::Closing { confirmed: confirmed || had_sessions };
        self.return_at = None;
        // All before the first is closed: the tunnel is closed when the last one is.
        for connected in [successor, current].into_iter().flatten() {
            self.put_aside(*connected, now);
        }
        self.close_formers(now);
        self.conclude_closing();
    }

    /// To be called when `poll_timeout` has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.formers_timeout(now);
        self.line_timeout(now, Which::Successor);
        self.line_timeout(now, Which::Current);
        self.return_timeout(now);
        self.path_timeout(now);
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<TunnelAction> {
        self.actions.pop_front()
    }

    /// When `handle_timeout` wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if matches!(self.current.state, State::Closed) {
            return None;
        }
        let successor = self.successor.as_ref().and_then(|successor| successor.line.poll_timeout());
        let path = self.following.poll_timeout(&self.current);
        let own = [self.current.poll_timeout(), successor, self.formers.poll_timeout(), self.return_at, path];
        own.into_iter().flatten().min()
    }

    /// How it stands.
    pub fn status(&self) -> TunnelStatus {
        let (state, connected) = match &self.current.state {
            State::Resolving(_) => ("resolving", None),
            State::Binding(..) => ("binding", None),
            State::Connected(connected) if connected.up_since.is_some() => ("up", Some(connected)),
            State::Connected(connected) => ("connecting", Some(connected)),
            State::Waiting { .. } => ("waiting", None),
            State::Closing { .. } => ("closing", None),
            State::Closed => ("closed", None),
        };
        TunnelStatus {
            state,
            session: connected.map(|connected| connected.status()),
            children: connected.map(|connected| connected.children.clone()).unwrap_or_default(),
        }
    }

    /// The gateways that are spoken to, each with our port towards it: what comes from anywhere else is for nobody.
    pub fn outside(&self) -> Vec<(IpAddr, u16)> {
        let successor = self.successor.as_ref().and_then(|successor| successor.line.connected());
        let lines = [self.current.connected(), successor].into_iter().flatten();
        lines.map(|connected| (connected.remote, connected.local.port())).chain(self.formers.outside()).collect()
    }

    fn progress(&mut self, progress: Progress) {
        self.actions.push_back(TunnelAction::Progress(progress));
    }

    fn line(&self, which: Which) -> Option<&Line> {
        match which {
            Which::Current => Some(&self.current),
            Which::Successor => self.successor.as_ref().map(|successor| &successor.line),
        }
    }

    fn line_mut(&mut self, which: Which) -> Option<&mut Line> {
        match which {
            Which::Current => Some(&mut self.current),
            Which::Successor => self.successor.as_mut().map(|successor| &mut successor.line),
        }
    }

    fn find_line(&self, is_it: impl Fn(&Line) -> bool) -> Option<Which> {
        [Which::Successor, Which::Current].into_iter().find(|which| self.line(*which).is_some_and(&is_it))
    }

    fn find_session(&self, is_it: impl Fn(Name) -> bool) -> Option<Which> {
        self.find_line(|line| line.connected().is_some_and(|connected| is_it(connected.name)))
    }

    fn connected(&self, which: Which) -> Option<&Connected> {
        self.line(which)?.connected()
    }

    fn connected_mut(&mut self, which: Which) -> Option<&mut Connected> {
        self.line_mut(which)?.connected_mut()
    }

    fn try_next(&mut self, now: Instant, which: Which, refused: bool) {
        let port = self.settings.first_port;
        let Some(line) = self.line_mut(which) else { return };
        match line.attempts.next() {
            Next::Resolve(name) => {
                line.state = State::Resolving(Host::Name(name.clone()));
                self.actions.push_back(TunnelAction::Resolve { name });
            }
            Next::Connect { host, remote } => {
                let gateway = host.to_string();
                let is_address = matches!(host, Host::Address(_));
                line.state = State::Binding(host, remote);
                if is_address {
                    self.tell(which, Progress::Resolved { gateway, addresses: vec![remote] });
                }
                self.actions.push_back(TunnelAction::Bind { remote, port });
            }
            Next::Exhausted => self.round_is_over(now, which, refused),
        }
    }

    /// Every address of every gateway was tried.
    fn round_is_over(&mut self, now: Instant, which: Which, refused: bool) {
        if which == Which::Successor && self.successor_gives_up(now) {
            return;
        }
        let Self { current, successor, random, .. } = self;
        let line = match which {
            Which::Current => current,
            Which::Successor => match successor {
                Some(successor) => &mut successor.line,
                None => return,
            },
        };
        let wait = line.backoff.next(refused, &mut **random);
        self.wait(now, which, wait, !refused);
    }

    fn wait(&mut self, now: Instant, which: Which, wait: Duration, is_for_the_network: bool) {
        self.tell(which, Progress::Waiting { wait });
        if let Some(line) = self.line_mut(which) {
            line.state = State::Waiting { until: now.after(wait), since: now, is_for_the_network };
        }
    }

    fn connect(&mut self, now: Instant, which: Which, local: SocketAddr) {
        let phases = self.settings.profile.protocol.phases();
        let name = self.next_name;
        let Some(State::Binding(host, remote)) = self.line(which).map(|line| &line.state) else { return };
        let path = self.settings.first_path(local, *remote);
        let mut profile = self.settings.profile(host, path, self.earlier, &self.displacement);
        profile.child.first_id = name.first_child();
        // RFC 7296 §2.4: it would end the session that carries the traffic.
        profile.initial_contact &= which == Which::Current;
        let identity = profile.local_identity.clone();
        let session = Session::initiate(Arc::new(profile), path, (self.fork)(&mut *self.random), now);
        self.next_name = name.next();
        self.tell(which, Progress::Connecting { phase: phases.first, remote: path.remote });
        let Some(line) = self.line_mut(which) else { return };
        let makes_room = which == Which::Successor || line.attempts.may_have_others();
        line.state = State::Connected(Box::new(Connected {
            name,
            session,
            rank: line.attempts.rank(),
            remote: path.remote.ip(),
            local: path.local,
            identity,
            phases,
            children: Vec::new(),
            held: Vec::new(),
            heard: Vec::new(),
            believed: None,
            ready: false,
            started: now,
            sent: 0,
            is_answered: false,
            answer_by: makes_room.then(|| now.after(ANSWER_WAIT)),
            is_cut_off: false,
            moving_to: None,
            probed: None,
            up_since: None,
            expiring: false,
        }));
        self.with_session(now, which, |_| {});
    }

    fn line_timeout(&mut self, now: Instant, which: Which) {
        self.believe(now, which);
        match self.line(which).map(|line| &line.state) {
            Some(State::Waiting { until, .. }) if *until <= now => self.try_next(now, which, false),
            Some(State::Connected(connected)) => match connected.unanswered_at(now) {
                Some(failure) => self.handle_end(now, which, failure),
                None => self.with_session(now, which, |session| session.handle_timeout(now)),
            },
            _ => {}
        }
    }
}
