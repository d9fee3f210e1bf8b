//! What passes through the tunnel, and what is seen of it outside.

use std::net::IpAddr;

use crate::capture::{self, Capture, Frame};
use crate::gateway::{ADDRESS, GatewayConfig, INSIDE, INSIDE_V6};
use crate::lab::Lab;
use crate::load::{MARKER, Server};
use crate::vpnd::VpndConfig;

const MEGABYTES: u32 = 10;

#[test]
fn tcp_in_both_directions() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::default()
        .with("leftsubnet", "0.0.0.0/0,::/0")
        .with("rightsourceip", "10.200.0.0/24,fd00:200::/64")
        .start(&lab);
    let vpnd = VpndConfig::default().with("gateway", "subnets", r#"["10.250.0.0/24", "fd00:250::/64"]"#).up(&client);
    for address in [INSIDE, INSIDE_V6] {
        let server = Server::start(&lab, address);
        print!("{address}: {}", server.transfer(&client, "get", MEGABYTES));
        print!("{address}: {}", server.transfer(&client, "put", MEGABYTES));
    }
    vpnd.terminate();
}

#[test]
fn tcp_with_a_tenth_of_the_datagrams_lost_each_way() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::default().start(&lab);
    let vpnd = VpndConfig::default().up(&client);
    let server = Server::start(&lab, INSIDE);
    lab.lose(10);
    for verb in ["get", "put"] {
        server.transfer_bytes(&client, verb, 100_000);
    }
    lab.heal();
    vpnd.terminate();
}

#[test]
fn packets_of_every_size_up_to_the_mtu() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::default().start(&lab);
    let vpnd = VpndConfig::default().up(&client);
    for size in ["0", "1", "15", "16", "17", "575", "1252", "1300", "1400", "4000"] {
        assert_eq!(client.ping_with(INSIDE, 1, &["-s", size]), 1, "{size} octets of payload");
    }
    vpnd.terminate();
}

/// The IKE messages in a capture, in order: the gateway's port, and whether the message is a response. One that was put again counts once: on a
/// busy machine an answer may take longer than vpnd waits for it.
fn ike_messages(frames: &[Vec<u8>]) -> Vec<(u16, bool)> {
    let gateway: IpAddr = ADDRESS.parse().expect("an address");
    let read = |frame: &Vec<u8>| {
        let Frame::Udp { source, ports: (from, to), payload, .. } = capture::read(frame) else { return None };
        let port = if source == gateway { from } else { to };
        // RFC 7296 §3.1, behind the non-ESP marker of RFC 3948 §2.2.
        let message = if port == 500 { Some(&*payload) } else { payload.strip_prefix(&[0; 4]) }?;
        Some((message.get(20..24)?.to_vec(), port, message.get(19)? & 0x20 != 0))
    };
    let mut messages = Vec::new();
    for message in frames.iter().filter_map(read) {
        if !messages.contains(&message) {
            messages.push(message);
        }
    }
    messages.into_iter().map(|(_id, port, response)| (port, response)).collect()
}

#[test]
fn two_round_trips_bring_the_tunnel_up_one_asks_for_the_path_and_one_brings_it_down() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::default().start(&lab);
    let outside = Capture::start(&client, "outer");
    let vpnd = VpndConfig::default().up(&client);
    assert_eq!(client.ping(INSIDE, 1), 1);
    vpnd.terminate();
    let messages = ike_messages(&outside.frames());
    let exchange = |port| [(port, false), (port, true)];
    assert_eq!(messages, [exchange(500), exchange(4500), exchange(4500), exchange(4500)].concat());
}

#[test]
fn a_gateway_that_is_only_spoken_to_on_4500() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::default().start(&lab);
    let outside = Capture::start(&client, "outer");
    let vpnd = VpndConfig::default().with("gateway", "port", "4500").up(&client);
    assert_eq!(client.ping(INSIDE, 1), 1);
    vpnd.terminate();
    let messages = ike_messages(&outside.frames());
    assert_eq!(messages, [(4500, false), (4500, true)].repeat(4), "INIT, AUTH, the path, DELETE");
}

#[test]
fn nothing_of_the_tunnels_inside_is_seen_outside() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::default().start(&lab);
    let outside = Capture::start(&client, "outer");
    let vpnd = VpndConfig::default().up(&client);
    let inside = Capture::start(&client, "any");
    let server = Server::start(&lab, INSIDE);
    // "this must ne", as often as it fits.
    assert_eq!(client.ping_with(INSIDE, 3, &["-s", "1200", "-p", "74686973206d757374206e65"]), 3);
    server.transfer(&client, "get", MEGABYTES);
    server.transfer(&client, "put", MEGABYTES);
    vpnd.terminate();

    let in_clear = |frame: &[u8]| capture::contains(frame, MARKER) || capture::contains(frame, b"this must ne");
    assert!(inside.frames().iter().any(|frame| in_clear(frame)), "what the capture is searched for was sent");

    let [ours, theirs] = [client.address(), ADDRESS.to_owned()].map(|address| address.parse().expect("an address"));
    let mut octets = 0;
    for frame in outside.frames() {
        assert!(!in_clear(&frame), "seen in clear: {:?}", capture::read(&frame));
        match capture::read(&frame) {
            Frame::Link => {}
            Frame::Udp { source, destination, ports: (from, to), payload } => {
                assert!([(ours, theirs), (theirs, ours)].contains(&(source, destination)), "{source} to {destination}");
                let gateways = if source == theirs { from } else { to };
                assert!([500, 4500].contains(&gateways), "port {gateways}");
                // A train of datagrams is one frame until the kernel cuts it, so that frames say little.
                octets += payload.len();
            }
            Frame::Other(octets) => panic!("neither UDP nor the link's own: {octets:02x?}"),
        }
    }
    assert!(octets > 1_000_000 * MEGABYTES as usize, "{octets} octets for {MEGABYTES} MB each way");
}
