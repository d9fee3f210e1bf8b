//! The configuration files that users are handed, both sides of them as they stand in `examples/`.

use std::fs;

use crate::capture::{self, Capture, Frame};
use crate::gateway::{ADDRESS, Gateway, GatewayConfig, INSIDE, PSK};
use crate::lab::{Client, Lab};
use crate::load::{MARKER, Server};
use crate::vpnd::{PATIENCE, Vpnd, write_secret};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
const MEGABYTES: u32 = 10;

fn sample_gateway(lab: &Lab) -> Gateway<'_> {
    let file = fs::read_to_string(format!("{EXAMPLES}/strongswan-ikev1.ipsec.conf")).expect("the sample");
    GatewayConfig::verbatim(file).start(lab)
}

fn sample_client(client: &Client<'_>) -> Vpnd {
    let file = client.directory().join("strongswan-ikev1.toml");
    fs::copy(format!("{EXAMPLES}/strongswan-ikev1.toml"), &file).expect("the sample");
    write_secret(&client.directory().join("psk"), PSK);
    let mut vpnd = Vpnd::start(client, &file, PATIENCE);
    vpnd.wait_until_up();
    vpnd
}

#[test]
fn the_sample_comes_up_carries_tcp_both_ways_and_leaves_nothing() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = sample_gateway(&lab);
    let before = client.network_state();
    let vpnd = sample_client(&client);
    assert!(client.reaches(INSIDE));
    let sa = gateway.sa();
    assert_eq!(sa.ike_proposal, "AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048");
    assert_eq!(sa.child_proposal, "AES_CBC_256/HMAC_SHA2_256_128/MODP_2048", "with forward secrecy");
    assert_eq!(sa.selectors, "10.250.0.0/24 === 10.200.0.1/32");
    assert_eq!(sa.peer_identity, client.address(), "the identity is our address");
    let server = Server::start(&lab, INSIDE);
    print!("{}", server.transfer(&client, "get", MEGABYTES));
    print!("{}", server.transfer(&client, "put", MEGABYTES));
    vpnd.terminate();
    gateway.wait_until_empty();
    assert_eq!(client.network_state(), before);
}

#[test]
fn the_sample_works_behind_a_nat() {
    let lab = Lab::open();
    let client = lab.client_behind_nat(0);
    let gateway = sample_gateway(&lab);
    let vpnd = sample_client(&client);
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
    gateway.wait_until_empty();
}

#[test]
fn n_06_encapsulation_is_forced_and_nothing_is_seen_in_clear() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = sample_gateway(&lab);
    let outside = Capture::start(&client, "outer");
    let vpnd = sample_client(&client);
    let inside = Capture::start(&client, "any");
    assert!(client.gets_an_answer(INSIDE));
    // "this must ne", as often as it fits.
    assert_eq!(client.ping_with(INSIDE, 3, &["-s", "1200", "-p", "74686973206d757374206e65"]), 3);
    let server = Server::start(&lab, INSIDE);
    server.transfer(&client, "get", MEGABYTES);
    server.transfer(&client, "put", MEGABYTES);
    vpnd.terminate();
    gateway.wait_until_empty();

    let in_clear = |frame: &[u8]| capture::contains(frame, MARKER) || capture::contains(frame, b"this must ne");
    assert!(inside.frames().iter().any(|frame| in_clear(frame)), "what the capture is searched for was sent");

    let [ours, theirs] = [client.address(), ADDRESS.to_owned()].map(|address| address.parse().expect("an address"));
    // Of what is encapsulated: a train of datagrams is one frame until the kernel cuts it, so that frames say little.
    let (mut main_mode, mut octets) = (0, 0);
    for frame in outside.frames() {
        assert!(!in_clear(&frame), "seen in clear: {:?}", capture::read(&frame));
        match capture::read(&frame) {
            Frame::Link => {}
            Frame::Udp { source, destination, ports: (from, to), payload } => {
                assert!([(ours, theirs), (theirs, ours)].contains(&(source, destination)), "{source} to {destination}");
                match if source == theirs { from } else { to } {
                    500 => main_mode += 1,
                    4500 => octets += payload.len(),
                    port => panic!("port {port}"),
                }
            }
            Frame::Other(octets) => panic!("neither UDP nor the link's own: {octets:02x?}"),
        }
    }
    assert_eq!(main_mode, 4, "the first four messages of main mode, and nothing else, are on port 500");
    assert!(octets > 1_000_000 * MEGABYTES as usize, "{octets} octets for {MEGABYTES} MB each way");
}
