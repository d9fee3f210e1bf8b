//! Requests of the peer and their answers.

use super::peer;
use super::peer::{CHILD, INBOUND, OUTBOUND, Pair, empty, notify_contents};
use super::*;
use crate::ike::action::{Command, Timer};
use crate::ike::v2::window::LAST_MESSAGE_ID;
use crate::ike::wire::chain::Contents;
use crate::ike::wire::registry::PayloadType;

#[test]
fn k2_105_an_empty_request_is_answered_at_once() {
    let mut pair = Pair::new();
    let datagram = pair.peer.request(INFORMATIONAL, &empty());
    pair.receive(&datagram);
    assert_eq!(pair.seen(), [response(0, Informational::default())]);
}

#[test]
fn k2_105_unknown_payloads_and_notifies_in_a_request_change_empty() {
    let mut pair = Pair::new();
    let mut octets = notify_contents(NotifyType(40_000), b"data");
    octets.octets[0] = 200;
    octets.octets.extend_from_slice(&[0, 0, 0, 8, 1, 2, 3, 4]);
    for contents in [octets, notify_contents(NotifyType(9999), b""), notify_contents(NotifyType::COOKIE2, &[7; 20])] {
        let (message_id, datagram) = (pair.peer.next_request, pair.peer.request(INFORMATIONAL, &contents));
        pair.receive(&datagram);
        let seen = pair.seen();
        assert_eq!(seen.last(), Some(&response(message_id, Informational::default())));
        assert!(pair.is_established());
    }
}

#[test]
fn k2_144_a_request_is_answered_while_our_own_waits() {
    let mut pair = Pair::new();
    pair.command(Command::ProbeLiveness);
    assert_eq!(pair.seen(), [request(2, Informational::default())]);
    let datagram = pair.peer.request(INFORMATIONAL, &empty());
    pair.receive(&datagram);
    assert_eq!(pair.seen(), [response(0, Informational::default())]);
    let answer = pair.peer.response(2, INFORMATIONAL, &empty());
    pair.receive(&answer);
    assert_eq!(pair.seen(), []);
    assert_eq!(pair.next_timer(), Some(Timer::Keepalive));
}

#[test]
fn k2_082_a_repeated_request_gets_the_same_octets_and_is_not_processed_again() {
    let mut pair = Pair::new();
    let datagram = pair.peer.request(INFORMATIONAL, &notify_contents(NotifyType::INVALID_SELECTORS, b""));
    pair.receive(&datagram);
    let first = pair.transmitted();
    assert!(matches!(pair.seen()[..], [Seen::Event(Event::Notice(_)), Seen::Sent { .. }]));
    pair.receive(&datagram);
    assert_eq!(pair.transmitted(), first, "sealed anew it would have another IV");
    assert!(matches!(pair.seen()[..], [Seen::Sent { .. }]));
}

#[test]
fn k2_082_the_last_id_with_other_octets_is_not_a_repetition() {
    let mut pair = Pair::new();
    let datagram = pair.peer.request(INFORMATIONAL, &empty());
    pair.receive(&datagram);
    pair.seen();
    let other = pair.peer.request_with_id(0, INFORMATIONAL, &pair.peer_delete());
    pair.receive(&other);
    assert_eq!(pair.seen(), [dropped(DropReason::OutsideWindow)]);
}

#[test]
fn k2_082_an_older_request_than_the_last_is_ignored() {
    let mut pair = Pair::new();
    let oldest = pair.peer.request(INFORMATIONAL, &empty());
    let newer = pair.peer.request(INFORMATIONAL, &empty());
    pair.receive(&oldest);
    pair.receive(&newer);
    pair.seen();
    pair.receive(&oldest);
    assert_eq!(pair.seen(), [dropped(DropReason::OutsideWindow)]);
}

#[test]
fn k2_083_an_answer_is_not_repeated_by_itself() {
    let mut pair = Pair::without_dpd();
    let datagram = pair.peer.request(INFORMATIONAL, &empty());
    pair.receive(&datagram);
    pair.seen();
    pair.advance(seconds(19));
    assert_eq!(pair.seen(), []);
}

#[test]
fn k2_084_requests_outside_the_window_are_dropped() {
    let mut pair = Pair::new();
    for message_id in [1, 2, 77, u32::MAX] {
        let datagram = pair.peer.request_with_id(message_id, INFORMATIONAL, &empty());
        pair.receive(&datagram);
        assert_eq!(pair.seen(), [dropped(DropReason::OutsideWindow)]);
    }
}

