//! Nothing in clear: somebody sends to the subnets all the time, and the outer link is watched from before the tunnel to its end.

use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::process::{Child, Stdio};

use crate::capture::{self, Capture, Frame};
use crate::gateway::{ADDRESS, ADDRESS_V6, GatewayConfig, INSIDE, INSIDE_V6};
use crate::lab::{Client, Lab};
use crate::vpnd::{Vpnd, VpndConfig};

const SENDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/clear.py");
pub(crate) const MARKER: &[u8] = b"seen in clear";
const BOTH: &str = r#"["10.250.0.0/24", "fd00:250::/64"]"#;

/// Somebody who does not know of the tunnel.
pub(crate) struct Sender(Child);

impl Sender {
    pub(crate) fn start(client: &Client<'_>, device: &str, addresses: &[&str]) -> Self {
        let mut command = client.command("python3");
        command.args([SENDER, &String::from_utf8_lossy(MARKER), device]).args(addresses).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 starts");
        let mut begun = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut begun).expect("a line");
        assert_eq!(begun, "sending\n");
        Self(child)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A client that reaches the subnets in clear when nothing holds it back.
pub(crate) fn with_default_routes<'lab>(lab: &'lab Lab) -> Client<'lab> {
    let client = lab.client(0);
    client.run("ip", &["route", "add", "default", "via", ADDRESS]);
    client.run("ip", &["-6", "route", "add", "default", "via", ADDRESS_V6]);
    client
}

/// Time passes: the gateway's host, outside of the tunnel, answers every tenth of a second.
fn a_while(client: &Client<'_>) {
    assert_eq!(client.ping(ADDRESS, 5), 5);
}

/// The frames in which the sender shows, in whatever way.
pub(crate) fn in_clear(frames: &[Vec<u8>]) -> Vec<Frame> {
    let insides = [INSIDE, INSIDE_V6].map(|inside| match inside.parse().expect("an address") {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    });
    let shows = |frame: &&Vec<u8>| {
        let sealed = matches!(capture::read(frame), Frame::Udp { ports: (_, 500 | 4500) | (500 | 4500, _), .. });
        capture::contains(frame, MARKER) || !sealed && insides.iter().any(|inside| capture::contains(frame, inside))
    };
    frames.iter().filter(shows).map(|frame| capture::read(frame)).collect()
}

/// From before the gateway is there to the moment in which vpnd has ended. `carried` are the addresses that the gateway agrees to,
/// `device` is one that somebody binds a socket to.
fn tell(config: &VpndConfig, gateway: GatewayConfig, carried: &[&str], device: &str) {
    let lab = Lab::open();
    let client = with_default_routes(&lab);
    let before = client.network_state();
    let mut vpnd = config.start(&client);
    let closed = vpnd.wait_for("subnets closed");
    assert!(closed.contains("10.250.0.0/24") && closed.contains("fd00:250::/64"), "{closed}");
    let _sender = Sender::start(&client, device, &[INSIDE, INSIDE_V6]);
    let outside = Capture::start(&client, "outer");
    let carries = || carried.iter().for_each(|inside| assert!(client.reaches(inside), "{inside}"));
    a_while(&client);

    let gateway = gateway.start(&lab);
    vpnd.wait_until_up();
    carries();

    // The network hands out more specific routes to the subnets (TunnelVision), and an address in one of them (TunnelCrack).
    for route in ["10.250.0.4/30", "10.250.0.0/24"] {
        client.run("ip", &["route", "add", route, "via", ADDRESS]);
    }
    client.run("ip", &["-6", "route", "add", "fd00:250::/65", "via", ADDRESS_V6]);
    client.run("ip", &["address", "add", "10.250.0.77/24", "dev", "outer"]);
    vpnd.wait_for("somebody made a route to 10.250.0.4/30");
    carries();
    if device == "outer" {
        // Without nftables there is a moment in which nothing holds packets back.
        client.run("ip", &["rule", "delete", "pref", "118"]);
        vpnd.wait_for("it is set again");
        client.run("ip", &["route", "flush", "table", "118"]);
        vpnd.wait_for("it is set again");
        carries();
    }

    gateway.restart();
    vpnd.wait_until_up();
    carries();
    // Twice within minutes: vpnd believes that another client has its identity, and keeps away for a while.
    gateway.ipsec(&["down", &gateway.sa().name]);
    vpnd.wait_for("displaced");
    a_while(&client);

    vpnd.kill();
    a_while(&client);
    let mut vpnd = config.up(&client);
    carries();

    lab.silence();
    vpnd.signal("TERM");
    a_while(&client);
    assert!(!vpnd.has_ended(), "the gateway is silent, and DELETE is repeated");
    let seen = in_clear(&outside.frames());
    assert_eq!(seen, [], "in clear");
    lab.heal();

    assert_eq!(vpnd.wait_for_exit().code(), Some(0));
    let outside = Capture::start(&client, "outer");
    a_while(&client);
    assert!(!in_clear(&outside.frames()).is_empty(), "what is looked for can be seen");
    client.run("ip", &["address", "delete", "10.250.0.77/24", "dev", "outer"]);
    client.run("ip", &["route", "delete", "10.250.0.4/30"]);
    client.run("ip", &["route", "flush", "10.250.0.0/24"]);
    client.run("ip", &["-6", "route", "delete", "fd00:250::/65"]);
    assert_eq!(client.network_state(), before);
}

