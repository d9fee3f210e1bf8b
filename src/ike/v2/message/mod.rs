//! IKEv2 messages as values: a payload a type, a message a struct with what it must hold and what it may.
//! A message that lacks, repeats or adds a payload never becomes a value. It knows no state, no key and no policy: whether a value is
//! *acceptable* is decided elsewhere.

pub mod auth;
pub mod authentication;
pub mod configuration;
pub mod create_child;
pub mod delete;
pub mod identification;
pub mod informational;
pub mod key_exchange;
pub mod mobility;
pub mod notify;
pub mod payload;
pub mod sa_init;
pub mod security_association;
mod table;
pub mod traffic_selectors;

use std::fmt;

use crate::ike::v2::message::notify::Notify;
use crate::ike::wire::{
    error::DecodeError,
    registry::{NotifyType, PayloadType},
};

pub use auth::{AuthProof, AuthRequest, AuthResponse, ChildAnswer};
pub use authentication::Authentication;
pub use configuration::{Attribute, Configuration};
pub use create_child::{CreateChildAnswer, CreateChildKind, CreateChildRequest, CreateChildResponse};
pub use delete::Delete;
pub use identification::Identification;
pub use informational::Informational;
pub use key_exchange::{KeyExchange, Nonce};
pub use payload::{Payload, write_contents};
pub use sa_init::{SaInitAccepted, SaInitNotified, SaInitRequest, SaInitResponse};
pub use security_association::{Proposal, SecurityAssociation, Transform};
pub use traffic_selectors::TrafficSelectors;

/// Why payloads are not the message that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// The octets are wrong.
    Malformed(DecodeError),
    /// A payload of this unknown kind is marked critical.
    UnsupportedCritical(u8),
    /// A payload that the message must have is not there.
    Missing(PayloadType),
    /// A payload that may be there once is there twice.
    Repeated(PayloadType),
    /// A payload that has no place in the message.
    Unexpected(PayloadType),
}

impl MessageError {
    /// What an authenticated peer is told when such a thing was its request (RFC 7296 §2.5, §2.21.3).
    pub fn answer(&self) -> Notify {
        match self {
            Self::UnsupportedCritical(kind) => {
                Notify::new(NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD).with_data(vec![*kind])
            }
            Self::Malformed(_) | Self::Missing(_) | Self::Repeated(_) | Self::Unexpected(_) => {
                Notify::new(NotifyType::INVALID_SYNTAX)
            }
        }
    }
}

impl From<DecodeError> for MessageError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::UnsupportedCritical(kind) => write!(f, "the unknown payload {kind} is marked critical"),
            Self::Missing(kind) => write!(f, "no {kind} payload"),
            Self::Repeated(kind) => write!(f, "more than one {kind} payload"),
            Self::Unexpected(kind) => write!(f, "{kind} payload where none belongs"),
        }
    }
}

impl std::error::Error for MessageError {}

#[cfg(test)]
mod tests;
