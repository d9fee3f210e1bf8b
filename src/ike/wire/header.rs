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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header {
            initiator_spi: IkeSpi::new([1, 2, 3, 4, 5, 6, 7, 8]).unwrap(),
            responder_spi: None,
            next_payload: PayloadType::NONE,
            major: 2,
            minor: 0,
            exchange: ExchangeType::IKE_SA_INIT,
            flags: Flags { initiator: true, response: false },
            message_id: 0,
        }
    }

    fn datagram(rest: usize) -> Vec<u8> {
        let mut datagram = header().write(rest).unwrap();
        datagram.resize(HEADER_LEN + rest, 0);
        datagram
    }

    #[test]
    fn k2_001_a_length_other_than_the_datagrams_is_refused_both_ways() {
        for rest in [0, 1, 4, 100] {
            for declared in 0..256_u32 {
                let mut datagram = datagram(rest);
                datagram[24..28].copy_from_slice(&declared.to_be_bytes());
                assert_eq!(Header::parse(&datagram).is_ok(), declared as usize == HEADER_LEN + rest);
            }
            let mut datagram = datagram(rest);
            datagram[24..28].copy_from_slice(&u32::MAX.to_be_bytes());
            assert_eq!(
                Header::parse(&datagram),
                Err(DecodeError::DatagramLength { declared: u32::MAX, received: HEADER_LEN + rest })
            );
        }
    }

    #[test]
    fn v_01_every_prefix_of_a_message_is_refused() {
        let whole = datagram(60);
        for end in 0..whole.len() {
            assert!(Header::parse(&whole[..end]).is_err(), "{end} octets");
        }
        assert!(Header::parse(&whole).is_ok());
    }

    #[test]
    fn v_01_a_major_of_any_value_is_read_and_judged_elsewhere() {
        for versions in 0..=255_u8 {
            let mut datagram = datagram(0);
            datagram[17] = versions;
            let (header, _) = Header::parse(&datagram).unwrap();
            assert_eq!((header.major, header.minor), (versions >> 4, versions & 15));
        }
    }

    #[test]
    fn k2_002_an_initiator_spi_of_zero_is_refused_and_a_responder_spi_of_zero_is_none() {
        let mut first = datagram(0);
        assert_eq!(Header::parse(&first).unwrap().0.responder_spi, None);
        first[15] = 1;
        assert_eq!(Header::parse(&first).unwrap().0.responder_spi, IkeSpi::new([0, 0, 0, 0, 0, 0, 0, 1]));
        first[..8].fill(0);
        assert_eq!(Header::parse(&first), Err(DecodeError::Value { field: "initiator SPI", at: 0 }));
    }

    #[test]
    fn k2_003_and_k2_004_the_flags_other_than_i_and_r_are_ignored_and_sent_zero() {
        for flags in 0..=255_u8 {
            let mut datagram = datagram(0);
            datagram[19] = flags;
            let (header, _) = Header::parse(&datagram).unwrap();
            assert_eq!(header.flags, Flags { initiator: flags & 0x08 != 0, response: flags & 0x20 != 0 });
            assert_eq!(header.write(0).unwrap()[19], flags & 0x28);
        }
    }

    #[test]
    fn k2_022_a_message_of_64_kib_is_taken_and_written_and_no_longer_one() {
        assert!(Header::parse(&datagram(LONGEST_MESSAGE - HEADER_LEN)).is_ok());
        assert_eq!(header().write(LONGEST_MESSAGE - HEADER_LEN + 1), Err(EncodeError::TooLong));
        assert_eq!(header().write(usize::MAX), Err(EncodeError::TooLong));
        let too_long = vec![1; LONGEST_MESSAGE + 1];
        assert_eq!(Header::parse(&too_long), Err(DecodeError::TooLong { octets: LONGEST_MESSAGE + 1 }));
    }

    proptest! {
        #[test]
        fn a_header_is_read_as_it_was_written(
            spis in any::<([u8; 8], [u8; 8])>(),
            (next, major, minor, exchange) in (any::<u8>(), 0..16_u8, 0..16_u8, any::<u8>()),
            (initiator, response, message_id) in any::<(bool, bool, u32)>(),
            rest in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let Some(initiator_spi) = IkeSpi::new(spis.0) else { return Ok(()) };
            let header = Header {
                initiator_spi,
                responder_spi: IkeSpi::new(spis.1),
                next_payload: PayloadType(next),
                major,
                minor,
                exchange: ExchangeType(exchange),
                flags: Flags { initiator, response },
                message_id,
            };
            let mut datagram = header.write(rest.len()).unwrap();
            datagram.extend_from_slice(&rest);
            prop_assert_eq!(Header::parse(&datagram), Ok((header, rest.as_slice())));
        }
    }
}
