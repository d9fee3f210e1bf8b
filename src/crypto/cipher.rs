//! Authenticated protection of a text: either an AEAD, or CBC with an HMAC (encrypt, then MAC). ESP and IKE use the same ones.

use std::fmt;

use serde::{Deserialize, Serialize};

use subtle::Choice;

use crate::crypto::aead::AeadKey;
use crate::crypto::cbc_hmac::{CbcHmacOpener, CbcHmacSealer};
use crate::crypto::multibuffer::{Backend, Message};
use crate::crypto::secret::Secret;

/// An AES key length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    #[allow(clippy::len_without_is_empty, reason = "it is never zero")]
    pub const fn len(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }
}

/// Octets of a GCM integrity check value (RFC 4106 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    #[allow(clippy::len_without_is_empty, reason = "it is never zero")]
    pub const fn len(self) -> usize {
        match self {
            Self::Eight => 8,
            Self::Twelve => 12,
            Self::Sixteen => 16,
        }
    }
}

/// A combined-mode cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Aead {
    /// AES-GCM with an 8-octet explicit IV (RFC 4106, RFC 5282). Only 128 and 256 bit keys are offered.
    AesGcm(AesKey, GcmIcv),
    /// ChaCha20-Poly1305 with an 8-octet explicit IV (RFC 7634).
    ChaCha20Poly1305,
}

/// A CBC cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cbc {
    /// AES-CBC (RFC 3602).
    Aes(AesKey),
    /// 3DES-CBC (RFC 2451); weak.
    TripleDes,
}

/// An HMAC cut to its ICV length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Integrity {
    /// HMAC-SHA1-96 (RFC 2404); weak.
    HmacSha1_96,
    /// HMAC-SHA2-256 cut to 96 bits, as routers older than RFC 4868 do it; weak.
    HmacSha256_96,
    /// HMAC-SHA2-256-128 (RFC 4868).
    HmacSha256_128,
    /// HMAC-SHA2-384-192 (RFC 4868).
    HmacSha384_192,
    /// HMAC-SHA2-512-256 (RFC 4868).
    HmacSha512_256,
}

impl Cbc {
    /// Octets of the key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes(key) => key.len(),
            Self::TripleDes => 24,
        }
    }

    /// Octets of a block, and of an IV.
    pub const fn block_len(self) -> usize {
        match self {
            Self::Aes(_) => 16,
            Self::TripleDes => 8,
        }
    }

    /// Whether `[security] allow_weak` is needed.
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::TripleDes)
    }
}

impl Integrity {
    /// Whether `[security] allow_weak` is needed.
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::HmacSha1_96 | Self::HmacSha256_96)
    }

    /// Octets of the key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::HmacSha1_96 => 20,
            Self::HmacSha256_96 | Self::HmacSha256_128 => 32,
            Self::HmacSha384_192 => 48,
            Self::HmacSha512_256 => 64,
        }
    }

    /// Octets of the integrity check value.
    pub const fn icv_len(self) -> usize {
        match self {
            Self::HmacSha1_96 | Self::HmacSha256_96 => 12,
            Self::HmacSha256_128 => 16,
            Self::HmacSha384_192 => 24,
            Self::HmacSha512_256 => 32,
        }
    }
}

