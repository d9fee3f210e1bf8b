//! What the device gives becomes packets as they are on a wire: a super-packet falls into its segments, an unfinished checksum is finished.
//! What the header says is held against the packet first; a header that does not fit drops it.

use crate::esp::{
    counters::DropReason,
    packet::{Fragment, InnerPacket},
};
use crate::io::offload::{
    CWR, FIN, IPV6_HEADER, PSH, TCP, TCP_HEADER, UDP, UDP_HEADER,
    checksum::Sum,
    header::{Header, Segmented, Unfinished},
};

const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

/// A packet of the device on its way into a batch. What the batch has no room for goes on in the next.
#[derive(Clone, Debug)]
pub struct Split {
    work: Work,
    /// Octets of the packet.
    len: usize,
    /// Where what was not written yet begins.
    next: usize,
}

#[derive(Clone, Debug)]
enum Work {
    /// It is finished.
    Copy,
    /// The sum from `start` on is to be written to `field`.
    Finish { start: usize, field: usize },
    /// It falls into segments.
    Segment(Shape),
}

#[derive(Clone, Debug)]
struct Shape {
    transport: Transport,
    is_ipv4: bool,
    /// Octets before the TCP or UDP header.
    network_len: usize,
    /// Octets behind these.
    upper_len: u16,
    /// Octets before the payload.
    headers: usize,
    /// Payload octets of each segment but the last.
    size: usize,
    /// Segments written so far; IPv4's identification counts with it.
    index: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Tcp,
    Udp,
}

impl Split {
    /// Looks at a packet and what its header says. `write` must be given the same packet.
    ///
    /// # Errors
    /// Why it is dropped.
    pub fn new(header: &Header, packet: &[u8]) -> Result<Self, DropReason> {
        let work = match (header.segmentation, header.unfinished) {
            (None, None) => Work::Copy,
            (None, Some(unfinished)) => {
                let (start, field) = places(unfinished);
                if field.saturating_add(2) > packet.len() {
                    return Err(DropReason::Offload);
                }
                Work::Finish { start, field }
            }
            (Some(_), None) => return Err(DropReason::Offload),
            (Some(segmentation), Some(unfinished)) => {
                let inner = InnerPacket::parse(packet)?;
                let size = usize::from(segmentation.size.get());
                let shape = Shape::of(packet, &inner, segmentation.protocol, unfinished, size)?;
                return Ok(Self { len: inner.total_len(), next: shape.headers, work: Work::Segment(shape) });
            }
        };
        Ok(Self { work, len: packet.len(), next: 0 })
    }

    /// Whether all of it was written.
    pub const fn is_done(&self) -> bool {
        self.next >= self.len
    }

    /// Writes the next packet into `out` and gives its length; `None`, and nothing is lost, when `out` is too short for it.
    pub fn write(&mut self, packet: &[u8], out: &mut [u8]) -> Option<usize> {
        match &mut self.work {
            Work::Segment(shape) => {
                let end = self.next.saturating_add(shape.size).min(self.len);
                let len = shape.write(packet, self.next..end, end == self.len, out)?;
                self.next = end;
                Some(len)
            }
            Work::Copy => {
                out.get_mut(..self.len)?.copy_from_slice(packet.get(..self.len)?);
                self.next = self.len;
                Some(self.len)
            }
            Work::Finish { start, field } => {
                let out = out.get_mut(..self.len)?;
                out.copy_from_slice(packet.get(..self.len)?);
                let checksum = Sum::default().add(out.get(*start..)?).checksum();
                put(out, *field, never_zero(checksum).to_be_bytes())?;
                self.next = self.len;
                Some(self.len)
            }
        }
    }
}

