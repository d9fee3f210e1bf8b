//! Packets that do not fit: told to their senders, on this host and behind it, and handshakes that prevent them.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

use crate::namespace::{Namespace, ip, thread_id};
use crate::pair::{GCM, Pair, wait_for};
use crate::traffic::PATIENCE;

const MTU: u16 = 1400;

/// A machine behind `end` whose packets that end forwards: 10.9.N.100 and 2001:db8:N0::100, on a link of 1500 octets.
fn host_behind(pair: &Pair, end: usize) -> Namespace {
    let host = Namespace::new();
    let (thread, number) = (host.run(thread_id), end + 1);
    pair.ends[end].namespace.run(move || {
        ip("link add inner type veth peer name far");
        ip(&format!("link set far netns {thread} name eth"));
        ip("link set inner up");
        ip(&format!("addr add 10.9.{number}.254/24 dev inner"));
        ip(&format!("-6 addr add 2001:db8:{number}0::fe/64 dev inner nodad"));
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
    });
    host.run(move || {
        ip("link set eth up");
        ip(&format!("addr add 10.9.{number}.100/24 dev eth"));
        ip(&format!("-6 addr add 2001:db8:{number}0::100/64 dev eth nodad"));
        ip(&format!("route add default via 10.9.{number}.254"));
        ip(&format!("-6 route add default via 2001:db8:{number}0::fe"));
    });
    host
}

fn option(socket: &impl AsRawFd, level: i32, name: i32) -> i32 {
    let mut value = 0_i32;
    let mut len = 4;
    // SAFETY: the pointers are to an int and its length.
    let result = unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    value
}

/// A UDP socket that lets nobody cut its packets.
fn uncut(target: &str) -> UdpSocket {
    let target: SocketAddr = SocketAddr::new(target.parse().unwrap(), 9);
    let (bind, level, name, always) = if target.is_ipv4() {
        ("0.0.0.0:0", libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)
    } else {
        ("[::]:0", libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO)
    };
    let socket = UdpSocket::bind(bind).unwrap();
    // SAFETY: the pointer and the length are those of an int.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const always).cast(), 4) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    socket.connect(target).unwrap();
    socket
}

fn path_mtu(socket: &UdpSocket) -> i32 {
    if socket.local_addr().unwrap().is_ipv4() {
        option(socket, libc::IPPROTO_IP, libc::IP_MTU)
    } else {
        option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU)
    }
}

#[test]
fn t_07_senders_here_and_behind_us_are_told_what_the_tunnel_carries() {
    let pair = Pair::new("ipv4");
    pair.install(GCM);
    let behind = host_behind(&pair, 0);
    for target in ["10.9.2.1", "2001:db8:20::1"] {
        for namespace in [&pair.ends[0].namespace, &behind] {
            let told = namespace.run(move || {
                let socket = uncut(target);
                // The first may leave, on a link that takes it; the answer comes a moment later.
                for _ in 0..200 {
                    let too_long =
                        socket.send(&[7; 1440]).is_err_and(|error| error.raw_os_error() == Some(libc::EMSGSIZE));
                    if too_long {
                        return path_mtu(&socket);
                    }
                    std::thread::sleep(PATIENCE / 1000);
                }
                panic!("nobody said that the packet was too long");
            });
            assert_eq!(told, i32::from(MTU), "{target}");
        }
    }
    // None of them went into the tunnel, cut or whole.
    assert_eq!(pair.counters()[0].0.path.packets, 0);
}

#[test]
fn t_09_handshakes_of_machines_behind_both_ends_are_held_to_the_mtu() {
    let pair = Pair::new("ipv4");
    pair.install(GCM);
    let machines = [host_behind(&pair, 0), host_behind(&pair, 1)];
    for (target, without_clamp, clamped) in [("10.9.2.100", 1448, 1348), ("2001:db8:20::100", 1428, 1328)] {
        for (mtu, expected) in [(None, without_clamp), (Some(MTU), clamped)] {
            for end in &pair.ends {
                wait_for(end.plane.set_mtu(mtu)).unwrap();
            }
            let listen = SocketAddr::new(target.parse().unwrap(), 0);
            let listener = machines[1].run(move || TcpListener::bind(listen).unwrap());
            let address = listener.local_addr().unwrap();
            let here = machines[0].run(move || TcpStream::connect(address).unwrap());
            let (there, _) = listener.accept().unwrap();
            // Twelve octets of each segment are a time stamp.
            let segments = [&here, &there].map(|stream| option(stream, libc::IPPROTO_TCP, libc::TCP_MAXSEG));
            assert_eq!(segments, [expected; 2], "{target}, {mtu:?}");
        }
    }
}
