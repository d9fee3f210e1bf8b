use super::display::name;
use super::words::WORDS;
use super::*;
use crate::crypto::cipher::{AesKey, GcmIcv};
use crate::sa::suite::{Aead, Cbc, EspSuite, IkeSuite, Integrity, Prf, Protection};

fn ike(text: &str) -> IkeOffer {
    parse_ike(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}")).offer
}

fn esp(text: &str) -> EspOffer {
    parse_esp(text, EsnOffer::Without).unwrap_or_else(|errors| panic!("{text}: {errors:?}")).offer
}

fn ike_errors(text: &str) -> Vec<(Range<usize>, String)> {
    let errors = parse_ike(text).map(|parsed| parsed.offer).expect_err(text);
    errors.into_iter().map(|error| (error.span.clone(), error.to_string())).collect()
}

#[test]
fn a_proposal_is_read_as_strongswan_reads_it() {
    assert_eq!(
        ike("aes256-aes128-sha256-sha1-modp2048-ecp256"),
        IkeOffer {
            protection: ProtectionOffer::CbcHmac {
                encryption: vec![Cbc::Aes(AesKey::Aes256), Cbc::Aes(AesKey::Aes128)],
                integrity: vec![Integrity::HmacSha256_128, Integrity::HmacSha1_96],
            },
            prfs: vec![Prf::HmacSha256, Prf::HmacSha1],
            groups: vec![Group::Modp2048, Group::Ecp256],
        }
    );
    assert_eq!(
        ike("aes256gcm16-chacha20poly1305-prfsha384-curve25519"),
        IkeOffer {
            protection: ProtectionOffer::Aead(vec![
                Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen),
                Aead::ChaCha20Poly1305
            ]),
            prfs: vec![Prf::HmacSha384],
            groups: vec![Group::Curve25519],
        }
    );
    assert_eq!(ike("aes256-sha256-prfsha512-modp2048").prfs, [Prf::HmacSha512]);
    assert_eq!(ike("aes128gcm16-sha256-ecp256").prfs, [Prf::HmacSha256]);
}

#[test]
fn an_esp_proposal_has_groups_only_for_forward_secrecy() {
    let with = esp("aes256-sha256-modp2048");
    assert_eq!((with.pfs, with.esn), (vec![Group::Modp2048], EsnOffer::Without));
    assert_eq!(esp("aes128gcm16").pfs, []);
    assert_eq!(esp("aes128gcm16-esn").esn, EsnOffer::Required);
    assert_eq!(esp("aes128gcm16-esn-noesn").esn, EsnOffer::Either);
    assert_eq!(parse_esp("aes128gcm16", EsnOffer::Either).unwrap().offer.esn, EsnOffer::Either);
    assert_eq!(parse_esp("aes128gcm16-noesn", EsnOffer::Either).unwrap().offer.esn, EsnOffer::Without);
}

#[test]
fn every_word_means_one_thing_and_every_alias_its_canonical_word() {
    for (alias, canonical) in [
        ("aes", "aes128"),
        ("aes256gcm", "aes256gcm16"),
        ("aes128gcm96", "aes128gcm12"),
        ("sha2_256", "sha256"),
        ("sha", "sha1"),
        ("curve25519", "x25519"),
    ] {
        let meaning = |text| read_word(text).unwrap().1;
        assert_eq!(meaning(alias), meaning(canonical));
        assert_eq!(name(meaning(alias)), canonical);
    }
    for (index, (word, _)) in WORDS.iter().enumerate() {
        assert!(WORDS.iter().skip(index + 1).all(|(other, _)| other != word), "{word}");
    }
}

#[test]
fn what_is_printed_reads_back_as_the_same() {
    for text in [
        "aes256-sha256-modp2048",
        "aes256-aes128-sha256-sha1-modp2048-ecp256",
        "aes256gcm16-prfsha384-ecp384",
        "chacha20poly1305-prfsha256-x25519",
        "aes128gcm8-aes128gcm12-prfsha1-modp1024",
        "3des-sha1-prfsha256-modp1536",
    ] {
        assert_eq!(ike(text).to_string(), text);
    }
    for text in ["aes256gcm16", "aes192-sha512-ecp521", "aes256-sha384-esn", "chacha20poly1305-modp4096-esn-noesn"] {
        assert_eq!(esp(text).to_string(), text);
    }
    assert_eq!(ike("aes128gcm16-sha256-ecp256").to_string(), "aes128gcm16-prfsha256-ecp256");
    assert_eq!(esp("aes128gcm16-sha256-ecp256").to_string(), "aes128gcm16-ecp256");
}

