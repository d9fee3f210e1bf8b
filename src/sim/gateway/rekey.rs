//! CREATE_CHILD_SA in both roles (RFC 7296 §1.3, §2.8, §2.17, §2.18, §2.25).

use std::time::Duration;

use crate::crypto::dh::EphemeralSecret;
use crate::crypto::random::Random;
use crate::sa::selector::all_within;
use crate::sa::suite::Group;
use crate::sim::esp::Pair;
use crate::time::Instant;

use super::esp::{Child, read_selectors, write_selectors};
use super::octets::{
    Payload, Proposal, exchange, find, notifies, notify, notify_payload, payload, read_proposals, write_proposals,
};
use super::secrets::IkeSecrets;
use super::suites::{choose_esp_again, choose_ike, esp_transforms, group_number, ike_transforms};
use super::{Gateway, Sa};

/// A deleted child is heard for this long.
const GRACE: Duration = Duration::from_secs(10);

/// What the gateway wants by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Child,
    Ike,
}

/// What it asked for.
pub(super) enum Ask {
    /// Nothing whose answer matters.
    Plain,
    /// COOKIE2.
    Route(Vec<u8>),
    RekeyChild {
        /// Its inbound SPIs: of the old one, of the new one.
        old: u32,
        new: u32,
        nonce: Vec<u8>,
        secret: Option<EphemeralSecret>,
        /// The client asked for the same meanwhile: inbound SPI, lowest nonce.
        rival: Option<(u32, Vec<u8>)>,
    },
    DeleteChild(u32),
    RekeyIke {
        spi: [u8; 8],
        nonce: Vec<u8>,
        secret: EphemeralSecret,
        /// The client asked for the same meanwhile: name, lowest nonce.
        rival: Option<([u8; 8], Vec<u8>)>,
    },
}

pub(super) fn delete_body(spi: u32) -> Vec<u8> {
    [&[3, 4, 0, 1][..], &spi.to_be_bytes()].concat()
}

fn shared(secret: EphemeralSecret, body: Option<&[u8]>) -> Option<Vec<u8>> {
    let body = body.filter(|body| body.get(..2) == Some(&group_number(secret.group()).to_be_bytes()[..]))?;
    Some(secret.agree(body.get(4..)?).ok()?.expose().to_vec())
}

fn refusal(kind: u16) -> Payload {
    notify_payload(kind, &[])
}

fn other_group(group: Group) -> Payload {
    notify_payload(notify::INVALID_KE_PAYLOAD, &group_number(group).to_be_bytes())
}

/// SPI in a REKEY_SA notify.
fn rekeyed(inner: &[Payload]) -> Option<u32> {
    inner.iter().filter(|(kind, body)| *kind == payload::NOTIFY && body.len() == 8).find_map(|(_, body)| {
        let is_rekey = u16::from_be_bytes([body[2], body[3]]) == notify::REKEY_SA && body[..2] == [3, 4];
        is_rekey.then(|| u32::from_be_bytes([body[4], body[5], body[6], body[7]]))
    })
}

impl Gateway {
    /// Rekeys the child now, unless something is under way; says whether it does.
    pub fn rekey_child(&mut self, now: Instant) -> bool {
        self.rekey_now(now, Wish::Child)
    }

    /// Rekeys the IKE SA now, unless something is under way; says whether it does.
    pub fn rekey_ike(&mut self, now: Instant) -> bool {
        self.rekey_now(now, Wish::Ike)
    }

    fn rekey_now(&mut self, now: Instant, wish: Wish) -> bool {
        let idle = self.sas.iter().find(|(_, sa)| !sa.retired && sa.outstanding.is_none() && !sa.children.is_empty());
        let Some(name) = idle.map(|(name, _)| *name) else { return false };
        let Some(mut sa) = self.sas.remove(&name) else { return false };
        self.rekey(now, &mut sa, wish);
        let asks = sa.outstanding.is_some();
        self.sas.insert(name, sa);
        asks
    }

