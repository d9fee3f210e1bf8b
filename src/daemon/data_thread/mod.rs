//! The data plane's two threads, and the control thread's handle on them.
//!
//! The outbound thread owns the device's reading side and every outbound SA, the inbound thread the sockets' reading side, the device's writing
//! side and every inbound SA. They share nothing but descriptors. Orders come down bounded channels and are acknowledged; IKE messages and
//! news go up bounded channels. A thread without work sleeps in poll(2).

mod guard;
mod inbound;
mod outbound;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as OrderReceiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::crypto::random::Random;
use crate::esp::dataplane::{Counters, InboundCommand, OutboundCommand, Told, split};
use crate::esp::handover::{InboundState, OutboundState, Unrestorable};
use crate::esp::inbound_path::InboundPath;
use crate::esp::outbound_path::OutboundPath;
use crate::io::batch::Gateway;
use crate::io::tun::Tun;
use crate::io::udp::UdpSockets;
use crate::io::wake::Waker;
use crate::os::clock::Clock;
use crate::sa::command::{DataCommand, DataReport};
use crate::sa::path::Path;
use crate::time::Instant;

/// IKE messages that wait for the control thread, at most 16 KiB each; more are dropped and counted, and IKE repeats them.
pub const MAX_WAITING_MESSAGES: usize = 256;

/// News that wait for the control thread; further ones wait in the threads.
pub const MAX_WAITING_NEWS: usize = 256;

/// Orders that wait for a thread. Each is acknowledged before the next is given, so more than a few mean that the thread does not run.
const MAX_WAITING_ORDERS: usize = 16;

/// An IKE message from the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IkeDatagram {
    /// The way it came.
    pub path: Path,
    /// The message from the IKE header on, without marker.
    pub message: Vec<u8>,
}

/// News of the data plane.
#[derive(Debug)]
pub enum DataNews {
    /// Of the SAs.
    Report(DataReport),
    /// A packet that was dropped, to be told.
    Dropped(Told),
    /// A thread ended by itself. The device or a socket is of no use any more: the data plane is to be stopped and made anew.
    Failed(DataPlaneFailure),
}

/// Why a thread ended by itself.
#[derive(Debug)]
pub struct DataPlaneFailure {
    /// Which.
    pub direction: Direction,
    /// What the kernel said; `None` when the thread panicked.
    pub error: Option<io::Error>,
}

/// A direction of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the device to the gateway.
    Outbound,
    /// From the gateway to the device.
    Inbound,
}

impl fmt::Display for DataPlaneFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.direction {
            Direction::Outbound => "packets can no longer be read from the TUN device",
            Direction::Inbound => "packets can no longer be received from the gateway or written to the TUN device",
        };
        match &self.error {
            Some(error) => write!(f, "{what} ({error}); was the device removed?"),
            None => write!(f, "{what}: the thread panicked"),
        }
    }
}

/// Why an order was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderError {
    /// The thread has ended, or does not take orders.
    Stopped,
    /// A key does not fit its suite; nothing was changed.
    BadKey,
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "the data plane has stopped",
            Self::BadKey => "a key does not fit its suite",
        })
    }
}

impl std::error::Error for OrderError {}

/// What the outbound thread counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundCounters {
    /// Of the SAs.
    pub path: Counters,
    /// Sealed datagrams that the network did not take.
    pub unsent: u64,
    /// Sealed datagrams that were longer than the path carries, and left to be cut.
    pub cut: u64,
}

/// What the inbound thread counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboundCounters {
    /// Of the SAs.
    pub path: Counters,
    /// Datagrams from elsewhere than a gateway that were read: the kernel drops them before where it takes a filter.
    pub foreign: u64,
    /// Datagrams that were longer than any may be.
    pub truncated: u64,
    /// Datagrams that the kernel dropped before they were read: their sender is no gateway, or the sockets had no room for them.
    pub unreceived: u64,
    /// IKE messages that were too many in a second.
    pub unjudged: u64,
    /// How often a flood from a gateway's address made the sockets' filters strict.
    pub floods: u64,
    /// IKE messages that the control thread had no room for.
    pub unheard: u64,
    /// Trains with more datagrams than there can be: those beyond were dropped.
    pub cut_trains: u64,
    /// Inner packets that the device refused.
    pub undelivered: u64,
    /// Inner packets that were written as part of a super-packet.
    pub merged: u64,
    /// Super-packets that were written.
    pub super_packets: u64,
    /// Super-packets that the device refused; their packets were written one by one.
    pub taken_apart: u64,
}

