//! What the gateway says in informational exchanges: deletes, errors, signs of life.

use crate::ike::action::Failure;
use crate::ike::context::Context;
use crate::ike::v1::established::admit::FIRST_STATUS;
use crate::ike::v1::established::quick_modes::Name;
use crate::ike::v1::established::{Established, Flow};
use crate::ike::v1::header::{Cookies, ExchangeType};
use crate::ike::v1::message::{Delete, Informational, Notify};
use crate::sa::spi::OutboundSpi;

const PROTOCOL_ISAKMP: u8 = 1;
const PROTOCOL_ESP: u8 = 3;

const INVALID_COOKIE: u16 = 4;
const INVALID_SPI: u16 = 11;
/// RFC 2407 §4.6.3, RFC 2408 §3.14.1.
const CONNECTED: u16 = 16384;

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
            association.note_use(ExchangeType::INFORMATIONAL, message_id);
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
        match notify.kind {
            // RFC 2408 §3.1: it has the message ID of the exchange that it ends.
            CONNECTED => {
                if let Some((child, inbound)) = self.quick_modes.finished(name) {
                    self.release(ctx, child, inbound);
                }
                Flow::Continue(())
            }
            // These are about packets and messages, not about what was asked.
            INVALID_COOKIE | INVALID_SPI => self.probe(ctx),
            kind if kind < FIRST_STATUS => self.receive_refusal(ctx, name.cookies, notify),
            _ => Flow::Continue(()),
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
            if let Some(place) = self.older.iter().position(|older| older.spi() == *spi) {
                let older = self.older.remove(place);
                self.forget_quick_modes(ctx, older.sa.cookies);
            } else if self.current.spi() == *spi {
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
