use super::*;
use crate::crypto::random::SeededRandom;

struct Fixed(u8);

impl Random for Fixed {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(self.0);
    }
}

const POLICY: RetransmissionPolicy = RetransmissionPolicy {
    first: Duration::from_secs(1),
    growth_percent: 200,
    longest: Duration::from_secs(8),
    repetitions: 3,
    jitter_percent: 0,
};

fn at(seconds: u64) -> Instant {
    Instant::from_start(Duration::from_secs(seconds))
}

fn liveness() -> Liveness {
    let mut liveness = Liveness::new(at(0), Some(Duration::from_secs(30)));
    liveness.used(at(0));
    liveness
}

/// A gateway that takes only the number after the last one it took, as some do.
#[derive(Default)]
struct Strict(Option<u32>);

impl Strict {
    fn answers(&mut self, number: u32) -> bool {
        let taken = self.0.is_none_or(|last| number == last + 1);
        if taken {
            self.0 = Some(number);
        }
        taken
    }
}

#[test]
fn k1_016_the_first_number_is_random_with_the_high_bit_zero() {
    assert_eq!(Dpd::new(&mut Fixed(0xff)).unused, 0x7fff_ffff);
    let firsts: Vec<_> = (0..50).map(|seed| Dpd::new(&mut SeededRandom::new(seed)).unused).collect();
    assert!(firsts.iter().all(|first| first >> 31 == 0));
    assert!(firsts.iter().any(|first| first >> 30 == 1) && firsts.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn k1_016_each_question_that_was_answered_is_followed_by_the_next_number() {
    let mut random = Fixed(0x11);
    let mut dpd = Dpd::new(&mut random);
    for question in 0..5 {
        let number = 0x1111_1111 + question;
        assert_eq!(dpd.ask(at(0), POLICY, &mut random), [number]);
        assert!(dpd.acknowledged(number));
    }
}

#[test]
fn k1_016_silence_leads_to_a_question_that_is_repeated_and_then_to_the_end() {
    let mut random = Fixed(0);
    let (mut dpd, liveness) = (Dpd::new(&mut random), liveness());
    let mut sent = Vec::new();
    loop {
        let now = dpd.deadline(&liveness).unwrap().at;
        match dpd.handle_timeout(now, &liveness, &mut random) {
            Due::Ask(numbers) => sent.push((now.since_start().as_secs(), numbers)),
            Due::Dead { silent } => {
                assert!(silent > Duration::from_secs(59) && silent < Duration::from_secs(61), "{silent:?}");
                break;
            }
            other => panic!("the deadline was reached, and {other:?}"),
        }
    }
    // A repetition has the number that it had; the next one goes behind it.
    let numbers: Vec<Vec<u32>> = (0..8).map(|last| (0..=last).collect()).collect();
    let seconds = [30, 30, 32, 33, 36, 39, 44, 50];
    assert_eq!(sent, seconds.into_iter().zip(numbers).collect::<Vec<_>>());
}

#[test]
fn k1_016_nothing_is_asked_before_its_time_nor_twice_at_once() {
    let mut random = Fixed(0);
    let (mut dpd, liveness) = (Dpd::new(&mut random), liveness());
    assert_eq!(dpd.deadline(&liveness), Some(Deadline { at: at(30), timer: Timer::Liveness }));
    assert_eq!(dpd.handle_timeout(at(29), &liveness, &mut random), Due::Nothing);
    assert_eq!(dpd.ask(at(29), POLICY, &mut random), [0]);
    assert!(dpd.ask(at(29), POLICY, &mut random).is_empty());
    assert_eq!(dpd.deadline(&liveness), Some(Deadline { at: at(30), timer: Timer::Retransmit }));
    let never = Liveness::new(at(0), None);
    assert_eq!(Dpd::new(&mut random).handle_timeout(at(1_000_000), &never, &mut random), Due::Nothing);
}

#[test]
fn k1_016_any_sign_of_life_ends_the_question() {
    let mut random = Fixed(0);
    let (mut dpd, mut liveness) = (Dpd::new(&mut random), liveness());
    dpd.ask(at(30), POLICY, &mut random);
    liveness.heard(at(31));
    dpd.heard();
    assert_eq!(dpd.deadline(&liveness), Some(Deadline { at: at(91), timer: Timer::Liveness }));
    assert_eq!(dpd.handle_timeout(at(60), &liveness, &mut random), Due::Nothing);
}

#[test]
fn k1_016_only_open_numbers_are_answers_and_each_once() {
    let mut random = Fixed(0x11);
    let mut dpd = Dpd::new(&mut random);
    let first = 0x1111_1111;
    assert!(!dpd.acknowledged(first), "nothing was asked");
    dpd.ask(at(0), POLICY, &mut random);
    for other in [0, first - 1, first + 1, first ^ AHEAD, u32::MAX] {
        assert!(!dpd.acknowledged(other), "{other}");
        assert!(dpd.question.is_some());
    }
    assert!(dpd.acknowledged(first));
    assert!(!dpd.acknowledged(first), "a replay");
}

#[test]
fn k1_016_a_strict_gateway_answers_whatever_was_lost() {
    // Bit n of each: whether the n-th sending of ours, and the n-th answer, is lost.
    for (questions_lost, answers_lost) in (0..8_u32).flat_map(|one| (0..8_u32).map(move |other| (one, other))) {
        let mut random = Fixed(0x11);
        let (mut dpd, liveness, mut gateway) = (Dpd::new(&mut random), liveness(), Strict::default());
        // One question went well, so that the gateway knows where we stand.
        let number = dpd.ask(at(0), POLICY, &mut random)[0];
        assert!(gateway.answers(number) && dpd.acknowledged(number));
        let mut sending = 0;
        loop {
            let now = dpd.deadline(&liveness).unwrap().at;
            let Due::Ask(numbers) = dpd.handle_timeout(now, &liveness, &mut random) else {
                panic!("given up: lost {questions_lost:03b}, {answers_lost:03b}");
            };
            let arrived = questions_lost >> sending & 1 == 0;
            let answers: Vec<_> = numbers.into_iter().filter(|number| arrived && gateway.answers(*number)).collect();
            let returned = answers_lost >> sending & 1 == 0;
            sending += 1;
            if returned && answers.into_iter().filter(|number| dpd.acknowledged(*number)).count() > 0 {
                break;
            }
        }
        let next = dpd.ask(at(1000), POLICY, &mut random);
        assert!(next.into_iter().any(|number| gateway.answers(number)), "the next question is answered, too");
    }
}

#[test]
fn k1_016_what_was_not_acknowledged_is_not_skipped_by_the_next_question() {
    let mut random = Fixed(0);
    let mut dpd = Dpd::new(&mut random);
    assert_eq!(dpd.ask(at(0), POLICY, &mut random), [0]);
    // A packet came, so that the question is over; whether the gateway saw number 0 is not known.
    dpd.heard();
    assert_eq!(dpd.ask(at(100), POLICY, &mut random), [0, 1]);
    assert!(dpd.acknowledged(1));
    assert_eq!(dpd.ask(at(200), POLICY, &mut random), [2]);
}

#[test]
fn t_07_an_answer_says_that_a_long_question_arrived_if_and_only_if_one_did() {
    // Bit n of each: whether the n-th sending of ours, and the n-th answer, is lost; and whether the path carries long ones at all.
    let patterns = (0..8_u32).flat_map(|one| (0..8_u32).map(move |other| (one, other)));
    let patterns = patterns.filter(|(questions, answers)| questions.count_ones() + answers.count_ones() < MOST_LONG);
    for ((questions_lost, answers_lost), carries) in patterns.flat_map(|lost| [(lost, true), (lost, false)]) {
        let mut random = Fixed(0x11);
        let (mut dpd, liveness, mut gateway) = (Dpd::new(&mut random), liveness(), Strict::default());
        // The answer to this one is on its way for long.
        let late = dpd.ask(at(0), POLICY, &mut random)[0];
        assert!(gateway.answers(late));
        dpd.heard();
        let mut now = at(0);
        let mut numbers = dpd.ask_long(now, 1500, &mut random).unwrap();
        let mut outcomes = Vec::new();
        for sending in 0.. {
            let arrives = |number| questions_lost >> sending & 1 == 0 && (carries || dpd.length(number).is_none());
            let answers: Vec<_> =
                numbers.iter().filter(|number| arrives(**number) && gateway.answers(**number)).collect();
            let returned = answers.into_iter().filter(|_| answers_lost >> sending & 1 == 0);
            for number in returned.chain(if sending == 3 { Some(&late) } else { None }) {
                outcomes.extend(dpd.outcome(*number).filter(|_| dpd.acknowledged(*number)));
            }
            if dpd.question.is_none() {
                break;
            }
            now = dpd.deadline(&liveness).unwrap().at;
            numbers = match dpd.handle_timeout(now, &liveness, &mut random) {
                Due::Ask(numbers) | Due::AskLong(numbers) => numbers,
                other => panic!("{other:?}: lost {questions_lost:03b}, {answers_lost:03b}, {carries}"),
            };
        }
        assert_eq!(outcomes, [(1500, if carries { Probed::Arrived } else { Probed::Lost })]);
    }
}

#[test]
fn t_07_without_a_number_that_never_was_short_nothing_is_asked_about_the_path() {
    let mut random = Fixed(0);
    let mut dpd = Dpd::new(&mut random);
    for _ in 0..8 {
        dpd.ask(at(0), POLICY, &mut random);
        assert_eq!(dpd.ask_long(at(0), 1500, &mut random), Err(Probed::Interrupted));
        dpd.heard();
    }
    assert_eq!(dpd.ask_long(at(0), 1500, &mut random), Err(Probed::Impossible));
    assert!(dpd.acknowledged(7));
    assert_eq!(dpd.ask_long(at(0), 1500, &mut random), Ok(vec![8]));
}

#[test]
fn open_numbers_are_bounded() {
    let mut random = Fixed(0xff);
    let mut dpd = Dpd::new(&mut random);
    for _ in 0..100 {
        assert!(dpd.ask(at(0), POLICY, &mut random).len() <= 8);
        dpd.heard();
    }
    assert!(dpd.acknowledged(0x7fff_ffff + 7));
    assert!(!dpd.acknowledged(0x7fff_ffff + 8));
}

#[test]
fn k1_016_the_peers_numbers_begin_anywhere_go_forward_and_are_answered_once_more_but_not_replayed() {
    let mut dpd = Dpd::new(&mut Fixed(0));
    assert_eq!(dpd.asked(0xffff_fff0), Asked::New);
    assert_eq!(dpd.asked(0xffff_fff1), Asked::New);
    assert_eq!(dpd.asked(0xffff_fff1), Asked::Again);
    assert_eq!(dpd.asked(0xffff_fff9), Asked::New, "skipped ones were lost");
    for replay in [0xffff_fff0, 0xffff_fff1, 0xffff_fff8, 0x8000_0000] {
        assert_eq!(dpd.asked(replay), Asked::Stale, "{replay:x}");
    }
    assert_eq!(dpd.asked(3), Asked::New);
}
