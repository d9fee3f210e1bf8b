//! `[gateway]` and `[local]`: who talks to whom, about which subnets, with which key.

use std::net::IpAddr;
use std::sync::Arc;

use super::{choice, port, secret_source};
use crate::config::identity;
use crate::config::model::AddressMode;
use crate::config::raw::{self, Raw};
use crate::config::report::Report;
use crate::config::secret_source::{Psk, PskFormat, PskSource};
use crate::config::subnet::{self, Subnet};
use crate::config::table::At;
use crate::ike::identity::Identity;
use crate::sa::selector::Selector;
use crate::tunnel::settings::{Host, IKE_PORT, LocalIdentity};

pub(super) struct Gateway {
    pub(super) addresses: Option<Vec<Host>>,
    pub(super) port: u16,
    pub(super) subnets: Option<Vec<Subnet>>,
    /// The configured texts of the subnets, for findings about them.
    pub(super) subnets_at: Option<At<Vec<At<String>>>>,
    pub(super) psk_source: Option<PskSource>,
    pub(super) psk_format: PskFormat,
}

pub(super) struct Identities {
    pub(super) local: LocalIdentity,
    /// `[local] shared_identity`.
    pub(super) shared: bool,
    /// Whether the gateway may be told to forget earlier SAs of this identity.
    pub(super) initial_contact: bool,
    pub(super) remote: Option<Identity>,
}

pub(super) struct Local {
    pub(super) address: Option<AddressMode>,
    pub(super) subnets: Vec<Subnet>,
    pub(super) port: Option<u16>,
}

/// A Traffic Selector payload counts its selectors with one octet (RFC 7296 §3.13).
const MOST_SUBNETS: usize = 255;
const MOST_GATEWAYS: usize = 16;

pub(super) fn identities(raw: &Raw, variable: &dyn Fn(&str) -> Option<String>, report: &mut Report) -> Identities {
    let mut read = |given: &Option<At<String>>| {
        let given = given.as_ref()?;
        match identity::parse(&given.value, variable) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                report.error(given.part(&given.value, &error.span), error.message, error.help);
                None
            }
        }
    };
    let local = read(&raw.local.id);
    let remote = read(&raw.gateway.id).map(|parsed| parsed.identity);
    let differs = local.as_ref().is_some_and(|parsed| parsed.variable);
    let shared = raw.local.shared_identity.as_ref().filter(|given| given.value);
    if let Some(shared) = shared {
        if let Some(given) = raw.ike.initial_contact.as_ref().filter(|given| given.value) {
            let message = "`initial_contact = true` would make the gateway end the tunnels of the other replicas";
            let help = "remove it, or `shared_identity = true` under [local]";
            report.error(given.span.clone(), message, Some(help.into()));
        }
        if differs {
            let message = "`[local] id` holds a variable: is it shared, or each replica's own?";
            report.warning(shared.span.clone(), message, Some("remove this if it is the replica's own".into()));
        }
    }
    let wanted = raw.ike.initial_contact.as_ref().map_or(differs, |given| given.value);
    Identities {
        shared: shared.is_some(),
        initial_contact: wanted && shared.is_none(),
        local: local.map_or(LocalIdentity::SourceAddress, |parsed| LocalIdentity::Fixed(parsed.identity)),
        remote,
    }
}

