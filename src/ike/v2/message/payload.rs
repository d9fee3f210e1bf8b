//! Payloads of all kinds that RFC 7296 §3 defines, from and to octets.

use crate::ike::v2::message::{
    Authentication, Configuration, Delete, Identification, KeyExchange, MessageError, Nonce, SecurityAssociation,
    TrafficSelectors, notify::Notify,
};
use crate::ike::wire::{
    chain::{Contents, RawPayload, write_payloads},
    error::{DecodeError, EncodeError},
    reader::Reader,
    registry::PayloadType,
    writer::Writer,
};

/// One payload, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// SA.
    SecurityAssociation(SecurityAssociation),
    /// KE.
    KeyExchange(KeyExchange),
    /// IDi.
    IdentificationInitiator(Identification),
    /// IDr.
    IdentificationResponder(Identification),
    /// CERT: never looked into.
    Certificate(Vec<u8>),
    /// CERTREQ: never looked into.
    CertificateRequest(Vec<u8>),
    /// AUTH.
    Authentication(Authentication),
    /// Nonce.
    Nonce(Nonce),
    /// N.
    Notify(Notify),
    /// D.
    Delete(Delete),
    /// V: changes no meaning of anything.
    VendorId(Vec<u8>),
    /// TSi.
    TrafficSelectorInitiator(TrafficSelectors),
    /// TSr.
    TrafficSelectorResponder(TrafficSelectors),
    /// CP.
    Configuration(Configuration),
    /// EAP: never looked into.
    Eap(Vec<u8>),
    /// A kind that is not known here: skipped, unless it is critical.
    Unknown {
        /// Its number.
        kind: PayloadType,
        /// Whether the message must be rejected for it.
        critical: bool,
    },
}

impl Payload {
    /// Understands one payload; octets that its kind does not account for are an error.
    pub fn parse(raw: &RawPayload<'_>) -> Result<Self, DecodeError> {
        let mut body = Reader::new(raw.body, raw.offset);
        let payload = match raw.kind {
            PayloadType::SECURITY_ASSOCIATION => Self::SecurityAssociation(SecurityAssociation::parse(&mut body)?),
            PayloadType::KEY_EXCHANGE => return KeyExchange::parse(body).map(Self::KeyExchange),
            PayloadType::IDENTIFICATION_INITIATOR => {
                return Identification::parse(body).map(Self::IdentificationInitiator);
            }
            PayloadType::IDENTIFICATION_RESPONDER => {
                return Identification::parse(body).map(Self::IdentificationResponder);
            }
            PayloadType::CERTIFICATE => return Ok(Self::Certificate(raw.body.to_vec())),
            PayloadType::CERTIFICATE_REQUEST => return Ok(Self::CertificateRequest(raw.body.to_vec())),
            PayloadType::AUTHENTICATION => return Authentication::parse(body).map(Self::Authentication),
            PayloadType::NONCE => return Nonce::parse(body).map(Self::Nonce),
            PayloadType::NOTIFY => return Notify::parse(body).map(Self::Notify),
            PayloadType::DELETE => Self::Delete(Delete::parse(&mut body)?),
            PayloadType::VENDOR_ID => return Ok(Self::VendorId(raw.body.to_vec())),
            PayloadType::TRAFFIC_SELECTOR_INITIATOR => {
                Self::TrafficSelectorInitiator(TrafficSelectors::parse(&mut body)?)
            }
            PayloadType::TRAFFIC_SELECTOR_RESPONDER => {
                Self::TrafficSelectorResponder(TrafficSelectors::parse(&mut body)?)
            }
            PayloadType::CONFIGURATION => Self::Configuration(Configuration::parse(&mut body)?),
            PayloadType::EAP => return Ok(Self::Eap(raw.body.to_vec())),
            // Only the chain knows what an Encrypted payload means, and only at its end.
            PayloadType::ENCRYPTED | PayloadType::ENCRYPTED_FRAGMENT => {
                return Err(DecodeError::Encrypted { at: raw.offset });
            }
            kind => return Ok(Self::Unknown { kind, critical: raw.critical }),
        };
        body.finish()?;
        Ok(payload)
    }

    /// Its kind.
    pub const fn kind(&self) -> PayloadType {
        match self {
            Self::SecurityAssociation(_) => PayloadType::SECURITY_ASSOCIATION,
            Self::KeyExchange(_) => PayloadType::KEY_EXCHANGE,
            Self::IdentificationInitiator(_) => PayloadType::IDENTIFICATION_INITIATOR,
            Self::IdentificationResponder(_) => PayloadType::IDENTIFICATION_RESPONDER,
            Self::Certificate(_) => PayloadType::CERTIFICATE,
            Self::CertificateRequest(_) => PayloadType::CERTIFICATE_REQUEST,
            Self::Authentication(_) => PayloadType::AUTHENTICATION,
            Self::Nonce(_) => PayloadType::NONCE,
            Self::Notify(_) => PayloadType::NOTIFY,
            Self::Delete(_) => PayloadType::DELETE,
            Self::VendorId(_) => PayloadType::VENDOR_ID,
            Self::TrafficSelectorInitiator(_) => PayloadType::TRAFFIC_SELECTOR_INITIATOR,
            Self::TrafficSelectorResponder(_) => PayloadType::TRAFFIC_SELECTOR_RESPONDER,
            Self::Configuration(_) => PayloadType::CONFIGURATION,
            Self::Eap(_) => PayloadType::EAP,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    /// Its octets without the generic header.
    pub fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::SecurityAssociation(value) => value.write(writer),
            Self::KeyExchange(value) => value.write(writer),
            Self::IdentificationInitiator(value) | Self::IdentificationResponder(value) => value.write(writer),
            Self::Authentication(value) => value.write(writer),
            Self::Nonce(value) => value.write(writer),
            Self::Notify(value) => value.write(writer),
            Self::Delete(value) => value.write(writer),
            Self::TrafficSelectorInitiator(value) | Self::TrafficSelectorResponder(value) => value.write(writer),
            Self::Configuration(value) => value.write(writer),
            Self::Certificate(octets)
            | Self::CertificateRequest(octets)
            | Self::VendorId(octets)
            | Self::Eap(octets) => {
                writer.octets(octets);
                Ok(())
            }
            Self::Unknown { .. } => Err(EncodeError::Unwritable),
        }
    }
}

/// Understands all payloads of a message. An unknown critical one is found before anything else is said about the message.
pub fn parse_all(raw: &[RawPayload<'_>]) -> Result<Vec<Payload>, MessageError> {
    // RFC 7296 §2.5: the whole message is rejected; the bit means nothing on a known kind.
    if let Some(unsupported) = raw.iter().find(|payload| payload.critical && payload.kind.name().is_none()) {
        return Err(MessageError::UnsupportedCritical(unsupported.kind.0));
    }
    raw.iter().map(|payload| Payload::parse(payload).map_err(MessageError::from)).collect()
}

/// Chains payloads in the order given.
pub fn write_contents(payloads: &[Payload]) -> Result<Contents, EncodeError> {
    write_payloads(payloads, Payload::kind, Payload::write)
}
