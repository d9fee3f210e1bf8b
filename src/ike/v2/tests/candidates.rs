//! Several answers to one IKE_SA_INIT: whoever comes first need not be the gateway.

use super::kit::*;
use crate::crypto::dh::Group;
use crate::ike::action::{DropReason, Event, Failure, Phase};
use crate::ike::v2::message::Delete;
use crate::ike::v2::message::notify::Notify;
use crate::ike::wire::registry::NotifyType;
use crate::sa::suite::IkeSuite;

/// Someone on the path who does not have the key.
fn attacker(seed: u64) -> Gateway {
    Gateway { psk: b"guess".to_vec(), ..Gateway::new(seed) }
}

fn finish(client: &mut Client, gateway: &mut HalfOpen) {
    let response = gateway.seal_proof(gateway.proof());
    client.receive(path_4500(), &response);
    assert!(client.is_up(), "{:?}", client.events);
    assert!(client.failure().is_none());
}

#[test]
fn k2_036_an_attacker_who_answers_first_does_not_prevent_the_genuine_answer() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let attacker = attacker(666).answer(&request);
    let mut gateway = Gateway::new(1).answer(&request);
    let to_attacker = client.receive(path_500(), &attacker.response);
    let to_gateway = client.receive(path_500(), &gateway.response);
    assert!(attacker.protection.open(&to_attacker[0].message).is_ok());
    assert!(gateway.believes(&gateway.read_auth(&to_gateway)));
    finish(&mut client, &mut gateway);
}

#[test]
fn k2_036_every_candidate_is_repeated_until_one_wins() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let attacker = attacker(666).answer(&request);
    let mut gateway = Gateway::new(1).answer(&request);
    client.receive(path_500(), &attacker.response);
    client.receive(path_500(), &gateway.response);
    let repeated = client.wait(2_000);
    assert_eq!(repeated.iter().filter(|sent| attacker.protection.open(&sent.message).is_ok()).count(), 2);
    assert_eq!(repeated.iter().filter(|sent| gateway.protection.open(&sent.message).is_ok()).count(), 2);
    finish(&mut client, &mut gateway);
    let after = client.wait(60_000);
    assert!(after.iter().all(|sent| attacker.protection.open(&sent.message).is_err()));
}

#[test]
fn k2_036_a_loser_is_told_to_forget_us() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let loser = Gateway::new(2).answer(&request);
    let mut gateway = Gateway::new(1).answer(&request);
    client.receive(path_500(), &loser.response);
    client.receive(path_500(), &gateway.response);
    let response = gateway.seal_proof(gateway.proof());
    let sent = client.receive(path_4500(), &response);
    assert_eq!(loser.read_informational(&sent).deletes, [Delete::ike_sa()]);
}

#[test]
fn k2_036_an_attacker_who_refuses_at_once_does_not_prevent_the_genuine_answer() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let mut attacker = attacker(666).answer(&request);
    let mut gateway = Gateway::new(1).answer(&request);
    client.receive(path_500(), &attacker.response);
    let refusal = attacker.seal_refusal(NotifyType::AUTHENTICATION_FAILED);
    client.receive(path_4500(), &refusal);
    assert!(client.failure().is_none());
    client.wait(900);
    client.receive(path_500(), &gateway.response);
    finish(&mut client, &mut gateway);
}

#[test]
fn k2_036_an_attackers_wrong_proof_is_answered_and_ends_nothing_while_another_is_asked() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let mut attacker = attacker(666).answer(&request);
    let mut gateway = Gateway::new(1).answer(&request);
    client.receive(path_500(), &gateway.response);
    client.receive(path_500(), &attacker.response);
    let proof = attacker.seal_proof(attacker.proof());
    let sent = client.receive(path_4500(), &proof);
    assert_eq!(attacker.read_informational(&sent).notifies, [Notify::new(NotifyType::AUTHENTICATION_FAILED)]);
    assert!(client.data.is_empty());
    client.wait(5_000);
    assert!(client.failure().is_none());
    finish(&mut client, &mut gateway);
}

#[test]
fn k2_036_candidates_are_bounded() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let mut gateway = Gateway::new(1).answer(&request);
    for seed in 10..13 {
        assert_eq!(client.receive(path_500(), &attacker(seed).answer(&request).response).len(), 1);
    }
    assert_eq!(client.receive(path_500(), &gateway.response).len(), 1);
    for seed in 20..40 {
        assert!(client.receive(path_500(), &attacker(seed).answer(&request).response).is_empty());
    }
    assert_eq!(client.drops(), [DropReason::Bounded; 20]);
    finish(&mut client, &mut gateway);
}

#[test]
fn the_same_answer_again_makes_no_second_candidate() {
    let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
    for _ in 0..20 {
        assert!(client.receive(path_500(), &gateway.response).is_empty());
    }
    assert_eq!(client.drops(), [DropReason::OutsideWindow; 20]);
    finish(&mut client, &mut gateway);
}

