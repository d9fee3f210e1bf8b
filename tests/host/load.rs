//! Many flows, small packets, large packets, bad roads, and more than the queues hold.

use std::time::Duration;

use vpnd::esp::counters::DropReason;
use vpnd::sa::suite::EspSuite;

use crate::namespace::ip;
use crate::pair::{CBC, GCM, Mtu, Pair};
use crate::relay::{Relay, Road};
use crate::traffic::{Bulk, PATIENCE, datagram_sockets, exchange_datagrams, transfer_both_ways};

/// Nothing was dropped by either end for any reason.
fn assert_nothing_dropped(pair: &Pair) {
    for (outbound, inbound) in pair.counters() {
        assert_eq!((outbound.path.dropped_total(), outbound.unsent), (0, 0), "{outbound:?}");
        assert_eq!((inbound.path.dropped_total(), inbound.undelivered, inbound.truncated), (0, 0, 0), "{inbound:?}");
    }
}

fn assert_nothing_replayed(pair: &Pair) {
    for (_, inbound) in pair.counters() {
        assert_eq!(inbound.path.dropped_total(), 0, "{inbound:?}");
    }
}

#[test]
fn flows_pass_both_ways_at_once_and_come_whole() {
    for (protection, address) in [(GCM, "10.9.2.1"), (CBC, "2001:db8:20::1")] {
        let pair = Pair::new("ipv4");
        pair.install_suite(EspSuite { protection, esn: true });
        for (flows, len) in [(1, 2_000_000), (16, 100_000), (64, 20_000)] {
            transfer_both_ways(&pair, address, flows, len);
        }
        assert_nothing_replayed(&pair);
    }
}

#[test]
fn no_flow_starves_beside_its_equals() {
    const EACH: u64 = 200_000;
    let pair = Pair::new("ipv4");
    pair.install(GCM);
    for flows in [16, 64] {
        let received = Bulk::start(&pair, "10.9.2.1", flows).wait_for_each(EACH);
        let mean = received.iter().sum::<u64>() / u64::try_from(flows).unwrap();
        assert!(mean < 40 * EACH, "{received:?}");
    }
}

#[test]
fn small_and_mixed_packets_come_whole_and_in_order() {
    let small = [22; 1000];
    let mixed: Vec<usize> = (0..1000).map(|number| number * 379 % 1353).collect();
    for (protection, address) in [(CBC, "10.9.2.1"), (GCM, "2001:db8:20::1")] {
        let pair = Pair::new("ipv4");
        pair.install(protection);
        exchange_datagrams(&pair, address, &small);
        exchange_datagrams(&pair, address, &mixed);
        assert_nothing_dropped(&pair);
    }
}

/// The outer link carries such packets whole, or the kernel cuts the outer datagrams into fragments and puts them together again.
#[test]
fn jumbo_packets_pass_over_jumbo_links_and_over_small_ones() {
    let lengths: Vec<usize> = (0..60).map(|number| 8_972 - number * 149).chain([22; 4]).collect();
    for outer in [9_100, 1_500] {
        let pair = Pair::with_mtu("ipv4", Mtu { inner: 9_000, outer });
        pair.install(CBC);
        exchange_datagrams(&pair, "10.9.2.1", &lengths);
        transfer_both_ways(&pair, "10.9.2.1", 4, 400_000);
        assert_nothing_replayed(&pair);
    }
}

#[test]
fn a_road_that_reorders_loses_nothing_and_repeats_nothing() {
    let mut pair = Pair::new("ipv4");
    let relay = Relay::between(&mut pair, Road { delays: 20, ..Road::default() });
    pair.install(GCM);
    transfer_both_ways(&pair, "10.9.2.1", 4, 200_000);
    let fates = relay.end();
    assert!(fates.delayed > 50, "{fates:?}");
    // The window of 1024 holds what others overtook.
    assert_nothing_replayed(&pair);
}

#[test]
fn a_road_that_loses_doubles_and_reorders_changes_no_octet() {
    for protection in [GCM, CBC] {
        let mut pair = Pair::new("ipv4");
        let relay = Relay::between(&mut pair, Road { loses: 2, doubles: 3, delays: 5 });
        pair.install_suite(EspSuite { protection, esn: true });
        transfer_both_ways(&pair, "10.9.2.1", 8, 50_000);
        let fates = relay.end();
        assert!(fates.lost > 5 && fates.doubled > 5 && fates.delayed > 5, "{fates:?}");
        // Each is counted as it comes, for one reason, and the passengers notice nothing.
        let replayed = pair.counters().map(|(_, inbound)| inbound.path.dropped(DropReason::Replayed));
        let replayed = replayed.iter().sum::<u64>();
        assert!(replayed > 0 && replayed <= fates.doubled, "{replayed} of {fates:?}");
    }
}

