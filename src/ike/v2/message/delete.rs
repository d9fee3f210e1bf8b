//! The Delete payload (RFC 7296 §3.11).

use crate::ike::wire::{
    error::{DecodeError, EncodeError},
    reader::Reader,
    registry::ProtocolId,
    writer::Writer,
};

/// SAs of one protocol that their receiver closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// `IKE`: the SA that the message came under. `ESP` or `AH`: those of `spis`. Anything else means nothing.
    pub protocol: ProtocolId,
    /// As the sender receives on them: what we send with. Only for `ESP` and `AH`.
    pub spis: Vec<u32>,
}

impl Delete {
    /// The IKE SA and all under it.
    pub const fn ike_sa() -> Self {
        Self { protocol: ProtocolId::IKE, spis: Vec::new() }
    }

    /// From the body of a payload, to its end.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = reader.position();
        let protocol = ProtocolId(reader.u8()?);
        let spi_size = reader.u8()?;
        let count = reader.u16()?;
        let mut spis = Vec::new();
        match (protocol, spi_size) {
            // RFC 7296 §3.11: the IKE SA is named by the header.
            (ProtocolId::IKE, 0) if count == 0 => {}
            (ProtocolId::ESP | ProtocolId::AH, 4) => {
                for _ in 0..count {
                    spis.push(reader.u32()?);
                }
            }
            (ProtocolId::IKE | ProtocolId::ESP | ProtocolId::AH, _) => {
                return Err(DecodeError::Value { field: "SPI size", at });
            }
            _ => {
                reader.take(usize::from(spi_size).saturating_mul(usize::from(count)))?;
            }
        }
        Ok(Self { protocol, spis })
    }

    /// The body of a payload.
    pub fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        let spi_size = match self.protocol {
            ProtocolId::IKE if self.spis.is_empty() => 0,
            ProtocolId::ESP | ProtocolId::AH => 4,
            _ => return Err(EncodeError::Unwritable),
        };
        writer.u8(self.protocol.0);
        writer.u8(spi_size);
        writer.u16(u16::try_from(self.spis.len()).map_err(|_| EncodeError::TooMany)?);
        self.spis.iter().for_each(|spi| writer.u32(*spi));
        Ok(())
    }
}
