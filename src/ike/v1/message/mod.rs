//! IKEv1's messages as values. A table says which payloads each must and may have; it is checked before any handler sees a message.
//! Unknown vendor IDs are normal; unknown payloads are refused (RFC 2408 §5.3), NAT-D of the drafts (130) is known by either number.
//! It knows no state and no key; whether a value is *acceptable* is decided elsewhere.

mod chain;
mod payload;
mod phase1;
mod phase2;
pub(in crate::ike::v1) mod security_association;
mod table;

pub use payload::{Attributes, Delete, Identification, Notify};
pub use phase1::{AggressiveAnswer, AggressiveOpening, AggressiveProof, MainModeAuth, MainModeKeys, MainModeProposal};
pub use phase2::{Hashed, Informational, QuickModeProposal};

#[cfg(test)]
mod tests;
