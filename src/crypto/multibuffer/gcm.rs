//! AES-GCM (NIST SP 800-38D): a packet by itself, but many of its blocks at once.

use zeroize::Zeroize;

use crate::crypto::cipher::AesKey;
use crate::crypto::multibuffer::cbc::{Block, Schedule};
#[cfg(target_arch = "x86_64")]
use crate::crypto::multibuffer::x86::gcm::Vpclmul;
use crate::crypto::multibuffer::{Backend, Kind};

/// The blocks that are hashed without a reduction between them: nearly 2000 octets and their lengths.
pub(super) const STRETCH: usize = 125;

/// The powers of the hash key, the highest first, so that a stretch's blocks and their powers run the same way. Whoever reads four from the
/// last on finds zeros behind it.
#[repr(align(64))]
pub(super) struct Powers(pub(super) [Block; STRETCH + 3]);

impl Drop for Powers {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What GCM needs of a processor.
pub(super) trait Gcm: Copy {
    /// The rounds of a key and the powers of its hash key; none when the key's length is not `size`.
    fn expand(self, size: AesKey, key: &[u8]) -> Option<GcmKey>;

    /// Encrypts the text in place; the tag.
    fn seal(self, key: &GcmKey, nonce: &[u8; 12], associated: &[u8], text: &mut [u8]) -> Block;

    /// Decrypts the text in place; the tag that it should have come with.
    fn open(self, key: &GcmKey, nonce: &[u8; 12], associated: &[u8], text: &mut [u8]) -> Block;
}

pub(super) struct GcmKey {
    pub(super) schedule: Box<Schedule>,
    pub(super) powers: Box<Powers>,
}

/// One key's GCM by wide registers.
pub(in crate::crypto) struct WideGcm {
    kind: Kind,
    key: GcmKey,
}

impl WideGcm {
    /// None where the backend has nothing better than the libraries.
    pub(in crate::crypto) fn new(backend: Backend, size: AesKey, key: &[u8]) -> Option<Self> {
        let key = match backend.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(avx512, _) => Vpclmul(avx512).expand(size, key)?,
            _ => return None,
        };
        Some(Self { kind: backend.0, key })
    }

    /// Encrypts the text in place; the tag. None when the text is longer than a counter of 32 bits reaches.
    pub(in crate::crypto) fn seal(&self, nonce: &[u8; 12], associated: &[u8], text: &mut [u8]) -> Option<Block> {
        match self.kind {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(avx512, _) if fits(text) => Some(Vpclmul(avx512).seal(&self.key, nonce, associated, text)),
            _ => None,
        }
    }

    /// Decrypts the text in place, whatever it is worth: the tag that it should have come with is the answer. None as in `seal`.
    pub(in crate::crypto) fn open(&self, nonce: &[u8; 12], associated: &[u8], text: &mut [u8]) -> Option<Block> {
        match self.kind {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(avx512, _) if fits(text) => Some(Vpclmul(avx512).open(&self.key, nonce, associated, text)),
            _ => None,
        }
    }
}

/// NIST SP 800-38D §5.2.1.1: at most 2^32 - 2 blocks; a quarter of that is more than anybody has.
fn fits(text: &[u8]) -> bool {
    u32::try_from(text.len().div_ceil(64)).is_ok()
}
