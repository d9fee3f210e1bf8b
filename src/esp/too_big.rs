//! What a sender is told whose packet does not fit the tunnel (RFC 1191 §4, RFC 4443 §3.2), and how often. It knows packets; it knows no SA.

use std::net::IpAddr;
use std::time::Duration;

use crate::esp::packet::{Fragment, ICMP, ICMPV6, InnerPacket, sum};
use crate::time::Instant;

/// Answers at once, and in each second after that.
const RATE: u32 = 100;

/// An answer to IPv4 quotes so much that it has 576 octets at most (RFC 1812 §4.3.2.3); to IPv6, 1280 (RFC 4443 §2.4).
const QUOTE_V4: usize = 548;
const QUOTE_V6: usize = 1232;

const FRAGMENTATION_NEEDED: [u8; 2] = [3, 4];
const PACKET_TOO_BIG: [u8; 2] = [2, 0];
const HOPS: u8 = 64;

/// Whether a packet may be cut on its way: IPv4 without DF.
pub(in crate::esp) fn may_be_cut(packet: &[u8], inner: &InnerPacket) -> bool {
    inner.source().is_ipv4() && packet.get(6).is_some_and(|flags| flags & 0x40 == 0)
}

/// Tells the sender of `packet`, which `inner` was parsed from, that packets of `mtu` octets fit. `None` for what must not be answered
/// (RFC 1122 §3.2.2, RFC 4443 §2.4).
///
/// The answer is as if from the far end: an address of this host's own would be refused as a forgery, and no other lies beyond the device.
pub(in crate::esp) fn answer(packet: &[u8], inner: &InnerPacket, mtu: u16) -> Option<Vec<u8>> {
    let is_error = packet.get(inner.header_len()).is_some_and(|kind| match inner.protocol() {
        ICMP => matches!(kind, 3 | 4 | 5 | 11 | 12),
        ICMPV6 => *kind < 128,
        _ => false,
    });
    if is_error || inner.fragment() == Fragment::Later || inner.source().is_unspecified() {
        return None;
    }
    let packet = packet.get(..inner.total_len())?;
    match (inner.destination(), inner.source()) {
        (IpAddr::V4(from), IpAddr::V4(to)) if !from.is_multicast() && !from.is_broadcast() => {
            let quote = packet.get(..packet.len().min(QUOTE_V4))?;
            let [high, low] = mtu.to_be_bytes();
            let message = message([&FRAGMENTATION_NEEDED, &[0, 0, 0, 0, high, low][..], quote].concat(), 0);
            let total = u16::try_from(message.len().checked_add(20)?).ok()?.to_be_bytes();
            let mut header = vec![0x45, 0, total[0], total[1], 0, 0, 0x40, 0, HOPS, ICMP, 0, 0];
            header.extend(from.octets());
            header.extend(to.octets());
            let checksum = (!sum(&header)).to_be_bytes();
            header.get_mut(10..12)?.copy_from_slice(&checksum);
            Some([header, message].concat())
        }
        (IpAddr::V6(from), IpAddr::V6(to)) if !from.is_multicast() => {
            let quote = packet.get(..packet.len().min(QUOTE_V6))?;
            let body = [&PACKET_TOO_BIG[..], &[0, 0], &u32::from(mtu).to_be_bytes(), quote].concat();
            let len = u16::try_from(body.len()).ok()?.to_be_bytes();
            let pseudo = [&from.octets()[..], &to.octets(), &[0, 0, len[0], len[1], 0, 0, 0, ICMPV6]].concat();
            let mut header = vec![0x60, 0, 0, 0, len[0], len[1], ICMPV6, HOPS];
            header.extend(from.octets());
            header.extend(to.octets());
            Some([header, message(body, sum(&pseudo))].concat())
        }
        _ => None,
    }
}

/// With its checksum, over a pseudo header with this sum.
fn message(mut body: Vec<u8>, pseudo: u16) -> Vec<u8> {
    let checksum = !sum(&[&pseudo.to_be_bytes()[..], &body].concat());
    if let Some(field) = body.get_mut(2..4) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
    body
}

/// How many answers may still be given (RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8).
#[derive(Debug, Default)]
pub(in crate::esp) struct Allowance {
    given: u32,
    since: Option<Instant>,
}

