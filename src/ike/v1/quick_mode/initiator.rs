//! A quick mode that we began: the first message is out, the second is waited for.

use std::time::Duration;

use crate::crypto::dh::EphemeralSecret;
use crate::ike::action::{DropReason, Event, Failure, Phase};
use crate::ike::context::Context;
use crate::ike::profile::Profile;
use crate::ike::retransmit::{Retransmission, Verdict};
use crate::ike::v1::fragment;
use crate::ike::v1::header::{ExchangeType, Header, PayloadType};
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::ike::v1::iv::Iv;
use crate::ike::v1::message::{Hashed, Identification, QuickModeProposal};
use crate::ike::v1::notify::NotifyKind;
use crate::ike::v1::offer::{self, Phase2Terms};
use crate::ike::v1::quick_mode::identity::{identification_of, selector_of};
use crate::ike::v1::quick_mode::{Agreed, Pair, Secrets, agree, nonce, shortened, terms};
use crate::ike::wire::chain::Contents;
use crate::ike::wire::registry;
use crate::sa::path::Path;
use crate::sa::selector::Selector;
use crate::sa::spi::InboundSpi;
use crate::time::Instant;

/// The state after our first message.
pub(in crate::ike::v1) struct AwaitAnswer {
    pub(in crate::ike::v1) message_id: u32,
    pub(in crate::ike::v1) pair: Pair,
    pub(in crate::ike::v1) inbound: InboundSpi,
    identifications: (Identification, Identification),
    terms: Phase2Terms,
    nonce: Vec<u8>,
    secret: Option<EphemeralSecret>,
    /// After our first message.
    iv: Iv,
    path: Path,
    sending: Retransmission,
}

/// An answer whose HASH(2) is right.
pub(in crate::ike::v1) struct Answer {
    /// `None` if it is authentic, and still no such message.
    proposal: Option<QuickModeProposal>,
    next_iv: Iv,
    /// The commit bit was set (RFC 2408 §3.1). The header is not covered by the hash.
    commit: bool,
}

/// What an exchange led to.
pub(in crate::ike::v1) struct Completed {
    pub(in crate::ike::v1) agreed: Agreed,
    /// The third message: sent after the inbound SA is installed, and again when the second comes again.
    pub(in crate::ike::v1) confirmation: Vec<u8>,
    /// The gateway wants us to wait for its CONNECTED.
    pub(in crate::ike::v1) commit: bool,
}

/// An authentic answer that cannot be used.
pub(in crate::ike::v1) struct Rejected {
    pub(in crate::ike::v1) failure: Failure,
    /// What the gateway is told.
    pub(in crate::ike::v1) notify: NotifyKind,
}

impl AwaitAnswer {
    /// Sends the first message. `None` if it cannot be written: the selectors, or the offers, are more than IKEv1 can say.
    pub(in crate::ike::v1) fn start(
        ctx: &mut Context<'_>,
        sa: &mut IsakmpSa,
        pair: Pair,
        inbound: InboundSpi,
    ) -> Option<Self> {
        let terms = terms(ctx.profile, sa, inbound);
        let identifications = (identification_of(&pair.local)?, identification_of(&pair.remote)?);
        let secret = terms.pfs.map(|group| EphemeralSecret::generate(group, ctx.random));
        let nonce = nonce(ctx.profile, ctx.random);
        let proposal = QuickModeProposal {
            sa: offer::phase2(&ctx.profile.child.offers, terms),
            nonce: nonce.clone(),
            key_exchange: secret.as_ref().map(|secret| secret.public().to_vec()),
            identifications: Some(identifications.clone()),
            notifies: Vec::new(),
        };
        let contents = proposal.contents().ok()?;
        let message_id = sa.fresh_message_id(ctx.random);
        let mut iv = sa.first_iv(message_id);
        let message = sa.seal_with_hash_1(ExchangeType::QUICK_MODE, message_id, &mut iv, &contents)?;
        let datagrams = fragment::datagrams(fragment::limit(ctx.profile, sa.capabilities), &sa.path, message);
        datagrams.iter().for_each(|datagram| ctx.transmit(sa.path, datagram.clone()));
        let sending = Retransmission::start(ctx.now, datagrams, ctx.profile.retransmission, ctx.random);
        Some(Self { message_id, pair, inbound, identifications, terms, nonce, secret, iv, path: sa.path, sending })
    }

    /// Opens a message with our message ID: only one with the right HASH(2) is an answer.
    pub(in crate::ike::v1) fn admit(&self, sa: &IsakmpSa, header: &Header, rest: &[u8]) -> Result<Answer, DropReason> {
        let opened = sa.open(header, &self.iv, rest)?;
        let hashed = Hashed::parse(header.next_payload, &opened.octets).map_err(|_| DropReason::Malformed)?;
        // RFC 2409 §5.5: HASH(2) = prf(SKEYID_a, M-ID | Ni_b | SA | Nr ...).
        if !sa.skeyid.hash_2(self.message_id, &self.nonce, hashed.rest).matches(hashed.hash) {
            return Err(DropReason::Forged);
        }
        let proposal = QuickModeProposal::parse(PayloadType(hashed.next), hashed.rest).ok();
        Ok(Answer { proposal, next_iv: opened.next_iv, commit: header.flags.commit })
    }

