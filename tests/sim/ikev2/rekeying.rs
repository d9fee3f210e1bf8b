//! SAs that take the place of others, asked for by either side.

use std::time::Duration;

use vpnd::ike::action::{Failure, Side};
use vpnd::sa::lifetime::Lifetime;
use vpnd::sa::suite::Group;
use vpnd::sim::gateway::impair::Impairment;
use vpnd::sim::link::{Fault, Quality};
use vpnd::sim::scene::{self, Suites};
use vpnd::sim::world::{Scene, World};
use vpnd::tunnel::progress::Progress;

use crate::{MINUTE, cbc, failures, pings, quick};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A tunnel whose SAs live for so long on our side.
fn lasting(child: Option<Duration>, ike: Option<Duration>, pfs: Option<Group>, seed: u64) -> Scene {
    let mut scene = scene::plain(quick(), seed);
    scene.client.profile.child.lifetime = Lifetime { time: child, ..Lifetime::default() };
    scene.client.profile.ike_lifetime = Lifetime { time: ike, ..Lifetime::default() };
    scene.client.profile.child.offers[0].pfs = pfs.into_iter().collect();
    scene.gateway.pfs = pfs;
    scene
}

fn up(scene: Scene) -> World {
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE), "{:?}", world.told());
    world
}

/// A packet every tenth of a second while this much time passes; all come back, in their order.
fn nothing_is_lost(world: &mut World, seconds: u64) {
    assert_eq!(pings(world, seconds * 10), seconds * 10, "{:?}", world.gateway.counts());
    assert!(failures(world).is_empty(), "{:?}", failures(world));
    assert!(world.delivered_in_order(), "packets overtook each other");
}

fn rekeyed(world: &World, by: Side) -> usize {
    world.told().iter().filter(|told| ***told == Progress::ChildRekeyed { by }).count()
}

#[test]
fn k2_120_k2_122_two_hundred_rekeys_of_the_child_by_us_lose_nothing() {
    for pfs in [None, Some(Group::Ecp256)] {
        let mut world = up(lasting(Some(10 * SECOND), None, pfs, 1));
        nothing_is_lost(&mut world, 1700);
        let counts = world.gateway.counts();
        assert!(counts.children_by_client >= 200, "{counts:?}");
        assert!(counts.child_deletes >= counts.children_by_client - 1, "{counts:?}");
        assert_eq!(world.gateway.child_count(), 1);
        assert_eq!(counts.authenticated, 1);
    }
}

#[test]
fn k2_121_two_hundred_rekeys_of_the_child_by_the_gateway_lose_nothing() {
    for pfs in [None, Some(Group::Ecp256)] {
        let mut scene = lasting(Some(HOUR), None, pfs, 2);
        scene.gateway.child_rekey = Some(8 * SECOND);
        let mut world = up(scene);
        nothing_is_lost(&mut world, 1700);
        let counts = world.gateway.counts();
        assert!(counts.children_by_gateway >= 200, "{counts:?}");
        assert!(rekeyed(&world, Side::Peer) >= 200);
        assert_eq!((world.gateway.child_count(), counts.authenticated), (1, 1));
    }
}

#[test]
fn k2_130_two_hundred_rekeys_of_the_ike_sa_by_us_lose_nothing() {
    let mut world = up(lasting(Some(HOUR), Some(10 * SECOND), None, 3));
    nothing_is_lost(&mut world, 1700);
    let counts = world.gateway.counts();
    assert!(counts.ikes_by_client >= 200, "{counts:?}");
    assert!(counts.deletes >= counts.ikes_by_client - 1, "K2-130: each old one is deleted: {counts:?}");
    assert_eq!((world.gateway.child_count(), counts.authenticated), (1, 1));
    assert!(world.gateway.sa_count() <= 2);
}

#[test]
fn k2_130_two_hundred_rekeys_of_the_ike_sa_by_the_gateway_lose_nothing() {
    let mut scene = lasting(Some(HOUR), None, None, 4);
    scene.gateway.ike_rekey = Some(8 * SECOND);
    let mut world = up(scene);
    nothing_is_lost(&mut world, 1700);
    let counts = world.gateway.counts();
    assert!(counts.ikes_by_gateway >= 200, "{counts:?}");
    assert_eq!((world.gateway.child_count(), counts.authenticated), (1, 1));
    assert!(world.gateway.sa_count() <= 2);
}

