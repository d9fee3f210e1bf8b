//! MOBIKE (RFC 4555): what is said when addresses change, and what the gateway's words about addresses lead to.

use std::net::IpAddr;

use super::peer::{CHILD, Pair, empty, notify_contents};
use super::*;
use crate::ike::action::Command;
use crate::ike::v2::message::{Payload, write_contents};
use crate::ike::wire::chain::Contents;
use crate::sa::command::DataReport;
use crate::sa::path::Path;

const HERE: &str = "198.51.100.77:40007";
const THERE: &str = "203.0.113.9:40009";
const OTHER: &str = "192.0.2.77";

fn notifies(list: &[(NotifyType, &[u8])]) -> Contents {
    let notify = |(kind, data): &(NotifyType, &[u8])| Payload::Notify(Notify::new(*kind).with_data(data.to_vec()));
    write_contents(&list.iter().map(notify).collect::<Vec<_>>()).unwrap()
}

fn seen_as(hash: &[u8]) -> Contents {
    notifies(&[(NotifyType::NAT_DETECTION_SOURCE_IP, &[9; 20]), (NotifyType::NAT_DETECTION_DESTINATION_IP, hash)])
}

fn additional(addresses: &[&str]) -> Vec<Notify> {
    addresses
        .iter()
        .map(|address| match address.parse().unwrap() {
            IpAddr::V4(ip) => Notify::new(NotifyType::ADDITIONAL_IP4_ADDRESS).with_data(ip.octets().to_vec()),
            IpAddr::V6(ip) => Notify::new(NotifyType::ADDITIONAL_IP6_ADDRESS).with_data(ip.octets().to_vec()),
        })
        .collect()
}

/// The notifies of each request that left, and its message ID.
fn requests(seen: &[Seen]) -> Vec<(u32, Vec<NotifyType>)> {
    seen.iter()
        .filter_map(|seen| match seen {
            Seen::Sent { response: false, message_id, content, .. } => {
                Some((*message_id, content.notifies.iter().map(|notify| notify.kind).collect()))
            }
            _ => None,
        })
        .collect()
}

fn data_of(seen: &[Seen], wanted: NotifyType) -> Vec<u8> {
    let notifies = seen.iter().filter_map(|seen| match seen {
        Seen::Sent { content, .. } => Some(&content.notifies),
        _ => None,
    });
    notifies.flatten().rfind(|notify| notify.kind == wanted).unwrap().data.clone()
}

fn moved(seen: &[Seen]) -> Vec<Path> {
    seen.iter().filter_map(|seen| if let Seen::Moved(CHILD, path) = seen { Some(*path) } else { None }).collect()
}

fn roamed(seen: &[Seen]) -> bool {
    seen.iter().any(|seen| matches!(seen, Seen::Event(Event::Roamed { .. })))
}

const UPDATE: [NotifyType; 3] =
    [NotifyType::UPDATE_SA_ADDRESSES, NotifyType::NAT_DETECTION_SOURCE_IP, NotifyType::NAT_DETECTION_DESTINATION_IP];

fn from(pair: &Pair, local: &str) -> Path {
    Path { local: local.parse().unwrap(), ..pair.path() }
}

fn to(pair: &Pair, remote: &str) -> Path {
    Path { remote: (remote.parse::<IpAddr>().unwrap(), 4500).into(), ..pair.path() }
}

#[test]
fn x_07_a_move_takes_the_packets_along_at_once_and_is_told_to_the_gateway() {
    let mut pair = Pair::mobile(&[]);
    let path = from(&pair, HERE);
    pair.command(Command::Roam(path));
    let seen = pair.seen();
    assert_eq!(moved(&seen), [path]);
    assert_eq!(requests(&seen), [(2, UPDATE.to_vec())]);
    assert!(!roamed(&seen), "the gateway does not know it yet");
    let answer = pair.peer.response(2, INFORMATIONAL, &seen_as(&[1; 20]));
    pair.receive(&answer);
    assert_eq!(pair.seen(), [Seen::Event(Event::Roamed { path })]);
    assert!(pair.is_established());
}

#[test]
fn x_07_without_mobike_on_both_sides_nothing_roams_and_questions_are_empty() {
    let mut pair = Pair::told(&[Notify::new(NotifyType::MOBIKE_SUPPORTED)]);
    pair.command(Command::Roam(from(&pair, HERE)));
    assert_eq!(pair.seen(), []);
    pair.command(Command::ProbeLiveness);
    assert_eq!(pair.seen(), [request(2, Informational::default())]);
    let cookie = notify_contents(NotifyType::COOKIE2, &[7; 16]);
    let asked = pair.peer.request(INFORMATIONAL, &cookie);
    pair.receive(&asked);
    assert_eq!(pair.seen(), [response(0, Informational::default())]);
}

