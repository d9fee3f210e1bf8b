//! One message of each kind, written by vpnd's own writer: whole datagrams, and payloads behind the kind of the first.

use vpnd::{
    ike::{
        identity::Identity,
        v2::message::{
            Attribute, AuthProof, AuthRequest, AuthResponse, Authentication, ChildAnswer, Configuration, Delete,
            Identification, Informational, KeyExchange, Nonce, Payload, Proposal, SaInitAccepted, SaInitNotified,
            SaInitRequest, SaInitResponse, SecurityAssociation, TrafficSelectors, Transform, notify::Notify,
            write_contents,
        },
        wire::{
            chain::{Contents, FragmentNumber, protected_prefix},
            header::{Flags, Header},
            registry::{
                AuthMethod, ConfigAttributeType, CpType, ExchangeType, NotifyType, PayloadType, ProtocolId,
                TransformType, transform,
            },
        },
    },
    sa::{selector::Selector, spi::IkeSpi},
};

use crate::Input;

pub fn inputs() -> Vec<Input> {
    let request = sa_init_request();
    let initiator = IkeSpi::new([0x1a; 8]).expect("not zero");
    let contents = |contents: Result<Contents, _>| contents.expect("the samples can be written");
    vec![
        ("datagram_sa_init_request", request.message(initiator).expect("the samples can be written")),
        ("datagram_sa_init_accepted", datagram(&contents(sa_init_accepted().contents()))),
        ("datagram_sa_init_notified", datagram(&contents(sa_init_notified().contents()))),
        ("datagram_sk", protected(None)),
        ("datagram_skf", protected(Some(FragmentNumber { number: 2, total: 3 }))),
        ("payloads_sa_init_request", payloads(contents(request.contents()))),
        ("payloads_sa_init_accepted", payloads(contents(sa_init_accepted().contents()))),
        ("payloads_auth_request", payloads(contents(auth_request().contents()))),
        ("payloads_auth_accepted", payloads(contents(auth_response(accepted_child()).contents()))),
        ("payloads_auth_child_refused", payloads(contents(auth_response(refused_child()).contents()))),
        ("payloads_auth_refused", payloads(contents(auth_refused().contents()))),
        ("payloads_informational", payloads(contents(informational().contents()))),
        ("payloads_rekey_child", payloads(rekey_child())),
        ("payloads_rekey_ike", payloads(rekey_ike())),
        ("payloads_skipped", payloads(skipped())),
    ]
}

fn payloads(contents: Contents) -> Vec<u8> {
    [vec![contents.first.0], contents.octets].concat()
}

fn header() -> Header {
    Header {
        initiator_spi: IkeSpi::new([0x1a; 8]).expect("not zero"),
        responder_spi: IkeSpi::new([0x2b; 8]),
        next_payload: PayloadType::NONE,
        major: 2,
        minor: 0,
        exchange: ExchangeType::IKE_SA_INIT,
        flags: Flags { initiator: false, response: true },
        message_id: 0,
    }
}

fn datagram(contents: &Contents) -> Vec<u8> {
    header().message(contents).expect("the samples can be written")
}

fn protected(fragment: Option<FragmentNumber>) -> Vec<u8> {
    let header = Header { exchange: ExchangeType::INFORMATIONAL, message_id: 2, ..header() };
    let mut message = protected_prefix(&header, PayloadType::NOTIFY, fragment, 48).expect("the samples can be written");
    message.extend_from_slice(&[0x77; 48]);
    message
}

fn notify(kind: NotifyType, data: &[u8]) -> Notify {
    Notify::new(kind).with_data(data.to_vec())
}

