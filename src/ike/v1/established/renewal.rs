//! The current ISAKMP SA is replaced by a new one before its time is over; the children stay as they are (RFC 2409 §5.5: they live on their own).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::ike::action::{Command, Configuration, Deadline, Event, Failure, Timer};
use crate::ike::context::Context;
use crate::ike::profile::{Ikev1, Profile, Upkeep};
use crate::ike::schedule::{last_call, replacement};
use crate::ike::timer::{earliest, percent_of};
use crate::ike::v1::established::association::Association;
use crate::ike::v1::established::words::in_words;
use crate::ike::v1::established::{Established, Flow};
use crate::ike::v1::header::Cookies;
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::ike::v1::offer::shortened_phase1;
use crate::ike::v1::opening::{Opened, Opening, Progress};
use crate::sa::command::ChildId;
use crate::sa::path::Path;
use crate::time::Instant;

/// The old SA is kept for what is under way in it.
const OLD_SA_TIME: Duration = Duration::from_secs(5);
/// Old SAs that are kept at one time.
pub(super) const MOST_OLDER: usize = 2;
/// While a quick mode is under way, a renewal waits: its child might stay with the old SA.
const QUICK_MODE_WAIT: Duration = Duration::from_millis(500);
/// It does not wait when the current SA ends within this time.
const LAST_MOMENT: Duration = Duration::from_secs(2);
/// After a failed renewal the next attempt comes when this share of what is left has passed.
const RETRY_PERCENT: u32 = 25;
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// A sign of life that came so long before a renewal began is of who answered it: no gateway restarts faster, and ESP is told of once a second.
const FRESH: Duration = Duration::from_secs(2);

/// However short a lifetime the gateway names.
const SHORTEST_NOTICE: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Renewal {
    settings: Arc<Ikev1>,
    /// As the session's, but it asks for the addresses that we have, and does not say that it is the first.
    profile: Profile,
    at: Option<Instant>,
    /// When another session is wanted because it did not succeed.
    last_call: Option<Instant>,
    opening: Option<Box<Opening>>,
    began: Instant,
    /// Children that got SAs while it is under way.
    made: Vec<ChildId>,
}

impl Renewal {
    pub(super) fn new(
        ctx: &mut Context<'_>,
        settings: Arc<Ikev1>,
        sa: &IsakmpSa,
        configuration: &Configuration,
    ) -> Self {
        let at = sa.ends_at.map(|end| replacement(ctx.now, end.since(ctx.now), ctx.random));
        let last_call = sa.ends_at.map(|end| last_call(ctx.now, end.since(ctx.now)));
        let profile = asking_for(ctx.profile, configuration);
        Self { settings, profile, at, last_call, opening: None, began: ctx.now, made: Vec::new() }
    }

    /// When it begins, for another process. `None` while it is under way.
    pub(super) fn export(&self) -> Option<[Option<Instant>; 2]> {
        self.opening.is_none().then_some([self.at, self.last_call])
    }

    /// The same in the process that goes on.
    pub(super) fn restore(
        profile: &Profile,
        settings: Arc<Ikev1>,
        configuration: &Configuration,
        [at, last_call]: [Option<Instant>; 2],
    ) -> Self {
        let profile = asking_for(profile, configuration);
        Self { settings, profile, at, last_call, opening: None, began: Instant::START, made: Vec::new() }
    }

    pub(super) fn note_made(&mut self, child: ChildId) {
        if self.is_under_way() && !self.made.contains(&child) {
            self.made.push(child);
        }
    }

    /// The settings changed.
    pub(super) fn adopt(&mut self, upkeep: Upkeep) {
        self.profile.adopt(upkeep);
    }

    /// Whether a name and a password are configured.
    pub(super) fn has_xauth(&self) -> bool {
        self.settings.xauth.is_some()
    }

    pub(super) fn owns(&self, cookies: Cookies) -> bool {
        self.opening.as_ref().is_some_and(|opening| opening.owns(cookies))
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.opening.is_some()
    }

    pub(super) fn hurry(&mut self, now: Instant) {
        if self.opening.is_none() {
            self.at = Some(now);
        }
    }

