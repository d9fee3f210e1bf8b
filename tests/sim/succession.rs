//! Sessions that succeed another: made before the old one is broken. Each story is told of both protocols.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use vpnd::sa::suite::Group;
use vpnd::sim::Peer;
use vpnd::sim::gateway::impair::Impairment;
use vpnd::sim::gateway_v1::Unique;
use vpnd::sim::link::Quality;
use vpnd::sim::scene::{self, Suites};
use vpnd::sim::world::{GATEWAY, Scene, World};
use vpnd::time::Instant;
use vpnd::tunnel::progress::Progress;
use vpnd::tunnel::settings::Host;
use vpnd::tunnel::{Change, Reason};

use super::{MINUTE, cbc, quick};

const TICK: Duration = Duration::from_millis(10);

fn v2() -> Scene {
    scene::plain(quick(), 1)
}

fn v1() -> Scene<vpnd::sim::gateway_v1::Gateway> {
    scene::plain_v1(Suites::of(cbc(), Group::Ecp256), 1)
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

#[test]
fn a_gateway_that_answers_again_is_succeeded_all_the_same_where_another_session_is_wanted_meanwhile() {
    let mut scene = v2();
    scene.gateway.auth_lifetime = Some(MINUTE);
    scene.client.profile.dpd = Some(10 * SECOND);
    let mut world = up(scene);
    carries_everything(&mut world, 36 * SECOND);
    world.link.quality.loss = 1000;
    world.ping();
    world.run(9 * SECOND);
    let begun = |progress: &&Progress| matches!(progress, Progress::SuccessionBegun { .. });
    let is_first = |told: Vec<&Progress>| told.into_iter().find(begun).cloned();
    let first = is_first(world.told());
    assert!(matches!(first, Some(Progress::SuccessionBegun { reason: Reason::Silence })), "{:?}", world.told());
    world.link.quality.loss = 0;
    world.ping();
    world.run(20 * SECOND);
    assert_eq!((succeeded(&world), downs(&world)), (vec![Reason::Expiring], 0), "{:?}", world.told());
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

const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const DEAD: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99));
const SECOND: Duration = Duration::from_secs(1);

fn up<G: Peer>(scene: Scene<G>) -> World<G> {
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE), "{:?}", world.told());
    world
}

fn failed<G: Peer>(world: &World<G>) -> usize {
    world.told().into_iter().filter(|progress| matches!(progress, Progress::SuccessionFailed { .. })).count()
}

fn ike_messages_to<G: Peer>(world: &World<G>, gateway: IpAddr, since: Instant) -> usize {
    let sent = world.wire.iter().filter(|(at, datagram)| *at >= since && datagram.destination.ip() == gateway);
    sent.filter(|(_, datagram)| datagram.destination.port() == 500 || datagram.octets.starts_with(&[0; 4])).count()
}

#[test]
fn k2_062_a_gateway_that_keeps_one_sa_a_client_takes_the_change_without_loss() {
    for after in [0, 4, 15, 500, 1900, 2100, 10_000] {
        let mut scene = v2();
        scene.gateway.replaces = Some(Duration::from_millis(after));
        let world = settings_change(scene);
        assert_eq!((world.gateway.sa_count(), world.gateway.child_count()), (1, 1), "{after} ms");
        assert_eq!(world.gateway.counts().initial_contacts, 1, "the first session's, never a successor's");
    }
}

#[test]
fn k1_015_an_ikev1_gateway_takes_the_change_whatever_it_does_with_children_of_the_old_sa() {
    for unique in [Unique::Replace, Unique::Never, Unique::Independent] {
        let mut scene = v1();
        scene.gateway.unique = unique;
        let world = settings_change(scene);
        assert_eq!((world.gateway.sa_count(), world.gateway.child_count()), (1, 1), "{unique:?}");
        assert_eq!(world.gateway.counts().initial_contacts, 1, "the first session's, never a successor's");
    }
}

#[test]
fn with_a_group_to_prove_and_settings_of_other_suites_nothing_is_lost() {
    let mut scene = v2();
    scene.client.profile.child.offers[0].pfs = vec![Group::Ecp256];
    scene.gateway.pfs = Some(Group::Ecp256);
    let mut world = up(scene);
    let other = Suites::of(cbc(), Group::Ecp256);
    let mut settings = scene::client(other);
    settings.profile.child.offers[0].pfs = vec![Group::Ecp256];
    world.gateway.settings_mut().ike_suites.push(other.ike);
    world.gateway.settings_mut().esp_suites.push((other.esp, other.esn));
    carries_everything(&mut world, 2 * SECOND);
    world.change_settings(settings, Change::Successor);
    carries_everything(&mut world, 10 * SECOND);
    assert_eq!(succeeded(&world), [Reason::Settings]);
    assert_eq!(world.client.tunnel().status().session.unwrap().suite, Some(other.ike));
}

