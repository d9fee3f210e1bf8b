//! The session after its first ISAKMP SA stands: the current SA, older ones, a renewal under way, the children and their quick modes.

mod admit;
mod association;
mod close;
mod first_set;
mod handover;
mod news;
mod quick_modes;
mod renewal;
mod words;

use std::ops::ControlFlow;
use std::time::Duration;

use crate::ike::action::{Command, Configuration, Deadline, DropReason, Event, Failure, SessionStatus, Timer};
use crate::ike::context::Context;
use crate::ike::liveness::Liveness;
use crate::ike::one_way::{Verdict, in_words, in_words_of_a_question, in_words_of_another};
use crate::ike::timer::earliest;
use crate::ike::v1::State;
use crate::ike::v1::answers::Transaction;
use crate::ike::v1::child::{Child, Standing};
use crate::ike::v1::header::Cookies;
use crate::ike::v1::opening::Opened;
use crate::ike::v1::{mode_config, xauth};
use crate::sa::command::{ChildId, DataCommand, DataReport, LifetimeMark};
use crate::sa::path::Path;
use crate::time::Instant;

pub(in crate::ike) use handover::EstablishedState;

use admit::Admitted;
use association::Association;
use first_set::FirstSet;
use news::Rate;
use quick_modes::QuickModes;
use renewal::Renewal;

/// Timers that are due at one moment set off no more than this many rounds: time goes on, whatever they say.
const MOST_ROUNDS: usize = 64;

/// See the module.
pub(super) struct Established {
    current: Association,
    /// Replaced, and deleted soon; the newest is last.
    older: Vec<Association>,
    renewal: Renewal,
    configuration: Configuration,
    children: Vec<Child>,
    quick_modes: QuickModes,
    first_set: Option<FirstSet>,
    /// The first set is complete for us: until when the gateway's sign of life is waited for.
    sign_awaited: Option<Instant>,
    /// When the gateway is asked for it.
    sign_asked_at: Option<Instant>,
    liveness: Liveness,
    /// Of questions of the gateway's.
    answers: Rate,
    keepalive_at: Option<Instant>,
}

/// Whether the session goes on, or why not.
type Flow = ControlFlow<Failure>;

impl Established {
    /// Starts the first quick mode.
    pub(super) fn start(ctx: &mut Context<'_>, opened: Opened) -> State {
        let Opened { settings, sa, mut configuration, answers } = opened;
        if !ctx.profile.request.asks() {
            configuration.addresses.clone_from(&ctx.profile.request.fixed);
        }
        let mut established = Self {
            renewal: Renewal::new(ctx, settings, &sa, &configuration),
            current: Association::new(ctx, sa, answers),
            older: Vec::new(),
            children: first_set::children(ctx.profile, &configuration),
            configuration,
            quick_modes: QuickModes::default(),
            first_set: Some(FirstSet::default()),
            sign_awaited: None,
            sign_asked_at: None,
            liveness: Liveness::new(ctx.now, ctx.profile.dpd),
            answers: Rate::default(),
            keepalive_at: None,
        };
        established.schedule_keepalive(ctx);
        let flow = established.go_on(ctx);
        Box::new(established).conclude(ctx, flow)
    }

    /// A datagram arrived.
    pub(super) fn handle_datagram(mut self: Box<Self>, ctx: &mut Context<'_>, path: Path, message: &[u8]) -> State {
        let flow = match self.admit(path, message) {
            Ok(admitted) => self.advance(ctx, path, message, admitted),
            Err(reason) => {
                ctx.dropped(reason);
                Flow::Continue(())
            }
        };
        let flow = self.and_go_on(ctx, flow);
        self.conclude(ctx, flow)
    }

    /// The clock moved.
    pub(super) fn handle_timeout(mut self: Box<Self>, ctx: &mut Context<'_>) -> State {
        let mut flow = Flow::Continue(());
        for _ in 0..MOST_ROUNDS {
            if flow.is_break() || self.poll_timeout().is_none_or(|deadline| deadline.at > ctx.now) {
                break;
            }
            flow = self.fire(ctx);
            flow = self.and_go_on(ctx, flow);
        }
        self.conclude(ctx, flow)
    }

    /// Somebody wants something.
    pub(super) fn handle_command(mut self: Box<Self>, ctx: &mut Context<'_>, command: Command) -> State {
        let flow = match command {
            // There is no answer to a delete: what was sent is all that can be done.
            Command::Close => Flow::Break(Failure::ClosedByUs { confirmed: true }),
            Command::ProbeLiveness => {
                self.probe(ctx);
                Flow::Continue(())
            }
            Command::Adopt(upkeep) => {
                self.liveness.adopt(upkeep.dpd);
                self.schedule_keepalive(ctx);
                self.renewal.adopt(upkeep);
                Flow::Continue(())
            }
            Command::Roam(_) => Flow::Continue(()),
            Command::ProbePath { octets } => {
                self.probe_path(ctx, octets);
                Flow::Continue(())
            }
        };
        self.conclude(ctx, flow)
    }

