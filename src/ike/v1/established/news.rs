//! What the gateway says in informational exchanges: deletes, errors, signs of life.

use crate::ike::action::Failure;
use crate::ike::context::Context;
use crate::ike::v1::established::quick_modes::Name;
use crate::ike::v1::established::{Established, Flow};
use crate::ike::v1::header::Cookies;
use crate::ike::v1::message::{Delete, Informational, Notify};
use crate::ike::v1::notify::NotifyKind;
use crate::sa::spi::OutboundSpi;

const PROTOCOL_ISAKMP: u8 = 1;
const PROTOCOL_ESP: u8 = 3;

impl Established {
    /// Everything in the message is looked at, in order, and a delete of the ISAKMP SA last: what follows it is still read.
    pub(super) fn receive_news(
        &mut self,
        ctx: &mut Context<'_>,
        cookies: Cookies,
        message_id: u32,
        news: &Informational,
    ) -> Flow {
        self.liveness.heard(ctx.now);
        if let Some(association) = self.association_mut(cookies) {
            // It is known already when it ends a quick mode.
            let _ = association.sa.claim_message_id(message_id);
        }
        for notify in &news.notifies {
            self.receive_notify(ctx, Name { cookies, message_id }, notify)?;
        }
        for delete in news.deletes.iter().filter(|delete| delete.protocol == PROTOCOL_ESP) {
            self.receive_child_delete(ctx, delete);
        }
        for delete in news.deletes.iter().filter(|delete| delete.protocol == PROTOCOL_ISAKMP) {
            self.receive_association_delete(ctx, delete)?;
        }
        Flow::Continue(())
    }

    fn receive_notify(&mut self, ctx: &mut Context<'_>, name: Name, notify: &Notify) -> Flow {
        match NotifyKind(notify.kind) {
            NotifyKind::CONNECTED => {
                self.receive_connected(ctx, name, &notify.spi);
                Flow::Continue(())
            }
            NotifyKind::RESPONDER_LIFETIME => {
                self.children.iter_mut().for_each(|child| child.shorten(ctx, notify));
                Flow::Continue(())
            }
            // These are about packets and messages, not about what was asked.
            NotifyKind::INVALID_COOKIE | NotifyKind::INVALID_SPI => self.probe(ctx),
            kind if kind.is_error() => self.receive_refusal(ctx, name.cookies, notify),
            _ => Flow::Continue(()),
        }
    }

    /// Which SA it means, the message ID says (RFC 2408 §3.1), or else the SPI.
    fn receive_connected(&mut self, ctx: &mut Context<'_>, name: Name, spi: &[u8]) {
        let by_spi = || self.children.iter().find_map(|child| Some((child.id, child.inbound_of(outbound_spi(spi)?)?)));
        if let Some((child, inbound)) = self.quick_modes.finished(name).or_else(by_spi) {
            self.release(ctx, child, inbound);
        }
    }

    /// RFC 2408 §3.15: the SPIs are those that the gateway received on.
    fn receive_child_delete(&mut self, ctx: &mut Context<'_>, delete: &Delete) {
        for spi in &delete.spis {
            let spi = <[u8; 4]>::try_from(spi.as_slice())
                .ok()
                .and_then(|octets| OutboundSpi::new(u32::from_be_bytes(octets)));
            let Some(spi) = spi else { continue };
            let Self { children, configuration, .. } = self;
            let _ = children.iter_mut().any(|child| child.deleted_by_peer(ctx, spi, configuration));
        }
    }

    fn receive_association_delete(&mut self, ctx: &mut Context<'_>, delete: &Delete) -> Flow {
        for spi in &delete.spis {
            if let Some(place) = self.older.iter().position(|older| older.spi().as_ref() == Some(spi)) {
                let older = self.older.remove(place);
                self.forget_quick_modes(ctx, older.sa.cookies);
            } else if self.current.spi().as_ref() == Some(spi) {
                self.current_deleted(ctx)?;
            }
        }
        Flow::Continue(())
    }

    /// The children live as long as there is, or will be, an ISAKMP SA.
    fn current_deleted(&mut self, ctx: &mut Context<'_>) -> Flow {
        self.current.deleted = true;
        let cookies = self.current.sa.cookies;
        self.forget_quick_modes(ctx, cookies);
        if let Some(mut older) = self.older.pop() {
            older.delete_at = None;
            self.current = older;
            self.renewal.hurry(ctx.now);
            return Flow::Continue(());
        }
        if self.renewal.is_under_way() { Flow::Continue(()) } else { Flow::Break(Failure::ClosedByPeer) }
    }
}

fn outbound_spi(octets: &[u8]) -> Option<OutboundSpi> {
    OutboundSpi::new(u32::from_be_bytes(<[u8; 4]>::try_from(octets).ok()?))
}
