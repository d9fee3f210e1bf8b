//! Our own requests, liveness, and time.

use super::peer::{CHILD, Pair, empty, notify_contents};
use super::*;
use crate::ike::action::{Command, Phase};
use crate::sa::command::{ChildId, DataReport, LifetimeMark};

#[test]
fn k2_086_responses_that_nobody_waits_for_change_empty() {
    let mut pair = Pair::new();
    for (message_id, exchange) in
        [(1, ExchangeType::IKE_AUTH), (0, ExchangeType::IKE_SA_INIT), (2, INFORMATIONAL), (u32::MAX, INFORMATIONAL)]
    {
        let answer = pair.peer.response(message_id, exchange, &empty());
        pair.receive(&answer);
        assert_eq!(pair.seen(), [dropped(DropReason::OutsideWindow)]);
    }
    pair.command(Command::ProbeLiveness);
    pair.seen();
    for (message_id, exchange) in [(1, INFORMATIONAL), (3, INFORMATIONAL), (2, CREATE_CHILD_SA)] {
        let answer = pair.peer.response(message_id, exchange, &empty());
        pair.receive(&answer);
        assert_eq!(pair.seen(), [dropped(DropReason::OutsideWindow)]);
    }
    let answer = pair.peer.response(2, INFORMATIONAL, &empty());
    pair.receive(&answer);
    assert_eq!(pair.seen(), []);
    pair.receive(&answer);
    assert_eq!(pair.seen(), [dropped(DropReason::OutsideWindow)], "the exchange is complete");
}

#[test]
fn invalid_syntax_in_a_response_ends_the_sa_on_our_side_too() {
    let mut pair = Pair::new();
    pair.command(Command::ProbeLiveness);
    pair.seen();
    let answer = pair.peer.response(2, INFORMATIONAL, &notify_contents(NotifyType::INVALID_SYNTAX, b""));
    pair.receive(&answer);
    let failure = Failure::Refused { phase: Phase::Informational, notify: "INVALID_SYNTAX".into() };
    assert_eq!(pair.seen(), [Seen::Removed(CHILD), ended(failure)]);
}

#[test]
fn k2_081_a_larger_window_of_the_peer_is_not_used() {
    let mut pair = Pair::new();
    let contents = notify_contents(NotifyType::SET_WINDOW_SIZE, &8_u32.to_be_bytes());
    let datagram = pair.peer.request(INFORMATIONAL, &contents);
    pair.receive(&datagram);
    pair.seen();
    for _ in 0..3 {
        pair.command(Command::ProbeLiveness);
    }
    assert_eq!(pair.seen(), [request(2, Informational::default())]);
}

#[test]
fn k2_104_silence_under_traffic_is_questioned_and_an_answer_settles_it() {
    let mut pair = Pair::new();
    pair.report(DataReport::OutboundSent { child: CHILD });
    pair.advance(seconds(29));
    assert!(!pair.has_sent());
    pair.advance(seconds(1));
    assert!(pair.seen().contains(&request(2, Informational::default())));
    let answer = pair.peer.response(2, INFORMATIONAL, &empty());
    pair.receive(&answer);
    pair.seen();
    pair.advance(seconds(59));
    assert!(!pair.has_sent());
}

#[test]
fn k2_104_inbound_packets_make_the_question_unnecessary() {
    let mut pair = Pair::new();
    for _ in 0..20 {
        pair.advance(seconds(20));
        pair.report(DataReport::OutboundSent { child: CHILD });
        pair.report(DataReport::InboundSeen { child: CHILD, spi: pair.inbound() });
    }
    assert!(!pair.has_sent());
    pair.report(DataReport::OutboundSent { child: CHILD });
    pair.report(DataReport::InboundSeen { child: ChildId(99), spi: pair.inbound() });
    pair.advance(seconds(31));
    assert!(pair.has_sent(), "another child's life is not this one's");
}

#[test]
fn k2_088_a_replay_is_no_sign_of_life() {
    let mut pair = Pair::new();
    let datagram = pair.peer.request(INFORMATIONAL, &empty());
    pair.receive(&datagram);
    pair.report(DataReport::OutboundSent { child: CHILD });
    pair.advance(seconds(29));
    pair.receive(&datagram);
    pair.seen();
    pair.advance(seconds(1));
    assert!(pair.seen().contains(&request(2, Informational::default())));
}

#[test]
fn k2_088_a_fresh_request_of_the_peer_is_a_sign_of_life() {
    let mut pair = Pair::new();
    pair.report(DataReport::OutboundSent { child: CHILD });
    pair.advance(seconds(29));
    let datagram = pair.peer.request(INFORMATIONAL, &empty());
    pair.receive(&datagram);
    pair.seen();
    pair.advance(seconds(58));
    assert!(!pair.has_sent());
}

