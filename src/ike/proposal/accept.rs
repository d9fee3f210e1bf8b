//! Which of a peer's proposals in CREATE_CHILD_SA is taken (RFC 7296 §2.7, §3.3.6): the first that holds one of ours, with the peer's own
//! preference within it.

use crate::ike::proposal::{
    esp_spi, esp_suite, esp_transforms, group_number, group_transform, ike_spi, ike_suite, ike_transforms,
};
use crate::ike::v2::message::{Proposal, SecurityAssociation, Transform};
use crate::ike::wire::registry::{ProtocolId, TransformType};
use crate::sa::spi::{IkeSpi, OutboundSpi};
use crate::sa::suite::{EspOffer, EspSuite, Group, IkeOffer, IkeSuite};

/// NONE, as a key exchange (RFC 7296 §3.3.2) or as integrity beside a combined-mode cipher (RFC 7296 §3.3.3).
const NONE: u16 = 0;

/// An IKE SA in place of another, as the peer wants it and we can.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AcceptedIke {
    pub(crate) suite: IkeSuite,
    /// The peer's.
    pub(crate) spi: IkeSpi,
    /// The proposal, with the SPI still to be written.
    pub(crate) answer: Proposal,
}

/// A child SA, as the peer wants it and we can.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AcceptedEsp {
    pub(crate) suite: EspSuite,
    /// The peer's.
    pub(crate) spi: OutboundSpi,
    /// Of the key exchange; `None`: without.
    pub(crate) group: Option<Group>,
    /// The proposal, with the SPI still to be written.
    pub(crate) answer: Proposal,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// NO_PROPOSAL_CHOSEN.
    NoProposal,
    /// INVALID_KE_PAYLOAD with this group (RFC 7296 §1.3).
    OtherGroup(Group),
}

/// Takes a proposal for an IKE SA; `group` is the number in the peer's KE payload. RFC 7296 §1.3.2: never without a key exchange.
pub(crate) fn accept_ike(offers: &[IkeOffer], asked: &SecurityAssociation, group: u16) -> Result<AcceptedIke, Refused> {
    let mut other = None;
    for (proposal, offer) in pairs(&asked.proposals, offers) {
        let Some(spi) = ike_spi(proposal).filter(|_| proposal.protocol == ProtocolId::IKE) else { continue };
        let ours = prefer(ike_transforms(offer), proposal, group);
        let Some(transforms) = select(proposal, &ours) else { continue };
        let answer = Proposal { transforms, spi: Vec::new(), ..proposal.clone() };
        let Ok(suite) = ike_suite(&answer, offer) else { continue };
        if group_number(suite.group) == group {
            return Ok(AcceptedIke { suite, spi, answer });
        }
        other = other.or(Some(suite.group));
    }
    Err(other.map_or(Refused::NoProposal, Refused::OtherGroup))
}

/// Takes a proposal for a child; `group` is the number in the peer's KE payload, if it sent one.
pub(crate) fn accept_esp(
    offers: &[EspOffer],
    asked: &SecurityAssociation,
    group: Option<u16>,
) -> Result<AcceptedEsp, Refused> {
    let mut other = None;
    for (proposal, offer) in pairs(&asked.proposals, offers) {
        let Ok(spi) = esp_spi(proposal) else { continue };
        let mut ours = esp_transforms(offer);
        if offer.pfs.is_empty() {
            ours.push(Transform::new(TransformType::KEY_EXCHANGE, NONE));
        } else {
            ours.extend(offer.pfs.iter().map(group_transform));
        }
        let ours = prefer(ours, proposal, group.unwrap_or(NONE));
        let Some(transforms) = select(proposal, &ours) else { continue };
        let answer = Proposal { transforms, spi: Vec::new(), ..proposal.clone() };
        let chosen = offer.pfs.iter().copied().find(|group| answer.transforms.contains(&group_transform(group)));
        // RFC 7296 §1.3.3: who demands a key exchange does not do without.
        if chosen.is_none() && !offer.pfs.is_empty() {
            continue;
        }
        let Ok(suite) = esp_suite(&answer, offer) else { continue };
        match chosen {
            Some(chosen) if Some(group_number(chosen)) != group => other = other.or(Some(chosen)),
            group => return Ok(AcceptedEsp { suite, spi, group, answer }),
        }
    }
    Err(other.map_or(Refused::NoProposal, Refused::OtherGroup))
}

/// Every proposal of the peer, in its order, with every offer of ours.
fn pairs<'a, O>(asked: &'a [Proposal], offers: &'a [O]) -> impl Iterator<Item = (&'a Proposal, &'a O)> {
    asked.iter().flat_map(move |proposal| offers.iter().map(move |offer| (proposal, offer)))
}

/// Where the group that the peer's KE payload is of can be had, no other is looked for.
fn prefer(ours: Vec<Transform>, proposal: &Proposal, group: u16) -> Vec<Transform> {
    let wanted = Transform::new(TransformType::KEY_EXCHANGE, group);
    let can_be_had = ours.contains(&wanted) && proposal.transforms.contains(&wanted);
    if !can_be_had {
        return ours;
    }
    ours.into_iter().filter(|one| one.kind != TransformType::KEY_EXCHANGE || *one == wanted).collect()
}

/// One transform of each type that the proposal has; `None` if ours and its are not of the same types, or share none of one.
fn select(proposal: &Proposal, ours: &[Transform]) -> Option<Vec<Transform>> {
    let mut chosen: Vec<Transform> = Vec::new();
    for asked in &proposal.transforms {
        if chosen.iter().any(|one| one.kind == asked.kind) {
            continue;
        }
        // RFC 7296 §3.3.6: a transform that is not understood is passed over, a type that is not makes the proposal unacceptable.
        let of_type = || proposal.transforms.iter().filter(|one| one.kind == asked.kind);
        let is_none = |one: &&Transform| one.id == NONE && one.key_length.is_none() && !one.unknown_attribute;
        match of_type().find(|one| ours.contains(one)) {
            Some(found) => chosen.push(*found),
            None if is_optional(asked.kind, ours) => chosen.push(*of_type().find(is_none)?),
            None => return None,
        }
    }
    let complete = ours.iter().all(|one| {
        chosen.iter().any(|other| other.kind == one.kind) || *one == Transform::new(TransformType::KEY_EXCHANGE, NONE)
    });
    complete.then_some(chosen)
}

/// Whether the type may be named with NONE although we do not use it: integrity beside a combined-mode cipher.
fn is_optional(kind: TransformType, ours: &[Transform]) -> bool {
    kind == TransformType::INTEGRITY && ours.iter().all(|one| one.kind != kind)
}

#[cfg(test)]
mod tests;
