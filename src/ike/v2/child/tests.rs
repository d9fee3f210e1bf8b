use std::collections::VecDeque;
use std::sync::Arc;

use super::*;
use crate::crypto::cipher::{Aead, AesKey, GcmIcv, Protection, ProtectionKeys};
use crate::crypto::random::SeededRandom;
use crate::crypto::secret::Secret;
use crate::ike::action::Action;
use crate::ike::identity::Identity;
use crate::ike::profile::{AddressRequest, ChildProfile, Profile, Protocol, RetransmissionPolicy};
use crate::sa::lifetime::Lifetime;
use crate::sa::path::Framing;

const PROTECTION: Protection = Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen));
const HOUR: Duration = Duration::from_secs(3600);

/// What the packet path was told.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Install(u32),
    Switch(u32),
    Remove(u32),
    Rekeyed(Side),
}

struct Story {
    now: Instant,
    random: SeededRandom,
    profile: Profile,
    outbox: VecDeque<Action>,
    child: Child,
}

fn inbound(number: u32) -> InboundSpi {
    InboundSpi::new(0x1000 + number).unwrap()
}

fn outbound(number: u32) -> u32 {
    0x2000 + number
}

fn path() -> Path {
    Path {
        local: "10.0.0.2:40000".parse().unwrap(),
        remote: "192.0.2.1:4500".parse().unwrap(),
        framing: Framing::Marked,
    }
}