#[test]
fn k2_087_a_peer_that_never_answers_is_dead_and_its_child_goes_before_the_end_is_told() {
    let mut pair = Pair::new();
    pair.command(Command::ProbeLiveness);
    let first = pair.transmitted().remove(0);
    pair.seen();
    pair.advance(seconds(600));
    assert!(pair.transmitted().iter().all(|repeated| *repeated == first), "k2_030: bit-identical");
    let seen: Vec<_> = pair.seen().into_iter().filter(|seen| !matches!(seen, Seen::Keepalive(_))).collect();
    assert_eq!(seen.iter().filter(|seen| matches!(seen, Seen::Sent { .. })).count(), 7);
    let repetitions: Vec<_> = seen
        .iter()
        .filter_map(|seen| match seen {
            Seen::Event(Event::Repeating { exchange: Phase::Informational, repetition }) => Some(*repetition),
            _ => None,
        })
        .collect();
    assert_eq!(repetitions, [1, 2, 3, 4, 5, 6, 7]);
    let [.., Seen::Removed(CHILD), Seen::Event(Event::Ended(Failure::PeerDead { silent }))] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert!(*silent >= seconds(29) && *silent < seconds(34), "{silent:?}");
}

#[test]
fn k2_088_packets_that_come_keep_a_peer_alive_that_answers_no_question() {
    let mut pair = Pair::new();
    pair.command(Command::ProbeLiveness);
    let first = pair.transmitted().remove(0);
    for _ in 0..30 {
        pair.advance(seconds(10));
        pair.report(DataReport::InboundSeen { child: CHILD, spi: pair.inbound() });
    }
    assert!(pair.transmitted().iter().all(|repeated| *repeated == first), "k2_030: bit-identical");
    assert!(pair.seen().iter().all(|seen| !matches!(seen, Seen::Event(Event::Ended(_)))));
    pair.advance(seconds(70));
    assert!(matches!(pair.seen().last(), Some(Seen::Event(Event::Ended(Failure::PeerDead { .. })))));
}

#[test]
fn k2_101_packets_with_an_unknown_spi_are_a_reason_to_ask_once_in_a_while() {
    let mut pair = Pair::new();
    pair.report(DataReport::UnknownSpi { spi: 0x1234_5678 });
    assert_eq!(pair.seen(), [request(2, Informational::default())]);
    let answer = pair.peer.response(2, INFORMATIONAL, &empty());
    pair.receive(&answer);
    for _ in 0..29 {
        pair.advance(seconds(1));
        pair.report(DataReport::UnknownSpi { spi: 0x1234_5678 });
    }
    assert!(!pair.has_sent());
    pair.advance(seconds(1));
    pair.report(DataReport::UnknownSpi { spi: 0x1234_5678 });
    assert!(pair.has_sent());
}

#[test]
fn n_03_a_keepalive_goes_out_every_interval() {
    let mut pair = Pair::without_dpd();
    pair.advance(seconds(100));
    assert_eq!(pair.seen(), vec![Seen::Keepalive(pair.path()); 5]);
}

#[test]
fn k2_135_at_the_end_of_a_lifetime_traffic_stops_before_anything_else() {
    for which in ["ike", "child", "packets"] {
        let mut pair = match which {
            "ike" => Pair::with(|profile| profile.ike_lifetime.time = Some(seconds(1000))),
            "child" => Pair::with(|profile| profile.child.lifetime.time = Some(seconds(1000))),
            _ => Pair::new(),
        };
        if which == "packets" {
            pair.report(DataReport::Lifetime { child: CHILD, mark: LifetimeMark::Hard });
        } else {
            pair.skip_to(seconds(1000));
        }
        assert_eq!(pair.seen(), [Seen::Removed(CHILD), request(2, deletes(ProtocolId::IKE, &[]))], "{which}");
        let answer = pair.peer.response(2, INFORMATIONAL, &empty());
        pair.receive(&answer);
        assert_eq!(pair.seen(), [ended(Failure::LifetimeEnded)]);
    }
}

#[test]
fn k2_137_sas_made_together_are_not_replaced_together() {
    let rekeys: Vec<_> = (0..50)
        .map(|seed| Pair::seeded(seed, |profile| profile.ike_lifetime.time = Some(seconds(1000))))
        .map(|pair| pair.rekey_ike_at().as_secs())
        .collect();
    assert!(rekeys.iter().all(|at| (800..=900).contains(at)));
    assert!(rekeys.iter().max().unwrap() - rekeys.iter().min().unwrap() > 60);
}

#[test]
fn a_clock_that_jumps_over_everything_ends_the_sa_in_order() {
    let mut pair = Pair::with(|profile| profile.ike_lifetime.time = Some(seconds(1000)));
    pair.skip_to(seconds(1_000_000));
    let seen = pair.seen();
    assert!(seen.contains(&Seen::Removed(CHILD)));
    assert!(seen.len() < 10, "{seen:?}");
}
