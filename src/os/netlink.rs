//! The connection to rtnetlink, the links it knows, and what its refusals mean.

use std::io;

use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkMessage};
use rtnetlink::packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use rtnetlink::{Handle, LinkUnspec, new_connection};
use tokio::task::JoinHandle;

use crate::os::NUMBER;

/// Packets that wait in the device for the data plane: 10 ms at 200,000 a second, as long as a busy machine may keep its thread off the
/// processor. The kernel's own 500 lose some of such a load.
const QUEUE: u32 = 2000;

/// A connection, and the task that reads its answers.
#[derive(Debug)]
pub(super) struct Netlink {
    pub(super) handle: Handle,
    reader: JoinHandle<()>,
}

impl Netlink {
    /// Connects. Must be called within a tokio runtime; everything is done in the network namespace of the calling thread.
    pub(super) fn connect() -> io::Result<Self> {
        let (connection, handle, _) = new_connection()?;
        Ok(Self { handle, reader: tokio::spawn(connection) })
    }

    /// The index of the device of this name; `None` when there is none.
    pub(super) async fn index_of(&self, device: &str) -> io::Result<Option<u32>> {
        let found = self.handle.link().get().match_name(device.to_owned()).execute().try_next().await;
        present(found.map_err(into_io)).map(|link| link.map(|link| link.header.index))
    }

    /// What the device of this index carries; `None` when there is none.
    pub(super) async fn mtu_of(&self, index: u32) -> io::Result<Option<u32>> {
        let found = self.handle.link().get().match_index(index).execute().try_next().await;
        Ok(present(found.map_err(into_io))?.and_then(|link| {
            link.attributes.into_iter().find_map(|attribute| match attribute {
                LinkAttribute::Mtu(octets) => Some(octets),
                _ => None,
            })
        }))
    }

    /// Brings the device up with this MTU, in the group of vpnd's devices.
    pub(super) async fn bring_up(&self, index: u32, mtu: u16) -> io::Result<()> {
        // Without this the kernel makes a link-local address and looks for routers through the tunnel.
        // It is no loss where IPv6 is switched off and the kernel refuses.
        let mut quiet = LinkMessage::default();
        quiet.header.index = index;
        let mode = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
        quiet.attributes.push(LinkAttribute::AfSpecUnspec(vec![mode]));
        if let Err(error) = self.handle.link().change(quiet).execute().await {
            tracing::debug!(error = %into_io(error), "the device keeps its IPv6 link-local address");
        }
        let group = LinkAttribute::Group(u32::from(NUMBER));
        let queue = LinkAttribute::TxQueueLen(QUEUE);
        let link = LinkUnspec::new_with_index(index).mtu(u32::from(mtu));
        let message = link.append_extra_attribute(group).append_extra_attribute(queue).up().build();
        self.handle.link().change(message).execute().await.map_err(into_io)?;
        // A queueing discipline has nothing to do before a device that takes every packet at once, and hides from senders what the device drops.
        if let Err(error) = self.take_queue_away(index).await {
            tracing::debug!(%error, "the device keeps its queueing discipline");
        }
        Ok(())
    }

    async fn take_queue_away(&self, index: u32) -> io::Result<()> {
        let index = i32::try_from(index).map_err(io::Error::other)?;
        let mut message = TcMessage::with_index(index);
        message.header.parent = TcHandle::ROOT;
        message.attributes.push(TcAttribute::Kind("noqueue".to_owned()));
        let mut request = NetlinkMessage::from(RouteNetlinkMessage::NewQueueDiscipline(message));
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
        let mut answers = self.handle.clone().request(request).map_err(into_io)?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(refusal) = answer.payload {
                return if refusal.code.is_some() { Err(refusal.to_io()) } else { Ok(()) };
            }
        }
        Ok(())
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// The kernel's error number, where there is one.
pub(super) fn into_io(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    }
}

/// Whether the kernel says that something is there already.
pub(super) fn exists(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EEXIST)
}

/// Whether the kernel says that what was to be removed, or the device it was on, is not there.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENOENT | libc::ENODEV | libc::EADDRNOTAVAIL | libc::ENXIO))
}

/// An absence as a value and not as an error.
pub(super) fn present<T>(found: io::Result<Option<T>>) -> io::Result<Option<T>> {
    match found {
        Err(error) if is_absent(&error) => Ok(None),
        other => other,
    }
}
