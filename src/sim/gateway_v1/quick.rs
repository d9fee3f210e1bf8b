//! Quick mode, as responder and as initiator (RFC 2409 §5.5).

use std::net::IpAddr;
use std::time::Duration;

use crate::crypto::dh::EphemeralSecret;
use crate::sa::selector::Selector;
use crate::sa::suite::Group;
use crate::sim::esp::Pair;
use crate::time::Instant;

use super::esp::Child;
use super::impair::Impairment;
use super::keys::Keys;
use super::octets::{
    Attribute, FLAG_COMMIT, Payload, SecurityAssociation, exchange, find, find_all, notify, notify_payload, payload,
    write_attributes, write_chain,
};
use super::registry::phase_2;
use super::sa::{Sa, Stage};
use super::suites::{choose_esp, offer_esp, tunnel_in_udp};
use super::{Commit, Gateway, Received};

/// Lifetime of children that the gateway asks for.
const LIFETIME: Duration = Duration::from_secs(3600);

/// A quick mode under way.
pub(super) enum Quick {
    /// The client's; its child is used once HASH(3) came.
    Answered { ni: Vec<u8>, nr: Vec<u8>, child: Child },
    /// Ours.
    Asked { ni: Vec<u8>, spi: u32, secret: Option<EphemeralSecret>, client: Selector, subnet: Selector },
}

impl Gateway {
    pub(super) fn handle_quick(&mut self, now: Instant, received: Received<'_>, sa: &mut Sa) {
        if !Self::is_authorized(sa) {
            return;
        }
        let id = received.header.id;
        let fresh = !sa.exchanges.contains_key(&id);
        if fresh {
            let Some(payloads) = sa.open(received, |keys, rest| keys.hash_1(id, rest)) else {
                self.counts.forged += 1;
                return;
            };
            sa.heard(now, received);
            if self.impaired(&Impairment::SilentQuick) {
                sa.exchanges.remove(&id);
                return;
            }
            if let Err(refusal) = self.answer_quick(now, received, sa, &payloads) {
                self.counts.quick_refused += 1;
                sa.exchange(id).stage = Stage::Over;
                self.remember(received.octets, Vec::new());
                self.inform(sa, &[notify_payload(3, &[], refusal, &[])]);
            }
            return;
        }
        match std::mem::replace(&mut sa.exchange(id).stage, Stage::Fresh) {
            Stage::Quick(quick) => {
                let kept = match *quick {
                    Quick::Answered { ni, nr, child } => self.finish_answered(now, received, sa, ni, nr, child),
                    asked @ Quick::Asked { .. } => self.finish_asked(now, received, sa, asked),
                };
                sa.exchange(id).stage = kept.map_or(Stage::Over, |quick| Stage::Quick(Box::new(quick)));
            }
            stage => sa.exchange(id).stage = stage,
        }
    }

