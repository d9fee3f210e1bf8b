//! What hosts behind the two ends send each other.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
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

/// Two connected UDP sockets, at the first end and at `address` at the second.
pub(crate) fn datagram_sockets(pair: &Pair, address: &str) -> [UdpSocket; 2] {
    let sockets = [inner_address(0, address), address.to_owned()].map(|text| SocketAddr::new(text.parse().unwrap(), 0));
    let sockets = [0, 1].map(|end| {
        let bind = sockets[end];
        let socket = pair.ends[end].namespace.run(move || UdpSocket::bind(bind).unwrap());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    });
    let [here, there] = &sockets;
    here.connect(there.local_addr().unwrap()).unwrap();
    there.connect(here.local_addr().unwrap()).unwrap();
    sockets
}

/// Sends datagrams with these lengths each way, so few at a time that no queue is full, and compares what comes, in order.
pub(crate) fn exchange_datagrams(pair: &Pair, address: &str, lengths: &[usize]) {
    // A socket's buffer counts what packets take in memory, not their octets.
    let at_a_time = if lengths.iter().any(|len| *len > 1_500) { 6 } else { 32 };
    let [here, there] = datagram_sockets(pair, address);
    let mut buffer = vec![0_u8; 65_536];
    let content_of = |number: usize| content(u32::try_from(number).unwrap(), lengths[number]);
    let numbers: Vec<usize> = (0..lengths.len()).collect();
    for some in numbers.chunks(at_a_time) {
        for (from, to) in [(&here, &there), (&there, &here)] {
            for number in some {
                from.send(&content_of(*number)).unwrap();
            }
            for number in some {
                let len = to.recv(&mut buffer).unwrap();
                assert!(buffer[..len] == content_of(*number), "datagram {number}: {len} octets of another one came");
            }
        }
    }
}

/// TCP connections from the first end to the second, in the order in which they were made: each with its two ends.
pub(crate) fn connections(pair: &Pair, address: &str, count: usize) -> Vec<[TcpStream; 2]> {
    let listen = SocketAddr::new(address.parse().unwrap(), 0);
    let listener = pair.ends[1].namespace.run(move || TcpListener::bind(listen).unwrap());
    let target = listener.local_addr().unwrap();
    (0..count)
        .map(|_| {
            let here = pair.ends[0].namespace.run(move || TcpStream::connect(target).unwrap());
            let (there, _) = listener.accept().unwrap();
            [here, there].map(|stream| {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream
            })
        })
        .collect()
}

/// Sends `len` octets each way on each of `flows` connections at once, and compares what comes with what was sent.
pub(crate) fn transfer_both_ways(pair: &Pair, address: &str, flows: usize, len: usize) {
    let workers: Vec<JoinHandle<()>> = connections(pair, address, flows)
        .into_iter()
        .flatten()
        .zip(1..)
        .flat_map(|(stream, number): (TcpStream, u32)| {
            // Of two neighbours each sends its own number and awaits the other's.
            let partner = ((number - 1) ^ 1) + 1;
            let mut writer = stream.try_clone().unwrap();
            let mut reader = stream;
            [
                std::thread::spawn(move || {
                    writer.write_all(&content(number, len)).unwrap();
                    writer.shutdown(Shutdown::Write).unwrap();
                }),
                std::thread::spawn(move || {
                    let mut all = Vec::new();
                    reader.read_to_end(&mut all).unwrap();
                    assert!(all == content(partner, len), "{} octets came changed", all.len());
                }),
            ]
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

/// Connections from the first end to the second that carry as much as they can until this goes.
pub(crate) struct Bulk {
    stop: Arc<AtomicBool>,
    received: Vec<Arc<AtomicU64>>,
    workers: Vec<JoinHandle<()>>,
}

impl Bulk {
    pub(crate) fn start(pair: &Pair, address: &str, flows: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut received = Vec::new();
        let mut workers = Vec::new();
        for [mut here, mut there] in connections(pair, address, flows) {
            let asked = Arc::clone(&stop);
            workers.push(std::thread::spawn(move || {
                let block = content(1, 65_536);
                while !asked.load(Ordering::Relaxed) && here.write_all(&block).is_ok() {}
            }));
            let count = Arc::new(AtomicU64::new(0));
            received.push(Arc::clone(&count));
            workers.push(std::thread::spawn(move || {
                let mut block = vec![0; 65_536];
                while let Ok(len @ 1..) = there.read(&mut block) {
                    count.fetch_add(u64::try_from(len).unwrap(), Ordering::Relaxed);
                }
            }));
        }
        Self { stop, received, workers }
    }

    /// Octets received on each connection.
    pub(crate) fn received(&self) -> Vec<u64> {
        self.received.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// Waits until every connection has carried so many octets, and says what each has then.
    pub(crate) fn wait_for_each(&self, octets: u64) -> Vec<u64> {
        const PAUSE: Duration = Duration::from_millis(5);
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            let received = self.received();
            if received.iter().all(|count| *count >= octets) {
                return received;
            }
            std::thread::sleep(PAUSE);
        }
        panic!("some connections starve: {:?}", self.received());
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.workers.drain(..).for_each(|worker| drop(worker.join()));
    }
}
