//! Routing rules, through rtnetlink: which packets are asked for in vpnd's own table, before all other tables.
//!
//! What is vpnd's own carries a mark and passes them; no address is exempt (L-05).

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::IpProtocol;
use rtnetlink::packet_route::route::RouteProtocol;
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage, RulePortRange};

use crate::os::netlink::{Netlink, exists, into_io, is_absent};
use crate::os::prefix::Family;
use crate::os::route::{self, ROUTE_PROTOCOL, TABLE};
use crate::os::{MARK, NUMBER};

/// Before all rules that a host has by itself, but for the one of its own addresses (0). The exemption stands before the rule.
pub(super) const PRIORITY: u32 = NUMBER as u32;
const REVERSE_PATH_PRIORITY: u32 = PRIORITY.saturating_sub(1);

/// The table that every host has (linux/rtnetlink.h `RT_TABLE_MAIN`).
const MAIN_TABLE: u8 = 254;

/// Has vpnd's table asked for all packets of the family that do not carry vpnd's mark. A rule that is there already is well:
/// every vpnd in the network namespace uses the same. Gives whether it was not there.
pub(super) async fn add_lookup(netlink: &Netlink, family: Family) -> io::Result<bool> {
    add(netlink, lookup(family)).await
}

/// Takes the rule away when nobody has a route left in the table.
pub(super) async fn remove_lookup_if_unused(netlink: &Netlink, family: Family) -> io::Result<()> {
    if route::is_table_empty(netlink, family).await? { remove(netlink, lookup(family)).await } else { Ok(()) }
}

/// Exempts UDP from our port to the gateway, and with it the question of the reverse path filter for what comes from there: the
/// filter knows no mark, but it exchanges addresses and ports. Nobody else can have the port while our socket is bound to it. Gives whether
/// it was not there.
pub(super) async fn add_reverse_path(netlink: &Netlink, gateway: Ipv4Addr, port: u16) -> io::Result<bool> {
    add(netlink, reverse_path(gateway, port)).await
}

/// Ends the exemption. One that is not there is well.
pub(super) async fn remove_reverse_path(netlink: &Netlink, gateway: Ipv4Addr, port: u16) -> io::Result<()> {
    remove(netlink, reverse_path(gateway, port)).await
}

fn lookup(family: Family) -> RuleMessage {
    let mut message = to_table(family, TABLE, PRIORITY);
    message.header.flags = RuleFlags::Invert;
    message.attributes.extend([RuleAttribute::FwMark(MARK), RuleAttribute::FwMask(u32::MAX)]);
    message
}

fn reverse_path(gateway: Ipv4Addr, port: u16) -> RuleMessage {
    let mut message = to_table(Family::Ipv4, MAIN_TABLE, REVERSE_PATH_PRIORITY);
    message.header.dst_len = 32;
    message.attributes.extend([
        RuleAttribute::Destination(IpAddr::V4(gateway)),
        RuleAttribute::IpProtocol(IpProtocol::Udp),
        RuleAttribute::SourcePortRange(RulePortRange { start: port, end: port }),
    ]);
    message
}

fn to_table(family: Family, table: u8, priority: u32) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = match family {
        Family::Ipv4 => AddressFamily::Inet,
        Family::Ipv6 => AddressFamily::Inet6,
    };
    message.header.table = table;
    message.header.action = RuleAction::ToTable;
    message.attributes.push(RuleAttribute::Priority(priority));
    message.attributes.push(RuleAttribute::Protocol(RouteProtocol::Other(ROUTE_PROTOCOL)));
    message
}

async fn add(netlink: &Netlink, rule: RuleMessage) -> io::Result<bool> {
    let mut request = netlink.handle.rule().add();
    *request.message_mut() = rule;
    match request.execute().await.map_err(into_io) {
        Err(error) if exists(&error) => Ok(false),
        other => other.map(|()| true),
    }
}

async fn remove(netlink: &Netlink, rule: RuleMessage) -> io::Result<()> {
    match netlink.handle.rule().del(rule).execute().await.map_err(into_io) {
        Err(error) if is_absent(&error) => Ok(()),
        other => other,
    }
}
