//! Children are given new SAs by us, and no packet is lost.

use std::time::Duration;

use super::kit::*;
use crate::ike::action::{Event, Failure, Side};
use crate::sa::command::{ChildId, DataReport, LifetimeMark};

/// Waits for the first message of the quick mode that replaces the child.
fn replacement(client: &mut Client) -> Vec<u8> {
    let quick_modes = |client: &Client| client.sent_since(0).iter().filter(|message| message[18] == 32).count();
    let before = quick_modes(client);
    for _ in 0..100 {
        let next = client.poll_timeout().unwrap().since(client.now).as_millis();
        client.wait(u64::try_from(next).unwrap() + 1);
        if quick_modes(client) > before {
            return client.last_sent_quick();
        }
    }
    panic!("no quick mode came");
}

#[test]
fn a_child_is_replaced_before_its_end() {
    for seconds in [20, 60, 3600, 28_800] {
        let (mut client, ..) = up(living_for(profile(), seconds));
        replacement(&mut client);
        let share = client.now.since_start().as_secs_f64() / seconds as f64;
        assert!((0.69..0.91).contains(&share), "{seconds} s: {share}");
    }
}

#[test]
fn the_new_sa_is_used_when_a_packet_came_on_it_and_the_old_one_is_heard_until_its_end() {
    let (mut client, mut peer, old) = up(living_for(profile(), 20));
    let request = replacement(&mut client);
    let (answer, new) = peer.answer(&request);
    let before = client.done.len();
    client.receive(&answer);
    assert_eq!(client.order(before), ["installed", "sent"]);
    client.seen(0, old.client_spi);
    assert_eq!(client.order(before), ["installed", "sent"]);
    client.seen(0, new.client_spi);
    assert_eq!(client.order(before), ["installed", "sent", "switched", "rekeyed"]);
    assert_eq!(client.switched()[1].spi.to_octets(), new.gateway_spi);
    let told = client.told();
    let Some(Event::ChildRekeyed { child: ChildId(0), by: Side::Us, inbound, outbound }) = told.last() else {
        panic!("{told:?}")
    };
    assert_eq!((inbound.to_octets(), outbound.to_octets()), (new.client_spi, new.gateway_spi));
    let left = 20_000 - u64::try_from(client.now.since_start().as_millis()).unwrap();
    client.wait(left - 1);
    assert!(!client.order(before).contains(&"removed"));
    let sent = client.wait(1);
    assert_eq!(client.order(before)[4..], ["removed", "sent"]);
    let told = peer.open_news(&sent[0]).deletes;
    assert_eq!(told[0].spis, [old.client_spi.to_vec()], "the gateway may have kept it for longer");
}

#[test]
fn the_new_sa_is_used_two_seconds_after_the_third_message_when_nothing_comes() {
    let (mut client, mut peer, _) = up(living_for(profile(), 20));
    let request = replacement(&mut client);
    let (answer, _) = peer.answer(&request);
    client.receive(&answer);
    client.wait(1_999);
    assert_eq!(client.switched().len(), 1);
    client.wait(1);
    assert_eq!(client.switched().len(), 2);
}

#[test]
fn a_child_is_replaced_again_and_again_and_old_sas_do_not_heap_up() {
    let (mut client, mut peer, _) = up(living_for(profile(), 20));
    for round in 0..50 {
        let request = replacement(&mut client);
        let (answer, made) = peer.answer(&request);
        client.receive(&answer);
        client.seen(0, made.client_spi);
        assert_eq!(client.installed().len(), round + 2);
        let removed = client.done.iter().filter(|deed| matches!(deed, Deed::Removed)).count();
        assert!(client.installed().len() - removed <= 3, "round {round}");
    }
    assert!(client.failure().is_none());
    assert!(client.told().iter().filter(|event| matches!(event, Event::ChildRekeyed { .. })).count() == 50);
}

