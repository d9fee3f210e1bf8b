//! A story from choices: a beginning, things that happen one after the other, and an end at which the network is good and nobody means harm.
//! The tunnel carries traffic again in bounded time, nothing is left over on either side, and what must always hold held all the time.

pub mod choices;
pub mod event;
pub mod ikev1;
pub mod ikev2;

use std::net::IpAddr;
use std::time::Duration;

use crate::ike::profile::Profile;
use crate::tunnel::progress::Progress;
use crate::tunnel::settings::{Host, TunnelSettings};

use super::link::Quality;
use super::world::{GATEWAY, Scene, World};
use super::{Deed, Peer, Standing};
use choices::Choices;
use event::Event;

const MINUTE: Duration = Duration::from_secs(60);

/// The name of the gateways, where they have one.
const NAME: &str = "vpn.example";

/// The second gateway.
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

/// From the end of all trouble, traffic passes again within this time: what waits is at most a gateway that displaced us, a long wait between attempts,
/// or a session whose end has to be noticed by its silence.
const RECOVERY: Duration = Duration::from_secs(12 * 60);

/// After this time of quiet, a gateway that asks for signs of life knows what is dead.
const QUIET: Duration = Duration::from_secs(10 * 60);

/// What the client's own link carries, in octets: it asks its gateway what lies behind.
const FIRST_LINK: u16 = 1500;

/// SAs at all gateways together, however the story goes.
const MOST_STANDING: usize = 64;

/// An event leaves at most a session and its child behind at a gateway that asks nobody for signs of life.
const LEFT_BY_EVENT: usize = 2;

/// How fast time goes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// What lifetimes are counted in.
    pub unit: Duration,
    /// Between two events, at most.
    pub longest_gap: Duration,
}

impl Pace {
    /// Lifetimes of a minute or so, and something happens all the time.
    pub const FAST: Self = Self { unit: Duration::from_secs(1), longest_gap: Duration::from_secs(30) };
    /// Lifetimes of hours, and some events a day.
    pub const SLOW: Self = Self { unit: MINUTE, longest_gap: Duration::from_secs(4 * 3600) };

    /// How long a side is silent before it is asked for a sign of life.
    fn silence(self, choices: &mut impl Choices) -> Duration {
        let step = (self.unit / 12).max(Duration::from_secs(1));
        choices.between(step * 5, step * 25)
    }

    /// A lifetime of 15 to 105 units, or none.
    fn lifetime(self, choices: &mut impl Choices) -> Option<Duration> {
        choices.heads().then(|| choices.between(self.unit * 15, self.unit * 105))
    }
}

/// A gateway that stories are told with.
pub trait Character: Peer {
    /// A delete that is lost is sent again.
    const DELETES_ARE_ANSWERED: bool;

    /// Children that a gateway keeps of one pair of subnets in quiet times, after so many sessions.
    fn most_children(sessions: usize) -> usize;

    /// How a story begins.
    fn scene(choices: &mut impl Choices, pace: Pace) -> Scene<Self>
    where
        Self: Sized;

    /// Another gateway with the same settings, at this address.
    fn twin(settings: &Self::Settings, address: IpAddr) -> Self::Settings;

    /// Whether it notices by itself what is dead.
    fn notices(settings: &Self::Settings) -> bool;
}

/// A story as it is told.
pub struct Story<G: Peer> {
    world: World<G>,
    /// Where the client is.
    place: IpAddr,
    is_named: bool,
    /// Where the gateways are.
    sites: Vec<IpAddr>,
    /// Children are replaced so often that a gateway may lose them without a word although nobody sends anything that would tell.
    is_rekeyed: bool,
    /// What dies without a word is gone from the gateways after a while.
    is_noticed: bool,
    /// The client's, as they are now.
    settings: TunnelSettings,
}

