//! How far one SA is used up: by configuration, and by what its cipher can bear.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    crypto::cipher::{Aead, Cbc, Protection},
    sa::{command::LifetimeMark, lifetime::Lifetime},
    time::Instant,
};

/// What one SA carried, against its limits. The soft mark is at three quarters of what it may carry, so that a new SA is ready before the
/// hard end. Of its time only the end is told: IKE replaces it before, at a moment that differs from SA to SA (RFC 7296 §2.8.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    started: Instant,
    time: Option<Duration>,
    max_octets: u64,
    max_packets: u64,
    octets: u64,
    packets: u64,
    reported: Option<LifetimeMark>,
}

impl Usage {
    /// A new SA.
    pub fn new(now: Instant, lifetime: Lifetime, protection: Protection) -> Self {
        let cipher = cipher_limit(protection);
        Self {
            started: now,
            time: lifetime.time,
            max_octets: lifetime.bytes.map_or(cipher, |octets| octets.min(cipher)),
            max_packets: lifetime.packets.unwrap_or(u64::MAX),
            octets: 0,
            packets: 0,
            reported: None,
        }
    }

    /// Counts a packet of `octets`; `false` when the SA has come to its end and must not carry it.
    pub fn carry(&mut self, now: Instant, octets: usize) -> bool {
        if self.has_ended(now) {
            return false;
        }
        self.packets = self.packets.saturating_add(1);
        self.octets = self.octets.saturating_add(u64::try_from(octets).unwrap_or(u64::MAX));
        true
    }

    /// Whether the SA has come to its end.
    pub fn has_ended(&self, now: Instant) -> bool {
        self.octets >= self.max_octets
            || self.packets >= self.max_packets
            || self.time.is_some_and(|time| now.since(self.started) >= time)
    }

    /// The mark that was reached since the last question; each is told once.
    pub fn take_mark(&mut self, now: Instant, sequence: SequenceUse) -> Option<LifetimeMark> {
        let mark = if sequence == SequenceUse::Exhausted || self.has_ended(now) {
            LifetimeMark::Hard
        } else if sequence == SequenceUse::RunningOut || self.is_running_out() {
            LifetimeMark::Soft
        } else {
            return None;
        };
        if self.reported == Some(LifetimeMark::Hard) || self.reported == Some(mark) {
            return None;
        }
        self.reported = Some(mark);
        Some(mark)
    }

    const fn is_running_out(&self) -> bool {
        self.octets >= three_quarters(self.max_octets) || self.packets >= three_quarters(self.max_packets)
    }
}

/// How far the sequence numbers are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceUse {
    /// There are many.
    Plenty,
    /// Three quarters are used.
    RunningOut,
    /// None is left.
    Exhausted,
}

const fn three_quarters(limit: u64) -> u64 {
    limit.saturating_sub(limit >> 2)
}

/// Octets after which two equal blocks under one key become likely enough to matter: far before 2^(block bits / 2) blocks.
const fn cipher_limit(protection: Protection) -> u64 {
    match protection {
        Protection::CbcHmac { encryption: Cbc::TripleDes, .. } => 1 << 30,
        Protection::CbcHmac { encryption: Cbc::Aes(_), .. } | Protection::Aead(Aead::AesGcm(..)) => 1 << 44,
        Protection::Aead(Aead::ChaCha20Poly1305) => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::START;
    const CHACHA: Protection = Protection::Aead(Aead::ChaCha20Poly1305);

    fn at(seconds: u64) -> Instant {
        NOW.after(Duration::from_secs(seconds))
    }

    #[test]
    fn soft_and_hard_octets_are_each_told_once() {
        let lifetime = Lifetime { bytes: Some(1000), ..Lifetime::default() };
        let mut usage = Usage::new(NOW, lifetime, CHACHA);
        assert!(usage.carry(NOW, 749));
        assert_eq!(usage.take_mark(NOW, SequenceUse::Plenty), None);
        assert!(usage.carry(NOW, 1));
        assert_eq!(usage.take_mark(NOW, SequenceUse::Plenty), Some(LifetimeMark::Soft));
        assert_eq!(usage.take_mark(NOW, SequenceUse::Plenty), None);
        assert!(usage.carry(NOW, 250));
        assert!(!usage.carry(NOW, 1));
        assert_eq!(usage.take_mark(NOW, SequenceUse::Plenty), Some(LifetimeMark::Hard));
        assert_eq!(usage.take_mark(NOW, SequenceUse::RunningOut), None);
    }

    #[test]
    fn packets_and_time_are_limits_too() {
        let lifetime = Lifetime { packets: Some(2), ..Lifetime::default() };
        let mut usage = Usage::new(NOW, lifetime, CHACHA);
        assert!(usage.carry(NOW, 1) && usage.carry(NOW, 1) && !usage.carry(NOW, 1));

        let lifetime = Lifetime { time: Some(Duration::from_secs(100)), ..Lifetime::default() };
        let mut usage = Usage::new(NOW, lifetime, CHACHA);
        assert_eq!(usage.take_mark(at(99), SequenceUse::Plenty), None);
        assert!(usage.carry(at(99), 1));
        assert!(!usage.carry(at(100), 1));
        assert_eq!(usage.take_mark(at(100), SequenceUse::Plenty), Some(LifetimeMark::Hard));
    }

    #[test]
    fn c_09_sequence_numbers_are_a_limit_without_configuration() {
        let mut usage = Usage::new(NOW, Lifetime::default(), CHACHA);
        assert_eq!(usage.take_mark(NOW, SequenceUse::RunningOut), Some(LifetimeMark::Soft));
        assert_eq!(usage.take_mark(NOW, SequenceUse::Exhausted), Some(LifetimeMark::Hard));
    }

    #[test]
    fn a_cipher_with_short_blocks_ends_long_before_its_sequence_numbers() {
        let integrity = crate::crypto::cipher::Integrity::HmacSha1_96;
        let protection = Protection::CbcHmac { encryption: Cbc::TripleDes, integrity };
        let mut usage = Usage::new(NOW, Lifetime { bytes: Some(u64::MAX), ..Lifetime::default() }, protection);
        assert!(usage.carry(NOW, 1 << 30));
        assert!(!usage.carry(NOW, 1));
    }
}
