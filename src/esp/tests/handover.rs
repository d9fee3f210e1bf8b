use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::esp::dataplane::{InboundPath, OutboundPath};
use crate::esp::handover::{InboundState, MOST_SAS, OutboundState};
use crate::esp::sequence::JUMP;
use crate::sa::command::{DataReport, LifetimeMark};

/// Both halves of the pair, in another process.
fn moved(pair: &mut Pair) -> (Vec<u8>, Vec<u8>) {
    let outbound = serde_json::to_vec(&pair.outbound.export().unwrap()).unwrap();
    let inbound = serde_json::to_vec(&pair.inbound.export()).unwrap();
    let state: OutboundState = serde_json::from_slice(&outbound).unwrap();
    pair.outbound = OutboundPath::restore(state, &mut SeededRandom::new(99)).unwrap();
    let state: InboundState = serde_json::from_slice(&inbound).unwrap();
    pair.inbound = InboundPath::restore(state).unwrap();
    (outbound, inbound)
}

fn number_of(datagram: &[u8]) -> u32 {
    u32::from_be_bytes(datagram[4..8].try_into().unwrap())
}

#[test]
fn packets_go_on_under_the_same_sas_and_no_number_comes_twice() {
    for suite in suites() {
        let mut pair = Pair::with(suite);
        let before = pair.send(NOW, &[udp(10), udp(20)]);
        assert_eq!(pair.receive(NOW, &before).len(), 2);
        moved(&mut pair);
        let after = pair.send(NOW, &[udp(30)]);
        assert_eq!(before[0][..4], after[0][..4], "the SPI");
        assert_eq!(number_of(&after[0]), 3 + 65_536, "{suite:?}");
        assert_eq!(pair.receive(NOW, &after), [udp(30)], "{suite:?}");
    }
}

#[test]
fn e_03_what_was_received_before_is_a_replay_in_the_other_process_and_what_was_not_is_none() {
    for esn in [false, true] {
        let mut pair = Pair::with(EspSuite { protection: GCM, esn });
        let packets: Vec<_> = (0..50).map(udp).collect();
        let sealed = pair.send(NOW, &packets);
        let (even, odd): (Vec<_>, Vec<_>) =
            sealed.iter().cloned().partition(|datagram| number_of(datagram).is_multiple_of(2));
        assert_eq!(pair.receive(NOW, &even).len(), 25);
        moved(&mut pair);
        assert!(pair.receive(NOW, &even).is_empty(), "the window travels");
        assert_eq!(pair.receive(NOW, &odd).len(), 25, "its gaps, too");
        assert!(pair.receive(NOW, &odd).is_empty());
    }
}

#[test]
fn what_an_sa_carried_counts_in_the_other_process() {
    let suite = EspSuite { protection: CBC, esn: false };
    let lifetime = Lifetime { packets: Some(4), time: Some(Duration::from_secs(100)), ..Lifetime::default() };
    let mut pair = Pair::empty();
    pair.switch(NOW, CHILD, OutboundParameters { lifetime, ..outbound_sa(suite, 0x1000, 1) });
    assert_eq!(pair.send(NOW, &[udp(1), udp(2), udp(3)]).len(), 3);
    let reports = std::iter::from_fn(|| pair.outbound.poll_report()).collect::<Vec<_>>();
    assert!(reports.contains(&DataReport::Lifetime { child: CHILD, mark: LifetimeMark::Soft }));
    moved(&mut pair);
    assert_eq!(pair.send(NOW, &[udp(4), udp(5)]).len(), 1, "one more, as before");

    let mut pair = Pair::empty();
    let lifetime = Lifetime { packets: None, ..lifetime };
    pair.switch(NOW, CHILD, OutboundParameters { lifetime, ..outbound_sa(suite, 0x1000, 1) });
    moved(&mut pair);
    assert_eq!(pair.send(NOW.after(Duration::from_secs(99)), &[udp(1)]).len(), 1);
    assert!(pair.send(NOW.after(Duration::from_secs(100)), &[udp(1)]).is_empty());
}

#[test]
fn an_sa_without_room_for_the_jump_is_replaced_first() {
    let mut pair = Pair::with(EspSuite { protection: GCM, esn: false });
    pair.outbound.start_behind(u64::from(u32::MAX) - JUMP);
    assert!(pair.outbound.export().is_none());
    pair.outbound.start_behind(u64::from(u32::MAX) - JUMP - 1);
    assert!(pair.outbound.export().is_some());
}

#[test]
fn what_is_carried_a_second_time_differs_by_the_jump_alone() {
    let mut pair = Pair::with(EspSuite { protection: GCM, esn: true });
    let sealed = pair.send(NOW, &[udp(1), udp(2)]);
    pair.receive(NOW, &sealed[1..]);
    let (outbound, inbound) = moved(&mut pair);
    let (outbound_again, inbound_again) = moved(&mut pair);
    assert_eq!(inbound, inbound_again);
    let text = String::from_utf8(outbound).unwrap();
    assert!(text.contains("\"used\":2,"));
    assert_eq!(text.replace("\"used\":2,", &format!("\"used\":{},", 2 + JUMP)).into_bytes(), outbound_again);
}

#[test]
fn keys_are_shown_by_no_debug_output() {
    let pair = Pair::with(EspSuite { protection: GCM, esn: false });
    let text = serde_json::to_string(&pair.outbound.export().unwrap()).unwrap();
    let key: String = keys(GCM, 1).encryption.expose().iter().map(|octet| format!("{octet:02x}")).collect();
    assert!(text.contains(&key));
    let shown = format!("{:?}{:?}", pair.outbound.export().unwrap(), pair.inbound.export());
    assert!(!shown.contains(&key) && shown.contains("Secret(36 octets)"));
}

