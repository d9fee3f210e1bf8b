//! The clock: where the pure layers' time comes from. It goes on while the host sleeps: a gateway's time does, too.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::os::sys;
use crate::time::Instant;

/// Counts from when it was made, or from where another process's clock stood. Copies agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    begun: Instant,
    awake: std::time::Instant,
    /// The kernel's time since boot, sleep included, when it began.
    boot: Duration,
}

/// Where a clock stands, for another process on the same host.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ClockState {
    now: Instant,
    boot: Duration,
}

/// Processes with different ideas of the time since boot are in different time namespaces.
const LONGEST_WAY: Duration = Duration::from_secs(60);

impl Clock {
    /// Starts a clock.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where time is read")]
    pub fn start() -> Self {
        Self { begun: Instant::START, awake: std::time::Instant::now(), boot: sys::since_boot() }
    }

    /// Where it stands.
    pub fn export(&self) -> ClockState {
        let boot = sys::since_boot();
        ClockState { now: self.at(boot), boot }
    }

    /// Goes on where another process's clock stood, the time between counted.
    pub fn continued(state: ClockState) -> Self {
        let clock = Self::start();
        let between = clock.boot.checked_sub(state.boot).filter(|between| *between < LONGEST_WAY);
        Self { begun: state.now.after(between.unwrap_or_default()), ..clock }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.at(sys::since_boot())
    }

    const fn at(&self, boot: Duration) -> Instant {
        self.begun.after(boot.saturating_sub(self.boot))
    }

    /// How long it is until `moment`; zero when it is over.
    pub fn until(&self, moment: Instant) -> Duration {
        moment.since(self.now())
    }

    /// How long the host has slept since the start of the clock.
    pub fn slept(&self) -> Duration {
        self.now().since(self.begun).saturating_sub(self.awake.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_goes_on_where_another_one_stood_and_nobody_slept_meanwhile() {
        let old = Clock { begun: Instant::from_start(Duration::from_secs(1_000_000)), ..Clock::start() };
        let state = old.export();
        let new = Clock::continued(state);
        assert!(new.now() >= old.at(state.boot) && new.now().since(state.now) < Duration::from_secs(10));
        assert!(new.slept() < Duration::from_secs(1));
        // Another time namespace.
        let elsewhere = Clock::continued(ClockState { boot: state.boot + Duration::from_secs(3600), ..state });
        assert!(elsewhere.now() >= state.now && elsewhere.now().since(state.now) < Duration::from_secs(10));
    }

    #[test]
    fn time_goes_on_and_nobody_slept() {
        let clock = Clock::start();
        let before = clock.now();
        let begun = clock.awake.elapsed();
        while clock.awake.elapsed() < begun + Duration::from_millis(2) {}
        assert!(clock.now().since(before) >= Duration::from_millis(2));
        assert!(clock.slept() < Duration::from_secs(1));
        assert_eq!(clock.until(before), Duration::ZERO);
    }
}
