//! A session and a gateway beside it, both driven by hand. The gateway says what a test wants it to say.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Protection};
use crate::crypto::dh::{EphemeralSecret, Group};
use crate::crypto::hash::sha1;
use crate::crypto::prf::Prf;
use crate::crypto::random::{Random, SeededRandom};
use crate::crypto::secret::Secret;
use crate::ike::action::{Action, Command, DropReason, Event, Failure, Transmit};
use crate::ike::identity::Identity;
use crate::ike::nat::detection_input;
use crate::ike::profile::{AddressRequest, ChildProfile, Profile, Protocol, RetransmissionPolicy};
use crate::ike::session::Session;
use crate::ike::v2::auth::{self, Signed};
use crate::ike::v2::fragment::{Fragment, Progress, Reassembly};
use crate::ike::v2::keys::{Exchanged, IkeKeys, first_skeyseed, ike_keys};
use crate::ike::v2::message::notify::Notify;
use crate::ike::v2::message::*;
use crate::ike::v2::protect::MessageProtection;
use crate::ike::wire::chain::{Contents, FragmentNumber, parse_inner, parse_outer};
use crate::ike::wire::header::{Flags, Header};
use crate::ike::wire::registry::{
    ConfigAttributeType, CpType, ExchangeType, NotifyType, PayloadType, ProtocolId, TransformType,
};
use crate::sa::command::DataCommand;
use crate::sa::lifetime::Lifetime;
use crate::sa::path::{Framing, Path};
use crate::sa::selector::Selector;
use crate::sa::spi::IkeSpi;
use crate::sa::suite::{EsnOffer, EspOffer, IkeOffer, IkeSuite, ProtectionOffer};
use crate::time::Instant;

pub(super) const PSK: &[u8] = b"correct horse battery staple";
pub(super) const OUTBOUND: [u8; 4] = [0xc0, 0xff, 0xee, 0x01];

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

pub(super) fn subnet(text: &str) -> Selector {
    let (address, len) = text.split_once('/').unwrap();
    Selector::from_prefix(address.parse().unwrap(), len.parse().unwrap()).unwrap()
}

pub(super) fn cbc_offer() -> IkeOffer {
    IkeOffer {
        protection: ProtectionOffer::CbcHmac {
            encryption: vec![Cbc::Aes(AesKey::Aes256), Cbc::Aes(AesKey::Aes128)],
            integrity: vec![Integrity::HmacSha256_128],
        },
        prfs: vec![Prf::HmacSha256],
        groups: vec![Group::Curve25519, Group::Ecp256, Group::Ecp384],
    }
}

pub(super) fn gcm_offer() -> IkeOffer {
    IkeOffer {
        protection: ProtectionOffer::Aead(vec![Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen)]),
        prfs: vec![Prf::HmacSha384],
        groups: vec![Group::Curve25519],
    }
}

pub(super) fn profile() -> Profile {
    Profile {
        protocol: Protocol::Ikev2,
        local_identity: Identity::Fqdn("replica-1.example".into()),
        remote_identities: vec![Identity::Fqdn("gateway.example".into())],
        send_remote_identity: true,
        psk: Arc::new(Secret::copy_of(PSK)),
        ike_offers: vec![cbc_offer(), gcm_offer()],
        ike_lifetime: Lifetime::default(),
        request: AddressRequest { ipv4: Some(Ipv4Addr::UNSPECIFIED), dns: true, ..AddressRequest::default() },
        child: ChildProfile {
            first_id: crate::sa::command::ChildId(1),
            offers: vec![EspOffer {
                protection: ProtectionOffer::CbcHmac {
                    encryption: vec![Cbc::Aes(AesKey::Aes256)],
                    integrity: vec![Integrity::HmacSha256_128],
                },
                pfs: vec![Group::Modp2048],
                esn: EsnOffer::Without,
            }],
            local: vec![Selector::any_v4()],
            remote: vec![subnet("10.250.0.0/24"), subnet("10.251.0.0/24")],
            lifetime: Lifetime::default(),
            replay_window: 1024,
            verify_pfs: false,
        },
        encapsulation_port: 4500,
        retransmission: RetransmissionPolicy { jitter_percent: 0, ..RetransmissionPolicy::default() },
        dpd: None,
        keepalive: Duration::from_secs(20),
        fragmentation: Some(1280),
        initial_contact: false,
        mobike: false,
        nonce_len: 32,
    }
}

/// A session, and everything it wanted done so far.
pub(super) struct Client {
    pub(super) session: Session,
    pub(super) now: Instant,
    pub(super) sent: Vec<Transmit>,
    pub(super) data: Vec<DataCommand>,
    pub(super) events: Vec<Event>,
}

