//! Main mode and aggressive mode with gateways of every kind.

use vpnd::ike::action::Failure;
use vpnd::sim::gateway_v1::NatDialect;
use vpnd::sim::gateway_v1::impair::{Impairment, SaChange, ValueChange};
use vpnd::sim::gateway_v1::octets::{notify, notify_payload, payload};
use vpnd::sim::gateway_v1::registry::phase_1;

use super::*;

#[test]
fn main_mode_an_address_and_a_child_take_eleven_datagrams_and_a_sign_of_life() {
    let mut world = World::new(plain());
    assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
    world.run(Duration::from_millis(100));
    assert_eq!(world.wire.len(), 11 + 2);
    assert_eq!(pings(&mut world, 10), 10);
    assert!(world.close(MINUTE));
    world.run(Duration::from_secs(1));
    assert_eq!((world.gateway.sa_count(), world.gateway.child_count()), (0, 0));
    assert_eq!(world.gateway.counts().deletes, (1, 1));
}

#[test]
fn k1_002_k1_015_aggressive_mode_takes_two_datagrams_fewer() {
    let mut world = World::new(aggressive());
    assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
    world.run(Duration::from_millis(100));
    // INITIAL-CONTACT goes by itself: nothing of aggressive mode but its last message may hold it (RFC 2407 §4.6.3.3).
    assert_eq!(world.wire.len(), 9 + 2);
    assert_eq!(pings(&mut world, 10), 10);
}

#[test]
fn a_silent_gateway_is_named() {
    for scene in [plain(), aggressive()] {
        refuses(scene, Impairment::Silent, |failure| matches!(failure, Failure::NoAnswer { .. }));
    }
}

#[test]
fn k1_027_a_refusal_in_clear_is_named_in_the_end() {
    for scene in [plain(), aggressive()] {
        refuses(scene, Impairment::NoProposal, |failure| matches!(failure, Failure::IkeProposalRefused { .. }));
    }
}

#[test]
fn k1_004_a_changed_transform_is_not_accepted() {
    for change in [
        SaChange::TwoPayloads,
        SaChange::TwoProposals,
        SaChange::TwoTransforms,
        SaChange::NoTransform,
        SaChange::Protocol(3),
        SaChange::TransformId(2),
        SaChange::Attribute(phase_1::GROUP, 14),
        SaChange::Attribute(phase_1::KEY_LENGTH, 128),
        SaChange::Attribute(phase_1::HASH, 2),
        SaChange::Attribute(phase_1::AUTHENTICATION, 3),
        SaChange::WithoutAttribute(phase_1::GROUP),
        SaChange::WithoutAttribute(phase_1::AUTHENTICATION),
        SaChange::ExtraAttribute(13, 1),
        SaChange::ExtraAttribute(phase_1::GROUP, 19),
    ] {
        for scene in [plain(), aggressive()] {
            refuses(scene, Impairment::Sa(change), |_| true);
        }
    }
}

#[test]
fn k1_028_an_aes_key_without_a_length_is_not_accepted() {
    refuses(plain(), Impairment::Sa(SaChange::WithoutAttribute(phase_1::KEY_LENGTH)), |_| true);
}

#[test]
fn k1_004_an_attribute_may_be_written_in_the_other_form() {
    tolerates(plain(), Impairment::Sa(SaChange::OtherForm));
    tolerates(plain(), Impairment::QuickSa(SaChange::OtherForm));
}

#[test]
fn k1_029_another_doi_or_situation_is_not_accepted() {
    for change in [0, 2, u32::MAX].map(SaChange::Doi).into_iter().chain([0, 2, 7, u32::MAX].map(SaChange::Situation)) {
        refuses(plain(), Impairment::Sa(change), |_| true);
    }
}

#[test]
fn k1_005_reserved_octets_that_are_not_zero_do_not_matter() {
    for scene in [plain(), aggressive()] {
        tolerates(scene, Impairment::ReservedNonzero);
    }
}

#[test]
fn k1_006_nonces_have_8_to_256_octets_and_are_not_ours() {
    for change in [
        ValueChange::Length(7),
        ValueChange::Length(257),
        ValueChange::Length(0),
        ValueChange::Missing,
        ValueChange::Twice,
        ValueChange::Echoed,
    ] {
        for scene in [plain(), aggressive()] {
            refuses(scene, Impairment::Nonce(change), |_| true);
        }
    }
}

#[test]
fn v_04_unusable_public_values_are_not_accepted() {
    for change in [
        ValueChange::Zero,
        ValueChange::Ones,
        ValueChange::Missing,
        ValueChange::Twice,
        ValueChange::Echoed,
        ValueChange::Length(0),
        ValueChange::Length(63),
        ValueChange::Length(65),
        ValueChange::Length(256),
    ] {
        for scene in [plain(), aggressive()] {
            refuses(scene, Impairment::KeyExchange(change), |_| true);
        }
    }
}

#[test]
fn k1_006_cookies_never_swap() {
    for scene in [plain(), aggressive()] {
        refuses(scene, Impairment::SwappedCookies, |_| true);
    }
}

#[test]
fn k1_003_the_exchange_does_not_change_midway() {
    for scene in [plain(), aggressive()] {
        refuses(scene, Impairment::SwitchedExchange, |_| true);
    }
}