#[test]
fn k2_130_a_child_is_rekeyed_with_the_keys_of_the_new_ike_sa() {
    for by_us in [true, false] {
        let mut scene = lasting(Some(30 * SECOND), by_us.then_some(20 * SECOND), None, 5);
        scene.gateway.ike_rekey = (!by_us).then_some(13 * SECOND);
        scene.gateway.child_rekey = Some(35 * SECOND);
        let mut world = up(scene);
        nothing_is_lost(&mut world, 300);
        assert!(rekeyed(&world, Side::Us) >= 9, "{:?}", world.gateway.counts());
    }
}

/// RFC 6989 §2.5: no keys are made of it, and the IKE SA in which it came is over.
#[test]
fn c_05_an_invalid_public_value_in_a_rekey_ends_the_ike_sa_whoever_began() {
    for (by_us, is_child) in [(true, true), (true, false), (false, true), (false, false)] {
        for group in [Group::Curve25519, Group::Ecp256, Group::Modp2048] {
            let after = |is_wanted: bool| is_wanted.then_some(20 * SECOND);
            let mut scene = scene::plain(Suites::of(cbc(), group), 6);
            let profile = &mut scene.client.profile;
            profile.child.lifetime.time = after(by_us && is_child);
            profile.ike_lifetime.time = after(by_us && !is_child);
            profile.child.offers[0].pfs = vec![group];
            profile.child.verify_pfs = false;
            scene.gateway.pfs = Some(group);
            scene.gateway.child_rekey = after(!by_us && is_child);
            scene.gateway.ike_rekey = after(!by_us && !is_child);
            scene.gateway.impairments = vec![Impairment::ZeroRekeyExchange];
            let mut world = up(scene);
            assert!(world.run_until(MINUTE, |world| !failures(world).is_empty()), "{by_us} {is_child} {group:?}");
            let failure = failures(&world)[0];
            assert!(matches!(failure, Failure::PeerViolation { .. }), "{by_us} {is_child} {group:?}: {failure:?}");
            world.run(SECOND / 10);
            // By a DELETE, or by INVALID_SYNTAX in the answer (RFC 7296 §2.21.3).
            assert_eq!(world.gateway.counts().deletes, u64::from(by_us), "{by_us} {is_child} {group:?}");
        }
    }
}

#[test]
fn k2_136_packets_and_octets_lead_to_a_rekey_before_they_are_used_up() {
    for limit in
        [Lifetime { packets: Some(40), ..Lifetime::default() }, Lifetime { bytes: Some(4000), ..Lifetime::default() }]
    {
        let mut scene = lasting(None, None, None, 6);
        scene.client.profile.child.lifetime = limit;
        let mut world = up(scene);
        nothing_is_lost(&mut world, 60);
        assert!(rekeyed(&world, Side::Us) >= 10, "{limit:?}: {:?}", world.gateway.counts());
    }
}

#[test]
fn k2_132_the_group_is_proven_before_the_tunnel_is_ready() {
    let world = up(lasting(None, None, Some(Group::Ecp256), 7));
    let told = world.told();
    let place = |wanted: &Progress| told.iter().position(|told| *told == wanted);
    let verified = place(&Progress::PfsVerified { group: Group::Ecp256 });
    assert!(verified.is_some() && verified < place(&Progress::Up), "{told:?}");
}

#[test]
fn k2_132_a_group_that_the_gateway_does_not_take_is_found_right_after_connecting() {
    for theirs in [None, Some(Group::Ecp384)] {
        let mut scene = lasting(None, None, Some(Group::Ecp256), 8);
        scene.gateway.pfs = theirs;
        let mut world = World::new(scene);
        assert!(!world.run_until_up(MINUTE));
        let failures = failures(&world);
        assert!(matches!(failures[0], Failure::PfsRefused { .. }), "{failures:?}");
    }
}

