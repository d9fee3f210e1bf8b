//! The TUN device.

use std::io::IoSlice;
use std::os::fd::AsFd;

use vpnd::io::offload::header::{Header, Segmentation, Segmented, Unfinished};
use vpnd::io::tun::{DEFAULT_NAME, MAX_PARTS, Offload, Tun, TunError, is_gone};
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

/// Every step that a device can be opened with.
const STEPS: [Offload; 5] = [Offload::None, Offload::Header, Offload::Checksum, Offload::Tcp, Offload::Udp];

fn write(tun: &Tun, packet: &[u8]) -> std::io::Result<()> {
    tun.write(&Header::default(), &[IoSlice::new(packet)])
}

/// The next IPv4 packet: IPv6 speaks first on a new device.
fn next_ipv4(tun: &Tun) -> (Header, Vec<u8>) {
    let mut buffer = [0_u8; 2048];
    let waker = Waker::new().unwrap();
    loop {
        assert!(wait(&waker, &[tun.as_fd()], None).unwrap().readable[0]);
        let (header, len) = tun.read(&mut buffer).unwrap();
        if buffer[0] >> 4 == 4 {
            return (header, buffer[..len].to_vec());
        }
    }
}

#[test]
fn a_packet_of_the_host_is_read_and_a_packet_written_arrives_with_every_step_of_offload() {
    for step in STEPS {
        enter_new();
        let tun = Tun::open_with("t0", step).unwrap();
        assert_eq!(tun.offload(), step, "Linux 6.2 has all steps");
        let mut buffer = [0_u8; 2048];
        assert_eq!(tun.read(&mut buffer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        packet_from_the_host("t0");
        let (header, packet) = next_ipv4(&tun);
        let unfinished = (step >= Offload::Checksum).then_some(Unfinished { start: 20, offset: 6 });
        assert_eq!((header.unfinished, header.segmentation), (unfinished, None), "{step:?}");
        assert_eq!(
            (&packet[12..16], &packet[16..20], &packet[28..]),
            (&[10, 9, 0, 1][..], &[10, 9, 0, 2][..], &b"hello"[..])
        );

        // The answer: addresses and ports the other way round, which leaves both checksums as right as they were.
        let receiver = std::net::UdpSocket::bind("10.9.0.1:9").unwrap();
        let mut answer = packet.clone();
        answer[12..16].copy_from_slice(&packet[16..20]);
        answer[16..20].copy_from_slice(&packet[12..16]);
        let (first, second) = answer.split_at(23);
        tun.write(&header, &[IoSlice::new(first), IoSlice::new(&[]), IoSlice::new(second)]).unwrap();
        let (len, from) = receiver.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..len], from.ip().to_string()), (&b"hello"[..], "10.9.0.2".to_owned()));
    }
}

#[test]
fn a_super_packet_that_is_written_arrives_as_its_segments_where_there_is_a_header_for_it() {
    for step in [Offload::Header, Offload::None] {
        enter_new();
        let tun = Tun::open_with("t0", step).unwrap();
        packet_from_the_host("t0");
        let receiver = std::net::UdpSocket::bind("10.9.0.1:9").unwrap();
        receiver.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        let size = 5.try_into().unwrap();
        let header = Header {
            unfinished: Some(Unfinished { start: 20, offset: 6 }),
            segmentation: Some(Segmentation { protocol: Segmented::Udp, size, ecn: false }),
            header_len: 28,
        };
        // 10.9.0.2 to 10.9.0.1, both ports 9, 12 octets; in the place of the UDP checksum the sum of the pseudo header.
        let head =
            [69, 0, 0, 40, 0, 0, 0, 0, 64, 17, 0x66, 0xb1, 10, 9, 0, 2, 10, 9, 0, 1, 0, 9, 0, 9, 0, 20, 0x14, 0x3a];
        let result = tun.write(&header, &[IoSlice::new(&head), IoSlice::new(b"onetwothree!")]);
        if step == Offload::None {
            assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
            continue;
        }
        result.unwrap();
        let mut buffer = [0_u8; 64];
        for expected in [&b"onetw"[..], b"othre", b"e!"] {
            let (len, _) = receiver.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], expected);
        }
    }
}

#[test]
fn a_packet_of_too_many_parts_is_refused_before_the_kernel_sees_it() {
    enter_new();
    let tun = Tun::open("t0").unwrap();
    let error = tun.write(&Header::default(), &[IoSlice::new(b"x"); MAX_PARTS + 1]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
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
    assert!(is_gone(&write(&tun, &[0x45; 20]).unwrap_err()));
}

#[test]
fn a_write_to_a_device_that_is_down_concerns_that_packet_only() {
    enter_new();
    let tun = Tun::open("t0").unwrap();
    let error = write(&tun, &[0x45; 20]).unwrap_err();
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
