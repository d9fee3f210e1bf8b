//! Secrets on their way into another process of vpnd's: the only form in which one is written down. It knows octets; it knows no file and no socket.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use zeroize::Zeroizing;

use crate::crypto::cipher::ProtectionKeys;
use crate::crypto::secret::Secret;

/// Octets of the longest key there is, several times over.
const LONGEST: usize = 512;

/// A secret that is written as hexadecimal digits. Whoever writes it sees to it that the text is wiped.
pub struct Carried(Secret);

impl Carried {
    /// A copy of a secret that stays.
    pub fn copy_of(secret: &Secret) -> Self {
        Self(Secret::copy_of(secret.expose()))
    }

    /// The secret, at the end of its way.
    pub fn into_secret(self) -> Secret {
        self.0
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The keys of one direction, on their way.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct CarriedKeys {
    encryption: Carried,
    integrity: Carried,
}

impl CarriedKeys {
    /// A copy of keys that stay.
    pub fn copy_of(keys: &ProtectionKeys) -> Self {
        let ProtectionKeys { encryption, integrity } = keys;
        Self { encryption: Carried::copy_of(encryption), integrity: Carried::copy_of(integrity) }
    }

    /// The keys, at the end of their way. Nothing says yet that they fit a suite.
    pub fn into_keys(self) -> ProtectionKeys {
        ProtectionKeys { encryption: self.encryption.into_secret(), integrity: self.integrity.into_secret() }
    }
}

impl Serialize for Carried {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
        let mut text = Zeroizing::new(String::with_capacity(self.0.len().saturating_mul(2)));
        for octet in self.0.expose() {
            text.push(digit(octet >> 4));
            text.push(digit(octet & 0xf));
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Carried {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Digits)
    }
}

struct Digits;

impl Visitor<'_> for Digits {
    type Value = Carried;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret in hexadecimal digits")
    }

    // What was read is never part of the error.
    fn visit_str<E: Error>(self, text: &str) -> Result<Carried, E> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() > LONGEST || !rest.is_empty() {
            return Err(E::custom("a secret of a length that none has"));
        }
        let mut octets = Zeroizing::new(Vec::with_capacity(pairs.len()));
        for [high, low] in pairs {
            let octet = value(*high).zip(value(*low)).map(|(high, low)| (high << 4) | low);
            octets.push(octet.ok_or_else(|| E::custom("a secret that is not written in hexadecimal digits"))?);
        }
        Ok(Carried(Secret::copy_of(&octets)))
    }
}

fn value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(all(test, feature = "daemon"))]
mod tests {
    use super::*;

    #[test]
    fn a_secret_arrives_as_it_left_and_shows_itself_to_nobody_else() {
        let secret = Secret::new((0..=255).collect());
        let carried = Carried::copy_of(&secret);
        assert_eq!(format!("{carried:?}"), "Secret(256 octets)");
        let text = serde_json::to_string(&carried).unwrap();
        assert!(text.starts_with("\"000102") && text.ends_with("fdfeff\""));
        assert!(serde_json::from_str::<Carried>(&text).unwrap().into_secret().matches(secret.expose()));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_repeated_in_the_error() {
        let too_long = format!("\"{}\"", "00".repeat(LONGEST + 1));
        for text in ["\"0\"", "\"0g\"", "\"0ü\"", "7", "null", &too_long] {
            let error = serde_json::from_str::<Carried>(text).unwrap_err().to_string();
            assert!(error.contains("secret") && !error.contains("0g") && !error.contains('ü'), "{error}");
        }
    }
}
