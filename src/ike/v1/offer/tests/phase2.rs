//! What quick mode offers as initiator, and which answers it takes.

use super::*;

fn choose(terms: Phase2Terms, answer: &[u8]) -> Result<Phase2Choice, OfferFault> {
    phase2_choice(&esp_offers(), terms, answer)
}

fn one(id: u8, attributes: &[(u16, u16)]) -> Vec<u8> {
    body(&[esp(1, id, &short(attributes))])
}

#[test]
fn quick_mode_is_offered_as_the_rfcs_draw_it() {
    let offers: Vec<EspOffer> = vec![EspOffer {
        protection: ProtectionOffer::CbcHmac {
            encryption: vec![Cbc::Aes(AesKey::Aes256)],
            integrity: vec![Integrity::HmacSha256_128],
        },
        pfs: vec![],
        esn: EsnOffer::Required,
    }];
    let lifetime = Lifetime { time: Some(Duration::from_secs(3600)), bytes: Some(1 << 30), packets: Some(9) };
    let expected = [
        &[0, 0, 0, 1, 0, 0, 0, 1][..],
        &[0, 0, 0, 60, 1, 3, 4, 1, 0xc0, 1, 2, 3],
        &[0, 0, 0, 48, 1, 12, 0, 0],
        &[0x80, 6, 1, 0],
        &[0x80, 5, 0, 5],
        &[0x80, 3, 0, 14],
        &[0x80, 4, 0, 3],
        &[0x80, 11, 0, 1],
        &[0x80, 1, 0, 1],
        &[0x80, 2, 0x0e, 0x10],
        &[0x80, 1, 0, 2],
        &[0, 2, 0, 4, 0, 0x10, 0, 0],
    ]
    .concat();
    let terms = Phase2Terms { pfs: Some(Group::Modp2048), lifetime, ..terms() };
    assert_eq!(phase2(&offers, terms), expected);
}

#[test]
fn k1_012_the_group_is_in_every_transform_of_the_offer() {
    let life = [(1, 1), (2, 3600)];
    let with = |group: Option<u16>| {
        let transform = |number, id, before: &[(u16, u16)], after: &[(u16, u16)]| {
            let group: Attributes = group.iter().map(|group| (3, *group)).collect();
            (number, id, short(&[before, &group, &[(4, 3)], after, &life].concat()))
        };
        let transforms = vec![
            transform(1, 12, &[(6, 256), (5, 5)], &[]),
            transform(2, 12, &[(6, 256), (5, 2)], &[]),
            transform(3, 3, &[(5, 5)], &[]),
            transform(4, 3, &[(5, 2)], &[]),
            transform(5, 20, &[(6, 128)], &[(11, 1)]),
            transform(6, 20, &[(6, 128)], &[]),
        ];
        body(&[(1, 3, vec![0xc0, 1, 2, 3], transforms)])
    };
    assert_eq!(phase2(&esp_offers(), terms()), with(None));
    assert_eq!(phase2(&esp_offers(), Phase2Terms { pfs: Some(Group::Ecp384), ..terms() }), with(Some(20)));
}

#[test]
fn k1_012_an_answer_has_the_group_that_was_offered_and_none_when_none_was() {
    let with_pfs = Phase2Terms { pfs: Some(Group::Modp2048), ..terms() };
    for number in numbers() {
        let answer = one(12, &[esp_attributes(), vec![(3, number)]].concat());
        assert_eq!(choose(with_pfs, &answer).is_ok(), number == 14, "{number}");
        assert_eq!(choose(terms(), &answer), Err(OfferFault::NotOffered), "{number}");
    }
    assert_eq!(choose(with_pfs, &one(12, &esp_attributes())), Err(OfferFault::NotOffered));
    assert_eq!(choose(terms(), &one(12, &esp_attributes())).unwrap().pfs, None);
    let answer = one(12, &[esp_attributes(), vec![(3, 14)]].concat());
    assert_eq!(choose(with_pfs, &answer).unwrap().pfs, Some(Group::Modp2048));
}

#[test]
fn a_group_that_ikev1_has_no_number_for_is_no_offer() {
    let terms = Phase2Terms { pfs: Some(Group::Curve25519), ..terms() };
    assert_eq!(choose(terms, &one(12, &esp_attributes())), Err(OfferFault::NotOffered));
}