    fn no_later_than(&mut self, at: Instant) {
        if self.opening.is_none() {
            self.at = Some(self.at.map_or(at, |known| known.min(at)));
        }
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let lifetime = |at| Deadline { at, timer: Timer::Lifetime };
        let next = match &self.opening {
            Some(opening) => opening.poll_timeout(),
            None => self.at.map(lifetime),
        };
        earliest([next, self.last_call.map(lifetime)])
    }

    /// What is left of it, if the gateway may have the new SA already.
    pub(super) fn stop(&mut self, ctx: &mut Context<'_>) -> Option<Box<Opening>> {
        let opening = self.opening.take()?;
        match opening.handle_command(&mut within(&self.profile, ctx), Command::Close) {
            Progress::Waiting(opening) => Some(opening),
            Progress::Ready(_) | Progress::Failed { .. } => None,
        }
    }
}

impl Established {
    pub(super) fn renewal_datagram(&mut self, ctx: &mut Context<'_>, path: Path, message: &[u8]) -> Flow {
        let Some(opening) = self.renewal.opening.take() else { return Flow::Continue(()) };
        let progress = opening.handle_datagram(&mut within(&self.renewal.profile, ctx), path, message);
        self.renewal_progress(ctx, progress)
    }

    pub(super) fn renewal_timeout(&mut self, ctx: &mut Context<'_>) -> Flow {
        if self.renewal.last_call.take_if(|at| *at <= ctx.now).is_some() {
            ctx.event(Event::Expiring);
        }
        let path = self.current.sa.path;
        let lasts = self.current.sa.ends_at.is_none_or(|end| end > ctx.now.after(LAST_MOMENT));
        let waits = self.quick_modes.is_busy() && !self.current.deleted && lasts;
        let renewal = &mut self.renewal;
        let progress = match renewal.opening.take() {
            Some(opening) if opening.poll_timeout().is_some_and(|deadline| deadline.at <= ctx.now) => {
                opening.handle_timeout(&mut within(&renewal.profile, ctx))
            }
            Some(opening) => Progress::Waiting(opening),
            None if waits && renewal.at.is_some_and(|at| at <= ctx.now) => {
                renewal.at = Some(ctx.now.after(QUICK_MODE_WAIT));
                return Flow::Continue(());
            }
            None if renewal.at.is_some_and(|at| at <= ctx.now) => {
                renewal.at = None;
                renewal.began = ctx.now;
                Opening::start(&mut within(&renewal.profile, ctx), renewal.settings.clone(), path)
            }
            None => return Flow::Continue(()),
        };
        self.renewal_progress(ctx, progress)
    }

    /// RESPONDER-LIFETIME of the ISAKMP SA (RFC 2407 §4.6.3.1).
    pub(super) fn shorten(&mut self, ctx: &mut Context<'_>, cookies: Cookies, attributes: &[u8]) {
        let sa = &mut self.current.sa;
        if sa.cookies != cookies {
            return;
        }
        let whole = sa.ends_at.map(|end| end.since(sa.established_at));
        let Some(time) = shortened_phase1(whole, attributes).filter(|time| Some(*time) != whole) else { return };
        // There is time to renew it, however late it was said.
        let end = sa.established_at.after(time).max(ctx.now.after(SHORTEST_NOTICE));
        let end = sa.ends_at.map_or(end, |known| known.min(end));
        sa.ends_at = Some(end);
        self.renewal.last_call = Some(last_call(ctx.now, end.since(ctx.now)));
        self.renewal.no_later_than(replacement(ctx.now, end.since(ctx.now), ctx.random));
    }

    /// Old SAs whose time is over.
    pub(super) fn delete_older(&mut self, ctx: &mut Context<'_>) {
        let is_due = |older: &Association, now| older.delete_at.is_none_or(|at| at <= now);
        while let Some(place) = self.older.iter().position(|older| is_due(older, ctx.now)) {
            let mut older = self.older.remove(place);
            self.forget_quick_modes(ctx, older.sa.cookies);
            older.delete(ctx);
        }
    }

