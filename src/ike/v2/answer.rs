//! What an IKE_AUTH answer is worth (RFC 7296 §1.2, §2.15, §2.21.2): first whether it is the peer, then whether its child is what was asked for.
//! It decides; it changes nothing and sends nothing.

use std::net::IpAddr;

use crate::crypto::prf::Prf;
use crate::ike::action::{Configuration, Failure, Phase};
use crate::ike::attribute;
use crate::ike::identity::Identity;
use crate::ike::profile::Profile;
use crate::ike::proposal;
use crate::ike::v2::auth::{self, AuthFault, PeerAuthenticated, Signed};
use crate::ike::v2::message::notify::{self, Notify};
use crate::ike::v2::message::{AuthProof, AuthResponse, ChildAnswer};
use crate::ike::wire::chain::parse_inner;
use crate::ike::wire::registry::{CpType, NotifyType, PayloadType};
use crate::sa::selector::{Selector, all_within};
use crate::sa::spi::OutboundSpi;
use crate::sa::suite::EspSuite;

/// The verdict on an answer whose integrity was checked.
#[derive(Debug)]
pub(super) enum Judgement {
    /// It is the peer.
    Authenticated(Box<Authenticated>),
    /// It is not the peer, as far as we can tell, and should know (RFC 7296 §2.21.2).
    NotThePeer(Failure),
    /// It does not take us for its peer; there is nothing to say.
    Refused(Failure),
}

/// The peer, and what became of the child: without one, the IKE SA is to be closed.
#[derive(Debug)]
pub(super) struct Authenticated {
    pub(super) proof: PeerAuthenticated,
    pub(super) identity: Identity,
    pub(super) notifies: Vec<Notify>,
    pub(super) child: Result<AgreedChild, Failure>,
}

/// The child SA, without keys.
#[derive(Debug)]
pub(super) struct AgreedChild {
    pub(super) suite: EspSuite,
    pub(super) outbound: OutboundSpi,
    pub(super) local: Vec<Selector>,
    pub(super) remote: Vec<Selector>,
    pub(super) configuration: Configuration,
}

/// Judges the inner payloads of an answer that came from `gateway`.
pub(super) fn judge(
    profile: &Profile,
    gateway: IpAddr,
    prf: Prf,
    theirs: Signed<'_>,
    first: PayloadType,
    inner: &[u8],
) -> Judgement {
    let parsed = parse_inner(first, inner).map_err(Into::into).and_then(|payloads| AuthResponse::parse(&payloads));
    let proof = match parsed {
        Ok(AuthResponse::Proof(proof)) => proof,
        Ok(AuthResponse::Eap) => {
            return Judgement::NotThePeer(Failure::PeerMethodUnexpected { method: "EAP".to_owned() });
        }
        Ok(AuthResponse::Refused { error, .. }) => return Judgement::Refused(refusal(profile, error.kind)),
        Err(_) => {
            return Judgement::NotThePeer(Failure::PeerViolation { what: "its IKE_AUTH response is no such message" });
        }
    };
    let identity = proof.responder.identity();
    let checked = auth::check(prf, &profile.psk, theirs, &proof, &profile.local_identity, &profile.remote_identities);
    match checked {
        Ok(proven) => {
            let child = judge_child(profile, gateway, &proof);
            let notifies = proof.notifies;
            Judgement::Authenticated(Box::new(Authenticated { proof: proven, identity, notifies, child }))
        }
        Err(fault) => Judgement::NotThePeer(not_authenticated(profile, fault, identity)),
    }
}

fn not_authenticated(profile: &Profile, fault: AuthFault, identity: Identity) -> Failure {
    match fault {
        AuthFault::Method(method) => Failure::PeerMethodUnexpected { method: method.to_string() },
        AuthFault::Reflected => Failure::PeerViolation { what: "it says that it is us" },
        AuthFault::Wrong => Failure::PeerAuthenticationFailed { phase: Phase::Auth, identity },
        AuthFault::Identity => {
            Failure::PeerIdentityUnexpected { expected: profile.remote_identities.clone(), received: identity }
        }
    }
}

