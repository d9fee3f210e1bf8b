//! Our requests for a child SA in place of another (RFC 7296 §1.3.1, §1.3.3, §2.8), and what their answers mean.

use crate::crypto::dh::{EphemeralSecret, InvalidPublic};
use crate::crypto::secret::Secret;
use crate::ike::action::{Event, Failure, Phase, Side};
use crate::ike::context::Context;
use crate::ike::proposal;
use crate::ike::v2::child::NewSa;
use crate::ike::v2::collision::survivor;
use crate::ike::v2::established::{Established, Flow, LONGEST_REFUSAL};
use crate::ike::v2::exchange::Request;
use crate::ike::v2::keys::{Role, child_keys};
use crate::ike::v2::message::create_child::{ChildProtocol, RekeyedSa};
use crate::ike::v2::message::notify::Notify;
use crate::ike::v2::message::{
    CreateChildAnswer, CreateChildKind, CreateChildRequest, CreateChildResponse, KeyExchange, MessageError, Nonce,
    TrafficSelectors,
};
use crate::ike::wire::chain::Contents;
use crate::ike::wire::registry::NotifyType;
use crate::sa::selector::all_within;
use crate::sa::spi::InboundSpi;
use crate::sa::suite::Group;

/// Groups that a peer may ask for, one after the other, before its answer counts as a refusal.
const MOST_GROUPS: u8 = 3;

/// SAs that are deleted before they are known.
const MOST_DELETED: usize = 8;

/// Our request that waits for its response.
#[derive(Debug)]
pub(super) struct ChildExchange {
    /// The SA that is replaced; `None`: the peer has none.
    pub(super) rekeyed: Option<InboundSpi>,
    inbound: InboundSpi,
    nonce: Nonce,
    secret: Option<EphemeralSecret>,
    /// A rekey of the same SA that the peer asked for meanwhile.
    pub(super) rival: Option<Rival>,
    /// What the peer deleted meanwhile and we did not have: its DELETE may have overtaken the response that makes it known.
    deleted: Vec<u32>,
}

impl ChildExchange {
    pub(super) fn note_deleted(&mut self, outbound: u32) {
        if self.deleted.len() < MOST_DELETED {
            self.deleted.push(outbound);
        }
    }
}

/// The SA that the peer made at the same time.
#[derive(Debug)]
pub(super) struct Rival {
    pub(super) inbound: InboundSpi,
    /// The peer's, then ours.
    pub(super) nonces: (Nonce, Nonce),
}

/// What a first rekey showed of perfect forward secrecy.
enum Shown {
    Group(Group),
    NoGroup,
    Nothing,
}

/// Why an answer makes no SA, although the peer made one.
enum Unusable {
    /// It is undone, and asked for again.
    Narrowed,
    /// The peer broke the protocol.
    Violation(&'static str),
}

impl Established {
    /// The request whose turn it is; `None` if it has become needless.
    pub(super) fn child_request(&mut self, ctx: &mut Context<'_>, request: Request) -> Option<Contents> {
        let child = self.child.as_ref()?;
        let rekeyed = child.to_rekey().filter(|_| request == Request::RekeyChild);
        if request == Request::RekeyChild && rekeyed.is_none() {
            // The peer's own rekey is in the way of ours, which would have been the proof.
            self.conclude_verification(ctx, Shown::Nothing);
            return None;
        }
        let inbound = self.unused_spi(ctx);
        let child = self.child.as_ref()?;
        let offers = &ctx.profile.child.offers;
        let group = self.pfs.or_else(|| offers.iter().flat_map(|offer| &offer.pfs).next().copied());
        let secret = group.map(|group| EphemeralSecret::generate(group, ctx.random));
        let nonce = random_nonce(ctx)?;
        let traffic_selector_initiator = TrafficSelectors(child.local.clone());
        let traffic_selector_responder = TrafficSelectors(child.remote.clone());
        let kind = match rekeyed {
            // RFC 7296 §1.3.3: by the SPI that we receive on.
            Some(rekeyed) => CreateChildKind::RekeyChild {
                rekeyed: RekeyedSa { protocol: ChildProtocol::Esp, spi: rekeyed.value() },
                traffic_selector_initiator,
                traffic_selector_responder,
            },
            None => CreateChildKind::NewChild { traffic_selector_initiator, traffic_selector_responder },
        };
        let message = CreateChildRequest {
            kind,
            security_association: proposal::offer_esp_again(offers, inbound),
            nonce: nonce.clone(),
            key_exchange: secret.as_ref().map(public_value),
            notifies: Vec::new(),
        };
        let contents = message.contents().ok()?;
        self.child_exchange = Some(ChildExchange { rekeyed, inbound, nonce, secret, rival: None, deleted: Vec::new() });
        Some(contents)
    }

