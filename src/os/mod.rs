//! What vpnd changes of the host and asks of it: addresses, routes, names, time, randomness.
//!
//! `plan` decides and touches nothing; `host` carries out, remembers and takes back. It knows no packet and no protocol.

mod address;
pub mod clock;
mod dns;
pub mod host;
mod netlink;
pub mod network;
pub mod nftables;
pub mod plan;
pub mod prefix;
pub mod random;
pub mod repair;
pub mod resolve;
pub mod route;
mod rule;
pub mod sandbox;
pub mod sys;
pub mod watch;

/// The number by which everything on a host that is vpnd's is known: routing table, route protocol, rule priority, firewall mark,
/// group of its devices. Nobody has registered it.
pub const NUMBER: u8 = 118;

/// The firewall mark of vpnd's own sockets: what carries it is not asked for in vpnd's routing table.
pub const MARK: u32 = NUMBER as u32;
