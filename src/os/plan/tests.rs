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

fn settings(configured: &[&str], default_route: DefaultRoute) -> HostSettings {
    HostSettings {
        device: "vpnd0".to_owned(),
        configured: subnets(configured),
        routes: Routes::Negotiated,
        default_route,
        kill_switch: KillSwitch::Off,
    }
}

fn closing(configured: &[&str], default_route: DefaultRoute) -> HostSettings {
    HostSettings { kill_switch: KillSwitch::On(Nftables::Auto), ..settings(configured, default_route) }
}

const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const OUTSIDE: Outside = Outside { gateway: IpAddr::V4(GATEWAY), port: 40_000 };

/// A tunnel with an IPv4 address inside.
fn plan(settings: &HostSettings, remote: &[&str]) -> HostPlan {
    let remote = subnets(remote);
    let addresses = [(ip("10.200.0.7"), 24)];
    HostPlan::of(settings, &TunnelFacts { mtu: 1422, addresses: &addresses, remote: &remote, outside: &[OUTSIDE] })
}

fn refused(remote: &[&str], configured: &[&str]) -> HostPlan {
    plan(&settings(configured, DefaultRoute::Refused), remote)
}

fn allowed(remote: &[&str], configured: &[&str]) -> HostPlan {
    plan(&settings(configured, DefaultRoute::Allowed), remote)
}

fn routes(plan: &HostPlan) -> Vec<String> {
    let routes = plan.steps.iter().filter_map(|step| match step {
        Step::Route { destination, .. } => Some(destination.to_string()),
        _ => None,
    });
    routes.collect()
}

fn closed_by(settings: &HostSettings) -> Vec<String> {
    closed_in(&HostPlan::closed(settings))
}

fn closed_in(plan: &HostPlan) -> Vec<String> {
    plan.closed_subnets().iter().map(|(address, length)| format!("{address}/{length}")).collect()
}

