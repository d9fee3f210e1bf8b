//! Gateways that go, come back and move, and a network that changes under the tunnel. Each story is told of both protocols.

use std::net::IpAddr;
use std::time::Duration;

use vpnd::ike::action::Failure;
use vpnd::sim::Peer;
use vpnd::sim::scene;
use vpnd::sim::world::{CLIENT, GATEWAY, Scene, World};
use vpnd::tunnel::progress::Progress;
use vpnd::tunnel::settings::Host;

use super::{MINUTE, cbc, failures, pings, quick, succeeded_in_silence};

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
    assert_eq!((*sent, waited.as_secs()), (6, 8));
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
    assert!(matches!(failures(&world)[0], Failure::NoAnswer { sent: 11, .. }));
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
    assert!(world.run_until(2 * MINUTE, succeeded_in_silence), "it is not noticed");
    assert!(world.client.is_up(), "{:?}", world.told());
    let is_there = |progress: &Progress| matches!(progress, Progress::Succeeded { remote, .. } if *remote == MOVED);
    assert!(world.told().into_iter().any(is_there), "names are looked up at each attempt: {:?}", world.told());
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

const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 77));

fn connects_anew_from_another_address<G: Peer>(scene: Scene<G>, sas: fn(&G) -> usize) {
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.run(MINUTE);
    world.change_network(Some(ELSEWHERE));
    assert!(!world.client.is_up());
    assert_eq!(seconds_until_up(&mut world), 0, "{:?}", world.told());
    assert_eq!(failures(&world), [&Failure::Moved { from: CLIENT, to: ELSEWHERE }]);
    // To and fro: it does not follow at once.
    for _ in 0..30 {
        for address in [CLIENT, ELSEWHERE] {
            world.change_network(Some(address));
            world.run(Duration::from_secs(1));
        }
    }
    let began = world.told().into_iter().filter(|progress| matches!(progress, Progress::Connecting { .. })).count();
    assert!(began < 16, "{began} attempts in a minute");
    assert!(seconds_until_up(&mut world) <= 60);
    world.run(Duration::from_secs(5));
    assert_eq!(sas(&world.gateway), 1, "the gateway has one SA left");
}

#[test]
fn a_client_that_has_another_address_connects_anew_at_once() {
    connects_anew_from_another_address(v2(), |gateway| gateway.sa_count());
    connects_anew_from_another_address(v1(), |gateway| gateway.sa_count());
}

fn says_delete_although_a_question_is_open<G: Peer>(scene: Scene<G>, sas: fn(&G) -> usize) {
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.run(MINUTE);
    world.link.quality.loss = 1000;
    world.change_network(Some(CLIENT));
    world.run(Duration::from_millis(100));
    world.link.quality.loss = 0;
    world.change_network(Some(ELSEWHERE));
    assert_eq!(seconds_until_up(&mut world), 0, "nobody waits for the answer: {:?}", world.told());
    world.run(Duration::from_secs(2));
    assert_eq!(sas(&world.gateway), 1);
    assert!(world.client.is_up() && pings(&mut world, 3) == 3);
    assert_eq!(failures(&world), [&Failure::Moved { from: CLIENT, to: ELSEWHERE }]);
}

#[test]
fn k2_081_a_tunnel_that_is_left_is_deleted_once_its_open_question_is_answered() {
    says_delete_although_a_question_is_open(v2(), |gateway| gateway.sa_count());
    says_delete_although_a_question_is_open(v1(), |gateway| gateway.sa_count());
}

fn survives_without_a_network<G: Peer>(scene: Scene<G>) {
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.run(MINUTE);
    world.change_network(None);
    world.ping();
    world.run(Duration::from_secs(30));
    world.change_network(Some(CLIENT));
    assert_eq!(pings(&mut world, 3), 3);
    world.run(5 * MINUTE);
    assert!(world.client.is_up() && failures(&world).is_empty(), "{:?}", world.told());
}

#[test]
fn an_address_that_goes_and_comes_back_costs_no_tunnel() {
    survives_without_a_network(v2());
    survives_without_a_network(v1());
}

fn comes_up_with_the_network<G: Peer>(scene: Scene<G>) {
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.run(MINUTE);
    world.change_network(None);
    world.run(60 * MINUTE);
    assert!(!world.client.is_up());
    world.change_network(Some(ELSEWHERE));
    assert!(seconds_until_up(&mut world) <= 1, "{:?}", world.told());
}

#[test]
fn a_network_that_comes_back_ends_the_wait() {
    comes_up_with_the_network(v2());
    comes_up_with_the_network(v1());
}

#[test]
fn a_network_that_comes_back_in_the_middle_of_an_attempt_begins_another() {
    let mut world = World::new(v2());
    world.link.quality.loss = 1000;
    world.run(Duration::from_secs(20));
    world.link.quality.loss = 0;
    world.change_network(Some(CLIENT));
    assert_eq!(seconds_until_up(&mut world), 0, "{:?}", world.told());
}

#[test]
fn a_refusal_is_waited_out_whatever_the_network_does() {
    let mut scene = v2();
    scene.gateway.impairments = vec![vpnd::sim::gateway::impair::Impairment::RefuseClient];
    let mut world = World::new(scene);
    for _ in 0..120 {
        world.run(Duration::from_secs(1));
        world.change_network(Some(CLIENT));
    }
    assert!((2..12).contains(&failures(&world).len()), "{:?}", failures(&world).len());
}

fn is_asked_after_a_change<G: Peer>(scene: Scene<G>) {
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.run(Duration::from_secs(10));
    let before = world.wire.len();
    for _ in 0..100 {
        world.change_network(Some(CLIENT));
        world.run(Duration::from_millis(100));
    }
    let sent = world.wire.len() - before;
    assert!((4..=6).contains(&sent), "{sent}: two questions and their answers");
    // It died: that is noticed as soon as the question is not answered, not after a silence.
    world.link.quality.loss = 1000;
    let died = world.now();
    world.change_network(Some(CLIENT));
    assert!(world.run_until(2 * MINUTE, |world| !world.client.is_up()));
    assert!(world.now().since(died).as_secs() < 40);
}

#[test]
fn a_change_of_the_network_is_a_reason_to_ask_and_no_more() {
    is_asked_after_a_change(v2());
    is_asked_after_a_change(v1());
}
