//! The SA payloads of both phases: what is offered, and whether an answer is exactly one of the offered transforms (RFC 2409 §5).
//! It knows which number means which algorithm; it knows no state.

mod lifetime;
mod phase1;
mod phase2;
#[cfg(test)]
mod tests;

use crate::crypto::cipher::AesKey;
use crate::ike::v1::message::security_association::{Proposal, Transform, read_proposals, write_number};
use crate::sa::suite::Group;

pub(super) use lifetime::{shortened_phase1, shortened_phase2};
pub(super) use phase1::{Phase1Choice, phase1, phase1_choice};
pub(super) use phase2::{Phase2Choice, Phase2Terms, phase2, phase2_accept, phase2_choice};

/// Why an answer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfferFault {
    /// It is no well-formed SA payload of our domain (RFC 2407 §4.6.1).
    Malformed,
    /// It is not exactly one transform of one proposal.
    NotOne,
    /// It was changed: an attribute added, left out or altered.
    NotOffered,
}

/// How the peer is authenticated in phase 1: what the authentication method attribute says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// 1: pre-shared key.
    PreSharedKey,
    /// 65001: pre-shared key, then XAUTH of the initiator.
    XauthPreSharedKey,
}

/// A transform that we offer, and what it means. Its lifetime is not part of it.
struct Offered<S> {
    id: u8,
    attributes: Vec<(u16, u16)>,
    suite: S,
}

impl<S> Offered<S> {
    /// RFC 2409 §5: nothing added, left out or altered. Order and form of attributes mean nothing (RFC 2408 §3.3).
    fn is(&self, id: u8, attributes: &[(u16, u64)]) -> bool {
        let mut ours: Vec<(u16, u64)> =
            self.attributes.iter().map(|(kind, value)| (*kind, u64::from(*value))).collect();
        let mut theirs = attributes.to_vec();
        ours.sort_unstable();
        theirs.sort_unstable();
        self.id == id && ours == theirs
    }

    fn octets(&self) -> Vec<u8> {
        self.attributes.iter().flat_map(|(kind, value)| write_number(*kind, u32::from(*value))).collect()
    }
}

/// The one transform of the one proposal that an answer must be (RFC 2408 §4.2).
fn sole(answer: &[u8]) -> Result<(Proposal<'_>, Transform<'_>), OfferFault> {
    let proposals = read_proposals(answer).map_err(|_| OfferFault::Malformed)?;
    let [proposal] = proposals.try_into().map_err(|_| OfferFault::NotOne)?;
    let [transform] = proposal.transforms.as_slice() else { return Err(OfferFault::NotOne) };
    let transform = transform.clone();
    Ok((proposal, transform))
}

/// The number of a group that IKEv1 has (RFC 2409 §6, RFC 3526, RFC 5903).
const fn group_number(group: Group) -> Option<u16> {
    match group {
        Group::Modp1024 => Some(2),
        Group::Modp1536 => Some(5),
        Group::Modp2048 => Some(14),
        Group::Modp3072 => Some(15),
        Group::Modp4096 => Some(16),
        Group::Ecp256 => Some(19),
        Group::Ecp384 => Some(20),
        Group::Ecp521 => Some(21),
        Group::Curve25519 => None,
    }
}

const fn group_of(number: u64) -> Option<Group> {
    match number {
        2 => Some(Group::Modp1024),
        5 => Some(Group::Modp1536),
        14 => Some(Group::Modp2048),
        15 => Some(Group::Modp3072),
        16 => Some(Group::Modp4096),
        19 => Some(Group::Ecp256),
        20 => Some(Group::Ecp384),
        21 => Some(Group::Ecp521),
        _ => None,
    }
}

const fn key_bits(key: AesKey) -> u16 {
    match key {
        AesKey::Aes128 => 128,
        AesKey::Aes192 => 192,
        AesKey::Aes256 => 256,
    }
}
