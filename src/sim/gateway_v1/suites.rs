//! Attributes of transforms (RFC 2409 appendix A, RFC 2407 §4.4 and §4.5, RFC 4868, RFC 4106, RFC 3947 §5), and the choice among them.

use std::time::Duration;

use crate::crypto::cipher::AesKey;
use crate::sa::suite::{Aead, Cbc, Group, IkeSuite, Integrity, Prf, Protection};

use super::NatDialect;
use super::octets::{Attribute, Proposal, SecurityAssociation, Transform};
use super::registry::{phase_1, phase_2};

/// Authentication with a pre-shared key (RFC 2409 appendix A).
pub(super) const PRE_SHARED_KEY: u64 = 1;
/// The same with XAUTH of the initiator behind it (draft-beaulieu-ike-xauth-02 §5).
pub(super) const XAUTH_PRE_SHARED: u64 = 65001;

pub(super) fn group_number(group: Group) -> u16 {
    match group {
        Group::Modp1024 => 2,
        Group::Modp1536 => 5,
        Group::Modp2048 => 14,
        Group::Modp3072 => 15,
        Group::Modp4096 => 16,
        Group::Ecp256 => 19,
        Group::Ecp384 => 20,
        Group::Ecp521 => 21,
        Group::Curve25519 => 31,
    }
}

fn bits(key: AesKey) -> u64 {
    key.len() as u64 * 8
}

fn number(transform: &Transform, kind: u16) -> Option<u64> {
    let mut of_kind = transform.attributes.iter().filter(|attribute| attribute.kind == kind);
    let number = of_kind.next()?.number();
    if of_kind.next().is_some() { None } else { number }
}

/// The cipher that an IKE suite's messages are encrypted with; IKEv1 knows only CBC.
pub(super) fn cipher(suite: IkeSuite) -> Cbc {
    match suite.protection {
        Protection::CbcHmac { encryption, .. } => encryption,
        Protection::Aead(_) => panic!("no AEAD in phase 1"),
    }
}

fn holds_ike(transform: &Transform, suite: IkeSuite) -> bool {
    let (encryption, key) = match cipher(suite) {
        Cbc::Aes(key) => (7, Some(bits(key))),
        Cbc::TripleDes => (5, None),
    };
    let hash = match suite.prf {
        Prf::HmacSha1 => 2,
        Prf::HmacSha256 => 4,
        Prf::HmacSha384 => 5,
        Prf::HmacSha512 => 6,
    };
    transform.id == 1
        && number(transform, phase_1::ENCRYPTION) == Some(encryption)
        && number(transform, phase_1::KEY_LENGTH) == key
        && number(transform, phase_1::HASH) == Some(hash)
        && number(transform, phase_1::GROUP) == Some(u64::from(group_number(suite.group)))
}

/// What was chosen for the ISAKMP SA.
pub(super) struct ChosenIke {
    pub(super) suite: IkeSuite,
    pub(super) xauth: bool,
    pub(super) answer: SecurityAssociation,
    pub(super) lifetime: Option<Duration>,
}

/// The first of `accepted` that some transform is, with the authentication method that the gateway wants.
pub(super) fn choose_ike(offer: &SecurityAssociation, accepted: &[IkeSuite], xauth: bool) -> Option<ChosenIke> {
    let [proposal] = offer.proposals.as_slice() else { return None };
    if offer.doi != 1 || offer.situation != 1 || proposal.protocol != 1 {
        return None;
    }
    let method = if xauth { XAUTH_PRE_SHARED } else { PRE_SHARED_KEY };
    accepted.iter().find_map(|suite| {
        let transform = proposal.transforms.iter().find(|transform| {
            holds_ike(transform, *suite) && number(transform, phase_1::AUTHENTICATION) == Some(method)
        })?;
        let answer = Proposal { transforms: vec![transform.clone()], ..proposal.clone() };
        Some(ChosenIke {
            suite: *suite,
            xauth,
            answer: SecurityAssociation::ipsec(vec![answer]),
            lifetime: seconds(&transform.attributes, phase_1::LIFE_TYPE, phase_1::LIFE_DURATION),
        })
    })
}

/// The duration in seconds among pairs of life type and duration (RFC 2407 §4.5).
fn seconds(attributes: &[Attribute], life_type: u16, life_duration: u16) -> Option<Duration> {
    attributes.windows(2).find_map(|pair| {
        let is_seconds = pair[0].kind == life_type && pair[0].number() == Some(1) && pair[1].kind == life_duration;
        is_seconds.then(|| pair[1].number().map(Duration::from_secs)).flatten()
    })
}

