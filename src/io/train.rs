//! Datagrams on their way out, gathered into as few messages as the kernel takes. Those of one length to one place go as a train: one message that
//! the kernel, or the network card, cuts apart (UDP_SEGMENT).
//!
//! It knows lengths and addresses; it sends nothing itself.

use std::io::{self, IoSlice};

use crate::io::sys::{BATCH, Departure, Message};

/// Datagrams of one train, at most: what every kernel with UDP_SEGMENT takes.
pub const MAX_SEGMENTS: usize = 64;

/// Octets of one train, at most: with the headers of UDP and IPv4 the longest packet.
const MAX_OCTETS: usize = 65_507;

/// Parts of one call, at most.
const PARTS: usize = 4 * MAX_SEGMENTS;

/// Which datagrams go in trains: those of at most so many octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trains {
    longest: usize,
}

impl Trains {
    /// None: the kernel has no trains, or they are not wanted.
    pub const NONE: Self = Self { longest: 0 };
    /// All.
    pub const ALL: Self = Self { longest: MAX_OCTETS };

    /// Octets of the longest datagram that goes in a train; 0 when none does.
    pub const fn longest(self) -> usize {
        self.longest
    }

    /// Learns from what the kernel says of a train of datagrams of `segment` octets. `true` when it means trains: the same datagrams may well pass one
    /// by one, and no train of them is made again.
    pub(in crate::io) fn learn(&mut self, error: &io::Error, segment: u16) -> bool {
        match error.raw_os_error() {
            // The way there has no checksums for trains.
            Some(libc::EIO) => self.longest = 0,
            // A datagram is larger than the path's MTU: it would be fragmented, which a train cannot be. Newer kernels say EMSGSIZE.
            Some(libc::EINVAL | libc::EMSGSIZE) => {
                self.longest = self.longest.min(usize::from(segment).saturating_sub(1));
            }
            _ => return false,
        }
        true
    }
}

/// The messages of one call.
pub(in crate::io) struct Messages<'a> {
    list: [Message; BATCH],
    count: usize,
    parts: [IoSlice<'a>; PARTS],
    used: usize,
    /// Octets of the last message.
    octets: usize,
}

impl<'a> Messages<'a> {
    /// Takes as many of `departures` as fit, in order.
    pub(in crate::io) fn gather(departures: impl Iterator<Item = Departure<'a>>, trains: Trains) -> Self {
        let empty = IoSlice::new(&[]);
        let mut messages = Self { list: [Message::NONE; BATCH], count: 0, parts: [empty; PARTS], used: 0, octets: 0 };
        for departure in departures {
            if messages.append(&departure, trains).is_none() && messages.begin(&departure).is_none() {
                break;
            }
        }
        messages
    }

    /// The messages.
    pub(in crate::io) fn list(&self) -> &[Message] {
        self.list.get(..self.count).unwrap_or_default()
    }

    /// The parts of all messages, one behind the other.
    pub(in crate::io) fn parts(&self) -> &[IoSlice<'a>] {
        self.parts.get(..self.used).unwrap_or_default()
    }

    /// Datagrams of the first `count` messages.
    pub(in crate::io) fn datagrams(&self, count: usize) -> usize {
        self.list().iter().take(count).fold(0, |sum, message| sum.saturating_add(message.datagrams))
    }

    /// Puts a datagram into the last message, if that is a train that can take it, or can become one.
    fn append(&mut self, departure: &Departure<'a>, trains: Trains) -> Option<()> {
        let last = self.list.get_mut(self.count.checked_sub(1)?)?;
        let segment = usize::from(last.segment);
        let len = departure.body.len();
        let octets = self.octets.checked_add(len)?;
        let is_whole = segment.checked_mul(last.datagrams) == Some(self.octets);
        let fits = departure.head.is_empty()
            && (departure.to, departure.tos) == (last.to, last.tos)
            && (1..=segment).contains(&len)
            && segment <= trains.longest
            && is_whole
            && last.datagrams < MAX_SEGMENTS
            && octets <= MAX_OCTETS;
        if !fits {
            return None;
        }
        *self.parts.get_mut(self.used)? = IoSlice::new(departure.body);
        self.used = self.used.saturating_add(1);
        last.parts = last.parts.saturating_add(1);
        last.datagrams = last.datagrams.saturating_add(1);
        self.octets = octets;
        Some(())
    }

    fn begin(&mut self, departure: &Departure<'a>) -> Option<()> {
        let message = self.list.get_mut(self.count)?;
        let [first, second, ..] = self.parts.get_mut(self.used..)? else { return None };
        let parts = if departure.head.is_empty() {
            *first = IoSlice::new(departure.body);
            1
        } else {
            (*first, *second) = (IoSlice::new(departure.head), IoSlice::new(departure.body));
            2
        };
        self.octets = departure.head.len().saturating_add(departure.body.len());
        // A longer one is refused by the kernel as it is, and is never part of a train.
        let segment = u16::try_from(self.octets).unwrap_or_default();
        *message = Message { to: departure.to, tos: departure.tos, parts, datagrams: 1, segment };
        self.used = self.used.saturating_add(parts);
        self.count = self.count.saturating_add(1);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    static MEMORY: [u8; 70_000] = [0; 70_000];

    /// A datagram of `len` octets to port `to`.
    fn datagram((len, to, tos): (usize, u16, u8)) -> Departure<'static> {
        Departure { head: &[], body: &MEMORY[..len], to: ([192, 0, 2, 1], to).into(), tos }
    }