    /// The response to it.
    pub(super) fn receive_child_answer(
        &mut self,
        ctx: &mut Context<'_>,
        answer: Result<CreateChildResponse, MessageError>,
    ) -> Flow {
        let Some(exchange) = self.child_exchange.take() else { return Flow::Continue(()) };
        if self.closing.is_some() {
            return Flow::Continue(());
        }
        match answer {
            Ok(CreateChildResponse::Made(answer)) => self.child_made(ctx, exchange, *answer),
            Ok(CreateChildResponse::Refused(notify)) => self.child_refused(ctx, exchange, &notify),
            Err(error) => {
                ctx.event(Event::Notice(format!("the gateway's CREATE_CHILD_SA response cannot be read: {error}")));
                self.child_not_had(ctx, exchange.rekeyed, "a response that cannot be read")
            }
        }
    }

    fn child_made(&mut self, ctx: &mut Context<'_>, exchange: ChildExchange, answer: CreateChildAnswer) -> Flow {
        let ChildExchange { rekeyed, inbound, nonce, secret, rival, deleted } = exchange;
        let (sa, group) = match self.agreed(ctx, inbound, &nonce, secret, &answer) {
            Ok(agreed) => agreed,
            Err(Unusable::Violation(what)) => return self.close(ctx, Failure::PeerViolation { what }),
            Err(Unusable::Narrowed) => {
                // RFC 7296 §2.9.2: what is carried now would not be carried any more.
                ctx.event(Event::Notice("the gateway narrowed the subnets in a rekey: its SA is not used".to_owned()));
                self.current.ours.ask(Request::DeleteChild(inbound));
                return self.child_not_had(ctx, rekeyed, "narrower subnets");
            }
        };
        let shown = group.map_or(Shown::NoGroup, Shown::Group);
        if deleted.contains(&sa.outbound.value()) {
            self.conclude_verification(ctx, shown);
            return self.child_not_had(ctx, rekeyed, "an SA that it has deleted since");
        }
        let Some(child) = &mut self.child else { return Flow::Continue(()) };
        self.refused_since = None;
        self.rescue.child_made(ctx.now);
        self.pfs = group.or(self.pfs);
        child.install(ctx, sa, Side::Us, self.path);
        let rival = rival.filter(|rival| child.stands(rival.inbound));
        let stays =
            rival.map_or(Side::Us, |rival| survivor([&nonce, &answer.nonce], [&rival.nonces.0, &rival.nonces.1]));
        let goes = match stays {
            Side::Us => {
                child.release(ctx, inbound);
                rekeyed
            }
            // RFC 7296 §2.8.1: who made the redundant SA deletes it; the other deletes the old one.
            Side::Peer => {
                child.pass_over(inbound);
                Some(inbound)
            }
        };
        if let Some(goes) = goes.filter(|goes| child.begin_delete(*goes)) {
            self.current.ours.ask(Request::DeleteChild(goes));
        }
        self.conclude_verification(ctx, shown);
        Flow::Continue(())
    }

