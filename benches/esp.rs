//! Sealing and opening by suite: a batch of 32 packets is copied in, processed by the path as the daemon does it, and cleared.
//! Throughput is in octets of inner packets, on one thread.

use std::{hint::black_box, net::IpAddr};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vpnd::{
    crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Protection},
    esp::dataplane::{Arrival, Batch},
    time::Instant,
};

mod halves;

use halves::{halves, path};

const PACKETS: usize = 32;
const SIZES: [usize; 3] = [64, 576, 1400];
fn suites() -> [(&'static str, Protection); 8] {
    let cbc = |key, integrity| Protection::CbcHmac { encryption: Cbc::Aes(key), integrity };
    [
        ("aes128-sha1", cbc(AesKey::Aes128, Integrity::HmacSha1_96)),
        ("aes128-sha256", cbc(AesKey::Aes128, Integrity::HmacSha256_128)),
        ("aes256-sha256", cbc(AesKey::Aes256, Integrity::HmacSha256_128)),
        ("aes256-sha384", cbc(AesKey::Aes256, Integrity::HmacSha384_192)),
        ("aes256-sha512", cbc(AesKey::Aes256, Integrity::HmacSha512_256)),
        ("aes128gcm16", Protection::Aead(Aead::AesGcm(AesKey::Aes128, GcmIcv::Sixteen))),
        ("aes256gcm16", Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen))),
        ("chacha20poly1305", Protection::Aead(Aead::ChaCha20Poly1305)),
    ]
}

/// A UDP packet of `len` octets in all.
fn packet(len: usize) -> Vec<u8> {
    let [high, low] = u16::try_from(len).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0, high, low, 0, 0, 0, 0, 64, 17, 0, 0];
    for address in ["10.200.0.1", "10.250.0.5"] {
        let IpAddr::V4(address) = address.parse().unwrap() else { unreachable!() };
        packet.extend(address.octets());
    }
    let sum: u32 = packet.as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.resize(len, 0xa5);
    packet
}

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal");
    for (name, protection) in suites() {
        for size in SIZES {
            let (mut outbound, _) = halves(protection);
            let mut batch = Batch::new(PACKETS, 2048);
            let packet = packet(size);
            group.throughput(Throughput::Bytes(u64::try_from(PACKETS * size).unwrap()));
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| {
                    batch.clear();
                    while batch.push_inner(&packet) {}
                    outbound.process(Instant::START, &mut batch);
                    assert_eq!(black_box(&batch).sealed().count(), PACKETS);
                });
            });
        }
    }
}

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open");
    for (name, protection) in suites() {
        for size in SIZES {
            let (mut outbound, mut inbound) = halves(protection);
            let mut batch = Batch::new(PACKETS, 2048);
            while batch.push_inner(&packet(size)) {}
            outbound.process(Instant::START, &mut batch);
            let datagrams: Vec<_> = batch.sealed().map(|sealed| sealed.datagram.to_vec()).collect();
            group.throughput(Throughput::Bytes(u64::try_from(PACKETS * size).unwrap()));
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| {
                    batch.clear();
                    for datagram in &datagrams {
                        batch.push_datagram(datagram, Arrival { path: path(), tos: 0 });
                    }
                    inbound.process(Instant::START, &mut batch);
                    assert_eq!(black_box(&batch).inner().count(), PACKETS);
                });
            });
        }
    }
}

criterion_group!(benches, seal, open);
criterion_main!(benches);
