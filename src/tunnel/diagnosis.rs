//! What a failure means to the person who runs the client: what happened, which configuration key it concerns, what either side
//! said, and what to try. It knows the causes that gateways are known for; it does not know how they are shown.

mod refusal;
mod shown;
mod silence;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::ike::action::Failure;
use crate::ike::identity::Identity;
use crate::tunnel::settings::{Host, IKE_PORT, LocalIdentity};

use shown::escaped;
pub use shown::selectors;

/// How the program ends. The numbers are the command line's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitKind {
    /// As asked.
    Success,
    /// None of the others.
    Other,
    /// The command line or the configuration is wrong.
    Configuration,
    /// The host does not let us: device, addresses, routes.
    Privileges,
    /// The gateway does not answer.
    Unreachable,
    /// One side does not accept the other's identity or key.
    Authentication,
    /// No algorithms in common.
    Proposal,
    /// No subnets in common, or no inner address.
    Selectors,
    /// Some of it is done, the rest only by another start.
    Restart,
}

impl ExitKind {
    /// All of them by the words that programs know them by.
    pub const NAMES: &[(&'static str, Self)] = &[
        ("success", Self::Success),
        ("other", Self::Other),
        ("configuration", Self::Configuration),
        ("privileges", Self::Privileges),
        ("unreachable", Self::Unreachable),
        ("authentication", Self::Authentication),
        ("proposal", Self::Proposal),
        ("selectors", Self::Selectors),
        ("restart", Self::Restart),
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("other", |(name, _)| name)
    }
}

/// A failure as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// How the program ends if it ends by this.
    pub exit: ExitKind,
    /// What happened.
    pub what: String,
    /// The configuration key that it concerns, such as `[ike] proposals`.
    pub key: Option<&'static str>,
    /// What we said or wanted.
    pub ours: Option<String>,
    /// What the gateway said or wanted; escaped.
    pub theirs: Option<String>,
    /// What to try; empty when `what` says it.
    pub fix: String,
}

/// With whom something failed, and what was configured.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// As configured.
    pub gateways: &'a [Host],
    /// Port of the first message.
    pub first_port: u16,
    /// Who we say we are.
    pub local_identity: &'a LocalIdentity,
    /// How long the IKE SA may be used.
    pub ike_lifetime: Option<Duration>,
    /// The gateway's address, once one was tried.
    pub remote: Option<IpAddr>,
    /// The configuration key of the pre-shared key, such as `[gateway] psk_file`.
    pub psk_key: &'static str,
}

const ADDRESS: &str = "[gateway] address";
const GATEWAY_ID: &str = "[gateway] id";
const GATEWAY_PORT: &str = "[gateway] port";
const SUBNETS: &str = "[gateway] subnets";
const LOCAL_ID: &str = "[local] id";
const LOCAL_ADDRESS: &str = "[local] address";
const IKE_PROPOSALS: &str = "[ike] proposals";
const IKE_LIFETIME: &str = "[ike] lifetime";
const DPD: &str = "[ike] dpd";
const MOBIKE: &str = "[ike] mobike";
const ESP_PROPOSALS: &str = "[esp] proposals";
const XAUTH_USER: &str = "[ike] xauth_user";

