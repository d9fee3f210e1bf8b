use std::time::Duration;

use super::*;
use crate::esp::incidents::Told;

const SUITE: EspSuite = EspSuite { protection: GCM, esn: false };

fn at(milliseconds: u64) -> Instant {
    NOW.after(Duration::from_millis(milliseconds))
}

fn told(pair: &mut Pair) -> Vec<Told> {
    std::iter::from_fn(|| pair.inbound.poll_incident()).collect()
}

fn words(pair: &mut Pair) -> Vec<String> {
    told(pair).iter().map(Told::to_string).collect()
}

#[test]
fn e_14_of_each_reason_the_first_is_told_and_then_one_a_minute_with_the_number_of_all() {
    let mut pair = Pair::with(SUITE);
    let datagram = pair.send(NOW, &[udp(1)]).remove(0);
    assert_eq!(pair.receive(NOW, std::slice::from_ref(&datagram)).len(), 1);
    assert_eq!(told(&mut pair), []);
    let mut forged = datagram.clone();
    *forged.last_mut().unwrap() ^= 1;
    forged[7] = 9;
    for _ in 0..3 {
        pair.receive(at(1), &vec![datagram.clone(); 7]);
        pair.receive(at(2), &vec![forged.clone(); 5]);
    }
    let [replayed, damaged] = words(&mut pair).try_into().expect("one of each");
    assert_eq!(
        replayed,
        "an ESP packet was dropped: its sequence number was seen before, or is too old; from 198.51.100.1:4500, SPI 00001000, sequence \
         number 1; 21 so far for this reason (replayed)"
    );
    assert!(damaged.contains("forged or damaged") && damaged.contains("number 9; 15 so far"), "{damaged}");
    pair.receive(at(60_000), &vec![datagram.clone(); 9]);
    assert_eq!(told(&mut pair), []);
    pair.receive(at(60_001), &vec![datagram; 10]);
    assert_eq!(told(&mut pair).iter().map(|told| told.count).collect::<Vec<_>>(), [40]);
}

#[test]
fn e_14_a_packet_with_the_spi_of_no_sa_is_told_of_unless_its_sa_may_just_be_on_its_way() {
    let mut pair = Pair::with(SUITE);
    let unknown = vec![0, 0, 0x20, 0, 0, 0, 0, 7, 2, 3];
    for (milliseconds, expected) in [(0, 0), (499, 0), (500, 1), (1000, 0), (120_000, 0), (120_400, 0), (120_500, 1)] {
        pair.receive(at(milliseconds), std::slice::from_ref(&unknown));
        let told = words(&mut pair);
        assert_eq!(told.len(), expected, "{milliseconds} ms: {told:?}");
        assert!(
            told.iter().all(|text| text.contains("no SA of ours has its SPI; from 198.51.100.1:4500, SPI 00002000"))
        );
    }
}

#[test]
fn e_14_what_is_outside_of_what_was_agreed_is_told_with_its_inner_addresses() {
    let mut pair = Pair::empty();
    pair.install(NOW, CHILD, inbound_sa(SUITE, 0x1000, 1));
    let any = vec![Selector::any_v4(), Selector::any_v6()];
    let careless = OutboundParameters { sources: any.clone(), destinations: any, ..outbound_sa(SUITE, 0x1000, 1) };
    pair.switch(NOW, CHILD, careless);
    let sealed = pair.send(NOW, &[ipv4("10.200.0.1", "10.99.0.1", 17, &[0x30, 0x39, 0, 53, 0, 8, 0, 0])]);
    assert!(pair.receive(NOW, &sealed).is_empty());
    let [told] = told(&mut pair).try_into().expect("one");
    let inner = ["10.200.0.1", "10.99.0.1"].map(|address| address.parse().unwrap());
    assert_eq!(told.incident.inner, Some(inner.into()));
    let words = told.to_string();
    assert!(words.contains("SPI 00001000; 1 so far") && !words.contains("10.99.0.1"), "{words}");
}

#[test]
fn e_14_what_says_nothing_of_anybody_is_counted_only() {
    let mut pair = Pair::with(SUITE);
    pair.receive(NOW, &[vec![], vec![0, 0, 0x10], vec![0, 0, 0x10, 0, 0, 0, 0, 9], vec![0xff; 2]]);
    assert!(pair.inbound.counters().dropped_total() > 0);
    assert_eq!(told(&mut pair), []);
}