#[test]
fn suites_are_printed_like_proposals_of_one() {
    let protection = Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 };
    let ike = |prf| IkeSuite { protection, prf, group: Group::Modp2048 }.to_string();
    assert_eq!(ike(Prf::HmacSha256), "aes256-sha256-modp2048");
    assert_eq!(ike(Prf::HmacSha512), "aes256-sha256-prfsha512-modp2048");
    let aead = Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen));
    let suite = IkeSuite { protection: aead, prf: Prf::HmacSha384, group: Group::Ecp384 };
    assert_eq!(suite.to_string(), "aes256gcm16-prfsha384-ecp384");
    assert_eq!(EspSuite { protection: aead, esn: true }.to_string(), "aes256gcm16-esn");
    assert_eq!(EspSuite { protection, esn: false }.to_string(), "aes256-sha256");
}

#[test]
fn every_mistake_is_told_with_its_place() {
    assert_eq!(
        ike_errors("aes265-sha265-modp2048"),
        [
            (0..6, "unknown algorithm `aes265`, did you mean `aes256`?".to_owned()),
            (7..13, "unknown algorithm `sha265`, did you mean `sha256`?".to_owned()),
        ]
    );
    for (text, span, said) in [
        ("aes256-sha256", 13..13, "group is missing"),
        ("aes256-modp2048", 15..15, "integrity algorithm is missing"),
        ("sha256-modp2048", 15..15, "encryption algorithm is missing"),
        ("aes256gcm16-modp2048", 20..20, "PRF is missing"),
        ("aes256-aes128gcm16-sha256-modp2048", 0..34, "write two"),
        ("aes256-sha256-modp2048!", 14..23, "remove the `!`"),
        ("aes256-sha256-modp2048,aes128-sha256-modp2048", 14..29, "as a list"),
        ("aes256--modp2048", 7..7, "between the hyphens"),
        ("", 0..0, "between the hyphens"),
        ("aes256-aes256-sha256-modp2048", 7..13, "twice"),
        ("aes256-sha256-modp2048-esn", 23..26, "[esp]"),
        ("aes256ctr-sha256-modp2048", 0..9, "not built"),
        ("aes256gcm16-prfsha256-ke1_mlkem768", 22..34, "not built"),
    ] {
        let errors = ike_errors(text);
        assert_eq!(errors[0].0, span, "{text}");
        assert!(errors[0].1.contains(said), "{text}: {errors:?}");
    }
    let errors = parse_esp("aes256-sha256-prfsha256", EsnOffer::Without).unwrap_err();
    assert!(errors[0].to_string().contains("[ike]"));
}

#[test]
fn c_02_c_06_broken_algorithms_have_no_name() {
    for word in ["des", "null", "md5", "prfmd5", "modp768", "modp1024s160", "modp2048s224", "modp2048s256"] {
        assert!(matches!(read_word(word), Err(Problem::Never { .. })), "{word}");
    }
}

#[test]
fn c_07_nothing_is_encrypted_without_integrity() {
    assert!(parse_esp("aes256", EsnOffer::Without).is_err());
    assert!(parse_esp("aes256-modp2048", EsnOffer::Without).is_err());
    assert!(parse_esp("sha256", EsnOffer::Without).is_err());
}

#[test]
fn sha_256_cut_to_96_bits_is_weak_and_for_esp_only() {
    let parsed = parse_esp("aes256-sha256_96", EsnOffer::Without).unwrap();
    assert_eq!(parsed.weak.iter().map(|weak| weak.word).collect::<Vec<_>>(), ["sha256_96"]);
    assert_eq!(parsed.offer.to_string(), "aes256-sha256_96");
    assert!(ike_errors("aes256-sha256_96-modp2048")[0].1.contains("`sha256`"));
}

#[test]
fn weak_words_are_marked_where_they_stand() {
    let parsed = parse_ike("3des-aes128-sha1-sha256-modp1024-modp1536-modp2048").unwrap();
    let marks: Vec<_> = parsed.weak.iter().map(|weak| (weak.span.clone(), weak.word)).collect();
    assert_eq!(marks, [(0..4, "3des"), (12..16, "sha1"), (24..32, "modp1024"), (33..41, "modp1536")]);
    assert_eq!(parse_ike("aes128gcm16-prfsha1-ecp256").unwrap().weak.len(), 1);
    assert!(parse_ike("aes256-sha256-modp2048").unwrap().weak.is_empty());
}

#[test]
fn a_strange_word_is_shown_escaped_and_cut() {
    let errors = ike_errors(&format!("\u{1b}[31m{}", "a".repeat(100)));
    assert!(!errors[0].1.contains('\u{1b}') && errors[0].1.len() < 120, "{errors:?}");
}
