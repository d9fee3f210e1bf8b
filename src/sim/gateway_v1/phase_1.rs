//! Main mode and aggressive mode as responder (RFC 2409 §5.4), with NAT traversal (RFC 3947 §3 and §4).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::crypto::dh::EphemeralSecret;
use crate::crypto::random::Random;
use crate::sa::suite::IkeSuite;
use crate::time::Instant;

use super::impair::Impairment;
use super::keys::{Exchanged, Keys, hash_of};
use super::octets::{
    FLAG_ENCRYPTION, HEADER, Header, Notify, Payload, SecurityAssociation, exchange, find, find_all, notify,
    notify_payload, payload, read_chain, read_clear, write_chain,
};
use super::registry::vendor;
use super::sa::{Sa, XauthState};
use super::suites::{ChosenIke, choose_ike, cipher};
use super::{Gateway, NatDialect, REPEAT, Received, TRIES};

/// What a client announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Announced {
    nat: bool,
    dpd: bool,
    fragments: bool,
}

/// A phase 1 under way.
pub(super) struct Handshake {
    header: Header,
    suite: IkeSuite,
    xauth: bool,
    lifetime: Option<Duration>,
    sa: Vec<u8>,
    announced: Announced,
    stage: Stage,
    /// When what is sent again.
    pub(super) repeat: Option<(Instant, Repeat)>,
}

pub(super) struct Repeat {
    tries: u32,
    to: SocketAddr,
    marked: bool,
    messages: Vec<Vec<u8>>,
}

enum Stage {
    /// The second message of main mode was sent.
    Chosen,
    /// The fourth message of main mode was sent.
    Keyed { keys: Keys, nat: bool },
    /// The second message of aggressive mode was sent.
    Shown { keys: Keys, id: Vec<u8> },
}

impl Gateway {
    pub(super) fn repeat_handshakes(&mut self, now: Instant) {
        let mut due = Vec::new();
        for handshake in self.handshakes.values_mut() {
            let Some((at, repeat)) = handshake.repeat.as_mut().filter(|(at, _)| *at <= now) else { continue };
            repeat.tries += 1;
            *at = now.after(REPEAT);
            due.push((repeat.to, repeat.marked, repeat.messages.clone()));
            if repeat.tries > TRIES {
                handshake.repeat = None;
            }
        }
        for (to, marked, messages) in due {
            self.send_all(to, marked, &messages);
        }
    }

    pub(super) fn handle_phase_1(&mut self, now: Instant, received: Received<'_>) {
        let header = received.header;
        if header.id != 0 {
            return;
        }
        if header.cky_r == [0; 8] {
            let payloads = read_clear(received.first, received.body()).filter(|_| !header.is_encrypted());
            let payloads = payloads.filter(|payloads| payloads.first().is_some_and(|(kind, _)| *kind == payload::SA));
            if let Some(payloads) = payloads {
                self.begin(now, received, &payloads);
            }
            return;
        }
        let Some(handshake) = self.handshakes.remove(&header.cky_r) else { return };
        let fits = handshake.header.cky_i == header.cky_i && handshake.header.exchange == header.exchange;
        let kept = if fits { self.continue_phase_1(now, received, handshake) } else { Some(handshake) };
        if let Some(handshake) = kept {
            self.handshakes.insert(header.cky_r, handshake);
        }
    }

