//! The quick modes of the beginning, and their answers.

use std::time::Duration;

use super::kit::*;
use crate::ike::action::{DropReason, Event, Failure, Phase};
use crate::ike::v1::message::Notify;
use crate::sa::lifetime::Lifetime;
use crate::sa::selector::Selector;

#[test]
fn a_quick_mode_makes_a_pair_of_sas_and_the_first_is_used_at_once() {
    let mut client = Client::new(profile());
    let mut peer = Peer::new();
    let request = client.last_sent();
    let (message_id, proposal, _) = peer.open_quick(&request);
    assert!(message_id != 0);
    assert_eq!(proposal.identifications, Some((identification(host()), identification(subnet("10.250.0.0/24")))));
    assert_eq!(proposal.key_exchange, None);
    let before = client.done.len();
    let (answer, made) = peer.answer(&request);
    let sent = client.receive(&answer);
    assert_eq!(client.order(before), ["installed", "sent", "switched", "up", "ready"]);
    assert!(peer.is_confirmation(&made, &sent[0]));
    let (inbound, outbound) = (client.installed()[0], client.switched()[0]);
    assert_eq!((inbound.spi.to_octets(), outbound.spi.to_octets()), (made.client_spi, made.gateway_spi));
    assert!(same(&inbound.keys, &peer.keymat(&made, made.client_spi)));
    assert!(same(&outbound.keys, &peer.keymat(&made, made.gateway_spi)));
    assert_eq!(
        (inbound.sources.as_slice(), inbound.destinations.as_slice()),
        (&[subnet("10.250.0.0/24")][..], &[host()][..])
    );
    assert_eq!(
        (outbound.sources.as_slice(), outbound.destinations.as_slice()),
        (&[host()][..], &[subnet("10.250.0.0/24")][..])
    );
    assert_eq!(client.status(), "established");
}

#[test]
fn subnets_are_negotiated_one_after_the_other_and_all_are_up_before_ready() {
    let mut client = Client::new(reaching(profile(), &["10.250.0.0/24", "10.251.0.0/24", "10.252.0.0/24"]));
    let mut peer = Peer::new();
    for _ in 0..3 {
        assert_eq!(client.told().iter().filter(|event| matches!(event, Event::Ready)).count(), 0);
        let (answer, _) = peer.answer(&client.last_sent_quick());
        client.receive(&answer);
    }
    let up: Vec<_> = client
        .told()
        .iter()
        .filter_map(|event| if let Event::ChildUp(up) = event { Some((up.child.0, up.remote[0])) } else { None })
        .collect();
    let expected = ["10.250.0.0/24", "10.251.0.0/24", "10.252.0.0/24"].map(subnet);
    assert_eq!(up, [(0, expected[0]), (1, expected[1]), (2, expected[2])]);
    assert!(matches!(client.told().last(), Some(Event::Ready)));
}

#[test]
fn each_configured_side_makes_a_pair_with_each_subnet_of_its_family() {
    let mut profile = reaching(profile(), &["10.250.0.0/24", "fd01::/64"]);
    profile.request.ipv4 = None;
    profile.child.local = vec![subnet("10.1.0.0/24"), subnet("10.2.0.0/24")];
    let mut client = Client::new(profile);
    let mut peer = Peer::new();
    for local in ["10.1.0.0/24", "10.2.0.0/24"] {
        let request = client.last_sent_quick();
        let expected = Some((identification(subnet(local)), identification(subnet("10.250.0.0/24"))));
        assert_eq!(peer.open_quick(&request).1.identifications, expected);
        let (answer, _) = peer.answer(&request);
        client.receive(&answer);
    }
    assert!(matches!(client.told().last(), Some(Event::Ready)));
}

#[test]
fn subnets_of_another_family_than_the_address_are_a_failure_with_a_reason() {
    let client = Client::new(reaching(profile(), &["fd01::/64"]));
    assert!(matches!(client.failure(), Some(Failure::AddressRefused { .. })), "{:?}", client.told());
}

