//! The side that runs and hands over.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::channel::{Channel, What};
use super::{FORMAT, State};
use crate::daemon::control::{Caller, protocol};
use crate::time::Instant;

/// How long the other process may take to be ready: packets wait as long.
const READY_LIMIT: Duration = Duration::from_secs(5);

/// How long it waits for something that is under way, such as a rekey, or a gateway's answer.
const QUIET_LIMIT: Duration = Duration::from_secs(20);

/// Somebody who wants everything, and waits until it is at rest.
#[derive(Debug)]
pub(in crate::daemon) struct Pending {
    stream: UnixStream,
    _permit: OwnedSemaphorePermit,
    /// The process's own number.
    pub(in crate::daemon) process: u32,
    pub(in crate::daemon) until: Instant,
}

impl Pending {
    pub(in crate::daemon) fn new(now: Instant, caller: Caller, process: u32) -> Self {
        let (stream, permit) = caller.into_stream();
        Self { stream, _permit: permit, process, until: now.after(QUIET_LIMIT) }
    }

    /// Nothing is handed over; says why.
    pub(in crate::daemon) fn refuse(self, reason: &str) {
        if let Ok(mut channel) = Channel::new(self.stream, READY_LIMIT) {
            channel.say(&protocol::refusal(reason)).ok();
        }
    }
}

/// What came of it.
pub(in crate::daemon) enum Given {
    /// The other process is ready, and is told by `Gone::finish` that everything is its own.
    Ready(Gone),
    /// Nothing happened.
    Kept(io::Error),
}

/// Between `ready` and `running`.
pub(in crate::daemon) struct Gone(Channel);

/// Descriptors that go along.
pub(in crate::daemon) struct Descriptors<'a> {
    pub(in crate::daemon) device: BorrowedFd<'a>,
    pub(in crate::daemon) ipv4: Option<BorrowedFd<'a>>,
    pub(in crate::daemon) ipv6: Option<BorrowedFd<'a>>,
    pub(in crate::daemon) lock: Option<BorrowedFd<'a>>,
}

/// Sends everything and waits until the other process has made the same of it. Packets are held meanwhile.
pub(in crate::daemon) fn give(pending: Pending, state: &State, descriptors: &Descriptors<'_>) -> Given {
    match offer(pending, state, descriptors) {
        Ok(channel) => Given::Ready(Gone(channel)),
        Err(error) => Given::Kept(error),
    }
}

fn offer(pending: Pending, state: &State, descriptors: &Descriptors<'_>) -> io::Result<Channel> {
    let octets = state.encode()?;
    let Descriptors { device, ipv4, ipv6, lock } = descriptors;
    let all = [
        (What::Device, Some(device)),
        (What::Ipv4, ipv4.as_ref()),
        (What::Ipv6, ipv6.as_ref()),
        (What::Lock, lock.as_ref()),
    ];
    let present = all.into_iter().filter_map(|(what, descriptor)| Some((what, *descriptor?)));
    let (names, descriptors): (Vec<What>, Vec<BorrowedFd<'_>>) = present.unzip();
    let header = json!({
        "format": FORMAT,
        "program": env!("CARGO_PKG_VERSION"),
        "process": std::process::id(),
        "octets": octets.len(),
        "descriptors": names,
    });
    let mut channel = Channel::new(pending.stream, READY_LIMIT)?;
    channel.say_with(&protocol::answer("handover", header), &descriptors)?;
    channel.send_text(&octets)?;
    let heard = channel.hear();
    match heard {
        Ok((line, _)) if line.get("ready").is_some() => Ok(channel),
        Ok((line, _)) => {
            let reason = line.get("declined").and_then(serde_json::Value::as_str).unwrap_or("it says something else");
            Err(io::Error::other(reason.chars().take(200).collect::<String>()))
        }
        Err(error) => {
            // If it is only late, it has to know.
            channel.say(&protocol::refusal("it took too long; everything stays where it was")).ok();
            Err(error)
        }
    }
}

impl Gone {
    /// Says that everything is the other's, and waits for it to run: for as long as it lives, since nobody else may from here on.
    ///
    /// # Errors
    /// It ended before it ran: nothing was touched, and everything is this process's again.
    pub(in crate::daemon) fn finish(mut self) -> io::Result<()> {
        self.0.wait_for(None)?;
        self.0.say(&json!({ "yours": true }))?;
        loop {
            match self.0.hear() {
                Ok((line, _)) if line.get("running").is_some() => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
