//! Proposals as people write them, in strongSwan's notation: `aes256-sha256-modp2048`, `aes256gcm16-prfsha384-ecp384`.
//! It knows words and their order; it does not know numbers on the wire, nor which proposals an IKE version can carry.

use std::fmt;
use std::ops::Range;

use crate::crypto::cipher::{AesKey, GcmIcv};
use crate::sa::nearest::nearest;
use crate::sa::suite::{
    Aead, Cbc, EsnOffer, EspOffer, EspSuite, Group, IkeOffer, IkeSuite, Integrity, Prf, Protection, ProtectionOffer,
};

/// A proposal that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<T> {
    /// What it offers.
    pub offer: T,
    /// Its words that need `[security] allow_weak`.
    pub weak: Vec<WeakWord>,
}

/// A word of a proposal that is too weak to be used without saying so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeakWord {
    /// Octets of the proposal's text.
    pub span: Range<usize>,
    /// The word.
    pub word: &'static str,
    /// Why it is weak.
    pub why: &'static str,
}

/// What is wrong with a proposal, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotationError {
    /// Octets of the proposal's text; empty at its end when something is missing.
    pub span: Range<usize>,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No such word.
    Unknown {
        /// As written.
        word: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// A word that will never be accepted.
    Never {
        /// As written.
        word: String,
        /// Why, and what to use instead.
        why: &'static str,
    },
    /// An algorithm that exists but that vpnd does not have.
    NotBuilt {
        /// As written.
        word: String,
    },
    /// A word that means nothing in this kind of proposal.
    Misplaced {
        /// As written.
        word: &'static str,
        /// Why, and what to do.
        why: &'static str,
    },
    /// A kind of algorithm that the proposal lacks.
    Missing {
        /// What is missing, and what to add.
        what: &'static str,
    },
    /// Combined-mode and CBC ciphers in one proposal (RFC 7296 §3.3).
    Mixed,
    /// The same algorithm again.
    Twice {
        /// As written.
        word: String,
    },
    /// Nothing between two hyphens.
    Empty,
    /// A `!` at the end, from ipsec.conf.
    Strict,
    /// A comma, or a space.
    List,
}

impl Problem {
    /// The word to write instead, if there is one.
    pub fn suggestion(&self) -> Option<&'static str> {
        match self {
            Self::Unknown { nearest, .. } => *nearest,
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { word, .. } => write!(f, "unknown algorithm `{}`", shown(word)),
            Self::Never { word, why } => write!(f, "`{}` is never used: {why}", shown(word)),
            Self::NotBuilt { word } => write!(f, "`{}` is not built into vpnd", shown(word)),
            Self::Misplaced { word, why } => write!(f, "`{word}` does not belong here: {why}"),
            Self::Missing { what } => write!(f, "{what}"),
            Self::Mixed => f.write_str(
                "combined-mode ciphers (gcm, chacha20poly1305) and CBC ciphers cannot stand in one proposal: write two",
            ),
            Self::Twice { word } => write!(f, "`{}` stands here twice", shown(word)),
            Self::Empty => f.write_str("a word is missing between the hyphens"),
            Self::Strict => f.write_str("remove the `!`: vpnd always offers exactly what is written"),
            Self::List => f.write_str(
                "a proposal is one word per algorithm, joined by `-`: write several as a list, [\"...\", \"...\"]",
            ),
        }
    }
}

