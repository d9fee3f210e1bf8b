//! Answers to CREATE_CHILD_SA requests of the peer: all are refused, each so that a gateway does what is best for the tunnel.

use crate::ike::v2::ChildRecord;
use crate::ike::v2::message::create_child::{ChildProtocol, CreateChildKind, CreateChildRequest, RekeyedSa};
use crate::ike::v2::message::notify::Notify;
use crate::ike::wire::registry::NotifyType;

/// How the IKE SA stands that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// In use.
    Open,
    /// Our request to close it is on its way.
    Closing,
}

/// The notify that refuses `request`.
pub(super) fn refusal(request: &CreateChildRequest, child: Option<&ChildRecord>, standing: Standing) -> Notify {
    if standing == Standing::Closing {
        // RFC 7296 §2.25.2: who closes the IKE SA puts off whatever is asked of it.
        return Notify::new(NotifyType::TEMPORARY_FAILURE);
    }
    let is_ours = |rekeyed: &RekeyedSa| {
        rekeyed.protocol == ChildProtocol::Esp && child.is_some_and(|child| child.outbound.value() == rekeyed.spi)
    };
    match &request.kind {
        CreateChildKind::RekeyChild { rekeyed, .. } if !is_ours(rekeyed) => {
            // RFC 7296 §2.25: the SPI of REKEY_SA is repeated, as it was given.
            Notify {
                protocol: rekeyed.protocol.id(),
                spi: rekeyed.spi.to_be_bytes().to_vec(),
                ..Notify::new(NotifyType::CHILD_SA_NOT_FOUND)
            }
        }
        // RFC 7296 §4: who does not rekey says so with NO_ADDITIONAL_SAS, and the peer then deletes the SA when its time is over, which we take
        // as the order to connect anew. TEMPORARY_FAILURE would promise that it works later: a gateway would ask again every few seconds
        // and, when that has lasted minutes, drop an IKE SA that is in order (RFC 7296 §2.25).
        CreateChildKind::RekeyChild { .. } | CreateChildKind::RekeyIke | CreateChildKind::NewChild { .. } => {
            Notify::new(NotifyType::NO_ADDITIONAL_SAS)
        }
    }
}
