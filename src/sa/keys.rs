//! The keys of a child SA.

use crate::crypto::cipher::ProtectionKeys;

/// Both directions' keys, named from our side (RFC 7296 §2.17).
#[derive(Debug)]
pub struct ChildKeys {
    /// For what we send.
    pub outbound: ProtectionKeys,
    /// For what we receive.
    pub inbound: ProtectionKeys,
}
