//! Judges what the file says: every mistake is reported, and only without one there is a `Config`.

mod host;
mod ikev1;
mod negotiation;
mod peer;

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::model::Config;
use super::raw::Raw;
use super::report::{Report, did_you_mean};
use super::secret_source::SecretSource;
use super::table::{At, Scalar};
use crate::sa::nearest::nearest;

/// A valid configuration, if nothing that it needs is missing. With errors in the report it must not be used.
pub(super) fn validate(raw: Raw, variable: &dyn Fn(&str) -> Option<String>, report: &mut Report) -> Option<Config> {
    let spoken = negotiation::spoken(&raw.ike, report);
    let ike = negotiation::ike(&raw.ike, &spoken, raw.security.allow_weak.as_ref(), report);
    let esp = negotiation::esp(&raw.esp, &spoken, raw.security.allow_weak.as_ref(), report);
    let identities = peer::identities(&raw, variable, report);
    let return_after = negotiation::return_after(raw.gateway.return_after.as_ref(), report);
    let gateway = peer::gateway(raw.gateway, report);
    let subnets = gateway.subnets.as_deref().unwrap_or_default();
    let local = peer::local(&raw.local, subnets, report);
    let tun = host::tun(&raw.tun, gateway.subnets_at.as_ref(), subnets, report);
    let kill_switch = host::kill_switch(&raw.killswitch, &tun, report);
    let log = host::log(&raw.log, report);
    let control_socket = host::control_socket(&raw.control, report);
    let sandbox = host::sandbox(&raw.security, report);
    let pairs = negotiation::pairs(local.address.as_ref(), &local.subnets, subnets);
    let children = negotiation::children(&raw.esp, &spoken, pairs, gateway.subnets_at.as_ref(), report);
    Some(Config {
        gateways: gateway.addresses?,
        first_port: gateway.port,
        return_after,
        remote_identity: identities.remote,
        psk_source: gateway.psk_source?,
        psk_format: gateway.psk_format,
        subnets: gateway.subnets?,
        local_identity: identities.local,
        shared_identity: identities.shared,
        address: local.address?,
        local_subnets: local.subnets,
        local_port: local.port,
        spoken,
        ike_offers: ike.offers,
        ike_lifetime: ike.lifetime,
        dpd: ike.dpd,
        keepalive: ike.keepalive,
        fragmentation: ike.fragmentation,
        initial_contact: identities.initial_contact,
        mobike: ike.mobike,
        esp_offers: esp.offers,
        esp_lifetime: esp.lifetime,
        replay_window: esp.replay_window,
        verify_pfs: esp.verify_pfs,
        children,
        device: tun.device,
        mtu: tun.mtu,
        routes: tun.routes,
        default_route: tun.default_route,
        kill_switch,
        log_level: log.0,
        log_format: log.1,
        control_socket,
        sandbox,
        watch: raw.control.watch.as_ref().is_some_and(|given| given.value),
    })
}

/// A number within a range.
fn number(given: &At<Scalar>, key: &str, range: RangeInclusive<u32>, report: &mut Report) -> Option<u32> {
    let number = match given.value {
        Scalar::Number(number) => u32::try_from(number).ok().filter(|number| range.contains(number)),
        _ => {
            report.error(given.span.clone(), format!("`{key}` is a number, not a {}", given.value.type_name()), None);
            return None;
        }
    };
    if number.is_none() {
        let message = format!("`{key}` is {} to {}", range.start(), range.end());
        report.error(given.span.clone(), message, None);
    }
    number
}

fn port(given: &At<Scalar>, report: &mut Report) -> Option<u16> {
    number(given, "port", 1..=65535, report).and_then(|port| u16::try_from(port).ok())
}

/// One of a few words.
fn choice<T: Copy>(given: &At<String>, key: &str, words: &[(&str, T)], report: &mut Report) -> Option<T> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == given.value) {
        return Some(*value);
    }
    let known = words.iter().map(|(word, _)| *word);
    let help = did_you_mean(nearest(&given.value, known.clone()))
        .unwrap_or_else(|| format!("it is one of: {}", known.collect::<Vec<_>>().join(", ")));
    report.error(given.span.clone(), format!("`{key}` cannot be `{}`", given.value), Some(help));
    None
}

/// The place that one of three keys names: a file, an environment variable, a systemd credential. The first that is given counts.
fn secret_source(
    given: [&Option<At<String>>; 3],
    keys: [&'static str; 3],
    report: &mut Report,
) -> Option<SecretSource> {
    let [file, variable, credential] = given;
    let [file_key, variable_key, credential_key] = keys;
    if let Some(given) = file {
        named(given, file_key, "a file", |name| !name.contains('\0'), report)?;
        return Some(SecretSource::File(PathBuf::from(&given.value)));
    }
    if let Some(given) = variable {
        named(given, variable_key, "an environment variable", |name| !name.contains(['=', '\0', '$', '{']), report)?;
        return Some(SecretSource::Environment(given.value.clone()));
    }
    let given = credential.as_ref()?;
    let plain = |name: &str| !name.contains(['/', '\0']) && name != "." && name != "..";
    named(given, credential_key, "a credential", plain, report)?;
    Some(SecretSource::Credential(given.value.clone()))
}

fn named(given: &At<String>, key: &str, what: &str, good: impl Fn(&str) -> bool, report: &mut Report) -> Option<()> {
    if given.value.is_empty() || !good(&given.value) {
        report.error(given.span.clone(), format!("`{key}` is the name of {what}"), None);
        return None;
    }
    Some(())
}
