//! Mode Config: asked for, and unasked.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};

use super::kit::*;
use crate::crypto::random::SeededRandom;
use crate::ike::action::{Action, Configuration, DropReason, Event, Failure, Phase, Transmit};
use crate::ike::attribute::AddressFault;
use crate::ike::context::Context;
use crate::ike::profile::{AddressRequest, Profile};
use crate::ike::v1::answers::kind;
use crate::ike::v1::header::ExchangeType;
use crate::ike::v1::message::*;
use crate::ike::v1::mode_config;

const ADDRESS: (u16, &[u8]) = (1, &[10, 200, 0, 7]);
/// MD5 of nothing that is known: Cisco's Unity, version 1.0.
const UNITY: [u8; 16] =
    [0x12, 0xf5, 0xf2, 0x8c, 0x45, 0x71, 0x68, 0xa9, 0x70, 0x2d, 0x9f, 0xe2, 0x74, 0xcc, 0x01, 0x00];

/// The request is sent: its message ID and itself.
fn asked(profile: Profile) -> (Client, Gateway, u32, Attributes) {
    let gateway = Gateway { vendor_ids: vec![RFC_3947.to_vec(), UNITY.to_vec()], ..Gateway::new() };
    let (client, mut gateway, sent) = authenticated(profile, gateway);
    let (id, request) = gateway.open_attributes(&sent[0].message);
    assert_eq!(request.kind, kind::REQUEST);
    (client, gateway, id, request)
}

fn answer(
    client: &mut Client,
    gateway: &mut Gateway,
    id: u32,
    identifier: u16,
    given: &[(u16, &[u8])],
) -> Vec<Transmit> {
    let message = gateway.attributes(id, kind::REPLY, identifier, given);
    client.receive(path_4500(), &message)
}

#[test]
fn k1_022_an_address_is_asked_for_and_taken() {
    let (mut client, mut gateway, id, request) = asked(profile());
    let kinds: Vec<u16> = request.attributes.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [1, 3, 13, 2, 28672, 28674, 28675, 28676]);
    assert!(request.attributes.iter().all(|(_, value)| value.is_empty()));
    answer(&mut client, &mut gateway, id, request.identifier, &[ADDRESS, (3, &[10, 250, 0, 53])]);
    assert!(client.began_quick_mode(), "{:?}", client.events);
}

#[test]
fn k1_022_unity_is_asked_for_only_where_it_is_known() {
    let (_, mut gateway, sent) = authenticated(profile(), Gateway::new());
    let (_, request) = gateway.open_attributes(&sent[0].message);
    assert!(request.attributes.iter().all(|(kind, _)| *kind < 100));
}

#[test]
fn k1_022_the_answer_has_our_message_id_our_identifier_and_a_hash() {
    let (mut client, mut gateway, id, request) = asked(profile());
    let identifier = request.identifier;
    let chains = gateway.chains.clone();
    let wrong = gateway.attributes(id, kind::REPLY, identifier ^ 1, &[ADDRESS]);
    client.drops_it(path_4500(), &wrong, DropReason::Unacceptable);
    let wrong = gateway.attributes(id ^ 1, kind::REPLY, identifier, &[ADDRESS]);
    client.drops_it(path_4500(), &wrong, DropReason::Unacceptable);
    for kind in [0, 1, 3, 4, 5, 255] {
        gateway.chains = chains.clone();
        let wrong = gateway.attributes(id, kind, identifier, &[ADDRESS]);
        client.drops_it(path_4500(), &wrong, DropReason::Unacceptable);
    }
    let reply = Attributes { kind: kind::REPLY, identifier, attributes: vec![(1, vec![10, 200, 0, 7])] };
    for index in 0..32 {
        gateway.chains = chains.clone();
        let wrong = gateway.protected_with(ExchangeType::TRANSACTION, id, &reply.contents().unwrap(), |mut hash| {
            hash[index] ^= 1;
            hash
        });
        client.drops_it(path_4500(), &wrong, DropReason::Forged);
    }
    assert!(!client.began_quick_mode());
    gateway.chains = chains;
    answer(&mut client, &mut gateway, id, identifier, &[ADDRESS]);
    assert!(client.began_quick_mode());
}

#[test]
fn k1_022_a_push_counts_as_the_answer_and_is_acknowledged_without_values() {
    let (mut client, mut gateway, ..) = asked(profile());
    let given: &[(u16, &[u8])] =
        &[ADDRESS, (2, &[255, 255, 255, 0]), (3, &[10, 250, 0, 53]), (20, b"x"), (30000, b"y")];
    let message = gateway.attributes(9, kind::SET, 77, given);
    let sent = client.receive(path_4500(), &message);
    let (id, acknowledged) = gateway.open_attributes(&sent[0].message);
    assert_eq!((id, acknowledged.kind, acknowledged.identifier), (9, kind::ACK, 77));
    assert_eq!(acknowledged.attributes, [(1, vec![]), (2, vec![]), (3, vec![])]);
    assert!(client.began_quick_mode());
    // A copy of it gets the same octets, whatever is waited for by now.
    for _ in 0..10 {
        assert_eq!(client.receive(path_4500(), &message), sent[..1]);
    }
    client.drops_it(path_4500(), &message, DropReason::Bounded);
}

