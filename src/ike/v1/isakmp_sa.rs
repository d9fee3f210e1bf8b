//! An ISAKMP SA whose peer is authenticated: its names, keys and IVs. It seals and opens the messages of phase 2; it knows none of them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::crypto::hash::Hash;
use crate::crypto::random::Random;
use crate::crypto::secret::Secret;
use crate::ike::action::DropReason;
use crate::ike::v1::header::{Cookies, ExchangeType, Flags, Header, PayloadType};
use crate::ike::v1::iv::Iv;
use crate::ike::v1::keys::{Skeyid, SkeyidState, hash_of};
use crate::ike::v1::message::Hashed;
use crate::ike::v1::protect::Cipher;
use crate::ike::v1::vendor::PeerCapabilities;
use crate::ike::wire::chain::Contents;
use crate::ike::wire::header::HEADER_LEN;
use crate::ike::wire::registry;
use crate::ike::wire::writer::Writer;
use crate::sa::handover::Unrestorable;
use crate::sa::path::Path;
use crate::sa::suite::{IkeSuite, Protection};
use crate::time::Instant;

/// So many message IDs are remembered; older ones are forgotten.
const MOST_REMEMBERED: usize = 1024;

/// Before each payload's body.
const GENERIC_HEADER: usize = 4;

/// Made by the check of HASH_R only, in this process or in the one that handed the SA over.
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
    message_ids: MessageIds,
}

/// What phase 1 agreed on, for `IsakmpSa::new`.
pub(super) struct Agreed {
    pub(super) cookies: Cookies,
    pub(super) suite: IkeSuite,
    pub(super) skeyid: Skeyid,
    pub(super) cipher: Cipher,
    /// The last ciphertext block of phase 1.
    pub(super) phase1_iv: Iv,
    pub(super) capabilities: PeerCapabilities,
    pub(super) path: Path,
    pub(super) established_at: Instant,
    pub(super) ends_at: Option<Instant>,
}

/// An ISAKMP SA on its way to another process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IsakmpSaState {
    cookies: Cookies,
    suite: IkeSuite,
    skeyid: SkeyidState,
    capabilities: PeerCapabilities,
    path: Path,
    established_at: Instant,
    ends_at: Option<Instant>,
    phase1_iv: Iv,
    message_ids: MessageIds,
}

/// A decrypted message of phase 2, not believed yet.
pub(super) struct Unverified {
    pub(super) header: Header,
    /// The chain of payloads, with padding.
    pub(super) octets: Vec<u8>,
    /// The IV to go on with when it is accepted.
    pub(super) next_iv: Iv,
}

impl PeerAuthenticated {
    /// HASH_R against what was received, in constant time.
    pub(super) fn check(expected: &Secret, received: &[u8]) -> Option<Self> {
        (!expected.is_empty() && expected.matches(received)).then_some(Self(()))
    }
}

impl IsakmpSa {
    /// Only with the proof that the peer knows the pre-shared key.
    pub(super) fn new(proof: PeerAuthenticated, agreed: Agreed) -> Self {
        let Agreed { cookies, suite, skeyid, cipher, phase1_iv, capabilities, path, established_at, ends_at } = agreed;
        let message_ids = MessageIds::default();
        Self {
            _proof: proof,
            cookies,
            suite,
            skeyid,
            capabilities,
            path,
            established_at,
            ends_at,
            cipher,
            phase1_iv,
            message_ids,
        }
    }

    /// The SA as values, for another process that goes on with it.
    pub(super) fn export(&self) -> IsakmpSaState {
        let Self {
            _proof,
            cookies,
            suite,
            skeyid,
            capabilities,
            path,
            established_at,
            ends_at,
            cipher: _,
            phase1_iv,
            message_ids,
        } = self;
        IsakmpSaState {
            cookies: *cookies,
            suite: *suite,
            skeyid: skeyid.export(),
            capabilities: *capabilities,
            path: *path,
            established_at: *established_at,
            ends_at: *ends_at,
            phase1_iv: phase1_iv.clone(),
            message_ids: message_ids.clone(),
        }
    }

    /// The SA again, in the process that goes on with it. That its peer is authenticated was found out by the process before.
    pub(super) fn restore(state: IsakmpSaState) -> Result<Self, Unrestorable> {
        let IsakmpSaState {
            cookies,
            suite,
            skeyid,
            capabilities,
            path,
            established_at,
            ends_at,
            phase1_iv,
            message_ids,
        } = state;
        let Protection::CbcHmac { encryption, .. } = suite.protection else {
            return Err(Unrestorable("an ISAKMP SA with a cipher that IKEv1 has not"));
        };
        if message_ids.0.len() > MOST_REMEMBERED {
            return Err(Unrestorable("more message IDs than are remembered"));
        }
        let skeyid = Skeyid::restore(suite.prf, skeyid).ok_or(Unrestorable("keys of an ISAKMP SA that do not fit"))?;
        let cipher = Cipher::new(encryption, &skeyid.cipher_key(encryption)).ok_or(Unrestorable("a bad cipher key"))?;
        let agreed = Agreed { cookies, suite, skeyid, cipher, phase1_iv, capabilities, path, established_at, ends_at };
        Ok(Self { message_ids, ..Self::new(PeerAuthenticated(()), agreed) })
    }

    /// A message ID that is not zero and was not used by either side of this SA as far as it is remembered (RFC 2409 §5.5).
    pub(super) fn fresh_message_id(&mut self, random: &mut dyn Random) -> u32 {
        self.message_ids.fresh(random)
    }

