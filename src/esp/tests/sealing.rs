use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    esp::{
        batch::Lane,
        counters::DropReason,
        layout::{IPV4, Layout},
        outbound::OutboundSa,
        packet::tests::ipv6,
    },
    sa::command::{DataReport, LifetimeMark},
};

fn raw_outbound(suite: EspSuite, seed: u64) -> OutboundSa {
    let spi = OutboundSpi::new(0x1000).unwrap();
    OutboundSa::new(NOW, spi, suite, &keys(suite.protection, seed), Lifetime::default()).unwrap()
}

fn seal_raw(sa: &mut OutboundSa, text: &[u8], next_header: u8) -> Vec<Vec<u8>> {
    let mut batch = Batch::new(1, 9216);
    assert!(batch.push_to_seal(text.len(), path(), Lane(0), next_header));
    for (packet, window) in batch.windows() {
        window[packet.data.clone()].copy_from_slice(text);
    }
    sa.seal(NOW, &mut batch, Lane(0), &mut ivs());
    batch.sealed().map(|sealed| sealed.datagram.to_vec()).collect()
}

#[test]
fn e_01_every_suite_opens_what_it_sealed() {
    for suite in suites() {
        let mut pair = Pair::with(suite);
        let packets: Vec<_> = (0..40).chain([576, 1400, 8900]).map(udp).collect();
        let datagrams = pair.send(NOW, &packets);
        assert_eq!(datagrams.len(), packets.len());
        for (datagram, packet) in datagrams.iter().zip(&packets) {
            assert_eq!(Some(datagram.len()), Layout::of(suite.protection).sealed_len(packet.len()), "{suite:?}");
            assert_eq!(datagram[..4], [0, 0, 0x10, 0]);
        }
        assert_eq!(pair.receive(NOW, &datagrams), packets, "{suite:?}");
        assert_eq!(pair.inbound.counters().odd_padding, 0);
        assert_eq!(pair.inbound.counters().dropped_total(), 0);
    }
}

#[test]
fn t_14_both_families_travel_in_one_child() {
    let mut pair = Pair::with(EspSuite { protection: GCM, esn: false });
    let packets = [udp(10), ipv6("fd20::1", "fd25::5", 17, &[0, 1, 0, 2, 0, 8, 0, 0]), udp(0)];
    let datagrams = pair.send(NOW, &packets);
    assert_eq!(pair.receive(NOW, &datagrams), packets);
}

#[test]
fn t_14_the_outer_family_does_not_matter() {
    let mut pair = Pair::with(EspSuite { protection: GCM, esn: false });
    let path = Path { local: address("[fd99::1]:4500"), remote: address("[fd99::2]:4500"), framing: Framing::Marked };
    pair.apply(NOW, DataCommand::MovePeer { child: CHILD, path });
    pair.sending.clear();
    pair.sending.push_inner(&udp(1));
    pair.outbound.process(NOW, &mut pair.sending);
    let sealed = pair.sending.sealed().next().unwrap();
    assert_eq!(sealed.path, path);
    pair.receiving.push_datagram(sealed.datagram, Arrival { path, tos: 0 });
    pair.inbound.process(NOW, &mut pair.receiving);
    assert_eq!(pair.receiving.inner().next().unwrap(), udp(1));
}

#[test]
fn e_04_the_first_sequence_number_is_one() {
    let mut pair = Pair::with(EspSuite { protection: CBC, esn: false });
    let datagrams = pair.send(NOW, &[udp(1), udp(2)]);
    assert_eq!(datagrams[0][4..8], [0, 0, 0, 1]);
    assert_eq!(datagrams[1][4..8], [0, 0, 0, 2]);
}

#[test]
fn e_11_an_aead_takes_the_sequence_number_as_iv() {
    let mut sa = raw_outbound(EspSuite { protection: GCM, esn: true }, 1);
    sa.start_behind(0x1_0000_0000);
    let datagram = &seal_raw(&mut sa, &udp(1), IPV4)[0];
    assert_eq!(datagram[4..8], [0, 0, 0, 1]);
    assert_eq!(datagram[8..16], [0, 0, 0, 1, 0, 0, 0, 1]);
}

#[test]
fn e_11_ivs_of_cbc_never_repeat_and_do_not_count() {
    let mut pair = Pair::with(EspSuite { protection: CBC, esn: false });
    let mut ivs = BTreeSet::new();
    for _ in 0..20 {
        for datagram in pair.send(NOW, &vec![udp(20); 50]) {
            assert!(ivs.insert(datagram[8..24].to_vec()));
        }
    }
    assert_eq!(ivs.len(), 1000);
    let first_octets: BTreeSet<_> = ivs.iter().map(|iv| iv[0]).collect();
    assert!(first_octets.len() > 200);
}

