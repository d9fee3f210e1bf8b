//! Ends: what is left on the gateway and on the host after each of them.

use crate::gateway::{GatewayConfig, INSIDE};
use crate::lab::Lab;
use crate::vpnd::VpndConfig;

#[track_caller]
fn assert_nothing_is_left_after(signal: &str) {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    let before = client.network_state();
    let vpnd = VpndConfig::default().up(&client);
    assert_ne!(client.network_state(), before, "a tunnel shows in the host's state");
    assert_eq!(client.ping(INSIDE, 1), 1);
    vpnd.end_with(signal);
    assert_eq!(gateway.sas(), [], "vpnd waits until the gateway has confirmed");
    assert_eq!(client.network_state(), before);
}

#[test]
fn sigterm_leaves_no_sa_no_route_and_no_device() {
    assert_nothing_is_left_after("TERM");
}

#[test]
fn sigint_leaves_no_sa_no_route_and_no_device() {
    assert_nothing_is_left_after("INT");
}

#[test]
fn sigterm_is_obeyed_although_the_gateway_is_silent() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::default().start(&lab);
    let before = client.network_state();
    let vpnd = VpndConfig::default().up(&client);
    lab.silence();
    vpnd.terminate();
    assert_eq!(client.network_state(), before);
}

#[test]
fn sigterm_is_obeyed_before_the_tunnel_is_up() {
    let lab = Lab::open();
    let client = lab.client(0);
    let before = client.network_state();
    let mut vpnd = VpndConfig::default().start(&client);
    vpnd.wait_for("192.0.2.1");
    vpnd.terminate();
    assert_eq!(client.network_state(), before);
}

#[test]
fn a_new_start_after_kill_leaves_nothing_of_the_old() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::default().start(&lab);
    let before = client.network_state();
    VpndConfig::default().up(&client).kill();
    let vpnd = VpndConfig::default().up(&client);
    assert_eq!(client.ping(INSIDE, 3), 3);
    vpnd.terminate();
    assert_eq!(client.network_state(), before);
}

#[test]
fn a_new_start_after_kill_leaves_no_old_sa_on_the_gateway() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().unique_ids("no").start(&lab);
    let config = VpndConfig::default().with("ike", "initial_contact", "true");
    config.up(&client).kill();
    let first = gateway.sa();
    let vpnd = config.up(&client);
    assert_ne!(gateway.sa().name, first.name, "the gateway was told that there is no older SA");
    assert_eq!(client.ping(INSIDE, 3), 3);
    vpnd.terminate();
    gateway.wait_until_empty();
}

#[test]
fn a_tunnel_the_gateway_deletes_comes_back() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    let before = client.network_state();
    let mut vpnd = VpndConfig::default().up(&client);
    let first = gateway.sa();
    gateway.ipsec(&["down", &first.name]);
    vpnd.wait_until_up();
    assert_ne!(gateway.sa().name, first.name);
    assert_eq!(client.ping(INSIDE, 3), 3);
    vpnd.terminate();
    assert_eq!(client.network_state(), before);
    gateway.wait_until_empty();
}

#[test]
fn a_gateway_that_restarts_is_found_again() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    let mut vpnd = VpndConfig::default().up(&client);
    gateway.restart();
    vpnd.wait_until_up();
    assert_eq!(client.ping(INSIDE, 3), 3);
    vpnd.terminate();
    gateway.wait_until_empty();
}