#[test]
fn k1_012_with_forward_secrecy_both_sides_send_a_key_exchange() {
    let (client, peer, made) = up(with_forward_secrecy(profile()));
    assert!(made.shared.is_some());
    assert!(same(&client.installed()[0].keys, &peer.keymat(&made, made.client_spi)));
}

#[test]
fn k1_012_an_answer_without_the_key_exchange_that_was_asked_for_is_refused() {
    let mut client = Client::new(with_forward_secrecy(profile()));
    let mut peer = Peer::new();
    peer.pfs = with_forward_secrecy(profile()).child.offers[0].pfs.first().copied();
    let (answer, _) = peer.answer_with(&client.last_sent(), |answer| answer.key_exchange = None);
    client.receive(&answer);
    assert!(client.installed().is_empty());
    assert!(matches!(client.failure(), Some(Failure::PeerViolation { .. })), "{:?}", client.told());
}

#[test]
fn k1_012_a_key_exchange_that_was_not_asked_for_or_is_no_point_is_refused() {
    let mut client = Client::new(profile());
    let (answer, _) = Peer::new().answer_with(&client.last_sent(), |answer| answer.key_exchange = Some(vec![7; 64]));
    client.receive(&answer);
    assert!(matches!(client.failure(), Some(Failure::PeerViolation { .. })), "{:?}", client.told());

    for public in [vec![], vec![0; 64], vec![0xff; 64], vec![4; 63], vec![4; 65]] {
        let mut client = Client::new(with_forward_secrecy(profile()));
        let mut peer = Peer::new();
        peer.pfs = with_forward_secrecy(profile()).child.offers[0].pfs.first().copied();
        let (answer, _) = peer.answer_with(&client.last_sent(), |answer| answer.key_exchange = Some(public));
        client.receive(&answer);
        assert!(client.installed().is_empty());
        assert!(matches!(client.failure(), Some(Failure::PeerViolation { .. })), "{:?}", client.told());
    }
}

#[test]
fn k1_011_an_answer_with_a_wrong_hash_changes_nothing_and_the_right_one_is_still_taken() {
    let mut client = Client::new(profile());
    let mut peer = Peer::new();
    let (answer, _) = peer.answer(&client.last_sent());
    for place in 28..answer.len() {
        let mut damaged = answer.clone();
        damaged[place] ^= 1;
        assert!(client.receive(&damaged).is_empty(), "octet {place}");
    }
    assert!(client.installed().is_empty());
    assert!(client.drops().iter().all(|reason| matches!(reason, DropReason::Forged | DropReason::Malformed)));
    client.receive(&answer);
    assert!(matches!(client.told().last(), Some(Event::Ready)));
}

#[test]
fn k1_011_an_answer_under_another_message_id_or_cookie_is_not_taken() {
    let mut client = Client::new(profile());
    let (answer, _) = Peer::new().answer(&client.last_sent());
    for place in (0..16).chain(20..24) {
        let mut other = answer.clone();
        other[place] ^= 1;
        assert!(client.receive(&other).is_empty(), "octet {place}");
    }
    let mut zero = answer.clone();
    zero[20..24].fill(0);
    client.receive(&zero);
    assert!(client.installed().is_empty());
}

#[test]
fn k1_011_identities_that_are_not_ours_are_refused_with_both_sides_values() {
    let mut client = Client::new(profile());
    let mut peer = Peer::new();
    let narrower = (identification(host()), identification(subnet("10.250.0.0/25")));
    let (answer, _) = peer.answer_with(&client.last_sent(), |answer| answer.identifications = Some(narrower));
    let sent = client.receive(&answer);
    assert!(client.installed().is_empty());
    let expected = Failure::SelectorsRefused {
        phase: Phase::QuickMode,
        local: vec![host()],
        remote: vec![subnet("10.250.0.0/24")],
        answered: Some((vec![host()], vec![subnet("10.250.0.0/25")])),
    };
    assert_eq!(client.failure(), Some(&expected));
    assert_eq!(peer.open_news(&sent[0]).notifies[0].kind, INVALID_ID_INFORMATION);
}

