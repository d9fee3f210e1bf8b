//! The ISAKMP SA is renewed before it ends, and children go over.

use vpnd::sim::gateway_v1::Unique;

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
