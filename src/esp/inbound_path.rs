//! The inbound half: datagrams from the network become inner packets for the device, IKE messages to hand up, or nothing. Owns every inbound SA.
//! Where a packet came from never changes anything: a valid one from elsewhere is accepted, and the gateway stays where it was.

use std::time::Duration;

use crate::{
    crypto::cipher::BadKey,
    esp::{
        batch::{Arrival, Batch, Lane, Packet, State},
        counters::{Counters, DropReason, increase},
        dataplane::{InboundCommand, Interval, Reports},
        demux::{self, Datagram},
        early::{self, Early},
        ecn,
        handover::{InboundEntry, InboundState, MOST_SAS, Unrestorable},
        inbound::InboundSa,
        incidents::{Incident, Incidents, Told},
        layout::{DUMMY, HEADER, IPV4, IPV6},
        mss::{self, Clamp},
        packet::InnerPacket,
        policy::Policy,
    },
    sa::{
        command::{ChildId, DataReport, InboundParameters},
        path::Path,
    },
    time::Instant,
};

/// Packets of unknown SPIs that are not further apart than this belong together.
const UNKNOWN_TOGETHER: Duration = Duration::from_secs(60);

/// All inbound SAs. A child may have several while it is replaced.
#[derive(Debug, Default)]
pub struct InboundPath {
    /// In the order in which they were installed.
    sas: Vec<Entry>,
    /// SPI to index, ascending.
    by_spi: Vec<(u32, Lane)>,
    peer: Option<Path>,
    mtu: Option<u16>,
    unknown_spi: Interval,
    /// Since when such packets have been coming, and when one last came.
    unknown: Option<(Instant, Instant)>,
    incidents: Incidents,
    early: Early,
    counters: Counters,
    reports: Reports,
}

#[derive(Debug)]
struct Entry {
    child: ChildId,
    sa: InboundSa,
    policy: Policy,
    seen: Interval,
    waiting: bool,
}

impl InboundPath {
    /// No SA yet: every ESP packet is dropped, IKE messages pass.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything that goes on in another process.
    pub fn export(&self) -> InboundState {
        let Self {
            sas,
            peer,
            mtu,
            by_spi: _,
            unknown_spi: _,
            unknown: _,
            incidents: _,
            early: _,
            counters: _,
            reports: _,
        } = self;
        let entry = |entry: &Entry| {
            let Entry { child, sa, policy, seen: _, waiting: _ } = entry;
            InboundEntry { child: *child, sa: sa.export(), policy: policy.clone() }
        };
        InboundState { sas: sas.iter().map(entry).collect(), peer: *peer, mtu: *mtu }
    }

    /// The half again, in the process that goes on with it.
    pub fn restore(state: InboundState) -> Result<Self, Unrestorable> {
        let InboundState { sas, peer, mtu } = state;
        let entry = |InboundEntry { child, sa, policy }| {
            let sa = InboundSa::restore(sa)?;
            Ok(Entry { child, sa, policy, seen: Interval::default(), waiting: false })
        };
        let sas = sas.into_iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        if sas.len() > MOST_SAS {
            return Err(Unrestorable("more SAs than there can be"));
        }
        let mut path = Self { sas, peer, mtu, ..Self::new() };
        path.index();
        Ok(path)
    }

    /// The MTU that TCP handshakes are held to; `None` leaves them alone.
    pub fn set_mtu(&mut self, mtu: Option<u16>) {
        self.mtu = mtu;
    }

    /// Carries out a command; it is in force when this returns. Fails, and changes nothing, when a key does not fit its suite.
    pub fn apply(&mut self, now: Instant, command: InboundCommand) -> Result<(), BadKey> {
        match command {
            InboundCommand::Install { child, sa } => self.install(now, child, *sa)?,
            InboundCommand::Remove { spi } => self.sas.retain(|entry| entry.sa.spi() != spi),
            InboundCommand::RemoveChild { child } => self.sas.retain(|entry| entry.child != child),
            InboundCommand::PeerAt { path } => self.peer = Some(path),
        }
        self.index();
        Ok(())
    }

    fn index(&mut self) {
        self.by_spi = self.sas.iter().map(|entry| entry.sa.spi().value()).zip((0..).map(Lane)).collect();
        self.by_spi.sort_unstable_by_key(|(spi, _)| *spi);
    }

