//! The clock: where the pure layers' time comes from.

use std::time::Duration;

use crate::time::Instant;

/// Counts from when it was made. Copies count from the same moment, so that threads agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock(std::time::Instant);

impl Clock {
    /// Starts a clock.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where time is read")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time.
    pub fn now(&self) -> Instant {
        Instant::from_start(self.0.elapsed())
    }

    /// How long it is until `moment`; zero when it is over.
    pub fn until(&self, moment: Instant) -> Duration {
        moment.since(self.now())
    }
}
