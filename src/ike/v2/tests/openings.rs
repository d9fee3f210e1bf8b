//! IKE_SA_INIT.

use super::kit::*;
use crate::crypto::dh::Group;
use crate::ike::action::{DropReason, Event, Failure, Phase, Timer};
use crate::ike::v2::message::notify::{Notify, find};
use crate::ike::v2::message::*;
use crate::ike::wire::header::Header;
use crate::ike::wire::registry::NotifyType;
use crate::sa::command::DataCommand;
use crate::sa::path::Path;
use crate::sa::suite::IkeSuite;

#[test]
fn a_tunnel_comes_up_in_two_round_trips() {
    for gateway in [Gateway::new(1), Gateway::with_gcm(2)] {
        let suite = gateway.suite;
        let (mut client, mut gateway, auth) = half_open(profile(), gateway);
        assert_eq!(auth.len(), 1);
        assert_eq!(auth[0].path, path_4500());
        let request = gateway.read_auth(&auth);
        assert!(gateway.believes(&request));
        assert_eq!(request.responder.as_ref().unwrap().identity(), gateway.identity);
        assert!(request.notifies.is_empty());

        let response = gateway.seal_proof(gateway.proof());
        client.receive(path_4500(), &response);
        let offered = request.security_association.proposals[0].spi.clone();
        let [DataCommand::InstallInbound { sa: inbound, .. }, DataCommand::SwitchOutbound { sa: outbound, .. }] =
            client.data.as_slice()
        else {
            panic!("{:?}", client.data)
        };
        assert_eq!(inbound.spi.to_octets().to_vec(), offered);
        assert_eq!(outbound.spi.to_octets(), OUTBOUND);
        assert_eq!(outbound.path, path_4500());
        assert_eq!(inbound.sources, [subnet("10.250.0.0/24")]);
        assert_eq!(inbound.destinations, [subnet("10.200.0.7/32")]);
        assert_eq!((&outbound.sources, &outbound.destinations), (&inbound.destinations, &inbound.sources));
        let [
            Event::SuiteAgreed { phase: Phase::SaInit, suite: chosen, local_nat, remote_nat },
            Event::Authenticated { phase: Phase::Auth, identity },
            Event::ChildUp(up),
            Event::Ready,
        ] = client.events.as_slice()
        else {
            panic!("{:?}", client.events)
        };
        assert_eq!((*chosen, *local_nat, *remote_nat), (suite, false, false));
        assert_eq!(*identity, gateway.identity);
        assert_eq!(up.configuration.addresses, [("10.200.0.7".parse().unwrap(), 32)]);
        assert_eq!(up.configuration.dns, ["10.250.0.53".parse::<std::net::IpAddr>().unwrap()]);
        assert_eq!(up.remote, [subnet("10.250.0.0/24")]);
        assert!(client.failure().is_none());
    }
}

#[test]
fn k2_002_the_responder_spi_is_zero_and_the_message_id_0_in_every_request() {
    let mut client = Client::new(profile());
    let first = client.last_message().to_vec();
    client.receive(path_500(), &notified(&first, Notify::new(NotifyType::COOKIE).with_data(vec![1; 16])));
    client.receive(path_500(), &notified(&first, group_wanted(19)));
    assert_eq!(client.sent.len(), 3);
    for sent in &client.sent {
        let (header, _) = Header::parse(&sent.message).unwrap();
        assert_eq!((header.responder_spi, header.message_id), (None, 0));
        assert!(header.flags.initiator && !header.flags.response);
        assert_eq!(header.initiator_spi, client.session.status().spis.0);
    }
}

fn group_wanted(group: u16) -> Notify {
    Notify::new(NotifyType::INVALID_KE_PAYLOAD).with_data(group.to_be_bytes().to_vec())
}

fn cookie(octets: &[u8]) -> Notify {
    Notify::new(NotifyType::COOKIE).with_data(octets.to_vec())
}

