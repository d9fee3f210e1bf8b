use std::time::Duration;

use super::*;
use crate::{
    esp::{
        counters::DropReason,
        dataplane::{Applied, InboundCommand, MAX_REPORTS, OutboundCommand},
        packet::{InnerPacket, tests::ipv6},
    },
    sa::command::{DataReport, LifetimeMark},
};

const SUITE: EspSuite = EspSuite { protection: GCM, esn: false };

fn at(milliseconds: u64) -> Instant {
    NOW.after(Duration::from_millis(milliseconds))
}

fn from_to(source: &str, destination: &str) -> Vec<u8> {
    ipv4(source, destination, 17, &[0x30, 0x39, 0, 53, 0, 8, 0, 0])
}

fn reports(pair: &mut Pair) -> Vec<DataReport> {
    let outbound: Vec<_> = std::iter::from_fn(|| pair.outbound.poll_report()).collect();
    outbound.into_iter().chain(std::iter::from_fn(|| pair.inbound.poll_report())).collect()
}

/// The gateway holds no selectors here, so that what a hostile gateway sends is seen by the client's check alone.
fn careless_sender(protection: Protection) -> OutboundParameters {
    let any = vec![Selector::any_v4(), Selector::any_v6()];
    OutboundParameters {
        sources: any.clone(),
        destinations: any,
        ..outbound_sa(EspSuite { protection, esn: false }, 0x1000, 1)
    }
}

#[test]
fn t_01_only_packets_within_the_selectors_leave() {
    let mut pair = Pair::with(SUITE);
    for (packet, reason) in [
        (from_to("10.200.0.2", "10.250.0.5"), DropReason::OutsideSelectors),
        (from_to("192.0.2.1", "10.250.0.5"), DropReason::OutsideSelectors),
        (from_to("10.200.0.1", "10.250.1.0"), DropReason::NoChild),
        (from_to("10.200.0.1", "224.0.0.251"), DropReason::NoChild),
        (from_to("10.200.0.1", "255.255.255.255"), DropReason::NoChild),
        (ipv6("fe80::1", "ff02::2", 58, &[133, 0, 0, 0, 0, 0, 0, 0]), DropReason::NoChild),
        (ipv6("fd20::2", "fd25::1", 17, &[0; 8]), DropReason::OutsideSelectors),
        (vec![], DropReason::InnerTooShort),
        (vec![0x10; 60], DropReason::NotIp),
    ] {
        assert!(pair.send(NOW, &[packet]).is_empty());
        assert_eq!(pair.sending.dropped().collect::<Vec<_>>(), [reason]);
    }
    assert_eq!(pair.send(NOW, &[from_to("10.200.0.1", "10.250.0.255")]).len(), 1);
}

#[test]
fn t_02_only_packets_within_the_selectors_arrive() {
    for protection in [GCM, CBC] {
        let mut pair = Pair::empty();
        pair.install(NOW, CHILD, inbound_sa(EspSuite { protection, esn: false }, 0x1000, 1));
        pair.switch(NOW, CHILD, careless_sender(protection));
        for (packet, reason) in [
            (from_to("10.200.0.2", "10.250.0.5"), DropReason::OutsideSelectors),
            (from_to("10.200.0.1", "10.250.1.5"), DropReason::OutsideSelectors),
            (from_to("10.250.0.5", "10.200.0.1"), DropReason::OutsideSelectors),
            (ipv6("fd20::1", "fd26::1", 17, &[0; 8]), DropReason::OutsideSelectors),
        ] {
            let datagrams = pair.send(NOW, &[packet]);
            assert_eq!(datagrams.len(), 1);
            assert!(pair.receive(NOW, &datagrams).is_empty());
            assert_eq!(pair.receiving.dropped().collect::<Vec<_>>(), [reason]);
        }
    }
}

