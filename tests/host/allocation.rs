//! The packet path takes no memory from the allocator once it is warm. The allocator of this whole program counts, a thread at a time.
//! What is handed up to IKE is another matter: it is made of packets that are not the tunnel's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

use vpnd::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Opener, Protection, Sealer, Text};
use vpnd::crypto::multibuffer::Backend;
use vpnd::crypto::random::SeededRandom;
use vpnd::esp::batch::{Arrival, Batch};
use vpnd::esp::dataplane::{InboundCommand, OutboundCommand};
use vpnd::esp::inbound_path::InboundPath;
use vpnd::esp::outbound_path::OutboundPath;
use vpnd::sa::path::{Framing, Path};
use vpnd::sa::suite::EspSuite;
use vpnd::time::Instant;

use crate::namespace::thread_id;
use crate::pair::{CBC, CHILD, GCM, Pair, inbound_sa, keys_towards, outbound_sa};
use crate::traffic::{echo, exchange_datagrams};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// More threads than all tests of one process make. Those beyond share the last place, which no test reads.
const PLACES: usize = 4096;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static THREADS: [AtomicI32; PLACES] = [const { AtomicI32::new(0) }; PLACES];
static COUNTS: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];

thread_local! {
    static PLACE: Cell<Option<usize>> = const { Cell::new(None) };
}

fn count() {
    // A thread that is ending has no place any more.
    let _ = PLACE.try_with(|place| {
        let index = place.get().unwrap_or_else(|| {
            let index = TAKEN.fetch_add(1, Ordering::Relaxed).min(PLACES - 1);
            place.set(Some(index));
            THREADS[index].store(thread_id(), Ordering::Relaxed);
            index
        });
        COUNTS[index].fetch_add(1, Ordering::Relaxed);
    });
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// What the kernel's thread `thread` has allocated so far. A number can come back after a thread's end: the newest counts.
fn allocations_of(thread: i32) -> u64 {
    let taken = TAKEN.load(Ordering::Relaxed).min(PLACES - 1);
    let place = (0..taken).rev().find(|index| THREADS[*index].load(Ordering::Relaxed) == thread);
    place.map_or(0, |index| COUNTS[index].load(Ordering::Relaxed))
}

fn allocations_here<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = allocations_of(thread_id());
    let result = work();
    (allocations_of(thread_id()) - before, result)
}

fn protections() -> Vec<Protection> {
    let mut all = vec![Protection::Aead(Aead::ChaCha20Poly1305)];
    for key in [AesKey::Aes128, AesKey::Aes256] {
        for icv in [GcmIcv::Eight, GcmIcv::Twelve, GcmIcv::Sixteen] {
            all.push(Protection::Aead(Aead::AesGcm(key, icv)));
        }
    }
    for encryption in [Cbc::Aes(AesKey::Aes128), Cbc::Aes(AesKey::Aes192), Cbc::Aes(AesKey::Aes256), Cbc::TripleDes] {
        for integrity in [
            Integrity::HmacSha1_96,
            Integrity::HmacSha256_96,
            Integrity::HmacSha256_128,
            Integrity::HmacSha384_192,
            Integrity::HmacSha512_256,
        ] {
            all.push(Protection::CbcHmac { encryption, integrity });
        }
    }
    all
}

/// A UDP packet of `len` octets from the first end's network to the second's, with a content that changes with `number`.
fn inner_packet(len: usize, number: usize) -> Vec<u8> {
    let total = u16::try_from(len).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 1, 1, 10, 9, 2, 1];
    let sum = packet.chunks(2).fold(0_u32, |sum, pair| sum + u32::from(pair[0]) * 256 + u32::from(pair[1]));
    let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    let udp = u16::try_from(len - 20).unwrap().to_be_bytes();
    packet.extend([0x30, 0x39, 0, 53, udp[0], udp[1], 0, 0]);
    packet.resize(len, u8::try_from(number % 251).unwrap());
    packet
}

/// One SA from an outbound to an inbound half, with the memory for the packets between them.
struct Line {
    outbound: OutboundPath,
    inbound: InboundPath,
    sending: Batch,
    receiving: Batch,
    arrival: Arrival,
    delivered: usize,
}

impl Line {
    fn new(suite: EspSuite) -> Self {
        let path = Path {
            local: "192.0.2.1:40000".parse().unwrap(),
            remote: "198.51.100.1:4500".parse().unwrap(),
            framing: Framing::Marked,
        };
        let mut outbound = OutboundPath::new(&mut SeededRandom::new(1));
        let mut inbound = InboundPath::new();
        let sa = Box::new(inbound_sa(1, suite));
        inbound.apply(Instant::START, InboundCommand::Install { child: CHILD, sa }).unwrap();
        let sa = Box::new(outbound_sa(0, suite, path));
        outbound.apply(Instant::START, OutboundCommand::Switch { child: CHILD, sa }).unwrap();
        outbound.set_mtu(Some(1400));
        inbound.set_mtu(Some(1400));
        let (sending, receiving) = (Batch::new(64, 2048), Batch::new(64, 2048));
        Self { outbound, inbound, sending, receiving, arrival: Arrival { path, tos: 0 }, delivered: 0 }
    }

