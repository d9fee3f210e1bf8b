//! Questions of a given length: what they say of the path, and that they never stand in anything's way.

use super::peer::{Pair, empty};
use super::*;
use crate::ike::action::{Command, Outer, Probed, Transmit};

const IP_UDP_AND_MARKER: usize = 20 + 8 + 4;

fn probed(octets: u16, outcome: Probed) -> Seen {
    Seen::Event(Event::PathProbed { octets, outcome })
}

/// Asked with 1500 octets; the datagrams that left.
fn asked(pair: &mut Pair) -> Vec<Transmit> {
    pair.command(Command::ProbePath { octets: 1500 });
    let sent = pair.transmits();
    pair.seen();
    sent
}

#[test]
fn t_07_a_question_has_its_length_and_may_not_be_cut_and_its_answer_says_that_it_arrived() {
    let mut pair = Pair::new();
    let sent = asked(&mut pair);
    let [Transmit { message, outer, .. }] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((message.len() + IP_UDP_AND_MARKER, *outer), (1500, Outer::Whole));
    pair.advance(seconds(1));
    let repeated = pair.transmits();
    assert!(repeated.len() >= 2 && repeated.iter().all(|again| again == &sent[0]), "bit by bit, and whole");
    pair.seen();
    let answer = pair.peer.response(2, INFORMATIONAL, &empty());
    pair.receive(&answer);
    assert_eq!(pair.seen(), [probed(1500, Probed::Arrived)]);
    assert!(pair.is_established());
}

#[test]
fn t_07_a_question_that_is_not_answered_is_put_without_its_length_under_its_own_id_and_ends_nothing() {
    let mut pair = Pair::new();
    let long = asked(&mut pair).remove(0).message;
    pair.advance(seconds(4));
    let sent = pair.transmits();
    let short: Vec<_> = sent.iter().filter(|transmit| transmit.message.len() < 200).collect();
    assert!(!short.is_empty() && short.iter().all(|transmit| transmit.outer == Outer::MayBeCut));
    assert!(sent.iter().any(|transmit| transmit.message == long && transmit.outer == Outer::MayBeCut), "both");
    assert!(pair.seen().contains(&request(2, Informational::default())), "the same message ID");
    let answer = pair.peer.response(2, INFORMATIONAL, &empty());
    pair.receive(&answer);
    assert_eq!(pair.seen(), [probed(1500, Probed::Lost)]);
    pair.command(Command::ProbeLiveness);
    assert!(pair.seen().contains(&request(3, Informational::default())), "the window moves on");
}

#[test]
fn t_07_a_gateway_that_answers_neither_is_dead() {
    let mut pair = Pair::new();
    asked(&mut pair);
    pair.advance(seconds(60));
    assert!(pair.is_ended());
}

#[test]
fn t_07_a_question_gives_way_to_whatever_else_is_asked() {
    let mut pair = Pair::new();
    asked(&mut pair);
    pair.command(Command::ProbeLiveness);
    assert_eq!(pair.seen().first(), Some(&request(2, Informational::default())), "short, at once");
    let answer = pair.peer.response(2, INFORMATIONAL, &empty());
    pair.receive(&answer);
    assert_eq!(pair.seen(), [probed(1500, Probed::Interrupted), request(3, Informational::default())]);
    pair.command(Command::ProbePath { octets: 1500 });
    assert_eq!(pair.seen(), [probed(1500, Probed::Interrupted)], "and does not wait for its turn");
}

#[test]
fn t_07_closing_does_not_wait_for_a_question_that_is_lost() {
    let mut pair = Pair::new();
    asked(&mut pair);
    pair.command(Command::Close);
    assert!(pair.seen().contains(&request(2, Informational::default())));
    let answer = pair.peer.response(2, INFORMATIONAL, &empty());
    pair.receive(&answer);
    let deleted = pair.peer.response(3, INFORMATIONAL, &empty());
    pair.seen();
    pair.receive(&deleted);
    assert!(pair.seen().contains(&ended(Failure::ClosedByUs { confirmed: true })));
}

#[test]
fn t_07_questions_of_any_length_are_sealed_and_no_longer_than_asked() {
    for octets in (576..1600).step_by(7) {
        let mut pair = Pair::new();
        pair.command(Command::ProbePath { octets });
        let sent = pair.transmits();
        assert_eq!(sent[0].message.len() + IP_UDP_AND_MARKER, usize::from(octets));
    }
}
