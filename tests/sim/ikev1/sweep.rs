//! One fault at a time: every message of every kind of beginning lost, doubled, late, cut, and each octet of it flipped. Whatever happens, the
//! tunnel comes up: at once, after a repetition, or after a clean failure and another attempt.

use vpnd::sim::link::Fault;

use super::*;

fn all_of_it() -> Scene {
    let mut scene = with_name();
    scene::with_pfs(&mut scene, Group::Ecp256);
    scene
}

fn in_fragments() -> Scene {
    let mut scene = with_name();
    scene.gateway.fragment = Some(100);
    scene.client.profile.fragmentation = Some(576);
    scene
}

type Beginning = (&'static str, fn() -> Scene);

fn beginnings() -> [Beginning; 4] {
    [("main mode", plain), ("aggressive mode", aggressive), ("XAUTH and PFS", all_of_it), ("fragments", in_fragments)]
}

/// Datagrams of an undisturbed beginning, and their lengths.
fn undisturbed(scene: Scene) -> Vec<usize> {
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
    world.run(Duration::from_millis(100));
    world.wire.iter().map(|(_, datagram)| datagram.octets.len()).collect()
}

fn survives(name: &str, scene: Scene, number: usize, fault: Fault) {
    let mut world = World::new(scene);
    world.link.fault(number as u64, fault);
    assert!(world.run_until_up(10 * MINUTE), "{name}: datagram {number}, {fault:?}: {:?}", story(&world));
    // The gateway may still wait for what was lost.
    world.run(Duration::from_secs(10));
    assert_eq!(pings(&mut world, 2), 2, "{name}: datagram {number}, {fault:?}: no traffic: {:?}", story(&world));
}

fn flipped(name: &str, scene: fn() -> Scene) {
    for (number, length) in undisturbed(scene()).into_iter().enumerate() {
        for place in 0..length {
            survives(name, scene(), number, Fault::Flip(place, 1 << (place % 8)));
        }
    }
}

#[test]
fn k1_021_every_message_may_be_lost_doubled_or_late() {
    for (name, scene) in beginnings() {
        let lengths = undisturbed(scene());
        assert!(lengths.len() >= 8, "{name}: {} datagrams", lengths.len());
        for number in 0..lengths.len() {
            for fault in [
                Fault::Drop,
                Fault::Double,
                Fault::Delay(Duration::from_millis(300)),
                Fault::Delay(Duration::from_secs(3)),
                Fault::Delay(Duration::from_secs(40)),
            ] {
                survives(name, scene(), number, fault);
            }
        }
    }
}

#[test]
fn every_octet_of_main_mode_and_what_follows_may_be_flipped() {
    flipped("main mode", plain);
}

#[test]
fn every_octet_of_aggressive_mode_and_what_follows_may_be_flipped() {
    flipped("aggressive mode", aggressive);
}

#[test]
fn every_octet_of_xauth_and_what_follows_may_be_flipped() {
    flipped("XAUTH and PFS", all_of_it);
}

#[test]
fn every_octet_of_fragments_may_be_flipped() {
    flipped("fragments", in_fragments);
}

#[test]
fn every_message_may_be_cut_anywhere() {
    for (name, scene) in beginnings() {
        for (number, length) in undisturbed(scene()).into_iter().enumerate() {
            for place in (0..length).step_by(11) {
                survives(name, scene(), number, Fault::Cut(place));
            }
        }
    }
}

/// The same for a quick mode by which a child is replaced, by either side: nothing is lost but what the fault hits.
#[test]
fn every_message_of_a_rekeying_may_be_lost_doubled_or_late() {
    let by_client = || {
        let mut scene = with_group();
        scene.client.profile.child.lifetime.time = Some(MINUTE);
        scene
    };
    let by_gateway = || {
        let mut scene = with_group();
        scene.gateway.rekeys = Some(Duration::from_secs(30));
        scene
    };
    for (name, scene) in [("client", by_client as fn() -> Scene), ("gateway", by_gateway)] {
        let begins = undisturbed(scene()).len();
        for number in 0..4 {
            for fault in [Fault::Drop, Fault::Double, Fault::Delay(Duration::from_secs(3))] {
                let mut world = World::new(scene());
                assert!(world.run_until_up(MINUTE));
                // No packet is on the wire but those of the rekeying, so that their numbers are known.
                world.link.fault((begins + number) as u64, fault);
                world.run(Duration::from_secs(100));
                assert!(world.client.is_up(), "{name}: {number}, {fault:?}: {:?}", story(&world));
                assert_eq!(pings(&mut world, 3), 3, "{name}: {number}, {fault:?}");
                assert!(failures(&world).is_empty(), "{name}: {number}, {fault:?}: {:?}", failures(&world));
            }
        }
    }
}
