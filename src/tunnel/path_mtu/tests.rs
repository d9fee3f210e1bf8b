//! Simulated paths: what they carry, lose and say, and that what is used is what they carry.

use std::net::Ipv4Addr;

use super::*;
use crate::crypto::random::{Random, SeededRandom};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
/// Whole, a question is sent so often, and given up after this.
const TRIES: usize = 5;
const PATIENCE_OF_A_QUESTION: Duration = Duration::from_millis(2900);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A path, the session that asks over it, and a clock.
struct World {
    now: Instant,
    random: SeededRandom,
    carries: u16,
    loss_percent: u16,
    /// Questions are rounded down to whole blocks of so many octets.
    block: u16,
    /// The gateway answers padded questions.
    answers: bool,
    /// What ICMP says when something was too long for the path; `None`: nobody says anything.
    icmp: Option<u16>,
    asked: Vec<u16>,
    /// What was used, whenever it changed.
    used: Vec<u16>,
    path: PathMtu,
}

impl World {
    fn new(seed: u64, ceiling: u16, carries: u16) -> Self {
        let path = PathMtu::new(Instant::START, V4, ceiling, None);
        Self {
            now: Instant::START,
            random: SeededRandom::new(seed),
            carries,
            loss_percent: 0,
            block: 1,
            answers: true,
            icmp: None,
            asked: Vec::new(),
            used: vec![path.used()],
            path,
        }
    }

    fn number(&mut self, below: u16) -> u16 {
        let mut octets = [0; 2];
        self.random.fill(&mut octets);
        u16::from_be_bytes(octets) % below
    }

    fn is_lost(&mut self) -> bool {
        self.number(100) < self.loss_percent
    }

    /// Runs for a time, with or without packets of full length through the tunnel, some in each second.
    fn run(&mut self, time: Duration, has_traffic: bool) {
        let end = self.now.after(time);
        let mut report = self.now;
        while self.now < end {
            self.path.handle_timeout(self.now);
            if let Some(octets) = self.path.take_question(self.now) {
                self.ask(octets);
                continue;
            }
            if has_traffic && report <= self.now {
                report = self.now.after(seconds(1));
                self.path.sent(self.now);
                if self.path.used() <= self.carries {
                    self.path.heard();
                } else if let Some(icmp) = self.icmp {
                    self.path.handle_hint(self.now, icmp);
                }
            }
            let wake = self.path.poll_timeout().unwrap_or(end);
            let next = if has_traffic { wake.min(report) } else { wake };
            self.now = next.max(self.now.after(Duration::from_millis(1))).min(end);
            self.note();
        }
    }

    fn ask(&mut self, octets: u16) {
        self.asked.push(octets);
        let octets = octets - octets % self.block;
        let passes = self.answers && octets <= self.carries;
        let arrives = passes && (0..TRIES).any(|_| !self.is_lost() && !self.is_lost());
        self.now = self.now.after(if arrives { Duration::from_millis(20) } else { PATIENCE_OF_A_QUESTION });
        let outcome = if arrives { Probed::Arrived } else { Probed::Lost };
        self.path.handle_outcome(self.now, octets, outcome);
        self.note();
    }

    fn note(&mut self) {
        if self.used.last() != Some(&self.path.used()) {
            self.used.push(self.path.used());
        }
    }

    fn found(&self) -> bool {
        let used = self.path.used();
        used <= self.carries && (self.carries.min(self.path.ceiling) - used) <= STEP + self.block
    }
}

#[test]
fn t_07_a_path_that_carries_all_is_asked_once() {
    let mut world = World::new(1, 1500, 1500);
    world.run(seconds(3600), false);
    assert_eq!((world.asked.as_slice(), world.used.as_slice()), (&[1500][..], &[1500][..]));
}

