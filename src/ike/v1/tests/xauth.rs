//! XAUTH, round by round.

use super::kit::*;
use crate::ike::action::{Command, DropReason, Event, Failure, Phase, Transmit};
use crate::ike::profile::Phase1Mode;
use crate::ike::v1::answers::kind;
use crate::ike::v1::header::ExchangeType;
use crate::ike::v1::message::*;

const TYPE: u16 = 16520;
const NAME: u16 = 16521;
const WORD: u16 = 16522;
const PASSCODE: u16 = 16523;
const MESSAGE: u16 = 16524;
const STATUS: u16 = 16527;

fn waiting() -> (Client, Gateway) {
    let (client, gateway, sent) = authenticated(with_xauth(Phase1Mode::Main), Gateway::with_xauth());
    assert_eq!((sent, client.state()), (vec![], "XAUTH awaited"));
    (client, gateway)
}

fn ask(client: &mut Client, gateway: &mut Gateway, id: u32, asked: &[(u16, &[u8])]) -> Vec<Transmit> {
    let message = gateway.attributes(id, kind::REQUEST, 7, asked);
    client.receive(path_4500(), &message)
}

fn reply(gateway: &mut Gateway, sent: &[Transmit]) -> Vec<(u16, Vec<u8>)> {
    let (_, reply) = gateway.open_attributes(&sent[0].message);
    assert_eq!((reply.kind, reply.identifier), (kind::REPLY, 7));
    reply.attributes.clone()
}

fn status(client: &mut Client, gateway: &mut Gateway, id: u32, value: u8) -> Vec<Transmit> {
    let message = gateway.attributes(id, kind::SET, 8, &[(STATUS, &[0, value])]);
    client.receive(path_4500(), &message)
}

fn refusal(message: Option<&str>) -> Failure {
    Failure::XauthRefused { user: USER.into(), message: message.map(str::to_owned) }
}

#[test]
fn k1_023_name_and_password_are_given_and_the_good_word_is_acknowledged() {
    for mode in [Phase1Mode::Main, Phase1Mode::Aggressive] {
        let (mut client, mut gateway, _) = authenticated(with_xauth(mode), Gateway::with_xauth());
        let sent = ask(&mut client, &mut gateway, 5, &[(TYPE, &[0, 0]), (NAME, b""), (WORD, b"")]);
        let expected = [(TYPE, vec![0, 0]), (NAME, USER.into()), (WORD, PASSWORD.to_vec())];
        assert_eq!(reply(&mut gateway, &sent), expected);
        let sent = status(&mut client, &mut gateway, 6, 1);
        let (id, acknowledged) = gateway.open_attributes(&sent[0].message);
        assert_eq!((id, acknowledged.kind, acknowledged.identifier), (6, kind::ACK, 8));
        assert_eq!(acknowledged.attributes, [(STATUS, vec![0, 1])]);
        assert!(client.has(|event| *event == Event::UserAccepted { user: USER.into() }));
        assert_eq!(gateway.open_attributes(&sent[1].message).1.kind, kind::REQUEST, "Mode Config follows");
    }
}

#[test]
fn k1_023_what_follows_under_the_same_message_id_goes_on_in_its_chain() {
    let (mut client, mut gateway) = waiting();
    let sent = ask(&mut client, &mut gateway, 5, &[(NAME, b""), (WORD, b"")]);
    reply(&mut gateway, &sent);
    let sent = status(&mut client, &mut gateway, 5, 1);
    assert_eq!(gateway.open_attributes(&sent[0].message).1.kind, kind::ACK);
}

#[test]
fn k1_023_name_and_password_may_be_asked_for_one_by_one() {
    let (mut client, mut gateway) = waiting();
    let sent = ask(&mut client, &mut gateway, 5, &[(NAME, b"")]);
    assert_eq!(reply(&mut gateway, &sent), [(NAME, USER.into())]);
    let sent = ask(&mut client, &mut gateway, 6, &[(PASSCODE, b""), (MESSAGE, b"code")]);
    assert_eq!(reply(&mut gateway, &sent), [(PASSCODE, PASSWORD.to_vec())]);
    status(&mut client, &mut gateway, 7, 1);
    assert!(client.has(|event| matches!(event, Event::UserAccepted { .. })));
}

#[test]
fn k1_023_a_refusal_is_acknowledged_and_said_with_the_gateways_words() {
    let (mut client, mut gateway) = waiting();
    let sent = ask(&mut client, &mut gateway, 5, &[(NAME, b""), (WORD, b""), (MESSAGE, b"welcome")]);
    reply(&mut gateway, &sent);
    let message = gateway.attributes(6, kind::SET, 8, &[(STATUS, &[0, 0]), (MESSAGE, b"account locked")]);
    let sent = client.receive(path_4500(), &message);
    assert_eq!(gateway.open_attributes(&sent[0].message).1.attributes, [(STATUS, vec![0, 0])]);
    assert_eq!(gateway.open_words(&sent[1].message), gateway.delete());
    assert_eq!(client.failure(), Some(&refusal(Some("account locked"))));
    // Any other status than 1 is no yes.
    for value in [2, 255] {
        let (mut client, mut gateway) = waiting();
        ask(&mut client, &mut gateway, 5, &[(NAME, b""), (WORD, b"")]);
        status(&mut client, &mut gateway, 6, value);
        assert_eq!(client.failure(), Some(&refusal(None)));
    }
}