pub(super) fn gateway(raw: raw::Gateway, report: &mut Report) -> Gateway {
    let Some(section) = raw.section.clone() else {
        let help = "at least: [gateway], address, subnets and psk_file";
        report.error_in_file("the section [gateway] is missing", Some(help.into()));
        return Gateway {
            addresses: None,
            port: IKE_PORT,
            subnets: None,
            subnets_at: None,
            psk_source: None,
            psk_format: PskFormat::Text,
        };
    };
    let addresses = match &raw.address {
        Some(given) => hosts(given, report),
        None => {
            let help = "write `address = \"198.51.100.1\"`, an address or a name";
            report.error(section.clone(), "`address` is missing in [gateway]", Some(help.into()));
            None
        }
    };
    let subnets = match &raw.subnets {
        Some(given) => subnets(given, report),
        None => {
            let help = "write `subnets = [\"10.250.0.0/24\"]`: what is reached through the tunnel";
            report.error(section.clone(), "`subnets` is missing in [gateway]", Some(help.into()));
            None
        }
    };
    let psk_format = raw.psk_format.as_ref().and_then(|given| {
        let words = [("text", PskFormat::Text), ("hex", PskFormat::Hex), ("base64", PskFormat::Base64)];
        choice(given, "psk_format", &words, report)
    });
    let psk_format = psk_format.unwrap_or_default();
    let first_port = raw.port.as_ref().and_then(|given| port(given, report)).unwrap_or(IKE_PORT);
    let subnets_at = raw.subnets.clone();
    Gateway {
        addresses,
        port: first_port,
        subnets,
        subnets_at,
        psk_source: psk(raw, section, psk_format, report),
        psk_format,
    }
}

pub(super) fn local(raw: &raw::Local, remote: &[Subnet], report: &mut Report) -> Local {
    let subnets = raw.subnets.as_ref().map(|given| subnets(given, report).unwrap_or_default());
    let local_port = raw.port.as_ref().and_then(|given| port(given, report));
    let address = address_mode(raw, subnets.as_deref(), remote, report);
    Local { address, subnets: subnets.unwrap_or_default(), port: local_port }
}

fn address_mode(
    raw: &raw::Local,
    subnets: Option<&[Subnet]>,
    remote: &[Subnet],
    report: &mut Report,
) -> Option<AddressMode> {
    let ipv4 = remote.iter().any(|subnet| subnet.address().is_ipv4());
    let ipv6 = remote.iter().any(|subnet| subnet.address().is_ipv6());
    let words: Option<Vec<&str>> =
        raw.address.as_ref().map(|given| given.value.iter().map(|text| text.value.as_str()).collect());
    match (words.as_deref(), &raw.address) {
        (None, _) | (_, None) if subnets.is_some() => Some(AddressMode::None),
        (None, _) | (_, None) => Some(AddressMode::Virtual { ipv4, ipv6 }),
        (Some(["virtual"]), Some(given)) => {
            if subnets.is_some() {
                let help = "write \"none\" or an address of yours, or remove `subnets` under [local]";
                let message = "the gateway assigns no address for subnets of your own";
                report.error(given.span.clone(), message, Some(help.into()));
            }
            Some(AddressMode::Virtual { ipv4, ipv6 })
        }
        (Some(["none"]), Some(given)) => {
            if subnets.is_none() {
                let help = "add `subnets = [...]` under [local]: what the gateway reaches on this side";
                report.error(given.span.clone(), "without an address there must be subnets", Some(help.into()));
            }
            Some(AddressMode::None)
        }
        (Some(_), Some(given)) => fixed(given, remote, report),
    }
}

fn fixed(given: &At<Vec<At<String>>>, remote: &[Subnet], report: &mut Report) -> Option<AddressMode> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for text in &given.value {
        let span = text.span.clone();
        let Ok(address) = text.value.parse::<IpAddr>() else {
            let help = "it is \"virtual\", \"none\" or an address without prefix";
            report.error(span, format!("`{}` is no inner address", text.value), Some(help.into()));
            continue;
        };
        if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
            report.error(span, "no device can have this address", None);
        } else if addresses.iter().any(|other| other.is_ipv4() == address.is_ipv4()) {
            report.error(span, "there is an address of this family already", None);
        } else if !remote.is_empty() && !remote.iter().any(|subnet| subnet.address().is_ipv4() == address.is_ipv4()) {
            report.warning(span, "no subnet of the gateway is of this address's family", None);
            addresses.push(address);
        } else {
            addresses.push(address);
        }
    }
    if given.value.is_empty() {
        report.error(
            given.span.clone(),
            "there is no address in `address`",
            Some("leave it out for \"virtual\"".into()),
        );
    }
    (!addresses.is_empty()).then_some(AddressMode::Fixed(addresses))
}

