//! Where datagrams go: a pair of addresses, and how an IKE message is framed between them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// How an IKE message stands in a UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Framing {
    /// The IKE header comes first: port 500.
    Bare,
    /// Four zero octets, the non-ESP marker, come first: port 4500 (RFC 3948 §2.2).
    Marked,
}

/// A pair of UDP addresses that messages travel between. ESP travels on `Marked` paths only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Path {
    /// Our address and port, as the socket has it (before any NAT).
    pub local: SocketAddr,
    /// The gateway's address and port, as we see it.
    pub remote: SocketAddr,
    /// How IKE messages are framed here. The sender's io adds and takes away the marker; IKE messages never hold it.
    pub framing: Framing,
}
