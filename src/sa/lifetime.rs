//! How long an SA may be used.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of one SA. What is `None` is not limited by configuration; sequence numbers and cipher limits always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetime {
    /// Time from establishment to the hard end.
    pub time: Option<Duration>,
    /// Octets of inner packets.
    pub bytes: Option<u64>,
    /// Packets.
    pub packets: Option<u64>,
}