impl Diagnosis {
    /// What a session's end means.
    pub fn of(failure: &Failure, context: &Context<'_>) -> Self {
        match failure {
            Failure::NoAnswer { phase, sent, waited, hints } => {
                silence::no_answer(*phase, *sent, *waited, hints, context)
            }
            Failure::IkeProposalRefused { phase, offered, wanted_group } => {
                refusal::ike_proposals(*phase, offered, *wanted_group, context)
            }
            Failure::ChildProposalRefused { phase, offered } => refusal::child_proposals(*phase, offered, context),
            Failure::PfsRefused { offered, wanted_group } => refusal::pfs(offered, *wanted_group, context),
            Failure::AuthenticationRefused { phase, local, remote } => {
                refusal::authentication(*phase, local, remote.as_ref(), context)
            }
            Failure::PeerAuthenticationFailed { phase, identity } => refusal::peer_failed(*phase, identity, context),
            Failure::PeerIdentityUnexpected { expected, received } => {
                refusal::identity_unexpected(expected, received, context)
            }
            Failure::ChildrenDeleted { phase } => refusal::children_deleted(*phase, context),
            Failure::NoEncapsulation { phase } => refusal::no_encapsulation(*phase, context),
            Failure::XauthWanted => refusal::xauth_wanted(context),
            Failure::XauthRefused { user, message } => refusal::xauth_refused(user, message.as_deref(), context),
            Failure::PeerMethodUnexpected { method } => refusal::method_unexpected(method, context),
            Failure::SelectorsRefused { phase, local, remote, answered } => {
                refusal::subnets(*phase, local, remote, answered.as_ref(), context)
            }
            Failure::AddressRefused { reason } => refusal::address(reason, context),
            Failure::Refused { phase, notify } => refusal::other(*phase, notify, context),
            Failure::PeerViolation { what } => Self {
                exit: ExitKind::Other,
                what: format!("{} broke the protocol in an authenticated message", context.gateway()),
                key: None,
                ours: None,
                theirs: Some((*what).to_owned()),
                fix: "one of the two programs has a fault: run with --log-level debug and report what you see, \
                      with the gateway's make and release"
                    .into(),
            },
            Failure::Unsendable { phase } => refusal::unsendable(*phase),
            Failure::ClosedByPeer => Self {
                exit: ExitKind::Other,
                what: format!("{} closed the tunnel", context.gateway()),
                key: Some(LOCAL_ID),
                ours: Some(context.own_identity()),
                theirs: Some("DELETE".into()),
                fix: "the gateway's log says why. If another client uses the same identity, give each its own \
                      (id = \"${HOSTNAME}\" under [local]), or let the gateway keep both (strongSwan: uniqueids=never)"
                    .into(),
            },
            Failure::PeerDead { silent } => Self {
                exit: ExitKind::Unreachable,
                what: format!("{} was silent for {} s and gave no sign of life", context.gateway(), silent.as_secs()),
                key: Some(DPD),
                ours: Some(context.own_identity()),
                theirs: None,
                fix: "check the network between here and the gateway. If it happens again and again, another client \
                      with the same identity may displace this one in silence: give each its own identity"
                    .into(),
            },
            Failure::LifetimeEnded => Self {
                exit: ExitKind::Other,
                what: "the lifetime of the keys ended".into(),
                key: Some(IKE_LIFETIME),
                ours: context.ike_lifetime.map(|time| format!("{} s", time.as_secs())),
                theirs: None,
                fix: "nothing, if the tunnel comes back: it is made anew when its keys were not replaced in time. \
                      Longer lifetimes under [ike] and [esp] make that rarer"
                    .into(),
            },
            Failure::Moved { from, to } => Self {
                exit: ExitKind::Other,
                what: format!("the address that {} is reached from changed from {from} to {to}", context.gateway()),
                key: None,
                ours: Some(to.to_string()),
                theirs: None,
                fix: "nothing: the tunnel is made anew from the new address".into(),
            },
            Failure::MoveRefused { notify } => Self {
                exit: ExitKind::Other,
                what: format!("{} does not go on with this tunnel at other addresses", context.gateway()),
                key: Some(MOBIKE),
                ours: Some("UPDATE_SA_ADDRESSES".into()),
                theirs: Some(escaped(notify)),
                fix: "nothing, if the tunnel comes back: it is made anew. If it happens at each move, mobike = false under \
                      [ike] does so without asking"
                    .into(),
            },
            Failure::ClosedByUs { confirmed } => Self {
                exit: ExitKind::Success,
                what: "the tunnel was closed".into(),
                key: None,
                ours: Some("DELETE".into()),
                theirs: Some(if *confirmed { "confirmed" } else { "no answer" }.into()),
                fix: match confirmed {
                    true => "nothing".into(),
                    false => "nothing; the gateway may keep its side until it notices that we are gone".into(),
                },
            },
        }
    }

