//! What a tunnel tells whoever watches it come up: one value a phase, in the order a person meets them.

use std::net::IpAddr;
use std::time::Duration;

use crate::ike::action::{DropReason, Failure, Phase, Side};
use crate::ike::identity::Identity;
use crate::sa::selector::Selector;
use crate::sa::suite::{EspSuite, Group, IkeSuite};
use crate::tunnel::succession::Reason;

/// One step of a tunnel's life.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// The kill switch is on: the configured subnets can be reached through the tunnel or not at all.
    SubnetsClosed {
        /// Which subnets.
        subnets: Vec<(IpAddr, u8)>,
        /// Whether the kernel's packet filter sees to it beside the routes.
        nftables: bool,
    },
    /// The gateway's name gave these addresses; for an address in the configuration, that address.
    Resolved {
        /// As configured.
        gateway: String,
        /// In the order they are tried.
        addresses: Vec<IpAddr>,
    },
    /// The gateway's name could not be resolved.
    NotResolved {
        /// As configured.
        gateway: String,
        /// The resolver's words.
        reason: String,
    },
    /// The host has no way to the address.
    NoPath {
        /// The gateway.
        remote: IpAddr,
        /// The operating system's words.
        reason: String,
    },
    /// The first message leaves.
    Connecting {
        /// Of this exchange.
        phase: Phase,
        /// To this address and port.
        remote: std::net::SocketAddr,
    },
    /// The IKE SA's suite is agreed on.
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
    /// The gateway took our name and password.
    UserAccepted {
        /// The name.
        user: String,
    },
    /// A child SA has new keys.
    ChildRekeyed {
        /// Who asked for it.
        by: Side,
    },
    /// The gateway took a key exchange of this group for a child: a difference would not show before the first rekey.
    PfsVerified {
        /// The group.
        group: Group,
    },
    /// A child SA is gone; others may stand.
    ChildGone {
        /// What is not reached any more.
        remote: Vec<Selector>,
    },
    /// The IKE SA was replaced by a new one.
    IkeRenewed,
    /// The same SAs travel between other addresses from now on.
    Roamed {
        /// Ours.
        local: IpAddr,
        /// The gateway's.
        remote: IpAddr,
    },
    /// The child SA is there.
    ChildUp {
        /// In which exchange.
        phase: Phase,
        /// What was chosen.
        suite: EspSuite,
        /// What is reached through it.
        remote: Vec<Selector>,
    },
    /// The gateway assigned addresses.
    Addresses {
        /// In which exchange.
        phase: Phase,
        /// With their prefix lengths; empty when none was asked for.
        addresses: Vec<(IpAddr, u8)>,
        /// Name servers the gateway named.
        dns: Vec<IpAddr>,
    },
    /// Addresses and routes are set on the host.
    Routes {
        /// Name of the TUN device.
        device: String,
        /// Octets of the largest inner packet.
        mtu: u16,
        /// What is routed to it.
        routes: Vec<(IpAddr, u8)>,
    },
    /// The tunnel carries traffic.
    Up,
    /// A request is being repeated.
    Repeating {
        /// Which exchange.
        exchange: Phase,
        /// How often it was repeated.
        repetition: u32,
    },
    /// A datagram was dropped.
    Dropped(DropReason),
    /// Something of note.
    Notice(String),
    /// An attempt failed or a tunnel that was up ended.
    Down {
        /// The gateway it was with.
        remote: IpAddr,
        /// Why.
        failure: Failure,
        /// Whether it had been up.
        was_up: bool,
    },
    /// Tunnels of this client end soon after they are up, again and again: another client has the same identity.
    Displaced {
        /// The gateway it was with.
        remote: IpAddr,
        /// Who we said we are.
        identity: Identity,
    },
    /// A session that is to succeed the one that carries the traffic is being made beside it.
    SuccessionBegun {
        /// Why.
        reason: Reason,
    },
    /// An attempt at it failed. The tunnel goes on as it is.
    SuccessionFailed {
        /// Why it is wanted.
        reason: Reason,
        /// What went wrong: one of those that an attempt to connect fails with.
        cause: Box<Progress>,
    },
    /// A new session carries the traffic; the old one is closed.
    Succeeded {
        /// Why.
        reason: Reason,
        /// The gateway that it is with.
        remote: IpAddr,
    },
    /// The host could not be set up: addresses or routes.
    HostFailed {
        /// The operating system's words.
        reason: String,
    },
    /// Everything of another process that ran before was taken over.
    TookOver {
        /// Its own number.
        process: u32,
        /// How long packets waited.
        waited: Duration,
        /// Whether its tunnel was up, and goes on.
        is_up: bool,
        /// Keys of the configuration whose values are others now: a new session is made for them.
        differing: Vec<String>,
    },
    /// Another process took everything over; this one ends.
    HandedOver {
        /// Its own number.
        process: u32,
    },
    /// The next attempt comes after this wait.
    Waiting {
        /// How long.
        wait: Duration,
    },
}
