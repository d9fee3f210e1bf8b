//! Main mode as it should go, and who repeats what.

use super::kit::*;
use crate::crypto::cipher::AesKey;
use crate::ike::action::{Command, DropReason, Event, Failure, Phase};
use crate::ike::identity::Identity;
use crate::ike::nat::detection_input;
use crate::ike::profile::Profile;
use crate::ike::v1::header::{ExchangeType, Flags};
use crate::ike::v1::keys::hash_of;
use crate::ike::v1::message::*;
use crate::sa::path::Path;
use crate::sa::suite::{Cbc, Group, IkeSuite, Integrity, Prf, Protection, ProtectionOffer};

#[test]
fn k1_001_main_mode_with_a_shared_key_and_names_authenticates_both() {
    let (mut client, mut gateway) = until_proof(profile(), Gateway::new());
    assert_eq!(client.state(), "main mode: proof sent");
    assert!(!client.is_authenticated());
    let auth = gateway.read_proof(&client.last().message).expect("HASH_I is right");
    assert_eq!(
        auth.identification,
        Identification { kind: 2, protocol: 0, port: 0, data: b"replica-1.example".to_vec() }
    );
    let proof = gateway.prove_with(|_| ());
    client.receive(path_4500(), &proof);
    let told: Vec<&Event> = client.events.iter().collect();
    let agreed =
        Event::SuiteAgreed { phase: Phase::MainModeProposal, suite: suite(), local_nat: false, remote_nat: false };
    let identity = Identity::Fqdn("gateway.example".into());
    assert_eq!(told, [&agreed, &Event::Authenticated { phase: Phase::MainModeAuth, identity }]);
    assert_eq!(client.state(), "Mode Config sent");
}

#[test]
fn without_a_request_for_an_address_quick_mode_follows_at_once() {
    let (client, ..) = authenticated(without_request(), Gateway::new());
    assert!(client.began_quick_mode());
}

#[test]
fn every_cipher_hash_and_group_of_phase_1_works() {
    let ciphers = [AesKey::Aes128, AesKey::Aes192, AesKey::Aes256].map(Cbc::Aes);
    let prfs = [
        (Prf::HmacSha1, Integrity::HmacSha1_96),
        (Prf::HmacSha256, Integrity::HmacSha256_128),
        (Prf::HmacSha384, Integrity::HmacSha384_192),
        (Prf::HmacSha512, Integrity::HmacSha512_256),
    ];
    let fast =
        ciphers.into_iter().chain([Cbc::TripleDes]).flat_map(|cipher| prfs.map(|prf| (cipher, prf, Group::Ecp256)));
    let groups = [Group::Modp1024, Group::Modp2048, Group::Ecp384, Group::Ecp521];
    let slow = groups.map(|group| (ciphers[2], prfs[1], group));
    for (encryption, (prf, integrity), group) in fast.chain(slow) {
        let protection = ProtectionOffer::CbcHmac { encryption: vec![encryption], integrity: vec![integrity] };
        let profile = Profile {
            ike_offers: vec![crate::sa::suite::IkeOffer { protection, prfs: vec![prf], groups: vec![group] }],
            ..profile()
        };
        let suite = IkeSuite { protection: Protection::CbcHmac { encryption, integrity }, prf, group };
        let gateway = Gateway { suite, ..Gateway::new() };
        let (client, ..) = authenticated(profile, gateway);
        assert!(client.has(|event| matches!(event, Event::SuiteAgreed { suite: agreed, .. } if *agreed == suite)));
    }
}

#[test]
fn k1_006_cookies_never_swap() {
    let (client, gateway, _) = authenticated(profile(), Gateway::new());
    let first = header(&client.sent[0].message).cookies.initiator;
    for sent in &client.sent {
        let cookies = header(&sent.message).cookies;
        assert_eq!(cookies.initiator, first);
        assert!(cookies.responder.is_none_or(|responder| responder == gateway.cookie));
    }
    assert!(client.sent[1..].iter().all(|sent| header(&sent.message).cookies.responder.is_some()));
    let mut client = Client::new(profile());
    let mut gateway = Gateway::new();
    let answer = gateway.choose(&client.last().message);
    let swapped = with_header(&answer, |header| {
        let ours = header.cookies.initiator;
        header.cookies.initiator = header.cookies.responder.unwrap();
        header.cookies.responder = Some(ours);
    });
    client.drops_it(path_500(), &swapped, DropReason::NotOurs);
}

