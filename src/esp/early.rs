//! ESP packets that come before the SA that opens them. A gateway may send with a new SA as soon as it has answered, and its packets overtake the
//! answer, which IKE still works on. A few are kept for a moment; whoever makes such packets up displaces others of their kind and nothing else.

use std::collections::VecDeque;
use std::time::Duration;

use crate::esp::batch::Arrival;
use crate::time::Instant;

/// So many are kept; the oldest make room.
const MOST: usize = 256;
/// Octets of the longest that is kept: what an Ethernet link carries.
const LONGEST: usize = 1536;
/// Longer than IKE works on an answer.
pub(in crate::esp) const MOMENT: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub(in crate::esp) struct Early(VecDeque<Kept>);

#[derive(Debug)]
struct Kept {
    at: Instant,
    spi: u32,
    arrival: Arrival,
    octets: Vec<u8>,
}

impl Early {
    /// Keeps a copy, in the memory of an older one where there are many.
    pub(in crate::esp) fn keep(&mut self, now: Instant, spi: u32, arrival: Arrival, datagram: &[u8]) {
        if datagram.len() > LONGEST {
            return;
        }
        let oldest = if self.0.len() >= MOST { self.0.pop_front() } else { None };
        let mut octets = oldest.map_or_else(|| Vec::with_capacity(LONGEST), |oldest| oldest.octets);
        octets.clear();
        octets.extend_from_slice(datagram);
        self.0.push_back(Kept { at: now, spi, arrival, octets });
    }

    /// Takes the next one out whose SPI is known now, in the order in which they came.
    pub(in crate::esp) fn take(&mut self, now: Instant, is_known: impl Fn(u32) -> bool) -> Option<(Arrival, Vec<u8>)> {
        self.0.retain(|kept| now.since(kept.at) < MOMENT);
        let place = self.0.iter().position(|kept| is_known(kept.spi))?;
        self.0.remove(place).map(|kept| (kept.arrival, kept.octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sa::path::{Framing, Path};

    #[test]
    fn only_what_a_link_carries_is_kept() {
        let address = "192.0.2.1:4500".parse().unwrap();
        let arrival = Arrival { path: Path { local: address, remote: address, framing: Framing::Marked }, tos: 0 };
        for (len, is_kept) in [(LONGEST - 1, true), (LONGEST, true), (LONGEST + 1, false), (LONGEST * 2, false)] {
            let mut early = Early::default();
            early.keep(Instant::START, 1, arrival, &vec![7; len]);
            let kept = early.take(Instant::START, |spi| spi == 1);
            assert_eq!(kept.map(|(_, octets)| octets.len()), is_kept.then_some(len));
        }
    }
}
