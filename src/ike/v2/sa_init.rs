//! IKE_SA_INIT as initiator (RFC 7296 §1.2, §2.6, §2.7): the request in all its forms, and which answers are worth a try.
//! Nothing here is authenticated, so nothing here ends the attempt before time has passed.

mod state;

use std::time::Duration;

use crate::crypto::dh::{EphemeralSecret, Group, HalfOpenError, HalfOpenSecret};
use crate::crypto::hash::sha1;
use crate::crypto::secret::Secret;
use crate::ike::action::{Deadline, DropReason, Event, Failure, Phase, Timer};
use crate::ike::context::Context;
use crate::ike::nat::{self, Observed};
use crate::ike::profile::Profile;
use crate::ike::proposal;
use crate::ike::retransmit::{Retransmission, Verdict};
use crate::ike::timer::earliest;
use crate::ike::v2::capabilities::Capabilities;
use crate::ike::v2::message::{KeyExchange, Nonce, SaInitAccepted, SaInitRequest, SaInitResponse, notify::Notify};
use crate::ike::v2::nat_detection;
use crate::ike::wire::chain::parse_outer;
use crate::ike::wire::header::Header;
use crate::ike::wire::registry::{ExchangeType, NotifyType};
use crate::sa::path::Path;
use crate::sa::spi::IkeSpi;
use crate::sa::suite::IkeSuite;
use crate::time::Instant;

pub(super) use state::AwaitSaInit;

/// How long something better is waited for after an unauthenticated refusal (RFC 7296 §2.21.1).
const REFUSAL_GRACE: Duration = Duration::from_secs(3);
/// Requests sent anew for a cookie or another group: in all, and at once.
const MOST_RESTARTS: u32 = 10;
const QUICK_RESTARTS: u32 = 3;
/// After the quick ones, no sooner than this after the one before.
const RESTART_INTERVAL: Duration = Duration::from_millis(500);
/// Hints that are kept for people.
const MOST_HINTS: usize = 8;

/// One IKE_SA_INIT exchange, from the first request until a peer is authenticated.
#[derive(Debug)]
pub(super) struct Initiation {
    spi: IkeSpi,
    path: Path,
    nonce: Nonce,
    notifies: Vec<Notify>,
    cookie: Option<Vec<u8>>,
    /// One for each group that was tried; answers to all of them are taken.
    attempts: Vec<Attempt>,
    current: Group,
    sending: Option<Retransmission>,
    started: Instant,
    restarts: u32,
    restarted: Instant,
    hints: Vec<String>,
    fallback: Option<Fallback>,
    /// What keys were already made of: responder SPI, nonce and public value.
    spent: Vec<(IkeSpi, Nonce, Vec<u8>)>,
}

#[derive(Debug)]
struct Attempt {
    group: Group,
    secret: HalfOpenSecret,
    /// The newest request for this group, as it was sent.
    request: Vec<u8>,
}

/// How the attempt ends unless something better comes.
#[derive(Debug)]
struct Fallback {
    at: Instant,
    failure: Failure,
}

/// What an answer says; nothing of it is believed.
#[derive(Debug)]
pub(super) enum Answer {
    Cookie(Vec<u8>),
    OtherGroup(Group),
    Hint { notify: NotifyType, wanted_group: Option<u16> },
    Accepted(Box<Accepted>),
}

/// An answer that chose among what we offered.
#[derive(Debug)]
pub(super) struct Accepted {
    responder_spi: IkeSpi,
    suite: IkeSuite,
    message: Vec<u8>,
    contents: SaInitAccepted,
}

/// What a candidate for an IKE SA starts from.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) spis: (IkeSpi, IkeSpi),
    pub(super) suite: IkeSuite,
    pub(super) shared: Secret,
    /// Our request and its answer, as they travelled.
    pub(super) messages: (Vec<u8>, Vec<u8>),
    /// Ours, then the peer's.
    pub(super) nonces: (Nonce, Nonce),
    pub(super) capabilities: Capabilities,
    pub(super) path: Path,
}

