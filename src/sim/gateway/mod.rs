//! A gateway written from the RFCs alone: it shares primitives with vpnd, but no codec, no key schedule, no state and no packet code.
//! It speaks raw UDP datagrams, so that it also checks framing and encapsulation, and can be told to misbehave.

pub mod impair;
pub mod octets;

mod auth;
mod esp;
mod mobike;
mod rekey;
mod sa_init;
mod secrets;
mod suites;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::crypto::random::{Random, SeededRandom};
use crate::sa::selector::Selector;
use crate::sa::suite::{Group, IkeSuite, Protection};
use crate::sim::{Datagram, Deed, Peer, Standing};
use crate::time::Instant;

use impair::Impairment;
use octets::{FLAG_RESPONSE, Message, Payload, exchange, notifies, notify, payload};
use secrets::{IkeSecrets, Opened};

/// How the gateway is set up.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Its outer address.
    pub address: IpAddr,
    /// ID type and body of IDr.
    pub identity: (u8, Vec<u8>),
    /// The key.
    pub psk: Vec<u8>,
    /// IKE suites in its own order of preference.
    pub ike_suites: Vec<IkeSuite>,
    /// ESP protections with ESN or without, in its own order.
    pub esp_suites: Vec<(Protection, bool)>,
    /// The subnets behind it; TSr is narrowed to them.
    pub subnets: Vec<Selector>,
    /// What the pool gives, when asked.
    pub pool: (Option<Ipv4Addr>, Option<Ipv6Addr>),
    /// Whether a cookie is asked for first.
    pub cookie: bool,
    /// Whether and how small its messages are fragmented.
    pub fragment: Option<usize>,
    /// How often it asks for a sign of life.
    pub dpd: Option<Duration>,
    /// The group of every key exchange for a child, if it wants one.
    pub pfs: Option<Group>,
    /// After how long it rekeys a child by itself.
    pub child_rekey: Option<Duration>,
    /// After how long it rekeys an IKE SA by itself.
    pub ike_rekey: Option<Duration>,
    /// Within what time the client has to authenticate again (RFC 4478); then the SA is deleted.
    pub auth_lifetime: Option<Duration>,
    /// A client has one SA: so long after it made another, the older ones are deleted. `None`: it may have several.
    pub replaces: Option<Duration>,
    /// A second SA of a client is sent with only when something came in it: its own answer may be lost or late.
    pub patient: bool,
    /// First octets of its nonces in CREATE_CHILD_SA: when it asks, and when it answers.
    pub nonces: (Option<u8>, Option<u8>),
    /// Whether it speaks MOBIKE.
    pub mobike: bool,
    /// Whether it checks first that a client that moved gets what is sent to its new address.
    pub return_routability: bool,
    /// Its addresses besides the first.
    pub further: Vec<IpAddr>,
    /// Those of all its addresses that are dead.
    pub dead: Vec<IpAddr>,
    /// What it does wrong.
    pub impairments: Vec<Impairment>,
}

/// The gateway.
pub struct Gateway {
    settings: GatewaySettings,
    random: SeededRandom,
    cookie_secret: [u8; 16],
    replies: BTreeMap<Vec<u8>, Vec<u8>>,
    half_open: BTreeMap<[u8; 8], HalfOpen>,
    sas: BTreeMap<[u8; 8], Sa>,
    outbox: Vec<Datagram>,
    /// Where what is said next comes from, if not from the first address.
    here: Option<IpAddr>,
    counts: Counts,
}

/// What the gateway saw, for invariants and assertions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// IKE SAs that were authenticated.
    pub authenticated: u64,
    /// ESP packets that were authentic and fresh.
    pub esp_received: u64,
    /// ESP packets that were not authentic, or had a sequence number seen before.
    pub esp_refused: u64,
    /// Requests that were answered again.
    pub repeated: u64,
    /// DELETEs of an IKE SA that were received.
    pub deletes: u64,
    /// Answers to our own requests.
    pub answers: u64,
    /// AUTHENTICATION_FAILED that the client told us.
    pub auth_failed_notices: u64,
    /// Child SAs that took the place of another because the client asked.
    pub children_by_client: u64,
    /// Because the gateway asked.
    pub children_by_gateway: u64,
    /// IKE SAs that took the place of another because the client asked.
    pub ikes_by_client: u64,
    /// Because the gateway asked.
    pub ikes_by_gateway: u64,
    /// Both made one of the same kind at the same time.
    pub collisions: u64,
    /// TEMPORARY_FAILURE, in either direction.
    pub put_off: u64,
    /// Deletes of child SAs by the client.
    pub child_deletes: u64,
    /// UPDATE_SA_ADDRESSES that were followed.
    pub updates: u64,
    /// The client returned COOKIE2.
    pub routes_proven: u64,
    /// INITIAL_CONTACTs that were received.
    pub initial_contacts: u64,
}

