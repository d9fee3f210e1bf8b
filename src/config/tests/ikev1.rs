//! What a configuration says of IKEv1.

use super::*;
use crate::ike::profile::{Phase1Mode, Protocol};
use crate::sa::suite::ProtectionOffer;

/// The file that the program's documentation begins with, and the gateway's operator hands out.
const NINE_LINES: &str = r#"# office.toml
[gateway]
address  = "198.51.100.1"            # IP or name; a list is tried in order
subnets  = ["10.250.0.0/24"]         # what is reached through the tunnel
psk_file = "psk"                     # or psk_env, psk_credential (systemd), psk = "..." (warned about)

[ike]
version   = 1                        # 1 or 2
proposals = ["aes256-sha256-modp2048"]
lifetime  = "1h"

[esp]
proposals = ["aes256-sha256-modp2048"]
lifetime  = "8h"
"#;

fn ikev1(more: &str) -> String {
    with(&format!("[ike]\nversion = 1\n{more}"))
}

#[test]
fn nine_lines_are_enough_and_cause_no_warning() {
    assert_eq!(rendered(NINE_LINES), "");
    let config = config(NINE_LINES);
    assert_eq!(config.spoken(), &Spoken::Ikev1(Ikev1Settings { mode: Phase1Mode::Main, xauth: None }));
    let settings = config.tunnel_settings(psk());
    let Protocol::Ikev1(protocol) = &settings.profile.protocol else { panic!("IKEv2") };
    assert!(protocol.mode == Phase1Mode::Main && protocol.xauth.is_none());
    assert_eq!(settings.profile.ike_offers[0].to_string(), "aes256-sha256-modp2048");
    assert_eq!(settings.profile.child.offers[0].to_string(), "aes256-sha256-modp2048");
    assert_eq!(settings.profile.request.ipv4, Some(Ipv4Addr::UNSPECIFIED));
}

#[test]
fn the_defaults_are_what_ikev1_can_carry() {
    for mode in ["main", "aggressive"] {
        let config = config(&ikev1(&format!("mode = \"{mode}\"\n")));
        let offers = config.ike_offers();
        assert_eq!(offers[0].groups, [Group::Modp2048]);
        assert!(offers.iter().all(|offer| matches!(offer.protection, ProtectionOffer::CbcHmac { .. })));
        assert!(offers.iter().flat_map(|offer| &offer.groups).all(|group| *group != Group::Curve25519));
        assert!(config.esp_offers().iter().all(|offer| offer.pfs == [Group::Modp2048]));
        let texts: Vec<String> = config.esp_offers().iter().map(ToString::to_string).collect();
        assert!(texts[0].contains("aes256gcm16") && texts[1].contains("aes256"), "{texts:?}");
    }
    let groups = |mode: &str| {
        let config = config(&ikev1(&format!("mode = \"{mode}\"\n")));
        config.ike_offers().iter().map(|offer| offer.groups.len()).sum::<usize>()
    };
    assert_eq!((groups("main"), groups("aggressive")), (7, 1));
}

#[test]
fn k1_002_aggressive_mode_is_used_only_in_words_and_says_what_it_gives_away() {
    let Spoken::Ikev1(settings) = config(&ikev1("")).spoken().clone() else { panic!("IKEv2") };
    assert_eq!(settings.mode, Phase1Mode::Main);
    assert!(warnings(&ikev1("mode = \"main\"\n")).is_empty());
    let text = ikev1("mode = \"aggressive\"\n");
    let Protocol::Ikev1(settings) = config(&text).tunnel_settings(psk()).profile.protocol else { panic!("IKEv2") };
    assert_eq!(settings.mode, Phase1Mode::Aggressive);
    let told = rendered(&text);
    for words in ["office.toml:7:8: warning", "offline", "whoever asks", "`openssl rand -base64 32`"] {
        assert!(told.contains(words), "{words}:\n{told}");
    }
    assert!(only_error(&ikev1("mode = \"agressive\"\n")).contains("did you mean `aggressive`?"));
}