/// Tells a story and gives a number that differs when anything in it differs. `listen` hears each event before it happens.
pub fn tell<G: Character>(choices: &mut impl Choices, pace: Pace, listen: &mut dyn FnMut(Duration, &Event)) -> u64 {
    let mut scene = G::scene(choices, pace);
    let is_noticed = G::notices(&scene.gateway);
    let mut sites = vec![GATEWAY];
    if choices.heads() {
        sites.push(OTHER);
        scene.others.push(G::twin(&scene.gateway, OTHER));
    }
    if choices.heads() {
        scene.quality = event::weather(choices);
    }
    let is_named = choices.heads();
    scene.client.gateways =
        if is_named { vec![Host::Name(NAME.into())] } else { sites.iter().copied().map(Host::Address).collect() };
    // Whoever is displaced waits, but here not for longer than the end of a story.
    scene.client.reconnect.displaced = Duration::from_secs(30);
    scene.client.reconnect.longest_displaced = Duration::from_secs(120);
    let is_rekeyed = scene.client.profile.child.lifetime.time.is_some_and(|time| time < RECOVERY / 2);
    let settings = scene.client.clone();
    let mut world = World::new(scene);
    world.client.first_link = Some(FIRST_LINK);
    let mut story = Story { place: world.client.address(), world, is_named, sites, is_rekeyed, is_noticed, settings };
    story.publish();
    story.world.run_until_up(MINUTE);
    let mut events = 0;
    while choices.goes_on() {
        events += 1;
        let event = Event::choose(choices, pace, story.sites.len());
        listen(story.world.now().since_start(), &event);
        story.happen(&event);
        story.is_bounded(events);
        let gap = if choices.heads() { pace.longest_gap } else { pace.longest_gap / 100 };
        story.world.run(choices.between(Duration::ZERO, gap));
    }
    story.end(events);
    story.world.story()
}

/// The settings of the client's children, for whoever sets a scene.
fn lifetimes(profile: &mut Profile, choices: &mut impl Choices, pace: Pace) {
    profile.child.lifetime.time = pace.lifetime(choices);
    profile.ike_lifetime.time = pace.lifetime(choices);
}

impl<G: Character> Story<G> {
    fn standing(&self) -> Standing {
        self.world.gateways().map(Peer::standing).fold(Standing::default(), std::ops::Add::add)
    }

    fn is_bounded(&self, events: usize) {
        let standing = self.standing();
        let most = MOST_STANDING + if self.is_noticed { 0 } else { LEFT_BY_EVENT * events };
        assert!(standing.ikes + standing.children <= most, "at the gateways: {standing:?}");
        let children = self.world.client.tunnel().status().children.len();
        assert!(children <= 2, "the client has {children} children");
    }

    /// The trouble is over.
    fn calm(&mut self) {
        for number in 0..self.sites.len() {
            self.act(number, Deed::Calm);
        }
        self.world.pacify();
        self.world.link.quality = Quality::GOOD;
        self.publish();
        self.world.change_network(Some(self.place));
    }

    fn end(&mut self, events: usize) {
        self.calm();
        let calm = self.world.now();
        let carried = self.world.echoes().1;
        while self.world.echoes().1 == carried {
            assert!(self.world.now().since(calm) < RECOVERY, "no traffic after the trouble: {}", self.told());
            self.world.ping();
            self.world.run(Duration::from_secs(1));
        }
        // What passed may have been the last word of a session that is dead without knowing.
        self.world.run(3 * MINUTE);
        assert!(self.world.run_until_up(MINUTE), "not up again: {}", self.told());
        if self.is_noticed {
            let is_session = |progress: &Progress| matches!(progress, Progress::Up | Progress::Succeeded { .. });
            let sessions = self.world.client.told.iter().filter(|(_, progress)| is_session(progress)).count();
            let is_clean = |world: &World<G>| {
                let standing = world.gateways().map(Peer::standing).fold(Standing::default(), std::ops::Add::add);
                standing.ikes == 1 && (1..=G::most_children(sessions)).contains(&standing.children)
            };
            assert!(self.world.run_until(QUIET, is_clean), "left over: {:?}: {}", self.standing(), self.told());
        }
        self.is_bounded(events);
        let before = self.world.echoes().1;
        for _ in 0..20 {
            self.world.ping();
            self.world.run(Duration::from_millis(100));
        }
        let carried = self.world.echoes().1 - before;
        assert_eq!(carried, 20, "of 20 packets on a good link: {}", self.told());
        assert!(self.world.close(MINUTE), "not closed within a minute: {}", self.told());
        assert_eq!(self.world.client.closed, Some(true), "closed, and no gateway confirmed: {}", self.told());
        self.world.run(if self.is_noticed { QUIET } else { MINUTE });
        if self.is_noticed {
            assert_eq!(self.standing(), Standing::default(), "left over after the end: {}", self.told());
        }
    }

    /// The last things that the client told people, for whoever looks for what went wrong.
    fn told(&self) -> String {
        let told = &self.world.client.told;
        let lines = told.iter().skip(told.len().saturating_sub(30));
        lines.map(|(at, progress)| format!("\n  {:.3?} {progress:?}", at.since_start())).collect()
    }
}
