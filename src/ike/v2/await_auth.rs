//! The second state: IKE_AUTH was sent to everyone who answered IKE_SA_INIT well enough, and the first who proves to have the key wins.

use std::time::Duration;

use crate::ike::action::{ChildUp, Command, Deadline, DropReason, Event, Failure, Phase, SessionStatus, Side, Timer};
use crate::ike::context::Context;
use crate::ike::timer::earliest;
use crate::ike::v2::answer::{AgreedChild, Authenticated, Judgement};
use crate::ike::v2::candidate::{Candidate, Refusal};
use crate::ike::v2::child::{Child, NewSa};
use crate::ike::v2::established::{Established, random_spi};
use crate::ike::v2::message::{Delete, Informational, notify::Notify};
use crate::ike::v2::protect::Opened;
use crate::ike::v2::sa_init::{Answer, AwaitSaInit, Initiation, Opening};
use crate::ike::v2::{EstablishedParts, State};
use crate::ike::wire::header::Header;
use crate::ike::wire::registry::{ExchangeType, NotifyType};
use crate::sa::keys::ChildKeys;
use crate::sa::path::Path;
use crate::sa::spi::InboundSpi;
use crate::time::Instant;

/// How long another answer to IKE_SA_INIT is waited for after those that came were no use: who answers first may be an attacker who is nearer.
const SECOND_OPINION: Duration = Duration::from_secs(1);

/// The answer to our DELETE is waited for this long. There is none from a peer that had no IKE SA yet.
const LEAVING_TIME: Duration = Duration::from_secs(2);

/// Waits for an answer to IKE_AUTH. There is at least one candidate.
#[derive(Debug)]
pub(super) struct AwaitAuth {
    initiation: Initiation,
    candidates: Vec<Candidate>,
    inbound: InboundSpi,
    /// We were told to close, and the candidates were told so: a peer that has answered IKE_AUTH has an IKE SA. When that is all that can be done.
    leaves_at: Option<Instant>,
}

/// A datagram that means something here.
enum Admitted {
    SaInit(Answer),
    Auth { index: usize, opened: Opened },
    Hint(NotifyType),
}

impl AwaitAuth {
    /// With the first candidate.
    pub(super) fn start(ctx: &mut Context<'_>, initiation: Initiation, opening: Opening) -> State {
        let inbound = random_spi(ctx);
        let mut state = Self { initiation, candidates: Vec::new(), inbound, leaves_at: None };
        state.consider(ctx, opening);
        state.settle(ctx)
    }

    fn consider(&mut self, ctx: &mut Context<'_>, opening: Opening) {
        match Candidate::start(ctx, opening, self.inbound) {
            Some(candidate) => self.candidates.push(candidate),
            None => self.initiation.fall_back(ctx.now, Failure::Unsendable { phase: Phase::Auth }),
        }
    }

    pub(super) fn handle_datagram(self, ctx: &mut Context<'_>, path: Path, message: &[u8]) -> State {
        match self.admit(ctx, path, message) {
            Ok(admitted) => self.advance(ctx, admitted),
            Err(reason) => {
                ctx.dropped(reason);
                State::AwaitAuth(Box::new(self))
            }
        }
    }

    fn admit(&self, ctx: &Context<'_>, path: Path, message: &[u8]) -> Result<Admitted, DropReason> {
        let (header, _) = Header::parse(message).map_err(|_| DropReason::Malformed)?;
        if header.major != 2 {
            return Err(DropReason::MajorVersion);
        }
        if header.initiator_spi != self.initiation.spi() {
            return Err(DropReason::NotOurs);
        }
        if header.exchange == ExchangeType::IKE_SA_INIT {
            return self.initiation.admit(ctx.profile, path, message).map(Admitted::SaInit);
        }
        // An attacker may have answered with the gateway's own SPI: every candidate of that name is asked.
        let mut refusal = Refusal::Dropped(DropReason::NotOurs);
        for (index, candidate) in self.candidates.iter().enumerate() {
            if candidate.is_named(header.responder_spi) {
                match candidate.admit(&header, path, message) {
                    Ok(opened) => return Ok(Admitted::Auth { index, opened }),
                    Err(reason) => refusal = reason,
                }
            }
        }
        match refusal {
            Refusal::Unprotected(Some(error)) => Ok(Admitted::Hint(error)),
            Refusal::Unprotected(None) => Err(DropReason::Unauthenticated),
            Refusal::Dropped(reason) => Err(reason),
        }
    }

