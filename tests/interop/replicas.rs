//! Several clients of one gateway behind one NAT, with identities of their own and with a shared one.

use std::time::{Duration, Instant};

use crate::gateway::{GatewayConfig, INSIDE};
use crate::lab::{Client, Lab};
use crate::load::Pings;
use crate::vpnd::{Vpnd, VpndConfig, quoted};

fn three_behind_one_nat(lab: &Lab) -> [Client<'_>; 3] {
    let first = lab.client_behind_nat(0);
    let [second, third] = [1, 2].map(|number| lab.client_beside(&first, number));
    [first, second, third]
}

#[track_caller]
fn assert_identities_of_their_own_work(gateway: GatewayConfig, config: &VpndConfig) {
    let lab = Lab::open();
    let clients = three_behind_one_nat(&lab);
    // What ipsec.conf does by itself: a new SA replaces the older ones of the same identity.
    let gateway = gateway.unique_ids("yes").start(&lab);
    let identities = ["web-0.pods.example.com", "web-1.pods.example.com", "web-2.pods.example.com"];
    let up = |(client, identity): (&Client<'_>, &str)| {
        config.clone().with("local", "id", quoted(identity)).with("ike", "initial_contact", "true").up(client)
    };
    let mut running: Vec<_> = clients.iter().zip(identities).map(up).collect();
    let mut addresses: Vec<_> = identities.iter().map(|identity| gateway.sa_of(identity).selectors).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 3, "{addresses:?}");

    assert!(clients.iter().all(|client| client.reaches(INSIDE)));
    let pings: Vec<_> = clients.iter().map(|client| Pings::start(client, INSIDE)).collect();
    std::thread::sleep(Duration::from_secs(15));
    for pings in pings {
        pings.assert_none_lost(700);
    }
    // One leaves, and the others do not notice.
    running.remove(0).terminate();
    for client in &clients[1..] {
        assert!(client.reaches(INSIDE));
    }
    for mut vpnd in running {
        assert_eq!(vpnd.said().matches("tunnel is up").count(), 1, "{}", vpnd.said());
        vpnd.terminate();
    }
    gateway.wait_until_empty();
}

#[test]
fn n_09_ikev1_replicas_with_identities_of_their_own_work_at_once() {
    let config = VpndConfig::ikev1().with("ike", "lifetime", quoted("10s")).with("esp", "lifetime", quoted("10s"));
    assert_identities_of_their_own_work(GatewayConfig::ikev1(), &config);
}

#[test]
fn n_09_ikev2_replicas_with_identities_of_their_own_work_at_once() {
    assert_identities_of_their_own_work(GatewayConfig::default(), &VpndConfig::default());
}

#[track_caller]
fn assert_a_shared_identity_is_told_and_no_fight(gateway: GatewayConfig, config: &VpndConfig) {
    let lab = Lab::open();
    let clients = three_behind_one_nat(&lab);
    let gateway = gateway.unique_ids("yes").start(&lab);
    let config = config.clone().with("local", "id", quoted("web.example.com"));
    let started = Instant::now();
    // One after the other: the gateway overlooks what comes up in the same moment.
    let mut running: Vec<_> = clients.iter().map(|client| config.up(client)).collect();
    let mut said = || running.iter_mut().map(Vpnd::said).collect::<Vec<_>>().join("\n\n");
    while !said().contains("another client uses this identity") {
        assert!(started.elapsed() < Duration::from_secs(40), "nobody noticed:\n{}", said());
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_secs(30).saturating_sub(started.elapsed()));
    assert!(said().contains("web.example.com"), "{}", said());
    // Three at the start, and each perhaps once more at once; then minutes of peace. A fight would make one or two
    // tunnels every second.
    let made = gateway.log().matches("] established between").count();
    assert!((4..=8).contains(&made), "{made} tunnels:\n{}", said());
}

#[test]
fn ikev1_replicas_that_share_an_identity_say_so_and_do_not_fight() {
    assert_a_shared_identity_is_told_and_no_fight(GatewayConfig::ikev1(), &VpndConfig::ikev1());
}

#[test]
fn ikev2_replicas_that_share_an_identity_say_so_and_do_not_fight() {
    assert_a_shared_identity_is_told_and_no_fight(GatewayConfig::default(), &VpndConfig::default());
}

#[track_caller]
fn assert_a_shared_identity_works_where_the_gateway_keeps_all(gateway: GatewayConfig, config: &VpndConfig) {
    let lab = Lab::open();
    let clients = three_behind_one_nat(&lab);
    let gateway = gateway.unique_ids("never").start(&lab);
    let config = config.clone().with("local", "id", quoted("web.example.com"));
    let running: Vec<_> = clients.iter().map(|client| config.up(client)).collect();
    for client in &clients {
        assert!(client.reaches(INSIDE));
    }
    assert_eq!(gateway.sas().len(), 3);
    for vpnd in running {
        vpnd.terminate();
    }
    gateway.wait_until_empty();
}

#[test]
fn ikev1_replicas_that_share_an_identity_work_where_the_gateway_keeps_all() {
    assert_a_shared_identity_works_where_the_gateway_keeps_all(GatewayConfig::ikev1(), &VpndConfig::ikev1());
}

#[test]
fn ikev2_replicas_that_share_an_identity_work_where_the_gateway_keeps_all() {
    assert_a_shared_identity_works_where_the_gateway_keeps_all(GatewayConfig::default(), &VpndConfig::default());
}
