//! Ways not to come up: each ends with its own exit code, and a message for a person.

use std::time::{Duration, Instant};

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
    assert_eq!(code, expected, "{said}\n{}", gateway.log());
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in:\n{said}");
    }
    assert_eq!(client.network_state(), before);
    gateway.wait_until_empty();
}

#[test]
fn a_wrong_psk() {
    let config = VpndConfig::default().psk("another secret");
    assert_refused(GatewayConfig::default(), &config, AUTHENTICATION, &["AUTHENTICATION_FAILED", "psk"]);
}

#[test]
fn an_identity_the_gateway_does_not_know() {
    let gateway = GatewayConfig::default().with("rightid", "someone@example.com");
    assert_refused(gateway, &VpndConfig::default(), AUTHENTICATION, &["AUTHENTICATION_FAILED", "client@example.com"]);
}

#[test]
fn a_gateway_that_says_it_is_another() {
    let gateway = GatewayConfig::default().with("leftid", "other.example.com");
    assert_refused(gateway, &VpndConfig::default(), AUTHENTICATION, &["other.example.com", "192.0.2.1"]);
}

#[test]
fn no_ike_proposal_in_common() {
    let gateway = GatewayConfig::default().with("ike", "aes128-sha512-ecp256!");
    assert_refused(gateway, &VpndConfig::default(), PROPOSAL, &["NO_PROPOSAL_CHOSEN", "aes256-sha256-ecp256"]);
}

#[test]
fn no_esp_proposal_in_common() {
    let gateway = GatewayConfig::default().with("esp", "aes128-sha512!");
    assert_refused(gateway, &VpndConfig::default(), PROPOSAL, &["NO_PROPOSAL_CHOSEN", "aes256-sha256"]);
}

#[test]
fn a_group_the_gateway_wants_and_we_do_not_offer() {
    let gateway = GatewayConfig::default().with("ike", "aes256-sha256-ecp384!");
    assert_refused(gateway, &VpndConfig::default(), PROPOSAL, &["ecp256"]);
}

#[test]
fn selectors_without_anything_in_common() {
    let gateway = GatewayConfig::default().with("leftsubnet", "10.99.0.0/24");
    assert_refused(gateway, &VpndConfig::default(), SELECTORS, &["TS_UNACCEPTABLE", "10.250.0.0/24"]);
}

#[test]
fn no_address_to_give() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::default().with("rightsourceip", "").start(&lab);
    let (code, said) = VpndConfig::default().refused(&client);
    assert_ne!(code, 0, "{said}");
    assert!(said.contains("address"), "{said}");
}

#[test]
fn a_gateway_that_is_silent() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::default().start(&lab);
    let before = client.network_state();
    lab.silence();
    let started = Instant::now();
    let (code, said) = VpndConfig::default().refused_within(&client, Duration::from_secs(3));
    assert_eq!(code, UNREACHABLE, "{said}");
    assert!(said.contains("192.0.2.1"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(8), "--wait 3 took {:?}", started.elapsed());
    assert_eq!(client.network_state(), before);
}

#[test]
fn a_gateway_where_nobody_listens() {
    let lab = Lab::open();
    let client = lab.client(0);
    let (code, said) = VpndConfig::default().refused_within(&client, Duration::from_secs(3));
    assert_eq!(code, UNREACHABLE, "{said}");
    assert!(said.contains("192.0.2.1"), "{said}");
}

#[test]
fn a_gateway_that_starts_late() {
    let lab = Lab::open();
    let client = lab.client(0);
    let mut vpnd = VpndConfig::default().start(&client);
    let _gateway = GatewayConfig::default().start(&lab);
    vpnd.wait_until_up();
    assert_eq!(client.ping(INSIDE, 3), 3);
    vpnd.terminate();
}
