//! Addresses and routes: made, changed, taken back, and repaired after a death.

use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;

use vpnd::io::tun::Tun;
use vpnd::os::host::{Host, HostError};
use vpnd::os::plan::{DefaultRoute, HostPlan, Routes, TunnelFacts};
use vpnd::sa::selector::Selector;

use crate::namespace::{close, enter_new, ip, with_uplink};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
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

fn run<T>(work: impl Future<Output = T>) -> T {
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

fn plan(addresses: &[&str], remote: &[&str], gateway: &str) -> HostPlan {
    let addresses: Vec<_> = addresses.iter().map(|text| (address(text), 24)).collect();
    let remote = subnets(remote);
    HostPlan::of(&TunnelFacts {
        device: "t0",
        mtu: 1400,
        addresses: &addresses,
        remote: &remote,
        configured: &remote,
        gateway: address(gateway),
        routes: Routes::Negotiated,
        default_route: DefaultRoute::Allowed,
    })
}

/// Addresses and routes of both families, as far as people and programs make them.
fn everything() -> String {
    format!("{}{}{}", ip("-oneline addr"), ip("route show table main"), ip("-6 route show table main"))
}

#[test]
fn a_plan_makes_link_address_and_routes_and_undo_leaves_nothing_of_it() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("plain");
    let before = everything();
    let tun = Tun::open("t0").unwrap();
    run(async {
        let (mut host, repaired) = Host::open(&scratch.0, "t0").await.unwrap();
        assert_eq!(repaired, 0);
        let plan = plan(&["10.200.0.7", "2001:db8:7::7"], &["10.250.0.0/24", "2001:db8:8::/48"], "198.51.100.1");
        host.apply(&plan).await.unwrap();
        let link = ip("link show t0");
        assert!(link.contains("mtu 1400") && link.contains("UP"), "{link}");
        let route = ip("route get 10.250.0.5");
        assert!(route.contains("dev t0 src 10.200.0.7"), "{route}");
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
fn t_15_a_subnet_that_holds_the_gateway_leaves_the_gateway_on_its_old_way_in_both_families() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("exempt");
    let _tun = Tun::open("t0").unwrap();
    run(async {
        let (mut host, _) = Host::open(&scratch.0, "t0").await.unwrap();
        for (gateway, other, via) in [
            ("198.51.100.1", "198.51.100.2", "via 192.0.2.1"),
            ("2001:db8:9::1", "2001:db8:9::2", "via 2001:db8:2::1"),
            ("192.0.2.20", "192.0.2.21", "dev eth0"),
        ] {
            let subnet = format!("{other}/{}", if gateway.contains(':') { 64 } else { 24 });
            let everywhere = if gateway.contains(':') { "::/0" } else { "0.0.0.0/0" };
            for remote in [&[subnet.as_str()][..], &[everywhere]] {
                // A connected subnet of the same length is in the way of a route, as it should be.
                if via == "dev eth0" && remote[0] != everywhere {
                    continue;
                }
                host.apply(&plan(&["10.200.0.7", "2001:db8:7::7"], remote, gateway)).await.unwrap();
                let route = ip(&format!("route get {gateway}"));
                assert!(route.contains(via) && route.contains("dev eth0"), "{remote:?}: {route}");
                if via != "dev eth0" {
                    let route = ip(&format!("route get {other}"));
                    assert!(route.contains("dev t0"), "{remote:?}: {route}");
                }
            }
        }
        host.undo().await.unwrap();
        assert!(!everything().contains("198.51.100.1"));
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
        let (mut host, _) = Host::open(&scratch.0, "t0").await.unwrap();
        host.apply(&plan(&["10.200.0.7"], &["198.51.100.0/24"], "198.51.100.1")).await.unwrap();
        // What the kernel does for a process that was killed: descriptors are closed, nothing else is done.
        close((host, tun));
        assert!(everything().contains("198.51.100.1 via 192.0.2.1"), "{}", everything());

        let (host, repaired) = Host::open(&scratch.0, "t0").await.unwrap();
        assert_eq!(repaired, 3);
        assert_eq!(everything(), before);
        close(host);
        assert_eq!(Host::open(&scratch.0, "t0").await.unwrap().1, 0);
    });
}

#[test]
fn a_repair_leaves_other_devices_of_the_same_name_and_other_peoples_routes_alone() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("others");
    run(async {
        let tun = Tun::open("t0").unwrap();
        let (mut host, _) = Host::open(&scratch.0, "t0").await.unwrap();
        host.apply(&plan(&["10.200.0.7"], &["198.51.100.0/24"], "198.51.100.1")).await.unwrap();
        close((host, tun));
        let _other = Tun::open("t0").unwrap();
        ip("link set t0 up");
        ip("addr add 10.200.0.7/32 dev t0");
        ip("route add 198.51.100.0/24 dev t0");
        // The same as the exemption that is left, but for who made it.
        let left = ip("route show 198.51.100.1/32");
        assert!(left.contains(" proto 118 "), "{left}");
        ip(&format!("route delete {left}"));
        ip(&format!("route add {}", left.replace("proto 118", "proto static")));
        Host::open(&scratch.0, "t0").await.unwrap();
        assert!(ip("addr show dev t0").contains("10.200.0.7"));
        assert!(ip("route show 198.51.100.0/24").contains("dev t0"));
        assert!(ip("route show 198.51.100.1/32").contains("via 192.0.2.1"));
    });
}

#[test]
fn a_new_plan_changes_only_what_differs() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("change");
    let _tun = Tun::open("t0").unwrap();
    run(async {
        let (mut host, _) = Host::open(&scratch.0, "t0").await.unwrap();
        host.apply(&plan(&["10.200.0.7"], &["10.250.0.0/24", "10.251.0.0/24"], "198.51.100.1")).await.unwrap();
        host.apply(&plan(&["10.200.0.8"], &["10.250.0.0/24"], "198.51.100.1")).await.unwrap();
        let addresses = ip("addr show dev t0");
        assert!(addresses.contains("10.200.0.8") && !addresses.contains("10.200.0.7"), "{addresses}");
        assert!(ip("route get 10.250.0.5").contains("dev t0 src 10.200.0.8"));
        assert!(ip("route get 10.251.0.5").contains("dev eth0"));
        host.undo().await.unwrap();
    });
}

