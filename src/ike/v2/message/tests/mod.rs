//! Samples that the message tests share.

mod damage;
mod order;
mod payloads;
mod round_trip;
mod subsets;

use crate::ike::identity::Identity;
use crate::ike::v2::message::{
    Attribute, AuthProof, AuthRequest, AuthResponse, Authentication, ChildAnswer, Configuration, Delete,
    Identification, Informational, KeyExchange, Nonce, Payload, Proposal, SaInitAccepted, SaInitNotified,
    SaInitRequest, SaInitResponse, SecurityAssociation, TrafficSelectors, Transform, notify::Notify,
};
use crate::ike::wire::{
    chain::{Contents, Outer, RawPayload, write_payloads},
    registry::{
        AuthMethod, ConfigAttributeType, CpType, NotifyType, PayloadType, ProtocolId, TransformType, transform,
    },
};
use crate::sa::selector::Selector;

/// A payload as octets, to be put together wrongly.
type Part = (PayloadType, Vec<u8>);

fn parts(contents: &Contents) -> Vec<Part> {
    inner(contents).iter().map(|raw| (raw.kind, raw.body.to_vec())).collect()
}

fn chained(parts: &[Part]) -> Contents {
    write_payloads(
        parts,
        |part| part.0,
        |part, writer| {
            writer.octets(&part.1);
            Ok(())
        },
    )
    .unwrap()
}

fn inner(contents: &Contents) -> Vec<RawPayload<'_>> {
    crate::ike::wire::chain::parse_inner(contents.first, &contents.octets).unwrap()
}

fn outer(contents: &Contents) -> Outer<'_> {
    Outer { clear: inner(contents), protected: None }
}

fn notify(kind: NotifyType, data: &[u8]) -> Notify {
    Notify::new(kind).with_data(data.to_vec())
}

fn ike_proposals() -> SecurityAssociation {
    let aes = Transform::new(TransformType::ENCRYPTION, transform::encryption::AES_CBC).with_key_length(256);
    let gcm = Transform::new(TransformType::ENCRYPTION, transform::encryption::AES_GCM_16).with_key_length(128);
    let prf = Transform::new(TransformType::PSEUDO_RANDOM_FUNCTION, transform::prf::HMAC_SHA2_256);
    let integrity = Transform::new(TransformType::INTEGRITY, transform::integrity::HMAC_SHA2_256_128);
    let group = Transform::new(TransformType::KEY_EXCHANGE, transform::group::CURVE25519);
    let proposal = |number, transforms| Proposal { number, protocol: ProtocolId::IKE, spi: Vec::new(), transforms };
    SecurityAssociation {
        proposals: vec![proposal(1, vec![aes, prf, integrity, group]), proposal(2, vec![gcm, prf, group])],
    }
}

fn chosen(offer: SecurityAssociation) -> SecurityAssociation {
    SecurityAssociation { proposals: offer.proposals.into_iter().skip(1).collect() }
}

fn esp_proposals() -> SecurityAssociation {
    let gcm = Transform::new(TransformType::ENCRYPTION, transform::encryption::AES_GCM_16).with_key_length(256);
    let chacha = Transform::new(TransformType::ENCRYPTION, transform::encryption::CHACHA20_POLY1305);
    let esn = Transform::new(TransformType::SEQUENCE_NUMBERS, transform::sequence_numbers::WITHOUT_ESN);
    let proposal =
        |number, transforms| Proposal { number, protocol: ProtocolId::ESP, spi: vec![0xc0, 1, 2, 3], transforms };
    SecurityAssociation { proposals: vec![proposal(1, vec![gcm, esn]), proposal(2, vec![chacha, esn])] }
}

fn sa_init_request() -> SaInitRequest {
    SaInitRequest {
        cookie: Some(vec![0xcc; 20]),
        security_association: ike_proposals(),
        key_exchange: KeyExchange { group: 31, data: vec![0x11; 32] },
        nonce: Nonce::new(vec![0x22; 32]).unwrap(),
        notifies: vec![
            notify(NotifyType::NAT_DETECTION_SOURCE_IP, &[1; 20]),
            notify(NotifyType::NAT_DETECTION_DESTINATION_IP, &[2; 20]),
            notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, &[]),
        ],
    }
}

fn sa_init_accepted() -> SaInitResponse {
    let request = sa_init_request();
    SaInitResponse::Accepted(Box::new(SaInitAccepted {
        security_association: chosen(request.security_association),
        key_exchange: KeyExchange { group: 31, data: vec![0x33; 32] },
        nonce: Nonce::new(vec![0x44; 32]).unwrap(),
        notifies: request.notifies,
    }))
}

