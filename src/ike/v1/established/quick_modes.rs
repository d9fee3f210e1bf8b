//! The quick modes under way, and those whose last message may be wanted again.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ike::action::{Deadline, DropReason, Event, Failure, Phase, Side, Timer};
use crate::ike::context::Context;
use crate::ike::timer::earliest;
use crate::ike::v1::child::{Release, Standing};
use crate::ike::v1::established::news::Rate;
use crate::ike::v1::established::words::in_words;
use crate::ike::v1::established::{Established, Flow};
use crate::ike::v1::header::Cookies;
use crate::ike::v1::informational::Subject;
use crate::ike::v1::message::{Informational, Notify};
use crate::ike::v1::notify::NotifyKind;
use crate::ike::v1::quick_mode::{Answer, AwaitAnswer, AwaitConfirmation, Pair, Request};
use crate::sa::command::ChildId;
use crate::sa::handover::Unrestorable;
use crate::sa::spi::InboundSpi;
use crate::time::Instant;

/// Replacements that we negotiate at one time.
const MOST_OURS: usize = 4;
/// Quick modes of the gateway's at one time.
const MOST_THEIRS: usize = 8;
/// Finished ones that CONNECTED may still name.
const MOST_FINISHED: usize = 32;
/// Errors that we send within a second.
const MOST_REFUSALS: u32 = 4;
const MOST_HINTS: usize = 8;

/// Our answer is sent again after this, then after twice as long, and so on.
const FIRST_REPETITION: Duration = Duration::from_secs(1);
/// The gateway's third message is waited for this long.
const CONFIRMATION_WAIT: Duration = Duration::from_secs(30);
/// A child that the gateway replaces just now is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// While the ISAKMP SA is renewed, a replacement waits.
const RENEWAL_WAIT: Duration = Duration::from_millis(250);
/// It does not wait when the SA that is replaced ends within this time.
const LAST_MOMENT: Duration = Duration::from_secs(2);

const PROTOCOL_ESP: u8 = 3;

/// What one exchange is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Name {
    pub(super) cookies: Cookies,
    pub(super) message_id: u32,
}

/// See the module.
#[derive(Default)]
pub(super) struct QuickModes {
    ours: Vec<Ours>,
    theirs: Vec<Theirs>,
    finished: VecDeque<Finished>,
    /// What came unprotected while we waited.
    hints: Vec<String>,
    refusals: Rate,
}

struct Ours {
    cookies: Cookies,
    child: ChildId,
    exchange: AwaitAnswer,
}

struct Theirs {
    cookies: Cookies,
    child: ChildId,
    exchange: AwaitConfirmation,
    /// When our answer is sent again, and how long the wait before was.
    repeat: (Instant, Duration),
    gives_up_at: Instant,
}

/// A quick mode of ours that is complete for us, but perhaps not for the gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Finished {
    name: Name,
    child: ChildId,
    inbound: InboundSpi,
}

impl Ours {
    const fn name(&self) -> Name {
        Name { cookies: self.cookies, message_id: self.exchange.message_id }
    }
}

impl Theirs {
    const fn name(&self) -> Name {
        Name { cookies: self.cookies, message_id: self.exchange.message_id }
    }
}

impl QuickModes {
    pub(super) fn ours(&self, name: Name) -> Option<&AwaitAnswer> {
        self.ours.iter().find(|ours| ours.name() == name).map(|ours| &ours.exchange)
    }

    pub(super) fn theirs(&self, name: Name) -> Option<&AwaitConfirmation> {
        self.theirs.iter().find(|theirs| theirs.name() == name).map(|theirs| &theirs.exchange)
    }

    pub(super) fn is_ours_for(&self, child: ChildId) -> bool {
        self.ours.iter().any(|ours| ours.child == child)
    }

    pub(super) fn is_finished(&self, name: Name) -> bool {
        self.finished.iter().any(|finished| finished.name == name)
    }