    /// How many datagrams each message has.
    fn gathered(list: &[(usize, u16, u8)], trains: Trains) -> Vec<usize> {
        let messages = Messages::gather(list.iter().copied().map(datagram), trains);
        assert_eq!(messages.parts().len(), messages.datagrams(BATCH));
        messages.list().iter().map(|message| message.datagrams).collect()
    }

    #[test]
    fn datagrams_of_one_length_place_and_tos_are_one_train_that_a_shorter_one_ends() {
        let same = |count| vec![(1400, 1, 0); count];
        for (list, expected) in [
            (vec![], vec![]),
            (same(1), vec![1]),
            (same(3), vec![3]),
            ([same(3), vec![(900, 1, 0)], same(2)].concat(), vec![4, 2]),
            (vec![(900, 1, 0), (1400, 1, 0), (1400, 1, 0)], vec![1, 2]),
            (vec![(1400, 1, 0), (1400, 2, 0), (1400, 1, 0)], vec![1, 1, 1]),
            (vec![(1400, 1, 0), (1400, 1, 2), (1400, 1, 2)], vec![1, 2]),
            (vec![(1400, 1, 0), (0, 1, 0), (0, 1, 0)], vec![1, 1, 1]),
            (same(100), vec![46, 46, 8]),
            (vec![(100, 1, 0); 100], vec![64, 36]),
            (vec![(65_507, 1, 0), (1, 1, 0)], vec![1, 1]),
            (vec![(65_506, 1, 0), (1, 1, 0)], vec![2]),
            (vec![(70_000, 1, 0), (70_000, 1, 0)], vec![1, 1]),
            (vec![(0, 1, 0); 1000], vec![1; BATCH]),
            (vec![(100, 1, 0); 1000], vec![64; 4]),
        ] {
            assert_eq!(gathered(&list, Trains::ALL), expected, "{list:?}");
        }
    }

    #[test]
    fn only_datagrams_that_trains_take_are_in_one() {
        let list = [(1400, 1, 0), (1400, 1, 0), (100, 1, 0), (100, 1, 0)];
        assert_eq!(gathered(&list, Trains::NONE), [1; 4]);
        assert_eq!(gathered(&list, Trains { longest: 1399 }), [1, 1, 2]);
        assert_eq!(gathered(&list, Trains { longest: 1400 }), [3, 1]);
    }

    #[test]
    fn a_datagram_of_two_parts_can_only_be_the_first_of_a_message() {
        let marked = Departure { head: b"1234", ..datagram((10, 1, 0)) };
        let messages = Messages::gather([marked, datagram((14, 1, 0))].into_iter(), Trains::ALL);
        assert_eq!(messages.list().iter().map(|one| (one.parts, one.datagrams)).collect::<Vec<_>>(), [(3, 2)]);
        let messages = Messages::gather([datagram((14, 1, 0)), marked].into_iter(), Trains::ALL);
        assert_eq!(messages.list().iter().map(|one| (one.parts, one.datagrams)).collect::<Vec<_>>(), [(1, 1), (2, 1)]);
    }

    #[test]
    fn a_refused_train_is_never_made_again() {
        let os = io::Error::from_raw_os_error;
        let mut trains = Trains::ALL;
        for other in [libc::EAGAIN, libc::EPERM, libc::ENOBUFS, libc::ECONNREFUSED] {
            assert!(!trains.learn(&os(other), 1400));
            assert_eq!(trains, Trains::ALL);
        }
        assert!(trains.learn(&os(libc::EMSGSIZE), 1400) && trains.longest() == 1399);
        assert!(trains.learn(&os(libc::EINVAL), 1450) && trains.longest() == 1399);
        assert!(trains.learn(&os(libc::EINVAL), 600) && trains.longest() == 599);
        assert!(trains.learn(&os(libc::EIO), 300) && trains == Trains::NONE);
    }

    proptest! {
        #[test]
        fn any_datagrams_are_all_gathered_in_order_within_every_bound(
            list in prop::collection::vec((prop_oneof![Just(0_usize), Just(700), 1..2000_usize], 1..3_u16, 0..2_u8), 0..300),
            longest in 0..2000_usize,
        ) {
            let mut rest = &list[..];
            while !rest.is_empty() {
                let messages = Messages::gather(rest.iter().copied().map(datagram), Trains { longest });
                let mut lengths = messages.parts().iter().map(|part| part.len());
                for message in messages.list() {
                    let own: Vec<_> = rest.iter().take(message.datagrams).copied().collect();
                    prop_assert!(message.datagrams == 1 || message.datagrams <= MAX_SEGMENTS && usize::from(message.segment) <= longest);
                    prop_assert!(own.iter().map(|one| one.0).sum::<usize>() <= MAX_OCTETS);
                    for (index, (len, to, tos)) in own.iter().enumerate() {
                        prop_assert_eq!((message.to.port(), message.tos, lengths.next()), (*to, *tos, Some(*len)));
                        let is_last = index + 1 == own.len();
                        prop_assert!(*len == usize::from(message.segment) || is_last && *len < usize::from(message.segment));
                    }
                    rest = &rest[own.len()..];
                }
                prop_assert!(!messages.list().is_empty());
            }
        }
    }
}
