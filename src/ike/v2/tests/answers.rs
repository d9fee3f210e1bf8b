//! IKE_AUTH.

use super::kit::*;
use crate::ike::action::{Command, DropReason, Event, Failure, Phase};
use crate::ike::identity::Identity;
use crate::ike::profile::{AddressRequest, Profile};
use crate::ike::v2::message::notify::Notify;
use crate::ike::v2::message::*;
use crate::ike::wire::chain::{Contents, parse_inner};
use crate::ike::wire::registry::{
    AuthMethod, ConfigAttributeType, CpType, ExchangeType, NotifyType, PayloadType, TransformType,
};
use crate::sa::path::Path;
use crate::sa::selector::Selector;

/// What comes of a good answer that was changed.
fn after(change: impl FnOnce(&mut AuthProof)) -> (Client, HalfOpen, Vec<crate::ike::action::Transmit>) {
    after_with(profile(), change)
}

fn after_with(
    profile: Profile,
    change: impl FnOnce(&mut AuthProof),
) -> (Client, HalfOpen, Vec<crate::ike::action::Transmit>) {
    let (mut client, mut gateway, _) = half_open(profile, Gateway::new(1));
    let mut proof = gateway.proof();
    change(&mut proof);
    let response = gateway.seal_proof(proof);
    let sent = client.receive(path_4500(), &response);
    (client, gateway, sent)
}

fn says_authentication_failed(gateway: &HalfOpen, sent: &[crate::ike::action::Transmit]) -> bool {
    gateway.read_informational(sent).notifies == [Notify::new(NotifyType::AUTHENTICATION_FAILED)]
}

/// The IKE SA is deleted and the session ends for `failure`, which is returned; nothing was installed.
fn closes_in_order((mut client, mut gateway, sent): (Client, HalfOpen, Vec<crate::ike::action::Transmit>)) -> Failure {
    assert!(client.data.is_empty() && !client.is_up(), "{:?}", client.events);
    assert!(client.events.iter().any(|event| matches!(event, Event::Authenticated { .. })));
    assert_eq!(gateway.read_informational(&sent).deletes, [Delete::ike_sa()]);
    let header = gateway.header(ExchangeType::INFORMATIONAL, 2, true);
    let empty = gateway.seal(header, &Contents { first: PayloadType::NONE, octets: Vec::new() });
    client.receive(path_4500(), &empty);
    assert!(client.data.is_empty());
    client.failure().unwrap().clone()
}

#[test]
fn k2_050_a_wrong_key_of_ours_is_named_after_a_second_opinion_was_waited_for() {
    let (mut client, mut gateway, auth) = half_open(profile(), Gateway { psk: b"other".to_vec(), ..Gateway::new(1) });
    assert!(!gateway.believes(&gateway.read_auth(&auth)));
    let refusal = gateway.seal_refusal(NotifyType::AUTHENTICATION_FAILED);
    assert!(client.receive(path_4500(), &refusal).is_empty());
    assert!(client.wait(999).is_empty(), "K2-057: nothing is tried again");
    assert!(client.failure().is_none());
    client.wait(1);
    let expected = Failure::AuthenticationRefused {
        phase: Phase::Auth,
        local: profile().local_identity,
        remote: Some(Identity::Fqdn("gateway.example".into())),
    };
    assert_eq!(client.failure(), Some(&expected));
    assert!(client.data.is_empty());
}

#[test]
fn k2_058_a_wrong_proof_installs_nothing_and_the_peer_is_told() {
    let (mut client, gateway, sent) = after(|proof| proof.authentication.data[31] ^= 1);
    assert!(says_authentication_failed(&gateway, &sent));
    client.wait(1_000);
    let identity = Identity::Fqdn("gateway.example".into());
    assert_eq!(client.failure(), Some(&Failure::PeerAuthenticationFailed { phase: Phase::Auth, identity }));
    assert!(client.data.is_empty() && !client.is_up());
    assert!(!client.events.iter().any(|event| matches!(event, Event::Authenticated { .. })));
}

#[test]
fn k2_053_other_methods_are_refused_by_name() {
    for (method, name) in [
        (1, "RSA signature"),
        (9, "ECDSA with SHA-256 on P-256"),
        (13, "no authentication"),
        (14, "digital signature"),
        (200, "200"),
    ] {
        let (mut client, gateway, sent) = after(|proof| proof.authentication.method = AuthMethod(method));
        assert!(says_authentication_failed(&gateway, &sent));
        client.wait(1_000);
        assert_eq!(client.failure(), Some(&Failure::PeerMethodUnexpected { method: name.into() }));
    }
}

