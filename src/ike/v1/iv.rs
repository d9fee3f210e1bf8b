//! IV chains (RFC 2409 appendix B): the first of phase 1, the first of each exchange after it, and how a chain goes on.

use crate::crypto::hash::Hash;

/// Where a chain stands. It moves only when a message was sent or accepted: whoever opens a message gets the next one and decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Iv(Vec<u8>);

impl Iv {
    /// hash(g^xi | g^xr), cut to the block.
    pub(super) fn of_phase1(_hash: Hash, _publics: (&[u8], &[u8]), _block: usize) -> Self {
        todo!()
    }

    /// hash(last phase-1 ciphertext block | message ID), cut to the block.
    pub(super) fn of_exchange(_hash: Hash, _phase1: &Self, _message_id: u32, _block: usize) -> Self {
        todo!()
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.0
    }
}
