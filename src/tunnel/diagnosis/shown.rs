//! How phases, selectors, identities and what came from outside are written.

use std::net::IpAddr;

use crate::ike::action::Phase;
use crate::ike::identity::Identity;
use crate::sa::selector::Selector;

pub(super) const fn exchange(phase: Phase) -> &'static str {
    match phase {
        Phase::SaInit => "IKE_SA_INIT",
        Phase::Auth => "IKE_AUTH",
        Phase::Informational => "INFORMATIONAL",
        Phase::CreateChild => "CREATE_CHILD_SA",
        Phase::MainModeProposal => "main mode (proposals)",
        Phase::MainModeKeys => "main mode (keys)",
        Phase::MainModeAuth => "main mode (identities)",
        Phase::AggressiveMode => "aggressive mode",
        Phase::Xauth => "XAUTH",
        Phase::ModeConfig => "Mode Config",
        Phase::QuickMode => "quick mode",
    }
}

/// Selectors as subnets where they are, otherwise as ranges.
pub fn selectors(list: &[Selector]) -> String {
    const SHOWN: usize = 8;
    let mut texts: Vec<String> = list.iter().take(SHOWN).map(selector).collect();
    if let Some(more) = list.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        texts.push(format!("{more} more"));
    }
    if texts.is_empty() { "nothing".into() } else { texts.join(", ") }
}

fn selector(selector: &Selector) -> String {
    let mut text = match selector.to_prefixes().as_slice() {
        [(address, prefix_len)] => format!("{address}/{prefix_len}"),
        _ => format!("{}-{}", selector.start(), selector.end()),
    };
    if selector.protocol() != 0 {
        text.push_str(&format!(" protocol {}", selector.protocol()));
    }
    if selector.is_opaque_port() {
        text.push_str(" opaque ports");
    } else if !selector.is_any_port() {
        text.push_str(&format!(" ports {}-{}", selector.first_port(), selector.last_port()));
    }
    text
}

pub(super) fn list(texts: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut shown: Vec<String> = texts.iter().take(SHOWN).map(|text| escaped(text)).collect();
    if texts.len() > SHOWN {
        shown.push("...".into());
    }
    shown.join(", ")
}

/// What came from outside, safe to show: control characters escaped, cut at 200 characters.
pub(super) fn escaped(text: &str) -> String {
    let mut shown: String = text.chars().take(200).flat_map(|letter| letter.escape_debug()).collect();
    if text.chars().nth(200).is_some() {
        shown.push_str("...");
    }
    shown
}

/// How an identity stands in the configuration; `None` when it cannot.
pub(super) fn configured(identity: &Identity) -> Option<String> {
    let text = match identity {
        Identity::Ipv4(address) => address.to_string(),
        Identity::Ipv6(address) => address.to_string(),
        Identity::Fqdn(name) if name.parse::<IpAddr>().is_ok() => format!("fqdn:{name}"),
        Identity::Fqdn(name) => name.clone(),
        Identity::Email(name) => format!("email:{name}"),
        Identity::KeyId(octets) => format!("keyid:{}", std::str::from_utf8(octets).ok()?),
        Identity::Other(..) => return None,
    };
    let plain = text.len() <= 128 && text.chars().all(|letter| letter.is_ascii_graphic() && !"\"\\`$".contains(letter));
    plain.then(|| format!("\"{text}\""))
}
