//! A tunnel whose session is told what to say.

use super::*;
use crate::config;
use crate::crypto::cipher::{Aead, AesKey, GcmIcv, Protection};
use crate::crypto::random::SeededRandom;
use crate::crypto::secret::Secret;
use crate::ike::action::{Configuration, Event, Failure};
use crate::sa::command::ChildId;
use crate::sa::selector::Selector;
use crate::sa::spi::{InboundSpi, OutboundSpi};
use crate::sa::suite::EspSuite;

struct Story {
    tunnel: Tunnel,
    now: Instant,
    done: Vec<TunnelAction>,
}

impl Story {
    fn new(more: &str) -> Self {
        let text = format!(
            "[gateway]\naddress = \"192.0.2.1\"\nsubnets = [\"10.1.0.0/24\", \"10.2.0.0/24\"]\npsk_file = \"psk\"\n{more}"
        );
        let (config, report) = config::read(&text, &|_| Some("web-0".into()));
        let config = config.unwrap_or_else(|| panic!("{}", report.render("x", &text)));
        let settings = Arc::new(config.tunnel_settings(Arc::new(Secret::copy_of(b"a pre-shared key"))));
        let now = Instant::START;
        let fork = |_: &mut dyn Random| -> Box<dyn Random> { Box::new(SeededRandom::new(2)) };
        let mut story =
            Self { tunnel: Tunnel::new(settings, Box::new(SeededRandom::new(1)), fork, now), now, done: Vec::new() };
        story.settle();
        story
    }

    fn settle(&mut self) {
        while let Some(action) = self.tunnel.poll_action() {
            match &action {
                TunnelAction::Bind { remote, .. } => {
                    self.tunnel.handle_bound(self.now, *remote, Ok(([198, 51, 100, 9], 40_000).into()));
                }
                TunnelAction::Configure(_) => {
                    let routes = Progress::Routes { device: "vpnd0".into(), mtu: 1400, routes: Vec::new() };
                    self.tunnel.handle_configured(self.now, Ok(routes));
                }
                _ => {}
            }
            self.done.push(action);
        }
    }

    fn event(&mut self, event: Event) {
        self.tunnel.handle_event(self.now, Which::Current, event);
        self.settle();
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        if self.tunnel.poll_timeout().is_some_and(|at| at <= self.now) {
            self.tunnel.handle_timeout(self.now);
        }
        self.settle();
    }

    fn come_up(&mut self, children: &[ChildUp]) {
        for child in children {
            self.event(Event::ChildUp(Box::new(child.clone())));
        }
        self.event(Event::Ready);
        assert_eq!(self.tunnel.status().state, "up");
    }

    /// For which children the host was set up, one list a time.
    fn configured(&mut self) -> Vec<Vec<u32>> {
        let lists = self.done.iter().filter_map(|action| match action {
            TunnelAction::Configure(children) => Some(children.iter().map(|child| child.child.0).collect()),
            _ => None,
        });
        let lists = lists.collect();
        self.done.clear();
        lists
    }

    fn told(&self) -> Vec<&Progress> {
        let told = self.done.iter();
        told.filter_map(|action| if let TunnelAction::Progress(progress) = action { Some(progress) } else { None })
            .collect()
    }

    /// Up for this long, then a DELETE; says what was told since, and until when it waits.
    fn deleted_after(&mut self, seconds: u64) -> (bool, Duration) {
        self.come_up(&[child(1, "10.1.0.0")]);
        self.done.clear();
        self.now = self.now.after(Duration::from_secs(seconds));
        self.event(Event::Ended(Failure::ClosedByPeer));
        let displaced = self.told().iter().any(|progress| matches!(progress, Progress::Displaced { .. }));
        let until = self.tunnel.poll_timeout().unwrap();
        let wait = until.since(self.now);
        self.now = until;
        self.tunnel.handle_timeout(self.now);
        self.settle();
        (displaced, wait)
    }
}

fn child(number: u32, remote: &str) -> ChildUp {
    let address = remote.parse().unwrap();
    ChildUp {
        child: ChildId(number),
        suite: EspSuite { protection: Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen)), esn: false },
        inbound: InboundSpi::new(0x1000 + number).unwrap(),
        outbound: OutboundSpi::new(0x2000 + number).unwrap(),
        local: vec![Selector::host([10, 200, 0, 7].into())],
        remote: vec![Selector::from_prefix(address, 24).unwrap()],
        configuration: Configuration { addresses: vec![([10, 200, 0, 7].into(), 32)], ..Configuration::default() },
        path: Path {
            local: ([198, 51, 100, 9], 40_000).into(),
            remote: ([192, 0, 2, 1], 4500).into(),
            framing: crate::sa::path::Framing::Marked,
        },
    }
}

