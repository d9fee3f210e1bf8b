//! Quick modes that the gateway begins.

use super::kit::*;
use crate::ike::action::{DropReason, Event, Side};
use crate::ike::v1::message::Identification;
use crate::sa::command::ChildId;

fn network() -> crate::sa::selector::Selector {
    subnet("10.250.0.0/24")
}

#[test]
fn k1_030_a_quick_mode_of_the_gateways_replaces_the_child() {
    let (mut client, mut peer, _) = up(profile());
    let (request, mut made) = peer.ask(host(), network());
    let before = client.done.len();
    let sent = client.receive(&request);
    assert_eq!(
        client.order(before),
        ["installed", "sent"],
        "the SA is there before the message that lets the gateway use it"
    );
    let (confirmation, answer) = peer.confirm(&mut made, &sent[0]);
    assert_eq!(answer.identifications, Some((identification(network()), identification(host()))));
    client.receive(&confirmation);
    assert_eq!(client.order(before), ["installed", "sent", "switched", "rekeyed"]);
    let (inbound, outbound) = (client.installed()[1], client.switched()[1]);
    assert_eq!((inbound.spi.to_octets(), outbound.spi.to_octets()), (made.client_spi, made.gateway_spi));
    assert!(same(&inbound.keys, &peer.keymat(&made, made.client_spi)));
    assert!(same(&outbound.keys, &peer.keymat(&made, made.gateway_spi)));
    assert_eq!((inbound.sources[0], inbound.destinations[0]), (network(), host()));
    assert!(matches!(client.told().last(), Some(Event::ChildRekeyed { child: ChildId(0), by: Side::Peer, .. })));
}

#[test]
fn k1_030_with_forward_secrecy_a_quick_mode_of_the_gateways_needs_a_key_exchange() {
    use crate::crypto::dh::{EphemeralSecret, Group};
    use crate::crypto::random::SeededRandom;
    let (mut client, mut peer, _) = up(with_forward_secrecy(profile()));
    let identifications = Some((identification(network()), identification(host())));
    let (without, _) = peer.ask_with(|proposal| proposal.identifications.clone_from(&identifications));
    let before = client.done.len();
    let sent = client.receive(&without);
    assert_eq!(client.order(before), ["sent"]);
    assert_eq!(peer.open_news(&sent[0]).notifies[0].kind, 17);

    let secret = EphemeralSecret::generate(Group::Ecp256, &mut SeededRandom::new(5));
    let (request, mut made) = peer.ask_with(|proposal| {
        proposal.identifications = identifications;
        proposal.key_exchange = Some(secret.public().to_vec());
    });
    let sent = client.receive(&request);
    let (confirmation, answer) = peer.confirm(&mut made, &sent[0]);
    made.shared = Some(secret.agree(&answer.key_exchange.unwrap()).unwrap());
    client.receive(&confirmation);
    assert!(same(&client.installed()[1].keys, &peer.keymat(&made, made.client_spi)));
}

#[test]
fn k1_030_the_gateways_new_sa_is_used_with_its_first_packet_when_its_third_message_is_lost() {
    let (mut client, mut peer, _) = up(profile());
    let (request, mut made) = peer.ask(host(), network());
    let sent = client.receive(&request);
    peer.confirm(&mut made, &sent[0]);
    client.wait(5_000);
    assert_eq!(client.switched().len(), 1);
    client.seen(0, made.client_spi);
    assert_eq!(client.switched().len(), 2);
    client.wait(60_000);
    assert!(client.done.iter().all(|deed| !matches!(deed, Deed::Removed)));
}

#[test]
fn k1_021_k1_030_an_answer_that_the_gateway_does_not_confirm_is_repeated_and_forgotten_in_the_end() {
    let (mut client, mut peer, _) = up(profile());
    let (request, mut made) = peer.ask(host(), network());
    let sent = client.receive(&request);
    let before = client.done.len();
    let again = client.wait(31_000);
    // The gateway's confirmation may have been lost: it comes again when the answer does.
    assert_eq!(again, vec![sent[0].clone(); 4]);
    assert_eq!(client.order(before).last(), Some(&"removed"));
    let (confirmation, _) = peer.confirm(&mut made, &sent[0]);
    client.receive(&confirmation);
    assert_eq!(client.switched().len(), 1);
}

