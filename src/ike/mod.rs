//! IKE: negotiates and keeps SAs. `Session` is all that its users see. The versions fork in `session` and share only values and leaf functions.

pub mod action;
mod attribute;
mod context;
pub mod handover;
pub mod identity;
pub mod liveness;
pub mod nat;
pub mod one_way;
pub mod profile;
mod proposal;
pub mod retransmit;
mod schedule;
pub mod session;
pub mod timer;
pub mod v1;
pub mod v2;
pub mod wire;
