//! An ISAKMP SA of the gateway: its protected messages, what it repeats, and its life.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::crypto::random::Random;
use crate::sim::Datagram;
use crate::time::Instant;

use super::impair::Impairment;
use super::keys::Keys;
use super::octets::{
    FLAG_ENCRYPTION, Header, Payload, delete_payload, exchange, find_all, payload, read_chain, write_chain,
};
use super::phase_1::is_initial_contact;
use super::quick::Quick;
use super::transaction::Transaction;
use super::{Gateway, REPEAT, Received, TRIES, Unique};

/// How long a replaced SA stays.
const GRACE: Duration = Duration::from_secs(10);

pub(super) struct Sa {
    pub(super) cky_i: [u8; 8],
    pub(super) cky_r: [u8; 8],
    pub(super) keys: Keys,
    last_block: Vec<u8>,
    pub(super) peer: SocketAddr,
    /// Its messages go from 4500, behind a marker.
    pub(super) marked: bool,
    pub(super) nat: bool,
    pub(super) identity: Vec<u8>,
    pub(super) fragments: bool,
    pub(super) dpd: bool,
    pub(super) xauth: XauthState,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) exchanges: BTreeMap<u32, Exchange>,
    pub(super) pending: Vec<Pending>,
    pub(super) next_probe: u32,
    pub(super) awaited_probe: Option<u32>,
    pub(super) expected_probe: Option<u32>,
    pub(super) established: Instant,
    pub(super) last_seen: Instant,
    pub(super) expires: Option<Instant>,
    /// A newer one took over; deleted then.
    pub(super) ends: Option<Instant>,
}

/// How far the client is with XAUTH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum XauthState {
    None,
    Wanted,
    Passed,
    Failed,
}

/// An exchange behind phase 1, under its message ID.
pub(super) struct Exchange {
    pub(super) iv: Vec<u8>,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    Fresh,
    Quick(Box<Quick>),
    Transaction(Transaction),
    Over,
}

/// What is sent again until an answer comes.
pub(super) struct Pending {
    pub(super) id: u32,
    pub(super) messages: Vec<Vec<u8>>,
    pub(super) next: Instant,
    pub(super) tries: u32,
    /// A sign of life: without an answer the SA is dead.
    pub(super) vital: bool,
}

impl Sa {
    pub(super) fn new(header: Header, keys: Keys, last_block: Vec<u8>, peer: SocketAddr, now: Instant) -> Self {
        Self {
            cky_i: header.cky_i,
            cky_r: header.cky_r,
            keys,
            last_block,
            peer,
            marked: false,
            nat: false,
            identity: Vec::new(),
            fragments: false,
            dpd: false,
            xauth: XauthState::None,
            addresses: Vec::new(),
            exchanges: BTreeMap::new(),
            pending: Vec::new(),
            next_probe: 0,
            awaited_probe: None,
            expected_probe: None,
            established: now,
            last_seen: now,
            expires: None,
            ends: None,
        }
    }

    pub(super) fn cookies(&self) -> Vec<u8> {
        [self.cky_i, self.cky_r].concat()
    }

    pub(super) fn exchange(&mut self, id: u32) -> &mut Exchange {
        let iv = self.keys.exchange_iv(&self.last_block, id);
        self.exchanges.entry(id).or_insert(Exchange { iv, stage: Stage::Fresh })
    }

    /// The next message of an exchange, encrypted: its IV follows from the one before.
    pub(super) fn seal(&mut self, kind: u8, flags: u8, id: u32, payloads: &[Payload]) -> Vec<u8> {
        let header =
            Header { cky_i: self.cky_i, cky_r: self.cky_r, exchange: kind, flags: flags | FLAG_ENCRYPTION, id };
        let keys = self.keys.clone();
        let text = keys.encrypt(&mut self.exchange(id).iv, &write_chain(payloads));
        header.write(payloads.first().map_or(0, |(kind, _)| *kind), &text)
    }

    /// The same with HASH(1) before it.
    pub(super) fn seal_hashed(&mut self, kind: u8, flags: u8, id: u32, payloads: &[Payload]) -> Vec<u8> {
        let hash = self.keys.hash_1(id, &write_chain(payloads));
        let all: Vec<Payload> = std::iter::once((payload::HASH, hash)).chain(payloads.iter().cloned()).collect();
        self.seal(kind, flags, id, &all)
    }

