//! Both ends of an ISAKMP SA, made without phase 1, and a session on one of them.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::cipher::{AesKey, Cbc, Integrity, Protection, ProtectionKeys};
use crate::crypto::dh::{EphemeralSecret, Group};
use crate::crypto::prf::Prf;
use crate::crypto::random::{Random, SeededRandom};
use crate::crypto::secret::Secret;
use crate::ike::action::{Action, Command, Configuration, DropReason, Event, Failure, Outer, Transmit};
use crate::ike::context::Context;
use crate::ike::identity::Identity;
use crate::ike::profile::{AddressRequest, ChildProfile, Ikev1, Phase1Mode, Profile, Protocol, RetransmissionPolicy};
use crate::ike::v1::State;
use crate::ike::v1::answers::Answers;
use crate::ike::v1::established::Established;
use crate::ike::v1::header::{Cookies, ExchangeType, Header, PayloadType};
use crate::ike::v1::isakmp_sa::{Agreed, IsakmpSa, PeerAuthenticated};
use crate::ike::v1::iv::Iv;
use crate::ike::v1::keys::{Exchanged, Skeyid};
use crate::ike::v1::message::{Hashed, Identification, Informational, Notify, QuickModeProposal};
use crate::ike::v1::offer::{self, Phase2Terms};
use crate::ike::v1::opening::Opened;
use crate::ike::v1::protect::Cipher;
use crate::ike::v1::vendor::{NatTraversal, PeerCapabilities};
use crate::ike::wire::chain::Contents;
use crate::ike::wire::registry;
use crate::sa::command::{ChildId, DataCommand, DataReport, InboundParameters, OutboundParameters};
use crate::sa::lifetime::Lifetime;
use crate::sa::path::{Framing, Path};
use crate::sa::selector::Selector;
use crate::sa::spi::{IkeSpi, InboundSpi};
use crate::sa::suite::{EsnOffer, EspOffer, EspSuite, IkeSuite, ProtectionOffer};
use crate::time::Instant;

pub(super) const NO_PROPOSAL_CHOSEN: u16 = 14;
pub(super) const INVALID_ID_INFORMATION: u16 = 18;
pub(super) const R_U_THERE: u16 = 36136;
pub(super) const R_U_THERE_ACK: u16 = 36137;

pub(super) fn at(millis: u64) -> Instant {
    Instant::from_start(Duration::from_millis(millis))
}

pub(super) fn subnet(text: &str) -> Selector {
    let (address, len) = text.split_once('/').unwrap();
    Selector::from_prefix(address.parse().unwrap(), len.parse().unwrap()).unwrap()
}

pub(super) fn path() -> Path {
    Path {
        local: "192.0.2.10:40000".parse().unwrap(),
        remote: "198.51.100.1:4500".parse().unwrap(),
        framing: Framing::Marked,
    }
}

pub(super) fn profile() -> Profile {
    Profile {
        protocol: Protocol::Ikev1(settings()),
        local_identity: Identity::Fqdn("replica-1.example".into()),
        remote_identities: vec![Identity::Fqdn("gateway.example".into())],
        send_remote_identity: false,
        psk: Arc::new(Secret::copy_of(b"psk")),
        ike_offers: Vec::new(),
        ike_lifetime: Lifetime::default(),
        request: AddressRequest { ipv4: Some(Ipv4Addr::UNSPECIFIED), dns: true, ..AddressRequest::default() },
        child: ChildProfile {
            first_id: crate::sa::command::ChildId(0),
            offers: vec![EspOffer {
                protection: ProtectionOffer::CbcHmac {
                    encryption: vec![Cbc::Aes(AesKey::Aes256)],
                    integrity: vec![Integrity::HmacSha256_128],
                },
                pfs: Vec::new(),
                esn: EsnOffer::Without,
            }],
            local: vec![Selector::any_v4()],
            remote: vec![subnet("10.250.0.0/24")],
            lifetime: Lifetime { time: Some(Duration::from_secs(3600)), ..Lifetime::default() },
            replay_window: 1024,
            verify_pfs: false,
        },
        encapsulation_port: 4500,
        retransmission: RetransmissionPolicy { jitter_percent: 0, ..RetransmissionPolicy::default() },
        dpd: None,
        keepalive: Duration::ZERO,
        fragmentation: Some(1280),
        initial_contact: false,
        mobike: false,
        nonce_len: 32,
    }
}