#[test]
fn k2_030_retransmission_is_bit_identical_grows_and_ends_with_no_answer() {
    let mut client = Client::new(profile());
    let deadline = client.session.poll_timeout().unwrap();
    assert_eq!((deadline.at, deadline.timer), (at(500), Timer::Retransmit));
    let mut moments = Vec::new();
    while client.failure().is_none() {
        let next = client.session.poll_timeout().unwrap().at;
        if !client.wait_until(next).is_empty() {
            moments.push(next.since_start());
        }
    }
    assert_eq!(client.sent.len(), 11);
    assert!(client.sent.iter().all(|sent| *sent == client.sent[0]));
    let waits: Vec<_> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.windows(2).all(|pair| pair[1] >= pair[0]), "{waits:?}");
    let repeated =
        client.events.iter().filter(|event| matches!(event, Event::Repeating { exchange: Phase::SaInit, .. }));
    assert_eq!(repeated.count(), 10);
    let Some(Failure::NoAnswer { phase: Phase::SaInit, sent: 11, waited, hints }) = client.failure() else {
        panic!("{:?}", client.failure())
    };
    assert_eq!(*waited, client.now.since_start());
    assert!(hints.is_empty());
    assert_eq!(client.session.poll_timeout(), None);
}

#[test]
fn k2_030_an_answer_ends_the_repeating() {
    let (mut client, gateway, _) = half_open(profile(), Gateway::new(1));
    let repeated = client.wait(10_000);
    assert!(!repeated.is_empty());
    assert!(repeated.iter().all(|sent| gateway.protection.open(&sent.message).is_ok()));
}

#[test]
fn k2_031_a_forged_refusal_does_not_prevent_the_genuine_answer() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    client.receive(path_500(), &notified(&request, Notify::new(NotifyType::NO_PROPOSAL_CHOSEN)));
    assert_eq!(client.drops(), [DropReason::Unauthenticated]);
    client.wait(100);
    let mut gateway = Gateway::new(1).answer(&request);
    client.receive(path_500(), &gateway.response);
    let response = gateway.seal_proof(gateway.proof());
    client.receive(path_4500(), &response);
    assert!(client.is_up());
    client.wait(10_000);
    assert!(client.failure().is_none());
}

#[test]
fn k2_031_a_refusal_is_believed_when_nothing_better_came_for_a_while() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    client.receive(path_500(), &notified(&request, Notify::new(NotifyType::NO_PROPOSAL_CHOSEN)));
    let sent = client.wait(2_999);
    assert!(client.failure().is_none());
    assert!(sent.iter().all(|sent| sent.message == request), "it keeps trying meanwhile");
    assert!(!sent.is_empty());
    client.wait(1);
    let Some(Failure::IkeProposalRefused { phase: Phase::SaInit, offered, wanted_group: None }) = client.failure()
    else {
        panic!("{:?}", client.failure())
    };
    assert_eq!(offered[1], "aes256gcm16-prfsha384-curve25519".replace("curve25519", &Group::Curve25519.to_string()));
}

#[test]
fn k2_031_other_errors_in_clear_are_hints_at_the_end_only() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    for kind in [
        NotifyType::INVALID_SYNTAX,
        NotifyType::AUTHENTICATION_FAILED,
        NotifyType::INVALID_SYNTAX,
        NotifyType::INVALID_MAJOR_VERSION,
        NotifyType(9999),
    ] {
        client.receive(path_500(), &notified(&request, Notify::new(kind)));
    }
    client.wait(40_000);
    assert!(client.failure().is_none());
    client.wait(200_000);
    let Some(Failure::NoAnswer { hints, .. }) = client.failure() else { panic!("{:?}", client.failure()) };
    assert_eq!(hints, &["INVALID_SYNTAX", "AUTHENTICATION_FAILED", "INVALID_MAJOR_VERSION", "9999"]);
}

#[test]
fn k2_032_a_cookie_goes_first_and_all_else_stays() {
    let mut client = Client::new(profile());
    let first = client.last_message().to_vec();
    for len in [1, 64] {
        let sent = client.receive(path_500(), &notified(&first, cookie(&vec![9; len])));
        assert_eq!(sent.len(), 1);
        let generic = [first[16], 0, 0, 8 + len as u8, 0, 0, 0x40, 6];
        assert_eq!(sent[0].message[16], 41, "a notify is first");
        assert_eq!(sent[0].message[28..36], generic);
        assert_eq!(sent[0].message[36..36 + len], vec![9; len]);
        assert_eq!(sent[0].message[36 + len..], first[28..]);
        assert_eq!(sent[0].message[..16], first[..16]);
    }
}

