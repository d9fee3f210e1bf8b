//! Diffie-Hellman groups. Every public value from outside is checked before it is used (RFC 6989 §2).

/// A group by its usual name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
