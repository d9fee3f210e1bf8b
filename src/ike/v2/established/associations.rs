//! The IKE SAs of a session: the current one, and those that it replaced or that lost against it (RFC 7296 §2.8). The child is always with
//! the current one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ike::action::{Deadline, Event, Timer};
use crate::ike::context::Context;
use crate::ike::retransmit::{Retransmission, Verdict};
use crate::ike::schedule::replacement;
use crate::ike::timer::earliest;
use crate::ike::v2::established::{Established, informational};
use crate::ike::v2::exchange::Request;
use crate::ike::v2::ike_sa::{Direction, IkeSa, IkeSaState};
use crate::ike::v2::message::Delete;
use crate::sa::handover::Unrestorable;
use crate::sa::spi::IkeSpi;
use crate::time::Instant;

/// The peer deletes what it has to delete within this time, or we do: as long as it may repeat the request that replaced it.
const OLD_SA_TIME: Duration = Duration::from_secs(180);

/// However often a peer replaces the IKE SA.
pub(super) const MOST_OLDER: usize = 4;

/// An IKE SA that is not used for anything new.
pub(super) struct Older {
    pub(super) sa: IkeSa,
    /// Then it is deleted by us, or forgotten if we did.
    until: Instant,
}

/// The same on its way to another process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OlderState {
    sa: IkeSaState,
    until: Instant,
}

/// Who deletes an IKE SA that is replaced or redundant: who initiated the exchange that settled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeletedBy {
    Us,
    Peer,
}

impl Older {
    pub(super) fn export(&self) -> OlderState {
        let Self { sa, until } = self;
        OlderState { sa: sa.export(), until: *until }
    }

    pub(super) fn restore(state: OlderState) -> Result<Self, Unrestorable> {
        Ok(Self { sa: IkeSa::restore(state.sa)?, until: state.until })
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let deadline = |timer| move |at| Deadline { at, timer };
        earliest([
            self.sa.ours.deadline().map(deadline(Timer::Retransmit)),
            self.sa.peers.deadline().map(deadline(Timer::Wait)),
            Some(Deadline { at: self.until, timer: Timer::Wait }),
        ])
    }
}

impl Established {
    /// All of them, the current one first.
    pub(in crate::ike::v2) fn sas(&self) -> impl Iterator<Item = &IkeSa> {
        std::iter::once(&self.current).chain(self.older.iter().map(|older| &older.sa))
    }

    pub(super) fn sa_mut(&mut self, name: IkeSpi) -> Option<&mut IkeSa> {
        if self.current.name() == name {
            return Some(&mut self.current);
        }
        self.older.iter_mut().map(|older| &mut older.sa).find(|sa| sa.name() == name)
    }

    pub(super) fn is_current(&self, name: IkeSpi) -> bool {
        self.current.name() == name
    }

    /// A new IKE SA takes the place of the current one, with the child and all that waits.
    pub(super) fn succeed(&mut self, ctx: &mut Context<'_>, mut successor: IkeSa, old_is_deleted: DeletedBy) {
        let is_moving = self.current.ours.asking() == Some(Request::UpdateAddresses);
        self.current.ours.hand_over(&mut successor.ours);
        let old = std::mem::replace(&mut self.current, successor);
        self.mobility.forget_mapping();
        // Its answer would come under the old one.
        if is_moving {
            self.ask_for_update();
        }
        self.ike_exchange = None;
        self.refused_since = None;
        self.retire(ctx, old, old_is_deleted);
        self.schedule_ike_rekey(ctx);
        self.liveness.heard(ctx.now);
        ctx.event(Event::IkeRenewed);
    }

    /// Takes one that came from the peer out of the older ones.
    pub(super) fn take_older(&mut self, name: IkeSpi) -> Option<IkeSa> {
        let place = self.older.iter().position(|older| older.sa.name() == name)?;
        Some(self.older.remove(place).sa)
    }

    /// Keeps an IKE SA for its end.
    pub(super) fn retire(&mut self, ctx: &mut Context<'_>, mut sa: IkeSa, deleted: DeletedBy) {
        if deleted == DeletedBy::Us {
            self.delete_older(ctx, &mut sa);
        }
        self.older.push(Older { sa, until: ctx.now.after(OLD_SA_TIME) });
        if self.older.len() > MOST_OLDER {
            self.older.remove(0);
        }
    }

    /// When the current one is to be replaced, and when it ends.
    pub(super) fn schedule_ike_rekey(&mut self, ctx: &mut Context<'_>) {
        let time = ctx.profile.ike_lifetime.time;
        self.rekey_ike_at = time.map(|time| replacement(ctx.now, time, ctx.random));
        self.rescue.ike_lives(self.current.established_at, time);
        self.ike_end = time.map(|time| self.current.established_at.after(time));
    }

    /// Repeats what is due under the older ones. One that is not answered is gone on the other side: nobody misses it.
    pub(super) fn repeat_older(&mut self, ctx: &mut Context<'_>) {
        let path = self.path;
        self.older.retain_mut(|older| match older.sa.ours.handle_timeout(ctx.now, ctx.random) {
            Verdict::Wait => true,
            Verdict::Repeat { datagrams, .. } => {
                let datagrams = datagrams.to_vec();
                datagrams.into_iter().for_each(|message| ctx.transmit(path, message));
                true
            }
            Verdict::GiveUp { .. } => false,
        });
    }

    /// Pieces that stay pieces, and SAs whose time is over.
    pub(super) fn let_older_go(&mut self, ctx: &mut Context<'_>) {
        self.older.iter_mut().for_each(|older| older.sa.peers.give_up_pieces(ctx.now));
        while let Some(place) = self.older.iter().position(|older| older.until <= ctx.now) {
            let mut older = self.older.remove(place);
            if older.sa.ours.asking() != Some(Request::DeleteIkeSa) {
                self.delete_older(ctx, &mut older.sa);
            }
        }
    }

    /// RFC 7296 §2.8: the last request of an IKE SA deletes it. A question of ours that waits for its answer is not asked any more.
    fn delete_older(&self, ctx: &mut Context<'_>, sa: &mut IkeSa) {
        let Ok(contents) = informational(Delete::ike_sa()).contents() else { return };
        sa.ours.finish();
        let message_id = sa.ours.issue_id();
        let kind = (message_id, Request::DeleteIkeSa.exchange(), Direction::Request);
        if let Ok(datagrams) = sa.seal(ctx, kind, &contents, None, &self.path) {
            datagrams.iter().for_each(|message| ctx.transmit(self.path, message.clone()));
            let sending = Retransmission::start(ctx.now, datagrams, ctx.profile.retransmission, ctx.random);
            sa.ours.start(message_id, Request::DeleteIkeSa, sending);
        }
    }
}
