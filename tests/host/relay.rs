//! A bad road between the two ends: it loses, doubles and reorders datagrams, the same ones for the same seed and the same traffic.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::namespace::ip;
use crate::pair::Pair;

/// What happens to how many of a hundred datagrams.
#[derive(Clone, Copy, Default)]
pub(crate) struct Road {
    pub(crate) loses: u32,
    pub(crate) doubles: u32,
    /// Those held back until up to [`HELD`] others have passed.
    pub(crate) delays: u32,
}

/// Datagrams that one can be overtaken by, at most.
const HELD: u32 = 40;

/// What became of the datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fates {
    pub(crate) passed: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) delayed: u64,
}

/// A relay at an address of its own, in the second end's namespace.
pub(crate) struct Relay {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Fates>,
}

impl Relay {
    /// Puts it between the ends, before SAs are installed.
    pub(crate) fn between(pair: &mut Pair, road: Road) -> Self {
        let socket = pair.ends[1].namespace.run(|| {
            ip("addr add 192.0.2.3/24 dev outer");
            UdpSocket::bind("192.0.2.3:0").unwrap()
        });
        pair.send_through(socket.local_addr().unwrap());
        let ends = [pair.ends[0].outer, pair.ends[1].outer];
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = std::thread::spawn(move || carry(&socket, ends, road, &asked));
        Self { stop, thread }
    }

    pub(crate) fn end(self) -> Fates {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn carry(socket: &UdpSocket, [first, second]: [SocketAddr; 2], road: Road, stop: &AtomicBool) -> Fates {
    // Whoever waits for a held datagram and sends nothing gets it after this.
    socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut seed = 0x2545_f491_u32;
    let mut random = |below: u32| {
        // xorshift32
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        (seed >> 8) % below
    };
    // A socket buffer that is full is the road's loss, too.
    let send = |octets: &[u8], to| drop(socket.send_to(octets, to));
    let mut held: Vec<(u32, Vec<u8>, SocketAddr)> = Vec::new();
    let mut buffer = vec![0_u8; 65_536];
    let mut fates = Fates::default();
    while !stop.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else {
            held.drain(..).for_each(|(_, octets, to)| send(&octets, to));
            continue;
        };
        let octets = &buffer[..len];
        let to = if from == first { second } else { first };
        if random(100) < road.loses {
            fates.lost += 1;
            continue;
        }
        if random(100) < road.delays {
            fates.delayed += 1;
            held.push((1 + random(HELD), octets.to_vec(), to));
            continue;
        }
        if random(100) < road.doubles {
            fates.doubled += 1;
            send(octets, to);
        }
        fates.passed += 1;
        send(octets, to);
        for one in &mut held {
            one.0 -= 1;
        }
        held.extract_if(.., |one| one.0 == 0).for_each(|(_, octets, to)| send(&octets, to));
    }
    fates
}
