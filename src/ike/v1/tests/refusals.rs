//! What ends an opening, when, and with which words; and what of it is only a hint.

use super::kit::*;
use crate::ike::action::{DropReason, Event, Failure, Phase};
use crate::ike::identity::Identity;
use crate::ike::profile::Profile;
use crate::ike::v1::header::ExchangeType;
use crate::ike::v1::message::*;

/// How it is reached, its phase, and what each error comes to.
type State<'a> = (fn() -> (Client, Gateway), Phase, &'a [(u16, Option<Failure>)]);

fn refused(phase: Phase) -> Failure {
    Failure::AuthenticationRefused { phase, local: profile().local_identity, remote: None }
}

fn no_proposal(phase: Phase) -> Failure {
    Failure::IkeProposalRefused { phase, offered: vec![offer().to_string()], wanted_group: None }
}

#[test]
fn k1_027_an_error_in_clear_is_a_hint_until_nothing_better_comes() {
    let mut client = Client::new(profile());
    let first = client.last().message;
    let error = error_in_clear(&first, None, 14);
    client.receive(path_500(), &error);
    assert_eq!(client.drops(), [DropReason::Unauthenticated]);
    client.wait(2900);
    assert_eq!(client.failure(), None);
    // The right answer comes within the time: nothing of the error is left.
    let mut gateway = Gateway::new();
    let answer = gateway.choose(&first);
    client.receive(path_500(), &answer);
    client.wait(4000);
    assert_eq!((client.failure(), client.state()), (None, "main mode: key sent"));

    let mut client = Client::new(profile());
    client.receive(path_500(), &error);
    client.wait(3000);
    assert_eq!(client.failure(), Some(&no_proposal(Phase::MainModeProposal)));
}

#[test]
fn k1_027_each_state_has_its_own_meaning_of_an_error_in_clear() {
    let states: [State<'_>; 4] = [
        (
            || (Client::new(profile()), Gateway::new()),
            Phase::MainModeProposal,
            &[(14, Some(no_proposal(Phase::MainModeProposal))), (16, None), (24, None), (9000, None)],
        ),
        (
            || until_keys(profile(), Gateway::new()),
            Phase::MainModeKeys,
            &[
                (14, Some(no_proposal(Phase::MainModeKeys))),
                (17, Some(refused(Phase::MainModeKeys))),
                (24, Some(refused(Phase::MainModeKeys))),
                (16, None),
            ],
        ),
        (
            || until_proof(profile(), Gateway::new()),
            Phase::MainModeAuth,
            &[
                (16, Some(refused(Phase::MainModeAuth))),
                (24, Some(refused(Phase::MainModeAuth))),
                (23, Some(refused(Phase::MainModeAuth))),
                (18, Some(refused(Phase::MainModeAuth))),
                (1, Some(refused(Phase::MainModeAuth))),
            ],
        ),
        (
            || (Client::new(aggressive()), Gateway::new()),
            Phase::AggressiveMode,
            &[
                (14, Some(no_proposal(Phase::AggressiveMode))),
                (24, Some(refused(Phase::AggressiveMode))),
                (18, Some(refused(Phase::AggressiveMode))),
                (16, None),
            ],
        ),
    ];
    for (state, phase, errors) in states {
        for (kind, expected) in errors {
            let cookie = header(&state().0.last().message).cookies.responder;
            // A gateway that refuses has not always a cookie of its own.
            for responder in [cookie, None] {
                let (mut client, _) = state();
                let last = client.last();
                client.receive(last.path, &error_in_clear(&last.message, responder, *kind));
                assert_eq!(client.drops(), [DropReason::Unauthenticated]);
                client.wait(3000);
                assert_eq!(client.failure(), expected.as_ref(), "{phase:?}: {kind}");
                if expected.is_none() {
                    client.wait(300_000);
                    let Some(Failure::NoAnswer { phase: named, hints, .. }) = client.failure() else {
                        panic!("{:?}", client.failure())
                    };
                    assert_eq!((*named, hints.len()), (phase, 1));
                }
            }
        }
    }
}

#[test]
fn k1_027_hints_are_kept_by_name_and_bounded() {
    let mut client = Client::new(profile());
    for kind in (1..100).filter(|kind| *kind != 14) {
        let error = error_in_clear(&client.last().message, None, kind);
        client.receive(path_500(), &error);
        client.receive(path_500(), &error);
    }
    client.wait(300_000);
    let Some(Failure::NoAnswer { hints, .. }) = client.failure() else { panic!("{:?}", client.failure()) };
    assert_eq!(hints.len(), 8);
    assert_eq!(hints[0], "INVALID-PAYLOAD-TYPE");
}