pub(super) fn with_forward_secrecy(mut profile: Profile) -> Profile {
    profile.child.offers[0].pfs = vec![Group::Ecp256];
    profile
}

pub(super) fn living_for(mut profile: Profile, seconds: u64) -> Profile {
    profile.child.lifetime.time = Some(Duration::from_secs(seconds));
    profile
}

pub(super) fn reaching(mut profile: Profile, subnets: &[&str]) -> Profile {
    profile.child.remote = subnets.iter().map(|text| subnet(text)).collect();
    profile
}

fn settings() -> Arc<Ikev1> {
    Arc::new(Ikev1 { mode: Phase1Mode::Main, xauth: None })
}

/// It does not say that it answers questions: nothing is asked, and the first set is complete when we are.
pub(super) const CAPABILITIES: PeerCapabilities = PeerCapabilities {
    nat_traversal: Some(NatTraversal::Rfc3947),
    dpd: false,
    xauth: true,
    unity: true,
    fragmentation: false,
};

/// One end of the SA with this number; both ends have the same.
pub(super) fn isakmp_sa(number: u8, capabilities: PeerCapabilities, lifetime: Option<Duration>) -> IsakmpSa {
    let encryption = Cbc::Aes(AesKey::Aes256);
    let protection = Protection::CbcHmac { encryption, integrity: Integrity::HmacSha256_128 };
    let suite = IkeSuite { protection, prf: Prf::HmacSha256, group: Group::Modp2048 };
    let cookies = ([number; 8], [number | 0x80; 8]);
    let exchanged = Exchanged { publics: (&[1; 256], &[2; 256]), nonces: (&[3; 32], &[4; 32]), cookies };
    let skeyid = Skeyid::derive(suite, &Secret::copy_of(b"psk"), &Secret::copy_of(&[number; 256]), exchanged);
    let cipher = Cipher::new(encryption, &skeyid.cipher_key(encryption)).unwrap();
    let phase1_iv = Iv::of_phase1(crate::crypto::hash::Hash::Sha256, exchanged.publics, cipher.block_len());
    let proof = PeerAuthenticated::check(&Secret::copy_of(&[7]), &[7]).unwrap();
    let cookies = Cookies { initiator: IkeSpi::new(cookies.0).unwrap(), responder: IkeSpi::new(cookies.1) };
    IsakmpSa::new(
        proof,
        Agreed {
            cookies,
            suite,
            skeyid,
            cipher,
            phase1_iv,
            capabilities,
            path: path(),
            established_at: Instant::START,
            ends_at: lifetime.map(|time| Instant::START.after(time)),
        },
    )
}

pub(super) fn configuration() -> Configuration {
    Configuration { addresses: vec![("10.200.0.7".parse().unwrap(), 32)], ..Configuration::default() }
}

/// The session, and everything it wanted done so far.
pub(super) struct Client {
    profile: Profile,
    random: SeededRandom,
    state: Option<State>,
    pub(super) now: Instant,
    /// In order.
    pub(super) done: Vec<Deed>,
    /// Of the messages that were sent, those that may not be cut.
    pub(super) whole: Vec<Vec<u8>>,
}

/// What a session wanted done.
#[derive(Debug)]
pub(super) enum Deed {
    Sent(Vec<u8>),
    Installed(Box<InboundParameters>),
    Switched(Box<OutboundParameters>),
    Removed,
    RemovedChild,
    Told(Event),
    Other(DataCommand),
}

impl Client {
    pub(super) fn new(profile: Profile) -> Self {
        Self::with(profile, CAPABILITIES, None)
    }

