//! Shows a tunnel coming up: a line a phase with the time since the start, as text or as JSON. Failures are explained.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{exit, printed};
use crate::config::Config;
use crate::config::report::escaped;
use crate::ike::action::{Phase, Side};
use crate::os::clock::Clock;
use crate::sa::selector::Selector;
use crate::tunnel::Reason;
use crate::tunnel::diagnosis::{Diagnosis, selectors};
use crate::tunnel::progress::Progress;

mod quota;
#[cfg(test)]
mod tests;

use quota::Quota;

/// How progress is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Lines for people; failures go to standard error.
    Text,
    /// One JSON object a line, all on standard output.
    Json,
}

/// Writes progress as it comes.
pub(super) struct Printer {
    clock: Clock,
    form: Form,
    last: Option<Diagnosis>,
    drops: Quota,
}

impl Printer {
    pub(super) fn new(clock: Clock, form: Form) -> Self {
        Self { clock, form, last: None, drops: Quota::default() }
    }

    /// Tells of a step, and returns its text.
    pub(super) fn tell(&mut self, config: &Config, progress: &Progress) -> Option<String> {
        if let Progress::Dropped(reason) = progress {
            // Whoever can forge an address can cause these.
            if let Some(untold) = self.drops.ask(self.clock.now()) {
                tracing::debug!(?reason, untold, "a datagram was dropped");
            }
            return None;
        }
        let diagnosis = diagnose(progress, config);
        let (phase, detail) = words(progress);
        let text = format!("{phase:<17} {detail}").trim_end().to_owned();
        let elapsed = self.clock.now().since_start();
        match self.form {
            Form::Text => self.text(elapsed, &text, diagnosis.as_ref()),
            Form::Json => {
                let line = as_json(elapsed, progress, diagnosis.as_ref());
                printed(writeln!(std::io::stdout().lock(), "{line}"));
            }
        }
        if diagnosis.is_some() {
            self.last = diagnosis;
        }
        Some(text)
    }

    /// The end, for whoever reads the lines.
    pub(super) fn end(&self, diagnosis: &Diagnosis) {
        let known = self.last.as_ref() == Some(diagnosis);
        match self.form {
            Form::Text if known => {}
            Form::Text => printed(writeln!(std::io::stderr().lock(), "vpnd: {diagnosis}")),
            Form::Json => {
                let elapsed = milliseconds(self.clock.now().since_start());
                let mut line = Map::new();
                line.insert("elapsed_ms".into(), elapsed);
                line.insert("event".into(), "ended".into());
                explain(&mut line, diagnosis);
                printed(writeln!(std::io::stdout().lock(), "{}", Value::Object(line)));
            }
        }
    }

    fn text(&self, elapsed: Duration, text: &str, diagnosis: Option<&Diagnosis>) {
        printed(writeln!(std::io::stdout().lock(), "{:>8.3} s  {text}", elapsed.as_secs_f64()));
        // The same failure again is not explained again.
        if let Some(diagnosis) = diagnosis.filter(|diagnosis| self.last.as_ref() != Some(*diagnosis)) {
            printed(writeln!(std::io::stderr().lock(), "vpnd: {diagnosis}"));
        }
    }
}

/// What a step means that is a failure; `None` for one that is not.
pub(super) fn diagnose(progress: &Progress, config: &Config) -> Option<Diagnosis> {
    match progress {
        Progress::Down { remote, failure, .. } => Some(Diagnosis::of(failure, &config.context(Some(*remote)))),
        Progress::NotResolved { gateway, reason } => Some(Diagnosis::not_resolved(gateway, reason)),
        Progress::NoPath { remote, reason } => Some(Diagnosis::no_path(*remote, reason)),
        Progress::Displaced { remote, identity } => {
            Some(Diagnosis::displaced(identity, &config.context(Some(*remote))))
        }
        Progress::HostFailed { reason } => Some(Diagnosis::host_failed(reason)),
        Progress::SuccessionFailed { cause, .. } => diagnose(cause, config),
        _ => None,
    }
}