#[test]
fn k1_022_a_push_without_an_address_is_acknowledged_and_the_address_still_waited_for() {
    let (mut client, mut gateway, id, request) = asked(profile());
    let message = gateway.attributes(9, kind::SET, 77, &[(3, &[10, 250, 0, 53]), (28672, b"hello")]);
    let sent = client.receive(path_4500(), &message);
    let (_, acknowledged) = gateway.open_attributes(&sent[0].message);
    assert_eq!(acknowledged.attributes, [(3, vec![]), (28672, vec![])]);
    assert!(!client.began_quick_mode());
    answer(&mut client, &mut gateway, id, request.identifier, &[ADDRESS]);
    assert!(client.began_quick_mode());
}

#[test]
fn k1_022_a_set_is_acknowledged_when_nothing_was_asked_for() {
    let (mut client, mut gateway, _) = authenticated(without_request(), Gateway::new());
    assert!(client.began_quick_mode());
    let message = gateway.attributes(9, kind::SET, 77, &[ADDRESS, (28672, b"hello"), (20, b"")]);
    let sent = client.receive(path_4500(), &message);
    let (_, acknowledged) = gateway.open_attributes(&sent[0].message);
    assert_eq!((acknowledged.kind, acknowledged.identifier), (kind::ACK, 77));
    assert_eq!(acknowledged.attributes, [(1, vec![]), (28672, vec![])]);
    assert_eq!(client.receive(path_4500(), &message), sent);
    let message = gateway.attributes(10, kind::REQUEST, 78, &[(7, b"")]);
    let sent = client.receive(path_4500(), &message);
    assert_eq!(
        gateway.open_attributes(&sent[0].message).1,
        Attributes { kind: kind::REPLY, identifier: 78, attributes: vec![] }
    );
    let message = gateway.attributes(11, kind::REPLY, 78, &[ADDRESS]);
    assert_eq!(client.receive(path_4500(), &message), []);
}

#[test]
fn k1_022_an_address_that_cannot_be_used_or_is_missing_is_said() {
    for given in [
        &[][..],
        &[(1, &[127, 0, 0, 1][..])],
        &[(1, b"")],
        &[(1, &[10, 0, 0])],
        &[(1, &[198, 51, 100, 1])],
        &[(8, &[1; 16])],
    ] {
        let (mut client, mut gateway, id, request) = asked(profile());
        let sent = answer(&mut client, &mut gateway, id, request.identifier, given);
        assert!(matches!(client.failure(), Some(Failure::AddressRefused { .. })), "{given:?}: {:?}", client.failure());
        assert_eq!(gateway.open_words(&sent[0].message), gateway.delete());
    }
    let (mut client, mut gateway, ..) = asked(profile());
    let message = gateway.attributes(9, kind::SET, 77, &[(1, &[224, 0, 0, 1])]);
    client.receive(path_4500(), &message);
    assert!(matches!(client.failure(), Some(Failure::AddressRefused { .. })));
}

#[test]
fn k1_022_the_request_is_repeated_and_given_up_by_name() {
    let (mut client, ..) = asked(profile());
    let request = client.last();
    let repeated = client.wait(300_000);
    assert_eq!(repeated.len(), 10 + 1, "and a goodbye");
    assert!(repeated[..10].iter().all(|sent| *sent == request));
    assert!(matches!(client.failure(), Some(Failure::NoAnswer { phase: Phase::ModeConfig, sent: 11, .. })));
}

#[test]
fn k1_020_an_address_that_we_had_is_asked_for_by_name() {
    let request = AddressRequest {
        ipv4: Some([10, 200, 0, 7].into()),
        ipv6: Some("fd00::7".parse().unwrap()),
        dns: false,
        fixed: Vec::new(),
    };
    let (_, _, _, request) = asked(Profile { request, ..profile() });
    assert_eq!(request.attributes[0], (1, vec![10, 200, 0, 7]));
    let address: Ipv6Addr = "fd00::7".parse().unwrap();
    assert_eq!(request.attributes[1], (8, address.octets().to_vec()), "without a prefix length");
}

