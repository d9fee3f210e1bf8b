//! An ISAKMP SA in use, and which message IDs were used in it.

use std::collections::VecDeque;

use crate::ike::context::Context;
use crate::ike::v1::answers::Answers;
use crate::ike::v1::header::{Cookies, ExchangeType};
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::ike::v1::message::{Delete, Informational};
use crate::time::Instant;

/// Message IDs of the gateway that are remembered; replayed deletes and notifies that are older name what is gone.
const MOST_USED_IDS: usize = 256;

const PROTOCOL_ISAKMP: u8 = 1;

/// See the module.
pub(super) struct Association {
    pub(super) sa: IsakmpSa,
    /// What the opening answered, and transaction exchanges since.
    pub(super) answers: Answers,
    used: VecDeque<(ExchangeType, u32)>,
    /// It was replaced, and is deleted then.
    pub(super) delete_at: Option<Instant>,
    /// The gateway deleted it: nothing is sent with it any more.
    pub(super) deleted: bool,
}

impl Association {
    pub(super) fn new(sa: IsakmpSa, answers: Answers) -> Self {
        Self { sa, answers, used: VecDeque::new(), delete_at: None, deleted: false }
    }

    pub(super) fn is_named(&self, cookies: Cookies) -> bool {
        self.sa.cookies == cookies
    }

    /// Whether the gateway used this message ID before.
    pub(super) fn has_used(&self, exchange: ExchangeType, message_id: u32) -> bool {
        self.used.contains(&(exchange, message_id))
    }

    /// An authentic exchange with this message ID was accepted.
    pub(super) fn note_use(&mut self, exchange: ExchangeType, message_id: u32) {
        if self.used.len() >= MOST_USED_IDS {
            self.used.pop_front();
        }
        self.used.push_back((exchange, message_id));
    }

    /// Sends an informational exchange: one message, no answer (RFC 2409 §5.7).
    pub(super) fn inform(&mut self, ctx: &mut Context<'_>, content: &Informational) {
        if self.deleted {
            return;
        }
        let Ok(contents) = content.contents() else { return };
        let message_id = self.sa.fresh_message_id(ctx.random);
        let mut iv = self.sa.first_iv(message_id);
        if let Some(message) = self.sa.seal_with_hash_1(ExchangeType::INFORMATIONAL, message_id, &mut iv, &contents) {
            ctx.transmit(self.sa.path, message);
        }
    }

    /// Its cookies as notifies and deletes have them (RFC 2408 §3.14, §3.15).
    pub(super) fn spi(&self) -> Vec<u8> {
        let responder = self.sa.cookies.responder.map_or([0; 8], |responder| responder.to_octets());
        [self.sa.cookies.initiator.to_octets(), responder].concat()
    }

    /// Tells the gateway that it is gone.
    pub(super) fn delete(&mut self, ctx: &mut Context<'_>) {
        let delete = Delete { protocol: PROTOCOL_ISAKMP, spis: vec![self.spi()] };
        self.inform(ctx, &Informational { deletes: vec![delete], ..Informational::default() });
        self.deleted = true;
    }
}
