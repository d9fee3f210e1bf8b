//! Trains of datagrams as the kernel hands them over, and inner packets merged for the device: what comes out is what was sent, step by step.

use std::net::{SocketAddr, UdpSocket as PlainSocket};
use std::os::fd::AsRawFd;

use vpnd::crypto::random::SeededRandom;
use vpnd::esp::batch::Batch;
use vpnd::esp::counters::DropReason;
use vpnd::esp::dataplane::OutboundCommand;
use vpnd::esp::outbound_path::OutboundPath;
use vpnd::io::tun::Offload;
use vpnd::io::udp::UdpOptions;
use vpnd::sa::command::{ChildId, DataCommand};
use vpnd::sa::spi::{InboundSpi, OutboundSpi};
use vpnd::sa::suite::EspSuite;
use vpnd::time::Instant;

use crate::namespace::run;
use crate::pair::{CBC, CHILD, GCM, Pair, inbound_sa, outbound_sa, wait_for};
use crate::traffic::{PATIENCE, echo, exchange_datagrams};

/// The SPI of a second child's SA.
const OTHER_SPI: u32 = 0x2001;
const OTHER_CHILD: ChildId = ChildId(2);

#[test]
fn megabytes_come_over_as_they_were_whatever_the_kernel_merges() {
    let single: fn(UdpOptions) -> UdpOptions = |options| UdpOptions { receive_trains: false, ..options };
    let trains: fn(UdpOptions) -> UdpOptions = |options| UdpOptions { receive_trains: true, ..options };
    for (outer, offload, options) in [
        ("ipv4", Offload::Udp, trains),
        ("ipv6", Offload::Udp, single),
        ("ipv4", Offload::Header, trains),
        ("ipv6", Offload::None, trains),
    ] {
        let pair = Pair::with(outer, offload, options);
        pair.install(CBC);
        for inner in ["10.9.2.1", "2001:db8:20::1"] {
            echo(&pair, inner, 3_000_000);
            exchange_datagrams(&pair, inner, &[0, 1, 36, 1000, 1300]);
        }
        for end in &pair.ends {
            let (_, inbound) = wait_for(end.plane.counters()).unwrap();
            assert_eq!((inbound.undelivered, inbound.taken_apart, inbound.truncated, inbound.cut_trains), (0, 0, 0, 0));
            assert_eq!(inbound.merged > 0, offload != Offload::None, "{offload:?}: {inbound:?}");
            assert!(inbound.merged >= 2 * inbound.super_packets);
        }
    }
}

#[test]
fn a_link_that_cuts_trains_changes_nothing() {
    let pair = Pair::new("ipv4");
    for end in &pair.ends {
        end.namespace.run(|| run("ethtool", "-K outer tx-udp-segmentation off"));
    }
    pair.install(GCM);
    for inner in ["10.9.2.1", "2001:db8:20::1"] {
        echo(&pair, inner, 3_000_000);
    }
}

/// Someone at the first end's address who seals packets by hand and sends them as trains, to the second end's data plane and a socket behind it.
struct Sender {
    pair: Pair,
    socket: PlainSocket,
    inner: PlainSocket,
    first: OutboundPath,
    second: OutboundPath,
    sent: u16,
}

impl Sender {
    fn new(suite: EspSuite) -> Self {
        let pair = Pair::new("ipv4");
        let path = pair.path(0);
        let path_of = |child, spi: u32| {
            let mut outbound = OutboundPath::new(&mut SeededRandom::new(spi.into()));
            let mut sa = outbound_sa(0, suite, path);
            sa.spi = OutboundSpi::new(spi).unwrap();
            outbound.apply(Instant::START, OutboundCommand::Switch { child, sa: Box::new(sa) }).unwrap();
            outbound
        };
        let mut other = inbound_sa(1, suite);
        let spi = other.spi.value();
        other.spi = InboundSpi::new(OTHER_SPI).unwrap();
        pair.install_inbound(1, suite);
        let command = DataCommand::InstallInbound { child: OTHER_CHILD, sa: Box::new(other) };
        wait_for(pair.ends[1].plane.apply(command)).unwrap();
        let socket = pair.ends[0].namespace.run(|| PlainSocket::bind("192.0.2.1:0").unwrap());
        let inner = pair.ends[1].namespace.run(|| PlainSocket::bind("10.9.2.1:0").unwrap());
        inner.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { first: path_of(CHILD, spi), second: path_of(OTHER_CHILD, OTHER_SPI), pair, socket, inner, sent: 0 }
    }

    /// The next packet of a flow to the socket behind the tunnel, sealed; its payload says its number.
    fn seal(&mut self, child: ChildId, len: usize) -> Vec<u8> {
        let packet = datagram(self.inner.local_addr().unwrap().port(), self.sent, len);
        self.sent += 1;
        let mut batch = Batch::new(1, 2048);
        assert!(batch.push_inner(&packet));
        if child == CHILD { &mut self.first } else { &mut self.second }.process(Instant::START, &mut batch);
        batch.sealed().next().expect("sealed").datagram.to_vec()
    }

