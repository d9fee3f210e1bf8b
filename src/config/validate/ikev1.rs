//! What is said of IKEv1 only: mode, XAUTH, and which proposals it can carry.

use super::{choice, secret_source};
use crate::config::model::{Ikev1Settings, XauthAccount};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::table::At;
use crate::ike::profile::Phase1Mode;
use crate::sa::suite::{EsnOffer, EspOffer, Group, IkeOffer, ProtectionOffer};

/// Child SAs of one tunnel.
pub(super) const MOST_CHILDREN: usize = 64;
/// A proposal numbers its transforms with one octet (RFC 2408 §3.6).
const MOST_TRANSFORMS: usize = 255;
/// Octets of the longest name for XAUTH.
const LONGEST_USER: usize = 255;

/// What most gateways know. Every combination is written out in the first message, and all of them still fit in one datagram that
/// no path has to cut.
const MAIN_MODE_PROPOSALS: &[&str] = &[
    "aes256-aes128-sha256-sha384-sha512-modp2048",
    "aes256-sha256-sha384-sha512-modp3072-modp4096-ecp256-ecp384-ecp521",
    "aes128-sha256-ecp256",
];

/// The first message holds a public value already: all proposals have the same group (RFC 2409 §5).
const AGGRESSIVE_PROPOSALS: &[&str] = &["aes256-aes128-sha256-sha384-sha512-modp2048"];

/// A quick mode has one public value or none: all proposals have the same group.
pub(super) const ESP_PROPOSALS: &[&str] =
    &["aes256gcm16-aes128gcm16-modp2048", "aes256-aes128-sha256-sha384-sha512-modp2048"];

const PASSWORD_KEYS: [&str; 3] = ["xauth_password_file", "xauth_password_env", "xauth_password_credential"];

/// `mode` and `xauth_*`.
pub(super) fn settings(raw: &raw::Ike, report: &mut Report) -> Ikev1Settings {
    let words = [("main", Phase1Mode::Main), ("aggressive", Phase1Mode::Aggressive)];
    let mode = raw.mode.as_ref().and_then(|given| choice(given, "mode", &words, report)).unwrap_or(Phase1Mode::Main);
    if let Some(given) = raw.mode.as_ref().filter(|_| mode == Phase1Mode::Aggressive) {
        let message = "aggressive mode gives away what is needed to search for the pre-shared key: whoever listens, and \
                       whoever asks the gateway in our place, gets a hash of it to try keys against at leisure, offline; \
                       identities travel in clear";
        let help = "use \"main\" if the gateway can, else a long random key, such as `openssl rand -base64 32`";
        report.warning(given.span.clone(), message, Some(help.into()));
    }
    Ikev1Settings { mode, xauth: xauth(raw, report) }
}

/// Refuses, beside IKEv2, what only IKEv1 has.
pub(super) fn refuse(raw: &raw::Ike, report: &mut Report) {
    let [file, variable, credential] = passwords(raw);
    for (given, key) in [
        (&raw.mode, "mode"),
        (&raw.xauth_user, "xauth_user"),
        (file, "xauth_password_file"),
        (variable, "xauth_password_env"),
        (credential, "xauth_password_credential"),
    ] {
        if let Some(given) = given {
            let message = format!("`{key}` is for IKEv1, and this is IKEv2");
            report.error(given.key.clone(), message, Some("remove it, or write `version = 1` under [ike]".into()));
        }
    }
}

/// Phase 1's default proposals.
pub(super) const fn ike_proposals(mode: Phase1Mode) -> &'static [&'static str] {
    match mode {
        Phase1Mode::Main => MAIN_MODE_PROPOSALS,
        Phase1Mode::Aggressive => AGGRESSIVE_PROPOSALS,
    }
}

