mod answering;
mod closing;
mod fragments;
#[cfg(feature = "daemon")]
mod handover;
mod keeping;
mod mobike;
mod one_way;
mod path_probe;
mod peer;
mod unauthentic;

use std::time::Duration;

use crate::ike::action::{DropReason, Event, Failure};
use crate::ike::v2::message::{Delete, Informational, notify::Notify};
use crate::ike::wire::registry::{ExchangeType, NotifyType, ProtocolId};

use peer::Seen;

const INFORMATIONAL: ExchangeType = ExchangeType::INFORMATIONAL;
const CREATE_CHILD_SA: ExchangeType = ExchangeType::CREATE_CHILD_SA;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn saying(kind: NotifyType) -> Informational {
    Informational { notifies: vec![Notify::new(kind)], ..Informational::default() }
}

fn deletes(protocol: ProtocolId, spis: &[u32]) -> Informational {
    Informational { deletes: vec![Delete { protocol, spis: spis.to_vec() }], ..Informational::default() }
}

fn request(message_id: u32, content: Informational) -> Seen {
    Seen::Sent { response: false, message_id, exchange: INFORMATIONAL, content }
}

fn response(message_id: u32, content: Informational) -> Seen {
    Seen::Sent { response: true, message_id, exchange: INFORMATIONAL, content }
}

fn ended(failure: Failure) -> Seen {
    Seen::Event(Event::Ended(failure))
}

fn dropped(reason: DropReason) -> Seen {
    Seen::Event(Event::Dropped(reason))
}