impl Client {
    pub(super) fn new(profile: Profile) -> Self {
        Self::on(profile, path_500())
    }

    pub(super) fn on(profile: Profile, path: Path) -> Self {
        let session = Session::initiate(Arc::new(profile), path, Box::new(SeededRandom::new(7)), Instant::START);
        let mut client = Self { session, now: Instant::START, sent: Vec::new(), data: Vec::new(), events: Vec::new() };
        client.collect();
        client
    }

    fn collect(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Transmit(transmit) => self.sent.push(transmit),
                Action::Data(command) => self.data.push(command),
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

    pub(super) fn command(&mut self, command: Command) -> Vec<Transmit> {
        let before = self.sent.len();
        self.session.handle_command(self.now, command);
        self.collect();
        self.sent[before..].to_vec()
    }

    /// Lets time pass, stopping at each deadline.
    pub(super) fn wait_until(&mut self, until: Instant) -> Vec<Transmit> {
        let before = self.sent.len();
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

    pub(super) fn wait(&mut self, millis: u64) -> Vec<Transmit> {
        self.wait_until(self.now.after(Duration::from_millis(millis)))
    }

    pub(super) fn state(&self) -> &'static str {
        self.session.status().state
    }

    pub(super) fn last_message(&self) -> &[u8] {
        &self.sent.last().unwrap().message
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

    pub(super) fn is_up(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::ChildUp(_)))
    }
}

/// A responder: what it chooses can be set before it answers.
pub(super) struct Gateway {
    pub(super) spi: IkeSpi,
    pub(super) suite: IkeSuite,
    pub(super) proposal: u8,
    pub(super) nonce: Vec<u8>,
    pub(super) psk: Vec<u8>,
    pub(super) identity: Identity,
    pub(super) sa_init_notifies: Vec<Notify>,
    pub(super) random: SeededRandom,
}

/// A gateway that answered IKE_SA_INIT.
pub(super) struct HalfOpen {
    pub(super) request: Vec<u8>,
    pub(super) response: Vec<u8>,
    pub(super) keys: IkeKeys,
    pub(super) protection: MessageProtection,
    pub(super) suite: IkeSuite,
    pub(super) psk: Vec<u8>,
    pub(super) identity: Identity,
    pub(super) spis: (IkeSpi, IkeSpi),
    pub(super) nonces: (Vec<u8>, Vec<u8>),
    pub(super) random: SeededRandom,
}

pub(super) fn cbc_suite() -> IkeSuite {
    IkeSuite {
        protection: Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 },
        prf: Prf::HmacSha256,
        group: Group::Curve25519,
    }
}

pub(super) fn gcm_suite() -> IkeSuite {
    IkeSuite {
        protection: Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen)),
        prf: Prf::HmacSha384,
        group: Group::Curve25519,
    }
}

pub(super) fn parse_sa_init(message: &[u8]) -> (Header, SaInitRequest) {
    let (header, rest) = Header::parse(message).unwrap();
    let outer = parse_outer(&header, rest).unwrap();
    (header, SaInitRequest::parse(&outer.clear).unwrap())
}

/// An IKE_SA_INIT response in clear.
pub(super) fn sa_init_message(request: &[u8], responder_spi: Option<IkeSpi>, contents: &Contents) -> Vec<u8> {
    let (header, _) = Header::parse(request).unwrap();
    let header = Header { responder_spi, flags: Flags { initiator: false, response: true }, ..header };
    header.message(contents).unwrap()
}

/// An IKE_SA_INIT response that only notifies.
pub(super) fn notified(request: &[u8], notify: Notify) -> Vec<u8> {
    let contents = SaInitResponse::Notified(SaInitNotified { notifies: vec![notify] }).contents().unwrap();
    sa_init_message(request, None, &contents)
}

pub(super) fn chosen(suite: IkeSuite) -> Vec<Transform> {
    let offer = IkeOffer {
        protection: match suite.protection {
            Protection::Aead(aead) => ProtectionOffer::Aead(vec![aead]),
            Protection::CbcHmac { encryption, integrity } => {
                ProtectionOffer::CbcHmac { encryption: vec![encryption], integrity: vec![integrity] }
            }
        },
        prfs: vec![suite.prf],
        groups: vec![suite.group],
    };
    crate::ike::proposal::offer_ike(&[offer]).proposals.remove(0).transforms
}