    /// The first message of either mode.
    fn begin(&mut self, now: Instant, received: Received<'_>, payloads: &[Payload]) -> Option<()> {
        let sa = find(payloads, payload::SA)?.to_vec();
        let offer = SecurityAssociation::read(&sa)?;
        let mut header = Header { cky_r: self.random_octets(), flags: 0, id: 0, ..received.header };
        let chosen = choose_ike(&offer, &self.settings.ike_suites, self.settings.xauth.is_some());
        let Some(chosen) = chosen.filter(|_| !self.impaired(&Impairment::NoProposal)) else {
            let message = Header { exchange: exchange::INFORMATIONAL, ..header };
            let refusal = notify_payload(1, &[], notify::NO_PROPOSAL_CHOSEN, &[]);
            let reply = vec![message.write_clear(&[refusal])];
            self.send_all(received.from, received.marked, &reply);
            self.remember(received.octets, reply);
            return None;
        };
        let announced = self.read_vendors(payloads);
        let ChosenIke { suite, xauth, answer, lifetime } = chosen;
        let mut handshake =
            Handshake { header, suite, xauth, lifetime, sa, announced, stage: Stage::Chosen, repeat: None };
        let mut reply = vec![(payload::SA, answer.write())];
        if header.exchange == exchange::AGGRESSIVE {
            let (keys, values) = self.exchange_keys(&handshake, payloads)?;
            reply.extend(values);
            let id = self.identity();
            reply.push((payload::ID, id.clone()));
            reply.push((payload::HASH, self.own_hash(&handshake, &keys, &id, None)));
            handshake.stage = Stage::Shown { keys, id: find(payloads, payload::ID)?.to_vec() };
            reply.extend(self.vendors());
            reply.extend(self.nat_detection(&handshake, received));
            self.change_values(&mut reply, payloads);
        } else {
            reply.extend(self.vendors());
        }
        self.change_first_answer(&mut reply, &mut header);
        let message = header.write_clear(&reply);
        let messages = vec![self.with_reserved(message)];
        self.send_all(received.from, received.marked, &messages);
        self.remember(received.octets, messages.clone());
        if matches!(handshake.stage, Stage::Shown { .. }) {
            let repeat = Repeat { tries: 0, to: received.from, marked: received.marked, messages };
            handshake.repeat = Some((now.after(REPEAT), repeat));
        }
        self.handshakes.insert(handshake.header.cky_r, handshake);
        Some(())
    }

    /// A later message. Returns the handshake unless it is over.
    fn continue_phase_1(
        &mut self,
        now: Instant,
        received: Received<'_>,
        mut handshake: Handshake,
    ) -> Option<Handshake> {
        match handshake.stage {
            Stage::Chosen if !received.header.is_encrypted() => {
                if let Some((keys, nat)) = self.third_message(received, &handshake) {
                    handshake.stage = Stage::Keyed { keys, nat };
                }
                Some(handshake)
            }
            Stage::Keyed { ref keys, nat } if received.header.is_encrypted() => {
                // RFC 3947 §4: from the fifth message on, to 4500 when there is a NAT.
                let proof = if received.marked || !nat { fifth_message(received, keys) } else { None };
                let Some((id, extra, iv)) = proof else {
                    self.counts.auth_failed += 1;
                    self.hint(received, notify::PAYLOAD_MALFORMED);
                    return Some(handshake);
                };
                let keys = keys.clone();
                self.sixth_message(now, received, &handshake, keys, id, &extra, iv, nat);
                None
            }
            Stage::Shown { ref keys, ref id } => {
                let Some((last_block, nat, extra)) = self.last_of_aggressive(received, &handshake, keys, id) else {
                    self.counts.auth_failed += 1;
                    self.hint(received, notify::INVALID_HASH_INFORMATION);
                    return Some(handshake);
                };
                let (keys, id) = (keys.clone(), id.clone());
                self.remember(received.octets, Vec::new());
                let sa = self.new_sa(now, received, &handshake, keys, last_block, id, nat);
                self.established(now, sa, &extra);
                None
            }
            _ => Some(handshake),
        }
    }

    /// Says in clear what was wrong, as gateways do whose key is another.
    fn hint(&mut self, received: Received<'_>, kind: u16) {
        let header = Header { exchange: exchange::INFORMATIONAL, flags: 0, id: self.message_id(), ..received.header };
        let message = header.write_clear(&[notify_payload(1, &[], kind, &[])]);
        self.send_all(received.from, received.marked, &[message]);
    }

