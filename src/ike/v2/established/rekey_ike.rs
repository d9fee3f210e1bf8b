//! Our requests for an IKE SA in place of the current one (RFC 7296 §1.3.2, §2.8.2, §2.18), and what their answers mean.

use crate::crypto::dh::EphemeralSecret;
use crate::ike::action::{Event, Failure, Side};
use crate::ike::context::Context;
use crate::ike::proposal;
use crate::ike::schedule::retry;
use crate::ike::v2::collision::survivor;
use crate::ike::v2::established::associations::DeletedBy;
use crate::ike::v2::established::rekey_child::{
    is_long_enough, public_value, random_nonce, shared_secret, wanted_group,
};
use crate::ike::v2::established::{Established, Flow, LONGEST_REFUSAL};
use crate::ike::v2::exchange::Request;
use crate::ike::v2::ike_sa::IkeSa;
use crate::ike::v2::keys::{Role, next_skeyseed};
use crate::ike::v2::message::notify::Notify;
use crate::ike::v2::message::{
    CreateChildAnswer, CreateChildKind, CreateChildRequest, CreateChildResponse, MessageError, Nonce,
};
use crate::ike::wire::chain::Contents;
use crate::ike::wire::registry::NotifyType;
use crate::sa::spi::IkeSpi;
use crate::sa::suite::Group;

/// Our request that waits for its response.
pub(super) struct IkeExchange {
    spi: IkeSpi,
    nonce: Nonce,
    secret: EphemeralSecret,
    /// An IKE SA that the peer asked for meanwhile.
    pub(super) rival: Option<Rival>,
}

/// The IKE SA that the peer made at the same time.
pub(super) struct Rival {
    pub(super) name: IkeSpi,
    /// The peer's, then ours.
    pub(super) nonces: (Nonce, Nonce),
}

impl Established {
    /// The request; `None` if it cannot be made.
    pub(super) fn ike_request(&mut self, ctx: &mut Context<'_>) -> Option<Contents> {
        let contents = self.ike_request_with(ctx, self.ike_group.unwrap_or(self.current.suite.group));
        if contents.is_none() {
            self.want_ike_rekey_later(ctx);
        }
        contents
    }

    fn ike_request_with(&mut self, ctx: &mut Context<'_>, group: Group) -> Option<Contents> {
        let spi = self.unused_ike_spi(ctx);
        let secret = EphemeralSecret::generate(group, ctx.random);
        let nonce = random_nonce(ctx)?;
        let message = CreateChildRequest {
            kind: CreateChildKind::RekeyIke,
            security_association: proposal::offer_ike_again(&ctx.profile.ike_offers, spi),
            nonce: nonce.clone(),
            key_exchange: Some(public_value(&secret)),
            notifies: Vec::new(),
        };
        let contents = message.contents().ok()?;
        self.ike_exchange = Some(IkeExchange { spi, nonce, secret, rival: None });
        Some(contents)
    }

    /// The response to it.
    pub(super) fn receive_ike_answer(
        &mut self,
        ctx: &mut Context<'_>,
        answer: Result<CreateChildResponse, MessageError>,
    ) -> Flow {
        let Some(exchange) = self.ike_exchange.take() else { return Flow::Continue(()) };
        match answer {
            Ok(CreateChildResponse::Made(answer)) => self.ike_made(ctx, exchange, &answer),
            Ok(CreateChildResponse::Refused(notify)) => self.ike_refused(ctx, exchange, &notify),
            Err(error) => {
                ctx.event(Event::Notice(format!("the gateway's CREATE_CHILD_SA response cannot be read: {error}")));
                self.ike_not_had(ctx, exchange.rival, "a response that cannot be read")
            }
        }
    }

