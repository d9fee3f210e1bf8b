//! What is not authentic or not fresh changes nothing.

use super::peer::{Pair, empty, notify_contents};
use super::*;
use crate::ike::action::Command;
use crate::ike::wire::chain::Contents;
use crate::ike::wire::registry::PayloadType;
use proptest::prelude::*;

#[test]
fn k2_100_unprotected_messages_end_empty() {
    let mut pair = Pair::new();
    for kind in [NotifyType::INVALID_SYNTAX, NotifyType::AUTHENTICATION_FAILED, NotifyType::NO_PROPOSAL_CHOSEN] {
        for response in [false, true] {
            let datagram = pair.peer.in_clear(response, &notify_contents(kind, b""));
            pair.receive(&datagram);
            assert_eq!(pair.seen(), [dropped(DropReason::Unauthenticated)]);
        }
    }
    let delete = pair.peer_delete();
    let datagram = pair.peer.in_clear(false, &delete);
    pair.receive(&datagram);
    assert_eq!(pair.seen(), [dropped(DropReason::Unauthenticated)]);
    assert!(pair.is_established());
}

#[test]
fn k2_101_unprotected_invalid_spi_leads_to_one_question_in_half_a_minute() {
    for kind in [NotifyType::INVALID_IKE_SPI, NotifyType::INVALID_SPI] {
        let mut pair = Pair::without_dpd();
        let datagram = pair.peer.in_clear(true, &notify_contents(kind, b""));
        pair.receive(&datagram);
        assert_eq!(pair.seen(), [dropped(DropReason::Unauthenticated), request(2, Informational::default())]);
        let answer = pair.peer.response(2, INFORMATIONAL, &empty());
        pair.receive(&answer);
        for _ in 0..1000 {
            pair.receive(&datagram);
        }
        assert!(pair.seen().iter().all(|seen| *seen == dropped(DropReason::Unauthenticated)));
        pair.advance(seconds(30));
        pair.seen();
        pair.receive(&datagram);
        assert_eq!(pair.seen()[1], request(3, Informational::default()));
    }
}

#[test]
fn k2_106_a_hint_while_closing_asks_empty() {
    let mut pair = Pair::new();
    pair.command(Command::Close);
    pair.seen();
    let datagram = pair.peer.in_clear(true, &notify_contents(NotifyType::INVALID_IKE_SPI, b""));
    pair.receive(&datagram);
    assert_eq!(pair.seen(), [dropped(DropReason::Unauthenticated)]);
}

#[test]
fn k2_069_one_flipped_bit_anywhere_and_the_message_is_dropped() {
    let mut pair = Pair::new();
    let delete = pair.peer_delete();
    let datagram = pair.peer.request(INFORMATIONAL, &delete);
    for octet in 0..datagram.len() {
        for bit in 0..8 {
            let mut forged = datagram.clone();
            forged[octet] ^= 1 << bit;
            pair.receive(&forged);
            let seen = pair.seen();
            assert!(matches!(seen[..], [Seen::Event(Event::Dropped(_))]), "octet {octet}, bit {bit}: {seen:?}");
        }
    }
    for len in 0..datagram.len() {
        pair.receive(&datagram[..len]);
        assert_eq!(pair.seen(), [dropped(DropReason::Malformed)]);
    }
    pair.receive(&datagram);
    assert!(pair.is_ended(), "the genuine one still works");
}

#[test]
fn k2_005_messages_with_the_wrong_role_or_other_spis_are_dropped() {
    let mut pair = Pair::new();
    for datagram in pair.peer.impostors() {
        pair.receive(&datagram);
        assert_eq!(pair.seen(), [dropped(DropReason::NotOurs)]);
    }
    pair.command(Command::ProbeLiveness);
    let reflected = pair.transmitted().remove(0);
    pair.seen();
    pair.receive(&reflected);
    assert_eq!(pair.seen(), [dropped(DropReason::NotOurs)]);
}

#[test]
fn n_05_a_peer_at_another_address_is_not_followed() {
    let mut pair = Pair::new();
    let datagram = pair.peer.request(INFORMATIONAL, &empty());
    pair.receive_from("203.0.113.9:4500", &datagram);
    assert_eq!(pair.seen(), [dropped(DropReason::WrongAddress)]);
    pair.receive_from("192.0.2.1:61000", &datagram);
    assert_eq!(pair.sent_to(), ["192.0.2.1:61000"], "RFC 7296 §2.11: the answer goes where the request came from");
    pair.seen();
    pair.command(Command::ProbeLiveness);
    assert_eq!(pair.sent_to(), ["192.0.2.1:4500"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn k2_100_octets_from_nowhere_change_nothing(datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut pair = Pair::new();
        pair.receive(&datagram);
        prop_assert!(matches!(pair.seen()[..], [Seen::Event(Event::Dropped(_))]));
    }

    #[test]
    fn any_authentic_request_gets_one_answer_and_leaves_the_sa_sound(
        exchange in any::<u8>(),
        first in any::<u8>(),
        octets in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut pair = Pair::new();
        let contents = Contents { first: PayloadType(first), octets };
        let datagram = pair.peer.request(ExchangeType(exchange), &contents);
        pair.receive(&datagram);
        let answers = pair.seen().iter().filter(|seen| matches!(seen, Seen::Sent { response: true, .. })).count();
        prop_assert_eq!(answers, 1);
        prop_assert!(pair.is_established() || pair.is_ended());
    }
}