    /// News from the packet path.
    pub(super) fn handle_report(mut self: Box<Self>, ctx: &mut Context<'_>, report: DataReport) -> State {
        match report {
            DataReport::InboundSeen { child, spi } => {
                self.heard(ctx);
                self.liveness.heard_packet(ctx.now);
                self.sign_came(ctx);
                let Self { children, configuration, .. } = &mut *self;
                if let Some(child) = children.iter_mut().find(|one| one.id == child) {
                    child.inbound_seen(ctx, spi, configuration);
                }
            }
            DataReport::OutboundSent { child } => {
                self.liveness.used(ctx.now);
                self.child_sent(ctx, child);
            }
            DataReport::Lifetime { child, mark } => self.used_up(ctx, child, mark),
            // It restarted, or keeps an SA that we forgot: untrusted, so it is asked.
            DataReport::UnknownSpi { .. } => {
                self.children.iter_mut().for_each(Child::answered_elsewhere);
                if self.liveness.take_hint(ctx.now) {
                    self.probe(ctx);
                }
            }
            DataReport::NoChild | DataReport::Unreachable | DataReport::PathMtu { .. } => {}
        }
        let flow = self.go_on(ctx);
        self.conclude(ctx, flow)
    }

    /// When `handle_timeout` has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        let deadline = |timer| move |at| Deadline { at, timer };
        let children = self.children.iter().map(Child::deadline);
        let older = self.older.iter().filter_map(|association| association.delete_at).min();
        let own = [
            self.current.sa.ends_at.map(deadline(Timer::Lifetime)),
            self.quick_modes.deadline(),
            self.renewal.deadline(),
            self.keepalive_at.map(deadline(Timer::Keepalive)),
            if self.can_ask() { self.current.dpd.deadline(&self.liveness) } else { None },
            older.map(deadline(Timer::Wait)),
            self.sign_awaited.map(deadline(Timer::Wait)),
            self.sign_asked_at.map(deadline(Timer::Wait)),
        ];
        earliest(own.into_iter().chain(children))
    }

    /// Whether the gateway is probably dead.
    pub(super) const fn is_suspected(&self) -> bool {
        self.liveness.is_suspected()
    }

    /// As people see it.
    pub(super) fn status(&self) -> SessionStatus {
        let Cookies { initiator, responder } = self.current.sa.cookies;
        SessionStatus {
            state: if self.first_set.is_some() || self.sign_awaited.is_some() { "quick mode" } else { "established" },
            spis: (initiator, responder),
            suite: Some(self.current.sa.suite),
            path: self.current.sa.path,
        }
    }

    fn advance(&mut self, ctx: &mut Context<'_>, path: Path, message: &[u8], admitted: Admitted) -> Flow {
        match admitted {
            Admitted::Repeated { cookies } => {
                if let Some(association) = self.association_mut(cookies) {
                    association.answers.repeat(ctx, message);
                }
                Flow::Continue(())
            }
            Admitted::Transaction { cookies, transaction } => {
                self.receive_transaction(ctx, cookies, &transaction, message)
            }
            Admitted::Renewal => self.renewal_datagram(ctx, path, message),
            Admitted::Hint(name) => self.receive_hint(ctx, name),
            Admitted::Answer { exchange, answer } => self.receive_answer(ctx, exchange, *answer, message),
            Admitted::Request { cookies, request } => {
                self.receive_request(ctx, cookies, *request, message);
                Flow::Continue(())
            }
            Admitted::Confirmation { exchange } => {
                self.receive_confirmation(ctx, exchange);
                Flow::Continue(())
            }
            Admitted::News { cookies, message_id, news } => self.receive_news(ctx, cookies, message_id, &news),
        }
    }

    /// Everything that is due at `ctx.now`.
    fn fire(&mut self, ctx: &mut Context<'_>) -> Flow {
        let now = ctx.now;
        if self.current.sa.ends_at.is_some_and(|end| end <= now) {
            return Flow::Break(Failure::LifetimeEnded);
        }
        self.age_children(ctx);
        self.repeat_quick_modes(ctx)?;
        if self.keepalive_at.is_some_and(|at| at <= now) {
            ctx.data(DataCommand::Keepalive { path: self.current.sa.path });
            self.schedule_keepalive(ctx);
        }
        self.ask_for_sign(ctx);
        self.sign_missing(ctx);
        self.dpd_timeout(ctx)?;
        self.renewal_timeout(ctx)?;
        self.delete_older(ctx);
        Flow::Continue(())
    }

    fn and_go_on(&mut self, ctx: &mut Context<'_>, flow: Flow) -> Flow {
        flow?;
        self.go_on(ctx)
    }

    /// Begins whatever quick mode is wanted.
    fn go_on(&mut self, ctx: &mut Context<'_>) -> Flow {
        self.advance_first_set(ctx)?;
        self.begin_replacements(ctx)
    }

    fn age_children(&mut self, ctx: &mut Context<'_>) {
        let Self { children, configuration, quick_modes, .. } = self;
        let mut ended = Vec::new();
        for child in children {
            let aged = child.handle_timeout(ctx, configuration);
            if aged.is_lost && !quick_modes.is_ours_for(child.id) {
                child.want(ctx.now);
            }
            ended.extend(aged.ended);
        }
        // A gateway with a longer lifetime would keep one old SA a replacement.
        self.delete_children(ctx, &ended);
    }

    /// Packets of a child were sent. Where they go out only although the gateway answers, it may have lost the child, or its delete was lost (RFC 2409
    /// §5.7: nobody answers one): a quick mode makes another. A gateway that answers no questions is taken to live until that has no answer.
    fn child_sent(&mut self, ctx: &mut Context<'_>, child: ChildId) {
        let is_unasked = self.asks_by_quick_modes();
        let silence = if is_unasked { Duration::ZERO } else { self.liveness.silence(ctx.now) };
        let is_replaced = self.quick_modes.is_ours_for(child);
        let is_it = |one: &&mut Child| one.id == child && one.standing == Standing::Up && !is_replaced;
        let Some(child) = self.children.iter_mut().find(is_it) else { return };
        match child.sent(ctx.now, silence) {
            (Verdict::Ask, _) if self.liveness.asks() => self.probe(ctx),
            (Verdict::Replace { silent }, Some(outbound)) => {
                let words =
                    if is_unasked { in_words_of_a_question(outbound, silent) } else { in_words(outbound, silent) };
                ctx.event(Event::Notice(words));
            }
            (Verdict::Succeed { silent }, _) => {
                ctx.event(Event::Notice(in_words_of_another(silent)));
                ctx.event(Event::Expiring);
            }
            (Verdict::Fine | Verdict::Ask | Verdict::Replace { .. }, _) => {}
        }
    }

    fn used_up(&mut self, ctx: &mut Context<'_>, child: ChildId, mark: LifetimeMark) {
        let Some(child) = self.children.iter_mut().find(|one| one.id == child) else { return };
        if self.quick_modes.is_ours_for(child.id) {
            return;
        }
        match mark {
            LifetimeMark::Soft => child.run_out(ctx.now),
            // The packet path uses it no more: there is nothing to lose.
            LifetimeMark::Hard if child.standing == Standing::Up => child.run_out(ctx.now),
            LifetimeMark::Hard => {}
        }
    }

    /// RFC 2408 §5.2: what is not protected changes nothing; it may be a reason to ask.
    fn receive_hint(&mut self, ctx: &mut Context<'_>, name: Option<String>) -> Flow {
        ctx.dropped(DropReason::Unauthenticated);
        if let Some(name) = name {
            self.quick_modes.note_hint(name);
        }
        if self.liveness.take_hint(ctx.now) {
            self.probe(ctx);
        }
        Flow::Continue(())
    }

    /// The gateway may set attributes at any time. XAUTH was over before; where it was not agreed on, a gateway that asks for it takes no quick mode.
    fn receive_transaction(
        &mut self,
        ctx: &mut Context<'_>,
        cookies: Cookies,
        transaction: &Transaction,
        message: &[u8],
    ) -> Flow {
        let is_stuck = self.first_set.is_some() && !self.renewal.has_xauth();
        let Some(association) = self.association_mut(cookies) else { return Flow::Continue(()) };
        let Association { sa, answers, .. } = association;
        if is_stuck && xauth::is_request(&transaction.attributes) {
            xauth::refuse(ctx, sa, answers, transaction, message);
            return Flow::Break(Failure::XauthWanted);
        }
        match mode_config::answer_late(ctx, sa, answers, transaction, message) {
            Ok(()) => self.heard(ctx),
            Err(reason) => ctx.dropped(reason),
        }
        Flow::Continue(())
    }

    /// ESP is always encapsulated in UDP here, so there may be a mapping to keep even where no NAT was seen: a firewall has them too.
    fn schedule_keepalive(&mut self, ctx: &Context<'_>) {
        let every = ctx.profile.keepalive;
        self.keepalive_at = if every.is_zero() { None } else { Some(ctx.now.after(every)) };
    }

    /// Whether a datagram with these cookies may be for us.
    pub(super) fn owns(&self, cookies: Cookies) -> bool {
        self.association(cookies).is_some() || self.renewal.owns(cookies)
    }

    fn association(&self, cookies: Cookies) -> Option<&Association> {
        std::iter::once(&self.current).chain(&self.older).find(|one| one.is_named(cookies))
    }

    fn association_mut(&mut self, cookies: Cookies) -> Option<&mut Association> {
        std::iter::once(&mut self.current).chain(&mut self.older).find(|one| one.is_named(cookies))
    }

    fn conclude(mut self: Box<Self>, ctx: &mut Context<'_>, flow: Flow) -> State {
        match flow {
            Flow::Continue(()) => State::Established(self),
            Flow::Break(failure) => match self.take_leave(ctx, &failure) {
                Some(renewal) => State::Opening(renewal),
                None => State::end(ctx, self.status(), failure),
            },
        }
    }
}

#[cfg(test)]
mod tests;
