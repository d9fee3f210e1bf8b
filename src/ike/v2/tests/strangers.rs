//! What must not move a state: every message that is not the one it waits for.

use super::answers::{proof_payloads, seal_payloads};
use super::kit::*;
use crate::ike::action::{DropReason, Failure};
use crate::ike::v2::message::notify::Notify;
use crate::ike::v2::message::*;
use crate::ike::wire::chain::Contents;
use crate::ike::wire::header::{Flags, Header};
use crate::ike::wire::registry::{ExchangeType, NotifyType, PayloadType};

const EXCHANGES: [u8; 12] = [0, 2, 4, 5, 32, 34, 35, 36, 37, 38, 43, 44];

fn informational_with(deletes: Vec<Delete>) -> Contents {
    Informational { deletes, ..Informational::default() }.contents().unwrap()
}

/// Contents that would mean something in another state.
fn temptations(gateway: &HalfOpen) -> Vec<Contents> {
    vec![
        AuthResponse::Proof(Box::new(gateway.proof())).contents().unwrap(),
        informational_with(vec![Delete::ike_sa()]),
        informational_with(Vec::new()),
        write_contents(&[Payload::Notify(Notify::new(NotifyType::AUTHENTICATION_FAILED))]).unwrap(),
        write_contents(&[Payload::Eap(vec![3, 1, 0, 4])]).unwrap(),
        Contents { first: PayloadType::VENDOR_ID, octets: vec![0xff; 7] },
    ]
}

#[test]
fn v_08_under_valid_keys_only_the_answer_to_ike_auth_moves_the_state() {
    let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
    let contents = temptations(&gateway);
    for exchange in EXCHANGES {
        for message_id in [0, 1, 2, 3, 7] {
            for (initiator, response) in [(false, false), (false, true), (true, false), (true, true)] {
                if (exchange, message_id, initiator, response) == (ExchangeType::IKE_AUTH.0, 1, false, true) {
                    continue;
                }
                for contents in &contents {
                    let header = Header {
                        flags: Flags { initiator, response },
                        ..gateway.header(ExchangeType(exchange), message_id, response)
                    };
                    let message = gateway.seal(header, contents);
                    assert!(client.receive(path_4500(), &message).is_empty());
                    assert!(client.receive(path_500(), &message).is_empty());
                }
            }
        }
    }
    assert_eq!(client.state(), "IKE_AUTH sent");
    assert!(client.failure().is_none() && client.data.is_empty());
    assert!(client.drops().len() > 1000);
    let response = gateway.seal_proof(gateway.proof());
    client.receive(path_4500(), &response);
    assert!(client.is_up());
}

#[test]
fn v_09_before_ike_sa_init_is_answered_nothing_else_moves_the_state() {
    let mut client = Client::new(profile());
    let mut gateway = Gateway::new(1).answer(client.last_message());
    let contents = temptations(&gateway);
    for exchange in EXCHANGES {
        for message_id in [0, 1, 2] {
            for (initiator, response) in [(false, false), (false, true), (true, false), (true, true)] {
                for contents in &contents {
                    let header = Header {
                        flags: Flags { initiator, response },
                        ..gateway.header(ExchangeType(exchange), message_id, response)
                    };
                    let sealed = gateway.seal(header, contents);
                    let clear = header.message(contents).unwrap();
                    for message in [sealed, clear] {
                        assert!(client.receive(path_500(), &message).is_empty());
                        assert!(client.receive(path_4500(), &message).is_empty());
                    }
                }
            }
        }
    }
    assert_eq!(client.state(), "IKE_SA_INIT sent");
    assert!(client.failure().is_none());
    client.receive(path_500(), &gateway.response);
    let response = gateway.seal_proof(gateway.proof());
    client.receive(path_4500(), &response);
    assert!(client.is_up());
}

#[test]
fn v_01_every_prefix_of_a_good_message_is_dropped_in_every_state() {
    let mut client = Client::new(profile());
    let mut gateway = Gateway::new(1).answer(client.last_message());
    for len in 0..gateway.response.len() {
        assert!(client.receive(path_500(), &gateway.response[..len]).is_empty());
    }
    client.receive(path_500(), &gateway.response);
    let response = gateway.seal_proof(gateway.proof());
    for len in 0..response.len() {
        assert!(client.receive(path_4500(), &response[..len]).is_empty());
    }
    assert!(client.drops().iter().all(|reason| *reason == DropReason::Malformed));
    let longer = [&response[..], &[0]].concat();
    assert!(client.receive(path_4500(), &longer).is_empty());
    client.receive(path_4500(), &response);
    assert!(client.is_up());
}

/// Sends an answer that was sealed with the right keys but holds the wrong payloads: it ends as no peer, with nothing installed.
fn is_refused(payloads: impl FnOnce(&HalfOpen) -> Vec<Payload>) -> Failure {
    let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
    let payloads = payloads(&gateway);
    let message = seal_payloads(&mut gateway, &payloads);
    client.receive(path_4500(), &message);
    client.wait(10_000);
    assert!(client.data.is_empty() && !client.is_up(), "{payloads:?}");
    client.failure().unwrap().clone()
}