    fn seal_train(&mut self, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| self.seal(CHILD, 64)).collect()
    }

    /// One send of datagrams that are as long as the first, but for the last.
    fn send(&self, train: &[Vec<u8>]) {
        let size = libc::c_int::try_from(train[0].len()).unwrap();
        // SAFETY: the pointer and length are those of `size`.
        let result = unsafe {
            let len = libc::socklen_t::try_from(size_of_val(&size)).unwrap();
            libc::setsockopt(self.socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, (&raw const size).cast(), len)
        };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        self.socket.send_to(&train.concat(), self.pair.ends[1].outer).unwrap();
    }

    fn expect(&self, numbers: std::ops::Range<u16>, len: usize) {
        let mut buffer = [0_u8; 2048];
        for number in numbers {
            let (count, from) = self.inner.recv_from(&mut buffer).unwrap();
            assert_eq!((count, from), (len, SocketAddr::from(([10, 9, 1, 1], 4000))), "{number}");
            assert_eq!(buffer[..2], number.to_be_bytes(), "out of order");
        }
    }

    fn dropped(&self, reason: DropReason, wanted: u64) {
        wait_for(async {
            while self.pair.ends[1].plane.counters().await.unwrap().1.path.dropped(reason) < wanted {
                tokio::task::yield_now().await;
            }
        });
    }
}

/// A UDP packet from the first end's network with a right checksum.
fn datagram(port: u16, number: u16, len: usize) -> Vec<u8> {
    let sum = |octets: &[u8]| {
        let mut sum: u32 =
            octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap()
    };
    let transport = u16::try_from(len + 8).unwrap().to_be_bytes();
    let total = u16::try_from(len + 28).unwrap().to_be_bytes();
    let [id, port] = [number, port].map(u16::to_be_bytes);
    let addresses = [10, 9, 1, 1, 10, 9, 2, 1];
    let mut header = [&[0x45, 0], &total[..], &id, &[0x40, 0, 64, 17, 0, 0], &addresses].concat();
    let checksum = !sum(&header);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut body = [&4000_u16.to_be_bytes()[..], &port, &transport, &[0, 0], &id].concat();
    body.resize(len + 8, 0xa5);
    let checksum = !sum(&[&addresses[..], &[0, 17], &transport, &body].concat());
    body[6..8].copy_from_slice(&checksum.to_be_bytes());
    [header, body].concat()
}

#[test]
fn e_16_a_train_may_hold_packets_of_several_sas_ike_and_a_keepalive() {
    let mut sender = Sender::new(EspSuite { protection: GCM, esn: false });
    let mut train: Vec<_> = [CHILD, OTHER_CHILD, CHILD, CHILD, OTHER_CHILD].map(|child| sender.seal(child, 64)).into();
    let mut ike = vec![0, 0, 0, 0];
    ike.extend(b"a message of IKE");
    ike.resize(train[0].len(), 0x77);
    train.insert(2, ike.clone());
    let mut unknown = train[0].clone();
    unknown[0] ^= 0x80;
    train.insert(4, unknown);
    train.push(vec![0xff]);
    sender.send(&train);
    sender.expect(0..5, 64);
    let message = wait_for(sender.pair.ends[1].events.ike.recv()).unwrap();
    assert_eq!((message.message, message.path.remote), (ike[4..].to_vec(), sender.socket.local_addr().unwrap()));
    let (_, inbound) = wait_for(sender.pair.ends[1].plane.counters()).unwrap();
    let path = &inbound.path;
    assert_eq!((path.packets, path.ike, path.keepalives, path.dropped(DropReason::UnknownSpi)), (5, 1, 1, 1));
    assert_eq!((path.dropped_total(), inbound.merged, inbound.super_packets), (1, 5, 1));
}

#[test]
fn e_02_e_05_no_packet_of_a_train_comes_twice_whether_in_the_same_train_or_a_later_one() {
    for esn in [false, true] {
        for cut_on_the_wire in [false, true] {
            let mut sender = Sender::new(EspSuite { protection: CBC, esn });
            if cut_on_the_wire {
                sender.pair.ends[0].namespace.run(|| run("ethtool", "-K outer tx-udp-segmentation off"));
            }
            let mut trains: Vec<_> = (0..20).map(|_| sender.seal_train(60)).collect();
            // The first packets stand in their train twice.
            let again = [&trains[0][..30], &trains[0][..30]].concat();
            let rest = trains[0].split_off(30);
            trains[0] = again;
            trains.insert(1, rest);
            let mut from = 0;
            for (train, fresh) in trains.iter().zip([30, 30].into_iter().chain(std::iter::repeat(60))) {
                sender.send(train);
                sender.expect(from..from + fresh, 64);
                from += fresh;
            }
            sender.dropped(DropReason::Replayed, 30);
            sender.send(trains.last().unwrap());
            sender.dropped(DropReason::Replayed, 30 + 60);
            // What lies before the window is, with ESN, taken for what comes 2^32 later (RFC 4303 appendix A2.1).
            sender.send(&trains[0]);
            let (reason, wanted) =
                if esn { (DropReason::NotAuthentic, 60) } else { (DropReason::Replayed, 30 + 60 + 60) };
            sender.dropped(reason, wanted);
            let (_, inbound) = wait_for(sender.pair.ends[1].plane.counters()).unwrap();
            assert_eq!((inbound.path.packets, inbound.path.dropped_total()), (1200, 150), "ESN {esn}");
        }
    }
}

#[test]
fn a_forged_packet_in_a_train_takes_nothing_else_with_it() {
    let mut sender = Sender::new(EspSuite { protection: CBC, esn: false });
    let mut train = sender.seal_train(40);
    *train[7].last_mut().unwrap() ^= 1;
    train[20][12] ^= 1;
    sender.send(&train);
    sender.expect(0..7, 64);
    sender.expect(8..20, 64);
    sender.expect(21..40, 64);
    sender.dropped(DropReason::NotAuthentic, 2);
}