impl Gateway {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = SeededRandom::new(seed);
        let mut spi = [0; 8];
        random.fill(&mut spi);
        let mut nonce = vec![0; 32];
        random.fill(&mut nonce);
        Self {
            spi: IkeSpi::new(spi).unwrap(),
            suite: cbc_suite(),
            proposal: 1,
            nonce,
            psk: PSK.to_vec(),
            identity: Identity::Fqdn("gateway.example".into()),
            sa_init_notifies: vec![Notify::new(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED)],
            random,
        }
    }

    pub(super) fn with_gcm(seed: u64) -> Self {
        Self { suite: gcm_suite(), proposal: 2, ..Self::new(seed) }
    }

    /// Chooses, and computes its keys.
    pub(super) fn answer(mut self, request: &[u8]) -> HalfOpen {
        let (header, parsed) = parse_sa_init(request);
        let secret = EphemeralSecret::generate(self.suite.group, &mut self.random);
        let public = secret.public().to_vec();
        let nonce = Nonce::new(self.nonce.clone()).unwrap();
        let spis = (header.initiator_spi, self.spi);
        let hash = |address: std::net::SocketAddr| {
            sha1(&[&detection_input(spis.0.to_octets(), spis.1.to_octets(), address)]).to_vec()
        };
        let mut notifies = vec![
            Notify::new(NotifyType::NAT_DETECTION_SOURCE_IP).with_data(hash(path_500().remote)),
            Notify::new(NotifyType::NAT_DETECTION_DESTINATION_IP).with_data(hash(path_500().local)),
        ];
        notifies.append(&mut self.sa_init_notifies);
        let proposal = Proposal {
            number: self.proposal,
            protocol: ProtocolId::IKE,
            spi: Vec::new(),
            transforms: chosen(self.suite),
        };
        let accepted = SaInitAccepted {
            security_association: SecurityAssociation { proposals: vec![proposal] },
            key_exchange: KeyExchange { group: crate::ike::proposal::group_number(self.suite.group), data: public },
            nonce,
            notifies,
        };
        let contents = SaInitResponse::Accepted(Box::new(accepted)).contents().unwrap();
        let response = sa_init_message(request, Some(self.spi), &contents);
        // With a public value of another group there is nothing to agree on, and the keys do not matter.
        let shared = secret.agree(&parsed.key_exchange.data).unwrap_or_else(|_| Secret::copy_of(&[1; 32]));
        let nonces = (parsed.nonce.octets().to_vec(), self.nonce.clone());
        let exchanged = Exchanged {
            initiator_nonce: &nonces.0,
            responder_nonce: &nonces.1,
            initiator_spi: spis.0.to_octets(),
            responder_spi: spis.1.to_octets(),
        };
        let skeyseed = first_skeyseed(self.suite.prf, &shared, exchanged.initiator_nonce, exchanged.responder_nonce);
        let keys = ike_keys(self.suite, &skeyseed, exchanged).unwrap();
        let protection = MessageProtection::new(self.suite.protection, &keys.responder, &keys.initiator).unwrap();
        HalfOpen {
            request: request.to_vec(),
            response,
            keys,
            protection,
            suite: self.suite,
            psk: self.psk,
            identity: self.identity,
            spis,
            nonces,
            random: self.random,
        }
    }
}

impl HalfOpen {
    pub(super) fn header(&self, exchange: ExchangeType, message_id: u32, response: bool) -> Header {
        Header {
            initiator_spi: self.spis.0,
            responder_spi: Some(self.spis.1),
            next_payload: PayloadType::NONE,
            major: 2,
            minor: 0,
            exchange,
            flags: Flags { initiator: false, response },
            message_id,
        }
    }

    /// What we were asked, put together from all datagrams of the request.
    pub(super) fn read(&self, datagrams: &[Transmit]) -> (Header, PayloadType, Vec<u8>) {
        let mut reassembly = Reassembly::new();
        for datagram in datagrams {
            let Ok(opened) = self.protection.open(&datagram.message) else { continue };
            let Some(number) = opened.fragment else { return (opened.header, opened.first, opened.content) };
            let exchange = opened.header.exchange;
            let fragment = Fragment { exchange, number, first: opened.first, content: opened.content };
            if let Progress::Complete { first, inner, .. } = reassembly.insert(fragment).unwrap() {
                return (opened.header, first, inner);
            }
        }
        panic!("not a whole message for this gateway");
    }

    pub(super) fn read_auth(&self, datagrams: &[Transmit]) -> AuthRequest {
        let (header, first, inner) = self.read(datagrams);
        assert_eq!((header.exchange, header.message_id), (ExchangeType::IKE_AUTH, 1));
        AuthRequest::parse(&parse_inner(first, &inner).unwrap()).unwrap()
    }

    /// Whether our AUTH is right, by the responder's view of what travelled.
    pub(super) fn believes(&self, request: &AuthRequest) -> bool {
        let signed = Signed { first_message: &self.request, other_nonce: &self.nonces.1, sk_p: &self.keys.sk_pi };
        auth::prove(self.suite.prf, &Secret::copy_of(&self.psk), signed, &request.initiator) == request.authentication
    }