#[test]
fn k2_132_without_the_proof_a_wrong_group_shows_at_the_first_rekey_and_another_session_succeeds() {
    let mut scene = lasting(Some(60 * SECOND), None, Some(Group::Ecp256), 9);
    scene.client.profile.child.verify_pfs = false;
    scene.gateway.pfs = None;
    let mut world = up(scene);
    world.run(50 * SECOND);
    assert!(world.client.is_up(), "a refused rekey ends nothing");
    let notices = world.told().iter().filter(|told| matches!(told, Progress::Notice(_))).count();
    assert!(notices >= 1);
    // A child that IKE_AUTH makes needs no group: another session succeeds this one.
    world.run(15 * SECOND);
    assert!(world.client.is_up() && failures(&world).is_empty(), "{:?}", failures(&world));
    assert!(world.told().iter().any(|told| matches!(told, Progress::Succeeded { .. })));
}

#[test]
fn k2_132_the_group_that_the_gateway_wants_is_used_if_it_was_offered() {
    let mut scene = lasting(Some(20 * SECOND), None, Some(Group::Ecp256), 10);
    scene.client.profile.child.offers[0].pfs = vec![Group::Curve25519, Group::Ecp256];
    let mut world = up(scene);
    nothing_is_lost(&mut world, 60);
    assert!(world.told().contains(&&Progress::PfsVerified { group: Group::Ecp256 }));
}

#[test]
fn k2_125_a_refusal_that_ends_costs_nothing() {
    let mut world = up(lasting(Some(60 * SECOND), Some(60 * SECOND), None, 12));
    world.gateway.settings_mut().impairments = vec![Impairment::RefuseRekey(43)];
    nothing_is_lost(&mut world, 54);
    world.gateway.settings_mut().impairments.clear();
    nothing_is_lost(&mut world, 100);
    assert!(rekeyed(&world, Side::Us) >= 1);
    assert!(world.told().contains(&&Progress::IkeRenewed));
}

#[test]
fn k2_126_a_child_that_the_gateway_forgot_is_made_anew_under_the_same_ike_sa() {
    let mut world = up(lasting(Some(30 * SECOND), None, Some(Group::Ecp256), 18));
    world.gateway.forget_children();
    assert_eq!(pings(&mut world, 5), 0);
    world.run(30 * SECOND);
    assert_eq!(world.gateway.child_count(), 1);
    nothing_is_lost(&mut world, 60);
    assert_eq!(world.gateway.counts().authenticated, 1);
}

#[test]
fn k2_101_a_child_that_the_gateway_says_under_the_ike_sa_it_does_not_know_is_made_anew() {
    for keeps_it in [false, true] {
        let mut world = up(lasting(None, None, Some(Group::Ecp256), 19));
        world.run(6 * SECOND);
        let lost = world.gateway.child_spis()[0];
        if !keeps_it {
            world.gateway.forget_children();
        }
        world.gateway.say_invalid_spi(world.now(), lost);
        pings(&mut world, 5);
        assert_eq!((world.gateway.child_count(), world.gateway.counts().authenticated), (1, 1), "{keeps_it}");
        assert_eq!(pings(&mut world, 5), 5, "{keeps_it}");
        let made = world.gateway.child_spis();
        assert_ne!(made, [lost], "{keeps_it}");
        // About the new one, once more about the SA that is gone, about nobody's: nothing is made for that.
        for spi in [made[0], lost, 0x1234_5678] {
            world.gateway.say_invalid_spi(world.now(), spi);
            assert_eq!(pings(&mut world, 5), 5, "{keeps_it}");
        }
        assert_eq!(world.gateway.child_spis(), made, "{keeps_it}");
        nothing_is_lost(&mut world, 20);
        assert_eq!(world.gateway.counts().authenticated, 1);
    }
}

