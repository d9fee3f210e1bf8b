//! What the TUN device may give, of any header and packet, is split; what comes out is merged again and split again. No step may panic, go on for
//! ever or make other packets of them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vpnd::{
    esp::packet::InnerPacket,
    io::offload::{
        checksum::{Sum, pseudo_header},
        coalesce::{Coalescer, Mergeable},
        header::{Header, LEN},
        split::Split,
    },
};
use vpnd_fuzz::Story;

/// Packets of one story, at most; a super-packet of small segments alone can be more, and is then not merged.
const MOST: usize = 300;

fuzz_target!(|data: &[u8]| {
    let mut story = Story::new(data);
    let mut packets = Vec::new();
    while story.goes_on() && packets.len() < MOST {
        let repaired = story.octet() % 2 == 1;
        let octets: [u8; LEN] = std::array::from_fn(|_| story.octet());
        // The octets repeat, so that a short story makes a long packet.
        let repeats = usize::from(story.octet() % 8) + 1;
        let mut packet = story.octets().repeat(repeats);
        let Ok(header) = Header::parse(&octets) else { continue };
        if repaired {
            repair(&header, &mut packet);
        }
        packets.extend(split(&header, &packet).unwrap_or_else(|| vec![packet]));
    }
    packets.truncate(MOST);
    merge_and_split_again(&packets);
});

/// All packets of one that the device gave; `None` when it is dropped.
fn split(header: &Header, packet: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut split = Split::new(header, packet).ok()?;
    let mut memory = vec![0; packet.len()];
    let mut segments: Vec<Vec<u8>> = Vec::new();
    while !split.is_done() {
        let len = split.write(packet, &mut memory).expect("no segment is longer than all of them");
        if segments.is_empty() && len > 0 {
            let mut again = Split::new(header, packet).expect("as before");
            assert_eq!(again.write(packet, &mut vec![0; len - 1]), None, "it has no room");
        }
        segments.push(memory[..len].to_vec());
        assert!(segments.len() <= packet.len().max(1), "it goes on for ever");
    }
    if let Some(segmentation) = header.segmentation {
        let whole = InnerPacket::parse(packet).expect("a super-packet was looked at");
        let payload = |segment: &Vec<u8>| {
            let inner = InnerPacket::parse(segment).expect("a segment is a good packet");
            assert_eq!(inner.total_len(), segment.len());
            inner.total_len() - inner.header_len() - header_len(&inner, segment)
        };
        let lengths: Vec<usize> = segments.iter().map(payload).collect();
        let size = usize::from(segmentation.size.get());
        assert!(lengths.iter().rev().skip(1).all(|len| *len == size) && lengths.last().is_some_and(|len| *len <= size));
        assert_eq!(lengths.iter().sum::<usize>(), whole.total_len() - whole.header_len() - header_len(&whole, packet));
    }
    Some(segments)
}

/// Octets of the TCP or UDP header.
fn header_len(inner: &InnerPacket, packet: &[u8]) -> usize {
    if inner.protocol() == 17 { 8 } else { usize::from(packet[inner.header_len() + 12] >> 4) * 4 }
}

fn merge_and_split_again(packets: &[Vec<u8>]) {
    let views: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
    let mut coalescer = Coalescer::new(Mergeable { tcp: true, udp: true }, packets.len());
    let mut again: Vec<Vec<u8>> = Vec::new();
    for parcel in coalescer.merge(&views) {
        match parcel.headers() {
            None => again.extend(parcel.packets().map(<[u8]>::to_vec)),
            Some(headers) => {
                let packet = [headers.octets()].into_iter().chain(parcel.payloads()).collect::<Vec<_>>().concat();
                again.extend(split(&headers.header, &packet).expect("what was merged can be split"));
            }
        }
    }
    // Flows may pass each other; what is in them may not change.
    let sorted = |packets: &[Vec<u8>]| {
        let mut packets: Vec<_> = packets.iter().map(|packet| without_identification(packet)).collect();
        packets.sort();
        packets
    };
    assert!(sorted(packets) == sorted(&again), "merging and splitting made other packets");
}

/// An IPv4 packet that is never fragmented has an identification without meaning (RFC 6864 §4.1): merging may forget it.
fn without_identification(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if let [0x45, _, _, _, i1, i2, 0x40, 0, _, _, c1, c2, ..] = &mut packet[..] {
        [*i1, *i2, *c1, *c2] = [0; 4];
    }
    packet
}

/// Makes the sums right that a fuzzer does not find: the IPv4 header's, and the pseudo header's in an unfinished checksum.
fn repair(header: &Header, packet: &mut [u8]) {
    let Some(first) = packet.first().copied() else { return };
    let header_len = usize::from(first & 15) * 4;
    if first >> 4 == 4 && (20..=packet.len()).contains(&header_len) {
        packet[10..12].fill(0);
        let checksum = Sum::default().add(&packet[..header_len]).checksum();
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    let (Ok(inner), Some(unfinished)) = (InnerPacket::parse(packet), header.unfinished) else { return };
    let field = usize::from(unfinished.start) + usize::from(unfinished.offset);
    if field < inner.header_len() || field + 2 > packet.len() {
        return;
    }
    let addresses = if first >> 4 == 4 { &packet[12..20] } else { &packet[8..40] };
    let sum = pseudo_header(addresses, inner.protocol(), inner.total_len() - inner.header_len()).fold();
    packet[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}
