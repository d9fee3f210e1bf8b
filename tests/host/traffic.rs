//! What hosts behind the two ends send each other.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::pair::Pair;

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The inner address of `end` in the family of `other`.
pub(crate) fn inner_address(end: usize, other: &str) -> String {
    let number = end + 1;
    if other.contains(':') { format!("2001:db8:{number}0::1") } else { format!("10.9.{number}.1") }
}

/// Octets that no two places have in common and no two flows.
pub(crate) fn content(flow: u32, len: usize) -> Vec<u8> {
    let mut state = flow.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        // xorshift32
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_ne_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(len).collect()
}

/// Sends `len` octets by TCP from the first end to `address` at the second and has them sent back.
pub(crate) fn echo(pair: &Pair, address: &str, len: usize) {
    let listen = SocketAddr::new(address.parse().unwrap(), 0);
    let listener = pair.ends[1].namespace.run(move || TcpListener::bind(listen).unwrap());
    let target = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, from) = listener.accept().unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
        from.ip().to_string()
    });
    let mut stream = pair.ends[0].namespace.run(move || TcpStream::connect(target).unwrap());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent = content(1, len);
    let mut writer = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == sent, "{} octets came back changed", back.len());
    assert_eq!(server.join().unwrap(), inner_address(0, address));
}

/// Sends `count` datagrams of many sizes to `address` at the second end, each when the one before came back.
pub(crate) fn exchange_datagrams(pair: &Pair, address: &str, count: usize) {
    let [here, there] = [(0, inner_address(0, address)), (1, address.to_owned())].map(|(end, address)| {
        let bind = SocketAddr::new(address.parse().unwrap(), 0);
        let socket = pair.ends[end].namespace.run(move || UdpSocket::bind(bind).unwrap());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    });
    here.connect(there.local_addr().unwrap()).unwrap();
    there.connect(here.local_addr().unwrap()).unwrap();
    let mut buffer = [0_u8; 2048];
    for number in 0..count {
        let sent = content(2, number * 37 % 1300);
        for (from, to) in [(&here, &there), (&there, &here)] {
            from.send(&sent).unwrap();
            let len = to.recv(&mut buffer).unwrap();
            assert!(buffer[..len] == sent, "datagram {number} came changed");
        }
    }
}
