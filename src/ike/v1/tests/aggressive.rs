//! Aggressive mode.

use super::kit::*;
use crate::crypto::dh::Group;
use crate::ike::action::{DropReason, Event, Failure, Phase};
use crate::ike::identity::Identity;
use crate::ike::profile::Profile;
use crate::ike::v1::header::ExchangeType;
use crate::ike::v1::message::*;
use crate::sa::suite::IkeOffer;

#[test]
fn k1_002_aggressive_mode_is_used_when_asked_for_and_says_what_it_costs() {
    let (client, ..) = authenticated(aggressive(), Gateway::new());
    let notices: Vec<&String> = client
        .events
        .iter()
        .filter_map(|event| if let Event::Notice(text) = event { Some(text) } else { None })
        .collect();
    let [notice] = notices.as_slice() else { panic!("{notices:?}") };
    assert!(notice.contains("offline") && notice.contains("pre-shared key"));
    let identity = Identity::Fqdn("gateway.example".into());
    assert!(
        client.has(|event| *event == Event::Authenticated { phase: Phase::AggressiveMode, identity: identity.clone() })
    );
    assert_eq!(client.state(), "Mode Config sent");
}

#[test]
fn k1_002_there_is_no_way_from_one_mode_to_the_other() {
    for (profile, exchange, other) in [
        (profile(), ExchangeType::MAIN_MODE, ExchangeType::AGGRESSIVE),
        (aggressive(), ExchangeType::AGGRESSIVE, ExchangeType::MAIN_MODE),
    ] {
        let mut client = Client::new(profile);
        let first = client.last().message;
        let error = error_in_clear(&first, None, 29);
        client.receive(path_500(), &error);
        let mut gateway = Gateway::new();
        let answer = if exchange == ExchangeType::MAIN_MODE { gateway.choose(&first) } else { gateway.answer(&first) };
        client.drops_it(path_500(), &with_header(&answer, |header| header.exchange = other), DropReason::NotOurs);
        client.wait(300_000);
        assert!(client.sent.iter().all(|sent| header(&sent.message).exchange == exchange));
    }
}

#[test]
fn k1_015_initial_contact_never_stands_in_aggressive_mode() {
    let (_, _, sent) = authenticated(Profile { initial_contact: false, ..aggressive() }, Gateway::new());
    assert_eq!(sent.len(), 1, "Mode Config only");
    let mut client = Client::new(Profile { initial_contact: true, ..aggressive() });
    let mut gateway = Gateway::new();
    let answer = gateway.answer(&client.last().message);
    let sent = client.receive(path_500(), &answer);
    assert_eq!(gateway.read_last(&sent[0].message).notifies, []);
    let words = gateway.open_words(&sent[1].message);
    let told: Vec<(u16, Vec<u8>)> = words.notifies.into_iter().map(|notify| (notify.kind, notify.spi)).collect();
    assert_eq!(told, [(24578, gateway.spi())]);
    assert_eq!(header(&sent[2].message).exchange, ExchangeType::TRANSACTION);
}

#[test]
fn k1_024_the_ports_change_with_the_third_message_of_aggressive_mode() {
    let mut client = Client::new(aggressive());
    let mut gateway = Gateway::new();
    let answer = gateway.answer(&client.last().message);
    let sent = client.receive(path_500(), &answer);
    assert!(sent.iter().all(|sent| sent.path == path_4500()));
    let last = gateway.read_last(&sent[0].message);
    assert_eq!(last.nat_detection.len(), 2);
    assert_eq!(last.hash, gateway.client_proof(&Identification::of(&profile().local_identity).body()));
}

#[test]
fn k1_021_the_third_message_is_sent_again_when_the_second_is() {
    for profile in [aggressive(), Profile { request: Default::default(), ..aggressive() }] {
        let mut client = Client::new(profile);
        let mut gateway = Gateway::new();
        let answer = gateway.answer(&client.last().message);
        let sent = client.receive(path_500(), &answer);
        // In whichever state we are by now: before Mode Config is answered, or in quick mode.
        for _ in 0..10 {
            assert_eq!(client.receive(path_500(), &answer), sent[..1]);
        }
        client.drops_it(path_500(), &answer, DropReason::Bounded);
    }
}