    /// A good answer to a good request.
    pub(super) fn proof(&self) -> AuthProof {
        let responder = Identification::of(&self.identity);
        let authentication = self.authentication(&responder);
        let transforms = vec![
            Transform::new(TransformType::ENCRYPTION, 12).with_key_length(256),
            Transform::new(TransformType::INTEGRITY, 12),
            Transform::new(TransformType::SEQUENCE_NUMBERS, 0),
        ];
        let proposal = Proposal { number: 1, protocol: ProtocolId::ESP, spi: OUTBOUND.to_vec(), transforms };
        AuthProof {
            responder,
            authentication,
            configuration: Some(Configuration {
                kind: CpType::CFG_REPLY,
                attributes: vec![
                    Attribute { kind: ConfigAttributeType::INTERNAL_IP4_ADDRESS, value: vec![10, 200, 0, 7] },
                    Attribute { kind: ConfigAttributeType::INTERNAL_IP4_DNS, value: vec![10, 250, 0, 53] },
                ],
            }),
            child: ChildAnswer::Accepted {
                security_association: SecurityAssociation { proposals: vec![proposal] },
                traffic_selector_initiator: TrafficSelectors(vec![subnet("10.200.0.7/32")]),
                traffic_selector_responder: TrafficSelectors(vec![subnet("10.250.0.0/24")]),
            },
            notifies: vec![],
        }
    }

    pub(super) fn authentication(&self, responder: &Identification) -> Authentication {
        let signed = Signed { first_message: &self.response, other_nonce: &self.nonces.0, sk_p: &self.keys.sk_pr };
        auth::prove(self.suite.prf, &Secret::copy_of(&self.psk), signed, responder)
    }

    pub(super) fn seal(&mut self, header: Header, contents: &Contents) -> Vec<u8> {
        self.protection.seal(&header, contents, &mut self.random).unwrap()
    }

    pub(super) fn seal_auth(&mut self, response: AuthResponse) -> Vec<u8> {
        let header = self.header(ExchangeType::IKE_AUTH, 1, true);
        self.seal(header, &response.contents().unwrap())
    }

    pub(super) fn seal_proof(&mut self, proof: AuthProof) -> Vec<u8> {
        self.seal_auth(AuthResponse::Proof(Box::new(proof)))
    }

    pub(super) fn seal_refusal(&mut self, kind: NotifyType) -> Vec<u8> {
        let error = Notify::new(kind);
        self.seal_auth(AuthResponse::Refused { notifies: vec![error.clone()], error })
    }

    /// A good proof with the child refused.
    pub(super) fn seal_child_refusal(&mut self, kind: NotifyType) -> Vec<u8> {
        let error = Notify::new(kind);
        let proof = self.proof();
        self.seal_proof(AuthProof {
            configuration: None,
            child: ChildAnswer::Refused { error: error.clone() },
            notifies: vec![error],
            ..proof
        })
    }

    /// The good answer in fragments of `size` octets.
    pub(super) fn seal_in_fragments(&mut self, size: usize) -> Vec<Vec<u8>> {
        let contents = AuthResponse::Proof(Box::new(self.proof())).contents().unwrap();
        let header = self.header(ExchangeType::IKE_AUTH, 1, true);
        let pieces: Vec<Vec<u8>> = contents.octets.chunks(size).map(<[u8]>::to_vec).collect();
        let total = u16::try_from(pieces.len()).unwrap();
        let mut sealed = Vec::new();
        for (number, piece) in (1..).zip(pieces) {
            let first = if number == 1 { contents.first } else { PayloadType::NONE };
            let number = FragmentNumber { number, total };
            sealed.push(self.protection.seal_fragment(&header, number, first, &piece, &mut self.random).unwrap());
        }
        sealed
    }

    /// What the client said last under these keys.
    pub(super) fn read_informational(&self, datagrams: &[Transmit]) -> Informational {
        let (header, first, inner) = self.read(datagrams);
        assert_eq!((header.exchange, header.message_id), (ExchangeType::INFORMATIONAL, 2));
        Informational::parse(&parse_inner(first, &inner).unwrap()).unwrap()
    }
}

/// A client that sent IKE_AUTH to a gateway, and the datagrams of it.
pub(super) fn half_open(profile: Profile, gateway: Gateway) -> (Client, HalfOpen, Vec<Transmit>) {
    let mut client = Client::new(profile);
    let half_open = gateway.answer(client.last_message());
    let auth = client.receive(path_500(), &half_open.response);
    (client, half_open, auth)
}
