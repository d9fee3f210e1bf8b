//! Sends hostile datagrams as whole Ethernet frames: whoever does that can write any sender into them.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use vpnd::sim::hostile::{Dice, Kind, Known, Sender, kinds};

/// Datagrams that are made before the first is sent, over and over sent, and made anew one after the other meanwhile.
const POOL: usize = 20_000;
/// Frames of one call.
const BATCH: usize = 64;
/// Ethernet's payload.
const MTU: usize = 1_500;
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;

/// Whom to flood, with how much, and what is known of it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) local: SocketAddr,
    pub(super) gateway: SocketAddr,
    pub(super) ike: [u64; 2],
    pub(super) inbound: u64,
    pub(super) outbound: u64,
    pub(super) count: u64,
    pub(super) seed: u64,
    /// The hardware address of `local`.
    pub(super) hardware: String,
    pub(super) recorded: Vec<Vec<u8>>,
}

impl Target {
    pub(super) fn write(&self, file: &Path) {
        let hex = |octets: &Vec<u8>| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        let Self { local, gateway, ike: [initiator, responder], inbound, outbound, count, seed, hardware, recorded } =
            self;
        let head =
            format!("{local} {gateway} {initiator} {responder} {inbound} {outbound} {count} {seed} {hardware}\n");
        fs::write(file, head + &recorded.iter().map(hex).collect::<Vec<_>>().join("\n")).expect("the orders");
    }

    fn read(file: &str) -> Self {
        fn word<'a, T: std::str::FromStr>(words: &mut impl Iterator<Item = &'a str>) -> T {
            words.next().and_then(|word| word.parse().ok()).expect("another word in the orders")
        }
        let text = fs::read_to_string(file).expect("the orders");
        let mut lines = text.lines();
        let mut words = lines.next().expect("the first line").split(' ');
        let octet = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).expect("text"), 16).expect("an octet");
        Self {
            local: word(&mut words),
            gateway: word(&mut words),
            ike: [word(&mut words), word(&mut words)],
            inbound: word(&mut words),
            outbound: word(&mut words),
            count: word(&mut words),
            seed: word(&mut words),
            hardware: word(&mut words),
            recorded: lines.map(|line| line.as_bytes().chunks(2).map(octet).collect()).collect(),
        }
    }
}

/// Sends them all. Says a dot a tenth, and at last how many were sent in how many seconds and of how many kinds.
pub(super) fn flood(orders: &str) {
    let target = Target::read(orders);
    let known = Known {
        ike: (target.ike[0], target.ike[1]),
        inbound: u32::try_from(target.inbound).expect("an SPI"),
        outbound: u32::try_from(target.outbound).expect("an SPI"),
        recorded: target.recorded.clone(),
    };
    let link = Link::open("outer", &target.hardware).expect("a packet socket");
    let kinds = kinds();
    let mut dice = Dice::new(target.seed);
    let mut pool: Vec<Vec<Vec<u8>>> =
        (0..POOL).map(|number| link.frames(&target, &kinds[number % kinds.len()], &known, &mut dice)).collect();
    let begun = Instant::now();
    let mut sent = 0_u64;
    let mut at = 0_usize;
    while sent < target.count {
        let mut waiting: Vec<&[u8]> = Vec::with_capacity(2 * BATCH);
        while waiting.len() < BATCH && sent < target.count {
            waiting.extend(pool[at].iter().map(Vec::as_slice));
            sent += 1;
            at = (at + 1) % POOL;
            if sent.is_multiple_of(target.count / 10) {
                println!("@ .");
            }
        }
        link.send(&waiting).expect("frames leave");
        // One of each batch is another the next time.
        let kind = &kinds[dice.below(kinds.len())];
        pool[at] = link.frames(&target, kind, &known, &mut dice);
        at = (at + 1) % POOL;
    }
    println!("@ sent {sent} {:.3} {}", begun.elapsed().as_secs_f64(), kinds.len());
}

