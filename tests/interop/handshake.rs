//! Ways to come up: outer families, address families, cookies, groups, narrowing, fragments, loss, NAT.

use std::fmt::Write as _;

use crate::gateway::{ADDRESS, ADDRESS_V6, GatewayConfig, INSIDE, INSIDE_V6};
use crate::lab::{Client, Lab};
use crate::vpnd::{VpndConfig, quoted};

fn dual_stack_gateway() -> GatewayConfig {
    GatewayConfig::default().with("leftsubnet", "0.0.0.0/0,::/0").with("rightsourceip", "10.200.0.0/24,fd00:200::/64")
}

const DUAL_STACK_SUBNETS: &str = r#"["10.250.0.0/24", "fd00:250::/64"]"#;

#[test]
fn ipv4_outside() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    let vpnd = VpndConfig::default().up(&client);
    assert_eq!(client.ping(INSIDE, 3), 3);
    assert_eq!(gateway.sa().selectors, "10.250.0.0/24 === 10.200.0.1/32");
    vpnd.terminate();
}

#[test]
fn ipv6_outside() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().with("leftid", ADDRESS_V6).start(&lab);
    let vpnd = VpndConfig::default().with("gateway", "address", quoted(ADDRESS_V6)).up(&client);
    assert_eq!(client.ping(INSIDE, 3), 3);
    assert!(gateway.ipsec(&["statusall"]).contains("2001:db8:2::10["), "the outer addresses are IPv6");
    vpnd.terminate();
    gateway.wait_until_empty();
}

#[test]
fn dual_stack_addresses_inside_ipv4() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = dual_stack_gateway().start(&lab);
    let vpnd = VpndConfig::default().with("gateway", "subnets", DUAL_STACK_SUBNETS).up(&client);
    assert_eq!(client.ping(INSIDE, 3), 3);
    assert_eq!(client.ping(INSIDE_V6, 3), 3);
    assert_eq!(gateway.sa().selectors, "10.250.0.0/24 fd00:250::/64 === 10.200.0.1/32 fd00:200::1/128");
    vpnd.terminate();
}

#[test]
fn dual_stack_addresses_inside_ipv6() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = dual_stack_gateway().with("leftid", ADDRESS_V6).start(&lab);
    let vpnd = VpndConfig::default()
        .with("gateway", "address", quoted(ADDRESS_V6))
        .with("gateway", "subnets", DUAL_STACK_SUBNETS)
        .up(&client);
    assert_eq!(client.ping(INSIDE, 3), 3);
    assert_eq!(client.ping(INSIDE_V6, 3), 3);
    vpnd.terminate();
}

#[test]
fn a_nat_in_between() {
    let lab = Lab::open();
    let client = lab.client_behind_nat(0);
    let gateway = GatewayConfig::default().start(&lab);
    let vpnd = VpndConfig::default().up(&client);
    assert_eq!(client.ping(INSIDE, 3), 3);
    assert!(gateway.ipsec(&["statusall"]).contains(&format!("...{}[", client.address())), "the NAT's address is seen");
    vpnd.terminate();
    gateway.wait_until_empty();
}

#[test]
fn two_clients_get_two_addresses() {
    let lab = Lab::open();
    let clients = [lab.client(0), lab.client(1)];
    let gateway = GatewayConfig::default().start(&lab);
    let identities = ["one@example.com", "two@example.com"];
    let up = |(client, identity): (&Client<'_>, &str)| {
        VpndConfig::default().with("local", "id", quoted(identity)).up(client)
    };
    let running: Vec<_> = clients.iter().zip(identities).map(up).collect();
    for client in &clients {
        assert_eq!(client.ping(INSIDE, 3), 3);
    }
    let mut selectors: Vec<_> = gateway.sas().into_iter().map(|sa| sa.selectors).collect();
    selectors.sort_unstable();
    assert_eq!(selectors, ["10.250.0.0/24 === 10.200.0.1/32", "10.250.0.0/24 === 10.200.0.2/32"]);
    for vpnd in running {
        vpnd.terminate();
    }
    gateway.wait_until_empty();
}

