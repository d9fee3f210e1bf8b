//! Which inner packets an SA may carry (RFC 4301 §5.1, §5.2). It knows selectors and parsed packets.

use serde::{Deserialize, Serialize};

use crate::{esp::packet::InnerPacket, sa::selector::Selector};

/// The selectors of one direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    sources: Vec<Selector>,
    destinations: Vec<Selector>,
}

impl Policy {
    /// Packets from any of `sources` to any of `destinations`. An empty list permits nothing.
    pub const fn new(sources: Vec<Selector>, destinations: Vec<Selector>) -> Self {
        Self { sources, destinations }
    }

    /// Whether a packet is permitted: addresses, protocol and ports on both sides.
    pub fn permits(&self, packet: &InnerPacket) -> bool {
        let protocol = packet.protocol();
        self.destinations
            .iter()
            .any(|selector| selector.contains(packet.destination(), protocol, packet.destination_port()))
            && self.sources.iter().any(|selector| selector.contains(packet.source(), protocol, packet.source_port()))
    }

    /// Whether a packet is an ICMP error about a packet whose answer is permitted: routers on the other side have addresses that no selector
    /// knows (RFC 4301 §6.2). `octets` is what it was parsed from.
    pub fn permits_error(&self, packet: &InnerPacket, octets: &[u8]) -> bool {
        self.reaches(packet) && packet.answered(octets).is_some_and(|answered| self.permits(&answered))
    }

    /// Whether the packet's receiver is on the far side, whatever its other fields are.
    pub fn reaches(&self, packet: &InnerPacket) -> bool {
        self.destinations.iter().any(|selector| selector.contains_address(packet.destination()))
    }
}
