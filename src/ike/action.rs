//! What a session wants done, and what it has to tell. Actions are carried out in order.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ike::identity::Identity;
use crate::ike::profile::Upkeep;
use crate::sa::{
    command::{ChildId, DataCommand},
    path::Path,
    selector::Selector,
    spi::{IkeSpi, InboundSpi, OutboundSpi},
    suite::{EspSuite, Group, IkeSuite},
};
use crate::time::Instant;

/// One thing to do. A `Data` command is acknowledged before the next action is carried out.
#[derive(Debug)]
pub enum Action {
    /// Send a datagram.
    Transmit(Transmit),
    /// Tell the packet path.
    Data(DataCommand),
    /// Tell whoever watches.
    Event(Event),
}

/// An IKE message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Between which addresses; `path.framing` says whether the non-ESP marker is put before it.
    pub path: Path,
    /// The message from the IKE header on, without marker.
    pub message: Vec<u8>,
    /// Whether it may be cut on its way.
    pub outer: Outer,
}

/// Whether the IP layer may cut a datagram, here or on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outer {
    /// Better in pieces than not at all.
    MayBeCut,
    /// It asks whether the path carries its length.
    Whole,
}

/// What a person or a program asks of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// DELETE the IKE SA and end.
    Close,
    /// Ask the peer for a sign of life now.
    ProbeLiveness,
    /// Go on with these settings.
    Adopt(Upkeep),
    /// Go on from and to these addresses, with the same SAs (MOBIKE). Without MOBIKE it does nothing: `Session::can_roam` says whether there is any.
    Roam(Path),
    /// Ask the peer for a sign of life with a datagram of this length, IP header included. `Event::PathProbed` tells what came of it.
    ProbePath {
        /// Octets; the datagram is shorter by less than a cipher block.
        octets: u16,
    },
}

/// What came of a question of a given length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// It was answered.
    Arrived,
    /// It was not, and a short one was.
    Lost,
    /// Something else had to be asked meanwhile.
    Interrupted,
    /// Such a question cannot be put to this peer.
    Impossible,
}

/// When the session wants to be called, and why: the name is for people and traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// The moment.
    pub at: Instant,
    /// What it is for.
    pub timer: Timer,
}

/// The timers a session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A request is to be repeated.
    Retransmit,
    /// The peer was silent.
    Liveness,
    /// The NAT mapping is to be kept.
    Keepalive,
    /// A lifetime ends.
    Lifetime,
    /// A wait that was put off: cookies, candidates, bounded closing.
    Wait,
}

/// Progress and trouble, as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The IKE SA's suite is agreed on (not authenticated yet).
    SuiteAgreed {
        /// In which exchange.
        phase: Phase,
        /// What was chosen.
        suite: IkeSuite,
        /// A NAT was seen before us.
        local_nat: bool,
        /// A NAT was seen before the gateway.
        remote_nat: bool,
    },
    /// The gateway proved that it has the key.
    Authenticated {
        /// In which exchange.
        phase: Phase,
        /// What it calls itself.
        identity: Identity,
    },
    /// The gateway took our name and password (XAUTH).
    UserAccepted {
        /// The name.
        user: String,
    },
    /// A child SA carries traffic.
    ChildUp(Box<ChildUp>),
    /// The gateway took a key exchange of this group for a child: rekeys will succeed.
    PfsVerified {
        /// The group.
        group: Group,
    },
    /// All children that could be made are there: addresses and routes can be set.
    Ready,
    /// A child has new SAs; the old inbound one is still heard for a while.
    ChildRekeyed {
        /// Its name.
        child: ChildId,
        /// What we receive on.
        inbound: InboundSpi,
        /// What we send with.
        outbound: OutboundSpi,
        /// Who asked for it.
        by: Side,
    },
    /// A child is gone; others may stand.
    ChildGone {
        /// Its name.
        child: ChildId,
    },
    /// The IKE SA was replaced by a new one, which has the children.
    IkeRenewed,
    /// The gateway knows where we are now, and packets travel this way, with the same SAs.
    Roamed {
        /// The way.
        path: Path,
    },
    /// The gateway is silent where it was; it said that it can be reached at this address as well. `Command::Roam` goes there.
    SilentBeside {
        /// The other address.
        other: IpAddr,
    },
    /// A request is being repeated: the peer has not answered yet.
    Repeating {
        /// Which exchange.
        exchange: Phase,
        /// How often it was repeated.
        repetition: u32,
    },
    /// A datagram was dropped; the reason is counted.
    Dropped(DropReason),
    /// Something of note that does not end the session, for people: a text made here, with the peer's part escaped.
    Notice(String),
    /// The session cannot be kept: before long it ends, unless another has taken its place.
    Expiring,
    /// `Command::ProbePath` was carried out.
    PathProbed {
        /// How long the datagram was.
        octets: u16,
        /// What came of it.
        outcome: Probed,
    },
    /// The session is over. Nothing follows.
    Ended(Failure),
}

