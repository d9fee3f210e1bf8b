//! Routes in the main table, through rtnetlink. Each carries vpnd's own route protocol number, so that nobody else's route is ever removed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::TryStreamExt;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType, RouteVia,
};
use serde::{Deserialize, Serialize};

use crate::os::netlink::{Netlink, into_io, is_absent};
use crate::os::prefix::Prefix;

/// Who made a route, as `ip route` shows it (rtnetlink(7) `rtm_protocol`): a number that nobody has registered.
pub const ROUTE_PROTOCOL: u8 = 118;

/// A route, with everything that tells it from another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub destination: Prefix,
    /// The device's index.
    pub index: u32,
    /// The next hop; `None` for what is on the link.
    pub via: Option<IpAddr>,
    /// The address that the host's own packets leave with.
    pub source: Option<IpAddr>,
    /// Of two routes to the same destination the one with the smaller metric is used.
    pub metric: u32,
}

/// Adds the route.
///
/// An error of EEXIST means that another route has this destination and metric.
pub(super) async fn add(netlink: &Netlink, route: &Route) -> io::Result<()> {
    netlink.handle.route().add(message(route)?).execute().await.map_err(into_io)
}

/// Removes exactly this route, if it is ours. One that is not there is well.
pub(super) async fn remove(netlink: &Netlink, route: &Route) -> io::Result<()> {
    match netlink.handle.route().del(message(route)?).execute().await.map_err(into_io) {
        Err(error) if is_absent(&error) => Ok(()),
        other => other,
    }
}

/// The way that packets to `address` take now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Out of a device, by way of a next hop or directly.
    Out { index: u32, via: Option<IpAddr>, source: Option<IpAddr> },
    /// Nowhere else: the address is the host's own.
    Here,
}

/// Asks the kernel which way packets to `address` take. Without any it is an error of ENETUNREACH or EHOSTUNREACH.
pub(super) async fn way_to(netlink: &Netlink, address: IpAddr) -> io::Result<Way> {
    let mut question = empty(address);
    question.header.destination_prefix_length = Prefix::host(address).length();
    question.attributes.push(RouteAttribute::Destination(route_address(address)));
    let answer = netlink.handle.route().get(question).execute().try_next().await.map_err(into_io)?;
    answer.as_ref().and_then(read_way).ok_or_else(|| io::Error::from_raw_os_error(libc::ENETUNREACH))
}

fn read_way(answer: &RouteMessage) -> Option<Way> {
    if answer.header.kind == RouteType::Local {
        return Some(Way::Here);
    }
    let (mut index, mut via, mut source) = (None, None, None);
    for attribute in &answer.attributes {
        match attribute {
            RouteAttribute::Oif(oif) => index = Some(*oif),
            RouteAttribute::Gateway(address) => via = plain(address),
            RouteAttribute::Via(RouteVia::Inet(address)) => via = Some(IpAddr::V4(*address)),
            RouteAttribute::Via(RouteVia::Inet6(address)) => via = Some(IpAddr::V6(*address)),
            RouteAttribute::PrefSource(address) => source = plain(address),
            _ => {}
        }
    }
    (answer.header.kind == RouteType::Unicast).then_some(Way::Out { index: index?, via, source })
}

fn message(route: &Route) -> io::Result<RouteMessage> {
    let destination = route.destination.address();
    let mut message = empty(destination);
    message.header.protocol = RouteProtocol::Other(ROUTE_PROTOCOL);
    message.header.scope =
        if route.via.is_none() && destination.is_ipv4() { RouteScope::Link } else { RouteScope::Universe };
    message.header.destination_prefix_length = route.destination.length();
    message.attributes.push(RouteAttribute::Destination(route_address(destination)));
    message.attributes.push(RouteAttribute::Oif(route.index));
    message.attributes.push(RouteAttribute::Priority(route.metric));
    match (route.via, destination) {
        (None, _) => {}
        (Some(via), destination) if via.is_ipv4() == destination.is_ipv4() => {
            message.attributes.push(RouteAttribute::Gateway(route_address(via)));
        }
        (Some(IpAddr::V6(via)), IpAddr::V4(_)) => message.attributes.push(RouteAttribute::Via(RouteVia::Inet6(via))),
        (Some(_), _) => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
    if let Some(source) = route.source {
        message.attributes.push(RouteAttribute::PrefSource(route_address(source)));
    }
    Ok(message)
}

fn empty(family: IpAddr) -> RouteMessage {
    match family {
        IpAddr::V4(_) => RouteMessageBuilder::<Ipv4Addr>::new().build(),
        IpAddr::V6(_) => RouteMessageBuilder::<Ipv6Addr>::new().build(),
    }
}

fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

fn plain(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}