type Ack<T> = oneshot::Sender<T>;

#[derive(Debug)]
enum OutboundOrder {
    Apply(OutboundCommand, Ack<Result<(), OrderError>>),
    SetMtu(Option<u16>, Ack<Result<(), OrderError>>),
    Hold(Hold, Ack<()>),
    Export(Ack<Option<OutboundState>>),
    SetLongest(Option<u16>, Ack<Result<(), OrderError>>),
    Count(Ack<OutboundCounters>),
}

#[derive(Debug)]
enum InboundOrder {
    Apply(InboundCommand, Ack<Result<(), OrderError>>),
    SetMtu(Option<u16>, Ack<Result<(), OrderError>>),
    Admit(Vec<Gateway>, Ack<Result<(), OrderError>>),
    Expect(u64, Ack<()>),
    Hold(Hold, Ack<()>),
    Export(Ack<(InboundState, Vec<Gateway>)>),
    Count(Ack<InboundCounters>),
}

/// Whether packets are read. Those that are not wait in the device's queue and in the sockets' buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// They are left where they are; orders are still taken.
    Held,
    /// As usual.
    Flowing,
}

/// What the threads start with.
#[derive(Debug)]
pub struct Halves {
    outbound: OutboundPath,
    inbound: InboundPath,
    gateways: Vec<Gateway>,
    hold: Hold,
}

/// The data plane on its way to another process. Written down it is as secret as the keys in it.
#[derive(Debug, Serialize, Deserialize)]
pub struct DataPlaneState {
    outbound: OutboundState,
    inbound: InboundState,
    gateways: Vec<Gateway>,
}

impl Halves {
    /// No SA is installed and no gateway admitted: nothing passes yet.
    pub fn empty(random: &mut dyn Random) -> Self {
        let (outbound, inbound) = (OutboundPath::new(random), InboundPath::new());
        Self { outbound, inbound, gateways: Vec::new(), hold: Hold::Flowing }
    }

    /// What another process had, and held until this one is the owner.
    ///
    /// # Errors
    /// [`Unrestorable`].
    pub fn restore(state: DataPlaneState, random: &mut dyn Random) -> Result<Self, Unrestorable> {
        let DataPlaneState { outbound, inbound, gateways } = state;
        let (outbound, inbound) = (OutboundPath::restore(outbound, random)?, InboundPath::restore(inbound)?);
        Ok(Self { outbound, inbound, gateways, hold: Hold::Held })
    }

    /// From where datagrams are let in.
    pub fn gateways(&self) -> &[Gateway] {
        &self.gateways
    }
}

/// One thread as the control thread sees it. Without it the thread ends: the channel is closed first, then the thread is woken to see it.
#[derive(Debug)]
struct Worker<O> {
    orders: SyncSender<O>,
    call: LastCall,
    thread: JoinHandle<()>,
}

/// Wakes the thread, at the latest when this goes.
#[derive(Debug)]
struct LastCall(Waker);

impl Drop for LastCall {
    fn drop(&mut self) {
        self.0.wake();
    }
}

impl<O> Worker<O> {
    async fn ask<T>(&self, order: impl FnOnce(Ack<T>) -> O) -> Result<T, OrderError> {
        let (ack, answer) = oneshot::channel();
        self.orders.try_send(order(ack)).map_err(|_| OrderError::Stopped)?;
        self.call.0.wake();
        answer.await.map_err(|_| OrderError::Stopped)
    }

    fn end(self) -> JoinHandle<()> {
        let Self { orders, call, thread } = self;
        drop(orders);
        drop(call);
        thread
    }
}

/// The control thread's handle. Dropped, it stops both threads without waiting for them.
#[derive(Debug)]
pub struct DataPlane {
    outbound: Worker<OutboundOrder>,
    inbound: Worker<InboundOrder>,
    sockets: UdpSockets,
    /// The IKE SA that was sent under last.
    expected: Option<u64>,
    tun: Arc<Tun>,
}

