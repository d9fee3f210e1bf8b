//! Traffic selectors: which inner packets an SA carries (RFC 7296 §3.13, RFC 4301 §4.4.1).

use std::net::IpAddr;

/// One traffic selector: an inclusive address range, a protocol and an inclusive port range. Both ends are of one family and in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector {
    start: IpAddr,
    end: IpAddr,
    /// IP protocol; 0 is any.
    pub protocol: u8,
    /// First port; with `last_port` 65535 and this 0, any.
    pub first_port: u16,
    /// Last port.
    pub last_port: u16,
}