fn hosts(given: &At<Vec<At<String>>>, report: &mut Report) -> Option<Vec<Host>> {
    let mut hosts = Vec::new();
    if given.value.is_empty() || given.value.len() > MOST_GATEWAYS {
        let message = format!("`address` is one to {MOST_GATEWAYS} addresses or names");
        report.error(given.span.clone(), message, None);
        return None;
    }
    for text in &given.value {
        match subnet::parse_host(&text.value) {
            Ok(host) if hosts.contains(&host) => report.error(text.span.clone(), "this gateway is there twice", None),
            Ok(host) => hosts.push(host),
            Err((message, help)) => report.error(text.span.clone(), message, help),
        }
    }
    (!hosts.is_empty()).then_some(hosts)
}

fn subnets(given: &At<Vec<At<String>>>, report: &mut Report) -> Option<Vec<Subnet>> {
    let mut subnets: Vec<Subnet> = Vec::new();
    if given.value.is_empty() || given.value.len() > MOST_SUBNETS {
        let message = format!("`subnets` is a list of 1 to {MOST_SUBNETS} subnets");
        report.error(given.span.clone(), message, Some("such as [\"10.250.0.0/24\"]".into()));
        return None;
    }
    for text in &given.value {
        match subnet::parse(&text.value) {
            Ok(subnet) => {
                let earlier: Vec<Selector> = subnets.iter().map(Subnet::selector).collect();
                if subnet.selector().is_subset_of(&earlier) {
                    report.warning(text.span.clone(), format!("{subnet} is contained in the subnets before it"), None);
                }
                if subnet.address().is_multicast() || subnet.address().is_loopback() {
                    report.error(text.span.clone(), "this subnet cannot be reached through a tunnel", None);
                }
                subnets.push(subnet);
            }
            Err((message, help)) => report.error(text.span.clone(), message, help),
        }
    }
    (!subnets.is_empty()).then_some(subnets)
}

fn psk(
    raw: raw::Gateway,
    section: std::ops::Range<usize>,
    format: PskFormat,
    report: &mut Report,
) -> Option<PskSource> {
    let keys = [
        raw.psk_file.as_ref().map(|given| given.key.clone()),
        raw.psk_env.as_ref().map(|given| given.key.clone()),
        raw.psk_credential.as_ref().map(|given| given.key.clone()),
        raw.psk.as_ref().map(|given| given.key.clone()),
    ];
    for key in keys.into_iter().flatten().skip(1) {
        let help = "keep one of psk_file, psk_env, psk_credential and psk";
        report.error(key, "there is more than one pre-shared key", Some(help.into()));
    }
    let named = [&raw.psk_file, &raw.psk_env, &raw.psk_credential];
    if named.iter().any(|given| given.is_some()) {
        return secret_source(named, ["psk_file", "psk_env", "psk_credential"], report).map(PskSource::Elsewhere);
    }
    let Some(given) = raw.psk else {
        let help = "write `psk_file = \"psk\"` and put the key into that file";
        report.error(section, "the pre-shared key is missing in [gateway]", Some(help.into()));
        return None;
    };
    let help = "move it to a file that only you can read, and write `psk_file`";
    report.warning(given.key.clone(), "the pre-shared key stands in the configuration file", Some(help.into()));
    match Psk::decode(given.value.expose().to_vec(), format) {
        Ok(psk) => {
            for warning in psk.warnings {
                report.warning(given.key.clone(), warning.to_string(), None);
            }
            Some(PskSource::Inline(Arc::new(given.value)))
        }
        Err(error) => {
            report.error(given.key.clone(), error.to_string(), None);
            None
        }
    }
}
