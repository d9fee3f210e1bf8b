//! The gateway's name is found though the name server lies in a subnet that is closed.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use vpnd::config::Nftables;
use vpnd::os::host::Host;
use vpnd::os::plan::{HostPlan, KillSwitch};
use vpnd::os::resolve::by_ourselves;

use crate::namespace::{Namespace, ip, thread_id};
use crate::routes::{Scratch, run, settings};

/// Answers every question for an IPv4 address with 192.0.2.77, after junk; and those for IPv6 with no such record.
fn serve(socket: &UdpSocket) {
    let mut memory = [0; 512];
    for _ in 0..2 {
        let (length, from) = socket.recv_from(&mut memory).unwrap();
        let question = &memory[..length];
        let mut answer = question.to_vec();
        answer[2..4].copy_from_slice(&[0x81, 0x80]);
        if question[length - 3] == 1 {
            answer[7] = 1;
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 77]);
        }
        let mut forged = answer.clone();
        forged[0] ^= 1;
        *forged.last_mut().unwrap() = 66;
        for datagram in [&b"junk"[..], &forged, &answer] {
            socket.send_to(datagram, from).unwrap();
        }
    }
}

#[test]
fn l_09_a_name_server_in_a_closed_subnet_is_asked_for_the_gateway_and_by_nobody_else() {
    let (near, far) = (Namespace::new(), Namespace::new());
    let other = far.run(thread_id);
    near.run(move || {
        ip("link add outer type veth peer name far");
        ip(&format!("link set far netns {other} name outer"));
        ip("addr add 192.0.2.1/24 dev outer");
        ip("link set outer up");
        ip("route add default via 192.0.2.2");
    });
    let server: SocketAddr = "10.250.0.53:53".parse().unwrap();
    let socket = far.run(move || {
        ip("addr add 192.0.2.2/24 dev outer");
        ip("link set outer up");
        ip("addr add 10.250.0.53/32 dev lo");
        UdpSocket::bind(server).unwrap()
    });
    let serving = std::thread::spawn(move || serve(&socket));
    near.run(move || {
        let scratch = Scratch::new("resolve");
        run(async {
            let closed = HostPlan::closed(&settings(&["10.250.0.0/24"], KillSwitch::On(Nftables::Auto)));
            let (host, _) = Host::open(&scratch.0, "t0", &closed).await.unwrap();
            // Anybody else, the system's resolver among them.
            let plain = UdpSocket::bind("0.0.0.0:0").unwrap();
            plain.send_to(b"question", server).unwrap_err();

            let found = tokio::time::timeout(Duration::from_secs(20), by_ourselves("vpn.example.com", &[server])).await;
            assert_eq!(found.unwrap(), ["192.0.2.77".parse::<IpAddr>().unwrap()]);
            drop(host);
        });
    });
    serving.join().unwrap();
}
