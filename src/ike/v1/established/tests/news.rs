//! Deletes, errors and other news, and what is none.

use super::kit::*;
use crate::ike::action::{DropReason, Event, Failure, Phase};
use crate::ike::v1::message::{Delete, Informational, Notify};
use crate::ike::wire::chain::Contents;
use crate::ike::wire::registry;
use crate::sa::command::{ChildId, DataReport};

const INVALID_SPI: u16 = 11;
const COOKIES: [u8; 16] = [1, 1, 1, 1, 1, 1, 1, 1, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81];

fn delete_esp(spi: [u8; 4]) -> Delete {
    Delete { protocol: 3, spis: vec![spi.to_vec()] }
}

fn delete_isakmp() -> Delete {
    Delete { protocol: 1, spis: vec![COOKIES.to_vec()] }
}

fn deletes(deletes: Vec<Delete>) -> Informational {
    Informational { deletes, ..Informational::default() }
}

fn error(kind: u16) -> Notify {
    Notify { protocol: 3, spi: vec![1, 2, 3, 4], kind, data: b"text".to_vec() }
}

#[test]
fn k1_017_a_deleted_child_is_negotiated_anew_at_once_and_used_at_once() {
    let (mut client, mut peer, made) = up(profile());
    let delete = peer.inform(&deletes(vec![delete_esp(made.gateway_spi)]));
    let sent = client.receive(&delete);
    assert_eq!(sent.len(), 1);
    let (answer, new) = peer.answer(&sent[0]);
    client.receive(&answer);
    client.seen(0, new.client_spi);
    assert!(matches!(client.told().last(), Some(Event::ChildRekeyed { .. })), "{:?}", client.told());
    assert!(client.told().iter().all(|event| !matches!(event, Event::ChildGone { .. })));
}

#[test]
fn k1_017_a_deleted_child_that_is_refused_is_gone_and_the_others_stay() {
    let (mut client, mut peer, made) = up(reaching(profile(), &["10.250.0.0/24", "10.251.0.0/24"]));
    let delete = peer.inform(&deletes(vec![delete_esp(made.gateway_spi)]));
    client.receive(&delete);
    for _ in 0..20 {
        let refusal = peer.notify(INVALID_ID_INFORMATION, &[]);
        client.receive(&refusal);
        client.wait(1_000);
    }
    assert_eq!(client.told().last(), Some(&&Event::ChildGone { child: ChildId(1) }));
    assert_eq!(client.status(), "established");
}

#[test]
fn a_gateway_that_deletes_a_child_again_and_again_is_not_asked_for_ever() {
    let (mut client, mut peer, mut made) = up(profile());
    for _ in 0..20 {
        let delete = peer.inform(&deletes(vec![delete_esp(made.gateway_spi)]));
        let sent = client.receive(&delete);
        if client.failure().is_some() {
            break;
        }
        let (answer, new) = peer.answer(&sent[0]);
        client.receive(&answer);
        client.seen(0, new.client_spi);
        made = new;
    }
    assert!(client.installed().len() <= 5, "{}", client.installed().len());
    assert_eq!(client.failure(), Some(&Failure::ChildrenDeleted { phase: Phase::QuickMode }));
}

#[test]
fn k1_018_the_delete_of_an_sa_that_was_replaced_just_forgets_it() {
    let (mut client, mut peer, old) = up(profile());
    let (request, mut made) = peer.ask(host(), subnet("10.250.0.0/24"));
    let sent = client.receive(&request);
    let (confirmation, _) = peer.confirm(&mut made, &sent[0]);
    client.receive(&confirmation);
    let delete = peer.inform(&deletes(vec![delete_esp(old.gateway_spi)]));
    let before = client.done.len();
    assert!(client.receive(&delete).is_empty());
    client.wait(4_000);
    assert!(client.order(before).is_empty(), "what was under way is still heard");
    client.wait(2_000);
    assert_eq!(client.order(before), ["removed"]);
}

