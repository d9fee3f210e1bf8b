//! Hostile datagrams of every kind at a vpnd with a live tunnel, as fast as the machine sends them, from strangers and in the gateway's name.
//!
//! The small flood is a test like any other. The great one is `make flood`, which prints what became of everything.

mod report;
mod sender;
mod stream;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use self::report::{Report, table};
use self::sender::Target;
use self::stream::Outcome;
use crate::capture::{self, Capture, Frame};
use crate::gateway::{ADDRESS, GatewayConfig, INSIDE};
use crate::lab::{Client, Lab};
use crate::vpnd::{Vpnd, VpndConfig, quoted};

/// What a copy of this program in a namespace is to do: see `role`.
const ROLE: &str = "VPND_FLOOD_ROLE";

/// A copy of this program that plays a role in a namespace.
struct Player {
    child: Child,
    said: BufReader<Box<dyn Read>>,
}

impl Player {
    fn start(lab: &Lab, place: &str, words: &[&str]) -> Self {
        let mut command = lab.command(place, std::env::current_exe().expect("this program"));
        command.args(["--exact", "flood::role", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(ROLE, words.join(" ")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program starts");
        let said: Box<dyn Read> = Box::new(child.stdout.take().expect("stdout"));
        Self { child, said: BufReader::new(said) }
    }

    /// The next line that is for us: the test's own frame prints others.
    fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = self.said.read_line(&mut line).expect("a line");
            assert_ne!(read, 0, "a player ended without a word");
            if let Some((_, said)) = line.split_once("@ ") {
                return said.trim_end().to_owned();
            }
        }
    }

    /// Closes its input, which ends it, and gives its last line.
    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let line = self.line();
        self.child.wait().expect("it ends");
        line
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Not a test: what a copy of this program does in a namespace.
#[test]
#[ignore = "a role in other tests"]
fn role() {
    let Ok(words) = std::env::var(ROLE) else { return };
    let words: Vec<&str> = words.split(' ').collect();
    match words[..] {
        ["echo", at] => stream::echo(at),
        ["stream", to] => stream::stream(to),
        ["flood", file] => sender::flood(file),
        _ => panic!("no such role: {words:?}"),
    }
}

fn status(client: &Client<'_>, config: &Path) -> Value {
    let output = client.command(env!("CARGO_BIN_EXE_vpnd")).args(["status", "--json", "--config"]).arg(config).output();
    serde_json::from_slice(&output.expect("vpnd runs").stdout).expect("JSON")
}

/// Octets of memory that the process has of the machine.
fn resident(vpnd: &Vpnd) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", vpnd.id())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// Seconds of processor time, by the thread's name.
fn processor_time(vpnd: &Vpnd) -> Vec<(String, f64)> {
    let tasks = fs::read_dir(format!("/proc/{}/task", vpnd.id())).expect("its threads");
    let mut times: Vec<(String, f64)> = tasks
        .filter_map(|task| {
            let stat = fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
            let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
            let fields: Vec<&str> = rest.split_whitespace().collect();
            let ticks = fields[11].parse::<u32>().ok()? + fields[12].parse::<u32>().ok()?;
            Some((name.to_owned(), f64::from(ticks) / 100.0))
        })
        .collect();
    times.sort_by(|one, other| one.0.cmp(&other.0));
    times
}

/// Everything that leaves the client but for the gateway, as it stands on the wire.
struct Strangers(Child);

impl Strangers {
    fn watch(client: &Client<'_>) -> Self {
        let filter = format!("src host {} and not dst host {ADDRESS}", client.address());
        let mut command = client.command("tcpdump");
        command.args(["--immediate-mode", "-n", "-l", "-i", "outer", &filter]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tcpdump starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        assert!(lines.any(|line| line.is_ok_and(|line| line.contains("listening on"))), "tcpdump does not listen");
        // What it says at its end needs somebody to take it.
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }

    fn seen(mut self) -> Vec<String> {
        let told = Command::new("kill").arg("-INT").arg(self.0.id().to_string()).status();
        assert!(told.is_ok_and(|status| status.success()));
        let mut said = String::new();
        self.0.stdout.take().expect("stdout").read_to_string(&mut said).expect("text");
        self.0.wait().expect("tcpdump ends");
        said.lines().filter(|line| !line.is_empty() && !line.contains(" ARP")).map(str::to_owned).collect()
    }
}

/// Raises a tunnel, floods it with so many datagrams, and looks at what became of it.
fn flood(config: VpndConfig, gateway: GatewayConfig, count: u64, seed: u64) -> Report {
    let lab = Lab::open();
    let gateway = gateway.start(&lab);
    let client = lab.client(0);
    let stranger = lab.client(1);
    let socket = client.directory().join("control");
    let (mut vpnd, file) = config.with("control", "socket", quoted(&socket.to_string_lossy())).up_with_file(&client);
    let captured = Capture::start(&client, "outer");
    assert!(client.reaches(INSIDE));
    let recorded = recorded(captured.frames());

    let before = status(&client, &file);
    let spis = |status: &Value| (status["session"]["our_spi"].clone(), status["children"].clone());
    let number = |value: &Value| u64::from_str_radix(value.as_str().expect("hexadecimal"), 16).expect("a number");
    let target = Target {
        local: before["session"]["local"].as_str().expect("an address").parse().expect("an address and a port"),
        gateway: before["session"]["gateway"].as_str().expect("an address").parse().expect("an address and a port"),
        ike: [number(&before["session"]["our_spi"]), number(&before["session"]["gateway_spi"])],
        inbound: number(&before["children"][0]["inbound_spi"]),
        outbound: number(&before["children"][0]["outbound_spi"]),
        count,
        seed,
        recorded,
        hardware: hardware_address(&client),
    };
    let orders = stranger.directory().join("flood");
    target.write(&orders);

    let mut echo = Player::start(&lab, "gateway", &["echo", INSIDE]);
    let port = echo.line();
    let mut stream = Player::start(&lab, client.name(), &["stream", &format!("{INSIDE}:{port}")]);
    assert_eq!(stream.line(), "steady");
    let strangers = Strangers::watch(&client);
    let times = processor_time(&vpnd);
    let memory = resident(&vpnd);
    let (mut half, mut highest) = (memory, memory);
    let mut looks = 0;
    let mut sender = Player::start(&lab, stranger.name(), &["flood", &orders.to_string_lossy()]);
    let said = loop {
        let said = sender.line();
        let now = resident(&vpnd);
        looks += 1;
        if looks == 5 {
            half = now;
        }
        highest = highest.max(now);
        if let Some(last) = said.strip_prefix("sent ") {
            break last.to_owned();
        }
    };
    let processor = processor_time(&vpnd).into_iter().zip(&times);
    let processor = processor.map(|((name, after), (_, before))| (name, after - before)).collect();
    let stream = Outcome::read(&stream.end());
    drop(echo);
    let answered = strangers.seen();
    let after = status(&client, &file);
    let full = full_sockets(&lab, &client, &after["inbound"]["unreceived"]);
    let lines = vpnd.said();
    assert_eq!(spis(&after), spis(&before), "the SAs are others than before the flood:\n{lines}");
    assert_eq!(gateway.sa().children.len(), 1);
    assert!(client.reaches(INSIDE), "nothing passes after the flood:\n{}", vpnd.said());
    let last = resident(&vpnd);
    assert_eq!(lines.matches("tunnel is up").count(), 1, "{lines}");
    vpnd.terminate();

    let mut said = said.split(' ');
    let mut number = || said.next().and_then(|word| word.parse::<f64>().ok()).expect("a number");
    let (sent, seconds, kinds) = (number() as u64, number(), number() as usize);
    let memory = [memory, half, highest.max(last), last];
    Report { sent, seconds, kinds, memory, stream, full, answered, counters: after["inbound"].clone(), processor }
}

/// Datagrams that found no room in the socket of vpnd, of the program that counts, and on the gateway's side.
fn full_sockets(lab: &Lab, client: &Client<'_>, unreceived: &Value) -> [u64; 3] {
    let udp = |place| {
        let output = lab.command(place, "cat").arg("/proc/net/snmp").output().expect("cat runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let values = text.lines().filter(|line| line.starts_with("Udp: ")).nth(1).expect("two lines");
        let values: Vec<u64> = values.split(' ').skip(1).map(|word| word.parse().expect("a number")).collect();
        // InErrors, which a socket's filter counts as well, and RcvbufErrors.
        (values[2], values[4])
    };
    let (errors, full) = udp(client.name());
    let counting = errors.saturating_sub(unreceived.as_u64().expect("a number"));
    [full.saturating_sub(counting), counting, udp("gateway").1]
}

/// What the gateway sent, as UDP payloads.
fn recorded(frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let from_gateway = |frame: &Vec<u8>| match capture::read(frame) {
        Frame::Udp { source, payload, .. } if source.to_string() == ADDRESS => Some(payload),
        _ => None,
    };
    let recorded: Vec<Vec<u8>> = frames.iter().filter_map(from_gateway).collect();
    assert!(recorded.len() > 2, "the gateway said nothing");
    recorded
}

fn hardware_address(client: &Client<'_>) -> String {
    client.run("cat", &["/sys/class/net/outer/address"]).trim().to_owned()
}

/// The inbound thread's room for 64 datagrams of 64 KiB is set aside at the start, and touched when so many and so long ones wait at once for the first
/// time: soon on a busy machine, late on a quiet one. Nothing else may grow, but for what comes and goes.
#[track_caller]
fn assert_bounded([before, half, most, after]: [u64; 4]) {
    const ROOM: u64 = 64 << 16;
    const ELSE: u64 = 2 << 20;
    let grown = [half, most, after].map(|size| size.saturating_sub(before));
    assert!(grown.iter().all(|grown| *grown < ROOM + ELSE), "grown by {:?} KiB", grown.map(|octets| octets >> 10));
}

#[test]
fn v_29_v_30_three_hundred_thousand_hostile_datagrams_leave_the_tunnel_as_it_was() {
    let report = flood(VpndConfig::default(), GatewayConfig::default(), 300_000, 1);
    println!("{}\n{}", table(&[("IKEv2", &report)]), report.counters);
    assert_eq!(report.answered, [""; 0], "answers to strangers");
    assert_bounded(report.memory);
    assert!(report.kinds > 200 && report.sent == 300_000);
    // How many is a matter of the machine's load; that they do go on is not.
    assert!(report.stream.back > report.stream.sent / 2, "{:?}", report.stream);
}

/// `make flood`.
#[test]
#[ignore = "takes a machine of its own: make flood"]
fn ten_million() {
    let count = std::env::var("VPND_FLOOD").ok().and_then(|count| count.parse().ok()).unwrap_or(10_000_000);
    let ikev2 = flood(VpndConfig::default(), GatewayConfig::default(), count, 2);
    let ikev1 = flood(VpndConfig::ikev1(), GatewayConfig::ikev1(), count, 2);
    let table = table(&[("IKEv2", &ikev2), ("IKEv1", &ikev1)]);
    println!("\n{table}\n{}\n{}", ikev2.counters, ikev1.counters);
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("flood.md"), &table).expect("the table's file");
    for report in [ikev2, ikev1] {
        assert_eq!(report.answered, [""; 0], "answers to strangers");
        assert_bounded(report.memory);
        assert!(report.stream.kept() >= 0.9, "fewer than 90 % of the tunnel's packets were kept");
    }
}
