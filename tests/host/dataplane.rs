//! Two data planes that face each other over a link, with the keys an IKE would have installed.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket as PlainSocket};
use std::time::Duration;

use vpnd::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Protection, ProtectionKeys};
use vpnd::crypto::secret::Secret;
use vpnd::daemon::data_thread::{DataNews, DataPlane, DataPlaneEvents, Direction, OrderError};
use vpnd::esp::counters::DropReason;
use vpnd::io::batch::Gateway;
use vpnd::io::tun::Tun;
use vpnd::io::udp::{UdpOptions, UdpSocket, UdpSockets};
use vpnd::os::clock::Clock;
use vpnd::os::random::OsRandom;
use vpnd::sa::command::{ChildId, DataCommand, DataReport, InboundParameters, OutboundParameters};
use vpnd::sa::lifetime::Lifetime;
use vpnd::sa::path::{Framing, Path};
use vpnd::sa::selector::Selector;
use vpnd::sa::spi::{InboundSpi, OutboundSpi};
use vpnd::sa::suite::EspSuite;

use crate::namespace::{Namespace, ip, thread_id};

const GCM: Protection = Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen));
const CBC: Protection =
    Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 };
const CHILD: ChildId = ChildId(1);

fn wait_for<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), work).await.expect("nothing happened") })
}

/// One end: a namespace with a TUN device `t0`, an outer address on `outer` and a running data plane.
struct End {
    namespace: Namespace,
    plane: DataPlane,
    events: DataPlaneEvents,
    outer: SocketAddr,
}

/// Two ends with outer and inner addresses of both families. `.1` is the first, `.2` the second.
struct Pair {
    ends: [End; 2],
}

impl Pair {
    fn new(outer_family: &str) -> Self {
        let namespaces = [Namespace::new(), Namespace::new()];
        let other = namespaces[1].run(thread_id);
        namespaces[0].run(move || {
            ip("link add outer type veth peer name far");
            ip(&format!("link set far netns {other} name outer"));
        });
        let mut number = 0_u8;
        let ends = namespaces.map(|namespace| {
            number += 1;
            End::new(namespace, number, outer_family)
        });
        let pair = Self { ends };
        for (end, peer) in [(0, 1), (1, 0)] {
            let remote = pair.ends[peer].outer.ip();
            let gateway = Gateway { remote, local: pair.ends[end].outer, bare_port: Some(500) };
            wait_for(pair.ends[end].plane.admit(vec![gateway])).unwrap();
        }
        pair
    }

    fn path(&self, from: usize) -> Path {
        Path { local: self.ends[from].outer, remote: self.ends[1 - from].outer, framing: Framing::Marked }
    }

    /// Installs one child SA in both ends.
    fn install(&self, protection: Protection) {
        for end in [0, 1] {
            self.install_inbound(end, protection);
        }
        for end in [0, 1] {
            self.install_outbound(end, protection);
        }
    }

    fn install_inbound(&self, end: usize, protection: Protection) {
        let sa = InboundParameters {
            spi: InboundSpi::new(spi_of_receiver(end)).unwrap(),
            suite: EspSuite { protection, esn: false },
            keys: keys_towards(end, protection),
            sources: inner_networks(1 - end),
            destinations: inner_networks(end),
            replay_window: 1024,
            lifetime: Lifetime::default(),
        };
        let command = DataCommand::InstallInbound { child: CHILD, sa: Box::new(sa) };
        wait_for(self.ends[end].plane.apply(command)).unwrap();
    }

    fn install_outbound(&self, end: usize, protection: Protection) {
        let peer = 1 - end;
        let sa = OutboundParameters {
            spi: OutboundSpi::new(spi_of_receiver(peer)).unwrap(),
            suite: EspSuite { protection, esn: false },
            keys: keys_towards(peer, protection),
            sources: inner_networks(end),
            destinations: inner_networks(peer),
            path: self.path(end),
            lifetime: Lifetime::default(),
        };
        let command = DataCommand::SwitchOutbound { child: CHILD, sa: Box::new(sa) };
        wait_for(self.ends[end].plane.apply(command)).unwrap();
    }
}

impl End {
    fn new(namespace: Namespace, number: u8, outer_family: &str) -> Self {
        let outer_ip: IpAddr = match outer_family {
            "ipv4" => format!("192.0.2.{number}").parse().unwrap(),
            _ => format!("2001:db8:2::{number}").parse().unwrap(),
        };
        let (plane, events, outer) = namespace.run(move || {
            let peer = 3 - number;
            let tun = Tun::open("t0").unwrap();
            for command in [
                "link set outer addrgenmode none".to_owned(),
                "link set t0 addrgenmode none".to_owned(),
                "link set outer up".to_owned(),
                "link set t0 mtu 1400 up".to_owned(),
                format!("addr add 192.0.2.{number}/24 dev outer"),
                format!("-6 addr add 2001:db8:2::{number}/64 dev outer nodad"),
                format!("addr add 10.9.{number}.1/32 dev t0"),
                format!("-6 addr add 2001:db8:{number}0::1/128 dev t0 nodad"),
                format!("route add 10.9.{peer}.0/24 dev t0 src 10.9.{number}.1"),
                format!("-6 route add 2001:db8:{peer}0::/64 dev t0 src 2001:db8:{number}0::1"),
            ] {
                ip(&command);
            }
            let bind = SocketAddr::new(outer_ip, 0);
            let socket = UdpSocket::bind(&UdpOptions { bind, ..UdpOptions::towards(outer_ip) }).unwrap();
            let outer = socket.bound();
            let sockets = match outer_ip {
                IpAddr::V4(_) => UdpSockets { ipv4: Some(socket), ipv6: None },
                IpAddr::V6(_) => UdpSockets { ipv4: None, ipv6: Some(socket) },
            };
            let (plane, events) = DataPlane::start(tun, sockets, Clock::start(), &mut OsRandom).unwrap();
            (plane, events, outer)
        });
        Self { namespace, plane, events, outer }
    }
}

