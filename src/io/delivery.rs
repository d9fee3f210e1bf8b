//! Hands a batch's inner packets to the TUN device: merged into super-packets where the device takes them, else one by one.

use std::io::{self, IoSlice};

use crate::esp::batch::Batch;
use crate::io::offload::coalesce::{Coalescer, Mergeable, Parcel};
use crate::io::offload::header::{Header, Segmented};
use crate::io::tun::{self, MAX_PARTS, Offload, Tun};

/// What was delivered, and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Super-packets that the device took.
    pub super_packets: u64,
    /// Inner packets that were in them.
    pub merged: u64,
    /// Super-packets that the device refused, and whose packets were written one by one instead.
    pub taken_apart: u64,
    /// Inner packets that the device refused.
    pub refused: u64,
}

/// Writes inner packets to one device. Its memory is kept from batch to batch.
#[derive(Debug)]
pub struct Delivery {
    coalescer: Coalescer,
    /// Empty between batches.
    packets: Vec<&'static [u8]>,
    delivered: Delivered,
}

impl Delivery {
    /// For a device with this step of offload, and batches of so many packets; for more, memory is asked for.
    pub fn new(offload: Offload, packets: usize) -> Self {
        // Who cuts UDP super-packets for its reader cuts those of its writer too.
        let mergeable = Mergeable { tcp: offload >= Offload::Header, udp: offload >= Offload::Udp };
        Self {
            coalescer: Coalescer::new(mergeable, packets),
            packets: Vec::with_capacity(packets),
            delivered: Delivered::default(),
        }
    }

    /// Writes a batch's inner packets.
    ///
    /// # Errors
    /// The device is of no use any more. What it says of single packets (it is down, say) is counted.
    pub fn deliver(&mut self, tun: &Tun, batch: &Batch) -> io::Result<()> {
        self.deliver_by(batch.inner(), |header, parts| tun.write(header, parts))
    }

    /// What was delivered so far.
    pub const fn delivered(&self) -> Delivered {
        self.delivered
    }

    fn deliver_by<'a>(
        &mut self,
        mut inner: impl Iterator<Item = &'a [u8]>,
        mut write: impl FnMut(&Header, &[IoSlice<'_>]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut mergeable = self.coalescer.mergeable();
        if mergeable == Mergeable::default() {
            return inner.try_for_each(|packet| self.delivered.single(packet, &mut write).map(drop));
        }
        let mut packets = recycle(std::mem::take(&mut self.packets));
        packets.extend(inner);
        let written = self
            .coalescer
            .merge(&packets)
            .try_for_each(|parcel| self.delivered.parcel(&parcel, &mut mergeable, &mut write));
        self.packets = recycle(packets);
        self.coalescer.set_mergeable(mergeable);
        written
    }
}

impl Delivered {
    fn parcel(
        &mut self,
        parcel: &Parcel<'_>,
        mergeable: &mut Mergeable,
        write: &mut impl FnMut(&Header, &[IoSlice<'_>]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut refusal = None;
        if let Some(headers) = parcel.headers() {
            let mut parts = [IoSlice::new(headers.octets()); MAX_PARTS];
            let mut count = 1_usize;
            for (part, payload) in parts.iter_mut().skip(1).zip(parcel.payloads()) {
                *part = IoSlice::new(payload);
                count = count.saturating_add(1);
            }
            match write(&headers.header, parts.get(..count).unwrap_or_default()) {
                Ok(()) => {
                    self.super_packets = self.super_packets.saturating_add(1);
                    let merged = u64::try_from(count.saturating_sub(1)).unwrap_or(u64::MAX);
                    self.merged = self.merged.saturating_add(merged);
                    return Ok(());
                }
                Err(error) if tun::is_gone(&error) => return Err(error),
                Err(error) => {
                    self.taken_apart = self.taken_apart.saturating_add(1);
                    refusal = headers.header.segmentation.filter(|_| is_for_good(&error));
                }
            }
        }
        let mut some_passed = false;
        for packet in parcel.packets() {
            some_passed |= self.single(packet, write)? == Taken::Yes;
        }
        // A device that is down refuses everything, and says nothing about super-packets.
        match refusal.filter(|_| some_passed).map(|segmentation| segmentation.protocol) {
            Some(Segmented::Udp) => mergeable.udp = false,
            Some(Segmented::TcpV4 | Segmented::TcpV6) => mergeable.tcp = false,
            None => {}
        }
        Ok(())
    }

    fn single(
        &mut self,
        packet: &[u8],
        write: &mut impl FnMut(&Header, &[IoSlice<'_>]) -> io::Result<()>,
    ) -> io::Result<Taken> {
        match write(&Header::default(), &[IoSlice::new(packet)]) {
            Ok(()) => Ok(Taken::Yes),
            Err(error) if tun::is_gone(&error) => Err(error),
            Err(_) => {
                self.refused = self.refused.saturating_add(1);
                Ok(Taken::No)
            }
        }
    }
}

/// Whether the device took a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Yes,
    No,
}

/// Whether an error says that the device takes no such packets, rather than that memory is short just now.
fn is_for_good(error: &io::Error) -> bool {
    !matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::ENOBUFS | libc::EAGAIN | libc::EINTR))
}

/// The same memory for slices of another borrow, so that a list of them is allocated once.
fn recycle<'a>(packets: Vec<&[u8]>) -> Vec<&'a [u8]> {
    packets.into_iter().map_while(|_| None).collect()
}

#[cfg(test)]
mod tests;
