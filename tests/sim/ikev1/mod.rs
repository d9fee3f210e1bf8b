//! vpnd and an IKEv1 gateway.

mod between;
mod fragments;
mod life;
mod phase_1;
mod quick_mode;
mod renewal;
mod sweep;

use std::time::Duration;

use vpnd::ike::action::Failure;
use vpnd::ike::profile::Phase1Mode;
use vpnd::sa::suite::Group;
use vpnd::sim::gateway_v1::Gateway;
use vpnd::sim::gateway_v1::impair::{Deed, Impairment};
use vpnd::sim::scene::{self, Suites};
use vpnd::sim::world::{Scene as AnyScene, World as AnyWorld};
use vpnd::tunnel::progress::Progress;

use super::{MINUTE, cbc, failures, pings, succeeded_in_silence};

type Scene = AnyScene<Gateway>;
type World = AnyWorld<Gateway>;

/// The suite of most stories: its computations are fast.
fn quick() -> Suites {
    Suites::of(cbc(), Group::Ecp256)
}

/// Main mode, Mode Config, one subnet, no PFS.
fn plain() -> Scene {
    scene::plain_v1(quick(), 1)
}

/// Aggressive mode.
fn aggressive() -> Scene {
    Scene { client: scene::client_v1(quick(), Phase1Mode::Aggressive, false), ..plain() }
}

/// Main mode with XAUTH.
fn with_name() -> Scene {
    let mut scene = Scene { client: scene::client_v1(quick(), Phase1Mode::Main, true), ..plain() };
    scene.gateway.xauth = Some(scene::account());
    scene
}

/// Main mode with a group in quick mode.
fn with_group() -> Scene {
    let mut scene = plain();
    scene::with_pfs(&mut scene, Group::Ecp256);
    scene
}

fn impaired(mut scene: Scene, impairments: Vec<Impairment>) -> World {
    scene.gateway.impairments.extend(impairments);
    World::new(scene)
}

/// A world that is up, in which the gateway will do this ten seconds after phase 1.
fn up_then(mut scene: Scene, deed: Deed) -> World {
    scene.gateway.impairments.push(Impairment::After(Duration::from_secs(10), deed));
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
    world
}

/// The gateway does wrong: the client says what, never comes up, and comes up once the gateway is mended.
fn refuses(scene: Scene, impairment: Impairment, expected: impl Fn(&Failure) -> bool) {
    let name = format!("{impairment:?}");
    let mut world = impaired(scene, vec![impairment]);
    assert!(!world.run_until_up(3 * MINUTE), "{name}: up");
    let seen = failures(&world);
    assert!(!seen.is_empty() && seen.iter().all(|failure| expected(failure)), "{name}: {seen:?}");
    world.gateway.settings_mut().impairments.clear();
    assert!(world.run_until_up(5 * MINUTE), "{name}: not up after the gateway was mended");
    assert_eq!(pings(&mut world, 3), 3, "{name}: no traffic after the gateway was mended");
}

/// The gateway does something odd, and the client comes up and carries traffic all the same.
fn tolerates(scene: Scene, impairment: Impairment) {
    let name = format!("{impairment:?}");
    let mut world = impaired(scene, vec![impairment]);
    assert!(world.run_until_up(MINUTE), "{name}: {:?}", story(&world));
    assert_eq!(pings(&mut world, 3), 3, "{name}: no traffic");
    assert!(failures(&world).is_empty(), "{name}");
}

/// The gateway does something on a tunnel that is up, and nothing comes of it.
fn ignores(scene: Scene, deed: Deed) {
    let name = format!("{deed:?}");
    let mut world = up_then(scene, deed);
    world.run(MINUTE);
    assert!(world.client.is_up() && failures(&world).is_empty(), "{name}: {:?}", failures(&world));
    assert_eq!(pings(&mut world, 3), 3, "{name}: no traffic");
}

/// Sends packets for so long, one every `pace`, and says how many did not come back.
fn lost_within(world: &mut World, time: Duration, pace: Duration) -> u64 {
    let before = world.echoes();
    let end = world.now().after(time);
    while world.now() < end {
        world.ping();
        world.run(pace);
    }
    world.run(Duration::from_secs(1));
    let after = world.echoes();
    assert!(after.0 > before.0, "nothing was sent");
    (after.0 - before.0) - (after.1 - before.1)
}

/// The last things that the client told people, but for what it dropped.
fn story(world: &World) -> Vec<String> {
    let mut told: Vec<String> = world
        .client
        .told
        .iter()
        .filter(|(_, it)| !matches!(it, Progress::Dropped(_)))
        .map(|(at, it)| format!("{:.3?} {it:?}", at.since_start()))
        .collect();
    told.split_off(told.len().saturating_sub(20))
}
