//! Authentication by a pre-shared key (RFC 7296 §2.15).

/// Proof that the peer has the key: made by the AUTH check only.
pub(super) struct PeerAuthenticated(());