    fn third_message(&mut self, received: Received<'_>, handshake: &Handshake) -> Option<(Keys, bool)> {
        let payloads = read_clear(received.first, received.body())?;
        let (keys, mut reply) = self.exchange_keys(handshake, &payloads)?;
        let nat = handshake.announced.nat && self.sees_nat(received, handshake, &payloads)?;
        reply.extend(self.nat_detection(handshake, received));
        self.change_values(&mut reply, &payloads);
        let message = self.with_reserved(handshake.header.write_clear(&reply));
        let messages = self.fragmented(handshake.announced.fragments, message);
        self.send_all(received.from, received.marked, &messages);
        self.remember(received.octets, messages);
        Some((keys, nat))
    }

    #[allow(clippy::too_many_arguments)]
    fn sixth_message(
        &mut self,
        now: Instant,
        received: Received<'_>,
        handshake: &Handshake,
        keys: Keys,
        client_id: Vec<u8>,
        extra: &[Payload],
        mut iv: Vec<u8>,
        nat: bool,
    ) {
        let id = self.identity();
        let hash = self.own_hash(handshake, &keys, &id, Some(&client_id));
        let id = if self.impaired(&Impairment::ReflectedHash) { client_id.clone() } else { id };
        let mut reply = vec![(payload::ID, id), (payload::HASH, hash)];
        if self.impaired(&Impairment::NoHash) {
            reply.pop();
        }
        let header = Header { flags: FLAG_ENCRYPTION, ..handshake.header };
        let message = if self.impaired(&Impairment::LastInClear) {
            Header { flags: 0, ..header }.write_clear(&reply)
        } else {
            header.write(payload::ID, &keys.encrypt(&mut iv, &write_chain(&reply)))
        };
        let messages = self.fragmented(handshake.announced.fragments, message);
        self.send_all(received.from, received.marked, &messages);
        self.remember(received.octets, messages);
        let sa = self.new_sa(now, received, handshake, keys, iv, client_id, nat);
        self.established(now, sa, extra);
    }

    #[allow(clippy::too_many_arguments)]
    fn new_sa(
        &mut self,
        now: Instant,
        received: Received<'_>,
        handshake: &Handshake,
        keys: Keys,
        last_block: Vec<u8>,
        identity: Vec<u8>,
        nat: bool,
    ) -> Sa {
        let lifetime = [handshake.lifetime, self.settings.ike_lifetime].into_iter().flatten().min();
        let mut sa = Sa::new(handshake.header, keys, last_block, received.from, now);
        sa.marked = received.marked;
        sa.nat = nat;
        sa.identity = identity;
        sa.fragments = handshake.announced.fragments;
        sa.dpd = handshake.announced.dpd && self.settings.announces_dpd;
        sa.expires = lifetime.map(|lifetime| now.after(lifetime));
        sa.xauth = if handshake.xauth { XauthState::Wanted } else { XauthState::None };
        sa
    }

    fn last_of_aggressive(
        &self,
        received: Received<'_>,
        handshake: &Handshake,
        keys: &Keys,
        id: &[u8],
    ) -> Option<(Vec<u8>, bool, Vec<Payload>)> {
        let (payloads, last_block) = if received.header.is_encrypted() {
            let text = keys.decrypt(&keys.first_iv(), received.body())?;
            (read_chain(received.first, &text)?.0, keys.last_block(received.body()))
        } else {
            (read_clear(received.first, received.body())?, keys.first_iv())
        };
        let nat = handshake.announced.nat && self.sees_nat(received, handshake, &payloads)?;
        let proves = find(&payloads, payload::HASH)? == keys.hash_i(id);
        (proves && (received.marked || !nat)).then_some((last_block, nat, payloads))
    }

