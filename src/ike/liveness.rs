//! When a peer is to be asked for a sign of life (RFC 7296 §2.4). It knows moments; it knows no message and no SA.

use std::time::Duration;

use crate::time::Instant;

/// An unprotected hint leads to a question at most this often, whatever their number and source (RFC 7296 §2.4).
pub const BETWEEN_HINTS: Duration = Duration::from_secs(30);

/// However small the configured interval is, the peer is not asked more often.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// What is known of the peer's life.
#[derive(Debug, Clone, Copy)]
pub struct Liveness {
    interval: Option<Duration>,
    heard: Instant,
    used: bool,
    hinted: Option<Instant>,
}

impl Liveness {
    /// A peer that was heard at `now` and is asked after `interval` of silence; `None`: never on our own account.
    pub fn new(now: Instant, interval: Option<Duration>) -> Self {
        let interval = interval.map(|interval| interval.max(SHORTEST_INTERVAL));
        Self { interval, heard: now, used: false, hinted: None }
    }

    /// A fresh, authentic message or packet came: IKE or ESP, not a replay.
    pub fn heard(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
        self.used = false;
    }

    /// Packets were sent to the peer.
    pub fn used(&mut self) {
        self.used = true;
    }

    /// When to ask. An unused SA is asked half as often: nothing of ours is lost meanwhile, but the peer's side may want to reach us.
    pub fn due(&self) -> Option<Instant> {
        let interval = self.interval?;
        Some(self.heard.after(if self.used { interval } else { interval.saturating_mul(2) }))
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

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn k2_104_the_peer_is_asked_when_packets_go_out_and_nothing_comes_back() {
        let mut liveness = Liveness::new(at(0), Some(Duration::from_secs(30)));
        liveness.used();
        assert_eq!(liveness.due(), Some(at(30)));
    }

    #[test]
    fn k2_104_inbound_life_puts_the_question_off() {
        let mut liveness = Liveness::new(at(0), Some(Duration::from_secs(30)));
        liveness.used();
        liveness.heard(at(20));
        assert_eq!(liveness.due(), Some(at(80)));
        liveness.used();
        assert_eq!(liveness.due(), Some(at(50)));
        assert_eq!(liveness.silence(at(45)), Duration::from_secs(25));
    }

    #[test]
    fn k2_104_without_an_interval_the_peer_is_not_asked() {
        let mut liveness = Liveness::new(at(0), None);
        liveness.used();
        assert_eq!(liveness.due(), None);
    }

    #[test]
    fn k2_101_hints_lead_to_one_question_in_their_interval() {
        let mut liveness = Liveness::new(at(0), None);
        let asked = (0..100).filter(|second| liveness.take_hint(at(*second))).collect::<Vec<_>>();
        assert_eq!(asked, [0, 30, 60, 90]);
    }
}
