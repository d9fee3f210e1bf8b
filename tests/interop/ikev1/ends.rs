//! Ends: what is left on the gateway and on the host after each of them.

use crate::gateway::{GatewayConfig, INSIDE};
use crate::lab::Lab;
use crate::vpnd::VpndConfig;

#[test]
fn k1_017_sigterm_leaves_no_sa_no_route_and_no_device() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::ikev1().start(&lab);
    let before = client.network_state();
    let vpnd = VpndConfig::ikev1().up(&client);
    assert_ne!(client.network_state(), before, "a tunnel shows in the host's state");
    assert!(client.reaches(INSIDE));
    vpnd.end_with("TERM");
    // IKEv1 confirms no delete.
    gateway.wait_until_empty();
    let log = gateway.log();
    assert!(log.contains("received DELETE for IKE_SA workspaces[1]"), "{log}");
    assert_eq!(client.network_state(), before);
}

#[test]
fn sigterm_is_obeyed_although_the_gateway_is_silent() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::ikev1().start(&lab);
    let before = client.network_state();
    let vpnd = VpndConfig::ikev1().up(&client);
    lab.silence();
    vpnd.terminate();
    assert_eq!(client.network_state(), before);
}

#[test]
fn sigterm_is_obeyed_before_the_tunnel_is_up() {
    let lab = Lab::open();
    let client = lab.client(0);
    let before = client.network_state();
    let mut vpnd = VpndConfig::ikev1().start(&client);
    vpnd.wait_for("192.0.2.1");
    vpnd.terminate();
    assert_eq!(client.network_state(), before);
}

#[test]
fn k1_015_a_new_start_after_kill_leaves_no_old_sa_on_the_gateway() {
    let lab = Lab::open();
    let client = lab.client(0);
    let before = client.network_state();
    let gateway = GatewayConfig::ikev1().unique_ids("no").start(&lab);
    let config = VpndConfig::ikev1().with("ike", "initial_contact", "true");
    config.up(&client).kill();
    let first = gateway.sa();
    let vpnd = config.up(&client);
    assert!(client.reaches(INSIDE));
    assert_ne!(gateway.sa().name, first.name, "the gateway was told that there is no older SA");
    vpnd.terminate();
    gateway.wait_until_empty();
    assert_eq!(client.network_state(), before);
}

#[test]
fn k1_015_without_initial_contact_the_old_sa_stays() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::ikev1().unique_ids("no").start(&lab);
    VpndConfig::ikev1().up(&client).kill();
    let vpnd = VpndConfig::ikev1().up(&client);
    assert!(client.reaches(INSIDE));
    assert_eq!(gateway.sas().len(), 2);
    assert!(!gateway.log().contains("N(INITIAL_CONTACT)"), "{}", gateway.log());
    vpnd.terminate();
}

#[test]
fn k1_017_a_tunnel_the_gateway_deletes_comes_back() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::ikev1().start(&lab);
    let before = client.network_state();
    let mut vpnd = VpndConfig::ikev1().up(&client);
    let first = gateway.sa();
    gateway.ipsec(&["down", &first.name]);
    vpnd.wait_until_up();
    assert_ne!(gateway.sa().name, first.name);
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
    assert_eq!(client.network_state(), before);
    gateway.wait_until_empty();
}

#[test]
fn k1_017_a_child_the_gateway_deletes_comes_back() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::ikev1().start(&lab);
    let vpnd = VpndConfig::ikev1().up(&client);
    gateway.ipsec(&["down", "workspaces{1}"]);
    gateway.wait_until(|| gateway.sas().iter().any(|sa| !sa.all_selectors().is_empty()));
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
    gateway.wait_until_empty();
}
