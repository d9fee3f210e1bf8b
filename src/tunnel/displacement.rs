//! Notices that the gateway keeps one tunnel an identity and that another client has ours: either side's return ends the other's
//! tunnel. It knows how and when tunnels ended, nothing else.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::crypto::random::Random;
use crate::ike::action::Failure;
use crate::time::Instant;
use crate::tunnel::reconnect::{ReconnectPolicy, doubled, jittered};

/// A tunnel that lived longer was left in peace.
const SHORT_LIFE: Duration = Duration::from_secs(300);
/// Ends further apart have nothing to do with each other.
const MEMORY: Duration = Duration::from_secs(1800);
/// How many ends are remembered; more are not needed to be sure.
const REMEMBERED: usize = 8;
/// Two DELETEs are enough, or three silences after which the gateway answered at once.
const SURE: u32 = 6;

/// What is remembered of a tunnel's ends.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Displacement {
    ends: VecDeque<(Instant, u32)>,
    /// How often in a row it was seen.
    rounds: u32,
}

impl Displacement {
    /// A tunnel that was up since `since` ended. If another client is the cause, how long to leave it in peace: minutes, longer each time.
    pub(crate) fn ended(
        &mut self,
        now: Instant,
        since: Instant,
        failure: &Failure,
        policy: &ReconnectPolicy,
        random: &mut dyn Random,
    ) -> Option<Duration> {
        let (weight, silent) = weight(failure);
        // A gateway that displaces in silence is found out after the silence only.
        if now.since(since).saturating_sub(silent) > SHORT_LIFE {
            *self = Self::default();
            return None;
        }
        self.ends.retain(|(at, _)| now.since(*at) <= MEMORY);
        if weight > 0 {
            self.ends.push_back((now, weight));
        }
        if self.ends.len() > REMEMBERED {
            self.ends.pop_front();
        }
        let seen: u32 = self.ends.iter().map(|(_, weight)| *weight).sum();
        if weight == 0 || (seen < SURE && self.rounds == 0) {
            return None;
        }
        let wait = doubled(policy.displaced, self.rounds, policy.longest_displaced);
        self.rounds = self.rounds.saturating_add(1);
        Some(jittered(wait, random))
    }

    /// An attempt failed: the network or the gateway is the cause of silences.
    pub(crate) fn attempt_failed(&mut self) {
        self.ends.retain(|(_, weight)| *weight == DELETED);
    }

    /// Whether another client of the same identity is there, as far as is known.
    pub(crate) const fn is_recognised(&self) -> bool {
        self.rounds > 0
    }
}

const DELETED: u32 = 3;
const SILENCED: u32 = 2;

/// How much an end says, and how long it took to notice it.
const fn weight(failure: &Failure) -> (u32, Duration) {
    match failure {
        Failure::ClosedByPeer => (DELETED, Duration::ZERO),
        Failure::PeerDead { silent } => (SILENCED, *silent),
        _ => (0, Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::SeededRandom;

    struct Story {
        displacement: Displacement,
        random: SeededRandom,
        now: Instant,
    }

    const DELETE: Failure = Failure::ClosedByPeer;
    const SILENCE: Failure = Failure::PeerDead { silent: Duration::from_secs(90) };

    impl Story {
        fn new() -> Self {
            Self { displacement: Displacement::default(), random: SeededRandom::new(1), now: Instant::START }
        }

        fn pass(&mut self, seconds: u64) -> Instant {
            self.now = self.now.after(Duration::from_secs(seconds));
            self.now
        }

        /// A tunnel is up for this long and then ends.
        fn life(&mut self, seconds: u64, failure: &Failure) -> Option<Duration> {
            let since = self.now;
            let now = self.pass(seconds);
            let policy = ReconnectPolicy::default();
            let wait = self.displacement.ended(now, since, failure, &policy, &mut self.random);
            self.pass(2);
            wait
        }
    }

    #[test]
    fn two_deletes_soon_after_another_are_another_client() {
        let mut story = Story::new();
        assert_eq!(story.life(20, &DELETE), None);
        assert!(!story.displacement.is_recognised());
        let wait = story.life(20, &DELETE).unwrap();
        assert!(wait >= Duration::from_secs(60) && wait <= Duration::from_secs(120), "{wait:?}");
        assert!(story.displacement.is_recognised());
    }

    #[test]
    fn the_waits_grow_to_a_quarter_of_an_hour_and_differ() {
        let mut story = Story::new();
        story.life(5, &DELETE);
        let waits: Vec<u64> = (0..7).map(|_| story.life(5, &DELETE).unwrap().as_secs()).collect();
        for (wait, most) in waits.iter().zip([120, 240, 480, 960, 960, 960, 960]) {
            assert!((most / 2..=most).contains(wait), "{waits:?}");
        }
        assert_ne!(waits[4], waits[5]);
    }

    #[test]
    fn silence_says_less_and_is_believed_only_while_the_gateway_answers() {
        let mut story = Story::new();
        assert_eq!(story.life(120, &SILENCE), None);
        assert_eq!(story.life(120, &SILENCE), None);
        assert!(story.life(120, &SILENCE).is_some());
        let mut story = Story::new();
        for _ in 0..10 {
            assert_eq!(story.life(120, &SILENCE), None);
            story.displacement.attempt_failed();
        }
    }

    #[test]
    fn how_long_a_silence_lasted_is_no_life() {
        let mut story = Story::new();
        let late = Failure::PeerDead { silent: Duration::from_secs(3600) };
        let patient = |story: &mut Story| (0..3).map(|_| story.life(3610, &late).is_some()).collect::<Vec<_>>();
        // Hours apart, they are forgotten.
        assert_eq!(patient(&mut story), [false; 3]);
        let late = Failure::PeerDead { silent: Duration::from_secs(400) };
        assert!((0..3).any(|_| story.life(410, &late).is_some()));
    }

    #[test]
    fn a_long_life_ends_the_suspicion() {
        let mut story = Story::new();
        story.life(20, &DELETE);
        assert!(story.life(20, &DELETE).is_some());
        assert_eq!(story.life(3600, &DELETE), None);
        assert!(!story.displacement.is_recognised());
        assert_eq!(story.life(20, &DELETE), None);
    }

    #[test]
    fn ends_of_our_own_and_refusals_are_not_held_against_anybody() {
        let mut story = Story::new();
        for failure in [Failure::LifetimeEnded, Failure::PeerViolation { what: "x" }] {
            for _ in 0..5 {
                assert_eq!(story.life(10, &failure), None);
            }
        }
    }

    #[test]
    fn ends_far_apart_have_nothing_to_do_with_each_other() {
        let mut story = Story::new();
        for _ in 0..5 {
            assert_eq!(story.life(10, &DELETE), None);
            story.pass(3600);
        }
    }
}