/// What the proposals of phase 1 must be together.
pub(super) fn check_ike_offers(
    offers: &[IkeOffer],
    mode: Phase1Mode,
    given: Option<&At<Vec<At<String>>>>,
    report: &mut Report,
) {
    let Some(given) = given else { return };
    let transforms = offers.iter().map(|offer| protections(&offer.protection).saturating_mul(offer.groups.len()));
    check_count(transforms.sum(), given, report);
    let mut groups = offers.iter().flat_map(|offer| offer.groups.iter().map(Some));
    if mode == Phase1Mode::Aggressive && !all_equal(&mut groups) {
        let message = "in aggressive mode all proposals have the same group: its public value is sent with them";
        let help = "keep the one group that the gateway uses, or write `mode = \"main\"`";
        report.error(given.span.clone(), message, Some(help.into()));
    }
}

/// What the proposals of phase 2 must be together.
pub(super) fn check_esp_offers(offers: &[EspOffer], given: Option<&At<Vec<At<String>>>>, report: &mut Report) {
    let Some(given) = given else { return };
    let transforms = offers.iter().map(|offer| {
        let sizes = if offer.esn == EsnOffer::Either { 2 } else { 1 };
        protections(&offer.protection).saturating_mul(sizes)
    });
    check_count(transforms.sum(), given, report);
    let several = offers.iter().any(|offer| offer.pfs.len() > 1);
    let mut groups = offers.iter().map(|offer| offer.pfs.first());
    if several || !all_equal(&mut groups) {
        let message = "with IKEv1 all ESP proposals have the same group, or none: a quick mode makes one key exchange";
        let help = "keep the one group that the gateway uses for perfect forward secrecy, or remove all of them";
        report.error(given.span.clone(), message, Some(help.into()));
    }
}

fn all_equal<'a>(groups: &mut impl Iterator<Item = Option<&'a Group>>) -> bool {
    let first = groups.next();
    groups.all(|group| Some(group) == first)
}

fn protections(offer: &ProtectionOffer) -> usize {
    match offer {
        ProtectionOffer::Aead(aeads) => aeads.len(),
        ProtectionOffer::CbcHmac { encryption, integrity } => encryption.len().saturating_mul(integrity.len()),
    }
}

fn check_count(transforms: usize, given: &At<Vec<At<String>>>, report: &mut Report) {
    if transforms > MOST_TRANSFORMS {
        let message = format!("these are {transforms} combinations; IKEv1 can offer {MOST_TRANSFORMS}");
        report.error(given.span.clone(), message, Some("write fewer alternatives".into()));
    }
}

const fn passwords(raw: &raw::Ike) -> [&Option<At<String>>; 3] {
    [&raw.xauth_password_file, &raw.xauth_password_env, &raw.xauth_password_credential]
}

fn xauth(raw: &raw::Ike, report: &mut Report) -> Option<XauthAccount> {
    let passwords = passwords(raw);
    for given in passwords.into_iter().flatten().skip(1) {
        let help = format!("keep one of {}, {} and {}", PASSWORD_KEYS[0], PASSWORD_KEYS[1], PASSWORD_KEYS[2]);
        report.error(given.key.clone(), "there is more than one password for XAUTH", Some(help));
    }
    let first = passwords.into_iter().flatten().next();
    match (&raw.xauth_user, first) {
        (None, None) => None,
        (None, Some(given)) => {
            let help = "write `xauth_user`, or remove this if the gateway asks for no name";
            report.error(given.key.clone(), "a password without a name: `xauth_user` is missing", Some(help.into()));
            None
        }
        (Some(given), None) => {
            let help = "write `xauth_password_file = \"password\"` and put the password into that file";
            report.error(given.key.clone(), "a name without a password", Some(help.into()));
            None
        }
        (Some(given), Some(_)) => {
            let user = &given.value;
            if user.is_empty() || user.len() > LONGEST_USER || user.chars().any(char::is_control) {
                let message = format!("`xauth_user` is 1 to {LONGEST_USER} octets without control characters");
                report.error(given.span.clone(), message, None);
            }
            let password = secret_source(passwords, PASSWORD_KEYS, report)?;
            Some(XauthAccount { user: user.clone(), password })
        }
    }
}
