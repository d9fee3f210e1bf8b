//! The kill switch, as the kernel carries it out: what is closed stays closed, whatever becomes of the device and of the process.

use std::net::{SocketAddr, UdpSocket};

use vpnd::config::Nftables;
use vpnd::io::tun::Tun;
use vpnd::os::host::Host;
use vpnd::os::plan::{HostPlan, HostSettings, KillSwitch, Outside};
use vpnd::os::prefix::Prefix;
use vpnd::os::watch::{News, Watch};

use crate::namespace::{Namespace, close, enter_new, ip, nft, thread_id, with_uplink};
use crate::routes::{Scratch, everything, is_unreachable, of, run, settings};

const SUBNETS: [&str; 2] = ["10.250.0.0/24", "fd00:250::/64"];
const INSIDE: [&str; 2] = ["10.250.0.5", "fd00:250::5"];
const GATEWAY: &str = "198.51.100.1";

fn closing() -> HostSettings {
    settings(&SUBNETS, KillSwitch::On(Nftables::Auto))
}

async fn start(scratch: &Scratch) -> (Host, usize) {
    Host::open(&scratch.0, "t0", &HostPlan::closed(&closing())).await.unwrap()
}

fn up() -> HostPlan {
    of(&closing(), &["10.200.0.7", "fd00:200::7"], &SUBNETS, GATEWAY)
}

fn assert_closed(when: &str) {
    for inside in INSIDE {
        assert!(is_unreachable(inside), "{inside} {when}");
    }
    assert!(ip("route get 10.251.0.5").contains("dev eth0"), "others are not touched {when}");
}

#[test]
fn l_01_the_subnets_are_closed_before_a_tunnel_under_it_and_after_its_device_has_gone() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("closed");
    let before = everything();
    let tun = Tun::open("t0").unwrap();
    run(async {
        let (mut host, _) = start(&scratch).await;
        assert_closed("before the tunnel");
        host.apply(&up()).await.unwrap();
        for inside in INSIDE {
            assert!(ip(&format!("route get {inside}")).contains("dev t0"));
        }
        ip("link set t0 down");
        assert_closed("with the device down");
        ip("link set t0 up");
        close(tun);
        assert_closed("without the device");
        host.undo().await.unwrap();
    });
    assert_eq!(everything(), before);
}

#[test]
fn l_01_what_the_gateway_leaves_out_of_a_subnet_stays_closed() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("narrow");
    let _tun = Tun::open("t0").unwrap();
    run(async {
        let (mut host, _) = start(&scratch).await;
        host.apply(&of(&closing(), &["10.200.0.7"], &["10.250.0.128/25"], GATEWAY)).await.unwrap();
        assert!(ip("route get 10.250.0.130").contains("dev t0"));
        assert_closed("beside the part that was negotiated, IPv6 included");
        host.undo().await.unwrap();
    });
}

#[test]
fn l_02_after_a_kill_the_subnets_are_closed_and_the_next_start_takes_them_over() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("taken-over");
    let before = everything();
    run(async {
        let tun = Tun::open("t0").unwrap();
        let (mut host, _) = start(&scratch).await;
        host.apply(&up()).await.unwrap();
        close((host, tun));
        assert_closed("after the kill");
        let left = everything();

        let (mut host, repaired) = start(&scratch).await;
        assert_eq!(repaired, 4, "two addresses and two routes went with the device");
        assert_eq!(everything(), left, "what is closed was not touched");
        host.undo().await.unwrap();
    });
    assert_eq!(everything(), before);
}

#[test]
fn l_02_a_start_without_the_record_finds_what_is_closed_and_opens_what_is_no_longer_wanted() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("record-lost");
    let before = everything();
    run(async {
        let (host, _) = start(&scratch).await;
        close(host);
        std::fs::remove_dir_all(&scratch.0).unwrap();
        let other = settings(&["10.251.0.0/24"], KillSwitch::On(Nftables::Auto));
        let (host, repaired) = Host::open(&scratch.0, "t0", &HostPlan::closed(&other)).await.unwrap();
        assert_eq!(repaired, 3, "two subnets and IPv6's rule");
        assert!(ip("route get 10.250.0.5").contains("dev eth0"));
        assert!(is_unreachable("10.251.0.5"));
        close(host);
        std::fs::remove_dir_all(&scratch.0).unwrap();
        // `vpnd repair`
        assert_eq!(Host::open(&scratch.0, "t0", &HostPlan::default()).await.unwrap().1, 2);
    });
    assert_eq!(everything(), before);
}

#[test]
fn l_02_a_start_that_fails_opens_nothing_that_was_closed() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("failed-start");
    let before = everything();
    run(async {
        // There is no device.
        assert!(Host::open(&scratch.0, "t0", &up()).await.is_err());
        assert_eq!(everything(), before, "what this start closed is open again");
        close(start(&scratch).await);
        assert!(Host::open(&scratch.0, "t0", &up()).await.is_err());
        assert_closed("by the run before");
    });
}

