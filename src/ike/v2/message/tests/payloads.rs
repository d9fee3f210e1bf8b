//! Tables of octets for each payload: what is taken, what is refused, what is skipped.

use super::*;
use crate::ike::v2::message::{
    CreateChildKind, CreateChildRequest, MessageError,
    create_child::{ChildProtocol, RekeyedSa},
    write_contents,
};
use crate::ike::wire::{error::DecodeError, registry::IdType};

fn read(kind: PayloadType, body: &[u8]) -> Result<Payload, DecodeError> {
    Payload::parse(&RawPayload { kind, critical: false, body, offset: 0 })
}

fn read_sa(body: &[u8]) -> Result<SecurityAssociation, DecodeError> {
    match read(PayloadType::SECURITY_ASSOCIATION, body)? {
        Payload::SecurityAssociation(value) => Ok(value),
        other => panic!("{other:?}"),
    }
}

/// A proposal for ESP with SPI c0010203.
fn proposal(last: u8, number: u8, transforms: &[&[u8]]) -> Vec<u8> {
    let body = transforms.concat();
    let length = u8::try_from(12 + body.len()).unwrap();
    let count = u8::try_from(transforms.len()).unwrap();
    [&[last, 0, 0, length, number, 3, 4, count, 0xc0, 1, 2, 3], body.as_slice()].concat()
}

const ESN: &[u8] = &[0, 0, 0, 8, 5, 0, 0, 0];
const ESN_MORE: &[u8] = &[3, 0, 0, 8, 5, 0, 0, 0];
const AES: &[u8] = &[0, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 1, 0];

