//! A bad road between two network devices: a bridge that loses, doubles, holds back and delays UDP datagrams. The fate of the n-th datagram of a
//! direction follows from the seed alone, so that the same seed and the same number of datagrams give the same counts.
//!
//! Knows frames and time, nothing of what is in the datagrams. Used by the tests and, as a program, by `make reliability`.
//!
//! Unsafe code: there is no safe interface to packet(7).
#![allow(unsafe_code)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What happens to how many of a hundred datagrams, and how long all of them take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Road {
    pub(crate) seed: u64,
    pub(crate) loses: u8,
    pub(crate) doubles: u8,
    /// Those held back for up to `held`, so that others overtake them.
    pub(crate) holds: u8,
    pub(crate) held: Duration,
    /// Added to each.
    pub(crate) delay: Duration,
}

/// What becomes of one datagram: when each copy of it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Lost,
    Passes(Duration),
    Doubled(Duration),
}

impl Road {
    /// The fate of the datagram `number` on the way `way` (0 or 1).
    pub(crate) fn fate(&self, way: usize, number: u64) -> Fate {
        let mut state = self.seed ^ number.rotate_left(1) ^ ((way as u64) << 63);
        let mut random = |below: u64| {
            // SplitMix64: neighbouring numbers give unrelated fates.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % below
        };
        if random(100) < u64::from(self.loses) {
            return Fate::Lost;
        }
        let longest = u64::try_from(self.held.as_micros()).unwrap_or(u64::MAX).max(1);
        let is_held = random(100) < u64::from(self.holds);
        let leaves = self.delay + if is_held { Duration::from_micros(1 + random(longest)) } else { Duration::ZERO };
        if random(100) < u64::from(self.doubles) { Fate::Doubled(leaves) } else { Fate::Passes(leaves) }
    }
}

/// What became of the datagrams of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) seen: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) held: u64,
    /// Frames that the device on the other side did not take; frames longer than it can carry come from an end whose offloads are on.
    pub(crate) refused: u64,
}

/// A frame on its way: when it leaves, in which order, at which port.
type Waiting = Reverse<(Instant, u64, usize, Vec<u8>)>;

/// Two devices of the calling thread's namespace. What is neither IPv4 nor IPv6 with UDP passes untouched.
pub(crate) struct Bridge {
    ports: [Port; 2],
    road: Road,
    counts: [Counts; 2],
    waiting: BinaryHeap<Waiting>,
    order: u64,
}

impl Bridge {
    pub(crate) fn between(devices: [&str; 2], road: Road) -> io::Result<Self> {
        let [near, far] = devices.map(Port::open);
        Ok(Self { ports: [near?, far?], road, counts: Default::default(), waiting: BinaryHeap::new(), order: 0 })
    }

    /// Carries until it is told to stop; what was on the way then is gone. The counts: from the first device to the second, and back.
    pub(crate) fn carry(mut self, stop: &AtomicBool) -> io::Result<[Counts; 2]> {
        let mut buffer = vec![0_u8; 1 << 16];
        while !stop.load(Ordering::Relaxed) {
            self.wait()?;
            for way in 0..2 {
                // A bound, so that what waits leaves in time also under load.
                for _ in 0..64 {
                    let Some(len) = self.ports[way].receive(&mut buffer)? else { break };
                    self.meet(way, &buffer[..len]);
                }
            }
            self.release();
        }
        Ok(self.counts)
    }

