//! The AUTH payload (RFC 7296 §3.8).

use crate::ike::wire::{
    error::{DecodeError, EncodeError},
    reader::Reader,
    registry::AuthMethod,
    writer::Writer,
};

/// A proof, not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// How it was made.
    pub method: AuthMethod,
    /// The proof's octets.
    pub data: Vec<u8>,
}

impl Authentication {
    /// From the body of a payload.
    pub fn parse(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let method = AuthMethod(reader.u8()?);
        reader.take(3)?;
        Ok(Self { method, data: reader.remainder().to_vec() })
    }

    /// The body of a payload.
    pub fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.u8(self.method.0);
        writer.octets(&[0; 3]);
        writer.octets(&self.data);
        Ok(())
    }
}
