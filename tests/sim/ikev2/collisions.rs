//! Both sides want something at the same moment (RFC 7296 §2.8, §2.25), by the gateway's hand or by chance.

use std::time::Duration;

use vpnd::sa::lifetime::Lifetime;
use vpnd::sa::suite::Group;
use vpnd::sim::link::Quality;
use vpnd::sim::scene;
use vpnd::sim::world::World;
use vpnd::sim::{Deed, Peer};

use crate::{MINUTE, failures, pings, quick};

const SECOND: Duration = Duration::from_secs(1);

/// What our side wants first, and what the gateway does so long after our request left.
#[derive(Clone, Copy, Debug)]
struct Crossing {
    ours_is_ike: bool,
    theirs_is_ike: bool,
    after: Duration,
    /// First octets of the gateway's nonces.
    nonces: (Option<u8>, Option<u8>),
    seed: u64,
}

/// Lets them cross, and gives what the gateway saw.
fn cross(crossing: Crossing) -> World {
    let mut scene = scene::plain(quick(), crossing.seed);
    let time = Lifetime { time: Some(20 * SECOND), ..Lifetime::default() };
    let long = Lifetime { time: Some(60 * MINUTE), ..Lifetime::default() };
    let (child, ike) = if crossing.ours_is_ike { (long, time) } else { (time, long) };
    scene.client.profile.child.lifetime = child;
    scene.client.profile.ike_lifetime = ike;
    scene.gateway.nonces = crossing.nonces;
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    let begun = world.wire.len();
    assert!(world.run_until(MINUTE, |world| world.wire.len() > begun), "our request");
    world.run(crossing.after);
    let now = world.now();
    let asks = if crossing.theirs_is_ike { world.gateway.rekey_ike(now) } else { world.gateway.rekey_child(now) };
    assert!(asks, "{crossing:?}");
    assert_eq!(pings(&mut world, 80), 80, "{crossing:?}: {:?}", world.gateway.counts());
    assert!(failures(&world).is_empty(), "{crossing:?}: {:?}", failures(&world));
    assert!(world.delivered_in_order());
    assert_eq!(world.gateway.child_count(), 1, "{crossing:?}: {:?}", world.gateway.counts());
    assert_eq!(world.gateway.counts().authenticated, 1);
    world
}

/// The lowest is the gateway's of its request, the gateway's of its answer, or one of ours.
const NONCES: [(Option<u8>, Option<u8>); 3] = [(Some(0), Some(0xff)), (Some(0xff), Some(0)), (Some(0xff), Some(0xff))];

#[test]
fn k2_123_both_rekey_the_child_with_every_order_of_nonces() {
    for seed in 0..8 {
        for nonces in NONCES {
            for after in [0, 2, 4] {
                let after = Duration::from_millis(after);
                let crossing = Crossing { ours_is_ike: false, theirs_is_ike: false, after, nonces, seed };
                let counts = cross(crossing).gateway.counts();
                assert_eq!(counts.collisions, 1, "{crossing:?}");
            }
        }
    }
}

#[test]
fn k2_124_both_rekey_the_ike_sa_with_every_order_of_nonces() {
    for seed in 0..8 {
        for nonces in NONCES {
            for after in [0, 2, 4] {
                let after = Duration::from_millis(after);
                let crossing = Crossing { ours_is_ike: true, theirs_is_ike: true, after, nonces, seed };
                let world = cross(crossing);
                let counts = world.gateway.counts();
                assert_eq!(
                    (counts.collisions, counts.ikes_by_client, counts.ikes_by_gateway),
                    (1, 1, 1),
                    "{crossing:?}"
                );
                assert_eq!(world.gateway.sa_count(), 1, "{crossing:?}");
            }
        }
    }
}

#[test]
fn k2_127_k2_131_a_rekey_of_the_child_and_one_of_the_ike_sa_put_each_other_off() {
    for ours_is_ike in [false, true] {
        for after in [0, 2, 4] {
            let after = Duration::from_millis(after);
            let crossing = Crossing { ours_is_ike, theirs_is_ike: !ours_is_ike, after, nonces: (None, None), seed: 1 };
            let world = cross(crossing);
            let counts = world.gateway.counts();
            assert!(counts.put_off >= 2, "{crossing:?}: {counts:?}");
            assert!(counts.children_by_client + counts.children_by_gateway >= 1, "{crossing:?}: {counts:?}");
            assert!(counts.ikes_by_client + counts.ikes_by_gateway >= 1, "{crossing:?}: {counts:?}");
        }
    }
}

#[test]
fn k2_127_a_request_that_comes_while_the_old_sa_is_deleted_is_put_off() {
    for theirs_is_ike in [false, true] {
        for after in [8, 12, 16, 20] {
            let after = Duration::from_millis(after);
            cross(Crossing { ours_is_ike: false, theirs_is_ike, after, nonces: (None, None), seed: 2 });
        }
    }
}

