//! What happens on a tunnel that is up: deletes, signs of life, rekeys, things in clear.

use vpnd::ike::action::Failure;
use vpnd::sim::gateway_v1::Unique;
use vpnd::sim::gateway_v1::impair::{Deed, Impairment};
use vpnd::sim::gateway_v1::octets::{delete_payload, exchange, notify, notify_payload, payload};

use super::*;

const PACE: Duration = Duration::from_millis(50);

#[test]
fn k1_017_a_deleted_isakmp_sa_comes_back() {
    for deed in [Deed::DeleteIke, Deed::DeleteAll] {
        let mut world = up_then(plain(), deed);
        assert!(world.run_until(MINUTE, |world| !world.client.is_up()));
        assert!(failures(&world).iter().all(|failure| matches!(failure, Failure::ClosedByPeer)));
        assert!(world.run_until_up(MINUTE));
        assert_eq!(pings(&mut world, 3), 3);
        assert_eq!(world.gateway.sa_count(), 1);
    }
}

#[test]
fn k1_017_v_13_deleted_children_come_back() {
    for deed in [Deed::DeleteChildren, Deed::DeleteTwice, Deed::DeleteThenNotify] {
        let mut world = up_then(plain(), deed.clone());
        world.run(2 * MINUTE);
        assert!(world.client.is_up(), "{deed:?}: {:?}", story(&world));
        assert_eq!(pings(&mut world, 3), 3, "{deed:?}");
        assert_eq!(world.gateway.child_count(), 1, "{deed:?}");
    }
}

#[test]
fn a_gateway_that_deletes_every_child_is_asked_again_after_some_seconds() {
    let mut scene = plain();
    for round in 1..=6 {
        scene.gateway.impairments.push(Impairment::After(round * 4 * PACE, Deed::DeleteChildren));
    }
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    assert!(world.run_until(MINUTE, |world| !world.client.is_up()));
    let seen = failures(&world);
    assert!(matches!(seen.as_slice(), [Failure::ChildrenDeleted { .. }]), "{seen:?}");
    let down = world.now();
    world.gateway.settings_mut().impairments.clear();
    assert!(world.run_until_up(MINUTE));
    assert!(world.now().since(down) >= Duration::from_secs(5), "{:?}", story(&world));
}

#[test]
fn k1_017_deletes_of_what_nobody_knows_are_ignored() {
    for payloads in [
        vec![delete_payload(3, &[&[9, 9, 9, 9]])],
        vec![delete_payload(1, &[&[9; 16]])],
        vec![delete_payload(3, &[&[0, 0, 0, 0], &[255; 4]])],
        vec![(payload::DELETE, vec![0, 0, 0, 1, 3, 4, 0xff, 0xff, 1, 2, 3, 4])],
        vec![(payload::DELETE, vec![0, 0, 0, 2, 3, 4, 0, 1, 1, 2, 3, 4])],
        vec![(payload::DELETE, vec![0, 0, 0, 1, 3, 0, 0, 1])],
        vec![(payload::DELETE, vec![])],
        vec![(99, vec![1, 2, 3])],
        vec![notify_payload(1, &[], 40_000, b"status")],
        vec![notify_payload(1, &[], notify::NO_PROPOSAL_CHOSEN, b"\x1b[31m")],
        vec![],
    ] {
        ignores(plain(), Deed::Protected(exchange::INFORMATIONAL, payloads));
    }
}

#[test]
fn k1_010_v_16_nothing_in_clear_or_with_a_wrong_hash_ends_a_tunnel() {
    let delete = |world: &World| delete_payload(1, &[&world.wire[1].1.octets[..16]]);
    let world = {
        let mut world = World::new(plain());
        assert!(world.run_until_up(MINUTE));
        world
    };
    let payloads = vec![delete(&world)];
    for deed in [
        Deed::ClearDelete,
        Deed::ClearProbe,
        Deed::Clear(vec![notify_payload(1, &[], notify::INVALID_COOKIE, &[])]),
        Deed::Clear(vec![notify_payload(1, &[], notify::INITIAL_CONTACT, &[])]),
        Deed::Clear(vec![notify_payload(1, &[], notify::AUTHENTICATION_FAILED, &[])]),
        Deed::Clear(vec![notify_payload(3, &[], 11, &[1, 2, 3, 4])]),
        Deed::WrongHash(payloads.clone()),
        Deed::WithoutHash(payloads),
        Deed::WithoutHash(vec![(payload::HASH, vec![0; 32])]),
        Deed::ProbeOfAnother,
        Deed::Replay,
    ] {
        ignores(plain(), deed);
    }
}

