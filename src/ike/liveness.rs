//! When a peer is to be asked for a sign of life (RFC 7296 §2.4). It knows moments; it knows no message and no SA.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ike::profile::RetransmissionPolicy;
use crate::time::Instant;

/// An unprotected hint leads to a question at most this often, whatever their number and source (RFC 7296 §2.4).
pub const BETWEEN_HINTS: Duration = Duration::from_secs(30);

/// Where packets went both ways and now go out only, the peer is asked once after this time, or after twice the time that answers took so
/// far: a NAT between may have forgotten us, and a gateway that is asked learns where we are.
const SUDDEN_SILENCE: Duration = Duration::from_millis(1500);

/// However small the configured interval is, the peer is not asked more often.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// A question is repeated for as long as the interval is, within these limits; then the peer is dead.
const SHORTEST_QUESTION: Duration = Duration::from_secs(5);
const LONGEST_QUESTION: Duration = Duration::from_secs(30);
/// So often, each wait longer than the one before (RFC 7296 §2.4): a link that loses every third packet each way leaves one question in 200 without answer.
const REPETITIONS: u32 = 7;
const GROWTH_PERCENT: u32 = 140;
/// The first of eight waits that grow so.
const FIRST_WAIT_PERMILLE: u32 = 29;

/// A request that was sent more often than this, while nothing came, is a reason to look for another way: on a link that loses every third packet each
/// way one in thirty is.
const SUSPICIOUS: u32 = 4;

/// What is known of the peer's life.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Liveness {
    interval: Option<Duration>,
    heard: Instant,
    /// Since when packets have been sent and none has come.
    used_since: Option<Instant>,
    /// Packets came since the peer was last asked.
    is_lively: bool,
    /// How long it took lately until a packet came after one was sent: each longer time counts at once, shorter ones little by little.
    usual: Duration,
    hinted: Option<Instant>,
    suspected: bool,
}

impl Liveness {
    /// A peer that was heard at `now` and is asked after `interval` of silence; `None`: never on our own account.
    pub fn new(now: Instant, interval: Option<Duration>) -> Self {
        let mut liveness = Self {
            interval: None,
            heard: now,
            used_since: None,
            is_lively: false,
            usual: Duration::ZERO,
            hinted: None,
            suspected: false,
        };
        liveness.adopt(interval);
        liveness
    }

    /// Asks after another interval of silence from now on.
    pub fn adopt(&mut self, interval: Option<Duration>) {
        self.interval = interval.map(|interval| interval.max(SHORTEST_INTERVAL));
    }

    /// A fresh, authentic message or packet came: IKE or ESP, not a replay.
    pub fn heard(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
        self.used_since = None;
        self.suspected = false;
    }

    /// The same, and it was a packet of a child SA.
    pub fn heard_packet(&mut self, now: Instant) {
        if let Some(since) = self.used_since {
            let took = now.since(since);
            let mean = self.usual.saturating_mul(7).saturating_add(took).checked_div(8).unwrap_or_default();
            self.usual = took.max(mean);
        }
        self.heard(now);
        self.is_lively = true;
    }

    /// The peer is asked. Until packets come again, their absence is no news.
    pub fn asked(&mut self) {
        self.is_lively = false;
    }

    /// A request was sent for the `sent`-th time, and for the first time `waited` ago.
    pub fn unanswered(&mut self, now: Instant, sent: u32, waited: Duration) {
        self.suspected |= sent > SUSPICIOUS && self.silence(now) >= waited;
    }

    /// Whether the peer is probably dead, though it may still answer: nothing came since a request was sent for the first of many times.
    pub const fn is_suspected(&self) -> bool {
        self.suspected
    }

    /// Packets were sent to the peer.
    pub fn used(&mut self, now: Instant) {
        self.used_since.get_or_insert(now);
    }

    /// Whether the peer is asked on our own account.
    pub const fn asks(&self) -> bool {
        self.interval.is_some()
    }

    /// When to ask. An unused SA is asked half as often: nothing of ours is lost meanwhile, but the peer's side may want to reach us.
    pub fn due(&self) -> Option<Instant> {
        let interval = self.interval?;
        let Some(since) = self.used_since else { return Some(self.heard.after(interval.saturating_mul(2))) };
        let due = self.heard.after(interval);
        let sudden = since.after(self.usual.saturating_mul(2).max(SUDDEN_SILENCE));
        Some(if self.is_lively { due.min(sudden) } else { due })
    }

    /// How a question is repeated: a dead peer is noticed this long after `due`. Requests that want more than a sign of life have more time.
    pub fn question(&self) -> RetransmissionPolicy {
        let whole = self.interval.unwrap_or(LONGEST_QUESTION).clamp(SHORTEST_QUESTION, LONGEST_QUESTION);
        RetransmissionPolicy {
            first: whole.saturating_mul(FIRST_WAIT_PERMILLE).checked_div(1000).unwrap_or(whole),
            growth_percent: GROWTH_PERCENT,
            longest: whole,
            repetitions: REPETITIONS,
            jitter_percent: 10,
        }
    }

