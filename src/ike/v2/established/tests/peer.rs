//! The other side of an established IKE SA, as small as can be: it seals and opens with the swapped keys and does nothing by itself.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::cipher::{Aead, AesKey, GcmIcv, Protection, ProtectionKeys};
use crate::crypto::dh::Group;
use crate::crypto::prf::Prf;
use crate::crypto::random::SeededRandom;
use crate::crypto::secret::Secret;
use crate::ike::action::{Action, Command, Event, Side, Timer, Transmit};
use crate::ike::context::Context;
use crate::ike::identity::Identity;
use crate::ike::profile::{AddressRequest, ChildProfile, Profile, Protocol, RetransmissionPolicy};
use crate::ike::v2::auth::{PeerAuthenticated, Signed, check, prove};
use crate::ike::v2::capabilities::Capabilities;
use crate::ike::v2::child::{Child, NewSa};
use crate::ike::v2::established::Established;
use crate::ike::v2::exchange::OurRequests;
use crate::ike::v2::ike_sa::IkeSa;
use crate::ike::v2::keys::Role;
use crate::ike::v2::message::notify::Notify;
use crate::ike::v2::message::{
    AuthProof, ChildAnswer, Identification, Informational, KeyExchange, Nonce, Payload, Proposal, SecurityAssociation,
    TrafficSelectors, write_contents,
};
use crate::ike::v2::protect::MessageProtection;
use crate::ike::v2::window::PeerRequests;
use crate::ike::v2::{EstablishedParts, State};
use crate::ike::wire::chain::{Contents, FragmentNumber, parse_inner};
use crate::ike::wire::header::{Flags, Header};
use crate::ike::wire::registry::{ExchangeType, NotifyType, PayloadType, ProtocolId};
use crate::sa::command::{ChildId, DataCommand, DataReport};
use crate::sa::keys::ChildKeys;
use crate::sa::lifetime::Lifetime;
use crate::sa::path::{Framing, Path};
use crate::sa::selector::Selector;
use crate::sa::spi::{IkeSpi, InboundSpi, OutboundSpi};
use crate::sa::suite::{EspSuite, IkeSuite};
use crate::time::Instant;

pub(super) const CHILD: ChildId = ChildId(7);
pub(super) const INBOUND: u32 = 0x1111_1111;
pub(super) const OUTBOUND: u32 = 0x2222_2222;

const PROTECTION: Protection = Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen));

/// What our side did, opened with the peer's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Stopped(ChildId),
    Sent { response: bool, message_id: u32, exchange: ExchangeType, content: Informational },
    Removed(ChildId),
    Moved(ChildId, Path),
    Keepalive(Path),
    Event(Event),
}

pub(super) struct Peer {
    protection: MessageProtection,
    random: SeededRandom,
    pub(super) next_request: u32,
}

pub(super) struct Pair {
    now: Instant,
    random: SeededRandom,
    profile: Profile,
    outbox: VecDeque<Action>,
    state: Option<State>,
    pub(super) peer: Peer,
}

impl Pair {
    pub(super) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(super) fn without_dpd() -> Self {
        Self::with(|profile| profile.dpd = None)
    }

    pub(super) fn without_fragmentation() -> Self {
        Self::made(1, Capabilities::default(), &[], |_| ())
    }

    pub(super) fn with(change: impl FnOnce(&mut Profile)) -> Self {
        Self::seeded(1, change)
    }

    pub(super) fn seeded(seed: u64, change: impl FnOnce(&mut Profile)) -> Self {
        Self::made(seed, Capabilities { fragmentation: true, ..Capabilities::default() }, &[], change)
    }

    /// After an IKE_AUTH response with `notifies`.
    pub(super) fn told(notifies: &[Notify]) -> Self {
        Self::made(1, Capabilities::default(), notifies, |_| ())
    }

    /// Both sides speak MOBIKE; `notifies` came with IKE_AUTH.
    pub(super) fn mobile(notifies: &[Notify]) -> Self {
        Self::made(1, Capabilities { mobike: true, ..Capabilities::default() }, notifies, |_| ())
    }

