use proptest::prelude::*;

use super::*;
use crate::crypto::random::SeededRandom;
use crate::ike::v1::header::{Flags, PayloadType};
use crate::ike::v1::isakmp_sa::tests::{cookies as own, sa};
use crate::ike::wire::chain::Contents;
use crate::ike::wire::registry;

/// A message of the peer's with these payloads, each a kind and a body, sealed as it must be.
fn from_peer(message_id: u32, payloads: &[(PayloadType, Vec<u8>)]) -> Vec<u8> {
    let sa = sa();
    let mut iv = sa.first_iv(message_id);
    sa.seal_with_hash_1(ExchangeType::INFORMATIONAL, message_id, &mut iv, &chained(payloads)).unwrap()
}

fn chained(payloads: &[(PayloadType, Vec<u8>)]) -> Contents {
    let mut octets = Vec::new();
    for (place, (_, body)) in payloads.iter().enumerate() {
        let next = payloads.get(place + 1).map_or(0, |(kind, _)| kind.0);
        octets.extend_from_slice(&[next, 0]);
        octets.extend_from_slice(&u16::try_from(body.len() + 4).unwrap().to_be_bytes());
        octets.extend_from_slice(body);
    }
    Contents { first: registry::PayloadType(payloads[0].0.0), octets }
}

fn read_back(message: &[u8]) -> Result<Vec<News>, DropReason> {
    let (header, rest) = Header::parse(message).unwrap();
    read(&sa(), &header, rest)
}

fn notify_body(protocol: u8, spi: &[u8], kind: u16, data: &[u8]) -> (PayloadType, Vec<u8>) {
    let size = u8::try_from(spi.len()).unwrap();
    let body = [&[0, 0, 0, 1, protocol, size][..], &kind.to_be_bytes(), spi, data].concat();
    (PayloadType::NOTIFY, body)
}

fn delete_body(protocol: u8, size: u8, count: u16, spis: &[u8]) -> (PayloadType, Vec<u8>) {
    let body = [&[0, 0, 0, 1, protocol, size][..], &count.to_be_bytes(), spis].concat();
    (PayloadType::DELETE, body)
}

fn spi() -> Vec<u8> {
    spi_of(own())
}

fn theirs(value: u32) -> OutboundSpi {
    OutboundSpi::new(value).unwrap()
}

#[test]
fn k1_017_deletes_are_read_by_the_peers_spis_and_by_cookies() {
    let message = from_peer(9, &[delete_body(3, 4, 2, &[0, 1, 0, 0, 0, 2, 0, 0])]);
    assert_eq!(read_back(&message), Ok(vec![News::DeleteEsp(vec![theirs(0x1_0000), theirs(0x2_0000)])]));
    let message = from_peer(9, &[delete_body(1, 16, 1, &spi())]);
    assert_eq!(read_back(&message), Ok(vec![News::DeleteIsakmp(own())]));
}

#[test]
fn k1_017_spis_of_a_wrong_size_or_number_delete_nothing() {
    for (protocol, size, count, spis) in [
        (3, 8, 1, vec![1; 8]),
        (3, 0, 1, vec![]),
        (3, 4, 2, vec![1; 4]),
        (3, 4, 1, vec![1; 8]),
        (1, 8, 1, vec![1; 8]),
        (1, 16, 2, spi()),
        (1, 4, 4, spi()),
        (3, 4, 65_535, vec![1; 4]),
    ] {
        let message = from_peer(9, &[delete_body(protocol, size, count, &spis)]);
        assert_eq!(read_back(&message), Err(DropReason::Malformed), "{protocol} {size} {count}");
    }
    let reserved = from_peer(9, &[delete_body(3, 4, 2, &[0, 0, 0, 7, 0, 2, 0, 0])]);
    assert_eq!(read_back(&reserved), Ok(vec![News::DeleteEsp(vec![theirs(0x2_0000)])]), "0 to 255 are nobody's");
    let zero = from_peer(9, &[delete_body(1, 16, 1, &[0; 16])]);
    assert_eq!(read_back(&zero), Ok(vec![]));
    for other in [0, 2, 4, 255] {
        let message = from_peer(9, &[delete_body(other, 4, 1, &[1; 4])]);
        assert_eq!(read_back(&message), Ok(vec![]), "protocol {other}");
    }
}