#[test]
fn k2_011_the_lengths_and_counts_of_proposals_are_exact() {
    let good = proposal(0, 1, &[ESN_MORE, AES]);
    let sa = read_sa(&good).unwrap();
    assert_eq!(sa.proposals[0].spi, [0xc0, 1, 2, 3]);
    assert_eq!(sa.proposals[0].transforms.len(), 2);
    for (what, place, value) in [
        ("Last Substruc 1", 0, 1),
        ("Last Substruc 2 with none after", 0, 2),
        ("Last Substruc 3", 0, 3),
        ("length one more", 3, 33),
        ("length one less", 3, 31),
        ("length 0", 3, 0),
        ("length 3", 3, 3),
        ("number 0", 4, 0),
        ("IKE with an SPI of 4", 5, 1),
        ("SPI size 3", 6, 3),
        ("SPI size 0", 6, 0),
        ("SPI size 255", 6, 255),
        ("no transforms counted", 7, 0),
        ("one transform too few counted", 7, 1),
        ("one transform too many counted", 7, 3),
        ("the first transform says it is the last", 12, 0),
        ("the first transform says 2", 12, 2),
        ("transform length 7", 15, 7),
        ("transform length 9", 15, 9),
        ("transform length 255", 15, 255),
        ("the last transform says more", 20, 3),
        ("attribute cut off", 23, 10),
    ] {
        let mut bad = good.clone();
        bad[place] = value;
        assert!(read_sa(&bad).is_err(), "{what}");
    }
    assert!(read_sa(&[]).is_err());
    assert!(read_sa(&[good.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn k2_011_proposals_are_numbered_from_1_in_steps_of_1() {
    let numbered = |numbers: &[u8]| {
        let last = numbers.len() - 1;
        let body: Vec<u8> = numbers
            .iter()
            .enumerate()
            .flat_map(|(place, number)| proposal(if place == last { 0 } else { 2 }, *number, &[ESN]))
            .collect();
        read_sa(&body)
    };
    assert!(numbered(&[1, 2, 3]).is_ok_and(|sa| sa.is_numbered_as_offer() && sa.sole().is_none()));
    for bad in [&[0_u8, 1][..], &[1, 1], &[1, 3], &[2, 3], &[2, 1], &[1, 2, 2], &[0], &[255, 0], &[255, 255]] {
        assert!(numbered(bad).is_err(), "{bad:?}");
    }
    let answer = numbered(&[7]).unwrap();
    assert!(answer.sole().is_some() && !answer.is_numbered_as_offer());
    let all: Vec<u8> = (1..=255).collect();
    assert_eq!(numbered(&all).unwrap().proposals.len(), 255);
    let too_many: Vec<u8> = (1..=255).chain([0]).collect();
    assert!(numbered(&too_many).is_err());
}

#[test]
fn k2_011_an_answers_number_is_no_requests_number() {
    let mut request = sa_init_request();
    request.security_association = chosen(request.security_association);
    let contents = request.contents().unwrap();
    assert!(matches!(SaInitRequest::parse(&inner(&contents)), Err(MessageError::Malformed(_))));
}

#[test]
fn k2_011_the_spi_size_is_0_or_8_for_ike_and_4_for_esp_and_ah() {
    for (protocol, allowed) in [(1, &[0, 8][..]), (2, &[4]), (3, &[4])] {
        for size in 0..=255_u8 {
            let length = 8 + u16::from(size);
            let [high, low] = length.to_be_bytes();
            let body = [&[0, 0, high, low, 1, protocol, size, 0], vec![1; usize::from(size)].as_slice()].concat();
            assert_eq!(read_sa(&body).is_ok(), allowed.contains(&size), "protocol {protocol}, size {size}");
        }
    }
}

#[test]
fn k2_012_a_repeated_unknown_or_long_form_attribute_marks_the_transform_and_nothing_else() {
    let transform = |attributes: &[u8]| {
        let length = u8::try_from(8 + attributes.len()).unwrap();
        let transform = [&[0, 0, 0, length, 1, 0, 0, 12], attributes].concat();
        read_sa(&proposal(0, 1, &[ESN_MORE, &transform])).map(|sa| {
            assert_eq!(sa.proposals[0].transforms[0], Transform::new(TransformType::SEQUENCE_NUMBERS, 0));
            let transform = sa.proposals[0].transforms[1];
            (transform.key_length, transform.unknown_attribute)
        })
    };
    assert_eq!(transform(&[]), Ok((None, false)));
    assert_eq!(transform(&[0x80, 14, 1, 0]), Ok((Some(256), false)));
    assert_eq!(transform(&[0x80, 14, 0, 0]), Ok((Some(0), false)));
    assert_eq!(transform(&[0x80, 14, 1, 0, 0x80, 14, 1, 0]), Ok((Some(256), true)));
    assert_eq!(transform(&[0x80, 14, 1, 0, 0x80, 14, 0, 128]), Ok((Some(256), true)));
    assert_eq!(transform(&[0, 14, 0, 2, 1, 0]), Ok((None, true)));
    assert_eq!(transform(&[0x80, 15, 1, 0]), Ok((None, true)));
    assert_eq!(transform(&[0, 99, 0, 0]), Ok((None, true)));
    assert!(transform(&[0, 14, 0, 3, 1, 0]).is_err());
    assert!(transform(&[0, 14, 0xff, 0xff]).is_err());
    assert!(transform(&[0x80]).is_err());
    assert!(transform(&[0x80, 14, 1]).is_err());
}

#[test]
fn k2_013_unknown_protocols_transform_types_and_ids_are_read_as_numbers() {
    let mut body = proposal(0, 1, &[&[0, 0, 0, 8, 241, 77, 0xff, 0xff]]);
    body[5] = 200;
    let sa = read_sa(&body).unwrap();
    assert_eq!(sa.proposals[0].protocol, ProtocolId(200));
    assert_eq!(sa.proposals[0].transforms, [Transform::new(TransformType(241), 0xffff)]);
}

#[test]
fn v_20_a_group_of_any_number_is_a_number() {
    for group in [0, 1, 14, 1024, 1025, 1100, 0x7fff, 0x8000, 0xffff_u16] {
        let [high, low] = group.to_be_bytes();
        let read = read(PayloadType::KEY_EXCHANGE, &[high, low, 7, 7, 1]);
        assert_eq!(read, Ok(Payload::KeyExchange(KeyExchange { group, data: vec![1] })));
    }
    assert!(read(PayloadType::KEY_EXCHANGE, &[0, 14, 0]).is_err());
}

#[test]
fn k2_015_a_nonce_has_16_to_256_octets() {
    for length in 0..300 {
        let good = (16..=256).contains(&length);
        assert_eq!(read(PayloadType::NONCE, &vec![1; length]).is_ok(), good, "{length}");
        assert_eq!(Nonce::new(vec![1; length]).is_some(), good, "{length}");
    }
}

#[test]
fn k2_017_traffic_selectors_are_exact_and_unknown_types_are_left_out() {
    let v4: &[u8] = &[7, 6, 0, 16, 0, 22, 0, 23, 10, 0, 0, 1, 10, 0, 0, 9];
    let unknown: &[u8] = &[9, 0, 0, 6, 1, 2];
    let v6 = [&[8, 0, 0, 40, 0, 0, 255, 255][..], &[0; 16], &[255; 16]].concat();
    let read = |count: u8, selectors: &[&[u8]]| {
        let body = [&[count, 9, 9, 9][..], &selectors.concat()].concat();
        read(PayloadType::TRAFFIC_SELECTOR_INITIATOR, &body).map(|payload| match payload {
            Payload::TrafficSelectorInitiator(selectors) => selectors.0,
            other => panic!("{other:?}"),
        })
    };
    let expected = Selector::new([10, 0, 0, 1].into(), [10, 0, 0, 9].into(), 6, 22, 23).unwrap();
    assert_eq!(read(3, &[v4, unknown, &v6]), Ok(vec![expected, Selector::any_v6()]));
    assert_eq!(read(0, &[]), Ok(vec![]));
    assert_eq!(read(255, &[v4; 255]).map(|selectors| selectors.len()), Ok(255));
    for (what, count, selectors) in [
        ("one too many counted", 2, vec![v4]),
        ("one too few counted", 1, vec![v4, v4]),
        ("none counted", 0, vec![v4]),
        ("unknown and too short", 1, vec![&[9, 0, 0, 3][..]]),
        ("unknown and past the end", 1, vec![&[9, 0, 0, 7, 1, 2][..]]),
    ] {
        assert!(read(count, &selectors).is_err(), "{what}");
    }
    for (what, place, value) in [
        ("length one less", 3, 15),
        ("length one more", 3, 17),
        ("length of the other family", 3, 40),
        ("the other family", 0, 8),
        ("first port after last", 5, 24),
        ("first address after last", 11, 10),
    ] {
        let mut bad = v4.to_vec();
        bad[place] = value;
        assert!(read(1, &[&bad]).is_err(), "{what}");
    }
    let opaque: &[u8] = &[7, 0, 0, 16, 255, 255, 0, 0, 10, 0, 0, 1, 10, 0, 0, 1];
    assert_eq!(read(1, &[opaque]).map(|selectors| selectors.len()), Ok(1));
    let longer: &[u8] = &[7, 6, 0, 17, 0, 22, 0, 23, 10, 0, 0, 1, 10, 0, 0, 9, 0];
    assert!(read(1, &[longer]).is_err());
}

#[test]
fn k2_018_a_notifys_spi_lies_within_it() {
    for size in 0..=255_u8 {
        let body = [&[3, size, 0x40, 0], &[5; 4][..]].concat();
        let expected = size <= 4;
        let read = read(PayloadType::NOTIFY, &body);
        assert_eq!(read.is_ok(), expected, "{size}");
        if let Ok(Payload::Notify(notify)) = read {
            assert_eq!((notify.spi.len(), notify.data.len()), (usize::from(size), 4 - usize::from(size)));
        }
    }
    for length in 0..4 {
        assert!(read(PayloadType::NOTIFY, &[0; 3][..length.min(3)]).is_err());
    }
}

#[test]
fn k2_018_an_unknown_error_fails_an_sa_init_response_and_an_unknown_status_does_not() {
    for (kind, passes) in [(16_384, true), (40_000, true), (65_535, true), (16_383, false), (8_192, false), (0, false)]
    {
        let SaInitResponse::Accepted(mut accepted) = sa_init_accepted() else { unreachable!() };
        accepted.notifies.push(notify(NotifyType(kind), &[]));
        let contents = SaInitResponse::Accepted(accepted).contents().unwrap();
        match SaInitResponse::parse(&outer(&contents)).unwrap() {
            SaInitResponse::Accepted(_) => assert!(passes, "{kind}"),
            SaInitResponse::Notified(notified) => {
                assert!(!passes, "{kind}");
                assert_eq!(notified.error(), Some(NotifyType(kind)));
            }
        }
    }
}

#[test]
fn k2_059_an_error_beside_a_proof_refuses_the_child_unless_it_is_about_the_proof_or_the_message() {
    for (kind, child_only) in [
        (NotifyType::NO_PROPOSAL_CHOSEN, true),
        (NotifyType::TS_UNACCEPTABLE, true),
        (NotifyType::SINGLE_PAIR_REQUIRED, true),
        (NotifyType::INTERNAL_ADDRESS_FAILURE, true),
        (NotifyType::FAILED_CP_REQUIRED, true),
        (NotifyType(8_192), true),
        (NotifyType::AUTHENTICATION_FAILED, false),
        (NotifyType::INVALID_SYNTAX, false),
        (NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, false),
    ] {
        let AuthResponse::Proof(proof) = auth_accepted() else { unreachable!() };
        let error = notify(kind, &[1]);
        let sent = AuthResponse::Proof(Box::new(AuthProof { notifies: vec![error.clone()], ..*proof }));
        let contents = sent.contents().unwrap();
        match AuthResponse::parse(&inner(&contents)).unwrap() {
            AuthResponse::Proof(proof) => {
                assert!(child_only, "{kind}");
                assert_eq!(proof.child, ChildAnswer::Refused { error: error.clone() });
            }
            AuthResponse::Refused { error: refused, .. } => assert!(!child_only && refused == error, "{kind}"),
            AuthResponse::Eap => unreachable!(),
        }
        let bare = write_contents(&[Payload::Notify(error.clone())]).unwrap();
        let expected = AuthResponse::Refused { error: error.clone(), notifies: vec![error] };
        assert_eq!(AuthResponse::parse(&inner(&bare)), Ok(expected));
    }
}

#[test]
fn k2_019_a_deletes_size_and_count_are_exact() {
    let ike = Delete::ike_sa();
    let esp = |spis: &[u32]| Delete { protocol: ProtocolId::ESP, spis: spis.to_vec() };
    let unknown = Delete { protocol: ProtocolId(9), spis: vec![] };
    for (body, expected) in [
        (&[1, 0, 0, 0][..], Some(ike)),
        (&[3, 4, 0, 0], Some(esp(&[]))),
        (&[3, 4, 0, 1, 0, 0, 1, 0], Some(esp(&[256]))),
        (&[3, 4, 0, 2, 0, 0, 1, 0, 255, 255, 255, 255], Some(esp(&[256, u32::MAX]))),
        (&[9, 0, 0, 0], Some(unknown.clone())),
        (&[9, 2, 0, 2, 1, 1, 1, 1], Some(unknown)),
        (&[1, 0, 0, 1], None),
        (&[1, 8, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1], None),
        (&[3, 0, 0, 0], None),
        (&[3, 4, 0, 1], None),
        (&[3, 4, 0, 0, 1], None),
        (&[3, 4, 0, 1, 0, 0, 1], None),
        (&[3, 4, 255, 255, 0, 0, 1, 0], None),
        (&[3, 8, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0], None),
        (&[9, 2, 0, 2, 1, 1, 1], None),
        (&[9, 255, 255, 255, 1], None),
        (&[3, 4, 0], None),
    ] {
        assert_eq!(read(PayloadType::DELETE, body).ok(), expected.map(Payload::Delete), "{body:?}");
    }
}

#[test]
fn k2_020_configuration_attributes_lie_within_their_payload_and_unknown_ones_are_kept_as_numbers() {
    let read = |attributes: &[u8]| {
        read(PayloadType::CONFIGURATION, &[&[2, 9, 9, 9][..], attributes].concat()).map(|payload| match payload {
            Payload::Configuration(value) => {
                value.attributes.into_iter().map(|a| (a.kind.0, a.value)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(read(&[]), Ok(vec![]));
    assert_eq!(read(&[0, 1, 0, 0, 0x80, 5, 0, 2, 7, 7]), Ok(vec![(1, vec![]), (5, vec![7, 7])]));
    assert!(read(&[0, 1, 0]).is_err());
    assert!(read(&[0, 1, 0, 1]).is_err());
    assert!(read(&[0, 1, 255, 255, 1]).is_err());
}

#[test]
fn v_23_identities_of_every_type_and_length_are_compared_and_never_trusted() {
    for kind in 0..=255_u8 {
        for length in [0, 1, 3, 4, 5, 15, 16, 17, 255, 256, 512, 65_000] {
            let body = [&[kind, 0, 0, 0][..], &vec![b'a'; length]].concat();
            let Ok(Payload::IdentificationResponder(read)) = read(PayloadType::IDENTIFICATION_RESPONDER, &body) else {
                panic!("type {kind}, {length} octets")
            };
            assert_eq!(read.body(), body);
            let identity = read.identity();
            assert_eq!(Identification::of(&identity), read);
            assert_eq!(matches!(identity, Identity::Ipv4(_)), kind == 1 && length == 4);
            assert_eq!(matches!(identity, Identity::Ipv6(_)), kind == 5 && length == 16);
            assert!(identity.to_string().len() < 600);
        }
    }
    let not_text = Identification { kind: IdType::FQDN, reserved: [0; 3], data: vec![0xff, 0xfe] };
    assert_eq!(not_text.identity(), Identity::Other(2, vec![0xff, 0xfe]));
}

#[test]
fn k2_032_and_k2_033_a_cookie_has_1_to_64_octets_and_a_wanted_group_exactly_two() {
    let notified = |kind, data: &[u8]| SaInitNotified { notifies: vec![notify(kind, data)] };
    for length in 0..100 {
        let cookie = vec![1; length];
        let expected = (1..=64).contains(&length).then_some(cookie.as_slice());
        assert_eq!(notified(NotifyType::COOKIE, &cookie).cookie(), expected);
        let group = notified(NotifyType::INVALID_KE_PAYLOAD, &cookie).wanted_group();
        assert_eq!(group, (length == 2).then_some(0x0101));
    }
    assert_eq!(notified(NotifyType::COOKIE, &[1; 8]).error(), None);
}

#[test]
fn v_11_a_rekeyed_child_is_named_by_esp_or_ah_and_four_octets() {
    let named = |protocol: u8, spi: &[u8]| {
        let mut all = parts(&rekey_child());
        let body = [&[protocol, u8::try_from(spi.len()).unwrap(), 0x40, 9], spi].concat();
        all[0] = (PayloadType::NOTIFY, body);
        CreateChildRequest::parse(&inner(&chained(&all))).map(|request| match request.kind {
            CreateChildKind::RekeyChild { rekeyed, .. } => rekeyed,
            other => panic!("{other:?}"),
        })
    };
    for protocol in 0..=255_u8 {
        let expected = match protocol {
            2 => Some(ChildProtocol::Ah),
            3 => Some(ChildProtocol::Esp),
            _ => None,
        };
        let expected = expected.map(|protocol| RekeyedSa { protocol, spi: 0x0102_0304 });
        assert_eq!(named(protocol, &[1, 2, 3, 4]).ok(), expected, "{protocol}");
    }
    for length in (0..=20).filter(|length| *length != 4) {
        assert!(named(3, &vec![1; length]).is_err(), "{length}");
    }
}

#[test]
fn v_11_a_request_for_an_ike_sa_names_no_child() {
    let mut all = parts(&rekey_ike());
    all.push(parts(&rekey_child())[0].clone());
    let verdict = CreateChildRequest::parse(&inner(&chained(&all)));
    assert_eq!(verdict, Err(MessageError::Missing(PayloadType::TRAFFIC_SELECTOR_INITIATOR)));
}

#[test]
fn v_11_proposals_of_another_protocol_do_not_rekey_an_ike_sa() {
    let mut all = parts(&rekey_ike());
    all[0] = parts(&rekey_child())[1].clone();
    let verdict = CreateChildRequest::parse(&inner(&chained(&all)));
    assert_eq!(verdict, Err(MessageError::Missing(PayloadType::TRAFFIC_SELECTOR_INITIATOR)));
    all[0] = parts(&sa_init_request().contents().unwrap())[1].clone();
    assert!(matches!(CreateChildRequest::parse(&inner(&chained(&all))), Err(MessageError::Malformed(_))));
}

#[test]
fn nothing_protected_can_be_an_sa_init_response() {
    use crate::ike::wire::chain::Protected;
    let contents = sa_init_accepted().contents().unwrap();
    let protected = Protected { first_inner: PayloadType::NOTIFY, fragment: None, sealed_at: 32, sealed: &[] };
    let message = Outer { protected: Some(protected), ..outer(&contents) };
    assert_eq!(SaInitResponse::parse(&message), Err(MessageError::Unexpected(PayloadType::ENCRYPTED)));
}

#[test]
fn k2_070_certificates_and_their_requests_are_passed_over() {
    for (sample, kind) in [
        (sa_init_accepted().contents(), PayloadType::CERTIFICATE_REQUEST),
        (auth_accepted().contents(), PayloadType::CERTIFICATE),
    ] {
        let mut all = parts(&sample.unwrap());
        all.extend([
            (kind, vec![4, 1]),
            (kind, vec![]),
            (PayloadType::VENDOR_ID, vec![]),
            (PayloadType::VENDOR_ID, vec![]),
        ]);
        let contents = chained(&all);
        if kind == PayloadType::CERTIFICATE {
            assert_eq!(AuthResponse::parse(&inner(&contents)), Ok(auth_accepted()));
        } else {
            assert_eq!(SaInitResponse::parse(&outer(&contents)), Ok(sa_init_accepted()));
        }
    }
}

#[test]
fn k2_105_an_informational_message_may_be_empty_or_hold_unknown_payloads() {
    let empty = chained(&[]);
    assert_eq!(Informational::parse(&inner(&empty)), Ok(Informational::default()));
    assert_eq!(Informational::default().contents().unwrap(), empty);
    let odd = chained(&[(PayloadType(200), vec![1]), (PayloadType(13), vec![])]);
    assert_eq!(Informational::parse(&inner(&odd)), Ok(Informational::default()));
}
