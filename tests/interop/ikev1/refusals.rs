//! Ways not to come up: each ends with its own exit code, and a message that names the phase, the key of the
//! configuration, and both sides' values where they are known.

use std::time::Duration;

use crate::gateway::{GatewayConfig, INSIDE};
use crate::lab::Lab;
use crate::vpnd::{AUTHENTICATION, PROPOSAL, SELECTORS, UNREACHABLE, VpndConfig};

/// vpnd fails with this exit code, says these words, and leaves the host as it was.
#[track_caller]
fn assert_refused(gateway: GatewayConfig, config: &VpndConfig, expected: i32, words: &[&str]) {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = gateway.start(&lab);
    let before = client.network_state();
    let (code, said) = config.refused(&client);
    println!("{said}\n");
    assert_eq!(code, expected, "{said}\n{}", gateway.log());
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in:\n{said}");
    }
    assert_eq!(client.network_state(), before);
}

#[test]
fn a_wrong_psk_in_main_mode() {
    let config = VpndConfig::ikev1().psk("another secret");
    assert_refused(GatewayConfig::ikev1(), &config, AUTHENTICATION, &["main mode", "psk", "client@example.com"]);
}

#[test]
fn a_wrong_psk_in_aggressive_mode() {
    let config = VpndConfig::ikev1().aggressive().psk("another secret");
    assert_refused(GatewayConfig::ikev1().aggressive(), &config, AUTHENTICATION, &["aggressive mode", "psk"]);
}

#[test]
fn an_identity_the_gateway_does_not_know() {
    let gateway = GatewayConfig::ikev1().with("rightid", "someone@example.com");
    assert_refused(gateway, &VpndConfig::ikev1(), AUTHENTICATION, &["client@example.com", "[local] id"]);
}

#[test]
fn a_gateway_that_says_it_is_another() {
    for (gateway, config) in [
        (GatewayConfig::ikev1(), VpndConfig::ikev1()),
        (GatewayConfig::ikev1().aggressive(), VpndConfig::ikev1().aggressive()),
    ] {
        let gateway = gateway.with("leftid", "other.example.com");
        assert_refused(gateway, &config, AUTHENTICATION, &["other.example.com", "192.0.2.1"]);
    }
}

#[test]
fn no_phase_1_proposal_in_common() {
    let gateway = GatewayConfig::ikev1().with("ike", "aes128-sha512-ecp256!");
    let words = ["NO_PROPOSAL_CHOSEN", "phase 1", "[ike] proposals", "aes256-sha256-ecp256"];
    assert_refused(gateway, &VpndConfig::ikev1(), PROPOSAL, &words);
}

#[test]
fn no_phase_1_proposal_in_common_in_aggressive_mode() {
    let gateway = GatewayConfig::ikev1().aggressive().with("ike", "aes128-sha512-ecp256!");
    let words = ["NO_PROPOSAL_CHOSEN", "phase 1", "[ike] proposals", "aes256-sha256-ecp256"];
    assert_refused(gateway, &VpndConfig::ikev1().aggressive(), PROPOSAL, &words);
}

#[test]
fn no_phase_2_proposal_in_common() {
    let gateway = GatewayConfig::ikev1().with("esp", "aes128-sha512-ecp256!");
    let words = ["NO_PROPOSAL_CHOSEN", "phase 2", "[esp] proposals", "aes256-sha256-ecp256"];
    assert_refused(gateway, &VpndConfig::ikev1(), PROPOSAL, &words);
}

#[test]
fn forward_secrecy_that_one_side_does_not_want() {
    let gateway = GatewayConfig::ikev1().with("esp", "aes256-sha256!");
    let words = ["NO_PROPOSAL_CHOSEN", "phase 2", "[esp] proposals", "aes256-sha256-ecp256"];
    assert_refused(gateway, &VpndConfig::ikev1(), PROPOSAL, &words);
}

#[test]
fn a_subnet_the_gateway_does_not_have() {
    let gateway = GatewayConfig::ikev1().with("leftsubnet", "10.99.0.0/24");
    let words = ["INVALID_ID_INFORMATION", "phase 2", "[gateway] subnets", "10.250.0.0/24"];
    assert_refused(gateway, &VpndConfig::ikev1(), SELECTORS, &words);
}

#[test]
fn a_subnet_that_is_wider_than_the_gateways() {
    let gateway = GatewayConfig::ikev1().with("leftsubnet", "10.250.0.0/28");
    assert_refused(gateway, &VpndConfig::ikev1(), SELECTORS, &["phase 2", "[gateway] subnets", "10.250.0.0/24"]);
}

#[test]
fn no_address_to_give() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::ikev1().without("rightsourceip").start(&lab);
    let (code, said) = VpndConfig::ikev1().refused(&client);
    println!("{said}");
    assert_ne!(code, 0, "{said}");
    assert!(said.contains("address"), "{said}");
}

#[test]
fn a_gateway_that_only_speaks_ikev2() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::default().start(&lab);
    let (code, said) = VpndConfig::ikev1().refused(&client);
    println!("{said}");
    assert_ne!(code, 0, "{said}");
}

#[test]
fn a_gateway_that_is_silent() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::ikev1().start(&lab);
    let before = client.network_state();
    lab.silence();
    let (code, said) = VpndConfig::ikev1().refused_within(&client, Duration::from_secs(3));
    assert_eq!(code, UNREACHABLE, "{said}");
    assert!(said.contains("192.0.2.1"), "{said}");
    assert_eq!(client.network_state(), before);
}

#[test]
fn a_gateway_that_starts_late() {
    let lab = Lab::open();
    let client = lab.client(0);
    let mut vpnd = VpndConfig::ikev1().start(&client);
    let _gateway = GatewayConfig::ikev1().start(&lab);
    vpnd.wait_until_up();
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
}
