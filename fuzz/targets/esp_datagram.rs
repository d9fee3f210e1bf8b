//! A story of datagrams for the packet path: junk, authentic packets with any content, damaged ones, repeated ones; and of inner packets
//! that are to be sealed. What is delivered was sealed with the keys, once, and lies within the selectors.

#![no_main]

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use vpnd::{
    crypto::{
        cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Protection, ProtectionKeys, Sealer, Text},
        random::{Random, SeededRandom},
        secret::Secret,
    },
    esp::{
        dataplane::{Arrival, Batch, InboundPath, OutboundPath, split},
        packet::InnerPacket,
    },
    sa::{
        command::{ChildId, DataCommand, InboundParameters, OutboundParameters},
        lifetime::Lifetime,
        path::{Framing, Path},
        selector::Selector,
        spi::{InboundSpi, OutboundSpi},
        suite::EspSuite,
    },
    time::Instant,
};
use vpnd_fuzz::Story;

const SPI: u32 = 0xc001_0203;
const MOST_STEPS: usize = 64;

const PROTECTIONS: &[Protection] = &[
    Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen)),
    Protection::Aead(Aead::AesGcm(AesKey::Aes128, GcmIcv::Twelve)),
    Protection::Aead(Aead::ChaCha20Poly1305),
    Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes128), integrity: Integrity::HmacSha256_128 },
    Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha512_256 },
    Protection::CbcHmac { encryption: Cbc::TripleDes, integrity: Integrity::HmacSha1_96 },
];

fuzz_target!(|data: &[u8]| {
    let mut story = Story::new(data);
    let suite = EspSuite { protection: story.choose(PROTECTIONS), esn: story.octet() & 1 != 0 };
    let mut scene = Scene::new(suite, story.choose(&[1, 31, 32, 64, 1024, 8192]));
    for _ in 0..MOST_STEPS {
        if !story.goes_on() {
            break;
        }
        scene.step(&mut story);
    }
    scene.deliver();
});

struct Scene {
    now: Instant,
    suite: EspSuite,
    sealer: Sealer,
    ours: InboundPath,
    incoming: Batch,
    /// Sequence numbers of the packets that wait in `incoming` and are as they were sealed.
    waiting: BTreeSet<u32>,
    presented: BTreeSet<u32>,
    next: u32,
    sealed: Vec<(u32, Vec<u8>)>,
    outbound: OutboundPath,
    gateway: InboundPath,
}

impl Scene {
    fn new(suite: EspSuite, replay_window: u32) -> Self {
        let now = Instant::START;
        let sealer = Sealer::new(suite.protection, &keys(suite)).expect("the keys fit");
        let mut scene = Self {
            now,
            suite,
            sealer,
            ours: InboundPath::new(),
            incoming: Batch::new(16, 2048),
            waiting: BTreeSet::new(),
            presented: BTreeSet::new(),
            next: 1,
            sealed: Vec::new(),
            outbound: OutboundPath::new(&mut SeededRandom::new(2)),
            gateway: InboundPath::new(),
        };
        install(&mut scene.ours, inbound(suite, replay_window, subnets(), hosts()));
        install(&mut scene.gateway, inbound(suite, replay_window, hosts(), subnets()));
        let sa = OutboundParameters {
            spi: OutboundSpi::new(SPI).expect("not reserved"),
            suite,
            keys: keys(suite),
            sources: hosts(),
            destinations: subnets(),
            path: path(Framing::Marked),
            lifetime: Lifetime::default(),
        };
        let switch = DataCommand::SwitchOutbound { child: ChildId(1), sa: Box::new(sa) };
        let (Some(switch), _) = split(switch) else { unreachable!("a switch is the outbound half's") };
        scene.outbound.apply(now, switch).expect("the keys fit");
        scene
    }

    fn step(&mut self, story: &mut Story<'_>) {
        match story.octet() % 8 {
            0 => {
                let framing = story.choose(&[Framing::Marked, Framing::Bare]);
                self.push(story.octets(), framing);
            }
            1 => self.seal_packet(story),
            2 => self.seal_anything(story),
            3 => self.damage(story),
            4 => self.repeat(story),
            5 => self.train(story),
            6 => {
                self.deliver();
                self.now = self.now.after(Duration::from_millis(story.number().into()));
            }
            _ => self.send(story.octets()),
        }
    }