#[test]
fn k1_027_an_error_for_somebody_else_is_none() {
    let mut client = Client::new(profile());
    let error = error_in_clear(&client.last().message, None, 14);
    let other = with_header(&error, |header| header.cookies.initiator = Gateway::new().cookie);
    client.drops_it(path_500(), &other, DropReason::NotOurs);
    let stranger = crate::sa::path::Path { remote: "203.0.113.9:500".parse().unwrap(), ..path_500() };
    client.drops_it(stranger, &error, DropReason::WrongAddress);
    // Status, delete and junk in clear are not even hints.
    let delete = Informational { deletes: vec![Delete { protocol: 1, spis: vec![vec![0; 16]] }], ..Default::default() };
    let status = Informational {
        notifies: vec![Notify { protocol: 1, spi: vec![], kind: 24578, data: vec![] }],
        ..Default::default()
    };
    let mut gateway = Gateway::new();
    gateway.choose(&client.last().message);
    for words in [delete, status] {
        let message = gateway.in_clear(ExchangeType::INFORMATIONAL, 9, &words.contents().unwrap());
        client.drops_it(path_500(), &message, DropReason::Unauthenticated);
    }
    client.wait(5000);
    assert_eq!(client.failure(), None);
}

#[test]
fn k1_010_after_authentication_nothing_in_clear_is_even_a_hint() {
    let (mut client, gateway, _) = authenticated(profile(), Gateway::new());
    for kind in 1..31 {
        let error = error_in_clear(&client.sent[0].message, Some(gateway.cookie), kind);
        client.drops_it(path_4500(), &error, DropReason::Unauthenticated);
    }
    let delete = gateway.in_clear(ExchangeType::INFORMATIONAL, 9, &gateway.delete().contents().unwrap());
    client.drops_it(path_4500(), &delete, DropReason::Unauthenticated);
    client.wait(4000);
    assert_eq!(client.failure(), None);
}

#[test]
fn k1_001_a_gateway_with_another_key_is_recognised_by_what_cannot_be_read() {
    // It cannot read the fifth message, and says so under keys that we do not have. strongSwan does from port 500, to which
    // the last message came that it could read.
    for path in [path_4500(), path_500()] {
        let (mut client, gateway) = until_keys(profile(), Gateway::new());
        let mut gateway = Gateway { psk: b"another key".to_vec(), ..gateway };
        let answer = gateway.exchange_keys(&client.last().message);
        client.receive(path_500(), &answer);
        let error = Informational {
            notifies: vec![Notify { protocol: 1, spi: vec![], kind: 16, data: vec![] }],
            ..Default::default()
        };
        let message = gateway.inform(77, &error);
        client.receive(path, &message);
        assert_eq!(client.drops(), [DropReason::Forged]);
        client.wait(2900);
        assert_eq!(client.failure(), None);
        client.wait(100);
        assert_eq!(client.failure(), Some(&refused(Phase::MainModeAuth)));
    }
}

#[test]
fn k1_010_an_error_under_the_right_keys_ends_it_at_once() {
    let kinds = [(24, refused(Phase::MainModeAuth)), (18, refused(Phase::MainModeAuth))];
    for (kind, expected) in kinds {
        for after_proof in [false, true] {
            let (mut client, mut gateway) = until_proof(profile(), Gateway::new());
            if after_proof {
                gateway.read_proof(&client.last().message).unwrap();
            }
            let notifies = vec![Notify { protocol: 1, spi: vec![], kind, data: vec![] }];
            let message = gateway.inform(77, &Informational { notifies, ..Default::default() });
            client.receive(path_4500(), &message);
            assert_eq!(client.failure(), Some(&expected), "{kind} {after_proof}");
        }
    }
    let (mut client, mut gateway) = until_proof(profile(), Gateway::new());
    let delete = gateway.delete();
    let message = gateway.inform(78, &delete);
    client.receive(path_4500(), &message);
    assert_eq!(client.failure(), Some(&refused(Phase::MainModeAuth)));
}

#[test]
fn k1_010_v_16_a_flipped_bit_in_a_protected_error_or_delete_has_no_effect() {
    let (_, mut gateway) = until_proof(profile(), Gateway::new());
    let words = gateway.delete();
    let message = gateway.inform(79, &words);
    for bit in 28 * 8..message.len() * 8 {
        let mut flipped = message.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (mut client, _) = until_proof(profile(), Gateway::new());
        client.receive(path_4500(), &flipped);
        assert_eq!((client.failure(), client.drops().len()), (None, 1), "bit {bit}");
    }
    let (mut client, _) = until_proof(profile(), Gateway::new());
    client.receive(path_4500(), &message);
    assert!(client.failure().is_some(), "without a flipped bit it has");
}