    /// Whether an unprotected hint at `now` is worth a question; if so, it counts against the next.
    pub fn take_hint(&mut self, now: Instant) -> bool {
        if self.hinted.is_some_and(|last| now.since(last) < BETWEEN_HINTS) {
            return false;
        }
        self.hinted = Some(now);
        true
    }

    /// For how long nothing was heard.
    pub fn silence(&self, now: Instant) -> Duration {
        now.since(self.heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::SeededRandom;
    use crate::ike::retransmit::{Retransmission, Verdict};

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn k2_104_the_peer_is_asked_when_packets_go_out_and_nothing_comes_back() {
        let mut liveness = Liveness::new(at(0), Some(Duration::from_secs(30)));
        liveness.used(at(0));
        assert_eq!(liveness.due(), Some(at(30)));
    }

    #[test]
    fn k2_104_inbound_life_puts_the_question_off() {
        let mut liveness = Liveness::new(at(0), Some(Duration::from_secs(30)));
        liveness.used(at(0));
        liveness.heard(at(20));
        assert_eq!(liveness.due(), Some(at(80)));
        liveness.used(at(0));
        assert_eq!(liveness.due(), Some(at(50)));
        assert_eq!(liveness.silence(at(45)), Duration::from_secs(25));
    }

    #[test]
    fn n_04_packets_that_suddenly_come_no_more_are_asked_for_soon_and_once() {
        let mut liveness = Liveness::new(at(0), Some(Duration::from_secs(30)));
        liveness.heard_packet(at(10));
        assert_eq!(liveness.due(), Some(at(70)), "nothing of ours is lost");
        liveness.used(at(20));
        liveness.used(at(21));
        assert_eq!(liveness.due(), Some(at(20).after(SUDDEN_SILENCE)));
        liveness.asked();
        liveness.heard(at(22));
        liveness.used(at(23));
        assert_eq!(liveness.due(), Some(at(52)), "whoever answers and sends no packets has none to send");
        liveness.heard_packet(at(23));
        liveness.used(at(24));
        assert_eq!(liveness.due(), Some(at(24).after(SUDDEN_SILENCE)));
        let mut hasty = Liveness::new(at(0), Some(Duration::from_secs(1)));
        hasty.heard_packet(at(10));
        hasty.used(at(10));
        assert_eq!(hasty.due(), Some(at(11)), "never later than without");
    }

    #[test]
    fn n_04_where_answers_take_long_their_absence_is_no_news_for_longer() {
        let mut liveness = Liveness::new(at(0), Some(Duration::from_secs(30)));
        liveness.used(at(0));
        liveness.heard_packet(at(4));
        liveness.used(at(10));
        assert_eq!(liveness.due(), Some(at(18)));
        for second in 11..200 {
            liveness.heard_packet(at(second));
            liveness.used(at(second));
        }
        let wait = liveness.due().unwrap().since(at(199));
        assert!(
            wait >= Duration::from_secs(2) && wait < Duration::from_millis(2100),
            "four seconds are forgotten: {wait:?}"
        );
    }

    #[test]
    fn k2_104_without_an_interval_the_peer_is_not_asked() {
        let mut liveness = Liveness::new(at(0), None);
        liveness.used(at(0));
        assert_eq!(liveness.due(), None);
    }

    #[test]
    fn k2_104_a_dead_peer_is_noticed_within_a_time_that_follows_the_interval() {
        for (interval, question) in [(1, 5), (5, 5), (10, 10), (30, 30), (600, 30)] {
            let liveness = Liveness::new(at(0), Some(Duration::from_secs(interval)));
            let mut random = SeededRandom::new(interval);
            let mut asking = Retransmission::start(at(0), vec![vec![1]], liveness.question(), &mut random);
            let mut sent = 1;
            let waited = loop {
                match asking.handle_timeout(asking.deadline(), &mut random) {
                    Verdict::Wait => panic!("the deadline was reached"),
                    Verdict::Repeat { .. } => sent += 1,
                    Verdict::GiveUp { waited, .. } => break waited,
                }
            };
            let whole = Duration::from_secs(question);
            assert!(waited >= whole * 99 / 100 && waited <= whole * 11 / 10, "{interval}: {waited:?}");
            assert_eq!(sent, 8);
        }
    }

    #[test]
    fn many_requests_without_an_answer_or_any_packet_make_a_suspicion_and_life_ends_it() {
        let mut liveness = Liveness::new(at(0), Some(Duration::from_secs(5)));
        liveness.heard(at(10));
        liveness.unanswered(at(11), 4, Duration::from_secs(1));
        assert!(!liveness.is_suspected(), "too few");
        liveness.unanswered(at(11), 5, Duration::from_secs(2));
        assert!(!liveness.is_suspected(), "packets came meanwhile");
        liveness.unanswered(at(11), 5, Duration::from_secs(1));
        assert!(liveness.is_suspected());
        liveness.heard(at(12));
        assert!(!liveness.is_suspected());
    }

    #[test]
    fn k2_101_hints_lead_to_one_question_in_their_interval() {
        let mut liveness = Liveness::new(at(0), None);
        let asked = (0..100).filter(|second| liveness.take_hint(at(*second))).collect::<Vec<_>>();
        assert_eq!(asked, [0, 30, 60, 90]);
    }
}
