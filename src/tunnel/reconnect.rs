//! How long to wait before the next attempt: never in a hurry, never all replicas at once, never for ever.

use std::time::Duration;

use crate::crypto::random::Random;

/// Waits between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconnectPolicy {
    /// The first wait.
    pub first: Duration,
    /// Waits double up to this.
    pub longest: Duration,
    /// The first wait after the gateway refused us in an authentic message: asking again soon would only fill its log.
    pub refused: Duration,
    /// The first wait after another client of the same identity displaced us: whoever comes back displaces the other.
    pub displaced: Duration,
    /// Those waits double up to this.
    pub longest_displaced: Duration,
}

impl Default for ReconnectPolicy {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            refused: Duration::from_secs(10),
            displaced: Duration::from_secs(120),
            longest_displaced: Duration::from_secs(960),
        }
    }
}

/// The growing wait of one tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backoff {
    policy: ReconnectPolicy,
    rounds: u32,
}

impl Backoff {
    pub(crate) const fn new(policy: ReconnectPolicy) -> Self {
        Self { policy, rounds: 0 }
    }

    /// The waits from now on; how many there were stays.
    pub(crate) const fn adopt(&mut self, policy: ReconnectPolicy) {
        self.policy = policy;
    }

    /// To be called when a tunnel was up: the next wait is the first one again.
    pub(crate) const fn reset(&mut self) {
        self.rounds = 0;
    }

    /// The next wait: doubled each time, and somewhere between half of that and the whole at random.
    pub(crate) fn next(&mut self, refused: bool, random: &mut dyn Random) -> Duration {
        let start = if refused { self.policy.refused } else { self.policy.first };
        let wait = doubled(start, self.rounds, self.policy.longest.max(start));
        self.rounds = self.rounds.saturating_add(1);
        jittered(wait, random)
    }
}

/// `start` doubled this many times, but no more than `longest`.
pub(crate) fn doubled(start: Duration, times: u32, longest: Duration) -> Duration {
    start.saturating_mul(1u32.checked_shl(times.min(16)).unwrap_or(u32::MAX)).min(longest)
}

/// Between half of `wait` and all of it.
pub(crate) fn jittered(wait: Duration, random: &mut dyn Random) -> Duration {
    let mut octets = [0; 4];
    random.fill(&mut octets);
    let part = f64::from(u32::from_be_bytes(octets)) / f64::from(u32::MAX);
    wait.mul_f64(0.5 + part / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);

    impl Random for Fixed {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    #[test]
    fn waits_double_up_to_the_longest_and_start_again_after_success() {
        let mut backoff = Backoff::new(ReconnectPolicy::default());
        let most = &mut Fixed(255);
        let waits: Vec<u64> = (0..8).map(|_| backoff.next(false, most).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.next(false, most).as_secs(), 1);
    }

    #[test]
    fn jitter_takes_away_at_most_half() {
        let mut backoff = Backoff::new(ReconnectPolicy::default());
        assert_eq!(backoff.next(true, &mut Fixed(0)), Duration::from_secs(5));
    }

    #[test]
    fn k2_057_a_refusal_is_not_repeated_soon() {
        let mut refused = Backoff::new(ReconnectPolicy::default());
        let mut silent = refused.clone();
        assert!(refused.next(true, &mut Fixed(0)) > silent.next(false, &mut Fixed(255)));
    }
}
