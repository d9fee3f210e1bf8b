//! Where the parts of an ESP packet stand (RFC 4303 §2): `[SPI, sequence | IV | inner | padding | pad length, next header | ICV]`.

use crate::crypto::cipher::{Protection, Text};

/// SPI and sequence number.
pub const HEADER: usize = 8;
/// Pad length and next header.
pub const TRAILER: usize = 2;
/// Next header of a dummy packet (RFC 4303 §2.6).
pub const DUMMY: u8 = 59;
/// Next header of IPv4 in IP.
pub const IPV4: u8 = 4;
/// Next header of IPv6 in IP.
pub const IPV6: u8 = 41;

/// The lengths that one protection demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    aead: bool,
    iv: usize,
    icv: usize,
    block: usize,
    align: usize,
}

impl Layout {
    /// The lengths of a protection.
    pub const fn of(protection: Protection) -> Self {
        let block = protection.block_len();
        Self {
            aead: matches!(protection, Protection::Aead(_)),
            iv: protection.iv_len(),
            icv: protection.icv_len(),
            block,
            align: if block > 4 { block } else { 4 }, // RFC 4303 §2.4
        }
    }

    /// Octets of the IV.
    pub const fn iv_len(self) -> usize {
        self.iv
    }

    /// Whether the IV is the sequence number.
    pub const fn is_aead(self) -> bool {
        self.aead
    }

    /// Octets of text for an inner packet: padded, with the trailer.
    pub const fn text_len(self, inner: usize) -> Option<usize> {
        match inner.checked_add(TRAILER) {
            Some(text) => text.checked_next_multiple_of(self.align),
            None => None,
        }
    }

    /// Octets of the whole ESP packet for an inner packet.
    pub const fn sealed_len(self, inner: usize) -> Option<usize> {
        match self.text_len(inner) {
            Some(text) => text.checked_add(self.overhead()),
            None => None,
        }
    }

    /// Octets around the text.
    pub const fn overhead(self) -> usize {
        HEADER.saturating_add(self.iv).saturating_add(self.icv)
    }

    /// The largest inner packet that fits into an ESP packet of so many octets; zero if none does.
    pub fn inner_len(self, esp: usize) -> usize {
        let text = esp.saturating_sub(self.overhead());
        let unused = text.checked_rem(self.align).unwrap_or(0);
        text.saturating_sub(unused).saturating_sub(TRAILER)
    }

    /// Whether a received packet of so many octets can be one, whatever is in it.
    pub fn check(self, esp: usize) -> Result<(), Misfit> {
        match esp.checked_sub(self.overhead()) {
            Some(text) if text >= TRAILER => {
                if text.is_multiple_of(self.block) {
                    Ok(())
                } else {
                    Err(Misfit::Unaligned)
                }
            }
            _ => Err(Misfit::TooShort),
        }
    }

    /// What is authenticated beside the text.
    pub fn associated(self, spi: [u8; 4], sequence: u64, esn: bool) -> Associated {
        let mut octets = [0; 12];
        let [a, b, c, d, low @ ..] = sequence.to_be_bytes();
        let high = [a, b, c, d];
        // RFC 4106 §5, RFC 7634 §2.1: the AEADs take all 64 bits in order; RFC 4303 §2.2.1: an HMAC takes the high half behind the text.
        let len = if self.aead && esn {
            fill(&mut octets, [spi, high, low]);
            12
        } else {
            fill(&mut octets, [spi, low, [0; 4]]);
            8
        };
        Associated { octets, len, suffix: high, suffix_len: if esn && !self.aead { 4 } else { 0 } }
    }

    /// The parts of an ESP packet, for the cipher.
    pub fn carve<'a>(self, esp: &'a mut [u8], associated: &'a Associated) -> Option<Text<'a>> {
        let (_, rest) = esp.split_at_mut_checked(HEADER)?;
        let (iv, rest) = rest.split_at_mut_checked(self.iv)?;
        let text_len = rest.len().checked_sub(self.icv)?;
        let (text, icv) = rest.split_at_mut_checked(text_len)?;
        Some(Text {
            associated: associated.octets.get(..associated.len)?,
            iv,
            text,
            suffix: associated.suffix.get(..associated.suffix_len)?,
            icv,
        })
    }
}

/// Why a length cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// No room for the parts.
    TooShort,
    /// Not whole blocks.
    Unaligned,
}

/// What is authenticated beside the text.
#[derive(Clone, Copy, Debug)]
pub struct Associated {
    octets: [u8; 12],
    len: usize,
    suffix: [u8; 4],
    suffix_len: usize,
}

fn fill(octets: &mut [u8; 12], parts: [[u8; 4]; 3]) {
    octets.iter_mut().zip(parts.as_flattened()).for_each(|(to, from)| *to = *from);
}

/// The same memory for texts of another borrow, so that a list of them is allocated once.
pub(in crate::esp) fn recycle<'a>(texts: Vec<Text<'_>>) -> Vec<Text<'a>> {
    texts.into_iter().map_while(|_| None).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity};

    #[test]
    fn recycling_keeps_the_memory() {
        let texts: Vec<Text<'_>> = Vec::with_capacity(77);
        let before = texts.as_ptr() as usize;
        let recycled = recycle(texts);
        assert_eq!((recycled.as_ptr() as usize, recycled.capacity()), (before, 77));
    }

    #[test]
    fn e_06_what_has_no_room_for_a_trailer_is_too_short() {
        let cbc = Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 };
        let gcm = Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen));
        for protection in [cbc, gcm, Protection::Aead(Aead::ChaCha20Poly1305)] {
            let layout = Layout::of(protection);
            for esp in 0..layout.overhead() + TRAILER {
                assert_eq!(layout.check(esp), Err(Misfit::TooShort), "{protection:?}, {esp}");
            }
        }
    }
}
