//! What we offer as IKEv2 proposals, and whether what was chosen is one of them (RFC 7296 §2.7, §3.3).
//! It knows which number means which algorithm; it knows no state.

mod accept;

use crate::crypto::cipher::{AesKey, GcmIcv};
use crate::ike::v2::message::{Proposal, SecurityAssociation, Transform};
use crate::ike::wire::registry::{ProtocolId, TransformType, transform};
use crate::sa::spi::{IkeSpi, InboundSpi, OutboundSpi};
use crate::sa::suite::{
    Aead, Cbc, EsnOffer, EspOffer, EspSuite, Group, IkeOffer, IkeSuite, Integrity, Prf, Protection, ProtectionOffer,
};

pub(crate) use accept::{Refused, accept_esp, accept_ike};

/// Why an answer is not one of what was offered (RFC 7296 §3.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChoiceFault {
    /// Not exactly one proposal.
    NotOne,
    /// Another number than any that was offered.
    Number,
    /// For another protocol, or with an SPI that cannot be.
    Protocol,
    /// A transform that was not offered, or with other attributes.
    NotOffered,
    /// A type is missing, there twice, or was not offered.
    Types,
}

/// The proposals of IKE_SA_INIT, numbered from 1.
pub(crate) fn offer_ike(offers: &[IkeOffer]) -> SecurityAssociation {
    let proposals = (1..=u8::MAX).zip(offers).map(|(number, offer)| Proposal {
        number,
        protocol: ProtocolId::IKE,
        spi: Vec::new(),
        transforms: ike_transforms(offer),
    });
    SecurityAssociation { proposals: proposals.collect() }
}

/// The proposals of an IKE SA in place of another: each names the SPI that we will have in it (RFC 7296 §1.3.2).
pub(crate) fn offer_ike_again(offers: &[IkeOffer], spi: IkeSpi) -> SecurityAssociation {
    let mut offer = offer_ike(offers);
    offer.proposals.iter_mut().for_each(|proposal| proposal.spi = spi.to_octets().to_vec());
    offer
}

/// The proposals of a child that is made in CREATE_CHILD_SA, with the groups of its key exchange (RFC 7296 §1.3.3).
pub(crate) fn offer_esp_again(offers: &[EspOffer], spi: InboundSpi) -> SecurityAssociation {
    let mut offer = offer_esp(offers, spi);
    for (proposal, ours) in offer.proposals.iter_mut().zip(offers) {
        proposal.transforms = esp_transforms_again(ours);
    }
    offer
}

/// The proposals of a child that is made in IKE_AUTH, where no key exchange is offered (RFC 7296 §1.2).
pub(crate) fn offer_esp(offers: &[EspOffer], spi: InboundSpi) -> SecurityAssociation {
    let proposals = (1..=u8::MAX).zip(offers).map(|(number, offer)| Proposal {
        number,
        protocol: ProtocolId::ESP,
        spi: spi.to_octets().to_vec(),
        transforms: esp_transforms(offer),
    });
    SecurityAssociation { proposals: proposals.collect() }
}

/// The suite that IKE_SA_INIT's answer chose.
pub(crate) fn chosen_ike(offers: &[IkeOffer], answer: &SecurityAssociation) -> Result<IkeSuite, ChoiceFault> {
    let (proposal, offer) = numbered(offers, answer)?;
    if proposal.protocol != ProtocolId::IKE || !proposal.spi.is_empty() {
        return Err(ChoiceFault::Protocol);
    }
    choice_is_offered(proposal, &ike_transforms(offer))?;
    ike_suite(proposal, offer)
}

/// The suite and the peer's SPI that the answer chose for an IKE SA in place of another. RFC 7296 §1.3.2: never without a key exchange.
pub(crate) fn chosen_ike_again(
    offers: &[IkeOffer],
    answer: &SecurityAssociation,
) -> Result<(IkeSuite, IkeSpi), ChoiceFault> {
    let (proposal, offer) = numbered(offers, answer)?;
    if proposal.protocol != ProtocolId::IKE {
        return Err(ChoiceFault::Protocol);
    }
    let spi = ike_spi(proposal).ok_or(ChoiceFault::Protocol)?;
    choice_is_offered(proposal, &ike_transforms(offer))?;
    Ok((ike_suite(proposal, offer)?, spi))
}

