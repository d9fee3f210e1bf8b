//! IKE fragmentation (RFC 7383): into how many pieces an inner payload chain is cut for a datagram size, and how pieces become a chain again.
//! It knows lengths, numbers and octets; it does not seal, open or parse, and only ever sees pieces that were authenticated.

use std::net::SocketAddr;

use crate::ike::wire::chain::FragmentNumber;
use crate::ike::wire::header::{HEADER_LEN, LONGEST_MESSAGE};
use crate::ike::wire::registry::{ExchangeType, PayloadType};
use crate::sa::path::{Framing, Path};
use crate::sa::suite::Protection;

/// No message is cut into or put together from more pieces than this.
pub(super) const MOST_FRAGMENTS: u16 = 255;

const ENCRYPTED_HEADER: usize = 4;
const FRAGMENT_HEADER: usize = 8;
const UDP_HEADER: usize = 8;
const PAD_LENGTH: usize = 1;

/// How much fits into a datagram of one SA on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    protection: Protection,
    message: usize,
    /// Octets before the message: IP, UDP, marker.
    around: usize,
}

/// A piece of an inner payload chain, to be sealed into one Encrypted Fragment payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// Its place.
    pub(super) number: FragmentNumber,
    /// Next Payload: the first inner payload's type in the first piece, 0 in the others (RFC 7383 §2.5).
    pub(super) first: PayloadType,
    /// The piece.
    pub(super) content: &'a [u8],
}

/// The chain does not fit into `MOST_FRAGMENTS` pieces or `LONGEST_MESSAGE` octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Sizes {
    /// For IP datagrams of at most `limit` octets, header included. A limit below what every link carries
    /// (RFC 7383 §2.5.1: 576 octets for IPv4, 1280 for IPv6) is taken as that.
    pub(super) fn new(protection: Protection, limit: u16, path: &Path) -> Self {
        let (floor, ip) = match path.remote {
            SocketAddr::V4(_) => (576_usize, 20_usize),
            SocketAddr::V6(_) => (1280, 40),
        };
        let marker = match path.framing {
            Framing::Bare => 0,
            Framing::Marked => 4_usize,
        };
        let around = marker.saturating_add(UDP_HEADER).saturating_add(ip);
        let message = usize::from(limit).max(floor).saturating_sub(around);
        Self { protection, message, around }
    }

    /// Whether a chain of `inner` octets needs no fragmentation.
    pub(super) fn fits_whole(&self, inner: usize) -> bool {
        inner <= self.room(ENCRYPTED_HEADER)
    }

    /// Cuts a chain that begins with a payload of type `first` into pieces. One piece is never made where none is needed: ask `fits_whole` before.
    pub(super) fn split<'a>(&self, first: PayloadType, inner: &'a [u8]) -> Result<Vec<Piece<'a>>, TooLarge> {
        let room = self.room(FRAGMENT_HEADER);
        if inner.len() > LONGEST_MESSAGE || room == 0 {
            return Err(TooLarge);
        }
        let total = u16::try_from(inner.len().div_ceil(room)).map_err(|_| TooLarge)?;
        if total > MOST_FRAGMENTS {
            return Err(TooLarge);
        }
        Ok((1..)
            .zip(inner.chunks(room))
            .map(|(number, content)| Piece {
                number: FragmentNumber { number, total },
                first: if number == 1 { first } else { PayloadType::NONE },
                content,
            })
            .collect())
    }

    /// Octets of the chain that fills a message that is not cut.
    pub(super) fn room_whole(&self) -> usize {
        self.room(ENCRYPTED_HEADER)
    }

    /// Octets of the IP datagram that holds a message of so many.
    pub(super) const fn datagram(&self, message: usize) -> usize {
        self.around.saturating_add(message)
    }

    fn room(&self, payload_header: usize) -> usize {
        let text = self
            .message
            .saturating_sub(HEADER_LEN)
            .saturating_sub(payload_header)
            .saturating_sub(self.protection.iv_len())
            .saturating_sub(self.protection.icv_len());
        let block = self.protection.block_len();
        let whole_blocks = text.checked_div(block).unwrap_or(0).saturating_mul(block);
        whole_blocks.saturating_sub(PAD_LENGTH)
    }
}

/// A piece as it arrived: decrypted, and its integrity checked (RFC 7383 §2.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fragment {
    /// The header's exchange type: one message has one.
    pub(super) exchange: ExchangeType,
    /// Its place.
    pub(super) number: FragmentNumber,
    /// Next Payload; counts in the first piece only.
    pub(super) first: PayloadType,
    /// The piece.
    pub(super) content: Vec<u8>,
}

