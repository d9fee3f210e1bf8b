//! Memory for packets: allocated once, filled by a read, changed in place, emptied by a write.
//! It knows where each packet stands and what became of it; it knows no protocol.

use std::{ops::Range, slice};

use crate::{esp::counters::DropReason, sa::path::Path};

/// Octets free before each packet: ESP header and IV, and whatever header a device wants.
pub const HEAD_ROOM: usize = 64;
/// Octets free behind each packet: padding, trailer and ICV.
pub const TAIL_ROOM: usize = 64;
/// Datagrams that one receive can give at once; more are dropped. Linux' UDP_GRO merges at most 64, and hands over what a sender on the
/// same host sent at once: at most 128.
pub const MAX_SEGMENTS: usize = 128;

/// A fixed number of slots in one piece of memory, filled in order. Reused: nothing is allocated per packet.
///
/// The slots are of equal size, so that one call of the kernel can fill several; or each is as large as its packet, so that many short packets
/// lie close together and memory is touched only as far as it is used.
#[derive(Debug)]
pub struct Batch {
    memory: Box<[u8]>,
    slots: usize,
    room: usize,
    /// Octets from one slot to the next; `None` when each is as large as its packet.
    stride: Option<usize>,
    used: usize,
    /// Where the next slot begins.
    end: usize,
    packets: Vec<Packet>,
    truncated: u64,
}

/// Where a datagram came from, and the octet that carries its ECN bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The addresses, and whether the socket's IKE messages are marked.
    pub path: Path,
    /// The outer TOS or traffic class octet; 0 if unknown.
    pub tos: u8,
}

/// A datagram that is ready to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// Where to.
    pub path: Path,
    /// The outer TOS or traffic class octet.
    pub tos: u8,
    /// ESP header to ICV.
    pub datagram: &'a [u8],
}

/// Which SA of a path works on a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lane(pub u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::esp) enum State {
    /// As it was read.
    Read,
    /// To be sealed with this as the next header.
    ToSeal { lane: Lane, next_header: u8 },
    /// Header and trailer are written; still plain.
    Framed { lane: Lane },
    /// Encrypted.
    Sealed,
    /// ESP, to be opened.
    ToOpen { lane: Lane },
    /// Checked as far as possible before the ICV.
    Candidate { lane: Lane },
    /// Authentic and fresh.
    Opened { lane: Lane, next_header: u8 },
    /// To be delivered.
    Inner,
    /// An IKE message.
    Ike,
    /// A keepalive or a dummy: it has done its work by coming.
    Spent,
    /// Nothing more is done with it.
    Dropped(DropReason),
}

#[derive(Clone, Debug)]
pub(in crate::esp) struct Packet {
    home: Range<usize>,
    /// Within the window.
    pub(in crate::esp) data: Range<usize>,
    pub(in crate::esp) path: Option<Path>,
    pub(in crate::esp) tos: u8,
    pub(in crate::esp) state: State,
}

impl Packet {
    pub(in crate::esp) fn drop_for(&mut self, reason: DropReason) {
        self.state = State::Dropped(reason);
    }
}

impl Batch {
    /// `slots` packets of at most `room` octets each.
    pub fn new(slots: usize, room: usize) -> Self {
        let stride = around(room);
        Self::over(slots.saturating_mul(stride), slots, slots.saturating_mul(MAX_SEGMENTS), room, Some(stride))
    }

    /// At most `slots` packets, which need `octets` together; of these, [`HEAD_ROOM`] and [`TAIL_ROOM`] are around each.
    pub fn packed(slots: usize, octets: usize) -> Self {
        Self::over(octets, slots, slots, octets.saturating_sub(around(0)), None)
    }

    fn over(octets: usize, slots: usize, most: usize, room: usize, stride: Option<usize>) -> Self {
        Self {
            memory: vec![0; octets].into_boxed_slice(),
            slots,
            room,
            stride,
            used: 0,
            end: 0,
            packets: Vec::with_capacity(most),
            truncated: 0,
        }
    }

    /// Forgets all packets.
    pub fn clear(&mut self) {
        self.used = 0;
        self.end = 0;
        self.packets.clear();
    }

    /// How many packets there are, whatever became of them.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// How many packets there can be: what works on a batch makes room for so many, once.
    pub fn most(&self) -> usize {
        self.packets.capacity()
    }

    /// Whether there is no packet.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Whether no slot is vacant.
    pub fn is_full(&self) -> bool {
        self.next_slot().is_none()
    }