impl Initiation {
    /// Sends the first request.
    pub(super) fn start(ctx: &mut Context<'_>, path: Path) -> Result<Self, (IkeSpi, Failure)> {
        let spi = random_spi(ctx);
        let unsendable = || (spi, Failure::Unsendable { phase: Phase::SaInit });
        let mut nonce = vec![0; usize::from(ctx.profile.nonce_len.clamp(16, 256))];
        ctx.random.fill(&mut nonce);
        let nonce = Nonce::new(nonce).ok_or_else(unsendable)?;
        let first_group = ctx.profile.ike_offers.first().and_then(|offer| offer.groups.first());
        let current = *first_group.ok_or_else(unsendable)?;
        let mut initiation = Self {
            spi,
            path,
            nonce,
            notifies: notifies(ctx, spi, path),
            cookie: None,
            attempts: Vec::new(),
            current,
            sending: None,
            started: ctx.now,
            restarts: 0,
            restarted: ctx.now,
            hints: Vec::new(),
            spent: Vec::new(),
            fallback: None,
        };
        initiation.send(ctx).ok_or_else(unsendable)?;
        Ok(initiation)
    }

    /// Sends the request for the current group and cookie.
    fn send(&mut self, ctx: &mut Context<'_>) -> Option<()> {
        if !self.attempts.iter().any(|attempt| attempt.group == self.current) {
            let secret = EphemeralSecret::generate(self.current, ctx.random).into_half_open();
            self.attempts.push(Attempt { group: self.current, secret, request: Vec::new() });
        }
        let attempt = self.attempts.iter_mut().find(|attempt| attempt.group == self.current)?;
        // RFC 7296 §2.6: but for the cookie, and for a new group's public value, every request is the same.
        let request = SaInitRequest {
            cookie: self.cookie.clone(),
            security_association: proposal::offer_ike(&ctx.profile.ike_offers),
            key_exchange: KeyExchange {
                group: proposal::group_number(self.current),
                data: attempt.secret.public().to_vec(),
            },
            nonce: self.nonce.clone(),
            notifies: self.notifies.clone(),
        };
        attempt.request = request.message(self.spi).ok()?;
        let datagrams = vec![attempt.request.clone()];
        ctx.transmit(self.path, attempt.request.clone());
        self.sending = Some(Retransmission::start(ctx.now, datagrams, ctx.profile.retransmission, ctx.random));
        Some(())
    }

    pub(super) fn spi(&self) -> IkeSpi {
        self.spi
    }

    pub(super) fn path(&self) -> Path {
        self.path
    }

    pub(super) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Looks at a datagram that is IKE_SA_INIT or nothing of ours.
    pub(super) fn admit(&self, profile: &Profile, path: Path, message: &[u8]) -> Result<Answer, DropReason> {
        let (header, rest) = Header::parse(message).map_err(|_| DropReason::Malformed)?;
        // RFC 7296 §2.5: silently, and never a reason to speak an older protocol.
        if header.major != 2 {
            return Err(DropReason::MajorVersion);
        }
        let ours = header.initiator_spi == self.spi
            && header.exchange == ExchangeType::IKE_SA_INIT
            && header.flags.response
            && !header.flags.initiator;
        if !ours {
            return Err(DropReason::NotOurs);
        }
        if header.message_id != 0 {
            return Err(DropReason::OutsideWindow);
        }
        if path.remote != self.path.remote || path.framing != self.path.framing {
            return Err(DropReason::WrongAddress);
        }
        let outer = parse_outer(&header, rest).map_err(|_| DropReason::Malformed)?;
        match SaInitResponse::parse(&outer).map_err(|_| DropReason::Malformed)? {
            SaInitResponse::Notified(notified) => {
                let error = notified.error();
                if error == Some(NotifyType::INVALID_KE_PAYLOAD) {
                    let wanted = notified.wanted_group().ok_or(DropReason::Unacceptable)?;
                    return self.admit_group(profile, wanted);
                }
                if let Some(notify) = error {
                    return Ok(Answer::Hint { notify, wanted_group: None });
                }
                let cookie = notified.cookie().ok_or(DropReason::Unacceptable)?;
                if self.cookie.as_deref() == Some(cookie) {
                    return Err(DropReason::Unacceptable);
                }
                Ok(Answer::Cookie(cookie.to_vec()))
            }
            SaInitResponse::Accepted(contents) => {
                let responder_spi = header.responder_spi.ok_or(DropReason::Malformed)?;
                self.admit_choice(profile, responder_spi, *contents, message)
            }
        }
    }

