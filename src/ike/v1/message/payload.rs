//! Payloads that have fields: ID, N, D and ATTR, from and to octets.

use zeroize::Zeroize;

use crate::ike::identity::Identity;
use crate::ike::wire::{
    error::{DecodeError, EncodeError},
    reader::Reader,
    writer::Writer,
};

/// RFC 2407 §4.2.
const DOI_IPSEC: u32 = 1;
/// RFC 2408 §3.14: a notify of phase 1 may be of no domain.
const DOI_ISAKMP: u32 = 0;

const PROTOCOL_ISAKMP: u8 = 1;
const PROTOCOL_AH: u8 = 2;
const PROTOCOL_ESP: u8 = 3;

/// Octets of the two cookies, the longest SPI there is.
const LONGEST_SPI: usize = 16;

/// More SPIs in one delete are not looked at.
pub(super) const MOST_SPIS: usize = 256;

/// More attributes in one payload are not looked at.
pub(super) const MOST_ATTRIBUTES: usize = 256;

/// The bit that says that an attribute's value is two octets in place of its length (RFC 2408 §3.3).
const SHORT: u16 = 0x8000;

/// Attributes that have no other than the short form: XAUTH_TYPE and XAUTH_STATUS (draft-beaulieu-ike-xauth-02 §6.2).
const ALWAYS_SHORT: [u16; 2] = [16_520, 16_527];

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

const ID_IPV4_ADDR: u8 = 1;
const ID_FQDN: u8 = 2;
const ID_USER_FQDN: u8 = 3;
const ID_IPV6_ADDR: u8 = 5;
const ID_KEY_ID: u8 = 11;

impl Identification {
    /// How an identity is sent in phase 1: for any protocol and port, as behind a NAT nothing else is true (RFC 3947 §4).
    pub fn of(identity: &Identity) -> Self {
        let (kind, data) = match identity {
            Identity::Ipv4(address) => (ID_IPV4_ADDR, address.octets().to_vec()),
            Identity::Ipv6(address) => (ID_IPV6_ADDR, address.octets().to_vec()),
            Identity::Fqdn(name) => (ID_FQDN, name.as_bytes().to_vec()),
            Identity::Email(name) => (ID_USER_FQDN, name.as_bytes().to_vec()),
            Identity::KeyId(octets) => (ID_KEY_ID, octets.clone()),
            Identity::Other(kind, octets) => (*kind, octets.clone()),
        };
        Self { kind, protocol: 0, port: 0, data }
    }

    /// The identity that this is. Octets that do not fit their type are an `Other`, which equals no identity of that type.
    pub fn identity(&self) -> Identity {
        let other = || Identity::Other(self.kind, self.data.clone());
        match self.kind {
            ID_IPV4_ADDR => <[u8; 4]>::try_from(self.data.as_slice())
                .map_or_else(|_| other(), |octets| Identity::Ipv4(octets.into())),
            ID_IPV6_ADDR => <[u8; 16]>::try_from(self.data.as_slice())
                .map_or_else(|_| other(), |octets| Identity::Ipv6(octets.into())),
            ID_FQDN => String::from_utf8(self.data.clone()).map_or_else(|_| other(), Identity::Fqdn),
            ID_USER_FQDN => String::from_utf8(self.data.clone()).map_or_else(|_| other(), Identity::Email),
            ID_KEY_ID => Identity::KeyId(self.data.clone()),
            _ => other(),
        }
    }

    /// The body of the payload.
    pub fn body(&self) -> Vec<u8> {
        let mut body = vec![self.kind, self.protocol];
        body.extend_from_slice(&self.port.to_be_bytes());
        body.extend_from_slice(&self.data);
        body
    }

    /// RFC 2407 §4.6.2: 0/0 or UDP/500. Gateways behind or before a NAT say UDP/4500 or UDP/0, too.
    pub(super) const fn is_of_phase_1(&self) -> bool {
        matches!((self.protocol, self.port), (0, 0) | (17, 0 | 500 | 4500))
    }

    pub(super) fn read(body: &[u8], at: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, at);
        let kind = reader.u8()?;
        let protocol = reader.u8()?;
        let port = reader.u16()?;
        Ok(Self { kind, protocol, port, data: reader.remainder().to_vec() })
    }
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

impl Notify {
    pub(super) fn read(body: &[u8], at: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, at);
        let domain = reader.u32()?;
        if domain != DOI_IPSEC && domain != DOI_ISAKMP {
            return Err(DecodeError::Value { field: "DOI", at });
        }
        let protocol = reader.u8()?;
        let spi_size = usize::from(reader.u8()?);
        let kind = reader.u16()?;
        if !notify_spi_fits(protocol, spi_size) {
            return Err(DecodeError::Value { field: "SPI size", at });
        }
        let spi = reader.take(spi_size)?.to_vec();
        Ok(Self { protocol, spi, kind, data: reader.remainder().to_vec() })
    }

    pub(super) fn body(&self) -> Result<Vec<u8>, EncodeError> {
        if !notify_spi_fits(self.protocol, self.spi.len()) {
            return Err(EncodeError::Unwritable);
        }
        let mut writer = Writer::new();
        writer.u32(DOI_IPSEC);
        writer.u8(self.protocol);
        writer.count(self.spi.len())?;
        writer.u16(self.kind);
        writer.octets(&self.spi);
        writer.octets(&self.data);
        Ok(writer.finish())
    }
}

