//! Tunnels over a bad road: datagrams are lost, doubled, overtaken and late, the same ones each time.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

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

/// Connects, moves octets and gets new keys for everything, begun by both sides, on a bad road.
#[track_caller]
fn assert_the_tunnel_holds(gateway: GatewayConfig, config: &VpndConfig, rekeyings: &[&[&str]]) {
    let lab = Lab::open();
    let (client, middle) = lab.client_on_a_road(0);
    let bridge = Carrying::start(&middle, BAD);
    let times = |gateway: GatewayConfig| gateway.with("margintime", "4s").with("rekeyfuzz", "0%").with("reauth", "no");
    let gateway = times(gateway.with("lifetime", "16s").with("ikelifetime", "24s")).start(&lab);
    let mut vpnd = config.clone().with("esp", "lifetime", r#""15s""#).with("ike", "lifetime", r#""20s""#).up(&client);
    let server = Server::start(&lab, INSIDE);
    let count = |words: &[&str]| {
        let log = gateway.log();
        log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
    };
    // Each transfer compares what was sent with what came.
    let mut transfers = 0;
    while rekeyings.iter().any(|words| count(words) < 2) {
        assert!(
            transfers < 60,
            "{:?}\n{}",
            rekeyings.iter().map(|words| count(words)).collect::<Vec<_>>(),
            vpnd.said()
        );
        server.transfer_bytes(&client, if transfers % 2 == 0 { "get" } else { "put" }, 60_000);
        transfers += 1;
    }
    let said = vpnd.said();
    assert_eq!(said.matches("tunnel is up").count(), 1, "{said}");
    vpnd.terminate();
    for counts in bridge.end() {
        println!("{counts:?}");
        assert!(counts.lost > 0 && counts.doubled > 0 && counts.held > 0 && counts.refused == 0, "{counts:?}");
    }
}

#[test]
fn a_bad_road_breaks_neither_traffic_nor_rekeying_ikev2() {
    let gateway = GatewayConfig::default().with("esp", "aes256-sha256-ecp256!");
    let config = VpndConfig::default().with("esp", "proposals", r#"["aes256-sha256-ecp256"]"#);
    let rekeyings: [&[&str]; 2] =
        [&["parsed CREATE_CHILD_SA request", "N(REKEY_SA)"], &["parsed CREATE_CHILD_SA request", "[ SA No KE ]"]];
    assert_the_tunnel_holds(gateway, &config, &rekeyings);
}

#[test]
fn a_bad_road_breaks_neither_traffic_nor_rekeying_ikev1() {
    let rekeyings: [&[&str]; 2] =
        [&["IKE_SA workspaces[", "] established between"], &["parsed QUICK_MODE request", "[ HASH SA No"]];
    assert_the_tunnel_holds(GatewayConfig::ikev1(), &VpndConfig::ikev1(), &rekeyings);
}