struct HalfOpen {
    spi_i: [u8; 8],
    nonces: (Vec<u8>, Vec<u8>),
    request: Vec<u8>,
    response: Vec<u8>,
    secrets: IkeSecrets,
    fragments: bool,
    pieces: BTreeMap<u16, (u16, u8, Vec<u8>)>,
}

struct Sa {
    spi_i: [u8; 8],
    spi_r: [u8; 8],
    /// The gateway asked for it: it is the initiator.
    ours: bool,
    secrets: IkeSecrets,
    peer: SocketAddr,
    mobility: mobike::Mobility,
    /// In the order in which they were made.
    children: Vec<esp::Child>,
    /// Replaced, or redundant: whoever has to will delete it.
    retired: bool,
    /// What was put off, and when it is asked for again.
    again: Option<(Instant, rekey::Wish)>,
    next_request: u32,
    expected_request: u32,
    last_reply: Option<(u32, Vec<Vec<u8>>)>,
    outstanding: Option<Outstanding>,
    established: Instant,
    /// When it is deleted.
    until: Option<Instant>,
    last_seen: Instant,
    closing: bool,
}

struct Outstanding {
    ask: rekey::Ask,
    id: u32,
    datagrams: Vec<Vec<u8>>,
    next: Instant,
    tries: u32,
}

const REPEAT: Duration = Duration::from_secs(2);
const TRIES: u32 = 8;
/// A replaced SA that nobody deletes is forgotten after this silence.
const RETIRED: Duration = Duration::from_secs(120);

impl Peer for Gateway {
    type Settings = GatewaySettings;

