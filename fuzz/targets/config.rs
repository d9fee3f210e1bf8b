//! Any text as a configuration file: there is a configuration, or at least one error; what is shown of the text is harmless on a terminal, bounded,
//! and never the pre-shared key that it holds.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use vpnd::{
    config::{self, Config, Psk, PskFormat, report::Report},
    crypto::secret::Secret,
    sa::suite::{IkeOffer, ProtectionOffer},
};

const SECRET: &str = "Zq7Vw2Kp9Rm4Xt6B";
/// Findings that are shown, and what each may need: four lines, each of them longer than a terminal is wide.
const MOST_SHOWN: usize = 64 * 2048;

fuzz_target!(|data: &[u8]| {
    for format in [PskFormat::Text, PskFormat::Hex, PskFormat::Base64] {
        if let Ok(psk) = Psk::decode(data.to_vec(), format) {
            assert!(!psk.secret.is_empty());
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (config, report) = read(text);
    if let Some(config) = &config {
        is_usable(config, text);
    }
    shown(&report, text);
    if !text.contains(SECRET) {
        let with_secret = format!("[gateway]\npsk = \"{SECRET}\"\n{text}");
        let (config, report) = read(&with_secret);
        assert!(!shown(&report, &with_secret).contains(SECRET), "the pre-shared key is shown");
        assert!(!format!("{config:?}").contains(SECRET), "the pre-shared key is printed");
    }
});

fn read(text: &str) -> (Option<Config>, Report) {
    let (config, report) = config::read(text, &|name| (name == "HOSTNAME").then(|| "web-0".to_owned()));
    assert_eq!(config.is_none(), report.has_errors());
    for finding in report.findings() {
        if let Some(span) = &finding.span {
            assert!(span.start <= span.end && span.end <= text.len(), "{finding:?} is about {} octets", text.len());
        }
    }
    (config, report)
}

fn shown(report: &Report, text: &str) -> String {
    let shown = report.render("office.toml", text);
    assert!(shown.chars().all(|letter| letter == '\n' || !letter.is_control()), "{shown:?}");
    assert!(shown.len() <= MOST_SHOWN, "{} octets are shown", shown.len());
    shown
}

fn is_usable(config: &Config, text: &str) {
    let settings = config.tunnel_settings(Arc::new(Secret::copy_of(b"a pre-shared key")));
    let profile = &settings.profile;
    assert!(!settings.gateways.is_empty());
    assert!(!profile.ike_offers.is_empty() && !profile.child.offers.is_empty());
    assert!(!profile.child.local.is_empty() && !profile.child.remote.is_empty());
    assert!(profile.child.replay_window <= 8192);
    assert!((16..=256).contains(&profile.nonce_len));
    let ike = profile.ike_offers.iter();
    let weak =
        ike.clone().any(is_weak) || profile.child.offers.iter().any(|offer| is_weak_protection(&offer.protection));
    assert!(!weak || text.contains("allow_weak"), "weak without leave");
    for offer in ike {
        assert!(!offer.prfs.is_empty() && !offer.groups.is_empty());
    }
}

fn is_weak(offer: &IkeOffer) -> bool {
    is_weak_protection(&offer.protection)
        || offer.prfs.iter().any(|prf| prf.is_weak())
        || offer.groups.iter().any(|group| group.is_weak())
}

fn is_weak_protection(offer: &ProtectionOffer) -> bool {
    match offer {
        ProtectionOffer::Aead(aeads) => {
            assert!(!aeads.is_empty());
            false
        }
        ProtectionOffer::CbcHmac { encryption, integrity } => {
            assert!(!encryption.is_empty() && !integrity.is_empty());
            encryption.iter().any(|one| one.is_weak()) || integrity.iter().any(|one| one.is_weak())
        }
    }
}
