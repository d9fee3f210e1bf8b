//! Requests of the peer: each is answered once, at any time, also while ours wait and while the SA is closed.

use std::time::Duration;

use crate::ike::action::{DropReason, Event, Failure};
use crate::ike::context::Context;
use crate::ike::v2::collision::{Asked, Verdict, verdict};
use crate::ike::v2::established::associations::DeletedBy;
use crate::ike::v2::established::response::put_together;
use crate::ike::v2::established::{Established, Flow, confirmed};
use crate::ike::v2::exchange::Request;
use crate::ike::v2::ike_sa::{Direction, IkeSa};
use crate::ike::v2::message::create_child::CreateChildRequest;
use crate::ike::v2::message::notify::Notify;
use crate::ike::v2::message::{CreateChildAnswer, Delete, Informational, MessageError};
use crate::ike::v2::protect::Opened;
use crate::ike::v2::window::Place;
use crate::ike::wire::chain::{Contents, parse_inner};
use crate::ike::wire::error::EncodeError;
use crate::ike::wire::registry::{ExchangeType, NotifyType, PayloadType, ProtocolId};
use crate::sa::path::Path;
use crate::sa::spi::{IkeSpi, InboundSpi};

/// However short a time the peer gives us: a whole tunnel is not made anew more often than this on its account.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(10);

/// What a request of the peer leads to.
pub(super) struct Handled {
    pub(super) answer: Result<Contents, EncodeError>,
    pub(super) then: Then,
}

/// Besides the answer, once it left.
pub(super) enum Then {
    Stay,
    /// Nothing carries the child's packets any more.
    ChildGone,
    /// The peer rekeyed the IKE SA.
    Succeed(Box<IkeSa>),
    /// The peer rekeyed it while we did: our own response decides.
    Keep(Box<IkeSa>),
    /// The peer deleted the IKE SA that it asked under.
    Forget,
    End(Failure),
}

impl Handled {
    pub(super) fn saying(notify: Notify) -> Self {
        let answer = Informational { notifies: vec![notify], ..Informational::default() };
        Self { answer: answer.contents(), then: Then::Stay }
    }

    pub(super) fn made(answer: &CreateChildAnswer) -> Self {
        Self { answer: answer.contents(), then: Then::Stay }
    }

    /// RFC 7296 §2.21.3: INVALID_SYNTAX ends the IKE SA on both sides without a Delete payload.
    pub(super) fn violation(failure: Failure) -> Self {
        Self { then: Then::End(failure), ..Self::saying(Notify::new(NotifyType::INVALID_SYNTAX)) }
    }
}