    /// Judges the answer and makes the keys. Nothing is sent yet.
    pub(in crate::ike::v1) fn advance(
        self,
        profile: &Profile,
        sa: &IsakmpSa,
        answer: Answer,
    ) -> Result<Completed, Rejected> {
        let violation = |what, notify| Rejected { failure: Failure::PeerViolation { what }, notify };
        let Some(theirs) = answer.proposal else {
            return Err(violation("its quick mode answer cannot be read", NotifyKind::PAYLOAD_MALFORMED));
        };
        let mut choice = offer::phase2_choice(&profile.child.offers, self.terms, &theirs.sa).map_err(|_| {
            violation("its quick mode answer is not one of the ESP proposals offered", NotifyKind::NO_PROPOSAL_CHOSEN)
        })?;
        self.check_identifications(theirs.identifications.as_ref())?;
        // RFC 2409 §5.5: with a group in the SA, both sides send a KE.
        let shared = match (self.secret, theirs.key_exchange) {
            (Some(secret), Some(public)) => Some(secret.agree(&public).map_err(|_| {
                violation("its quick mode key exchange value is not valid", NotifyKind::INVALID_KEY_INFORMATION)
            })?),
            (None, None) => None,
            (Some(_), None) => {
                return Err(violation(
                    "its quick mode answer lacks a key exchange",
                    NotifyKind::INVALID_KEY_INFORMATION,
                ));
            }
            (None, Some(_)) => {
                return Err(violation("it added a key exchange to quick mode", NotifyKind::INVALID_KEY_INFORMATION));
            }
        };
        choice.lifetime = shortened(choice.lifetime, &theirs.notifies, choice.spi);
        let nonces = (self.nonce.as_slice(), theirs.nonce.as_slice());
        let secrets = Secrets { nonces, shared: shared.as_ref() };
        let unusable = || violation("it chose an ESP suite that has no keys", NotifyKind::NO_PROPOSAL_CHOSEN);
        let agreed = agree(&profile.child, sa, self.pair, self.inbound, &choice, &secrets);
        let agreed = agreed.ok_or_else(unusable)?;
        let hash = sa.skeyid.hash_3(self.message_id, nonces);
        let mut iv = answer.next_iv;
        let nothing = Contents { first: registry::PayloadType::NONE, octets: Vec::new() };
        let exchange = ExchangeType::QUICK_MODE;
        let confirmation = sa.seal_with_hash(exchange, self.message_id, &mut iv, hash.expose(), &nothing);
        Ok(Completed { agreed, confirmation: confirmation.ok_or_else(unusable)?, commit: answer.commit })
    }

    /// Our offer was refused, by an authentic error notify.
    pub(in crate::ike::v1) fn refused(&self, profile: &Profile, error: NotifyKind) -> Failure {
        match error {
            NotifyKind::NO_PROPOSAL_CHOSEN => Failure::ChildProposalRefused {
                phase: Phase::QuickMode,
                offered: profile.child.offers.iter().map(ToString::to_string).collect(),
            },
            NotifyKind::INVALID_ID_INFORMATION => self.selectors_refused(None),
            kind => Failure::Refused { phase: Phase::QuickMode, notify: kind.to_string() },
        }
    }

    /// Repeats what is due; the failure when it was repeated often enough.
    pub(in crate::ike::v1) fn repeat(&mut self, ctx: &mut Context<'_>, hints: &[String]) -> Option<Failure> {
        match self.sending.handle_timeout(ctx.now, ctx.random) {
            Verdict::Wait => None,
            Verdict::Repeat { datagrams, repetition } => {
                datagrams.iter().for_each(|message| ctx.transmit(self.path, message.clone()));
                ctx.event(Event::Repeating { exchange: Phase::QuickMode, repetition });
                None
            }
            Verdict::GiveUp { sent, waited } => {
                Some(Failure::NoAnswer { phase: Phase::QuickMode, sent, waited, hints: hints.to_vec() })
            }
        }
    }

    pub(in crate::ike::v1) fn deadline(&self) -> Instant {
        self.sending.deadline()
    }

    /// How often the first message was sent, and since when.
    pub(in crate::ike::v1) fn unanswered(&self, now: Instant) -> (u32, Duration) {
        (self.sending.sent(), self.sending.waited(now))
    }

    /// RFC 2409 §5.5: there is no narrowing; the answer names what was asked for. Two ways to write the same packets are the same.
    fn check_identifications(&self, theirs: Option<&(Identification, Identification)>) -> Result<(), Rejected> {
        if theirs == Some(&self.identifications) {
            return Ok(());
        }
        let answered = theirs.and_then(|(local, remote)| Some((selector_of(local)?, selector_of(remote)?)));
        if answered == Some((self.pair.local, self.pair.remote)) {
            return Ok(());
        }
        Err(Rejected { failure: self.selectors_refused(answered), notify: NotifyKind::INVALID_ID_INFORMATION })
    }

    fn selectors_refused(&self, answered: Option<(Selector, Selector)>) -> Failure {
        Failure::SelectorsRefused {
            phase: Phase::QuickMode,
            local: vec![self.pair.local],
            remote: vec![self.pair.remote],
            answered: answered.map(|(local, remote)| (vec![local], vec![remote])),
        }
    }
}
