//! Packets that overtake the answer of the gateway that names their SA.

use std::time::Duration;

use super::*;
use crate::esp::counters::DropReason;

const SUITE: EspSuite = EspSuite { protection: GCM, esn: false };

fn at(milliseconds: u64) -> Instant {
    NOW.after(Duration::from_millis(milliseconds))
}

/// What comes out of packets that were kept, batch by batch.
fn opened(pair: &mut Pair, now: Instant) -> Vec<Vec<u8>> {
    let mut inner = Vec::new();
    loop {
        pair.receiving.clear();
        if !pair.inbound.fill_early(now, &mut pair.receiving) {
            return inner;
        }
        pair.inbound.process(now, &mut pair.receiving);
        inner.extend(pair.receiving.inner().map(<[u8]>::to_vec));
    }
}

/// A gateway that sends `count` packets with an SA that the other side does not have yet.
fn sent_early(count: usize) -> (Pair, Vec<Vec<u8>>) {
    let mut pair = Pair::empty();
    pair.switch(NOW, CHILD, outbound_sa(SUITE, 0x1000, 1));
    let packets: Vec<Vec<u8>> = (0..count).map(udp).collect();
    for packets in packets.chunks(64) {
        let datagrams = pair.send(NOW, packets);
        assert!(pair.receive(NOW, &datagrams).is_empty());
    }
    (pair, packets)
}

#[test]
fn what_comes_before_its_sa_is_opened_once_and_in_order_when_that_is_there() {
    let (mut pair, packets) = sent_early(100);
    assert!(opened(&mut pair, at(20)).is_empty());
    pair.install(at(20), ChildId(9), inbound_sa(SUITE, 0x2000, 2));
    assert!(opened(&mut pair, at(20)).is_empty(), "this is another SA");
    pair.install(at(20), CHILD, inbound_sa(SUITE, 0x1000, 1));
    assert_eq!(opened(&mut pair, at(20)), packets);
    assert_eq!(pair.inbound.counters().early, 100);
    assert!(opened(&mut pair, at(20)).is_empty());
}

#[test]
fn it_is_kept_for_a_moment_only_and_not_without_end() {
    let (mut pair, _) = sent_early(1);
    pair.install(at(500), CHILD, inbound_sa(SUITE, 0x1000, 1));
    assert!(opened(&mut pair, at(500)).is_empty());

    let (mut pair, packets) = sent_early(1000);
    pair.install(NOW, CHILD, inbound_sa(SUITE, 0x1000, 1));
    assert_eq!(opened(&mut pair, NOW), packets[1000 - 256..], "the newest");
    assert_eq!(pair.inbound.counters().dropped(DropReason::UnknownSpi), 1000);
}

#[test]
fn what_nobody_sealed_is_dropped_when_its_sa_is_there() {
    let mut pair = Pair::empty();
    pair.receive(
        NOW,
        &[vec![0, 0, 0x10, 0, 0, 0, 0, 1, 2, 3], vec![0; 9000], [vec![0, 0, 0x10, 0], vec![7; 60]].concat()],
    );
    pair.install(NOW, CHILD, inbound_sa(SUITE, 0x1000, 1));
    assert!(opened(&mut pair, NOW).is_empty());
    assert_eq!(pair.inbound.counters().packets, 0);
}
