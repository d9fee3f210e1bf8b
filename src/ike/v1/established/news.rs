//! What the gateway says in informational exchanges: deletes, errors, signs of life.

use std::time::Duration;

use crate::ike::action::{DropReason, Event, Failure, Probed};
use crate::ike::context::Context;
use crate::ike::v1::dpd::{Asked, Due};
use crate::ike::v1::established::quick_modes::Name;
use crate::ike::v1::established::{Established, Flow};
use crate::ike::v1::header::Cookies;
use crate::ike::v1::informational::{News, Subject, dpd_ack};
use crate::ike::v1::notify::NotifyKind;
use crate::sa::spi::OutboundSpi;
use crate::time::Instant;

/// So many questions of the gateway's are answered within a second.
const MOST_ANSWERS: u32 = 4;

/// How often something was done within the current second.
#[derive(Default)]
pub(super) struct Rate(Option<(Instant, u32)>);

impl Rate {
    /// Whether it may be done once more, at most `most` times a second.
    pub(super) fn admits(&mut self, now: Instant, most: u32) -> bool {
        match &mut self.0 {
            Some((since, count)) if now.since(*since) < Duration::from_secs(1) => {
                *count = count.saturating_add(1);
                *count <= most
            }
            rate => {
                *rate = Some((now, 1));
                true
            }
        }
    }
}

impl Established {
    /// Everything in the message is looked at; a delete of the ISAKMP SA stands last.
    pub(super) fn receive_news(
        &mut self,
        ctx: &mut Context<'_>,
        cookies: Cookies,
        message_id: u32,
        news: &[News],
    ) -> Flow {
        if let Some(association) = self.association_mut(cookies) {
            // It is known already when it ends a quick mode.
            let _ = association.sa.claim_message_id(message_id);
        }
        if !news.iter().all(|one| matches!(one, News::DpdRequest(_))) {
            self.heard(ctx);
        }
        news.iter().try_for_each(|one| self.receive_one(ctx, Name { cookies, message_id }, one))
    }

    fn receive_one(&mut self, ctx: &mut Context<'_>, name: Name, news: &News) -> Flow {
        match news {
            News::DeleteEsp(spis) => spis.iter().for_each(|spi| self.receive_child_delete(ctx, *spi)),
            News::DeleteIsakmp(cookies) => return self.receive_association_delete(ctx, *cookies),
            News::DpdRequest(number) => self.receive_question(ctx, name.cookies, *number),
            News::DpdAck(number) => self.receive_acknowledgement(ctx, name.cookies, *number),
            News::ResponderLifetime { of: Subject::Esp(spi), attributes } => {
                if let Some(spi) = OutboundSpi::new(u32::from_be_bytes(*spi)) {
                    self.children.iter_mut().for_each(|child| child.shorten(ctx, spi, attributes));
                }
            }
            News::ResponderLifetime { of: Subject::Isakmp(of), attributes } if *of == name.cookies => {
                self.shorten(ctx, *of, attributes);
            }
            News::Connected(of) => self.receive_connected(ctx, name, *of),
            News::InvalidSpi(spi) => self.receive_invalid_spi(ctx, *spi),
            // It is about a message, not about what was asked.
            News::Error { kind, .. } if NotifyKind(*kind) == NotifyKind::INVALID_COOKIE => self.probe(ctx),
            News::Error { kind, of } => return self.receive_refusal(ctx, name.cookies, NotifyKind(*kind), *of),
            News::ResponderLifetime { .. } | News::InitialContact | News::Other { .. } => {}
        }
        Flow::Continue(())
    }

    /// RFC 3706 §5.4: a question is answered with its number.
    fn receive_question(&mut self, ctx: &mut Context<'_>, cookies: Cookies, number: u32) {
        let admitted = self.answers.admits(ctx.now, MOST_ANSWERS);
        let Some(association) = self.association_mut(cookies) else { return };
        match association.dpd.asked(number) {
            Asked::Stale => return ctx.dropped(DropReason::OutsideWindow),
            Asked::New | Asked::Again if !admitted => return ctx.dropped(DropReason::Bounded),
            Asked::New => association.inform(ctx, &dpd_ack(cookies, number)),
            Asked::Again => return association.inform(ctx, &dpd_ack(cookies, number)),
        }
        self.heard(ctx);
    }

    fn receive_acknowledgement(&mut self, ctx: &mut Context<'_>, cookies: Cookies, number: u32) {
        let Some(association) = self.association_mut(cookies) else { return };
        let probed = association.dpd.outcome(number);
        if !association.dpd.acknowledged(number) {
            return ctx.dropped(DropReason::Unacceptable);
        }
        if let Some((octets, outcome)) = probed {
            ctx.event(Event::PathProbed { octets, outcome });
        }
        self.sign_came(ctx);
    }

    /// The first quick modes are a question themselves, and say better what is not answered.
    pub(super) const fn can_ask(&self) -> bool {
        self.current.answers_questions() && self.first_set.is_none()
    }

    /// A gateway that announced no DPD can only be asked by a quick mode.
    pub(super) const fn asks_by_quick_modes(&self) -> bool {
        self.liveness.asks() && !self.current.sa.capabilities.dpd && self.first_set.is_none()
    }

