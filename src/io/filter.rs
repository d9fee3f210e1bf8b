//! What a UDP socket takes at all, as a program that the kernel runs for each datagram before it takes up room in the socket's buffer.
//!
//! Strangers never get in: a flood from elsewhere costs the inbound thread nothing, and no packet of the gateway its place. The sender's address can be
//! forged, though. While such a flood lasts, [`Strictness::KnownOnly`] lets in what bears a number that only the gateway and who sees our packets know.

use std::net::IpAddr;

use crate::bpf::{Condition, Program};

/// Everything of a datagram is kept.
const TAKE: u32 = u32::MAX;
const REFUSE: u32 = 0;

/// The network header stands here, as negative offsets (linux/filter.h `SKF_NET_OFF`); what has none is the UDP header and what follows.
const NETWORK_HEADER: u32 = 0xfff0_0000;
/// A random number stands here (`SKF_AD_OFF + SKF_AD_RANDOM`).
const RANDOM: u32 = 0xffff_f000 + 56;

const IPV4_SOURCE: u32 = NETWORK_HEADER + 12;
const IPV6_SOURCE: u32 = NETWORK_HEADER + 8;
/// Behind the UDP header.
const PAYLOAD: u32 = 8;

/// Longer than any single datagram but those that IP fragmented: a train, of which a filter sees the first datagram only.
const LONGEST_SINGLE: u32 = 2048;

/// Of what bears no known number one in so many gets in, so that it is noticed (K2-103) and the end of a flood too. A power of two.
pub const SAMPLE: u32 = 64;

/// The most gateways that go into a program, many times as many as there are sessions, and the most numbers: with more of these it is not strict.
const MOST: usize = 128;

/// What is let in from a gateway's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Everything.
    AnyNumber,
    /// What bears one of these numbers, and a sample of the rest.
    KnownOnly {
        /// SPIs of inbound SAs.
        esp: Vec<u32>,
        /// Initiators' SPIs of IKE SAs.
        ike: Vec<u64>,
    },
}

/// The program for one socket. `gateways` of the other address family are passed over.
pub fn program(is_ipv4: bool, gateways: &[IpAddr], strictness: &Strictness) -> Program {
    let mut program = Program::default();
    let sources: Vec<Vec<Condition>> =
        gateways.iter().filter(|gateway| gateway.is_ipv4() == is_ipv4).take(MOST).map(source_is).collect();
    program.need_one_of(&sources, REFUSE);
    if let Strictness::KnownOnly { esp, ike } = strictness
        && esp.len() <= MOST
        && ike.len() <= MOST
    {
        program.end_if_longer(LONGEST_SINGLE, TAKE);
        program.end_if_no_bit(RANDOM, SAMPLE.saturating_sub(1), TAKE);
        // The shortest first: a word beyond the datagram's end refuses it.
        for spi in esp {
            program.end_if_all(&[(PAYLOAD, *spi)], TAKE);
        }
        for spi in ike {
            let [high, low] = halves(*spi);
            program.end_if_all(&[(PAYLOAD, high), (PAYLOAD + 4, low)], TAKE);
        }
        for spi in ike {
            let [high, low] = halves(*spi);
            program.end_if_all(&[(PAYLOAD, 0), (PAYLOAD + 4, high), (PAYLOAD + 8, low)], TAKE);
        }
        program.end(REFUSE);
    } else {
        program.end(TAKE);
    }
    program
}

fn source_is(gateway: &IpAddr) -> Vec<Condition> {
    match gateway {
        IpAddr::V4(address) => vec![(IPV4_SOURCE, address.to_bits())],
        IpAddr::V6(address) => {
            let octets = address.octets();
            let (words, _) = octets.as_chunks::<4>();
            let words = words.iter().map(|word| u32::from_be_bytes(*word));
            (0_u32..).step_by(4).map(|at| IPV6_SOURCE.wrapping_add(at)).zip(words).collect()
        }
    }
}