#[test]
fn c_08_no_nonce_repeats_under_a_key_across_batches_and_rekeys() {
    for suite in suites().into_iter().filter(|suite| matches!(suite.protection, Protection::Aead(_))) {
        let mut pair = Pair::with(suite);
        for generation in 2..5 {
            let mut nonces = BTreeSet::new();
            for _ in 0..5 {
                for datagram in pair.send(NOW, &vec![udp(4); 30]) {
                    assert!(nonces.insert(datagram[8..16].to_vec()), "{suite:?}");
                }
            }
            assert_eq!(nonces.len(), 150);
            pair.switch(NOW, CHILD, outbound_sa(suite, 0x1000 + generation, u64::from(generation)));
        }
    }
}

#[test]
fn c_09_the_last_number_is_used_and_then_nothing_is_sealed() {
    for protection in [GCM, CBC] {
        for (esn, last) in [(false, u64::from(u32::MAX)), (true, u64::MAX)] {
            let mut sa = raw_outbound(EspSuite { protection, esn }, 1);
            assert_eq!(sa.take_mark(NOW), None);
            sa.start_behind(last - 1);
            assert_eq!(sa.take_mark(NOW), Some(LifetimeMark::Soft));
            assert_eq!(seal_raw(&mut sa, &udp(1), IPV4).len(), 1);
            assert_eq!(seal_raw(&mut sa, &udp(1), IPV4).len(), 0);
            assert_eq!(sa.take_mark(NOW), Some(LifetimeMark::Hard));
        }
    }
}

#[test]
fn c_09_a_hard_limit_stops_the_sa_and_is_reported_once() {
    let suite = EspSuite { protection: GCM, esn: false };
    let mut pair = Pair::empty();
    let lifetime = Lifetime { packets: Some(4), ..Lifetime::default() };
    pair.switch(NOW, CHILD, OutboundParameters { lifetime, ..outbound_sa(suite, 0x1000, 1) });
    let mark = |mark| DataReport::Lifetime { child: CHILD, mark };
    assert_eq!(pair.send(NOW, &vec![udp(1); 3]).len(), 3);
    assert_eq!(pair.outbound.poll_report(), Some(DataReport::OutboundSent { child: CHILD }));
    assert_eq!(pair.outbound.poll_report(), Some(mark(LifetimeMark::Soft)));
    assert_eq!(pair.send(NOW, &vec![udp(1); 3]).len(), 1);
    assert_eq!(pair.outbound.poll_report(), Some(mark(LifetimeMark::Hard)));
    assert_eq!(pair.send(NOW, &[udp(1)]).len(), 0);
    assert_eq!(pair.outbound.poll_report(), None);
    assert_eq!(pair.outbound.counters().dropped(DropReason::LifetimeEnded), 3);
}

#[test]
fn e_05_extended_numbers_pass_the_32_bit_boundary() {
    for protection in protections() {
        let suite = EspSuite { protection, esn: true };
        let mut pair = Pair::with(suite);
        let mut sa = raw_outbound(suite, 1);
        // The receiver follows from one subspace to the next; a jump of more than one is a lost peer (RFC 4303 appendix A2.3).
        for start in [0, 0x7fff_fff0, 0xffff_fff0, 0x1_7fff_fff0, 0x1_ffff_fff0] {
            sa.start_behind(start);
            let datagrams: Vec<_> = (0..40).flat_map(|_| seal_raw(&mut sa, &udp(3), IPV4)).collect();
            assert_eq!(pair.receive(NOW, &datagrams).len(), 40, "{protection:?} from {start:x}");
        }
    }
}

#[test]
fn e_05_the_high_half_is_authenticated() {
    for protection in protections() {
        let suite = EspSuite { protection, esn: true };
        let mut pair = Pair::with(suite);
        let mut sa = raw_outbound(suite, 1);
        sa.start_behind(0x1_0000_0000);
        let datagrams = seal_raw(&mut sa, &udp(3), IPV4);
        assert_eq!(datagrams[0][4..8], [0, 0, 0, 1]);
        assert!(pair.receive(NOW, &datagrams).is_empty(), "{protection:?}");
        assert_eq!(pair.inbound.counters().dropped(DropReason::NotAuthentic), 1);
    }
}