    /// Octets of the largest packet.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Memory for the next packet; `None` if the batch is full. In a packed batch it is all that is left.
    pub fn vacant(&mut self) -> Option<&mut [u8]> {
        let (start, room) = self.next_slot()?;
        self.memory.get_mut(start..)?.get_mut(..room)
    }

    /// Memory for all further packets, in the order in which they must be filled. Of a packed batch, one packet's.
    pub fn all_vacant(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let room = self.next_slot().map_or(0, |(_, room)| room);
        let left =
            if self.is_full() { Default::default() } else { self.memory.get_mut(self.end..).unwrap_or_default() };
        let stride = self.stride.unwrap_or(left.len()).max(1);
        left.chunks_exact_mut(stride).filter_map(move |slot| slot.get_mut(HEAD_ROOM..HEAD_ROOM.saturating_add(room)))
    }

    /// The next slot now holds an inner packet of `len` octets.
    pub fn fill_inner(&mut self, len: usize) {
        self.fill(len, None, State::Read);
    }

    /// The next slot now holds a datagram of `len` octets.
    pub fn fill_datagram(&mut self, len: usize, arrival: Arrival) {
        self.fill(len, Some(arrival), State::Read);
    }

    /// The next slot holds nothing of use: the batch has no packet of it.
    pub fn skip(&mut self) {
        if !self.is_full() {
            self.take(0);
        }
    }

    /// A packet came of which there is nothing to keep, for this reason. It takes a slot.
    pub fn push_dropped(&mut self, reason: DropReason) {
        self.fill(0, None, State::Dropped(reason));
    }

    /// The next slot now holds datagrams of `segment` octets each, the last one perhaps shorter: what UDP_GRO gives.
    /// A segment of 0 octets means that there is one datagram.
    pub fn fill_train(&mut self, len: usize, segment: usize, arrival: Arrival) {
        if segment == 0 || segment >= len {
            return self.fill_datagram(len, arrival);
        }
        let Some((mut start, room)) = self.next_slot() else { return };
        let end = start.saturating_add(len.min(room));
        self.take(len.min(room));
        for _ in 0..MAX_SEGMENTS {
            let next = start.saturating_add(segment).min(end);
            self.packets.push(Packet {
                home: start..next,
                data: 0..next.saturating_sub(start),
                path: Some(arrival.path),
                tos: arrival.tos,
                state: State::Read,
            });
            start = next;
            if start >= end {
                return;
            }
        }
        self.truncated = self.truncated.saturating_add(1);
    }

    /// Copies an inner packet in; `false` if it does not fit.
    pub fn push_inner(&mut self, packet: &[u8]) -> bool {
        self.copy_in(packet).is_some_and(|len| {
            self.fill_inner(len);
            true
        })
    }

    /// Copies a datagram in; `false` if it does not fit.
    pub fn push_datagram(&mut self, datagram: &[u8], arrival: Arrival) -> bool {
        self.copy_in(datagram).is_some_and(|len| {
            self.fill_datagram(len, arrival);
            true
        })
    }

