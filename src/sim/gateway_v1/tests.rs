//! The gateway against a client that is nothing but a script: what it says is what the RFCs say.

use std::net::Ipv4Addr;

use super::impair::Deed;
use super::keys::{Exchanged, Keys};
use super::octets::*;
use super::registry::{attribute, phase_1, phase_2, vendor};
use super::*;
use crate::crypto::dh::EphemeralSecret;
use crate::crypto::hash::Hash;
use crate::sa::suite::{Cbc, Integrity, Prf};
use crate::sim::esp::Pair;
use crate::sim::scene::{self, PSK, Suites};

const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 20);

fn protection() -> Protection {
    let encryption = Cbc::Aes(crate::crypto::cipher::AesKey::Aes256);
    Protection::CbcHmac { encryption, integrity: Integrity::HmacSha256_128 }
}

struct Script {
    gateway: Gateway,
    random: SeededRandom,
    header: Header,
    port: u16,
    now: Instant,
    keys: Option<Keys>,
    iv: Vec<u8>,
    last_block: Vec<u8>,
}

fn ike_offer(method: u16) -> Vec<u8> {
    let attributes = vec![
        Attribute::short(phase_1::ENCRYPTION, 7),
        Attribute::short(phase_1::KEY_LENGTH, 256),
        Attribute::short(phase_1::HASH, 4),
        Attribute::short(phase_1::GROUP, 19),
        Attribute::short(phase_1::AUTHENTICATION, method),
        Attribute::short(phase_1::LIFE_TYPE, 1),
        Attribute::long(phase_1::LIFE_DURATION, &3600u32.to_be_bytes()),
    ];
    let transforms = vec![Transform { number: 1, id: 1, attributes }];
    SecurityAssociation::ipsec(vec![Proposal { number: 1, protocol: 1, spi: vec![], transforms }]).write()
}

impl Script {
    fn new(settings: impl FnOnce(&mut GatewaySettings)) -> Self {
        let mut of_scene = scene::gateway_v1(Suites::of(protection(), Group::Ecp256));
        settings(&mut of_scene);
        let header = Header { cky_i: [1; 8], cky_r: [0; 8], exchange: exchange::MAIN, flags: 0, id: 0 };
        Self {
            gateway: Gateway::new(of_scene, 1),
            random: SeededRandom::new(2),
            header,
            port: 500,
            now: Instant::START,
            keys: None,
            iv: Vec::new(),
            last_block: Vec::new(),
        }
    }

    fn send(&mut self, message: &[u8]) -> Vec<Vec<u8>> {
        let marker: &[u8] = if self.port == 4500 { &[0; 4] } else { &[] };
        self.raw([marker, message].concat());
        self.received()
    }

    fn raw(&mut self, octets: Vec<u8>) -> Option<Vec<u8>> {
        let source = SocketAddr::new(CLIENT.into(), 40_000);
        let destination = SocketAddr::new(crate::sim::world::GATEWAY, self.port);
        self.gateway.handle_datagram(self.now, &Datagram { source, destination, octets, whole: false })
    }

