use proptest::prelude::*;

use super::*;
use crate::sa::spi::IkeSpi;

fn at(seconds: u64) -> Instant {
    Instant::from_start(Duration::from_secs(seconds))
}

fn path(framing: Framing) -> Path {
    Path { local: "192.0.2.1:4500".parse().unwrap(), remote: "192.0.2.2:4500".parse().unwrap(), framing }
}

fn header() -> Header {
    let cookie = |octet| IkeSpi::new([octet; 8]).unwrap();
    Header {
        cookies: Cookies { initiator: cookie(1), responder: Some(cookie(2)) },
        next_payload: PayloadType::HASH,
        major: 1,
        exchange: ExchangeType::QUICK_MODE,
        flags: Flags { encrypted: true, ..Flags::default() },
        message_id: 77,
    }
}

/// A message of `len` octets after the header, unlike those of another `seed`.
fn message(len: usize, seed: u8) -> Vec<u8> {
    let mut message = header().write(len).unwrap();
    message.extend((0..len).map(|place| seed.wrapping_mul(31).wrapping_add((place % 251) as u8)));
    message
}

fn fragment(id: u16, number: u8, flags: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + content.len()).unwrap();
    let header = Header { next_payload: PayloadType::FRAGMENT, ..header() }.write(usize::from(length)).unwrap();
    [&header, &[0, 0][..], &length.to_be_bytes(), &id.to_be_bytes(), &[number, flags], content].concat()
}

fn take(reassembly: &mut Reassembly, now: Instant, datagram: &[u8]) -> Result<Option<Vec<u8>>, DropReason> {
    let (header, rest) = Header::parse(datagram).unwrap();
    reassembly.receive(now, &header, rest)
}

/// Cuts into `count` pieces of about the same length.
fn pieces(id: u16, message: &[u8], count: usize) -> Vec<Vec<u8>> {
    let chunks: Vec<_> = message.chunks(message.len().div_ceil(count)).collect();
    let total = chunks.len();
    (1..)
        .zip(chunks)
        .map(|(number, chunk)| fragment(id, u8::try_from(number).unwrap(), u8::from(number == total), chunk))
        .collect()
}

#[test]
fn k1_026_a_message_that_fits_goes_whole_and_one_that_does_not_in_pieces_that_do() {
    for (framing, headers) in [(Framing::Bare, 28), (Framing::Marked, 32)] {
        let path = path(framing);
        let whole = message(1280 - headers - 28, 1);
        assert_eq!(datagrams(Some(1280), &path, whole.clone()), [whole]);
        let longer = message(1280 - headers - 27, 1);
        let uncut = datagrams(None, &path, longer.clone());
        assert_eq!(uncut, std::slice::from_ref(&longer), "the peer did not announce it");
        let sent = datagrams(Some(1280), &path, longer.clone());
        assert_eq!(sent.iter().map(|datagram| datagram.len() + headers).max(), Some(1280));
        assert_eq!(sent.len(), 2);
        let mut reassembly = Reassembly::default();
        assert_eq!(take(&mut reassembly, at(0), &sent[0]), Ok(None));
        assert_eq!(take(&mut reassembly, at(0), &sent[1]), Ok(Some(longer)));
    }
}

#[test]
fn k1_026_a_piece_has_its_payload_number_flags_and_no_encryption_flag() {
    let sent = datagrams(Some(576), &path(Framing::Bare), message(1000, 3));
    for (number, datagram) in (1..).zip(&sent) {
        let (header, rest) = Header::parse(datagram).unwrap();
        assert_eq!((header.next_payload, header.message_id, header.flags), (PayloadType(132), 0, Flags::default()));
        assert_eq!(header.exchange, ExchangeType::MAIN_MODE);
        assert_eq!(rest[..2], [0, 0]);
        assert_eq!(usize::from(u16::from_be_bytes([rest[2], rest[3]])), rest.len());
        assert_eq!(rest[4..6], sent[0][32..34], "one ID");
        assert_ne!(rest[4..6], [0, 0]);
        assert_eq!(rest[6..8], [number, u8::from(usize::from(number) == sent.len())]);
    }
    assert_eq!(sent, datagrams(Some(576), &path(Framing::Bare), message(1000, 3)), "a repetition is the same octets");
}

#[test]
fn k1_026_what_would_be_too_many_pieces_is_not_cut() {
    let content = 576 - 32 - 28 - 8;
    let fitting = message(128 * content - 28, 1);
    assert_eq!(datagrams(Some(576), &path(Framing::Marked), fitting).len(), 128);
    let longer = message(128 * content - 27, 1);
    assert_eq!(datagrams(Some(576), &path(Framing::Marked), longer.clone()), [longer]);
}

