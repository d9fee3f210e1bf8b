//! An ISAKMP SA in use, or kept for a while after its time.

use crate::ike::context::Context;
use crate::ike::v1::answers::Answers;
use crate::ike::v1::dpd::Dpd;
use crate::ike::v1::header::Cookies;
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::ike::v1::message::Informational;
use crate::ike::v1::opening::{farewell, tell};
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

impl Association {
    pub(super) fn new(ctx: &mut Context<'_>, sa: IsakmpSa, answers: Answers) -> Self {
        Self { sa, answers, dpd: Dpd::new(ctx.random), delete_at: None, deleted: false }
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
