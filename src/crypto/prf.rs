//! Pseudo-random functions (RFC 7296 §2.13, RFC 4868).

use zeroize::Zeroizing;

use crate::crypto::mac::Mac;
use crate::crypto::secret::Secret;

/// A keyed function used for key derivation and AUTH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
        let keyed = self.keyed(key);
        let mut octets = Zeroizing::new(Vec::with_capacity(len));
        let mut block: Option<Secret> = None;
        // RFC 7296 §2.13: the counter is one octet and starts at 1.
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
        (octets.len() == len).then(|| Secret::new(std::mem::take(&mut *octets)))
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
