//! Paths that carry less than their first link: what passes is found, followed, and not believed from strangers.

use std::time::{Duration, Instant};

use crate::gateway::{ADDRESS, GatewayConfig, INSIDE};
use crate::lab::{Client, Lab};
use crate::load::Server;
use crate::vpnd::{VpndConfig, versions};

/// Who says so when a datagram is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Icmp {
    Told,
    Filtered,
}

/// A router between client and gateway.
struct Narrows<'lab> {
    client: Client<'lab>,
    router: String,
}

impl<'lab> Narrows<'lab> {
    fn new(lab: &'lab Lab, icmp: Icmp) -> Self {
        let (client, _) = lab.client_on_a_road(0);
        let narrows = Self { router: format!("{}-road", client.name()), client };
        narrows.route(
            "sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.neigh.near.proxy_delay=0 net.ipv4.neigh.far.proxy_delay=0 \
             net.ipv4.conf.near.proxy_arp=1 net.ipv4.conf.far.proxy_arp=1 net.ipv4.icmp_ratelimit=0 && \
             ip address add 192.0.2.254/32 dev lo",
        );
        if icmp == Icmp::Filtered {
            narrows.route(
                "nft 'add table ip silent; add chain ip silent out { type filter hook output priority 0; }; \
                 add rule ip silent out icmp type destination-unreachable drop'",
            );
        }
        narrows
    }

    /// Datagrams of so many octets pass, both ways.
    fn carry(&self, octets: u16) {
        self.route(&format!(
            "ip route replace {}/32 dev near mtu lock {octets} && ip route replace 192.0.2.1/32 dev far mtu lock {octets}",
            self.client.address()
        ));
    }