    fn agreed(
        &mut self,
        ctx: &mut Context<'_>,
        inbound: InboundSpi,
        nonce: &Nonce,
        secret: Option<EphemeralSecret>,
        answer: &CreateChildAnswer,
    ) -> Result<(NewSa, Option<Group>), Unusable> {
        let offers = &ctx.profile.child.offers;
        let (suite, outbound, group) = proposal::chosen_esp_again(offers, &answer.security_association)
            .map_err(|_| Unusable::Violation("it chose a child proposal that was not offered"))?;
        if answer.notifies.iter().any(|notify| notify.kind == NotifyType::USE_TRANSPORT_MODE) {
            return Err(Unusable::Violation("it chose transport mode, which was not offered"));
        }
        let prf = self.current.suite.prf;
        if !is_long_enough(&answer.nonce, prf.output_len()) || answer.nonce == *nonce {
            return Err(Unusable::Violation("its nonce is too short or our own"));
        }
        // RFC 7296 §1.3.3: without a group in the choice, a KE payload means nothing.
        let shared = match group {
            None => None,
            Some(group) => Some(
                shared_secret(secret, group, answer.key_exchange.as_ref())
                    .ok_or(Unusable::Violation("its key exchange value is not one"))?,
            ),
        };
        let child = self.child.as_ref().ok_or(Unusable::Narrowed)?;
        let (local, remote) = answer.selectors.as_ref().ok_or(Unusable::Narrowed)?;
        if !all_within(&local.0, &child.local) || !all_within(&remote.0, &child.remote) {
            return Err(Unusable::Violation("its traffic selectors are wider than what was asked for"));
        }
        if !all_within(&child.local, &local.0) || !all_within(&child.remote, &remote.0) {
            return Err(Unusable::Narrowed);
        }
        let (ours, theirs) = (nonce.octets(), answer.nonce.octets());
        let keys = child_keys(prf, &self.current.sk_d, suite, shared.as_ref(), ours, theirs, Role::Initiator)
            .ok_or(Unusable::Violation("its choice needs too many keys"))?;
        Ok((NewSa { suite, inbound, outbound, keys }, group))
    }

    fn child_refused(&mut self, ctx: &mut Context<'_>, exchange: ChildExchange, notify: &Notify) -> Flow {
        let offers = &ctx.profile.child.offers;
        let wanted = wanted_group(notify);
        let tried = exchange.secret.as_ref().map(EphemeralSecret::group);
        // RFC 7296 §1.3: the same request again, with the group that the peer wants.
        let other =
            wanted.and_then(|number| proposal::offered_pfs(offers, number)).filter(|group| Some(*group) != tried);
        if let Some(group) = other.filter(|_| self.groups_tried < MOST_GROUPS) {
            self.groups_tried = self.groups_tried.saturating_add(1);
            self.pfs = Some(group);
            self.current.ours.ask(if exchange.rekeyed.is_some() { Request::RekeyChild } else { Request::NewChild });
            return Flow::Continue(());
        }
        self.groups_tried = 0;
        let Some(child) = &mut self.child else { return Flow::Continue(()) };
        // The peer's own rekey of the same SA went through, and perhaps it has deleted that SA already.
        if child.to_rekey() != exchange.rekeyed && child.is_carried() {
            self.conclude_verification(ctx, Shown::Nothing);
            return Flow::Continue(());
        }
        if self.verifying && matches!(notify.kind, NotifyType::NO_PROPOSAL_CHOSEN | NotifyType::INVALID_KE_PAYLOAD) {
            let offered = offers.iter().map(ToString::to_string).collect();
            return self.close(ctx, Failure::PfsRefused { offered, wanted_group: wanted });
        }
        if let (NotifyType::CHILD_SA_NOT_FOUND, Some(rekeyed)) = (notify.kind, exchange.rekeyed) {
            // RFC 7296 §2.25: it is dropped without a word, and a new one is made.
            child.is_unknown_to_peer(ctx.now, rekeyed);
            self.current.ours.ask(Request::NewChild);
            return Flow::Continue(());
        }
        let name = notify.kind.to_string();
        if notify.kind == NotifyType::TEMPORARY_FAILURE {
            let since = *self.refused_since.get_or_insert(ctx.now);
            if ctx.now.since(since) >= LONGEST_REFUSAL {
                self.expire(ctx);
            }
        } else if !self.verifying {
            // It will not be otherwise the next time.
            self.expire(ctx);
        }
        self.child_not_had(ctx, exchange.rekeyed, &name)
    }

