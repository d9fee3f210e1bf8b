//! `[ike]` and `[esp]`: what is negotiated.

use std::ops::Range;
use std::time::Duration;

use super::{ikev1, number};
use crate::config::duration::{self, DurationError};
use crate::config::model::{AddressMode, Children, Spoken};
use crate::config::raw;
use crate::config::report::{Report, did_you_mean};
use crate::config::subnet::Subnet;
use crate::config::table::{At, Scalar};
use crate::sa::notation::{NotationError, Parsed, parse_child, parse_ike, parse_phase_1, parse_phase_2};
use crate::sa::suite::{EsnOffer, EspOffer, IkeOffer};

pub(super) struct Ike {
    pub(super) offers: Vec<IkeOffer>,
    pub(super) lifetime: Duration,
    pub(super) dpd: Option<Duration>,
    pub(super) keepalive: Duration,
    pub(super) fragmentation: Option<u16>,
    pub(super) mobike: bool,
}

pub(super) struct Esp {
    pub(super) offers: Vec<EspOffer>,
    pub(super) lifetime: Duration,
    pub(super) replay_window: u32,
    pub(super) verify_pfs: bool,
}

/// Strong suites that most gateways know, combined mode first; the smallest public value is the one that is guessed.
const IKE_PROPOSALS: &[&str] = &[
    "aes256gcm16-aes128gcm16-prfsha384-prfsha256-x25519-ecp256-ecp384-modp2048-modp3072-modp4096",
    "aes256-aes128-sha256-sha384-sha512-x25519-ecp256-ecp384-modp2048-modp3072-modp4096",
];

/// With perfect forward secrecy first; without it for gateways that refuse it when rekeying.
const ESP_PROPOSALS: &[&str] = &[
    "aes256gcm16-aes128gcm16-x25519-ecp256-ecp384-modp2048-modp3072-modp4096",
    "aes256-aes128-sha256-sha384-sha512-x25519-ecp256-ecp384-modp2048-modp3072-modp4096",
    "aes256gcm16-aes128gcm16",
    "aes256-aes128-sha256-sha384-sha512",
];

const MINUTE: u64 = 60;
const DAY: u64 = 86_400;
const IKE_LIFETIME: Duration = Duration::from_secs(4 * 60 * MINUTE);
const ESP_LIFETIME: Duration = Duration::from_secs(60 * MINUTE);
const DPD: Duration = Duration::from_secs(30);
/// While a later gateway is used: a dead one is asked a few times an hour, and one that is back is used again soon.
const RETURN_AFTER: Duration = Duration::from_secs(10 * MINUTE);
/// RFC 3948 §4.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Octets of a datagram that every IPv6 path carries (RFC 8200 §5).
const FRAGMENTATION: u16 = 1280;
const REPLAY_WINDOW: u32 = 1024;
const LARGEST_REPLAY_WINDOW: u32 = 8192;
/// RFC 7296 §3.3.1 numbers proposals with one octet.
const MOST_PROPOSALS: usize = 32;

/// `[ike] version`, and what only one of the two has.
pub(super) fn spoken(raw: &raw::Ike, report: &mut Report) -> Spoken {
    let spoken = match &raw.version {
        Some(At { value: Scalar::Number(1), .. }) => Spoken::Ikev1(ikev1::settings(raw, report)),
        Some(At { value: Scalar::Number(2), .. }) | None => {
            ikev1::refuse(raw, report);
            Spoken::Ikev2
        }
        Some(given) => {
            report.error(given.span.clone(), "`version` is 1 or 2", Some("leave it out for 2".into()));
            Spoken::Ikev2
        }
    };
    if let (Spoken::Ikev1(_), Some(mobike)) = (&spoken, raw.mobike.as_ref().filter(|mobike| mobike.value)) {
        let help = "write false, or leave it out: after a change of address vpnd connects anew";
        report.error(mobike.span.clone(), "IKEv1 has no MOBIKE", Some(help.into()));
    }
    spoken
}

pub(super) fn ike(raw: &raw::Ike, spoken: &Spoken, allow_weak: Option<&At<bool>>, report: &mut Report) -> Ike {
    let lifetimes = Duration::from_secs(10)..Duration::from_secs(30 * DAY);
    let given = raw.proposals.as_ref();
    let offers = match spoken {
        Spoken::Ikev2 => proposals(given, IKE_PROPOSALS, allow_weak, parse_ike, report),
        Spoken::Ikev1(settings) => {
            let default = ikev1::ike_proposals(settings.mode);
            let offers = proposals(given, default, allow_weak, parse_phase_1, report);
            ikev1::check_ike_offers(&offers, settings.mode, given, report);
            offers
        }
    };
    Ike {
        offers,
        lifetime: span_of_time(raw.lifetime.as_ref(), "lifetime", &lifetimes, report).unwrap_or(IKE_LIFETIME),
        dpd: dpd(raw.dpd.as_ref(), report),
        keepalive: span_of_time(
            raw.keepalive.as_ref(),
            "keepalive",
            &(Duration::from_secs(1)..Duration::from_secs(10 * MINUTE)),
            report,
        )
        .unwrap_or(KEEPALIVE),
        fragmentation: fragmentation(raw.fragmentation.as_ref(), report),
        mobike: matches!(spoken, Spoken::Ikev2) && raw.mobike.as_ref().is_none_or(|mobike| mobike.value),
    }
}

