//! CREATE_CHILD_SA (RFC 7296 §1.3, appendix C.3 to C.5): a peer's request, as far as it can be understood without policy.

use crate::ike::v2::message::{
    KeyExchange, MessageError, Nonce, Payload, SecurityAssociation, TrafficSelectors,
    notify::Notify,
    payload::parse_all,
    table::{Table, need, need_offer},
};
use crate::ike::wire::{
    chain::RawPayload,
    error::DecodeError,
    registry::{NotifyType, PayloadType, ProtocolId},
};

const IKE: Table = Table {
    required: &[PayloadType::SECURITY_ASSOCIATION, PayloadType::NONCE, PayloadType::KEY_EXCHANGE],
    optional: &[],
};

const CHILD: Table = Table {
    required: &[
        PayloadType::SECURITY_ASSOCIATION,
        PayloadType::NONCE,
        PayloadType::TRAFFIC_SELECTOR_INITIATOR,
        PayloadType::TRAFFIC_SELECTOR_RESPONDER,
    ],
    optional: &[PayloadType::KEY_EXCHANGE, PayloadType::CONFIGURATION],
};

/// What the peer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateChildRequest {
    /// Which of the three requests it is.
    pub kind: CreateChildKind,
    /// What is offered.
    pub security_association: SecurityAssociation,
    /// Ni.
    pub nonce: Nonce,
    /// KEi; always there when the IKE SA is rekeyed.
    pub key_exchange: Option<KeyExchange>,
    /// All notifies.
    pub notifies: Vec<Notify>,
}

/// The three requests of CREATE_CHILD_SA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateChildKind {
    /// Another IKE SA in place of this one (RFC 7296 §1.3.2).
    RekeyIke,
    /// Another child in place of one (RFC 7296 §1.3.3).
    RekeyChild {
        /// Which child.
        rekeyed: RekeyedSa,
        /// TSi: the peer's side.
        traffic_selector_initiator: TrafficSelectors,
        /// TSr: our side.
        traffic_selector_responder: TrafficSelectors,
    },
    /// One child more (RFC 7296 §1.3.1).
    NewChild {
        /// TSi: the peer's side.
        traffic_selector_initiator: TrafficSelectors,
        /// TSr: our side.
        traffic_selector_responder: TrafficSelectors,
    },
}

/// The child that REKEY_SA names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RekeyedSa {
    /// ESP or AH, nothing else.
    pub protocol: ChildProtocol,
    /// As the peer receives on it: what we send with.
    pub spi: u32,
}

/// The protocols that a child SA can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildProtocol {
    /// AH.
    Ah,
    /// ESP.
    Esp,
}

impl ChildProtocol {
    /// Its number.
    pub const fn id(self) -> ProtocolId {
        match self {
            Self::Ah => ProtocolId::AH,
            Self::Esp => ProtocolId::ESP,
        }
    }
}

impl CreateChildRequest {
    /// From the payloads that were inside the Encrypted payload.
    pub fn parse(raw: &[RawPayload<'_>]) -> Result<Self, MessageError> {
        let payloads = parse_all(raw)?;
        let for_child = payloads.iter().any(is_of_child);
        let sorted = if for_child { CHILD.admit(payloads)? } else { IKE.admit(payloads)? };
        let security_association = need_offer(sorted.security_association)?;
        let rekeyed = rekeyed_sa(&sorted.notifies)?;
        let kind = match (for_child, rekeyed) {
            (false, None) => {
                names_spis(&security_association)?;
                CreateChildKind::RekeyIke
            }
            (false, Some(_)) => return Err(MessageError::Missing(PayloadType::TRAFFIC_SELECTOR_INITIATOR)),
            (true, rekeyed) => {
                let traffic_selector_initiator =
                    need(sorted.traffic_selector_initiator, PayloadType::TRAFFIC_SELECTOR_INITIATOR)?;
                let traffic_selector_responder =
                    need(sorted.traffic_selector_responder, PayloadType::TRAFFIC_SELECTOR_RESPONDER)?;
                match rekeyed {
                    Some(rekeyed) => {
                        CreateChildKind::RekeyChild { rekeyed, traffic_selector_initiator, traffic_selector_responder }
                    }
                    None => CreateChildKind::NewChild { traffic_selector_initiator, traffic_selector_responder },
                }
            }
        };
        Ok(Self {
            kind,
            security_association,
            nonce: need(sorted.nonce, PayloadType::NONCE)?,
            key_exchange: sorted.key_exchange,
            notifies: sorted.notifies,
        })
    }
}

/// RFC 7296 §1.3.3: REKEY_SA names the child by its protocol and the SPI that the sender receives on.
fn rekeyed_sa(notifies: &[Notify]) -> Result<Option<RekeyedSa>, MessageError> {
    let mut named = notifies.iter().filter(|notify| notify.kind == NotifyType::REKEY_SA);
    let Some(notify) = named.next() else { return Ok(None) };
    if named.next().is_some() {
        return Err(MessageError::Repeated(PayloadType::NOTIFY));
    }
    let protocol = match notify.protocol {
        ProtocolId::AH => ChildProtocol::Ah,
        ProtocolId::ESP => ChildProtocol::Esp,
        _ => return Err(DecodeError::Value { field: "REKEY_SA protocol", at: 0 }.into()),
    };
    let spi = <[u8; 4]>::try_from(notify.spi.as_slice())
        .map_err(|_| DecodeError::Value { field: "REKEY_SA SPI size", at: 0 })?;
    Ok(Some(RekeyedSa { protocol, spi: u32::from_be_bytes(spi) }))
}

/// Traffic selectors, or a proposal for something else than an IKE SA.
fn is_of_child(payload: &Payload) -> bool {
    match payload {
        Payload::TrafficSelectorInitiator(_) | Payload::TrafficSelectorResponder(_) => true,
        Payload::SecurityAssociation(offer) => offer.proposals.iter().any(|one| one.protocol != ProtocolId::IKE),
        _ => false,
    }
}

/// RFC 7296 §1.3.2: a proposal for another IKE SA holds its initiator's SPI.
fn names_spis(offer: &SecurityAssociation) -> Result<(), MessageError> {
    if offer.proposals.iter().all(|proposal| proposal.spi.len() == 8) {
        Ok(())
    } else {
        Err(DecodeError::Value { field: "SPI size of a proposal for an IKE SA", at: 0 }.into())
    }
}