    /// What is to be rekeyed next, and when.
    pub(super) fn wish(&self, sa: &Sa) -> Option<(Instant, Wish)> {
        if sa.retired || sa.closing {
            return None;
        }
        let ike = self.settings.ike_rekey.map(|time| (sa.established.after(time), Wish::Ike));
        let child =
            self.settings.child_rekey.zip(newest(sa)).map(|(time, child)| (child.made.after(time), Wish::Child));
        match sa.again {
            Some(again) => Some(again),
            None => [ike, child].into_iter().flatten().min_by_key(|(at, _)| *at),
        }
    }

    pub(super) fn rekey(&mut self, now: Instant, sa: &mut Sa, wish: Wish) {
        let nonce = self.nonce(self.settings.nonces.0);
        match wish {
            Wish::Child => {
                let Some(child) = sa.children.iter().rev().find(|child| child.gone.is_none() && child.usable) else {
                    return;
                };
                let old = child.inbound_spi();
                let new = self.new_spi();
                let secret = self.settings.pfs.map(|group| EphemeralSecret::generate(group, &mut self.random));
                let (protection, esn) = child.suite;
                let transforms = esp_transforms(protection, esn, self.settings.pfs);
                let proposal = Proposal { number: 1, protocol: 3, spi: new.to_be_bytes().to_vec(), transforms };
                let mut rekey = vec![3, 4];
                rekey.extend_from_slice(&notify::REKEY_SA.to_be_bytes());
                rekey.extend_from_slice(&old.to_be_bytes());
                let mut inner = vec![
                    (payload::NOTIFY, rekey),
                    (payload::SA, write_proposals(&[proposal])),
                    (payload::NONCE, nonce.clone()),
                ];
                inner.extend(secret.as_ref().map(|secret| (payload::KE, self.key_exchange(secret))));
                inner.push((payload::TS_I, write_selectors(&child.subnets)));
                inner.push((payload::TS_R, write_selectors(&child.client)));
                let ask = Ask::RekeyChild { old, new, nonce, secret, rival: None };
                self.ask(now, sa, exchange::CREATE_CHILD, &inner, ask);
            }
            Wish::Ike => {
                let mut spi = [0; 8];
                self.random.fill(&mut spi);
                let suite = sa.secrets.suite;
                let secret = EphemeralSecret::generate(suite.group, &mut self.random);
                let transforms = ike_transforms(suite);
                let proposal = Proposal { number: 1, protocol: 1, spi: spi.to_vec(), transforms };
                let inner = vec![
                    (payload::SA, write_proposals(&[proposal])),
                    (payload::NONCE, nonce.clone()),
                    (payload::KE, self.key_exchange(&secret)),
                ];
                let ask = Ask::RekeyIke { spi, nonce, secret, rival: None };
                self.ask(now, sa, exchange::CREATE_CHILD, &inner, ask);
            }
        }
    }

    fn key_exchange(&self, secret: &EphemeralSecret) -> Vec<u8> {
        let mut public = secret.public().to_vec();
        if self.impaired(&super::impair::Impairment::ZeroRekeyExchange) {
            public.fill(0);
        }
        [&group_number(secret.group()).to_be_bytes()[..], &[0, 0], &public].concat()
    }

    /// The answer to a CREATE_CHILD_SA request, or the notify that refuses it.
    pub(super) fn answer(&mut self, now: Instant, sa: &mut Sa, inner: &[Payload]) -> Result<Vec<Payload>, Payload> {
        let refuses = self.settings.impairments.iter().find_map(|impairment| match impairment {
            super::impair::Impairment::RefuseRekey(kind) => Some(*kind),
            _ => None,
        });
        if let Some(kind) = refuses {
            return Err(refusal(kind));
        }
        let answered = if find(inner, payload::TS_I).is_some() {
            self.answer_child(now, sa, inner)
        } else {
            self.answer_ike(now, sa, inner)
        };
        if let Err((_, body)) = &answered
            && body.get(2..4) == Some(&notify::TEMPORARY_FAILURE.to_be_bytes()[..])
        {
            self.counts.put_off += 1;
        }
        answered
    }