fn holds_esp(transform: &Transform, protection: Protection, esn: bool) -> bool {
    let (id, key, integrity) = match protection {
        Protection::Aead(Aead::AesGcm(key, icv)) => {
            let id = match icv.len() {
                8 => 18,
                12 => 19,
                _ => 20,
            };
            (id, Some(bits(key)), None)
        }
        Protection::Aead(Aead::ChaCha20Poly1305) => panic!("no ChaCha20-Poly1305 in the IPsec DOI"),
        Protection::CbcHmac { encryption, integrity } => {
            let (id, key) = match encryption {
                Cbc::Aes(key) => (12, Some(bits(key))),
                Cbc::TripleDes => (3, None),
            };
            (id, key, Some(integrity_number(integrity)))
        }
    };
    transform.id == id
        && number(transform, phase_2::KEY_LENGTH) == key
        && number(transform, phase_2::INTEGRITY) == integrity
        && number(transform, phase_2::ESN).unwrap_or(0) == u64::from(esn)
}

fn integrity_number(integrity: Integrity) -> u64 {
    match integrity {
        Integrity::HmacSha1_96 => 2,
        Integrity::HmacSha256_96 | Integrity::HmacSha256_128 => 5,
        Integrity::HmacSha384_192 => 6,
        Integrity::HmacSha512_256 => 7,
    }
}

/// What was chosen for a child.
pub(super) struct ChosenEsp {
    pub(super) protection: Protection,
    pub(super) esn: bool,
    /// Without our SPI.
    pub(super) answer: Proposal,
    pub(super) lifetime: Option<Duration>,
    pub(super) spi: u32,
}

/// Encapsulation in UDP in tunnel mode, as the dialect calls it.
pub(super) fn tunnel_in_udp(dialect: NatDialect) -> u16 {
    match dialect {
        NatDialect::Rfc => 3,
        NatDialect::Draft02 | NatDialect::Draft03 => 61443,
    }
}

/// The first of `accepted` that some transform is, with the encapsulation and the group that must be in it.
pub(super) fn choose_esp(
    offer: &SecurityAssociation,
    accepted: &[(Protection, bool)],
    encapsulation: u16,
    pfs: Option<Group>,
) -> Option<ChosenEsp> {
    if offer.doi != 1 || offer.situation != 1 {
        return None;
    }
    accepted.iter().find_map(|(protection, esn)| {
        let proposal = offer.proposals.iter().find(|proposal| proposal.protocol == 3)?;
        let transform = proposal.transforms.iter().find(|transform| {
            holds_esp(transform, *protection, *esn)
                && number(transform, phase_2::ENCAPSULATION) == Some(u64::from(encapsulation))
                && number(transform, phase_2::GROUP) == pfs.map(group_number).map(u64::from)
        })?;
        Some(ChosenEsp {
            protection: *protection,
            esn: *esn,
            answer: Proposal { transforms: vec![transform.clone()], ..proposal.clone() },
            lifetime: seconds(&transform.attributes, phase_2::LIFE_TYPE, phase_2::LIFE_DURATION),
            spi: u32::from_be_bytes(proposal.spi.as_slice().try_into().ok()?),
        })
    })
}

/// An offer of our own for a child, with one transform.
pub(super) fn offer_esp(
    (protection, esn): (Protection, bool),
    spi: u32,
    encapsulation: u16,
    pfs: Option<Group>,
    lifetime: Duration,
) -> SecurityAssociation {
    let mut attributes = vec![
        Attribute::short(phase_2::LIFE_TYPE, 1),
        Attribute::long(phase_2::LIFE_DURATION, &u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).to_be_bytes()),
        Attribute::short(phase_2::ENCAPSULATION, encapsulation),
    ];
    let key = match protection {
        Protection::Aead(Aead::AesGcm(key, _)) | Protection::CbcHmac { encryption: Cbc::Aes(key), .. } => Some(key),
        _ => None,
    };
    if let Some(key) = key {
        attributes.push(Attribute::short(phase_2::KEY_LENGTH, bits(key) as u16));
    }
    if let Protection::CbcHmac { integrity, .. } = protection {
        attributes.push(Attribute::short(phase_2::INTEGRITY, integrity_number(integrity) as u16));
    }
    if let Some(group) = pfs {
        attributes.push(Attribute::short(phase_2::GROUP, group_number(group)));
    }
    if esn {
        attributes.push(Attribute::short(phase_2::ESN, 1));
    }
    let ids = [3, 12, 18, 19, 20];
    let id = ids
        .into_iter()
        .find(|id| holds_esp(&Transform { number: 1, id: *id, attributes: attributes.clone() }, protection, esn));
    let transforms = vec![Transform { number: 1, id: id.expect("a protection of IKEv1"), attributes }];
    SecurityAssociation::ipsec(vec![Proposal { number: 1, protocol: 3, spi: spi.to_be_bytes().to_vec(), transforms }])
}
