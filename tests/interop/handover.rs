//! Restart without loss: a new process takes everything over from the one that runs. And restart after `kill -9`.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::capture::{self, Capture};
use crate::gateway::{Gateway, GatewayConfig, INSIDE};
use crate::lab::{Client, Lab};
use crate::load::{Pings, Server};
use crate::vpnd::{Vpnd, VpndConfig};

/// Starts `vpnd up` with a state directory that only this client's processes have.
fn start(client: &Client<'_>, config: &VpndConfig, further: &[&str]) -> Vpnd {
    let mut command = client.command(env!("CARGO_BIN_EXE_vpnd"));
    command.arg("up").arg("--config").arg(config.write(client)).args(["--wait", "30", "--state-directory"]);
    command.arg(state_directory(client)).args(further);
    Vpnd::spawn(command)
}

fn up(client: &Client<'_>, config: &VpndConfig) -> Vpnd {
    let mut vpnd = start(client, config, &[]);
    vpnd.wait_until_up();
    vpnd
}

fn state_directory(client: &Client<'_>) -> PathBuf {
    client.directory().join("state")
}

/// A new process takes over; the old one ends, and says so. How long packets waited, in milliseconds.
#[track_caller]
fn replace(client: &Client<'_>, config: &VpndConfig, old: &mut Vpnd) -> f64 {
    let mut new = start(client, config, &[]);
    let line = new.wait_for("took over");
    let status = old.wait_for_exit();
    let said = old.said();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("handed over"), "{said}");
    assert!(line.contains("the tunnel goes on") && !line.contains("new session"), "{line}");
    *old = new;
    let waited = line.split("waited ").nth(1).and_then(|rest| rest.split(' ').next()).expect("how long");
    waited.parse().expect("a number")
}

/// Starts `vpnd up` as in a container of its own: it sees no process of others, and is the first of its own.
fn start_apart(client: &Client<'_>, config: &VpndConfig) -> Vpnd {
    let mut command = client.command("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", env!("CARGO_BIN_EXE_vpnd"), "up", "--config"]);
    command.arg(config.write(client)).args(["--wait", "30", "--state-directory"]).arg(state_directory(client));
    Vpnd::spawn(command)
}

/// The state of the host's network, without what the packet filter counted.
fn host_state(client: &Client<'_>) -> String {
    let without_counts = |line: &str| match line.split_once(" counter packets ") {
        Some((rule, counts)) => format!("{rule} {}\n", counts.split(' ').next_back().unwrap_or_default()),
        None => format!("{line}\n"),
    };
    client.network_state().lines().map(without_counts).collect()
}

/// The SPIs of all SAs as the gateway has them: of the IKE SA and its children.
fn spis(gateway: &Gateway<'_>) -> Vec<String> {
    let status = gateway.ipsec(&["statusall"]);
    let lines = status.lines().filter(|line| line.contains("SPIs: "));
    lines
        .map(|line| line.split("SPIs: ").nth(1).unwrap_or_default().split(',').next().unwrap_or_default().to_owned())
        .collect()
}