impl fmt::Display for NotationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.problem)?;
        match self.problem.suggestion() {
            Some(word) => write!(f, ", did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

/// Reads an IKE proposal. Without a PRF word the PRFs are those of the integrity words, which beside a combined-mode cipher mean
/// nothing else. Reports every mistake, in the order of the text.
pub fn parse_ike(text: &str) -> Result<Parsed<IkeOffer>, Vec<NotationError>> {
    let mut words = Words::read(text);
    for (span, word, meaning) in &words.all {
        if matches!(meaning, Word::Esn(_)) {
            let why = "sequence numbers are a matter of [esp] proposals";
            words.errors.push(NotationError { span: span.clone(), problem: Problem::Misplaced { word, why } });
        }
    }
    let mut prfs = words.pick(|word| if let Word::Prf(prf) = word { Some(prf) } else { None });
    if prfs.is_empty() {
        prfs = words.pick(|word| if let Word::Integrity(integrity) = word { Some(prf_of(integrity)) } else { None });
    }
    let groups = words.groups();
    let protection = words.protection();
    if groups.is_empty() {
        words.missing("a Diffie-Hellman group is missing: add one, such as `-modp2048` or `-ecp256`");
    }
    if prfs.is_empty() && matches!(protection, Some(ProtectionOffer::Aead(_))) {
        words.missing("a PRF is missing: a combined-mode cipher needs one, such as `-prfsha256`");
    }
    words.finish(protection.map(|protection| IkeOffer { protection, prfs, groups }))
}

/// Reads an ESP proposal. Groups are for perfect forward secrecy. Without `esn` or `noesn`, `esn` is what is offered. Integrity words
/// beside a combined-mode cipher mean nothing, as in strongSwan. Reports every mistake, in the order of the text.
pub fn parse_esp(text: &str, esn: EsnOffer) -> Result<Parsed<EspOffer>, Vec<NotationError>> {
    let mut words = Words::read(text);
    for (span, word, meaning) in &words.all {
        if matches!(meaning, Word::Prf(_)) {
            let why = "pseudo-random functions are a matter of [ike] proposals";
            words.errors.push(NotationError { span: span.clone(), problem: Problem::Misplaced { word, why } });
        }
    }
    let sizes = words.pick(|word| if let Word::Esn(long) = word { Some(long) } else { None });
    let esn = match (sizes.contains(&true), sizes.contains(&false)) {
        (true, true) => EsnOffer::Either,
        (true, false) => EsnOffer::Required,
        (false, true) => EsnOffer::Without,
        (false, false) => esn,
    };
    let pfs = words.groups();
    let protection = words.protection();
    words.finish(protection.map(|protection| EspOffer { protection, pfs, esn }))
}

/// The name of a Diffie-Hellman group by its IANA number, also of groups that vpnd does not have.
pub fn group_name(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "modp768",
        2 => "modp1024",
        5 => "modp1536",
        14 => "modp2048",
        15 => "modp3072",
        16 => "modp4096",
        17 => "modp6144",
        18 => "modp8192",
        19 => "ecp256",
        20 => "ecp384",
        21 => "ecp521",
        22 => "modp1024s160",
        23 => "modp2048s224",
        24 => "modp2048s256",
        25 => "ecp192",
        26 => "ecp224",
        27 => "ecp224bp",
        28 => "ecp256bp",
        29 => "ecp384bp",
        30 => "ecp512bp",
        31 => "curve25519",
        32 => "curve448",
        35 => "mlkem512",
        36 => "mlkem768",
        37 => "mlkem1024",
        _ => return None,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
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
const WORDS: &[(&str, Word)] = &[
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
    ("sha384", Word::Integrity(Integrity::HmacSha384_192)),
    ("sha512", Word::Integrity(Integrity::HmacSha512_256)),
    ("sha", Word::Integrity(Integrity::HmacSha1_96)),
    ("sha2_256", Word::Integrity(Integrity::HmacSha256_128)),
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
const TRUNCATED: &str = "96 bits of SHA-256 was never a standard; use sha256 on both sides";

const NEVER: &[(&str, &str)] = &[
    ("des", BROKEN_CIPHER),
    ("blowfish", BROKEN_CIPHER),
    ("null", NO_ENCRYPTION),
    ("md5", BROKEN_HASH),
    ("md5_128", BROKEN_HASH),
    ("prfmd5", BROKEN_HASH),
    ("sha256_96", TRUNCATED),
    ("sha2_256_96", TRUNCATED),
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

struct Words {
    all: Vec<(Range<usize>, &'static str, Word)>,
    errors: Vec<NotationError>,
    end: usize,
}

impl Words {
    fn read(text: &str) -> Self {
        let mut words = Self { all: Vec::new(), errors: Vec::new(), end: text.len() };
        let mut start = 0_usize;
        for written in text.split('-') {
            let span = start..start.saturating_add(written.len());
            start = span.end.saturating_add(1);
            match read_word(written) {
                Ok((_, meaning)) if words.all.iter().any(|(_, _, earlier)| *earlier == meaning) => {
                    words.errors.push(NotationError { span, problem: Problem::Twice { word: written.into() } });
                }
                Ok((word, meaning)) => words.all.push((span, word, meaning)),
                Err(problem) => words.errors.push(NotationError { span, problem }),
            }
        }
        words
    }

    fn pick<T: PartialEq>(&self, choose: impl Fn(Word) -> Option<T>) -> Vec<T> {
        let mut picked = Vec::new();
        for value in self.all.iter().filter_map(|(_, _, word)| choose(*word)) {
            if !picked.contains(&value) {
                picked.push(value);
            }
        }
        picked
    }

    fn groups(&self) -> Vec<Group> {
        self.pick(|word| if let Word::Group(group) = word { Some(group) } else { None })
    }

    fn protection(&mut self) -> Option<ProtectionOffer> {
        let aead = self.pick(|word| if let Word::Aead(aead) = word { Some(aead) } else { None });
        let encryption = self.pick(|word| if let Word::Cbc(cbc) = word { Some(cbc) } else { None });
        let integrity = self.pick(|word| if let Word::Integrity(integrity) = word { Some(integrity) } else { None });
        match (aead.is_empty(), encryption.is_empty(), integrity.is_empty()) {
            (false, true, _) => Some(ProtectionOffer::Aead(aead)),
            (true, false, false) => Some(ProtectionOffer::CbcHmac { encryption, integrity }),
            (false, false, _) => {
                self.errors.push(NotationError { span: 0..self.end, problem: Problem::Mixed });
                None
            }
            (true, false, true) => {
                self.missing("an integrity algorithm is missing: add one, such as `-sha256`");
                None
            }
            (true, true, _) => {
                self.missing("an encryption algorithm is missing: begin with one, such as `aes256gcm16` or `aes256`");
                None
            }
        }
    }

    /// Something is missing; not said when a word could not be read, which may have been it.
    fn missing(&mut self, what: &'static str) {
        if self.errors.is_empty() {
            self.errors.push(NotationError { span: self.end..self.end, problem: Problem::Missing { what } });
        }
    }

    fn finish<T>(mut self, offer: Option<T>) -> Result<Parsed<T>, Vec<NotationError>> {
        let weak = self.all.into_iter().filter_map(|(span, word, meaning)| {
            let why = weakness(meaning)?;
            Some(WeakWord { span, word, why })
        });
        match offer {
            Some(offer) if self.errors.is_empty() => Ok(Parsed { offer, weak: weak.collect() }),
            _ => {
                self.errors.sort_by_key(|error| error.span.start);
                Err(self.errors)
            }
        }
    }
}

fn read_word(written: &str) -> Result<(&'static str, Word), Problem> {
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

const fn weakness(word: Word) -> Option<&'static str> {
    match word {
        Word::Cbc(Cbc::TripleDes) => Some("64-bit blocks"),
        Word::Integrity(Integrity::HmacSha1_96) | Word::Prf(Prf::HmacSha1) => Some("SHA-1 is being phased out"),
        Word::Group(group) if group.is_weak() => Some("less than 112 bits of strength"),
        _ => None,
    }
}

const fn prf_of(integrity: Integrity) -> Prf {
    match integrity {
        Integrity::HmacSha1_96 => Prf::HmacSha1,
        Integrity::HmacSha256_128 => Prf::HmacSha256,
        Integrity::HmacSha384_192 => Prf::HmacSha384,
        Integrity::HmacSha512_256 => Prf::HmacSha512,
    }
}

fn shown(word: &str) -> String {
    let mut text: String = word.chars().take(40).collect::<String>().escape_debug().to_string();
    if word.chars().count() > 40 {
        text.push_str("...");
    }
    text
}

fn name(meaning: Word) -> &'static str {
    // AES-192-GCM can be written down as a suite but not in the notation, since it is never offered.
    WORDS.iter().find(|(_, word)| *word == meaning).map_or("aes192gcm", |(name, _)| name)
}

macro_rules! display_by_name {
    ($($type:ident => $word:expr),*) => { $(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(name($word(*self)))
            }
        }
    )* };
}

display_by_name!(Aead => Word::Aead, Cbc => Word::Cbc, Integrity => Word::Integrity, Prf => Word::Prf, Group => Word::Group);

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aead(aead) => write!(f, "{aead}"),
            Self::CbcHmac { encryption, integrity } => write!(f, "{encryption}-{integrity}"),
        }
    }
}

