//! The chain of payloads (RFC 7296 §3.2), and where the Encrypted payload or fragment stands in it (§3.14, RFC 7383 §2.5).
//! It knows payloads by number and length only.

use crate::ike::wire::{
    error::{DecodeError, EncodeError},
    header::{HEADER_LEN, Header, LONGEST_MESSAGE},
    reader::Reader,
    registry::PayloadType,
    writer::Writer,
};

/// More payloads than this in one message are not looked at.
pub const MOST_PAYLOADS: usize = 64;

const CRITICAL: u8 = 0x80;

/// A payload's generic header and the octets it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawPayload<'a> {
    /// Its kind, as the payload before it said.
    pub kind: PayloadType,
    /// Whether a receiver that does not know the kind must reject the message.
    pub critical: bool,
    /// What follows the generic header.
    pub body: &'a [u8],
    /// Where the body starts: in the datagram, or in the decrypted payloads.
    pub offset: usize,
}

/// What an Encrypted payload or an Encrypted fragment holds, still sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protected<'a> {
    /// The first payload inside; of a fragment, 0 in all but the first.
    pub first_inner: PayloadType,
    /// Which fragment it is; `None` for an Encrypted payload.
    pub fragment: Option<FragmentNumber>,
    /// Where the IV starts in the datagram: all octets before are authenticated in clear (RFC 5282 §5.1, RFC 7383 §2.5).
    pub sealed_at: usize,
    /// IV, encrypted payloads and integrity check value, to the end of the datagram.
    pub sealed: &'a [u8],
}

/// A fragment's place: 1 to `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentNumber {
    /// This one, from 1.
    pub number: u16,
    /// All of them.
    pub total: u16,
}

/// The payloads of a datagram: those in clear, then at most one that is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outer<'a> {
    /// In clear, in order.
    pub clear: Vec<RawPayload<'a>>,
    /// The last payload, if it is an Encrypted one.
    pub protected: Option<Protected<'a>>,
}

/// The payloads of a datagram that `Header::parse` split into `header` and `rest`.
pub fn parse_outer<'a>(header: &Header, rest: &'a [u8]) -> Result<Outer<'a>, DecodeError> {
    let mut clear = Vec::new();
    let mut reader = Reader::new(rest, HEADER_LEN);
    let mut kind = header.next_payload;
    while kind != PayloadType::NONE {
        let (payload, next) = take_payload(&mut reader, kind)?;
        if is_encrypted(kind) {
            // RFC 7296 §3.14: the Encrypted payload is the last; its next-payload field names the first one inside.
            let at = reader.position();
            reader.finish().map_err(|_| DecodeError::Encrypted { at })?;
            return Ok(Outer { clear, protected: Some(protected(&payload, next)?) });
        }
        push_bounded(&mut clear, payload)?;
        kind = next;
    }
    reader.finish()?;
    Ok(Outer { clear, protected: None })
}

/// The payloads that were inside an Encrypted payload, `first` being the kind of the first.
pub fn parse_inner(first: PayloadType, octets: &[u8]) -> Result<Vec<RawPayload<'_>>, DecodeError> {
    if octets.len() > LONGEST_MESSAGE {
        return Err(DecodeError::TooLong { octets: octets.len() });
    }
    let mut payloads = Vec::new();
    let mut reader = Reader::new(octets, 0);
    let mut kind = first;
    while kind != PayloadType::NONE {
        if is_encrypted(kind) {
            return Err(DecodeError::Encrypted { at: reader.position() });
        }
        let (payload, next) = take_payload(&mut reader, kind)?;
        push_bounded(&mut payloads, payload)?;
        kind = next;
    }
    reader.finish()?;
    Ok(payloads)
}

/// Payloads ready to be sent, in clear or to be sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The kind of the first; `NONE` when there is none.
    pub first: PayloadType,
    /// The payloads, each with its generic header.
    pub octets: Vec<u8>,
}

