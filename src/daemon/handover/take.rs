//! The side that starts and takes over.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::net::UnixStream;
use tokio::net::unix::UCred;

use super::channel::{Channel, What};
use super::{FORMAT, LONGEST_STATE, State};
use crate::daemon::control::Request;
use crate::os::sys;

/// The other process may wait for something to come to rest before it answers.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);

const ROOT: u32 = 0;

/// What came of asking.
pub(in crate::daemon) enum Reach {
    /// There is no vpnd here that runs in this network namespace.
    Nobody,
    /// It hands everything over.
    Offered(Box<Offer>),
    /// It does not, and goes on; why.
    Refused(String),
}

/// Everything, not yet ours.
pub(in crate::daemon) struct Offer {
    channel: Channel,
    /// The other process's own number.
    pub(in crate::daemon) process: u32,
    pub(in crate::daemon) state: State,
    pub(in crate::daemon) device: OwnedFd,
    pub(in crate::daemon) ipv4: Option<OwnedFd>,
    pub(in crate::daemon) ipv6: Option<OwnedFd>,
    pub(in crate::daemon) lock: Option<OwnedFd>,
}

/// Says yes or no to an offer.
pub(in crate::daemon) struct Reply(Channel);

#[derive(Deserialize)]
struct Header {
    format: u64,
    process: u32,
    octets: usize,
    descriptors: Vec<What>,
}

/// The network namespace of the calling thread.
pub(in crate::daemon) fn namespace() -> u64 {
    fs::metadata("/proc/thread-self/ns/net").map_or(0, |found| found.ino())
}

/// Whether a vpnd listens at `path` that runs in this network namespace; its number, where that can be known.
pub(in crate::daemon) async fn find(path: &Path) -> Option<Option<i32>> {
    let stream = UnixStream::connect(path).await.ok()?;
    let peer = stream.peer_cred().ok()?;
    is_here(&peer).then(|| peer.pid())
}

/// One state directory serves many network namespaces. Who cannot be looked at is asked.
fn is_here(peer: &UCred) -> bool {
    let namespace_of = |process: i32| fs::metadata(format!("/proc/{process}/ns/net")).ok().map(|found| found.ino());
    peer.pid().and_then(namespace_of).is_none_or(|other| other == namespace())
}

/// Asks the vpnd that listens at `path` for everything.
pub(in crate::daemon) async fn ask(path: &Path) -> Reach {
    let stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Reach::Nobody;
        }
        Err(error) => {
            return Reach::Refused(format!("its control socket {} cannot be reached ({error})", path.display()));
        }
    };
    let Some(peer) = stream.peer_cred().ok().filter(is_here) else { return Reach::Nobody };
    // Whoever listens there gives us keys to use: it has to be somebody we would give ours.
    if peer.uid() != ROOT && peer.uid() != sys::user() {
        return Reach::Refused(format!("another user listens on its control socket {}", path.display()));
    }
    match stream.into_std().and_then(converse) {
        Ok(reach) => reach,
        Err(error) => Reach::Refused(error.to_string()),
    }
}

fn converse(stream: std::os::unix::net::UnixStream) -> io::Result<Reach> {
    let mut channel = Channel::new(stream, ANSWER_LIMIT)?;
    let request = Request::Handover { process: std::process::id(), format: FORMAT, namespace: namespace() };
    let (line, descriptors) = match channel.send_text(&request.to_line()).and_then(|()| channel.hear()) {
        Ok(answer) => answer,
        // It ended before it answered. Its namespace cannot be looked at any more, either.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
            ) =>
        {
            return Ok(Reach::Nobody);
        }
        Err(error) => return Err(error),
    };
    if line.get("elsewhere").is_some() {
        return Ok(Reach::Nobody);
    }
    if let Some(reason) = line.get("reason").and_then(serde_json::Value::as_str) {
        return Ok(Reach::Refused(reason.chars().take(300).collect()));
    }
    let Header { format, process, octets, descriptors: names } =
        serde_json::from_value(line).map_err(|_| bad("its answer is none that is known"))?;
    if format != FORMAT || octets > LONGEST_STATE || names.len() != descriptors.len() {
        return Err(bad("its answer is none that is known"));
    }
    let text = channel.receive_text(octets)?;
    let state = State::decode(&text)?;
    let (mut device, mut ipv4, mut ipv6, mut lock) = (None, None, None, None);
    for (name, descriptor) in names.into_iter().zip(descriptors) {
        let place = match name {
            What::Device => &mut device,
            What::Ipv4 => &mut ipv4,
            What::Ipv6 => &mut ipv6,
            What::Lock => &mut lock,
        };
        *place = Some(descriptor);
    }
    let device = device.ok_or_else(|| bad("it handed over no device"))?;
    Ok(Reach::Offered(Box::new(Offer { channel, process, state, device, ipv4, ipv6, lock })))
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

impl Offer {
    /// The state and the descriptors on one hand, the way to answer on the other.
    pub(in crate::daemon) fn take_apart(self) -> (State, [Option<OwnedFd>; 4], Reply) {
        let Self { channel, process: _, state, device, ipv4, ipv6, lock } = self;
        (state, [Some(device), ipv4, ipv6, lock], Reply(channel))
    }
}

impl Reply {
    /// Nothing is taken; the other process goes on.
    pub(in crate::daemon) fn decline(mut self, reason: &str) {
        self.0.say(&json!({ "declined": reason })).ok();
    }

    /// Everything is restored: from the moment this returns it is ours.
    ///
    /// # Errors
    /// It is not: the other process thought better of it, or ended.
    pub(in crate::daemon) fn accept(mut self) -> io::Result<()> {
        self.0.say(&json!({ "ready": true }))?;
        let (line, _) = self.0.hear()?;
        if line.get("yours").is_none() {
            let reason = line.get("reason").and_then(serde_json::Value::as_str).unwrap_or("it keeps everything");
            return Err(io::Error::other(reason.chars().take(300).collect::<String>()));
        }
        // Who said "yours" does not take it back while we live, whether it hears this or not.
        self.0.say(&json!({ "running": true })).ok();
        Ok(())
    }
}
