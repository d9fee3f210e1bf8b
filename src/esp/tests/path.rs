//! What the path carries and routers say: packets that are too long, and errors from addresses that no selector knows.

use super::*;
use crate::esp::{
    counters::DropReason,
    packet::{
        InnerPacket, TCP,
        tests::{fix_checksum, ipv6},
    },
};

const SUITE: EspSuite = EspSuite { protection: GCM, esn: false };

fn any_sender() -> OutboundParameters {
    let any = vec![Selector::any_v4(), Selector::any_v6()];
    OutboundParameters { sources: any.clone(), destinations: any, ..outbound_sa(SUITE, 0x1000, 1) }
}

/// Time exceeded, from a router, about the beginning of a packet.
fn error_about(router: &str, to: &str, packet: &[u8]) -> Vec<u8> {
    ipv4(router, to, 1, &[&[11, 0, 0, 0, 0, 0, 0, 0], packet].concat())
}

/// What the receiving side answers with: 10.250.0.0/24 to 10.200.0.1.
fn ours() -> Vec<u8> {
    ipv4("10.250.0.5", "10.200.0.1", 17, &[0, 53, 0x30, 0x39, 0, 8, 0, 0])
}

#[test]
fn t_03_an_icmp_error_about_a_packet_of_ours_comes_in_from_any_router() {
    let mut pair = Pair::empty();
    pair.install(NOW, CHILD, inbound_sa(SUITE, 0x1000, 1));
    pair.switch(NOW, CHILD, any_sender());
    let about_v6 = ipv6("fd25::5", "fd20::1", 17, &[0; 8]);
    let packets = [
        error_about("172.16.0.1", "10.250.0.5", &ours()),
        error_about("172.16.0.1", "10.250.0.5", &ours()[..28]),
        ipv6("2001:db8::1", "fd25::5", 58, &[&[2, 0, 0, 0, 0, 0, 5, 0], &about_v6[..]].concat()),
    ];
    let sealed = pair.send(NOW, &packets);
    assert_eq!(pair.receive(NOW, &sealed), packets);
}

#[test]
fn t_03_other_icmp_from_outside_the_selectors_is_dropped_and_counted() {
    let mut pair = Pair::empty();
    pair.install(NOW, CHILD, inbound_sa(SUITE, 0x1000, 1));
    pair.switch(NOW, CHILD, any_sender());
    let mut redirect = error_about("172.16.0.1", "10.250.0.5", &ours());
    redirect[20] = 5;
    let mut fragment = error_about("172.16.0.1", "10.250.0.5", &ours());
    fragment[6] = 0x20;
    fix_checksum(&mut fragment);
    let packets = [
        // Not about a packet that we may send.
        error_about("172.16.0.1", "10.250.0.5", &ipv4("10.250.0.5", "10.200.0.2", 17, &[0; 8])),
        error_about("172.16.0.1", "10.250.0.5", &ipv4("127.0.0.1", "10.200.0.1", 17, &[0; 8])),
        // Not to its sender.
        error_about("172.16.0.1", "10.250.0.6", &ours()),
        // To nobody of ours.
        error_about("172.16.0.1", "10.250.1.5", &ipv4("10.250.1.5", "10.200.0.1", 17, &[0; 8])),
        // No packet at all, or not enough of it.
        error_about("172.16.0.1", "10.250.0.5", &[]),
        error_about("172.16.0.1", "10.250.0.5", &ours()[..19]),
        // No error, and no whole one.
        ipv4("172.16.0.1", "10.250.0.5", 1, &[&[8, 0, 0, 0, 0, 0, 0, 0], &ours()[..]].concat()),
        redirect,
        fragment,
    ];
    let sealed = pair.send(NOW, &packets);
    assert_eq!(sealed.len(), packets.len());
    assert_eq!(pair.receive(NOW, &sealed), Vec::<Vec<u8>>::new());
    assert_eq!(pair.inbound.counters().dropped(DropReason::OutsideSelectors), 9);
}

#[test]
fn t_06_what_may_be_cut_goes_on_and_what_may_not_is_told_and_counted() {
    let mut pair = Pair::with(SUITE);
    pair.outbound.set_mtu(Some(1206));
    let sized = |octets: usize, flags: u8| {
        let mut packet = ipv4("10.200.0.1", "10.250.0.5", 17, &vec![7; octets - 20]);
        packet[6] = flags;
        fix_checksum(&mut packet);
        packet
    };
    let v6 = |octets: usize| ipv6("fd20::1", "fd25::5", 17, &vec![7; octets - 40]);
    let leave = [sized(1206, 0x40), sized(1207, 0), v6(1207), v6(1280)];
    assert_eq!(pair.send(NOW, &leave).len(), leave.len());
    assert_eq!(pair.outbound.poll_answer(), None);
    let stay = [sized(1207, 0x40), v6(1281)];
    assert!(pair.send(NOW, &stay).is_empty());
    assert_eq!(pair.outbound.counters().dropped(DropReason::BeyondPath), 2);
    let answers: Vec<_> = std::iter::from_fn(|| pair.outbound.poll_answer()).collect();
    assert_eq!((answers.len(), pair.outbound.counters().told), (2, 2));
    assert_eq!((&answers[0][26..28], &answers[1][44..48]), (&[4, 182][..], &[0, 0, 5, 0][..]));
    assert_eq!(InnerPacket::parse(&answers[0]).unwrap().destination().to_string(), "10.200.0.1");
}

#[test]
fn t_07_answers_are_bounded_in_time_and_in_memory() {
    let mut pair = Pair::with(SUITE);
    pair.outbound.set_mtu(Some(600));
    let mut packet = ipv4("10.200.0.1", "10.250.0.5", 17, &[7; 1000]);
    packet[6] = 0x40;
    fix_checksum(&mut packet);
    let many = vec![packet; 60];
    let answers = |pair: &mut Pair| std::iter::from_fn(|| pair.outbound.poll_answer()).count();
    (0..5).for_each(|_| assert!(pair.send(NOW, &many).is_empty()));
    assert_eq!(answers(&mut pair), 100, "in a second");
    for second in 1..5 {
        let now = NOW.after(std::time::Duration::from_secs(second));
        (0..5).for_each(|_| assert!(pair.send(now, &many).is_empty()));
    }
    assert_eq!(answers(&mut pair), 100, "that wait");
}

#[test]
fn v_53_a_packet_outside_the_selectors_is_never_answered() {
    let mut pair = Pair::with(SUITE);
    pair.outbound.set_mtu(Some(600));
    let mut packet = ipv4("10.200.0.2", "10.250.0.5", TCP, &[7; 1000]);
    packet[6] = 0x40;
    fix_checksum(&mut packet);
    assert!(pair.send(NOW, &[packet]).is_empty());
    assert_eq!(pair.outbound.poll_answer(), None);
}