    fn carry(&mut self, now: Instant, packets: &[Vec<u8>]) {
        self.sending.clear();
        self.receiving.clear();
        for packet in packets {
            assert!(self.sending.push_inner(packet));
        }
        self.outbound.process(now, &mut self.sending);
        for sealed in self.sending.sealed() {
            assert!(self.receiving.push_datagram(sealed.datagram, self.arrival));
        }
        self.inbound.process(now, &mut self.receiving);
        self.delivered += self.receiving.inner().count();
    }
}

#[test]
fn sealing_and_opening_allocate_nothing_for_any_suite_and_any_fill_of_a_batch() {
    let fills = [1, 2, 7, 16, 33, 64];
    let lengths = [28, 64, 577, 1400];
    let packets: Vec<Vec<Vec<u8>>> = lengths
        .iter()
        .flat_map(|len| fills.iter().map(|fill| (0..*fill).map(|number| inner_packet(*len, number)).collect()))
        .chain([(0..64).map(|number| inner_packet(28 + number * 21, number)).collect()])
        .collect();
    let carried: usize = packets.iter().map(Vec::len).sum();
    for protection in protections() {
        for esn in [false, true] {
            let mut line = Line::new(EspSuite { protection, esn });
            line.carry(Instant::START, packets.last().unwrap());
            line.delivered = 0;
            let (allocations, ()) =
                allocations_here(|| packets.iter().for_each(|some| line.carry(Instant::START, some)));
            assert_eq!((allocations, line.delivered), (0, carried), "{protection:?}, ESN {esn}");
        }
    }
}

#[test]
fn reports_that_wait_take_no_memory_either() {
    let mut line = Line::new(EspSuite { protection: GCM, esn: false });
    let packets = [inner_packet(100, 1)];
    line.carry(Instant::START, &packets);
    let (allocations, ()) = allocations_here(|| {
        for second in 1..300 {
            line.carry(Instant::START.after(std::time::Duration::from_secs(second)), &packets);
        }
    });
    assert_eq!((allocations, line.delivered), (0, 300));
    assert!(line.inbound.poll_report().is_some() && line.inbound.counters().lost_reports > 0);
}

#[test]
fn no_backend_for_batches_allocates() {
    for protection in protections() {
        let keys = keys_towards(0, protection);
        for backend in Backend::available() {
            let sealer = Sealer::with_backend(protection, &keys, backend).unwrap();
            let opener = Opener::with_backend(protection, &keys, backend).unwrap();
            let mut memory = [[0_u8; 1424]; 33];
            let (mut texts, mut verdicts) = (Vec::with_capacity(33), Vec::with_capacity(33));
            texts.extend(memory.iter_mut().map(|packet| {
                let (associated, rest) = packet.split_at_mut(8);
                let (iv, rest) = rest.split_at_mut(protection.iv_len());
                let (text, rest) = rest.split_at_mut(1344);
                Text { associated, iv, text, suffix: &[], icv: &mut rest[..protection.icv_len()] }
            }));
            let (allocations, ()) = allocations_here(|| {
                for fill in [33, 16, 8, 3, 1] {
                    sealer.seal_batch(&mut texts[..fill]).unwrap();
                    opener.open_batch(&mut texts[..fill], &mut verdicts);
                    assert!(verdicts.iter().all(Result::is_ok));
                }
            });
            assert_eq!(allocations, 0, "{protection:?}, {backend:?}");
        }
    }
}
/// The data threads of the process that live in the network namespace of thread `sibling`.
fn data_threads_beside(sibling: i32) -> Vec<i32> {
    let namespace = |thread: i32| std::fs::read_link(format!("/proc/self/task/{thread}/ns/net")).ok();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let all = tasks.map(|task| task.unwrap().file_name().to_str().unwrap().parse::<i32>().unwrap());
    all.filter(|thread| {
        let name = std::fs::read_to_string(format!("/proc/self/task/{thread}/comm")).unwrap_or_default();
        matches!(name.trim(), "vpnd-outbound" | "vpnd-inbound") && namespace(*thread) == namespace(sibling)
    })
    .collect()
}

#[test]
fn the_running_threads_allocate_nothing_for_packets() {
    for protection in [GCM, CBC] {
        let pair = Pair::new("ipv4");
        pair.install(protection);
        let threads: Vec<i32> =
            pair.ends.iter().flat_map(|end| data_threads_beside(end.namespace.run(thread_id))).collect();
        assert_eq!(threads.len(), 4);
        let lengths: Vec<usize> = (0..300).map(|number| number * 379 % 1353).collect();
        let traffic = || {
            for address in ["10.9.2.1", "2001:db8:20::1"] {
                echo(&pair, address, 1_000_000);
                exchange_datagrams(&pair, address, &lengths);
            }
        };
        traffic();
        let before: Vec<u64> = threads.iter().map(|thread| allocations_of(*thread)).collect();
        assert!(before.iter().all(|count| *count > 0), "the counting does not see the threads: {before:?}");
        traffic();
        let after: Vec<u64> = threads.iter().map(|thread| allocations_of(*thread)).collect();
        assert_eq!(before, after, "{protection:?}");
    }
}
