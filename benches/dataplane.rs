//! The whole data plane in memory, without the kernel: super-packets are split and sealed, the datagrams copied to the other end, opened and merged.
//! Throughput is in octets of payload, or in packets where they are small; both ends on one thread.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vpnd::{
    crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Protection},
    esp::dataplane::{Arrival, Batch, InboundPath, OutboundPath},
    io::offload::{
        checksum::{Sum, pseudo_header},
        coalesce::{Coalescer, Mergeable},
        header::{Header, Segmentation, Segmented, Unfinished},
        split::Split,
    },
    time::Instant,
};

mod halves;

use halves::{halves, path};

fn suites() -> [(&'static str, Protection); 3] {
    let encryption = Cbc::Aes(AesKey::Aes256);
    [
        ("aes256-sha256", Protection::CbcHmac { encryption, integrity: Integrity::HmacSha256_128 }),
        ("aes256gcm16", Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen))),
        ("chacha20poly1305", Protection::Aead(Aead::ChaCha20Poly1305)),
    ]
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
