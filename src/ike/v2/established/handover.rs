//! The session as values, for another process that goes on with it. Only what is at rest can be carried: a question that waits for its answer, and an SA that
//! is held back, come to their end within seconds.

use serde::{Deserialize, Serialize};

use crate::ike::handover::Busy;
use crate::ike::liveness::Liveness;
use crate::ike::v2::auth::PeerAuthenticated;
use crate::ike::v2::capabilities::Capabilities;
use crate::ike::v2::child::{Child, ChildState};
use crate::ike::v2::established::Established;
use crate::ike::v2::established::associations::{MOST_OLDER, Older, OlderState};
use crate::ike::v2::established::mobike::Mobility;
use crate::ike::v2::established::rescue::Rescue;
use crate::ike::v2::ike_sa::{IkeSa, IkeSaState};
use crate::sa::handover::Unrestorable;
use crate::sa::path::Path;
use crate::sa::suite::Group;
use crate::time::Instant;

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::ike) struct EstablishedState {
    current: IkeSaState,
    older: Vec<OlderState>,
    path: Path,
    mobility: Mobility,
    capabilities: Capabilities,
    child: Option<ChildState>,
    pfs: Option<Group>,
    groups_tried: u8,
    ike_group: Option<Group>,
    liveness: Liveness,
    keepalive_at: Option<Instant>,
    rekey_ike_at: Option<Instant>,
    ike_end: Option<Instant>,
    ends_at: Option<Instant>,
    rescue: Rescue,
    refused_since: Option<Instant>,
}

impl Established {
    /// What goes on elsewhere, or why nothing can just now.
    pub(in crate::ike::v2) fn export(&self) -> Result<EstablishedState, Busy> {
        let Self {
            _proof,
            current,
            older,
            path,
            mobility,
            capabilities,
            child,
            child_exchange,
            ike_exchange,
            pfs,
            groups_tried,
            ike_group,
            verifying,
            liveness,
            keepalive_at,
            rekey_ike_at,
            ike_end,
            ends_at,
            rescue,
            refused_since,
            closing,
        } = self;
        if closing.is_some() {
            return Err(Busy("the tunnel is being closed"));
        }
        if child_exchange.is_some() || ike_exchange.is_some() || *verifying {
            return Err(Busy("an SA is being replaced"));
        }
        if !self.sas().all(|sa| sa.ours.is_idle()) {
            return Err(Busy("a question to the gateway is not answered yet"));
        }
        let child = child.as_ref().map(|child| child.export().ok_or(Busy("a new SA is not in use yet"))).transpose()?;
        Ok(EstablishedState {
            current: current.export(),
            older: older.iter().map(Older::export).collect(),
            path: *path,
            mobility: mobility.clone(),
            capabilities: *capabilities,
            child,
            pfs: *pfs,
            groups_tried: *groups_tried,
            ike_group: *ike_group,
            liveness: *liveness,
            keepalive_at: *keepalive_at,
            rekey_ike_at: *rekey_ike_at,
            ike_end: *ike_end,
            ends_at: *ends_at,
            rescue: rescue.clone(),
            refused_since: *refused_since,
        })
    }

    /// The session again, in the process that goes on with it.
    pub(in crate::ike::v2) fn restore(state: EstablishedState) -> Result<Box<Self>, Unrestorable> {
        let EstablishedState {
            current,
            older,
            path,
            mobility,
            capabilities,
            child,
            pfs,
            groups_tried,
            ike_group,
            liveness,
            keepalive_at,
            rekey_ike_at,
            ike_end,
            ends_at,
            rescue,
            refused_since,
        } = state;
        if older.len() > MOST_OLDER {
            return Err(Unrestorable("more IKE SAs than there can be"));
        }
        Ok(Box::new(Self {
            _proof: PeerAuthenticated::by_the_process_before(),
            current: IkeSa::restore(current)?,
            older: older.into_iter().map(Older::restore).collect::<Result<_, _>>()?,
            path,
            mobility: mobility.bounded(),
            capabilities,
            child: child.map(Child::restore).transpose()?,
            child_exchange: None,
            ike_exchange: None,
            pfs,
            groups_tried,
            ike_group,
            verifying: false,
            liveness,
            keepalive_at,
            rekey_ike_at,
            ike_end,
            ends_at,
            rescue,
            refused_since,
            closing: None,
        }))
    }
}
