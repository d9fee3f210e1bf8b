//! One outbound SA: plain packets into ESP packets, in place (RFC 4303 §3.3).
//! It knows keys and sequence numbers; it knows no selector and no path.

use crate::{
    crypto::{
        carried::CarriedKeys,
        cipher::{BadKey, ProtectionKeys, Sealer, Text},
        random::IvGenerator,
    },
    esp::{
        batch::{Batch, Lane, Packet, State},
        counters::DropReason,
        handover::{OutboundSaState, Unrestorable},
        layout::{Associated, HEADER, Layout, recycle},
        lifetime::{SequenceUse, Usage},
        sequence::{Sequence, Ticket},
    },
    sa::{command::LifetimeMark, lifetime::Lifetime, spi::OutboundSpi, suite::EspSuite},
    time::Instant,
};

/// Octets of the largest ESP packet: what one UDP datagram over IPv4 holds.
const MAX_ESP: usize = 65507;

/// One outbound SA.
#[derive(Debug)]
pub struct OutboundSa {
    spi: OutboundSpi,
    suite: EspSuite,
    /// What the sealer was made of, for another process that goes on with this SA.
    keys: ProtectionKeys,
    layout: Layout,
    sealer: Sealer,
    sequence: Sequence,
    usage: Usage,
    jobs: Vec<Job>,
    texts: Vec<Text<'static>>,
}

/// A packet that has its number. The ticket stays with it until it is sealed.
#[derive(Debug)]
struct Job {
    _ticket: Ticket,
    associated: Associated,
}

/// What a call sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealedCount {
    /// Packets, dummies included.
    pub packets: u64,
    /// Octets of their inner packets.
    pub octets: u64,
    /// Dummies.
    pub dummies: u64,
}

impl OutboundSa {
    /// A new SA, from `now` on.
    pub fn new(
        now: Instant,
        spi: OutboundSpi,
        suite: EspSuite,
        keys: &ProtectionKeys,
        lifetime: Lifetime,
    ) -> Result<Self, BadKey> {
        Ok(Self {
            spi,
            suite,
            sealer: Sealer::new(suite.protection, keys)?,
            keys: keys.duplicate(),
            layout: Layout::of(suite.protection),
            sequence: Sequence::new(suite.esn),
            usage: Usage::new(now, lifetime, suite.protection),
            jobs: Vec::new(),
            texts: Vec::new(),
        })
    }

    /// The SA as values, for another process that goes on with it. `None` when its numbers have to be replaced first.
    pub fn export(&self) -> Option<OutboundSaState> {
        let Self { spi, suite, keys, sequence, usage, layout: _, sealer: _, jobs: _, texts: _ } = self;
        Sequence::continued(sequence.used(), suite.esn)?;
        let keys = CarriedKeys::copy_of(keys);
        Some(OutboundSaState { spi: *spi, suite: *suite, keys, used: sequence.used(), usage: usage.clone() })
    }

    /// The SA again, in the process that goes on with it.
    pub fn restore(state: OutboundSaState) -> Result<Self, Unrestorable> {
        let OutboundSaState { spi, suite, keys, used, usage } = state;
        let keys = keys.into_keys();
        Ok(Self {
            spi,
            suite,
            layout: Layout::of(suite.protection),
            sealer: Sealer::new(suite.protection, &keys).map_err(|BadKey| Unrestorable("a key of another length"))?,
            keys,
            sequence: Sequence::continued(used, suite.esn).ok_or(Unrestorable("no sequence numbers left"))?,
            usage,
            jobs: Vec::new(),
            texts: Vec::new(),
        })
    }

    /// What the peer finds it by.
    pub const fn spi(&self) -> OutboundSpi {
        self.spi
    }

    /// A lifetime mark that was reached; each is told once.
    pub fn take_mark(&mut self, now: Instant) -> Option<LifetimeMark> {
        let sequence = if self.sequence.is_exhausted() {
            SequenceUse::Exhausted
        } else if self.sequence.is_running_out() {
            SequenceUse::RunningOut
        } else {
            SequenceUse::Plenty
        };
        self.usage.take_mark(now, sequence)
    }

