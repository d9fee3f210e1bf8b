//! The packet path: IP packets into ESP and back (RFC 4303), tunnel mode, in UDP (RFC 3948).
//! It knows packets, sequence numbers and selectors; it knows no IKE message, no socket and no device.

pub mod batch;
pub mod counters;
pub mod dataplane;
pub mod demux;
mod early;
pub mod ecn;
pub mod handover;
pub mod inbound;
pub mod inbound_path;
pub mod incidents;
pub mod layout;
pub mod lifetime;
pub mod mss;
pub mod mtu;
pub mod outbound;
pub mod outbound_path;
pub mod packet;
pub mod policy;
pub mod replay;
pub mod sequence;
mod too_big;

#[cfg(test)]
mod tests;
