//! Junk, other people's messages, and messages at the wrong moment: counted, and nothing moves.

use super::kit::*;
use crate::crypto::dh::Group;
use crate::crypto::random::{Random, SeededRandom};
use crate::ike::action::{Command, DropReason, Event};
use crate::ike::profile::Profile;
use crate::ike::v1::header::{ExchangeType, Flags, Header, PayloadType};
use crate::ike::v1::message::*;
use crate::sa::path::Path;
use crate::sa::spi::IkeSpi;
use crate::sa::suite::{IkeOffer, IkeSuite};

type State = (&'static str, fn() -> (Client, Gateway));

const STATES: [State; 6] = [
    ("proposal", || {
        let client = Client::new(profile());
        let mut gateway = Gateway::new();
        gateway.choose(&client.last().message);
        (client, gateway)
    }),
    ("keys", || until_keys(profile(), Gateway::new())),
    ("proof", || until_proof(profile(), Gateway::new())),
    ("answer", || {
        let client = Client::new(aggressive());
        let mut gateway = Gateway::new();
        gateway.answer(&client.last().message);
        (client, gateway)
    }),
    ("user", || {
        let (client, gateway, _) =
            authenticated(with_xauth(crate::ike::profile::Phase1Mode::Main), Gateway::with_xauth());
        (client, gateway)
    }),
    ("configuration", || {
        let (client, mut gateway, sent) = authenticated(profile(), Gateway::new());
        gateway.open_attributes(&sent[0].message);
        (client, gateway)
    }),
];

/// What a session makes of a message: it may only be counted.
fn ignores(client: &mut Client, path: Path, message: &[u8], what: &str) {
    let (status, events) = (client.session.status(), client.events.len());
    assert_eq!(client.receive(path, message), [], "{what}");
    assert!(client.events[events..].iter().all(|event| matches!(event, Event::Dropped(_))), "{what}");
    assert_eq!(client.events.len(), events + 1, "{what}");
    assert_eq!(client.session.status(), status, "{what}");
}

#[test]
fn k1_003_messages_of_another_state_or_exchange_move_nothing() {
    for (name, state) in STATES {
        let (mut client, gateway) = state();
        let path = client.last().path;
        let first = Client::new(profile()).last().message;
        let mut messages = vec![first.clone()];
        // Every message of phase 1 as another gateway would send it, under these cookies.
        let mut other = Gateway { vendor_ids: vec![RFC_3947.to_vec(), vec![9]], ..Gateway::seeded(9) };
        messages.push(other.choose(&first));
        let (client_2, mut other) = until_keys(profile(), Gateway::seeded(9));
        messages.push(other.exchange_keys(&client_2.last().message));
        let (client_3, mut other) = until_proof(profile(), Gateway::seeded(9));
        messages.push(other.prove(&client_3.last().message));
        messages.push(Gateway::seeded(9).answer(&Client::new(aggressive()).last().message));
        let numbers: Vec<u8> = vec![0, 1, 2, 3, 4, 5, 6, 7, 31, 32, 33, 34, 35, 36, 37, 240, 255];
        for message in &messages {
            for number in &numbers {
                for encrypted in [false, true] {
                    let odd = with_header(message, |header| {
                        header.exchange = ExchangeType(*number);
                        header.cookies = crate::ike::v1::header::Cookies {
                            initiator: client_cookie(&client),
                            responder: Some(gateway.cookie),
                        };
                        header.flags = Flags { encrypted, ..Flags::default() };
                    });
                    let is_awaited = matches!((name, number, encrypted), ("proposal", 2, false) | ("keys", 2, false))
                        || (number == &5 && !encrypted);
                    if !is_awaited {
                        ignores(&mut client, path, &odd, &format!("{name}: exchange {number}, encrypted {encrypted}"));
                    }
                }
            }
        }
    }
}

fn client_cookie(client: &Client) -> crate::sa::spi::IkeSpi {
    header(&client.sent[0].message).cookies.initiator
}

#[test]
fn k1_003_other_cookies_addresses_and_versions_are_somebody_elses() {
    for (name, state) in STATES {
        let (mut client, gateway) = state();
        let path = client.last().path;
        let mut genuine = client.sent[0].message.clone();
        genuine = with_header(&genuine, |header| header.cookies.responder = Some(gateway.cookie));
        let stranger = Path { remote: "203.0.113.9:4500".parse().unwrap(), ..path };
        client.drops_it(stranger, &genuine, DropReason::WrongAddress);
        let other = with_header(&genuine, |header| header.cookies.initiator = Gateway::seeded(5).cookie);
        client.drops_it(path, &other, DropReason::NotOurs);
        for major in (0..16).filter(|major| *major != 1) {
            let mut other = genuine.clone();
            other[17] = major << 4;
            client.drops_it(path, &other, DropReason::MajorVersion);
        }
        if !["proposal", "answer"].contains(&name) {
            for responder in [None, Some(Gateway::seeded(5).cookie)] {
                let other = with_header(&genuine, |header| header.cookies.responder = responder);
                client.drops_it(path, &other, DropReason::NotOurs);
            }
        }
    }
}

#[test]
fn k1_003_noise_in_every_state_is_dropped_and_the_right_message_still_taken() {
    let mut random = SeededRandom::new(1);
    for (name, state) in STATES {
        let (mut client, mut gateway) = state();
        let path = client.last().path;
        let (cookie, deadline) = (client_cookie(&client), client.session.poll_timeout());
        for round in 0..400_usize {
            let mut noise = vec![0; 28 + round % 300];
            random.fill(&mut noise);
            let header = Header {
                cookies: crate::ike::v1::header::Cookies { initiator: cookie, responder: Some(gateway.cookie) },
                next_payload: PayloadType(noise[0] % 16),
                major: 1,
                exchange: ExchangeType([2, 4, 5, 6, 32][round % 5]),
                flags: Flags { encrypted: noise[1].is_multiple_of(2), ..Flags::default() },
                message_id: u32::from(noise[2] % 2) * 7,
            };
            let message = [header.write(noise.len()).unwrap(), noise].concat();
            assert_eq!(client.receive(path, &message), [], "{name}");
        }
        assert_eq!(client.failure(), None);
        if name != "proof" {
            // What cannot be read after our proof may be a gateway with another key.
            assert_eq!(client.session.poll_timeout(), deadline, "{name}");
        }
        let right = match name {
            "proposal" => gateway.choose(&client.sent[0].message),
            "keys" => gateway.exchange_keys(&client.last().message),
            "proof" => gateway.prove(&client.last().message),
            "answer" => gateway.answer(&client.sent[0].message),
            "user" => gateway.attributes(9, 1, 1, &[(16521, b""), (16522, b"")]),
            _ => gateway.attributes(9, 3, 1, &[(1, &[10, 200, 0, 7])]),
        };
        assert!(!client.receive(path, &right).is_empty(), "{name}");
    }
}

fn groups_and_values() -> Vec<(Group, Vec<Vec<u8>>)> {
    let prime_2048 = {
        // RFC 3526 §3: 2^2048 - 2^1984 - 1 + 2^64 * ([2^1918 pi] + 124476); its first and last 64 bits are ones.
        let mut octets = vec![0xff; 256];
        octets[8..248].fill(0xff);
        octets
    };
    let mut less = prime_2048.clone();
    less[255] -= 1;
    let (mut one, mut two_less) = (vec![0; 256], vec![0xff; 256]);
    one[255] = 1;
    two_less[255] = 0xfe;
    let modp = vec![vec![0; 256], vec![0xff; 256], one, prime_2048, less, two_less, vec![], vec![2; 255], vec![2; 257]];
    let ecp = vec![vec![0; 64], vec![0xff; 64], vec![1; 64], vec![], vec![4; 65], vec![4; 63], vec![4; 4096]];
    vec![(Group::Modp2048, modp), (Group::Ecp256, ecp)]
}

#[test]
fn v_04_v_24_public_values_that_are_none_are_dropped_and_cost_nothing() {
    for (group, values) in groups_and_values() {
        let profile = Profile { ike_offers: vec![IkeOffer { groups: vec![group], ..offer() }], ..profile() };
        let gateway = Gateway { suite: IkeSuite { group, ..suite() }, ..Gateway::new() };
        let (mut client, mut gateway) = until_keys(profile, gateway);
        let third = client.last().message;
        let echoed = MainModeKeys::parse(header(&third).next_payload, rest(&third)).unwrap().key_exchange;
        for value in values.into_iter().chain([echoed]) {
            let junk = gateway.exchange_keys_with(&third, |keys| keys.key_exchange = value.clone());
            ignores(
                &mut client,
                path_500(),
                &junk,
                &format!("{group:?}, {} octets of {:?}", value.len(), value.first()),
            );
        }
        let answer = gateway.exchange_keys(&third);
        assert_eq!(client.receive(path_500(), &answer).len(), 1, "the right one is taken");
    }
}

#[test]
fn k1_006_nonces_have_8_to_256_octets_and_are_not_ours() {
    for (octets, good) in [(7, false), (8, true), (32, true), (256, true), (257, false), (0, false)] {
        let (mut client, mut gateway) = until_keys(profile(), Gateway::new());
        let third = client.last().message;
        gateway.nonce = vec![9; 16];
        // What must not be written is put together by hand: the nonce payload follows KE.
        let message = gateway.exchange_keys(&third);
        let at = 28 + 4 + 64;
        let length = u16::try_from(octets + 4).unwrap().to_be_bytes();
        let body = [&message[28..at + 2], &length, &vec![9; octets], &message[at + 4 + 16..]].concat();
        let message = [header(&message).write(body.len()).unwrap(), body].concat();
        assert_eq!(client.receive(path_500(), &message).len(), usize::from(good), "{octets}");
    }
    let (mut client, mut gateway) = until_keys(profile(), Gateway::new());
    let third = client.last().message;
    let ours = MainModeKeys::parse(header(&third).next_payload, rest(&third)).unwrap().nonce;
    let message = gateway.exchange_keys_with(&third, |keys| keys.nonce = ours);
    client.drops_it(path_500(), &message, DropReason::Unacceptable);
}

#[test]
fn k1_004_an_answer_that_is_not_one_of_what_was_offered_is_dropped_and_a_right_one_taken() {
    let mut client = Client::new(profile());
    let first = client.last().message;
    let mut gateway = Gateway::new();
    let genuine = gateway.choice();
    for at in 0..genuine.len() {
        let message = gateway.choose_with(&first, |answer| answer.sa[at] ^= 1);
        // The number of the transform and reserved octets say nothing; everything else does.
        let mut probe = Client::new(profile());
        let is_taken = !probe.receive(path_500(), &message).is_empty();
        assert!(!is_taken || probe.state() == "main mode: key sent");
        if !is_taken {
            ignores(&mut client, path_500(), &message, &format!("octet {at}"));
        }
    }
    for group in [0, 1, 2, 5, 14, 18].into_iter().chain(1024..=1100).chain([0x8000, 0xffff]) {
        let wanted = [0x80, 4, 0, 19];
        let at = genuine.windows(4).position(|window| window == wanted).unwrap();
        let message =
            gateway.choose_with(&first, |answer| answer.sa[at + 2..at + 4].copy_from_slice(&u16::to_be_bytes(group)));
        client.drops_it(path_500(), &message, DropReason::Unacceptable);
    }
    let answer = gateway.choose(&first);
    assert_eq!(client.receive(path_500(), &answer).len(), 1);
}

#[test]
fn v_20_no_group_of_our_own_numbering_is_known_on_the_wire() {
    let mut client = Client::new(aggressive());
    let first = client.last().message;
    let mut gateway = Gateway::new();
    let genuine = gateway.choice();
    let at = genuine.windows(4).position(|window| window == [0x80, 4, 0, 19]).unwrap();
    for group in (0..=2048_u16).chain(0x7ff0..=0x8010).chain([0xffff]).filter(|group| *group != 19) {
        let message =
            gateway.answer_with(&first, |answer| answer.sa[at + 2..at + 4].copy_from_slice(&u16::to_be_bytes(group)));
        ignores(&mut client, path_500(), &message, &format!("group {group}"));
    }
}

#[test]
fn v_36_our_own_values_turned_around_are_no_answer() {
    let mut client = Client::new(profile());
    let first = client.last().message;
    let cookie = client_cookie(&client);
    // The very message, and the message as an answer under our own cookie.
    client.drops_it(path_500(), &first, DropReason::Unacceptable);
    let reflected = with_header(&first, |header| header.cookies.responder = Some(cookie));
    client.drops_it(path_500(), &reflected, DropReason::Unacceptable);
    let (mut client, mut gateway) = until_keys(profile(), Gateway::new());
    let third = client.last().message;
    client.drops_it(path_500(), &third, DropReason::Unacceptable);
    let ours = MainModeKeys::parse(header(&third).next_payload, rest(&third)).unwrap().key_exchange;
    let message = gateway.exchange_keys_with(&third, |keys| keys.key_exchange = ours);
    client.drops_it(path_500(), &message, DropReason::Unacceptable);
    let (mut client, _) = until_proof(profile(), Gateway::new());
    let fifth = client.last().message;
    client.receive(path_4500(), &fifth);
    assert_eq!(client.drops(), [DropReason::Forged]);
    assert!(!client.is_authenticated());
}

#[test]
fn v_27_no_capability_and_no_notify_stands_for_the_proof() {
    let known: Vec<Vec<u8>> = crate::ike::v1::vendor::ours(&profile(), true);
    let mut random = SeededRandom::new(4);
    for round in 0..40 {
        let mut vendor_ids = vec![RFC_3947.to_vec()];
        let mut octets = vec![0; 16];
        random.fill(&mut octets);
        vendor_ids.extend(known.iter().filter(|_| round % 2 == 0).cloned());
        vendor_ids.push(octets.clone());
        let (mut client, mut gateway) =
            until_proof(profile(), Gateway { vendor_ids: vendor_ids.clone(), ..Gateway::new() });
        gateway.read_proof(&client.last().message).unwrap();
        let kind = u16::from_be_bytes([octets[0], octets[1]]);
        let notifies =
            [24576, 24577, 24578, 16384, kind].map(|kind| Notify { protocol: 1, spi: vec![], kind, data: vec![1] });
        let hash = [vec![], vec![0; 32], octets.repeat(2)][round % 3].clone();
        let message = gateway.prove_with(|auth| {
            auth.hash = hash;
            auth.notifies = notifies.to_vec();
            auth.vendor_ids = vendor_ids;
        });
        client.receive(path_4500(), &message);
        assert!(!client.is_authenticated() && client.sent.len() == 3, "round {round}");
    }
}

#[test]
fn v_07_nothing_of_later_exchanges_is_believed_before_the_proof() {
    // Somebody without the key cannot make these; somebody with it must still prove it first.
    for (name, state) in STATES.into_iter().take(4).filter(|(name, _)| *name != "proposal") {
        let (mut client, mut gateway) = state();
        if gateway.keys.is_none() {
            let third = client.last().message;
            gateway.exchange_keys(&third);
        }
        let path = client.last().path;
        let sent = client.sent.len();
        let messages = [
            gateway.attributes(5, 3, 1, &[(16527, &[0, 1])]),
            gateway.attributes(6, 3, 1, &[(1, &[10, 200, 0, 7])]),
            gateway.attributes(7, 1, 1, &[(16521, b""), (16522, b"")]),
            gateway.attributes(8, 2, 1, &[(1, &[10, 200, 0, 7])]),
        ];
        for message in messages {
            for exchange in [ExchangeType::TRANSACTION, ExchangeType::QUICK_MODE, ExchangeType(7)] {
                let message = with_header(&message, |header| header.exchange = exchange);
                client.drops_it(path, &message, DropReason::NotOurs);
            }
        }
        assert_eq!((client.sent.len(), client.is_authenticated()), (sent, false), "{name}");
    }
}

#[test]
fn v_23_identities_of_every_kind_and_length_are_read_or_dropped() {
    for kind in [0, 1, 2, 3, 4, 5, 9, 11, 12, 255] {
        for octets in [0, 1, 3, 4, 5, 16, 17, 255, 256, 512, 60_000] {
            let (mut client, mut gateway) = until_proof(profile(), Gateway::new());
            gateway.read_proof(&client.last().message).unwrap();
            gateway.identification = Identification { kind, protocol: 0, port: 0, data: vec![b'x'; octets] };
            let message = gateway.prove_with(|_| ());
            client.receive(path_4500(), &message);
            assert!(!client.is_authenticated());
        }
    }
}

/// A message of one fragment.
fn whole_fragment(of: &[u8]) -> Vec<u8> {
    let length = u16::try_from(of.len() + 8).unwrap().to_be_bytes();
    let payload = [&[0, 0][..], &length, &[0, 1, 1, 1], of].concat();
    let header = Header { next_payload: PayloadType::FRAGMENT, flags: Flags::default(), ..header(of) };
    [header.write(payload.len()).unwrap(), payload].concat()
}

#[test]
fn k1_026_fragments_of_strangers_from_elsewhere_or_unasked_for_are_not_kept() {
    let (mut client, mut gateway) = until_keys(Profile { fragmentation: Some(1280), ..profile() }, Gateway::new());
    let answer = gateway.exchange_keys(&client.last().message);
    let fragment = whole_fragment(&answer);
    let stranger = with_header(&fragment, |header| header.cookies.initiator = IkeSpi::new([9; 8]).unwrap());
    client.drops_it(path_500(), &stranger, DropReason::NotOurs);
    let elsewhere = Path { remote: "203.0.113.9:500".parse().unwrap(), ..path_500() };
    client.drops_it(elsewhere, &fragment, DropReason::WrongAddress);
    assert_eq!(client.receive(path_500(), &fragment).len(), 1, "the fifth message");
    let unasked = Profile { fragmentation: None, ..profile() };
    let (mut client, mut gateway) = until_keys(unasked, Gateway::new());
    let answer = gateway.exchange_keys(&client.last().message);
    client.drops_it(path_500(), &whole_fragment(&answer), DropReason::NotOurs);
}

#[test]
fn nothing_is_said_of_what_comes_after_the_end() {
    let (mut client, mut gateway) = until_keys(profile(), Gateway::new());
    let answer = gateway.exchange_keys(&client.last().message);
    client.command(Command::Close);
    let told = client.events.len();
    for message in [answer.clone(), whole_fragment(&answer), vec![0; 4]] {
        client.receive(path_500(), &message);
    }
    assert_eq!(client.events.len(), told);
}
