//! Suites and offers as they are written in configurations.

use std::fmt;

use super::words::{WORDS, Word, prf_of};
use crate::sa::suite::{
    Aead, Cbc, EsnOffer, EspOffer, EspSuite, Group, IkeOffer, IkeSuite, Integrity, Prf, Protection, ProtectionOffer,
};

pub(super) fn name(meaning: Word) -> &'static str {
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