fn inner_networks(end: usize) -> Vec<Selector> {
    let number = end + 1;
    vec![
        Selector::from_prefix(format!("10.9.{number}.0").parse().unwrap(), 24).unwrap(),
        Selector::from_prefix(format!("2001:db8:{number}0::").parse().unwrap(), 64).unwrap(),
    ]
}

fn spi_of_receiver(end: usize) -> u32 {
    0x1000 + u32::try_from(end).unwrap()
}

fn keys_towards(end: usize, protection: Protection) -> ProtectionKeys {
    let octet = 0x40 + u8::try_from(end).unwrap();
    ProtectionKeys {
        encryption: Secret::new(vec![octet; protection.encryption_key_len()]),
        integrity: Secret::new(vec![octet; protection.integrity_key_len()]),
    }
}

/// Sends a megabyte from the first end to `address` at the second and has it sent back.
fn echo_a_megabyte(pair: &Pair, address: &str) {
    let listen: SocketAddr = SocketAddr::new(address.parse().unwrap(), 7777);
    let listener = pair.ends[1].namespace.run(move || TcpListener::bind(listen).unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, from) = listener.accept().unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
        from.ip()
    });
    let mut stream = pair.ends[0].namespace.run(move || TcpStream::connect(listen).unwrap());
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let sent: Vec<u8> = (0_u32..1_000_000).map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let mut writer = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == sent, "{} octets came back changed", back.len());
    assert!(matches!(server.join().unwrap().to_string().as_str(), "10.9.1.1" | "2001:db8:10::1"));
}

fn expect_report(end: &mut End, wanted: impl Fn(&DataReport) -> bool) {
    wait_for(async {
        loop {
            match end.events.news.recv().await.expect("the data plane ended") {
                DataNews::Report(report) if wanted(&report) => return,
                DataNews::Report(_) => {}
                DataNews::Failed(failure) => panic!("{failure}"),
            }
        }
    });
}

#[test]
fn t_14_tcp_passes_both_ways_for_every_pair_of_families() {
    for (outer, protection) in [("ipv4", GCM), ("ipv6", CBC)] {
        let mut pair = Pair::new(outer);
        pair.install(protection);
        for inner in ["10.9.2.1", "2001:db8:20::1"] {
            echo_a_megabyte(&pair, inner);
        }
        let [first, second] = &mut pair.ends;
        expect_report(second, |report| matches!(report, DataReport::InboundSeen { child: CHILD, .. }));
        expect_report(first, |report| matches!(report, DataReport::OutboundSent { child: CHILD }));
        for end in [first, second] {
            let (outbound, inbound) = wait_for(end.plane.counters()).unwrap();
            assert_eq!((outbound.unsent, inbound.undelivered, inbound.truncated), (0, 0, 0));
            assert_eq!(inbound.path.dropped_total(), 0);
            assert!(inbound.path.octets > 2_000_000, "{inbound:?}");
        }
    }
}

