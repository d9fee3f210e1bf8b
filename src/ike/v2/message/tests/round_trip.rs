//! What is written is read as it was, for every payload and every message.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::ike::v2::message::{MessageError, payload::parse_all, write_contents};
use crate::ike::wire::registry::IdType;

fn octets(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=most)
}

fn transforms() -> impl Strategy<Value = Vec<Transform>> {
    let one = (any::<u8>(), any::<u16>(), any::<Option<u16>>()).prop_map(|(kind, id, key_length)| Transform {
        kind: TransformType(kind),
        id,
        key_length,
        unknown_attribute: false,
    });
    prop::collection::vec(one, 0..8)
}

fn proposals() -> impl Strategy<Value = SecurityAssociation> {
    let kind = prop_oneof![
        Just((ProtocolId::IKE, 0_usize)),
        Just((ProtocolId::IKE, 8)),
        Just((ProtocolId::ESP, 4)),
        Just((ProtocolId::AH, 4)),
        (4..=255_u8, 0..20_usize).prop_map(|(protocol, size)| (ProtocolId(protocol), size)),
    ];
    prop::collection::vec((kind, any::<u8>(), transforms()), 1..5).prop_map(|proposals| {
        let numbered = (1..=255_u8).zip(proposals);
        let proposals = numbered.map(|(number, ((protocol, size), octet, transforms))| Proposal {
            number,
            protocol,
            spi: vec![octet; size],
            transforms,
        });
        SecurityAssociation { proposals: proposals.collect() }
    })
}

fn nonces() -> impl Strategy<Value = Nonce> {
    prop::collection::vec(any::<u8>(), 16..=256).prop_map(|octets| Nonce::new(octets).unwrap())
}

fn key_exchanges() -> impl Strategy<Value = KeyExchange> {
    (any::<u16>(), octets(600)).prop_map(|(group, data)| KeyExchange { group, data })
}

fn identifications() -> impl Strategy<Value = Identification> {
    (any::<u8>(), any::<[u8; 3]>(), octets(300)).prop_map(|(kind, reserved, data)| Identification {
        kind: IdType(kind),
        reserved,
        data,
    })
}

fn authentications() -> impl Strategy<Value = Authentication> {
    (any::<u8>(), octets(100)).prop_map(|(method, data)| Authentication { method: AuthMethod(method), data })
}

fn notifies_of(kinds: impl Strategy<Value = u16>) -> impl Strategy<Value = Notify> {
    (any::<u8>(), octets(16), kinds, octets(80)).prop_map(|(protocol, spi, kind, data)| Notify {
        protocol: ProtocolId(protocol),
        spi,
        kind: NotifyType(kind),
        data,
    })
}

fn status_lists() -> impl Strategy<Value = Vec<Notify>> {
    prop::collection::vec(notifies_of(16_400..=u16::MAX), 0..6)
}

fn deletes() -> impl Strategy<Value = Delete> {
    let children = prop::sample::select(vec![ProtocolId::ESP, ProtocolId::AH]);
    prop_oneof![
        Just(Delete::ike_sa()),
        (children, prop::collection::vec(any::<u32>(), 0..20)).prop_map(|(protocol, spis)| Delete { protocol, spis }),
    ]
}

fn traffic_selectors() -> impl Strategy<Value = TrafficSelectors> {
    let addresses = prop_oneof![
        any::<(u32, u32)>().prop_map(|(a, b)| (
            std::net::IpAddr::V4(Ipv4Addr::from_bits(a.min(b))),
            std::net::IpAddr::V4(Ipv4Addr::from_bits(a.max(b)))
        )),
        any::<(u128, u128)>().prop_map(|(a, b)| (
            std::net::IpAddr::V6(Ipv6Addr::from_bits(a.min(b))),
            std::net::IpAddr::V6(Ipv6Addr::from_bits(a.max(b)))
        )),
    ];
    let ports = prop_oneof![Just((65535, 0)), any::<(u16, u16)>().prop_map(|(a, b)| (a.min(b), a.max(b)))];
    let one = (addresses, any::<u8>(), ports)
        .prop_map(|((start, end), protocol, (first, last))| Selector::new(start, end, protocol, first, last).unwrap());
    prop::collection::vec(one, 0..10).prop_map(TrafficSelectors)
}

fn configurations() -> impl Strategy<Value = Configuration> {
    let attribute =
        (0..0x8000_u16, octets(40)).prop_map(|(kind, value)| Attribute { kind: ConfigAttributeType(kind), value });
    (any::<u8>(), prop::collection::vec(attribute, 0..10))
        .prop_map(|(kind, attributes)| Configuration { kind: CpType(kind), attributes })
}

