//! Addresses and routes: made, changed, taken back, and repaired after a death.

use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;

use vpnd::config::Nftables;
use vpnd::io::tun::Tun;
use vpnd::os::host::{Host, HostError};
use vpnd::os::plan::{DefaultRoute, HostPlan, HostSettings, KillSwitch, Outside, Routes, TunnelFacts};
use vpnd::sa::selector::Selector;

use crate::namespace::{close, enter_new, ip, with_uplink};

pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vpnd-host-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn subnets(texts: &[&str]) -> Vec<Selector> {
    texts
        .iter()
        .map(|text| {
            let (address, length) = text.split_once('/').unwrap();
            Selector::from_prefix(address.parse().unwrap(), length.parse().unwrap()).unwrap()
        })
        .collect()
}

pub(crate) fn settings(configured: &[&str], kill_switch: KillSwitch) -> HostSettings {
    HostSettings {
        device: "t0".to_owned(),
        configured: subnets(configured),
        routes: Routes::Negotiated,
        default_route: DefaultRoute::Allowed,
        kill_switch,
    }
}

pub(crate) fn of(settings: &HostSettings, addresses: &[&str], remote: &[&str], gateway: &str) -> HostPlan {
    let addresses: Vec<_> = addresses.iter().map(|text| (address(text), 24)).collect();
    let outside = Outside { gateway: address(gateway), port: PORT };
    HostPlan::of(
        settings,
        &TunnelFacts { mtu: 1400, addresses: &addresses, remote: &subnets(remote), outside: &[outside] },
    )
}

const PORT: u16 = 40_000;

/// Without the kill switch.
fn plan(addresses: &[&str], remote: &[&str], gateway: &str) -> HostPlan {
    of(&settings(remote, KillSwitch::Off), addresses, remote, gateway)
}

async fn open(scratch: &Scratch) -> (Host, usize) {
    Host::open(&scratch.0, "t0", &HostPlan::default()).await.unwrap()
}

/// Addresses and routes of both families, as far as people and programs make them.
pub(crate) fn everything() -> String {
    let questions = [
        "-oneline addr",
        "route show table main",
        "-6 route show table main",
        "route show table all proto 118",
        "-6 route show table all proto 118",
        "rule show",
        "-6 rule show",
    ];
    questions.map(ip).concat()
}

/// Whether the host's own packets to the address are refused.
pub(crate) fn is_unreachable(address: &str) -> bool {
    let unspecified = if address.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = std::net::UdpSocket::bind(unspecified).unwrap();
    let refused = socket.connect((address.parse::<IpAddr>().unwrap(), 9));
    refused.is_err_and(|error| error.raw_os_error() == Some(libc::EHOSTUNREACH))
}

#[test]
fn a_plan_makes_link_address_and_routes_and_undo_leaves_nothing_of_it() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("plain");
    let before = everything();
    let tun = Tun::open("t0").unwrap();
    run(async {
        let (mut host, repaired) = open(&scratch).await;
        assert_eq!(repaired, 0);
        let plan = plan(&["10.200.0.7", "2001:db8:7::7"], &["10.250.0.0/24", "2001:db8:8::/48"], "198.51.100.1");
        host.apply(&plan).await.unwrap();
        let link = ip("link show t0");
        assert!(link.contains("mtu 1400") && link.contains("UP") && link.contains("qlen 2000"), "{link}");
        // Senders on this host are told at once what the device has no room for.
        assert!(link.contains("qdisc noqueue"), "{link}");
        let route = ip("route get 10.250.0.5");
        assert!(route.contains("dev t0 table 118 src 10.200.0.7"), "{route}");
        let route = ip("-6 route get 2001:db8:8::5");
        assert!(route.contains("dev t0") && route.contains("src 2001:db8:7::7"), "{route}");
        // The rest of the address's network is not reached through the tunnel.
        let route = ip("route get 10.200.0.8");
        assert!(route.contains("dev eth0"), "{route}");
        assert!(!ip("-6 addr show dev t0").contains("fe80"), "the kernel made a link-local address");
        host.apply(&plan).await.unwrap();
        host.undo().await.unwrap();
        assert!(host.steps().next().is_none());
        assert!(!everything().contains("10.2"), "{}", everything());
    });
    close(tun);
    assert_eq!(everything(), before);
    assert!(!scratch.0.join("t0.json").exists());
}