#[test]
fn t_01_t_02_protocols_and_ports_are_checked_on_both_sides() {
    let dns = Selector::new("10.250.0.5".parse().unwrap(), "10.250.0.5".parse().unwrap(), 17, 53, 53).unwrap();
    let datagram = |port: u8, destination| ipv4("10.200.0.1", destination, 17, &[0x30, 0x39, 0, port, 0, 8, 0, 0]);
    let mut pair = Pair::empty();
    pair.install(NOW, CHILD, InboundParameters { destinations: vec![dns], ..inbound_sa(SUITE, 0x1000, 1) });
    pair.switch(NOW, CHILD, OutboundParameters { destinations: vec![dns], ..outbound_sa(SUITE, 0x1000, 1) });
    let packets = [datagram(53, "10.250.0.5"), datagram(54, "10.250.0.5"), datagram(53, "10.250.0.6")];
    assert_eq!(pair.send(NOW, &packets).len(), 1);
    pair.switch(NOW, CHILD, careless_sender(GCM));
    let sealed = pair.send(NOW, &packets);
    assert_eq!(pair.receive(NOW, &sealed), packets[..1]);
    assert_eq!(pair.inbound.counters().dropped(DropReason::OutsideSelectors), 2);
}

#[test]
fn t_05_later_fragments_pass_only_where_ports_do_not_matter() {
    let mut later = from_to("10.200.0.1", "10.250.0.5");
    later[7] = 1;
    crate::esp::packet::tests::fix_checksum(&mut later);
    let mut pair = Pair::with(SUITE);
    assert_eq!(pair.send(NOW, &[later.clone()]).len(), 1);
    let all = subnet("10.250.0.0/24");
    let ports = vec![Selector::new(all.start(), all.end(), 17, 53, 53).unwrap()];
    pair.switch(NOW, CHILD, OutboundParameters { destinations: ports, ..outbound_sa(SUITE, 0x1000, 1) });
    assert!(pair.send(NOW, &[later]).is_empty());
}

#[test]
fn t_15_a_packet_to_the_gateway_itself_is_a_loop() {
    let mut pair = Pair::empty();
    pair.switch(NOW, CHILD, careless_sender(GCM));
    assert!(pair.send(NOW, &[from_to("10.200.0.1", "198.51.100.1")]).is_empty());
    assert_eq!(pair.outbound.counters().dropped(DropReason::ToGateway), 1);
    assert_eq!(pair.send(NOW, &[from_to("10.200.0.1", "198.51.100.2")]).len(), 1);
}

#[test]
fn a_packet_without_a_child_is_reported_at_most_once_a_second() {
    let mut pair = Pair::empty();
    for (milliseconds, expected) in [(0, 1), (1, 0), (999, 0), (1000, 1), (1500, 0), (2100, 1)] {
        assert!(pair.send(at(milliseconds), &vec![udp(1); 5]).is_empty());
        assert_eq!(reports(&mut pair), vec![DataReport::NoChild; expected], "{milliseconds} ms");
    }
    assert_eq!(pair.outbound.counters().dropped(DropReason::NoChild), 30);
}

#[test]
fn e_01_an_unknown_spi_is_reported_once_a_second_and_only_from_the_gateway() {
    let mut pair = Pair::with(SUITE);
    let unknown = vec![0, 0, 0x20, 0, 0, 0, 0, 1, 2, 3];
    for (milliseconds, expected) in [(0, 1), (500, 0), (1000, 1)] {
        pair.receive(at(milliseconds), &vec![unknown.clone(); 3]);
        assert_eq!(reports(&mut pair), vec![DataReport::UnknownSpi { spi: 0x2000 }; expected]);
    }
    pair.receiving.clear();
    let stranger = Path { remote: address("203.0.113.9:4500"), ..path() };
    pair.receiving.push_datagram(&unknown, Arrival { path: stranger, tos: 0 });
    pair.inbound.process(at(5000), &mut pair.receiving);
    assert_eq!(reports(&mut pair), []);
    assert_eq!(pair.inbound.counters().dropped(DropReason::UnknownSpi), 10);
}

