//! The inbound thread: datagrams from the gateway become packets for the device, or IKE messages for the control thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;

use tokio::sync::mpsc;

use crate::esp::batch::Batch;
use crate::esp::inbound_path::InboundPath;
use crate::io::batch::{Gateway, receive_datagrams, write_inner};
use crate::io::tun::Tun;
use crate::io::udp::{UdpSocket, UdpSockets};
use crate::io::wake::wait;
use crate::os::clock::Clock;

use super::{BATCH_SLOTS, Desk, IkeDatagram, InboundCounters, InboundOrder, LARGEST, OrderError, Then};

pub(super) struct InboundThread {
    desk: Desk<InboundOrder>,
    tun: Arc<Tun>,
    sockets: UdpSockets,
    ike: mpsc::Sender<IkeDatagram>,
    path: InboundPath,
    clock: Clock,
    gateways: Vec<Gateway>,
    batch: Batch,
    /// `path` stays empty here.
    counters: InboundCounters,
}

impl InboundThread {
    pub(super) fn new(
        desk: Desk<InboundOrder>,
        tun: Arc<Tun>,
        sockets: UdpSockets,
        ike: mpsc::Sender<IkeDatagram>,
        clock: Clock,
    ) -> Self {
        Self {
            desk,
            tun,
            sockets,
            ike,
            path: InboundPath::new(),
            clock,
            gateways: Vec::new(),
            batch: Batch::new(BATCH_SLOTS, LARGEST),
            counters: InboundCounters::default(),
        }
    }

    pub(super) fn into_work(self) -> impl FnOnce() -> io::Result<()> + Send + 'static {
        move || self.run()
    }

    fn run(mut self) -> io::Result<()> {
        let sockets: Vec<UdpSocket> = self.sockets.iter().cloned().collect();
        let sources: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
        let mut more = false;
        loop {
            if !more && wait(&self.desk.waker, &sources, None)?.woken {
                self.desk.waker.clear();
            }
            if self.take_orders() == Then::End {
                return Ok(());
            }
            more = false;
            for socket in &sockets {
                self.batch.clear();
                let received = receive_datagrams(socket, &self.gateways, &mut self.batch)?;
                more |= received.datagrams >= BATCH_SLOTS;
                self.counters.foreign = self.counters.foreign.saturating_add(received.foreign);
                self.counters.truncated = self.counters.truncated.saturating_add(received.truncated);
                if !self.batch.is_empty() {
                    self.carry()?;
                }
            }
        }
    }

    fn carry(&mut self) -> io::Result<()> {
        self.path.process(self.clock.now(), &mut self.batch);
        let undelivered = write_inner(&self.tun, &self.batch)?;
        self.counters.undelivered = self.counters.undelivered.saturating_add(undelivered);
        for (path, message) in self.batch.ike() {
            // A copy is made only when there is room for it.
            match self.ike.try_reserve() {
                Ok(room) => room.send(IkeDatagram { path, message: message.to_vec() }),
                Err(_) => self.counters.unheard = self.counters.unheard.saturating_add(1),
            }
        }
        self.desk.tell(|| self.path.poll_report());
        Ok(())
    }

    fn take_orders(&mut self) -> Then {
        loop {
            // An answer that nobody waits for any more is no loss.
            match self.desk.orders.try_recv() {
                Ok(InboundOrder::Apply(command, ack)) => {
                    let result = self.path.apply(self.clock.now(), command).map_err(|_| OrderError::BadKey);
                    let _ = ack.send(result);
                }
                Ok(InboundOrder::SetMtu(mtu, ack)) => {
                    self.path.set_mtu(mtu);
                    let _ = ack.send(Ok(()));
                }
                Ok(InboundOrder::Admit(gateways, ack)) => {
                    self.gateways = gateways;
                    let _ = ack.send(Ok(()));
                }
                Ok(InboundOrder::Count(ack)) => {
                    let path = self.path.counters().clone();
                    let _ = ack.send(InboundCounters { path, ..self.counters.clone() });
                }
                Err(TryRecvError::Disconnected) => return Then::End,
                Err(TryRecvError::Empty) => return Then::GoOn,
            }
        }
    }
}
