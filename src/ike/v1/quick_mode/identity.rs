//! Selectors as quick mode writes them: IDci and IDcr (RFC 2407 §4.6.2, RFC 2409 §5.5). Each says one address, subnet or range.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ike::v1::message::Identification;
use crate::sa::selector::Selector;

const IPV4_ADDR: u8 = 1;
const IPV4_ADDR_SUBNET: u8 = 4;
const IPV6_ADDR: u8 = 5;
const IPV6_ADDR_SUBNET: u8 = 6;
const IPV4_ADDR_RANGE: u8 = 7;
const IPV6_ADDR_RANGE: u8 = 8;

/// `None` if IKEv1 has no way to say it: a range of ports, or OPAQUE ones.
pub(super) fn identification_of(selector: &Selector) -> Option<Identification> {
    let port = match (selector.first_port(), selector.last_port()) {
        _ if selector.is_any_port() => 0,
        (first, last) if first == last && first != 0 => first,
        _ => return None,
    };
    let (start, end) = (selector.start(), selector.end());
    let prefixes = selector.to_prefixes();
    let (kind, data) = match (start, end, prefixes.as_slice()) {
        (IpAddr::V4(start), IpAddr::V4(end), _) if start == end => (IPV4_ADDR, start.octets().to_vec()),
        (IpAddr::V6(start), IpAddr::V6(end), _) if start == end => (IPV6_ADDR, start.octets().to_vec()),
        (IpAddr::V4(start), _, [(_, prefix_len)]) => {
            let mask =
                Ipv4Addr::from_bits(u32::MAX.checked_shl(32_u32.saturating_sub((*prefix_len).into())).unwrap_or(0));
            (IPV4_ADDR_SUBNET, [start.octets(), mask.octets()].concat())
        }
        (IpAddr::V6(start), _, [(_, prefix_len)]) => {
            let mask =
                Ipv6Addr::from_bits(u128::MAX.checked_shl(128_u32.saturating_sub((*prefix_len).into())).unwrap_or(0));
            (IPV6_ADDR_SUBNET, [start.octets(), mask.octets()].concat())
        }
        (IpAddr::V4(start), IpAddr::V4(end), _) => (IPV4_ADDR_RANGE, [start.octets(), end.octets()].concat()),
        (IpAddr::V6(start), IpAddr::V6(end), _) => (IPV6_ADDR_RANGE, [start.octets(), end.octets()].concat()),
        (IpAddr::V4(_), IpAddr::V6(_), _) | (IpAddr::V6(_), IpAddr::V4(_), _) => return None,
    };
    Some(Identification { kind, protocol: selector.protocol(), port, data })
}

/// `None` for names, keys and other kinds that select no packets, and for values of a wrong size.
pub(super) fn selector_of(identification: &Identification) -> Option<Selector> {
    let data = identification.data.as_slice();
    let addresses = match identification.kind {
        IPV4_ADDR => Selector::host(ipv4(data)?),
        IPV6_ADDR => Selector::host(ipv6(data)?),
        IPV4_ADDR_SUBNET => {
            let (address, mask) = data.split_at_checked(4)?;
            let mask = u32::from_be_bytes(mask.try_into().ok()?);
            subnet(ipv4(address)?, mask.leading_ones(), mask.count_ones())?
        }
        IPV6_ADDR_SUBNET => {
            let (address, mask) = data.split_at_checked(16)?;
            let mask = u128::from_be_bytes(mask.try_into().ok()?);
            subnet(ipv6(address)?, mask.leading_ones(), mask.count_ones())?
        }
        IPV4_ADDR_RANGE => {
            let (start, end) = data.split_at_checked(4)?;
            Selector::new(ipv4(start)?, ipv4(end)?, 0, 0, u16::MAX)?
        }
        IPV6_ADDR_RANGE => {
            let (start, end) = data.split_at_checked(16)?;
            Selector::new(ipv6(start)?, ipv6(end)?, 0, 0, u16::MAX)?
        }
        _ => return None,
    };
    let ports = match identification.port {
        0 => (0, u16::MAX),
        port => (port, port),
    };
    Selector::new(addresses.start(), addresses.end(), identification.protocol, ports.0, ports.1)
}

