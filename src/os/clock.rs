//! The clock: where the pure layers' time comes from. It goes on while the host sleeps: a gateway's time does, too.

use std::time::Duration;

use crate::os::sys;
use crate::time::Instant;

/// Counts from when it was made. Copies count from the same moment, so that threads agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    awake: std::time::Instant,
    /// The kernel's time since boot, sleep included.
    boot: Duration,
}

impl Clock {
    /// Starts a clock.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where time is read")]
    pub fn start() -> Self {
        Self { awake: std::time::Instant::now(), boot: sys::since_boot() }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        Instant::from_start(sys::since_boot().saturating_sub(self.boot))
    }

    /// How long it is until `moment`; zero when it is over.
    pub fn until(&self, moment: Instant) -> Duration {
        moment.since(self.now())
    }

    /// How long the host has slept since the start of the clock.
    pub fn slept(&self) -> Duration {
        self.now().since_start().saturating_sub(self.awake.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