    /// There is no new SA: it is asked for again later, as long as there is one that carries traffic.
    fn child_not_had(&mut self, ctx: &mut Context<'_>, rekeyed: Option<InboundSpi>, reason: &str) -> Flow {
        let Some(child) = &mut self.child else { return Flow::Continue(()) };
        let reason = reason.to_owned();
        if !child.is_carried() {
            // The peer deleted the old one meanwhile, or never had it: one attempt is made at another in its place.
            if rekeyed.is_none() {
                return self.remake_child(ctx, Failure::Refused { phase: Phase::CreateChild, notify: reason });
            }
            self.current.ours.ask(Request::NewChild);
            return Flow::Continue(());
        }
        if child.is_spent() {
            return self.close(ctx, Failure::LifetimeEnded);
        }
        child.want_after_refusal(ctx);
        ctx.event(Event::Notice(format!("the child SA could not be rekeyed yet: the gateway's answer is {reason}")));
        self.conclude_verification(ctx, Shown::Nothing);
        Flow::Continue(())
    }

    /// The first rekey is over: what it showed, and the tunnel is ready.
    fn conclude_verification(&mut self, ctx: &mut Context<'_>, shown: Shown) {
        if !std::mem::take(&mut self.verifying) {
            return;
        }
        match shown {
            Shown::Group(group) => ctx.event(Event::PfsVerified { group }),
            Shown::NoGroup => {
                ctx.event(Event::Notice("the gateway takes no group: rekeys have no perfect forward secrecy".into()));
            }
            Shown::Nothing => {
                ctx.event(Event::Notice("the group of perfect forward secrecy could not be proven yet".into()));
            }
        }
        ctx.event(Event::Ready);
    }

    /// An SPI of which no packet can be under way.
    pub(super) fn unused_spi(&self, ctx: &mut Context<'_>) -> InboundSpi {
        loop {
            let spi = random_spi(ctx);
            if !self.child.as_ref().is_some_and(|child| child.has(spi)) {
                return spi;
            }
        }
    }
}

/// An SPI for a child SA.
pub(in crate::ike::v2) fn random_spi(ctx: &mut Context<'_>) -> InboundSpi {
    loop {
        let mut octets = [0; 4];
        ctx.random.fill(&mut octets);
        // RFC 4303 §2.1: 1 to 255 are reserved, 0 is never sent.
        if let Some(spi) = InboundSpi::new(u32::from_be_bytes(octets)) {
            return spi;
        }
    }
}

pub(super) fn random_nonce(ctx: &mut Context<'_>) -> Option<Nonce> {
    let mut nonce = vec![0; usize::from(ctx.profile.nonce_len.clamp(16, 256))];
    ctx.random.fill(&mut nonce);
    Nonce::new(nonce)
}

/// RFC 7296 §2.10: at least half the key size of the PRF.
pub(super) fn is_long_enough(nonce: &Nonce, prf_len: usize) -> bool {
    nonce.octets().len().saturating_mul(2) >= prf_len
}

pub(super) fn public_value(secret: &EphemeralSecret) -> KeyExchange {
    KeyExchange { group: proposal::group_number(secret.group()), data: secret.public().to_vec() }
}

/// `None` if the value is of another group than the choice, is ours, or is none.
pub(super) fn shared_secret(
    secret: Option<EphemeralSecret>,
    group: Group,
    theirs: Option<&KeyExchange>,
) -> Option<Secret> {
    let (secret, theirs) = (secret?, theirs?);
    let is_of_group = secret.group() == group && theirs.group == proposal::group_number(group);
    if !is_of_group || theirs.data == secret.public() {
        return None;
    }
    secret.agree(&theirs.data).map_err(|InvalidPublic| ()).ok()
}

/// The number in INVALID_KE_PAYLOAD (RFC 7296 §1.3).
pub(super) fn wanted_group(notify: &Notify) -> Option<u16> {
    let number = <[u8; 2]>::try_from(notify.data.as_slice()).ok().map(u16::from_be_bytes);
    number.filter(|_| notify.kind == NotifyType::INVALID_KE_PAYLOAD)
}
