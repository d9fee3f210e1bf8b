//! An IKE SA whose peer proved who it is, with its child: what comes is answered, life is asked for, both are replaced before their time is
//! over, and all is closed in order.

mod admit;
mod answer;
mod associations;
mod handover;
mod mobike;
mod path_probe;
mod rekey_child;
mod rekey_ike;
mod rescue;
mod respond;
mod response;

use std::ops::ControlFlow;
use std::time::Duration;

use crate::ike::action::{Command, Deadline, DropReason, Event, Failure, Phase, SessionStatus, Timer};
use crate::ike::context::Context;
use crate::ike::liveness::Liveness;
use crate::ike::profile::RetransmissionPolicy;
use crate::ike::retransmit::{Retransmission, Verdict};
use crate::ike::timer::earliest;
use crate::ike::v2::auth::PeerAuthenticated;
use crate::ike::v2::capabilities::Capabilities;
use crate::ike::v2::child::Child;
use crate::ike::v2::exchange::{Cut, Request};
use crate::ike::v2::ike_sa::{Direction, IkeSa};
use crate::ike::v2::message::notify::Notify;
use crate::ike::v2::message::{Delete, Informational};
use crate::ike::v2::protect::SealError;
use crate::ike::v2::{EstablishedParts, State};
use crate::ike::wire::chain::Contents;
use crate::ike::wire::registry::ProtocolId;
use crate::sa::command::{ChildId, DataCommand, DataReport, LifetimeMark};
use crate::sa::path::Path;
use crate::sa::spi::IkeSpi;
use crate::sa::suite::Group;
use crate::time::Instant;

use admit::Admitted;
use associations::Older;
use mobike::Mobility;
use rekey_child::ChildExchange;
use rekey_ike::IkeExchange;
use rescue::Rescue;

pub(in crate::ike) use handover::EstablishedState;
pub(super) use rekey_child::random_spi;

/// The answer to our DELETE is waited for this long.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// Within that time the DELETE is repeated often: somebody waits for us to be gone.
pub(super) const CLOSING_POLICY: RetransmissionPolicy = RetransmissionPolicy {
    first: Duration::from_millis(150),
    growth_percent: 150,
    longest: Duration::from_millis(500),
    repetitions: 16,
    jitter_percent: 20,
};

/// A peer that says TEMPORARY_FAILURE for so long has lost its way: all is made anew (RFC 7296 §2.25).
const LONGEST_REFUSAL: Duration = Duration::from_secs(300);