#[test]
fn x_07_a_move_during_an_update_is_told_by_a_new_request_and_the_older_answer_means_nothing() {
    let mut pair = Pair::mobile(&[]);
    pair.command(Command::Roam(from(&pair, HERE)));
    let first = pair.transmitted();
    pair.seen();
    let last = from(&pair, THERE);
    pair.command(Command::Roam(last));
    assert_eq!(pair.transmitted(), first, "the outstanding request is repeated from the new address, octet for octet");
    assert_eq!(moved(&pair.seen()), [last]);
    let answer = pair.peer.response(2, INFORMATIONAL, &seen_as(&[1; 20]));
    pair.receive(&answer);
    let seen = pair.seen();
    assert!(!roamed(&seen), "{seen:?}");
    assert_eq!(requests(&seen), [(3, UPDATE.to_vec())]);
    let answer = pair.peer.response(3, INFORMATIONAL, &seen_as(&[2; 20]));
    pair.receive(&answer);
    assert_eq!(pair.seen(), [Seen::Event(Event::Roamed { path: last })]);
}

#[test]
fn x_07_an_update_goes_before_all_that_is_queued_and_an_open_request_is_repeated_at_once() {
    let mut pair = Pair::mobile(&[]);
    pair.command(Command::ProbeLiveness);
    let open = pair.transmitted();
    pair.seen();
    pair.command(Command::Roam(from(&pair, HERE)));
    assert_eq!(pair.transmitted(), open, "RFC 4555 §3.5: repeated with the new addresses");
    pair.seen();
    // It is not as patient as before, either.
    pair.advance(Duration::from_millis(400));
    assert_eq!(pair.transmitted(), open);
    pair.seen();
    let answer = pair.peer.response(2, INFORMATIONAL, &empty());
    pair.receive(&answer);
    assert_eq!(requests(&pair.seen()), [(3, UPDATE.to_vec())]);
}

#[test]
fn x_07_a_question_asks_what_the_gateway_sees_and_a_new_mapping_is_told_to_it() {
    let mut pair = Pair::mobile(&[]);
    let ask = |pair: &mut Pair, id: u32, hash: u8| {
        pair.command(Command::ProbeLiveness);
        assert_eq!(requests(&pair.seen()), [(id, UPDATE[1..].to_vec())]);
        let answer = pair.peer.response(id, INFORMATIONAL, &seen_as(&[hash; 20]));
        pair.receive(&answer);
        pair.seen()
    };
    // Nothing is known before the first answer: the mapping may have changed since IKE_AUTH.
    assert_eq!(requests(&ask(&mut pair, 2, 1)), [(3, UPDATE.to_vec())]);
    let answer = pair.peer.response(3, INFORMATIONAL, &seen_as(&[1; 20]));
    pair.receive(&answer);
    assert_eq!(pair.seen(), [], "nothing has moved");
    assert_eq!(requests(&ask(&mut pair, 4, 1)), [], "the same as before");
    assert_eq!(requests(&ask(&mut pair, 5, 2)), [(6, UPDATE.to_vec())]);
    let answer = pair.peer.response(6, INFORMATIONAL, &seen_as(&[2; 20]));
    pair.receive(&answer);
    assert_eq!(pair.seen(), [Seen::Event(Event::Roamed { path: pair.path() })]);
    assert_eq!(requests(&ask(&mut pair, 7, 2)), []);
}

#[test]
fn x_07_our_own_address_is_never_told_so_that_the_gateway_encapsulates_and_nats_are_never_refused() {
    let mut pair = Pair::mobile(&[]);
    let mut sources = Vec::new();
    for _ in 0..3 {
        pair.command(Command::Roam(from(&pair, HERE)));
        let seen = pair.seen();
        if !requests(&seen).is_empty() {
            sources.push(data_of(&seen, NotifyType::NAT_DETECTION_SOURCE_IP));
        }
        let id = sources.len() as u32 + 1;
        assert!(requests(&seen).iter().all(|(_, kinds)| !kinds.contains(&NotifyType::NO_NATS_ALLOWED)));
        let answer = pair.peer.response(id, INFORMATIONAL, &seen_as(&[1; 20]));
        pair.receive(&answer);
        pair.seen();
    }
    assert_eq!(sources.len(), 3);
    assert!(sources[0] != sources[1] && sources[1] != sources[2], "a hash of nothing");
}

