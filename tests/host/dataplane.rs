//! Two data planes that face each other over a link: what passes, what does not, and how they end.

use std::net::{SocketAddr, UdpSocket as PlainSocket};

use vpnd::daemon::data_thread::{DataNews, Direction, OrderError};
use vpnd::esp::counters::DropReason;
use vpnd::sa::command::{DataCommand, DataReport};
use vpnd::sa::path::{Framing, Path};
use vpnd::sa::suite::EspSuite;

use crate::namespace::ip;
use crate::pair::{CBC, CHILD, End, GCM, Pair, expect_report, wait_for};
use crate::traffic::echo;

#[test]
fn t_14_tcp_passes_both_ways_for_every_pair_of_families() {
    for (outer, protection) in [("ipv4", GCM), ("ipv6", CBC)] {
        let mut pair = Pair::new(outer);
        pair.install(protection);
        for inner in ["10.9.2.1", "2001:db8:20::1"] {
            echo(&pair, inner, 1_000_000);
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
    pair.install_inbound(1, EspSuite { protection: GCM, esn: false });
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
    assert_eq!((inbound.foreign, inbound.unreceived, inbound.path.ike), (0, 40, 1), "the kernel itself drops them");
}

#[test]
fn v_29_a_flood_in_the_gateway_s_name_is_kept_out_and_an_sa_that_is_made_meanwhile_is_not() {
    let pair = Pair::new("ipv4");
    let target = pair.ends[1].outer;
    let flood = move |count: u32| {
        let gateway = PlainSocket::bind("192.0.2.1:0").unwrap();
        for number in 0..count {
            let unknown = (0x0066_0000 + number).to_be_bytes();
            gateway.send_to(&[&unknown[..], &[0; 60]].concat(), target).unwrap();
        }
    };
    let counters = |pair: &Pair| wait_for(pair.ends[1].plane.counters()).unwrap().1;
    while counters(&pair).floods == 0 {
        pair.ends[0].namespace.run(move || flood(500));
    }
    let before = counters(&pair);
    pair.ends[0].namespace.run(move || flood(6_400));
    let kept_out = counters(&pair).unreceived - before.unreceived;
    // One in 64 gets in: 6,300 of 6,400, give or take ten times the deviation.
    assert!((6_200..6_400).contains(&kept_out), "{kept_out} of 6,400");

    pair.install(GCM);
    echo(&pair, "10.9.2.1", 1_000_000);
    assert_eq!(counters(&pair).floods, 1);
}

#[test]
fn more_ike_than_anybody_hears_is_dropped_and_counted_and_esp_goes_on() {
    let pair = Pair::new("ipv4");
    pair.install(GCM);
    let to = pair.path(0);
    for _ in 0..400 {
        pair.ends[0].plane.sockets().send_ike(&to, b"flood").unwrap();
    }
    echo(&pair, "10.9.2.1", 1_000_000);
    let (_, inbound) = wait_for(pair.ends[1].plane.counters()).unwrap();
    assert_eq!(inbound.path.ike, 400);
    assert_eq!(inbound.unheard, 400 - 256);
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
                DataNews::Report(_) | DataNews::Dropped(_) => {}
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
