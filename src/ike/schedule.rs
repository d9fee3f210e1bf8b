//! When an SA is replaced, and when a refused replacement is asked for again. It knows moments; it knows no SA.

use std::time::Duration;

use crate::crypto::random::Random;
use crate::ike::timer::{percent_of, random_part};
use crate::time::Instant;

/// An SA is replaced before this share of its lifetime is left, and up to as much earlier again, at random: SAs made together are not
/// replaced together (RFC 7296 §2.8.1).
const MARGIN_PERCENT: u32 = 10;
/// Of short lifetimes a larger share is left, up to a margin of `LONGEST_SHORT_MARGIN`.
const SHORT_MARGIN_PERCENT: u32 = 15;
const LONGEST_SHORT_MARGIN: Duration = Duration::from_secs(9);

/// After a refusal this share of what is left passes, more or less, before the next attempt (RFC 7296 §2.25: never at once).
const RETRY_PERCENT: u32 = 25;
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Of the margin before the end so much is left when all hope of a replacement is given up: time enough to make everything anew.
const LAST_CALL_PERCENT: u32 = 60;

/// When something that lives for `time` from `from` on and was not replaced until then needs other help.
pub(crate) fn last_call(from: Instant, time: Duration) -> Instant {
    from.after(time.saturating_sub(percent_of(margin(time), LAST_CALL_PERCENT)))
}

fn margin(time: Duration) -> Duration {
    percent_of(time, MARGIN_PERCENT).max(percent_of(time, SHORT_MARGIN_PERCENT).min(LONGEST_SHORT_MARGIN))
}

/// When something that lives for `time` from `now` on is to be replaced.
pub(crate) fn replacement(now: Instant, time: Duration, random: &mut dyn Random) -> Instant {
    let margin = margin(time);
    now.after(time.saturating_sub(margin).saturating_sub(random_part(margin, random)))
}

/// When what was refused at `now` is asked for again, of an SA that lives until `end`.
pub(crate) fn retry(now: Instant, end: Option<Instant>, random: &mut dyn Random) -> Instant {
    let left = end.map_or(LONGEST_RETRY.saturating_mul(4), |end| end.since(now));
    let wait = percent_of(left, RETRY_PERCENT).clamp(SHORTEST_RETRY, LONGEST_RETRY);
    let half = percent_of(wait, 50);
    now.after(half.saturating_add(random_part(half, random)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::SeededRandom;

    const NOW: Instant = Instant::START;

    fn moments(seconds: u64) -> Vec<Duration> {
        let at = |seed| replacement(NOW, Duration::from_secs(seconds), &mut SeededRandom::new(seed));
        (0..200).map(|seed| at(seed).since_start()).collect()
    }

    #[test]
    fn k2_137_replacements_of_many_clients_are_spread_over_a_margin_of_the_lifetime() {
        for (seconds, first, last) in
            [(20, 14.0, 17.0), (60, 42.0, 51.0), (3600, 2880.0, 3240.0), (28_800, 23_040.0, 25_920.0)]
        {
            let moments: Vec<f64> = moments(seconds).iter().map(Duration::as_secs_f64).collect();
            assert!(moments.iter().all(|at| (first..=last).contains(at)), "{seconds} s");
            for tenth in 0..10 {
                let from = first + (last - first) / 10.0 * f64::from(tenth);
                let within = moments.iter().filter(|at| (from..from + (last - first) / 10.0).contains(*at)).count();
                assert!(within > 5, "{seconds} s: no cluster, no gap: tenth {tenth}");
            }
        }
    }

    #[test]
    fn the_last_call_comes_after_every_replacement_and_well_before_the_end() {
        for seconds in [20, 60, 3600, 28_800] {
            let call = last_call(NOW, Duration::from_secs(seconds)).since_start();
            assert!(moments(seconds).iter().all(|at| *at < call), "{seconds} s");
            let left = Duration::from_secs(seconds) - call;
            assert!(left >= Duration::from_millis(1800) && left.as_secs() * 10 <= seconds, "{seconds} s: {left:?}");
        }
    }

    #[test]
    fn lifetimes_at_their_limits_do_not_overflow() {
        assert!(moments(0).iter().all(Duration::is_zero));
        assert!(moments(u64::MAX).iter().all(|at| at.as_secs() > u64::MAX / 2));
    }

    #[test]
    fn k2_125_a_refusal_is_never_followed_at_once_and_there_are_several_attempts_before_the_end() {
        for seed in 0..100 {
            let mut random = SeededRandom::new(seed);
            let end = NOW.after(Duration::from_secs(360));
            let (mut at, mut attempts) = (NOW, 0);
            loop {
                let next = retry(at, Some(end), &mut random);
                assert!(next.since(at) >= Duration::from_millis(500), "{next:?} after {at:?}");
                assert!(next.since(at) <= LONGEST_RETRY);
                if next >= end {
                    break;
                }
                at = next;
                attempts += 1;
            }
            assert!((8..60).contains(&attempts), "{attempts} attempts");
        }
    }
}