#[test]
fn what_is_of_one_protocol_is_refused_beside_the_other() {
    for line in [
        "mode = \"main\"",
        "xauth_user = \"me\"",
        "xauth_password_file = \"password\"",
        "xauth_password_env = \"PASSWORD\"",
        "xauth_password_credential = \"password\"",
    ] {
        for version in ["", "version = 2\n"] {
            let error = only_error(&with(&format!("[ike]\n{version}{line}\n")));
            assert!(error.contains("is for IKEv1") && error.contains("version = 1"), "{error}");
        }
    }
    assert!(only_error(&ikev1("mobike = true\n")).contains("IKEv1 has no MOBIKE"));
    assert!(!config(&ikev1("mobike = false\n")).mobike() && !config(&ikev1("")).mobike());
}

#[test]
fn a_name_and_its_password_come_together() {
    assert!(only_error(&ikev1("xauth_user = \"me\"\n")).contains("xauth_password_file"));
    assert!(only_error(&ikev1("xauth_password_env = \"P\"\n")).contains("`xauth_user` is missing"));
    let both = "xauth_user = \"me\"\nxauth_password_env = \"P\"\n";
    assert!(only_error(&ikev1(&format!("{both}xauth_password_file = \"p\"\n"))).contains("more than one password"));
    for line in ["xauth_user = \"\"", "xauth_user = \"a\\u0007\""] {
        only_error(&ikev1(&format!("{line}\nxauth_password_file = \"p\"\n")));
    }
    for line in ["xauth_password_file = \"\"", "xauth_password_env = \"$P\"", "xauth_password_credential = \"../p\""] {
        only_error(&ikev1(&format!("xauth_user = \"me\"\n{line}\n")));
    }
    for (line, key) in [
        ("xauth_password_file = \"p\"", "[ike] xauth_password_file"),
        ("xauth_password_env = \"P\"", "[ike] xauth_password_env"),
        ("xauth_password_credential = \"p\"", "[ike] xauth_password_credential"),
    ] {
        let config = config(&ikev1(&format!("xauth_user = \"me\"\n{line}\n")));
        let account = config.xauth().unwrap();
        assert_eq!((account.user.as_str(), account.password.password_key()), ("me", key));
        let password = Some(Secret::copy_of(b"open sesame"));
        let settings = config.tunnel_settings(Secrets { psk: psk(), xauth_password: password });
        let Protocol::Ikev1(protocol) = &settings.profile.protocol else { panic!("IKEv2") };
        let xauth = protocol.xauth.as_ref().unwrap();
        assert_eq!((xauth.user.as_str(), xauth.password.expose()), ("me", &b"open sesame"[..]));
        assert!(!format!("{settings:?}").contains("sesame"));
    }
    assert!(config(&ikev1("")).xauth().is_none());
}

#[test]
fn what_phase_1_has_not_is_pointed_at() {
    for (proposal, caret, words) in [
        ("aes256gcm16-prfsha256-modp2048", "^^^^^^^^^^^ ", "combined-mode"),
        ("aes256-sha256-prfsha256-modp2048", "^^^^^^^^^ ", "hash"),
        ("aes256-sha256-x25519", "^^^^^^ ", "ecp256"),
        ("chacha20poly1305-prfsha256-modp2048", "^^^^^^^^^^^^^^^^ ", "combined-mode"),
    ] {
        let shown = rendered(&ikev1(&format!("proposals = [\"{proposal}\"]\n")));
        assert!(shown.contains(caret.trim_end()) && shown.contains(words), "{shown}");
    }
    for (proposal, words) in [
        ("aes256-sha256-x25519", "ecp256"),
        ("chacha20poly1305-modp2048", "aes256gcm16"),
        ("aes256-sha256-prfsha1", "[ike]"),
    ] {
        let error = only_error(&ikev1(&format!("[esp]\nproposals = [\"{proposal}\"]\n")));
        assert!(error.contains(words), "{error}");
    }
    config(&ikev1("proposals = [\"aes192-aes128-sha512-ecp521-ecp256\"]\n[esp]\nesn = true\n"));
}

