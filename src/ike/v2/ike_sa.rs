//! One IKE SA: its names, its keys and the message IDs of both directions. It knows how a message is sealed; it knows no content.

use serde::{Deserialize, Serialize};

use crate::crypto::carried::Carried;
use crate::crypto::secret::Secret;
use crate::ike::context::Context;
use crate::ike::v2::exchange::{OurRequests, seal_datagrams};
use crate::ike::v2::fragment::Sizes;
use crate::ike::v2::keys::{Exchanged, Role, ike_keys};
use crate::ike::v2::message::notify::Notify;
use crate::ike::v2::message::{Informational, Nonce};
use crate::ike::v2::protect::{MessageProtection, ProtectionState, SealError};
use crate::ike::v2::window::PeerRequests;
use crate::ike::wire::chain::Contents;
use crate::ike::wire::header::{Flags, Header};
use crate::ike::wire::registry::{ExchangeType, NotifyType, PayloadType};
use crate::sa::handover::Unrestorable;
use crate::sa::path::Path;
use crate::sa::spi::IkeSpi;
use crate::sa::suite::IkeSuite;
use crate::time::Instant;

/// Of the private status types (RFC 7296 §3.10.1: 40960 to 65535), one that nobody is known to use.
const PATH_PROBE: NotifyType = NotifyType(64_206);

/// The payload's generic header, and protocol, SPI size and type.
const NOTIFY_HEADERS: usize = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct IkeSa {
    /// Who asked for it: that side's SPI comes first, and its messages carry the Initiator flag (RFC 7296 §2.2, §3.1).
    pub(super) role: Role,
    /// Ours, then the peer's.
    pub(super) spis: (IkeSpi, IkeSpi),
    pub(super) suite: IkeSuite,
    pub(super) sk_d: Secret,
    pub(super) protection: MessageProtection,
    pub(super) ours: OurRequests,
    pub(super) peers: PeerRequests,
    pub(super) established_at: Instant,
}

/// An IKE SA on its way to another process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IkeSaState {
    role: Role,
    spis: (IkeSpi, IkeSpi),
    suite: IkeSuite,
    sk_d: Carried,
    protection: ProtectionState,
    next_id: u32,
    peers: PeerRequests,
    established_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// Both nonces of the exchange that made an IKE SA, the initiator's first.
pub(super) type Nonces<'a> = (&'a Nonce, &'a Nonce);

impl IkeSa {
    /// One in place of another: its keys come from `skeyseed`, and message IDs start at 0 both ways (RFC 7296 §2.18).
    pub(super) fn successor(
        now: Instant,
        role: Role,
        spis: (IkeSpi, IkeSpi),
        suite: IkeSuite,
        skeyseed: &Secret,
        nonces: Nonces<'_>,
    ) -> Option<Self> {
        let (initiator, responder) = match role {
            Role::Initiator => spis,
            Role::Responder => (spis.1, spis.0),
        };
        let exchanged = Exchanged {
            initiator_nonce: nonces.0.octets(),
            responder_nonce: nonces.1.octets(),
            initiator_spi: initiator.to_octets(),
            responder_spi: responder.to_octets(),
        };
        let keys = ike_keys(suite, skeyseed, exchanged)?;
        let (ours, theirs) = match role {
            Role::Initiator => (keys.initiator, keys.responder),
            Role::Responder => (keys.responder, keys.initiator),
        };
        Some(Self {
            role,
            spis,
            suite,
            sk_d: keys.sk_d,
            protection: MessageProtection::new(suite.protection, &ours, &theirs).ok()?,
            ours: OurRequests::from(0),
            peers: PeerRequests::from(0),
            established_at: now,
        })
    }

    /// The SA as values, for another process that goes on with it. What is asked just now is not part of it.
    pub(super) fn export(&self) -> IkeSaState {
        let Self { role, spis, suite, sk_d, protection, ours, peers, established_at } = self;
        IkeSaState {
            role: *role,
            spis: *spis,
            suite: *suite,
            sk_d: Carried::copy_of(sk_d),
            protection: protection.export(),
            next_id: ours.next_id(),
            peers: peers.duplicate(),
            established_at: *established_at,
        }
    }

