//! What the host needs for one tunnel, as a list of steps: which addresses, which routes, and which are refused.
//!
//! Pure: it touches nothing and asks nobody. Routes follow the negotiated selectors and never go beyond them; the default route is
//! never taken unless the configuration says so in words. The kill switch's closures stand under the routes, so that a route that goes
//! leaves a subnet closed and not open. How a step is done is `address`, `route` and `rule`'s matter.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Nftables;
use crate::os::nftables::Ruleset;
use crate::os::prefix::{FAMILIES, Family, Prefix};
use crate::sa::selector::Selector;

/// The instance metadata services of cloud providers: whoever answers there hands out credentials (L-08).
const METADATA: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254))];

/// The smallest MTU that IPv6 works with (RFC 8200 §5): below it the kernel takes IPv6 away from the device.
const IPV6_MINIMUM_MTU: u16 = 1280;

/// Whether packets for the gateway's side are routed into the tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routes {
    /// `[tun] routes = false`: somebody else makes the routes.
    None,
    /// One route for each negotiated subnet.
    #[default]
    Negotiated,
    /// The configured subnets as far as they were negotiated: the child SA itself carries everything.
    Configured,
}

/// Whether the tunnel may become the way to everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultRoute {
    /// Subnets that are everything, or half of it, get no route.
    #[default]
    Refused,
    /// The configuration says so in words. The host's own default route stays where it is, and counts for vpnd's own packets.
    Allowed,
}

/// Whether the kill switch is on: packets for the configured subnets leave through the tunnel or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillSwitch {
    /// While there is no tunnel, packets take the host's other routes.
    Off,
    /// While there is no tunnel, the subnets cannot be reached.
    On(Nftables),
}

/// What the configuration asks of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSettings {
    /// The TUN device's name.
    pub device: String,
    /// The gateway's side as configured: what is asked for in words.
    pub configured: Vec<Selector>,
    /// Whether routes are made.
    pub routes: Routes,
    /// Whether the default route may be taken.
    pub default_route: DefaultRoute,
    /// Whether the subnets are closed without a tunnel.
    pub kill_switch: KillSwitch,
}

impl HostSettings {
    /// The configured subnet that holds all of `destination`, if there is one.
    pub fn covering(&self, destination: Prefix) -> Option<Prefix> {
        self.configured.iter().flat_map(prefixes).find(|subnet| subnet.covers(destination))
    }

    /// What is in force between these settings and the next: closed is what either closes, routed what either routes.
    #[must_use]
    pub fn joined_with(&self, next: &Self) -> Self {
        let mut configured = self.configured.clone();
        configured.extend(next.configured.iter().filter(|selector| !self.configured.contains(selector)));
        let either = |routes| self.routes == routes || next.routes == routes;
        // What is routed of the configured subnets are those that were negotiated, also where only these are negotiated.
        let routes = [Routes::Configured, Routes::Negotiated].into_iter().find(|routes| either(*routes));
        let is_allowed = [self, next].iter().any(|settings| settings.default_route == DefaultRoute::Allowed);
        Self {
            device: next.device.clone(),
            configured,
            routes: routes.unwrap_or(Routes::None),
            default_route: if is_allowed { DefaultRoute::Allowed } else { DefaultRoute::Refused },
            kill_switch: if next.kill_switch == KillSwitch::Off { self.kill_switch } else { next.kill_switch },
        }
    }
}

/// What is known of a tunnel when it comes up.
#[derive(Clone, Debug)]
pub struct TunnelFacts<'a> {
    /// Octets of the largest inner packet.
    pub mtu: u16,
    /// Our inner addresses. Their prefix lengths are not used: what lies beside an address is reached by selectors only.
    pub addresses: &'a [(IpAddr, u8)],
    /// The gateway's side as negotiated.
    pub remote: &'a [Selector],
    /// Where the gateway and we are outside; first the one of this tunnel, then others that are spoken to beside it.
    pub outside: &'a [Outside],
}

/// The two ends of the datagrams that carry the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The gateway's address.
    pub gateway: IpAddr,
    /// Our UDP port.
    pub port: u16,
}

