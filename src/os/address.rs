//! Addresses on a device, through rtnetlink.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rtnetlink::AddressMessageBuilder;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};

use crate::os::netlink::{Netlink, exists, into_io, is_absent};
use crate::os::prefix::Prefix;

/// Gives the device the address, alone: nothing beside it is taken to be on the link. An address that is there already is well.
pub(super) async fn add(netlink: &Netlink, index: u32, address: IpAddr) -> io::Result<()> {
    let mut request = netlink.handle.address().add(index, address, Prefix::host(address).length());
    // A tunnel has no neighbours that could have the same address, and the address must be usable at once.
    request.message_mut().attributes.push(AddressAttribute::Flags(AddressFlags::Nodad | AddressFlags::Noprefixroute));
    match request.execute().await.map_err(into_io) {
        Err(error) if exists(&error) => Ok(()),
        other => other,
    }
}

/// Takes the address away. One that is not there is well.
pub(super) async fn remove(netlink: &Netlink, index: u32, address: IpAddr) -> io::Result<()> {
    match netlink.handle.address().del(message(index, address)).execute().await.map_err(into_io) {
        Err(error) if is_absent(&error) => Ok(()),
        other => other,
    }
}

fn message(index: u32, address: IpAddr) -> AddressMessage {
    let length = Prefix::host(address).length();
    match address {
        IpAddr::V4(address) => AddressMessageBuilder::<Ipv4Addr>::new().index(index).address(address, length).build(),
        IpAddr::V6(address) => AddressMessageBuilder::<Ipv6Addr>::new().index(index).address(address, length).build(),
    }
}