#[test]
fn k1_011_missing_and_swapped_identities_are_refused_and_another_spelling_is_not() {
    let refused = [None, Some((identification(subnet("10.250.0.0/24")), identification(host())))];
    for identifications in refused {
        let mut client = Client::new(profile());
        let (answer, _) =
            Peer::new().answer_with(&client.last_sent(), |answer| answer.identifications = identifications);
        client.receive(&answer);
        assert!(matches!(client.failure(), Some(Failure::SelectorsRefused { .. })), "{:?}", client.told());
    }
    let mut client = Client::new(profile());
    let (answer, _) = Peer::new().answer_with(&client.last_sent(), |answer| {
        let (local, _) = answer.identifications.as_mut().unwrap();
        local.kind = 4;
        local.data.extend([255; 4]);
    });
    client.receive(&answer);
    assert!(matches!(client.told().last(), Some(Event::Ready)), "{:?}", client.told());
}

#[test]
fn v_12_an_answer_with_identities_of_any_type_and_length_is_refused_and_nothing_breaks() {
    for kind in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 203, 255] {
        for len in [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 300] {
            let mut client = Client::new(profile());
            let (answer, _) = Peer::new().answer_with(&client.last_sent(), |answer| {
                let (_, remote) = answer.identifications.as_mut().unwrap();
                remote.kind = kind;
                remote.data = vec![b'a'; len];
            });
            client.receive(&answer);
            assert!(client.installed().is_empty(), "type {kind}, {len} octets");
            assert!(client.failure().is_some(), "type {kind}, {len} octets");
        }
    }
}

#[test]
fn v_18_an_answer_with_any_transform_but_ours_is_refused_and_nothing_breaks() {
    for id in (0..=255).filter(|id| *id != 12) {
        let mut client = Client::new(profile());
        // Transform ID: behind DOI, situation, the proposal's eight octets and SPI, and five octets of the transform's header.
        let (answer, _) = Peer::new().answer_with(&client.last_sent(), |answer| answer.sa[25] = id);
        client.receive(&answer);
        assert!(client.installed().is_empty(), "transform {id}");
        assert!(matches!(client.failure(), Some(Failure::PeerViolation { .. })), "{:?}", client.told());
    }
    for bits in [0u16, 1, 64, 128, 65535] {
        let mut client = Client::new(profile());
        let (answer, _) = Peer::new().answer_with(&client.last_sent(), |answer| {
            let place = answer.sa.windows(4).position(|window| window == [0x80, 6, 1, 0]).unwrap();
            answer.sa[place + 2..place + 4].copy_from_slice(&bits.to_be_bytes());
        });
        client.receive(&answer);
        assert!(client.installed().is_empty(), "{bits} bits");
        assert!(client.failure().is_some(), "{bits} bits");
    }
}

#[test]
fn a_refused_proposal_is_a_failure_that_names_phase_and_offer() {
    let mut client = Client::new(profile());
    let mut peer = Peer::new();
    let refusal = peer.notify(NO_PROPOSAL_CHOSEN, &[]);
    client.receive(&refusal);
    let Some(Failure::ChildProposalRefused { phase: Phase::QuickMode, offered }) = client.failure() else {
        panic!("{:?}", client.told())
    };
    assert_eq!(offered.len(), 1);
}

#[test]
fn a_refused_subnet_is_told_and_the_others_come_up() {
    let mut client = Client::new(reaching(profile(), &["10.250.0.0/24", "10.251.0.0/24", "10.252.0.0/24"]));
    let mut peer = Peer::new();
    for refused in [false, true, false] {
        let message =
            if refused { peer.notify(INVALID_ID_INFORMATION, &[]) } else { peer.answer(&client.last_sent_quick()).0 };
        client.receive(&message);
    }
    let told = client.told();
    assert_eq!(told.iter().filter(|event| matches!(event, Event::ChildUp(_))).count(), 2);
    let notice = told.iter().find_map(|event| if let Event::Notice(text) = event { Some(text.as_str()) } else { None });
    assert!(notice.unwrap().contains("10.251.0.0/24"), "{notice:?}");
    assert!(matches!(told.last(), Some(Event::Ready)));
}

