//! Each type of identity, ours and the gateway's. Every identity has a key of its own, so
//! that the gateway finds the key only if it read the identity as what it is.

use crate::gateway::{ADDRESS_V6, GatewayConfig, INSIDE};
use crate::lab::Lab;
use crate::vpnd::{VpndConfig, quoted};

#[test]
fn each_type_of_our_identity_is_understood() {
    // What our configuration says, what names the key at the gateway, how the gateway shows it.
    const OURS: [(&str, &str, &str); 5] = [
        ("192.0.2.10", "192.0.2.10", "192.0.2.10"),
        ("2001:db8:2::10", "2001:db8:2::10", "2001:db8:2::10"),
        ("client.example.com", "client.example.com", "client.example.com"),
        ("client@example.com", "client@example.com", "client@example.com"),
        ("keyid:replica-7", "@#7265706c6963612d37", "replica-7"),
    ];
    let lab = Lab::open();
    let client = lab.client(0);
    let key = |number: usize| format!("the key of number {number}");
    let secrets = OURS.iter().enumerate();
    let secrets: String =
        secrets.map(|(number, (_, theirs, _))| format!("{theirs} : PSK \"{}\"\n", key(number))).collect();
    let gateway = GatewayConfig::default().secrets(secrets).start(&lab);
    for (number, (ours, _, shown)) in OURS.iter().enumerate() {
        let vpnd = VpndConfig::default().with("local", "id", quoted(ours)).psk(&key(number)).up(&client);
        assert_eq!(gateway.sa().peer_identity, *shown);
        assert_eq!(client.ping(INSIDE, 1), 1, "as {ours}");
        vpnd.terminate();
        gateway.wait_until_empty();
    }
}

#[test]
fn each_type_of_the_gateways_identity_is_checked() {
    const THEIRS: [(&str, &str); 5] = [
        ("198.51.100.7", "198.51.100.7"),
        (ADDRESS_V6, ADDRESS_V6),
        ("gateway.example.com", "gateway.example.com"),
        ("gateway@example.com", "gateway@example.com"),
        ("keyid:gateway", "@#67617465776179"),
    ];
    for (ours, theirs) in THEIRS {
        let lab = Lab::open();
        let client = lab.client(0);
        let gateway = GatewayConfig::default().with("leftid", quoted(theirs)).start(&lab);
        let vpnd = VpndConfig::default().with("gateway", "id", quoted(ours)).up(&client);
        assert_eq!(client.ping(INSIDE, 1), 1, "with {ours}");
        vpnd.terminate();
        gateway.wait_until_empty();
    }
}

#[test]
fn without_an_identity_we_are_our_address() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    let vpnd = VpndConfig::default().without("local", "id").up(&client);
    assert_eq!(gateway.sa().peer_identity, client.address());
    vpnd.terminate();
}
