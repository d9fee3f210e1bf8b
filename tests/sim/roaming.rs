//! Addresses that change under a tunnel: of the client, of the gateway, and those that a NAT gives.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use vpnd::crypto::random::{Random, SeededRandom};
use vpnd::ike::action::Failure;
use vpnd::sa::lifetime::Lifetime;
use vpnd::sim::Peer;
use vpnd::sim::gateway::impair::Impairment;
use vpnd::sim::link::Quality;
use vpnd::sim::scene;
use vpnd::sim::world::{CLIENT, GATEWAY, Scene, World};
use vpnd::tunnel::progress::Progress;

use super::{MINUTE, cbc, failures, pings, quick};

const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 77));
const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const SECONDS: Duration = Duration::from_secs(1);

fn mobile() -> World {
    up(scene::mobile(quick(), 1))
}

fn up(scene: Scene) -> World {
    let mut world = World::new(scene);
    assert!(world.run_until_up(20 * MINUTE), "{:?}", world.told());
    world.run(10 * SECONDS);
    world
}

/// How long it takes until a packet comes back, of one every tenth of a second.
fn outage<G: Peer>(world: &mut World<G>) -> Duration {
    let before = world.now();
    for _ in 0..1200 {
        if pings(world, 1) == 1 {
            return world.now().since(before);
        }
    }
    panic!("nothing comes back: {:?}", world.told());
}

fn roamed<G: Peer>(world: &World<G>) -> usize {
    world.told().into_iter().filter(|told| matches!(told, Progress::Roamed { .. })).count()
}

#[test]
fn x_07_a_client_that_moves_keeps_its_sas_and_loses_no_packet_that_it_sends_afterwards() {
    let mut world = mobile();
    let spis = world.gateway.child_spis();
    for address in [ELSEWHERE, CLIENT, ELSEWHERE] {
        world.change_network(Some(address));
        world.run(Duration::from_millis(50));
        assert_eq!(pings(&mut world, 20), 20);
    }
    let counts = world.gateway.counts();
    assert_eq!((counts.authenticated, counts.deletes, counts.updates), (1, 0, 3));
    assert_eq!(world.gateway.child_spis(), spis);
    assert_eq!(roamed(&world), 3);
    assert!(failures(&world).is_empty());
}

#[test]
fn x_07_a_gateway_that_wants_proof_of_the_new_address_gets_it() {
    let mut scene = scene::mobile(quick(), 1);
    scene.gateway.return_routability = true;
    let mut world = up(scene);
    world.change_network(Some(ELSEWHERE));
    world.run(Duration::from_millis(50));
    assert_eq!(pings(&mut world, 20), 20);
    assert_eq!(world.gateway.counts().routes_proven, 1);
}

#[test]
fn x_07_a_client_without_any_network_keeps_its_sas_until_it_has_one_again() {
    let mut world = mobile();
    world.change_network(None);
    world.ping();
    world.run(25 * SECONDS);
    world.change_network(Some(ELSEWHERE));
    world.run(Duration::from_millis(50));
    assert_eq!(pings(&mut world, 20), 20);
    assert_eq!(world.gateway.counts().authenticated, 1);
    // The same address again, from behind another mapping perhaps: it is told all the same.
    let before = world.gateway.counts().updates;
    world.change_network(None);
    world.run(SECONDS);
    world.change_network(Some(ELSEWHERE));
    world.run(SECONDS);
    assert_eq!(world.gateway.counts().updates, before + 1);
    assert_eq!(world.gateway.counts().authenticated, 1);
}

fn rebound<G: Peer>(mut scene: Scene<G>, limit: Duration) -> World<G> {
    scene.nat = true;
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    assert_eq!(pings(&mut world, 20), 20);
    world.link.rebind();
    let taken = outage(&mut world);
    assert!(taken <= limit, "{taken:?}");
    world.run(MINUTE);
    assert_eq!(pings(&mut world, 20), 20);
    assert!(failures(&world).is_empty());
    assert_eq!(world.gateway.authenticated(), 1);
    world
}

