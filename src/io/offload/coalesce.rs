//! Merges what came in one batch: in-order TCP segments, and UDP datagrams of equal length, of one flow become one super-packet
//! that the kernel takes in one write and may cut into the same packets again. Payload is not copied, and packets are not changed.
//!
//! It knows headers of IP, TCP and UDP. The order within a flow never changes; what belongs to no flow keeps its place between all flows.
//! Rules are those of RFC 9293 and RFC 3168 for what a receiver may tell apart; the kernel's own merging (GRO) keeps the same.

use std::num::NonZeroU16;

use super::checksum::{Sum, pseudo_header};
use super::header::{Header, Segmentation, Segmented, Unfinished};
use super::{CWR, FIN, IPV6_HEADER, PSH, TCP, TCP_HEADER, UDP, UDP_HEADER};

/// Packets of one super-packet, at most: what fits the parts of one write beside the headers.
pub const MAX_SEGMENTS: u16 = 126;
/// Octets of the longest super-packet: what the length field of IPv4 holds.
pub const LONGEST: usize = 65_535;
/// Places for flows that are merged at the same time. A flow whose place another one has ends the merging of that one: many places, so that
/// few of some dozens of flows meet.
pub const FLOWS: usize = 512;
/// Octets of the longest headers that are merged: IPv6 and TCP with all its options.
const LONGEST_HEADERS: usize = 100;

const IPV4_HEADER: usize = 20;

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;

/// The fragment field of IPv4 (RFC 791 §3.1).
const DONT_FRAGMENT: u8 = 0x40;

/// Which super-packets the device takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mergeable {
    /// TCP over either family.
    pub tcp: bool,
    /// UDP over either family.
    pub udp: bool,
}

/// Decides what is merged. Its memory is kept from batch to batch.
#[derive(Debug)]
pub struct Coalescer {
    mergeable: Mergeable,
    groups: Vec<Group>,
    /// For each packet the next one of its group.
    followers: Vec<Option<u32>>,
    /// The group that a flow's next packet may join. A flow has always the same place, so what takes a place ends what was there.
    open: [Option<u32>; FLOWS],
}

/// Packets that leave together: one or more.
#[derive(Clone, Copy, Debug)]
struct Group {
    head: Segment,
    first: u32,
    last: u32,
    segments: u16,
    /// Octets of all payloads.
    payload: usize,
    checked: bool,
    ids: Ids,
    /// PSH and FIN of the last segment.
    ending: u8,
}

/// How the identifications of a group's IPv4 packets follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ids {
    /// One packet so far, or IPv6.
    Open,
    /// Each is one more than the one before: so the kernel writes them when it cuts.
    Rising,
    /// All are the same. Only with DF, where the field means nothing (RFC 6864 §4.1).
    Same,
}

/// A packet that may be part of a super-packet.
#[derive(Clone, Copy, Debug)]
struct Segment {
    kind: Segmented,
    /// Octets before the transport header.
    network: usize,
    /// Octets of all headers.
    headers: usize,
    /// Octets behind them: at least one.
    payload: usize,
    /// Of IPv4.
    id: u16,
    /// Of TCP: number and flags.
    sequence: u32,
    flags: u8,
}

enum Place {
    /// In this place of the table; it can be merged.
    Merge(usize, Segment),
    /// Alone, but in order with what has this place.
    Alone(usize),
    /// Alone, and in order with everything.
    Barrier,
}

impl Coalescer {
    /// Room for `packets` a batch; more are taken, but then memory is asked for.
    pub fn new(mergeable: Mergeable, packets: usize) -> Self {
        Self {
            mergeable,
            groups: Vec::with_capacity(packets),
            followers: Vec::with_capacity(packets),
            open: [None; FLOWS],
        }
    }

    /// What is merged from now on.
    pub const fn mergeable(&self) -> Mergeable {
        self.mergeable
    }

