//! The ISAKMP header (RFC 2408 §3.1): names, kind of exchange, flags, length. It knows no payload and no state.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ike::wire::{
    chain::Contents,
    error::{DecodeError, EncodeError},
    header::{HEADER_LEN, LONGEST_MESSAGE},
    reader::Reader,
    writer::Writer,
};
use crate::sa::spi::IkeSpi;

/// Version 1.0 (RFC 2408 §3.1).
const VERSIONS: u8 = 0x10;

/// The name of an ISAKMP SA. The initiator's stays first whoever sends (RFC 2408 §2.5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cookies {
    /// Of phase 1's initiator, whoever sends.
    pub initiator: IkeSpi,
    /// `None` in the first message.
    pub responder: Option<IkeSpi>,
}

/// RFC 2408 §3.1. The other five bits are sent zero and ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// What follows the header is encrypted.
    pub encrypted: bool,
    /// The SA is to be used only after CONNECTED.
    pub commit: bool,
    /// A notify that is protected by a hash only.
    pub authentication_only: bool,
}

const ENCRYPTED: u8 = 0x01;
const COMMIT: u8 = 0x02;
const AUTHENTICATION_ONLY: u8 = 0x04;

/// A kind of exchange (RFC 2408 §3.1, RFC 2409 appendix A, Mode Config).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeType(pub u8);

impl ExchangeType {
    /// Identity protection: phase 1 in six messages.
    pub const MAIN_MODE: Self = Self(2);
    /// Phase 1 in three messages.
    pub const AGGRESSIVE: Self = Self(4);
    /// Notifies and deletes.
    pub const INFORMATIONAL: Self = Self(5);
    /// Mode Config and XAUTH.
    pub const TRANSACTION: Self = Self(6);
    /// Phase 2.
    pub const QUICK_MODE: Self = Self(32);
}

/// A kind of payload (RFC 2408 §3.1 and companions).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PayloadType(pub u8);

impl PayloadType {
    /// The end of a chain.
    pub const NONE: Self = Self(0);
    /// SA: proposals.
    pub const SECURITY_ASSOCIATION: Self = Self(1);
    /// KE: a public value.
    pub const KEY_EXCHANGE: Self = Self(4);
    /// ID: who, or which subnet.
    pub const IDENTIFICATION: Self = Self(5);
    /// CERT.
    pub const CERTIFICATE: Self = Self(6);
    /// CR.
    pub const CERTIFICATE_REQUEST: Self = Self(7);
    /// HASH: a proof.
    pub const HASH: Self = Self(8);
    /// SIG.
    pub const SIGNATURE: Self = Self(9);
    /// NONCE.
    pub const NONCE: Self = Self(10);
    /// N: an error or a state.
    pub const NOTIFY: Self = Self(11);
    /// D: SAs that are gone.
    pub const DELETE: Self = Self(12);
    /// VID: what the sender knows.
    pub const VENDOR_ID: Self = Self(13);
    /// Mode Config and XAUTH.
    pub const ATTRIBUTES: Self = Self(14);
    /// RFC 3947 §3.2.
    pub const NAT_DETECTION: Self = Self(20);
    /// RFC 3947 §5.2.
    pub const NAT_ORIGINAL_ADDRESS: Self = Self(21);
    /// `NAT_DETECTION` in the drafts before RFC 3947.
    pub const DRAFT_NAT_DETECTION: Self = Self(130);
    /// `NAT_ORIGINAL_ADDRESS` in the drafts before RFC 3947.
    pub const DRAFT_NAT_ORIGINAL_ADDRESS: Self = Self(131);
    /// A part of a message; never inside one.
    pub const FRAGMENT: Self = Self(132);

