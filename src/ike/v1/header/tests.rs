use proptest::prelude::*;

use super::*;

fn header() -> Header {
    Header {
        cookies: Cookies {
            initiator: IkeSpi::new([1, 2, 3, 4, 5, 6, 7, 8]).unwrap(),
            responder: IkeSpi::new([0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8]),
        },
        next_payload: PayloadType::HASH,
        major: 1,
        exchange: ExchangeType::QUICK_MODE,
        flags: Flags { encrypted: true, commit: false, authentication_only: false },
        message_id: 0xdead_beef,
    }
}

fn datagram(rest: usize) -> Vec<u8> {
    let mut datagram = header().write(rest).unwrap();
    datagram.resize(HEADER_LEN + rest, 0);
    datagram
}

#[test]
fn the_header_is_written_as_rfc_2408_draws_it() {
    let expected = [
        [1, 2, 3, 4, 5, 6, 7, 8],
        [0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8],
        [8, 0x10, 32, 0x01, 0xde, 0xad, 0xbe, 0xef],
    ]
    .concat();
    assert_eq!(header().write(4).unwrap(), [expected.as_slice(), &[0, 0, 0, 32]].concat());
}

#[test]
fn k1_005_a_length_other_than_the_datagrams_is_refused_both_ways() {
    let good = datagram(8);
    assert!(Header::parse(&good).is_ok());
    for declared in (0..=100_u32).chain([0x0100_0024, u32::MAX]).filter(|declared| *declared != 36) {
        let mut wrong = good.clone();
        wrong[24..28].copy_from_slice(&declared.to_be_bytes());
        assert_eq!(Header::parse(&wrong), Err(DecodeError::DatagramLength { declared, received: 36 }));
    }
}

#[test]
fn k1_005_reserved_flags_are_ignored_and_sent_zero() {
    for flags in 0..=255_u8 {
        let mut octets = datagram(0);
        octets[19] = flags;
        let (read, _) = Header::parse(&octets).unwrap();
        let expected = Flags { encrypted: flags & 1 != 0, commit: flags & 2 != 0, authentication_only: flags & 4 != 0 };
        assert_eq!(read.flags, expected);
        assert_eq!(read.write(0).unwrap()[19], flags & 7);
    }
}

#[test]
fn k1_006_the_initiators_cookie_stands_first_whoever_sends_and_is_never_zero() {
    let (read, _) = Header::parse(&datagram(0)).map(|(header, rest)| (header, rest.len())).unwrap();
    assert_eq!(read.cookies, header().cookies);
    let mut octets = datagram(0);
    octets[8..16].fill(0);
    assert_eq!(Header::parse(&octets).unwrap().0.cookies.responder, None);
    octets[..8].fill(0);
    assert_eq!(Header::parse(&octets), Err(DecodeError::Value { field: "initiator cookie", at: 0 }));
}

#[test]
fn v_01_every_prefix_of_a_phase_1_header_is_refused() {
    let whole = datagram(32);
    for end in 0..whole.len() {
        assert!(Header::parse(&whole[..end]).is_err(), "{end}");
    }
    assert!(Header::parse(&vec![1; LONGEST_MESSAGE + 1]).is_err());
}

#[test]
fn v_01_every_major_is_read_and_only_1_is_written() {
    for versions in 0..=255_u8 {
        let mut octets = datagram(0);
        octets[17] = versions;
        let (read, _) = Header::parse(&octets).unwrap();
        assert_eq!(read.major, versions >> 4);
        assert_eq!(read.write(0).unwrap()[17], 0x10);
    }
}

#[test]
fn a_message_longer_than_any_is_not_written() {
    assert!(header().write(LONGEST_MESSAGE - HEADER_LEN).is_ok());
    assert_eq!(header().write(LONGEST_MESSAGE - HEADER_LEN + 1), Err(EncodeError::TooLong));
    assert_eq!(header().write(usize::MAX), Err(EncodeError::TooLong));
}

proptest! {
    #[test]
    fn a_header_is_read_as_it_was_written(
        initiator in any::<[u8; 8]>(),
        responder in any::<[u8; 8]>(),
        (next, exchange, flags) in any::<(u8, u8, (bool, bool, bool))>(),
        message_id in any::<u32>(),
        rest in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        prop_assume!(initiator != [0; 8]);
        let header = Header {
            cookies: Cookies { initiator: IkeSpi::new(initiator).unwrap(), responder: IkeSpi::new(responder) },
            next_payload: PayloadType(next),
            major: 1,
            exchange: ExchangeType(exchange),
            flags: Flags { encrypted: flags.0, commit: flags.1, authentication_only: flags.2 },
            message_id,
        };
        let datagram = [header.write(rest.len()).unwrap(), rest.clone()].concat();
        prop_assert_eq!(Header::parse(&datagram), Ok((header, rest.as_slice())));
    }

    #[test]
    fn any_octets_are_a_header_or_refused(octets in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok((_, rest)) = Header::parse(&octets) {
            prop_assert_eq!(rest, &octets[HEADER_LEN..]);
        }
    }
}
