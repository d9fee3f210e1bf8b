//! IKE_SA_INIT (RFC 7296 §1.2, appendix C.1). Nothing in these messages is authenticated.

use crate::ike::v2::message::{
    KeyExchange, MessageError, Nonce, Payload, SecurityAssociation, notify,
    notify::Notify,
    payload::{parse_all, write_contents},
    table::{Table, need, need_offer},
};
use crate::ike::wire::{
    chain::{Contents, Outer, RawPayload},
    error::EncodeError,
    header::{Flags, Header},
    registry::{ExchangeType, NotifyType, PayloadType},
};
use crate::sa::spi::IkeSpi;

const REQUEST: Table = Table {
    required: &[PayloadType::SECURITY_ASSOCIATION, PayloadType::KEY_EXCHANGE, PayloadType::NONCE],
    optional: &[],
};

const ACCEPTED: Table = Table {
    required: &[PayloadType::SECURITY_ASSOCIATION, PayloadType::KEY_EXCHANGE, PayloadType::NONCE],
    optional: &[PayloadType::CERTIFICATE_REQUEST],
};

const NOTIFIED: Table = Table {
    required: &[PayloadType::NOTIFY],
    optional: &[
        PayloadType::SECURITY_ASSOCIATION,
        PayloadType::KEY_EXCHANGE,
        PayloadType::NONCE,
        PayloadType::CERTIFICATE_REQUEST,
    ],
};

/// The first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaInitRequest {
    /// What the responder asked to have repeated; goes first.
    pub cookie: Option<Vec<u8>>,
    /// What is offered.
    pub security_association: SecurityAssociation,
    /// The public value for the group that is guessed to be chosen.
    pub key_exchange: KeyExchange,
    /// Ni.
    pub nonce: Nonce,
    /// NAT detection and announcements, after the nonce in this order.
    pub notifies: Vec<Notify>,
}

impl SaInitRequest {
    /// The whole message (RFC 7296 §2.6: with a cookie all else stays as it was).
    pub fn message(&self, initiator_spi: IkeSpi) -> Result<Vec<u8>, EncodeError> {
        let header = Header {
            initiator_spi,
            responder_spi: None,
            next_payload: PayloadType::NONE,
            major: 2,
            minor: 0,
            exchange: ExchangeType::IKE_SA_INIT,
            flags: Flags { initiator: true, response: false },
            message_id: 0,
        };
        header.message(&self.contents()?)
    }

    /// The payloads.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        let cookie = self.cookie.as_ref().map(|cookie| Notify::new(NotifyType::COOKIE).with_data(cookie.clone()));
        let mut payloads: Vec<Payload> = cookie.map(Payload::Notify).into_iter().collect();
        payloads.push(Payload::SecurityAssociation(self.security_association.clone()));
        payloads.push(Payload::KeyExchange(self.key_exchange.clone()));
        payloads.push(Payload::Nonce(self.nonce.clone()));
        payloads.extend(self.notifies.iter().cloned().map(Payload::Notify));
        write_contents(&payloads)
    }

    /// From payloads: a peer's request, as simulated gateways see it.
    pub fn parse(raw: &[RawPayload<'_>]) -> Result<Self, MessageError> {
        let sorted = REQUEST.admit(parse_all(raw)?)?;
        let (cookies, notifies): (Vec<Notify>, Vec<Notify>) =
            sorted.notifies.into_iter().partition(|notify| notify.kind == NotifyType::COOKIE);
        if cookies.len() > 1 {
            return Err(MessageError::Repeated(PayloadType::NOTIFY));
        }
        Ok(Self {
            cookie: cookies.into_iter().next().map(|notify| notify.data),
            security_association: need_offer(sorted.security_association)?,
            key_exchange: need(sorted.key_exchange, PayloadType::KEY_EXCHANGE)?,
            nonce: need(sorted.nonce, PayloadType::NONCE)?,
            notifies,
        })
    }
}

/// The answer to the first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaInitResponse {
    /// The responder chose.
    Accepted(Box<SaInitAccepted>),
    /// The responder wants a cookie, another group, or refuses.
    Notified(SaInitNotified),
}

/// All that a response has that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaInitAccepted {
    /// What was chosen; whether it is one of what was offered is not known here.
    pub security_association: SecurityAssociation,
    /// The responder's public value.
    pub key_exchange: KeyExchange,
    /// Nr.
    pub nonce: Nonce,
    /// NAT detection and announcements; none of them an error.
    pub notifies: Vec<Notify>,
}

/// All that a response has that does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaInitNotified {
    /// At least one.
    pub notifies: Vec<Notify>,
}

impl SaInitNotified {
    /// A cookie of 1 to 64 octets (RFC 7296 §2.6).
    pub fn cookie(&self) -> Option<&[u8]> {
        let cookie = notify::find(&self.notifies, NotifyType::COOKIE)?;
        (1..=64).contains(&cookie.data.len()).then_some(cookie.data.as_slice())
    }

    /// The number of the group that INVALID_KE_PAYLOAD asks for; exactly two octets (RFC 7296 §1.2).
    pub fn wanted_group(&self) -> Option<u16> {
        let invalid = notify::find(&self.notifies, NotifyType::INVALID_KE_PAYLOAD)?;
        <[u8; 2]>::try_from(invalid.data.as_slice()).ok().map(u16::from_be_bytes)
    }

    /// The first error, if there is one.
    pub fn error(&self) -> Option<NotifyType> {
        notify::first_error(&self.notifies).map(|notify| notify.kind)
    }
}

impl SaInitResponse {
    /// From the payloads of a datagram; nothing in it may be protected.
    pub fn parse(outer: &Outer<'_>) -> Result<Self, MessageError> {
        if outer.protected.is_some() {
            return Err(MessageError::Unexpected(PayloadType::ENCRYPTED));
        }
        let payloads = parse_all(&outer.clear)?;
        let chooses = payloads.iter().any(|payload| payload.kind() == PayloadType::SECURITY_ASSOCIATION);
        let refuses =
            payloads.iter().any(|payload| matches!(payload, Payload::Notify(notify) if notify.kind.is_error()));
        // RFC 7296 §3.10.1: with an error, known or not, the request failed.
        if refuses || (!chooses && !payloads.is_empty()) {
            let sorted = NOTIFIED.admit(payloads)?;
            return Ok(Self::Notified(SaInitNotified { notifies: sorted.notifies }));
        }
        let sorted = ACCEPTED.admit(payloads)?;
        Ok(Self::Accepted(Box::new(SaInitAccepted {
            security_association: need(sorted.security_association, PayloadType::SECURITY_ASSOCIATION)?,
            key_exchange: need(sorted.key_exchange, PayloadType::KEY_EXCHANGE)?,
            nonce: need(sorted.nonce, PayloadType::NONCE)?,
            notifies: sorted.notifies,
        })))
    }

    /// The payloads: what simulated gateways send.
    pub fn contents(&self) -> Result<Contents, EncodeError> {
        let payloads: Vec<Payload> = match self {
            Self::Accepted(accepted) => [
                Payload::SecurityAssociation(accepted.security_association.clone()),
                Payload::KeyExchange(accepted.key_exchange.clone()),
                Payload::Nonce(accepted.nonce.clone()),
            ]
            .into_iter()
            .chain(accepted.notifies.iter().cloned().map(Payload::Notify))
            .collect(),
            Self::Notified(notified) => notified.notifies.iter().cloned().map(Payload::Notify).collect(),
        };
        write_contents(&payloads)
    }
}
