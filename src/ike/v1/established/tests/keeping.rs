//! Signs of life, keepalives, the end of lifetimes, and the end by us.

use std::time::Duration;

use super::kit::*;
use crate::ike::action::{Command, DropReason, Event, Failure};
use crate::ike::profile::Profile;
use crate::ike::v1::message::{Informational, Notify};
use crate::ike::v1::vendor::PeerCapabilities;
use crate::sa::command::{ChildId, DataCommand, DataReport};

fn cookies() -> Vec<u8> {
    [[1; 8], [0x81; 8]].concat()
}

fn with_dpd(seconds: u64) -> Profile {
    Profile { dpd: Some(Duration::from_secs(seconds)), ..profile() }
}

fn question(peer: &mut Peer, number: u32) -> Vec<u8> {
    let notify = Notify { protocol: 1, spi: cookies(), kind: R_U_THERE, data: number.to_be_bytes().to_vec() };
    peer.inform(&Informational { notifies: vec![notify], ..Informational::default() })
}

fn numbers(peer: &Peer, messages: &[Vec<u8>], kind: u16) -> Vec<u32> {
    messages
        .iter()
        .flat_map(|message| peer.open_news(message).notifies)
        .inspect(|notify| assert_eq!((notify.protocol, notify.kind, &notify.spi), (1, kind, &cookies())))
        .map(|notify| u32::from_be_bytes(notify.data.try_into().unwrap()))
        .collect()
}

#[test]
fn k1_016_after_silence_the_gateway_is_asked_and_its_answer_is_life() {
    let (mut client, mut peer, _) = up_with_answers(with_dpd(30));
    client.report(DataReport::OutboundSent { child: ChildId(0) });
    let before = client.sent_since(0).len();
    client.wait(29_000);
    assert_eq!(client.sent_since(0).len(), before);
    let asked = client.wait(1_100);
    let asked = numbers(&peer, &asked[..1], R_U_THERE);
    assert!(asked[0] < 1 << 31);
    let ack = Notify { protocol: 1, spi: cookies(), kind: R_U_THERE_ACK, data: asked[0].to_be_bytes().to_vec() };
    let ack = peer.inform(&Informational { notifies: vec![ack], ..Informational::default() });
    assert!(client.receive(&ack).is_empty());
    assert!(client.wait(50_000).is_empty(), "unused, it is asked half as often");
    let again = client.wait(11_000);
    assert_eq!(numbers(&peer, &again[..1], R_U_THERE), [asked[0] + 1]);
}

#[test]
fn k1_016_a_gateway_that_does_not_answer_is_dead() {
    let (mut client, ..) = up_with_answers(with_dpd(30));
    client.report(DataReport::OutboundSent { child: ChildId(0) });
    client.wait(300_000);
    let Some(Failure::PeerDead { silent }) = client.failure() else { panic!("{:?}", client.told()) };
    assert!(*silent > Duration::from_secs(59) && *silent < Duration::from_secs(64), "{silent:?}");
    assert!(client.done.iter().any(|deed| matches!(deed, Deed::RemovedChild)));
}

#[test]
fn k1_016_packets_are_life_and_put_the_question_off() {
    let (mut client, peer, made) = up_with_answers(with_dpd(30));
    let _ = &peer;
    for _ in 0..100 {
        client.report(DataReport::OutboundSent { child: ChildId(0) });
        assert!(client.wait(1_400).is_empty());
        client.seen(0, made.client_spi);
    }
    client.report(DataReport::OutboundSent { child: ChildId(0) });
    assert!(!client.wait(31_000).is_empty());
    client.seen(0, made.client_spi);
    assert!(client.wait(29_000).is_empty(), "a packet answers the question");
}

#[test]
fn k1_016_the_gateways_question_is_answered_with_its_number_and_a_replay_is_not() {
    let (mut client, mut peer, _) = up(profile());
    let first = question(&mut peer, 77);
    let sent = client.receive(&first);
    assert_eq!(numbers(&peer, &sent, R_U_THERE_ACK), [77]);
    assert!(client.receive(&first).is_empty(), "the same message again");
    let again = question(&mut peer, 77);
    let sent = client.receive(&again);
    assert_eq!(numbers(&peer, &sent, R_U_THERE_ACK), [77], "it did not get our answer");
    let next = question(&mut peer, 78);
    let sent = client.receive(&next);
    assert_eq!(numbers(&peer, &sent, R_U_THERE_ACK), [78]);
    client.wait(2_000);
    let old = question(&mut peer, 77);
    assert!(client.receive(&old).is_empty(), "an earlier number");
    assert_eq!(client.drops().last(), Some(&DropReason::OutsideWindow));
    let mut answered = 0;
    for number in 79..200 {
        let message = question(&mut peer, number);
        answered += client.receive(&message).len();
    }
    assert!(answered <= 4, "{answered}");
}

