//! New keys in a running tunnel, with lifetimes of seconds, while echo requests and TCP are under way. No packet is lost.

use std::time::Duration;

use crate::gateway::{Gateway, GatewayConfig};
use crate::lab::Lab;
use crate::load::assert_nothing_is_lost;
use crate::vpnd::{VpndConfig, quoted};

const TEN_SECONDS: &str = r#""10s""#;
const TWENTY_SECONDS: &str = r#""20s""#;

/// How often what happened, by the gateway's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    phase_1: usize,
    by_us: usize,
    by_the_gateway: usize,
}

impl Counts {
    fn of(gateway: &Gateway<'_>) -> Self {
        let log = gateway.log();
        let count = |words: &[&str]| log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count();
        Self {
            phase_1: count(&["IKE_SA workspaces[", "] established between"]),
            by_us: count(&["parsed QUICK_MODE request", "[ HASH SA No"]),
            by_the_gateway: count(&["generating QUICK_MODE request", "[ HASH SA No"]),
        }
    }
}

/// A gateway that by itself rekeys so seldom that no test sees it.
fn patient_gateway() -> GatewayConfig {
    GatewayConfig::ikev1().with("ikelifetime", "1h").with("lifetime", "8h")
}

/// A gateway that rekeys `margin` seconds before `lifetime` seconds are over.
fn hasty_gateway(key: &'static str, lifetime: u8, margin: u8) -> GatewayConfig {
    patient_gateway().with(key, format!("{lifetime}s")).with("margintime", format!("{margin}s")).with("rekeyfuzz", "0%")
}

fn patient_client() -> VpndConfig {
    VpndConfig::ikev1().with("ike", "lifetime", r#""1h""#).with("esp", "lifetime", r#""8h""#)
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
    // Older phase 1 SAs have no children any more.
    let in_use: Vec<String> = gateway.sas().iter().flat_map(|sa| sa.all_selectors()).map(str::to_owned).collect();
    assert!(!in_use.is_empty(), "{:#?}", gateway.sas());
    assert!(in_use.iter().all(|selectors| selectors == "10.250.0.0/24 === 10.200.0.1/32"), "the address stays");
    vpnd.terminate();
    gateway.wait_until(|| gateway.sas().iter().all(|sa| sa.children.is_empty()));
    counts
}

#[test]
fn k1_018_phase_2_is_rekeyed_by_us() {
    let counts = counts(patient_gateway(), &patient_client().with("esp", "lifetime", TEN_SECONDS), 25);
    assert!((3..=8).contains(&counts.by_us), "{counts:?}");
    assert_eq!((counts.phase_1, counts.by_the_gateway), (1, 0), "{counts:?}");
}

#[test]
fn k1_018_phase_2_without_forward_secrecy_is_rekeyed_by_us() {
    let gateway = patient_gateway().with("esp", "aes256gcm16!");
    let config = patient_client().with("esp", "proposals", r#"["aes256gcm16"]"#).with("esp", "lifetime", TEN_SECONDS);
    let counts = counts(gateway, &config, 25);
    assert!((3..=8).contains(&counts.by_us), "{counts:?}");
}

#[test]
fn k1_030_phase_2_is_rekeyed_by_the_gateway() {
    let counts = counts(hasty_gateway("lifetime", 12, 6), &patient_client(), 25);
    assert!((3..=8).contains(&counts.by_the_gateway), "{counts:?}");
    assert_eq!((counts.phase_1, counts.by_us), (1, 1), "{counts:?}");
}

#[test]
fn k1_019_phase_2_is_rekeyed_by_both_sides() {
    let config = patient_client().with("esp", "lifetime", TEN_SECONDS);
    let counts = counts(hasty_gateway("lifetime", 10, 3), &config, 25);
    assert!(counts.by_us + counts.by_the_gateway >= 3, "{counts:?}");
    assert_eq!(counts.phase_1, 1, "{counts:?}");
}

#[test]
fn k1_020_phase_1_is_renewed_and_the_children_stay() {
    let counts = counts(patient_gateway(), &patient_client().with("ike", "lifetime", TEN_SECONDS), 25);
    assert!((3..=8).contains(&counts.phase_1), "{counts:?}");
    assert_eq!((counts.by_us, counts.by_the_gateway), (1, 0), "{counts:?}");
}

#[test]
fn k1_020_phase_1_is_renewed_in_aggressive_mode_with_xauth() {
    let gateway = patient_gateway().aggressive().xauth("alice", "wonder");
    let config = patient_client().aggressive().xauth("alice", "wonder").with("ike", "lifetime", TEN_SECONDS);
    let counts = counts(gateway, &config, 25);
    assert!((3..=8).contains(&counts.phase_1), "{counts:?}");
    assert_eq!((counts.by_us, counts.by_the_gateway), (1, 0), "{counts:?}");
}

#[test]
fn k1_020_phase_1_is_renewed_at_a_gateway_that_replaces_older_sas_of_an_identity() {
    let gateway = patient_gateway().unique_ids("yes");
    let config = patient_client().with("local", "id", quoted("a@example.com")).with("ike", "lifetime", TEN_SECONDS);
    let counts = counts(gateway, &config, 25);
    assert!((3..=8).contains(&counts.phase_1), "{counts:?}");
}

#[test]
fn k1_020_phase_1_is_renewed_before_the_gateway_ends_it() {
    // It cannot renew by itself: it gave the address.
    let config = patient_client().with("ike", "lifetime", TEN_SECONDS);
    let counts = counts(hasty_gateway("ikelifetime", 20, 3), &config, 40);
    assert!(counts.phase_1 >= 4, "{counts:?}");
}

/// What `make soak` does for ten minutes, with the sample's suites.
#[test]
fn both_lifetimes_are_twenty_seconds_and_no_packet_is_lost() {
    // It rekeys after 15 to 18 seconds, vpnd after 14 to 17.
    let gateway = hasty_gateway("lifetime", 20, 2)
        .with("rekeyfuzz", "100%")
        .with("ikelifetime", "20s")
        .with("ike", "aes256-sha256-modp2048")
        .with("esp", "aes256-sha256-modp2048");
    let config = VpndConfig::ikev1()
        .with("ike", "proposals", r#"["aes256-sha256-modp2048"]"#)
        .with("esp", "proposals", r#"["aes256-sha256-modp2048"]"#)
        .with("ike", "lifetime", TWENTY_SECONDS)
        .with("esp", "lifetime", TWENTY_SECONDS);
    let counts = counts(gateway, &config, 45);
    assert!(counts.phase_1 >= 3 && counts.by_us + counts.by_the_gateway >= 3, "{counts:?}");
}
