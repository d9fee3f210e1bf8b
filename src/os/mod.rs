//! What vpnd changes of the host and asks of it: addresses, routes, names, time, randomness.
//!
//! `plan` decides and touches nothing; `host` carries out, remembers and takes back. It knows no packet and no protocol.

mod address;
pub mod clock;
pub mod host;
mod netlink;
pub mod plan;
pub mod prefix;
pub mod random;
pub mod repair;
pub mod resolve;
pub mod route;
pub mod sys;
