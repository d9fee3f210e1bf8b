//! Diffie-Hellman groups. Every public value from outside is checked before it is used (RFC 6989 §2).

use serde::{Deserialize, Serialize};

mod ecp;
mod modp;
mod x25519;

use std::fmt;

use crate::crypto::random::Random;
use crate::crypto::secret::Secret;

/// A group by its usual name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Group {
    /// 1024-bit MODP, group 2; weak.
    Modp1024,
    /// 1536-bit MODP, group 5; weak.
    Modp1536,
    /// 2048-bit MODP, group 14 (RFC 3526 §3).
    Modp2048,
    /// 3072-bit MODP, group 15 (RFC 3526 §4).
    Modp3072,
    /// 4096-bit MODP, group 16 (RFC 3526 §5).
    Modp4096,
    /// NIST P-256, group 19 (RFC 5903 §3.1).
    Ecp256,
    /// NIST P-384, group 20 (RFC 5903 §3.2).
    Ecp384,
    /// NIST P-521, group 21 (RFC 5903 §3.3).
    Ecp521,
    /// X25519, group 31 (RFC 8031).
    Curve25519,
}

impl Group {
    /// Exact length of a public value in octets.
    pub const fn public_len(self) -> usize {
        match self {
            Self::Modp1024 => 128,
            Self::Modp1536 => 192,
            Self::Modp2048 => 256,
            Self::Modp3072 => 384,
            Self::Modp4096 => 512,
            Self::Ecp256 => 64,
            Self::Ecp384 => 96,
            Self::Ecp521 => 132,
            Self::Curve25519 => 32,
        }
    }

    /// Whether `[security] allow_weak` is needed.
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::Modp1024 | Self::Modp1536)
    }
}

/// A peer's public value that must not be used: wrong length, out of range, not on the curve, or of small order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPublic;

/// Why a half-open secret did not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfOpenError {
    /// The peer's public value must not be used; this did not count as an agreement.
    InvalidPublic,
    /// It agreed `HalfOpenSecret::MOST_AGREEMENTS` times already.
    Exhausted,
}

/// The secret half of a key pair made for one exchange. Agreeing consumes it.
pub struct EphemeralSecret {
    group: Group,
    key: Key,
    public: Vec<u8>,
}

enum Key {
    Modp(modp::Exponent),
    Ecp(ecp::Scalar),
    Curve25519(x25519::Scalar),
}

impl EphemeralSecret {
    /// A new key pair.
    pub fn generate(group: Group, random: &mut dyn Random) -> Self {
        let (key, public) = match group {
            Group::Modp1024 => modp_pair(modp::Prime::Modp1024, random),
            Group::Modp1536 => modp_pair(modp::Prime::Modp1536, random),
            Group::Modp2048 => modp_pair(modp::Prime::Modp2048, random),
            Group::Modp3072 => modp_pair(modp::Prime::Modp3072, random),
            Group::Modp4096 => modp_pair(modp::Prime::Modp4096, random),
            Group::Ecp256 => ecp_pair(ecp::Scalar::generate_p256(random)),
            Group::Ecp384 => ecp_pair(ecp::Scalar::generate_p384(random)),
            Group::Ecp521 => ecp_pair(ecp::Scalar::generate_p521(random)),
            Group::Curve25519 => {
                let scalar = x25519::Scalar::generate(random);
                let public = scalar.public();
                (Key::Curve25519(scalar), public)
            }
        };
        Self { group, key, public }
    }

    /// The group of the key pair.
    pub fn group(&self) -> Group {
        self.group
    }

    /// The public value to send; `Group::public_len` octets.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The shared secret. For a MODP group it is as long as the prime (RFC 7296 §2.14), for an ECP group it is the x coordinate (RFC 5903 §9).
    pub fn agree(self, peer: &[u8]) -> Result<Secret, InvalidPublic> {
        self.agree_by_reference(peer)
    }

    /// Keeps the secret for the several answers that a first request may get (RFC 7296 §2.4).
    pub fn into_half_open(self) -> HalfOpenSecret {
        HalfOpenSecret { secret: self, agreements_left: HalfOpenSecret::MOST_AGREEMENTS }
    }

    fn agree_by_reference(&self, peer: &[u8]) -> Result<Secret, InvalidPublic> {
        if peer.len() != self.group.public_len() {
            return Err(InvalidPublic);
        }
        match &self.key {
            Key::Modp(exponent) => exponent.agree(peer),
            Key::Ecp(scalar) => scalar.agree(peer),
            Key::Curve25519(scalar) => scalar.agree(peer),
        }
        .ok_or(InvalidPublic)
    }
}