#[test]
fn n_04_a_nat_that_forgets_us_under_traffic_is_noticed_within_seconds() {
    let world = rebound(scene::mobile(quick(), 1), 4 * SECONDS);
    assert_eq!(world.gateway.counts().updates, 1, "the gateway followed when it was told, and not before");
    // These gateways follow whatever is authentic: the first packet is enough.
    rebound(scene::plain(quick(), 1), SECONDS);
    rebound(scene::plain_v1(scene::Suites::of(cbc(), vpnd::sa::suite::Group::Ecp256), 1), SECONDS);
}

#[test]
fn n_04_a_nat_that_forgets_an_idle_client_is_noticed_by_the_next_question() {
    let mut scene = scene::mobile(quick(), 1);
    scene.nat = true;
    let mut world = up(scene);
    world.run(2 * MINUTE);
    let before = world.gateway.counts().updates;
    world.link.rebind();
    world.run(65 * SECONDS);
    assert_eq!(world.gateway.counts().updates, before + 1);
    assert_eq!(pings(&mut world, 20), 20);
}

#[test]
fn x_07_a_gateway_whose_first_address_dies_is_followed_to_its_second_and_back() {
    let mut scene = scene::mobile(quick(), 1);
    scene.gateway.further = vec!["192.0.2.250".parse().unwrap(), SECOND];
    let mut world = up(scene);
    assert_eq!(pings(&mut world, 20), 20);
    for dead in [GATEWAY, SECOND] {
        world.gateway.settings_mut().dead = vec![dead, "192.0.2.250".parse().unwrap()];
        let taken = outage(&mut world);
        assert!(taken < 20 * SECONDS, "{taken:?}");
        assert_eq!(pings(&mut world, 20), 20);
    }
    assert_eq!(world.gateway.counts().authenticated, 1);
    assert!(failures(&world).is_empty());
}

#[test]
fn x_07_a_gateway_that_returns_another_cookie_is_left_and_gets_no_packet_at_its_other_address() {
    let mut scene = scene::mobile(quick(), 1);
    scene.gateway.further = vec![SECOND];
    scene.gateway.impairments = vec![Impairment::OtherCookie2];
    let mut world = up(scene);
    assert_eq!(pings(&mut world, 20), 20);
    world.gateway.settings_mut().dead = vec![GATEWAY];
    let left = |world: &World| failures(world).iter().any(|failure| matches!(failure, Failure::PeerViolation { .. }));
    for _ in 0..600 {
        pings(&mut world, 1);
        if left(&world) {
            break;
        }
    }
    assert!(left(&world), "{:?}", failures(&world));
    let is_esp = |octets: &[u8]| !octets.starts_with(&[0; 4]) && octets.len() > 1;
    let mut to_second = world.wire.iter().filter(|(_, datagram)| datagram.destination == (SECOND, 4500).into());
    assert!(!to_second.any(|(_, datagram)| is_esp(&datagram.octets)));
}

#[test]
fn x_07_a_gateway_that_refuses_the_new_address_gets_a_new_tunnel_from_it() {
    let mut scene = scene::mobile(quick(), 1);
    scene.gateway.impairments = vec![Impairment::RefuseAddresses(40)];
    let mut world = up(scene);
    // The question that found the address out was refused, too: the tunnel is made anew, and then stays.
    world.change_network(Some(ELSEWHERE));
    world.run(10 * SECONDS);
    assert!(matches!(failures(&world)[0], Failure::MoveRefused { notify } if notify == "UNACCEPTABLE_ADDRESSES"));
    assert!(world.run_until_up(MINUTE));
    assert_eq!(pings(&mut world, 20), 20);
}

#[test]
fn x_07_a_gateway_that_sees_us_elsewhere_each_time_causes_no_storm() {
    let mut scene = scene::mobile(quick(), 1);
    scene.gateway.impairments = vec![Impairment::RandomMapping];
    let mut world = up(scene);
    let before = world.wire.len();
    world.run(10 * MINUTE);
    let sent = world.wire.len() - before;
    assert!(sent < 120, "{sent} datagrams in ten idle minutes");
    assert!(failures(&world).is_empty());
}

