//! An IKE SA whose peer proved who it is, with its child: what comes is answered, life is asked for, time is kept, and it is closed in order.
//! It makes no SA; a peer that wants one made or replaced is refused, and the session ends when a lifetime does.

mod admit;
mod answer;

use std::ops::ControlFlow;
use std::time::Duration;

use crate::ike::action::{Command, Deadline, DropReason, Event, Failure, Phase, SessionStatus, Timer};
use crate::ike::context::Context;
use crate::ike::liveness::Liveness;
use crate::ike::profile::RetransmissionPolicy;
use crate::ike::retransmit::{Retransmission, Verdict};
use crate::ike::timer::{earliest, percent_of, random_part};
use crate::ike::v2::exchange::{OurRequests, Request, seal_datagrams};
use crate::ike::v2::fragment::{Fragment, FragmentFault, Progress, Sizes};
use crate::ike::v2::message::notify::{Notify, first_error};
use crate::ike::v2::message::{Delete, Informational, MessageError};
use crate::ike::v2::protect::{Opened, SealError};
use crate::ike::v2::window::PeerRequests;
use crate::ike::v2::{ChildRecord, EstablishedParts, State};
use crate::ike::wire::chain::parse_inner;
use crate::ike::wire::header::{Flags, Header};
use crate::ike::wire::registry::{ExchangeType, NotifyType, PayloadType};
use crate::sa::command::{DataCommand, DataReport, LifetimeMark};
use crate::sa::path::Path;
use crate::time::Instant;

use admit::Admitted;

/// The answer to our DELETE is waited for this long.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// Within that time the DELETE is repeated often: somebody waits for us to be gone.
const CLOSING_POLICY: RetransmissionPolicy = RetransmissionPolicy {
    first: Duration::from_millis(150),
    growth_percent: 150,
    longest: Duration::from_millis(500),
    repetitions: 16,
    jitter_percent: 20,
};

/// A lifetime ends up to this share earlier, at random, so that SAs made together do not end together (RFC 7296 §2.8.1).
const LIFETIME_SPREAD_PERCENT: u32 = 10;

/// Our first request here: IKE_SA_INIT was 0, IKE_AUTH was 1.
const OUR_FIRST_MESSAGE_ID: u32 = 2;

/// The state of an IKE SA in use.
pub(super) struct Established {
    parts: EstablishedParts,
    peers: PeerRequests,
    ours: OurRequests,
    liveness: Liveness,
    keepalive_at: Option<Instant>,
    ends_at: Option<Instant>,
    closing: Option<Closing>,
}

struct Closing {
    until: Instant,
    failure: Failure,
}

/// Whether the session goes on, or why not.
type Flow = ControlFlow<Failure>;

impl Established {
    /// From what IKE_AUTH left behind, and the notifies that came with it.
    pub(super) fn new(parts: EstablishedParts, notifies: &[Notify], ctx: &mut Context<'_>) -> Box<Self> {
        let profile = ctx.profile;
        let ike_end = profile.ike_lifetime.time.map(|time| (parts.established_at, time));
        let child_end =
            parts.child.as_ref().and_then(|child| Some((child.established_at, profile.child.lifetime.time?)));
        let ends_at = [ike_end, child_end].into_iter().flatten().map(|(from, time)| end_of(from, time, ctx)).min();
        let mut established = Self {
            peers: PeerRequests::from(0),
            ours: OurRequests::from(OUR_FIRST_MESSAGE_ID),
            liveness: Liveness::new(ctx.now, profile.dpd),
            keepalive_at: None,
            ends_at,
            closing: None,
            parts,
        };
        established.schedule_keepalive(ctx);
        notifies.iter().for_each(|notify| established.take_note(ctx, notify));
        Box::new(established)
    }

    /// A datagram arrived.
    pub(super) fn handle_datagram(mut self: Box<Self>, ctx: &mut Context<'_>, path: Path, datagram: &[u8]) -> State {
        let flow = match self.admit(path, datagram) {
            Ok(Admitted::Repetition) => {
                self.repeat_reply(ctx, path);
                Flow::Continue(())
            }
            Ok(Admitted::Request(opened)) => self.receive_request(ctx, path, datagram, opened),
            Ok(Admitted::Response(opened)) => self.receive_response(ctx, opened),
            Ok(Admitted::Hint) => self.receive_hint(ctx),
            Err(reason) => {
                ctx.dropped(reason);
                Flow::Continue(())
            }
        };
        self.conclude(ctx, flow)
    }