/// An IKE_SA_INIT request with which nobody goes on: the gateway then has a half-open SA.
fn half_open_request() -> Vec<u8> {
    const PAYLOAD_SA: u8 = 33;
    const PAYLOAD_KE: u8 = 34;
    const PAYLOAD_NONCE: u8 = 40;
    let payload = |next: u8, body: &[u8]| {
        let length = u16::try_from(body.len() + 4).expect("a short payload");
        [&[next, 0][..], &length.to_be_bytes(), body].concat()
    };
    // AES-CBC-256, PRF-HMAC-SHA2-256, HMAC-SHA2-256-128, Curve25519.
    let transforms: [&[u8]; 4] = [
        &[3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 1, 0],
        &[3, 0, 0, 8, 2, 0, 0, 5],
        &[3, 0, 0, 8, 3, 0, 0, 12],
        &[0, 0, 0, 8, 4, 0, 0, 31],
    ];
    let proposal = [&[0, 0, 0, 44, 1, 1, 0, 4][..], &transforms.concat()].concat();
    let key_exchange = [&[0, 31, 0, 0][..], &[9; 32]].concat();
    let payloads =
        [payload(PAYLOAD_KE, &proposal), payload(PAYLOAD_NONCE, &key_exchange), payload(0, &[7; 32])].concat();
    let length = u32::try_from(payloads.len() + 28).expect("a short message");
    let header = [&[5; 8][..], &[0; 8], &[PAYLOAD_SA, 0x20, 34, 0x08, 0, 0, 0, 0], &length.to_be_bytes()].concat();
    [header, payloads].concat()
}

#[test]
fn a_gateway_that_asks_for_a_cookie() {
    let lab = Lab::open();
    let [client, flooder] = [lab.client(0), lab.client(1)];
    let gateway = GatewayConfig::default()
        .with("ike", "aes256-sha256-ecp256-curve25519!")
        .charon("cookie_threshold = 1\nblock_threshold = 0\ninit_limit_half_open = 0")
        .start(&lab);
    let mut octets = String::new();
    for octet in half_open_request() {
        write!(octets, "\\x{octet:02x}").expect("a String takes everything");
    }
    flooder.run("bash", &["-c", &format!("printf '{octets}' >/dev/udp/{ADDRESS}/500")]);
    gateway.wait_for_log("generating IKE_SA_INIT response 0 [ SA");
    let vpnd = VpndConfig::default().up(&client);
    assert_eq!(client.ping(INSIDE, 1), 1);
    let log = gateway.log();
    assert!(log.contains("generating IKE_SA_INIT response 0 [ N(COOKIE) ]"), "{log}");
    assert!(log.contains("parsed IKE_SA_INIT request 0 [ N(COOKIE) SA"), "{log}");
    vpnd.terminate();
}

#[test]
fn a_gateway_that_wants_another_group() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().with("ike", "aes256-sha256-ecp384!").start(&lab);
    let vpnd = VpndConfig::default()
        .with("ike", "proposals", r#"["aes256-sha256-modp2048", "aes256-sha256-ecp384"]"#)
        .up(&client);
    assert_eq!(client.ping(INSIDE, 1), 1);
    assert!(gateway.log().contains("N(INVAL_KE)"), "{}", gateway.log());
    assert_eq!(gateway.sa().ike_proposal, "AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_384");
    vpnd.terminate();
}

