//! Encrypted messages (RFC 2409 appendix B): CBC over the payloads. There is no MAC: the HASH payload inside is the integrity, and nothing of a
//! message is believed before it is checked.

use crate::crypto::secret::Secret;
use crate::ike::v1::header::Header;
use crate::ike::v1::iv::Iv;
use crate::ike::wire::chain::Contents;
use crate::ike::wire::error::EncodeError;
use crate::sa::suite::Cbc;

/// An ISAKMP SA's cipher.
#[derive(Debug)]
pub(super) struct Cipher {}

/// Why a message was not decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CipherError {
    /// Nothing, or not whole blocks.
    Length,
}

impl Cipher {
    /// `None` if the key's length is not the cipher's.
    pub(super) fn new(_cipher: Cbc, _key: &Secret) -> Option<Self> {
        todo!()
    }

    /// Octets of a block.
    pub(super) fn block_len(&self) -> usize {
        todo!()
    }

    /// A whole message: `header` with the encryption flag, the contents padded with zeros and encrypted. `iv` goes on to its last block.
    pub(super) fn seal(&self, _header: &Header, _iv: &mut Iv, _contents: &Contents) -> Result<Vec<u8>, EncodeError> {
        todo!()
    }

    /// What follows the header, decrypted, and the IV to go on with if the message is accepted.
    pub(super) fn open(&self, _iv: &Iv, _rest: &[u8]) -> Result<(Vec<u8>, Iv), CipherError> {
        todo!()
    }
}
