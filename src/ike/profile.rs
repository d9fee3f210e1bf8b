//! What a session is to negotiate: one gateway's settings as values, valid when they arrive here.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::secret::Secret;
use crate::ike::action::Phase;
use crate::ike::identity::Identity;
use crate::sa::{
    command::ChildId,
    lifetime::Lifetime,
    selector::Selector,
    suite::{EspOffer, IkeOffer},
};

/// All a session needs to know of one gateway.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Which protocol is spoken.
    pub protocol: Protocol,
    /// Who we say we are.
    pub local_identity: Identity,
    /// Who the gateway may say it is; the peer's must equal one of them. Never empty.
    pub remote_identities: Vec<Identity>,
    /// Whether the first of `remote_identities` is sent as IDr: only when the configuration named it.
    pub send_remote_identity: bool,
    /// The pre-shared key, raw octets.
    pub psk: Arc<Secret>,
    /// What is offered for the IKE SA, in order. Never empty.
    pub ike_offers: Vec<IkeOffer>,
    /// Time after which the IKE SA must not be used any more.
    pub ike_lifetime: Lifetime,
    /// What is asked of the gateway besides the child: addresses, DNS.
    pub request: AddressRequest,
    /// The child SA.
    pub child: ChildProfile,
    /// UDP port of the gateway for encapsulated traffic, 4500 unless configured.
    pub encapsulation_port: u16,
    /// How requests are repeated.
    pub retransmission: RetransmissionPolicy,
    /// After how long without a sign of life the peer is asked for one; `None`: never.
    pub dpd: Option<Duration>,
    /// How often a NAT keepalive is sent when nothing else was; 20 s unless configured.
    pub keepalive: Duration,
    /// Whether IKE fragmentation is announced, and the largest datagram (IP header included) that is sent unfragmented: 1280 unless configured.
    pub fragmentation: Option<u16>,
    /// Whether INITIAL_CONTACT is sent: only when no other replica has this identity (RFC 7296 §2.4).
    pub initial_contact: bool,
    /// Whether MOBIKE (RFC 4555) is announced: the IKE SA and its children outlive a change of address. IKEv2 only.
    pub mobike: bool,
    /// Octets of our nonce, 16 to 256; 32 unless configured.
    pub nonce_len: u16,
}

/// Which IKE is spoken. It is never changed by what a peer says.
#[derive(Debug, Clone)]
pub enum Protocol {
    /// RFC 2409 and its companions.
    Ikev1(Arc<Ikev1>),
    /// RFC 7296.
    Ikev2,
}

/// In which phases a protocol does what both do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phases {
    /// The first message leaves.
    pub first: Phase,
    /// Addresses are assigned.
    pub addresses: Phase,
    /// Child SAs are made.
    pub children: Phase,
}

impl Protocol {
    /// Its phases.
    pub fn phases(&self) -> Phases {
        match self {
            Self::Ikev1(settings) => Phases {
                first: match settings.mode {
                    Phase1Mode::Main => Phase::MainModeProposal,
                    Phase1Mode::Aggressive => Phase::AggressiveMode,
                },
                addresses: Phase::ModeConfig,
                children: Phase::QuickMode,
            },
            Self::Ikev2 => Phases { first: Phase::SaInit, addresses: Phase::Auth, children: Phase::Auth },
        }
    }
}

/// What only IKEv1 has.
#[derive(Debug)]
pub struct Ikev1 {
    /// How phase 1 is negotiated; there is no fall-back from one to the other.
    pub mode: Phase1Mode,
    /// Name and password, if the gateway asks for them (XAUTH).
    pub xauth: Option<Xauth>,
}

/// How phase 1 is negotiated (RFC 2409 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase1Mode {
    /// Six messages; identities and proofs are encrypted.
    Main,
    /// Three messages; whoever listens or asks gets what is needed to search for the key offline.
    Aggressive,
}

/// What XAUTH is answered with.
#[derive(Debug)]
pub struct Xauth {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// Which inner addresses are asked for with CFG_REQUEST.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressRequest {
    /// Ask for an IPv4 address; the value is one we had and would like again, or unspecified.
    pub ipv4: Option<Ipv4Addr>,
    /// Ask for an IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// Ask for name servers.
    pub dns: bool,
    /// Addresses and prefix lengths that are ours by configuration, when none is asked for.
    pub fixed: Vec<(std::net::IpAddr, u8)>,
}

/// The child SA that is to be made.
#[derive(Debug, Clone)]
pub struct ChildProfile {
    /// What is offered, in order. Never empty.
    pub offers: Vec<EspOffer>,
    /// Our side (TSi). When a virtual address is asked for: everything, which the gateway narrows to it.
    pub local: Vec<Selector>,
    /// The gateway's side (TSr): the configured subnets.
    pub remote: Vec<Selector>,
    /// The children are called by this number and those that follow it: no two sessions share one.
    pub first_id: ChildId,
    /// Limits of each SA.
    pub lifetime: Lifetime,
    /// Packets that may arrive out of order, 0 to 8192; 1024 unless configured.
    pub replay_window: u32,
    /// Whether a group for perfect forward secrecy is proven right after connecting (IKEv2: IKE_AUTH has no key exchange for the child).
    pub verify_pfs: bool,
}

/// What of a profile may change while a session lives. Lifetimes are those of the next SAs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upkeep {
    /// See [`Profile::ike_lifetime`].
    pub ike_lifetime: Lifetime,
    /// See [`ChildProfile::lifetime`].
    pub child_lifetime: Lifetime,
    /// See [`ChildProfile::replay_window`].
    pub replay_window: u32,
    /// See [`Profile::retransmission`].
    pub retransmission: RetransmissionPolicy,
    /// See [`Profile::dpd`].
    pub dpd: Option<Duration>,
    /// See [`Profile::keepalive`].
    pub keepalive: Duration,
    /// See [`Profile::fragmentation`].
    pub fragmentation: Option<u16>,
}

impl Profile {
    /// What of it may change while a session lives.
    pub const fn upkeep(&self) -> Upkeep {
        Upkeep {
            ike_lifetime: self.ike_lifetime,
            child_lifetime: self.child.lifetime,
            replay_window: self.child.replay_window,
            retransmission: self.retransmission,
            dpd: self.dpd,
            keepalive: self.keepalive,
            fragmentation: self.fragmentation,
        }
    }

    /// Goes on with other values. Fragmentation that was not announced cannot be begun.
    pub const fn adopt(&mut self, upkeep: Upkeep) {
        self.ike_lifetime = upkeep.ike_lifetime;
        self.child.lifetime = upkeep.child_lifetime;
        self.child.replay_window = upkeep.replay_window;
        self.retransmission = upkeep.retransmission;
        self.dpd = upkeep.dpd;
        self.keepalive = upkeep.keepalive;
        if self.fragmentation.is_some() {
            self.fragmentation = upkeep.fragmentation;
        }
    }
}

/// How often and how long a request is repeated (RFC 7296 §2.1, §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetransmissionPolicy {
    /// Wait before the first repetition.
    pub first: Duration,
    /// Each wait is this many percent of the one before; more than 100.
    pub growth_percent: u32,
    /// No wait is longer than this.
    pub longest: Duration,
    /// Repetitions before the peer is given up.
    pub repetitions: u32,
    /// Each wait is made up to this many percent longer at random.
    pub jitter_percent: u32,
}

impl Default for RetransmissionPolicy {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            growth_percent: 150,
            longest: Duration::from_secs(20),
            repetitions: 10,
            jitter_percent: 20,
        }
    }
}