    /// Merges these only from the next batch on.
    pub const fn set_mergeable(&mut self, mergeable: Mergeable) {
        self.mergeable = mergeable;
    }

    /// Decides what of a batch is merged, and gives it in the order in which it is to be written.
    pub fn merge<'a>(&'a mut self, packets: &'a [&'a [u8]]) -> impl Iterator<Item = Parcel<'a>> {
        self.groups.clear();
        self.followers.clear();
        self.open = [None; FLOWS];
        for (index, packet) in (0..).zip(packets) {
            self.followers.push(None);
            match place(packet, self.mergeable) {
                Place::Merge(flow, segment) => self.add(packets, index, packet, flow, segment),
                Place::Alone(flow) => {
                    self.begin(index, Segment::ALONE);
                    self.end(flow);
                }
                Place::Barrier => {
                    self.begin(index, Segment::ALONE);
                    self.open = [None; FLOWS];
                }
            }
        }
        self.groups.iter().map(|group| Parcel { group, followers: &self.followers, packets })
    }

    fn add(&mut self, packets: &[&[u8]], index: u32, packet: &[u8], flow: usize, segment: Segment) {
        let ends = segment.flags & (PSH | FIN) != 0;
        let open = self.open.get(flow).copied().flatten().and_then(at);
        if let Some(group) = open.and_then(|open| self.groups.get_mut(open)) {
            let head = at(group.first).and_then(|first| packets.get(first)).copied().unwrap_or_default();
            // What is passed on singly is not summed at all: whoever receives it does.
            if let Some(ids) = group.follow(head, packet, &segment)
                && (group.checked || group.head.is_right(head))
                && segment.is_right(packet)
            {
                let last = std::mem::replace(&mut group.last, index);
                if let Some(follower) = at(last).and_then(|last| self.followers.get_mut(last)) {
                    *follower = Some(index);
                }
                group.segments = group.segments.saturating_add(1);
                group.payload = group.payload.saturating_add(segment.payload);
                (group.checked, group.ids, group.ending) = (true, ids, segment.flags & (PSH | FIN));
                if ends || segment.payload < group.head.payload {
                    self.end(flow);
                }
                return;
            }
        }
        let group = self.begin(index, segment);
        if let Some(open) = self.open.get_mut(flow) {
            *open = (!ends).then_some(group);
        }
    }

    fn begin(&mut self, index: u32, head: Segment) -> u32 {
        let number = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let payload = head.payload;
        let (segments, checked, ids, ending) = (1, false, Ids::Open, 0);
        self.groups.push(Group { head, first: index, last: index, segments, payload, checked, ids, ending });
        number
    }

    /// Nothing more joins what has this place.
    fn end(&mut self, flow: usize) {
        if let Some(open) = self.open.get_mut(flow) {
            *open = None;
        }
    }
}

fn at(index: u32) -> Option<usize> {
    usize::try_from(index).ok()
}

impl Group {
    /// Whether a packet may be the next segment, as far as headers tell: how the identifications go on then.
    fn follow(&self, head: &[u8], packet: &[u8], next: &Segment) -> Option<Ids> {
        let len = self.head.headers.saturating_add(self.payload).saturating_add(next.payload);
        let fits = self.segments < MAX_SEGMENTS && len <= LONGEST;
        let alike = next.kind == self.head.kind
            && next.network == self.head.network
            && next.headers == self.head.headers
            && next.payload <= self.head.payload;
        let network = if next.network == IPV4_HEADER { same_ipv4 } else { same_ipv6 };
        if !fits || !alike || !network(head, packet) {
            return None;
        }
        let head_transport = head.get(self.head.network..self.head.headers)?;
        let transport = packet.get(next.network..next.headers)?;
        let same = match next.kind {
            Segmented::Udp => same::<4>(head_transport, transport, 0),
            Segmented::TcpV4 | Segmented::TcpV6 => {
                let sent = u32::try_from(self.payload).unwrap_or(u32::MAX);
                next.sequence == self.head.sequence.wrapping_add(sent)
                    // RFC 3168 §6.1.2: CWR is news of one segment; the kernel keeps it on the first one of those it cuts.
                    && next.flags & CWR == 0
                    && (next.flags ^ self.head.flags) & !(CWR | PSH | FIN) == 0
                    && same_tcp(head_transport, transport)
            }
        };
        same.then(|| self.ids_with(packet, next)).flatten()
    }