/// The suite and the SPI that IKE_AUTH's answer chose.
pub(crate) fn chosen_esp(
    offers: &[EspOffer],
    answer: &SecurityAssociation,
) -> Result<(EspSuite, OutboundSpi), ChoiceFault> {
    let (proposal, offer) = numbered(offers, answer)?;
    choice_is_offered(proposal, &esp_transforms(offer))?;
    Ok((esp_suite(proposal, offer)?, esp_spi(proposal)?))
}

/// The suite, the SPI and the group of the key exchange, if there is one, that CREATE_CHILD_SA's answer chose.
pub(crate) fn chosen_esp_again(
    offers: &[EspOffer],
    answer: &SecurityAssociation,
) -> Result<(EspSuite, OutboundSpi, Option<Group>), ChoiceFault> {
    let (proposal, offer) = numbered(offers, answer)?;
    choice_is_offered(proposal, &esp_transforms_again(offer))?;
    let group = if offer.pfs.is_empty() { None } else { Some(pick(proposal, &offer.pfs, group_transform)?) };
    Ok((esp_suite(proposal, offer)?, esp_spi(proposal)?, group))
}

fn ike_suite(proposal: &Proposal, offer: &IkeOffer) -> Result<IkeSuite, ChoiceFault> {
    let prf = pick(proposal, &offer.prfs, prf_transform)?;
    let group = pick(proposal, &offer.groups, group_transform)?;
    Ok(IkeSuite { protection: chosen_protection(proposal, &offer.protection)?, prf, group })
}

fn esp_suite(proposal: &Proposal, offer: &EspOffer) -> Result<EspSuite, ChoiceFault> {
    let esn = pick(proposal, esn_choices(offer.esn), |long| esn_transform(*long))?;
    Ok(EspSuite { protection: chosen_protection(proposal, &offer.protection)?, esn })
}

fn ike_spi(proposal: &Proposal) -> Option<IkeSpi> {
    <[u8; 8]>::try_from(proposal.spi.as_slice()).ok().and_then(IkeSpi::new)
}

fn esp_spi(proposal: &Proposal) -> Result<OutboundSpi, ChoiceFault> {
    if proposal.protocol != ProtocolId::ESP {
        return Err(ChoiceFault::Protocol);
    }
    let spi = <[u8; 4]>::try_from(proposal.spi.as_slice()).ok().map(u32::from_be_bytes);
    // RFC 4303 §2.1: 0 to 255 are reserved.
    spi.and_then(OutboundSpi::new).ok_or(ChoiceFault::Protocol)
}

/// The number of a group, in transforms and in KE payloads.
pub(crate) const fn group_number(group: Group) -> u16 {
    match group {
        Group::Modp1024 => transform::group::MODP_1024,
        Group::Modp1536 => transform::group::MODP_1536,
        Group::Modp2048 => transform::group::MODP_2048,
        Group::Modp3072 => transform::group::MODP_3072,
        Group::Modp4096 => transform::group::MODP_4096,
        Group::Ecp256 => transform::group::ECP_256,
        Group::Ecp384 => transform::group::ECP_384,
        Group::Ecp521 => transform::group::ECP_521,
        Group::Curve25519 => transform::group::CURVE25519,
    }
}

/// The group of a number, if it is one that was offered.
pub(crate) fn offered_group(offers: &[IkeOffer], number: u16) -> Option<Group> {
    offers.iter().flat_map(|offer| &offer.groups).copied().find(|group| group_number(*group) == number)
}

/// The group of a number, if it is one that was offered for children.
pub(crate) fn offered_pfs(offers: &[EspOffer], number: u16) -> Option<Group> {
    offers.iter().flat_map(|offer| &offer.pfs).copied().find(|group| group_number(*group) == number)
}

fn numbered<'a, O>(offers: &'a [O], answer: &'a SecurityAssociation) -> Result<(&'a Proposal, &'a O), ChoiceFault> {
    let proposal = answer.sole().ok_or(ChoiceFault::NotOne)?;
    let offer = usize::from(proposal.number).checked_sub(1).and_then(|index| offers.get(index));
    Ok((proposal, offer.ok_or(ChoiceFault::Number)?))
}

