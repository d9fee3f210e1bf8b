//! What all states of an opening have: its cookies and path, what is being sent, what was answered, and how it ends if nothing better comes.

use std::sync::Arc;
use std::time::Duration;

use crate::ike::action::{Deadline, DropReason, Event, Failure, Phase, SessionStatus, Timer};
use crate::ike::context::Context;
use crate::ike::profile::{Ikev1, Profile};
use crate::ike::retransmit::{Retransmission, Verdict};
use crate::ike::timer::earliest;
use crate::ike::v1::answers::Answers;
use crate::ike::v1::fragment;
use crate::ike::v1::header::{Cookies, ExchangeType, Flags, Header, PayloadType};
use crate::ike::v1::offer::Method;
use crate::ike::v1::vendor::PeerCapabilities;
use crate::ike::wire::chain::Contents;
use crate::sa::path::Path;
use crate::sa::spi::IkeSpi;
use crate::time::Instant;

/// How long something better is waited for after an unauthenticated refusal.
const REFUSAL_GRACE: Duration = Duration::from_secs(3);
/// Hints that are kept for people.
const MOST_HINTS: usize = 8;
/// Who is told to close waits so long for the last message of phase 1: without it, the SA that the gateway has already cannot be deleted.
const LEAVING_TIME: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(in crate::ike::v1) struct Attempt {
    pub(in crate::ike::v1) settings: Arc<Ikev1>,
    pub(in crate::ike::v1) cookies: Cookies,
    pub(in crate::ike::v1) path: Path,
    pub(in crate::ike::v1) answers: Answers,
    /// Longer datagrams are sent in fragments, once the gateway announced that it takes them.
    fragmentation: Option<u16>,
    sending: Option<Sending>,
    hints: Vec<String>,
    refusal: Option<Refusal>,
    doubt: Option<Failure>,
    leaves_at: Option<Instant>,
}

#[derive(Debug)]
struct Sending {
    phase: Phase,
    retransmission: Retransmission,
}

/// How it ends unless something better comes.
#[derive(Debug)]
struct Refusal {
    at: Instant,
    failure: Failure,
}

impl Attempt {
    /// With a cookie of its own: nothing of an earlier attempt is used again.
    pub(in crate::ike::v1) fn new(ctx: &mut Context<'_>, settings: Arc<Ikev1>, path: Path) -> Self {
        let cookies = Cookies { initiator: random_cookie(ctx), responder: None };
        Self {
            settings,
            cookies,
            path,
            answers: Answers::default(),
            fragmentation: None,
            sending: None,
            hints: Vec::new(),
            refusal: None,
            doubt: None,
            leaves_at: None,
        }
    }

    /// Ours, then the gateway's, once it is known.
    pub(in crate::ike::v1) fn both_cookies(&self) -> Option<([u8; 8], [u8; 8])> {
        Some((self.cookies.initiator.to_octets(), self.cookies.responder?.to_octets()))
    }

    pub(super) fn status(&self) -> SessionStatus {
        let spis = (self.cookies.initiator, self.cookies.responder);
        SessionStatus { state: "new", spis, suite: None, path: self.path }
    }

    /// What the gateway announced is known.
    pub(in crate::ike::v1) fn learn(&mut self, profile: &Profile, capabilities: PeerCapabilities) {
        self.fragmentation = fragment::limit(profile, capabilities);
    }

    /// What is offered as authentication method.
    pub(in crate::ike::v1) fn method(&self) -> Method {
        if self.settings.xauth.is_some() { Method::XauthPreSharedKey } else { Method::PreSharedKey }
    }

    /// The header of a message of ours in phase 1, which has no message ID (RFC 2408 §3.1).
    pub(in crate::ike::v1) fn header(&self, exchange: ExchangeType) -> Header {
        let next_payload = PayloadType(0);
        Header { cookies: self.cookies, next_payload, major: 1, exchange, flags: Flags::default(), message_id: 0 }
    }

    /// A message in clear.
    pub(in crate::ike::v1) fn in_clear(&self, exchange: ExchangeType, contents: &Contents) -> Option<Vec<u8>> {
        self.header(exchange).message(contents).ok()
    }

    /// Sends a message and repeats it until something better is to be sent. Its datagrams, for `Answers`.
    pub(in crate::ike::v1) fn send(&mut self, ctx: &mut Context<'_>, phase: Phase, message: Vec<u8>) -> Vec<Vec<u8>> {
        let datagrams = self.say(ctx, message);
        let retransmission = Retransmission::start(ctx.now, datagrams.clone(), ctx.profile.retransmission, ctx.random);
        self.sending = Some(Sending { phase, retransmission });
        self.refusal = None;
        self.doubt = None;
        datagrams
    }

