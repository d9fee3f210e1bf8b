//! What was answered already, on one ISAKMP SA: whoever repeats a message gets the same octets again (RFC 2408 §5.1), and the IV chains of the
//! transaction exchanges (Mode Config, XAUTH) go on where they stood. It knows octets and payloads; it does not know what they ask.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::crypto::hash::Hash;
use crate::ike::action::DropReason;
use crate::ike::context::Context;
use crate::ike::v1::header::{ExchangeType, Header};
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::ike::v1::iv::Iv;
use crate::ike::v1::message::Attributes;
use crate::sa::path::Path;

/// Answers that are kept, the newest ones.
const MOST_ANSWERS: usize = 32;
/// How often one answer is repeated: anyone can send a copy of a message.
const MOST_REPETITIONS: u32 = 10;
/// Transaction exchanges whose IV is kept, the newest ones.
const MOST_CHAINS: usize = 16;

/// Kinds of an attributes payload (draft-dukes-ike-mode-cfg-02 §3.3).
pub(super) mod kind {
    pub(in crate::ike::v1) const REQUEST: u8 = 1;
    pub(in crate::ike::v1) const REPLY: u8 = 2;
    pub(in crate::ike::v1) const SET: u8 = 3;
    pub(in crate::ike::v1) const ACK: u8 = 4;
}

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Answers {
    given: VecDeque<Answer>,
    chains: VecDeque<(u32, Iv)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Answer {
    /// Of the whole message that was answered.
    digest: Vec<u8>,
    path: Path,
    datagrams: Vec<Vec<u8>>,
    repetitions: u32,
}

/// A message of a transaction exchange whose HASH(1) was right.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) message_id: u32,
    pub(super) attributes: Attributes,
    next_iv: Iv,
}

impl Answers {
    /// Whether there are no more than are kept.
    pub(super) fn are_bounded(&self) -> bool {
        self.given.len() <= MOST_ANSWERS && self.chains.len() <= MOST_CHAINS
    }

    /// Keeps what `received` was answered with.
    pub(super) fn keep(&mut self, received: &[u8], path: Path, datagrams: Vec<Vec<u8>>) {
        if self.given.len() >= MOST_ANSWERS {
            self.given.pop_front();
        }
        self.given.push_back(Answer { digest: digest(received), path, datagrams, repetitions: 0 });
    }

    /// Whether `message` was answered before.
    pub(super) fn knows(&self, message: &[u8]) -> bool {
        !self.given.is_empty() && self.given.iter().any(|answer| answer.digest == digest(message))
    }

    /// Whether `message` was answered before; then it gets the same answer, a bounded number of times.
    pub(super) fn repeat(&mut self, ctx: &mut Context<'_>, message: &[u8]) -> bool {
        if !self.knows(message) {
            return false;
        }
        let digest = digest(message);
        let Some(answer) = self.given.iter_mut().find(|answer| answer.digest == digest) else { return false };
        if answer.repetitions >= MOST_REPETITIONS {
            ctx.dropped(DropReason::Bounded);
            return true;
        }
        answer.repetitions = answer.repetitions.saturating_add(1);
        answer.datagrams.iter().for_each(|datagram| ctx.transmit(answer.path, datagram.clone()));
        true
    }

    /// Opens a message of a transaction exchange. Nothing moves before it is taken.
    pub(super) fn admit(&self, sa: &IsakmpSa, header: &Header, rest: &[u8]) -> Result<Transaction, DropReason> {
        if header.exchange != ExchangeType::TRANSACTION {
            return Err(DropReason::NotOurs);
        }
        if !header.flags.encrypted {
            return Err(DropReason::Unauthenticated);
        }
        if header.message_id == 0 {
            return Err(DropReason::OutsideWindow);
        }
        let iv = self.iv(sa, header.message_id)?;
        let unverified = sa.open(header, &iv, rest)?;
        let (first, payloads) = sa.verify_hash_1(&unverified)?;
        let attributes = Attributes::parse(first, payloads).map_err(|_| DropReason::Malformed)?;
        Ok(Transaction { message_id: header.message_id, attributes, next_iv: unverified.next_iv })
    }

    /// Takes a message that is not answered.
    pub(super) fn take(&mut self, sa: &mut IsakmpSa, transaction: &Transaction) {
        self.go_on(sa, transaction.message_id, transaction.next_iv.clone());
    }

    /// Seals the answer to `transaction`, which came as `received`, sends it, and keeps it.
    pub(super) fn reply(
        &mut self,
        ctx: &mut Context<'_>,
        sa: &mut IsakmpSa,
        (transaction, received): (&Transaction, &[u8]),
        kind: u8,
        attributes: Vec<(u16, Vec<u8>)>,
    ) -> Option<()> {
        let answer = Attributes { kind, identifier: transaction.attributes.identifier, attributes };
        let message = self.seal(sa, transaction.message_id, transaction.next_iv.clone(), &answer)?;
        ctx.transmit(sa.path, message.clone());
        self.keep(received, sa.path, vec![message]);
        Some(())
    }

    /// Seals the first message of a transaction exchange of ours.
    pub(super) fn ask(&mut self, sa: &mut IsakmpSa, message_id: u32, request: &Attributes) -> Option<Vec<u8>> {
        let iv = sa.first_iv(message_id);
        self.seal(sa, message_id, iv, request)
    }

    fn seal(&mut self, sa: &mut IsakmpSa, message_id: u32, mut iv: Iv, attributes: &Attributes) -> Option<Vec<u8>> {
        let mut contents = attributes.contents().ok()?;
        let message = sa.seal_with_hash_1(ExchangeType::TRANSACTION, message_id, &mut iv, &contents);
        contents.octets.zeroize();
        let message = message?;
        self.go_on(sa, message_id, iv);
        Some(message)
    }

    /// Where the exchange stands. One that is forgotten is over: a message of it is a replay.
    fn iv(&self, sa: &IsakmpSa, message_id: u32) -> Result<Iv, DropReason> {
        match self.chains.iter().find(|(known, _)| *known == message_id) {
            Some((_, iv)) => Ok(iv.clone()),
            None if sa.knows_message_id(message_id) => Err(DropReason::OutsideWindow),
            None => Ok(sa.first_iv(message_id)),
        }
    }

    fn go_on(&mut self, sa: &mut IsakmpSa, message_id: u32, iv: Iv) {
        // It is known already where the exchange goes on.
        let _ = sa.claim_message_id(message_id);
        self.chains.retain(|(known, _)| *known != message_id);
        if self.chains.len() >= MOST_CHAINS {
            self.chains.pop_front();
        }
        self.chains.push_back((message_id, iv));
    }
}

fn digest(message: &[u8]) -> Vec<u8> {
    Hash::Sha256.digest(&[message])
}
