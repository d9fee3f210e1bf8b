//! Which sequence numbers of an inbound SA may still come (RFC 4303 §3.4.3), as a ring of words (RFC 6479),
//! and the high half of extended ones, which is not transmitted (RFC 4303 appendix A2).

use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct ReplayWindow {
    size: u64,
    esn: bool,
    highest: u64,
    words: Box<[u64]>,
}

/// Size, whether numbers are extended, the highest, and the ring of words.
type Parts = (u32, bool, u64, Vec<u64>);

impl TryFrom<Parts> for ReplayWindow {
    type Error = &'static str;

    fn try_from((size, esn, highest, words): Parts) -> Result<Self, &'static str> {
        let window = Self::new(size, esn);
        let fits = size <= MAX_WINDOW && words.len() == window.words.len() && (esn || u32::try_from(highest).is_ok());
        if fits { Ok(Self { highest, words: words.into(), ..window }) } else { Err("a replay window that cannot be") }
    }
}

impl From<ReplayWindow> for Parts {
    fn from(window: ReplayWindow) -> Self {
        let ReplayWindow { size, esn, highest, words } = window;
        (u32::try_from(size).unwrap_or(MAX_WINDOW), esn, highest, words.into())
    }
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

    /// Whether its numbers have 64 bits.
    pub const fn is_extended(&self) -> bool {
        self.esn
    }

