//! XAUTH (draft-beaulieu-ike-xauth-02): after phase 1 the gateway asks for a name and a password, and says whether they are right.
//! The password is given once; nothing else of the gateway's is answered before it said yes.

use crate::crypto::secret::Secret;
use crate::ike::action::{DropReason, Event, Failure, Phase};
use crate::ike::context::Context;
use crate::ike::profile::Xauth;
use crate::ike::v1::answers::{Answers, Transaction, kind};
use crate::ike::v1::header::ExchangeType;
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::ike::v1::message::Attributes;
use crate::ike::v1::mode_config::AwaitConfiguration;
use crate::ike::v1::opening::proof::Ending;
use crate::ike::v1::opening::{Attempt, Datagram, Next, Stage, ending, farewell};
use crate::ike::v1::text;

const TYPE: u16 = 16520;
const USER_NAME: u16 = 16521;
const USER_PASSWORD: u16 = 16522;
const PASSCODE: u16 = 16523;
const MESSAGE: u16 = 16524;
const CHALLENGE: u16 = 16525;
const DOMAIN: u16 = 16526;
const STATUS: u16 = 16527;
const NEXT_PIN: u16 = 16528;
const ANSWER: u16 = 16529;

/// STATUS: it failed, or it did not.
const FAIL: [u8; 2] = [0, 0];
const OK: [u8; 2] = [0, 1];

/// Requests that are answered: a gateway may ask for the name first and the password then.
const MOST_ROUNDS: u32 = 8;

/// Waits until the gateway took our name and password.
pub(super) struct AwaitUser {
    pub(super) sa: IsakmpSa,
    rounds: u32,
    password_given: bool,
    /// The gateway's last words; untrusted, bounded.
    message: Option<String>,
}

/// What the gateway wants.
enum Asked {
    /// Values for these attributes.
    Values(Vec<u16>),
    /// Something that needs more than a name and a password; what, for people.
    More(&'static str),
}

/// A message for us, as it is meant.
enum Admitted {
    Request(Transaction),
    Status(Transaction, [u8; 2]),
    Ending(Ending),
}

impl AwaitUser {
    pub(super) fn start(ctx: &mut Context<'_>, attempt: &mut Attempt, sa: IsakmpSa) -> Next {
        attempt.wait(ctx, Phase::Xauth);
        Next::Wait(Stage::User(Box::new(Self { sa, rounds: 0, password_given: false, message: None })))
    }

    pub(super) fn handle(
        self: Box<Self>,
        ctx: &mut Context<'_>,
        attempt: &mut Attempt,
        datagram: &Datagram<'_>,
    ) -> Next {
        match self.admit(attempt, datagram) {
            Ok(Admitted::Request(transaction)) => self.answer(ctx, attempt, datagram, &transaction),
            Ok(Admitted::Status(transaction, status)) => self.settle(ctx, attempt, datagram, &transaction, status),
            Ok(Admitted::Ending(ending)) => self.take_ending(ctx, attempt, ending),
            Err(reason) => {
                ctx.dropped(reason);
                Next::Wait(Stage::User(self))
            }
        }
    }

    fn admit(&self, attempt: &Attempt, datagram: &Datagram<'_>) -> Result<Admitted, DropReason> {
        if datagram.header.exchange == ExchangeType::INFORMATIONAL {
            return ending(&self.sa, datagram).map(Admitted::Ending);
        }
        let transaction = attempt.answers.admit(&self.sa, &datagram.header, datagram.rest)?;
        match transaction.attributes.kind {
            _ if is_request(&transaction.attributes) => Ok(Admitted::Request(transaction)),
            kind::SET => {
                let status = value(&transaction.attributes, STATUS).and_then(|status| <[u8; 2]>::try_from(status).ok());
                let status = status.ok_or(DropReason::Unacceptable)?;
                Ok(Admitted::Status(transaction, status))
            }
            _ => Err(DropReason::Unacceptable),
        }
    }

    fn answer(
        mut self: Box<Self>,
        ctx: &mut Context<'_>,
        attempt: &mut Attempt,
        datagram: &Datagram<'_>,
        transaction: &Transaction,
    ) -> Next {
        let settings = attempt.settings.clone();
        let Some(xauth) = &settings.xauth else { return self.fail(ctx, Failure::XauthWanted) };
        self.listen(&transaction.attributes);
        self.rounds = self.rounds.saturating_add(1);
        let asked = match asked(&transaction.attributes) {
            Asked::Values(values) if values.contains(&USER_PASSWORD) || values.contains(&PASSCODE) => {
                // A second time would be a second failure in the account's count.
                if self.password_given {
                    Asked::More("the gateway asks for the password again")
                } else {
                    Asked::Values(values)
                }
            }
            asked => asked,
        };
        let (attributes, refusal) = match asked {
            Asked::Values(_) if self.rounds > MOST_ROUNDS => {
                (vec![(STATUS, FAIL.to_vec())], Some("the gateway asks on and on"))
            }
            Asked::Values(values) => {
                self.password_given |= values.contains(&USER_PASSWORD) || values.contains(&PASSCODE);
                (reply(xauth, &transaction.attributes, &values), None)
            }
            // draft-beaulieu-ike-xauth-02 §3.2: who cannot do what is asked for says so in its reply.
            Asked::More(what) => (vec![(STATUS, FAIL.to_vec())], Some(what)),
        };
        if attempt.answers.reply(ctx, &mut self.sa, (transaction, datagram.message), kind::REPLY, attributes).is_none()
        {
            return self.fail(ctx, Failure::Unsendable { phase: Phase::Xauth });
        }
        if let Some(what) = refusal {
            let message = self.message.take().map_or_else(|| what.to_owned(), |said| format!("{what}: {said}"));
            return self.fail(ctx, Failure::XauthRefused { user: xauth.user.clone(), message: Some(message) });
        }
        attempt.wait(ctx, Phase::Xauth);
        Next::Wait(Stage::User(self))
    }

