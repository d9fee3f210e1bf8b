//! The ISAKMP SA is renewed before it ends, and children go over.

use vpnd::sim::gateway_v1::Unique;
use vpnd::sim::link::Fault;

use super::*;

const PACE: Duration = Duration::from_millis(50);

fn short(mut scene: Scene) -> Scene {
    scene.client.profile.ike_lifetime.time = Some(MINUTE);
    scene
}

#[test]
fn k1_020_renewal_loses_nothing() {
    for unique in [Unique::Replace, Unique::Never, Unique::Independent] {
        for mut scene in [plain(), aggressive(), with_name(), with_group()] {
            scene.gateway.unique = unique;
            let mut world = World::new(short(scene));
            assert!(world.run_until_up(MINUTE));
            assert_eq!(lost_within(&mut world, 3 * MINUTE, PACE), 0, "{unique:?}");
            let counts = world.gateway.counts();
            assert!(counts.authenticated >= 4, "{counts:?}");
            assert!(failures(&world).is_empty());
            assert!(world.gateway.sa_count() <= 2);
        }
    }
}

#[test]
fn k1_020_k1_023_both_lifetimes_at_once_lose_nothing() {
    let mut scene = short(with_name());
    scene.client.profile.ike_lifetime.time = Some(Duration::from_secs(20));
    scene.client.profile.child.lifetime.time = Some(Duration::from_secs(20));
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    let lost = lost_within(&mut world, 10 * MINUTE, PACE);
    assert!(failures(&world).is_empty(), "{:?}", story(&world));
    assert_eq!(lost, 0, "{:?} {:?}", story(&world), world.gateway.counts());
    let counts = world.gateway.counts();
    assert!(counts.authenticated > 25 && counts.xauth.0 > 25 && counts.quick.0 > 25, "{counts:?}");
}

#[test]
fn k1_015_a_renewal_is_no_initial_contact() {
    let mut scene = short(plain());
    scene.client.profile.initial_contact = true;
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.run(10 * MINUTE);
    assert_eq!(world.gateway.counts().initial_contacts, 1);
    assert!(failures(&world).is_empty());
}

#[test]
fn an_isakmp_sa_that_the_gateway_ends_earlier_comes_back() {
    let mut scene = plain();
    scene.gateway.ike_lifetime = Some(2 * MINUTE);
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.run(10 * MINUTE);
    world.run_until_up(2 * MINUTE);
    assert_eq!(pings(&mut world, 3), 3);
}

#[test]
fn two_hours_lose_nothing() {
    let mut scene = with_group();
    scene.nat = true;
    scene.gateway.dpd = Some(Duration::from_secs(20));
    scene.client.profile.ike_lifetime.time = Some(20 * MINUTE);
    scene.client.profile.child.lifetime.time = Some(7 * MINUTE);
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    assert_eq!(lost_within(&mut world, 120 * MINUTE, Duration::from_secs(1)), 0);
    assert!(failures(&world).is_empty());
    let counts = world.gateway.counts();
    assert!(counts.authenticated >= 6 && counts.quick.0 >= 17, "{counts:?}");
    assert!(world.gateway.sa_count() <= 2 && world.gateway.child_count() <= 4);
    assert!(world.close(MINUTE));
    world.run(MINUTE);
    assert_eq!((world.gateway.sa_count(), world.gateway.child_count()), (0, 0));
}