#[test]
fn k2_032_cookies_that_are_none_are_ignored() {
    let mut client = Client::new(profile());
    let first = client.last_message().to_vec();
    for len in [0, 65, 200] {
        assert!(client.receive(path_500(), &notified(&first, cookie(&vec![9; len]))).is_empty());
    }
    client.receive(path_500(), &notified(&first, cookie(b"good")));
    assert!(client.receive(path_500(), &notified(&first, cookie(b"good"))).is_empty(), "the same again");
    assert_eq!(client.drops(), [DropReason::Unacceptable; 4]);
}

fn comes_up(client: &mut Client, gateway: Gateway) {
    let mut gateway = gateway.answer(client.last_message());
    let auth = client.receive(path_500(), &gateway.response);
    assert!(gateway.believes(&gateway.read_auth(&auth)));
    let response = gateway.seal_proof(gateway.proof());
    client.receive(path_4500(), &response);
    assert!(client.is_up(), "{:?}", client.events);
}

fn with_group(group: Group) -> Gateway {
    Gateway { suite: IkeSuite { group, ..cbc_suite() }, ..Gateway::new(5) }
}

#[test]
fn k2_051_the_request_with_the_cookie_is_the_one_that_is_signed() {
    let mut client = Client::new(profile());
    let first = client.last_message().to_vec();
    client.receive(path_500(), &notified(&first, cookie(b"cookie")));
    comes_up(&mut client, Gateway::new(1));
}

#[test]
fn k2_033_an_offered_group_is_taken_with_the_full_proposal_and_the_same_spi() {
    let mut client = Client::new(profile());
    let (first_header, first) = parse_sa_init(client.last_message());
    let request = client.last_message().to_vec();
    let sent = client.receive(path_500(), &notified(&request, group_wanted(19)));
    let (header, second) = parse_sa_init(&sent[0].message);
    assert_eq!(header.initiator_spi, first_header.initiator_spi);
    assert_eq!(second.security_association, first.security_association);
    assert_eq!((second.key_exchange.group, second.key_exchange.data.len()), (19, 64));
    comes_up(&mut client, with_group(Group::Ecp256));
}

#[test]
fn k2_033_groups_that_were_not_offered_or_are_no_change_are_ignored() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    for group in [0, 1, 2, 14, 22, 31, 1025, 65535] {
        assert!(client.receive(path_500(), &notified(&request, group_wanted(group))).is_empty());
    }
    for data in [vec![], vec![19], vec![0, 19, 0], vec![0, 0, 0, 19]] {
        let notify = Notify::new(NotifyType::INVALID_KE_PAYLOAD).with_data(data);
        assert!(client.receive(path_500(), &notified(&request, notify)).is_empty());
    }
    comes_up(&mut client, Gateway::new(1));
}

#[test]
fn k2_033_a_gateway_that_wants_a_group_we_did_not_offer_is_named_at_the_end() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    client.receive(path_500(), &notified(&request, group_wanted(14)));
    client.wait(3_000);
    assert!(matches!(client.failure(), Some(Failure::IkeProposalRefused { wanted_group: Some(14), .. })));
}

#[test]
fn k2_033_ping_pong_between_groups_is_bounded() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let mut sent = 0;
    for round in 0..1000 {
        let group = if round % 2 == 0 { 19 } else { 20 };
        sent += client.receive(path_500(), &notified(&request, group_wanted(group))).len();
        sent += client.wait(100).iter().filter(|sent| sent.message != request).count().min(1);
    }
    assert!(sent < 200, "{sent}");
    assert!(client.drops().contains(&DropReason::Bounded));
    assert!(client.failure().is_some());
}

#[test]
fn k2_034_cookie_then_group_then_cookie_works_and_the_cookie_stays_with_the_group() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    client.receive(path_500(), &notified(&request, cookie(b"one")));
    let sent = client.receive(path_500(), &notified(&request, group_wanted(19)));
    assert_eq!(parse_sa_init(&sent[0].message).1.cookie.as_deref(), Some(&b"one"[..]));
    let sent = client.receive(path_500(), &notified(&request, cookie(b"two")));
    let (_, third) = parse_sa_init(&sent[0].message);
    assert_eq!(third.cookie.as_deref(), Some(&b"two"[..]));
    assert_eq!(third.key_exchange.group, 19);
    comes_up(&mut client, with_group(Group::Ecp256));
}

