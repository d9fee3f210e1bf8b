//! Aggressive mode as initiator (RFC 2409 §5.4): one request, one answer that already holds the gateway's proof, and ours.
//! Whoever listens, or asks the gateway, gets what is needed to search for the pre-shared key offline: it is used only when it was asked for.

use crate::crypto::dh::{EphemeralSecret, HalfOpenError, HalfOpenSecret};
use crate::ike::action::{DropReason, Failure, Phase};
use crate::ike::context::Context;
use crate::ike::nat;
use crate::ike::profile::Profile;
use crate::ike::v1::header::ExchangeType;
use crate::ike::v1::message::{AggressiveAnswer, AggressiveOpening, AggressiveProof, Identification};
use crate::ike::v1::notify::NotifyKind;
use crate::ike::v1::opening::negotiation::{
    Agreed, Offered, admit_values, authentication_refused, errors_in_clear, nat_detection, nonce, proposal_refused,
    take_errors, tell_suite,
};
use crate::ike::v1::opening::proof::{self, Claim, Proven, Verdict, initial_contact};
use crate::ike::v1::opening::secrets::{Secrets, Sent};
use crate::ike::v1::opening::{Attempt, Datagram, Next, Stage, tell};
use crate::ike::v1::vendor::{self, NatTraversal};
use crate::sa::suite::{Group, IkeOffer};

const PHASE: Phase = Phase::AggressiveMode;

/// What people are told, once a session.
pub(super) const WARNING: &str = "aggressive mode: whoever listens here, or asks the gateway, can search for the pre-shared key offline; \
                       use a long random key, or main mode";

/// Waits for the second message.
#[derive(Debug)]
pub(super) struct AwaitAnswer {
    offered: Offered,
    secret: HalfOpenSecret,
    nonce: Vec<u8>,
}

/// The second message.
enum Answer {
    Chosen(Box<Chosen>),
    /// In clear, as it is: anyone may have sent them.
    Errors(Vec<NotifyKind>),
}

struct Chosen {
    agreed: Agreed,
    message: AggressiveAnswer,
}

impl AwaitAnswer {
    /// Sends the first message.
    pub(super) fn start(ctx: &mut Context<'_>, attempt: &mut Attempt) -> Next {
        let unsendable = Next::Failed(Failure::Unsendable { phase: PHASE });
        let Some((group, offers)) = offers_of_one_group(&ctx.profile.ike_offers) else { return unsendable };
        let offered = Offered::new(ctx.profile, offers, attempt.method());
        let secret = EphemeralSecret::generate(group, ctx.random).into_half_open();
        let nonce = nonce(ctx);
        let opening = AggressiveOpening {
            sa: offered.sa.clone(),
            key_exchange: secret.public().to_vec(),
            nonce: nonce.clone(),
            identification: Identification::of(&ctx.profile.local_identity),
            vendor_ids: vendor::ours(ctx.profile, attempt.settings.xauth.is_some()),
        };
        let message =
            opening.contents().ok().and_then(|contents| attempt.in_clear(ExchangeType::AGGRESSIVE, &contents));
        let Some(message) = message else { return unsendable };
        attempt.send(ctx, PHASE, message);
        Next::Wait(Stage::Answer(Self { offered, secret, nonce }))
    }

    pub(super) fn handle(mut self, ctx: &mut Context<'_>, attempt: &mut Attempt, datagram: &Datagram<'_>) -> Next {
        match self.admit(attempt, datagram) {
            Ok(Answer::Errors(errors)) => take_errors(ctx, attempt, &errors, refusal),
            Ok(Answer::Chosen(chosen)) => match self.judge(ctx, attempt, datagram, *chosen) {
                Ok((agreed, secrets, proven)) => return stand(ctx, attempt, datagram, agreed, secrets, *proven),
                Err(reason) => ctx.dropped(reason),
            },
            Err(reason) => ctx.dropped(reason),
        }
        Next::Wait(Stage::Answer(self))
    }

    fn admit(&self, attempt: &Attempt, datagram: &Datagram<'_>) -> Result<Answer, DropReason> {
        if datagram.header.exchange == ExchangeType::INFORMATIONAL {
            return errors_in_clear(datagram).map(Answer::Errors);
        }
        datagram.admit_in_clear(ExchangeType::AGGRESSIVE)?;
        if datagram.header.cookies.responder.is_none_or(|cookie| cookie == attempt.cookies.initiator) {
            return Err(DropReason::Unacceptable);
        }
        let message = AggressiveAnswer::parse(datagram.header.next_payload, datagram.rest);
        let message = message.map_err(|_| DropReason::Malformed)?;
        let agreed = self.offered.agree(&message.sa, &message.vendor_ids)?;
        let theirs = (message.key_exchange.as_slice(), message.nonce.as_slice());
        admit_values(agreed.suite, (self.secret.public(), &self.nonce), theirs)?;
        Ok(Answer::Chosen(Box::new(Chosen { agreed, message })))
    }

