//! Sessions that succeed another: made before the old one is broken. Each story is told of both protocols.

use std::time::Duration;

use vpnd::sim::Peer;
use vpnd::sim::scene::{self, Suites};
use vpnd::sim::world::{Scene, World};
use vpnd::tunnel::progress::Progress;
use vpnd::tunnel::{Change, Reason};

use super::{MINUTE, cbc, quick};

const TICK: Duration = Duration::from_millis(10);

fn v2() -> Scene {
    scene::plain(quick(), 1)
}

fn v1() -> Scene<vpnd::sim::gateway_v1::Gateway> {
    scene::plain_v1(Suites::of(cbc(), vpnd::sa::suite::Group::Ecp256), 1)
}

fn succeeded<G: Peer>(world: &World<G>) -> Vec<Reason> {
    let told = world.told().into_iter();
    told.filter_map(|progress| if let Progress::Succeeded { reason, .. } = progress { Some(*reason) } else { None })
        .collect()
}

fn downs<G: Peer>(world: &World<G>) -> usize {
    world.told().into_iter().filter(|progress| matches!(progress, Progress::Down { .. })).count()
}

/// A hundred packets a second for so long; all of them come back, in order, once.
fn carries_everything<G: Peer>(world: &mut World<G>, time: Duration) {
    let end = world.now().after(time);
    while world.now() < end {
        world.ping();
        world.run(TICK);
    }
    world.run(Duration::from_secs(2));
    let (sent, echoed) = world.echoes();
    assert_eq!((sent - echoed, world.delivered_in_order()), (0, true), "of {sent}: {:?}", world.told());
}

fn settings_change<G: Peer>(scene: Scene<G>) -> World<G> {
    let settings = scene.client.clone();
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    let before = world.gateway.authenticated();
    carries_everything(&mut world, Duration::from_secs(5));
    world.change_settings(settings, Change::Successor);
    carries_everything(&mut world, Duration::from_secs(20));
    assert_eq!((succeeded(&world), downs(&world)), (vec![Reason::Settings], 0), "{:?}", world.told());
    assert!(world.client.is_up() && world.gateway.authenticated() == before + 1);
    world
}

#[test]
fn a_change_of_settings_under_load_loses_nothing() {
    let world = settings_change(v2());
    assert_eq!((world.gateway.sa_count(), world.gateway.child_count()), (1, 1), "the old one is closed");
    let world = settings_change(v1());
    assert_eq!((world.gateway.sa_count(), world.gateway.child_count()), (1, 1), "the old one is closed");
}

fn a_restarted_gateway<G: Peer>(scene: Scene<G>, restart: impl Fn(&mut G)) {
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    carries_everything(&mut world, Duration::from_secs(5));
    restart(&mut world.gateway);
    let begun = world.now();
    while succeeded(&world).is_empty() {
        world.ping();
        world.run(TICK);
        assert!(world.now().since(begun) < MINUTE, "{:?}", world.told());
    }
    // Asked soon, since packets went both ways, and seven seconds after that the question was repeated often enough.
    let taken = world.now().since(begun).as_secs();
    assert!((6..12).contains(&taken), "{taken} s");
    assert_eq!((succeeded(&world), downs(&world)), (vec![Reason::Silence], 0), "{:?}", world.told());
    let before = world.echoes();
    for _ in 0..100 {
        world.ping();
        world.run(TICK);
    }
    world.run(Duration::from_secs(1));
    assert_eq!(world.echoes().1 - before.1, 100, "{:?}", world.told());
}

#[test]
fn a_gateway_that_forgot_us_gets_a_new_session_before_the_old_one_is_given_up() {
    a_restarted_gateway(v2(), vpnd::sim::gateway::Gateway::forget);
    a_restarted_gateway(v1(), vpnd::sim::gateway_v1::Gateway::forget);
}

fn falls_silent_and_answers_again<G: Peer>(scene: Scene<G>) {
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    let before = world.gateway.authenticated();
    world.link.quality.loss = 1000;
    world.ping();
    let is_tried = |world: &World<G>| {
        let begun = |progress: &Progress| matches!(progress, Progress::SuccessionBegun { reason: Reason::Silence });
        world.told().into_iter().any(begun)
    };
    assert!(world.run_until(2 * MINUTE, is_tried), "{:?}", world.told());
    world.link.quality.loss = 0;
    world.ping();
    world.run(MINUTE);
    assert_eq!((succeeded(&world).len(), downs(&world)), (0, 0), "{:?}", world.told());
    assert_eq!(world.gateway.authenticated(), before, "the session is the one it was");
}

#[test]
fn a_gateway_that_answers_again_is_kept() {
    falls_silent_and_answers_again(v2());
    falls_silent_and_answers_again(v1());
}

fn is_closed_while_a_successor_is_tried<G: Peer>(scene: Scene<G>) {
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.link.quality.loss = 1000;
    let is_tried = |world: &World<G>| {
        let begun = |progress: &Progress| matches!(progress, Progress::SuccessionBegun { .. });
        world.told().into_iter().any(begun)
    };
    assert!(world.run_until(2 * MINUTE, is_tried), "{:?}", world.told());
    // That nothing is sent after it is closed is an invariant of every world.
    assert!(world.close(MINUTE));
    world.run(MINUTE);
}

#[test]
fn a_tunnel_is_closed_when_the_last_of_its_sessions_is() {
    is_closed_while_a_successor_is_tried(v2());
    is_closed_while_a_successor_is_tried(v1());
}