/// Our first rekey proves the group, and the gateway wants another one; meanwhile it rekeys by itself.
#[test]
fn k2_127_a_rekey_of_the_gateways_that_meets_the_proof_of_the_group_does_not_keep_the_tunnel_from_being_up() {
    for after in 0..24 {
        let mut scene = scene::plain(quick(), 1);
        scene.client.profile.child.offers[0].pfs = vec![Group::Curve25519, Group::Ecp256];
        scene.gateway.pfs = Some(Group::Ecp256);
        let mut world = World::new(scene);
        assert!(world.run_until(MINUTE, |world| world.gateway.child_count() > 0));
        world.run(Duration::from_millis(after));
        let now = world.now();
        world.gateway.rekey_child(now);
        world.touch();
        assert!(world.run_until_up(MINUTE), "{after} ms: {:?}", world.told());
        assert_eq!(pings(&mut world, 20), 20, "{after} ms");
    }
}

/// Up, and just before our request for another child leaves.
fn about_to_rekey() -> World {
    let mut scene = scene::plain(quick(), 4);
    scene.client.profile.child.lifetime = Lifetime { time: Some(20 * SECOND), ..Lifetime::default() };
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world
}

fn until_our_request(world: &mut World) {
    let begun = world.wire.len();
    assert!(world.run_until(MINUTE, |world| world.wire.len() > begun), "our request");
}

#[test]
fn k2_127_a_delete_that_overtakes_the_answer_which_names_what_it_deletes_is_remembered() {
    let mut world = about_to_rekey();
    until_our_request(&mut world);
    world.link.quality.loss = 1000;
    world.run(Duration::from_millis(6));
    assert_eq!(world.gateway.child_count(), 2, "it made one, and its answer is lost");
    world.link.quality = Quality::GOOD;
    let now = world.now();
    world.gateway.act(now, Deed::DeleteChild);
    world.touch();
    world.run(SECOND);
    assert_eq!(pings(&mut world, 20), 20, "{:?}", world.told());
    world.run(MINUTE);
    assert_eq!((pings(&mut world, 20), world.gateway.child_count()), (20, 1), "{:?}", world.told());
    assert!(failures(&world).is_empty() && world.client.is_up());
}

#[test]
fn k2_126_a_rekey_of_what_the_gateway_has_replaced_and_deleted_meanwhile_makes_no_second_child() {
    let mut world = about_to_rekey();
    world.link.quality.loss = 1000;
    until_our_request(&mut world);
    world.link.quality = Quality::GOOD;
    let now = world.now();
    assert!(world.gateway.rekey_child(now));
    world.touch();
    world.run(2 * SECOND);
    assert_eq!(world.gateway.child_count(), 1, "{:?}", world.told());
    assert_eq!(world.gateway.counts().children_by_client, 0, "{:?}", world.told());
    assert_eq!(pings(&mut world, 20), 20, "{:?}", world.told());
}

/// Both sides rekey both kinds all the time, over a link that loses, doubles and reorders: whatever collides, the tunnel stays.
fn storm(seed: u64, loss: u32) {
    let mut scene = scene::plain(quick(), seed);
    let time = |seconds| Lifetime { time: Some(Duration::from_secs(seconds)), ..Lifetime::default() };
    scene.client.profile.child.lifetime = time(40);
    scene.client.profile.ike_lifetime = time(60);
    scene.gateway.child_rekey = Some(Duration::from_millis(32_000 + seed * 37 % 5000));
    scene.gateway.ike_rekey = Some(Duration::from_millis(48_000 + seed * 53 % 9000));
    if seed.is_multiple_of(2) {
        scene.client.profile.child.offers[0].pfs = vec![Group::Curve25519];
        scene.gateway.pfs = Some(Group::Curve25519);
    }
    scene.quality = Quality {
        spares_esp: false,
        loss,
        duplication: loss,
        corruption: 0,
        delay: Duration::from_millis(100 + seed * 29 % 900),
        jitter: Duration::from_millis(200),
    };
    let mut world = World::new(scene);
    assert!(world.run_until_up(20 * MINUTE), "seed {seed}");
    for _ in 0..60 {
        world.ping();
        world.run(5 * SECOND);
    }
    let counts = world.gateway.counts();
    if loss == 0 {
        let (sent, echoed) = world.echoes();
        assert_eq!(sent, echoed, "seed {seed}: {counts:?}");
        assert!(failures(&world).is_empty(), "seed {seed}: {:?}: {counts:?}", failures(&world));
    }
    assert!(world.client.is_up() || world.run_until_up(20 * MINUTE), "seed {seed}");
    assert!(world.gateway.child_count() <= 3, "seed {seed}: {}", world.gateway.child_count());
}

#[test]
fn k2_127_storms_of_rekeys_on_a_slow_link_lose_nothing() {
    (0..100).for_each(|seed| storm(seed, 0));
}

#[test]
fn k2_127_storms_of_rekeys_on_a_bad_link_end_well() {
    (0..100).for_each(|seed| storm(seed, 50 + u32::try_from(seed).expect("small")));
}
