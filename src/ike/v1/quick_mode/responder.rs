//! A quick mode that the gateway began: our answer is out, its confirmation is waited for.

use crate::crypto::dh::EphemeralSecret;
use crate::ike::action::DropReason;
use crate::ike::context::Context;
use crate::ike::v1::header::{ExchangeType, Header};
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::ike::v1::iv::Iv;
use crate::ike::v1::message::{Hashed, QuickModeProposal};
use crate::ike::v1::notify::NotifyKind;
use crate::ike::v1::offer;
use crate::ike::v1::quick_mode::identity::selector_of;
use crate::ike::v1::quick_mode::{Agreed, Pair, Secrets, agree, nonce, terms};
use crate::sa::spi::InboundSpi;

/// A first message whose HASH(1) is right.
pub(in crate::ike::v1) struct Request {
    message_id: u32,
    /// `None` if it is authentic, and still no such message.
    proposal: Option<QuickModeProposal>,
    next_iv: Iv,
}

/// The state after our answer.
pub(in crate::ike::v1) struct AwaitConfirmation {
    pub(in crate::ike::v1) message_id: u32,
    pub(in crate::ike::v1) inbound: InboundSpi,
    /// The second message.
    pub(in crate::ike::v1) answer: Vec<u8>,
    /// The initiator's, then ours.
    nonces: (Vec<u8>, Vec<u8>),
    /// After our answer.
    iv: Iv,
}

impl Request {
    /// Opens a message with a message ID that was not used yet.
    pub(in crate::ike::v1) fn admit(sa: &IsakmpSa, header: &Header, rest: &[u8]) -> Result<Self, DropReason> {
        let opened = sa.open(header, &sa.first_iv(header.message_id), rest)?;
        let (first, octets) = sa.verify_hash_1(&opened)?;
        let proposal = QuickModeProposal::parse(first, octets).ok();
        Ok(Self { message_id: header.message_id, proposal, next_iv: opened.next_iv })
    }

    /// What it is for, seen from here: IDci is the gateway's side, IDcr is ours. The error to answer with if that is nothing we know.
    pub(in crate::ike::v1) fn pair(&self) -> Result<Pair, NotifyKind> {
        let proposal = self.proposal.as_ref().ok_or(NotifyKind::PAYLOAD_MALFORMED)?;
        let selectors = proposal.identifications.as_ref().and_then(|(initiator, responder)| {
            Some(Pair { local: selector_of(responder)?, remote: selector_of(initiator)? })
        });
        selectors.ok_or(NotifyKind::INVALID_ID_INFORMATION)
    }

    /// Accepts it: what is to be installed before `AwaitConfirmation::answer` is sent. Otherwise the error to answer with.
    pub(in crate::ike::v1) fn accept(
        self,
        ctx: &mut Context<'_>,
        sa: &IsakmpSa,
        pair: Pair,
        inbound: InboundSpi,
    ) -> Result<(AwaitConfirmation, Agreed), NotifyKind> {
        let theirs = self.proposal.ok_or(NotifyKind::PAYLOAD_MALFORMED)?;
        let terms = terms(ctx.profile, sa, inbound);
        let choice = offer::phase2_accept(&ctx.profile.child.offers, terms, &theirs.sa);
        let choice = choice.map_err(|_| NotifyKind::NO_PROPOSAL_CHOSEN)?;
        // RFC 2409 §5.5: a group in the SA and a KE come together.
        let (public, shared) = match (choice.pfs, &theirs.key_exchange) {
            (None, None) => (None, None),
            (Some(group), Some(peer)) => {
                let secret = EphemeralSecret::generate(group, ctx.random);
                let public = secret.public().to_vec();
                (Some(public), Some(secret.agree(peer).map_err(|_| NotifyKind::INVALID_KEY_INFORMATION)?))
            }
            (Some(_), None) | (None, Some(_)) => return Err(NotifyKind::INVALID_KEY_INFORMATION),
        };
        let nonces = (theirs.nonce, nonce(ctx.profile, ctx.random));
        let secrets = Secrets { nonces: (&nonces.0, &nonces.1), shared: shared.as_ref() };
        let agreed = agree(&ctx.profile.child, sa, pair, inbound, &choice, &secrets);
        let agreed = agreed.ok_or(NotifyKind::NO_PROPOSAL_CHOSEN)?;
        let proposal = QuickModeProposal {
            sa: choice.answer,
            nonce: nonces.1.clone(),
            key_exchange: public,
            identifications: theirs.identifications,
            notifies: Vec::new(),
        };
        let contents = proposal.contents().map_err(|_| NotifyKind::PAYLOAD_MALFORMED)?;
        let hash = sa.skeyid.hash_2(self.message_id, &nonces.0, &contents.octets);
        let mut iv = self.next_iv;
        let answer = sa.seal_with_hash(ExchangeType::QUICK_MODE, self.message_id, &mut iv, hash.expose(), &contents);
        let answer = answer.ok_or(NotifyKind::PAYLOAD_MALFORMED)?;
        let waiting = AwaitConfirmation { message_id: self.message_id, inbound, answer, nonces, iv };
        Ok((waiting, agreed))
    }
}

impl AwaitConfirmation {
    /// Checks the third message.
    pub(in crate::ike::v1) fn confirm(&self, sa: &IsakmpSa, header: &Header, rest: &[u8]) -> Result<(), DropReason> {
        let opened = sa.open(header, &self.iv, rest)?;
        let hashed = Hashed::parse(header.next_payload, &opened.octets).map_err(|_| DropReason::Malformed)?;
        // RFC 2409 §5.5: HASH(3) = prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b).
        let expected = sa.skeyid.hash_3(self.message_id, (&self.nonces.0, &self.nonces.1));
        if expected.matches(hashed.hash) { Ok(()) } else { Err(DropReason::Forged) }
    }
}
