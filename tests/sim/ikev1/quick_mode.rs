//! Quick mode: what the gateway may answer, and what it may ask.

use std::net::{IpAddr, Ipv4Addr};

use vpnd::ike::action::Failure;
use vpnd::sa::selector::Selector;
use vpnd::sim::Peer;
use vpnd::sim::gateway_v1::Commit;
use vpnd::sim::gateway_v1::impair::{Deed, Impairment, SaChange, ValueChange};
use vpnd::sim::gateway_v1::octets::{exchange, payload};
use vpnd::sim::gateway_v1::registry::phase_2;
use vpnd::sim::world::{ECHO, udp_packet};

use super::*;

fn subnet(third: u8) -> Selector {
    Selector::from_prefix(IpAddr::V4(Ipv4Addr::new(10, 250, third, 0)), 24).unwrap()
}

/// This many subnets on both sides.
fn with_subnets(count: u8) -> Scene {
    let mut scene = plain();
    scene.client.profile.child.remote = (0..count).map(subnet).collect();
    scene.gateway.subnets = (0..count).map(subnet).collect();
    scene
}

#[test]
fn each_pair_of_subnets_has_a_child() {
    for count in [2, 3, 8] {
        let mut world = World::new(with_subnets(count));
        assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
        world.run(Duration::from_secs(1));
        assert_eq!(world.gateway.child_count(), usize::from(count));
        for third in 0..count {
            world.ping_to(Ipv4Addr::new(10, 250, third, 9));
            world.run(Duration::from_secs(1));
        }
        assert_eq!(world.echoes(), (u64::from(count), u64::from(count)));
    }
}

#[test]
fn one_subnet_that_is_refused_does_not_take_the_others_along() {
    let mut scene = with_subnets(3);
    scene.gateway.subnets.remove(1);
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
    world.run(Duration::from_secs(1));
    assert_eq!(world.gateway.child_count(), 2);
    world.ping_to(Ipv4Addr::new(10, 250, 2, 9));
    world.run(Duration::from_secs(1));
    assert_eq!(world.echoes(), (1, 1));
}

#[test]
fn k1_012_forward_secrecy_is_agreed_on() {
    let mut world = World::new(with_group());
    assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
    assert_eq!(pings(&mut world, 3), 3);
}

#[test]
fn k1_012_forward_secrecy_that_only_one_side_wants_is_refused() {
    let mut scene = with_group();
    scene.gateway.pfs = None;
    let mut world = World::new(scene);
    assert!(!world.run_until_up(MINUTE));
    assert!(matches!(failures(&world)[0], Failure::ChildProposalRefused { .. }), "{:?}", failures(&world));
}

#[test]
fn k1_012_a_missing_or_unasked_key_exchange_is_not_accepted() {
    refuses(with_group(), Impairment::NoQuickKeyExchange, |_| true);
    refuses(plain(), Impairment::UnaskedQuickKeyExchange, |_| true);
    refuses(with_group(), Impairment::QuickSa(SaChange::WithoutAttribute(phase_2::GROUP)), |_| true);
}

#[test]
fn a_refused_quick_mode_is_named() {
    refuses(plain(), Impairment::RefuseQuick(14), |failure| matches!(failure, Failure::ChildProposalRefused { .. }));
    refuses(plain(), Impairment::RefuseQuick(18), |failure| matches!(failure, Failure::SelectorsRefused { .. }));
    refuses(plain(), Impairment::RefuseQuick(40_000), |_| true);
    refuses(plain(), Impairment::SilentQuick, |failure| matches!(failure, Failure::NoAnswer { .. }));
}

#[test]
fn k1_004_k1_029_a_changed_quick_mode_transform_is_not_accepted() {
    for change in [
        SaChange::TwoPayloads,
        SaChange::TwoProposals,
        SaChange::TwoTransforms,
        SaChange::NoTransform,
        SaChange::Protocol(2),
        SaChange::Doi(2),
        SaChange::Situation(2),
        SaChange::Attribute(phase_2::ENCAPSULATION, 1),
        SaChange::Attribute(phase_2::ENCAPSULATION, 4),
        SaChange::Attribute(phase_2::ENCAPSULATION, 61443),
        SaChange::Attribute(phase_2::KEY_LENGTH, 128),
        SaChange::Attribute(phase_2::INTEGRITY, 2),
        SaChange::WithoutAttribute(phase_2::KEY_LENGTH),
        SaChange::WithoutAttribute(phase_2::INTEGRITY),
        SaChange::ExtraAttribute(phase_2::GROUP, 19),
        SaChange::ExtraAttribute(phase_2::ESN, 1),
        SaChange::Spi(0),
        SaChange::Spi(255),
        SaChange::SpiLength(0),
        SaChange::SpiLength(3),
        SaChange::SpiLength(16),
    ] {
        refuses(plain(), Impairment::QuickSa(change), |_| true);
    }
}

