//! The SA payload (RFC 7296 §3.3): proposals as numbers. What a number means, and whether a proposal is acceptable, is not known here.

use crate::ike::wire::{
    error::{DecodeError, EncodeError},
    reader::{Reader, Structure},
    registry::{KEY_LENGTH_ATTRIBUTE, ProtocolId, TransformType},
    writer::Writer,
};

const LAST: u8 = 0;
const MORE_PROPOSALS: u8 = 2;
const MORE_TRANSFORMS: u8 = 3;
const ATTRIBUTE_FORMAT_SHORT: u16 = 0x8000;

/// Proposals in order of preference, or the one that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityAssociation {
    /// In the order of the payload.
    pub proposals: Vec<Proposal>,
}

/// One proposal (RFC 7296 §3.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// From 1, in steps of 1; an answer repeats the number it chose.
    pub number: u8,
    /// What the SA is for.
    pub protocol: ProtocolId,
    /// The sender's SPI: empty in IKE_SA_INIT, 8 octets for another IKE SA, 4 for ESP and AH.
    pub spi: Vec<u8>,
    /// In the order of the payload.
    pub transforms: Vec<Transform>,
}

/// One transform (RFC 7296 §3.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transform {
    /// What it is for.
    pub kind: TransformType,
    /// Its number; the meaning depends on `kind`.
    pub id: u16,
    /// The Key Length attribute, in bits.
    pub key_length: Option<u16>,
    /// It has an attribute that is unknown, repeated or in the wrong format, so that the transform cannot be accepted (RFC 7296 §3.3.5, §3.3.6).
    pub unknown_attribute: bool,
}

impl Transform {
    /// A transform without attributes.
    pub const fn new(kind: TransformType, id: u16) -> Self {
        Self { kind, id, key_length: None, unknown_attribute: false }
    }

    /// The same with a key length in bits.
    pub const fn with_key_length(self, bits: u16) -> Self {
        Self { key_length: Some(bits), ..self }
    }
}

impl SecurityAssociation {
    /// The proposal, if there is exactly one: what a response must have (RFC 7296 §2.7).
    pub const fn sole(&self) -> Option<&Proposal> {
        match self.proposals.as_slice() {
            [proposal] => Some(proposal),
            _ => None,
        }
    }

    /// Whether it is numbered as a request's must be: from 1 (RFC 7296 §3.3.1).
    pub fn is_numbered_as_offer(&self) -> bool {
        self.proposals.first().is_some_and(|first| first.number == 1)
    }

    /// From the body of a payload.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.position();
        let mut proposals: Vec<Proposal> = Vec::new();
        let mut more = true;
        while more {
            let structure = reader.structure()?;
            let at = structure.at;
            more = continues(&structure, MORE_PROPOSALS)?;
            let proposal = Proposal::parse(structure)?;
            // RFC 7296 §3.3.1: the first is 1 and each is one more than the one before. Only a sole one may be an answer with another number.
            let expected = proposals.last().map_or(Some(1), |previous| previous.number.checked_add(1));
            let may_be_answer = proposals.is_empty() && !more && proposal.number != 0;
            if Some(proposal.number) != expected && !may_be_answer {
                return Err(DecodeError::Value { field: "proposal number", at });
            }
            proposals.push(proposal);
        }
        if proposals.is_empty() {
            return Err(DecodeError::Truncated { at: start });
        }
        Ok(Self { proposals })
    }

    /// The body of a payload.
    pub fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        let mut proposals = self.proposals.iter().peekable();
        while let Some(proposal) = proposals.next() {
            let more = if proposals.peek().is_some() { MORE_PROPOSALS } else { LAST };
            writer.structure(more, 0, |writer| proposal.write(writer))?;
        }
        Ok(())
    }
}

impl Proposal {
    fn parse(structure: Structure<'_>) -> Result<Self, DecodeError> {
        let Structure { content: mut reader, at, .. } = structure;
        let number = reader.u8()?;
        let protocol = ProtocolId(reader.u8()?);
        let spi_size = reader.u8()?;
        let transform_count = reader.u8()?;
        let spi_fits = match protocol {
            ProtocolId::IKE => matches!(spi_size, 0 | 8),
            ProtocolId::ESP | ProtocolId::AH => spi_size == 4,
            _ => true,
        };
        if !spi_fits {
            return Err(DecodeError::Value { field: "SPI size", at });
        }
        let spi = reader.take(usize::from(spi_size))?.to_vec();
        let mut transforms = Vec::new();
        for remaining in (0..transform_count).rev() {
            let structure = reader.structure()?;
            if continues(&structure, MORE_TRANSFORMS)? != (remaining > 0) {
                return Err(DecodeError::Value { field: "number of transforms", at });
            }
            transforms.push(Transform::parse(structure)?);
        }
        reader.finish()?;
        Ok(Self { number, protocol, spi, transforms })
    }

    fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.u8(self.number);
        writer.u8(self.protocol.0);
        writer.count(self.spi.len())?;
        writer.count(self.transforms.len())?;
        writer.octets(&self.spi);
        let mut transforms = self.transforms.iter().peekable();
        while let Some(transform) = transforms.next() {
            let more = if transforms.peek().is_some() { MORE_TRANSFORMS } else { LAST };
            writer.structure(more, 0, |writer| transform.write(writer))?;
        }
        Ok(())
    }
}

impl Transform {
    fn parse(structure: Structure<'_>) -> Result<Self, DecodeError> {
        let mut reader = structure.content;
        let kind = TransformType(reader.u8()?);
        reader.u8()?;
        let mut transform = Self::new(kind, reader.u16()?);
        while !reader.is_at_end() {
            let attribute = reader.u16()?;
            let value = reader.u16()?;
            if attribute == ATTRIBUTE_FORMAT_SHORT | KEY_LENGTH_ATTRIBUTE && transform.key_length.is_none() {
                transform.key_length = Some(value);
                continue;
            }
            // RFC 7296 §3.3.5: Key Length has the short format and may be there once; no other attribute is defined.
            transform.unknown_attribute = true;
            if attribute & ATTRIBUTE_FORMAT_SHORT == 0 {
                reader.take(usize::from(value))?;
            }
        }
        Ok(transform)
    }

    fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        if self.unknown_attribute {
            return Err(EncodeError::Unwritable);
        }
        writer.u8(self.kind.0);
        writer.u8(0);
        writer.u16(self.id);
        if let Some(bits) = self.key_length {
            writer.u16(ATTRIBUTE_FORMAT_SHORT | KEY_LENGTH_ATTRIBUTE);
            writer.u16(bits);
        }
        Ok(())
    }
}

fn continues(structure: &Structure<'_>, more: u8) -> Result<bool, DecodeError> {
    match structure.first {
        LAST => Ok(false),
        octet if octet == more => Ok(true),
        _ => Err(DecodeError::Value { field: "Last Substruc", at: structure.at }),
    }
}