#[test]
fn e_08_dummies_are_sealed_on_request_and_discarded_in_silence() {
    for suite in suites() {
        let mut pair = Pair::with(suite);
        pair.sending.push_inner(&udp(9));
        assert!(pair.outbound.push_dummy(&mut pair.sending, CHILD, 37));
        assert!(!pair.outbound.push_dummy(&mut pair.sending, ChildId(99), 37));
        pair.outbound.process(NOW, &mut pair.sending);
        let datagrams: Vec<_> = pair.sending.sealed().map(|sealed| sealed.datagram.to_vec()).collect();
        assert_eq!(datagrams[0].len(), datagrams[1].len());
        assert_eq!(pair.receive(NOW, &datagrams), [udp(9)]);
        assert_eq!((pair.outbound.counters().dummies, pair.inbound.counters().dummies), (1, 1));
        assert_eq!(pair.inbound.counters().dropped_total(), 0);
        assert_eq!(pair.outbound.counters().packets, 1);
        pair.sending.clear();
        assert!(pair.outbound.push_dummy(&mut pair.sending, CHILD, 37));
        pair.outbound.process(NOW, &mut pair.sending);
        assert_eq!(pair.sending.sealed().count(), 1, "alone, too");
    }
}

#[test]
fn e_08_next_headers_other_than_the_two_are_dropped() {
    let suite = EspSuite { protection: GCM, esn: false };
    for next_header in 0..=255u8 {
        let mut pair = Pair::with(suite);
        let datagrams = seal_raw(&mut raw_outbound(suite, 1), &udp(3), next_header);
        let delivered = pair.receive(NOW, &datagrams).len();
        let dropped = pair.inbound.counters().dropped(DropReason::NextHeader);
        match next_header {
            4 => assert_eq!((delivered, dropped), (1, 0)),
            59 => assert_eq!((delivered, dropped), (0, 0)),
            _ => assert_eq!((delivered, dropped), (0, 1), "{next_header}"),
        }
    }
}

#[test]
fn e_10_padding_behind_the_inner_packet_is_not_delivered() {
    let suite = EspSuite { protection: CBC, esn: false };
    let mut pair = Pair::with(suite);
    let mut padded = udp(30);
    padded.extend([0; 500]);
    let datagrams = seal_raw(&mut raw_outbound(suite, 1), &padded, IPV4);
    assert_eq!(pair.receive(NOW, &datagrams), [udp(30)]);
}

#[test]
fn e_10_an_inner_packet_cut_short_is_dropped() {
    let suite = EspSuite { protection: CBC, esn: false };
    let mut pair = Pair::with(suite);
    let whole = udp(30);
    let datagrams = seal_raw(&mut raw_outbound(suite, 1), &whole[..whole.len() - 1], IPV4);
    assert!(pair.receive(NOW, &datagrams).is_empty());
    assert_eq!(pair.inbound.counters().dropped(DropReason::InnerTooShort), 1);
}

#[test]
fn octets_behind_a_packet_from_the_device_are_not_sealed() {
    let mut pair = Pair::with(EspSuite { protection: GCM, esn: false });
    let mut longer = udp(8);
    longer.extend([0xaa; 100]);
    assert_eq!(pair.send(NOW, &[longer])[0].len(), pair.send(NOW, &[udp(8)])[0].len());
}

#[test]
fn a_packet_that_cannot_become_a_datagram_takes_no_number() {
    let suite = EspSuite { protection: CBC, esn: false };
    let mut pair = Pair::with(suite);
    pair.sending = Batch::new(2, 65535);
    pair.receiving = Batch::new(2, 65535);
    assert!(pair.send(NOW, &[udp(65500)]).is_empty());
    assert_eq!(pair.outbound.counters().dropped(DropReason::TooLong), 1);
    let datagrams = pair.send(NOW, &[udp(65400)]);
    assert_eq!(datagrams[0][4..8], [0, 0, 0, 1]);
    assert_eq!(pair.receive(NOW, &datagrams), [udp(65400)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn e_06_any_size_and_any_suite_comes_back(
        index in 0usize..46,
        sizes in prop::collection::vec(0usize..8972, 1..8),
    ) {
        let suites = suites();
        let suite = suites[index % suites.len()];
        let mut pair = Pair::with(suite);
        let packets: Vec<_> = sizes.into_iter().map(udp).collect();
        let datagrams = pair.send(NOW, &packets);
        prop_assert_eq!(pair.receive(NOW, &datagrams), packets);
    }
}
