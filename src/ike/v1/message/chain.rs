//! The chain of payloads (RFC 2408 §3.2). It knows payloads by number and length only.

use crate::ike::v1::header::PayloadType;
use crate::ike::wire::{
    chain::{Contents, MOST_PAYLOADS, write_payloads},
    error::{DecodeError, EncodeError},
    header::LONGEST_MESSAGE,
    reader::Reader,
    registry,
};

/// One payload, not understood yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw<'a> {
    /// As the payload before it said; the numbers of the drafts are those of RFC 3947 here.
    pub(super) kind: PayloadType,
    /// What follows the generic header.
    pub(super) body: &'a [u8],
    /// Where the body starts.
    pub(super) at: usize,
}

/// The payloads, and where the last one ends.
pub(super) struct Chain<'a> {
    pub(super) payloads: Vec<Raw<'a>>,
    pub(super) end: usize,
}

/// Splits payloads, `first` being the kind of the first one.
///
/// What follows the last one is padding: of the cipher (RFC 2409 appendix B), and in clear, too, where some align messages to four octets.
/// The reserved octet of the generic header is ignored.
pub(super) fn split(first: PayloadType, octets: &[u8]) -> Result<Chain<'_>, DecodeError> {
    if octets.len() > LONGEST_MESSAGE {
        return Err(DecodeError::TooLong { octets: octets.len() });
    }
    let mut payloads = Vec::new();
    let mut reader = Reader::new(octets, 0);
    let mut kind = first;
    while kind != PayloadType::NONE {
        if payloads.len() >= MOST_PAYLOADS {
            return Err(DecodeError::TooManyPayloads);
        }
        let structure = reader.structure()?;
        let at = structure.content.position();
        payloads.push(Raw { kind: of_the_rfc(kind), body: structure.content.remainder(), at });
        kind = PayloadType(structure.first);
    }
    Ok(Chain { payloads, end: reader.position() })
}

/// A payload ready to be sent.
pub(super) type Part = (PayloadType, Vec<u8>);

/// Chains payloads in the order given.
pub(super) fn join(parts: &[Part]) -> Result<Contents, EncodeError> {
    if parts.len() > MOST_PAYLOADS {
        return Err(EncodeError::TooMany);
    }
    write_payloads(
        parts,
        |part| registry::PayloadType(part.0.0),
        |part, writer| {
            writer.octets(&part.1);
            Ok(())
        },
    )
}

const fn of_the_rfc(kind: PayloadType) -> PayloadType {
    match kind {
        PayloadType::DRAFT_NAT_DETECTION => PayloadType::NAT_DETECTION,
        PayloadType::DRAFT_NAT_ORIGINAL_ADDRESS => PayloadType::NAT_ORIGINAL_ADDRESS,
        kind => kind,
    }
}
