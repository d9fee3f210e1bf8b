//! What the peer said it can do, by notifies in IKE_SA_INIT and IKE_AUTH.

use serde::{Deserialize, Serialize};

use crate::ike::profile::Profile;
use crate::ike::v2::message::notify::{self, Notify};
use crate::ike::wire::registry::NotifyType;

/// Announced by the peer and, where it takes both, by us; what is absent was not announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Capabilities {
    /// IKEV2_FRAGMENTATION_SUPPORTED both ways (RFC 7383 §2.3).
    pub(super) fragmentation: bool,
    /// ESP_TFC_PADDING_NOT_SUPPORTED: the peer takes no TFC padding (RFC 7296 §1.3.1).
    pub(super) no_tfc_padding: bool,
    /// MOBIKE_SUPPORTED both ways (RFC 4555 §3.3).
    pub(super) mobike: bool,
}

impl Capabilities {
    /// From the notifies of the IKE_SA_INIT response.
    pub(super) fn of_sa_init(profile: &Profile, notifies: &[Notify]) -> Self {
        let announced = notify::find(notifies, NotifyType::IKEV2_FRAGMENTATION_SUPPORTED).is_some();
        Self { fragmentation: announced && profile.fragmentation.is_some(), ..Self::default() }
    }

    /// With what the IKE_AUTH response adds.
    pub(super) fn with_auth(self, profile: &Profile, notifies: &[Notify]) -> Self {
        let no_tfc_padding = notify::find(notifies, NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED).is_some();
        let mobike = profile.mobike && notify::find(notifies, NotifyType::MOBIKE_SUPPORTED).is_some();
        Self { no_tfc_padding, mobike, ..self }
    }
}
