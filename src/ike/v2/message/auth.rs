//! IKE_AUTH with a shared key (RFC 7296 §1.2, §2.19, appendix C.2): what stands inside the Encrypted payload.

use crate::ike::v2::message::{
    Authentication, Configuration, Identification, MessageError, Payload, SecurityAssociation, TrafficSelectors,
    notify::Notify,
    payload::{parse_all, write_contents},
    table::{Sorted, Table, need, need_offer},
};
use crate::ike::wire::{
    chain::{Contents, RawPayload},
    error::EncodeError,
    registry::{NotifyType, PayloadType},
};

const REQUEST: Table = Table {
    required: &[
        PayloadType::IDENTIFICATION_INITIATOR,
        PayloadType::AUTHENTICATION,
        PayloadType::SECURITY_ASSOCIATION,
        PayloadType::TRAFFIC_SELECTOR_INITIATOR,
        PayloadType::TRAFFIC_SELECTOR_RESPONDER,
    ],
    optional: &[
        PayloadType::IDENTIFICATION_RESPONDER,
        PayloadType::CONFIGURATION,
        PayloadType::CERTIFICATE,
        PayloadType::CERTIFICATE_REQUEST,
    ],
};

const ACCEPTED: Table = Table {
    required: &[
        PayloadType::IDENTIFICATION_RESPONDER,
        PayloadType::AUTHENTICATION,
        PayloadType::SECURITY_ASSOCIATION,
        PayloadType::TRAFFIC_SELECTOR_INITIATOR,
        PayloadType::TRAFFIC_SELECTOR_RESPONDER,
    ],
    optional: &[PayloadType::CONFIGURATION, PayloadType::CERTIFICATE],
};

const CHILD_REFUSED: Table = Table {
    required: &[PayloadType::IDENTIFICATION_RESPONDER, PayloadType::AUTHENTICATION, PayloadType::NOTIFY],
    optional: &[
        PayloadType::SECURITY_ASSOCIATION,
        PayloadType::TRAFFIC_SELECTOR_INITIATOR,
        PayloadType::TRAFFIC_SELECTOR_RESPONDER,
        PayloadType::CONFIGURATION,
        PayloadType::CERTIFICATE,
    ],
};

const REFUSED: Table = Table {
    required: &[PayloadType::NOTIFY],
    optional: &[
        PayloadType::IDENTIFICATION_RESPONDER,
        PayloadType::AUTHENTICATION,
        PayloadType::SECURITY_ASSOCIATION,
        PayloadType::TRAFFIC_SELECTOR_INITIATOR,
        PayloadType::TRAFFIC_SELECTOR_RESPONDER,
        PayloadType::CONFIGURATION,
        PayloadType::CERTIFICATE,
    ],
};

/// The initiator's proof and the first child's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthRequest {
    /// IDi.
    pub initiator: Identification,
    /// IDr: whom we want to talk to, if that is said.
    pub responder: Option<Identification>,
    /// AUTH.
    pub authentication: Authentication,
    /// CP(CFG_REQUEST).
    pub configuration: Option<Configuration>,
    /// SAi2.
    pub security_association: SecurityAssociation,
    /// TSi.
    pub traffic_selector_initiator: TrafficSelectors,
    /// TSr.
    pub traffic_selector_responder: TrafficSelectors,
    /// INITIAL_CONTACT, what concerns the child, announcements. Written where appendix C.2 puts each.
    pub notifies: Vec<Notify>,
}

impl AuthRequest {
    /// The payloads to be protected, in the order of RFC 7296 appendix C.2.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        let notifies = |place: Place| {
            let chosen = self.notifies.iter().filter(move |notify| Place::of(notify.kind) == place);
            chosen.cloned().map(Payload::Notify)
        };
        let mut payloads = vec![Payload::IdentificationInitiator(self.initiator.clone())];
        payloads.extend(notifies(Place::AfterIdentity));
        payloads.extend(self.responder.clone().map(Payload::IdentificationResponder));
        payloads.push(Payload::Authentication(self.authentication.clone()));
        // RFC 7296 §2.19: CP comes before SA.
        payloads.extend(self.configuration.clone().map(Payload::Configuration));
        payloads.extend(notifies(Place::BeforeChild));
        payloads.push(Payload::SecurityAssociation(self.security_association.clone()));
        payloads.push(Payload::TrafficSelectorInitiator(self.traffic_selector_initiator.clone()));
        payloads.push(Payload::TrafficSelectorResponder(self.traffic_selector_responder.clone()));
        payloads.extend(notifies(Place::Last));
        write_contents(&payloads)
    }

    /// From payloads: a peer's request, as simulated gateways see it.
    pub fn parse(raw: &[RawPayload<'_>]) -> Result<Self, MessageError> {
        let sorted = REQUEST.admit(parse_all(raw)?)?;
        Ok(Self {
            initiator: need(sorted.identification_initiator, PayloadType::IDENTIFICATION_INITIATOR)?,
            responder: sorted.identification_responder,
            authentication: need(sorted.authentication, PayloadType::AUTHENTICATION)?,
            configuration: sorted.configuration,
            security_association: need_offer(sorted.security_association)?,
            traffic_selector_initiator: need(
                sorted.traffic_selector_initiator,
                PayloadType::TRAFFIC_SELECTOR_INITIATOR,
            )?,
            traffic_selector_responder: need(
                sorted.traffic_selector_responder,
                PayloadType::TRAFFIC_SELECTOR_RESPONDER,
            )?,
            notifies: sorted.notifies,
        })
    }
}

/// Where appendix C.2 puts a notify.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    AfterIdentity,
    BeforeChild,
    Last,
}

