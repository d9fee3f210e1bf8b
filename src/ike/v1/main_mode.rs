//! Main mode as initiator (RFC 2409 §5.4): three requests, each a state that waits for its answer. Identities and proofs are encrypted.
//! Nobody is authenticated before the sixth message; an answer that is no use is dropped, and the right one is still waited for.

use crate::crypto::dh::{EphemeralSecret, HalfOpenError, HalfOpenSecret};
use crate::ike::action::{DropReason, Failure, Phase};
use crate::ike::context::Context;
use crate::ike::nat;
use crate::ike::profile::Profile;
use crate::ike::v1::header::ExchangeType;
use crate::ike::v1::informational;
use crate::ike::v1::message::{Identification, Informational, MainModeAuth, MainModeKeys, MainModeProposal};
use crate::ike::v1::notify::NotifyKind;
use crate::ike::v1::opening::negotiation::{
    Agreed, Offered, admit_values, authentication_refused, errors_in_clear, nat_detection, nonce, proposal_refused,
    take_errors, tell_suite,
};
use crate::ike::v1::opening::proof::{self, Ending, Proven, Verdict, initial_contact};
use crate::ike::v1::opening::secrets::{Secrets, Sent};
use crate::ike::v1::opening::{Attempt, Datagram, Next, Stage, farewell};
use crate::ike::v1::vendor;
use crate::sa::spi::IkeSpi;

/// Waits for the second message: the gateway's choice.
#[derive(Debug)]
pub(super) struct AwaitProposal {
    offered: Offered,
}

/// Waits for the fourth: its public value.
#[derive(Debug)]
pub(super) struct AwaitKeys {
    pub(super) agreed: Agreed,
    sa: Vec<u8>,
    secret: HalfOpenSecret,
    nonce: Vec<u8>,
}

/// Waits for the sixth: its identity and proof.
#[derive(Debug)]
pub(super) struct AwaitProof {
    pub(super) agreed: Agreed,
    secrets: Secrets,
}

/// The second message, worth an answer.
enum Choice {
    Agreed(IkeSpi, Agreed),
    Errors(Vec<NotifyKind>),
}

/// The fourth.
enum Keys {
    Values(Box<MainModeKeys>),
    Errors(Vec<NotifyKind>),
}

/// The sixth.
enum Proof {
    Judged(Box<Verdict>),
    /// In clear: anyone may have sent them.
    Errors(Vec<NotifyKind>),
    /// From someone who has the key.
    Refused(NotifyKind),
    Deleted,
    /// Encrypted, but not by our keys: as by a gateway that has another pre-shared key.
    Unreadable,
}

impl AwaitProposal {
    /// Sends the first message.
    pub(super) fn start(ctx: &mut Context<'_>, attempt: &mut Attempt) -> Next {
        let offered = Offered::new(ctx.profile, ctx.profile.ike_offers.clone(), attempt.method());
        let vendor_ids = vendor::ours(ctx.profile, attempt.settings.xauth.is_some());
        let contents = MainModeProposal { sa: offered.sa.clone(), vendor_ids }.contents().ok();
        let message = contents.and_then(|contents| attempt.in_clear(ExchangeType::MAIN_MODE, &contents));
        let Some(message) = message else {
            return Next::Failed(Failure::Unsendable { phase: Phase::MainModeProposal });
        };
        attempt.send(ctx, Phase::MainModeProposal, message);
        Next::Wait(Stage::Proposal(Self { offered }))
    }

    pub(super) fn handle(self, ctx: &mut Context<'_>, attempt: &mut Attempt, datagram: &Datagram<'_>) -> Next {
        match self.admit(attempt, datagram) {
            Ok(Choice::Agreed(cookie, agreed)) => self.advance(ctx, attempt, datagram, cookie, agreed),
            Ok(Choice::Errors(errors)) => {
                take_errors(ctx, attempt, &errors, |profile, error| {
                    (error == NotifyKind::NO_PROPOSAL_CHOSEN)
                        .then(|| proposal_refused(profile, Phase::MainModeProposal))
                });
                Next::Wait(Stage::Proposal(self))
            }
            Err(reason) => {
                ctx.dropped(reason);
                Next::Wait(Stage::Proposal(self))
            }
        }
    }

