//! Suites: which algorithms an SA uses, and which we offer. Only combinations that exist can be written down:
//! an AEAD has no integrity field, and nothing is ever unprotected.

use serde::{Deserialize, Serialize};

pub use crate::crypto::cipher::{Aead, Cbc, Integrity, Protection};
pub use crate::crypto::dh::Group;
pub use crate::crypto::prf::Prf;

/// What an IKE SA uses (RFC 7296 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IkeSuite {
    /// How the Encrypted payload is protected.
    pub protection: Protection,
    /// The pseudo-random function for keys and AUTH.
    pub prf: Prf,
    /// The Diffie-Hellman group.
    pub group: Group,
}

/// What a child SA uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EspSuite {
    /// How packets are protected.
    pub protection: Protection,
    /// Whether sequence numbers have 64 bits (RFC 4303 §2.2.1).
    pub esn: bool,
}

/// The protections of one proposal: alternatives of the same kind, in order of preference. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtectionOffer {
    /// Any one of these.
    Aead(Vec<Aead>),
    /// Any one encryption with any one integrity.
    CbcHmac {
        /// Encryption alternatives.
        encryption: Vec<Cbc>,
        /// Integrity alternatives.
        integrity: Vec<Integrity>,
    },
}

/// One IKE proposal: one algorithm of each list will be chosen by the gateway. No list is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IkeOffer {
    /// Encryption and integrity.
    pub protection: ProtectionOffer,
    /// Pseudo-random functions.
    pub prfs: Vec<Prf>,
    /// Groups, the first of the first offer is the one guessed in IKE_SA_INIT.
    pub groups: Vec<Group>,
}

/// Which sequence number sizes a child proposal offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EsnOffer {
    /// 32 bits only.
    Without,
    /// 64 bits preferred, 32 accepted.
    Either,
    /// 64 bits only.
    Required,
}

/// One ESP proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EspOffer {
    /// Encryption and integrity.
    pub protection: ProtectionOffer,
    /// Groups for perfect forward secrecy at rekeying; empty for none. Never sent in IKE_AUTH (RFC 7296 §1.2).
    pub pfs: Vec<Group>,
    /// Sequence numbers.
    pub esn: EsnOffer,
}