    /// The clock moved.
    pub(super) fn handle_timeout(mut self: Box<Self>, ctx: &mut Context<'_>) -> State {
        let mut flow = Flow::Continue(());
        // RFC 7296 §2.8: after a clock that jumped, not one packet comes before the end of a lifetime that is over.
        if self.closing.is_none() && self.ends_at.is_some_and(|end| end <= ctx.now) {
            flow = self.fire(ctx, Timer::Lifetime);
        }
        while let (Flow::Continue(()), Some(deadline)) = (&flow, self.poll_timeout()) {
            if deadline.at > ctx.now {
                break;
            }
            flow = self.fire(ctx, deadline.timer);
        }
        self.conclude(ctx, flow)
    }

    /// Somebody wants something.
    pub(super) fn handle_command(mut self: Box<Self>, ctx: &mut Context<'_>, command: Command) -> State {
        let flow = match command {
            Command::Close => self.close(ctx, Failure::ClosedByUs { confirmed: false }),
            Command::ProbeLiveness => self.probe(ctx),
        };
        self.conclude(ctx, flow)
    }

    /// News from the packet path.
    pub(super) fn handle_report(mut self: Box<Self>, ctx: &mut Context<'_>, report: DataReport) -> State {
        let is_ours = |child| self.parts.child.as_ref().is_some_and(|ours| ours.id == child);
        let flow = match report {
            DataReport::InboundSeen { child, .. } if is_ours(child) => {
                self.liveness.heard(ctx.now);
                Flow::Continue(())
            }
            DataReport::OutboundSent { child } if is_ours(child) => {
                self.liveness.used();
                Flow::Continue(())
            }
            // RFC 7296 §2.8: an SA is not used beyond its lifetime.
            DataReport::Lifetime { child, mark: LifetimeMark::Hard } if is_ours(child) => {
                self.close(ctx, Failure::LifetimeEnded)
            }
            // RFC 7296 §2.4: it restarted, or keeps an SA that we forgot: untrusted, so it is asked.
            DataReport::UnknownSpi { .. } if self.closing.is_none() && self.liveness.take_hint(ctx.now) => {
                self.probe(ctx)
            }
            DataReport::InboundSeen { .. }
            | DataReport::OutboundSent { .. }
            | DataReport::Lifetime { .. }
            | DataReport::NoChild
            | DataReport::UnknownSpi { .. }
            | DataReport::PathMtu { .. } => Flow::Continue(()),
        };
        self.conclude(ctx, flow)
    }

