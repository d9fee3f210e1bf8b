use super::*;
use crate::crypto::cipher::{Aead, AesKey, GcmIcv};
use crate::ike::proposal::{ChoiceFault, chosen_esp_again, chosen_ike_again, offer_esp_again, offer_ike_again};
use crate::ike::wire::registry::transform;
use crate::sa::spi::InboundSpi;
use crate::sa::suite::{Cbc, EsnOffer, Integrity, Prf, ProtectionOffer};

const MODP_2048: u16 = transform::group::MODP_2048;
const ECP_256: u16 = transform::group::ECP_256;

fn ike(groups: &[Group]) -> Vec<IkeOffer> {
    vec![
        IkeOffer {
            protection: ProtectionOffer::CbcHmac {
                encryption: vec![Cbc::Aes(AesKey::Aes256), Cbc::Aes(AesKey::Aes128)],
                integrity: vec![Integrity::HmacSha256_128],
            },
            prfs: vec![Prf::HmacSha256],
            groups: groups.to_vec(),
        },
        IkeOffer {
            protection: ProtectionOffer::Aead(vec![Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen)]),
            prfs: vec![Prf::HmacSha384],
            groups: groups.to_vec(),
        },
    ]
}

fn esp(pfs: &[Group]) -> Vec<EspOffer> {
    let protection = ProtectionOffer::Aead(vec![Aead::AesGcm(AesKey::Aes128, GcmIcv::Sixteen)]);
    vec![EspOffer { protection, pfs: pfs.to_vec(), esn: EsnOffer::Either }]
}

fn theirs() -> IkeSpi {
    IkeSpi::new([7; 8]).unwrap()
}

fn their_inbound() -> InboundSpi {
    InboundSpi::new(0x0101_0101).unwrap()
}

/// What they would understand of our answer.
fn answered(answer: &Proposal, spi: &[u8]) -> SecurityAssociation {
    SecurityAssociation { proposals: vec![Proposal { spi: spi.to_vec(), ..answer.clone() }] }
}

#[test]
fn k2_130_what_one_side_offers_for_another_ike_sa_the_other_takes_and_the_first_understands() {
    let offers = ike(&[Group::Modp2048, Group::Ecp256]);
    let asked = offer_ike_again(&offers, theirs());
    for (number, group) in [(MODP_2048, Group::Modp2048), (ECP_256, Group::Ecp256)] {
        let accepted = accept_ike(&offers, &asked, number).unwrap();
        assert_eq!((accepted.spi, accepted.suite.group, accepted.answer.number), (theirs(), group, 1));
        let answer = answered(&accepted.answer, &[9; 8]);
        assert_eq!(chosen_ike_again(&offers, &answer), Ok((accepted.suite, IkeSpi::new([9; 8]).unwrap())));
        for spi in [&[][..], &[0; 8], &[9; 4]] {
            let answer = answered(&accepted.answer, spi);
            assert_eq!(chosen_ike_again(&offers, &answer), Err(ChoiceFault::Protocol));
        }
    }
}

#[test]
fn k2_132_another_group_than_the_peer_s_is_asked_for_by_its_number() {
    let asked = offer_ike_again(&ike(&[Group::Modp2048, Group::Ecp256]), theirs());
    let ours = ike(&[Group::Ecp256]);
    assert_eq!(accept_ike(&ours, &asked, MODP_2048), Err(Refused::OtherGroup(Group::Ecp256)));
    let none = ike(&[Group::Ecp521]);
    assert_eq!(accept_ike(&none, &asked, MODP_2048), Err(Refused::NoProposal));
    let asked = offer_esp_again(&esp(&[Group::Modp2048, Group::Ecp256]), their_inbound());
    assert_eq!(accept_esp(&esp(&[Group::Ecp256]), &asked, Some(MODP_2048)), Err(Refused::OtherGroup(Group::Ecp256)));
    assert_eq!(accept_esp(&esp(&[Group::Ecp256]), &asked, None), Err(Refused::OtherGroup(Group::Ecp256)));
}

#[test]
fn k2_130_an_ike_sa_without_a_key_exchange_is_not_made() {
    let offers = ike(&[Group::Modp2048]);
    let mut asked = offer_ike_again(&offers, theirs());
    for proposal in &mut asked.proposals {
        proposal.transforms.retain(|one| one.kind != TransformType::KEY_EXCHANGE);
    }
    assert_eq!(accept_ike(&offers, &asked, MODP_2048), Err(Refused::NoProposal));
    for proposal in &mut asked.proposals {
        proposal.transforms.push(Transform::new(TransformType::KEY_EXCHANGE, NONE));
    }
    assert_eq!(accept_ike(&offers, &asked, NONE), Err(Refused::NoProposal));
}