impl fmt::Debug for EphemeralSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EphemeralSecret").field("group", &self.group).finish_non_exhaustive()
    }
}

/// The secret half of a key pair that may agree with a few peers of which at most one turns out to be the right one.
#[derive(Debug)]
pub struct HalfOpenSecret {
    secret: EphemeralSecret,
    agreements_left: u8,
}

impl HalfOpenSecret {
    /// Agreements before the secret is used up.
    pub const MOST_AGREEMENTS: u8 = 4;

    /// The group of the key pair.
    pub fn group(&self) -> Group {
        self.secret.group()
    }

    /// The public value that was sent.
    pub fn public(&self) -> &[u8] {
        self.secret.public()
    }

    /// As `EphemeralSecret::agree`, a limited number of times. An invalid public value costs none of them.
    pub fn agree(&mut self, peer: &[u8]) -> Result<Secret, HalfOpenError> {
        let left = self.agreements_left.checked_sub(1).ok_or(HalfOpenError::Exhausted)?;
        let agreed = self.secret.agree_by_reference(peer).map_err(|InvalidPublic| HalfOpenError::InvalidPublic)?;
        self.agreements_left = left;
        Ok(agreed)
    }
}

fn modp_pair(prime: modp::Prime, random: &mut dyn Random) -> (Key, Vec<u8>) {
    let exponent = modp::Exponent::generate(prime, random);
    let public = exponent.public();
    (Key::Modp(exponent), public)
}

fn ecp_pair(scalar: ecp::Scalar) -> (Key, Vec<u8>) {
    let public = scalar.public();
    (Key::Ecp(scalar), public)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::SeededRandom;

    const ALL: [Group; 9] = [
        Group::Modp1024,
        Group::Modp1536,
        Group::Modp2048,
        Group::Modp3072,
        Group::Modp4096,
        Group::Ecp256,
        Group::Ecp384,
        Group::Ecp521,
        Group::Curve25519,
    ];

    fn secret_len(group: Group) -> usize {
        match group {
            Group::Ecp256 | Group::Ecp384 | Group::Ecp521 => group.public_len() / 2,
            _ => group.public_len(),
        }
    }

    #[test]
    fn both_sides_agree_on_a_secret_of_the_groups_length() {
        let mut random = SeededRandom::new(1);
        for group in ALL {
            let ours = EphemeralSecret::generate(group, &mut random);
            let theirs = EphemeralSecret::generate(group, &mut random);
            assert_ne!(ours.public(), theirs.public());
            assert_eq!(ours.public().len(), group.public_len());
            let (our_public, their_public) = (ours.public().to_vec(), theirs.public().to_vec());
            let shared = ours.agree(&their_public).unwrap();
            assert_eq!(shared.len(), secret_len(group));
            assert!(shared.matches(theirs.agree(&our_public).unwrap().expose()));
        }
    }

    #[test]
    fn c_01_c_03_a_public_value_of_another_length_is_invalid() {
        let mut random = SeededRandom::new(2);
        for group in ALL {
            let genuine = EphemeralSecret::generate(group, &mut random).public().to_vec();
            let shorter = &genuine[1..];
            let longer = [&[0], genuine.as_slice()].concat();
            let with_format = [&[4], genuine.as_slice()].concat();
            for public in [shorter, &longer, &with_format, &[]] {
                let ours = EphemeralSecret::generate(group, &mut random);
                assert_eq!(ours.agree(public).unwrap_err(), InvalidPublic, "{group:?}");
            }
        }
    }

    #[test]
    fn k2_036_a_half_open_secret_agrees_four_times_and_junk_costs_none() {
        let mut random = SeededRandom::new(3);
        for group in ALL {
            let mut ours = EphemeralSecret::generate(group, &mut random).into_half_open();
            let our_public = ours.public().to_vec();
            for _ in 0..HalfOpenSecret::MOST_AGREEMENTS {
                assert_eq!(ours.agree(&vec![0; group.public_len()]).unwrap_err(), HalfOpenError::InvalidPublic);
                let theirs = EphemeralSecret::generate(group, &mut random);
                let shared = ours.agree(theirs.public()).unwrap();
                assert!(shared.matches(theirs.agree(&our_public).unwrap().expose()));
            }
            let theirs = EphemeralSecret::generate(group, &mut random);
            assert_eq!(ours.agree(theirs.public()).unwrap_err(), HalfOpenError::Exhausted);
        }
    }

    #[test]
    fn what_is_printed_of_a_secret_is_its_group() {
        let secret = EphemeralSecret::generate(Group::Ecp256, &mut SeededRandom::new(4));
        assert_eq!(format!("{secret:?}"), "EphemeralSecret { group: Ecp256, .. }");
    }
}
