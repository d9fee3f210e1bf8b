//! Proposals as people write them, in strongSwan's notation: `aes256-sha256-modp2048`, `aes256gcm16-prfsha384-ecp384`.
//! It knows words, their order, and which of them IKEv1 lacks; it does not know numbers on the wire.

mod display;
mod words;

use std::fmt;
use std::ops::Range;

use crate::sa::suite::{Aead, EsnOffer, EspOffer, Group, IkeOffer, Integrity, ProtectionOffer};
use words::{Word, prf_of, read_word, weakness};

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
        if matches!(meaning, Word::Integrity(Integrity::HmacSha256_96)) {
            let why = "only ESP of old routers cuts SHA-256 to 96 bits, write `sha256`";
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

/// Reads an ESP proposal for IKEv2.
///
/// # Errors
/// Every mistake, in the order of the text.
pub fn parse_child(text: &str, esn: EsnOffer) -> Result<Parsed<EspOffer>, Vec<NotationError>> {
    refuse(text, parse_esp(text, esn), |word| match word {
        Word::Integrity(Integrity::HmacSha256_96) => {
            Some("IKEv2 has no number for it; use sha256, or IKEv1 if the router knows nothing else")
        }
        _ => None,
    })
}

/// Reads a proposal for phase 1 of IKEv1: an IKE proposal whose hash, named by the integrity word, is that of the PRF, too.
///
/// # Errors
/// Every mistake, in the order of the text.
pub fn parse_phase_1(text: &str) -> Result<Parsed<IkeOffer>, Vec<NotationError>> {
    refuse(text, parse_ike(text), |word| match word {
        Word::Aead(_) => Some("phase 1 of IKEv1 has no combined-mode ciphers; use aes256 with sha256"),
        Word::Prf(_) => Some("the PRF of IKEv1 is that of the hash; remove it"),
        Word::Group(Group::Curve25519) => Some("IKEv1 has no number for this group; use ecp256 or modp2048"),
        _ => None,
    })
}

/// Reads a proposal for quick mode of IKEv1.
///
/// # Errors
/// Every mistake, in the order of the text.
pub fn parse_phase_2(text: &str, esn: EsnOffer) -> Result<Parsed<EspOffer>, Vec<NotationError>> {
    refuse(text, parse_esp(text, esn), |word| match word {
        Word::Aead(Aead::ChaCha20Poly1305) => Some("IKEv1 has no number for this cipher; use aes256gcm16"),
        Word::Group(Group::Curve25519) => Some("IKEv1 has no number for this group; use ecp256 or modp2048"),
        _ => None,
    })
}

/// Adds the words that have no place to the mistakes of a proposal; what is missing because of them is not said.
fn refuse<T>(
    text: &str,
    parsed: Result<Parsed<T>, Vec<NotationError>>,
    why_not: impl Fn(Word) -> Option<&'static str>,
) -> Result<Parsed<T>, Vec<NotationError>> {
    let misplaced = Words::read(text).all.into_iter().filter_map(|(span, word, meaning)| {
        let why = why_not(meaning)?;
        Some(NotationError { span, problem: Problem::Misplaced { word, why } })
    });
    let misplaced: Vec<NotationError> = misplaced.collect();
    if misplaced.is_empty() {
        return parsed;
    }
    let others = parsed.err().unwrap_or_default();
    let others = others.into_iter().filter(|error| !matches!(error.problem, Problem::Missing { .. }));
    let mut errors: Vec<NotationError> = misplaced.into_iter().chain(others).collect();
    errors.sort_by_key(|error| error.span.start);
    Err(errors)
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

fn shown(word: &str) -> String {
    let mut text: String = word.chars().take(40).collect::<String>().escape_debug().to_string();
    if word.chars().count() > 40 {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests;