#[test]
fn k2_054_another_identity_is_refused_although_its_proof_is_right() {
    for received in [
        Identity::Fqdn("Gateway.example".into()),
        Identity::Fqdn("gateway.example.".into()),
        Identity::Email("gateway.example".into()),
        Identity::KeyId(b"gateway.example".to_vec()),
        Identity::Ipv4("198.51.100.1".parse().unwrap()),
        Identity::Other(9, b"gateway.example".to_vec()),
    ] {
        let gateway = Gateway { identity: received.clone(), ..Gateway::new(1) };
        let (mut client, mut gateway, _) = half_open(profile(), gateway);
        let response = gateway.seal_proof(gateway.proof());
        let sent = client.receive(path_4500(), &response);
        assert!(says_authentication_failed(&gateway, &sent));
        client.wait(1_000);
        let expected = vec![Identity::Fqdn("gateway.example".into())];
        assert_eq!(client.failure(), Some(&Failure::PeerIdentityUnexpected { expected, received }));
        assert!(client.data.is_empty());
    }
}

#[test]
fn k2_054_every_type_of_identity_can_be_sent_and_accepted() {
    let identities = [
        Identity::Ipv4("192.0.2.10".parse().unwrap()),
        Identity::Ipv6("2001:db8::10".parse().unwrap()),
        Identity::Fqdn("a.example".into()),
        Identity::Email("a@b.example".into()),
        Identity::KeyId(vec![0, 255, 1]),
    ];
    for (local, remote) in identities.iter().zip(identities.iter().cycle().skip(1)) {
        let profile = Profile {
            local_identity: local.clone(),
            remote_identities: vec![remote.clone()],
            send_remote_identity: false,
            ..profile()
        };
        let gateway = Gateway { identity: remote.clone(), ..Gateway::new(1) };
        let (mut client, mut gateway, auth) = half_open(profile, gateway);
        let request = gateway.read_auth(&auth);
        assert!(gateway.believes(&request));
        assert_eq!((request.initiator.identity(), request.responder), (local.clone(), None));
        let response = gateway.seal_proof(gateway.proof());
        client.receive(path_4500(), &response);
        assert!(client.is_up());
    }
}

#[test]
fn k2_056_a_peer_that_turns_our_identity_around_is_refused() {
    let profile = Profile { remote_identities: vec![profile().local_identity], ..profile() };
    let gateway = Gateway { identity: profile.local_identity.clone(), ..Gateway::new(1) };
    let (mut client, mut gateway, _) = half_open(profile, gateway);
    let response = gateway.seal_proof(gateway.proof());
    let sent = client.receive(path_4500(), &response);
    assert!(says_authentication_failed(&gateway, &sent));
    client.wait(1_000);
    assert!(matches!(client.failure(), Some(Failure::PeerViolation { .. })));
    assert!(client.data.is_empty());
}

#[test]
fn k2_059_a_refused_child_closes_the_ike_sa_and_says_why() {
    type Check = fn(&Failure) -> bool;
    let cases: [(NotifyType, Check); 6] = [
        (
            NotifyType::NO_PROPOSAL_CHOSEN,
            |failure| matches!(failure, Failure::ChildProposalRefused { offered, .. } if offered[0].starts_with("aes256-sha256")),
        ),
        (
            NotifyType::TS_UNACCEPTABLE,
            |failure| matches!(failure, Failure::SelectorsRefused { remote, answered: None, .. } if remote.len() == 2),
        ),
        (
            NotifyType::SINGLE_PAIR_REQUIRED,
            |failure| matches!(failure, Failure::Refused { phase: Phase::Auth, notify } if notify == "SINGLE_PAIR_REQUIRED"),
        ),
        (
            NotifyType::INTERNAL_ADDRESS_FAILURE,
            |failure| matches!(failure, Failure::AddressRefused { reason } if reason.contains("INTERNAL_ADDRESS_FAILURE")),
        ),
        (NotifyType::FAILED_CP_REQUIRED, |failure| matches!(failure, Failure::AddressRefused { .. })),
        (NotifyType(9999), |failure| matches!(failure, Failure::Refused { notify, .. } if notify == "9999")),
    ];
    for (kind, check) in cases {
        let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
        let response = gateway.seal_child_refusal(kind);
        let sent = client.receive(path_4500(), &response);
        let failure = closes_in_order((client, gateway, sent));
        assert!(check(&failure), "{kind}: {failure:?}");
    }
}