#[test]
fn k1_023_a_gateway_that_hangs_up_on_the_password_refuses_it() {
    let (mut client, mut gateway) = waiting();
    ask(&mut client, &mut gateway, 5, &[(NAME, b""), (WORD, b""), (MESSAGE, b"hello")]);
    let words = gateway.delete();
    let message = gateway.inform(9, &words);
    client.receive(path_4500(), &message);
    assert_eq!(client.failure(), Some(&refusal(Some("hello"))));
    let (mut client, mut gateway) = waiting();
    let words = gateway.delete();
    let message = gateway.inform(9, &words);
    client.receive(path_4500(), &message);
    assert_eq!(client.failure(), Some(&Failure::ClosedByPeer));
}

#[test]
fn k1_023_the_password_is_given_once() {
    let (mut client, mut gateway) = waiting();
    ask(&mut client, &mut gateway, 5, &[(NAME, b""), (WORD, b"")]);
    let message = gateway.attributes(6, kind::REQUEST, 7, &[(NAME, b""), (WORD, b""), (MESSAGE, b"try again")]);
    let sent = client.receive(path_4500(), &message);
    assert_eq!(reply(&mut gateway, &sent), [(STATUS, vec![0, 0])]);
    let Some(Failure::XauthRefused { message: Some(said), .. }) = client.failure() else {
        panic!("{:?}", client.failure())
    };
    assert!(said.contains("again") && said.contains("try again"));
}

#[test]
fn k1_023_rounds_are_bounded() {
    let (mut client, mut gateway) = waiting();
    for id in 5..13 {
        let sent = ask(&mut client, &mut gateway, id, &[(NAME, b"")]);
        assert_eq!(reply(&mut gateway, &sent), [(NAME, USER.into())]);
    }
    let sent = ask(&mut client, &mut gateway, 13, &[(NAME, b"")]);
    assert_eq!(reply(&mut gateway, &sent), [(STATUS, vec![0, 0])]);
    assert!(matches!(client.failure(), Some(Failure::XauthRefused { .. })));
}

#[test]
fn k1_023_what_needs_more_than_a_name_and_a_password_is_declined() {
    for asked in [
        &[(TYPE, &[0, 1][..]), (16525, b"challenge"), (NAME, b""), (WORD, b"")][..],
        &[(TYPE, &[0, 2]), (NAME, b"")],
        &[(NAME, b""), (16525, b"challenge")],
        &[(16528, b"")],
        &[(16529, b"")],
    ] {
        let (mut client, mut gateway) = waiting();
        let sent = ask(&mut client, &mut gateway, 5, asked);
        assert_eq!(reply(&mut gateway, &sent), [(STATUS, vec![0, 0])], "{asked:?}");
        let Some(Failure::XauthRefused { message: Some(said), .. }) = client.failure() else {
            panic!("{:?}", client.failure())
        };
        assert!(said.starts_with("the gateway asks"));
    }
    // What is merely unknown is left out.
    let (mut client, mut gateway) = waiting();
    let sent = ask(&mut client, &mut gateway, 5, &[(NAME, b""), (16526, b"x"), (30000, b""), (MESSAGE, b"")]);
    assert_eq!(reply(&mut gateway, &sent), [(NAME, USER.into()), (16526, vec![])]);
}

#[test]
fn k1_023_a_repeated_request_gets_the_same_octets_and_the_password_is_not_given_anew() {
    let (mut client, mut gateway) = waiting();
    let message = gateway.attributes(5, kind::REQUEST, 7, &[(NAME, b""), (WORD, b"")]);
    let sent = client.receive(path_4500(), &message);
    for _ in 0..10 {
        assert_eq!(client.receive(path_4500(), &message), sent);
    }
    client.drops_it(path_4500(), &message, DropReason::Bounded);
    reply(&mut gateway, &sent);
    let message = gateway.attributes(6, kind::SET, 8, &[(STATUS, &[0, 1])]);
    let sent = client.receive(path_4500(), &message);
    assert_eq!(client.state(), "Mode Config sent");
    // The acknowledgement is repeated in the next state, too, and changes nothing there.
    assert_eq!(client.receive(path_4500(), &message), sent[..1]);
    let accepted = client.events.iter().filter(|event| matches!(event, Event::UserAccepted { .. })).count();
    assert_eq!(accepted, 1);
}