#[test]
fn v_13_deletes_and_notifies_stand_in_one_message_in_any_order_and_again() {
    let (child, association) = (delete_body(3, 4, 1, &[0, 1, 0, 0]), delete_body(1, 16, 1, &spi()));
    let error = notify_body(3, &[0, 1, 0, 0], 11, &[]);
    let (deleted, gone) = (News::DeleteEsp(vec![theirs(0x1_0000)]), News::DeleteIsakmp(own()));
    let invalid = News::InvalidSpi(Some(theirs(0x1_0000)));
    for (payloads, expected) in [
        (vec![child.clone(), child.clone()], vec![deleted.clone(), deleted.clone()]),
        (vec![child.clone(), error.clone()], vec![invalid.clone(), deleted.clone()]),
        (vec![error.clone(), child.clone(), child.clone()], vec![invalid.clone(), deleted.clone(), deleted.clone()]),
        (vec![child.clone(), association.clone()], vec![deleted.clone(), gone.clone()]),
        (vec![association.clone(), child.clone(), error], vec![invalid, deleted, gone.clone()]),
        (vec![association.clone(), association], vec![gone.clone(), gone]),
    ] {
        assert_eq!(read_back(&from_peer(9, &payloads)), Ok(expected));
    }
}

#[test]
fn k1_016_a_question_and_its_answer_have_this_sas_cookies_and_a_number_of_four_octets() {
    let number = [0x12, 0x34, 0x56, 0x78];
    for (kind, expected) in [(R_U_THERE, News::DpdRequest(0x1234_5678)), (R_U_THERE_ACK, News::DpdAck(0x1234_5678))] {
        let read =
            |protocol, spi: &[u8], data: &[u8]| read_back(&from_peer(9, &[notify_body(protocol, spi, kind, data)]));
        assert_eq!(read(1, &spi(), &number), Ok(vec![expected.clone()]));
        assert_eq!(read(1, &[], &number), Ok(vec![expected]));
        let other = Ok(vec![News::Other { kind }]);
        let swapped = [&spi()[8..], &spi()[..8]].concat();
        for spi in [swapped, vec![0; 16], vec![1; 16], spi()[..8].to_vec()] {
            assert_eq!(read(1, &spi, &number), other, "{spi:?}");
        }
        assert_eq!(read(3, &number, &number), other);
        for len in [0, 1, 3, 5, 8] {
            assert_eq!(read(1, &spi(), &vec![0; len]), other, "{len} octets");
        }
    }
}

#[test]
fn notifies_say_what_they_are_about() {
    let association = Subject::Isakmp(own());
    for (payload, expected) in [
        (
            notify_body(3, &[1, 2, 3, 4], RESPONDER_LIFETIME, &[0x80, 1, 0, 1]),
            News::ResponderLifetime { of: Subject::Esp([1, 2, 3, 4]), attributes: vec![0x80, 1, 0, 1] },
        ),
        (
            notify_body(1, &spi(), RESPONDER_LIFETIME, &[]),
            News::ResponderLifetime { of: association, attributes: vec![] },
        ),
        (notify_body(3, &[1, 2, 3, 4], CONNECTED, &[]), News::Connected(Subject::Esp([1, 2, 3, 4]))),
        (notify_body(1, &[], CONNECTED, &[]), News::Connected(Subject::Unsaid)),
        (notify_body(1, &spi(), INITIAL_CONTACT, &[]), News::InitialContact),
        (notify_body(3, &[], 14, &[]), News::Error { kind: 14, of: Subject::Unsaid }),
        (notify_body(1, &spi(), 18, &[]), News::Error { kind: 18, of: association }),
        (notify_body(0, &[], 0, &[]), News::Error { kind: 0, of: Subject::Unsaid }),
        (notify_body(3, &[], 24_577, &[]), News::Other { kind: 24_577 }),
        (notify_body(200, &[1; 7], u16::MAX, &[]), News::Other { kind: u16::MAX }),
    ] {
        assert_eq!(read_back(&from_peer(9, &[payload])), Ok(vec![expected]));
    }
}

