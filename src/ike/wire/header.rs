//! The IKE header (RFC 7296 §3.1, RFC 2408 §3.1): the one part that both versions of IKE share, read before the versions fork.

use crate::ike::wire::{
    chain::Contents,
    error::{DecodeError, EncodeError},
    reader::Reader,
    registry::{ExchangeType, PayloadType},
    writer::Writer,
};
use crate::sa::spi::IkeSpi;

/// Octets of a header.
pub const HEADER_LEN: usize = 28;

/// Octets of the longest message we take or make, whether it came in one datagram or in fragments.
pub const LONGEST_MESSAGE: usize = 65_535;

/// The two flags that RFC 7296 knows. The version flag and the reserved bits are sent zero and ignored on receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// The sender is the original initiator of the IKE SA.
    pub initiator: bool,
    /// The message answers another.
    pub response: bool,
}

const INITIATOR: u8 = 0x08;
const RESPONSE: u8 = 0x20;

/// A header whose length field was the datagram's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The original initiator's SPI.
    pub initiator_spi: IkeSpi,
    /// The original responder's SPI; `None` while it is zero: it is not known yet.
    pub responder_spi: Option<IkeSpi>,
    /// The kind of the first payload.
    pub next_payload: PayloadType,
    /// Major version.
    pub major: u8,
    /// Minor version; ignored on receipt.
    pub minor: u8,
    /// The exchange.
    pub exchange: ExchangeType,
    /// Flags.
    pub flags: Flags,
    /// Message ID.
    pub message_id: u32,
}

impl Header {
    /// Splits a datagram, without non-ESP marker, into its header and its payloads.
    ///
    /// The major version is not judged here.
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        if datagram.len() > LONGEST_MESSAGE {
            return Err(DecodeError::TooLong { octets: datagram.len() });
        }
        let mut reader = Reader::new(datagram, 0);
        // RFC 7296 §3.1: the initiator's SPI must not be zero.
        let initiator_spi = IkeSpi::new(reader.array()?).ok_or(DecodeError::Value { field: "initiator SPI", at: 0 })?;
        let responder_spi = IkeSpi::new(reader.array()?);
        let next_payload = PayloadType(reader.u8()?);
        let versions = reader.u8()?;
        let exchange = ExchangeType(reader.u8()?);
        let flags = reader.u8()?;
        let message_id = reader.u32()?;
        let declared = reader.u32()?;
        if usize::try_from(declared) != Ok(datagram.len()) {
            return Err(DecodeError::DatagramLength { declared, received: datagram.len() });
        }
        let header = Self {
            initiator_spi,
            responder_spi,
            next_payload,
            major: versions >> 4,
            minor: versions & 0x0f,
            exchange,
            flags: Flags { initiator: flags & INITIATOR != 0, response: flags & RESPONSE != 0 },
            message_id,
        };
        Ok((header, reader.remainder()))
    }

    /// The 28 octets for a message that goes on for `rest` octets.
    pub fn write(&self, rest: usize) -> Result<Vec<u8>, EncodeError> {
        let length = HEADER_LEN.saturating_add(rest);
        if length > LONGEST_MESSAGE {
            return Err(EncodeError::TooLong);
        }
        let length = u32::try_from(length).map_err(|_| EncodeError::TooLong)?;
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let mut writer = Writer::new();
        writer.octets(&self.initiator_spi.to_octets());
        writer.octets(&self.responder_spi.map_or([0; 8], IkeSpi::to_octets));
        writer.u8(self.next_payload.0);
        writer.u8((self.major << 4) | (self.minor & 0x0f));
        writer.u8(self.exchange.0);
        writer.u8(flag(self.flags.initiator, INITIATOR) | flag(self.flags.response, RESPONSE));
        writer.u32(self.message_id);
        writer.u32(length);
        Ok(writer.finish())
    }

    /// A whole message in clear: this header with the first payload and the length of `contents`, then `contents`.
    pub fn message(&self, contents: &Contents) -> Result<Vec<u8>, EncodeError> {
        let header = Self { next_payload: contents.first, ..*self };
        let mut message = header.write(contents.octets.len())?;
        message.extend_from_slice(&contents.octets);
        Ok(message)
    }
}
