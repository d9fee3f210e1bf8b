//! The Encrypted payload and the Encrypted Fragment payload (RFC 7296 §3.14, RFC 5282, RFC 7383 §2.5): whole messages are sealed and opened here.
//! It knows keys, IVs, padding and integrity; it knows no exchange and reads no inner payload.

use crate::crypto::cipher::{BadKey, Opener, Protection, ProtectionKeys, Sealer, Text};
use crate::crypto::random::Random;
use crate::ike::wire::chain::{Contents, FragmentNumber, parse_outer, protected_prefix};
use crate::ike::wire::header::Header;
use crate::ike::wire::registry::PayloadType;

/// Both directions of one IKE SA's protection.
#[derive(Debug)]
pub(super) struct MessageProtection {
    sealer: Sealer,
    opener: Opener,
    next_iv: u64,
}

/// A message whose integrity was checked, or one fragment of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) header: Header,
    /// `None`: the content is the whole chain.
    pub(super) fragment: Option<FragmentNumber>,
    /// The first inner payload; of a fragment, 0 in all but the first.
    pub(super) first: PayloadType,
    /// Inner payloads, or a piece of them.
    pub(super) content: Vec<u8>,
}

/// Why a datagram was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenError {
    /// It is no well-formed message.
    Malformed,
    /// It holds no Encrypted payload.
    Unprotected,
    /// The integrity check failed, or what it protects is not padded as it must be.
    Forged,
}

/// Why a message was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SealError {
    /// Longer than a message can be.
    TooLong,
    /// The key was used as often as it may be.
    Exhausted,
}

impl MessageProtection {
    /// `ours` seals what we send.
    pub(super) fn new(protection: Protection, ours: &ProtectionKeys, theirs: &ProtectionKeys) -> Result<Self, BadKey> {
        Ok(Self { sealer: Sealer::new(protection, ours)?, opener: Opener::new(protection, theirs)?, next_iv: 1 })
    }

    pub(super) fn protection(&self) -> Protection {
        self.sealer.protection()
    }

    /// The whole message; of `header`, the next payload is replaced.
    pub(super) fn seal(
        &mut self,
        header: &Header,
        contents: &Contents,
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, SealError> {
        self.seal_content(header, None, contents.first, &contents.octets, random)
    }

    /// One fragment as a whole message; `first` is 0 in all but the first (RFC 7383 §2.5).
    pub(super) fn seal_fragment(
        &mut self,
        header: &Header,
        number: FragmentNumber,
        first: PayloadType,
        piece: &[u8],
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, SealError> {
        self.seal_content(header, Some(number), first, piece, random)
    }

    fn seal_content(
        &mut self,
        header: &Header,
        fragment: Option<FragmentNumber>,
        first: PayloadType,
        content: &[u8],
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, SealError> {
        let protection = self.sealer.protection();
        let mut text = Vec::with_capacity(content.len().saturating_add(17));
        text.extend_from_slice(content);
        pad(&mut text, protection.block_len());
        let iv = self.issue_iv(random)?;
        let mut icv = vec![0; protection.icv_len()];
        let sealed_len = iv.len().saturating_add(text.len()).saturating_add(icv.len());
        let mut message = protected_prefix(header, first, fragment, sealed_len).map_err(|_| SealError::TooLong)?;
        // RFC 5282 §5.1, RFC 7296 §3.14: all octets before the IV are authenticated with it.
        let job = Text { associated: &message, iv: &iv, text: &mut text, suffix: &[], icv: &mut icv };
        self.sealer.seal(job).map_err(|_| SealError::TooLong)?;
        message.extend_from_slice(&iv);
        message.extend_from_slice(&text);
        message.extend_from_slice(&icv);
        Ok(message)
    }

    /// RFC 7296 §3.14: a CBC IV must not be predictable. RFC 5282 §3.1: an AEAD's must be unique under its key, so it is counted.
    fn issue_iv(&mut self, random: &mut dyn Random) -> Result<Vec<u8>, SealError> {
        let next = self.next_iv.checked_add(1).ok_or(SealError::Exhausted)?;
        let iv = match self.sealer.protection() {
            Protection::Aead(_) => self.next_iv.to_be_bytes().to_vec(),
            protection @ Protection::CbcHmac { .. } => {
                let mut iv = vec![0; protection.iv_len()];
                random.fill(&mut iv);
                iv
            }
        };
        self.next_iv = next;
        Ok(iv)
    }

    /// Checks and decrypts a datagram. What is wrong with the padding is said as if the integrity check had failed (C-12).
    pub(super) fn open(&self, datagram: &[u8]) -> Result<Opened, OpenError> {
        let (header, rest) = Header::parse(datagram).map_err(|_| OpenError::Malformed)?;
        let outer = parse_outer(&header, rest).map_err(|_| OpenError::Malformed)?;
        let Some(protected) = outer.protected else { return Err(OpenError::Unprotected) };
        // RFC 7383 §2.5: other payloads stand beside the first fragment only.
        if !outer.clear.is_empty() && protected.fragment.is_some_and(|fragment| fragment.number > 1) {
            return Err(OpenError::Malformed);
        }
        let protection = self.opener.protection();
        let associated = datagram.get(..protected.sealed_at).ok_or(OpenError::Malformed)?;
        let (iv, rest) = protected.sealed.split_at_checked(protection.iv_len()).ok_or(OpenError::Malformed)?;
        let text_len = rest.len().checked_sub(protection.icv_len()).ok_or(OpenError::Malformed)?;
        let (text, icv) = rest.split_at_checked(text_len).ok_or(OpenError::Malformed)?;
        let (mut text, mut icv) = (text.to_vec(), icv.to_vec());
        let job = Text { associated, iv, text: &mut text, suffix: &[], icv: &mut icv };
        self.opener.open(job).map_err(|_| OpenError::Forged)?;
        unpad(&mut text).ok_or(OpenError::Forged)?;
        Ok(Opened { header, fragment: protected.fragment, first: protected.first_inner, content: text })
    }
}

/// Zeros and the pad length, to the next whole block.
fn pad(text: &mut Vec<u8>, block: usize) {
    let with_length = text.len().saturating_add(1);
    let padding = with_length.checked_next_multiple_of(block).unwrap_or(with_length).saturating_sub(with_length);
    text.resize(text.len().saturating_add(padding), 0);
    text.push(u8::try_from(padding).unwrap_or(0));
}

/// RFC 7296 §3.14: any padding is accepted, of any length and any octets, as long as it is there.
fn unpad(text: &mut Vec<u8>) -> Option<()> {
    let padding = usize::from(text.pop()?);
    let content = text.len().checked_sub(padding)?;
    text.truncate(content);
    Some(())
}