#[test]
fn without_a_lifetime_nothing_is_replaced_until_packets_run_out() {
    let mut profile = profile();
    profile.child.lifetime.time = None;
    let (mut client, mut peer, _) = up(profile);
    assert_eq!(client.poll_timeout(), None);
    for round in 0..8 {
        let mut sent = client.report(DataReport::Lifetime { child: ChildId(0), mark: LifetimeMark::Soft });
        assert!(sent.is_empty(), "{round}: not right after the last");
        sent.extend(client.wait(1_000));
        assert_eq!(sent.len(), 1);
        let again = client.report(DataReport::Lifetime { child: ChildId(0), mark: LifetimeMark::Soft });
        assert!(again.is_empty(), "one quick mode at a time");
        let (answer, made) = peer.answer(&client.last_sent_quick());
        client.receive(&answer);
        let held = client.report(DataReport::Lifetime { child: ChildId(0), mark: LifetimeMark::Hard });
        assert!(held.is_empty(), "the new one is there already");
        client.seen(0, made.client_spi);
    }
    let removed = client.done.iter().filter(|deed| matches!(deed, Deed::Removed)).count();
    assert_eq!(client.installed().len() - removed, 4, "K1-018: the oldest of more than four goes");
    let deletes = client.sent_since(0).iter().filter(|message| message[18] == 5).count();
    assert_eq!(deletes, removed, "and the gateway is told");
}

#[test]
fn a_refused_replacement_is_tried_again_and_the_old_sa_is_used_meanwhile() {
    let (mut client, mut peer, _) = up(living_for(profile(), 20));
    replacement(&mut client);
    let before = client.done.len();
    let refusal = peer.notify(NO_PROPOSAL_CHOSEN, &[]);
    client.receive(&refusal);
    assert_eq!(client.order(before), ["notice"]);
    let request = replacement(&mut client);
    assert!(client.now.since_start() < Duration::from_secs(20));
    let (answer, made) = peer.answer(&request);
    client.receive(&answer);
    client.seen(0, made.client_spi);
    assert!(matches!(client.told().last(), Some(Event::ChildRekeyed { .. })));
}

#[test]
fn a_child_whose_replacement_is_always_refused_is_gone_at_its_end_and_the_session_with_the_last() {
    let (mut client, mut peer, _) = up(living_for(profile(), 20));
    let mut refused = 0;
    while client.failure().is_none() {
        client.wait(100);
        let quick_modes = client.sent_since(0).iter().filter(|message| message[18] == 32).count();
        if quick_modes > refused + 2 {
            refused += 1;
            let refusal = peer.notify(NO_PROPOSAL_CHOSEN, &[]);
            client.receive(&refusal);
        }
        assert!(client.now.since_start() < Duration::from_secs(60));
    }
    assert!(client.now.since_start() >= Duration::from_secs(20) && refused < 20, "{refused}");
    assert!(matches!(client.failure(), Some(Failure::ChildProposalRefused { .. })), "{:?}", client.told());
    assert!(client.told().iter().any(|event| matches!(event, Event::ChildGone { child: ChildId(0) })));
}

#[test]
fn a_child_whose_replacement_is_not_answered_in_time_stops_and_comes_back_with_the_answer() {
    let (mut client, mut peer, _) = up(living_for(profile(), 20));
    let request = replacement(&mut client);
    let before = client.done.len();
    client.wait(8_000);
    assert!(client.order(before).contains(&"removed child"));
    assert!(client.failure().is_none());
    let (answer, _) = peer.answer(&request);
    let before = client.done.len();
    client.receive(&answer);
    assert_eq!(client.order(before), ["installed", "sent", "switched", "rekeyed"]);
}

#[test]
fn several_children_are_replaced_each_in_its_own_time() {
    let subnets =
        ["10.250.0.0/24", "10.251.0.0/24", "10.252.0.0/24", "10.253.0.0/24", "10.254.0.0/24", "10.249.0.0/24"];
    let (mut client, mut peer, _) = up(living_for(reaching(profile(), &subnets), 20));
    let mut answered = client.sent_since(0).len();
    while client.now.since_start() < Duration::from_secs(100) {
        client.wait(100);
        let sent = client.sent_since(0);
        for message in sent[answered..].iter().filter(|message| message[18] == 32) {
            let (answer, _) = peer.answer(message);
            client.receive(&answer);
        }
        answered = client.sent_since(0).len();
    }
    assert!(client.done.iter().all(|deed| !matches!(deed, Deed::RemovedChild)));
    for child in 0..6 {
        let rekeyed = client
            .told()
            .into_iter()
            .filter(|event| matches!(event, Event::ChildRekeyed { child: ChildId(id), .. } if *id == child));
        assert!((5..=7).contains(&rekeyed.count()), "child {child}");
    }
}