#[test]
fn l_05_only_marked_sockets_reach_a_closed_subnet_not_an_address() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("mark");
    run(async {
        let gateway_inside = settings(&["198.51.100.0/24"], KillSwitch::On(Nftables::Auto));
        let (_host, _) = Host::open(&scratch.0, "t0", &HostPlan::closed(&gateway_inside)).await.unwrap();
        let gateway: SocketAddr = format!("{GATEWAY}:4500").parse().unwrap();
        let anybody = UdpSocket::bind("0.0.0.0:0").unwrap();
        let refused = anybody.connect(gateway).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EHOSTUNREACH));
        let ours = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        ours.set_mark(vpnd::os::MARK).unwrap();
        ours.connect(&gateway.into()).unwrap();
    });
}

#[test]
fn l_03_the_default_route_of_ipv4_alone_leaves_no_ipv6() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("family");
    let _tun = Tun::open("t0").unwrap();
    run(async {
        let everything = settings(&["0.0.0.0/0"], KillSwitch::On(Nftables::Auto));
        let (mut host, _) = Host::open(&scratch.0, "t0", &HostPlan::closed(&everything)).await.unwrap();
        host.apply(&of(&everything, &["10.200.0.7"], &["0.0.0.0/0"], GATEWAY)).await.unwrap();
        assert!(ip("route get 203.0.113.1").contains("dev t0"));
        assert!(is_unreachable("2001:db8:ff::1"));
        assert!(ip("route get fe80::1 oif eth0").contains("dev eth0"), "the link itself works on");
        host.undo().await.unwrap();
    });
}

/// A socket that its program has bound to the uplink, past all routes.
fn bound_to_the_uplink(destination: SocketAddr) -> std::io::Result<usize> {
    let domain = socket2::Domain::for_address(destination);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, None).unwrap();
    socket.bind_device(Some(b"eth0")).unwrap();
    socket.send_to(b"in clear", &destination.into())
}

#[test]
fn l_01_nothing_leaves_by_a_device_that_a_program_chose_itself() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("bound");
    let tun = Tun::open("t0").unwrap();
    let destinations: [SocketAddr; 2] = INSIDE.map(|inside| SocketAddr::new(inside.parse().unwrap(), 9));
    let assert_held_back = || {
        for destination in destinations {
            let refused = bound_to_the_uplink(destination).map_err(|error| error.raw_os_error());
            assert_eq!(refused, Err(Some(libc::EPERM)), "{destination}");
        }
        bound_to_the_uplink("192.0.2.1:9".parse().unwrap()).unwrap();
        bound_to_the_uplink("[2001:db8:2::1]:9".parse().unwrap()).unwrap();
    };
    run(async {
        let (mut host, _) = start(&scratch).await;
        assert!(host.is_filtered(), "{:?}", host.filter_refused());
        assert_held_back();
        host.apply(&up()).await.unwrap();
        assert_held_back();
        let rules = nft("--numeric list table inet vpnd-t0");
        for rule in
            ["oifgroup 118 counter", "10.250.0.0/24 counter", "fd00:250::/64 counter", "10.200.0.7 iifgroup != 118"]
        {
            assert!(rules.contains(rule), "{rule}:\n{rules}");
        }
        close((host, tun));
        assert_held_back();
        let (mut host, _) = start(&scratch).await;
        assert_held_back();
        host.undo().await.unwrap();
        for destination in destinations {
            bound_to_the_uplink(destination).unwrap();
        }
        assert_eq!(nft("list ruleset"), "");
    });
}

#[test]
fn l_07_v_56_packets_for_an_inner_address_that_come_from_outside_reach_nobody() {
    let attacker = Namespace::new();
    let attacker_thread = attacker.run(thread_id);
    enter_new();
    with_uplink();
    ip(&format!("link set far0 netns {attacker_thread}"));
    attacker.run(|| {
        ip("link set far0 up");
        ip("addr add 192.0.2.66/24 dev far0");
        ip("-6 addr add 2001:db8:2::66/64 dev far0 nodad");
        ip("route add 10.200.0.7/32 via 192.0.2.10");
        ip("-6 route add fd00:200::7/128 via 2001:db8:2::10");
    });
    let scratch = Scratch::new("spoofed");
    let _tun = Tun::open("t0").unwrap();
    let cases = [("0.0.0.0:0", "10.200.0.7", "192.0.2.10"), ("[::]:0", "fd00:200::7", "2001:db8:2::10")];
    let reached = |any: &str, inside: &'static str, outside: &'static str| {
        let service = UdpSocket::bind(any).unwrap();
        service.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let port = service.local_addr().unwrap().port();
        let any = any.to_owned();
        attacker.run(move || {
            let socket = UdpSocket::bind(any).unwrap();
            for destination in [inside, outside] {
                socket.send_to(destination.as_bytes(), (destination, port)).unwrap();
            }
        });
        let mut memory = [0; 64];
        let read = service.recv(&mut memory).unwrap();
        String::from_utf8_lossy(&memory[..read]).into_owned()
    };
    run(async {
        for (nftables, passes) in [(Nftables::Never, true), (Nftables::Auto, false)] {
            let settings = settings(&SUBNETS, KillSwitch::On(nftables));
            let (mut host, _) = Host::open(&scratch.0, "t0", &HostPlan::closed(&settings)).await.unwrap();
            host.apply(&of(&settings, &["10.200.0.7", "fd00:200::7"], &SUBNETS, GATEWAY)).await.unwrap();
            for (any, inside, outside) in cases {
                assert_eq!(reached(any, inside, outside), if passes { inside } else { outside });
            }
            host.undo().await.unwrap();
        }
    });
}