    /// For a frame, for the next one to leave, or for a moment.
    fn wait(&self) -> io::Result<()> {
        let longest = Duration::from_millis(20);
        let next =
            self.waiting.peek().map_or(longest, |Reverse((due, ..))| due.saturating_duration_since(Instant::now()));
        let next = next.min(longest);
        let timeout = libc::timespec { tv_sec: 0, tv_nsec: next.subsec_nanos().into() };
        let mut polled = [0, 1].map(|way| libc::pollfd { fd: self.ports[way].raw(), events: libc::POLLIN, revents: 0 });
        // SAFETY: `polled` holds two descriptors, and the timeout lives as long as the call.
        let ready = unsafe { libc::ppoll(polled.as_mut_ptr(), 2, &raw const timeout, std::ptr::null()) };
        match io::Error::last_os_error() {
            error if ready < 0 && error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn meet(&mut self, way: usize, frame: &[u8]) {
        let other = 1 - way;
        if !is_udp(frame) {
            self.ports[other].send(frame);
            return;
        }
        let counts = &mut self.counts[way];
        let fate = self.road.fate(way, counts.seen);
        counts.seen += 1;
        let (leaves, copies) = match fate {
            Fate::Lost => {
                counts.lost += 1;
                return;
            }
            Fate::Passes(leaves) => (leaves, 1),
            Fate::Doubled(leaves) => {
                counts.doubled += 1;
                (leaves, 2)
            }
        };
        counts.held += u64::from(leaves > self.road.delay);
        for _ in 0..copies {
            if leaves.is_zero() {
                self.send(other, frame);
            } else {
                self.waiting.push(Reverse((Instant::now() + leaves, self.order, other, frame.to_vec())));
                self.order += 1;
            }
        }
    }

    fn release(&mut self) {
        let now = Instant::now();
        while self.waiting.peek().is_some_and(|Reverse((due, ..))| *due <= now) {
            let Some(Reverse((_, _, port, frame))) = self.waiting.pop() else { return };
            self.send(port, &frame);
        }
    }

    fn send(&mut self, port: usize, frame: &[u8]) {
        if !self.ports[port].send(frame) {
            self.counts[1 - port].refused += 1;
        }
    }
}

/// Whether it is an IPv4 or IPv6 packet with UDP, fragments included.
fn is_udp(frame: &[u8]) -> bool {
    const UDP: u8 = 17;
    match frame.get(12..14) {
        Some([0x08, 0x00]) => frame.get(23) == Some(&UDP),
        // A fragment header may stand before it.
        Some([0x86, 0xdd]) => frame.get(20) == Some(&UDP) || (frame.get(20), frame.get(54)) == (Some(&44), Some(&UDP)),
        _ => false,
    }
}

/// A packet socket that receives every frame which arrives at one device, and sends frames as they are.
pub(crate) struct Port(OwnedFd);

impl Port {
    /// Sees what arrives; what leaves by this device is not seen.
    pub(crate) fn open(device: &str) -> io::Result<Self> {
        let port = Self::open_both_ways(device)?;
        port.set(libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
        Ok(port)
    }

    /// Sees what arrives and what leaves.
    pub(crate) fn open_both_ways(device: &str) -> io::Result<Self> {
        let all = u16::try_from(libc::ETH_P_ALL).map_err(io::Error::other)?.to_be();
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // No protocol yet: nothing is received from other devices before the socket is bound to one.
        // SAFETY: takes no pointer.
        let socket = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
        // SAFETY: just made, and nobody else's.
        let port = Self(unsafe { OwnedFd::from_raw_fd(socket) });
        // Past what the host allows, as root may.
        port.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 16 << 20)?;
        let name = CString::new(device).map_err(io::Error::other)?;
        // SAFETY: a C string that lives as long as the call.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if index == 0 {
            return Err(io::Error::other(format!("{device}: {}", io::Error::last_os_error())));
        }
        // SAFETY: all zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
        address.sll_protocol = all;
        address.sll_ifindex = i32::try_from(index).map_err(io::Error::other)?;
        let len = u32::try_from(mem::size_of_val(&address)).map_err(io::Error::other)?;
        // SAFETY: pointer and length are those of `address`.
        check(unsafe { libc::bind(port.raw(), (&raw const address).cast(), len) })?;
        Ok(port)
    }

    /// The next frame's length, if one is there.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        // SAFETY: pointer and length are those of `buffer`.
        let len = unsafe { libc::recv(self.raw(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        match usize::try_from(len) {
            Ok(len) => Ok(Some(len)),
            Err(_) => match io::Error::last_os_error() {
                error if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
                // A device that is taken down may come back.
                error if error.raw_os_error() == Some(libc::ENETDOWN) => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Waits for a frame, for as long as this.
    #[allow(dead_code, reason = "only the program needs it")]
    pub(crate) fn wait(&self, milliseconds: i32) {
        let mut polled = libc::pollfd { fd: self.raw(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor. Whether one is ready is seen by the next `receive`.
        unsafe { libc::poll(&raw mut polled, 1, milliseconds) };
    }

    /// Frames that came and found no room in the socket's buffer, since this was asked last.
    #[allow(dead_code, reason = "only the program needs it")]
    pub(crate) fn overlooked(&self) -> io::Result<u32> {
        // SAFETY: all zero is a valid tpacket_stats.
        let mut found: libc::tpacket_stats = unsafe { mem::zeroed() };
        let mut len = u32::try_from(mem::size_of_val(&found)).map_err(io::Error::other)?;
        let value = (&raw mut found).cast();
        // SAFETY: pointer and length are those of `found`.
        check(unsafe { libc::getsockopt(self.raw(), libc::SOL_PACKET, libc::PACKET_STATISTICS, value, &raw mut len) })?;
        Ok(found.tp_drops)
    }

    fn send(&self, frame: &[u8]) -> bool {
        // SAFETY: pointer and length are those of `frame`.
        let sent = unsafe { libc::send(self.raw(), frame.as_ptr().cast(), frame.len(), 0) };
        usize::try_from(sent) == Ok(frame.len())
    }

    fn set(&self, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
        let len = u32::try_from(mem::size_of_val(&value)).map_err(io::Error::other)?;
        // SAFETY: pointer and length are those of `value`.
        check(unsafe { libc::setsockopt(self.raw(), level, option, (&raw const value).cast(), len) })?;
        Ok(())
    }

    fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
