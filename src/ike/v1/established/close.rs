//! The end of a session: traffic stops, and the gateway is told what of its SAs it can forget.

use crate::ike::action::Failure;
use crate::ike::context::Context;
use crate::ike::v1::established::Established;
use crate::ike::v1::informational::delete_esp;
use crate::ike::v1::opening::Opening;
use crate::sa::command::DataCommand;
use crate::sa::spi::InboundSpi;

impl Established {
    /// Gives back what has to be waited for: a renewal whose SA the gateway has already.
    pub(super) fn take_leave(&mut self, ctx: &mut Context<'_>, failure: &Failure) -> Option<Box<Opening>> {
        let mut forgotten = Vec::new();
        for child in self.children.iter().filter(|child| child.has_sas()) {
            ctx.data(DataCommand::RemoveChild { child: child.id });
            forgotten.push(child.inbound_spis().collect::<Vec<_>>());
        }
        if matches!(failure, Failure::ClosedByPeer | Failure::PeerDead { .. }) {
            return None;
        }
        forgotten.iter().for_each(|spis| self.delete_children(ctx, spis));
        let renewal = self.renewal.stop(ctx);
        self.older.iter_mut().filter(|older| !older.deleted).for_each(|older| older.delete(ctx));
        self.current.delete(ctx);
        // Whoever connects again does not wait for that.
        renewal.filter(|_| matches!(failure, Failure::ClosedByUs { .. }))
    }

    /// RFC 2408 §3.15: the SPIs are those that we receive on.
    pub(super) fn delete_children(&mut self, ctx: &mut Context<'_>, spis: &[InboundSpi]) {
        if !spis.is_empty() {
            self.current.inform(ctx, &delete_esp(spis));
        }
    }
}