    fn received(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.gateway.poll_datagram())
            .map(|datagram| datagram.octets[if datagram.source.port() == 4500 { 4 } else { 0 }..].to_vec())
            .collect()
    }

    fn clear(&mut self, payloads: &[Payload]) -> Vec<Payload> {
        let replies = self.send(&self.header.write_clear(payloads));
        let (header, first) = Header::read(&replies[0]).unwrap();
        self.header.cky_r = header.cky_r;
        read_clear(first, &replies[0][HEADER..]).unwrap()
    }

    fn nat_detection(&self) -> Vec<Payload> {
        let own = Hash::Sha256.digest(&[b"somewhere else"]);
        let theirs =
            Hash::Sha256.digest(&[&self.header.cky_i, &self.header.cky_r, &[192, 0, 2, 1], &500u16.to_be_bytes()]);
        vec![(payload::NAT_D, theirs), (payload::NAT_D, own)]
    }

    fn vendors() -> Vec<Payload> {
        [vendor::NAT_RFC, vendor::DPD].map(|id| (payload::VENDOR, id.to_vec())).to_vec()
    }

    fn derive(&mut self, sa: Vec<u8>, secret: EphemeralSecret, ni: Vec<u8>, reply: &[Payload]) {
        let theirs = find(reply, payload::KE).unwrap().to_vec();
        let exchanged = Exchanged {
            cky_i: self.header.cky_i,
            cky_r: self.header.cky_r,
            nonces: [ni, find(reply, payload::NONCE).unwrap().to_vec()],
            publics: [secret.public().to_vec(), theirs.clone()],
            shared: secret.agree(&theirs).unwrap().expose().to_vec(),
            sa,
        };
        let cipher = Cbc::Aes(crate::crypto::cipher::AesKey::Aes256);
        let keys = Keys::derive(Prf::HmacSha256, cipher, PSK, exchanged);
        self.iv = keys.first_iv();
        self.keys = Some(keys);
    }

    fn main_mode(&mut self, method: u16) {
        self.first_four(method);
        self.last_two();
    }

    fn first_four(&mut self, method: u16) {
        let sa = ike_offer(method);
        let reply = self.clear(&[vec![(payload::SA, sa.clone())], Self::vendors()].concat());
        assert_eq!(find(&reply, payload::SA).unwrap(), sa);
        let secret = EphemeralSecret::generate(Group::Ecp256, &mut self.random);
        let mut third = vec![(payload::KE, secret.public().to_vec()), (payload::NONCE, vec![3; 16])];
        third.extend(self.nat_detection());
        let reply = self.clear(&third);
        assert_eq!(find_all(&reply, payload::NAT_D).count(), 2);
        self.derive(sa, secret, vec![3; 16], &reply);
        self.port = 4500;
    }

    fn fifth(&self) -> (Vec<u8>, Vec<u8>) {
        let keys = self.keys.clone().unwrap();
        let id = [&[2, 0, 0, 0][..], b"replica-1.example"].concat();
        let payloads = [(payload::ID, id.clone()), (payload::HASH, keys.hash_i(&id))];
        let mut iv = self.iv.clone();
        let text = keys.encrypt(&mut iv, &write_chain(&payloads));
        (Header { flags: FLAG_ENCRYPTION, ..self.header }.write(payload::ID, &text), iv)
    }

    fn last_two(&mut self) {
        let (keys, (fifth, iv)) = (self.keys.clone().unwrap(), self.fifth());
        let replies = self.send(&fifth);
        let (_, first) = Header::read(&replies[0]).unwrap();
        let (payloads, _) = read_chain(first, &keys.decrypt(&iv, &replies[0][HEADER..]).unwrap()).unwrap();
        let id = find(&payloads, payload::ID).unwrap();
        assert_eq!(&id[4..], b"gateway.example");
        assert_eq!(find(&payloads, payload::HASH).unwrap(), keys.hash_r(id));
        self.last_block = keys.last_block(&replies[0]);
        for more in &replies[1..] {
            self.gateway.outbox.push(Datagram {
                source: (crate::sim::world::GATEWAY, 4500).into(),
                destination: (CLIENT, 40_000).into(),
                octets: [&[0; 4], more.as_slice()].concat(),
                whole: false,
            });
        }
    }

    fn seal(&self, iv: &mut Vec<u8>, kind: u8, id: u32, payloads: &[Payload]) -> Vec<u8> {
        let text = self.keys.as_ref().unwrap().encrypt(iv, &write_chain(payloads));
        Header { exchange: kind, flags: FLAG_ENCRYPTION, id, ..self.header }.write(payloads[0].0, &text)
    }

    /// Sends payloads behind HASH(1), and gives what comes, opened, with the next IV.
    fn ask(&mut self, kind: u8, id: u32, payloads: &[Payload]) -> (Vec<Payload>, Vec<u8>) {
        let keys = self.keys.clone().unwrap();
        let mut iv = keys.exchange_iv(&self.last_block, id);
        let hash = keys.hash_1(id, &write_chain(payloads));
        let all: Vec<Payload> = std::iter::once((payload::HASH, hash)).chain(payloads.iter().cloned()).collect();
        let replies = self.send(&self.seal(&mut iv, kind, id, &all));
        self.open(&replies[0], id, iv)
    }

    fn open(&self, message: &[u8], id: u32, iv: Vec<u8>) -> (Vec<Payload>, Vec<u8>) {
        let keys = self.keys.as_ref().unwrap();
        let (header, first) = Header::read(message).unwrap();
        let iv = if header.id == id { iv } else { keys.exchange_iv(&self.last_block, header.id) };
        let text = keys.decrypt(&iv, &message[HEADER..]).unwrap();
        (read_chain(first, &text).unwrap().0, keys.last_block(&message[HEADER..]))
    }

    fn pull_address(&mut self) -> Vec<u8> {
        let attributes = vec![Attribute::long(attribute::IP4_ADDRESS, b"")];
        let request = Configuration { kind: Configuration::REQUEST, identifier: 5, attributes };
        let (payloads, _) = self.ask(exchange::TRANSACTION, 77, &[request.payload()]);
        let reply = Configuration::read(find(&payloads, payload::ATTRIBUTES).unwrap()).unwrap();
        assert_eq!((reply.kind, reply.identifier), (Configuration::REPLY, 5));
        reply.get(attribute::IP4_ADDRESS).unwrap().value.clone()
    }

    fn quick_mode(&mut self, group: Option<Group>) -> Pair {
        let (id, ni) = (99, vec![8; 16]);
        let mut attributes = vec![
            Attribute::short(phase_2::ENCAPSULATION, 3),
            Attribute::short(phase_2::KEY_LENGTH, 256),
            Attribute::short(phase_2::INTEGRITY, 5),
        ];
        attributes.extend(group.map(|_| Attribute::short(phase_2::GROUP, 19)));
        let transforms = vec![Transform { number: 1, id: 12, attributes }];
        let proposal = Proposal { number: 1, protocol: 3, spi: vec![0, 0, 0x20, 1], transforms };
        let sa = SecurityAssociation::ipsec(vec![proposal]).write();
        let ids = [
            [&[1, 0, 0, 0][..], &[10, 200, 0, 7]].concat(),
            [&[4, 0, 0, 0][..], &[10, 250, 0, 0, 255, 255, 255, 0]].concat(),
        ];
        let secret = group.map(|group| EphemeralSecret::generate(group, &mut self.random));
        let mut payloads = vec![(payload::SA, sa), (payload::NONCE, ni.clone())];
        payloads.extend(secret.as_ref().map(|secret| (payload::KE, secret.public().to_vec())));
        payloads.extend(ids.map(|id| (payload::ID, id)));
        let (reply, mut iv) = self.ask(exchange::QUICK, id, &payloads);
        let keys = self.keys.clone().unwrap();
        assert_eq!(reply[0].1, keys.hash_2(id, &ni, &write_chain(&reply[1..])));
        let nr = find(&reply, payload::NONCE).unwrap();
        let answer = SecurityAssociation::read(find(&reply, payload::SA).unwrap()).unwrap();
        let theirs = u32::from_be_bytes(answer.proposals[0].spi.clone().try_into().unwrap());
        let shared = secret.zip(find(&reply, payload::KE)).map(|(secret, ke)| secret.agree(ke).unwrap());
        let shared = shared.map(|shared| shared.expose().to_vec()).unwrap_or_default();
        let last = self.seal(&mut iv, exchange::QUICK, id, &[(payload::HASH, keys.hash_3(id, &ni, nr))]);
        assert!(self.send(&last).is_empty());
        let pair = keys.child(protection(), &shared, [0x2001, theirs], [&ni, nr]);
        Pair::new(protection(), false, 0x2001, theirs, pair)
    }

    fn carries_traffic(&mut self, pair: &mut Pair) {
        let there = crate::sim::world::udp_packet([10, 200, 0, 7].into(), [10, 250, 0, 5].into(), 1);
        let sealed = pair.seal(&there, &mut self.random);
        assert_eq!(self.raw(sealed), Some(there));
        let back = crate::sim::world::udp_packet([10, 250, 0, 5].into(), [10, 200, 0, 7].into(), 2);
        assert!(self.gateway.send_packet(&back));
        let sealed = self.gateway.poll_datagram().unwrap().octets;
        assert_eq!(pair.open(&sealed), Some(back));
    }
}

