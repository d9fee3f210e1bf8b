//! Pseudo-random functions (RFC 7296 §2.13, RFC 4868).

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
}