    fn admit(&self, attempt: &Attempt, datagram: &Datagram<'_>) -> Result<Choice, DropReason> {
        if datagram.header.exchange == ExchangeType::INFORMATIONAL {
            return errors_in_clear(datagram).map(Choice::Errors);
        }
        datagram.admit_in_clear(ExchangeType::MAIN_MODE)?;
        let cookie = datagram.header.cookies.responder.filter(|cookie| *cookie != attempt.cookies.initiator);
        let cookie = cookie.ok_or(DropReason::Unacceptable)?;
        let message = MainModeProposal::parse(datagram.header.next_payload, datagram.rest);
        let message = message.map_err(|_| DropReason::Malformed)?;
        Ok(Choice::Agreed(cookie, self.offered.agree(&message.sa, &message.vendor_ids)?))
    }

    fn advance(
        self,
        ctx: &mut Context<'_>,
        attempt: &mut Attempt,
        datagram: &Datagram<'_>,
        cookie: IkeSpi,
        agreed: Agreed,
    ) -> Next {
        let Some(nat_traversal) = agreed.capabilities.nat_traversal else {
            ctx.dropped(DropReason::Unacceptable);
            attempt.refused(ctx, Failure::NoEncapsulation { phase: Phase::MainModeProposal });
            return Next::Wait(Stage::Proposal(self));
        };
        attempt.cookies.responder = Some(cookie);
        attempt.learn(ctx.profile, agreed.capabilities);
        let secret = EphemeralSecret::generate(agreed.suite.group, ctx.random).into_half_open();
        let nonce = nonce(ctx);
        let cookies = (attempt.cookies.initiator.to_octets(), cookie.to_octets());
        let keys = MainModeKeys {
            key_exchange: secret.public().to_vec(),
            nonce: nonce.clone(),
            nat_detection: nat_detection(ctx, agreed.suite, cookies, attempt.path),
            vendor_ids: Vec::new(),
        };
        let message = keys
            .contents_for(nat_traversal)
            .ok()
            .and_then(|contents| attempt.in_clear(ExchangeType::MAIN_MODE, &contents));
        let Some(message) = message else { return Next::Failed(Failure::Unsendable { phase: Phase::MainModeKeys }) };
        let datagrams = attempt.send(ctx, Phase::MainModeKeys, message);
        attempt.answers.keep(datagram.message, attempt.path, datagrams);
        Next::Wait(Stage::Keys(AwaitKeys { agreed, sa: self.offered.sa, secret, nonce }))
    }
}

impl AwaitKeys {
    pub(super) fn handle(mut self, ctx: &mut Context<'_>, attempt: &mut Attempt, datagram: &Datagram<'_>) -> Next {
        let admitted = self.admit(datagram).and_then(|keys| match keys {
            Keys::Values(values) => self.open(ctx.profile, attempt, &values).map(|secrets| Some((values, secrets))),
            Keys::Errors(errors) => {
                take_errors(ctx, attempt, &errors, refusal_of_keys);
                Ok(None)
            }
        });
        match admitted {
            Ok(Some((values, secrets))) => self.advance(ctx, attempt, datagram, *values, secrets),
            Ok(None) => Next::Wait(Stage::Keys(self)),
            Err(reason) => {
                ctx.dropped(reason);
                Next::Wait(Stage::Keys(self))
            }
        }
    }

