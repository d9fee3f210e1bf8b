use proptest::prelude::*;

use super::*;
use crate::esp::counters::DropReason;

#[test]
fn e_06_v_35_every_length_from_0_to_80_of_garbage_is_dropped() {
    for suite in suites() {
        let mut pair = Pair::with(suite);
        for len in 0..=80usize {
            for fill in [0x00, 0x01, 0xff, 0xa5] {
                let mut datagram = vec![fill; len];
                for (octet, header) in datagram.iter_mut().zip([0, 0, 0x10, 0, 0, 0, 0, 9]) {
                    *octet = header;
                }
                assert!(pair.receive(NOW, &[datagram]).is_empty());
                assert_eq!(pair.receiving.ike().count(), 0);
            }
        }
        let counters = pair.inbound.counters();
        assert_eq!(counters.dropped_total(), 81 * 4);
        assert_eq!(pair.inbound.poll_report(), None);
        let datagrams = pair.send(NOW, &[udp(5)]);
        assert_eq!(pair.receive(NOW, &datagrams).len(), 1, "garbage must not move the window: {suite:?}");
    }
}

#[test]
fn e_06_every_truncation_of_a_real_packet_is_dropped() {
    for suite in suites() {
        let mut pair = Pair::with(suite);
        let datagram = pair.send(NOW, &[udp(40)]).remove(0);
        for len in 4..datagram.len() {
            assert!(pair.receive(NOW, &[datagram[..len].to_vec()]).is_empty());
        }
        assert_eq!(pair.receive(NOW, &[datagram]).len(), 1);
    }
}

#[test]
fn e_02_any_flipped_bit_leaves_everything_as_it_was() {
    for suite in suites() {
        let mut pair = Pair::with(suite);
        let datagram = pair.send(NOW, &[udp(21)]).remove(0);
        for at in 4..datagram.len() {
            let mut forged = datagram.clone();
            forged[at] ^= 1 << (at % 8);
            assert!(pair.receive(NOW, &[forged]).is_empty(), "{suite:?}, octet {at}");
        }
        assert_eq!(pair.inbound.counters().packets, 0);
        assert_eq!(pair.inbound.poll_report(), None);
        assert_eq!(pair.receive(NOW, &[datagram]).len(), 1);
    }
}

#[test]
fn e_02_a_forgery_in_the_middle_of_a_batch_harms_no_neighbour() {
    for suite in suites() {
        let mut pair = Pair::with(suite);
        let packets: Vec<_> = (0..9).map(udp).collect();
        let mut datagrams = pair.send(NOW, &packets);
        let last = datagrams[4].len() - 1;
        datagrams[4][last] ^= 1;
        datagrams[6].truncate(11);
        datagrams.insert(2, vec![0xff]);
        datagrams.insert(3, vec![]);
        let delivered = pair.receive(NOW, &datagrams);
        let expected: Vec<_> = [0, 1, 2, 3, 5, 7, 8].map(|index: usize| packets[index].clone()).to_vec();
        assert_eq!(delivered, expected, "{suite:?}");
    }
}

#[test]
fn e_02_a_replay_is_dropped_in_the_same_batch_and_later() {
    for suite in suites() {
        let mut pair = Pair::with(suite);
        let datagrams = pair.send(NOW, &[udp(1), udp(2)]);
        let doubled: Vec<_> = datagrams.iter().chain(&datagrams).chain(&datagrams).cloned().collect();
        assert_eq!(pair.receive(NOW, &doubled), [udp(1), udp(2)]);
        assert!(pair.receive(NOW, &datagrams).is_empty());
        assert_eq!(pair.inbound.counters().dropped(DropReason::Replayed), 6);
    }
}

#[test]
fn e_04_sequence_number_zero_is_refused_before_the_icv() {
    let mut pair = Pair::with(EspSuite { protection: GCM, esn: false });
    let mut datagram = pair.send(NOW, &[udp(1)]).remove(0);
    datagram[4..8].fill(0);
    assert!(pair.receive(NOW, &[datagram]).is_empty());
    assert_eq!(pair.inbound.counters().dropped(DropReason::Replayed), 1);
}

#[test]
fn c_08_keys_of_one_direction_do_not_open_the_other() {
    let suite = EspSuite { protection: GCM, esn: false };
    let mut pair = Pair::empty();
    pair.install(NOW, CHILD, inbound_sa(suite, 0x1000, 1));
    pair.switch(NOW, CHILD, outbound_sa(suite, 0x1000, 2));
    let datagrams = pair.send(NOW, &[udp(1)]);
    assert!(pair.receive(NOW, &datagrams).is_empty());
    assert_eq!(pair.inbound.counters().dropped(DropReason::NotAuthentic), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn e_06_arbitrary_datagrams_are_never_delivered(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
        known_spi in any::<bool>(),
        index in 0usize..46,
    ) {
        let suites = suites();
        let mut pair = Pair::with(suites[index % suites.len()]);
        let datagrams: Vec<_> = datagrams.into_iter().map(|mut datagram| {
            if known_spi {
                datagram.splice(0..datagram.len().min(4), [0, 0, 0x10, 0]);
            }
            datagram
        }).collect();
        prop_assert!(pair.receive(NOW, &datagrams).is_empty());
        prop_assert_eq!(pair.inbound.counters().packets, 0);
    }
}