/// A packet socket on a device.
struct Link {
    socket: OwnedFd,
    /// Receiver, sender and type.
    ethernet: [u8; ETHERNET],
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

impl Link {
    fn open(device: &str, towards: &str) -> io::Result<Self> {
        let own = fs::read_to_string(format!("/sys/class/net/{device}/address"))?;
        let index = fs::read_to_string(format!("/sys/class/net/{device}/ifindex"))?;
        let hardware = |text: &str| -> Vec<u8> {
            text.trim().split(':').map(|octet| u8::from_str_radix(octet, 16).expect("an octet")).collect()
        };
        let ethernet = [hardware(towards), hardware(&own), vec![8, 0]].concat();
        // Protocol 0: it receives nothing.
        // SAFETY: takes no pointers.
        let descriptor = checked(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
        // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
        // SAFETY: all zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = index.trim().parse().expect("an index");
        // SAFETY: the pointer and length are those of `address`.
        checked(unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        })?;
        let one: libc::c_int = 1;
        // SAFETY: the pointer and length are those of `one`.
        checked(unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_QDISC_BYPASS,
                (&raw const one).cast(),
                mem::size_of::<libc::c_int>() as libc::socklen_t,
            )
        })?;
        Ok(Self { socket, ethernet: ethernet.try_into().expect("14 octets") })
    }

    /// One datagram of the kind, in as many frames as it takes.
    fn frames(&self, target: &Target, kind: &Kind, known: &Known, dice: &mut Dice) -> Vec<Vec<u8>> {
        let payload = kind.make(known, dice);
        let (IpAddr::V4(to), IpAddr::V4(gateway)) = (target.local.ip(), target.gateway.ip()) else {
            panic!("an IPv4 tunnel")
        };
        let (from, port) = match kind.sender {
            Sender::Gateway => (gateway, target.gateway.port()),
            Sender::GatewayBare => (gateway, 500),
            Sender::GatewayElsewhere => (gateway, 1 + dice.below(65_535) as u16),
            Sender::Stranger => (Ipv4Addr::from_bits(0x0b00_0000 | dice.number() as u32 & 0x00ff_ffff), 4500),
        };
        let mut datagram = [port.to_be_bytes(), target.local.port().to_be_bytes()].concat();
        datagram.extend(u16::try_from(UDP + payload.len()).expect("a UDP length").to_be_bytes());
        // No checksum, as UDP over IPv4 may do.
        datagram.extend([0, 0]);
        datagram.extend(payload);
        let name = dice.number() as u16;
        let each = (MTU - IPV4) & !7;
        let last = datagram.len().saturating_sub(1) / each;
        let parts = datagram.chunks(if last == 0 { MTU } else { each }).enumerate();
        parts
            .map(|(number, part)| {
                let more = u16::from(number < last) << 13;
                let place = more | u16::try_from(number * each / 8).expect("a place");
                [&self.ethernet[..], &ipv4(from, to, name, place, part.len()), part].concat()
            })
            .collect()
    }

    fn send(&self, frames: &[&[u8]]) -> io::Result<()> {
        let mut vectors: Vec<libc::iovec> = frames
            .iter()
            .map(|frame| libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = vectors
            .iter_mut()
            .map(|vector| {
                // SAFETY: all zero is a valid mmsghdr: no name, no vectors, no control.
                let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
                header.msg_hdr.msg_iov = vector;
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        let mut rest = headers.as_mut_slice();
        while !rest.is_empty() {
            // SAFETY: each header points to one vector, and that to a frame; all live until the call returns, and the kernel only reads them.
            let sent = checked(unsafe {
                libc::sendmmsg(self.socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as libc::c_uint, 0)
            });
            match sent {
                Ok(count) => rest = &mut rest[count as usize..],
                // The device's queue is full: that frame is lost, as any may be.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => rest = &mut rest[1..],
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr, name: u16, place: u16, length: usize) -> Vec<u8> {
    let length = u16::try_from(IPV4 + length).expect("a length");
    let mut header = vec![0x45, 0];
    header.extend(length.to_be_bytes());
    header.extend(name.to_be_bytes());
    header.extend(place.to_be_bytes());
    header.extend([64, 17, 0, 0]);
    header.extend(from.octets());
    header.extend(to.octets());
    let sum = header.chunks(2).fold(0_u32, |sum, pair| sum + u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    header[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    header
}