    /// Payloads of a protected message whose hash is what `expected` makes of the octets behind it. Only then the IV goes on.
    pub(super) fn open(
        &mut self,
        received: Received<'_>,
        expected: impl Fn(&Keys, &[u8]) -> Vec<u8>,
    ) -> Option<Vec<Payload>> {
        if !received.header.is_encrypted() {
            return None;
        }
        let keys = self.keys.clone();
        let known = self.exchanges.contains_key(&received.header.id);
        let opened = self.exchange(received.header.id).iv.clone();
        let opened = keys.decrypt(&opened, received.body()).and_then(|text| {
            let (payloads, end) = read_chain(received.first, &text)?;
            let (kind, hash) = payloads.first()?;
            let genuine = *kind == payload::HASH && *hash == expected(&keys, text.get(4 + hash.len()..end)?);
            genuine.then(|| payloads[1..].to_vec())
        });
        if opened.is_some() {
            self.exchange(received.header.id).iv = keys.last_block(received.body());
        } else if !known {
            self.exchanges.remove(&received.header.id);
        }
        opened
    }

    /// The answer to what was repeated has come.
    pub(super) fn settle(&mut self, id: u32) {
        self.pending.retain(|pending| pending.id != id);
    }
}

impl Gateway {
    /// A message ID that is random and not zero.
    pub(super) fn message_id(&mut self) -> u32 {
        u32::from_be_bytes(self.random_octets()).max(1)
    }

    /// Sends messages of an SA where it lives now.
    pub(super) fn send_on(&mut self, sa: &Sa, messages: &[Vec<u8>]) {
        let before = self.outbox.len();
        self.send_all(sa.peer, sa.marked, messages);
        if let Some(last) = self.outbox.get(before).cloned() {
            self.last_protected = Some(Datagram { destination: sa.peer, ..last });
        }
    }

    /// Sends a message, in fragments if it is long.
    pub(super) fn send_sealed(&mut self, sa: &Sa, message: Vec<u8>) -> Vec<Vec<u8>> {
        let messages = self.fragmented(sa.fragments, message);
        self.send_on(sa, &messages);
        messages
    }

    /// Sends a message, and again until `settle`.
    pub(super) fn send_until_settled(&mut self, now: Instant, sa: &mut Sa, id: u32, message: Vec<u8>) {
        let messages = self.send_sealed(sa, message);
        sa.settle(id);
        sa.pending.push(Pending { id, messages, next: now.after(REPEAT), tries: 0, vital: false });
    }

    /// Sends payloads in an INFORMATIONAL of their own.
    pub(super) fn inform(&mut self, sa: &mut Sa, payloads: &[Payload]) {
        let id = self.message_id();
        let message = sa.seal_hashed(exchange::INFORMATIONAL, 0, id, payloads);
        self.send_sealed(sa, message);
    }

    /// An SA has been authenticated.
    pub(super) fn established(&mut self, now: Instant, mut sa: Sa, extra: &[Payload]) {
        self.counts.authenticated += 1;
        let contact = is_initial_contact(extra);
        self.make_room(now, &sa, contact);
        if self.impaired(&Impairment::UninvitedXauth) && sa.xauth == XauthState::None {
            sa.xauth = XauthState::Wanted;
        }
        if sa.xauth == XauthState::Wanted {
            self.ask_for_name(now, &mut sa);
        } else {
            self.authorized(now, &mut sa);
        }
        self.sas.insert(sa.cky_r, sa);
    }

    /// Does with older SAs of the same client what is to be done.
    pub(super) fn make_room(&mut self, now: Instant, new: &Sa, initial_contact: bool) {
        self.counts.initial_contacts += u64::from(initial_contact);
        let others: Vec<[u8; 8]> = self
            .sas
            .values()
            .filter(|sa| sa.identity == new.identity && sa.cky_r != new.cky_r && sa.ends.is_none())
            .map(|sa| sa.cky_r)
            .collect();
        for name in others {
            let Some(mut old) = self.sas.remove(&name) else { continue };
            if initial_contact {
                self.children.retain(|child| child.owner != name);
                continue;
            }
            match self.settings.unique {
                Unique::Replace | Unique::Never if old.peer == new.peer => {
                    for child in self.children.iter_mut().filter(|child| child.owner == name) {
                        child.owner = new.cky_r;
                    }
                    if self.settings.unique == Unique::Replace {
                        old.ends = Some(now.after(GRACE));
                    }
                }
                Unique::Replace => {
                    self.delete_all(&mut old);
                    continue;
                }
                Unique::Never | Unique::Independent => {}
            }
            self.sas.insert(name, old);
        }
    }

    /// Says that an SA and its children are deleted, and forgets the children.
    pub(super) fn delete_all(&mut self, sa: &mut Sa) {
        if self.settings.unique != Unique::Independent {
            for spi in self.take_children(sa.cky_r) {
                self.inform(sa, &[delete_payload(3, &[&spi.to_be_bytes()])]);
            }
        }
        let cookies = sa.cookies();
        self.inform(sa, &[delete_payload(1, &[&cookies])]);
    }

