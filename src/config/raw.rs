//! The file as it stands: which keys there are and of which type, each with its place. Nothing is judged here but names and types.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{Report, did_you_mean};
use super::table::{At, Scalar, Section};
use crate::crypto::secret::Secret;
use crate::sa::nearest::nearest;

/// A configuration file's values.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) gateway: Gateway,
    pub(super) local: Local,
    pub(super) ike: Ike,
    pub(super) esp: Esp,
    pub(super) tun: Tun,
    pub(super) killswitch: KillSwitch,
    pub(super) log: Log,
    pub(super) control: Control,
    pub(super) security: Security,
}

#[derive(Debug, Default)]
pub(super) struct Gateway {
    /// Where the section's name stands; `None` when there is no such section.
    pub(super) section: Option<Range<usize>>,
    pub(super) address: Option<At<Vec<At<String>>>>,
    pub(super) port: Option<At<Scalar>>,
    pub(super) id: Option<At<String>>,
    pub(super) subnets: Option<At<Vec<At<String>>>>,
    pub(super) psk_file: Option<At<String>>,
    pub(super) psk_env: Option<At<String>>,
    pub(super) psk_credential: Option<At<String>>,
    pub(super) psk: Option<At<Secret>>,
    pub(super) psk_format: Option<At<String>>,
    pub(super) return_after: Option<At<Scalar>>,
}

#[derive(Debug, Default)]
pub(super) struct Local {
    pub(super) id: Option<At<String>>,
    pub(super) shared_identity: Option<At<bool>>,
    pub(super) address: Option<At<Vec<At<String>>>>,
    pub(super) subnets: Option<At<Vec<At<String>>>>,
    pub(super) port: Option<At<Scalar>>,
}

#[derive(Debug, Default)]
pub(super) struct Ike {
    pub(super) version: Option<At<Scalar>>,
    pub(super) mode: Option<At<String>>,
    pub(super) proposals: Option<At<Vec<At<String>>>>,
    pub(super) lifetime: Option<At<Scalar>>,
    pub(super) dpd: Option<At<Scalar>>,
    pub(super) keepalive: Option<At<Scalar>>,
    pub(super) fragmentation: Option<At<Scalar>>,
    pub(super) mobike: Option<At<bool>>,
    pub(super) initial_contact: Option<At<bool>>,
    pub(super) xauth_user: Option<At<String>>,
    pub(super) xauth_password_file: Option<At<String>>,
    pub(super) xauth_password_env: Option<At<String>>,
    pub(super) xauth_password_credential: Option<At<String>>,
}

#[derive(Debug, Default)]
pub(super) struct Esp {
    pub(super) proposals: Option<At<Vec<At<String>>>>,
    pub(super) lifetime: Option<At<Scalar>>,
    pub(super) replay_window: Option<At<Scalar>>,
    pub(super) esn: Option<At<Scalar>>,
    pub(super) verify_pfs: Option<At<bool>>,
    pub(super) children: Option<At<String>>,
}

#[derive(Debug, Default)]
pub(super) struct Tun {
    pub(super) name: Option<At<String>>,
    pub(super) mtu: Option<At<Scalar>>,
    pub(super) routes: Option<At<bool>>,
    pub(super) default_route: Option<At<bool>>,
}

#[derive(Debug, Default)]
pub(super) struct KillSwitch {
    pub(super) enabled: Option<At<bool>>,
    pub(super) nftables: Option<At<Scalar>>,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) level: Option<At<String>>,
    pub(super) format: Option<At<String>>,
}

#[derive(Debug, Default)]
pub(super) struct Security {
    pub(super) allow_weak: Option<At<bool>>,
    pub(super) sandbox: Option<At<String>>,
}

#[derive(Debug, Default)]
pub(super) struct Control {
    pub(super) socket: Option<At<String>>,
    pub(super) watch: Option<At<bool>>,
}

const FILE: &str = "the name of a file in quotes";
const VARIABLE: &str = "the name of an environment variable in quotes";
const CREDENTIAL: &str = "the name of a systemd credential in quotes";
const DURATION: &str = "a duration in quotes, such as \"8h\", \"90s\" or \"1h30m\"";

/// Sections and their keys.
const KEYS: &[(&str, &[&str])] = &[
    (
        "gateway",
        &[
            "address",
            "port",
            "id",
            "subnets",
            "psk_file",
            "psk_env",
            "psk_credential",
            "psk",
            "psk_format",
            "return_after",
        ],
    ),
    ("local", &["id", "shared_identity", "address", "subnets", "port"]),
    (
        "ike",
        &[
            "version",
            "mode",
            "proposals",
            "lifetime",
            "dpd",
            "keepalive",
            "fragmentation",
            "mobike",
            "initial_contact",
            "xauth_user",
            "xauth_password_file",
            "xauth_password_env",
            "xauth_password_credential",
        ],
    ),
    ("esp", &["proposals", "lifetime", "replay_window", "esn", "verify_pfs", "children"]),
    ("tun", &["name", "mtu", "routes", "default_route"]),
    ("killswitch", &["enabled", "nftables"]),
    ("log", &["level", "format"]),
    ("control", &["socket", "watch"]),
    ("security", &["allow_weak", "sandbox"]),
];

