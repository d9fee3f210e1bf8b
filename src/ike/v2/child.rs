//! The child: the SAs that carry its packets, one after the other. It knows when an SA is installed, used and forgotten, and when a new one
//! is wanted; it knows no message and no exchange.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ike::action::{Deadline, Event, Side, Timer};
use crate::ike::context::Context;
use crate::ike::one_way::{OneWay, Verdict};
use crate::ike::schedule::{last_call, replacement, retry};
use crate::ike::timer::earliest;
use crate::ike::v2::collision::Target;
use crate::sa::command::{ChildId, DataCommand, InboundParameters, OutboundParameters};
use crate::sa::handover::Unrestorable;
use crate::sa::keys::ChildKeys;
use crate::sa::path::Path;
use crate::sa::selector::Selector;
use crate::sa::spi::{InboundSpi, OutboundSpi};
use crate::sa::suite::EspSuite;
use crate::time::Instant;

/// Packets of an SA that is deleted may be under way for as long.
const GRACE: Duration = Duration::from_secs(5);

/// A peer that does not know an SA after this has lost it.
const SETTLING_TIME: Duration = Duration::from_secs(5);

/// SAs of the child at one time; a peer that wants more has to delete some.
const MOST_SAS: usize = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) id: ChildId,
    /// Our side of the selectors, which no rekey narrows.
    pub(super) local: Vec<Selector>,
    /// The peer's side.
    pub(super) remote: Vec<Selector>,
    /// In the order in which they were made.
    sas: Vec<ChildSa>,
    /// When a new SA is wanted.
    rekey_at: Option<Instant>,
    /// When the newest SA must have a successor.
    last_call: Option<Instant>,
    /// The SA in use carried all that it may.
    spent: bool,
    one_way: OneWay,
}

#[derive(Debug)]
struct ChildSa {
    inbound: InboundSpi,
    outbound: OutboundSpi,
    by: Side,
    made_at: Instant,
    ends_at: Option<Instant>,
    standing: Standing,
    use_: Use,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Standing {
    /// Both sides have it.
    Up,
    /// Our DELETE is queued or under way.
    Deleting,
    /// It was deleted; what is under way in it is heard until then.
    Gone { until: Instant },
}

/// What an SA is to the packets that we send.
#[derive(Debug)]
enum Use {
    /// Held back until the peer is known to have it (RFC 7296 §2.8).
    Held(Box<OutboundParameters>),
    /// It carries them, or did.
    Used,
    /// It never did and will not.
    Passed,
}

/// A child on its way to another process. None of its SAs is held back.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ChildState {
    id: ChildId,
    local: Vec<Selector>,
    remote: Vec<Selector>,
    sas: Vec<ChildSaState>,
    rekey_at: Option<Instant>,
    last_call: Option<Instant>,
    spent: bool,
    one_way: OneWay,
}

#[derive(Debug, Serialize, Deserialize)]
struct ChildSaState {
    inbound: InboundSpi,
    outbound: OutboundSpi,
    by: Side,
    made_at: Instant,
    ends_at: Option<Instant>,
    standing: Standing,
    is_used: bool,
}

/// A new SA of the child, both halves.
#[derive(Debug)]
pub(super) struct NewSa {
    pub(super) suite: EspSuite,
    pub(super) inbound: InboundSpi,
    pub(super) outbound: OutboundSpi,
    pub(super) keys: ChildKeys,
}

/// What time did.
#[derive(Debug, Default)]
pub(super) struct Aged {
    /// The SA in use came to its end, and there is no other.
    pub(super) is_lost: bool,
    /// SAs that ended by our clock: the peer is told.
    pub(super) ended: Vec<InboundSpi>,
}

impl Child {
    pub(super) fn new(id: ChildId, local: Vec<Selector>, remote: Vec<Selector>) -> Self {
        let one_way = OneWay::default();
        Self { id, local, remote, sas: Vec::new(), rekey_at: None, last_call: None, spent: false, one_way }
    }

    /// The child as values, for another process that goes on with it. `None` while an SA is held back.
    pub(super) fn export(&self) -> Option<ChildState> {
        let Self { id, local, remote, sas, rekey_at, last_call, spent, one_way } = self;
        Some(ChildState {
            id: *id,
            local: local.clone(),
            remote: remote.clone(),
            sas: sas.iter().map(ChildSa::export).collect::<Option<_>>()?,
            rekey_at: *rekey_at,
            last_call: *last_call,
            spent: *spent,
            one_way: *one_way,
        })
    }