    /// RFC 7296 §1.2: only a group that we offered, and not the one it was just sent.
    fn admit_group(&self, profile: &Profile, wanted: u16) -> Result<Answer, DropReason> {
        match proposal::offered_group(&profile.ike_offers, wanted) {
            Some(group) if group != self.current => Ok(Answer::OtherGroup(group)),
            Some(_) => Err(DropReason::Unacceptable),
            None => Ok(Answer::Hint { notify: NotifyType::INVALID_KE_PAYLOAD, wanted_group: Some(wanted) }),
        }
    }

    fn admit_choice(
        &self,
        profile: &Profile,
        responder_spi: IkeSpi,
        contents: SaInitAccepted,
        message: &[u8],
    ) -> Result<Answer, DropReason> {
        let suite = proposal::chosen_ike(&profile.ike_offers, &contents.security_association)
            .map_err(|_| DropReason::Unacceptable)?;
        let attempt = self.attempts.iter().find(|attempt| attempt.group == suite.group);
        let attempt = attempt.ok_or(DropReason::Unacceptable)?;
        let nonce = contents.nonce.octets();
        let acceptable = contents.key_exchange.group == proposal::group_number(suite.group)
            && contents.key_exchange.data.len() == suite.group.public_len()
            // RFC 7296 §2.10: at least half the key size of the PRF.
            && nonce.len().saturating_mul(2) >= suite.prf.output_len();
        // Whoever answers with our own values has none of its own.
        let reflected = responder_spi == self.spi
            || contents.key_exchange.data == attempt.secret.public()
            || nonce == self.nonce.octets();
        if !acceptable || reflected {
            return Err(DropReason::Unacceptable);
        }
        Ok(Answer::Accepted(Box::new(Accepted { responder_spi, suite, message: message.to_vec(), contents })))
    }

    /// Takes an answer that is not a choice.
    pub(super) fn take_hint(&mut self, ctx: &mut Context<'_>, notify: NotifyType, wanted_group: Option<u16>) {
        ctx.dropped(DropReason::Unauthenticated);
        self.hint(notify);
        // RFC 7296 §2.21.1: not believed, but a gateway that means it sends nothing else.
        if self.fallback.is_none() && (notify == NotifyType::NO_PROPOSAL_CHOSEN || wanted_group.is_some()) {
            let offered = ctx.profile.ike_offers.iter().map(ToString::to_string).collect();
            let failure = Failure::IkeProposalRefused { phase: Phase::SaInit, offered, wanted_group };
            self.fallback = Some(Fallback { at: ctx.now.after(REFUSAL_GRACE), failure });
        }
    }

    /// Remembers an unauthenticated error for people.
    pub(super) fn hint(&mut self, notify: NotifyType) {
        let name = notify.to_string();
        if self.hints.len() < MOST_HINTS && !self.hints.contains(&name) {
            self.hints.push(name);
        }
    }

    /// RFC 7296 §2.6: the same request with the cookie before it.
    pub(super) fn take_cookie(&mut self, ctx: &mut Context<'_>, cookie: Vec<u8>) {
        if self.may_restart(ctx) {
            self.cookie = Some(cookie);
            self.send(ctx);
        }
    }

    /// RFC 7296 §1.2, §2.6.1: the same request with another public value; a cookie stays.
    pub(super) fn take_group(&mut self, ctx: &mut Context<'_>, group: Group) {
        if self.may_restart(ctx) {
            self.current = group;
            self.send(ctx);
        }
    }

    /// Answers that make us send are bounded in number and rate: anyone may have sent them.
    fn may_restart(&mut self, ctx: &mut Context<'_>) -> bool {
        let hasty = self.restarts >= QUICK_RESTARTS && ctx.now.since(self.restarted) < RESTART_INTERVAL;
        if hasty || self.restarts >= MOST_RESTARTS {
            ctx.dropped(DropReason::Bounded);
            return false;
        }
        self.restarts = self.restarts.saturating_add(1);
        self.restarted = ctx.now;
        true
    }

