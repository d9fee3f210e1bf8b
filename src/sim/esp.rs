//! ESP in UDP as the simulated gateways do it, one packet at a time (RFC 4303, RFC 3948).

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::crypto::cipher::{Opener, Sealer, Text};
use crate::crypto::random::Random;
use crate::sa::suite::Protection;

/// Two SAs, one a direction.
pub struct Pair {
    protection: Protection,
    esn: bool,
    inbound: u32,
    outbound: u32,
    opener: Opener,
    sealer: Sealer,
    sent: u64,
    seen: BTreeSet<u64>,
}

impl Pair {
    pub fn new(
        protection: Protection,
        esn: bool,
        inbound: u32,
        outbound: u32,
        (opener, sealer): (Opener, Sealer),
    ) -> Self {
        Self { protection, esn, inbound, outbound, opener, sealer, sent: 0, seen: BTreeSet::new() }
    }

    /// The SPI of what comes to the gateway.
    pub const fn inbound(&self) -> u32 {
        self.inbound
    }

    /// The SPI of what the gateway sends.
    pub const fn outbound(&self) -> u32 {
        self.outbound
    }

    fn bound(&self, spi: u32, sequence: u64) -> (Vec<u8>, Vec<u8>) {
        let (high, low) = ((sequence >> 32) as u32, (sequence & 0xffff_ffff) as u32);
        let mut associated = spi.to_be_bytes().to_vec();
        let mut suffix = Vec::new();
        match (self.protection, self.esn) {
            (Protection::Aead(_), true) => associated.extend_from_slice(&sequence.to_be_bytes()),
            (_, esn) => {
                associated.extend_from_slice(&low.to_be_bytes());
                if esn {
                    suffix.extend_from_slice(&high.to_be_bytes());
                }
            }
        }
        (associated, suffix)
    }

    /// The packet inside, if it is authentic, fresh and well-formed.
    pub fn open(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let sequence = u64::from(u32::from_be_bytes(datagram.get(4..8)?.try_into().ok()?));
        let (iv_len, icv_len) = (self.protection.iv_len(), self.protection.icv_len());
        let end = datagram.len().checked_sub(icv_len)?;
        let iv = datagram.get(8..8 + iv_len)?;
        let mut text = datagram.get(8 + iv_len..end)?.to_vec();
        let mut icv = datagram[end..].to_vec();
        let (associated, suffix) = self.bound(self.inbound, sequence);
        self.opener.open(Text { associated: &associated, iv, text: &mut text, suffix: &suffix, icv: &mut icv }).ok()?;
        let next_header = text.pop()?;
        let padding = usize::from(text.pop()?);
        let padding_at = text.len().checked_sub(padding)?;
        let monotonic = text[padding_at..].iter().zip(1u8..).all(|(octet, number)| *octet == number);
        let packet = text[..padding_at].to_vec();
        let family = packet.first().map(|octet| octet >> 4);
        let fits = matches!((next_header, family), (4, Some(4)) | (41, Some(6)));
        (monotonic && fits && sequence != 0 && self.seen.insert(sequence)).then_some(packet)
    }

    pub fn seal(&mut self, packet: &[u8], random: &mut dyn Random) -> Vec<u8> {
        self.sent += 1;
        let align = self.protection.block_len().max(4);
        let padding = (align - (packet.len() + 2) % align) % align;
        let mut text = packet.to_vec();
        text.extend((1u8..).take(padding));
        text.push(u8::try_from(padding).expect("less than a block"));
        text.push(if packet.first().is_some_and(|octet| octet >> 4 == 6) { 41 } else { 4 });
        let mut iv = vec![0; self.protection.iv_len()];
        match self.protection {
            Protection::Aead(_) => iv.copy_from_slice(&self.sent.to_be_bytes()),
            Protection::CbcHmac { .. } => random.fill(&mut iv),
        }
        let mut icv = vec![0; self.protection.icv_len()];
        let (associated, suffix) = self.bound(self.outbound, self.sent);
        let job = Text { associated: &associated, iv: &iv, text: &mut text, suffix: &suffix, icv: &mut icv };
        self.sealer.seal(job).expect("lengths fit");
        let low = (self.sent & 0xffff_ffff) as u32;
        [self.outbound.to_be_bytes().to_vec(), low.to_be_bytes().to_vec(), iv, text, icv].concat()
    }
}

/// Source and destination of an IP packet.
pub fn addresses(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match packet.first()? >> 4 {
        4 => {
            let read = |at: usize| packet.get(at..at + 4).and_then(|o| <[u8; 4]>::try_from(o).ok()).map(IpAddr::from);
            Some((read(12)?, read(16)?))
        }
        6 => {
            let read = |at: usize| packet.get(at..at + 16).and_then(|o| <[u8; 16]>::try_from(o).ok()).map(IpAddr::from);
            Some((read(8)?, read(24)?))
        }
        _ => None,
    }
}