    fn made(seed: u64, capabilities: Capabilities, notifies: &[Notify], change: impl FnOnce(&mut Profile)) -> Self {
        let mut profile = profile();
        change(&mut profile);
        let mut random = SeededRandom::new(seed);
        let mut outbox = VecDeque::new();
        let mut ctx = Context { now: Instant::START, profile: &profile, random: &mut random, outbox: &mut outbox };
        let parts = parts(capabilities, &mut ctx);
        let state = State::Established(Established::new(parts, notifies, &mut ctx));
        outbox.clear();
        let protection = MessageProtection::new(PROTECTION, &keys(2), &keys(1)).unwrap();
        let peer = Peer { protection, random: SeededRandom::new(99), next_request: 0 };
        Self { now: Instant::START, random, profile, outbox, state: Some(state), peer }
    }

    pub(super) fn path(&self) -> Path {
        path()
    }

    pub(super) fn inbound(&self) -> InboundSpi {
        InboundSpi::new(INBOUND).unwrap()
    }

    pub(super) fn peer_delete(&self) -> Contents {
        let deletes = vec![crate::ike::v2::message::Delete::ike_sa()];
        Informational { deletes, ..Informational::default() }.contents().unwrap()
    }

    fn step(&mut self, act: impl FnOnce(Box<Established>, &mut Context<'_>) -> State) {
        let mut ctx =
            Context { now: self.now, profile: &self.profile, random: &mut self.random, outbox: &mut self.outbox };
        self.state = Some(match self.state.take().unwrap() {
            State::Established(established) => act(established, &mut ctx),
            other => other,
        });
    }

    pub(super) fn receive(&mut self, datagram: &[u8]) {
        self.step(|state, ctx| state.handle_datagram(ctx, path(), datagram));
    }

    pub(super) fn receive_from(&mut self, remote: &str, datagram: &[u8]) {
        let from = Path { remote: remote.parse().unwrap(), ..path() };
        self.step(|state, ctx| state.handle_datagram(ctx, from, datagram));
    }

    pub(super) fn command(&mut self, command: Command) {
        self.step(|state, ctx| state.handle_command(ctx, command));
    }

    pub(super) fn report(&mut self, report: DataReport) {
        self.step(|state, ctx| state.handle_report(ctx, report));
    }

    /// Lets time pass, waking our side at each of its deadlines.
    pub(super) fn advance(&mut self, time: Duration) {
        let until = self.now.after(time);
        while let Some(State::Established(established)) = &self.state
            && let Some(deadline) = established.poll_timeout()
            && deadline.at <= until
        {
            self.now = self.now.max(deadline.at);
            self.step(Established::handle_timeout);
        }
        self.now = until;
    }

    /// Lets time pass in one jump.
    pub(super) fn skip_to(&mut self, since_start: Duration) {
        self.now = Instant::from_start(since_start);
        self.step(Established::handle_timeout);
    }

    pub(super) fn next_timer(&self) -> Option<Timer> {
        match &self.state {
            Some(State::Established(established)) => established.poll_timeout().map(|deadline| deadline.timer),
            _ => None,
        }
    }

    /// When the lifetime ends.
    pub(super) fn end(&self) -> Duration {
        let Some(State::Established(established)) = &self.state else { panic!("ended") };
        established.ends_at.or(established.ike_end).unwrap().since_start()
    }

    pub(super) fn rekey_ike_at(&self) -> Duration {
        let Some(State::Established(established)) = &self.state else { panic!("ended") };
        established.rekey_ike_at.unwrap().since_start()
    }

    pub(super) fn set_peer_id(&mut self, next: u32) {
        let Some(State::Established(established)) = &mut self.state else { panic!("ended") };
        established.current.peers = PeerRequests::from(next);
    }

    pub(super) fn set_our_id(&mut self, next: u32) {
        let Some(State::Established(established)) = &mut self.state else { panic!("ended") };
        established.current.ours = OurRequests::from(next);
    }

    /// Our side goes on in another process; what was carried, or why nothing can be.
    #[cfg(feature = "daemon")]
    pub(super) fn move_on(&mut self) -> Result<String, &'static str> {
        let Some(State::Established(established)) = &self.state else { panic!("ended") };
        let carried = serde_json::to_string(&established.export().map_err(|busy| busy.0)?).unwrap();
        let state = serde_json::from_str(&carried).unwrap();
        self.state = Some(State::Established(Established::restore(state).unwrap()));
        Ok(carried)
    }

