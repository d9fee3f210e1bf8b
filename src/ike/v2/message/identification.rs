//! The IDi and IDr payloads (RFC 7296 §3.5).

use crate::ike::identity::Identity;
use crate::ike::wire::{
    error::{DecodeError, EncodeError},
    reader::Reader,
    registry::IdType,
    writer::Writer,
};

/// An identity with every octet that AUTH covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identification {
    /// The type.
    pub kind: IdType,
    /// Sent zero, kept as received: AUTH covers them (RFC 7296 §2.15).
    pub reserved: [u8; 3],
    /// The identity's octets.
    pub data: Vec<u8>,
}

impl Identification {
    /// How an identity is sent.
    pub fn of(identity: &Identity) -> Self {
        let (kind, data) = match identity {
            Identity::Ipv4(address) => (IdType::IPV4_ADDR, address.octets().to_vec()),
            Identity::Ipv6(address) => (IdType::IPV6_ADDR, address.octets().to_vec()),
            Identity::Fqdn(name) => (IdType::FQDN, name.as_bytes().to_vec()),
            Identity::Email(name) => (IdType::RFC822_ADDR, name.as_bytes().to_vec()),
            Identity::KeyId(octets) => (IdType::KEY_ID, octets.clone()),
            Identity::Other(kind, octets) => (IdType(*kind), octets.clone()),
        };
        Self { kind, reserved: [0; 3], data }
    }

    /// The identity that this is. Octets that do not fit their type are an `Other`, which equals no identity of that type.
    pub fn identity(&self) -> Identity {
        let other = || Identity::Other(self.kind.0, self.data.clone());
        match self.kind {
            IdType::IPV4_ADDR => <[u8; 4]>::try_from(self.data.as_slice())
                .map_or_else(|_| other(), |octets| Identity::Ipv4(octets.into())),
            IdType::IPV6_ADDR => <[u8; 16]>::try_from(self.data.as_slice())
                .map_or_else(|_| other(), |octets| Identity::Ipv6(octets.into())),
            IdType::FQDN => String::from_utf8(self.data.clone()).map_or_else(|_| other(), Identity::Fqdn),
            IdType::RFC822_ADDR => String::from_utf8(self.data.clone()).map_or_else(|_| other(), Identity::Email),
            IdType::KEY_ID => Identity::KeyId(self.data.clone()),
            _ => other(),
        }
    }

    /// The body of the payload, which AUTH covers whole (RFC 7296 §2.15: RestOfInitIDPayload).
    pub fn body(&self) -> Vec<u8> {
        let [first, second, third] = self.reserved;
        let mut body = vec![self.kind.0, first, second, third];
        body.extend_from_slice(&self.data);
        body
    }

    /// From the body of a payload.
    pub fn parse(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let kind = IdType(reader.u8()?);
        let reserved = reader.array()?;
        Ok(Self { kind, reserved, data: reader.remainder().to_vec() })
    }

    /// The body of a payload.
    pub fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.octets(&self.body());
        Ok(())
    }
}
