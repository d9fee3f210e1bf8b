//! Moves packets between the kernel and a batch: what one reading gave, and what is ready to leave.
//!
//! It knows which datagrams are let in at all, by the sender's address. What is in them is `esp`'s matter.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::esp::batch::{self, Batch};
use crate::io::udp::{Arrival, BATCH, UdpSocket};
use crate::sa::path::{Framing, Path};

/// A gateway that datagrams are accepted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Gateway {
    /// Its outer address, as we see it. Its port may change: a NAT may stand before it.
    pub remote: IpAddr,
    /// Our address and port towards it.
    pub local: SocketAddr,
    /// Its port from which IKE messages come without the non-ESP marker: 500 as a rule.
    pub bare_port: Option<u16>,
}

impl Gateway {
    fn path_from(&self, from: SocketAddr) -> Option<Path> {
        let framing = if self.bare_port == Some(from.port()) { Framing::Bare } else { Framing::Marked };
        (self.remote == from.ip()).then_some(Path { local: self.local, remote: from, framing })
    }
}

/// What a receiving call brought. A train counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Datagrams and trains that were taken from the socket, wanted or not.
    pub datagrams: usize,
    /// Octets in all of them.
    pub octets: usize,
    /// Those that came from elsewhere than a gateway.
    pub foreign: u64,
    /// Those that were longer than any may be here.
    pub truncated: u64,
}

/// How many datagrams a call may bring: few where they are trains, so that what is worked on stays in the processor's cache;
/// many where they are single, so that there is something to work on together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appetite(usize);

impl Appetite {
    /// What a call should bring at most, in octets: half of a common second-level cache.
    const OCTETS: usize = 512 << 10;
    /// Trains that a call may always bring.
    const LEAST: usize = 4;

    /// As many as there can be.
    pub const GREATEST: Self = Self(BATCH);

    /// Whether a call brought all that it was allowed to.
    pub const fn is_met_by(self, received: &Received) -> bool {
        received.datagrams >= self.0
    }

    /// What the next call may bring, by what the last one did.
    #[must_use]
    pub fn after(self, received: &Received) -> Self {
        let average = received.octets.checked_div(received.datagrams);
        average
            .map_or(self, |average| Self(Self::OCTETS.checked_div(average).unwrap_or(BATCH).clamp(Self::LEAST, BATCH)))
    }
}