    pub(super) fn is_established(&self) -> bool {
        matches!(&self.state, Some(State::Established(established)) if established.closing.is_none())
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(self.state, Some(State::Ended(_)))
    }

    /// The datagrams in the outbox, which stays as it is.
    pub(super) fn transmitted(&self) -> Vec<Vec<u8>> {
        self.outbox
            .iter()
            .filter_map(|action| match action {
                Action::Transmit(transmit) => Some(transmit.message.clone()),
                _ => None,
            })
            .collect()
    }

    /// The same, with how they left.
    pub(super) fn transmits(&self) -> Vec<Transmit> {
        self.outbox
            .iter()
            .filter_map(|action| match action {
                Action::Transmit(transmit) => Some(transmit.clone()),
                _ => None,
            })
            .collect()
    }

    pub(super) fn sent_to(&self) -> Vec<String> {
        self.outbox
            .iter()
            .filter_map(|action| match action {
                Action::Transmit(transmit) => Some(transmit.path.remote.to_string()),
                _ => None,
            })
            .collect()
    }

    /// Whether a message left since `seen` was asked last; forgets what did.
    pub(super) fn has_sent(&mut self) -> bool {
        self.seen().iter().any(|seen| matches!(seen, Seen::Sent { .. }))
    }

    /// What our side did since this was asked last.
    pub(super) fn seen(&mut self) -> Vec<Seen> {
        let peer = &self.peer;
        self.outbox
            .drain(..)
            .map(|action| match action {
                Action::Transmit(transmit) => peer.open(&transmit.message),
                Action::Data(DataCommand::RemoveChild { child }) => Seen::Removed(child),
                Action::Data(DataCommand::MovePeer { child, path }) => Seen::Moved(child, path),
                Action::Data(DataCommand::RemoveOutbound { child }) => Seen::Stopped(child),
                Action::Data(DataCommand::Keepalive { path }) => Seen::Keepalive(path),
                Action::Data(other) => panic!("{other:?}"),
                Action::Event(event) => Seen::Event(event),
            })
            .collect()
    }
}

impl Peer {
    pub(super) fn request(&mut self, exchange: ExchangeType, contents: &Contents) -> Vec<u8> {
        let message_id = self.next_request;
        self.next_request += 1;
        self.request_with_id(message_id, exchange, contents)
    }

    pub(super) fn request_with_id(&mut self, message_id: u32, exchange: ExchangeType, contents: &Contents) -> Vec<u8> {
        self.protection.seal(&header(false, message_id, exchange), contents, &mut self.random).unwrap()
    }

    pub(super) fn response(&mut self, message_id: u32, exchange: ExchangeType, contents: &Contents) -> Vec<u8> {
        self.protection.seal(&header(true, message_id, exchange), contents, &mut self.random).unwrap()
    }

    pub(super) fn in_clear(&self, response: bool, contents: &Contents) -> Vec<u8> {
        header(response, 0, ExchangeType::INFORMATIONAL).message(contents).unwrap()
    }

    /// The message in `count` pieces.
    pub(super) fn fragmented(
        &mut self,
        response: bool,
        message_id: u32,
        exchange: ExchangeType,
        contents: &Contents,
        count: u16,
    ) -> Vec<Vec<u8>> {
        let size = contents.octets.len().div_ceil(usize::from(count));
        (1..)
            .zip(contents.octets.chunks(size))
            .map(|(number, piece)| {
                let first = if number == 1 { contents.first } else { PayloadType::NONE };
                self.fragment(response, message_id, exchange, FragmentNumber { number, total: count }, first, piece)
            })
            .collect()
    }

