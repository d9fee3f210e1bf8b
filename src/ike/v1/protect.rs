//! Encrypted messages (RFC 2409 appendix B): CBC over the payloads. There is no MAC: the HASH payload inside is the integrity, and nothing of a
//! message is believed before it is checked.

use crate::crypto::cbc::CbcKey;
use crate::crypto::secret::Secret;
use crate::ike::v1::header::{Flags, Header, PayloadType};
use crate::ike::v1::iv::Iv;
use crate::ike::wire::chain::Contents;
use crate::ike::wire::error::EncodeError;
use crate::sa::suite::Cbc;

/// An ISAKMP SA's cipher: one key for both directions.
#[derive(Debug)]
pub(super) struct Cipher {
    key: CbcKey,
    block: usize,
}

/// Why a message was not decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CipherError {
    /// Nothing, or not whole blocks.
    Length,
}

impl Cipher {
    /// `None` if the key's length is not the cipher's.
    pub(super) fn new(cipher: Cbc, key: &Secret) -> Option<Self> {
        let key = CbcKey::new(cipher, key).ok()?;
        Some(Self { key, block: cipher.block_len() })
    }

    /// Octets of a block.
    pub(super) fn block_len(&self) -> usize {
        self.block
    }

    /// A whole message: `header` with the encryption flag, the contents padded with zeros and encrypted. `iv` goes on to its last block.
    pub(super) fn seal(&self, header: &Header, iv: &mut Iv, contents: &Contents) -> Result<Vec<u8>, EncodeError> {
        if contents.octets.is_empty() {
            return Err(EncodeError::Unwritable);
        }
        // RFC 2409 appendix B: padded up to the block with zeros, and no further.
        let padded = contents.octets.len().checked_next_multiple_of(self.block).ok_or(EncodeError::TooLong)?;
        // In one piece: what is encrypted in place leaves no copy of the text behind.
        let mut text = Vec::with_capacity(padded);
        text.extend_from_slice(&contents.octets);
        text.resize(padded, 0);
        self.key.encrypt(iv.octets(), &mut text).map_err(|_| EncodeError::Unwritable)?;
        let flags = Flags { encrypted: true, ..header.flags };
        let header = Header { next_payload: PayloadType(contents.first.0), flags, ..*header };
        // RFC 2409 appendix B: the length in the header counts the padding.
        let mut message = header.write(padded)?;
        message.extend_from_slice(&text);
        *iv = Iv::after(&text, self.block).ok_or(EncodeError::Unwritable)?;
        Ok(message)
    }

    /// What follows the header, decrypted, and the IV to go on with if the message is accepted.
    pub(super) fn open(&self, iv: &Iv, rest: &[u8]) -> Result<(Vec<u8>, Iv), CipherError> {
        let next = Iv::after(rest, self.block).ok_or(CipherError::Length)?;
        let mut text = rest.to_vec();
        self.key.decrypt(iv.octets(), &mut text).map_err(|_| CipherError::Length)?;
        Ok((text, next))
    }
}

#[cfg(test)]
mod tests;
