//! Tunnels over a bad road: datagrams are lost, doubled, overtaken and late, the same ones each time.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::bridge::{Bridge, Counts, Fate, Road};
use crate::gateway::{ADDRESS, GatewayConfig, INSIDE};
use crate::lab::{Lab, within};
use crate::load::Server;
use crate::vpnd::VpndConfig;

/// Worse than any road that people still call a road.
const BAD: Road = Road {
    seed: 5,
    loses: 10,
    doubles: 5,
    holds: 20,
    held: Duration::from_millis(30),
    delay: Duration::from_millis(5),
};

/// A bridge at work, in a thread of its own.
struct Carrying {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<[Counts; 2]>,
}

impl Carrying {
    fn start(namespace: &str, road: Road) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let bridge = within(namespace, move || Bridge::between(["near", "far"], road).expect("packet sockets"));
        let asked = Arc::clone(&stop);
        let thread = std::thread::spawn(move || bridge.carry(&asked).expect("the bridge carries"));
        Self { stop, thread }
    }

    fn end(self) -> [Counts; 2] {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the bridge ends")
    }
}

#[test]
fn the_fate_of_a_datagram_follows_from_the_seed() {
    let fates = |seed| {
        let road = Road { seed, ..BAD };
        (0..2).map(|way| (0..10_000).map(|number| road.fate(way, number)).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let [there, back] = fates(1).try_into().expect("two ways");
    assert_eq!(fates(1), [there.clone(), back.clone()]);
    assert_ne!(there, back);
    assert_ne!(fates(2)[0], there);
    let count = |is: fn(&Fate) -> bool| there.iter().filter(|fate| is(fate)).count();
    let lost = count(|fate| *fate == Fate::Lost);
    let doubled = count(|fate| matches!(fate, Fate::Doubled(_)));
    let held = count(|fate| matches!(fate, Fate::Passes(after) | Fate::Doubled(after) if *after > BAD.delay));
    assert!((900..1_100).contains(&lost), "{lost} of 10,000 lost");
    assert!((400..500).contains(&doubled), "{doubled} of 9,000 doubled");
    assert!((1_700..1_900).contains(&held), "{held} of 9,000 held back");
}

/// Numbers that arrive at the gateway of those sent by the client, in their order.
fn arrivals(road: Road) -> (Vec<u16>, [Counts; 2]) {
    const SENT: u16 = 1_000;
    let lab = Lab::open();
    let (client, middle) = lab.client_on_a_road(0);
    let bridge = Carrying::start(&middle, road);
    let gateway = lab.verb("namespace", &["gateway"]);
    let receiver = within(gateway.trim(), || UdpSocket::bind((ADDRESS, 0)).expect("a socket"));
    let to = receiver.local_addr().expect("an address");
    let client = lab.verb("namespace", &[client.name()]);
    let sender = within(client.trim(), || UdpSocket::bind("0.0.0.0:0").expect("a socket"));
    let mut arrived = Vec::new();
    let mut number = [0; 2];
    receiver.set_read_timeout(Some(Duration::from_micros(1))).expect("a timeout");
    for sent in 0..SENT {
        sender.send_to(&sent.to_be_bytes(), to).expect("sent");
        while receiver.recv(&mut number).is_ok() {
            arrived.push(u16::from_be_bytes(number));
        }
    }
    receiver.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    while receiver.recv(&mut number).is_ok() {
        arrived.push(u16::from_be_bytes(number));
    }
    (arrived, bridge.end())
}

#[test]
fn the_same_seed_loses_and_doubles_the_same_datagrams() {
    let (first, [counts, _]) = arrivals(BAD);
    assert_eq!(counts.seen, 1_000);
    assert!(counts.lost > 0 && counts.doubled > 0 && counts.held > 0, "{counts:?}");
    assert_eq!((first.len() as u64, counts.refused), (counts.seen - counts.lost + counts.doubled, 0), "{counts:?}");
    assert!(!first.is_sorted(), "some are overtaken");
    let sorted = |mut numbers: Vec<u16>| {
        numbers.sort_unstable();
        numbers
    };
    let first = sorted(first);
    let (again, [counts_again, _]) = arrivals(BAD);
    assert_eq!((sorted(again), counts_again), (first.clone(), counts));
    let (other, _) = arrivals(Road { seed: 6, ..BAD });
    assert_ne!(sorted(other), first);
}

/// What the gateway logs of a message that begins a rekeying: all these words in one line.
type Words = &'static [&'static str];

const PATIENCE_ON_A_BAD_ROAD: Duration = Duration::from_secs(240);

/// Connects, moves octets and gets new keys for everything, begun as `rekeyings` say, on a bad road. Each side is left so much more or
/// less time than the other that it is sure who begins.
#[track_caller]
fn assert_the_tunnel_holds(gateway: GatewayConfig, config: &VpndConfig, rekeyings: [Words; 2]) {
    let lab = Lab::open();
    let (client, middle) = lab.client_on_a_road(0);
    let bridge = Carrying::start(&middle, BAD);
    let gateway = gateway.with("margintime", MARGIN).with("rekeyfuzz", "0%").with("reauth", "no").start(&lab);
    let mut vpnd = config.up(&client);
    let server = Server::start(&lab, INSIDE);
    let counts = || {
        let log = gateway.log();
        rekeyings.map(|words| log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count())
    };
    let (connected, since) = (counts(), Instant::now());
    // Each transfer compares what was sent with what came.
    for verb in ["get", "put"].into_iter().cycle() {
        let now = counts();
        if (0..2).all(|which| now[which] >= connected[which] + 2) {
            break;
        }
        assert!(since.elapsed() < PATIENCE_ON_A_BAD_ROAD, "{connected:?}, then {now:?}\n{}", vpnd.said());
        server.transfer_bytes(&client, verb, 60_000);
    }
    let said = vpnd.said();
    assert_eq!(said.matches("tunnel is up").count(), 1, "{said}");
    // E-14: what the road doubles is told of, once a minute.
    let told = said
        .matches("an ESP packet was dropped: its sequence number was seen before, or is too old; from 192.0.2.1")
        .count();
    assert!((1..=5).contains(&told), "{said}");
    vpnd.terminate();
    for counts in bridge.end() {
        println!("{counts:?}");
        assert!(counts.lost > 0 && counts.doubled > 0 && counts.held > 0 && counts.refused == 0, "{counts:?}");
    }
}

/// Of vpnd's lifetimes.
const SHORT: &str = r#""16s""#;
const LONG: &str = r#""1h""#;
/// Of the gateway's: it begins after ten seconds, and has time to ask four times, the second time after four seconds.
const BRIEF: &str = "54s";
const MARGIN: &str = "44s";

fn ikev2_gateway() -> GatewayConfig {
    GatewayConfig::default().with("esp", "aes256-sha256-ecp256!")
}

fn ikev2_client() -> VpndConfig {
    VpndConfig::default().with("esp", "proposals", r#"["aes256-sha256-ecp256"]"#)
}

#[test]
fn a_bad_road_breaks_neither_traffic_nor_rekeying_of_the_child_by_us_and_of_ike_by_the_gateway() {
    let gateway = ikev2_gateway().with("ikelifetime", BRIEF);
    let config = ikev2_client().with("esp", "lifetime", SHORT).with("ike", "lifetime", LONG);
    let rekeyings: [Words; 2] =
        [&["parsed CREATE_CHILD_SA request", "N(REKEY_SA)"], &["generating CREATE_CHILD_SA request", "[ SA No KE ]"]];
    assert_the_tunnel_holds(gateway, &config, rekeyings);
}

#[test]
fn a_bad_road_breaks_neither_traffic_nor_rekeying_of_the_child_by_the_gateway_and_of_ike_by_us() {
    let gateway = ikev2_gateway().with("lifetime", BRIEF);
    let config = ikev2_client().with("ike", "lifetime", SHORT).with("esp", "lifetime", LONG);
    let rekeyings: [Words; 2] =
        [&["generating CREATE_CHILD_SA request", "N(REKEY_SA)"], &["parsed CREATE_CHILD_SA request", "[ SA No KE ]"]];
    assert_the_tunnel_holds(gateway, &config, rekeyings);
}

/// A gateway that gave an address does not begin phase 1.
const PHASE_1: Words = &["IKE_SA workspaces[", "] established between"];

#[test]
fn a_bad_road_breaks_neither_traffic_nor_rekeying_of_phase_2_by_us() {
    let config = VpndConfig::ikev1().with("esp", "lifetime", SHORT).with("ike", "lifetime", SHORT);
    assert_the_tunnel_holds(GatewayConfig::ikev1(), &config, [PHASE_1, &["parsed QUICK_MODE request", "[ HASH SA No"]]);
}

#[test]
fn a_bad_road_breaks_neither_traffic_nor_rekeying_of_phase_2_by_the_gateway() {
    let config = VpndConfig::ikev1().with("ike", "lifetime", SHORT).with("esp", "lifetime", LONG);
    let begun: Words = &["generating QUICK_MODE request", "[ HASH SA No"];
    assert_the_tunnel_holds(GatewayConfig::ikev1().with("lifetime", BRIEF), &config, [PHASE_1, begun]);
}