/// The phase's name and what there is to say about it.
fn words(progress: &Progress) -> (&'static str, String) {
    match progress {
        Progress::SubnetsClosed { subnets, nftables } => {
            let by = if *nftables { "routes and nftables" } else { "routes" };
            ("subnets closed", format!("{} through the tunnel or not at all, by {by}", prefixes(subnets)))
        }
        Progress::Resolved { gateway, addresses } => {
            let addresses = joined(addresses);
            let name = if *gateway == addresses { String::new() } else { format!("{} is ", escaped(gateway)) };
            ("gateway resolved", format!("{name}{addresses}"))
        }
        Progress::NotResolved { gateway, .. } => ("gateway", format!("{} was not resolved", escaped(gateway))),
        Progress::NoPath { remote, .. } => ("gateway", format!("there is no way to {remote}")),
        Progress::Connecting { phase, remote } => (exchange_name(*phase), format!("to {remote}")),
        Progress::SuiteAgreed { phase, suite, local_nat, remote_nat } => {
            let nat = match (local_nat, remote_nat) {
                (false, false) => "",
                (true, false) => ", NAT on our side",
                (false, true) => ", NAT on the gateway's side",
                (true, true) => ", NAT on both sides",
            };
            (exchange_name(*phase), format!("{suite}{nat}"))
        }
        Progress::Authenticated { phase, identity } => (exchange_name(*phase), format!("the gateway is {identity}")),
        Progress::ChildUp { phase, suite, remote } => {
            (child_name(*phase), format!("{suite} for {}", selectors(remote)))
        }
        Progress::Addresses { phase, addresses, dns } => {
            let addresses = if addresses.is_empty() { "none".into() } else { prefixes(addresses) };
            let dns = if dns.is_empty() { String::new() } else { format!(", name servers {}", joined(dns)) };
            (address_name(*phase), format!("{addresses}{dns}"))
        }
        Progress::Routes { device, mtu, routes } => {
            let routes = if routes.is_empty() { "none".into() } else { prefixes(routes) };
            ("routes", format!("{routes} by {}, MTU {mtu}", escaped(device)))
        }
        Progress::UserAccepted { user } => ("XAUTH", format!("the gateway took the name {}", escaped(user))),
        Progress::ChildRekeyed { by } => ("rekeyed", format!("child SA, {}", asked_by(*by))),
        Progress::PfsVerified { group } => ("child SA", format!("the gateway takes {group} for rekeying")),
        Progress::ChildGone { remote } => ("child SA", format!("{} is not reached any more", selectors(remote))),
        Progress::IkeRenewed => ("rekeyed", "IKE SA".into()),
        Progress::Roamed { local, remote } => ("moved", format!("the same tunnel, from {local} to {remote}")),
        Progress::Up => ("tunnel is up", String::new()),
        Progress::Repeating { exchange, repetition } => {
            (exchange_name(*exchange), format!("no answer yet, sent again ({repetition})"))
        }
        Progress::Dropped(reason) => ("dropped", format!("{reason:?}")),
        Progress::Notice(text) => ("note", escaped(text)),
        Progress::Down { was_up: true, .. } => ("tunnel is down", String::new()),
        Progress::Down { was_up: false, remote, .. } => ("failed", format!("with {remote}")),
        Progress::Displaced { identity, .. } => ("displaced", format!("another client is {identity}, too")),
        Progress::HostFailed { .. } => ("failed", "on this host".into()),
        Progress::HandedOver { process } => ("handed over", format!("to process {process}: the tunnel goes on there")),
        Progress::TookOver { process, waited, is_up, differing } => {
            let what = if *is_up { "the tunnel goes on" } else { "its tunnel was not up" };
            let waited = format!("packets waited {:.1} ms", waited.as_secs_f64() * 1000.0);
            let differing = match differing.as_slice() {
                [] => String::new(),
                keys => format!("; a new session is made for {}", keys.join(", ")),
            };
            ("took over", format!("from process {process}: {what}, {waited}{differing}"))
        }
        Progress::SuccessionBegun { reason } => ("succession", format!("a second session is made: {}", why(*reason))),
        Progress::SuccessionFailed { reason, cause } => {
            let (phase, detail) = words(cause);
            (
                "succession",
                format!("no second session yet ({phase} {detail}); the tunnel goes on as it is: {}", why(*reason)),
            )
        }
        Progress::Succeeded { reason, remote } => {
            ("succession", format!("the session with {remote} carries the traffic now: {}", why(*reason)))
        }
        Progress::Waiting { wait } => ("waiting", format!("{:.1} s until the next attempt", wait.as_secs_f64())),
    }
}

