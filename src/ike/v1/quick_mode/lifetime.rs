//! How long the SAs of a quick mode live: the shorter of what both sides say (RFC 2407 §4.5.4, §4.6.3.1).

use std::time::Duration;

use crate::ike::v1::message::Notify;
use crate::sa::lifetime::Lifetime;
use crate::sa::spi::OutboundSpi;

/// RFC 2407 §4.6.3.
const RESPONDER_LIFETIME: u16 = 24576;
const PROTOCOL_ESP: u8 = 3;

const LIFE_TYPE: u16 = 1;
const LIFE_DURATION: u16 = 2;
const SECONDS: u64 = 1;
const KILOBYTES: u64 = 2;

/// The top bit of an attribute's type: its value is the two octets that follow.
const SHORT_FORM: u16 = 0x8000;

/// The shorter of each. Nothing, or zero, is no limit that a peer can set.
pub(super) fn shorter(ours: Lifetime, theirs: Lifetime) -> Lifetime {
    Lifetime {
        time: least(ours.time, theirs.time.filter(|time| !time.is_zero())),
        bytes: least(ours.bytes, theirs.bytes.filter(|bytes| *bytes != 0)),
        packets: ours.packets,
    }
}

/// What RESPONDER-LIFETIME notifies for the SA with this SPI make of `lifetime`: they shorten, never lengthen.
pub(super) fn shortened(lifetime: Lifetime, notifies: &[Notify], spi: OutboundSpi) -> Lifetime {
    let named = |notify: &&Notify| {
        notify.kind == RESPONDER_LIFETIME && notify.protocol == PROTOCOL_ESP && notify.spi == spi.to_octets()
    };
    notifies.iter().filter(named).fold(lifetime, |lifetime, notify| shorter(lifetime, announced(&notify.data)))
}

fn least<T: Ord>(ours: Option<T>, theirs: Option<T>) -> Option<T> {
    ours.into_iter().chain(theirs).min()
}

/// Pairs of type and duration, in that order.
fn announced(mut octets: &[u8]) -> Lifetime {
    let (mut lifetime, mut kind) = (Lifetime::default(), None);
    while let Some((attribute, rest)) = take_attribute(octets) {
        octets = rest;
        match attribute {
            (LIFE_TYPE, value) => kind = value,
            (LIFE_DURATION, Some(value)) => match kind.take() {
                Some(SECONDS) => lifetime.time = Some(Duration::from_secs(value)),
                Some(KILOBYTES) => lifetime.bytes = Some(value.saturating_mul(1024)),
                _ => {}
            },
            _ => {}
        }
    }
    lifetime
}

/// The type, and the value if it fits eight octets (RFC 2408 §3.3).
type Attribute = (u16, Option<u64>);

fn take_attribute(octets: &[u8]) -> Option<(Attribute, &[u8])> {
    let (head, rest) = octets.split_first_chunk::<4>()?;
    let [a, b, c, d] = *head;
    let (kind, field) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    if kind & SHORT_FORM != 0 {
        return Some(((kind & !SHORT_FORM, Some(field.into())), rest));
    }
    let (value, rest) = rest.split_at_checked(field.into())?;
    Some(((kind, number(value)), rest))
}

fn number(octets: &[u8]) -> Option<u64> {
    let significant = octets.iter().position(|octet| *octet != 0).map_or(&[][..], |at| octets.get(at..).unwrap_or(&[]));
    if octets.is_empty() || significant.len() > 8 {
        return None;
    }
    Some(significant.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPI: [u8; 4] = [0xc0, 1, 2, 3];

    fn spi() -> OutboundSpi {
        OutboundSpi::new(u32::from_be_bytes(SPI)).unwrap()
    }

    fn hours(hours: u64) -> Lifetime {
        Lifetime { time: Some(Duration::from_secs(hours * 3600)), ..Lifetime::default() }
    }

    fn notify(data: &[u8]) -> Notify {
        Notify { protocol: 3, spi: SPI.to_vec(), kind: 24576, data: data.to_vec() }
    }

    #[test]
    fn k1_014_the_shorter_lifetime_of_both_sides_is_used() {
        assert_eq!(shorter(hours(8), hours(1)), hours(1));
        assert_eq!(shorter(hours(1), hours(8)), hours(1));
        assert_eq!(shorter(hours(1), Lifetime::default()), hours(1));
        assert_eq!(shorter(Lifetime::default(), hours(1)), hours(1));
        let theirs = Lifetime { bytes: Some(4096), ..Lifetime::default() };
        assert_eq!(shorter(hours(8), theirs), Lifetime { bytes: Some(4096), ..hours(8) });
    }

    #[test]
    fn k1_014_a_duration_of_zero_is_no_limit() {
        let zero = Lifetime { time: Some(Duration::ZERO), bytes: Some(0), packets: None };
        assert_eq!(shorter(hours(8), zero), hours(8));
    }

    #[test]
    fn k1_014_responder_lifetime_shortens_in_seconds_and_kilobytes() {
        let seconds = [0x80, 1, 0, 1, 0x80, 2, 14, 16];
        assert_eq!(shortened(hours(8), &[notify(&seconds)], spi()), hours(1));
        let kilobytes = [0x80, 1, 0, 2, 0, 2, 0, 4, 0, 0, 16, 0];
        let both = notify(&[&seconds[..], &kilobytes].concat());
        assert_eq!(shortened(hours(8), &[both], spi()), Lifetime { bytes: Some(4096 * 1024), ..hours(1) });
        let eight_octets = [0, 1, 0, 2, 0, 1, 0, 2, 0, 8, 0, 0, 0, 0, 0, 0, 14, 16];
        assert_eq!(shortened(hours(8), &[notify(&eight_octets)], spi()), hours(1));
    }

    #[test]
    fn k1_014_responder_lifetime_never_lengthens_and_means_one_spi_only() {
        let day = [0x80, 1, 0, 1, 0, 2, 0, 4, 0, 1, 0x51, 0x80];
        assert_eq!(shortened(hours(8), &[notify(&day)], spi()), hours(8));
        let short = [0x80, 1, 0, 1, 0x80, 2, 0, 60];
        for other in [
            Notify { spi: vec![0xc0, 1, 2, 4], ..notify(&short) },
            Notify { spi: vec![], ..notify(&short) },
            Notify { protocol: 1, ..notify(&short) },
            Notify { kind: 24577, ..notify(&short) },
        ] {
            assert_eq!(shortened(hours(8), &[other], spi()), hours(8));
        }
    }

    #[test]
    fn k1_014_odd_lifetime_attributes_change_nothing() {
        for odd in [
            &[][..],
            &[0x80],
            &[0x80, 2, 0, 60],
            &[0x80, 1, 0, 1],
            &[0x80, 1, 0, 9, 0x80, 2, 0, 60],
            &[0x80, 1, 0, 1, 0, 2, 0, 4, 0, 0],
            &[0x80, 1, 0, 1, 0, 2, 0, 0],
            &[0x80, 1, 0, 1, 0, 2, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 1, 0, 1, 0x80, 2, 0, 0],
        ] {
            assert_eq!(shortened(hours(8), &[notify(odd)], spi()), hours(8), "{odd:?}");
        }
    }
}