#[test]
fn v_03_protected_messages_of_odd_exchanges_change_nothing() {
    for kind in [exchange::MAIN, exchange::AGGRESSIVE, exchange::TRANSACTION, 0, 1, 3, 7, 33, 34, 37, 240, 255] {
        ignores(plain(), Deed::Protected(kind, vec![(payload::NONCE, vec![7; 32])]));
    }
}

#[test]
fn k1_016_signs_of_life_go_both_ways() {
    let mut scene = plain();
    scene.gateway.dpd = Some(Duration::from_secs(10));
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.run(10 * MINUTE);
    assert!(world.gateway.counts().probe_answers > 20);
    assert!(failures(&world).is_empty());
    let mut world = World::new(plain());
    assert!(world.run_until_up(MINUTE));
    world.run(10 * MINUTE);
    let counts = world.gateway.counts();
    assert!(counts.probes > 5 && counts.odd_probes == 0, "{counts:?}");
    assert!(failures(&world).is_empty());
}

#[test]
fn k1_016_numbers_stay_in_order_when_probes_are_lost() {
    let mut scene = plain();
    scene.quality.loss = 200;
    let mut world = World::new(scene);
    assert!(world.run_until_up(5 * MINUTE));
    world.run(60 * MINUTE);
    let counts = world.gateway.counts();
    assert!(counts.probes > 100 && counts.odd_probes < counts.probes / 2, "{counts:?}");
    assert!(failures(&world).is_empty(), "{:?} {counts:?}", story(&world));
}

#[test]
fn k1_016_a_gateway_that_forgot_is_noticed() {
    let mut world = up_then(plain(), Deed::Forget);
    assert!(world.run_until(10 * MINUTE, succeeded_in_silence), "not noticed");
    assert!(failures(&world).is_empty() && world.client.is_up(), "{:?}", story(&world));
    assert_eq!(pings(&mut world, 3), 3);

    let mut world = up_then(plain(), Deed::Outage(5 * MINUTE));
    assert!(world.run_until(10 * MINUTE, |world| !world.client.is_up()), "not noticed");
    assert!(failures(&world).iter().any(|failure| matches!(failure, Failure::PeerDead { .. })));
    assert!(world.run_until_up(10 * MINUTE));
    assert_eq!(pings(&mut world, 3), 3);
}

#[test]
fn k1_016_a_gateway_that_answers_no_question_is_dead() {
    let mut world = impaired(plain(), vec![Impairment::IgnoreProbes]);
    assert!(world.run_until_up(MINUTE));
    assert!(world.run_until(10 * MINUTE, |world| !world.client.is_up()), "not noticed");
}

#[test]
fn k1_016_answers_with_another_number_make_no_storm() {
    let mut world = impaired(plain(), vec![Impairment::WrongProbeAnswer]);
    assert!(world.run_until_up(MINUTE));
    world.run(10 * MINUTE);
    assert!(world.gateway.counts().probes < 200, "{:?}", world.gateway.counts());
}

#[test]
fn k1_016_a_gateway_without_dpd_is_not_asked() {
    let mut scene = plain();
    scene.gateway.announces_dpd = false;
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.run(20 * MINUTE);
    assert_eq!(world.gateway.counts().probes, 0);
    assert!(world.client.is_up());
}

/// Uses the tunnel once a second until something comes back, or for so many seconds.
fn seconds_until_it_answers(world: &mut World, most: u32) -> Option<u32> {
    let before = world.echoes().1;
    (0..most).find(|_| {
        world.ping();
        world.run(Duration::from_secs(1));
        world.echoes().1 > before
    })
}

