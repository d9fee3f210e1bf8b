//! Subnets: an address and how many of its leading bits count.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// Both of them.
pub const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// A subnet. The bits behind its length are zero. Sorts by family, address and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(IpAddr, u8)", into = "(IpAddr, u8)")]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The subnet of `length` bits that `address` lies in; `None` for more bits than an address has.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let free = bits(address).checked_sub(length)?;
        let number = number(address);
        let kept = if free == 128 { 0 } else { (number >> free) << free };
        Some(Self { address: with_number(address, kept), length })
    }

    /// The subnet of one address.
    pub fn host(address: IpAddr) -> Self {
        Self { address, length: bits(address) }
    }

    /// All of a family.
    pub const fn all(family: Family) -> Self {
        let address = match family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self { address, length: 0 }
    }

    /// The family of its addresses.
    pub const fn family(self) -> Family {
        match self.address {
            IpAddr::V4(_) => Family::Ipv4,
            IpAddr::V6(_) => Family::Ipv6,
        }
    }

    /// Its first address.
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// How many leading bits count: at most 32 or 128.
    pub const fn length(self) -> u8 {
        self.length
    }

    /// An address of the family with the bits that count set, and no other.
    pub fn mask(self) -> IpAddr {
        let free = bits(self.address).saturating_sub(self.length);
        with_number(self.address, self.last_of_family() & !low_ones(free))
    }

    /// Whether `address` lies in it.
    pub fn contains(self, address: IpAddr) -> bool {
        self.covers(Self::host(address))
    }

    /// Whether all of `other` lies in it.
    pub fn covers(self, other: Self) -> bool {
        self.length <= other.length && Self::new(other.address, self.length) == Some(self)
    }

    /// First and last address as numbers.
    pub(super) fn bounds(self) -> (u128, u128) {
        let first = number(self.address);
        let free = bits(self.address).saturating_sub(self.length);
        (first, first | low_ones(free))
    }

    /// The last address of the family as a number.
    pub(super) fn last_of_family(self) -> u128 {
        low_ones(bits(self.address))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl TryFrom<(IpAddr, u8)> for Prefix {
    type Error = &'static str;

    fn try_from((address, length): (IpAddr, u8)) -> Result<Self, Self::Error> {
        Self::new(address, length).ok_or("a prefix length beyond the address")
    }
}

impl From<Prefix> for (IpAddr, u8) {
    fn from(prefix: Prefix) -> Self {
        (prefix.address, prefix.length)
    }
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn with_number(family: IpAddr, number: u128) -> IpAddr {
    match family {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

fn low_ones(count: u8) -> u128 {
    u128::MAX.checked_shr(128_u32.saturating_sub(u32::from(count))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_bits_behind_the_length_are_dropped() {
        assert_eq!(Prefix::new(ip("10.1.2.3"), 8).unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(Prefix::new(ip("2001:db8::1"), 0).unwrap().to_string(), "::/0");
        assert_eq!(Prefix::new(ip("10.1.2.3"), 33), None);
    }

    #[test]
    fn a_subnet_contains_its_own_family_only() {
        let all = Prefix::new(ip("0.0.0.0"), 0).unwrap();
        assert!(all.contains(ip("1.2.3.4")));
        assert!(!all.contains(ip("::1")));
        let small = Prefix::new(ip("10.0.0.0"), 24).unwrap();
        assert!(all.covers(small) && !small.covers(all));
    }

    #[test]
    fn the_mask_has_the_bits_that_count() {
        for (prefix, mask) in [
            ("10.0.0.0/8", "255.0.0.0"),
            ("0.0.0.0/0", "0.0.0.0"),
            ("192.0.2.1/32", "255.255.255.255"),
            ("2001:db8::/33", "ffff:ffff:8000::"),
            ("::/0", "::"),
        ] {
            let (address, length) = prefix.split_once('/').unwrap();
            assert_eq!(Prefix::new(ip(address), length.parse().unwrap()).unwrap().mask(), ip(mask), "{prefix}");
        }
    }

    #[test]
    fn a_prefix_is_the_same_after_writing_and_reading_it() {
        let prefix = Prefix::new(ip("2001:db8::"), 32).unwrap();
        let text = serde_json::to_string(&prefix).unwrap();
        assert_eq!(serde_json::from_str::<Prefix>(&text).unwrap(), prefix);
        assert!(serde_json::from_str::<Prefix>("[\"10.0.0.0\",33]").is_err());
    }
}
