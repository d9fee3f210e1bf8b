//! What the peer said it can do, by notifies in IKE_SA_INIT and IKE_AUTH.

/// Announced by the peer and by us; what is absent was not announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    /// IKEV2_FRAGMENTATION_SUPPORTED both ways (RFC 7383 §2.3).
    pub(super) fragmentation: bool,
    /// ESP_TFC_PADDING_NOT_SUPPORTED: the peer takes no TFC padding (RFC 7296 §1.3.1).
    pub(super) no_tfc_padding: bool,
}