    fn route(&self, command: &str) {
        let output = self.client.lab.command(&self.router, "sh").args(["-c", command]).output().expect("sh starts");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The tunnel's MTU on the client's host.
    fn tunnel_mtu(&self) -> u16 {
        let links = self.client.run("ip", &["-o", "link", "show"]);
        let link = links.lines().find(|link| link.contains(": vpnd0:")).unwrap_or_else(|| panic!("no device: {links}"));
        let mtu = link.split(" mtu ").nth(1).and_then(|rest| rest.split(' ').next());
        mtu.and_then(|mtu| mtu.parse().ok()).unwrap_or_else(|| panic!("no MTU: {link}"))
    }

    #[track_caller]
    fn wait_for_mtu(&self, wanted: std::ops::RangeInclusive<u16>, patience: Duration) {
        let deadline = Instant::now() + patience;
        while !wanted.contains(&self.tunnel_mtu()) {
            assert!(Instant::now() < deadline, "{} is not in {wanted:?}", self.tunnel_mtu());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn t_07_a_path_that_carries_less_is_found_though_icmp_is_filtered_and_tcp_passes_both_ways_with_both_versions() {
    for (gateway, config) in versions() {
        let lab = Lab::open();
        let narrows = Narrows::new(&lab, Icmp::Filtered);
        narrows.carry(1300);
        let gateway = gateway.start(&lab);
        let vpnd = config.up(&narrows.client);
        let server = Server::start(&lab, INSIDE);
        print!("{}", server.transfer(&narrows.client, "put", 3));
        print!("{}", server.transfer(&narrows.client, "get", 3));
        // 1300 less 68 around the text, in blocks of 16, less 2.
        narrows.wait_for_mtu(1198..=1214, seconds(30));
        assert_eq!(narrows.client.ping_with(INSIDE, 3, &["-s", "1150", "-M", "do"]), 3);
        assert!(!gateway.sas().is_empty());
        vpnd.terminate();
    }
}

#[test]
fn t_07_a_path_that_carries_less_is_found_by_what_icmp_says_with_both_versions() {
    for (gateway, config) in versions() {
        let lab = Lab::open();
        let narrows = Narrows::new(&lab, Icmp::Told);
        narrows.carry(1300);
        let _gateway = gateway.start(&lab);
        let vpnd = config.up(&narrows.client);
        let server = Server::start(&lab, INSIDE);
        print!("{}", server.transfer(&narrows.client, "put", 3));
        print!("{}", server.transfer(&narrows.client, "get", 3));
        // ICMP says all of it; a question has whole blocks.
        narrows.wait_for_mtu(1198..=1230, seconds(30));
        vpnd.terminate();
    }
}

#[test]
fn t_07_a_path_that_shrinks_under_a_transfer_and_grows_again_is_followed_though_icmp_is_filtered() {
    shrinks_and_grows(GatewayConfig::default(), VpndConfig::default());
}

#[test]
fn t_07_a_path_that_shrinks_and_grows_again_is_followed_with_ikev1_too() {
    shrinks_and_grows(GatewayConfig::ikev1(), VpndConfig::ikev1());
}

fn shrinks_and_grows(gateway: GatewayConfig, config: VpndConfig) {
    let lab = Lab::open();
    let narrows = Narrows::new(&lab, Icmp::Filtered);
    narrows.carry(1500);
    let _gateway = gateway.start(&lab);
    let mut vpnd = config.up(&narrows.client);
    let server = Server::start(&lab, INSIDE);
    assert_eq!(narrows.tunnel_mtu(), 1422);
    std::thread::scope(|scope| {
        let transfer = scope.spawn(|| server.trickle(&narrows.client, seconds(40)));
        std::thread::sleep(seconds(4));
        assert_eq!(narrows.tunnel_mtu(), 1422);
        narrows.carry(1350);
        narrows.wait_for_mtu(1198..=1262, seconds(20));
        narrows.carry(1500);
        narrows.wait_for_mtu(1422..=1422, seconds(60));
        transfer.join().expect("the transfer goes on");
    });
    let said = vpnd.said();
    assert_eq!(said.matches("tunnel is up").count(), 1, "{said}");
    vpnd.terminate();
}

#[test]
fn t_08_v_60_forged_icmp_neither_narrows_the_tunnel_nor_ends_it() {
    let lab = Lab::open();
    let client = lab.client(0);
    let stranger = lab.client(9);
    let _gateway = GatewayConfig::default().start(&lab);
    let mut vpnd = VpndConfig::default().with("local", "port", "45454").up(&client);
    let server = Server::start(&lab, INSIDE);
    // The first question about the path is answered by then.
    assert!(client.reaches(INSIDE));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/forge.py");
    let address = client.address();
    let forged = std::thread::scope(|scope| {
        let flood = scope.spawn(|| stranger.run("python3", &[script, &address, "45454", ADDRESS, "4500", "12"]));
        std::thread::sleep(seconds(1));
        print!("{}", server.transfer(&client, "put", 20));
        print!("{}", server.transfer(&client, "get", 20));
        assert_eq!(client.ping_with(INSIDE, 20, &["-s", "1394", "-M", "do"]), 20, "packets of the whole MTU");
        flood.join().expect("the flood")
    });
    print!("{forged}");
    let links = client.run("ip", &["-o", "link", "show"]);
    assert!(links.contains("vpnd0: <POINTOPOINT,MULTICAST,NOARP,UP,LOWER_UP> mtu 1422"), "{links}");
    let said = vpnd.said();
    assert_eq!(said.matches("tunnel is up").count(), 1, "{said}");
    vpnd.terminate();
}

#[test]
fn t_07_a_configured_mtu_stays_and_what_is_longer_than_the_path_travels_in_pieces() {
    let lab = Lab::open();
    let narrows = Narrows::new(&lab, Icmp::Told);
    narrows.carry(1300);
    let _gateway = GatewayConfig::default().start(&lab);
    let mut vpnd = VpndConfig::default().with("tun", "mtu", "1400").up(&narrows.client);
    vpnd.wait_for("`[tun] mtu` is 1400, but the path to 192.0.2.1 carries packets of 1214 octets");
    assert_eq!(narrows.tunnel_mtu(), 1400);
    // The gateway, which learns by ICMP, answers shorter than it is asked from the second time on.
    let long = ["-s", "1372", "-M", "do"];
    assert!((0..20).any(|_| narrows.client.ping_with(INSIDE, 1, &long) == 1), "there in pieces, and back");
    vpnd.terminate();
}