    /// Another client says that it is us.
    pub fn displaced(identity: &Identity, context: &Context<'_>) -> Self {
        Self {
            exit: ExitKind::Authentication,
            what: format!(
                "another client uses this identity: {} ends each of our tunnels soon after it is up",
                context.gateway()
            ),
            key: Some(LOCAL_ID),
            ours: Some(format!("identity {identity}")),
            theirs: Some("keeps one tunnel an identity, the newest".into()),
            fix: "give each replica an identity of its own, such as id = \"${HOSTNAME}.pods.example.org\" under [local]; or \
                  let the gateway keep all of them (strongSwan: `uniqueids=never`, in swanctl.conf `unique = never`) and \
                  write `shared_identity = true` under [local]. Until then vpnd leaves the other one in peace for minutes"
                .into(),
        }
    }

    /// The gateway's name has no address.
    pub fn not_resolved(gateway: &str, reason: &str) -> Self {
        Self {
            exit: ExitKind::Unreachable,
            what: format!("the name {} was not resolved ({})", escaped(gateway), escaped(reason)),
            key: Some(ADDRESS),
            ours: None,
            theirs: None,
            fix: "check the name's spelling and that DNS works here, or write the address".into(),
        }
    }

    /// The host has no way to the gateway.
    pub fn no_path(remote: IpAddr, reason: &str) -> Self {
        Self {
            exit: ExitKind::Unreachable,
            what: format!("there is no way to the gateway {remote} ({})", escaped(reason)),
            key: Some(ADDRESS),
            ours: None,
            theirs: None,
            fix: match remote {
                IpAddr::V4(_) => "check that the network is up and has a route to the gateway".into(),
                IpAddr::V6(_) => "check that this host has IPv6, or write an IPv4 address".into(),
            },
        }
    }

    /// Addresses or routes could not be set. The reason says what to try.
    pub fn host_failed(reason: &str) -> Self {
        Self {
            exit: ExitKind::Other,
            what: format!("this host could not be set up for the tunnel: {}", escaped(reason)),
            key: Some("[tun]"),
            ours: None,
            theirs: None,
            fix: "look at what stands in the way; with `routes = false` under [tun] vpnd sets no routes".into(),
        }
    }

    /// The tunnel was to be up by now, and nothing failed yet.
    pub fn not_up_in_time(waited: Duration, context: &Context<'_>) -> Self {
        Self {
            exit: ExitKind::Unreachable,
            what: format!("{} did not answer within {} s", context.gateway(), waited.as_secs()),
            key: Some(ADDRESS),
            ours: context.remote.map(|remote| format!("UDP to {remote}, port {}", context.first_port)),
            theirs: None,
            fix: context.reach(),
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        let mut line = |name: &str, text: Option<&str>| match text {
            Some(text) => write!(f, "\n  {name:<8} {text}"),
            None => Ok(()),
        };
        line("key:", self.key)?;
        line("ours:", self.ours.as_deref())?;
        line("gateway:", self.theirs.as_deref())?;
        line("try:", Some(self.fix.as_str()).filter(|fix| !fix.is_empty()))
    }
}

impl Context<'_> {
    fn gateway(&self) -> String {
        let host = self.gateways.first().map(ToString::to_string);
        match (self.remote, host) {
            (Some(remote), Some(host)) if self.gateways.len() == 1 && host != remote.to_string() => {
                format!("the gateway {} ({remote})", escaped(&host))
            }
            (Some(remote), _) => format!("the gateway {remote}"),
            (None, Some(host)) => format!("the gateway {}", escaped(&host)),
            (None, None) => "the gateway".into(),
        }
    }

    fn own_identity(&self) -> String {
        match self.local_identity {
            LocalIdentity::Fixed(identity) => format!("identity {identity}"),
            LocalIdentity::SourceAddress => "identity: the address we send from".into(),
        }
    }

    fn reach(&self) -> String {
        match self.first_port {
            IKE_PORT => {
                "check the address, that a gateway runs there and accepts this client's address, and that firewalls let \
                 UDP 500 and 4500 pass both ways; if only 4500 passes, write `port = 4500` under [gateway]"
            }
            _ => {
                "check the address, that a gateway runs there and accepts this client's address, and that firewalls let \
                 this UDP port pass both ways; some gateways begin on port 500 only: leave `port` out"
            }
        }
        .into()
    }
}

#[cfg(test)]
mod tests;
