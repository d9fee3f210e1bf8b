//! Quick mode (RFC 2409 §5.5): one exchange makes one pair of SAs for one pair of selectors. It knows the messages and secrets of one exchange;
//! which children there are, and when the SAs are used, is not known here.

mod identity;
mod initiator;
mod lifetime;
mod responder;

use crate::crypto::random::Random;
use crate::crypto::secret::Secret;
use crate::ike::profile::{ChildProfile, Profile};
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::ike::v1::offer::{Phase2Choice, Phase2Terms};
use crate::ike::v1::vendor::NatTraversal;
use crate::sa::command::{InboundParameters, OutboundParameters};
use crate::sa::lifetime::Lifetime;
use crate::sa::selector::Selector;
use crate::sa::spi::InboundSpi;
use crate::sa::suite::Group;

pub(super) use initiator::{Answer, AwaitAnswer, Completed, Rejected};
pub(super) use responder::{AwaitConfirmation, Request};

/// Error notifies that quick mode sends and understands (RFC 2408 §3.14.1).
pub(super) mod notify {
    pub(in crate::ike::v1) const NO_PROPOSAL_CHOSEN: u16 = 14;
    pub(in crate::ike::v1) const PAYLOAD_MALFORMED: u16 = 16;
    pub(in crate::ike::v1) const INVALID_KEY_INFORMATION: u16 = 17;
    pub(in crate::ike::v1) const INVALID_ID_INFORMATION: u16 = 18;

    /// The RFC's name, or the number.
    pub(in crate::ike::v1) fn name(kind: u16) -> String {
        let name = match kind {
            1 => "INVALID-PAYLOAD-TYPE",
            2 => "DOI-NOT-SUPPORTED",
            3 => "SITUATION-NOT-SUPPORTED",
            4 => "INVALID-COOKIE",
            5 => "INVALID-MAJOR-VERSION",
            6 => "INVALID-MINOR-VERSION",
            7 => "INVALID-EXCHANGE-TYPE",
            8 => "INVALID-FLAGS",
            9 => "INVALID-MESSAGE-ID",
            10 => "INVALID-PROTOCOL-ID",
            11 => "INVALID-SPI",
            12 => "INVALID-TRANSFORM-ID",
            13 => "ATTRIBUTES-NOT-SUPPORTED",
            NO_PROPOSAL_CHOSEN => "NO-PROPOSAL-CHOSEN",
            15 => "BAD-PROPOSAL-SYNTAX",
            PAYLOAD_MALFORMED => "PAYLOAD-MALFORMED",
            INVALID_KEY_INFORMATION => "INVALID-KEY-INFORMATION",
            INVALID_ID_INFORMATION => "INVALID-ID-INFORMATION",
            23 => "INVALID-HASH-INFORMATION",
            24 => "AUTHENTICATION-FAILED",
            27 => "NOTIFY-SA-LIFETIME",
            29 => "UNSUPPORTED-EXCHANGE-TYPE",
            30 => "UNEQUAL-PAYLOAD-LENGTHS",
            _ => return format!("notify {kind}"),
        };
        name.to_owned()
    }
}

/// What one quick mode is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// Our side.
    pub(super) local: Selector,
    /// The gateway's.
    pub(super) remote: Selector,
}

/// A pair of SAs, ready to be used.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) inbound: Box<InboundParameters>,
    pub(super) outbound: Box<OutboundParameters>,
    /// The shorter of both sides' limits.
    pub(super) lifetime: Lifetime,
}

/// What both sides of an exchange make keys of.
struct Secrets<'a> {
    /// The initiator's, then the responder's.
    nonces: (&'a [u8], &'a [u8]),
    /// With perfect forward secrecy.
    shared: Option<&'a Secret>,
}

/// RFC 2409 §5.5: all transforms of one quick mode have one group.
fn forward_secrecy(profile: &ChildProfile) -> Option<Group> {
    profile.offers.iter().find_map(|offer| offer.pfs.first().copied())
}

fn terms(profile: &Profile, sa: &IsakmpSa, spi: InboundSpi) -> Phase2Terms {
    Phase2Terms {
        spi,
        pfs: forward_secrecy(&profile.child),
        lifetime: profile.child.lifetime,
        nat_traversal: sa.capabilities.nat_traversal.unwrap_or(NatTraversal::Rfc3947),
    }
}

fn nonce(profile: &Profile, random: &mut dyn Random) -> Vec<u8> {
    let mut nonce = vec![0; usize::from(profile.nonce_len)];
    random.fill(&mut nonce);
    nonce
}

/// Both directions' keys and parameters; `None` for a suite that has no keys.
fn agree(
    profile: &ChildProfile,
    sa: &IsakmpSa,
    pair: Pair,
    spi: InboundSpi,
    choice: &Phase2Choice,
    secrets: &Secrets<'_>,
    lifetime: Lifetime,
) -> Option<Agreed> {
    let keys = |spi| sa.skeyid.keymat(choice.suite, spi, secrets.nonces, secrets.shared);
    // Time is kept where the SAs are replaced: the packet path's own mark would come at the same share of it in every replica.
    let limits = Lifetime { time: None, ..lifetime };
    let inbound = InboundParameters {
        spi,
        suite: choice.suite,
        keys: keys(spi.to_octets())?,
        sources: vec![pair.remote],
        destinations: vec![pair.local],
        replay_window: profile.replay_window,
        lifetime: limits,
    };
    let outbound = OutboundParameters {
        spi: choice.spi,
        suite: choice.suite,
        keys: keys(choice.spi.to_octets())?,
        sources: vec![pair.local],
        destinations: vec![pair.remote],
        path: sa.path,
        lifetime: limits,
    };
    Some(Agreed { inbound: Box::new(inbound), outbound: Box::new(outbound), lifetime })
}
