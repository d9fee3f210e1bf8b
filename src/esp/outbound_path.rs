//! The outbound half: inner packets from the device become ESP packets for the gateway, or nothing. Owns every outbound SA.
//! Nothing else leads from the device to the network.

use std::collections::VecDeque;

use crate::{
    crypto::{
        cipher::BadKey,
        random::{IvGenerator, Random},
    },
    esp::{
        batch::{Batch, Lane, Packet, State},
        counters::{Counters, DropReason, increase},
        dataplane::{Interval, OutboundCommand, Reports},
        ecn,
        handover::{MOST_SAS, OutboundChild, OutboundState, Unrestorable},
        layout::{DUMMY, IPV4, IPV6},
        mss::{self, Clamp},
        mtu::MIN_MTU_V6,
        outbound::OutboundSa,
        packet::InnerPacket,
        policy::Policy,
        too_big::{self, Allowance},
    },
    sa::{
        command::{ChildId, DataReport, OutboundParameters},
        path::Path,
    },
    time::Instant,
};

/// Answers that wait to be fetched; further packets are dropped without one.
const MOST_ANSWERS: usize = 100;

/// All outbound SAs, one a child.
#[derive(Debug)]
pub struct OutboundPath {
    children: Vec<Child>,
    ivs: IvGenerator,
    mtu: Option<u16>,
    no_child: Interval,
    sent_since_keepalive: bool,
    counters: Counters,
    reports: Reports,
    allowance: Allowance,
    answers: VecDeque<Vec<u8>>,
}

#[derive(Debug)]
struct Child {
    id: ChildId,
    sa: OutboundSa,
    policy: Policy,
    path: Path,
    sent: Interval,
    waiting: bool,
}

/// What is left to do after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Nothing.
    Done,
    /// Send one octet 0xFF there (RFC 3948 §2.3).
    SendKeepalive(Path),
}

impl OutboundPath {
    /// No child yet: every packet is dropped. `random` gives the key for CBC's IVs.
    pub fn new(random: &mut dyn Random) -> Self {
        Self {
            children: Vec::new(),
            ivs: IvGenerator::new(random),
            mtu: None,
            no_child: Interval::default(),
            sent_since_keepalive: false,
            counters: Counters::default(),
            reports: Reports::default(),
            allowance: Allowance::default(),
            answers: VecDeque::new(),
        }
    }

    /// Everything that goes on in another process. `None` while an SA has to be replaced first.
    pub fn export(&self) -> Option<OutboundState> {
        let Self {
            children,
            mtu,
            sent_since_keepalive,
            ivs: _,
            no_child: _,
            counters: _,
            reports: _,
            allowance: _,
            answers: _,
        } = self;
        let child = |child: &Child| {
            let Child { id, sa, policy, path, sent: _, waiting: _ } = child;
            Some(OutboundChild { id: *id, sa: sa.export()?, policy: policy.clone(), path: *path })
        };
        let children = children.iter().map(child).collect::<Option<Vec<_>>>()?;
        Some(OutboundState { children, mtu: *mtu, sent_since_keepalive: *sent_since_keepalive })
    }

    /// The half again, in the process that goes on with it. Its IVs have a key of their own.
    pub fn restore(state: OutboundState, random: &mut dyn Random) -> Result<Self, Unrestorable> {
        let OutboundState { children, mtu, sent_since_keepalive } = state;
        let child = |OutboundChild { id, sa, policy, path }| {
            let sa = OutboundSa::restore(sa)?;
            Ok(Child { id, sa, policy, path, sent: Interval::default(), waiting: false })
        };
        let children = children.into_iter().map(child).collect::<Result<Vec<_>, _>>()?;
        if children.len() > MOST_SAS {
            return Err(Unrestorable("more SAs than there can be"));
        }
        Ok(Self { children, mtu, sent_since_keepalive, ..Self::new(random) })
    }

    /// The longest packet that the path carries, which TCP handshakes are held to; `None` leaves everything alone.
    pub fn set_mtu(&mut self, mtu: Option<u16>) {
        self.mtu = mtu;
    }

    /// Carries out a command; it is in force when this returns. Fails, and changes nothing, when a key does not fit its suite.
    pub fn apply(&mut self, now: Instant, command: OutboundCommand) -> Result<Applied, BadKey> {
        match command {
            OutboundCommand::Switch { child, sa } => self.switch(now, child, *sa)?,
            OutboundCommand::RemoveChild { child } => self.children.retain(|one| one.id != child),
            OutboundCommand::MovePeer { child, path } => {
                self.children.iter_mut().filter(|one| one.id == child).for_each(|one| one.path = path);
            }
            OutboundCommand::Keepalive { path } => {
                if !std::mem::take(&mut self.sent_since_keepalive) {
                    return Ok(Applied::SendKeepalive(path));
                }
            }
        }
        Ok(Applied::Done)
    }