#[test]
fn when_all_subnets_are_refused_the_failure_is_the_firsts_and_the_sa_is_deleted() {
    let mut client = Client::new(reaching(profile(), &["10.250.0.0/24", "10.251.0.0/24"]));
    let mut peer = Peer::new();
    let first = peer.notify(INVALID_ID_INFORMATION, &[]);
    client.receive(&first);
    let second = peer.notify(NO_PROPOSAL_CHOSEN, &[]);
    let sent = client.receive(&second);
    let Some(Failure::SelectorsRefused { remote, .. }) = client.failure() else { panic!("{:?}", client.told()) };
    assert_eq!(remote, &[subnet("10.250.0.0/24")]);
    assert_eq!(peer.open_news(sent.last().unwrap()).deletes[0].protocol, 1);
}

#[test]
fn k1_021_a_first_message_without_answer_is_repeated_bit_for_bit_and_then_given_up() {
    let mut client = Client::new(profile());
    let request = client.last_sent();
    let repeated = client.wait(300_000);
    let (deletes, repeated): (Vec<_>, Vec<_>) = repeated.into_iter().partition(|message| *message != request);
    assert_eq!(repeated.len(), 10);
    assert_eq!(deletes.len(), 1);
    let Some(Failure::NoAnswer { phase: Phase::QuickMode, sent: 11, hints, .. }) = client.failure() else {
        panic!("{:?}", client.told())
    };
    assert!(hints.is_empty());
}

#[test]
fn k1_021_a_repeated_answer_gets_the_same_third_message_again_a_bounded_number_of_times() {
    let mut client = Client::new(profile());
    let (answer, _) = Peer::new().answer(&client.last_sent());
    let sent = client.receive(&answer);
    assert_eq!(client.receive(&answer), sent);
    let again: usize = (0..100).map(|_| client.receive(&answer).len()).sum();
    assert!(again < 30, "{again}");
    assert_eq!(client.installed().len(), 1);
}

#[test]
fn k1_010_unprotected_errors_in_quick_mode_are_hints_and_end_nothing() {
    let mut client = Client::new(profile());
    let mut peer = Peer::new();
    let mut clear = client.last_sent()[..28].to_vec();
    clear[16] = 11;
    clear[18] = 5;
    clear[19] = 0;
    clear.extend([0, 0, 0, 12, 0, 0, 0, 1, 3, 0, 0, 14]);
    let length = clear.len() as u32;
    clear[24..28].copy_from_slice(&length.to_be_bytes());
    for _ in 0..50 {
        assert!(client.receive(&clear).len() <= 1);
    }
    assert!(client.failure().is_none());
    assert!(client.drops().iter().all(|reason| *reason == DropReason::Unauthenticated));
    let request = client.last_sent_quick();
    let (answer, _) = peer.answer(&request);
    client.receive(&answer);
    assert!(matches!(client.told().last(), Some(Event::Ready)), "{:?}", client.told());

    let mut client = Client::new(profile());
    client.receive(&clear);
    client.wait(300_000);
    let Some(Failure::NoAnswer { hints, .. }) = client.failure() else { panic!("{:?}", client.told()) };
    assert_eq!(hints, &["NO-PROPOSAL-CHOSEN"]);
}