    fn ike_made(&mut self, ctx: &mut Context<'_>, exchange: IkeExchange, answer: &CreateChildAnswer) -> Flow {
        let IkeExchange { spi, nonce, secret, rival } = exchange;
        let Some(made) = self.ike_agreed(ctx, spi, &nonce, secret, answer) else {
            return self
                .close(ctx, Failure::PeerViolation { what: "its answer to the rekey of the IKE SA is no choice" });
        };
        // One that the peer deleted meanwhile has lost already.
        let rival = rival.and_then(|rival| Some((self.take_older(rival.name)?, rival.nonces)));
        match rival {
            None => self.succeed(ctx, made, DeletedBy::Us),
            Some((theirs, nonces)) => {
                // RFC 7296 §2.8.2: who made the redundant one deletes it; the other deletes the old one.
                match survivor([&nonce, &answer.nonce], [&nonces.0, &nonces.1]) {
                    Side::Us => {
                        self.succeed(ctx, made, DeletedBy::Us);
                        self.retire(ctx, theirs, DeletedBy::Peer);
                    }
                    Side::Peer => {
                        self.succeed(ctx, theirs, DeletedBy::Peer);
                        self.retire(ctx, made, DeletedBy::Us);
                    }
                }
            }
        }
        Flow::Continue(())
    }

    fn ike_agreed(
        &self,
        ctx: &Context<'_>,
        spi: IkeSpi,
        nonce: &Nonce,
        secret: EphemeralSecret,
        answer: &CreateChildAnswer,
    ) -> Option<IkeSa> {
        let (suite, theirs) = proposal::chosen_ike_again(&ctx.profile.ike_offers, &answer.security_association).ok()?;
        if !is_long_enough(&answer.nonce, suite.prf.output_len()) || answer.nonce == *nonce {
            return None;
        }
        let shared = shared_secret(Some(secret), suite.group, answer.key_exchange.as_ref())?;
        let old = &self.current;
        let skeyseed = next_skeyseed(old.suite.prf, &old.sk_d, &shared, nonce.octets(), answer.nonce.octets());
        let nonces = (nonce, &answer.nonce);
        IkeSa::successor(ctx.now, Role::Initiator, (spi, theirs), suite, &skeyseed, nonces)
    }

    fn ike_refused(&mut self, ctx: &mut Context<'_>, exchange: IkeExchange, notify: &Notify) -> Flow {
        let other = wanted_group(notify)
            .and_then(|number| proposal::offered_group(&ctx.profile.ike_offers, number))
            .filter(|group| *group != exchange.secret.group() && self.ike_group.is_none());
        if let (Some(group), None) = (other, &exchange.rival) {
            // RFC 7296 §1.3: the same request again, with the group that the peer wants.
            self.ike_group = Some(group);
            self.current.ours.ask(Request::RekeyIke);
            return Flow::Continue(());
        }
        self.ike_group = None;
        let name = notify.kind.to_string();
        if notify.kind == NotifyType::TEMPORARY_FAILURE {
            let since = *self.refused_since.get_or_insert(ctx.now);
            if ctx.now.since(since) >= LONGEST_REFUSAL {
                self.expire(ctx);
            }
        } else if exchange.rival.is_none() {
            // It will not be otherwise the next time.
            self.expire(ctx);
        }
        self.ike_not_had(ctx, exchange.rival, &name)
    }

    /// Ours was not made: the peer's takes its place, if there is one, or it is asked for again later.
    fn ike_not_had(&mut self, ctx: &mut Context<'_>, rival: Option<Rival>, reason: &str) -> Flow {
        if let Some(theirs) = rival.and_then(|rival| self.take_older(rival.name)) {
            self.succeed(ctx, theirs, DeletedBy::Peer);
            return Flow::Continue(());
        }
        self.want_ike_rekey_later(ctx);
        ctx.event(Event::Notice(format!("the IKE SA could not be rekeyed yet: the gateway's answer is {reason}")));
        Flow::Continue(())
    }

    fn want_ike_rekey_later(&mut self, ctx: &mut Context<'_>) {
        self.rekey_ike_at = Some(retry(ctx.now, self.ike_end, ctx.random));
    }

    /// An SPI that none of ours has.
    pub(super) fn unused_ike_spi(&self, ctx: &mut Context<'_>) -> IkeSpi {
        loop {
            let mut octets = [0; 8];
            ctx.random.fill(&mut octets);
            if let Some(spi) = IkeSpi::new(octets)
                && self.sas().all(|sa| sa.spis.0 != spi && sa.spis.1 != spi)
            {
                return spi;
            }
        }
    }
}