    /// When `handle_timeout` has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        let deadline = |timer| move |at| Deadline { at, timer };
        let repeat = self.ours.deadline().map(deadline(Timer::Retransmit));
        let pieces = self.peers.deadline().map(deadline(Timer::Wait));
        if let Some(closing) = &self.closing {
            return earliest([repeat, pieces, Some(Deadline { at: closing.until, timer: Timer::Wait })]);
        }
        let ask = if self.ours.is_idle() { self.liveness.due() } else { None };
        earliest([
            repeat,
            pieces,
            ask.map(deadline(Timer::Liveness)),
            self.keepalive_at.map(deadline(Timer::Keepalive)),
            self.ends_at.map(deadline(Timer::Lifetime)),
        ])
    }

    /// As people see it.
    pub(super) fn status(&self) -> SessionStatus {
        let (ours, theirs) = self.parts.spis;
        SessionStatus {
            state: if self.closing.is_some() { "closing" } else { "established" },
            spis: (ours, Some(theirs)),
            suite: Some(self.parts.suite),
            path: self.parts.path,
        }
    }

    /// An IKE SA whose child cannot be had is closed at once, and `failure` says why (RFC 7296 §2.21.2).
    pub(super) fn close_for(mut self: Box<Self>, ctx: &mut Context<'_>, failure: Failure) -> State {
        let flow = self.close(ctx, failure);
        self.conclude(ctx, flow)
    }

    fn conclude(mut self: Box<Self>, ctx: &mut Context<'_>, flow: Flow) -> State {
        match flow {
            Flow::Continue(()) => State::Established(self),
            Flow::Break(failure) => {
                self.remove_child(ctx);
                State::end(ctx, self.status(), failure)
            }
        }
    }

    fn receive_response(&mut self, ctx: &mut Context<'_>, opened: Opened) -> Flow {
        let (first, inner) = match put_together(opened, |fragment| self.ours.insert(fragment)) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Flow::Continue(()),
            Err(reason) => {
                ctx.dropped(reason);
                return Flow::Continue(());
            }
        };
        self.liveness.heard(ctx.now);
        let answer = parse_inner(first, &inner).map_err(MessageError::from).and_then(|raw| Informational::parse(&raw));
        match (self.ours.finish(), answer) {
            // Whatever it says: the peer had our request and has no IKE SA to go on with.
            (Some(Request::DeleteIkeSa), _) => {
                Flow::Break(self.closing.take().map_or(Failure::ClosedByPeer, |closing| confirmed(closing.failure)))
            }
            // RFC 7296 §2.21.3.
            (_, Ok(answer))
                if first_error(&answer.notifies).is_some_and(|it| it.kind == NotifyType::INVALID_SYNTAX) =>
            {
                let notify = NotifyType::INVALID_SYNTAX.to_string();
                Flow::Break(Failure::Refused { phase: Phase::Informational, notify })
            }
            (_, Ok(_)) => self.go_on(ctx),
            // RFC 7296 §2.21.3: an answer is never answered with an error; the peer is alive, and that was the question.
            (_, Err(error)) => {
                ctx.event(Event::Notice(format!("the gateway's response cannot be read: {error}")));
                self.go_on(ctx)
            }
        }
    }

    /// RFC 7296 §2.4, §2.21.4: what is not protected changes nothing; it may be a reason to ask.
    fn receive_hint(&mut self, ctx: &mut Context<'_>) -> Flow {
        ctx.dropped(DropReason::Unauthenticated);
        if self.closing.is_none() && self.liveness.take_hint(ctx.now) { self.probe(ctx) } else { Flow::Continue(()) }
    }

    fn fire(&mut self, ctx: &mut Context<'_>, timer: Timer) -> Flow {
        match timer {
            Timer::Retransmit => self.repeat_request(ctx),
            Timer::Liveness => self.probe(ctx),
            Timer::Keepalive => {
                ctx.data(DataCommand::Keepalive { path: self.parts.path });
                self.schedule_keepalive(ctx);
                Flow::Continue(())
            }
            Timer::Lifetime => self.close(ctx, Failure::LifetimeEnded),
            Timer::Wait => {
                self.peers.give_up_pieces(ctx.now);
                match self.closing.take_if(|closing| closing.until <= ctx.now) {
                    Some(closing) => Flow::Break(closing.failure),
                    None => Flow::Continue(()),
                }
            }
        }
    }

    fn repeat_request(&mut self, ctx: &mut Context<'_>) -> Flow {
        let is_question = self.closing.is_none() && self.ours.is_asking(Request::Liveness);
        match self.ours.handle_timeout(ctx.now, ctx.random) {
            Verdict::Wait => Flow::Continue(()),
            Verdict::Repeat { datagrams, repetition } => {
                let datagrams = datagrams.to_vec();
                datagrams.into_iter().for_each(|message| ctx.transmit(self.parts.path, message));
                ctx.event(Event::Repeating { exchange: Phase::Informational, repetition });
                Flow::Continue(())
            }
            // RFC 7296 §2.4: packets that came meanwhile are life as well. The question stays open: its message ID is used.
            Verdict::GiveUp { waited, .. } if is_question && self.liveness.silence(ctx.now) < waited => {
                self.ours.restart(ctx.now, ctx.random);
                Flow::Continue(())
            }
            // RFC 7296 §2.4: the IKE SA and its children are closed without a word.
            Verdict::GiveUp { .. } => Flow::Break(match self.closing.take() {
                Some(closing) => closing.failure,
                None => Failure::PeerDead { silent: self.liveness.silence(ctx.now) },
            }),
        }
    }

    fn probe(&mut self, ctx: &mut Context<'_>) -> Flow {
        if self.closing.is_none() {
            self.ours.ask(Request::Liveness);
        }
        self.send_next(ctx)
    }

    /// Stops the traffic, asks the peer to close, and waits for its answer for a while.
    fn close(&mut self, ctx: &mut Context<'_>, failure: Failure) -> Flow {
        self.remove_child(ctx);
        if let Some(closing) = &mut self.closing {
            if matches!(failure, Failure::ClosedByUs { .. }) {
                closing.failure = failure;
            }
            return Flow::Continue(());
        }
        self.closing = Some(Closing { until: ctx.now.after(CLOSING_TIME), failure });
        self.ours.drop_queued();
        self.ours.hurry(ctx.now, CLOSING_POLICY, ctx.random);
        self.ours.ask(Request::DeleteIkeSa);
        self.send_next(ctx)
    }

    fn go_on(&mut self, ctx: &mut Context<'_>) -> Flow {
        if self.ours.ids_are_used_up() && self.closing.is_none() {
            return self.close(ctx, Failure::LifetimeEnded);
        }
        self.send_next(ctx)
    }

    fn send_next(&mut self, ctx: &mut Context<'_>) -> Flow {
        let Some((message_id, request)) = self.ours.take_turn() else { return Flow::Continue(()) };
        let content = match request {
            Request::Liveness => Informational::default(),
            Request::DeleteIkeSa => Informational { deletes: vec![Delete::ike_sa()], ..Informational::default() },
        };
        let Ok(datagrams) = self.seal(ctx, message_id, request.exchange(), Direction::Request, &content) else {
            return Flow::Break(self.closing.take().map_or(Failure::LifetimeEnded, |closing| closing.failure));
        };
        datagrams.iter().for_each(|message| ctx.transmit(self.parts.path, message.clone()));
        let policy = match request {
            _ if self.closing.is_some() => CLOSING_POLICY,
            Request::Liveness => self.liveness.question(),
            Request::DeleteIkeSa => ctx.profile.retransmission,
        };
        self.ours.start(message_id, request, Retransmission::start(ctx.now, datagrams, policy, ctx.random));
        Flow::Continue(())
    }

    fn seal(
        &mut self,
        ctx: &mut Context<'_>,
        message_id: u32,
        exchange: ExchangeType,
        direction: Direction,
        content: &Informational,
    ) -> Result<Vec<Vec<u8>>, SealError> {
        let contents = content.contents().map_err(|_| SealError::TooLong)?;
        let (initiator_spi, responder_spi) = self.parts.spis;
        let header = Header {
            initiator_spi,
            responder_spi: Some(responder_spi),
            next_payload: PayloadType::NONE,
            major: 2,
            minor: 0,
            exchange,
            flags: Flags { initiator: true, response: direction == Direction::Response },
            message_id,
        };
        let limit = ctx.profile.fragmentation.filter(|_| self.parts.capabilities.fragmentation);
        let sizes = limit.map(|limit| Sizes::new(self.parts.protection.protection(), limit, &self.parts.path));
        seal_datagrams(&mut self.parts.protection, &header, &contents, sizes, ctx.random)
    }

    fn remove_child(&mut self, ctx: &mut Context<'_>) {
        if let Some(ChildRecord { id, .. }) = self.parts.child.take() {
            ctx.data(DataCommand::RemoveChild { child: id });
        }
        self.keepalive_at = None;
    }

    /// ESP is always encapsulated in UDP here, so there may be a mapping to keep even where no NAT was seen: a firewall has them too.
    fn schedule_keepalive(&mut self, ctx: &Context<'_>) {
        let every = ctx.profile.keepalive;
        self.keepalive_at = if every.is_zero() { None } else { Some(ctx.now.after(every)) };
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
}

