//! Questions that ask whether the path carries a datagram of a given length. One that is not answered is no sign of death: it is put again
//! without its length, under its own message ID, so that the window of one request does not stand still behind it.
//!
//! RFC 7296 §2.1 has a request repeated bit by bit, so that the peer knows it again. This one is repeated so as well: a peer that had it, and whose
//! answer was lost, answers it again; to one that never saw it the short one is the first under its ID. Whichever it waits for, it is there.

use std::time::Duration;

use crate::ike::action::{Event, Failure, Probed};
use crate::ike::context::Context;
use crate::ike::profile::RetransmissionPolicy;
use crate::ike::retransmit::Retransmission;
use crate::ike::v2::established::{CLOSING_POLICY, Established, Flow};
use crate::ike::v2::exchange::{Cut, Request};
use crate::ike::v2::ike_sa::Direction;
use crate::ike::v2::message::Informational;
use crate::ike::v2::protect::SealError;
use crate::ike::wire::registry::ExchangeType;

/// Whole it is sent five times within two seconds, and given one more: of two links that lose every third datagram, one question in thirty is
/// lost without reason.
const POLICY: RetransmissionPolicy = RetransmissionPolicy {
    first: Duration::from_millis(200),
    growth_percent: 160,
    longest: Duration::from_secs(1),
    repetitions: 4,
    jitter_percent: 10,
};

impl Established {
    /// Somebody wants to know whether the path carries so many octets.
    pub(super) fn probe_path(&mut self, ctx: &mut Context<'_>, octets: u16) -> Flow {
        if self.closing.is_some() || !self.current.ours.is_idle() {
            ctx.event(Event::PathProbed { octets, outcome: Probed::Interrupted });
            return Flow::Continue(());
        }
        self.current.ours.ask(Request::PathProbe(octets));
        self.send_next(ctx)
    }

    /// It is its turn.
    pub(super) fn send_path_probe(&mut self, ctx: &mut Context<'_>, octets: u16) -> Flow {
        let message_id = self.current.ours.issue_id();
        let path = self.path;
        let Ok((message, octets)) = self.current.seal_path_probe(ctx, message_id, octets, &path) else {
            return Flow::Break(Failure::LifetimeEnded);
        };
        ctx.transmit_whole(path, message.clone());
        let sending = Retransmission::start(ctx.now, vec![message], POLICY, ctx.random);
        self.current.ours.start(message_id, Request::PathProbe(octets), sending);
        Flow::Continue(())
    }

    /// Puts a question that waits for its answer whole without its length; does nothing when there is none.
    pub(super) fn cut_path_probe(&mut self, ctx: &mut Context<'_>, cut: Cut) -> Flow {
        let Some((message_id, octets)) = self.current.ours.path_probe() else { return Flow::Continue(()) };
        let path = self.path;
        let kind = (message_id, ExchangeType::INFORMATIONAL, Direction::Request);
        let short = Informational::default().contents().map_err(|_| SealError::TooLong);
        let Ok(mut datagrams) = short.and_then(|contents| self.current.seal(ctx, kind, &contents, None, &path)) else {
            return Flow::Break(Failure::LifetimeEnded);
        };
        // From now on it may arrive in pieces of the IP layer, too.
        datagrams.extend_from_slice(self.current.ours.datagrams());
        datagrams.iter().for_each(|message| ctx.transmit(path, message.clone()));
        let policy = if self.closing.is_some() { CLOSING_POLICY } else { self.liveness.question() };
        let sending = Retransmission::start(ctx.now, datagrams, policy, ctx.random);
        self.current.ours.start(message_id, Request::PathProbeCut(octets, cut), sending);
        Flow::Continue(())
    }
}

/// What the answer to a question says of the path. One to the short question says that the peer lives, and the long one did not arrive.
pub(super) fn answered(ctx: &mut Context<'_>, asked: Request) {
    let (octets, outcome) = match asked {
        Request::PathProbe(octets) => (octets, Probed::Arrived),
        Request::PathProbeCut(octets, Cut::Unanswered) => (octets, Probed::Lost),
        Request::PathProbeCut(octets, Cut::Hurried) => (octets, Probed::Interrupted),
        Request::Liveness
        | Request::RekeyChild
        | Request::NewChild
        | Request::DeleteChild(_)
        | Request::UpdateAddresses
        | Request::RekeyIke
        | Request::DeleteIkeSa => return,
    };
    ctx.event(Event::PathProbed { octets, outcome });
}
