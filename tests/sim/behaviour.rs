//! What vpnd does when the gateway does something in particular.

use std::time::Duration;

use vpnd::ike::action::Failure;
use vpnd::sim::gateway::impair::Impairment;
use vpnd::sim::gateway::octets::{exchange, notify_payload, payload};
use vpnd::sim::scene;
use vpnd::sim::world::World;
use vpnd::tunnel::progress::Progress;

use super::{MINUTE, failures, impaired, pings, quick, succeeded_in_silence};

/// The gateway does wrong: the client says what, never comes up, and comes up once the gateway is mended.
fn fails_then_recovers(impairment: Impairment, expected: impl Fn(&Failure) -> bool) {
    let name = format!("{impairment:?}");
    let mut world = impaired(vec![impairment]);
    assert!(!world.run_until_up(3 * MINUTE), "{name}: up");
    let seen = failures(&world);
    assert!(!seen.is_empty() && seen.iter().all(|failure| expected(failure)), "{name}: {seen:?}");
    world.gateway.settings_mut().impairments.clear();
    assert!(world.run_until_up(5 * MINUTE), "{name}: not up after the gateway was mended");
    assert_eq!(pings(&mut world, 3), 3, "{name}: no traffic after the gateway was mended");
}

#[test]
fn a_plain_handshake_takes_two_round_trips() {
    let mut world = impaired(vec![]);
    assert!(world.run_until_up(MINUTE));
    assert_eq!(world.wire.len(), 4);
    assert_eq!(pings(&mut world, 10), 10);
    assert!(world.close(MINUTE));
    assert_eq!(world.client.closed, Some(true));
    assert_eq!(world.gateway.sa_count(), 0);
}

#[test]
fn k2_031_a_silent_gateway_is_named() {
    fails_then_recovers(Impairment::Silent, |failure| matches!(failure, Failure::NoAnswer { .. }));
}

#[test]
fn k2_035_endless_cookies_make_no_storm() {
    fails_then_recovers(Impairment::CookieForever, |failure| matches!(failure, Failure::NoAnswer { .. }));
}

#[test]
fn k2_033_endless_groups_make_no_storm() {
    let mut scene = scene::plain(quick(), 1);
    scene.client.profile.ike_offers[0].groups.push(vpnd::sa::suite::Group::Ecp256);
    scene.gateway.impairments = vec![Impairment::GroupForever];
    let mut world = World::new(scene);
    assert!(!world.run_until_up(3 * MINUTE));
    world.gateway.settings_mut().impairments.clear();
    assert!(world.run_until_up(5 * MINUTE));
}

#[test]
fn k2_033_a_group_that_was_not_offered_is_not_used() {
    fails_then_recovers(Impairment::UnofferedGroup, |failure| {
        matches!(failure, Failure::IkeProposalRefused { .. } | Failure::NoAnswer { .. })
    });
}

#[test]
fn k2_031_no_proposal_is_named() {
    fails_then_recovers(Impairment::NoProposal, |failure| matches!(failure, Failure::IkeProposalRefused { .. }));
}

#[test]
fn k2_014_a_changed_proposal_is_not_accepted() {
    for impairment in [Impairment::ExtraTransform, Impairment::MissingTransform, Impairment::WrongNumber] {
        fails_then_recovers(impairment, |_| true);
    }
}

#[test]
fn k2_056_reflected_values_are_not_accepted() {
    for impairment in [Impairment::EchoNonce, Impairment::EchoKeyExchange] {
        fails_then_recovers(impairment, |_| true);
    }
}

#[test]
fn k2_015_k2_016_bad_nonces_and_key_exchange_values_are_not_accepted() {
    for impairment in [Impairment::ZeroKeyExchange, Impairment::ShortNonce] {
        fails_then_recovers(impairment, |_| true);
    }
}

#[test]
fn k2_050_a_gateway_with_another_key_is_refused() {
    fails_then_recovers(Impairment::WrongPsk, |failure| matches!(failure, Failure::PeerAuthenticationFailed { .. }));
}

#[test]
fn k2_058_the_gateway_is_told_that_it_failed() {
    let mut world = impaired(vec![Impairment::WrongPsk]);
    world.run(Duration::from_secs(5));
    assert!(world.gateway.counts().auth_failed_notices > 0);
    assert_eq!(world.gateway.sa_count(), 0);
}

#[test]
fn k2_054_another_identity_is_refused() {
    fails_then_recovers(Impairment::WrongIdentity, |failure| matches!(failure, Failure::PeerIdentityUnexpected { .. }));
}

#[test]
fn k2_055_v_07_eap_is_never_started() {
    fails_then_recovers(Impairment::Eap, |failure| matches!(failure, Failure::PeerMethodUnexpected { .. }));
}

