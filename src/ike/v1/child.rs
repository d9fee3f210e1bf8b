//! A child: one subnet pair, and the SAs that carry it, one after the other. It knows when an SA is installed, used and forgotten, and when the
//! child wants a new one; it knows no message and no exchange.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ike::action::{ChildUp, Configuration, Deadline, Event, Side, Timer};
use crate::ike::context::Context;
use crate::ike::one_way::{OneWay, Verdict};
use crate::ike::schedule::replacement;
use crate::ike::timer::{earliest, percent_of};
use crate::ike::v1::offer::shortened_phase2;
use crate::ike::v1::quick_mode::{Agreed, Pair};
use crate::sa::command::{ChildId, DataCommand, OutboundParameters};
use crate::sa::handover::Unrestorable;
use crate::sa::lifetime::Lifetime;
use crate::sa::spi::{InboundSpi, OutboundSpi};
use crate::sa::suite::EspSuite;
use crate::time::Instant;

/// After our confirmation, which nobody answers, the gateway is taken to have the new SA.
const CONFIRMATION_TIME: Duration = Duration::from_secs(2);

/// Packets of an SA that the gateway deleted may be under way for as long.
const GRACE: Duration = Duration::from_secs(5);

/// A gateway that does not know an SA after this has lost it.
const SETTLING_TIME: Duration = Duration::from_secs(5);

/// Inbound SAs of one child; the oldest goes.
const MOST_SAS: usize = 4;

/// After a failed replacement the next attempt comes when this share of what is left of the SA's life has passed.
const RETRY_PERCENT: u32 = 25;
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// A child that the gateway deletes again soon after it was made is made anew this often.
const MOST_QUICK_DELETES: u32 = 3;
const QUICK_DELETE: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Child {
    pub(super) id: ChildId,
    pub(super) pair: Pair,
    pub(super) standing: Standing,
    /// In the order in which they were made.
    sas: Vec<ChildSa>,
    /// When a new quick mode is wanted.
    wanted_at: Option<Instant>,
    quick_deletes: u32,
    one_way: OneWay,
}

/// How far a child has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    /// It was never up, or people were told that it is gone.
    Absent,
    /// It carries traffic.
    Up,
    /// It was up, its last SA is gone, and it is made anew.
    Lost,
}

struct ChildSa {
    inbound: InboundSpi,
    outbound: OutboundSpi,
    suite: EspSuite,
    by: Side,
    installed_at: Instant,
    ends_at: Option<Instant>,
    /// The gateway has it no more.
    deleted: bool,
    use_: Use,
}

/// What an SA is to the packets that we send.
enum Use {
    /// Held back until the gateway has it, at the latest at `until`.
    Held { sa: Box<OutboundParameters>, until: Option<Instant> },
    /// It carries them, or did.
    Used,
    /// It never did and will not: a newer one does.
    Passed,
}

/// A child on its way to another process. None of its SAs is held back.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ChildState {
    id: ChildId,
    pair: Pair,
    standing: Standing,
    sas: Vec<ChildSaState>,
    wanted_at: Option<Instant>,
    quick_deletes: u32,
    one_way: OneWay,
}

#[derive(Debug, Serialize, Deserialize)]
struct ChildSaState {
    inbound: InboundSpi,
    outbound: OutboundSpi,
    suite: EspSuite,
    by: Side,
    installed_at: Instant,
    ends_at: Option<Instant>,
    deleted: bool,
    is_used: bool,
}

/// When a new SA may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// After our confirmation: at once if there is no other, else after a while or with the first packet.
    Confirmed,
    /// After CONNECTED, with the first packet, or after a while (RFC 2408 §3.1).
    Commit,
    /// Not before the gateway's confirmation or its first packet.
    Unconfirmed,
}

/// What time did to a child.
#[derive(Debug, Default)]
pub(super) struct Aged {
    /// Its last SA came to its end.
    pub(super) is_lost: bool,
    /// SAs that ended by our clock; the gateway may keep them longer.
    pub(super) ended: Vec<InboundSpi>,
}

