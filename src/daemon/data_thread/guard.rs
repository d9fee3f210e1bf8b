//! What keeps a flood from costing the tunnel anything: how many IKE messages are handed up in a second, and how strict the sockets' filters are.
//!
//! It knows numbers and time. It opens nothing and believes nothing: a number that is known is a reason to be heard first, no more.

use std::time::Duration;

use crate::io::filter::{SAMPLE, Strictness};
use crate::time::Instant;

/// IKE SAs whose messages are heard first. More than any tunnel has at once, successors and replaced ones included.
const MAX_KNOWN: usize = 16;

/// Messages a second that look like one of an IKE SA of ours: whoever sees our packets can send these, and checking one costs microseconds.
const KNOWN: Budget = Budget { a_second: 20_000, at_once: 20_000 };
/// Other messages a second: what rekeying brings before we have sent under the new number, hints in clear of a gateway that lost its memory, and junk.
const UNKNOWN: Budget = Budget { a_second: 256, at_once: 512 };

/// Datagrams a second from a gateway's address and without a known number, from which on it is a flood.
const FLOOD: u64 = 1_000;
/// Octets of the longest IKE message that is handed up. None is, without certificates, a tenth as long.
pub(super) const LONGEST_MESSAGE: usize = 16 << 10;
const SECOND: Duration = Duration::from_secs(1);
/// How long a filter is strict at least.
const STRICT_FOR: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Budget {
    a_second: u32,
    at_once: u32,
}

/// Tokens in millionths.
#[derive(Debug)]
struct Bucket {
    budget: Budget,
    left: u64,
    filled: Instant,
}

impl Bucket {
    const TOKEN: u64 = 1_000_000;

    fn full(budget: Budget) -> Self {
        let left = u64::from(budget.at_once).saturating_mul(Self::TOKEN);
        Self { budget, left, filled: Instant::START }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = u64::try_from(now.since(self.filled).as_micros()).unwrap_or(u64::MAX);
        self.filled = now;
        let most = u64::from(self.budget.at_once).saturating_mul(Self::TOKEN);
        self.left = self.left.saturating_add(passed.saturating_mul(u64::from(self.budget.a_second))).min(most);
        let rest = self.left.checked_sub(Self::TOKEN);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }
}

/// One inbound thread's.
#[derive(Debug)]
pub(super) struct Guard {
    known: Vec<u64>,
    known_messages: Bucket,
    unknown_messages: Bucket,
    is_strict: bool,
    /// When the filters became strict, or when the second began that is counted.
    since: Instant,
    /// Datagrams without a known number since then.
    junk: u64,
    /// IKE messages among them that were not counted yet.
    fresh: u64,
}

/// Whether an IKE message is handed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Hear,
    /// It is one too many in this second.
    Drop,
}

impl Guard {
    pub(super) fn new() -> Self {
        Self {
            known: Vec::with_capacity(MAX_KNOWN),
            known_messages: Bucket::full(KNOWN),
            unknown_messages: Bucket::full(UNKNOWN),
            is_strict: false,
            since: Instant::START,
            junk: 0,
            fresh: 0,
        }
    }

    /// We have sent a message of this IKE SA. The one that was sent under longest ago is forgotten for a new one.
    pub(super) fn know(&mut self, initiator_spi: u64) {
        self.known.retain(|known| *known != initiator_spi);
        if self.known.len() >= MAX_KNOWN {
            self.known.remove(0);
        }
        self.known.push(initiator_spi);
    }

    /// Judges one IKE message by its first octets.
    pub(super) fn judge(&mut self, now: Instant, message: &[u8]) -> Verdict {
        if message.len() > LONGEST_MESSAGE {
            return Verdict::Drop;
        }
        let is_known = initiator_spi(message).is_some_and(|spi| self.known.contains(&spi));
        let bucket = if is_known && may_be_authentic(message) {
            &mut self.known_messages
        } else {
            self.fresh = self.fresh.saturating_add(u64::from(!is_known));
            &mut self.unknown_messages
        };
        if bucket.take(now) { Verdict::Hear } else { Verdict::Drop }
    }

    /// So many other datagrams from a gateway's address bore no known number. Says whether the filters are to be made anew.
    pub(super) fn look(&mut self, now: Instant, junk: u64) -> bool {
        let was_strict = self.is_strict;
        let fresh = std::mem::take(&mut self.fresh).saturating_add(junk);
        let passed = now.since(self.since);
        if !self.is_strict {
            if passed >= SECOND {
                (self.since, self.junk) = (now, 0);
            }
            self.junk = self.junk.saturating_add(fresh);
            if self.junk < FLOOD {
                return false;
            }
            self.is_strict = true;
        } else {
            self.junk = self.junk.saturating_add(fresh);
            if passed < STRICT_FOR {
                return false;
            }
            let sent = self.junk.saturating_mul(u64::from(SAMPLE));
            self.is_strict = sent >= FLOOD.saturating_mul(passed.as_secs());
        }
        (self.since, self.junk) = (now, 0);
        was_strict != self.is_strict
    }

    /// How the filters are to be, when these are the SPIs of the inbound SAs.
    pub(super) fn strictness(&self, esp: impl Iterator<Item = u32>) -> Strictness {
        if self.is_strict {
            Strictness::KnownOnly { esp: esp.collect(), ike: self.known.clone() }
        } else {
            Strictness::AnyNumber
        }
    }

    pub(super) const fn is_strict(&self) -> bool {
        self.is_strict
    }
}

/// Where the header of either IKE has the initiator's SPI or cookie.
pub(super) fn initiator_spi(message: &[u8]) -> Option<u64> {
    message.first_chunk().map(|octets| u64::from_be_bytes(*octets))
}

