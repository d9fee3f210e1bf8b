//! A story: one client, one gateway, a link between them, and time that jumps to whatever comes next.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::crypto::random::{Random, SeededRandom};
use crate::time::Instant;
use crate::tunnel::Change;
use crate::tunnel::progress::Progress;
use crate::tunnel::settings::TunnelSettings;

use super::client::Client;
use super::esp::addresses;
use super::gateway::Gateway;
use super::invariants::{INNER_MARK, Invariants};
use super::link::{Link, Nat, Quality};
use super::{Datagram, Peer};

/// Where things are.
pub const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// The client, when there is no NAT before it.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 20));
/// The client behind a NAT.
pub const CLIENT_BEHIND_NAT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 15));
/// The NAT's outer address.
pub const NAT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
/// A host behind the gateway that answers whatever it gets.
pub const ECHO: Ipv4Addr = Ipv4Addr::new(10, 250, 0, 5);

/// What a story starts with.
pub struct Scene<G: Peer = Gateway> {
    pub client: TunnelSettings,
    pub gateway: G::Settings,
    /// Further gateways, at other addresses.
    pub others: Vec<G::Settings>,
    pub quality: Quality,
    pub nat: bool,
    pub seed: u64,
}

/// The story as it is told.
pub struct World<G = Gateway> {
    now: Instant,
    pub client: Client,
    pub gateway: G,
    /// Further gateways.
    pub others: Vec<G>,
    pub link: Link,
    invariants: Invariants,
    attacker: Option<Attacker>,
    /// Every datagram of either side, for tests that look at the wire.
    pub wire: Vec<(Instant, Datagram)>,
    sent: u64,
    echoed: u64,
    last_delivered: u64,
    in_order: bool,
    /// The client was closed when it last came to rest.
    closed: bool,
    /// The client's host sleeps.
    asleep: bool,
    /// The gateway that the last inner packet came through.
    serving: usize,
    pushed: u64,
    /// Steps at one moment.
    at_once: (Instant, u32),
    story: u64,
    #[cfg(feature = "daemon")]
    handovers: Option<Handovers>,
}

/// The client's process is replaced now and then.
#[cfg(feature = "daemon")]
struct Handovers {
    random: SeededRandom,
    /// One in so many moments.
    one_in: u64,
    done: u64,
}

/// Somebody who sees everything and can send anything, but has no key.
struct Attacker {
    random: SeededRandom,
    seen: Vec<Datagram>,
    budget: u32,
}

/// In the number of a packet that no echo is.
const PUSHED: u64 = 1 << 63;

/// Steps at one moment, before time must go on.
const MOST_AT_ONCE: u32 = 1000;

const NOTE: u64 = 0xcbf2_9ce4_8422_2325;

impl<G: Peer> World<G> {
    pub fn new(scene: Scene<G>) -> Self {
        let now = Instant::START;
        let (address, nat) =
            if scene.nat { (CLIENT_BEHIND_NAT, Some(Nat::new(NAT, CLIENT_BEHIND_NAT))) } else { (CLIENT, None) };
        let mut world = Self {
            now,
            client: Client::new(address, scene.client, scene.seed ^ 1, now),
            gateway: G::new(scene.gateway, scene.seed ^ 2),
            others: (3..).zip(scene.others).map(|(n, settings)| G::new(settings, scene.seed ^ (n << 8))).collect(),
            link: Link::new(scene.seed ^ 3, scene.quality, nat),
            invariants: Invariants::default(),
            attacker: None,
            wire: Vec::new(),
            sent: 0,
            echoed: 0,
            last_delivered: 0,
            in_order: true,
            closed: false,
            asleep: false,
            serving: 0,
            pushed: 0,
            at_once: (now, 0),
            story: NOTE,
            #[cfg(feature = "daemon")]
            handovers: None,
        };
        world.settle();
        world
    }

    /// Whoever attacked leaves.
    pub fn pacify(&mut self) {
        self.attacker = None;
    }

    /// An attacker joins who will send this many datagrams.
    pub fn attack(&mut self, seed: u64, budget: u32) {
        self.attacker = Some(Attacker { random: SeededRandom::new(seed), seen: Vec::new(), budget });
    }

    /// From here on the client's process is replaced by another at one in so many moments, where that can be.
    #[cfg(feature = "daemon")]
    pub fn replace_the_process(&mut self, seed: u64, one_in: u64) {
        self.handovers = Some(Handovers { random: SeededRandom::new(seed), one_in, done: 0 });
    }

    /// How often it was replaced.
    #[cfg(feature = "daemon")]
    pub fn handovers(&self) -> u64 {
        self.handovers.as_ref().map_or(0, |handovers| handovers.done)
    }