#[test]
fn x_07_a_gateway_that_does_not_accept_the_addresses_is_left() {
    for kind in [NotifyType::UNACCEPTABLE_ADDRESSES, NotifyType::UNEXPECTED_NAT_DETECTED, NotifyType(8191)] {
        let mut pair = Pair::mobile(&[]);
        pair.command(Command::Roam(from(&pair, HERE)));
        pair.seen();
        let answer = pair.peer.response(2, INFORMATIONAL, &notify_contents(kind, b""));
        pair.receive(&answer);
        assert!(!pair.is_established());
        let answer = pair.peer.response(3, INFORMATIONAL, &empty());
        pair.receive(&answer);
        let seen = pair.seen();
        let failure = Failure::MoveRefused { notify: kind.to_string() };
        assert!(seen.contains(&request(3, deletes(ProtocolId::IKE, &[]))), "{seen:?}");
        assert_eq!(seen.last(), Some(&ended(failure)));
    }
}

#[test]
fn x_07_the_gateways_cookie_is_returned_unless_its_length_is_wrong() {
    for (len, returned) in [(7, false), (8, true), (64, true), (65, false)] {
        let mut pair = Pair::mobile(&[]);
        let data = vec![5; len];
        let asked = pair.peer.request(INFORMATIONAL, &notify_contents(NotifyType::COOKIE2, &data));
        pair.receive(&asked);
        let notifies = if returned { vec![Notify::new(NotifyType::COOKIE2).with_data(data)] } else { vec![] };
        assert_eq!(pair.seen(), [response(0, Informational { notifies, ..Informational::default() })]);
        assert!(pair.is_established());
    }
}

#[test]
fn x_07_nat_detection_of_the_gateway_is_answered() {
    let mut pair = Pair::mobile(&[]);
    let asked = pair.peer.request(INFORMATIONAL, &seen_as(&[1; 20]));
    pair.receive(&asked);
    let seen = pair.seen();
    assert_eq!(data_of(&seen, NotifyType::NAT_DETECTION_DESTINATION_IP).len(), 20);
    assert_eq!(data_of(&seen, NotifyType::NAT_DETECTION_SOURCE_IP).len(), 20);
}

#[test]
fn x_07_only_we_update_addresses() {
    let mut pair = Pair::mobile(&[]);
    let asked = pair.peer.request(INFORMATIONAL, &notify_contents(NotifyType::UPDATE_SA_ADDRESSES, b""));
    pair.receive_from("192.0.2.200:4500", &asked);
    assert_eq!(pair.seen(), [dropped(DropReason::WrongAddress)]);
    pair.receive(&asked);
    assert_eq!(pair.seen(), [response(0, Informational::default())], "nothing moves");
    pair.command(Command::ProbeLiveness);
    assert_eq!(pair.sent_to(), [pair.path().remote.to_string()]);
}

/// Lets the open request be repeated until another address is asked for.
fn wait_for_other(pair: &mut Pair) -> IpAddr {
    for _ in 0..300 {
        pair.advance(Duration::from_millis(100));
        let other = pair.seen().into_iter().find_map(|seen| match seen {
            Seen::Event(Event::SilentBeside { other }) => Some(other),
            _ => None,
        });
        if let Some(other) = other {
            return other;
        }
    }
    panic!("no other address is tried");
}

#[test]
fn x_07_n_05_a_silent_gateway_is_looked_for_where_it_said_it_is_and_gets_packets_there_once_it_answers() {
    let mut pair = Pair::mobile(&additional(&[OTHER]));
    pair.command(Command::ProbeLiveness);
    pair.seen();
    assert_eq!(wait_for_other(&mut pair), OTHER.parse::<IpAddr>().unwrap());
    let path = to(&pair, OTHER);
    pair.command(Command::Roam(path));
    assert_eq!(pair.sent_to(), ["192.0.2.77:4500"], "the open question first");
    assert_eq!(moved(&pair.seen()), [], "nobody answered there");
    let answer = pair.peer.response(2, INFORMATIONAL, &seen_as(&[1; 20]));
    pair.receive_from("192.0.2.77:4500", &answer);
    let seen = pair.seen();
    let [(3, kinds)] = &requests(&seen)[..] else { panic!("{seen:?}") };
    assert!(kinds.contains(&NotifyType::COOKIE2) && kinds.contains(&NotifyType::UPDATE_SA_ADDRESSES));
    let cookie = data_of(&seen, NotifyType::COOKIE2);
    let answer = pair.peer.response(3, INFORMATIONAL, &notify_contents(NotifyType::COOKIE2, &cookie));
    pair.receive_from("192.0.2.77:4500", &answer);
    assert_eq!(pair.seen(), [Seen::Moved(CHILD, path), Seen::Event(Event::Roamed { path })]);
}