    fn new(settings: GatewaySettings, seed: u64) -> Self {
        let mut random = SeededRandom::new(seed);
        let mut cookie_secret = [0; 16];
        random.fill(&mut cookie_secret);
        Self {
            settings,
            random,
            cookie_secret,
            replies: BTreeMap::new(),
            half_open: BTreeMap::new(),
            sas: BTreeMap::new(),
            outbox: Vec::new(),
            here: None,
            counts: Counts::default(),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.sas
            .values()
            .flat_map(|sa| {
                let repeat = sa.outstanding.as_ref().map(|outstanding| outstanding.next);
                let idle = sa.outstanding.is_none();
                let probe = self.settings.dpd.filter(|_| idle).map(|dpd| sa.last_seen.after(dpd));
                let planned = idle.then(|| self.planned(sa)).flatten().map(|(at, _)| at);
                let wish = idle.then(|| self.wish(sa)).flatten().map(|(at, _)| at);
                let gone = sa.children.iter().filter_map(|child| child.gone).min();
                let left = sa.retired.then(|| sa.last_seen.after(RETIRED));
                let until = sa.until.filter(|_| idle && !sa.closing);
                [repeat, probe.filter(|_| !sa.retired), planned, wish, gone, left, until]
            })
            .flatten()
            .min()
    }

    fn handle_timeout(&mut self, now: Instant) {
        let names: Vec<[u8; 8]> = self.sas.keys().copied().collect();
        for name in names {
            let Some(mut sa) = self.sas.remove(&name) else { continue };
            if self.tick(now, &mut sa) {
                self.sas.insert(name, sa);
            }
        }
    }

    fn handle_datagram(&mut self, now: Instant, datagram: &Datagram) -> Option<Vec<u8>> {
        let to = datagram.destination.ip();
        let is_ours = to == self.settings.address || self.settings.further.contains(&to);
        if self.impaired(&Impairment::Silent) || !is_ours || self.settings.dead.contains(&to) {
            return None;
        }
        self.here = Some(to);
        let octets = datagram.octets.as_slice();
        let marked = match datagram.destination.port() {
            500 => false,
            4500 if octets == [0xff] => return None,
            4500 if octets.get(..4)? != [0; 4] => return self.handle_esp(now, datagram),
            4500 => true,
            _ => return None,
        };
        let message_octets = if marked { octets.get(4..)? } else { octets };
        let message = Message::read(message_octets)?;
        let before = self.outbox.len();
        if message.exchange == exchange::SA_INIT {
            self.handle_sa_init(datagram.source, message_octets, &message);
        } else {
            self.handle_protected(now, datagram.source, message_octets, &message);
        }
        for reply in self.outbox.iter_mut().skip(before) {
            if !marked && reply.source.port() == 500 {
                continue;
            }
            if marked && reply.source.port() == 500 {
                reply.source.set_port(4500);
                reply.octets.splice(0..0, [0; 4]);
            }
        }
        None
    }

    fn poll_datagram(&mut self) -> Option<Datagram> {
        (!self.outbox.is_empty()).then(|| self.outbox.remove(0))
    }

    fn send_packet(&mut self, packet: &[u8]) -> bool {
        self.send_esp(packet)
    }

    fn authenticated(&self) -> u64 {
        self.counts.authenticated
    }

    fn act(&mut self, now: Instant, deed: Deed) {
        let impairments = &mut self.settings.impairments;
        match deed {
            // RFC 7296 §2.8.1: one whose place another is about to take is not rekeyed once more.
            Deed::RekeyChild if self.sas.values().all(|sa| sa.retired || rekey::newest(sa).is_some()) => {
                self.rekey_child(now);
            }
            Deed::RekeyChild => {}
            Deed::RekeyIke => _ = self.rekey_ike(now),
            Deed::DeleteChild => impairments.push(Impairment::DeleteChildAfter(Duration::ZERO)),
            Deed::DeleteIke => impairments.push(Impairment::DeleteIkeAfter(Duration::ZERO)),
            Deed::ForgetChildren => self.forget_children(),
            Deed::Forget => self.forget(),
            Deed::FallSilent => impairments.push(Impairment::Silent),
            Deed::Listen => impairments.retain(|impairment| *impairment != Impairment::Silent),
            Deed::Move(address) => self.settings.address = address,
            Deed::Calm => impairments.clear(),
        }
    }

    fn standing(&self) -> Standing {
        Standing { ikes: self.sa_count(), children: self.child_count() }
    }
}

impl Gateway {
    /// The settings, to be changed in the middle of a story.
    pub fn settings_mut(&mut self) -> &mut GatewaySettings {
        &mut self.settings
    }

    /// What it saw.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Authenticated IKE SAs that stand.
    pub fn sa_count(&self) -> usize {
        self.sas.len()
    }

    /// Children that stand.
    pub fn child_count(&self) -> usize {
        self.sas.values().flat_map(|sa| &sa.children).filter(|child| child.gone.is_none()).count()
    }

    /// Its children are gone, silently; the IKE SAs stand.
    pub fn forget_children(&mut self) {
        self.sas.values_mut().for_each(|sa| sa.children.clear());
    }

    /// Says under each IKE SA that nothing is received with this SPI (INVALID_SPI).
    pub fn say_invalid_spi(&mut self, now: Instant, spi: u32) {
        let mut sas = std::mem::take(&mut self.sas);
        let said = octets::notify_payload(octets::notify::INVALID_SPI, &spi.to_be_bytes());
        for sa in sas.values_mut() {
            self.request(now, sa, exchange::INFORMATIONAL, std::slice::from_ref(&said));
        }
        self.sas = sas;
    }

    /// What the children that stand receive on, in the order in which they were made.
    pub fn child_spis(&self) -> Vec<u32> {
        let children = self.sas.values().flat_map(|sa| &sa.children).filter(|child| child.gone.is_none());
        children.map(esp::Child::inbound_spi).collect()
    }

    /// A restart without memory: all SAs are gone, silently.
    pub fn forget(&mut self) {
        self.sas.clear();
        self.half_open.clear();
        self.replies.clear();
    }

