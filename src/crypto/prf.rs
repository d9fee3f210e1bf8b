//! Pseudo-random functions (RFC 7296 §2.13, RFC 4868).

use serde::{Deserialize, Serialize};

use zeroize::Zeroizing;

use crate::crypto::mac::Mac;
use crate::crypto::secret::Secret;

/// A keyed function used for key derivation and AUTH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Prf {
    /// HMAC-SHA-1, 20 octets.
    HmacSha1,
    /// HMAC-SHA-256, 32 octets.
    HmacSha256,
    /// HMAC-SHA-384, 48 octets.
    HmacSha384,
    /// HMAC-SHA-512, 64 octets.
    HmacSha512,
}

impl Prf {
    /// Octets of output, and of the keys made for it (RFC 7296 §2.13).
    pub const fn output_len(self) -> usize {
        match self {
            Self::HmacSha1 => 20,
            Self::HmacSha256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
        }
    }

    /// Whether `[security] allow_weak` is needed.
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::HmacSha1)
    }

    /// prf(key, parts one behind the other). The key has any length, as an HMAC's does.
    pub fn compute(self, key: &[u8], parts: &[&[u8]]) -> Secret {
        self.keyed(key).over(parts)
    }

    /// prf+(key, seed parts one behind the other), cut to `len` octets (RFC 7296 §2.13); `None` past 255 blocks.
    pub fn plus(self, key: &[u8], seed: &[&[u8]], len: usize) -> Option<Secret> {
        // RFC 7296 §2.13: the counter is one octet, so there is no 256th block.
        if len > self.output_len().saturating_mul(usize::from(u8::MAX)) {
            return None;
        }
        let keyed = self.keyed(key);
        let mut octets = Zeroizing::new(Vec::with_capacity(len));
        let mut block: Option<Secret> = None;
        for counter in 1..=u8::MAX {
            let wanted = len.saturating_sub(octets.len());
            if wanted == 0 {
                break;
            }
            let mut parts = Vec::with_capacity(seed.len().saturating_add(2));
            parts.extend(block.as_ref().map(Secret::expose));
            parts.extend_from_slice(seed);
            let last = [counter];
            parts.push(&last);
            let next = keyed.over(&parts);
            octets.extend(next.expose().iter().take(wanted));
            block = Some(next);
        }
        Some(Secret::new(std::mem::take(&mut *octets)))
    }

    fn keyed(self, key: &[u8]) -> Mac {
        match self {
            Self::HmacSha1 => Mac::sha1(key),
            Self::HmacSha256 => Mac::sha256(key),
            Self::HmacSha384 => Mac::sha384(key),
            Self::HmacSha512 => Mac::sha512(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Prf; 4] = [Prf::HmacSha1, Prf::HmacSha256, Prf::HmacSha384, Prf::HmacSha512];

    #[test]
    fn prf_plus_ends_after_255_blocks() {
        for prf in ALL {
            let most = prf.output_len() * 255;
            assert_eq!(prf.plus(b"key", &[b"seed"], most).unwrap().len(), most);
            assert!(prf.plus(b"key", &[b"seed"], most + 1).is_none());
            assert!(prf.plus(b"key", &[b"seed"], usize::MAX).is_none());
            assert!(prf.plus(b"key", &[b"seed"], 0).unwrap().is_empty());
        }
    }

    proptest! {
        /// RFC 7296 §2.13, written out: T1 = prf(K, S | 0x01), T2 = prf(K, T1 | S | 0x02), and so on.
        #[test]
        fn prf_plus_is_a_chain_of_prfs(key: Vec<u8>, seed: Vec<u8>, cut: prop::sample::Index, len in 0..600_usize) {
            for prf in ALL {
                let mut chain = vec![];
                let mut block = vec![];
                for counter in 1..=30 {
                    block = prf.compute(&key, &[&block, &seed, &[counter]]).expose().to_vec();
                    chain.extend_from_slice(&block);
                }
                let (one, other) = seed.split_at(cut.index(seed.len() + 1));
                let plus = prf.plus(&key, &[one, other], len).unwrap();
                prop_assert_eq!(plus.expose(), &chain[..len]);
            }
        }

        #[test]
        fn parts_are_taken_one_behind_the_other(key: Vec<u8>, parts: Vec<Vec<u8>>) {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            for prf in ALL {
                let whole = prf.compute(&key, &[&parts.concat()]);
                prop_assert!(prf.compute(&key, &parts).matches(whole.expose()));
            }
        }
    }

    #[test]
    fn only_hmac_sha_1_has_to_be_allowed() {
        assert!(Prf::HmacSha1.is_weak());
        assert!([Prf::HmacSha256, Prf::HmacSha384, Prf::HmacSha512].iter().all(|prf| !prf.is_weak()));
    }
}
