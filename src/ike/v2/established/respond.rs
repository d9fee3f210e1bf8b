//! Requests of the peer for SAs (RFC 7296 §1.3, §2.8, §2.25): a child in place of ours, or an IKE SA in place of the current one.

use crate::crypto::dh::EphemeralSecret;
use crate::ike::action::{Event, Side};
use crate::ike::context::Context;
use crate::ike::proposal::{self, Refused};
use crate::ike::v2::child::NewSa;
use crate::ike::v2::collision::{Asked, Ours, Target, Verdict, verdict};
use crate::ike::v2::established::Established;
use crate::ike::v2::established::answer::{Handled, Then};
use crate::ike::v2::established::rekey_child::{Rival, is_long_enough, public_value, random_nonce, shared_secret};
use crate::ike::v2::established::rekey_ike;
use crate::ike::v2::exchange::Request;
use crate::ike::v2::ike_sa::IkeSa;
use crate::ike::v2::keys::{Role, child_keys, next_skeyseed};
use crate::ike::v2::message::Proposal;
use crate::ike::v2::message::create_child::ChildProtocol;
use crate::ike::v2::message::notify::Notify;
use crate::ike::v2::message::{
    CreateChildAnswer, CreateChildKind, CreateChildRequest, SecurityAssociation, TrafficSelectors,
};
use crate::ike::wire::registry::NotifyType;
use crate::sa::selector::all_within;
use crate::sa::spi::IkeSpi;

/// Why no SA is made.
enum No {
    /// The request is refused with this.
    Refuse(Notify),
    /// It breaks the protocol.
    Violation(&'static str),
}

impl Established {
    pub(super) fn handle_create_child(
        &mut self,
        ctx: &mut Context<'_>,
        name: IkeSpi,
        request: &CreateChildRequest,
    ) -> Handled {
        let (asked, found) = self.asked(request);
        // RFC 7296 §2.25.2: under an IKE SA that is replaced, nothing is made any more.
        let verdict = if self.is_current(name) { verdict(self.under_way(), asked) } else { Verdict::Later };
        let compared = match verdict {
            Verdict::AsUsual => false,
            Verdict::AsUsualAndCompare => true,
            Verdict::Later => return refuse(ctx, Notify::new(NotifyType::TEMPORARY_FAILURE)),
            Verdict::NotFound | Verdict::WithoutDelete => return refuse(ctx, found),
        };
        let made = match &request.kind {
            CreateChildKind::RekeyIke => self.make_ike(ctx, request, compared),
            CreateChildKind::RekeyChild { traffic_selector_initiator, traffic_selector_responder, .. }
            | CreateChildKind::NewChild { traffic_selector_initiator, traffic_selector_responder } => {
                let selectors = (traffic_selector_initiator, traffic_selector_responder);
                self.make_child(ctx, request, selectors, compared)
            }
        };
        match made {
            Ok(handled) => handled,
            Err(No::Refuse(notify)) => refuse(ctx, notify),
            Err(No::Violation(what)) => Handled::violation(self.violation(what)),
        }
    }

    /// What is asked, and how a child that is not there would be named in the refusal.
    fn asked(&self, request: &CreateChildRequest) -> (Asked, Notify) {
        let nothing = Notify::new(NotifyType::CHILD_SA_NOT_FOUND);
        match &request.kind {
            CreateChildKind::RekeyIke => (Asked::RekeyIke, nothing),
            CreateChildKind::NewChild { .. } => (Asked::NewChild, nothing),
            CreateChildKind::RekeyChild { rekeyed, .. } => {
                let rekeying = self.child_exchange.as_ref().and_then(|exchange| exchange.rekeyed);
                let child = self.child.as_ref().filter(|_| rekeyed.protocol == ChildProtocol::Esp);
                let target = child.map_or(Target::Unknown, |child| child.target(rekeyed.spi, rekeying));
                (Asked::RekeyChild(target), rekeyed.notify(NotifyType::CHILD_SA_NOT_FOUND))
            }
        }
    }

    /// What of ours is under way.
    pub(super) fn under_way(&self) -> Ours {
        if self.closing.is_some() {
            return Ours::DeleteIke;
        }
        match self.current.ours.asking() {
            Some(Request::RekeyChild | Request::NewChild) => Ours::MakeChild,
            Some(Request::DeleteChild(_)) => Ours::DeleteChild,
            Some(Request::RekeyIke) => Ours::RekeyIke,
            Some(Request::DeleteIkeSa) => Ours::DeleteIke,
            Some(Request::Liveness | Request::PathProbe(_) | Request::PathProbeCut(..) | Request::UpdateAddresses)
            | None => Ours::Nothing,
        }
    }