#[test]
fn k1_009_a_proof_that_is_missing_wrong_short_or_our_own_is_none() {
    for impairment in [Impairment::NoHash, Impairment::WrongHash, Impairment::ShortHash, Impairment::WrongPsk] {
        for scene in [plain(), aggressive()] {
            refuses(scene, impairment.clone(), |_| true);
        }
    }
    refuses(plain(), Impairment::ReflectedHash, |_| true);
}

#[test]
fn another_identity_is_refused() {
    for scene in [plain(), aggressive()] {
        refuses(scene, Impairment::WrongIdentity, |failure| matches!(failure, Failure::PeerIdentityUnexpected { .. }));
    }
}

#[test]
fn k1_007_an_identity_is_of_no_port_or_of_500() {
    for (protocol, port) in [(0, 0), (17, 500)] {
        tolerates(plain(), Impairment::IdentityPort(protocol, port));
    }
    for (protocol, port) in [(6, 500), (17, 80), (0, 500)] {
        refuses(plain(), Impairment::IdentityPort(protocol, port), |_| true);
    }
}

#[test]
fn k1_010_the_proof_of_main_mode_is_not_taken_in_clear() {
    refuses(plain(), Impairment::LastInClear, |_| true);
}

#[test]
fn v_27_vendor_ids_never_replace_the_proof() {
    let ids = (0..40u8).map(|number| (payload::VENDOR, vec![number; usize::from(number) + 1])).collect();
    let mut scene = plain();
    scene.gateway.impairments.push(Impairment::Surplus(ids));
    refuses(scene, Impairment::WrongHash, |_| true);
}

#[test]
fn vendor_ids_that_nobody_knows_do_not_matter() {
    for scene in [plain(), aggressive()] {
        let ids = (0..40u8).map(|number| (payload::VENDOR, vec![number; usize::from(number)])).collect();
        tolerates(scene, Impairment::Surplus(ids));
    }
}

#[test]
fn v_15_v_19_payloads_of_drafts_in_wrong_places_break_nothing() {
    for kind in [3, 6, 7, 9, 12, 14, 15, 20, 21, 33, 34, 46, 127, 128, 130, 131, 132, 255] {
        for length in [0, 4, 40] {
            let mut world = impaired(plain(), vec![Impairment::Surplus(vec![(kind, vec![0xff; length])])]);
            world.run(MINUTE);
            world.gateway.settings_mut().impairments.clear();
            assert!(world.run_until_up(5 * MINUTE), "payload {kind} of {length} octets");
        }
    }
}

#[test]
fn an_error_in_the_answer_ends_no_attempt_for_good() {
    let error = notify_payload(1, &[], notify::NO_PROPOSAL_CHOSEN, b"\x1b[31m$(reboot)\n");
    let mut world = impaired(plain(), vec![Impairment::Surplus(vec![error])]);
    world.run(MINUTE);
    world.gateway.settings_mut().impairments.clear();
    assert!(world.run_until_up(5 * MINUTE));
}

#[test]
fn k1_024_every_dialect_of_nat_traversal_is_spoken() {
    for dialect in [NatDialect::Rfc, NatDialect::Draft03, NatDialect::Draft02] {
        for nat in [false, true] {
            for mut scene in [plain(), aggressive()] {
                scene.gateway.nat = dialect;
                scene.nat = nat;
                let mut world = World::new(scene);
                assert!(world.run_until_up(MINUTE), "{dialect:?}, NAT {nat}: {:?}", story(&world));
                assert_eq!(pings(&mut world, 3), 3, "{dialect:?}, NAT {nat}");
            }
        }
    }
}

#[test]
fn k1_024_n_07_phase_1_may_begin_on_port_4500() {
    for mut scene in [plain(), aggressive()] {
        scene.client.first_port = 4500;
        let mut world = World::new(scene);
        assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
        assert!(world.wire.iter().all(|(_, datagram)| datagram.octets == [0xff]
            || [datagram.source.port(), datagram.destination.port()].contains(&4500)));
        assert_eq!(pings(&mut world, 3), 3);
    }
}

#[test]
fn every_message_may_come_twice() {
    for scene in [plain(), aggressive(), with_name(), with_group()] {
        tolerates(scene, Impairment::Twice);
    }
}

#[test]
fn k1_015_initial_contact_is_said_protected_and_only_if_wanted() {
    for wanted in [true, false] {
        for mut scene in [plain(), aggressive()] {
            scene.client.profile.initial_contact = wanted;
            let mut world = World::new(scene);
            assert!(world.run_until_up(MINUTE));
            world.run(Duration::from_secs(1));
            assert_eq!(world.gateway.counts().initial_contacts, u64::from(wanted));
        }
    }
}

#[test]
fn who_closes_in_the_last_round_trip_of_main_mode_leaves_nothing_at_the_gateway() {
    let mut world = World::new(plain());
    assert!(world.run_until(MINUTE, |world| world.gateway.counts().authenticated == 1));
    assert!(world.close(Duration::from_secs(3)), "{:?}", story(&world));
    world.run(Duration::from_secs(1));
    assert_eq!((world.gateway.sa_count(), world.client.closed), (0, Some(true)));
}
