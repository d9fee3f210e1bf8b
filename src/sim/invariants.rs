//! What must hold after every step of every story, whatever the network and the gateway do.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Instant;

use super::Datagram;

/// Octets that stand in every inner packet of a story and must never be seen on the wire.
pub const INNER_MARK: &[u8; 16] = b"inner-mark-in-it";

/// Datagrams the client may send within a second beyond one for each that it received.
const BURST: usize = 40;

/// Half-open IKE SAs of one attempt.
const CANDIDATES: usize = 8;

/// Octets of a message up to where the text behind an eight-octet IV is the same in all IKE_AUTH requests of a client.
const SAME_KEYS: usize = 28 + 4 + 8 + 16;

/// What the watcher remembers.
#[derive(Default)]
pub struct Invariants {
    sealed: BTreeMap<u32, u32>,
    requests: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    recent: Vec<Instant>,
    received: Vec<Instant>,
    delivered: BTreeSet<u64>,
}

impl Invariants {
    /// A datagram left the client.
    pub fn client_sent(&mut self, now: Instant, datagram: &Datagram, authenticated: u64, closed: bool) {
        assert!(!closed, "the client sends after it is closed");
        assert!(
            !datagram.octets.windows(INNER_MARK.len()).any(|window| window == INNER_MARK),
            "an inner packet is on the wire in clear"
        );
        let octets = datagram.octets.as_slice();
        let ike = match datagram.destination.port() {
            500 => octets,
            _ if octets == [0xff] => return,
            _ if octets.starts_with(&[0; 4]) => &octets[4..],
            _ => return self.esp_sent(octets, authenticated),
        };
        self.storms(now);
        let protected = ike.len() > 28 && ike[18] != 34;
        if protected {
            // Exchange, message ID and, in a fragment, its number name a message; its octets never change (RFC 7296 §2.1).
            let fragment = if ike[16] == 53 { &ike[32..34] } else { &ike[..0] };
            let name = [&ike[0..24], fragment].concat();
            let known = self.requests.entry(name).or_default();
            if !known.iter().any(|known| known == ike) {
                known.push(ike.to_vec());
            }
            // IKE_AUTH, and the last word to a loser, go to every candidate, and those of an attacker may have the gateway's name (K2-036).
            let allowed = if u32::from_be_bytes(ike[20..24].try_into().unwrap()) <= 2 { CANDIDATES } else { 1 };
            assert!(known.len() <= allowed, "K2-030, K2-082: a repeated message differs from the first");
            // With a counter as IV and known text in front, equal beginnings mean equal keys.
            let begins_alike = |other: &Vec<u8>| other.get(..SAME_KEYS) == ike.get(..SAME_KEYS) && other != ike;
            assert!(!known.iter().any(begins_alike), "C-08: a nonce protects two messages");
        }
    }

    fn esp_sent(&mut self, octets: &[u8], authenticated: u64) {
        assert!(authenticated > 0, "ESP is sent before the gateway was authenticated");
        assert!(octets.len() >= 24, "an ESP packet of {} octets", octets.len());
        let spi = u32::from_be_bytes(octets[0..4].try_into().unwrap());
        let sequence = u32::from_be_bytes(octets[4..8].try_into().unwrap());
        let last = self.sealed.insert(spi, sequence).unwrap_or(0);
        assert!(sequence > last, "E-04: sequence {sequence} after {last} on SPI {spi:08x}");
    }

    /// A datagram reached the client.
    pub fn client_received(&mut self, now: Instant) {
        self.received.push(now);
    }

    fn storms(&mut self, now: Instant) {
        let second = std::time::Duration::from_secs(1);
        self.recent.push(now);
        self.recent.retain(|at| now.since(*at) < second);
        self.received.retain(|at| now.since(*at) < second);
        let allowed = BURST + self.received.len();
        assert!(self.recent.len() <= allowed, "{} IKE datagrams within a second", self.recent.len());
    }

    /// An inner packet came out of the tunnel.
    pub fn delivered(&mut self, number: u64) {
        assert!(self.delivered.insert(number), "packet {number} was delivered twice");
    }
}
