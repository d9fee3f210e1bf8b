//! From the device into a batch: packets as they are on a wire, whatever the device gives.
//!
//! It knows how much waits. What becomes of the packets is `esp`'s matter.

use std::io;

use crate::esp::batch::Batch;
use crate::esp::counters::DropReason;
use crate::io::offload::split::Split;
use crate::io::tun::{Offload, Tun};

/// Octets of the longest packet: an IPv6 header and what its length field can say.
const LONGEST: usize = 65_575;

/// Memory for what the device gave last, and how much of it is still to be handed on.
#[derive(Debug)]
pub struct Intake {
    memory: Box<[u8]>,
    len: usize,
    rest: Option<Split>,
}

/// Whether something is left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// No: the device has nothing more.
    Nothing,
    /// Perhaps: the batch had no room for more.
    More,
}

impl Default for Intake {
    fn default() -> Self {
        Self { memory: vec![0; LONGEST].into_boxed_slice(), len: 0, rest: None }
    }
}

impl Intake {
    /// Fills a batch with the packets that wait at the device, without waiting for more. A super-packet that has more segments than the batch has
    /// room for goes on in the next one, before anything else.
    ///
    /// # Errors
    /// The device is of no use any more.
    pub fn fill(&mut self, tun: &Tun, batch: &mut Batch) -> io::Result<Left> {
        loop {
            self.hand_on(batch);
            if self.rest.is_some() || batch.is_full() {
                return Ok(Left::More);
            }
            let (header, len) = match tun.read(&mut self.memory) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Left::Nothing),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if concerns_one_packet(tun, &error) => {
                    batch.push_dropped(DropReason::Offload);
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.len = len.min(self.memory.len());
            match Split::new(&header, self.memory.get(..self.len).unwrap_or_default()) {
                Ok(split) => self.rest = Some(split),
                Err(reason) => batch.push_dropped(reason),
            }
        }
    }

    /// Fills a batch with what is left of a super-packet, and reads nothing more.
    pub fn finish(&mut self, batch: &mut Batch) -> Left {
        self.hand_on(batch);
        if self.rest.is_some() { Left::More } else { Left::Nothing }
    }

    fn hand_on(&mut self, batch: &mut Batch) {
        let Some(split) = &mut self.rest else { return };
        let packet = self.memory.get(..self.len).unwrap_or_default();
        while let Some(vacant) = batch.vacant() {
            match split.write(packet, vacant) {
                Some(len) => batch.fill_inner(len),
                // Not even an empty batch has room for it.
                None if batch.is_empty() => {
                    batch.push_dropped(DropReason::TooLong);
                    self.rest = None;
                    return;
                }
                None => return,
            }
            if split.is_done() {
                self.rest = None;
                return;
            }
        }
    }
}

/// The kernel could not put what is unfinished into a header, or nobody can read what it put there. The packet is gone; the next one may be good.
fn concerns_one_packet(tun: &Tun, error: &io::Error) -> bool {
    let unreadable = error.kind() == io::ErrorKind::InvalidData || error.raw_os_error() == Some(libc::EINVAL);
    tun.offload() != Offload::None && unreadable
}