fn versions() -> [(&'static str, GatewayConfig, VpndConfig); 2] {
    let patient = |gateway: GatewayConfig| {
        gateway.with("ikelifetime", "1h").with("lifetime", "8h").with("reauth", "no").unique_ids("no")
    };
    [
        ("IKEv2", patient(GatewayConfig::default()), VpndConfig::default()),
        ("IKEv1", patient(GatewayConfig::ikev1()), VpndConfig::ikev1()),
    ]
}

#[test]
fn the_same_sas_go_on_in_a_new_process_and_no_packet_of_a_thousand_a_second_is_lost() {
    for (name, gateway, config) in versions() {
        let lab = Lab::open();
        let client = lab.client(0);
        let gateway = gateway.start(&lab);
        let before_all = host_state(&client);
        let mut vpnd = up(&client, &config);
        assert!(client.reaches(INSIDE));
        let outside = Capture::start(&client, "outer");
        let (host, before) = (host_state(&client), spis(&gateway));
        assert_eq!(before.len(), 2, "{before:?}");
        let pings = Pings::start_every(&client, INSIDE, "1");
        std::thread::sleep(Duration::from_secs(1));
        let waited = replace(&client, &config, &mut vpnd);
        std::thread::sleep(Duration::from_secs(2));
        println!("{name}: packets waited {waited} ms");
        pings.assert_none_lost(1500);
        assert_eq!(spis(&gateway), before, "{name}: the gateway sees no new SA");
        assert_eq!(host_state(&client), host, "{name}: nothing of the host was touched");
        // What a capture would show of the pings in clear.
        let frames = outside.frames();
        assert!(frames.len() > 1000 && !frames.iter().any(|frame| capture::contains(frame, b"vpndvpndvpnd")));
        vpnd.terminate();
        gateway.wait_until_empty();
        assert_eq!(host_state(&client), before_all, "{name}: the new process knows what is to be taken back");
    }
}

/// Containers that share the network and the state directory, as those of one pod may: replacing one by the next is no cut.
#[test]
fn a_process_in_another_container_takes_over() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    let config = VpndConfig::default().with("security", "sandbox", r#""required""#);
    let mut old = start_apart(&client, &config);
    old.wait_until_up();
    assert!(client.reaches(INSIDE));
    let before = spis(&gateway);
    let pings = Pings::start(&client, INSIDE);
    std::thread::sleep(Duration::from_secs(1));
    let mut new = start_apart(&client, &config);
    new.wait_for("took over");
    assert_eq!(old.wait_for_exit().code(), Some(0), "{}", old.said());
    std::thread::sleep(Duration::from_secs(1));
    pings.assert_none_lost(150);
    assert_eq!(spis(&gateway), before, "the gateway sees no new SA");
    // What was started is the process that waits for the container's.
    let children = format!("/proc/{0}/task/{0}/children", new.id());
    let first = fs::read_to_string(children).expect("its child");
    assert!(Command::new("kill").args(["-TERM", first.trim()]).status().expect("kill runs").success());
    assert_eq!(new.wait_for_exit().code(), Some(0), "{}", new.said());
    gateway.wait_until_empty();
}

#[test]
fn a_transfer_goes_on_through_twenty_processes() {
    for (name, gateway, config) in versions() {
        let lab = Lab::open();
        let client = lab.client(0);
        let gateway = gateway.start(&lab);
        let mut vpnd = up(&client, &config);
        assert!(client.reaches(INSIDE));
        let before = spis(&gateway);
        let server = Server::start(&lab, INSIDE);
        let pings = Pings::start(&client, INSIDE);
        let waits: Vec<f64> = std::thread::scope(|scope| {
            let transfer = scope.spawn(|| server.trickle(&client, Duration::from_secs(12)));
            let waits = (0..20).map(|_| replace(&client, &config, &mut vpnd)).collect();
            transfer.join().expect("the transfer comes to its end");
            waits
        });
        pings.assert_none_lost(500);
        println!("{name}: packets waited {waits:.1?} ms");
        assert_eq!(spis(&gateway), before, "{name}");
        assert!(client.reaches(INSIDE));
        vpnd.terminate();
        gateway.wait_until_empty();
    }
}

#[test]
fn the_new_process_rekeys_what_it_took_over() {
    for (name, gateway, config) in versions() {
        let lab = Lab::open();
        let client = lab.client(0);
        let gateway = gateway.start(&lab);
        let config = config.with("esp", "lifetime", r#""20s""#).with("ike", "lifetime", r#""30s""#);
        let mut vpnd = up(&client, &config);
        assert!(client.reaches(INSIDE));
        let before = spis(&gateway);
        let pings = Pings::start(&client, INSIDE);
        replace(&client, &config, &mut vpnd);
        vpnd.wait_for("child SA, before");
        vpnd.wait_for("IKE SA");
        replace(&client, &config, &mut vpnd);
        vpnd.wait_for("child SA, before");
        pings.assert_none_lost(1000);
        assert!(spis(&gateway).iter().all(|spi| !before.contains(spi)), "{name}: all are others");
        vpnd.terminate();
        gateway.wait_until_empty();
    }
}

#[test]
fn a_process_that_dies_before_it_is_ready_leaves_the_old_one_as_it_was() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    let config = VpndConfig::default();
    let mut vpnd = up(&client, &config);
    assert!(client.reaches(INSIDE));
    let (host, before) = (host_state(&client), spis(&gateway));
    let pings = Pings::start(&client, INSIDE);
    let socket = state_directory(&client).join("vpnd0.sock");
    let dying = include_str!("dying.py");
    // It asks, gets everything, and ends: at once, in the middle, when it has all, after "ready", after "yours".
    for moment in ["asked", "header", "state", "declined", "ready", "yours"] {
        let said = client.run("python3", &["-c", dying, socket.to_str().expect("UTF-8"), moment]);
        assert!(said.contains(moment), "{moment}: {said}");
        if moment != "asked" {
            vpnd.wait_for("this one goes on");
        }
    }
    assert_eq!(spis(&gateway), before);
    assert_eq!(host_state(&client), host);
    // And it can still be taken over.
    replace(&client, &config, &mut vpnd);
    pings.assert_none_lost(50);
    vpnd.terminate();
    gateway.wait_until_empty();
}

#[test]
fn a_process_that_is_told_not_to_take_over_says_who_runs_and_changes_nothing() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    let config = VpndConfig::default();
    let vpnd = up(&client, &config);
    let (host, before) = (host_state(&client), spis(&gateway));
    let mut second = start(&client, &config, &["--no-takeover"]);
    assert_ne!(second.wait_for_exit().code(), Some(0));
    let said = second.said();
    assert!(said.contains("vpnd0") && said.contains("--no-takeover"), "{said}");
    // Nor does one take over that cannot: another IKE, another device.
    let mut other = start(&client, &VpndConfig::ikev1(), &[]);
    assert_ne!(other.wait_for_exit().code(), Some(0));
    assert!(other.said().contains("[ike] version"), "{}", other.said());
    assert_eq!((host_state(&client), spis(&gateway)), (host, before));
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
    gateway.wait_until_empty();
}

