//! The Internet checksum (RFC 1071) of TCP, UDP and IPv4 headers, over whole packets: a pass that a fast path can afford.
//! It knows octets; it knows no header.

/// IPv4 and IPv6 addresses stand before the pseudo header's other words: the protocol's number and the length (RFC 9293 §3.1, RFC 8200 §8.1).
pub fn pseudo_header(addresses: &[u8], protocol: u8, len: usize) -> Sum {
    // The length has 32 bits in IPv6 and 16 in IPv4; a length that fits 16 has the same sum in both.
    let len = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    Sum::default().add(addresses).add(&[0, protocol]).add(&len)
}

/// A ones' complement sum of 16-bit words that is not folded yet. It may be made of parts: each starts at an even octet of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(
    /// Of words in the machine's octet order: the sum does not depend on it (RFC 1071 §2(B)), and 64 bits hold the carries (§2(C)).
    u64,
);

/// Octets that are summed at once, in four 32-bit words with a sum each: what the compiler makes vector instructions of.
const BLOCK: usize = 16;

impl Sum {
    /// With these octets; a missing last one is zero.
    #[expect(clippy::should_implement_trait, reason = "what is added is octets, not another sum")]
    #[must_use]
    pub fn add(self, octets: &[u8]) -> Self {
        let (blocks, rest) = octets.as_chunks::<BLOCK>();
        let mut sums = [0_u64; BLOCK / 4];
        for block in blocks {
            for (sum, word) in sums.iter_mut().zip(block.as_chunks::<4>().0) {
                // 2^32 words would be needed to wrap.
                *sum = sum.wrapping_add(u64::from(u32::from_ne_bytes(*word)));
            }
        }
        let (pairs, odd) = rest.as_chunks::<2>();
        let last = odd.first().map_or(0, |octet| u16::from_ne_bytes([*octet, 0]));
        let words = pairs.iter().map(|pair| u16::from_ne_bytes(*pair)).chain([last]).map(u64::from);
        Self(sums.into_iter().chain(words).fold(self.0, add_with_carry))
    }

    /// The sum in 16 bits, as it is written into a header: `to_be_bytes`. Of all octets including a right checksum it is 0xffff.
    pub fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff).wrapping_add(sum >> 16);
        }
        u16::from_be(u16::try_from(sum).unwrap_or(u16::MAX))
    }

    /// The checksum: what the field that was summed as zero has to hold.
    pub fn checksum(self) -> u16 {
        !self.fold()
    }
}

fn add_with_carry(sum: u64, more: u64) -> u64 {
    let (sum, carried) = sum.overflowing_add(more);
    sum.wrapping_add(u64::from(carried))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 1071 §1, word by word.
    fn plain(octets: &[u8]) -> u16 {
        let mut sum = 0_u16;
        for word in octets.chunks(2) {
            let (added, carried) = sum.overflowing_add(u16::from_be_bytes([word[0], *word.get(1).unwrap_or(&0)]));
            sum = added + u16::from(carried);
        }
        sum
    }

    #[test]
    fn the_example_of_rfc_1071() {
        let sum = Sum::default().add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!((sum.fold(), sum.checksum()), (0xddf2, !0xddf2));
    }

    #[test]
    fn nothing_has_a_sum_of_zero_and_something_never_has() {
        assert_eq!(Sum::default().add(&[]).fold(), 0);
        assert_eq!(Sum::default().add(&[0; 100]).fold(), 0);
        assert_eq!(Sum::default().add(&[0xff; 100]).fold(), 0xffff);
    }

    #[test]
    fn carries_are_kept_over_the_longest_packet() {
        for len in [65_534, 65_535] {
            assert_eq!(Sum::default().add(&vec![0xff; len]).fold(), plain(&vec![0xff; len]));
        }
        assert_eq!(Sum(u64::MAX).add(&[0, 1]).fold(), plain(&[0xff, 0xff, 0, 1]));
    }

    #[test]
    fn pseudo_headers_of_both_families_are_those_of_the_rfcs() {
        let (source, destination) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let four = [&source[..], &destination, &[0, 6, 0x12, 0x34]].concat();
        assert_eq!(pseudo_header(&[source, destination].concat(), 6, 0x1234).fold(), plain(&four));
        let addresses: Vec<u8> = (0..32).collect();
        let six = [&addresses[..], &[0, 0, 0x12, 0x34, 0, 0, 0, 17]].concat();
        assert_eq!(pseudo_header(&addresses, 17, 0x1234).fold(), plain(&six));
    }

    proptest! {
        #[test]
        fn every_length_and_place_gives_the_plain_sum(octets in prop::collection::vec(any::<u8>(), 0..2000), skipped in 0..32_usize) {
            let octets = octets.get(skipped..).unwrap_or_default();
            prop_assert_eq!(Sum::default().add(octets).fold(), plain(octets));
        }

        #[test]
        fn parts_at_even_octets_give_the_sum_of_the_whole(octets in prop::collection::vec(any::<u8>(), 0..200), at in 0..100_usize) {
            let (head, tail) = octets.split_at((at * 2).min(octets.len() & !1));
            prop_assert_eq!(Sum::default().add(head).add(tail).fold(), plain(&octets));
        }

        #[test]
        fn a_right_checksum_makes_all_ones(octets in prop::collection::vec(any::<u8>(), 2..200)) {
            prop_assume!(octets[2..].iter().any(|octet| *octet != 0));
            let mut octets = octets;
            octets[..2].fill(0);
            let checksum = Sum::default().add(&octets).checksum();
            octets[..2].copy_from_slice(&checksum.to_be_bytes());
            prop_assert_eq!(Sum::default().add(&octets).fold(), 0xffff);
        }
    }
}
