//! `vpnd check FILE`: is the configuration right, and what would be negotiated?

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::load::{Loaded, load};
use super::secret::{self, SecretError};
use super::{Unusable, printed};
use crate::config::duration;
use crate::config::report::{Severity, escaped};
use crate::config::{AddressMode, Children, Config, KillSwitch, Nftables, Spoken};
use crate::ike::profile::Phase1Mode;
use crate::tunnel::diagnosis::{ExitKind, selectors};
use crate::tunnel::settings::LocalIdentity;

/// Arguments of `vpnd check`.
#[derive(Args)]
#[command(after_help = super::exit::HELP)]
pub(super) struct Arguments {
    /// The configuration file
    file: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitKind {
    let loaded = match load(&arguments.file) {
        Ok(loaded) => loaded,
        Err(Unusable) => return Unusable.into(),
    };
    let mut errors = Vec::new();
    let mut warnings = loaded.warnings();
    if let Some(config) = &loaded.config {
        match secret::fetch(config, loaded.directory()) {
            Ok(fetched) => warnings.extend(fetched.warnings),
            Err(faults) => {
                for fault in faults {
                    match fault {
                        // The file may be checked elsewhere than where it is used.
                        SecretError::Unavailable(message) => warnings.push(message),
                        SecretError::Unusable(message) => errors.push(message),
                    }
                }
            }
        }
    }
    let valid = loaded.config.is_some() && errors.is_empty();
    if arguments.json {
        let object = as_json(&loaded, valid, &errors, &warnings);
        printed(writeln!(std::io::stdout(), "{object}"));
    } else {
        as_text(&loaded, valid, &errors, &warnings);
    }
    if valid { ExitKind::Success } else { ExitKind::Configuration }
}

fn as_text(loaded: &Loaded, valid: bool, errors: &[String], warnings: &[String]) {
    loaded.show_report();
    let name = escaped(&loaded.name());
    let mut stderr = std::io::stderr();
    for error in errors {
        printed(writeln!(stderr, "{name}: error: {error}"));
    }
    for warning in warnings {
        printed(writeln!(stderr, "{name}: warning: {warning}"));
    }
    let Some(config) = loaded.config.as_ref().filter(|_| valid) else { return };
    let mut text = format!("{name} is valid\n");
    for (what, value) in summary(config) {
        text.push_str(&format!("  {what:<10} {value}\n"));
    }
    printed(std::io::stdout().write_all(text.as_bytes()));
}

fn as_json(loaded: &Loaded, valid: bool, errors: &[String], warnings: &[String]) -> Value {
    let located = loaded.report.findings().iter().map(|finding| {
        let position = finding.position(&loaded.text);
        json!({
            "severity": finding.severity.name(),
            "line": position.map(|position| position.line),
            "column": position.map(|position| position.column),
            "message": finding.message,
            "help": finding.help,
        })
    });
    let plain = |severity: Severity, message: &String| {
        let nothing = Value::Null;
        json!({ "severity": severity.name(), "line": nothing, "column": nothing, "message": message, "help": nothing })
    };
    let errors = errors.iter().map(|message| plain(Severity::Error, message));
    let warnings = warnings.iter().map(|message| plain(Severity::Warning, message));
    let findings: Vec<Value> = located.chain(errors).chain(warnings).collect();
    let config = loaded.config.as_ref().filter(|_| valid);
    let summary = config.map(|config| {
        let entries = summary(config).into_iter().map(|(what, value)| (what.to_owned(), Value::String(value)));
        Value::Object(entries.collect())
    });
    json!({ "file": loaded.name(), "valid": valid, "findings": findings, "summary": summary })
}

/// What would be negotiated, in a few lines.
fn summary(config: &Config) -> Vec<(&'static str, String)> {
    let gateways: Vec<String> = config.gateways().iter().map(ToString::to_string).collect();
    let local = match config.local_identity() {
        LocalIdentity::Fixed(identity) => identity.to_string(),
        LocalIdentity::SourceAddress => "the address we send from".into(),
    };
    let remote = config.remote_identity().map_or_else(|| "the gateway's address or name".into(), ToString::to_string);
    let address = match config.address_mode() {
        AddressMode::Virtual { ipv4, ipv6 } => {
            let families = [ipv4.then_some("IPv4"), ipv6.then_some("IPv6")];
            let families: Vec<&str> = families.into_iter().flatten().collect();
            format!("from the gateway ({})", families.join(" and "))
        }
        AddressMode::None => format!("none; subnets here: {}", selectors(&config.local_selectors())),
        AddressMode::Fixed(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let mtu = config.mtu().map_or_else(|| "auto".into(), |octets| octets.to_string());
    let routes = match (config.routes(), config.default_route()) {
        (false, _) => "no routes",
        (true, false) => "routes for the subnets",
        (true, true) => "the default route",
    };
    let kill_switch = match config.kill_switch() {
        KillSwitch::Off => "off: without the tunnel, packets for the subnets take other routes",
        KillSwitch::On(Nftables::Auto) => "on, with nftables where the kernel has it",
        KillSwitch::On(Nftables::Required) => "on, with nftables",
        KillSwitch::On(Nftables::Never) => "on, without nftables",
    };
    let ike: Vec<String> = config.ike_offers().iter().map(ToString::to_string).collect();
    let esp: Vec<String> = config.esp_offers().iter().map(ToString::to_string).collect();
    let spoken = match config.spoken() {
        Spoken::Ikev1(settings) => match settings.mode {
            Phase1Mode::Main => "IKEv1 main mode",
            Phase1Mode::Aggressive => "IKEv1 aggressive mode",
        },
        Spoken::Ikev2 => "IKEv2",
    };
    let children = match (config.children(), config.spoken()) {
        (Children::Any, _) => "one child SA for everything, ",
        (Children::Subnets, Spoken::Ikev1(_)) => "one child SA a pair of subnets, ",
        (Children::Subnets, Spoken::Ikev2) => "",
    };
    let mut lines = vec![
        ("gateway", format!("{}, UDP port {}", gateways.join(", "), config.first_port())),
        ("identities", format!("we are {local}; the gateway is {remote}")),
        ("psk", config.psk_source().key().to_owned()),
        ("subnets", selectors(&config.routed_selectors())),
        ("address", address),
        ("ike", format!("{spoken}, lifetime {}: {}", duration::shown(config.ike_lifetime()), ike.join(", "))),
        ("esp", format!("{children}lifetime {}: {}", duration::shown(config.esp_lifetime()), esp.join(", "))),
        ("device", format!("{}, MTU {mtu}, {routes}", config.device())),
        ("killswitch", kill_switch.to_owned()),
    ];
    if let Some(account) = config.xauth() {
        lines.insert(
            3,
            ("xauth", format!("{}, password from {}", escaped(&account.user), account.password.password_key())),
        );
    }
    if config.shared_identity() {
        lines.push(("needed", SHARED_IDENTITY.to_owned()));
    }
    lines
}

/// What a gateway must be told to keep several tunnels of one identity.
const SHARED_IDENTITY: &str = "replicas share the identity, so the gateway must keep all their tunnels: strongSwan \
    `uniqueids=never` in ipsec.conf, `unique = never` in swanctl.conf; libreswan `uniqueids=no`; pfSense and OPNsense \
    \"Configure Unique IDs as: Never\"; FortiGate `set enforce-unique-id disable`";