impl Established {
    /// A request came, authentic and in its place, under the IKE SA of this name.
    pub(super) fn receive_request(
        &mut self,
        ctx: &mut Context<'_>,
        name: IkeSpi,
        path: Path,
        datagram: &[u8],
        opened: Opened,
    ) -> Flow {
        let exchange = opened.header.exchange;
        let message_id = opened.header.message_id;
        let Some(sa) = self.sa_mut(name) else { return Flow::Continue(()) };
        if sa.peers.place(message_id) != Place::Due {
            // RFC 7383 §2.6.1: the answer is given again for the first fragment, also if the peer cut the request anew.
            match opened.fragment {
                Some(fragment) if fragment.number == 1 => self.repeat_reply(ctx, name, path),
                _ => ctx.dropped(DropReason::Fragment),
            }
            return Flow::Continue(());
        }
        let inserted = |fragment| sa.peers.insert(ctx.now, fragment, datagram);
        let (first, inner) = match put_together(opened, inserted) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Flow::Continue(()),
            Err(reason) => {
                ctx.dropped(reason);
                return Flow::Continue(());
            }
        };
        self.liveness.heard(ctx.now);
        let Handled { answer, then } = self.handle_request(ctx, (name, path), exchange, first, &inner);
        let kind = (message_id, exchange, Direction::Response);
        let reply = answer.ok().and_then(|answer| self.seal(ctx, name, kind, &answer).ok());
        let Some(reply) = reply else { return Flow::Break(Failure::LifetimeEnded) };
        // RFC 7296 §2.11: an answer goes to where its request came from.
        reply.iter().for_each(|message| ctx.transmit(path, message.clone()));
        if let Some(sa) = self.sa_mut(name) {
            sa.peers.answer(datagram, reply);
        }
        if let Some(child) = self.child.as_mut().filter(|_| self.child_exchange.is_none()) {
            child.release_if_alone(ctx);
        }
        match then {
            Then::Stay if self.current.ids_are_used_up() => self.close(ctx, Failure::LifetimeEnded),
            Then::Stay => self.send_next(ctx),
            Then::ChildGone => self.child_deleted(ctx),
            Then::Succeed(made) => {
                self.succeed(ctx, *made, DeletedBy::Peer);
                self.send_next(ctx)
            }
            Then::Keep(made) => {
                self.retire(ctx, *made, DeletedBy::Peer);
                Flow::Continue(())
            }
            Then::Forget => {
                self.take_older(name);
                Flow::Continue(())
            }
            Then::End(failure) => Flow::Break(failure),
        }
    }

    fn handle_request(
        &mut self,
        ctx: &mut Context<'_>,
        (name, path): (IkeSpi, Path),
        exchange: ExchangeType,
        first: PayloadType,
        inner: &[u8],
    ) -> Handled {
        let handled = parse_inner(first, inner).map_err(MessageError::from).and_then(|raw| match exchange {
            ExchangeType::INFORMATIONAL => {
                Informational::parse(&raw).map(|asked| self.handle_informational(ctx, (name, path), &asked))
            }
            ExchangeType::CREATE_CHILD_SA => {
                CreateChildRequest::parse(&raw).map(|asked| self.handle_create_child(ctx, name, &asked))
            }
            _ => Ok(Handled::violation(self.violation("sent a request of an exchange that has no place here"))),
        });
        handled.unwrap_or_else(|error| {
            let notify = error.answer();
            if notify.kind == NotifyType::INVALID_SYNTAX {
                return Handled::violation(self.violation("sent a malformed request"));
            }
            Handled::saying(notify)
        })
    }

    fn handle_informational(
        &mut self,
        ctx: &mut Context<'_>,
        (name, path): (IkeSpi, Path),
        asked: &Informational,
    ) -> Handled {
        for notify in &asked.notifies {
            self.take_note(ctx, notify);
            self.take_invalid_spi(ctx, notify);
        }
        if asked.deletes.iter().any(|delete| delete.protocol == ProtocolId::IKE) {
            // RFC 7296 §1.4.1: the answer holds no Delete payload.
            return Handled { answer: Informational::default().contents(), then: self.ike_deleted(ctx, name) };
        }
        let (deletes, then) = self.children_deleted(ctx, &asked.deletes);
        let notifies = self.mobike_answer(ctx, name, path, &asked.notifies);
        Handled { answer: Informational { notifies, deletes, ..Informational::default() }.contents(), then }
    }

    /// The peer deletes the IKE SA that it says so under.
    fn ike_deleted(&mut self, ctx: &mut Context<'_>, name: IkeSpi) -> Then {
        if !self.is_current(name) {
            return Then::Forget;
        }
        // RFC 7296 §2.8.2: it deletes the old one because its own new one is there; ours is not, or has lost.
        let rival = self.ike_exchange.as_mut().and_then(|exchange| exchange.rival.take());
        if let Some(theirs) = rival.and_then(|rival| self.take_older(rival.name)) {
            self.succeed(ctx, theirs, DeletedBy::Peer);
            return Then::Stay;
        }
        // RFC 7296 §2.25.2: when both sides close at once, the peer's request confirms ours.
        Then::End(self.closing.take().map_or(Failure::ClosedByPeer, |closing| confirmed(closing.failure)))
    }

    /// RFC 7296 §3.11: the SPIs are those that the sender receives on. The answer names our half of each SA that both sides still had.
    fn children_deleted(&mut self, ctx: &mut Context<'_>, deletes: &[Delete]) -> (Vec<Delete>, Then) {
        let under_way = self.under_way();
        let rekeying = self.child_exchange.as_ref().and_then(|exchange| exchange.rekeyed);
        let Some(child) = &mut self.child else { return (Vec::new(), Then::Stay) };
        let was_carried = child.is_carried();
        let mut spis = Vec::new();
        let named = deletes.iter().filter(|delete| delete.protocol == ProtocolId::ESP).flat_map(|delete| &delete.spis);
        for spi in named {
            let asked = Asked::DeleteChild(child.target(*spi, rekeying));
            let deleted = child.deleted_by_peer(ctx, *spi);
            if let Some(exchange) = self.child_exchange.as_mut().filter(|_| deleted.is_none()) {
                exchange.note_deleted(*spi);
            }
            if verdict(under_way, asked) == Verdict::AsUsual {
                spis.extend(deleted.map(InboundSpi::value));
            }
        }
        let is_replacing = self.child_exchange.is_some() || self.current.ours.asks(Request::NewChild);
        let then = if was_carried && !child.is_carried() && !is_replacing { Then::ChildGone } else { Then::Stay };
        let answer = if spis.is_empty() { Vec::new() } else { vec![Delete { protocol: ProtocolId::ESP, spis }] };
        (answer, then)
    }

    /// RFC 7296 §3.10.1: what is unknown, and errors in a request, are ignored.
    pub(super) fn take_note(&mut self, ctx: &mut Context<'_>, notify: &Notify) {
        if notify.kind.is_error() {
            ctx.event(Event::Notice(format!("the gateway reports {}", notify.kind)));
        }
        if let (NotifyType::AUTH_LIFETIME, Ok(seconds)) = (notify.kind, <[u8; 4]>::try_from(notify.data.as_slice())) {
            // RFC 4478 §3: we must authenticate again before; a new IKE SA does that, and a rekeyed one does not.
            let time = Duration::from_secs(u32::from_be_bytes(seconds).into()).max(SHORTEST_LIFETIME);
            self.rescue.authenticate_within(ctx, time);
            let end = ctx.now.after(time);
            self.ends_at = Some(self.ends_at.map_or(end, |earlier| earlier.min(end)));
        }
    }

    /// RFC 7296 §1.5, §3.10.1: the peer got a packet of an SA that it lost without a word. Under the IKE SA it is believed, and the child made anew.
    fn take_invalid_spi(&mut self, ctx: &mut Context<'_>, notify: &Notify) {
        let Some(child) = self.child.as_mut().filter(|_| notify.kind == NotifyType::INVALID_SPI) else { return };
        let octets = [&notify.data, &notify.spi].into_iter().find_map(|spi| <[u8; 4]>::try_from(spi.as_slice()).ok());
        let Some(lost) = octets.and_then(|spi| child.lost_by_peer(ctx, u32::from_be_bytes(spi))) else { return };
        if !child.is_carried() && self.child_exchange.is_none() {
            self.current.ours.ask(Request::NewChild);
        }
        // What receives its packets and what negotiates are two programs: the second may think that it stands.
        self.current.ours.ask(Request::DeleteChild(lost));
    }

    /// RFC 7296 §2.1: the same octets, for as often as the request is repeated.
    pub(super) fn repeat_reply(&mut self, ctx: &mut Context<'_>, name: IkeSpi, path: Path) {
        if let Some(sa) = self.sa_mut(name) {
            sa.peers.reply().iter().for_each(|message| ctx.transmit(path, message.clone()));
        }
    }

    pub(super) fn violation(&self, what: &'static str) -> Failure {
        match &self.closing {
            Some(closing) => closing.failure.clone(),
            None => Failure::PeerViolation { what },
        }
    }
}
