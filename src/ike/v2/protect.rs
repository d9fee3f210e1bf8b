//! The Encrypted payload and the Encrypted Fragment payload (RFC 7296 §3.14, RFC 5282, RFC 7383 §2.5): whole messages are sealed and opened here.
//! It knows keys, IVs, padding and integrity; it knows no exchange and reads no inner payload.

use serde::{Deserialize, Serialize};

use crate::crypto::carried::CarriedKeys;
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
    /// What both were made of, for another process that goes on with this IKE SA: ours, then theirs.
    keys: (ProtectionKeys, ProtectionKeys),
    next_iv: u64,
}

/// Both directions' keys on their way to another process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ProtectionState {
    ours: CarriedKeys,
    theirs: CarriedKeys,
    next_iv: u64,
}

const IVS_PASSED_OVER: u64 = 1 << 16;

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
        let (sealer, opener) = (Sealer::new(protection, ours)?, Opener::new(protection, theirs)?);
        Ok(Self { sealer, opener, keys: (ours.duplicate(), theirs.duplicate()), next_iv: 1 })
    }

    /// The keys as values, for another process, and the first IV that was not used.
    pub(super) fn export(&self) -> ProtectionState {
        let Self { keys: (ours, theirs), next_iv, sealer: _, opener: _ } = self;
        ProtectionState { ours: CarriedKeys::copy_of(ours), theirs: CarriedKeys::copy_of(theirs), next_iv: *next_iv }
    }

    /// The same in the process that goes on, where IVs are passed over: none comes twice, whatever the other one did after it was asked.
    pub(super) fn restore(protection: Protection, state: ProtectionState) -> Option<Self> {
        let ProtectionState { ours, theirs, next_iv } = state;
        let next_iv = next_iv.checked_add(IVS_PASSED_OVER)?;
        Some(Self { next_iv, ..Self::new(protection, &ours.into_keys(), &theirs.into_keys()).ok()? })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity};
    use crate::crypto::random::SeededRandom;
    use crate::crypto::secret::Secret;
    use crate::ike::wire::header::Flags;
    use crate::ike::wire::registry::ExchangeType;
    use crate::sa::spi::IkeSpi;

    const ALL: [Protection; 6] = [
        Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen)),
        Protection::Aead(Aead::AesGcm(AesKey::Aes128, GcmIcv::Eight)),
        Protection::Aead(Aead::ChaCha20Poly1305),
        Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 },
        Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes128), integrity: Integrity::HmacSha512_256 },
        Protection::CbcHmac { encryption: Cbc::TripleDes, integrity: Integrity::HmacSha1_96 },
    ];

    fn keys(protection: Protection, fill: u8) -> ProtectionKeys {
        let octets = |len| Secret::new((0..len).map(|index| (index as u8).wrapping_mul(5) ^ fill).collect());
        ProtectionKeys {
            encryption: octets(protection.encryption_key_len()),
            integrity: octets(protection.integrity_key_len()),
        }
    }

    fn both(protection: Protection) -> (MessageProtection, MessageProtection) {
        let (ours, theirs) = (keys(protection, 1), keys(protection, 77));
        (
            MessageProtection::new(protection, &ours, &theirs).unwrap(),
            MessageProtection::new(protection, &theirs, &ours).unwrap(),
        )
    }

    fn header() -> Header {
        Header {
            initiator_spi: IkeSpi::new([1; 8]).unwrap(),
            responder_spi: IkeSpi::new([2; 8]),
            next_payload: PayloadType::NONE,
            major: 2,
            minor: 0,
            exchange: ExchangeType::INFORMATIONAL,
            flags: Flags { initiator: true, response: false },
            message_id: 9,
        }
    }

    fn contents(len: usize) -> Contents {
        Contents { first: PayloadType::VENDOR_ID, octets: vec![0xab; len] }
    }

    fn random() -> SeededRandom {
        SeededRandom::new(3)
    }

    #[test]
    fn what_is_sealed_is_opened_by_the_other_side_at_every_length() {
        for protection in ALL {
            let (mut ours, theirs) = both(protection);
            for len in 0..70 {
                let message = ours.seal(&header(), &contents(len), &mut random()).unwrap();
                let opened = theirs.open(&message).unwrap();
                assert_eq!((opened.first, opened.content.len()), (PayloadType::VENDOR_ID, len));
                assert_eq!(opened.fragment, None);
                assert_eq!(ours.open(&message), Err(OpenError::Forged), "our own message, sent back");
            }
        }
    }

    #[test]
    fn k2_068_every_octet_of_the_message_is_authenticated() {
        for protection in ALL {
            let (mut ours, theirs) = both(protection);
            let message = ours.seal(&header(), &contents(20), &mut random()).unwrap();
            for index in 0..message.len() {
                for bit in 0..8 {
                    let mut forged = message.clone();
                    forged[index] ^= 1 << bit;
                    assert!(theirs.open(&forged).is_err(), "octet {index}, bit {bit}");
                }
            }
            for len in 0..message.len() {
                assert!(theirs.open(&message[..len]).is_err());
            }
        }
    }

    /// RFC 7634 appendix B.
    #[test]
    fn k2_068_the_message_of_rfc_7634_is_opened_and_sealed() {
        let message = [
            0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0x2e, 0x20,
            0x25, 0x00, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x45, 0x29, 0x00, 0x00, 0x29, 0x10, 0x11, 0x12, 0x13,
            0x14, 0x15, 0x16, 0x17, 0x61, 0x03, 0x94, 0x70, 0x1f, 0x8d, 0x01, 0x7f, 0x7c, 0x12, 0x92, 0x48, 0x89, 0x6b,
            0x71, 0xbf, 0xe2, 0x52, 0x36, 0xef, 0xd7, 0xcd, 0xc6, 0x70, 0x66, 0x90, 0x63, 0x15, 0xb2,
        ];
        let protection = Protection::Aead(Aead::ChaCha20Poly1305);
        let key =
            || ProtectionKeys { encryption: Secret::new((0x80..0xa4).collect()), integrity: Secret::new(Vec::new()) };
        let mut both = MessageProtection::new(protection, &key(), &key()).unwrap();
        let opened = both.open(&message).unwrap();
        assert_eq!(opened.first, PayloadType::NOTIFY);
        assert_eq!(opened.content, [0, 0, 0, 12, 0, 0, 0x40, 1, 0, 0, 0, 10]);
        both.next_iv = 0x1011_1213_1415_1617;
        let contents = Contents { first: opened.first, octets: opened.content };
        assert_eq!(both.seal(&opened.header, &contents, &mut random()).unwrap(), message);
    }

    /// A message whose padded text is given.
    fn sealed_text(protection: Protection, mut text: Vec<u8>) -> Vec<u8> {
        let iv = vec![5; protection.iv_len()];
        let mut icv = vec![0; protection.icv_len()];
        let len = iv.len() + text.len() + icv.len();
        let mut message = protected_prefix(&header(), PayloadType::VENDOR_ID, None, len).unwrap();
        let job = Text { associated: &message, iv: &iv, text: &mut text, suffix: &[], icv: &mut icv };
        Sealer::new(protection, &keys(protection, 1)).unwrap().seal(job).unwrap();
        message.extend(iv.into_iter().chain(text).chain(icv));
        message
    }

    #[test]
    fn k2_068_padding_of_any_length_and_octets_is_accepted_if_it_is_there() {
        for protection in ALL {
            let (_, theirs) = both(protection);
            let mut text: Vec<u8> = (0..240).collect();
            for padding in [0, 1, 15, 16, 17, 100, 239] {
                *text.last_mut().unwrap() = padding;
                let opened = theirs.open(&sealed_text(protection, text.clone())).unwrap();
                assert_eq!(opened.content, text[..239 - usize::from(padding)]);
            }
            for padding in [240, 255] {
                *text.last_mut().unwrap() = padding;
                assert_eq!(theirs.open(&sealed_text(protection, text.clone())), Err(OpenError::Forged));
            }
            assert_eq!(theirs.open(&sealed_text(protection, Vec::new())), Err(OpenError::Forged));
        }
    }

    fn iv_of(protection: Protection, message: &[u8]) -> Vec<u8> {
        message[32..32 + protection.iv_len()].to_vec()
    }

    #[test]
    fn c_08_an_aead_iv_is_never_used_twice_and_the_last_one_ends_sealing() {
        let protection = ALL[0];
        let (mut ours, _) = both(protection);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let message = ours.seal(&header(), &contents(1), &mut random()).unwrap();
            assert!(seen.insert(iv_of(protection, &message)));
        }
        ours.next_iv = u64::MAX;
        assert_eq!(ours.seal(&header(), &contents(1), &mut random()), Err(SealError::Exhausted));
    }

    #[test]
    fn k2_068_a_cbc_iv_comes_from_the_random_source() {
        let protection = ALL[3];
        let (mut ours, _) = both(protection);
        let mut expected = [0; 16];
        random().fill(&mut expected);
        let message = ours.seal(&header(), &contents(1), &mut random()).unwrap();
        assert_eq!(iv_of(protection, &message), expected);
    }

    #[test]
    fn f_03_each_fragment_is_sealed_by_itself_and_keeps_its_place() {
        for protection in ALL {
            let (mut ours, theirs) = both(protection);
            let number = FragmentNumber { number: 2, total: 3 };
            let message = ours.seal_fragment(&header(), number, PayloadType::NONE, b"piece", &mut random()).unwrap();
            let opened = theirs.open(&message).unwrap();
            assert_eq!((opened.fragment, opened.first), (Some(number), PayloadType::NONE));
            assert_eq!(opened.content, b"piece");
            for index in 32..36 {
                let mut renumbered = message.clone();
                renumbered[index] ^= 1;
                assert!(theirs.open(&renumbered).is_err());
            }
        }
    }

    #[test]
    fn f_11_payloads_in_clear_stand_beside_the_first_fragment_only() {
        let protection = ALL[0];
        for (number, accepted) in [(1, true), (2, false)] {
            let iv = vec![5; protection.iv_len()];
            let (mut text, mut icv) = (vec![7, 0], vec![0; protection.icv_len()]);
            let len = iv.len() + text.len() + icv.len();
            let place = FragmentNumber { number, total: 2 };
            let mut message = protected_prefix(&header(), PayloadType::NONE, Some(place), len).unwrap();
            let vendor = [PayloadType::ENCRYPTED_FRAGMENT.0, 0, 0, 6, 1, 2];
            message.splice(28..28, vendor);
            message[16] = PayloadType::VENDOR_ID.0;
            let total = u32::try_from(message.len() + len).unwrap();
            message[24..28].copy_from_slice(&total.to_be_bytes());
            let job = Text { associated: &message, iv: &iv, text: &mut text, suffix: &[], icv: &mut icv };
            Sealer::new(protection, &keys(protection, 1)).unwrap().seal(job).unwrap();
            message.extend(iv.into_iter().chain(text).chain(icv));
            let (_, theirs) = both(protection);
            assert_eq!(theirs.open(&message).is_ok(), accepted);
        }
    }

    #[test]
    fn a_message_without_encrypted_payload_is_not_opened() {
        let (_, theirs) = both(ALL[0]);
        let message = header().message(&Contents { first: PayloadType::NONE, octets: Vec::new() }).unwrap();
        assert_eq!(theirs.open(&message), Err(OpenError::Unprotected));
    }
}
