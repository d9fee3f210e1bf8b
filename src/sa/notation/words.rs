//! The words of the notation, and words that are known but refused.

use super::Problem;
use crate::crypto::cipher::{AesKey, GcmIcv};
use crate::sa::nearest::nearest;
use crate::sa::suite::{Aead, Cbc, Group, Integrity, Prf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Aead(Aead),
    Cbc(Cbc),
    Integrity(Integrity),
    Prf(Prf),
    Group(Group),
    Esn(bool),
}

const fn gcm(key: AesKey, icv: GcmIcv) -> Word {
    Word::Aead(Aead::AesGcm(key, icv))
}

/// The first of equal meanings is the one that is printed.
pub(super) const WORDS: &[(&str, Word)] = &[
    ("aes128", Word::Cbc(Cbc::Aes(AesKey::Aes128))),
    ("aes192", Word::Cbc(Cbc::Aes(AesKey::Aes192))),
    ("aes256", Word::Cbc(Cbc::Aes(AesKey::Aes256))),
    ("aes", Word::Cbc(Cbc::Aes(AesKey::Aes128))),
    ("3des", Word::Cbc(Cbc::TripleDes)),
    ("aes128gcm16", gcm(AesKey::Aes128, GcmIcv::Sixteen)),
    ("aes128gcm12", gcm(AesKey::Aes128, GcmIcv::Twelve)),
    ("aes128gcm8", gcm(AesKey::Aes128, GcmIcv::Eight)),
    ("aes256gcm16", gcm(AesKey::Aes256, GcmIcv::Sixteen)),
    ("aes256gcm12", gcm(AesKey::Aes256, GcmIcv::Twelve)),
    ("aes256gcm8", gcm(AesKey::Aes256, GcmIcv::Eight)),
    ("aes128gcm", gcm(AesKey::Aes128, GcmIcv::Sixteen)),
    ("aes128gcm128", gcm(AesKey::Aes128, GcmIcv::Sixteen)),
    ("aes128gcm96", gcm(AesKey::Aes128, GcmIcv::Twelve)),
    ("aes128gcm64", gcm(AesKey::Aes128, GcmIcv::Eight)),
    ("aes256gcm", gcm(AesKey::Aes256, GcmIcv::Sixteen)),
    ("aes256gcm128", gcm(AesKey::Aes256, GcmIcv::Sixteen)),
    ("aes256gcm96", gcm(AesKey::Aes256, GcmIcv::Twelve)),
    ("aes256gcm64", gcm(AesKey::Aes256, GcmIcv::Eight)),
    ("chacha20poly1305", Word::Aead(Aead::ChaCha20Poly1305)),
    ("sha1", Word::Integrity(Integrity::HmacSha1_96)),
    ("sha256", Word::Integrity(Integrity::HmacSha256_128)),
    ("sha256_96", Word::Integrity(Integrity::HmacSha256_96)),
    ("sha384", Word::Integrity(Integrity::HmacSha384_192)),
    ("sha512", Word::Integrity(Integrity::HmacSha512_256)),
    ("sha", Word::Integrity(Integrity::HmacSha1_96)),
    ("sha2_256", Word::Integrity(Integrity::HmacSha256_128)),
    ("sha2_256_96", Word::Integrity(Integrity::HmacSha256_96)),
    ("sha2_384", Word::Integrity(Integrity::HmacSha384_192)),
    ("sha2_512", Word::Integrity(Integrity::HmacSha512_256)),
    ("prfsha1", Word::Prf(Prf::HmacSha1)),
    ("prfsha256", Word::Prf(Prf::HmacSha256)),
    ("prfsha384", Word::Prf(Prf::HmacSha384)),
    ("prfsha512", Word::Prf(Prf::HmacSha512)),
    ("modp1024", Word::Group(Group::Modp1024)),
    ("modp1536", Word::Group(Group::Modp1536)),
    ("modp2048", Word::Group(Group::Modp2048)),
    ("modp3072", Word::Group(Group::Modp3072)),
    ("modp4096", Word::Group(Group::Modp4096)),
    ("ecp256", Word::Group(Group::Ecp256)),
    ("ecp384", Word::Group(Group::Ecp384)),
    ("ecp521", Word::Group(Group::Ecp521)),
    ("x25519", Word::Group(Group::Curve25519)),
    ("curve25519", Word::Group(Group::Curve25519)),
    ("esn", Word::Esn(true)),
    ("noesn", Word::Esn(false)),
];

