//! Children that the gateway lost without a word: packets go out, and none comes back, although the gateway answers. Each story is told of both protocols.

use std::time::Duration;

use vpnd::sa::suite::Group;
use vpnd::sim::scene::{self, Suites};
use vpnd::sim::world::{Scene, World};
use vpnd::sim::{Deed, Peer, gateway_v1};
use vpnd::tunnel::progress::Progress;

use super::{MINUTE, cbc, failures, pings, quick};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Nothing is rekeyed because of its age.
fn lasting<G: Peer>(mut scene: Scene<G>) -> World<G> {
    let profile = &mut scene.client.profile;
    profile.dpd = Some(30 * SECOND);
    profile.child.lifetime.time = Some(30 * DAY);
    profile.ike_lifetime.time = Some(30 * DAY);
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE), "{:?}", world.told());
    world
}

fn v2() -> World {
    lasting(scene::plain(quick(), 1))
}

fn v1() -> World<gateway_v1::Gateway> {
    lasting(scene::plain_v1(Suites::of(cbc(), Group::Ecp256), 1))
}

fn v1_without_dpd() -> World<gateway_v1::Gateway> {
    let mut scene = scene::plain_v1(Suites::of(cbc(), Group::Ecp256), 1);
    scene.gateway.announces_dpd = false;
    lasting(scene)
}

fn replaced<G: Peer>(world: &World<G>) -> usize {
    let is_it = |told: &&&Progress| matches!(told, Progress::Notice(text) if text.contains("none has come back"));
    world.told().iter().filter(is_it).count()
}

fn rekeyed<G: Peer>(world: &World<G>) -> usize {
    world.told().iter().filter(|told| matches!(told, Progress::ChildRekeyed { .. })).count()
}

fn forget_children<G: Peer>(world: &mut World<G>) {
    let now = world.now();
    world.gateway.act(now, Deed::ForgetChildren);
}

/// A ping every second until one is answered; how long that took.
fn outage<G: Peer>(world: &mut World<G>, limit: Duration) -> Duration {
    let (since, before) = (world.now(), world.echoes().1);
    while world.echoes().1 == before {
        assert!(world.now().since(since) < limit, "{:?}", world.told());
        world.ping();
        world.run(SECOND);
    }
    world.now().since(since)
}

fn is_mended_within_seconds<G: Peer>(mut world: World<G>) {
    assert_eq!(pings(&mut world, 50), 50);
    for round in 1..=3 {
        forget_children(&mut world);
        let taken = outage(&mut world, MINUTE);
        assert!(taken >= 10 * SECOND && taken <= 18 * SECOND, "{taken:?}");
        assert_eq!(pings(&mut world, 50), 50);
        assert_eq!((replaced(&world), rekeyed(&world)), (round, round), "{:?}", world.told());
        world.run(HOUR);
    }
    assert!(failures(&world).is_empty());
    assert_eq!(world.gateway.authenticated(), 1, "under the same IKE SA");
}

#[test]
fn k2_126_a_child_that_the_gateway_lost_without_a_word_is_made_anew_within_seconds() {
    is_mended_within_seconds(v2());
    is_mended_within_seconds(v1());
}

fn is_mended_after_idleness<G: Peer>(mut world: World<G>, packets: u64) {
    assert_eq!(pings(&mut world, packets), packets);
    world.run(MINUTE);
    forget_children(&mut world);
    world.run(HOUR);
    let taken = outage(&mut world, MINUTE);
    assert!(taken <= 20 * SECOND, "{taken:?}");
}

#[test]
fn a_child_that_was_lost_while_nobody_sent_anything_is_made_anew_as_soon() {
    is_mended_after_idleness(v2(), 50);
    is_mended_after_idleness(v1(), 50);
}

