//! The inbound thread: datagrams from the gateway become packets for the device, or IKE messages for the control thread.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::esp::batch::Batch;
use crate::esp::counters::DropReason;
use crate::esp::dataplane::InboundCommand;
use crate::esp::inbound_path::InboundPath;
use crate::io::batch::{Appetite, Gateway, receive_datagrams};
use crate::io::delivery::Delivery;
use crate::io::filter;
use crate::io::tun::Tun;
use crate::io::udp::{BATCH, PathNews, UdpSocket, UdpSockets};
use crate::io::wake::wait;
use crate::os::clock::Clock;
use crate::sa::command::DataReport;
use crate::time::Instant;

use super::guard::{Guard, Verdict};
use super::{DataNews, Desk, Hold, IkeDatagram, InboundCounters, InboundOrder, OrderError, Then, is_due};

/// What ICMP told is looked at when nothing else wakes us, and so often while packets come.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Octets of the longest datagram and the longest train.
const LARGEST: usize = 65_535;

/// What the thread starts with.
pub(super) struct Start {
    pub(super) path: InboundPath,
    pub(super) gateways: Vec<Gateway>,
    pub(super) hold: Hold,
}

pub(super) struct InboundThread {
    desk: Desk<InboundOrder>,
    tun: Arc<Tun>,
    sockets: UdpSockets,
    ike: mpsc::Sender<IkeDatagram>,
    path: InboundPath,
    clock: Clock,
    gateways: Vec<Gateway>,
    guard: Guard,
    hold: Hold,
    batch: Batch,
    delivery: Delivery,
    /// Packets may have been waiting for it.
    has_new_sa: bool,
    /// When what ICMP told was last looked at.
    listened: Option<Instant>,
    path_mtu_seen: Option<Instant>,
    unreachable_seen: Option<Instant>,
    /// What `path`, `batch`, `delivery` and the sockets count stays empty here.
    counters: InboundCounters,
}

impl InboundThread {
    pub(super) fn new(
        desk: Desk<InboundOrder>,
        tun: Arc<Tun>,
        sockets: UdpSockets,
        ike: mpsc::Sender<IkeDatagram>,
        clock: Clock,
        start: Start,
    ) -> Self {
        let Start { path, gateways, hold } = start;
        let batch = Batch::new(BATCH, LARGEST);
        let delivery = Delivery::new(tun.offload(), batch.most());
        Self {
            desk,
            tun,
            sockets,
            ike,
            path,
            clock,
            gateways,
            hold,
            guard: Guard::new(),
            batch,
            delivery,
            has_new_sa: false,
            listened: None,
            path_mtu_seen: None,
            unreachable_seen: None,
            counters: InboundCounters::default(),
        }
    }

