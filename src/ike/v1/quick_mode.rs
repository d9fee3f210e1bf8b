//! Quick mode (RFC 2409 §5.5): one exchange makes one pair of SAs for one pair of selectors. It knows the messages and secrets of one exchange;
//! which children there are, and when the SAs are used, is not known here.

use serde::{Deserialize, Serialize};

mod identity;
mod initiator;
mod responder;

use crate::crypto::random::Random;
use crate::crypto::secret::Secret;
use crate::ike::profile::{ChildProfile, Profile};
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::ike::v1::message::Notify;
use crate::ike::v1::notify::NotifyKind;
use crate::ike::v1::offer::{self, Phase2Choice, Phase2Terms};
use crate::ike::v1::vendor::NatTraversal;
use crate::sa::command::{InboundParameters, OutboundParameters};
use crate::sa::lifetime::Lifetime;
use crate::sa::selector::Selector;
use crate::sa::spi::{InboundSpi, OutboundSpi};
use crate::sa::suite::Group;

pub(super) use initiator::{Answer, AwaitAnswer};
pub(super) use responder::{AwaitConfirmation, Request};

const PROTOCOL_ESP: u8 = 3;

/// What one quick mode is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// What RESPONDER-LIFETIME notifies for the SA that the gateway receives on make of `lifetime` (RFC 2407 §4.6.3.1).
fn shortened(lifetime: Lifetime, notifies: &[Notify], spi: OutboundSpi) -> Lifetime {
    let named = |notify: &&Notify| {
        NotifyKind(notify.kind) == NotifyKind::RESPONDER_LIFETIME
            && notify.protocol == PROTOCOL_ESP
            && notify.spi == spi.to_octets()
    };
    notifies.iter().filter(named).fold(lifetime, |lifetime, notify| offer::shortened_phase2(lifetime, &notify.data))
}

/// Both directions' keys and parameters; `None` for a suite that has no keys.
fn agree(
    profile: &ChildProfile,
    sa: &IsakmpSa,
    pair: Pair,
    spi: InboundSpi,
    choice: &Phase2Choice,
    secrets: &Secrets<'_>,
) -> Option<Agreed> {
    let keys = |spi| sa.skeyid.keymat(choice.suite, spi, secrets.nonces, secrets.shared);
    // Time is kept where the SAs are replaced: the packet path's own mark would come at the same share of it in every replica.
    let limits = Lifetime { time: None, ..choice.lifetime };
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
    Some(Agreed { inbound: Box::new(inbound), outbound: Box::new(outbound), lifetime: choice.lifetime })
}
