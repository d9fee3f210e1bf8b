//! An ISAKMP SA whose peer is authenticated: its names, keys and IVs. It seals and opens the messages of phase 2; it knows none of them.

use crate::crypto::random::Random;
use crate::ike::action::DropReason;
use crate::ike::v1::header::{Cookies, ExchangeType, Header, PayloadType};
use crate::ike::v1::iv::Iv;
use crate::ike::v1::keys::Skeyid;
use crate::ike::v1::protect::Cipher;
use crate::ike::v1::vendor::PeerCapabilities;
use crate::ike::wire::chain::Contents;
use crate::sa::path::Path;
use crate::sa::suite::IkeSuite;
use crate::time::Instant;

/// Made by the check of HASH_R only.
#[derive(Debug)]
pub(super) struct PeerAuthenticated(());

/// What phase 1 leaves behind.
pub(super) struct IsakmpSa {
    /// Nobody reads it: that it is here is the point.
    _proof: PeerAuthenticated,
    pub(super) cookies: Cookies,
    pub(super) suite: IkeSuite,
    pub(super) skeyid: Skeyid,
    pub(super) capabilities: PeerCapabilities,
    pub(super) path: Path,
    pub(super) established_at: Instant,
    /// When it must not be used any more.
    pub(super) ends_at: Option<Instant>,
    cipher: Cipher,
    /// The last ciphertext block of phase 1.
    phase1_iv: Iv,
}

/// A decrypted message of phase 2, not believed yet.
pub(super) struct Unverified {
    pub(super) header: Header,
    pub(super) octets: Vec<u8>,
    /// The IV to go on with when it is accepted.
    pub(super) next_iv: Iv,
}

impl PeerAuthenticated {
    /// HASH_R against what was received, in constant time.
    pub(super) fn check(_expected: &crate::crypto::secret::Secret, _received: &[u8]) -> Option<Self> {
        todo!()
    }
}

impl IsakmpSa {
    /// A message ID that is not zero and was not used by either side of this SA as far as it is remembered (RFC 2409 §5.5).
    pub(super) fn fresh_message_id(&mut self, _random: &mut dyn Random) -> u32 {
        todo!()
    }

    /// The IV that an exchange with this message ID begins with.
    pub(super) fn first_iv(&self, _message_id: u32) -> Iv {
        todo!()
    }

    /// A message with HASH(1) before `contents`.
    pub(super) fn seal_with_hash_1(
        &self,
        _exchange: ExchangeType,
        _message_id: u32,
        _iv: &mut Iv,
        _contents: &Contents,
    ) -> Option<Vec<u8>> {
        todo!()
    }

    /// A message with this HASH before `contents`.
    pub(super) fn seal_with_hash(
        &self,
        _exchange: ExchangeType,
        _message_id: u32,
        _iv: &mut Iv,
        _hash: &[u8],
        _contents: &Contents,
    ) -> Option<Vec<u8>> {
        todo!()
    }

    /// Decrypts a message; `rest` is what follows the header.
    pub(super) fn open(&self, _header: &Header, _iv: &Iv, _rest: &[u8]) -> Result<Unverified, DropReason> {
        todo!()
    }

    /// Checks HASH(1) and gives the payloads behind it: the kind of the first, and their octets.
    pub(super) fn verify_hash_1<'a>(&self, _message: &'a Unverified) -> Result<(PayloadType, &'a [u8]), DropReason> {
        todo!()
    }
}
