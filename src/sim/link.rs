//! The network between client and gateway: seeded loss, delay, duplication and reordering, single faults on chosen datagrams, and a NAT.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::crypto::random::{Random, SeededRandom};
use crate::time::Instant;

use super::Datagram;

/// How bad the link is, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality {
    /// Of a thousand datagrams, this many are lost.
    pub loss: u32,
    /// Of a thousand datagrams, this many arrive twice.
    pub duplication: u32,
    /// Of a thousand datagrams, this many have one bit flipped.
    pub corruption: u32,
    /// One way.
    pub delay: Duration,
    /// Added at random, up to this; what makes datagrams overtake each other.
    pub jitter: Duration,
    /// ESP is neither lost nor damaged nor doubled: what is missing at the end was not lost on the way.
    pub spares_esp: bool,
}

impl Quality {
    /// Nothing is lost, 5 ms one way.
    pub const GOOD: Self = Self {
        loss: 0,
        duplication: 0,
        corruption: 0,
        delay: Duration::from_millis(5),
        jitter: Duration::ZERO,
        spares_esp: false,
    };
}

/// Something done to one datagram, counted from the first that either side sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is lost.
    Drop,
    /// It arrives twice.
    Double,
    /// It arrives later.
    Delay(Duration),
    /// The octet at this place is exclusive-ored with this.
    Flip(usize, u8),
    /// It is cut to this length.
    Cut(usize),
}

/// The link.
pub struct Link {
    random: SeededRandom,
    /// How bad it is now.
    pub quality: Quality,
    /// Longer datagrams that may not be cut are lost without a word; in octets, IP header included.
    pub longest: Option<u16>,
    faults: BTreeMap<u64, Fault>,
    carried: u64,
    nat: Option<Nat>,
    on_the_way: BTreeMap<(Instant, u64), Datagram>,
    order: u64,
}

impl Link {
    pub fn new(seed: u64, quality: Quality, nat: Option<Nat>) -> Self {
        let random = SeededRandom::new(seed);
        Self {
            random,
            quality,
            longest: None,
            faults: BTreeMap::new(),
            carried: 0,
            nat,
            on_the_way: BTreeMap::new(),
            order: 0,
        }
    }

    /// The datagram with this number, counted from zero, suffers this.
    pub fn fault(&mut self, number: u64, fault: Fault) {
        self.faults.insert(number, fault);
    }

    /// Datagrams that were handed to the link.
    pub fn carried(&self) -> u64 {
        self.carried
    }

    /// From now on the NAT gives new ports.
    pub fn rebind(&mut self) {
        if let Some(nat) = &mut self.nat {
            nat.rebind();
        }
    }

    /// The host behind the NAT has another address.
    pub fn move_inner(&mut self, address: IpAddr) {
        if let Some(nat) = &mut self.nat {
            nat.inner = address;
        }
    }

    fn swallows(&self, datagram: &Datagram) -> bool {
        let ip = if datagram.destination.is_ipv4() { 20 } else { 40 };
        let length = ip + 8 + datagram.octets.len();
        datagram.whole && self.longest.is_some_and(|longest| length > usize::from(longest))
    }

    fn chance(&mut self, of_a_thousand: u32) -> bool {
        self.number(1000) < u64::from(of_a_thousand)
    }

    fn number(&mut self, below: u64) -> u64 {
        let mut octets = [0; 8];
        self.random.fill(&mut octets);
        u64::from_be_bytes(octets) % below.max(1)
    }

    /// Takes a datagram over.
    pub fn send(&mut self, now: Instant, datagram: Datagram) {
        let Some(mut datagram) = self.translate(datagram) else { return };
        let fault = self.faults.get(&self.carried).copied();
        self.carried += 1;
        if self.swallows(&datagram) {
            return;
        }
        let mut delay =
            self.quality.delay + Duration::from_nanos(self.number(self.quality.jitter.as_nanos() as u64 + 1));
        let is_esp = datagram.octets.len() > 4 && !datagram.octets.starts_with(&[0; 4]);
        let is_esp = is_esp && [datagram.source.port(), datagram.destination.port()].contains(&4500);
        let quality = if self.quality.spares_esp && is_esp {
            Quality { loss: 0, corruption: 0, duplication: 0, ..self.quality }
        } else {
            self.quality
        };
        if self.chance(quality.loss) {
            return;
        }
        if self.chance(quality.corruption) && !datagram.octets.is_empty() {
            let place = self.number(datagram.octets.len() as u64) as usize;
            datagram.octets[place] ^= 1 << self.number(8);
        }
        let mut twice = self.chance(quality.duplication);
        match fault {
            Some(Fault::Drop) => return,
            Some(Fault::Double) => twice = true,
            Some(Fault::Delay(more)) => delay += more,
            Some(Fault::Flip(place, mask)) => {
                if let Some(octet) = datagram.octets.get_mut(place) {
                    *octet ^= mask;
                }
            }
            Some(Fault::Cut(length)) => datagram.octets.truncate(length),
            None => {}
        }
        if twice {
            let later = delay + Duration::from_micros(self.number(20_000));
            self.deliver_at(now.after(later), datagram.clone());
        }
        self.deliver_at(now.after(delay), datagram);
    }

    /// Puts a datagram on the wire as an attacker would: no NAT, no loss.
    pub fn inject(&mut self, at: Instant, datagram: Datagram) {
        self.deliver_at(at, datagram);
    }

    fn deliver_at(&mut self, at: Instant, datagram: Datagram) {
        self.order += 1;
        self.on_the_way.insert((at, self.order), datagram);
    }

    fn translate(&mut self, datagram: Datagram) -> Option<Datagram> {
        match &mut self.nat {
            Some(nat) => nat.translate(datagram),
            None => Some(datagram),
        }
    }

    /// When the next datagram arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.on_the_way.keys().next().map(|(at, _)| *at)
    }

    /// A datagram that has arrived by now.
    pub fn arrival(&mut self, now: Instant) -> Option<Datagram> {
        let key = *self.on_the_way.keys().next()?;
        (key.0 <= now).then(|| self.on_the_way.remove(&key)).flatten()
    }
}

/// A NAT with an outer address; every inner address and port, towards whatever destination, has one outer port.
#[derive(Clone, Debug)]
pub struct Nat {
    outer: IpAddr,
    inner: IpAddr,
    next_port: u16,
    ports: BTreeMap<SocketAddr, u16>,
}

impl Nat {
    pub fn new(outer: IpAddr, inner: IpAddr) -> Self {
        Self { outer, inner, next_port: 20_000, ports: BTreeMap::new() }
    }

    fn rebind(&mut self) {
        self.ports.clear();
    }

    fn translate(&mut self, mut datagram: Datagram) -> Option<Datagram> {
        if datagram.source.ip() == self.inner {
            let next = &mut self.next_port;
            let port = *self.ports.entry(datagram.source).or_insert_with(|| {
                *next += 1;
                *next
            });
            datagram.source = (self.outer, port).into();
        } else if datagram.destination.ip() == self.outer {
            let (inner, _) = self.ports.iter().find(|(_, port)| **port == datagram.destination.port())?;
            datagram.destination = *inner;
        }
        Some(datagram)
    }
}
