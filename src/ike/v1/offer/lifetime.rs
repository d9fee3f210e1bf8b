//! Lifetimes in SA payloads and RESPONDER-LIFETIME (RFC 2409 appendix A, RFC 2407 §4.5, §4.6.3.1). What the peer says may only shorten ours.

use std::time::Duration;

use crate::ike::v1::message::security_association::{number, read_attributes, write_number};
use crate::sa::lifetime::Lifetime;

const SECONDS: u64 = 1;
const KILOBYTES: u64 = 2;

/// Nobody means more: it is as if nothing were said. Times beyond cannot be added to a clock.
const LONGEST_SECONDS: u64 = 0xffff_ffff;

/// However little the peer says: new keys are not made faster than this. A peer that means it deletes the SA itself.
const SHORTEST_SECONDS: u64 = 10;
const FEWEST_KILOBYTES: u64 = 64 * 1024;

/// The numbers of life type and life duration.
#[derive(Clone, Copy)]
pub(super) struct Numbers {
    kind: u16,
    duration: u16,
}

/// RFC 2409 appendix A.
pub(super) const PHASE_1: Numbers = Numbers { kind: 11, duration: 12 };
/// RFC 2407 §4.5.
pub(super) const PHASE_2: Numbers = Numbers { kind: 1, duration: 2 };

/// What the peer says of the lifetime. Zero says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stated {
    seconds: Option<u64>,
    kilobytes: Option<u64>,
}

/// Splits attributes into those that make a transform what it is, and its lifetime; `None` if a value is no number, a duration is of
/// nothing or of something unknown, or two contradict each other.
pub(super) fn split(attributes: &[(u16, &[u8])], numbers: Numbers) -> Option<(Vec<(u16, u64)>, Stated)> {
    let mut others = Vec::new();
    let mut stated = [None, None];
    let mut expected = None;
    for (kind, value) in attributes {
        let value = number(value)?;
        if *kind == numbers.duration {
            let [seconds, kilobytes] = &mut stated;
            // RFC 2407 §4.5: a duration follows the type that it is of.
            let place = match expected.take()? {
                SECONDS => seconds,
                KILOBYTES => kilobytes,
                _ => return None,
            };
            if place.replace(value).is_some() {
                return None;
            }
        } else if expected.is_some() {
            return None;
        } else if *kind == numbers.kind {
            expected = Some(value);
        } else {
            others.push((*kind, value));
        }
    }
    if expected.is_some() {
        return None;
    }
    let [seconds, kilobytes] = stated;
    let seconds = seconds.filter(|seconds| (1..=LONGEST_SECONDS).contains(seconds));
    Some((others, Stated { seconds, kilobytes: kilobytes.filter(|kilobytes| *kilobytes > 0) }))
}

impl Stated {
    /// Ours, or what is said if that is shorter.
    pub(super) fn time(self, ours: Option<Duration>) -> Option<Duration> {
        shorter(ours, self.seconds.map(|seconds| Duration::from_secs(seconds.max(SHORTEST_SECONDS))))
    }

    /// The same of all limits.
    pub(super) fn limit(self, ours: Lifetime) -> Lifetime {
        let bytes = self.kilobytes.map(|kilobytes| kilobytes.max(FEWEST_KILOBYTES).saturating_mul(1024));
        Lifetime { time: self.time(ours.time), bytes: shorter(ours.bytes, bytes), packets: ours.packets }
    }
}

fn shorter<T: Ord>(ours: Option<T>, theirs: Option<T>) -> Option<T> {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
        (ours, theirs) => ours.or(theirs),
    }
}

/// Type and duration in seconds, kilobytes (RFC 2407 §4.5: each duration follows its type). Parts of a second and less than a kilobyte are
/// rounded up.
pub(super) fn write(time: Option<Duration>, bytes: Option<u64>, numbers: Numbers) -> Vec<u8> {
    let seconds = time.map(|time| time.as_secs().max(1));
    let kilobytes = bytes.map(|bytes| bytes.div_ceil(1024).max(1));
    let mut octets = Vec::new();
    for (kind, value) in [(1, seconds), (2, kilobytes)] {
        if let Some(value) = value {
            octets.extend(write_number(numbers.kind, kind));
            octets.extend(write_number(numbers.duration, u32::try_from(value).unwrap_or(u32::MAX)));
        }
    }
    octets
}

/// An ISAKMP SA's lifetime after a RESPONDER-LIFETIME with these attributes: never longer. What cannot be read says nothing.
pub(in crate::ike::v1) fn shortened_phase1(ours: Option<Duration>, attributes: &[u8]) -> Option<Duration> {
    notified(attributes, PHASE_1).map_or(ours, |stated| stated.time(ours))
}

/// The same of an SA of phase 2.
pub(in crate::ike::v1) fn shortened_phase2(ours: Lifetime, attributes: &[u8]) -> Lifetime {
    notified(attributes, PHASE_2).map_or(ours, |stated| stated.limit(ours))
}

fn notified(attributes: &[u8], numbers: Numbers) -> Option<Stated> {
    let attributes = read_attributes(attributes).ok()?;
    split(&attributes, numbers).map(|(_, stated)| stated)
}