#[test]
fn nothing_leaves_before_a_child_is_there_and_after_it_was_removed() {
    let mut pair = Pair::new("ipv4");
    pair.install_inbound(1, GCM);
    let send = |pair: &Pair| {
        pair.ends[0].namespace.run(|| {
            PlainSocket::bind("10.9.1.1:0").unwrap().send_to(b"early", "10.9.2.1:9").unwrap();
        });
    };
    send(&pair);
    expect_report(&mut pair.ends[0], |report| *report == DataReport::NoChild);
    pair.install(GCM);
    wait_for(pair.ends[0].plane.apply(DataCommand::RemoveChild { child: CHILD })).unwrap();
    let before = wait_for(pair.ends[0].plane.counters()).unwrap().0;
    send(&pair);
    let after = wait_for(async {
        loop {
            let now = pair.ends[0].plane.counters().await.unwrap().0;
            if now.path.dropped(DropReason::NoChild) > before.path.dropped(DropReason::NoChild) {
                return now;
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(after.path.packets, 0);
}

#[test]
fn ike_messages_come_up_with_their_path_and_esp_does_not() {
    let mut pair = Pair::new("ipv4");
    let to = pair.path(0);
    pair.ends[0].plane.sockets().send_ike(&to, b"marked").unwrap();
    let arrived = wait_for(pair.ends[1].events.ike.recv()).unwrap();
    assert_eq!((arrived.path, &arrived.message[..]), (pair.path(1), &b"marked"[..]));

    // From the gateway's port 500 the marker does not stand before it.
    let target = pair.ends[1].outer;
    pair.ends[0].namespace.run(move || {
        PlainSocket::bind("192.0.2.1:500").unwrap().send_to(b"\0\0\0\0bare", target).unwrap();
    });
    let arrived = wait_for(pair.ends[1].events.ike.recv()).unwrap();
    let remote: SocketAddr = "192.0.2.1:500".parse().unwrap();
    assert_eq!(arrived.path, Path { local: target, remote, framing: Framing::Bare });
    assert_eq!(&arrived.message, b"\0\0\0\0bare");
}

#[test]
fn datagrams_from_elsewhere_than_the_gateway_are_counted_and_nothing_else() {
    let mut pair = Pair::new("ipv4");
    let target = pair.ends[1].outer;
    pair.ends[0].namespace.run(move || {
        ip("addr add 192.0.2.77/24 dev outer");
        let stranger = PlainSocket::bind("192.0.2.77:500").unwrap();
        for _ in 0..40 {
            stranger.send_to(b"\0\0\0\0junk", target).unwrap();
        }
    });
    let to = pair.path(0);
    pair.ends[0].plane.sockets().send_ike(&to, b"true").unwrap();
    assert_eq!(wait_for(pair.ends[1].events.ike.recv()).unwrap().message, b"true");
    let (_, inbound) = wait_for(pair.ends[1].plane.counters()).unwrap();
    assert_eq!((inbound.foreign, inbound.path.ike), (40, 1));
}

#[test]
fn more_ike_than_anybody_hears_is_dropped_and_counted_and_esp_goes_on() {
    let pair = Pair::new("ipv4");
    pair.install(GCM);
    let to = pair.path(0);
    for _ in 0..200 {
        pair.ends[0].plane.sockets().send_ike(&to, b"flood").unwrap();
    }
    echo_a_megabyte(&pair, "10.9.2.1");
    let (_, inbound) = wait_for(pair.ends[1].plane.counters()).unwrap();
    assert_eq!(inbound.path.ike, 200);
    assert_eq!(inbound.unheard, 200 - 64);
}

#[test]
fn n_03_a_keepalive_is_one_octet_and_is_left_out_when_something_was_sent() {
    let pair = Pair::new("ipv4");
    let path = pair.path(0);
    wait_for(pair.ends[0].plane.apply(DataCommand::Keepalive { path })).unwrap();
    let keepalives = |pair: &Pair, wanted: u64| {
        wait_for(async {
            while pair.ends[1].plane.counters().await.unwrap().1.path.keepalives < wanted {
                tokio::task::yield_now().await;
            }
        });
    };
    keepalives(&pair, 1);
    pair.install(GCM);
    pair.ends[0].namespace.run(|| {
        PlainSocket::bind("10.9.1.1:0").unwrap().send_to(b"traffic", "10.9.2.1:9").unwrap();
    });
    wait_for(async {
        while pair.ends[0].plane.counters().await.unwrap().0.path.packets == 0 {
            tokio::task::yield_now().await;
        }
    });
    wait_for(pair.ends[0].plane.apply(DataCommand::Keepalive { path })).unwrap();
    wait_for(pair.ends[0].plane.apply(DataCommand::Keepalive { path })).unwrap();
    keepalives(&pair, 2);
    assert_eq!(wait_for(pair.ends[1].plane.counters()).unwrap().1.path.keepalives, 2);
}

#[test]
fn a_removed_device_is_news_of_its_end_and_orders_are_refused_from_then_on() {
    let mut pair = Pair::new("ipv4");
    pair.ends[0].namespace.run(|| ip("link delete t0"));
    let failure = wait_for(async {
        loop {
            match pair.ends[0].events.news.recv().await.unwrap() {
                DataNews::Failed(failure) => return failure,
                DataNews::Report(_) => {}
            }
        }
    });
    assert_eq!(failure.direction, Direction::Outbound);
    assert!(failure.to_string().contains("was the device removed?"), "{failure}");
    assert_eq!(wait_for(pair.ends[0].plane.set_mtu(Some(1400))).unwrap_err(), OrderError::Stopped);
    let [first, _] = pair.ends;
    first.plane.stop();
}

#[test]
fn stopping_ends_both_threads_and_with_them_the_device() {
    let pair = Pair::new("ipv4");
    pair.install(GCM);
    let [first, _] = pair.ends;
    first.plane.stop();
    let links = first.namespace.run(|| ip("-br link"));
    assert!(!links.contains("t0"), "{links}");
}

#[test]
fn a_data_plane_whose_handle_is_lost_ends_too() {
    let pair = Pair::new("ipv4");
    let [End { namespace: _namespace, plane, mut events, .. }, _] = pair.ends;
    drop(plane);
    wait_for(async { while events.news.recv().await.is_some() {} });
    assert!(wait_for(events.ike.recv()).is_none());
}
