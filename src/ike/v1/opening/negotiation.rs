//! What main mode and aggressive mode share: what is offered, what came of it, NAT detection, and what a refusal in clear means.

use std::time::Duration;

use crate::ike::action::{DropReason, Event, Failure, Phase};
use crate::ike::context::Context;
use crate::ike::nat::{self, Observed};
use crate::ike::profile::Profile;
use crate::ike::v1::header::ExchangeType;
use crate::ike::v1::keys::hash_of;
use crate::ike::v1::message::Informational;
use crate::ike::v1::notify::NotifyKind;
use crate::ike::v1::offer::{self, Method, OfferFault, Phase1Choice};
use crate::ike::v1::opening::{Attempt, Datagram};
use crate::ike::v1::vendor::PeerCapabilities;
use crate::sa::path::Path;
use crate::sa::suite::{IkeOffer, IkeSuite};

/// What the first message offers.
#[derive(Debug)]
pub(in crate::ike::v1) struct Offered {
    offers: Vec<IkeOffer>,
    method: Method,
    lifetime: Option<Duration>,
    /// The body of the SA payload.
    pub(in crate::ike::v1) sa: Vec<u8>,
}

/// What both agreed on, nothing of it authenticated.
#[derive(Clone, Copy, Debug)]
pub(in crate::ike::v1) struct Agreed {
    pub(in crate::ike::v1) suite: IkeSuite,
    pub(in crate::ike::v1) lifetime: Option<Duration>,
    pub(in crate::ike::v1) capabilities: PeerCapabilities,
}

impl Offered {
    pub(in crate::ike::v1) fn new(profile: &Profile, offers: Vec<IkeOffer>, method: Method) -> Self {
        let lifetime = profile.ike_lifetime.time;
        let sa = offer::phase1(&offers, method, lifetime);
        Self { offers, method, lifetime, sa }
    }

    /// Checks the SA payload of an answer, and what else it announces.
    pub(in crate::ike::v1) fn agree(&self, answer: &[u8], vendor_ids: &[Vec<u8>]) -> Result<Agreed, DropReason> {
        let choice = offer::phase1_choice(&self.offers, self.method, self.lifetime, answer);
        let Phase1Choice { suite, lifetime } = choice.map_err(|fault| match fault {
            OfferFault::Malformed => DropReason::Malformed,
            OfferFault::NotOne | OfferFault::NotOffered => DropReason::Unacceptable,
        })?;
        let mut capabilities = PeerCapabilities::default();
        capabilities.learn(vendor_ids);
        Ok(Agreed { suite, lifetime: shorter(self.lifetime, lifetime), capabilities })
    }
}

/// The shorter of two times, of which either may be missing.
fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

/// Checks a public value and a nonce of the peer: of the group's length, and not ours turned around.
pub(in crate::ike::v1) fn admit_values(
    suite: IkeSuite,
    ours: (&[u8], &[u8]),
    theirs: (&[u8], &[u8]),
) -> Result<(), DropReason> {
    let acceptable = theirs.0.len() == suite.group.public_len() && theirs.0 != ours.0 && theirs.1 != ours.1;
    if acceptable { Ok(()) } else { Err(DropReason::Unacceptable) }
}

/// Two NAT detection payloads: of the gateway's address, then of ours (RFC 3947 §3.2). Ours is that of nobody, so that the gateway finds a NAT and
/// encapsulates.
pub(in crate::ike::v1) fn nat_detection(
    ctx: &mut Context<'_>,
    suite: IkeSuite,
    cookies: ([u8; 8], [u8; 8]),
    path: Path,
) -> Vec<Vec<u8>> {
    let hash = hash_of(suite.prf);
    let of_gateway = hash.digest(&[&nat::detection_input(cookies.0, cookies.1, path.remote)]);
    let mut nobody = vec![0; hash.output_len()];
    ctx.random.fill(&mut nobody);
    vec![of_gateway, nobody]
}

/// Tells the suite, and where NATs stand as the peer's payloads say it.
pub(in crate::ike::v1) fn tell_suite(
    ctx: &mut Context<'_>,
    phase: Phase,
    suite: IkeSuite,
    cookies: ([u8; 8], [u8; 8]),
    (path, payloads): (Path, &[Vec<u8>]),
) {
    let observed = Observed { initiator_spi: cookies.0, responder_spi: cookies.1, path };
    let hash = hash_of(suite.prf);
    // RFC 3947 §3.2: the first is of the receiver's address.
    let mut payloads = payloads.iter().map(Vec::as_slice);
    let destination = payloads.next();
    let nat = nat::detect(observed, |input| hash.digest(&[input]), payloads, destination);
    ctx.event(Event::SuiteAgreed { phase, suite, local_nat: nat.local, remote_nat: nat.remote });
}

/// The errors of an informational message in clear: anyone may have sent them.
pub(in crate::ike::v1) fn errors_in_clear(datagram: &Datagram<'_>) -> Result<Vec<NotifyKind>, DropReason> {
    if datagram.header.exchange != ExchangeType::INFORMATIONAL || datagram.header.flags.encrypted {
        return Err(DropReason::NotOurs);
    }
    let message =
        Informational::parse(datagram.header.next_payload, datagram.rest).map_err(|_| DropReason::Malformed)?;
    let kinds = message.notifies.iter().map(|notify| NotifyKind(notify.kind));
    let errors: Vec<NotifyKind> = kinds.filter(|kind| kind.is_error()).collect();
    if errors.is_empty() { Err(DropReason::Unauthenticated) } else { Ok(errors) }
}

/// Remembers errors in clear, and how they end it: `failure` says which of them mean a refusal (as RFC 2408 §5 leaves it open, after a while).
pub(in crate::ike::v1) fn take_errors(
    ctx: &mut Context<'_>,
    attempt: &mut Attempt,
    errors: &[NotifyKind],
    failure: impl Fn(&Profile, NotifyKind) -> Option<Failure>,
) {
    ctx.dropped(DropReason::Unauthenticated);
    for error in errors {
        attempt.hint(error.to_string());
        if let Some(failure) = failure(ctx.profile, *error) {
            attempt.refused(ctx, failure);
        }
    }
}

/// The gateway has nothing to choose among what is offered.
pub(in crate::ike::v1) fn proposal_refused(profile: &Profile, phase: Phase) -> Failure {
    let offered = profile.ike_offers.iter().map(ToString::to_string).collect();
    Failure::IkeProposalRefused { phase, offered, wanted_group: None }
}

/// The gateway does not take us for its peer.
pub(in crate::ike::v1) fn authentication_refused(profile: &Profile, phase: Phase) -> Failure {
    Failure::AuthenticationRefused { phase, local: profile.local_identity.clone(), remote: None }
}

/// A new nonce (RFC 2409 §5: 8 to 256 octets).
pub(in crate::ike::v1) fn nonce(ctx: &mut Context<'_>) -> Vec<u8> {
    let mut nonce = vec![0; usize::from(ctx.profile.nonce_len.clamp(16, 256))];
    ctx.random.fill(&mut nonce);
    nonce
}