fn subnet(address: IpAddr, prefix_len: u32, ones: u32) -> Option<Selector> {
    // A mask with holes is no subnet.
    if prefix_len != ones {
        return None;
    }
    Selector::from_prefix(address, u8::try_from(prefix_len).ok()?)
}

fn ipv4(octets: &[u8]) -> Option<IpAddr> {
    Some(IpAddr::from(<[u8; 4]>::try_from(octets).ok()?))
}

fn ipv6(octets: &[u8]) -> Option<IpAddr> {
    Some(IpAddr::from(<[u8; 16]>::try_from(octets).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Selector {
        let (address, len) = text.split_once('/').unwrap();
        Selector::from_prefix(address.parse().unwrap(), len.parse().unwrap()).unwrap()
    }

    #[test]
    fn k1_011_selectors_are_written_as_address_subnet_or_range() {
        let of = |selector: Selector| identification_of(&selector).map(|id| (id.kind, id.protocol, id.port, id.data));
        assert_eq!(of(subnet("10.200.0.7/32")), Some((1, 0, 0, vec![10, 200, 0, 7])));
        assert_eq!(of(subnet("10.250.0.0/24")), Some((4, 0, 0, vec![10, 250, 0, 0, 255, 255, 255, 0])));
        assert_eq!(of(Selector::any_v4()), Some((4, 0, 0, vec![0; 8])));
        assert_eq!(of(Selector::any_v6()), Some((6, 0, 0, vec![0; 32])));
        assert_eq!(of(subnet("fd00::7/128")).map(|id| (id.0, id.3.len())), Some((5, 16)));
        let range = Selector::new("10.0.0.1".parse().unwrap(), "10.0.0.9".parse().unwrap(), 17, 53, 53).unwrap();
        assert_eq!(of(range), Some((7, 17, 53, vec![10, 0, 0, 1, 10, 0, 0, 9])));
        let ports = Selector::new("10.0.0.1".parse().unwrap(), "10.0.0.1".parse().unwrap(), 6, 1, 1024).unwrap();
        assert_eq!(of(ports), None);
    }

    #[test]
    fn k1_011_what_was_written_is_read_as_the_same() {
        for text in ["10.200.0.7/32", "10.250.0.0/24", "0.0.0.0/0", "128.0.0.0/1", "::/0", "fd00::/64", "fd00::7/128"] {
            let selector = subnet(text);
            assert_eq!(selector_of(&identification_of(&selector).unwrap()), Some(selector), "{text}");
        }
        let range = Selector::new("fd00::1".parse().unwrap(), "fd00::9".parse().unwrap(), 6, 443, 443).unwrap();
        assert_eq!(selector_of(&identification_of(&range).unwrap()), Some(range));
    }

    #[test]
    fn v_12_identities_of_every_type_and_length_select_something_sound_or_nothing() {
        for kind in 0..=u8::MAX {
            for len in 0..300 {
                for fill in [0, 10, 255] {
                    let id = Identification { kind, protocol: 0, port: 0, data: vec![fill; len] };
                    let size = match kind {
                        1 => 4,
                        4 | 7 => 8,
                        5 => 16,
                        6 | 8 => 32,
                        _ => usize::MAX,
                    };
                    let selected = selector_of(&id);
                    assert!(selected.is_none() || len == size, "type {kind}, {len} octets");
                }
            }
        }
        let holes = Identification { kind: 4, protocol: 0, port: 0, data: vec![10, 0, 0, 0, 255, 0, 255, 0] };
        assert_eq!(selector_of(&holes), None);
        let backwards = Identification { kind: 7, protocol: 0, port: 0, data: vec![10, 0, 0, 9, 10, 0, 0, 1] };
        assert_eq!(selector_of(&backwards), None);
    }
}