    fn answer_child(&mut self, now: Instant, sa: &mut Sa, inner: &[Payload]) -> Result<Vec<Payload>, Payload> {
        let asking = sa.outstanding.as_ref().map(|outstanding| &outstanding.ask);
        if sa.retired || sa.closing || matches!(asking, Some(Ask::RekeyIke { .. })) {
            return Err(refusal(notify::TEMPORARY_FAILURE));
        }
        let asked_i = find(inner, payload::TS_I).and_then(read_selectors).ok_or(refusal(notify::TS_UNACCEPTABLE))?;
        let asked_r = find(inner, payload::TS_R).and_then(read_selectors).ok_or(refusal(notify::TS_UNACCEPTABLE))?;
        let (client, subnets) = match rekeyed(inner) {
            Some(spi) => {
                let old = sa.children.iter().find(|child| child.outbound_spi() == spi && child.gone.is_none());
                let old = old.ok_or_else(|| {
                    let mut body = vec![3, 4];
                    body.extend_from_slice(&notify::CHILD_SA_NOT_FOUND.to_be_bytes());
                    body.extend_from_slice(&spi.to_be_bytes());
                    (payload::NOTIFY, body)
                })?;
                if matches!(asking, Some(Ask::DeleteChild(deleting)) if *deleting == old.inbound_spi()) {
                    return Err(refusal(notify::TEMPORARY_FAILURE));
                }
                (old.client.clone(), old.subnets.clone())
            }
            None => (asked_i.clone(), asked_r.clone()),
        };
        if !all_within(&client, &asked_i) || !all_within(&subnets, &asked_r) {
            return Err(refusal(notify::TS_UNACCEPTABLE));
        }
        let offer = find(inner, payload::SA).and_then(read_proposals).ok_or(refusal(notify::NO_PROPOSAL_CHOSEN))?;
        let (protection, esn, mut proposal) = choose_esp_again(&offer, &self.settings.esp_suites, self.settings.pfs)
            .ok_or(refusal(notify::NO_PROPOSAL_CHOSEN))?;
        let ni = find(inner, payload::NONCE).ok_or(refusal(notify::INVALID_SYNTAX))?.to_vec();
        let secret = self.settings.pfs.map(|group| EphemeralSecret::generate(group, &mut self.random));
        let ke = secret.as_ref().map(|secret| self.key_exchange(secret));
        let shared = match secret {
            None => Vec::new(),
            Some(secret) => {
                let group = secret.group();
                shared(secret, find(inner, payload::KE)).ok_or(other_group(group))?
            }
        };
        let outbound = proposal.spi.as_slice().try_into().map(u32::from_be_bytes);
        let outbound = outbound.map_err(|_| refusal(notify::INVALID_SYNTAX))?;
        let inbound = self.new_spi();
        let nr = self.nonce(self.settings.nonces.1);
        proposal.spi = inbound.to_be_bytes().to_vec();
        let keys = sa.secrets.child(protection, &shared, [&ni, &nr], false);
        let pair = Pair::new(protection, esn, inbound, outbound, keys);
        let narrowed = self.impaired(&super::impair::Impairment::NarrowRekey);
        let told =
            if narrowed { vec![crate::sa::selector::Selector::host([10, 250, 0, 1].into())] } else { subnets.clone() };
        let mut child = Child::new(now, pair, (protection, esn), client.clone(), told.clone());
        // RFC 7296 §2.8: the client is not known to have it yet.
        child.usable = false;
        sa.children.push(child);
        self.counts.children_by_client += 1;
        if let Some(Ask::RekeyChild { old, rival, .. }) =
            sa.outstanding.as_mut().map(|outstanding| &mut outstanding.ask)
            && let Some(spi) = rekeyed(inner)
            && sa.children.iter().any(|child| child.inbound_spi() == *old && child.outbound_spi() == spi)
        {
            self.counts.collisions += 1;
            *rival = Some((inbound, ni.clone().min(nr.clone())));
        }
        let mut reply = vec![(payload::SA, write_proposals(&[proposal])), (payload::NONCE, nr)];
        reply.extend(ke.map(|ke| (payload::KE, ke)));
        reply.push((payload::TS_I, write_selectors(&client)));
        reply.push((payload::TS_R, write_selectors(&told)));
        Ok(reply)
    }

