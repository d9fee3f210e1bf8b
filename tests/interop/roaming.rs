//! Addresses that change under a tunnel: ours, with MOBIKE and without, and those that a NAT gives us. Outages are printed.

use std::time::Duration;

use crate::gateway::{ADDRESS, Gateway, GatewayConfig, INSIDE};
use crate::lab::{Client, Lab};
use crate::load::{Pings, Server};
use crate::vpnd::VpndConfig;

const VIRTUAL: &str = "10.200.0.1";

/// Both SPIs of the gateway's only IKE SA. Its children are another matter: strongSwan's ESP in userspace cannot move them, so that the
/// gateway rekeys them right after each move.
fn spis(gateway: &Gateway<'_>) -> String {
    let status = gateway.ipsec(&["statusall"]);
    let mut named =
        status.lines().filter_map(|line| line.split_once(" SPIs: ").filter(|(kind, _)| kind.contains("IKEv")));
    let (Some((_, spis)), None) = (named.next(), named.next()) else { panic!("not one IKE SA: {status}") };
    spis.split(',').next().expect("SPIs").to_owned()
}

/// Changes something while echo requests and a TCP transfer are under way; how long none was answered.
fn outage_of(client: &Client<'_>, change: impl FnOnce()) -> Duration {
    let server = Server::start(client.lab, INSIDE);
    assert!(client.reaches(INSIDE));
    let pings = Pings::start(client, INSIDE);
    std::thread::scope(|scope| {
        scope.spawn(|| server.trickle(client, Duration::from_secs(8)));
        std::thread::sleep(Duration::from_secs(2));
        change();
    });
    pings.outage()
}

#[test]
fn x_07_another_address_keeps_the_sas_and_tcp() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    let mut vpnd = VpndConfig::default().up(&client);
    let before = spis(&gateway);
    let outage = outage_of(&client, || {
        client.run("ip", &["address", "delete", &format!("{}/24", client.address()), "dev", "outer"]);
        client.run("ip", &["address", "add", "192.0.2.99/24", "dev", "outer"]);
    });
    println!("another address, MOBIKE: outage {} ms", outage.as_millis());
    vpnd.wait_for("moved");
    assert_eq!(spis(&gateway), before, "the same IKE SA");
    assert!(gateway.ipsec(&["statusall"]).contains("...192.0.2.99["));
    let said = vpnd.said();
    assert_eq!(said.matches("tunnel is up").count(), 1, "{said}");
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
    gateway.wait_until_empty();
}

#[test]
fn x_07_another_interface_and_network_keep_the_sas_and_tcp() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    lab.link(&client, "second");
    let mut vpnd = VpndConfig::default().up(&client);
    let before = spis(&gateway);
    let outage = outage_of(&client, || {
        client.run("ip", &["link", "set", "outer", "down"]);
        client.run("ip", &["route", "add", "default", "via", "198.51.100.1"]);
    });
    println!("another interface and network, MOBIKE: outage {} ms", outage.as_millis());
    vpnd.wait_for("moved");
    assert_eq!(spis(&gateway), before, "the same IKE SA");
    assert!(gateway.ipsec(&["statusall"]).contains("...198.51.100.10["));
    assert_eq!(vpnd.said().matches("tunnel is up").count(), 1);
    // And back, by a better route alone.
    client.run("ip", &["link", "set", "outer", "up"]);
    vpnd.wait_for("moved");
    assert_eq!(spis(&gateway), before);
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
}

#[test]
fn x_07_no_network_for_a_while_and_another_address_then_keep_the_sas() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    let mut vpnd = VpndConfig::default().up(&client);
    let before = spis(&gateway);
    client.run("ip", &["address", "flush", "dev", "outer"]);
    vpnd.wait_for("no way");
    client.ping_with(INSIDE, 30, &["-W", "0.1"]);
    client.run("ip", &["address", "add", "192.0.2.99/24", "dev", "outer"]);
    vpnd.wait_for("moved");
    assert!(client.reaches(INSIDE));
    assert_eq!(spis(&gateway), before);
    vpnd.terminate();
}

