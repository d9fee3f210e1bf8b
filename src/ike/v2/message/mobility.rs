//! What MOBIKE (RFC 4555) puts into notifies: further addresses of the peer, and the cookie that comes back from where it was sent to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ike::v2::message::notify::{Notify, find};
use crate::ike::wire::registry::NotifyType;

/// RFC 4555 §4.2.5.
const COOKIE2_LEN: std::ops::RangeInclusive<usize> = 8..=64;

/// The peer's addresses besides the one in use, at most `most` of them (RFC 4555 §3.4): the list that takes the place of any before it, or
/// `None` where nothing is said of them. What is no host's address, or not of its family's length, is left out.
pub fn additional_addresses(notifies: &[Notify], most: usize) -> Option<Vec<IpAddr>> {
    let mut is_said = false;
    let mut addresses = Vec::new();
    for notify in notifies {
        let address = match notify.kind {
            NotifyType::NO_ADDITIONAL_ADDRESSES => None,
            NotifyType::ADDITIONAL_IP4_ADDRESS => {
                <[u8; 4]>::try_from(notify.data.as_slice()).ok().map(|octets| Ipv4Addr::from(octets).into())
            }
            NotifyType::ADDITIONAL_IP6_ADDRESS => {
                <[u8; 16]>::try_from(notify.data.as_slice()).ok().map(|octets| Ipv6Addr::from(octets).into())
            }
            _ => continue,
        };
        is_said = true;
        if let Some(address) = address.filter(|address| is_of_a_host(*address) && !addresses.contains(address))
            && addresses.len() < most
        {
            addresses.push(address);
        }
    }
    is_said.then_some(addresses)
}

/// The octets of COOKIE2, if it is there and of a length that it may have.
pub fn cookie2(notifies: &[Notify]) -> Option<&[u8]> {
    let cookie = find(notifies, NotifyType::COOKIE2)?;
    COOKIE2_LEN.contains(&cookie.data.len()).then_some(cookie.data.as_slice())
}

/// Nothing that would make us talk to ourselves, to our own link, or to many at once.
fn is_of_a_host(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => {
            !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_broadcast() || ip.is_link_local())
        }
        IpAddr::V6(ip) => !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_unicast_link_local()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(octets: [u8; 4]) -> Notify {
        Notify::new(NotifyType::ADDITIONAL_IP4_ADDRESS).with_data(octets.to_vec())
    }

    #[test]
    fn x_07_a_list_of_addresses_is_bounded_and_holds_hosts_only() {
        let ipv6 = |ip: Ipv6Addr| Notify::new(NotifyType::ADDITIONAL_IP6_ADDRESS).with_data(ip.octets().to_vec());
        let notifies = [
            ipv4([192, 0, 2, 7]),
            ipv4([192, 0, 2, 7]),
            ipv4([0, 0, 0, 0]),
            ipv4([127, 0, 0, 1]),
            ipv4([224, 0, 0, 1]),
            ipv4([255, 255, 255, 255]),
            ipv4([169, 254, 1, 1]),
            Notify::new(NotifyType::ADDITIONAL_IP4_ADDRESS).with_data(vec![1, 2, 3]),
            Notify::new(NotifyType::ADDITIONAL_IP6_ADDRESS).with_data(vec![1; 4]),
            ipv6("::1".parse().unwrap()),
            ipv6("fe80::1".parse().unwrap()),
            ipv6("::ffff:127.0.0.1".parse().unwrap()),
            ipv6("2001:db8::7".parse().unwrap()),
        ];
        let hosts: [IpAddr; 2] = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        assert_eq!(additional_addresses(&notifies, 4).unwrap(), hosts);
        let many: Vec<Notify> = (1..200).map(|last| ipv4([192, 0, 2, last])).collect();
        assert_eq!(additional_addresses(&many, 4).unwrap().len(), 4);
    }

    #[test]
    fn x_07_no_addresses_differ_from_nothing_said() {
        assert_eq!(additional_addresses(&[Notify::new(NotifyType::COOKIE2)], 4), None);
        assert_eq!(additional_addresses(&[Notify::new(NotifyType::NO_ADDITIONAL_ADDRESSES)], 4), Some(vec![]));
    }

    #[test]
    fn x_07_a_cookie_has_8_to_64_octets() {
        let of = |len| [Notify::new(NotifyType::COOKIE2).with_data(vec![7; len])];
        for (len, expected) in [(0, false), (7, false), (8, true), (64, true), (65, false)] {
            assert_eq!(cookie2(&of(len)).is_some(), expected, "{len}");
        }
        assert_eq!(cookie2(&[]), None);
    }
}