#[test]
fn a_datagram_beside_a_bulk_transfer_is_answered() {
    let pair = Pair::new("ipv4");
    pair.install(GCM);
    let [here, there] = datagram_sockets(&pair, "10.9.2.1");
    let echo = std::thread::spawn(move || {
        let mut buffer = [0_u8; 64];
        while let Ok(len @ 1..) = there.recv(&mut buffer) {
            there.send(&buffer[..len]).unwrap();
        }
    });
    let bulk = Bulk::start(&pair, "10.9.2.1", 4);
    bulk.wait_for_each(100_000);
    // A full queue may drop one, and whoever asks asks again.
    here.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut buffer = [0_u8; 64];
    let mut asked_again = 0;
    for number in 1..=100_u8 {
        loop {
            here.send(&[number]).unwrap();
            if here.recv(&mut buffer).is_ok() {
                break;
            }
            asked_again += 1;
            assert!(asked_again < 10, "answers do not come beside a bulk transfer");
        }
    }
    let carried: u64 = bulk.received().iter().sum();
    assert!(carried > 400_000, "{carried}");
    drop(bulk);
    // An empty one ends the echo, and this one is not in anybody's way.
    here.send(&[]).unwrap();
    echo.join().unwrap();
}

/// What a device of the first end dropped on the way out, as `ip -s link` shows it.
fn dropped_by_device(pair: &Pair, device: &'static str) -> u64 {
    let shown = pair.ends[0].namespace.run(move || ip(&format!("-s -j link show {device}")));
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    shown[0]["stats64"]["tx"]["dropped"].as_u64().unwrap()
}

/// What the UDP sockets of a namespace dropped, as /proc tells it.
fn dropped_by_sockets(pair: &Pair, end: usize) -> u64 {
    let table = pair.ends[end].namespace.run(|| std::fs::read_to_string("/proc/thread-self/net/udp").unwrap());
    table.lines().skip(1).map(|line| line.split_whitespace().last().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn of_a_burst_that_no_queue_holds_each_packet_is_delivered_or_counted_and_what_follows_passes() {
    const BURST: u64 = 10_000;
    let pair = Pair::new("ipv4");
    pair.install(CBC);
    let [here, there] = datagram_sockets(&pair, "10.9.2.1");
    pair.ends[0].namespace.run(|| ip("link set t0 txqueuelen 20"));
    let sealed_before = pair.counters()[0].0.path.packets;
    for number in 0..BURST {
        here.send(&number.to_be_bytes()).unwrap();
    }
    let mut delivered: u64 = 0;
    let mut last = None;
    let mut buffer = [0_u8; 64];
    let pause = Duration::from_millis(50);
    there.set_read_timeout(Some(pause)).unwrap();
    let mut pauses = 0;
    loop {
        if there.recv(&mut buffer).is_ok() {
            let number = u64::from_be_bytes(*buffer.first_chunk().unwrap());
            assert!(last < Some(number), "{number} came behind {last:?}");
            last = Some(number);
            delivered += 1;
            continue;
        }
        let [(outbound, _), (_, inbound)] = pair.counters();
        let by_device = dropped_by_device(&pair, "t0");
        let by_ends =
            [outbound.path.dropped_total(), outbound.unsent, inbound.path.dropped_total(), inbound.undelivered];
        let dropped = by_device + by_ends.iter().sum::<u64>() + dropped_by_sockets(&pair, 1);
        if delivered + dropped == BURST {
            assert!(by_device > 0, "the burst was no burst");
            assert_eq!(outbound.path.packets - sealed_before + by_device, BURST);
            break;
        }
        pauses += 1;
        assert!(pause * pauses < PATIENCE, "{delivered} came and {dropped} were counted: {outbound:?} {inbound:?}");
    }
    pair.ends[0].namespace.run(|| ip("link set t0 txqueuelen 500"));
    exchange_datagrams(&pair, "10.9.2.1", &[22; 500]);
}