/// Sections that are planned: refused, since they would be missed in silence.
const NOT_BUILT: &[(&str, &str)] =
    &[("dns", "name servers from the gateway are shown, not used"), ("metrics", "there is no metrics listener")];

/// Takes the values out of a file's text. What cannot be read is reported and left out. In a text that is no TOML only that is
/// reported: what follows a slip may be anything, also a secret.
pub(super) fn read(text: &str, report: &mut Report) -> Option<Raw> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        hide_after_known_key(text, &span, report);
        report.error(span, error.message().to_owned(), None);
    }
    if !errors.is_empty() {
        return None;
    }
    let mut raw = Raw::default();
    for (key, value) in document.into_inner() {
        let (span, name) = (key.span(), key.into_inner());
        let Some(&(section, _)) = KEYS.iter().find(|(section, _)| *section == name) else {
            hide_values(&value, report);
            unknown_section(&name, span, matches!(value.get_ref(), DeValue::Table(_)), report);
            continue;
        };
        let value_span = value.span();
        let DeValue::Table(table) = value.into_inner() else {
            report.hide(value_span);
            report.error(span, format!("`{name}` is a section"), Some(format!("write [{name}] on a line of its own")));
            continue;
        };
        let section = Section::new(section, span, table, report);
        read_section(section, &mut raw);
    }
    Some(raw)
}

fn read_section(mut section: Section<'_, '_>, raw: &mut Raw) {
    match section.name {
        "gateway" => raw.gateway = gateway(&mut section),
        "local" => raw.local = local(&mut section),
        "ike" => raw.ike = ike(&mut section),
        "esp" => raw.esp = esp(&mut section),
        "tun" => raw.tun = tun(&mut section),
        "killswitch" => raw.killswitch = killswitch(&mut section),
        "log" => raw.log = log(&mut section),
        "control" => raw.control = control(&mut section),
        _ => raw.security = security(&mut section),
    }
    let name = section.name;
    section.finish(|key| places(key, name));
}

fn gateway(section: &mut Section<'_, '_>) -> Gateway {
    let section_span = section.span.clone();
    section.hide("psk");
    let psk = section.text("psk", "the pre-shared key in quotes");
    Gateway {
        section: Some(section_span),
        address: section.texts("address", "an address or a name in quotes, or a list of them"),
        port: section.scalar("port", "a number"),
        id: section.text("id", "an identity in quotes"),
        subnets: section.texts("subnets", "a list of subnets in quotes, such as [\"10.250.0.0/24\"]"),
        psk_file: section.text("psk_file", FILE),
        psk_env: section.text("psk_env", VARIABLE),
        psk_credential: section.text("psk_credential", CREDENTIAL),
        psk: psk.map(|psk| psk.map(|text| Secret::new(text.into_bytes()))),
        psk_format: section.text("psk_format", "\"text\", \"hex\" or \"base64\""),
        return_after: section.scalar("return_after", DURATION),
    }
}

fn local(section: &mut Section<'_, '_>) -> Local {
    Local {
        id: section.text("id", "an identity in quotes"),
        shared_identity: section.flag("shared_identity"),
        address: section.texts("address", "\"virtual\", \"none\" or an address in quotes"),
        subnets: section.texts("subnets", "a list of subnets in quotes"),
        port: section.scalar("port", "a number"),
    }
}

fn ike(section: &mut Section<'_, '_>) -> Ike {
    Ike {
        version: section.scalar("version", "a number"),
        mode: section.text("mode", "\"main\" or \"aggressive\""),
        proposals: section.texts("proposals", "a list of proposals in quotes, such as [\"aes256-sha256-modp2048\"]"),
        lifetime: section.scalar("lifetime", DURATION),
        dpd: section.scalar("dpd", DURATION),
        keepalive: section.scalar("keepalive", DURATION),
        fragmentation: section.scalar("fragmentation", "true, false or a number of octets"),
        mobike: section.flag("mobike"),
        initial_contact: section.flag("initial_contact"),
        xauth_user: section.text("xauth_user", "a name in quotes"),
        xauth_password_file: section.text("xauth_password_file", FILE),
        xauth_password_env: section.text("xauth_password_env", VARIABLE),
        xauth_password_credential: section.text("xauth_password_credential", CREDENTIAL),
    }
}

