//! One inbound SA: ESP packets into plain ones, in place (RFC 4303 §3.4). A packet comes out whole or not at all.
//! It knows keys and the replay window; it knows no selector and no path.

use std::ops::Range;

use crate::{
    crypto::{
        carried::CarriedKeys,
        cipher::{Authentic, BadKey, Forged, Opener, ProtectionKeys, Text},
    },
    esp::{
        batch::{Batch, Lane, State},
        counters::DropReason,
        handover::{InboundSaState, Unrestorable},
        layout::{Associated, HEADER, Layout, Misfit, TRAILER, recycle},
        lifetime::{SequenceUse, Usage},
        replay::{Candidate, ReplayWindow},
    },
    sa::{command::LifetimeMark, lifetime::Lifetime, spi::InboundSpi, suite::EspSuite},
    time::Instant,
};

/// One inbound SA.
#[derive(Debug)]
pub struct InboundSa {
    spi: InboundSpi,
    suite: EspSuite,
    /// What the opener was made of, for another process that goes on with this SA.
    keys: ProtectionKeys,
    layout: Layout,
    opener: Opener,
    window: ReplayWindow,
    usage: Usage,
    jobs: Vec<Job>,
    texts: Vec<Text<'static>>,
    verdicts: Vec<Result<Authentic, Forged>>,
}

#[derive(Debug)]
struct Job {
    candidate: Candidate,
    associated: Associated,
}

/// What a call opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenedCount {
    /// Packets that are authentic and fresh.
    pub authentic: u64,
    /// Those of them whose padding octets are not 1, 2, 3, ...
    pub odd_padding: u64,
}

impl InboundSa {
    /// A new SA, from `now` on; `replay_window` in packets, 0 for none.
    pub fn new(
        now: Instant,
        spi: InboundSpi,
        suite: EspSuite,
        keys: &ProtectionKeys,
        replay_window: u32,
        lifetime: Lifetime,
    ) -> Result<Self, BadKey> {
        Ok(Self {
            spi,
            suite,
            opener: Opener::new(suite.protection, keys)?,
            keys: keys.duplicate(),
            layout: Layout::of(suite.protection),
            window: ReplayWindow::new(replay_window, suite.esn),
            usage: Usage::new(now, lifetime, suite.protection),
            jobs: Vec::new(),
            texts: Vec::new(),
            verdicts: Vec::new(),
        })
    }

    /// The SA as values, for another process that goes on with it.
    pub fn export(&self) -> InboundSaState {
        let Self { spi, suite, keys, window, usage, layout: _, opener: _, jobs: _, texts: _, verdicts: _ } = self;
        let keys = CarriedKeys::copy_of(keys);
        InboundSaState { spi: *spi, suite: *suite, keys, window: window.clone(), usage: usage.clone() }
    }

    /// The SA again, in the process that goes on with it: what was received before is a replay there, too.
    pub fn restore(state: InboundSaState) -> Result<Self, Unrestorable> {
        let InboundSaState { spi, suite, keys, window, usage } = state;
        let keys = keys.into_keys();
        if window.is_extended() != suite.esn {
            return Err(Unrestorable("a replay window of another kind than its SA"));
        }
        Ok(Self {
            spi,
            suite,
            layout: Layout::of(suite.protection),
            opener: Opener::new(suite.protection, &keys).map_err(|BadKey| Unrestorable("a key of another length"))?,
            keys,
            window,
            usage,
            jobs: Vec::new(),
            texts: Vec::new(),
            verdicts: Vec::new(),
        })
    }

    /// What the peer writes in the header.
    pub const fn spi(&self) -> InboundSpi {
        self.spi
    }

    /// A lifetime mark that was reached; each is told once.
    pub fn take_mark(&mut self, now: Instant) -> Option<LifetimeMark> {
        self.usage.take_mark(now, SequenceUse::Plenty)
    }

    /// Opens all packets of a batch that wait for this lane, in place. Each is then either plain, authentic and fresh, or dropped for a reason.
    pub fn open(&mut self, now: Instant, batch: &mut Batch, lane: Lane) -> OpenedCount {
        self.admit(now, batch, lane);
        self.check_icvs(batch, lane);
        self.deliver(now, batch, lane)
    }

