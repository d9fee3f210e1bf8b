//! How a stream of packets is cut into batches and trains is nobody's business: what comes out is what would come out one by one.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    esp::{batch::State, counters::DropReason},
    sa::command::{DataReport, LifetimeMark},
};

const TWO_TO_THE_32: u64 = 1 << 32;

/// One datagram on its way: which of the sealed ones, and whether it was touched.
#[derive(Clone, Copy, Debug)]
struct Passing {
    number: usize,
    forged: bool,
}

/// Where a stream is cut into batches, and whether equal datagrams of a batch come as one train.
#[derive(Clone, Debug)]
struct Cuts {
    batches: Vec<usize>,
    trains: bool,
}

fn cuts() -> impl Strategy<Value = Cuts> {
    (prop::collection::vec(1usize..=48, 1..40), any::<bool>()).prop_map(|(batches, trains)| Cuts { batches, trains })
}

impl Cuts {
    /// The stream in pieces; the sizes are gone through again and again.
    fn of<'a, T>(&'a self, mut stream: &'a [T]) -> impl Iterator<Item = &'a [T]> {
        self.batches.iter().cycle().map_while(move |size| {
            let (piece, rest) = stream.split_at(stream.len().min(*size));
            stream = rest;
            (!piece.is_empty()).then_some(piece)
        })
    }
}

/// Any order in which packets stay within `reach` places of where they were, some twice, some with a forgery before them.
fn passing(count: usize, reach: usize) -> impl Strategy<Value = Vec<Passing>> {
    prop::collection::vec((0..=reach, 0usize..12, 0..=2 * reach), count).prop_map(|fates| {
        let mut keyed = Vec::new();
        for (number, (late, fate, later)) in fates.into_iter().enumerate() {
            keyed.push((number + late, Passing { number, forged: false }));
            match fate {
                0 => keyed.push((number + late + later, Passing { number, forged: false })),
                1 => keyed.push((number + late, Passing { number, forged: true })),
                2 => keyed.insert(keyed.len() - 1, (number + late, Passing { number, forged: true })),
                _ => {}
            }
        }
        keyed.sort_by_key(|(place, _)| *place);
        keyed.into_iter().map(|(_, passing)| passing).collect()
    })
}

/// A sender and two receivers of the same SA.
struct Stream {
    datagrams: Vec<Vec<u8>>,
    one_by_one: Pair,
    in_batches: Pair,
}

impl Stream {
    /// Packets of mixed lengths from the sequence number behind `start`, sealed in batches as they come.
    fn new(suite: EspSuite, window: u32, start: u64, lengths: &[usize]) -> Self {
        let pair = || {
            let mut pair = Pair::with(suite);
            pair.install(NOW, CHILD, InboundParameters { replay_window: window, ..inbound_sa(suite, 0x1000, 1) });
            pair
        };
        let (mut one_by_one, mut in_batches) = (pair(), pair());
        // The receiver infers the high half from what it has seen: it is led to where the stream begins.
        let mut lead = |used: u64| {
            one_by_one.outbound.start_behind(used);
            let datagrams = one_by_one.send(NOW, &[udp(0)]);
            assert_eq!(one_by_one.receive(NOW, &datagrams).len(), 1);
            assert_eq!(in_batches.receive(NOW, &datagrams).len(), 1);
        };
        for waypoint in (0..start).step_by(1 << 31).skip(1) {
            lead(waypoint);
        }
        one_by_one.outbound.start_behind(start);
        let packets: Vec<_> = lengths.iter().map(|len| udp(*len)).collect();
        let datagrams = packets.chunks(50).flat_map(|some| one_by_one.send(NOW, some)).collect();
        Self { datagrams, one_by_one, in_batches }
    }

    fn octets(&self, passing: Passing) -> Vec<u8> {
        let mut octets = self.datagrams[passing.number].clone();
        if passing.forged {
            *octets.last_mut().unwrap() ^= 1;
        }
        octets
    }

    fn alone(&mut self, passing: Passing) -> Option<Vec<u8>> {
        let octets = self.octets(passing);
        self.one_by_one.receive(NOW, &[octets]).pop()
    }

    fn together(&mut self, passing: &[Passing], trains: bool) -> Vec<Option<Vec<u8>>> {
        let datagrams: Vec<_> = passing.iter().map(|one| self.octets(*one)).collect();
        let batch = &mut self.in_batches.receiving;
        batch.clear();
        let mut rest = &datagrams[..];
        while let [first, others @ ..] = rest {
            let equal = others.iter().take_while(|next| trains && next.len() == first.len()).take(7).count();
            // The last of a train may be shorter (UDP_GRO).
            let short = others.get(equal).is_some_and(|next| trains && next.len() < first.len());
            let (train, behind) = rest.split_at(1 + equal + usize::from(short));
            let octets = train.concat();
            batch.vacant().unwrap()[..octets.len()].copy_from_slice(&octets);
            batch.fill_train(octets.len(), first.len(), arrival());
            rest = behind;
        }
        self.in_batches.inbound.process(NOW, &mut self.in_batches.receiving);
        let verdicts = self.in_batches.receiving.windows();
        verdicts
            .map(|(packet, window)| (packet.state == State::Inner).then(|| window[packet.data.clone()].to_vec()))
            .collect()
    }
}