/// A child SA as it was negotiated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildUp {
    /// Its name.
    pub child: ChildId,
    /// Algorithms.
    pub suite: EspSuite,
    /// What we receive on.
    pub inbound: InboundSpi,
    /// What we send with.
    pub outbound: OutboundSpi,
    /// Our side.
    pub local: Vec<Selector>,
    /// The gateway's side: routes are made from these only.
    pub remote: Vec<Selector>,
    /// What the gateway gave us.
    pub configuration: Configuration,
    /// Where its packets travel.
    pub path: Path,
}

/// One of the two who talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// vpnd.
    Us,
    /// The gateway.
    Peer,
}

/// What the gateway assigned (RFC 7296 §3.15; Mode Config in IKEv1), checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Inner addresses with their prefix length.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// INTERNAL_IP4_SUBNET and INTERNAL_IP6_SUBNET: information only, routes follow the selectors.
    pub subnets: Vec<(IpAddr, u8)>,
    /// Domains whose names the name servers know: untrusted text, bounded, not escaped.
    pub domains: Vec<String>,
}

/// A part of the negotiation, as people know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// IKE_SA_INIT.
    SaInit,
    /// IKE_AUTH.
    Auth,
    /// INFORMATIONAL: liveness, deletes.
    Informational,
    /// CREATE_CHILD_SA: rekeying.
    CreateChild,
    /// The first two messages of IKEv1 main mode: proposals.
    MainModeProposal,
    /// The third and fourth: keys.
    MainModeKeys,
    /// The fifth and sixth: identities and proofs.
    MainModeAuth,
    /// IKEv1 aggressive mode.
    AggressiveMode,
    /// XAUTH.
    Xauth,
    /// Mode Config.
    ModeConfig,
    /// IKEv1 quick mode.
    QuickMode,
}