    pub(super) fn fragment(
        &mut self,
        response: bool,
        message_id: u32,
        exchange: ExchangeType,
        number: FragmentNumber,
        first: PayloadType,
        piece: &[u8],
    ) -> Vec<u8> {
        let header = header(response, message_id, exchange);
        self.protection.seal_fragment(&header, number, first, piece, &mut self.random).unwrap()
    }

    /// Authentic but for their headers: the wrong role, the wrong SPIs.
    pub(super) fn impostors(&mut self) -> Vec<Vec<u8>> {
        let right = header(false, 0, ExchangeType::INFORMATIONAL);
        let headers = [
            Header { flags: Flags { initiator: true, response: false }, ..right },
            Header { initiator_spi: theirs(), responder_spi: Some(ours()), ..right },
            Header { responder_spi: None, ..right },
        ];
        headers.iter().map(|header| self.protection.seal(header, &empty(), &mut self.random).unwrap()).collect()
    }

    fn open(&self, message: &[u8]) -> Seen {
        let opened = self.protection.open(message).unwrap();
        assert!(opened.header.flags.initiator && opened.fragment.is_none());
        let mut raw = parse_inner(opened.first, &opened.content).unwrap();
        // Of a request for an SA, what it is about is enough.
        raw.retain(|payload| {
            opened.header.exchange == ExchangeType::INFORMATIONAL || payload.kind == PayloadType::NOTIFY
        });
        Seen::Sent {
            response: opened.header.flags.response,
            message_id: opened.header.message_id,
            exchange: opened.header.exchange,
            content: Informational::parse(&raw).unwrap(),
        }
    }
}

pub(super) fn empty() -> Contents {
    Contents { first: PayloadType::NONE, octets: Vec::new() }
}

pub(super) fn notify_contents(kind: NotifyType, data: &[u8]) -> Contents {
    write_contents(&[Payload::Notify(Notify::new(kind).with_data(data.to_vec()))]).unwrap()
}

pub(super) fn rekey_ike() -> Contents {
    write_contents(&[proposal(ProtocolId::IKE, 8), nonce(), key_exchange()]).unwrap()
}

pub(super) fn new_child() -> Contents {
    let [initiator, responder] = selectors();
    write_contents(&[proposal(ProtocolId::ESP, 4), nonce(), initiator, responder]).unwrap()
}

pub(super) fn rekey_child(spi: u32) -> Contents {
    rekey_child_of(ProtocolId::ESP, spi)
}

pub(super) fn rekey_child_of(protocol: ProtocolId, spi: u32) -> Contents {
    let [initiator, responder] = selectors();
    let notify = Notify { protocol, spi: spi.to_be_bytes().to_vec(), ..Notify::new(NotifyType::REKEY_SA) };
    write_contents(&[Payload::Notify(notify), proposal(ProtocolId::ESP, 4), nonce(), initiator, responder]).unwrap()
}

fn selectors() -> [Payload; 2] {
    let any = || TrafficSelectors(vec![Selector::any_v4()]);
    [Payload::TrafficSelectorInitiator(any()), Payload::TrafficSelectorResponder(any())]
}

fn proposal(protocol: ProtocolId, spi_len: usize) -> Payload {
    let proposal = Proposal { number: 1, protocol, spi: vec![9; spi_len], transforms: Vec::new() };
    Payload::SecurityAssociation(SecurityAssociation { proposals: vec![proposal] })
}

fn nonce() -> Payload {
    Payload::Nonce(Nonce::new(vec![3; 32]).unwrap())
}

fn key_exchange() -> Payload {
    Payload::KeyExchange(KeyExchange { group: 31, data: vec![4; 32] })
}

