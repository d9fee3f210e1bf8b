use super::*;
use crate::crypto::random::SeededRandom;

fn moments(seconds: u64) -> Vec<Duration> {
    let at = |seed| replacement(Instant::START, Duration::from_secs(seconds), &mut SeededRandom::new(seed));
    (0..200).map(|seed| at(seed).since_start()).collect()
}

#[test]
fn replacements_of_many_clients_are_spread_over_a_margin_of_the_lifetime() {
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
fn lifetimes_at_their_limits_do_not_overflow() {
    assert!(moments(0).iter().all(Duration::is_zero));
    assert!(moments(u64::MAX).iter().all(|at| at.as_secs() > u64::MAX / 2));
}