#[test]
fn the_group_of_the_public_value_is_the_only_one_that_is_offered() {
    let groups = vec![Group::Ecp384, Group::Ecp256];
    let offers = vec![
        IkeOffer { groups: groups.clone(), ..offer() },
        IkeOffer { groups: vec![Group::Ecp256], ..offer() },
        IkeOffer { groups, ..offer() },
    ];
    let client = Client::new(Profile { ike_offers: offers, ..aggressive() });
    let message = client.last().message;
    let opening = AggressiveOpening::parse(header(&message).next_payload, rest(&message)).unwrap();
    assert_eq!(opening.key_exchange.len(), Group::Ecp384.public_len());
    let mut answered = 0;
    for group in [Group::Ecp256, Group::Ecp384] {
        let number = [0x80, 4, 0, if group == Group::Ecp256 { 19 } else { 20 }];
        answered += usize::from(opening.sa.windows(4).any(|window| window == number));
    }
    assert_eq!(answered, 1);
}

#[test]
fn a_wrong_key_at_the_gateway_is_said_after_a_while_and_a_better_answer_still_taken() {
    let mut client = Client::new(aggressive());
    let first = client.last().message;
    let mut wrong = Gateway { psk: b"another key".to_vec(), ..Gateway::seeded(3) };
    let answer = wrong.answer(&first);
    assert_eq!(client.receive(path_500(), &answer), [], "our proof is not given away");
    assert_eq!(client.drops(), [DropReason::Forged]);
    let mut gateway = Gateway::new();
    let better = gateway.answer(&first);
    assert!(!client.receive(path_500(), &better).is_empty());
    assert!(client.is_authenticated());

    let mut client = Client::new(aggressive());
    client.receive(path_500(), &answer);
    client.wait(3000);
    let identity = Identity::Fqdn("gateway.example".into());
    let expected = Failure::PeerAuthenticationFailed { phase: Phase::AggressiveMode, identity };
    assert_eq!(client.failure(), Some(&expected));
}

#[test]
fn answers_that_cost_an_exponentiation_are_bounded() {
    let mut client = Client::new(aggressive());
    let first = client.last().message;
    for seed in 10..14 {
        let answer = Gateway { psk: b"another key".to_vec(), ..Gateway::seeded(seed) }.answer(&first);
        client.receive(path_500(), &answer);
    }
    let answer = Gateway::new().answer(&first);
    client.drops_it(path_500(), &answer, DropReason::Bounded);
}

#[test]
fn k1_001_an_unexpected_name_is_refused_before_our_proof_is_given() {
    let identification = Identification::of(&Identity::Fqdn("other.example".into()));
    let mut client = Client::new(aggressive());
    let mut gateway = Gateway { identification, ..Gateway::new() };
    let answer = gateway.answer(&client.last().message);
    assert_eq!(client.receive(path_500(), &answer), []);
    let received = Identity::Fqdn("other.example".into());
    let expected = vec![Identity::Fqdn("gateway.example".into())];
    assert_eq!(client.failure(), Some(&Failure::PeerIdentityUnexpected { expected, received }));
}

#[test]
fn k1_024_a_gateway_without_nat_traversal_is_said_in_aggressive_mode_too() {
    let mut client = Client::new(aggressive());
    let mut gateway = Gateway { vendor_ids: vec![], ..Gateway::new() };
    let answer = gateway.answer(&client.last().message);
    client.receive(path_500(), &answer);
    client.wait(3000);
    assert_eq!(client.failure(), Some(&Failure::NoEncapsulation { phase: Phase::AggressiveMode }));
}

#[test]
fn v_36_our_own_proof_turned_around_is_none() {
    let ours = Identification::of(&profile().local_identity);
    let mut client = Client::new(aggressive());
    let first = client.last().message;
    // The same seed makes the same keys: what we would send as our proof, under our name.
    let mut mirror = Gateway { identification: ours.clone(), ..Gateway::new() };
    mirror.answer(&first);
    let reflected = mirror.client_proof(&ours.body());
    let mut gateway = Gateway { identification: ours.clone(), ..Gateway::new() };
    let answer = gateway.answer_with(&first, |answer| answer.hash = reflected);
    assert_eq!(client.receive(path_500(), &answer), []);
    assert_eq!((client.drops().as_slice(), client.is_authenticated()), (&[DropReason::Forged][..], false));
    // The right proof under our name, as another client with the same key can make it.
    let answer = Gateway { identification: ours, ..Gateway::new() }.answer(&first);
    client.receive(path_500(), &answer);
    assert_eq!(client.failure(), Some(&Failure::PeerViolation { what: "it says that it is us" }));
}