/// Chains payloads: each is a kind and a function that writes its body.
pub fn write_payloads<'p, P, I>(
    payloads: I,
    kind: impl Fn(&P) -> PayloadType,
    write: impl Fn(&P, &mut Writer) -> Result<(), EncodeError>,
) -> Result<Contents, EncodeError>
where
    P: 'p,
    I: IntoIterator<Item = &'p P>,
{
    let mut writer = Writer::new();
    let mut payloads = payloads.into_iter().peekable();
    let first = payloads.peek().map_or(PayloadType::NONE, |payload| kind(payload));
    while let Some(payload) = payloads.next() {
        let next = payloads.peek().map_or(PayloadType::NONE, |payload| kind(payload));
        // RFC 7296 §3.2: the critical bit is zero for payloads that the RFC defines.
        writer.structure(next.0, 0, |body| write(payload, body))?;
    }
    let octets = writer.finish();
    if octets.len() > LONGEST_MESSAGE { Err(EncodeError::TooLong) } else { Ok(Contents { first, octets }) }
}

/// The start of a protected message: header and generic header (and fragment number) for `sealed_len` octets of IV, ciphertext and ICV, which the
/// caller appends. These octets are what is authenticated in clear.
pub fn protected_prefix(
    header: &Header,
    first_inner: PayloadType,
    fragment: Option<FragmentNumber>,
    sealed_len: usize,
) -> Result<Vec<u8>, EncodeError> {
    let (kind, fixed) = match fragment {
        None => (PayloadType::ENCRYPTED, 4_usize),
        Some(_) => (PayloadType::ENCRYPTED_FRAGMENT, 8),
    };
    let length = fixed.saturating_add(sealed_len);
    let declared = u16::try_from(length).map_err(|_| EncodeError::TooLong)?;
    let header = Header { next_payload: kind, ..*header };
    let mut prefix = header.write(length)?;
    prefix.extend_from_slice(&[first_inner.0, 0]);
    prefix.extend_from_slice(&declared.to_be_bytes());
    if let Some(FragmentNumber { number, total }) = fragment {
        prefix.extend_from_slice(&number.to_be_bytes());
        prefix.extend_from_slice(&total.to_be_bytes());
    }
    Ok(prefix)
}

fn is_encrypted(kind: PayloadType) -> bool {
    kind == PayloadType::ENCRYPTED || kind == PayloadType::ENCRYPTED_FRAGMENT
}

fn take_payload<'a>(reader: &mut Reader<'a>, kind: PayloadType) -> Result<(RawPayload<'a>, PayloadType), DecodeError> {
    let structure = reader.structure()?;
    let offset = structure.content.position();
    let critical = structure.second & CRITICAL != 0;
    let body = structure.content.remainder();
    Ok((RawPayload { kind, critical, body, offset }, PayloadType(structure.first)))
}

fn push_bounded<'a>(payloads: &mut Vec<RawPayload<'a>>, payload: RawPayload<'a>) -> Result<(), DecodeError> {
    if payloads.len() >= MOST_PAYLOADS {
        return Err(DecodeError::TooManyPayloads);
    }
    payloads.push(payload);
    Ok(())
}