fn offer(protocol: ProtocolId, spi: &[u8]) -> SecurityAssociation {
    let aes = Transform::new(TransformType::ENCRYPTION, transform::encryption::AES_CBC).with_key_length(256);
    let gcm = Transform::new(TransformType::ENCRYPTION, transform::encryption::AES_GCM_16).with_key_length(128);
    let chacha = Transform::new(TransformType::ENCRYPTION, transform::encryption::CHACHA20_POLY1305);
    let integrity = Transform::new(TransformType::INTEGRITY, transform::integrity::HMAC_SHA2_256_128);
    let rest = if protocol == ProtocolId::IKE {
        vec![
            Transform::new(TransformType::PSEUDO_RANDOM_FUNCTION, transform::prf::HMAC_SHA2_256),
            Transform::new(TransformType::KEY_EXCHANGE, transform::group::CURVE25519),
            Transform::new(TransformType::KEY_EXCHANGE, transform::group::ECP_256),
        ]
    } else {
        vec![Transform::new(TransformType::SEQUENCE_NUMBERS, transform::sequence_numbers::WITHOUT_ESN)]
    };
    let proposal = |number, first: &[Transform]| Proposal {
        number,
        protocol,
        spi: spi.to_vec(),
        transforms: [first, &rest].concat(),
    };
    SecurityAssociation { proposals: vec![proposal(1, &[aes, integrity]), proposal(2, &[gcm, chacha])] }
}

fn chosen(offer: SecurityAssociation) -> SecurityAssociation {
    SecurityAssociation { proposals: offer.proposals.into_iter().skip(1).collect() }
}

fn nonce(octet: u8) -> Nonce {
    Nonce::new(vec![octet; 32]).expect("32 octets are a nonce")
}

fn sa_init_request() -> SaInitRequest {
    SaInitRequest {
        cookie: Some(vec![0xcc; 16]),
        security_association: offer(ProtocolId::IKE, &[]),
        key_exchange: KeyExchange { group: transform::group::CURVE25519, data: vec![9; 32] },
        nonce: nonce(1),
        notifies: vec![
            notify(NotifyType::NAT_DETECTION_SOURCE_IP, &[1; 20]),
            notify(NotifyType::NAT_DETECTION_DESTINATION_IP, &[2; 20]),
            notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, &[]),
        ],
    }
}

fn sa_init_accepted() -> SaInitResponse {
    let SaInitRequest { security_association, key_exchange, notifies, .. } = sa_init_request();
    SaInitResponse::Accepted(Box::new(SaInitAccepted {
        security_association: chosen(security_association),
        key_exchange,
        nonce: nonce(2),
        notifies,
    }))
}

fn sa_init_notified() -> SaInitResponse {
    SaInitResponse::Notified(SaInitNotified {
        notifies: vec![
            notify(NotifyType::COOKIE, &[5; 8]),
            notify(NotifyType::INVALID_KE_PAYLOAD, &[0, 19]),
            notify(NotifyType::NO_PROPOSAL_CHOSEN, &[]),
        ],
    })
}

fn selectors() -> (TrafficSelectors, TrafficSelectors) {
    let office = Selector::from_prefix([10, 250, 0, 0].into(), 24).expect("a prefix of IPv4");
    let web = Selector::new([10, 250, 1, 1].into(), [10, 250, 1, 9].into(), 6, 80, 443).expect("in order");
    (TrafficSelectors(vec![Selector::any_v4(), Selector::any_v6()]), TrafficSelectors(vec![office, web]))
}

fn configuration(kind: CpType) -> Configuration {
    let attribute = |kind, value: &[u8]| Attribute { kind, value: value.to_vec() };
    Configuration {
        kind,
        attributes: vec![
            attribute(ConfigAttributeType::INTERNAL_IP4_ADDRESS, &[10, 200, 0, 7]),
            attribute(ConfigAttributeType::INTERNAL_IP4_DNS, &[]),
            attribute(ConfigAttributeType::INTERNAL_IP6_ADDRESS, &[0xfd; 17]),
        ],
    }
}

fn authentication() -> Authentication {
    Authentication { method: AuthMethod::SHARED_KEY, data: vec![0xa5; 32] }
}