#[test]
fn k2_035_endless_cookies_are_answered_seldom_and_not_for_ever() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let mut answered = Vec::new();
    for round in 0..100_u32 {
        let sent = client.receive(path_500(), &notified(&request, cookie(&round.to_be_bytes())));
        answered.extend(sent.iter().map(|_| client.now));
        client.wait(10);
    }
    assert!(answered.len() <= 5, "{answered:?}");
    for round in 100..1000_u32 {
        let sent = client.receive(path_500(), &notified(&request, cookie(&round.to_be_bytes())));
        answered.extend(sent.iter().map(|_| client.now));
        client.wait(100);
    }
    assert_eq!(answered.len(), 10);
}

#[test]
fn k2_035_forged_cookies_do_not_prevent_the_genuine_answer() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    for round in 0..50_u8 {
        client.receive(path_500(), &notified(&request, cookie(&[round])));
    }
    comes_up(&mut client, Gateway::new(1));
}

#[test]
fn k2_037_answers_from_other_addresses_and_ports_are_dropped() {
    let mut client = Client::new(profile());
    let gateway = Gateway::new(1).answer(client.last_message());
    for path in [
        Path { remote: "198.51.100.2:500".parse().unwrap(), ..path_500() },
        Path { remote: "198.51.100.1:501".parse().unwrap(), ..path_500() },
        path_4500(),
        Path { framing: crate::sa::path::Framing::Marked, ..path_500() },
    ] {
        assert!(client.receive(path, &gateway.response).is_empty());
    }
    assert_eq!(client.drops(), [DropReason::WrongAddress; 4]);
    assert_eq!(client.receive(path_500(), &gateway.response).len(), 1);
}

#[test]
fn k2_003_k2_038_other_major_versions_are_dropped_and_change_nothing() {
    let mut client = Client::new(profile());
    let gateway = Gateway::new(1).answer(client.last_message());
    for major in (0..16_u8).filter(|major| *major != 2) {
        let mut message = gateway.response.clone();
        message[17] = major << 4;
        assert!(client.receive(path_500(), &message).is_empty());
    }
    assert_eq!(client.drops(), [DropReason::MajorVersion; 15]);
    let mut message = gateway.response.clone();
    message[17] = 0x2f;
    message[19] |= 0x10 | 0x80;
    assert_eq!(client.receive(path_500(), &message).len(), 1, "minor version, version flag and reserved bits");
}

#[test]
fn k2_005_wrong_flags_spis_and_ids_are_dropped() {
    let mut client = Client::new(profile());
    let gateway = Gateway::new(1).answer(client.last_message());
    for (index, value) in [(19, 0x28), (19, 0x00), (19, 0x08), (0, gateway.response[0] ^ 1), (18, 35), (23, 1)] {
        let mut message = gateway.response.clone();
        message[index] = value;
        assert!(client.receive(path_500(), &message).is_empty(), "{index}");
    }
    let mut zero = gateway.response.clone();
    zero[8..16].fill(0);
    assert!(client.receive(path_500(), &zero).is_empty());
    assert_eq!(client.state(), "IKE_SA_INIT sent");
    assert_eq!(client.receive(path_500(), &gateway.response).len(), 1);
}

#[test]
fn k2_039_our_own_address_is_hashed_as_nobodys_and_the_gateways_as_it_is() {
    let client = Client::new(profile());
    let (header, request) = parse_sa_init(client.last_message());
    let hash = |address| {
        let input = crate::ike::nat::detection_input(header.initiator_spi.to_octets(), [0; 8], address);
        crate::crypto::hash::sha1(&[&input]).to_vec()
    };
    let source = find(&request.notifies, NotifyType::NAT_DETECTION_SOURCE_IP).unwrap();
    assert_eq!(source.data.len(), 20);
    assert_ne!(source.data, hash(path_500().local));
    let destination = find(&request.notifies, NotifyType::NAT_DETECTION_DESTINATION_IP).unwrap();
    assert_eq!(destination.data, hash(path_500().remote));
}

#[test]
fn k2_039_n_06_a_gateway_without_nat_detection_is_reached_on_the_encapsulation_port_all_the_same() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let gateway = Gateway::new(1).answer(&request);
    let (header, rest) = Header::parse(&gateway.response).unwrap();
    let outer = crate::ike::wire::chain::parse_outer(&header, rest).unwrap();
    let SaInitResponse::Accepted(mut accepted) = SaInitResponse::parse(&outer).unwrap() else { panic!() };
    accepted.notifies.clear();
    let contents = SaInitResponse::Accepted(accepted).contents().unwrap();
    let sent = client.receive(path_500(), &sa_init_message(&request, Some(gateway.spis.1), &contents));
    assert_eq!(sent[0].path, path_4500());
    assert!(client.events.iter().any(|event| matches!(event, Event::SuiteAgreed { local_nat: true, .. })));
}

