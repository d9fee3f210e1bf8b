//! Dead peer detection (RFC 3706) over one ISAKMP SA: which numbers questions have, which answers and questions of the peer's count, and when
//! the peer is given up. It knows moments and numbers; whoever uses it seals the messages.
//!
//! A strict gateway takes only the number after the last one it took, and the answer to that may have been lost. So a question that is repeated
//! has the number that it had, and behind it goes the next one: whichever the gateway waits for, it is there.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::crypto::random::Random;
use crate::ike::action::{Deadline, Timer};
use crate::ike::liveness::Liveness;
use crate::ike::profile::RetransmissionPolicy;
use crate::ike::retransmit::{Retransmission, Verdict};
use crate::time::Instant;

/// So many numbers may be without answer at once; no more are begun then.
const MOST_OPEN: u32 = 8;

/// Half of the numbers lie ahead of any.
const AHEAD: u32 = 1 << 31;

/// Both sides' numbers over one ISAKMP SA.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Dpd {
    /// The first number of ours that was not acknowledged.
    open: u32,
    /// The first that was not used.
    unused: u32,
    /// The peer's last.
    theirs: Option<u32>,
    #[serde(skip)]
    question: Option<Retransmission>,
}

/// What is to be done when the clock moved.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// Send an R-U-THERE with each of these numbers, in order.
    Ask(Vec<u32>),
    /// The peer does not answer.
    Dead {
        /// Since when nothing was heard of it.
        silent: Duration,
    },
}

/// What an R-U-THERE of the peer's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A new question: answer it; the peer lives.
    New,
    /// The last one again: our answer may have been lost. Answer it, but it proves nothing.
    Again,
    /// An earlier one: a replay.
    Stale,
}

impl Dpd {
    /// For a new SA.
    pub(super) fn new(random: &mut dyn Random) -> Self {
        let mut draw = [0; 4];
        random.fill(&mut draw);
        // RFC 3706 §6.2: random, with the high bit zero.
        let first = u32::from_be_bytes(draw) & !AHEAD;
        Self { open: first, unused: first, theirs: None, question: None }
    }

    /// The same in another process: the numbers that were used. `None` while a question is open.
    pub(super) fn duplicate(&self) -> Option<Self> {
        let Self { open, unused, theirs, question } = self;
        question.is_none().then_some(Self { open: *open, unused: *unused, theirs: *theirs, question: None })
    }

    /// When `handle_timeout` has something to do.
    pub(super) fn deadline(&self, liveness: &Liveness) -> Option<Deadline> {
        match &self.question {
            Some(question) => Some(Deadline { at: question.deadline(), timer: Timer::Retransmit }),
            None => liveness.due().map(|at| Deadline { at, timer: Timer::Liveness }),
        }
    }

    /// Asks now. While a question is open there is nothing to be sent before its time.
    pub(super) fn ask(&mut self, now: Instant, policy: RetransmissionPolicy, random: &mut dyn Random) -> Vec<u32> {
        if self.question.is_some() {
            return Vec::new();
        }
        self.question = Some(Retransmission::start(now, Vec::new(), policy, random));
        self.numbers()
    }

    /// What is due at `now`: a question after silence, its repetition, or the end.
    pub(super) fn handle_timeout(&mut self, now: Instant, liveness: &Liveness, random: &mut dyn Random) -> Due {
        let Some(question) = &mut self.question else {
            let due = liveness.due().is_some_and(|due| due <= now);
            return if due { Due::Ask(self.ask(now, liveness.question(), random)) } else { Due::Nothing };
        };
        match question.handle_timeout(now, random) {
            Verdict::Wait => Due::Nothing,
            Verdict::Repeat { .. } => Due::Ask(self.numbers()),
            Verdict::GiveUp { .. } => Due::Dead { silent: liveness.silence(now) },
        }
    }

    /// How often the open question was asked, and since when.
    pub(super) fn unanswered(&self, now: Instant) -> Option<(u32, Duration)> {
        self.question.as_ref().map(|question| (question.sent(), question.waited(now)))
    }

    /// The peer gave a sign of life, whatever it was: nothing is asked any more.
    pub(super) fn heard(&mut self) {
        self.question = None;
    }

    /// An R-U-THERE-ACK with this number: whether it answers a question of ours (RFC 3706 §6.1). It does so once.
    pub(super) fn acknowledged(&mut self, number: u32) -> bool {
        let open = self.unused.wrapping_sub(self.open);
        let ours = number.wrapping_sub(self.open) < open;
        if ours {
            self.open = number.wrapping_add(1);
            self.heard();
        }
        ours
    }

    /// An R-U-THERE with this number (RFC 3706 §6.2). The first of an SA may be any; later ones go forward, and may skip some.
    pub(super) fn asked(&mut self, number: u32) -> Asked {
        match self.theirs.map(|last| number.wrapping_sub(last)) {
            Some(0) => Asked::Again,
            Some(distance) if distance >= AHEAD => Asked::Stale,
            None | Some(_) => {
                self.theirs = Some(number);
                Asked::New
            }
        }
    }

    /// RFC 3706 §6.2: each new number is one more than the last.
    fn numbers(&mut self) -> Vec<u32> {
        let open = self.unused.wrapping_sub(self.open);
        if open < MOST_OPEN {
            self.unused = self.unused.wrapping_add(1);
        }
        let open = self.unused.wrapping_sub(self.open);
        (0..open).map(|step| self.open.wrapping_add(step)).collect()
    }
}

#[cfg(test)]
mod tests;