#[test]
fn x_07_a_gateway_that_cannot_have_read_what_was_sent_to_its_other_address_is_left() {
    for cookie in [None, Some([0; 16])] {
        let mut pair = Pair::mobile(&additional(&[OTHER]));
        pair.command(Command::Roam(to(&pair, OTHER)));
        assert_eq!(moved(&pair.seen()), []);
        let contents = cookie.map_or(empty(), |cookie| notify_contents(NotifyType::COOKIE2, &cookie));
        let answer = pair.peer.response(2, INFORMATIONAL, &contents);
        pair.receive_from("192.0.2.77:4500", &answer);
        assert!(!pair.is_established(), "{cookie:?}");
        assert!(moved(&pair.seen()).is_empty());
    }
}

#[test]
fn x_07_all_addresses_take_turns_and_a_gateway_that_is_nowhere_is_dead_in_the_usual_time() {
    let mut pair = Pair::mobile(&additional(&[OTHER, "192.0.2.78"]));
    pair.command(Command::ProbeLiveness);
    pair.seen();
    let mut tried = Vec::new();
    for _ in 0..400 {
        pair.advance(Duration::from_millis(100));
        for seen in pair.seen() {
            match seen {
                Seen::Event(Event::SilentBeside { other }) => {
                    tried.push(other.to_string());
                    pair.command(Command::Roam(to(&pair, &other.to_string())));
                }
                Seen::Event(Event::Ended(Failure::PeerDead { .. })) => {
                    assert_eq!(tried[..3], ["192.0.2.77", "192.0.2.78", "192.0.2.1"]);
                    return;
                }
                _ => {}
            }
        }
    }
    panic!("not dead after 40 s: {tried:?}");
}

#[test]
fn x_07_the_list_is_replaced_by_the_gateways_next_one_and_its_addresses_are_heard_but_not_followed() {
    let mut pair = Pair::mobile(&[]);
    let contents = notifies(&[(NotifyType::ADDITIONAL_IP4_ADDRESS, &[192, 0, 2, 77])]);
    let told = pair.peer.request(INFORMATIONAL, &contents);
    pair.receive(&told);
    assert_eq!(pair.seen(), [response(0, Informational::default())]);
    let asked = pair.peer.request(INFORMATIONAL, &empty());
    pair.receive_from("192.0.2.77:4500", &asked);
    assert_eq!(pair.sent_to(), ["192.0.2.77:4500"], "answered to where it came from");
    pair.seen();
    pair.command(Command::ProbeLiveness);
    assert_eq!(pair.sent_to(), [pair.path().remote.to_string()], "and not followed");
    pair.seen();
    let none = pair.peer.request(INFORMATIONAL, &notify_contents(NotifyType::NO_ADDITIONAL_ADDRESSES, b""));
    pair.receive(&none);
    pair.seen();
    let asked = pair.peer.request(INFORMATIONAL, &empty());
    pair.receive_from("192.0.2.77:4500", &asked);
    assert_eq!(pair.seen(), [dropped(DropReason::WrongAddress)]);
}

#[test]
fn x_07_replayed_and_forged_messages_from_elsewhere_move_nothing() {
    let mut pair = Pair::mobile(&[]);
    let asked = pair.peer.request(INFORMATIONAL, &empty());
    pair.receive(&asked);
    pair.seen();
    let mut forged = pair.peer.request(INFORMATIONAL, &empty());
    *forged.last_mut().unwrap() ^= 1;
    for (source, datagram) in
        [("203.0.113.66:4500", &asked), ("203.0.113.66:4500", &forged), ("192.0.2.1:666", &forged)]
    {
        pair.receive_from(source, datagram);
        assert!(matches!(pair.seen()[..], [Seen::Event(Event::Dropped(_))]));
    }
    pair.report(DataReport::UnknownSpi { spi: 7 });
    assert_eq!(pair.sent_to(), [pair.path().remote.to_string()]);
}