/// Why a session ended. Each variant holds both sides' values where they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The gateway never answered.
    NoAnswer {
        /// Which request.
        phase: Phase,
        /// How often it was sent.
        sent: u32,
        /// For how long.
        waited: Duration,
        /// Unauthenticated error notifies that came meanwhile, by RFC name: hints only.
        hints: Vec<String>,
    },
    /// The gateway accepts none of the IKE proposals (unauthenticated, and nothing better came).
    IkeProposalRefused {
        /// In which exchange.
        phase: Phase,
        /// What we offered, in strongSwan's notation.
        offered: Vec<String>,
        /// The group the gateway asked for, if it named one we did not offer.
        wanted_group: Option<u16>,
    },
    /// The gateway accepts none of the child proposals.
    ChildProposalRefused {
        /// In which exchange.
        phase: Phase,
        /// What we offered.
        offered: Vec<String>,
    },
    /// The gateway refuses our groups for perfect forward secrecy: the child would not survive its first rekey.
    PfsRefused {
        /// What we offered, in strongSwan's notation.
        offered: Vec<String>,
        /// The group the gateway asked for, if it named one.
        wanted_group: Option<u16>,
    },
    /// The gateway says AUTHENTICATION_FAILED: our identity or the key is not what it expects.
    AuthenticationRefused {
        /// In which exchange.
        phase: Phase,
        /// Who we said we are.
        local: Identity,
        /// Whom we asked for, if we did.
        remote: Option<Identity>,
    },
    /// The gateway's proof is wrong: the keys differ, or it is not the gateway.
    PeerAuthenticationFailed {
        /// In which exchange.
        phase: Phase,
        /// What it calls itself.
        identity: Identity,
    },
    /// The gateway calls itself something else.
    PeerIdentityUnexpected {
        /// What was expected.
        expected: Vec<Identity>,
        /// What it said.
        received: Identity,
    },
    /// The gateway asks for a name and password (XAUTH), and none is configured.
    XauthWanted,
    /// The gateway refuses the name or the password (XAUTH).
    XauthRefused {
        /// The name we gave.
        user: String,
        /// What the gateway said with it; untrusted.
        message: Option<String>,
    },
    /// The gateway wants to authenticate otherwise than by a pre-shared key.
    PeerMethodUnexpected {
        /// What it wants: "EAP", "RSA signature"...
        method: String,
    },
    /// The gateway does not carry the subnets we asked for.
    SelectorsRefused {
        /// In which exchange.
        phase: Phase,
        /// Our side, asked.
        local: Vec<Selector>,
        /// Its side, asked.
        remote: Vec<Selector>,
        /// What it answered, if it did: local then remote.
        answered: Option<(Vec<Selector>, Vec<Selector>)>,
    },
    /// The gateway deletes every child SA as soon as it is made.
    ChildrenDeleted {
        /// In which exchange they were made.
        phase: Phase,
    },
    /// The gateway does not know NAT traversal (RFC 3947): there is no UDP encapsulation with it.
    NoEncapsulation {
        /// In which exchange.
        phase: Phase,
    },
    /// The gateway gave no address, or one that cannot be used.
    AddressRefused {
        /// What it said or gave, for people.
        reason: String,
    },
    /// The gateway refused the child or the SA for another reason: the notify's RFC name.
    Refused {
        /// In which exchange.
        phase: Phase,
        /// RFC name of the notify.
        notify: String,
    },
    /// The gateway broke the protocol in an authenticated message.
    PeerViolation {
        /// What it did.
        what: &'static str,
    },
    /// The configuration asks for more than one message can hold.
    Unsendable {
        /// Which one.
        phase: Phase,
    },
    /// The gateway ended the SA by DELETE.
    ClosedByPeer,
    /// The gateway was asked for a sign of life and gave none.
    PeerDead {
        /// How long it was silent.
        silent: Duration,
    },
    /// A lifetime ended.
    LifetimeEnded,
    /// Our own address towards the gateway changed: it sends to the old one.
    Moved {
        /// Before.
        from: IpAddr,
        /// Now.
        to: IpAddr,
    },
    /// The gateway does not want to be reached from where we are now, or not there (RFC 4555 §3.5, §3.9).
    MoveRefused {
        /// RFC name of the notify.
        notify: String,
    },
    /// We were told to close.
    ClosedByUs {
        /// Whether the gateway confirmed the DELETE.
        confirmed: bool,
    },
}

/// Why a datagram was not used. Each is a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// It is no well-formed message.
    Malformed,
    /// Another SPI pair, role or exchange than any of ours.
    NotOurs,
    /// From another address than the gateway's.
    WrongAddress,
    /// The integrity check failed.
    Forged,
    /// A message ID outside the window, or of a finished exchange.
    OutsideWindow,
    /// An unauthenticated error or hint that is not acted on.
    Unauthenticated,
    /// A cookie, group or key exchange value that is not acceptable.
    Unacceptable,
    /// A bound was reached: candidates, fragments, rates.
    Bounded,
    /// A fragment that is a repetition or does not fit.
    Fragment,
    /// A major version that is not ours.
    MajorVersion,
}

/// A session as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStatus {
    /// State by name.
    pub state: &'static str,
    /// Both sides' IKE SPIs, the peer's once it is known.
    pub spis: (IkeSpi, Option<IkeSpi>),
    /// Suite, once chosen.
    pub suite: Option<IkeSuite>,
    /// The path in use.
    pub path: Path,
}

impl Failure {
    /// Whether the gateway answered and said no: trying again soon will not help.
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::IkeProposalRefused { .. }
            | Self::ChildrenDeleted { .. }
            | Self::NoEncapsulation { .. }
            | Self::XauthWanted
            | Self::XauthRefused { .. }
            | Self::ChildProposalRefused { .. }
            | Self::PfsRefused { .. }
            | Self::AuthenticationRefused { .. }
            | Self::PeerAuthenticationFailed { .. }
            | Self::PeerIdentityUnexpected { .. }
            | Self::PeerMethodUnexpected { .. }
            | Self::SelectorsRefused { .. }
            | Self::AddressRefused { .. }
            | Self::Refused { .. }
            | Self::PeerViolation { .. } => true,
            Self::NoAnswer { .. }
            | Self::ClosedByPeer
            | Self::Unsendable { .. }
            | Self::PeerDead { .. }
            | Self::LifetimeEnded
            | Self::Moved { .. }
            | Self::MoveRefused { .. }
            | Self::ClosedByUs { .. } => false,
        }
    }
}