    /// Another process goes on with what the client has.
    #[cfg(feature = "daemon")]
    pub fn hand_over(&mut self, seed: u64) -> Result<(), String> {
        self.client.hand_over(self.now, seed)?;
        self.settle();
        Ok(())
    }

    #[cfg(feature = "daemon")]
    fn perhaps_hand_over(&mut self) {
        let Some(handovers) = &mut self.handovers else { return };
        let mut draw = [0; 16];
        handovers.random.fill(&mut draw);
        let [moment, seed] = [0, 8].map(|at| u64::from_be_bytes(draw[at..at + 8].try_into().expect("eight octets")));
        if moment % handovers.one_in == 0 && self.client.hand_over(self.now, seed).is_ok() {
            handovers.done += 1;
        }
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    /// A number that differs when anything in the story differs.
    pub fn story(&self) -> u64 {
        self.story
    }

    /// Inner packets that were sent, and that came back.
    pub fn echoes(&self) -> (u64, u64) {
        (self.sent, self.echoed)
    }

    /// Whether no inner packet that came back overtook another.
    pub fn delivered_in_order(&self) -> bool {
        self.in_order
    }

    /// Steps until `done` or until `limit` has passed; says whether it is done.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now.after(limit);
        while !done(self) {
            let client = self.client.poll_timeout().filter(|_| !self.asleep);
            let gateways = self.gateways().filter_map(Peer::poll_timeout).min();
            let Some(next) =
                [client, gateways, self.link.next_arrival()].into_iter().flatten().min().filter(|next| *next <= end)
            else {
                self.now = end;
                return done(self);
            };
            self.now = self.now.max(next);
            self.step();
            self.moves_on(client.is_some_and(|at| at <= next));
        }
        true
    }