#[test]
fn v_18_every_other_esp_transform_is_refused() {
    for id in (0..=255).filter(|id| *id != 12) {
        let mut world = impaired(plain(), vec![Impairment::QuickSa(SaChange::TransformId(id))]);
        assert!(!world.run_until_up(Duration::from_secs(20)), "transform {id}");
    }
    for bits in [0, 1, 65535] {
        refuses(plain(), Impairment::QuickSa(SaChange::Attribute(phase_2::KEY_LENGTH, bits)), |_| true);
    }
}

#[test]
fn k1_011_quick_mode_holds_the_hash_the_order_and_the_nonce() {
    for impairment in [
        Impairment::WrongQuickHash,
        Impairment::QuickOrder,
        Impairment::QuickNonce(ValueChange::Missing),
        Impairment::QuickNonce(ValueChange::Twice),
        Impairment::QuickNonce(ValueChange::Length(7)),
        Impairment::QuickNonce(ValueChange::Length(257)),
        Impairment::NoQuickIdentities,
    ] {
        refuses(plain(), impairment, |_| true);
    }
}

#[test]
fn k1_011_v_12_v_23_identities_of_any_type_and_length_are_refused() {
    for kind in 0..=255u8 {
        for length in [0, 1, 3, 4, 5, 8, 16, 17, 32, 256, 300] {
            let identity = Impairment::QuickIdentity(kind, vec![0x0a; length]);
            let mut world = impaired(plain(), vec![identity]);
            assert!(!world.run_until_up(Duration::from_secs(2)), "type {kind}, {length} octets");
        }
    }
    let other = Impairment::QuickIdentity(4, vec![10, 250, 1, 0, 255, 255, 255, 0]);
    refuses(plain(), other, |_| true);
    let wider = Impairment::QuickIdentity(4, vec![10, 0, 0, 0, 255, 0, 0, 0]);
    refuses(plain(), wider, |_| true);
}

#[test]
fn k1_013_the_commit_bit_is_waited_for_and_not_for_ever() {
    for commit in [Commit::SameId, Commit::OwnId] {
        let mut scene = plain();
        scene.gateway.commit = Some(commit);
        let mut world = World::new(scene);
        assert!(world.run_until_up(MINUTE), "{commit:?}: {:?}", story(&world));
        assert_eq!(pings(&mut world, 3), 3, "{commit:?}");
    }
    tolerates(plain(), Impairment::CommitForever);
}

#[test]
fn k1_014_a_longer_lifetime_changes_nothing_and_a_shorter_one_does() {
    for seconds in [1_000_000, u32::MAX] {
        let mut scene = plain();
        scene.client.profile.child.lifetime.time = Some(MINUTE);
        let mut world = impaired(scene, vec![Impairment::ResponderLifetime(seconds)]);
        assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
        world.run(2 * MINUTE);
        assert!(world.gateway.counts().quick.0 > 1, "{seconds}: not replaced in time");
    }
    let mut world = impaired(plain(), vec![Impairment::ResponderLifetime(60)]);
    assert!(world.run_until_up(MINUTE));
    world.run(2 * MINUTE);
    assert!(world.gateway.counts().quick.0 > 1, "the shorter lifetime was not kept");
}

#[test]
fn k1_014_a_lifetime_of_nothing_makes_no_storm() {
    for seconds in [0, 1] {
        let mut world = impaired(plain(), vec![Impairment::ResponderLifetime(seconds)]);
        world.run(2 * MINUTE);
        assert!(world.gateway.counts().quick.0 < 200, "{seconds}: {:?}", world.gateway.counts());
    }
}

