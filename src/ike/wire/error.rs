//! What is wrong with octets that should be a message, or with values that should become one. Holds no octet of the peer's.

use std::fmt;

/// Octets that are no well-formed message. `at` counts octets from the start of what was parsed: the datagram, or the decrypted payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// A field lies beyond the end of its part.
    Truncated {
        /// Where the field starts.
        at: usize,
    },
    /// A part is longer than what it holds.
    LeftOver {
        /// The first octet too many.
        at: usize,
    },
    /// The header's length is not the datagram's.
    DatagramLength {
        /// What the header says.
        declared: u32,
        /// What arrived.
        received: usize,
    },
    /// More octets than any message we take.
    TooLong {
        /// How many.
        octets: usize,
    },
    /// More payloads than any message we take.
    TooManyPayloads,
    /// A length field is smaller than its part's fixed fields, or points past the end.
    Length {
        /// Where the part starts.
        at: usize,
    },
    /// An Encrypted payload inside another, or something after it.
    Encrypted {
        /// Where it, or what follows it, starts.
        at: usize,
    },
    /// A field has a value that it must not have.
    Value {
        /// Which field.
        field: &'static str,
        /// Where its part starts.
        at: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { at } => write!(f, "ends within the field at octet {at}"),
            Self::LeftOver { at } => write!(f, "octets are left over at octet {at}"),
            Self::DatagramLength { declared, received } => {
                write!(f, "the header says {declared} octets, {received} arrived")
            }
            Self::TooLong { octets } => write!(f, "{octets} octets are too many"),
            Self::TooManyPayloads => f.write_str("too many payloads"),
            Self::Length { at } => write!(f, "wrong length field in the part at octet {at}"),
            Self::Encrypted { at } => write!(f, "misplaced Encrypted payload at octet {at}"),
            Self::Value { field, at } => write!(f, "unusable {field} at octet {at}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Values that cannot be written as a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// A part is longer than its length field can say.
    TooLong,
    /// More parts than the count field can say.
    TooMany,
    /// A value that was only ever read cannot be written.
    Unwritable,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "a part is longer than its length field can say",
            Self::TooMany => "more parts than the count field can say",
            Self::Unwritable => "a value that can only be read",
        })
    }
}

impl std::error::Error for EncodeError {}
