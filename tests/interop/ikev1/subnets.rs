//! Several subnets: one quick mode each (RFC 2409 §5.5 knows one pair of identities).

use std::fmt::Write as _;

use crate::gateway::{GatewayConfig, INSIDE};
use crate::lab::Lab;
use crate::vpnd::VpndConfig;

/// Subnets, and an address of the gateway in each, without which it cannot serve them.
const SUBNETS: [(&str, &str); 8] = [
    ("10.250.0.0/24", INSIDE),
    ("10.251.0.0/24", "10.251.0.5"),
    ("10.252.0.0/24", "10.252.0.5"),
    ("10.253.0.0/24", "10.253.0.5"),
    ("10.254.0.0/16", "10.254.7.5"),
    ("172.20.0.0/14", "172.22.0.5"),
    ("192.168.200.0/25", "192.168.200.5"),
    ("198.18.0.1/32", "198.18.0.1"),
];

/// A gateway with the first `count` of them behind it.
fn lab_with(count: usize) -> (Lab, Vec<&'static str>) {
    let lab = Lab::open();
    // The first two are there in every lab.
    for (_, address) in SUBNETS.iter().take(count).skip(2) {
        let added = lab.command("gateway", "ip").args(["address", "add", address, "dev", "lo"]).status();
        assert!(added.is_ok_and(|status| status.success()), "{address}");
    }
    (lab, SUBNETS.iter().take(count).map(|(subnet, _)| *subnet).collect())
}

fn list(subnets: &[&str]) -> String {
    format!("{subnets:?}")
}

#[test]
fn two_three_and_eight_subnets_have_a_child_each() {
    for count in [2, 3, 8] {
        let (lab, subnets) = lab_with(count);
        let client = lab.client(0);
        let before = client.network_state();
        let gateway = GatewayConfig::ikev1().with("leftsubnet", subnets.join(",")).start(&lab);
        let vpnd = VpndConfig::ikev1().with("gateway", "subnets", list(&subnets)).up(&client);
        for (_, address) in &SUBNETS[..count] {
            assert!(client.reaches(address), "{address}");
        }
        // The third message of the last quick mode has no answer.
        gateway.wait_until(|| gateway.sa().all_selectors().len() == count);
        let sa = gateway.sa();
        let mut seen = sa.all_selectors();
        seen.sort_unstable();
        let expected: Vec<String> = subnets.iter().map(|subnet| format!("{subnet} === 10.200.0.1/32")).collect();
        assert_eq!(seen, expected, "one child each");
        let routes = client.run("ip", &["route", "show", "table", "all"]);
        for subnet in &subnets {
            assert!(routes.contains(&format!("{} dev vpnd0", subnet.trim_end_matches("/32"))), "{subnet} in\n{routes}");
        }
        vpnd.terminate();
        gateway.wait_until_empty();
        assert_eq!(client.network_state(), before);
    }
}

#[test]
fn a_gateway_with_a_connection_for_each_subnet() {
    let (lab, subnets) = lab_with(3);
    let client = lab.client(0);
    let gateway = GatewayConfig::ikev1()
        .with("leftsubnet", "10.250.0.0/24")
        .conn("second", "leftsubnet", "10.251.0.0/24")
        .conn("third", "leftsubnet", "10.252.0.0/24")
        .start(&lab);
    let vpnd = VpndConfig::ikev1().with("gateway", "subnets", list(&subnets)).up(&client);
    assert!(client.reaches(INSIDE));
    assert!(client.reaches("10.251.0.5"));
    gateway.wait_until(|| gateway.sa().all_selectors().len() == 3);
    vpnd.terminate();
    gateway.wait_until_empty();
}

#[test]
fn a_subnet_that_is_refused_is_named_and_the_others_work() {
    let (lab, subnets) = lab_with(2);
    let client = lab.client(0);
    let gateway = GatewayConfig::ikev1().with("leftsubnet", "10.250.0.0/24").start(&lab);
    let mut vpnd = VpndConfig::ikev1().with("gateway", "subnets", list(&subnets)).up(&client);
    assert!(client.reaches(INSIDE));
    let said = vpnd.said();
    assert!(said.contains("10.251.0.0/24"), "{said}");
    let routes = client.run("ip", &["route", "show", "table", "all"]);
    assert!(!routes.contains("10.251.0.0/24 dev"), "only what was agreed is routed:\n{routes}");
    vpnd.terminate();
    gateway.wait_until_empty();
}

#[test]
fn several_subnets_on_both_sides_have_a_child_for_each_pair() {
    let (lab, subnets) = lab_with(2);
    let client = lab.client(0);
    client.run("ip", &["address", "add", "10.201.0.5/32", "dev", "lo"]);
    client.run("ip", &["address", "add", "10.202.0.5/32", "dev", "lo"]);
    let gateway = GatewayConfig::ikev1()
        .without("rightsourceip")
        .with("leftsubnet", "10.250.0.0/24,10.251.0.0/24")
        .with("rightsubnet", "10.201.0.0/24,10.202.0.0/24")
        .start(&lab);
    let vpnd = VpndConfig::ikev1()
        .with("gateway", "subnets", list(&subnets))
        .with("local", "subnets", r#"["10.201.0.0/24", "10.202.0.0/24"]"#)
        .up(&client);
    let mut expected = String::new();
    for theirs in &subnets {
        for ours in ["10.201.0.0/24", "10.202.0.0/24"] {
            writeln!(expected, "{theirs} === {ours}").expect("a String takes everything");
        }
    }
    gateway.wait_until(|| gateway.sa().all_selectors().len() == 4);
    let sa = gateway.sa();
    let mut seen = sa.all_selectors();
    seen.sort_unstable();
    assert_eq!(seen, expected.lines().collect::<Vec<_>>());
    for ours in ["10.201.0.5", "10.202.0.5"] {
        for theirs in [INSIDE, "10.251.0.5"] {
            assert_eq!(client.ping_with(theirs, 2, &["-I", ours]), 2, "{ours} to {theirs}");
        }
    }
    vpnd.terminate();
    gateway.wait_until_empty();
}