/// RFC 2408 §3.14: of ISAKMP 0 to 16 octets.
const fn notify_spi_fits(protocol: u8, octets: usize) -> bool {
    match protocol {
        PROTOCOL_ESP | PROTOCOL_AH => octets == 0 || octets == 4,
        _ => octets <= LONGEST_SPI,
    }
}

/// A delete (RFC 2408 §3.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// 1: ISAKMP; 3: ESP.
    pub protocol: u8,
    /// All of one size.
    pub spis: Vec<Vec<u8>>,
}

impl Delete {
    pub(super) fn read(body: &[u8], at: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, at);
        let domain = reader.u32()?;
        if domain != DOI_IPSEC && domain != DOI_ISAKMP {
            return Err(DecodeError::Value { field: "DOI", at });
        }
        let protocol = reader.u8()?;
        let spi_size = usize::from(reader.u8()?);
        let count = usize::from(reader.u16()?);
        if !delete_spi_fits(protocol, spi_size) {
            return Err(DecodeError::Value { field: "SPI size", at });
        }
        if count > MOST_SPIS {
            return Err(DecodeError::Value { field: "number of SPIs", at });
        }
        let mut spis = Vec::new();
        for _ in 0..count {
            spis.push(reader.take(spi_size)?.to_vec());
        }
        reader.finish()?;
        Ok(Self { protocol, spis })
    }

    pub(super) fn body(&self) -> Result<Vec<u8>, EncodeError> {
        let spi_size = self.spis.first().map_or(0, Vec::len);
        if !delete_spi_fits(self.protocol, spi_size) || self.spis.iter().any(|spi| spi.len() != spi_size) {
            return Err(EncodeError::Unwritable);
        }
        if self.spis.len() > MOST_SPIS {
            return Err(EncodeError::TooMany);
        }
        let mut writer = Writer::new();
        writer.u32(DOI_IPSEC);
        writer.u8(self.protocol);
        writer.count(spi_size)?;
        writer.u16(u16::try_from(self.spis.len()).map_err(|_| EncodeError::TooMany)?);
        self.spis.iter().for_each(|spi| writer.octets(spi));
        Ok(writer.finish())
    }
}

/// RFC 2408 §3.15: of ISAKMP both cookies. Other protocols are nothing to us.
const fn delete_spi_fits(protocol: u8, octets: usize) -> bool {
    match protocol {
        PROTOCOL_ISAKMP => octets == LONGEST_SPI,
        PROTOCOL_ESP | PROTOCOL_AH => octets == 4,
        _ => octets > 0 && octets <= LONGEST_SPI,
    }
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

impl Attributes {
    pub(super) fn read(body: &[u8], at: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, at);
        let kind = reader.u8()?;
        reader.u8()?;
        let identifier = reader.u16()?;
        let mut attributes = Vec::new();
        while !reader.is_at_end() {
            if attributes.len() >= MOST_ATTRIBUTES {
                return Err(DecodeError::Value { field: "number of attributes", at });
            }
            let attribute = read_attribute(&mut reader)?;
            attributes.push((attribute.0, attribute.1.to_vec()));
        }
        Ok(Self { kind, identifier, attributes })
    }

    pub(super) fn body(&self) -> Result<Vec<u8>, EncodeError> {
        if self.attributes.len() > MOST_ATTRIBUTES {
            return Err(EncodeError::TooMany);
        }
        let mut writer = Writer::new();
        writer.u8(self.kind);
        writer.u8(0);
        writer.u16(self.identifier);
        for (kind, value) in &self.attributes {
            if kind & SHORT != 0 {
                return Err(EncodeError::Unwritable);
            }
            let short = ALWAYS_SHORT.contains(kind) && value.len() == 2;
            if short {
                writer.u16(SHORT | kind);
                writer.octets(value);
            } else {
                writer.attribute(*kind, |writer| {
                    writer.octets(value);
                    Ok(())
                })?;
            }
        }
        Ok(writer.finish())
    }
}

/// A value may be a password.
impl Drop for Attributes {
    fn drop(&mut self) {
        self.attributes.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

/// Type and value of the next data attribute in either form (RFC 2408 §3.3).
pub(super) fn read_attribute<'a>(reader: &mut Reader<'a>) -> Result<(u16, &'a [u8]), DecodeError> {
    let kind = reader.u16()?;
    if kind & SHORT != 0 {
        return Ok((kind & !SHORT, reader.take(2)?));
    }
    let length = reader.u16()?;
    Ok((kind, reader.take(usize::from(length))?))
}