#[test]
fn k2_059_a_gateway_that_does_not_answer_the_delete_does_not_hold_us_up() {
    let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
    let response = gateway.seal_child_refusal(NotifyType::TS_UNACCEPTABLE);
    client.receive(path_4500(), &response);
    client.wait(10_000);
    assert!(matches!(client.failure(), Some(Failure::SelectorsRefused { .. })));
}

#[test]
fn k2_060_configuration_is_asked_before_the_child_and_only_when_wanted() {
    let kinds = |profile: Profile| {
        let (_, gateway, auth) = half_open(profile, Gateway::new(1));
        let (_, first, inner) = gateway.read(&auth);
        parse_inner(first, &inner).unwrap().iter().map(|payload| payload.kind).collect::<Vec<_>>()
    };
    let asked = kinds(profile());
    let place = |kind| asked.iter().position(|other| *other == kind);
    assert!(place(PayloadType::CONFIGURATION).unwrap() < place(PayloadType::SECURITY_ASSOCIATION).unwrap());
    let none = kinds(Profile { request: AddressRequest::default(), ..profile() });
    assert!(!none.contains(&PayloadType::CONFIGURATION));
}

#[test]
fn k2_060_both_families_are_asked_for_and_both_may_come() {
    let request = AddressRequest {
        ipv4: Some("0.0.0.0".parse().unwrap()),
        ipv6: Some("::".parse().unwrap()),
        dns: true,
        fixed: Vec::new(),
    };
    let mut profile = Profile { request, ..profile() };
    profile.child.local = vec![Selector::any_v4(), Selector::any_v6()];
    profile.child.remote.push(subnet("fd00:250::/64"));
    let v6: std::net::Ipv6Addr = "fd00:200::7".parse().unwrap();
    let (client, ..) = after_with(profile, |proof| {
        let value = v6.octets().into_iter().chain([64]).collect();
        let attribute = Attribute { kind: ConfigAttributeType::INTERNAL_IP6_ADDRESS, value };
        proof.configuration.as_mut().unwrap().attributes.push(attribute);
        let ChildAnswer::Accepted { traffic_selector_initiator, traffic_selector_responder, .. } = &mut proof.child
        else {
            panic!()
        };
        traffic_selector_initiator.0.push(Selector::host(v6.into()));
        traffic_selector_responder.0.push(subnet("fd00:250::/64"));
    });
    let [.., Event::ChildUp(up), Event::Ready] = client.events.as_slice() else { panic!("{:?}", client.events) };
    assert_eq!(up.configuration.addresses.len(), 2);
    assert_eq!((up.local.len(), up.remote.len()), (2, 2));
}

#[test]
fn k2_060_an_answer_to_a_question_not_asked_is_ignored() {
    let mut plain = Profile { request: AddressRequest::default(), ..profile() };
    plain.child.local = vec![subnet("10.200.0.0/24")];
    let (client, ..) = after_with(plain, |_| {});
    let [.., Event::ChildUp(up), Event::Ready] = client.events.as_slice() else { panic!("{:?}", client.events) };
    assert_eq!(up.configuration, crate::ike::action::Configuration::default());
}

#[test]
fn k2_061_an_address_that_cannot_be_used_or_is_not_there_closes_the_ike_sa() {
    for (value, kind) in [
        (Some(vec![127, 0, 0, 1]), CpType::CFG_REPLY),
        (Some(vec![198, 51, 100, 1]), CpType::CFG_REPLY),
        (Some(vec![0, 0, 0, 0]), CpType::CFG_REPLY),
        (Some(vec![10, 200, 0]), CpType::CFG_REPLY),
        (None, CpType::CFG_REPLY),
        (Some(vec![10, 200, 0, 7]), CpType::CFG_SET),
        (Some(vec![10, 200, 0, 7]), CpType::CFG_REQUEST),
        // Not in the selectors.
        (Some(vec![10, 200, 0, 8]), CpType::CFG_REPLY),
    ] {
        let failure = closes_in_order(after(|proof| {
            proof.configuration = value.map(|value| Configuration {
                kind,
                attributes: vec![Attribute { kind: ConfigAttributeType::INTERNAL_IP4_ADDRESS, value }],
            });
        }));
        assert!(matches!(failure, Failure::AddressRefused { .. }), "{failure:?}");
    }
}

