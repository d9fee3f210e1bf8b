//! Which payloads a message must have and may have; checked before anything looks at one of them.

use crate::ike::v1::header::PayloadType;
use crate::ike::v1::message::{
    Attributes, Delete, Identification, Notify,
    chain::{Chain, Raw, split},
    security_association::check_domain,
};
use crate::ike::wire::error::DecodeError;

/// Numbers that belong to whoever uses them (RFC 2408 §3.1).
const FIRST_PRIVATE: PayloadType = PayloadType(128);

/// The payloads of one message. Vendor IDs may always be there.
pub(super) struct Table {
    /// Exactly one of each.
    pub(super) required: &'static [PayloadType],
    /// At most one of each.
    pub(super) optional: &'static [PayloadType],
    /// Any number of each.
    pub(super) several: &'static [PayloadType],
    /// What happens to the private kinds that nobody knows.
    pub(super) private: Private,
}

/// What to do with a payload of an unknown private kind.
pub(super) enum Private {
    /// Phase 1: others' payloads come before it is known what we understand.
    Skipped,
    /// RFC 2408 §5.3.
    Refused,
}

/// Payloads by kind: in the order in which they came. What has a place only once is there at most once.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) sa: Option<Vec<u8>>,
    pub(super) key_exchange: Option<Vec<u8>>,
    pub(super) nonce: Option<Vec<u8>>,
    pub(super) hash: Option<Vec<u8>>,
    pub(super) attributes: Option<Attributes>,
    pub(super) identifications: Vec<Identification>,
    pub(super) nat_detection: Vec<Vec<u8>>,
    pub(super) vendor_ids: Vec<Vec<u8>>,
    pub(super) notifies: Vec<Notify>,
    pub(super) deletes: Vec<Delete>,
    /// Where the chain ends.
    pub(super) end: usize,
}

impl Table {
    /// Reads the chain that begins with a payload of kind `first`, sorts it, and refuses what does not belong.
    pub(super) fn read(&self, first: PayloadType, octets: &[u8]) -> Result<Sorted, DecodeError> {
        let Chain { payloads, end } = split(first, octets)?;
        self.check(&payloads, end)?;
        let mut sorted = Sorted { end, ..Sorted::default() };
        for payload in payloads {
            sorted.put(payload)?;
        }
        Ok(sorted)
    }

    fn check(&self, payloads: &[Raw<'_>], end: usize) -> Result<(), DecodeError> {
        for (place, payload) in payloads.iter().enumerate() {
            let kind = payload.kind;
            let once = self.required.contains(&kind) || self.optional.contains(&kind);
            let repeated = once && payloads.iter().take(place).any(|before| before.kind == kind);
            if repeated || !(once || self.allows_any_number(kind)) {
                return Err(unusable(kind, payload.at));
            }
        }
        match self.required.iter().find(|kind| payloads.iter().all(|payload| payload.kind != **kind)) {
            Some(missing) => Err(unusable(*missing, end)),
            None => Ok(()),
        }
    }

    fn allows_any_number(&self, kind: PayloadType) -> bool {
        let skipped = matches!(self.private, Private::Skipped)
            && kind >= FIRST_PRIVATE
            // Reassembled messages have none, others are not read here.
            && kind != PayloadType::FRAGMENT;
        kind == PayloadType::VENDOR_ID || self.several.contains(&kind) || skipped
    }
}

impl Sorted {
    /// Where the table has a place for a kind once, it was there once.
    fn put(&mut self, payload: Raw<'_>) -> Result<(), DecodeError> {
        let Raw { kind, body, at } = payload;
        match kind {
            PayloadType::SECURITY_ASSOCIATION => {
                check_domain(body, at)?;
                self.sa = Some(body.to_vec());
            }
            PayloadType::NONCE => {
                check_nonce(body, at)?;
                self.nonce = Some(body.to_vec());
            }
            PayloadType::KEY_EXCHANGE => self.key_exchange = Some(body.to_vec()),
            PayloadType::HASH => self.hash = Some(body.to_vec()),
            PayloadType::ATTRIBUTES => self.attributes = Some(Attributes::read(body, at)?),
            PayloadType::IDENTIFICATION => self.identifications.push(Identification::read(body, at)?),
            PayloadType::NAT_DETECTION => self.nat_detection.push(body.to_vec()),
            PayloadType::VENDOR_ID => self.vendor_ids.push(body.to_vec()),
            PayloadType::NOTIFY => self.notifies.push(Notify::read(body, at)?),
            PayloadType::DELETE => self.deletes.push(Delete::read(body, at)?),
            // NAT-OA is of transport mode, CR of certificates, the rest of nobody: never looked into.
            _ => {}
        }
        Ok(())
    }

    /// The only identity of a phase 1 message.
    pub(super) fn phase1_identification(&mut self) -> Result<Identification, DecodeError> {
        let end = self.end;
        let sole = self.identifications.pop();
        sole.filter(Identification::is_of_phase_1).ok_or(unusable(PayloadType::IDENTIFICATION, end))
    }

    /// A payload that the table required.
    pub(super) fn need<T>(&self, value: Option<T>, kind: PayloadType) -> Result<T, DecodeError> {
        value.ok_or(unusable(kind, self.end))
    }
}

/// RFC 2409 §5: 8 to 256 octets.
pub(super) fn check_nonce(body: &[u8], at: usize) -> Result<(), DecodeError> {
    if (8..=256).contains(&body.len()) { Ok(()) } else { Err(DecodeError::Value { field: "nonce length", at }) }
}

/// A payload that is missing, there twice, or has no place.
pub(super) const fn unusable(kind: PayloadType, at: usize) -> DecodeError {
    DecodeError::Value { field: kind.name(), at }
}
