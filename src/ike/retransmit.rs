//! When a request goes out again (RFC 7296 §2.1, §2.4). It knows datagrams as octets that never change, and waits; it knows no message,
//! and a response never has one of these: only the requester repeats.

use std::time::Duration;

use crate::crypto::random::Random;
use crate::ike::profile::RetransmissionPolicy;
use crate::ike::timer::{percent_of, random_part};
use crate::time::Instant;

/// One request that waits for its response.
#[derive(Debug)]
pub struct Retransmission {
    datagrams: Vec<Vec<u8>>,
    policy: RetransmissionPolicy,
    started: Instant,
    due: Instant,
    wait: Duration,
    sent: u32,
}

/// What is to be done when the clock moved.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Nothing is due.
    Wait,
    /// Send the same octets again (RFC 7296 §2.1).
    Repeat {
        /// All datagrams of the request, in order.
        datagrams: &'a [Vec<u8>],
        /// The how-manieth repetition this is, from 1.
        repetition: u32,
    },
    /// The peer does not answer.
    GiveUp {
        /// How often the request was sent in all.
        sent: u32,
        /// Since the first time it was sent.
        waited: Duration,
    },
}

impl Retransmission {
    /// For a request that is sent now: `datagrams` are its octets, several when it is fragmented.
    pub fn start(now: Instant, datagrams: Vec<Vec<u8>>, policy: RetransmissionPolicy, random: &mut dyn Random) -> Self {
        let wait = policy.first.min(policy.longest);
        let due = now.after(with_jitter(wait, policy.jitter_percent, random));
        Self { datagrams, policy, started: now, due, wait, sent: 1 }
    }

    /// The octets of the request.
    pub fn datagrams(&self) -> &[Vec<u8>] {
        &self.datagrams
    }

    /// When `handle_timeout` has something to do.
    pub fn deadline(&self) -> Instant {
        self.due
    }

    /// How often the request was sent.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// Since when it is.
    pub fn waited(&self, now: Instant) -> Duration {
        now.since(self.started)
    }

    /// Goes on under another policy: the next repetition is as soon as that has it, the octets stay.
    pub fn hurry(&mut self, now: Instant, policy: RetransmissionPolicy, random: &mut dyn Random) {
        self.wait = policy.first.min(policy.longest);
        self.due = self.due.min(now.after(with_jitter(self.wait, policy.jitter_percent, random)));
        self.policy = RetransmissionPolicy { repetitions: self.sent.saturating_add(policy.repetitions), ..policy };
    }

    /// Begins anew: the octets stay, and have been sent just now.
    pub fn restart(&mut self, now: Instant, random: &mut dyn Random) {
        *self = Self::start(now, std::mem::take(&mut self.datagrams), self.policy, random);
    }

    /// What is due at `now`. A clock that jumped far causes one repetition, not a burst.
    pub fn handle_timeout(&mut self, now: Instant, random: &mut dyn Random) -> Verdict<'_> {
        if now < self.due {
            return Verdict::Wait;
        }
        if self.sent > self.policy.repetitions {
            return Verdict::GiveUp { sent: self.sent, waited: now.since(self.started) };
        }
        let repetition = self.sent;
        self.sent = self.sent.saturating_add(1);
        // RFC 7296 §2.4: intervals must increase.
        self.wait = percent_of(self.wait, self.policy.growth_percent).max(self.wait).min(self.policy.longest);
        self.due = now.after(with_jitter(self.wait, self.policy.jitter_percent, random));
        Verdict::Repeat { datagrams: &self.datagrams, repetition }
    }
}

