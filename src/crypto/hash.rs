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

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// FIPS 180-4's example message "abc".
    #[test]
    fn the_hashes_of_abc() {
        let expected = [
            (Hash::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Hash::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                Hash::Sha384,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                Hash::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ];
        for (hash, digest) in expected {
            assert_eq!(hex(&hash.digest(&[b"a", b"", b"bc"])), digest);
            assert_eq!(hash.digest(&[]).len(), hash.output_len());
        }
        assert_eq!(hex(&sha1(&[b"ab", b"c"])), expected[0].1);
    }

    #[test]
    fn only_sha_1_has_to_be_allowed() {
        assert!(Hash::Sha1.is_weak());
        assert!([Hash::Sha256, Hash::Sha384, Hash::Sha512].iter().all(|hash| !hash.is_weak()));
    }
}