    /// The SA of ours that the gateway speaks of with a message ID in CONNECTED.
    pub(super) fn finished(&self, name: Name) -> Option<(ChildId, InboundSpi)> {
        self.finished.iter().find(|finished| finished.name == name).map(|finished| (finished.child, finished.inbound))
    }

    /// What goes on in another process: those that are finished. `None` while others are under way.
    pub(super) fn export(&self) -> Option<VecDeque<Finished>> {
        let Self { ours, theirs, finished, hints: _, refusals: _ } = self;
        (ours.is_empty() && theirs.is_empty()).then(|| finished.clone())
    }

    /// The same in the process that goes on.
    pub(super) fn restore(finished: VecDeque<Finished>) -> Result<Self, Unrestorable> {
        if finished.len() > MOST_FINISHED {
            return Err(Unrestorable("more finished quick modes than are remembered"));
        }
        Ok(Self { finished, ..Self::default() })
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.ours.is_empty() || !self.theirs.is_empty()
    }

    pub(super) fn note_hint(&mut self, name: String) {
        if !self.ours.is_empty() && self.hints.len() < MOST_HINTS && !self.hints.contains(&name) {
            self.hints.push(name);
        }
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let repeat = self.ours.iter().map(|ours| ours.exchange.deadline()).min();
        let give_up = self.theirs.iter().map(|theirs| theirs.gives_up_at).min();
        let again = self.theirs.iter().map(|theirs| theirs.repeat.0).min();
        earliest([
            repeat.map(|at| Deadline { at, timer: Timer::Retransmit }),
            again.map(|at| Deadline { at, timer: Timer::Retransmit }),
            give_up.map(|at| Deadline { at, timer: Timer::Wait }),
        ])
    }

    fn take_ours(&mut self, is_it: impl Fn(&Ours) -> bool) -> Option<Ours> {
        let place = self.ours.iter().position(is_it)?;
        Some(self.ours.remove(place))
    }

    fn take_theirs(&mut self, is_it: impl Fn(&Theirs) -> bool) -> Option<Theirs> {
        let place = self.theirs.iter().position(is_it)?;
        Some(self.theirs.remove(place))
    }
}

impl Established {
    /// Sends the first message of a quick mode for a child.
    pub(super) fn begin_quick_mode(
        &mut self,
        ctx: &mut Context<'_>,
        child: ChildId,
        pair: Pair,
    ) -> Result<(), Failure> {
        let spi = self.fresh_spi(ctx);
        let exchange = AwaitAnswer::start(ctx, &mut self.current.sa, pair, spi);
        let exchange = exchange.ok_or(Failure::Unsendable { phase: Phase::QuickMode })?;
        if self.quick_modes.ours.is_empty() {
            self.quick_modes.hints.clear();
        }
        self.quick_modes.ours.push(Ours { cookies: self.current.sa.cookies, child, exchange });
        Ok(())
    }

    /// Begins a quick mode for every child that wants a new SA.
    pub(super) fn begin_replacements(&mut self, ctx: &mut Context<'_>) -> Flow {
        let due: Vec<(ChildId, Pair)> = self
            .children
            .iter()
            .filter(|child| child.wants_replacement(ctx.now))
            .map(|child| (child.id, child.pair))
            .collect();
        for (id, pair) in due {
            let ours = &self.quick_modes.ours;
            let busy = self.current.deleted
                || ours.len() >= MOST_OURS
                || ours.iter().any(|ours| ours.child == id)
                || self.quick_modes.theirs.iter().any(|theirs| theirs.child == id);
            let renews = self.renewal.is_under_way();
            let Some(child) = self.children.iter_mut().find(|child| child.id == id) else { continue };
            // A gateway may let the children of the old ISAKMP SA go over to the new one at once: a later one would end with the old.
            let waits = renews && child.can_wait(ctx.now, LAST_MOMENT);
            if child.is_unwanted() {
                child.give_up(ctx);
                self.none_left(Failure::ChildrenDeleted { phase: Phase::QuickMode })?;
                continue;
            }
            if busy || waits {
                child.want(ctx.now.after(if waits { RENEWAL_WAIT } else { LOOK_AGAIN }));
                continue;
            }
            child.replacement_began();
            if let Err(failure) = self.begin_quick_mode(ctx, id, pair) {
                self.quick_mode_failed(ctx, id, failure)?;
            }
        }
        Flow::Continue(())
    }

