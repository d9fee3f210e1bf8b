//! What phase 1 offers, and which answers it takes.

use super::*;

const DAY: Option<Duration> = Some(Duration::from_secs(86_400));

/// AES-256, SHA2-256, MODP 2048, pre-shared key.
fn good() -> Attributes {
    vec![(1, 7), (14, 256), (2, 4), (4, 14), (3, 1)]
}

fn one(attributes: &[u8]) -> Vec<u8> {
    body(&[(1, 1, vec![], vec![(1, 1, attributes.to_vec())])])
}

fn choose(answer: &[u8]) -> Result<IkeSuite, OfferFault> {
    phase1_choice(&ike_offers(), Method::PreSharedKey, None, answer).map(|choice| choice.suite)
}

fn suite(encryption: Cbc, prf: Prf, group: Group) -> IkeSuite {
    let integrity = match prf {
        Prf::HmacSha1 => Integrity::HmacSha1_96,
        Prf::HmacSha256 => Integrity::HmacSha256_128,
        Prf::HmacSha384 => Integrity::HmacSha384_192,
        Prf::HmacSha512 => Integrity::HmacSha512_256,
    };
    IkeSuite { protection: Protection::CbcHmac { encryption, integrity }, prf, group }
}

fn sole_offer(encryption: Cbc, prf: Prf, group: Group) -> Vec<IkeOffer> {
    let protection = ProtectionOffer::CbcHmac { encryption: vec![encryption], integrity: vec![Integrity::HmacSha1_96] };
    vec![IkeOffer { protection, prfs: vec![prf], groups: vec![group] }]
}

#[test]
fn phase_1_is_offered_as_the_rfcs_draw_it() {
    let offer = sole_offer(Cbc::Aes(AesKey::Aes256), Prf::HmacSha256, Group::Modp2048);
    let expected = [
        &[0, 0, 0, 1, 0, 0, 0, 1][..],
        &[0, 0, 0, 48, 1, 1, 0, 1],
        &[0, 0, 0, 40, 1, 1, 0, 0],
        &[0x80, 1, 0, 7],
        &[0x80, 14, 1, 0],
        &[0x80, 2, 0, 4],
        &[0x80, 4, 0, 14],
        &[0x80, 3, 0, 1],
        &[0x80, 11, 0, 1],
        &[0, 12, 0, 4, 0, 1, 0x51, 0x80],
    ]
    .concat();
    assert_eq!(phase1(&offer, Method::PreSharedKey, DAY), expected);
}

#[test]
fn phase_1_offers_every_combination_once_in_order() {
    let offered = phase1(&ike_offers(), Method::XauthPreSharedKey, Some(Duration::from_secs(28_800)));
    let life = [(11, 1), (12, 28_800)];
    let aes = |number, bits, hash, group| {
        let attributes = [&[(1, 7), (14, bits), (2, hash), (4, group), (3, 65_001)][..], &life].concat();
        (number, 1, short(&attributes))
    };
    let transforms = vec![
        aes(1, 256, 4, 14),
        aes(2, 256, 4, 19),
        aes(3, 256, 6, 14),
        aes(4, 256, 6, 19),
        aes(5, 128, 4, 14),
        aes(6, 128, 4, 19),
        aes(7, 128, 6, 14),
        aes(8, 128, 6, 19),
        (9, 1, short(&[&[(1, 5), (2, 2), (4, 2), (3, 65_001)][..], &life].concat())),
    ];
    assert_eq!(offered, body(&[(1, 1, vec![], transforms)]));
    let twice = [ike_offers(), ike_offers()].concat();
    let again = phase1(&twice, Method::XauthPreSharedKey, Some(Duration::from_secs(28_800)));
    assert_eq!(again, offered);
}

