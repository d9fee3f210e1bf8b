//! What a device gives: of each packet whether its sums are made right, the virtio header, how often its octets repeat, and the packet.

use crate::Input;

struct Given {
    kind: u8,
    size: u16,
    start: u16,
    offset: u16,
}

impl Given {
    fn story(&self, repeats: u8, packet: &[u8]) -> Vec<u8> {
        let [s1, s2] = self.size.to_ne_bytes();
        let [c1, c2] = self.start.to_ne_bytes();
        let [o1, o2] = self.offset.to_ne_bytes();
        let unfinished = u8::from(self.offset > 0);
        let len = u16::try_from(packet.len()).unwrap().to_be_bytes();
        [&[1, unfinished, self.kind, 0, 0, s1, s2, c1, c2, o1, o2, repeats - 1, len[0], len[1]], packet].concat()
    }
}

fn tcp(flags: u8, payload: usize) -> Vec<u8> {
    let mut segment = vec![0x12, 0x34, 0, 80, 0, 0, 1, 0, 0, 0, 0, 9, 0x80, flags, 1, 0, 0, 0, 0, 0];
    segment.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    segment.extend((0..payload).map(|at| at as u8));
    segment
}

fn udp(payload: usize) -> Vec<u8> {
    let len = u16::try_from(8 + payload).unwrap().to_be_bytes();
    let mut datagram = vec![0x12, 0x34, 0, 53, len[0], len[1], 0, 0];
    datagram.extend((0..payload).map(|at| at as u8));
    datagram
}

fn ipv4(options: usize, protocol: u8, upper: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + options + upper.len()).unwrap().to_be_bytes();
    let words = u8::try_from(5 + options / 4).unwrap();
    let mut packet =
        vec![0x40 | words, 0, total[0], total[1], 0, 1, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet.extend(vec![1; options]);
    packet.extend(upper);
    packet
}

fn ipv6(extension: bool, protocol: u8, upper: &[u8]) -> Vec<u8> {
    let extra = if extension { vec![protocol, 0, 1, 4, 0, 0, 0, 0] } else { vec![] };
    let len = u16::try_from(extra.len() + upper.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, len[0], len[1], if extension { 60 } else { protocol }, 64];
    packet.extend((0..32).map(|octet| if octet % 16 == 0 { 0xfd } else { octet }));
    packet.extend(extra);
    packet.extend(upper);
    packet
}

pub fn inputs() -> Vec<Input> {
    let tcp4 = |size| Given { kind: 1, size, start: 20, offset: 16 };
    let tcp6 = |size| Given { kind: 4, size, start: 40, offset: 16 };
    let udp4 = |size| Given { kind: 5, size, start: 20, offset: 6 };
    let single = Given { kind: 0, size: 0, start: 20, offset: 6 };
    let plain = Given { kind: 0, size: 0, start: 0, offset: 0 };
    let flow = [
        tcp4(500).story(1, &ipv4(0, 6, &tcp(0x10, 1500))),
        single.story(1, &ipv4(0, 17, &udp(100))),
        plain.story(1, &ipv4(0, 1, &[8, 0, 0, 0, 1, 2, 3, 4])),
        udp4(90).story(1, &ipv4(0, 17, &udp(400))),
    ];
    vec![
        ("nothing", vec![]),
        ("tcp4", tcp4(500).story(1, &ipv4(0, 6, &tcp(0x18, 1700)))),
        ("tcp4_all_flags", tcp4(500).story(1, &ipv4(40, 6, &tcp(0xf9, 1700)))),
        ("tcp4_one_octet", tcp4(1).story(1, &ipv4(0, 6, &tcp(0x10, 100)))),
        ("tcp6", tcp6(700).story(1, &ipv6(false, 6, &tcp(0x10, 1800)))),
        ("tcp6_extension", Given { start: 48, ..tcp6(700) }.story(1, &ipv6(true, 6, &tcp(0x11, 1800)))),
        ("udp4", udp4(400).story(1, &ipv4(0, 17, &udp(1601)))),
        ("udp6", Given { start: 40, ..udp4(400) }.story(1, &ipv6(false, 17, &udp(1601)))),
        ("single", single.story(1, &ipv4(0, 17, &udp(999)))),
        ("wrong_place", Given { start: 24, ..tcp4(500) }.story(1, &ipv4(0, 6, &tcp(0x10, 900)))),
        ("wrong_family", tcp6(500).story(1, &ipv4(0, 6, &tcp(0x10, 900)))),
        ("beyond_the_end", Given { start: 2000, ..single }.story(1, &ipv4(0, 17, &udp(10)))),
        ("repeated", plain.story(8, &ipv4(0, 17, &udp(1000)))),
        ("several", flow.concat()),
    ]
}