impl fmt::Display for ProtectionOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aead(aeads) => joined(f, "", aeads),
            Self::CbcHmac { encryption, integrity } => {
                joined(f, "", encryption)?;
                joined(f, "-", integrity)
            }
        }
    }
}

impl fmt::Display for IkeSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.protection)?;
        match self.protection {
            Protection::CbcHmac { integrity, .. } if prf_of(integrity) == self.prf => {}
            _ => write!(f, "-{}", self.prf)?,
        }
        write!(f, "-{}", self.group)
    }
}

impl fmt::Display for EspSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.protection, if self.esn { "-esn" } else { "" })
    }
}

impl fmt::Display for IkeOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.protection)?;
        match &self.protection {
            ProtectionOffer::CbcHmac { integrity, .. }
                if integrity.iter().copied().map(prf_of).eq(self.prfs.iter().copied()) => {}
            _ => joined(f, "-", &self.prfs)?,
        }
        joined(f, "-", &self.groups)
    }
}

impl fmt::Display for EspOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.protection)?;
        joined(f, "-", &self.pfs)?;
        f.write_str(match self.esn {
            EsnOffer::Without => "",
            EsnOffer::Either => "-esn-noesn",
            EsnOffer::Required => "-esn",
        })
    }
}

fn joined<T: fmt::Display>(f: &mut fmt::Formatter<'_>, before: &str, values: &[T]) -> fmt::Result {
    let mut separator = before;
    for value in values {
        write!(f, "{separator}{value}")?;
        separator = "-";
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for text in ["aes256gcm16", "aes192-sha512-ecp521", "aes256-sha384-esn", "chacha20poly1305-modp4096-esn-noesn"]
        {
            assert_eq!(esp(text).to_string(), text);
        }
        assert_eq!(ike("aes128gcm16-sha256-ecp256").to_string(), "aes128gcm16-prfsha256-ecp256");
        assert_eq!(esp("aes128gcm16-sha256-ecp256").to_string(), "aes128gcm16-ecp256");
    }

    #[test]
    fn suites_are_printed_like_proposals_of_one() {
        let protection =
            Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 };
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
        for word in
            ["des", "null", "md5", "prfmd5", "modp768", "modp1024s160", "modp2048s224", "modp2048s256", "sha256_96"]
        {
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
}
