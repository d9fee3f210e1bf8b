//! A name and a password after phase 1.

use crate::gateway::{GatewayConfig, INSIDE};
use crate::lab::Lab;
use crate::vpnd::{AUTHENTICATION, VpndConfig};

const USER: &str = "alice";
const PASSWORD: &str = "the looking-glass";

#[test]
fn k1_023_a_name_and_a_password_open_the_tunnel() {
    for (gateway, config) in [
        (GatewayConfig::ikev1(), VpndConfig::ikev1()),
        (GatewayConfig::ikev1().aggressive(), VpndConfig::ikev1().aggressive()),
        (GatewayConfig::ikev1().with("modeconfig", "push"), VpndConfig::ikev1()),
    ] {
        let lab = Lab::open();
        let client = lab.client(0);
        let gateway = gateway.xauth(USER, PASSWORD).start(&lab);
        let mut vpnd = config.xauth(USER, PASSWORD).up(&client);
        assert!(client.reaches(INSIDE));
        let status = gateway.ipsec(&["statusall"]);
        assert!(status.contains("Remote XAuth identity: alice"), "{status}");
        let said = vpnd.said();
        assert!(!said.contains(PASSWORD), "{said}");
        vpnd.terminate();
        gateway.wait_until_empty();
    }
}

#[track_caller]
fn assert_refused(gateway: GatewayConfig, config: &VpndConfig, words: &[&str]) {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = gateway.start(&lab);
    let before = client.network_state();
    let (code, said) = config.refused(&client);
    assert_eq!(code, AUTHENTICATION, "{said}\n{}", gateway.log());
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in:\n{said}");
    }
    assert!(!said.contains(PASSWORD), "{said}");
    assert_eq!(client.network_state(), before);
}

#[test]
fn k1_023_a_wrong_password() {
    let gateway = GatewayConfig::ikev1().xauth(USER, "another");
    assert_refused(gateway, &VpndConfig::ikev1().xauth(USER, PASSWORD), &["XAUTH", "xauth_password_file", USER]);
}

#[test]
fn k1_023_a_wrong_name() {
    let gateway = GatewayConfig::ikev1().xauth("hatter", PASSWORD);
    assert_refused(gateway, &VpndConfig::ikev1().xauth(USER, PASSWORD), &["XAUTH", "xauth_user", USER]);
}

#[test]
fn k1_023_a_gateway_that_wants_a_name_and_we_have_none() {
    let gateway = GatewayConfig::ikev1().xauth(USER, PASSWORD);
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = gateway.start(&lab);
    let (code, said) = VpndConfig::ikev1().refused(&client);
    assert_ne!(code, 0, "{said}\n{}", gateway.log());
    assert!(gateway.sas().is_empty());
}

#[test]
fn k1_023_a_gateway_that_wants_no_name_and_we_have_one() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::ikev1().start(&lab);
    let (code, said) = VpndConfig::ikev1().xauth(USER, PASSWORD).refused(&client);
    assert_ne!(code, 0, "{said}\n{}", gateway.log());
    assert!(!said.contains(PASSWORD), "{said}");
}
