//! One IKE SA that may turn out to be the gateway's: its keys, the IKE_AUTH request it was sent, and the pieces of its answer.
//! It knows one peer that is not authenticated yet, and nothing of others.

use crate::crypto::secret::Secret;
use crate::ike::action::{Deadline, DropReason, Event, Failure, Phase, Timer};
use crate::ike::attribute;
use crate::ike::context::Context;
use crate::ike::profile::Profile;
use crate::ike::proposal;
use crate::ike::retransmit::{Retransmission, Verdict};
use crate::ike::v2::answer::{Judgement, judge};
use crate::ike::v2::auth::{self, Signed};
use crate::ike::v2::capabilities::Capabilities;
use crate::ike::v2::established::CLOSING_POLICY;
use crate::ike::v2::exchange::OurRequests;
use crate::ike::v2::exchange::seal_datagrams;
use crate::ike::v2::fragment::{Fragment, Progress, Reassembly, Sizes};
use crate::ike::v2::ike_sa::IkeSa;
use crate::ike::v2::keys::{Exchanged, Role, child_keys, first_skeyseed, ike_keys};
use crate::ike::v2::message::{
    Attribute, AuthRequest, Authentication, Configuration, Delete, Identification, Informational, Nonce,
    TrafficSelectors, notify::Notify,
};
use crate::ike::v2::protect::{MessageProtection, OpenError, Opened};
use crate::ike::v2::sa_init::Opening;
use crate::ike::v2::window::PeerRequests;
use crate::ike::wire::chain::parse_outer;
use crate::ike::wire::header::{Flags, Header};
use crate::ike::wire::registry::{ConfigAttributeType, CpType, ExchangeType, NotifyType, PayloadType};
use crate::sa::keys::ChildKeys;
use crate::sa::path::Path;
use crate::sa::spi::{IkeSpi, InboundSpi};
use crate::sa::suite::{EspSuite, IkeSuite};
use crate::time::Instant;

/// IKE_SA_INIT had 0 (RFC 7296 §2.2).
const AUTH_MESSAGE_ID: u32 = 1;
/// What we say after it.
const NEXT_MESSAGE_ID: u32 = 2;

/// A half-open IKE SA.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Ours, then the peer's.
    pub(super) spis: (IkeSpi, IkeSpi),
    pub(super) suite: IkeSuite,
    pub(super) capabilities: Capabilities,
    pub(super) path: Path,
    pub(super) protection: MessageProtection,
    sk_d: Secret,
    sk_pr: Secret,
    /// Ours, then the peer's.
    nonces: (Nonce, Nonce),
    /// The peer's IKE_SA_INIT message, as it travelled.
    first_message: Vec<u8>,
    sending: Retransmission,
    /// What is sent, and waited for.
    phase: Phase,
    reassembly: Reassembly,
}

/// Why a datagram does nothing for a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Dropped(DropReason),
    /// An answer in clear: at most a hint.
    Unprotected(Option<NotifyType>),
}

impl Candidate {
    /// Sends IKE_AUTH. `None` if the profile asks for more than a message can hold.
    pub(super) fn start(ctx: &mut Context<'_>, opening: Opening, inbound: InboundSpi) -> Option<Self> {
        let Opening { spis, suite, shared, messages, nonces, capabilities, path } = opening;
        let exchanged = Exchanged {
            initiator_nonce: nonces.0.octets(),
            responder_nonce: nonces.1.octets(),
            initiator_spi: spis.0.to_octets(),
            responder_spi: spis.1.to_octets(),
        };
        let skeyseed = first_skeyseed(suite.prf, &shared, nonces.0.octets(), nonces.1.octets());
        let keys = ike_keys(suite, &skeyseed, exchanged)?;
        let mut protection = MessageProtection::new(suite.protection, &keys.initiator, &keys.responder).ok()?;
        let identity = Identification::of(&ctx.profile.local_identity);
        // RFC 7296 §2.15: the octets of the request that succeeded, with its cookie and its public value.
        let ours = Signed { first_message: &messages.0, other_nonce: nonces.1.octets(), sk_p: &keys.sk_pi };
        let proof = auth::prove(suite.prf, &ctx.profile.psk, ours, &identity);
        let contents = auth_request(ctx.profile, identity, proof, inbound).contents().ok()?;
        let sizes = if capabilities.fragmentation { ctx.profile.fragmentation } else { None };
        let sizes = sizes.map(|limit| Sizes::new(suite.protection, limit, &path));
        let header = request_header(spis, ExchangeType::IKE_AUTH, AUTH_MESSAGE_ID);
        let datagrams = seal_datagrams(&mut protection, &header, &contents, sizes, ctx.random).ok()?;
        datagrams.iter().for_each(|datagram| ctx.transmit(path, datagram.clone()));
        let sending = Retransmission::start(ctx.now, datagrams, ctx.profile.retransmission, ctx.random);
        Some(Self {
            spis,
            suite,
            capabilities,
            path,
            protection,
            sk_d: keys.sk_d,
            sk_pr: keys.sk_pr,
            nonces,
            first_message: messages.1,
            sending,
            phase: Phase::Auth,
            reassembly: Reassembly::new(),
        })
    }