    fn ids_with(&self, packet: &[u8], next: &Segment) -> Option<Ids> {
        if next.network != IPV4_HEADER {
            return Some(Ids::Open);
        }
        let atomic = packet.get(6).is_some_and(|flags| flags & DONT_FRAGMENT != 0);
        let rises = next.id == self.head.id.wrapping_add(self.segments);
        match self.ids {
            Ids::Open | Ids::Rising if rises => Some(Ids::Rising),
            Ids::Open | Ids::Same if atomic && next.id == self.head.id => Some(Ids::Same),
            _ => None,
        }
    }
}

fn same<const N: usize>(one: &[u8], other: &[u8], at: usize) -> bool {
    let part = |octets: &[u8]| octets.get(at..).and_then(<[u8]>::first_chunk::<N>).copied();
    part(one).is_some_and(|octets| part(other) == Some(octets))
}

/// All but length, identification and checksum: version, header length, TOS with ECN; flags, TTL, protocol; addresses.
fn same_ipv4(one: &[u8], other: &[u8]) -> bool {
    same::<2>(one, other, 0) && same::<4>(one, other, 6) && same::<8>(one, other, 12)
}

/// All but the length: version, traffic class with ECN, flow label; next header, hop limit; addresses.
fn same_ipv6(one: &[u8], other: &[u8]) -> bool {
    same::<4>(one, other, 0) && same::<2>(one, other, 6) && same::<32>(one, other, 8)
}

/// All but sequence number, flags and checksum: ports, acknowledgment, data offset; window; urgent pointer, options.
fn same_tcp(one: &[u8], other: &[u8]) -> bool {
    same::<4>(one, other, 0)
        && same::<5>(one, other, 8)
        && same::<2>(one, other, 14)
        && one.get(18..) == other.get(18..)
}

/// Which flow a packet belongs to, and whether it may be merged.
fn place(packet: &[u8], mergeable: Mergeable) -> Place {
    let Some((network, protocol, id, addresses)) = network(packet) else { return Place::Barrier };
    let transport = packet.get(network..).unwrap_or_default();
    let Some(ports) = transport.first_chunk::<4>() else { return Place::Barrier };
    let flow = flow(addresses, *ports);
    let segment = match protocol {
        TCP => tcp(transport).filter(|_| mergeable.tcp).map(|(headers, sequence, flags)| Segment {
            kind: if network == IPV4_HEADER { Segmented::TcpV4 } else { Segmented::TcpV6 },
            headers: headers.saturating_add(network),
            payload: transport.len().saturating_sub(headers),
            network,
            id,
            sequence,
            flags,
        }),
        UDP => udp(transport).filter(|()| mergeable.udp).map(|()| Segment {
            kind: Segmented::Udp,
            headers: network.saturating_add(UDP_HEADER),
            payload: transport.len().saturating_sub(UDP_HEADER),
            network,
            id,
            sequence: 0,
            flags: 0,
        }),
        _ => return Place::Barrier,
    };
    segment.filter(|segment| segment.payload > 0).map_or(Place::Alone(flow), |segment| Place::Merge(flow, segment))
}