    /// Turns the datagrams of a freshly filled batch into inner packets, in place: `batch.inner()`. IKE messages stand in `batch.ike()`.
    pub fn process(&mut self, now: Instant, batch: &mut Batch) {
        for (packet, window) in batch.windows() {
            if packet.state == State::Read {
                self.classify(now, packet, window);
            }
        }
        for (lane, entry) in (0..).map(Lane).zip(&mut self.sas) {
            if !std::mem::take(&mut entry.waiting) {
                continue;
            }
            let count = entry.sa.open(now, batch, lane);
            self.counters.odd_padding = self.counters.odd_padding.saturating_add(count.odd_padding);
            if count.authentic > 0 && entry.seen.is_due(now) {
                let report = DataReport::InboundSeen { child: entry.child, spi: entry.sa.spi() };
                self.reports.push(report, &mut self.counters);
            }
        }
        for (packet, window) in batch.windows() {
            match packet.state {
                State::Opened { lane, next_header } => self.finish(now, packet, window, lane, next_header),
                State::Dropped(reason @ (DropReason::Replayed | DropReason::NotAuthentic)) => {
                    self.note(now, reason, packet, window);
                }
                _ => {}
            }
        }
        self.report_lifetimes(now);
        batch.dropped().for_each(|reason| self.counters.count_drop(reason));
    }

    /// Fills an empty batch with packets that came before the SA that is there now, to be processed like others. `false` when there are none.
    pub fn fill_early(&mut self, now: Instant, batch: &mut Batch) -> bool {
        let Self { early, by_spi, .. } = self;
        let is_known = |spi: u32| by_spi.binary_search_by_key(&spi, |(spi, _)| *spi).is_ok();
        while !batch.is_full()
            && let Some((arrival, datagram)) = early.take(now, is_known)
        {
            if batch.push_datagram(&datagram, arrival) {
                increase(&mut self.counters.early);
            }
        }
        !batch.is_empty()
    }

    /// The next report.
    pub fn poll_report(&mut self) -> Option<DataReport> {
        self.reports.pop()
    }

    /// The numbers of all SAs.
    pub fn spis(&self) -> impl Iterator<Item = u32> {
        self.by_spi.iter().map(|(spi, _)| *spi)
    }

    /// The next dropped packet to be told of.
    pub fn poll_incident(&mut self) -> Option<Told> {
        self.incidents.poll(&self.counters)
    }

