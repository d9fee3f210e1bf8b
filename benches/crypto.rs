//! What a key agreement and a packet cost: `cargo bench --bench crypto --no-default-features`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vpnd::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Opener, Protection, ProtectionKeys, Sealer, Text};
use vpnd::crypto::dh::{EphemeralSecret, Group};
use vpnd::crypto::multibuffer::Backend;
use vpnd::crypto::random::{IvGenerator, Random};
use vpnd::crypto::secret::Secret;

const GROUPS: [(&str, Group); 9] = [
    ("modp1024", Group::Modp1024),
    ("modp1536", Group::Modp1536),
    ("modp2048", Group::Modp2048),
    ("modp3072", Group::Modp3072),
    ("modp4096", Group::Modp4096),
    ("ecp256", Group::Ecp256),
    ("ecp384", Group::Ecp384),
    ("ecp521", Group::Ecp521),
    ("curve25519", Group::Curve25519),
];

const fn gcm(key: AesKey, icv: GcmIcv) -> Protection {
    Protection::Aead(Aead::AesGcm(key, icv))
}

const fn cbc(key: AesKey, integrity: Integrity) -> Protection {
    Protection::CbcHmac { encryption: Cbc::Aes(key), integrity }
}

const SUITES: [(&str, Protection); 9] = [
    ("aes128gcm16", gcm(AesKey::Aes128, GcmIcv::Sixteen)),
    ("aes256gcm16", gcm(AesKey::Aes256, GcmIcv::Sixteen)),
    ("aes256gcm12", gcm(AesKey::Aes256, GcmIcv::Twelve)),
    ("chacha20poly1305", Protection::Aead(Aead::ChaCha20Poly1305)),
    ("aes128-sha256", cbc(AesKey::Aes128, Integrity::HmacSha256_128)),
    ("aes256-sha256", cbc(AesKey::Aes256, Integrity::HmacSha256_128)),
    ("aes256-sha512", cbc(AesKey::Aes256, Integrity::HmacSha512_256)),
    ("aes128-sha1", cbc(AesKey::Aes128, Integrity::HmacSha1_96)),
    ("3des-sha1", Protection::CbcHmac { encryption: Cbc::TripleDes, integrity: Integrity::HmacSha1_96 }),
];

/// Cheap and good enough to time with; keys made of it protect nothing.
struct Counting(u64);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for octet in out {
            self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            *octet = (self.0 >> 33) as u8;
        }
    }
}

fn agreement(c: &mut Criterion) {
    let mut group = c.benchmark_group("generate and agree");
    for (name, which) in GROUPS {
        let theirs = EphemeralSecret::generate(which, &mut Counting(1));
        let mut random = Counting(2);
        group.bench_function(name, |b| {
            b.iter(|| EphemeralSecret::generate(which, &mut random).agree(black_box(theirs.public())).unwrap());
        });
    }
}

fn packets(c: &mut Criterion) {
    let associated = [1; 8];
    for (name, protection) in SUITES {
        let keys = ProtectionKeys {
            encryption: Secret::new((0..protection.encryption_key_len()).map(|n| n as u8).collect()),
            integrity: Secret::new(vec![9; protection.integrity_key_len()]),
        };
        let (sealer, opener) = (Sealer::new(protection, &keys).unwrap(), Opener::new(protection, &keys).unwrap());
        let iv = vec![3; protection.iv_len()];
        for octets in [64, 576, 1400] {
            let len = octets - octets % protection.block_len();
            let (mut text, mut icv) = (vec![7; len], vec![0; protection.icv_len()]);
            let mut group = c.benchmark_group(format!("{name}/{octets}"));
            group.throughput(Throughput::Bytes(len as u64));
            group.bench_function("seal", |b| {
                b.iter(|| {
                    let job = Text { associated: &associated, iv: &iv, text: &mut text, suffix: &[], icv: &mut icv };
                    sealer.seal(black_box(job)).unwrap();
                });
            });
            let sealed = {
                let job = Text { associated: &associated, iv: &iv, text: &mut text, suffix: &[], icv: &mut icv };
                sealer.seal(job).unwrap();
                text.clone()
            };
            group.bench_function("open, with a copy", |b| {
                b.iter(|| {
                    text.copy_from_slice(&sealed);
                    let job = Text { associated: &associated, iv: &iv, text: &mut text, suffix: &[], icv: &mut icv };
                    opener.open(black_box(job)).unwrap()
                });
            });
        }
    }
}

/// A batch of packets of one length, by every backend; only suites that have lanes.
fn batches(c: &mut Criterion) {
    const PACKETS: usize = 64;
    let with_lanes = SUITES.into_iter().filter(|(_, protection)| matches!(protection, Protection::CbcHmac { .. }));
    for (name, protection) in with_lanes {
        let keys = ProtectionKeys {
            encryption: Secret::new((0..protection.encryption_key_len()).map(|n| n as u8).collect()),
            integrity: Secret::new(vec![9; protection.integrity_key_len()]),
        };
        let iv = vec![3; protection.iv_len()];
        for octets in [64, 576, 1400] {
            let len = octets - octets % protection.block_len();
            let plain = vec![(vec![7; len], vec![0; protection.icv_len()]); PACKETS];
            let mut group = c.benchmark_group(format!("{name}/{octets}, {PACKETS} at once"));
            group.throughput(Throughput::Bytes((PACKETS * len) as u64));
            for backend in Backend::available() {
                let sealer = Sealer::with_backend(protection, &keys, backend).unwrap();
                let opener = Opener::with_backend(protection, &keys, backend).unwrap();
                let jobs = |packets: &mut Vec<(Vec<u8>, Vec<u8>)>, work: &mut dyn FnMut(&mut [Text<'_>])| {
                    let parts = packets.iter_mut();
                    let jobs = parts.map(|(text, icv)| Text { associated: &[1; 8], iv: &iv, text, suffix: &[], icv });
                    work(&mut jobs.collect::<Vec<_>>());
                };
                let mut packets = plain.clone();
                group.bench_function(format!("seal/{}", backend.name()), |b| {
                    jobs(&mut packets, &mut |jobs| b.iter(|| sealer.seal_batch(black_box(jobs)).unwrap()));
                });
                let (mut sealed, mut verdicts) = (plain.clone(), Vec::with_capacity(PACKETS));
                jobs(&mut sealed, &mut |jobs| sealer.seal_batch(jobs).unwrap());
                group.bench_function(format!("open, with a copy/{}", backend.name()), |b| {
                    b.iter(|| {
                        packets.iter_mut().zip(&sealed).for_each(|((to, icv), (from, right))| {
                            to.copy_from_slice(from);
                            icv.copy_from_slice(right);
                        });
                        jobs(&mut packets, &mut |jobs| opener.open_batch(black_box(jobs), &mut verdicts));
                        assert!(verdicts.iter().all(Result::is_ok));
                    });
                });
            }
        }
    }
}

fn ivs(c: &mut Criterion) {
    let mut ivs = IvGenerator::new(&mut Counting(3));
    let mut iv = [0; 16];
    c.bench_function("iv", |b| b.iter(|| ivs.next(black_box(&mut iv))));
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = agreement, packets, batches, ivs
}
criterion_main!(benches);