fn sa_init_notified() -> SaInitResponse {
    SaInitResponse::Notified(SaInitNotified {
        notifies: vec![notify(NotifyType::INVALID_KE_PAYLOAD, &[0, 14]), notify(NotifyType::COOKIE, &[9; 8])],
    })
}

fn selectors() -> (TrafficSelectors, TrafficSelectors) {
    let ours = vec![Selector::host("10.200.0.7".parse().unwrap()), Selector::any_v6()];
    let theirs = vec![Selector::from_prefix("10.250.0.0".parse().unwrap(), 24).unwrap()];
    (TrafficSelectors(ours), TrafficSelectors(theirs))
}

fn configuration(kind: CpType) -> Configuration {
    let value = |kind, value: &[u8]| Attribute { kind, value: value.to_vec() };
    Configuration {
        kind,
        attributes: vec![
            value(ConfigAttributeType::INTERNAL_IP4_ADDRESS, &[10, 200, 0, 7]),
            value(ConfigAttributeType::INTERNAL_IP4_DNS, &[]),
            value(ConfigAttributeType(20_000), &[1, 2, 3]),
        ],
    }
}

fn auth_request() -> AuthRequest {
    let (initiator, responder) = selectors();
    AuthRequest {
        initiator: Identification::of(&Identity::Fqdn("replica.example".into())),
        responder: Some(Identification::of(&Identity::Ipv4([192, 0, 2, 1].into()))),
        authentication: Authentication { method: AuthMethod::SHARED_KEY, data: vec![0x55; 32] },
        configuration: Some(configuration(CpType::CFG_REQUEST)),
        security_association: esp_proposals(),
        traffic_selector_initiator: initiator,
        traffic_selector_responder: responder,
        notifies: vec![
            notify(NotifyType::INITIAL_CONTACT, &[]),
            notify(NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED, &[]),
            notify(NotifyType::MOBIKE_SUPPORTED, &[]),
        ],
    }
}

fn auth_accepted() -> AuthResponse {
    let (initiator, responder) = selectors();
    AuthResponse::Proof(Box::new(AuthProof {
        responder: Identification::of(&Identity::Email("gate@example".into())),
        authentication: Authentication { method: AuthMethod::SHARED_KEY, data: vec![0x66; 32] },
        configuration: Some(configuration(CpType::CFG_REPLY)),
        child: ChildAnswer::Accepted {
            security_association: chosen(esp_proposals()),
            traffic_selector_initiator: initiator,
            traffic_selector_responder: responder,
        },
        notifies: vec![notify(NotifyType::AUTH_LIFETIME, &[0, 0, 14, 16])],
    }))
}

fn auth_child_refused() -> AuthResponse {
    let AuthResponse::Proof(proof) = auth_accepted() else { unreachable!() };
    let error = notify(NotifyType::TS_UNACCEPTABLE, &[]);
    let child = ChildAnswer::Refused { error: error.clone() };
    AuthResponse::Proof(Box::new(AuthProof { child, configuration: None, notifies: vec![error], ..*proof }))
}

fn informational() -> Informational {
    Informational {
        notifies: vec![notify(NotifyType::UPDATE_SA_ADDRESSES, &[]), notify(NotifyType::COOKIE2, &[7; 16])],
        deletes: vec![Delete { protocol: ProtocolId::ESP, spis: vec![0xc001_0203, 0xc001_0204] }, Delete::ike_sa()],
        configuration: Some(configuration(CpType::CFG_SET)),
    }
}

fn rekey_child() -> Contents {
    let (initiator, responder) = selectors();
    let rekeyed = Notify { protocol: ProtocolId::ESP, spi: vec![0xc0, 1, 2, 3], ..Notify::new(NotifyType::REKEY_SA) };
    crate::ike::v2::message::write_contents(&[
        Payload::Notify(rekeyed),
        Payload::SecurityAssociation(esp_proposals()),
        Payload::Nonce(Nonce::new(vec![1; 16]).unwrap()),
        Payload::KeyExchange(KeyExchange { group: 19, data: vec![4; 64] }),
        Payload::TrafficSelectorInitiator(initiator),
        Payload::TrafficSelectorResponder(responder),
    ])
    .unwrap()
}

fn rekey_ike() -> Contents {
    let mut offer = ike_proposals();
    offer.proposals.iter_mut().for_each(|proposal| proposal.spi = vec![9; 8]);
    crate::ike::v2::message::write_contents(&[
        Payload::SecurityAssociation(offer),
        Payload::Nonce(Nonce::new(vec![1; 16]).unwrap()),
        Payload::KeyExchange(KeyExchange { group: 31, data: vec![4; 32] }),
    ])
    .unwrap()
}
