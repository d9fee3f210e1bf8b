//! Plain hashes, for what is named or fingerprinted. What must be kept from a forger needs a key: `prf` or `cipher`.

use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha256, Sha384, Sha512};

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hash {
    /// SHA-1, 20 octets; weak.
    Sha1,
    /// SHA-256, 32 octets.
    Sha256,
    /// SHA-384, 48 octets.
    Sha384,
    /// SHA-512, 64 octets.
    Sha512,
}

impl Hash {
    /// Octets of output.
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Whether `[security] allow_weak` is needed.
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::Sha1)
    }

    /// The hash of the parts one behind the other.
    pub fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Sha1 => sha1(parts).to_vec(),
            Self::Sha256 => over::<Sha256>(parts).finalize().to_vec(),
            Self::Sha384 => over::<Sha384>(parts).finalize().to_vec(),
            Self::Sha512 => over::<Sha512>(parts).finalize().to_vec(),
        }
    }
}

/// SHA-1 of the parts one behind the other, for NAT detection (RFC 7296 §2.23).
pub fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    over::<Sha1>(parts).finalize().into()
}

fn over<D: Digest>(parts: &[&[u8]]) -> D {
    let mut hash = D::new();
    for part in parts {
        hash.update(part);
    }
    hash
}