#[test]
fn k2_062_initial_contact_is_sent_only_where_the_profile_says_so() {
    for initial_contact in [true, false] {
        let (_, gateway, auth) = half_open(Profile { initial_contact, ..profile() }, Gateway::new(1));
        let request = gateway.read_auth(&auth);
        let sent = request.notifies.iter().any(|notify| notify.kind == NotifyType::INITIAL_CONTACT);
        assert_eq!(sent, initial_contact);
    }
}

#[test]
fn k2_064_selectors_beyond_what_was_asked_close_the_ike_sa() {
    let everything = || TrafficSelectors(vec![Selector::any_v4()]);
    for (local, remote) in [
        (None, Some(everything())),
        (None, Some(TrafficSelectors(vec![subnet("10.250.0.0/23")]))),
        (None, Some(TrafficSelectors(vec![subnet("10.250.0.0/24"), subnet("10.0.0.0/24")]))),
        (None, Some(TrafficSelectors(vec![]))),
        (Some(TrafficSelectors(vec![])), None),
        (Some(TrafficSelectors(vec![Selector::any_v6()])), None),
    ] {
        let failure = closes_in_order(after(|proof| {
            let ChildAnswer::Accepted { traffic_selector_initiator, traffic_selector_responder, .. } = &mut proof.child
            else {
                panic!()
            };
            if let Some(local) = local {
                *traffic_selector_initiator = local;
            }
            if let Some(remote) = remote {
                *traffic_selector_responder = remote;
            }
        }));
        assert!(matches!(failure, Failure::SelectorsRefused { answered: Some(_), .. }), "{failure:?}");
    }
}

#[test]
fn k2_064_several_selectors_are_asked_for_in_one_child() {
    let (_, gateway, auth) = half_open(profile(), Gateway::new(1));
    let request = gateway.read_auth(&auth);
    assert_eq!(request.traffic_selector_initiator.0, [Selector::any_v4()]);
    assert_eq!(request.traffic_selector_responder.0, [subnet("10.250.0.0/24"), subnet("10.251.0.0/24")]);
}

#[test]
fn k2_065_transport_mode_and_compression_that_were_not_asked_for_close_the_ike_sa() {
    for kind in [NotifyType::USE_TRANSPORT_MODE, NotifyType::IPCOMP_SUPPORTED] {
        let failure = closes_in_order(after(|proof| proof.notifies.push(Notify::new(kind).with_data(vec![0, 1, 2]))));
        assert!(matches!(failure, Failure::PeerViolation { .. }));
    }
}

#[test]
fn k2_014_k2_066_a_child_that_was_not_offered_closes_the_ike_sa() {
    type Change = fn(&mut Proposal);
    let changes: [Change; 6] = [
        |proposal| proposal.spi = vec![0, 0, 0, 0],
        |proposal| proposal.spi = vec![0, 0, 0, 255],
        |proposal| proposal.number = 2,
        |proposal| proposal.transforms[0].key_length = Some(128),
        |proposal| proposal.transforms[2].id = 1,
        |proposal| proposal.transforms.push(Transform::new(TransformType::KEY_EXCHANGE, 14)),
    ];
    for change in changes {
        let failure = closes_in_order(after(|proof| {
            let ChildAnswer::Accepted { security_association, .. } = &mut proof.child else { panic!() };
            change(&mut security_association.proposals[0]);
        }));
        assert!(matches!(failure, Failure::PeerViolation { .. }));
    }
}

#[test]
fn k2_067_only_message_id_1_is_the_answer() {
    let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
    let contents = AuthResponse::Proof(Box::new(gateway.proof())).contents().unwrap();
    for message_id in [0, 2, 3, u32::MAX] {
        let header = gateway.header(ExchangeType::IKE_AUTH, message_id, true);
        let message = gateway.seal(header, &contents);
        assert!(client.receive(path_4500(), &message).is_empty());
    }
    assert_eq!(client.drops(), [DropReason::OutsideWindow; 4]);
    assert!(!client.is_up());
}