/// RFC 7296 §3.3.6: one transform of each type that was offered, unmodified, and of no other.
fn choice_is_offered(proposal: &Proposal, offered: &[Transform]) -> Result<(), ChoiceFault> {
    if !proposal.transforms.iter().all(|transform| offered.contains(transform)) {
        return Err(ChoiceFault::NotOffered);
    }
    let chosen = |kind| proposal.transforms.iter().filter(|transform| transform.kind == kind).count();
    if offered.iter().all(|transform| chosen(transform.kind) == 1) { Ok(()) } else { Err(ChoiceFault::Types) }
}

fn chosen_protection(proposal: &Proposal, offer: &ProtectionOffer) -> Result<Protection, ChoiceFault> {
    match offer {
        ProtectionOffer::Aead(aeads) => Ok(Protection::Aead(pick(proposal, aeads, aead_transform)?)),
        ProtectionOffer::CbcHmac { encryption, integrity } => Ok(Protection::CbcHmac {
            encryption: pick(proposal, encryption, cbc_transform)?,
            integrity: pick(proposal, integrity, integrity_transform)?,
        }),
    }
}

fn pick<A: Copy>(proposal: &Proposal, offered: &[A], number: impl Fn(&A) -> Transform) -> Result<A, ChoiceFault> {
    let chosen = offered.iter().find(|algorithm| proposal.transforms.contains(&number(algorithm)));
    chosen.copied().ok_or(ChoiceFault::Types)
}

fn ike_transforms(offer: &IkeOffer) -> Vec<Transform> {
    let mut transforms = protection_transforms(&offer.protection);
    transforms.extend(offer.prfs.iter().map(prf_transform));
    transforms.extend(offer.groups.iter().map(group_transform));
    transforms
}

fn esp_transforms(offer: &EspOffer) -> Vec<Transform> {
    let mut transforms = protection_transforms(&offer.protection);
    transforms.extend(esn_choices(offer.esn).iter().map(|long| esn_transform(*long)));
    transforms
}

fn esp_transforms_again(offer: &EspOffer) -> Vec<Transform> {
    let mut transforms = esp_transforms(offer);
    transforms.extend(offer.pfs.iter().map(group_transform));
    transforms
}

/// RFC 7296 §3.3: a proposal with combined-mode ciphers has no integrity transforms, so they are never in one with others.
fn protection_transforms(offer: &ProtectionOffer) -> Vec<Transform> {
    match offer {
        ProtectionOffer::Aead(aeads) => aeads.iter().map(aead_transform).collect(),
        ProtectionOffer::CbcHmac { encryption, integrity } => {
            encryption.iter().map(cbc_transform).chain(integrity.iter().map(integrity_transform)).collect()
        }
    }
}

const fn aead_transform(aead: &Aead) -> Transform {
    match aead {
        Aead::AesGcm(key, icv) => {
            let id = match icv {
                GcmIcv::Eight => transform::encryption::AES_GCM_8,
                GcmIcv::Twelve => transform::encryption::AES_GCM_12,
                GcmIcv::Sixteen => transform::encryption::AES_GCM_16,
            };
            Transform::new(TransformType::ENCRYPTION, id).with_key_length(key_bits(*key))
        }
        // RFC 7634 §3: a fixed key length is not written.
        Aead::ChaCha20Poly1305 => Transform::new(TransformType::ENCRYPTION, transform::encryption::CHACHA20_POLY1305),
    }
}

const fn cbc_transform(cbc: &Cbc) -> Transform {
    match cbc {
        Cbc::Aes(key) => {
            Transform::new(TransformType::ENCRYPTION, transform::encryption::AES_CBC).with_key_length(key_bits(*key))
        }
        Cbc::TripleDes => Transform::new(TransformType::ENCRYPTION, transform::encryption::TRIPLE_DES),
    }
}

/// The cut to 96 bits has no number of its own: a router that cuts calls it by the standard's.
const fn integrity_transform(integrity: &Integrity) -> Transform {
    let id = match integrity {
        Integrity::HmacSha1_96 => transform::integrity::HMAC_SHA1_96,
        Integrity::HmacSha256_96 | Integrity::HmacSha256_128 => transform::integrity::HMAC_SHA2_256_128,
        Integrity::HmacSha384_192 => transform::integrity::HMAC_SHA2_384_192,
        Integrity::HmacSha512_256 => transform::integrity::HMAC_SHA2_512_256,
    };
    Transform::new(TransformType::INTEGRITY, id)
}

