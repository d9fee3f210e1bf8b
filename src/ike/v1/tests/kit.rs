//! A session and a gateway beside it, both driven by hand. The gateway says what a test wants it to say.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::cipher::{AesKey, Cbc, Integrity, Protection};
use crate::crypto::dh::{EphemeralSecret, Group};
use crate::crypto::prf::Prf;
use crate::crypto::random::{Random, SeededRandom};
use crate::crypto::secret::Secret;
use crate::ike::action::{Action, Command, DropReason, Event, Failure, Transmit};
use crate::ike::identity::Identity;
use crate::ike::nat::detection_input;
use crate::ike::profile::{
    AddressRequest, ChildProfile, Ikev1, Phase1Mode, Profile, Protocol, RetransmissionPolicy, Xauth,
};
use crate::ike::session::Session;
use crate::ike::v1::header::{Cookies, ExchangeType, Flags, Header, PayloadType};
use crate::ike::v1::iv::Iv;
use crate::ike::v1::keys::{Exchanged, Skeyid, hash_of};
use crate::ike::v1::message::*;
use crate::ike::v1::offer::{self, Method};
use crate::ike::v1::protect::Cipher;
use crate::ike::wire::chain::Contents;
use crate::ike::wire::registry;
use crate::sa::lifetime::Lifetime;
use crate::sa::path::{Framing, Path};
use crate::sa::selector::Selector;
use crate::sa::spi::IkeSpi;
use crate::sa::suite::{EsnOffer, EspOffer, IkeOffer, IkeSuite, ProtectionOffer};
use crate::time::Instant;

pub(super) const PSK: &[u8] = b"correct horse battery staple";
pub(super) const USER: &str = "anna";
pub(super) const PASSWORD: &[u8] = b"a password nobody guesses";

/// MD5 of "RFC 3947", and of "draft-ietf-ipsec-nat-t-ike-03".
pub(super) const RFC_3947: [u8; 16] =
    [0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45, 0x5c, 0x57, 0x28, 0xf2, 0x0e, 0x95, 0x45, 0x2f];
pub(super) const DRAFT_03: [u8; 16] =
    [0x7d, 0x94, 0x19, 0xa6, 0x53, 0x10, 0xca, 0x6f, 0x2c, 0x17, 0x9d, 0x92, 0x15, 0x52, 0x9d, 0x56];

pub(super) fn at(millis: u64) -> Instant {
    Instant::from_start(Duration::from_millis(millis))
}

pub(super) fn path_500() -> Path {
    Path {
        local: "192.0.2.10:40000".parse().unwrap(),
        remote: "198.51.100.1:500".parse().unwrap(),
        framing: Framing::Bare,
    }
}

pub(super) fn path_4500() -> Path {
    Path { remote: "198.51.100.1:4500".parse().unwrap(), framing: Framing::Marked, ..path_500() }
}

pub(super) fn offer() -> IkeOffer {
    IkeOffer {
        protection: ProtectionOffer::CbcHmac {
            encryption: vec![Cbc::Aes(AesKey::Aes256)],
            integrity: vec![Integrity::HmacSha256_128],
        },
        prfs: vec![Prf::HmacSha256],
        groups: vec![Group::Ecp256],
    }
}

pub(super) fn suite() -> IkeSuite {
    IkeSuite {
        protection: Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 },
        prf: Prf::HmacSha256,
        group: Group::Ecp256,
    }
}