#[test]
fn v_16_a_delete_or_question_in_clear_or_with_flipped_bits_says_nothing() {
    let payload = [delete_body(1, 16, 1, &spi()), notify_body(1, &spi(), R_U_THERE, &[0; 4])];
    let genuine = from_peer(9, &payload);
    assert_eq!(read_back(&genuine).unwrap().len(), 2);
    for bit in 28 * 8..genuine.len() * 8 {
        let mut message = genuine.clone();
        message[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(read_back(&message), Err(DropReason::Forged), "bit {bit}");
    }
    let (header, _) = Header::parse(&genuine).unwrap();
    let clear = Header { flags: Flags::default(), ..header }.message(&chained(&payload)).unwrap();
    assert_eq!(read_back(&clear), Err(DropReason::Unauthenticated));
}

#[test]
fn k1_010_a_hash_of_another_message_id_or_exchange_is_none() {
    let genuine = from_peer(9, &[delete_body(1, 16, 1, &spi())]);
    let (header, rest) = Header::parse(&genuine).unwrap();
    let read = |header| read(&sa(), &header, rest);
    assert!(read(header).is_ok());
    assert_eq!(read(Header { message_id: 10, ..header }), Err(DropReason::Forged));
    assert_eq!(read(Header { message_id: 0, ..header }), Err(DropReason::Malformed));
    assert_eq!(read(Header { exchange: ExchangeType::QUICK_MODE, ..header }), Err(DropReason::NotOurs));
    // HASH(1) computed for another message ID, under the right IV.
    let (sa, contents) = (sa(), chained(&[delete_body(1, 16, 1, &spi())]));
    let hash = sa.skeyid.hash_1(8, &contents.octets);
    let mut iv = sa.first_iv(9);
    let forged = sa.seal_with_hash(ExchangeType::INFORMATIONAL, 9, &mut iv, hash.expose(), &contents).unwrap();
    assert_eq!(read_back(&forged), Err(DropReason::Forged));
}

#[test]
fn what_we_say_is_read_as_it_was_meant_and_has_a_message_id_of_its_own() {
    let mut sender = sa();
    let mut random = SeededRandom::new(1);
    let mut ids = Vec::new();
    let ours = InboundSpi::new(0xc0ff_ee00).unwrap();
    for (message, expected) in [
        (delete_isakmp(own()), News::DeleteIsakmp(own())),
        (delete_esp(&[ours, ours]), News::DeleteEsp(vec![theirs(0xc0ff_ee00); 2])),
        (dpd_request(own(), 7), News::DpdRequest(7)),
        (dpd_ack(own(), 7), News::DpdAck(7)),
        (notify(own(), 18, vec![]), News::Error { kind: 18, of: Subject::Isakmp(own()) }),
    ] {
        let sealed = seal(&mut sender, &mut random, &message).unwrap();
        assert_eq!(read_back(&sealed), Ok(vec![expected]));
        ids.push(Header::parse(&sealed).unwrap().0.message_id);
    }
    assert!(ids.iter().enumerate().all(|(place, id)| *id != 0 && !ids[..place].contains(id)));
}

proptest! {
    /// Whatever an authentic message holds, reading it ends in news or a drop, and every SPI in the news is in the message.
    #[test]
    fn whatever_is_authentic_is_read_without_surprise(
        kinds in prop::collection::vec(prop::sample::select(vec![0_u8, 1, 8, 11, 12, 13, 14, 130, 132, 255]), 1..5),
        body in prop::collection::vec(any::<u8>(), 0..80),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(body.len() + 1);
        let payloads: Vec<_> = kinds.iter().enumerate().map(|(place, kind)| {
            let part = if place % 2 == 0 { &body[..cut] } else { &body[cut..] };
            (PayloadType(*kind), part.to_vec())
        }).collect();
        let message = from_peer(9, &payloads);
        for news in read_back(&message).unwrap_or_default() {
            if let News::DeleteEsp(spis) = news {
                prop_assert!(spis.iter().all(|spi| body.windows(4).any(|window| window == spi.to_octets())));
            }
        }
    }
}