#[test]
fn every_algorithm_of_phase_1_has_its_number() {
    let ciphers = [
        (Cbc::TripleDes, vec![(1, 5)]),
        (Cbc::Aes(AesKey::Aes128), vec![(1, 7), (14, 128)]),
        (Cbc::Aes(AesKey::Aes192), vec![(1, 7), (14, 192)]),
        (Cbc::Aes(AesKey::Aes256), vec![(1, 7), (14, 256)]),
    ];
    let prfs = [(Prf::HmacSha1, 2), (Prf::HmacSha256, 4), (Prf::HmacSha384, 5), (Prf::HmacSha512, 6)];
    let groups = [
        (Group::Modp1024, 2),
        (Group::Modp1536, 5),
        (Group::Modp2048, 14),
        (Group::Modp3072, 15),
        (Group::Modp4096, 16),
        (Group::Ecp256, 19),
        (Group::Ecp384, 20),
        (Group::Ecp521, 21),
    ];
    for (cipher, cipher_numbers) in &ciphers {
        for (prf, hash_number) in prfs {
            for (group, group_number) in groups {
                let offer = sole_offer(*cipher, prf, group);
                let rest: Attributes = vec![(2, hash_number), (4, group_number), (3, 1)];
                let attributes = short(&[cipher_numbers.clone(), rest].concat());
                assert_eq!(phase1(&offer, Method::PreSharedKey, None), one(&attributes));
                let choice = phase1_choice(&offer, Method::PreSharedKey, None, &one(&attributes)).unwrap();
                assert_eq!(choice.suite, suite(*cipher, prf, group));
            }
        }
    }
}

#[test]
fn what_ikev1_has_no_number_for_is_not_offered_in_phase_1() {
    let gcm = IkeOffer {
        protection: ProtectionOffer::Aead(vec![Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen)]),
        ..ike_offers().remove(0)
    };
    let x25519 = IkeOffer { groups: vec![Group::Curve25519], ..ike_offers().remove(0) };
    let with_others = [vec![gcm, x25519], ike_offers()].concat();
    assert_eq!(phase1(&with_others, Method::PreSharedKey, None), phase1(&ike_offers(), Method::PreSharedKey, None));
}

#[test]
fn k1_004_the_answer_is_one_of_the_offered_transforms_in_any_order_and_form() {
    let expected = Ok(suite(Cbc::Aes(AesKey::Aes256), Prf::HmacSha256, Group::Modp2048));
    let mut attributes = good();
    for _ in 0..attributes.len() {
        attributes.rotate_left(1);
        assert_eq!(choose(&one(&short(&attributes))), expected);
    }
    for zeros in 0..10 {
        let long_form: Vec<u8> = good()
            .iter()
            .flat_map(|(kind, value)| long(*kind, &[vec![0; zeros], value.to_be_bytes().to_vec()].concat()))
            .collect();
        assert_eq!(choose(&one(&long_form)), expected);
    }
    let last = short(&[(1, 5), (2, 2), (4, 2), (3, 1)]);
    assert_eq!(choose(&one(&last)), Ok(suite(Cbc::TripleDes, Prf::HmacSha1, Group::Modp1024)));
}

#[test]
fn k1_004_an_attribute_added_left_out_repeated_or_altered_is_refused() {
    for place in 0..good().len() {
        let mut without = good();
        without.remove(place);
        assert_eq!(choose(&one(&short(&without))), Err(OfferFault::NotOffered));
        let mut twice = good();
        twice.push(good()[place]);
        assert_eq!(choose(&one(&short(&twice))), Err(OfferFault::NotOffered));
        for value in (0..=300).chain([1024, 0x7fff, 0x8000, 65_001, 65_535]) {
            let mut altered = good();
            altered[place].1 = value;
            let offered = [(1, 256), (1, 128), (2, 4), (2, 6), (3, 14), (3, 19)];
            let same = value == good()[place].1 || offered.contains(&(place, value));
            assert_eq!(choose(&one(&short(&altered))).is_ok(), same, "{place} {value}");
        }
        let empty: Vec<u8> = good()
            .iter()
            .enumerate()
            .flat_map(|(at, attribute)| if at == place { long(attribute.0, &[]) } else { short(&[*attribute]) })
            .collect();
        assert_eq!(choose(&one(&empty)), Err(OfferFault::NotOffered));
    }
    for kind in (0..=200).chain([0x7fff]).filter(|kind| ![11, 12].contains(kind)) {
        let added = [good(), vec![(kind, 1)]].concat();
        assert_eq!(choose(&one(&short(&added))), Err(OfferFault::NotOffered), "{kind}");
    }
}

#[test]
fn k1_004_two_proposals_two_transforms_or_none_are_refused() {
    let transform = (1, 1, short(&good()));
    let proposal = |transforms: &[RawTransform]| (1, 1, vec![], transforms.to_vec());
    let alone = proposal(std::slice::from_ref(&transform));
    assert!(choose(&body(std::slice::from_ref(&alone))).is_ok());
    assert_eq!(choose(&body(&[alone.clone(), alone.clone()])), Err(OfferFault::NotOne));
    assert_eq!(choose(&body(&[proposal(&[transform.clone(), transform])])), Err(OfferFault::NotOne));
    assert_eq!(choose(&body(&[proposal(&[])])), Err(OfferFault::NotOne));
    assert_eq!(choose(&body(&[])), Err(OfferFault::Malformed));
}

