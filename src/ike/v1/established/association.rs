//! An ISAKMP SA in use, or kept for a while after its time.

use crate::ike::context::Context;
use crate::ike::v1::answers::Answers;
use crate::ike::v1::header::Cookies;
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::ike::v1::message::Informational;
use crate::ike::v1::opening::proof::isakmp_spi;
use crate::ike::v1::opening::{farewell, tell};
use crate::time::Instant;

/// See the module.
pub(super) struct Association {
    pub(super) sa: IsakmpSa,
    /// What the gateway may ask for again.
    pub(super) answers: Answers,
    /// It was replaced, and is deleted then.
    pub(super) delete_at: Option<Instant>,
    /// The gateway deleted it: nothing is sent with it any more.
    pub(super) deleted: bool,
}

impl Association {
    pub(super) fn new(sa: IsakmpSa, answers: Answers) -> Self {
        Self { sa, answers, delete_at: None, deleted: false }
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

    /// Its name in notifies and deletes.
    pub(super) fn spi(&self) -> Option<Vec<u8>> {
        isakmp_spi(self.sa.cookies)
    }

    /// Tells the gateway that it is gone.
    pub(super) fn delete(&mut self, ctx: &mut Context<'_>) {
        if !self.deleted {
            farewell(ctx, &mut self.sa);
        }
        self.deleted = true;
    }
}
