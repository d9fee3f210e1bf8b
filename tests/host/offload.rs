//! What the kernel leaves to us and what we leave to the kernel: the same octets arrive with every step of it.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use vpnd::io::tun::Offload;

use crate::namespace::ip;
use crate::pair::{CBC, GCM, Pair, wait_for};
use crate::traffic::{PATIENCE, content, echo};

const STEPS: [Offload; 5] = [Offload::None, Offload::Header, Offload::Checksum, Offload::Tcp, Offload::Udp];

/// Packets and datagrams that the first end sent.
fn sent(pair: &Pair) -> u64 {
    let (outbound, _) = wait_for(pair.ends[0].plane.counters()).unwrap();
    assert_eq!((outbound.unsent, outbound.path.dropped_total()), (0, 0), "{outbound:?}");
    outbound.path.packets
}

#[test]
fn megabytes_of_tcp_arrive_unchanged_with_every_step_of_offload() {
    for (step, protection) in STEPS.into_iter().zip([GCM, CBC].into_iter().cycle()) {
        let pair = Pair::with_offload("ipv4", step);
        pair.install(protection);
        for inner in ["10.9.2.1", "2001:db8:20::1"] {
            echo(&pair, inner, 3_000_000);
        }
        // Each packet is one that a link with the device's MTU would carry.
        assert!(sent(&pair) >= 2 * 3_000_000 / 1400, "{step:?}");
    }
}

/// Has the kernel cut what is sent into datagrams of `size` octets: a UDP super-packet (UDP_SEGMENT).
fn segment(socket: &UdpSocket, size: libc::c_int) {
    let len = u32::try_from(size_of_val(&size)).unwrap();
    let value = (&raw const size).cast();
    // SAFETY: the pointer and length are those of `size`.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, value, len) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn datagrams_of_one_send_arrive_one_by_one_with_every_step_of_offload() {
    for step in STEPS {
        let pair = Pair::with_offload("ipv4", step);
        pair.install(GCM);
        for (from, to) in [("10.9.1.1:0", "10.9.2.1:0"), ("[2001:db8:10::1]:0", "[2001:db8:20::1]:0")] {
            let sender = pair.ends[0].namespace.run(move || UdpSocket::bind(from).unwrap());
            let receiver = pair.ends[1].namespace.run(move || UdpSocket::bind(to).unwrap());
            receiver.set_read_timeout(Some(PATIENCE)).unwrap();
            segment(&sender, 700);
            let all = content(3, 20 * 700 + 1);
            sender.send_to(&all, receiver.local_addr().unwrap()).unwrap();
            let mut buffer = [0; 2048];
            for expected in all.chunks(700) {
                let len = receiver.recv(&mut buffer).unwrap();
                assert!(&buffer[..len] == expected, "{step:?}");
            }
        }
        assert_eq!(sent(&pair), 2 * 21, "{step:?}");
    }
}

#[test]
fn where_the_outer_link_is_too_small_for_a_train_nothing_is_lost() {
    for outer in ["ipv4", "ipv6"] {
        let pair = Pair::new(outer);
        for end in &pair.ends {
            // A sealed packet of the device's MTU leaves as two fragments: the kernel refuses trains of them at run time.
            end.namespace.run(|| ip("link set outer mtu 1300"));
        }
        pair.install(CBC);
        echo(&pair, "10.9.2.1", 1_000_000);
        assert!(sent(&pair) >= 1_000_000 / 1400);
    }
}
