//! IV chains (RFC 2409 appendix B): the first of phase 1, the first of each exchange after it, and how a chain goes on.

use serde::{Deserialize, Serialize};

use crate::crypto::hash::Hash;

/// Where a chain stands. It moves only when a message was sent or accepted: whoever opens a message gets the next one and decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Iv(Vec<u8>);

impl Iv {
    /// hash(g^xi | g^xr), cut to the block.
    pub(super) fn of_phase1(hash: Hash, publics: (&[u8], &[u8]), block: usize) -> Self {
        Self(cut(hash.digest(&[publics.0, publics.1]), block))
    }

    /// hash(last phase-1 ciphertext block | message ID), cut to the block.
    pub(super) fn of_exchange(hash: Hash, phase1: &Self, message_id: u32, block: usize) -> Self {
        Self(cut(hash.digest(&[&phase1.0, &message_id.to_be_bytes()]), block))
    }

    /// The last block of a message, which the next message of the same exchange begins with; `None` if there is no whole block.
    pub(super) fn after(ciphertext: &[u8], block: usize) -> Option<Self> {
        let start = ciphertext.len().checked_sub(block)?;
        ciphertext.get(start..).map(|last| Self(last.to_vec()))
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.0
    }
}

fn cut(mut octets: Vec<u8>, block: usize) -> Vec<u8> {
    octets.truncate(block);
    octets
}