    /// Forgets the children of an SA; gives the SPIs that they received on.
    pub(super) fn take_children(&mut self, owner: [u8; 8]) -> Vec<u32> {
        let (gone, kept) = std::mem::take(&mut self.children).into_iter().partition(|child| child.owner == owner);
        self.children = kept;
        let gone: Vec<super::esp::Child> = gone;
        gone.iter().map(|child| child.pair.inbound()).collect()
    }

    pub(super) fn next_of(&self, sa: &Sa) -> Option<Instant> {
        let repeats = sa.pending.iter().map(|pending| pending.next);
        let probe = self.settings.dpd.filter(|_| sa.dpd && sa.awaited_probe.is_none());
        let probe = probe.map(|dpd| sa.last_seen.after(dpd));
        let planned = self.planned(sa).map(|(at, _)| at);
        repeats.chain(probe).chain(planned).chain(sa.expires).chain(sa.ends).min()
    }

    /// Returns whether the SA lives on.
    pub(super) fn tick(&mut self, now: Instant, sa: &mut Sa) -> bool {
        if sa.ends.is_some_and(|at| at <= now) || sa.expires.is_some_and(|at| at <= now) {
            self.delete_all(sa);
            return false;
        }
        let (mut due, mut numbers) = (Vec::new(), Vec::new());
        for pending in sa.pending.iter_mut().filter(|pending| pending.next <= now) {
            pending.tries += 1;
            pending.next = now.after(REPEAT);
            if !pending.vital {
                due.push(pending.messages.clone());
            } else if let Some(number) = sa.awaited_probe {
                numbers.push(number);
            }
        }
        // RFC 3706 §5.5: the same number, in a message of its own.
        for number in numbers {
            self.ask_with(sa, number);
        }
        for messages in due {
            self.send_on(sa, &messages);
        }
        if sa.pending.iter().any(|pending| pending.vital && pending.tries > TRIES) {
            self.children.retain(|child| child.owner != sa.cky_r);
            return false;
        }
        sa.pending.retain(|pending| pending.tries <= TRIES);
        if let Some((at, impairment)) = self.planned(sa)
            && at <= now
        {
            self.settings.impairments.retain(|known| *known != impairment);
            if let Impairment::After(_, deed) = impairment {
                return self.carry_out(now, sa, deed);
            }
        }
        if let Some(dpd) = self.settings.dpd
            && sa.dpd
            && sa.awaited_probe.is_none()
            && sa.last_seen.after(dpd) <= now
        {
            self.probe(now, sa);
        }
        true
    }

    fn planned(&self, sa: &Sa) -> Option<(Instant, Impairment)> {
        let moments = self.settings.impairments.iter().filter_map(|impairment| {
            let (delay, _) = impairment.moment()?;
            Some((sa.established.after(delay), impairment.clone()))
        });
        moments.min_by_key(|(at, _)| *at)
    }

    /// A protected message. Returns whether the SA lives on.
    pub(super) fn handle_on_sa(&mut self, now: Instant, received: Received<'_>, sa: &mut Sa) -> bool {
        let id = received.header.id;
        let over = sa.exchanges.get(&id).is_some_and(|exchange| matches!(exchange.stage, Stage::Over));
        if sa.cky_i != received.header.cky_i || id == 0 || over {
            return true;
        }
        match received.header.exchange {
            exchange::QUICK => {
                self.handle_quick(now, received, sa);
                true
            }
            exchange::TRANSACTION => {
                let hash = |keys: &Keys, rest: &[u8]| keys.hash_1(id, rest);
                let Some(payloads) = sa.open(received, hash) else {
                    self.counts.forged += 1;
                    return true;
                };
                sa.heard(now, received);
                self.handle_transaction(now, received, sa, &payloads)
            }
            exchange::INFORMATIONAL => {
                let hash = |keys: &Keys, rest: &[u8]| keys.hash_1(id, rest);
                let Some(payloads) = sa.open(received, hash) else {
                    self.counts.forged += 1;
                    return true;
                };
                sa.heard(now, received);
                sa.exchange(id).stage = Stage::Over;
                if find_all(&payloads, payload::NOTIFY).next().is_some() && is_initial_contact(&payloads) {
                    self.make_room(now, sa, true);
                }
                self.handle_informational(received, sa, &payloads)
            }
            _ => true,
        }
    }
}

impl Sa {
    /// An authentic message came, from there.
    pub(super) fn heard(&mut self, now: Instant, received: Received<'_>) {
        self.last_seen = now;
        self.peer = received.from;
        if self.awaited_probe.take().is_some() {
            self.pending.retain(|pending| !pending.vital);
        }
    }
}

impl Gateway {
    /// Random octets of any number.
    pub(super) fn random_vec(&mut self, length: usize) -> Vec<u8> {
        let mut octets = vec![0; length];
        self.random.fill(&mut octets);
        octets
    }
}