impl Place {
    const fn of(kind: NotifyType) -> Self {
        match kind {
            NotifyType::INITIAL_CONTACT => Self::AfterIdentity,
            NotifyType::IPCOMP_SUPPORTED
            | NotifyType::USE_TRANSPORT_MODE
            | NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED
            | NotifyType::NON_FIRST_FRAGMENTS_ALSO => Self::BeforeChild,
            _ => Self::Last,
        }
    }
}

/// The answer to our proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthResponse {
    /// The responder's proof, to be checked, with the child or its refusal.
    Proof(Box<AuthProof>),
    /// The responder wants EAP: whatever else the message holds, it is no answer to a shared key (RFC 7296 §2.16).
    Eap,
    /// The IKE SA is refused.
    Refused {
        /// Why.
        error: Notify,
        /// All notifies, the error too.
        notifies: Vec<Notify>,
    },
}

/// All that a response has that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthProof {
    /// IDr.
    pub responder: Identification,
    /// AUTH, to be checked.
    pub authentication: Authentication,
    /// CP.
    pub configuration: Option<Configuration>,
    /// The first child.
    pub child: ChildAnswer,
    /// All notifies.
    pub notifies: Vec<Notify>,
}

/// What became of the first child. Believed only after the proof was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChildAnswer {
    /// It was accepted.
    Accepted {
        /// SAr2: the choice.
        security_association: SecurityAssociation,
        /// TSi: our side.
        traffic_selector_initiator: TrafficSelectors,
        /// TSr: the responder's side.
        traffic_selector_responder: TrafficSelectors,
    },
    /// It was refused; the IKE SA stands (RFC 7296 §2.21.2).
    Refused {
        /// Why.
        error: Notify,
    },
}

impl AuthResponse {
    /// From the payloads that were inside the Encrypted payload.
    pub fn parse(raw: &[RawPayload<'_>]) -> Result<Self, MessageError> {
        let payloads = parse_all(raw)?;
        if payloads.iter().any(|payload| payload.kind() == PayloadType::EAP) {
            return Ok(Self::Eap);
        }
        let proves = payloads.iter().any(|payload| payload.kind() == PayloadType::AUTHENTICATION);
        let error = payloads.iter().find_map(|payload| match payload {
            Payload::Notify(notify) if notify.kind.is_error() => Some(notify.clone()),
            _ => None,
        });
        match error {
            None => Self::accepted(ACCEPTED.admit(payloads)?),
            Some(error) if proves && leaves_ike_sa(error.kind) => {
                Self::child_refused(CHILD_REFUSED.admit(payloads)?, error)
            }
            Some(error) => Ok(Self::Refused { error, notifies: REFUSED.admit(payloads)?.notifies }),
        }
    }

    /// The payloads to be protected, in the order of RFC 7296 appendix C.2: what simulated gateways send.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        let mut payloads = Vec::new();
        match self {
            Self::Proof(proof) => {
                payloads.push(Payload::IdentificationResponder(proof.responder.clone()));
                payloads.push(Payload::Authentication(proof.authentication.clone()));
                payloads.extend(proof.configuration.clone().map(Payload::Configuration));
                if let ChildAnswer::Accepted {
                    security_association,
                    traffic_selector_initiator,
                    traffic_selector_responder,
                } = &proof.child
                {
                    payloads.push(Payload::SecurityAssociation(security_association.clone()));
                    payloads.push(Payload::TrafficSelectorInitiator(traffic_selector_initiator.clone()));
                    payloads.push(Payload::TrafficSelectorResponder(traffic_selector_responder.clone()));
                }
                payloads.extend(proof.notifies.iter().cloned().map(Payload::Notify));
            }
            Self::Eap => return Err(EncodeError::Unwritable),
            Self::Refused { notifies, .. } => payloads.extend(notifies.iter().cloned().map(Payload::Notify)),
        }
        write_contents(&payloads)
    }

    fn accepted(sorted: Sorted) -> Result<Self, MessageError> {
        Ok(Self::Proof(Box::new(AuthProof {
            responder: need(sorted.identification_responder, PayloadType::IDENTIFICATION_RESPONDER)?,
            authentication: need(sorted.authentication, PayloadType::AUTHENTICATION)?,
            configuration: sorted.configuration,
            child: ChildAnswer::Accepted {
                security_association: need(sorted.security_association, PayloadType::SECURITY_ASSOCIATION)?,
                traffic_selector_initiator: need(
                    sorted.traffic_selector_initiator,
                    PayloadType::TRAFFIC_SELECTOR_INITIATOR,
                )?,
                traffic_selector_responder: need(
                    sorted.traffic_selector_responder,
                    PayloadType::TRAFFIC_SELECTOR_RESPONDER,
                )?,
            },
            notifies: sorted.notifies,
        })))
    }

    fn child_refused(sorted: Sorted, error: Notify) -> Result<Self, MessageError> {
        Ok(Self::Proof(Box::new(AuthProof {
            responder: need(sorted.identification_responder, PayloadType::IDENTIFICATION_RESPONDER)?,
            authentication: need(sorted.authentication, PayloadType::AUTHENTICATION)?,
            configuration: sorted.configuration,
            child: ChildAnswer::Refused { error },
            notifies: sorted.notifies,
        })))
    }
}

/// Whether an error beside a proof is about the child only (RFC 7296 §2.21.2). These four are about the message or the proof itself.
const fn leaves_ike_sa(error: NotifyType) -> bool {
    !matches!(
        error,
        NotifyType::AUTHENTICATION_FAILED
            | NotifyType::INVALID_SYNTAX
            | NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD
            | NotifyType::INVALID_MAJOR_VERSION
    )
}
