//! Super-packets of the TUN device into the segments that are sealed, with finished checksums; segments into super-packets; and the sum that both need.
//! Throughput is in octets of payload, on one thread.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vpnd::esp::batch::Batch;
use vpnd::io::offload::checksum::{Sum, pseudo_header};
use vpnd::io::offload::coalesce::{Coalescer, Mergeable};
use vpnd::io::offload::header::{Header, Segmentation, Segmented, Unfinished};
use vpnd::io::offload::split::Split;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// A packet over IPv4 with an unfinished checksum, as the kernel hands it over.
fn packet(protocol: u8, flow: u8, payload: usize) -> Vec<u8> {
    let upper = match protocol {
        TCP => [&[0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x10, 1, 0, 0, 0, 0, 0][..], &[1; 12], &vec![7; payload]]
            .concat(),
        _ => {
            let len = u16::try_from(payload + 8).unwrap().to_be_bytes();
            [&[0, 1, 0, 2, len[0], len[1], 0, 0][..], &vec![7; payload]].concat()
        }
    };
    let total = u16::try_from(20 + upper.len()).unwrap().to_be_bytes();
    let mut header = vec![0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, flow, 10, 0, 0, 2];
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
        let packet = packet(protocol, 1, payload);
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

/// The segments of a super-packet as they come out of the tunnel.
fn segments(protocol: u8, payload: usize, size: u16, flow: u8) -> Vec<Vec<u8>> {
    let whole = packet(protocol, flow, payload);
    let mut batch = Batch::packed(1, 4096);
    let mut split = Split::new(&header(protocol, Some(size)), &whole).unwrap();
    let mut segments = Vec::new();
    while let Some(vacant) = batch.vacant().filter(|_| !split.is_done()) {
        let len = split.write(&whole, vacant).unwrap();
        segments.push(vacant[..len].to_vec());
        batch.clear();
    }
    segments
}

fn coalesce(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("coalesce");
    for (name, protocol, size, flows, count) in [
        ("tcp, 1 flow", TCP, 1388, 1_u8, 44),
        ("tcp, 16 flows", TCP, 1388, 16, 4),
        ("udp of 36, 1 flow", UDP, 36, 1, 64),
        ("udp of 36, 16 flows", UDP, 36, 16, 4),
    ] {
        let trains: Vec<_> =
            (0..flows).map(|flow| segments(protocol, count * usize::from(size), size, 2 + flow)).collect();
        let packets: Vec<&[u8]> =
            (0..count).flat_map(|number| trains.iter().map(move |train| &train[number][..])).collect();
        let mut coalescer = Coalescer::new(Mergeable { tcp: true, udp: true }, packets.len());
        assert_eq!(coalescer.merge(&packets).count(), usize::from(flows));
        group.throughput(Throughput::Bytes(u64::try_from(packets.len() * usize::from(size)).unwrap()));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                coalescer
                    .merge(black_box(&packets))
                    .map(|parcel| {
                        parcel.headers().map_or(0, |headers| headers.octets().len()) + parcel.payloads().count()
                    })
                    .sum::<usize>()
            });
        });
    }
    group.finish();
}

/// Beside what one writes first.
fn checksum(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checksum");
    for len in [36_usize, 556, 1400] {
        let octets: Vec<u8> = (0_u8..=255).cycle().take(len).collect();
        group.throughput(Throughput::Bytes(u64::try_from(len).unwrap()));
        group.bench_function(BenchmarkId::new("wide", len), |bencher| {
            bencher.iter(|| Sum::default().add(black_box(&octets)).fold());
        });
        group.bench_function(BenchmarkId::new("a word at a time", len), |bencher| {
            bencher.iter(|| {
                let words = black_box(&octets).chunks(2);
                words.map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0))).sum::<u32>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, split, coalesce, checksum);
criterion_main!(benches);
