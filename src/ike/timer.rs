//! Which of several timers is next. It keeps no time of its own: each part of a session knows its deadlines, and this picks.

use crate::ike::action::Deadline;

/// The earliest of `deadlines`; of several at one moment the one whose timer stands first in `Timer`, so that runs are repeatable.
pub fn earliest(deadlines: impl IntoIterator<Item = Option<Deadline>>) -> Option<Deadline> {
    deadlines.into_iter().flatten().min_by_key(|deadline| (deadline.at, deadline.timer))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
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
}