fn esp(section: &mut Section<'_, '_>) -> Esp {
    Esp {
        proposals: section.texts("proposals", "a list of proposals in quotes, such as [\"aes256-sha256-modp2048\"]"),
        lifetime: section.scalar("lifetime", DURATION),
        replay_window: section.scalar("replay_window", "a number"),
        esn: section.scalar("esn", "true, false or \"auto\""),
        verify_pfs: section.flag("verify_pfs"),
        children: section.text("children", "\"auto\", \"one\", \"per-subnet\" or \"any\""),
    }
}

fn tun(section: &mut Section<'_, '_>) -> Tun {
    Tun {
        name: section.text("name", "a device name in quotes"),
        mtu: section.scalar("mtu", "\"auto\" or a number of octets"),
        routes: section.flag("routes"),
        default_route: section.flag("default_route"),
    }
}

fn killswitch(section: &mut Section<'_, '_>) -> KillSwitch {
    KillSwitch { enabled: section.flag("enabled"), nftables: section.scalar("nftables", "\"auto\", true or false") }
}

fn log(section: &mut Section<'_, '_>) -> Log {
    Log {
        level: section.text("level", "\"error\", \"warn\", \"info\", \"debug\" or \"trace\""),
        format: section.text("format", "\"text\" or \"json\""),
    }
}

fn control(section: &mut Section<'_, '_>) -> Control {
    Control {
        socket: section.text("socket", "\"off\" or the path of a socket in quotes"),
        watch: section.flag("watch"),
    }
}

fn security(section: &mut Section<'_, '_>) -> Security {
    Security {
        allow_weak: section.flag("allow_weak"),
        sandbox: section.text("sandbox", "\"auto\", \"required\" or \"off\""),
    }
}

fn unknown_section(name: &str, span: Range<usize>, is_table: bool, report: &mut Report) {
    if let Some((_, why)) = NOT_BUILT.iter().find(|(section, _)| *section == name) {
        report.error(span, format!("[{name}] is not built yet: {why}"), Some("remove it".into()));
        return;
    }
    let places = places(name, "");
    if !is_table && !places.is_empty() {
        let help = Some(format!("it belongs in {}", places.join(" or ")));
        report.error(span, format!("`{name}` stands outside of every section"), help);
        return;
    }
    let sections = KEYS.iter().map(|(section, _)| *section);
    let help = did_you_mean(nearest(name, sections.clone()))
        .unwrap_or_else(|| format!("known sections: {}", sections.collect::<Vec<_>>().join(", ")));
    report.error(span, format!("unknown {} `{name}`", if is_table { "section" } else { "key" }), Some(help));
}

/// Nobody knows what stands here: it may be a secret.
pub(super) fn hide_values(value: &Spanned<DeValue<'_>>, report: &mut Report) {
    match value.get_ref() {
        DeValue::Table(table) => table.values().for_each(|value| hide_values(value, report)),
        _ => report.hide(value.span()),
    }
}

/// The sections, in brackets, other than `except` that know the key.
fn places(key: &str, except: &str) -> Vec<&'static str> {
    let known = |section: &&str| KEYS.iter().any(|(name, keys)| name == section && keys.contains(&key));
    ["[gateway]", "[local]", "[ike]", "[esp]", "[tun]", "[killswitch]", "[log]", "[control]", "[security]"]
        .into_iter()
        .filter(|place| {
            let section = place.trim_matches(['[', ']']);
            section != except && known(&section)
        })
        .collect()
}

/// In a line that is no TOML, a secret can stand anywhere: only what begins like a harmless key is shown.
fn hide_after_known_key(text: &str, span: &Range<usize>, report: &mut Report) {
    let start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at.saturating_add(1));
    let end =
        text.get(span.start..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| span.start.saturating_add(at));
    let line = text.get(start..end).unwrap_or_default();
    let word = line.trim_start().split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).next();
    let harmless = word.is_some_and(|word| word != "psk" && KEYS.iter().any(|(_, keys)| keys.contains(&word)));
    let header = line.trim_start().strip_prefix('[').and_then(|rest| rest.split(']').next());
    let shown = match header {
        Some(name) if KEYS.iter().any(|(section, _)| *section == name.trim()) => {
            line.find(']').map_or(line.len(), |at| at.saturating_add(1))
        }
        _ if harmless => secret_key(line).unwrap_or(line.len()),
        _ => 0,
    };
    report.hide(start.saturating_add(shown)..end);
}

/// Where something that looks like the key `psk` ends in a line.
fn secret_key(line: &str) -> Option<usize> {
    let mut from = 0_usize;
    while let Some(at) = line.get(from..).and_then(|rest| rest.find("psk")) {
        let end = from.saturating_add(at).saturating_add(3);
        if !line.get(end..).is_some_and(|rest| rest.starts_with('_')) {
            return Some(end);
        }
        from = end;
    }
    None
}