    pub(super) fn with(profile: Profile, capabilities: PeerCapabilities, lifetime: Option<Duration>) -> Self {
        let mut client = Self {
            profile,
            random: SeededRandom::new(7),
            state: None,
            now: Instant::START,
            done: Vec::new(),
            whole: Vec::new(),
        };
        let opened = Opened {
            settings: settings(),
            sa: isakmp_sa(1, capabilities, lifetime),
            configuration: if client.profile.request.ipv4.is_some() {
                configuration()
            } else {
                Configuration::default()
            },
            answers: Answers::default(),
        };
        client.step(|ctx, _| Established::start(ctx, opened));
        client
    }

    fn step(&mut self, act: impl FnOnce(&mut Context<'_>, Option<State>) -> State) {
        let mut outbox = VecDeque::new();
        let mut ctx = Context { now: self.now, profile: &self.profile, random: &mut self.random, outbox: &mut outbox };
        self.state = Some(act(&mut ctx, self.state.take()));
        self.whole.extend(outbox.iter().filter_map(|action| match action {
            Action::Transmit(Transmit { message, outer: Outer::Whole, .. }) => Some(message.clone()),
            _ => None,
        }));
        self.done.extend(outbox.into_iter().map(|action| match action {
            Action::Transmit(transmit) => Deed::Sent(transmit.message),
            Action::Data(DataCommand::InstallInbound { sa, .. }) => Deed::Installed(sa),
            Action::Data(DataCommand::SwitchOutbound { sa, .. }) => Deed::Switched(sa),
            Action::Data(DataCommand::RemoveInbound { .. }) => Deed::Removed,
            Action::Data(DataCommand::RemoveChild { .. }) => Deed::RemovedChild,
            Action::Data(other) => Deed::Other(other),
            Action::Event(event) => Deed::Told(event),
        }));
    }

    /// The session goes on in another process; what was carried, or why nothing can be.
    #[cfg(feature = "daemon")]
    pub(super) fn move_on(&mut self) -> Result<String, &'static str> {
        let Some(State::Established(established)) = &self.state else { panic!("not established") };
        let carried = serde_json::to_string(&established.export().map_err(|busy| busy.0)?).unwrap();
        let state = serde_json::from_str(&carried).unwrap();
        let established = Established::restore(&self.profile, settings(), state).unwrap();
        self.state = Some(State::Established(Box::new(established)));
        Ok(carried)
    }

    /// Hands a message over; what the session sends because of it.
    pub(super) fn receive(&mut self, message: &[u8]) -> Vec<Vec<u8>> {
        self.receive_on(path(), message)
    }

    pub(super) fn receive_on(&mut self, path: Path, message: &[u8]) -> Vec<Vec<u8>> {
        let before = self.done.len();
        self.step(|ctx, state| state.unwrap().handle_datagram(ctx, path, message));
        self.sent_since(before)
    }

    pub(super) fn report(&mut self, report: DataReport) -> Vec<Vec<u8>> {
        let before = self.done.len();
        self.step(|ctx, state| state.unwrap().handle_report(ctx, report));
        self.sent_since(before)
    }

    pub(super) fn command(&mut self, command: Command) -> Vec<Vec<u8>> {
        let before = self.done.len();
        self.step(|ctx, state| state.unwrap().handle_command(ctx, command));
        self.sent_since(before)
    }

    /// Lets time pass, stopping at each deadline.
    pub(super) fn wait(&mut self, millis: u64) -> Vec<Vec<u8>> {
        let (before, until) = (self.done.len(), self.now.after(Duration::from_millis(millis)));
        for _ in 0..10_000 {
            let Some(deadline) = self.poll_timeout().filter(|at| *at <= until) else { break };
            self.now = self.now.max(deadline);
            self.step(|ctx, state| state.unwrap().handle_timeout(ctx));
        }
        assert!(self.poll_timeout().is_none_or(|at| at > until), "a deadline that stays");
        self.now = until;
        self.sent_since(before)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.state.as_ref().unwrap().poll_timeout().map(|deadline| deadline.at)
    }

