//! A load of small packets: as many a second as asked for, and how many of them arrive.
//!
//! Unsafe code: there is no safe interface to sendmmsg(2) and recvmmsg(2), and one system call a packet would measure itself.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Octets of a packet with its IPv4 and UDP headers.
const PACKET: usize = 64;
const PAYLOAD: usize = PACKET - 20 - 8;

/// Packets a system call, at most.
const AT_ONCE: usize = 64;

/// How long both sides sleep between two bursts.
const PAUSE: Duration = Duration::from_micros(100);

/// What could not be sent within this time is not made up for: the load never comes in bursts that no queue holds.
const LONGEST_DEBT: Duration = Duration::from_millis(1);

/// What [`send`] did.
pub(crate) struct Sent {
    pub(crate) packets: u64,
    pub(crate) time: Duration,
}

/// Sends `rate` packets a second for a time; 0 is as many as the machine makes.
#[expect(clippy::disallowed_methods, reason = "a load has a clock")]
pub(crate) fn send(to: SocketAddr, rate: u64, time: Duration) -> io::Result<Sent> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(to)?;
    let begun = Instant::now();
    let mut sent = 0_u64;
    let mut forgiven = 0_u64;
    loop {
        let passed = begun.elapsed();
        if passed >= time {
            return Ok(Sent { packets: sent, time: passed });
        }
        if rate == 0 {
            sent += send_some(socket.as_raw_fd(), AT_ONCE)?;
            continue;
        }
        let due = due_within(rate, passed) - forgiven;
        let debt = due.saturating_sub(sent);
        let most = due_within(rate, LONGEST_DEBT);
        if debt > most {
            forgiven += debt - most;
        }
        let mut now = debt.min(most);
        while now > 0 {
            let count = send_some(socket.as_raw_fd(), usize::try_from(now).unwrap_or(AT_ONCE).min(AT_ONCE))?;
            sent += count;
            now = now.saturating_sub(count.max(1));
        }
        std::thread::sleep(PAUSE);
    }
}

fn due_within(rate: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(rate) * time.as_nanos() / 1_000_000_000).unwrap_or(u64::MAX)
}

fn send_some(socket: RawFd, count: usize) -> io::Result<u64> {
    let payload = [0x55_u8; PAYLOAD];
    let mut part = libc::iovec { iov_base: payload.as_ptr().cast_mut().cast(), iov_len: payload.len() };
    // SAFETY: all zero is a valid mmsghdr: no name, no vectors, no control.
    let mut headers: [libc::mmsghdr; AT_ONCE] = unsafe { mem::zeroed() };
    for header in &mut headers {
        header.msg_hdr.msg_iov = &raw mut part;
        header.msg_hdr.msg_iovlen = 1;
    }
    let count = u32::try_from(count.min(AT_ONCE)).unwrap_or(1);
    // SAFETY: `count` headers are there; each points to the one vector, and that to the payload, which the kernel only reads.
    let sent = unsafe { libc::sendmmsg(socket, headers.as_mut_ptr(), count, 0) };
    match u64::try_from(sent) {
        Ok(sent) => Ok(sent),
        // No room in the device's queue: that packet is lost like one that the queue dropped silently.
        Err(_) => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(0),
            error => Err(error),
        },
    }
}

/// Counts the packets that arrive, in a thread of its own.
pub(crate) struct Receiver {
    /// How many packets came so far.
    pub(crate) count: Arc<AtomicU64>,
    told_to_end: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<()>>,
}

impl Receiver {
    /// Binds; from here on packets are counted.
    pub(crate) fn start(at: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(at)?;
        // Past what the host allows, as root may: the receiver is not to be what loses packets.
        let octets: libc::c_int = 16 << 20;
        let len = u32::try_from(mem::size_of_val(&octets)).unwrap_or_default();
        // SAFETY: the pointer and length are those of `octets`.
        let result = unsafe {
            let value = (&raw const octets).cast();
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, value, len)
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        let (count, told_to_end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, told) = (Arc::clone(&count), Arc::clone(&told_to_end));
        let thread = std::thread::spawn(move || {
            loop {
                // Read before the last look, so that nothing which came before the word is missed.
                let last = told.load(Ordering::Acquire);
                counted.fetch_add(drain(socket.as_raw_fd())?, Ordering::Release);
                if last {
                    return Ok(());
                }
                std::thread::sleep(PAUSE * 4);
            }
        });
        Ok(Self { count, told_to_end, thread })
    }

    /// How many packets came.
    pub(crate) fn end(self) -> io::Result<u64> {
        self.told_to_end.store(true, Ordering::Release);
        self.thread.join().map_err(|_| io::Error::other("the counting thread panicked"))??;
        Ok(self.count.load(Ordering::Acquire))
    }
}

/// Takes what waits at the socket; gives the number of packets of the right length.
fn drain(socket: RawFd) -> io::Result<u64> {
    let mut memory = [[0_u8; 2 * PAYLOAD]; AT_ONCE];
    let mut parts = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; AT_ONCE];
    // SAFETY: all zero is a valid mmsghdr: no name, no vectors, no control.
    let mut headers: [libc::mmsghdr; AT_ONCE] = unsafe { mem::zeroed() };
    for ((header, part), memory) in headers.iter_mut().zip(parts.iter_mut()).zip(memory.iter_mut()) {
        part.iov_base = memory.as_mut_ptr().cast();
        part.iov_len = memory.len();
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
    }
    let room = u32::try_from(AT_ONCE).unwrap_or_default();
    let mut whole = 0_u64;
    loop {
        // SAFETY: `room` headers point to vectors and memory that live until this function returns, each with its true length.
        let taken =
            unsafe { libc::recvmmsg(socket, headers.as_mut_ptr(), room, libc::MSG_DONTWAIT as _, ptr::null_mut()) };
        let Ok(taken) = usize::try_from(taken) else {
            return match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => Ok(whole),
                error => Err(error),
            };
        };
        let fits = |header: &&libc::mmsghdr| usize::try_from(header.msg_len) == Ok(PAYLOAD);
        whole += u64::try_from(headers.iter().take(taken).filter(fits).count()).unwrap_or_default();
        if taken < AT_ONCE {
            return Ok(whole);
        }
    }
}
