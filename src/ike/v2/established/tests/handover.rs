//! The session goes on in another process.

use proptest::prelude::*;

use super::peer::{CHILD, Pair, empty, notify_contents};
use super::*;
use crate::ike::action::Command;
use crate::ike::v2::established::{Established, EstablishedState};
use crate::sa::command::DataReport;

#[test]
fn k2_082_a_request_that_was_answered_before_gets_the_same_octets_from_the_other_process() {
    let mut pair = Pair::new();
    let datagram = pair.peer.request(INFORMATIONAL, &notify_contents(NotifyType::INVALID_SELECTORS, b""));
    pair.receive(&datagram);
    let answer = pair.transmitted();
    pair.seen();
    pair.move_on().unwrap();
    pair.receive(&datagram);
    assert_eq!(pair.transmitted(), answer);
    pair.seen();
    let next = pair.peer.request(INFORMATIONAL, &empty());
    pair.receive(&next);
    assert_eq!(pair.seen(), [response(1, Informational::default())]);
    pair.receive(&datagram);
    assert_eq!(pair.seen(), [dropped(DropReason::OutsideWindow)]);
}

#[test]
fn k2_080_our_own_requests_go_on_with_the_next_id() {
    let mut pair = Pair::new();
    for message_id in [2, 3, 4] {
        pair.move_on().unwrap();
        pair.command(Command::ProbeLiveness);
        assert_eq!(pair.seen(), [request(message_id, Informational::default())]);
        let answer = pair.peer.response(message_id, INFORMATIONAL, &empty());
        pair.receive(&answer);
    }
}

#[test]
fn nothing_is_carried_while_a_question_is_open_or_the_tunnel_is_closed() {
    let mut pair = Pair::new();
    pair.command(Command::ProbeLiveness);
    assert!(pair.move_on().unwrap_err().contains("not answered"));
    let answer = pair.peer.response(2, INFORMATIONAL, &empty());
    pair.receive(&answer);
    assert!(pair.move_on().is_ok());
    pair.command(Command::Close);
    assert!(pair.move_on().unwrap_err().contains("closed"));
}

#[test]
fn silence_and_the_ends_of_lifetimes_count_from_where_they_counted_before() {
    let mut pair = Pair::with(|profile| profile.ike_lifetime.time = Some(seconds(3600)));
    let (end, rekey_at) = (pair.end(), pair.rekey_ike_at());
    pair.report(DataReport::OutboundSent { child: CHILD });
    pair.advance(seconds(20));
    pair.move_on().unwrap();
    assert_eq!((pair.end(), pair.rekey_ike_at()), (end, rekey_at));
    pair.seen();
    pair.advance(seconds(9));
    assert!(!pair.has_sent());
    pair.advance(seconds(1));
    assert!(pair.has_sent(), "thirty seconds of silence, as before");
}

#[test]
fn what_is_carried_a_second_time_differs_by_the_ivs_that_were_passed_over_alone() {
    let mut pair = Pair::new();
    let datagram = pair.peer.request(INFORMATIONAL, &empty());
    pair.receive(&datagram);
    let first = pair.move_on().unwrap();
    let second = pair.move_on().unwrap();
    assert!(first.contains("\"next_iv\":2}"), "{first}");
    assert_eq!(first.replace("\"next_iv\":2}", "\"next_iv\":65538}"), second);
}

#[test]
fn a_session_that_cannot_be_is_refused() {
    let carried = Pair::new().move_on().unwrap();
    let restored = |text: &str| Established::restore(serde_json::from_str::<EstablishedState>(text).ok()?).ok();
    assert!(restored(&carried).is_some());
    assert!(restored(&carried.replacen('{', "{\"of_a_later_release\":[1,2],", 1)).is_some());
    for (right, wrong) in [
        ("\"next_iv\":1}", "\"next_iv\":18446744073709551615}"),
        ("\"HmacSha", "\"HmacMd"),
        ("\"Aes256\"", "\"Aes128\""),
        ("\"sk_d\":\"", "\"sk_d\":\"00"),
        ("\"older\":[]", "\"older\":[0]"),
        ("\"inbound\":286331153", "\"inbound\":28"),
    ] {
        assert!(carried.contains(right), "{right} in {carried}");
        assert!(restored(&carried.replacen(right, wrong, 1)).is_none(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_damage_makes_a_panic(position in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let mut carried = Pair::new().move_on().unwrap().into_bytes();
        *position.get_mut(&mut carried) = octet;
        if let Ok(state) = serde_json::from_slice::<EstablishedState>(&carried)
            && let Ok(established) = Established::restore(state)
        {
            established.poll_timeout();
            established.status();
        }
    }
}