#[test]
fn k2_089_a_second_message_0_with_other_content_is_ignored() {
    let mut pair = Pair::new();
    let datagram = pair.peer.request(INFORMATIONAL, &empty());
    pair.receive(&datagram);
    pair.seen();
    let sync = notify_contents(NotifyType(16422), &[0; 12]);
    let datagram = pair.peer.request_with_id(0, INFORMATIONAL, &sync);
    pair.receive(&datagram);
    assert_eq!(pair.seen(), [dropped(DropReason::OutsideWindow)]);
}

#[test]
fn k2_085_the_sa_is_closed_before_message_ids_of_either_side_wrap() {
    let mut pair = Pair::new();
    pair.set_peer_id(LAST_MESSAGE_ID - 1);
    let datagram = pair.peer.request_with_id(LAST_MESSAGE_ID - 1, INFORMATIONAL, &empty());
    pair.receive(&datagram);
    let seen = pair.seen();
    assert_eq!(
        seen,
        [
            response(LAST_MESSAGE_ID - 1, Informational::default()),
            Seen::Removed(CHILD),
            request(2, deletes(ProtocolId::IKE, &[]))
        ]
    );

    let mut pair = Pair::new();
    pair.set_our_id(LAST_MESSAGE_ID - 1);
    pair.command(Command::ProbeLiveness);
    let answer = pair.peer.response(LAST_MESSAGE_ID - 1, INFORMATIONAL, &empty());
    pair.receive(&answer);
    assert_eq!(
        pair.seen(),
        [
            request(LAST_MESSAGE_ID - 1, Informational::default()),
            Seen::Removed(CHILD),
            request(LAST_MESSAGE_ID, deletes(ProtocolId::IKE, &[]))
        ]
    );
    let answer = pair.peer.response(LAST_MESSAGE_ID, INFORMATIONAL, &empty());
    pair.receive(&answer);
    assert_eq!(pair.seen(), [ended(Failure::LifetimeEnded)]);
}

#[test]
fn k2_007_an_unknown_critical_payload_is_named_in_the_answer_and_the_sa_stays() {
    let mut pair = Pair::new();
    let contents = Contents { first: PayloadType(99), octets: vec![0, 0x80, 0, 5, 1] };
    let datagram = pair.peer.request(INFORMATIONAL, &contents);
    pair.receive(&datagram);
    let notify = Notify::new(NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD).with_data(vec![99]);
    assert_eq!(pair.seen(), [response(0, Informational { notifies: vec![notify], ..Informational::default() })]);
    assert!(pair.is_established());
}

#[test]
fn k2_007_an_unknown_critical_payload_in_a_response_is_not_answered() {
    let mut pair = Pair::new();
    pair.command(Command::ProbeLiveness);
    pair.seen();
    let contents = Contents { first: PayloadType(99), octets: vec![0, 0x80, 0, 5, 1] };
    let answer = pair.peer.response(2, INFORMATIONAL, &contents);
    pair.receive(&answer);
    assert!(matches!(pair.seen()[..], [Seen::Event(Event::Notice(_))]));
    assert!(pair.is_established());
}

#[test]
fn k2_006_a_malformed_authentic_request_is_answered_invalid_syntax_and_ends_the_sa() {
    for contents in [
        Contents { first: PayloadType::NOTIFY, octets: vec![0, 0, 0, 3] },
        Contents { first: PayloadType::NOTIFY, octets: vec![0, 0, 0, 200, 0, 0, 0, 0] },
        Contents { first: PayloadType::DELETE, octets: vec![0, 0, 0, 8, 3, 9, 0, 1] },
        Contents { first: PayloadType::NONE, octets: vec![1] },
        Contents { first: PayloadType::ENCRYPTED, octets: vec![0, 0, 0, 4] },
    ] {
        let mut pair = Pair::new();
        let datagram = pair.peer.request(INFORMATIONAL, &contents);
        pair.receive(&datagram);
        assert_eq!(
            pair.seen(),
            [
                response(0, saying(NotifyType::INVALID_SYNTAX)),
                Seen::Removed(CHILD),
                ended(Failure::PeerViolation { what: "sent a malformed request" })
            ]
        );
    }
}

#[test]
fn a_request_of_an_exchange_without_place_is_answered_invalid_syntax() {
    for exchange in [ExchangeType::IKE_AUTH, ExchangeType::IKE_SESSION_RESUME, ExchangeType::IKE_FOLLOWUP_KE] {
        let mut pair = Pair::new();
        let datagram = pair.peer.request(exchange, &empty());
        pair.receive(&datagram);
        let seen = pair.seen();
        let answer =
            Seen::Sent { response: true, message_id: 0, exchange, content: saying(NotifyType::INVALID_SYNTAX) };
        assert_eq!(seen[..2], [answer, Seen::Removed(CHILD)]);
    }
}

