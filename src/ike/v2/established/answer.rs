//! Requests of the peer: each is answered once, at any time, also while ours wait and while the SA is closed.

use std::time::Duration;

use crate::ike::action::{DropReason, Event, Failure};
use crate::ike::context::Context;
use crate::ike::v2::delete::{Closed, closed_by};
use crate::ike::v2::established::{Direction, Established, Flow, confirmed, end_of, put_together};
use crate::ike::v2::message::create_child::CreateChildRequest;
use crate::ike::v2::message::notify::Notify;
use crate::ike::v2::message::{Informational, MessageError};
use crate::ike::v2::protect::Opened;
use crate::ike::v2::refuse::{Standing, refusal};
use crate::ike::v2::window::Place;
use crate::ike::wire::chain::parse_inner;
use crate::ike::wire::registry::{ExchangeType, NotifyType, PayloadType};
use crate::sa::path::Path;

/// However short a time the peer gives us: a whole tunnel is not made anew more often than this on its account.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(10);

/// What a request of the peer leads to, besides its answer.
struct Handled {
    answer: Informational,
    then: Then,
}

enum Then {
    Stay,
    RemoveChild,
    End(Failure),
}

impl Established {
    /// A request came, authentic and in its place.
    pub(super) fn receive_request(
        &mut self,
        ctx: &mut Context<'_>,
        path: Path,
        datagram: &[u8],
        opened: Opened,
    ) -> Flow {
        let exchange = opened.header.exchange;
        if self.peers.place(opened.header.message_id) != Place::Due {
            // RFC 7383 §2.6.1: the answer is given again for the first fragment, also if the peer cut the request anew.
            match opened.fragment {
                Some(fragment) if fragment.number == 1 => self.repeat_reply(ctx, path),
                _ => ctx.dropped(DropReason::Fragment),
            }
            return Flow::Continue(());
        }
        let message_id = opened.header.message_id;
        let inserted = |fragment| self.peers.insert(ctx.now, fragment, datagram);
        let (first, inner) = match put_together(opened, inserted) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Flow::Continue(()),
            Err(reason) => {
                ctx.dropped(reason);
                return Flow::Continue(());
            }
        };
        self.liveness.heard(ctx.now);
        let Handled { answer, then } = self.handle_request(ctx, exchange, first, &inner);
        let Ok(reply) = self.seal(ctx, message_id, exchange, Direction::Response, &answer) else {
            return Flow::Break(Failure::LifetimeEnded);
        };
        // RFC 7296 §2.11: an answer goes to where its request came from.
        reply.iter().for_each(|message| ctx.transmit(path, message.clone()));
        self.peers.answer(datagram, reply);
        match then {
            Then::Stay if self.peers.are_used_up() => self.close(ctx, Failure::LifetimeEnded),
            Then::Stay => Flow::Continue(()),
            // An IKE SA without a child carries nothing: it is closed, so that a whole new one is made.
            Then::RemoveChild => self.close(ctx, Failure::ClosedByPeer),
            Then::End(failure) => Flow::Break(failure),
        }
    }

    fn handle_request(
        &mut self,
        ctx: &mut Context<'_>,
        exchange: ExchangeType,
        first: PayloadType,
        inner: &[u8],
    ) -> Handled {
        let handled = parse_inner(first, inner).map_err(MessageError::from).and_then(|raw| match exchange {
            ExchangeType::INFORMATIONAL => {
                Informational::parse(&raw).map(|asked| self.handle_informational(ctx, &asked))
            }
            ExchangeType::CREATE_CHILD_SA => CreateChildRequest::parse(&raw).map(|asked| {
                let standing = if self.closing.is_some() { Standing::Closing } else { Standing::Open };
                let notify = refusal(&asked, self.parts.child.as_ref(), standing);
                ctx.event(Event::Notice(format!("the gateway's CREATE_CHILD_SA request was answered {}", notify.kind)));
                Handled { answer: saying(notify), then: Then::Stay }
            }),
            _ => Ok(Handled {
                answer: saying(Notify::new(NotifyType::INVALID_SYNTAX)),
                then: Then::End(self.violation("sent a request of an exchange that has no place here")),
            }),
        });
        handled.unwrap_or_else(|error| {
            let notify = error.answer();
            // RFC 7296 §2.21.3: INVALID_SYNTAX ends the IKE SA on both sides without a Delete payload.
            let then = if notify.kind == NotifyType::INVALID_SYNTAX {
                Then::End(self.violation("sent a malformed request"))
            } else {
                Then::Stay
            };
            Handled { answer: saying(notify), then }
        })
    }

    fn handle_informational(&mut self, ctx: &mut Context<'_>, asked: &Informational) -> Handled {
        for notify in &asked.notifies {
            self.take_note(ctx, notify);
        }
        match closed_by(&asked.deletes, self.parts.child.as_ref()) {
            Closed::Nothing => Handled { answer: Informational::default(), then: Then::Stay },
            Closed::Child(delete) => Handled {
                answer: Informational { deletes: vec![delete], ..Informational::default() },
                then: Then::RemoveChild,
            },
            // RFC 7296 §2.25.2: when both sides close at once, the peer's request confirms ours.
            Closed::IkeSa => {
                let failure = self.closing.take().map_or(Failure::ClosedByPeer, |closing| confirmed(closing.failure));
                Handled { answer: Informational::default(), then: Then::End(failure) }
            }
        }
    }

    /// RFC 7296 §3.10.1: what is unknown, and errors in a request, are ignored. Nothing of MOBIKE was negotiated, so its notifies mean nothing.
    pub(super) fn take_note(&mut self, ctx: &mut Context<'_>, notify: &Notify) {
        if notify.kind.is_error() {
            ctx.event(Event::Notice(format!("the gateway reports {}", notify.kind)));
        }
        if let (NotifyType::AUTH_LIFETIME, Ok(seconds)) = (notify.kind, <[u8; 4]>::try_from(notify.data.as_slice())) {
            // RFC 4478 §3: we must authenticate again before; a new IKE SA does that.
            let time = Duration::from_secs(u32::from_be_bytes(seconds).into()).max(SHORTEST_LIFETIME);
            let end = end_of(ctx.now, time, ctx);
            self.ends_at = Some(self.ends_at.map_or(end, |earlier| earlier.min(end)));
        }
    }

    /// RFC 7296 §2.1: the same octets, for as often as the request is repeated.
    pub(super) fn repeat_reply(&self, ctx: &mut Context<'_>, path: Path) {
        self.peers.reply().iter().for_each(|message| ctx.transmit(path, message.clone()));
    }

    fn violation(&self, what: &'static str) -> Failure {
        match &self.closing {
            Some(closing) => closing.failure.clone(),
            None => Failure::PeerViolation { what },
        }
    }
}

fn saying(notify: Notify) -> Informational {
    Informational { notifies: vec![notify], ..Informational::default() }
}
