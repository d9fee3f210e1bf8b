//! Recognises that another client displaces this one: both say they are the same, and the gateway keeps only the newest.
//! Tunnels then end soon after they came up, one after the other, by a DELETE or in silence.

use std::time::Duration;

use crate::ike::action::Failure;

/// A tunnel that lived longer was not displaced by a client that connects again and again.
const SOON: Duration = Duration::from_secs(120);

/// One early end may be an administrator's, or a gateway's that restarts.
const SUSPICIOUS: u32 = 2;

/// What the latest ends look like.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Displacement {
    early_ends: u32,
}

impl Displacement {
    /// To be called when a tunnel that was up has ended.
    pub(crate) fn ended(&mut self, lived: Duration, failure: &Failure) {
        let by_the_gateway = matches!(failure, Failure::ClosedByPeer | Failure::PeerDead { .. });
        self.early_ends = if by_the_gateway && lived < SOON { self.early_ends.saturating_add(1) } else { 0 };
    }

    /// How many tunnels in a row have ended so, if that looks like another client's doing.
    pub(crate) fn suspected(self) -> Option<u32> {
        (self.early_ends >= SUSPICIOUS).then_some(self.early_ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(2);

    #[test]
    fn the_second_early_end_in_a_row_is_suspicious() {
        let mut displacement = Displacement::default();
        displacement.ended(SHORT, &Failure::ClosedByPeer);
        assert_eq!(displacement.suspected(), None);
        displacement.ended(SHORT, &Failure::PeerDead { silent: SHORT });
        assert_eq!(displacement.suspected(), Some(2));
        displacement.ended(SHORT, &Failure::ClosedByPeer);
        assert_eq!(displacement.suspected(), Some(3));
    }

    #[test]
    fn a_tunnel_that_lived_or_ended_otherwise_clears_the_suspicion() {
        for (lived, failure) in [(SOON, Failure::ClosedByPeer), (SHORT, Failure::LifetimeEnded)] {
            let mut displacement = Displacement { early_ends: 2 };
            displacement.ended(lived, &failure);
            assert_eq!(displacement.suspected(), None, "{failure:?}");
        }
    }
}