#[test]
fn k2_143_auth_lifetime_brings_the_end_forward_and_never_puts_it_off() {
    let mut pair = Pair::with(|profile| profile.ike_lifetime.time = Some(seconds(100_000)));
    for (message_id, lifetime) in [(0, 600_u32), (1, 900_000)] {
        let contents = notify_contents(NotifyType::AUTH_LIFETIME, &lifetime.to_be_bytes());
        let datagram = pair.peer.request_with_id(message_id, INFORMATIONAL, &contents);
        pair.receive(&datagram);
        assert_eq!(pair.end(), seconds(600));
    }
}

#[test]
fn k2_143_auth_lifetime_of_the_ike_auth_response_counts() {
    let lifetime = 600_u32.to_be_bytes().to_vec();
    let pair = Pair::told(&[Notify::new(NotifyType::AUTH_LIFETIME).with_data(lifetime)]);
    assert_eq!(pair.end(), seconds(600));
}

#[test]
fn k2_139_a_peer_that_offers_nothing_of_ours_is_refused_and_the_sas_stay() {
    for contents in [peer::rekey_ike(), peer::new_child(), peer::rekey_child(OUTBOUND)] {
        let mut pair = Pair::new();
        let datagram = pair.peer.request(CREATE_CHILD_SA, &contents);
        pair.receive(&datagram);
        let content = saying(NotifyType::NO_PROPOSAL_CHOSEN);
        let answer = Seen::Sent { response: true, message_id: 0, exchange: CREATE_CHILD_SA, content };
        assert_eq!(pair.seen()[1..], [answer]);
        assert!(pair.is_established());
    }
}

#[test]
fn k2_126_a_rekey_of_a_child_that_is_not_there_is_answered_child_sa_not_found() {
    let mut pair = Pair::new();
    let datagram = pair.peer.request(CREATE_CHILD_SA, &peer::rekey_child(INBOUND));
    pair.receive(&datagram);
    let notify = Notify {
        protocol: ProtocolId::ESP,
        spi: INBOUND.to_be_bytes().to_vec(),
        ..Notify::new(NotifyType::CHILD_SA_NOT_FOUND)
    };
    let content = Informational { notifies: vec![notify], ..Informational::default() };
    assert_eq!(pair.seen()[1..], [Seen::Sent { response: true, message_id: 0, exchange: CREATE_CHILD_SA, content }]);
}

#[test]
fn k2_126_a_rekey_of_an_ah_sa_with_our_esp_number_is_not_about_our_child() {
    let mut pair = Pair::new();
    let datagram = pair.peer.request(CREATE_CHILD_SA, &peer::rekey_child_of(ProtocolId::AH, OUTBOUND));
    pair.receive(&datagram);
    let seen = pair.seen();
    let Some(Seen::Sent { content, .. }) = seen.last() else { panic!("{seen:?}") };
    assert_eq!(content.notifies[0].kind, NotifyType::CHILD_SA_NOT_FOUND);
    assert_eq!(content.notifies[0].protocol, ProtocolId::AH);
}

#[test]
fn k2_127_who_closes_the_ike_sa_puts_off_every_request_for_an_sa() {
    for contents in [peer::rekey_ike(), peer::new_child(), peer::rekey_child(OUTBOUND)] {
        let mut pair = Pair::new();
        pair.command(Command::Close);
        pair.seen();
        let datagram = pair.peer.request(CREATE_CHILD_SA, &contents);
        pair.receive(&datagram);
        let content = saying(NotifyType::TEMPORARY_FAILURE);
        let answer = Seen::Sent { response: true, message_id: 0, exchange: CREATE_CHILD_SA, content };
        assert_eq!(pair.seen()[1..], [answer]);
    }
}

#[test]
fn v_11_a_rekey_that_names_an_impossible_protocol_is_a_malformed_request() {
    let mut pair = Pair::new();
    let datagram = pair.peer.request(CREATE_CHILD_SA, &peer::rekey_child_of(ProtocolId::NONE, OUTBOUND));
    pair.receive(&datagram);
    let content = saying(NotifyType::INVALID_SYNTAX);
    assert_eq!(pair.seen()[0], Seen::Sent { response: true, message_id: 0, exchange: CREATE_CHILD_SA, content });
    assert!(pair.is_ended());
}
