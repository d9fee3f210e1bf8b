//! Gateways that go, come back and move, and a network that changes under the tunnel. Each story is told of both protocols.

use std::net::IpAddr;
use std::time::Duration;

use vpnd::ike::action::Failure;
use vpnd::sim::Peer;
use vpnd::sim::scene;
use vpnd::sim::world::{GATEWAY, Scene, World};
use vpnd::tunnel::progress::Progress;
use vpnd::tunnel::settings::Host;

use super::{MINUTE, cbc, failures, pings, quick};

const DEAD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 99));
const MOVED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 77));

fn v2() -> Scene {
    scene::plain(quick(), 1)
}

fn v1() -> Scene<vpnd::sim::gateway_v1::Gateway> {
    scene::plain_v1(scene::Suites::of(cbc(), vpnd::sa::suite::Group::Ecp256), 1)
}

fn seconds_until_up<G: Peer>(world: &mut World<G>) -> u64 {
    let before = world.now();
    assert!(world.run_until_up(10 * MINUTE), "{:?}", world.told());
    assert_eq!(pings(world, 3), 3);
    world.now().since(before).as_secs()
}

fn one_of_two_is_dead<G: Peer>(mut scene: Scene<G>) {
    scene.client.gateways = vec![Host::Address(DEAD), Host::Address(GATEWAY)];
    let mut world = World::new(scene);
    let taken = seconds_until_up(&mut world);
    assert!((8..=9).contains(&taken), "{taken} s");
    let [Failure::NoAnswer { sent, waited, .. }] = failures(&world)[..] else { panic!("{:?}", failures(&world)) };
    assert_eq!((*sent, waited.as_secs()), (5, 8));
}

#[test]
fn a_dead_gateway_makes_room_for_the_next() {
    one_of_two_is_dead(v2());
    one_of_two_is_dead(v1());
}

#[test]
fn the_only_address_there_is_has_all_the_time() {
    let mut scene = v2();
    scene.client.gateways = vec![Host::Address(DEAD)];
    let mut world = World::new(scene);
    world.run(MINUTE);
    assert!(failures(&world).is_empty());
    world.run(MINUTE);
    assert!(matches!(failures(&world)[0], Failure::NoAnswer { sent: 9, .. }));
}

#[test]
fn a_gateway_that_answers_slowly_is_not_left_for_another() {
    let mut scene = v2();
    scene.client.gateways = vec![Host::Address(GATEWAY), Host::Address(DEAD)];
    // Every second round trip: the answer to the first message is there in time, that to the second is not.
    scene.quality.delay = Duration::from_secs(3);
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    assert!(failures(&world).is_empty() && world.now().since_start().as_secs() == 12, "{:?}", world.told());
}

fn the_name_moves<G: Peer>(mut scene: Scene<G>, move_gateway: impl Fn(&mut G, IpAddr)) {
    scene.client.gateways = vec![Host::Name("vpn.example".into())];
    let mut world = World::new(scene);
    world.client.names.insert("vpn.example".into(), vec![DEAD, GATEWAY]);
    assert!((8..=12).contains(&seconds_until_up(&mut world)), "both addresses are tried");
    move_gateway(&mut world.gateway, MOVED);
    world.client.names.insert("vpn.example".into(), vec![MOVED]);
    world.ping();
    assert!(world.run_until(2 * MINUTE, |world| !world.client.is_up()), "it is not noticed");
    assert!(seconds_until_up(&mut world) <= 2, "{:?}", world.told());
    let resolved =
        |progress: &&Progress| matches!(progress, Progress::Resolved { addresses, .. } if addresses == &[MOVED]);
    assert_eq!(world.told().into_iter().filter(resolved).count(), 1, "names are looked up at each attempt");
}

#[test]
fn a_gateway_whose_name_moves_is_found_again() {
    the_name_moves(v2(), |gateway, address| gateway.settings_mut().address = address);
    the_name_moves(v1(), |gateway, address| gateway.settings_mut().address = address);
}

/// For an hour nothing answers: how many messages that takes, and whether the tunnel comes back after that.
fn an_hour_of_silence<G: Peer>(scene: Scene<G>) {
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    let address = world.client.inner_addresses();
    world.link.quality.loss = 1000;
    let before = world.wire.len();
    world.run(60 * MINUTE);
    let sent = world.wire.len() - before;
    assert!((100..600).contains(&sent), "{sent} messages in an hour");
    world.link.quality.loss = 0;
    assert!(seconds_until_up(&mut world) <= 60);
    assert_eq!(world.client.inner_addresses(), address, "the same address is asked for");
}

#[test]
fn a_tunnel_comes_back_after_an_hour_of_silence_and_did_not_hammer() {
    an_hour_of_silence(v2());
    an_hour_of_silence(v1());
}