#[test]
fn k1_014_the_answers_shorter_lifetime_is_used_and_a_longer_one_is_not() {
    for (theirs, end) in [(60, 60), (7200, 3600)] {
        let mut client = Client::new(profile());
        let mut peer = Peer::new();
        let (answer, _) = peer.answer_with(&client.last_sent(), |answer| {
            let place = answer.sa.windows(8).position(|window| window == [0x80, 1, 0, 1, 0x80, 2, 0x0e, 0x10]).unwrap();
            answer.sa[place + 6..place + 8].copy_from_slice(&(theirs as u16).to_be_bytes());
        });
        client.receive(&answer);
        let next = client.poll_timeout().unwrap().since_start();
        let expected = Duration::from_secs(end);
        assert!(next < expected && next >= expected * 7 / 10, "{next:?} of {expected:?}");
    }
}

#[test]
fn k1_014_responder_lifetime_shortens_the_sa_that_it_names() {
    for (spi_is_right, seconds, end) in [(true, 60, 60), (true, 7200, 3600), (false, 60, 3600)] {
        let mut client = Client::new(profile());
        let mut peer = Peer::new();
        let (answer, _) = peer.answer_with(&client.last_sent(), |answer| {
            let mut spi = answer.sa[16..20].to_vec();
            spi[3] ^= u8::from(!spi_is_right);
            let seconds: u16 = seconds;
            let data = [&[0x80, 1, 0, 1, 0x80, 2][..], &seconds.to_be_bytes()].concat();
            answer.notifies = vec![Notify { protocol: 3, spi, kind: 24576, data }];
        });
        client.receive(&answer);
        let next = client.poll_timeout().unwrap().since_start();
        let expected = Duration::from_secs(end);
        assert!(next < expected && next >= expected * 7 / 10, "{next:?} of {expected:?}");
    }
}

#[test]
fn k1_014_kilobytes_limit_the_packet_paths_sas() {
    let mut profile = profile();
    profile.child.lifetime.bytes = Some(4096 * 1024);
    let (client, ..) = up(profile);
    let limits = Lifetime { time: None, bytes: Some(4096 * 1024), packets: None };
    assert_eq!((client.installed()[0].lifetime, client.switched()[0].lifetime), (limits, limits));
}

#[test]
fn k1_013_with_the_commit_bit_the_first_packet_waits_for_connected_or_for_a_while() {
    let begin = || {
        let mut client = Client::new(profile());
        let mut peer = Peer::new();
        peer.commit = true;
        let (answer, made) = peer.answer(&client.last_sent());
        client.receive(&answer);
        assert_eq!((client.installed().len(), client.switched().len()), (1, 0));
        (client, peer, made)
    };
    let connected = |made: &Made| crate::ike::v1::message::Informational {
        notifies: vec![Notify { protocol: 3, spi: made.gateway_spi.to_vec(), kind: 16384, data: vec![] }],
        deletes: vec![],
    };
    let (mut client, mut peer, made) = begin();
    let message = peer.inform_as(made.message_id, &connected(&made));
    client.receive(&message);
    assert!(matches!(client.told().last(), Some(Event::Ready)), "by the quick mode's message ID");

    let (mut client, mut peer, made) = begin();
    let message = peer.inform(&connected(&made));
    client.receive(&message);
    assert!(matches!(client.told().last(), Some(Event::Ready)), "by the SPI");

    let (mut client, _, made) = begin();
    client.seen(0, made.client_spi);
    assert!(matches!(client.told().last(), Some(Event::Ready)), "by a packet");

    let (mut client, ..) = begin();
    client.wait(1_999);
    assert!(client.switched().is_empty());
    client.wait(1);
    assert!(matches!(client.told().last(), Some(Event::Ready)), "the bit is not authentic: it stalls nothing");
}

#[test]
fn a_range_of_ports_cannot_be_said_and_is_told() {
    let mut profile = profile();
    let [start, end] = ["10.250.0.0", "10.250.0.255"].map(|text| text.parse().unwrap());
    profile.child.remote = vec![Selector::new(start, end, 6, 1, 1024).unwrap()];
    let client = Client::new(profile);
    assert_eq!(client.failure(), Some(&Failure::Unsendable { phase: Phase::QuickMode }));
}