#[test]
fn t_07_what_is_used_is_what_the_path_carries_whatever_it_is_and_though_nobody_says_so() {
    for seed in 0..2000 {
        let mut world = World::new(seed, 9000, 0);
        world.carries = 700 + world.number(8301);
        world.block = if seed % 2 == 0 { 1 } else { 16 };
        world.run(seconds(120), true);
        assert!(world.found(), "{seed}: carries {}, used {:?}", world.carries, world.used);
    }
}

#[test]
fn t_07_a_black_hole_is_left_within_seconds_and_not_further_than_it_must() {
    let mut world = World::new(1, 1500, 1400);
    world.run(seconds(4), true);
    assert!(world.path.used() >= BASE && world.path.used() <= 1400, "{:?}", world.used);
    world.run(seconds(20), true);
    assert!(world.found());
    assert!(world.used.iter().all(|used| *used >= BASE), "{:?}", world.used);
}

#[test]
fn t_07_it_is_found_with_thirty_percent_loss_each_way_and_stays_so_most_of_the_time() {
    let mut off = 0_u32;
    for seed in 0..500 {
        let mut world = World::new(seed, 1500, 0);
        world.carries = 1281 + world.number(220);
        world.loss_percent = 30;
        world.run(seconds(60), true);
        for _ in 0..10 {
            world.run(seconds(60), true);
            assert!(world.path.used() <= world.carries, "{seed}: carries {}, used {:?}", world.carries, world.used);
            off += u32::from(!world.found());
        }
    }
    // Of 5000 moments.
    assert!(off < 1500, "{off}");
}

#[test]
fn t_07_a_path_that_shrinks_and_grows_again_is_followed() {
    for icmp in [None, Some(1350)] {
        let mut world = World::new(1, 1500, 1500);
        world.icmp = icmp;
        world.run(seconds(100), true);
        world.carries = 1350;
        world.run(seconds(12), true);
        assert!(world.path.used() <= 1350, "{icmp:?}: {:?}", world.used);
        world.run(seconds(20), true);
        assert!(world.found(), "{icmp:?}: {:?}", world.used);
        world.carries = 1500;
        world.run(seconds(35), true);
        assert_eq!(world.path.used(), 1500, "{icmp:?}");
    }
}

#[test]
fn t_07_growth_is_noticed_after_a_long_time_too() {
    let mut world = World::new(1, 1500, 1300);
    world.run(seconds(24 * 3600), true);
    assert!(world.found());
    let before = world.asked.len();
    world.run(seconds(3600), false);
    assert!(world.asked.len() - before <= 14, "two questions in ten minutes");
    world.carries = 1420;
    world.run(seconds(601), false);
    assert!(world.found(), "{:?}", world.used);
}

#[test]
fn t_08_v_60_forged_hints_of_any_size_change_nothing_and_are_asked_about_ever_less() {
    for forged in [0, 68, 296, 576, 1279, 1280, 1400, 65535] {
        let mut world = World::new(1, 1500, 1500);
        world.run(seconds(10), true);
        for _ in 0..3600 {
            for _ in 0..1000 {
                world.path.handle_hint(world.now, forged);
            }
            world.run(seconds(1), true);
        }
        assert_eq!(world.used, [1500], "{forged}");
        // 60 are confirmations that there would have been anyway.
        assert!(world.asked.len() <= 75, "{forged}: {}", world.asked.len());
    }
}

#[test]
fn t_08_v_60_forged_hints_during_a_search_are_candidates_and_nothing_else() {
    for seed in 0..500 {
        let mut world = World::new(seed, 1500, 0);
        world.carries = 1281 + world.number(220);
        for _ in 0..200 {
            let forged = world.number(3000);
            world.path.handle_hint(world.now, forged);
            world.run(Duration::from_millis(300), true);
        }
        assert!(world.found(), "{seed}: carries {}, used {:?}", world.carries, world.used);
    }
}