    /// Our quick mode is complete for us.
    pub(super) fn receive_answer(&mut self, ctx: &mut Context<'_>, name: Name, answer: Answer, message: &[u8]) -> Flow {
        let Some(ours) = self.quick_modes.take_ours(|ours| ours.name() == name) else { return Flow::Continue(()) };
        self.heard(ctx);
        let Some(association) = self.association(name.cookies) else { return Flow::Continue(()) };
        let (child, path, inbound) = (ours.child, association.sa.path, ours.exchange.inbound);
        let completed = match ours.exchange.advance(ctx.profile, &association.sa, answer) {
            Ok(completed) => completed,
            Err(rejected) => {
                self.refuse(ctx, name.cookies, rejected.notify);
                return self.quick_mode_failed(ctx, child, rejected.failure);
            }
        };
        // RFC 2409 §5.5: nobody answers the third message; a second that comes again says that it was lost.
        if let Some(association) = self.association_mut(name.cookies) {
            association.answers.keep(message, path, vec![completed.confirmation.clone()]);
        }
        let Self { children, configuration, .. } = self;
        let Some(child) = children.iter_mut().find(|one| one.id == child) else { return Flow::Continue(()) };
        let release = if completed.commit { Release::Commit } else { Release::Confirmed };
        let evicted = child.install(ctx, completed.agreed, Side::Us, release);
        ctx.transmit(path, completed.confirmation.clone());
        if release == Release::Confirmed {
            child.confirmed_by_us(ctx, inbound, configuration);
        }
        let finished = Finished { name, child: child.id, inbound };
        if self.quick_modes.finished.len() >= MOST_FINISHED {
            self.quick_modes.finished.pop_front();
        }
        self.quick_modes.finished.push_back(finished);
        self.delete_children(ctx, evicted.as_slice());
        self.note_made(ctx, name.cookies, ours.child);
        Flow::Continue(())
    }

    /// The gateway wants new SAs. It gets them for the pairs that are configured, and only as they are configured.
    pub(super) fn receive_request(
        &mut self,
        ctx: &mut Context<'_>,
        cookies: Cookies,
        request: Request,
        message: &[u8],
    ) {
        self.heard(ctx);
        if self.quick_modes.theirs.len() >= MOST_THEIRS {
            return ctx.dropped(DropReason::Bounded);
        }
        if let Err(error) = self.accept_request(ctx, cookies, request, message) {
            self.refuse(ctx, cookies, error);
        }
    }

    fn accept_request(
        &mut self,
        ctx: &mut Context<'_>,
        cookies: Cookies,
        request: Request,
        message: &[u8],
    ) -> Result<(), NotifyKind> {
        let pair = request.pair()?;
        let spi = self.fresh_spi(ctx);
        let Self { children, current, older, .. } = self;
        let child = children.iter_mut().find(|child| child.pair == pair).ok_or(NotifyKind::INVALID_ID_INFORMATION)?;
        let mut associations = std::iter::once(current).chain(older);
        let association = associations.find(|one| one.is_named(cookies)).ok_or(NotifyKind::INVALID_ID_INFORMATION)?;
        let (exchange, agreed) = request.accept(ctx, &association.sa, pair, spi)?;
        association.sa.claim_message_id(exchange.message_id).map_err(|_| NotifyKind::PAYLOAD_MALFORMED)?;
        let evicted = child.install(ctx, agreed, Side::Peer, Release::Unconfirmed);
        ctx.transmit(association.sa.path, exchange.answer.clone());
        association.answers.keep(message, association.sa.path, vec![exchange.answer.clone()]);
        let repeat = (ctx.now.after(FIRST_REPETITION), FIRST_REPETITION);
        let gives_up_at = ctx.now.after(CONFIRMATION_WAIT);
        self.quick_modes.theirs.push(Theirs { cookies, child: child.id, exchange, repeat, gives_up_at });
        self.delete_children(ctx, evicted.as_slice());
        Ok(())
    }

