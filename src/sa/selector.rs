//! Traffic selectors: which inner packets an SA carries (RFC 7296 §3.13, RFC 4301 §4.4.1).
//! It knows ranges and their arithmetic; it knows no payload format and no packet format.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde::{Deserialize, Serialize};

/// Pieces that a coverage question may fall into before the answer is a cautious "no".
const MAX_PIECES: usize = 1024;

/// One traffic selector: an inclusive address range, a protocol and an inclusive port range. Both ends are of one family and in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Selector {
    start: IpAddr,
    end: IpAddr,
    protocol: u8,
    first_port: u16,
    last_port: u16,
}

/// What a packet shows on one side of its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketPort {
    /// A port; for the sender of ICMP the type in the high octet and the code in the low one (RFC 4301 §4.4.1.1).
    Number(u16),
    /// The packet has none, or it stands in another fragment: only selectors for any or OPAQUE ports match.
    Hidden,
    /// The selector of this side says nothing about such packets: the receiver's side of ICMP (RFC 4301 §4.4.1.1).
    Unconstrained,
}

/// First and last address, protocol, first and last port.
type Parts = (IpAddr, IpAddr, u8, u16, u16);

impl TryFrom<Parts> for Selector {
    type Error = &'static str;

    fn try_from((start, end, protocol, first_port, last_port): Parts) -> Result<Self, &'static str> {
        Self::new(start, end, protocol, first_port, last_port).ok_or("a traffic selector whose ends are not in order")
    }
}

impl From<Selector> for Parts {
    fn from(selector: Selector) -> Self {
        let Selector { start, end, protocol, first_port, last_port } = selector;
        (start, end, protocol, first_port, last_port)
    }
}