    /// Returns whether the SA lives on.
    fn tick(&mut self, now: Instant, sa: &mut Sa) -> bool {
        self.here = sa.mobility.here;
        sa.children.retain(|child| child.gone.is_none_or(|gone| gone > now));
        if sa.retired && sa.last_seen.after(RETIRED) <= now {
            return false;
        }
        if let Some(outstanding) = &mut sa.outstanding {
            if outstanding.next <= now {
                outstanding.tries += 1;
                if outstanding.tries > TRIES {
                    return false;
                }
                outstanding.next = now.after(REPEAT);
                for datagram in outstanding.datagrams.clone() {
                    self.send_marked(sa.peer, datagram);
                }
            }
            return true;
        }
        if sa.until.is_some_and(|until| until <= now) && !sa.closing {
            sa.closing = true;
            self.request(now, sa, exchange::INFORMATIONAL, &[(payload::DELETE, vec![1, 0, 0, 0])]);
            return true;
        }
        if let Some((at, impairment)) = self.planned(sa)
            && at <= now
        {
            self.settings.impairments.retain(|known| *known != impairment);
            return self.carry_out(now, sa, impairment);
        }
        if let Some((at, wish)) = self.wish(sa)
            && at <= now
        {
            sa.again = None;
            self.rekey(now, sa, wish);
            return true;
        }
        if let Some(dpd) = self.settings.dpd
            && !sa.retired
            && sa.last_seen.after(dpd) <= now
        {
            self.request(now, sa, exchange::INFORMATIONAL, &[]);
        }
        true
    }

    fn planned(&self, sa: &Sa) -> Option<(Instant, Impairment)> {
        self.settings
            .impairments
            .iter()
            .filter_map(|impairment| impairment.delay().map(|delay| (sa.established.after(delay), impairment.clone())))
            .min_by_key(|(at, _)| *at)
    }

    fn carry_out(&mut self, now: Instant, sa: &mut Sa, impairment: Impairment) -> bool {
        match impairment {
            Impairment::ForgetAfter(_) => return false,
            Impairment::DeleteIkeAfter(_) => {
                sa.closing = true;
                self.request(now, sa, exchange::INFORMATIONAL, &[(payload::DELETE, vec![1, 0, 0, 0])]);
            }
            Impairment::DeleteChildAfter(_) => {
                if let Some(child) = sa.children.pop() {
                    let body = rekey::delete_body(child.inbound_spi());
                    self.request(now, sa, exchange::INFORMATIONAL, &[(payload::DELETE, body)]);
                }
            }
            Impairment::RekeyChildAfter(_) => self.rekey(now, sa, rekey::Wish::Child),
            Impairment::RekeyIkeAfter(_) => self.rekey(now, sa, rekey::Wish::Ike),
            Impairment::RequestAfter(_, exchange, inner) => self.request(now, sa, exchange, &inner),
            Impairment::InClear(_, inner) => {
                let flags = 0;
                let (spi_i, spi_r, id) = (sa.spi_i, sa.spi_r, sa.next_request);
                let message = Message {
                    spi_i,
                    spi_r,
                    exchange: exchange::INFORMATIONAL,
                    flags,
                    id,
                    payloads: inner,
                    inner: None,
                };
                self.send_marked(sa.peer, message.write());
            }
            _ => {}
        }
        true
    }

    fn request(&mut self, now: Instant, sa: &mut Sa, exchange: u8, inner: &[Payload]) {
        self.ask(now, sa, exchange, inner, rekey::Ask::Plain);
    }

    fn ask(&mut self, now: Instant, sa: &mut Sa, exchange: u8, inner: &[Payload], ask: rekey::Ask) {
        let id = sa.next_request;
        sa.next_request += 1;
        let message = Message {
            spi_i: sa.spi_i,
            spi_r: sa.spi_r,
            exchange,
            flags: if sa.ours { octets::FLAG_INITIATOR } else { 0 },
            id,
            payloads: Vec::new(),
            inner: None,
        };
        let datagrams = vec![sa.secrets.seal(&message, inner, &mut self.random)];
        for datagram in &datagrams {
            self.send_marked(sa.peer, datagram.clone());
        }
        sa.outstanding = Some(Outstanding { ask, id, datagrams, next: now.after(REPEAT), tries: 0 });
    }

