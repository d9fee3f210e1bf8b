//! Names of phases, as people and programs read them.

use super::*;
use crate::crypto::cipher::{AesKey, Cbc, Integrity, Protection};
use crate::crypto::dh::Group;
use crate::crypto::prf::Prf;
use crate::ike::identity::Identity;
use crate::sa::suite::{EspSuite, IkeSuite};

const PROTECTION: Protection =
    Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 };

/// A tunnel coming up: the phases of its first messages, proof, addresses and children.
fn coming_up([first, proof, addresses, children]: [Phase; 4]) -> Vec<Progress> {
    let suite = IkeSuite { protection: PROTECTION, prf: Prf::HmacSha256, group: Group::Modp2048 };
    vec![
        Progress::Connecting { phase: first, remote: ([192, 0, 2, 1], 500).into() },
        Progress::SuiteAgreed { phase: first, suite, local_nat: true, remote_nat: false },
        Progress::Authenticated { phase: proof, identity: Identity::Fqdn("vpn.example.org".into()) },
        Progress::UserAccepted { user: "branch".into() },
        Progress::Addresses { phase: addresses, addresses: vec![([10, 200, 0, 1].into(), 32)], dns: Vec::new() },
        Progress::ChildUp {
            phase: children,
            suite: EspSuite { protection: PROTECTION, esn: false },
            remote: vec![Selector::from_prefix([10, 250, 0, 0].into(), 24).unwrap()],
        },
    ]
}

fn names(story: &[Progress]) -> (Vec<&'static str>, Vec<String>) {
    let event = |progress: &Progress| as_json(Duration::ZERO, progress, None)["event"].as_str().unwrap().to_owned();
    (story.iter().map(|progress| words(progress).0).collect(), story.iter().map(event).collect())
}

#[test]
fn ikev2_is_told_by_its_exchanges() {
    let (lines, events) = names(&coming_up([Phase::SaInit, Phase::Auth, Phase::Auth, Phase::Auth]));
    assert_eq!(lines, ["IKE_SA_INIT", "IKE_SA_INIT", "IKE_AUTH", "XAUTH", "address", "child SA"]);
    assert_eq!(events, ["connecting", "ike_sa_init", "ike_auth", "xauth", "addresses", "child_sa"]);
}

#[test]
fn ikev1_is_told_by_its_modes() {
    let main = [Phase::MainModeProposal, Phase::MainModeAuth, Phase::ModeConfig, Phase::QuickMode];
    let (lines, events) = names(&coming_up(main));
    assert_eq!(lines, ["main mode", "main mode", "main mode", "XAUTH", "Mode Config", "quick mode"]);
    assert_eq!(events, ["connecting", "main_mode", "main_mode", "xauth", "mode_config", "quick_mode"]);
    let aggressive = [Phase::AggressiveMode, Phase::AggressiveMode, Phase::ModeConfig, Phase::QuickMode];
    let (lines, events) = names(&coming_up(aggressive));
    assert_eq!(lines[..3], ["aggressive mode"; 3]);
    assert_eq!(events[..3], ["connecting", "aggressive_mode", "aggressive_mode"]);
    let object = as_json(Duration::ZERO, &coming_up(main)[0], None);
    assert_eq!(object["exchange"].as_str(), Some("main mode"));
}

#[test]
fn whoever_is_displaced_is_told_why_and_by_which_identity() {
    let identity = Identity::Fqdn("web.example.org".into());
    let displaced = Progress::Displaced { remote: [192, 0, 2, 1].into(), identity };
    let (name, detail) = words(&displaced);
    assert!(name == "displaced" && detail.contains("web.example.org"));
    let text = "[gateway]\naddress = \"192.0.2.1\"\nsubnets = \"10.1.0.0/24\"\npsk_file = \"psk\"\n";
    let config = crate::config::read(text, &|_| None).0.unwrap();
    let diagnosis = diagnose(&displaced, &config).unwrap();
    let object = as_json(Duration::ZERO, &displaced, Some(&diagnosis));
    assert_eq!((object["event"].as_str(), object["key"].as_str()), (Some("displaced"), Some("[local] id")));
}
