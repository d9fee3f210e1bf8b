//! Super-packets as the kernel makes them, and what they must become.

use proptest::prelude::*;

use super::*;
use crate::io::offload::header::Segmentation;

/// A super-packet and what describes it.
#[derive(Clone, Debug)]
struct Super {
    is_ipv4: bool,
    protocol: u8,
    /// IPv4 options, or IPv6 extension headers (each a destination options header).
    extra: Vec<u8>,
    tcp_options: Vec<u8>,
    flags: u8,
    sequence: u32,
    identification: u16,
    payload: Vec<u8>,
    size: u16,
}

impl Super {
    fn new(is_ipv4: bool, protocol: u8, payload: usize, size: u16) -> Self {
        Self {
            is_ipv4,
            protocol,
            extra: Vec::new(),
            tcp_options: vec![1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8],
            flags: 0x18,
            sequence: 0x1234_5678,
            identification: 0x4321,
            payload: (0..payload).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect(),
            size,
        }
    }

    fn header(&self) -> Header {
        let (start, _) = self.places();
        let segmentation = match (self.protocol, self.is_ipv4) {
            (UDP, _) => Segmented::Udp,
            (_, true) => Segmented::TcpV4,
            (_, false) => Segmented::TcpV6,
        };
        Header {
            unfinished: Some(Unfinished {
                start: u16::try_from(start).unwrap(),
                offset: if self.protocol == UDP { 6 } else { 16 },
            }),
            segmentation: Some(Segmentation {
                protocol: segmentation,
                size: self.size.try_into().unwrap(),
                ecn: false,
            }),
            header_len: 0,
        }
    }

    fn places(&self) -> (usize, usize) {
        let start = if self.is_ipv4 { 20 } else { 40 } + self.extra.len();
        (start, start + if self.protocol == UDP { 8 } else { 20 + self.tcp_options.len() })
    }

    fn packet(&self) -> Vec<u8> {
        let upper = match self.protocol {
            UDP => {
                let len = u16::try_from(8 + self.payload.len()).unwrap().to_be_bytes();
                [&[0x12, 0x34, 0, 53][..], &len, &[0, 0], &self.payload].concat()
            }
            _ => {
                let offset = u8::try_from((20 + self.tcp_options.len()) / 4).unwrap() << 4;
                [
                    &[0x12, 0x34, 0, 80][..],
                    &self.sequence.to_be_bytes(),
                    &[9, 9, 9, 9, offset, self.flags, 0, 99, 0, 0, 0, 0],
                    &self.tcp_options,
                    &self.payload,
                ]
                .concat()
            }
        };
        let mut packet = if self.is_ipv4 { self.ipv4(&upper) } else { self.ipv6(&upper) };
        let (start, _) = self.places();
        let field = start + if self.protocol == UDP { 6 } else { 16 };
        let unfinished = plain_sum(&pseudo_header(&packet, self.protocol, upper.len()));
        packet[field..field + 2].copy_from_slice(&unfinished.to_be_bytes());
        packet
    }