#[test]
fn l_01_l_02_l_03_nothing_leaves_in_clear_from_the_start_to_the_end_and_ipv6_not_at_all() {
    tell(&VpndConfig::default().with("gateway", "subnets", BOTH), GatewayConfig::default(), &[INSIDE], "outer");
}

#[test]
fn l_01_l_02_nothing_leaves_in_clear_where_both_families_are_carried() {
    let gateway = GatewayConfig::default()
        .with("leftsubnet", "0.0.0.0/0,::/0")
        .with("rightsourceip", "10.200.0.0/24,fd00:200::/64");
    tell(&VpndConfig::default().with("gateway", "subnets", BOTH), gateway, &[INSIDE, INSIDE_V6], "outer");
}

#[test]
fn l_01_l_02_l_03_routes_alone_hold_back_whoever_follows_routes() {
    let config = VpndConfig::default().with("gateway", "subnets", BOTH).with("killswitch", "nftables", "false");
    tell(&config, GatewayConfig::default(), &[INSIDE], "-");
}

#[test]
fn l_05_v_54_a_gateway_inside_of_its_own_subnets_is_spoken_to_by_nobody_but_vpnd() {
    let lab = Lab::open();
    let client = with_default_routes(&lab);
    // The strictest reverse path filter, as many hosts have it.
    client.run("sysctl", &["-q", "-w", "net.ipv4.conf.all.rp_filter=1"]);
    let _gateway = GatewayConfig::default().start(&lab);
    let config = VpndConfig::default().with("gateway", "subnets", r#"["192.0.0.0/8", "10.250.0.0/24"]"#);
    let mut vpnd = config.start(&client);
    vpnd.wait_for("subnets closed");
    let outside = Capture::start(&client, "outer");
    assert_eq!(client.ping(ADDRESS, 1), 0, "an address is no exemption");
    vpnd.wait_until_up();
    assert!(client.reaches(INSIDE));
    assert_eq!(client.ping_with(ADDRESS, 1, &["-W", "0.3"]), 0);
    for frame in outside.frames() {
        let frame = capture::read(&frame);
        let ours = matches!(frame, Frame::Link | Frame::Udp { ports: (_, 500 | 4500) | (500 | 4500, _), .. });
        assert!(ours, "{frame:?}");
    }
    vpnd.terminate();
    assert_eq!(client.ping(ADDRESS, 1), 1);
}

#[test]
fn l_02_what_a_killed_vpnd_left_closed_is_opened_by_repair() {
    let lab = Lab::open();
    let client = with_default_routes(&lab);
    let _gateway = GatewayConfig::default().start(&lab);
    let before = client.network_state();
    let config = VpndConfig::default();
    let vpnd = config.up(&client);
    let said = config.repair(&client).1;
    assert!(said.contains("vpnd is running for vpnd0"), "{said}");
    assert!(client.reaches(INSIDE));
    vpnd.kill();
    assert_eq!(client.ping(INSIDE, 1), 0);
    let (code, said) = config.repair(&client);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(client.network_state(), before);
    assert!(config.repair(&client).1.contains("nothing was left"));
}

#[test]
fn a_start_that_fails_for_want_of_descriptors_leaves_nothing_closed() {
    let lab = Lab::open();
    let client = with_default_routes(&lab);
    let before = client.network_state();
    let config = VpndConfig::default();
    let mut failed = 0;
    for most in 3..64 {
        let mut vpnd = Vpnd::start_with_descriptors(&client, &config, most);
        let status = vpnd.wait_for_exit();
        let said = vpnd.said();
        assert_eq!(client.network_state(), before, "{most} descriptors, {status}: {said}");
        if said.contains("IKE_SA_INIT") {
            break;
        }
        failed += 1;
    }
    assert!((5..60).contains(&failed), "{failed} starts failed");
}

#[test]
fn a_kill_switch_that_is_off_closes_nothing() {
    let lab = Lab::open();
    let client = with_default_routes(&lab);
    let config = VpndConfig::default().with("killswitch", "enabled", "false");
    let mut vpnd = config.start(&client);
    vpnd.wait_for("192.0.2.1");
    assert_eq!(client.ping(INSIDE, 1), 1, "by the host's other routes");
    vpnd.terminate();
}