    /// Computes the shared secret with a peer that chose; a number of times only.
    pub(super) fn open(&mut self, ctx: &mut Context<'_>, accepted: Accepted) -> Result<Opening, DropReason> {
        let Accepted { responder_spi, suite, message, contents } = accepted;
        // The same values make the same keys, and a second IKE_AUTH under them would use their first nonce again (RFC 5282 §3.1): an answer
        // that differs elsewhere only, repeated or tampered with, is not another candidate.
        let values = (responder_spi, contents.nonce.clone(), contents.key_exchange.data.clone());
        if self.spent.contains(&values) {
            return Err(DropReason::OutsideWindow);
        }
        let attempt = self.attempts.iter_mut().find(|attempt| attempt.group == suite.group);
        let attempt = attempt.ok_or(DropReason::Unacceptable)?;
        let shared = attempt.secret.agree(&contents.key_exchange.data).map_err(|error| match error {
            HalfOpenError::InvalidPublic => DropReason::Unacceptable,
            HalfOpenError::Exhausted => DropReason::Bounded,
        })?;
        let request = attempt.request.clone();
        self.spent.push(values);
        self.sending = None;
        self.fallback = None;
        let data = |kind| contents.notifies.iter().filter(move |notify| notify.kind == kind);
        let observed =
            Observed { initiator_spi: self.spi.to_octets(), responder_spi: responder_spi.to_octets(), path: self.path };
        let nat = nat::detect(
            observed,
            |input| sha1(&[input]).to_vec(),
            data(NotifyType::NAT_DETECTION_SOURCE_IP).map(|notify| notify.data.as_slice()),
            data(NotifyType::NAT_DETECTION_DESTINATION_IP).map(|notify| notify.data.as_slice()).next(),
        );
        ctx.event(Event::SuiteAgreed { phase: Phase::SaInit, suite, local_nat: nat.local, remote_nat: nat.remote });
        Ok(Opening {
            spis: (self.spi, responder_spi),
            suite,
            shared,
            messages: (request, message),
            nonces: (self.nonce.clone(), contents.nonce.clone()),
            capabilities: Capabilities::of_sa_init(ctx.profile, &contents.notifies),
            path: nat::floated(self.path, ctx.profile.encapsulation_port),
        })
    }

    /// A candidate turned out to be none: how it all ends, unless another comes until `at`.
    pub(super) fn fall_back(&mut self, at: Instant, failure: Failure) {
        self.fallback = Some(Fallback { at, failure });
    }

    /// A candidate never answered: how it all ends, if there is no better reason.
    pub(super) fn fall_back_to_silence(&mut self, now: Instant, silence: Failure) {
        let failure = self.take_fallback().unwrap_or(silence);
        self.fall_back(now, failure);
    }

    /// Repeats what is due; the failure when it was repeated often enough, and that is all there is.
    pub(super) fn repeat(&mut self, ctx: &mut Context<'_>) -> Option<Failure> {
        let path = self.path;
        match self.sending.as_mut()?.handle_timeout(ctx.now, ctx.random) {
            Verdict::Wait => None,
            Verdict::Repeat { datagrams, repetition } => {
                datagrams.iter().for_each(|datagram| ctx.transmit(path, datagram.clone()));
                ctx.event(Event::Repeating { exchange: Phase::SaInit, repetition });
                None
            }
            Verdict::GiveUp { sent, .. } => {
                self.sending = None;
                let waited = ctx.now.since(self.started);
                Some(Failure::NoAnswer { phase: Phase::SaInit, sent, waited, hints: self.hints.clone() })
            }
        }
    }

    /// The failure that was put off, when its time has come.
    fn take_due_fallback(&mut self, now: Instant) -> Option<Failure> {
        self.fallback.take_if(|fallback| fallback.at <= now).map(|fallback| fallback.failure)
    }

    /// The failure that was put off, before its time.
    fn take_fallback(&mut self) -> Option<Failure> {
        self.fallback.take().map(|fallback| fallback.failure)
    }

    pub(super) fn retransmission_deadline(&self) -> Option<Deadline> {
        self.sending.as_ref().map(|sending| Deadline { at: sending.deadline(), timer: Timer::Retransmit })
    }

    fn deadline(&self) -> Option<Deadline> {
        let fallback = self.fallback.as_ref().map(|fallback| Deadline { at: fallback.at, timer: Timer::Wait });
        earliest([self.retransmission_deadline(), fallback])
    }
}

fn notifies(ctx: &mut Context<'_>, spi: IkeSpi, path: Path) -> Vec<Notify> {
    let mut notifies = nat_detection::notifies(ctx.random, (spi.to_octets(), [0; 8]), path.remote).to_vec();
    // RFC 7383 §2.3.
    if ctx.profile.fragmentation.is_some() {
        notifies.push(Notify::new(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED));
    }
    notifies
}

fn random_spi(ctx: &mut Context<'_>) -> IkeSpi {
    loop {
        let mut octets = [0; 8];
        ctx.random.fill(&mut octets);
        if let Some(spi) = IkeSpi::new(octets) {
            return spi;
        }
    }
}