#[test]
fn what_the_new_process_is_configured_otherwise_is_made_beside_what_it_took_over() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().with("esp", "aes256-sha256,aes128-sha256!").start(&lab);
    let mut vpnd = up(&client, &VpndConfig::default());
    assert!(client.reaches(INSIDE));
    let pings = Pings::start(&client, INSIDE);
    let changed = VpndConfig::default().with("esp", "proposals", r#"["aes128-sha256"]"#).with("ike", "dpd", r#""7s""#);
    let mut new = start(&client, &changed, &[]);
    let line = new.wait_for("took over");
    assert!(line.contains("a new session is made for [esp] proposals"), "{line}");
    assert_eq!(vpnd.wait_for_exit().code(), Some(0));
    gateway.wait_until(|| gateway.sas().len() == 1 && gateway.sa().child_proposal.contains("AES_CBC_128"));
    pings.assert_none_lost(50);
    new.terminate();
    gateway.wait_until_empty();
}

#[test]
fn keys_are_in_no_file_and_no_second_process_has_the_record() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    let config = VpndConfig::default();
    let mut vpnd = up(&client, &config);
    replace(&client, &config, &mut vpnd);
    let names = || {
        let entries = fs::read_dir(state_directory(&client)).expect("the state directory");
        let mut names: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        names.sort();
        names
    };
    for file in names() {
        if !fs::metadata(&file).expect("a file").file_type().is_socket() {
            let text = fs::read_to_string(&file).expect("text");
            assert!(!text.contains("sk_d") && !text.contains("encryption"), "{}", file.display());
        }
    }
    assert_eq!(names().len(), 3, "a record, its lock, and the control socket: {:?}", names());
    vpnd.terminate();
    assert_eq!(names(), Vec::<PathBuf>::new());
    gateway.wait_until_empty();
}

#[test]
fn after_kill_the_next_start_is_up_within_the_handshakes_time_and_the_old_sa_is_not_in_its_way() {
    for (name, _, config) in versions() {
        for shared in [false, true] {
            let lab = Lab::open();
            let client = lab.client(0);
            let gateway = gateway_of(name, shared);
            let gateway = gateway.start(&lab);
            let (shares, alone) = if shared { ("true", "false") } else { ("false", "true") };
            let config = config.clone().with("local", "shared_identity", shares).with("ike", "initial_contact", alone);
            let before_all = host_state(&client);
            let begun = Instant::now();
            let vpnd = up(&client, &config);
            let first = begun.elapsed();
            assert!(client.reaches(INSIDE));
            vpnd.kill();
            // The subnets stay closed meanwhile.
            assert_eq!(client.ping(INSIDE, 1), 0, "{name}");
            let begun = Instant::now();
            let vpnd = up(&client, &config);
            let again = begun.elapsed();
            println!("{name}, shared {shared}: up in {first:.2?}, after the kill in {again:.2?}");
            assert!(client.reaches(INSIDE), "{name}, shared {shared}: packets come back by the new SA");
            assert!(again < first + Duration::from_secs(3), "{name}, shared {shared}: {again:?} after {first:?}");
            if !shared {
                gateway.wait_until(|| gateway.sas().len() == 1);
            }
            vpnd.terminate();
            assert_eq!(host_state(&client), before_all);
        }
    }
}

/// One that keeps what it has of an identity only where no other client shares it.
fn gateway_of(name: &str, shared: bool) -> GatewayConfig {
    let gateway = if name == "IKEv1" { GatewayConfig::ikev1() } else { GatewayConfig::default() };
    gateway.unique_ids(if shared { "never" } else { "no" })
}