#[test]
fn k1_004_the_answer_is_for_isakmp_and_key_ike() {
    for protocol in 0..=255 {
        let answer = body(&[(1, protocol, vec![], vec![(1, 1, short(&good()))])]);
        assert_eq!(choose(&answer).is_ok(), protocol == 1, "{protocol}");
    }
    for id in 0..=255 {
        let answer = body(&[(1, 1, vec![], vec![(1, id, short(&good()))])]);
        assert_eq!(choose(&answer).is_ok(), id == 1, "{id}");
    }
    for octets in 0..=255 {
        let answer = body(&[(1, 1, vec![0; octets], vec![(1, 1, short(&good()))])]);
        assert_eq!(choose(&answer).is_ok(), octets <= 16, "{octets}");
    }
}

#[test]
fn k1_004_the_authentication_method_is_the_offered_one() {
    let answered = |method, number| {
        let mut attributes = good();
        attributes[4].1 = number;
        phase1_choice(&ike_offers(), method, None, &one(&short(&attributes))).is_ok()
    };
    for number in numbers() {
        assert_eq!(answered(Method::PreSharedKey, number), number == 1);
        assert_eq!(answered(Method::XauthPreSharedKey, number), number == 65_001);
    }
}

#[test]
fn k1_005_reserved_octets_of_proposals_and_transforms_are_ignored() {
    let mut answer = one(&short(&good()));
    for place in [9, 17, 22, 23] {
        assert_eq!(answer[place], 0);
        answer[place] = 0xff;
    }
    assert!(choose(&answer).is_ok());
}

#[test]
fn k1_028_aes_has_its_key_length_and_weak_algorithms_are_only_taken_when_offered() {
    assert_eq!(choose(&one(&short(&[(1, 7), (2, 4), (4, 14), (3, 1)]))), Err(OfferFault::NotOffered));
    let triple_des = short(&[(1, 5), (14, 192), (2, 2), (4, 2), (3, 1)]);
    assert_eq!(choose(&one(&triple_des)), Err(OfferFault::NotOffered));
    let weak = short(&[(1, 5), (2, 2), (4, 2), (3, 1)]);
    let strong: Vec<IkeOffer> = ike_offers().into_iter().take(1).collect();
    let choice = phase1_choice(&strong, Method::PreSharedKey, None, &one(&weak));
    assert_eq!(choice, Err(OfferFault::NotOffered));
}

#[test]
fn k1_029_an_answer_of_another_domain_or_situation_is_malformed() {
    let good = one(&short(&good()));
    for place in 0..8 {
        for bit in 0..8 {
            let mut answer = good.clone();
            answer[place] ^= 1 << bit;
            assert_eq!(choose(&answer), Err(OfferFault::Malformed));
        }
    }
}

#[test]
fn v_05_a_phase_1_proposal_without_cipher_hash_group_or_method_is_refused() {
    let whole = good();
    for mask in 0..(1 << whole.len()) - 1 {
        let left: Attributes =
            whole.iter().enumerate().filter(|(place, _)| mask & (1 << place) != 0).map(|(_, part)| *part).collect();
        assert_eq!(choose(&one(&short(&left))), Err(OfferFault::NotOffered), "{mask:b}");
    }
}

#[test]
fn v_20_a_phase_1_group_of_any_number_is_one_of_ours_or_refused() {
    for number in numbers() {
        let mut attributes = good();
        attributes[3].1 = number;
        assert_eq!(choose(&one(&short(&attributes))).is_ok(), [14, 19].contains(&number), "{number}");
    }
}

#[test]
fn every_truncation_and_every_wrong_length_of_an_answer_is_malformed() {
    let good = one(&short(&good()));
    for end in 0..good.len() {
        assert_eq!(choose(&good[..end]), Err(OfferFault::Malformed), "{end}");
    }
    assert_eq!(choose(&[good.clone(), vec![0]].concat()), Err(OfferFault::Malformed));
    for place in [10, 11, 14, 15, 18, 19] {
        for value in (0..=255).filter(|value| *value != good[place]) {
            let mut answer = good.clone();
            answer[place] = value;
            assert!(choose(&answer).is_err(), "{place} {value}");
        }
    }
}