    /// A quick mode came to nothing: where it is the only question there is, a gateway that gave no other sign of life since either is dead.
    pub(super) fn judge_silence(&self, ctx: &Context<'_>, failure: &Failure) -> Flow {
        let silent = self.liveness.silence(ctx.now);
        match failure {
            Failure::NoAnswer { waited, .. } if self.asks_by_quick_modes() && silent >= *waited => {
                Flow::Break(Failure::PeerDead { silent })
            }
            _ => Flow::Continue(()),
        }
    }

    /// Asks for a sign of life, if the gateway announced that it gives one.
    pub(super) fn probe(&mut self, ctx: &mut Context<'_>) {
        if self.can_ask() {
            self.liveness.asked();
            self.current.interrupt_probe(ctx);
            let numbers = self.current.dpd.ask(ctx.now, self.liveness.question(), ctx.random);
            self.current.ask(ctx, &numbers);
        }
    }

    /// Somebody wants to know whether the path carries so many octets. A question that is open means life or death, and is not disturbed.
    pub(super) fn probe_path(&mut self, ctx: &mut Context<'_>, octets: u16) {
        let asked = match (self.current.sa.capabilities.dpd, self.can_ask()) {
            (false, _) => Err(Probed::Impossible),
            (true, false) => Err(Probed::Interrupted),
            (true, true) => self.current.ask_path(ctx, octets),
        };
        if let Err(outcome) = asked {
            ctx.event(Event::PathProbed { octets, outcome });
        }
    }

    pub(super) fn dpd_timeout(&mut self, ctx: &mut Context<'_>) -> Flow {
        if !self.can_ask() {
            return Flow::Continue(());
        }
        match self.current.dpd.handle_timeout(ctx.now, &self.liveness, ctx.random) {
            Due::Nothing => Flow::Continue(()),
            Due::Ask(numbers) => {
                self.liveness.asked();
                if let Some((sent, waited)) = self.current.dpd.unanswered(ctx.now) {
                    self.liveness.unanswered(ctx.now, sent, waited);
                }
                self.current.ask(ctx, &numbers);
                Flow::Continue(())
            }
            Due::AskLong(numbers) => {
                self.current.ask(ctx, &numbers);
                Flow::Continue(())
            }
            Due::Unanswerable(octets) => {
                ctx.event(Event::PathProbed { octets, outcome: Probed::Impossible });
                Flow::Continue(())
            }
            Due::Dead { silent } => Flow::Break(Failure::PeerDead { silent }),
        }
    }

    /// The gateway lives: a fresh, authentic message or packet came.
    pub(super) fn heard(&mut self, ctx: &Context<'_>) {
        self.liveness.heard(ctx.now);
        self.current.dpd.heard();
    }

    /// Which SA it means, the message ID says (RFC 2408 §3.1), or else the SPI.
    fn receive_connected(&mut self, ctx: &mut Context<'_>, name: Name, of: Subject) {
        let by_spi = || {
            let Subject::Esp(spi) = of else { return None };
            let spi = OutboundSpi::new(u32::from_be_bytes(spi))?;
            self.children.iter().find_map(|child| Some((child.id, child.inbound_of(spi)?)))
        };
        if let Some((child, inbound)) = self.quick_modes.finished(name).or_else(by_spi) {
            self.release(ctx, child, inbound);
        }
    }

    /// RFC 2408 §3.15: the SPIs are those that the gateway received on.
    fn receive_child_delete(&mut self, ctx: &mut Context<'_>, spi: OutboundSpi) {
        let Self { children, configuration, .. } = self;
        let deleted = children.iter_mut().any(|child| child.deleted_by_peer(ctx, spi, configuration));
        // RFC 2407 §4.6.3 wants the sender's SPI; a strongSwan that could not install its half names ours.
        if let Some(outbound) = children.iter().find_map(|child| child.outbound_of(spi.value())).filter(|_| !deleted) {
            let _ = children.iter_mut().any(|child| child.deleted_by_peer(ctx, outbound, configuration));
        }
    }

    /// The gateway lost an SA without a word: it is made anew, as if it had been deleted. One that is quite new it may not have yet.
    fn receive_invalid_spi(&mut self, ctx: &mut Context<'_>, spi: Option<OutboundSpi>) {
        let Self { children, configuration, .. } = self;
        let lost = spi.is_some_and(|spi| {
            children
                .iter_mut()
                .any(|child| child.is_settled(ctx.now, spi) && child.deleted_by_peer(ctx, spi, configuration))
        });
        if !lost {
            self.probe(ctx);
        }
    }

    fn receive_association_delete(&mut self, ctx: &mut Context<'_>, cookies: Cookies) -> Flow {
        if let Some(place) = self.older.iter().position(|older| older.is_named(cookies)) {
            self.older.remove(place);
            self.forget_quick_modes(ctx, cookies);
        } else if self.current.is_named(cookies) {
            return self.current_deleted(ctx);
        }
        Flow::Continue(())
    }

    /// The children live as long as there is, or will be, an ISAKMP SA.
    fn current_deleted(&mut self, ctx: &mut Context<'_>) -> Flow {
        self.current.deleted = true;
        self.current.interrupt_probe(ctx);
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
