//! The CP payload (RFC 7296 §3.15). What the values mean is not known here.

use crate::ike::wire::{
    error::{DecodeError, EncodeError},
    reader::Reader,
    registry::{ConfigAttributeType, CpType},
    writer::Writer,
};

/// The attribute type's high bit is reserved (RFC 7296 §3.15.1).
const TYPE_MASK: u16 = 0x7fff;

/// A request for configuration, or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Asking, answering...
    pub kind: CpType,
    /// In order; unknown ones too.
    pub attributes: Vec<Attribute>,
}

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its type: 15 bits.
    pub kind: ConfigAttributeType,
    /// Its value; empty when it is asked for.
    pub value: Vec<u8>,
}

impl Configuration {
    /// From the body of a payload, to its end.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = CpType(reader.u8()?);
        reader.take(3)?;
        let mut attributes = Vec::new();
        while !reader.is_at_end() {
            let kind = ConfigAttributeType(reader.u16()? & TYPE_MASK);
            let length = reader.u16()?;
            attributes.push(Attribute { kind, value: reader.take(usize::from(length))?.to_vec() });
        }
        Ok(Self { kind, attributes })
    }

    /// The body of a payload.
    pub fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.u8(self.kind.0);
        writer.octets(&[0; 3]);
        for Attribute { kind, value } in &self.attributes {
            writer.attribute(kind.0 & TYPE_MASK, |writer| {
                writer.octets(value);
                Ok(())
            })?;
        }
        Ok(())
    }
}