    pub(super) fn is_named(&self, responder_spi: Option<IkeSpi>) -> bool {
        responder_spi == Some(self.spis.1)
    }

    /// Checks a datagram whose SPIs are this candidate's: only the answer to IKE_AUTH is opened.
    pub(super) fn admit(&self, header: &Header, path: Path, message: &[u8]) -> Result<Opened, Refusal> {
        // The port may be another: a NAT before the gateway need not keep it.
        if path.remote.ip() != self.path.remote.ip() || path.framing != self.path.framing {
            return Err(Refusal::Dropped(DropReason::WrongAddress));
        }
        let (exchange, message_id) = match self.phase {
            Phase::Informational => (ExchangeType::INFORMATIONAL, NEXT_MESSAGE_ID),
            _ => (ExchangeType::IKE_AUTH, AUTH_MESSAGE_ID),
        };
        let awaited = header.exchange == exchange && header.flags.response && !header.flags.initiator;
        if !awaited {
            return Err(Refusal::Dropped(DropReason::NotOurs));
        }
        if header.message_id != message_id {
            return Err(Refusal::Dropped(DropReason::OutsideWindow));
        }
        self.protection.open(message).map_err(|error| match error {
            OpenError::Malformed => Refusal::Dropped(DropReason::Malformed),
            OpenError::Forged => Refusal::Dropped(DropReason::Forged),
            OpenError::Unprotected => Refusal::Unprotected(error_in_clear(message)),
        })
    }

    /// The whole inner chain, once it is there.
    pub(super) fn take(&mut self, opened: Opened) -> Result<Option<(PayloadType, Vec<u8>)>, DropReason> {
        let Opened { header, fragment, first, content } = opened;
        let Some(number) = fragment else { return Ok(Some((first, content))) };
        // RFC 7383 §2.3: fragments come only where both announced them.
        if !self.capabilities.fragmentation {
            return Err(DropReason::Fragment);
        }
        let fragment = Fragment { exchange: header.exchange, number, first, content };
        match self.reassembly.insert(fragment).map_err(|_| DropReason::Fragment)? {
            Progress::Incomplete => Ok(None),
            Progress::Complete { first, inner, .. } => Ok(Some((first, inner))),
        }
    }

    /// What the answer is worth.
    pub(super) fn judge(&self, profile: &Profile, first: PayloadType, inner: &[u8]) -> Judgement {
        let theirs =
            Signed { first_message: &self.first_message, other_nonce: self.nonces.0.octets(), sk_p: &self.sk_pr };
        judge(profile, self.path.remote.ip(), self.suite.prf, theirs, first, inner)
    }

    pub(super) fn child_keys(&self, suite: EspSuite) -> Option<ChildKeys> {
        let (ours, theirs) = (self.nonces.0.octets(), self.nonces.1.octets());
        // RFC 7296 §1.2: the first child has no key exchange of its own.
        child_keys(self.suite.prf, &self.sk_d, suite, None, ours, theirs, Role::Initiator)
    }

    /// The IKE SA, once the peer is authenticated: IKE_AUTH was our second request, and the peer has made none.
    pub(super) fn into_ike_sa(self, now: Instant) -> IkeSa {
        IkeSa {
            role: Role::Initiator,
            spis: self.spis,
            suite: self.suite,
            sk_d: self.sk_d,
            protection: self.protection,
            ours: OurRequests::from(NEXT_MESSAGE_ID),
            peers: PeerRequests::from(0),
            established_at: now,
        }
    }

