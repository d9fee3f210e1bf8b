//! The client's process is replaced by another one, which goes on with its SAs.

use std::time::Duration;

use vpnd::crypto::random::{Random, SeededRandom};
use vpnd::sa::lifetime::Lifetime;
use vpnd::sa::suite::Group;
use vpnd::sim::Peer;
use vpnd::sim::link::Quality;
use vpnd::sim::scene::{self, Suites};
use vpnd::sim::world::World;

use super::{MINUTE, cbc, failures, pings, quick};

const SECOND: Duration = Duration::from_secs(1);

/// A packet every tenth of a second; all come back in their order, and the session is never lost.
fn nothing_is_lost<G: Peer>(world: &mut World<G>, seconds: u64, what: &str) {
    assert_eq!(pings(world, seconds * 10), seconds * 10, "{what}: {} handovers", world.handovers());
    assert!(failures(world).is_empty(), "{what}: {:?}", failures(world));
    assert!(world.delivered_in_order(), "{what}: packets overtook each other");
}

#[test]
fn an_ikev2_tunnel_goes_on_in_hundreds_of_processes_through_all_its_rekeys() {
    for seed in 0..4 {
        let mut scene = scene::plain(quick(), seed);
        let life = |time| Lifetime { time: Some(time), ..Lifetime::default() };
        scene.client.profile.child.lifetime = life(10 * SECOND);
        scene.client.profile.ike_lifetime = life(25 * SECOND);
        scene.client.profile.child.offers[0].pfs = vec![Group::Curve25519];
        scene.gateway.pfs = Some(Group::Curve25519);
        scene.gateway.child_rekey = (seed % 2 == 0).then_some(7 * SECOND);
        scene.gateway.ike_rekey = (seed < 2).then_some(18 * SECOND);
        let mut world = World::new(scene);
        assert!(world.run_until_up(MINUTE));
        world.replace_the_process(seed, 3);
        nothing_is_lost(&mut world, 300, "IKEv2");
        let counts = world.gateway.counts();
        assert!(world.handovers() > 300, "seed {seed}: {}", world.handovers());
        assert!(counts.children_by_client + counts.children_by_gateway >= 20, "{counts:?}");
        assert!(counts.ikes_by_client + counts.ikes_by_gateway >= 8, "{counts:?}");
        assert_eq!((world.gateway.child_count(), counts.authenticated), (1, 1), "the gateway sees one client");
        assert!(world.close(MINUTE) && world.client.closed == Some(true));
    }
}

#[test]
fn an_ikev1_tunnel_goes_on_in_hundreds_of_processes_through_all_its_rekeys() {
    for seed in 0..2 {
        let mut scene = scene::plain_v1(Suites::of(cbc(), Group::Ecp256), seed);
        scene.client.profile.child.lifetime.time = Some(20 * SECOND);
        scene.client.profile.ike_lifetime.time = Some(45 * SECOND);
        scene.gateway.rekeys = (seed % 2 == 0).then_some(13 * SECOND);
        scene::with_pfs(&mut scene, Group::Ecp256);
        let mut world = World::new(scene);
        assert!(world.run_until_up(MINUTE), "{:?}", world.told());
        world.run(2 * SECOND);
        world.replace_the_process(seed, 3);
        nothing_is_lost(&mut world, 120, "IKEv1");
        assert!(world.handovers() > 100, "seed {seed}: {}", world.handovers());
        assert!(world.close(MINUTE));
    }
}

#[test]
fn every_protection_and_both_sequence_sizes_go_on() {
    use vpnd::sa::suite::{Aead, Protection};
    for protection in [super::gcm(), cbc(), Protection::Aead(Aead::ChaCha20Poly1305)] {
        for esn in [false, true] {
            let suites = Suites { esn, ..Suites::of(protection, Group::Curve25519) };
            let mut world = World::new(scene::plain(suites, 1));
            assert!(world.run_until_up(MINUTE));
            world.replace_the_process(1, 5);
            nothing_is_lost(&mut world, 20, &format!("{protection:?}"));
            assert!(world.handovers() > 10);
        }
    }
}

#[test]
fn a_bad_link_and_an_attacker_make_no_handover_fail() {
    for seed in 0..10 {
        let mut draw = [0; 2];
        SeededRandom::new(seed).fill(&mut draw);
        let mut scene = scene::plain(quick(), seed);
        scene.quality = Quality { loss: u32::from(draw[0]), jitter: Duration::from_millis(60), ..Quality::GOOD };
        scene.client.profile.child.lifetime.time = Some(20 * SECOND);
        scene.client.profile.ike_lifetime.time = Some(70 * SECOND);
        let mut world = World::new(scene);
        world.attack(seed, 60);
        world.replace_the_process(seed, 4);
        assert!(world.run_until_up(20 * MINUTE), "seed {seed}");
        pings(&mut world, 500);
        world.link.quality = Quality::GOOD;
        world.run(2 * MINUTE);
        assert!(world.run_until_up(10 * MINUTE), "seed {seed}");
        assert!(pings(&mut world, 20) >= 19, "seed {seed}");
        assert!(world.handovers() > 10, "seed {seed}: {}", world.handovers());
    }
}

#[test]
fn a_tunnel_that_is_down_hands_over_what_it_remembers_and_the_next_process_tries_at_once() {
    let mut scene = scene::plain(quick(), 1);
    scene.quality = Quality { loss: 1000, ..Quality::GOOD };
    let mut world = World::new(scene);
    assert!(!world.run_until_up(Duration::from_secs(130)));
    let mut handed = false;
    for _ in 0..2000 {
        handed |= world.hand_over(7).is_ok();
        if handed {
            break;
        }
        world.run(Duration::from_millis(100));
    }
    assert!(handed, "it waits between two attempts now and then");
    world.link.quality = Quality::GOOD;
    assert!(world.run_until_up(Duration::from_secs(10)));
}

#[test]
fn while_the_tunnel_is_made_or_closed_nothing_is_handed_over() {
    let mut world = World::new(scene::plain(quick(), 1));
    assert!(world.hand_over(1).unwrap_err().contains("being made"));
    assert!(world.run_until_up(MINUTE));
    assert_eq!(world.hand_over(1), Ok(()));
    assert!(world.close(MINUTE));
    assert!(world.hand_over(1).unwrap_err().contains("closed"));
}