#[test]
fn k1_026_numbers_are_1_to_the_bound_and_no_piece_is_empty() {
    let mut reassembly = Reassembly::default();
    for (number, content, expected) in [
        (0, &[1][..], Err(DropReason::Malformed)),
        (129, &[1], Err(DropReason::Malformed)),
        (255, &[1], Err(DropReason::Malformed)),
        (1, &[], Err(DropReason::Malformed)),
        (128, &[1], Ok(None)),
    ] {
        assert_eq!(take(&mut reassembly, at(0), &fragment(1, number, 0, content)), expected, "number {number}");
    }
    let whole = fragment(1, 1, 0, &[1; 20]);
    for len in 28..whole.len() - 20 {
        let (header, rest) = Header::parse(&whole).unwrap();
        assert_eq!(reassembly.receive(at(0), &header, &rest[..len - 28]), Err(DropReason::Malformed));
    }
    let mut followed = whole;
    followed[28] = 11;
    assert_eq!(take(&mut reassembly, at(0), &followed), Err(DropReason::Malformed), "it is the only payload");
}

#[test]
fn k1_026_a_number_that_is_there_or_does_not_fit_the_last_is_dropped() {
    let whole = message(90, 1);
    let cut = pieces(1, &whole, 3);
    let mut reassembly = Reassembly::default();
    assert_eq!(take(&mut reassembly, at(0), &cut[2]), Ok(None));
    let drop = Err(DropReason::Fragment);
    assert_eq!(take(&mut reassembly, at(0), &cut[2]), drop, "again");
    assert_eq!(take(&mut reassembly, at(0), &fragment(1, 3, 0, &[9; 9])), drop, "overlap");
    assert_eq!(take(&mut reassembly, at(0), &fragment(1, 4, 0, &[9; 9])), drop, "behind the last");
    assert_eq!(take(&mut reassembly, at(0), &fragment(1, 4, 1, &[9; 9])), drop, "a later last");
    assert_eq!(take(&mut reassembly, at(0), &fragment(1, 2, 1, &[9; 9])), drop, "an earlier last");
    assert_eq!(take(&mut reassembly, at(0), &cut[0]), Ok(None));
    assert_eq!(take(&mut reassembly, at(0), &cut[1]), Ok(Some(whole)));
    assert!(reassembly.set.is_none());
}

#[test]
fn k1_026_octets_are_bounded() {
    let mut reassembly = Reassembly::default();
    for number in 1..=65 {
        let expected = if number <= 64 { Ok(None) } else { Err(DropReason::Bounded) };
        let len = if number == 64 { 1023 } else { 1024 };
        assert_eq!(take(&mut reassembly, at(0), &fragment(1, number, 0, &vec![7; len])), expected, "{number}");
    }
    assert_eq!(reassembly.set.unwrap().octets, LONGEST_MESSAGE);
}

#[test]
fn k1_026_the_first_piece_of_another_message_or_sa_takes_the_place_of_those_before() {
    let (one, other) = (message(90, 1), message(90, 2));
    let (ones, others) = (pieces(1, &one, 2), pieces(2, &other, 2));
    let mut reassembly = Reassembly::default();
    assert_eq!(take(&mut reassembly, at(0), &ones[0]), Ok(None));
    assert_eq!(take(&mut reassembly, at(0), &others[1]), Err(DropReason::Fragment), "a stray piece");
    assert_eq!(take(&mut reassembly, at(0), &others[0]), Ok(None));
    assert_eq!(take(&mut reassembly, at(0), &others[1]), Ok(Some(other)));
    assert_eq!(take(&mut reassembly, at(0), &ones[1]), Ok(None));
    let (mut header, rest) = Header::parse(&ones[0]).unwrap();
    header.cookies.responder = None;
    assert_eq!(reassembly.receive(at(0), &header, rest), Ok(None));
    assert_eq!(reassembly.set.unwrap().present, 1);
}

#[test]
fn k1_026_pieces_whose_others_do_not_come_are_given_up() {
    let whole = message(90, 1);
    let cut = pieces(1, &whole, 2);
    let mut reassembly = Reassembly::default();
    assert_eq!(take(&mut reassembly, at(0), &cut[0]), Ok(None));
    assert_eq!(take(&mut reassembly, at(15), &cut[1]), Ok(None));
    assert_eq!(take(&mut reassembly, at(29), &cut[0]), Ok(Some(whole)));
}