    /// Says a last thing and expects no answer.
    pub(super) fn dismiss(mut self, ctx: &mut Context<'_>, words: &Informational) {
        let _ = self.say(ctx, words);
    }

    /// Says that the IKE SA is none, from now on instead of IKE_AUTH.
    pub(super) fn delete(&mut self, ctx: &mut Context<'_>) {
        let words = Informational { deletes: vec![Delete::ike_sa()], ..Default::default() };
        let message = self.say(ctx, &words);
        self.sending = Retransmission::start(ctx.now, message.into_iter().collect(), CLOSING_POLICY, ctx.random);
        self.phase = Phase::Informational;
    }

    fn say(&mut self, ctx: &mut Context<'_>, words: &Informational) -> Option<Vec<u8>> {
        let header = request_header(self.spis, ExchangeType::INFORMATIONAL, NEXT_MESSAGE_ID);
        let message = self.protection.seal(&header, &words.contents().ok()?, ctx.random).ok()?;
        ctx.transmit(self.path, message.clone());
        Some(message)
    }

    /// Repeats what is due; the failure when it was repeated often enough.
    pub(super) fn repeat(&mut self, ctx: &mut Context<'_>, hints: &[String]) -> Option<Failure> {
        let path = self.path;
        match self.sending.handle_timeout(ctx.now, ctx.random) {
            Verdict::Wait => None,
            Verdict::Repeat { datagrams, repetition } => {
                datagrams.iter().for_each(|datagram| ctx.transmit(path, datagram.clone()));
                ctx.event(Event::Repeating { exchange: self.phase, repetition });
                None
            }
            Verdict::GiveUp { sent, waited } => {
                Some(Failure::NoAnswer { phase: self.phase, sent, waited, hints: hints.to_vec() })
            }
        }
    }

    pub(super) fn deadline(&self) -> Deadline {
        Deadline { at: self.sending.deadline(), timer: Timer::Retransmit }
    }
}

fn request_header(spis: (IkeSpi, IkeSpi), exchange: ExchangeType, message_id: u32) -> Header {
    Header {
        initiator_spi: spis.0,
        responder_spi: Some(spis.1),
        next_payload: PayloadType::NONE,
        major: 2,
        minor: 0,
        exchange,
        flags: Flags { initiator: true, response: false },
        message_id,
    }
}

fn auth_request(
    profile: &Profile,
    initiator: Identification,
    authentication: Authentication,
    inbound: InboundSpi,
) -> AuthRequest {
    let responder = profile.remote_identities.first().filter(|_| profile.send_remote_identity);
    let mut notifies = Vec::new();
    // RFC 7296 §2.4: never from one of several that share an identity.
    if profile.initial_contact {
        notifies.push(Notify::new(NotifyType::INITIAL_CONTACT));
    }
    // RFC 4555 §3.3.
    if profile.mobike {
        notifies.push(Notify::new(NotifyType::MOBIKE_SUPPORTED));
    }
    AuthRequest {
        initiator,
        responder: responder.map(Identification::of),
        authentication,
        configuration: configuration_request(profile),
        security_association: proposal::offer_esp(&profile.child.offers, inbound),
        traffic_selector_initiator: TrafficSelectors(profile.child.local.clone()),
        traffic_selector_responder: TrafficSelectors(profile.child.remote.clone()),
        notifies,
    }
}

fn configuration_request(profile: &Profile) -> Option<Configuration> {
    if !profile.request.asks() {
        return None;
    }
    let attributes = attribute::request(&profile.request).into_iter();
    let attributes =
        attributes.map(|attribute| Attribute { kind: ConfigAttributeType(attribute.kind), value: attribute.value });
    Some(Configuration { kind: CpType::CFG_REQUEST, attributes: attributes.collect() })
}

fn error_in_clear(message: &[u8]) -> Option<NotifyType> {
    let (header, rest) = Header::parse(message).ok()?;
    let outer = parse_outer(&header, rest).ok()?;
    Informational::parse(&outer.clear).ok()?.notifies.iter().map(|notify| notify.kind).find(|kind| kind.is_error())
}