/// What is made of the attributes, and what people are told.
fn taken(request: AddressRequest, given: &[(u16, &[u8])]) -> (Result<Configuration, AddressFault>, Vec<String>) {
    let profile = Profile { request, ..profile() };
    let (mut random, mut outbox) = (SeededRandom::new(1), VecDeque::new());
    let mut ctx = Context { now: at(0), profile: &profile, random: &mut random, outbox: &mut outbox };
    let attributes = given.iter().map(|(kind, value)| (*kind, value.to_vec())).collect();
    let given = Attributes { kind: kind::REPLY, identifier: 1, attributes };
    let taken = mode_config::accept(&mut ctx, path_4500().remote.ip(), &given);
    let told = outbox.into_iter().map(|action| match action {
        Action::Event(Event::Notice(text)) => text,
        other => panic!("{other:?}"),
    });
    (taken, told.collect())
}

fn both() -> AddressRequest {
    AddressRequest { ipv6: Some(Ipv6Addr::UNSPECIFIED), ..profile().request }
}

#[test]
fn k1_022_addresses_of_both_families_come_in_either_form() {
    let long: Ipv6Addr = "fd00::7".parse().unwrap();
    let with_prefix = [&long.octets()[..], &[64]].concat();
    for value in [&long.octets()[..], &with_prefix] {
        let (taken, _) = taken(both(), &[ADDRESS, (8, value), (10, &long.octets())]);
        let taken = taken.unwrap();
        assert_eq!(taken.addresses, [([10, 200, 0, 7].into(), 32), (long.into(), 128)]);
        assert_eq!(taken.dns, [IpAddr::from(long)]);
    }
}

#[test]
fn k1_022_split_networks_and_domains_are_read() {
    let split = [&[10, 250, 0, 0, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0][..], &[10, 9, 0, 0, 255, 255, 0, 0]].concat();
    let given: &[(u16, &[u8])] =
        &[ADDRESS, (28674, b"example.com\0"), (28675, b"a.example,b.example c.example"), (28676, &split)];
    let (taken, told) = taken(both(), given);
    let taken = taken.unwrap();
    assert_eq!(taken.domains, ["example.com", "a.example", "b.example", "c.example"]);
    assert_eq!(taken.subnets, [([10, 250, 0, 0].into(), 24), ([10, 9, 0, 0].into(), 16)]);
    assert!(told.is_empty());
}

#[test]
fn k1_022_odd_split_networks_are_left_out() {
    for odd in [&[][..], &[10], &[10, 0, 0, 0, 255, 255, 255], &[10, 0, 0, 0, 255, 0, 255, 0]] {
        assert_eq!(taken(both(), &[ADDRESS, (28676, odd)]).0.unwrap().subnets, [], "{odd:?}");
    }
    let many: Vec<u8> = (0..=255).flat_map(|third| [10, 1, third, 0, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0]).collect();
    assert_eq!(taken(both(), &[ADDRESS, (28676, &many)]).0.unwrap().subnets.len(), 64);
}

#[test]
fn v_26_names_that_are_no_domains_are_left_out() {
    let long = [b'x'; 254];
    for name in [
        &b"$(reboot)"[..],
        b"a;b",
        b"a\nnameserver 1.2.3.4",
        b"a\x1b[2J",
        b"%n%s",
        b"\xff\xfe",
        b"`id`",
        b"a\0b",
        b"",
        b"...",
        &long,
    ] {
        assert_eq!(taken(both(), &[ADDRESS, (28674, name)]).0.unwrap().domains, [""; 0], "{name:?}");
    }
    let names: Vec<u8> = (0..1000).flat_map(|number| format!("h{number}.example,").into_bytes()).collect();
    let domains = taken(both(), &[ADDRESS, (28675, &names)]).0.unwrap().domains;
    assert_eq!(domains.len(), 64);
    // Between hostile parts, what is left of it is plain.
    let domains = taken(both(), &[ADDRESS, (28675, b"good.example,$(x),a\nb")]).0.unwrap().domains;
    assert!(domains.iter().all(|name| name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'.')));
}

#[test]
fn v_26_a_banner_is_told_bounded_and_without_control_characters() {
    let hostile = [&b"welcome\x1b[2J\r\n$(reboot)\x07"[..], &[b'a'; 9000]].concat();
    let (taken, told) = taken(both(), &[ADDRESS, (28672, &hostile)]);
    assert!(taken.is_ok());
    let [text] = told.as_slice() else { panic!("{told:?}") };
    assert!(text.contains("welcome") && text.len() < 2000 && !text.chars().any(char::is_control), "{text:?}");
}

#[test]
fn k1_022_what_was_not_asked_for_is_not_taken() {
    let (taken, _) = taken(AddressRequest::default(), &[ADDRESS, (3, &[10, 250, 0, 53])]);
    let taken = taken.unwrap();
    assert!(taken.addresses.is_empty() && taken.dns.is_empty());
}
