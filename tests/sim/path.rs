//! Links that swallow what is too long for them. Each story is told of both protocols.

use std::time::Duration;

use vpnd::sim::Peer;
use vpnd::sim::gateway_v1::{self, impair::Impairment};
use vpnd::sim::link::Quality;
use vpnd::sim::scene;
use vpnd::sim::world::{Scene, World};

use super::{MINUTE, cbc, failures, pings, quick};

fn v2() -> Scene {
    scene::plain(quick(), 1)
}

fn v1() -> Scene<gateway_v1::Gateway> {
    scene::plain_v1(scene::Suites::of(cbc(), vpnd::sa::suite::Group::Ecp256), 1)
}

/// A world whose first link carries 1500 octets, and the one behind it `longest`.
fn narrow<G: Peer>(scene: Scene<G>, longest: u16) -> World<G> {
    let mut world = World::new(scene);
    world.client.first_link = Some(1500);
    world.link.longest = Some(longest);
    assert!(world.run_until_up(MINUTE), "{:?}", world.told());
    world
}

fn talk<G: Peer>(world: &mut World<G>, time: Duration) {
    let end = world.now().after(time);
    while world.now() < end {
        world.ping();
        world.run(Duration::from_secs(1));
    }
}

fn is_found_and_followed<G: Peer>(mut scene: Scene<G>, loss: u32) {
    scene.quality = Quality { loss, ..Quality::GOOD };
    let mut world = narrow(scene, 1300);
    talk(&mut world, MINUTE);
    let follows = world.client.follows.unwrap();
    assert!((1268..=1300).contains(&follows), "{follows}");
    world.link.longest = None;
    assert!(world.run_until(11 * MINUTE, |world| world.client.follows >= Some(1492)), "{:?}", world.client.follows);
    world.link.longest = Some(1400);
    talk(&mut world, 2 * MINUTE);
    let follows = world.client.follows.unwrap();
    assert!((1368..=1400).contains(&follows), "{follows}");
    assert!(failures(&world).is_empty(), "{:?}", world.told());
}

#[test]
fn t_07_what_a_link_swallows_is_found_and_followed_whatever_else_it_loses() {
    for loss in [0, 150] {
        is_found_and_followed(v2(), loss);
        is_found_and_followed(v1(), loss);
    }
}

#[test]
fn t_07_a_gateway_that_ignores_every_question_keeps_its_tunnel_and_all_of_the_link() {
    let mut scene = v1();
    scene.gateway.impairments = vec![Impairment::IgnoreProbes];
    let mut world = narrow(scene, 1500);
    talk(&mut world, 30 * MINUTE);
    assert_eq!(world.client.follows, Some(1500));
    assert!(failures(&world).is_empty(), "{:?}", world.told());
    assert!(world.gateway.counts().probes < 100, "{}", world.gateway.counts().probes);
    assert_eq!(pings(&mut world, 3), 3);
}
