//! What a failure means to the person who runs the client: what happened, which configuration key it concerns, what either side
//! said, and what to try. It knows the causes that gateways are known for; it does not know how they are shown.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::ike::action::{Failure, Phase};
use crate::ike::identity::Identity;
use crate::sa::notation::{group_name, parse_ike};
use crate::sa::selector::Selector;
use crate::tunnel::settings::{Host, IKE_PORT, LocalIdentity};

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
const ESP_PROPOSALS: &str = "[esp] proposals";

impl Diagnosis {
    /// What a session's end means.
    pub fn of(failure: &Failure, context: &Context<'_>) -> Self {
        match failure {
            Failure::NoAnswer { phase, sent, waited, hints } => no_answer(*phase, *sent, *waited, hints, context),
            Failure::IkeProposalRefused { offered, wanted_group, .. } => ike_refused(offered, *wanted_group, context),
            Failure::ChildProposalRefused { offered, .. } => child_refused(offered, context),
            Failure::AuthenticationRefused { local, remote, .. } => authentication_refused(local, remote.as_ref(), context),
            Failure::PeerAuthenticationFailed { identity, .. } => peer_failed(identity, context),
            Failure::PeerIdentityUnexpected { expected, received } => identity_unexpected(expected, received, context),
            Failure::NoEncapsulation { .. } => Self {
                exit: ExitKind::Other,
                what: format!("{} does not know NAT traversal, and vpnd sends ESP in UDP only", context.gateway()),
                key: None,
                ours: Some("NAT traversal (RFC 3947, drafts 02 and 03)".into()),
                theirs: Some("no vendor ID for it".into()),
                fix: "switch NAT traversal on at the gateway (UDP encapsulation; Cisco: `crypto isakmp nat-traversal`)".into(),
            },
            Failure::XauthWanted => Self {
                exit: ExitKind::Authentication,
                what: format!("{} asks for a name and a password (XAUTH)", context.gateway()),
                key: Some("[ike] xauth_user"),
                ours: Some("no name is configured".into()),
                theirs: Some("XAUTH request".into()),
                fix: "write `xauth_user` and `xauth_password_file` under [ike], or have XAUTH switched off for us at the gateway".into(),
            },
            Failure::XauthRefused { user, message } => Self {
                exit: ExitKind::Authentication,
                what: format!("{} refuses the name or the password (XAUTH)", context.gateway()),
                key: Some("[ike] xauth_user"),
                ours: Some(escaped(user)),
                theirs: message.as_deref().map(escaped),
                fix: "compare `xauth_user` and the password in `xauth_password_file` with the account at the gateway; it may be locked".into(),
            },
            Failure::PeerMethodUnexpected { method } => method_unexpected(method, context),
            Failure::SelectorsRefused { local, remote, answered, .. } => {
                selectors_refused(local, remote, answered.as_ref(), context)
            }
            Failure::AddressRefused { reason } => address_refused(reason, context),
            Failure::Refused { phase, notify } => refused(*phase, notify, context),
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
            Failure::Unsendable { phase } => unsendable(*phase),
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
                fix: "nothing, if the tunnel comes back: keys are replaced by connecting anew. \
                      Longer lifetimes under [ike] and [esp] make that rarer"
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

fn no_answer(phase: Phase, sent: u32, waited: Duration, hints: &[String], context: &Context<'_>) -> Diagnosis {
    let exchange = exchange(phase);
    let times = if sent == 1 { "once".to_owned() } else { format!("{sent} times") };
    let what = format!("{} did not answer {exchange} (sent {times} in {} s)", context.gateway(), waited.as_secs());
    let (key, fix) = match phase {
        Phase::SaInit => (ADDRESS, context.reach()),
        Phase::Auth => (
            GATEWAY_PORT,
            "the first exchange was answered, so the gateway is there. Check that firewalls let UDP 4500 pass both ways, \
             that fragments are not dropped on the way, and the gateway's log: some are silent when they do not know \
             our identity"
                .into(),
        ),
        Phase::MainModeProposal
        | Phase::MainModeKeys
        | Phase::MainModeAuth
        | Phase::AggressiveMode
        | Phase::Xauth
        | Phase::ModeConfig
        | Phase::QuickMode => (ADDRESS, context.reach()),
        Phase::Informational => (DPD, "check the network between here and the gateway".into()),
    };
    Diagnosis {
        exit: ExitKind::Unreachable,
        what,
        key: Some(key),
        ours: Some(format!("{exchange} to UDP port {}", context.first_port)),
        theirs: (!hints.is_empty()).then(|| format!("{} (unprotected: anybody can have sent that)", list(hints))),
        fix,
    }
}

fn ike_refused(offered: &[String], wanted_group: Option<u16>, context: &Context<'_>) -> Diagnosis {
    let (theirs, fix) = match wanted_group {
        Some(number) => {
            let name = group_name(number).map_or_else(|| format!("group {number}"), str::to_owned);
            (format!("INVALID_KE_PAYLOAD: asks for {name}"), group_fix(&name))
        }
        None => (
            "NO_PROPOSAL_CHOSEN: it does not say what it would accept".to_owned(),
            "write the gateway's own proposal: every algorithm must match (strongSwan: `ike=` or `proposals`, \
             elsewhere \"phase 1\"). Older gateways accept only sha1 or modp1024, which need `allow_weak = true` under \
             [security]"
                .to_owned(),
        ),
    };
    Diagnosis {
        exit: ExitKind::Proposal,
        what: format!("{} accepts none of the IKE proposals", context.gateway()),
        key: Some(IKE_PROPOSALS),
        ours: Some(list(offered)),
        theirs: Some(theirs),
        fix,
    }
}

fn group_fix(name: &str) -> String {
    match parse_ike(&format!("aes256-sha256-{name}")) {
        Ok(parsed) if parsed.weak.is_empty() => format!("add `-{name}` to the proposals"),
        Ok(_) => format!(
            "let the gateway use modp2048 or ecp256; or add `-{name}`, with `allow_weak = true` under [security]"
        ),
        Err(_) => "let the gateway use a group that vpnd has: modp2048, ecp256 or x25519".into(),
    }
}

fn child_refused(offered: &[String], context: &Context<'_>) -> Diagnosis {
    Diagnosis {
        exit: ExitKind::Proposal,
        what: format!("{} accepts none of the ESP proposals", context.gateway()),
        key: Some(ESP_PROPOSALS),
        ours: Some(list(offered)),
        theirs: Some("NO_PROPOSAL_CHOSEN: it does not say what it would accept".into()),
        fix: "authentication succeeded; write the gateway's own proposal (strongSwan: `esp=` or `esp_proposals`, \
              elsewhere \"phase 2\"), and compare `esn`"
            .into(),
    }
}

fn authentication_refused(local: &Identity, remote: Option<&Identity>, context: &Context<'_>) -> Diagnosis {
    let ours = match remote {
        Some(remote) => format!("identity {local}, asking for {remote}"),
        None => format!("identity {local}"),
    };
    let by_address = *context.local_identity == LocalIdentity::SourceAddress;
    let (key, identity) = if by_address {
        (
            LOCAL_ID,
            "The identity is the address of this host, which is another one behind a NAT: set `id` under [local]. ",
        )
    } else {
        (context.psk_key, "")
    };
    Diagnosis {
        exit: ExitKind::Authentication,
        what: format!("{} refused our identity or pre-shared key", context.gateway()),
        key: Some(key),
        ours: Some(ours),
        theirs: Some("AUTHENTICATION_FAILED".into()),
        fix: format!(
            "compare the pre-shared key ({}) with the gateway's, and the identity with the one it expects \
             (strongSwan: `rightid`). {identity}The gateway's log says which of the two it is",
            context.psk_key
        ),
    }
}

fn peer_failed(identity: &Identity, context: &Context<'_>) -> Diagnosis {
    Diagnosis {
        exit: ExitKind::Authentication,
        what: format!("{} did not prove that it has the pre-shared key", context.gateway()),
        key: Some(context.psk_key),
        ours: None,
        theirs: Some(format!("identity {identity}")),
        fix: "compare the pre-shared key with the one that the gateway has for this pair of identities. If they are equal, \
              something between here and the gateway answers in its place"
            .into(),
    }
}

fn identity_unexpected(expected: &[Identity], received: &Identity, context: &Context<'_>) -> Diagnosis {
    let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
    let fix = match configured(received) {
        Some(text) => format!("if that is your gateway, write `id = {text}` under [gateway]"),
        None => "give the gateway a name or an address as its identity (strongSwan: `leftid`), and write that as `id`"
            .into(),
    };
    Diagnosis {
        exit: ExitKind::Authentication,
        what: format!("{} calls itself something else", context.gateway()),
        key: Some(GATEWAY_ID),
        ours: Some(format!("expected {}", list(&expected))),
        theirs: Some(format!("identity {received}")),
        fix,
    }
}

/// How an identity stands in the configuration; `None` when it cannot.
fn configured(identity: &Identity) -> Option<String> {
    let text = match identity {
        Identity::Ipv4(address) => address.to_string(),
        Identity::Ipv6(address) => address.to_string(),
        Identity::Fqdn(name) if name.parse::<IpAddr>().is_ok() => format!("fqdn:{name}"),
        Identity::Fqdn(name) => name.clone(),
        Identity::Email(name) => format!("email:{name}"),
        Identity::KeyId(octets) => format!("keyid:{}", std::str::from_utf8(octets).ok()?),
        Identity::Other(..) => return None,
    };
    let plain = text.len() <= 128 && text.chars().all(|letter| letter.is_ascii_graphic() && !"\"\\`$".contains(letter));
    plain.then(|| format!("\"{text}\""))
}

fn method_unexpected(method: &str, context: &Context<'_>) -> Diagnosis {
    Diagnosis {
        exit: ExitKind::Authentication,
        what: format!("{} does not authenticate itself by the pre-shared key", context.gateway()),
        key: Some(context.psk_key),
        ours: Some("pre-shared key".into()),
        theirs: Some(escaped(method)),
        fix: "vpnd knows pre-shared keys only: set the gateway to PSK in both directions (strongSwan: `authby=psk`)"
            .into(),
    }
}

fn selectors_refused(
    local: &[Selector],
    remote: &[Selector],
    answered: Option<&(Vec<Selector>, Vec<Selector>)>,
    context: &Context<'_>,
) -> Diagnosis {
    let (theirs, fix) = match answered {
        Some((local, remote)) => (
            format!("{} (here) and {} (there)", selectors(local), selectors(remote)),
            "the gateway answered more or something else than was asked: set `subnets` to what it serves",
        ),
        None => (
            "TS_UNACCEPTABLE".to_owned(),
            "compare `subnets` with what the gateway serves (strongSwan: `leftsubnet`; elsewhere proxy IDs or phase 2 \
             selectors). Some gateways, such as Cisco ASA, FortiGate and MikroTik, accept exactly one pair of subnets: \
             write one, as it stands there. Without an address from the gateway, compare `subnets` under [local] too",
        ),
    };
    Diagnosis {
        exit: ExitKind::Selectors,
        what: format!("{} does not carry these subnets", context.gateway()),
        key: Some(SUBNETS),
        ours: Some(format!("{} (here) and {} (there)", selectors(local), selectors(remote))),
        theirs: Some(theirs),
        fix: fix.into(),
    }
}

fn address_refused(reason: &str, context: &Context<'_>) -> Diagnosis {
    Diagnosis {
        exit: ExitKind::Selectors,
        what: format!("{} gave no inner address that can be used", context.gateway()),
        key: Some(LOCAL_ADDRESS),
        ours: Some("an address from the gateway".into()),
        theirs: Some(escaped(reason)),
        fix: "give the gateway a pool of addresses for clients (strongSwan: `rightsourceip`) and check that it is not used \
              up; for a site-to-site gateway, which assigns none, write `subnets` or an `address` under [local]"
            .into(),
    }
}

fn refused(phase: Phase, notify: &str, context: &Context<'_>) -> Diagnosis {
    let (exit, key, fix) = match notify {
        "SINGLE_PAIR_REQUIRED" => {
            (ExitKind::Selectors, Some(SUBNETS), "the gateway accepts one subnet a child SA: write a single one")
        }
        "TS_UNACCEPTABLE" => (ExitKind::Selectors, Some(SUBNETS), "compare `subnets` with what the gateway serves"),
        "INTERNAL_ADDRESS_FAILURE" => (
            ExitKind::Selectors,
            Some(LOCAL_ADDRESS),
            "the gateway's pool of addresses is empty or not meant for this identity: look at its leases. Clients that \
             ended without a DELETE keep theirs until the gateway notices",
        ),
        "FAILED_CP_REQUIRED" => (
            ExitKind::Selectors,
            Some(LOCAL_ADDRESS),
            "the gateway insists on assigning an address: write `address = \"virtual\"` under [local], and no `subnets`",
        ),
        "NO_PROPOSAL_CHOSEN" => (ExitKind::Proposal, Some(ESP_PROPOSALS), "write the gateway's own proposal"),
        "INVALID_KE_PAYLOAD" => (ExitKind::Proposal, Some(IKE_PROPOSALS), "write the group that the gateway uses"),
        "AUTHENTICATION_FAILED" => {
            (ExitKind::Authentication, Some(context.psk_key), "compare pre-shared key and identities on both sides")
        }
        "NO_ADDITIONAL_SAS" => (
            ExitKind::Other,
            None,
            "the gateway allows no further tunnel: look at its limits, and at tunnels of ours that it has not forgotten",
        ),
        "TEMPORARY_FAILURE" => (ExitKind::Other, None, "the gateway is busy: nothing, if the next attempt succeeds"),
        "INVALID_MAJOR_VERSION" => {
            (ExitKind::Other, Some("[ike] version"), "the gateway does not speak IKEv2: switch it on there")
        }
        "INVALID_SYNTAX" | "UNSUPPORTED_CRITICAL_PAYLOAD" => (
            ExitKind::Other,
            None,
            "the gateway did not understand us: run with --log-level debug and report what you see, with its make and release",
        ),
        _ => (ExitKind::Other, None, "the gateway's log says why"),
    };
    Diagnosis {
        exit,
        what: format!("{} refused us in {}", context.gateway(), exchange(phase)),
        key,
        ours: None,
        theirs: Some(escaped(notify)),
        fix: fix.into(),
    }
}

fn unsendable(phase: Phase) -> Diagnosis {
    let key = if phase == Phase::SaInit { IKE_PROPOSALS } else { SUBNETS };
    Diagnosis {
        exit: ExitKind::Configuration,
        what: format!("the configuration asks for more than one {} message can hold", exchange(phase)),
        key: Some(key),
        ours: None,
        theirs: None,
        fix: "write fewer proposals and subnets; with `fragmentation = false` under [ike], switch it on again".into(),
    }
}

const fn exchange(phase: Phase) -> &'static str {
    match phase {
        Phase::SaInit => "IKE_SA_INIT",
        Phase::Auth => "IKE_AUTH",
        Phase::Informational => "INFORMATIONAL",
        Phase::MainModeProposal => "main mode (proposals)",
        Phase::MainModeKeys => "main mode (keys)",
        Phase::MainModeAuth => "main mode (identities)",
        Phase::AggressiveMode => "aggressive mode",
        Phase::Xauth => "XAUTH",
        Phase::ModeConfig => "Mode Config",
        Phase::QuickMode => "quick mode",
    }
}

/// Selectors as subnets where they are, otherwise as ranges.
pub fn selectors(list: &[Selector]) -> String {
    const SHOWN: usize = 8;
    let mut texts: Vec<String> = list.iter().take(SHOWN).map(selector).collect();
    if let Some(more) = list.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        texts.push(format!("{more} more"));
    }
    if texts.is_empty() { "nothing".into() } else { texts.join(", ") }
}

fn selector(selector: &Selector) -> String {
    let mut text = match selector.to_prefixes().as_slice() {
        [(address, prefix_len)] => format!("{address}/{prefix_len}"),
        _ => format!("{}-{}", selector.start(), selector.end()),
    };
    if selector.protocol() != 0 {
        text.push_str(&format!(" protocol {}", selector.protocol()));
    }
    if selector.is_opaque_port() {
        text.push_str(" opaque ports");
    } else if !selector.is_any_port() {
        text.push_str(&format!(" ports {}-{}", selector.first_port(), selector.last_port()));
    }
    text
}

fn list(texts: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut shown: Vec<String> = texts.iter().take(SHOWN).map(|text| escaped(text)).collect();
    if texts.len() > SHOWN {
        shown.push("...".into());
    }
    shown.join(", ")
}

/// What came from outside, safe to show: control characters escaped, cut at 200 characters.
fn escaped(text: &str) -> String {
    let mut shown: String = text.chars().take(200).flat_map(|letter| letter.escape_debug()).collect();
    if text.chars().nth(200).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests;