    pub(super) fn status(&self) -> &'static str {
        self.state.as_ref().unwrap().status().state
    }

    pub(super) fn sent_since(&self, before: usize) -> Vec<Vec<u8>> {
        let sent = self.done[before..].iter();
        sent.filter_map(|deed| if let Deed::Sent(message) = deed { Some(message.clone()) } else { None }).collect()
    }

    pub(super) fn last_sent(&self) -> Vec<u8> {
        self.sent_since(0).pop().unwrap()
    }

    /// What was told, without drops and repetitions.
    pub(super) fn told(&self) -> Vec<&Event> {
        let told = self.done.iter().filter_map(|deed| if let Deed::Told(event) = deed { Some(event) } else { None });
        told.filter(|event| !matches!(event, Event::Dropped(_) | Event::Repeating { .. })).collect()
    }

    pub(super) fn drops(&self) -> Vec<DropReason> {
        self.done
            .iter()
            .filter_map(|deed| if let Deed::Told(Event::Dropped(reason)) = deed { Some(*reason) } else { None })
            .collect()
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        match self.told().last() {
            Some(Event::Ended(failure)) => Some(failure),
            _ => None,
        }
    }

    pub(super) fn installed(&self) -> Vec<&InboundParameters> {
        self.done.iter().filter_map(|deed| if let Deed::Installed(sa) = deed { Some(&**sa) } else { None }).collect()
    }

    pub(super) fn switched(&self) -> Vec<&OutboundParameters> {
        self.done.iter().filter_map(|deed| if let Deed::Switched(sa) = deed { Some(&**sa) } else { None }).collect()
    }

    /// The order of what was done since `before`, in a word each.
    pub(super) fn order(&self, before: usize) -> Vec<&'static str> {
        let word = |deed: &Deed| {
            Some(match deed {
                Deed::Sent(_) => "sent",
                Deed::Installed(..) => "installed",
                Deed::Switched(..) => "switched",
                Deed::Removed => "removed",
                Deed::RemovedChild => "removed child",
                Deed::Told(Event::ChildUp(_)) => "up",
                Deed::Told(Event::Ready) => "ready",
                Deed::Told(Event::ChildRekeyed { .. }) => "rekeyed",
                Deed::Told(Event::ChildGone { .. }) => "gone",
                Deed::Told(Event::Ended(_)) => "ended",
                Deed::Told(Event::Notice(_)) => "notice",
                Deed::Told(_) | Deed::Other(_) => return None,
            })
        };
        self.done[before..].iter().filter_map(word).collect()
    }
}

/// The gateway's end.
pub(super) struct Peer {
    pub(super) sa: IsakmpSa,
    random: SeededRandom,
    next_spi: u32,
    pub(super) lifetime: Lifetime,
    pub(super) pfs: Option<Group>,
    /// Set in the header of its quick mode answers.
    pub(super) commit: bool,
}

/// The SA as the gateway has it.
pub(super) struct Made {
    pub(super) message_id: u32,
    /// We receive on it.
    pub(super) client_spi: [u8; 4],
    /// The gateway receives on it.
    pub(super) gateway_spi: [u8; 4],
    pub(super) nonces: (Vec<u8>, Vec<u8>),
    pub(super) shared: Option<Secret>,
    /// After the second message.
    pub(super) iv: Iv,
}

pub(super) fn parse(message: &[u8]) -> (Header, &[u8]) {
    Header::parse(message).unwrap()
}

pub(super) fn esp_suite() -> EspSuite {
    let encryption = Cbc::Aes(AesKey::Aes256);
    EspSuite { protection: Protection::CbcHmac { encryption, integrity: Integrity::HmacSha256_128 }, esn: false }
}

impl Peer {
    pub(super) fn new() -> Self {
        Self::of(1)
    }

