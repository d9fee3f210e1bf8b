//! From a batch to the network: what is sealed leaves, in order, in as few calls and trains as the kernel takes.
//!
//! It knows sockets and lengths. What the datagrams are is `esp`'s matter.

use std::net::IpAddr;

use crate::esp::batch::{Batch, Sealed};
use crate::io::train::Trains;
use crate::io::udp::{Departure, UdpSockets};

const IPV4_AND_UDP: usize = 28;
const IPV6_AND_UDP: usize = 48;

/// The way out, with what it learnt of trains. Owned by the one that sends sealed datagrams.
#[derive(Debug)]
pub struct Sender {
    sockets: UdpSockets,
    ipv4: Trains,
    ipv6: Trains,
    /// Octets of the longest datagram that the path carries whole, IP header included.
    longest: Option<u16>,
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
    /// Datagrams that may be cut on their way, because the path does not carry them whole.
    pub cut: u64,
    /// The network cannot be reached.
    pub is_unreachable: bool,
}

impl Sender {
    /// With the trains that the sockets allow.
    pub fn new(sockets: UdpSockets) -> Self {
        let mut sender = Self { sockets, ipv4: Trains::NONE, ipv6: Trains::NONE, longest: None };
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

    /// What is longer than this, IP header included, is cut on its way; `None`: nothing is.
    pub fn set_longest(&mut self, octets: Option<u16>) {
        self.longest = octets;
    }

    /// Sends a batch's sealed datagrams, in order.
    pub fn send(&mut self, batch: &Batch) -> Sent {
        let mut outcome = Sent::default();
        let mut rest = batch.sealed();
        while let Some(first) = rest.clone().next() {
            let (longest, passage) = (self.longest, Passage::of(&first, self.longest));
            let run = rest.clone().take_while(move |sealed| Passage::of(sealed, longest) == passage);
            let count = run.clone().count();
            self.send_run(&first, passage, run.map(departure), count, &mut outcome);
            rest.by_ref().take(count).for_each(drop);
        }
        outcome
    }

    fn send_run<'a>(
        &mut self,
        first: &Sealed<'a>,
        passage: Passage,
        run: impl Iterator<Item = Departure<'a>> + Clone,
        count: usize,
        outcome: &mut Sent,
    ) {
        let remote = first.path.remote.ip();
        let trains = if remote.is_ipv4() { &mut self.ipv4 } else { &mut self.ipv6 };
        let before = *trains;
        let (sent, result) = self.sockets.towards(remote).map_or((0, Ok(())), |socket| match passage.is_cut {
            false => socket.send_all(run, trains),
            true => socket.send_cut(run),
        });
        match result.map_err(|error| error.raw_os_error()) {
            Err(Some(libc::EMSGSIZE)) => outcome.too_long_towards = Some(remote),
            Err(Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN | libc::EHOSTDOWN | libc::EIO)) => {
                outcome.is_unreachable = true;
            }
            Ok(()) | Err(_) => {}
        }
        if passage.is_cut {
            outcome.cut = outcome.cut.saturating_add(u64::try_from(sent).unwrap_or(u64::MAX));
        }
        if *trains != before {
            outcome.refused = Some(*trains);
        }
        outcome.unsent = outcome.unsent.saturating_add(u64::try_from(count.saturating_sub(sent)).unwrap_or(u64::MAX));
    }
}

/// What datagrams must have in common to leave in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Passage {
    is_ipv4: bool,
    is_cut: bool,
}

impl Passage {
    fn of(sealed: &Sealed<'_>, longest: Option<u16>) -> Self {
        let is_ipv4 = sealed.path.remote.is_ipv4();
        let headers = if is_ipv4 { IPV4_AND_UDP } else { IPV6_AND_UDP };
        let octets = sealed.datagram.len().saturating_add(headers);
        Self { is_ipv4, is_cut: longest.is_some_and(|longest| octets > usize::from(longest)) }
    }
}

fn departure(sealed: Sealed<'_>) -> Departure<'_> {
    Departure { head: &[], body: sealed.datagram, to: sealed.path.remote, tos: sealed.tos }
}
