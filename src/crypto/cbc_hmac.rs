//! CBC, then HMAC over everything (RFC 4303 §3.3.2.2, RFC 7296 §3.14). It knows no padding rule: texts are whole blocks.

use std::fmt;

use aes::{Aes128Dec, Aes128Enc, Aes192Dec, Aes192Enc, Aes256Dec, Aes256Enc};
use cbc::cipher::array::Array;
use cbc::cipher::{
    Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, InnerIvInit,
    KeyInit,
};
use des::TdesEde3;

use crate::crypto::cipher::{AesKey, Authentic, BadKey, BadLength, Cbc, Forged, Integrity, ProtectionKeys, Text};
use crate::crypto::mac::Mac;

pub(in crate::crypto) struct CbcHmacSealer {
    key: EncryptionKey,
    mac: Mac,
}

pub(in crate::crypto) struct CbcHmacOpener {
    key: DecryptionKey,
    mac: Mac,
}

enum EncryptionKey {
    Aes128(Box<Aes128Enc>),
    Aes192(Box<Aes192Enc>),
    Aes256(Box<Aes256Enc>),
    TripleDes(Box<TdesEde3>),
}

enum DecryptionKey {
    Aes128(Box<Aes128Dec>),
    Aes192(Box<Aes192Dec>),
    Aes256(Box<Aes256Dec>),
    TripleDes(Box<TdesEde3>),
}

impl CbcHmacSealer {
    pub(in crate::crypto) fn new(encryption: Cbc, integrity: Integrity, keys: &ProtectionKeys) -> Result<Self, BadKey> {
        let octets = keys.encryption.expose();
        let key = match encryption {
            Cbc::Aes(AesKey::Aes128) => EncryptionKey::Aes128(schedule(octets)?),
            Cbc::Aes(AesKey::Aes192) => EncryptionKey::Aes192(schedule(octets)?),
            Cbc::Aes(AesKey::Aes256) => EncryptionKey::Aes256(schedule(octets)?),
            Cbc::TripleDes => EncryptionKey::TripleDes(schedule(octets)?),
        };
        Ok(Self { key, mac: integrity_mac(integrity, keys)? })
    }

    pub(in crate::crypto) fn seal(&self, job: &mut Text<'_>) -> Result<(), BadLength> {
        match &self.key {
            EncryptionKey::Aes128(key) => encrypt(&**key, job.iv, job.text),
            EncryptionKey::Aes192(key) => encrypt(&**key, job.iv, job.text),
            EncryptionKey::Aes256(key) => encrypt(&**key, job.iv, job.text),
            EncryptionKey::TripleDes(key) => encrypt(&**key, job.iv, job.text),
        }
        .ok_or(BadLength)?;
        self.mac.sign(&[job.associated, job.iv, job.text, job.suffix], job.icv);
        Ok(())
    }
}

impl CbcHmacOpener {
    pub(in crate::crypto) fn new(encryption: Cbc, integrity: Integrity, keys: &ProtectionKeys) -> Result<Self, BadKey> {
        let octets = keys.encryption.expose();
        let key = match encryption {
            Cbc::Aes(AesKey::Aes128) => DecryptionKey::Aes128(schedule(octets)?),
            Cbc::Aes(AesKey::Aes192) => DecryptionKey::Aes192(schedule(octets)?),
            Cbc::Aes(AesKey::Aes256) => DecryptionKey::Aes256(schedule(octets)?),
            Cbc::TripleDes => DecryptionKey::TripleDes(schedule(octets)?),
        };
        Ok(Self { key, mac: integrity_mac(integrity, keys)? })
    }

    pub(in crate::crypto) fn open(&self, job: &mut Text<'_>) -> Result<Authentic, Forged> {
        let matches = self.mac.verify(&[job.associated, job.iv, job.text, job.suffix], job.icv);
        // RFC 4303 §3.4.4.1: the ICV decides before anything is decrypted.
        let authentic = Authentic::when(matches)?;
        match &self.key {
            DecryptionKey::Aes128(key) => decrypt(&**key, job.iv, job.text),
            DecryptionKey::Aes192(key) => decrypt(&**key, job.iv, job.text),
            DecryptionKey::Aes256(key) => decrypt(&**key, job.iv, job.text),
            DecryptionKey::TripleDes(key) => decrypt(&**key, job.iv, job.text),
        }
        .ok_or(Forged)?;
        Ok(authentic)
    }
}

impl fmt::Debug for CbcHmacSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CbcHmacSealer(..)")
    }
}

impl fmt::Debug for CbcHmacOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CbcHmacOpener(..)")
    }
}

fn schedule<C: KeyInit>(key: &[u8]) -> Result<Box<C>, BadKey> {
    C::new_from_slice(key).map(Box::new).map_err(|_| BadKey)
}

fn integrity_mac(integrity: Integrity, keys: &ProtectionKeys) -> Result<Mac, BadKey> {
    let key = keys.integrity.expose();
    if key.len() != integrity.key_len() {
        return Err(BadKey);
    }
    Ok(match integrity {
        Integrity::HmacSha1_96 => Mac::sha1(key),
        Integrity::HmacSha256_128 => Mac::sha256(key),
        Integrity::HmacSha384_192 => Mac::sha384(key),
        Integrity::HmacSha512_256 => Mac::sha512(key),
    })
}

fn encrypt<C: BlockCipherEncrypt>(cipher: &C, iv: &[u8], text: &mut [u8]) -> Option<()> {
    let iv = <&Block<C>>::try_from(iv).ok()?;
    let blocks = whole_blocks::<C>(text)?;
    cbc::Encryptor::inner_iv_init(cipher, iv).encrypt_blocks(blocks);
    Some(())
}

fn decrypt<C: BlockCipherDecrypt>(cipher: &C, iv: &[u8], text: &mut [u8]) -> Option<()> {
    let iv = <&Block<C>>::try_from(iv).ok()?;
    let blocks = whole_blocks::<C>(text)?;
    cbc::Decryptor::inner_iv_init(cipher, iv).decrypt_blocks(blocks);
    Some(())
}

fn whole_blocks<C: BlockSizeUser>(text: &mut [u8]) -> Option<&mut [Block<C>]> {
    let (blocks, rest) = Array::slice_as_chunks_mut(text);
    rest.is_empty().then_some(blocks)
}
