//! The KE and Nonce payloads (RFC 7296 §3.4, §3.9).

use crate::ike::wire::{
    error::{DecodeError, EncodeError},
    reader::Reader,
    writer::Writer,
};

/// A public value. Whether the group is known, and the length right for it, is decided where groups are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyExchange {
    /// The number of the group, as in a KE transform.
    pub group: u16,
    /// The public value.
    pub data: Vec<u8>,
}

impl KeyExchange {
    /// From the body of a payload.
    pub fn parse(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let group = reader.u16()?;
        reader.u16()?;
        Ok(Self { group, data: reader.remainder().to_vec() })
    }

    /// The body of a payload.
    pub fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.u16(self.group);
        writer.u16(0);
        writer.octets(&self.data);
        Ok(())
    }
}

/// A nonce of 16 to 256 octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(Vec<u8>);

impl Nonce {
    /// `None` unless there are 16 to 256 octets (RFC 7296 §3.9).
    pub fn new(octets: Vec<u8>) -> Option<Self> {
        (16..=256).contains(&octets.len()).then_some(Self(octets))
    }

    /// The octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// From the body of a payload.
    pub fn parse(reader: Reader<'_>) -> Result<Self, DecodeError> {
        let at = reader.position();
        Self::new(reader.remainder().to_vec()).ok_or(DecodeError::Value { field: "nonce length", at })
    }

    /// The body of a payload.
    pub fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.octets(&self.0);
        Ok(())
    }
}