#[test]
fn k1_023_nothing_else_is_answered_before_the_good_word() {
    let (mut client, mut gateway) = waiting();
    let messages = [
        gateway.attributes(21, kind::SET, 8, &[(1, &[10, 200, 0, 7])]),
        gateway.attributes(22, kind::REQUEST, 8, &[(1, b"")]),
        gateway.attributes(23, kind::REPLY, 8, &[(1, &[10, 200, 0, 7])]),
        gateway.attributes(24, kind::ACK, 8, &[(STATUS, &[0, 1])]),
        gateway.attributes(25, kind::REPLY, 8, &[(STATUS, &[0, 1])]),
        gateway.attributes(26, kind::SET, 8, &[(STATUS, &[0, 0, 0, 1])]),
        gateway.attributes(27, kind::SET, 8, &[]),
    ];
    for message in messages {
        client.drops_it(path_4500(), &message, DropReason::Unacceptable);
    }
    let quick = gateway.protected(ExchangeType::QUICK_MODE, 30, &gateway.delete().contents().unwrap());
    client.drops_it(path_4500(), &quick, DropReason::NotOurs);
    assert!(!client.began_quick_mode());
}

#[test]
fn k1_023_a_hash_that_is_wrong_gets_no_password() {
    let (mut client, mut gateway) = waiting();
    let request = Attributes { kind: kind::REQUEST, identifier: 7, attributes: vec![(NAME, vec![]), (WORD, vec![])] };
    let contents = request.contents().unwrap();
    for index in 0..32 {
        let wrong = gateway.protected_with(ExchangeType::TRANSACTION, 5, &contents, |mut hash| {
            hash[index] ^= 1;
            hash
        });
        gateway.chains.clear();
        client.drops_it(path_4500(), &wrong, DropReason::Forged);
    }
    let right = gateway.protected(ExchangeType::TRANSACTION, 5, &contents);
    // Under another message ID the hash is another.
    client.drops_it(path_4500(), &with_header(&right, |header| header.message_id = 6), DropReason::Forged);
    client.drops_it(path_4500(), &with_header(&right, |header| header.message_id = 0), DropReason::OutsideWindow);
    client.drops_it(
        path_4500(),
        &with_header(&right, |header| header.flags.encrypted = false),
        DropReason::Unauthenticated,
    );
    assert_eq!(client.receive(path_4500(), &right).len(), 1, "none of them moved the chain");
}

#[test]
fn k1_023_xauth_without_a_configured_name_is_declined_and_said() {
    for profile in [profile(), aggressive()] {
        let (mut client, mut gateway, _) = authenticated(profile, Gateway::new());
        let sent = ask(&mut client, &mut gateway, 5, &[(NAME, b""), (WORD, b"")]);
        assert_eq!(reply(&mut gateway, &sent), [(STATUS, vec![0, 0])]);
        assert_eq!(gateway.open_words(&sent[1].message), gateway.delete());
        assert_eq!(client.failure(), Some(&Failure::XauthWanted));
    }
    // And where nothing but quick mode was left to do.
    let (mut client, mut gateway, _) = authenticated(without_request(), Gateway::new());
    assert!(client.began_quick_mode());
    let sent = ask(&mut client, &mut gateway, 5, &[(NAME, b""), (WORD, b"")]);
    assert_eq!(reply(&mut gateway, &sent), [(STATUS, vec![0, 0])]);
    assert_eq!(client.failure(), Some(&Failure::XauthWanted));
}

#[test]
fn k1_023_a_gateway_that_never_asks_is_said() {
    let (mut client, _) = waiting();
    let sent = client.sent.len();
    client.wait(300_000);
    let Some(Failure::NoAnswer { phase: Phase::Xauth, sent: 0, .. }) = client.failure() else {
        panic!("{:?}", client.failure())
    };
    assert_eq!(client.sent.len(), sent + 1, "nothing but a goodbye");
    assert!(!client.has(|event| matches!(event, Event::Repeating { .. })));
}

#[test]
fn v_26_the_gateways_words_are_bounded_and_without_control_characters() {
    let hostile = [&b"\x1b]0;owned\x07$(reboot)\r\n\xff\xfe%n\0"[..], &[b'x'; 5000]].concat();
    let (mut client, mut gateway) = waiting();
    ask(&mut client, &mut gateway, 5, &[(NAME, b""), (WORD, b""), (MESSAGE, &hostile)]);
    status(&mut client, &mut gateway, 6, 0);
    let Some(Failure::XauthRefused { message: Some(message), .. }) = client.failure() else {
        panic!("{:?}", client.failure())
    };
    assert!(message.len() < 2000 && !message.chars().any(char::is_control), "{message:?}");
}

#[test]
fn k1_023_the_password_is_printed_nowhere() {
    let (mut client, mut gateway) = waiting();
    ask(&mut client, &mut gateway, 5, &[(NAME, b""), (WORD, b"")]);
    status(&mut client, &mut gateway, 6, 0);
    client.command(Command::Close);
    let printed = format!("{:?} {:?} {:?}", client.session, client.events, with_xauth(Phase1Mode::Main));
    assert!(!printed.contains(std::str::from_utf8(PASSWORD).unwrap()));
    let wire: Vec<u8> = client.sent.iter().flat_map(|sent| sent.message.clone()).collect();
    assert!(!wire.windows(PASSWORD.len()).any(|window| window == PASSWORD));
}