    fn renewal_progress(&mut self, ctx: &mut Context<'_>, progress: Progress) -> Flow {
        match progress {
            Progress::Waiting(opening) => {
                self.renewal.opening = Some(opening);
                Flow::Continue(())
            }
            Progress::Ready(opened) => self.adopt(ctx, *opened),
            Progress::Failed { failure, .. } if self.current.deleted => {
                ctx.event(Event::Notice(format!("the IKE SA could not be renewed: {}", in_words(&failure))));
                Flow::Break(Failure::ClosedByPeer)
            }
            Progress::Failed { failure, .. } => {
                ctx.event(Event::Notice(format!("the IKE SA could not be renewed yet: {}", in_words(&failure))));
                if failure.is_refusal() {
                    // It will not be otherwise the next time; another gateway may say something else.
                    ctx.event(Event::Expiring);
                }
                let left = self.current.sa.ends_at.map_or(LONGEST_RETRY, |end| end.since(ctx.now));
                let wait = percent_of(left, RETRY_PERCENT).clamp(SHORTEST_RETRY, LONGEST_RETRY);
                self.renewal.at = Some(ctx.now.after(wait));
                Flow::Continue(())
            }
        }
    }

    fn adopt(&mut self, ctx: &mut Context<'_>, opened: Opened) -> Flow {
        let Opened { settings, sa, mut configuration, answers } = opened;
        if !ctx.profile.request.asks() {
            configuration.addresses.clone_from(&ctx.profile.request.fixed);
        }
        let (before, after) = (addresses(&self.configuration), addresses(&configuration));
        let renewed = Renewal::new(ctx, settings, &sa, &configuration);
        let Renewal { made, began, .. } = std::mem::replace(&mut self.renewal, renewed);
        // Whoever restarted without memory opens a new SA like any other, and answers for it from now on; of the children it knows nothing.
        let is_proven = self.liveness.silence(ctx.now) <= ctx.now.since(began).saturating_add(FRESH);
        self.current.interrupt_probe(ctx);
        let mut old = std::mem::replace(&mut self.current, Association::new(ctx, sa, answers));
        old.delete_at = Some(ctx.now.after(OLD_SA_TIME));
        if old.deleted {
            self.forget_quick_modes(ctx, old.sa.cookies);
        } else {
            self.older.push(old);
        }
        if before != after {
            let list = |addresses: &[IpAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            // The children stand for the old ones: they go on until others take their place.
            ctx.event(Event::Notice(format!(
                "at the renewal the gateway assigned {} in place of {}",
                list(&after),
                list(&before)
            )));
            ctx.event(Event::Expiring);
        } else {
            self.configuration = configuration;
        }
        self.heard(ctx);
        for child in self.children.iter_mut().filter(|child| !is_proven || made.contains(&child.id)) {
            child.want(ctx.now);
        }
        while self.older.len() > MOST_OLDER {
            let mut oldest = self.older.remove(0);
            self.forget_quick_modes(ctx, oldest.sa.cookies);
            oldest.delete(ctx);
        }
        ctx.event(Event::IkeRenewed);
        Flow::Continue(())
    }
}

fn within<'a>(profile: &'a Profile, ctx: &'a mut Context<'_>) -> Context<'a> {
    Context { now: ctx.now, profile, random: &mut *ctx.random, outbox: &mut *ctx.outbox }
}

fn asking_for(profile: &Profile, configuration: &Configuration) -> Profile {
    let mut profile = profile.clone();
    // RFC 2407 §4.6.3.3: it would make the gateway forget our children.
    profile.initial_contact = false;
    for (address, _) in &configuration.addresses {
        match address {
            IpAddr::V4(address) => profile.request.ipv4 = profile.request.ipv4.map(|_| *address),
            IpAddr::V6(address) => profile.request.ipv6 = profile.request.ipv6.map(|_| *address),
        }
    }
    profile
}

fn addresses(configuration: &Configuration) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = configuration.addresses.iter().map(|(address, _)| *address).collect();
    addresses.sort_unstable();
    addresses
}