    /// The child again, in the process that goes on with it.
    pub(super) fn restore(state: ChildState) -> Result<Self, Unrestorable> {
        let ChildState { id, local, remote, sas, rekey_at, last_call, spent, one_way } = state;
        if sas.len() > MOST_SAS {
            return Err(Unrestorable("a child of more SAs than it can have"));
        }
        let sas = sas.into_iter().map(ChildSa::restore).collect();
        Ok(Self { id, local, remote, sas, rekey_at, last_call, spent, one_way })
    }

    /// Installs the inbound half, and holds the outbound half back.
    pub(super) fn install(&mut self, ctx: &mut Context<'_>, sa: NewSa, by: Side, path: Path) -> InboundSpi {
        let NewSa { suite, inbound, outbound, keys } = sa;
        let profile = &ctx.profile.child;
        let receiving = InboundParameters {
            spi: inbound,
            suite,
            keys: keys.inbound,
            sources: self.remote.clone(),
            destinations: self.local.clone(),
            replay_window: profile.replay_window,
            lifetime: profile.lifetime,
        };
        let sending = OutboundParameters {
            spi: outbound,
            suite,
            keys: keys.outbound,
            sources: self.local.clone(),
            destinations: self.remote.clone(),
            path,
            lifetime: profile.lifetime,
        };
        let time = profile.lifetime.time;
        self.rekey_at = time.map(|time| replacement(ctx.now, time, ctx.random));
        self.last_call = time.map(|time| last_call(ctx.now, time));
        self.sas.push(ChildSa {
            inbound,
            outbound,
            by,
            made_at: ctx.now,
            ends_at: time.map(|time| ctx.now.after(time)),
            standing: Standing::Up,
            use_: Use::Held(Box::new(sending)),
        });
        ctx.data(DataCommand::InstallInbound { child: self.id, sa: Box::new(receiving) });
        inbound
    }

    /// What is held back will travel on this path.
    pub(super) fn travel(&mut self, path: Path) {
        for sa in &mut self.sas {
            if let Use::Held(sending) = &mut sa.use_ {
                sending.path = path;
            }
        }
    }

    /// The peer has this SA: packets are sent with it from now on, and older ones that were held back never will be.
    pub(super) fn release(&mut self, ctx: &mut Context<'_>, inbound: InboundSpi) {
        let Some(place) = self.sas.iter().position(|sa| sa.inbound == inbound) else { return };
        let is_first = !self.sas.iter().any(|sa| matches!(sa.use_, Use::Used));
        let Some(sa) = self.sas.get_mut(place).filter(|sa| sa.is_held()) else { return };
        let Use::Held(sending) = std::mem::replace(&mut sa.use_, Use::Used) else { return };
        let (outbound, by) = (sa.outbound, sa.by);
        self.spent = false;
        self.one_way.renewed();
        for older in self.sas.iter_mut().take(place).filter(|sa| sa.is_held()) {
            older.use_ = Use::Passed;
        }
        ctx.data(DataCommand::SwitchOutbound { child: self.id, sa: sending });
        if !is_first {
            ctx.event(Event::ChildRekeyed { child: self.id, inbound, outbound, by });
        }
    }

    /// It lost against one that the peer made at the same time: nothing is sent with it.
    pub(super) fn pass_over(&mut self, inbound: InboundSpi) {
        if let Some(sa) = self.sas.iter_mut().find(|sa| sa.inbound == inbound && sa.is_held()) {
            sa.use_ = Use::Passed;
        }
    }

    /// Our DELETE of it is asked for; `false` if there is nothing to delete.
    pub(super) fn begin_delete(&mut self, inbound: InboundSpi) -> bool {
        let sa = self.sas.iter_mut().find(|sa| sa.inbound == inbound && sa.standing == Standing::Up);
        let Some(sa) = sa else { return false };
        sa.standing = Standing::Deleting;
        true
    }

    /// The peer answered our DELETE.
    pub(super) fn deleted(&mut self, now: Instant, inbound: InboundSpi) {
        if let Some(sa) = self.sas.iter_mut().find(|sa| sa.inbound == inbound) {
            sa.go(now);
        }
    }

    /// The peer deletes what it receives on. Gives what we receive on, if there is such an SA.
    pub(super) fn deleted_by_peer(&mut self, ctx: &mut Context<'_>, outbound: u32) -> Option<InboundSpi> {
        let was_in_use = self.in_use().is_some_and(|inbound| self.outbound_of(inbound) == Some(outbound));
        let sa = self.sas.iter_mut().find(|sa| sa.outbound.value() == outbound && sa.stands())?;
        let deleted = sa.inbound;
        sa.go(ctx.now);
        if sa.is_held() {
            sa.use_ = Use::Passed;
        }
        if was_in_use && let Some(newer) = self.successor() {
            // RFC 7296 §2.8: the DELETE of the old one says that the peer has the new one.
            self.release(ctx, newer);
        }
        Some(deleted)
    }

