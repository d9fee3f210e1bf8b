//! A story for one IKE session and the simulator's gateway: messages lost, damaged, repeated, invented, and sent by a gateway that has the key
//! and means harm; time, reports and commands in between. What holds in every story of the simulator holds here.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use vpnd::{
    crypto::random::SeededRandom,
    ike::{
        action::{Action, Command, Event, SessionStatus},
        profile::Profile,
        session::Session,
    },
    sa::{
        command::{ChildId, DataCommand, DataReport, LifetimeMark},
        path::{Framing, Path},
        spi::InboundSpi,
    },
    sim::{
        Datagram, Peer,
        invariants::Invariants,
        scene::Suites,
        world::{CLIENT, GATEWAY},
    },
    time::Instant,
};

use crate::Story;

const MOST_STEPS: usize = 200;
const MOST_WAITING: usize = 200;
/// Calls of `handle_timeout` at one moment before time must go on.
const MOST_AT_ONCE: usize = 16;

/// What differs between the protocols.
pub trait Protocol {
    /// The simulator's gateway.
    type Gateway: Peer;

    /// What both sides agree on.
    fn suites(story: &mut Story<'_>) -> Suites;

    /// How the gateway is set up, and whether it must not be believed.
    fn gateway(suites: Suites, story: &mut Story<'_>) -> (<Self::Gateway as Peer>::Settings, bool);

    /// What the client is to negotiate.
    fn profile(suites: Suites, story: &mut Story<'_>) -> Profile;

    /// A message whose header fits the session, with any payloads.
    fn invent(status: &SessionStatus, story: &mut Story<'_>) -> Vec<u8>;

    /// The gateway, which has the key, is to send something; or somebody without it.
    fn mean_harm(gateway: &mut Self::Gateway, story: &mut Story<'_>);

    /// The gateway starts anew without memory.
    fn forget(gateway: &mut Self::Gateway);
}

/// Tells the story that is in `data`.
pub fn tell<P: Protocol>(data: &[u8]) {
    let mut story = Story::new(data);
    let mut scene = Scene::<P>::new(&mut story);
    for _ in 0..MOST_STEPS {
        if !story.goes_on() {
            break;
        }
        scene.step(&mut story);
    }
    scene.finish();
}

struct Scene<P: Protocol> {
    now: Instant,
    session: Session,
    gateway: P::Gateway,
    unauthentic: bool,
    socket: SocketAddr,
    incoming: Vec<Datagram>,
    earlier: Vec<Datagram>,
    loses: bool,
    invariants: Invariants,
    progress: Progress,
}

#[derive(Default)]
struct Progress {
    authenticated: bool,
    inbound: Option<InboundSpi>,
    outbound: bool,
    up: bool,
    ended: bool,
}

impl<P: Protocol> Scene<P> {
    fn new(story: &mut Story<'_>) -> Self {
        let suites = P::suites(story);
        let (settings, unauthentic) = P::gateway(suites, story);
        let marked = story.octet() & 1 != 0;
        let (port, framing) = if marked { (4500, Framing::Marked) } else { (500, Framing::Bare) };
        let socket = SocketAddr::new(CLIENT, 40_000);
        let path = Path { local: socket, remote: SocketAddr::new(GATEWAY, port), framing };
        let now = Instant::START;
        let random = Box::new(SeededRandom::new(story.octet().into()));
        let session = Session::initiate(Arc::new(P::profile(suites, story)), path, random, now);
        let mut scene = Self {
            now,
            session,
            gateway: P::Gateway::new(settings, 7),
            unauthentic,
            socket,
            incoming: Vec::new(),
            earlier: Vec::new(),
            loses: false,
            invariants: Invariants::default(),
            progress: Progress::default(),
        };
        scene.settle();
        scene
    }

    fn step(&mut self, story: &mut Story<'_>) {
        match story.octet() % 14 {
            0 => {
                if let Some(datagram) = self.take() {
                    self.receive(datagram);
                }
            }
            1 => drop(self.take()),
            2 => {
                if let Some(mut datagram) = self.incoming.first().cloned() {
                    damage(&mut datagram.octets, story);
                    self.receive(datagram);
                }
            }
            3 => {
                let place = usize::from(story.octet());
                if let Some(datagram) = self.earlier.get(place % self.earlier.len().max(1)).cloned() {
                    self.receive(datagram);
                }
            }
            4 => {
                let path = self.some_path(story);
                self.hear(path, story.octets());
            }
            5 => {
                let path = self.some_path(story);
                let message = P::invent(&self.session.status(), story);
                self.hear(path, &message);
            }
            6 => self.wait(),
            7 => {
                self.now = self.now.after(Duration::from_millis(story.number().into()));
                self.tick();
            }
            8 => self.report(story),
            9 => {
                let roam = Command::Roam(self.session.status().path);
                let probe = Command::ProbePath { octets: 1500 };
                let command = story.choose(&[Command::ProbeLiveness, probe, Command::Close, roam]);
                self.session.handle_command(self.now, command);
                self.settle();
            }
            10 => self.mean_harm(story),
            11 => self.loses = !self.loses,
            12 => P::forget(&mut self.gateway),
            _ => self.calm_down(),
        }
    }

    /// The network becomes perfect and nobody means harm: the session comes up or ends, and ends when it is told to, in bounded time.
    fn finish(&mut self) {
        self.loses = false;
        self.wait_until("up or ended", |progress| progress.up || progress.ended);
        self.session.handle_command(self.now, Command::Close);
        self.settle();
        self.wait_until("ended", |progress| progress.ended);
    }

    fn wait_until(&mut self, what: &str, is_reached: impl Fn(&Progress) -> bool) {
        for _ in 0..MOST_WAITING {
            self.calm_down();
            if is_reached(&self.progress) {
                return;
            }
            assert!(self.session.poll_timeout().is_some(), "not {what}, and nothing is waited for");
            self.wait();
        }
        panic!("not {what}: {:?}", self.session.status());
    }

    fn calm_down(&mut self) {
        for _ in 0..MOST_WAITING {
            let Some(datagram) = self.take() else { return };
            self.receive(datagram);
        }
    }

    /// Time goes on to whatever is next on either side.
    fn wait(&mut self) {
        let ours = self.session.poll_timeout().map(|deadline| deadline.at);
        let next = [ours, self.gateway.poll_timeout()].into_iter().flatten().min();
        let Some(next) = next else { return };
        self.now = self.now.max(next);
        self.tick();
    }

    fn tick(&mut self) {
        self.gateway.handle_timeout(self.now);
        self.session.handle_timeout(self.now);
        for _ in 0..MOST_AT_ONCE {
            if self.session.poll_timeout().is_none_or(|deadline| deadline.at > self.now) {
                break;
            }
            self.session.handle_timeout(self.now);
        }
        let deadline = self.session.poll_timeout();
        assert!(deadline.is_none_or(|deadline| deadline.at > self.now), "{deadline:?} is never done with");
        self.settle();
    }

    fn take(&mut self) -> Option<Datagram> {
        if self.incoming.is_empty() {
            return None;
        }
        let datagram = self.incoming.remove(0);
        if self.earlier.len() < 64 {
            self.earlier.push(datagram.clone());
        }
        Some(datagram)
    }

    fn receive(&mut self, datagram: Datagram) {
        if datagram.destination != self.socket {
            return;
        }
        let remote = datagram.source;
        if remote.port() == 500 {
            self.hear(Path { local: self.socket, remote, framing: Framing::Bare }, &datagram.octets);
        } else if let Some(message) = datagram.octets.strip_prefix(&[0; 4]) {
            self.hear(Path { local: self.socket, remote, framing: Framing::Marked }, message);
        }
    }

    fn hear(&mut self, path: Path, message: &[u8]) {
        let marker: &[u8] = if path.framing == Framing::Marked { &[0; 4] } else { &[] };
        let octets = [marker, message].concat();
        let datagram = Datagram { source: path.remote, destination: path.local, octets, whole: false };
        self.invariants.client_received(self.now, &datagram);
        self.session.handle_datagram(self.now, path, message);
        self.settle();
    }

    fn some_path(&self, story: &mut Story<'_>) -> Path {
        let (port, framing) = story.choose(&[(4500, Framing::Marked), (500, Framing::Bare)]);
        let address = story.choose(&[GATEWAY, GATEWAY, GATEWAY, CLIENT]);
        Path { local: self.socket, remote: SocketAddr::new(address, port), framing }
    }

    fn report(&mut self, story: &mut Story<'_>) {
        let child = ChildId(story.choose(&[0, 1, 2]));
        let report = match story.octet() % 7 {
            0 => DataReport::Lifetime { child, mark: LifetimeMark::Soft },
            1 => DataReport::Lifetime { child, mark: LifetimeMark::Hard },
            2 => match self.progress.inbound.or_else(|| InboundSpi::new(story.long_number())) {
                Some(spi) => DataReport::InboundSeen { child, spi },
                None => DataReport::NoChild,
            },
            3 => DataReport::OutboundSent { child },
            4 => DataReport::NoChild,
            5 => DataReport::UnknownSpi { spi: story.long_number() },
            _ => DataReport::PathMtu { octets: story.number() },
        };
        self.session.handle_report(self.now, report);
        self.settle();
    }

    /// Somebody sends what the protocol has to be ready for.
    fn mean_harm(&mut self, story: &mut Story<'_>) {
        P::mean_harm(&mut self.gateway, story);
        self.gateway.handle_timeout(self.now);
        self.settle();
    }

    /// Does what the session wants done, and fetches what the gateway says to it.
    fn settle(&mut self) {
        while let Some(action) = self.session.poll_action() {
            assert!(!self.progress.ended, "{action:?} after the end");
            match action {
                Action::Transmit(transmit) => self.transmit(transmit.path, &transmit.message),
                Action::Data(command) => self.carry_out(command),
                Action::Event(event) => self.note(&event),
            }
        }
        while let Some(datagram) = self.gateway.poll_datagram() {
            if self.incoming.len() < 64 {
                self.incoming.push(datagram);
            }
        }
    }

    fn transmit(&mut self, path: Path, message: &[u8]) {
        let marker: &[u8] = if path.framing == Framing::Marked { &[0; 4] } else { &[] };
        let octets = [marker, message].concat();
        let datagram = Datagram { source: path.local, destination: path.remote, octets, whole: false };
        self.invariants.client_sent(self.now, &datagram, self.gateway.authenticated(), self.progress.ended);
        if !self.loses {
            self.gateway.handle_datagram(self.now, &datagram);
        }
    }

    fn carry_out(&mut self, command: DataCommand) {
        match command {
            DataCommand::InstallInbound { sa, .. } => {
                assert!(self.progress.authenticated, "an SA before the gateway was authenticated");
                self.progress.inbound = Some(sa.spi);
            }
            DataCommand::SwitchOutbound { .. } => {
                assert!(self.progress.inbound.is_some(), "outbound before inbound");
                self.progress.outbound = true;
            }
            DataCommand::RemoveInbound { .. }
            | DataCommand::RemoveChild { .. }
            | DataCommand::RemoveOutbound { .. }
            | DataCommand::MovePeer { .. }
            | DataCommand::Keepalive { .. } => {}
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Authenticated { .. } => {
                assert!(!self.unauthentic, "a gateway without proof was believed");
                self.progress.authenticated = true;
            }
            Event::ChildUp(_) => {
                assert!(self.progress.outbound, "a child is up that cannot send");
                assert!(self.gateway.authenticated() > 0, "a gateway was believed that said nothing");
                self.progress.up = true;
            }
            Event::Ended(_) => self.progress.ended = true,
            Event::SuiteAgreed { .. }
            | Event::UserAccepted { .. }
            | Event::Ready
            | Event::ChildRekeyed { .. }
            | Event::PfsVerified { .. }
            | Event::ChildGone { .. }
            | Event::IkeRenewed
            | Event::Expiring
            | Event::Roamed { .. }
            | Event::SilentBeside { .. }
            | Event::Repeating { .. }
            | Event::Dropped(_)
            | Event::PathProbed { .. }
            | Event::Notice(_) => {}
        }
    }
}

fn damage(octets: &mut Vec<u8>, story: &mut Story<'_>) {
    let place = usize::from(story.number()) % octets.len().max(1);
    match story.octet() {
        0 => octets.truncate(place),
        1 => octets.extend_from_slice(story.octets()),
        flip => {
            if let Some(octet) = octets.get_mut(place) {
                *octet ^= flip;
            }
        }
    }
    // A wrong length is found first: mostly it is put right, so that the rest is looked at.
    let start = if octets.starts_with(&[0; 4]) { 4 } else { 0 };
    let length = u32::try_from(octets.len().saturating_sub(start)).unwrap_or(0);
    if story.octet() & 3 != 0
        && let Some(field) = octets.get_mut(start + 24..start + 28)
    {
        field.copy_from_slice(&length.to_be_bytes());
    }
}