#[test]
fn k1_009_the_hashes_are_over_what_travelled() {
    // HASH_I is over the SA body of the first message and the ID body of the fifth; `read_proof` takes them from there.
    let (mut client, mut gateway) = until_proof(profile(), Gateway::new());
    let auth = gateway.read_proof(&client.last().message).unwrap();
    assert_eq!(auth.hash, gateway.client_proof(&auth.identification_body));
    let mut other = auth.identification_body.clone();
    other[1] = 17;
    assert_ne!(auth.hash, gateway.client_proof(&other));
    // HASH_R over an ID that names a port is right with that port only.
    gateway.identification.protocol = 17;
    gateway.identification.port = 500;
    let proof = gateway.proof();
    gateway.identification.port = 0;
    assert_ne!(proof, gateway.proof());
    gateway.identification.port = 500;
    let message = gateway.prove_with(|_| ());
    client.receive(path_4500(), &message);
    assert!(client.is_authenticated());
}

#[test]
fn k1_007_the_identity_is_for_no_port_or_the_ones_of_ike() {
    for (protocol, port, good) in [
        (0, 0, true),
        (17, 500, true),
        (17, 4500, true),
        (17, 0, true),
        (6, 500, false),
        (17, 501, false),
        (0, 500, false),
    ] {
        let (mut client, mut gateway) = until_proof(profile(), Gateway::new());
        gateway.read_proof(&client.last().message).unwrap();
        gateway.identification.protocol = protocol;
        gateway.identification.port = port;
        let message = gateway.prove_with(|_| ());
        client.receive(path_4500(), &message);
        assert_eq!(client.is_authenticated(), good, "{protocol}/{port}");
    }
}

#[test]
fn k1_008_a_rejected_sixth_message_does_not_move_the_iv() {
    let (mut client, mut gateway) = until_proof(profile(), Gateway::new());
    gateway.read_proof(&client.last().message).unwrap();
    let before = gateway.keys.as_ref().unwrap().iv.clone();
    for index in 0..32 {
        let wrong = gateway.prove_with(|auth| auth.hash[index] ^= 1);
        gateway.keys.as_mut().unwrap().iv = before.clone();
        client.drops_it(path_4500(), &wrong, DropReason::Forged);
    }
    let right = gateway.prove_with(|_| ());
    client.receive(path_4500(), &right);
    assert!(client.is_authenticated());
    // And what follows goes on from the accepted one.
    let (_, request) = gateway.open_attributes(&client.last().message);
    assert_eq!(request.kind, 1);
}

#[test]
fn k1_008_an_answer_that_was_accepted_is_not_taken_twice() {
    let (mut client, mut gateway) = until_proof(profile(), Gateway::new());
    let message = gateway.prove(&client.last().message);
    client.receive(path_4500(), &message);
    let sent = client.sent.len();
    client.drops_it(path_4500(), &message, DropReason::NotOurs);
    assert_eq!(client.sent.len(), sent);
    let answer = gateway.open_attributes(&client.last().message);
    assert_eq!(answer.1.kind, 1);
}

#[test]
fn k1_005_padding_behind_the_last_payload_is_allowed() {
    for blocks in [1, 2, 5] {
        let (mut client, mut gateway) = until_proof(profile(), Gateway::new());
        gateway.read_proof(&client.last().message).unwrap();
        let identification_body = gateway.identification.body();
        let auth = MainModeAuth {
            identification: gateway.identification.clone(),
            identification_body,
            hash: gateway.proof(),
            notifies: Vec::new(),
            vendor_ids: Vec::new(),
        };
        let mut contents = auth.contents().unwrap();
        contents.octets.extend(vec![0; 16 * blocks]);
        let message = gateway.sealed(ExchangeType::MAIN_MODE, &contents);
        client.receive(path_4500(), &message);
        assert!(client.is_authenticated(), "{blocks} blocks");
    }
}

#[test]
fn k1_005_a_length_that_is_not_the_datagrams_is_refused_in_every_state() {
    let check = |client: &mut Client, path: Path, message: &[u8]| {
        for other in [&message[..message.len() - 1], &[message, &[0][..]].concat()] {
            client.drops_it(path, other, DropReason::Malformed);
        }
        for end in 0..60.min(message.len()) {
            client.drops_it(path, &message[..end], DropReason::Malformed);
        }
    };
    let (mut client, mut gateway) = (Client::new(profile()), Gateway::new());
    let answer = gateway.choose(&client.last().message);
    check(&mut client, path_500(), &answer);
    client.receive(path_500(), &answer);
    let answer = gateway.exchange_keys(&client.last().message);
    check(&mut client, path_500(), &answer);
    client.receive(path_500(), &answer);
    let answer = gateway.prove(&client.last().message);
    check(&mut client, path_4500(), &answer);
    client.receive(path_4500(), &answer);
    assert!(client.is_authenticated());
}

