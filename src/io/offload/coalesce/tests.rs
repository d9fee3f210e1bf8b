//! Super-packets are cut again by rules written here, apart from the code: what comes out must be what went in.

use proptest::prelude::*;

use super::*;

const ALL: Mergeable = Mergeable { tcp: true, udp: true };
const NO_OPTIONS: &[u8] = &[];
const TIMESTAMP: &[u8] = &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];

/// RFC 1071 §1, word by word.
fn plain_sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for part in parts {
        for word in part.chunks(2) {
            sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    u16::try_from(sum).unwrap()
}

fn transport_of(packet: &[u8]) -> usize {
    if packet[0] >> 4 == 4 { usize::from(packet[0] & 15) * 4 } else { 40 }
}

fn protocol_of(packet: &[u8]) -> u8 {
    packet[if packet[0] >> 4 == 4 { 9 } else { 6 }]
}

fn addresses_of(packet: &[u8]) -> &[u8] {
    if packet[0] >> 4 == 4 { &packet[12..20] } else { &packet[8..40] }
}

fn pseudo(packet: &[u8]) -> u16 {
    let len = u32::try_from(packet.len() - transport_of(packet)).unwrap().to_be_bytes();
    plain_sum(&[addresses_of(packet), &[0, protocol_of(packet)], &len])
}

/// Writes lengths and checksums.
fn finish(packet: &mut [u8]) {
    let start = transport_of(packet);
    let len = packet.len();
    if packet[0] >> 4 == 4 {
        packet[2..4].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        packet[10..12].fill(0);
        let checksum = !plain_sum(&[&packet[..start]]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    } else {
        packet[4..6].copy_from_slice(&u16::try_from(len - 40).unwrap().to_be_bytes());
    }
    let at = if protocol_of(packet) == TCP { start + 16 } else { start + 6 };
    if protocol_of(packet) == UDP {
        packet[start + 4..start + 6].copy_from_slice(&u16::try_from(len - start).unwrap().to_be_bytes());
    }
    packet[at..at + 2].fill(0);
    let mut checksum = !plain_sum(&[&pseudo(packet).to_be_bytes(), &packet[start..]]);
    if protocol_of(packet) == UDP && checksum == 0 {
        checksum = 0xffff;
    }
    packet[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
}

fn network(family: u8, protocol: u8, flow: u8, id: u16) -> Vec<u8> {
    let [i1, i2] = id.to_be_bytes();
    if family == 4 {
        vec![0x45, 0, 0, 0, i1, i2, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, flow, 10, 0, 1, 1]
    } else {
        let mut header = vec![0x60, 0, 0, 7, 0, 0, protocol, 64];
        header.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, flow]);
        header.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        header
    }
}

/// A payload that tells where it belongs.
fn payload(len: usize, from: u32) -> impl Iterator<Item = u8> {
    (0..len).map(move |at| from.wrapping_add(u32::try_from(at).unwrap()).wrapping_mul(2_654_435_761).to_be_bytes()[0])
}

fn tcp(family: u8, flow: u8, id: u16, sequence: u32, flags: u8, options: &[u8], len: usize) -> Vec<u8> {
    let mut packet = network(family, TCP, flow, id);
    packet.extend([0x9c, 0x40, 1, 0xbb]);
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 9, u8::try_from((20 + options.len()) / 4).unwrap() << 4, flags, 0x10, 0, 0, 0, 0, 0]);
    packet.extend(options);
    packet.extend(payload(len, sequence));
    finish(&mut packet);
    packet
}

fn udp(family: u8, flow: u8, id: u16, len: usize) -> Vec<u8> {
    let mut packet = network(family, UDP, flow, id);
    packet.extend([0x9c, 0x40, 0, 53, 0, 0, 0, 0]);
    packet.extend(payload(len, u32::from(id) << 12));
    finish(&mut packet);
    packet
}