#[test]
fn n_05_a_valid_packet_from_elsewhere_is_taken_and_moves_nothing() {
    let mut pair = Pair::with(SUITE);
    let datagrams = pair.send(NOW, &[udp(1)]);
    pair.receiving.clear();
    let elsewhere = Path { remote: address("203.0.113.9:9999"), ..path() };
    pair.receiving.push_datagram(&datagrams[0], Arrival { path: elsewhere, tos: 0 });
    pair.inbound.process(NOW, &mut pair.receiving);
    assert_eq!(pair.receiving.inner().count(), 1);
    pair.send(NOW, &[udp(1)]);
    assert_eq!(pair.sending.sealed().next().unwrap().path, path());
}

#[test]
fn n_01_ike_messages_and_keepalives_stand_beside_esp_in_one_batch() {
    let mut pair = Pair::with(SUITE);
    let sealed = pair.send(NOW, &[udp(3), udp(4)]);
    let ike = vec![0, 0, 0, 0, 0xaa, 0xbb];
    let datagrams = [sealed[0].clone(), ike, vec![0xff], vec![], sealed[1].clone(), vec![0, 0, 0]];
    assert_eq!(pair.receive(NOW, &datagrams), [udp(3), udp(4)]);
    assert_eq!(pair.receiving.ike().collect::<Vec<_>>(), [(path(), &[0xaa, 0xbb][..])]);
    let counters = pair.inbound.counters();
    assert_eq!((counters.ike, counters.keepalives, counters.dropped(DropReason::TooShort)), (1, 1, 2));
    assert_eq!((counters.packets, counters.octets), (2, u64::try_from(udp(3).len() + udp(4).len()).unwrap()));
}

#[test]
fn inbound_packets_are_life_once_at_first_and_then_once_a_second() {
    let mut pair = Pair::with(SUITE);
    let seen = DataReport::InboundSeen { child: CHILD, spi: InboundSpi::new(0x1000).unwrap() };
    for (milliseconds, expected) in [(100, 1), (200, 0), (1099, 0), (1100, 1)] {
        let datagrams = pair.send(at(milliseconds), &vec![udp(1); 3]);
        while pair.outbound.poll_report().is_some() {}
        pair.receive(at(milliseconds), &datagrams);
        assert_eq!(reports(&mut pair), vec![seen.clone(); expected], "{milliseconds} ms");
    }
}

#[test]
fn sent_packets_are_reported_once_a_second() {
    let mut pair = Pair::with(SUITE);
    for (milliseconds, expected) in [(100, 1), (200, 0), (1099, 0), (1100, 1)] {
        pair.send(at(milliseconds), &vec![udp(1); 3]);
        assert_eq!(reports(&mut pair), vec![DataReport::OutboundSent { child: CHILD }; expected]);
    }
}

#[test]
fn the_numbers_that_packets_come_with_are_those_of_the_sas() {
    let mut pair = Pair::with(SUITE);
    pair.install(NOW, ChildId(2), inbound_sa(SUITE, 0x2000, 2));
    let spis = |pair: &Pair| {
        let mut spis: Vec<u32> = pair.inbound.spis().collect();
        spis.sort_unstable();
        spis
    };
    assert_eq!(spis(&pair), [0x1000, 0x2000]);
    pair.apply(NOW, DataCommand::RemoveChild { child: CHILD });
    assert_eq!(spis(&pair), [0x2000]);
}

