//! Samples that the offer tests share: SA payloads put together by hand.

mod accept;
mod lifetimes;
mod phase1;
mod phase2;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::crypto::cipher::GcmIcv;
use crate::ike::v1::vendor::NatTraversal;
use crate::sa::lifetime::Lifetime;
use crate::sa::spi::{InboundSpi, OutboundSpi};
use crate::sa::suite::{
    Aead, Cbc, EsnOffer, EspOffer, EspSuite, IkeOffer, IkeSuite, Integrity, Prf, Protection, ProtectionOffer,
};

/// Attributes as type and value, short.
type Attributes = Vec<(u16, u16)>;

/// Number, ID, attributes as they travel.
type RawTransform = (u8, u8, Vec<u8>);

/// Number, protocol, SPI, transforms.
type RawProposal = (u8, u8, Vec<u8>, Vec<RawTransform>);

fn short(attributes: &[(u16, u16)]) -> Vec<u8> {
    attributes.iter().flat_map(|(kind, value)| [(0x8000 | kind).to_be_bytes(), value.to_be_bytes()].concat()).collect()
}

fn long(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

fn body(proposals: &[RawProposal]) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 1, 0, 0, 0, 1];
    for (place, (number, protocol, spi, transforms)) in proposals.iter().enumerate() {
        let mut inner = vec![*number, *protocol, spi.len() as u8, transforms.len() as u8];
        inner.extend(spi);
        for (place, (number, id, attributes)) in transforms.iter().enumerate() {
            let more = if place + 1 < transforms.len() { 3 } else { 0 };
            inner.extend([more, 0]);
            inner.extend((attributes.len() as u16 + 8).to_be_bytes());
            inner.extend([*number, *id, 0, 0]);
            inner.extend(attributes);
        }
        body.extend([if place + 1 < proposals.len() { 2 } else { 0 }, 0]);
        body.extend((inner.len() as u16 + 4).to_be_bytes());
        body.extend(inner);
    }
    body
}

/// Every number that means something somewhere, its neighbours, and the edges.
fn numbers() -> impl Iterator<Item = u16> {
    (0..=1200).chain(0x7ff0..=0x8010).chain(61_430..=61_450).chain(64_990..=65_535)
}

fn ike_offers() -> Vec<IkeOffer> {
    vec![
        IkeOffer {
            protection: ProtectionOffer::CbcHmac {
                encryption: vec![Cbc::Aes(AesKey::Aes256), Cbc::Aes(AesKey::Aes128)],
                integrity: vec![Integrity::HmacSha256_128],
            },
            prfs: vec![Prf::HmacSha256, Prf::HmacSha512],
            groups: vec![Group::Modp2048, Group::Ecp256],
        },
        IkeOffer {
            protection: ProtectionOffer::CbcHmac {
                encryption: vec![Cbc::TripleDes],
                integrity: vec![Integrity::HmacSha1_96],
            },
            prfs: vec![Prf::HmacSha1],
            groups: vec![Group::Modp1024],
        },
    ]
}

fn esp_offers() -> Vec<EspOffer> {
    vec![
        EspOffer {
            protection: ProtectionOffer::CbcHmac {
                encryption: vec![Cbc::Aes(AesKey::Aes256), Cbc::TripleDes],
                integrity: vec![Integrity::HmacSha256_128, Integrity::HmacSha1_96],
            },
            pfs: vec![Group::Modp1536],
            esn: EsnOffer::Without,
        },
        EspOffer {
            protection: ProtectionOffer::Aead(vec![
                Aead::AesGcm(AesKey::Aes128, GcmIcv::Sixteen),
                Aead::ChaCha20Poly1305,
            ]),
            pfs: vec![],
            esn: EsnOffer::Either,
        },
    ]
}

fn terms() -> Phase2Terms {
    Phase2Terms {
        spi: InboundSpi::new(0xc001_0203).unwrap(),
        pfs: None,
        lifetime: Lifetime { time: Some(Duration::from_secs(3600)), bytes: None, packets: None },
        nat_traversal: NatTraversal::Rfc3947,
    }
}

/// AES-256 with SHA2-256 in the first proposal of `esp_offers`.
fn esp_attributes() -> Attributes {
    vec![(6, 256), (5, 5), (4, 3)]
}

fn theirs() -> OutboundSpi {
    OutboundSpi::new(0x0102_0304).unwrap()
}

fn esp(number: u8, id: u8, attributes: &[u8]) -> RawProposal {
    (number, 3, vec![1, 2, 3, 4], vec![(1, id, attributes.to_vec())])
}

const fn aes_sha256() -> EspSuite {
    let protection = Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 };
    EspSuite { protection, esn: false }
}

proptest! {
    #[test]
    fn any_octets_are_an_answer_or_refused(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let domained = [&[0, 0, 0, 1, 0, 0, 0, 1][..], &octets].concat();
        for body in [octets.as_slice(), &domained] {
            prop_assert!(phase1_choice(&ike_offers(), Method::PreSharedKey, None, body).is_err());
            prop_assert!(phase2_choice(&esp_offers(), terms(), body).is_err());
            prop_assert!(phase2_accept(&esp_offers(), terms(), body).is_err());
        }
    }

    #[test]
    fn an_answer_with_any_octet_changed_is_an_answer_or_refused(
        place in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut ike = body(&[(1, 1, vec![], vec![(1, 1, short(&[(1, 7), (14, 256), (2, 4), (4, 14), (3, 1)]))])]);
        let at = place.index(ike.len());
        ike[at] = value;
        if let Ok(choice) = phase1_choice(&ike_offers(), Method::PreSharedKey, None, &ike) {
            prop_assert_eq!(choice.lifetime, None);
        }
        let mut child = body(&[esp(1, 12, &short(&esp_attributes()))]);
        let at = place.index(child.len());
        child[at] = value;
        drop(phase2_choice(&esp_offers(), terms(), &child));
        drop(phase2_accept(&esp_offers(), terms(), &child));
    }
}