    fn make_child(
        &mut self,
        ctx: &mut Context<'_>,
        request: &CreateChildRequest,
        (theirs, ours): (&TrafficSelectors, &TrafficSelectors),
        compared: bool,
    ) -> Result<Handled, No> {
        let inbound = self.unused_spi(ctx);
        let Some(child) = self.child.as_mut().filter(|child| child.has_room()) else {
            return Err(No::Refuse(Notify::new(NotifyType::NO_ADDITIONAL_SAS)));
        };
        // RFC 7296 §2.9.2: all that is carried now, or it is no child of ours. More than that is narrowed.
        if !all_within(&child.remote, &theirs.0) || !all_within(&child.local, &ours.0) {
            return Err(No::Refuse(Notify::new(NotifyType::TS_UNACCEPTABLE)));
        }
        let prf = self.current.suite.prf;
        if !is_long_enough(&request.nonce, prf.output_len()) {
            return Err(No::Violation("its nonce is too short"));
        }
        let group = request.key_exchange.as_ref().map(|value| value.group);
        let accepted =
            proposal::accept_esp(&ctx.profile.child.offers, &request.security_association, group).map_err(refused)?;
        let nonce = random_nonce(ctx).ok_or(No::Refuse(Notify::new(NotifyType::TEMPORARY_FAILURE)))?;
        let secret = accepted.group.map(|group| EphemeralSecret::generate(group, ctx.random));
        let key_exchange = secret.as_ref().map(public_value);
        let shared = match accepted.group {
            None => None,
            Some(group) => Some(
                shared_secret(secret, group, request.key_exchange.as_ref())
                    .ok_or(No::Violation("its key exchange value is not one"))?,
            ),
        };
        let (suite, outbound) = (accepted.suite, accepted.spi);
        let nonces = (request.nonce.octets(), nonce.octets());
        let sk_d = &self.current.sk_d;
        let keys = child_keys(prf, sk_d, suite, shared.as_ref(), nonces.0, nonces.1, Role::Responder)
            .ok_or(No::Refuse(Notify::new(NotifyType::NO_PROPOSAL_CHOSEN)))?;
        // RFC 7296 §2.8: it can receive before the peer is told of it, and sends when the peer is known to have it.
        child.install(ctx, NewSa { suite, inbound, outbound, keys }, Side::Peer, self.path);
        self.pfs = accepted.group.or(self.pfs);
        let selectors = (TrafficSelectors(child.remote.clone()), TrafficSelectors(child.local.clone()));
        if let Some(exchange) = self.child_exchange.as_mut().filter(|_| compared) {
            exchange.rival = Some(Rival { inbound, nonces: (request.nonce.clone(), nonce.clone()) });
        }
        Ok(Handled::made(&CreateChildAnswer {
            security_association: chosen(accepted.answer, inbound.to_octets().to_vec()),
            nonce,
            key_exchange,
            selectors: Some(selectors),
            notifies: Vec::new(),
        }))
    }

    fn make_ike(&mut self, ctx: &mut Context<'_>, request: &CreateChildRequest, compared: bool) -> Result<Handled, No> {
        let value = request.key_exchange.as_ref().ok_or(No::Violation("its rekey has no key exchange"))?;
        let accepted = proposal::accept_ike(&ctx.profile.ike_offers, &request.security_association, value.group)
            .map_err(refused)?;
        if !is_long_enough(&request.nonce, accepted.suite.prf.output_len()) {
            return Err(No::Violation("its nonce is too short"));
        }
        let temporary = || No::Refuse(Notify::new(NotifyType::TEMPORARY_FAILURE));
        // RFC 7296 §2.8.2: one rival at a time; another comes from a peer that has lost count.
        if self.ike_exchange.as_ref().is_some_and(|exchange| exchange.rival.is_some()) {
            return Err(temporary());
        }
        let nonce = random_nonce(ctx).ok_or_else(temporary)?;
        let secret = EphemeralSecret::generate(accepted.suite.group, ctx.random);
        let key_exchange = Some(public_value(&secret));
        let shared = shared_secret(Some(secret), accepted.suite.group, Some(value))
            .ok_or(No::Violation("its key exchange value is not one"))?;
        let old = &self.current;
        let skeyseed = next_skeyseed(old.suite.prf, &old.sk_d, &shared, request.nonce.octets(), nonce.octets());
        let spi = self.unused_ike_spi(ctx);
        let spis = (spi, accepted.spi);
        if self.sas().any(|sa| sa.spis.1 == accepted.spi) {
            return Err(No::Violation("it names a new IKE SA like an old one"));
        }
        let nonces = (&request.nonce, &nonce);
        let made = IkeSa::successor(ctx.now, Role::Responder, spis, accepted.suite, &skeyseed, nonces)
            .ok_or(No::Refuse(Notify::new(NotifyType::NO_PROPOSAL_CHOSEN)))?;
        let answer = CreateChildAnswer {
            security_association: chosen(accepted.answer, spi.to_octets().to_vec()),
            nonce: nonce.clone(),
            key_exchange,
            selectors: None,
            notifies: Vec::new(),
        };
        let then = match self.ike_exchange.as_mut().filter(|_| compared) {
            Some(exchange) => {
                exchange.rival = Some(rekey_ike::Rival { name: spi, nonces: (request.nonce.clone(), nonce) });
                Then::Keep(Box::new(made))
            }
            None => Then::Succeed(Box::new(made)),
        };
        Ok(Handled { then, ..Handled::made(&answer) })
    }
}

fn refuse(ctx: &mut Context<'_>, notify: Notify) -> Handled {
    ctx.event(Event::Notice(format!("the gateway's CREATE_CHILD_SA request was answered {}", notify.kind)));
    Handled::saying(notify)
}

fn refused(refused: Refused) -> No {
    No::Refuse(match refused {
        Refused::NoProposal => Notify::new(NotifyType::NO_PROPOSAL_CHOSEN),
        Refused::OtherGroup(group) => {
            let number = proposal::group_number(group).to_be_bytes().to_vec();
            Notify::new(NotifyType::INVALID_KE_PAYLOAD).with_data(number)
        }
    })
}

fn chosen(answer: Proposal, spi: Vec<u8>) -> SecurityAssociation {
    SecurityAssociation { proposals: vec![Proposal { spi, ..answer }] }
}
