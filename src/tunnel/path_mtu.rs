//! How long a datagram the path to the gateway carries: found by questions that the gateway answers (RFC 8899 in spirit), and followed.
//!
//! ICMP is a hint from whoever cares to send one: it never counts where the gateway can be asked, and is only a reason to ask. Where it cannot be
//! asked, hints are followed down to a floor and forgotten after a while. Silence of the network is noticed without any hint: what the path
//! swallows is not answered.
//!
//! Lengths are those of IP datagrams, header included. It knows moments and lengths; it knows no message and no device.

use std::net::IpAddr;
use std::time::Duration;

use crate::ike::action::Probed;
use crate::time::Instant;

/// What every path is taken to carry that was asked about. IPv4: inner packets of 576 octets (RFC 791 §3.1) in any suite. IPv6: RFC 8200 §5.
const FLOOR_V4: u16 = 680;
const FLOOR_V6: u16 = 1280;
/// No hint leads below this, whatever it says (RFC 4301 §8.2.2): links that carry less are found by asking, or named by `[tun] mtu`.
const HINT_FLOOR: u16 = 1280;
/// Nearly every path carries this (RFC 8899 §5.1.2, BASE_PLPMTU): asked before the floor, so that what is used does not go down further than it must.
const BASE: u16 = 1280;

/// Questions are no closer together than a cipher's blocks can tell them apart.
const STEP: u16 = 16;

/// An ESP datagram of whole cipher blocks is longer by so much than a question of whole blocks: where the link carries it, it is used. No path
/// is known whose length lies between the two.
const SLACK: u16 = 4;

/// Something that took the place of a question, or a question without any outcome: when it is asked again.
const ANOTHER_TRY: Duration = Duration::from_secs(1);
const NO_OUTCOME: Duration = Duration::from_secs(60);
/// In use, what was found is confirmed so often (RFC 8899 §5.1.1, CONFIRMATION_TIMER).
const CONFIRMATION: Duration = Duration::from_secs(60);
/// Packets that go out and none that come back for so long may be lost to their length.
const SILENCE: Duration = Duration::from_secs(3);
/// A path that grew is noticed so soon at first, and later so (RFC 8899 §5.1.1, PMTU_RAISE_TIMER).
const RAISE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(600));
/// A hint that was wrong makes deaf for so long at first, and so long if it is wrong again and again.
const DEAFNESS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));
/// The same for silence that had another reason: traffic of one direction is common.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(600));
/// So many searches without any answer say that the gateway answers no such question.
const MOST_UNPROVEN: u8 = 3;
/// Who cannot be asked is tried again after this, and a hint that could not be confirmed is forgotten (RFC 1191 §6.3).
const FORGETTING: Duration = Duration::from_secs(600);

/// What is known of one path. Made anew for another.
#[derive(Debug, Clone)]
pub(super) struct PathMtu {
    floor: u16,
    /// What the first link carries.
    ceiling: u16,
    used: u16,
    /// The shortest that was lost when it was last searched.
    lost: Option<u16>,
    search: Option<Search>,
    /// The open question, and since when it is.
    asking: Option<(Instant, u16)>,
    /// When the question whose turn it is may be asked.
    ask_at: Option<Instant>,
    /// A padded question was answered on this path: lost ones mean something.
    proven: bool,
    /// So many searches ended without any answer.
    unproven: u8,
    /// The gateway answers none: until when it is not asked.
    blind_until: Option<Instant>,
    /// When a hint that could not be confirmed is forgotten.
    forget_at: Option<Instant>,
    raise_at: Option<Instant>,
    deaf_until: Option<Instant>,
    patient_until: Option<Instant>,
    confirmed: Instant,
    /// Since when packets went out and none came.
    unheard: Option<Instant>,
    raise: Growing,
    deafness: Growing,
    patience: Growing,
}

#[derive(Debug, Clone, Copy)]
struct Search {
    why: Why,
    /// Asked first, or next.
    candidate: Option<u16>,
    /// Asked when the first is lost.
    hint: Option<u16>,
    /// The longest that arrived.
    passes: Option<u16>,
    /// The shortest that was lost.
    fails: u16,
}

/// Why it is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The path is new.
    New,
    /// Somebody said that it carries less.
    Hint,
    /// Nothing comes back.
    Silence,
    /// It is time to look whether it still carries this.
    Confirmation,
    /// It is time to look whether it carries more.
    Growth,
}

/// A wait that doubles each time, from the first value to the second.
#[derive(Debug, Clone, Copy)]
struct Growing {
    next: Duration,
    bounds: (Duration, Duration),
}

impl Growing {
    const fn new(bounds: (Duration, Duration)) -> Self {
        Self { next: bounds.0, bounds }
    }

    fn take(&mut self) -> Duration {
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.bounds.1);
        wait
    }

    fn reset(&mut self) {
        self.next = self.bounds.0;
    }
}

