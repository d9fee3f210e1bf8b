//! What passes through a tunnel while it is tested: TCP transfers, and echo requests that are counted.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::gateway::INSIDE;
use crate::lab::{Client, Lab};
use crate::vpnd::Vpnd;

const TRANSFER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/transfer.py");
const PINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/pings.py");

/// What transfers are full of.
pub(crate) const MARKER: &[u8] = b"this must never be seen in clear";

/// A TCP server behind the gateway.
pub(crate) struct Server {
    child: Child,
    address: &'static str,
    port: String,
}

impl Server {
    pub(crate) fn start(lab: &Lab, address: &'static str) -> Self {
        let mut command = lab.command("gateway", "python3");
        let mut child =
            command.args([TRANSFER, "serve", address]).stdout(Stdio::piped()).spawn().expect("python3 starts");
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut port).expect("the server's port");
        Self { child, address, port: port.trim().to_owned() }
    }

    /// Moves bytes and compares their hashes.
    pub(crate) fn transfer(&self, client: &Client<'_>, verb: &str, megabytes: u32) -> String {
        self.transfer_bytes(client, verb, megabytes * 1_000_000)
    }

    /// Both ways at once for so long, slowly enough that no queue on the way is ever full.
    pub(crate) fn trickle(&self, client: &Client<'_>, duration: Duration) {
        const BYTES_A_SECOND: u64 = 200_000;
        let [rate, length] = [BYTES_A_SECOND, BYTES_A_SECOND * duration.as_secs()].map(|number| number.to_string());
        let started = ["get", "put"].map(|verb| {
            let mut command = client.command("timeout");
            command.args(["90", "python3", TRANSFER, verb, self.address, &self.port, &length, &rate]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python3 starts")
        });
        for child in started {
            let Output { status, stdout, stderr } = child.wait_with_output().expect("what the transfer says");
            let said = [stdout, stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
            assert!(status.success(), "{said}");
            print!("{said}");
        }
    }

    pub(crate) fn transfer_bytes(&self, client: &Client<'_>, verb: &str, length: u32) -> String {
        let length = length.to_string();
        client.run("timeout", &["90", "python3", TRANSFER, verb, self.address, &self.port, &length])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Echo requests on their way, one every ten milliseconds unless said otherwise.
pub(crate) struct Pings {
    child: Child,
}

impl Pings {
    pub(crate) fn start(client: &Client<'_>, address: &str) -> Self {
        Self::start_every(client, address, "10")
    }

    /// One every so many milliseconds.
    pub(crate) fn start_every(client: &Client<'_>, address: &str, milliseconds: &str) -> Self {
        let mut command = client.command("python3");
        let child = command.args([PINGS, address, milliseconds, "600"]).stdout(Stdio::piped()).spawn();
        Self { child: child.expect("python3 starts") }
    }

    /// What a process in another place than a client's sends.
    pub(crate) fn start_from(lab: &Lab, place: &str, source: &str, address: &str) -> Self {
        let mut command = lab.command(place, "python3");
        let child = command.args([PINGS, address, "10", "600", source]).stdout(Stdio::piped()).spawn();
        Self { child: child.expect("python3 starts") }
    }

    fn end(&mut self) -> String {
        let told = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        assert!(told.expect("kill runs").success(), "the pings have ended by themselves");
        let mut said = String::new();
        let mut stdout = self.child.stdout.take().expect("stdout");
        stdout.read_to_string(&mut said).expect("what the pings say");
        said
    }

    /// Ends them, and says how long the longest time without answers was.
    #[track_caller]
    pub(crate) fn outage(mut self) -> Duration {
        let said = self.end();
        let outage =
            said.lines().find_map(|line| line.strip_prefix("longest outage ")?.strip_suffix(" ms")?.parse().ok());
        Duration::from_millis(outage.unwrap_or_else(|| panic!("{said}")))
    }

    /// Ends them, and panics if one got no answer.
    #[track_caller]
    pub(crate) fn assert_none_lost(mut self, at_least: u32) {
        let said = self.end();
        print!("{said}");
        let last = said.lines().last().unwrap_or_default();
        let sent =
            last.strip_prefix("sent ").and_then(|rest| rest.split(',').next()).and_then(|sent| sent.parse().ok());
        assert!(sent.is_some_and(|sent: u32| sent >= at_least), "fewer than {at_least}: {said}");
        assert!(last.ends_with(", lost 0") && said.contains("duplicated 0\n"), "{said}");
    }
}

impl Drop for Pings {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Echo requests and TCP both ways for so long; nothing is lost, and the tunnel is never made anew.
#[track_caller]
pub(crate) fn assert_nothing_is_lost(client: &Client<'_>, vpnd: &mut Vpnd, duration: Duration) {
    let server = Server::start(client.lab, INSIDE);
    assert!(client.reaches(INSIDE));
    let pings = Pings::start(client, INSIDE);
    server.trickle(client, duration);
    pings.assert_none_lost(u32::try_from(duration.as_millis() / 20).expect("a short time"));
    let said = vpnd.said();
    let ups = said.matches("tunnel is up").count();
    assert!(ups == 1 && !vpnd.has_ended(), "up {ups} times:\n{said}");
}
