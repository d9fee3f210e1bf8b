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