    /// Key exchange and nonces, either mode: our keys, and our KE and nonce.
    fn exchange_keys(&mut self, handshake: &Handshake, payloads: &[Payload]) -> Option<(Keys, Vec<Payload>)> {
        let (ke, ni) = (find(payloads, payload::KE)?, find(payloads, payload::NONCE)?);
        if !(8..=256).contains(&ni.len()) {
            return None;
        }
        let pair = EphemeralSecret::generate(handshake.suite.group, &mut self.random);
        let public = pair.public().to_vec();
        let shared = pair.agree(ke).ok()?.expose().to_vec();
        let mut nr = vec![0; 24];
        self.random.fill(&mut nr);
        let exchanged = Exchanged {
            cky_i: handshake.header.cky_i,
            cky_r: handshake.header.cky_r,
            nonces: [ni.to_vec(), nr.clone()],
            publics: [ke.to_vec(), public.clone()],
            shared,
            sa: handshake.sa.clone(),
        };
        let psk = if self.impaired(&Impairment::WrongPsk) { b"another key" } else { self.settings.psk.as_slice() };
        let keys = Keys::derive(handshake.suite.prf, cipher(handshake.suite), psk, exchanged);
        Some((keys, vec![(payload::KE, public), (payload::NONCE, nr)]))
    }

    /// The body of IDir.
    fn identity(&self) -> Vec<u8> {
        let (kind, data) = if self.impaired(&Impairment::WrongIdentity) {
            (2, b"other.example".to_vec())
        } else {
            self.settings.identity.clone()
        };
        let (protocol, port) = self.settings.impairments.iter().find_map(identity_port).unwrap_or((0, 0));
        [vec![kind, protocol], port.to_be_bytes().to_vec(), data].concat()
    }

    fn own_hash(&self, handshake: &Handshake, keys: &Keys, id: &[u8], client_id: Option<&[u8]>) -> Vec<u8> {
        let mut hash = keys.hash_r(id);
        if self.impaired(&Impairment::ReflectedHash)
            && let Some(client_id) = client_id
        {
            hash = keys.hash_i(client_id);
        }
        if self.impaired(&Impairment::WrongHash) {
            hash[0] ^= 1;
        }
        if self.impaired(&Impairment::ShortHash) {
            hash.truncate(handshake.suite.prf.output_len() - 1);
        }
        hash
    }

    fn read_vendors(&self, payloads: &[Payload]) -> Announced {
        let has = |id: &[u8]| find_all(payloads, payload::VENDOR).any(|body| body.starts_with(id));
        Announced {
            nat: has(&nat_vendor(self.settings.nat)) && !self.impaired(&Impairment::NoNatTraversal),
            dpd: has(&vendor::DPD),
            fragments: has(&vendor::FRAGMENTATION),
        }
    }

    fn vendors(&self) -> Vec<Payload> {
        let mut ids = vec![vendor::UNITY.to_vec()];
        if !self.impaired(&Impairment::NoNatTraversal) {
            ids.push(nat_vendor(self.settings.nat).to_vec());
        }
        if self.settings.announces_dpd {
            ids.push(vendor::DPD.to_vec());
        }
        if self.settings.xauth.is_some() {
            ids.push(vendor::XAUTH.to_vec());
        }
        if self.settings.fragment.is_some() {
            ids.push([&vendor::FRAGMENTATION[..], &[0x80, 0, 0, 0]].concat());
        }
        ids.into_iter().map(|id| (payload::VENDOR, id)).collect()
    }

    /// RFC 3947 §3.2: the hash of the other side's address, then of our own.
    fn nat_detection(&self, handshake: &Handshake, received: Received<'_>) -> Vec<Payload> {
        if !handshake.announced.nat {
            return Vec::new();
        }
        let own = SocketAddr::new(self.settings.address, if received.marked { 4500 } else { 500 });
        let kind = nat_d(self.settings.nat);
        [received.from, own].map(|address| (kind, detection_hash(handshake, address))).to_vec()
    }

    /// Whether the client's NAT-D say that there is a NAT; none if there are none.
    fn sees_nat(&self, received: Received<'_>, handshake: &Handshake, payloads: &[Payload]) -> Option<bool> {
        let mut hashes = find_all(payloads, nat_d(self.settings.nat));
        let ports =
            if handshake.header.exchange == exchange::AGGRESSIVE || received.marked { [500, 4500] } else { [500; 2] };
        let destination = hashes.next()?;
        let sources: Vec<&[u8]> = hashes.collect();
        let ours = ports
            .into_iter()
            .any(|port| destination == detection_hash(handshake, SocketAddr::new(self.settings.address, port)));
        let theirs = sources.iter().any(|source| *source == detection_hash(handshake, received.from));
        (!sources.is_empty()).then_some(!(ours && theirs))
    }

