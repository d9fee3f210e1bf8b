//! `[tun]`, `[killswitch]`, `[log]`, `[control]` and the sandbox of `[security]`: what is done to this machine.

use std::path::PathBuf;

use super::{choice, number};
use crate::config::model::{ControlSocket, KillSwitch, LogFormat, LogLevel, Nftables, Sandbox};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::subnet::Subnet;
use crate::config::table::{At, Scalar};
use crate::sa::selector::Selector;

pub(super) struct Tun {
    pub(super) device: String,
    pub(super) mtu: Option<u16>,
    pub(super) routes: bool,
    pub(super) default_route: bool,
}

const DEVICE: &str = "vpnd0";
/// IFNAMSIZ of Linux without the NUL.
const LONGEST_NAME: usize = 15;
/// `sun_path` of Linux without the NUL.
const LONGEST_SOCKET: usize = 107;

pub(super) fn tun(
    raw: &raw::Tun,
    subnets_at: Option<&At<Vec<At<String>>>>,
    subnets: &[Subnet],
    report: &mut Report,
) -> Tun {
    let device = raw.name.as_ref().map_or_else(|| DEVICE.to_owned(), |given| device(given, report));
    let routes = raw.routes.as_ref().is_none_or(|given| given.value);
    let default_route = raw.default_route.as_ref().is_some_and(|given| given.value);
    let everything = covers_everything(subnets);
    if let Some(given) = raw.default_route.as_ref().filter(|given| given.value) {
        if !subnets.is_empty() && !everything {
            let help = "add \"0.0.0.0/0\" or \"::/0\" to `subnets`, or remove this";
            report.error(given.span.clone(), "no subnet is the default route", Some(help.into()));
        } else if !routes {
            report.error(given.span.clone(), "`default_route = true` contradicts `routes = false`", None);
        }
    }
    if let Some(given) = subnets_at.filter(|_| everything && routes && !default_route) {
        let widest = given.value.iter().find(|text| text.value.ends_with("/0"));
        let span = widest.map_or(given.span.clone(), |text| text.span.clone());
        let message = "this would take the default route: all traffic of this machine would go through the tunnel";
        let help =
            "if that is meant, write `default_route = true` under [tun]; to set routes yourself, `routes = false`";
        report.error(span, message, Some(help.into()));
    }
    Tun { device, mtu: mtu(raw.mtu.as_ref(), subnets, report), routes, default_route }
}

/// On unless somebody else makes the routes: then it is theirs to say where packets go without a tunnel.
pub(super) fn kill_switch(raw: &raw::KillSwitch, tun: &Tun, report: &mut Report) -> KillSwitch {
    let nftables = raw.nftables.as_ref().and_then(|given| nftables(given, report));
    let enabled = raw.enabled.as_ref().map(|given| given.value);
    if let Some(given) = raw.enabled.as_ref().filter(|given| given.value && !tun.routes) {
        let message = "`enabled = true` contradicts `routes = false` under [tun]: the kill switch is made of routes";
        report.error(given.span.clone(), message, Some("remove one of them".into()));
    }
    if !enabled.unwrap_or(tun.routes) {
        if let Some(given) = raw.nftables.as_ref().filter(|_| nftables == Some(Nftables::Required)) {
            report.error(given.span.clone(), "`nftables = true` without the kill switch does nothing", None);
        }
        return KillSwitch::Off;
    }
    KillSwitch::On(nftables.unwrap_or_default())
}

fn nftables(given: &At<Scalar>, report: &mut Report) -> Option<Nftables> {
    match &given.value {
        Scalar::Flag(true) => Some(Nftables::Required),
        Scalar::Flag(false) => Some(Nftables::Never),
        Scalar::Text(text) if text == "auto" => Some(Nftables::Auto),
        Scalar::Text(_) | Scalar::Number(_) => {
            report.error(given.span.clone(), "`nftables` is \"auto\", true or false", None);
            None
        }
    }
}

pub(super) fn log(raw: &raw::Log, report: &mut Report) -> (LogLevel, LogFormat) {
    let level = raw.level.as_ref().and_then(|given| choice(given, "level", LogLevel::NAMES, report));
    let format = raw.format.as_ref().and_then(|given| choice(given, "format", LogFormat::NAMES, report));
    (level.unwrap_or_default(), format.unwrap_or_default())
}

pub(super) fn control_socket(raw: &raw::Control, report: &mut Report) -> ControlSocket {
    let Some(given) = &raw.socket else { return ControlSocket::default() };
    if given.value == "off" {
        return ControlSocket::Off;
    }
    if !given.value.starts_with('/') || given.value.ends_with('/') || given.value.contains('\0') {
        let message = "`socket` is \"off\" or a path that begins with `/`";
        report.error(given.span.clone(), message, Some("leave it out for a socket in the state directory".into()));
    } else if given.value.len() > LONGEST_SOCKET {
        report.error(given.span.clone(), format!("the path of a socket is at most {LONGEST_SOCKET} octets long"), None);
    }
    ControlSocket::At(PathBuf::from(&given.value))
}

pub(super) fn sandbox(raw: &raw::Security, report: &mut Report) -> Sandbox {
    raw.sandbox.as_ref().and_then(|given| choice(given, "sandbox", Sandbox::NAMES, report)).unwrap_or_default()
}

fn device(given: &At<String>, report: &mut Report) -> String {
    let name = &given.value;
    let letters = name.bytes().all(|octet| octet.is_ascii_graphic() && !b"/:%\"'\\".contains(&octet));
    if name.is_empty() || name.len() > LONGEST_NAME || !letters || name == "." || name == ".." {
        let message = format!("a device name is 1 to {LONGEST_NAME} letters, digits, `-`, `_` or `.`");
        report.error(given.span.clone(), message, Some(format!("leave it out for {DEVICE}")));
    }
    name.clone()
}

fn mtu(given: Option<&At<Scalar>>, subnets: &[Subnet], report: &mut Report) -> Option<u16> {
    let given = given?;
    if given.value == Scalar::Text("auto".into()) {
        return None;
    }
    // RFC 8200 §5; IPv4 asks for 68, which nobody can use (RFC 791 has every host accept 576).
    let least = if subnets.iter().any(|subnet| subnet.address().is_ipv6()) { 1280 } else { 576 };
    number(given, "mtu", least..=9000, report).and_then(|octets| u16::try_from(octets).ok())
}

/// Whether the subnets together are all of IPv4 or all of IPv6, in one piece or in several.
fn covers_everything(subnets: &[Subnet]) -> bool {
    let selectors: Vec<Selector> = subnets.iter().map(Subnet::selector).collect();
    [Selector::any_v4(), Selector::any_v6()].iter().any(|all| all.is_subset_of(&selectors))
}
