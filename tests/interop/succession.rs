//! Sessions that succeed another in a running tunnel, while echo requests and TCP are under way.

use std::time::Duration;

use crate::gateway::{GatewayConfig, INSIDE};
use crate::lab::Lab;
use crate::load::{Server, assert_nothing_is_lost};
use crate::vpnd::{VpndConfig, quoted};

/// The gateway has a second address, which comes first in the list and is silent at the beginning.
#[track_caller]
fn assert_traffic_returns(gateway: GatewayConfig, config: &VpndConfig) {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = gateway.start(&lab);
    let on_gateway = |script: &str| {
        let done = lab.command("gateway", "sh").args(["-ec", script]).status();
        assert!(done.expect("sh runs").success(), "{script}");
    };
    on_gateway(
        "ip address add 192.0.2.2/24 dev $(ip -o -4 address show to 192.0.2.1 | awk '{print $2; exit}')
         nft add table inet first
         nft add chain inet first in '{ type filter hook input priority 0; }'
         nft add rule inet first in ip daddr 192.0.2.2 drop",
    );
    let config = config.clone().with("gateway", "address", r#"["192.0.2.2", "192.0.2.1"]"#);
    let config = config.with("gateway", "id", quoted("192.0.2.1")).with("gateway", "return_after", quoted("20s"));
    let mut vpnd = config.up(&client);
    assert!(client.reaches(INSIDE));
    assert_nothing_is_lost(&client, &mut vpnd, Duration::from_secs(25));
    vpnd.wait_until_said("no second session yet");
    on_gateway("nft delete table inet first");
    assert_nothing_is_lost(&client, &mut vpnd, Duration::from_secs(45));
    vpnd.wait_until_said("the session with 192.0.2.2 carries the traffic now");
    gateway.wait_until(|| gateway.sas().len() == 1);
    vpnd.terminate();
    gateway.wait_until_empty();
}

#[test]
fn traffic_returns_to_the_first_gateway_without_a_lost_packet_ikev2() {
    assert_traffic_returns(GatewayConfig::default(), &VpndConfig::default());
}

#[test]
fn traffic_returns_to_the_first_gateway_without_a_lost_packet_ikev1() {
    assert_traffic_returns(GatewayConfig::ikev1(), &VpndConfig::ikev1());
}

/// A gateway that wants authentication to be repeated, and that may keep one SA a client. strongSwan sends in a new child before its own answer is
/// here: now and then one of its packets cannot be opened, so that TCP is what is counted.
#[test]
fn k2_143_authentication_is_repeated_and_the_tunnel_is_never_down() {
    for unique in ["never", "replace"] {
        let lab = Lab::open();
        let client = lab.client(0);
        let gateway = GatewayConfig::default()
            .unique_ids(unique)
            .with("reauth", "yes")
            .with("ikelifetime", "16s")
            .with("margintime", "3s")
            .with("rekeyfuzz", "0%")
            .start(&lab);
        let mut vpnd = VpndConfig::default().up(&client);
        Server::start(&lab, INSIDE).trickle(&client, Duration::from_secs(40));
        let said = vpnd.said();
        assert!(said.matches("tunnel is up").count() == 1 && !said.contains("tunnel is down"), "{said}");
        let times = said.matches("carries the traffic now: the one in use cannot be kept for long").count();
        assert!((2..=6).contains(&times), "{unique}: {times}\n{said}");
        gateway.wait_until(|| gateway.sas().len() == 1);
        vpnd.terminate();
        gateway.wait_until_empty();
    }
}
