//! Which payloads a message must have and may have; checked before anything looks at one of them.

use crate::ike::v2::message::{
    Authentication, Configuration, Delete, Identification, KeyExchange, MessageError, Nonce, Payload,
    SecurityAssociation, TrafficSelectors, notify::Notify,
};
use crate::ike::wire::{error::DecodeError, registry::PayloadType};

/// The payloads of one message. Notify, Vendor ID and unknown payloads may always be there.
pub(super) struct Table {
    /// Exactly one of each.
    pub(super) required: &'static [PayloadType],
    /// At most one of each; certificates, their requests and deletes any number.
    pub(super) optional: &'static [PayloadType],
}

/// Payloads by kind: singletons at most once, the others in order.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) security_association: Option<SecurityAssociation>,
    pub(super) key_exchange: Option<KeyExchange>,
    pub(super) identification_initiator: Option<Identification>,
    pub(super) identification_responder: Option<Identification>,
    pub(super) authentication: Option<Authentication>,
    pub(super) nonce: Option<Nonce>,
    pub(super) traffic_selector_initiator: Option<TrafficSelectors>,
    pub(super) traffic_selector_responder: Option<TrafficSelectors>,
    pub(super) configuration: Option<Configuration>,
    pub(super) eap: Option<Vec<u8>>,
    pub(super) notifies: Vec<Notify>,
    pub(super) deletes: Vec<Delete>,
}

impl Table {
    /// Sorts a message's payloads, in whatever order they are (RFC 7296 §2.5), and refuses what does not belong.
    pub(super) fn admit(&self, payloads: Vec<Payload>) -> Result<Sorted, MessageError> {
        if let Some(missing) = self.required.iter().find(|kind| payloads.iter().all(|payload| payload.kind() != **kind))
        {
            return Err(MessageError::Missing(*missing));
        }
        let mut sorted = Sorted::default();
        for payload in payloads {
            let kind = payload.kind();
            let always = matches!(payload, Payload::Notify(_) | Payload::VendorId(_) | Payload::Unknown { .. });
            if !always && !self.required.contains(&kind) && !self.optional.contains(&kind) {
                return Err(MessageError::Unexpected(kind));
            }
            sorted.put(payload)?;
        }
        Ok(sorted)
    }
}

impl Sorted {
    fn put(&mut self, payload: Payload) -> Result<(), MessageError> {
        let kind = payload.kind();
        let repeated = match payload {
            Payload::SecurityAssociation(value) => self.security_association.replace(value).is_some(),
            Payload::KeyExchange(value) => self.key_exchange.replace(value).is_some(),
            Payload::IdentificationInitiator(value) => self.identification_initiator.replace(value).is_some(),
            Payload::IdentificationResponder(value) => self.identification_responder.replace(value).is_some(),
            Payload::Authentication(value) => self.authentication.replace(value).is_some(),
            Payload::Nonce(value) => self.nonce.replace(value).is_some(),
            Payload::TrafficSelectorInitiator(value) => self.traffic_selector_initiator.replace(value).is_some(),
            Payload::TrafficSelectorResponder(value) => self.traffic_selector_responder.replace(value).is_some(),
            Payload::Configuration(value) => self.configuration.replace(value).is_some(),
            Payload::Eap(value) => self.eap.replace(value).is_some(),
            Payload::Notify(value) => {
                self.notifies.push(value);
                false
            }
            Payload::Delete(value) => {
                self.deletes.push(value);
                false
            }
            Payload::Certificate(_)
            | Payload::CertificateRequest(_)
            | Payload::VendorId(_)
            | Payload::Unknown { .. } => false,
        };
        if repeated { Err(MessageError::Repeated(kind)) } else { Ok(()) }
    }
}

/// A payload that the table required.
pub(super) fn need<T>(value: Option<T>, kind: PayloadType) -> Result<T, MessageError> {
    value.ok_or(MessageError::Missing(kind))
}

/// A request's proposals, which start at number 1.
pub(super) fn need_offer(value: Option<SecurityAssociation>) -> Result<SecurityAssociation, MessageError> {
    let offer = need(value, PayloadType::SECURITY_ASSOCIATION)?;
    if offer.is_numbered_as_offer() {
        Ok(offer)
    } else {
        Err(DecodeError::Value { field: "first proposal number", at: 0 }.into())
    }
}
