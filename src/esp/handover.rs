//! The packet path as values: what another process needs to go on with the same SAs. It knows what is carried, keys among it; it does not know how.

use serde::{Deserialize, Serialize};

use crate::crypto::carried::CarriedKeys;
use crate::esp::lifetime::Usage;
use crate::esp::policy::Policy;
use crate::esp::replay::ReplayWindow;
use crate::sa::command::ChildId;
pub use crate::sa::handover::Unrestorable;
use crate::sa::path::Path;
use crate::sa::spi::{InboundSpi, OutboundSpi};
use crate::sa::suite::EspSuite;

/// SAs of one direction, at most: each child of the largest configuration has some.
pub(in crate::esp) const MOST_SAS: usize = 4096;

/// The outbound half.
#[derive(Debug, Serialize, Deserialize)]
pub struct OutboundState {
    pub(in crate::esp) children: Vec<OutboundChild>,
    pub(in crate::esp) mtu: Option<u16>,
    pub(in crate::esp) sent_since_keepalive: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::esp) struct OutboundChild {
    pub(in crate::esp) id: ChildId,
    pub(in crate::esp) sa: OutboundSaState,
    pub(in crate::esp) policy: Policy,
    pub(in crate::esp) path: Path,
}

/// One outbound SA.
#[derive(Debug, Serialize, Deserialize)]
pub struct OutboundSaState {
    pub(in crate::esp) spi: OutboundSpi,
    pub(in crate::esp) suite: EspSuite,
    pub(in crate::esp) keys: CarriedKeys,
    /// The last sequence number.
    pub(in crate::esp) used: u64,
    pub(in crate::esp) usage: Usage,
}

/// The inbound half.
#[derive(Debug, Serialize, Deserialize)]
pub struct InboundState {
    pub(in crate::esp) sas: Vec<InboundEntry>,
    pub(in crate::esp) peer: Option<Path>,
    pub(in crate::esp) mtu: Option<u16>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::esp) struct InboundEntry {
    pub(in crate::esp) child: ChildId,
    pub(in crate::esp) sa: InboundSaState,
    pub(in crate::esp) policy: Policy,
}

/// One inbound SA.
#[derive(Debug, Serialize, Deserialize)]
pub struct InboundSaState {
    pub(in crate::esp) spi: InboundSpi,
    pub(in crate::esp) suite: EspSuite,
    pub(in crate::esp) keys: CarriedKeys,
    pub(in crate::esp) window: ReplayWindow,
    pub(in crate::esp) usage: Usage,
}