fn with_jitter(wait: Duration, percent: u32, random: &mut dyn Random) -> Duration {
    wait.saturating_add(random_part(percent_of(wait, percent), random))
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

    const POLICY: RetransmissionPolicy = RetransmissionPolicy {
        first: Duration::from_millis(500),
        growth_percent: 180,
        longest: Duration::from_secs(5),
        repetitions: 5,
        jitter_percent: 20,
    };

    fn run(random: &mut dyn Random) -> (Vec<Duration>, Vec<Vec<Vec<u8>>>, Duration) {
        let request = vec![vec![1, 2, 3], vec![4, 5]];
        let mut sending = Retransmission::start(Instant::START, request, POLICY, random);
        let (mut moments, mut repeated) = (Vec::new(), Vec::new());
        loop {
            let now = sending.deadline();
            match sending.handle_timeout(now, random) {
                Verdict::Repeat { datagrams, repetition } => {
                    repeated.push(datagrams.to_vec());
                    moments.push(now.since_start());
                    assert_eq!(repetition as usize, moments.len());
                }
                Verdict::GiveUp { sent, waited } => {
                    assert_eq!(sent, 6);
                    return (moments, repeated, waited);
                }
                Verdict::Wait => panic!("the deadline was reached"),
            }
        }
    }

    #[test]
    fn k2_030_retransmission_is_bit_identical_and_its_waits_grow() {
        let (moments, repeated, waited) = run(&mut Fixed(0));
        assert_eq!(moments.iter().map(Duration::as_millis).collect::<Vec<_>>(), [500, 1400, 3020, 5936, 10_936]);
        assert!(repeated.iter().all(|datagrams| datagrams == &[vec![1, 2, 3], vec![4, 5]]));
        assert_eq!(waited.as_millis(), 15_936);
    }

    #[test]
    fn k2_030_jitter_makes_waits_longer_by_no_more_than_its_share() {
        let (moments, _, waited) = run(&mut Fixed(0xff));
        assert!(moments[0] <= Duration::from_millis(600) && moments[0] > Duration::from_micros(599_900));
        let longest = Duration::from_micros(15_936_000 * 6 / 5);
        assert!(waited <= longest && longest - waited < Duration::from_millis(1));
        let (moments, ..) = run(&mut Fixed(0x80));
        assert!(moments[0].as_millis() > 500 && moments[0].as_millis() < 600);
    }

    #[test]
    fn k2_030_nothing_is_repeated_before_the_first_interval() {
        let mut random = Fixed(0);
        let mut sending = Retransmission::start(Instant::START, vec![vec![1]], POLICY, &mut random);
        assert_eq!(sending.handle_timeout(Instant::from_start(Duration::from_millis(499)), &mut random), Verdict::Wait);
        assert_eq!(sending.sent(), 1);
    }

    #[test]
    fn a_clock_that_jumps_causes_one_repetition_and_no_burst() {
        let mut random = Fixed(0);
        let mut sending = Retransmission::start(Instant::START, vec![vec![1]], POLICY, &mut random);
        let late = Instant::from_start(Duration::from_secs(3600));
        assert!(matches!(sending.handle_timeout(late, &mut random), Verdict::Repeat { repetition: 1, .. }));
        assert_eq!(sending.handle_timeout(late, &mut random), Verdict::Wait);
        assert_eq!(sending.deadline().since(late).as_millis(), 900);
    }

    #[test]
    fn k2_030_waits_do_not_shrink_whatever_the_policy_says() {
        let mut random = Fixed(0);
        let policy = RetransmissionPolicy { growth_percent: 10, ..POLICY };
        let mut sending = Retransmission::start(Instant::START, vec![vec![1]], policy, &mut random);
        let mut last = Duration::ZERO;
        for _ in 0..policy.repetitions {
            let now = sending.deadline();
            assert!(matches!(sending.handle_timeout(now, &mut random), Verdict::Repeat { .. }));
            let wait = sending.deadline().since(now);
            assert!(wait >= last && wait >= policy.first);
            last = wait;
        }
    }

    #[test]
    fn a_policy_at_its_limits_neither_overflows_nor_spins() {
        let policy = RetransmissionPolicy {
            first: Duration::MAX,
            growth_percent: u32::MAX,
            longest: Duration::MAX,
            repetitions: u32::MAX,
            jitter_percent: u32::MAX,
        };
        let mut random = Fixed(0xff);
        let mut sending = Retransmission::start(Instant::START, vec![], policy, &mut random);
        assert_eq!(sending.deadline().since_start(), Duration::MAX);
        assert!(matches!(
            sending.handle_timeout(Instant::from_start(Duration::MAX), &mut random),
            Verdict::Repeat { .. }
        ));
    }
}
