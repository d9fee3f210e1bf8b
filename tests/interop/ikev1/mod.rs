//! IKEv1 against the same gateway.

mod ends;
mod handshake;
mod liveness;
mod matrix;
mod refusals;
mod rekeying;
mod sample;
mod subnets;
mod xauth;
