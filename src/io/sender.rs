//! From a batch to the network: what is sealed leaves, in order, in as few calls and trains as the kernel takes.
//!
//! It knows sockets and lengths. What the datagrams are is `esp`'s matter.

use std::net::IpAddr;

use crate::esp::batch::{Batch, Sealed};
use crate::io::train::Trains;
use crate::io::udp::{Departure, UdpSockets};

/// The way out, with what it learnt of trains. Owned by the one that sends sealed datagrams.
#[derive(Debug)]
pub struct Sender {
    sockets: UdpSockets,
    ipv4: Trains,
    ipv6: Trains,
}

/// What became of a batch's sealed datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams that did not leave.
    pub unsent: u64,
    /// The destination of one that was too long for its path (EMSGSIZE).
    pub too_long_towards: Option<IpAddr>,
    /// The kernel refused a train, for the first time of this length: which trains are left. Nothing was lost by it.
    pub refused: Option<Trains>,
}

impl Sender {
    /// With the trains that the sockets allow.
    pub fn new(sockets: UdpSockets) -> Self {
        let mut sender = Self { sockets, ipv4: Trains::NONE, ipv6: Trains::NONE };
        sender.reconsider();
        sender
    }

    /// The sockets.
    pub const fn sockets(&self) -> &UdpSockets {
        &self.sockets
    }

    /// Forgets what was refused: the way to the gateway is another one now.
    pub fn reconsider(&mut self) {
        let trains = |socket: &Option<_>| socket.as_ref().map_or(Trains::NONE, super::udp::UdpSocket::send_trains);
        self.ipv4 = trains(&self.sockets.ipv4);
        self.ipv6 = trains(&self.sockets.ipv6);
    }

    /// Sends a batch's sealed datagrams, in order.
    pub fn send(&mut self, batch: &Batch) -> Sent {
        let mut outcome = Sent::default();
        let mut rest = batch.sealed();
        while let Some(first) = rest.clone().next() {
            let is_ipv4 = first.path.remote.is_ipv4();
            let run = rest.clone().take_while(move |sealed| sealed.path.remote.is_ipv4() == is_ipv4);
            let count = run.clone().count();
            self.send_run(&first, run.map(departure), count, &mut outcome);
            rest.by_ref().take(count).for_each(drop);
        }
        outcome
    }

    fn send_run<'a>(
        &mut self,
        first: &Sealed<'a>,
        run: impl Iterator<Item = Departure<'a>> + Clone,
        count: usize,
        outcome: &mut Sent,
    ) {
        let remote = first.path.remote.ip();
        let trains = if remote.is_ipv4() { &mut self.ipv4 } else { &mut self.ipv6 };
        let before = *trains;
        let (sent, result) = self.sockets.towards(remote).map_or((0, Ok(())), |socket| socket.send_all(run, trains));
        if result.is_err_and(|error| error.raw_os_error() == Some(libc::EMSGSIZE)) {
            outcome.too_long_towards = Some(remote);
        }
        if *trains != before {
            outcome.refused = Some(*trains);
        }
        outcome.unsent = outcome.unsent.saturating_add(u64::try_from(count.saturating_sub(sent)).unwrap_or(u64::MAX));
    }
}

fn departure(sealed: Sealed<'_>) -> Departure<'_> {
    Departure { head: &[], body: sealed.datagram, to: sealed.path.remote, tos: sealed.tos }
}