#[test]
fn k2_069_forged_answers_are_dropped_and_the_request_is_repeated() {
    let (mut client, mut gateway, auth) = half_open(profile(), Gateway::new(1));
    let response = gateway.seal_proof(gateway.proof());
    for index in 0..response.len() {
        let mut forged = response.clone();
        forged[index] ^= 0x10;
        // Reserved flags of the header are authenticated too, so nothing passes.
        assert!(client.receive(path_4500(), &forged).is_empty(), "octet {index}");
    }
    assert_eq!(client.drops().len(), response.len());
    let repeated = client.wait(500);
    assert_eq!(repeated, auth);
    client.receive(path_4500(), &response);
    assert!(client.is_up());
}

#[test]
fn k2_057_errors_in_clear_are_hints_only() {
    let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
    for kind in [NotifyType::AUTHENTICATION_FAILED, NotifyType::INVALID_IKE_SPI, NotifyType::INVALID_SYNTAX] {
        let contents = write_contents(&[Payload::Notify(Notify::new(kind))]).unwrap();
        let message = gateway.header(ExchangeType::IKE_AUTH, 1, true).message(&contents).unwrap();
        assert!(client.receive(path_4500(), &message).is_empty());
    }
    assert_eq!(client.drops(), [DropReason::Unauthenticated; 3]);
    client.wait(20_000);
    assert!(client.failure().is_none());
    let response = gateway.seal_proof(gateway.proof());
    client.receive(path_4500(), &response);
    assert!(client.is_up());
}

#[test]
fn k2_057_hints_are_told_when_nobody_answers() {
    let (mut client, gateway, _) = half_open(profile(), Gateway::new(1));
    let contents = write_contents(&[Payload::Notify(Notify::new(NotifyType::INVALID_SYNTAX))]).unwrap();
    let message = gateway.header(ExchangeType::IKE_AUTH, 1, true).message(&contents).unwrap();
    client.receive(path_4500(), &message);
    client.wait(300_000);
    let Some(Failure::NoAnswer { phase: Phase::Auth, hints, .. }) = client.failure() else { panic!() };
    assert_eq!(hints, &["INVALID_SYNTAX"]);
}

#[test]
fn k2_070_v_25_certificates_are_not_looked_at() {
    let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
    let mut payloads = proof_payloads(&gateway);
    payloads.push(Payload::Certificate(vec![4, 0xff, 0xff]));
    payloads.push(Payload::Certificate(vec![]));
    let message = seal_payloads(&mut gateway, &payloads);
    client.receive(path_4500(), &message);
    assert!(client.is_up());
}

pub(super) fn proof_payloads(gateway: &HalfOpen) -> Vec<Payload> {
    let contents = AuthResponse::Proof(Box::new(gateway.proof())).contents().unwrap();
    parse_inner(contents.first, &contents.octets).unwrap().iter().map(|raw| Payload::parse(raw).unwrap()).collect()
}

pub(super) fn seal_payloads(gateway: &mut HalfOpen, payloads: &[Payload]) -> Vec<u8> {
    let header = gateway.header(ExchangeType::IKE_AUTH, 1, true);
    gateway.seal(header, &write_contents(payloads).unwrap())
}

#[test]
fn k2_008_payloads_may_come_in_any_order() {
    for shift in 1..6 {
        let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
        let mut payloads = proof_payloads(&gateway);
        payloads.rotate_left(shift);
        let message = seal_payloads(&mut gateway, &payloads);
        client.receive(path_4500(), &message);
        assert!(client.is_up());
    }
}

#[test]
fn k2_037_after_the_float_another_port_of_the_gateway_is_tolerated_but_no_other_address() {
    let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
    let response = gateway.seal_proof(gateway.proof());
    for path in [Path { remote: "198.51.100.2:4500".parse().unwrap(), ..path_4500() }, path_500()] {
        assert!(client.receive(path, &response).is_empty());
    }
    assert_eq!(client.drops(), [DropReason::WrongAddress; 2]);
    client.receive(Path { remote: "198.51.100.1:45000".parse().unwrap(), ..path_4500() }, &response);
    assert!(client.is_up());
    assert_eq!(client.session.status().path, path_4500());
}

fn large() -> Profile {
    let mut profile = profile();
    profile.child.remote = (0..200_u8).map(|third| subnet(&format!("10.{third}.0.0/16"))).collect();
    profile.child.remote.push(subnet("10.250.0.0/24"));
    profile
}

