//! INFORMATIONAL (RFC 7296 §1.4, appendix C.6): what stands inside the Encrypted payload, of requests and responses alike.

use crate::ike::v2::message::{
    Configuration, Delete, MessageError, Payload,
    notify::Notify,
    payload::{parse_all, write_contents},
    table::Table,
};
use crate::ike::wire::{
    chain::{Contents, RawPayload},
    error::EncodeError,
    registry::PayloadType,
};

const TABLE: Table = Table { required: &[], optional: &[PayloadType::DELETE, PayloadType::CONFIGURATION] };

/// Notifies, deletes and configuration; nothing at all asks for, or gives, a sign of life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Informational {
    /// In order.
    pub notifies: Vec<Notify>,
    /// In order.
    pub deletes: Vec<Delete>,
    /// CP.
    pub configuration: Option<Configuration>,
}

impl Informational {
    /// From the payloads that were inside the Encrypted payload.
    pub fn parse(raw: &[RawPayload<'_>]) -> Result<Self, MessageError> {
        let sorted = TABLE.admit(parse_all(raw)?)?;
        Ok(Self { notifies: sorted.notifies, deletes: sorted.deletes, configuration: sorted.configuration })
    }

    /// The payloads to be protected.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        let notifies = self.notifies.iter().cloned().map(Payload::Notify);
        let deletes = self.deletes.iter().cloned().map(Payload::Delete);
        let configuration = self.configuration.iter().cloned().map(Payload::Configuration);
        write_contents(&notifies.chain(deletes).chain(configuration).collect::<Vec<_>>())
    }
}