    fn answer_ike(&mut self, now: Instant, sa: &mut Sa, inner: &[Payload]) -> Result<Vec<Payload>, Payload> {
        let asking = sa.outstanding.as_ref().map(|outstanding| &outstanding.ask);
        let busy = matches!(asking, Some(Ask::RekeyChild { .. } | Ask::DeleteChild(_)));
        if sa.retired || sa.closing || busy {
            return Err(refusal(notify::TEMPORARY_FAILURE));
        }
        let offer = find(inner, payload::SA).and_then(read_proposals).ok_or(refusal(notify::NO_PROPOSAL_CHOSEN))?;
        let (suite, mut proposal) =
            choose_ike(&offer, &self.settings.ike_suites).ok_or(refusal(notify::NO_PROPOSAL_CHOSEN))?;
        let secret = EphemeralSecret::generate(suite.group, &mut self.random);
        let ke = self.key_exchange(&secret);
        let shared = shared(secret, find(inner, payload::KE)).ok_or(other_group(suite.group))?;
        let ni = find(inner, payload::NONCE).ok_or(refusal(notify::INVALID_SYNTAX))?.to_vec();
        let nr = self.nonce(self.settings.nonces.1);
        let theirs: [u8; 8] = proposal.spi.as_slice().try_into().map_err(|_| refusal(notify::INVALID_SYNTAX))?;
        let mut spi = [0; 8];
        self.random.fill(&mut spi);
        proposal.spi = spi.to_vec();
        let secrets = sa.secrets.next(suite, &shared, [&ni, &nr], [theirs, spi], false);
        let mut new = successor(now, sa, secrets, (theirs, spi), false);
        self.counts.ikes_by_client += 1;
        match sa.outstanding.as_mut().map(|outstanding| &mut outstanding.ask) {
            Some(Ask::RekeyIke { rival, .. }) => {
                self.counts.collisions += 1;
                *rival = Some((spi, ni.clone().min(nr.clone())));
                new.retired = true;
            }
            _ => {
                new.children = std::mem::take(&mut sa.children);
                new.again = sa.again.take();
                sa.retired = true;
            }
        }
        self.sas.insert(spi, new);
        Ok(vec![(payload::SA, write_proposals(&[proposal])), (payload::NONCE, nr), (payload::KE, ke)])
    }

