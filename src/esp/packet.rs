//! What an inner IP packet says of itself, as far as selectors and the tunnel care. It knows headers; it knows no SA.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{esp::counters::DropReason, sa::selector::PacketPort};

/// IPv6 extension headers that are looked through before giving up.
pub const MAX_EXTENSION_HEADERS: usize = 8;

/// TCP.
pub(in crate::esp) const TCP: u8 = 6;
/// ICMP.
pub(in crate::esp) const ICMP: u8 = 1;
const UDP: u8 = 17;
const DCCP: u8 = 33;
/// ICMP for IPv6.
pub(in crate::esp) const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
const MOBILITY: u8 = 135;
const UDP_LITE: u8 = 136;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// Which part of a datagram a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// All of it.
    Whole,
    /// Its beginning.
    First,
    /// A later part: ports are not in it.
    Later,
}

/// A well-formed IP packet. Only `parse` makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InnerPacket {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    source_port: PacketPort,
    destination_port: PacketPort,
    fragment: Fragment,
    tos: u8,
    header_len: usize,
    total_len: usize,
}

impl InnerPacket {
    /// Reads the headers. Octets behind the packet's own length are ignored: they are padding for traffic flow confidentiality (RFC 4303 §2.7).
    pub fn parse(octets: &[u8]) -> Result<Self, DropReason> {
        let first = octets.first().ok_or(DropReason::InnerTooShort)?;
        let packet = match first >> 4 {
            4 => Self::parse_v4(octets)?,
            6 => Self::parse_v6(octets)?,
            _ => return Err(DropReason::NotIp),
        };
        if packet.is_martian() { Err(DropReason::Martian) } else { Ok(packet) }
    }

    /// Sender.
    pub const fn source(&self) -> IpAddr {
        self.source
    }

    /// Receiver.
    pub const fn destination(&self) -> IpAddr {
        self.destination
    }

    /// The upper protocol, behind all extension headers.
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// For the selectors of the sender's side.
    pub const fn source_port(&self) -> PacketPort {
        self.source_port
    }

    /// For the selectors of the receiver's side.
    pub const fn destination_port(&self) -> PacketPort {
        self.destination_port
    }

    /// Which part of a datagram it is.
    pub const fn fragment(&self) -> Fragment {
        self.fragment
    }

    /// DSCP and ECN.
    pub const fn tos(&self) -> u8 {
        self.tos
    }

    /// Octets before the upper protocol's header.
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// Octets of the packet, by its header.
    pub const fn total_len(&self) -> usize {
        self.total_len
    }

    /// The packet that an ICMP error complains of, with both sides swapped: as an answer to it would be (RFC 4301 §6.2). `octets` is what this was
    /// parsed from. `None` for what is no such error, and for one that does not go to the sender of what it quotes.
    pub fn answered(&self, octets: &[u8]) -> Option<Self> {
        let message = octets.get(self.header_len..self.total_len).filter(|_| self.fragment == Fragment::Whole)?;
        let (head, quote) = message.split_at_checked(8)?;
        let quoted = match (self.protocol, head.first()?) {
            (ICMP, 3 | 4 | 11 | 12) => Self::quoted_v4(quote)?,
            (ICMPV6, 1..=4) => Self::quoted_v6(quote)?,
            _ => return None,
        };
        (quoted.source == self.destination && !quoted.is_martian()).then_some(Self {
            source: quoted.destination,
            destination: quoted.source,
            source_port: quoted.destination_port,
            destination_port: quoted.source_port,
            ..quoted
        })
    }

    /// A quote may end anywhere behind the first eight octets of its payload (RFC 792).
    fn quoted_v4(octets: &[u8]) -> Option<Self> {
        let header: &[u8; IPV4_HEADER] = octets.first_chunk()?;
        let [first, tos, _, _, _, _, f1, f2, _, protocol, _, _, s1, s2, s3, s4, d1, d2, d3, d4] = *header;
        let header_len = usize::from(first & 0x0f).saturating_mul(4);
        if first >> 4 != 4 || header_len < IPV4_HEADER {
            return None;
        }
        let payload = octets.get(header_len..)?;
        let field = u16::from_be_bytes([f1, f2]);
        let fragment = match (field & 0x1fff, field & 0x2000) {
            (0, 0) => Fragment::Whole,
            (0, _) => Fragment::First,
            _ => Fragment::Later,
        };
        let (source_port, destination_port) = ports(protocol, fragment, payload);
        Some(Self {
            source: Ipv4Addr::new(s1, s2, s3, s4).into(),
            destination: Ipv4Addr::new(d1, d2, d3, d4).into(),
            protocol,
            source_port,
            destination_port,
            fragment,
            tos,
            header_len,
            total_len: octets.len(),
        })
    }