fn is_mended_when_lost_twice<G: Peer>(mut world: World<G>) {
    assert_eq!(pings(&mut world, 50), 50);
    forget_children(&mut world);
    let before = rekeyed(&world);
    for _ in 0..20 {
        world.ping();
        world.run(SECOND);
        if rekeyed(&world) > before && replaced(&world) == 1 {
            break;
        }
    }
    assert_eq!(replaced(&world), 1);
    forget_children(&mut world);
    let taken = outage(&mut world, 10 * MINUTE);
    assert!(taken > 4 * MINUTE && taken < 6 * MINUTE, "{taken:?}");
    assert_eq!(replaced(&world), 2);
}

#[test]
fn a_child_that_is_lost_again_before_its_first_packet_is_made_anew_after_some_minutes() {
    is_mended_when_lost_twice(v2());
    is_mended_when_lost_twice(v1());
}

#[test]
fn k1_016_a_child_that_a_gateway_without_dpd_lost_is_made_anew_as_soon() {
    is_mended_within_seconds(v1_without_dpd());
    is_mended_after_idleness(v1_without_dpd(), 50);
    is_mended_after_idleness(v1_without_dpd(), 0);
    is_mended_when_lost_twice(v1_without_dpd());
}

#[test]
fn a_child_that_is_lost_in_the_middle_of_the_gateways_own_rekey_is_made_anew() {
    for after in 0..30 {
        let mut world = v2();
        assert_eq!(pings(&mut world, 50), 50);
        let now = world.now();
        assert!(world.gateway.rekey_child(now));
        world.touch();
        world.run(Duration::from_millis(after));
        forget_children(&mut world);
        let taken = outage(&mut world, 6 * MINUTE);
        assert!(taken <= 30 * SECOND, "{after} ms: {taken:?} {:?}", world.told());
    }
}

#[test]
fn an_sa_that_was_rekeyed_for_another_reason_has_as_much_time_as_the_one_before() {
    let mut world = v2();
    assert_eq!(pings(&mut world, 50), 50);
    let tell_for = |world: &mut World, seconds| {
        for _ in 0..seconds {
            world.tell();
            world.run(SECOND);
        }
    };
    tell_for(&mut world, 9);
    let now = world.now();
    assert!(world.gateway.rekey_child(now));
    world.touch();
    tell_for(&mut world, 9);
    assert_eq!((replaced(&world), rekeyed(&world)), (0, 1));
    tell_for(&mut world, 9);
    assert_eq!((replaced(&world), rekeyed(&world)), (1, 2), "{:?}", world.told());
}

fn one_way_for_a_day<G: Peer>(mut world: World<G>) {
    assert_eq!(pings(&mut world, 5), 5);
    let end = world.now().after(DAY);
    for count in 0.. {
        world.tell();
        world.run(if count < 600 { SECOND } else { 15 * SECOND });
        if world.now() >= end {
            break;
        }
    }
    assert_eq!((replaced(&world), rekeyed(&world)), (2, 2), "{:?}", world.told());
    assert!(failures(&world).is_empty());
    assert_eq!(pings(&mut world, 5), 5, "and the tunnel carries what is answered");
}

#[test]
fn packets_that_nobody_answers_for_a_day_cost_two_new_children() {
    one_way_for_a_day(v2());
}

#[test]
fn packets_that_nobody_answers_for_a_day_cost_two_quick_modes() {
    one_way_for_a_day(v1());
    one_way_for_a_day(v1_without_dpd());
}

fn one_way_always<G: Peer>(mut world: World<G>) {
    for _ in 0..HOUR.as_secs() {
        world.tell();
        world.run(SECOND);
    }
    assert_eq!((replaced(&world), rekeyed(&world)), (1, 1), "{:?}", world.told());
}

#[test]
fn packets_that_nobody_ever_answered_cost_one_new_child() {
    one_way_always(v2());
    one_way_always(v1());
    one_way_always(v1_without_dpd());
}

#[test]
fn a_child_that_is_lost_before_its_first_packet_is_made_anew_within_seconds() {
    is_mended_after_idleness(v2(), 0);
    is_mended_after_idleness(v1(), 0);
}