    /// Nobody has something to do at one moment for ever.
    fn moves_on(&mut self, client_is_due: bool) {
        if self.at_once.0 == self.now {
            self.at_once.1 += 1;
            let who = if client_is_due { "the client" } else { "a gateway or the link" };
            assert!(self.at_once.1 < MOST_AT_ONCE, "{who} is never done with {:?}", self.now);
        } else {
            self.at_once = (self.now, 0);
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Runs until the tunnel is up.
    pub fn run_until_up(&mut self, limit: Duration) -> bool {
        self.run_until(limit, |world| world.client.is_up())
    }

    /// Runs until the client is closed, after telling it to.
    pub fn close(&mut self, limit: Duration) -> bool {
        self.client.close(self.now);
        self.settle();
        self.run_until(limit, |world| world.client.closed.is_some())
    }

    /// All gateways.
    pub fn gateways(&self) -> impl Iterator<Item = &G> {
        std::iter::once(&self.gateway).chain(&self.others)
    }

    /// All gateways.
    pub fn gateways_mut(&mut self) -> impl Iterator<Item = &mut G> {
        std::iter::once(&mut self.gateway).chain(&mut self.others)
    }

    /// The client's host sleeps for so long: nothing reaches it, and it does nothing.
    pub fn sleep(&mut self, time: Duration) {
        self.asleep = true;
        self.run(time);
        self.asleep = false;
        self.client.handle_timeout(self.now);
        self.settle();
    }

    /// Somebody changed the host or a gateway from outside: carries out what they want now.
    pub fn touch(&mut self) {
        self.settle();
    }

    /// The client's network changes: it has another address, or none.
    pub fn change_network(&mut self, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.link.move_inner(address);
        }
        self.client.change_network(self.now, address);
        self.settle();
    }

    /// The client's settings change.
    pub fn change_settings(&mut self, settings: TunnelSettings, change: Change) {
        self.client.change_settings(self.now, settings, change);
        self.settle();
    }

    /// Sends one inner packet to the echo host.
    pub fn ping(&mut self) {
        self.ping_to(ECHO);
    }

    /// Sends one inner packet to a host behind the gateway; each answers whatever it gets.
    pub fn ping_to(&mut self, host: Ipv4Addr) {
        if self.send_inner(host, self.sent + 1) {
            self.sent += 1;
        }
    }

    /// Sends one inner packet that nobody answers.
    pub fn tell(&mut self) {
        self.pushed += 1;
        self.send_inner(ECHO, self.pushed | PUSHED);
    }

    fn send_inner(&mut self, host: Ipv4Addr, number: u64) -> bool {
        let source = self.client.inner_addresses().into_iter().find_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        let Some(source) = source else { return false };
        self.client.send_packet(self.now, &udp_packet(source, host, number));
        self.settle();
        true
    }

    /// A host behind the gateway sends a packet of its own accord.
    pub fn push(&mut self) {
        let inner = self.client.inner_addresses();
        let Some(IpAddr::V4(client)) = inner.into_iter().find(IpAddr::is_ipv4) else { return };
        self.pushed += 1;
        let packet = udp_packet(ECHO, client, self.pushed | PUSHED);
        self.send_from_serving(&packet);
        self.settle();
    }

    fn send_from_serving(&mut self, packet: &[u8]) {
        let serving = self.serving;
        if let Some(gateway) = self.gateways_mut().nth(serving) {
            gateway.send_packet(packet);
        }
    }

    /// A stranger sends octets that mean nothing to wherever the client is.
    pub fn stray(&mut self, source: SocketAddr, seed: u64, length: usize) {
        let mut octets = vec![0; length];
        SeededRandom::new(seed).fill(&mut octets);
        let Some(destination) = self.client.socket() else { return };
        self.link
            .inject(self.now.after(Duration::from_millis(1)), Datagram { source, destination, octets, whole: false });
    }

    /// What the client told people, in short.
    pub fn told(&self) -> Vec<&Progress> {
        self.client.told.iter().map(|(_, progress)| progress).collect()
    }

    /// A datagram from outside of the story comes to the client, at once. Gives what the client sends because of it, which goes its way, too.
    /// For those who watch the story it did not come: it is a reason for nothing, and they would remember it.
    pub fn strike(&mut self, datagram: &Datagram) -> Vec<Datagram> {
        self.client.handle_datagram(self.now, datagram);
        let sent = self.client.outbox.clone();
        self.settle();
        sent
    }

    fn step(&mut self) {
        #[cfg(feature = "daemon")]
        self.perhaps_hand_over();
        if !self.asleep && self.client.poll_timeout().is_some_and(|at| at <= self.now) {
            self.client.handle_timeout(self.now);
        }
        let now = self.now;
        for gateway in self.gateways_mut().filter(|gateway| gateway.poll_timeout().is_some_and(|at| at <= now)) {
            gateway.handle_timeout(now);
        }
        self.settle();
        while let Some(datagram) = self.link.arrival(self.now) {
            self.note(&datagram);
            if datagram.destination.ip() != self.client.address() {
                let packets: Vec<_> =
                    self.gateways_mut().map(|gateway| gateway.handle_datagram(now, &datagram)).collect();
                for (number, packet) in packets.into_iter().enumerate() {
                    if let Some(packet) = packet {
                        self.serving = number;
                        self.echo(&packet);
                    }
                }
            } else if !self.asleep {
                self.invariants.client_received(self.now, &datagram);
                self.client.handle_datagram(self.now, &datagram);
            }
            self.settle();
        }
    }

    fn echo(&mut self, packet: &[u8]) {
        let Some((IpAddr::V4(source), IpAddr::V4(destination))) = addresses(packet) else { return };
        let number = u64::from_be_bytes(packet[44..52].try_into().expect("a packet of ours"));
        let answer = udp_packet(destination, source, number);
        if number & PUSHED == 0 {
            self.send_from_serving(&answer);
        }
    }

    fn settle(&mut self) {
        let authenticated = self.gateways().map(Peer::authenticated).sum();
        for datagram in std::mem::take(&mut self.client.outbox) {
            self.invariants.client_sent(self.now, &datagram, authenticated, self.closed);
            self.carry(datagram);
        }
        let mut sent = Vec::new();
        for gateway in self.gateways_mut() {
            sent.extend(std::iter::from_fn(|| gateway.poll_datagram()));
        }
        sent.into_iter().for_each(|datagram| self.carry(datagram));
        for packet in std::mem::take(&mut self.client.delivered) {
            let number = u64::from_be_bytes(packet[44..52].try_into().expect("a packet of ours"));
            assert_eq!(packet, udp_packet(ipv4(&packet, 12), ipv4(&packet, 16), number), "packet {number} was changed");
            self.invariants.delivered(number);
            if number & PUSHED != 0 {
                continue;
            }
            self.in_order &= number > self.last_delivered;
            self.last_delivered = self.last_delivered.max(number);
            self.echoed += 1;
        }
        assert!(!self.client.is_up() || authenticated > 0, "the client is up and the gateway authenticated nobody");
        assert!(
            self.client.closed.is_none() || self.client.poll_timeout().is_none(),
            "the client has a timer after it is closed"
        );
        self.closed = self.client.closed.is_some();
    }

    fn carry(&mut self, datagram: Datagram) {
        self.note(&datagram);
        self.wire.push((self.now, datagram.clone()));
        self.forge(&datagram);
        self.link.send(self.now, datagram);
    }

    fn note(&mut self, datagram: &Datagram) {
        let ports = [datagram.source.port(), datagram.destination.port()].map(u16::to_be_bytes).concat();
        for octet in ports.iter().chain(&datagram.octets).chain(&self.now.since_start().as_nanos().to_be_bytes()) {
            self.story = (self.story ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The attacker sees a datagram and answers faster than the one it was for.
    fn forge(&mut self, datagram: &Datagram) {
        let Some(attacker) = self.attacker.as_mut().filter(|attacker| attacker.budget > 0) else { return };
        attacker.budget -= 1;
        attacker.seen.push(datagram.clone());
        let forged = attacker.forgery(datagram);
        let at = self.now.after(Duration::from_millis(1));
        self.link.inject(at, forged);
    }
}

impl Attacker {
    fn number(&mut self, below: usize) -> usize {
        let mut octets = [0; 8];
        self.random.fill(&mut octets);
        (u64::from_be_bytes(octets) % below.max(1) as u64) as usize
    }

    fn forgery(&mut self, datagram: &Datagram) -> Datagram {
        let answer = |octets: Vec<u8>| Datagram {
            source: datagram.destination,
            destination: datagram.source,
            octets,
            whole: false,
        };
        let bare = datagram.destination.port() == 500 || datagram.source.port() == 500;
        match self.number(5) {
            0 => {
                let old = self.number(self.seen.len());
                self.seen[old].clone()
            }
            1 => {
                let old = self.number(self.seen.len());
                let mut changed = self.seen[old].clone();
                let place = self.number(changed.octets.len());
                if let Some(octet) = changed.octets.get_mut(place) {
                    *octet ^= 1 << self.number(8);
                }
                changed
            }
            2 => {
                // An error notify in the answer to whatever this is, unprotected.
                let notify = [7u16, 14, 17, 24, 4, 11, 16390][self.number(7)];
                let start = if bare { 0 } else { 4 };
                let Some(head) = datagram.octets.get(start..start + 28) else { return answer(vec![0xff]) };
                let mut message = head.to_vec();
                if message[17] == 0x10 {
                    return answer(marked(
                        bare,
                        isakmp_notify(&message, [4u16, 14, 16, 18, 24, 24578][self.number(6)]),
                    ));
                }
                message[16] = 41;
                message[19] = 0x20;
                message[24..28].copy_from_slice(&38u32.to_be_bytes());
                message.extend_from_slice(&[0, 0, 0, 10, 0, 0]);
                message.extend_from_slice(&notify.to_be_bytes());
                message.extend_from_slice(&[0, 19]);
                answer(marked(bare, message))
            }
            3 => {
                let mut noise = vec![0; self.number(200)];
                self.random.fill(&mut noise);
                answer(noise)
            }
            // Its own words back to the sender.
            _ => answer(datagram.octets.clone()),
        }
    }
}

fn marked(bare: bool, message: Vec<u8>) -> Vec<u8> {
    if bare { message } else { [vec![0; 4], message].concat() }
}

/// An IKEv1 INFORMATIONAL in clear about the SA of this header.
fn isakmp_notify(header: &[u8], notify: u16) -> Vec<u8> {
    let mut message = header.to_vec();
    message[16] = 11;
    message[18] = 5;
    message[19] = 0;
    message[24..28].copy_from_slice(&40u32.to_be_bytes());
    message.extend_from_slice(&[0, 0, 0, 12, 0, 0, 0, 1, 1, 0]);
    message.extend_from_slice(&notify.to_be_bytes());
    message
}

fn ipv4(packet: &[u8], at: usize) -> Ipv4Addr {
    <[u8; 4]>::try_from(&packet[at..at + 4]).expect("four octets").into()
}

/// A UDP packet with the mark and a number in it.
pub fn udp_packet(source: Ipv4Addr, destination: Ipv4Addr, number: u64) -> Vec<u8> {
    let payload = [INNER_MARK.as_slice(), &number.to_be_bytes()].concat();
    let length = 28 + payload.len() as u16;
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&destination.octets());
    let sum = packet.chunks(2).fold(0u32, |sum, pair| sum + u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let folded = (sum & 0xffff) + (sum >> 16);
    packet[10..12].copy_from_slice(&(!((folded & 0xffff) + (folded >> 16)) as u16).to_be_bytes());
    packet.extend_from_slice(&7000u16.to_be_bytes());
    packet.extend_from_slice(&7u16.to_be_bytes());
    packet.extend_from_slice(&(length - 20).to_be_bytes());
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(&payload);
    packet
}
