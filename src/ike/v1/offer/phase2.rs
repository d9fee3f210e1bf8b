//! The SA payload of quick mode (RFC 2407 §4.4, §4.5): ESP in UDP-encapsulated tunnel mode.

use crate::crypto::cipher::GcmIcv;
use crate::ike::v1::message::security_association::{Proposal, Transform, Written, read_proposals, write_proposal};
use crate::ike::v1::offer::{OfferFault, Offered, group_number, group_of, key_bits, lifetime, sole};
use crate::ike::v1::vendor::NatTraversal;
use crate::sa::lifetime::Lifetime;
use crate::sa::spi::{InboundSpi, OutboundSpi};
use crate::sa::suite::{Aead, Cbc, EsnOffer, EspOffer, EspSuite, Group, Integrity, Protection, ProtectionOffer};

const PROTO_IPSEC_ESP: u8 = 3;
const NUMBER: u8 = 1;

const GROUP: u16 = 3;
const ENCAPSULATION: u16 = 4;
const AUTHENTICATION: u16 = 5;
const KEY_LENGTH: u16 = 6;
/// RFC 4304 §2.
const EXTENDED_SEQUENCE_NUMBER: u16 = 11;
const ESN_64_BITS: u16 = 1;

/// What a quick mode proposes besides algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ike::v1) struct Phase2Terms {
    pub(in crate::ike::v1) spi: InboundSpi,
    /// In every transform, when there is a key exchange (RFC 2409 §5.5).
    pub(in crate::ike::v1) pfs: Option<Group>,
    pub(in crate::ike::v1) lifetime: Lifetime,
    /// Which number UDP-encapsulated tunnel mode has.
    pub(in crate::ike::v1) nat_traversal: NatTraversal,
}

/// The body of quick mode's SA payload as initiator: one proposal, whose transforms are the alternatives.
pub(in crate::ike::v1) fn phase2(offers: &[EspOffer], terms: Phase2Terms) -> Vec<u8> {
    let lifetime = lifetime::write(terms.lifetime.time, terms.lifetime.bytes, lifetime::PHASE_2);
    let transforms: Vec<Written> = (1..=u8::MAX)
        .zip(offered(offers, terms.pfs, terms.nat_traversal))
        .map(|(number, offered)| Written {
            number,
            id: offered.id,
            attributes: [offered.octets(), lifetime.clone()].concat(),
        })
        .collect();
    // There are 58 combinations of 52 octets at most.
    write_proposal(NUMBER, PROTO_IPSEC_ESP, &terms.spi.to_octets(), &transforms).unwrap_or_default()
}

/// A checked answer to `phase2`, or our choice among what the peer proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ike::v1) struct Phase2Choice {
    pub(in crate::ike::v1) suite: EspSuite,
    pub(in crate::ike::v1) spi: OutboundSpi,
    pub(in crate::ike::v1) lifetime: Lifetime,
    /// The group attribute: a key exchange must come with it.
    pub(in crate::ike::v1) pfs: Option<Group>,
    /// The body to answer with (as responder: exactly the chosen transform, our SPI); empty as initiator.
    pub(in crate::ike::v1) answer: Vec<u8>,
}

/// Checks the answer's SA body against the same arguments.
pub(in crate::ike::v1) fn phase2_choice(
    offers: &[EspOffer],
    terms: Phase2Terms,
    answer: &[u8],
) -> Result<Phase2Choice, OfferFault> {
    let (proposal, transform) = sole(answer)?;
    let spi = esp_spi(&proposal).ok_or(OfferFault::NotOffered)?;
    let (attributes, stated) =
        lifetime::split(&transform.attributes, lifetime::PHASE_2).ok_or(OfferFault::NotOffered)?;
    let mut offered = offered(offers, terms.pfs, terms.nat_traversal).into_iter();
    let chosen = offered.find(|offered| offered.is(transform.id, &attributes)).ok_or(OfferFault::NotOffered)?;
    Ok(Phase2Choice {
        suite: chosen.suite,
        spi,
        lifetime: stated.limit(terms.lifetime),
        pfs: terms.pfs,
        answer: Vec::new(),
    })
}

/// As responder: the first of the peer's transforms that we offer, too.
///
/// With `terms.pfs` a transform needs a group: that one, or one of the offers'. Without it the peer may still propose one of the offers' or any
/// that is not weak. Proposals that share their number belong together (RFC 2408 §4.2): AH or IPComp beside ESP, which are not for us.
pub(in crate::ike::v1) fn phase2_accept(
    offers: &[EspOffer],
    terms: Phase2Terms,
    proposal: &[u8],
) -> Result<Phase2Choice, OfferFault> {
    let proposals = read_proposals(proposal).map_err(|_| OfferFault::Malformed)?;
    let ours = offered(offers, None, terms.nat_traversal);
    for proposal in &proposals {
        let alone = proposals.iter().filter(|other| other.number == proposal.number).count() == 1;
        let Some(spi) = esp_spi(proposal).filter(|_| alone) else { continue };
        for transform in &proposal.transforms {
            let Some((suite, pfs, lifetime)) = acceptable(offers, &ours, terms, transform) else { continue };
            let answer = write_proposal(
                proposal.number,
                PROTO_IPSEC_ESP,
                &terms.spi.to_octets(),
                &[Written { number: transform.number, id: transform.id, attributes: transform.octets.to_vec() }],
            );
            let answer = answer.map_err(|_| OfferFault::Malformed)?;
            return Ok(Phase2Choice { suite, spi, lifetime, pfs, answer });
        }
    }
    Err(OfferFault::NotOffered)
}