/// One change of the host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Step {
    /// Have vpnd's own routing table asked before all others, by every packet that is not vpnd's own. More specific routes elsewhere,
    /// such as a network's DHCP server hands out, do not count for what stands in it (L-04, L-06).
    Lookup {
        /// Of this family.
        family: Family,
    },
    /// Let what the gateway sends to our UDP port pass the reverse path filter, although a route into the tunnel covers the gateway.
    /// IPv4 only: the kernel has no such filter for IPv6.
    ReversePath {
        /// The gateway.
        gateway: Ipv4Addr,
        /// Our port.
        port: u16,
    },
    /// Make a subnet unreachable, except for better routes.
    Close {
        /// The subnet.
        destination: Prefix,
    },
    /// Set the device's MTU and bring it up.
    Link {
        /// The device.
        device: String,
        /// Octets.
        mtu: u16,
    },
    /// Give the device an address; nothing beside it is taken to be on the link.
    Address {
        /// The device.
        device: String,
        /// The address.
        address: IpAddr,
    },
    /// Route a subnet into the tunnel.
    Route {
        /// The device.
        device: String,
        /// The subnet.
        destination: Prefix,
        /// Our address that packets of the host itself leave with.
        source: Option<IpAddr>,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup { family } => write!(f, "routing rule of {family} for the tunnel's own table"),
            Self::ReversePath { gateway, port } => {
                write!(f, "routing rule for what {gateway} sends to UDP port {port}")
            }
            Self::Close { destination } => write!(f, "{destination} unreachable without the tunnel"),
            Self::Link { device, mtu } => write!(f, "{device} up, MTU {mtu}"),
            Self::Address { device, address } => write!(f, "address {address} on {device}"),
            Self::Route { device, destination, .. } => write!(f, "route {destination} through {device}"),
        }
    }
}

/// A negotiated subnet that gets no route, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The subnet.
    pub destination: Prefix,
    /// The reason.
    pub reason: RefusalReason,
}

/// Why a subnet gets no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// It is everything, or together with the others it is.
    DefaultRoute,
    /// It is the gateway's own outer address.
    Gateway,
    /// It holds a cloud's metadata service and was not asked for in words.
    Metadata,
    /// It never leaves a host: loopback, link-local, multicast or unspecified, and was not asked for in words.
    HostOnly,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let destination = self.destination;
        match self.reason {
            RefusalReason::DefaultRoute => write!(
                f,
                "{destination} would make the tunnel the default route; it gets no route unless the configuration allows the default route in words"
            ),
            RefusalReason::Gateway => {
                write!(f, "{destination} is the gateway's own outer address; it gets no route into the tunnel")
            }
            RefusalReason::Metadata => write!(
                f,
                "{destination} holds a cloud's metadata service; it gets no route unless `[gateway] subnets` names this very subnet"
            ),
            RefusalReason::HostOnly => write!(
                f,
                "{destination} is loopback, link-local or multicast; it gets no route unless `[gateway] subnets` names this very subnet"
            ),
        }
    }
}

/// Whether there can be a tunnel without something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It is used where the kernel has it.
    Wanted,
    /// Without it there is no tunnel.
    Required,
}

/// What is to be done, in order, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPlan {
    /// What the packet filter holds back, and whether it has to; `None` when it is not used.
    pub filter: Option<(Ruleset, Need)>,
    /// Steps in the order in which they are done; they are undone backwards.
    pub steps: Vec<Step>,
    /// Subnets without a route.
    pub refused: Vec<Refusal>,
}

impl HostPlan {
    /// What is in force before there is a tunnel, and between two.
    pub fn closed(settings: &HostSettings) -> Self {
        let closed = closed(settings);
        let mut plan = Self { filter: filter(settings, &closed, &[]), ..Self::default() };
        plan.look_up(&closed);
        plan.steps.extend(closed.into_iter().map(|destination| Step::Close { destination }));
        plan
    }