    fn admit(&self, datagram: &Datagram<'_>) -> Result<Keys, DropReason> {
        if datagram.header.exchange == ExchangeType::INFORMATIONAL {
            return errors_in_clear(datagram).map(Keys::Errors);
        }
        datagram.admit_in_clear(ExchangeType::MAIN_MODE)?;
        let message = MainModeKeys::parse(datagram.header.next_payload, datagram.rest);
        let message = message.map_err(|_| DropReason::Malformed)?;
        let theirs = (message.key_exchange.as_slice(), message.nonce.as_slice());
        admit_values(self.agreed.suite, (self.secret.public(), &self.nonce), theirs)?;
        Ok(Keys::Values(Box::new(message)))
    }

    /// Keys with a peer that may be anyone; a number of times only.
    fn open(&mut self, profile: &Profile, attempt: &Attempt, values: &MainModeKeys) -> Result<Secrets, DropReason> {
        let shared = self.secret.agree(&values.key_exchange).map_err(|error| match error {
            HalfOpenError::InvalidPublic => DropReason::Unacceptable,
            HalfOpenError::Exhausted => DropReason::Bounded,
        })?;
        let sent = Sent {
            cookies: attempt.both_cookies().ok_or(DropReason::NotOurs)?,
            publics: (self.secret.public().to_vec(), values.key_exchange.clone()),
            nonces: (self.nonce.clone(), values.nonce.clone()),
            sa: self.sa.clone(),
            id: Identification::of(&profile.local_identity).body(),
        };
        Secrets::derive(self.agreed.suite, &profile.psk, &shared, sent).ok_or(DropReason::Unacceptable)
    }

    fn advance(
        mut self,
        ctx: &mut Context<'_>,
        attempt: &mut Attempt,
        datagram: &Datagram<'_>,
        values: MainModeKeys,
        mut secrets: Secrets,
    ) -> Next {
        let suite = self.agreed.suite;
        let cookies = secrets.cookies();
        tell_suite(ctx, Phase::MainModeProposal, suite, cookies, (attempt.path, &values.nat_detection));
        self.agreed.capabilities.learn(&values.vendor_ids);
        attempt.learn(ctx.profile, self.agreed.capabilities);
        // RFC 3947 §4: from the fifth message on.
        attempt.path = nat::floated(attempt.path, ctx.profile.encapsulation_port);
        let identification = Identification::of(&ctx.profile.local_identity);
        let auth = MainModeAuth {
            identification_body: identification.body(),
            identification,
            hash: secrets.prove(),
            notifies: if ctx.profile.initial_contact { initial_contact(attempt.cookies).notifies } else { Vec::new() },
            vendor_ids: Vec::new(),
        };
        let message =
            auth.contents().ok().and_then(|contents| secrets.seal(&attempt.header(ExchangeType::MAIN_MODE), &contents));
        let Some(message) = message else { return Next::Failed(Failure::Unsendable { phase: Phase::MainModeAuth }) };
        let datagrams = attempt.send(ctx, Phase::MainModeAuth, message);
        attempt.answers.keep(datagram.message, attempt.path, datagrams);
        Next::Wait(Stage::Proof(AwaitProof { agreed: self.agreed, secrets }))
    }
}

/// A gateway that has no key for us says so here.
fn refusal_of_keys(profile: &Profile, error: NotifyKind) -> Option<Failure> {
    let is_refusal =
        [NotifyKind::INVALID_KEY_INFORMATION, NotifyKind::AUTHENTICATION_FAILED, NotifyKind::INVALID_ID_INFORMATION];
    if error == NotifyKind::NO_PROPOSAL_CHOSEN {
        return Some(proposal_refused(profile, Phase::MainModeKeys));
    }
    is_refusal.contains(&error).then(|| authentication_refused(profile, Phase::MainModeKeys))
}

impl AwaitProof {
    pub(super) fn handle(self, ctx: &mut Context<'_>, attempt: &mut Attempt, datagram: &Datagram<'_>) -> Next {
        match self.admit(attempt, datagram) {
            Ok(proof) => self.advance(ctx, attempt, proof),
            Err(reason) => {
                ctx.dropped(reason);
                Next::Wait(Stage::Proof(self))
            }
        }
    }