    /// Seals all packets of a batch that wait for this lane, in place. Each is then either an ESP packet or dropped for a reason.
    pub fn seal(&mut self, now: Instant, batch: &mut Batch, lane: Lane, ivs: &mut IvGenerator) -> SealedCount {
        let mut count = SealedCount::default();
        self.jobs.clear();
        self.jobs.reserve(batch.most());
        for (packet, window) in batch.windows() {
            let State::ToSeal { lane: its, next_header } = packet.state else { continue };
            if its != lane {
                continue;
            }
            let inner_len = packet.data.len();
            match self.frame(now, packet, window, next_header, ivs) {
                Ok(job) => {
                    packet.state = State::Framed { lane };
                    self.jobs.push(job);
                    count.add(inner_len, next_header);
                }
                Err(reason) => packet.drop_for(reason),
            }
        }
        let sealed = self.seal_framed(batch, lane);
        for packet in batch.packets_mut().filter(|packet| packet.state == (State::Framed { lane })) {
            packet.state = if sealed { State::Sealed } else { State::Dropped(DropReason::NotSealed) };
        }
        if sealed { count } else { SealedCount::default() }
    }

    fn frame(
        &mut self,
        now: Instant,
        packet: &mut Packet,
        window: &mut [u8],
        next_header: u8,
        ivs: &mut IvGenerator,
    ) -> Result<Job, DropReason> {
        let inner = packet.data.clone();
        let text_len = self.layout.text_len(inner.len()).ok_or(DropReason::TooLong)?;
        let esp_len = self.layout.sealed_len(inner.len()).filter(|len| *len <= MAX_ESP).ok_or(DropReason::TooLong)?;
        let before = HEADER.saturating_add(self.layout.iv_len());
        let start = inner.start.checked_sub(before).ok_or(DropReason::TooLong)?;
        let data = start..start.checked_add(esp_len).ok_or(DropReason::TooLong)?;
        let esp = window.get_mut(data.clone()).ok_or(DropReason::TooLong)?;
        let (head, text) = esp.split_at_mut_checked(before).ok_or(DropReason::TooLong)?;
        let (header, iv) = head.split_first_chunk_mut::<HEADER>().ok_or(DropReason::TooLong)?;
        let trailer = text.get_mut(inner.len()..text_len).ok_or(DropReason::TooLong)?;
        if self.usage.has_ended(now) {
            return Err(DropReason::LifetimeEnded);
        }
        let ticket = self.sequence.issue().map_err(|_| DropReason::SequenceExhausted)?;
        self.usage.carry(now, inner.len());
        let number = ticket.value().to_be_bytes();
        let [_, _, _, _, low @ ..] = number;
        header.copy_from_slice([self.spi.to_octets(), low].as_flattened());
        if self.layout.is_aead() {
            iv.copy_from_slice(&number); // RFC 4106 §3.1, RFC 7634 §2: unique under a key, and so may be the sequence number
        } else {
            ivs.next(iv); // RFC 3602 §3: unpredictable
        }
        write_trailer(trailer, next_header);
        packet.data = data;
        Ok(Job {
            associated: self.layout.associated(self.spi.to_octets(), ticket.value(), self.suite.esn),
            _ticket: ticket,
        })
    }

    fn seal_framed(&mut self, batch: &mut Batch, lane: Lane) -> bool {
        let mut texts = recycle(std::mem::take(&mut self.texts));
        texts.reserve(batch.most());
        let mut jobs = self.jobs.iter();
        for (packet, window) in batch.windows() {
            if packet.state != (State::Framed { lane }) {
                continue;
            }
            let esp = window.get_mut(packet.data.clone()).unwrap_or_default();
            texts.extend(jobs.next().and_then(|job| self.layout.carve(esp, &job.associated)));
        }
        let sealed = texts.len() == self.jobs.len() && self.sealer.seal_batch(&mut texts).is_ok();
        self.texts = recycle(texts);
        sealed
    }

    #[cfg(test)]
    pub(in crate::esp) fn start_behind(&mut self, used: u64) {
        self.sequence = Sequence::starting_behind(used, self.suite.esn);
    }
}

impl SealedCount {
    fn add(&mut self, inner_len: usize, next_header: u8) {
        self.packets = self.packets.saturating_add(1);
        if next_header == crate::esp::layout::DUMMY {
            self.dummies = self.dummies.saturating_add(1);
        } else {
            self.octets = self.octets.saturating_add(u64::try_from(inner_len).unwrap_or(u64::MAX));
        }
    }
}

// RFC 4303 §2.4: padding is 1, 2, 3, ...
fn write_trailer(trailer: &mut [u8], next_header: u8) {
    let Some((fields, padding)) = trailer.split_last_chunk_mut::<2>().map(|(padding, fields)| (fields, padding)) else {
        return;
    };
    padding.iter_mut().zip(1..=u8::MAX).for_each(|(octet, value)| *octet = value);
    *fields = [u8::try_from(padding.len()).unwrap_or(u8::MAX), next_header];
}