    /// For people. A number that has no name here is not in the text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SECURITY_ASSOCIATION => "SA payload",
            Self::KEY_EXCHANGE => "KE payload",
            Self::IDENTIFICATION => "ID payload",
            Self::CERTIFICATE => "CERT payload",
            Self::CERTIFICATE_REQUEST => "CR payload",
            Self::HASH => "HASH payload",
            Self::SIGNATURE => "SIG payload",
            Self::NONCE => "NONCE payload",
            Self::NOTIFY => "N payload",
            Self::DELETE => "D payload",
            Self::VENDOR_ID => "VID payload",
            Self::ATTRIBUTES => "ATTR payload",
            Self::NAT_DETECTION | Self::DRAFT_NAT_DETECTION => "NAT-D payload",
            Self::NAT_ORIGINAL_ADDRESS | Self::DRAFT_NAT_ORIGINAL_ADDRESS => "NAT-OA payload",
            Self::FRAGMENT => "fragment payload",
            _ => "payload type",
        }
    }
}

impl fmt::Debug for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, self.name())
    }
}

/// A header whose length field was the datagram's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which ISAKMP SA.
    pub cookies: Cookies,
    /// The kind of the first payload.
    pub next_payload: PayloadType,
    /// Major version: judged by whoever reads it.
    pub major: u8,
    /// Which exchange.
    pub exchange: ExchangeType,
    /// Unauthenticated, like all of it.
    pub flags: Flags,
    /// Zero in phase 1.
    pub message_id: u32,
}

impl Header {
    /// Splits a datagram, without non-ESP marker, into header and the rest.
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        if datagram.len() > LONGEST_MESSAGE {
            return Err(DecodeError::TooLong { octets: datagram.len() });
        }
        let mut reader = Reader::new(datagram, 0);
        // RFC 2408 §2.5.3: a cookie depends on a secret; no initiator's is zero.
        let initiator = IkeSpi::new(reader.array()?).ok_or(DecodeError::Value { field: "initiator cookie", at: 0 })?;
        let responder = IkeSpi::new(reader.array()?);
        let next_payload = PayloadType(reader.u8()?);
        let versions = reader.u8()?;
        let exchange = ExchangeType(reader.u8()?);
        let flags = reader.u8()?;
        let message_id = reader.u32()?;
        let declared = reader.u32()?;
        // RFC 2408 §5.1: a length other than that of the datagram is a reason to discard it.
        if usize::try_from(declared) != Ok(datagram.len()) {
            return Err(DecodeError::DatagramLength { declared, received: datagram.len() });
        }
        let header = Self {
            cookies: Cookies { initiator, responder },
            next_payload,
            major: versions >> 4,
            exchange,
            flags: Flags {
                encrypted: flags & ENCRYPTED != 0,
                commit: flags & COMMIT != 0,
                authentication_only: flags & AUTHENTICATION_ONLY != 0,
            },
            message_id,
        };
        Ok((header, reader.remainder()))
    }

    /// The 28 octets for a message that goes on for `rest` octets; version 1.0.
    pub fn write(&self, rest: usize) -> Result<Vec<u8>, EncodeError> {
        let length = HEADER_LEN.saturating_add(rest);
        if length > LONGEST_MESSAGE {
            return Err(EncodeError::TooLong);
        }
        let length = u32::try_from(length).map_err(|_| EncodeError::TooLong)?;
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let mut writer = Writer::new();
        writer.octets(&self.cookies.initiator.to_octets());
        writer.octets(&self.cookies.responder.map_or([0; 8], IkeSpi::to_octets));
        writer.u8(self.next_payload.0);
        writer.u8(VERSIONS);
        writer.u8(self.exchange.0);
        writer.u8(flag(self.flags.encrypted, ENCRYPTED)
            | flag(self.flags.commit, COMMIT)
            | flag(self.flags.authentication_only, AUTHENTICATION_ONLY));
        writer.u32(self.message_id);
        writer.u32(length);
        Ok(writer.finish())
    }

    /// A whole message in clear: this header with the first payload and the length of `contents`, then `contents`.
    pub fn message(&self, contents: &Contents) -> Result<Vec<u8>, EncodeError> {
        let header = Self { next_payload: PayloadType(contents.first.0), ..*self };
        let mut message = header.write(contents.octets.len())?;
        message.extend_from_slice(&contents.octets);
        Ok(message)
    }
}

#[cfg(test)]
mod tests;
