//! IKE_AUTH as responder (RFC 7296 §1.2, §2.15, §2.19, §2.21.2).

use std::net::{IpAddr, SocketAddr};

use crate::crypto::random::Random;
use crate::sa::selector::Selector;
use crate::sim::esp::Pair;
use crate::time::Instant;

use super::esp::{Child, read_selectors, write_selectors};
use super::impair::Impairment;
use super::octets::{
    FIRST_CRITICAL, FLAG_RESPONSE, Message, Payload, chain, find, notifies, notify, notify_payload, payload,
    read_proposals, write_proposals,
};
use super::secrets::Opened;
use super::suites::choose_esp;
use super::{Gateway, HalfOpen, Sa};

impl Gateway {
    pub(super) fn handle_auth(&mut self, now: Instant, source: SocketAddr, octets: &[u8], message: &Message) {
        let Some(mut half) = self.half_open.remove(&message.spi_r) else { return };
        let inner = match half.secrets.open(message, octets) {
            Some(Opened::Whole(inner)) if message.id == 1 => Some(inner),
            Some(Opened::Fragment { number, total, first, text }) if message.id == 1 => {
                half.pieces.insert(number, (total, first, text));
                joined(&half)
            }
            _ => None,
        };
        let Some(inner) = inner else {
            self.half_open.insert(message.spi_r, half);
            return;
        };
        self.finish_auth(now, source, message, half, &inner);
    }

    fn finish_auth(
        &mut self,
        now: Instant,
        source: SocketAddr,
        message: &Message,
        mut half: HalfOpen,
        inner: &[Payload],
    ) {
        let header = Message { flags: FLAG_RESPONSE, payloads: Vec::new(), inner: None, ..message.clone() };
        let psk =
            if self.impaired(&Impairment::WrongPsk) { b"another key".to_vec() } else { self.settings.psk.clone() };
        let secrets = &half.secrets;
        let proves = find(inner, payload::ID_I).zip(find(inner, payload::AUTH)).is_some_and(|(id, auth)| {
            let expected = secrets.auth(&self.settings.psk, &half.request, &half.nonces.1, &secrets.sk_pi, id);
            auth.get(..4) == Some(&[2, 0, 0, 0]) && auth.get(4..) == Some(&expected)
        });
        if !proves || self.impaired(&Impairment::RefuseClient) {
            let refusal = [notify_payload(notify::AUTHENTICATION_FAILED, &[])];
            let datagram = half.secrets.seal(&header, &refusal, &mut self.random);
            self.replies.clear();
            self.send_marked(source, datagram);
            return;
        }
        let (kind, body) = if self.impaired(&Impairment::WrongIdentity) {
            (2, b"other.example".to_vec())
        } else {
            self.settings.identity.clone()
        };
        let id = [vec![kind, 0, 0, 0], body].concat();
        let auth = half.secrets.auth(&psk, &half.response, &half.nonces.0, &half.secrets.sk_pr, &id);
        let method = if self.impaired(&Impairment::RsaMethod) { 1 } else { 2 };
        let mut auth_body = [vec![method, 0, 0, 0], auth].concat();
        if self.impaired(&Impairment::ShortAuth) {
            auth_body.pop();
        }
        let mut reply = vec![(payload::ID_R, id)];
        if self.impaired(&Impairment::Eap) {
            reply.push((payload::EAP, vec![3, 1, 0, 4]));
        } else if !self.impaired(&Impairment::NoAuth) {
            reply.push((payload::AUTH, auth_body));
        }
        let child = match self.make_child(now, &half, inner) {
            Ok((mut child, payloads)) => {
                child.usable = !self.settings.patient || self.sas.is_empty();
                reply.extend(payloads);
                Some(child)
            }
            Err(refusal) => {
                reply.push(notify_payload(refusal, &[]));
                None
            }
        };
        if let Some(time) = self.settings.auth_lifetime {
            let seconds = u32::try_from(time.as_secs()).expect("a lifetime of years");
            reply.push(notify_payload(notify::AUTH_LIFETIME, &seconds.to_be_bytes()));
        }
        self.meet_again(now, inner);
        if self.impaired(&Impairment::TransportMode) {
            reply.push(notify_payload(notify::USE_TRANSPORT_MODE, &[]));
        }
        if self.impaired(&Impairment::CriticalPayload) {
            reply.push((FIRST_CRITICAL, vec![1, 2, 3, 4]));
        }
        if self.impaired(&Impairment::OddOrder) {
            reply.push((99, vec![1, 2, 3]));
            reply.push(notify_payload(40_000, b"status"));
            reply.reverse();
        }
        let (is_mobile, said) = self.offer_mobike(inner);
        reply.extend(said);
        let datagrams = self.seal_reply(&header, &mut half, reply);
        for datagram in &datagrams {
            self.send_marked(source, datagram.clone());
        }
        self.counts.authenticated += 1;
        let sa = Sa {
            spi_i: half.spi_i,
            spi_r: message.spi_r,
            ours: false,
            secrets: half.secrets,
            peer: source,
            mobility: super::mobike::Mobility { is_on: is_mobile, ..Default::default() },
            children: child.into_iter().collect(),
            retired: false,
            again: None,
            next_request: 0,
            expected_request: 2,
            last_reply: Some((1, datagrams)),
            outstanding: None,
            established: now,
            until: self.settings.auth_lifetime.map(|time| now.after(time)),
            last_seen: now,
            closing: false,
        };
        self.sas.insert(message.spi_r, sa);
    }

