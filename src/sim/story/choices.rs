//! Where stories come from: a seed, or octets that a fuzzer chose.

use std::time::Duration;

use crate::crypto::random::{Random, SeededRandom};

/// Decides what happens.
pub trait Choices {
    /// A number below this one.
    fn below(&mut self, limit: u64) -> u64;

    /// Whether anything more happens.
    fn goes_on(&mut self) -> bool;

    fn heads(&mut self) -> bool {
        self.below(2) != 0
    }

    fn one_of<T: Clone>(&mut self, these: &[T]) -> T {
        these[self.below(these.len() as u64) as usize].clone()
    }

    /// From this duration to that, in milliseconds.
    fn between(&mut self, shortest: Duration, longest: Duration) -> Duration {
        let range = (longest - shortest).as_millis() as u64;
        shortest + Duration::from_millis(self.below(range + 1))
    }
}

/// Everything follows from one number.
pub struct Dice {
    random: SeededRandom,
    events: u32,
}

impl Dice {
    /// A story of so many events.
    pub fn new(seed: u64, events: u32) -> Self {
        Self { random: SeededRandom::new(seed), events }
    }
}

impl Choices for Dice {
    fn below(&mut self, limit: u64) -> u64 {
        let mut octets = [0; 8];
        self.random.fill(&mut octets);
        u64::from_be_bytes(octets) % limit
    }

    fn goes_on(&mut self) -> bool {
        let more = self.events > 0;
        self.events = self.events.saturating_sub(1);
        more
    }
}

/// Octets decide, until there are none: then everything is zero, and nothing more happens.
pub struct Octets<'a> {
    rest: &'a [u8],
    events: u32,
}

impl<'a> Octets<'a> {
    /// A story of so many events at most.
    pub fn new(rest: &'a [u8], events: u32) -> Self {
        Self { rest, events }
    }
}

impl Choices for Octets<'_> {
    fn below(&mut self, limit: u64) -> u64 {
        let mut number: u64 = 0;
        let mut range: u64 = 1;
        while range < limit {
            let octet = self.rest.split_off_first().copied().unwrap_or(0);
            number = number << 8 | u64::from(octet);
            range = range.saturating_mul(256);
        }
        number % limit
    }

    fn goes_on(&mut self) -> bool {
        let more = self.events > 0 && !self.rest.is_empty();
        self.events = self.events.saturating_sub(1);
        more
    }
}
