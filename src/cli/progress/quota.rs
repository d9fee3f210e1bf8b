//! How often something may be told that others can cause (L-12).

use std::time::Duration;

use crate::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const LINES_A_SECOND: u32 = 10;

/// Lines of one kind.
#[derive(Debug, Default)]
pub(super) struct Quota {
    second: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Quota {
    /// Whether a line may be told now, and how many were not since the last one.
    pub(super) fn ask(&mut self, now: Instant) -> Option<u64> {
        if self.second.is_none_or(|second| now.since(second) >= SECOND) {
            (self.second, self.told) = (Some(now), 0);
        }
        if self.told >= LINES_A_SECOND {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.told = self.told.saturating_add(1);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l_12_a_flood_of_lines_is_a_few_a_second_and_the_rest_is_counted() {
        let mut quota = Quota::default();
        let mut told = |second: u64, lines: u32| -> Vec<u64> {
            (0..lines).filter_map(|_| quota.ask(Instant::START.after(Duration::from_secs(second)))).collect()
        };
        assert_eq!(told(0, 3), [0; 3]);
        assert_eq!(told(0, 1000), [0; 7]);
        assert_eq!(told(1, 1), [993]);
        assert_eq!(told(1, 9), [0; 9]);
        assert!(told(1, 5).is_empty());
        assert_eq!(told(90, 2), [5, 0]);
    }
}
