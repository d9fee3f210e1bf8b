//! The messages of main and aggressive mode (RFC 2409 §5.4). What only a gateway reads or writes is there for tests.

use crate::ike::v1::header::PayloadType;
use crate::ike::v1::message::{
    Identification, Notify,
    chain::{Part, join},
    table::{Private, Table, check_nonce},
};
use crate::ike::v1::vendor::NatTraversal;
use crate::ike::wire::{
    chain::Contents,
    error::{DecodeError, EncodeError},
};

const PROPOSAL: Table = Table {
    required: &[PayloadType::SECURITY_ASSOCIATION],
    optional: &[],
    several: &[PayloadType::NOTIFY, PayloadType::CERTIFICATE_REQUEST],
    private: Private::Skipped,
};

const KEYS: Table = Table {
    required: &[PayloadType::KEY_EXCHANGE, PayloadType::NONCE],
    optional: &[],
    several: &[PayloadType::NAT_DETECTION, PayloadType::NOTIFY, PayloadType::CERTIFICATE_REQUEST],
    private: Private::Skipped,
};

const AUTH: Table = Table {
    required: &[PayloadType::IDENTIFICATION, PayloadType::HASH],
    optional: &[],
    several: &[PayloadType::NOTIFY, PayloadType::CERTIFICATE_REQUEST],
    private: Private::Skipped,
};

const OPENING: Table = Table {
    required: &[
        PayloadType::SECURITY_ASSOCIATION,
        PayloadType::KEY_EXCHANGE,
        PayloadType::NONCE,
        PayloadType::IDENTIFICATION,
    ],
    optional: &[],
    several: &[PayloadType::NOTIFY, PayloadType::CERTIFICATE_REQUEST],
    private: Private::Skipped,
};

const ANSWER: Table = Table {
    required: &[
        PayloadType::SECURITY_ASSOCIATION,
        PayloadType::KEY_EXCHANGE,
        PayloadType::NONCE,
        PayloadType::IDENTIFICATION,
        PayloadType::HASH,
    ],
    optional: &[],
    several: &[PayloadType::NAT_DETECTION, PayloadType::NOTIFY, PayloadType::CERTIFICATE_REQUEST],
    private: Private::Skipped,
};

const PROOF: Table = Table {
    required: &[PayloadType::HASH],
    optional: &[],
    several: &[PayloadType::NAT_DETECTION, PayloadType::NOTIFY],
    private: Private::Skipped,
};

/// First and second message of main mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MainModeProposal {
    /// The body of the SA payload, as it travels: it is hashed later (RFC 2409 §5).
    pub sa: Vec<u8>,
    /// Vendor IDs.
    pub vendor_ids: Vec<Vec<u8>>,
}

impl MainModeProposal {
    /// Reads a chain of payloads that begins with one of kind `first`. Padding after the last payload is allowed.
    pub fn parse(first: PayloadType, octets: &[u8]) -> Result<Self, DecodeError> {
        let mut sorted = PROPOSAL.read(first, octets)?;
        let sa = sorted.sa.take();
        Ok(Self { sa: sorted.need(sa, PayloadType::SECURITY_ASSOCIATION)?, vendor_ids: sorted.vendor_ids })
    }

    /// The chain of payloads.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        let mut parts = vec![(PayloadType::SECURITY_ASSOCIATION, self.sa.clone())];
        parts.extend(all(PayloadType::VENDOR_ID, &self.vendor_ids));
        join(&parts)
    }
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

impl MainModeKeys {
    /// Reads a chain of payloads that begins with one of kind `first`. Padding after the last payload is allowed.
    pub fn parse(first: PayloadType, octets: &[u8]) -> Result<Self, DecodeError> {
        let mut sorted = KEYS.read(first, octets)?;
        let (key_exchange, nonce) = (sorted.key_exchange.take(), sorted.nonce.take());
        Ok(Self {
            key_exchange: sorted.need(key_exchange, PayloadType::KEY_EXCHANGE)?,
            nonce: sorted.need(nonce, PayloadType::NONCE)?,
            nat_detection: sorted.nat_detection,
            vendor_ids: sorted.vendor_ids,
        })
    }

    /// The chain of payloads, for a peer that knows RFC 3947.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        self.contents_for(NatTraversal::Rfc3947)
    }

    /// The chain of payloads: NAT detection has another number in the drafts.
    pub(in crate::ike::v1) fn contents_for(&self, nat_traversal: NatTraversal) -> Result<Contents, EncodeError> {
        let mut parts = vec![(PayloadType::KEY_EXCHANGE, self.key_exchange.clone()), nonce(&self.nonce)?];
        parts.extend(all(nat_traversal.detection_payload(), &self.nat_detection));
        parts.extend(all(PayloadType::VENDOR_ID, &self.vendor_ids));
        join(&parts)
    }
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

impl MainModeAuth {
    /// Reads a chain of payloads that begins with one of kind `first`. Padding after the last payload is allowed.
    pub fn parse(first: PayloadType, octets: &[u8]) -> Result<Self, DecodeError> {
        let mut sorted = AUTH.read(first, octets)?;
        let identification = sorted.phase1_identification()?;
        let hash = sorted.hash.take();
        Ok(Self {
            identification_body: identification.body(),
            identification,
            hash: sorted.need(hash, PayloadType::HASH)?,
            notifies: sorted.notifies,
            vendor_ids: sorted.vendor_ids,
        })
    }

