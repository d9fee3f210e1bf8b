//! What the kernel leaves to us, or takes from us, on the TUN device: super-packets that stand for many segments, and unfinished checksums.
//!
//! It knows headers of IP, TCP and UDP. It does not know the device (`tun`), nor ESP.

pub mod checksum;
pub mod coalesce;
pub mod header;
pub mod split;