impl PathMtu {
    /// A path to `remote` whose first link carries `ceiling`. `known` is what such a path was last found to carry: used until it is known better.
    pub(super) fn new(now: Instant, remote: IpAddr, ceiling: u16, known: Option<u16>) -> Self {
        let floor = if remote.is_ipv4() { FLOOR_V4 } else { FLOOR_V6 };
        let ceiling = ceiling.max(floor);
        let mut path = Self {
            floor,
            ceiling,
            used: known.unwrap_or(ceiling).clamp(floor, ceiling),
            lost: None,
            search: None,
            asking: None,
            ask_at: None,
            proven: false,
            unproven: 0,
            blind_until: None,
            forget_at: None,
            raise_at: None,
            deaf_until: None,
            patient_until: None,
            confirmed: now,
            unheard: None,
            raise: Growing::new(RAISE),
            deafness: Growing::new(DEAFNESS),
            patience: Growing::new(PATIENCE),
        };
        path.begin(now, Why::New);
        path
    }

    /// The longest datagram that is to be sent.
    pub(super) const fn used(&self) -> u16 {
        self.used
    }

    /// The first link carries this now; and the path behind it may be another.
    pub(super) fn handle_link(&mut self, now: Instant, ceiling: u16) {
        let ceiling = ceiling.max(self.floor);
        if ceiling == self.ceiling {
            if self.lost.is_some() {
                self.raise.reset();
                self.raise_at = Some(now.after(self.raise.take()));
            }
            return self.begin(now, Why::Confirmation);
        }
        if self.used > ceiling || (self.used == self.ceiling && self.is_blind(now)) {
            self.used = ceiling;
        }
        self.ceiling = ceiling;
        self.lost = None;
        self.search = None;
        self.asking = None;
        self.begin(now, Why::New);
    }

    /// Somebody says that the path carries this: ICMP, or a refusal of the host's own.
    pub(super) fn handle_hint(&mut self, now: Instant, octets: u16) {
        let is_deaf = self.deaf_until.is_some_and(|until| now < until);
        if octets >= self.used || is_deaf {
            return;
        }
        if self.is_blind(now) {
            self.used = octets.clamp(HINT_FLOOR.min(self.used), self.used);
            self.forget_at = Some(now.after(FORGETTING));
            return;
        }
        match &mut self.search {
            Some(search) => search.hint = Some(octets),
            None => {
                self.begin(now, Why::Hint);
                if let Some(search) = &mut self.search {
                    search.hint = Some(octets);
                }
            }
        }
    }

    /// Packets were sent through the tunnel.
    pub(super) fn sent(&mut self, now: Instant) {
        let unheard = *self.unheard.get_or_insert(now);
        if self.search.is_some() || self.is_blind(now) {
            return;
        }
        let is_patient = self.patient_until.is_some_and(|until| now < until);
        if now.since(unheard) >= SILENCE && !is_patient {
            self.patient_until = Some(now.after(self.patience.take()));
            self.begin(now, Why::Silence);
        } else if now.since(self.confirmed) >= CONFIRMATION {
            self.begin(now, Why::Confirmation);
        }
    }

    /// Packets came through the tunnel.
    pub(super) const fn heard(&mut self) {
        self.unheard = None;
    }

    /// What is to be asked now; its outcome is awaited with `handle_outcome`.
    pub(super) fn take_question(&mut self, now: Instant) -> Option<u16> {
        if self.asking.is_some() || self.ask_at.is_some_and(|at| now < at) {
            return None;
        }
        let octets = self.search.as_ref()?.candidate?;
        self.ask_at = None;
        self.asking = Some((now, octets));
        Some(octets)
    }

    /// What came of the question.
    pub(super) fn handle_outcome(&mut self, now: Instant, octets: u16, outcome: Probed) {
        let is_asked = |asked: u16| octets <= asked && asked.saturating_sub(octets) < STEP;
        let Some((_, asked)) = self.asking.take_if(|(_, asked)| is_asked(*asked)) else { return };
        match outcome {
            Probed::Arrived => self.arrived(now, asked, octets),
            Probed::Lost => self.was_lost(now, octets),
            Probed::Interrupted => self.ask_at = Some(now.after(ANOTHER_TRY)),
            Probed::Impossible => self.go_blind(now, FORGETTING),
        }
    }