/// Main mode, and an address by Mode Config.
pub(super) fn profile() -> Profile {
    Profile {
        protocol: Protocol::Ikev1(Arc::new(Ikev1 { mode: Phase1Mode::Main, xauth: None })),
        local_identity: Identity::Fqdn("replica-1.example".into()),
        remote_identities: vec![Identity::Fqdn("gateway.example".into())],
        send_remote_identity: false,
        psk: Arc::new(Secret::copy_of(PSK)),
        ike_offers: vec![offer()],
        ike_lifetime: Lifetime { time: Some(Duration::from_secs(3600)), ..Lifetime::default() },
        request: AddressRequest { ipv4: Some(Ipv4Addr::UNSPECIFIED), dns: true, ..AddressRequest::default() },
        child: ChildProfile {
            first_id: crate::sa::command::ChildId(0),
            offers: vec![EspOffer { protection: offer().protection, pfs: Vec::new(), esn: EsnOffer::Without }],
            local: vec![Selector::any_v4()],
            remote: vec![Selector::from_prefix([10, 250, 0, 0].into(), 24).unwrap()],
            lifetime: Lifetime::default(),
            replay_window: 1024,
            verify_pfs: false,
        },
        encapsulation_port: 4500,
        retransmission: RetransmissionPolicy { jitter_percent: 0, ..RetransmissionPolicy::default() },
        dpd: None,
        keepalive: Duration::from_secs(20),
        fragmentation: None,
        initial_contact: false,
        mobike: false,
        nonce_len: 32,
    }
}

pub(super) fn with_mode(mode: Phase1Mode, profile: Profile) -> Profile {
    Profile { protocol: Protocol::Ikev1(Arc::new(Ikev1 { mode, xauth: None })), ..profile }
}

pub(super) fn aggressive() -> Profile {
    with_mode(Phase1Mode::Aggressive, profile())
}

pub(super) fn with_xauth(mode: Phase1Mode) -> Profile {
    let xauth = Some(Xauth { user: USER.into(), password: Secret::copy_of(PASSWORD) });
    Profile { protocol: Protocol::Ikev1(Arc::new(Ikev1 { mode, xauth })), ..profile() }
}

/// A site-to-site client: no address is asked for.
pub(super) fn without_request() -> Profile {
    Profile { request: AddressRequest::default(), ..profile() }
}

/// A session, and everything it wanted done so far.
pub(super) struct Client {
    pub(super) session: Session,
    pub(super) now: Instant,
    pub(super) sent: Vec<Transmit>,
    pub(super) events: Vec<Event>,
}

impl Client {
    pub(super) fn new(profile: Profile) -> Self {
        Self::on(profile, path_500())
    }

    pub(super) fn on(profile: Profile, path: Path) -> Self {
        Self::seeded(profile, path, 7)
    }

    pub(super) fn seeded(profile: Profile, path: Path, seed: u64) -> Self {
        let session = Session::initiate(Arc::new(profile), path, Box::new(SeededRandom::new(seed)), Instant::START);
        let mut client = Self { session, now: Instant::START, sent: Vec::new(), events: Vec::new() };
        client.collect();
        client
    }

    fn collect(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Transmit(transmit) => self.sent.push(transmit),
                Action::Data(_) => {}
                Action::Event(event) => self.events.push(event),
            }
        }
    }

    /// Hands a message over; what the session sends because of it.
    pub(super) fn receive(&mut self, path: Path, message: &[u8]) -> Vec<Transmit> {
        let before = self.sent.len();
        self.session.handle_datagram(self.now, path, message);
        self.collect();
        self.sent[before..].to_vec()
    }

    /// Hands over a message that is dropped for `reason`: nothing is sent, and it is waited for the same.
    pub(super) fn drops_it(&mut self, path: Path, message: &[u8], reason: DropReason) {
        let (status, events, deadline) = (self.session.status(), self.events.len(), self.session.poll_timeout());
        assert_eq!(self.receive(path, message), []);
        assert_eq!(self.events[events..], [Event::Dropped(reason)]);
        assert_eq!((self.session.status(), self.session.poll_timeout()), (status, deadline));
    }

    pub(super) fn command(&mut self, command: Command) -> Vec<Transmit> {
        let before = self.sent.len();
        self.session.handle_command(self.now, command);
        self.collect();
        self.sent[before..].to_vec()
    }

    /// Lets time pass, stopping at each deadline.
    pub(super) fn wait(&mut self, millis: u64) -> Vec<Transmit> {
        let (before, until) = (self.sent.len(), self.now.after(Duration::from_millis(millis)));
        for _ in 0..10_000 {
            let Some(deadline) = self.session.poll_timeout().filter(|deadline| deadline.at <= until) else { break };
            self.now = self.now.max(deadline.at);
            self.session.handle_timeout(self.now);
            self.collect();
        }
        assert!(self.session.poll_timeout().is_none_or(|deadline| deadline.at > until), "a deadline that stays");
        self.now = until;
        self.sent[before..].to_vec()
    }

    pub(super) fn state(&self) -> &'static str {
        self.session.status().state
    }

    pub(super) fn last(&self) -> Transmit {
        self.sent.last().unwrap().clone()
    }

    pub(super) fn drops(&self) -> Vec<DropReason> {
        let drops = self.events.iter().filter_map(|event| match event {
            Event::Dropped(reason) => Some(*reason),
            _ => None,
        });
        drops.collect()
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.events.iter().find_map(|event| match event {
            Event::Ended(failure) => Some(failure),
            _ => None,
        })
    }

    pub(super) fn has(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(wanted)
    }

    pub(super) fn is_authenticated(&self) -> bool {
        self.has(|event| matches!(event, Event::Authenticated { .. }))
    }

    /// Whether a quick mode was begun: nothing of the opening is waited for any more.
    pub(super) fn began_quick_mode(&self) -> bool {
        self.sent.iter().any(|sent| header(&sent.message).exchange == ExchangeType::QUICK_MODE)
    }
}