#[test]
fn k2_132_a_child_has_a_key_exchange_if_and_only_if_we_want_one() {
    let groups: [&[Group]; 2] = [&[], &[Group::Ecp256]];
    for (ours, theirs, accepted) in [(0, 0, true), (1, 1, true), (0, 1, false), (1, 0, false)] {
        let asked = offer_esp_again(&esp(groups[theirs]), their_inbound());
        let group = (theirs == 1).then_some(ECP_256);
        let answer = accept_esp(&esp(groups[ours]), &asked, group);
        assert_eq!(answer.is_ok(), accepted, "ours {ours}, theirs {theirs}: {answer:?}");
        if let Ok(answer) = answer {
            assert_eq!(answer.group.map(group_number), group);
            let understood = chosen_esp_again(&esp(groups[theirs]), &answered(&answer.answer, &[9; 4]));
            assert_eq!(understood, Ok((answer.suite, OutboundSpi::new(0x0909_0909).unwrap(), answer.group)));
        }
    }
}

#[test]
fn k2_132_a_peer_that_would_do_without_a_key_exchange_need_not_have_one() {
    let mut asked = offer_esp_again(&esp(&[Group::Ecp256]), their_inbound());
    asked.proposals[0].transforms.push(Transform::new(TransformType::KEY_EXCHANGE, NONE));
    let accepted = accept_esp(&esp(&[]), &asked, Some(ECP_256)).unwrap();
    assert_eq!(accepted.group, None);
    assert!(accepted.answer.transforms.contains(&Transform::new(TransformType::KEY_EXCHANGE, NONE)));
}

#[test]
fn k2_013_unknown_transforms_are_passed_over_and_unknown_types_spoil_their_proposal() {
    let offers = esp(&[]);
    let asked = offer_esp_again(&offers, their_inbound());
    let mut more = asked.clone();
    let gcm = more.proposals[0].transforms[0];
    more.proposals[0].transforms.insert(0, Transform::new(TransformType::ENCRYPTION, 999));
    more.proposals[0].transforms.insert(1, Transform { unknown_attribute: true, ..gcm });
    assert_eq!(accept_esp(&offers, &more, None).unwrap().suite, accept_esp(&offers, &asked, None).unwrap().suite);
    let mut strange = asked.clone();
    strange.proposals[0].transforms.push(Transform::new(TransformType(77), 1));
    assert_eq!(accept_esp(&offers, &strange, None), Err(Refused::NoProposal));
    strange.proposals.push(Proposal { number: 2, ..asked.proposals[0].clone() });
    assert_eq!(accept_esp(&offers, &strange, None).unwrap().answer.number, 2);
}

#[test]
fn k2_013_integrity_none_beside_a_combined_mode_cipher_is_repeated_and_any_other_refused() {
    let offers = esp(&[]);
    let mut asked = offer_esp_again(&offers, their_inbound());
    asked.proposals[0].transforms.push(Transform::new(TransformType::INTEGRITY, NONE));
    let accepted = accept_esp(&offers, &asked, None).unwrap();
    assert!(accepted.answer.transforms.contains(&Transform::new(TransformType::INTEGRITY, NONE)));
    asked.proposals[0].transforms.pop();
    asked.proposals[0].transforms.push(Transform::new(TransformType::INTEGRITY, 2));
    assert_eq!(accept_esp(&offers, &asked, None), Err(Refused::NoProposal));
}

#[test]
fn the_peer_s_order_decides_within_what_we_offer() {
    let mut asked = offer_esp_again(&esp(&[]), their_inbound());
    asked.proposals[0].transforms.reverse();
    assert!(!accept_esp(&esp(&[]), &asked, None).unwrap().suite.esn, "32 bits came first");
    let offers = ike(&[Group::Ecp256]);
    let mut asked = offer_ike_again(&offers, theirs());
    asked.proposals.reverse();
    assert_eq!(accept_ike(&offers, &asked, ECP_256).unwrap().suite.prf, Prf::HmacSha384);
}

#[test]
fn a_proposal_for_something_else_is_not_taken() {
    let offers = esp(&[]);
    for (protocol, spi) in [(ProtocolId::AH, vec![1; 4]), (ProtocolId::ESP, vec![0; 4]), (ProtocolId::ESP, vec![1; 8])]
    {
        let mut asked = offer_esp_again(&offers, their_inbound());
        asked.proposals[0].protocol = protocol;
        asked.proposals[0].spi = spi;
        assert_eq!(accept_esp(&offers, &asked, None), Err(Refused::NoProposal));
    }
}