    /// What is in force while there is a tunnel: all of [`Self::closed`], and the way in.
    pub fn of(settings: &HostSettings, facts: &TunnelFacts<'_>) -> Self {
        let device = || settings.device.clone();
        let (destinations, refused) =
            if settings.routes == Routes::None { Default::default() } else { destinations(settings, facts) };
        let closed = closed(settings);
        let mut plan = Self { filter: filter(settings, &closed, facts.addresses), refused, ..Self::default() };
        plan.look_up(&[&*closed, &*destinations].concat());
        plan.steps.extend(reverse_paths(&[&*closed, &*destinations].concat(), facts.outside));
        plan.steps.extend(closed.into_iter().map(|destination| Step::Close { destination }));

        let has_ipv6 = facts.addresses.iter().any(|(address, _)| address.is_ipv6());
        let mtu = if has_ipv6 { facts.mtu.max(IPV6_MINIMUM_MTU) } else { facts.mtu };
        plan.steps.push(Step::Link { device: device(), mtu });
        for (address, _) in facts.addresses {
            plan.steps.push(Step::Address { device: device(), address: *address });
        }
        for destination in destinations {
            let source = facts
                .addresses
                .iter()
                .map(|(address, _)| *address)
                .find(|address| address.is_ipv4() == destination.address().is_ipv4());
            plan.steps.push(Step::Route { device: device(), destination, source });
        }
        plan
    }

    /// What has to be in force before these gateways can be spoken to, beside [`Self::closed`].
    pub fn towards(settings: &HostSettings, outside: &[Outside]) -> Vec<Step> {
        reverse_paths(&closed(settings), outside)
    }

    /// The subnets that cannot be reached but through the tunnel.
    pub fn closed_subnets(&self) -> Vec<(IpAddr, u8)> {
        let closed = self.steps.iter().filter_map(|step| match step {
            Step::Close { destination } => Some((destination.address(), destination.length())),
            _ => None,
        });
        closed.collect()
    }

    fn look_up(&mut self, destinations: &[Prefix]) {
        let has = |family| destinations.iter().any(|destination| destination.family() == family);
        let families = FAMILIES.into_iter().filter(|family| has(*family));
        self.steps.extend(families.map(|family| Step::Lookup { family }));
    }

    /// What leads from this plan, already carried out, to `next`: the steps to undo, in the order to undo them, and the steps to do.
    /// What both have stays untouched, so that a new address or a narrower selector does not interrupt the rest.
    pub fn transition<'a>(&'a self, next: &'a Self) -> (Vec<&'a Step>, Vec<&'a Step>) {
        let undo = self.steps.iter().rev().filter(|step| !next.steps.contains(step)).collect();
        let todo = next.steps.iter().filter(|step| !self.steps.contains(step)).collect();
        (undo, todo)
    }
}

/// The subnets that get a route, in order and without repetition, and those that do not.
fn destinations(settings: &HostSettings, facts: &TunnelFacts<'_>) -> (Vec<Prefix>, Vec<Refusal>) {
    let in_words: Vec<Prefix> = settings.configured.iter().flat_map(prefixes).collect();
    let mut wanted: Vec<Prefix> = facts.remote.iter().flat_map(prefixes).collect();
    if settings.routes == Routes::Configured {
        wanted = wanted.iter().flat_map(|one| in_words.iter().filter_map(|other| narrower(*one, *other))).collect();
    }
    wanted.sort_unstable();
    wanted.dedup();

    let mut routed = Vec::new();
    let mut refused = Vec::new();
    for destination in &wanted {
        let covers_all = is_everything(&wanted, destination.family());
        let reason = refusal(settings, facts, *destination, covers_all, in_words.contains(destination));
        match reason {
            Some(reason) => refused.push(Refusal { destination: *destination, reason }),
            None => routed.push(*destination),
        }
    }
    routed.sort_unstable();
    routed.dedup();
    (routed, refused)
}

