//! Routes in vpnd's own table, through rtnetlink. Each carries vpnd's own route protocol number, so that nobody else's route is ever removed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::TryStreamExt;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use serde::{Deserialize, Serialize};

use crate::os::netlink::{Netlink, into_io, is_absent};
use crate::os::prefix::{FAMILIES, Family, Prefix};
use crate::os::{MARK, NUMBER};

/// The routing table of every vpnd in a network namespace: the longest prefix counts among all their tunnels.
pub const TABLE: u8 = NUMBER;

/// Who made a route, as `ip route` shows it (rtnetlink(7) `rtm_protocol`): a number that nobody has registered.
pub const ROUTE_PROTOCOL: u8 = NUMBER;

/// A route, with everything that tells it from another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub destination: Prefix,
    /// What becomes of the packets.
    pub way: Way,
    /// Of two routes to the same destination the one with the smaller metric is used.
    pub metric: u32,
}

/// What becomes of packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// They go into a device.
    Device {
        /// Its index.
        index: u32,
        /// The address that the host's own packets leave with.
        source: Option<IpAddr>,
    },
    /// They are refused, and their senders told (EHOSTUNREACH).
    Unreachable,
}

/// Adds the route.
///
/// An error of EEXIST means that another route has this destination and metric.
pub(super) async fn add(netlink: &Netlink, route: &Route) -> io::Result<()> {
    netlink.handle.route().add(message(route)).execute().await.map_err(into_io)
}

/// Removes exactly this route, if it is ours. One that is not there is well.
pub(super) async fn remove(netlink: &Netlink, route: &Route) -> io::Result<()> {
    match netlink.handle.route().del(message(route)).execute().await.map_err(into_io) {
        Err(error) if is_absent(&error) => Ok(()),
        other => other,
    }
}

/// The unreachable routes of vpnd's table that have this metric.
pub(super) async fn unreachable(netlink: &Netlink, metric: u32) -> io::Result<Vec<Route>> {
    let mut found = Vec::new();
    for family in FAMILIES {
        for message in in_table(netlink, family).await? {
            let has_metric = message.attributes.contains(&RouteAttribute::Priority(metric));
            if message.header.kind != RouteType::Unreachable || !has_metric {
                continue;
            }
            if let Some(destination) = destination(&message) {
                found.push(Route { destination, way: Way::Unreachable, metric });
            }
        }
    }
    Ok(found)
}

/// The index of the device that vpnd's own packets to `remote` leave through; `None` when there is no way.
pub(super) async fn device_towards(netlink: &Netlink, remote: IpAddr) -> io::Result<Option<u32>> {
    let mut question = empty(if remote.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 });
    question.header.destination_prefix_length = if remote.is_ipv4() { 32 } else { 128 };
    question.attributes.push(RouteAttribute::Destination(route_address(remote)));
    question.attributes.push(RouteAttribute::Mark(MARK));
    let found = netlink.handle.route().get(question).execute().try_next().await.map_err(into_io)?;
    Ok(found.and_then(|route| {
        route.attributes.into_iter().find_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => Some(index),
            _ => None,
        })
    }))
}

/// Whether vpnd's table holds no route of this family, neither this process's nor another's.
pub(super) async fn is_table_empty(netlink: &Netlink, family: Family) -> io::Result<bool> {
    Ok(in_table(netlink, family).await?.is_empty())
}

async fn in_table(netlink: &Netlink, family: Family) -> io::Result<Vec<RouteMessage>> {
    let mut routes = netlink.handle.route().get(empty(family)).execute();
    let mut found = Vec::new();
    while let Some(message) = routes.try_next().await.map_err(into_io)? {
        if message.header.table == TABLE && message.header.protocol == RouteProtocol::Other(ROUTE_PROTOCOL) {
            found.push(message);
        }
    }
    Ok(found)
}

/// Where a route of either address family leads to; `None` for those of others.
pub(super) fn destination(message: &RouteMessage) -> Option<Prefix> {
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Destination(RouteAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    });
    // The kernel leaves the address of a default route out.
    let address = match (address, message.header.address_family) {
        (Some(address), _) => address,
        (None, AddressFamily::Inet) => Prefix::all(Family::Ipv4).address(),
        (None, AddressFamily::Inet6) => Prefix::all(Family::Ipv6).address(),
        _ => return None,
    };
    Prefix::new(address, message.header.destination_prefix_length)
}

fn message(route: &Route) -> RouteMessage {
    let destination = route.destination.address();
    let mut message = empty(route.destination.family());
    message.header.table = TABLE;
    message.header.protocol = RouteProtocol::Other(ROUTE_PROTOCOL);
    message.header.scope = RouteScope::Universe;
    message.header.destination_prefix_length = route.destination.length();
    message.attributes.push(RouteAttribute::Destination(route_address(destination)));
    message.attributes.push(RouteAttribute::Priority(route.metric));
    match route.way {
        Way::Unreachable => message.header.kind = RouteType::Unreachable,
        Way::Device { index, source } => {
            message.attributes.push(RouteAttribute::Oif(index));
            if destination.is_ipv4() {
                message.header.scope = RouteScope::Link;
            }
            message.attributes.extend(source.map(|source| RouteAttribute::PrefSource(route_address(source))));
        }
    }
    message
}

fn empty(family: Family) -> RouteMessage {
    match family {
        Family::Ipv4 => RouteMessageBuilder::<Ipv4Addr>::new().build(),
        Family::Ipv6 => RouteMessageBuilder::<Ipv6Addr>::new().build(),
    }
}

fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}