/// What the kernel makes of a written packet when it has to cut it: RFC 9293 for TCP, a datagram each for UDP, identifications rise.
fn cut(header: &Header, packet: &[u8]) -> Vec<Vec<u8>> {
    let Some(Segmentation { protocol, size, ecn }) = header.segmentation else { return vec![packet.to_vec()] };
    let start = transport_of(packet);
    let unfinished = header.unfinished.unwrap();
    assert_eq!(usize::from(unfinished.start), start);
    let at = start + usize::from(unfinished.offset);
    let headers = match protocol {
        Segmented::Udp => start + 8,
        Segmented::TcpV4 | Segmented::TcpV6 => start + usize::from(packet[start + 12] >> 4) * 4,
    };
    assert_eq!(usize::from(header.header_len), headers);
    // Finished as it stands, the checksum of the super-packet is right: the pseudo header is in the field already.
    assert_eq!(packet[at..at + 2], pseudo(packet).to_be_bytes());
    if packet[0] >> 4 == 4 {
        assert_eq!(plain_sum(&[&packet[..start]]), 0xffff);
    }
    let parts: Vec<&[u8]> = packet[headers..].chunks(usize::from(size.get())).collect();
    let last = parts.len() - 1;
    let mut sent = 0;
    let mut segments = Vec::new();
    for (number, part) in parts.into_iter().enumerate() {
        let mut segment = [&packet[..headers], part].concat();
        if packet[0] >> 4 == 4 {
            let id = u16::from_be_bytes([packet[4], packet[5]]).wrapping_add(u16::try_from(number).unwrap());
            segment[4..6].copy_from_slice(&id.to_be_bytes());
        }
        if protocol != Segmented::Udp {
            assert_eq!(protocol == Segmented::TcpV4, packet[0] >> 4 == 4);
            let first =
                u32::from_be_bytes([packet[start + 4], packet[start + 5], packet[start + 6], packet[start + 7]]);
            segment[start + 4..start + 8].copy_from_slice(&first.wrapping_add(sent).to_be_bytes());
            let flags = &mut segment[start + 13];
            assert_eq!(ecn, packet[start + 13] & CWR != 0);
            if number > 0 {
                *flags &= !CWR;
            }
            if number < last {
                *flags &= !(PSH | FIN);
            }
        }
        sent += u32::try_from(part.len()).unwrap();
        finish(&mut segment);
        segments.push(segment);
    }
    segments
}

/// Header and octets of what is written, and how many packets it was made of.
fn merged(packets: &[Vec<u8>], mergeable: Mergeable) -> Vec<(Header, Vec<u8>, usize)> {
    let packets: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
    let mut coalescer = Coalescer::new(mergeable, 4);
    // What is left of an earlier batch is of no concern.
    coalescer.merge(&packets).for_each(drop);
    let written = coalescer.merge(&packets).map(|parcel| {
        let count = parcel.packets().count();
        match parcel.headers() {
            None => (Header::default(), parcel.packets().next().unwrap().to_vec(), count),
            Some(headers) => {
                let payload: Vec<u8> = parcel.payloads().flatten().copied().collect();
                (headers.header, [headers.octets(), &payload].concat(), count)
            }
        }
    });
    written.collect()
}

/// How many packets each write carries; what comes of cutting is what went in.
fn counts(packets: &[Vec<u8>]) -> Vec<usize> {
    let written = merged(packets, ALL);
    let mut again: Vec<_> = written.iter().flat_map(|(header, packet, _)| cut(header, packet)).collect();
    let mut packets = packets.to_vec();
    again.sort();
    packets.sort();
    assert!(again == packets, "the kernel would cut other packets than came");
    written.iter().map(|(_, _, count)| *count).collect()
}

fn train(family: u8, count: u16, options: &[u8]) -> Vec<Vec<u8>> {
    (0..count).map(|n| tcp(family, 1, n, u32::from(n) * 100, ACK, options, 100)).collect()
}

/// Segments of one flow that are one super-packet.
pub(in crate::io) fn tcp_train(family: u8, count: u16) -> Vec<Vec<u8>> {
    train(family, count, TIMESTAMP)
}

/// Datagrams of one flow that are one super-packet.
pub(in crate::io) fn udp_train(family: u8, count: u16) -> Vec<Vec<u8>> {
    (0..count).map(|id| udp(family, 1, id, 36)).collect()
}