    fn admit(&self, attempt: &Attempt, datagram: &Datagram<'_>) -> Result<Proof, DropReason> {
        let header = &datagram.header;
        if header.exchange == ExchangeType::INFORMATIONAL {
            if !header.flags.encrypted {
                return errors_in_clear(datagram).map(Proof::Errors);
            }
            return self.admit_informational(attempt, datagram);
        }
        datagram.admit_encrypted(ExchangeType::MAIN_MODE)?;
        let (octets, next_iv) = self.secrets.open(datagram.rest)?;
        // What does not look like a message was not encrypted by these keys.
        let message = MainModeAuth::parse(header.next_payload, &octets).map_err(|_| DropReason::Forged)?;
        let claim = proof::Claim {
            identification: &message.identification,
            body: &message.identification_body,
            hash: &message.hash,
        };
        let verdict = proof::judge(&self.secrets, claim, next_iv);
        Ok(Proof::Judged(Box::new(verdict)))
    }

    /// RFC 2409 §5.7: with HASH(1), as soon as there is SKEYID.
    fn admit_informational(&self, attempt: &Attempt, datagram: &Datagram<'_>) -> Result<Proof, DropReason> {
        match self.secrets.open_informational(&datagram.header, datagram.rest) {
            Ok((first, octets)) => {
                let message = Informational::parse(first, &octets).map_err(|_| DropReason::Malformed)?;
                match proof::ending(attempt.cookies, &informational::news(attempt.cookies, &message))? {
                    Ending::Deleted => Ok(Proof::Deleted),
                    Ending::Error(error) => Ok(Proof::Refused(error)),
                }
            }
            Err(DropReason::Forged) => Ok(Proof::Unreadable),
            Err(reason) => Err(reason),
        }
    }

    fn advance(self, ctx: &mut Context<'_>, attempt: &mut Attempt, proof: Proof) -> Next {
        match proof {
            Proof::Judged(verdict) => match *verdict {
                Verdict::Proven(proven) => return self.stand(ctx, attempt, *proven),
                Verdict::Wrong(identity) => {
                    ctx.dropped(DropReason::Forged);
                    attempt.doubts(Failure::PeerAuthenticationFailed { phase: Phase::MainModeAuth, identity });
                }
            },
            Proof::Errors(errors) => take_errors(ctx, attempt, &errors, |profile, _| {
                Some(authentication_refused(profile, Phase::MainModeAuth))
            }),
            Proof::Unreadable => {
                ctx.dropped(DropReason::Forged);
                attempt.hint("a message that our keys do not open".to_owned());
                let failure = authentication_refused(ctx.profile, Phase::MainModeAuth);
                attempt.refused(ctx, failure);
            }
            Proof::Refused(error) => return Next::Failed(refusal_of_proof(ctx.profile, error)),
            Proof::Deleted => return Next::Failed(authentication_refused(ctx.profile, Phase::MainModeAuth)),
        }
        Next::Wait(Stage::Proof(self))
    }

    fn stand(self, ctx: &mut Context<'_>, attempt: &mut Attempt, proven: Proven) -> Next {
        let identity = proven.admit_identity(ctx.profile);
        let mut sa = proof::isakmp_sa(ctx, attempt, self.agreed, self.secrets, proven);
        match identity {
            Ok(identity) => proof::go_on(ctx, attempt, Phase::MainModeAuth, sa, identity),
            Err(failure) => {
                farewell(ctx, &mut sa);
                Next::Failed(failure)
            }
        }
    }
}

fn refusal_of_proof(profile: &Profile, error: NotifyKind) -> Failure {
    if error == NotifyKind::NO_PROPOSAL_CHOSEN {
        return Failure::Refused { phase: Phase::MainModeAuth, notify: error.to_string() };
    }
    authentication_refused(profile, Phase::MainModeAuth)
}