#[test]
fn k1_016_questions_in_clear_or_with_other_cookies_are_not_answered() {
    let (mut client, mut peer, _) = up(profile());
    let notify = Notify { protocol: 1, spi: vec![9; 16], kind: R_U_THERE, data: vec![0, 0, 0, 1] };
    let other = Informational { notifies: vec![notify], ..Informational::default() };
    let message = peer.inform(&other);
    assert!(client.receive(&message).is_empty());
    let contents = other.contents().unwrap();
    let mut clear = message[..28].to_vec();
    clear[16] = 11;
    clear[19] = 0;
    clear.extend(&contents.octets);
    let length = clear.len() as u32;
    clear[24..28].copy_from_slice(&length.to_be_bytes());
    let sent = client.receive(&clear);
    assert!(sent.iter().all(|message| peer.open_news(message).notifies.iter().all(|one| one.kind == R_U_THERE)));
}

#[test]
fn k1_016_a_gateway_that_did_not_announce_dpd_is_not_asked() {
    let mut client = Client::with(with_dpd(30), PeerCapabilities { dpd: false, ..CAPABILITIES }, None);
    let (answer, _) = Peer::new().answer(&client.last_sent());
    client.receive(&answer);
    client.report(DataReport::OutboundSent { child: ChildId(0) });
    assert!(client.wait(300_000).is_empty());
    assert!(client.command(Command::ProbeLiveness).is_empty());
}

#[test]
fn a_sign_of_life_is_asked_for_at_once_when_somebody_wants_it() {
    let (mut client, peer, _) = up_with_answers(profile());
    let sent = client.command(Command::ProbeLiveness);
    assert_eq!(numbers(&peer, &sent, R_U_THERE).len(), 1);
    assert!(client.command(Command::ProbeLiveness).is_empty(), "one question at a time");
}

#[test]
fn the_nat_mapping_is_kept() {
    let (mut client, ..) = up(Profile { keepalive: Duration::from_secs(20), ..profile() });
    client.wait(100_000);
    let kept = client.done.iter().filter(|deed| matches!(deed, Deed::Other(DataCommand::Keepalive { .. }))).count();
    assert_eq!(kept, 5);
}

#[test]
fn closing_deletes_each_child_and_the_isakmp_sa_and_ends_at_once() {
    let (mut client, peer, made) = up(reaching(profile(), &["10.250.0.0/24", "10.251.0.0/24"]));
    let before = client.done.len();
    let sent = client.command(Command::Close);
    assert_eq!(client.order(before), ["removed child", "removed child", "sent", "sent", "sent", "ended"]);
    let deletes: Vec<_> = sent.iter().map(|message| peer.open_news(message).deletes.remove(0)).collect();
    assert_eq!(deletes.iter().map(|delete| delete.protocol).collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(deletes[1].spis, [made.client_spi.to_vec()], "K1-017: the SPIs that we receive on");
    assert_eq!(deletes[2].spis, [cookies()]);
    assert_eq!(client.failure(), Some(&Failure::ClosedByUs { confirmed: true }));
    assert!(client.command(Command::Close).is_empty());
    assert_eq!(client.poll_timeout(), None);
}

#[test]
fn closing_in_the_middle_of_the_first_quick_mode_deletes_the_isakmp_sa() {
    let mut client = Client::new(profile());
    let sent = client.command(Command::Close);
    assert_eq!(Peer::new().open_news(&sent[0]).deletes[0].protocol, 1);
    assert_eq!(client.failure(), Some(&Failure::ClosedByUs { confirmed: true }));
}

#[test]
fn k1_020_the_isakmp_sa_is_renewed_before_its_end_and_a_renewal_without_answer_ends_with_it() {
    let mut client = Client::with(profile(), CAPABILITIES, Some(Duration::from_secs(3600)));
    let (answer, _) = Peer::new().answer(&client.last_sent());
    client.receive(&answer);
    let before = client.sent_since(0).len();
    while client.sent_since(0)[before..].iter().all(|message| message[18] != 2) {
        client.wait(1_000);
        assert!(client.failure().is_none(), "{:?}", client.told());
        assert!(client.now < at(3_600_000));
        let sent = client.sent_since(0);
        for message in sent[before..].iter().filter(|message| message[18] == 32) {
            let (answer, _) = Peer::new().answer(message);
            client.receive(&answer);
        }
    }
    assert!(client.now > at(3_600_000 * 7 / 10));
    client.wait(1_000_000);
    assert_eq!(client.failure(), Some(&Failure::LifetimeEnded), "{:?}", client.told());
    assert!(client.told().iter().any(|event| matches!(event, Event::Notice(_))));
}