fn protected<'a>(payload: &RawPayload<'a>, first_inner: PayloadType) -> Result<Protected<'a>, DecodeError> {
    let mut reader = Reader::new(payload.body, payload.offset);
    let fragment = if payload.kind == PayloadType::ENCRYPTED_FRAGMENT {
        let number = reader.u16()?;
        let total = reader.u16()?;
        // RFC 7383 §2.5: numbers start at 1 and do not exceed the total.
        if number == 0 || number > total {
            return Err(DecodeError::Value { field: "fragment number", at: payload.offset });
        }
        Some(FragmentNumber { number, total })
    } else {
        None
    };
    Ok(Protected { first_inner, fragment, sealed_at: reader.position(), sealed: reader.remainder() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ike::wire::{header::Flags, registry::ExchangeType};
    use crate::sa::spi::IkeSpi;

    fn header(next_payload: PayloadType) -> Header {
        Header {
            initiator_spi: IkeSpi::new([7; 8]).unwrap(),
            responder_spi: IkeSpi::new([8; 8]),
            next_payload,
            major: 2,
            minor: 0,
            exchange: ExchangeType::INFORMATIONAL,
            flags: Flags { initiator: false, response: false },
            message_id: 3,
        }
    }

    fn chained(payloads: &[(PayloadType, &[u8])]) -> Contents {
        write_payloads(
            payloads,
            |payload| payload.0,
            |payload, writer| {
                writer.octets(payload.1);
                Ok(())
            },
        )
        .unwrap()
    }

    fn outer(contents: &Contents) -> Result<Outer<'_>, DecodeError> {
        parse_outer(&header(contents.first), &contents.octets)
    }

    #[test]
    fn payloads_are_read_as_they_were_written_with_the_place_of_each() {
        let contents = chained(&[(PayloadType::NOTIFY, &[1, 2]), (PayloadType::NONCE, &[]), (PayloadType(200), &[3])]);
        let inner = parse_inner(contents.first, &contents.octets).unwrap();
        let seen: Vec<_> = inner.iter().map(|p| (p.kind, p.critical, p.body, p.offset)).collect();
        assert_eq!(
            seen,
            [
                (PayloadType::NOTIFY, false, &[1, 2][..], 4),
                (PayloadType::NONCE, false, &[][..], 10),
                (PayloadType(200), false, &[3][..], 14)
            ]
        );
        assert_eq!(outer(&contents).unwrap().clear.iter().map(|p| p.offset).collect::<Vec<_>>(), [32, 38, 42]);
    }

    #[test]
    fn an_empty_message_has_no_payloads() {
        assert_eq!(parse_inner(PayloadType::NONE, &[]), Ok(vec![]));
        assert_eq!(parse_inner(PayloadType::NONE, &[0]), Err(DecodeError::LeftOver { at: 0 }));
        assert_eq!(parse_outer(&header(PayloadType::NONE), &[]), Ok(Outer { clear: vec![], protected: None }));
        assert!(parse_outer(&header(PayloadType::NONE), &[0]).is_err());
    }

    #[test]
    fn k2_004_only_the_critical_bit_of_the_generic_header_is_looked_at() {
        for flags in 0..=255_u8 {
            let inner = [0, flags, 0, 4];
            let payloads = parse_inner(PayloadType::VENDOR_ID, &inner).unwrap();
            assert_eq!(payloads[0].critical, flags & 0x80 != 0);
        }
    }

    #[test]
    fn k2_006_a_payload_shorter_than_its_header_or_longer_than_the_message_is_refused() {
        for declared in 0..=600_u16 {
            let mut octets = vec![0; 12];
            octets[2..4].copy_from_slice(&declared.to_be_bytes());
            assert_eq!(parse_inner(PayloadType::NOTIFY, &octets).is_ok(), declared == 12, "{declared}");
        }
    }

    #[test]
    fn k2_006_a_chain_that_goes_on_past_the_end_is_refused() {
        let octets = [PayloadType::NOTIFY.0, 0, 0, 4];
        assert_eq!(parse_inner(PayloadType::NOTIFY, &octets), Err(DecodeError::Truncated { at: 4 }));
        let all_next: Vec<u8> = [PayloadType::NOTIFY.0, 0, 0, 4].repeat(10);
        assert_eq!(parse_inner(PayloadType::NOTIFY, &all_next), Err(DecodeError::Truncated { at: 40 }));
    }

    #[test]
    fn v_02_any_number_of_unknown_payloads_before_an_encrypted_one_is_bounded() {
        for count in 1..=1000_usize {
            for last in [PayloadType::ENCRYPTED, PayloadType::ENCRYPTED_FRAGMENT] {
                let mut payloads: Vec<(PayloadType, &[u8])> = vec![(PayloadType(200), &[]); count];
                payloads.push((last, &[0, 1, 0, 1, 9]));
                let contents = chained(&payloads);
                match outer(&contents) {
                    Ok(read) => assert!(read.clear.len() == count && count <= MOST_PAYLOADS),
                    Err(error) => assert!(error == DecodeError::TooManyPayloads && count > MOST_PAYLOADS),
                }
            }
        }
    }

    #[test]
    fn v_02_any_number_of_payloads_inside_is_bounded() {
        for count in [1, MOST_PAYLOADS, MOST_PAYLOADS + 1, 1000] {
            let contents = chained(&vec![(PayloadType::NOTIFY, &[][..]); count]);
            assert_eq!(parse_inner(contents.first, &contents.octets).is_ok(), count <= MOST_PAYLOADS);
        }
    }

    #[test]
    fn k2_008_an_encrypted_payload_is_the_last_and_the_only_one() {
        for kind in [PayloadType::ENCRYPTED, PayloadType::ENCRYPTED_FRAGMENT] {
            let body: &[u8] = &[0, 1, 0, 1, 5, 5];
            let alone = chained(&[(kind, body)]);
            assert!(outer(&alone).unwrap().protected.is_some());
            let followed = chained(&[(kind, body), (PayloadType::NOTIFY, &[])]);
            assert_eq!(outer(&followed), Err(DecodeError::Encrypted { at: 38 }));
            let twice = chained(&[(kind, body), (PayloadType::ENCRYPTED, body)]);
            assert_eq!(outer(&twice), Err(DecodeError::Encrypted { at: 38 }));
            let nested = chained(&[(PayloadType::NOTIFY, &[]), (kind, body)]);
            assert_eq!(parse_inner(nested.first, &nested.octets), Err(DecodeError::Encrypted { at: 4 }));
        }
    }

    #[test]
    fn k2_068_all_before_the_iv_is_what_is_authenticated_in_clear() {
        for fragment in [None, Some(FragmentNumber { number: 2, total: 3 })] {
            let sealed = [0xee; 40];
            let prefix = protected_prefix(&header(PayloadType::NONE), PayloadType::DELETE, fragment, 40).unwrap();
            let datagram = [prefix.as_slice(), &sealed].concat();
            let (header, rest) = Header::parse(&datagram).unwrap();
            let read = parse_outer(&header, rest).unwrap();
            let expected =
                Protected { first_inner: PayloadType::DELETE, fragment, sealed_at: prefix.len(), sealed: &sealed };
            assert_eq!(read, Outer { clear: vec![], protected: Some(expected) });
            assert_eq!(prefix.len(), if fragment.is_some() { 36 } else { 32 });
        }
    }

    #[test]
    fn a_payload_in_clear_before_the_encrypted_one_moves_the_iv() {
        let contents = chained(&[(PayloadType::NOTIFY, &[0, 0, 64, 0]), (PayloadType::ENCRYPTED, &[1, 2])]);
        let read = outer(&contents).unwrap();
        let protected = read.protected.unwrap();
        assert_eq!((protected.sealed_at, protected.sealed), (28 + 8 + 4, &[1, 2][..]));
    }

    #[test]
    fn a_fragment_is_numbered_from_1_to_the_total() {
        let read = |number: u16, total: u16| {
            let body = [number.to_be_bytes(), total.to_be_bytes()].concat();
            let contents = chained(&[(PayloadType::ENCRYPTED_FRAGMENT, &body)]);
            outer(&contents).is_ok()
        };
        for (number, total, good) in
            [(0, 0, false), (0, 1, false), (1, 0, false), (1, 1, true), (2, 1, false), (65535, 65535, true)]
        {
            assert_eq!(read(number, total), good, "{number} of {total}");
        }
        for length in 0..4 {
            let contents = chained(&[(PayloadType::ENCRYPTED_FRAGMENT, &[0, 1, 0, 1][..length])]);
            assert!(outer(&contents).is_err());
        }
    }

    #[test]
    fn k2_022_a_protected_message_longer_than_its_fields_is_not_written() {
        let write = |sealed| protected_prefix(&header(PayloadType::NONE), PayloadType::NONE, None, sealed).is_ok();
        assert!(write(65_535 - 32));
        assert!(!write(65_535 - 31));
        assert!(!write(usize::MAX));
        let long = vec![0; LONGEST_MESSAGE + 1];
        assert_eq!(parse_inner(PayloadType::NOTIFY, &long), Err(DecodeError::TooLong { octets: LONGEST_MESSAGE + 1 }));
    }
}
