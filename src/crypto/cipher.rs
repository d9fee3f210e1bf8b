//! Authenticated protection of a text: either an AEAD, or CBC with an HMAC (encrypt, then MAC). ESP and IKE use the same ones.

use crate::crypto::secret::Secret;

/// An AES key length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AesKey {
    /// 128 bits.
    Aes128,
    /// 192 bits.
    Aes192,
    /// 256 bits.
    Aes256,
}

impl AesKey {
    /// Octets.
    pub const fn len(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }
}

/// Octets of a GCM integrity check value (RFC 4106 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GcmIcv {
    /// 8 octets.
    Eight,
    /// 12 octets.
    Twelve,
    /// 16 octets.
    Sixteen,
}

impl GcmIcv {
    /// Octets.
    pub const fn len(self) -> usize {
        match self {
            Self::Eight => 8,
            Self::Twelve => 12,
            Self::Sixteen => 16,
        }
    }
}

/// A combined-mode cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aead {
    /// AES-GCM with an 8-octet explicit IV (RFC 4106, RFC 5282). Only 128 and 256 bit keys are offered.
    AesGcm(AesKey, GcmIcv),
    /// ChaCha20-Poly1305 with an 8-octet explicit IV (RFC 7634).
    ChaCha20Poly1305,
}

/// A CBC cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cbc {
    /// AES-CBC (RFC 3602).
    Aes(AesKey),
    /// 3DES-CBC (RFC 2451); weak.
    TripleDes,
}

/// An HMAC cut to its ICV length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Integrity {
    /// HMAC-SHA1-96 (RFC 2404); weak.
    HmacSha1_96,
    /// HMAC-SHA2-256-128 (RFC 4868).
    HmacSha256_128,
    /// HMAC-SHA2-384-192 (RFC 4868).
    HmacSha384_192,
    /// HMAC-SHA2-512-256 (RFC 4868).
    HmacSha512_256,
}

impl Integrity {
    /// Octets of the key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::HmacSha1_96 => 20,
            Self::HmacSha256_128 => 32,
            Self::HmacSha384_192 => 48,
            Self::HmacSha512_256 => 64,
        }
    }

    /// Octets of the integrity check value.
    pub const fn icv_len(self) -> usize {
        match self {
            Self::HmacSha1_96 => 12,
            Self::HmacSha256_128 => 16,
            Self::HmacSha384_192 => 24,
            Self::HmacSha512_256 => 32,
        }
    }
}

/// What protects a text. There is no unprotected form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protection {
    /// Combined mode.
    Aead(Aead),
    /// CBC, then HMAC over everything.
    CbcHmac {
        /// Encryption.
        encryption: Cbc,
        /// Integrity.
        integrity: Integrity,
    },
}

impl Protection {
    /// Octets of the encryption key as taken from the key material, with the salt of an AEAD behind it (RFC 4106 §8.1, RFC 7634 §2).
    pub const fn encryption_key_len(self) -> usize {
        match self {
            Self::Aead(Aead::AesGcm(key, _)) => key.len().saturating_add(4),
            Self::Aead(Aead::ChaCha20Poly1305) => 36,
            Self::CbcHmac { encryption: Cbc::Aes(key), .. } => key.len(),
            Self::CbcHmac { encryption: Cbc::TripleDes, .. } => 24,
        }
    }

    /// Octets of the integrity key; zero for an AEAD.
    pub const fn integrity_key_len(self) -> usize {
        match self {
            Self::Aead(_) => 0,
            Self::CbcHmac { integrity, .. } => integrity.key_len(),
        }
    }

    /// Octets of the IV that stands before the text.
    pub const fn iv_len(self) -> usize {
        match self {
            Self::Aead(_) | Self::CbcHmac { encryption: Cbc::TripleDes, .. } => 8,
            Self::CbcHmac { encryption: Cbc::Aes(_), .. } => 16,
        }
    }

    /// The text's length must be a multiple of this many octets: the cipher's block, or 1. ESP additionally aligns to 4.
    pub const fn block_len(self) -> usize {
        match self {
            Self::Aead(_) => 1,
            Self::CbcHmac { encryption: Cbc::TripleDes, .. } => 8,
            Self::CbcHmac { encryption: Cbc::Aes(_), .. } => 16,
        }
    }

    /// Octets of the integrity check value behind the text.
    pub const fn icv_len(self) -> usize {
        match self {
            Self::Aead(Aead::AesGcm(_, icv)) => icv.len(),
            Self::Aead(Aead::ChaCha20Poly1305) => 16,
            Self::CbcHmac { integrity, .. } => integrity.icv_len(),
        }
    }
}

/// The keys of one direction.
#[derive(Debug)]
pub struct ProtectionKeys {
    /// Encryption key, with the salt of an AEAD behind it; `Protection::encryption_key_len` octets.
    pub encryption: Secret,
    /// Integrity key; `Protection::integrity_key_len` octets.
    pub integrity: Secret,
}