#[test]
fn k1_030_other_selectors_than_ours_are_refused_with_invalid_id_information() {
    let (mut client, mut peer, _) = up(profile());
    for (ours, theirs) in [
        (host(), subnet("10.250.0.0/25")),
        (host(), subnet("10.251.0.0/24")),
        (subnet("10.200.0.8/32"), network()),
        (network(), host()),
        (host(), subnet("0.0.0.0/0")),
    ] {
        client.wait(1_000);
        let (request, _) = peer.ask(ours, theirs);
        let sent = client.receive(&request);
        assert_eq!(sent.len(), 1);
        assert_eq!(peer.open_news(&sent[0]).notifies[0].kind, INVALID_ID_INFORMATION);
    }
    assert_eq!(client.installed().len(), 1);
    assert!(client.failure().is_none());
}

#[test]
fn v_12_a_quick_mode_of_the_gateways_with_identities_of_any_type_and_length_is_refused() {
    let (mut client, mut peer, _) = up(profile());
    for kind in 0..=255 {
        for len in [0, 1, 4, 8, 16, 32, 300] {
            for is_ours in [true, false] {
                let odd = Identification { kind, protocol: 0, port: 0, data: vec![b'x'; len] };
                let (request, _) = peer.ask_with(|proposal| {
                    let good = (identification(network()), identification(host()));
                    proposal.identifications = Some(if is_ours { (good.0, odd) } else { (odd, good.1) });
                });
                client.wait(1_000);
                assert!(client.receive(&request).len() <= 1);
            }
        }
    }
    let (request, _) = peer.ask_with(|_| {});
    client.receive(&request);
    assert_eq!(client.installed().len(), 1);
    assert!(client.failure().is_none());
}

#[test]
fn v_18_a_quick_mode_of_the_gateways_with_any_transform_but_ours_is_refused() {
    let (mut client, mut peer, _) = up(profile());
    for id in (0..=255).filter(|id| *id != 12) {
        let (request, _) = peer.ask_with(|proposal| {
            proposal.identifications = Some((identification(network()), identification(host())));
            proposal.sa[25] = id;
        });
        client.wait(1_000);
        let sent = client.receive(&request);
        assert_eq!(peer.open_news(&sent[0]).notifies[0].kind, NO_PROPOSAL_CHOSEN, "transform {id}");
    }
    assert_eq!(client.installed().len(), 1);
}

#[test]
fn refusals_are_not_sent_faster_than_a_few_a_second() {
    let (mut client, mut peer, _) = up(profile());
    let mut sent = 0;
    for _ in 0..100 {
        let (request, _) = peer.ask(host(), subnet("10.9.0.0/16"));
        sent += client.receive(&request).len();
    }
    assert!(sent <= 4, "{sent}");
    assert!(client.drops().contains(&DropReason::Bounded));
}

#[test]
fn k1_021_a_repeated_first_message_gets_the_same_answer_and_makes_no_second_sa() {
    let (mut client, mut peer, _) = up(profile());
    let (request, mut made) = peer.ask(host(), network());
    let sent = client.receive(&request);
    assert_eq!(client.receive(&request), sent);
    assert_eq!(client.installed().len(), 2);
    let (confirmation, _) = peer.confirm(&mut made, &sent[0]);
    client.receive(&confirmation);
    client.receive(&confirmation);
    client.receive(&request);
    assert_eq!((client.installed().len(), client.switched().len()), (2, 2));
}

#[test]
fn k1_011_a_message_id_is_not_used_for_a_second_quick_mode() {
    let (mut client, mut peer, _) = up(profile());
    let (request, mut made) = peer.ask(host(), network());
    let sent = client.receive(&request);
    let (confirmation, _) = peer.confirm(&mut made, &sent[0]);
    client.receive(&confirmation);
    let contents = {
        let (_, (first, octets), _) = peer.open(&request);
        let mut proposal = crate::ike::v1::message::QuickModeProposal::parse(first, &octets).unwrap();
        proposal.nonce = vec![9; 20];
        proposal.contents().unwrap()
    };
    let mut iv = peer.sa.first_iv(made.message_id);
    let exchange = crate::ike::v1::header::ExchangeType::QUICK_MODE;
    let second = peer.sa.seal_with_hash_1(exchange, made.message_id, &mut iv, &contents).unwrap();
    assert!(client.receive(&second).is_empty());
    assert_eq!(client.drops().last(), Some(&DropReason::OutsideWindow));
    assert_eq!(client.installed().len(), 2);
}