#[test]
fn k1_016_a_gateway_without_dpd_that_forgot_is_noticed_by_whoever_uses_the_tunnel() {
    let without_dpd = || {
        let mut scene = plain();
        scene.gateway.announces_dpd = false;
        scene
    };
    let mut world = up_then(without_dpd(), Deed::Forget);
    assert_eq!(pings(&mut world, 3), 3);
    world.run(10 * MINUTE);
    assert!(failures(&world).is_empty(), "nobody missed it");
    let seconds = seconds_until_it_answers(&mut world, 60).expect("another session");
    assert!((10..30).contains(&seconds), "{seconds}: {:?}", story(&world));
    assert!(succeeded_in_silence(&world), "{:?}", story(&world));

    let mut world = up_then(without_dpd(), Deed::Outage(5 * MINUTE));
    assert_eq!(pings(&mut world, 3), 3);
    world.run(MINUTE);
    assert_eq!(seconds_until_it_answers(&mut world, 180), None);
    assert!(failures(&world).iter().any(|failure| matches!(failure, Failure::PeerDead { .. })), "{:?}", story(&world));
    assert!(seconds_until_it_answers(&mut world, 300).is_some(), "{:?}", story(&world));
}

#[test]
fn k1_018_rekeying_by_the_client_loses_nothing() {
    for mut scene in [plain(), with_group(), aggressive()] {
        scene.client.profile.child.lifetime.time = Some(Duration::from_secs(20));
        let mut world = World::new(scene);
        assert!(world.run_until_up(MINUTE));
        assert_eq!(lost_within(&mut world, 3 * MINUTE, PACE), 0);
        let counts = world.gateway.counts();
        assert!(counts.quick.0 > 8, "{counts:?}");
        assert!(failures(&world).is_empty());
    }
}

#[test]
fn k1_018_k1_030_rekeying_by_the_gateway_loses_nothing() {
    for mut scene in [plain(), with_group()] {
        scene.gateway.rekeys = Some(Duration::from_secs(15));
        let mut world = World::new(scene);
        assert!(world.run_until_up(MINUTE));
        assert_eq!(lost_within(&mut world, 3 * MINUTE, PACE), 0);
        let counts = world.gateway.counts();
        assert!(counts.quick.1 > 8, "{counts:?}");
    }
}

#[test]
fn k1_019_both_rekeying_at_once_loses_nothing_and_ends() {
    for seconds in 13..20 {
        let mut scene = plain();
        scene.client.profile.child.lifetime.time = Some(Duration::from_secs(20));
        scene.gateway.rekeys = Some(Duration::from_secs(seconds));
        let mut world = World::new(scene);
        assert!(world.run_until_up(MINUTE));
        assert_eq!(lost_within(&mut world, 3 * MINUTE, PACE), 0, "{seconds}");
        let counts = world.gateway.counts();
        assert!(counts.quick.0 + counts.quick.1 < 50, "{seconds}: {counts:?}");
    }
}

#[test]
fn k1_013_rekeying_with_the_commit_bit_loses_nothing() {
    let mut scene = plain();
    scene.client.profile.child.lifetime.time = Some(Duration::from_secs(20));
    scene.gateway.commit = Some(vpnd::sim::gateway_v1::Commit::OwnId);
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    assert_eq!(lost_within(&mut world, 2 * MINUTE, PACE), 0);
}

#[test]
fn an_nat_that_gives_new_ports_is_survived() {
    let mut scene = plain();
    scene.nat = true;
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.link.rebind();
    world.run(2 * MINUTE);
    assert_eq!(pings(&mut world, 3), 3);
}

#[test]
fn k1_020_a_deleted_isakmp_sa_whose_children_stay_is_replaced() {
    let mut scene = plain();
    scene.gateway.unique = Unique::Independent;
    let mut world = up_then(scene, Deed::DeleteIkeAlone);
    world.run(2 * MINUTE);
    assert!(world.client.is_up());
    assert_eq!(pings(&mut world, 3), 3);
}
