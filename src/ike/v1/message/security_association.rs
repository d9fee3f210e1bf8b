//! The SA payload (RFC 2408 §3.4 to §3.6, RFC 2407 §4.6.1): proposals, transforms and attributes as numbers. What a number means, and whether
//! a proposal is acceptable, is not known here.

use crate::ike::v1::message::payload::read_attribute;
use crate::ike::wire::{
    error::{DecodeError, EncodeError},
    reader::{Reader, Structure},
    writer::Writer,
};

/// RFC 2407 §4.2.
const DOI_IPSEC: u32 = 1;
const SIT_IDENTITY_ONLY: u32 = 1;

const LAST: u8 = 0;
const MORE_PROPOSALS: u8 = 2;
const MORE_TRANSFORMS: u8 = 3;
const SHORT: u16 = 0x8000;

/// A proposal as it was read (RFC 2408 §3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ike::v1) struct Proposal<'a> {
    /// Those with the same number belong together (RFC 2408 §4.2).
    pub(in crate::ike::v1) number: u8,
    pub(in crate::ike::v1) protocol: u8,
    pub(in crate::ike::v1) spi: &'a [u8],
    /// Alternatives in order of preference.
    pub(in crate::ike::v1) transforms: Vec<Transform<'a>>,
}

/// A transform as it was read (RFC 2408 §3.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ike::v1) struct Transform<'a> {
    pub(in crate::ike::v1) number: u8,
    pub(in crate::ike::v1) id: u8,
    /// Type and value in the order of the transform, each in either form.
    pub(in crate::ike::v1) attributes: Vec<(u16, &'a [u8])>,
    /// The attributes as they travelled.
    pub(in crate::ike::v1) octets: &'a [u8],
}

/// Refuses other domains and situations than those of RFC 2407 §4.6.1 that need no labels.
pub(super) fn check_domain(body: &[u8], at: usize) -> Result<(), DecodeError> {
    domain(&mut Reader::new(body, at))
}

fn domain(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let at = reader.position();
    if reader.u32()? != DOI_IPSEC {
        return Err(DecodeError::Value { field: "DOI", at });
    }
    let at = reader.position();
    if reader.u32()? != SIT_IDENTITY_ONLY {
        return Err(DecodeError::Value { field: "situation", at });
    }
    Ok(())
}

/// The proposals of an SA payload's body; at least one.
pub(in crate::ike::v1) fn read_proposals(body: &[u8]) -> Result<Vec<Proposal<'_>>, DecodeError> {
    let mut reader = Reader::new(body, 0);
    domain(&mut reader)?;
    let mut proposals = Vec::new();
    let mut more = true;
    while more {
        let structure = reader.structure()?;
        more = continues(&structure, MORE_PROPOSALS)?;
        proposals.push(Proposal::read(structure)?);
    }
    reader.finish()?;
    Ok(proposals)
}

impl<'a> Proposal<'a> {
    fn read(structure: Structure<'a>) -> Result<Self, DecodeError> {
        let Structure { content: mut reader, at, .. } = structure;
        let number = reader.u8()?;
        let protocol = reader.u8()?;
        let spi_size = reader.u8()?;
        let count = reader.u8()?;
        let spi = reader.take(usize::from(spi_size))?;
        let mut transforms = Vec::new();
        for remaining in (0..count).rev() {
            let structure = reader.structure()?;
            if continues(&structure, MORE_TRANSFORMS)? != (remaining > 0) {
                return Err(DecodeError::Value { field: "number of transforms", at });
            }
            transforms.push(Transform::read(structure)?);
        }
        reader.finish()?;
        Ok(Self { number, protocol, spi, transforms })
    }
}

impl<'a> Transform<'a> {
    fn read(structure: Structure<'a>) -> Result<Self, DecodeError> {
        let mut reader = structure.content;
        let number = reader.u8()?;
        let id = reader.u8()?;
        reader.u16()?;
        let octets = reader.clone().remainder();
        let mut attributes = Vec::new();
        while !reader.is_at_end() {
            attributes.push(read_attribute(&mut reader)?);
        }
        Ok(Self { number, id, attributes, octets })
    }
}

fn continues(structure: &Structure<'_>, more: u8) -> Result<bool, DecodeError> {
    match structure.first {
        LAST => Ok(false),
        octet if octet == more => Ok(true),
        _ => Err(DecodeError::Value { field: "next payload", at: structure.at }),
    }
}

/// A transform to be written: its number, its ID, and its attributes as octets.
pub(in crate::ike::v1) struct Written {
    pub(in crate::ike::v1) number: u8,
    pub(in crate::ike::v1) id: u8,
    pub(in crate::ike::v1) attributes: Vec<u8>,
}

/// The body of an SA payload with one proposal.
pub(in crate::ike::v1) fn write_proposal(
    number: u8,
    protocol: u8,
    spi: &[u8],
    transforms: &[Written],
) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::new();
    writer.u32(DOI_IPSEC);
    writer.u32(SIT_IDENTITY_ONLY);
    writer.structure(LAST, 0, |writer| {
        writer.u8(number);
        writer.u8(protocol);
        writer.count(spi.len())?;
        writer.count(transforms.len())?;
        writer.octets(spi);
        let mut transforms = transforms.iter().peekable();
        while let Some(transform) = transforms.next() {
            let more = if transforms.peek().is_some() { MORE_TRANSFORMS } else { LAST };
            writer.structure(more, 0, |writer| {
                writer.u8(transform.number);
                writer.u8(transform.id);
                writer.u16(0);
                writer.octets(&transform.attributes);
                Ok(())
            })?;
        }
        Ok(())
    })?;
    Ok(writer.finish())
}

/// An attribute: short when its value fits into two octets, else four octets long (RFC 2408 §3.3).
pub(in crate::ike::v1) fn write_number(kind: u16, value: u32) -> Vec<u8> {
    let mut writer = Writer::new();
    if let Ok(short) = u16::try_from(value) {
        writer.u16(SHORT | kind);
        writer.u16(short);
    } else {
        writer.u16(kind);
        writer.u16(4);
        writer.u32(value);
    }
    writer.finish()
}

/// A value as a number, whichever form it came in: no octets are none, and more than a number of 64 bits is the largest.
pub(in crate::ike::v1) fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    let significant = value.iter().skip_while(|octet| **octet == 0);
    if significant.clone().count() > 8 {
        return Some(u64::MAX);
    }
    Some(significant.fold(0, |number, octet| (number << 8) | u64::from(*octet)))
}

/// The attributes of RESPONDER-LIFETIME and of transforms as type and value (RFC 2407 §4.6.3.1).
pub(in crate::ike::v1) fn read_attributes(octets: &[u8]) -> Result<Vec<(u16, &[u8])>, DecodeError> {
    let mut reader = Reader::new(octets, 0);
    let mut attributes = Vec::new();
    while !reader.is_at_end() {
        attributes.push(read_attribute(&mut reader)?);
    }
    Ok(attributes)
}