#[test]
fn k2_133_narrower_selectors_are_refused_and_the_old_sa_stays() {
    let mut world = up(lasting(Some(60 * SECOND), None, None, 13));
    world.gateway.settings_mut().impairments = vec![Impairment::NarrowRekey];
    nothing_is_lost(&mut world, 54);
    assert_eq!(rekeyed(&world, Side::Us), 0);
    assert!(world.gateway.counts().child_deletes >= 1, "what the gateway made is deleted");
    world.gateway.settings_mut().impairments.clear();
    nothing_is_lost(&mut world, 30);
    assert!(rekeyed(&world, Side::Us) >= 1);
}

#[test]
fn closing_in_the_middle_of_any_rekey_is_confirmed() {
    for ike in [false, true] {
        for by_us in [false, true] {
            for delay in [0, 3, 6, 11, 16, 21] {
                let time = by_us.then_some(20 * SECOND);
                let mut world = up(lasting(time.filter(|_| !ike), time.filter(|_| ike), None, 15));
                let done = if by_us {
                    let sent = world.wire.len();
                    world.run_until(MINUTE, |world| world.wire.len() > sent)
                } else if ike {
                    world.gateway.rekey_ike(world.now())
                } else {
                    world.gateway.rekey_child(world.now())
                };
                assert!(done);
                world.run(Duration::from_millis(delay));
                assert!(world.close(MINUTE), "ike {ike}, by us {by_us}, {delay} ms");
                assert_eq!(world.client.closed, Some(true), "ike {ike}, by us {by_us}, {delay} ms");
            }
        }
    }
}

/// Datagrams of a session in which everything is rekeyed once by either side.
fn session(fault: Option<(u64, Fault)>) -> World {
    let mut scene = lasting(Some(40 * SECOND), Some(60 * SECOND), Some(Group::Curve25519), 16);
    scene.gateway.child_rekey = Some(35 * SECOND);
    scene.gateway.ike_rekey = Some(45 * SECOND);
    let mut world = World::new(scene);
    if let Some((number, fault)) = fault {
        world.link.fault(number, fault);
    }
    assert!(world.run_until_up(10 * MINUTE), "{fault:?}: {:?}", world.told());
    world.run(3 * MINUTE);
    assert!(world.client.is_up() || world.run_until_up(10 * MINUTE), "{fault:?}: {:?}", world.told());
    world
}

#[test]
fn every_message_of_a_rekeying_session_may_be_lost_doubled_late_or_broken() {
    let whole = session(None);
    let count = whole.link.carried();
    assert!(failures(&whole).is_empty());
    assert!(count > 30, "{count} datagrams");
    for number in 0..count {
        for fault in [
            Fault::Drop,
            Fault::Double,
            Fault::Delay(Duration::from_millis(300)),
            Fault::Delay(3 * SECOND),
            Fault::Delay(40 * SECOND),
            Fault::Flip(20 + number as usize % 40, 1 << (number % 8)),
            Fault::Cut(number as usize % 60),
        ] {
            let mut world = session(Some((number, fault)));
            assert_eq!(pings(&mut world, 2), 2, "datagram {number}, {fault:?}: no traffic");
            // One lost message is repeated: the tunnel does not end for it.
            assert!(failures(&world).is_empty(), "datagram {number}, {fault:?}: {:?}", failures(&world));
        }
    }
}

#[test]
fn thirty_days_with_jitter_and_no_end() {
    let day = 24 * HOUR;
    let mut scene = lasting(Some(HOUR), Some(4 * HOUR), None, 17);
    scene.quality = Quality {
        spares_esp: false,
        loss: 10,
        duplication: 10,
        corruption: 2,
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(30),
    };
    scene.gateway.child_rekey = Some(50 * MINUTE);
    scene.gateway.ike_rekey = Some(3 * HOUR);
    let mut world = up(scene);
    for _ in 0..30 {
        world.run(day);
        assert!(failures(&world).is_empty(), "{:?}", failures(&world));
    }
    let counts = world.gateway.counts();
    assert!(counts.children_by_client + counts.children_by_gateway > 700, "{counts:?}");
    assert!(counts.ikes_by_client + counts.ikes_by_gateway > 180, "{counts:?}");
    assert!(world.gateway.sa_count() <= 3 && world.gateway.child_count() <= 2);
    assert!(world.close(MINUTE));
}
