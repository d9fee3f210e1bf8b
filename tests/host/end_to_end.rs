//! What `make bench-e2e` measures with, without measuring: every suite carries every packet, and the report says of each goal whether it was met.

#[path = "../../benches/end_to_end/end.rs"]
mod end;
#[path = "../../benches/end_to_end/packets.rs"]
mod packets;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use vpnd::crypto::secret::Secret;
use vpnd::daemon::data_thread::DataNews;
use vpnd::esp::counters::DropReason;
use vpnd::sa::command::DataReport;

use self::end::{End, suite_named};
use self::packets::Receiver;
use crate::namespace::{Namespace, ip, thread_id};
use crate::pair::wait_for;

const AEAD: [&str; 7] =
    ["aes128gcm16", "aes128gcm12", "aes128gcm8", "aes256gcm16", "aes256gcm12", "aes256gcm8", "chacha20poly1305"];
const CBC: [&str; 4] = ["aes128", "aes192", "aes256", "3des"];
const INTEGRITY: [&str; 5] = ["sha1", "sha256", "sha256_96", "sha384", "sha512"];

/// Two namespaces with a link and outer addresses.
fn linked() -> [Namespace; 2] {
    let pair = [Namespace::new(), Namespace::new()];
    let other = pair[1].run(thread_id);
    pair[0].run(move || {
        ip("link add outer type veth peer name far");
        ip(&format!("link set far netns {other} name outer"));
    });
    for (number, namespace) in (1_u8..).zip(&pair) {
        namespace.run(move || {
            ip("link set outer addrgenmode none up");
            ip(&format!("addr add 192.0.2.{number}/24 dev outer"));
        });
    }
    pair
}

fn start(namespace: &Namespace, number: u8, suite: &str) -> End {
    let suite = suite_named(suite).unwrap();
    namespace.run(move || {
        let keys: Vec<u8> = (0..192).collect();
        let end = wait_for(End::start(number, suite, &Secret::new(keys), 1400)).unwrap();
        let peer = 3 - number;
        ip("link set t0 addrgenmode none mtu 1400 up");
        ip(&format!("addr add 10.9.{number}.1/32 dev t0"));
        ip(&format!("route add 10.9.{peer}.0/24 dev t0 src 10.9.{number}.1"));
        end
    })
}

#[test]
fn every_suite_carries_every_packet_of_the_bench() {
    let namespaces = linked();
    let combined = AEAD.iter().map(ToString::to_string);
    let apart = CBC.iter().flat_map(|cipher| INTEGRITY.iter().map(move |integrity| format!("{cipher}-{integrity}")));
    for (suite, esn) in combined.chain(apart).zip(["", "-esn"].iter().cycle()) {
        let suite = format!("{suite}{esn}");
        let mut ends = [start(&namespaces[0], 1, &suite), start(&namespaces[1], 2, &suite)];
        let receiver = namespaces[1].run(|| Receiver::start("10.9.2.1:9000".parse().unwrap())).unwrap();
        // No more than the device's queue holds: nothing may be lost, however busy the machine is.
        let load = || packets::send("10.9.2.1:9000".parse().unwrap(), 20_000, Duration::from_millis(20));
        let sent = namespaces[0].run(load).unwrap();
        assert!(sent.packets > 0 && sent.packets <= 400, "{} packets in {:?}", sent.packets, sent.time);
        wait_for(async {
            while receiver.count.load(Ordering::Acquire) < sent.packets {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert_eq!(receiver.end().unwrap(), sent.packets, "{suite}");
        let (outbound, _) = wait_for(ends[0].plane.counters()).unwrap();
        let (_, inbound) = wait_for(ends[1].plane.counters()).unwrap();
        assert_eq!((outbound.path.packets, inbound.path.packets), (sent.packets, sent.packets), "{suite}");
        assert_eq!(outbound.path.octets, 64 * sent.packets, "{suite}");
        // The kernel's own first packets at the device may be news too.
        let seen = |news| matches!(news, DataNews::Report(DataReport::InboundSeen { .. }));
        wait_for(async { while !seen(ends[1].events.news.recv().await.expect("the data plane ended")) {} });
        let told = wait_for(ends[1].counts()).unwrap();
        assert!(told.contains(&format!("opened {} packets of {} octets,", sent.packets, 64 * sent.packets)), "{told}");
        assert_eq!(outbound.path.dropped(DropReason::NotSealed), 0);
        for end in ends {
            end.plane.stop();
        }
    }
}

#[test]
fn keys_and_suites_that_the_bench_cannot_use_are_refused() {
    assert!(suite_named("aes256").is_err_and(|error| error.to_string().contains("integrity")));
    assert!(suite_named("null-sha256").is_err());
    let namespaces = linked();
    let few = namespaces[0].run(|| {
        let suite = suite_named("aes256-sha512").unwrap();
        let outcome = wait_for(End::start(1, suite, &Secret::new(vec![1; 60]), 1400));
        outcome.err().map(|error| error.to_string())
    });
    assert_eq!(few.as_deref(), Some("too few keys"));
}

/// Results as `run.py` writes them: two tunnels' rounds of one load.
fn results(vpnd: &str, peer: &str) -> String {
    let rounds = |figures: &[&str]| {
        let rounds: Vec<String> = figures.iter().map(|gbits| round(gbits)).collect();
        rounds.join(",")
    };
    let vpnd = rounds(&[vpnd, "99", "0.1"]);
    let peer = rounds(&[peer, "0.01", "50"]);
    format!(
        r#"{{"machine": {{"cpu": "any", "cores": 2, "flags": ["aes"], "kernel": "6", "versions": {{"vpnd": "1"}}}},
            "options": {{"rounds": 3, "seconds": 1}}, "stolen": 0.0, "missing": {{"boringtun": "is not installed"}},
            "figures": {{"tcp": {{"vpnd cbc": [{vpnd}], "strongSwan cbc openssl": [{peer}]}}}}}}"#
    )
}

fn round(gbits: &str) -> String {
    let flows = ["1 there", "1 back", "16 there", "16 back"];
    let figures: Vec<String> =
        flows.iter().map(|flow| format!(r#""{flow} gbits": {gbits}, "{flow} cpu": 1.5"#)).collect();
    format!("{{{}}}", figures.join(","))
}

#[test]
fn the_report_compares_medians_with_the_goals() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/end_to_end/report.py");
    let file = std::env::temp_dir().join(format!("vpnd-bench-report-{}.json", std::process::id()));
    let goal = "TCP, cbc: at least 10 times strongSwan with openssl first";
    for (vpnd, peer, found, verdict) in [("5.0", "0.5", "10.0x", "met"), ("4.9", "0.5", "9.8x", "MISSED")] {
        std::fs::write(&file, results(vpnd, peer)).unwrap();
        let output = Command::new("python3").arg(&script).arg(&file).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let line = text.lines().find(|line| line.contains(goal)).unwrap_or_else(|| panic!("{text}"));
        let words: Vec<&str> = line.split(goal).nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, [found, verdict], "{text}");
        // What nobody measured is neither met nor missed.
        assert!(text.contains("not measured") && text.contains("left out: boringtun: is not installed"), "{text}");
    }
    std::fs::remove_file(&file).unwrap();
}