impl Allowance {
    /// Takes one, if there is one.
    pub(in crate::esp) fn take(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.since(since) >= Duration::from_secs(1)) {
            *self = Self { given: 0, since: Some(now) };
        }
        let has_one = self.given < RATE;
        self.given = self.given.saturating_add(u32::from(has_one));
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esp::packet::tests::{fix_checksum, ipv4, ipv6};

    fn told(packet: &[u8], mtu: u16) -> Option<Vec<u8>> {
        answer(packet, &InnerPacket::parse(packet).unwrap(), mtu)
    }

    #[test]
    fn t_07_the_sender_of_an_ipv4_packet_gets_fragmentation_needed() {
        let packet = ipv4("10.0.0.1", "10.9.0.2", 17, &[7; 1400]);
        let answer = told(&packet, 1206).unwrap();
        let inner = InnerPacket::parse(&answer).unwrap();
        assert_eq!((inner.source(), inner.destination()), ("10.9.0.2".parse().unwrap(), "10.0.0.1".parse().unwrap()));
        assert_eq!((inner.protocol(), inner.total_len(), answer.len()), (ICMP, 576, 576));
        assert_eq!((&answer[20..22], &answer[26..28]), (&[3, 4][..], &1206_u16.to_be_bytes()[..]));
        assert_eq!((sum(&answer[20..]), &answer[28..]), (0xffff, &packet[..548]));
    }

    #[test]
    fn t_07_the_sender_of_an_ipv6_packet_gets_packet_too_big() {
        let packet = ipv6("fd00::1", "fd00:9::2", 17, &[7; 1400]);
        let answer = told(&packet, 1280).unwrap();
        let inner = InnerPacket::parse(&answer).unwrap();
        assert_eq!((inner.source(), inner.destination()), ("fd00:9::2".parse().unwrap(), "fd00::1".parse().unwrap()));
        assert_eq!((inner.protocol(), inner.total_len(), answer.len()), (ICMPV6, 1280, 1280));
        assert_eq!((&answer[40..42], &answer[44..48]), (&[2, 0][..], &1280_u32.to_be_bytes()[..]));
        let pseudo = [&answer[8..40], &[0, 0, 4, 216, 0, 0, 0, ICMPV6], &answer[40..]].concat();
        assert_eq!((sum(&pseudo), &answer[48..]), (0xffff, &packet[..1232]));
    }

    #[test]
    fn t_07_errors_later_fragments_and_multicast_are_not_answered() {
        let error = ipv4("10.0.0.1", "10.9.0.2", ICMP, &[11; 1400]);
        let mut later = ipv4("10.0.0.1", "10.9.0.2", 17, &[7; 1400]);
        later[7] = 1;
        fix_checksum(&mut later);
        let group = ipv4("10.0.0.1", "224.0.0.9", 17, &[7; 1400]);
        let error_v6 = ipv6("fd00::1", "fd00:9::2", ICMPV6, &[1; 1400]);
        let group_v6 = ipv6("fd00::1", "ff05::2", 17, &[7; 1400]);
        for packet in [error, later, group, error_v6, group_v6] {
            assert_eq!(told(&packet, 1206), None);
        }
        assert!(told(&ipv4("10.0.0.1", "10.9.0.2", ICMP, &[8; 1400]), 1206).is_some(), "an echo request is");
        assert!(told(&ipv6("fd00::1", "fd00:9::2", ICMPV6, &[128; 1400]), 1280).is_some(), "so is one of IPv6");
    }

    #[test]
    fn t_07_answers_are_few_whatever_comes() {
        let mut allowance = Allowance::default();
        let at = |milliseconds| Instant::from_start(Duration::from_millis(milliseconds));
        assert_eq!((0..10_000).filter(|_| allowance.take(at(0))).count(), 100);
        assert!(!allowance.take(at(999)) && allowance.take(at(1000)));
    }

    #[test]
    fn t_06_only_ipv4_without_df_may_be_cut() {
        let mut packet = ipv4("10.0.0.1", "10.9.0.2", 17, &[7; 100]);
        let cut = |packet: &[u8]| may_be_cut(packet, &InnerPacket::parse(packet).unwrap());
        assert!(cut(&packet));
        packet[6] = 0x40;
        fix_checksum(&mut packet);
        assert!(!cut(&packet) && !cut(&ipv6("fd00::1", "fd00:9::2", 17, &[])));
    }
}