    /// What was sealed, in the order in which it was read.
    pub fn sealed(&self) -> impl Iterator<Item = Sealed<'_>> + Clone {
        self.packets
            .iter()
            .filter(|packet| packet.state == State::Sealed)
            .filter_map(|packet| Some(Sealed { path: packet.path?, tos: packet.tos, datagram: self.octets(packet)? }))
    }

    /// The inner packets to deliver, in the order in which they came.
    pub fn inner(&self) -> impl Iterator<Item = &[u8]> {
        self.packets.iter().filter(|packet| packet.state == State::Inner).filter_map(|packet| self.octets(packet))
    }

    /// The IKE messages, without marker, in the order in which they came.
    pub fn ike(&self) -> impl Iterator<Item = (Path, &[u8])> {
        self.packets
            .iter()
            .filter(|packet| packet.state == State::Ike)
            .filter_map(|packet| Some((packet.path?, self.octets(packet)?)))
    }

    /// Why packets were dropped, in the order in which they came.
    pub fn dropped(&self) -> impl Iterator<Item = DropReason> {
        self.packets.iter().filter_map(|packet| match packet.state {
            State::Dropped(reason) => Some(reason),
            _ => None,
        })
    }

    /// Trains that had more than `MAX_SEGMENTS` datagrams, since the batch was made.
    pub fn truncated_trains(&self) -> u64 {
        self.truncated
    }

    pub(in crate::esp) fn packets_mut(&mut self) -> slice::IterMut<'_, Packet> {
        self.packets.iter_mut()
    }

    /// Each packet with the memory it may use.
    pub(in crate::esp) fn windows(&mut self) -> Windows<'_> {
        Windows { memory: &mut self.memory, base: 0, packets: self.packets.iter_mut() }
    }

    /// Adds `len` zero octets to be sealed.
    pub(in crate::esp) fn push_to_seal(&mut self, len: usize, path: Path, lane: Lane, next_header: u8) -> bool {
        let Some(vacant) = self.vacant().and_then(|vacant| vacant.get_mut(..len)) else { return false };
        vacant.fill(0);
        self.fill(len, Some(Arrival { path, tos: 0 }), State::ToSeal { lane, next_header });
        true
    }

    fn fill(&mut self, len: usize, arrival: Option<Arrival>, state: State) {
        let Some((_, room)) = self.next_slot() else { return };
        let len = len.min(room);
        self.packets.push(Packet {
            home: self.end..self.end.saturating_add(around(len)),
            data: HEAD_ROOM..HEAD_ROOM.saturating_add(len),
            path: arrival.map(|arrival| arrival.path),
            tos: arrival.map_or(0, |arrival| arrival.tos),
            state,
        });
        self.take(len);
    }

    fn copy_in(&mut self, octets: &[u8]) -> Option<usize> {
        self.vacant()?.get_mut(..octets.len())?.copy_from_slice(octets);
        Some(octets.len())
    }

    /// Where the next packet begins, and how long it may be.
    fn next_slot(&self) -> Option<(usize, usize)> {
        let left = self.memory.len().checked_sub(self.end)?.checked_sub(around(0))?;
        (self.used < self.slots).then(|| (self.end.saturating_add(HEAD_ROOM), left.min(self.room)))
    }

    /// The next slot is used, for `len` octets.
    fn take(&mut self, len: usize) {
        self.used = self.used.saturating_add(1);
        self.end = self.end.saturating_add(self.stride.unwrap_or(around(len)));
    }

    fn octets(&self, packet: &Packet) -> Option<&[u8]> {
        self.memory.get(packet.home.clone())?.get(packet.data.clone())
    }
}

/// Octets of the slot of a packet.
const fn around(len: usize) -> usize {
    HEAD_ROOM.saturating_add(len).saturating_add(TAIL_ROOM)
}

/// Packets ascend in memory and do not overlap, so each window is split off what the ones before it left.
pub(in crate::esp) struct Windows<'a> {
    memory: &'a mut [u8],
    base: usize,
    packets: slice::IterMut<'a, Packet>,
}

