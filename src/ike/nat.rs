//! NAT detection (RFC 7296 §2.23, RFC 3947 §3.2). It knows how the hashes are made and what they say; not which hash a protocol uses.

use std::net::{IpAddr, SocketAddr};

/// What NAT detection found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NatSituation {
    /// A NAT stands before us: the mapping needs keepalives.
    pub(crate) local: bool,
    /// A NAT stands before the gateway.
    pub(crate) remote: bool,
}

/// The octets one side's detection hash is made of: both IKE SPIs (cookies in IKEv1), address and port.
pub(crate) fn detection_input(initiator_spi: [u8; 8], responder_spi: [u8; 8], address: SocketAddr) -> Vec<u8> {
    let mut input = Vec::with_capacity(34);
    input.extend_from_slice(&initiator_spi);
    input.extend_from_slice(&responder_spi);
    match address.ip() {
        IpAddr::V4(ip) => input.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => input.extend_from_slice(&ip.octets()),
    }
    input.extend_from_slice(&address.port().to_be_bytes());
    input
}