impl Shape {
    fn of(
        packet: &[u8],
        inner: &InnerPacket,
        segmented: Segmented,
        unfinished: Unfinished,
        size: usize,
    ) -> Result<Self, DropReason> {
        let is_ipv4 = inner.source().is_ipv4();
        let transport = match (segmented, is_ipv4, inner.protocol()) {
            (Segmented::TcpV4, true, TCP) | (Segmented::TcpV6, false, TCP) => Transport::Tcp,
            (Segmented::Udp, _, UDP) => Transport::Udp,
            _ => return Err(DropReason::Offload),
        };
        let network_len = inner.header_len();
        let (header_len, checksum) = match transport {
            Transport::Udp => (UDP_HEADER, UDP_CHECKSUM),
            Transport::Tcp => {
                let [offset] = take(packet, network_len.saturating_add(12)).ok_or(DropReason::Offload)?;
                (usize::from(offset >> 4).saturating_mul(4), TCP_CHECKSUM)
            }
        };
        let headers = network_len.saturating_add(header_len);
        let fits = inner.fragment() == Fragment::Whole
            && (transport == Transport::Udp || header_len >= TCP_HEADER)
            && places(unfinished) == (network_len, network_len.saturating_add(checksum))
            && headers < inner.total_len();
        if !fits {
            return Err(DropReason::Offload);
        }
        let upper_len = inner.total_len().checked_sub(network_len).and_then(|len| u16::try_from(len).ok());
        let upper_len = upper_len.ok_or(DropReason::Offload)?;
        Ok(Self { transport, is_ipv4, network_len, upper_len, headers, size, index: 0 })
    }

    fn write(
        &mut self,
        packet: &[u8],
        payload: std::ops::Range<usize>,
        is_last: bool,
        out: &mut [u8],
    ) -> Option<usize> {
        let len = self.headers.checked_add(payload.len())?;
        let sent = u32::try_from(payload.start.checked_sub(self.headers)?).ok()?;
        let (head, body) = out.get_mut(..len)?.split_at_mut_checked(self.headers)?;
        head.copy_from_slice(packet.get(..self.headers)?);
        body.copy_from_slice(packet.get(payload)?);
        let (network, transport) = head.split_at_mut_checked(self.network_len)?;

        let upper_len = u16::try_from(len.checked_sub(self.network_len)?).ok()?;
        let field = match self.transport {
            Transport::Tcp => {
                let sequence = u32::from_be_bytes(take(transport, 4)?).wrapping_add(sent);
                put(transport, 4, sequence.to_be_bytes())?;
                let [mut flags] = take(transport, 13)?;
                if !is_last {
                    flags &= !(FIN | PSH);
                }
                if self.index > 0 {
                    flags &= !CWR; // RFC 3168 §6.1.2
                }
                put(transport, 13, [flags])?;
                TCP_CHECKSUM
            }
            Transport::Udp => {
                put(transport, 4, upper_len.to_be_bytes())?;
                UDP_CHECKSUM
            }
        };
        // The field holds the pseudo header's sum with the super-packet's length: the addresses in it are right even behind a routing header.
        let pseudo: [u8; 2] = take(transport, field)?;
        put(transport, field, [0, 0])?;
        let lengths = [(!self.upper_len).to_be_bytes(), upper_len.to_be_bytes()];
        let sum = Sum::default().add(&pseudo).add(lengths.as_flattened()).add(transport).add(body);
        put(transport, field, never_zero(sum.checksum()).to_be_bytes())?;

        if self.is_ipv4 {
            let identification = u16::from_be_bytes(take(network, 4)?).wrapping_add(self.index);
            put(network, 2, u16::try_from(len).ok()?.to_be_bytes())?;
            put(network, 4, identification.to_be_bytes())?;
            put(network, 10, [0, 0])?;
            let checksum = Sum::default().add(network).checksum();
            put(network, 10, checksum.to_be_bytes())?;
        } else {
            put(network, 4, u16::try_from(len.checked_sub(IPV6_HEADER)?).ok()?.to_be_bytes())?;
        }
        self.index = self.index.wrapping_add(1);
        Some(len)
    }
}

/// Where the sum begins and where it is written.
fn places(unfinished: Unfinished) -> (usize, usize) {
    let start = usize::from(unfinished.start);
    (start, start.saturating_add(usize::from(unfinished.offset)))
}

/// RFC 768: a checksum of zero would mean that there is none. Elsewhere both zeros are right.
const fn never_zero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

fn take<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..)?.first_chunk().copied()
}

fn put<const N: usize>(octets: &mut [u8], at: usize, value: [u8; N]) -> Option<()> {
    *octets.get_mut(at..)?.first_chunk_mut()? = value;
    Some(())
}

#[cfg(test)]
mod tests;