#[test]
fn k2_040_n_07_a_start_on_the_encapsulation_port_stays_there() {
    let mut client = Client::on(profile(), path_4500());
    assert_eq!(client.sent[0].path, path_4500());
    let mut gateway = Gateway::new(1).answer(client.last_message());
    let auth = client.receive(path_4500(), &gateway.response);
    assert_eq!(auth[0].path, path_4500());
    let response = gateway.seal_proof(gateway.proof());
    client.receive(path_4500(), &response);
    assert!(client.is_up());
}

#[test]
fn k2_042_another_attempt_has_another_spi_nonce_and_public_value() {
    let mut random = crate::crypto::random::SeededRandom::new(1);
    let messages = [(); 2].map(|()| {
        let mut seed = [0; 8];
        crate::crypto::random::Random::fill(&mut random, &mut seed);
        let random = Box::new(crate::crypto::random::SeededRandom::new(u64::from_be_bytes(seed)));
        let mut session =
            crate::ike::session::Session::initiate(std::sync::Arc::new(profile()), path_500(), random, at(0));
        let Some(crate::ike::action::Action::Transmit(sent)) = session.poll_action() else { panic!() };
        parse_sa_init(&sent.message)
    });
    assert_ne!(messages[0].0.initiator_spi, messages[1].0.initiator_spi);
    assert_ne!(messages[0].1.nonce, messages[1].1.nonce);
    assert_ne!(messages[0].1.key_exchange, messages[1].1.key_exchange);
}

#[test]
fn k2_043_a_puzzle_beside_a_cookie_is_not_solved() {
    let mut client = Client::new(profile());
    let request = client.last_message().to_vec();
    let notifies = vec![cookie(b"cookie"), Notify::new(NotifyType::PUZZLE).with_data(vec![0, 5, 20, 1, 2])];
    let contents = SaInitResponse::Notified(SaInitNotified { notifies }).contents().unwrap();
    let sent = client.receive(path_500(), &sa_init_message(&request, None, &contents));
    let (_, again) = parse_sa_init(&sent[0].message);
    assert_eq!(again.cookie.as_deref(), Some(&b"cookie"[..]));
    comes_up(&mut client, Gateway::new(1));
}

/// A good answer, changed.
fn changed(client: &Client, change: impl FnOnce(&mut SaInitAccepted)) -> Vec<u8> {
    let request = client.last_message().to_vec();
    let gateway = Gateway::new(3).answer(&request);
    let (header, rest) = Header::parse(&gateway.response).unwrap();
    let outer = crate::ike::wire::chain::parse_outer(&header, rest).unwrap();
    let SaInitResponse::Accepted(mut accepted) = SaInitResponse::parse(&outer).unwrap() else { panic!() };
    change(&mut accepted);
    let contents = SaInitResponse::Accepted(accepted).contents().unwrap();
    sa_init_message(&request, Some(gateway.spis.1), &contents)
}

#[test]
fn k2_014_an_answer_that_was_not_offered_is_dropped_and_the_genuine_one_still_taken() {
    let mut client = Client::new(profile());
    type Change = fn(&mut Proposal);
    let changes: [Change; 6] = [
        |proposal| proposal.number = 2,
        |proposal| proposal.spi = vec![1; 8],
        |proposal| proposal.transforms[0].key_length = Some(512),
        |proposal| {
            proposal.transforms.pop();
        },
        |proposal| proposal.transforms.push(proposal.transforms[0]),
        |proposal| proposal.transforms[1].id = 0,
    ];
    for change in changes {
        let message = changed(&client, |accepted| change(&mut accepted.security_association.proposals[0]));
        assert!(client.receive(path_500(), &message).is_empty());
    }
    assert_eq!(client.drops(), [DropReason::Unacceptable; 6]);
    comes_up(&mut client, Gateway::new(1));
}

