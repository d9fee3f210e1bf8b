//! The TUN device.

use std::os::fd::AsFd;

use vpnd::io::tun::{DEFAULT_NAME, Tun, TunError, is_gone};
use vpnd::io::wake::{Waker, wait};

use crate::namespace::{close, cover_dev_net, drop_net_admin, enter_new, ip, make_node};

/// An ICMP echo request from the device's own network to a neighbour, as `ping` would send it.
fn packet_from_the_host(name: &str) {
    ip(&format!("link set {name} up"));
    ip(&format!("addr add 10.9.0.1/24 dev {name}"));
    let socket = std::net::UdpSocket::bind("10.9.0.1:0").unwrap();
    socket.send_to(b"hello", "10.9.0.2:9").unwrap();
}

#[test]
fn devices_without_a_name_get_the_first_free_number_and_vanish_with_their_descriptor() {
    enter_new();
    let first = Tun::open(DEFAULT_NAME).unwrap();
    let second = Tun::open(DEFAULT_NAME).unwrap();
    assert_eq!((first.name(), second.name()), ("vpnd0", "vpnd1"));
    close(first);
    let links = ip("-br link");
    assert!(!links.contains("vpnd0") && links.contains("vpnd1"), "{links}");
}

#[test]
fn a_packet_of_the_host_is_read_and_a_packet_written_arrives() {
    enter_new();
    let tun = Tun::open("t0").unwrap();
    let mut buffer = [0_u8; 2048];
    assert_eq!(tun.read(&mut buffer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    packet_from_the_host("t0");
    let waker = Waker::new().unwrap();
    let packet = loop {
        assert!(wait(&waker, &[tun.as_fd()], None).unwrap().readable[0]);
        let len = tun.read(&mut buffer).unwrap();
        // IPv6 speaks first on a new device.
        if buffer[0] >> 4 == 4 {
            break buffer[..len].to_vec();
        }
    };
    assert_eq!(
        (&packet[12..16], &packet[16..20], &packet[28..]),
        (&[10, 9, 0, 1][..], &[10, 9, 0, 2][..], &b"hello"[..])
    );

    // The answer: addresses and ports the other way round, which leaves both checksums right.
    let receiver = std::net::UdpSocket::bind("10.9.0.1:9").unwrap();
    let mut answer = packet.clone();
    answer[12..16].copy_from_slice(&packet[16..20]);
    answer[16..20].copy_from_slice(&packet[12..16]);
    tun.write(&answer).unwrap();
    let (len, from) = receiver.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..len], from.ip().to_string()), (&b"hello"[..], "10.9.0.2".to_owned()));
}

#[test]
fn a_removed_device_is_gone_for_reader_and_writer_and_wakes_the_reader() {
    enter_new();
    let tun = Tun::open("t0").unwrap();
    ip("link set t0 up");
    ip("link delete t0");
    let waker = Waker::new().unwrap();
    assert!(wait(&waker, &[tun.as_fd()], None).unwrap().readable[0]);
    assert!(is_gone(&tun.read(&mut [0; 64]).unwrap_err()));
    assert!(is_gone(&tun.write(&[0x45; 20]).unwrap_err()));
}

#[test]
fn a_write_to_a_device_that_is_down_concerns_that_packet_only() {
    enter_new();
    let tun = Tun::open("t0").unwrap();
    let error = tun.write(&[0x45; 20]).unwrap_err();
    assert!(!is_gone(&error), "{error}");
}

#[test]
fn a_name_that_another_tunnel_or_another_kind_of_device_has_is_taken() {
    enter_new();
    let _holder = Tun::open("t0").unwrap();
    assert!(matches!(Tun::open("t0"), Err(TunError::NameTaken { .. })));
    assert!(matches!(Tun::open("lo"), Err(TunError::NameTaken { .. })));
}

#[test]
fn without_the_capability_the_error_says_so() {
    enter_new();
    drop_net_admin();
    let error = Tun::open("t0").unwrap_err();
    assert!(matches!(error, TunError::NoCapability { net_admin: Some(false), .. }), "{error:?}");
    assert!(vpnd::daemon::privilege::require_net_admin().is_err());
}

#[test]
fn a_missing_node_and_one_that_may_not_be_opened_are_two_errors() {
    enter_new();
    cover_dev_net();
    let error = Tun::open("t0").unwrap_err();
    assert!(matches!(error, TunError::Missing(_)), "{error:?}");
    make_node();
    let error = Tun::open("t0").unwrap_err();
    assert!(matches!(error, TunError::OpenDenied(_)), "{error:?}");
}