const fn prf_transform(prf: &Prf) -> Transform {
    let id = match prf {
        Prf::HmacSha1 => transform::prf::HMAC_SHA1,
        Prf::HmacSha256 => transform::prf::HMAC_SHA2_256,
        Prf::HmacSha384 => transform::prf::HMAC_SHA2_384,
        Prf::HmacSha512 => transform::prf::HMAC_SHA2_512,
    };
    Transform::new(TransformType::PSEUDO_RANDOM_FUNCTION, id)
}

const fn group_transform(group: &Group) -> Transform {
    Transform::new(TransformType::KEY_EXCHANGE, group_number(*group))
}

/// In order of preference; `true` is 64 bits.
const fn esn_choices(offer: EsnOffer) -> &'static [bool] {
    match offer {
        EsnOffer::Without => &[false],
        EsnOffer::Either => &[true, false],
        EsnOffer::Required => &[true],
    }
}

const fn esn_transform(long: bool) -> Transform {
    let id = if long { transform::sequence_numbers::WITH_ESN } else { transform::sequence_numbers::WITHOUT_ESN };
    Transform::new(TransformType::SEQUENCE_NUMBERS, id)
}

const fn key_bits(key: AesKey) -> u16 {
    match key {
        AesKey::Aes128 => 128,
        AesKey::Aes192 => 192,
        AesKey::Aes256 => 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ike_offers() -> Vec<IkeOffer> {
        vec![
            IkeOffer {
                protection: ProtectionOffer::CbcHmac {
                    encryption: vec![Cbc::Aes(AesKey::Aes256), Cbc::Aes(AesKey::Aes128)],
                    integrity: vec![Integrity::HmacSha256_128, Integrity::HmacSha512_256],
                },
                prfs: vec![Prf::HmacSha256],
                groups: vec![Group::Modp2048, Group::Ecp256],
            },
            IkeOffer {
                protection: ProtectionOffer::Aead(vec![
                    Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen),
                    Aead::ChaCha20Poly1305,
                ]),
                prfs: vec![Prf::HmacSha384],
                groups: vec![Group::Ecp384],
            },
        ]
    }

    fn esp_offers() -> Vec<EspOffer> {
        vec![
            EspOffer {
                protection: ProtectionOffer::Aead(vec![Aead::AesGcm(AesKey::Aes128, GcmIcv::Twelve)]),
                pfs: vec![Group::Modp2048],
                esn: EsnOffer::Either,
            },
            EspOffer {
                protection: ProtectionOffer::CbcHmac {
                    encryption: vec![Cbc::Aes(AesKey::Aes192)],
                    integrity: vec![Integrity::HmacSha384_192],
                },
                pfs: vec![],
                esn: EsnOffer::Without,
            },
        ]
    }

    /// (type, id) or (type, id, key length).
    fn ike_answer(number: u8, transforms: &[Transform]) -> SecurityAssociation {
        let proposal = Proposal { number, protocol: ProtocolId::IKE, spi: vec![], transforms: transforms.to_vec() };
        SecurityAssociation { proposals: vec![proposal] }
    }

    const fn t(kind: u8, id: u16) -> Transform {
        Transform::new(TransformType(kind), id)
    }

    fn good() -> Vec<Transform> {
        vec![t(1, 12).with_key_length(256), t(3, 12), t(2, 5), t(4, 14)]
    }

    #[test]
    fn offers_become_numbered_proposals_with_the_numbers_of_the_registry() {
        let offered = offer_ike(&ike_offers());
        assert_eq!(offered.proposals.len(), 2);
        assert_eq!(offered.proposals[0].number, 1);
        assert_eq!(
            offered.proposals[0].transforms,
            [
                t(1, 12).with_key_length(256),
                t(1, 12).with_key_length(128),
                t(3, 12),
                t(3, 14),
                t(2, 5),
                t(4, 14),
                t(4, 19)
            ]
        );
        assert_eq!(offered.proposals[1].number, 2);
        assert_eq!(offered.proposals[1].transforms, [t(1, 20).with_key_length(256), t(1, 28), t(2, 6), t(4, 20)]);
        assert!(
            offered.proposals.iter().all(|proposal| proposal.protocol == ProtocolId::IKE && proposal.spi.is_empty())
        );
    }

    #[test]
    fn a_child_in_ike_auth_is_offered_without_key_exchange() {
        let spi = InboundSpi::new(0xc0ffee00).unwrap();
        let offered = offer_esp(&esp_offers(), spi);
        assert_eq!(offered.proposals[0].transforms, [t(1, 19).with_key_length(128), t(5, 1), t(5, 0)]);
        assert_eq!(offered.proposals[1].transforms, [t(1, 12).with_key_length(192), t(3, 13), t(5, 0)]);
        assert!(offered.proposals.iter().all(|p| p.protocol == ProtocolId::ESP && p.spi == [0xc0, 0xff, 0xee, 0]));
    }

    #[test]
    fn every_single_choice_is_understood() {
        for (offer_index, offer) in ike_offers().into_iter().enumerate() {
            let protections: Vec<Protection> = match &offer.protection {
                ProtectionOffer::Aead(aeads) => aeads.iter().copied().map(Protection::Aead).collect(),
                ProtectionOffer::CbcHmac { encryption, integrity } => encryption
                    .iter()
                    .flat_map(|e| integrity.iter().map(|i| Protection::CbcHmac { encryption: *e, integrity: *i }))
                    .collect(),
            };
            for protection in protections {
                for prf in &offer.prfs {
                    for group in &offer.groups {
                        let narrowed = IkeOffer {
                            protection: match protection {
                                Protection::Aead(aead) => ProtectionOffer::Aead(vec![aead]),
                                Protection::CbcHmac { encryption, integrity } => ProtectionOffer::CbcHmac {
                                    encryption: vec![encryption],
                                    integrity: vec![integrity],
                                },
                            },
                            prfs: vec![*prf],
                            groups: vec![*group],
                        };
                        let mut answer = offer_ike(&[narrowed]);
                        answer.proposals[0].number = offer_index as u8 + 1;
                        answer.proposals[0].transforms.reverse();
                        let expected = IkeSuite { protection, prf: *prf, group: *group };
                        assert_eq!(chosen_ike(&ike_offers(), &answer), Ok(expected));
                    }
                }
            }
        }
    }

    #[test]
    fn k2_014_every_mutation_of_the_chosen_proposal_is_refused() {
        let with = |index: usize, transform: Transform| {
            let mut transforms = good();
            transforms[index] = transform;
            ike_answer(1, &transforms)
        };
        let without = |index: usize| {
            let mut transforms = good();
            transforms.remove(index);
            ike_answer(1, &transforms)
        };
        let plus = |transform: Transform| ike_answer(1, &[&good()[..], &[transform]].concat());
        let two = SecurityAssociation {
            proposals: [ike_answer(1, &good()).proposals, ike_answer(2, &good()).proposals].concat(),
        };
        let mut other_protocol = ike_answer(1, &good());
        other_protocol.proposals[0].protocol = ProtocolId::ESP;
        let mut with_spi = ike_answer(1, &good());
        with_spi.proposals[0].spi = vec![1; 8];
        let strange = Transform { unknown_attribute: true, ..good()[0] };

        assert!(chosen_ike(&ike_offers(), &ike_answer(1, &good())).is_ok());
        for (answer, fault) in [
            (two, ChoiceFault::NotOne),
            (SecurityAssociation { proposals: vec![] }, ChoiceFault::NotOne),
            (ike_answer(0, &good()), ChoiceFault::Number),
            (ike_answer(3, &good()), ChoiceFault::Number),
            (ike_answer(2, &good()), ChoiceFault::NotOffered),
            (other_protocol, ChoiceFault::Protocol),
            (with_spi, ChoiceFault::Protocol),
            (with(0, t(1, 12).with_key_length(512)), ChoiceFault::NotOffered),
            (with(0, t(1, 12).with_key_length(192)), ChoiceFault::NotOffered),
            (with(0, t(1, 12)), ChoiceFault::NotOffered),
            (with(0, t(1, 3)), ChoiceFault::NotOffered),
            (with(0, strange), ChoiceFault::NotOffered),
            (with(1, t(3, 0)), ChoiceFault::NotOffered),
            (with(1, t(3, 12).with_key_length(256)), ChoiceFault::NotOffered),
            (with(2, t(2, 2)), ChoiceFault::NotOffered),
            (with(3, t(4, 0)), ChoiceFault::NotOffered),
            (with(3, t(4, 15)), ChoiceFault::NotOffered),
            (without(0), ChoiceFault::Types),
            (without(1), ChoiceFault::Types),
            (without(2), ChoiceFault::Types),
            (without(3), ChoiceFault::Types),
            (ike_answer(1, &[]), ChoiceFault::Types),
            (plus(t(3, 14)), ChoiceFault::Types),
            (plus(t(4, 14)), ChoiceFault::Types),
            (plus(t(1, 12).with_key_length(128)), ChoiceFault::Types),
            (plus(t(5, 0)), ChoiceFault::NotOffered),
            (plus(t(6, 35)), ChoiceFault::NotOffered),
        ] {
            assert_eq!(chosen_ike(&ike_offers(), &answer), Err(fault), "{answer:?}");
        }
    }

    #[test]
    fn k2_014_an_aead_is_not_accepted_with_an_integrity_transform() {
        let transforms = [t(1, 20).with_key_length(256), t(2, 6), t(4, 20)];
        assert!(chosen_ike(&ike_offers(), &ike_answer(2, &transforms)).is_ok());
        for integrity in [0, 12] {
            let more = [&transforms[..], &[t(3, integrity)]].concat();
            assert_eq!(chosen_ike(&ike_offers(), &ike_answer(2, &more)), Err(ChoiceFault::NotOffered));
        }
    }

    fn esp_answer(number: u8, spi: &[u8], transforms: &[Transform]) -> SecurityAssociation {
        let proposal =
            Proposal { number, protocol: ProtocolId::ESP, spi: spi.to_vec(), transforms: transforms.to_vec() };
        SecurityAssociation { proposals: vec![proposal] }
    }

    #[test]
    fn the_child_is_what_was_chosen_of_its_proposal() {
        let spi = [0, 0, 1, 0];
        let gcm = t(1, 19).with_key_length(128);
        let (suite, outbound) = chosen_esp(&esp_offers(), &esp_answer(1, &spi, &[gcm, t(5, 0)])).unwrap();
        assert_eq!(outbound.value(), 256);
        assert_eq!(suite.protection, Protection::Aead(Aead::AesGcm(AesKey::Aes128, GcmIcv::Twelve)));
        assert!(!suite.esn);
        let (suite, _) = chosen_esp(&esp_offers(), &esp_answer(1, &spi, &[t(5, 1), gcm])).unwrap();
        assert!(suite.esn);
    }

    #[test]
    fn k2_066_reserved_spis_are_refused() {
        let transforms = [t(1, 19).with_key_length(128), t(5, 0)];
        for spi in [&[0, 0, 0, 0][..], &[0, 0, 0, 1], &[0, 0, 0, 255], &[], &[1, 2, 3], &[1; 8]] {
            assert_eq!(chosen_esp(&esp_offers(), &esp_answer(1, spi, &transforms)), Err(ChoiceFault::Protocol));
        }
    }

    #[test]
    fn a_child_answer_must_say_its_sequence_number_size_and_no_group() {
        let spi = [9; 4];
        let gcm = t(1, 19).with_key_length(128);
        for (transforms, fault) in [
            (vec![gcm], ChoiceFault::Types),
            (vec![gcm, t(5, 0), t(5, 1)], ChoiceFault::Types),
            (vec![gcm, t(5, 0), t(4, 14)], ChoiceFault::NotOffered),
            (vec![gcm, t(5, 2)], ChoiceFault::NotOffered),
        ] {
            assert_eq!(chosen_esp(&esp_offers(), &esp_answer(1, &spi, &transforms)), Err(fault));
        }
        let cbc = [t(1, 12).with_key_length(192), t(3, 13), t(5, 1)];
        assert_eq!(chosen_esp(&esp_offers(), &esp_answer(2, &spi, &cbc)), Err(ChoiceFault::NotOffered));
    }

    #[test]
    fn only_offered_groups_are_found_by_number() {
        assert_eq!(offered_group(&ike_offers(), 19), Some(Group::Ecp256));
        assert_eq!(offered_group(&ike_offers(), 20), Some(Group::Ecp384));
        for number in [0, 1, 2, 15, 31, 1025, 65535] {
            assert_eq!(offered_group(&ike_offers(), number), None);
        }
    }
}