fn as_json(elapsed: Duration, progress: &Progress, diagnosis: Option<&Diagnosis>) -> Value {
    let (event, fields) = match progress {
        Progress::SubnetsClosed { subnets, nftables } => {
            ("subnets_closed", json!({ "subnets": prefix_texts(subnets), "nftables": nftables }))
        }
        Progress::Resolved { gateway, addresses } => {
            ("gateway_resolved", json!({ "gateway": gateway, "addresses": texts(addresses) }))
        }
        Progress::NotResolved { gateway, .. } => ("gateway_not_resolved", json!({ "gateway": gateway })),
        Progress::NoPath { remote, .. } => ("no_path", json!({ "remote": remote.to_string() })),
        Progress::Connecting { phase, remote } => {
            ("connecting", json!({ "exchange": exchange_name(*phase), "remote": remote.to_string() }))
        }
        Progress::SuiteAgreed { phase, suite, local_nat, remote_nat } => (
            event_name(*phase),
            json!({ "suite": suite.to_string(), "local_nat": local_nat, "remote_nat": remote_nat }),
        ),
        Progress::Authenticated { phase, identity } => {
            (event_name(*phase), json!({ "identity": identity.to_string() }))
        }
        Progress::ChildUp { phase, suite, remote } => {
            let remote: Vec<String> = remote.iter().map(|one| selectors(&[*one] as &[Selector])).collect();
            let event = if *phase == Phase::Auth { "child_sa" } else { event_name(*phase) };
            (event, json!({ "suite": suite.to_string(), "remote": remote }))
        }
        Progress::Addresses { phase, addresses, dns } => {
            let event = if *phase == Phase::Auth { "addresses" } else { event_name(*phase) };
            (event, json!({ "addresses": prefix_texts(addresses), "dns": texts(dns) }))
        }
        Progress::Routes { device, mtu, routes } => {
            ("routes", json!({ "device": device, "mtu": mtu, "routes": prefix_texts(routes) }))
        }
        Progress::UserAccepted { user } => (event_name(Phase::Xauth), json!({ "user": user })),
        Progress::ChildRekeyed { by } => ("child_rekeyed", json!({ "by_us": *by == Side::Us })),
        Progress::PfsVerified { group } => ("pfs_verified", json!({ "group": group.to_string() })),
        Progress::ChildGone { remote } => ("child_gone", json!({ "remote": selectors(remote) })),
        Progress::IkeRenewed => ("ike_renewed", json!({})),
        Progress::Roamed { local, remote } => {
            ("moved", json!({ "local": local.to_string(), "remote": remote.to_string() }))
        }
        Progress::Up => ("up", json!({})),
        Progress::Repeating { exchange, repetition } => {
            ("repeating", json!({ "exchange": exchange_name(*exchange), "repetition": repetition }))
        }
        Progress::Dropped(reason) => ("dropped", json!({ "reason": format!("{reason:?}") })),
        Progress::Notice(text) => ("notice", json!({ "text": text })),
        Progress::Down { remote, was_up, .. } => ("down", json!({ "remote": remote.to_string(), "was_up": was_up })),
        Progress::Displaced { remote, identity } => {
            ("displaced", json!({ "remote": remote.to_string(), "identity": identity.to_string() }))
        }
        Progress::HostFailed { .. } => ("host_failed", json!({})),
        Progress::HandedOver { process } => ("handed_over", json!({ "process": process })),
        Progress::TookOver { process, waited, is_up, differing } => {
            let waited = waited.as_secs_f64() * 1000.0;
            ("took_over", json!({ "process": process, "waited_ms": waited, "is_up": is_up, "differing": differing }))
        }
        Progress::SuccessionBegun { reason } => ("succession_begun", json!({ "reason": reason_name(*reason) })),
        Progress::SuccessionFailed { reason, cause } => {
            ("succession_failed", json!({ "reason": reason_name(*reason), "cause": as_json(elapsed, cause, None) }))
        }
        Progress::Succeeded { reason, remote } => {
            ("succeeded", json!({ "reason": reason_name(*reason), "remote": remote.to_string() }))
        }
        Progress::Waiting { wait } => ("waiting", json!({ "wait_ms": milliseconds(*wait) })),
    };
    let mut line = Map::new();
    line.insert("elapsed_ms".into(), milliseconds(elapsed));
    line.insert("event".into(), event.into());
    if let Value::Object(fields) = fields {
        line.extend(fields);
    }
    if let Some(diagnosis) = diagnosis {
        explain(&mut line, diagnosis);
    }
    Value::Object(line)
}

