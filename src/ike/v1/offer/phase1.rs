//! The SA payload of main and aggressive mode (RFC 2409 §5, appendix A).

use std::time::Duration;

use crate::ike::v1::message::security_association::{Written, write_proposal};
use crate::ike::v1::offer::{Method, OfferFault, Offered, group_number, key_bits, lifetime, sole};
use crate::sa::suite::{Cbc, Group, IkeOffer, IkeSuite, Integrity, Prf, Protection, ProtectionOffer};

const PROTO_ISAKMP: u8 = 1;
const KEY_IKE: u8 = 1;
const NUMBER: u8 = 1;
/// RFC 2408 §3.5.
const LONGEST_SPI: usize = 16;

const ENCRYPTION: u16 = 1;
const HASH: u16 = 2;
const AUTHENTICATION_METHOD: u16 = 3;
const GROUP_DESCRIPTION: u16 = 4;
const KEY_LENGTH: u16 = 14;

/// The body of phase 1's SA payload. Combinations in the order of `offers`; only CBC with a hash and a MODP or ECP group are written.
pub(in crate::ike::v1) fn phase1(offers: &[IkeOffer], method: Method, lifetime: Option<Duration>) -> Vec<u8> {
    let lifetime = lifetime::write(lifetime, None, lifetime::PHASE_1);
    let transforms: Vec<Written> = (1..=u8::MAX)
        .zip(offered(offers, method))
        .map(|(number, offered)| Written {
            number,
            id: offered.id,
            attributes: [offered.octets(), lifetime.clone()].concat(),
        })
        .collect();
    // There are 128 combinations of 36 octets at most.
    write_proposal(NUMBER, PROTO_ISAKMP, &[], &transforms).unwrap_or_default()
}

/// A checked answer to `phase1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ike::v1) struct Phase1Choice {
    pub(in crate::ike::v1) suite: IkeSuite,
    /// As the answer has it: never longer than offered.
    pub(in crate::ike::v1) lifetime: Option<Duration>,
}

/// Checks the answer's SA body against the same arguments.
pub(in crate::ike::v1) fn phase1_choice(
    offers: &[IkeOffer],
    method: Method,
    lifetime: Option<Duration>,
    answer: &[u8],
) -> Result<Phase1Choice, OfferFault> {
    let (proposal, transform) = sole(answer)?;
    // RFC 2408 §3.5: an SPI of ISAKMP is ignored, the header has the cookies.
    if proposal.protocol != PROTO_ISAKMP || proposal.spi.len() > LONGEST_SPI {
        return Err(OfferFault::NotOffered);
    }
    let (attributes, stated) =
        lifetime::split(&transform.attributes, lifetime::PHASE_1).ok_or(OfferFault::NotOffered)?;
    let chosen = offered(offers, method).into_iter().find(|offered| offered.is(transform.id, &attributes));
    let suite = chosen.ok_or(OfferFault::NotOffered)?.suite;
    Ok(Phase1Choice { suite, lifetime: stated.time(lifetime) })
}

fn offered(offers: &[IkeOffer], method: Method) -> Vec<Offered<IkeSuite>> {
    let method = match method {
        Method::PreSharedKey => 1,
        Method::XauthPreSharedKey => 65_001,
    };
    let mut all: Vec<Offered<IkeSuite>> = Vec::new();
    for (encryption, prf, group) in offers.iter().flat_map(combinations) {
        let Some(group_number) = group_number(group) else { continue };
        let (cipher, key_length) = cipher(encryption);
        let mut attributes = vec![(ENCRYPTION, cipher)];
        attributes.extend(key_length.map(|bits| (KEY_LENGTH, bits)));
        attributes.extend([(HASH, hash(prf)), (GROUP_DESCRIPTION, group_number), (AUTHENTICATION_METHOD, method)]);
        let protection = Protection::CbcHmac { encryption, integrity: integrity(prf) };
        let offered = Offered { id: KEY_IKE, attributes, suite: IkeSuite { protection, prf, group } };
        if all.iter().all(|before| before.attributes != offered.attributes) {
            all.push(offered);
        }
    }
    all
}

fn combinations(offer: &IkeOffer) -> Vec<(Cbc, Prf, Group)> {
    let ProtectionOffer::CbcHmac { encryption, .. } = &offer.protection else { return Vec::new() };
    let mut combinations = Vec::new();
    for cipher in encryption {
        for prf in &offer.prfs {
            combinations.extend(offer.groups.iter().map(|group| (*cipher, *prf, *group)));
        }
    }
    combinations
}

const fn cipher(cipher: Cbc) -> (u16, Option<u16>) {
    match cipher {
        Cbc::TripleDes => (5, None),
        Cbc::Aes(key) => (7, Some(key_bits(key))),
    }
}

/// The prf is HMAC of the negotiated hash (RFC 2409 §4).
const fn hash(prf: Prf) -> u16 {
    match prf {
        Prf::HmacSha1 => 2,
        Prf::HmacSha256 => 4,
        Prf::HmacSha384 => 5,
        Prf::HmacSha512 => 6,
    }
}

/// Phase 1 has no integrity algorithm of its own: the one of the same hash stands for it.
const fn integrity(prf: Prf) -> Integrity {
    match prf {
        Prf::HmacSha1 => Integrity::HmacSha1_96,
        Prf::HmacSha256 => Integrity::HmacSha256_128,
        Prf::HmacSha384 => Integrity::HmacSha384_192,
        Prf::HmacSha512 => Integrity::HmacSha512_256,
    }
}