fn acceptable(
    offers: &[EspOffer],
    ours: &[Offered<EspSuite>],
    terms: Phase2Terms,
    transform: &Transform<'_>,
) -> Option<(EspSuite, Option<Group>, Lifetime)> {
    let (attributes, stated) = lifetime::split(&transform.attributes, lifetime::PHASE_2)?;
    let (groups, attributes): (Vec<_>, Vec<_>) = attributes.into_iter().partition(|(kind, _)| *kind == GROUP);
    let pfs = match groups.as_slice() {
        [] if terms.pfs.is_some() => return None,
        [] => None,
        [(_, number)] => Some(group_of(*number).filter(|group| may_be_used(offers, terms.pfs, *group))?),
        _ => return None,
    };
    let chosen = ours.iter().find(|offered| offered.is(transform.id, &attributes))?;
    Some((chosen.suite, pfs, stated.limit(terms.lifetime)))
}

fn may_be_used(offers: &[EspOffer], pfs: Option<Group>, group: Group) -> bool {
    let configured = pfs == Some(group) || offers.iter().any(|offer| offer.pfs.contains(&group));
    configured || (pfs.is_none() && !group.is_weak())
}

/// RFC 4303 §2.1: 0 to 255 are reserved.
fn esp_spi(proposal: &Proposal<'_>) -> Option<OutboundSpi> {
    let octets = <[u8; 4]>::try_from(proposal.spi).ok().filter(|_| proposal.protocol == PROTO_IPSEC_ESP)?;
    OutboundSpi::new(u32::from_be_bytes(octets))
}

fn offered(offers: &[EspOffer], pfs: Option<Group>, nat_traversal: NatTraversal) -> Vec<Offered<EspSuite>> {
    let group = pfs.and_then(group_number);
    if group.is_none() && pfs.is_some() {
        return Vec::new();
    }
    let mut all: Vec<Offered<EspSuite>> = Vec::new();
    for (protection, esn) in offers.iter().flat_map(combinations) {
        let Some((id, mut attributes)) = protection_numbers(protection) else { continue };
        attributes.extend(group.map(|number| (GROUP, number)));
        attributes.push((ENCAPSULATION, nat_traversal.tunnel_mode()));
        attributes.extend(esn.then_some((EXTENDED_SEQUENCE_NUMBER, ESN_64_BITS)));
        let offered = Offered { id, attributes, suite: EspSuite { protection, esn } };
        if all.iter().all(|before| before.id != offered.id || before.attributes != offered.attributes) {
            all.push(offered);
        }
    }
    all
}

fn combinations(offer: &EspOffer) -> Vec<(Protection, bool)> {
    let protections: Vec<Protection> = match &offer.protection {
        ProtectionOffer::Aead(aeads) => aeads.iter().copied().map(Protection::Aead).collect(),
        ProtectionOffer::CbcHmac { encryption, integrity } => encryption
            .iter()
            .flat_map(|cipher| {
                integrity.iter().map(|hash| Protection::CbcHmac { encryption: *cipher, integrity: *hash })
            })
            .collect(),
    };
    let sequence_numbers: &[bool] = match offer.esn {
        EsnOffer::Without => &[false],
        EsnOffer::Either => &[true, false],
        EsnOffer::Required => &[true],
    };
    protections.into_iter().flat_map(|protection| sequence_numbers.iter().map(move |esn| (protection, *esn))).collect()
}

/// Transform ID, key length and authentication algorithm; `None` for what IKEv1 has no number for.
fn protection_numbers(protection: Protection) -> Option<(u8, Vec<(u16, u16)>)> {
    match protection {
        Protection::Aead(Aead::ChaCha20Poly1305) => None,
        // RFC 4106 §8.1, §8.4: the key length is there, and no authentication algorithm.
        Protection::Aead(Aead::AesGcm(key, icv)) => {
            let id = match icv {
                GcmIcv::Eight => 18,
                GcmIcv::Twelve => 19,
                GcmIcv::Sixteen => 20,
            };
            Some((id, vec![(KEY_LENGTH, key_bits(key))]))
        }
        Protection::CbcHmac { encryption, integrity } => {
            let authentication = (AUTHENTICATION, authentication(integrity));
            Some(match encryption {
                Cbc::TripleDes => (3, vec![authentication]),
                // RFC 3602 §5.3: the key length must be there.
                Cbc::Aes(key) => (12, vec![(KEY_LENGTH, key_bits(key)), authentication]),
            })
        }
    }
}

const fn authentication(integrity: Integrity) -> u16 {
    match integrity {
        Integrity::HmacSha1_96 => 2,
        // Old routers cut it to 96 bits under the same number.
        Integrity::HmacSha256_128 | Integrity::HmacSha256_96 => 5,
        Integrity::HmacSha384_192 => 6,
        Integrity::HmacSha512_256 => 7,
    }
}