fn explain(line: &mut Map<String, Value>, diagnosis: &Diagnosis) {
    line.insert("what".into(), diagnosis.what.clone().into());
    line.insert("key".into(), diagnosis.key.into());
    line.insert("ours".into(), diagnosis.ours.clone().into());
    line.insert("gateway_said".into(), diagnosis.theirs.clone().into());
    line.insert("try".into(), diagnosis.fix.clone().into());
    line.insert("exit_code".into(), exit::number(diagnosis.exit).into());
}

const fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::Settings => "the settings changed",
        Reason::Expiring => "the one in use cannot be kept for long",
        Reason::Return => "a gateway that comes first may be back",
        Reason::Silence => "the gateway does not answer",
    }
}

const fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::Settings => "settings",
        Reason::Expiring => "expiring",
        Reason::Return => "return",
        Reason::Silence => "silence",
    }
}

const fn asked_by(side: Side) -> &'static str {
    match side {
        Side::Us => "before its lifetime ends",
        Side::Peer => "as the gateway asked",
    }
}

const fn exchange_name(phase: Phase) -> &'static str {
    match phase {
        Phase::SaInit => "IKE_SA_INIT",
        Phase::Auth => "IKE_AUTH",
        Phase::Informational => "INFORMATIONAL",
        Phase::CreateChild => "CREATE_CHILD_SA",
        Phase::MainModeProposal | Phase::MainModeKeys | Phase::MainModeAuth => "main mode",
        Phase::AggressiveMode => "aggressive mode",
        Phase::Xauth => "XAUTH",
        Phase::ModeConfig => "Mode Config",
        Phase::QuickMode => "quick mode",
    }
}

/// IKE_AUTH makes a child SA and assigns addresses in passing; what has a phase of its own is called by it.
const fn child_name(phase: Phase) -> &'static str {
    match phase {
        Phase::QuickMode => exchange_name(phase),
        _ => "child SA",
    }
}

const fn address_name(phase: Phase) -> &'static str {
    match phase {
        Phase::ModeConfig => exchange_name(phase),
        _ => "address",
    }
}

/// What a line of `--json` is called.
const fn event_name(phase: Phase) -> &'static str {
    match phase {
        Phase::SaInit => "ike_sa_init",
        Phase::Auth => "ike_auth",
        Phase::Informational => "informational",
        Phase::CreateChild => "create_child_sa",
        Phase::MainModeProposal | Phase::MainModeKeys | Phase::MainModeAuth => "main_mode",
        Phase::AggressiveMode => "aggressive_mode",
        Phase::Xauth => "xauth",
        Phase::ModeConfig => "mode_config",
        Phase::QuickMode => "quick_mode",
    }
}

fn milliseconds(time: Duration) -> Value {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).into()
}

fn joined(addresses: &[IpAddr]) -> String {
    texts(addresses).join(", ")
}

fn texts(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

fn prefixes(list: &[(IpAddr, u8)]) -> String {
    prefix_texts(list).join(", ")
}

fn prefix_texts(list: &[(IpAddr, u8)]) -> Vec<String> {
    list.iter().map(|(address, prefix_len)| format!("{address}/{prefix_len}")).collect()
}