/// Loss, damage, doubling and reordering of all that is said; ESP is only late and out of order.
fn rough(seed: u64) -> Quality {
    let loss = (seed % 5) as u32 * 60;
    let jitter = Duration::from_millis(seed % 7 * 15);
    Quality { loss, duplication: 100, corruption: 20, jitter, spares_esp: true, ..Quality::GOOD }
}

fn survives_a_rough_road<G: Peer>(mut scene: Scene<G>, seed: u64) {
    scene.seed = seed;
    scene.nat = seed.is_multiple_of(2);
    scene.quality = rough(seed);
    let settings = scene.client.clone();
    let mut world = World::new(scene);
    assert!(world.run_until_up(20 * MINUTE), "seed {seed}");
    for _ in 0..3 {
        let before = succeeded(&world).len();
        world.change_settings(settings.clone(), Change::Successor);
        let end = world.now().after(2 * MINUTE);
        while succeeded(&world).len() == before && world.now() < end && downs(&world) == 0 {
            world.ping();
            world.run(5 * TICK);
        }
        for _ in 0..200 {
            world.ping();
            world.run(5 * TICK);
        }
    }
    world.run(2 * SECOND);
    // A gateway that was not heard for so long that it had to be taken for dead is no matter of succession.
    if downs(&world) > 0 {
        return;
    }
    let (sent, echoed) = world.echoes();
    assert_eq!(sent - echoed, 0, "seed {seed}: of {sent}: {:?}", world.told());
    assert_eq!(succeeded(&world).len(), 3, "seed {seed}: {:?}", world.told());
    world.run(MINUTE);
    assert!(world.close(MINUTE), "seed {seed}");
}

#[test]
fn on_rough_roads_settings_change_without_loss_ikev2() {
    for seed in 0..60 {
        let mut scene = v2();
        scene.gateway.replaces = [None, Some(Duration::ZERO), Some(3 * SECOND)][seed as usize % 3];
        scene.gateway.patient = true;
        survives_a_rough_road(scene, seed);
    }
}

#[test]
fn on_rough_roads_settings_change_without_loss_ikev1() {
    // A gateway that misses the last message of a quick mode says so by repeating its own, which may be lost as well: roads that lose less.
    for seed in (0..60).filter(|seed| seed % 5 < 2) {
        let mut scene = v1();
        scene.gateway.unique = [Unique::Replace, Unique::Never, Unique::Independent][seed as usize % 3];
        survives_a_rough_road(scene, seed);
    }
}

fn refused_and_then_taken<G: Peer>(scene: Scene<G>, keep: Duration) {
    let good = scene.client.clone();
    let mut bad = good.clone();
    bad.profile.psk =
        std::sync::Arc::new(vpnd::crypto::secret::Secret::copy_of(b"a key that the gateway does not have"));
    let mut world = up(scene);
    let changed = world.now();
    world.change_settings(bad, Change::Successor);
    carries_everything(&mut world, keep);
    assert_eq!((succeeded(&world).len(), downs(&world)), (0, 0), "{:?}", world.told());
    assert!(failed(&world) >= 1);
    let messages = ike_messages_to(&world, GATEWAY, changed);
    assert!(messages < 120, "{messages} messages in {keep:?}");
    world.change_settings(good, Change::Successor);
    carries_everything(&mut world, 10 * SECOND);
    assert_eq!((succeeded(&world), downs(&world)), (vec![Reason::Settings], 0), "{:?}", world.told());
}

#[test]
fn a_refused_successor_leaves_the_live_one_and_is_not_asked_for_in_a_hurry() {
    refused_and_then_taken(v2(), 5 * MINUTE);
    refused_and_then_taken(v1(), 2 * MINUTE);
}

fn silent_and_then_gone<G: Peer>(scene: Scene<G>) {
    let mut silent = scene.client.clone();
    silent.gateways = vec![Host::Address(DEAD)];
    let mut world = up(scene);
    let changed = world.now();
    world.change_settings(silent, Change::Successor);
    carries_everything(&mut world, 3 * MINUTE);
    assert_eq!((succeeded(&world).len(), downs(&world)), (0, 0));
    assert!((2..=8).contains(&failed(&world)), "{}", failed(&world));
    assert!(ike_messages_to(&world, DEAD, changed) <= 60);
    // Both are closed, also the one that nobody answers.
    assert!(world.close(5 * SECOND));
}

