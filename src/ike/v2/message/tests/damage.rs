//! Damaged messages: every truncation, every octet with other values. Each is refused or read; what was read is stable.

use super::*;
use crate::ike::v2::message::{CreateChildRequest, payload::parse_all, write_contents};
use crate::ike::wire::{
    chain::{parse_inner, parse_outer},
    header::{Flags, Header},
    registry::ExchangeType,
};
use crate::sa::spi::IkeSpi;

fn samples() -> Vec<Contents> {
    vec![
        sa_init_request().contents().unwrap(),
        sa_init_accepted().contents().unwrap(),
        sa_init_notified().contents().unwrap(),
        auth_request().contents().unwrap(),
        auth_accepted().contents().unwrap(),
        auth_child_refused().contents().unwrap(),
        informational().contents().unwrap(),
        rekey_child(),
        rekey_ike(),
    ]
}

/// Hands octets to every parser there is; a message that can be read is read the same after being written again.
pub(super) fn read_as_everything(first: u8, octets: &[u8]) {
    let Ok(raw) = parse_inner(PayloadType(first), octets) else { return };
    if let Ok(payloads) = parse_all(&raw)
        && let Ok(contents) = write_contents(&payloads)
    {
        assert_eq!(parse_all(&inner(&contents)), Ok(payloads));
    }
    macro_rules! stable {
        ($message:ident, $view:ident) => {
            if let Ok(message) =
                $message::parse(&$view(&Contents { first: PayloadType(first), octets: octets.to_vec() }))
                && let Ok(contents) = message.contents()
            {
                let again = $message::parse(&$view(&contents));
                assert_eq!(again.and_then(|again| Ok(again.contents())), Ok(Ok(contents)));
            }
        };
    }
    stable!(SaInitRequest, inner);
    stable!(SaInitResponse, outer);
    stable!(AuthRequest, inner);
    stable!(AuthResponse, inner);
    stable!(Informational, inner);
    drop(CreateChildRequest::parse(&raw));
}

#[test]
fn every_truncation_of_every_message_is_refused() {
    for contents in samples() {
        assert!(parse_inner(contents.first, &contents.octets).is_ok());
        for end in 0..contents.octets.len() {
            assert!(parse_inner(contents.first, &contents.octets[..end]).is_err(), "{end}");
        }
    }
}

#[test]
fn every_truncated_payload_of_every_message_is_refused_or_read() {
    for contents in samples() {
        let whole = parts(&contents);
        for place in 0..whole.len() {
            for end in 0..whole[place].1.len() {
                let mut cut = whole.clone();
                cut[place].1.truncate(end);
                let cut = chained(&cut);
                read_as_everything(cut.first.0, &cut.octets);
            }
        }
    }
}

#[test]
fn every_octet_of_every_message_can_have_another_value() {
    for contents in samples() {
        for first in 0..=255 {
            read_as_everything(first, &contents.octets);
        }
        for place in 0..contents.octets.len() {
            let mut octets = contents.octets.clone();
            let sent = contents.octets[place];
            let flipped = (0..8).map(|bit| sent ^ (1 << bit));
            for value in flipped.chain([0, 1, 0x7f, 0xff, sent.wrapping_add(1), sent.wrapping_sub(1)]) {
                octets[place] = value;
                read_as_everything(contents.first.0, &octets);
            }
        }
    }
}

#[test]
fn v_01_every_datagram_cut_short_is_refused_and_every_flipped_one_read_or_refused() {
    let whole = sa_init_request().message(IkeSpi::new([1; 8]).unwrap()).unwrap();
    for end in 0..whole.len() {
        assert!(Header::parse(&whole[..end]).is_err());
    }
    for place in 0..whole.len() {
        for flip in 1..=255 {
            let mut datagram = whole.clone();
            datagram[place] ^= flip;
            if let Ok((header, rest)) = Header::parse(&datagram)
                && let Ok(outer) = parse_outer(&header, rest)
            {
                drop(SaInitResponse::parse(&outer));
                drop(SaInitRequest::parse(&outer.clear));
            }
        }
    }
}

#[test]
fn the_first_message_has_no_responder_spi_and_message_id_zero() {
    let request = sa_init_request();
    let datagram = request.message(IkeSpi::new([1; 8]).unwrap()).unwrap();
    let (header, rest) = Header::parse(&datagram).unwrap();
    let expected = Header {
        initiator_spi: IkeSpi::new([1; 8]).unwrap(),
        responder_spi: None,
        next_payload: PayloadType::NOTIFY,
        major: 2,
        minor: 0,
        exchange: ExchangeType::IKE_SA_INIT,
        flags: Flags { initiator: true, response: false },
        message_id: 0,
    };
    assert_eq!(header, expected);
    assert_eq!(SaInitRequest::parse(&parse_outer(&header, rest).unwrap().clear), Ok(request));
}