#[test]
fn main_mode_an_address_and_a_child() {
    for group in [None, Some(Group::Ecp256)] {
        let mut script = Script::new(|settings| settings.pfs = group);
        script.main_mode(1);
        assert_eq!(script.gateway.sa_count(), 1);
        assert_eq!(script.pull_address(), [10, 200, 0, 7]);
        let mut pair = script.quick_mode(group);
        assert_eq!((script.gateway.child_count(), script.gateway.counts().quick), (1, (1, 0)));
        script.carries_traffic(&mut pair);
    }
}

#[test]
fn aggressive_mode_is_shorter() {
    let mut script = Script::new(|_| {});
    script.header.exchange = exchange::AGGRESSIVE;
    let sa = ike_offer(1);
    let secret = EphemeralSecret::generate(Group::Ecp256, &mut script.random);
    let id = [&[2, 0, 0, 0][..], b"replica-1.example"].concat();
    let mut first = vec![
        (payload::SA, sa.clone()),
        (payload::KE, secret.public().to_vec()),
        (payload::NONCE, vec![3; 16]),
        (payload::ID, id.clone()),
    ];
    first.extend(Script::vendors());
    let reply = script.clear(&first);
    script.derive(sa, secret, vec![3; 16], &reply);
    let keys = script.keys.clone().unwrap();
    assert_eq!(find(&reply, payload::HASH).unwrap(), keys.hash_r(find(&reply, payload::ID).unwrap()));
    let mut third = vec![(payload::HASH, keys.hash_i(&id))];
    third.extend(script.nat_detection());
    script.port = 4500;
    let mut iv = keys.first_iv();
    let third = script.seal(&mut iv, exchange::AGGRESSIVE, 0, &third);
    assert!(script.send(&third).is_empty());
    script.last_block = iv;
    assert_eq!(script.pull_address(), [10, 200, 0, 7]);
    let mut pair = script.quick_mode(None);
    script.carries_traffic(&mut pair);
}