    /// RFC 4303 §3.4.3: the sequence number is looked at before the ICV, but nothing is changed by it.
    fn admit(&mut self, now: Instant, batch: &mut Batch, lane: Lane) {
        self.jobs.clear();
        self.jobs.reserve(batch.most());
        for (packet, window) in batch.windows() {
            if packet.state != (State::ToOpen { lane }) {
                continue;
            }
            let esp = window.get(packet.data.clone()).unwrap_or_default();
            match self.candidate(now, esp) {
                Ok(job) => {
                    packet.state = State::Candidate { lane };
                    self.jobs.push(job);
                }
                Err(reason) => packet.drop_for(reason),
            }
        }
    }

    fn candidate(&self, now: Instant, esp: &[u8]) -> Result<Job, DropReason> {
        self.layout.check(esp.len()).map_err(|misfit| match misfit {
            Misfit::TooShort => DropReason::TooShort,
            Misfit::Unaligned => DropReason::Unaligned,
        })?;
        if self.usage.has_ended(now) {
            return Err(DropReason::LifetimeEnded);
        }
        let [_, _, _, _, low @ ..] = *esp.first_chunk::<HEADER>().ok_or(DropReason::TooShort)?;
        let candidate = self.window.check(u32::from_be_bytes(low)).map_err(|_| DropReason::Replayed)?;
        let associated = self.layout.associated(self.spi.to_octets(), candidate.value(), self.suite.esn);
        Ok(Job { candidate, associated })
    }

    fn check_icvs(&mut self, batch: &mut Batch, lane: Lane) {
        let mut texts = recycle(std::mem::take(&mut self.texts));
        texts.reserve(batch.most());
        self.verdicts.reserve(batch.most());
        let mut jobs = self.jobs.iter();
        for (packet, window) in batch.windows() {
            if packet.state != (State::Candidate { lane }) {
                continue;
            }
            let esp = window.get_mut(packet.data.clone()).unwrap_or_default();
            texts.extend(jobs.next().and_then(|job| self.layout.carve(esp, &job.associated)));
        }
        self.verdicts.clear();
        if texts.len() == self.jobs.len() {
            self.opener.open_batch(&mut texts, &mut self.verdicts);
        }
        self.texts = recycle(texts);
    }

    fn deliver(&mut self, now: Instant, batch: &mut Batch, lane: Lane) -> OpenedCount {
        let mut count = OpenedCount::default();
        let mut outcomes = self.jobs.drain(..).zip(self.verdicts.drain(..));
        for (packet, window) in batch.windows() {
            if packet.state != (State::Candidate { lane }) {
                continue;
            }
            packet.drop_for(DropReason::NotAuthentic);
            let Some((job, Ok(authentic))) = outcomes.next() else { continue };
            if self.window.accept(job.candidate, &authentic).is_err() {
                packet.drop_for(DropReason::Replayed);
                continue;
            }
            let esp = window.get(packet.data.clone()).unwrap_or_default();
            let Some(plain) = Plain::read(self.layout, esp, &authentic) else { continue };
            count.authentic = count.authentic.saturating_add(1);
            if plain.padding == Padding::Odd {
                count.odd_padding = count.odd_padding.saturating_add(1);
            }
            self.usage.carry(now, plain.inner.len());
            let base = packet.data.start;
            packet.data = base.saturating_add(plain.inner.start)..base.saturating_add(plain.inner.end);
            packet.state = State::Opened { lane, next_header: plain.next_header };
        }
        count
    }
}

#[derive(PartialEq, Eq)]
enum Padding {
    Default,
    Odd,
}

struct Plain {
    inner: Range<usize>,
    next_header: u8,
    padding: Padding,
}

impl Plain {
    fn read(layout: Layout, esp: &[u8], _: &Authentic) -> Option<Self> {
        let start = HEADER.checked_add(layout.iv_len())?;
        let end = esp.len().checked_sub(layout.overhead())?.checked_add(start)?;
        let (body, [pad_len, next_header]) = esp.get(start..end)?.split_last_chunk::<TRAILER>()?;
        let inner_len = body.len().checked_sub(usize::from(*pad_len))?;
        let padding = body.get(inner_len..)?;
        // RFC 4303 §3.4.4.1 would have odd padding dropped; senders of other padding exist, and the ICV has vouched for it.
        let is_default = padding.iter().copied().eq((1..=u8::MAX).take(padding.len()));
        Some(Self {
            inner: start..start.checked_add(inner_len)?,
            next_header: *next_header,
            padding: if is_default { Padding::Default } else { Padding::Odd },
        })
    }
}