#[test]
fn n_03_a_keepalive_is_asked_for_only_if_nothing_was_sent() {
    let mut pair = Pair::with(SUITE);
    let ask = |pair: &mut Pair| pair.outbound.apply(NOW, OutboundCommand::Keepalive { path: path() }).unwrap();
    assert_eq!(ask(&mut pair), Applied::SendKeepalive(path()));
    pair.send(NOW, &[udp(1)]);
    assert_eq!(ask(&mut pair), Applied::Done);
    assert_eq!(ask(&mut pair), Applied::SendKeepalive(path()));
    pair.send(NOW, &[from_to("10.9.9.9", "10.250.0.5")]);
    assert_eq!(ask(&mut pair), Applied::SendKeepalive(path()), "a dropped packet is not sent");
    pair.outbound.start_behind(u64::from(u32::MAX));
    assert!(pair.send(NOW, &[udp(1)]).is_empty());
    assert_eq!(ask(&mut pair), Applied::SendKeepalive(path()), "nor is one that no number is left for");
}

#[test]
fn e_12_a_rekey_under_load_loses_and_doubles_nothing() {
    for suite in suites() {
        let mut pair = Pair::with(suite);
        let mut sent = Vec::new();
        let mut in_flight = Vec::new();
        let mut delivered = Vec::new();
        for round in 0..12usize {
            match round {
                3 => pair.install(NOW, CHILD, inbound_sa(suite, 0x2000, 2)),
                5 => pair.switch(NOW, CHILD, outbound_sa(suite, 0x2000, 2)),
                9 => pair.apply(NOW, DataCommand::RemoveInbound { spi: InboundSpi::new(0x1000).unwrap() }),
                _ => {}
            }
            let packets: Vec<_> = (0..10).map(|index| udp(round * 10 + index)).collect();
            in_flight.extend(pair.send(NOW, &packets));
            sent.extend(packets);
            // Two rounds of packets are on the way; the newest overtake the oldest.
            if in_flight.len() > 20 {
                let mut arriving: Vec<_> = in_flight.drain(..in_flight.len() - 20).collect();
                arriving.reverse();
                delivered.extend(pair.receive(NOW, &arriving));
            }
        }
        delivered.extend(pair.receive(NOW, &in_flight));
        delivered.sort();
        sent.sort();
        assert_eq!(delivered, sent, "{suite:?}");
        assert_eq!(pair.inbound.counters().dropped_total(), 0);
    }
}

#[test]
fn e_12_packets_of_two_sas_in_one_batch_keep_their_order() {
    let mut pair = Pair::with(SUITE);
    pair.install(NOW, CHILD, inbound_sa(EspSuite { protection: CBC, esn: true }, 0x2000, 2));
    let old = pair.send(NOW, &[udp(0), udp(2), udp(4)]);
    pair.switch(NOW, CHILD, outbound_sa(EspSuite { protection: CBC, esn: true }, 0x2000, 2));
    let new = pair.send(NOW, &[udp(1), udp(3), udp(5)]);
    let mixed: Vec<_> = old.into_iter().zip(new).flat_map(|(old, new)| [old, new]).collect();
    assert_eq!(pair.receive(NOW, &mixed), (0..6).map(udp).collect::<Vec<_>>());
}

#[test]
fn several_children_share_a_batch_and_each_has_its_own_sa() {
    let mut pair = Pair::empty();
    let sides = [("10.250.0.0/24", GCM), ("10.250.1.0/24", CBC), ("10.250.2.0/24", GCM)];
    for (number, (side, protection)) in (1u32..).zip(sides) {
        let suite = EspSuite { protection, esn: number == 2 };
        let destinations = vec![subnet(side)];
        let (spi, seed) = (0x1000 * number, u64::from(number));
        pair.install(
            NOW,
            ChildId(number),
            InboundParameters { destinations: destinations.clone(), ..inbound_sa(suite, spi, seed) },
        );
        pair.switch(NOW, ChildId(number), OutboundParameters { destinations, ..outbound_sa(suite, spi, seed) });
    }
    let packets: Vec<_> =
        (0..30).map(|index| from_to("10.200.0.1", &format!("10.250.{}.{index}", index % 3))).collect();
    let datagrams = pair.send(NOW, &packets);
    assert_eq!(datagrams.iter().map(|datagram| datagram[2] >> 4).take(6).collect::<Vec<_>>(), [1, 2, 3, 1, 2, 3]);
    assert_eq!(pair.receive(NOW, &datagrams), packets);

    pair.apply(NOW, DataCommand::RemoveChild { child: ChildId(2) });
    let remaining = pair.send(NOW, &packets);
    assert_eq!(remaining.len(), 20);
    assert_eq!(pair.receive(NOW, &remaining).len(), 20);
    assert_eq!(pair.receive(NOW, &datagrams[1..2]), [] as [Vec<u8>; 0]);
    assert_eq!(pair.inbound.counters().dropped(DropReason::UnknownSpi), 1);
}

