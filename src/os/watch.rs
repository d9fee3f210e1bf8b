//! What other programs do to the host's routes while a tunnel is there: they take vpnd's away, or make some for the same packets.

use std::io;
use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteProtocol, RouteType};
use rtnetlink::packet_route::rule::{RuleAttribute, RuleMessage};
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::task::JoinHandle;

use crate::os::prefix::Prefix;
use crate::os::route::{self, ROUTE_PROTOCOL, TABLE};
use crate::os::rule::PRIORITY;

/// The table of the host's own addresses (linux/rtnetlink.h `RT_TABLE_LOCAL`).
const LOCAL_TABLE: u32 = 255;

/// One thing that happened to the host's routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A route or rule of vpnd's went: by its own hand, another vpnd's, or somebody else's.
    Removed,
    /// Somebody else made a route in another table than vpnd's.
    Route {
        /// Where to.
        destination: Prefix,
    },
    /// Somebody else made a rule that goes before vpnd's.
    Rule {
        /// Its priority.
        priority: u32,
    },
}

/// rtnetlink's news of routes and rules, as they come.
pub struct Watch {
    messages: Pin<Box<dyn Stream<Item = NetlinkMessage<RouteNetlinkMessage>>>>,
    reader: JoinHandle<()>,
}

impl Watch {
    /// Begins to listen. Must be called within a tokio runtime, in the network namespace that is to be watched.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn start() -> io::Result<Self> {
        let groups =
            [MulticastGroup::Ipv4Route, MulticastGroup::Ipv6Route, MulticastGroup::Ipv4Rule, MulticastGroup::Ipv6Rule];
        let (connection, _, messages) = new_multicast_connection(&groups)?;
        let messages = Box::pin(messages.map(|(message, _)| message));
        Ok(Self { messages, reader: tokio::spawn(connection) })
    }

    /// The next news. Never, when the kernel tells no more.
    pub async fn next(&mut self) -> News {
        loop {
            let Some(message) = self.messages.next().await else { return std::future::pending().await };
            if let NetlinkPayload::InnerMessage(message) = message.payload
                && let Some(news) = news_of(&message)
            {
                return news;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn news_of(message: &RouteNetlinkMessage) -> Option<News> {
    match message {
        RouteNetlinkMessage::DelRoute(route) if is_our_route(route) => Some(News::Removed),
        RouteNetlinkMessage::DelRule(rule) if is_our_rule(rule) => Some(News::Removed),
        RouteNetlinkMessage::NewRoute(route) if table_of(route) != u32::from(TABLE) => {
            let counts = route.header.kind == RouteType::Unicast && table_of(route) != LOCAL_TABLE;
            let destination = counts.then(|| route::destination(route)).flatten()?;
            Some(News::Route { destination })
        }
        RouteNetlinkMessage::NewRule(rule) if !is_our_rule(rule) => {
            let priority = rule.attributes.iter().find_map(|attribute| match attribute {
                RuleAttribute::Priority(priority) => Some(*priority),
                _ => None,
            });
            // The kernel leaves out what is zero.
            let priority = priority.unwrap_or(0);
            (priority <= PRIORITY).then_some(News::Rule { priority })
        }
        _ => None,
    }
}

fn is_our_route(route: &RouteMessage) -> bool {
    table_of(route) == u32::from(TABLE) && route.header.protocol == RouteProtocol::Other(ROUTE_PROTOCOL)
}

fn is_our_rule(rule: &RuleMessage) -> bool {
    rule.attributes.contains(&RuleAttribute::Protocol(RouteProtocol::Other(ROUTE_PROTOCOL)))
}

fn table_of(route: &RouteMessage) -> u32 {
    let large = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    large.unwrap_or(u32::from(route.header.table))
}