#[test]
fn k1_014_a_later_lifetime_counts_only_if_protected() {
    let mut world = up_then(plain(), Deed::Lifetime(60));
    world.run(2 * MINUTE);
    assert!(world.gateway.counts().quick.0 > 1, "the shorter lifetime was not kept");
    let mut world = up_then(plain(), Deed::ClearLifetime(60));
    world.run(3 * MINUTE);
    assert_eq!(world.gateway.counts().quick.0, 1, "a lifetime in clear was kept");
}

#[test]
fn k1_030_the_gateway_may_begin_a_quick_mode() {
    for scene in [plain(), with_group(), with_name(), aggressive()] {
        let mut world = up_then(scene, Deed::Rekey);
        assert_eq!(lost_within(&mut world, MINUTE, Duration::from_millis(50)), 0);
        assert_eq!(world.gateway.counts().quick, (1, 1));
    }
}

#[test]
fn k1_030_a_quick_mode_for_anything_else_is_refused() {
    let host = (1, vec![10, 200, 0, 7]);
    for (one, other) in [
        ((4, vec![10, 251, 0, 0, 255, 255, 255, 0]), host.clone()),
        ((4, vec![0; 8]), host.clone()),
        ((4, vec![10, 250, 0, 0, 255, 255, 255, 0]), (1, vec![10, 200, 0, 8])),
        ((2, b"example.com".to_vec()), host.clone()),
        ((11, vec![]), (255, vec![1; 300])),
        ((4, vec![10, 250, 0]), host),
    ] {
        let mut world = up_then(plain(), Deed::QuickFor(one, other));
        world.run(MINUTE);
        assert!(world.client.is_up() && failures(&world).is_empty());
        assert_eq!(world.gateway.counts().quick, (1, 0));
        assert_eq!(pings(&mut world, 3), 3);
    }
    let mut world = up_then(plain(), Deed::QuickWithOddProposal);
    world.run(MINUTE);
    assert_eq!(world.gateway.counts().quick, (1, 0));
    assert_eq!(pings(&mut world, 3), 3);
}

#[test]
fn k1_011_quick_modes_without_what_they_need_are_refused() {
    for payloads in [
        vec![(payload::NONCE, vec![1; 16])],
        vec![(payload::SA, vec![0, 0, 0, 1, 0, 0, 0, 1])],
        vec![(payload::SA, vec![0xff; 40]), (payload::NONCE, vec![1; 16])],
        vec![(payload::KE, vec![1; 64])],
        vec![(payload::DELETE, vec![0, 0, 0, 1, 3, 4, 0, 9])],
    ] {
        ignores(plain(), Deed::Protected(exchange::QUICK, payloads));
    }
}

#[test]
fn the_tunnel_is_up_when_the_gateway_shows_that_it_has_the_last_message() {
    let mut world = World::new(plain());
    assert!(world.run_until(MINUTE, |world| world.gateway.counts().probes == 1));
    assert!(!world.client.is_up(), "{:?}", story(&world));
    let asked = world.now();
    assert!(world.run_until_up(MINUTE));
    assert_eq!(world.now().since(asked), world.link.quality.delay);
}

#[test]
fn the_first_packet_of_the_gateway_shows_it_too() {
    let mut world = impaired(plain(), vec![Impairment::IgnoreProbes]);
    assert!(world.run_until(MINUTE, |world| world.gateway.counts().probes == 1));
    assert!(!world.client.is_up());
    let asked = world.now();
    assert!(world.gateway.send_packet(&udp_packet(ECHO, [10, 200, 0, 7].into(), 1)));
    let packet = world.gateway.poll_datagram().unwrap();
    world.link.send(asked, packet);
    assert!(world.run_until_up(MINUTE));
    assert!(world.now().since(asked) < Duration::from_millis(100), "{:?}", story(&world));
}

#[test]
fn a_gateway_that_shows_nothing_is_not_waited_for() {
    // It answers no question.
    let mut world = impaired(plain(), vec![Impairment::IgnoreProbes]);
    assert!(world.run_until(MINUTE, |world| world.gateway.counts().probes == 1));
    let asked = world.now();
    assert!(world.run_until_up(MINUTE));
    assert!(world.now().since(asked) <= Duration::from_secs(1));
    assert_eq!(pings(&mut world, 3), 3);
    // It has not said that it knows questions.
    let mut scene = plain();
    scene.gateway.announces_dpd = false;
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    assert_eq!(world.wire.len(), 11);
    assert_eq!(pings(&mut world, 3), 3);
}
