//! New keys in a running IKEv2 tunnel, with lifetimes of seconds, while echo requests and TCP are under way. No packet is lost.

use std::time::Duration;

use crate::gateway::{Gateway, GatewayConfig, INSIDE};
use crate::lab::Lab;
use crate::load::assert_nothing_is_lost;
use crate::vpnd::{PROPOSAL, VpndConfig};

const TEN_SECONDS: &str = r#""10s""#;
const TWENTY_SECONDS: &str = r#""20s""#;
const GROUP: &str = "aes256gcm16-ecp256";

/// How often what was asked for, by the gateway's log; the proof of the group is one of `child_by_us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    child_by_us: usize,
    child_by_the_gateway: usize,
    ike_by_us: usize,
    ike_by_the_gateway: usize,
}

impl Counts {
    fn of(gateway: &Gateway<'_>) -> Self {
        let log = gateway.log();
        let count = |words: &[&str]| log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count();
        Self {
            child_by_us: count(&["parsed CREATE_CHILD_SA request", "N(REKEY_SA)"]),
            child_by_the_gateway: count(&["generating CREATE_CHILD_SA request", "N(REKEY_SA)"]),
            ike_by_us: count(&["parsed CREATE_CHILD_SA request", "[ SA No KE ]"]),
            ike_by_the_gateway: count(&["generating CREATE_CHILD_SA request", "[ SA No KE ]"]),
        }
    }
}

/// A gateway that by itself rekeys so seldom that no test sees it.
fn patient_gateway(esp: &str) -> GatewayConfig {
    GatewayConfig::default()
        .with("esp", format!("{esp}!"))
        .with("ikelifetime", "1h")
        .with("lifetime", "8h")
        .with("reauth", "no")
}

/// One that rekeys `margin` seconds before `lifetime` seconds are over.
fn hasty_gateway(esp: &str, key: &'static str, lifetime: u8, margin: u8) -> GatewayConfig {
    patient_gateway(esp)
        .with(key, format!("{lifetime}s"))
        .with("margintime", format!("{margin}s"))
        .with("rekeyfuzz", "0%")
}

