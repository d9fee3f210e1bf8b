//! The outbound thread: packets of the device become ESP datagrams for the gateway. The only way from the device to the network
//! is the sealed batch.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;

use crate::esp::batch::Batch;
use crate::esp::dataplane::OutboundCommand;
use crate::esp::outbound_path::{Applied, OutboundPath};
use crate::io::intake::{Intake, Left};
use crate::io::offload::header::Header;
use crate::io::sender::Sender;
use crate::io::train::Trains;
use crate::io::tun::{Tun, is_gone};
use crate::io::udp::{Departure, UdpSockets};
use crate::io::wake::wait;
use crate::os::clock::Clock;
use crate::sa::command::DataReport;
use crate::sa::path::Path;
use crate::time::Instant;

use super::{Desk, Hold, OrderError, OutboundCounters, OutboundOrder, Then, is_due};

/// RFC 3948 §2.3.
const KEEPALIVE: [u8; 1] = [0xff];

/// Packets that are worked on together, at most: two trains of the kernel's greatest length.
const BATCH_PACKETS: usize = 128;

/// Octets that they share: three super-packets cut for a common MTU. One packet of the greatest length fits too.
const BATCH_OCTETS: usize = 224 << 10;

pub(super) struct OutboundThread {
    desk: Desk<OutboundOrder>,
    tun: Arc<Tun>,
    sender: Sender,
    path: OutboundPath,
    clock: Clock,
    hold: Hold,
    intake: Intake,
    batch: Batch,
    unsent: u64,
    cut: u64,
    path_mtu_seen: Option<Instant>,
    unreachable_seen: Option<Instant>,
}

impl OutboundThread {
    pub(super) fn new(
        desk: Desk<OutboundOrder>,
        tun: Arc<Tun>,
        sockets: UdpSockets,
        path: OutboundPath,
        clock: Clock,
        hold: Hold,
    ) -> Self {
        let batch = Batch::packed(BATCH_PACKETS, BATCH_OCTETS);
        let sender = Sender::new(sockets);
        Self {
            desk,
            tun,
            sender,
            path,
            clock,
            hold,
            intake: Intake::default(),
            batch,
            unsent: 0,
            cut: 0,
            path_mtu_seen: None,
            unreachable_seen: None,
        }
    }

    pub(super) fn into_work(self) -> impl FnOnce() -> io::Result<()> + Send + 'static {
        move || self.run()
    }

    fn run(mut self) -> io::Result<()> {
        let trains = self.sender.sockets().iter().any(|socket| socket.send_trains() != Trains::NONE);
        tracing::info!(device = ?self.tun.offload(), trains, "offload in use: of the TUN device, and trains of datagrams to the gateway");
        let mut left = Left::Nothing;
        loop {
            let device = [self.tun.as_fd()];
            let sources = if self.hold == Hold::Held { &[] } else { &device[..] };
            if left == Left::Nothing && wait(&self.desk.waker, sources, None)?.woken {
                self.desk.waker.clear();
            }
            if self.take_orders() == Then::End {
                return Ok(());
            }
            if self.hold == Hold::Held {
                left = Left::Nothing;
                continue;
            }
            self.batch.clear();
            left = self.intake.fill(&self.tun, &mut self.batch)?;
            if !self.batch.is_empty() {
                self.carry()?;
            }
        }
    }

    fn carry(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        self.path.process(now, &mut self.batch);
        let sent = self.sender.send(&self.batch);
        self.unsent = self.unsent.saturating_add(sent.unsent);
        self.cut = self.cut.saturating_add(sent.cut);
        self.desk.tell(|| self.path.poll_report());
        if let Some(trains) = sent.refused {
            tracing::info!(
                longest = trains.longest(),
                "the kernel refused a train of datagrams: longer ones leave one by one"
            );
        }
        if let Some(remote) = sent.too_long_towards {
            self.tell_path_mtu(now, remote);
        }
        if sent.is_unreachable && is_due(&mut self.unreachable_seen, now) {
            let mut report = Some(DataReport::Unreachable);
            self.desk.tell(|| report.take());
        }
        self.answer()
    }

    /// Tells senders of packets that were too long for the path.
    fn answer(&mut self) -> io::Result<()> {
        while let Some(answer) = self.path.poll_answer() {
            match self.tun.write(&Header::default(), &[IoSlice::new(&answer)]) {
                Err(error) if is_gone(&error) => return Err(error),
                // It is told again when it tries again.
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// What was read leaves: of a super-packet the rest.
    fn finish(&mut self) -> io::Result<()> {
        loop {
            self.batch.clear();
            let left = self.intake.finish(&mut self.batch);
            if !self.batch.is_empty() {
                self.carry()?;
            }
            if left == Left::Nothing {
                return Ok(());
            }
        }
    }

    fn tell_path_mtu(&mut self, now: Instant, remote: std::net::IpAddr) {
        if !is_due(&mut self.path_mtu_seen, now) {
            return;
        }
        let Some(Ok(octets)) = self.sender.sockets().towards(remote).map(|socket| socket.path_mtu(remote)) else {
            return;
        };
        let mut report = Some(DataReport::PathMtu { octets });
        self.desk.tell(|| report.take());
    }

    fn take_orders(&mut self) -> Then {
        loop {
            // An answer that nobody waits for any more is no loss.
            match self.desk.orders.try_recv() {
                Ok(OutboundOrder::Apply(command, ack)) => {
                    if matches!(command, OutboundCommand::MovePeer { .. }) {
                        self.sender.reconsider();
                    }
                    let result = match self.path.apply(self.clock.now(), command) {
                        Ok(Applied::Done) => Ok(()),
                        Ok(Applied::SendKeepalive(path)) => {
                            self.send_keepalive(path);
                            Ok(())
                        }
                        Err(_) => Err(OrderError::BadKey),
                    };
                    let _ = ack.send(result);
                }
                Ok(OutboundOrder::SetMtu(mtu, ack)) => {
                    self.path.set_mtu(mtu);
                    self.sender.reconsider();
                    let _ = ack.send(Ok(()));
                }
                Ok(OutboundOrder::Hold(hold, ack)) => {
                    self.hold = hold;
                    // A device that is gone is noticed by the next reading.
                    let _ = self.finish();
                    let _ = ack.send(());
                }
                Ok(OutboundOrder::Export(ack)) => {
                    let _ = ack.send(self.path.export());
                }
                Ok(OutboundOrder::SetLongest(octets, ack)) => {
                    self.sender.set_longest(octets);
                    let _ = ack.send(Ok(()));
                }
                Ok(OutboundOrder::Count(ack)) => {
                    let path = self.path.counters().clone();
                    let _ = ack.send(OutboundCounters { path, unsent: self.unsent, cut: self.cut });
                }
                Err(TryRecvError::Disconnected) => return Then::End,
                Err(TryRecvError::Empty) => return Then::GoOn,
            }
        }
    }

    fn send_keepalive(&mut self, path: Path) {
        let departure = Departure { head: &[], body: &KEEPALIVE, to: path.remote, tos: 0 };
        let mut trains = Trains::NONE;
        let socket = self.sender.sockets().towards(path.remote.ip());
        let sent = socket.map_or(0, |socket| socket.send_all(std::iter::once(departure), &mut trains).0);
        if sent == 0 {
            self.unsent = self.unsent.saturating_add(1);
        }
    }
}