impl Child {
    pub(super) fn new(id: ChildId, pair: Pair) -> Self {
        let (sas, one_way) = (Vec::new(), OneWay::default());
        Self { id, pair, standing: Standing::Absent, sas, wanted_at: None, quick_deletes: 0, one_way }
    }

    /// The child as values, for another process that goes on with it. `None` while an SA is held back.
    pub(super) fn export(&self) -> Option<ChildState> {
        let Self { id, pair, standing, sas, wanted_at, quick_deletes, one_way } = self;
        Some(ChildState {
            id: *id,
            pair: *pair,
            standing: *standing,
            sas: sas.iter().map(ChildSa::export).collect::<Option<_>>()?,
            wanted_at: *wanted_at,
            quick_deletes: *quick_deletes,
            one_way: *one_way,
        })
    }

    /// The child again, in the process that goes on with it.
    pub(super) fn restore(state: ChildState) -> Result<Self, Unrestorable> {
        let ChildState { id, pair, standing, sas, wanted_at, quick_deletes, one_way } = state;
        if sas.len() > MOST_SAS {
            return Err(Unrestorable("a child of more SAs than it can have"));
        }
        let sas = sas.into_iter().map(ChildSa::restore).collect();
        Ok(Self { id, pair, standing, sas, wanted_at, quick_deletes, one_way })
    }

    /// Installs the inbound half of a new SA, and holds the outbound half. Gives back what had to go for it.
    pub(super) fn install(
        &mut self,
        ctx: &mut Context<'_>,
        agreed: Agreed,
        by: Side,
        release: Release,
    ) -> Option<InboundSpi> {
        let Agreed { inbound, outbound, lifetime } = agreed;
        let until = match release {
            Release::Confirmed | Release::Commit => Some(ctx.now.after(CONFIRMATION_TIME)),
            Release::Unconfirmed => None,
        };
        self.sas.push(ChildSa {
            inbound: inbound.spi,
            outbound: outbound.spi,
            suite: inbound.suite,
            by,
            installed_at: ctx.now,
            ends_at: lifetime.time.map(|time| ctx.now.after(time)),
            deleted: false,
            use_: Use::Held { sa: outbound, until },
        });
        ctx.data(DataCommand::InstallInbound { child: self.id, sa: inbound });
        if release != Release::Unconfirmed {
            self.wanted_at = lifetime.time.map(|time| replacement(ctx.now, time, ctx.random));
        }
        if self.sas.len() <= MOST_SAS {
            return None;
        }
        let in_use = self.in_use().map(|sa| sa.inbound);
        let oldest = self.sas.iter().map(|sa| sa.inbound).find(|inbound| Some(*inbound) != in_use)?;
        self.forget(ctx, oldest);
        Some(oldest)
    }

    /// After our confirmation left: the first SA is used at once, and so is one in place of an SA that the gateway has no more.
    pub(super) fn confirmed_by_us(
        &mut self,
        ctx: &mut Context<'_>,
        inbound: InboundSpi,
        configuration: &Configuration,
    ) {
        if self.in_use().is_none_or(|sa| sa.deleted) {
            self.release(ctx, inbound, configuration);
        }
    }

    /// The gateway has this SA: it is used from now on, and older ones that were held never will be.
    pub(super) fn release(&mut self, ctx: &mut Context<'_>, inbound: InboundSpi, configuration: &Configuration) {
        let Some(place) = self.sas.iter().position(|sa| sa.inbound == inbound) else { return };
        let Some(sa) = self.sas.get_mut(place) else { return };
        if !matches!(sa.use_, Use::Held { .. }) {
            return;
        }
        let Use::Held { sa: outbound, .. } = std::mem::replace(&mut sa.use_, Use::Used) else { return };
        let (suite, outbound_spi, by, path) = (sa.suite, sa.outbound, sa.by, outbound.path);
        self.one_way.renewed();
        if let (Side::Peer, Some(ends_at)) = (sa.by, sa.ends_at) {
            self.wanted_at = Some(replacement(ctx.now, ends_at.since(ctx.now), ctx.random));
        }
        for older in self.sas.iter_mut().take(place).filter(|sa| matches!(sa.use_, Use::Held { .. })) {
            older.use_ = Use::Passed;
        }
        ctx.data(DataCommand::SwitchOutbound { child: self.id, sa: outbound });
        if self.standing == Standing::Absent {
            ctx.event(Event::ChildUp(Box::new(ChildUp {
                child: self.id,
                suite,
                inbound,
                outbound: outbound_spi,
                local: vec![self.pair.local],
                remote: vec![self.pair.remote],
                configuration: configuration.clone(),
                path,
            })));
        } else {
            ctx.event(Event::ChildRekeyed { child: self.id, inbound, outbound: outbound_spi, by });
        }
        self.standing = Standing::Up;
    }

