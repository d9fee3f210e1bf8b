//! The way to an ISAKMP SA that can be used: phase 1, then XAUTH, then Mode Config. At the start of a session, and again for each renewal.
//! What is junk or unauthenticated is a counted drop, and changes nothing.

mod attempt;
pub(super) mod negotiation;
pub(super) mod proof;
pub(super) mod secrets;

use std::sync::Arc;

use crate::ike::action::{Command, Configuration, Deadline, DropReason, Failure, SessionStatus};
use crate::ike::context::Context;
use crate::ike::profile::{Ikev1, Phase1Mode};
use crate::ike::v1::aggressive::AwaitAnswer;
use crate::ike::v1::answers::Answers;
use crate::ike::v1::header::{Cookies, ExchangeType, Header};
use crate::ike::v1::informational;
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::ike::v1::main_mode::{AwaitKeys, AwaitProof, AwaitProposal};
use crate::ike::v1::message::Informational;
use crate::ike::v1::mode_config::AwaitConfiguration;
use crate::ike::v1::xauth::AwaitUser;
use crate::sa::path::Path;

pub(super) use attempt::Attempt;
use proof::Ending;

/// Under way. It has its own cookies: while a session is renewed, its datagrams are told from the others' by them.
pub(super) struct Opening {
    attempt: Attempt,
    stage: Stage,
}

/// What is waited for.
pub(super) enum Stage {
    Proposal(AwaitProposal),
    Keys(AwaitKeys),
    Proof(AwaitProof),
    Answer(AwaitAnswer),
    User(Box<AwaitUser>),
    Configuration(Box<AwaitConfiguration>),
}

/// What a stage came to.
#[allow(clippy::large_enum_variant, reason = "it lives as long as one call")]
pub(super) enum Next {
    Wait(Stage),
    Finished { sa: Box<IsakmpSa>, configuration: Configuration },
    Failed(Failure),
}

/// What a call led to.
#[allow(clippy::large_enum_variant, reason = "it lives as long as one call")]
pub(super) enum Progress {
    /// More is to come.
    Waiting(Box<Opening>),
    /// The SA stands, and what the gateway assigned is known.
    Ready(Box<Opened>),
    /// It came to nothing.
    Failed {
        /// For people.
        last: SessionStatus,
        /// Why.
        failure: Failure,
    },
}

/// A finished opening.
pub(super) struct Opened {
    pub(super) settings: Arc<Ikev1>,
    pub(super) sa: IsakmpSa,
    pub(super) configuration: Configuration,
    /// What the gateway may ask for again: goes on to be asked first about every datagram of this SA.
    pub(super) answers: Answers,
}

/// A whole message with our cookies, from the gateway's address.
#[derive(Clone, Copy)]
pub(super) struct Datagram<'a> {
    pub(super) header: Header,
    /// What follows the header.
    pub(super) rest: &'a [u8],
    /// From the header on.
    pub(super) message: &'a [u8],
}

impl Opening {
    /// Sends the first message.
    pub(super) fn start(ctx: &mut Context<'_>, settings: Arc<Ikev1>, path: Path) -> Progress {
        let mut attempt = Attempt::new(ctx, settings, path);
        let next = match attempt.settings.mode {
            Phase1Mode::Main => AwaitProposal::start(ctx, &mut attempt),
            Phase1Mode::Aggressive => AwaitAnswer::start(ctx, &mut attempt),
        };
        let last = attempt.status();
        Self::progress(attempt, last, next)
    }

    fn progress(attempt: Attempt, last: SessionStatus, next: Next) -> Progress {
        match next {
            Next::Wait(stage) => Progress::Waiting(Box::new(Self { attempt, stage })),
            Next::Finished { sa, configuration } => {
                let Attempt { settings, answers, .. } = attempt;
                Progress::Ready(Box::new(Opened { settings, sa: *sa, configuration, answers }))
            }
            Next::Failed(failure) => Progress::Failed { last, failure: attempt.ended(failure) },
        }
    }

    /// Whether a datagram with these cookies belongs here: the initiator's are ours, the responder's fit or are not known yet.
    pub(super) fn owns(&self, cookies: Cookies) -> bool {
        let ours = self.attempt.cookies;
        cookies.initiator == ours.initiator && (ours.responder.is_none() || cookies.responder == ours.responder)
    }

    pub(super) fn handle_datagram(mut self: Box<Self>, ctx: &mut Context<'_>, path: Path, message: &[u8]) -> Progress {
        let datagram = match self.admit(path, message) {
            Ok(datagram) => datagram,
            Err(reason) => {
                ctx.dropped(reason);
                return Progress::Waiting(self);
            }
        };
        // A copy of a message that was answered may come from before the float: the gateway has not seen our answer.
        if self.attempt.answers.repeat(ctx, message) {
            return Progress::Waiting(self);
        }
        // A gateway that cannot read our proof says so from where it was before the float.
        let Header { exchange, flags, .. } = datagram.header;
        let is_objection =
            matches!(self.stage, Stage::Proof(_)) && exchange == ExchangeType::INFORMATIONAL && flags.encrypted;
        if let Err(reason) = self.attempt.admit_path(path)
            && !is_objection
        {
            ctx.dropped(reason);
            return Progress::Waiting(self);
        }
        let last = self.status();
        let Self { mut attempt, stage } = *self;
        let next = match stage {
            Stage::Proposal(state) => state.handle(ctx, &mut attempt, &datagram),
            Stage::Keys(state) => state.handle(ctx, &mut attempt, &datagram),
            Stage::Proof(state) => state.handle(ctx, &mut attempt, &datagram),
            Stage::Answer(state) => state.handle(ctx, &mut attempt, &datagram),
            Stage::User(state) => state.handle(ctx, &mut attempt, &datagram),
            Stage::Configuration(state) => state.handle(ctx, &mut attempt, &datagram),
        };
        Self::progress(attempt, last, next)
    }

