//! Damaged messages: every truncation, every octet with other values. Each is refused or read; what was read is stable.

use super::*;
use crate::ike::v1::header::{Cookies, ExchangeType, Flags, Header};
use crate::sa::spi::IkeSpi;

#[test]
fn v_01_every_truncation_of_every_ikev1_message_is_refused() {
    for case in cases() {
        let kind = first(&case.contents);
        assert_eq!((case.read)(kind, &case.contents.octets), Ok(case.contents.clone()), "{}", case.name);
        for end in 0..case.contents.octets.len() {
            assert!((case.read)(kind, &case.contents.octets[..end]).is_err(), "{} {end}", case.name);
        }
    }
}

#[test]
fn v_01_every_ikev1_datagram_cut_short_is_refused_and_every_flipped_one_read_or_refused() {
    let header = Header {
        cookies: Cookies { initiator: IkeSpi::new([1; 8]).unwrap(), responder: None },
        next_payload: PayloadType::NONE,
        major: 1,
        exchange: ExchangeType::MAIN_MODE,
        flags: Flags::default(),
        message_id: 0,
    };
    let whole = header.message(&main_mode_proposal().contents().unwrap()).unwrap();
    for end in 0..whole.len() {
        assert!(Header::parse(&whole[..end]).is_err());
    }
    for place in 0..whole.len() {
        for flip in 1..=255 {
            let mut datagram = whole.clone();
            datagram[place] ^= flip;
            if let Ok((header, rest)) = Header::parse(&datagram) {
                drop(MainModeProposal::parse(header.next_payload, rest));
            }
        }
    }
}

#[test]
fn every_truncated_payload_of_every_message_is_refused_or_read() {
    for case in cases() {
        let whole = parts(&case.contents);
        for place in 0..whole.len() {
            for end in 0..whole[place].1.len() {
                let mut cut = whole.clone();
                cut[place].1.truncate(end);
                let cut = join(&cut).unwrap();
                read_as_everything(first(&cut), &cut.octets);
            }
        }
    }
}

#[test]
fn every_octet_of_every_message_can_have_another_value() {
    for case in cases() {
        let contents = case.contents;
        for kind in 0..=255 {
            read_as_everything(PayloadType(kind), &contents.octets);
        }
        for place in 0..contents.octets.len() {
            let mut octets = contents.octets.clone();
            let sent = contents.octets[place];
            for value in [0, 1, 0x7f, 0x80, 0xff, sent ^ 1, sent ^ 0x10, sent.wrapping_add(1), sent.wrapping_sub(1)] {
                octets[place] = value;
                read_as_everything(first(&contents), &octets);
            }
        }
    }
}

#[test]
fn k1_005_padding_after_the_last_payload_means_nothing() {
    for case in cases() {
        for padding in [vec![0; 3], vec![0; 15], vec![0xff; 15], vec![13, 0, 0, 4, 0xee, 3]] {
            let padded = [case.contents.octets.clone(), padding].concat();
            assert_eq!((case.read)(first(&case.contents), &padded), Ok(case.contents.clone()), "{}", case.name);
        }
    }
}

#[test]
fn k1_005_the_reserved_octet_of_every_payload_is_ignored() {
    for case in cases() {
        let mut octets = case.contents.octets.clone();
        let mut at = 0;
        while at < octets.len() {
            octets[at + 1] = 0xff;
            at += usize::from(u16::from_be_bytes([octets[at + 2], octets[at + 3]]));
        }
        assert_eq!((case.read)(first(&case.contents), &octets), Ok(case.contents.clone()), "{}", case.name);
    }
}