/// The state of an IKE SA in use, and of those that it replaced or that lost against it.
pub(super) struct Established {
    /// Nobody reads it: that it is here is the point. An IKE SA that is rekeyed inherits it.
    _proof: PeerAuthenticated,
    current: IkeSa,
    older: Vec<Older>,
    path: Path,
    mobility: Mobility,
    capabilities: Capabilities,
    child: Option<Child>,
    child_exchange: Option<ChildExchange>,
    ike_exchange: Option<IkeExchange>,
    /// The group that the peer was last known to take for children.
    pfs: Option<Group>,
    /// Groups that the peer asked for since its last other answer.
    groups_tried: u8,
    /// The group that the peer wants for the next IKE SA, when it is not the current one's.
    ike_group: Option<Group>,
    /// The first child's group is being proven: `Event::Ready` waits for it.
    verifying: bool,
    liveness: Liveness,
    keepalive_at: Option<Instant>,
    rekey_ike_at: Option<Instant>,
    /// When the current IKE SA must not be used any more.
    ike_end: Option<Instant>,
    /// When authentication must have been repeated (RFC 4478).
    ends_at: Option<Instant>,
    /// For what the peer does not keep.
    rescue: Rescue,
    /// Since when everything that we ask for is put off.
    refused_since: Option<Instant>,
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
        let EstablishedParts { proof, sa, path, capabilities, child } = parts;
        let profile = ctx.profile;
        let has_pfs = profile.child.offers.iter().any(|offer| !offer.pfs.is_empty());
        let verifying = child.is_some() && profile.child.verify_pfs && has_pfs;
        let mut established = Self {
            _proof: proof,
            current: sa,
            older: Vec::new(),
            path,
            mobility: Mobility::new(path),
            capabilities,
            child,
            child_exchange: None,
            ike_exchange: None,
            pfs: None,
            groups_tried: 0,
            ike_group: None,
            verifying,
            liveness: Liveness::new(ctx.now, profile.dpd),
            keepalive_at: None,
            rekey_ike_at: None,
            ike_end: None,
            ends_at: None,
            rescue: Rescue::default(),
            refused_since: None,
            closing: None,
        };
        established.schedule_keepalive(ctx);
        established.schedule_ike_rekey(ctx);
        established.rescue.child_made(ctx.now);
        notifies.iter().for_each(|notify| established.take_note(ctx, notify));
        established.take_addresses(notifies);
        Box::new(established)
    }

    /// The child is there: people are told, or first its group is proven.
    pub(super) fn begin(mut self: Box<Self>, ctx: &mut Context<'_>) -> State {
        let flow = if self.verifying {
            self.current.ours.ask(Request::RekeyChild);
            self.send_next(ctx)
        } else {
            ctx.event(Event::Ready);
            Flow::Continue(())
        };
        self.conclude(ctx, flow)
    }

    /// A datagram arrived.
    pub(super) fn handle_datagram(mut self: Box<Self>, ctx: &mut Context<'_>, path: Path, datagram: &[u8]) -> State {
        let flow = match self.admit(path, datagram) {
            Ok(Admitted::Repetition(name)) => {
                self.repeat_reply(ctx, name, path);
                Flow::Continue(())
            }
            Ok(Admitted::Request(name, opened)) => self.receive_request(ctx, name, path, datagram, opened),
            Ok(Admitted::Response(name, opened)) => self.receive_response(ctx, name, opened),
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
        // RFC 7296 §2.8: after a clock that jumped, not one packet comes before the end of a lifetime that is over.
        let mut flow = if self.closing.is_none() { self.age(ctx) } else { Flow::Continue(()) };
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
            Command::Adopt(upkeep) => {
                self.liveness.adopt(upkeep.dpd);
                if self.closing.is_none() {
                    self.schedule_keepalive(ctx);
                }
                Flow::Continue(())
            }
            Command::Roam(path) => self.roam(ctx, path),
            Command::ProbePath { octets } => self.probe_path(ctx, octets),
        };
        self.conclude(ctx, flow)
    }

    /// News from the packet path.
    pub(super) fn handle_report(mut self: Box<Self>, ctx: &mut Context<'_>, report: DataReport) -> State {
        let is_ours = |child: ChildId| self.child.as_ref().is_some_and(|ours| ours.id == child);
        let flow = match report {
            DataReport::InboundSeen { child, spi } if is_ours(child) => {
                self.liveness.heard_packet(ctx.now);
                if let Some(child) = &mut self.child {
                    child.inbound_seen(ctx, spi);
                }
                Flow::Continue(())
            }
            DataReport::OutboundSent { child } if is_ours(child) => {
                self.liveness.used(ctx.now);
                self.child_sent(ctx)
            }
            // RFC 7296 §2.8: an SA is not used beyond its lifetime.
            DataReport::Lifetime { child, mark: LifetimeMark::Hard } if is_ours(child) => self.used_up(ctx),
            DataReport::Lifetime { child, mark: LifetimeMark::Soft } if is_ours(child) => {
                if let Some(child) = &mut self.child {
                    child.run_out(ctx.now);
                }
                self.age(ctx)
            }
            // RFC 7296 §2.4: it restarted, or keeps an SA that we forgot: untrusted, so it is asked.
            DataReport::UnknownSpi { .. } => {
                self.child.iter_mut().for_each(Child::answered_elsewhere);
                let asks = self.closing.is_none() && self.liveness.take_hint(ctx.now);
                if asks { self.probe(ctx) } else { Flow::Continue(()) }
            }
            DataReport::InboundSeen { .. }
            | DataReport::OutboundSent { .. }
            | DataReport::Lifetime { .. }
            | DataReport::NoChild
            | DataReport::Unreachable
            | DataReport::PathMtu { .. } => Flow::Continue(()),
        };
        self.conclude(ctx, flow)
    }

    /// When `handle_timeout` has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        let deadline = |timer| move |at| Deadline { at, timer };
        let repeat = self.current.ours.deadline().map(deadline(Timer::Retransmit));
        let pieces = self.current.peers.deadline().map(deadline(Timer::Wait));
        if let Some(closing) = &self.closing {
            return earliest([repeat, pieces, Some(Deadline { at: closing.until, timer: Timer::Wait })]);
        }
        let ask = if self.current.ours.is_idle() { self.liveness.due() } else { None };
        let older = self.older.iter().map(|older| older.deadline());
        let child = self.child.as_ref().and_then(Child::deadline);
        earliest(older.chain([
            repeat,
            pieces,
            child,
            self.rescue.deadline(),
            ask.map(deadline(Timer::Liveness)),
            self.keepalive_at.map(deadline(Timer::Keepalive)),
            self.rekey_ike_at.map(deadline(Timer::Lifetime)),
            self.ends_at.map(deadline(Timer::Lifetime)),
            self.ike_end.map(deadline(Timer::Lifetime)),
        ]))
    }

    /// Whether the gateway is probably dead.
    pub(super) const fn is_suspected(&self) -> bool {
        self.closing.is_none() && self.liveness.is_suspected()
    }

    /// As people see it.
    pub(super) fn status(&self) -> SessionStatus {
        let (ours, theirs) = self.current.spis;
        SessionStatus {
            state: if self.closing.is_some() { "closing" } else { "established" },
            spis: (ours, Some(theirs)),
            suite: Some(self.current.suite),
            path: self.path,
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

    /// RFC 7296 §2.4, §2.21.4: what is not protected changes nothing; it may be a reason to ask.
    fn receive_hint(&mut self, ctx: &mut Context<'_>) -> Flow {
        ctx.dropped(DropReason::Unauthenticated);
        if self.closing.is_none() && self.liveness.take_hint(ctx.now) { self.probe(ctx) } else { Flow::Continue(()) }
    }

    fn fire(&mut self, ctx: &mut Context<'_>, timer: Timer) -> Flow {
        match timer {
            Timer::Retransmit => {
                self.repeat_older(ctx);
                self.repeat_request(ctx)
            }
            Timer::Liveness => self.probe(ctx),
            Timer::Keepalive => {
                ctx.data(DataCommand::Keepalive { path: self.path });
                self.schedule_keepalive(ctx);
                Flow::Continue(())
            }
            Timer::Lifetime => self.age(ctx),
            Timer::Wait => {
                self.current.peers.give_up_pieces(ctx.now);
                self.let_older_go(ctx);
                match self.closing.take_if(|closing| closing.until <= ctx.now) {
                    Some(closing) => Flow::Break(closing.failure),
                    None => Flow::Continue(()),
                }
            }
        }
    }

    /// What time wants: ends first, then replacements.
    fn age(&mut self, ctx: &mut Context<'_>) -> Flow {
        let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= ctx.now);
        if is_over(self.ends_at) || is_over(self.ike_end) {
            return self.close(ctx, Failure::LifetimeEnded);
        }
        if let Some(child) = &mut self.child {
            let aged = child.handle_timeout(ctx);
            if aged.is_lost {
                return self.close(ctx, Failure::LifetimeEnded);
            }
            for inbound in aged.ended {
                self.current.ours.ask(Request::DeleteChild(inbound));
            }
        }
        if self.child.as_mut().is_some_and(|child| child.take_wish(ctx.now)) && self.child_exchange.is_none() {
            self.current.ours.ask(Request::RekeyChild);
        }
        self.rescue(ctx);
        if self.rekey_ike_at.take_if(|at| *at <= ctx.now).is_some() && self.ike_exchange.is_none() {
            self.current.ours.ask(Request::RekeyIke);
        }
        self.send_next(ctx)
    }

    /// The packet path stopped using an SA: unless another is at hand or on its way, nothing is carried any more.
    fn used_up(&mut self, ctx: &mut Context<'_>) -> Flow {
        let Some(child) = &mut self.child else { return Flow::Continue(()) };
        if child.is_used_up(ctx) || self.child_exchange.is_some() {
            return Flow::Continue(());
        }
        self.close(ctx, Failure::LifetimeEnded)
    }

    fn repeat_request(&mut self, ctx: &mut Context<'_>) -> Flow {
        let is_question = self.closing.is_none() && self.current.ours.asking().is_some_and(Request::is_question);
        let exchange = match self.current.ours.asking() {
            Some(Request::RekeyChild | Request::NewChild | Request::RekeyIke) => Phase::CreateChild,
            Some(
                Request::Liveness
                | Request::PathProbe(_)
                | Request::PathProbeCut(..)
                | Request::DeleteChild(_)
                | Request::UpdateAddresses
                | Request::DeleteIkeSa,
            )
            | None => Phase::Informational,
        };
        let whole = self.current.ours.path_probe();
        match self.current.ours.handle_timeout(ctx.now, ctx.random) {
            Verdict::Wait => Flow::Continue(()),
            Verdict::Repeat { datagrams, .. } if whole.is_some() => {
                let datagrams = datagrams.to_vec();
                datagrams.into_iter().for_each(|message| ctx.transmit_whole(self.path, message));
                Flow::Continue(())
            }
            Verdict::GiveUp { .. } if whole.is_some() => self.cut_path_probe(ctx, Cut::Unanswered),
            Verdict::Repeat { datagrams, repetition } => {
                let datagrams = datagrams.to_vec();
                datagrams.into_iter().for_each(|message| ctx.transmit(self.path, message));
                if let Some((sent, waited)) = self.current.ours.unanswered(ctx.now) {
                    self.liveness.unanswered(ctx.now, sent, waited);
                }
                ctx.event(Event::Repeating { exchange, repetition });
                self.look_elsewhere(ctx, repetition);
                Flow::Continue(())
            }
            // RFC 7296 §2.4: packets that came meanwhile are life as well. The question stays open: its message ID is used.
            Verdict::GiveUp { waited, .. } if is_question && self.liveness.silence(ctx.now) < waited => {
                self.current.ours.restart(ctx.now, ctx.random);
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
            self.current.ours.ask(Request::Liveness);
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
        self.current.ours.drop_queued();
        self.current.ours.hurry(ctx.now, CLOSING_POLICY, ctx.random);
        self.current.ours.ask(Request::DeleteIkeSa);
        self.send_next(ctx)
    }

    /// After a response: the next request, unless there are no message IDs left for it.
    fn go_on(&mut self, ctx: &mut Context<'_>) -> Flow {
        if self.current.ids_are_used_up() && self.closing.is_none() {
            return self.close(ctx, Failure::LifetimeEnded);
        }
        self.send_next(ctx)
    }

    fn send_next(&mut self, ctx: &mut Context<'_>) -> Flow {
        if self.current.ours.has_queued() {
            self.cut_path_probe(ctx, Cut::Hurried)?;
        }
        loop {
            let Some(request) = self.current.ours.take_turn() else { return Flow::Continue(()) };
            let contents = match request {
                Request::Liveness => self.question(ctx).contents().ok(),
                Request::UpdateAddresses => self.update_request(ctx).contents().ok(),
                Request::PathProbe(octets) => return self.send_path_probe(ctx, octets),
                Request::PathProbeCut(..) => None,
                Request::DeleteIkeSa => informational(Delete::ike_sa()).contents().ok(),
                Request::DeleteChild(inbound) => {
                    let delete = Delete { protocol: ProtocolId::ESP, spis: vec![inbound.value()] };
                    informational(delete).contents().ok()
                }
                Request::RekeyChild | Request::NewChild => self.child_request(ctx, request),
                Request::RekeyIke => self.ike_request(ctx),
            };
            if let Some(contents) = contents {
                return self.send(ctx, request, &contents);
            }
        }
    }

    fn send(&mut self, ctx: &mut Context<'_>, request: Request, contents: &Contents) -> Flow {
        let message_id = self.current.ours.issue_id();
        let kind = (message_id, request.exchange(), Direction::Request);
        let name = self.current.name();
        let Ok(datagrams) = self.seal(ctx, name, kind, contents) else {
            return Flow::Break(self.closing.take().map_or(Failure::LifetimeEnded, |closing| closing.failure));
        };
        datagrams.iter().for_each(|message| ctx.transmit(self.path, message.clone()));
        let policy = match request {
            _ if self.closing.is_some() => CLOSING_POLICY,
            Request::Liveness => {
                self.liveness.asked();
                self.liveness.question()
            }
            Request::UpdateAddresses => Self::update_policy(),
            _ => ctx.profile.retransmission,
        };
        let sending = Retransmission::start(ctx.now, datagrams, policy, ctx.random);
        self.current.ours.start(message_id, request, sending);
        Flow::Continue(())
    }

    fn seal(
        &mut self,
        ctx: &mut Context<'_>,
        name: IkeSpi,
        kind: (u32, crate::ike::wire::registry::ExchangeType, Direction),
        contents: &Contents,
    ) -> Result<Vec<Vec<u8>>, SealError> {
        let limit = ctx.profile.fragmentation.filter(|_| self.capabilities.fragmentation);
        let path = self.path;
        match self.sa_mut(name) {
            Some(sa) => sa.seal(ctx, kind, contents, limit, &path),
            None => Err(SealError::Exhausted),
        }
    }

    fn remove_child(&mut self, ctx: &mut Context<'_>) {
        if let Some(Child { id, .. }) = self.child.take() {
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

fn informational(delete: Delete) -> Informational {
    Informational { deletes: vec![delete], ..Informational::default() }
}

fn confirmed(failure: Failure) -> Failure {
    match failure {
        Failure::ClosedByUs { .. } => Failure::ClosedByUs { confirmed: true },
        other => other,
    }
}

#[cfg(test)]
mod tests;
