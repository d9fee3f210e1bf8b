//! Fragmented messages.

use super::peer::Pair;
use super::*;
use crate::ike::action::{Command, Timer};
use crate::ike::v2::message::{Payload, write_contents};
use crate::ike::wire::chain::{Contents, FragmentNumber};
use crate::ike::wire::registry::PayloadType;

fn long() -> Contents {
    let notifies = (0..20).map(|index| Notify::new(NotifyType(50_000 + index)).with_data(vec![7; 100]));
    write_contents(&notifies.map(Payload::Notify).collect::<Vec<_>>()).unwrap()
}

#[test]
fn f_08_a_fragmented_request_in_any_order_is_answered_once() {
    let mut pair = Pair::new();
    let mut pieces = pair.peer.fragmented(false, 0, INFORMATIONAL, &long(), 4);
    let (first, last) = (pieces[0].clone(), pieces[3].clone());
    pieces.reverse();
    for piece in &pieces[..3] {
        pair.receive(piece);
        pair.receive(piece);
    }
    assert!(pair.seen().iter().all(|seen| *seen == dropped(DropReason::Fragment)));
    pair.receive(&first);
    assert_eq!(pair.seen(), [response(0, Informational::default())]);
    pair.receive(&last);
    assert_eq!(pair.seen(), [dropped(DropReason::Fragment)], "f_09: only the first fragment asks for the answer again");
    pair.receive(&first);
    assert_eq!(pair.seen(), [response(0, Informational::default())]);
}

#[test]
fn f_09_a_request_cut_anew_is_recognised_by_its_first_fragment() {
    let mut pair = Pair::new();
    for piece in pair.peer.fragmented(false, 0, INFORMATIONAL, &long(), 3) {
        pair.receive(&piece);
    }
    let reply = pair.transmitted();
    pair.seen();
    let anew = pair.peer.fragmented(false, 0, INFORMATIONAL, &long(), 5);
    pair.receive(&anew[1]);
    assert_eq!(pair.seen(), [dropped(DropReason::Fragment)]);
    pair.receive(&anew[0]);
    assert_eq!(pair.transmitted(), reply);
}

#[test]
fn f_04_a_forged_fragment_leaves_no_state() {
    let mut pair = Pair::new();
    let mut piece = pair.peer.fragmented(false, 0, INFORMATIONAL, &long(), 4).remove(0);
    *piece.last_mut().unwrap() ^= 1;
    pair.receive(&piece);
    assert_eq!(pair.seen(), [dropped(DropReason::Forged)]);
    assert_ne!(pair.next_timer(), Some(Timer::Wait));
}

#[test]
fn f_01_fragments_without_agreement_are_dropped() {
    let mut pair = Pair::without_fragmentation();
    let piece = pair.peer.fragmented(false, 0, INFORMATIONAL, &long(), 4).remove(0);
    pair.receive(&piece);
    assert_eq!(pair.seen(), [dropped(DropReason::Fragment)]);
}

#[test]
fn a_fragmented_response_is_put_together() {
    let mut pair = Pair::new();
    pair.command(Command::ProbeLiveness);
    pair.seen();
    for piece in pair.peer.fragmented(true, 2, INFORMATIONAL, &long(), 2) {
        pair.receive(&piece);
    }
    assert_eq!(pair.seen(), []);
    pair.command(Command::ProbeLiveness);
    assert_eq!(pair.seen(), [request(3, Informational::default())]);
}

#[test]
fn v_22_impossible_fragment_numbers_are_dropped_before_decryption() {
    let mut pair = Pair::new();
    for (number, total) in [(0, 0), (0, 1), (2, 1), (300, 300)] {
        let place = FragmentNumber { number, total };
        let datagram = pair.peer.fragment(false, 0, INFORMATIONAL, place, PayloadType::NONE, b"");
        pair.receive(&datagram);
        assert!(matches!(pair.seen()[..], [Seen::Event(Event::Dropped(_))]));
    }
}