    /// A packet as an honest gateway seals it, but with any inner address and content.
    fn seal_packet(&mut self, story: &mut Story<'_>) {
        let mut inner = ipv4(story);
        let unpadded = inner.len() + 2;
        let padding = unpadded.next_multiple_of(self.suite.protection.block_len().max(4)) - unpadded;
        inner.extend((1..).take(padding));
        inner.push(u8::try_from(padding).expect("less than a block"));
        inner.push(4);
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        self.seal(sequence, inner);
    }

    /// Any octets at all, authentic, with any trailer and sequence number.
    fn seal_anything(&mut self, story: &mut Story<'_>) {
        let sequence = if story.octet() & 1 == 0 { self.next } else { story.long_number() };
        let trailer = [story.octet(), story.octet()];
        let mut text = story.octets().to_vec();
        let aligned = (text.len() + 2).next_multiple_of(self.suite.protection.block_len());
        text.resize(aligned - 2, 0);
        text.extend_from_slice(&trailer);
        self.next = sequence.wrapping_add(1);
        self.seal(sequence, text);
    }

    fn seal(&mut self, sequence: u32, mut text: Vec<u8>) {
        let protection = self.suite.protection;
        let mut iv = vec![0; protection.iv_len()];
        SeededRandom::new(sequence.into()).fill(&mut iv);
        let mut icv = vec![0; protection.icv_len()];
        let (associated, suffix) = match (protection, self.suite.esn) {
            (Protection::Aead(_), true) => ([SPI.to_be_bytes(), [0; 4], sequence.to_be_bytes()].concat(), vec![]),
            (_, esn) => ([SPI.to_be_bytes(), sequence.to_be_bytes()].concat(), vec![0; if esn { 4 } else { 0 }]),
        };
        let job = Text { associated: &associated, iv: &iv, text: &mut text, suffix: &suffix, icv: &mut icv };
        self.sealer.seal(job).expect("the lengths fit");
        let header = [SPI.to_be_bytes(), sequence.to_be_bytes()].concat();
        let datagram = [header, iv, text, icv].concat();
        if self.push(&datagram, Framing::Marked) {
            self.waiting.insert(sequence);
        }
        self.sealed.push((sequence, datagram));
    }

    fn damage(&mut self, story: &mut Story<'_>) {
        let Some((_, datagram)) = self.sealed.last() else { return };
        let mut damaged = datagram.clone();
        let place = usize::from(story.number()) % damaged.len();
        match story.octet() {
            0 => damaged.truncate(place),
            1 => damaged.push(0),
            flip => damaged[place] ^= flip,
        }
        self.push(&damaged, Framing::Marked);
    }

    fn repeat(&mut self, story: &mut Story<'_>) {
        let index = usize::from(story.octet());
        let Some((sequence, datagram)) = self.sealed.get(index % self.sealed.len().max(1)).cloned() else { return };
        if self.push(&datagram, Framing::Marked) {
            self.waiting.insert(sequence);
        }
    }

    /// Datagrams as the kernel joins them, of any length.
    fn train(&mut self, story: &mut Story<'_>) {
        let segment = usize::from(story.number());
        let octets = story.octets();
        if let Some(vacant) = self.incoming.vacant() {
            vacant[..octets.len()].copy_from_slice(octets);
            self.incoming.fill_train(octets.len(), segment, Arrival { path: path(Framing::Marked), tos: 0 });
        }
        self.deliver();
    }

    fn push(&mut self, datagram: &[u8], framing: Framing) -> bool {
        if self.incoming.is_full() {
            self.deliver();
        }
        self.incoming.push_datagram(datagram, Arrival { path: path(framing), tos: datagram.len() as u8 })
    }

    fn deliver(&mut self) {
        self.ours.process(self.now, &mut self.incoming);
        // A number is fresh once: whatever came of it then, it can deliver nothing later.
        let fresh = self.waiting.iter().filter(|sequence| !self.presented.contains(sequence)).count();
        assert!(self.incoming.inner().count() <= fresh, "more was delivered than was sealed");
        for packet in self.incoming.inner() {
            let inner = InnerPacket::parse(packet).expect("what is delivered is a packet");
            assert_eq!(inner.total_len(), packet.len());
            assert!(subnets().iter().any(|selector| selector.contains_address(inner.source())));
            assert!(hosts().iter().any(|selector| selector.contains_address(inner.destination())));
        }
        self.presented.append(&mut self.waiting);
        self.incoming.clear();
        while self.ours.poll_report().is_some() {}
    }

