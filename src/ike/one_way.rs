//! Whether the packets of one child go out only, although the peer lives: then the peer may have lost the SA that carries them without a word, and
//! what is sent is sent to nobody. It knows moments; it knows no message and no SA.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sa::spi::OutboundSpi;
use crate::time::Instant;

/// A peer that was not heard for so long since packets go out only is asked. Where packets came lately, it was asked before: see `Liveness`.
const ASKING_TIME: Duration = Duration::from_secs(3);

/// From its sign of life on, packets go out only for so long before a new SA is worth it. A resolver has asked three times by then and TCP five times,
/// and RTCP and keepalives came once at least: where people expect answers, they have none.
const PATIENCE: Duration = Duration::from_secs(10);

/// In so many seconds of that time packets were sent: one that wants no answer, and its repetitions, are no reason.
const LEAST_SENT: u32 = 4;

/// Between two new SAs for this reason. Whoever wants no answers (syslog) and whoever loses every SA get twelve an hour at most: less than lifetimes of
/// minutes cost, and short enough for somebody who waits.
const BETWEEN: Duration = Duration::from_secs(300);

/// New SAs until packets go both ways again: one in place of the SA that they went both ways on, and one more, because that one may be lost before
/// its first packet. Then this is traffic that goes one way.
const MOST: u8 = 2;

/// New SAs before packets ever went both ways: the peer may have lost the first SA before any packet, or never have had it (nobody answers the last
/// message of IKEv1's quick mode, RFC 2409 §5.5).
const MOST_UNPROVEN: u8 = 1;

/// What is known of the packets of one child, whichever SA carries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneWay {
    /// Since when packets have been sent and none has come.
    since: Option<Instant>,
    /// The peer was asked since then.
    is_asked: bool,
    /// When the peer was first known to live since then.
    lives: Option<Instant>,
    /// In so many seconds packets were sent after that.
    sent: u32,
    /// Since packets go out only, the peer sent with an SA that is not ours.
    is_answered_elsewhere: bool,
    /// New SAs that this may still be a reason for.
    left: u8,
    /// When it last was one.
    replaced: Option<Instant>,
}

/// What is to be done when packets were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Fine,
    /// Ask the peer for a sign of life.
    Ask,
    /// Negotiate a new SA.
    Replace {
        /// For how long packets went out only.
        silent: Duration,
    },
    /// Negotiate another session: the peer sends in one that we have lost, and would prefer it to a new SA of this one.
    Succeed {
        /// For how long packets went out only.
        silent: Duration,
    },
}

impl Default for OneWay {
    fn default() -> Self {
        Self {
            since: None,
            is_asked: false,
            lives: None,
            sent: 0,
            is_answered_elsewhere: false,
            left: MOST_UNPROVEN,
            replaced: None,
        }
    }
}

impl OneWay {
    /// Packets were sent; this is called once a second at most. Of the peer, nothing at all was heard for `silence`; zero where it cannot be asked.
    pub fn sent(&mut self, now: Instant, silence: Duration) -> Verdict {
        let silent = now.since(*self.since.get_or_insert(now));
        let is_ripe = self.left > 0 && self.replaced.is_none_or(|last| now.since(last) >= BETWEEN);
        if silence < silent {
            self.lives.get_or_insert(now);
        }
        let Some(lives) = self.lives else {
            let asks = is_ripe && silent >= ASKING_TIME && !std::mem::replace(&mut self.is_asked, true);
            return if asks { Verdict::Ask } else { Verdict::Fine };
        };
        self.sent = self.sent.saturating_add(1);
        if !is_ripe || now.since(lives) < PATIENCE || self.sent < LEAST_SENT {
            return Verdict::Fine;
        }
        self.left = self.left.saturating_sub(1);
        self.replaced = Some(now);
        let is_answered_elsewhere = self.is_answered_elsewhere;
        self.begin_again();
        if is_answered_elsewhere { Verdict::Succeed { silent } } else { Verdict::Replace { silent } }
    }

    /// The peer sent with an SA that is not ours. Anybody can play that: it counts for nothing while packets come.
    pub fn answered_elsewhere(&mut self) {
        self.is_answered_elsewhere |= self.since.is_some();
    }

    /// A packet came.
    pub fn heard(&mut self) {
        if self.since.is_some() {
            self.left = MOST;
        }
        self.begin_again();
    }

    /// Another SA carries the packets from now on: it has as much time as the one before, unless the peer answers in another session anyway.
    pub fn renewed(&mut self) {
        if !self.is_answered_elsewhere {
            self.begin_again();
        }
    }

    fn begin_again(&mut self) {
        *self = Self { left: self.left, replaced: self.replaced, ..Self::default() };
    }
}

/// What people are told.
pub fn in_words(outbound: OutboundSpi, silent: Duration) -> String {
    format!(
        "packets go out with SPI {outbound}, and none has come back for {} s although the gateway answers: it may have lost the child SA, and a new \
         one is negotiated",
        silent.as_secs()
    )
}

/// The same, of a peer that cannot be asked otherwise.
pub fn in_words_of_a_question(outbound: OutboundSpi, silent: Duration) -> String {
    format!(
        "packets go out with SPI {outbound}, and none has come back for {} s: the gateway announced no DPD, so a new child SA is negotiated, and without \
         an answer to that it is dead",
        silent.as_secs()
    )
}

