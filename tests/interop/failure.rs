//! Gateways that die or move, and a network that changes under a tunnel.

use std::time::{Duration, Instant};

use crate::capture::Capture;
use crate::gateway::{ADDRESS, Gateway, GatewayConfig, INSIDE};
use crate::killswitch::{Sender, in_clear, with_default_routes};
use crate::lab::Lab;
use crate::names::Names;
use crate::vpnd::{VpndConfig, quoted};

#[track_caller]
fn assert_one_of_two_is_enough(gateway: GatewayConfig, config: &VpndConfig) {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = gateway.start(&lab);
    // Nobody has the first address.
    let config = config.clone().with("gateway", "address", r#"["192.0.2.250", "192.0.2.1"]"#);
    let config = config.with("gateway", "id", quoted("192.0.2.1"));
    let started = Instant::now();
    let mut vpnd = config.up(&client);
    let taken = started.elapsed();
    assert!(taken >= Duration::from_secs(8) && taken < Duration::from_secs(20), "{taken:?}\n{}", vpnd.said());
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
    gateway.wait_until_empty();
}

#[test]
fn one_of_two_gateways_is_enough_ikev2() {
    assert_one_of_two_is_enough(GatewayConfig::default(), &VpndConfig::default());
}

#[test]
fn one_of_two_gateways_is_enough_ikev1() {
    assert_one_of_two_is_enough(GatewayConfig::ikev1(), &VpndConfig::ikev1());
}

/// Its name leads to one gateway, and then, when that one is dead, to another.
#[track_caller]
fn assert_a_name_is_followed(gateway: GatewayConfig, config: &VpndConfig) {
    let lab = Lab::open();
    let client = with_default_routes(&lab);
    let second = lab.client(1);
    let names = Names::start(&second, &client, ADDRESS);
    let named = |gateway: GatewayConfig| gateway.with("leftid", "gw.example.com");
    let first = named(gateway.clone()).start(&lab);
    named(gateway).start_at(&second);
    let config = config.clone().with("gateway", "address", quoted("gw.example.com")).with("ike", "dpd", quoted("5s"));
    let mut vpnd = config.up(&client);
    assert!(client.reaches(INSIDE));
    assert_eq!(first.sas().len(), 1, "the name leads to the first");

    let outside = Capture::start(&client, "outer");
    let sender = Sender::start(&client, "outer", &[INSIDE]);
    names.lead_to(&second.address());
    lab.silence();
    first.kill();
    vpnd.wait_for(&format!("the session with {} carries the traffic", second.address()));
    assert!(client.gets_an_answer(INSIDE), "{}", vpnd.said());
    drop(sender);
    assert_eq!(in_clear(&outside.frames()), []);
    vpnd.terminate();
}

#[test]
fn a_name_that_leads_to_another_gateway_is_followed_ikev2() {
    assert_a_name_is_followed(GatewayConfig::default(), &VpndConfig::default());
}

#[test]
fn a_name_that_leads_to_another_gateway_is_followed_ikev1() {
    assert_a_name_is_followed(GatewayConfig::ikev1(), &VpndConfig::ikev1());
}

#[track_caller]
fn assert_another_address_is_followed(gateway: GatewayConfig, config: &VpndConfig) {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = gateway.start(&lab);
    let mut vpnd = config.up(&client);
    let device = client.run("sh", &["-c", "ip -o route get 192.0.2.1 | sed 's/.* dev \\([^ ]*\\).*/\\1/'"]);
    let device = device.trim();
    // The address goes and comes back: nothing happens.
    let address = format!("{}/24", client.address());
    client.run("ip", &["address", "delete", &address, "dev", device]);
    std::thread::sleep(Duration::from_secs(2));
    client.run("ip", &["address", "add", &address, "dev", device]);
    assert!(client.reaches(INSIDE));
    assert_eq!(vpnd.said().matches("tunnel is up").count(), 1, "{}", vpnd.said());
    // Another one in its place: the tunnel is made anew from it, and the gateway forgets the old one.
    client.run("ip", &["address", "delete", &address, "dev", device]);
    client.run("ip", &["address", "add", "192.0.2.77/24", "dev", device]);
    vpnd.wait_for_within("192.0.2.77", Duration::from_secs(10));
    vpnd.wait_until_up();
    assert!(client.reaches(INSIDE));
    gateway.wait_until(|| gateway.sas().len() == 1);
    vpnd.terminate();
    gateway.wait_until_empty();
}

#[test]
fn a_client_with_another_address_connects_anew_ikev2() {
    // With MOBIKE the same tunnel moves: `roaming.rs`.
    let config = VpndConfig::default().with("ike", "mobike", "false");
    assert_another_address_is_followed(GatewayConfig::default(), &config);
}

#[test]
fn a_client_with_another_address_connects_anew_ikev1() {
    assert_another_address_is_followed(GatewayConfig::ikev1(), &VpndConfig::ikev1());
}

/// The packet filter of the gateway's host loses the child's packets of one direction, those of one SPI, and nothing else: signs of life are answered. So it
/// looks when a gateway has lost a child without a word.
#[track_caller]
fn assert_a_child_that_carries_nothing_is_replaced(hook: &str, gateway: GatewayConfig, config: &VpndConfig) {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = gateway.start(&lab);
    let mut vpnd = config.up(&client);
    assert!(client.reaches(INSIDE));
    let [to_gateway, to_client] = esp_spis(&gateway);
    let (port, spi) = if hook == "input" { ("dport", &to_gateway) } else { ("sport", &to_client) };
    // The first four octets behind the UDP header.
    let rule = format!("udp {port} 4500 @th,64,32 0x{spi} drop");
    let chain = format!("chain {hook} {{\n type filter hook {hook} priority 0\n {rule}\n }}");
    let done = lab.command("gateway", "nft").arg(format!("table inet lost {{\n {chain}\n }}\n")).status();
    assert!(done.expect("nft runs").success());
    let since = Instant::now();
    assert!(client.gets_an_answer(INSIDE), "{}\n{}", vpnd.said(), gateway.log());
    let taken = since.elapsed();
    println!("a child that carries nothing ({hook}): outage {} ms", taken.as_millis());
    assert!(taken > Duration::from_secs(9) && taken < Duration::from_secs(25), "{taken:?}: {}", vpnd.said());
    assert!(client.reaches(INSIDE));
    let said = vpnd.said();
    assert_eq!(said.matches("tunnel is up").count(), 1, "{said}");
    assert_eq!(said.matches(&format!("packets go out with SPI {to_gateway}")).count(), 1, "{said}");
    vpnd.terminate();
    gateway.wait_until_empty();
}

/// Of the one child: what the gateway receives on, and what we do.
fn esp_spis(gateway: &Gateway<'_>) -> [String; 2] {
    let status = gateway.ipsec(&["statusall"]);
    let line = status.lines().find(|line| line.contains("ESP in UDP SPIs: ")).unwrap_or_else(|| panic!("{status}"));
    ["_i", "_o"].map(|side| {
        let spi = line.split_whitespace().find_map(|word| word.strip_suffix(side));
        spi.unwrap_or_else(|| panic!("{line}")).to_owned()
    })
}

#[test]
fn k2_126_a_child_that_carries_nothing_is_replaced_although_the_gateway_answers_ikev2() {
    for hook in ["input", "output"] {
        assert_a_child_that_carries_nothing_is_replaced(hook, GatewayConfig::default(), &VpndConfig::default());
    }
}

#[test]
fn a_child_that_carries_nothing_is_replaced_although_the_gateway_answers_ikev1() {
    for hook in ["input", "output"] {
        assert_a_child_that_carries_nothing_is_replaced(hook, GatewayConfig::ikev1(), &VpndConfig::ikev1());
    }
}
