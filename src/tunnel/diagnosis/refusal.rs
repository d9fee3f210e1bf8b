//! A gateway that answers and says no, or says something else than was expected.

use super::shown::{configured, escaped, exchange, list, selectors};
use super::{
    Context, Diagnosis, ESP_PROPOSALS, ExitKind, GATEWAY_ID, IKE_PROPOSALS, LOCAL_ADDRESS, LOCAL_ID, SUBNETS,
    XAUTH_USER,
};
use crate::ike::action::Phase;
use crate::ike::identity::Identity;
use crate::sa::notation::{group_name, parse_esp, parse_ike};
use crate::sa::selector::Selector;
use crate::sa::suite::EsnOffer;
use crate::tunnel::settings::LocalIdentity;

pub(super) fn ike_proposals(
    phase: Phase,
    offered: &[String],
    wanted_group: Option<u16>,
    context: &Context<'_>,
) -> Diagnosis {
    let what = match phase {
        Phase::SaInit => format!("{} accepts none of the IKE proposals", context.gateway()),
        _ => format!("{} accepts none of the phase 1 proposals in {}", context.gateway(), exchange(phase)),
    };
    let (theirs, fix) = match wanted_group {
        Some(number) => {
            let name = group_name(number).map_or_else(|| format!("group {number}"), str::to_owned);
            (format!("INVALID_KE_PAYLOAD: asks for {name}"), group_fix(&name))
        }
        None => (
            "NO_PROPOSAL_CHOSEN: it does not say what it would accept".to_owned(),
            format!(
                "write the gateway's own proposal: every algorithm must match (strongSwan: `ike=` or `proposals`, \
                 elsewhere \"phase 1\"). Older gateways accept only sha1 or modp1024, which need `allow_weak = true` under \
                 [security]{}",
                mode_fix(phase)
            ),
        ),
    };
    Diagnosis {
        exit: ExitKind::Proposal,
        what,
        key: Some(IKE_PROPOSALS),
        ours: Some(list(offered)),
        theirs: Some(theirs),
        fix,
    }
}

