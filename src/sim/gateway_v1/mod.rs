//! An IKEv1 gateway written from the RFCs alone (2407, 2408, 2409, 3706, 3947, draft-dukes-ike-mode-cfg-02, draft-beaulieu-ike-xauth-02): it shares
//! primitives with vpnd, but no codec, no key schedule, no state and no packet code. It can be told to misbehave.

pub mod impair;
pub mod octets;
pub mod registry;

mod changes;
mod deeds;
mod esp;
mod fragment;
mod informational;
mod keys;
mod phase_1;
mod quick;
mod sa;
mod suites;
mod transaction;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::crypto::random::{Random, SeededRandom};
use crate::sa::selector::Selector;
use crate::sa::suite::{Group, IkeSuite, Protection};
use crate::sim::{Datagram, Deed, Peer, Standing};
use crate::time::Instant;

use impair::Impairment;
use octets::{Attribute, Header, exchange, payload};
use phase_1::Handshake;
use sa::Sa;

/// The words NAT traversal is spoken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatDialect {
    /// RFC 3947.
    Rfc,
    /// draft-ietf-ipsec-nat-t-ike-03.
    Draft03,
    /// draft-ietf-ipsec-nat-t-ike-02, with the line feed of its best-known vendor ID.
    Draft02,
}

/// What becomes of older SAs when the same client comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unique {
    /// From the same address and port: the new SA adopts the children and the old one is deleted soon after. From another: all is deleted at once.
    Replace,
    /// From the same address and port: the new SA adopts the children. In any case the old one stays.
    Never,
    /// The old SA stays, and children depend on no ISAKMP SA.
    Independent,
}

/// How CONNECTED is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// With the message ID of the quick mode (RFC 2408 §3.1).
    SameId,
    /// With an ID of its own (RFC 2409 §5.7).
    OwnId,
}

/// What a client must know to get past XAUTH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XauthAccount {
    /// Its name.
    pub name: Vec<u8>,
    /// Its password.
    pub password: Vec<u8>,
    /// What is said when it is asked for them.
    pub message: Option<Vec<u8>>,
    /// Whether name and password are asked for one after the other.
    pub one_by_one: bool,
}

/// How the gateway is set up.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Its outer address.
    pub address: IpAddr,
    /// ID type and data of IDir.
    pub identity: (u8, Vec<u8>),
    /// The key.
    pub psk: Vec<u8>,
    /// IKE suites in its own order of preference.
    pub ike_suites: Vec<IkeSuite>,
    /// ESP protections with ESN or without, in its own order.
    pub esp_suites: Vec<(Protection, bool)>,
    /// The group of quick modes; they must have it.
    pub pfs: Option<Group>,
    /// The subnets behind it; IDcr must be one of them or lie in one.
    pub subnets: Vec<Selector>,
    /// What the pool gives, when asked.
    pub pool: (Option<Ipv4Addr>, Option<Ipv6Addr>),
    /// What it gives besides.
    pub attributes: Vec<Attribute>,
    /// It gives addresses unasked, by SET.
    pub push: bool,
    /// The client must show name and password.
    pub xauth: Option<XauthAccount>,
    /// How it speaks of NATs.
    pub nat: NatDialect,
    /// Whether and how small its messages are fragmented.
    pub fragment: Option<usize>,
    /// Whether it announces dead peer detection.
    pub announces_dpd: bool,
    /// How often it asks for a sign of life.
    pub dpd: Option<Duration>,
    /// The longest life of an ISAKMP SA that it takes part in; then it deletes it.
    pub ike_lifetime: Option<Duration>,
    /// How often it begins a quick mode for a child.
    pub rekeys: Option<Duration>,
    /// Whether quick modes have the commit bit.
    pub commit: Option<Commit>,
    /// What it does with older SAs of the same client.
    pub unique: Unique,
    /// What it does wrong.
    pub impairments: Vec<Impairment>,
}

