use super::*;

pub(in crate::esp) fn ipv4(source: &str, destination: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, protocol, 0, 0];
    packet.extend(source.parse::<Ipv4Addr>().unwrap().octets());
    packet.extend(destination.parse::<Ipv4Addr>().unwrap().octets());
    packet.extend(payload);
    fix_checksum(&mut packet);
    packet
}

pub(in crate::esp) fn ipv6(source: &str, destination: &str, next_header: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, len[0], len[1], next_header, 64];
    packet.extend(source.parse::<Ipv6Addr>().unwrap().octets());
    packet.extend(destination.parse::<Ipv6Addr>().unwrap().octets());
    packet.extend(payload);
    packet
}

#[test]
fn the_last_octet_of_an_odd_number_is_the_high_one_of_a_word() {
    assert_eq!(sum(&[0x01, 0x02, 0x03]), 0x0402);
    assert_eq!(sum(&[0x80]), 0x8000);
    assert_eq!(sum(&[]), 0);
}

pub(in crate::esp) fn fix_checksum(packet: &mut [u8]) {
    let header_len = (usize::from(packet[0] & 15) * 4).clamp(20, packet.len());
    packet[10..12].fill(0);
    let checksum = (!sum(&packet[..header_len])).to_be_bytes();
    packet[10..12].copy_from_slice(&checksum);
}

const UDP_HEADER: [u8; 8] = [0x30, 0x39, 0, 53, 0, 8, 0, 0];

fn v4() -> Vec<u8> {
    ipv4("10.0.0.1", "10.0.0.2", UDP, &UDP_HEADER)
}

fn v6() -> Vec<u8> {
    ipv6("fd00::1", "fd00::2", UDP, &UDP_HEADER)
}

