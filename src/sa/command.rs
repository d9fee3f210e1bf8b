//! What IKE tells the packet path, and what the packet path tells IKE.

use serde::{Deserialize, Serialize};

use crate::crypto::cipher::ProtectionKeys;
use crate::sa::{
    lifetime::Lifetime,
    path::Path,
    selector::Selector,
    spi::{InboundSpi, OutboundSpi},
    suite::EspSuite,
};

/// A child SA's name within vpnd: stays the same when the child is rekeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChildId(pub u32);

/// One direction of a child SA, ready to be used.
#[derive(Debug)]
pub struct InboundParameters {
    /// What the peer writes in the ESP header.
    pub spi: InboundSpi,
    /// Algorithms.
    pub suite: EspSuite,
    /// Keys of this direction.
    pub keys: ProtectionKeys,
    /// Where inner packets may come from: the peer's side of the selectors.
    pub sources: Vec<Selector>,
    /// Where inner packets may go to: our side.
    pub destinations: Vec<Selector>,
    /// Packets that may arrive out of order: 0 to 8192; 0 switches the check off.
    pub replay_window: u32,
    /// Limits.
    pub lifetime: Lifetime,
}

/// One direction of a child SA, ready to be used.
#[derive(Debug)]
pub struct OutboundParameters {
    /// What we write in the ESP header.
    pub spi: OutboundSpi,
    /// Algorithms.
    pub suite: EspSuite,
    /// Keys of this direction.
    pub keys: ProtectionKeys,
    /// Where inner packets may come from: our side of the selectors.
    pub sources: Vec<Selector>,
    /// Where inner packets may go to: the peer's side.
    pub destinations: Vec<Selector>,
    /// Where the ESP datagrams go.
    pub path: Path,
    /// Limits.
    pub lifetime: Lifetime,
}

/// An order to the packet path. Each is acknowledged before the next action is carried out.
#[derive(Debug)]
pub enum DataCommand {
    /// Accept packets on a new inbound SA; older ones of the child stay.
    InstallInbound {
        /// The child.
        child: ChildId,
        /// The SA.
        sa: Box<InboundParameters>,
    },
    /// Send the child's packets with this SA from now on.
    SwitchOutbound {
        /// The child.
        child: ChildId,
        /// The SA.
        sa: Box<OutboundParameters>,
    },
    /// Forget one inbound SA.
    RemoveInbound {
        /// Its SPI.
        spi: InboundSpi,
    },
    /// Forget a child in both directions: its packets are dropped from now on.
    RemoveChild {
        /// The child.
        child: ChildId,
    },
    /// Send nothing of a child any more; what comes is still heard.
    RemoveOutbound {
        /// The child.
        child: ChildId,
    },
    /// Send the child's packets on another path.
    MovePeer {
        /// The child.
        child: ChildId,
        /// The path.
        path: Path,
    },
    /// One octet 0xFF on the path, unless something was sent since the last one (RFC 3948 §2.3).
    Keepalive {
        /// The path.
        path: Path,
    },
}

/// How far an SA's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LifetimeMark {
    /// Time to replace it.
    Soft,
    /// It was used to its end and is not used any more.
    Hard,
}

/// News from the packet path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataReport {
    /// A lifetime in packets, octets or sequence numbers was reached.
    Lifetime {
        /// The child.
        child: ChildId,
        /// How far.
        mark: LifetimeMark,
    },
    /// An authentic, fresh packet arrived on this SA. Sent for the first packet, then at most once a second while packets come: it is life.
    InboundSeen {
        /// The child.
        child: ChildId,
        /// The SA.
        spi: InboundSpi,
    },
    /// Packets were sealed and sent since the last report; at most once a second.
    OutboundSent {
        /// The child.
        child: ChildId,
    },
    /// A packet for which no child exists; at most once a second.
    NoChild,
    /// ESP arrived from the gateway with an SPI that is not ours; at most once a second.
    UnknownSpi {
        /// The number, untrusted.
        spi: u32,
    },
    /// The network says that the gateway cannot be reached; at most once a second. Untrusted hint.
    Unreachable,
    /// The path carries datagrams of at most this many octets (IP included); at most once a second. Untrusted hint.
    PathMtu {
        /// Octets.
        octets: u16,
    },
}

impl DataReport {
    /// The child that it is about.
    pub const fn child(&self) -> Option<ChildId> {
        match self {
            Self::Lifetime { child, .. } | Self::InboundSeen { child, .. } | Self::OutboundSent { child } => {
                Some(*child)
            }
            Self::NoChild | Self::UnknownSpi { .. } | Self::Unreachable | Self::PathMtu { .. } => None,
        }
    }
}