pub(super) fn esp(raw: &raw::Esp, spoken: &Spoken, allow_weak: Option<&At<bool>>, report: &mut Report) -> Esp {
    let lifetimes = Duration::from_secs(10)..Duration::from_secs(30 * DAY);
    let esn = esn(raw.esn.as_ref(), report);
    let replay_window = raw.replay_window.as_ref().and_then(|given| {
        let window = number(given, "replay_window", 0..=LARGEST_REPLAY_WINDOW, report)?;
        if window == 0 {
            let message = "packets can be replayed: the window is switched off";
            report.warning(given.span.clone(), message, Some(format!("leave it out for {REPLAY_WINDOW}")));
        }
        Some(window)
    });
    let given = raw.proposals.as_ref();
    let offers = match spoken {
        Spoken::Ikev2 => proposals(given, ESP_PROPOSALS, allow_weak, |text| parse_child(text, esn), report),
        Spoken::Ikev1(_) => {
            let parse = |text: &str| parse_phase_2(text, esn);
            let offers = proposals(given, ikev1::ESP_PROPOSALS, allow_weak, parse, report);
            ikev1::check_esp_offers(&offers, given, report);
            offers
        }
    };
    Esp {
        offers,
        lifetime: span_of_time(raw.lifetime.as_ref(), "lifetime", &lifetimes, report).unwrap_or(ESP_LIFETIME),
        replay_window: replay_window.unwrap_or(REPLAY_WINDOW),
        verify_pfs: raw.verify_pfs.as_ref().is_none_or(|given| given.value),
    }
}

/// How many pairs of a subnet here and one there there are.
pub(super) fn pairs(address: Option<&AddressMode>, local: &[Subnet], remote: &[Subnet]) -> usize {
    let remote_of = |ipv4: bool| remote.iter().filter(|subnet| subnet.address().is_ipv4() == ipv4).count();
    let local_of = |ipv4: bool| match address {
        Some(AddressMode::Fixed(_) | AddressMode::None) if !local.is_empty() => {
            local.iter().filter(|subnet| subnet.address().is_ipv4() == ipv4).count()
        }
        Some(AddressMode::Fixed(addresses)) => addresses.iter().filter(|address| address.is_ipv4() == ipv4).count(),
        Some(AddressMode::Virtual { .. } | AddressMode::None) | None => 1,
    };
    let family = |ipv4: bool| remote_of(ipv4).saturating_mul(local_of(ipv4));
    family(true).saturating_add(family(false))
}

/// `[esp] children`.
pub(super) fn children(
    raw: &raw::Esp,
    spoken: &Spoken,
    pairs: usize,
    subnets_at: Option<&At<Vec<At<String>>>>,
    report: &mut Report,
) -> Children {
    #[derive(Clone, Copy, PartialEq)]
    enum Word {
        Auto,
        One,
        PerSubnet,
        Any,
    }
    let words = [("auto", Word::Auto), ("one", Word::One), ("per-subnet", Word::PerSubnet), ("any", Word::Any)];
    let given = raw.children.as_ref();
    let chosen = given.and_then(|given| super::choice(given, "children", &words, report)).unwrap_or(Word::Auto);
    let span = given.map(|given| given.span.clone()).unwrap_or_default();
    match (spoken, chosen) {
        (_, Word::Any) => return Children::Any,
        (Spoken::Ikev2, Word::PerSubnet) if pairs > 1 => {
            let message = "`children = \"per-subnet\"` is not built yet with IKEv2: all subnets share one child SA";
            report.error(span, message, Some("write \"one\", or leave it out".into()));
        }
        (Spoken::Ikev1(_), Word::One) if pairs > 1 => {
            let message = "with IKEv1 a child SA carries one pair of subnets, and there are more";
            let help = "write \"per-subnet\" or leave it out; \"any\" if the gateway accepts 0.0.0.0/0";
            report.error(span, message, Some(help.into()));
        }
        (Spoken::Ikev1(_), Word::Auto | Word::PerSubnet) if pairs > ikev1::MOST_CHILDREN => {
            let message =
                format!("{pairs} pairs of subnets need as many child SAs: at most {} are made", ikev1::MOST_CHILDREN);
            let help = "write larger subnets, or `children = \"any\"` under [esp]";
            report.error(subnets_at.map(|given| given.span.clone()).unwrap_or(span), message, Some(help.into()));
        }
        _ => {}
    }
    Children::Subnets
}

