//! Transform numbers of suites (IANA "IKEv2 Parameters"), written again from the registry.

use crate::sa::suite::{Aead, Cbc, Group, IkeSuite, Integrity, Prf, Protection};

use super::octets::Proposal;

const ENCR: u8 = 1;
const PRF: u8 = 2;
const INTEG: u8 = 3;
const DH: u8 = 4;
const ESN: u8 = 5;

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

fn protection_transforms(protection: Protection) -> Vec<(u8, u16, Option<u16>)> {
    let bits = |octets: usize| u16::try_from(octets * 8).ok();
    match protection {
        Protection::Aead(Aead::ChaCha20Poly1305) => vec![(ENCR, 28, None)],
        Protection::Aead(Aead::AesGcm(key, icv)) => {
            let id = match icv.len() {
                8 => 18,
                12 => 19,
                _ => 20,
            };
            vec![(ENCR, id, bits(key.len()))]
        }
        Protection::CbcHmac { encryption, integrity } => {
            let encryption = match encryption {
                Cbc::TripleDes => (ENCR, 3, None),
                Cbc::Aes(key) => (ENCR, 12, bits(key.len())),
            };
            let integrity = match integrity {
                Integrity::HmacSha1_96 => 2,
                Integrity::HmacSha256_96 | Integrity::HmacSha256_128 => 12,
                Integrity::HmacSha384_192 => 13,
                Integrity::HmacSha512_256 => 14,
            };
            vec![encryption, (INTEG, integrity, None)]
        }
    }
}

pub(super) fn ike_transforms(suite: IkeSuite) -> Vec<(u8, u16, Option<u16>)> {
    let prf = match suite.prf {
        Prf::HmacSha1 => 2,
        Prf::HmacSha256 => 5,
        Prf::HmacSha384 => 6,
        Prf::HmacSha512 => 7,
    };
    let mut transforms = protection_transforms(suite.protection);
    transforms.push((PRF, prf, None));
    transforms.push((DH, group_number(suite.group), None));
    transforms
}

/// The answer to an offer: the first of `accepted` that some proposal holds whole.
pub(super) fn choose_ike(offer: &[Proposal], accepted: &[IkeSuite]) -> Option<(IkeSuite, Proposal)> {
    accepted.iter().find_map(|suite| {
        let wanted = ike_transforms(*suite);
        let proposal = offer.iter().find(|p| p.protocol == 1 && wanted.iter().all(|t| p.transforms.contains(t)))?;
        Some((*suite, Proposal { transforms: wanted, ..proposal.clone() }))
    })
}

/// What the gateway offers for a child.
pub(super) fn esp_transforms(protection: Protection, esn: bool, pfs: Option<Group>) -> Vec<(u8, u16, Option<u16>)> {
    let mut transforms = protection_transforms(protection);
    transforms.extend(pfs.map(|group| (DH, group_number(group), None)));
    transforms.push((ESN, u16::from(esn), None));
    transforms
}

/// The answer to an offer in CREATE_CHILD_SA: with this group or, if there is none, of a proposal without any (RFC 7296 §1.3.1).
pub(super) fn choose_esp_again(
    offer: &[Proposal],
    accepted: &[(Protection, bool)],
    pfs: Option<Group>,
) -> Option<(Protection, bool, Proposal)> {
    let fits = |proposal: &&Proposal| pfs.is_some() || proposal.transforms.iter().all(|transform| transform.0 != DH);
    accepted.iter().find_map(|(protection, esn)| {
        let wanted = esp_transforms(*protection, *esn, pfs);
        let proposal = offer
            .iter()
            .filter(fits)
            .find(|p| p.protocol == 3 && wanted.iter().all(|transform| p.transforms.contains(transform)))?;
        Some((*protection, *esn, Proposal { transforms: wanted, ..proposal.clone() }))
    })
}

/// The answer to an ESP offer: protection, ESN, proposal without our SPI.
pub(super) fn choose_esp(offer: &[Proposal], accepted: &[(Protection, bool)]) -> Option<(Protection, bool, Proposal)> {
    accepted.iter().find_map(|(protection, esn)| {
        let mut wanted = protection_transforms(*protection);
        wanted.push((ESN, u16::from(*esn), None));
        let proposal = offer.iter().find(|p| p.protocol == 3 && wanted.iter().all(|t| p.transforms.contains(t)))?;
        Some((*protection, *esn, Proposal { transforms: wanted, ..proposal.clone() }))
    })
}