#[test]
fn t_08_a_true_hint_saves_the_search_from_the_base() {
    let mut world = World::new(1, 1500, 1500);
    world.run(seconds(10), true);
    world.carries = 1400;
    world.path.handle_hint(world.now, 1400);
    world.run(seconds(4), false);
    assert_eq!(world.used, [1500, 1400]);
}

#[test]
fn t_08_where_the_gateway_cannot_be_asked_hints_are_followed_down_to_a_floor_and_age_out() {
    for outcome in [Probed::Impossible, Probed::Lost] {
        let mut world = World::new(1, 1500, 1500);
        world.answers = false;
        if outcome == Probed::Impossible {
            let octets = world.path.take_question(world.now).unwrap();
            world.path.handle_outcome(world.now, octets, outcome);
        }
        world.run(seconds(90), false);
        assert_eq!(world.used, [1500], "silence about padded questions alone says nothing");
        world.path.handle_hint(world.now, 1400);
        assert_eq!(world.path.used(), 1400);
        for forged in [1300, 68, 0] {
            world.path.handle_hint(world.now, forged);
        }
        assert_eq!(world.path.used(), HINT_FLOOR);
        world.path.handle_hint(world.now, 9000);
        assert_eq!(world.path.used(), HINT_FLOOR, "a hint never raises");
        world.run(FORGETTING + seconds(30), false);
        assert_eq!(world.path.used(), 1500, "{outcome:?}");
    }
}

#[test]
fn one_way_traffic_is_asked_about_ever_less() {
    let mut world = World::new(1, 1500, 1500);
    world.run(seconds(10), true);
    let before = world.asked.len();
    for _ in 0..3600 {
        world.path.sent(world.now);
        world.run(seconds(1), false);
    }
    assert!(world.asked.len() - before <= 75, "{}", world.asked.len() - before);
    assert_eq!(world.used, [1500]);
}

#[test]
fn a_question_that_was_interrupted_is_asked_again_and_one_without_outcome_given_up() {
    let mut path = PathMtu::new(Instant::START, V4, 1500, None);
    let now = Instant::START;
    assert_eq!(path.take_question(now), Some(1500));
    assert_eq!(path.take_question(now), None);
    path.handle_outcome(now, 1500, Probed::Interrupted);
    assert_eq!(path.take_question(now), None);
    let now = path.poll_timeout().unwrap();
    path.handle_timeout(now);
    assert_eq!(path.take_question(now), Some(1500));
    let now = path.poll_timeout().unwrap();
    path.handle_timeout(now);
    assert_eq!((path.take_question(now), path.used()), (None, 1500));
    path.handle_outcome(now, 1500, Probed::Lost);
    assert_eq!(path.used(), 1500, "that is no answer to anything");
}

#[test]
fn another_link_is_another_search_and_the_outcome_of_the_old_question_does_not_count() {
    let mut path = PathMtu::new(Instant::START, V4, 1500, None);
    let now = Instant::START;
    assert_eq!(path.take_question(now), Some(1500));
    path.handle_link(now, 1280);
    assert_eq!(path.used(), 1280);
    path.handle_outcome(now, 1500, Probed::Arrived);
    assert_eq!((path.used(), path.take_question(now)), (1280, Some(1280)));
    path.handle_outcome(now, 1280, Probed::Arrived);
    path.handle_link(now, 9000);
    assert_eq!((path.used(), path.take_question(now)), (1280, Some(9000)), "more is used once it has arrived");
}

#[test]
fn what_was_found_before_is_used_again_until_it_is_known_better() {
    let mut world = World::new(1, 1500, 1500);
    world.path = PathMtu::new(Instant::START, V4, 1500, Some(1350));
    world.used = vec![1350];
    world.run(seconds(1), false);
    assert_eq!(world.used, [1350, 1500]);
    let mut world = World::new(1, 1500, 1350);
    world.path = PathMtu::new(Instant::START, V4, 1500, Some(1350));
    world.used = vec![1350];
    world.run(seconds(15), false);
    assert_eq!(world.used, [1350]);
}
