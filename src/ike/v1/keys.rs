//! Keys and proofs of IKEv1 with a pre-shared key (RFC 2409 §5, §5.5, appendix B): pure functions of octets.

use crate::crypto::cipher::ProtectionKeys;
use crate::crypto::secret::Secret;
use crate::sa::suite::{Cbc, EspSuite, IkeSuite, Prf};

/// What phase 1 exchanged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchanged<'a> {
    /// g^xi and g^xr.
    pub(super) publics: (&'a [u8], &'a [u8]),
    /// Ni_b and Nr_b.
    pub(super) nonces: (&'a [u8], &'a [u8]),
    /// CKY-I and CKY-R.
    pub(super) cookies: ([u8; 8], [u8; 8]),
}

/// SKEYID and what is made of it (RFC 2409 §5).
#[derive(Debug)]
pub(super) struct Skeyid {
    prf: Prf,
    base: Secret,
    derivation: Secret,
    authentication: Secret,
    encryption: Secret,
}

impl Skeyid {
    /// RFC 2409 §5, §5.4.
    pub(super) fn derive(_suite: IkeSuite, _psk: &Secret, _shared: &Secret, _exchanged: Exchanged<'_>) -> Self {
        todo!()
    }

    /// HASH_I over the SA body that the initiator sent and its ID body (RFC 2409 §5).
    pub(super) fn hash_i(&self, _exchanged: Exchanged<'_>, _sa: &[u8], _id: &[u8]) -> Secret {
        todo!()
    }

    /// HASH_R, over the same SA body (the initiator's) and the responder's ID body.
    pub(super) fn hash_r(&self, _exchanged: Exchanged<'_>, _sa: &[u8], _id: &[u8]) -> Secret {
        todo!()
    }

    /// The key of the ISAKMP SA's cipher, stretched if needed (RFC 2409 appendix B).
    pub(super) fn cipher_key(&self, _cipher: Cbc) -> Secret {
        todo!()
    }

    /// HASH(1): of quick mode, Mode Config and informational exchanges.
    pub(super) fn hash_1(&self, _message_id: u32, _rest: &[u8]) -> Secret {
        todo!()
    }

    /// HASH(2).
    pub(super) fn hash_2(&self, _message_id: u32, _initiator_nonce: &[u8], _rest: &[u8]) -> Secret {
        todo!()
    }

    /// HASH(3).
    pub(super) fn hash_3(&self, _message_id: u32, _nonces: (&[u8], &[u8])) -> Secret {
        todo!()
    }

    /// KEYMAT of one direction: of the SA that has this SPI, which its receiver chose (RFC 2409 §5.5). `shared` with perfect forward secrecy.
    pub(super) fn keymat(
        &self,
        _suite: EspSuite,
        _spi: [u8; 4],
        _nonces: (&[u8], &[u8]),
        _shared: Option<&Secret>,
    ) -> Option<ProtectionKeys> {
        todo!()
    }
}
