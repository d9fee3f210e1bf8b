//! Both halves against each other: what one seals the other opens, and nothing else.

mod batches;
mod early;
mod forgery;
#[cfg(feature = "daemon")]
mod handover;
mod incidents;
mod path;
mod paths;
mod sealing;
mod trailer;

use std::net::{IpAddr, SocketAddr};

use crate::{
    crypto::{
        cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Protection, ProtectionKeys},
        random::{IvGenerator, Random, SeededRandom},
        secret::Secret,
    },
    esp::{
        batch::{Arrival, Batch},
        dataplane::{InboundPath, OutboundPath, split},
        packet::tests::ipv4,
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

pub(super) const NOW: Instant = Instant::START;
pub(super) const CHILD: ChildId = ChildId(1);
pub(super) const GCM: Protection = Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen));
pub(super) const CBC: Protection =
    Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 };

pub(super) fn protections() -> Vec<Protection> {
    let mut all = vec![Protection::Aead(Aead::ChaCha20Poly1305)];
    for key in [AesKey::Aes128, AesKey::Aes256] {
        for icv in [GcmIcv::Eight, GcmIcv::Twelve, GcmIcv::Sixteen] {
            all.push(Protection::Aead(Aead::AesGcm(key, icv)));
        }
    }
    let ciphers = [AesKey::Aes128, AesKey::Aes192, AesKey::Aes256].map(Cbc::Aes);
    for encryption in ciphers.into_iter().chain([Cbc::TripleDes]) {
        for integrity in [
            Integrity::HmacSha1_96,
            Integrity::HmacSha256_96,
            Integrity::HmacSha256_128,
            Integrity::HmacSha384_192,
            Integrity::HmacSha512_256,
        ] {
            all.push(Protection::CbcHmac { encryption, integrity });
        }
    }
    all
}

pub(super) fn suites() -> Vec<EspSuite> {
    protections().into_iter().flat_map(|protection| [false, true].map(|esn| EspSuite { protection, esn })).collect()
}

pub(super) fn keys(protection: Protection, seed: u64) -> ProtectionKeys {
    let mut random = SeededRandom::new(seed);
    let mut key = |len| {
        let mut octets = vec![0; len];
        random.fill(&mut octets);
        Secret::new(octets)
    };
    ProtectionKeys { encryption: key(protection.encryption_key_len()), integrity: key(protection.integrity_key_len()) }
}

pub(super) fn ivs() -> IvGenerator {
    IvGenerator::new(&mut SeededRandom::new(7))
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn path() -> Path {
    Path { local: address("192.0.2.1:40000"), remote: address("198.51.100.1:4500"), framing: Framing::Marked }
}

pub(super) fn arrival() -> Arrival {
    Arrival { path: path(), tos: 0 }
}

pub(super) fn subnet(text: &str) -> Selector {
    let (start, len) = text.split_once('/').unwrap();
    Selector::from_prefix(start.parse::<IpAddr>().unwrap(), len.parse().unwrap()).unwrap()
}

/// Our 10.200.0.1 and fd20::1, the gateway's 10.250.0.0/24 and fd25::/64.
pub(super) fn ours() -> Vec<Selector> {
    vec![subnet("10.200.0.1/32"), subnet("fd20::1/128")]
}

pub(super) fn theirs() -> Vec<Selector> {
    vec![subnet("10.250.0.0/24"), subnet("fd25::/64")]
}

pub(super) fn outbound_sa(suite: EspSuite, spi: u32, seed: u64) -> OutboundParameters {
    OutboundParameters {
        spi: OutboundSpi::new(spi).unwrap(),
        suite,
        keys: keys(suite.protection, seed),
        sources: ours(),
        destinations: theirs(),
        path: path(),
        lifetime: Lifetime::default(),
    }
}

/// The other end of `outbound_sa`: what the gateway has.
pub(super) fn inbound_sa(suite: EspSuite, spi: u32, seed: u64) -> InboundParameters {
    InboundParameters {
        spi: InboundSpi::new(spi).unwrap(),
        suite,
        keys: keys(suite.protection, seed),
        sources: ours(),
        destinations: theirs(),
        replay_window: 1024,
        lifetime: Lifetime::default(),
    }
}

/// A client's outbound half and a gateway's inbound half.
pub(super) struct Pair {
    pub(super) outbound: OutboundPath,
    pub(super) inbound: InboundPath,
    pub(super) sending: Batch,
    pub(super) receiving: Batch,
}

impl Pair {
    pub(super) fn empty() -> Self {
        Self {
            outbound: OutboundPath::new(&mut SeededRandom::new(1)),
            inbound: InboundPath::new(),
            sending: Batch::new(64, 9216),
            receiving: Batch::new(64, 9500),
        }
    }

    pub(super) fn with(suite: EspSuite) -> Self {
        let mut pair = Self::empty();
        pair.install(NOW, CHILD, inbound_sa(suite, 0x1000, 1));
        pair.switch(NOW, CHILD, outbound_sa(suite, 0x1000, 1));
        pair
    }

    pub(super) fn install(&mut self, now: Instant, child: ChildId, sa: InboundParameters) {
        self.apply(now, DataCommand::InstallInbound { child, sa: Box::new(sa) });
    }

    pub(super) fn switch(&mut self, now: Instant, child: ChildId, sa: OutboundParameters) {
        self.apply(now, DataCommand::SwitchOutbound { child, sa: Box::new(sa) });
    }

    pub(super) fn apply(&mut self, now: Instant, command: DataCommand) {
        let (outbound, inbound) = split(command);
        if let Some(command) = outbound {
            self.outbound.apply(now, command).unwrap();
        }
        if let Some(command) = inbound {
            self.inbound.apply(now, command).unwrap();
        }
    }

    /// Seals packets and gives back the datagrams.
    pub(super) fn send(&mut self, now: Instant, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        self.sending.clear();
        for packet in packets {
            assert!(self.sending.push_inner(packet));
        }
        self.outbound.process(now, &mut self.sending);
        self.sending.sealed().map(|sealed| sealed.datagram.to_vec()).collect()
    }

    /// Opens datagrams and gives back the inner packets.
    pub(super) fn receive(&mut self, now: Instant, datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
        self.receiving.clear();
        for datagram in datagrams {
            assert!(self.receiving.push_datagram(datagram, arrival()));
        }
        self.inbound.process(now, &mut self.receiving);
        self.receiving.inner().map(<[u8]>::to_vec).collect()
    }
}

/// A UDP packet from us to the gateway's side with this many octets of content.
pub(super) fn udp(content: usize) -> Vec<u8> {
    let len = u16::try_from(8 + content).unwrap().to_be_bytes();
    let mut payload = vec![0x30, 0x39, 0, 53, len[0], len[1], 0, 0];
    payload.extend((0..content).map(|index| u8::try_from(index % 251).unwrap()));
    ipv4("10.200.0.1", "10.250.0.5", 17, &payload)
}