#[test]
fn k1_018_the_delete_of_the_sa_in_use_switches_to_one_that_waits() {
    let (mut client, mut peer, old) = up(profile());
    let (request, mut made) = peer.ask(host(), subnet("10.250.0.0/24"));
    let sent = client.receive(&request);
    peer.confirm(&mut made, &sent[0]);
    let delete = peer.inform(&deletes(vec![delete_esp(old.gateway_spi)]));
    assert!(client.receive(&delete).is_empty());
    assert_eq!(client.switched().last().unwrap().spi.to_octets(), made.gateway_spi);
}

#[test]
fn k1_017_a_delete_that_names_our_spi_is_of_the_pair() {
    let (mut client, mut peer, made) = up(profile());
    let delete = peer.inform(&deletes(vec![delete_esp(made.client_spi)]));
    let sent = client.receive(&delete);
    let (answer, new) = peer.answer(&sent[0]);
    client.receive(&answer);
    assert_eq!(client.switched().last().unwrap().spi.to_octets(), new.gateway_spi);
}

#[test]
fn k1_017_unknown_spis_delete_nothing() {
    let (mut client, mut peer, made) = up(profile());
    let odd = [
        delete_esp([0; 4]),
        delete_esp([9; 4]),
        Delete { protocol: 2, spis: vec![made.gateway_spi.to_vec()] },
        Delete { protocol: 1, spis: vec![vec![7; 16]] },
        Delete { protocol: 1, spis: vec![made.gateway_spi.to_vec()] },
        Delete { protocol: 3, spis: vec![COOKIES.to_vec()] },
    ];
    for delete in odd {
        let Ok(contents) = deletes(vec![delete]).contents() else { continue };
        let id = peer.sa.fresh_message_id(&mut crate::crypto::random::SeededRandom::new(client.done.len() as u64));
        let mut iv = peer.sa.first_iv(id);
        let exchange = crate::ike::v1::header::ExchangeType::INFORMATIONAL;
        let message = peer.sa.seal_with_hash_1(exchange, id, &mut iv, &contents).unwrap();
        assert!(client.receive(&message).is_empty());
    }
    assert_eq!(client.status(), "established");
}

#[test]
fn k1_017_the_delete_of_the_only_isakmp_sa_ends_the_session() {
    let (mut client, mut peer, _) = up(profile());
    let delete = peer.inform(&deletes(vec![delete_isakmp()]));
    let before = client.done.len();
    client.receive(&delete);
    assert_eq!(client.order(before), ["removed child", "ended"]);
    assert_eq!(client.failure(), Some(&Failure::ClosedByPeer));
    assert!(client.receive(&delete).is_empty());
}

#[test]
fn v_13_deletes_and_notifies_in_one_message_in_any_order_do_what_each_says() {
    let message = |notifies: Vec<Notify>, what: Vec<Delete>| Informational { notifies, deletes: what };
    for (name, ends, build) in [
        ("[D,D]", false, (|spi| (vec![], vec![delete_esp(spi), delete_esp(spi)])) as fn([u8; 4]) -> _),
        ("[D,N]", false, |spi| (vec![error(18)], vec![delete_esp(spi)])),
        ("[N,D,D]", false, |spi| (vec![error(16384)], vec![delete_esp(spi), delete_esp([9; 4])])),
        ("[D(ISAKMP),D(ESP)]", true, |spi| (vec![], vec![delete_isakmp(), delete_esp(spi)])),
        ("[D(ISAKMP),D(ISAKMP),N]", true, |_| (vec![error(14)], vec![delete_isakmp(), delete_isakmp()])),
    ] {
        let (mut client, mut peer, made) = up(profile());
        let (notifies, what) = build(made.gateway_spi);
        let message = peer.inform(&message(notifies, what));
        client.receive(&message);
        assert_eq!(client.failure() == Some(&Failure::ClosedByPeer), ends, "{name}");
        let again = client.receive(&message);
        assert!(again.is_empty(), "{name}: a replay");
        if !ends {
            let (answer, new) = peer.answer(&client.last_sent_quick());
            client.receive(&answer);
            client.seen(0, new.client_spi);
            assert!(matches!(client.told().last(), Some(Event::ChildRekeyed { .. })), "{name}");
        }
    }
}

