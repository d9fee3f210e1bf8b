//! What a running vpnd has given up, and that it can do its work all the same.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use crate::gateway::{GatewayConfig, INSIDE};
use crate::lab::{Client, Lab};
use crate::vpnd::{Vpnd, VpndConfig};

/// The values of these lines of every thread's status; all threads have the same.
fn status<const N: usize>(vpnd: &Vpnd, lines: [&str; N]) -> [String; N] {
    let tasks = fs::read_dir(format!("/proc/{}/task", vpnd.id())).expect("its threads");
    let mut all: Vec<[String; N]> = tasks
        .map(|task| {
            let text = fs::read_to_string(task.expect("a thread").path().join("status")).expect("its status");
            lines.map(|line| {
                let value = text.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
                value.expect("the line").trim().to_owned()
            })
        })
        .collect();
    assert!(all.len() >= 3, "three threads: {all:?}");
    let first = all.remove(0);
    assert!(all.iter().all(|other| *other == first), "threads differ: {first:?}, {all:?}");
    first
}

const LINES: [&str; 6] = ["CapEff", "CapPrm", "CapBnd", "CapInh", "NoNewPrivs", "Seccomp"];
const NOTHING: &str = "0000000000000000";
const NET_ADMIN: &str = "0000000000001000";

#[test]
fn l_11_a_running_vpnd_may_do_what_its_work_needs_and_no_more() {
    let lab = Lab::open();
    let gateway = GatewayConfig::default().start(&lab);
    let client = lab.client(0);
    let config = VpndConfig::default().with("security", "sandbox", r#""required""#);
    let before = client.network_state();
    let mut vpnd = config.up(&client);
    assert_eq!(status(&vpnd, LINES), [NET_ADMIN, NET_ADMIN, NET_ADMIN, NOTHING, "1", "2"]);
    assert!(client.reaches(INSIDE));
    // Everything that is done again later is done with what is left.
    gateway.restart();
    client.run("ip", &["route", "flush", "table", "118"]);
    vpnd.wait_until_up();
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
    assert_eq!(client.network_state(), before);
}

#[test]
fn l_11_without_a_sandbox_everything_is_kept() {
    let lab = Lab::open();
    let _gateway = GatewayConfig::default().start(&lab);
    let client = lab.client(0);
    let vpnd = VpndConfig::default().with("security", "sandbox", r#""off""#).up(&client);
    let [capabilities, _, _, _, no_new, seccomp] = status(&vpnd, LINES);
    assert!(capabilities != NET_ADMIN && no_new == "0" && seccomp == "0");
    vpnd.terminate();
}

/// As systemd starts it with `User=` and `AmbientCapabilities=CAP_NET_ADMIN`.
#[test]
fn l_11_somebody_with_net_admin_alone_is_enough() {
    const NOBODY: u32 = 65_534;
    let lab = Lab::open();
    let _gateway = GatewayConfig::default().start(&lab);
    let client = lab.client(0);
    let file = VpndConfig::default().with("security", "sandbox", r#""required""#).write(&client);
    let state = fs::canonicalize(std::env::temp_dir())
        .expect("a directory")
        .join(format!("vpnd-nobody-{}", std::process::id()));
    fs::create_dir_all(&state).expect("a state directory");
    let own = file.parent().expect("a directory");
    for path in [own.to_owned(), own.join("psk"), file.clone(), state.clone()] {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root gives it away");
    }
    open_the_way(&client);
    // The machine's own node may be for root alone.
    let node = "mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec \"$@\"";
    let nobody = NOBODY.to_string();
    let mut command: Command = client.command("unshare");
    command.args([
        "--mount",
        "sh",
        "-c",
        node,
        "-",
        "setpriv",
        "--reuid",
        &nobody,
        "--regid",
        &nobody,
        "--clear-groups",
    ]);
    command.args(["--inh-caps", "+net_admin", "--ambient-caps", "+net_admin", env!("CARGO_BIN_EXE_vpnd"), "up"]);
    command.arg("--config").arg(&file).arg("--state-directory").arg(&state).args(["--wait", "30"]);
    let mut vpnd = Vpnd::spawn(command);
    vpnd.wait_until_up();
    let [effective, permitted, _, inheritable, no_new, seccomp] = status(&vpnd, LINES);
    assert_eq!([effective, permitted, inheritable, no_new, seccomp], [NET_ADMIN, NET_ADMIN, NOTHING, "1", "2"]);
    assert!(client.reaches(INSIDE));
    vpnd.terminate();
    fs::remove_dir_all(&state).expect("nothing is left open");
}

/// The lab's directory is for root alone.
fn open_the_way(client: &Client<'_>) {
    use std::os::unix::fs::PermissionsExt as _;
    let mut way = client.directory();
    while way != std::env::temp_dir() {
        fs::set_permissions(&way, fs::Permissions::from_mode(0o755)).expect("root may");
        assert!(way.pop());
    }
}
