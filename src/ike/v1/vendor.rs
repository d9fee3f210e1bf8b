//! Vendor IDs: which we send, and what the peer's say of it. A capability never decides whether somebody is authenticated.

use crate::ike::profile::Profile;

/// How NAT detection travels (RFC 3947 and the drafts before it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NatTraversal {
    /// RFC 3947: payload 20, encapsulation mode 3.
    Rfc3947,
    /// Drafts 02 and 03: payload 130, mode 61443.
    Draft,
}

/// What the peer announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PeerCapabilities {
    /// The best that both know.
    pub(super) nat_traversal: Option<NatTraversal>,
    pub(super) dpd: bool,
    pub(super) xauth: bool,
    pub(super) unity: bool,
    pub(super) fragmentation: bool,
}

/// What we send in the first message.
pub(super) fn ours(_profile: &Profile, _xauth: bool) -> Vec<Vec<u8>> {
    todo!()
}

impl PeerCapabilities {
    /// Adds what these say.
    pub(super) fn learn(&mut self, _vendor_ids: &[Vec<u8>]) {
        todo!()
    }
}
