//! What vpnd changes of the host and asks of it: addresses, routes, names, time, randomness.
//!
//! `plan` decides and touches nothing; `host` carries out, remembers and takes back. It knows no packet and no protocol.

pub mod clock;
pub mod plan;
pub mod prefix;
pub mod random;
pub mod resolve;
pub mod sys;