    /// Keys with a peer that may be anyone, a number of times only; then its proof.
    fn judge(
        &mut self,
        ctx: &mut Context<'_>,
        attempt: &mut Attempt,
        datagram: &Datagram<'_>,
        chosen: Chosen,
    ) -> Result<(Agreed, Secrets, Box<Proven>), DropReason> {
        let Chosen { agreed, message } = chosen;
        if agreed.capabilities.nat_traversal.is_none() {
            attempt.refused(ctx, Failure::NoEncapsulation { phase: PHASE });
            return Err(DropReason::Unacceptable);
        }
        let responder = datagram.header.cookies.responder.ok_or(DropReason::Unacceptable)?;
        let shared = self.secret.agree(&message.key_exchange).map_err(|error| match error {
            HalfOpenError::InvalidPublic => DropReason::Unacceptable,
            HalfOpenError::Exhausted => DropReason::Bounded,
        })?;
        let sent = Sent {
            cookies: (attempt.cookies.initiator.to_octets(), responder.to_octets()),
            publics: (self.secret.public().to_vec(), message.key_exchange.clone()),
            nonces: (self.nonce.clone(), message.nonce.clone()),
            sa: self.offered.sa.clone(),
            id: Identification::of(&ctx.profile.local_identity).body(),
        };
        let secrets = Secrets::derive(agreed.suite, &ctx.profile.psk, &shared, sent).ok_or(DropReason::Unacceptable)?;
        let claim =
            Claim { identification: &message.identification, body: &message.identification_body, hash: &message.hash };
        match proof::judge(&secrets, claim, secrets.iv.clone()) {
            Verdict::Proven(proven) => {
                attempt.cookies.responder = Some(responder);
                tell_suite(ctx, PHASE, agreed.suite, secrets.cookies(), (attempt.path, &message.nat_detection));
                Ok((agreed, secrets, proven))
            }
            Verdict::Wrong(identity) => {
                attempt.refused(ctx, Failure::PeerAuthenticationFailed { phase: PHASE, identity });
                Err(DropReason::Forged)
            }
        }
    }
}

/// Sends our proof. It has no answer: it is kept for a gateway that repeats its own message (RFC 2408 §5.1).
fn stand(
    ctx: &mut Context<'_>,
    attempt: &mut Attempt,
    datagram: &Datagram<'_>,
    agreed: Agreed,
    mut secrets: Secrets,
    mut proven: Proven,
) -> Next {
    let identity = match proven.admit_identity(ctx.profile) {
        Ok(identity) => identity,
        Err(failure) => return Next::Failed(failure),
    };
    // RFC 3947 §4: from the third message on.
    attempt.path = nat::floated(attempt.path, ctx.profile.encapsulation_port);
    attempt.learn(ctx.profile, agreed.capabilities);
    let message = AggressiveProof {
        hash: secrets.prove(),
        nat_detection: nat_detection(ctx, agreed.suite, secrets.cookies(), attempt.path),
        notifies: Vec::new(),
    };
    let nat_traversal = agreed.capabilities.nat_traversal.unwrap_or(NatTraversal::Rfc3947);
    let message = message.contents_for(nat_traversal).ok();
    let message = message.and_then(|contents| secrets.seal(&attempt.header(ExchangeType::AGGRESSIVE), &contents));
    let Some(message) = message else { return Next::Failed(Failure::Unsendable { phase: PHASE }) };
    let datagrams = attempt.say(ctx, message);
    attempt.answers.keep(datagram.message, attempt.path, datagrams);
    proven.goes_on_from(secrets.iv.clone());
    let mut sa = proof::isakmp_sa(ctx, attempt, agreed, secrets, proven);
    if ctx.profile.initial_contact {
        // RFC 2407 §4.6.3: never within aggressive mode.
        tell(ctx, &mut sa, &initial_contact(attempt.cookies));
    }
    proof::go_on(ctx, attempt, PHASE, sa, identity)
}

/// The public value is in the first message, and so its group is not negotiated (RFC 2409 §5).
fn offers_of_one_group(offers: &[IkeOffer]) -> Option<(Group, Vec<IkeOffer>)> {
    let group = *offers.first()?.groups.first()?;
    let with_group = offers.iter().filter(|offer| offer.groups.contains(&group));
    Some((group, with_group.map(|offer| IkeOffer { groups: vec![group], ..offer.clone() }).collect()))
}

fn refusal(profile: &Profile, error: NotifyKind) -> Option<Failure> {
    match error {
        NotifyKind::NO_PROPOSAL_CHOSEN => Some(proposal_refused(profile, PHASE)),
        NotifyKind::AUTHENTICATION_FAILED
        | NotifyKind::INVALID_ID_INFORMATION
        | NotifyKind::INVALID_KEY_INFORMATION
        | NotifyKind::INVALID_HASH_INFORMATION => Some(authentication_refused(profile, PHASE)),
        _ => None,
    }
}