    /// The gateway's confirmation did not come: its SA was never used.
    pub(super) fn abandon(&mut self, ctx: &mut Context<'_>, inbound: InboundSpi) {
        let is_unused = |sa: &&ChildSa| sa.inbound == inbound && !matches!(sa.use_, Use::Used);
        if self.sas.iter().any(|sa| is_unused(&sa)) {
            self.forget(ctx, inbound);
        }
    }

    /// The gateway deleted its inbound SA, which is one of ours if this is `true`.
    pub(super) fn deleted_by_peer(
        &mut self,
        ctx: &mut Context<'_>,
        outbound: OutboundSpi,
        configuration: &Configuration,
    ) -> bool {
        let Some(place) = self.sas.iter().position(|sa| sa.outbound == outbound) else { return false };
        if self.sas.get(place).is_some_and(|sa| sa.deleted) {
            return true;
        }
        let was_in_use = self.in_use().is_some_and(|sa| sa.outbound == outbound);
        let newer = self.sas.iter().skip(place).rev().find(|sa| sa.outbound != outbound && sa.is_held());
        let newer = newer.map(|sa| sa.inbound);
        let mut age = Duration::ZERO;
        if let Some(sa) = self.sas.get_mut(place) {
            // Packets that it sealed before may still come.
            let end = ctx.now.after(GRACE);
            sa.ends_at = Some(sa.ends_at.map_or(end, |known| known.min(end)));
            sa.deleted = true;
            age = ctx.now.since(sa.installed_at);
            if sa.is_held() {
                sa.use_ = Use::Passed;
            }
        }
        match newer {
            Some(newer) if was_in_use => self.release(ctx, newer, configuration),
            _ if was_in_use => {
                self.quick_deletes = if age < QUICK_DELETE { self.quick_deletes.saturating_add(1) } else { 0 };
                self.wanted_at = Some(ctx.now);
            }
            _ => {}
        }
        true
    }

    /// Whether this is an SA that the gateway must have taken by now, and has not deleted.
    pub(super) fn is_settled(&self, now: Instant, outbound: OutboundSpi) -> bool {
        let is_it = |sa: &&ChildSa| sa.outbound == outbound && !sa.deleted;
        self.sas.iter().find(is_it).is_some_and(|sa| now.since(sa.installed_at) >= SETTLING_TIME)
    }

    /// Whether it was deleted again and again, so that making it anew is no use.
    pub(super) fn is_unwanted(&self) -> bool {
        self.quick_deletes > MOST_QUICK_DELETES
    }

    /// Lets SAs go whose time is over, and uses what was held long enough.
    pub(super) fn handle_timeout(&mut self, ctx: &mut Context<'_>, configuration: &Configuration) -> Aged {
        let now = ctx.now;
        let due = |sa: &&ChildSa| matches!(sa.use_, Use::Held { until: Some(until), .. } if until <= now);
        while let Some(inbound) = self.sas.iter().find(due).map(|sa| sa.inbound) {
            self.release(ctx, inbound, configuration);
        }
        let ended = |sa: &&ChildSa| sa.ends_at.is_some_and(|end| end <= ctx.now);
        let mut aged = Aged::default();
        aged.ended.extend(self.sas.iter().filter(|sa| ended(sa) && !sa.deleted).map(|sa| sa.inbound));
        let ended: Vec<InboundSpi> = self.sas.iter().filter(ended).map(|sa| sa.inbound).collect();
        let in_use = self.in_use().map(|sa| sa.inbound);
        for inbound in ended {
            if Some(inbound) == in_use && self.standing == Standing::Up {
                match self.sas.iter().rev().find(|sa| sa.is_held()).map(|sa| sa.inbound) {
                    Some(newer) => self.release(ctx, newer, configuration),
                    None => {
                        self.lose(ctx);
                        aged.is_lost = true;
                        return aged;
                    }
                }
            }
            self.forget(ctx, inbound);
        }
        aged
    }

