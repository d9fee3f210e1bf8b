//! The program under test: its configuration, its process, its lines.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::gateway::{self, GatewayConfig};
use crate::lab::Client;

/// Longer than any handshake takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Exit codes, as documented.
pub(crate) const UNREACHABLE: i32 = 4;
pub(crate) const AUTHENTICATION: i32 = 5;
pub(crate) const PROPOSAL: i32 = 6;
pub(crate) const SELECTORS: i32 = 7;

/// A configuration file, written when vpnd starts. Values are TOML as they stand.
#[derive(Clone)]
pub(crate) struct VpndConfig {
    values: Vec<(&'static str, &'static str, String)>,
    psk: String,
    password: String,
}

impl Default for VpndConfig {
    fn default() -> Self {
        Self { values: Vec::new(), psk: gateway::PSK.to_owned(), password: String::new() }
            .with("gateway", "address", quoted(gateway::ADDRESS))
            .with("gateway", "subnets", r#"["10.250.0.0/24"]"#)
            .with("gateway", "psk_file", r#""psk""#)
            .with("local", "id", r#""client@example.com""#)
            .with("ike", "version", "2")
            .with("ike", "proposals", r#"["aes256-sha256-ecp256"]"#)
            .with("esp", "proposals", r#"["aes256-sha256"]"#)
    }
}

impl VpndConfig {
    /// The default with IKEv1, main mode, and forward secrecy.
    pub(crate) fn ikev1() -> Self {
        Self::default().with("ike", "version", "1").with("esp", "proposals", r#"["aes256-sha256-ecp256"]"#)
    }

    pub(crate) fn aggressive(self) -> Self {
        self.with("ike", "mode", r#""aggressive""#)
    }

    pub(crate) fn xauth(mut self, user: &str, password: &str) -> Self {
        password.clone_into(&mut self.password);
        self.with("ike", "xauth_user", quoted(user)).with("ike", "xauth_password_file", r#""password""#)
    }

    /// Sets a key, in the place of its default if it has one.
    pub(crate) fn with(mut self, table: &'static str, key: &'static str, value: impl Into<String>) -> Self {
        self.values.retain(|(known_table, known, _)| (*known_table, *known) != (table, key));
        self.values.push((table, key, value.into()));
        self
    }

    pub(crate) fn without(mut self, table: &'static str, key: &'static str) -> Self {
        self.values.retain(|(known_table, known, _)| (*known_table, *known) != (table, key));
        self
    }

    pub(crate) fn psk(mut self, psk: &str) -> Self {
        psk.clone_into(&mut self.psk);
        self
    }

    /// Writes it for a client: the file, with its secrets beside it.
    pub(crate) fn write(&self, client: &Client<'_>) -> PathBuf {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let directory = client.directory().join(format!("config{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&directory).expect("a directory for the configuration");
        let file = directory.join("vpnd.toml");
        self.rewrite(&file);
        file
    }

    /// Writes it in the place of another one.
    pub(crate) fn rewrite(&self, file: &Path) {
        let directory = file.parent().expect("a directory");
        let mut text = String::new();
        for table in ["gateway", "local", "ike", "esp", "tun", "killswitch", "log", "control", "security"] {
            writeln!(text, "[{table}]").expect("a String takes everything");
            for (_, key, value) in self.values.iter().filter(|(known, _, _)| *known == table) {
                writeln!(text, "{key} = {value}").expect("a String takes everything");
            }
        }
        for (name, secret) in [("psk", &self.psk), ("password", &self.password)] {
            write_secret(&directory.join(name), secret);
        }
        // As editors do: whoever reads meanwhile reads one or the other.
        let fresh = file.with_extension("new");
        fs::write(&fresh, text).expect("the configuration");
        fs::rename(&fresh, file).expect("the configuration");
    }

    /// Starts `vpnd up` in the client's namespace.
    pub(crate) fn start(&self, client: &Client<'_>) -> Vpnd {
        self.start_waiting(client, PATIENCE)
    }

    /// The same; vpnd gives up by itself when it is not up after `wait`.
    pub(crate) fn start_waiting(&self, client: &Client<'_>, wait: Duration) -> Vpnd {
        Vpnd::start(client, &self.write(client), wait)
    }

    /// Starts `vpnd up` and returns when the tunnel is up.
    pub(crate) fn up(&self, client: &Client<'_>) -> Vpnd {
        let mut vpnd = self.start(client);
        vpnd.wait_until_up();
        vpnd
    }

    /// The same, and the file that it reads.
    pub(crate) fn up_with_file(&self, client: &Client<'_>) -> (Vpnd, PathBuf) {
        let file = self.write(client);
        let mut vpnd = Vpnd::start(client, &file, PATIENCE);
        vpnd.wait_until_up();
        (vpnd, file)
    }

    /// Runs `vpnd repair`: its exit code and all it said.
    pub(crate) fn repair(&self, client: &Client<'_>) -> (Option<i32>, String) {
        let mut command = client.command(env!("CARGO_BIN_EXE_vpnd"));
        let output = command.arg("repair").arg("--config").arg(self.write(client)).output().expect("vpnd starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Runs `vpnd up` where it must fail, and returns its exit code and all it said.
    pub(crate) fn refused(&self, client: &Client<'_>) -> (i32, String) {
        self.refused_within(client, Duration::from_secs(10))
    }

    pub(crate) fn refused_within(&self, client: &Client<'_>, wait: Duration) -> (i32, String) {
        let mut vpnd = self.start_waiting(client, wait);
        let status = vpnd.wait_for_exit();
        let said = vpnd.said();
        (status.code().unwrap_or_else(|| panic!("vpnd was ended by a signal: {status}\n{said}")), said)
    }
}

/// Only its owner may read it.
pub(crate) fn write_secret(file: &Path, secret: &str) {
    fs::write(file, format!("{secret}\n")).expect("a secret");
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("a secret's mode");
}

pub(crate) fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// A running vpnd. It is killed when dropped, if it has not ended.
pub(crate) struct Vpnd {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Vpnd {
    /// Runs `vpnd up` with a configuration file that is there.
    pub(crate) fn start(client: &Client<'_>, file: &Path, wait: Duration) -> Self {
        let mut command = client.command(env!("CARGO_BIN_EXE_vpnd"));
        command.arg("up").arg("--config").arg(file).arg("--wait").arg(wait.as_secs().to_string());
        Self::spawn(command)
    }

    /// The same, and it never gives up.
    pub(crate) fn start_for_ever(client: &Client<'_>, file: &Path) -> Self {
        let mut command = client.command(env!("CARGO_BIN_EXE_vpnd"));
        command.arg("up").arg("--config").arg(file);
        Self::spawn(command)
    }

    /// With no more descriptors than these, which may not be enough to start.
    pub(crate) fn start_with_descriptors(client: &Client<'_>, config: &VpndConfig, most: u32) -> Self {
        let mut command = client.command("prlimit");
        command.arg(format!("--nofile={most}")).arg(env!("CARGO_BIN_EXE_vpnd"));
        command.arg("up").arg("--config").arg(config.write(client)).args(["--wait", "1"]);
        Self::spawn(command)
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("vpnd starts");
        let (sender, lines) = channel();
        let stdout: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("stdout"));
        let stderr: Box<dyn Read + Send> = Box::new(child.stderr.take().expect("stderr"));
        for stream in [stdout, stderr] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                // Ends with the stream, or with the test that no longer listens.
                BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
            });
        }
        Self { child, lines, said: Vec::new() }
    }

    pub(crate) fn wait_until_up(&mut self) {
        self.wait_for("tunnel is up");
    }

    /// Waits for a line that holds `text` and returns it. Lines seen before do not count.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        self.wait_for_within(text, PATIENCE)
    }

    /// The same, and lines seen before count, too: what two streams say comes in either order.
    pub(crate) fn wait_until_said(&mut self, text: &str) {
        if !self.said().contains(text) {
            self.wait_for(text);
        }
    }

    pub(crate) fn wait_for_within(&mut self, text: &str, patience: Duration) -> String {
        let deadline = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("vpnd did not say {text:?} in time:\n{}", self.said()),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.wait_for_exit();
                    panic!("vpnd ended ({status}) without saying {text:?}:\n{}", self.said())
                }
            }
        }
    }

    /// All it has said.
    pub(crate) fn said(&mut self) -> String {
        self.said.extend(self.lines.try_iter());
        self.said.join("\n")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("vpnd's state").is_some()
    }

    pub(crate) fn wait_for_exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE + Duration::from_secs(10);
        loop {
            if let Some(status) = self.child.try_wait().expect("vpnd's state") {
                // What it said last may still be on the way.
                while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(1)) {
                    self.said.push(line);
                }
                return status;
            }
            assert!(Instant::now() < deadline, "vpnd did not end in time:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill runs").success(), "SIG{name} was not delivered");
    }

    /// Ends it in an orderly way, which must succeed.
    pub(crate) fn terminate(self) -> String {
        self.end_with("TERM")
    }

    pub(crate) fn end_with(mut self, signal: &str) -> String {
        self.signal(signal);
        let status = self.wait_for_exit();
        let said = self.said();
        assert_eq!(status.code(), Some(0), "SIG{signal}, then {status}:\n{said}");
        said
    }

    /// Ends it without a chance to clean up.
    pub(crate) fn kill(mut self) {
        self.signal("KILL");
        let status = self.wait_for_exit();
        assert_eq!(status.signal(), Some(9), "{status}");
    }
}

impl Drop for Vpnd {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A gateway and a vpnd of each IKE version.
pub(crate) fn versions() -> [(GatewayConfig, VpndConfig); 2] {
    [(GatewayConfig::default(), VpndConfig::default()), (GatewayConfig::ikev1(), VpndConfig::ikev1())]
}
