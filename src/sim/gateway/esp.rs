//! ESP in UDP as the gateway does it, one packet at a time (RFC 4303, RFC 3948), and traffic selectors on the wire.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::crypto::cipher::{Opener, Sealer, Text};
use crate::crypto::random::Random;
use crate::sa::selector::Selector;
use crate::sa::suite::Protection;
use crate::time::Instant;

use super::octets::{Proposal, write_proposals};
use super::{Datagram, Gateway};

pub(super) struct Child {
    protection: Protection,
    esn: bool,
    inbound: u32,
    outbound: u32,
    opener: Opener,
    sealer: Sealer,
    proposal: Proposal,
    client: Vec<Selector>,
    subnets: Vec<Selector>,
    sent: u64,
    seen: BTreeSet<u64>,
}

impl Child {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        protection: Protection,
        esn: bool,
        inbound: u32,
        outbound: u32,
        (opener, sealer): (Opener, Sealer),
        proposal: Proposal,
        client: Vec<Selector>,
        subnets: Vec<Selector>,
    ) -> Self {
        let seen = BTreeSet::new();
        Self { protection, esn, inbound, outbound, opener, sealer, proposal, client, subnets, sent: 0, seen }
    }

    pub(super) const fn inbound_spi(&self) -> u32 {
        self.inbound
    }

    /// SA, TSi (the client's side) and TSr bodies as negotiated.
    pub(super) fn as_payloads(&self) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let sa = write_proposals(std::slice::from_ref(&self.proposal));
        (sa, write_selectors(&self.client), write_selectors(&self.subnets))
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

    fn open(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
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

    fn seal(&mut self, packet: &[u8], random: &mut dyn Random) -> Vec<u8> {
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

impl Gateway {
    pub(super) fn handle_esp(&mut self, now: Instant, datagram: &Datagram) -> Option<Vec<u8>> {
        let spi = u32::from_be_bytes(datagram.octets.get(..4)?.try_into().ok()?);
        let holder = self.sas.values_mut().find(|sa| sa.child.as_ref().is_some_and(|child| child.inbound == spi));
        let Some(sa) = holder else {
            self.counts.esp_refused += 1;
            return None;
        };
        let child = sa.child.as_mut()?;
        let packet = child.open(&datagram.octets);
        let allowed = packet.filter(|packet| {
            addresses(packet).is_some_and(|(source, destination)| {
                child.client.iter().any(|selector| selector.contains_address(source))
                    && child.subnets.iter().any(|selector| selector.contains_address(destination))
            })
        });
        if allowed.is_some() {
            sa.last_seen = now;
            sa.peer = datagram.source;
            self.counts.esp_received += 1;
        } else {
            self.counts.esp_refused += 1;
        }
        allowed
    }

    /// Sends an inner packet to the client whose selectors hold its destination.
    pub fn send_packet(&mut self, packet: &[u8]) -> bool {
        let Some((_, destination)) = addresses(packet) else { return false };
        let random = &mut self.random;
        let newest = self
            .sas
            .values_mut()
            .filter(|sa| {
                sa.child.as_ref().is_some_and(|child| child.client.iter().any(|s| s.contains_address(destination)))
            })
            .max_by_key(|sa| sa.established);
        let Some(sa) = newest else { return false };
        let Some(child) = sa.child.as_mut() else { return false };
        let octets = child.seal(packet, random);
        let peer: SocketAddr = sa.peer;
        self.send(4500, peer, octets);
        true
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

pub(super) fn read_selectors(body: &[u8]) -> Option<Vec<Selector>> {
    let mut selectors = Vec::new();
    let mut at = 4;
    for _ in 0..*body.first()? {
        let head = body.get(at..at + 8)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let ends = body.get(at + 8..at + length)?;
        let (start, end) = ends.split_at(ends.len() / 2);
        let address = |octets: &[u8]| match octets.len() {
            4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
            16 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
            _ => None,
        };
        let ports = [u16::from_be_bytes([head[4], head[5]]), u16::from_be_bytes([head[6], head[7]])];
        selectors.push(Selector::new(address(start)?, address(end)?, head[1], ports[0], ports[1])?);
        at += length;
    }
    Some(selectors)
}

pub(super) fn write_selectors(selectors: &[Selector]) -> Vec<u8> {
    let mut out = vec![u8::try_from(selectors.len()).expect("few selectors"), 0, 0, 0];
    for selector in selectors {
        let octets = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let (kind, length) = if selector.is_ipv4() { (7, 16u16) } else { (8, 40) };
        out.extend_from_slice(&[kind, selector.protocol()]);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&selector.first_port().to_be_bytes());
        out.extend_from_slice(&selector.last_port().to_be_bytes());
        out.extend_from_slice(&octets(selector.start()));
        out.extend_from_slice(&octets(selector.end()));
    }
    out
}
