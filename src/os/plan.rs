//! What the host needs for one tunnel, as a list of steps: which addresses, which routes, and which are refused.
//!
//! Pure: it touches nothing and asks nobody. Routes follow the negotiated selectors and never go beyond them; the default route is
//! never taken unless the configuration says so in words. How a step is done is `address` and `route`'s matter.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::os::prefix::Prefix;
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
    /// The configuration says so in words. Two halves are routed, so that the host's own default route stays and comes back.
    Allowed,
}

/// What is known of a tunnel when it comes up.
#[derive(Clone, Debug)]
pub struct TunnelFacts<'a> {
    /// The TUN device's name.
    pub device: &'a str,
    /// Octets of the largest inner packet.
    pub mtu: u16,
    /// Our inner addresses. Their prefix lengths are not used: what lies beside an address is reached by selectors only.
    pub addresses: &'a [(IpAddr, u8)],
    /// The gateway's side as negotiated.
    pub remote: &'a [Selector],
    /// The gateway's side as configured: what is asked for in words.
    pub configured: &'a [Selector],
    /// The gateway's outer address.
    pub gateway: IpAddr,
    /// Whether routes are made.
    pub routes: Routes,
    /// Whether the default route may be taken.
    pub default_route: DefaultRoute,
}

/// One change of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
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
    /// Keep the gateway's outer address on the way it has now, whatever later steps route into the tunnel (T-15).
    ExemptGateway {
        /// The tunnel's device, which the gateway must not be reached through.
        device: String,
        /// The address.
        gateway: IpAddr,
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
            Self::Link { device, mtu } => write!(f, "{device} up, MTU {mtu}"),
            Self::Address { device, address } => write!(f, "address {address} on {device}"),
            Self::ExemptGateway { gateway, .. } => write!(f, "gateway {gateway} stays outside the tunnel"),
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

/// What is to be done, in order, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPlan {
    /// Steps in the order in which they are done; they are undone backwards.
    pub steps: Vec<Step>,
    /// Subnets without a route.
    pub refused: Vec<Refusal>,
}