#[test]
fn v_03_every_payload_missing_or_there_twice_is_refused() {
    let (_, gateway, _) = half_open(profile(), Gateway::new(1));
    let all = proof_payloads(&gateway);
    for index in 0..all.len() {
        if all[index].kind() != PayloadType::CONFIGURATION {
            let failure = is_refused(|gateway| {
                let mut payloads = proof_payloads(gateway);
                payloads.remove(index);
                payloads
            });
            assert!(matches!(failure, Failure::PeerViolation { .. }), "{:?} missing: {failure:?}", all[index].kind());
        }
        let failure = is_refused(|gateway| {
            let mut payloads = proof_payloads(gateway);
            payloads.push(payloads[index].clone());
            payloads
        });
        assert!(matches!(failure, Failure::PeerViolation { .. }), "{:?} twice: {failure:?}", all[index].kind());
    }
}

#[test]
fn v_03_every_subset_of_the_payloads_but_the_good_ones_is_refused() {
    let (_, gateway, _) = half_open(profile(), Gateway::new(1));
    let count = proof_payloads(&gateway).len();
    for chosen in 0..(1_u32 << count) - 1 {
        is_refused(|gateway| {
            let payloads = proof_payloads(gateway).into_iter().enumerate();
            payloads.filter(|(index, _)| chosen & (1 << index) != 0).map(|(_, payload)| payload).collect()
        });
    }
}

#[test]
fn k2_055_v_07_eap_of_any_code_beside_anything_is_refused_by_name() {
    for code in [1, 2, 3, 4, 0, 255] {
        let eap = || Payload::Eap(vec![code, 1, 0, 4]);
        let alone = is_refused(|_| vec![eap()]);
        let before = is_refused(|gateway| [vec![eap()], proof_payloads(gateway)].concat());
        let behind = is_refused(|gateway| [proof_payloads(gateway), vec![eap()]].concat());
        let instead = is_refused(|gateway| {
            let payloads = proof_payloads(gateway).into_iter();
            payloads
                .map(|payload| if payload.kind() == PayloadType::AUTHENTICATION { eap() } else { payload })
                .collect()
        });
        for failure in [alone, before, behind, instead] {
            assert_eq!(failure, Failure::PeerMethodUnexpected { method: "EAP".into() });
        }
    }
}

#[test]
fn k2_007_a_critical_unknown_payload_is_a_failed_answer_and_an_uncritical_one_is_skipped() {
    for (critical, comes_up) in [(0x80, false), (0x01, true), (0x00, true)] {
        let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
        let contents = AuthResponse::Proof(Box::new(gateway.proof())).contents().unwrap();
        let unknown = [contents.first.0, critical, 0, 6, 1, 2];
        let contents = Contents { first: PayloadType(200), octets: [&unknown[..], &contents.octets].concat() };
        let header = gateway.header(ExchangeType::IKE_AUTH, 1, true);
        let message = gateway.seal(header, &contents);
        client.receive(path_4500(), &message);
        assert_eq!(client.is_up(), comes_up);
    }
}

#[test]
fn v_27_no_notify_or_vendor_id_replaces_the_proof() {
    for kind in (0..70).chain(16_384..16_450).chain([8192, 40_959, 40_960, 65_535]) {
        is_refused(|gateway| {
            let mut payloads = proof_payloads(gateway);
            for payload in &mut payloads {
                if let Payload::Authentication(proof) = payload {
                    proof.data.fill(0);
                }
            }
            payloads.push(Payload::Notify(Notify::new(NotifyType(kind)).with_data(vec![1; 8])));
            payloads.push(Payload::VendorId(b"anything".to_vec()));
            payloads
        });
    }
}

#[test]
fn v_23_identities_of_any_type_and_length_are_compared_and_refused() {
    for kind in [0, 1, 2, 3, 5, 9, 10, 11, 13, 201, 255] {
        for len in [0, 1, 3, 4, 5, 16, 17, 255, 256, 512, 60_000] {
            let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
            let mut proof = gateway.proof();
            proof.responder = Identification {
                kind: crate::ike::wire::registry::IdType(kind),
                reserved: [0; 3],
                data: vec![b'a'; len],
            };
            proof.authentication = gateway.authentication(&proof.responder);
            let message = gateway.seal_proof(proof);
            client.receive(path_4500(), &message);
            client.wait(1_000);
            assert!(client.data.is_empty());
            assert!(matches!(client.failure(), Some(Failure::PeerIdentityUnexpected { .. })), "{:?}", client.failure());
        }
    }
}

#[test]
fn random_octets_move_nothing() {
    let (mut client, gateway, _) = half_open(profile(), Gateway::new(1));
    let mut random = crate::crypto::random::SeededRandom::new(99);
    for round in 0..3_000 {
        let mut octets = vec![0; round % 400];
        crate::crypto::random::Random::fill(&mut random, &mut octets);
        if round % 2 == 0 && octets.len() >= 28 {
            let header =
                gateway.header(ExchangeType(octets[18]), u32::from(octets[20] % 3), octets[19].is_multiple_of(2));
            let header = header.write(octets.len() - 28).unwrap();
            octets[..28].copy_from_slice(&header);
        }
        assert!(client.receive(path_4500(), &octets).is_empty());
    }
    assert_eq!(client.state(), "IKE_AUTH sent");
    assert!(client.failure().is_none());
}

#[test]
fn after_the_end_nothing_is_heard_or_said() {
    let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
    client.command(crate::ike::action::Command::Close);
    client.wait(3_000);
    let events = client.events.len();
    let response = gateway.seal_proof(gateway.proof());
    client.receive(path_4500(), &response);
    client.receive(path_500(), &gateway.response);
    client.command(crate::ike::action::Command::ProbeLiveness);
    client.wait(100_000);
    assert_eq!(client.events.len(), events);
    assert!(client.data.is_empty());
}