#[test]
fn f_01_a_large_request_is_fragmented_where_both_announced_it() {
    let (mut client, mut gateway, auth) = half_open(large(), Gateway::new(1));
    assert!(auth.len() > 1);
    // IPv4, UDP, non-ESP marker.
    assert!(auth.iter().all(|sent| sent.message.len() + 20 + 8 + 4 <= 1280));
    let request = gateway.read_auth(&auth);
    assert_eq!(request.traffic_selector_responder.0.len(), 201);
    assert_eq!(client.wait(500), auth, "repeated as they were");
    let response = gateway.seal_proof(gateway.proof());
    client.receive(path_4500(), &response);
    assert!(client.is_up());
}

#[test]
fn f_01_a_large_request_goes_whole_to_a_gateway_that_knows_no_fragments() {
    let gateway = Gateway { sa_init_notifies: Vec::new(), ..Gateway::new(1) };
    let (_, gateway, auth) = half_open(large(), gateway);
    assert_eq!(auth.len(), 1);
    assert_eq!(gateway.read_auth(&auth).traffic_selector_responder.0.len(), 201);
}

#[test]
fn f_08_a_fragmented_answer_comes_together_in_any_order_and_with_repetitions() {
    for seed in 0..20_usize {
        let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
        let mut fragments = gateway.seal_in_fragments(40);
        assert!(fragments.len() >= 4);
        let count = fragments.len();
        fragments.rotate_left(seed % count);
        fragments.swap(0, seed / 3 % count);
        for (index, fragment) in fragments.iter().enumerate() {
            assert!(!client.is_up());
            client.receive(path_4500(), fragment);
            if index + 1 < count {
                client.receive(path_4500(), fragment);
            }
        }
        assert!(client.is_up());
    }
}

#[test]
fn f_04_forged_fragments_leave_nothing_behind() {
    let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
    let fragments = gateway.seal_in_fragments(40);
    for fragment in &fragments {
        let mut forged = fragment.clone();
        *forged.last_mut().unwrap() ^= 1;
        client.receive(path_4500(), &forged);
    }
    for fragment in &fragments {
        client.receive(path_4500(), fragment);
    }
    assert!(client.is_up());
}

#[test]
fn f_08_the_whole_answer_makes_fragments_superfluous() {
    let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
    let fragments = gateway.seal_in_fragments(40);
    client.receive(path_4500(), &fragments[1]);
    let response = gateway.seal_proof(gateway.proof());
    client.receive(path_4500(), &response);
    assert!(client.is_up());
}

#[test]
fn f_01_fragments_that_were_not_announced_are_dropped() {
    let gateway = Gateway { sa_init_notifies: Vec::new(), ..Gateway::new(1) };
    let (mut client, mut gateway, _) = half_open(profile(), gateway);
    for fragment in gateway.seal_in_fragments(40) {
        client.receive(path_4500(), &fragment);
    }
    assert!(!client.is_up());
    assert!(client.drops().iter().all(|reason| *reason == DropReason::Fragment));
}

#[test]
fn closing_while_ike_auth_is_under_way_asks_the_gateway_to_forget_us() {
    let (mut client, gateway, _) = half_open(profile(), Gateway::new(1));
    let sent = client.command(Command::Close);
    assert_eq!(gateway.read_informational(&sent).deletes, [Delete::ike_sa()]);
    assert!(client.failure().is_none());
    let repeated = client.wait(2_000);
    assert!(
        repeated.len() > 2 && repeated.iter().all(|one| one.message == sent[0].message),
        "the same, repeated often"
    );
    assert_eq!(client.failure(), Some(&Failure::ClosedByUs { confirmed: false }));
    assert_eq!(client.session.poll_timeout(), None);
}

#[test]
fn an_answer_to_the_delete_while_ike_auth_is_under_way_ends_the_wait_and_one_to_ike_auth_makes_no_child() {
    let (mut client, mut gateway, _) = half_open(profile(), Gateway::new(1));
    client.command(Command::Close);
    let proof = gateway.proof();
    let response = gateway.seal_proof(proof);
    assert!(client.receive(path_4500(), &response).is_empty());
    assert!(client.receive(path_500(), &gateway.response).is_empty());
    assert!(client.failure().is_none() && client.data.is_empty());
    let header = gateway.header(ExchangeType::INFORMATIONAL, 2, true);
    let answer = gateway.seal(header, &Informational::default().contents().unwrap());
    client.receive(path_4500(), &answer);
    assert_eq!(client.failure(), Some(&Failure::ClosedByUs { confirmed: true }));
    assert_eq!(client.session.poll_timeout(), None);
}