#[test]
fn k2_053_other_methods_and_broken_auth_are_refused() {
    fails_then_recovers(Impairment::RsaMethod, |failure| matches!(failure, Failure::PeerMethodUnexpected { .. }));
    for impairment in [Impairment::NoAuth, Impairment::ShortAuth] {
        fails_then_recovers(impairment, |_| true);
    }
}

#[test]
fn k2_057_a_refused_client_does_not_hammer() {
    let mut world = impaired(vec![Impairment::RefuseClient]);
    world.run(10 * MINUTE);
    let attempts = failures(&world).len();
    assert!((2..40).contains(&attempts), "{attempts} attempts in ten minutes");
    assert!(failures(&world).iter().all(|failure| matches!(failure, Failure::AuthenticationRefused { .. })));
}

#[test]
fn k2_059_a_refused_child_is_no_failed_authentication() {
    fails_then_recovers(Impairment::RefuseChild(14), |failure| matches!(failure, Failure::ChildProposalRefused { .. }));
    fails_then_recovers(Impairment::RefuseChild(38), |failure| matches!(failure, Failure::SelectorsRefused { .. }));
    fails_then_recovers(Impairment::RefuseChild(36), |failure| matches!(failure, Failure::AddressRefused { .. }));
}

#[test]
fn k2_059_a_refused_child_leaves_no_ike_sa_behind() {
    let mut world = impaired(vec![Impairment::RefuseChild(14)]);
    world.run(Duration::from_secs(3));
    assert_eq!(world.gateway.sa_count(), 0);
}

#[test]
fn k2_061_unusable_addresses_are_refused() {
    for impairment in [Impairment::LoopbackAddress, Impairment::NoAddress] {
        fails_then_recovers(impairment, |failure| {
            matches!(failure, Failure::AddressRefused { .. } | Failure::SelectorsRefused { .. })
        });
    }
}

#[test]
fn k2_064_selectors_beyond_what_was_asked_are_refused() {
    fails_then_recovers(Impairment::WiderSelectors, |failure| matches!(failure, Failure::SelectorsRefused { .. }));
}

#[test]
fn k2_065_k2_066_transport_mode_and_reserved_spis_are_refused() {
    for impairment in [Impairment::TransportMode, Impairment::ReservedSpi] {
        fails_then_recovers(impairment, |_| true);
    }
}

#[test]
fn k2_007_an_unknown_critical_payload_in_the_answer_fails_the_request() {
    fails_then_recovers(Impairment::CriticalPayload, |_| true);
}

#[test]
fn k2_008_payload_order_and_unknown_payloads_do_not_matter() {
    let mut world = impaired(vec![Impairment::OddOrder]);
    assert!(world.run_until_up(MINUTE));
    assert_eq!(pings(&mut world, 3), 3);
}

#[test]
fn k2_128_a_deleted_ike_sa_comes_back() {
    let mut world = impaired(vec![Impairment::DeleteIkeAfter(Duration::from_secs(20))]);
    assert!(world.run_until_up(MINUTE));
    assert!(world.run_until(MINUTE, |world| !world.client.is_up()));
    assert!(failures(&world).iter().any(|failure| matches!(failure, Failure::ClosedByPeer)));
    assert!(world.run_until_up(MINUTE));
    assert_eq!(pings(&mut world, 3), 3);
    assert_eq!(world.gateway.sa_count(), 1);
}

#[test]
fn a_client_that_is_displaced_again_and_again_says_so_and_gives_way() {
    let mut world = impaired(vec![]);
    for _ in 0..6 {
        world.gateway.settings_mut().impairments = vec![Impairment::DeleteIkeAfter(Duration::from_secs(2))];
        assert!(world.run_until_up(17 * MINUTE));
        assert!(world.run_until(MINUTE, |world| !world.client.is_up()));
    }
    let is_suspicion = |progress: &&Progress| matches!(progress, Progress::Displaced { .. });
    assert_eq!(world.told().into_iter().filter(is_suspicion).count(), 5, "from the second time on");
    let waits = world.told().into_iter().filter_map(|progress| match progress {
        Progress::Waiting { wait } => Some(wait.as_secs()),
        _ => None,
    });
    let waits: Vec<u64> = waits.collect();
    assert!(waits[0] <= 1 && waits[1] >= 60 && waits[5] >= 480, "{waits:?}");
    assert!(world.run_until_up(17 * MINUTE));
    assert_eq!(pings(&mut world, 3), 3);
}