#[test]
fn t_15_vpnds_own_packets_reach_a_gateway_in_a_subnet_of_the_tunnel_and_nobody_elses_do() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("exempt");
    let _tun = Tun::open("t0").unwrap();
    run(async {
        let (mut host, _) = open(&scratch).await;
        for (gateway, via) in
            [("198.51.100.1", "via 192.0.2.1"), ("2001:db8:9::1", "via 2001:db8:2::1"), ("192.0.2.20", "dev eth0")]
        {
            let everywhere = if gateway.contains(':') { "::/0" } else { "0.0.0.0/0" };
            host.apply(&plan(&["10.200.0.7", "2001:db8:7::7"], &[everywhere], gateway)).await.unwrap();
            let marked = ip(&format!("route get {gateway} mark 118"));
            assert!(marked.contains(via) && marked.contains("dev eth0"), "{marked}");
            let others = ip(&format!("route get {gateway}"));
            assert!(others.contains("dev t0"), "{others}");
        }
        host.undo().await.unwrap();
    });
}

#[test]
fn after_a_kill_the_next_start_takes_back_what_outlived_the_device() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("killed");
    let before = everything();
    run(async {
        let tun = Tun::open("t0").unwrap();
        let (mut host, _) = open(&scratch).await;
        host.apply(&plan(&["10.200.0.7"], &["198.51.100.0/24"], "198.51.100.1")).await.unwrap();
        // What the kernel does for a process that was killed: descriptors are closed, nothing else is done.
        close((host, tun));
        assert!(everything().contains("proto 118"), "{}", everything());

        let (host, repaired) = open(&scratch).await;
        assert_eq!(repaired, 4, "two rules, an address, a route");
        assert_eq!(everything(), before);
        close(host);
        assert_eq!(open(&scratch).await.1, 0);
    });
}

#[test]
fn a_repair_leaves_other_devices_of_the_same_name_and_other_peoples_rules_alone() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("others");
    run(async {
        let tun = Tun::open("t0").unwrap();
        let (mut host, _) = open(&scratch).await;
        host.apply(&plan(&["10.200.0.7"], &["198.51.100.0/24"], "198.51.100.1")).await.unwrap();
        close((host, tun));
        let _other = Tun::open("t0").unwrap();
        ip("link set t0 up");
        ip("addr add 10.200.0.7/32 dev t0");
        ip("route add 198.51.100.0/24 dev t0");
        // The same as the rule that is left, but for who made it.
        ip("rule delete pref 118");
        ip("rule add not fwmark 118 lookup 118 pref 118 protocol static");
        open(&scratch).await;
        assert!(ip("addr show dev t0").contains("10.200.0.7"));
        assert!(ip("route show 198.51.100.0/24").contains("dev t0"));
        assert!(ip("rule show").contains("118:"));
    });
}

#[test]
fn a_new_plan_changes_only_what_differs() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("change");
    let _tun = Tun::open("t0").unwrap();
    run(async {
        let (mut host, _) = open(&scratch).await;
        host.apply(&plan(&["10.200.0.7"], &["10.250.0.0/24", "10.251.0.0/24"], "198.51.100.1")).await.unwrap();
        host.apply(&plan(&["10.200.0.8"], &["10.250.0.0/24"], "198.51.100.1")).await.unwrap();
        let addresses = ip("addr show dev t0");
        assert!(addresses.contains("10.200.0.8") && !addresses.contains("10.200.0.7"), "{addresses}");
        assert!(ip("route get 10.250.0.5").contains("dev t0 table 118 src 10.200.0.8"));
        assert!(ip("route get 10.251.0.5").contains("dev eth0"));
        host.undo().await.unwrap();
    });
}