#[test]
fn t_01_children_that_differ_on_our_side_only_carry_each_side() {
    let mut pair = Pair::empty();
    for (number, side) in (1u32..).zip(["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24"]) {
        let sources = vec![subnet(side)];
        let (spi, seed) = (0x1000 * number, u64::from(number));
        let sa = InboundParameters { sources: sources.clone(), ..inbound_sa(SUITE, spi, seed) };
        pair.install(NOW, ChildId(number), sa);
        pair.switch(NOW, ChildId(number), OutboundParameters { sources, ..outbound_sa(SUITE, spi, seed) });
    }
    let packets: Vec<_> = (1..=3).map(|net| from_to(&format!("10.{net}.0.9"), "10.250.0.5")).collect();
    let datagrams = pair.send(NOW, &packets);
    assert_eq!(datagrams.iter().map(|datagram| datagram[2] >> 4).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(pair.receive(NOW, &datagrams), packets);
    assert!(pair.send(NOW, &[from_to("10.4.0.9", "10.250.0.5")]).is_empty());
    assert_eq!(pair.sending.dropped().collect::<Vec<_>>(), [DropReason::OutsideSelectors]);
}

#[test]
fn t_02_an_sa_of_one_child_does_not_carry_another_childs_packets() {
    let mut pair = Pair::empty();
    let other = vec![subnet("10.251.0.0/24")];
    pair.install(NOW, CHILD, inbound_sa(SUITE, 0x1000, 1));
    pair.install(NOW, ChildId(2), InboundParameters { destinations: other, ..inbound_sa(SUITE, 0x2000, 2) });
    pair.switch(NOW, CHILD, careless_sender(GCM));
    let datagrams = pair.send(NOW, &[from_to("10.200.0.1", "10.251.0.1")]);
    assert!(pair.receive(NOW, &datagrams).is_empty());
    assert_eq!(pair.inbound.counters().dropped(DropReason::OutsideSelectors), 1);
}

#[test]
fn of_two_children_with_the_same_selectors_the_newest_sends() {
    let mut pair = Pair::with(SUITE);
    pair.install(NOW, ChildId(2), inbound_sa(SUITE, 0x2000, 2));
    pair.switch(NOW, ChildId(2), outbound_sa(SUITE, 0x2000, 2));
    assert_eq!(pair.send(NOW, &[udp(1)])[0][..4], [0, 0, 0x20, 0]);
    pair.apply(NOW, DataCommand::RemoveChild { child: ChildId(2) });
    assert_eq!(pair.send(NOW, &[udp(1)])[0][..4], [0, 0, 0x10, 0]);
}

#[test]
fn moving_the_peer_moves_one_child() {
    let mut pair = Pair::with(SUITE);
    pair.switch(
        NOW,
        ChildId(2),
        OutboundParameters { destinations: vec![subnet("10.251.0.0/24")], ..outbound_sa(SUITE, 0x2000, 2) },
    );
    let moved = Path { remote: address("203.0.113.5:4500"), ..path() };
    pair.apply(NOW, DataCommand::MovePeer { child: ChildId(2), path: moved });
    pair.send(NOW, &[udp(1), from_to("10.200.0.1", "10.251.0.1")]);
    assert_eq!(pair.sending.sealed().map(|sealed| sealed.path).collect::<Vec<_>>(), [path(), moved]);
}

#[test]
fn each_half_gets_exactly_its_part_of_a_command() {
    let spi = InboundSpi::new(0x1000).unwrap();
    let install = DataCommand::InstallInbound { child: CHILD, sa: Box::new(inbound_sa(SUITE, 0x1000, 1)) };
    assert!(matches!(split(install), (None, Some(InboundCommand::Install { .. }))));
    let switch = DataCommand::SwitchOutbound { child: CHILD, sa: Box::new(outbound_sa(SUITE, 0x1000, 1)) };
    assert!(matches!(split(switch), (Some(OutboundCommand::Switch { .. }), Some(InboundCommand::PeerAt { .. }))));
    assert!(matches!(split(DataCommand::RemoveInbound { spi }), (None, Some(InboundCommand::Remove { .. }))));
    let remove = split(DataCommand::RemoveChild { child: CHILD });
    assert!(matches!(remove, (Some(OutboundCommand::RemoveChild { .. }), Some(InboundCommand::RemoveChild { .. }))));
    let moved = split(DataCommand::MovePeer { child: CHILD, path: path() });
    assert!(matches!(moved, (Some(OutboundCommand::MovePeer { .. }), Some(InboundCommand::PeerAt { .. }))));
    assert!(matches!(split(DataCommand::Keepalive { path: path() }), (Some(OutboundCommand::Keepalive { .. }), None)));
}

#[test]
fn a_key_that_does_not_fit_changes_nothing() {
    let mut pair = Pair::with(SUITE);
    let wrong = || keys(CBC, 9);
    let sa = Box::new(OutboundParameters { keys: wrong(), ..outbound_sa(SUITE, 0x2000, 2) });
    assert!(pair.outbound.apply(NOW, OutboundCommand::Switch { child: CHILD, sa }).is_err());
    let sa = Box::new(InboundParameters { keys: wrong(), ..inbound_sa(SUITE, 0x1000, 2) });
    assert!(pair.inbound.apply(NOW, InboundCommand::Install { child: CHILD, sa }).is_err());
    let datagrams = pair.send(NOW, &[udp(1)]);
    assert_eq!(pair.receive(NOW, &datagrams), [udp(1)]);
}

#[test]
fn t_12_ecn_goes_out_and_congestion_comes_in() {
    for packet in [udp(1), ipv6("fd20::1", "fd25::5", 17, &[0, 1, 0, 2, 0, 8, 0, 0])] {
        for (inner, outer, expected) in
            [(0b10u8, 0b11u8, Some(0b11)), (0b10, 0b01, Some(0b01)), (0b01, 0b00, Some(0b01)), (0b00, 0b11, None)]
        {
            let mut pair = Pair::with(EspSuite { protection: CBC, esn: false });
            let mut packet = packet.clone();
            crate::esp::ecn::write_tos(&mut packet, 46 << 2 | inner);
            pair.send(NOW, &[packet]);
            let sealed = pair.sending.sealed().next().unwrap();
            assert_eq!(sealed.tos, 46 << 2 | inner, "DSCP and ECN are copied");
            pair.receiving.push_datagram(sealed.datagram, Arrival { path: path(), tos: outer });
            pair.inbound.process(NOW, &mut pair.receiving);
            let tos = pair.receiving.inner().next().map(|inner| InnerPacket::parse(inner).unwrap().tos());
            assert_eq!(tos, expected.map(|ecn: u8| 46 << 2 | ecn));
            assert_eq!(pair.inbound.counters().dropped(DropReason::Congestion), u64::from(expected.is_none()));
        }
    }
}

#[test]
fn t_09_handshakes_are_clamped_in_both_directions() {
    let mut segment = vec![0x9c, 0x40, 1, 0xbb, 1, 2, 3, 4, 5, 6, 7, 8, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0];
    segment.extend([2, 4, 0x05, 0xb4]);
    let syn = ipv4("10.200.0.1", "10.250.0.5", 6, &segment);
    let mss = |packets: &[Vec<u8>]| u16::from_be_bytes([packets[0][42], packets[0][43]]);
    for (sender, receiver, expected) in
        [(None, None, 1460), (Some(1422), None, 1382), (None, Some(1400), 1360), (Some(1422), Some(1400), 1360)]
    {
        let mut pair = Pair::with(SUITE);
        pair.outbound.set_mtu(sender);
        pair.inbound.set_mtu(receiver);
        let datagrams = pair.send(NOW, std::slice::from_ref(&syn));
        assert_eq!(mss(&pair.receive(NOW, &datagrams)), expected);
        let clamped = u64::from(sender.is_some()) + u64::from(receiver.is_some());
        assert_eq!(pair.outbound.counters().clamped + pair.inbound.counters().clamped, clamped);
    }
}

#[test]
fn only_the_newest_inbound_sa_of_a_child_reports_its_lifetime() {
    let lifetime = Lifetime { packets: Some(8), ..Lifetime::default() };
    let mut pair = Pair::with(SUITE);
    pair.install(NOW, CHILD, InboundParameters { lifetime, ..inbound_sa(SUITE, 0x2000, 2) });
    pair.switch(NOW, CHILD, outbound_sa(SUITE, 0x2000, 2));
    let datagrams = pair.send(NOW, &vec![udp(1); 7]);
    while pair.outbound.poll_report().is_some() {}
    pair.receive(NOW, &datagrams);
    let marks: Vec<_> =
        reports(&mut pair).into_iter().filter(|report| matches!(report, DataReport::Lifetime { .. })).collect();
    assert_eq!(marks, [DataReport::Lifetime { child: CHILD, mark: LifetimeMark::Soft }]);

    pair.install(NOW, CHILD, inbound_sa(SUITE, 0x3000, 3));
    let datagrams = pair.send(NOW, &vec![udp(1); 3]);
    while pair.outbound.poll_report().is_some() {}
    pair.receive(NOW, &datagrams);
    assert_eq!(pair.receiving.inner().count(), 3, "the batch that crosses the limit is still taken");
    assert!(!reports(&mut pair).iter().any(|report| matches!(report, DataReport::Lifetime { .. })));
    let datagrams = pair.send(NOW, &[udp(1)]);
    assert!(pair.receive(NOW, &datagrams).is_empty());
    assert_eq!(pair.inbound.counters().dropped(DropReason::LifetimeEnded), 1);
}

#[test]
fn reports_that_nobody_fetches_are_bounded_and_counted() {
    let mut pair = Pair::empty();
    for second in 0..300 {
        pair.send(at(second * 1000), &[udp(1)]);
    }
    assert_eq!(pair.outbound.counters().lost_reports, 300 - u64::try_from(MAX_REPORTS).unwrap());
    assert_eq!(reports(&mut pair).len(), MAX_REPORTS);
}

#[test]
fn e_16_a_train_of_datagrams_is_opened_where_it_lies() {
    for suite in suites() {
        let mut pair = Pair::with(suite);
        let mut packets = vec![udp(100); 5];
        packets.push(udp(10));
        let datagrams = pair.send(NOW, &packets);
        let train = datagrams.concat();
        pair.receiving.vacant().unwrap()[..train.len()].copy_from_slice(&train);
        pair.receiving.fill_train(train.len(), datagrams[0].len(), arrival());
        pair.inbound.process(NOW, &mut pair.receiving);
        let delivered: Vec<_> = pair.receiving.inner().map(<[u8]>::to_vec).collect();
        assert_eq!(delivered, packets, "{suite:?}");
    }
}
