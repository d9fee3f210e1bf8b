//! A setting is changed while the tunnel carries a thousand packets a second and two TCP transfers. Nothing is lost, and nothing leaves in clear.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::capture::{self, Capture};
use crate::gateway::{ADDRESS, Gateway, GatewayConfig, INSIDE, PSK};
use crate::killswitch::{MARKER, Sender, with_default_routes};
use crate::lab::{Client, Lab};
use crate::load::{Pings, Server};
use crate::vpnd::{AUTHENTICATION, Vpnd, VpndConfig, quoted, versions};

const OTHER_INSIDE: &str = "10.251.0.5";
const NEW_PSK: &str = "another interoperable secret";
const RESTART: i32 = 8;

/// A running vpnd whose configuration can be changed.
struct Running<'lab> {
    client: Client<'lab>,
    vpnd: Vpnd,
    config: VpndConfig,
    file: PathBuf,
    socket: PathBuf,
}

impl<'lab> Running<'lab> {
    fn up(client: &Client<'lab>, config: VpndConfig) -> Self {
        let mut running = Self::start(client, config);
        running.vpnd.wait_until_up();
        running
    }

    fn start(client: &Client<'lab>, config: VpndConfig) -> Self {
        let socket = client.directory().join("control.sock");
        let config = config.with("control", "socket", quoted(socket.to_str().expect("UTF-8")));
        let file = config.write(client);
        let vpnd = Vpnd::start_for_ever(client, &file);
        Self { client: client.clone(), vpnd, config, file, socket }
    }

    /// Changes the file. Nobody is told.
    fn edit(&mut self, change: impl FnOnce(VpndConfig) -> VpndConfig) {
        self.config = change(self.config.clone());
        self.config.rewrite(&self.file);
    }

    /// Runs a subcommand that asks it: its exit code, and all it said.
    fn ask(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = self.client.command(env!("CARGO_BIN_EXE_vpnd"));
        let output = command.args(arguments).arg("--socket").arg(&self.socket).output().expect("vpnd starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().expect("an exit code"), String::from_utf8_lossy(&said).into_owned())
    }

    #[track_caller]
    fn reload(&self) -> String {
        let (code, said) = self.ask(&["reload", "--timeout", "30"]);
        assert_eq!(code, 0, "{said}");
        said
    }

    /// What names the SAs in use.
    fn spis(&self) -> Vec<String> {
        let (code, said) = self.ask(&["status", "--json"]);
        assert_eq!(code, 0, "{said}");
        let words = said.split('"').collect::<Vec<_>>();
        let values = words.windows(3).filter(|words| words[0].ends_with("_spi") && words[1] == ":");
        let spis: Vec<String> = values.map(|words| words[2].to_owned()).collect();
        assert_eq!(spis.len(), 4, "{said}");
        spis
    }
}

/// Something is done in a stream of a thousand packets a second beside TCP both ways: none is lost.
#[track_caller]
fn under_load(running: &mut Running<'_>, act: impl FnOnce(&mut Running<'_>)) {
    let server = Server::start(running.client.lab, INSIDE);
    assert!(running.client.reaches(INSIDE));
    let pings = Pings::start_every(&running.client, INSIDE, "1");
    let client = running.client.clone();
    std::thread::scope(|scope| {
        let transfer = scope.spawn(|| server.trickle(&client, Duration::from_secs(6)));
        std::thread::sleep(Duration::from_secs(1));
        act(running);
        transfer.join().expect("the transfers go on");
    });
    pings.assert_none_lost(3000);
    let said = running.vpnd.said();
    assert_eq!(said.matches("tunnel is up").count(), 1, "{said}");
    assert!(!said.contains("tunnel is down"), "{said}");
}

/// The gateway's only SA is the new one.
fn has_only(gateway: &Gateway<'_>, is_it: impl Fn(&crate::gateway::SaStatus) -> bool) {
    gateway.wait_until(|| {
        let sas = gateway.sas();
        sas.len() == 1 && is_it(&sas[0]) && !sas[0].all_selectors().is_empty()
    });
}