#[test]
fn k1_026_what_comes_together_is_one_message_of_the_same_sa_and_no_fragment() {
    let nested = fragment(9, 1, 1, &message(9, 1));
    let mut longer = message(90, 1);
    longer.push(0);
    let mut other = message(90, 1);
    other[0] ^= 1;
    for bad in [nested, longer, other, vec![0; 10], vec![0xff; 90]] {
        let mut reassembly = Reassembly::default();
        let cut = pieces(1, &bad, 2);
        assert_eq!(take(&mut reassembly, at(0), &cut[0]), Ok(None));
        assert_eq!(take(&mut reassembly, at(0), &cut[1]), Err(DropReason::Fragment));
        assert!(reassembly.set.is_none());
    }
}

proptest! {
    #[test]
    fn v_22_any_order_and_repetition_of_the_pieces_of_two_messages_gives_them_or_nothing(
        lengths in (1..3000_usize, 1..3000_usize),
        counts in (1..40_usize, 1..40_usize),
        order in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200),
    ) {
        let (one, other) = (message(lengths.0, 1), message(lengths.1, 2));
        let (ones, others) = (pieces(1, &one, counts.0), pieces(2, &other, counts.1));
        let mut reassembly = Reassembly::default();
        for (first, index) in order {
            let (cut, whole) = if first { (&ones, &one) } else { (&others, &other) };
            if let Ok(Some(read)) = take(&mut reassembly, at(0), &cut[index.index(cut.len())]) {
                prop_assert_eq!(&read, whole);
            }
            prop_assert!(reassembly.set.as_ref().is_none_or(|set| set.octets <= LONGEST_MESSAGE));
        }
        // Nothing that came before is in the way of all pieces of a message that has another name.
        let whole = message(2000, 3);
        let mut result = Ok(None);
        for piece in &pieces(3, &whole, 9) {
            prop_assert_eq!(&result, &Ok(None));
            result = take(&mut reassembly, at(0), piece);
        }
        prop_assert_eq!(result, Ok(Some(whole)));
    }

    #[test]
    fn v_22_pieces_of_one_message_in_any_order_with_repetitions_give_it_once(
        length in 1..4000_usize,
        count in 1..60_usize,
        order in any::<prop::sample::Index>(),
        step in prop::sample::select(vec![1_usize, 7, 11, 13, 61]),
    ) {
        let whole = message(length, 1);
        let cut = pieces(5, &whole, count);
        let mut reassembly = Reassembly::default();
        let mut got = 0;
        let start = order.index(cut.len());
        let places: Vec<usize> = (0..cut.len()).map(|place| (start + place * step) % cut.len()).collect();
        let every = places.iter().copied().chain(0..cut.len());
        let mut seen = vec![false; cut.len()];
        for place in every {
            let repeated = std::mem::replace(&mut seen[place], true);
            if repeated && got == 1 {
                break;
            }
            match take(&mut reassembly, at(0), &cut[place]) {
                Ok(Some(read)) => {
                    got += 1;
                    prop_assert_eq!(&read, &whole);
                }
                Ok(None) => prop_assert!(!repeated),
                Err(reason) => prop_assert!(repeated && reason == DropReason::Fragment),
            }
        }
        prop_assert_eq!(got, 1);
    }

    #[test]
    fn v_22_hostile_pieces_are_dropped_without_harm(
        datagrams in prop::collection::vec((any::<u16>(), any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..50)), 0..60),
    ) {
        let mut reassembly = Reassembly::default();
        for (id, number, flags, content) in datagrams {
            let _ = take(&mut reassembly, at(0), &fragment(id % 2, number % 8, flags, &content));
            prop_assert!(reassembly.set.as_ref().is_none_or(|set| set.pieces.len() <= usize::from(MOST_FRAGMENTS)));
        }
    }

    /// What is cut is put together again, whatever the size.
    #[test]
    fn k1_026_what_is_cut_comes_together(len in 0..60_000_usize, limit in any::<u16>()) {
        let whole = message(len, 1);
        let sent = datagrams(Some(limit), &path(Framing::Marked), whole.clone());
        let mut reassembly = Reassembly::default();
        if sent.len() > 1 {
            let (last, others) = sent.split_last().unwrap();
            for datagram in others {
                prop_assert_eq!(take(&mut reassembly, at(0), datagram), Ok(None));
            }
            prop_assert_eq!(take(&mut reassembly, at(0), last), Ok(Some(whole)));
        } else {
            prop_assert_eq!(&sent[0], &whole);
        }
    }
}