/// What the kill switch closes: the configured subnets, whatever of them is negotiated. Who takes the default route of one family
/// has the other family's closed, too: what the tunnel does not carry must not pass beside it (RFC 7359).
fn closed(settings: &HostSettings) -> Vec<Prefix> {
    if settings.kill_switch == KillSwitch::Off || settings.routes == Routes::None {
        return Vec::new();
    }
    let mut closed: Vec<Prefix> = settings.configured.iter().flat_map(prefixes).collect();
    closed.sort_unstable();
    let all: Vec<Family> = FAMILIES.into_iter().filter(|family| is_everything(&closed, *family)).collect();
    match settings.default_route {
        DefaultRoute::Allowed if !all.is_empty() => closed.extend(FAMILIES.map(Prefix::all)),
        DefaultRoute::Allowed => {}
        DefaultRoute::Refused => {
            closed.retain(|destination| destination.length() > 1 && !all.contains(&destination.family()));
        }
    }
    closed.sort_unstable();
    closed.dedup();
    closed
}

fn filter(settings: &HostSettings, closed: &[Prefix], addresses: &[(IpAddr, u8)]) -> Option<(Ruleset, Need)> {
    let need = match settings.kill_switch {
        KillSwitch::On(Nftables::Auto) => Need::Wanted,
        KillSwitch::On(Nftables::Required) => Need::Required,
        KillSwitch::On(Nftables::Never) | KillSwitch::Off => return None,
    };
    let inside = addresses.iter().map(|(address, _)| *address).collect();
    (!closed.is_empty()).then(|| (Ruleset { closed: closed.to_vec(), inside }, need))
}

/// The reverse path filter looks for the way to the sender, and finds the tunnel's routes when these cover the gateway.
fn reverse_paths(destinations: &[Prefix], outside: &[Outside]) -> Vec<Step> {
    let step = |outside: &Outside| {
        let IpAddr::V4(gateway) = outside.gateway else { return None };
        let covered = destinations.iter().any(|destination| destination.contains(outside.gateway));
        covered.then_some(Step::ReversePath { gateway, port: outside.port })
    };
    outside.iter().filter_map(step).collect()
}

fn refusal(
    settings: &HostSettings,
    facts: &TunnelFacts<'_>,
    destination: Prefix,
    covers_all: bool,
    in_words: bool,
) -> Option<RefusalReason> {
    if settings.default_route == DefaultRoute::Refused && (destination.length() <= 1 || covers_all) {
        return Some(RefusalReason::DefaultRoute);
    }
    if facts.outside.iter().any(|outside| destination == Prefix::host(outside.gateway)) {
        return Some(RefusalReason::Gateway);
    }
    if in_words {
        return None;
    }
    if METADATA.iter().any(|address| destination.contains(*address)) && !is_broad(settings, destination) {
        return Some(RefusalReason::Metadata);
    }
    if is_host_only(destination) {
        return Some(RefusalReason::HostOnly);
    }
    None
}

/// Whether a subnet is the default route or a half of it, which the configuration allowed in words.
fn is_broad(settings: &HostSettings, destination: Prefix) -> bool {
    settings.default_route == DefaultRoute::Allowed && destination.length() <= 1
}

fn is_host_only(destination: Prefix) -> bool {
    const NETWORKS: [(IpAddr, u8); 8] = [
        (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8),
        (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
        (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
        (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4),
        (IpAddr::V4(Ipv4Addr::new(255, 255, 255, 255)), 32),
        (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 127),
        (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
        (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
    ];
    NETWORKS
        .iter()
        .any(|(address, length)| Prefix::new(*address, *length).is_some_and(|network| network.covers(destination)))
}

/// Whether the prefixes, sorted, are all of the family, in one piece or in several.
fn is_everything(sorted: &[Prefix], family: Family) -> bool {
    let mut next: u128 = 0;
    for prefix in sorted.iter().filter(|prefix| prefix.family() == family) {
        let (first, last) = prefix.bounds();
        if first > next {
            return false;
        }
        if last >= prefix.last_of_family() {
            return true;
        }
        next = next.max(last.saturating_add(1));
    }
    false
}

/// What two prefixes have in common.
fn narrower(one: Prefix, other: Prefix) -> Option<Prefix> {
    if one.covers(other) { Some(other) } else { other.covers(one).then_some(one) }
}

fn prefixes(selector: &Selector) -> Vec<Prefix> {
    selector.to_prefixes().into_iter().filter_map(|(address, length)| Prefix::new(address, length)).collect()
}

#[cfg(test)]
mod tests;