    /// What was counted so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    fn install(&mut self, now: Instant, child: ChildId, parameters: InboundParameters) -> Result<(), BadKey> {
        let InboundParameters { spi, suite, keys, sources, destinations, replay_window, lifetime } = parameters;
        let sa = InboundSa::new(now, spi, suite, &keys, replay_window, lifetime)?;
        let policy = Policy::new(sources, destinations);
        self.sas.retain(|entry| entry.sa.spi() != spi);
        self.sas.push(Entry { child, sa, policy, seen: Interval::default(), waiting: false });
        Ok(())
    }

    fn classify(&mut self, now: Instant, packet: &mut Packet, window: &[u8]) {
        let Some(path) = packet.path else { return packet.drop_for(DropReason::TooShort) };
        let octets = window.get(packet.data.clone()).unwrap_or_default();
        match demux::classify(path.framing, octets) {
            Ok(Datagram::Ike(range)) => {
                packet.data.start = packet.data.start.saturating_add(range.start);
                packet.state = State::Ike;
                increase(&mut self.counters.ike);
            }
            Ok(Datagram::Keepalive) => {
                packet.state = State::Spent;
                increase(&mut self.counters.keepalives);
            }
            Ok(Datagram::Esp { spi }) => match self.find(spi) {
                Some(lane) => packet.state = State::ToOpen { lane },
                None => {
                    packet.drop_for(DropReason::UnknownSpi);
                    if self.are_unknown_for_long(now) {
                        self.note(now, DropReason::UnknownSpi, packet, window);
                    }
                    self.early.keep(now, spi, Arrival { path, tos: packet.tos }, octets);
                    self.report_unknown(now, path, spi);
                }
            },
            Err(reason) => packet.drop_for(reason),
        }
    }

    fn find(&mut self, spi: u32) -> Option<Lane> {
        let index = self.by_spi.binary_search_by_key(&spi, |(spi, _)| *spi).ok()?;
        let (_, lane) = *self.by_spi.get(index)?;
        self.sas.get_mut(usize::from(lane.0))?.waiting = true;
        Some(lane)
    }

    fn finish(&mut self, now: Instant, packet: &mut Packet, window: &mut [u8], lane: Lane, next_header: u8) {
        if next_header == DUMMY {
            packet.state = State::Spent; // RFC 4303 §2.6
            increase(&mut self.counters.dummies);
            return;
        }
        let octets = window.get_mut(packet.data.clone()).unwrap_or_default();
        match self.admit(octets, packet.tos, lane, next_header) {
            Ok(len) => {
                packet.data.end = packet.data.start.saturating_add(len);
                packet.state = State::Inner;
                increase(&mut self.counters.packets);
                self.counters.octets = self.counters.octets.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
            }
            Err(reason) => {
                packet.drop_for(reason);
                self.note_opened(now, reason, packet.path, lane, octets);
            }
        }
    }

    fn admit(&mut self, octets: &mut [u8], outer_tos: u8, lane: Lane, next_header: u8) -> Result<usize, DropReason> {
        if !matches!(next_header, IPV4 | IPV6) {
            return Err(DropReason::NextHeader);
        }
        let inner = InnerPacket::parse(octets)?;
        if inner.source().is_ipv4() != (next_header == IPV4) {
            return Err(DropReason::NextHeader);
        }
        let entry = self.sas.get(usize::from(lane.0)).ok_or(DropReason::UnknownSpi)?;
        if !entry.policy.permits(&inner) && !entry.policy.permits_error(&inner, octets) {
            return Err(DropReason::OutsideSelectors); // RFC 4301 §5.2, step 4
        }
        let tos = ecn::decapsulate(inner.tos(), outer_tos).map_err(|_| DropReason::Congestion)?;
        if tos != inner.tos() {
            ecn::write_tos(octets, tos);
        }
        if self.mtu.is_some_and(|mtu| mss::clamp(octets, &inner, mtu) == Clamp::Lowered) {
            increase(&mut self.counters.clamped);
        }
        Ok(inner.total_len())
    }

    /// What comes a moment before its SA is opened then, and is nothing to be told of.
    fn are_unknown_for_long(&mut self, now: Instant) -> bool {
        let (since, last) = self.unknown.unwrap_or((now, now));
        let since = if now.since(last) < UNKNOWN_TOGETHER { since } else { now };
        self.unknown = Some((since, now));
        now.since(since) >= early::MOMENT
    }

    fn note(&mut self, now: Instant, reason: DropReason, packet: &Packet, window: &[u8]) {
        let (Some(path), Some(esp)) = (packet.path, window.get(packet.data.clone())) else { return };
        let Some([a, b, c, d, sequence @ ..]) = esp.first_chunk::<HEADER>().copied() else { return };
        let (spi, sequence) = (u32::from_be_bytes([a, b, c, d]), Some(u32::from_be_bytes(sequence)));
        self.incidents.note(now, Incident { reason, spi, sequence, remote: path.remote, inner: None });
    }

    /// The same of a packet that was opened.
    fn note_opened(&mut self, now: Instant, reason: DropReason, path: Option<Path>, lane: Lane, octets: &[u8]) {
        let (Some(path), Some(entry)) = (path, self.sas.get(usize::from(lane.0))) else { return };
        let inner = InnerPacket::parse(octets).ok().map(|inner| (inner.source(), inner.destination()));
        let spi = entry.sa.spi().value();
        self.incidents.note(now, Incident { reason, spi, sequence: None, remote: path.remote, inner });
    }

    fn report_unknown(&mut self, now: Instant, path: Path, spi: u32) {
        let is_peer = self.peer.is_some_and(|peer| peer.remote.ip() == path.remote.ip());
        if is_peer && self.unknown_spi.is_due(now) {
            self.reports.push(DataReport::UnknownSpi { spi }, &mut self.counters);
        }
    }

    /// An SA that was replaced ends in silence; what counts is the child's newest.
    fn report_lifetimes(&mut self, now: Instant) {
        for index in 0..self.sas.len() {
            let Some((entry, later)) = self.sas.get_mut(index..).and_then(<[Entry]>::split_first_mut) else { return };
            if later.iter().any(|other| other.child == entry.child) {
                continue;
            }
            if let Some(mark) = entry.sa.take_mark(now) {
                self.reports.push(DataReport::Lifetime { child: entry.child, mark }, &mut self.counters);
            }
        }
    }
}
