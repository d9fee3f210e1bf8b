//! What can happen in a story.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::sim::Deed;
use crate::sim::link::Quality;
use crate::sim::world::GATEWAY;
use crate::tunnel::Change;

use super::choices::Choices;
use super::{Character, NAME, Pace, Story};

const SECOND: Duration = Duration::from_secs(1);

/// Where a client can be.
const PLACES: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 20)),
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 77)),
    IpAddr::V4(Ipv4Addr::new(10, 0, 2, 15)),
];

/// Where the first gateway can be.
const SITES: [IpAddr; 3] =
    [GATEWAY, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77)), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 78))];

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client's application sends so many packets, this far apart, and each is answered.
    Talk(u64, Duration),
    /// A host behind the gateway sends some.
    Listen(u64, Duration),
    /// The link is like this from now on.
    Weather(Quality),
    /// The path swallows datagrams that are longer than this and may not be cut, or none.
    Narrow(Option<u16>),
    /// The NAT gives new ports.
    Rebind,
    /// The client has another address.
    Roam(IpAddr),
    /// The client has no network.
    CutOff,
    /// Something of the network changed, and nothing that matters.
    Flutter,
    /// The gateway of this number does this.
    Gateway(usize, Deed),
    /// The first gateway is somewhere else now, with its SAs or without, and its name says so.
    Migrate(IpAddr, bool),
    /// Names cannot be looked up, or can be again.
    Names(bool),
    /// The client's host sleeps.
    Sleep(Duration),
    /// Somebody who sees everything answers so many datagrams with forgeries.
    Attack(u64, u32),
    /// The client's settings change: signs of life, and the lifetime of children; in place, or by a successor of the session.
    Reload(Duration, Option<Duration>, Change),
    /// Another process goes on with the client's tunnel.
    HandOver(u64),
    /// A stranger sends this to the client.
    Stray(SocketAddr, u64, usize),
}

impl Event {
    pub(super) fn choose(choices: &mut impl Choices, pace: Pace, gateways: usize) -> Self {
        let gateway = |choices: &mut dyn FnMut(u64) -> u64| choices(gateways as u64) as usize;
        match choices.below(29) {
            0..=3 => Self::Talk(1 + choices.below(20), choices.between(SECOND / 100, SECOND)),
            4 => Self::Listen(1 + choices.below(20), choices.between(SECOND / 100, SECOND)),
            5..=6 => Self::Weather(weather(choices)),
            7 => Self::Weather(Quality::GOOD),
            8 => Self::Weather(Quality { loss: 1000, ..Quality::GOOD }),
            9..=10 => Self::Rebind,
            11 => Self::Roam(choices.one_of(&PLACES)),
            12 => Self::CutOff,
            13 => Self::Flutter,
            14..=18 => {
                let number = gateway(&mut |limit| choices.below(limit));
                Self::Gateway(number, deed(choices))
            }
            19 => Self::Migrate(choices.one_of(&SITES), choices.heads()),
            20 => Self::Names(choices.heads()),
            21 => Self::Sleep(choices.between(SECOND, pace.longest_gap * 4)),
            22 => Self::Attack(choices.below(1 << 16), 1 + choices.below(60) as u32),
            23..=24 => {
                let dpd = pace.silence(choices);
                let change = if choices.heads() { Change::Successor } else { Change::InPlace };
                Self::Reload(dpd, pace.lifetime(choices), change)
            }
            25..=26 => Self::HandOver(choices.below(1 << 16)),
            27 => {
                let address = choices.one_of(&[GATEWAY, PLACES[1], Ipv4Addr::new(203, 0, 113, 99).into()]);
                let source = SocketAddr::new(address, choices.one_of(&[4500, 500, 4501]));
                Self::Stray(source, choices.below(1 << 16), choices.below(256) as usize)
            }
            _ => Self::Narrow(choices.heads().then(|| 600 + choices.below(900) as u16)),
        }
    }
}

