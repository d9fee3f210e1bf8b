//! What a tunnel costs that carries nothing.

use std::fs;
use std::time::Duration;

use crate::gateway::{GatewayConfig, INSIDE};
use crate::lab::Lab;
use crate::load::Server;
use crate::vpnd::VpndConfig;

/// What one thread used so far.
#[derive(Debug)]
struct Thread {
    name: String,
    /// Ticks of 10 ms on the processor.
    ticks: u64,
    /// Times it went to sleep.
    sleeps: u64,
}

fn field(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("{key} in {status}"));
    line.split_whitespace().find_map(|word| word.parse().ok()).expect("a number")
}

fn threads(process: u32) -> Vec<Thread> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("vpnd's threads");
    let mut all: Vec<Thread> = tasks
        .map(|task| {
            let task = task.expect("a thread").path();
            let read = |file| fs::read_to_string(task.join(file)).expect("what /proc says");
            let stat = read("stat");
            // User and system time are the 14th and 15th field; the second may hold spaces and ends with a parenthesis.
            let behind_name = stat.rsplit(')').next().expect("fields");
            let ticks = behind_name.split_whitespace().skip(11).take(2);
            Thread {
                name: read("comm").trim().to_owned(),
                ticks: ticks.map(|ticks| ticks.parse::<u64>().expect("ticks")).sum(),
                sleeps: field(&read("status"), "voluntary_ctxt_switches:"),
            }
        })
        .collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

#[test]
fn an_idle_tunnel_uses_no_processor_and_little_memory() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::default().start(&lab);
    // Others that start on this host ask the usual socket whether it is theirs.
    let vpnd = VpndConfig::default().with("control", "socket", r#""off""#).up(&client);
    let server = Server::start(&lab, INSIDE);
    for verb in ["get", "put"] {
        server.transfer(&client, verb, 5);
    }
    // What was under way comes to its end: the search for what the path carries asks once more after 15 s.
    std::thread::sleep(Duration::from_secs(20));
    let before = threads(vpnd.id());
    std::thread::sleep(Duration::from_secs(5));
    let after = threads(vpnd.id());
    println!("{before:?}\n{after:?}");
    assert_eq!(after.len(), 3, "{after:?}");
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.name, after.name);
        // The control thread has timers; the others have none.
        let most = if after.name.starts_with("vpnd-") { (0, 0) } else { (2, 20) };
        let used = (after.ticks - before.ticks, after.sleeps - before.sleeps);
        assert!(used.0 <= most.0 && used.1 <= most.1, "{}: {used:?}", after.name);
    }
    let status = fs::read_to_string(format!("/proc/{}/status", vpnd.id())).expect("vpnd's status");
    let (all, own) = (field(&status, "VmRSS:"), field(&status, "RssAnon:"));
    println!("{all} kB, of them {own} kB not of files");
    assert!(own < 9_000, "{status}");
    // Most of it is the program itself, which is several times larger when it is not optimised.
    assert!(all < 15_000 || cfg!(debug_assertions), "{status}");
    vpnd.terminate();
}
