//! One fault at a time: every message of the handshake dropped, doubled, delayed, and every octet of it flipped. Whatever happens, the tunnel
//! comes up: at once, after a repetition, or after a clean failure and another attempt.

use std::time::Duration;

use vpnd::sa::suite::Group;
use vpnd::sim::link::Fault;
use vpnd::sim::scene::{self, Suites};
use vpnd::sim::world::{Scene, World};

use super::{MINUTE, cbc, gcm, pings};

/// Datagrams of an undisturbed handshake, and their lengths.
fn undisturbed(scene: Scene) -> Vec<usize> {
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.wire.iter().map(|(_, datagram)| datagram.octets.len()).collect()
}

fn survives(scene: Scene, number: usize, fault: Fault) {
    let mut world = World::new(scene);
    world.link.fault(number as u64, fault);
    assert!(world.run_until_up(10 * MINUTE), "datagram {number}, {fault:?}: {:?}", world.told());
    assert_eq!(pings(&mut world, 2), 2, "datagram {number}, {fault:?}: no traffic");
}

fn fragmented(suites: Suites, seed: u64) -> Scene {
    let mut scene = scene::plain(suites, seed);
    scene.client.profile.fragmentation = Some(576);
    scene.gateway.fragment = Some(100);
    scene
}

fn with_cookie(suites: Suites, seed: u64) -> Scene {
    let mut scene = scene::plain(suites, seed);
    scene.gateway.cookie = true;
    scene
}

type Beginning = fn(Suites, u64) -> Scene;

fn beginnings() -> [(&'static str, Beginning, Suites); 4] {
    [
        ("aead", scene::plain, Suites::of(gcm(), Group::Curve25519)),
        ("cbc", scene::plain, Suites::of(cbc(), Group::Ecp256)),
        ("cookie", with_cookie, Suites::of(gcm(), Group::Curve25519)),
        ("fragments", fragmented, Suites::of(gcm(), Group::Curve25519)),
    ]
}

#[test]
fn every_message_may_be_lost_doubled_or_late() {
    for (name, scene, suites) in beginnings() {
        let lengths = undisturbed(scene(suites, 7));
        assert!(lengths.len() >= 4, "{name}: {} datagrams", lengths.len());
        for number in 0..lengths.len() {
            for fault in [
                Fault::Drop,
                Fault::Double,
                Fault::Delay(Duration::from_millis(300)),
                Fault::Delay(Duration::from_secs(3)),
                Fault::Delay(Duration::from_secs(40)),
            ] {
                survives(scene(suites, 7), number, fault);
            }
        }
    }
}

#[test]
fn every_octet_of_every_message_may_be_flipped() {
    let mut flipped = 0;
    for (name, scene, suites) in beginnings() {
        for (number, length) in undisturbed(scene(suites, 7)).into_iter().enumerate() {
            for place in 0..length {
                survives(scene(suites, 7), number, Fault::Flip(place, 1 << (place % 8)));
                flipped += 1;
            }
        }
        assert!(flipped > 500, "{name}: only {flipped} octets");
    }
}

#[test]
fn every_message_may_be_cut_anywhere() {
    for (_, scene, suites) in beginnings() {
        for (number, length) in undisturbed(scene(suites, 7)).into_iter().enumerate() {
            for place in (0..length).step_by(7) {
                survives(scene(suites, 7), number, Fault::Cut(place));
            }
        }
    }
}