    /// The peer has no SA that it receives on with this SPI (INVALID_SPI). Gives what we receive on, if it must have had it: a new one it may not
    /// have yet, and of a deleted one packets are under way.
    pub(super) fn lost_by_peer(&mut self, ctx: &mut Context<'_>, outbound: u32) -> Option<InboundSpi> {
        let is_it = |sa: &&ChildSa| sa.outbound.value() == outbound && sa.standing == Standing::Up;
        self.sas.iter().find(is_it).filter(|sa| ctx.now.since(sa.made_at) >= SETTLING_TIME)?;
        self.deleted_by_peer(ctx, outbound)
    }

    /// The peer does not know it any more (CHILD_SA_NOT_FOUND).
    pub(super) fn is_unknown_to_peer(&mut self, now: Instant, inbound: InboundSpi) {
        self.deleted(now, inbound);
    }

    /// With nothing else to send with, a new SA is not held back: whoever answers only what it is asked would wait for ever.
    pub(super) fn release_if_alone(&mut self, ctx: &mut Context<'_>) {
        if self.in_use().is_none()
            && let Some(newer) = self.successor()
        {
            self.release(ctx, newer);
        }
    }

    /// Packets were sent with the SA in use, and nothing was heard of the peer for `silence`. Where that is a reason for a new SA, it is wanted at once;
    /// gives the SPI that they went out with.
    pub(super) fn sent(&mut self, ctx: &mut Context<'_>, silence: Duration) -> (Verdict, Option<OutboundSpi>) {
        let verdict = self.one_way.sent(ctx.now, silence);
        if matches!(verdict, Verdict::Replace { .. }) {
            // What the peer made and never sent with is as good as lost, and would be in the way of a rekey.
            if let Some(newer) = self.successor() {
                self.release(ctx, newer);
            }
            self.rekey_at = Some(ctx.now);
        }
        (verdict, self.in_use_sa().map(|sa| sa.outbound))
    }

    /// The peer sent with an SA that is not ours.
    pub(super) fn answered_elsewhere(&mut self) {
        self.one_way.answered_elsewhere();
    }

    /// A packet arrived on one of its SAs: the peer has it.
    pub(super) fn inbound_seen(&mut self, ctx: &mut Context<'_>, inbound: InboundSpi) {
        self.one_way.heard();
        if self.sas.iter().any(|sa| sa.inbound == inbound && sa.is_held() && sa.stands()) {
            self.release(ctx, inbound);
        }
    }

    /// Lets SAs go whose time is over.
    pub(super) fn handle_timeout(&mut self, ctx: &mut Context<'_>) -> Aged {
        let mut aged = Aged::default();
        while let Some(sa) = self.sas.iter().find(|sa| sa.is_over(ctx.now)) {
            let (inbound, stands) = (sa.inbound, sa.standing == Standing::Up);
            if self.in_use() == Some(inbound) {
                match self.successor() {
                    Some(newer) => self.release(ctx, newer),
                    None => {
                        aged.is_lost = true;
                        return aged;
                    }
                }
            }
            if stands {
                aged.ended.push(inbound);
            }
            self.sas.retain(|sa| sa.inbound != inbound);
            ctx.data(DataCommand::RemoveInbound { spi: inbound });
        }
        aged
    }

    /// Whether the end of the newest SA comes near and it was not replaced.
    pub(super) fn take_last_call(&mut self, now: Instant) -> bool {
        self.last_call.take_if(|at| *at <= now).is_some() && self.is_carried()
    }

    /// Whether a new SA is due; it is asked once.
    pub(super) fn take_wish(&mut self, now: Instant) -> bool {
        self.rekey_at.take_if(|at| *at <= now).is_some()
    }

    /// A limit in packets, octets or sequence numbers comes near.
    pub(super) fn run_out(&mut self, now: Instant) {
        self.rekey_at = Some(self.rekey_at.map_or(now, |at| at.min(now)));
    }

    /// The SA in use carried all that it may; says whether another takes its place now.
    pub(super) fn is_used_up(&mut self, ctx: &mut Context<'_>) -> bool {
        self.spent = true;
        if let Some(newer) = self.successor() {
            self.release(ctx, newer);
        }
        !self.spent
    }