fn confirmed(failure: Failure) -> Failure {
    match failure {
        Failure::ClosedByUs { .. } => Failure::ClosedByUs { confirmed: true },
        other => other,
    }
}

fn end_of(from: Instant, time: Duration, ctx: &mut Context<'_>) -> Instant {
    let earlier = random_part(percent_of(time, LIFETIME_SPREAD_PERCENT), ctx.random);
    from.after(time.saturating_sub(earlier))
}

/// The first payload's type and the inner chain, once all of it is there.
fn put_together(
    opened: Opened,
    insert: impl FnOnce(Fragment) -> Result<Progress, FragmentFault>,
) -> Result<Option<(PayloadType, Vec<u8>)>, DropReason> {
    let Some(number) = opened.fragment else { return Ok(Some((opened.first, opened.content))) };
    let Opened { header, first, content, .. } = opened;
    match insert(Fragment { exchange: header.exchange, number, first, content }) {
        Ok(Progress::Incomplete) => Ok(None),
        Ok(Progress::Complete { first, inner, .. }) => Ok(Some((first, inner))),
        Err(FragmentFault::TooLarge) => Err(DropReason::Bounded),
        Err(FragmentFault::Number | FragmentFault::Duplicate | FragmentFault::Stale) => Err(DropReason::Fragment),
    }
}

#[cfg(test)]
mod tests;
