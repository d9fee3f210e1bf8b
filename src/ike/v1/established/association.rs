//! An ISAKMP SA in use, or kept for a while after its time.

use serde::{Deserialize, Serialize};

use crate::ike::action::{Event, Probed};
use crate::ike::context::Context;
use crate::ike::v1::answers::Answers;
use crate::ike::v1::dpd::Dpd;
use crate::ike::v1::header::Cookies;
use crate::ike::v1::informational::{self, dpd_request, path_probe};
use crate::ike::v1::isakmp_sa::{IsakmpSa, IsakmpSaState};
use crate::ike::v1::message::Informational;
use crate::ike::v1::opening::{farewell, tell};
use crate::sa::handover::Unrestorable;
use crate::time::Instant;

/// See the module.
pub(super) struct Association {
    pub(super) sa: IsakmpSa,
    /// What the gateway may ask for again.
    pub(super) answers: Answers,
    pub(super) dpd: Dpd,
    /// It was replaced, and is deleted then.
    pub(super) delete_at: Option<Instant>,
    /// The gateway deleted it: nothing is sent with it any more.
    pub(super) deleted: bool,
}

/// The same on its way to another process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AssociationState {
    sa: IsakmpSaState,
    answers: Answers,
    dpd: Dpd,
    delete_at: Option<Instant>,
    deleted: bool,
}

impl Association {
    pub(super) fn new(ctx: &mut Context<'_>, sa: IsakmpSa, answers: Answers) -> Self {
        Self { sa, answers, dpd: Dpd::new(ctx.random), delete_at: None, deleted: false }
    }

    /// As values, for another process. `None` while the gateway is asked for a sign of life.
    pub(super) fn export(&self) -> Option<AssociationState> {
        let Self { sa, answers, dpd, delete_at, deleted } = self;
        Some(AssociationState {
            sa: sa.export(),
            answers: answers.clone(),
            dpd: dpd.duplicate()?,
            delete_at: *delete_at,
            deleted: *deleted,
        })
    }

    /// The same in the process that goes on.
    pub(super) fn restore(state: AssociationState) -> Result<Self, Unrestorable> {
        let AssociationState { sa, answers, dpd, delete_at, deleted } = state;
        if !answers.are_bounded() {
            return Err(Unrestorable("more answers than are kept"));
        }
        Ok(Self { sa: IsakmpSa::restore(sa)?, answers, dpd, delete_at, deleted })
    }

    pub(super) fn is_named(&self, cookies: Cookies) -> bool {
        self.sa.cookies == cookies
    }

    /// Sends an informational exchange: one message, no answer (RFC 2409 §5.7).
    pub(super) fn inform(&mut self, ctx: &mut Context<'_>, content: &Informational) {
        if self.deleted {
            return;
        }
        tell(ctx, &mut self.sa, content);
    }

    /// The same, of a message that is lost rather than cut.
    fn inform_whole(&mut self, ctx: &mut Context<'_>, content: &Informational) {
        if let Some(message) = informational::seal(&mut self.sa, ctx.random, content).filter(|_| !self.deleted) {
            ctx.transmit_whole(self.sa.path, message);
        }
    }

    /// Sends an R-U-THERE with each of these numbers, in order. Those of a question about the path are long.
    pub(super) fn ask(&mut self, ctx: &mut Context<'_>, numbers: &[u32]) {
        for number in numbers {
            let long = self.dpd.length(*number).and_then(|octets| path_probe(&self.sa, *number, octets));
            match long {
                Some((words, _)) => self.inform_whole(ctx, &words),
                None => self.inform(ctx, &dpd_request(self.sa.cookies, *number)),
            }
        }
    }

    /// Asks whether the path carries a datagram of so many octets. Otherwise why not.
    pub(super) fn ask_path(&mut self, ctx: &mut Context<'_>, octets: u16) -> Result<(), Probed> {
        let (_, octets) = path_probe(&self.sa, 0, octets).ok_or(Probed::Impossible)?;
        let numbers = self.dpd.ask_long(ctx.now, octets, ctx.random)?;
        self.ask(ctx, &numbers);
        Ok(())
    }

    /// A question about the path comes to nothing.
    pub(super) fn interrupt_probe(&mut self, ctx: &mut Context<'_>) {
        if let Some(octets) = self.dpd.interrupt() {
            ctx.event(Event::PathProbed { octets, outcome: Probed::Interrupted });
        }
    }

    /// Whether the gateway can be asked for a sign of life (RFC 3706 §5.1).
    pub(super) const fn answers_questions(&self) -> bool {
        self.sa.capabilities.dpd && !self.deleted
    }

    /// Tells the gateway that it is gone.
    pub(super) fn delete(&mut self, ctx: &mut Context<'_>) {
        if !self.deleted {
            farewell(ctx, &mut self.sa);
        }
        self.deleted = true;
    }
}
