//! One IKEv2 handshake in the simulator, both sides' computations included, by group.

#![allow(missing_docs)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use vpnd::crypto::cipher::{Aead, AesKey, GcmIcv, Protection};
use vpnd::sa::suite::Group;
use vpnd::sim::scene::{self, Suites};
use vpnd::sim::world::World;

const GROUPS: [(&str, Group); 7] = [
    ("curve25519", Group::Curve25519),
    ("ecp256", Group::Ecp256),
    ("ecp384", Group::Ecp384),
    ("ecp521", Group::Ecp521),
    ("modp2048", Group::Modp2048),
    ("modp3072", Group::Modp3072),
    ("modp4096", Group::Modp4096),
];

fn handshake(criterion: &mut Criterion) {
    let protection = Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen));
    let mut group = criterion.benchmark_group("handshake");
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    for (name, dh) in GROUPS {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut world = World::new(scene::plain(Suites::of(protection, dh), 1));
                assert!(world.run_until_up(Duration::from_secs(60)));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, handshake);
criterion_main!(benches);