#[test]
fn a_wrong_proof_ends_it_only_when_no_right_one_comes() {
    let (mut client, mut gateway) = until_proof(profile(), Gateway::new());
    gateway.read_proof(&client.last().message).unwrap();
    let before = gateway.keys.as_ref().unwrap().iv.clone();
    let wrong = gateway.prove_with(|auth| auth.hash[0] ^= 1);
    client.receive(path_4500(), &wrong);
    client.wait(30_000);
    assert_eq!(client.failure(), None);
    client.wait(300_000);
    let identity = Identity::Fqdn("gateway.example".into());
    let expected = Failure::PeerAuthenticationFailed { phase: Phase::MainModeAuth, identity };
    assert_eq!(client.failure(), Some(&expected));

    let (mut client, _) = until_proof(profile(), Gateway::new());
    client.receive(path_4500(), &wrong);
    client.wait(30_000);
    gateway.keys.as_mut().unwrap().iv = before;
    let right = gateway.prove_with(|_| ());
    client.receive(path_4500(), &right);
    assert!(client.is_authenticated());
}

#[test]
fn k1_001_an_unexpected_identity_is_named_and_the_gateway_told_that_it_is_over() {
    for (identity, expected_kinds) in [
        (Identity::Fqdn("other.example".into()), 1),
        (Identity::Fqdn("Gateway.example".into()), 1),
        (Identity::Email("gateway.example".into()), 1),
        (Identity::KeyId(b"gateway.example".to_vec()), 1),
        (Identity::Ipv4([198, 51, 100, 1].into()), 1),
        (Identity::Other(9, b"gateway.example".to_vec()), 1),
    ] {
        let (mut client, mut gateway) = until_proof(profile(), Gateway::new());
        gateway.read_proof(&client.last().message).unwrap();
        gateway.identification = Identification::of(&identity);
        let message = gateway.prove_with(|_| ());
        let sent = client.receive(path_4500(), &message);
        assert!(!client.is_authenticated());
        let expected = vec![Identity::Fqdn("gateway.example".into())];
        assert_eq!(client.failure(), Some(&Failure::PeerIdentityUnexpected { expected, received: identity }));
        assert_eq!(sent.len(), expected_kinds);
        assert_eq!(gateway.open_words(&sent[0].message), gateway.delete());
    }
}

#[test]
fn k1_001_identities_of_every_kind_are_compared_by_kind_and_octets() {
    for identity in [
        Identity::Ipv4([198, 51, 100, 1].into()),
        Identity::Ipv6("2001:db8::1".parse().unwrap()),
        Identity::Fqdn("vpn".into()),
        Identity::Email("a@b".into()),
        Identity::KeyId(vec![0, 255]),
        Identity::Other(9, vec![0x30, 0]),
    ] {
        let profile = Profile { remote_identities: vec![Identity::Fqdn("x".into()), identity.clone()], ..profile() };
        let gateway = Gateway { identification: Identification::of(&identity), ..Gateway::new() };
        let (client, ..) = authenticated(profile, gateway);
        assert!(
            client
                .has(|event| *event == Event::Authenticated { phase: Phase::MainModeAuth, identity: identity.clone() })
        );
    }
}

#[test]
fn v_36_a_gateway_that_says_it_is_us_is_refused_whatever_is_expected() {
    let us = profile().local_identity;
    let profile = Profile { remote_identities: vec![us.clone()], ..profile() };
    let (mut client, mut gateway) = until_proof(profile, Gateway::new());
    let auth = gateway.read_proof(&client.last().message).unwrap();
    let before = gateway.keys.as_ref().unwrap().iv.clone();
    // Our own proof, turned around.
    gateway.identification = Identification::of(&us);
    let reflected = gateway.prove_with(|proof| proof.hash = auth.hash.clone());
    client.receive(path_4500(), &reflected);
    assert_eq!(client.drops(), [DropReason::Forged]);
    // And the right proof under our name, as by another client with the same key.
    gateway.keys.as_mut().unwrap().iv = before;
    let message = gateway.prove_with(|_| ());
    client.receive(path_4500(), &message);
    assert_eq!(client.failure(), Some(&Failure::PeerViolation { what: "it says that it is us" }));
    assert!(!client.is_authenticated());
}

#[test]
fn v_14_v_33_after_the_end_nothing_is_answered_with_either_cookie() {
    let mut client = Client::new(profile());
    let mut gateway = Gateway::new();
    let answer = gateway.choose(&client.last().message);
    let error = error_in_clear(&client.last().message, None, 14);
    client.receive(path_500(), &error);
    client.wait(3000);
    assert!(client.failure().is_some());
    let events = client.events.len();
    let zeroed = with_header(&answer, |header| header.cookies.responder = None);
    for message in [answer, zeroed, error] {
        assert_eq!(client.receive(path_500(), &message), []);
    }
    assert_eq!((client.events.len(), client.session.poll_timeout()), (events, None));
    // A failed second message leaves no cookie: the next may have another.
    let mut client = Client::new(profile());
    let mut odd = Gateway::seeded(2);
    let bad = odd.choose_with(&client.last().message, |answer| answer.sa.truncate(20));
    client.drops_it(path_500(), &bad, DropReason::Malformed);
    let mut gateway = Gateway::new();
    let answer = gateway.choose(&client.last().message);
    assert_eq!(client.receive(path_500(), &answer).len(), 1);
}
