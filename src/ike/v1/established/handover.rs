//! The session as values, for another process that goes on with it. Only what is at rest can be carried: exchanges under way come to their end within seconds.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ike::action::Configuration;
use crate::ike::handover::Busy;
use crate::ike::liveness::Liveness;
use crate::ike::profile::{Ikev1, Profile};
use crate::ike::v1::child::{Child, ChildState};
use crate::ike::v1::established::Established;
use crate::ike::v1::established::association::{Association, AssociationState};
use crate::ike::v1::established::first_set::MOST_CHILDREN;
use crate::ike::v1::established::news::Rate;
use crate::ike::v1::established::quick_modes::{Finished, QuickModes};
use crate::ike::v1::established::renewal::{MOST_OLDER, Renewal};
use crate::sa::handover::Unrestorable;
use crate::time::Instant;

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::ike) struct EstablishedState {
    current: AssociationState,
    older: Vec<AssociationState>,
    renewal_at: [Option<Instant>; 2],
    configuration: Configuration,
    children: Vec<ChildState>,
    finished: VecDeque<Finished>,
    liveness: Liveness,
    keepalive_at: Option<Instant>,
}

impl Established {
    /// What goes on elsewhere, or why nothing can just now.
    pub(in crate::ike::v1) fn export(&self) -> Result<EstablishedState, Busy> {
        let Self {
            current,
            older,
            renewal,
            configuration,
            children,
            quick_modes,
            first_set,
            sign_awaited,
            sign_asked_at,
            liveness,
            answers: _,
            keepalive_at,
        } = self;
        if first_set.is_some() || sign_awaited.is_some() || sign_asked_at.is_some() {
            return Err(Busy("the tunnel is being made"));
        }
        let export = |one: &Association| one.export().ok_or(Busy("a question to the gateway is not answered yet"));
        Ok(EstablishedState {
            current: export(current)?,
            older: older.iter().map(export).collect::<Result<_, _>>()?,
            renewal_at: renewal.export().ok_or(Busy("the IKE SA is being renewed"))?,
            configuration: configuration.clone(),
            children: children
                .iter()
                .map(|child| child.export().ok_or(Busy("a new SA is not in use yet")))
                .collect::<Result<_, _>>()?,
            finished: quick_modes.export().ok_or(Busy("an SA is being replaced"))?,
            liveness: *liveness,
            keepalive_at: *keepalive_at,
        })
    }

    /// The session again, in the process that goes on with it.
    pub(in crate::ike::v1) fn restore(
        profile: &Profile,
        settings: Arc<Ikev1>,
        state: EstablishedState,
    ) -> Result<Self, Unrestorable> {
        let EstablishedState { current, older, renewal_at, configuration, children, finished, liveness, keepalive_at } =
            state;
        if older.len() > MOST_OLDER || children.len() > MOST_CHILDREN {
            return Err(Unrestorable("more SAs than there can be"));
        }
        Ok(Self {
            current: Association::restore(current)?,
            older: older.into_iter().map(Association::restore).collect::<Result<_, _>>()?,
            renewal: Renewal::restore(profile, settings, &configuration, renewal_at),
            configuration,
            children: children.into_iter().map(Child::restore).collect::<Result<_, _>>()?,
            quick_modes: QuickModes::restore(finished)?,
            first_set: None,
            sign_awaited: None,
            sign_asked_at: None,
            liveness,
            answers: Rate::default(),
            keepalive_at,
        })
    }
}