    /// The answer to a request of ours. Returns whether the SA lives on.
    pub(super) fn answered(&mut self, now: Instant, sa: &mut Sa, ask: Ask, inner: &[Payload]) -> bool {
        let refused = notifies(inner).iter().any(|(kind, _)| *kind < 16384);
        if notifies(inner).iter().any(|(kind, _)| *kind == notify::TEMPORARY_FAILURE) {
            self.counts.put_off += 1;
        }
        let mut soon = [0; 2];
        self.random.fill(&mut soon);
        let soon = now.after(Duration::from_millis(500 + u64::from(u16::from_be_bytes(soon)) / 16));
        match ask {
            Ask::Plain => true,
            Ask::Route(cookie) => self.route_proven(sa, &cookie, inner),
            Ask::DeleteChild(inbound) => {
                go(now, sa, inbound);
                true
            }
            // RFC 7296 §2.25: whoever is told that it has none forgets its own without a word.
            Ask::RekeyChild { old, .. }
                if notifies(inner).iter().any(|(kind, _)| *kind == notify::CHILD_SA_NOT_FOUND) =>
            {
                go(now, sa, old);
                true
            }
            Ask::RekeyChild { rival, old, .. } if refused => {
                let stands = sa.children.iter().any(|child| child.inbound_spi() == old && child.gone.is_none());
                if stands && rival.is_none() && !sa.retired {
                    sa.again = Some((soon, Wish::Child));
                }
                true
            }
            Ask::RekeyChild { old, new, nonce, secret, rival } => {
                self.child_made(now, sa, (old, new), nonce, secret, rival, inner);
                true
            }
            Ask::RekeyIke { rival, .. } if refused => {
                match rival {
                    // The client's went through.
                    Some((name, _)) => self.promote(sa, name),
                    None if !sa.retired => sa.again = Some((soon, Wish::Ike)),
                    None => {}
                }
                true
            }
            Ask::RekeyIke { spi, nonce, secret, rival } => {
                self.ike_made(now, sa, spi, nonce, secret, rival, inner);
                true
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn child_made(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        (old, new): (u32, u32),
        ni: Vec<u8>,
        secret: Option<EphemeralSecret>,
        rival: Option<(u32, Vec<u8>)>,
        inner: &[Payload],
    ) {
        let proposal = find(inner, payload::SA).and_then(read_proposals).expect("an SA payload").remove(0);
        let template = sa.children.iter().find(|child| child.inbound_spi() == old);
        let Some((suite, client, subnets)) =
            template.map(|child| (child.suite, child.client.clone(), child.subnets.clone()))
        else {
            return;
        };
        let expected = esp_transforms(suite.0, suite.1, self.settings.pfs);
        assert!(proposal.transforms.iter().all(|one| expected.contains(one)), "the client chose what was not offered");
        assert_eq!(proposal.transforms.len(), expected.len(), "the client chose less than one of each");
        let selectors = [payload::TS_I, payload::TS_R].map(|kind| find(inner, kind).and_then(read_selectors));
        assert_eq!(selectors, [Some(subnets.clone()), Some(client.clone())], "K2-133: other selectors");
        let nr = find(inner, payload::NONCE).expect("a nonce").to_vec();
        let shared =
            secret.map_or(Vec::new(), |secret| shared(secret, find(inner, payload::KE)).expect("a KE payload"));
        let keys = sa.secrets.child(suite.0, &shared, [&ni, &nr], true);
        let outbound = u32::from_be_bytes(proposal.spi.as_slice().try_into().expect("an SPI"));
        let mut child = Child::new(now, Pair::new(suite.0, suite.1, new, outbound, keys), suite, client, subnets);
        let rival = rival.filter(|(inbound, _)| {
            sa.children.iter().any(|child| child.inbound_spi() == *inbound && child.gone.is_none())
        });
        // RFC 7296 §2.8.1: the one with the lowest nonce goes, by who made it.
        let loses = rival.is_some_and(|(_, lowest)| ni.min(nr) < lowest);
        child.usable = !loses;
        sa.children.push(child);
        self.counts.children_by_gateway += 1;
        let going = if loses { new } else { old };
        if sa.children.iter().any(|child| child.inbound_spi() == going && child.gone.is_none()) {
            let body = delete_body(going);
            self.ask(now, sa, exchange::INFORMATIONAL, &[(payload::DELETE, body)], Ask::DeleteChild(going));
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn ike_made(
        &mut self,
        now: Instant,
        sa: &mut Sa,
        spi: [u8; 8],
        ni: Vec<u8>,
        secret: EphemeralSecret,
        rival: Option<([u8; 8], Vec<u8>)>,
        inner: &[Payload],
    ) {
        let proposal = find(inner, payload::SA).and_then(read_proposals).expect("an SA payload").remove(0);
        assert_eq!(proposal.transforms.len(), ike_transforms(sa.secrets.suite).len(), "one of each");
        let theirs: [u8; 8] = proposal.spi.as_slice().try_into().expect("an SPI");
        let nr = find(inner, payload::NONCE).expect("a nonce").to_vec();
        let shared = shared(secret, find(inner, payload::KE)).expect("a KE payload");
        let secrets = sa.secrets.next(sa.secrets.suite, &shared, [&ni, &nr], [spi, theirs], true);
        let mut new = successor(now, sa, secrets, (spi, theirs), true);
        self.counts.ikes_by_gateway += 1;
        let rival = rival.filter(|(name, _)| self.sas.contains_key(name));
        let loses = rival.as_ref().is_some_and(|(_, lowest)| ni.min(nr) < *lowest);
        let delete = [(payload::DELETE, vec![1, 0, 0, 0])];
        match rival {
            Some((name, _)) if loses => {
                self.promote(sa, name);
                new.closing = true;
                new.retired = true;
                self.request(now, &mut new, exchange::INFORMATIONAL, &delete);
            }
            _ => {
                new.children = std::mem::take(&mut sa.children);
                sa.retired = true;
                sa.closing = true;
                self.request(now, sa, exchange::INFORMATIONAL, &delete);
            }
        }
        self.sas.insert(spi, new);
    }

    /// The SA of this name gets the children of another, which the client deletes.
    fn promote(&mut self, old: &mut Sa, name: [u8; 8]) {
        if let Some(new) = self.sas.get_mut(&name) {
            new.retired = false;
            new.children = std::mem::take(&mut old.children);
            old.retired = true;
        }
    }

    /// The client deletes an SA before our own answer told us that its new one won.
    pub(super) fn hand_over(&mut self, sa: &mut Sa) {
        if let Some(Ask::RekeyIke { rival: Some((name, _)), .. }) =
            sa.outstanding.take().map(|outstanding| outstanding.ask)
        {
            self.promote(sa, name);
        }
    }

    /// What the client's Delete payload closes, as the payload of the answer.
    pub(super) fn delete_children(&mut self, now: Instant, sa: &mut Sa, body: &[u8]) -> Option<Payload> {
        let spis = body.strip_prefix(&[3, 4])?.get(2..)?;
        let mut answered = Vec::new();
        for spi in spis.chunks_exact(4) {
            let spi = u32::from_be_bytes(spi.try_into().expect("four octets"));
            let child = sa.children.iter().find(|child| child.outbound_spi() == spi && child.gone.is_none());
            let Some(inbound) = child.map(Child::inbound_spi) else { continue };
            self.counts.child_deletes += 1;
            let asking = sa.outstanding.as_ref().map(|outstanding| &outstanding.ask);
            if !matches!(asking, Some(Ask::DeleteChild(deleting)) if *deleting == inbound) {
                answered.push(inbound);
            }
            go(now, sa, inbound);
        }
        let count = u16::try_from(answered.len()).expect("few children");
        let spis: Vec<u8> = answered.iter().flat_map(|spi| spi.to_be_bytes()).collect();
        (count > 0).then(|| (payload::DELETE, [&[3, 4], &count.to_be_bytes()[..], &spis].concat()))
    }

    fn nonce(&mut self, first: Option<u8>) -> Vec<u8> {
        let mut nonce = vec![0; 32];
        self.random.fill(&mut nonce);
        nonce[0] = first.unwrap_or(nonce[0]);
        nonce
    }

    fn new_spi(&mut self) -> u32 {
        let mut spi = [0; 4];
        self.random.fill(&mut spi);
        u32::from_be_bytes(spi) | 0x1000
    }
}

/// The child is deleted; another that stands may be sent with (RFC 7296 §2.8).
/// The child to be rekeyed, if it is well: none while one that the client made in its place waits for the client to use it.
pub(super) fn newest(sa: &Sa) -> Option<&Child> {
    sa.children.iter().rev().find(|child| child.gone.is_none()).filter(|child| child.usable)
}

fn go(now: Instant, sa: &mut Sa, inbound: u32) {
    for child in sa.children.iter_mut().filter(|child| child.inbound_spi() == inbound && child.gone.is_none()) {
        child.gone = Some(now.after(GRACE));
    }
    let usable = sa.children.iter().any(|child| child.gone.is_none() && child.usable);
    if let Some(newest) = sa.children.iter_mut().rev().find(|child| child.gone.is_none() && !usable) {
        newest.usable = true;
    }
}

fn successor(now: Instant, old: &Sa, secrets: IkeSecrets, spis: ([u8; 8], [u8; 8]), ours: bool) -> Sa {
    Sa {
        spi_i: spis.0,
        spi_r: spis.1,
        ours,
        secrets,
        peer: old.peer,
        mobility: old.mobility.clone(),
        children: Vec::new(),
        retired: false,
        again: None,
        next_request: 0,
        expected_request: 0,
        last_reply: None,
        outstanding: None,
        established: now,
        last_seen: now,
        until: old.until,
        closing: false,
    }
}
