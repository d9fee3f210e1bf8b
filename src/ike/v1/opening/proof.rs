//! Who the gateway is: its proof first, then what it calls itself. Only what passes here becomes an ISAKMP SA.

use crate::ike::action::{DropReason, Event, Failure, Phase};
use crate::ike::context::Context;
use crate::ike::identity::Identity;
use crate::ike::profile::Profile;
use crate::ike::v1::header::Cookies;
use crate::ike::v1::informational::{self, News};
use crate::ike::v1::isakmp_sa::{self, IsakmpSa, PeerAuthenticated};
use crate::ike::v1::iv::Iv;
use crate::ike::v1::message::{Identification, Informational};
use crate::ike::v1::mode_config::AwaitConfiguration;
use crate::ike::v1::notify::NotifyKind;
use crate::ike::v1::opening::negotiation::Agreed;
use crate::ike::v1::opening::secrets::Secrets;
use crate::ike::v1::opening::{Attempt, Next, farewell};
use crate::ike::v1::xauth::AwaitUser;

/// What the gateway says and proves of itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::ike::v1) struct Claim<'a> {
    pub(in crate::ike::v1) identification: &'a Identification,
    /// As it travelled.
    pub(in crate::ike::v1) body: &'a [u8],
    pub(in crate::ike::v1) hash: &'a [u8],
}

/// What a claim is worth.
#[derive(Debug)]
pub(in crate::ike::v1) enum Verdict {
    /// Somebody who has the key.
    Proven(Box<Proven>),
    /// The proof is wrong.
    Wrong(Identity),
}

/// Somebody who has the key; whether it is who was asked for comes next.
#[derive(Debug)]
pub(in crate::ike::v1) struct Proven {
    proof: PeerAuthenticated,
    identity: Identity,
    /// Behind the message that held the proof.
    next_iv: Iv,
}

impl Proven {
    /// Our proof came behind the gateway's.
    pub(in crate::ike::v1) fn goes_on_from(&mut self, iv: Iv) {
        self.next_iv = iv;
    }

    /// Whether the one that has the key is the one we asked for: by type and octets.
    pub(in crate::ike::v1) fn admit_identity(&self, profile: &Profile) -> Result<Identity, Failure> {
        if self.identity == profile.local_identity {
            return Err(Failure::PeerViolation { what: "it says that it is us" });
        }
        if !profile.remote_identities.contains(&self.identity) {
            let expected = profile.remote_identities.clone();
            return Err(Failure::PeerIdentityUnexpected { expected, received: self.identity.clone() });
        }
        Ok(self.identity.clone())
    }
}

/// Checks the proof, in constant time.
pub(in crate::ike::v1) fn judge(secrets: &Secrets, claim: Claim<'_>, next_iv: Iv) -> Verdict {
    let identity = claim.identification.identity();
    match secrets.check(claim.body, claim.hash) {
        Some(proof) => Verdict::Proven(Box::new(Proven { proof, identity, next_iv })),
        None => Verdict::Wrong(identity),
    }
}

/// An ISAKMP SA with somebody who has the key. Who that is, is to be asked next.
pub(in crate::ike::v1) fn isakmp_sa(
    ctx: &Context<'_>,
    attempt: &Attempt,
    agreed: Agreed,
    secrets: Secrets,
    proven: Proven,
) -> IsakmpSa {
    let parts = isakmp_sa::Agreed {
        cookies: attempt.cookies,
        suite: agreed.suite,
        skeyid: secrets.skeyid,
        cipher: secrets.cipher,
        phase1_iv: proven.next_iv,
        capabilities: agreed.capabilities,
        path: attempt.path,
        established_at: ctx.now,
        ends_at: agreed.lifetime.map(|time| ctx.now.after(time)),
    };
    IsakmpSa::new(proven.proof, parts)
}

/// Phase 1 is over: what comes next.
pub(in crate::ike::v1) fn go_on(
    ctx: &mut Context<'_>,
    attempt: &mut Attempt,
    phase: Phase,
    mut sa: IsakmpSa,
    identity: Identity,
) -> Next {
    if attempt.is_leaving() {
        farewell(ctx, &mut sa);
        return Next::Failed(Failure::ClosedByUs { confirmed: true });
    }
    ctx.event(Event::Authenticated { phase, identity });
    match attempt.settings.xauth {
        Some(_) => AwaitUser::start(ctx, attempt, sa),
        None => AwaitConfiguration::start(ctx, attempt, sa),
    }
}

/// RFC 2407 §4.6.3.3.
pub(in crate::ike::v1) fn initial_contact(cookies: Cookies) -> Informational {
    informational::notify(cookies, NotifyKind::INITIAL_CONTACT.0, Vec::new())
}

/// What an authentic informational message says that matters before there are children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ike::v1) enum Ending {
    /// The gateway has no such SA any more.
    Deleted,
    /// An error.
    Error(NotifyKind),
}

/// The ending among `news` of the SA with these cookies; a delete before all.
pub(in crate::ike::v1) fn ending(cookies: Cookies, news: &[News]) -> Result<Ending, DropReason> {
    if news.contains(&News::DeleteIsakmp(cookies)) {
        return Ok(Ending::Deleted);
    }
    let errors = news.iter().filter_map(|one| if let News::Error { kind, .. } = one { Some(*kind) } else { None });
    errors.map(|kind| Ending::Error(NotifyKind(kind))).next().ok_or(DropReason::Unacceptable)
}