    pub(super) fn of(number: u8) -> Self {
        Self {
            sa: isakmp_sa(number, CAPABILITIES, None),
            random: SeededRandom::new(99),
            next_spi: 0xc0ff_ee01,
            lifetime: Lifetime::default(),
            pfs: None,
            commit: false,
        }
    }

    pub(super) fn fresh_spi(&mut self) -> [u8; 4] {
        self.next_spi += 1;
        self.next_spi.to_be_bytes()
    }

    /// Opens a message with a HASH(1): its message ID, what it says, and the IV after it.
    pub(super) fn open(&self, message: &[u8]) -> (Header, (PayloadType, Vec<u8>), Iv) {
        let (header, rest) = parse(message);
        let opened = self.sa.open(&header, &self.sa.first_iv(header.message_id), rest).unwrap();
        let (first, octets) = self.sa.verify_hash_1(&opened).unwrap();
        (header, (first, octets.to_vec()), opened.next_iv.clone())
    }

    pub(super) fn open_quick(&self, message: &[u8]) -> (u32, QuickModeProposal, Iv) {
        let (header, (first, octets), iv) = self.open(message);
        assert_eq!(header.exchange, ExchangeType::QUICK_MODE);
        (header.message_id, QuickModeProposal::parse(first, &octets).unwrap(), iv)
    }

    pub(super) fn open_news(&self, message: &[u8]) -> Informational {
        let (header, (first, octets), _) = self.open(message);
        assert_eq!(header.exchange, ExchangeType::INFORMATIONAL);
        Informational::parse(first, &octets).unwrap()
    }

    /// The second message of a quick mode that the client began.
    pub(super) fn answer(&mut self, request: &[u8]) -> (Vec<u8>, Made) {
        self.answer_with(request, |_| {})
    }

    pub(super) fn answer_with(
        &mut self,
        request: &[u8],
        change: impl FnOnce(&mut QuickModeProposal),
    ) -> (Vec<u8>, Made) {
        let (message_id, theirs, iv) = self.open_quick(request);
        let gateway_spi = self.fresh_spi();
        let terms = Phase2Terms {
            spi: InboundSpi::new(u32::from_be_bytes(gateway_spi)).unwrap(),
            pfs: self.pfs,
            lifetime: self.lifetime,
            nat_traversal: NatTraversal::Rfc3947,
        };
        let choice = offer::phase2_accept(&profile().child.offers, terms, &theirs.sa).unwrap();
        let secret = choice.pfs.map(|group| EphemeralSecret::generate(group, &mut self.random));
        let public = secret.as_ref().map(|secret| secret.public().to_vec());
        let shared = secret.map(|secret| secret.agree(theirs.key_exchange.as_ref().unwrap()).unwrap());
        let mut nonce = vec![0; 24];
        self.random.fill(&mut nonce);
        let mut proposal = QuickModeProposal {
            sa: choice.answer,
            nonce: nonce.clone(),
            key_exchange: public,
            identifications: theirs.identifications,
            notifies: Vec::new(),
        };
        change(&mut proposal);
        let contents = proposal.contents().unwrap();
        let hash = self.sa.skeyid.hash_2(message_id, &theirs.nonce, &contents.octets);
        let mut iv = iv;
        let mut message =
            self.sa.seal_with_hash(ExchangeType::QUICK_MODE, message_id, &mut iv, hash.expose(), &contents).unwrap();
        if self.commit {
            message[19] |= 2;
        }
        let client_spi = choice.spi.to_octets();
        (message, Made { message_id, client_spi, gateway_spi, nonces: (theirs.nonce, nonce), shared, iv })
    }

    /// Whether this is the third message.
    pub(super) fn is_confirmation(&self, made: &Made, message: &[u8]) -> bool {
        let (header, rest) = parse(message);
        let opened = self.sa.open(&header, &made.iv, rest).unwrap();
        let hashed = Hashed::parse(header.next_payload, &opened.octets).unwrap();
        let expected = self.sa.skeyid.hash_3(made.message_id, (&made.nonces.0, &made.nonces.1));
        header.message_id == made.message_id && expected.matches(hashed.hash) && hashed.rest.is_empty()
    }