/// What protects a text. There is no unprotected form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// Whether `[security] allow_weak` is needed.
    pub const fn is_weak(self) -> bool {
        match self {
            Self::Aead(_) => false,
            Self::CbcHmac { encryption, integrity } => encryption.is_weak() || integrity.is_weak(),
        }
    }

    /// Octets of the encryption key as taken from the key material, with the salt of an AEAD behind it (RFC 4106 §8.1, RFC 7634 §2).
    pub const fn encryption_key_len(self) -> usize {
        match self {
            Self::Aead(Aead::AesGcm(key, _)) => key.len().saturating_add(4),
            Self::Aead(Aead::ChaCha20Poly1305) => 36,
            Self::CbcHmac { encryption, .. } => encryption.key_len(),
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
            Self::Aead(_) => 8,
            Self::CbcHmac { encryption, .. } => encryption.block_len(),
        }
    }

    /// The text's length must be a multiple of this many octets: the cipher's block, or 1. ESP additionally aligns to 4.
    pub const fn block_len(self) -> usize {
        match self {
            Self::Aead(_) => 1,
            Self::CbcHmac { encryption, .. } => encryption.block_len(),
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

/// A key's length is not the one its protection has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKey;

/// A text's parts do not have the lengths of their protection. Nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLength;

/// The ICV is not of this text and key, or a length is wrong: one answer for every reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forged;

/// Proof that a text's ICV was right. Only the check can make one.
#[derive(Debug)]
pub struct Authentic(());

impl Authentic {
    pub(in crate::crypto) fn when(matches: Choice) -> Result<Self, Forged> {
        if bool::from(matches) { Ok(Self(())) } else { Err(Forged) }
    }

    pub(in crate::crypto) fn by_ring<T>(opened: Result<T, ring::error::Unspecified>) -> Result<Self, Forged> {
        opened.map(|_| Self(())).map_err(|_| Forged)
    }
}

/// One text to seal or open in place.
#[derive(Debug)]
pub struct Text<'a> {
    /// Authenticated before the IV. IKE: the message up to the IV. ESP: SPI and sequence number, with an AEAD and ESN all 64 bits of it.
    pub associated: &'a [u8],
    /// `Protection::iv_len` octets. CBC: never predictable. AEAD: never twice under one key.
    pub iv: &'a [u8],
    /// Padded to `Protection::block_len`.
    pub text: &'a mut [u8],
    /// Authenticated behind the text: the high half of an ESN for CBC with HMAC (RFC 4303 §2.2.1), else empty.
    pub suffix: &'a [u8],
    /// `Protection::icv_len` octets; written by sealing, read by opening.
    pub icv: &'a mut [u8],
}

impl Text<'_> {
    pub(in crate::crypto) fn message(&self) -> Message<'_> {
        Message { associated: self.associated, iv: self.iv, text: self.text, suffix: self.suffix }
    }

    fn fits(&self, protection: Protection) -> bool {
        let aead = matches!(protection, Protection::Aead(_));
        self.iv.len() == protection.iv_len()
            && self.icv.len() == protection.icv_len()
            && self.text.len().is_multiple_of(protection.block_len())
            && (!aead || self.suffix.is_empty())
    }
}

/// Seals texts under the keys of one direction; the keys' schedules are computed once.
pub struct Sealer {
    protection: Protection,
    engine: SealEngine,
}

enum SealEngine {
    Aead(AeadKey),
    CbcHmac(CbcHmacSealer),
}

impl Sealer {
    /// Fails when a key's length is not the protection's.
    pub fn new(protection: Protection, keys: &ProtectionKeys) -> Result<Self, BadKey> {
        Self::with_backend(protection, keys, Backend::fastest())
    }

    /// The same with another way to do batches of CBC with HMAC, and GCM, than the fastest.
    pub fn with_backend(protection: Protection, keys: &ProtectionKeys, backend: Backend) -> Result<Self, BadKey> {
        keys.fit(protection)?;
        let engine = match protection {
            Protection::Aead(aead) => SealEngine::Aead(AeadKey::new(aead, &keys.encryption, backend)?),
            Protection::CbcHmac { encryption, integrity } => {
                SealEngine::CbcHmac(CbcHmacSealer::new(encryption, integrity, keys, backend)?)
            }
        };
        Ok(Self { protection, engine })
    }

    /// What the keys are for.
    pub fn protection(&self) -> Protection {
        self.protection
    }

    /// Encrypts the text and fills the ICV.
    pub fn seal(&self, mut job: Text<'_>) -> Result<(), BadLength> {
        if !job.fits(self.protection) {
            return Err(BadLength);
        }
        match &self.engine {
            SealEngine::Aead(key) => key.seal(&mut job),
            SealEngine::CbcHmac(key) => key.seal(&mut job),
        }
    }