    fn quoted_v6(octets: &[u8]) -> Option<Self> {
        let header: &[u8; IPV6_HEADER] = octets.first_chunk()?;
        let [first, second, _, _, _, _, next_header, _, addresses @ ..] = *header;
        if first >> 4 != 6 {
            return None;
        }
        let (source, destination) = addresses.split_at(16);
        let payload = octets.get(IPV6_HEADER..)?;
        let chain = Chain::walk(next_header, payload).ok()?;
        let (source_port, destination_port) = ports(chain.protocol, chain.fragment, payload.get(chain.len..)?);
        Some(Self {
            source: ipv6_address(source).into(),
            destination: ipv6_address(destination).into(),
            protocol: chain.protocol,
            source_port,
            destination_port,
            fragment: chain.fragment,
            tos: (first << 4) | (second >> 4),
            header_len: IPV6_HEADER.saturating_add(chain.len),
            total_len: octets.len(),
        })
    }

    fn parse_v4(octets: &[u8]) -> Result<Self, DropReason> {
        let header: &[u8; IPV4_HEADER] = octets.first_chunk().ok_or(DropReason::InnerTooShort)?;
        let [first, tos, l1, l2, _, _, f1, f2, _, protocol, _, _, s1, s2, s3, s4, d1, d2, d3, d4] = *header;
        let header_len = usize::from(first & 0x0f).saturating_mul(4);
        let total_len = usize::from(u16::from_be_bytes([l1, l2]));
        if header_len < IPV4_HEADER || total_len < header_len {
            return Err(DropReason::InnerTooShort);
        }
        let packet = octets.get(..total_len).ok_or(DropReason::InnerTooShort)?;
        let (header, payload) = packet.split_at_checked(header_len).ok_or(DropReason::InnerTooShort)?;
        if sum(header) != 0xffff {
            return Err(DropReason::InnerChecksum);
        }
        let flags_and_offset = u16::from_be_bytes([f1, f2]);
        let offset = usize::from(flags_and_offset & 0x1fff).saturating_mul(8);
        let fragment = fragment(offset, flags_and_offset & 0x2000 != 0, header_len, payload.len())?;
        let (source_port, destination_port) = ports(protocol, fragment, payload);
        Ok(Self {
            source: Ipv4Addr::new(s1, s2, s3, s4).into(),
            destination: Ipv4Addr::new(d1, d2, d3, d4).into(),
            protocol,
            source_port,
            destination_port,
            fragment,
            tos,
            header_len,
            total_len,
        })
    }

    fn parse_v6(octets: &[u8]) -> Result<Self, DropReason> {
        let header: &[u8; IPV6_HEADER] = octets.first_chunk().ok_or(DropReason::InnerTooShort)?;
        let [first, second, _, _, l1, l2, next_header, _, addresses @ ..] = *header;
        let (source, destination) = addresses.split_at(16);
        let payload_len = usize::from(u16::from_be_bytes([l1, l2]));
        let total_len = IPV6_HEADER.saturating_add(payload_len);
        let payload = octets.get(IPV6_HEADER..total_len).ok_or(DropReason::InnerTooShort)?;
        let chain = Chain::walk(next_header, payload)?;
        let upper = payload.get(chain.len..).ok_or(DropReason::InnerTooShort)?;
        let (source_port, destination_port) = ports(chain.protocol, chain.fragment, upper);
        Ok(Self {
            source: ipv6_address(source).into(),
            destination: ipv6_address(destination).into(),
            protocol: chain.protocol,
            source_port,
            destination_port,
            fragment: chain.fragment,
            tos: (first << 4) | (second >> 4),
            header_len: IPV6_HEADER.saturating_add(chain.len),
            total_len,
        })
    }

    fn is_martian(&self) -> bool {
        let source_never = match self.source {
            IpAddr::V4(source) => source.is_multicast() || source.is_broadcast(),
            IpAddr::V6(source) => source.is_multicast(),
        };
        source_never || self.source.is_loopback() || self.destination.is_loopback() || self.destination.is_unspecified()
    }
}