fn halves(spi: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = spi.to_be_bytes();
    [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::MAX_INSTRUCTIONS;
    use crate::bpf::tests::run;

    struct Datagram {
        source: IpAddr,
        payload: Vec<u8>,
        random: u32,
    }

    fn verdict(program: &Program, datagram: &Datagram) -> bool {
        let udp = [&[0; 8][..], &datagram.payload].concat();
        let network = match datagram.source {
            IpAddr::V4(source) => [&[0x45; 12][..], &source.octets(), &[0; 4]].concat(),
            IpAddr::V6(source) => [&[0x60; 8][..], &source.octets(), &[0; 16]].concat(),
        };
        let word = |octets: &[u8], at: u32| {
            let at = usize::try_from(at).unwrap();
            octets.get(at..at + 4).map(|word| u32::from_be_bytes(word.try_into().unwrap()))
        };
        let length = u32::try_from(udp.len()).unwrap();
        match run(program, length, |at| match at {
            RANDOM => Some(datagram.random),
            at if at >= NETWORK_HEADER => word(&network, at - NETWORK_HEADER),
            at => word(&udp, at),
        }) {
            TAKE => true,
            REFUSE => false,
            other => panic!("{other}"),
        }
    }

    fn from(source: &str, payload: &[u8]) -> Datagram {
        Datagram { source: source.parse().unwrap(), payload: payload.to_vec(), random: 1 }
    }

    const V4: [&str; 2] = ["192.0.2.1", "198.51.100.7"];
    const V6: &str = "2001:db8:2::1";

    fn gateways() -> Vec<IpAddr> {
        V4.iter().chain([&V6]).map(|text| text.parse().unwrap()).collect()
    }

    fn strict() -> Strictness {
        Strictness::KnownOnly { esp: vec![0x1001, 0x1002], ike: vec![0x0102_0304_0506_0708] }
    }

    #[test]
    fn only_a_gateway_s_address_gets_in_and_each_of_them_does() {
        let (ipv4, ipv6) = [true, false].map(|v4| program(v4, &gateways(), &Strictness::AnyNumber)).into();
        for gateway in V4 {
            for payload in [&[][..], &[0xff], &[9; 1400]] {
                assert!(verdict(&ipv4, &from(gateway, payload)), "{gateway}");
            }
        }
        assert!(verdict(&ipv6, &from(V6, &[])));
        for stranger in ["192.0.2.2", "192.0.3.1", "0.0.0.0", "255.255.255.255", "1.2.0.192"] {
            assert!(!verdict(&ipv4, &from(stranger, &[0; 100])), "{stranger}");
        }
        for stranger in ["2001:db8:2::2", "2001:db8:3::1", "2001:db9:2::1", "::", "2002:db8:2::1"] {
            assert!(!verdict(&ipv6, &from(stranger, &[0; 100])), "{stranger}");
        }
        let nobody = program(true, &[V6.parse().unwrap()], &Strictness::AnyNumber);
        assert!(!verdict(&nobody, &from(V4[0], &[0; 100])), "no gateway of the family: nobody");
    }

    #[test]
    fn a_strict_filter_takes_what_bears_a_known_number_from_a_gateway() {
        let program = program(true, &gateways(), &strict());
        let ike = [1, 2, 3, 4, 5, 6, 7, 8];
        let marked = [&[0; 4][..], &ike, &[0; 20]].concat();
        let bare = [&ike[..], &[0; 20]].concat();
        for payload in [&marked, &bare, &vec![0, 0, 0x10, 1], &vec![0, 0, 0x10, 2, 0, 0, 0, 9], &vec![7; 3000]] {
            assert!(verdict(&program, &from(V4[0], payload)), "{payload:?}");
            assert!(!verdict(&program, &from("192.0.2.2", payload)), "a stranger with {payload:?}");
        }
        let other_ike = [&[0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 9][..], &[0; 20]].concat();
        for payload in [&other_ike[..], &[0, 0, 0x10, 3], &[0xff], &[], &[0; 4], &[0; 11], &[0; 28], &[0, 0, 0x10]] {
            let mut datagram = from(V4[0], payload);
            assert!(!verdict(&program, &datagram), "{payload:?}");
            datagram.random = SAMPLE * 5;
            assert!(verdict(&program, &datagram), "one in {SAMPLE} gets in: {payload:?}");
        }
    }

    #[test]
    fn more_than_fits_into_a_program_makes_it_less_strict_and_not_wrong() {
        let many = Strictness::KnownOnly { esp: (0..u32::try_from(MOST).unwrap() + 1).collect(), ike: vec![] };
        assert_eq!(program(true, &gateways(), &many), program(true, &gateways(), &Strictness::AnyNumber));
        let most = u32::try_from(MOST).unwrap();
        let full = Strictness::KnownOnly { esp: (0..most).collect(), ike: (0..u64::from(most)).collect() };
        let all: Vec<IpAddr> = (0..most * 2).map(|n| std::net::Ipv6Addr::from_bits(u128::from(n)).into()).collect();
        assert!(program(false, &all, &full).instructions().len() <= MAX_INSTRUCTIONS);
    }
}