    pub(super) fn into_work(self) -> impl FnOnce() -> io::Result<()> + Send + 'static {
        move || self.run()
    }

    fn run(mut self) -> io::Result<()> {
        let sockets: Vec<UdpSocket> = self.sockets.iter().cloned().collect();
        let sources: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
        let mut appetites = [Appetite::GREATEST; 2];
        let mut readable = [false; 2];
        loop {
            if readable == [false; 2] {
                let sources = if self.hold == Hold::Held { &[] } else { &sources[..] };
                let ready = wait(&self.desk.waker, sources, None)?;
                readable = ready.readable;
                if ready.woken {
                    self.desk.waker.clear();
                }
            }
            if self.take_orders() == Then::End {
                return Ok(());
            }
            if self.hold == Hold::Held {
                readable = [false; 2];
                continue;
            }
            self.carry_early()?;
            for ((socket, readable), appetite) in sockets.iter().zip(&mut readable).zip(&mut appetites) {
                if !*readable {
                    continue;
                }
                self.batch.clear();
                let received = receive_datagrams(socket, &self.gateways, *appetite, &mut self.batch)?;
                *readable = appetite.is_met_by(&received);
                *appetite = appetite.after(&received);
                self.counters.foreign = self.counters.foreign.saturating_add(received.foreign);
                self.counters.truncated = self.counters.truncated.saturating_add(received.truncated);
                if !self.batch.is_empty() {
                    self.carry()?;
                }
                self.listen(socket, received.datagrams == 0);
            }
        }
    }

    /// What came before the SA that an order brought, and is older than what waits at the sockets.
    fn carry_early(&mut self) -> io::Result<()> {
        while std::mem::take(&mut self.has_new_sa) {
            self.batch.clear();
            if self.path.fill_early(self.clock.now(), &mut self.batch) {
                self.has_new_sa = self.batch.is_full();
                self.carry()?;
            }
        }
        Ok(())
    }

    fn carry(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        let before = unknown(&self.path);
        self.path.process(now, &mut self.batch);
        self.delivery.deliver(&self.tun, &self.batch)?;
        for (path, message) in self.batch.ike() {
            if self.guard.judge(now, message) == Verdict::Drop {
                self.counters.unjudged = self.counters.unjudged.saturating_add(1);
                continue;
            }
            // A copy is made only when there is room for it.
            match self.ike.try_reserve() {
                Ok(room) => room.send(IkeDatagram { path, message: message.to_vec() }),
                Err(_) => self.counters.unheard = self.counters.unheard.saturating_add(1),
            }
        }
        self.desk.tell(|| self.path.poll_report());
        self.desk.hand_up(|| self.path.poll_incident().map(DataNews::Dropped));
        if self.guard.look(now, unknown(&self.path).saturating_sub(before)) {
            self.counters.floods = self.counters.floods.saturating_add(u64::from(self.guard.is_strict()));
            self.filter();
        }
        Ok(())
    }

    /// Has the kernel drop what would be dropped here. Without a filter it is dropped here.
    fn filter(&self) {
        if self.gateways.is_empty() {
            return; // Whoever handed the sockets over may have left a filter that is good.
        }
        let gateways: Vec<IpAddr> = self.gateways.iter().map(|gateway| gateway.remote).collect();
        let strictness = self.guard.strictness(self.path.spis());
        for socket in self.sockets.iter() {
            let program = filter::program(socket.bound().is_ipv4(), &gateways, &strictness);
            if let Err(error) = socket.set_filter(&program) {
                tracing::debug!(%error, "the kernel takes no filter for a socket; strangers are dropped later");
            }
        }
    }

    /// The kernel wakes us for what ICMP told of our datagrams, too, and keeps it among them: it is taken away, also under a flood of both.
    fn listen(&mut self, socket: &UdpSocket, nothing_came: bool) {
        let now = self.clock.now();
        if !nothing_came && self.listened.is_some_and(|last| now.since(last) < BETWEEN_LOOKS) {
            return;
        }
        self.listened = Some(now);
        let (mut shortest, mut is_unreachable) = (None, false);
        let gateways = &self.gateways;
        socket.take_news(|remote, news| {
            if gateways.iter().any(|gateway| gateway.remote == remote) {
                match news {
                    PathNews::TooLong(octets) => {
                        shortest = Some(shortest.map_or(octets, |other: u16| other.min(octets)))
                    }
                    PathNews::Unreachable => is_unreachable = true,
                }
            }
        });
        let mut too_long = shortest.map(|octets| DataReport::PathMtu { octets });
        if too_long.is_some() && is_due(&mut self.path_mtu_seen, now) {
            self.desk.tell(|| too_long.take());
        }
        if is_unreachable && is_due(&mut self.unreachable_seen, now) {
            let mut report = Some(DataReport::Unreachable);
            self.desk.tell(|| report.take());
        }
    }

    fn counters(&self) -> InboundCounters {
        let delivered = self.delivery.delivered();
        InboundCounters {
            path: self.path.counters().clone(),
            unreceived: self.sockets.iter().map(|socket| u64::from(socket.unreceived())).sum(),
            cut_trains: self.batch.truncated_trains(),
            undelivered: delivered.refused,
            merged: delivered.merged,
            super_packets: delivered.super_packets,
            taken_apart: delivered.taken_apart,
            ..self.counters.clone()
        }
    }

    fn take_orders(&mut self) -> Then {
        loop {
            // An answer that nobody waits for any more is no loss.
            match self.desk.orders.try_recv() {
                Ok(InboundOrder::Apply(command, ack)) => {
                    self.has_new_sa |= matches!(command, InboundCommand::Install { .. });
                    let result = self.path.apply(self.clock.now(), command).map_err(|_| OrderError::BadKey);
                    // Before the gateway is told of a new SPI, and after it has left an old one.
                    if self.guard.is_strict() {
                        self.filter();
                    }
                    let _ = ack.send(result);
                }
                Ok(InboundOrder::SetMtu(mtu, ack)) => {
                    self.path.set_mtu(mtu);
                    let _ = ack.send(Ok(()));
                }
                Ok(InboundOrder::Admit(gateways, ack)) => {
                    self.gateways = gateways;
                    self.filter();
                    let _ = ack.send(Ok(()));
                }
                Ok(InboundOrder::Expect(initiator_spi, ack)) => {
                    self.guard.know(initiator_spi);
                    if self.guard.is_strict() {
                        self.filter();
                    }
                    let _ = ack.send(());
                }
                Ok(InboundOrder::Hold(hold, ack)) => {
                    self.hold = hold;
                    // That of the process before may know other numbers.
                    if hold == Hold::Flowing {
                        self.filter();
                    }
                    let _ = ack.send(());
                }
                Ok(InboundOrder::Export(ack)) => {
                    let _ = ack.send((self.path.export(), self.gateways.clone()));
                }
                Ok(InboundOrder::Count(ack)) => {
                    let _ = ack.send(self.counters());
                }
                Err(TryRecvError::Disconnected) => return Then::End,
                Err(TryRecvError::Empty) => return Then::GoOn,
            }
        }
    }
}

/// Datagrams from a gateway's address that bore the number of no SA.
fn unknown(path: &InboundPath) -> u64 {
    let dropped = |reason| path.counters().dropped(reason);
    dropped(DropReason::UnknownSpi).saturating_add(dropped(DropReason::TooShort))
}
