//! What the kernel leaves to us, or takes from us, on the TUN device: super-packets that stand for many segments, and unfinished checksums.
//!
//! It knows headers of IP, TCP and UDP. It does not know the device (`tun`), nor ESP.

pub mod checksum;
pub mod coalesce;
pub mod header;
pub mod split;

// What splitting and merging read of the packets (RFC 791, RFC 8200, RFC 768, RFC 9293 §3.1).
const TCP: u8 = 6;
const UDP: u8 = 17;
// Octets of headers; of TCP the shortest.
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
// TCP flags.
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;