    fn admit<'a>(&self, path: Path, message: &'a [u8]) -> Result<Datagram<'a>, DropReason> {
        let (header, rest) = Header::parse(message).map_err(|_| DropReason::Malformed)?;
        if header.major != 1 {
            return Err(DropReason::MajorVersion);
        }
        if !self.owns(header.cookies) && !self.is_clear_error(&header) {
            return Err(DropReason::NotOurs);
        }
        if path.remote.ip() != self.attempt.path.remote.ip() {
            return Err(DropReason::WrongAddress);
        }
        Ok(Datagram { header, rest, message })
    }

    /// A gateway that refuses has not always a cookie, or says another's.
    fn is_clear_error(&self, header: &Header) -> bool {
        header.exchange == ExchangeType::INFORMATIONAL
            && !header.flags.encrypted
            && header.cookies.initiator == self.attempt.cookies.initiator
    }

    pub(super) fn handle_timeout(mut self: Box<Self>, ctx: &mut Context<'_>) -> Progress {
        match self.attempt.handle_timeout(ctx) {
            Some(failure) => {
                let last = self.status();
                self.farewell(ctx);
                Progress::Failed { last, failure: self.attempt.ended(failure) }
            }
            None => Progress::Waiting(self),
        }
    }

    /// `Close` ends it with `ClosedByUs`, after a DELETE when there is an authenticated SA. Once our proof of main mode has left, the gateway may have
    /// one that we have not: its last message is waited for.
    pub(super) fn handle_command(mut self: Box<Self>, ctx: &mut Context<'_>, command: Command) -> Progress {
        match command {
            Command::Close if matches!(self.stage, Stage::Proof(_)) => {
                self.attempt.leave(ctx);
                Progress::Waiting(self)
            }
            Command::Close => {
                let last = self.status();
                let confirmed = self.farewell(ctx);
                Progress::Failed { last, failure: Failure::ClosedByUs { confirmed } }
            }
            Command::ProbeLiveness | Command::ProbePath { .. } | Command::Adopt(_) | Command::Roam(_) => {
                Progress::Waiting(self)
            }
        }
    }

    /// Deletes the SA, if there is one. Whether something was sent.
    fn farewell(&mut self, ctx: &mut Context<'_>) -> bool {
        let sa = match &mut self.stage {
            Stage::User(state) => &mut state.sa,
            Stage::Configuration(state) => &mut state.sa,
            Stage::Proposal(_) | Stage::Keys(_) | Stage::Proof(_) | Stage::Answer(_) => return false,
        };
        farewell(ctx, sa);
        true
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        self.attempt.deadline()
    }

    pub(super) fn status(&self) -> SessionStatus {
        let (state, suite) = match &self.stage {
            Stage::Proposal(_) => ("main mode: proposal sent", None),
            Stage::Keys(state) => ("main mode: key sent", Some(state.agreed.suite)),
            Stage::Proof(state) => ("main mode: proof sent", Some(state.agreed.suite)),
            Stage::Answer(_) => ("aggressive mode: proposal sent", None),
            Stage::User(state) => ("XAUTH awaited", Some(state.sa.suite)),
            Stage::Configuration(state) => ("Mode Config sent", Some(state.sa.suite)),
        };
        SessionStatus { state, suite, ..self.attempt.status() }
    }
}

impl Datagram<'_> {
    /// Whether it is a message in clear of phase 1 (RFC 2408 §3.1: without message ID), of this exchange and no other (RFC 2409 §5).
    pub(super) fn admit_in_clear(&self, exchange: ExchangeType) -> Result<(), DropReason> {
        self.admit_phase1(exchange)?;
        if self.header.flags.encrypted { Err(DropReason::NotOurs) } else { Ok(()) }
    }

    /// The same, for an encrypted one.
    pub(super) fn admit_encrypted(&self, exchange: ExchangeType) -> Result<(), DropReason> {
        self.admit_phase1(exchange)?;
        if self.header.flags.encrypted { Ok(()) } else { Err(DropReason::Unauthenticated) }
    }

    fn admit_phase1(&self, exchange: ExchangeType) -> Result<(), DropReason> {
        if self.header.exchange != exchange {
            return Err(DropReason::NotOurs);
        }
        if self.header.message_id == 0 { Ok(()) } else { Err(DropReason::OutsideWindow) }
    }
}

/// Tells the gateway that this SA is gone; there is no answer to that.
pub(super) fn farewell(ctx: &mut Context<'_>, sa: &mut IsakmpSa) {
    tell(ctx, sa, &informational::delete_isakmp(sa.cookies));
}

/// Sends an informational message, once.
pub(super) fn tell(ctx: &mut Context<'_>, sa: &mut IsakmpSa, words: &Informational) {
    if let Some(message) = informational::seal(sa, ctx.random, words) {
        ctx.transmit(sa.path, message);
    }
}

/// What a protected message says that matters before there are children.
pub(super) fn ending(sa: &IsakmpSa, datagram: &Datagram<'_>) -> Result<Ending, DropReason> {
    if sa.knows_message_id(datagram.header.message_id) {
        return Err(DropReason::OutsideWindow);
    }
    let news = informational::read(sa, &datagram.header, datagram.rest)?;
    proof::ending(sa.cookies, &news)
}
