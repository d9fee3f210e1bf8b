//! Configuration attributes as values (RFC 7296 §3.15.1): which are asked for, and which answers can be used.
//! It knows no payload and no protocol; routes do not follow from anything here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ike::action::Configuration;
use crate::ike::profile::AddressRequest;

const INTERNAL_IP4_ADDRESS: u16 = 1;
const INTERNAL_IP4_DNS: u16 = 3;
const INTERNAL_IP6_ADDRESS: u16 = 8;
const INTERNAL_IP6_DNS: u16 = 10;
const INTERNAL_IP4_SUBNET: u16 = 13;
const INTERNAL_IP6_SUBNET: u16 = 15;

/// No more of one kind are taken from a reply.
const MOST_OF_A_KIND: usize = 64;

/// One attribute: type and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) kind: u16,
    pub(crate) value: Vec<u8>,
}

/// Why a reply cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressFault {
    /// Nothing of what was asked for was given.
    None,
    /// An address that is no host's, or not ours to use.
    Unusable(IpAddr),
}

impl fmt::Display for AddressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("the gateway gave no address"),
            Self::Unusable(address) => write!(f, "the gateway gave {address}, which cannot be a tunnel address"),
        }
    }
}

impl AddressRequest {
    /// Whether an address is asked for at all; without one nothing is asked.
    pub(crate) fn asks(&self) -> bool {
        self.ipv4.is_some() || self.ipv6.is_some()
    }
}

/// What is asked for (RFC 7296 §3.15: at least an address), in a fixed order.
pub(crate) fn request(wanted: &AddressRequest) -> Vec<Attribute> {
    let mut attributes = Vec::new();
    let mut ask = |kind, value: Vec<u8>| attributes.push(Attribute { kind, value });
    if let Some(address) = wanted.ipv4 {
        ask(INTERNAL_IP4_ADDRESS, if address.is_unspecified() { Vec::new() } else { address.octets().to_vec() });
    }
    if let Some(address) = wanted.ipv6 {
        let again = || address.octets().into_iter().chain([128]).collect();
        ask(INTERNAL_IP6_ADDRESS, if address.is_unspecified() { Vec::new() } else { again() });
    }
    if wanted.dns && wanted.ipv4.is_some() {
        ask(INTERNAL_IP4_DNS, Vec::new());
    }
    if wanted.dns && wanted.ipv6.is_some() {
        ask(INTERNAL_IP6_DNS, Vec::new());
    }
    if wanted.ipv4.is_some() {
        ask(INTERNAL_IP4_SUBNET, Vec::new());
    }
    if wanted.ipv6.is_some() {
        ask(INTERNAL_IP6_SUBNET, Vec::new());
    }
    attributes
}

/// Checks a reply. Unknown attributes and those of a wrong size are ignored, and so is what was not asked for.
/// An address is given as a host's: a netmask says nothing about what may be routed.
pub(crate) fn accept<'a>(
    wanted: &AddressRequest,
    gateway: IpAddr,
    reply: impl IntoIterator<Item = (u16, &'a [u8])>,
) -> Result<Configuration, AddressFault> {
    let mut taken = Configuration::default();
    for (kind, value) in reply {
        let ipv4_wanted = wanted.ipv4.is_some();
        let ipv6_wanted = wanted.ipv6.is_some();
        match kind {
            INTERNAL_IP4_ADDRESS if ipv4_wanted => {
                let Some(address) = ipv4(value) else { continue };
                add(&mut taken.addresses, (checked(address, gateway)?, 32));
            }
            INTERNAL_IP6_ADDRESS if ipv6_wanted => {
                let Some((address, _)) = ipv6_with_prefix(value) else { continue };
                add(&mut taken.addresses, (checked(address, gateway)?, 128));
            }
            INTERNAL_IP4_DNS if wanted.dns && ipv4_wanted => {
                let Some(address) = ipv4(value).filter(|address| is_host(*address)) else { continue };
                add(&mut taken.dns, address);
            }
            INTERNAL_IP6_DNS if wanted.dns && ipv6_wanted => {
                let Some(address) = ipv6(value).filter(|address| is_host(*address)) else { continue };
                add(&mut taken.dns, address);
            }
            INTERNAL_IP4_SUBNET if ipv4_wanted => {
                let Some(subnet) = ipv4_subnet(value) else { continue };
                add(&mut taken.subnets, subnet);
            }
            INTERNAL_IP6_SUBNET if ipv6_wanted => {
                let Some(subnet) = ipv6_with_prefix(value) else { continue };
                add(&mut taken.subnets, subnet);
            }
            _ => {}
        }
    }
    if wanted.asks() && taken.addresses.is_empty() {
        return Err(AddressFault::None);
    }
    Ok(taken)
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if list.len() < MOST_OF_A_KIND && !list.contains(&item) {
        list.push(item);
    }
}