#[test]
fn every_algorithm_of_phase_2_has_its_number() {
    let hashes = [
        (Integrity::HmacSha1_96, 2),
        (Integrity::HmacSha256_128, 5),
        (Integrity::HmacSha256_96, 5),
        (Integrity::HmacSha384_192, 6),
        (Integrity::HmacSha512_256, 7),
    ];
    let ciphers = [
        (Cbc::TripleDes, 3, vec![]),
        (Cbc::Aes(AesKey::Aes128), 12, vec![(6, 128)]),
        (Cbc::Aes(AesKey::Aes192), 12, vec![(6, 192)]),
        (Cbc::Aes(AesKey::Aes256), 12, vec![(6, 256)]),
    ];
    let sizes = [(AesKey::Aes128, 128), (AesKey::Aes192, 192), (AesKey::Aes256, 256)];
    let icvs = [(GcmIcv::Eight, 18), (GcmIcv::Twelve, 19), (GcmIcv::Sixteen, 20)];
    let mut all: Vec<(Protection, u8, Attributes)> = Vec::new();
    for (encryption, id, length) in &ciphers {
        for (integrity, number) in hashes {
            let protection = Protection::CbcHmac { encryption: *encryption, integrity };
            all.push((protection, *id, [length.clone(), vec![(5, number)]].concat()));
        }
    }
    for (key, bits) in sizes {
        all.extend(icvs.map(|(icv, id)| (Protection::Aead(Aead::AesGcm(key, icv)), id, vec![(6, bits)])));
    }
    for (protection, id, attributes) in all {
        let offer = EspOffer {
            protection: match protection {
                Protection::Aead(aead) => ProtectionOffer::Aead(vec![aead]),
                Protection::CbcHmac { encryption, integrity } => {
                    ProtectionOffer::CbcHmac { encryption: vec![encryption], integrity: vec![integrity] }
                }
            },
            pfs: vec![],
            esn: EsnOffer::Without,
        };
        let answer = one(id, &[attributes, vec![(4, 3)]].concat());
        let choice = phase2_choice(&[offer], terms(), &answer).unwrap();
        let suite = EspSuite { protection, esn: false };
        assert_eq!(
            choice,
            Phase2Choice { suite, spi: theirs(), lifetime: terms().lifetime, pfs: None, answer: vec![] }
        );
    }
}

#[test]
fn k1_030_extended_sequence_numbers_are_taken_when_offered() {
    let gcm = |esn: &[(u16, u16)]| choose(terms(), &one(20, &[&[(6, 128), (4, 3)][..], esn].concat()));
    assert!(!gcm(&[]).unwrap().suite.esn);
    assert!(gcm(&[(11, 1)]).unwrap().suite.esn);
    assert_eq!(gcm(&[(11, 0)]), Err(OfferFault::NotOffered));
    assert_eq!(gcm(&[(11, 2)]), Err(OfferFault::NotOffered));
    let cbc = one(12, &[esp_attributes(), vec![(11, 1)]].concat());
    assert_eq!(choose(terms(), &cbc), Err(OfferFault::NotOffered));
}

#[test]
fn k1_024_the_encapsulation_mode_is_the_one_of_the_way_that_was_negotiated() {
    let draft = Phase2Terms { nat_traversal: NatTraversal::Draft, ..terms() };
    for mode in numbers() {
        let answer = one(12, &[(6, 256), (5, 5), (4, mode)]);
        assert_eq!(choose(terms(), &answer).is_ok(), mode == 3, "{mode}");
        assert_eq!(choose(draft, &answer).is_ok(), mode == 61_443, "{mode}");
    }
}

#[test]
fn k1_004_a_quick_mode_answer_with_an_attribute_added_left_out_or_altered_is_refused() {
    for place in 0..3 {
        let mut without = esp_attributes();
        without.remove(place);
        assert_eq!(choose(terms(), &one(12, &without)), Err(OfferFault::NotOffered));
        for value in (0..=300).chain([0x7fff, 0x8000, 61_443, 65_535]) {
            let mut altered = esp_attributes();
            altered[place].1 = value;
            let same = value == esp_attributes()[place].1 || (place, value) == (1, 2);
            assert_eq!(choose(terms(), &one(12, &altered)).is_ok(), same, "{place} {value}");
        }
    }
    for kind in (0..=100).chain([0x7fff]).filter(|kind| ![1, 2].contains(kind)) {
        let added = [esp_attributes(), vec![(kind, 1)]].concat();
        assert_eq!(choose(terms(), &one(12, &added)), Err(OfferFault::NotOffered), "{kind}");
    }
    let mut turned = esp_attributes();
    turned.reverse();
    assert_eq!(choose(terms(), &one(12, &turned)).unwrap().suite, aes_sha256());
}