#[test]
fn a_successor_that_nobody_answers_leaves_the_live_one() {
    silent_and_then_gone(v2());
    silent_and_then_gone(v1());
}

/// The first gateway is silent, the second carries the tunnel, the first comes back.
fn returns<G: Peer>(mut scene: Scene<G>, other: G::Settings, silence: impl Fn(&mut G, bool)) {
    scene.client.gateways = vec![Host::Address(GATEWAY), Host::Address(OTHER)];
    scene.client.return_after = Some(2 * MINUTE);
    scene.others = vec![other];
    let mut world = World::new(scene);
    silence(&mut world.gateway, true);
    assert!(world.run_until_up(MINUTE), "{:?}", world.told());
    let since = world.now();
    carries_everything(&mut world, 4 * MINUTE);
    assert_eq!((succeeded(&world).len(), downs(&world)), (0, 1), "{:?}", world.told());
    let asked = ike_messages_to(&world, GATEWAY, since);
    assert!((5..=20).contains(&asked), "{asked} messages: one cheap attempt an interval");
    silence(&mut world.gateway, false);
    carries_everything(&mut world, 3 * MINUTE);
    assert_eq!((succeeded(&world), downs(&world)), (vec![Reason::Return], 1), "{:?}", world.told());
    assert_eq!(world.client.tunnel().status().session.unwrap().path.remote.ip(), GATEWAY);
    let since = world.now();
    world.run(20 * MINUTE);
    assert_eq!(
        (succeeded(&world).len(), ike_messages_to(&world, OTHER, since)),
        (1, 0),
        "there is nothing to return to"
    );
}

#[test]
fn traffic_returns_to_the_first_gateway_without_loss_ikev2() {
    let other = vpnd::sim::gateway::GatewaySettings { address: OTHER, ..v2().gateway };
    returns(v2(), other, |gateway, silent| {
        gateway.settings_mut().impairments = if silent { vec![Impairment::Silent] } else { Vec::new() };
    });
}

#[test]
fn traffic_returns_to_the_first_gateway_without_loss_ikev1() {
    let other = vpnd::sim::gateway_v1::GatewaySettings { address: OTHER, ..v1().gateway };
    let silent = vpnd::sim::gateway_v1::impair::Impairment::Silent;
    returns(v1(), other, |gateway, is_silent| {
        gateway.settings_mut().impairments = if is_silent { vec![silent.clone()] } else { Vec::new() };
    });
}

#[test]
fn without_an_interval_nobody_returns() {
    let mut scene = v2();
    scene.client.gateways = vec![Host::Address(DEAD), Host::Address(GATEWAY)];
    let mut world = up(scene);
    let since = world.now();
    world.run(60 * MINUTE);
    assert_eq!(ike_messages_to(&world, DEAD, since), 0);
}

#[test]
fn k2_143_authentication_is_repeated_before_its_time_is_over_and_nothing_is_lost() {
    for replaces in [None, Some(Duration::ZERO)] {
        let mut scene = v2();
        scene.gateway.auth_lifetime = Some(40 * SECOND);
        scene.gateway.replaces = replaces;
        let mut world = up(scene);
        carries_everything(&mut world, 3 * MINUTE);
        assert!(succeeded(&world).len() >= 4 && downs(&world) == 0, "{:?}", world.told());
        assert!(succeeded(&world).iter().all(|reason| *reason == Reason::Expiring));
        world.run(5 * SECOND);
        assert_eq!(world.gateway.sa_count(), 1);
    }
}

#[test]
fn k2_125_k2_134_k2_135_what_the_gateway_does_not_rekey_is_succeeded_and_nothing_is_lost() {
    // TEMPORARY_FAILURE, NO_ADDITIONAL_SAS, NO_PROPOSAL_CHOSEN, an unknown error.
    for refusal in [43, 35, 14, 9999] {
        for ike in [false, true] {
            let mut scene = v2();
            let time = Some(60 * SECOND);
            scene.client.profile.child.lifetime.time = time.filter(|_| !ike);
            scene.client.profile.ike_lifetime.time = time.filter(|_| ike);
            scene.gateway.impairments = vec![Impairment::RefuseRekey(refusal)];
            let mut world = up(scene);
            carries_everything(&mut world, 2 * MINUTE);
            assert!(succeeded(&world).len() >= 2 && downs(&world) == 0, "{refusal}, {ike}: {:?}", world.told());
        }
    }
}