    /// The SA again, in the process that goes on with it.
    pub(super) fn restore(state: IkeSaState) -> Result<Self, Unrestorable> {
        let IkeSaState { role, spis, suite, sk_d, protection, next_id, peers, established_at } = state;
        let sk_d = sk_d.into_secret();
        if sk_d.len() != suite.prf.output_len() {
            return Err(Unrestorable("an SK_d of another length than its suite has"));
        }
        let protection = MessageProtection::restore(suite.protection, protection);
        Ok(Self {
            role,
            spis,
            suite,
            sk_d,
            protection: protection.ok_or(Unrestorable("keys of an IKE SA that do not fit its suite"))?,
            ours: OurRequests::from(next_id),
            peers,
            established_at,
        })
    }

    /// Our SPI: we choose it, so no two IKE SAs of ours share one.
    pub(super) const fn name(&self) -> IkeSpi {
        self.spis.0
    }

    /// The initiator's SPI, then the responder's.
    pub(super) const fn header_spis(&self) -> (IkeSpi, IkeSpi) {
        let (ours, theirs) = self.spis;
        match self.role {
            Role::Initiator => (ours, theirs),
            Role::Responder => (theirs, ours),
        }
    }

    /// Whether a message from the peer with this header is of this SA.
    pub(super) fn owns(&self, header: &Header) -> bool {
        let (initiator, responder) = self.header_spis();
        // RFC 7296 §2.2, §3.1: the flag says that its sender made the SA.
        let peer_is_initiator = self.role == Role::Responder;
        header.initiator_spi == initiator
            && header.responder_spi == Some(responder)
            && header.flags.initiator == peer_is_initiator
    }

    /// Whether the IKE SA must be replaced or closed for want of message IDs (RFC 7296 §2.2).
    pub(super) const fn ids_are_used_up(&self) -> bool {
        self.ours.ids_are_used_up() || self.peers.are_used_up()
    }

    /// The datagrams of a message, in fragments where `limit` says that they are understood.
    pub(super) fn seal(
        &mut self,
        ctx: &mut Context<'_>,
        (message_id, exchange, direction): (u32, ExchangeType, Direction),
        contents: &Contents,
        limit: Option<u16>,
        path: &Path,
    ) -> Result<Vec<Vec<u8>>, SealError> {
        let header = self.header(message_id, exchange, direction);
        let sizes = limit.map(|limit| Sizes::new(self.protection.protection(), limit, path));
        seal_datagrams(&mut self.protection, &header, contents, sizes, ctx.random)
    }

    /// A question of at most `octets`, IP header included, and how many octets it has. RFC 7383 §2.5.2 would have it in one fragment, but there are
    /// gateways that take no INFORMATIONAL in fragments.
    pub(super) fn seal_path_probe(
        &mut self,
        ctx: &mut Context<'_>,
        message_id: u32,
        octets: u16,
        path: &Path,
    ) -> Result<(Vec<u8>, u16), SealError> {
        let sizes = Sizes::new(self.protection.protection(), octets, path);
        let contents = path_probe(sizes.room_whole())?;
        let header = self.header(message_id, ExchangeType::INFORMATIONAL, Direction::Request);
        let message = self.protection.seal(&header, &contents, ctx.random)?;
        let octets = u16::try_from(sizes.datagram(message.len())).map_err(|_| SealError::TooLong)?;
        Ok((message, octets))
    }

    fn header(&self, message_id: u32, exchange: ExchangeType, direction: Direction) -> Header {
        let (initiator_spi, responder_spi) = self.header_spis();
        Header {
            initiator_spi,
            responder_spi: Some(responder_spi),
            next_payload: PayloadType::NONE,
            major: 2,
            minor: 0,
            exchange,
            flags: Flags { initiator: self.role == Role::Initiator, response: direction == Direction::Response },
            message_id,
        }
    }
}

/// A chain of so many octets that says nothing: RFC 7296 §3.10.1 has its receiver pass over a status type that it does not know.
fn path_probe(octets: usize) -> Result<Contents, SealError> {
    let data = octets.checked_sub(NOTIFY_HEADERS).ok_or(SealError::TooLong)?;
    let notify = Notify::new(PATH_PROBE).with_data(vec![0; data]);
    let message = Informational { notifies: vec![notify], ..Informational::default() };
    message.contents().map_err(|_| SealError::TooLong)
}