#[test]
fn a_route_of_somebody_else_is_reported_and_stays() {
    enter_new();
    with_uplink();
    ip("route add 10.250.0.0/24 via 192.0.2.1");
    let scratch = Scratch::new("taken");
    let _tun = Tun::open("t0").unwrap();
    run(async {
        let (mut host, _) = Host::open(&scratch.0, "t0").await.unwrap();
        let error = host.apply(&plan(&["10.200.0.7"], &["10.250.0.0/24"], "198.51.100.1")).await.unwrap_err();
        assert!(matches!(error, HostError::RouteTaken { .. }), "{error}");
        assert!(error.to_string().contains("10.250.0.0/24"));
        host.undo().await.unwrap();
        assert!(ip("route show 10.250.0.0/24").contains("via 192.0.2.1"));
    });
}

#[test]
fn a_second_start_for_the_same_device_is_refused_and_a_missing_device_is_named() {
    enter_new();
    let scratch = Scratch::new("second");
    run(async {
        let (mut host, _) = Host::open(&scratch.0, "t0").await.unwrap();
        assert!(matches!(Host::open(&scratch.0, "t0").await, Err(HostError::AlreadyRunning { .. })));
        let error = host.apply(&plan(&["10.200.0.7"], &[], "198.51.100.1")).await.unwrap_err();
        assert!(matches!(&error, HostError::NoDevice { device } if device == "t0"), "{error}");
    });
}
