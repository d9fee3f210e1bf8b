//! Which of several timers is next, and how moments are spread. It keeps no time of its own: each part of a session knows its deadlines.

use std::time::Duration;

use crate::crypto::random::Random;
use crate::ike::action::Deadline;

/// The earliest of `deadlines`; of several at one moment the one whose timer stands first in `Timer`, so that runs are repeatable.
pub fn earliest(deadlines: impl IntoIterator<Item = Option<Deadline>>) -> Option<Deadline> {
    deadlines.into_iter().flatten().min_by_key(|deadline| (deadline.at, deadline.timer))
}

/// `percent` percent of `span`.
pub fn percent_of(span: Duration, percent: u32) -> Duration {
    span.saturating_mul(percent).checked_div(100).unwrap_or(span)
}

/// Anything from nothing to `span`, at random: many who started together shall not stay together.
pub fn random_part(span: Duration, random: &mut dyn Random) -> Duration {
    let mut draw = [0; 2];
    random.fill(&mut draw);
    let whole = span.checked_div(u32::from(u16::MAX)).unwrap_or_default();
    whole.saturating_mul(u32::from(u16::from_be_bytes(draw)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::SeededRandom;
    use crate::ike::action::Timer;
    use crate::time::Instant;

    fn at(seconds: u64, timer: Timer) -> Option<Deadline> {
        Some(Deadline { at: Instant::from_start(Duration::from_secs(seconds)), timer })
    }

    #[test]
    fn the_earliest_deadline_is_picked_and_ties_follow_the_order_of_timers() {
        assert_eq!(earliest([None, None]), None);
        assert_eq!(earliest([at(9, Timer::Retransmit), None, at(3, Timer::Lifetime)]), at(3, Timer::Lifetime));
        assert_eq!(earliest([at(3, Timer::Lifetime), at(3, Timer::Liveness)]), at(3, Timer::Liveness));
    }

    #[test]
    fn k2_137_random_parts_of_a_span_are_spread_over_it() {
        let span = Duration::from_secs(100);
        let parts: Vec<_> = (0..200).map(|seed| random_part(span, &mut SeededRandom::new(seed))).collect();
        assert!(parts.iter().all(|part| *part <= span));
        for tenth in 0..10 {
            let within = |part: &&Duration| part.as_secs() / 10 == tenth;
            assert!(parts.iter().filter(within).count() > 5, "no cluster, no gap: tenth {tenth}");
        }
    }
}