#[test]
fn k1_015_initial_contact_is_told_encrypted_and_only_when_it_is_true() {
    for initial_contact in [false, true] {
        let (client, mut gateway) = until_proof(Profile { initial_contact, ..profile() }, Gateway::new());
        let auth = gateway.read_proof(&client.last().message).unwrap();
        let told: Vec<(u16, &[u8])> = auth.notifies.iter().map(|notify| (notify.kind, notify.spi.as_slice())).collect();
        let spi = gateway.spi();
        assert_eq!(told, if initial_contact { vec![(24578, spi.as_slice())] } else { vec![] });
    }
}

#[test]
fn k1_021_the_initiator_repeats_until_it_is_answered_and_gives_up_by_name() {
    let check = |client: &mut Client, phase: Phase| {
        let first = client.last();
        let repeated = client.wait(300_000);
        assert_eq!(repeated.len(), 10);
        assert!(repeated.iter().all(|sent| *sent == first), "each repetition has the same octets and the same path");
        let repetitions = |event: &&Event| matches!(event, Event::Repeating { exchange, .. } if *exchange == phase);
        assert_eq!(client.events.iter().filter(repetitions).count(), 10);
        let Some(Failure::NoAnswer { phase: named, sent: 11, hints, .. }) = client.failure() else {
            panic!("{:?}", client.failure())
        };
        assert_eq!((*named, hints.len()), (phase, 0));
        assert_eq!(client.session.poll_timeout(), None);
    };
    check(&mut Client::new(profile()), Phase::MainModeProposal);
    check(&mut until_keys(profile(), Gateway::new()).0, Phase::MainModeKeys);
    check(&mut until_proof(profile(), Gateway::new()).0, Phase::MainModeAuth);
    check(&mut Client::new(aggressive()), Phase::AggressiveMode);
}

#[test]
fn k1_021_a_repeated_message_gets_the_same_answer_a_bounded_number_of_times() {
    let mut client = Client::new(profile());
    let mut gateway = Gateway::new();
    let second = gateway.choose(&client.last().message);
    let third = client.receive(path_500(), &second);
    for _ in 0..10 {
        assert_eq!(client.receive(path_500(), &second), third);
    }
    client.drops_it(path_500(), &second, DropReason::Bounded);
    let fourth = gateway.exchange_keys(&client.last().message);
    let fifth = client.receive(path_500(), &fourth);
    // The gateway has not seen that we changed ports; the answer goes where it belongs.
    assert_eq!(client.receive(path_500(), &fourth), fifth);
    assert_eq!(fifth[0].path, path_4500());
    // From elsewhere it is nothing.
    let stranger = Path { remote: "203.0.113.9:500".parse().unwrap(), ..path_500() };
    client.drops_it(stranger, &fourth, DropReason::WrongAddress);
}

#[test]
fn k1_024_nat_detection_is_by_the_negotiated_hash_and_hides_our_address() {
    for (prf, integrity) in [
        (Prf::HmacSha1, Integrity::HmacSha1_96),
        (Prf::HmacSha256, Integrity::HmacSha256_128),
        (Prf::HmacSha512, Integrity::HmacSha512_256),
    ] {
        let encryption = Cbc::Aes(AesKey::Aes256);
        let protection = ProtectionOffer::CbcHmac { encryption: vec![encryption], integrity: vec![integrity] };
        let offer = crate::sa::suite::IkeOffer { protection, prfs: vec![prf], groups: vec![Group::Ecp256] };
        let suite = IkeSuite { protection: Protection::CbcHmac { encryption, integrity }, prf, group: Group::Ecp256 };
        let profile = Profile { ike_offers: vec![offer], ..profile() };
        let (client, gateway) = until_keys(profile, Gateway { suite, ..Gateway::new() });
        let third = client.last().message;
        let keys = MainModeKeys::parse(header(&third).next_payload, rest(&third)).unwrap();
        let cookies = (gateway.cookies().initiator.to_octets(), gateway.cookie.to_octets());
        let of = |address| hash_of(prf).digest(&[&detection_input(cookies.0, cookies.1, address)]);
        let [of_gateway, of_us] = keys.nat_detection.as_slice() else { panic!("two, the receiver's first") };
        assert_eq!(*of_gateway, of(path_500().remote));
        assert_ne!(*of_us, of(path_500().local));
        assert_eq!(of_us.len(), prf.output_len());
    }
}