fn checked(address: IpAddr, gateway: IpAddr) -> Result<IpAddr, AddressFault> {
    if is_host(address) && address != gateway { Ok(address) } else { Err(AddressFault::Unusable(address)) }
}

fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, ..] = address.octets();
            first != 0 && first < 224 && !address.is_loopback() && !address.is_link_local()
        }
        IpAddr::V6(address) => {
            !(address.is_unspecified()
                || address.is_loopback()
                || address.is_multicast()
                || address.is_unicast_link_local()
                || address.to_ipv4_mapped().is_some())
        }
    }
}

fn ipv4(value: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(value).ok().map(|octets| Ipv4Addr::from(octets).into())
}

fn ipv6(value: &[u8]) -> Option<IpAddr> {
    <[u8; 16]>::try_from(value).ok().map(|octets| Ipv6Addr::from(octets).into())
}

fn ipv6_with_prefix(value: &[u8]) -> Option<(IpAddr, u8)> {
    let (prefix_len, address) = value.split_last()?;
    Some((ipv6(address)?, *prefix_len)).filter(|(_, prefix_len)| *prefix_len <= 128)
}

fn ipv4_subnet(value: &[u8]) -> Option<(IpAddr, u8)> {
    let (address, mask) = value.split_at_checked(4)?;
    let mask = u32::from_be_bytes(mask.try_into().ok()?);
    let prefix_len = mask.leading_ones();
    (mask.count_ones() == prefix_len).then_some(())?;
    Some((ipv4(address)?, u8::try_from(prefix_len).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

    fn both() -> AddressRequest {
        AddressRequest {
            ipv4: Some(Ipv4Addr::UNSPECIFIED),
            ipv6: Some(Ipv6Addr::UNSPECIFIED),
            dns: true,
            fixed: Vec::new(),
        }
    }

    fn ipv4_only() -> AddressRequest {
        AddressRequest { ipv6: None, ..both() }
    }

    fn v6(text: &str, prefix_len: u8) -> Vec<u8> {
        let address: Ipv6Addr = text.parse().unwrap();
        address.octets().into_iter().chain([prefix_len]).collect()
    }

    fn reply(wanted: &AddressRequest, attributes: &[(u16, Vec<u8>)]) -> Result<Configuration, AddressFault> {
        accept(wanted, GATEWAY, attributes.iter().map(|(kind, value)| (*kind, value.as_slice())))
    }

    #[test]
    fn k2_060_dual_stack_asks_for_both_families() {
        let kinds: Vec<_> = request(&both()).iter().map(|attribute| attribute.kind).collect();
        assert_eq!(kinds, [1, 8, 3, 10, 13, 15]);
        assert!(request(&both()).iter().all(|attribute| attribute.value.is_empty()));
        assert!(request(&AddressRequest::default()).is_empty());
    }

    #[test]
    fn k2_060_an_address_we_had_is_asked_for_again() {
        let wanted = AddressRequest {
            ipv4: Some(Ipv4Addr::new(10, 200, 0, 7)),
            ipv6: Some("fd00::7".parse().unwrap()),
            dns: false,
            fixed: Vec::new(),
        };
        let asked = request(&wanted);
        assert_eq!(asked[0], Attribute { kind: 1, value: vec![10, 200, 0, 7] });
        assert_eq!(asked[1], Attribute { kind: 8, value: v6("fd00::7", 128) });
    }

    #[test]
    fn a_reply_gives_addresses_name_servers_and_subnets() {
        let taken = reply(
            &both(),
            &[
                (1, vec![10, 200, 0, 7]),
                (2, vec![255, 255, 255, 0]),
                (8, v6("fd00::7", 64)),
                (3, vec![10, 0, 0, 53]),
                (10, v6("fd00::53", 0)[..16].to_vec()),
                (13, vec![10, 250, 0, 0, 255, 255, 255, 0]),
                (15, v6("fd01::", 48)),
                (25, b"unknown".to_vec()),
            ],
        )
        .unwrap();
        assert_eq!(taken.addresses, [("10.200.0.7".parse().unwrap(), 32), ("fd00::7".parse().unwrap(), 128)]);
        assert_eq!(taken.dns, ["10.0.0.53".parse::<IpAddr>().unwrap(), "fd00::53".parse().unwrap()]);
        assert_eq!(taken.subnets, [("10.250.0.0".parse().unwrap(), 24), ("fd01::".parse().unwrap(), 48)]);
    }

    #[test]
    fn k2_061_addresses_that_no_host_can_have_are_refused() {
        for octets in [
            [0, 0, 0, 0],
            [0, 1, 2, 3],
            [127, 0, 0, 1],
            [169, 254, 169, 254],
            [224, 0, 0, 1],
            [240, 0, 0, 1],
            [255, 255, 255, 255],
            [198, 51, 100, 1],
        ] {
            let address = IpAddr::from(octets);
            assert_eq!(reply(&both(), &[(1, octets.to_vec())]), Err(AddressFault::Unusable(address)), "{address}");
        }
        for text in ["::", "::1", "fe80::1", "ff02::1", "::ffff:10.0.0.1"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(reply(&both(), &[(8, v6(text, 64))]), Err(AddressFault::Unusable(address)), "{address}");
        }
    }

    #[test]
    fn k2_061_one_unusable_address_spoils_the_reply() {
        assert!(reply(&both(), &[(1, vec![10, 0, 0, 1]), (1, vec![127, 0, 0, 1])]).is_err());
    }

    #[test]
    fn k2_020_attributes_of_a_wrong_size_are_not_half_used() {
        for kind in [1, 3, 8, 10, 13, 15] {
            for len in (0..40).filter(|len| ![4, 8, 16, 17].contains(len)) {
                let taken = reply(&both(), &[(1, vec![10, 0, 0, 1]), (kind, vec![9; len])]).unwrap();
                assert_eq!(
                    taken,
                    Configuration { addresses: vec![(IpAddr::from([10, 0, 0, 1]), 32)], ..Default::default() }
                );
            }
        }
        assert_eq!(reply(&both(), &[(8, v6("fd00::1", 129))]), Err(AddressFault::None));
        let taken = reply(&both(), &[(1, vec![10, 0, 0, 1]), (13, vec![10, 0, 0, 0, 255, 0, 255, 0])]).unwrap();
        assert!(taken.subnets.is_empty());
    }

    #[test]
    fn k2_060_what_was_not_asked_for_is_ignored() {
        let taken = reply(
            &ipv4_only(),
            &[(1, vec![10, 0, 0, 1]), (8, v6("fd00::1", 64)), (10, v6("fd00::53", 0)[..16].to_vec())],
        );
        assert_eq!(taken.unwrap().addresses, [(IpAddr::from([10, 0, 0, 1]), 32)]);
        assert_eq!(reply(&AddressRequest::default(), &[(1, vec![127, 0, 0, 1])]), Ok(Configuration::default()));
    }

    #[test]
    fn one_of_two_families_is_enough_and_none_is_a_refusal() {
        assert!(reply(&both(), &[(8, v6("fd00::7", 64))]).is_ok());
        assert_eq!(reply(&both(), &[]), Err(AddressFault::None));
        assert_eq!(reply(&both(), &[(1, vec![])]), Err(AddressFault::None));
    }

    #[test]
    fn a_reply_is_bounded() {
        let many: Vec<_> =
            (0..1000u16).map(|n| (13, [&[10][..], &n.to_be_bytes(), &[0, 255, 255, 255, 0]].concat())).collect();
        let mut attributes = vec![(1, vec![10, 0, 0, 1])];
        attributes.extend(many);
        assert_eq!(reply(&both(), &attributes).unwrap().subnets.len(), MOST_OF_A_KIND);
    }
}