    /// Whether its packets are dropped until there is a new SA.
    pub(super) fn is_spent(&self) -> bool {
        self.spent
    }

    /// A new SA could not be had: there are some more attempts until the end of what is in use.
    pub(super) fn want_after_refusal(&mut self, ctx: &mut Context<'_>) {
        let end = self.sas.iter().rev().find(|sa| matches!(sa.use_, Use::Used)).and_then(|sa| sa.ends_at);
        self.rekey_at = Some(retry(ctx.now, end, ctx.random));
    }

    /// The SA that is to be rekeyed: the one in use, unless it is replaced already or going.
    pub(super) fn to_rekey(&self) -> Option<InboundSpi> {
        let in_use = self.in_use()?;
        self.successor().is_none().then_some(in_use)
    }

    /// Whether anything carries its packets, or will.
    pub(super) fn is_carried(&self) -> bool {
        self.in_use().is_some() || self.successor().is_some()
    }

    /// Whether there is an SA that both sides have.
    pub(super) fn stands(&self, inbound: InboundSpi) -> bool {
        self.sas.iter().any(|sa| sa.inbound == inbound && sa.standing == Standing::Up)
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.sas.len() < MOST_SAS
    }

    /// Whether one of its SAs has this SPI: none is used again while the other side may still send with it (RFC 7296 §1.4.1).
    pub(super) fn has(&self, inbound: InboundSpi) -> bool {
        self.sas.iter().any(|sa| sa.inbound == inbound)
    }

    /// How the SA stands that the peer receives on with this SPI, when ours that is being rekeyed is `rekeying`.
    pub(super) fn target(&self, outbound: u32, rekeying: Option<InboundSpi>) -> Target {
        match self.sas.iter().find(|sa| sa.outbound.value() == outbound && sa.stands()) {
            None => Target::Unknown,
            Some(sa) if sa.standing == Standing::Deleting => Target::Deleting,
            Some(sa) if rekeying == Some(sa.inbound) => Target::Rekeying,
            Some(_) => Target::Standing,
        }
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let at = |timer| move |at| Deadline { at, timer };
        let over = self.sas.iter().filter_map(ChildSa::over_at).min();
        let own = [over, self.rekey_at, self.last_call];
        earliest(own.map(|one| one.map(at(Timer::Lifetime))))
    }

    /// The newest that was released and that the peer has.
    fn in_use(&self) -> Option<InboundSpi> {
        self.in_use_sa().map(|sa| sa.inbound)
    }

    fn in_use_sa(&self) -> Option<&ChildSa> {
        self.sas.iter().rev().find(|sa| matches!(sa.use_, Use::Used) && sa.standing == Standing::Up)
    }

    /// The newest that is held back.
    fn successor(&self) -> Option<InboundSpi> {
        self.sas.iter().rev().find(|sa| sa.is_held() && sa.standing == Standing::Up).map(|sa| sa.inbound)
    }

    fn outbound_of(&self, inbound: InboundSpi) -> Option<u32> {
        self.sas.iter().find(|sa| sa.inbound == inbound).map(|sa| sa.outbound.value())
    }
}

impl ChildSa {
    fn export(&self) -> Option<ChildSaState> {
        let Self { inbound, outbound, by, made_at, ends_at, standing, use_ } = self;
        let is_used = match use_ {
            Use::Held(_) => return None,
            Use::Used => true,
            Use::Passed => false,
        };
        Some(ChildSaState {
            inbound: *inbound,
            outbound: *outbound,
            by: *by,
            made_at: *made_at,
            ends_at: *ends_at,
            standing: *standing,
            is_used,
        })
    }

    fn restore(state: ChildSaState) -> Self {
        let ChildSaState { inbound, outbound, by, made_at, ends_at, standing, is_used } = state;
        let use_ = if is_used { Use::Used } else { Use::Passed };
        Self { inbound, outbound, by, made_at, ends_at, standing, use_ }
    }

    const fn is_held(&self) -> bool {
        matches!(self.use_, Use::Held(_))
    }

    const fn stands(&self) -> bool {
        matches!(self.standing, Standing::Up | Standing::Deleting)
    }

    fn go(&mut self, now: Instant) {
        if self.stands() {
            self.standing = Standing::Gone { until: now.after(GRACE) };
        }
    }

    fn over_at(&self) -> Option<Instant> {
        let gone = match self.standing {
            Standing::Gone { until } => Some(until),
            Standing::Up | Standing::Deleting => None,
        };
        [gone, self.ends_at].into_iter().flatten().min()
    }

    fn is_over(&self, now: Instant) -> bool {
        self.over_at().is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests;