/// What comes up from the threads.
#[derive(Debug)]
pub struct DataPlaneEvents {
    /// IKE messages.
    pub ike: mpsc::Receiver<IkeDatagram>,
    /// News.
    pub news: mpsc::Receiver<DataNews>,
}

impl DataPlane {
    /// Starts both threads.
    ///
    /// # Errors
    /// The host has no thread or descriptor left.
    pub fn start(tun: Tun, sockets: UdpSockets, clock: Clock, halves: Halves) -> io::Result<(Self, DataPlaneEvents)> {
        let Halves { outbound, inbound, gateways, hold } = halves;
        let tun = Arc::new(tun);
        let (ike_sender, ike) = mpsc::channel(MAX_WAITING_MESSAGES);
        let (news_sender, news) = mpsc::channel(MAX_WAITING_NEWS);

        let outbound = start_worker("vpnd-outbound", Direction::Outbound, &news_sender, |desk| {
            outbound::OutboundThread::new(desk, Arc::clone(&tun), sockets.clone(), outbound, clock, hold).into_work()
        })?;
        let inbound = start_worker("vpnd-inbound", Direction::Inbound, &news_sender, |desk| {
            let start = inbound::Start { path: inbound, gateways, hold };
            inbound::InboundThread::new(desk, Arc::clone(&tun), sockets.clone(), ike_sender, clock, start).into_work()
        })?;
        Ok((Self { outbound, inbound, sockets, tun, expected: None }, DataPlaneEvents { ike, news }))
    }

    /// Carries out a command; it is in force in both threads when this returns.
    ///
    /// # Errors
    /// [`OrderError`].
    pub async fn apply(&self, command: DataCommand) -> Result<(), OrderError> {
        let (outbound, inbound) = split(command);
        // The inbound half first: what is about to be provoked can then be received.
        if let Some(command) = inbound {
            self.inbound.ask(|ack| InboundOrder::Apply(command, ack)).await??;
        }
        if let Some(command) = outbound {
            self.outbound.ask(|ack| OutboundOrder::Apply(command, ack)).await??;
        }
        Ok(())
    }

    /// Accepts datagrams from these gateways only.
    ///
    /// # Errors
    /// [`OrderError::Stopped`].
    pub async fn admit(&self, gateways: Vec<Gateway>) -> Result<(), OrderError> {
        self.inbound.ask(|ack| InboundOrder::Admit(gateways, ack)).await?
    }

    /// Holds TCP handshakes in both directions to this MTU, and tells senders of longer packets; `None` leaves both alone.
    ///
    /// # Errors
    /// [`OrderError::Stopped`].
    pub async fn set_mtu(&self, mtu: Option<u16>) -> Result<(), OrderError> {
        self.inbound.ask(|ack| InboundOrder::SetMtu(mtu, ack)).await??;
        self.outbound.ask(|ack| OutboundOrder::SetMtu(mtu, ack)).await?
    }

    /// Leaves packets where they are, or lets them flow again. Held, what was read before has left or been delivered when this returns.
    ///
    /// # Errors
    /// [`OrderError::Stopped`].
    pub async fn hold(&self, hold: Hold) -> Result<(), OrderError> {
        self.outbound.ask(|ack| OutboundOrder::Hold(hold, ack)).await?;
        self.inbound.ask(|ack| InboundOrder::Hold(hold, ack)).await
    }

    /// What another process needs to go on with; `None` while an SA has to be replaced first. To be asked while packets are held.
    ///
    /// # Errors
    /// [`OrderError::Stopped`].
    pub async fn export(&self) -> Result<Option<DataPlaneState>, OrderError> {
        let outbound = self.outbound.ask(OutboundOrder::Export).await?;
        let (inbound, gateways) = self.inbound.ask(InboundOrder::Export).await?;
        Ok(outbound.map(|outbound| DataPlaneState { outbound, inbound, gateways }))
    }

    /// The device.
    pub fn device(&self) -> &Tun {
        &self.tun
    }

    /// Cuts datagrams that are longer than this, IP header included; `None`: the path carries all.
    ///
    /// # Errors
    /// [`OrderError::Stopped`].
    pub async fn set_longest(&self, octets: Option<u16>) -> Result<(), OrderError> {
        self.outbound.ask(|ack| OutboundOrder::SetLongest(octets, ack)).await?
    }