    /// Seals all, or none when one has a wrong length.
    pub fn seal_batch(&self, jobs: &mut [Text<'_>]) -> Result<(), BadLength> {
        if !jobs.iter().all(|job| job.fits(self.protection)) {
            return Err(BadLength);
        }
        match &self.engine {
            SealEngine::Aead(key) => jobs.iter_mut().try_for_each(|job| key.seal(job)),
            SealEngine::CbcHmac(key) => key.seal_batch(jobs),
        }
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("protection", &self.protection).finish_non_exhaustive()
    }
}

/// Opens texts under the keys of one direction; the keys' schedules are computed once.
pub struct Opener {
    protection: Protection,
    engine: OpenEngine,
}

enum OpenEngine {
    Aead(AeadKey),
    CbcHmac(CbcHmacOpener),
}

impl Opener {
    /// Fails when a key's length is not the protection's.
    pub fn new(protection: Protection, keys: &ProtectionKeys) -> Result<Self, BadKey> {
        Self::with_backend(protection, keys, Backend::fastest())
    }

    /// The same with another way to do batches of CBC with HMAC, and GCM, than the fastest.
    pub fn with_backend(protection: Protection, keys: &ProtectionKeys, backend: Backend) -> Result<Self, BadKey> {
        keys.fit(protection)?;
        let engine = match protection {
            Protection::Aead(aead) => OpenEngine::Aead(AeadKey::new(aead, &keys.encryption, backend)?),
            Protection::CbcHmac { encryption, integrity } => {
                OpenEngine::CbcHmac(CbcHmacOpener::new(encryption, integrity, keys, backend)?)
            }
        };
        Ok(Self { protection, engine })
    }

    /// What the keys are for.
    pub fn protection(&self) -> Protection {
        self.protection
    }

    /// Checks the ICV, and decrypts the text only if it is right. After `Forged` nothing decrypted is in the text: it is as it came, or, where
    /// an AEAD checks and decrypts in one pass, all zeros. Who wants to try another key keeps a copy.
    pub fn open(&self, mut job: Text<'_>) -> Result<Authentic, Forged> {
        self.open_one(&mut job)
    }

    /// Opens each by itself; `verdicts` is emptied and gets one entry for each, in order.
    pub fn open_batch(&self, jobs: &mut [Text<'_>], verdicts: &mut Vec<Result<Authentic, Forged>>) {
        verdicts.clear();
        match &self.engine {
            OpenEngine::CbcHmac(key) if jobs.iter().all(|job| job.fits(self.protection)) => {
                key.open_batch(jobs, verdicts)
            }
            OpenEngine::CbcHmac(_) | OpenEngine::Aead(_) => {
                verdicts.extend(jobs.iter_mut().map(|job| self.open_one(job)));
            }
        }
    }

    fn open_one(&self, job: &mut Text<'_>) -> Result<Authentic, Forged> {
        if !job.fits(self.protection) {
            return Err(Forged);
        }
        match &self.engine {
            OpenEngine::Aead(key) => key.open(job),
            OpenEngine::CbcHmac(key) => key.open(job),
        }
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("protection", &self.protection).finish_non_exhaustive()
    }
}

impl ProtectionKeys {
    /// A copy, for whoever keeps them beside the cipher: an SA that is to go on in another process.
    pub(crate) fn duplicate(&self) -> Self {
        let Self { encryption, integrity } = self;
        Self { encryption: Secret::copy_of(encryption.expose()), integrity: Secret::copy_of(integrity.expose()) }
    }

    fn fit(&self, protection: Protection) -> Result<(), BadKey> {
        let fits = self.encryption.len() == protection.encryption_key_len()
            && self.integrity.len() == protection.integrity_key_len();
        if fits { Ok(()) } else { Err(BadKey) }
    }
}

#[cfg(test)]
mod tests;
