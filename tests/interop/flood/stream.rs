//! A thousand packets a second through the tunnel, each sent back.
//!
//! Unsafe code: the standard library cannot give a socket a larger buffer.
#![allow(unsafe_code)]

use std::io::Read as _;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(1);
const OCTETS: usize = 100;

/// What became of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) sent: u64,
    pub(super) back: u64,
}

impl Outcome {
    pub(super) fn read(line: &str) -> Self {
        let (sent, back) = line.split_once(' ').expect("two numbers");
        Self { sent: sent.parse().expect("a number"), back: back.parse().expect("a number") }
    }

    pub(super) fn kept(self) -> f64 {
        self.back as f64 / self.sent.max(1) as f64
    }
}

/// With room for whatever comes while others have the processor: what is counted is what the tunnel loses.
fn deep(at: &str) -> UdpSocket {
    let socket = UdpSocket::bind((at, 0)).expect("a socket");
    let octets: libc::c_int = 16 << 20;
    let length = size_of_val(&octets) as libc::socklen_t;
    // SAFETY: pointer and length are those of `octets`.
    let set = unsafe {
        let value = (&raw const octets).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, value, length)
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    socket
}

/// Sends back whatever comes, until it is killed.
pub(super) fn echo(at: &str) {
    let socket = deep(at);
    println!("@ {}", socket.local_addr().expect("an address").port());
    let mut packet = [0; OCTETS];
    while let Ok((length, from)) = socket.recv_from(&mut packet) {
        // Nobody may listen any more.
        socket.send_to(&packet[..length], from).ok();
    }
}

/// Sends until standard input ends, waits for the last answers, and says how many of how many came.
pub(super) fn stream(to: &str) {
    let socket = deep("0.0.0.0");
    socket.connect(to).expect("a route");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a time-out");
    let (back, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let receiver = {
        let (socket, back, ended) = (socket.try_clone().expect("a clone"), Arc::clone(&back), Arc::clone(&ended));
        std::thread::spawn(move || {
            let mut packet = [0; OCTETS];
            loop {
                match socket.recv(&mut packet) {
                    Ok(_) => drop(back.fetch_add(1, Ordering::Relaxed)),
                    Err(_) if ended.load(Ordering::Relaxed) => return,
                    Err(_) => {}
                }
            }
        })
    };
    let over = Arc::new(AtomicBool::new(false));
    {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            std::io::stdin().read_to_end(&mut Vec::new()).ok();
            over.store(true, Ordering::Relaxed);
        });
    }
    // The way is warm before anything is counted.
    while back.load(Ordering::Relaxed) < 50 {
        socket.send(&[1; OCTETS]).ok();
        std::thread::sleep(EVERY);
    }
    std::thread::sleep(Duration::from_millis(300));
    back.store(0, Ordering::Relaxed);
    println!("@ steady");
    let begun = Instant::now();
    let mut sent = 0_u64;
    while !over.load(Ordering::Relaxed) {
        let due = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        while sent < due {
            // A full queue loses the packet, which counts as lost.
            socket.send(&[0; OCTETS]).ok();
            sent += 1;
        }
        std::thread::sleep(EVERY);
    }
    std::thread::sleep(Duration::from_secs(1));
    ended.store(true, Ordering::Relaxed);
    receiver.join().expect("the receiver");
    println!("@ {sent} {}", back.load(Ordering::Relaxed));
}