#[test]
fn k1_024_nats_are_told_by_what_the_gateway_saw() {
    let (client_seen, gateway_seen) = (path_500().local, path_500().remote);
    let elsewhere = "203.0.113.5:61000".parse().unwrap();
    for (seen, expected) in [
        ((client_seen, gateway_seen), (false, false)),
        ((elsewhere, gateway_seen), (true, false)),
        ((client_seen, elsewhere), (false, true)),
        ((elsewhere, elsewhere), (true, true)),
    ] {
        let (client, _) = until_proof(profile(), Gateway { seen, ..Gateway::new() });
        let told = client.events.iter().find_map(|event| match event {
            Event::SuiteAgreed { local_nat, remote_nat, .. } => Some((*local_nat, *remote_nat)),
            _ => None,
        });
        assert_eq!(told, Some(expected));
        assert_eq!(client.last().path, path_4500(), "it is encapsulated whatever was seen");
    }
}

#[test]
fn k1_024_the_drafts_have_their_own_payload_number() {
    for (vendor_ids, number) in [
        (vec![RFC_3947.to_vec()], 20),
        (vec![DRAFT_03.to_vec()], 130),
        (vec![DRAFT_03.to_vec(), RFC_3947.to_vec()], 20),
    ] {
        let (client, _) = until_keys(profile(), Gateway { vendor_ids, ..Gateway::new() });
        let message = client.last().message;
        // KE, nonce, then NAT-D: each generic header names the next payload.
        let key_exchange = rest(&message);
        let nonce = &key_exchange[usize::from(u16::from_be_bytes([key_exchange[2], key_exchange[3]]))..];
        assert_eq!((key_exchange[0], nonce[0]), (10, number));
    }
}

#[test]
fn k1_024_the_ports_change_with_the_fifth_message_and_a_first_port_of_4500_stays() {
    let (client, ..) = authenticated(profile(), Gateway::new());
    let paths: Vec<Path> = client.sent.iter().map(|sent| sent.path).collect();
    assert_eq!(paths, [path_500(), path_500(), path_4500(), path_4500()]);
    let mut client = Client::on(profile(), path_4500());
    let mut gateway = Gateway::new();
    let answer = gateway.choose(&client.last().message);
    client.receive(path_4500(), &answer);
    let answer = gateway.exchange_keys(&client.last().message);
    client.receive(path_4500(), &answer);
    let answer = gateway.prove(&client.last().message);
    client.receive(path_4500(), &answer);
    assert!(client.is_authenticated());
    assert!(client.sent.iter().all(|sent| sent.path == path_4500()));
    let other = Client::on(Profile { encapsulation_port: 14500, ..profile() }, path_500());
    assert_eq!(other.last().path, path_500());
}

#[test]
fn k1_024_another_encapsulation_port_is_used_where_it_is_configured() {
    let mut client = Client::new(Profile { encapsulation_port: 14500, ..profile() });
    let mut gateway = Gateway::new();
    let answer = gateway.choose(&client.last().message);
    client.receive(path_500(), &answer);
    let answer = gateway.exchange_keys(&client.last().message);
    client.receive(path_500(), &answer);
    assert_eq!(client.last().path, Path { remote: "198.51.100.1:14500".parse().unwrap(), ..path_4500() });
}

#[test]
fn k1_025_after_the_change_of_ports_the_old_ones_are_silent() {
    let (mut client, mut gateway) = until_proof(profile(), Gateway::new());
    let answer = gateway.prove(&client.last().message);
    client.drops_it(path_500(), &answer, DropReason::WrongAddress);
    let error = error_in_clear(&client.last().message, Some(gateway.cookie), 24);
    client.drops_it(path_500(), &error, DropReason::WrongAddress);
    client.wait(5000);
    assert_eq!(client.failure(), None);
    // A NAT before the gateway need not keep its port.
    let moved = Path { remote: "198.51.100.1:61000".parse().unwrap(), ..path_4500() };
    client.receive(moved, &answer);
    assert!(client.is_authenticated());
    assert_eq!(client.last().path, path_4500(), "and nothing of ours follows it");
}

