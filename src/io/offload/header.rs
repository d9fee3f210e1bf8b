//! The virtio header before each packet of a TUN device: what is unfinished in the packet (virtio 1.2 §5.1.6).
//!
//! Its numbers are in the host's byte order, as TUN's are unless told otherwise. Whether they fit the packet is for the user of the packet to check.

use std::num::NonZeroU16;

/// Octets of the header.
pub const LEN: usize = 10;

/// VIRTIO_NET_HDR_F_NEEDS_CSUM.
const NEEDS_CHECKSUM: u8 = 1;
/// VIRTIO_NET_HDR_GSO_NONE.
const WHOLE: u8 = 0;
/// VIRTIO_NET_HDR_GSO_TCPV4.
const TCP_V4: u8 = 1;
/// VIRTIO_NET_HDR_GSO_TCPV6.
const TCP_V6: u8 = 4;
/// VIRTIO_NET_HDR_GSO_UDP_L4.
const UDP: u8 = 5;
/// VIRTIO_NET_HDR_GSO_ECN.
const ECN: u8 = 0x80;

/// What the header says of the packet behind it. The default says nothing: a packet as it would be on a wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The packet's checksum is to be finished.
    pub unfinished: Option<Unfinished>,
    /// The packet stands for several.
    pub segmentation: Option<Segmentation>,
    /// Octets of all headers before the payload: a hint, and 0 is one too.
    pub header_len: u16,
}

/// A checksum that holds only the sum of the pseudo header so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Where in the packet the summed octets begin: all to the packet's end are.
    pub start: u16,
    /// Where behind `start` the checksum stands.
    pub offset: u16,
}

/// How a super-packet falls into segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// Whose headers are repeated.
    pub protocol: Segmented,
    /// Payload octets of each segment but the last, which may be shorter.
    pub size: NonZeroU16,
    /// CWR is set on the first segment only (RFC 3168 §6.1.2). A device that was not asked for ECN gives none.
    pub ecn: bool,
}

/// What a super-packet is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segmented {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP over either: a datagram each.
    Udp,
}

/// A header that no packet can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHeader;

impl Header {
    /// Reads a header. Flags without a meaning here are passed over.
    ///
    /// # Errors
    /// Segmentation of an unknown kind or without a size.
    pub fn parse(octets: &[u8; LEN]) -> Result<Self, BadHeader> {
        let [flags, kind, h1, h2, s1, s2, c1, c2, o1, o2] = *octets;
        let number = |first, second| u16::from_ne_bytes([first, second]);
        let protocol = match kind & !ECN {
            WHOLE => None,
            TCP_V4 => Some(Segmented::TcpV4),
            TCP_V6 => Some(Segmented::TcpV6),
            UDP => Some(Segmented::Udp),
            _ => return Err(BadHeader),
        };
        let segmentation = match protocol {
            Some(protocol) => {
                let size = NonZeroU16::new(number(s1, s2)).ok_or(BadHeader)?;
                Some(Segmentation { protocol, size, ecn: kind & ECN != 0 })
            }
            None => None,
        };
        let unfinished = Unfinished { start: number(c1, c2), offset: number(o1, o2) };
        Ok(Self {
            unfinished: (flags & NEEDS_CHECKSUM != 0).then_some(unfinished),
            segmentation,
            header_len: number(h1, h2),
        })
    }

    /// The header as the kernel wants it.
    pub fn to_octets(&self) -> [u8; LEN] {
        let flags = if self.unfinished.is_some() { NEEDS_CHECKSUM } else { 0 };
        let [h1, h2] = self.header_len.to_ne_bytes();
        let (kind, [s1, s2]) = self.segmentation.map_or((WHOLE, [0; 2]), |segmentation| {
            let kind = match segmentation.protocol {
                Segmented::TcpV4 => TCP_V4,
                Segmented::TcpV6 => TCP_V6,
                Segmented::Udp => UDP,
            };
            (if segmentation.ecn { kind | ECN } else { kind }, segmentation.size.get().to_ne_bytes())
        });
        let ([c1, c2], [o1, o2]) = self
            .unfinished
            .map_or(([0; 2], [0; 2]), |unfinished| (unfinished.start.to_ne_bytes(), unfinished.offset.to_ne_bytes()));
        [flags, kind, h1, h2, s1, s2, c1, c2, o1, o2]
    }

    /// Whether the packet is whole and finished.
    pub const fn is_plain(&self) -> bool {
        self.unfinished.is_none() && self.segmentation.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn octets(flags: u8, kind: u8, numbers: [u16; 4]) -> [u8; LEN] {
        let mut octets = [flags, kind, 0, 0, 0, 0, 0, 0, 0, 0];
        octets[2..].copy_from_slice(numbers.map(u16::to_ne_bytes).as_flattened());
        octets
    }

    #[test]
    fn fields_stand_where_virtio_puts_them() {
        let header = Header::parse(&octets(1, 0x81, [54, 1448, 20, 16])).unwrap();
        let size = NonZeroU16::new(1448).unwrap();
        let expected = Header {
            unfinished: Some(Unfinished { start: 20, offset: 16 }),
            segmentation: Some(Segmentation { protocol: Segmented::TcpV4, size, ecn: true }),
            header_len: 54,
        };
        assert_eq!(header, expected);
        let protocol = |kind| Header::parse(&octets(0, kind, [0, 1, 0, 0])).unwrap().segmentation.unwrap().protocol;
        assert_eq!([protocol(1), protocol(4), protocol(5)], [Segmented::TcpV4, Segmented::TcpV6, Segmented::Udp]);
    }

    #[test]
    fn a_finished_packet_has_ten_zeros() {
        assert_eq!(Header::default().to_octets(), [0; LEN]);
        assert!(Header::parse(&[0; LEN]).unwrap().is_plain());
    }

    #[test]
    fn unknown_kinds_and_segments_of_no_size_are_refused() {
        // 3 is UDP fragmentation, which is never asked for.
        for kind in [2, 3, 6, 0x10, 0x40, 0x7f, 0xff] {
            assert_eq!(Header::parse(&octets(0, kind, [0, 1, 0, 0])), Err(BadHeader), "{kind:#x}");
        }
        for kind in [1, 4, 5, 0x81] {
            assert_eq!(Header::parse(&octets(0, kind, [0; 4])), Err(BadHeader), "{kind:#x}");
        }
    }

    #[test]
    fn data_valid_and_later_flags_mean_nothing_here() {
        assert_eq!(Header::parse(&octets(0xfe, 0, [0; 4])), Ok(Header::default()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(input: [u8; LEN]) {
            if let Ok(header) = Header::parse(&input) {
                prop_assert_eq!(Header::parse(&header.to_octets()), Ok(header));
            }
        }
    }
}
