//! What an ISAKMP SA protects: quick mode, informational exchanges, Mode Config and XAUTH. All follow a HASH, which is split off first.

use zeroize::Zeroize;

use crate::ike::v1::header::PayloadType;
use crate::ike::v1::message::{
    Attributes, Delete, Identification, Notify,
    chain::{Chain, join, split},
    phase1::{nonce, notifies},
    table::{Private, Table, unusable},
};
use crate::ike::wire::{
    chain::Contents,
    error::{DecodeError, EncodeError},
    reader::Reader,
};

const QUICK_MODE: Table = Table {
    required: &[PayloadType::SECURITY_ASSOCIATION, PayloadType::NONCE],
    optional: &[PayloadType::KEY_EXCHANGE],
    several: &[PayloadType::IDENTIFICATION, PayloadType::NOTIFY, PayloadType::NAT_ORIGINAL_ADDRESS],
    private: Private::Refused,
};

const INFORMATIONAL: Table = Table {
    required: &[],
    optional: &[],
    several: &[PayloadType::NOTIFY, PayloadType::DELETE],
    private: Private::Refused,
};

const TRANSACTION: Table =
    Table { required: &[PayloadType::ATTRIBUTES], optional: &[], several: &[], private: Private::Refused };

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

impl<'a> Hashed<'a> {
    /// Splits a decrypted chain. The HASH must be first (RFC 2409 §5.5); `rest` ends where the chain of payloads ends.
    pub fn parse(first: PayloadType, octets: &'a [u8]) -> Result<Self, DecodeError> {
        if first != PayloadType::HASH {
            return Err(unusable(first, 0));
        }
        let mut reader = Reader::new(octets, 0);
        let structure = reader.structure()?;
        let next = PayloadType(structure.first);
        let Chain { end, .. } = split(next, reader.clone().remainder())?;
        Ok(Self { hash: structure.content.remainder(), next: next.0, rest: reader.take(end)? })
    }
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

impl QuickModeProposal {
    /// Reads a chain of payloads that begins with one of kind `first`. Padding after the last payload is allowed.
    pub fn parse(first: PayloadType, octets: &[u8]) -> Result<Self, DecodeError> {
        // RFC 2409 §5.5: the SA immediately follows the HASH.
        if first != PayloadType::SECURITY_ASSOCIATION {
            return Err(unusable(first, 0));
        }
        let mut sorted = QUICK_MODE.read(first, octets)?;
        let (sa, nonce) = (sorted.sa.take(), sorted.nonce.take());
        let mut identifications = std::mem::take(&mut sorted.identifications).into_iter();
        let identifications = match (identifications.next(), identifications.next(), identifications.next()) {
            (None, ..) => None,
            (Some(initiator), Some(responder), None) => Some((initiator, responder)),
            _ => return Err(unusable(PayloadType::IDENTIFICATION, sorted.end)),
        };
        Ok(Self {
            sa: sorted.need(sa, PayloadType::SECURITY_ASSOCIATION)?,
            nonce: sorted.need(nonce, PayloadType::NONCE)?,
            key_exchange: sorted.key_exchange,
            identifications,
            notifies: sorted.notifies,
        })
    }

    /// The chain of payloads.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        let mut parts = vec![(PayloadType::SECURITY_ASSOCIATION, self.sa.clone()), nonce(&self.nonce)?];
        parts.extend(self.key_exchange.iter().map(|value| (PayloadType::KEY_EXCHANGE, value.clone())));
        if let Some((initiator, responder)) = &self.identifications {
            parts.push((PayloadType::IDENTIFICATION, initiator.body()));
            parts.push((PayloadType::IDENTIFICATION, responder.body()));
        }
        parts.extend(notifies(&self.notifies)?);
        join(&parts)
    }
}

/// An informational exchange's message, without HASH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Informational {
    /// In order.
    pub notifies: Vec<Notify>,
    /// In order.
    pub deletes: Vec<Delete>,
}

impl Informational {
    /// Reads a chain of payloads that begins with one of kind `first`. Padding after the last payload is allowed.
    pub fn parse(first: PayloadType, octets: &[u8]) -> Result<Self, DecodeError> {
        let sorted = INFORMATIONAL.read(first, octets)?;
        if sorted.notifies.is_empty() && sorted.deletes.is_empty() {
            return Err(unusable(PayloadType::NOTIFY, sorted.end));
        }
        Ok(Self { notifies: sorted.notifies, deletes: sorted.deletes })
    }

    /// The chain of payloads: notifies, then deletes.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        let mut parts = notifies(&self.notifies)?;
        for delete in &self.deletes {
            parts.push((PayloadType::DELETE, delete.body()?));
        }
        if parts.is_empty() { Err(EncodeError::Unwritable) } else { join(&parts) }
    }
}

impl Attributes {
    /// Reads a chain of payloads that begins with one of kind `first`. Padding after the last payload is allowed.
    pub fn parse(first: PayloadType, octets: &[u8]) -> Result<Self, DecodeError> {
        let mut sorted = TRANSACTION.read(first, octets)?;
        let attributes = sorted.attributes.take();
        sorted.need(attributes, PayloadType::ATTRIBUTES)
    }

    /// The chain of payloads.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        let mut parts = [(PayloadType::ATTRIBUTES, self.body()?)];
        let contents = join(&parts);
        parts.iter_mut().for_each(|(_, body)| body.zeroize());
        contents
    }
}