    /// The client's first message.
    fn answer_quick(
        &mut self,
        now: Instant,
        received: Received<'_>,
        sa: &mut Sa,
        payloads: &[Payload],
    ) -> Result<(), u16> {
        let id = received.header.id;
        if let Some(refusal) = self.settings.impairments.iter().find_map(|impairment| match impairment {
            Impairment::RefuseQuick(notify) => Some(*notify),
            _ => None,
        }) {
            return Err(refusal);
        }
        // RFC 2409 §5.5: SA follows HASH.
        let offer = payloads.first().filter(|(kind, _)| *kind == payload::SA).map(|(_, body)| body.as_slice());
        let offer = offer.and_then(SecurityAssociation::read).ok_or(notify::PAYLOAD_MALFORMED)?;
        let chosen = choose_esp(&offer, &self.settings.esp_suites, self.encapsulation(sa), self.settings.pfs);
        let chosen = chosen.ok_or(notify::NO_PROPOSAL_CHOSEN)?;
        let ni = find(payloads, payload::NONCE).ok_or(notify::PAYLOAD_MALFORMED)?.to_vec();
        let mut ids = find_all(payloads, payload::ID);
        let (id_i, id_r) = ids.next().zip(ids.next()).ok_or(notify::INVALID_ID_INFORMATION)?;
        let (client, subnet) = read_identity(id_i).zip(read_identity(id_r)).ok_or(notify::INVALID_ID_INFORMATION)?;
        let has_pool = self.settings.pool.0.is_some() || self.settings.pool.1.is_some();
        let client_fits = !has_pool || sa.addresses.iter().any(|address| client == Selector::host(*address));
        if !client_fits || !subnet.is_subset_of(&self.settings.subnets) {
            return Err(notify::INVALID_ID_INFORMATION);
        }
        let nr = self.random_vec(20);
        let theirs = find(payloads, payload::KE);
        let (public, shared) = self.quick_keys(theirs).ok_or(notify::PAYLOAD_MALFORMED)?;
        let spi = u32::from_be_bytes(self.random_octets()) | 0x1000;
        let answer = super::octets::Proposal { spi: spi.to_be_bytes().to_vec(), ..chosen.answer };
        let answer = SecurityAssociation::ipsec(vec![answer]);
        let mut reply = vec![(payload::SA, answer.write()), (payload::NONCE, nr.clone())];
        reply.extend(public.map(|public| (payload::KE, public)));
        reply.extend([(payload::ID, id_i.to_vec()), (payload::ID, id_r.to_vec())]);
        self.change_quick(&mut reply, payloads, spi);
        let mut hash = sa.keys.hash_2(id, &ni, &write_chain(&reply));
        if self.impaired(&Impairment::WrongQuickHash) {
            hash[0] ^= 1;
        }
        reply.insert(0, (payload::HASH, hash));
        let commit = self.settings.commit.is_some() || self.impaired(&Impairment::CommitForever);
        let message = sa.seal(exchange::QUICK, if commit { FLAG_COMMIT } else { 0 }, id, &reply);
        let messages = self.fragmented(sa.fragments, message.clone());
        self.remember(received.octets, messages);
        let keys = sa.keys.child(chosen.protection, &shared, [spi, chosen.spi], [&ni, &nr]);
        let pair = Pair::new(chosen.protection, chosen.esn, spi, chosen.spi, keys);
        let child = Child {
            pair,
            owner: sa.cky_r,
            peer: sa.peer,
            client,
            subnet,
            born: now,
            expires: chosen.lifetime.map(|lifetime| now.after(lifetime)),
            replaced: false,
        };
        sa.exchange(id).stage = Stage::Quick(Box::new(Quick::Answered { ni, nr, child }));
        self.send_until_settled(now, sa, id, message);
        Ok(())
    }

    /// HASH(3). Returns the quick mode unless it is over.
    fn finish_answered(
        &mut self,
        now: Instant,
        received: Received<'_>,
        sa: &mut Sa,
        ni: Vec<u8>,
        nr: Vec<u8>,
        mut child: Child,
    ) -> Option<Quick> {
        let id = received.header.id;
        if sa.open(received, |keys, _| keys.hash_3(id, &ni, &nr)).is_none() {
            self.counts.forged += 1;
            return Some(Quick::Answered { ni, nr, child });
        }
        sa.heard(now, received);
        sa.settle(id);
        self.counts.quick.0 += 1;
        child.born = now;
        child.peer = sa.peer;
        let spi = child.pair.inbound();
        self.children.push(child);
        if let Some(commit) = self.settings.commit {
            let connected = notify_payload(3, &spi.to_be_bytes(), notify::CONNECTED, &[]);
            let id = match commit {
                Commit::SameId => id,
                Commit::OwnId => self.message_id(),
            };
            if commit == Commit::SameId {
                // RFC 2409 §5.7: an INFORMATIONAL begins an IV chain of its own.
                sa.exchanges.remove(&id);
            }
            let message = sa.seal_hashed(exchange::INFORMATIONAL, 0, id, &[connected]);
            let messages = self.send_sealed(sa, message);
            self.remember(received.octets, messages);
        }
        None
    }