    /// What both threads counted so far.
    ///
    /// # Errors
    /// [`OrderError::Stopped`].
    pub async fn counters(&self) -> Result<(OutboundCounters, InboundCounters), OrderError> {
        Ok((self.outbound.ask(OutboundOrder::Count).await?, self.inbound.ask(InboundOrder::Count).await?))
    }

    /// Sends one IKE message. Messages of the same IKE SA are heard before others from now on.
    ///
    /// # Errors
    /// As [`UdpSockets::send_ike`].
    pub async fn send_ike(&mut self, path: &Path, message: &[u8]) -> io::Result<()> {
        self.expect(message).await;
        self.sockets.send_ike(path, message)
    }

    /// The same, but it is lost rather than cut.
    ///
    /// # Errors
    /// As [`UdpSockets::send_ike`].
    pub async fn send_ike_whole(&mut self, path: &Path, message: &[u8]) -> io::Result<()> {
        self.expect(message).await;
        self.sockets.send_ike_whole(path, message)
    }

    async fn expect(&mut self, message: &[u8]) {
        if let Some(spi) = guard::initiator_spi(message)
            && self.expected.replace(spi) != Some(spi)
        {
            // A thread that has ended is told of elsewhere.
            let _ = self.inbound.ask(|ack| InboundOrder::Expect(spi, ack)).await;
        }
    }

    /// The sockets.
    pub const fn sockets(&self) -> &UdpSockets {
        &self.sockets
    }

    /// Stops both threads and waits for their end; at most a few milliseconds. The device and the sockets go with the last that holds them.
    pub fn stop(self) {
        let Self { outbound, inbound, .. } = self;
        for thread in [outbound.end(), inbound.end()] {
            // A panic was told as news.
            let _ = thread.join();
        }
    }
}

/// What the network says is passed on at most once in this time.
const BETWEEN_NEWS: Duration = Duration::from_secs(1);

/// Whether something that was last done at `last` may be done again; then it was done now.
fn is_due(last: &mut Option<Instant>, now: Instant) -> bool {
    let is_due = last.is_none_or(|last| now.since(last) >= BETWEEN_NEWS);
    if is_due {
        *last = Some(now);
    }
    is_due
}

/// What a thread has of the control thread.
#[derive(Debug)]
struct Desk<O> {
    orders: OrderReceiver<O>,
    waker: Waker,
    news: mpsc::Sender<DataNews>,
}

impl<O> Desk<O> {
    /// Hands reports up while there is room; the others stay where they are.
    fn tell(&self, mut next: impl FnMut() -> Option<DataReport>) {
        self.hand_up(|| next().map(DataNews::Report));
    }

    fn hand_up(&self, mut next: impl FnMut() -> Option<DataNews>) {
        while let Ok(room) = self.news.try_reserve() {
            let Some(news) = next() else { return };
            room.send(news);
        }
    }
}

fn start_worker<O: Send + 'static, W: FnOnce() -> io::Result<()> + Send + 'static>(
    name: &str,
    direction: Direction,
    news: &mpsc::Sender<DataNews>,
    work: impl FnOnce(Desk<O>) -> W,
) -> io::Result<Worker<O>> {
    let (orders, receiver) = sync_channel(MAX_WAITING_ORDERS);
    let waker = Waker::new()?;
    let work = work(Desk { orders: receiver, waker: waker.clone(), news: news.clone() });
    // The place in the channel is kept from the start: the news of a thread's end is never lost.
    let place = news.clone().try_reserve_owned().map_err(|_| io::Error::other("no room for news"))?;
    let mut alarm = Alarm { place: Some(place), direction };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || match work() {
        Ok(()) => alarm.disarm(),
        Err(error) => alarm.raise(Some(error)),
    })?;
    Ok(Worker { orders, call: LastCall(waker), thread })
}

/// Tells of a thread's end unless the thread was told to end; a panic too.
#[derive(Debug)]
struct Alarm {
    place: Option<mpsc::OwnedPermit<DataNews>>,
    direction: Direction,
}

impl Alarm {
    fn disarm(&mut self) {
        self.place = None;
    }

    fn raise(&mut self, error: Option<io::Error>) {
        if let Some(place) = self.place.take() {
            place.send(DataNews::Failed(DataPlaneFailure { direction: self.direction, error }));
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.raise(None);
    }
}

/// Whether a thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    End,
}
