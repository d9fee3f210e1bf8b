//! A gateway that does not answer: what that means differs by what it answered before.

use std::time::Duration;

use super::shown::{exchange, list};
use super::{
    ADDRESS, Context, DPD, Diagnosis, ESP_PROPOSALS, ExitKind, GATEWAY_PORT, LOCAL_ADDRESS, SUBNETS, XAUTH_USER,
};
use crate::ike::action::Phase;

pub(super) fn no_answer(
    phase: Phase,
    sent: u32,
    waited: Duration,
    hints: &[String],
    context: &Context<'_>,
) -> Diagnosis {
    let exchange = exchange(phase);
    let (gateway, seconds) = (context.gateway(), waited.as_secs());
    let what = match sent {
        0 => format!("{gateway} did not begin {exchange} within {seconds} s"),
        1 => format!("{gateway} did not answer {exchange} (sent once in {seconds} s)"),
        times => format!("{gateway} did not answer {exchange} (sent {times} times in {seconds} s)"),
    };
    let Silence { exit, key, fix } = silence(phase, sent, context);
    Diagnosis {
        exit,
        what,
        key: Some(key),
        ours: Some(ours(phase, context)),
        theirs: (!hints.is_empty()).then(|| format!("{} (unprotected: anybody can have sent that)", list(hints))),
        fix,
    }
}

struct Silence {
    exit: ExitKind,
    key: &'static str,
    fix: String,
}

fn silence(phase: Phase, sent: u32, context: &Context<'_>) -> Silence {
    let unreachable = |key, fix: &str| Silence { exit: ExitKind::Unreachable, key, fix: fix.into() };
    match phase {
        Phase::SaInit => unreachable(ADDRESS, &context.reach()),
        Phase::Auth => unreachable(
            GATEWAY_PORT,
            "the first exchange was answered, so the gateway is there. Check that firewalls let UDP 4500 pass both ways, \
             that fragments are not dropped on the way, and the gateway's log: some are silent when they do not know \
             our identity",
        ),
        Phase::MainModeProposal => unreachable(
            ADDRESS,
            &format!(
                "{}. A gateway that speaks only IKEv2, or only aggressive mode, may be silent as well: \
                 try `version = 2`, or `mode = \"aggressive\"` with a long random key",
                context.reach()
            ),
        ),
        Phase::MainModeKeys => unreachable(
            context.psk_key,
            "the gateway took a proposal, so it is there. In main mode it looks for the pre-shared key by the address that \
             we come from, which behind a NAT is the NAT's: some are silent when they have none for it (strongSwan: \
             a key for `%any`). Check too that datagrams of this size pass: large groups, such as modp4096, make large ones",
        ),
        // What our key encrypts, another key does not open: the gateway sees noise and says nothing.
        Phase::MainModeAuth => Silence {
            exit: ExitKind::Authentication,
            key: context.psk_key,
            fix: format!(
                "most often the pre-shared key is wrong: the gateway then cannot decrypt this message. Compare the key ({}) \
                 with the one that it has for the address we come from, which behind a NAT is the NAT's. If it is right, \
                 check that firewalls let UDP 4500 pass both ways: this is the first message there",
                context.psk_key
            ),
        },
        Phase::AggressiveMode => unreachable(
            ADDRESS,
            &format!(
                "{}. Many gateways are silent, too, when aggressive mode is off (leave `mode` out), when they do not know \
                 our identity ({}), or when they accept none of the phase 1 proposals",
                context.reach(),
                context.own_identity()
            ),
        ),
        Phase::Xauth if sent == 0 => unreachable(
            XAUTH_USER,
            "phase 1 succeeded, but the gateway asks for no name and password: remove `xauth_user` and its password, or \
             switch XAUTH on for us at the gateway",
        ),
        Phase::Xauth => unreachable(
            XAUTH_USER,
            "the gateway asked for the name and the password and said nothing more: the server that knows the accounts \
             (RADIUS, LDAP) may be slow or out of its reach. Its log says",
        ),
        Phase::ModeConfig => unreachable(
            LOCAL_ADDRESS,
            "phase 1 succeeded, so keys and identities are right. The gateway may have no addresses for clients: give it a \
             pool (strongSwan: `rightsourceip`; FortiGate: `mode-cfg`), or, for site to site, write `subnets` or an \
             `address` under [local]",
        ),
        Phase::QuickMode => unreachable(
            SUBNETS,
            &format!(
                "phase 1 succeeded, so keys and identities are right. Many gateways are silent when they find nothing that \
                 fits in phase 2: compare `subnets`, which must equal theirs exactly, and `{ESP_PROPOSALS}` with its group"
            ),
        ),
        Phase::Informational | Phase::CreateChild => unreachable(DPD, "check the network between here and the gateway"),
    }
}

fn ours(phase: Phase, context: &Context<'_>) -> String {
    let exchange = exchange(phase);
    match phase {
        Phase::MainModeAuth => {
            format!("{exchange} with {} and the key of {}", context.own_identity(), context.psk_key)
        }
        Phase::Xauth | Phase::ModeConfig | Phase::QuickMode => exchange.to_owned(),
        Phase::SaInit
        | Phase::Auth
        | Phase::Informational
        | Phase::CreateChild
        | Phase::MainModeProposal
        | Phase::MainModeKeys
        | Phase::AggressiveMode => format!("{exchange} to UDP port {}", context.first_port),
    }
}