/// Fills a batch with the datagrams that wait at the socket and come from one of `gateways`, without waiting for more.
///
/// # Errors
/// The socket is of no use any more.
pub fn receive_datagrams(
    socket: &UdpSocket,
    gateways: &[Gateway],
    appetite: Appetite,
    batch: &mut Batch,
) -> io::Result<Received> {
    let mut vacant = batch.all_vacant().take(appetite.0);
    let mut count = 0_usize;
    let mut arrivals: [Arrival<'_>; BATCH] = std::array::from_fn(|_| {
        Arrival::new(vacant.next().map_or(&mut [][..], |memory| {
            count = count.saturating_add(1);
            memory
        }))
    });
    let datagrams = socket.receive(arrivals.get_mut(..count).unwrap_or_default())?;
    let facts = arrivals.map(|arrival| (arrival.from, arrival.len, arrival.segment, arrival.tos, arrival.truncated));
    drop(vacant);

    let mut received = Received { datagrams, ..Received::default() };
    for (from, len, segment, tos, truncated) in facts.into_iter().take(datagrams) {
        received.octets = received.octets.saturating_add(len);
        let path = from.and_then(|from| gateways.iter().find_map(|gateway| gateway.path_from(from)));
        match path {
            None => {
                received.foreign = received.foreign.saturating_add(1);
                batch.skip();
            }
            // Of a train that was cut the last datagram is not whole; the others are not worth a rule of their own.
            Some(_) if truncated => {
                received.truncated = received.truncated.saturating_add(1);
                batch.skip();
            }
            Some(path) => batch.fill_train(len, segment, batch::Arrival { path, tos }),
        }
    }
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esp::inbound_path::InboundPath;
    use crate::io::udp::UdpOptions;
    use crate::io::wake::{Waker, wait};
    use crate::time::Instant;
    use std::os::fd::AsFd;

    fn bound_to(address: &str) -> UdpSocket {
        let bind: SocketAddr = format!("{address}:0").parse().unwrap();
        UdpSocket::bind(&UdpOptions { bind, ..UdpOptions::towards(bind.ip()) }).unwrap()
    }

    #[test]
    fn datagrams_of_strangers_leave_those_between_them_in_place() {
        let (us, gateway, stranger) = (bound_to("127.0.0.1"), bound_to("127.0.0.2"), bound_to("127.0.0.3"));
        let send = |from: &UdpSocket, framing, message: &[u8]| {
            from.send_ike(&Path { local: from.bound(), remote: us.bound(), framing }, message).unwrap();
        };
        send(&stranger, Framing::Marked, b"junk");
        send(&gateway, Framing::Marked, b"one");
        send(&stranger, Framing::Bare, b"more junk");
        send(&gateway, Framing::Marked, &[9; 200]);
        send(&gateway, Framing::Marked, b"two");
        let waker = Waker::new().unwrap();
        assert!(wait(&waker, &[us.as_fd()], None).unwrap().readable[0]);

        let admitted = [Gateway { remote: gateway.bound().ip(), local: us.bound(), bare_port: Some(500) }];
        let mut batch = Batch::new(8, 100);
        let received = receive_datagrams(&us, &admitted, Appetite::GREATEST, &mut batch).unwrap();
        assert_eq!(received, Received { datagrams: 5, octets: 8 + 7 + 9 + 100 + 7, foreign: 2, truncated: 1 });
        InboundPath::new().process(Instant::START, &mut batch);
        let path = Path { local: us.bound(), remote: gateway.bound(), framing: Framing::Marked };
        assert_eq!(batch.ike().collect::<Vec<_>>(), [(path, &b"one"[..]), (path, b"two")]);
    }

    #[test]
    fn no_more_datagrams_are_taken_than_the_batch_has_room_for() {
        let (us, gateway) = (bound_to("127.0.0.1"), bound_to("127.0.0.2"));
        for number in 0..5_u8 {
            let path = Path { local: gateway.bound(), remote: us.bound(), framing: Framing::Marked };
            gateway.send_ike(&path, &[number]).unwrap();
        }
        let waker = Waker::new().unwrap();
        assert!(wait(&waker, &[us.as_fd()], None).unwrap().readable[0]);
        let admitted = [Gateway { remote: gateway.bound().ip(), local: us.bound(), bare_port: Some(500) }];
        let mut batch = Batch::new(3, 100);
        assert_eq!(receive_datagrams(&us, &admitted, Appetite::GREATEST, &mut batch).unwrap().datagrams, 3);
        batch.clear();
        assert_eq!(receive_datagrams(&us, &admitted, Appetite::GREATEST, &mut batch).unwrap().datagrams, 2);
    }

    #[test]
    fn trains_are_taken_a_few_at_a_time_and_single_datagrams_many() {
        let after =
            |datagrams, octets| Appetite::GREATEST.after(&Received { datagrams, octets, ..Received::default() });
        assert_eq!(after(0, 0), Appetite::GREATEST);
        assert_eq!(after(1, 0), Appetite::GREATEST);
        assert_eq!(after(10, 14_000), Appetite::GREATEST);
        assert_eq!(after(2, 128 << 10), Appetite(8));
        assert_eq!(after(1, usize::MAX), Appetite(Appetite::LEAST));
        assert_eq!(after(1, 64 << 10).after(&Received::default()), Appetite(8), "what brought nothing teaches nothing");
        assert_eq!(
            after(1, 64 << 10).after(&Received { datagrams: 1, octets: 1, ..Received::default() }),
            Appetite::GREATEST
        );
    }

    #[test]
    fn the_port_without_markers_is_told_by_number_and_the_gateway_by_address() {
        let local: SocketAddr = "192.0.2.1:40000".parse().unwrap();
        let gateway = Gateway { remote: "198.51.100.1".parse().unwrap(), local, bare_port: Some(500) };
        let framing = |from: &str| gateway.path_from(from.parse().unwrap()).map(|path| path.framing);
        assert_eq!(framing("198.51.100.1:500"), Some(Framing::Bare));
        assert_eq!(framing("198.51.100.1:4500"), Some(Framing::Marked));
        assert_eq!(framing("198.51.100.1:31337"), Some(Framing::Marked));
        assert_eq!(framing("198.51.100.2:500"), None);
    }
}