#[test]
fn in_order_segments_of_one_flow_are_one_write() {
    for (family, options) in
        [(4, NO_OPTIONS), (4, TIMESTAMP), (6, NO_OPTIONS), (6, TIMESTAMP), (4, &[1; 40]), (6, &[1; 40])]
    {
        assert_eq!(counts(&train(family, 44, options)), [44]);
    }
}

#[test]
fn datagrams_of_equal_length_are_one_write_and_a_shorter_one_ends_it() {
    for family in [4, 6] {
        let mut packets: Vec<_> = (0..20).map(|id| udp(family, 1, id, 36)).collect();
        assert_eq!(counts(&packets), [20]);
        packets.insert(10, udp(family, 2, 7, 36));
        assert_eq!(counts(&packets), [20, 1]);
        packets.truncate(10);
        packets.extend([udp(family, 1, 10, 35), udp(family, 1, 11, 35), udp(family, 1, 12, 36)]);
        assert_eq!(counts(&packets), [11, 1, 1]);
    }
}

#[test]
fn what_the_device_does_not_take_is_written_as_it_came() {
    let mut packets = train(4, 3, NO_OPTIONS);
    packets.extend((0..3).map(|id| udp(4, 9, id, 36)));
    let counts =
        |tcp, udp| merged(&packets, Mergeable { tcp, udp }).iter().map(|(_, _, count)| *count).collect::<Vec<_>>();
    assert_eq!(counts(true, true), [3, 3]);
    assert_eq!(counts(true, false), [3, 1, 1, 1]);
    assert_eq!(counts(false, true), [1, 1, 1, 3]);
    assert_eq!(counts(false, false), [1; 6]);
}

#[test]
fn a_shorter_segment_and_push_and_fin_end_a_super_packet() {
    for last in [tcp(4, 1, 2, 200, ACK, NO_OPTIONS, 99), tcp(4, 1, 2, 200, ACK | PSH, NO_OPTIONS, 100)] {
        let len = u32::try_from(last.len() - 40).unwrap();
        let mut packets = train(4, 2, NO_OPTIONS);
        packets.extend([
            last,
            tcp(4, 1, 3, 200 + len, ACK, NO_OPTIONS, 99),
            tcp(4, 1, 4, 299 + len, ACK, NO_OPTIONS, 99),
        ]);
        assert_eq!(counts(&packets), [3, 2]);
    }
    let mut packets = train(6, 2, TIMESTAMP);
    packets.push(tcp(6, 1, 0, 200, ACK | FIN | PSH, TIMESTAMP, 3));
    assert_eq!(counts(&packets), [3]);
    // It ends with itself when it comes first.
    packets.rotate_right(1);
    assert_eq!(counts(&packets), [1, 2]);
}

