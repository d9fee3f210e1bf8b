//! AES-GCM (RFC 4106, RFC 5282) and ChaCha20-Poly1305 (RFC 7634) with a nonce of salt and explicit IV.

use std::fmt;

use aes::{Aes128Enc, Aes192Enc, Aes256Enc};
use ctr::cipher::array::Array;
use ctr::cipher::{Block, BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher};
use ctr::{Ctr32BE, CtrCore, flavors};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use ghash::universal_hash::consts::U16;
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::cipher::{Aead, AesKey, Authentic, BadKey, BadLength, Forged, GcmIcv, Text};
use crate::crypto::multibuffer::{Backend, WideGcm};
use crate::crypto::secret::Secret;

/// Seals and opens: both directions of an AEAD need the same schedule.
pub(in crate::crypto) struct AeadKey {
    engine: Engine,
    salt: Zeroizing<[u8; 4]>,
}

enum Engine {
    /// Our own, where the processor has the widest registers.
    Wide(WideGcm),
    /// ring's combined passes; whole 16-octet ICVs only, and no 192-bit key.
    Ring(Box<LessSafeKey>),
    Gcm128(Box<Gcm<Aes128Enc>>),
    Gcm192(Box<Gcm<Aes192Enc>>),
    Gcm256(Box<Gcm<Aes256Enc>>),
}

impl AeadKey {
    pub(in crate::crypto) fn new(aead: Aead, key: &Secret, backend: Backend) -> Result<Self, BadKey> {
        // RFC 4106 §8.1, RFC 7634 §2: the salt is the last four octets.
        let (key, salt) = key.expose().split_last_chunk::<4>().ok_or(BadKey)?;
        let wide = match aead {
            Aead::AesGcm(size, _) => WideGcm::new(backend, size, key),
            Aead::ChaCha20Poly1305 => None,
        };
        if let Some(wide) = wide {
            return Ok(Self { engine: Engine::Wide(wide), salt: Zeroizing::new(*salt) });
        }
        let engine = match aead {
            Aead::ChaCha20Poly1305 => ring_key(&CHACHA20_POLY1305, key)?,
            Aead::AesGcm(AesKey::Aes128, GcmIcv::Sixteen) => ring_key(&AES_128_GCM, key)?,
            Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen) => ring_key(&AES_256_GCM, key)?,
            Aead::AesGcm(AesKey::Aes128, GcmIcv::Eight | GcmIcv::Twelve) => Engine::Gcm128(Gcm::new(key)?),
            Aead::AesGcm(AesKey::Aes192, _) => Engine::Gcm192(Gcm::new(key)?),
            Aead::AesGcm(AesKey::Aes256, GcmIcv::Eight | GcmIcv::Twelve) => Engine::Gcm256(Gcm::new(key)?),
        };
        Ok(Self { engine, salt: Zeroizing::new(*salt) })
    }

    pub(in crate::crypto) fn seal(&self, job: &mut Text<'_>) -> Result<(), BadLength> {
        let nonce = self.nonce(job.iv).ok_or(BadLength)?;
        match &self.engine {
            Engine::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key
                    .seal_in_place_separate_tag(nonce, Aad::from(job.associated), job.text)
                    .map_err(|_| BadLength)?;
                fill(job.icv, tag.as_ref());
                Ok(())
            }
            Engine::Wide(key) => {
                let tag = key.seal(&nonce, job.associated, job.text).ok_or(BadLength)?;
                fill_icv(job.icv, &tag);
                Ok(())
            }
            Engine::Gcm128(key) => key.seal(&nonce, job),
            Engine::Gcm192(key) => key.seal(&nonce, job),
            Engine::Gcm256(key) => key.seal(&nonce, job),
        }
    }

    pub(in crate::crypto) fn open(&self, job: &mut Text<'_>) -> Result<Authentic, Forged> {
        let nonce = self.nonce(job.iv).ok_or(Forged)?;
        match &self.engine {
            Engine::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = Tag::try_from(&*job.icv).map_err(|_| Forged)?;
                Authentic::by_ring(key.open_in_place_separate_tag(nonce, Aad::from(job.associated), tag, job.text, 0..))
            }
            Engine::Wide(key) => {
                let tag = key.open(&nonce, job.associated, job.text).ok_or(Forged)?;
                let start = tag.get(..job.icv.len()).ok_or(Forged)?;
                Authentic::when(start.ct_eq(job.icv)).inspect_err(|Forged| job.text.fill(0))
            }
            Engine::Gcm128(key) => key.open(&nonce, job),
            Engine::Gcm192(key) => key.open(&nonce, job),
            Engine::Gcm256(key) => key.open(&nonce, job),
        }
    }

    /// RFC 4106 §4, RFC 7634 §2: salt, then the explicit IV.
    fn nonce(&self, iv: &[u8]) -> Option<[u8; 12]> {
        let iv: &[u8; 8] = iv.try_into().ok()?;
        let mut nonce = [0; 12];
        fill(&mut nonce, self.salt.as_slice());
        nonce.iter_mut().skip(4).zip(iv).for_each(|(to, from)| *to = *from);
        Some(nonce)
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(..)")
    }
}