#[test]
fn k1_020_a_refused_renewal_is_tried_again_and_nothing_is_lost() {
    let mut scene = plain();
    scene.client.profile.ike_lifetime.time = Some(10 * MINUTE);
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    let psk = std::mem::replace(&mut world.gateway.settings_mut().psk, b"another key of the gateway".to_vec());
    let said = |world: &World| story(world).iter().any(|told| told.contains("could not be renewed yet"));
    assert!(world.run_until(10 * MINUTE, said), "{:?}", story(&world));
    world.gateway.settings_mut().psk = psk;
    // By itself, or by a session that succeeds it.
    let ups = |world: &World| story(world).iter().filter(|told| told.ends_with(" Up")).count();
    let renewed =
        |world: &World| story(world).iter().any(|told| told.contains("IkeRenewed") || told.contains("Succeeded"));
    assert!(world.run_until(3 * MINUTE, |world| renewed(world) || ups(world) == 2), "{:?}", story(&world));
    assert_eq!(lost_within(&mut world, 10 * MINUTE, Duration::from_secs(1)), 0);
    assert!(failures(&world).iter().all(|failure| matches!(failure, Failure::ClosedByPeer)), "{:?}", failures(&world));
}

#[test]
fn a_renewal_that_is_always_refused_ends_with_the_lifetime_and_says_so() {
    let mut scene = plain();
    scene.client.profile.ike_lifetime.time = Some(5 * MINUTE);
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.gateway.settings_mut().psk = b"another key of the gateway".to_vec();
    assert!(world.run_until(6 * MINUTE, |world| !failures(world).is_empty()));
    assert_eq!(failures(&world)[0], &Failure::LifetimeEnded);
    let notices = story(&world).iter().filter(|told| told.contains("could not be renewed yet")).count();
    assert!((1..12).contains(&notices), "{notices}");
}

/// A world in which the gateway has the new SA, and its last message is under way.
fn in_the_last_round_trip(fault: Option<(u64, Fault)>) -> World {
    let mut world = World::new(short(plain()));
    if let Some((number, fault)) = fault {
        world.link.fault(number, fault);
    }
    assert!(world.run_until_up(MINUTE));
    assert!(world.run_until(2 * MINUTE, |world| world.gateway.counts().authenticated == 2));
    assert!(!story(&world).iter().any(|told| told.contains("IkeRenewed")));
    world
}

#[test]
fn a_renewal_in_its_last_round_trip_is_deleted_when_the_tunnel_closes() {
    let last = in_the_last_round_trip(None).link.carried() - 1;
    // Where the last message is lost, our repetition brings it again.
    for fault in [None, Some((last, Fault::Drop))] {
        let mut world = in_the_last_round_trip(fault);
        assert!(world.close(Duration::from_secs(3)), "{:?}", story(&world));
        world.run(Duration::from_secs(1));
        assert_eq!((world.gateway.sa_count(), world.client.closed), (0, Some(true)), "{fault:?}");
    }
}

#[test]
fn a_gateway_that_falls_silent_in_a_renewal_holds_up_nobody_who_closes() {
    let last = in_the_last_round_trip(None).link.carried() - 1;
    let mut world = in_the_last_round_trip(Some((last, Fault::Drop)));
    world.link.quality.loss = 1000;
    assert!(world.close(Duration::from_secs(3)), "{:?}", story(&world));
    assert_eq!(world.client.closed, Some(false));
}

#[test]
fn k1_018_a_gateway_that_restarted_before_a_renewal_gets_the_children_anew() {
    let mut scene = plain();
    scene.client.profile.dpd = None;
    scene.client.profile.ike_lifetime.time = Some(MINUTE);
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.run(Duration::from_secs(20));
    world.gateway.forget();
    assert_eq!(pings(&mut world, 3), 0);
    world.run(MINUTE);
    assert_eq!(pings(&mut world, 3), 3, "{:?}", story(&world));
    assert!(failures(&world).is_empty());
}

#[test]
fn a_renewal_leaves_the_children_of_a_gateway_that_is_heard_as_they_are() {
    let mut scene = plain();
    scene.client.profile.ike_lifetime.time = Some(MINUTE);
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    assert_eq!(lost_within(&mut world, 4 * MINUTE, Duration::from_millis(50)), 0);
    let counts = world.gateway.counts();
    assert!(counts.authenticated > 4 && counts.quick == (1, 0), "{counts:?}");
}