pub(super) fn header(message: &[u8]) -> Header {
    Header::parse(message).unwrap().0
}

pub(super) fn rest(message: &[u8]) -> &[u8] {
    Header::parse(message).unwrap().1
}

/// A message with the same header, changed.
pub(super) fn with_header(message: &[u8], change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let (mut header, rest) = Header::parse(message).unwrap();
    change(&mut header);
    [header.write(rest.len()).unwrap().as_slice(), rest].concat()
}

/// A responder: what it says can be set before it answers.
pub(super) struct Gateway {
    pub(super) cookie: IkeSpi,
    pub(super) psk: Vec<u8>,
    pub(super) identification: Identification,
    pub(super) method: Method,
    pub(super) lifetime: Option<Duration>,
    pub(super) vendor_ids: Vec<Vec<u8>>,
    /// What it takes for the client's address and its own.
    pub(super) seen: (SocketAddr, SocketAddr),
    pub(super) notifies: Vec<Notify>,
    pub(super) nonce: Vec<u8>,
    pub(super) suite: IkeSuite,
    pub(super) random: SeededRandom,
    pub(super) client: Option<IkeSpi>,
    pub(super) sa: Vec<u8>,
    pub(super) keys: Option<Keys>,
    pub(super) chains: Vec<(u32, Iv)>,
}

/// What phase 1 led to.
pub(super) struct Keys {
    pub(super) skeyid: Skeyid,
    pub(super) cipher: Cipher,
    pub(super) iv: Iv,
    publics: (Vec<u8>, Vec<u8>),
    nonces: (Vec<u8>, Vec<u8>),
}

impl Gateway {
    pub(super) fn new() -> Self {
        Self::seeded(1)
    }

    pub(super) fn seeded(seed: u64) -> Self {
        let mut random = SeededRandom::new(seed);
        let (mut cookie, mut nonce) = ([0; 8], vec![0; 32]);
        random.fill(&mut cookie);
        random.fill(&mut nonce);
        Self {
            cookie: IkeSpi::new(cookie).unwrap(),
            psk: PSK.to_vec(),
            identification: Identification::of(&Identity::Fqdn("gateway.example".into())),
            method: Method::PreSharedKey,
            lifetime: Some(Duration::from_secs(3600)),
            vendor_ids: vec![RFC_3947.to_vec()],
            seen: (path_500().local, path_500().remote),
            notifies: Vec::new(),
            nonce,
            suite: suite(),
            random,
            client: None,
            sa: Vec::new(),
            keys: None,
            chains: Vec::new(),
        }
    }

    /// Of clients that show name and password.
    pub(super) fn with_xauth() -> Self {
        Self { method: Method::XauthPreSharedKey, ..Self::new() }
    }

