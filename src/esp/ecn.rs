//! The TOS or traffic class octet of the outer header, and what its ECN bits mean to the inner one (RFC 6040, RFC 4301 §5.1.2).

use crate::esp::packet::checksum_after;

/// The inner sender cannot react to the congestion that the outer header reports: the packet must be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CongestionLost;

const ECN: u8 = 0b11;
const NOT_ECT: u8 = 0b00;
const ECT_1: u8 = 0b01;
const ECT_0: u8 = 0b10;
const CE: u8 = 0b11;

/// The outer octet for an inner one: DSCP and ECN are copied (RFC 6040 §4.1, normal mode).
pub const fn encapsulate(inner_tos: u8) -> u8 {
    inner_tos
}

/// The inner octet after decapsulation; DSCP stays, ECN is combined (RFC 6040 §4.2, figure 4).
pub const fn decapsulate(inner_tos: u8, outer_tos: u8) -> Result<u8, CongestionLost> {
    let ecn = match (inner_tos & ECN, outer_tos & ECN) {
        (NOT_ECT, CE) => return Err(CongestionLost),
        (NOT_ECT, _) => NOT_ECT,
        (CE, _) | (_, CE) => CE,
        (ECT_0, ECT_1) => ECT_1,
        (inner, _) => inner,
    };
    Ok((inner_tos & !ECN) | ecn)
}

/// Writes the TOS or traffic class octet of an IP packet, and corrects the checksum of IPv4.
pub(in crate::esp) fn write_tos(packet: &mut [u8], tos: u8) {
    match packet {
        [first, old_tos, _, _, _, _, _, _, _, _, sum_high, sum_low, ..] if *first >> 4 == 4 => {
            let old = u16::from_be_bytes([*first, *old_tos]);
            let new = u16::from_be_bytes([*first, tos]);
            let checksum = checksum_after(u16::from_be_bytes([*sum_high, *sum_low]), old, new);
            [*sum_high, *sum_low] = checksum.to_be_bytes();
            *old_tos = tos;
        }
        [first, second, ..] if *first >> 4 == 6 => {
            *first = 0x60 | (tos >> 4);
            *second = (tos << 4) | (*second & 0x0f);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esp::packet::{InnerPacket, tests::ipv4, tests::ipv6};

    /// RFC 6040 figure 4: rows are the inner field, columns the outer one: Not-ECT, ECT(0), ECT(1), CE.
    #[test]
    fn t_12_all_sixteen_combinations() {
        let columns = [NOT_ECT, ECT_0, ECT_1, CE];
        let rows = [
            (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
            (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
            (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
            (CE, [Some(CE), Some(CE), Some(CE), Some(CE)]),
        ];
        for (inner, expected) in rows {
            for (outer, expected) in columns.into_iter().zip(expected) {
                for dscp in [0u8, 46 << 2, 63 << 2] {
                    let other_dscp = !dscp & !ECN;
                    let result = decapsulate(dscp | inner, other_dscp | outer);
                    assert_eq!(result.ok(), expected.map(|ecn| dscp | ecn), "inner {inner:02b}, outer {outer:02b}");
                }
            }
        }
    }

    #[test]
    fn t_12_encapsulation_copies() {
        for tos in 0..=255 {
            assert_eq!(encapsulate(tos), tos);
        }
    }

    #[test]
    fn t_12_the_checksum_stays_right_whatever_is_written() {
        for before in 0..=255u8 {
            for after in [0, 1, 2, 3, 0xb9, 0xff] {
                let mut packet = ipv4("10.0.0.1", "10.0.0.2", 17, &[0, 1, 0, 2, 0, 8, 0, 0]);
                write_tos(&mut packet, before);
                assert_eq!(InnerPacket::parse(&packet).unwrap().tos(), before);
                write_tos(&mut packet, after);
                assert_eq!(InnerPacket::parse(&packet).unwrap().tos(), after);
            }
        }
    }

    #[test]
    fn t_12_the_flow_label_of_ipv6_stays() {
        let mut packet = ipv6("fd00::1", "fd00::2", 17, &[0, 1, 0, 2, 0, 8, 0, 0]);
        packet[1] |= 0x0a;
        packet[2] = 0xbc;
        write_tos(&mut packet, 0xb9);
        assert_eq!(InnerPacket::parse(&packet).unwrap().tos(), 0xb9);
        assert_eq!(packet[..3], [0x6b, 0x9a, 0xbc]);
    }

    #[test]
    fn what_is_no_ip_packet_stays_as_it_is() {
        for octets in [&[0x50; 40][..], &[0x45; 11], &[0x60], &[]] {
            let mut packet = octets.to_vec();
            write_tos(&mut packet, 0xff);
            assert_eq!(packet, octets);
        }
    }
}