#[test]
fn k1_012_all_proposals_of_a_quick_mode_have_the_same_group() {
    for proposals in [
        "[\"aes256-sha256-modp2048-ecp256\"]",
        "[\"aes256-sha256-modp2048\", \"aes128-sha256-ecp256\"]",
        "[\"aes256-sha256-modp2048\", \"aes256-sha256\"]",
    ] {
        let error = only_error(&ikev1(&format!("[esp]\nproposals = {proposals}\n")));
        assert!(error.contains("one key exchange"), "{error}");
    }
    config(&ikev1("[esp]\nproposals = [\"aes256-sha256\", \"aes128gcm16\"]\n"));
    config(&ikev1("[esp]\nproposals = [\"aes256-sha256-ecp256\", \"aes128gcm16-ecp256\"]\n"));
}

#[test]
fn aggressive_mode_has_one_group() {
    let two = "proposals = [\"aes256-sha256-modp2048\", \"aes256-sha256-ecp256\"]\n";
    config(&ikev1(two));
    assert!(only_error(&ikev1(&format!("mode = \"aggressive\"\n{two}"))).contains("the same group"));
}

#[test]
fn more_combinations_than_can_be_numbered_are_refused() {
    let groups = "modp2048-modp3072-modp4096-ecp256-ecp384-ecp521";
    let one = format!("\"aes256-aes192-aes128-sha256-sha384-sha512-{groups}\"");
    config(&ikev1(&format!("proposals = [{}]\n", [one.as_str(); 4].join(", "))));
    assert!(only_error(&ikev1(&format!("proposals = [{}]\n", [one.as_str(); 5].join(", ")))).contains("270"));
}

#[test]
fn a_child_carries_a_pair_of_subnets_or_everything() {
    let two = ikev1("[esp]\n").replace("[\"10.250.0.0/24\"]", "[\"10.250.0.0/24\", \"10.251.0.0/24\"]");
    for word in ["auto", "per-subnet"] {
        assert_eq!(config(&format!("{two}children = \"{word}\"\n")).children(), Children::Subnets);
    }
    assert!(only_error(&format!("{two}children = \"one\"\n")).contains("one pair"));
    config(&ikev1("[esp]\nchildren = \"one\"\n"));
    let site = "[local]\nsubnets = [\"10.1.0.0/16\", \"10.2.0.0/16\"]\n";
    only_error(&ikev1(&format!("[esp]\nchildren = \"one\"\n{site}")));
    let many: Vec<String> = (0..65).map(|number| format!("\"10.3.{number}.0/24\"")).collect();
    let many = ikev1("").replace("\"10.250.0.0/24\"", &many.join(", "));
    assert!(only_error(&many).contains("65 pairs"));
    config(&format!("{many}[esp]\nchildren = \"any\"\n"));
}

#[test]
fn a_child_for_everything_is_routed_for_the_subnets_only() {
    for version in [1, 2] {
        let text = with(&format!("[ike]\nversion = {version}\n[esp]\nchildren = \"any\"\n"));
        let any = config(&text);
        assert_eq!(any.remote_selectors(), [Selector::any_v4()]);
        assert_eq!(any.routed_selectors(), [Selector::from_prefix([10, 250, 0, 0].into(), 24).unwrap()]);
        let site = config(&format!("{text}[local]\nsubnets = [\"10.1.0.0/16\"]\n"));
        assert_eq!(site.local_selectors(), [Selector::any_v4()]);
    }
}

#[test]
fn sha_256_cut_to_96_bits_is_for_ikev1_and_esp_and_needs_words() {
    let weak = "[security]\nallow_weak = true\n";
    let esp = "[esp]\nproposals = [\"aes256-sha256_96\"]\n";
    config(&ikev1(&format!("{esp}{weak}")));
    assert!(only_error(&ikev1(esp)).contains("allow_weak = true"));
    assert!(only_error(&with(&format!("{esp}{weak}"))).contains("IKEv2 has no number"));
    for version in [1, 2] {
        let text = with(&format!("[ike]\nversion = {version}\nproposals = [\"aes256-sha256_96-modp2048\"]\n{weak}"));
        assert!(only_error(&text).contains("`sha256`"));
    }
}