fn header(response: bool, message_id: u32, exchange: ExchangeType) -> Header {
    Header {
        initiator_spi: ours(),
        responder_spi: Some(theirs()),
        next_payload: PayloadType::NONE,
        major: 2,
        minor: 0,
        exchange,
        flags: Flags { initiator: false, response },
        message_id,
    }
}

fn ours() -> IkeSpi {
    IkeSpi::new([1; 8]).unwrap()
}

fn theirs() -> IkeSpi {
    IkeSpi::new([2; 8]).unwrap()
}

fn path() -> Path {
    Path {
        local: "10.0.0.2:40000".parse().unwrap(),
        remote: "192.0.2.1:4500".parse().unwrap(),
        framing: Framing::Marked,
    }
}

fn keys(seed: u8) -> ProtectionKeys {
    let encryption = Secret::new(vec![seed; PROTECTION.encryption_key_len()]);
    ProtectionKeys { encryption, integrity: Secret::new(Vec::new()) }
}

/// There is no proof but by the check.
fn proof() -> PeerAuthenticated {
    let (psk, sk_p) = (Secret::new(b"secret".to_vec()), Secret::new(vec![6; 32]));
    let signed = Signed { first_message: b"first", other_nonce: b"nonce", sk_p: &sk_p };
    let gateway = Identity::Fqdn("gateway".into());
    let responder = Identification::of(&gateway);
    let proof = AuthProof {
        authentication: prove(Prf::HmacSha256, &psk, signed, &responder),
        responder,
        configuration: None,
        child: ChildAnswer::Refused { error: Notify::new(NotifyType::NO_PROPOSAL_CHOSEN) },
        notifies: Vec::new(),
    };
    check(Prf::HmacSha256, &psk, signed, &proof, &Identity::Fqdn("client".into()), &[gateway]).unwrap()
}

fn parts(capabilities: Capabilities, ctx: &mut Context<'_>) -> EstablishedParts {
    let mut child = Child::new(CHILD, vec![Selector::any_v4()], vec![Selector::any_v4()]);
    let inbound = InboundSpi::new(INBOUND).unwrap();
    let outbound = OutboundSpi::new(OUTBOUND).unwrap();
    let child_keys = ChildKeys { outbound: keys(3), inbound: keys(4) };
    let suite = EspSuite { protection: PROTECTION, esn: false };
    child.install(ctx, NewSa { suite, inbound, outbound, keys: child_keys }, Side::Us, path());
    child.release(ctx, inbound);
    EstablishedParts {
        proof: proof(),
        sa: IkeSa {
            role: Role::Initiator,
            spis: (ours(), theirs()),
            suite: IkeSuite { protection: PROTECTION, prf: Prf::HmacSha256, group: Group::Curve25519 },
            sk_d: Secret::new(vec![5; 32]),
            protection: MessageProtection::new(PROTECTION, &keys(1), &keys(2)).unwrap(),
            ours: OurRequests::from(2),
            peers: PeerRequests::from(0),
            established_at: Instant::START,
        },
        path: path(),
        capabilities,
        child: Some(child),
    }
}

fn profile() -> Profile {
    Profile {
        protocol: Protocol::Ikev2,
        local_identity: Identity::Fqdn("client".into()),
        remote_identities: vec![Identity::Ipv4(Ipv4Addr::new(192, 0, 2, 1))],
        send_remote_identity: false,
        psk: Arc::new(Secret::new(b"secret".to_vec())),
        ike_offers: Vec::new(),
        ike_lifetime: Lifetime::default(),
        request: AddressRequest::default(),
        child: ChildProfile {
            first_id: crate::sa::command::ChildId(1),
            offers: Vec::new(),
            local: Vec::new(),
            remote: Vec::new(),
            lifetime: Lifetime::default(),
            replay_window: 1024,
            verify_pfs: false,
        },
        encapsulation_port: 4500,
        retransmission: RetransmissionPolicy::default(),
        dpd: Some(Duration::from_secs(30)),
        keepalive: Duration::from_secs(20),
        fragmentation: Some(1280),
        initial_contact: false,
        mobike: false,
        nonce_len: 32,
    }
}