fn changed(mut packet: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Result<InnerPacket, DropReason> {
    change(&mut packet);
    if packet.first().is_some_and(|first| first >> 4 == 4) && packet.len() >= 20 {
        fix_checksum(&mut packet);
    }
    InnerPacket::parse(&packet)
}

/// An extension header of `octets` octets.
fn extension(next: u8, octets: usize) -> Vec<u8> {
    let mut header = vec![0; octets];
    header[0] = next;
    header[1] = u8::try_from(octets / 8 - 1).unwrap();
    header
}

fn fragment_header(next: u8, offset_and_flags: u16) -> Vec<u8> {
    let [high, low] = offset_and_flags.to_be_bytes();
    vec![next, 0, high, low, 0, 0, 0, 1]
}

#[test]
fn well_formed_packets_show_their_fields() {
    let packet = InnerPacket::parse(&v4()).unwrap();
    assert_eq!((packet.source().to_string(), packet.destination().to_string()), ("10.0.0.1".into(), "10.0.0.2".into()));
    assert_eq!((packet.protocol(), packet.header_len(), packet.total_len()), (UDP, 20, 28));
    assert_eq!((packet.source_port(), packet.destination_port()), (PacketPort::Number(12345), PacketPort::Number(53)));
    let packet = InnerPacket::parse(&v6()).unwrap();
    assert_eq!((packet.source().to_string(), packet.destination().to_string()), ("fd00::1".into(), "fd00::2".into()));
    assert_eq!((packet.protocol(), packet.header_len(), packet.total_len()), (UDP, 40, 48));
    assert_eq!((packet.source_port(), packet.destination_port()), (PacketPort::Number(12345), PacketPort::Number(53)));
}

#[test]
fn t_04_malformed_ipv4_headers() {
    use DropReason::*;
    for version in (0..16u8).filter(|version| ![4, 6].contains(version)) {
        assert_eq!(changed(v4(), |packet| packet[0] = version << 4 | 5), Err(NotIp));
    }
    for words in 0..5u8 {
        assert_eq!(changed(v4(), |packet| packet[0] = 0x40 | words), Err(InnerTooShort), "IHL {words}");
    }
    assert_eq!(changed(v4(), |packet| packet[0] = 0x48), Err(InnerTooShort), "header beyond the total length");
    assert_eq!(changed(v4(), |packet| packet[3] = 19), Err(InnerTooShort), "total length within the header");
    assert_eq!(changed(v4(), |packet| packet[3] = 29), Err(InnerTooShort), "total length beyond the buffer");
    assert_eq!(changed(v4(), |packet| packet[2] = 0xff), Err(InnerTooShort));
    for len in 0..28 {
        assert_eq!(InnerPacket::parse(&v4()[..len]), Err(InnerTooShort), "cut to {len}");
    }
    for at in 1..20 {
        let mut packet = v4();
        packet[at] ^= 0x10;
        assert!(InnerPacket::parse(&packet).is_err(), "octet {at} with the old checksum");
    }
}

#[test]
fn t_04_malformed_ipv6_headers() {
    use DropReason::*;
    assert_eq!(changed(v6(), |packet| packet[5] = 9), Err(InnerTooShort), "payload beyond the buffer");
    assert_eq!(changed(v6(), |packet| packet[4] = 1), Err(InnerTooShort));
    for len in 0..48 {
        assert_eq!(InnerPacket::parse(&v6()[..len]), Err(InnerTooShort), "cut to {len}");
    }
    // A jumbogram says 0 and holds a hop-by-hop header (RFC 2675 §2); behind a length of 0 there is none.
    let jumbo = ipv6("fd00::1", "fd00::2", HOP_BY_HOP, &extension(UDP, 8));
    assert_eq!(changed(jumbo, |packet| packet[5] = 0), Err(InnerTooShort));
}

#[test]
fn t_04_e_10_octets_behind_the_packet_are_ignored() {
    for packet in [v4(), v6()] {
        let whole = InnerPacket::parse(&packet).unwrap();
        let longer = [packet, vec![0xcc; 77]].concat();
        assert_eq!(InnerPacket::parse(&longer), Ok(whole));
    }
}

#[test]
fn t_04_v_52_extension_headers_are_followed_up_to_a_limit() {
    for count in 0..=MAX_EXTENSION_HEADERS + 1 {
        let kinds = [HOP_BY_HOP, DESTINATION_OPTIONS, ROUTING, HIP, SHIM6];
        let mut payload = UDP_HEADER.to_vec();
        let mut next = UDP;
        for index in 0..count {
            payload.splice(0..0, extension(next, 8 * (1 + index % 3)));
            next = kinds[index % kinds.len()];
        }
        let packet = ipv6("fd00::1", "fd00::2", next, &payload);
        let parsed = InnerPacket::parse(&packet);
        if count < MAX_EXTENSION_HEADERS {
            let parsed = parsed.unwrap();
            assert_eq!((parsed.protocol(), parsed.source_port()), (UDP, PacketPort::Number(12345)), "{count}");
            assert_eq!(parsed.header_len(), packet.len() - 8);
        } else {
            assert_eq!(parsed, Err(DropReason::ExtensionChain), "{count}");
        }
    }
}

#[test]
fn t_04_v_52_extension_headers_end_within_the_packet() {
    for kind in [HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS, HIP, SHIM6, AUTHENTICATION, FRAGMENT] {
        for len in 0..8 {
            let packet = ipv6("fd00::1", "fd00::2", kind, &[0, 0, 0, 0, 0, 0, 0, 0][..len]);
            assert!(InnerPacket::parse(&packet).is_err(), "{kind}, {len} octets");
        }
        if kind != FRAGMENT {
            let packet = ipv6("fd00::1", "fd00::2", kind, &[UDP, 255, 0, 0, 0, 0, 0, 0]);
            assert_eq!(InnerPacket::parse(&packet), Err(DropReason::InnerTooShort), "{kind}");
        }
    }
}

#[test]
fn t_04_an_authentication_header_counts_in_words_of_four() {
    let mut payload = vec![UDP, 4];
    payload.resize(24, 0);
    payload.extend(UDP_HEADER);
    let parsed = InnerPacket::parse(&ipv6("fd00::1", "fd00::2", AUTHENTICATION, &payload)).unwrap();
    assert_eq!((parsed.protocol(), parsed.header_len()), (UDP, 64));
}

#[test]
fn t_05_ports_of_later_fragments_are_hidden() {
    for (field, fragment) in [
        (0x0000, Fragment::Whole),
        (0x4000, Fragment::Whole),
        (0x2000, Fragment::First),
        (0x2001, Fragment::Later),
        (0x0001, Fragment::Later),
        (0x1fff - 3, Fragment::Later),
    ] {
        let parsed = changed(v4(), |packet| packet[6..8].copy_from_slice(&u16::to_be_bytes(field))).unwrap();
        assert_eq!(parsed.fragment(), fragment);
        let hidden = parsed.source_port() == PacketPort::Hidden && parsed.destination_port() == PacketPort::Hidden;
        assert_eq!(hidden, fragment == Fragment::Later);
    }
    for (field, fragment) in
        [(0, Fragment::Whole), (1, Fragment::First), (8, Fragment::Later), (0xff01, Fragment::Later)]
    {
        let payload = [fragment_header(UDP, field), UDP_HEADER.to_vec()].concat();
        let parsed = InnerPacket::parse(&ipv6("fd00::1", "fd00::2", FRAGMENT, &payload)).unwrap();
        assert_eq!((parsed.fragment(), parsed.protocol()), (fragment, UDP));
        assert_eq!(parsed.source_port() == PacketPort::Hidden, fragment == Fragment::Later);
    }
}

#[test]
fn t_05_fragments_beyond_the_longest_packet_are_dropped() {
    let overrun = changed(v4(), |packet| packet[6..8].copy_from_slice(&0x1fffu16.to_be_bytes()));
    assert_eq!(overrun, Err(DropReason::FragmentOverrun));
    for (octets, is_right) in [(11, true), (12, false)] {
        let last = ipv4("10.0.0.1", "10.0.0.2", UDP, &vec![0; octets]);
        let parsed = changed(last, |packet| packet[6..8].copy_from_slice(&8188u16.to_be_bytes()));
        assert_eq!(parsed.is_ok(), is_right, "65,504 octets before it, 20 of header, {octets}");
    }
    let payload = [fragment_header(UDP, 0xfff8), UDP_HEADER.to_vec()].concat();
    let packet = ipv6("fd00::1", "fd00::2", FRAGMENT, &payload);
    assert_eq!(InnerPacket::parse(&packet), Err(DropReason::FragmentOverrun));
}

#[test]
fn t_05_a_fragment_of_a_fragment_is_dropped() {
    let payload = [fragment_header(FRAGMENT, 1), fragment_header(UDP, 0), UDP_HEADER.to_vec()].concat();
    let packet = ipv6("fd00::1", "fd00::2", FRAGMENT, &payload);
    assert_eq!(InnerPacket::parse(&packet), Err(DropReason::ExtensionChain));
}

#[test]
fn icmp_shows_type_and_code_on_the_senders_side_only() {
    let parsed = InnerPacket::parse(&ipv4("10.0.0.1", "10.0.0.2", ICMP, &[8, 1, 0, 0])).unwrap();
    assert_eq!(parsed.source_port(), PacketPort::Number(0x0801));
    assert_eq!(parsed.destination_port(), PacketPort::Unconstrained);
    let parsed = InnerPacket::parse(&ipv6("fd00::1", "fd00::2", ICMPV6, &[128, 0, 0, 0])).unwrap();
    assert_eq!(parsed.source_port(), PacketPort::Number(0x8000));
}

#[test]
fn mobility_shows_its_kind_on_the_senders_side_only() {
    let parsed = InnerPacket::parse(&ipv6("fd00::1", "fd00::2", MOBILITY, &[59, 1, 5, 0, 0, 0, 0, 0])).unwrap();
    assert_eq!(parsed.source_port(), PacketPort::Number(0x0500));
    assert_eq!(parsed.destination_port(), PacketPort::Unconstrained);
}

#[test]
fn an_error_counts_as_an_answer_to_what_it_quotes() {
    let mut quotes = [v4(), v6()];
    quotes[0][1] = 0x29;
    (quotes[1][0], quotes[1][1]) = (0x62, 0x90);
    let error = |head: [u8; 8], quote: &[u8]| [&head, quote].concat();
    let errors = [
        ipv4("10.0.0.7", "10.0.0.1", ICMP, &error([3, 3, 0, 0, 0, 0, 0, 0], &quotes[0])),
        ipv6("fd00::7", "fd00::1", ICMPV6, &error([1, 4, 0, 0, 0, 0, 0, 0], &quotes[1])),
    ];
    for (error, quote) in errors.iter().zip([v4(), v6()]) {
        let quoted = InnerPacket::parse(&quote).unwrap();
        let answer = InnerPacket::parse(error).unwrap().answered(error).unwrap();
        assert_eq!((answer.source(), answer.destination()), (quoted.destination(), quoted.source()));
        let ports = (PacketPort::Number(53), PacketPort::Number(12345));
        assert_eq!((answer.source_port(), answer.destination_port()), ports);
        assert_eq!((answer.protocol(), answer.tos(), answer.fragment()), (UDP, 0x29, Fragment::Whole));
    }
}

#[test]
fn what_an_error_quotes_may_be_the_first_piece_and_must_be_a_packet() {
    let answered = |quote: &[u8]| {
        let message = [&[3, 3, 0, 0, 0, 0, 0, 0], quote].concat();
        let error = ipv4("10.0.0.7", "10.0.0.1", ICMP, &message);
        InnerPacket::parse(&error).unwrap().answered(&error)
    };
    let mut first = v4();
    first[6] = 0x20;
    let answer = answered(&first).unwrap();
    assert_eq!((answer.fragment(), answer.source_port()), (Fragment::First, PacketPort::Number(53)));
    let mut later = v4();
    later[7] = 1;
    let answer = answered(&later).unwrap();
    assert_eq!((answer.fragment(), answer.source_port()), (Fragment::Later, PacketPort::Hidden));
    for first in [0x55, 0x65, 0x44, 0x40] {
        let mut other = v4();
        other[0] = first;
        assert!(answered(&other).is_none(), "{first:02x}");
    }
}

#[test]
fn protocols_without_ports_and_packets_too_short_for_them_hide_them() {
    for (protocol, payload) in [(47u8, &[0u8; 8][..]), (50, &[0; 8]), (TCP, &[0; 3]), (UDP, &[]), (ICMP, &[8])] {
        let parsed = InnerPacket::parse(&ipv4("10.0.0.1", "10.0.0.2", protocol, payload)).unwrap();
        assert_eq!((parsed.source_port(), parsed.destination_port()), (PacketPort::Hidden, PacketPort::Hidden));
    }
}

#[test]
fn t_02_addresses_that_no_tunnel_carries() {
    for (source, destination) in [
        ("127.0.0.1", "10.0.0.2"),
        ("10.0.0.1", "127.0.0.1"),
        ("224.0.0.1", "10.0.0.2"),
        ("255.255.255.255", "10.0.0.2"),
        ("10.0.0.1", "0.0.0.0"),
    ] {
        assert_eq!(InnerPacket::parse(&ipv4(source, destination, UDP, &UDP_HEADER)), Err(DropReason::Martian));
    }
    for (source, destination) in [("::1", "fd00::2"), ("fd00::1", "::1"), ("ff02::1", "fd00::2"), ("fd00::1", "::")] {
        assert_eq!(InnerPacket::parse(&ipv6(source, destination, UDP, &UDP_HEADER)), Err(DropReason::Martian));
    }
}

proptest::proptest! {
    #[test]
    fn t_04_what_is_parsed_lies_within_the_octets(
        mut octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        shape in 0u8..3,
    ) {
        match (shape, octets.len()) {
            (1, 20..) => {
                octets[0] = 0x45 | (octets[0] & 2);
                octets[2] = 0;
                fix_checksum(&mut octets);
            }
            (2, 40..) => {
                octets[0] = 0x60;
                octets[4] = 0;
                octets[6] = [HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS][usize::from(octets[6] % 5)];
            }
            _ => {}
        }
        if let Ok(packet) = InnerPacket::parse(&octets) {
            proptest::prop_assert!(packet.header_len() <= packet.total_len() && packet.total_len() <= octets.len());
        }
    }

    #[test]
    fn a_checksum_corrected_is_a_checksum_computed(
        octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 20..60),
        word in 0usize..9, new in proptest::prelude::any::<u16>(),
    ) {
        let mut octets = octets;
        octets[18..20].fill(0);
        let checksum = !sum(&octets);
        let old = u16::from_be_bytes([octets[2 * word], octets[2 * word + 1]]);
        octets[2 * word..2 * word + 2].copy_from_slice(&new.to_be_bytes());
        octets[18..20].copy_from_slice(&checksum_after(checksum, old, new).to_be_bytes());
        proptest::prop_assert_eq!(sum(&octets), 0xffff);
    }
}
