//! Dropped packets that are told of one by one, with what their headers say (RFC 4303 §4, RFC 4301 §5.2): for each reason the first, and then one a
//! minute. All are counted.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::esp::counters::{Counters, DropReason};
use crate::time::Instant;

/// Between two of one reason.
const BETWEEN: Duration = Duration::from_secs(60);

/// What somebody may have to answer for: the gateway, whoever is between, or whoever forges.
const REASONS: [DropReason; 4] =
    [DropReason::UnknownSpi, DropReason::Replayed, DropReason::NotAuthentic, DropReason::OutsideSelectors];

/// One packet that was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Why.
    pub reason: DropReason,
    /// What it came with, untrusted unless it was opened.
    pub spi: u32,
    /// The lower half of its sequence number, untrusted.
    pub sequence: Option<u32>,
    /// Where it came from, untrusted.
    pub remote: SocketAddr,
    /// The sender and the receiver of the inner packet, where it was opened.
    pub inner: Option<(IpAddr, IpAddr)>,
}

/// How many packets were dropped for the same reason so far, and one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The one.
    pub incident: Incident,
    /// All of them, since the start.
    pub count: u64,
}

/// What waits to be told, one of each reason at most.
#[derive(Debug, Default)]
pub(in crate::esp) struct Incidents {
    last: [Option<Instant>; REASONS.len()],
    waiting: [Option<Incident>; REASONS.len()],
}

impl Incidents {
    /// A packet was dropped.
    pub(in crate::esp) fn note(&mut self, now: Instant, incident: Incident) {
        let Some(place) = REASONS.iter().position(|reason| *reason == incident.reason) else { return };
        let (Some(last), Some(waiting)) = (self.last.get_mut(place), self.waiting.get_mut(place)) else { return };
        if last.is_none_or(|last| now.since(last) >= BETWEEN) {
            *last = Some(now);
            *waiting = Some(incident);
        }
    }

    pub(in crate::esp) fn poll(&mut self, counters: &Counters) -> Option<Told> {
        let incident = self.waiting.iter_mut().find_map(Option::take)?;
        Some(Told { incident, count: counters.dropped(incident.reason) })
    }
}

/// Without the inner addresses, which are not everybody's.
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { incident: Incident { reason, spi, sequence, remote, inner: _ }, count } = self;
        let why = match reason {
            DropReason::UnknownSpi => "no SA of ours has its SPI",
            DropReason::Replayed => "its sequence number was seen before, or is too old",
            DropReason::NotAuthentic => "it is forged or damaged (ICV)",
            DropReason::OutsideSelectors => "what is in it is outside of what was agreed",
            other => other.name(),
        };
        write!(f, "an ESP packet was dropped: {why}; from {remote}, SPI {spi:08x}")?;
        if let Some(sequence) = sequence {
            write!(f, ", sequence number {sequence}")?;
        }
        write!(f, "; {count} so far for this reason ({reason})")
    }
}
