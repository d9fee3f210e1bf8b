//! Tells when the host's network changes: links, addresses, routes. It does not say what changed, but leaves out what vpnd did itself.

use std::io;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::RouteAttribute;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::task::JoinHandle;

const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

/// The kernel's news of the network, of which `own` is the index of our device.
pub struct NetworkWatch {
    news: BoxStream<'static, RouteNetlinkMessage>,
    reader: JoinHandle<()>,
    own: Option<u32>,
}

impl NetworkWatch {
    /// Begins to listen, in the network namespace of the calling thread. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// What the kernel says: a container may forbid it.
    pub fn start(device: &str) -> io::Result<Self> {
        let (connection, _, messages) = new_multicast_connection(&GROUPS)?;
        let news = messages.filter_map(|(message, _)| async move {
            match message.payload {
                NetlinkPayload::InnerMessage(message) => Some(message),
                _ => None,
            }
        });
        Ok(Self { news: news.boxed(), reader: tokio::spawn(connection), own: index_of(device) })
    }

    /// Waits until something of another device changes; for ever when the kernel tells no more.
    pub async fn changed(&mut self) {
        while let Some(message) = self.news.next().await {
            let device = device_of(&message);
            if device.is_none() || device != self.own {
                return;
            }
        }
        std::future::pending().await
    }
}

impl Drop for NetworkWatch {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn index_of(device: &str) -> Option<u32> {
    std::fs::read_to_string(format!("/sys/class/net/{device}/ifindex")).ok()?.trim().parse().ok()
}

/// The index of the device that a message is about.
fn device_of(message: &RouteNetlinkMessage) -> Option<u32> {
    match message {
        RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) => Some(link.header.index),
        RouteNetlinkMessage::NewAddress(address) | RouteNetlinkMessage::DelAddress(address) => {
            Some(address.header.index)
        }
        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
            route.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::Oif(index) => Some(*index),
                _ => None,
            })
        }
        _ => None,
    }
}