impl HostPlan {
    /// Makes the plan.
    pub fn of(facts: &TunnelFacts<'_>) -> Self {
        let mut plan = Self::default();
        let device = || facts.device.to_owned();
        let has_ipv6 = facts.addresses.iter().any(|(address, _)| address.is_ipv6());
        let mtu = if has_ipv6 { facts.mtu.max(IPV6_MINIMUM_MTU) } else { facts.mtu };
        plan.steps.push(Step::Link { device: device(), mtu });
        for (address, _) in facts.addresses {
            plan.steps.push(Step::Address { device: device(), address: *address });
        }
        if facts.routes == Routes::None {
            return plan;
        }

        let (destinations, refused) = destinations(facts);
        plan.refused = refused;
        if destinations.iter().any(|destination| destination.contains(facts.gateway)) {
            plan.steps.push(Step::ExemptGateway { device: device(), gateway: facts.gateway });
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

    /// What leads from this plan, already carried out, to `next`: the steps to undo, in the order to undo them, and the steps to do.
    /// What both have stays untouched, so that a new address or a narrower selector does not interrupt the rest.
    pub fn transition<'a>(&'a self, next: &'a Self) -> (Vec<&'a Step>, Vec<&'a Step>) {
        let undo = self.steps.iter().rev().filter(|step| !next.steps.contains(step)).collect();
        let todo = next.steps.iter().filter(|step| !self.steps.contains(step)).collect();
        (undo, todo)
    }
}

/// The subnets that get a route, in order and without repetition, and those that do not.
fn destinations(facts: &TunnelFacts<'_>) -> (Vec<Prefix>, Vec<Refusal>) {
    let in_words: Vec<Prefix> = facts.configured.iter().flat_map(prefixes).collect();
    let mut wanted: Vec<Prefix> = facts.remote.iter().flat_map(prefixes).collect();
    if facts.routes == Routes::Configured {
        wanted = wanted.iter().flat_map(|one| in_words.iter().filter_map(|other| narrower(*one, *other))).collect();
    }
    wanted.sort_unstable();
    wanted.dedup();

    let mut routed = Vec::new();
    let mut refused = Vec::new();
    let is_everything = |is_ipv4: bool| {
        let family: Vec<Prefix> =
            wanted.iter().copied().filter(|prefix| prefix.address().is_ipv4() == is_ipv4).collect();
        leaves_nothing_out(&family)
    };
    let everything = (is_everything(true), is_everything(false));
    for destination in &wanted {
        let covers_all = if destination.address().is_ipv4() { everything.0 } else { everything.1 };
        let reason = refusal(facts, *destination, covers_all, in_words.contains(destination));
        match reason {
            Some(reason) => refused.push(Refusal { destination: *destination, reason }),
            None if destination.length() == 0 => routed.extend(destination.halves()),
            None => routed.push(*destination),
        }
    }
    routed.sort_unstable();
    routed.dedup();
    (routed, refused)
}

fn refusal(facts: &TunnelFacts<'_>, destination: Prefix, covers_all: bool, in_words: bool) -> Option<RefusalReason> {
    if facts.default_route == DefaultRoute::Refused && (destination.length() <= 1 || covers_all) {
        return Some(RefusalReason::DefaultRoute);
    }
    if destination == Prefix::host(facts.gateway) {
        return Some(RefusalReason::Gateway);
    }
    if in_words {
        return None;
    }
    if METADATA.iter().any(|address| destination.contains(*address)) && !is_broad(facts, destination) {
        return Some(RefusalReason::Metadata);
    }
    if is_host_only(destination) {
        return Some(RefusalReason::HostOnly);
    }
    None
}

/// Whether a subnet is the default route or a half of it, which the configuration allowed in words.
fn is_broad(facts: &TunnelFacts<'_>, destination: Prefix) -> bool {
    facts.default_route == DefaultRoute::Allowed && destination.length() <= 1
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

fn leaves_nothing_out(family: &[Prefix]) -> bool {
    let mut next: u128 = 0;
    for prefix in family {
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
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn subnet(text: &str) -> Selector {
        let (address, length) = text.split_once('/').unwrap();
        Selector::from_prefix(ip(address), length.parse().unwrap()).unwrap()
    }

    fn subnets(texts: &[&str]) -> Vec<Selector> {
        texts.iter().map(|text| subnet(text)).collect()
    }

    struct Case<'a> {
        remote: &'a [&'a str],
        configured: &'a [&'a str],
        default_route: DefaultRoute,
    }