    /// The chain of payloads.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        let mut parts =
            vec![(PayloadType::IDENTIFICATION, self.identification.body()), (PayloadType::HASH, self.hash.clone())];
        parts.extend(notifies(&self.notifies)?);
        parts.extend(all(PayloadType::VENDOR_ID, &self.vendor_ids));
        join(&parts)
    }
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

impl AggressiveOpening {
    /// Reads a chain of payloads that begins with one of kind `first`. Padding after the last payload is allowed.
    pub fn parse(first: PayloadType, octets: &[u8]) -> Result<Self, DecodeError> {
        let mut sorted = OPENING.read(first, octets)?;
        let identification = sorted.phase1_identification()?;
        let (sa, key_exchange, nonce) = (sorted.sa.take(), sorted.key_exchange.take(), sorted.nonce.take());
        Ok(Self {
            sa: sorted.need(sa, PayloadType::SECURITY_ASSOCIATION)?,
            key_exchange: sorted.need(key_exchange, PayloadType::KEY_EXCHANGE)?,
            nonce: sorted.need(nonce, PayloadType::NONCE)?,
            identification,
            vendor_ids: sorted.vendor_ids,
        })
    }

    /// The chain of payloads.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        let mut parts = vec![
            (PayloadType::SECURITY_ASSOCIATION, self.sa.clone()),
            (PayloadType::KEY_EXCHANGE, self.key_exchange.clone()),
            nonce(&self.nonce)?,
            (PayloadType::IDENTIFICATION, self.identification.body()),
        ];
        parts.extend(all(PayloadType::VENDOR_ID, &self.vendor_ids));
        join(&parts)
    }
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

impl AggressiveAnswer {
    /// Reads a chain of payloads that begins with one of kind `first`. Padding after the last payload is allowed.
    pub fn parse(first: PayloadType, octets: &[u8]) -> Result<Self, DecodeError> {
        let mut sorted = ANSWER.read(first, octets)?;
        let identification = sorted.phase1_identification()?;
        let (sa, key_exchange, nonce) = (sorted.sa.take(), sorted.key_exchange.take(), sorted.nonce.take());
        let hash = sorted.hash.take();
        Ok(Self {
            sa: sorted.need(sa, PayloadType::SECURITY_ASSOCIATION)?,
            key_exchange: sorted.need(key_exchange, PayloadType::KEY_EXCHANGE)?,
            nonce: sorted.need(nonce, PayloadType::NONCE)?,
            identification_body: identification.body(),
            identification,
            hash: sorted.need(hash, PayloadType::HASH)?,
            nat_detection: sorted.nat_detection,
            vendor_ids: sorted.vendor_ids,
            notifies: sorted.notifies,
        })
    }

    /// The chain of payloads.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        let mut parts = vec![
            (PayloadType::SECURITY_ASSOCIATION, self.sa.clone()),
            (PayloadType::KEY_EXCHANGE, self.key_exchange.clone()),
            nonce(&self.nonce)?,
            (PayloadType::IDENTIFICATION, self.identification.body()),
            (PayloadType::HASH, self.hash.clone()),
        ];
        parts.extend(all(PayloadType::NAT_DETECTION, &self.nat_detection));
        parts.extend(all(PayloadType::VENDOR_ID, &self.vendor_ids));
        parts.extend(notifies(&self.notifies)?);
        join(&parts)
    }
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

impl AggressiveProof {
    /// Reads a chain of payloads that begins with one of kind `first`. Padding after the last payload is allowed.
    pub fn parse(first: PayloadType, octets: &[u8]) -> Result<Self, DecodeError> {
        let mut sorted = PROOF.read(first, octets)?;
        let hash = sorted.hash.take();
        Ok(Self {
            hash: sorted.need(hash, PayloadType::HASH)?,
            nat_detection: sorted.nat_detection,
            notifies: sorted.notifies,
        })
    }

    /// The chain of payloads, for a peer that knows RFC 3947.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        self.contents_for(NatTraversal::Rfc3947)
    }

    /// The chain of payloads: NAT detection has another number in the drafts.
    pub(in crate::ike::v1) fn contents_for(&self, nat_traversal: NatTraversal) -> Result<Contents, EncodeError> {
        let mut parts = vec![(PayloadType::HASH, self.hash.clone())];
        parts.extend(all(nat_traversal.detection_payload(), &self.nat_detection));
        parts.extend(notifies(&self.notifies)?);
        join(&parts)
    }
}

fn all(kind: PayloadType, bodies: &[Vec<u8>]) -> impl Iterator<Item = Part> {
    bodies.iter().map(move |body| (kind, body.clone()))
}

pub(super) fn nonce(octets: &[u8]) -> Result<Part, EncodeError> {
    check_nonce(octets, 0).map_err(|_| EncodeError::Unwritable)?;
    Ok((PayloadType::NONCE, octets.to_vec()))
}

pub(super) fn notifies(notifies: &[Notify]) -> Result<Vec<Part>, EncodeError> {
    notifies.iter().map(|notify| Ok((PayloadType::NOTIFY, notify.body()?))).collect()
}