/// What the gateway saw, for invariants and assertions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// ISAKMP SAs that were authenticated.
    pub authenticated: u64,
    /// Proofs of clients that were wrong.
    pub auth_failed: u64,
    /// XAUTH that succeeded, and failed.
    pub xauth: (u64, u64),
    /// Quick modes that were completed, begun by the client, and by the gateway.
    pub quick: (u64, u64),
    /// Quick modes that were refused.
    pub quick_refused: u64,
    /// ESP packets that were authentic and fresh.
    pub esp_received: u64,
    /// ESP packets that were for no child, not authentic, or had a sequence number seen before.
    pub esp_refused: u64,
    /// Protected messages that were answered again.
    pub repeated: u64,
    /// DELETEs of an ISAKMP SA, and of children, that were received.
    pub deletes: (u64, u64),
    /// R-U-THEREs that were received.
    pub probes: u64,
    /// R-U-THEREs whose number was not the one that had to come.
    pub odd_probes: u64,
    /// Answers to our own R-U-THEREs.
    pub probe_answers: u64,
    /// Acknowledged SETs.
    pub acknowledged: u64,
    /// INITIAL-CONTACTs that were received.
    pub initial_contacts: u64,
    /// Messages that could not be decrypted into anything, or whose hash was wrong.
    pub forged: u64,
    /// Fragments that were received.
    pub fragments: u64,
}

/// The gateway.
pub struct Gateway {
    settings: GatewaySettings,
    random: SeededRandom,
    handshakes: BTreeMap<[u8; 8], Handshake>,
    sas: BTreeMap<[u8; 8], Sa>,
    children: Vec<esp::Child>,
    replies: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    pieces: BTreeMap<([u8; 8], u16), Pieces>,
    fragments_sent: u16,
    silent_until: Instant,
    outbox: Vec<Datagram>,
    last_protected: Option<Datagram>,
    counts: Counts,
}

/// The fragments of one message by number, and whether each is the last.
type Pieces = BTreeMap<u8, (bool, Vec<u8>)>;

const REPEAT: Duration = Duration::from_secs(2);
const TRIES: u32 = 8;
const MOST_REPLIES: usize = 256;

/// A client's datagram and the message in it.
#[derive(Clone, Copy)]
struct Received<'a> {
    from: SocketAddr,
    /// It came to 4500, behind a non-ESP marker.
    marked: bool,
    octets: &'a [u8],
    header: Header,
    first: u8,
}

impl Received<'_> {
    fn body(&self) -> &[u8] {
        &self.octets[octets::HEADER..]
    }
}

impl Peer for Gateway {
    type Settings = GatewaySettings;