    /// The first message of a quick mode of the gateway's; `Made` has no nonce of the client's yet, and the IV after the first message.
    pub(super) fn ask(&mut self, client: Selector, gateway: Selector) -> (Vec<u8>, Made) {
        self.ask_with(|proposal| {
            proposal.identifications = Some((identification(gateway), identification(client)));
        })
    }

    pub(super) fn ask_with(&mut self, change: impl FnOnce(&mut QuickModeProposal)) -> (Vec<u8>, Made) {
        let gateway_spi = self.fresh_spi();
        let terms = Phase2Terms {
            spi: InboundSpi::new(u32::from_be_bytes(gateway_spi)).unwrap(),
            pfs: self.pfs,
            lifetime: self.lifetime,
            nat_traversal: NatTraversal::Rfc3947,
        };
        let mut nonce = vec![0; 24];
        self.random.fill(&mut nonce);
        let mut proposal = QuickModeProposal {
            sa: offer::phase2(&profile().child.offers, terms),
            nonce,
            key_exchange: None,
            identifications: None,
            notifies: Vec::new(),
        };
        change(&mut proposal);
        let contents = proposal.contents().unwrap();
        let message_id = self.sa.fresh_message_id(&mut self.random);
        let mut iv = self.sa.first_iv(message_id);
        let message = self.sa.seal_with_hash_1(ExchangeType::QUICK_MODE, message_id, &mut iv, &contents).unwrap();
        let nonces = (proposal.nonce, Vec::new());
        (message, Made { message_id, client_spi: [0; 4], gateway_spi, nonces, shared: None, iv })
    }

    /// Reads the client's second message; gives the third.
    pub(super) fn confirm(&mut self, made: &mut Made, answer: &[u8]) -> (Vec<u8>, QuickModeProposal) {
        let (header, rest) = parse(answer);
        assert_eq!(header.message_id, made.message_id);
        let opened = self.sa.open(&header, &made.iv, rest).unwrap();
        let hashed = Hashed::parse(header.next_payload, &opened.octets).unwrap();
        let expected = self.sa.skeyid.hash_2(made.message_id, &made.nonces.0, hashed.rest);
        assert!(expected.matches(hashed.hash), "HASH(2)");
        let proposal = QuickModeProposal::parse(PayloadType(hashed.next), hashed.rest).unwrap();
        made.nonces.1.clone_from(&proposal.nonce);
        // SPI of the one proposal: behind DOI, situation, and eight octets of proposal header.
        made.client_spi = proposal.sa[16..20].try_into().unwrap();
        let mut iv = opened.next_iv;
        let hash = self.sa.skeyid.hash_3(made.message_id, (&made.nonces.0, &made.nonces.1));
        let nothing = Contents { first: registry::PayloadType::NONE, octets: Vec::new() };
        let exchange = ExchangeType::QUICK_MODE;
        let message = self.sa.seal_with_hash(exchange, made.message_id, &mut iv, hash.expose(), &nothing).unwrap();
        made.iv = iv;
        (message, proposal)
    }

    pub(super) fn inform(&mut self, content: &Informational) -> Vec<u8> {
        let message_id = self.sa.fresh_message_id(&mut self.random);
        self.inform_as(message_id, content)
    }

    pub(super) fn inform_as(&mut self, message_id: u32, content: &Informational) -> Vec<u8> {
        let mut iv = self.sa.first_iv(message_id);
        let contents = content.contents().unwrap();
        self.sa.seal_with_hash_1(ExchangeType::INFORMATIONAL, message_id, &mut iv, &contents).unwrap()
    }

    pub(super) fn notify(&mut self, kind: u16, spi: &[u8]) -> Vec<u8> {
        let notify = Notify { protocol: 3, spi: spi.to_vec(), kind, data: Vec::new() };
        self.inform(&Informational { notifies: vec![notify], ..Informational::default() })
    }

