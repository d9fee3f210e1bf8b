//! What must hold after every step of every story, whatever the network and the gateway do.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Instant;

use super::Datagram;

/// Octets that stand in every inner packet of a story and must never be seen on the wire.
pub const INNER_MARK: &[u8; 16] = b"inner-mark-in-it";

/// Datagrams the client may send within a second beyond one for each that it received: two sessions may each put a message in eight fragments five times.
const BURST: usize = 80;

/// Half-open IKE SAs of one attempt.
const CANDIDATES: usize = 8;

/// Octets of a message up to where the text behind an eight-octet IV is the same in all IKE_AUTH requests of a client.
const SAME_KEYS: usize = 28 + 4 + 8 + 16;

/// The version octet of IKEv1.
const ISAKMP: u8 = 0x10;

/// The first payload of a fragment of an IKEv1 message.
const FRAGMENT: u8 = 132;

/// The exchange type of questions in IKEv2.
const INFORMATIONAL: u8 = 37;

/// What a question of a given length has more than the short one, at least.
const PADDING: usize = 256;

/// What the watcher remembers.
#[derive(Default)]
pub struct Invariants {
    sealed: BTreeMap<u32, u32>,
    requests: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    exchanges: BTreeMap<(Vec<u8>, u32), Exchange>,
    encrypting: BTreeSet<Vec<u8>>,
    fragmented: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>,
    recent: Vec<Instant>,
    received: Vec<Instant>,
    delivered: BTreeSet<u64>,
}

/// The different messages of one IKEv1 exchange, each way.
#[derive(Default)]
struct Exchange {
    sent: BTreeSet<Vec<u8>>,
    received: BTreeSet<Vec<u8>>,
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
        if ike.get(17) == Some(&ISAKMP) {
            self.isakmp_sent(ike);
            return;
        }
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
            // A question of a given length that is not answered is put again without its length, beside the long one; without a network,
            // the long one is first seen then.
            let is_cut = matches!(&**known, [one, other] if ike[18] == INFORMATIONAL && one.len().abs_diff(other.len()) > PADDING);
            assert!(known.len() <= allowed || is_cut, "K2-030, K2-082: a repeated message differs from the first");
            // With a counter as IV and known text in front, equal beginnings mean equal keys.
            let begins_alike = |other: &Vec<u8>| other.get(..SAME_KEYS) == ike.get(..SAME_KEYS) && other != ike;
            assert!(!known.iter().any(begins_alike), "C-08: a nonce protects two messages");
        }
    }

    fn isakmp_sent(&mut self, message: &[u8]) {
        let cookies = message[..16].to_vec();
        let is_fragment = message[16] == FRAGMENT;
        let is_encrypted = message[19] & 1 != 0;
        let id = u32::from_be_bytes(message[20..24].try_into().unwrap());
        let phase_1 = matches!(message[18], 2 | 4);
        assert!(phase_1 == (id == 0) || is_fragment, "exchange {} with message ID {id}", message[18]);
        assert!(phase_1 || is_encrypted || is_fragment, "K1-010: exchange {} in clear", message[18]);
        if is_fragment {
            return;
        }
        // What was in fragments could be of any exchange.
        let hidden = self.fragmented.get(&cookies).map_or(0, BTreeSet::len);
        let exchange = self.exchanges.entry((cookies.clone(), id)).or_default();
        let repeated = !exchange.sent.insert(message.to_vec());
        // Each message of an exchange begins where the last one of the other side ended: two without one between have the same IV (RFC 2409 appendix B).
        assert!(
            exchange.sent.len() <= exchange.received.len() + hidden + 1,
            "K1-008, K1-021: two messages of exchange {} with ID {id:08x} in the same place",
            message[18]
        );
        if is_encrypted {
            self.encrypting.insert(cookies);
        } else {
            assert!(repeated || !self.encrypting.contains(&cookies), "K1-010: in clear although there are keys");
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
    pub fn client_received(&mut self, now: Instant, datagram: &Datagram) {
        self.received.push(now);
        let octets = datagram.octets.as_slice();
        let message = octets.strip_prefix(&[0; 4]).filter(|_| datagram.source.port() != 500).unwrap_or(octets);
        // Nothing protects IKEv1's header, and its minor version means nothing to the client: it may be damaged.
        if message.len() < 28 || message[17] >> 4 != ISAKMP >> 4 {
            return;
        }
        if message[16] == FRAGMENT {
            let number = message.get(32..34).unwrap_or_default().to_vec();
            self.fragmented.entry(message[..16].to_vec()).or_default().insert(number);
            return;
        }
        let name = (message[..16].to_vec(), u32::from_be_bytes(message[20..24].try_into().unwrap()));
        self.exchanges.entry(name).or_default().received.insert(message.to_vec());
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