#[test]
fn k1_020_a_renewal_that_gives_another_address_is_succeeded() {
    let mut scene = v1();
    scene.client.profile.ike_lifetime.time = Some(MINUTE);
    let mut world = up(scene);
    let another = Ipv4Addr::new(10, 200, 0, 9);
    world.gateway.settings_mut().pool.0 = Some(another);
    super::pings(&mut world, 1200);
    let (sent, echoed) = world.echoes();
    // What is under way to an address that is no more is lost with it.
    assert!(sent - echoed <= 40, "{echoed} of {sent}");
    // A gateway that keeps one phase 1 may delete the old one while the new is being made.
    assert!(succeeded(&world).len() + downs(&world) == 1 && world.client.is_up(), "{:?}", world.told());
    assert_eq!(world.client.inner_addresses(), [IpAddr::from(another)]);
}

/// The old session ends in the middle of the succession, a moment later each time.
#[test]
fn the_old_session_may_end_at_any_moment_and_the_successor_goes_on() {
    for delay in (0..60).step_by(3) {
        let scene = v2();
        let settings = scene.client.clone();
        let mut world = up(scene);
        world.run(SECOND);
        world.change_settings(settings, Change::Successor);
        world.run(Duration::from_millis(delay));
        let established = world.now();
        world.gateway.settings_mut().impairments = vec![Impairment::DeleteIkeAfter(Duration::ZERO)];
        assert!(world.run_until(2 * SECOND, |world| downs(world) > 0 || !succeeded(world).is_empty()), "{delay} ms");
        assert!(world.run_until_up(2 * SECOND), "{delay} ms: {:?}", world.told());
        assert!(world.now().since(established) < 2 * SECOND, "{delay} ms: there is no wait");
        world.run(10 * SECOND);
        assert_eq!(super::pings(&mut world, 5), 5, "{delay} ms: {:?}", world.told());
    }
}

#[test]
fn a_further_change_takes_the_place_of_a_successor_under_way() {
    for delay in (0..60).step_by(4) {
        let scene = v2();
        let settings = scene.client.clone();
        let mut world = up(scene);
        world.change_settings(settings.clone(), Change::Successor);
        world.run(Duration::from_millis(delay));
        world.change_settings(settings, Change::Successor);
        carries_everything(&mut world, 10 * SECOND);
        assert!((1..=2).contains(&succeeded(&world).len()) && downs(&world) == 0, "{delay} ms: {:?}", world.told());
        assert_eq!((world.gateway.sa_count(), world.gateway.child_count()), (1, 1), "{delay} ms");
    }
}

fn close_in_the_middle<G: Peer>(scene: impl Fn() -> Scene<G>, count: impl Fn(&G) -> usize, step: usize) {
    for delay in (0..150).step_by(step) {
        let settings = scene().client;
        let mut world = up(scene());
        world.change_settings(settings, Change::Successor);
        world.run(Duration::from_millis(delay));
        assert!(world.close(10 * SECOND), "{delay} ms");
        world.run(10 * SECOND);
        // What was not authenticated yet is forgotten by the gateway itself.
        assert_eq!(count(&world.gateway), 0, "{delay} ms: {:?}", world.told());
    }
}

#[test]
fn closing_in_the_middle_closes_both() {
    close_in_the_middle(v2, vpnd::sim::gateway::Gateway::sa_count, 6);
    close_in_the_middle(v1, vpnd::sim::gateway_v1::Gateway::child_count, 15);
}

#[test]
fn a_move_in_the_middle_begins_anew_with_the_new_settings() {
    let moved = IpAddr::from([198, 51, 100, 77]);
    for delay in (0..60).step_by(6) {
        let scene = v2();
        let settings = scene.client.clone();
        let mut world = up(scene);
        world.run(10 * SECOND);
        world.change_settings(settings, Change::Successor);
        world.run(Duration::from_millis(delay));
        world.change_network(Some(moved));
        assert!(world.run_until(MINUTE, |world| world.client.is_up()), "{delay} ms");
        world.run(10 * SECOND);
        assert_eq!(super::pings(&mut world, 5), 5, "{delay} ms: {:?}", world.told());
        assert_eq!(world.gateway.sa_count(), 1, "{delay} ms");
    }
}

#[test]
fn in_place_the_live_session_asks_for_life_as_the_new_settings_say() {
    let mut scene = v2();
    scene.client.profile.dpd = None;
    let mut settings = scene.client.clone();
    settings.profile.dpd = Some(5 * SECOND);
    let mut world = up(scene);
    let since = world.now();
    world.run(10 * MINUTE);
    assert_eq!(ike_messages_to(&world, GATEWAY, since), 0);
    let since = world.now();
    world.change_settings(settings, Change::InPlace);
    world.run(MINUTE);
    assert!((5..=8).contains(&ike_messages_to(&world, GATEWAY, since)));
    assert_eq!((succeeded(&world).len(), world.gateway.authenticated()), (0, 1));
}