    fn new(settings: GatewaySettings, seed: u64) -> Self {
        Self {
            settings,
            random: SeededRandom::new(seed),
            handshakes: BTreeMap::new(),
            sas: BTreeMap::new(),
            children: Vec::new(),
            replies: BTreeMap::new(),
            pieces: BTreeMap::new(),
            fragments_sent: 0,
            silent_until: Instant::START,
            outbox: Vec::new(),
            last_protected: None,
            counts: Counts::default(),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let handshakes = self.handshakes.values().filter_map(|handshake| handshake.repeat.as_ref().map(|(at, _)| *at));
        let sas = self.sas.values().filter_map(|sa| self.next_of(sa));
        let children = self.children.iter().filter_map(|child| child.next(self.settings.rekeys));
        handshakes.chain(sas).chain(children).min()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.repeat_handshakes(now);
        let names: Vec<[u8; 8]> = self.sas.keys().copied().collect();
        for name in names {
            let Some(mut sa) = self.sas.remove(&name) else { continue };
            if self.tick(now, &mut sa) {
                self.sas.insert(name, sa);
            }
        }
        self.tick_children(now);
    }

    fn handle_datagram(&mut self, now: Instant, datagram: &Datagram) -> Option<Vec<u8>> {
        if self.impaired(&Impairment::Silent)
            || now < self.silent_until
            || datagram.destination.ip() != self.settings.address
        {
            return None;
        }
        let octets = datagram.octets.as_slice();
        let marked = match datagram.destination.port() {
            500 => false,
            4500 if octets == [0xff] => return None,
            4500 if octets.get(..4)? != [0; 4] => return self.handle_esp(now, datagram),
            4500 => true,
            _ => return None,
        };
        let octets = if marked { octets.get(4..)? } else { octets };
        self.handle_message(now, datagram.source, marked, octets);
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

    fn act(&mut self, _now: Instant, deed: Deed) {
        let impairments = &mut self.settings.impairments;
        let mut soon = |deed| impairments.push(Impairment::After(Duration::ZERO, deed));
        match deed {
            Deed::RekeyChild => soon(impair::Deed::Rekey),
            // Whoever wants another ISAKMP SA begins phase 1: a gateway does not.
            Deed::RekeyIke => {}
            Deed::DeleteChild => soon(impair::Deed::DeleteChildren),
            Deed::DeleteIke => soon(impair::Deed::DeleteAll),
            Deed::ForgetChildren => self.children.clear(),
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

    /// ISAKMP SAs that stand.
    pub fn sa_count(&self) -> usize {
        self.sas.len()
    }

    /// Children that stand.
    pub fn child_count(&self) -> usize {
        self.children.len()
    }

    /// A restart without memory: all SAs are gone, silently.
    pub fn forget(&mut self) {
        self.sas.clear();
        self.children.clear();
        self.handshakes.clear();
        self.replies.clear();
        self.pieces.clear();
    }

    fn impaired(&self, impairment: &Impairment) -> bool {
        self.settings.impairments.contains(impairment)
    }

    fn random_octets<const N: usize>(&mut self) -> [u8; N] {
        let mut octets = [0; N];
        self.random.fill(&mut octets);
        octets
    }

    fn handle_message(&mut self, now: Instant, from: SocketAddr, marked: bool, octets: &[u8]) {
        let Some((header, first)) = Header::read(octets) else { return };
        if first == payload::FRAGMENT {
            if let Some(whole) = self.collect(&header, octets) {
                self.handle_message(now, from, marked, &whole);
            }
            return;
        }
        let received = Received { from, marked, octets, header, first };
        // RFC 3947 §4: what comes to 500 after the change of ports is dropped.
        let floated = self.sas.get(&header.cky_r).is_some_and(|sa| sa.marked);
        if !marked && floated {
            return;
        }
        if let Some(reply) = self.replies.get(octets).cloned() {
            self.counts.repeated += 1;
            self.send_all(from, marked, &reply);
            return;
        }
        match header.exchange {
            exchange::MAIN | exchange::AGGRESSIVE => self.handle_phase_1(now, received),
            _ => {
                let Some(mut sa) = self.sas.remove(&header.cky_r) else { return };
                if self.handle_on_sa(now, received, &mut sa) {
                    self.sas.insert(header.cky_r, sa);
                }
            }
        }
    }

    /// Remembers what is sent again when the same octets come again.
    fn remember(&mut self, request: &[u8], reply: Vec<Vec<u8>>) {
        if self.replies.len() >= MOST_REPLIES {
            self.replies.clear();
        }
        self.replies.insert(request.to_vec(), reply);
    }

    fn send_all(&mut self, to: SocketAddr, marked: bool, messages: &[Vec<u8>]) {
        for message in messages {
            let (port, octets) =
                if marked { (4500, [&[0; 4], message.as_slice()].concat()) } else { (500, message.clone()) };
            self.send(port, to, octets);
        }
    }

    fn send(&mut self, port: u16, destination: SocketAddr, octets: Vec<u8>) {
        let datagram = Datagram { source: (self.settings.address, port).into(), destination, octets, whole: false };
        if self.impaired(&Impairment::Twice) {
            self.outbox.push(datagram.clone());
        }
        self.outbox.push(datagram);
    }
}