impl<'a> Iterator for Windows<'a> {
    type Item = (&'a mut Packet, &'a mut [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let packet = self.packets.next()?;
        let gap = packet.home.start.checked_sub(self.base)?;
        let (_, rest) = std::mem::take(&mut self.memory).split_at_mut_checked(gap)?;
        let (window, rest) = rest.split_at_mut_checked(packet.home.len())?;
        self.memory = rest;
        self.base = packet.home.end;
        Some((packet, window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sa::path::Framing;

    fn arrival() -> Arrival {
        let path = Path {
            local: "192.0.2.1:4500".parse().unwrap(),
            remote: "198.51.100.1:4500".parse().unwrap(),
            framing: Framing::Marked,
        };
        Arrival { path, tos: 2 }
    }

    fn contents(batch: &mut Batch) -> Vec<Vec<u8>> {
        batch.windows().map(|(packet, window)| window[packet.data.clone()].to_vec()).collect()
    }

    #[test]
    fn packets_come_back_in_order_until_the_batch_is_full() {
        let mut batch = Batch::new(3, 10);
        for packet in [&[1u8, 2][..], &[], &[3; 10]] {
            assert!(!batch.is_full());
            assert!(batch.push_inner(packet));
        }
        assert!(batch.is_full());
        assert!(!batch.push_inner(&[4]));
        assert!(batch.vacant().is_none());
        batch.fill_inner(1);
        assert_eq!(contents(&mut batch), [vec![1, 2], vec![], vec![3; 10]]);
        batch.clear();
        assert!(batch.is_empty() && !batch.is_full());
    }

    #[test]
    fn a_slot_that_is_skipped_holds_no_packet() {
        let mut batch = Batch::new(2, 10);
        batch.skip();
        assert!(batch.is_empty() && !batch.is_full());
        assert!(batch.push_inner(&[1]));
        assert!(batch.is_full());
        batch.skip();
        assert_eq!(contents(&mut batch), [[1]]);
    }

    #[test]
    fn what_is_longer_than_the_room_does_not_fit() {
        let mut batch = Batch::new(2, 10);
        assert!(batch.most() >= 2);
        assert_eq!(batch.room(), 10);
        assert!(!batch.push_datagram(&[0; 11], arrival()));
        assert_eq!(batch.vacant().unwrap().len(), 10);
        batch.fill_inner(999);
        assert_eq!(contents(&mut batch), [vec![0; 10]]);
    }

    #[test]
    fn all_vacant_slots_are_those_that_filling_takes() {
        let mut batch = Batch::new(4, 8);
        batch.push_inner(&[9]);
        for (value, slot) in (0..).zip(batch.all_vacant()) {
            slot.fill(value);
        }
        batch.fill_inner(8);
        batch.fill_inner(1);
        batch.fill_inner(2);
        assert_eq!(contents(&mut batch), [vec![9], vec![0; 8], vec![1], vec![2, 2]]);
        assert_eq!(batch.all_vacant().count(), 0);
    }

    #[test]
    fn packed_packets_lie_close_together_until_slots_or_memory_end() {
        let mut batch = Batch::packed(3, 3 * around(0) + 100);
        assert_eq!(batch.vacant().unwrap().len(), 100 + 2 * around(0));
        assert!(batch.push_inner(&[1; 60]));
        assert!(!batch.push_inner(&[0; 41 + around(0)]));
        assert!(batch.push_inner(&[2; 40]));
        assert_eq!(batch.vacant().unwrap().len(), 0);
        assert!(batch.push_inner(&[]));
        assert!(batch.is_full() && batch.vacant().is_none());
        assert_eq!(contents(&mut batch), [vec![1; 60], vec![2; 40], vec![]]);
        let ends: Vec<_> = batch.packets.iter().map(|packet| packet.home.end).collect();
        assert_eq!(ends, [around(60), around(60) + around(40), 3 * around(0) + 100]);
        batch.clear();
        assert!(batch.push_inner(&[3; 100 + 2 * around(0)]));
        assert!(batch.is_full() && batch.vacant().is_none(), "memory has ended before the slots");
        batch.fill_inner(1);
        assert_eq!(contents(&mut batch), [vec![3; 100 + 2 * around(0)]]);
    }

    #[test]
    fn packets_lie_close_together_in_a_packed_batch_of_datagrams_too() {
        let mut batch = Batch::packed(4, 1000);
        let vacant = batch.all_vacant().next().unwrap();
        vacant[..5].copy_from_slice(b"train");
        batch.fill_train(5, 2, arrival());
        batch.push_datagram(b"single", arrival());
        assert_eq!(contents(&mut batch), [&b"tr"[..], b"ai", b"n", b"single"]);
    }

    #[test]
    fn what_was_dropped_before_it_came_here_is_told_with_the_rest() {
        let mut batch = Batch::new(2, 10);
        batch.push_inner(&[1]);
        batch.push_dropped(DropReason::Offload);
        batch.push_dropped(DropReason::NotIp);
        assert_eq!(batch.dropped().collect::<Vec<_>>(), [DropReason::Offload], "and takes a slot");
    }

    #[test]
    fn e_16_trains_fall_into_segments_and_a_short_last_one() {
        for (len, segment, expected) in [
            (6, 2, vec![2, 2, 2]),
            (7, 3, vec![3, 3, 1]),
            (7, 7, vec![7]),
            (7, 8, vec![7]),
            (7, 0, vec![7]),
            (0, 0, vec![0]),
            (0, 5, vec![0]),
            (99, 4, vec![4, 4, 2]),
        ] {
            let mut batch = Batch::new(2, 10);
            batch.vacant().unwrap().copy_from_slice(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
            batch.fill_train(len, segment, arrival());
            batch.push_datagram(&[42], arrival());
            let found = contents(&mut batch);
            let lengths: Vec<_> = found[..found.len() - 1].iter().map(Vec::len).collect();
            assert_eq!(lengths, expected, "{len} in {segment}");
            assert_eq!(found.concat().len(), len.min(10) + 1);
            assert_eq!(found.last().unwrap(), &[42]);
        }
    }

    #[test]
    fn e_16_a_train_is_cut_after_the_most_segments_there_can_be() {
        let mut batch = Batch::new(2, 1000);
        batch.fill_train(1000, 1, arrival());
        assert_eq!((batch.len(), batch.truncated_trains()), (MAX_SEGMENTS, 1));
        batch.clear();
        batch.fill_train(MAX_SEGMENTS, 1, arrival());
        assert_eq!((batch.len(), batch.truncated_trains()), (MAX_SEGMENTS, 1), "no more than there can be");
        batch.clear();
        batch.fill_train(1000, 1, arrival());
        assert_eq!(batch.truncated_trains(), 2);
    }
}