fn proposals<T>(
    given: Option<&At<Vec<At<String>>>>,
    default: &[&str],
    allow_weak: Option<&At<bool>>,
    parse: impl Fn(&str) -> Result<Parsed<T>, Vec<NotationError>>,
    report: &mut Report,
) -> Vec<T> {
    let Some(given) = given else {
        return default.iter().filter_map(|text| parse(text).ok()).map(|parsed| parsed.offer).collect();
    };
    if given.value.is_empty() {
        let help = Some(format!("leave it out for the default, or write [\"{}\"]", "aes256-sha256-modp2048"));
        report.error(given.span.clone(), "there is no proposal in `proposals`", help);
    }
    if given.value.len() > MOST_PROPOSALS {
        report.error(given.span.clone(), format!("more than {MOST_PROPOSALS} proposals"), None);
        return Vec::new();
    }
    let mut offers = Vec::new();
    for text in &given.value {
        match parse(&text.value) {
            Ok(parsed) => {
                for weak in parsed.weak.iter().filter(|_| !allow_weak.is_some_and(|allowed| allowed.value)) {
                    let message = format!("`{}` is weak: {}", weak.word, weak.why);
                    let help = "if the gateway can do no better, write `allow_weak = true` under [security]";
                    report.error(text.part(&text.value, &weak.span), message, Some(help.into()));
                }
                offers.push(parsed.offer);
            }
            Err(errors) => {
                for error in errors {
                    let span = error_span(text, &error.span);
                    report.error(span, error.problem.to_string(), did_you_mean(error.problem.suggestion()));
                }
            }
        }
    }
    offers
}

/// What is missing at the end of a proposal is shown at its closing quote.
fn error_span(text: &At<String>, span: &Range<usize>) -> Range<usize> {
    let part = text.part(&text.value, span);
    if part.is_empty() { part.start..part.end.saturating_add(1) } else { part }
}

fn dpd(given: Option<&At<Scalar>>, report: &mut Report) -> Option<Duration> {
    time_or_never(given, "dpd", Duration::from_secs(1), DPD, report)
}

pub(super) fn return_after(given: Option<&At<Scalar>>, report: &mut Report) -> Option<Duration> {
    time_or_never(given, "return_after", Duration::from_secs(10), RETURN_AFTER, report)
}

fn time_or_never(
    given: Option<&At<Scalar>>,
    key: &str,
    shortest: Duration,
    default: Duration,
    report: &mut Report,
) -> Option<Duration> {
    match given {
        None => Some(default),
        Some(At { value: Scalar::Flag(false), .. }) => None,
        Some(At { value: Scalar::Text(text), .. }) if text == "off" => None,
        Some(given) => {
            Some(span_of_time(Some(given), key, &(shortest..Duration::from_secs(DAY)), report).unwrap_or(default))
        }
    }
}

fn fragmentation(given: Option<&At<Scalar>>, report: &mut Report) -> Option<u16> {
    match given {
        None | Some(At { value: Scalar::Flag(true), .. }) => Some(FRAGMENTATION),
        Some(At { value: Scalar::Flag(false), .. }) => None,
        Some(given) => {
            let octets = number(given, "fragmentation", 576..=65535, report);
            octets.and_then(|octets| u16::try_from(octets).ok())
        }
    }
}

fn esn(given: Option<&At<Scalar>>, report: &mut Report) -> EsnOffer {
    match given.map(|given| &given.value) {
        None | Some(Scalar::Flag(false)) => EsnOffer::Without,
        Some(Scalar::Flag(true)) => EsnOffer::Required,
        Some(Scalar::Text(text)) if text == "auto" => EsnOffer::Either,
        Some(_) => {
            let span = given.map(|given| given.span.clone()).unwrap_or_default();
            report.error(span, "`esn` is true, false or \"auto\"", None);
            EsnOffer::Without
        }
    }
}

/// A duration within a range, both ends included.
fn span_of_time(
    given: Option<&At<Scalar>>,
    key: &str,
    range: &Range<Duration>,
    report: &mut Report,
) -> Option<Duration> {
    let given = given?;
    let span = given.span.clone();
    let text = match &given.value {
        Scalar::Text(text) => text,
        Scalar::Number(number) => {
            let help = Some(format!("write \"{number}s\" for seconds"));
            report.error(span, format!("`{key}` is a duration in quotes with a unit"), help);
            return None;
        }
        Scalar::Flag(_) => {
            let help = Some("write for example \"8h\", \"90s\" or \"1h30m\"".into());
            report.error(span, format!("`{key}` is a duration in quotes with a unit"), help);
            return None;
        }
    };
    match duration::parse(text) {
        Ok(time) if range.start <= time && time <= range.end => Some(time),
        Ok(_) | Err(DurationError::TooLong) => {
            let (least, most) = (duration::shown(range.start), duration::shown(range.end));
            let help = matches!(key, "dpd" | "return_after").then(|| "write \"off\" for never".to_owned());
            report.error(span, format!("`{key}` is {least} to {most}"), help);
            None
        }
        Err(DurationError::NoUnit) => {
            let help = Some(format!("did you mean \"{text}s\"? units are d, h, m, s"));
            report.error(span, format!("`{key}` lacks a unit"), help);
            None
        }
        Err(DurationError::Form) => {
            let help = Some("write for example \"8h\", \"90s\" or \"1h30m\"".into());
            report.error(span, format!("`{text}` is no duration"), help);
            None
        }
    }
}