    /// Begins a quick mode for a child.
    pub(super) fn begin_quick(&mut self, now: Instant, sa: &mut Sa, client: Selector, subnet: Selector) {
        self.ask_quick(now, sa, client, subnet, [write_identity(&subnet), write_identity(&client)], false);
    }

    /// Begins a quick mode with these IDs, or with a proposal that nobody wants.
    pub(super) fn ask_quick(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        client: Selector,
        subnet: Selector,
        [id_i, id_r]: [Vec<u8>; 2],
        odd: bool,
    ) {
        let id = self.message_id();
        let ni = self.random_vec(20);
        let spi = u32::from_be_bytes(self.random_octets()) | 0x1000;
        let secret = self.settings.pfs.map(|group: Group| EphemeralSecret::generate(group, &mut self.random));
        let Some(suite) = self.settings.esp_suites.first().copied() else { return };
        let mut offer = offer_esp(suite, spi, self.encapsulation(sa), self.settings.pfs, LIFETIME);
        if odd {
            offer.proposals[0].transforms[0].id = 11;
        }
        let mut payloads = vec![(payload::SA, offer.write()), (payload::NONCE, ni.clone())];
        payloads.extend(secret.as_ref().map(|secret| (payload::KE, secret.public().to_vec())));
        payloads.extend([(payload::ID, id_i), (payload::ID, id_r)]);
        let message = sa.seal_hashed(exchange::QUICK, 0, id, &payloads);
        sa.exchange(id).stage = Stage::Quick(Box::new(Quick::Asked { ni, spi, secret, client, subnet }));
        self.send_until_settled(now, sa, id, message);
    }

    /// The answer to a quick mode of ours.
    fn finish_asked(&mut self, now: Instant, received: Received<'_>, sa: &mut Sa, asked: Quick) -> Option<Quick> {
        let Quick::Asked { ni, spi, secret, client, subnet } = asked else { return None };
        let id = received.header.id;
        let Some(payloads) = sa.open(received, |keys, rest| keys.hash_2(id, &ni, rest)) else {
            self.counts.forged += 1;
            return Some(Quick::Asked { ni, spi, secret, client, subnet });
        };
        sa.heard(now, received);
        sa.settle(id);
        let accepted = self.settings.esp_suites.clone();
        let chosen = find(&payloads, payload::SA)
            .and_then(SecurityAssociation::read)
            .and_then(|answer| choose_esp(&answer, &accepted, self.encapsulation(sa), self.settings.pfs));
        let mut ids = find_all(&payloads, payload::ID);
        let same = ids.next() == Some(&write_identity(&subnet)) && ids.next() == Some(&write_identity(&client));
        let (Some(chosen), true, Some(nr)) = (chosen, same, find(&payloads, payload::NONCE)) else {
            self.counts.quick_refused += 1;
            return None;
        };
        let shared = match (secret, find(&payloads, payload::KE)) {
            (Some(secret), Some(theirs)) => secret.agree(theirs).ok()?.expose().to_vec(),
            (None, None) => Vec::new(),
            _ => return None,
        };
        let keys: (_, _) = sa.keys.child(chosen.protection, &shared, [spi, chosen.spi], [&ni, nr]);
        let pair = Pair::new(chosen.protection, chosen.esn, spi, chosen.spi, keys);
        let (owner, peer) = (sa.cky_r, sa.peer);
        let expires = Some(now.after(LIFETIME));
        self.children.push(Child { pair, owner, peer, client, subnet, born: now, expires, replaced: false });
        self.counts.quick.1 += 1;
        let hash: Vec<u8> = Keys::hash_3(&sa.keys, id, &ni, nr);
        let message = sa.seal(exchange::QUICK, 0, id, &[(payload::HASH, hash)]);
        let messages = self.send_sealed(sa, message);
        self.remember(received.octets, messages);
        None
    }

    fn encapsulation(&self, sa: &Sa) -> u16 {
        if sa.nat { tunnel_in_udp(self.settings.nat) } else { 1 }
    }

