//! The children of IKE SAs, and traffic selectors on the wire.

use std::net::IpAddr;

use crate::sa::selector::Selector;
use crate::sa::suite::Protection;
use crate::sim::Datagram;
use crate::sim::esp::{Pair, addresses};
use crate::time::Instant;

use super::Gateway;

pub(super) struct Child {
    pub(super) made: Instant,
    pair: Pair,
    pub(super) suite: (Protection, bool),
    pub(super) client: Vec<Selector>,
    pub(super) subnets: Vec<Selector>,
    /// The client is known to have it, so that it may be sent with.
    pub(super) usable: bool,
    /// Deleted: still heard until then.
    pub(super) gone: Option<Instant>,
}

impl Child {
    pub(super) fn new(
        made: Instant,
        pair: Pair,
        suite: (Protection, bool),
        client: Vec<Selector>,
        subnets: Vec<Selector>,
    ) -> Self {
        Self { made, pair, suite, client, subnets, usable: true, gone: None }
    }

    /// What the client receives on.
    pub(super) const fn outbound_spi(&self) -> u32 {
        self.pair.outbound()
    }

    pub(super) const fn inbound_spi(&self) -> u32 {
        self.pair.inbound()
    }
}

impl Child {
    fn carries_to(&self, destination: IpAddr) -> bool {
        self.usable && self.gone.is_none() && self.client.iter().any(|one| one.contains_address(destination))
    }
}

impl Gateway {
    pub(super) fn handle_esp(&mut self, now: Instant, datagram: &Datagram) -> Option<Vec<u8>> {
        let spi = u32::from_be_bytes(datagram.octets.get(..4)?.try_into().ok()?);
        let holder = self.sas.values_mut().find(|sa| sa.children.iter().any(|child| child.inbound_spi() == spi));
        let Some(sa) = holder else {
            self.counts.esp_refused += 1;
            return None;
        };
        let child = sa.children.iter_mut().find(|child| child.inbound_spi() == spi)?;
        let packet = child.pair.open(&datagram.octets);
        let allowed = packet.filter(|packet| {
            addresses(packet).is_some_and(|(source, destination)| {
                child.client.iter().any(|selector| selector.contains_address(source))
                    && child.subnets.iter().any(|selector| selector.contains_address(destination))
            })
        });
        if allowed.is_some() {
            child.usable |= child.gone.is_none();
            sa.last_seen = now;
            if !sa.mobility.is_on {
                sa.peer = datagram.source;
            }
            self.counts.esp_received += 1;
        } else {
            self.counts.esp_refused += 1;
        }
        allowed
    }

    pub(super) fn send_esp(&mut self, packet: &[u8]) -> bool {
        let Some((_, destination)) = addresses(packet) else { return false };
        let random = &mut self.random;
        let newest = self
            .sas
            .values_mut()
            .filter(|sa| sa.children.iter().any(|child| child.carries_to(destination)))
            .max_by_key(|sa| sa.established);
        let Some(sa) = newest else { return false };
        let Some(child) = sa.children.iter_mut().rev().find(|child| child.carries_to(destination)) else {
            return false;
        };
        let octets = child.pair.seal(packet, random);
        let peer = sa.mobility.packets.unwrap_or(sa.peer);
        self.here = sa.mobility.here;
        self.send(4500, peer, octets);
        true
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