#[test]
fn k2_036_cookies_and_groups_of_the_genuine_gateway_are_heard_after_an_attacker_answered() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    client.receive(path_500(), &attacker(666).answer(&request).response);
    let cookie = Notify::new(NotifyType::COOKIE).with_data(b"cookie".to_vec());
    client.receive(path_500(), &notified(&request, cookie));
    let wanted = Notify::new(NotifyType::INVALID_KE_PAYLOAD).with_data(vec![0, 19]);
    let sent = client.receive(path_500(), &notified(&request, wanted));
    let suite = IkeSuite { group: Group::Ecp256, ..cbc_suite() };
    let mut gateway = Gateway { suite, ..Gateway::new(1) }.answer(&sent[0].message);
    let auth = client.receive(path_500(), &gateway.response);
    assert!(gateway.believes(&gateway.read_auth(&auth)));
    finish(&mut client, &mut gateway);
}

#[test]
fn k2_033_a_forged_group_does_not_prevent_the_genuine_answer_to_the_first_request() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let mut gateway = Gateway::new(1).answer(&request);
    let wanted = Notify::new(NotifyType::INVALID_KE_PAYLOAD).with_data(vec![0, 19]);
    client.receive(path_500(), &notified(&request, wanted));
    let auth = client.receive(path_500(), &gateway.response);
    assert!(gateway.believes(&gateway.read_auth(&auth)));
    finish(&mut client, &mut gateway);
}

#[test]
fn a_request_that_is_repeated_beside_a_candidate_does_not_end_the_candidate() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let mut gateway = Gateway::new(1).answer(&request);
    client.receive(path_500(), &gateway.response);
    let wanted = Notify::new(NotifyType::INVALID_KE_PAYLOAD).with_data(vec![0, 19]);
    assert_eq!(client.receive(path_500(), &notified(&request, wanted)).len(), 1);
    client.wait(20_000);
    finish(&mut client, &mut gateway);
}

#[test]
fn silence_of_all_candidates_is_no_answer_to_ike_auth() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    client.receive(path_500(), &Gateway::new(1).answer(&request).response);
    client.receive(path_500(), &Gateway::new(2).answer(&request).response);
    client.wait(300_000);
    let failure = client.failure().unwrap();
    assert!(matches!(failure, Failure::NoAnswer { phase: Phase::Auth, sent: 11, .. }), "{failure:?}");
    assert_eq!(client.events.iter().filter(|event| matches!(event, Event::Ended(_))).count(), 1);
}

#[test]
fn the_reason_that_a_candidate_gave_is_worth_more_than_the_silence_of_another() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let mut gateway = Gateway::new(1).answer(&request);
    client.receive(path_500(), &gateway.response);
    client.receive(path_500(), &attacker(666).answer(&request).response);
    let refusal = gateway.seal_refusal(NotifyType::AUTHENTICATION_FAILED);
    client.receive(path_4500(), &refusal);
    client.wait(300_000);
    assert!(matches!(client.failure(), Some(Failure::AuthenticationRefused { .. })), "{:?}", client.failure());
}

#[test]
fn k2_036_an_attacker_who_proves_wrongly_at_once_does_not_prevent_the_genuine_answer() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let mut attacker = attacker(666).answer(&request);
    let mut gateway = Gateway::new(1).answer(&request);
    client.receive(path_500(), &attacker.response);
    let proof = attacker.seal_proof(attacker.proof());
    client.receive(path_4500(), &proof);
    client.wait(900);
    client.receive(path_500(), &gateway.response);
    finish(&mut client, &mut gateway);
}

#[test]
fn a_refusal_in_clear_is_forgotten_once_somebody_chose() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    client.receive(path_500(), &notified(&request, Notify::new(NotifyType::NO_PROPOSAL_CHOSEN)));
    client.receive(path_500(), &Gateway::new(1).answer(&request).response);
    client.wait(300_000);
    let Some(Failure::NoAnswer { phase: Phase::Auth, hints, .. }) = client.failure() else {
        panic!("{:?}", client.failure())
    };
    assert_eq!(hints, &["NO_PROPOSAL_CHOSEN"]);
}

#[test]
fn messages_of_another_ike_sa_are_none_of_ours() {
    let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
    let mut response = gateway.seal_proof(gateway.proof());
    response[0] ^= 1;
    client.receive(path_4500(), &response);
    response[0] ^= 1;
    response[8] ^= 1;
    client.receive(path_4500(), &response);
    assert_eq!(client.drops(), [DropReason::NotOurs; 2]);
}

#[test]
fn c_08_an_answer_that_differs_outside_of_what_keys_are_made_of_leads_to_no_second_request_under_them() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let mut gateway = Gateway::with_gcm(1).answer(&request);
    let mut tampered = gateway.response.clone();
    *tampered.last_mut().unwrap() ^= 1;
    tampered[17] = 0x21;
    assert_eq!(client.receive(path_500(), &gateway.response).len(), 1);
    assert!(client.receive(path_500(), &tampered).is_empty());
    let refusal = gateway.seal_refusal(NotifyType::AUTHENTICATION_FAILED);
    client.receive(path_4500(), &refusal);
    for message in [&tampered, &gateway.response] {
        assert!(client.receive(path_500(), message).is_empty(), "also when the candidate is gone");
    }
}

#[test]
fn k2_036_an_attacker_who_answers_first_with_the_gateways_spi_does_not_prevent_the_genuine_answer() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let mut gateway = Gateway::new(1).answer(&request);
    let attacker = Gateway { spi: gateway.spis.1, ..attacker(666) }.answer(&request);
    client.receive(path_500(), &attacker.response);
    let auth = client.receive(path_500(), &gateway.response);
    assert!(gateway.believes(&gateway.read_auth(&auth)));
    finish(&mut client, &mut gateway);
}
