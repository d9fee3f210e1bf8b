//! What one thread of the packet path counted (RFC 4303 §4). Owned by the thread, copied out for whoever asks.

use std::fmt;

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])* $name:ident => $words:literal,)*) => {
        /// Why a packet was not carried.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DropReason {
            $($(#[doc = $doc])* $name,)*
        }

        impl DropReason {
            /// All reasons, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The reason in snake case, as metrics name it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)*
                }
            }
        }
    };
}

drop_reasons! {
    /// Neither IPv4 nor IPv6.
    NotIp => "not_ip",
    /// The packet is shorter than its header says, or the header is shorter than it may be.
    InnerTooShort => "inner_too_short",
    /// The IPv4 header checksum is wrong.
    InnerChecksum => "inner_checksum",
    /// More IPv6 extension headers than are looked through.
    ExtensionChain => "extension_chain",
    /// A fragment that would reach beyond the longest packet.
    FragmentOverrun => "fragment_overrun",
    /// A loopback address, or a sender that no packet can have.
    Martian => "martian",
    /// Outbound: what the device leaves unfinished in the packet does not fit the packet.
    Offload => "offload",
    /// Outbound: no child SA goes there.
    NoChild => "no_child",
    /// Outside the traffic selectors of the SA.
    OutsideSelectors => "outside_selectors",
    /// Outbound: to the gateway's own outer address, a loop.
    ToGateway => "to_gateway",
    /// Outbound: longer than the path carries. Its sender is told, as often as ICMP may be sent.
    BeyondPath => "beyond_path",
    /// Outbound: does not fit into a datagram when sealed.
    TooLong => "too_long",
    /// Outbound: all sequence numbers were used.
    SequenceExhausted => "sequence_exhausted",
    /// The SA was used to the end of its lifetime.
    LifetimeEnded => "lifetime_ended",
    /// Outbound: the cipher refused. Never seen.
    NotSealed => "not_sealed",
    /// Inbound: too short for what it should be.
    TooShort => "too_short",
    /// Inbound: not a whole number of cipher blocks.
    Unaligned => "unaligned",
    /// Inbound: no SA has this SPI.
    UnknownSpi => "unknown_spi",
    /// Inbound: the sequence number was seen or is too old.
    Replayed => "replayed",
    /// Inbound: the ICV or the padding is wrong.
    NotAuthentic => "not_authentic",
    /// Inbound: neither IPv4 nor IPv6 nor a dummy, or not what the packet is.
    NextHeader => "next_header",
    /// Inbound: congestion was signalled to a packet whose sender cannot be told (RFC 6040 §4.2).
    Congestion => "congestion",
}

/// Counts since the start of one thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets sealed and sent, or opened and delivered.
    pub packets: u64,
    /// Octets of their inner packets.
    pub octets: u64,
    /// Dummy packets sealed or discarded (RFC 4303 §2.6).
    pub dummies: u64,
    /// NAT keepalives received.
    pub keepalives: u64,
    /// IKE messages handed up.
    pub ike: u64,
    /// Authentic packets whose padding octets are not 1, 2, 3, ...
    pub odd_padding: u64,
    /// TCP handshakes whose MSS was lowered.
    pub clamped: u64,
    /// Packets that came before their SA, were dropped as such, and were kept and opened when it was there.
    pub early: u64,
    /// Senders that were told how long packets may be.
    pub told: u64,
    /// News that found no room in the queue to IKE.
    pub lost_reports: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Counters {
    /// Packets dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(index(reason)).copied().unwrap_or(0)
    }

    /// Packets dropped for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    pub(in crate::esp) fn count_drop(&mut self, reason: DropReason) {
        if let Some(count) = self.dropped.get_mut(index(reason)) {
            increase(count);
        }
    }
}

pub(in crate::esp) fn increase(count: &mut u64) {
    *count = count.saturating_add(1);
}

const fn index(reason: DropReason) -> usize {
    reason as usize
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_14_each_reason_has_a_count_and_a_name_of_its_own() {
        let mut counters = Counters::default();
        for (index, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(counters.dropped(*reason), 0);
            counters.count_drop(*reason);
            assert_eq!(counters.dropped(*reason), 1);
            assert_eq!(counters.dropped_total(), u64::try_from(index).unwrap() + 1);
        }
        let names: std::collections::BTreeSet<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), DropReason::ALL.len());
        assert!(DropReason::ALL.iter().all(|reason| reason.to_string() == reason.name()));
    }
}