#[test]
fn v_16_and_k1_010_a_message_whose_bits_were_flipped_does_nothing() {
    let (mut client, mut peer, made) = up(profile());
    let contents = Informational {
        notifies: vec![Notify { protocol: 1, spi: COOKIES.to_vec(), kind: 36136, data: vec![0, 0, 0, 1] }],
        deletes: vec![delete_esp(made.gateway_spi), delete_isakmp()],
    };
    let message = peer.inform(&contents);
    let before = client.done.len();
    for bit in 28 * 8..message.len() * 8 {
        let mut flipped = message.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let padding_only = client.receive(&flipped).is_empty();
        assert!(padding_only && client.order(before).is_empty(), "bit {bit}");
    }
    assert!(client.drops().iter().all(|reason| *reason == DropReason::Forged));
    client.receive(&message);
    assert_eq!(client.failure(), Some(&Failure::ClosedByPeer));
}

#[test]
fn k1_010_nothing_in_clear_without_hash_or_with_a_wrong_one_is_believed() {
    let (mut client, mut peer, made) = up(profile());
    let contents = deletes(vec![delete_esp(made.gateway_spi), delete_isakmp()]).contents().unwrap();
    let before = client.done.len();

    let mut clear = client.last_sent()[..28].to_vec();
    clear[16] = 12;
    clear[18] = 5;
    clear[19] = 0;
    clear[20..24].copy_from_slice(&[1, 2, 3, 4]);
    clear.extend(&contents.octets);
    let length = clear.len() as u32;
    clear[24..28].copy_from_slice(&length.to_be_bytes());
    client.receive(&clear);
    assert_eq!(client.drops().last(), Some(&DropReason::Unauthenticated));

    let exchange = crate::ike::v1::header::ExchangeType::INFORMATIONAL;
    for hash in [vec![], vec![0; 32], vec![0xff; 32], vec![0; 20]] {
        let id = 0x0101_0101 + hash.len() as u32 + u32::from(hash.first().copied().unwrap_or(7));
        let mut iv = peer.sa.first_iv(id);
        let message = peer.sa.seal_with_hash(exchange, id, &mut iv, &hash, &contents).unwrap();
        client.receive(&message);
        assert_eq!(client.drops().last(), Some(&DropReason::Forged), "{hash:?}");
    }
    let nothing = Contents { first: registry::PayloadType::NONE, octets: Vec::new() };
    let mut iv = peer.sa.first_iv(0x0202_0202);
    let message = peer.sa.seal_with_hash(exchange, 0x0202_0202, &mut iv, &[1; 32], &nothing).unwrap();
    client.receive(&message);
    assert!(client.order(before).iter().all(|word| *word == "sent"), "at most a question: {:?}", client.order(before));
    assert_eq!(client.status(), "established");
    let _ = peer.fresh_spi();
}

#[test]
fn k1_010_exchanges_that_do_not_belong_after_phase_1_are_dropped() {
    let (mut client, mut peer, _) = up(profile());
    let message = peer.inform(&deletes(vec![delete_isakmp()]));
    for exchange in (0..=255).filter(|exchange| *exchange != 5) {
        let mut other = message.clone();
        other[18] = exchange;
        let sent = client.receive(&other);
        // The header is not under the hash: as a quick mode it is authentic, and refused.
        assert_eq!(sent.len(), usize::from(exchange == 32), "exchange {exchange}");
    }
    for flags in [0, 2, 4, 0xfe] {
        let mut other = message.clone();
        other[19] = flags;
        client.receive(&other);
    }
    for len in 0..message.len() {
        client.receive(&message[..len]);
    }
    assert_eq!(client.status(), "established");
    assert_eq!(client.installed().len(), 1);
    client.receive(&message);
    assert_eq!(client.failure(), Some(&Failure::ClosedByPeer));
}