    fn ipv4(&self, upper: &[u8]) -> Vec<u8> {
        let words = u8::try_from(5 + self.extra.len() / 4).unwrap();
        let total = u16::try_from(20 + self.extra.len() + upper.len()).unwrap().to_be_bytes();
        let [i1, i2] = self.identification.to_be_bytes();
        let fixed =
            [0x40 | words, 2, total[0], total[1], i1, i2, 0x40, 0, 64, self.protocol, 0, 0, 10, 1, 1, 1, 10, 2, 2, 2];
        let mut header = [&fixed[..], &self.extra].concat();
        let checksum = !plain_sum(&header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        [&header, upper].concat()
    }

    fn ipv6(&self, upper: &[u8]) -> Vec<u8> {
        let len = u16::try_from(self.extra.len() + upper.len()).unwrap().to_be_bytes();
        let mut next = self.protocol;
        let mut extra = self.extra.clone();
        for header in extra.chunks_mut(8).rev() {
            header[0] = std::mem::replace(&mut next, 60);
        }
        let mut header = vec![0x60, 0x20, 0, 7, len[0], len[1], next, 64];
        header.extend((0..32_u8).map(|octet| if octet % 16 == 0 { 0xfd } else { octet }));
        [&header[..], &extra, upper].concat()
    }

    fn tcp_flags(&self, index: usize, is_last: bool) -> u8 {
        let kept = if is_last { 0xff } else { !(FIN | PSH) };
        self.flags & kept & if index == 0 { 0xff } else { !CWR }
    }
}

fn plain_sum(octets: &[u8]) -> u16 {
    let mut sum = 0_u64;
    for word in octets.chunks(2) {
        sum += u64::from(word[0]) << 8 | u64::from(*word.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

fn pseudo_header(packet: &[u8], protocol: u8, len: usize) -> Vec<u8> {
    let addresses = if packet[0] >> 4 == 4 { &packet[12..20] } else { &packet[8..40] };
    [addresses, &[0, protocol], &u32::try_from(len).unwrap().to_be_bytes()].concat()
}

/// All packets that a split gives.
fn split(header: &Header, packet: &[u8]) -> Result<Vec<Vec<u8>>, DropReason> {
    let mut split = Split::new(header, packet)?;
    let mut memory = vec![0xaa; 70_000];
    let mut packets = Vec::new();
    while !split.is_done() {
        let len = split.write(packet, &mut memory).unwrap();
        packets.push(memory[..len].to_vec());
    }
    Ok(packets)
}

/// Holds every rule against the segments, by the plain sum and the parser of the packet path.
fn check(given: &Super) {
    let packet = given.packet();
    let segments = split(&given.header(), &packet).unwrap();
    let size = usize::from(given.size);
    let (start, payload_at) = given.places();
    assert_eq!(segments.len(), given.payload.len().div_ceil(size));
    let mut payload: Vec<u8> = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        let inner = InnerPacket::parse(segment).expect("lengths and the IPv4 header's checksum are right");
        assert_eq!((inner.total_len(), inner.header_len(), inner.protocol()), (segment.len(), start, given.protocol));
        let covered = [&pseudo_header(segment, given.protocol, segment.len() - start), &segment[start..]].concat();
        assert_eq!(plain_sum(&covered), 0xffff, "checksum of segment {index}");
        let part = &segment[payload_at..];
        assert!(part.len() == size || is_last && part.len() <= size);

        // What differs from the super-packet's headers is what has to.
        let mut expected = packet[..payload_at].to_vec();
        let mut restored = segment[..payload_at].to_vec();
        let varying = match given.protocol {
            UDP => vec![start + 4..start + 6, start + 6..start + 8],
            _ => {
                let sequence = given.sequence.wrapping_add(u32::try_from(payload.len()).unwrap());
                assert_eq!(segment[start + 4..start + 8], sequence.to_be_bytes());
                assert_eq!(segment[start + 13], given.tcp_flags(index, is_last), "flags of segment {index}");
                vec![start + 4..start + 8, start + 13..start + 14, start + 16..start + 18]
            }
        };
        let network = if given.is_ipv4 {
            let identification = given.identification.wrapping_add(u16::try_from(index).unwrap());
            assert_eq!(segment[4..6], identification.to_be_bytes());
            [2..6, 10..12]
        } else {
            [4..6, 4..6]
        };
        if given.protocol == UDP {
            assert_ne!(segment[start + 6..start + 8], [0, 0], "no checksum");
            assert_eq!(
                usize::from(u16::from_be_bytes([segment[start + 4], segment[start + 5]])),
                segment.len() - start
            );
        }
        for range in varying.into_iter().chain(network) {
            expected[range.clone()].fill(0);
            restored[range].fill(0);
        }
        assert_eq!(restored, expected, "headers of segment {index}");
        payload.extend(part);
    }
    assert!(payload == given.payload);
}

#[test]
fn super_packets_of_every_kind_fall_into_segments_that_add_up() {
    for (is_ipv4, protocol) in [(true, TCP), (false, TCP), (true, UDP), (false, UDP)] {
        for (payload, size) in [(1, 1), (4200, 1400), (4201, 1400), (4199, 1400), (5, 9000), (64_000, 1448), (300, 1)] {
            check(&Super::new(is_ipv4, protocol, payload, size));
        }
    }
}

#[test]
fn ipv4_options_and_ipv6_extension_headers_are_in_each_segment() {
    for protocol in [TCP, UDP] {
        check(&Super { extra: vec![1; 40], ..Super::new(true, protocol, 3000, 1000) });
        check(&Super { extra: [0, 0, 1, 4, 0, 0, 0, 0].repeat(3), ..Super::new(false, protocol, 3000, 1000) });
    }
}

#[test]
fn fin_and_psh_are_on_the_last_segment_and_cwr_is_on_the_first() {
    let given = Super { flags: !0x06, ..Super::new(true, TCP, 30, 10) };
    let flags: Vec<u8> = split(&given.header(), &given.packet()).unwrap().iter().map(|one| one[33]).collect();
    assert_eq!(flags, [0xf0, 0x70, 0x79]);
    check(&given);
}

#[test]
fn sequence_number_and_identification_wrap_as_numbers_do() {
    check(&Super { sequence: u32::MAX - 5, identification: u16::MAX - 1, ..Super::new(true, TCP, 100, 10) });
}

#[test]
fn behind_a_routing_header_the_sum_is_of_the_last_destination_as_the_kernel_began_it() {
    let given = Super { extra: vec![0; 8], ..Super::new(false, TCP, 30, 10) };
    let mut packet = given.packet();
    let (start, _) = given.places();
    // The kernel summed another destination than the header's.
    let begun = u16::from_be_bytes([packet[start + 16], packet[start + 17]]);
    let other = plain_sum(&[begun.to_be_bytes(), [0x12, 0x34]].concat());
    packet[start + 16..start + 18].copy_from_slice(&other.to_be_bytes());
    for segment in split(&given.header(), &packet).unwrap() {
        let covered =
            [&pseudo_header(&segment, TCP, segment.len() - start)[..], &[0x12, 0x34], &segment[start..]].concat();
        assert_eq!(plain_sum(&covered), 0xffff);
    }
}

#[test]
fn a_segment_that_finds_no_room_is_written_later_and_nothing_is_lost() {
    let given = Super::new(true, TCP, 100, 30);
    let packet = given.packet();
    let whole = split(&given.header(), &packet).unwrap();
    let mut resumed = Split::new(&given.header(), &packet).unwrap();
    for expected in &whole {
        let mut small = vec![0; expected.len() - 1];
        assert_eq!(resumed.write(&packet, &mut small), None);
        let mut exact = vec![0; expected.len()];
        assert_eq!(resumed.write(&packet, &mut exact), Some(exact.len()));
        assert_eq!(&exact, expected);
    }
    assert!(resumed.is_done());
}

#[test]
fn a_plain_packet_passes_as_it_is() {
    for packet in [&b""[..], b"x", b"not even IP"] {
        let mut split = Split::new(&Header::default(), packet).unwrap();
        let mut memory = [0; 64];
        let len = split.write(packet, &mut memory).unwrap();
        assert_eq!((&memory[..len], split.is_done()), (packet, true));
    }
}

#[test]
fn an_unfinished_checksum_is_finished_and_never_zero() {
    for protocol in [TCP, UDP] {
        let given = Super::new(true, protocol, 333, 1);
        let header = Header { segmentation: None, ..given.header() };
        let [packet] = &split(&header, &given.packet()).unwrap()[..] else { panic!("one packet stays one") };
        let covered = [&pseudo_header(packet, protocol, packet.len() - 20), &packet[20..]].concat();
        assert_eq!(plain_sum(&covered), 0xffff);
    }
    let header = Header { unfinished: Some(Unfinished { start: 0, offset: 2 }), ..Header::default() };
    assert_eq!(split(&header, &[0xff, 0xff, 0, 0]).unwrap(), [[0xff, 0xff, 0xff, 0xff]]);
}

#[test]
fn a_header_that_does_not_fit_its_packet_drops_it() {
    let given = Super::new(true, TCP, 3000, 1000);
    let good = given.header();
    let packet = given.packet();
    let with = |change: &dyn Fn(&mut Header)| {
        let mut header = good;
        change(&mut header);
        split(&header, &packet).unwrap_err()
    };
    let protocol = |protocol| move |header: &mut Header| header.segmentation.as_mut().unwrap().protocol = protocol;
    assert_eq!(with(&|header| header.unfinished = None), DropReason::Offload);
    assert_eq!(with(&|header| header.unfinished.as_mut().unwrap().start = 24), DropReason::Offload);
    assert_eq!(with(&|header| header.unfinished.as_mut().unwrap().offset = 6), DropReason::Offload);
    assert_eq!(with(&protocol(Segmented::TcpV6)), DropReason::Offload);
    assert_eq!(with(&protocol(Segmented::Udp)), DropReason::Offload);

    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = packet.clone();
        change(&mut packet);
        packet[10..12].fill(0);
        let checksum = !plain_sum(&packet[..20]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        split(&good, &packet).unwrap_err()
    };
    assert_eq!(changed(&|packet| packet[0] = 0x55), DropReason::NotIp);
    assert_eq!(changed(&|packet| packet[6] = 0x20), DropReason::Offload, "a fragment");
    assert_eq!(changed(&|packet| packet[9] = UDP), DropReason::Offload);
    assert_eq!(changed(&|packet| packet[32] = 0x40), DropReason::Offload, "a TCP header of 16 octets");
    assert_eq!(changed(&|packet| packet[2..4].copy_from_slice(&[0, 52])), DropReason::Offload, "no payload");
    assert_eq!(changed(&|packet| packet[2..4].copy_from_slice(&[0, 25])), DropReason::Offload, "half a TCP header");
    assert_eq!(changed(&|packet| packet.truncate(100)), DropReason::InnerTooShort);
    assert_eq!(split(&good, &[]).unwrap_err(), DropReason::InnerTooShort);
}

#[test]
fn a_checksum_beyond_the_packet_drops_it() {
    for (start, offset) in [(0, 3), (4, 0), (3, 0), (u16::MAX, u16::MAX), (0, u16::MAX)] {
        let header = Header { unfinished: Some(Unfinished { start, offset }), ..Header::default() };
        assert_eq!(split(&header, &[1, 2, 3, 4]).unwrap_err(), DropReason::Offload, "{start} + {offset}");
    }
}

fn any_super() -> impl Strategy<Value = Super> {
    let extra = (0..5_usize).prop_map(|count| [0, 0, 1, 4, 0, 0, 0, 0].repeat(count));
    let options = (0..11_usize).prop_map(|count| vec![1; 4 * count]);
    let payload = prop::collection::vec(any::<u8>(), 1..3000);
    let numbers = (any::<u8>(), any::<u32>(), any::<u16>());
    (any::<bool>(), prop::sample::select(vec![TCP, UDP]), extra, options, payload, numbers, 1..2000_u16).prop_map(
        |(is_ipv4, protocol, extra, tcp_options, payload, (flags, sequence, identification), size)| Super {
            is_ipv4,
            protocol,
            extra: if is_ipv4 { vec![1; extra.len()] } else { extra },
            tcp_options,
            flags,
            sequence,
            identification,
            payload,
            size,
        },
    )
}

proptest! {
    #[test]
    fn any_super_packet_falls_into_segments_that_add_up(given in any_super()) {
        check(&given);
    }

    #[test]
    fn no_header_and_no_packet_makes_it_panic_or_go_on_for_ever(
        given in any_super(),
        octets: [u8; 10],
        damage in prop::collection::vec((any::<u16>(), any::<u8>()), 0..8),
        cut in any::<u16>(),
    ) {
        let mut packet = given.packet();
        for (at, value) in damage {
            let at = usize::from(at) % packet.len().min(80);
            packet[at] = value;
        }
        packet.truncate(usize::from(cut) % (2 * packet.len()));
        for header in [Header::parse(&octets).unwrap_or_default(), given.header()] {
            if let Ok(packets) = split(&header, &packet) {
                prop_assert!(packets.len() <= packet.len().max(1));
            }
        }
    }
}