    /// The gateway's quick mode is complete.
    pub(super) fn receive_confirmation(&mut self, ctx: &mut Context<'_>, name: Name) {
        let Some(theirs) = self.quick_modes.take_theirs(|theirs| theirs.name() == name) else { return };
        self.heard(ctx);
        self.release(ctx, theirs.child, theirs.exchange.inbound);
        self.note_made(ctx, name.cookies, theirs.child);
    }

    /// A child made with an ISAKMP SA that is just replaced may end with it at the gateway: it is made once more.
    fn note_made(&mut self, ctx: &mut Context<'_>, cookies: Cookies, child: ChildId) {
        if self.current.is_named(cookies) {
            self.renewal.note_made(child);
        } else if let Some(child) = self.children.iter_mut().find(|one| one.id == child) {
            child.want(ctx.now);
        }
    }

    /// The gateway has an SA of ours, or of its own: a child may come up by it.
    pub(super) fn release(&mut self, ctx: &mut Context<'_>, child: ChildId, inbound: InboundSpi) {
        let Self { children, configuration, .. } = self;
        let Some(child) = children.iter_mut().find(|one| one.id == child) else { return };
        let was_absent = child.standing == Standing::Absent;
        child.release(ctx, inbound, configuration);
        if was_absent && child.standing == Standing::Up && self.first_set.is_none() && self.sign_awaited.is_none() {
            ctx.event(Event::Ready);
        }
    }

    /// An authentic error notify: which quick mode it means, its SPI says, or else it is the oldest (RFC 2408 §3.14).
    pub(super) fn receive_refusal(
        &mut self,
        ctx: &mut Context<'_>,
        cookies: Cookies,
        error: NotifyKind,
        of: Subject,
    ) -> Flow {
        let named = |ours: &Ours| ours.cookies == cookies && of == Subject::Esp(ours.exchange.inbound.to_octets());
        // In the first set there is only one that it can be about, whatever it says.
        let may_be_any = self.first_set.is_some() || !matches!(of, Subject::Esp(_));
        let ours = self.quick_modes.take_ours(named);
        let any = |ours: &Ours| may_be_any && ours.cookies == cookies;
        let Some(ours) = ours.or_else(|| self.quick_modes.take_ours(any)) else { return Flow::Continue(()) };
        let failure = ours.exchange.refused(ctx.profile, error);
        self.quick_mode_failed(ctx, ours.child, failure)
    }

    pub(super) fn repeat_quick_modes(&mut self, ctx: &mut Context<'_>) -> Flow {
        let QuickModes { ours, hints, .. } = &mut self.quick_modes;
        let mut failed = Vec::new();
        ours.retain_mut(|ours| match ours.exchange.repeat(ctx, hints) {
            None => true,
            Some(failure) => {
                failed.push((ours.child, failure));
                false
            }
        });
        let now = ctx.now;
        for (sent, waited) in self.quick_modes.ours.iter().map(|ours| ours.exchange.unanswered(now)) {
            self.liveness.unanswered(now, sent, waited);
        }
        self.repeat_answers(ctx);
        while let Some(theirs) = self.quick_modes.take_theirs(|theirs| theirs.gives_up_at <= now) {
            if let Some(child) = self.children.iter_mut().find(|one| one.id == theirs.child) {
                child.abandon(ctx, theirs.exchange.inbound);
            }
        }
        failed.into_iter().try_for_each(|(child, failure)| {
            self.judge_silence(ctx, &failure)?;
            self.quick_mode_failed(ctx, child, failure)
        })
    }