    /// What is wrong with the second message, whichever mode.
    fn change_first_answer(&self, reply: &mut Vec<Payload>, header: &mut Header) {
        for impairment in &self.settings.impairments {
            match impairment {
                Impairment::Sa(change) => change.apply(reply),
                Impairment::SwappedCookies => std::mem::swap(&mut header.cky_i, &mut header.cky_r),
                Impairment::SwitchedExchange => {
                    header.exchange =
                        if header.exchange == exchange::MAIN { exchange::AGGRESSIVE } else { exchange::MAIN };
                }
                Impairment::Surplus(payloads) => reply.extend(payloads.iter().cloned()),
                Impairment::NoHash => reply.retain(|(kind, _)| *kind != payload::HASH),
                _ => {}
            }
        }
    }

    fn change_values(&self, reply: &mut Vec<Payload>, request: &[Payload]) {
        for impairment in &self.settings.impairments {
            match impairment {
                Impairment::KeyExchange(change) => change.apply(reply, payload::KE, find(request, payload::KE)),
                Impairment::Nonce(change) => change.apply(reply, payload::NONCE, find(request, payload::NONCE)),
                _ => {}
            }
        }
    }

    /// Sets the RESERVED octet of every payload header.
    fn with_reserved(&self, mut message: Vec<u8>) -> Vec<u8> {
        if self.impaired(&Impairment::ReservedNonzero) {
            let mut at = HEADER;
            while at < message.len() {
                message[at + 1] = 0x5a;
                at += usize::from(u16::from_be_bytes([message[at + 2], message[at + 3]]));
            }
        }
        message
    }
}

/// The fifth message: IDii, what stood beside HASH_I, and the next IV.
fn fifth_message(received: Received<'_>, keys: &Keys) -> Option<(Vec<u8>, Vec<Payload>, Vec<u8>)> {
    let text = keys.decrypt(&keys.first_iv(), received.body())?;
    let (payloads, _) = read_chain(received.first, &text)?;
    let id = find(&payloads, payload::ID)?;
    // RFC 2407 §4.6.2, RFC 3947 §4
    let port_fits = matches!(id.get(1..4)?, [0, 0, 0] | [17, 1, 0xf4]);
    let proves = find(&payloads, payload::HASH)? == keys.hash_i(id);
    (proves && port_fits).then(|| (id.to_vec(), payloads.clone(), keys.last_block(received.body())))
}

/// Whether a protected message said INITIAL-CONTACT.
pub(super) fn is_initial_contact(payloads: &[Payload]) -> bool {
    let mut notifies = find_all(payloads, payload::NOTIFY).filter_map(Notify::read);
    notifies.any(|it| it.kind == notify::INITIAL_CONTACT)
}

fn identity_port(impairment: &Impairment) -> Option<(u8, u16)> {
    match impairment {
        Impairment::IdentityPort(protocol, port) => Some((*protocol, *port)),
        _ => None,
    }
}

fn nat_vendor(dialect: NatDialect) -> [u8; 16] {
    match dialect {
        NatDialect::Rfc => vendor::NAT_RFC,
        NatDialect::Draft03 => vendor::NAT_03,
        NatDialect::Draft02 => vendor::NAT_02N,
    }
}

fn nat_d(dialect: NatDialect) -> u8 {
    match dialect {
        NatDialect::Rfc => payload::NAT_D,
        NatDialect::Draft02 | NatDialect::Draft03 => payload::NAT_D_DRAFT,
    }
}

fn detection_hash(handshake: &Handshake, address: SocketAddr) -> Vec<u8> {
    let ip = match address.ip() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let header = &handshake.header;
    hash_of(handshake.suite.prf).digest(&[&header.cky_i, &header.cky_r, &ip, &address.port().to_be_bytes()])
}
