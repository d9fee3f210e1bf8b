//! Octets and numbers of IKE messages: header, payload chain, registries, bounded reading, lengths that cannot lie.
//! It knows no exchange, no state and no key, and keeps nothing between two messages.

pub mod chain;
pub mod error;
pub mod header;
pub mod reader;
pub mod registry;
pub mod writer;