    /// The same client has older SAs.
    fn meet_again(&mut self, now: Instant, inner: &[Payload]) {
        if notifies(inner).iter().any(|(kind, _)| *kind == notify::INITIAL_CONTACT) {
            self.counts.initial_contacts += 1;
            self.sas.clear();
        }
        if let Some(after) = self.settings.replaces {
            let until = now.after(after);
            self.sas.values_mut().for_each(|sa| sa.until = Some(sa.until.map_or(until, |known| known.min(until))));
        }
    }

    fn seal_reply(&mut self, header: &Message, half: &mut HalfOpen, reply: Vec<Payload>) -> Vec<Vec<u8>> {
        if let Some(size) = self.settings.fragment.filter(|_| half.fragments) {
            return half.secrets.seal_fragments(header, &reply, size, &mut self.random);
        }
        vec![half.secrets.seal(header, &reply, &mut self.random)]
    }

    fn make_child(&mut self, now: Instant, half: &HalfOpen, inner: &[Payload]) -> Result<(Child, Vec<Payload>), u16> {
        if let Some(refusal) = self.settings.impairments.iter().find_map(|impairment| match impairment {
            Impairment::RefuseChild(notify) => Some(*notify),
            _ => None,
        }) {
            return Err(refusal);
        }
        let offer = find(inner, payload::SA).and_then(read_proposals).ok_or(notify::NO_PROPOSAL_CHOSEN)?;
        let (protection, esn, mut proposal) =
            choose_esp(&offer, &self.settings.esp_suites).ok_or(notify::NO_PROPOSAL_CHOSEN)?;
        let outbound =
            proposal.spi.as_slice().try_into().map(u32::from_be_bytes).map_err(|_| notify::INVALID_SYNTAX)?;
        let mut inbound = [0; 4];
        self.random.fill(&mut inbound);
        let mut inbound = u32::from_be_bytes(inbound) | 0x1000;
        if self.impaired(&Impairment::ReservedSpi) {
            inbound = 17;
        }
        proposal.spi = inbound.to_be_bytes().to_vec();

        let (cp, addresses) = self.configuration(find(inner, payload::CP))?;
        let asked_i = find(inner, payload::TS_I).and_then(read_selectors).ok_or(notify::TS_UNACCEPTABLE)?;
        let asked_r = find(inner, payload::TS_R).and_then(read_selectors).ok_or(notify::TS_UNACCEPTABLE)?;
        let ours: Vec<Selector> = if addresses.is_empty() {
            asked_i
        } else {
            let hosts = addresses.iter().map(|address| Selector::host(*address));
            hosts.filter(|host| host.is_subset_of(&asked_i)).collect()
        };
        let mut theirs: Vec<Selector> = asked_r
            .iter()
            .flat_map(|asked| self.settings.subnets.iter().filter_map(|subnet| asked.intersection(subnet)))
            .collect();
        if self.impaired(&Impairment::WiderSelectors) {
            theirs = vec![Selector::any_v4()];
        }
        if ours.is_empty() || theirs.is_empty() {
            return Err(notify::TS_UNACCEPTABLE);
        }
        let mut payloads: Vec<Payload> = cp.into_iter().collect();
        payloads.push((payload::SA, write_proposals(std::slice::from_ref(&proposal))));
        payloads.push((payload::TS_I, write_selectors(&ours)));
        payloads.push((payload::TS_R, write_selectors(&theirs)));
        let keys = half.secrets.child(protection, &[], [&half.nonces.0, &half.nonces.1], false);
        Ok((
            Child::new(now, Pair::new(protection, esn, inbound, outbound, keys), (protection, esn), ours, theirs),
            payloads,
        ))
    }

    fn configuration(&self, request: Option<&[u8]>) -> Result<(Option<Payload>, Vec<IpAddr>), u16> {
        let Some(request) = request else { return Ok((None, Vec::new())) };
        let mut asked = Vec::new();
        let mut at = 4;
        while let Some(head) = request.get(at..at + 4) {
            asked.push(u16::from_be_bytes([head[0], head[1]]));
            at += 4 + usize::from(u16::from_be_bytes([head[2], head[3]]));
        }
        let mut body = vec![2, 0, 0, 0];
        let mut addresses = Vec::new();
        let (v4, v6) = self.settings.pool;
        if let Some(address) = v4.filter(|_| asked.contains(&1) && !self.impaired(&Impairment::NoAddress)) {
            let address = if self.impaired(&Impairment::LoopbackAddress) { [127, 0, 0, 1].into() } else { address };
            body.extend_from_slice(&[0, 1, 0, 4]);
            body.extend_from_slice(&address.octets());
            addresses.push(IpAddr::V4(address));
        }
        if let Some(address) = v6.filter(|_| asked.contains(&8) && !self.impaired(&Impairment::NoAddress)) {
            body.extend_from_slice(&[0, 8, 0, 17]);
            body.extend_from_slice(&address.octets());
            body.push(128);
            addresses.push(IpAddr::V6(address));
        }
        if addresses.is_empty() && !self.impaired(&Impairment::NoAddress) {
            return Err(notify::INTERNAL_ADDRESS_FAILURE);
        }
        Ok((Some((payload::CP, body)), addresses))
    }
}

fn joined(half: &HalfOpen) -> Option<Vec<Payload>> {
    let (total, ..) = half.pieces.values().next()?;
    let whole = (1..=*total).all(|number| half.pieces.contains_key(&number));
    if !whole {
        return None;
    }
    let text: Vec<u8> = half.pieces.values().flat_map(|(_, _, text)| text.clone()).collect();
    Some(chain(half.pieces.get(&1)?.1, &text, 0)?.0)
}