    /// The highest number seen; 0 if there was none.
    #[cfg(test)]
    const fn highest(&self) -> u64 {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const YES: bool = true;
    const NO: bool = false;

    fn take(window: &mut ReplayWindow, low: u32) -> bool {
        window.check(low).and_then(|candidate| window.mark(candidate.0)).is_ok()
    }

    fn run(size: u32, table: &[(u32, bool)]) {
        let mut window = ReplayWindow::new(size, false);
        for (row, (number, fresh)) in table.iter().enumerate() {
            assert_eq!(take(&mut window, *number), *fresh, "size {size}, row {row}, number {number}");
        }
    }

    #[test]
    fn e_03_edges_of_a_window_of_64() {
        run(
            64,
            &[
                (0, NO),
                (1, YES),
                (1, NO),
                (9, YES),
                (8, YES),
                (7, YES),
                (7, NO),
                (64, YES),
                (2, YES),
                (65, YES),
                (1, NO),
                (3, YES),
                (66, YES),
                (2, NO),
                (3, NO),
                (4, YES),
                (129, YES),
                (65, NO),
                (66, NO),
                (67, YES),
                (128, YES),
                (128, NO),
            ],
        );
    }

    #[test]
    fn e_03_far_jumps_forget_everything_before() {
        for size in [1, 31, 32, 33, 63, 64, 65, 1024, 4096, MAX_WINDOW] {
            for jump in [size - 1, size, size + 1, size + 63, size + 64, size + 65, 16384, 1 << 20, u32::MAX - 1] {
                let mut window = ReplayWindow::new(size, false);
                assert!(take(&mut window, 1));
                if jump > 0 {
                    assert!(take(&mut window, 1 + jump));
                }
                assert!(!take(&mut window, 1));
                let bottom = (1 + jump).saturating_sub(size - 1).max(2);
                if bottom < 1 + jump {
                    assert!(take(&mut window, bottom), "size {size}, jump {jump}");
                    assert!(!take(&mut window, bottom));
                }
                assert!(!take(&mut window, bottom - 1), "size {size}, jump {jump}");
            }
        }
    }

    #[test]
    fn e_04_the_end_of_the_space() {
        for size in [1, 64, 1024] {
            let mut window = ReplayWindow::new(size, false);
            assert!(take(&mut window, u32::MAX - 1));
            assert!(take(&mut window, u32::MAX));
            assert!(!take(&mut window, u32::MAX));
            assert!(!take(&mut window, 0));
            assert!(!take(&mut window, 1), "no cycle");
        }
    }

    #[test]
    fn a_window_of_zero_accepts_everything_but_zero() {
        run(0, &[(0, NO), (5, YES), (5, YES), (1, YES), (u32::MAX, YES), (1, YES)]);
    }

    #[test]
    fn a_window_larger_than_the_largest_is_the_largest() {
        run(u32::MAX, &[(MAX_WINDOW + 1, YES), (1, NO), (2, YES)]);
    }

    #[test]
    fn e_02_checking_changes_nothing() {
        let window = ReplayWindow::new(64, true);
        for number in [1, 100, u32::MAX / 2, 1] {
            assert!(window.check(number).is_ok());
        }
        assert_eq!(window.highest(), 0);
        let mut window = window;
        window.mark(100).unwrap();
        assert_eq!(window.highest(), 100);
    }

    #[test]
    fn e_02_two_candidates_of_one_number_are_accepted_once() {
        let mut window = ReplayWindow::new(64, false);
        let (one, two) = (window.check(7).unwrap(), window.check(7).unwrap());
        assert_eq!(window.mark(one.0), Ok(()));
        assert_eq!(window.mark(two.0), Err(Replayed));
    }

    /// Highest seen, number in the header, what it means. RFC 4303 appendix A2.2: case A where the window lies within one subspace, else case B.
    #[test]
    fn e_05_the_high_half_is_inferred() {
        const W: u32 = 64;
        for (highest, low, expected) in [
            // Nothing seen yet: case B, and nothing lies below.
            (0, 1, Some(1)),
            (0, 0x7fff_ffff, Some(0x7fff_ffff)),
            (0, u32::MAX - W + 1, Some(0xffff_ffff - 64 + 1)),
            (0, u32::MAX - W + 3, None),
            (0, u32::MAX, None),
            (0, 0, None),
            // Case A.
            (63, 62, Some(62)),
            (63, 0, None),
            (64, 0, Some(1 << 32)),
            (100, 37, Some(37)),
            (100, 36, Some((1 << 32) | 36)),
            (0xffff_ffff, 0xffff_ffc0, Some(0xffff_ffc0)),
            (0xffff_ffff, 0xffff_ffbf, Some(0x1_ffff_ffbf)),
            (0xffff_ffff, 0, Some(1 << 32)),
            (0xffff_ffff, 5, Some(0x1_0000_0005)),
            // Case B: the window reaches into the subspace before.
            (0x1_0000_0000, 0xffff_ffff, Some(0xffff_ffff)),
            (0x1_0000_0000, 0xffff_ffc1, Some(0xffff_ffc1)),
            (0x1_0000_0000, 0xffff_ffc0, Some(0x1_ffff_ffc0)),
            (0x1_0000_003e, 0xffff_ffff, Some(0xffff_ffff)),
            (0x1_0000_003e, 0, Some(1 << 32)),
            (0x1_0000_003f, 0xffff_ffff, Some(0x1_ffff_ffff)),
            // The very end.
            (u64::MAX, 0, None),
            (u64::MAX, u32::MAX - 1, Some(u64::MAX - 1)),
        ] {
            let mut window = ReplayWindow::new(W, true);
            if highest > 0 {
                window.mark(highest).unwrap();
            }
            let found = window.check(low).ok().map(|candidate| candidate.0);
            assert_eq!(found, expected, "highest {highest:x}, low {low:x}");
        }
    }

    #[test]
    fn e_05_without_a_window_the_nearest_number_is_meant() {
        let mut window = ReplayWindow::new(0, true);
        window.highest = 0x1_0000_0010;
        for (low, expected) in [(0x11, 0x1_0000_0011), (5, 0x1_0000_0005), (0xffff_fff0, 0xffff_fff0)] {
            assert_eq!(window.check(low), Ok(Candidate(expected)));
        }
    }

    /// What a window does, said as simply as possible.
    struct Model {
        size: u64,
        seen: BTreeSet<u64>,
    }

    impl Model {
        fn take(&mut self, number: u64) -> bool {
            let highest = self.seen.last().copied().unwrap_or(0);
            let fresh = number > 0 && number + self.size > highest && !self.seen.contains(&number);
            if fresh {
                self.seen.insert(number);
            }
            fresh
        }
    }

    fn sizes() -> impl Strategy<Value = u32> {
        prop_oneof![
            Just(1u32),
            Just(31),
            Just(32),
            Just(33),
            Just(63),
            Just(64),
            Just(65),
            Just(1024),
            Just(4096),
            Just(8192)
        ]
    }

    fn moves() -> impl Strategy<Value = Vec<(u8, u32)>> {
        prop::collection::vec((0u8..8, any::<u32>()), 1..400)
    }

    /// Numbers around the highest: duplicates, reordering within and beyond the window, jumps.
    fn number(highest: u64, size: u32, (kind, random): (u8, u32)) -> u64 {
        let within = |limit: u32| u64::from(random % limit.max(1));
        match kind {
            0..=3 => highest.saturating_add(1 + within(3)),
            4 => highest.saturating_sub(within(size)),
            5 => highest.saturating_sub(within(size.saturating_mul(2))),
            6 => highest.saturating_add(within(size.saturating_mul(2))),
            _ => highest.saturating_add(within(1 << 16)),
        }
    }

    proptest! {
        #[test]
        fn e_03_the_window_agrees_with_a_set(size in sizes(), moves in moves(), start in prop_oneof![Just(0u64), Just(0xffff_0000)]) {
            let mut window = ReplayWindow::new(size, false);
            let mut model = Model { size: size.into(), seen: BTreeSet::new() };
            if start > 0 {
                prop_assert!(take(&mut window, u32::try_from(start).unwrap()) && model.take(start));
            }
            for step in moves {
                let number = number(window.highest(), size, step).min(u32::MAX.into());
                prop_assert_eq!(take(&mut window, u32::try_from(number).unwrap()), model.take(number), "{}", number);
            }
        }

        #[test]
        fn e_05_extended_numbers_agree_with_a_set(size in sizes(), moves in moves(), start in prop_oneof![
            Just(1u64), Just(0xffff_ff00), Just(0x1_0000_0000), Just(0x5_ffff_f000), Just(u64::MAX - 50_000)
        ]) {
            let mut window = ReplayWindow::new(size, true);
            let mut model = Model { size: size.into(), seen: BTreeSet::new() };
            window.mark(start).unwrap();
            model.take(start);
            for step in moves {
                let number = number(window.highest(), size, step).min(u64::MAX - 10_000);
                // A number behind the window means one of the next subspace, which the ICV would refuse.
                let low = u32::try_from(number & 0xffff_ffff).unwrap();
                let fresh = window.check(low).is_ok_and(|candidate| candidate.0 == number && window.mark(number).is_ok());
                prop_assert_eq!(fresh, model.take(number), "{:x}", number);
            }
        }
    }
}