    fn send_marked(&mut self, to: SocketAddr, message: Vec<u8>) {
        self.send(4500, to, [vec![0; 4], message].concat());
    }

    fn send(&mut self, port: u16, destination: SocketAddr, octets: Vec<u8>) {
        let source = self.here.unwrap_or(self.settings.address);
        if !self.settings.dead.contains(&source) {
            self.outbox.push(Datagram { source: (source, port).into(), destination, octets, whole: false });
        }
    }

    fn impaired(&self, impairment: &Impairment) -> bool {
        self.settings.impairments.contains(impairment)
    }

    fn handle_protected(&mut self, now: Instant, source: SocketAddr, octets: &[u8], message: &Message) {
        if message.exchange == exchange::AUTH
            && !message.is_response()
            && self.half_open.contains_key(&message.spi_r)
            && !self.sas.contains_key(&message.spi_r)
        {
            self.handle_auth(now, source, octets, message);
            return;
        }
        // RFC 7296 §2.2: without the flag, the sender is not the one who asked for the SA.
        let name = if message.flags & octets::FLAG_INITIATOR == 0 { message.spi_i } else { message.spi_r };
        let Some(mut sa) = self.sas.remove(&name) else { return };
        let ours = (sa.spi_i, sa.spi_r) == (message.spi_i, message.spi_r);
        let lives = !ours || self.handle_on_sa(now, source, octets, message, &mut sa);
        if lives {
            self.sas.insert(name, sa);
        }
    }

    /// Returns whether the SA lives on.
    fn handle_on_sa(
        &mut self,
        now: Instant,
        source: SocketAddr,
        octets: &[u8],
        message: &Message,
        sa: &mut Sa,
    ) -> bool {
        let Some(opened) = sa.secrets.open(message, octets) else { return true };
        if message.is_response() {
            let answered = sa.outstanding.take_if(|outstanding| outstanding.id == message.id);
            if let (Some(outstanding), Opened::Whole(inner)) = (answered, opened) {
                sa.last_seen = now;
                self.counts.answers += 1;
                return !sa.closing && self.answered(now, sa, outstanding.ask, &inner);
            }
            return true;
        }
        if let Some((id, reply)) = &sa.last_reply
            && *id == message.id
        {
            self.counts.repeated += 1;
            for datagram in reply.clone() {
                self.send_marked(source, datagram);
            }
            return true;
        }
        if message.id != sa.expected_request {
            return true;
        }
        let Opened::Whole(inner) = opened else { return true };
        sa.expected_request += 1;
        sa.last_seen = now;
        if !sa.mobility.is_on {
            sa.peer = source;
        }
        let deletes: Vec<&Payload> = inner.iter().filter(|(kind, _)| *kind == payload::DELETE).collect();
        let closes = deletes.iter().any(|(_, body)| body.first() == Some(&1));
        let failed = notifies(&inner).iter().any(|(kind, _)| *kind == notify::AUTHENTICATION_FAILED);
        let mut reply = Vec::new();
        if message.exchange == exchange::INFORMATIONAL {
            reply.extend(deletes.iter().flat_map(|(_, body)| self.delete_children(now, sa, body)));
            reply.extend(self.answer_mobike(now, sa, source, message, &inner));
        } else {
            reply = self.answer(now, sa, &inner).unwrap_or_else(|notify| vec![notify]);
        }
        let flags = FLAG_RESPONSE | if sa.ours { octets::FLAG_INITIATOR } else { 0 };
        let header = Message { flags, payloads: Vec::new(), inner: None, ..message.clone() };
        let datagrams = vec![sa.secrets.seal(&header, &reply, &mut self.random)];
        for datagram in &datagrams {
            self.send_marked(source, datagram.clone());
        }
        sa.last_reply = Some((message.id, datagrams));
        self.counts.deletes += u64::from(closes);
        self.counts.auth_failed_notices += u64::from(failed);
        if closes && !sa.children.is_empty() {
            self.hand_over(sa);
        }
        !(closes || failed)
    }
}
