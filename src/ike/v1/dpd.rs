//! Dead peer detection (RFC 3706) over one ISAKMP SA: which numbers questions have, which answers and questions of the peer's count, and when
//! the peer is given up. It knows moments and numbers; whoever uses it seals the messages.
//!
//! A strict gateway takes only the number after the last one it took, and the answer to that may have been lost. So a question that is repeated
//! has the number that it had, and behind it goes the next one: whichever the gateway waits for, it is there.
//!
//! A question may be one about the path, too: then its new numbers go out in messages of a given length. An answer to one of these says that the path
//! carries it; where there is none, the question is put without its length, and only then means life or death.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::crypto::random::Random;
use crate::ike::action::{Deadline, Probed, Timer};
use crate::ike::liveness::Liveness;
use crate::ike::profile::RetransmissionPolicy;
use crate::ike::retransmit::{Retransmission, Verdict};
use crate::time::Instant;

/// So many numbers may be without answer at once; no more are begun then.
const MOST_OPEN: u32 = 8;

/// So many numbers of one question go out in long messages: a strict gateway whose answers to all of them are lost counts as one that had none.
const MOST_LONG: u32 = 3;

/// Long it is sent five times within two seconds, and given one more: of two links that lose every third datagram, few questions are lost without
/// reason.
const LONG: RetransmissionPolicy = RetransmissionPolicy {
    first: Duration::from_millis(200),
    growth_percent: 160,
    longest: Duration::from_secs(1),
    repetitions: 4,
    jitter_percent: 10,
};

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
    question: Option<Question>,
}

/// What is asked, and how often it was.
#[derive(Debug)]
struct Question {
    sending: Retransmission,
    probe: Option<Probe>,
}

/// A question about the path.
#[derive(Clone, Copy, Debug)]
struct Probe {
    /// Of the datagram.
    octets: u16,
    /// The first number that did not go out in a short message before: an answer to an earlier one says nothing of the path.
    first: u32,
    /// The long ones were not answered.
    is_short: bool,
}

/// What is to be done when the clock moved.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// Send an R-U-THERE with each of these numbers, in order.
    Ask(Vec<u32>),
    /// The same, about the path: `length` says which of them are long.
    AskLong(Vec<u32>),
    /// A question about the path of so many octets has no answer, long or short, and that is no sign of death: the peer answers none.
    Unanswerable(u16),
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
            Some(question) => Some(Deadline { at: question.sending.deadline(), timer: Timer::Retransmit }),
            None => liveness.due().map(|at| Deadline { at, timer: Timer::Liveness }),
        }
    }

    /// Asks now. While a question is open there is nothing to be sent before its time.
    pub(super) fn ask(&mut self, now: Instant, policy: RetransmissionPolicy, random: &mut dyn Random) -> Vec<u32> {
        if self.question.is_some() {
            return Vec::new();
        }
        let sending = Retransmission::start(now, Vec::new(), policy, random);
        self.question = Some(Question { sending, probe: None });
        self.numbers()
    }

    /// Asks whether the path carries a datagram of so many octets. Otherwise why not.
    pub(super) fn ask_long(&mut self, now: Instant, octets: u16, random: &mut dyn Random) -> Result<Vec<u32>, Probed> {
        if self.question.is_some() {
            return Err(Probed::Interrupted);
        }
        // There is no number left that was not in a short message.
        if self.unused.wrapping_sub(self.open) >= MOST_OPEN {
            return Err(Probed::Impossible);
        }
        let sending = Retransmission::start(now, Vec::new(), LONG, random);
        let probe = Probe { octets, first: self.unused, is_short: false };
        self.question = Some(Question { sending, probe: Some(probe) });
        Ok(self.numbers())
    }

    /// Of how many octets the datagram with this number is to be; `None` for a short one.
    pub(super) fn length(&self, number: u32) -> Option<u16> {
        let probe = self.question.as_ref()?.probe.filter(|probe| !probe.is_short && probe.owns(number))?;
        Some(probe.octets)
    }

    /// What an answer with this number, if it is one, says of the path. To be asked before it is acknowledged.
    pub(super) fn outcome(&self, number: u32) -> Option<(u16, Probed)> {
        let probe = self.question.as_ref()?.probe.filter(|probe| probe.owns(number))?;
        Some((probe.octets, if probe.is_short { Probed::Lost } else { Probed::Arrived }))
    }

    /// Gives up a question about the path, if there is one, and tells how many octets it asked about.
    pub(super) fn interrupt(&mut self) -> Option<u16> {
        let question = self.question.take_if(|question| question.probe.is_some())?;
        question.probe.map(|probe| probe.octets)
    }

    /// What is due at `now`: a question after silence, its repetition, or the end.
    pub(super) fn handle_timeout(&mut self, now: Instant, liveness: &Liveness, random: &mut dyn Random) -> Due {
        let Some(question) = &mut self.question else {
            let due = liveness.due().is_some_and(|due| due <= now);
            return if due { Due::Ask(self.ask(now, liveness.question(), random)) } else { Due::Nothing };
        };
        let Question { sending, probe } = question;
        match (sending.handle_timeout(now, random), probe) {
            (Verdict::Wait, _) => Due::Nothing,
            (Verdict::Repeat { .. }, Some(Probe { is_short: false, .. })) => Due::AskLong(self.numbers()),
            (Verdict::Repeat { .. }, _) => Due::Ask(self.numbers()),
            (Verdict::GiveUp { .. }, Some(probe)) if !probe.is_short => {
                probe.is_short = true;
                *sending = Retransmission::start(now, Vec::new(), liveness.question(), random);
                Due::Ask(self.numbers())
            }
            // It was not asked because it was silent: it is dead only if it had been asked by now in any case.
            (Verdict::GiveUp { waited, .. }, Some(Probe { octets, .. }))
                if liveness.silence(now) < waited || liveness.due().is_none_or(|due| due > now) =>
            {
                let octets = *octets;
                self.question = None;
                Due::Unanswerable(octets)
            }
            (Verdict::GiveUp { .. }, _) => Due::Dead { silent: liveness.silence(now) },
        }
    }

    /// How often the open question was asked, and since when.
    pub(super) fn unanswered(&self, now: Instant) -> Option<(u32, Duration)> {
        self.question.as_ref().map(|Question { sending, .. }| (sending.sent(), sending.waited(now)))
    }

    /// The peer gave a sign of life, whatever it was: nothing is asked any more, but for what it does not answer.
    pub(super) fn heard(&mut self) {
        self.question.take_if(|question| question.probe.is_none());
    }

    /// An R-U-THERE-ACK with this number: whether it answers a question of ours (RFC 3706 §6.1). It does so once.
    pub(super) fn acknowledged(&mut self, number: u32) -> bool {
        let open = self.unused.wrapping_sub(self.open);
        let ours = number.wrapping_sub(self.open) < open;
        if ours {
            self.open = number.wrapping_add(1);
            self.question.take_if(|question| question.probe.is_none_or(|probe| probe.owns(number)));
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
        let long = self.question.as_ref().and_then(|question| question.probe).filter(|probe| !probe.is_short);
        let is_enough = long.is_some_and(|probe| self.unused.wrapping_sub(probe.first) >= MOST_LONG);
        if open < MOST_OPEN && !is_enough {
            self.unused = self.unused.wrapping_add(1);
        }
        let open = self.unused.wrapping_sub(self.open);
        (0..open).map(|step| self.open.wrapping_add(step)).collect()
    }
}

impl Probe {
    const fn owns(&self, number: u32) -> bool {
        number.wrapping_sub(self.first) < AHEAD
    }
}

#[cfg(test)]
mod tests;
