//! What a peer's Delete payloads close (RFC 7296 §1.4.1). It decides; it changes nothing.

use crate::ike::v2::ChildRecord;
use crate::ike::v2::message::Delete;
use crate::ike::wire::registry::ProtocolId;

/// What is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Closed {
    /// The IKE SA and all under it. The answer holds no Delete payload (RFC 7296 §1.4.1).
    IkeSa,
    /// Our child, both directions of it; the answer closes our direction.
    Child(Delete),
    /// Nothing that there is: the answer is empty (RFC 7296 §1.4.1).
    Nothing,
}

/// What `deletes` close of an IKE SA that has `child`. A child that is closed already, by a request of ours that crossed, is not there any more.
pub(super) fn closed_by(deletes: &[Delete], child: Option<&ChildRecord>) -> Closed {
    if deletes.iter().any(|delete| delete.protocol == ProtocolId::IKE) {
        return Closed::IkeSa;
    }
    // RFC 7296 §3.11: the SPIs are those that the sender receives on: what we send with.
    let named = |child: &&ChildRecord| {
        deletes
            .iter()
            .filter(|delete| delete.protocol == ProtocolId::ESP)
            .any(|delete| delete.spis.contains(&child.outbound.value()))
    };
    match child.filter(named) {
        Some(child) => Closed::Child(Delete { protocol: ProtocolId::ESP, spis: vec![child.inbound.value()] }),
        None => Closed::Nothing,
    }
}