    /// Turns the inner packets of a freshly filled batch into ESP packets, in place. What is sealed stands in `batch.sealed()`; the rest was dropped.
    pub fn process(&mut self, now: Instant, batch: &mut Batch) {
        let mut without_child = false;
        for (packet, window) in batch.windows() {
            match packet.state {
                State::Read => match self.admit(now, packet, window) {
                    Ok((lane, next_header)) => packet.state = State::ToSeal { lane, next_header },
                    Err(reason) => {
                        without_child |= reason == DropReason::NoChild;
                        packet.drop_for(reason);
                    }
                },
                State::ToSeal { lane, .. } => match self.children.get_mut(usize::from(lane.0)) {
                    Some(child) => child.waiting = true,
                    None => packet.drop_for(DropReason::NoChild),
                },
                _ => {}
            }
        }
        for (lane, child) in (0..).map(Lane).zip(&mut self.children) {
            if !std::mem::take(&mut child.waiting) {
                continue;
            }
            let count = child.sa.seal(now, batch, lane, &mut self.ivs);
            self.counters.packets = self.counters.packets.saturating_add(count.packets.saturating_sub(count.dummies));
            self.counters.octets = self.counters.octets.saturating_add(count.octets);
            self.counters.dummies = self.counters.dummies.saturating_add(count.dummies);
            if count.packets > 0 {
                self.sent_since_keepalive = true;
                if child.sent.is_due(now) {
                    self.reports.push(DataReport::OutboundSent { child: child.id }, &mut self.counters);
                }
            }
            if let Some(mark) = child.sa.take_mark(now) {
                self.reports.push(DataReport::Lifetime { child: child.id, mark }, &mut self.counters);
            }
        }
        if without_child && self.no_child.is_due(now) {
            self.reports.push(DataReport::NoChild, &mut self.counters);
        }
        batch.dropped().for_each(|reason| self.counters.count_drop(reason));
    }

    /// Adds a packet without content (RFC 4303 §2.6) of `len` octets to a batch, to be sealed with the rest. `false` if there is no room or no such child.
    pub fn push_dummy(&self, batch: &mut Batch, child: ChildId, len: usize) -> bool {
        let Some((lane, child)) = (0..).map(Lane).zip(&self.children).find(|(_, one)| one.id == child) else {
            return false;
        };
        batch.push_to_seal(len, child.path, lane, DUMMY)
    }

    /// The next report.
    pub fn poll_report(&mut self) -> Option<DataReport> {
        self.reports.pop()
    }

    /// The next packet for the device: what a sender is told whose packet was too long.
    pub fn poll_answer(&mut self) -> Option<Vec<u8>> {
        let answer = self.answers.pop_front()?;
        increase(&mut self.counters.told);
        Some(answer)
    }

    /// What was counted so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    #[cfg(test)]
    pub(in crate::esp) fn start_behind(&mut self, used: u64) {
        self.children.iter_mut().for_each(|child| child.sa.start_behind(used));
    }

    fn switch(&mut self, now: Instant, id: ChildId, parameters: OutboundParameters) -> Result<(), BadKey> {
        let OutboundParameters { spi, suite, keys, sources, destinations, path, lifetime } = parameters;
        let sa = OutboundSa::new(now, spi, suite, &keys, lifetime)?;
        let policy = Policy::new(sources, destinations);
        if let Some(child) = self.children.iter_mut().find(|child| child.id == id) {
            child.sa = sa;
            child.policy = policy;
            child.path = path;
        } else {
            // The newest child comes first: of two with the same selectors it is the one that the gateway uses.
            let child = Child { id, sa, policy, path, sent: Interval::default(), waiting: false };
            self.children.insert(0, child);
        }
        Ok(())
    }

    fn admit(&mut self, now: Instant, packet: &mut Packet, window: &mut [u8]) -> Result<(Lane, u8), DropReason> {
        let octets = window.get_mut(packet.data.clone()).unwrap_or_default();
        let inner = InnerPacket::parse(octets)?;
        let mut candidates = (0..).map(Lane).zip(&mut self.children);
        let mut reached = false;
        let found = candidates.find(|(_, child)| {
            let reaches = child.policy.reaches(&inner);
            reached |= reaches;
            reaches && (child.policy.permits(&inner) || child.policy.permits_error(&inner, octets))
        });
        let (lane, child) = found.ok_or(if reached { DropReason::OutsideSelectors } else { DropReason::NoChild })?;
        if inner.destination() == child.path.remote.ip() {
            return Err(DropReason::ToGateway);
        }
        if let Some(mtu) = self.mtu {
            if inner.total_len() > usize::from(mtu) && !fits_in_pieces(octets, &inner) {
                if self.answers.len() < MOST_ANSWERS && self.allowance.take(now) {
                    let fits = if inner.source().is_ipv4() { mtu } else { mtu.max(MIN_MTU_V6) };
                    self.answers.extend(too_big::answer(octets, &inner, fits));
                }
                return Err(DropReason::BeyondPath);
            }
            if mss::clamp(octets, &inner, mtu) == Clamp::Lowered {
                increase(&mut self.counters.clamped);
            }
        }
        child.waiting = true;
        packet.data.end = packet.data.start.saturating_add(inner.total_len());
        packet.path = Some(child.path);
        packet.tos = ecn::encapsulate(inner.tos());
        Ok((lane, if inner.source().is_ipv4() { IPV4 } else { IPV6 }))
    }
}

/// What is too long for the path and cannot be shorter goes on in pieces of the outer layer: IPv4 without DF, and what IPv6 must carry (RFC 8200 §5).
fn fits_in_pieces(packet: &[u8], inner: &InnerPacket) -> bool {
    too_big::may_be_cut(packet, inner) || (inner.source().is_ipv6() && inner.total_len() <= usize::from(MIN_MTU_V6))
}