    /// A packet from the device: what leaves is opened by the other side as it was.
    fn send(&mut self, packet: &[u8]) {
        let mut outgoing = Batch::new(1, 2048);
        outgoing.push_inner(packet);
        self.outbound.process(self.now, &mut outgoing);
        let mut arriving = Batch::new(1, 2200);
        for sealed in outgoing.sealed() {
            let inner = InnerPacket::parse(packet).expect("what is sealed is a packet");
            assert!(hosts().iter().any(|selector| selector.contains_address(inner.source())));
            assert!(subnets().iter().any(|selector| selector.contains_address(inner.destination())));
            assert!(arriving.push_datagram(sealed.datagram, Arrival { path: path(Framing::Marked), tos: sealed.tos }));
        }
        self.gateway.process(self.now, &mut arriving);
        assert_eq!(outgoing.sealed().count(), arriving.inner().count(), "what was sealed is opened");
        assert!(arriving.inner().all(|opened| packet.starts_with(opened)));
        while self.outbound.poll_report().is_some() {}
        while self.gateway.poll_report().is_some() {}
    }
}

fn ipv4(story: &mut Story<'_>) -> Vec<u8> {
    let source = Ipv4Addr::from_bits(story.choose(&[0x0afa_0005, 0x0afa_00ff, 0x0a00_0001, 0x7f00_0001, 0xffff_ffff]));
    let destination = Ipv4Addr::from_bits(story.choose(&[0x0ac8_0001, 0x0ac8_0002, 0xe000_0001]));
    let (protocol, fragment) = (story.octet(), story.number());
    let content = story.octets();
    let length = u16::try_from(20 + content.len()).expect("shorter than 2048").to_be_bytes();
    let [fragment_high, fragment_low] = fragment.to_be_bytes();
    let mut header = vec![0x45, 0, length[0], length[1], 0, 0, fragment_high, fragment_low, 64, protocol, 0, 0];
    header.extend(source.octets());
    header.extend(destination.octets());
    let sum: u32 = header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    let checksum = !u16::try_from(folded).expect("folded twice");
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    [header.as_slice(), content].concat()
}

fn install(path: &mut InboundPath, sa: InboundParameters) {
    let command = DataCommand::InstallInbound { child: ChildId(1), sa: Box::new(sa) };
    let (_, Some(command)) = split(command) else { unreachable!("an installation is the inbound half's") };
    path.apply(Instant::START, command).expect("the keys fit");
}

fn inbound(
    suite: EspSuite,
    replay_window: u32,
    sources: Vec<Selector>,
    destinations: Vec<Selector>,
) -> InboundParameters {
    InboundParameters {
        spi: InboundSpi::new(SPI).expect("not reserved"),
        suite,
        keys: keys(suite),
        sources,
        destinations,
        replay_window,
        lifetime: Lifetime::default(),
    }
}

fn keys(suite: EspSuite) -> ProtectionKeys {
    let mut random = SeededRandom::new(1);
    let mut key = |len| {
        let mut octets = vec![0; len];
        random.fill(&mut octets);
        Secret::new(octets)
    };
    ProtectionKeys {
        encryption: key(suite.protection.encryption_key_len()),
        integrity: key(suite.protection.integrity_key_len()),
    }
}

fn hosts() -> Vec<Selector> {
    vec![Selector::host(IpAddr::V4(Ipv4Addr::new(10, 200, 0, 1))), Selector::any_v6()]
}

fn subnets() -> Vec<Selector> {
    let office = Selector::from_prefix(IpAddr::V4(Ipv4Addr::new(10, 250, 0, 0)), 24);
    vec![office.expect("a prefix of IPv4"), Selector::any_v6()]
}

fn path(framing: Framing) -> Path {
    let port = if framing == Framing::Marked { 4500 } else { 500 };
    Path { local: ([192, 0, 2, 1], 40_000).into(), remote: ([198, 51, 100, 1], port).into(), framing }
}