    /// Sends a message that is not repeated by the clock.
    pub(in crate::ike::v1) fn say(&mut self, ctx: &mut Context<'_>, message: Vec<u8>) -> Vec<Vec<u8>> {
        let datagrams = fragment::datagrams(self.fragmentation, &self.path, message);
        datagrams.iter().for_each(|datagram| ctx.transmit(self.path, datagram.clone()));
        datagrams
    }

    /// It is the gateway's turn: waits as long as for an answer, and sends nothing.
    pub(in crate::ike::v1) fn wait(&mut self, ctx: &mut Context<'_>, phase: Phase) {
        let retransmission = Retransmission::start(ctx.now, Vec::new(), ctx.profile.retransmission, ctx.random);
        self.sending = Some(Sending { phase, retransmission });
        self.refusal = None;
        self.doubt = None;
    }

    /// An unauthenticated error, by its name: for people.
    pub(in crate::ike::v1) fn hint(&mut self, name: String) {
        if self.hints.len() < MOST_HINTS && !self.hints.contains(&name) {
            self.hints.push(name);
        }
    }

    /// How it ends in some seconds, unless something better comes: anyone may have sent the reason.
    pub(in crate::ike::v1) fn refused(&mut self, ctx: &Context<'_>, failure: Failure) {
        if self.refusal.is_none() {
            self.refusal = Some(Refusal { at: ctx.now.after(REFUSAL_GRACE), failure });
        }
    }

    /// How it ends if nothing better comes at all.
    pub(in crate::ike::v1) fn doubts(&mut self, failure: Failure) {
        self.doubt.get_or_insert(failure);
    }

    /// What is under way is finished for a while, only to be deleted.
    pub(super) fn leave(&mut self, ctx: &Context<'_>) {
        self.leaves_at.get_or_insert(ctx.now.after(LEAVING_TIME));
    }

    /// Whether an SA that comes to stand is deleted at once.
    pub(super) const fn is_leaving(&self) -> bool {
        self.leaves_at.is_some()
    }

    /// How it ends; for who was told to close, whatever happened, with that.
    pub(super) fn ended(&self, failure: Failure) -> Failure {
        match failure {
            Failure::ClosedByUs { .. } => failure,
            _ if self.is_leaving() => Failure::ClosedByUs { confirmed: false },
            _ => failure,
        }
    }

    /// Repeats what is due; the failure when all is over.
    pub(super) fn handle_timeout(&mut self, ctx: &mut Context<'_>) -> Option<Failure> {
        if self.leaves_at.is_some_and(|at| at <= ctx.now) {
            return Some(Failure::ClosedByUs { confirmed: false });
        }
        if let Some(refusal) = self.refusal.take_if(|refusal| refusal.at <= ctx.now) {
            return Some(refusal.failure);
        }
        let path = self.path;
        let Sending { phase, retransmission } = self.sending.as_mut()?;
        let phase = *phase;
        let is_silent = retransmission.datagrams().is_empty();
        match retransmission.handle_timeout(ctx.now, ctx.random) {
            Verdict::Wait => None,
            Verdict::Repeat { datagrams, repetition } => {
                datagrams.iter().for_each(|datagram| ctx.transmit(path, datagram.clone()));
                if !is_silent {
                    ctx.event(Event::Repeating { exchange: phase, repetition });
                }
                None
            }
            Verdict::GiveUp { sent, waited } => {
                self.sending = None;
                let better = self.refusal.take().map(|refusal| refusal.failure).or_else(|| self.doubt.take());
                let sent = if is_silent { 0 } else { sent };
                let hints = std::mem::take(&mut self.hints);
                Some(better.unwrap_or(Failure::NoAnswer { phase, sent, waited, hints }))
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let sending = self.sending.as_ref().map(|sending| sending.retransmission.deadline());
        let refusal = self.refusal.as_ref().map(|refusal| refusal.at);
        earliest([
            sending.map(|at| Deadline { at, timer: Timer::Retransmit }),
            refusal.map(|at| Deadline { at, timer: Timer::Wait }),
            self.leaves_at.map(|at| Deadline { at, timer: Timer::Wait }),
        ])
    }

    /// Whether a datagram from `path` may be the gateway's: its address, and since the float its port for encapsulation (RFC 3947 §4).
    pub(super) fn admit_path(&self, path: Path) -> Result<(), DropReason> {
        // A NAT before the gateway need not keep its port.
        let is_gateway = path.remote.ip() == self.path.remote.ip() && path.framing == self.path.framing;
        if is_gateway { Ok(()) } else { Err(DropReason::WrongAddress) }
    }
}

fn random_cookie(ctx: &mut Context<'_>) -> IkeSpi {
    loop {
        let mut octets = [0; 8];
        ctx.random.fill(&mut octets);
        if let Some(cookie) = IkeSpi::new(octets) {
            return cookie;
        }
    }
}