    pub(super) fn cookies(&self) -> Cookies {
        Cookies { initiator: self.client.unwrap(), responder: Some(self.cookie) }
    }

    fn header(&self, exchange: ExchangeType, message_id: u32) -> Header {
        let next_payload = PayloadType(0);
        Header { cookies: self.cookies(), next_payload, major: 1, exchange, flags: Flags::default(), message_id }
    }

    pub(super) fn in_clear(&self, exchange: ExchangeType, message_id: u32, contents: &Contents) -> Vec<u8> {
        let header = Header { next_payload: PayloadType(contents.first.0), ..self.header(exchange, message_id) };
        [header.write(contents.octets.len()).unwrap(), contents.octets.clone()].concat()
    }

    /// Encrypts a message of phase 1; the chain goes on behind it.
    pub(super) fn sealed(&mut self, exchange: ExchangeType, contents: &Contents) -> Vec<u8> {
        let header = self.header(exchange, 0);
        let keys = self.keys.as_mut().unwrap();
        keys.cipher.seal(&header, &mut keys.iv, contents).unwrap()
    }

    pub(super) fn choice(&self) -> Vec<u8> {
        let Protection::CbcHmac { encryption, integrity } = self.suite.protection else { panic!("an AEAD") };
        let offer = IkeOffer {
            protection: ProtectionOffer::CbcHmac { encryption: vec![encryption], integrity: vec![integrity] },
            prfs: vec![self.suite.prf],
            groups: vec![self.suite.group],
        };
        offer::phase1(&[offer], self.method, self.lifetime)
    }

    fn nat_detection(&self) -> Vec<Vec<u8>> {
        let (client, gateway) = self.seen;
        let cookies = (self.client.unwrap().to_octets(), self.cookie.to_octets());
        let of = |address| hash_of(self.suite.prf).digest(&[&detection_input(cookies.0, cookies.1, address)]);
        vec![of(client), of(gateway)]
    }

    /// The second message of main mode.
    pub(super) fn choose(&mut self, request: &[u8]) -> Vec<u8> {
        self.choose_with(request, |_| ())
    }

    pub(super) fn choose_with(&mut self, request: &[u8], change: impl FnOnce(&mut MainModeProposal)) -> Vec<u8> {
        let header = header(request);
        assert_eq!((header.exchange, header.message_id, header.cookies.responder), (ExchangeType::MAIN_MODE, 0, None));
        let asked = MainModeProposal::parse(header.next_payload, rest(request)).unwrap();
        self.client = Some(header.cookies.initiator);
        self.sa = asked.sa;
        let mut answer = MainModeProposal { sa: self.choice(), vendor_ids: self.vendor_ids.clone() };
        change(&mut answer);
        self.in_clear(ExchangeType::MAIN_MODE, 0, &answer.contents().unwrap())
    }

    /// The fourth.
    pub(super) fn exchange_keys(&mut self, request: &[u8]) -> Vec<u8> {
        self.exchange_keys_with(request, |_| ())
    }

    pub(super) fn exchange_keys_with(&mut self, request: &[u8], change: impl FnOnce(&mut MainModeKeys)) -> Vec<u8> {
        let header = header(request);
        assert_eq!((header.exchange, header.message_id), (ExchangeType::MAIN_MODE, 0));
        assert_eq!(header.cookies, self.cookies());
        let theirs = MainModeKeys::parse(header.next_payload, rest(request)).unwrap();
        let secret = EphemeralSecret::generate(self.suite.group, &mut self.random);
        let public = secret.public().to_vec();
        self.derive(secret, &theirs.key_exchange, &theirs.nonce);
        let mut answer = MainModeKeys {
            key_exchange: public,
            nonce: self.nonce.clone(),
            nat_detection: self.nat_detection(),
            vendor_ids: Vec::new(),
        };
        change(&mut answer);
        self.in_clear(ExchangeType::MAIN_MODE, 0, &answer.contents().unwrap())
    }

