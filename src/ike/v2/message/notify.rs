//! The Notify payload (RFC 7296 §3.10).

use crate::ike::wire::{
    error::{DecodeError, EncodeError},
    reader::Reader,
    registry::{NotifyType, ProtocolId},
    writer::Writer,
};

/// An error or a piece of information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Whose SPI it holds; `NONE` without one.
    pub protocol: ProtocolId,
    /// The SA it is about, as its receiver of packets named it; mostly empty.
    pub spi: Vec<u8>,
    /// What it says.
    pub kind: NotifyType,
    /// What belongs to it.
    pub data: Vec<u8>,
}

impl Notify {
    /// About no SA, without data.
    pub const fn new(kind: NotifyType) -> Self {
        Self { protocol: ProtocolId::NONE, spi: Vec::new(), kind, data: Vec::new() }
    }

    /// The same with data.
    pub fn with_data(self, data: Vec<u8>) -> Self {
        Self { data, ..self }
    }

    /// From the body of a payload.
    pub fn parse(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let protocol = ProtocolId(reader.u8()?);
        let spi_size = reader.u8()?;
        let kind = NotifyType(reader.u16()?);
        let spi = reader.take(usize::from(spi_size))?.to_vec();
        Ok(Self { protocol, spi, kind, data: reader.remainder().to_vec() })
    }

    /// The body of a payload.
    pub fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.u8(self.protocol.0);
        writer.count(self.spi.len())?;
        writer.u16(self.kind.0);
        writer.octets(&self.spi);
        writer.octets(&self.data);
        Ok(())
    }
}

/// The first notify of a kind.
pub fn find(notifies: &[Notify], kind: NotifyType) -> Option<&Notify> {
    notifies.iter().find(|notify| notify.kind == kind)
}

/// The first that reports an error (RFC 7296 §3.10.1: an unknown error in a response means that the request failed).
pub fn first_error(notifies: &[Notify]) -> Option<&Notify> {
    notifies.iter().find(|notify| notify.kind.is_error())
}
