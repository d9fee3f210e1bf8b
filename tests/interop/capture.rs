//! Captures of a link, read as they were written: pcap, Ethernet, IP. Knows only enough to
//! tell what passed between which addresses.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use crate::lab::{Client, Lab};

/// A capture under way.
pub(crate) struct Capture<'lab> {
    lab: &'lab Lab,
    file: PathBuf,
}

/// One frame, as far as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Addresses being resolved on the link: ARP, neighbour discovery, multicast listeners.
    Link,
    Udp {
        source: IpAddr,
        destination: IpAddr,
        ports: (u16, u16),
        payload: Vec<u8>,
    },
    Other(Vec<u8>),
}

impl<'lab> Capture<'lab> {
    pub(crate) fn start(client: &Client<'lab>, device: &str) -> Self {
        let file = client.directory().join(format!("{}-{device}.pcap", client.name()));
        client.lab.verb("capture", &[client.name(), device, &file.to_string_lossy()]);
        Self { lab: client.lab, file }
    }

    /// Ends it; the octets of every frame.
    pub(crate) fn frames(self) -> Vec<Vec<u8>> {
        self.lab.verb("capture-stop", &[&self.file.to_string_lossy()]);
        frames(&fs::read(&self.file).expect("the capture's file"))
    }
}

fn frames(mut file: &[u8]) -> Vec<Vec<u8>> {
    let header = file.split_off(..24).expect("a pcap header");
    assert_eq!(header[..4], 0xa1b2_c3d4_u32.to_le_bytes(), "not a little-endian pcap");
    let mut frames = Vec::new();
    while let Some(record) = file.split_off(..16) {
        let [captured, on_the_link] =
            [8, 12].map(|at| u32::from_le_bytes(record[at..at + 4].try_into().expect("four octets")));
        assert_eq!(captured, on_the_link, "a frame was cut: what is searched for may be in the rest");
        frames.push(file.split_off(..captured as usize).expect("a whole frame").to_vec());
    }
    frames
}

/// Reads an Ethernet frame.
pub(crate) fn read(frame: &[u8]) -> Frame {
    udp(frame).unwrap_or_else(|| if resolves_addresses(frame) { Frame::Link } else { Frame::Other(frame.to_vec()) })
}

fn udp(frame: &[u8]) -> Option<Frame> {
    let packet = frame.get(14..)?;
    let address = |at: usize| Some(IpAddr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
    let address6 = |at: usize| Some(IpAddr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?));
    let (source, destination, header_len) = match frame.get(12..14)? {
        [0x08, 0x00] if *packet.get(9)? == 17 => (address(12)?, address(16)?, usize::from(packet[0] & 15) * 4),
        [0x86, 0xdd] if *packet.get(6)? == 17 => (address6(8)?, address6(24)?, 40),
        _ => return None,
    };
    let datagram = packet.get(header_len..)?;
    let port = |at: usize| Some(u16::from_be_bytes(datagram.get(at..at + 2)?.try_into().ok()?));
    Some(Frame::Udp { source, destination, ports: (port(0)?, port(2)?), payload: datagram.get(8..)?.to_vec() })
}

fn resolves_addresses(frame: &[u8]) -> bool {
    const HOP_BY_HOP: u8 = 0;
    const ICMP_V6: u8 = 58;
    let Some(kind) = frame.get(12..14) else { return false };
    if kind == [0x08, 0x06] {
        return true;
    }
    if kind != [0x86, 0xdd] {
        return false;
    }
    // Router and neighbour discovery (133 to 137), multicast listeners (131, 132, 143 behind a router alert).
    matches!(
        (frame.get(20).copied(), frame.get(54).copied(), frame.get(62).copied()),
        (Some(ICMP_V6), Some(133..=137), _) | (Some(HOP_BY_HOP), Some(ICMP_V6), Some(131 | 132 | 143))
    )
}

pub(crate) fn contains(frame: &[u8], text: &[u8]) -> bool {
    frame.windows(text.len()).any(|window| window == text)
}

#[test]
fn frames_are_told_apart() {
    let mut udp = vec![0; 12];
    udp.extend([0x08, 0x00, 0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 10, 192, 0, 2, 1]);
    udp.extend([0x11, 0x94, 0x11, 0x94, 0, 10, 0, 0, 7, 8]);
    let expected = Frame::Udp {
        source: Ipv4Addr::new(192, 0, 2, 10).into(),
        destination: Ipv4Addr::new(192, 0, 2, 1).into(),
        ports: (4500, 4500),
        payload: vec![7, 8],
    };
    assert_eq!(read(&udp), expected);

    let mut icmp = udp.clone();
    icmp[23] = 1;
    assert_eq!(read(&icmp), Frame::Other(icmp.clone()), "an echo request in clear is not overlooked");

    let mut solicitation = vec![0; 12];
    solicitation.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 58, 255]);
    solicitation.extend(Ipv6Addr::LOCALHOST.octets());
    solicitation.extend(Ipv6Addr::LOCALHOST.octets());
    solicitation.extend([135, 0, 0, 0]);
    assert_eq!(read(&solicitation), Frame::Link);
    solicitation[54] = 128;
    assert_eq!(
        read(&solicitation),
        Frame::Other(solicitation.clone()),
        "an IPv6 echo request is not neighbour discovery"
    );
}
