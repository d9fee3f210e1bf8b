//! Time as the pure layers know it: a number that is handed in. Nothing here can read a clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, as the duration since an arbitrary start that the caller chose. Monotonic by the caller's promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instant(Duration);

impl Instant {
    /// The start of the caller's clock.
    pub const START: Self = Self(Duration::ZERO);

    /// The moment `since_start` after the caller's start.
    pub const fn from_start(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// The duration since the caller's start.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// The moment `wait` later; at the end of time it stays there.
    pub const fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// How much later than `earlier` this is; zero if it is not later.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