    fn settle(
        mut self: Box<Self>,
        ctx: &mut Context<'_>,
        attempt: &mut Attempt,
        datagram: &Datagram<'_>,
        transaction: &Transaction,
        status: [u8; 2],
    ) -> Next {
        self.listen(&transaction.attributes);
        let acknowledged = vec![(STATUS, status.to_vec())];
        if attempt.answers.reply(ctx, &mut self.sa, (transaction, datagram.message), kind::ACK, acknowledged).is_none()
        {
            return self.fail(ctx, Failure::Unsendable { phase: Phase::Xauth });
        }
        let user = attempt.settings.xauth.as_ref().map(|xauth| xauth.user.clone()).unwrap_or_default();
        if status != OK {
            let message = self.message.take();
            return self.fail(ctx, Failure::XauthRefused { user, message });
        }
        ctx.event(Event::UserAccepted { user });
        AwaitConfiguration::start(ctx, attempt, self.sa)
    }

    fn take_ending(mut self: Box<Self>, ctx: &mut Context<'_>, attempt: &mut Attempt, ending: Ending) -> Next {
        match ending {
            Ending::Deleted if self.password_given => {
                let user = attempt.settings.xauth.as_ref().map(|xauth| xauth.user.clone()).unwrap_or_default();
                Next::Failed(Failure::XauthRefused { user, message: self.message.take() })
            }
            Ending::Deleted => Next::Failed(Failure::ClosedByPeer),
            Ending::Error(error) => {
                attempt.refused(ctx, Failure::Refused { phase: Phase::Xauth, notify: error.to_string() });
                Next::Wait(Stage::User(self))
            }
        }
    }

    fn listen(&mut self, attributes: &Attributes) {
        if let Some(message) = value(attributes, MESSAGE) {
            self.message = Some(text::untrusted(message));
        }
    }

    fn fail(mut self: Box<Self>, ctx: &mut Context<'_>, failure: Failure) -> Next {
        farewell(ctx, &mut self.sa);
        Next::Failed(failure)
    }
}

/// Whether a message is XAUTH's and not Mode Config's.
pub(super) fn is_xauth(attributes: &Attributes) -> bool {
    attributes.attributes.iter().any(|(kind, _)| (TYPE..=ANSWER).contains(kind))
}

/// Whether the gateway asks for a name or a password.
pub(super) fn is_request(attributes: &Attributes) -> bool {
    attributes.kind == kind::REQUEST && is_xauth(attributes)
}

/// Says that we do not do it.
pub(super) fn refuse(
    ctx: &mut Context<'_>,
    sa: &mut IsakmpSa,
    answers: &mut Answers,
    transaction: &Transaction,
    message: &[u8],
) {
    // Whether it could be said makes no difference.
    let _ = answers.reply(ctx, sa, (transaction, message), kind::REPLY, vec![(STATUS, FAIL.to_vec())]);
}

/// The status that a SET brings, as it is acknowledged.
pub(super) fn status(attributes: &Attributes) -> Option<(u16, Vec<u8>)> {
    value(attributes, STATUS).map(|status| (STATUS, status.to_vec()))
}

fn asked(request: &Attributes) -> Asked {
    // Without one it is generic: a name and a password (draft-beaulieu-ike-xauth-02 §6).
    if value(request, TYPE).is_some_and(|kind| kind.iter().any(|octet| *octet != 0)) {
        return Asked::More("the gateway asks for another kind of authentication than a name and a password");
    }
    let kinds: Vec<u16> = request.attributes.iter().map(|(kind, _)| *kind).collect();
    for (kind, what) in [
        (CHALLENGE, "the gateway asks for the answer to a challenge"),
        (NEXT_PIN, "the gateway asks for a new PIN"),
        (ANSWER, "the gateway asks a question"),
    ] {
        if kinds.contains(&kind) {
            return Asked::More(what);
        }
    }
    Asked::Values(kinds)
}

/// The values that are asked for, in their order; what is not known is left out.
fn reply(xauth: &Xauth, request: &Attributes, asked: &[u16]) -> Vec<(u16, Vec<u8>)> {
    let mut values = Vec::new();
    for kind in asked {
        if values.iter().any(|(given, _)| given == kind) {
            continue;
        }
        let answer = match *kind {
            TYPE => value(request, TYPE).unwrap_or_default().to_vec(),
            USER_NAME => xauth.user.as_bytes().to_vec(),
            USER_PASSWORD | PASSCODE => exposed(&xauth.password),
            DOMAIN => Vec::new(),
            _ => continue,
        };
        values.push((*kind, answer));
    }
    values
}

fn exposed(secret: &Secret) -> Vec<u8> {
    secret.expose().to_vec()
}

fn value(attributes: &Attributes, wanted: u16) -> Option<&[u8]> {
    attributes.attributes.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| value.as_slice())
}