    fn advance(mut self, ctx: &mut Context<'_>, admitted: Admitted) -> State {
        match admitted {
            Admitted::Auth { index, .. } if self.leaves_at.is_some() => {
                self.candidates.remove(index);
                return self.leave(ctx, true);
            }
            _ if self.leaves_at.is_some() => ctx.dropped(DropReason::NotOurs),
            Admitted::SaInit(answer) => self.advance_sa_init(ctx, answer),
            Admitted::Hint(error) => {
                // RFC 7296 §2.21.2: an error in clear ends nothing.
                ctx.dropped(DropReason::Unauthenticated);
                self.initiation.hint(error);
            }
            Admitted::Auth { index, opened } => return self.advance_auth(ctx, index, opened),
        }
        State::AwaitAuth(Box::new(self))
    }

    /// RFC 7296 §2.4: everyone who answers is tried, until one is authenticated.
    fn advance_sa_init(&mut self, ctx: &mut Context<'_>, answer: Answer) {
        match answer {
            Answer::Cookie(cookie) => self.initiation.take_cookie(ctx, cookie),
            Answer::OtherGroup(group) => self.initiation.take_group(ctx, group),
            Answer::Hint { notify, .. } => {
                ctx.dropped(DropReason::Unauthenticated);
                self.initiation.hint(notify);
            }
            Answer::Accepted(accepted) => match self.initiation.open(ctx, *accepted) {
                Ok(opening) => self.consider(ctx, opening),
                Err(reason) => ctx.dropped(reason),
            },
        }
    }

    fn advance_auth(mut self, ctx: &mut Context<'_>, index: usize, opened: Opened) -> State {
        let Some(candidate) = self.candidates.get_mut(index) else { return State::AwaitAuth(Box::new(self)) };
        let (first, inner) = match candidate.take(opened) {
            Ok(Some(whole)) => whole,
            Ok(None) => return State::AwaitAuth(Box::new(self)),
            Err(reason) => {
                ctx.dropped(reason);
                return State::AwaitAuth(Box::new(self));
            }
        };
        let judgement = candidate.judge(ctx.profile, first, &inner);
        let candidate = self.candidates.remove(index);
        match judgement {
            Judgement::Authenticated(authenticated) => self.establish(ctx, candidate, *authenticated),
            Judgement::NotThePeer(failure) => {
                // RFC 7296 §2.21.2.
                let notifies = vec![Notify::new(NotifyType::AUTHENTICATION_FAILED)];
                candidate.dismiss(ctx, &Informational { notifies, ..Default::default() });
                self.initiation.fall_back(ctx.now.after(SECOND_OPINION), failure);
                self.settle(ctx)
            }
            Judgement::Refused(failure) => {
                self.initiation.fall_back(ctx.now.after(SECOND_OPINION), failure);
                self.settle(ctx)
            }
        }
    }

    /// Without candidates, another answer to IKE_SA_INIT is all there is to wait for.
    fn settle(self, ctx: &mut Context<'_>) -> State {
        if self.candidates.is_empty() {
            return AwaitSaInit::new(self.initiation).handle_timeout(ctx);
        }
        State::AwaitAuth(Box::new(self))
    }