#[test]
fn the_gateway_chooses_from_several_proposals() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default()
        .with("ike", "aes128gcm16-prfsha384-curve25519!")
        .with("esp", "chacha20poly1305!")
        .start(&lab);
    let vpnd = VpndConfig::default()
        .with("ike", "proposals", r#"["aes256-sha256-modp2048", "aes128gcm16-prfsha384-curve25519"]"#)
        .with("esp", "proposals", r#"["aes256-sha256", "aes256gcm16", "chacha20poly1305"]"#)
        .up(&client);
    assert_eq!(client.ping(INSIDE, 1), 1);
    let sa = gateway.sa();
    assert_eq!(sa.ike_proposal, "AES_GCM_16_128/PRF_HMAC_SHA2_384/CURVE_25519");
    assert_eq!(sa.child_proposal, "CHACHA20_POLY1305");
    vpnd.terminate();
}

#[test]
fn a_gateway_that_narrows() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().with("leftsubnet", "10.250.0.0/28").start(&lab);
    let vpnd = VpndConfig::default().up(&client);
    assert_eq!(gateway.sa().selectors, "10.250.0.0/28 === 10.200.0.1/32");
    assert_eq!(client.ping(INSIDE, 3), 3);
    let routes = client.run("ip", &["route", "show", "table", "all"]);
    assert!(routes.contains("10.250.0.0/28 dev vpnd0"), "{routes}");
    assert!(!routes.contains("10.250.0.0/24 dev"), "only what was agreed is routed:\n{routes}");
    assert!(routes.contains("unreachable 10.250.0.0/24"), "and the rest does not leave in clear:\n{routes}");
    vpnd.terminate();
}

#[test]
fn several_subnets_in_one_child() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().with("leftsubnet", "10.250.0.0/25,10.251.0.0/24").start(&lab);
    let vpnd = VpndConfig::default().with("gateway", "subnets", r#"["10.250.0.0/24", "10.251.0.0/16"]"#).up(&client);
    assert_eq!(client.ping(INSIDE, 3), 3);
    assert_eq!(client.ping("10.251.0.5", 3), 3);
    assert_eq!(gateway.sa().selectors, "10.250.0.0/25 10.251.0.0/24 === 10.200.0.1/32");
    let routes = client.run("ip", &["route", "show", "table", "all"]);
    assert!(routes.contains("10.250.0.0/25 dev vpnd0") && routes.contains("10.251.0.0/24 dev vpnd0"), "{routes}");
    vpnd.terminate();
}

#[test]
fn a_gateway_that_sends_fragments() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().with("fragmentation", "yes").charon("fragment_size = 200").start(&lab);
    let vpnd = VpndConfig::default().up(&client);
    assert_eq!(client.ping(INSIDE, 1), 1);
    assert!(gateway.log().contains("splitting IKE message"), "{}", gateway.log());
    vpnd.terminate();
    gateway.wait_until_empty();
}

#[test]
fn a_tenth_of_the_datagrams_is_lost_each_way() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::default().start(&lab);
    lab.lose(10);
    for _ in 0..5 {
        let vpnd = VpndConfig::default().up(&client);
        // 81 of 100 survive both ways; fewer than 60 happens once in a million times.
        let answered = client.ping_with(INSIDE, 100, &["-i", "0.01"]);
        assert!((60..100).contains(&answered), "{answered} of 100 answers");
        vpnd.terminate();
    }
    lab.heal();
    let vpnd = VpndConfig::default().up(&client);
    assert_eq!(client.ping(INSIDE, 3), 3);
    vpnd.terminate();
}

#[test]
fn the_gateways_liveness_checks_are_answered() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().with("dpdaction", "clear").with("dpddelay", "1s").start(&lab);
    let mut vpnd = VpndConfig::default().up(&client);
    gateway.wait_for_log("parsed INFORMATIONAL response 1 [ ]");
    assert!(!vpnd.has_ended(), "{}", vpnd.said());
    assert_eq!(client.ping(INSIDE, 3), 3);
    vpnd.terminate();
}

#[test]
fn our_liveness_checks_are_answered() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    let mut vpnd = VpndConfig::default().with("ike", "dpd", r#""1s""#).up(&client);
    gateway.wait_for_log("generating INFORMATIONAL response 3 [");
    assert!(!vpnd.has_ended(), "{}", vpnd.said());
    assert_eq!(client.ping(INSIDE, 3), 3);
    vpnd.terminate();
}

#[test]
fn a_request_to_rekey_gets_an_answer_and_the_tunnel_stays() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    let vpnd = VpndConfig::default().up(&client);
    gateway.ipsec(&["stroke", "rekey", "workspaces{1}"]);
    gateway.wait_for_log("parsed CREATE_CHILD_SA response");
    assert_eq!(client.ping(INSIDE, 3), 3);
    vpnd.terminate();
}
