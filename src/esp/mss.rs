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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::esp::packet::{
        sum,
        tests::{ipv4, ipv6},
    };

    const ACK: u8 = 0x10;

    fn pseudo_sum(packet: &[u8]) -> u16 {
        let inner = InnerPacket::parse(packet).unwrap();
        let segment = &packet[inner.header_len()..inner.total_len()];
        let addresses = if packet[0] >> 4 == 4 { &packet[12..20] } else { &packet[8..40] };
        let len = u16::try_from(segment.len()).unwrap().to_be_bytes();
        sum(&[addresses, &[0, TCP], &len, segment].concat())
    }

    fn segment(flags: u8, options: &[u8]) -> Vec<u8> {
        let mut segment = vec![0x9c, 0x40, 1, 0xbb, 1, 2, 3, 4, 5, 6, 7, 8];
        segment.push(u8::try_from((20 + options.len()) / 4).unwrap() << 4);
        segment.extend([flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(options);
        segment
    }

    fn with_checksum(mut packet: Vec<u8>) -> Vec<u8> {
        let at = InnerPacket::parse(&packet).unwrap().header_len() + 16;
        let checksum = (!pseudo_sum(&packet)).to_be_bytes();
        packet[at..at + 2].copy_from_slice(&checksum);
        packet
    }

    fn v4(flags: u8, options: &[u8]) -> Vec<u8> {
        with_checksum(ipv4("10.0.0.1", "10.0.0.2", TCP, &segment(flags, options)))
    }

    fn v6(flags: u8, options: &[u8]) -> Vec<u8> {
        with_checksum(ipv6("fd00::1", "fd00::2", TCP, &segment(flags, options)))
    }

    fn clamped(packet: &[u8], mtu: u16) -> (Clamp, Vec<u8>) {
        let mut packet = packet.to_vec();
        let inner = InnerPacket::parse(&packet).unwrap();
        let verdict = clamp(&mut packet, &inner, mtu);
        (verdict, packet)
    }

    #[test]
    fn t_09_a_syn_and_its_answer_are_lowered_in_both_families() {
        for flags in [SYN, SYN | ACK] {
            let (verdict, packet) = clamped(&v4(flags, &[2, 4, 0x05, 0xb4]), 1422);
            assert_eq!((verdict, &packet[42..44]), (Clamp::Lowered, &1382u16.to_be_bytes()[..]));
            assert_eq!(pseudo_sum(&packet), 0xffff);
            let (verdict, packet) = clamped(&v6(flags, &[2, 4, 0x05, 0xa0]), 1422);
            assert_eq!((verdict, &packet[62..64]), (Clamp::Lowered, &1362u16.to_be_bytes()[..]));
            assert_eq!(pseudo_sum(&packet), 0xffff);
        }
    }

    #[test]
    fn t_09_what_fits_is_never_raised() {
        for mss in [0, 536, 1381, 1382] {
            let [high, low] = u16::to_be_bytes(mss);
            let packet = v4(SYN, &[2, 4, high, low]);
            assert_eq!(clamped(&packet, 1422), (Clamp::Untouched, packet));
        }
    }

    #[test]
    fn t_09_only_a_whole_tcp_syn_is_touched() {
        let options = [2, 4, 0x05, 0xb4];
        let mut later = v4(SYN, &options);
        later[7] = 1;
        crate::esp::packet::tests::fix_checksum(&mut later);
        let mut first = v4(SYN, &options);
        first[6] = 0x20;
        crate::esp::packet::tests::fix_checksum(&mut first);
        let udp = ipv4("10.0.0.1", "10.0.0.2", 17, &segment(SYN, &options));
        for packet in [v4(ACK, &options), v4(0, &options), v4(SYN, &[]), later, first, udp] {
            assert_eq!(clamped(&packet, 600), (Clamp::Untouched, packet));
        }
    }

    #[test]
    fn t_09_the_option_is_found_behind_others_at_odd_places_too() {
        for before in
            [&[1u8, 1][..], &[1, 1, 1, 1], &[1], &[1, 1, 1], &[4, 2], &[3, 3, 7], &[8, 10, 0, 0, 0, 0, 0, 0, 0, 0]]
        {
            let mut options = before.to_vec();
            options.extend([2, 4, 0xff, 0xfe]);
            options.resize(options.len().next_multiple_of(4), 0);
            let (verdict, packet) = clamped(&v4(SYN, &options), 1400);
            assert_eq!(verdict, Clamp::Lowered, "{before:?}");
            assert_eq!(packet[40 + before.len() + 2..][..2], 1360u16.to_be_bytes());
            assert_eq!(pseudo_sum(&packet), 0xffff, "{before:?}");
        }
    }

    #[test]
    fn t_09_malformed_options_end_the_search() {
        for options in [
            &[0u8, 2, 4, 0xff][..],
            &[2, 3, 0xff, 0xff],
            &[2, 5, 0xff, 0xff],
            &[2, 0, 0xff, 0xff],
            &[9, 0, 2, 4],
            &[9, 1, 2, 4],
            &[9, 255, 2, 4],
            &[1, 1, 1, 2],
            &[1, 1, 2, 4],
            &[1, 2, 4, 0xff],
        ] {
            let packet = v4(SYN, options);
            assert_eq!(clamped(&packet, 600), (Clamp::Untouched, packet), "{options:?}");
        }
    }

    #[test]
    fn t_09_a_data_offset_outside_the_segment_is_left_alone() {
        for offset in (0..5u8).chain(7..16) {
            let mut packet = v4(SYN, &[2, 4, 0xff, 0xff]);
            packet[32] = offset << 4;
            assert_eq!(clamped(&packet, 600).0, Clamp::Untouched, "{offset}");
        }
    }

    proptest! {
        #[test]
        fn t_09_arbitrary_options_keep_a_right_checksum(words in prop::collection::vec(any::<[u8; 4]>(), 0..10), mtu in any::<u16>()) {
            let packet = v6(SYN, words.as_flattened());
            let (_, after) = clamped(&packet, mtu);
            prop_assert_eq!(pseudo_sum(&after), 0xffff);
            prop_assert_eq!(after.len(), packet.len());
        }
    }

    #[test]
    fn t_09_what_stands_behind_the_end_of_the_options_is_no_option() {
        assert_eq!(find_mss(&[NOP, MSS, 4, 0x05, 0xb4]), Some(3));
        assert_eq!(find_mss(&[END, 2, MSS, 4, 0x05, 0xb4]), None);
    }
}