/// The same, where another session is made.
pub fn in_words_of_another(silent: Duration) -> String {
    format!(
        "packets go out, and for {} s the gateway has sent with an SPI that is not ours: it keeps a session that was lost here, and a new one is made",
        silent.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    /// Packets every second from `from` to `to`, of a peer that is heard all the time; the moments at which a new SA was wanted.
    fn talk(one_way: &mut OneWay, from: u64, to: u64) -> Vec<u64> {
        let replaces = |verdict| matches!(verdict, Verdict::Replace { .. });
        (from..to).filter(|second| replaces(one_way.sent(at(*second), Duration::ZERO))).collect()
    }

    fn went_both_ways() -> OneWay {
        let mut one_way = OneWay::default();
        one_way.sent(at(0), Duration::ZERO);
        one_way.heard();
        one_way
    }

    #[test]
    fn packets_that_suddenly_go_out_only_are_worth_a_new_sa() {
        let mut one_way = went_both_ways();
        for second in 100..111 {
            assert_eq!(one_way.sent(at(second), Duration::ZERO), Verdict::Fine, "{second}");
        }
        assert_eq!(one_way.sent(at(111), Duration::ZERO), Verdict::Replace { silent: Duration::from_secs(11) });
    }

    #[test]
    fn what_never_went_both_ways_is_worth_one() {
        assert_eq!(talk(&mut OneWay::default(), 0, 10_000), [11]);
        let mut pushed = OneWay::default();
        pushed.heard();
        assert_eq!(talk(&mut pushed, 0, 10_000), [11], "what only came did not go both ways");
    }

    #[test]
    fn any_packet_that_comes_puts_it_off() {
        let mut one_way = went_both_ways();
        for second in (100..1000).step_by(10) {
            assert!(talk(&mut one_way, second, second + 10).is_empty());
            one_way.heard();
        }
    }

    #[test]
    fn traffic_that_stays_one_way_costs_two_and_then_nothing() {
        let mut one_way = went_both_ways();
        assert_eq!(talk(&mut one_way, 0, 86_400), [11, 311]);
        one_way.heard();
        assert_eq!(talk(&mut one_way, 86_400, 90_000), [86_411, 86_711], "it went both ways again");
    }

    #[test]
    fn a_peer_that_loses_every_sa_gets_one_in_five_minutes() {
        let mut one_way = went_both_ways();
        let mut replaced = Vec::new();
        for second in 0..3600 {
            if !talk(&mut one_way, second, second + 1).is_empty() {
                replaced.push(second);
                one_way.sent(at(second), Duration::ZERO);
                one_way.heard();
            }
        }
        assert_eq!(replaced.len(), 12, "{replaced:?}");
        assert!(replaced.windows(2).all(|pair| pair[1] - pair[0] >= 300), "{replaced:?}");
    }

    #[test]
    fn a_peer_that_is_not_heard_is_asked_once_and_nothing_else_before_it_answers() {
        let mut one_way = went_both_ways();
        let verdicts: Vec<Verdict> =
            (100..200).map(|second| one_way.sent(at(second), Duration::from_secs(second))).collect();
        let asked: Vec<usize> = (0..verdicts.len()).filter(|place| verdicts[*place] == Verdict::Ask).collect();
        assert_eq!(asked, [3], "{verdicts:?}");
        assert!(!verdicts.iter().any(|verdict| matches!(verdict, Verdict::Replace { .. })), "it may be dead");
        assert_eq!(talk(&mut one_way, 200, 220), [210], "ten seconds after it answered");
    }

    #[test]
    fn nobody_is_asked_for_traffic_that_is_known_to_go_one_way() {
        let mut one_way = went_both_ways();
        assert_eq!(talk(&mut one_way, 0, 1000).len(), 2);
        let asks = |second| one_way.sent(at(second), Duration::from_secs(second)) != Verdict::Fine;
        assert!(!(1000..2000).any(asks));
    }

    #[test]
    fn a_few_packets_are_no_reason_however_long_it_takes() {
        let mut one_way = went_both_ways();
        let verdicts = [1000, 2000, 3000].map(|second| one_way.sent(at(second), Duration::ZERO));
        assert_eq!(verdicts, [Verdict::Fine; 3]);
        assert_eq!(one_way.sent(at(4000), Duration::ZERO), Verdict::Fine, "the first was sent before any sign of life");
        assert_ne!(one_way.sent(at(5000), Duration::ZERO), Verdict::Fine);
    }

    #[test]
    fn a_peer_that_sends_in_a_lost_session_gets_another_one() {
        let mut one_way = went_both_ways();
        one_way.answered_elsewhere();
        assert_eq!(talk(&mut one_way, 100, 120), [111], "before packets went out only it means nothing");
        let mut one_way = went_both_ways();
        assert!(talk(&mut one_way, 100, 105).is_empty());
        one_way.answered_elsewhere();
        let verdicts: Vec<Verdict> = (105..130).map(|second| one_way.sent(at(second), Duration::ZERO)).collect();
        let silent = Duration::from_secs(11);
        let wanted: Vec<&Verdict> = verdicts.iter().filter(|verdict| **verdict != Verdict::Fine).collect();
        assert_eq!(wanted, [&Verdict::Succeed { silent }]);
    }

    #[test]
    fn new_sas_of_a_session_change_nothing_where_the_peer_sends_in_another() {
        let mut one_way = went_both_ways();
        let verdict = |second: u64| {
            if second.is_multiple_of(8) {
                one_way.answered_elsewhere();
                one_way.renewed();
            }
            one_way.sent(at(second), Duration::ZERO)
        };
        let verdicts: Vec<Verdict> = (100..112).map(verdict).collect();
        assert_eq!(verdicts.last(), Some(&Verdict::Succeed { silent: Duration::from_secs(11) }), "{verdicts:?}");
    }

    #[test]
    fn another_sa_has_as_much_time_as_the_one_before() {
        let mut one_way = went_both_ways();
        assert!(talk(&mut one_way, 100, 110).is_empty());
        one_way.renewed();
        assert_eq!(talk(&mut one_way, 110, 130), [121]);
    }
}