    impl Case<'_> {
        fn plan(&self) -> HostPlan {
            HostPlan::of(&TunnelFacts {
                device: "vpnd0",
                mtu: 1422,
                addresses: &[(ip("10.200.0.7"), 24)],
                remote: &subnets(self.remote),
                configured: &subnets(self.configured),
                gateway: ip("198.51.100.1"),
                routes: Routes::Negotiated,
                default_route: self.default_route,
            })
        }
    }

    #[test]
    fn a_child_for_everything_gets_routes_for_the_configured_subnets_only() {
        for (negotiated, routed) in [
            (&["0.0.0.0/0"][..], &["10.1.0.0/16", "10.2.0.0/16"][..]),
            (&["10.1.7.0/24", "10.0.0.0/9"], &["10.1.0.0/16", "10.1.7.0/24", "10.2.0.0/16"]),
            (&["192.168.0.0/16"], &[]),
        ] {
            let plan = HostPlan::of(&TunnelFacts {
                device: "vpnd0",
                mtu: 1422,
                addresses: &[],
                remote: &subnets(negotiated),
                configured: &subnets(&["10.1.0.0/16", "10.2.0.0/16"]),
                gateway: ip("198.51.100.1"),
                routes: Routes::Configured,
                default_route: DefaultRoute::Refused,
            });
            let routes = plan.steps.iter().filter_map(|step| match step {
                Step::Route { destination, .. } => Some(destination.to_string()),
                _ => None,
            });
            assert!(routes.eq(routed.iter().copied()), "{plan:?}");
            assert!(plan.refused.is_empty());
        }
    }

    fn refused(remote: &[&str], configured: &[&str]) -> HostPlan {
        Case { remote, configured, default_route: DefaultRoute::Refused }.plan()
    }

    fn allowed(remote: &[&str], configured: &[&str]) -> HostPlan {
        Case { remote, configured, default_route: DefaultRoute::Allowed }.plan()
    }

    fn routes(plan: &HostPlan) -> Vec<String> {
        plan.steps
            .iter()
            .filter_map(|step| match step {
                Step::Route { destination, .. } => Some(destination.to_string()),
                Step::Link { .. } | Step::Address { .. } | Step::ExemptGateway { .. } => None,
            })
            .collect()
    }

    fn exempts_the_gateway(plan: &HostPlan) -> bool {
        plan.steps.contains(&Step::ExemptGateway { device: "vpnd0".to_owned(), gateway: ip("198.51.100.1") })
    }

    fn reasons(plan: &HostPlan) -> Vec<RefusalReason> {
        plan.refused.iter().map(|refusal| refusal.reason).collect()
    }

    #[test]
    fn a_plan_brings_up_the_link_then_addresses_then_routes_of_the_negotiated_subnets_only() {
        let plan = refused(&["10.250.0.0/24"], &["10.250.0.0/24"]);
        let device = || "vpnd0".to_owned();
        assert_eq!(
            plan.steps,
            [
                Step::Link { device: device(), mtu: 1422 },
                Step::Address { device: device(), address: ip("10.200.0.7") },
                Step::Route {
                    device: device(),
                    destination: Prefix::new(ip("10.250.0.0"), 24).unwrap(),
                    source: Some(ip("10.200.0.7")),
                },
            ]
        );
        assert!(plan.refused.is_empty());
    }

    #[test]
    fn a_range_is_routed_exactly() {
        let facts_remote = [Selector::new(ip("10.0.0.1"), ip("10.0.0.6"), 6, 443, 443).unwrap()];
        let plan = HostPlan::of(&TunnelFacts {
            device: "vpnd0",
            mtu: 1400,
            addresses: &[],
            remote: &facts_remote,
            configured: &[],
            gateway: ip("198.51.100.1"),
            routes: Routes::Negotiated,
            default_route: DefaultRoute::Refused,
        });
        assert_eq!(routes(&plan), ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]);
    }

    #[test]
    fn l_08_the_default_route_is_not_taken_in_any_disguise() {
        for remote in [
            &["0.0.0.0/0"][..],
            &["0.0.0.0/1", "128.0.0.0/1"],
            &["128.0.0.0/1"],
            &["::/0"],
            &["8000::/1"],
            &["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2"],
        ] {
            let plan = refused(remote, &["0.0.0.0/0", "::/0"]);
            assert_eq!(routes(&plan), [""; 0], "{remote:?}");
            assert!(plan.refused.iter().all(|refusal| refusal.reason == RefusalReason::DefaultRoute), "{remote:?}");
            assert_eq!(plan.refused.len(), remote.len());
        }
    }

    #[test]
    fn l_08_a_default_route_beside_a_subnet_leaves_the_subnet_its_route() {
        let plan = refused(&["::/0", "10.250.0.0/24"], &["::/0", "10.250.0.0/24"]);
        assert_eq!(routes(&plan), ["10.250.0.0/24"]);
        assert_eq!(reasons(&plan), [RefusalReason::DefaultRoute]);
    }

    #[test]
    fn an_allowed_default_route_is_two_halves_and_exempts_the_gateway() {
        let plan = allowed(&["0.0.0.0/0"], &["0.0.0.0/0"]);
        assert_eq!(routes(&plan), ["0.0.0.0/1", "128.0.0.0/1"]);
        let exemption = plan.steps.iter().position(|step| matches!(step, Step::ExemptGateway { .. })).unwrap();
        let first_route = plan.steps.iter().position(|step| matches!(step, Step::Route { .. })).unwrap();
        assert!(exemption < first_route);
    }

    #[test]
    fn t_15_a_subnet_that_holds_the_gateway_exempts_it_and_others_do_not() {
        assert!(exempts_the_gateway(&refused(&["198.51.100.0/24"], &["198.51.100.0/24"])));
        assert!(!exempts_the_gateway(&refused(&["198.51.101.0/24"], &["198.51.101.0/24"])));
    }

    #[test]
    fn l_08_the_gateway_itself_is_never_routed_in() {
        let plan = refused(&["198.51.100.1/32", "10.250.0.0/24"], &["198.51.100.1/32"]);
        assert_eq!(routes(&plan), ["10.250.0.0/24"]);
        assert_eq!(reasons(&plan), [RefusalReason::Gateway]);
        assert!(!exempts_the_gateway(&plan));
    }

    #[test]
    fn l_08_a_gateway_cannot_narrow_its_way_to_the_metadata_service() {
        for pushed in ["169.254.169.254/32", "169.254.0.0/16", "160.0.0.0/4"] {
            let plan = allowed(&[pushed], &["0.0.0.0/0"]);
            assert_eq!((routes(&plan).len(), reasons(&plan)), (0, vec![RefusalReason::Metadata]), "{pushed}");
        }
        assert_eq!(reasons(&allowed(&["fd00:ec2::/32"], &["::/0"])), [RefusalReason::Metadata]);
        assert_eq!(routes(&refused(&["169.254.169.254/32"], &["169.254.169.254/32"])), ["169.254.169.254/32"]);
    }

    #[test]
    fn l_08_networks_of_a_single_host_are_not_routed_in() {
        for pushed in
            ["127.0.0.0/8", "127.0.0.1/32", "224.0.0.0/24", "169.254.7.0/24", "fe80::/64", "::1/128", "ff02::/16"]
        {
            assert_eq!(reasons(&allowed(&[pushed], &["0.0.0.0/0", "::/0"])), [RefusalReason::HostOnly], "{pushed}");
        }
        // AWS puts a tunnel's inner addresses there, and then the subnet stands in the configuration.
        assert_eq!(routes(&refused(&["169.254.7.0/30"], &["169.254.7.0/30"])), ["169.254.7.0/30"]);
    }

    #[test]
    fn routes_that_somebody_else_makes_are_not_made() {
        let plan = HostPlan::of(&TunnelFacts {
            device: "vpnd0",
            mtu: 1400,
            addresses: &[(ip("10.200.0.7"), 32)],
            remote: &subnets(&["10.250.0.0/24"]),
            configured: &[],
            gateway: ip("198.51.100.1"),
            routes: Routes::None,
            default_route: DefaultRoute::Allowed,
        });
        assert_eq!(plan.steps.len(), 2);
    }

    #[test]
    fn ipv6_inside_gets_the_mtu_it_cannot_do_without() {
        let plan = HostPlan::of(&TunnelFacts {
            device: "vpnd0",
            mtu: 1200,
            addresses: &[(ip("10.200.0.7"), 32), (ip("2001:db8::7"), 128)],
            remote: &subnets(&["2001:db8:1::/48", "10.250.0.0/24"]),
            configured: &[],
            gateway: ip("198.51.100.1"),
            routes: Routes::Negotiated,
            default_route: DefaultRoute::Refused,
        });
        assert!(plan.steps.contains(&Step::Link { device: "vpnd0".to_owned(), mtu: 1280 }));
        assert!(plan.steps.contains(&Step::Route {
            device: "vpnd0".to_owned(),
            destination: Prefix::new(ip("2001:db8:1::"), 48).unwrap(),
            source: Some(ip("2001:db8::7")),
        }));
    }

    #[test]
    fn a_transition_undoes_backwards_what_is_no_longer_wanted_and_leaves_the_rest() {
        let before = refused(&["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24"], &[]);
        let after = refused(&["10.2.0.0/24", "10.4.0.0/24"], &[]);
        let (undo, todo) = before.transition(&after);
        let texts = |steps: Vec<&Step>| steps.iter().map(|step| step.to_string()).collect::<Vec<_>>();
        assert_eq!(texts(undo), ["route 10.3.0.0/24 through vpnd0", "route 10.1.0.0/24 through vpnd0"]);
        assert_eq!(texts(todo), ["route 10.4.0.0/24 through vpnd0"]);
        assert_eq!(before.transition(&before), (vec![], vec![]));
    }
}
