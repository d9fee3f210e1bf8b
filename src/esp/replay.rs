//! Which sequence numbers of an inbound SA may still come (RFC 4303 §3.4.3), as a ring of words (RFC 6479),
//! and the high half of extended ones, which is not transmitted (RFC 4303 appendix A2).

use crate::crypto::cipher::Authentic;

/// The largest window, in packets.
pub const MAX_WINDOW: u32 = 8192;

/// Without a window an extended number is the nearest one to the highest seen.
const NEAREST: u64 = 1 << 31;

/// A number that was not seen yet, as far as is known before the ICV is checked. It cannot be copied.
#[derive(Debug, PartialEq, Eq)]
pub struct Candidate(u64);

impl Candidate {
    /// All 64 bits; the high half is zero without ESN.
    pub const fn value(&self) -> u64 {
        self.0
    }
}

/// The number was seen, or is too old to know, or is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed;

/// The numbers seen on one inbound SA.
#[derive(Debug)]
pub struct ReplayWindow {
    size: u64,
    esn: bool,
    highest: u64,
    words: Box<[u64]>,
}

impl ReplayWindow {
    /// A window of `size` packets, at most `MAX_WINDOW`. With 0 every number but 0 is accepted, any number of times.
    pub fn new(size: u32, esn: bool) -> Self {
        let size = u64::from(size.min(MAX_WINDOW));
        // RFC 6479 §2: one word more than the window, so that the newest word can be cleared as a whole.
        let words = match usize::try_from(size.div_ceil(64)) {
            Ok(0) | Err(_) => 0,
            Ok(words) => words.saturating_add(1).next_power_of_two(),
        };
        Self { size, esn, highest: 0, words: vec![0; words].into_boxed_slice() }
    }

    /// What the number in an ESP header means, if it may come. Nothing changes: the header could be forged.
    pub fn check(&self, sequence_low: u32) -> Result<Candidate, Replayed> {
        let sequence = if self.esn { self.extend(sequence_low)? } else { u64::from(sequence_low) };
        if self.is_fresh(sequence) { Ok(Candidate(sequence)) } else { Err(Replayed) }
    }

    /// Marks the number of an authentic packet as seen; fails if one with the same number was accepted since the check.
    pub fn accept(&mut self, candidate: Candidate, _: &Authentic) -> Result<(), Replayed> {
        self.mark(candidate.0)
    }

    /// The highest number seen; 0 if there was none.
    pub const fn highest(&self) -> u64 {
        self.highest
    }

    fn mark(&mut self, sequence: u64) -> Result<(), Replayed> {
        if !self.is_fresh(sequence) {
            return Err(Replayed);
        }
        if sequence > self.highest {
            self.clear_between(self.highest >> 6, sequence >> 6);
            self.highest = sequence;
        }
        let index = self.index(sequence >> 6);
        if let Some(word) = self.words.get_mut(index) {
            *word |= bit(sequence);
        }
        Ok(())
    }

    fn is_fresh(&self, sequence: u64) -> bool {
        if sequence == 0 {
            return false; // RFC 4303 §3.3.3: the first is 1
        }
        if self.size == 0 || sequence > self.highest {
            return true;
        }
        let in_window = self.highest.saturating_sub(sequence) < self.size;
        let seen = self.words.get(self.index(sequence >> 6)).is_none_or(|word| word & bit(sequence) != 0);
        in_window && !seen
    }

    // RFC 4303 appendix A2.2
    fn extend(&self, low: u32) -> Result<u64, Replayed> {
        let window = if self.size == 0 { NEAREST } else { self.size };
        let (highest_low, high) = (self.highest & u64::from(u32::MAX), self.highest >> 32);
        let low = u64::from(low);
        let behind = window.saturating_sub(1);
        let high = match highest_low.checked_sub(behind) {
            Some(bottom) if low >= bottom => Some(high),
            Some(_) => high.checked_add(1).filter(|high| *high <= u64::from(u32::MAX)),
            None if low > u64::from(u32::MAX).saturating_sub(behind.saturating_sub(highest_low)) => high.checked_sub(1),
            None => Some(high),
        };
        high.map(|high| (high << 32) | low).ok_or(Replayed)
    }

    fn clear_between(&mut self, last_word: u64, new_word: u64) {
        let words = u64::try_from(self.words.len()).unwrap_or(0);
        let count = new_word.saturating_sub(last_word).min(words);
        for back in 0..count {
            let index = self.index(new_word.saturating_sub(back));
            if let Some(word) = self.words.get_mut(index) {
                *word = 0;
            }
        }
    }

    fn index(&self, word: u64) -> usize {
        let mask = self.words.len().saturating_sub(1);
        usize::try_from(word & u64::try_from(mask).unwrap_or(0)).unwrap_or(0)
    }
}

const fn bit(sequence: u64) -> u64 {
    1 << (sequence & 63)
}