#[test]
fn k1_024_a_gateway_without_nat_traversal_is_said() {
    for vendor_ids in [vec![], vec![vec![1; 16], b"strange".to_vec()]] {
        let mut client = Client::new(profile());
        let mut gateway = Gateway { vendor_ids, ..Gateway::new() };
        let answer = gateway.choose(&client.last().message);
        assert_eq!(client.receive(path_500(), &answer), []);
        assert_eq!(client.drops(), [DropReason::Unacceptable]);
        client.wait(2900);
        assert_eq!(client.failure(), None, "anyone may have sent it: a better answer is waited for");
        client.wait(100);
        assert_eq!(client.failure(), Some(&Failure::NoEncapsulation { phase: Phase::MainModeProposal }));
    }
    let mut client = Client::new(profile());
    let mut gateway = Gateway { vendor_ids: vec![], ..Gateway::new() };
    let answer = gateway.choose(&client.last().message);
    client.receive(path_500(), &answer);
    let mut gateway = Gateway::seeded(2);
    let answer = gateway.choose(&client.sent[0].message);
    assert_eq!(client.receive(path_500(), &answer).len(), 1, "the better one is taken");
    client.wait(4000);
    assert_eq!(client.failure(), None);
}

#[test]
fn a_close_before_the_end_says_goodbye_only_to_someone_who_is_known() {
    for mut client in [Client::new(profile()), until_keys(profile(), Gateway::new()).0] {
        assert_eq!(client.command(Command::ProbeLiveness), []);
        assert_eq!(client.command(Command::Close), []);
        assert_eq!(client.failure(), Some(&Failure::ClosedByUs { confirmed: false }));
        assert_eq!((client.state(), client.session.poll_timeout()), ("ended", None));
    }
    let (mut client, mut gateway, sent) = authenticated(profile(), Gateway::new());
    gateway.open_attributes(&sent[0].message);
    let goodbye = client.command(Command::Close);
    assert_eq!(gateway.open_words(&goodbye[0].message), gateway.delete());
    assert_eq!(client.failure(), Some(&Failure::ClosedByUs { confirmed: true }));
}

#[test]
fn a_close_that_crosses_the_last_message_waits_for_it_and_says_goodbye() {
    let (mut client, mut gateway) = until_proof(profile(), Gateway::new());
    let answer = gateway.prove(&client.last().message);
    assert_eq!(client.command(Command::Close), []);
    assert_eq!(client.failure(), None);
    let goodbye = client.receive(path_4500(), &answer);
    assert_eq!(gateway.open_words(&goodbye[0].message), gateway.delete());
    assert_eq!((goodbye.len(), client.failure()), (1, Some(&Failure::ClosedByUs { confirmed: true })));
    // What never comes is waited for no longer than two seconds, and whatever comes instead, it is we who closed.
    for hint in [false, true] {
        let (mut client, gateway) = until_proof(profile(), Gateway::new());
        client.command(Command::Close);
        if hint {
            client.receive(path_4500(), &error_in_clear(&client.last().message, Some(gateway.cookie), 24));
        }
        client.wait(1_900);
        assert_eq!(client.failure(), None);
        client.wait(200);
        assert_eq!(client.failure(), Some(&Failure::ClosedByUs { confirmed: false }));
    }
}

#[test]
fn v_33_an_attempt_has_nothing_of_the_one_before() {
    let of = |seed| {
        let mut client = Client::seeded(profile(), path_500(), seed);
        let answer = Gateway::new().choose(&client.last().message);
        client.receive(path_500(), &answer);
        let message = client.last().message;
        let keys = MainModeKeys::parse(header(&message).next_payload, rest(&message)).unwrap();
        (header(&message).cookies.initiator, keys.key_exchange, keys.nonce)
    };
    let (one, other) = (of(7), of(8));
    assert!(one.0 != other.0 && one.1 != other.1 && one.2 != other.2);
    // Answers that were refused leave nothing either: what is repeated is the same, and the right answer is taken.
    let (mut client, mut gateway) = until_keys(profile(), Gateway::new());
    let third = client.last();
    let junk = gateway.exchange_keys_with(&third.message, |keys| keys.key_exchange = vec![4; 64]);
    client.drops_it(path_500(), &junk, DropReason::Unacceptable);
    assert_eq!(client.wait(600), std::slice::from_ref(&third));
    let answer = gateway.exchange_keys(&third.message);
    client.receive(path_500(), &answer);
    let answer = gateway.prove(&client.last().message);
    client.receive(path_4500(), &answer);
    assert!(client.is_authenticated());
}

#[test]
fn flags_that_nobody_authenticated_are_not_looked_at() {
    let (mut client, mut gateway) = (Client::new(profile()), Gateway::new());
    let answer = gateway.choose(&client.last().message);
    let flags = Flags { commit: true, authentication_only: true, ..Flags::default() };
    client.receive(path_500(), &with_header(&answer, |header| header.flags = flags));
    assert_eq!(client.state(), "main mode: key sent");
}