impl Selector {
    /// Every IPv4 packet.
    pub const fn any_v4() -> Self {
        Self::any_protocol(IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::BROADCAST))
    }

    /// Every IPv6 packet.
    pub const fn any_v6() -> Self {
        Self::any_protocol(IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)))
    }

    /// Every packet of one host.
    pub const fn host(address: IpAddr) -> Self {
        Self::any_protocol(address, address)
    }

    /// Every packet of a subnet; bits behind the prefix are ignored. `None` if the prefix is longer than the address.
    pub fn from_prefix(address: IpAddr, prefix_len: u8) -> Option<Self> {
        let host_bits = width(address).checked_sub(u32::from(prefix_len))?;
        let mask = low_bits(host_bits);
        let start = bits(address) & !mask;
        Some(Self::any_protocol(with_bits(address, start), with_bits(address, start | mask)))
    }

    /// A selector from its parts: protocol 0 is any; ports 0 to 65535 are any; ports 65535 to 0 are OPAQUE (RFC 7296 §3.13.1).
    /// `None` if the families differ or a range is not in order.
    pub fn new(start: IpAddr, end: IpAddr, protocol: u8, first_port: u16, last_port: u16) -> Option<Self> {
        let opaque = first_port == u16::MAX && last_port == 0;
        let in_order = start.is_ipv4() == end.is_ipv4() && start <= end && (first_port <= last_port || opaque);
        in_order.then_some(Self { start, end, protocol, first_port, last_port })
    }

    const fn any_protocol(start: IpAddr, end: IpAddr) -> Self {
        Self { start, end, protocol: 0, first_port: 0, last_port: u16::MAX }
    }

    /// First address.
    pub const fn start(&self) -> IpAddr {
        self.start
    }

    /// Last address.
    pub const fn end(&self) -> IpAddr {
        self.end
    }

    /// IP protocol; 0 is any.
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// First port; 65535 for OPAQUE.
    pub const fn first_port(&self) -> u16 {
        self.first_port
    }

    /// Last port; 0 for OPAQUE.
    pub const fn last_port(&self) -> u16 {
        self.last_port
    }

    /// Whether it selects IPv4 packets; otherwise IPv6.
    pub const fn is_ipv4(&self) -> bool {
        self.start.is_ipv4()
    }

    /// Whether ports do not matter.
    pub const fn is_any_port(&self) -> bool {
        self.first_port == 0 && self.last_port == u16::MAX
    }

    /// Whether it selects only packets that show no port (RFC 4301 §4.4.1.1).
    pub const fn is_opaque_port(&self) -> bool {
        self.first_port == u16::MAX && self.last_port == 0
    }

    /// Whether the address is in the range.
    pub fn contains_address(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4() && self.start <= address && address <= self.end
    }

    /// Whether a packet with these values on this selector's side is selected.
    pub fn contains(&self, address: IpAddr, protocol: u8, port: PacketPort) -> bool {
        if !self.contains_address(address) || (self.protocol != 0 && self.protocol != protocol) {
            return false;
        }
        match port {
            _ if self.is_any_port() => true,
            PacketPort::Number(port) => self.first_port <= port && port <= self.last_port,
            PacketPort::Hidden => self.is_opaque_port(),
            PacketPort::Unconstrained => true,
        }
    }

    /// What both select; `None` if that is nothing.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        if self.is_ipv4() != other.is_ipv4() {
            return None;
        }
        let protocol = match (self.protocol, other.protocol) {
            (0, one) | (one, 0) => one,
            (one, two) if one == two => one,
            _ => return None,
        };
        let (first_port, last_port) = match (self, other) {
            (any, one) | (one, any) if any.is_any_port() => (one.first_port, one.last_port),
            (one, two) if one.is_opaque_port() || two.is_opaque_port() => {
                if one.is_opaque_port() != two.is_opaque_port() {
                    return None;
                }
                (one.first_port, one.last_port)
            }
            (one, two) => {
                let range = (one.first_port.max(two.first_port), one.last_port.min(two.last_port));
                if range.0 > range.1 {
                    return None;
                }
                range
            }
        };
        Self::new(self.start.max(other.start), self.end.min(other.end), protocol, first_port, last_port)
    }

    /// Whether every packet that this selects is selected by one of `outer`, taken together.
    /// A selector for any protocol is covered only by selectors for any protocol, one for any port only by selectors for any port.
    pub fn is_subset_of(&self, outer: &[Self]) -> bool {
        let mut rest = vec![*self];
        for cover in outer {
            if !self.can_be_covered_by(cover) {
                continue;
            }
            let mut left = Vec::new();
            for piece in rest {
                piece.without(cover, &mut left);
            }
            if left.len() > MAX_PIECES {
                return false;
            }
            rest = left;
        }
        rest.is_empty()
    }

    fn can_be_covered_by(&self, cover: &Self) -> bool {
        let protocol = cover.protocol == 0 || cover.protocol == self.protocol;
        let port = cover.is_any_port()
            || (self.is_opaque_port() && cover.is_opaque_port())
            || !(self.is_any_port() || self.is_opaque_port() || cover.is_opaque_port());
        self.is_ipv4() == cover.is_ipv4() && protocol && port
    }

    /// Pushes the parts of `self` outside `cover`, which can cover it in protocol and kind of ports.
    fn without(&self, cover: &Self, left: &mut Vec<Self>) {
        let Some(common) = self.intersection(cover) else {
            left.push(*self);
            return;
        };
        if let Some(before) = neighbour(common.start, Step::Down).filter(|_| self.start < common.start) {
            left.push(Self { end: before, ..*self });
        }
        if let Some(after) = neighbour(common.end, Step::Up).filter(|_| common.end < self.end) {
            left.push(Self { start: after, ..*self });
        }
        if self.is_any_port() || self.is_opaque_port() {
            return;
        }
        let slice = Self { start: common.start, end: common.end, ..*self };
        if let Some(before) = common.first_port.checked_sub(1).filter(|_| self.first_port < common.first_port) {
            left.push(Self { last_port: before, ..slice });
        }
        if let Some(after) = common.last_port.checked_add(1).filter(|_| common.last_port < self.last_port) {
            left.push(Self { first_port: after, ..slice });
        }
    }

    /// The fewest subnets that together are exactly the address range, in order: at most 62 for IPv4, 254 for IPv6.
    pub fn to_prefixes(&self) -> Vec<(IpAddr, u8)> {
        let width = width(self.start);
        let end = bits(self.end);
        let mut start = bits(self.start);
        let mut prefixes = Vec::new();
        loop {
            let aligned = start.trailing_zeros().min(width);
            let mut host_bits = aligned;
            while start.checked_add(low_bits(host_bits)).is_none_or(|last| last > end) {
                let Some(smaller) = host_bits.checked_sub(1) else { return prefixes };
                host_bits = smaller;
            }
            let prefix_len = u8::try_from(width.saturating_sub(host_bits)).unwrap_or(u8::MAX);
            prefixes.push((with_bits(self.start, start), prefix_len));
            match (start | low_bits(host_bits)).checked_add(1) {
                Some(next) if next <= end => start = next,
                _ => return prefixes,
            }
        }
    }
}

/// Whether every packet selected by one of `inner` is selected by one of `outer`: a narrowed answer stays within what was asked
/// (RFC 7296 §2.9).
pub fn all_within(inner: &[Selector], outer: &[Selector]) -> bool {
    inner.iter().all(|selector| selector.is_subset_of(outer))
}

