//! An IKEv2 tunnel over its life.

mod collisions;
mod rekeying;