fn passes_the_reverse_path(plan: &HostPlan) -> bool {
    plan.steps.contains(&Step::ReversePath { gateway: GATEWAY, port: OUTSIDE.port })
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
            Step::Lookup { family: Family::Ipv4 },
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
fn a_child_for_everything_gets_routes_for_the_configured_subnets_only() {
    let settings =
        HostSettings { routes: Routes::Configured, ..settings(&["10.1.0.0/16", "10.2.0.0/16"], DefaultRoute::Refused) };
    for (negotiated, routed) in [
        (&["0.0.0.0/0"][..], &["10.1.0.0/16", "10.2.0.0/16"][..]),
        (&["10.1.7.0/24", "10.0.0.0/9"], &["10.1.0.0/16", "10.1.7.0/24", "10.2.0.0/16"]),
        (&["192.168.0.0/16"], &[]),
    ] {
        let plan = plan(&settings, negotiated);
        assert_eq!(routes(&plan), routed);
        assert!(plan.refused.is_empty());
    }
}

#[test]
fn a_range_is_routed_exactly() {
    let remote = [Selector::new(ip("10.0.0.1"), ip("10.0.0.6"), 6, 443, 443).unwrap()];
    let facts = TunnelFacts { mtu: 1400, addresses: &[], remote: &remote, outside: &[OUTSIDE] };
    let plan = HostPlan::of(&settings(&[], DefaultRoute::Refused), &facts);
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
fn t_15_no_address_is_exempt_and_what_covers_the_gateway_only_lets_answers_pass_the_reverse_path() {
    for (remote, covers) in [("0.0.0.0/0", true), ("198.51.100.0/24", true), ("198.51.101.0/24", false)] {
        let plan = allowed(&[remote], &[remote]);
        assert_eq!((routes(&plan), passes_the_reverse_path(&plan)), (vec![remote.to_owned()], covers));
    }
}

#[test]
fn l_01_before_the_first_packet_the_configured_subnets_are_closed_and_nothing_else() {
    let settings = closing(&["10.250.0.0/24", "fd00:250::/64", "10.0.0.0/16"], DefaultRoute::Refused);
    let plan = HostPlan::closed(&settings);
    assert_eq!(closed_in(&plan), ["10.0.0.0/16", "10.250.0.0/24", "fd00:250::/64"]);
    let lookups = [Step::Lookup { family: Family::Ipv4 }, Step::Lookup { family: Family::Ipv6 }];
    assert_eq!(plan.steps[..2], lookups, "who looks the table up is taken back last");
    assert_eq!(plan.steps.len(), 5);
}

#[test]
fn l_01_no_change_of_the_tunnel_opens_what_is_closed() {
    let settings = closing(&["10.250.0.0/24", "10.251.0.0/24"], DefaultRoute::Refused);
    let plans = [
        HostPlan::closed(&settings),
        plan(&settings, &["10.250.0.0/24", "10.251.0.0/24"]),
        plan(&settings, &["10.251.0.128/25"]),
        HostPlan::of(
            &settings,
            &TunnelFacts {
                mtu: 1300,
                addresses: &[(ip("10.200.0.99"), 32)],
                remote: &subnets(&["10.250.0.0/24"]),
                outside: &[Outside { gateway: ip("203.0.113.9"), port: 1 }],
            },
        ),
    ];
    for before in &plans {
        for after in &plans {
            let (undo, _) = before.transition(after);
            assert!(!undo.iter().any(|step| matches!(step, Step::Close { .. } | Step::Lookup { .. })), "{undo:?}");
            assert_eq!(closed_in(after), ["10.250.0.0/24", "10.251.0.0/24"]);
        }
    }
}

#[test]
fn l_03_a_family_that_the_tunnel_does_not_carry_stays_closed() {
    let settings = closing(&["10.250.0.0/24", "fd00:250::/64"], DefaultRoute::Refused);
    let plan = plan(&settings, &["10.250.0.0/24"]);
    assert_eq!(
        (routes(&plan), closed_in(&plan).last().unwrap().as_str()),
        (vec!["10.250.0.0/24".to_owned()], "fd00:250::/64")
    );
    assert!(plan.steps.contains(&Step::Lookup { family: Family::Ipv6 }));
}

#[test]
fn l_03_the_default_route_of_one_family_closes_the_other() {
    for (configured, closed) in [
        (&["0.0.0.0/0"][..], &["0.0.0.0/0", "::/0"][..]),
        (&["::/0"], &["0.0.0.0/0", "::/0"]),
        (&["0.0.0.0/1", "128.0.0.0/1", "fd00::/8"], &["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/0", "fd00::/8"]),
        (&["10.0.0.0/8"], &["10.0.0.0/8"]),
    ] {
        assert_eq!(closed_by(&closing(configured, DefaultRoute::Allowed)), closed, "{configured:?}");
    }
}

#[test]
fn l_08_the_kill_switch_does_not_take_the_default_route_either() {
    let configured = ["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2", "8000::/1", "fd00::/8"];
    assert_eq!(closed_by(&closing(&configured, DefaultRoute::Refused)), ["fd00::/8"]);
    assert_eq!(closed_by(&closing(&["0.0.0.0/0", "10.0.0.0/8"], DefaultRoute::Refused)), [""; 0]);
}

#[test]
fn answers_of_a_gateway_in_a_closed_subnet_pass_the_reverse_path_before_there_is_a_tunnel() {
    let covered = closing(&["198.51.0.0/16"], DefaultRoute::Refused);
    assert_eq!(HostPlan::towards(&covered, &[OUTSIDE]), [Step::ReversePath { gateway: GATEWAY, port: OUTSIDE.port }]);
    assert!(passes_the_reverse_path(&plan(&covered, &["198.51.0.0/24"])), "the transition leaves it");
    let other = closing(&["10.0.0.0/8"], DefaultRoute::Refused);
    assert_eq!(HostPlan::towards(&other, &[OUTSIDE]), []);
    let open = settings(&["198.51.0.0/16"], DefaultRoute::Refused);
    assert_eq!(HostPlan::towards(&open, &[OUTSIDE]), []);
}

#[test]
fn l_07_the_packet_filter_knows_the_closed_subnets_always_and_our_addresses_while_there_are_any() {
    let auto = closing(&["10.250.0.0/24"], DefaultRoute::Refused);
    let closed = vec![Prefix::new(ip("10.250.0.0"), 24).unwrap()];
    let before = Ruleset { closed: closed.clone(), inside: Vec::new() };
    assert_eq!(HostPlan::closed(&auto).filter, Some((before, Need::Wanted)));
    let up = Ruleset { closed, inside: vec![ip("10.200.0.7")] };
    assert_eq!(plan(&auto, &["10.250.0.0/25"]).filter, Some((up.clone(), Need::Wanted)));
    let required = HostSettings { kill_switch: KillSwitch::On(Nftables::Required), ..auto.clone() };
    assert_eq!(plan(&required, &["10.250.0.0/25"]).filter, Some((up, Need::Required)));
    let never = HostSettings { kill_switch: KillSwitch::On(Nftables::Never), ..auto };
    assert_eq!(plan(&never, &["10.250.0.0/25"]).filter, None);
}

#[test]
fn a_kill_switch_that_is_off_or_routes_of_somebody_else_close_nothing() {
    assert_eq!(HostPlan::closed(&settings(&["10.0.0.0/8"], DefaultRoute::Refused)), HostPlan::default());
    let others = HostSettings { routes: Routes::None, ..closing(&["10.0.0.0/8"], DefaultRoute::Refused) };
    assert_eq!(HostPlan::closed(&others), HostPlan::default());
}

#[test]
fn l_08_the_gateway_itself_is_never_routed_in() {
    let plan = refused(&["198.51.100.1/32", "10.250.0.0/24"], &["198.51.100.1/32"]);
    assert_eq!(routes(&plan), ["10.250.0.0/24"]);
    assert_eq!(reasons(&plan), [RefusalReason::Gateway]);
    let closed = closing(&["198.51.100.1/32"], DefaultRoute::Refused);
    assert_eq!(closed_by(&closed), ["198.51.100.1/32"], "what is asked for in words does not leave in clear");
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
    for pushed in ["127.0.0.0/8", "127.0.0.1/32", "224.0.0.0/24", "169.254.7.0/24", "fe80::/64", "::1/128", "ff02::/16"]
    {
        assert_eq!(reasons(&allowed(&[pushed], &["0.0.0.0/0", "::/0"])), [RefusalReason::HostOnly], "{pushed}");
    }
    // AWS puts a tunnel's inner addresses there, and then the subnet stands in the configuration.
    assert_eq!(routes(&refused(&["169.254.7.0/30"], &["169.254.7.0/30"])), ["169.254.7.0/30"]);
}

#[test]
fn routes_that_somebody_else_makes_are_not_made() {
    let settings = HostSettings { routes: Routes::None, ..closing(&["10.250.0.0/24"], DefaultRoute::Allowed) };
    assert_eq!(plan(&settings, &["10.250.0.0/24"]).steps.len(), 2);
}

#[test]
fn ipv6_inside_gets_the_mtu_it_cannot_do_without() {
    let remote = subnets(&["2001:db8:1::/48", "10.250.0.0/24"]);
    let addresses = [(ip("10.200.0.7"), 32), (ip("2001:db8::7"), 128)];
    let facts = TunnelFacts { mtu: 1200, addresses: &addresses, remote: &remote, outside: &[OUTSIDE] };
    let plan = HostPlan::of(&settings(&[], DefaultRoute::Refused), &facts);
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