#[test]
fn k1_011_damaged_messages_of_the_gateways_quick_mode_change_nothing() {
    let (mut client, mut peer, _) = up(profile());
    let (request, mut made) = peer.ask(host(), network());
    for place in 28..request.len() {
        let mut damaged = request.clone();
        damaged[place] ^= 0x40;
        assert!(client.receive(&damaged).is_empty(), "octet {place}");
    }
    assert_eq!(client.installed().len(), 1);
    let sent = client.receive(&request);
    let (confirmation, _) = peer.confirm(&mut made, &sent[0]);
    for place in 28..confirmation.len() {
        let mut damaged = confirmation.clone();
        damaged[place] ^= 0x40;
        client.receive(&damaged);
        // Only padding behind the hash is free.
        assert!(client.switched().len() == 1 || place >= 28 + 36, "octet {place}");
    }
    client.receive(&confirmation);
    assert_eq!(client.switched().len(), 2);
}

#[test]
fn quick_modes_of_the_gateways_are_bounded() {
    let (mut client, mut peer, _) = up(profile());
    for _ in 0..100 {
        let (request, _) = peer.ask(host(), network());
        client.receive(&request);
    }
    assert!(client.installed().len() <= 9, "{}", client.installed().len());
    let removed = client.done.iter().filter(|deed| matches!(deed, Deed::Removed)).count();
    assert!(client.installed().len() - removed <= 4);
    assert!(client.drops().contains(&DropReason::Bounded));
}

#[test]
fn k1_019_simultaneous_quick_modes_give_two_sas_and_the_newest_sends() {
    let (mut client, mut peer, _) = up(living_for(profile(), 20));
    while client.sent_since(0).iter().filter(|message| message[18] == 32).count() < 3 {
        client.wait(50);
    }
    let ours = client.last_sent_quick();
    let (theirs, mut their_made) = peer.ask(host(), network());
    let their_answer = client.receive(&theirs);
    let (our_answer, our_made) = peer.answer(&ours);
    let (their_confirmation, _) = peer.confirm(&mut their_made, &their_answer[0]);
    client.receive(&our_answer);
    client.receive(&their_confirmation);
    assert_eq!(client.installed().len(), 3);
    client.wait(2_500);
    let last = client.switched().last().unwrap().spi.to_octets();
    assert_eq!(last, our_made.gateway_spi, "installed last");
    assert!(client.done.iter().all(|deed| !matches!(deed, Deed::Removed)), "all are heard");
    let deletes = client.sent_since(0).iter().filter(|message| message[18] == 5).count();
    assert_eq!(deletes, 0, "none is deleted");
    client.seen(0, their_made.client_spi);
    assert_eq!(client.switched().last().unwrap().spi.to_octets(), our_made.gateway_spi);
}

#[test]
fn k1_030_a_quick_mode_of_the_gateways_makes_a_child_that_was_refused_to_us() {
    let mut client = Client::new(reaching(profile(), &["10.250.0.0/24", "10.251.0.0/24"]));
    let mut peer = Peer::new();
    let (answer, _) = peer.answer(&client.last_sent_quick());
    client.receive(&answer);
    let refusal = peer.notify(INVALID_ID_INFORMATION, &[]);
    client.receive(&refusal);
    assert!(matches!(client.told().last(), Some(Event::Ready)));
    let (request, mut made) = peer.ask(host(), subnet("10.251.0.0/24"));
    let sent = client.receive(&request);
    let (confirmation, _) = peer.confirm(&mut made, &sent[0]);
    let before = client.done.len();
    client.receive(&confirmation);
    assert_eq!(client.order(before), ["switched", "up", "ready"]);
}