#[test]
fn k1_025_messages_from_another_address_or_without_marker_are_dropped() {
    let (mut client, mut peer, _) = up(profile());
    let message = peer.inform(&deletes(vec![delete_isakmp()]));
    let bare = crate::sa::path::Path {
        remote: "198.51.100.1:500".parse().unwrap(),
        framing: crate::sa::path::Framing::Bare,
        ..path()
    };
    let elsewhere = crate::sa::path::Path { remote: "203.0.113.9:4500".parse().unwrap(), ..path() };
    client.receive_on(bare, &message);
    client.receive_on(elsewhere, &message);
    assert_eq!(client.drops(), [DropReason::WrongAddress; 2]);
    client.receive(&message);
    assert_eq!(client.failure(), Some(&Failure::ClosedByPeer));
}

#[test]
fn k1_014_a_later_responder_lifetime_shortens_the_sa_and_one_in_clear_does_not() {
    let (mut client, mut peer, made) = up(profile());
    let before = client.poll_timeout().unwrap();
    let shorter = |spi: [u8; 4]| Informational {
        notifies: vec![Notify {
            protocol: 3,
            spi: spi.to_vec(),
            kind: 24576,
            data: vec![0x80, 1, 0, 1, 0x80, 2, 0, 60],
        }],
        ..Informational::default()
    };
    let other = peer.inform(&shorter(made.client_spi));
    client.receive(&other);
    assert_eq!(client.poll_timeout(), Some(before));
    let right = peer.inform(&shorter(made.gateway_spi));
    client.receive(&right);
    let after = client.poll_timeout().unwrap();
    assert!(after < at(60_000) && after > at(40_000), "{after:?}");
}

#[test]
fn an_esp_packet_of_an_unknown_sa_is_a_reason_to_ask_once_in_a_while() {
    let (mut client, ..) = up_with_answers(profile());
    let asked: usize = (0..60)
        .map(|_| {
            client.wait(100);
            client.report(DataReport::UnknownSpi { spi: 0x1234_5678 }).len()
        })
        .sum();
    assert_eq!(asked, 1);
}

#[test]
fn an_sa_that_the_gateway_says_it_does_not_know_is_made_anew() {
    for spi_is_data in [false, true] {
        let (mut client, mut peer, made) = up(profile());
        client.wait(6_000);
        let lost = Notify {
            protocol: 3,
            spi: if spi_is_data { Vec::new() } else { made.gateway_spi.to_vec() },
            kind: INVALID_SPI,
            data: if spi_is_data { made.gateway_spi.to_vec() } else { Vec::new() },
        };
        let message = peer.inform(&Informational { notifies: vec![lost], ..Informational::default() });
        let sent = client.receive(&message);
        let (answer, made) = peer.answer(&sent[0]);
        let before = client.done.len();
        client.receive(&answer);
        assert_eq!(client.order(before), ["installed", "sent", "switched", "rekeyed"], "used at once");
        assert_eq!(client.switched()[1].spi.to_octets(), made.gateway_spi);
        // The message again, and one about the SA that is gone already.
        assert!(client.receive(&message).is_empty());
        client.wait(10_000);
        let again = peer.notify(INVALID_SPI, &client.switched()[0].spi.to_octets());
        assert!(client.receive(&again).is_empty());
        assert_eq!(client.installed().len(), 2);
    }
}

#[test]
fn an_sa_that_is_new_or_nobodys_is_only_asked_about_when_the_gateway_does_not_know_it() {
    let (mut client, mut peer, made) = up_with_answers(profile());
    client.wait(4_000);
    for spi in [made.gateway_spi.to_vec(), made.client_spi.to_vec(), vec![9; 4], Vec::new()] {
        let message = peer.notify(INVALID_SPI, &spi);
        let asked = client.receive(&message);
        let ack = peer.acknowledge(&asked[0]);
        assert!(client.receive(&ack).is_empty());
    }
    assert_eq!((client.installed().len(), client.status()), (1, "established"));
}