/// What an error means for people, with our side of it.
fn refusal(profile: &Profile, error: NotifyType) -> Failure {
    match error {
        NotifyType::AUTHENTICATION_FAILED => Failure::AuthenticationRefused {
            phase: Phase::Auth,
            local: profile.local_identity.clone(),
            remote: profile.remote_identities.first().filter(|_| profile.send_remote_identity).cloned(),
        },
        NotifyType::NO_PROPOSAL_CHOSEN => Failure::ChildProposalRefused {
            phase: Phase::Auth,
            offered: profile.child.offers.iter().map(ToString::to_string).collect(),
        },
        NotifyType::TS_UNACCEPTABLE => selectors_refused(profile, None),
        NotifyType::INTERNAL_ADDRESS_FAILURE | NotifyType::FAILED_CP_REQUIRED => {
            Failure::AddressRefused { reason: format!("the gateway says {error}") }
        }
        _ => Failure::Refused { phase: Phase::Auth, notify: error.to_string() },
    }
}

fn selectors_refused(profile: &Profile, answered: Option<(Vec<Selector>, Vec<Selector>)>) -> Failure {
    Failure::SelectorsRefused {
        phase: Phase::Auth,
        local: profile.child.local.clone(),
        remote: profile.child.remote.clone(),
        answered,
    }
}

fn judge_child(profile: &Profile, gateway: IpAddr, proof: &AuthProof) -> Result<AgreedChild, Failure> {
    let (security_association, local, remote) = match &proof.child {
        ChildAnswer::Accepted { security_association, traffic_selector_initiator, traffic_selector_responder } => {
            (security_association, &traffic_selector_initiator.0, &traffic_selector_responder.0)
        }
        ChildAnswer::Refused { error } => return Err(refusal(profile, error.kind)),
    };
    // RFC 7296 §1.3.1, §2.22: neither was asked for.
    for unasked in [NotifyType::USE_TRANSPORT_MODE, NotifyType::IPCOMP_SUPPORTED] {
        if notify::find(&proof.notifies, unasked).is_some() {
            return Err(Failure::PeerViolation {
                what: "it chose transport mode or compression, which was not offered",
            });
        }
    }
    let (suite, outbound) = proposal::chosen_esp(&profile.child.offers, security_association)
        .map_err(|_| Failure::PeerViolation { what: "it chose a child proposal that was not offered" })?;
    // RFC 7296 §2.9: a subset of what was asked for, and not nothing.
    let within = |answered: &[Selector], asked: &[Selector]| !answered.is_empty() && all_within(answered, asked);
    if !within(local, &profile.child.local) || !within(remote, &profile.child.remote) {
        return Err(selectors_refused(profile, Some((local.clone(), remote.clone()))));
    }
    let mut configuration = judge_configuration(profile, gateway, proof)?;
    let reachable = |address: IpAddr| local.iter().any(|selector| selector.contains_address(address));
    if let Some((address, _)) = configuration.addresses.first()
        && !configuration.addresses.iter().any(|(address, _)| reachable(*address))
    {
        let reason = format!("the gateway gave {address}, but its traffic selectors leave it out");
        return Err(Failure::AddressRefused { reason });
    }
    if !profile.request.asks() {
        configuration.addresses.clone_from(&profile.request.fixed);
    }
    Ok(AgreedChild { suite, outbound, local: local.clone(), remote: remote.clone(), configuration })
}

fn judge_configuration(profile: &Profile, gateway: IpAddr, proof: &AuthProof) -> Result<Configuration, Failure> {
    let reply = proof.configuration.as_ref().filter(|configuration| configuration.kind == CpType::CFG_REPLY);
    let attributes = reply.into_iter().flat_map(|reply| &reply.attributes);
    let attributes = attributes.map(|attribute| (attribute.kind.0, attribute.value.as_slice()));
    attribute::accept(&profile.request, gateway, attributes)
        .map_err(|fault| Failure::AddressRefused { reason: fault.to_string() })
}