fn payloads() -> impl Strategy<Value = Payload> {
    prop_oneof![
        proposals().prop_map(Payload::SecurityAssociation),
        key_exchanges().prop_map(Payload::KeyExchange),
        identifications().prop_map(Payload::IdentificationInitiator),
        identifications().prop_map(Payload::IdentificationResponder),
        octets(80).prop_map(Payload::Certificate),
        octets(80).prop_map(Payload::CertificateRequest),
        authentications().prop_map(Payload::Authentication),
        nonces().prop_map(Payload::Nonce),
        notifies_of(any::<u16>()).prop_map(Payload::Notify),
        deletes().prop_map(Payload::Delete),
        octets(80).prop_map(Payload::VendorId),
        traffic_selectors().prop_map(Payload::TrafficSelectorInitiator),
        traffic_selectors().prop_map(Payload::TrafficSelectorResponder),
        configurations().prop_map(Payload::Configuration),
        octets(80).prop_map(Payload::Eap),
    ]
}

fn sa_init_requests() -> impl Strategy<Value = SaInitRequest> {
    (prop::option::of(octets(64)), proposals(), key_exchanges(), nonces(), status_lists()).prop_map(
        |(cookie, security_association, key_exchange, nonce, notifies)| SaInitRequest {
            cookie,
            security_association,
            key_exchange,
            nonce,
            notifies,
        },
    )
}

fn auth_requests() -> impl Strategy<Value = AuthRequest> {
    (
        (identifications(), prop::option::of(identifications()), authentications()),
        prop::option::of(configurations()),
        (proposals(), traffic_selectors(), traffic_selectors()),
        status_lists(),
    )
        .prop_map(|((initiator, responder, authentication), configuration, child, notifies)| AuthRequest {
            initiator,
            responder,
            authentication,
            configuration,
            security_association: child.0,
            traffic_selector_initiator: child.1,
            traffic_selector_responder: child.2,
            notifies,
        })
}

fn auth_proofs() -> impl Strategy<Value = AuthResponse> {
    auth_requests().prop_map(|request| {
        AuthResponse::Proof(Box::new(AuthProof {
            responder: request.initiator,
            authentication: request.authentication,
            configuration: request.configuration,
            child: ChildAnswer::Accepted {
                security_association: request.security_association,
                traffic_selector_initiator: request.traffic_selector_initiator,
                traffic_selector_responder: request.traffic_selector_responder,
            },
            notifies: request.notifies,
        }))
    })
}

proptest! {
    #[test]
    fn k2_010_payloads_of_every_kind_are_read_as_they_were_written(list in prop::collection::vec(payloads(), 0..12)) {
        let contents = write_contents(&list).unwrap();
        prop_assert_eq!(parse_all(&inner(&contents)), Ok(list));
    }

    #[test]
    fn an_sa_init_request_is_read_as_it_was_written(request in sa_init_requests()) {
        let contents = request.contents().unwrap();
        prop_assert_eq!(SaInitRequest::parse(&inner(&contents)), Ok(request));
    }

    #[test]
    fn an_sa_init_response_is_read_as_it_was_written(request in sa_init_requests()) {
        let SaInitRequest { security_association, key_exchange, nonce, notifies, .. } = request;
        let accepted = SaInitAccepted { security_association, key_exchange, nonce, notifies };
        let response = SaInitResponse::Accepted(Box::new(accepted));
        let contents = response.contents().unwrap();
        prop_assert_eq!(SaInitResponse::parse(&outer(&contents)), Ok(response));
    }

    #[test]
    fn an_sa_init_refusal_is_read_as_it_was_written(notifies in prop::collection::vec(notifies_of(any::<u16>()), 1..8)) {
        let response = SaInitResponse::Notified(SaInitNotified { notifies });
        let contents = response.contents().unwrap();
        prop_assert_eq!(SaInitResponse::parse(&outer(&contents)), Ok(response));
    }

    #[test]
    fn an_auth_request_is_read_as_it_was_written(request in auth_requests()) {
        let contents = request.contents().unwrap();
        prop_assert_eq!(AuthRequest::parse(&inner(&contents)), Ok(request));
    }

    #[test]
    fn an_auth_response_is_read_as_it_was_written(response in auth_proofs()) {
        let contents = response.contents().unwrap();
        prop_assert_eq!(AuthResponse::parse(&inner(&contents)), Ok(response));
    }

    #[test]
    fn an_informational_message_is_read_as_it_was_written(
        notifies in prop::collection::vec(notifies_of(any::<u16>()), 0..6),
        deletes in prop::collection::vec(deletes(), 0..6),
        configuration in prop::option::of(configurations()),
    ) {
        let message = Informational { notifies, deletes, configuration };
        let contents = message.contents().unwrap();
        prop_assert_eq!(Informational::parse(&inner(&contents)), Ok(message));
    }

    #[test]
    fn any_octets_at_all_are_read_or_refused(first in any::<u8>(), octets in octets(400)) {
        super::damage::read_as_everything(first, &octets);
    }
}

#[test]
fn k2_007_what_was_only_skipped_is_not_written() {
    let unknown = Payload::Unknown { kind: PayloadType(99), critical: false };
    assert!(write_contents(&[unknown]).is_err());
    assert_eq!(MessageError::UnsupportedCritical(99).answer(), notify(NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, &[99]));
}