#[test]
fn x_07_addresses_that_come_and_go_make_no_storm_and_cost_no_tunnel() {
    let mut world = mobile();
    for turn in 0..200 {
        world.change_network([Some(ELSEWHERE), None, Some(CLIENT)][turn % 3]);
        world.run(Duration::from_millis(200));
    }
    world.change_network(Some(CLIENT));
    world.run(5 * SECONDS);
    assert_eq!(pings(&mut world, 20), 20);
    assert_eq!(world.gateway.counts().authenticated, 1);
}

/// Moves, rebindings and times without a network while both sides rekey, over a bad link with somebody who forges.
fn tell(seed: u64) {
    let mut dice = SeededRandom::new(seed);
    let mut below = |limit: u64| {
        let mut octets = [0; 8];
        dice.fill(&mut octets);
        u64::from_be_bytes(octets) % limit
    };
    let mut scene = scene::mobile(quick(), seed);
    let time = |seconds| Lifetime { time: Some(Duration::from_secs(seconds)), ..Lifetime::default() };
    // Longer without a network than the last tenth of a lifetime, and it would end.
    scene.client.profile.child.lifetime = time(150 + below(60));
    scene.client.profile.ike_lifetime = time(150 + below(90));
    scene.gateway.child_rekey = (below(2) == 0).then(|| Duration::from_secs(15 + below(60)));
    scene.gateway.ike_rekey = (below(2) == 0).then(|| Duration::from_secs(20 + below(60)));
    scene.gateway.dpd = (below(2) == 0).then(|| Duration::from_secs(5 + below(20)));
    scene.gateway.return_routability = below(2) == 0;
    scene.nat = below(2) == 0;
    let loss = if below(2) == 0 { 0 } else { below(150) as u32 };
    scene.quality = Quality {
        spares_esp: false,
        loss,
        duplication: loss,
        corruption: 0,
        delay: Duration::from_millis(below(80)),
        jitter: Duration::from_millis(below(40)),
    };
    let is_nat = scene.nat;
    // Whoever is nearer, and sends on what it sees from an address of its own, moves the SA there until the next question; a gateway that asks at that
    // address for a proof gives the SA up.
    let attacks = if scene.gateway.return_routability { 0 } else { 40 };
    let mut world = World::new(scene);
    world.attack(seed ^ 0x5eed, attacks);
    assert!(world.run_until_up(20 * MINUTE), "seed {seed}");
    let mut last = None;
    for _ in 0..12 {
        match below(4) {
            0 if is_nat => world.link.rebind(),
            0 | 1 if !is_nat => {
                last = Some([ELSEWHERE, CLIENT][below(2) as usize]);
                world.change_network(last);
            }
            2 if !is_nat => {
                world.change_network(None);
                world.run(Duration::from_millis(below(5000)));
                world.change_network(Some(last.unwrap_or(CLIENT)));
            }
            _ => {}
        }
        for _ in 0..below(20) {
            world.ping();
            world.run(Duration::from_millis(below(900)));
        }
    }
    world.link.quality.loss = 0;
    world.run(2 * MINUTE);
    assert!(world.client.is_up() || world.run_until_up(20 * MINUTE), "seed {seed}: {:?}", world.told());
    let before = world.echoes();
    pings(&mut world, 50);
    world.run(SECONDS);
    let after = world.echoes();
    assert_eq!((after.0 - before.0, after.1 - before.1), (50, 50), "seed {seed}: lost after all has settled");
    if loss == 0 {
        assert!(failures(&world).is_empty(), "seed {seed}: {:?}", failures(&world));
        assert_eq!(world.gateway.counts().authenticated, 1, "seed {seed}");
    }
    assert!(world.gateway.sa_count() <= 2, "seed {seed}: {}", world.gateway.sa_count());
    assert!(world.close(MINUTE), "seed {seed}");
}

#[test]
fn x_07_n_04_whoever_moves_while_all_is_rekeyed_over_a_bad_link_loses_nothing_once_it_has_settled() {
    (0..150).for_each(tell);
}
