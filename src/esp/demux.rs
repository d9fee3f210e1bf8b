//! What a datagram on the shared UDP port is (RFC 3948 §2, §3.2). It looks at the first octets only.

use std::ops::Range;

use crate::{esp::counters::DropReason, sa::path::Framing};

/// What a datagram is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datagram {
    /// An IKE message, which stands in this range.
    Ike(Range<usize>),
    /// Nothing but a sign of life for a NAT.
    Keepalive,
    /// An ESP packet with this number, not checked yet. Never 0.
    Esp {
        /// The SPI as it stands in the header.
        spi: u32,
    },
}

const MARKER: usize = 4;

/// Classifies a datagram. On a path without markers everything is IKE.
pub fn classify(framing: Framing, datagram: &[u8]) -> Result<Datagram, DropReason> {
    if framing == Framing::Bare {
        return if datagram.is_empty() { Err(DropReason::TooShort) } else { Ok(Datagram::Ike(0..datagram.len())) };
    }
    if datagram == [0xff] {
        return Ok(Datagram::Keepalive); // RFC 3948 §2.3
    }
    let Some((first, rest)) = datagram.split_first_chunk::<MARKER>() else { return Err(DropReason::TooShort) };
    match u32::from_be_bytes(*first) {
        0 if rest.is_empty() => Err(DropReason::TooShort),
        0 => Ok(Datagram::Ike(MARKER..datagram.len())),
        spi => Ok(Datagram::Esp { spi }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n_01_datagrams_on_a_marked_path() {
        for (datagram, expected) in [
            (&[0xff][..], Ok(Datagram::Keepalive)),
            (&[], Err(DropReason::TooShort)),
            (&[0], Err(DropReason::TooShort)),
            (&[0xfe], Err(DropReason::TooShort)),
            (&[0xff, 0xff], Err(DropReason::TooShort)),
            (&[0xff, 0xff, 0xff], Err(DropReason::TooShort)),
            (&[0, 0, 0, 0], Err(DropReason::TooShort)),
            (&[0, 0, 0, 0, 7], Ok(Datagram::Ike(4..5))),
            (&[0, 0, 0, 1], Ok(Datagram::Esp { spi: 1 })),
            (&[0xff, 0xff, 0xff, 0xff], Ok(Datagram::Esp { spi: u32::MAX })),
            (&[1, 2, 3, 4, 5, 6], Ok(Datagram::Esp { spi: 0x0102_0304 })),
        ] {
            assert_eq!(classify(Framing::Marked, datagram), expected, "{datagram:02x?}");
        }
    }

    #[test]
    fn n_01_everything_on_a_bare_path_is_ike() {
        assert_eq!(classify(Framing::Bare, &[0, 0, 0, 0, 7]), Ok(Datagram::Ike(0..5)));
        assert_eq!(classify(Framing::Bare, &[0xff]), Ok(Datagram::Ike(0..1)));
        assert_eq!(classify(Framing::Bare, &[]), Err(DropReason::TooShort));
    }
}