    /// Our public value and the shared one, when there is a group.
    fn quick_keys(&mut self, theirs: Option<&[u8]>) -> Option<(Option<Vec<u8>>, Vec<u8>)> {
        match (self.settings.pfs, theirs) {
            (Some(group), Some(theirs)) => {
                let secret = EphemeralSecret::generate(group, &mut self.random);
                let public = secret.public().to_vec();
                Some((Some(public), secret.agree(theirs).ok()?.expose().to_vec()))
            }
            (None, None) => Some((None, Vec::new())),
            _ => None,
        }
    }

    /// What is wrong with the answer to a quick mode.
    fn change_quick(&self, reply: &mut Vec<Payload>, request: &[Payload], spi: u32) {
        for impairment in &self.settings.impairments {
            match impairment {
                Impairment::QuickSa(change) => change.apply(reply),
                Impairment::QuickOrder => reply.swap(0, 1),
                Impairment::QuickNonce(change) => {
                    change.apply(reply, payload::NONCE, find(request, payload::NONCE));
                }
                Impairment::NoQuickKeyExchange => reply.retain(|(kind, _)| *kind != payload::KE),
                Impairment::UnaskedQuickKeyExchange => reply.insert(2, (payload::KE, vec![5; 256])),
                Impairment::QuickIdentity(kind, data) => {
                    let last = reply.iter_mut().rfind(|(number, _)| *number == payload::ID);
                    if let Some((_, body)) = last {
                        *body = [&[*kind, 0, 0, 0], data.as_slice()].concat();
                    }
                }
                Impairment::NoQuickIdentities => reply.retain(|(kind, _)| *kind != payload::ID),
                Impairment::ResponderLifetime(seconds) => reply.push(responder_lifetime(spi, *seconds)),
                _ => {}
            }
        }
    }
}

/// RESPONDER-LIFETIME in seconds for the child whose answer named this SPI (RFC 2407 §4.6.3.1).
pub(super) fn responder_lifetime(spi: u32, seconds: u32) -> Payload {
    let attributes =
        [Attribute::short(phase_2::LIFE_TYPE, 1), Attribute::long(phase_2::LIFE_DURATION, &seconds.to_be_bytes())];
    notify_payload(3, &spi.to_be_bytes(), notify::RESPONDER_LIFETIME, &write_attributes(&attributes))
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}

fn octets_of(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The body of an ID payload as a selector (RFC 2407 §4.6.2).
pub(super) fn read_identity(body: &[u8]) -> Option<Selector> {
    let head = body.get(..4)?;
    let data = &body[4..];
    let (one, other) = data.split_at(data.len() / 2);
    let (start, end) = match head[0] {
        1 if data.len() == 4 => (address(data)?, address(data)?),
        5 if data.len() == 16 => (address(data)?, address(data)?),
        4 | 6 => {
            let inverted: Vec<u8> = one.iter().zip(other).map(|(octet, mask)| octet | !mask).collect();
            (address(one)?, address(&inverted)?)
        }
        7 | 8 => (address(one)?, address(other)?),
        _ => return None,
    };
    let port = u16::from_be_bytes([head[2], head[3]]);
    let (first, last) = if port == 0 { (0, u16::MAX) } else { (port, port) };
    Selector::new(start, end, head[1], first, last)
}

/// A selector as the body of an ID payload: a host or a subnet.
pub(super) fn write_identity(selector: &Selector) -> Vec<u8> {
    let (start, end) = (octets_of(selector.start()), octets_of(selector.end()));
    let port = if selector.is_any_port() { 0 } else { selector.first_port() };
    let is_v4 = selector.is_ipv4();
    let head = |kind: u8| [&[kind, selector.protocol()][..], &port.to_be_bytes()].concat();
    if start == end {
        return [head(if is_v4 { 1 } else { 5 }), start].concat();
    }
    let mask: Vec<u8> = start.iter().zip(&end).map(|(one, other)| !(one ^ other)).collect();
    [head(if is_v4 { 4 } else { 6 }), start, mask].concat()
}