    fn derive(&mut self, secret: EphemeralSecret, public: &[u8], nonce: &[u8]) {
        let publics = (public.to_vec(), secret.public().to_vec());
        let shared = secret.agree(public).unwrap();
        let nonces = (nonce.to_vec(), self.nonce.clone());
        let exchanged = self.exchanged(&publics, &nonces);
        let skeyid = Skeyid::derive(self.suite, &Secret::copy_of(&self.psk), &shared, exchanged);
        let Protection::CbcHmac { encryption, .. } = self.suite.protection else { panic!("an AEAD") };
        let cipher = Cipher::new(encryption, &skeyid.cipher_key(encryption)).unwrap();
        let iv = Iv::of_phase1(hash_of(self.suite.prf), (&publics.0, &publics.1), cipher.block_len());
        self.keys = Some(Keys { skeyid, cipher, iv, publics, nonces });
    }

    fn exchanged<'a>(&self, publics: &'a (Vec<u8>, Vec<u8>), nonces: &'a (Vec<u8>, Vec<u8>)) -> Exchanged<'a> {
        Exchanged {
            publics: (&publics.0, &publics.1),
            nonces: (&nonces.0, &nonces.1),
            cookies: (self.client.unwrap().to_octets(), self.cookie.to_octets()),
        }
    }

    /// Reads the fifth message of main mode, and checks its proof.
    pub(super) fn read_proof(&mut self, request: &[u8]) -> Option<MainModeAuth> {
        let header = header(request);
        assert_eq!((header.exchange, header.message_id), (ExchangeType::MAIN_MODE, 0));
        assert!(header.flags.encrypted);
        let keys = self.keys.as_mut().unwrap();
        let (octets, next) = keys.cipher.open(&keys.iv, rest(request)).unwrap();
        let auth = MainModeAuth::parse(header.next_payload, &octets).ok()?;
        keys.iv = next;
        let keys = self.keys.as_ref().unwrap();
        let exchanged = self.exchanged(&keys.publics, &keys.nonces);
        let expected = keys.skeyid.hash_i(exchanged, &self.sa, &auth.identification_body);
        expected.matches(&auth.hash).then_some(auth)
    }

    /// HASH_R over our ID.
    pub(super) fn proof(&self) -> Vec<u8> {
        let keys = self.keys.as_ref().unwrap();
        let exchanged = self.exchanged(&keys.publics, &keys.nonces);
        keys.skeyid.hash_r(exchanged, &self.sa, &self.identification.body()).expose().to_vec()
    }

    /// HASH_I over an ID, as the client would make it.
    pub(super) fn client_proof(&self, id: &[u8]) -> Vec<u8> {
        let keys = self.keys.as_ref().unwrap();
        keys.skeyid.hash_i(self.exchanged(&keys.publics, &keys.nonces), &self.sa, id).expose().to_vec()
    }

    fn auth(&self) -> MainModeAuth {
        MainModeAuth {
            identification: self.identification.clone(),
            identification_body: self.identification.body(),
            hash: self.proof(),
            notifies: self.notifies.clone(),
            vendor_ids: Vec::new(),
        }
    }

    /// The sixth.
    pub(super) fn prove(&mut self, request: &[u8]) -> Vec<u8> {
        assert!(self.read_proof(request).is_some(), "the client's proof is right");
        self.prove_with(|_| ())
    }

    /// The sixth, after the fifth was read.
    pub(super) fn prove_with(&mut self, change: impl FnOnce(&mut MainModeAuth)) -> Vec<u8> {
        let mut auth = self.auth();
        change(&mut auth);
        self.sealed(ExchangeType::MAIN_MODE, &auth.contents().unwrap())
    }

