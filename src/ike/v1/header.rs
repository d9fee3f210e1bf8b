//! The ISAKMP header (RFC 2408 §3.1).

use crate::ike::wire::error::{DecodeError, EncodeError};
use crate::sa::spi::IkeSpi;

/// The name of an ISAKMP SA. The initiator's stays first whoever sends (RFC 2408 §2.5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cookies {
    pub(super) initiator: IkeSpi,
    /// `None` in the first message.
    pub(super) responder: Option<IkeSpi>,
}

/// RFC 2408 §3.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) encrypted: bool,
    pub(super) commit: bool,
    pub(super) authentication_only: bool,
}

/// A kind of exchange (RFC 2408 §3.1, RFC 2409 appendix A, Mode Config).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExchangeType(pub(super) u8);

impl ExchangeType {
    pub(super) const MAIN_MODE: Self = Self(2);
    pub(super) const AGGRESSIVE: Self = Self(4);
    pub(super) const INFORMATIONAL: Self = Self(5);
    /// Mode Config and XAUTH.
    pub(super) const TRANSACTION: Self = Self(6);
    pub(super) const QUICK_MODE: Self = Self(32);
}

/// A kind of payload (RFC 2408 §3.1 and companions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PayloadType(pub(super) u8);

/// A header whose length field was the datagram's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) cookies: Cookies,
    pub(super) next_payload: PayloadType,
    /// Major version: judged by whoever reads it.
    pub(super) major: u8,
    pub(super) exchange: ExchangeType,
    pub(super) flags: Flags,
    pub(super) message_id: u32,
}

impl Header {
    /// Splits a datagram, without non-ESP marker, into header and the rest.
    pub(super) fn parse(_datagram: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        todo!()
    }

    /// The 28 octets for a message that goes on for `rest` octets; version 1.0.
    pub(super) fn write(&self, _rest: usize) -> Result<Vec<u8>, EncodeError> {
        todo!()
    }
}
