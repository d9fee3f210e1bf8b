//! IKEv1's messages as values. A table says which payloads each must and may have; it is checked before any handler sees a message.
//! Unknown vendor IDs are normal; unknown payloads are refused (RFC 2408 §5.3), NAT-D of the drafts (130) is known by either number.

use crate::ike::v1::header::PayloadType;
use crate::ike::wire::chain::Contents;
use crate::ike::wire::error::{DecodeError, EncodeError};

/// An identification payload (RFC 2407 §4.6.2). Equality is of all fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identification {
    /// ID type.
    pub kind: u8,
    /// Protocol, 0 for any.
    pub protocol: u8,
    /// Port, 0 for any.
    pub port: u16,
    /// What the type says.
    pub data: Vec<u8>,
}

/// A notify (RFC 2408 §3.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// 1: ISAKMP; 3: ESP.
    pub protocol: u8,
    /// As it stands there: 16 octets of cookies for ISAKMP, 4 for ESP, or none.
    pub spi: Vec<u8>,
    /// RFC 2408 §3.14.1, RFC 2407 §4.6.3.
    pub kind: u16,
    /// Untrusted.
    pub data: Vec<u8>,
}

/// A delete (RFC 2408 §3.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// 1: ISAKMP; 3: ESP.
    pub protocol: u8,
    /// All of one size.
    pub spis: Vec<Vec<u8>>,
}

/// An attributes payload (Mode Config, XAUTH).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// 1 REQUEST, 2 REPLY, 3 SET, 4 ACK.
    pub kind: u8,
    /// Echoed by the answer.
    pub identifier: u16,
    /// Type and value; a value of two octets may have come as either encoding.
    pub attributes: Vec<(u16, Vec<u8>)>,
}

/// First and second message of main mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MainModeProposal {
    /// The body of the SA payload, as it travels: it is hashed later (RFC 2409 §5).
    pub sa: Vec<u8>,
    /// Vendor IDs.
    pub vendor_ids: Vec<Vec<u8>>,
}

/// Third and fourth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MainModeKeys {
    /// Public value.
    pub key_exchange: Vec<u8>,
    /// 8 to 256 octets.
    pub nonce: Vec<u8>,
    /// The first is of the receiver's address (RFC 3947 §3.2).
    pub nat_detection: Vec<Vec<u8>>,
    /// Some send them here.
    pub vendor_ids: Vec<Vec<u8>>,
}

/// Fifth and sixth, decrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MainModeAuth {
    /// The sender's.
    pub identification: Identification,
    /// The body of the ID payload as it travelled: it is hashed.
    pub identification_body: Vec<u8>,
    /// HASH_I or HASH_R.
    pub hash: Vec<u8>,
    /// INITIAL-CONTACT, RESPONDER-LIFETIME.
    pub notifies: Vec<Notify>,
    /// Some send them here.
    pub vendor_ids: Vec<Vec<u8>>,
}

/// First of aggressive mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggressiveOpening {
    /// See `MainModeProposal`.
    pub sa: Vec<u8>,
    /// Public value.
    pub key_exchange: Vec<u8>,
    /// 8 to 256 octets.
    pub nonce: Vec<u8>,
    /// Ours.
    pub identification: Identification,
    /// Vendor IDs.
    pub vendor_ids: Vec<Vec<u8>>,
}

/// Second of aggressive mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggressiveAnswer {
    /// See `MainModeProposal`.
    pub sa: Vec<u8>,
    /// Public value.
    pub key_exchange: Vec<u8>,
    /// 8 to 256 octets.
    pub nonce: Vec<u8>,
    /// The gateway's.
    pub identification: Identification,
    /// As it travelled.
    pub identification_body: Vec<u8>,
    /// HASH_R.
    pub hash: Vec<u8>,
    /// See `MainModeKeys`.
    pub nat_detection: Vec<Vec<u8>>,
    /// Vendor IDs.
    pub vendor_ids: Vec<Vec<u8>>,
    /// Notifies.
    pub notifies: Vec<Notify>,
}

/// Third of aggressive mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggressiveProof {
    /// HASH_I.
    pub hash: Vec<u8>,
    /// See `MainModeKeys`.
    pub nat_detection: Vec<Vec<u8>>,
    /// INITIAL-CONTACT: the message is encrypted by us.
    pub notifies: Vec<Notify>,
}

/// First and second of quick mode, without the HASH, which stands first (RFC 2409 §5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuickModeProposal {
    /// The body of the SA payload.
    pub sa: Vec<u8>,
    /// 8 to 256 octets.
    pub nonce: Vec<u8>,
    /// With perfect forward secrecy.
    pub key_exchange: Option<Vec<u8>>,
    /// IDci and IDcr.
    pub identifications: Option<(Identification, Identification)>,
    /// RESPONDER-LIFETIME, INITIAL-CONTACT.
    pub notifies: Vec<Notify>,
}

/// An informational exchange's message, without HASH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Informational {
    /// In order.
    pub notifies: Vec<Notify>,
    /// In order.
    pub deletes: Vec<Delete>,
}

/// A message whose first payload is a HASH: what it says, and the octets after it, which it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed<'a> {
    /// The HASH payload's body.
    pub hash: &'a [u8],
    /// The kind of the payload after it; 0 for none.
    pub next: u8,
    /// From the generic header of the next payload to the end of the last one, without CBC padding.
    pub rest: &'a [u8],
}

/// What messages can do; each type below has both, `parse` from the first payload's kind and the octets of the chain.
macro_rules! message {
    ($name:ty) => {
        impl $name {
            /// Reads a chain of payloads that begins with one of kind `first`. Padding after the last payload is allowed.
            pub(in crate::ike::v1) fn parse(_first: PayloadType, _octets: &[u8]) -> Result<Self, DecodeError> {
                todo!()
            }

            /// The chain of payloads.
            pub(in crate::ike::v1) fn contents(&self) -> Result<Contents, EncodeError> {
                todo!()
            }
        }
    };
}

message!(MainModeProposal);
message!(MainModeKeys);
message!(MainModeAuth);
message!(AggressiveOpening);
message!(AggressiveAnswer);
message!(AggressiveProof);
message!(QuickModeProposal);
message!(Informational);
message!(Attributes);

impl<'a> Hashed<'a> {
    /// Splits a decrypted chain. The HASH must be first (RFC 2409 §5.5); `rest` ends where the chain of payloads ends.
    pub(in crate::ike::v1) fn parse(_first: PayloadType, _octets: &'a [u8]) -> Result<Self, DecodeError> {
        todo!()
    }
}

impl Identification {
    /// The body of the payload.
    pub fn body(&self) -> Vec<u8> {
        todo!()
    }
}