/// The authentication method is part of a phase 1 proposal.
const fn mode_fix(phase: Phase) -> &'static str {
    match phase {
        Phase::MainModeProposal | Phase::AggressiveMode => {
            ". The gateway must also speak IKEv1 with us, in this mode and with a pre-shared key (strongSwan: \
             `keyexchange=ikev1`, `authby=psk`, `aggressive=yes` for aggressive mode only), and want XAUTH if and only if \
             `xauth_user` is written here"
        }
        _ => "",
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

pub(super) fn child_proposals(phase: Phase, offered: &[String], context: &Context<'_>) -> Diagnosis {
    let (what, fix) = match phase {
        Phase::QuickMode => (
            format!("{} accepts none of the ESP proposals in quick mode (phase 2)", context.gateway()),
            format!(
                "phase 1 succeeded; write the gateway's own proposal (strongSwan: `esp=` or `esp_proposals`, elsewhere \
                 \"phase 2\"). {}. Compare `esn`, too",
                forward_secrecy(offered)
            ),
        ),
        _ => (
            format!("{} accepts none of the ESP proposals", context.gateway()),
            "authentication succeeded; write the gateway's own proposal (strongSwan: `esp=` or `esp_proposals`, \
             elsewhere \"phase 2\"), and compare `esn`"
                .to_owned(),
        ),
    };
    Diagnosis {
        exit: ExitKind::Proposal,
        what,
        key: Some(ESP_PROPOSALS),
        ours: Some(list(offered)),
        theirs: Some("NO_PROPOSAL_CHOSEN: it does not say what it would accept".into()),
        fix,
    }
}

/// The child came up without a key exchange of its own, so only a rekey shows that the groups differ.
pub(super) fn pfs(offered: &[String], wanted_group: Option<u16>, context: &Context<'_>) -> Diagnosis {
    let group = offered.iter().find_map(|text| parse_esp(text, EsnOffer::Without).ok()?.offer.pfs.first().copied());
    let ours = group.map_or_else(|| "the group".to_owned(), |group| format!("`-{group}`"));
    let (theirs, fix) = match wanted_group {
        Some(number) => {
            let name = group_name(number).map_or_else(|| format!("group {number}"), str::to_owned);
            let fix = format!("write `-{name}` in place of {ours}, or let the gateway use ours");
            (format!("INVALID_KE_PAYLOAD: asks for {name}"), fix)
        }
        None => (
            "NO_PROPOSAL_CHOSEN: it does not say what it would accept".to_owned(),
            format!(
                "write the group of the gateway's own ESP proposal (strongSwan: `esp=` or `esp_proposals`, elsewhere \
                 \"PFS group\" of phase 2) in place of {ours}; or remove {ours} if the gateway has none"
            ),
        ),
    };
    Diagnosis {
        exit: ExitKind::Proposal,
        what: format!(
            "{} refuses our group for perfect forward secrecy: the tunnel would have broken at its first rekey",
            context.gateway()
        ),
        key: Some(ESP_PROPOSALS),
        ours: Some(list(offered)),
        theirs: Some(theirs),
        fix,
    }
}

/// With or without a group is the commonest difference in quick mode.
fn forward_secrecy(offered: &[String]) -> String {
    let group = offered.iter().find_map(|text| parse_esp(text, EsnOffer::Without).ok()?.offer.pfs.first().copied());
    match group {
        Some(group) => format!(
            "Ours ask for perfect forward secrecy with {group}: a gateway without it refuses them (remove `-{group}`), and so \
             does one with another group (write that)"
        ),
        None => {
            "Ours are without perfect forward secrecy: a gateway that insists on it refuses them (add its group, such \
                 as `-modp2048`)"
                .into()
        }
    }
}

pub(super) fn authentication(
    phase: Phase,
    local: &Identity,
    remote: Option<&Identity>,
    context: &Context<'_>,
) -> Diagnosis {
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
    let psk_key = context.psk_key;
    let (key, place, theirs, fix) = match phase {
        Phase::MainModeProposal | Phase::MainModeKeys | Phase::MainModeAuth => (
            psk_key,
            format!(" in {}", exchange(phase)),
            "does not take our identity and proof",
            format!(
                "most often the pre-shared key ({psk_key}) is wrong. In main mode the gateway looks for it by the address that we \
                 come from, which behind a NAT is the NAT's: it needs a key for that address or for all (strongSwan: `%any`). \
                 If the key is right, compare [local] id with the identity that the gateway expects (strongSwan: `rightid`). \
                 {identity}A gateway that wants XAUTH and hears of none, or the other way round, says the same: then write or \
                 remove `xauth_user`. Its log says which it is"
            ),
        ),
        Phase::AggressiveMode => (
            key,
            format!(" in {}", exchange(phase)),
            "AUTHENTICATION_FAILED",
            format!(
                "compare the pre-shared key ({psk_key}) with the gateway's, and [local] id with the identity that it expects \
                 (strongSwan: `rightid`). {identity}Many gateways also refuse aggressive mode with a pre-shared key until \
                 it is allowed in words (strongSwan: `i_dont_care_about_security_and_use_aggressive_mode_psk`): leave `mode` \
                 out then. The gateway's log says which it is"
            ),
        ),
        _ => (
            key,
            String::new(),
            "AUTHENTICATION_FAILED",
            format!(
                "compare the pre-shared key ({psk_key}) with the gateway's, and the identity with the one it expects \
                 (strongSwan: `rightid`). {identity}The gateway's log says which of the two it is"
            ),
        ),
    };
    Diagnosis {
        exit: ExitKind::Authentication,
        what: format!("{} refused our identity or pre-shared key{place}", context.gateway()),
        key: Some(key),
        ours: Some(ours),
        theirs: Some(theirs.into()),
        fix,
    }
}

pub(super) fn peer_failed(phase: Phase, identity: &Identity, context: &Context<'_>) -> Diagnosis {
    let place = match phase {
        Phase::SaInit | Phase::Auth => String::new(),
        _ => format!(" in {}", exchange(phase)),
    };
    Diagnosis {
        exit: ExitKind::Authentication,
        what: format!("{} did not prove that it has the pre-shared key{place}", context.gateway()),
        key: Some(context.psk_key),
        ours: None,
        theirs: Some(format!("identity {identity}")),
        fix: "compare the pre-shared key with the one that the gateway has for this pair of identities. If they are equal, \
              something between here and the gateway answers in its place"
            .into(),
    }
}

pub(super) fn identity_unexpected(expected: &[Identity], received: &Identity, context: &Context<'_>) -> Diagnosis {
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

pub(super) fn method_unexpected(method: &str, context: &Context<'_>) -> Diagnosis {
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

pub(super) fn children_deleted(phase: Phase, context: &Context<'_>) -> Diagnosis {
    Diagnosis {
        exit: ExitKind::Other,
        what: format!("{} deletes every child SA as soon as it is made in {}", context.gateway(), exchange(phase)),
        key: Some(ESP_PROPOSALS),
        ours: None,
        theirs: Some("DELETE, several times within seconds".into()),
        fix: "the gateway's log says why; often it agrees to a suite that its kernel cannot carry: write another one, on both sides"
            .into(),
    }
}

pub(super) fn no_encapsulation(phase: Phase, context: &Context<'_>) -> Diagnosis {
    Diagnosis {
        exit: ExitKind::Other,
        what: format!(
            "{} knows no NAT traversal, as its answer in {} says, and vpnd sends ESP in UDP only",
            context.gateway(),
            exchange(phase)
        ),
        key: None,
        ours: Some("NAT traversal (RFC 3947, drafts 02 and 03)".into()),
        theirs: Some("no vendor ID for it".into()),
        fix: "switch NAT traversal on at the gateway (UDP encapsulation; Cisco: `crypto isakmp nat-traversal`)".into(),
    }
}

pub(super) fn xauth_wanted(context: &Context<'_>) -> Diagnosis {
    Diagnosis {
        exit: ExitKind::Authentication,
        what: format!("{} asks for a name and a password (XAUTH)", context.gateway()),
        key: Some(XAUTH_USER),
        ours: Some("no name is configured".into()),
        theirs: Some("XAUTH request".into()),
        fix:
            "write `xauth_user` and `xauth_password_file` under [ike], or have XAUTH switched off for us at the gateway"
                .into(),
    }
}

pub(super) fn xauth_refused(user: &str, message: Option<&str>, context: &Context<'_>) -> Diagnosis {
    Diagnosis {
        exit: ExitKind::Authentication,
        what: format!("{} refuses the name or the password (XAUTH)", context.gateway()),
        key: Some(XAUTH_USER),
        ours: Some(escaped(user)),
        theirs: message.map(escaped),
        fix: "compare `xauth_user` and the password in `xauth_password_file` with the account at the gateway; it may be locked"
            .into(),
    }
}

pub(super) fn subnets(
    phase: Phase,
    local: &[Selector],
    remote: &[Selector],
    answered: Option<&(Vec<Selector>, Vec<Selector>)>,
    context: &Context<'_>,
) -> Diagnosis {
    let (place, silent, fix) = match phase {
        Phase::QuickMode => (
            " in quick mode (phase 2)",
            "INVALID_ID_INFORMATION",
            "IKEv1 knows no narrowing: `subnets` must equal what the gateway serves exactly, in number and size (strongSwan: \
             `leftsubnet`; elsewhere proxy IDs, phase 2 selectors or an access list's line), and our side what it has for us \
             (`rightsubnet`, or the address it assigned). Where it serves everything, write `children = \"any\"` under [esp]",
        ),
        _ => (
            "",
            "TS_UNACCEPTABLE",
            "compare `subnets` with what the gateway serves (strongSwan: `leftsubnet`; elsewhere proxy IDs or phase 2 \
             selectors). Some gateways, such as Cisco ASA, FortiGate and MikroTik, accept exactly one pair of subnets: \
             write one, as it stands there. Without an address from the gateway, compare `subnets` under [local] too",
        ),
    };
    let (theirs, fix) = match answered {
        Some((local, remote)) => (
            format!("{} (here) and {} (there)", selectors(local), selectors(remote)),
            "the gateway answered more or something else than was asked: set `subnets` to what it serves",
        ),
        None => (silent.to_owned(), fix),
    };
    Diagnosis {
        exit: ExitKind::Selectors,
        what: format!("{} does not carry these subnets{place}", context.gateway()),
        key: Some(SUBNETS),
        ours: Some(format!("{} (here) and {} (there)", selectors(local), selectors(remote))),
        theirs: Some(theirs),
        fix: fix.into(),
    }
}

pub(super) fn address(reason: &str, context: &Context<'_>) -> Diagnosis {
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

/// A notify without a failure of its own. IKEv1's names have hyphens, RFC 7296's have not.
pub(super) fn other(phase: Phase, notify: &str, context: &Context<'_>) -> Diagnosis {
    let (exit, key, fix) = match notify.replace('-', "_").as_str() {
        "SINGLE_PAIR_REQUIRED" => {
            (ExitKind::Selectors, Some(SUBNETS), "the gateway accepts one subnet a child SA: write a single one")
        }
        "TS_UNACCEPTABLE" | "INVALID_ID_INFORMATION" if phase != Phase::MainModeAuth => {
            (ExitKind::Selectors, Some(SUBNETS), "compare `subnets` with what the gateway serves")
        }
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
        "NO_PROPOSAL_CHOSEN" if is_phase_1(phase) => {
            (ExitKind::Proposal, Some(IKE_PROPOSALS), "write the gateway's own proposal for phase 1")
        }
        "NO_PROPOSAL_CHOSEN" | "BAD_PROPOSAL_SYNTAX" => {
            (ExitKind::Proposal, Some(ESP_PROPOSALS), "write the gateway's own proposal")
        }
        "INVALID_KE_PAYLOAD" => (ExitKind::Proposal, Some(IKE_PROPOSALS), "write the group that the gateway uses"),
        "AUTHENTICATION_FAILED" | "INVALID_ID_INFORMATION" | "INVALID_HASH_INFORMATION" | "INVALID_KEY_INFORMATION" => {
            (ExitKind::Authentication, Some(context.psk_key), "compare pre-shared key and identities on both sides")
        }
        "NO_ADDITIONAL_SAS" => (
            ExitKind::Other,
            None,
            "the gateway allows no further tunnel: look at its limits, and at tunnels of ours that it has not forgotten",
        ),
        "TEMPORARY_FAILURE" => (ExitKind::Other, None, "the gateway is busy: nothing, if the next attempt succeeds"),
        "INVALID_MAJOR_VERSION" if phase == Phase::SaInit || phase == Phase::Auth => (
            ExitKind::Other,
            Some(IKE_VERSION),
            "the gateway does not speak IKEv2: switch it on there, or write `version = 1`",
        ),
        "INVALID_MAJOR_VERSION" => {
            (ExitKind::Other, Some(IKE_VERSION), "the gateway does not speak IKEv1: write `version = 2`")
        }
        "INVALID_SYNTAX" | "UNSUPPORTED_CRITICAL_PAYLOAD" | "PAYLOAD_MALFORMED" => (
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

const IKE_VERSION: &str = "[ike] version";

const fn is_phase_1(phase: Phase) -> bool {
    matches!(phase, Phase::MainModeProposal | Phase::MainModeKeys | Phase::MainModeAuth | Phase::AggressiveMode)
}

pub(super) fn unsendable(phase: Phase) -> Diagnosis {
    let key = match phase {
        Phase::SaInit | Phase::MainModeProposal | Phase::AggressiveMode => IKE_PROPOSALS,
        Phase::Xauth => XAUTH_USER,
        _ => SUBNETS,
    };
    Diagnosis {
        exit: ExitKind::Configuration,
        what: format!("the configuration asks for more than one {} message can hold", exchange(phase)),
        key: Some(key),
        ours: None,
        theirs: None,
        fix: "write fewer proposals and subnets; with `fragmentation = false` under [ike], switch it on again".into(),
    }
}