#[test]
fn name_and_password_come_before_an_address() {
    let mut script = Script::new(|settings| settings.xauth = Some(scene::account()));
    script.main_mode(65001);
    let asked = script.received().remove(0);
    let (header, _) = Header::read(&asked).unwrap();
    let keys = script.keys.clone().unwrap();
    let (payloads, mut iv) = script.open(&asked, 0, Vec::new());
    let request = Configuration::read(find(&payloads, payload::ATTRIBUTES).unwrap()).unwrap();
    let attributes = vec![
        Attribute::long(attribute::XAUTH_USER_NAME, scene::USER.as_bytes()),
        Attribute::long(attribute::XAUTH_USER_PASSWORD, scene::PASSWORD),
    ];
    let reply = Configuration { kind: Configuration::REPLY, identifier: request.identifier, attributes }.payload();
    let hash = keys.hash_1(header.id, &write_chain(std::slice::from_ref(&reply)));
    let reply = script.seal(&mut iv, exchange::TRANSACTION, header.id, &[(payload::HASH, hash), reply]);
    let told = script.send(&reply).remove(0);
    let (payloads, _) = script.open(&told, 0, Vec::new());
    let status = Configuration::read(find(&payloads, payload::ATTRIBUTES).unwrap()).unwrap();
    assert_eq!(status.get(attribute::XAUTH_STATUS).unwrap().number(), Some(1));
    assert_eq!(script.gateway.counts().xauth, (1, 0));
    assert_eq!(script.pull_address(), [10, 200, 0, 7]);
}

#[test]
fn the_gateway_replaces_a_child_by_itself() {
    let mut script = Script::new(|settings| {
        settings.impairments = vec![Impairment::After(Duration::from_secs(5), Deed::Rekey)];
    });
    script.main_mode(1);
    script.pull_address();
    script.quick_mode(None);
    script.now = script.gateway.poll_timeout().unwrap();
    script.gateway.handle_timeout(script.now);
    let asked = script.received().remove(0);
    let (header, _) = Header::read(&asked).unwrap();
    let (payloads, _) = script.open(&asked, 0, Vec::new());
    let ids: Vec<&[u8]> = find_all(&payloads, payload::ID).collect();
    assert_eq!((header.exchange, ids[1]), (exchange::QUICK, &[1, 0, 0, 0, 10, 200, 0, 7][..]));
    assert_eq!(payloads[0].1, script.keys.as_ref().unwrap().hash_1(header.id, &write_chain(&payloads[1..])));
}

#[test]
fn a_wrong_proof_makes_no_sa() {
    let mut script = Script::new(|settings| settings.psk = b"another key".to_vec());
    script.first_four(1);
    let (fifth, _) = script.fifth();
    let (header, _) = Header::read(&script.send(&fifth)[0]).unwrap();
    assert_eq!((header.exchange, header.flags), (exchange::INFORMATIONAL, 0));
    assert_eq!((script.gateway.sa_count(), script.gateway.counts().auth_failed), (0, 1));
}
