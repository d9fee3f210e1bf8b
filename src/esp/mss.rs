//! Lowers the maximum segment size that a TCP handshake announces, so that segments fit the tunnel (RFC 9293 §3.7.1).

use crate::esp::{
    mtu::{mss_v4, mss_v6},
    packet::{Fragment, InnerPacket, TCP, checksum_after},
};

const HEADER: usize = 20;
const SYN: u8 = 0x02;
const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;

/// Whether the packet was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clamp {
    /// The option was lowered.
    Lowered,
    /// There was nothing to do, or the packet is not a well-formed SYN.
    Untouched,
}

/// Lowers the MSS option of a SYN to what a packet of `mtu` octets holds. Never raises it, and adds none where there is none.
/// `packet` is what `inner` was parsed from.
pub fn clamp(packet: &mut [u8], inner: &InnerPacket, mtu: u16) -> Clamp {
    if inner.protocol() != TCP || inner.fragment() != Fragment::Whole {
        return Clamp::Untouched;
    }
    let limit = if inner.source().is_ipv4() { mss_v4(mtu) } else { mss_v6(mtu) };
    let segment = packet.get_mut(inner.header_len()..inner.total_len()).unwrap_or_default();
    lower(segment, limit).map_or(Clamp::Untouched, |()| Clamp::Lowered)
}

fn lower(segment: &mut [u8], limit: u16) -> Option<()> {
    let offset = usize::from(segment.get(12)? >> 4).checked_mul(4)?;
    if segment.get(13)? & SYN == 0 {
        return None;
    }
    let at = find_mss(segment.get(HEADER..offset)?)?.checked_add(HEADER)?;
    let old = octets_at(segment, at)?;
    if u16::from_be_bytes(old) <= limit {
        return None;
    }
    let new = limit.to_be_bytes();
    let checksum = u16::from_be_bytes(octets_at(segment, 16)?);
    // RFC 1071 §2(B): behind an odd number of octets the sum sees the two swapped.
    let order =
        |octets: [u8; 2]| if at.is_multiple_of(2) { u16::from_be_bytes(octets) } else { u16::from_le_bytes(octets) };
    let checksum = checksum_after(checksum, order(old), order(new)).to_be_bytes();
    segment.get_mut(16..18)?.copy_from_slice(&checksum);
    segment.get_mut(at..at.checked_add(2)?)?.copy_from_slice(&new);
    Some(())
}

/// Where the value of the first MSS option stands, if all options up to it are well-formed.
fn find_mss(options: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    loop {
        let rest = options.get(at..)?;
        at = match rest {
            [END, ..] | [] => return None,
            [NOP, ..] => at.checked_add(1)?,
            [MSS, 4, _, _, ..] => return at.checked_add(2),
            [_, len, ..] if *len >= 2 => at.checked_add(usize::from(*len))?,
            _ => return None,
        };
    }
}

fn octets_at(segment: &[u8], at: usize) -> Option<[u8; 2]> {
    segment.get(at..)?.first_chunk().copied()
}