fn auth_request() -> AuthRequest {
    let (initiator, responder) = selectors();
    AuthRequest {
        initiator: Identification::of(&Identity::Email("replica@example".into())),
        responder: Some(Identification::of(&Identity::Ipv4([192, 0, 2, 1].into()))),
        authentication: authentication(),
        configuration: Some(configuration(CpType::CFG_REQUEST)),
        security_association: offer(ProtocolId::ESP, &[0xc0, 1, 2, 3]),
        traffic_selector_initiator: initiator,
        traffic_selector_responder: responder,
        notifies: vec![
            notify(NotifyType::INITIAL_CONTACT, &[]),
            notify(NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED, &[]),
            notify(NotifyType::MOBIKE_SUPPORTED, &[]),
        ],
    }
}

fn accepted_child() -> ChildAnswer {
    let (initiator, responder) = selectors();
    ChildAnswer::Accepted {
        security_association: chosen(offer(ProtocolId::ESP, &[0xc4, 1, 2, 3])),
        traffic_selector_initiator: initiator,
        traffic_selector_responder: responder,
    }
}

fn refused_child() -> ChildAnswer {
    ChildAnswer::Refused { error: notify(NotifyType::TS_UNACCEPTABLE, &[]) }
}

fn auth_response(child: ChildAnswer) -> AuthResponse {
    let notifies = match &child {
        ChildAnswer::Accepted { .. } => vec![notify(NotifyType::AUTH_LIFETIME, &[0, 0, 14, 16])],
        ChildAnswer::Refused { error } => vec![error.clone()],
    };
    AuthResponse::Proof(Box::new(AuthProof {
        responder: Identification::of(&Identity::Fqdn("gateway.example".into())),
        authentication: authentication(),
        configuration: Some(configuration(CpType::CFG_REPLY)),
        child,
        notifies,
    }))
}

fn auth_refused() -> AuthResponse {
    let error = notify(NotifyType::AUTHENTICATION_FAILED, &[]);
    AuthResponse::Refused { error: error.clone(), notifies: vec![error] }
}

fn informational() -> Informational {
    Informational {
        notifies: vec![notify(NotifyType::COOKIE2, &[3; 16])],
        deletes: vec![Delete { protocol: ProtocolId::ESP, spis: vec![0xc001_0203, 0xc001_0204] }, Delete::ike_sa()],
        configuration: Some(configuration(CpType::CFG_SET)),
    }
}

fn rekey_child() -> Contents {
    let (initiator, responder) = selectors();
    let rekeyed = Notify { protocol: ProtocolId::ESP, spi: vec![0xc0, 1, 2, 3], ..Notify::new(NotifyType::REKEY_SA) };
    write_contents(&[
        Payload::Notify(rekeyed),
        Payload::SecurityAssociation(offer(ProtocolId::ESP, &[0xc0, 9, 9, 9])),
        Payload::Nonce(nonce(3)),
        Payload::KeyExchange(KeyExchange { group: transform::group::ECP_256, data: vec![4; 64] }),
        Payload::TrafficSelectorInitiator(initiator),
        Payload::TrafficSelectorResponder(responder),
    ])
    .expect("the samples can be written")
}

fn rekey_ike() -> Contents {
    write_contents(&[
        Payload::SecurityAssociation(offer(ProtocolId::IKE, &[6; 8])),
        Payload::Nonce(nonce(4)),
        Payload::KeyExchange(KeyExchange { group: transform::group::CURVE25519, data: vec![4; 32] }),
    ])
    .expect("the samples can be written")
}

fn skipped() -> Contents {
    write_contents(&[
        Payload::CertificateRequest(vec![4, 1, 2, 3]),
        Payload::Certificate(vec![4, 0x30]),
        Payload::VendorId(b"a vendor".to_vec()),
        Payload::Eap(vec![1, 1, 0, 5, 1]),
    ])
    .expect("the samples can be written")
}