/// The length of a plain network header, the protocol behind it, the identification and the addresses; `None` for fragments, options,
/// extension headers and whatever is not whole.
fn network(packet: &[u8]) -> Option<(usize, u8, u16, &[u8])> {
    match packet {
        [0x45, _, l1, l2, i1, i2, flags, offset, _, protocol, _, _, rest @ ..] => {
            let is_whole = flags & !DONT_FRAGMENT == 0 && *offset == 0;
            let fits = usize::from(u16::from_be_bytes([*l1, *l2])) == packet.len();
            let addresses = rest.get(..8).filter(|_| is_whole && fits)?;
            Some((IPV4_HEADER, *protocol, u16::from_be_bytes([*i1, *i2]), addresses))
        }
        [first, _, _, _, l1, l2, protocol, _, rest @ ..] if first >> 4 == 6 => {
            let len = usize::from(u16::from_be_bytes([*l1, *l2])).saturating_add(IPV6_HEADER);
            Some((IPV6_HEADER, *protocol, 0, rest.get(..32).filter(|_| len == packet.len())?))
        }
        _ => None,
    }
}

/// Header length, sequence number and flags of a segment that may be merged.
fn tcp(transport: &[u8]) -> Option<(usize, u32, u8)> {
    let [_, _, _, _, s1, s2, s3, s4, _, _, _, _, offset, flags, ..] = *transport.first_chunk::<TCP_HEADER>()?;
    let headers = usize::from(offset >> 4).saturating_mul(4);
    let plain = flags & (ACK | SYN | RST | URG) == ACK && (TCP_HEADER..=transport.len()).contains(&headers);
    plain.then_some((headers, u32::from_be_bytes([s1, s2, s3, s4]), flags))
}

/// Whether a datagram may be merged. One without a checksum would get one.
fn udp(transport: &[u8]) -> Option<()> {
    let [_, _, _, _, l1, l2, c1, c2] = *transport.first_chunk::<UDP_HEADER>()?;
    let fits = usize::from(u16::from_be_bytes([l1, l2])) == transport.len();
    (fits && [c1, c2] != [0, 0]).then_some(())
}

/// The place of a flow in the table.
fn flow(addresses: &[u8], ports: [u8; 4]) -> usize {
    let (words, _) = addresses.as_chunks::<8>();
    let mixed = words.iter().fold(u64::from(u32::from_ne_bytes(ports)), |mixed, word| {
        (mixed ^ u64::from_ne_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    });
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 32).unwrap_or(0).checked_rem(FLOWS).unwrap_or(0)
}

impl Segment {
    /// For what is not looked into.
    const ALONE: Self = Self { kind: Segmented::Udp, network: 0, headers: 0, payload: 0, id: 0, sequence: 0, flags: 0 };

    const fn protocol(&self) -> u8 {
        match self.kind {
            Segmented::Udp => UDP,
            Segmented::TcpV4 | Segmented::TcpV6 => TCP,
        }
    }

    /// Where the checksum stands in the transport header.
    const fn checksum_at(&self) -> u16 {
        match self.kind {
            Segmented::Udp => 6,
            Segmented::TcpV4 | Segmented::TcpV6 => 16,
        }
    }

    /// Whether checksums are right, and written as the kernel would write them: of the two zeros of ones' complement TCP and IPv4 have
    /// 0, UDP 0xffff (RFC 768).
    fn is_right(&self, packet: &[u8]) -> bool {
        self.is_right_network(packet) && self.is_right_transport(packet).unwrap_or(false)
    }

    fn is_right_network(&self, packet: &[u8]) -> bool {
        match packet.first_chunk::<IPV4_HEADER>() {
            Some(header) if self.network == IPV4_HEADER => {
                Sum::default().add(header).fold() == 0xffff
                    && !matches!(header, [.., 0xff, 0xff, _, _, _, _, _, _, _, _])
            }
            _ => self.network == IPV6_HEADER,
        }
    }

    fn is_right_transport(&self, packet: &[u8]) -> Option<bool> {
        let (network, transport) = packet.split_at_checked(self.network)?;
        let at = usize::from(self.checksum_at());
        let unlikely = match self.kind {
            Segmented::Udp => [0, 0],
            Segmented::TcpV4 | Segmented::TcpV6 => [0xff, 0xff],
        };
        let is_odd = *transport.get(at..)?.first_chunk::<2>()? == unlikely;
        let sum = pseudo_header(addresses(network), self.protocol(), transport.len()).add(transport);
        Some(sum.fold() == 0xffff && !is_odd)
    }
}

