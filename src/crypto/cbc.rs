//! CBC (NIST SP 800-38A) of whole blocks, without padding and without integrity: whoever uses it has another proof that the text is genuine.

use std::fmt;

use aes::{Aes128Dec, Aes128Enc, Aes192Dec, Aes192Enc, Aes256Dec, Aes256Enc};
use cbc::cipher::array::Array;
use cbc::cipher::{
    Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, InnerIvInit,
    KeyInit,
};
use des::TdesEde3;

use crate::crypto::cipher::{AesKey, BadKey, BadLength, Cbc};
use crate::crypto::secret::Secret;

/// Both directions of one key, whose schedules are computed once.
pub struct CbcKey {
    encryption: EncryptionKey,
    decryption: DecryptionKey,
}

impl CbcKey {
    /// Fails when the key's length is not the cipher's.
    pub fn new(cipher: Cbc, key: &Secret) -> Result<Self, BadKey> {
        let encryption = EncryptionKey::new(cipher, key.expose())?;
        let decryption = DecryptionKey::new(cipher, key.expose())?;
        Ok(Self { encryption, decryption })
    }

    /// Encrypts in place. `iv` is one block, `text` whole blocks; otherwise nothing is done.
    pub fn encrypt(&self, iv: &[u8], text: &mut [u8]) -> Result<(), BadLength> {
        self.encryption.encrypt(iv, text)
    }

    /// Decrypts in place. `iv` is one block, `text` whole blocks; otherwise nothing is done.
    pub fn decrypt(&self, iv: &[u8], text: &mut [u8]) -> Result<(), BadLength> {
        self.decryption.decrypt(iv, text)
    }
}

impl fmt::Debug for CbcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CbcKey(..)")
    }
}

pub(in crate::crypto) enum EncryptionKey {
    Aes128(Box<Aes128Enc>),
    Aes192(Box<Aes192Enc>),
    Aes256(Box<Aes256Enc>),
    TripleDes(Box<TdesEde3>),
}

pub(in crate::crypto) enum DecryptionKey {
    Aes128(Box<Aes128Dec>),
    Aes192(Box<Aes192Dec>),
    Aes256(Box<Aes256Dec>),
    TripleDes(Box<TdesEde3>),
}

impl EncryptionKey {
    pub(in crate::crypto) fn new(cipher: Cbc, key: &[u8]) -> Result<Self, BadKey> {
        Ok(match cipher {
            Cbc::Aes(AesKey::Aes128) => Self::Aes128(schedule(key)?),
            Cbc::Aes(AesKey::Aes192) => Self::Aes192(schedule(key)?),
            Cbc::Aes(AesKey::Aes256) => Self::Aes256(schedule(key)?),
            Cbc::TripleDes => Self::TripleDes(schedule(key)?),
        })
    }

    pub(in crate::crypto) fn encrypt(&self, iv: &[u8], text: &mut [u8]) -> Result<(), BadLength> {
        match self {
            Self::Aes128(key) => encrypt(&**key, iv, text),
            Self::Aes192(key) => encrypt(&**key, iv, text),
            Self::Aes256(key) => encrypt(&**key, iv, text),
            Self::TripleDes(key) => encrypt(&**key, iv, text),
        }
        .ok_or(BadLength)
    }
}

impl DecryptionKey {
    pub(in crate::crypto) fn new(cipher: Cbc, key: &[u8]) -> Result<Self, BadKey> {
        Ok(match cipher {
            Cbc::Aes(AesKey::Aes128) => Self::Aes128(schedule(key)?),
            Cbc::Aes(AesKey::Aes192) => Self::Aes192(schedule(key)?),
            Cbc::Aes(AesKey::Aes256) => Self::Aes256(schedule(key)?),
            Cbc::TripleDes => Self::TripleDes(schedule(key)?),
        })
    }

    pub(in crate::crypto) fn decrypt(&self, iv: &[u8], text: &mut [u8]) -> Result<(), BadLength> {
        match self {
            Self::Aes128(key) => decrypt(&**key, iv, text),
            Self::Aes192(key) => decrypt(&**key, iv, text),
            Self::Aes256(key) => decrypt(&**key, iv, text),
            Self::TripleDes(key) => decrypt(&**key, iv, text),
        }
        .ok_or(BadLength)
    }
}

fn schedule<C: KeyInit>(key: &[u8]) -> Result<Box<C>, BadKey> {
    C::new_from_slice(key).map(Box::new).map_err(|_| BadKey)
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

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(Cbc, usize, usize); 4] = [
        (Cbc::Aes(AesKey::Aes128), 16, 16),
        (Cbc::Aes(AesKey::Aes192), 24, 16),
        (Cbc::Aes(AesKey::Aes256), 32, 16),
        (Cbc::TripleDes, 24, 8),
    ];

    #[test]
    fn what_is_encrypted_decrypts_and_wrong_lengths_change_nothing() {
        for (cipher, key_len, block) in ALL {
            assert_eq!((cipher.key_len(), cipher.block_len()), (key_len, block));
            let key = CbcKey::new(cipher, &Secret::new((0..32).take(key_len).collect())).unwrap();
            let (iv, plain) = (vec![7; block], vec![9; 3 * block]);
            let mut text = plain.clone();
            key.encrypt(&iv, &mut text).unwrap();
            assert!(text.chunks(block).all(|chunk| chunk != &plain[..block]));
            let sealed = text.clone();
            for (iv_len, text_len) in [(block - 1, text.len()), (block + 1, text.len()), (block, text.len() - 1)] {
                assert_eq!(key.encrypt(&vec![7; iv_len], &mut text[..text_len]), Err(BadLength));
                assert_eq!(key.decrypt(&vec![7; iv_len], &mut text[..text_len]), Err(BadLength));
            }
            assert_eq!(text, sealed);
            key.decrypt(&iv, &mut text).unwrap();
            assert_eq!(text, plain);
        }
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for (cipher, key_len, _) in ALL {
            for len in (0..40).filter(|len| *len != key_len) {
                assert!(CbcKey::new(cipher, &Secret::new(vec![0; len])).is_err(), "{cipher:?} {len}");
            }
        }
    }
}