    /// R-U-THERE-ACK with the number of this R-U-THERE.
    pub(super) fn acknowledge(&mut self, question: &[u8]) -> Vec<u8> {
        let asked = self.open_news(question).notifies.remove(0);
        assert_eq!(asked.kind, R_U_THERE);
        let ack = Notify { kind: R_U_THERE_ACK, ..asked };
        self.inform(&Informational { notifies: vec![ack], ..Informational::default() })
    }

    /// The keys of the direction whose receiver has this SPI.
    pub(super) fn keymat(&self, made: &Made, spi: [u8; 4]) -> ProtectionKeys {
        let nonces = (made.nonces.0.as_slice(), made.nonces.1.as_slice());
        self.sa.skeyid.keymat(esp_suite(), spi, nonces, made.shared.as_ref()).unwrap()
    }
}

pub(super) fn identification(selector: Selector) -> Identification {
    let (address, prefix_len) = selector.to_prefixes()[0];
    let std::net::IpAddr::V4(address) = address else { panic!("IPv4 only") };
    if prefix_len == 32 {
        return Identification { kind: 1, protocol: 0, port: 0, data: address.octets().to_vec() };
    }
    let mask = (!0u32).checked_shl(32 - u32::from(prefix_len)).unwrap_or(0);
    Identification { kind: 4, protocol: 0, port: 0, data: [address.octets(), mask.to_be_bytes()].concat() }
}

pub(super) fn host() -> Selector {
    subnet("10.200.0.7/32")
}

/// A session whose children are all up, and what the gateway has of the last.
pub(super) fn up(profile: Profile) -> (Client, Peer, Made) {
    let made = complete(profile, CAPABILITIES);
    assert!(matches!(made.0.told().last(), Some(Event::Ready)), "{:?}", made.0.told());
    made
}

/// The same with a gateway that answers questions, and has answered the first.
pub(super) fn up_with_answers(profile: Profile) -> (Client, Peer, Made) {
    let (mut client, mut peer, made) = complete(profile, PeerCapabilities { dpd: true, ..CAPABILITIES });
    let asked = client.wait(30);
    let ack = peer.acknowledge(&asked[0]);
    client.receive(&ack);
    assert!(matches!(client.told().last(), Some(Event::Ready)), "{:?}", client.told());
    (client, peer, made)
}

/// A session whose first quick modes are all complete for us.
pub(super) fn complete(profile: Profile, capabilities: PeerCapabilities) -> (Client, Peer, Made) {
    let mut peer = Peer::new();
    peer.pfs = profile.child.offers[0].pfs.first().copied();
    let count = profile.child.remote.len();
    let mut client = Client::with(profile, capabilities, None);
    let mut last = None;
    for _ in 0..count {
        let (answer, made) = peer.answer(&client.last_sent_quick());
        client.receive(&answer);
        last = Some(made);
    }
    (client, peer, last.unwrap())
}

impl Client {
    /// The last first message of a quick mode that was sent.
    pub(super) fn last_sent_quick(&self) -> Vec<u8> {
        let peer = Peer::new();
        let is_first = |message: &Vec<u8>| {
            let (header, rest) = parse(message);
            let opened = peer.sa.open(&header, &peer.sa.first_iv(header.message_id), rest);
            header.exchange == ExchangeType::QUICK_MODE
                && opened.is_ok_and(|opened| peer.sa.verify_hash_1(&opened).is_ok())
        };
        self.sent_since(0).into_iter().rev().find(is_first).unwrap()
    }

    pub(super) fn seen(&mut self, child: u32, spi: [u8; 4]) -> Vec<Vec<u8>> {
        let spi = InboundSpi::new(u32::from_be_bytes(spi)).unwrap();
        self.report(DataReport::InboundSeen { child: ChildId(child), spi })
    }
}

pub(super) fn same(one: &ProtectionKeys, other: &ProtectionKeys) -> bool {
    one.encryption.matches(other.encryption.expose()) && one.integrity.matches(other.integrity.expose())
}