#[derive(Clone, Copy)]
enum Step {
    Up,
    Down,
}

fn neighbour(address: IpAddr, step: Step) -> Option<IpAddr> {
    let moved = match step {
        Step::Up if bits(address) == low_bits(width(address)) => None,
        Step::Up => bits(address).checked_add(1),
        Step::Down => bits(address).checked_sub(1),
    };
    moved.map(|bits| with_bits(address, bits))
}

const fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits() as u128,
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn with_bits(family: IpAddr, bits: u128) -> IpAddr {
    match family {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

/// A number whose lowest `count` bits are ones.
fn low_bits(count: u32) -> u128 {
    u128::MAX.checked_shr(128u32.saturating_sub(count)).unwrap_or(0)
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_prefixes().as_slice() {
            [(address, prefix_len)] => write!(f, "{address}/{prefix_len}")?,
            _ => write!(f, "{}-{}", self.start, self.end)?,
        }
        if self.protocol == 0 && self.is_any_port() {
            return Ok(());
        }
        match self.protocol {
            0 => f.write_str(" any")?,
            1 => f.write_str(" icmp")?,
            6 => f.write_str(" tcp")?,
            17 => f.write_str(" udp")?,
            47 => f.write_str(" gre")?,
            58 => f.write_str(" icmpv6")?,
            132 => f.write_str(" sctp")?,
            number => write!(f, " protocol {number}")?,
        }
        if self.is_any_port() {
            Ok(())
        } else if self.is_opaque_port() {
            f.write_str("/opaque")
        } else if self.first_port == self.last_port {
            write!(f, "/{}", self.first_port)
        } else {
            write!(f, "/{}-{}", self.first_port, self.last_port)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn subnet(text: &str) -> Selector {
        let (address, len) = text.split_once('/').unwrap();
        Selector::from_prefix(ip(address), len.parse().unwrap()).unwrap()
    }

    fn range(start: &str, end: &str) -> Selector {
        Selector::new(ip(start), ip(end), 0, 0, 65535).unwrap()
    }

    fn ports(text: &str, protocol: u8, first: u16, last: u16) -> Selector {
        let all = subnet(text);
        Selector::new(all.start, all.end, protocol, first, last).unwrap()
    }

    #[test]
    fn a_selector_is_made_only_of_ordered_ranges_of_one_family() {
        assert!(Selector::new(ip("10.0.0.2"), ip("10.0.0.1"), 0, 0, 65535).is_none());
        assert!(Selector::new(ip("10.0.0.1"), ip("::1"), 0, 0, 65535).is_none());
        assert!(Selector::new(ip("10.0.0.1"), ip("10.0.0.1"), 6, 2, 1).is_none());
        assert!(Selector::new(ip("10.0.0.1"), ip("10.0.0.1"), 6, 65535, 1).is_none());
        assert!(Selector::new(ip("10.0.0.1"), ip("10.0.0.1"), 6, 65535, 0).unwrap().is_opaque_port());
        assert!(Selector::from_prefix(ip("10.0.0.0"), 33).is_none());
        assert!(Selector::from_prefix(ip("::"), 129).is_none());
    }

    #[test]
    fn a_prefix_ignores_the_bits_behind_it() {
        assert_eq!(subnet("10.250.0.77/24"), range("10.250.0.0", "10.250.0.255"));
        assert_eq!(subnet("10.0.0.5/32"), Selector::host(ip("10.0.0.5")));
        assert_eq!(subnet("0.0.0.0/0"), Selector::any_v4());
        assert_eq!(subnet("::/0"), Selector::any_v6());
        assert_eq!(subnet("fd00::1/64").end(), ip("fd00::ffff:ffff:ffff:ffff"));
    }

    #[test]
    fn display_uses_prefixes_where_a_range_is_one() {
        for (selector, words) in [
            (subnet("10.250.0.0/24"), "10.250.0.0/24"),
            (range("10.0.0.5", "10.0.0.9"), "10.0.0.5-10.0.0.9"),
            (Selector::new(ip("10.0.0.5"), ip("10.0.0.9"), 6, 443, 443).unwrap(), "10.0.0.5-10.0.0.9 tcp/443"),
            (ports("fd00::/8", 17, 1000, 2000), "fd00::/8 udp/1000-2000"),
            (ports("10.0.0.1/32", 1, 0, 65535), "10.0.0.1/32 icmp"),
            (ports("10.0.0.1/32", 99, 65535, 0), "10.0.0.1/32 protocol 99/opaque"),
            (ports("10.0.0.1/32", 0, 53, 53), "10.0.0.1/32 any/53"),
            (Selector::any_v6(), "::/0"),
        ] {
            assert_eq!(selector.to_string(), words);
        }
    }

    #[test]
    fn t_05_hidden_ports_match_any_and_opaque_only() {
        let address = ip("10.0.0.1");
        assert!(ports("10.0.0.0/8", 6, 0, 65535).contains(address, 6, PacketPort::Hidden));
        assert!(ports("10.0.0.0/8", 6, 65535, 0).contains(address, 6, PacketPort::Hidden));
        assert!(!ports("10.0.0.0/8", 6, 443, 443).contains(address, 6, PacketPort::Hidden));
        assert!(!ports("10.0.0.0/8", 6, 65535, 0).contains(address, 6, PacketPort::Number(443)));
        assert!(ports("10.0.0.0/8", 6, 443, 443).contains(address, 6, PacketPort::Number(443)));
        assert!(!ports("10.0.0.0/8", 6, 443, 443).contains(address, 17, PacketPort::Number(443)));
        assert!(!ports("10.0.0.0/8", 6, 443, 443).contains(address, 6, PacketPort::Number(444)));
        assert!(ports("10.0.0.0/8", 1, 65535, 0).contains(address, 1, PacketPort::Unconstrained));
        assert!(!Selector::any_v6().contains(address, 6, PacketPort::Number(1)));
    }

    #[test]
    fn subsets_are_found_across_the_union() {
        let halves = [subnet("10.0.0.0/9"), subnet("10.128.0.0/9")];
        assert!(subnet("10.0.0.0/8").is_subset_of(&halves));
        assert!(!subnet("10.0.0.0/7").is_subset_of(&halves));
        assert!(!subnet("10.0.0.0/8").is_subset_of(&halves[..1]));
        assert!(!subnet("10.0.0.0/8").is_subset_of(&[]));
        assert!(!Selector::any_v6().is_subset_of(&[Selector::any_v4()]));
        assert!(Selector::any_v4().is_subset_of(&[subnet("0.0.0.0/1"), subnet("128.0.0.0/1")]));
    }

    #[test]
    fn protocols_and_ports_narrow_but_never_widen() {
        let https = ports("10.0.0.0/8", 6, 443, 443);
        let all = subnet("10.0.0.0/8");
        assert!(https.is_subset_of(&[all]));
        assert!(!all.is_subset_of(&[https]));
        assert!(
            ports("10.0.0.0/8", 6, 1, 9).is_subset_of(&[ports("10.0.0.0/8", 6, 0, 4), ports("10.0.0.0/8", 6, 5, 10)])
        );
        assert!(
            !ports("10.0.0.0/8", 6, 1, 9).is_subset_of(&[ports("10.0.0.0/8", 6, 0, 4), ports("10.0.0.0/8", 6, 6, 10)])
        );
        // Fragments without ports are in "any port", and in no port range.
        assert!(!all.is_subset_of(&[ports("10.0.0.0/8", 0, 0, 32767), ports("10.0.0.0/8", 0, 32768, 65535)]));
        assert!(ports("10.0.0.0/8", 6, 65535, 0).is_subset_of(&[all]));
        assert!(!https.is_subset_of(&[ports("10.0.0.0/8", 6, 65535, 0)]));
    }

    #[test]
    fn all_within_needs_every_selector() {
        let asked = [subnet("10.0.0.0/8"), subnet("fd00::/8")];
        assert!(all_within(&[subnet("10.1.0.0/16"), subnet("fd01::/16")], &asked));
        assert!(!all_within(&[subnet("10.1.0.0/16"), subnet("192.0.2.0/24")], &asked));
        assert!(all_within(&[], &asked));
    }

    #[test]
    fn intersections_keep_the_narrower_of_each_field() {
        let one = Selector::new(ip("10.0.0.0"), ip("10.0.0.99"), 0, 0, 65535).unwrap();
        let two = Selector::new(ip("10.0.0.50"), ip("10.0.1.0"), 6, 80, 443).unwrap();
        let both = Selector::new(ip("10.0.0.50"), ip("10.0.0.99"), 6, 80, 443).unwrap();
        assert_eq!(one.intersection(&two), Some(both));
        assert_eq!(two.intersection(&one), Some(both));
        assert_eq!(one.intersection(&subnet("10.0.1.0/24")), None);
        assert_eq!(two.intersection(&ports("10.0.0.0/8", 17, 80, 443)), None);
        assert_eq!(two.intersection(&ports("10.0.0.0/8", 6, 444, 500)), None);
        assert_eq!(two.intersection(&ports("10.0.0.0/8", 6, 65535, 0)), None);
        assert_eq!(Selector::any_v4().intersection(&Selector::any_v6()), None);
    }

    #[test]
    fn the_largest_covers_are_62_and_254_prefixes() {
        assert_eq!(range("0.0.0.1", "255.255.255.254").to_prefixes().len(), 62);
        assert_eq!(range("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe").to_prefixes().len(), 254);
        assert_eq!(Selector::any_v4().to_prefixes(), [(ip("0.0.0.0"), 0)]);
        assert_eq!(Selector::any_v6().to_prefixes(), [(ip("::"), 0)]);
        assert_eq!(range("255.255.255.255", "255.255.255.255").to_prefixes(), [(ip("255.255.255.255"), 32)]);
        assert_eq!(
            range("10.0.0.5", "10.0.0.9").to_prefixes(),
            [(ip("10.0.0.5"), 32), (ip("10.0.0.6"), 31), (ip("10.0.0.8"), 31)]
        );
    }

    fn small() -> impl Strategy<Value = Selector> {
        (0u32..16, 0u32..16, prop_oneof![Just(0u8), Just(6), Just(17)], 0u16..8, 0u16..8, 0u8..4).prop_map(
            |(a, b, protocol, p, q, kind)| {
                let (first, last) = match kind {
                    0 => (0, 65535),
                    1 => (65535, 0),
                    _ => (p.min(q), p.max(q)),
                };
                let address = |n| IpAddr::V4(Ipv4Addr::from_bits(n));
                Selector::new(address(a.min(b)), address(a.max(b)), protocol, first, last).unwrap()
            },
        )
    }

    fn packets() -> Vec<(IpAddr, u8, PacketPort)> {
        let mut packets = Vec::new();
        for address in 0..16 {
            for protocol in [6, 17, 99] {
                let address = IpAddr::V4(Ipv4Addr::from_bits(address));
                packets.push((address, protocol, PacketPort::Hidden));
                packets.extend((0..9).map(|port| (address, protocol, PacketPort::Number(port))));
            }
        }
        packets
    }

    proptest! {
        #[test]
        fn an_intersection_selects_what_both_select(one in small(), two in small()) {
            let both = one.intersection(&two);
            for (address, protocol, port) in packets() {
                let expected = one.contains(address, protocol, port) && two.contains(address, protocol, port);
                prop_assert_eq!(both.is_some_and(|both| both.contains(address, protocol, port)), expected);
            }
        }

        #[test]
        fn a_subset_selects_nothing_that_the_union_does_not(inner in small(), outer in prop::collection::vec(small(), 0..6)) {
            if inner.is_subset_of(&outer) {
                for (address, protocol, port) in packets() {
                    prop_assert!(!inner.contains(address, protocol, port)
                        || outer.iter().any(|outer| outer.contains(address, protocol, port)));
                }
            }
        }

        #[test]
        fn subsets_of_one_kind_are_found_exactly(
            inner in (0u32..16, 0u32..16, 0u16..8, 0u16..8),
            outer in prop::collection::vec((0u32..16, 0u32..16, 0u16..8, 0u16..8), 0..6),
        ) {
            let make = |(a, b, p, q): (u32, u32, u16, u16)| {
                let address = |n| IpAddr::V4(Ipv4Addr::from_bits(n));
                Selector::new(address(a.min(b)), address(a.max(b)), 6, p.min(q), p.max(q)).unwrap()
            };
            let inner = make(inner);
            let outer: Vec<_> = outer.into_iter().map(make).collect();
            let covered = packets().into_iter().filter(|(_, _, port)| *port != PacketPort::Hidden).all(|(address, protocol, port)| {
                !inner.contains(address, protocol, port) || outer.iter().any(|outer| outer.contains(address, protocol, port))
            });
            prop_assert_eq!(inner.is_subset_of(&outer), covered);
        }

        #[test]
        fn prefixes_cover_the_range_exactly_and_in_order(a in any::<u32>(), b in any::<u32>()) {
            let (start, end) = (a.min(b), a.max(b));
            let selector = Selector::new(Ipv4Addr::from_bits(start).into(), Ipv4Addr::from_bits(end).into(), 0, 0, 65535).unwrap();
            let mut next = u64::from(start);
            for (address, len) in selector.to_prefixes() {
                let covered = Selector::from_prefix(address, len).unwrap();
                prop_assert_eq!(covered.start(), address);
                prop_assert_eq!(bits(address), u128::from(next));
                next = u64::try_from(bits(covered.end())).unwrap() + 1;
            }
            prop_assert_eq!(next, u64::from(end) + 1);
        }
    }
}