#[test]
fn t_09_the_length_that_handshakes_are_held_to_is_the_same_in_the_other_process() {
    let mut segment = vec![0; 20];
    (segment[12], segment[13]) = (0x60, 2);
    segment.extend([2, 4, 0x05, 0xb4]);
    let syn = ipv4("10.200.0.1", "10.250.0.5", 6, &segment);
    for (sender, receiver, expected) in [(Some(1422), None, 1382), (None, Some(1400), 1360)] {
        let mut pair = Pair::with(EspSuite { protection: GCM, esn: false });
        pair.outbound.set_mtu(sender);
        pair.inbound.set_mtu(receiver);
        moved(&mut pair);
        let sealed = pair.send(NOW, std::slice::from_ref(&syn));
        let opened = pair.receive(NOW, &sealed);
        assert_eq!(u16::from_be_bytes([opened[0][42], opened[0][43]]), expected);
    }
}

#[test]
fn a_state_that_cannot_be_is_refused() {
    let pair = Pair::with(EspSuite { protection: GCM, esn: false });
    let outbound = serde_json::to_string(&pair.outbound.export().unwrap()).unwrap();
    let inbound = serde_json::to_string(&pair.inbound.export()).unwrap();
    let restored = |text: &str| {
        let state = serde_json::from_str::<OutboundState>(text).ok()?;
        OutboundPath::restore(state, &mut SeededRandom::new(1)).ok()
    };
    assert!(restored(&outbound).is_some());
    for (right, wrong) in [
        ("\"used\":0", "\"used\":4294967295"),
        ("\"spi\":4096", "\"spi\":255"),
        ("\"Aes256\"", "\"Aes128\""),
        ("\"10.200.0.1\",\"10.200.0.1\"", "\"10.200.0.1\",\"10.200.0.0\""),
        ("\"keys\"", "\"kexs\""),
    ] {
        assert!(outbound.contains(right), "{right}");
        assert!(restored(&outbound.replacen(right, wrong, 1)).is_none(), "{wrong}");
    }
    let restored = |text: &str| InboundPath::restore(serde_json::from_str::<InboundState>(text).ok()?).ok();
    assert!(restored(&inbound).is_some());
    for (right, wrong) in [
        ("[1024,false,0,[0,", "[1024,false,0,["),
        ("[1024,false,0,[0,", "[8193,false,0,[0,"),
        ("[1024,false,0,[0,", "[1024,false,4294967296,[0,"),
        ("[1024,false,0,[0,", "[1024,true,0,[0,"),
    ] {
        assert!(inbound.contains(right), "{right} in {inbound}");
        assert!(restored(&inbound.replacen(right, wrong, 1)).is_none(), "{wrong}");
    }
}

#[test]
fn as_many_sas_as_there_can_be_are_taken_over_and_no_more() {
    let pair = Pair::with(EspSuite { protection: GCM, esn: false });
    let outbound = serde_json::to_value(pair.outbound.export().unwrap()).unwrap();
    let inbound = serde_json::to_value(pair.inbound.export()).unwrap();
    let with = |state: &serde_json::Value, list: &str, count: usize| {
        let mut state = state.clone();
        state[list] = vec![state[list][0].clone(); count].into();
        state
    };
    for (count, is_taken) in [(MOST_SAS - 1, true), (MOST_SAS, true), (MOST_SAS + 1, false)] {
        let state: OutboundState = serde_json::from_value(with(&outbound, "children", count)).unwrap();
        assert_eq!(OutboundPath::restore(state, &mut SeededRandom::new(1)).is_ok(), is_taken, "{count} out");
        let state: InboundState = serde_json::from_value(with(&inbound, "sas", count)).unwrap();
        assert_eq!(InboundPath::restore(state).is_ok(), is_taken, "{count} in");
    }
}

proptest! {
    #[test]
    fn nothing_that_is_read_makes_a_panic(position in any::<prop::sample::Index>(), octet in any::<u8>(), number in any::<u64>()) {
        let mut pair = Pair::with(EspSuite { protection: CBC, esn: true });
        let sealed = pair.send(NOW, &[udp(1)]);
        pair.receive(NOW, &sealed);
        for state in [serde_json::to_vec(&pair.outbound.export().unwrap()).unwrap(), serde_json::to_vec(&pair.inbound.export()).unwrap()] {
            let mut damaged = state.clone();
            *position.get_mut(&mut damaged) = octet;
            let text = String::from_utf8_lossy(&state).into_owned();
            let numbers = text.replacen("\":1,", &format!("\":{number},"), 1);
            for text in [damaged, numbers.into_bytes()] {
                if let Ok(state) = serde_json::from_slice::<OutboundState>(&text)
                    && let Ok(mut outbound) = OutboundPath::restore(state, &mut SeededRandom::new(1))
                {
                    std::mem::swap(&mut outbound, &mut pair.outbound);
                    pair.send(NOW, &[udp(1)]);
                    std::mem::swap(&mut outbound, &mut pair.outbound);
                }
                if let Ok(state) = serde_json::from_slice::<InboundState>(&text)
                    && let Ok(mut inbound) = InboundPath::restore(state)
                {
                    std::mem::swap(&mut inbound, &mut pair.inbound);
                    pair.receive(NOW, &sealed);
                    std::mem::swap(&mut inbound, &mut pair.inbound);
                }
            }
        }
    }
}
