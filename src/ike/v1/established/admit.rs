//! What a datagram is, found out without changing anything: nothing comes from here that its hash does not vouch for, but for hints.

use crate::ike::action::DropReason;
use crate::ike::v1::answers::Transaction;
use crate::ike::v1::established::Established;
use crate::ike::v1::established::quick_modes::Name;
use crate::ike::v1::header::{Cookies, ExchangeType, Header};
use crate::ike::v1::informational::{self, News};
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::ike::v1::message::Informational;
use crate::ike::v1::notify::NotifyKind;
use crate::ike::v1::quick_mode::{Answer, Request};
use crate::sa::path::Path;

/// The only major number there is here (RFC 2408 §3.1).
const MAJOR: u8 = 1;

/// What a datagram is.
pub(super) enum Admitted {
    /// It was answered, and comes again.
    Repeated { cookies: Cookies },
    /// A transaction exchange: Mode Config or XAUTH.
    Transaction { cookies: Cookies, transaction: Box<Transaction> },
    /// It belongs to the opening that is to replace the current SA.
    Renewal,
    /// Not protected: perhaps a reason to ask. The error it claims.
    Hint(Option<String>),
    /// The second message of a quick mode of ours.
    Answer { exchange: Name, answer: Box<Answer> },
    /// The first message of a quick mode of the gateway's.
    Request { cookies: Cookies, request: Box<Request> },
    /// The third.
    Confirmation { exchange: Name },
    /// An informational exchange.
    News { cookies: Cookies, message_id: u32, news: Vec<News> },
}

impl Established {
    pub(super) fn admit(&self, path: Path, message: &[u8]) -> Result<Admitted, DropReason> {
        let (header, rest) = Header::parse(message).map_err(|_| DropReason::Malformed)?;
        if header.major != MAJOR {
            return Err(DropReason::MajorVersion);
        }
        let Some(association) = self.association(header.cookies) else {
            return if self.renewal.owns(header.cookies) { Ok(Admitted::Renewal) } else { Err(DropReason::NotOurs) };
        };
        // RFC 3947 §4: after the change of ports, messages on the old ones are dropped. The port may be another: a NAT need not keep it.
        let ours = association.sa.path;
        if path.remote.ip() == ours.remote.ip() && association.answers.knows(message) {
            // Before the change, too: the gateway that repeats aggressive mode's second message has not seen our third.
            return Ok(Admitted::Repeated { cookies: header.cookies });
        }
        if path.remote.ip() != ours.remote.ip() || path.framing != ours.framing {
            return Err(DropReason::WrongAddress);
        }
        if !header.flags.encrypted {
            return unprotected(&header, rest);
        }
        if header.message_id == 0 {
            return Err(DropReason::NotOurs);
        }
        match header.exchange {
            ExchangeType::QUICK_MODE => self.admit_quick_mode(&association.sa, &header, rest),
            ExchangeType::INFORMATIONAL => self.admit_informational(&association.sa, &header, rest),
            ExchangeType::TRANSACTION => {
                let transaction = Box::new(association.answers.admit(&association.sa, &header, rest)?);
                Ok(Admitted::Transaction { cookies: header.cookies, transaction })
            }
            _ => Err(DropReason::NotOurs),
        }
    }

    fn admit_quick_mode(&self, sa: &IsakmpSa, header: &Header, rest: &[u8]) -> Result<Admitted, DropReason> {
        let cookies = header.cookies;
        let exchange = Name { cookies, message_id: header.message_id };
        if let Some(ours) = self.quick_modes.ours(exchange) {
            let answer = Box::new(ours.admit(sa, header, rest)?);
            return Ok(Admitted::Answer { exchange, answer });
        }
        if let Some(theirs) = self.quick_modes.theirs(exchange) {
            theirs.confirm(sa, header, rest)?;
            return Ok(Admitted::Confirmation { exchange });
        }
        // RFC 2409 §5.5: a message ID names one exchange.
        if sa.knows_message_id(header.message_id) {
            return Err(DropReason::OutsideWindow);
        }
        let request = Box::new(Request::admit(sa, header, rest)?);
        Ok(Admitted::Request { cookies, request })
    }

    /// RFC 2409 §5.7: protected by HASH(1), in a chain of its own.
    fn admit_informational(&self, sa: &IsakmpSa, header: &Header, rest: &[u8]) -> Result<Admitted, DropReason> {
        let (cookies, message_id) = (header.cookies, header.message_id);
        // RFC 2408 §3.1: CONNECTED has the message ID of the quick mode that it ends; every other has one of its own.
        if sa.knows_message_id(message_id) && !self.quick_modes.is_finished(Name { cookies, message_id }) {
            return Err(DropReason::OutsideWindow);
        }
        let news = informational::read(sa, header, rest)?;
        Ok(Admitted::News { cookies, message_id, news })
    }
}

/// Deletes, errors and signs of life in clear are not believed (RFC 2409 §5.7, RFC 3706 §5.2).
fn unprotected(header: &Header, rest: &[u8]) -> Result<Admitted, DropReason> {
    if header.exchange != ExchangeType::INFORMATIONAL {
        return Err(DropReason::Unauthenticated);
    }
    let news = Informational::parse(header.next_payload, rest).map_err(|_| DropReason::Malformed)?;
    let error = news.notifies.iter().map(|notify| NotifyKind(notify.kind)).find(|kind| kind.is_error());
    Ok(Admitted::Hint(error.map(|kind| kind.to_string())))
}