    /// The third message has no answer: a gateway whose third message was lost says it again when the second comes again.
    fn repeat_answers(&mut self, ctx: &mut Context<'_>) {
        let Self { quick_modes, current, older, .. } = self;
        let now = ctx.now;
        for theirs in quick_modes.theirs.iter_mut().filter(|theirs| theirs.repeat.0 <= now) {
            let mut associations = std::iter::once(&*current).chain(&*older);
            if let Some(association) = associations.find(|one| one.is_named(theirs.cookies)) {
                ctx.transmit(association.sa.path, theirs.exchange.answer.clone());
            }
            let wait = theirs.repeat.1.saturating_mul(2);
            theirs.repeat = (now.after(wait), wait);
        }
    }

    /// The ISAKMP SA of these quick modes is no more: those of ours begin again with another.
    pub(super) fn forget_quick_modes(&mut self, ctx: &mut Context<'_>, cookies: Cookies) {
        while let Some(ours) = self.quick_modes.take_ours(|ours| ours.cookies == cookies) {
            if let Some(child) = self.children.iter_mut().find(|one| one.id == ours.child)
                && child.standing != Standing::Absent
            {
                child.want(ctx.now);
            }
        }
        while let Some(theirs) = self.quick_modes.take_theirs(|theirs| theirs.cookies == cookies) {
            if let Some(child) = self.children.iter_mut().find(|one| one.id == theirs.child) {
                child.abandon(ctx, theirs.exchange.inbound);
            }
        }
        self.quick_modes.finished.retain(|finished| finished.name.cookies != cookies);
    }

    fn quick_mode_failed(&mut self, ctx: &mut Context<'_>, id: ChildId, failure: Failure) -> Flow {
        let Some(child) = self.children.iter_mut().find(|one| one.id == id) else { return Flow::Continue(()) };
        match child.standing {
            Standing::Absent => {
                self.first_refused(ctx, failure);
                Flow::Continue(())
            }
            Standing::Up => {
                child.want_after_failure(ctx.now);
                let Pair { local, remote } = child.pair;
                ctx.event(Event::Notice(format!(
                    "{local} and {remote} could not be given new keys yet: {}",
                    in_words(&failure)
                )));
                Flow::Continue(())
            }
            Standing::Lost => {
                child.give_up(ctx);
                self.none_left(failure)
            }
        }
    }

    /// A session without a child is no use.
    fn none_left(&self, failure: Failure) -> Flow {
        let left = self.first_set.is_some() || self.children.iter().any(|child| child.standing != Standing::Absent);
        if left { Flow::Continue(()) } else { Flow::Break(failure) }
    }

    fn refuse(&mut self, ctx: &mut Context<'_>, cookies: Cookies, error: NotifyKind) {
        if !self.quick_modes.refusals.admits(ctx.now, MOST_REFUSALS) {
            return ctx.dropped(DropReason::Bounded);
        }
        let notify = Notify { protocol: PROTOCOL_ESP, spi: Vec::new(), kind: error.0, data: Vec::new() };
        let content = Informational { notifies: vec![notify], ..Informational::default() };
        if let Some(association) = self.association_mut(cookies) {
            association.inform(ctx, &content);
        }
    }

    /// Not one that is in use (RFC 4303 §2.1).
    fn fresh_spi(&self, ctx: &mut Context<'_>) -> InboundSpi {
        loop {
            let mut octets = [0; 4];
            ctx.random.fill(&mut octets);
            let Some(spi) = InboundSpi::new(u32::from_be_bytes(octets)) else { continue };
            let is_used = self.children.iter().flat_map(|child| child.inbound_spis()).any(|used| used == spi)
                || self.quick_modes.ours.iter().any(|ours| ours.exchange.inbound == spi);
            if !is_used {
                return spi;
            }
        }
    }
}