/// Whether a message of an IKE SA of ours can be one of the gateway's that changes anything: it is as long as it says, and encrypted unless it is of an
/// exchange that begins in clear.
fn may_be_authentic(message: &[u8]) -> bool {
    const IKE_SA_INIT: u8 = 34;
    const MAIN_MODE: u8 = 2;
    const AGGRESSIVE_MODE: u8 = 4;
    const ENCRYPTED: u8 = 46;
    const ENCRYPTED_FRAGMENT: u8 = 53;
    const IKEV1_FRAGMENT: u8 = 132;
    let Some(([.., first, version, exchange, flags, _, _, _, _, a, b, c, d], _)) = message.split_first_chunk::<28>()
    else {
        return false;
    };
    if usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])) != Ok(message.len()) {
        return false;
    }
    match version.wrapping_shr(4) {
        1 => flags & 1 != 0 || *first == IKEV1_FRAGMENT || matches!(*exchange, MAIN_MODE | AGGRESSIVE_MODE),
        2 => *exchange == IKE_SA_INIT || matches!(*first, ENCRYPTED | ENCRYPTED_FRAGMENT),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::START.after(Duration::from_millis(milliseconds))
    }

    fn heard(guard: &mut Guard, now: Instant, message: &[u8], count: u32) -> u32 {
        (0..count).map(|_| u32::from(guard.judge(now, message) == Verdict::Hear)).sum()
    }

    /// The header of an encrypted message of an SA of ours, with nothing in it.
    const OURS: [u8; 28] = ike([46, 0x20, 37, 0x20], 28);
    const JUNK: [u8; 8] = [9; 8];

    const fn ike([first, version, exchange, flags]: [u8; 4], length: u8) -> [u8; 28] {
        let mut header = [7; 28];
        header[16] = first;
        header[17] = version;
        header[18] = exchange;
        header[19] = flags;
        header[24] = 0;
        header[25] = 0;
        header[26] = 0;
        header[27] = length;
        header
    }

    fn our_spi() -> u64 {
        initiator_spi(&OURS).unwrap()
    }

    #[test]
    fn messages_without_a_known_number_have_a_small_budget_and_take_nothing_from_the_others() {
        let mut guard = Guard::new();
        guard.know(our_spi());
        assert_eq!(heard(&mut guard, at(0), &JUNK, 100_000), UNKNOWN.at_once);
        assert_eq!(heard(&mut guard, at(0), &[], 100), 0, "what has no number at all is junk");
        assert_eq!(heard(&mut guard, at(0), &OURS, 5_000), 5_000);
        assert_eq!(heard(&mut guard, at(500), &JUNK, 100_000), UNKNOWN.a_second / 2);
        assert_eq!(heard(&mut guard, at(100_000), &JUNK, 100_000), UNKNOWN.at_once);
        assert_eq!(heard(&mut guard, at(100_000), &OURS, 100_000), KNOWN.at_once, "this is bounded, too");
    }

    #[test]
    fn what_the_gateway_cannot_have_meant_is_not_heard_before_what_it_can() {
        for (header, is_heard_first) in [
            (OURS, true),
            (ike([53, 0x20, 36, 0], 28), true),
            (ike([33, 0x20, 34, 0x20], 28), true),
            (ike([41, 0x20, 37, 0x20], 28), false),
            (ike([46, 0x20, 37, 0x20], 27), false),
            (ike([46, 0x30, 37, 0x20], 28), false),
            (ike([8, 0x10, 5, 1], 28), true),
            (ike([132, 0x10, 5, 0], 28), true),
            (ike([5, 0x10, 2, 0], 28), true),
            (ike([11, 0x10, 5, 0], 28), false),
        ] {
            let mut guard = Guard::new();
            guard.know(our_spi());
            let first = heard(&mut guard, at(0), &header, 2_000) > UNKNOWN.at_once;
            assert_eq!(first, is_heard_first, "{header:x?}");
        }
        let mut guard = Guard::new();
        guard.know(our_spi());
        let long = [&OURS[..], &[0; LONGEST_MESSAGE]].concat();
        assert_eq!(guard.judge(at(0), &long), Verdict::Drop);
    }

    #[test]
    fn the_numbers_that_were_sent_under_last_are_kept() {
        let mut guard = Guard::new();
        (0..16).for_each(|spi| guard.know(spi));
        guard.know(0);
        guard.know(16);
        let Strictness::KnownOnly { esp, ike } = ({
            guard.is_strict = true;
            guard.strictness([7].into_iter())
        }) else {
            panic!("strict")
        };
        assert_eq!(esp, [7]);
        assert_eq!(ike, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 16]);
    }

    #[test]
    fn a_flood_makes_the_filter_strict_and_its_end_makes_it_open() {
        let mut guard = Guard::new();
        for second in 0..100 {
            assert!(!guard.look(at(second * 1000), 900), "less than a flood, however long it lasts");
        }
        assert!(!guard.look(at(99_500), 99));
        assert!(guard.look(at(99_501), 1), "a flood");
        assert!(guard.is_strict());
        for second in 100..300 {
            assert!(!guard.look(at(second * 1000), 20), "one in {SAMPLE} of the flood gets in");
        }
        assert!(guard.is_strict());
        let opened = (300..400).find(|second| guard.look(at(second * 1000), 2));
        assert!(opened.is_some_and(|second| second <= 320), "{opened:?}");
        assert!(!guard.is_strict());
    }

    #[test]
    fn ike_messages_without_a_known_number_count_as_a_flood() {
        let mut guard = Guard::new();
        heard(&mut guard, at(0), &JUNK, 1_000);
        assert!(guard.look(at(1), 0));
        let mut guard = Guard::new();
        guard.know(our_spi());
        heard(&mut guard, at(0), &OURS, 5_000);
        assert!(!guard.look(at(1), 0));
    }
}