impl Story {
    /// With the first SA in use.
    fn new() -> Self {
        let profile = Profile {
            protocol: Protocol::Ikev2,
            local_identity: Identity::Fqdn("client".into()),
            remote_identities: Vec::new(),
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
                lifetime: Lifetime { time: Some(HOUR), ..Lifetime::default() },
                replay_window: 64,
                verify_pfs: false,
            },
            encapsulation_port: 4500,
            retransmission: RetransmissionPolicy::default(),
            dpd: None,
            keepalive: Duration::ZERO,
            fragmentation: None,
            initial_contact: false,
            mobike: false,
            nonce_len: 32,
        };
        let child = Child::new(ChildId(1), vec![Selector::any_v4()], vec![Selector::any_v4()]);
        let mut story =
            Self { now: Instant::START, random: SeededRandom::new(1), profile, outbox: VecDeque::new(), child };
        story.install(1, Side::Us);
        story.with(|child, ctx| child.release(ctx, inbound(1)));
        assert_eq!(story.told(), [Told::Install(1), Told::Switch(1)]);
        story
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Child, &mut Context<'_>) -> T) -> T {
        let mut ctx =
            Context { now: self.now, profile: &self.profile, random: &mut self.random, outbox: &mut self.outbox };
        act(&mut self.child, &mut ctx)
    }

    fn install(&mut self, number: u32, by: Side) {
        let key = || ProtectionKeys {
            encryption: Secret::new(vec![7; PROTECTION.encryption_key_len()]),
            integrity: Secret::new(Vec::new()),
        };
        let sa = NewSa {
            suite: EspSuite { protection: PROTECTION, esn: false },
            inbound: inbound(number),
            outbound: OutboundSpi::new(outbound(number)).unwrap(),
            keys: ChildKeys { outbound: key(), inbound: key() },
        };
        self.with(|child, ctx| child.install(ctx, sa, by, path()));
    }

    fn after(&mut self, time: Duration) -> Aged {
        self.now = self.now.after(time);
        self.with(Child::handle_timeout)
    }

    fn told(&mut self) -> Vec<Told> {
        let short = |spi: u32| spi & 0xfff;
        self.outbox
            .drain(..)
            .map(|action| match action {
                Action::Data(DataCommand::InstallInbound { sa, .. }) => Told::Install(short(sa.spi.value())),
                Action::Data(DataCommand::SwitchOutbound { sa, .. }) => Told::Switch(short(sa.spi.value())),
                Action::Data(DataCommand::RemoveInbound { spi }) => Told::Remove(short(spi.value())),
                Action::Event(Event::ChildRekeyed { by, .. }) => Told::Rekeyed(by),
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

#[test]
fn k2_121_an_sa_that_the_peer_made_is_used_with_its_first_packet() {
    let mut story = Story::new();
    story.install(2, Side::Peer);
    assert_eq!(story.told(), [Told::Install(2)]);
    story.with(|child, ctx| child.inbound_seen(ctx, inbound(1)));
    assert_eq!(story.told(), [], "a packet in the old one says nothing");
    story.with(|child, ctx| child.inbound_seen(ctx, inbound(2)));
    assert_eq!(story.told(), [Told::Switch(2), Told::Rekeyed(Side::Peer)]);
    story.with(|child, ctx| child.inbound_seen(ctx, inbound(2)));
    assert_eq!(story.told(), []);
}

#[test]
fn k2_121_or_with_the_delete_of_the_old_one() {
    let mut story = Story::new();
    story.install(2, Side::Peer);
    let answer = story.with(|child, ctx| child.deleted_by_peer(ctx, outbound(1)));
    assert_eq!(answer, Some(inbound(1)));
    assert_eq!(story.told(), [Told::Install(2), Told::Switch(2), Told::Rekeyed(Side::Peer)]);
}

#[test]
fn k2_120_a_deleted_sa_is_heard_for_a_while_and_its_spi_is_not_free_before() {
    let mut story = Story::new();
    story.install(2, Side::Us);
    story.with(|child, ctx| child.release(ctx, inbound(2)));
    assert!(story.child.begin_delete(inbound(1)) && !story.child.begin_delete(inbound(1)));
    story.told();
    assert!(story.after(GRACE).ended.is_empty());
    assert_eq!(story.told(), [], "before the answer to DELETE it stays");
    let now = story.now;
    story.child.deleted(now, inbound(1));
    story.after(GRACE - Duration::from_millis(1));
    assert!(story.child.has(inbound(1)), "K2-140");
    assert_eq!(story.told(), []);
    story.after(Duration::from_millis(1));
    assert_eq!(story.told(), [Told::Remove(1)]);
    assert!(!story.child.has(inbound(1)));
}

#[test]
fn k2_123_one_that_lost_carries_nothing_and_is_deleted() {
    let mut story = Story::new();
    story.install(2, Side::Peer);
    story.install(3, Side::Us);
    story.child.pass_over(inbound(3));
    assert!(story.child.begin_delete(inbound(3)));
    story.told();
    story.with(|child, ctx| child.inbound_seen(ctx, inbound(3)));
    assert_eq!(story.told(), [], "traffic on it is taken, and changes nothing");
    story.with(|child, ctx| child.deleted_by_peer(ctx, outbound(1)));
    assert_eq!(story.told(), [Told::Switch(2), Told::Rekeyed(Side::Peer)]);
}

#[test]
fn k2_123_one_that_won_is_used_and_the_peer_s_is_not_even_when_packets_come_on_it() {
    let mut story = Story::new();
    story.install(2, Side::Peer);
    story.install(3, Side::Us);
    story.with(|child, ctx| child.release(ctx, inbound(3)));
    assert_eq!(story.told(), [Told::Install(2), Told::Install(3), Told::Switch(3), Told::Rekeyed(Side::Us)]);
    story.with(|child, ctx| child.inbound_seen(ctx, inbound(2)));
    story.with(|child, ctx| child.deleted_by_peer(ctx, outbound(2)));
    assert_eq!(story.told(), []);
    assert!(story.child.is_carried());
}

#[test]
fn k2_135_at_the_hard_end_without_a_successor_the_child_is_lost() {
    let mut story = Story::new();
    assert!(!story.after(HOUR - Duration::from_secs(1)).is_lost);
    assert!(story.after(Duration::from_secs(1)).is_lost);
}

#[test]
fn k2_135_at_the_hard_end_a_successor_that_the_peer_never_used_takes_over_and_the_peer_is_told() {
    let mut story = Story::new();
    story.after(Duration::from_secs(3000));
    story.install(2, Side::Peer);
    let aged = story.after(Duration::from_secs(600));
    assert_eq!((aged.is_lost, aged.ended), (false, vec![inbound(1)]));
    assert_eq!(story.told(), [Told::Install(2), Told::Switch(2), Told::Rekeyed(Side::Peer), Told::Remove(1)]);
}

#[test]
fn k2_136_an_sa_that_carried_all_it_may_is_replaced_by_what_is_at_hand() {
    let mut story = Story::new();
    assert!(!story.with(Child::is_used_up) && story.child.is_spent());
    story.install(2, Side::Us);
    story.with(|child, ctx| child.release(ctx, inbound(2)));
    assert!(!story.child.is_spent());
    story.install(3, Side::Peer);
    assert!(story.with(Child::is_used_up));
}

#[test]
fn a_wish_for_a_new_sa_is_told_once_and_comes_again_after_a_refusal() {
    let mut story = Story::new();
    let due = story.child.rekey_at.unwrap();
    assert!(!story.child.take_wish(story.now));
    story.now = due;
    assert!(story.child.take_wish(due) && !story.child.take_wish(due));
    story.with(Child::want_after_refusal);
    let again = story.child.rekey_at.unwrap();
    assert!(again > due && again < Instant::START.after(HOUR));
    assert_eq!(story.child.to_rekey(), Some(inbound(1)));
    story.install(2, Side::Peer);
    assert_eq!(story.child.to_rekey(), None, "the peer did");
}

#[test]
fn k2_126_what_the_peer_does_not_know_is_no_target_of_its_requests() {
    let mut story = Story::new();
    assert_eq!(story.child.target(outbound(1), None), Target::Standing);
    assert_eq!(story.child.target(outbound(1), Some(inbound(1))), Target::Rekeying);
    assert_eq!(story.child.target(inbound(1).value(), None), Target::Unknown);
    story.child.begin_delete(inbound(1));
    assert_eq!(story.child.target(outbound(1), Some(inbound(1))), Target::Deleting);
    let now = story.now;
    story.child.is_unknown_to_peer(now, inbound(1));
    assert_eq!(story.child.target(outbound(1), None), Target::Unknown);
    assert!(!story.child.is_carried());
}

#[test]
fn k2_138_the_only_sa_that_stands_is_sent_with_though_nothing_came_on_it() {
    let mut story = Story::new();
    story.with(|child, ctx| child.deleted_by_peer(ctx, outbound(1)));
    story.install(2, Side::Peer);
    story.with(Child::release_if_alone);
    assert_eq!(story.told(), [Told::Install(2), Told::Switch(2), Told::Rekeyed(Side::Peer)]);
    story.install(3, Side::Peer);
    story.with(Child::release_if_alone);
    assert_eq!(story.told(), [Told::Install(3)]);
}