fn patient_client(esp: &str) -> VpndConfig {
    VpndConfig::default()
        .with("esp", "proposals", format!("[\"{esp}\"]"))
        .with("ike", "lifetime", r#""1h""#)
        .with("esp", "lifetime", r#""8h""#)
}

/// Runs the load, and returns what happened.
#[track_caller]
fn counts(gateway: GatewayConfig, config: &VpndConfig, seconds: u64) -> Counts {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = gateway.start(&lab);
    let mut vpnd = config.up(&client);
    assert_nothing_is_lost(&client, &mut vpnd, Duration::from_secs(seconds));
    let counts = Counts::of(&gateway);
    println!("{counts:?}");
    let sas = gateway.sas();
    let in_use: Vec<String> = sas.iter().flat_map(|sa| sa.all_selectors()).map(str::to_owned).collect();
    assert!(!in_use.is_empty(), "{sas:#?}");
    assert!(in_use.iter().all(|selectors| selectors == "10.250.0.0/24 === 10.200.0.1/32"), "the address stays");
    vpnd.terminate();
    gateway.wait_until(|| gateway.sas().is_empty());
    counts
}

#[test]
fn k2_120_the_child_is_rekeyed_by_us() {
    for (esp, proofs) in [(GROUP, 1), ("aes256-sha256", 0)] {
        let config = patient_client(esp).with("esp", "lifetime", TEN_SECONDS);
        let counts = counts(patient_gateway(esp), &config, 25);
        assert!((2 + proofs..=6 + proofs).contains(&counts.child_by_us), "{esp}: {counts:?}");
        assert_eq!((counts.child_by_the_gateway, counts.ike_by_us, counts.ike_by_the_gateway), (0, 0, 0), "{counts:?}");
    }
}

#[test]
fn k2_121_the_child_is_rekeyed_by_the_gateway() {
    for (esp, proofs) in [(GROUP, 1), ("aes256-sha256", 0)] {
        let counts = counts(hasty_gateway(esp, "lifetime", 12, 6), &patient_client(esp), 25);
        assert!((2..=6).contains(&counts.child_by_the_gateway), "{esp}: {counts:?}");
        assert_eq!((counts.child_by_us, counts.ike_by_us, counts.ike_by_the_gateway), (proofs, 0, 0), "{counts:?}");
    }
}

#[test]
fn k2_130_the_ike_sa_is_rekeyed_by_us_and_the_child_stays() {
    let counts = counts(patient_gateway(GROUP), &patient_client(GROUP).with("ike", "lifetime", TEN_SECONDS), 25);
    assert!((2..=6).contains(&counts.ike_by_us), "{counts:?}");
    assert_eq!((counts.child_by_us, counts.child_by_the_gateway, counts.ike_by_the_gateway), (1, 0, 0), "{counts:?}");
}

#[test]
fn k2_130_the_ike_sa_is_rekeyed_by_the_gateway_and_the_child_stays() {
    let counts = counts(hasty_gateway(GROUP, "ikelifetime", 12, 6), &patient_client(GROUP), 25);
    assert!((2..=6).contains(&counts.ike_by_the_gateway), "{counts:?}");
    assert_eq!((counts.child_by_us, counts.child_by_the_gateway, counts.ike_by_us), (1, 0, 0), "{counts:?}");
}

/// What `make soak` does for longer, with the sample's suites.
#[test]
fn k2_127_both_sides_rekey_both_and_no_packet_is_lost() {
    let suite = "aes256-sha256-modp2048";
    let gateway = hasty_gateway(suite, "lifetime", 10, 3)
        .with("rekeyfuzz", "100%")
        .with("ikelifetime", "10s")
        .with("ike", format!("{suite}!"));
    let config = patient_client(suite)
        .with("ike", "proposals", format!("[\"{suite}\"]"))
        .with("ike", "lifetime", TEN_SECONDS)
        .with("esp", "lifetime", TEN_SECONDS);
    let counts = counts(gateway, &config, 45);
    assert!(counts.child_by_us + counts.child_by_the_gateway >= 5, "{counts:?}");
    assert!(counts.ike_by_us + counts.ike_by_the_gateway >= 4, "{counts:?}");
}

#[test]
fn k2_132_a_group_that_the_gateway_does_not_take_is_named_before_the_tunnel_is_up() {
    for (theirs, words) in [
        (
            "aes256gcm16-ecp384",
            ["[esp] proposals", "aes256gcm16-ecp256", "NO_PROPOSAL_CHOSEN", "in place of `-ecp256`"],
        ),
        // It would take ours with another group, and says which.
        (
            "aes256gcm16-ecp384,aes256gcm16-modp3072",
            ["[esp] proposals", "aes256gcm16-ecp256", "NO_PROPOSAL_CHOSEN", "first rekey"],
        ),
    ] {
        let lab = Lab::open();
        let client = lab.client(0);
        let gateway = patient_gateway(theirs).start(&lab);
        let (code, said) = patient_client(GROUP).refused(&client);
        assert_eq!(code, PROPOSAL, "{said}");
        assert!(!said.contains("tunnel is up"), "{said}");
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
        gateway.wait_until(|| gateway.sas().is_empty());
    }
}

#[test]
fn k2_132_without_the_proof_the_tunnel_comes_up_with_a_group_that_no_rekey_will_have() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = patient_gateway("aes256gcm16-ecp384").start(&lab);
    let config = patient_client(GROUP).with("esp", "verify_pfs", "false").with("esp", "lifetime", TWENTY_SECONDS);
    let mut vpnd = config.up(&client);
    assert!(client.reaches(INSIDE));
    vpnd.wait_for("could not be rekeyed yet");
    assert!(client.reaches(INSIDE), "a refused rekey ends nothing");
    // Before the end of the lifetime a new session carries the traffic.
    vpnd.wait_until_said("succession        a second session is made: the one in use cannot be kept for long");
    vpnd.wait_for("carries the traffic now");
    assert!(client.reaches(INSIDE));
    assert!(!vpnd.said().contains("tunnel is down"), "{}", vpnd.said());
    vpnd.terminate();
    gateway.wait_until(|| gateway.sas().is_empty());
}
