//! Octets that must not be seen: wiped when dropped, not printed, not cloned, compared in constant time.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Key material. There is no `Clone` and no `PartialEq` on purpose.
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Takes the octets over; the caller's buffer becomes the secret's.
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets.into_boxed_slice()))
    }

    /// A copy of octets that stay with the caller.
    pub fn copy_of(octets: &[u8]) -> Self {
        Self::new(octets.to_vec())
    }

    /// The octets, for a computation.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Length in octets.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no octets.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Comparison that takes the same time wherever the difference is; lengths are not secret.
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} octets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_octets_match() {
        let secret = Secret::copy_of(b"three of a kind");
        assert!(secret.matches(b"three of a kind"));
        for other in [&b"three of a kine"[..], b"Three of a kind", b"three of a kin", b"three of a kinds", b""] {
            assert!(!secret.matches(other), "{other:?}");
        }
        assert!(Secret::copy_of(b"").matches(b"") && Secret::copy_of(b"").is_empty() && !secret.is_empty());
    }
}