#[test]
fn k2_015_a_nonce_shorter_than_half_the_prf_key_is_refused() {
    let mut client = Client::new(profile());
    let short = Gateway { nonce: vec![1; 23], ..Gateway::with_gcm(1) }.answer(client.last_message());
    assert!(client.receive(path_500(), &short.response).is_empty());
    let enough = Gateway { nonce: vec![1; 24], ..Gateway::with_gcm(1) }.answer(client.last_message());
    assert_eq!(client.receive(path_500(), &enough.response).len(), 1);
}

#[test]
fn k2_016_public_values_of_a_wrong_group_or_length_are_refused() {
    let mut client = Client::new(profile());
    for group in [0, 19, 20, 1025, 65535] {
        let message = changed(&client, |accepted| accepted.key_exchange.group = group);
        assert!(client.receive(path_500(), &message).is_empty());
    }
    for len in [0, 1, 31, 33, 64, 500] {
        let message = changed(&client, |accepted| accepted.key_exchange.data.resize(len, 1));
        assert!(client.receive(path_500(), &message).is_empty());
    }
    assert_eq!(client.drops(), [DropReason::Unacceptable; 11]);
}

#[test]
fn c_05_v_04_public_values_of_small_order_are_dropped_and_cost_nothing() {
    let mut client = Client::new(profile());
    for _ in 0..20 {
        let message = changed(&client, |accepted| accepted.key_exchange.data.fill(0));
        assert!(client.receive(path_500(), &message).is_empty());
    }
    assert_eq!(client.drops(), [DropReason::Unacceptable; 20]);
    comes_up(&mut client, Gateway::new(1));
}

#[test]
fn k2_056_our_own_values_turned_around_are_refused() {
    let mut client = Client::new(profile());
    let (header, request) = parse_sa_init(client.last_message());
    let echoed_key = changed(&client, |accepted| accepted.key_exchange = request.key_exchange.clone());
    let echoed_nonce = changed(&client, |accepted| accepted.nonce = request.nonce.clone());
    let mut echoed_spi = changed(&client, |_| {});
    echoed_spi[8..16].copy_from_slice(&header.initiator_spi.to_octets());
    let mut request_itself = client.last_message().to_vec();
    assert!(client.receive(path_500(), &request_itself).is_empty());
    request_itself[19] = 0x20;
    request_itself[15] = 1;
    for message in [echoed_key, echoed_nonce, echoed_spi, request_itself] {
        assert!(client.receive(path_500(), &message).is_empty());
    }
    assert_eq!(client.drops()[1..], [DropReason::Unacceptable; 4]);
}

#[test]
fn f_01_fragmentation_is_announced_only_where_it_is_wanted() {
    let announces = |fragmentation| {
        let client = Client::new(crate::ike::profile::Profile { fragmentation, ..profile() });
        let (_, request) = parse_sa_init(client.last_message());
        find(&request.notifies, NotifyType::IKEV2_FRAGMENTATION_SUPPORTED).is_some()
    };
    assert!(announces(Some(1280)));
    assert!(!announces(None));
}

#[test]
fn a_profile_that_offers_nothing_ends_at_once() {
    let client = Client::new(crate::ike::profile::Profile { ike_offers: Vec::new(), ..profile() });
    assert!(client.sent.is_empty());
    assert_eq!(client.failure(), Some(&Failure::Unsendable { phase: Phase::SaInit }));
}

#[test]
fn closing_before_anyone_answered_ends_silently() {
    let mut client = Client::new(profile());
    assert!(client.command(crate::ike::action::Command::Close).is_empty());
    assert_eq!(client.failure(), Some(&Failure::ClosedByUs { confirmed: false }));
    assert_eq!(client.session.poll_timeout(), None);
    let gateway = Gateway::new(1).answer(client.last_message());
    assert!(client.receive(path_500(), &gateway.response).is_empty());
}

#[test]
fn k2_031_a_refusal_is_the_reason_when_the_patience_ends_before_its_grace() {
    let mut impatient = profile();
    impatient.retransmission.repetitions = 1;
    let mut client = Client::new(impatient);
    let request = client.last_message().to_vec();
    client.receive(path_500(), &notified(&request, Notify::new(NotifyType::NO_PROPOSAL_CHOSEN)));
    client.wait(1_249);
    assert!(client.failure().is_none());
    client.wait(1);
    assert!(matches!(client.failure(), Some(Failure::IkeProposalRefused { .. })), "{:?}", client.failure());
}