const BROKEN_CIPHER: &str = "its key can be searched; use aes256 or aes256gcm16";
const BROKEN_HASH: &str = "MD5 is broken; use sha256";
const NO_ENCRYPTION: &str = "packets would travel in clear; use aes256gcm16";
const SMALL_GROUP: &str = "its discrete logarithms can be computed; use modp2048 or ecp256 (RFC 8247)";
const DSA_GROUP: &str = "small subgroups and untraceable primes; use modp2048 or ecp256 (RFC 8247)";

const NEVER: &[(&str, &str)] = &[
    ("des", BROKEN_CIPHER),
    ("blowfish", BROKEN_CIPHER),
    ("null", NO_ENCRYPTION),
    ("md5", BROKEN_HASH),
    ("md5_128", BROKEN_HASH),
    ("prfmd5", BROKEN_HASH),
    ("modp768", SMALL_GROUP),
    ("modp1024s160", DSA_GROUP),
    ("modp2048s224", DSA_GROUP),
    ("modp2048s256", DSA_GROUP),
];

/// Beginnings of words of strongSwan's that vpnd has no algorithm for.
const NOT_BUILT: &[&str] = &[
    "aes128ctr",
    "aes192ctr",
    "aes256ctr",
    "aes128ccm",
    "aes192ccm",
    "aes256ccm",
    "aes192gcm",
    "aes128gmac",
    "aes192gmac",
    "aes256gmac",
    "camellia",
    "cast128",
    "aesxcbc",
    "aescmac",
    "prfaesxcbc",
    "prfaescmac",
    "sha1_160",
    "modp6144",
    "modp8192",
    "modpnull",
    "ecp192",
    "ecp224",
    "ecp256bp",
    "ecp384bp",
    "ecp512bp",
    "x448",
    "curve448",
    "mlkem",
    "ke1_",
    "ke2_",
    "ke3_",
    "ke4_",
    "ke5_",
    "ke6_",
    "ke7_",
];

pub(super) fn read_word(written: &str) -> Result<(&'static str, Word), Problem> {
    if let Some(known) = WORDS.iter().find(|(word, _)| *word == written) {
        return Ok(*known);
    }
    let word = written.to_owned();
    if written.is_empty() {
        Err(Problem::Empty)
    } else if written.contains([',', ' ', '\t']) {
        Err(Problem::List)
    } else if written.ends_with('!') {
        Err(Problem::Strict)
    } else if let Some((_, why)) = NEVER.iter().find(|(never, _)| *never == written) {
        Err(Problem::Never { word, why })
    } else if NOT_BUILT.iter().any(|beginning| written.starts_with(beginning)) {
        Err(Problem::NotBuilt { word })
    } else {
        let nearest = nearest(written, WORDS.iter().map(|(word, _)| *word));
        Err(Problem::Unknown { word, nearest })
    }
}

pub(super) const fn weakness(word: Word) -> Option<&'static str> {
    match word {
        Word::Cbc(Cbc::TripleDes) => Some("64-bit blocks"),
        Word::Integrity(Integrity::HmacSha1_96) | Word::Prf(Prf::HmacSha1) => Some("SHA-1 is being phased out"),
        Word::Integrity(Integrity::HmacSha256_96) => Some("96 bits of SHA-256 was never a standard"),
        Word::Group(group) if group.is_weak() => Some("less than 112 bits of strength"),
        _ => None,
    }
}

pub(super) const fn prf_of(integrity: Integrity) -> Prf {
    match integrity {
        Integrity::HmacSha1_96 => Prf::HmacSha1,
        Integrity::HmacSha256_96 | Integrity::HmacSha256_128 => Prf::HmacSha256,
        Integrity::HmacSha384_192 => Prf::HmacSha384,
        Integrity::HmacSha512_256 => Prf::HmacSha512,
    }
}
