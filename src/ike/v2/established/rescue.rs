//! What keeps traffic going when the peer does not: a child that it deleted or lost is made anew, and what cannot be kept is told in time, so that another
//! session can take its place.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ike::action::{Deadline, Event, Failure, Phase, Timer};
use crate::ike::context::Context;
use crate::ike::one_way::{Verdict, in_words, in_words_of_another};
use crate::ike::schedule::{last_call, replacement};
use crate::ike::timer::{earliest, percent_of, random_part};
use crate::ike::v2::established::{Established, Flow};
use crate::ike::v2::exchange::Request;
use crate::sa::command::DataCommand;
use crate::time::Instant;

/// A peer that does not want the child is not asked for it more often than this in a row.
const MOST_REMAKES: u32 = 4;

/// A child that lived so long was wanted: what was before is forgotten.
const LONG_LIFE: Duration = Duration::from_secs(60);

/// Before the first attempt at most this passes: many clients of a peer that deletes them all do not ask at once. Then it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Rescue {
    /// How often in a row the child was made anew, or was to be.
    remakes: u32,
    /// When it was last made.
    made_at: Option<Instant>,
    /// When the next attempt is due.
    remake_at: Option<Instant>,
    /// When a successor is wanted because authentication has to be repeated.
    authenticate_at: Option<Instant>,
    /// When one is wanted because the IKE SA was not rekeyed.
    ike_last_call: Option<Instant>,
    /// It was told.
    is_expiring: bool,
}

impl Rescue {
    pub(super) fn deadline(&self) -> Option<Deadline> {
        let expiring =
            [self.authenticate_at, self.ike_last_call].into_iter().map(|at| at.filter(|_| !self.is_expiring));
        let deadline = |at: Option<Instant>| at.map(|at| Deadline { at, timer: Timer::Lifetime });
        earliest(expiring.chain([self.remake_at]).map(deadline))
    }

    /// RFC 4478 §3: authentication has to be repeated within `time`.
    pub(super) fn authenticate_within(&mut self, ctx: &mut Context<'_>, time: Duration) {
        let at = replacement(ctx.now, time, ctx.random);
        self.authenticate_at = Some(self.authenticate_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// A new IKE SA lives so long.
    pub(super) fn ike_lives(&mut self, from: Instant, time: Option<Duration>) {
        self.ike_last_call = time.map(|time| last_call(from, time));
    }

    pub(super) fn child_made(&mut self, now: Instant) {
        self.made_at = Some(now);
        self.remake_at = None;
    }
}

impl Established {
    /// Whatever is due of this.
    pub(super) fn rescue(&mut self, ctx: &mut Context<'_>) {
        let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= ctx.now);
        let child = self.child.as_mut().is_some_and(|child| child.take_last_call(ctx.now));
        if child || is_over(self.rescue.authenticate_at) || is_over(self.rescue.ike_last_call) {
            self.expire(ctx);
        }
        let is_due = self.rescue.remake_at.take_if(|at| *at <= ctx.now).is_some();
        if is_due && self.child.as_ref().is_some_and(|child| !child.is_carried()) && self.child_exchange.is_none() {
            self.current.ours.ask(Request::NewChild);
        }
    }

    /// Another session is wanted in place of this one. That is said once.
    pub(super) fn expire(&mut self, ctx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.rescue.is_expiring, true) {
            ctx.event(Event::Expiring);
        }
    }

    /// Nothing carries the child's packets any more: it is made anew under the same IKE SA, a bounded number of times. `failure` says why it is not
    /// when that was in vain.
    pub(super) fn remake_child(&mut self, ctx: &mut Context<'_>, failure: Failure) -> Flow {
        let Some(child) = &self.child else { return Flow::Continue(()) };
        // RFC 7296 §1.4.1: what the peer deleted is not sent with any more.
        ctx.data(DataCommand::RemoveOutbound { child: child.id });
        let rescue = &mut self.rescue;
        if rescue.made_at.take().is_none_or(|made| ctx.now.since(made) >= LONG_LIFE) && rescue.remake_at.is_none() {
            rescue.remakes = 0;
        }
        if rescue.remakes >= MOST_REMAKES {
            return self.close(ctx, failure);
        }
        let longest = FIRST_WAIT.saturating_mul(1u32.checked_shl(rescue.remakes.saturating_mul(2)).unwrap_or(u32::MAX));
        let least = if rescue.remakes == 0 { Duration::ZERO } else { percent_of(longest, 50) };
        let wait = least.saturating_add(random_part(longest.saturating_sub(least), ctx.random));
        rescue.remakes = rescue.remakes.saturating_add(1);
        rescue.remake_at = Some(ctx.now.after(wait));
        self.send_next(ctx)
    }

    /// Packets of the child were sent. Where they go out only although the peer answers, it is asked for a new SA in place of the one in use. If it
    /// lost that without a word it says CHILD_SA_NOT_FOUND, and an SA from scratch follows (RFC 7296 §2.25.1).
    pub(super) fn child_sent(&mut self, ctx: &mut Context<'_>) -> Flow {
        let silence = self.liveness.silence(ctx.now);
        let Some(child) = self.child.as_mut().filter(|_| self.child_exchange.is_none()) else {
            return Flow::Continue(());
        };
        match child.sent(ctx, silence) {
            (Verdict::Ask, _) if self.liveness.asks() => self.probe(ctx),
            (Verdict::Replace { silent }, Some(outbound)) => {
                ctx.event(Event::Notice(in_words(outbound, silent)));
                self.age(ctx)
            }
            // What they are sent with is deleted: its end did not lead to another one.
            (Verdict::Replace { .. }, None) => self.child_deleted(ctx),
            (Verdict::Succeed { silent }, _) => {
                ctx.event(Event::Notice(in_words_of_another(silent)));
                self.expire(ctx);
                Flow::Continue(())
            }
            (Verdict::Fine | Verdict::Ask, _) => Flow::Continue(()),
        }
    }

    /// The peer deleted all that carried the child's packets.
    pub(super) fn child_deleted(&mut self, ctx: &mut Context<'_>) -> Flow {
        self.remake_child(ctx, Failure::ChildrenDeleted { phase: Phase::CreateChild })
    }
}