#[test]
fn l_04_l_06_v_55_routes_of_somebody_else_count_for_nothing_and_stay() {
    enter_new();
    with_uplink();
    // A network that claims the subnet for itself, as its own or by DHCP.
    ip("addr add 10.250.0.99/24 dev eth0");
    ip("route add 10.251.0.5/32 via 192.0.2.1");
    let before = everything();
    let scratch = Scratch::new("taken");
    let tun = Tun::open("t0").unwrap();
    run(async {
        let (mut host, _) = open(&scratch).await;
        host.apply(&plan(&["10.200.0.7"], &["10.250.0.0/24", "10.251.0.0/24"], "198.51.100.1")).await.unwrap();
        ip("route add 10.250.0.5/32 via 192.0.2.1");
        for destination in ["10.250.0.1", "10.250.0.5", "10.251.0.5"] {
            let route = ip(&format!("route get {destination}"));
            assert!(route.contains("dev t0"), "{route}");
        }
        ip("route delete 10.250.0.5/32");
        host.undo().await.unwrap();
    });
    close(tun);
    assert_eq!(everything(), before);
}

#[test]
fn two_tunnels_share_the_table_and_neither_takes_what_is_the_others() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("two");
    let before = everything();
    let (first_tun, second_tun) = (Tun::open("t0").unwrap(), Tun::open("t1").unwrap());
    run(async {
        let wide = settings(&["10.0.0.0/8"], KillSwitch::On(Nftables::Auto));
        let narrow =
            HostSettings { device: "t1".to_owned(), ..settings(&["10.1.0.0/16"], KillSwitch::On(Nftables::Auto)) };
        let (mut first, _) = Host::open(&scratch.0, "t0", &HostPlan::closed(&wide)).await.unwrap();
        let (mut second, _) = Host::open(&scratch.0, "t1", &HostPlan::closed(&narrow)).await.unwrap();
        first.apply(&of(&wide, &["10.200.0.7"], &["10.0.0.0/8"], "198.51.100.1")).await.unwrap();
        assert!(is_unreachable("10.1.0.5"), "the wider tunnel does not carry what the narrower has closed");
        second.apply(&of(&narrow, &["10.200.0.8"], &["10.1.0.0/16"], "198.51.100.1")).await.unwrap();
        assert!(ip("route get 10.1.0.5").contains("dev t1"));
        assert!(ip("route get 10.2.0.5").contains("dev t0"));
        let taken = of(&wide, &["10.200.0.7"], &["10.1.0.0/16"], "198.51.100.1");
        let error = first.apply(&taken).await.unwrap_err();
        assert!(matches!(error, HostError::RouteTaken { .. }), "{error}");
        assert!(error.to_string().contains("10.1.0.0/16"));
        first.undo().await.unwrap();
        assert!(ip("route get 10.1.0.5").contains("dev t1"), "the rule stays as long as somebody needs it");
        second.undo().await.unwrap();
    });
    close((first_tun, second_tun));
    assert_eq!(everything(), before);
}

#[test]
fn a_second_start_for_the_same_device_is_refused_and_a_missing_device_is_named() {
    enter_new();
    let scratch = Scratch::new("second");
    run(async {
        let (mut host, _) = open(&scratch).await;
        assert!(matches!(
            Host::open(&scratch.0, "t0", &HostPlan::default()).await,
            Err(HostError::AlreadyRunning { .. })
        ));
        let error = host.apply(&plan(&["10.200.0.7"], &[], "198.51.100.1")).await.unwrap_err();
        assert!(matches!(&error, HostError::NoDevice { device } if device == "t0"), "{error}");
    });
}