/// The gateway does not know MOBIKE, or we do not: the tunnel is made anew, and gets the same inner address.
fn without_mobike(config: &VpndConfig, gateway: GatewayConfig) {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = gateway.start(&lab);
    let mut vpnd = config.up(&client);
    let before = spis(&gateway);
    assert!(client.reaches(INSIDE));
    let pings = Pings::start(&client, INSIDE);
    std::thread::sleep(Duration::from_secs(2));
    client.run("ip", &["address", "delete", "192.0.2.10/24", "dev", "outer"]);
    client.run("ip", &["address", "add", "192.0.2.99/24", "dev", "outer"]);
    vpnd.wait_until_up();
    assert!(client.reaches(INSIDE));
    let outage = pings.outage();
    println!("another address, without MOBIKE: outage {} ms", outage.as_millis());
    gateway.wait_until(|| gateway.sas().len() == 1);
    assert_ne!(spis(&gateway), before);
    vpnd.terminate();
}

#[test]
fn without_mobike_of_the_gateway_the_tunnel_is_made_anew() {
    without_mobike(&VpndConfig::default(), GatewayConfig::default().with("mobike", "no"));
}

#[test]
fn without_mobike_of_ours_the_tunnel_is_made_anew() {
    without_mobike(&VpndConfig::default().with("ike", "mobike", "false"), GatewayConfig::default());
}

#[test]
fn ikev1_makes_the_tunnel_anew_from_another_address() {
    without_mobike(&VpndConfig::ikev1(), GatewayConfig::ikev1());
}

/// The NAT forgets us, and has another port for us, or another address: under traffic both ways, and when only the gateway's side sends.
fn rebinds(what: &str, config: &VpndConfig, gateway: GatewayConfig) {
    let lab = Lab::open();
    let client = lab.client_behind_nat(0);
    let gateway = gateway.start(&lab);
    let mut vpnd = config.clone().with("ike", "dpd", r#""5s""#).up(&client);
    let before = spis(&gateway);
    for address in [client.address().as_str(), "192.0.2.99"] {
        let outage = outage_of(&client, || client.rebind_nat(address));
        println!("NAT rebound to {address}, {what}: outage {} ms under traffic", outage.as_millis());
        assert_eq!(spis(&gateway), before, "the same IKE SA");
    }
    // Nothing of ours leaves but keepalives and answers.
    let pings = Pings::start_from(&lab, "gateway", INSIDE, VIRTUAL);
    std::thread::sleep(Duration::from_secs(1));
    client.rebind_nat(ADDRESS_OF_NAT);
    std::thread::sleep(Duration::from_secs(20));
    println!("NAT rebound, {what}: outage {} ms, only the gateway's side sends, dpd 5 s", pings.outage().as_millis());
    assert_eq!(spis(&gateway), before, "the same IKE SA");
    assert!(client.reaches(INSIDE));
    assert_eq!(vpnd.said().matches("tunnel is up").count(), 1, "{}", vpnd.said());
    vpnd.terminate();
}

const ADDRESS_OF_NAT: &str = "192.0.2.98";

#[test]
fn n_04_x_07_a_nat_that_forgets_us_keeps_the_sas_with_mobike() {
    rebinds("IKEv2 with MOBIKE", &VpndConfig::default(), GatewayConfig::default());
}

#[test]
fn n_04_a_nat_that_forgets_us_keeps_the_sas_without_mobike() {
    rebinds("IKEv2 without MOBIKE", &VpndConfig::default(), GatewayConfig::default().with("mobike", "no"));
}

#[test]
fn n_04_a_nat_that_forgets_us_keeps_the_sas_of_ikev1() {
    rebinds("IKEv1", &VpndConfig::ikev1(), GatewayConfig::ikev1());
}

#[test]
fn x_07_a_gateway_of_two_addresses_is_followed_to_the_second() {
    let lab = Lab::open();
    let client = lab.client(0);
    lab.link(&client, "second");
    let gateway = GatewayConfig::default().start(&lab);
    let mut vpnd = VpndConfig::default().with("ike", "dpd", r#""10s""#).up(&client);
    let before = spis(&gateway);
    let outage = outage_of(&client, || {
        let rule = format!("type filter hook input priority 0\n ip daddr {ADDRESS} drop\n");
        let drop = format!("table inet lost {{\n chain arriving {{\n {rule} }}\n }}\n");
        let mut command = lab.command("gateway", "nft");
        assert!(command.arg(drop).status().expect("nft runs").success());
    });
    println!("the gateway's first address is dead, MOBIKE: outage {} ms", outage.as_millis());
    vpnd.wait_for("moved");
    assert_eq!(spis(&gateway), before, "the same IKE SA");
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
}
