//! The whole data plane in memory, without the kernel: super-packets are split and sealed, the datagrams copied to the other end, opened and merged.
//! Throughput is in octets of payload, or in packets where they are small; both ends on one thread.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vpnd::{
    crypto::{
        cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Protection, ProtectionKeys},
        random::Random,
        secret::Secret,
    },
    esp::dataplane::{Arrival, Batch, InboundPath, OutboundPath, split},
    io::offload::{
        checksum::{Sum, pseudo_header},
        coalesce::{Coalescer, Mergeable},
        header::{Header, Segmentation, Segmented, Unfinished},
        split::Split,
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

const SPI: u32 = 0x1000;

struct Counting(u8);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for octet in out {
            self.0 = self.0.wrapping_mul(5).wrapping_add(1);
            *octet = self.0;
        }
    }
}

fn suites() -> [(&'static str, Protection); 3] {
    let encryption = Cbc::Aes(AesKey::Aes256);
    [
        ("aes256-sha256", Protection::CbcHmac { encryption, integrity: Integrity::HmacSha256_128 }),
        ("aes256gcm16", Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen))),
        ("chacha20poly1305", Protection::Aead(Aead::ChaCha20Poly1305)),
    ]
}

fn keys(protection: Protection) -> ProtectionKeys {
    let key = |len: usize| Secret::new((0..=255).cycle().take(len).collect());
    ProtectionKeys { encryption: key(protection.encryption_key_len()), integrity: key(protection.integrity_key_len()) }
}

fn path() -> Path {
    Path {
        local: "192.0.2.1:4500".parse().unwrap(),
        remote: "198.51.100.1:4500".parse().unwrap(),
        framing: Framing::Marked,
    }
}

fn halves(protection: Protection) -> (OutboundPath, InboundPath) {
    let suite = EspSuite { protection, esn: false };
    let any = || vec![Selector::any_v4()];
    let mut outbound = OutboundPath::new(&mut Counting(0));
    let mut inbound = InboundPath::new();
    let install = DataCommand::InstallInbound {
        child: ChildId(1),
        sa: Box::new(InboundParameters {
            spi: InboundSpi::new(SPI).unwrap(),
            suite,
            keys: keys(protection),
            sources: any(),
            destinations: any(),
            // The same datagrams come again and again.
            replay_window: 0,
            lifetime: Lifetime::default(),
        }),
    };
    let switch = DataCommand::SwitchOutbound {
        child: ChildId(1),
        sa: Box::new(OutboundParameters {
            spi: OutboundSpi::new(SPI).unwrap(),
            suite,
            keys: keys(protection),
            sources: any(),
            destinations: any(),
            path: path(),
            lifetime: Lifetime::default(),
        }),
    };
    for command in [install, switch] {
        let (to_outbound, to_inbound) = split(command);
        if let Some(command) = to_outbound {
            outbound.apply(Instant::START, command).unwrap();
        }
        if let Some(command) = to_inbound {
            inbound.apply(Instant::START, command).unwrap();
        }
    }
    (outbound, inbound)
}

/// What the device of one end gives: `payload` octets of one TCP flow, or of one UDP flow, to be cut.
struct Load {
    header: Header,
    packet: Vec<u8>,
}

impl Load {
    fn new(protocol: u8, flow: u8, payload: usize, size: u16) -> Self {
        let is_tcp = protocol == 6;
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 200, 0, flow, 10, 250, 0, 5];
        if is_tcp {
            packet.extend([0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
        } else {
            let len = u16::try_from(payload + 8).unwrap().to_be_bytes();
            packet.extend([0, 1, 0, 2, len[0], len[1], 0, 0]);
        }
        packet.resize(packet.len() + payload, 0xa5);
        let total = u16::try_from(packet.len()).unwrap();
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        let checksum = Sum::default().add(&packet[..20]).checksum();
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        let offset = if is_tcp { 16 } else { 6 };
        let sum = pseudo_header(&packet[12..20], protocol, packet.len() - 20).fold();
        packet[20 + offset..22 + offset].copy_from_slice(&sum.to_be_bytes());
        let protocol = if is_tcp { Segmented::TcpV4 } else { Segmented::Udp };
        let segmentation = Some(Segmentation { protocol, size: size.try_into().unwrap(), ecn: false });
        let unfinished = Some(Unfinished { start: 20, offset: u16::try_from(offset).unwrap() });
        Self { header: Header { unfinished, segmentation, header_len: 0 }, packet }
    }
}

struct Ends {
    outbound: OutboundPath,
    inbound: InboundPath,
    sending: Batch,
    receiving: Batch,
    coalescer: Coalescer,
}

impl Ends {
    fn new(protection: Protection) -> Self {
        let (outbound, inbound) = halves(protection);
        let coalescer = Coalescer::new(Mergeable { tcp: true, udp: true }, 128);
        Self { outbound, inbound, sending: Batch::packed(128, 224 << 10), receiving: Batch::new(128, 2048), coalescer }
    }

    /// From one device to the other. Gives the writes that the second would see.
    fn carry(&mut self, loads: &[Load]) -> usize {
        self.sending.clear();
        self.receiving.clear();
        for load in loads {
            let mut split = Split::new(&load.header, black_box(&load.packet)).unwrap();
            while let Some(vacant) = self.sending.vacant().filter(|_| !split.is_done()) {
                let len = split.write(&load.packet, vacant).unwrap();
                self.sending.fill_inner(len);
            }
        }
        self.outbound.process(Instant::START, &mut self.sending);
        for sealed in self.sending.sealed() {
            assert!(self.receiving.push_datagram(sealed.datagram, Arrival { path: path(), tos: 0 }));
        }
        self.inbound.process(Instant::START, &mut self.receiving);
        let packets: Vec<&[u8]> = self.receiving.inner().collect();
        self.coalescer.merge(&packets).map(|parcel| black_box(parcel.payloads().count().min(1))).sum()
    }
}

fn dataplane(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dataplane");
    for (name, protection) in suites() {
        for (load, protocol, flows, payload, size) in [
            ("1 flow of TCP", 6, 1_u8, 60_000, 1360),
            ("16 flows of TCP", 6, 16, 5 * 1360, 1360),
            ("packets of 64 octets", 17, 1, 64 * 36, 36),
        ] {
            let loads: Vec<_> = (1..=flows).map(|flow| Load::new(protocol, flow, payload, size)).collect();
            let mut ends = Ends::new(protection);
            assert_eq!(ends.carry(&loads), usize::from(flows));
            let octets = u64::from(flows) * u64::try_from(payload).unwrap();
            group.throughput(if size < 100 { Throughput::Elements(64) } else { Throughput::Bytes(octets) });
            group.bench_function(BenchmarkId::new(name, load), |bencher| bencher.iter(|| ends.carry(&loads)));
        }
    }
    group.finish();
}

criterion_group!(benches, dataplane);
criterion_main!(benches);
