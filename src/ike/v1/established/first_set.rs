//! The first set of quick modes, one after the other: one for each subnet pair. The last message of a quick mode has no answer; so the gateway is asked
//! for a sign of life behind it, and when that comes it has taken what was before.

use std::net::IpAddr;
use std::time::Duration;

use crate::ike::action::{Configuration, Event, Failure};
use crate::ike::context::Context;
use crate::ike::profile::Profile;
use crate::ike::v1::child::{Child, Standing};
use crate::ike::v1::established::words::in_words;
use crate::ike::v1::established::{Established, Flow};
use crate::ike::v1::quick_mode::Pair;
use crate::sa::command::ChildId;
use crate::sa::selector::Selector;

/// Subnet pairs of one session.
pub(super) const MOST_CHILDREN: usize = 256;

/// A gateway that gives no sign of life is taken to have the children after this.
const SIGN_WAIT: Duration = Duration::from_secs(1);

/// The gateway gets so long for the last message before it is asked anything: strongSwan takes what comes at once in any order, and keeps the IV of
/// a quick mode only until a few other exchanges have come.
const SETTLING: Duration = Duration::from_millis(30);

/// How far it has come.
#[derive(Default)]
pub(super) struct FirstSet {
    /// Which child is next, or under way.
    next: usize,
    /// Of the first that was refused.
    failure: Option<Failure>,
}

/// A child for each pair of one of our selectors and one of the gateway's.
pub(super) fn children(profile: &Profile, configuration: &Configuration) -> Vec<Child> {
    let local = local_selectors(profile, configuration);
    let of_family = |local: Selector| move |remote: &&Selector| remote.is_ipv4() == local.is_ipv4();
    let pairs = local.into_iter().flat_map(|local| {
        profile.child.remote.iter().filter(of_family(local)).map(move |remote| Pair { local, remote: *remote })
    });
    (profile.child.first_id.0..)
        .map(ChildId)
        .zip(pairs)
        .take(MOST_CHILDREN)
        .map(|(id, pair)| Child::new(id, pair))
        .collect()
}

/// With an assigned address: that address, as IKEv1 does not narrow (RFC 2409 §5.5).
fn local_selectors(profile: &Profile, configuration: &Configuration) -> Vec<Selector> {
    if !profile.request.asks() {
        return profile.child.local.clone();
    }
    let host = |(address, _): &(IpAddr, u8)| Selector::host(*address);
    configuration.addresses.iter().map(host).collect()
}

impl Established {
    pub(super) fn advance_first_set(&mut self, ctx: &mut Context<'_>) -> Flow {
        // What was deleted in the middle goes on when the renewal under way is complete.
        while let Some(set) = self.first_set.as_mut().filter(|_| !self.current.deleted) {
            let Some(child) = self.children.get(set.next) else { return self.finish_first_set(ctx) };
            if child.standing == Standing::Up {
                set.next = set.next.saturating_add(1);
                continue;
            }
            if self.quick_modes.is_ours_for(child.id) || child.awaits_release() {
                return Flow::Continue(());
            }
            let (id, pair) = (child.id, child.pair);
            if let Err(failure) = self.begin_quick_mode(ctx, id, pair) {
                self.first_refused(ctx, failure);
            }
        }
        Flow::Continue(())
    }

    /// The one under way came to nothing; the others may still do.
    pub(super) fn first_refused(&mut self, ctx: &mut Context<'_>, failure: Failure) {
        let Some(set) = &mut self.first_set else { return };
        if let Some(child) = self.children.get(set.next) {
            let Pair { local, remote } = child.pair;
            if self.children.len() > 1 {
                ctx.event(Event::Notice(format!("no quick mode for {local} and {remote}: {}", in_words(&failure))));
            }
        }
        set.next = set.next.saturating_add(1);
        set.failure.get_or_insert(failure);
    }

    fn finish_first_set(&mut self, ctx: &mut Context<'_>) -> Flow {
        let failure = self.first_set.take().and_then(|set| set.failure);
        if self.children.iter().any(|child| child.standing == Standing::Up) {
            if self.can_ask() {
                self.sign_awaited = Some(ctx.now.after(SIGN_WAIT));
                self.sign_asked_at = Some(ctx.now.after(SETTLING));
            } else {
                ctx.event(Event::Ready);
            }
            return Flow::Continue(());
        }
        let without_pair =
            || Failure::AddressRefused { reason: "it is of another family than every configured subnet".into() };
        Flow::Break(failure.unwrap_or_else(without_pair))
    }

    pub(super) fn ask_for_sign(&mut self, ctx: &mut Context<'_>) {
        if self.sign_asked_at.take_if(|at| *at <= ctx.now).is_some() {
            self.probe(ctx);
        }
    }

    /// The gateway has taken what we said before its sign of life.
    pub(super) fn sign_came(&mut self, ctx: &mut Context<'_>) {
        self.sign_asked_at = None;
        if self.sign_awaited.take().is_some() {
            ctx.event(Event::Ready);
        }
    }

    /// It says nothing: that is no reason to wait, nor to give it up so early.
    pub(super) fn sign_missing(&mut self, ctx: &mut Context<'_>) {
        if self.sign_awaited.is_some_and(|at| at <= ctx.now) {
            self.current.dpd.heard();
            self.sign_came(ctx);
        }
    }
}