    /// The second message of aggressive mode.
    pub(super) fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        self.answer_with(request, |_| ())
    }

    pub(super) fn answer_with(&mut self, request: &[u8], change: impl FnOnce(&mut AggressiveAnswer)) -> Vec<u8> {
        let header = header(request);
        assert_eq!((header.exchange, header.message_id, header.cookies.responder), (ExchangeType::AGGRESSIVE, 0, None));
        let asked = AggressiveOpening::parse(header.next_payload, rest(request)).unwrap();
        self.client = Some(header.cookies.initiator);
        self.sa = asked.sa;
        let secret = EphemeralSecret::generate(self.suite.group, &mut self.random);
        let public = secret.public().to_vec();
        self.derive(secret, &asked.key_exchange, &asked.nonce);
        let mut answer = AggressiveAnswer {
            sa: self.choice(),
            key_exchange: public,
            nonce: self.nonce.clone(),
            identification: self.identification.clone(),
            identification_body: self.identification.body(),
            hash: self.proof(),
            nat_detection: self.nat_detection(),
            vendor_ids: self.vendor_ids.clone(),
            notifies: Vec::new(),
        };
        change(&mut answer);
        self.in_clear(ExchangeType::AGGRESSIVE, 0, &answer.contents().unwrap())
    }

    /// Reads the third, which is encrypted.
    pub(super) fn read_last(&mut self, message: &[u8]) -> AggressiveProof {
        let header = header(message);
        assert_eq!((header.exchange, header.message_id), (ExchangeType::AGGRESSIVE, 0));
        assert!(header.flags.encrypted);
        let keys = self.keys.as_mut().unwrap();
        let (octets, next) = keys.cipher.open(&keys.iv, rest(message)).unwrap();
        keys.iv = next;
        AggressiveProof::parse(header.next_payload, &octets).unwrap()
    }

    fn chain(&self, message_id: u32) -> Iv {
        let known = self.chains.iter().find(|(known, _)| *known == message_id);
        known.map_or_else(|| self.first_iv(message_id), |(_, iv)| iv.clone())
    }

    fn first_iv(&self, message_id: u32) -> Iv {
        let keys = self.keys.as_ref().unwrap();
        Iv::of_exchange(hash_of(self.suite.prf), &keys.iv, message_id, keys.cipher.block_len())
    }

    fn goes_on(&mut self, message_id: u32, iv: Iv) {
        self.chains.retain(|(known, _)| *known != message_id);
        self.chains.push((message_id, iv));
    }

    /// A message after phase 1, with HASH(1) or what `hash` makes of it; the exchange's chain goes on behind it.
    pub(super) fn protected_with(
        &mut self,
        exchange: ExchangeType,
        message_id: u32,
        contents: &Contents,
        hash: impl FnOnce(Vec<u8>) -> Vec<u8>,
    ) -> Vec<u8> {
        let header = self.header(exchange, message_id);
        let mut iv = self.chain(message_id);
        let keys = self.keys.as_ref().unwrap();
        let hash = hash(keys.skeyid.hash_1(message_id, &contents.octets).expose().to_vec());
        let length = u16::try_from(hash.len() + 4).unwrap().to_be_bytes();
        let octets = [&[contents.first.0, 0], &length[..], &hash, &contents.octets].concat();
        let contents = Contents { first: registry::PayloadType(8), octets };
        let message = keys.cipher.seal(&header, &mut iv, &contents).unwrap();
        self.goes_on(message_id, iv);
        message
    }

    pub(super) fn protected(&mut self, exchange: ExchangeType, message_id: u32, contents: &Contents) -> Vec<u8> {
        self.protected_with(exchange, message_id, contents, |hash| hash)
    }

    /// Opens a message with HASH(1).
    pub(super) fn open(&mut self, message: &[u8]) -> (Header, PayloadType, Vec<u8>) {
        let header = header(message);
        assert!(header.flags.encrypted && header.message_id != 0);
        assert_eq!(header.cookies, self.cookies());
        let iv = self.chain(header.message_id);
        let keys = self.keys.as_ref().unwrap();
        let (octets, next) = keys.cipher.open(&iv, rest(message)).unwrap();
        let hashed = Hashed::parse(header.next_payload, &octets).unwrap();
        let expected = keys.skeyid.hash_1(header.message_id, hashed.rest);
        assert!(expected.matches(hashed.hash), "HASH(1) is right");
        let opened = (header, PayloadType(hashed.next), hashed.rest.to_vec());
        self.goes_on(header.message_id, next);
        opened
    }

    /// Opens a message of a transaction exchange.
    pub(super) fn open_attributes(&mut self, message: &[u8]) -> (u32, Attributes) {
        let (header, first, octets) = self.open(message);
        assert_eq!(header.exchange, ExchangeType::TRANSACTION);
        (header.message_id, Attributes::parse(first, &octets).unwrap())
    }

    pub(super) fn attributes(
        &mut self,
        message_id: u32,
        kind: u8,
        identifier: u16,
        attributes: &[(u16, &[u8])],
    ) -> Vec<u8> {
        let attributes = attributes.iter().map(|(kind, value)| (*kind, value.to_vec())).collect();
        let contents = Attributes { kind, identifier, attributes }.contents().unwrap();
        self.protected(ExchangeType::TRANSACTION, message_id, &contents)
    }

    pub(super) fn inform(&mut self, message_id: u32, words: &Informational) -> Vec<u8> {
        self.protected(ExchangeType::INFORMATIONAL, message_id, &words.contents().unwrap())
    }

    pub(super) fn open_words(&mut self, message: &[u8]) -> Informational {
        let (header, first, octets) = self.open(message);
        assert_eq!(header.exchange, ExchangeType::INFORMATIONAL);
        Informational::parse(first, &octets).unwrap()
    }

    pub(super) fn spi(&self) -> Vec<u8> {
        [self.client.unwrap().to_octets(), self.cookie.to_octets()].concat()
    }

    /// What tells that the ISAKMP SA is gone.
    pub(super) fn delete(&self) -> Informational {
        Informational { deletes: vec![Delete { protocol: 1, spis: vec![self.spi()] }], ..Informational::default() }
    }
}