    /// All SAs are gone; packets of this child are dropped until there is another.
    pub(super) fn lose(&mut self, ctx: &mut Context<'_>) {
        if self.standing == Standing::Up {
            self.standing = Standing::Lost;
        }
        self.sas.clear();
        self.wanted_at = None;
        ctx.data(DataCommand::RemoveChild { child: self.id });
    }

    /// It is gone and will not be made anew by us.
    pub(super) fn give_up(&mut self, ctx: &mut Context<'_>) {
        if self.standing == Standing::Absent && self.sas.is_empty() {
            return;
        }
        let was_up = self.standing != Standing::Absent;
        self.lose(ctx);
        self.standing = Standing::Absent;
        self.quick_deletes = 0;
        if was_up {
            ctx.event(Event::ChildGone { child: self.id });
        }
    }

    /// A packet limit comes near: a new quick mode is wanted soon, though not right after the last.
    pub(super) fn run_out(&mut self, now: Instant) {
        let replaced = self.sas.last().is_some_and(ChildSa::is_held);
        if self.standing == Standing::Up && !replaced {
            let earliest = self.sas.last().map_or(now, |sa| sa.installed_at.after(SHORTEST_RETRY).max(now));
            self.wanted_at = Some(self.wanted_at.map_or(earliest, |at| at.min(earliest)));
        }
    }

    /// Whether the SA in use carries its packets for so much longer.
    pub(super) fn can_wait(&self, now: Instant, time: Duration) -> bool {
        self.in_use().is_some_and(|sa| !sa.deleted && sa.ends_at.is_none_or(|end| end > now.after(time)))
    }

    /// Whether a new quick mode is due.
    pub(super) fn wants_replacement(&self, now: Instant) -> bool {
        self.wanted_at.is_some_and(|at| at <= now)
    }

    /// A quick mode is under way; if it fails, another is wanted after a wait.
    pub(super) fn replacement_began(&mut self) {
        self.wanted_at = None;
    }

    /// Another quick mode is wanted then.
    pub(super) fn want(&mut self, at: Instant) {
        self.wanted_at = Some(at);
    }

    /// A quick mode for it failed while it carries traffic: there are some more attempts until its end.
    pub(super) fn want_after_failure(&mut self, now: Instant) {
        let left = self.in_use().and_then(|sa| sa.ends_at).map_or(LONGEST_RETRY, |end| end.since(now));
        let wait = percent_of(left, RETRY_PERCENT).clamp(SHORTEST_RETRY, LONGEST_RETRY);
        self.wanted_at = Some(now.after(wait));
    }

    /// Whether an SA of ours waits for the gateway to have it.
    pub(super) fn awaits_release(&self) -> bool {
        self.sas.iter().any(|sa| matches!(sa.use_, Use::Held { until: Some(_), .. }))
    }

    /// Packets were sent with the SA in use, and nothing was heard of the gateway for `silence`. Where that is a reason for a new quick mode, it is wanted
    /// at once; gives the SPI that they went out with.
    pub(super) fn sent(&mut self, now: Instant, silence: Duration) -> (Verdict, Option<OutboundSpi>) {
        let verdict = self.one_way.sent(now, silence);
        if matches!(verdict, Verdict::Replace { .. }) {
            self.want(now);
        }
        (verdict, self.in_use().map(|sa| sa.outbound))
    }

    /// The gateway sent with an SA that is not ours.
    pub(super) fn answered_elsewhere(&mut self) {
        self.one_way.answered_elsewhere();
    }

