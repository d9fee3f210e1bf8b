//! IKE_SA_INIT as responder (RFC 7296 §1.2, §2.6, §2.23).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::crypto::dh::EphemeralSecret;
use crate::crypto::hash::sha1;
use crate::crypto::random::Random;

use super::impair::Impairment;
use super::octets::{
    FLAG_RESPONSE, Message, Payload, notifies, notify, notify_payload, payload, read_proposals, write_proposals,
};
use super::secrets::IkeSecrets;
use super::suites::{choose_ike, group_number};
use super::{Gateway, HalfOpen};

impl Gateway {
    pub(super) fn handle_sa_init(&mut self, source: SocketAddr, octets: &[u8], message: &Message) {
        if message.is_response() || message.id != 0 || message.spi_r != [0; 8] {
            return;
        }
        if let Some(reply) = self.replies.get(octets) {
            self.counts.repeated += 1;
            let reply = reply.clone();
            self.send(500, source, reply);
            return;
        }
        if let Some(response) = self.answer_sa_init(source, octets, message) {
            self.send(500, source, response);
        }
    }

    fn answer_sa_init(&mut self, source: SocketAddr, octets: &[u8], message: &Message) -> Option<Vec<u8>> {
        let refuse = |notify: Payload| {
            let reply = Message { flags: FLAG_RESPONSE, payloads: vec![notify], inner: None, ..message.clone() };
            Some(reply.write())
        };
        let cookie = sha1(&[&self.cookie_secret, &message.spi_i, message.get(payload::NONCE)?]).to_vec();
        if self.impaired(&Impairment::CookieForever) {
            let mut fresh = vec![0; 20];
            self.random.fill(&mut fresh);
            return refuse(notify_payload(notify::COOKIE, &fresh));
        }
        if self.settings.cookie && notifies(&message.payloads).first() != Some(&(notify::COOKIE, cookie.clone())) {
            return refuse(notify_payload(notify::COOKIE, &cookie));
        }
        let offer = read_proposals(message.get(payload::SA)?)?;
        let chosen = choose_ike(&offer, &self.settings.ike_suites);
        let Some((suite, mut proposal)) = chosen.filter(|_| !self.impaired(&Impairment::NoProposal)) else {
            return refuse(notify_payload(notify::NO_PROPOSAL_CHOSEN, &[]));
        };
        let ke = message.get(payload::KE)?;
        let sent_group = u16::from_be_bytes([*ke.first()?, *ke.get(1)?]);
        if self.impaired(&Impairment::UnofferedGroup) {
            return refuse(notify_payload(notify::INVALID_KE_PAYLOAD, &22u16.to_be_bytes()));
        }
        if self.impaired(&Impairment::GroupForever) {
            let other = offer.iter().flat_map(|p| &p.transforms).find(|t| t.0 == 4 && t.1 != sent_group)?;
            return refuse(notify_payload(notify::INVALID_KE_PAYLOAD, &other.1.to_be_bytes()));
        }
        if sent_group != group_number(suite.group) {
            return refuse(notify_payload(notify::INVALID_KE_PAYLOAD, &group_number(suite.group).to_be_bytes()));
        }
        let ni = message.get(payload::NONCE)?.to_vec();
        let mut nr = vec![0; if self.impaired(&Impairment::ShortNonce) { 15 } else { 32 }];
        self.random.fill(&mut nr);
        if self.impaired(&Impairment::EchoNonce) {
            nr.clone_from(&ni);
        }
        let mut spi_r = [0; 8];
        self.random.fill(&mut spi_r);
        let pair = EphemeralSecret::generate(suite.group, &mut self.random);
        let mut public = pair.public().to_vec();
        let shared = pair.agree(ke.get(4..)?).ok()?;
        if self.impaired(&Impairment::ZeroKeyExchange) {
            public.fill(0);
        }
        if self.impaired(&Impairment::EchoKeyExchange) {
            public = ke.get(4..)?.to_vec();
        }
        if self.impaired(&Impairment::ExtraTransform) {
            proposal.transforms.push((5, 0, None));
        }
        if self.impaired(&Impairment::MissingTransform) {
            proposal.transforms.pop();
        }
        if self.impaired(&Impairment::WrongNumber) {
            proposal.number += 1;
        }
        let mut ke_body = group_number(suite.group).to_be_bytes().to_vec();
        ke_body.extend_from_slice(&[0, 0]);
        ke_body.extend_from_slice(&public);
        let detection = |address: IpAddr, port: u16| {
            let ip = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            sha1(&[&message.spi_i, &spi_r, &ip, &port.to_be_bytes()])
        };
        let mut payloads = vec![
            (payload::SA, write_proposals(&[proposal])),
            (payload::KE, ke_body),
            (payload::NONCE, nr.clone()),
            notify_payload(notify::NAT_DETECTION_SOURCE_IP, &detection(self.settings.address, 500)),
            notify_payload(notify::NAT_DETECTION_DESTINATION_IP, &detection(source.ip(), source.port())),
        ];
        let asked = notifies(&message.payloads).iter().any(|(kind, _)| *kind == notify::FRAGMENTATION_SUPPORTED);
        let fragments = asked && self.settings.fragment.is_some();
        if fragments {
            payloads.push(notify_payload(notify::FRAGMENTATION_SUPPORTED, &[]));
        }
        let response = Message { spi_r, flags: FLAG_RESPONSE, payloads, inner: None, ..message.clone() }.write();
        let secrets = IkeSecrets::derive(suite, shared.expose(), &ni, &nr, [message.spi_i, spi_r]);
        let half_open = HalfOpen {
            spi_i: message.spi_i,
            nonces: (ni, nr),
            request: octets.to_vec(),
            response: response.clone(),
            secrets,
            fragments,
            pieces: BTreeMap::new(),
        };
        self.half_open.insert(spi_r, half_open);
        self.replies.insert(octets.to_vec(), response.clone());
        Some(response)
    }
}