#[test]
fn l_07_the_host_itself_reaches_its_inner_address() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("own");
    let _tun = Tun::open("t0").unwrap();
    run(async {
        let (mut host, _) = start(&scratch).await;
        host.apply(&up()).await.unwrap();
        for inside in ["10.200.0.7:0", "[fd00:200::7]:0"] {
            let service = UdpSocket::bind(inside).unwrap();
            service.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
            service.send_to(b"to myself", service.local_addr().unwrap()).unwrap();
            assert_eq!(service.recv(&mut [0; 16]).unwrap(), 9);
        }
        host.undo().await.unwrap();
    });
}

#[test]
fn the_default_route_leaves_an_ipv6_link_alive() {
    let router = Namespace::new();
    let router_thread = router.run(thread_id);
    enter_new();
    with_uplink();
    ip(&format!("link set far0 netns {router_thread}"));
    router.run(|| {
        ip("link set far0 up");
        ip("-6 addr add 2001:db8:2::1/64 dev far0 nodad");
    });
    let scratch = Scratch::new("neighbours");
    run(async {
        let everything = settings(&["::/0"], KillSwitch::On(Nftables::Required));
        let (_host, _) = Host::open(&scratch.0, "t0", &HostPlan::closed(&everything)).await.unwrap();
        // Marked as vpnd's own: it leaves only when the router's link address could be asked for.
        let ours = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None).unwrap();
        ours.set_mark(vpnd::os::MARK).unwrap();
        let service = router.run(|| UdpSocket::bind("[::]:0").unwrap());
        service.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let there = SocketAddr::new("2001:db8:2::1".parse().unwrap(), service.local_addr().unwrap().port());
        ours.send_to(b"sealed", &there.into()).unwrap();
        assert_eq!(service.recv(&mut [0; 16]).unwrap(), 6);
    });
}

#[test]
fn the_last_gateway_that_is_tried_is_the_one_whose_answers_pass_the_reverse_path() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("reverse");
    let before = everything();
    run(async {
        let settings = settings(&["198.51.100.0/24"], KillSwitch::On(Nftables::Never));
        let (mut host, _) = Host::open(&scratch.0, "t0", &HostPlan::closed(&settings)).await.unwrap();
        for gateway in ["198.51.100.1", "198.51.100.2"] {
            let outside = Outside { gateway: gateway.parse().unwrap(), port: 40_000 };
            let steps = HostPlan::towards(&settings, &[outside]);
            assert_eq!(steps.len(), 1);
            host.ensure(&steps).await.unwrap();
            host.ensure(&steps).await.unwrap();
            let rules = ip("rule show pref 117");
            assert!(rules.contains(gateway) && rules.lines().count() == 1, "{rules}");
        }
        host.undo().await.unwrap();
    });
    assert_eq!(everything(), before);
}

#[test]
fn l_06_what_another_program_takes_away_is_noticed_and_set_again() {
    enter_new();
    with_uplink();
    let scratch = Scratch::new("watched");
    let _tun = Tun::open("t0").unwrap();
    run(async {
        let (mut host, _) = start(&scratch).await;
        host.apply(&up()).await.unwrap();
        let mut watch = Watch::start().unwrap();
        let (before, steps) = (everything(), host.steps().count());
        assert_eq!(host.restore().await, []);

        ip("rule delete pref 118");
        assert_eq!(watch.next().await, News::Removed);
        assert_eq!(host.restore().await.len(), 1);
        ip("-6 route flush table 118");
        assert_eq!(watch.next().await, News::Removed);
        assert_eq!(host.restore().await.len(), 2, "what is closed and what is routed");
        assert_eq!((everything(), host.steps().count()), (before, steps));
        host.undo().await.unwrap();
    });
}

#[test]
fn l_06_v_55_routes_and_rules_of_others_are_noticed() {
    enter_new();
    with_uplink();
    run(async {
        let mut watch = Watch::start().unwrap();
        for (address, length) in [("10.250.0.4", 30), ("fd00:250::", 65)] {
            let destination = Prefix::new(address.parse().unwrap(), length).unwrap();
            ip(&format!("route add {destination} dev eth0"));
            assert_eq!(watch.next().await, News::Route { destination });
        }
        // Neither what comes after vpnd's rule nor vpnd's own is news.
        ip("rule add to 10.250.0.5 lookup main pref 119");
        ip("rule add not fwmark 118 lookup 118 pref 118 protocol 118");
        ip("rule add to 10.250.0.5 lookup main pref 5");
        assert_eq!(watch.next().await, News::Rule { priority: 5 });
    });
}