fn ups(told: &[&Progress]) -> usize {
    told.iter().filter(|progress| matches!(progress, Progress::Up)).count()
}

#[test]
fn the_host_is_set_up_for_the_children_that_stand() {
    let mut story = Story::new("");
    story.come_up(&[child(1, "10.1.0.0"), child(2, "10.2.0.0")]);
    assert_eq!(ups(&story.told()), 1);
    assert_eq!(story.configured(), [[1, 2]]);

    story.event(Event::ChildGone { child: ChildId(1) });
    assert_eq!(ups(&story.told()), 0, "it was up all the time");
    assert_eq!(story.configured(), [[2]]);
    story.event(Event::ChildGone { child: ChildId(7) });
    assert!(story.configured().is_empty(), "nothing is known of that one");

    story.event(Event::ChildUp(Box::new(child(3, "10.1.0.0"))));
    assert_eq!(story.configured(), [[2, 3]]);
    assert_eq!(story.tunnel.status().state, "up");
}

#[test]
fn a_part_of_the_children_is_enough_to_be_up() {
    let mut story = Story::new("");
    story.event(Event::ChildUp(Box::new(child(2, "10.2.0.0"))));
    story.event(Event::Notice("10.1.0.0/24 is refused".into()));
    assert!(story.configured().is_empty(), "the other one may come yet");
    story.event(Event::Ready);
    assert_eq!(story.configured(), [[2]]);
    assert_eq!(story.tunnel.status().state, "up");
}

#[test]
fn a_child_that_goes_before_the_host_is_set_up_gets_no_route() {
    let mut story = Story::new("");
    story.event(Event::ChildUp(Box::new(child(1, "10.1.0.0"))));
    story.event(Event::ChildUp(Box::new(child(2, "10.2.0.0"))));
    story.tunnel.handle_event(story.now, Which::Current, Event::Ready);
    story.tunnel.handle_event(story.now, Which::Current, Event::ChildGone { child: ChildId(1) });
    story.settle();
    assert_eq!(story.configured().last().unwrap(), &[2]);
}

#[test]
fn without_any_child_the_host_stays_as_it_is() {
    let mut story = Story::new("");
    story.come_up(&[child(1, "10.1.0.0")]);
    story.configured();
    story.event(Event::ChildGone { child: ChildId(1) });
    assert!(story.configured().is_empty());
    story.event(Event::ChildUp(Box::new(child(2, "10.1.0.0"))));
    assert_eq!(story.configured(), [[2]]);
}

#[test]
fn another_client_of_the_same_identity_is_left_in_peace_for_minutes() {
    let mut story = Story::new("[local]\nid = \"web.example.org\"\n");
    let (displaced, wait) = story.deleted_after(20);
    assert!(!displaced && wait <= Duration::from_secs(1));
    let (displaced, wait) = story.deleted_after(20);
    assert!(displaced && wait >= Duration::from_secs(60), "{wait:?}");
    let (displaced, longer) = story.deleted_after(20);
    assert!(displaced && longer >= Duration::from_secs(120), "{longer:?}");
    let (displaced, wait) = story.deleted_after(3600);
    assert!(!displaced && wait <= Duration::from_secs(1), "an hour in peace: {wait:?}");
}

#[test]
fn k1_015_k2_062_who_was_displaced_does_not_displace_in_turn() {
    let mut story = Story::new("[local]\nid = \"${HOSTNAME}.example.org\"\n");
    let sends = |story: &Story| {
        let settings = &story.tunnel.settings;
        let path = child(1, "10.1.0.0").path;
        let host = Host::Address(path.remote.ip());
        settings.profile(&host, path, story.tunnel.earlier, &story.tunnel.displacement).initial_contact
    };
    assert!(sends(&story), "a cold start");
    story.deleted_after(20);
    assert!(sends(&story), "whatever the gateway has left is of no use");
    story.deleted_after(20);
    assert!(!sends(&story));
    story.pass(Duration::from_secs(1));
}

#[test]
fn the_first_phase_is_that_of_the_protocol() {
    for (lines, first) in [
        ("", crate::ike::action::Phase::SaInit),
        ("[ike]\nversion = 1\n", crate::ike::action::Phase::MainModeProposal),
        ("[ike]\nversion = 1\nmode = \"aggressive\"\n", crate::ike::action::Phase::AggressiveMode),
    ] {
        let text =
            format!("[gateway]\naddress = \"192.0.2.1\"\nsubnets = \"10.1.0.0/24\"\npsk_file = \"psk\"\n{lines}");
        let config = config::read(&text, &|_| None).0.unwrap();
        let settings = config.tunnel_settings(Arc::new(Secret::copy_of(b"a pre-shared key")));
        assert_eq!(settings.profile.protocol.phases().first, first);
    }
}