pub(super) fn weather(choices: &mut impl Choices) -> Quality {
    let milliseconds = |choices: &mut dyn FnMut(u64) -> u64, limit| Duration::from_millis(choices(limit));
    Quality {
        spares_esp: false,
        loss: choices.below(500) as u32,
        duplication: choices.below(300) as u32,
        corruption: choices.below(50) as u32,
        delay: milliseconds(&mut |limit| choices.below(limit), 400),
        jitter: milliseconds(&mut |limit| choices.below(limit), 400),
    }
}

fn deed(choices: &mut impl Choices) -> Deed {
    choices.one_of(&[
        Deed::RekeyChild,
        Deed::RekeyIke,
        Deed::RekeyChild,
        Deed::RekeyIke,
        Deed::DeleteChild,
        Deed::DeleteIke,
        Deed::ForgetChildren,
        Deed::Forget,
        Deed::FallSilent,
        Deed::Listen,
    ])
}

impl<G: Character> Story<G> {
    pub(super) fn happen(&mut self, event: &Event) {
        match event {
            Event::Talk(count, pace) => {
                for _ in 0..*count {
                    self.world.ping();
                    self.world.run(*pace);
                }
            }
            Event::Listen(count, pace) => {
                for _ in 0..*count {
                    self.world.push();
                    self.world.run(*pace);
                }
            }
            Event::Weather(quality) => self.world.link.quality = *quality,
            Event::Narrow(longest) => self.world.link.longest = *longest,
            Event::Rebind => self.world.link.rebind(),
            Event::Roam(address) => {
                self.place = *address;
                self.world.change_network(Some(*address));
            }
            Event::CutOff => self.world.change_network(None),
            Event::Flutter => self.world.change_network(Some(self.place)),
            Event::Gateway(_, deed) if Self::is_a_silent_loss(*deed) && !self.is_rekeyed && !self.carries() => {}
            Event::Gateway(number, deed) => self.act(*number, *deed),
            Event::Migrate(address, forgets) => {
                if self.is_named {
                    self.act(0, Deed::Move(*address));
                    self.sites[0] = *address;
                    if *forgets {
                        self.act(0, Deed::Forget);
                    }
                    self.publish();
                }
            }
            Event::Names(true) => self.publish(),
            Event::Names(false) => self.world.client.names.clear(),
            Event::Sleep(time) => self.world.sleep(*time),
            Event::Attack(seed, budget) => self.world.attack(*seed, *budget),
            Event::Reload(dpd, lifetime, change) => {
                self.settings.profile.dpd = Some(*dpd);
                if let Some(lifetime) = lifetime.filter(|_| self.is_rekeyed) {
                    self.settings.profile.child.lifetime.time = Some(lifetime);
                }
                self.world.change_settings(self.settings.clone(), *change);
            }
            #[cfg(feature = "daemon")]
            Event::HandOver(seed) => {
                // In the middle of a negotiation there is nothing to take over: whoever wants to asks again.
                _ = self.world.hand_over(*seed);
            }
            #[cfg(not(feature = "daemon"))]
            Event::HandOver(_) => {}
            Event::Stray(source, seed, length) => self.world.stray(*source, *seed, *length),
        }
    }

    /// The gateway says nothing, or nothing that certainly arrives.
    fn is_a_silent_loss(deed: Deed) -> bool {
        deed == Deed::ForgetChildren || deed == Deed::DeleteChild && !G::DELETES_ARE_ANSWERED
    }

    /// Whether packets go both ways just now. Of a child that never carried any, nothing tells that it was lost.
    fn carries(&mut self) -> bool {
        let before = self.world.echoes().1;
        self.world.ping();
        self.world.run(SECOND * 2);
        self.world.echoes().1 > before
    }

    pub(super) fn act(&mut self, number: usize, deed: Deed) {
        let now = self.world.now();
        if let Some(gateway) = self.world.gateways_mut().nth(number) {
            gateway.act(now, deed);
        }
        self.world.touch();
    }

    /// The name stands for where the gateways are.
    pub(super) fn publish(&mut self) {
        self.world.client.names.insert(NAME.into(), self.sites.clone());
    }
}