    /// When `handle_timeout` has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let raise = self.raise_at.filter(|_| self.search.is_none());
        let ask = self.ask_at.filter(|_| self.asking.is_none() && self.search.is_some());
        let outcome = self.asking.map(|(since, _)| since.after(NO_OUTCOME));
        [raise, ask, outcome, self.forget_at, self.blind_until].into_iter().flatten().min()
    }

    /// The clock moved.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let is_over = |at: &mut Instant| *at <= now;
        if self.asking.is_some_and(|(since, _)| now.since(since) >= NO_OUTCOME) {
            self.asking = None;
            self.search = None;
            self.raise_at = Some(now.after(self.raise.take()));
        }
        self.ask_at.take_if(is_over);
        if self.forget_at.take_if(is_over).is_some() {
            self.used = self.ceiling;
        }
        if self.blind_until.take_if(is_over).is_some() {
            self.begin(now, Why::New);
        }
        if self.search.is_none() && self.raise_at.take_if(is_over).is_some() {
            self.begin(now, Why::Growth);
        }
    }

    fn is_blind(&self, now: Instant) -> bool {
        self.blind_until.is_some_and(|until| now < until)
    }

    /// Begins to search, unless it is searched already or the gateway cannot be asked.
    fn begin(&mut self, now: Instant, why: Why) {
        if self.search.is_some() || self.is_blind(now) {
            return;
        }
        let candidate = match why {
            Why::New | Why::Growth => self.ceiling,
            Why::Hint | Why::Silence | Why::Confirmation => self.used,
        };
        let passes = (why == Why::Growth).then_some(self.used);
        let hint = if why == Why::New { Some(self.used) } else { None };
        let fails = self.ceiling.saturating_add(1);
        self.ask_at = None;
        self.search = Some(Search { why, candidate: Some(candidate), hint, passes, fails });
    }

    /// A question has whole blocks: what it cannot ask about is not used, but for [`SLACK`].
    fn arrived(&mut self, now: Instant, asked: u16, octets: u16) {
        let is_whole = asked == self.ceiling || asked == self.used;
        let octets = if is_whole { asked.min(octets.saturating_add(SLACK)) } else { octets };
        self.proven = true;
        self.unproven = 0;
        self.forget_at = None;
        self.confirmed = now;
        let Some(search) = &mut self.search else { return };
        let before = search.passes.replace(octets.max(search.passes.unwrap_or(0)));
        if octets > self.used || search.fails <= self.used || self.used.saturating_sub(octets) < STEP {
            self.used = octets;
        }
        // A question that was rounded down to what is known already teaches nothing.
        let has_stalled = before.is_some_and(|before| octets <= before);
        // What is used still passes: whether more does is another question.
        let is_settled = search.fails > self.ceiling && search.why != Why::New && search.why != Why::Growth;
        if is_settled {
            if search.why == Why::Hint || search.hint.is_some() {
                self.deaf_until = Some(now.after(self.deafness.take()));
            }
            return self.finish(now);
        }
        search.candidate = if has_stalled { None } else { between(octets, search.fails) };
        if search.candidate.is_none() {
            self.finish(now);
        }
    }

    fn was_lost(&mut self, now: Instant, octets: u16) {
        let Some(search) = &mut self.search else { return };
        search.fails = search.fails.min(octets);
        if search.fails <= self.used && matches!(search.why, Why::Hint | Why::Silence | Why::Confirmation) {
            self.deafness.reset();
            self.patience.reset();
            self.raise.reset();
            self.raise_at = None;
        }
        let known = search.passes;
        let is_new = |candidate: &u16| *candidate < search.fails && known.is_none_or(|passes| *candidate > passes);
        let floor = self.floor;
        search.candidate = match (search.hint.take().map(|hint| hint.max(floor)).filter(is_new), known) {
            (Some(hint), _) => Some(hint),
            // What was lost the last time may pass by now; if not, the rest is known.
            (None, Some(_)) if search.why == Why::Growth => match self.lost.take().filter(is_new) {
                Some(lost) => Some(lost),
                None => known.and_then(|passes| between(passes, search.fails)),
            },
            (None, Some(passes)) => between(passes, search.fails),
            (None, None) => Some(BASE.max(floor)).filter(is_new).or(Some(floor).filter(is_new)),
        };
        if search.candidate.is_some() {
            return;
        }
        match (known, self.proven) {
            (Some(_), _) => self.finish(now),
            // Long questions used to be answered: what carries none at all has its worst day.
            (None, true) => {
                self.used = floor;
                self.finish(now);
            }
            (None, false) => {
                self.unproven = self.unproven.saturating_add(1);
                self.go_blind(now, if self.unproven < MOST_UNPROVEN { RAISE.0 } else { FORGETTING });
            }
        }
    }

    fn finish(&mut self, now: Instant) {
        let Some(search) = self.search.take() else { return };
        match search.why {
            _ if search.fails <= self.ceiling => self.lost = Some(search.fails),
            Why::New | Why::Growth => {
                self.lost = None;
                self.raise.reset();
            }
            Why::Hint | Why::Silence | Why::Confirmation => {}
        }
        self.raise_at = match self.raise_at {
            _ if self.lost.is_none() => None,
            Some(at) if search.why != Why::Growth && at > now => Some(at),
            _ => Some(now.after(self.raise.take())),
        };
    }

    /// The gateway answers no such question: hints are all there is for a while.
    fn go_blind(&mut self, now: Instant, time: Duration) {
        let hint = self.search.take().and_then(|search| search.hint);
        self.raise_at = None;
        self.blind_until = Some(now.after(time));
        if let Some(hint) = hint {
            self.handle_hint(now, hint);
        }
    }
}

/// The next length to ask about between one that arrived and one that was lost, if there is any worth it.
fn between(passes: u16, fails: u16) -> Option<u16> {
    let gap = fails.saturating_sub(passes);
    (gap > STEP).then(|| passes.saturating_add(gap / 2))
}

#[cfg(test)]
mod tests;