    /// A packet arrived on one of its SAs.
    pub(super) fn inbound_seen(&mut self, ctx: &mut Context<'_>, inbound: InboundSpi, configuration: &Configuration) {
        self.one_way.heard();
        if self.sas.iter().any(|sa| sa.inbound == inbound && sa.is_held()) {
            self.release(ctx, inbound, configuration);
        }
    }

    /// RESPONDER-LIFETIME of one of its SAs, which is named by what the gateway receives on (RFC 2407 §4.6.3.1).
    pub(super) fn shorten(&mut self, ctx: &mut Context<'_>, outbound: OutboundSpi, attributes: &[u8]) {
        let newest = self.sas.last().map(|sa| sa.inbound);
        for sa in self.sas.iter_mut().filter(|sa| sa.outbound == outbound) {
            let whole = Lifetime { time: sa.ends_at.map(|end| end.since(sa.installed_at)), ..Lifetime::default() };
            let Some(time) = shortened_phase2(whole, attributes).time else { continue };
            if Some(time) == whole.time {
                continue;
            }
            // There is time to replace it, however late it was said.
            let end = sa.installed_at.after(time).max(ctx.now.after(GRACE));
            sa.ends_at = Some(end);
            if Some(sa.inbound) == newest {
                let at = replacement(ctx.now, end.since(ctx.now), ctx.random);
                self.wanted_at = self.wanted_at.map(|known| known.min(at));
            }
        }
    }

    /// The SA that the gateway receives on with this SPI.
    pub(super) fn inbound_of(&self, outbound: OutboundSpi) -> Option<InboundSpi> {
        self.sas.iter().find(|sa| sa.outbound == outbound).map(|sa| sa.inbound)
    }

    /// The SPI that the gateway receives on of the SA that we receive on with this one.
    pub(super) fn outbound_of(&self, inbound: u32) -> Option<OutboundSpi> {
        self.sas.iter().find(|sa| sa.inbound.value() == inbound).map(|sa| sa.outbound)
    }

    /// All SPIs that we receive on.
    pub(super) fn inbound_spis(&self) -> impl Iterator<Item = InboundSpi> + '_ {
        self.sas.iter().map(|sa| sa.inbound)
    }

    /// Whether any packet of the gateway's can reach us.
    pub(super) fn has_sas(&self) -> bool {
        !self.sas.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let release = self.sas.iter().filter_map(|sa| match sa.use_ {
            Use::Held { until, .. } => until,
            Use::Used | Use::Passed => None,
        });
        let at = |timer| move |at| Deadline { at, timer };
        earliest([
            release.min().map(at(Timer::Wait)),
            self.sas.iter().filter_map(|sa| sa.ends_at).min().map(at(Timer::Lifetime)),
            self.wanted_at.map(at(Timer::Lifetime)),
        ])
    }

    /// The newest that was released.
    fn in_use(&self) -> Option<&ChildSa> {
        self.sas.iter().rev().find(|sa| matches!(sa.use_, Use::Used))
    }

    fn forget(&mut self, ctx: &mut Context<'_>, inbound: InboundSpi) {
        self.sas.retain(|sa| sa.inbound != inbound);
        ctx.data(DataCommand::RemoveInbound { spi: inbound });
    }
}

impl ChildSa {
    fn export(&self) -> Option<ChildSaState> {
        let Self { inbound, outbound, suite, by, installed_at, ends_at, deleted, use_ } = self;
        let is_used = match use_ {
            Use::Held { .. } => return None,
            Use::Used => true,
            Use::Passed => false,
        };
        Some(ChildSaState {
            inbound: *inbound,
            outbound: *outbound,
            suite: *suite,
            by: *by,
            installed_at: *installed_at,
            ends_at: *ends_at,
            deleted: *deleted,
            is_used,
        })
    }

    fn restore(state: ChildSaState) -> Self {
        let ChildSaState { inbound, outbound, suite, by, installed_at, ends_at, deleted, is_used } = state;
        let use_ = if is_used { Use::Used } else { Use::Passed };
        Self { inbound, outbound, suite, by, installed_at, ends_at, deleted, use_ }
    }

    const fn is_held(&self) -> bool {
        matches!(self.use_, Use::Held { .. })
    }
}