/// What makes the second of two segments one that does not join the first.
type Change = (&'static str, fn(&mut Vec<u8>));

const CHANGES_OF_ANY: &[Change] = &[
    ("address", |packet| *addresses_mut(packet) ^= 1),
    ("source port", |packet| *transport_mut(packet, 1) ^= 1),
    ("destination port", |packet| *transport_mut(packet, 3) ^= 1),
    ("longer", |packet| packet.push(1)),
];

const CHANGES_OF_IPV4: &[Change] = &[
    ("DSCP", |packet| packet[1] ^= 0x10),
    ("ECN", |packet| packet[1] ^= 3),
    ("TTL", |packet| packet[8] = packet[8].wrapping_sub(1)),
    ("DF", |packet| packet[6] ^= 0x40),
    ("reserved flag", |packet| packet[6] ^= 0x80),
    ("first fragment", |packet| packet[6] ^= 0x20),
    ("later fragment", |packet| packet[7] ^= 1),
    ("identification jumps", |packet| packet[5] ^= 0x40),
    ("identification falls", |packet| packet[4] = packet[4].wrapping_sub(1)),
    ("options", |packet| {
        packet.splice(20..20, [1, 1, 1, 0]);
        packet[0] = 0x46;
    }),
];

const CHANGES_OF_IPV6: &[Change] = &[
    ("traffic class", |packet| packet[0] ^= 1),
    ("ECN", |packet| packet[1] ^= 0x30),
    ("flow label", |packet| packet[3] ^= 1),
    ("hop limit", |packet| packet[7] = packet[7].wrapping_sub(1)),
];

const CHANGES_OF_TCP: &[Change] = &[
    ("a gap", |packet| *transport_mut(packet, 6) ^= 1),
    ("an overlap", |packet| *transport_mut(packet, 7) = transport_mut(packet, 7).wrapping_sub(1)),
    ("another acknowledgment", |packet| *transport_mut(packet, 11) ^= 1),
    ("reserved bits", |packet| *transport_mut(packet, 12) |= 1),
    ("window", |packet| *transport_mut(packet, 14) ^= 1),
    ("urgent pointer", |packet| *transport_mut(packet, 19) ^= 1),
    ("timestamp", |packet| *transport_mut(packet, 31) ^= 1),
    ("SYN", |packet| *transport_mut(packet, 13) |= SYN),
    ("RST", |packet| *transport_mut(packet, 13) |= RST),
    ("URG", |packet| *transport_mut(packet, 13) |= URG),
    ("no ACK", |packet| *transport_mut(packet, 13) &= !ACK),
    ("ECE", |packet| *transport_mut(packet, 13) |= 0x40),
    ("CWR", |packet| *transport_mut(packet, 13) |= CWR),
    ("other options", |packet| *transport_mut(packet, 20) = 0),
    ("nothing in it", |packet| packet.truncate(packet.len() - 100)),
];

fn transport_mut(packet: &mut [u8], at: usize) -> &mut u8 {
    let start = transport_of(packet);
    &mut packet[start + at]
}

fn addresses_mut(packet: &mut [u8]) -> &mut u8 {
    let last = if packet[0] >> 4 == 4 { 15 } else { 23 };
    &mut packet[last]
}

#[test]
fn whatever_differs_between_two_segments_keeps_them_apart() {
    for family in [4, 6] {
        let of_family = if family == 4 { CHANGES_OF_IPV4 } else { CHANGES_OF_IPV6 };
        let pair = |of_tcp: bool| {
            (0..2_u16).map(move |n| {
                let id = 0x0101 + n;
                if of_tcp {
                    tcp(family, 1, id, 500 + u32::from(n) * 100, ACK, TIMESTAMP, 100)
                } else {
                    udp(family, 1, id, 100)
                }
            })
        };
        for of_tcp in [true, false] {
            assert_eq!(counts(&pair(of_tcp).collect::<Vec<_>>()), [2], "the pair itself");
            let of_protocol = if of_tcp { CHANGES_OF_TCP } else { &[] };
            for (name, change) in CHANGES_OF_ANY.iter().chain(of_family).chain(of_protocol) {
                let mut packets: Vec<_> = pair(of_tcp).collect();
                change(&mut packets[1]);
                finish(&mut packets[1]);
                assert_eq!(counts(&packets), [1, 1], "IPv{family}, TCP: {of_tcp}: {name}");
            }
        }
    }
}

#[test]
fn other_protocols_extension_headers_and_broken_lengths_stay_as_they_are_and_in_place() {
    let icmp = [network(4, 1, 1, 0), vec![8, 0, 0, 0]].concat();
    let mut hop_by_hop = network(6, 0, 1, 0);
    hop_by_hop.extend([TCP, 0, 1, 4, 0, 0, 0, 0]);
    let mut fragment = train(4, 1, NO_OPTIONS).remove(0);
    fragment[6] = 0x20;
    let mut long = train(4, 1, NO_OPTIONS).remove(0);
    long.push(0);
    for odd in [icmp, hop_by_hop, fragment, long, vec![], vec![0x45; 19], vec![0x60; 39], vec![0x45; 20], vec![0; 1500]]
    {
        let mut packets = train(4, 4, NO_OPTIONS);
        packets.insert(2, odd.clone());
        let written = merged(&packets, ALL);
        let sizes: Vec<_> = written.iter().map(|(_, _, count)| *count).collect();
        assert_eq!(sizes, [2, 1, 2], "{odd:02x?}");
        assert_eq!((written[1].0, &written[1].1), (Header::default(), &odd));
    }
}

#[test]
fn an_acknowledgment_and_a_keepalive_probe_stay_at_their_place_in_the_flow() {
    // A probe repeats the octet before what comes next (RFC 9293 §3.8.4).
    let probe = tcp(4, 1, 2, 199, ACK, NO_OPTIONS, 1);
    let nothing = tcp(4, 1, 2, 200, ACK, NO_OPTIONS, 0);
    for odd in [probe, nothing] {
        let mut packets = train(4, 4, NO_OPTIONS);
        packets.insert(2, odd.clone());
        let written = merged(&packets, ALL);
        assert_eq!(written.iter().map(|(_, _, count)| *count).collect::<Vec<_>>(), [2, 1, 2]);
        assert_eq!(written[1].1, odd);
        // Another flow is not held up by it.
        packets.insert(3, tcp(4, 2, 9, 5, ACK, NO_OPTIONS, 10));
        packets.insert(1, tcp(4, 2, 8, 0, ACK, NO_OPTIONS, 5));
        packets[4] = tcp(4, 2, 9, 5, ACK, NO_OPTIONS, 5);
        assert_eq!(counts(&packets), [2, 2, 1, 2]);
    }
}

#[test]
fn a_wrong_checksum_is_never_merged_and_never_becomes_right() {
    for family in [4, 6] {
        for (of_tcp, broken) in [(true, 0), (true, 1), (true, 2), (false, 0), (false, 1), (false, 2)] {
            let mut packets: Vec<_> =
                if of_tcp { train(family, 3, TIMESTAMP) } else { (0..3).map(|id| udp(family, 1, id, 100)).collect() };
            *packets[broken].last_mut().unwrap() ^= 1;
            let written = merged(&packets, ALL);
            let alone = written.iter().filter(|(header, packet, _)| header.is_plain() && *packet == packets[broken]);
            assert_eq!(alone.count(), 1);
            let most = written.iter().map(|(_, _, count)| *count).max();
            assert_eq!(most, Some(if broken == 1 { 1 } else { 2 }));
            counts(&packets);
        }
    }
    // The IPv4 header's own.
    for broken in 0..2 {
        let mut packets = train(4, 2, NO_OPTIONS);
        packets[broken][10] ^= 1;
        assert_eq!(counts(&packets), [1, 1]);
    }
}

#[test]
fn a_datagram_without_a_checksum_does_not_get_one() {
    let mut packets: Vec<_> = (0..2).map(|id| udp(4, 1, id, 100)).collect();
    packets.iter_mut().for_each(|packet| packet[26..28].fill(0));
    assert_eq!(counts(&packets), [1, 1]);
}

#[test]
fn the_other_zero_of_ones_complement_is_not_what_the_kernel_writes() {
    let zero = |mut packet: Vec<u8>, at: usize, end: usize| {
        // Two octets of payload make the sum of all the rest 0xffff.
        packet[end..end + 2].fill(0);
        finish(&mut packet);
        let now = [packet[at], packet[at + 1]];
        packet[end..end + 2].copy_from_slice(&now);
        finish(&mut packet);
        packet
    };
    for of_tcp in [true, false] {
        let (at, end, written) = if of_tcp { (36, 40, [0, 0]) } else { (26, 28, [0xff, 0xff]) };
        let make =
            |n: u16| if of_tcp { tcp(4, 1, n, u32::from(n) * 100, ACK, NO_OPTIONS, 100) } else { udp(4, 1, n, 100) };
        let mut packets = vec![zero(make(0), at, end), make(1)];
        assert_eq!(packets[0][at..at + 2], written);
        assert_eq!(counts(&packets), [2]);
        packets[0][at..at + 2].copy_from_slice(&[!written[0], !written[1]]);
        assert_eq!(counts(&packets), [1, 1]);
    }
}

#[test]
fn congestion_window_reduced_starts_a_super_packet_and_never_continues_one() {
    let mut packets = train(4, 6, NO_OPTIONS);
    for at in [0, 3] {
        packets[at][33] |= CWR;
        finish(&mut packets[at]);
    }
    assert_eq!(counts(&packets), [3, 3]);
    assert!(merged(&packets, ALL).iter().all(|(header, _, _)| header.segmentation.unwrap().ecn));
    // ECE is on all of them (RFC 3168 §6.1.3).
    packets.iter_mut().for_each(|packet| packet[33] |= 0x40);
    packets.iter_mut().for_each(|packet| finish(packet));
    assert_eq!(counts(&packets), [3, 3]);
}

#[test]
fn identifications_rise_or_mean_nothing() {
    let of = |ids: &[u16], dont_fragment: bool| -> Vec<usize> {
        let packets: Vec<_> = (0..)
            .zip(ids)
            .map(|(n, id)| {
                let mut packet = tcp(4, 1, *id, n * 100, ACK, NO_OPTIONS, 100);
                packet[6] = if dont_fragment { 0x40 } else { 0 };
                finish(&mut packet);
                packet
            })
            .collect();
        merged(&packets, ALL).iter().map(|(_, _, count)| *count).collect()
    };
    for dont_fragment in [true, false] {
        assert_eq!(of(&[0xfffe, 0xffff, 0, 1], dont_fragment), [4]);
        assert_eq!(of(&[1, 2, 2, 3], dont_fragment), [2, 2]);
        assert_eq!(of(&[5, 4], dont_fragment), [1, 1]);
    }
    assert_eq!(of(&[0, 0, 0], true), [3]);
    assert_eq!(of(&[7, 7, 8], true), [2, 1]);
    assert_eq!(of(&[5, 6, 5], true), [2, 1]);
    assert_eq!(of(&[7, 7, 9], true), [2, 1]);
    assert_eq!(of(&[0, 0, 0], false), [1, 1, 1]);
}

#[test]
fn no_super_packet_is_longer_than_a_packet_can_be_or_has_more_parts_than_a_write() {
    for family in [4, 6] {
        let long: Vec<_> = (0..60_u16).map(|n| tcp(family, 1, n, u32::from(n) * 1400, ACK, TIMESTAMP, 1400)).collect();
        let sizes = counts(&long);
        assert!(sizes[0] > 40 && sizes.len() == 2, "{sizes:?}");
        assert!(merged(&long, ALL).iter().all(|(_, packet, _)| packet.len() <= LONGEST));
        let short: Vec<_> = (0..300).map(|id| udp(family, 1, id, 1)).collect();
        assert_eq!(counts(&short), [126, 126, 48]);
    }
}

#[test]
fn hundreds_of_flows_some_in_the_same_place_come_out_in_order() {
    let packets: Vec<_> = (0..4_u16)
        .flat_map(|n| (0..200_u8).map(move |flow| tcp(4, flow, n, u32::from(n) * 100, ACK, NO_OPTIONS, 100)))
        .collect();
    let written = merged(&packets, ALL);
    assert!((201..400).contains(&written.len()), "{}", written.len());
    in_order(&packets, &written);
}

/// What is compared to see an order: addresses, ports and protocol; nothing for what belongs to every flow.
fn flow_of(packet: &[u8]) -> Option<Vec<u8>> {
    let plain = match packet[0] >> 4 {
        4 => packet[0] == 0x45 && packet[6] & !0x40 == 0 && packet[7] == 0,
        _ => true,
    };
    let is_known = plain && matches!(protocol_of(packet), TCP | UDP);
    is_known.then(|| {
        let start = transport_of(packet);
        [addresses_of(packet), &[protocol_of(packet)], &packet[start..start + 4]].concat()
    })
}

/// What an atomic packet's identification is does not matter (RFC 6864 §4.1).
fn without_id(mut packet: Vec<u8>) -> Vec<u8> {
    if packet[0] >> 4 == 4 && packet[6] & 0x40 != 0 && packet[19] == SAME_IDS {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}

/// Flows to here write the same identification in each packet.
const SAME_IDS: u8 = 99;

/// Each flow, together with what belongs to all, has after cutting the packets that it had before, in the same order.
fn in_order(packets: &[Vec<u8>], written: &[(Header, Vec<u8>, usize)]) {
    let after: Vec<_> = written.iter().flat_map(|(header, packet, _)| cut(header, packet)).collect();
    let mut flows: Vec<_> = packets.iter().map(|packet| flow_of(packet)).collect();
    flows.sort();
    flows.dedup();
    for flow in flows {
        let of_flow = |packets: &[Vec<u8>]| -> Vec<Vec<u8>> {
            let belongs = |packet: &&Vec<u8>| flow_of(packet).is_none_or(|of| Some(of) == flow);
            packets.iter().filter(belongs).cloned().map(without_id).collect()
        };
        assert!(of_flow(packets) == of_flow(&after), "a flow came out changed: {flow:02x?}");
    }
}

/// One packet of a story: of which flow, how long, and what is odd about it.
#[derive(Clone, Copy, Debug)]
struct Step {
    flow: u8,
    len: usize,
    twist: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![6 => Just(100_usize), 1 => Just(0_usize), 1 => Just(1_usize), 1 => 1..200_usize];
    let twist = prop_oneof![8 => Just(0_u8), 2 => 1..32_u8];
    let step = (0..8_u8, len, twist).prop_map(|(flow, len, twist)| Step { flow, len, twist });
    prop::collection::vec(step, 0..120)
}

fn story(steps: &[Step]) -> Vec<Vec<u8>> {
    let mut next = [(0xffff_ff00_u32, 0xfffa_u16); 8];
    let packet = |step: &Step| {
        let (sequence, id) = &mut next[usize::from(step.flow)];
        let family = if step.flow & 2 == 0 { 4 } else { 6 };
        let mut packet = match step.flow {
            0..4 => tcp(
                family,
                step.flow / 2,
                *id,
                *sequence,
                ACK,
                if step.flow & 1 == 0 { NO_OPTIONS } else { TIMESTAMP },
                step.len,
            ),
            4..6 => udp(family, step.flow, *id, step.len),
            6 => udp(4, 6, *id, step.len),
            _ => {
                let mut packet = tcp(4, 7, 77, *sequence, ACK, NO_OPTIONS, step.len);
                packet[19] = SAME_IDS;
                finish(&mut packet);
                packet
            }
        };
        *sequence = sequence.wrapping_add(u32::try_from(step.len).unwrap());
        *id = id.wrapping_add(1);
        let changes: Vec<&Change> = match (family, protocol_of(&packet)) {
            (4, TCP) => CHANGES_OF_IPV4.iter().chain(CHANGES_OF_TCP).collect(),
            (4, _) => CHANGES_OF_IPV4.iter().collect(),
            (_, TCP) => CHANGES_OF_IPV6.iter().chain(CHANGES_OF_TCP).collect(),
            _ => CHANGES_OF_IPV6.iter().collect(),
        };
        match step.twist {
            0 => {}
            1 | 2 if protocol_of(&packet) == TCP => *transport_mut(&mut packet, 13) |= PSH,
            3 if protocol_of(&packet) == TCP => *transport_mut(&mut packet, 13) |= FIN,
            4 => *packet.last_mut().unwrap() ^= 0x10,
            5 if family == 4 => packet[11] ^= 1,
            6 => return [super::tests::network(4, 1, step.flow, *id), vec![8, 0, 1, 2]].concat(),
            twist => {
                let (name, change) = changes[usize::from(twist) % changes.len()];
                // These need something in the packet that is not in all.
                if !matches!(*name, "timestamp" | "other options" | "nothing in it") {
                    change(&mut packet);
                }
            }
        }
        if !matches!(step.twist, 4 | 5) && matches!(protocol_of(&packet), TCP | UDP) {
            finish(&mut packet);
        }
        packet
    };
    steps.iter().map(packet).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_flow_comes_out_of_cutting_as_it_went_in(steps in steps()) {
        let packets = story(&steps);
        let written = merged(&packets, ALL);
        prop_assert_eq!(written.iter().map(|(_, _, count)| *count).sum::<usize>(), packets.len());
        in_order(&packets, &written);
    }

    #[test]
    fn arbitrary_octets_are_passed_on_as_they_are(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..20)) {
        let written: Vec<_> = merged(&packets, ALL).into_iter().map(|(_, packet, _)| packet).collect();
        prop_assert_eq!(written, packets);
    }
}
