//! CREATE_CHILD_SA (RFC 7296 §1.3, appendix C.3 to C.5): requests and answers of either side, as far as they can be understood without policy.

use crate::ike::v2::message::{
    KeyExchange, MessageError, Nonce, Payload, SecurityAssociation, TrafficSelectors,
    notify::{Notify, first_error},
    payload::{parse_all, write_contents},
    table::{Table, need, need_offer},
};
use crate::ike::wire::{
    chain::{Contents, RawPayload},
    error::{DecodeError, EncodeError},
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

impl CreateChildRequest {
    /// The payloads to be protected, in the order of appendix C.3 to C.5.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        let rekeyed = match &self.kind {
            CreateChildKind::RekeyChild { rekeyed, .. } => Some(rekeyed.notify(NotifyType::REKEY_SA)),
            CreateChildKind::RekeyIke | CreateChildKind::NewChild { .. } => None,
        };
        let selectors = match &self.kind {
            CreateChildKind::RekeyIke => None,
            CreateChildKind::RekeyChild { traffic_selector_initiator, traffic_selector_responder, .. }
            | CreateChildKind::NewChild { traffic_selector_initiator, traffic_selector_responder } => {
                Some((traffic_selector_initiator.clone(), traffic_selector_responder.clone()))
            }
        };
        let notifies = rekeyed.iter().chain(&self.notifies).cloned().map(Payload::Notify);
        let mut payloads: Vec<Payload> = notifies.collect();
        let key_exchange = self.key_exchange.as_ref();
        payloads.extend(body(&self.security_association, &self.nonce, key_exchange, selectors.as_ref()));
        write_contents(&payloads)
    }
}

impl RekeyedSa {
    /// A notify about this SA: REKEY_SA, or CHILD_SA_NOT_FOUND, which repeats it as it was given (RFC 7296 §2.25).
    pub fn notify(&self, kind: NotifyType) -> Notify {
        Notify { protocol: self.protocol.id(), spi: self.spi.to_be_bytes().to_vec(), ..Notify::new(kind) }
    }
}

/// What came back for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateChildResponse {
    /// An error, known or unknown: there is no new SA (RFC 7296 §3.10.1).
    Refused(Notify),
    /// A new SA.
    Made(Box<CreateChildAnswer>),
}

/// A new SA, as its responder describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateChildAnswer {
    /// What is chosen.
    pub security_association: SecurityAssociation,
    /// Nr.
    pub nonce: Nonce,
    /// KEr; always there when the IKE SA is rekeyed.
    pub key_exchange: Option<KeyExchange>,
    /// TSi and TSr; always there for a child, never for an IKE SA.
    pub selectors: Option<(TrafficSelectors, TrafficSelectors)>,
    /// All notifies.
    pub notifies: Vec<Notify>,
}

/// Which kind of SA a response is about: what had been asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// An IKE SA.
    Ike,
    /// A child SA.
    Child,
}

impl CreateChildResponse {
    /// From the payloads that were inside the Encrypted payload.
    pub fn parse(raw: &[RawPayload<'_>], made: Made) -> Result<Self, MessageError> {
        let payloads = parse_all(raw)?;
        let notifies: Vec<Notify> = payloads
            .iter()
            .filter_map(|payload| if let Payload::Notify(notify) = payload { Some(notify.clone()) } else { None })
            .collect();
        if let Some(error) = first_error(&notifies) {
            return Ok(Self::Refused(error.clone()));
        }
        let sorted = match made {
            Made::Ike => IKE.admit(payloads)?,
            Made::Child => CHILD.admit(payloads)?,
        };
        let selectors = sorted.traffic_selector_initiator.zip(sorted.traffic_selector_responder);
        Ok(Self::Made(Box::new(CreateChildAnswer {
            security_association: need(sorted.security_association, PayloadType::SECURITY_ASSOCIATION)?,
            nonce: need(sorted.nonce, PayloadType::NONCE)?,
            key_exchange: sorted.key_exchange,
            selectors,
            notifies: sorted.notifies,
        })))
    }
}

impl CreateChildAnswer {
    /// The payloads to be protected.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        let notifies = self.notifies.iter().cloned().map(Payload::Notify);
        let key_exchange = self.key_exchange.as_ref();
        let body = body(&self.security_association, &self.nonce, key_exchange, self.selectors.as_ref());
        write_contents(&notifies.chain(body).collect::<Vec<_>>())
    }
}

fn body(
    security_association: &SecurityAssociation,
    nonce: &Nonce,
    key_exchange: Option<&KeyExchange>,
    selectors: Option<&(TrafficSelectors, TrafficSelectors)>,
) -> Vec<Payload> {
    let mut payloads = vec![Payload::SecurityAssociation(security_association.clone()), Payload::Nonce(nonce.clone())];
    payloads.extend(key_exchange.cloned().map(Payload::KeyExchange));
    if let Some((initiator, responder)) = selectors {
        payloads.push(Payload::TrafficSelectorInitiator(initiator.clone()));
        payloads.push(Payload::TrafficSelectorResponder(responder.clone()));
    }
    payloads
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