fn ring_key(algorithm: &'static Algorithm, key: &[u8]) -> Result<Engine, BadKey> {
    UnboundKey::new(algorithm, key).map(|key| Engine::Ring(Box::new(LessSafeKey::new(key)))).map_err(|_| BadKey)
}

/// GCM (NIST SP 800-38D §7) from its parts: ICVs shorter than 16 octets, and keys that ring does not have.
struct Gcm<C> {
    cipher: C,
    hash: GHash,
}

impl<C: BlockCipherEncrypt + KeyInit + BlockSizeUser<BlockSize = U16>> Gcm<C> {
    fn new(key: &[u8]) -> Result<Box<Self>, BadKey> {
        let cipher = C::new_from_slice(key).map_err(|_| BadKey)?;
        let mut subkey = Block::<C>::default();
        cipher.encrypt_block(&mut subkey);
        let hash = GHash::new(&subkey);
        subkey.as_mut_slice().zeroize();
        Ok(Box::new(Self { cipher, hash }))
    }

    fn seal(&self, nonce: &[u8; 12], job: &mut Text<'_>) -> Result<(), BadLength> {
        self.apply_keystream(nonce, job.text).ok_or(BadLength)?;
        let tag = self.tag(nonce, job.associated, job.text).ok_or(BadLength)?;
        fill(job.icv, &tag);
        Ok(())
    }

    fn open(&self, nonce: &[u8; 12], job: &mut Text<'_>) -> Result<Authentic, Forged> {
        let tag = self.tag(nonce, job.associated, job.text).ok_or(Forged)?;
        let start = tag.get(..job.icv.len()).ok_or(Forged)?;
        let authentic = Authentic::when(start.ct_eq(job.icv))?;
        self.apply_keystream(nonce, job.text).ok_or(Forged)?;
        Ok(authentic)
    }

    fn tag(&self, nonce: &[u8; 12], associated: &[u8], text: &[u8]) -> Option<[u8; 16]> {
        let mut hash = self.hash.clone();
        hash.update_padded(associated);
        hash.update_padded(text);
        let bits = |octets: &[u8]| u64::try_from(octets.len()).ok()?.checked_mul(8);
        let mut lengths = [0; 16];
        fill(&mut lengths, &bits(associated)?.to_be_bytes());
        lengths.iter_mut().skip(8).zip(bits(text)?.to_be_bytes()).for_each(|(to, from)| *to = from);
        hash.update(&[Array(lengths)]);
        let mut tag = counter_block(nonce, 1);
        self.cipher.encrypt_block(&mut tag);
        tag.iter_mut().zip(hash.finalize()).for_each(|(tag, hash)| *tag ^= hash);
        Some(tag.into())
    }

    fn apply_keystream(&self, nonce: &[u8; 12], text: &mut [u8]) -> Option<()> {
        let core: CtrCore<&C, flavors::Ctr32BE> = CtrCore::inner_iv_init(&self.cipher, &counter_block(nonce, 2));
        Ctr32BE::from_core(core).try_apply_keystream(text).ok()
    }
}

fn counter_block(nonce: &[u8; 12], counter: u8) -> Array<u8, U16> {
    let mut block = Array([0; 16]);
    fill(&mut block, nonce);
    if let Some(last) = block.last_mut() {
        *last = counter;
    }
    block
}

/// A whole tag without a loop, a shorter one by its start.
fn fill_icv(icv: &mut [u8], tag: &[u8; 16]) {
    match <&mut [u8; 16]>::try_from(&mut *icv) {
        Ok(whole) => *whole = *tag,
        Err(_) => fill(icv, tag),
    }
}

fn fill(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}
