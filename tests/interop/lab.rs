//! Namespaces, links and impairments, by way of `lab.sh`. Knows nothing of IKE.
//!
//! Unsafe code: there is no safe interface to setns(2).
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/lab.sh");

/// A gateway namespace at 192.0.2.1 and 2001:db8:2::1, with 10.250.0.5, 10.251.0.5
/// and fd00:250::5 behind it, and clients beside it. Dropping it removes all of it.
pub(crate) struct Lab {
    directory: PathBuf,
}

impl Lab {
    pub(crate) fn open() -> Self {
        let owner = std::process::id().to_string();
        let directory = finish(Command::new(SCRIPT).args(["open", &owner]));
        Self { directory: PathBuf::from(directory.trim()) }
    }

    /// A client on the gateway's link, at 192.0.2.`10 + number`.
    pub(crate) fn client(&self, number: u8) -> Client<'_> {
        self.place("client", number)
    }

    /// Gives a client another device, with an address of another network that the gateway is in as well.
    pub(crate) fn link(&self, client: &Client<'_>, device: &str) {
        self.verb("link", &[&client.name, &client.number.to_string(), device]);
    }

    /// A client at 192.168.77.2 behind a NAT at 192.0.2.`10 + number`.
    pub(crate) fn client_behind_nat(&self, number: u8) -> Client<'_> {
        self.place("nat", number)
    }

    fn place(&self, verb: &str, number: u8) -> Client<'_> {
        let name = format!("client{number}");
        self.verb(verb, &[&name, &number.to_string()]);
        Client { lab: self, name, number }
    }

    /// A client at 192.0.2.`10 + number`, and the namespace between it and the gateway. Nothing passes until a bridge is there.
    pub(crate) fn client_on_a_road(&self, number: u8) -> (Client<'_>, String) {
        let client = self.place("road", number);
        let middle = self.verb("namespace", &[&format!("{}-road", client.name)]);
        (client, middle.trim().to_owned())
    }

    /// Another client behind the NAT of a client, at 192.168.77.`2 + number`. It shows the NAT's address outside.
    pub(crate) fn client_beside(&self, neighbour: &Client<'_>, number: u8) -> Client<'_> {
        let name = format!("{}-{number}", neighbour.name);
        self.verb("behind", &[&name, &number.to_string(), &neighbour.name]);
        Client { lab: self, name, number: neighbour.number }
    }

    /// Loses this many percent of the datagrams, each way.
    pub(crate) fn lose(&self, percent: u8) {
        self.verb("loss", &[&percent.to_string()]);
    }

    /// The gateway's host swallows every datagram, and answers nothing.
    pub(crate) fn silence(&self) {
        self.verb("silence", &[]);
    }

    /// Ends loss and silence.
    pub(crate) fn heal(&self) {
        self.verb("heal", &[]);
    }

    /// The directory of what belongs to one namespace.
    pub(crate) fn directory(&self, place: &str) -> PathBuf {
        self.directory.join(place)
    }

    /// Runs a verb of the script and returns what it prints; a failure is the test's.
    pub(crate) fn verb(&self, verb: &str, arguments: &[&str]) -> String {
        finish(Command::new(SCRIPT).arg(verb).arg(&self.directory).args(arguments))
    }

    /// A command that will run in the namespace, under its own process ID.
    pub(crate) fn command(&self, place: &str, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(SCRIPT);
        command.arg("run").arg(&self.directory).arg(place).arg(program.as_ref()).stdin(Stdio::null());
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let closed = Command::new(SCRIPT).arg("close").arg(&self.directory).output();
        if !std::thread::panicking() {
            assert!(closed.is_ok_and(|output| output.status.success()), "the lab did not close");
        }
    }
}

/// A client's namespace.
#[derive(Clone)]
pub(crate) struct Client<'lab> {
    pub(crate) lab: &'lab Lab,
    name: String,
    number: u8,
}

impl Client<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The namespace's own name.
    pub(crate) fn namespace(&self) -> String {
        self.lab.verb("namespace", &[&self.name]).trim().to_owned()
    }

    /// The address on the gateway's link.
    pub(crate) fn address(&self) -> String {
        format!("192.0.2.{}", 10 + self.number)
    }

    /// The NAT before it gets another outer address, and forgets all flows: also when it is the same address.
    pub(crate) fn rebind_nat(&self, address: &str) {
        let nat = format!("{}-nat", self.name);
        let ip = |arguments: &[&str]| finish(self.lab.command(&nat, "ip").args(arguments));
        ip(&["-4", "address", "flush", "dev", "outer"]);
        ip(&["address", "add", &format!("{address}/24"), "dev", "outer"]);
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.lab.directory(&self.name)
    }

    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        self.lab.command(&self.name, program)
    }

    /// Runs to its end and returns what it prints; a failure is the test's.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        finish(self.command(program).args(arguments))
    }

    /// Sends `count` echo requests 100 ms apart and returns how many were answered.
    pub(crate) fn ping(&self, address: &str, count: u32) -> u32 {
        self.ping_with(address, count, &[])
    }

    /// Whether an echo request is answered, sooner or later. The third message of IKEv1's quick mode has no answer (RFC 2409
    /// §5.5): the gateway may still be computing keys when we are ready, and what comes then is lost.
    pub(crate) fn gets_an_answer(&self, address: &str) -> bool {
        (0..300).any(|_| self.ping_with(address, 1, &["-W", "0.2"]) == 1)
    }

    /// Whether one is answered, and from then on each one.
    pub(crate) fn reaches(&self, address: &str) -> bool {
        self.gets_an_answer(address) && self.ping(address, 3) == 3
    }

    pub(crate) fn ping_with(&self, address: &str, count: u32, options: &[&str]) -> u32 {
        let count = count.to_string();
        let output = self
            .command("ping")
            .args(["-n", "-q", "-i", "0.1", "-W", "2", "-c", &count])
            .args(options)
            .arg(address)
            .output()
            .expect("ping runs");
        // "3 packets transmitted, 2 received, ..."; without a route there is no such line.
        String::from_utf8_lossy(&output.stdout)
            .split(", ")
            .find_map(|part| part.strip_suffix(" received"))
            .map_or(0, |received| received.parse().expect("a number of answers"))
    }

    /// Everything the host knows of networks: what an orderly client leaves as it was.
    pub(crate) fn network_state(&self) -> String {
        let questions: [&[&str]; 6] = [
            &["-o", "link"],
            &["-o", "address"],
            &["rule"],
            &["-6", "rule"],
            &["route", "show", "table", "all"],
            &["-6", "route", "show", "table", "all"],
        ];
        let answers = questions.map(|question| format!("ip {}\n{}", question.join(" "), self.run("ip", question)));
        let firewall = self.run("nft", &["list", "ruleset"]);
        let resolver = self.run("cat", &["/etc/resolv.conf"]);
        format!("{}\n{firewall}\n{resolver}", answers.join("\n"))
    }
}

/// Does something in a namespace, in a thread of its own; sockets made there stay there.
pub(crate) fn within<T: Send + 'static>(namespace: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let file = File::open(format!("/run/netns/{namespace}")).expect("the namespace");
    let thread = std::thread::spawn(move || {
        // SAFETY: a descriptor that is open until this thread ends; concerns this thread only.
        let entered = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(entered, 0, "{}", std::io::Error::last_os_error());
        work()
    });
    thread.join().expect("what is done in the namespace")
}

fn finish(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let Output { status, stdout, stderr } =
        output.unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    assert!(
        status.success(),
        "{command:?}: {status}\n{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
    String::from_utf8(stdout).expect("UTF-8")
}