    /// Notes that the peer began an exchange with this message ID, whose HASH was right. Zero, or one that was used, is refused: the message is
    /// then a repetition or a replay.
    pub(super) fn claim_message_id(&mut self, message_id: u32) -> Result<(), DropReason> {
        self.message_ids.claim(message_id)
    }

    /// Whether an exchange of either side had this message ID, as far as it is remembered.
    pub(super) fn knows_message_id(&self, message_id: u32) -> bool {
        self.message_ids.knows(message_id)
    }

    /// The hash that was negotiated, for NAT detection and IVs.
    pub(super) fn hash(&self) -> Hash {
        hash_of(self.suite.prf)
    }

    /// The IV that an exchange with this message ID begins with.
    pub(super) fn first_iv(&self, message_id: u32) -> Iv {
        Iv::of_exchange(self.hash(), &self.phase1_iv, message_id, self.cipher.block_len())
    }

    /// A message with HASH(1) before `contents`.
    pub(super) fn seal_with_hash_1(
        &self,
        exchange: ExchangeType,
        message_id: u32,
        iv: &mut Iv,
        contents: &Contents,
    ) -> Option<Vec<u8>> {
        let hash = self.skeyid.hash_1(message_id, &contents.octets);
        self.seal_with_hash(exchange, message_id, iv, hash.expose(), contents)
    }

    /// A message with this HASH before `contents`.
    pub(super) fn seal_with_hash(
        &self,
        exchange: ExchangeType,
        message_id: u32,
        iv: &mut Iv,
        hash: &[u8],
        contents: &Contents,
    ) -> Option<Vec<u8>> {
        let mut writer = Writer::new();
        let body = |writer: &mut Writer| {
            writer.octets(hash);
            Ok(())
        };
        writer.structure(contents.first.0, 0, body).ok()?;
        writer.octets(&contents.octets);
        let mut contents = Contents { first: registry::PayloadType(PayloadType::HASH.0), octets: writer.finish() };
        let header = Header {
            cookies: self.cookies,
            next_payload: PayloadType::HASH,
            major: 1,
            exchange,
            flags: Flags { encrypted: true, ..Flags::default() },
            message_id,
        };
        let sealed = self.cipher.seal(&header, iv, &contents).ok();
        contents.octets.zeroize();
        sealed
    }

    /// The longest message of whole cipher blocks that is no longer than this, and how many octets of contents with a HASH before them fill it.
    pub(super) fn whole_blocks(&self, longest: usize) -> Option<(usize, usize)> {
        let blocks = longest.checked_sub(HEADER_LEN)?.checked_div(self.cipher.block_len())?;
        let text = blocks.checked_mul(self.cipher.block_len())?;
        let hash = GENERIC_HEADER.checked_add(self.suite.prf.output_len())?;
        Some((HEADER_LEN.checked_add(text)?, text.checked_sub(hash)?))
    }

    /// Decrypts a message; `rest` is what follows the header.
    pub(super) fn open(&self, header: &Header, iv: &Iv, rest: &[u8]) -> Result<Unverified, DropReason> {
        // RFC 2409 §5, §5.7: once there are keys, everything is encrypted.
        if !header.flags.encrypted {
            return Err(DropReason::Unauthenticated);
        }
        if header.cookies != self.cookies {
            return Err(DropReason::NotOurs);
        }
        let (octets, next_iv) = self.cipher.open(iv, rest).map_err(|_| DropReason::Malformed)?;
        Ok(Unverified { header: *header, octets, next_iv })
    }

    /// Checks HASH(1) and gives the payloads behind it: the kind of the first, and their octets.
    pub(super) fn verify_hash_1<'a>(&self, message: &'a Unverified) -> Result<(PayloadType, &'a [u8]), DropReason> {
        self.verify_hash(message, |rest| self.skeyid.hash_1(message.header.message_id, rest))
    }

    /// Checks the HASH that `expected` computes of the octets behind it, in constant time, and gives those.
    pub(super) fn verify_hash<'a>(
        &self,
        message: &'a Unverified,
        expected: impl FnOnce(&[u8]) -> Secret,
    ) -> Result<(PayloadType, &'a [u8]), DropReason> {
        // What was not encrypted with this key decrypts to noise: whatever is wrong with it, it is not the peer's.
        let hashed = Hashed::parse(message.header.next_payload, &message.octets).map_err(|_| DropReason::Forged)?;
        if !expected(hashed.rest).matches(hashed.hash) {
            return Err(DropReason::Forged);
        }
        Ok((PayloadType(hashed.next), hashed.rest))
    }
}

/// The newest message IDs of both sides.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct MessageIds(VecDeque<u32>);

impl MessageIds {
    fn fresh(&mut self, random: &mut dyn Random) -> u32 {
        let mut draw = [0; 4];
        random.fill(&mut draw);
        let mut message_id = u32::from_be_bytes(draw);
        // One of the next is free: fewer are remembered than there are.
        while self.claim(message_id).is_err() {
            message_id = message_id.wrapping_add(1);
        }
        message_id
    }

    fn claim(&mut self, message_id: u32) -> Result<(), DropReason> {
        // RFC 2408 §3.1: zero is phase 1's.
        if message_id == 0 {
            return Err(DropReason::Malformed);
        }
        if self.knows(message_id) {
            return Err(DropReason::OutsideWindow);
        }
        if self.0.len() >= MOST_REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(message_id);
        Ok(())
    }

    fn knows(&self, message_id: u32) -> bool {
        self.0.contains(&message_id)
    }
}

#[cfg(test)]
pub(super) mod tests;
