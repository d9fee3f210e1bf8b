//! The SA payloads of both phases: what is offered, and whether an answer is exactly one of the offered transforms (RFC 2409 §5).

use std::time::Duration;

use crate::ike::v1::vendor::NatTraversal;
use crate::sa::lifetime::Lifetime;
use crate::sa::spi::{InboundSpi, OutboundSpi};
use crate::sa::suite::{EspOffer, EspSuite, Group, IkeOffer, IkeSuite};

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

/// The body of phase 1's SA payload. Combinations in the order of `offers`; only CBC with a hash and a MODP or ECP group are written.
pub(super) fn phase1(_offers: &[IkeOffer], _method: Method, _lifetime: Option<Duration>) -> Vec<u8> {
    todo!()
}

/// A checked answer to `phase1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phase1Choice {
    pub(super) suite: IkeSuite,
    /// As the answer has it: never longer than offered.
    pub(super) lifetime: Option<Duration>,
}

/// Checks the answer's SA body against the same arguments.
pub(super) fn phase1_choice(
    _offers: &[IkeOffer],
    _method: Method,
    _lifetime: Option<Duration>,
    _answer: &[u8],
) -> Result<Phase1Choice, OfferFault> {
    todo!()
}

/// What a quick mode proposes besides algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phase2Terms {
    pub(super) spi: InboundSpi,
    /// In every transform, when there is a key exchange (RFC 2409 §5.5).
    pub(super) pfs: Option<Group>,
    pub(super) lifetime: Lifetime,
    /// Which number UDP-encapsulated tunnel mode has.
    pub(super) nat_traversal: NatTraversal,
}

/// The body of quick mode's SA payload as initiator.
pub(super) fn phase2(_offers: &[EspOffer], _terms: Phase2Terms) -> Vec<u8> {
    todo!()
}

/// A checked answer to `phase2`, or our choice among what the peer proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phase2Choice {
    pub(super) suite: EspSuite,
    pub(super) spi: OutboundSpi,
    pub(super) lifetime: Lifetime,
    /// The group attribute: a key exchange must come with it.
    pub(super) pfs: Option<Group>,
    /// The body to answer with (as responder: exactly the chosen transform, our SPI); empty as initiator.
    pub(super) answer: Vec<u8>,
}

/// Checks the answer's SA body against the same arguments.
pub(super) fn phase2_choice(
    _offers: &[EspOffer],
    _terms: Phase2Terms,
    _answer: &[u8],
) -> Result<Phase2Choice, OfferFault> {
    todo!()
}

/// As responder: the first of the peer's transforms that we offer, too, with the same perfect forward secrecy as `terms.pfs` when that is `Some`.
pub(super) fn phase2_accept(
    _offers: &[EspOffer],
    _terms: Phase2Terms,
    _proposal: &[u8],
) -> Result<Phase2Choice, OfferFault> {
    todo!()
}
