//! Super-packets of the TUN device into the segments that are sealed, with finished checksums. Throughput is in octets of payload, on one thread.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vpnd::esp::batch::Batch;
use vpnd::io::offload::checksum::{Sum, pseudo_header};
use vpnd::io::offload::header::{Header, Segmentation, Segmented, Unfinished};
use vpnd::io::offload::split::Split;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// A packet over IPv4 with an unfinished checksum, as the kernel hands it over.
fn packet(protocol: u8, payload: usize) -> Vec<u8> {
    let upper = match protocol {
        TCP => [&[0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x10, 1, 0, 0, 0, 0, 0][..], &[1; 12], &vec![7; payload]]
            .concat(),
        _ => {
            let len = u16::try_from(payload + 8).unwrap().to_be_bytes();
            [&[0, 1, 0, 2, len[0], len[1], 0, 0][..], &vec![7; payload]].concat()
        }
    };
    let total = u16::try_from(20 + upper.len()).unwrap().to_be_bytes();
    let mut header = vec![0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let checksum = Sum::default().add(&header).checksum();
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    let field = 20 + if protocol == TCP { 16 } else { 6 };
    let unfinished = pseudo_header(&header[12..20], protocol, upper.len()).fold();
    let mut packet = [header, upper].concat();
    packet[field..field + 2].copy_from_slice(&unfinished.to_be_bytes());
    packet
}

fn header(protocol: u8, size: Option<u16>) -> Header {
    let segmented = if protocol == TCP { Segmented::TcpV4 } else { Segmented::Udp };
    let segmentation =
        size.map(|size| Segmentation { protocol: segmented, size: size.try_into().unwrap(), ecn: false });
    let offset = if protocol == TCP { 16 } else { 6 };
    Header { unfinished: Some(Unfinished { start: 20, offset }), segmentation, header_len: 0 }
}

fn split(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("split");
    for (name, protocol, payload, size) in [
        ("tcp", TCP, 1388, None),
        ("tcp", TCP, 64_000, Some(1388)),
        ("tcp", TCP, 64_000, Some(536)),
        ("udp", UDP, 64, None),
        ("udp", UDP, 64_000, Some(1200)),
    ] {
        let packet = packet(protocol, payload);
        let header = header(protocol, size);
        let mut batch = Batch::packed(128, 224 << 10);
        group.throughput(Throughput::Bytes(u64::try_from(payload).unwrap()));
        let sizes = size.map_or_else(|| format!("{payload}"), |size| format!("{payload} in {size}"));
        group.bench_function(BenchmarkId::new(name, sizes), |bencher| {
            bencher.iter(|| {
                batch.clear();
                let mut split = Split::new(&header, black_box(&packet)).unwrap();
                while let Some(vacant) = batch.vacant().filter(|_| !split.is_done()) {
                    let len = split.write(&packet, vacant).unwrap();
                    batch.fill_inner(len);
                }
                batch.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, split);
criterion_main!(benches);