    fn establish(self, ctx: &mut Context<'_>, winner: Candidate, authenticated: Authenticated) -> State {
        let Authenticated { proof, identity, notifies, child } = authenticated;
        ctx.event(Event::Authenticated { phase: Phase::Auth, identity });
        for loser in self.candidates {
            loser.dismiss(ctx, &Informational { deletes: vec![Delete::ike_sa()], ..Default::default() });
        }
        let child = child.and_then(|child| {
            let keys = winner.child_keys(child.suite).ok_or(Failure::Unsendable { phase: Phase::Auth })?;
            Ok(bring_up(ctx, winner.path, self.inbound, child, keys))
        });
        let (child, failure) = match child {
            Ok(child) => (Some(child), None),
            Err(failure) => (None, Some(failure)),
        };
        let (path, capabilities) = (winner.path, winner.capabilities.with_auth(ctx.profile, &notifies));
        let parts = EstablishedParts { proof, sa: winner.into_ike_sa(ctx.now), path, capabilities, child };
        let established = Established::new(parts, &notifies, ctx);
        match failure {
            None => established.begin(ctx),
            Some(failure) => established.close_for(ctx, failure),
        }
    }

    /// Ends when nobody is left to be told.
    fn leave(self, ctx: &mut Context<'_>, confirmed: bool) -> State {
        if self.candidates.is_empty() || self.leaves_at.is_some_and(|at| at <= ctx.now) {
            let status = self.status();
            return State::end(ctx, status, Failure::ClosedByUs { confirmed });
        }
        State::AwaitAuth(Box::new(self))
    }

    pub(super) fn handle_timeout(mut self, ctx: &mut Context<'_>) -> State {
        if self.leaves_at.is_some() {
            self.candidates.retain_mut(|candidate| candidate.repeat(ctx, &[]).is_none());
            return self.leave(ctx, false);
        }
        // Someone answered: that the others did not is no failure.
        let _ = self.initiation.repeat(ctx);
        let mut waiting = Vec::with_capacity(self.candidates.len());
        for mut candidate in std::mem::take(&mut self.candidates) {
            match candidate.repeat(ctx, self.initiation.hints()) {
                None => waiting.push(candidate),
                Some(failure) => self.initiation.fall_back_to_silence(ctx.now, failure),
            }
        }
        self.candidates = waiting;
        self.settle(ctx)
    }

    pub(super) fn handle_command(mut self, ctx: &mut Context<'_>, command: Command) -> State {
        match command {
            Command::Close if self.leaves_at.is_none() => {
                self.leaves_at = Some(ctx.now.after(LEAVING_TIME));
                self.candidates.iter_mut().for_each(|candidate| candidate.delete(ctx));
            }
            Command::Close
            | Command::ProbeLiveness
            | Command::ProbePath { .. }
            | Command::Adopt(_)
            | Command::Roam(_) => {}
        }
        State::AwaitAuth(Box::new(self))
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        let candidates = self.candidates.iter().map(|candidate| Some(candidate.deadline()));
        let own = match self.leaves_at {
            Some(at) => Some(Deadline { at, timer: Timer::Wait }),
            None => self.initiation.retransmission_deadline(),
        };
        earliest(candidates.chain([own]))
    }

    pub(super) fn status(&self) -> SessionStatus {
        let first = self.candidates.first();
        SessionStatus {
            state: if self.leaves_at.is_some() { "closing" } else { "IKE_AUTH sent" },
            spis: (self.initiation.spi(), first.map(|candidate| candidate.spis.1)),
            suite: first.map(|candidate| candidate.suite),
            path: first.map_or(self.initiation.path(), |candidate| candidate.path),
        }
    }
}

/// The packet path is ready to receive before it sends, and both before anyone is told.
fn bring_up(ctx: &mut Context<'_>, path: Path, inbound: InboundSpi, agreed: AgreedChild, keys: ChildKeys) -> Child {
    let AgreedChild { suite, outbound, local, remote, configuration } = agreed;
    let id = ctx.profile.child.first_id;
    let mut child = Child::new(id, local.clone(), remote.clone());
    child.install(ctx, NewSa { suite, inbound, outbound, keys }, Side::Us, path);
    child.release(ctx, inbound);
    let up = ChildUp { child: id, suite, inbound, outbound, local, remote, configuration, path };
    ctx.event(Event::ChildUp(Box::new(up)));
    child
}