/// Pieces of one message, in one direction. Who holds it decides which message ID it is for and when it is given up; a message
/// that arrives whole meanwhile makes it superfluous.
#[derive(Debug)]
pub(super) struct Reassembly {
    exchange: ExchangeType,
    first: PayloadType,
    pieces: Vec<Option<Vec<u8>>>,
    missing: usize,
    octets: usize,
    complete: bool,
}

/// What an accepted piece led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// More are needed.
    Incomplete,
    /// All are there. This is said once.
    Complete {
        /// The header's exchange type.
        exchange: ExchangeType,
        /// Type of the first inner payload.
        first: PayloadType,
        /// The inner payload chain.
        inner: Vec<u8>,
    },
}

/// Why a piece was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FragmentFault {
    /// Number or total are zero, or the number is larger than the total.
    Number,
    /// This piece is there already, or the message is complete.
    Duplicate,
    /// Cut into fewer pieces than what is there, or of another exchange.
    Stale,
    /// A bound was reached.
    TooLarge,
}

impl Reassembly {
    /// Nothing received yet.
    pub(super) const fn new() -> Self {
        Self {
            exchange: ExchangeType(0),
            first: PayloadType::NONE,
            pieces: Vec::new(),
            missing: 0,
            octets: 0,
            complete: false,
        }
    }

    /// Whether `Progress::Complete` was said.
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Takes a piece, in constant time but for the last one, which puts the message together.
    pub(super) fn insert(&mut self, fragment: Fragment) -> Result<Progress, FragmentFault> {
        let FragmentNumber { number, total } = fragment.number;
        let Some(index) = usize::from(number).checked_sub(1) else { return Err(FragmentFault::Number) };
        if number > total {
            return Err(FragmentFault::Number);
        }
        if total > MOST_FRAGMENTS {
            return Err(FragmentFault::TooLarge);
        }
        if self.complete {
            return Err(FragmentFault::Duplicate);
        }
        let total = usize::from(total);
        if total < self.pieces.len() {
            return Err(FragmentFault::Stale);
        }
        if total > self.pieces.len() {
            // RFC 7383 §2.6: the peer cut the message anew, smaller.
            self.restart(fragment.exchange, total);
        } else if fragment.exchange != self.exchange {
            return Err(FragmentFault::Stale);
        }
        let Some(slot) = self.pieces.get_mut(index) else { return Err(FragmentFault::Number) };
        if slot.is_some() {
            return Err(FragmentFault::Duplicate);
        }
        let octets = self.octets.saturating_add(fragment.content.len());
        if octets > LONGEST_MESSAGE {
            *self = Self::new();
            return Err(FragmentFault::TooLarge);
        }
        self.octets = octets;
        self.missing = self.missing.saturating_sub(1);
        if index == 0 {
            self.first = fragment.first;
        }
        *slot = Some(fragment.content);
        if self.missing > 0 {
            return Ok(Progress::Incomplete);
        }
        self.complete = true;
        let mut inner = Vec::with_capacity(self.octets);
        for piece in std::mem::take(&mut self.pieces).into_iter().flatten() {
            inner.extend_from_slice(&piece);
        }
        Ok(Progress::Complete { exchange: self.exchange, first: self.first, inner })
    }

    fn restart(&mut self, exchange: ExchangeType, total: usize) {
        *self = Self { exchange, pieces: vec![None; total], missing: total, ..Self::new() };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity};