fn any_suite() -> impl Strategy<Value = EspSuite> {
    prop::sample::select(suites())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn e_02_e_03_batches_and_trains_accept_what_would_be_accepted_one_by_one(
        suite in any_suite(),
        window in prop::sample::select(vec![1u32, 32, 64, 128, 1024]),
        crossing in any::<bool>(),
        lengths in prop::collection::vec(prop::sample::select(vec![0usize, 64, 64, 64, 300]), 150),
        passing in prop::sample::select(vec![0usize, 3, 30, 140]).prop_flat_map(|reach| passing(150, reach)),
        cuts in cuts(),
    ) {
        let start = if suite.esn && crossing { TWO_TO_THE_32 - 75 } else { 0 };
        let mut stream = Stream::new(suite, window, start, &lengths);
        prop_assert_eq!(stream.datagrams.len(), lengths.len());
        let mut seen = BTreeSet::new();
        for piece in cuts.of(&passing) {
            let expected: Vec<_> = piece.iter().map(|one| stream.alone(*one)).collect();
            let found = stream.together(piece, cuts.trains);
            prop_assert_eq!(&found, &expected);
            for (one, inner) in piece.iter().zip(found) {
                if let Some(inner) = inner {
                    prop_assert!(!one.forged && seen.insert(one.number), "{:?} came twice or was forged", one);
                    prop_assert_eq!(inner, udp(lengths[one.number]));
                }
            }
        }
        // Nothing lags 141 places behind, so a window of 1024 has lost nothing.
        if window == 1024 {
            prop_assert_eq!(seen.len(), lengths.len());
        }
        for piece in cuts.of(&passing) {
            prop_assert!(stream.together(piece, cuts.trains).iter().all(Option::is_none));
        }
    }

    #[test]
    fn e_04_e_11_batches_are_sealed_as_the_same_packets_one_by_one(
        suite in any_suite(),
        crossing in any::<bool>(),
        lengths in prop::collection::vec(0usize..300, 1..120),
        cuts in cuts(),
    ) {
        let (mut alone, mut together) = (Pair::with(suite), Pair::with(suite));
        if suite.esn && crossing {
            for pair in [&mut alone, &mut together] {
                pair.outbound.start_behind(TWO_TO_THE_32 - 30);
            }
        }
        let packets: Vec<_> = lengths.into_iter().map(udp).collect();
        for piece in cuts.of(&packets) {
            let expected: Vec<_> = piece.iter().flat_map(|one| alone.send(NOW, std::slice::from_ref(one))).collect();
            prop_assert_eq!(together.send(NOW, piece), expected);
        }
    }
}

#[test]
fn e_05_a_batch_crosses_from_one_32_bit_space_to_the_next_in_either_direction() {
    for protection in protections() {
        let suite = EspSuite { protection, esn: true };
        let mut stream = Stream::new(suite, 1024, TWO_TO_THE_32 - 20, &[64; 40]);
        // From 2^32 - 19 to 2^32 + 20.
        let low = |datagram: &[u8]| u32::from_be_bytes(*datagram[4..].first_chunk().unwrap());
        assert_eq!(low(&stream.datagrams[18]), u32::MAX, "{protection:?}");
        assert_eq!(low(&stream.datagrams[19]), 0, "{protection:?}");
        // The newest first: the older half belongs to the space that was left.
        let passing: Vec<_> = (20..40).chain(0..20).map(|number| Passing { number, forged: false }).collect();
        let accepted = stream.together(&passing, false).into_iter().flatten().count();
        assert_eq!(accepted, 40, "{protection:?}");
        assert!(stream.together(&passing, true).iter().all(Option::is_none), "{protection:?}");
    }
}

#[test]
fn c_09_numbers_that_end_inside_a_batch_stop_there() {
    for protection in protections() {
        for (esn, last) in [(false, u64::from(u32::MAX)), (true, u64::MAX)] {
            let mut pair = Pair::with(EspSuite { protection, esn });
            pair.outbound.start_behind(last - 5);
            let datagrams = pair.send(NOW, &vec![udp(64); 8]);
            let numbers: Vec<_> = datagrams.iter().map(|datagram| datagram[4..8].to_vec()).collect();
            let expected: Vec<_> = (0xffff_fffb..=u32::MAX).map(|number| number.to_be_bytes().to_vec()).collect();
            assert_eq!(numbers, expected, "{protection:?}, ESN {esn}");
            assert_eq!(pair.outbound.counters().dropped(DropReason::SequenceExhausted), 3);
            assert_eq!(pair.outbound.counters().packets, 5);
            assert!(pair.send(NOW, &vec![udp(64); 8]).is_empty());
            let reports: Vec<_> = std::iter::from_fn(|| pair.outbound.poll_report()).collect();
            let hard = DataReport::Lifetime { child: CHILD, mark: LifetimeMark::Hard };
            assert_eq!(reports.iter().filter(|report| **report == hard).count(), 1, "{reports:?}");
        }
    }
}