/// An error in clear, in answer to `request`.
pub(super) fn error_in_clear(request: &[u8], responder: Option<IkeSpi>, kind: u16) -> Vec<u8> {
    let notify = Notify { protocol: 1, spi: Vec::new(), kind, data: Vec::new() };
    let words = Informational { notifies: vec![notify], ..Informational::default() };
    let contents = words.contents().unwrap();
    let header = Header {
        cookies: Cookies { initiator: header(request).cookies.initiator, responder },
        next_payload: PayloadType(contents.first.0),
        major: 1,
        exchange: ExchangeType::INFORMATIONAL,
        flags: Flags::default(),
        message_id: 0x1234_5678,
    };
    [header.write(contents.octets.len()).unwrap(), contents.octets].concat()
}

/// The second message was accepted: the third is sent.
pub(super) fn until_keys(profile: Profile, mut gateway: Gateway) -> (Client, Gateway) {
    let mut client = Client::new(profile);
    let answer = gateway.choose(&client.last().message);
    assert_eq!(client.receive(path_500(), &answer).len(), 1);
    (client, gateway)
}

/// The fourth was accepted: the fifth is sent, encapsulated.
pub(super) fn until_proof(profile: Profile, gateway: Gateway) -> (Client, Gateway) {
    let (mut client, mut gateway) = until_keys(profile, gateway);
    let answer = gateway.exchange_keys(&client.last().message);
    assert_eq!(client.receive(path_500(), &answer).len(), 1);
    assert_eq!(client.last().path, path_4500());
    (client, gateway)
}

/// Phase 1 is over, in whichever mode; what was sent then.
pub(super) fn authenticated(profile: Profile, mut gateway: Gateway) -> (Client, Gateway, Vec<Transmit>) {
    let Protocol::Ikev1(settings) = &profile.protocol else { panic!("not IKEv1") };
    if settings.mode == Phase1Mode::Main {
        let (mut client, mut gateway) = until_proof(profile, gateway);
        let answer = gateway.prove(&client.last().message);
        let sent = client.receive(path_4500(), &answer);
        assert!(client.is_authenticated(), "{:?}", client.events);
        return (client, gateway, sent);
    }
    let mut client = Client::new(profile);
    let answer = gateway.answer(&client.last().message);
    let mut sent = client.receive(path_500(), &answer);
    assert!(client.is_authenticated(), "{:?}", client.events);
    gateway.read_last(&sent.remove(0).message);
    (client, gateway, sent)
}