#[test]
fn k2_129_a_deleted_child_comes_back_under_the_same_ike_sa() {
    let mut world = impaired(vec![Impairment::DeleteChildAfter(Duration::from_secs(20))]);
    assert!(world.run_until_up(MINUTE));
    world.run(Duration::from_secs(25));
    assert!(world.client.is_up() && failures(&world).is_empty());
    assert_eq!((world.gateway.child_count(), world.gateway.counts().authenticated), (1, 1));
    assert_eq!(pings(&mut world, 3), 3);
}

#[test]
fn k2_129_a_gateway_that_wants_no_child_is_asked_a_few_times_and_then_left() {
    let mut world = impaired(Vec::new());
    assert!(world.run_until_up(MINUTE));
    let mut deletes = 0;
    while failures(&world).is_empty() {
        deletes += 1;
        assert!(deletes <= 6, "{:?}", world.told());
        world.gateway.settings_mut().impairments = vec![Impairment::DeleteChildAfter(Duration::ZERO)];
        world.run(Duration::from_secs(40));
    }
    assert!(matches!(failures(&world)[..], [Failure::ChildrenDeleted { .. }]), "{:?}", failures(&world));
}

#[test]
fn k2_087_a_gateway_that_forgot_is_noticed_by_liveness() {
    let mut world = impaired(vec![Impairment::ForgetAfter(Duration::from_secs(20))]);
    assert!(world.run_until_up(MINUTE));
    assert!(world.run_until(10 * MINUTE, succeeded_in_silence), "not noticed");
    assert!(failures(&world).is_empty() && world.client.is_up(), "{:?}", world.told());
    assert_eq!(pings(&mut world, 3), 3);
}

#[test]
fn a_rekey_request_is_answered_and_the_tunnel_stays() {
    let mut world = impaired(vec![Impairment::RekeyChildAfter(Duration::from_secs(10))]);
    assert!(world.run_until_up(MINUTE));
    world.run(MINUTE);
    assert!(world.gateway.counts().answers > 0, "the request was not answered");
    assert!(world.client.is_up());
    assert_eq!(pings(&mut world, 3), 3);
}

#[test]
fn k2_104_k2_105_liveness_works_both_ways() {
    let mut scene = scene::plain(quick(), 3);
    scene.gateway.dpd = Some(Duration::from_secs(10));
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    world.run(10 * MINUTE);
    assert!(world.gateway.counts().answers > 20);
    assert!(world.client.is_up());
    assert_eq!(failures(&world).len(), 0);
}

#[test]
fn k2_100_nothing_in_clear_ends_an_established_tunnel() {
    let clear = [
        vec![(payload::DELETE, vec![1, 0, 0, 0])],
        vec![notify_payload(4, &[])],
        vec![notify_payload(11, &[0, 0, 0x10, 0])],
        vec![notify_payload(24, &[])],
    ];
    let impairments =
        (10..).zip(clear).map(|(at, inner)| Impairment::InClear(Duration::from_secs(at), inner)).collect();
    let mut world = impaired(impairments);
    assert!(world.run_until_up(MINUTE));
    world.run(2 * MINUTE);
    assert!(world.client.is_up());
    assert_eq!(failures(&world).len(), 0);
    assert_eq!(pings(&mut world, 3), 3);
}

#[test]
fn k2_007_k2_128_odd_requests_of_the_gateway_are_answered() {
    let requests = [
        (exchange::INFORMATIONAL, vec![(payload::DELETE, vec![3, 4, 0, 1, 9, 9, 9, 9])]),
        (exchange::INFORMATIONAL, vec![(99, vec![1, 2, 3])]),
        (exchange::INFORMATIONAL, vec![(200, vec![1, 2, 3])]),
        (exchange::INFORMATIONAL, vec![notify_payload(40_000, b"status")]),
        (exchange::CREATE_CHILD, vec![(payload::NONCE, vec![7; 32])]),
        (exchange::INFORMATIONAL, vec![]),
    ];
    for (kind, inner) in requests {
        let mut world = impaired(vec![Impairment::RequestAfter(Duration::from_secs(10), kind, inner.clone())]);
        assert!(world.run_until_up(MINUTE));
        world.run(Duration::from_secs(15));
        assert!(world.gateway.counts().answers > 0, "exchange {kind} with {inner:?} was not answered");
    }
}

#[test]
fn n_03_the_nat_mapping_is_kept() {
    let mut scene = scene::plain(quick(), 4);
    scene.nat = true;
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE));
    let before = world.wire.len();
    world.run(5 * MINUTE);
    let keepalives = world.wire[before..].iter().filter(|(_, datagram)| datagram.octets == [0xff]).count();
    assert!((12..=16).contains(&keepalives), "{keepalives} keepalives in five minutes");
}
