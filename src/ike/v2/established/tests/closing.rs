//! Deletes and closing, from either side.

use super::peer::{CHILD, INBOUND, OUTBOUND, Pair, empty};
use super::*;
use crate::ike::action::Command;

#[test]
fn k2_128_delete_of_the_ike_sa_is_answered_and_then_all_is_gone() {
    let mut pair = Pair::new();
    let datagram = pair.peer.request(INFORMATIONAL, &pair.peer_delete());
    pair.receive(&datagram);
    assert_eq!(
        pair.seen(),
        [response(0, Informational::default()), Seen::Removed(CHILD), ended(Failure::ClosedByPeer)]
    );
    assert!(pair.is_ended());
}

#[test]
fn k2_129_delete_of_the_last_child_is_answered_with_our_spi_and_another_is_asked_for_soon() {
    let mut pair = Pair::new();
    let delete = deletes(ProtocolId::ESP, &[OUTBOUND]).contents().unwrap();
    let datagram = pair.peer.request(INFORMATIONAL, &delete);
    pair.receive(&datagram);
    // What the peer deleted is not sent with any more.
    assert_eq!(pair.seen(), [response(0, deletes(ProtocolId::ESP, &[INBOUND])), Seen::Stopped(CHILD)]);
    pair.advance(seconds(1));
    let sent = pair.transmitted();
    assert!(!sent.is_empty() && sent.iter().all(|message| message.get(18) == Some(&CREATE_CHILD_SA.0)));
    assert!(pair.is_established());
}

#[test]
fn k2_128_delete_of_an_unknown_spi_gets_an_empty_answer() {
    for (protocol, spi) in [(ProtocolId::ESP, INBOUND), (ProtocolId::ESP, 0), (ProtocolId::AH, OUTBOUND)] {
        let mut pair = Pair::new();
        let delete = deletes(protocol, &[spi]).contents().unwrap();
        let datagram = pair.peer.request(INFORMATIONAL, &delete);
        pair.receive(&datagram);
        assert_eq!(pair.seen(), [response(0, Informational::default())]);
        assert!(pair.is_established());
    }
}

#[test]
fn v_13_several_deletes_and_notifies_in_one_message_close_what_they_name_once() {
    let content = Informational {
        notifies: vec![Notify::new(NotifyType(12_345))],
        deletes: vec![
            Delete { protocol: ProtocolId::ESP, spis: vec![OUTBOUND, OUTBOUND, 77] },
            Delete { protocol: ProtocolId::ESP, spis: vec![OUTBOUND] },
            Delete::ike_sa(),
            Delete::ike_sa(),
        ],
        ..Informational::default()
    };
    let mut pair = Pair::new();
    let datagram = pair.peer.request(INFORMATIONAL, &content.contents().unwrap());
    pair.receive(&datagram);
    let seen = pair.seen();
    assert_eq!(seen[1..], [response(0, Informational::default()), Seen::Removed(CHILD), ended(Failure::ClosedByPeer)]);
}

#[test]
fn k2_128_crossing_deletes_confirm_each_other() {
    let mut pair = Pair::new();
    pair.command(Command::Close);
    assert_eq!(pair.seen(), [Seen::Removed(CHILD), request(2, deletes(ProtocolId::IKE, &[]))]);
    let datagram = pair.peer.request(INFORMATIONAL, &pair.peer_delete());
    pair.receive(&datagram);
    assert_eq!(pair.seen(), [response(0, Informational::default()), ended(Failure::ClosedByUs { confirmed: true })]);
}

#[test]
fn k2_128_delete_of_a_child_that_we_close_gets_an_empty_answer() {
    let mut pair = Pair::new();
    pair.command(Command::Close);
    pair.seen();
    let delete = deletes(ProtocolId::ESP, &[OUTBOUND]).contents().unwrap();
    let datagram = pair.peer.request(INFORMATIONAL, &delete);
    pair.receive(&datagram);
    assert_eq!(pair.seen(), [response(0, Informational::default())]);
}

#[test]
fn close_stops_traffic_first_and_ends_with_the_answer() {
    let mut pair = Pair::new();
    pair.command(Command::Close);
    assert_eq!(pair.seen(), [Seen::Removed(CHILD), request(2, deletes(ProtocolId::IKE, &[]))]);
    let answer = pair.peer.response(2, INFORMATIONAL, &empty());
    pair.receive(&answer);
    assert_eq!(pair.seen(), [ended(Failure::ClosedByUs { confirmed: true })]);
}

#[test]
fn close_without_an_answer_repeats_quickly_and_ends_within_two_seconds() {
    let mut pair = Pair::new();
    pair.command(Command::Close);
    let request = pair.transmitted();
    pair.seen();
    pair.advance(seconds(2));
    assert!(pair.transmitted().iter().all(|repeated| *repeated == request[0]));
    let seen = pair.seen();
    assert!(seen.iter().filter(|seen| matches!(seen, Seen::Sent { .. })).count() >= 3);
    assert_eq!(seen.last(), Some(&ended(Failure::ClosedByUs { confirmed: false })));
}

#[test]
fn close_while_a_probe_waits_sends_its_delete_after_the_answer() {
    let mut pair = Pair::new();
    pair.command(Command::ProbeLiveness);
    pair.seen();
    pair.command(Command::Close);
    assert_eq!(pair.seen(), [Seen::Removed(CHILD)], "the window is 1");
    let answer = pair.peer.response(2, INFORMATIONAL, &empty());
    pair.receive(&answer);
    assert_eq!(pair.seen(), [request(3, deletes(ProtocolId::IKE, &[]))]);
    let answer = pair.peer.response(3, INFORMATIONAL, &empty());
    pair.receive(&answer);
    assert_eq!(pair.seen(), [ended(Failure::ClosedByUs { confirmed: true })]);
}

#[test]
fn close_while_a_probe_waits_repeats_the_probe_at_the_closing_pace() {
    let mut pair = Pair::new();
    pair.command(Command::ProbeLiveness);
    pair.command(Command::Close);
    pair.seen();
    pair.advance(Duration::from_millis(400));
    assert!(pair.seen().contains(&request(2, Informational::default())));
    pair.advance(seconds(2));
    assert_eq!(pair.seen().last(), Some(&ended(Failure::ClosedByUs { confirmed: false })));
}

#[test]
fn close_told_twice_sends_one_delete() {
    let mut pair = Pair::new();
    pair.command(Command::Close);
    pair.seen();
    pair.command(Command::Close);
    assert_eq!(pair.seen(), []);
}