#[test]
fn k1_004_a_quick_mode_answer_is_one_transform_of_one_esp_proposal_with_an_spi() {
    let good = esp(1, 12, &short(&esp_attributes()));
    assert!(choose(terms(), &body(std::slice::from_ref(&good))).is_ok());
    let (number, protocol, spi, transforms) = good.clone();
    let twice = [transforms.clone(), transforms.clone()].concat();
    for (fault, proposals) in [
        (OfferFault::NotOne, vec![good.clone(), good]),
        (OfferFault::NotOne, vec![(number, protocol, spi.clone(), twice)]),
        (OfferFault::NotOne, vec![(number, protocol, spi.clone(), vec![])]),
        (OfferFault::NotOffered, vec![(number, 2, spi.clone(), transforms.clone())]),
        (OfferFault::NotOffered, vec![(number, 1, spi, transforms.clone())]),
        (OfferFault::NotOffered, vec![(number, protocol, vec![], transforms.clone())]),
        (OfferFault::NotOffered, vec![(number, protocol, vec![9; 8], transforms.clone())]),
        (OfferFault::NotOffered, vec![(number, protocol, vec![0, 0, 0, 0], transforms.clone())]),
        (OfferFault::NotOffered, vec![(number, protocol, vec![0, 0, 0, 255], transforms)]),
    ] {
        assert_eq!(choose(terms(), &body(&proposals)), Err(fault), "{proposals:?}");
    }
}

#[test]
fn k1_028_hash_number_5_is_sha2_256_and_aes_has_its_key_length() {
    let answer = one(12, &esp_attributes());
    assert_eq!(choose(terms(), &answer).unwrap().suite, aes_sha256());
    let old = vec![EspOffer {
        protection: ProtectionOffer::CbcHmac {
            encryption: vec![Cbc::Aes(AesKey::Aes256)],
            integrity: vec![Integrity::HmacSha256_96],
        },
        pfs: vec![],
        esn: EsnOffer::Without,
    }];
    let protection = Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_96 };
    let choice = phase2_choice(&old, terms(), &answer).unwrap();
    assert_eq!(choice.suite, EspSuite { protection, esn: false });
    assert_eq!(choose(terms(), &one(12, &[(5, 5), (4, 3)])), Err(OfferFault::NotOffered));
    assert_eq!(choose(terms(), &one(3, &[(6, 192), (5, 5), (4, 3)])), Err(OfferFault::NotOffered));
}

#[test]
fn v_18_esp_transforms_of_every_number_and_key_length_are_offered_ones_or_refused() {
    let lengths = [None, Some(0), Some(1), Some(64), Some(128), Some(192), Some(256), Some(65_535)];
    let hashes = [None, Some(0), Some(1), Some(2), Some(5), Some(8), Some(65_535)];
    for id in 0..=255 {
        for length in lengths {
            for hash in hashes {
                let attributes: Attributes = length
                    .map(|bits| (6, bits))
                    .into_iter()
                    .chain(hash.map(|hash| (5, hash)))
                    .chain([(4, 3)])
                    .collect();
                let hashed = [Some(2), Some(5)].contains(&hash);
                let known = match (id, length) {
                    (12, Some(256)) | (3, None) => hashed,
                    (20, Some(128)) => hash.is_none(),
                    _ => false,
                };
                let answer = one(id, &attributes);
                assert_eq!(choose(terms(), &answer).is_ok(), known, "{id} {length:?} {hash:?}");
                assert_eq!(phase2_accept(&esp_offers(), terms(), &answer).is_ok(), known, "{id} {length:?} {hash:?}");
            }
        }
    }
}

#[test]
fn every_truncation_of_a_quick_mode_answer_is_malformed() {
    let good = one(12, &esp_attributes());
    for end in 0..good.len() {
        assert_eq!(choose(terms(), &good[..end]), Err(OfferFault::Malformed), "{end}");
        assert_eq!(phase2_accept(&esp_offers(), terms(), &good[..end]), Err(OfferFault::Malformed), "{end}");
    }
}