    const GCM: Protection = Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen));
    const CBC: Protection =
        Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 };

    fn path(address: &str, framing: Framing) -> Path {
        let address = address.parse().unwrap();
        Path { local: address, remote: address, framing }
    }

    fn piece(number: u16, total: u16, content: &[u8]) -> Fragment {
        let first = if number == 1 { PayloadType::NOTIFY } else { PayloadType::NONE };
        let number = FragmentNumber { number, total };
        Fragment { exchange: ExchangeType::IKE_AUTH, number, first, content: content.to_vec() }
    }

    fn arrived(piece: &Piece<'_>) -> Fragment {
        Fragment {
            exchange: ExchangeType::IKE_AUTH,
            number: piece.number,
            first: piece.first,
            content: piece.content.to_vec(),
        }
    }

    fn whole(inner: &[u8]) -> Progress {
        Progress::Complete { exchange: ExchangeType::IKE_AUTH, first: PayloadType::NOTIFY, inner: inner.to_vec() }
    }

    fn sealed_len(protection: Protection, payload_header: usize, content: usize) -> usize {
        let text = (content + 1).next_multiple_of(protection.block_len());
        HEADER_LEN + payload_header + protection.iv_len() + text + protection.icv_len()
    }

    #[test]
    fn f_02_a_sealed_piece_with_all_headers_fills_the_datagram_but_never_exceeds_it() {
        for protection in [GCM, CBC] {
            for (address, framing, overhead) in [
                ("192.0.2.1:4500", Framing::Marked, 32),
                ("192.0.2.1:500", Framing::Bare, 28),
                ("[2001:db8::1]:4500", Framing::Marked, 52),
            ] {
                for limit in [1280, 1281, 1295, 1296, 1500, 9000] {
                    let sizes = Sizes::new(protection, limit, &path(address, framing));
                    let inner = vec![7; 20_000];
                    let longest = sizes
                        .split(PayloadType::NOTIFY, &inner)
                        .unwrap()
                        .iter()
                        .map(|piece| piece.content.len())
                        .max()
                        .unwrap();
                    let datagram = overhead + sealed_len(protection, FRAGMENT_HEADER, longest);
                    assert!(datagram <= usize::from(limit));
                    assert!(overhead + sealed_len(protection, FRAGMENT_HEADER, longest + 1) > usize::from(limit));
                }
            }
        }
    }

    #[test]
    fn f_02_a_limit_below_what_every_link_carries_is_raised_to_it() {
        let four = path("192.0.2.1:4500", Framing::Marked);
        let six = path("[2001:db8::1]:4500", Framing::Marked);
        assert_eq!(Sizes::new(GCM, 0, &four), Sizes::new(GCM, 576, &four));
        assert_eq!(Sizes::new(GCM, 576, &six), Sizes::new(GCM, 1280, &six));
    }

    #[test]
    fn f_01_a_message_that_fits_is_not_cut() {
        for protection in [GCM, CBC] {
            let sizes = Sizes::new(protection, 1280, &path("192.0.2.1:4500", Framing::Marked));
            let most = (0..1280).rev().find(|inner| sizes.fits_whole(*inner)).unwrap();
            assert!(32 + sealed_len(protection, ENCRYPTED_HEADER, most) <= 1280);
            assert!(32 + sealed_len(protection, ENCRYPTED_HEADER, most + 1) > 1280);
        }
    }

    #[test]
    fn f_03_only_the_first_piece_names_the_first_payload_and_numbers_run_from_one() {
        let sizes = Sizes::new(GCM, 576, &path("192.0.2.1:4500", Framing::Marked));
        let inner: Vec<u8> = (0..2000_u32).map(|octet| octet as u8).collect();
        let pieces = sizes.split(PayloadType::IDENTIFICATION_INITIATOR, &inner).unwrap();
        assert!(pieces.len() > 2);
        for (index, piece) in pieces.iter().enumerate() {
            assert_eq!(usize::from(piece.number.number), index + 1);
            assert_eq!(usize::from(piece.number.total), pieces.len());
            assert_eq!(piece.first, if index == 0 { PayloadType::IDENTIFICATION_INITIATOR } else { PayloadType::NONE });
        }
        assert_eq!(pieces.iter().flat_map(|piece| piece.content).copied().collect::<Vec<_>>(), inner);
    }

    #[test]
    fn f_07_a_message_of_more_than_64_kib_is_not_sent() {
        let sizes = Sizes::new(GCM, 576, &path("192.0.2.1:4500", Framing::Marked));
        assert!(sizes.split(PayloadType::IDENTIFICATION_INITIATOR, &vec![0; LONGEST_MESSAGE]).is_ok());
        assert_eq!(sizes.split(PayloadType::IDENTIFICATION_INITIATOR, &vec![0; LONGEST_MESSAGE + 1]), Err(TooLarge));
    }

    #[test]
    fn f_03_impossible_numbers_are_dropped_and_leave_no_state() {
        let mut reassembly = Reassembly::new();
        for (number, total) in [(0, 0), (0, 3), (4, 3), (1, 0), (u16::MAX, 1)] {
            assert_eq!(reassembly.insert(piece(number, total, b"x")), Err(FragmentFault::Number));
        }
        assert!(reassembly.pieces.is_empty());
    }

    #[test]
    fn f_05_a_piece_that_is_there_is_dropped_as_a_replay() {
        let mut reassembly = Reassembly::new();
        assert_eq!(reassembly.insert(piece(1, 2, b"ab")), Ok(Progress::Incomplete));
        assert_eq!(reassembly.insert(piece(1, 2, b"XY")), Err(FragmentFault::Duplicate));
        let complete = whole(b"abcd");
        assert_eq!(reassembly.insert(piece(2, 2, b"cd")), Ok(complete));
        assert_eq!(reassembly.insert(piece(2, 2, b"cd")), Err(FragmentFault::Duplicate));
        assert_eq!(reassembly.insert(piece(1, 3, b"cd")), Err(FragmentFault::Duplicate));
    }

    #[test]
    fn f_06_a_larger_total_restarts_and_a_smaller_one_is_dropped() {
        let mut reassembly = Reassembly::new();
        assert_eq!(reassembly.insert(piece(1, 2, b"abc")), Ok(Progress::Incomplete));
        assert_eq!(reassembly.insert(piece(2, 3, b"c")), Ok(Progress::Incomplete));
        assert_eq!(reassembly.insert(piece(2, 2, b"def")), Err(FragmentFault::Stale));
        assert_eq!(reassembly.insert(piece(1, 3, b"ab")), Ok(Progress::Incomplete));
        let complete = whole(b"abcd");
        assert_eq!(reassembly.insert(piece(3, 3, b"d")), Ok(complete));
    }

    #[test]
    fn f_07_pieces_and_octets_are_bounded() {
        let mut reassembly = Reassembly::new();
        assert_eq!(reassembly.insert(piece(1, 256, b"x")), Err(FragmentFault::TooLarge));
        let large = vec![0; 40_000];
        assert_eq!(reassembly.insert(piece(1, 255, &large)), Ok(Progress::Incomplete));
        assert_eq!(reassembly.insert(piece(2, 255, &large)), Err(FragmentFault::TooLarge));
        assert!(reassembly.pieces.is_empty(), "a message that is too large keeps no memory");
    }

    #[test]
    fn a_piece_of_another_exchange_does_not_mix_in() {
        let mut reassembly = Reassembly::new();
        reassembly.insert(piece(1, 2, b"ab")).unwrap();
        let stranger = Fragment { exchange: ExchangeType::INFORMATIONAL, ..piece(2, 2, b"XY") };
        assert_eq!(reassembly.insert(stranger), Err(FragmentFault::Stale));
        assert!(matches!(reassembly.insert(piece(2, 2, b"cd")), Ok(Progress::Complete { .. })));
    }

    proptest! {
        #[test]
        fn v_22_any_order_of_pieces_of_one_message_with_duplicates_gives_the_original_once(
            inner in proptest::collection::vec(any::<u8>(), 600..6000),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..200),
        ) {
            let sizes = Sizes::new(GCM, 576, &path("192.0.2.1:4500", Framing::Marked));
            let pieces = sizes.split(PayloadType::NOTIFY, &inner).unwrap();
            let mut reassembly = Reassembly::new();
            let mut whole = Vec::new();
            let picked = order.iter().map(|index| index.get(&pieces)).chain(&pieces);
            for piece in picked {
                match reassembly.insert(arrived(piece)) {
                    Ok(Progress::Complete { inner, first, .. }) => {
                        prop_assert_eq!(first, PayloadType::NOTIFY);
                        whole.push(inner);
                    }
                    Ok(Progress::Incomplete) | Err(FragmentFault::Duplicate) => {}
                    Err(fault) => prop_assert!(false, "{:?}", fault),
                }
            }
            prop_assert_eq!(whole, [inner]);
        }

        #[test]
        fn v_22_a_mix_of_one_message_cut_twice_gives_the_original_or_nothing(
            inner in proptest::collection::vec(any::<u8>(), 1300..6000),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let four = path("192.0.2.1:4500", Framing::Marked);
            let (coarse, fine) = (Sizes::new(GCM, 1280, &four), Sizes::new(GCM, 576, &four));
            let pieces: Vec<_> =
                [coarse.split(PayloadType::NOTIFY, &inner).unwrap(), fine.split(PayloadType::NOTIFY, &inner).unwrap()].concat();
            let mut reassembly = Reassembly::new();
            for piece in order.iter().map(|index| index.get(&pieces)) {
                if let Ok(Progress::Complete { inner: whole, first, .. }) = reassembly.insert(arrived(piece)) {
                    prop_assert_eq!(first, PayloadType::NOTIFY);
                    prop_assert_eq!(&whole, &inner);
                }
            }
        }

        #[test]
        fn v_22_hostile_pieces_never_panic_and_never_hold_more_than_the_bound(
            pieces in proptest::collection::vec(
                (any::<u8>(), 0..300_u16, 0..300_u16, any::<u8>(), 0..9000_usize), 0..120),
        ) {
            let mut reassembly = Reassembly::new();
            for (exchange, number, total, first, len) in pieces {
                let fragment = Fragment {
                    exchange: ExchangeType(exchange % 2),
                    number: FragmentNumber { number, total },
                    first: PayloadType(first),
                    content: vec![0; len],
                };
                if let Ok(Progress::Complete { inner, .. }) = reassembly.insert(fragment) {
                    prop_assert!(inner.len() <= LONGEST_MESSAGE);
                }
                let held: usize = reassembly.pieces.iter().flatten().map(Vec::len).sum();
                prop_assert!(held <= LONGEST_MESSAGE && held == reassembly.octets || reassembly.complete);
                prop_assert!(reassembly.pieces.len() <= usize::from(MOST_FRAGMENTS));
            }
        }
    }
}