#[test]
fn a_changed_proposal_is_in_force_without_a_lost_packet() {
    for (gateway, config) in versions() {
        let lab = Lab::open();
        let client = lab.client(0);
        let gateway = gateway
            .with("ike", "aes256-sha256-ecp256,aes128-sha384-ecp384!")
            .with("esp", "aes256-sha256,aes256-sha256-ecp256,aes128gcm16-ecp384!")
            .start(&lab);
        let mut running = Running::up(&client, config);
        under_load(&mut running, |running| {
            running.edit(|config| {
                let config = config.with("ike", "proposals", r#"["aes128-sha384-ecp384"]"#);
                config.with("esp", "proposals", r#"["aes128gcm16-ecp384"]"#)
            });
            let said = running.reload();
            assert!(said.contains("[ike] proposals") && said.contains("[esp] proposals"), "{said}");
            assert!(said.contains("the new session carries the traffic"), "{said}");
        });
        has_only(&gateway, |sa| sa.ike_proposal.contains("ECP_384") && sa.child_proposal.contains("AES_GCM_16_128"));
        running.vpnd.terminate();
    }
}

/// The key goes with the identity: the gateway knows both.
fn with_two_keys(gateway: GatewayConfig) -> GatewayConfig {
    gateway.secrets(format!("client@example.com : PSK \"{PSK}\"\nrotated@example.com : PSK \"{NEW_PSK}\"\n"))
}

#[test]
fn a_rotated_key_is_in_force_without_a_lost_packet() {
    let [(gateway, config), (gateway_v1, config_v1)] = versions();
    for (gateway, config) in [(gateway, config), (gateway_v1.aggressive(), config_v1.aggressive())] {
        let lab = Lab::open();
        let client = lab.client(0);
        // An address of our own: one that the gateway gives goes with the identity, too.
        let gateway = gateway.without("rightsourceip").with("rightsubnet", "10.200.0.77/32");
        let gateway = with_two_keys(gateway).start(&lab);
        let mut running = Running::up(&client, config.with("local", "address", r#""10.200.0.77""#));
        under_load(&mut running, |running| {
            running.edit(|config| config.psk(NEW_PSK).with("local", "id", r#""rotated@example.com""#));
            let said = running.reload();
            assert!(said.contains("[gateway] psk_file: changed") && !said.contains(NEW_PSK), "{said}");
        });
        has_only(&gateway, |sa| sa.peer_identity == "rotated@example.com");
        assert!(!running.vpnd.terminate().contains(NEW_PSK));
    }
}

#[test]
fn a_key_that_the_gateway_refuses_leaves_the_tunnel_as_it_is() {
    for (gateway, config) in versions() {
        let lab = Lab::open();
        let client = lab.client(0);
        let gateway = gateway.start(&lab);
        let mut running = Running::up(&client, config);
        let before = running.spis();
        let pings = Pings::start(&client, INSIDE);
        running.edit(|config| config.psk(NEW_PSK));
        let (code, said) = running.ask(&["reload", "--timeout", "40"]);
        // IKEv1's main mode has no answer to a wrong key (RFC 2409 §5.4): it is silence until the time is over.
        let is_told = said.contains("The tunnel goes on as it was") && code == AUTHENTICATION;
        assert!(is_told || (code == 1 && said.contains("no answer in time")), "{code}: {said}");
        assert_eq!(running.spis(), before);
        // The change is taken back.
        running.edit(|config| config.psk(PSK));
        running.reload();
        pings.assert_none_lost(10);
        has_only(&gateway, |_| true);
        running.vpnd.terminate();
    }
}

/// Without what counts packets.
fn network_state(client: &Client<'_>) -> String {
    let state = client.network_state();
    state.lines().map(|line| line.split(" counter packets ").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_wrong_file_or_a_dry_run_changes_nothing() {
    let lab = Lab::open();
    let client = lab.client(0);
    let gateway = GatewayConfig::default().start(&lab);
    let mut running = Running::up(&client, VpndConfig::default());
    let before = (running.spis(), network_state(&client), gateway.log().lines().count());

    running.edit(|config| {
        let config = config.with("ike", "proposals", r#"["aes128-sha256-ecp256"]"#).with("tun", "mtu", "1300");
        config.with("ike", "dpd", r#""7s""#).with("gateway", "subnets", r#"["10.250.0.0/24", "10.251.0.0/24"]"#)
    });
    let (code, said) = running.ask(&["reload", "--dry-run"]);
    assert_eq!(code, 0, "{said}");
    for line in [
        "[gateway] subnets: 10.250.0.0/24 -> 10.250.0.0/24, 10.251.0.0/24, by a new session",
        "[ike] proposals: aes256-sha256-ecp256 -> aes128-sha256-ecp256, by a new session",
        "[ike] dpd: 30s -> 7s, in place",
        "[tun] mtu: auto -> 1300, routes and addresses of this host",
        "nothing is changed",
    ] {
        assert!(said.contains(line), "{line}:\n{said}");
    }

    fs::write(&running.file, "[gateway]\naddress = 5\nsubnets = [\"10.250.0.0/33\"]\npsk_file = \"psk\"\n")
        .expect("a file");
    let (code, said) = running.ask(&["reload"]);
    assert_eq!(code, 2, "{said}");
    for mistake in ["vpnd.toml:2:11: error: ", "vpnd.toml:3:12: error: ", "nothing is changed"] {
        assert!(said.contains(mistake), "{mistake}:\n{said}");
    }
    running.vpnd.signal("HUP");
    running.vpnd.wait_for("vpnd.toml:3:12: error: ");
    running.vpnd.wait_for("nothing is changed");

    // A secret that is gone is a mistake, too.
    running.config.rewrite(&running.file);
    fs::remove_file(running.file.with_file_name("psk")).expect("the key's file");
    let (code, said) = running.ask(&["reload"]);
    assert!(code == 2 && said.contains("[gateway] psk_file"), "{code}: {said}");

    assert_eq!((running.spis(), network_state(&client)), (before.0, before.1));
    assert!(!gateway.log().lines().skip(before.2).any(|line| line.contains("IKE_SA_INIT request")));
    running.vpnd.terminate();
}

#[test]
fn log_liveness_and_mtu_change_in_place_by_signal_and_by_a_watched_file() {
    let lab = Lab::open();
    let client = lab.client(0);
    let _gateway = GatewayConfig::default().start(&lab);
    let mut running = Running::up(&client, VpndConfig::default().with("control", "watch", "true"));
    let before = running.spis();
    assert!(!running.vpnd.said().contains("DEBUG"));

    running.edit(|config| config.with("log", "level", r#""debug""#).with("tun", "mtu", "1300"));
    running.vpnd.wait_for("its files changed");
    running.vpnd.wait_until_said("DEBUG");
    assert!(client.run("ip", &["link", "show", "vpnd0"]).contains("mtu 1300"));

    running.edit(|config| {
        config.with("log", "format", r#""json""#).with("ike", "dpd", r#""5s""#).with("control", "watch", "false")
    });
    running.vpnd.signal("HUP");
    running.vpnd.wait_for("configuration read again");
    running.vpnd.wait_until_said(r#""level":"DEBUG""#);
    assert_eq!(running.spis(), before);

    // What only a restart changes is said, and the rest is done.
    running.edit(|config| config.with("tun", "name", r#""vpnd7""#).with("log", "level", r#""info""#));
    let (code, said) = running.ask(&["reload"]);
    assert_eq!(code, RESTART, "{said}");
    assert!(said.contains("[tun] name: vpnd0 -> vpnd7, only by a restart") && said.contains("[log] level"), "{said}");
    let (code, said) = running.ask(&["reload", "--json"]);
    assert!(code == RESTART && said.contains(r#""exit_code":8"#) && !said.contains("[log] level"), "{code}: {said}");
    running.vpnd.terminate();
}

#[test]
fn a_watched_key_is_rotated_when_its_file_is_replaced() {
    let lab = Lab::open();
    let client = lab.client(0);
    // With one secret for all, the gateway changes its own first.
    let gateway = with_two_keys(GatewayConfig::default()).start(&lab);
    let config = VpndConfig::default().with("control", "watch", "true").with("local", "id", r#""rotated@example.com""#);
    let mut running = Running::start(&client, config);
    running.vpnd.wait_for("failed");
    // It is not up: what is tried is tried with the new key at once.
    running.edit(|config| config.psk(NEW_PSK));
    running.vpnd.wait_for("psk_file: changed");
    running.vpnd.wait_until_up();
    assert_eq!(gateway.sa().peer_identity, "rotated@example.com");
    running.vpnd.terminate();
}

/// Frames on the outer link in which what the sender says shows, or the inner address in clear.
fn in_clear(capture: Capture<'_>) -> usize {
    let frames = capture.frames();
    assert!(!frames.is_empty());
    frames.iter().filter(|frame| capture::contains(frame, MARKER)).count()
}

#[test]
fn l_01_a_subnet_is_closed_before_it_is_carried_and_opened_after() {
    let lab = Lab::open();
    let client = with_default_routes(&lab);
    let _gateway = GatewayConfig::default().start(&lab);
    let before = client.network_state();
    let mut running = Running::up(&client, VpndConfig::default());
    let a_while = || assert!(client.ping("192.0.2.10", 5) == 5);

    // The gateway is silent: what is added is closed although no new session can come up.
    lab.silence();
    running.edit(|config| config.with("gateway", "subnets", r#"["10.250.0.0/24", "10.251.0.0/24"]"#));
    let (code, said) = running.ask(&["reload", "--timeout", "1"]);
    assert!(code == 1 && said.contains("no answer in time"), "{code}: {said}");
    let outside = Capture::start(&client, "outer");
    let sender = Sender::start(&client, "outer", &[INSIDE, OTHER_INSIDE]);
    a_while();
    lab.heal();
    running.vpnd.wait_for("carries the traffic");
    assert!(client.reaches(OTHER_INSIDE) && client.reaches(INSIDE));

    // What is taken out stays closed until it is out of the tunnel.
    lab.silence();
    running.edit(|config| config.with("gateway", "subnets", r#"["10.251.0.0/24"]"#));
    let (code, said) = running.ask(&["reload", "--timeout", "1"]);
    assert_eq!(code, 1, "{said}");
    a_while();
    drop(sender);
    assert_eq!(in_clear(outside), 0);
    lab.heal();
    running.vpnd.wait_for("carries the traffic");
    assert!(client.reaches(OTHER_INSIDE));
    let outside = Capture::start(&client, "outer");
    let sender = Sender::start(&client, "outer", &[INSIDE]);
    assert_eq!(client.ping(ADDRESS, 5), 5);
    drop(sender);
    assert!(in_clear(outside) > 0, "it is open, as every other address");
    running.vpnd.terminate();
    assert_eq!(client.network_state(), before);
}