struct Chain {
    protocol: u8,
    fragment: Fragment,
    len: usize,
}

impl Chain {
    // RFC 8200 §4
    fn walk(first: u8, payload: &[u8]) -> Result<Self, DropReason> {
        let mut chain = Self { protocol: first, fragment: Fragment::Whole, len: 0 };
        let mut fragment_headers = false;
        for _ in 0..MAX_EXTENSION_HEADERS {
            let rest = payload.get(chain.len..).ok_or(DropReason::InnerTooShort)?;
            let len = match (chain.protocol, rest) {
                (HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | HIP | SHIM6, [_, len, ..]) => {
                    usize::from(*len).saturating_add(1).saturating_mul(8)
                }
                (AUTHENTICATION, [_, len, ..]) => usize::from(*len).saturating_add(2).saturating_mul(4), // RFC 4302 §2.2
                (FRAGMENT, _) if fragment_headers => return Err(DropReason::ExtensionChain),
                (FRAGMENT, [_, _, high, low, _, _, _, _, part @ ..]) => {
                    let field = u16::from_be_bytes([*high, *low]);
                    let headers = chain.len.saturating_add(8);
                    fragment_headers = true;
                    chain.fragment = fragment(usize::from(field & 0xfff8), field & 1 != 0, headers, part.len())?;
                    8
                }
                (HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | HIP | SHIM6 | AUTHENTICATION | FRAGMENT, _) => {
                    return Err(DropReason::InnerTooShort);
                }
                _ => return Ok(chain),
            };
            let next = rest.first().filter(|_| len <= rest.len()).ok_or(DropReason::InnerTooShort)?;
            chain.protocol = *next;
            chain.len = chain.len.saturating_add(len);
            if chain.fragment == Fragment::Later {
                return Ok(chain);
            }
        }
        Err(DropReason::ExtensionChain)
    }
}

fn fragment(offset: usize, more: bool, headers: usize, payload: usize) -> Result<Fragment, DropReason> {
    if offset.saturating_add(headers).saturating_add(payload) > usize::from(u16::MAX) {
        return Err(DropReason::FragmentOverrun);
    }
    Ok(match (offset, more) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First,
        _ => Fragment::Later,
    })
}

fn ports(protocol: u8, fragment: Fragment, payload: &[u8]) -> (PacketPort, PacketPort) {
    let hidden = (PacketPort::Hidden, PacketPort::Hidden);
    if fragment == Fragment::Later {
        return hidden;
    }
    match (protocol, payload) {
        (TCP | UDP | DCCP | SCTP | UDP_LITE, [s1, s2, d1, d2, ..]) => {
            let port = |high, low| PacketPort::Number(u16::from_be_bytes([high, low]));
            (port(*s1, *s2), port(*d1, *d2))
        }
        // RFC 4301 §4.4.1.1: type and code are what the sender sends; the other side's selector says what it may send.
        (ICMP | ICMPV6, [kind, code, ..]) => {
            (PacketPort::Number(u16::from_be_bytes([*kind, *code])), PacketPort::Unconstrained)
        }
        (MOBILITY, [_, _, kind, ..]) => (PacketPort::Number(u16::from_be_bytes([*kind, 0])), PacketPort::Unconstrained),
        _ => hidden,
    }
}

fn ipv6_address(octets: &[u8]) -> Ipv6Addr {
    octets.first_chunk::<16>().map_or(Ipv6Addr::UNSPECIFIED, |octets| Ipv6Addr::from(*octets))
}

/// The ones' complement sum of 16-bit words; a missing last octet is zero (RFC 1071).
pub(in crate::esp) fn sum(octets: &[u8]) -> u16 {
    let (pairs, odd) = octets.as_chunks::<2>();
    let words = pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair)));
    let last = odd.first().map_or(0, |octet| u64::from(*octet) << 8);
    fold(words.fold(last, u64::saturating_add))
}

/// A checksum after one of the words it covers changed (RFC 1624 §3, equation 3).
pub(in crate::esp) fn checksum_after(checksum: u16, old: u16, new: u16) -> u16 {
    !fold([!checksum, !old, new].map(u64::from).into_iter().fold(0, u64::saturating_add))
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff).saturating_add(sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
pub(in crate::esp) mod tests;
