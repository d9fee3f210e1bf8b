//! Signs of life (RFC 3706), and a gateway that goes and comes back.

use std::time::Duration;

use crate::gateway::{GatewayConfig, INSIDE};
use crate::lab::Lab;
use crate::vpnd::VpndConfig;

fn watchful() -> VpndConfig {
    VpndConfig::ikev1().with("ike", "dpd", r#""1s""#)
}

#[test]
fn k1_016_the_gateways_questions_are_answered() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::ikev1().with("dpdaction", "clear").with("dpddelay", "1s").start(&lab);
    let mut vpnd = VpndConfig::ikev1().up(&client);
    gateway.wait_for_log("[ HASH N(DPD_ACK) ]");
    let log = gateway.log();
    assert!(log.contains("generating INFORMATIONAL_V1 request") && log.contains("[ HASH N(DPD) ]"), "{log}");
    assert!(!vpnd.has_ended(), "{}", vpnd.said());
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
}

#[test]
fn k1_016_our_questions_are_answered_every_time() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::ikev1().start(&lab);
    let mut vpnd = watchful().up(&client);
    // It takes only numbers that go up by one.
    let answers = || gateway.log().matches("generating INFORMATIONAL_V1 request").count();
    gateway.wait_until(|| answers() >= 5);
    let said = vpnd.said();
    assert!(!vpnd.has_ended() && said.matches("tunnel is up").count() == 1, "{said}");
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
}

#[test]
fn k1_016_a_gateway_that_is_killed_and_comes_back_is_found_again() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::ikev1().start(&lab);
    let before = client.network_state();
    let mut vpnd = watchful().up(&client);
    gateway.kill();
    gateway.revive();
    // It does not answer questions about SAs that it does not know: a second session is made before the first is given up.
    vpnd.wait_for_within("carries the traffic now", Duration::from_secs(30));
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
    assert_eq!(client.network_state(), before);
    gateway.wait_until_empty();
}

#[test]
fn a_gateway_that_restarts_in_order_is_found_again() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::ikev1().start(&lab);
    let mut vpnd = VpndConfig::ikev1().up(&client);
    gateway.restart();
    vpnd.wait_until_up();
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
    gateway.wait_until_empty();
}
