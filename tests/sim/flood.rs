//! Datagrams of every hostile kind at a live tunnel: it stays as it is, answers nobody but the gateway, keeps no memory of them, and carries on.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use vpnd::sim::hostile::{Dice, Kind, Known, Sender, kinds};
use vpnd::sim::scene;
use vpnd::sim::world::{GATEWAY, World};
use vpnd::sim::{Datagram, Peer};

use super::memory::allocated_by_this_thread;
use super::{MINUTE, pings, quick};

/// In all, over both protocols.
const DATAGRAMS: u32 = 200_000;
/// What the simulated socket takes.
const ROOM: usize = 4_000;

fn flood<G: Peer>(mut world: World<G>, seed: u64) {
    assert!(world.run_until_up(MINUTE));
    assert_eq!(pings(&mut world, 20), 20);
    let session = world.client.tunnel().status().session.expect("a session");
    let (spis, path) = (session.spis, session.path);
    let children = world.client.tunnel().status().children;
    let number = |octets: [u8; 8]| u64::from_be_bytes(octets);
    let sent: Vec<Vec<u8>> =
        world.wire.iter().filter(|(_, d)| d.source.ip() == GATEWAY).map(|(_, d)| d.octets.clone()).collect();
    let known = Known {
        ike: world
            .wire
            .iter()
            .rev()
            .find(|(_, d)| d.octets.starts_with(&[0; 4]))
            .map(|(_, d)| (number(d.octets[4..12].try_into().unwrap()), number(d.octets[12..20].try_into().unwrap())))
            .expect("IKE on port 4500"),
        inbound: children[0].inbound.value(),
        outbound: children[0].outbound.value(),
        recorded: sent,
    };
    assert!(known.recorded.len() > 20);

    let kinds: Vec<Kind> = kinds();
    let mut dice = Dice::new(seed);
    let mut after_first_half = 0;
    let mut answered: BTreeMap<SocketAddr, u32> = BTreeMap::new();
    for shot in 0..DATAGRAMS / 2 {
        let kind = &kinds[dice.below(kinds.len())];
        let mut octets = kind.make(&known, &mut dice);
        octets.truncate(ROOM);
        let source = match kind.sender {
            Sender::Gateway => path.remote,
            Sender::GatewayBare => (GATEWAY, 500).into(),
            Sender::GatewayElsewhere => (GATEWAY, 4501).into(),
            Sender::Stranger => (IpAddr::V4(Ipv4Addr::new(203, 0, 113, 99)), 4500).into(),
        };
        let name = kind.name.clone();
        for answer in world.strike(&Datagram { source, destination: path.local, octets, whole: false }) {
            assert_eq!(answer.destination.ip(), GATEWAY, "{name} was answered to a stranger");
            *answered.entry(answer.destination).or_default() += 1;
        }
        if shot % 1000 == 999 {
            assert_eq!(pings(&mut world, 1), 1, "after {shot} datagrams, the last of them {name}");
            world.wire.clear();
            world.client.told.clear();
        }
        if shot == DATAGRAMS / 4 - 1 {
            after_first_half = allocated_by_this_thread();
        }
    }
    let grown = allocated_by_this_thread() - after_first_half;
    assert!(grown < 64 << 10, "{grown} octets more are kept after the second half of the flood");
    // A question at most in half a minute, each repeated a few times, and its answers.
    let passed = u32::try_from(world.now().since_start().as_secs()).unwrap();
    let answers: u32 = answered.values().sum();
    assert!(answers <= passed / 5 + 10, "{answers} datagrams in {passed} s because of the flood: {answered:?}");

    assert!(world.run_until(MINUTE, |world| world.client.is_up()));
    let session = world.client.tunnel().status().session.expect("a session");
    assert_eq!((session.spis, session.path), (spis, path), "the IKE SA is another or moved");
    assert_eq!(world.client.tunnel().status().children, children, "a child changed");
    world.run(Duration::from_secs(120));
    assert_eq!(pings(&mut world, 20), 20);
}

#[test]
fn v_29_v_30_a_hundred_thousand_hostile_datagrams_change_nothing_of_an_ikev2_tunnel() {
    flood(World::new(scene::plain(quick(), 29)), 1);
}

#[test]
fn v_29_v_30_a_hundred_thousand_hostile_datagrams_change_nothing_of_an_ikev1_tunnel() {
    flood(World::new(scene::plain_v1(quick_v1(), 29)), 2);
}

fn quick_v1() -> scene::Suites {
    scene::Suites::of(super::cbc(), vpnd::sa::suite::Group::Ecp256)
}