/// Those of a network header without options.
fn addresses(network: &[u8]) -> &[u8] {
    network.get(if network.len() == IPV4_HEADER { 12 } else { 8 }..).unwrap_or_default()
}

/// What leaves in one write: a packet as it came, or a super-packet.
#[derive(Clone, Copy, Debug)]
pub struct Parcel<'a> {
    group: &'a Group,
    followers: &'a [Option<u32>],
    packets: &'a [&'a [u8]],
}

/// The headers of a super-packet.
#[derive(Clone, Copy, Debug)]
pub struct Headers {
    /// What the kernel has to know.
    pub header: Header,
    octets: [u8; LONGEST_HEADERS],
    len: usize,
}

impl Headers {
    /// Network and transport header; the payloads follow.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

impl<'a> Parcel<'a> {
    /// The packets as they came, in order.
    pub fn packets(&self) -> impl Iterator<Item = &'a [u8]> {
        let Self { followers, packets, .. } = *self;
        let follower = |index: &u32| at(*index).and_then(|index| *followers.get(index)?);
        std::iter::successors(Some(self.group.first), follower)
            .filter_map(|index| at(index).and_then(|index| packets.get(index)).copied())
    }

    /// Their payloads.
    pub fn payloads(&self) -> impl Iterator<Item = &'a [u8]> {
        let headers = self.group.head.headers;
        self.packets().map(move |packet| packet.get(headers..).unwrap_or_default())
    }

    /// The headers that stand before the payloads; `None` for a single packet, which is written as it came.
    pub fn headers(&self) -> Option<Headers> {
        let Group { head, payload, ending, .. } = *self.group;
        if self.group.segments < 2 {
            return None;
        }
        let mut octets = [0; LONGEST_HEADERS];
        let headers = octets.get_mut(..head.headers)?;
        headers.copy_from_slice(self.packets().next()?.get(..head.headers)?);
        let (network, transport) = headers.split_at_mut_checked(head.network)?;

        let transport_len = transport.len().saturating_add(payload);
        match network {
            [_, _, l1, l2, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] => {
                [*l1, *l2] = u16::try_from(transport_len.saturating_add(IPV4_HEADER)).ok()?.to_be_bytes();
                write(network, 10, [0; 2])?;
                let checksum = Sum::default().add(network).checksum();
                write(network, 10, checksum.to_be_bytes())?;
            }
            _ => write(network, 4, u16::try_from(transport_len).ok()?.to_be_bytes())?,
        }
        match head.kind {
            Segmented::Udp => write(transport, 4, u16::try_from(transport_len).ok()?.to_be_bytes())?,
            Segmented::TcpV4 | Segmented::TcpV6 => *transport.get_mut(13)? |= ending,
        }
        let unfinished = pseudo_header(addresses(network), head.protocol(), transport_len).fold();
        write(transport, usize::from(head.checksum_at()), unfinished.to_be_bytes())?;

        let size = NonZeroU16::new(u16::try_from(head.payload).ok()?)?;
        let header = Header {
            unfinished: Some(Unfinished { start: u16::try_from(head.network).ok()?, offset: head.checksum_at() }),
            segmentation: Some(Segmentation { protocol: head.kind, size, ecn: head.flags & CWR != 0 }),
            header_len: u16::try_from(head.headers).ok()?,
        };
        Some(Headers { header, octets, len: head.headers })
    }
}

fn write(octets: &mut [u8], at: usize, word: [u8; 2]) -> Option<()> {
    *octets.get_mut(at..)?.first_chunk_mut()? = word;
    Some(())
}

#[cfg(test)]
pub(in crate::io) mod tests;
