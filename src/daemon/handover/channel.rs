//! The connection between the two processes: lines, each a JSON object, descriptors, and a long text.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::io::pass;

/// Octets of the longest line.
const LONGEST_LINE: usize = 4096;

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    Device,
    Ipv4,
    Ipv6,
    Lock,
}

pub(super) struct Channel(UnixStream);

impl Channel {
    /// Waits for `limit` at most, for each line and each text.
    pub(super) fn new(stream: UnixStream, limit: Duration) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(limit))?;
        let channel = Self(stream);
        channel.wait_for(Some(limit))?;
        Ok(channel)
    }

    /// Waits so long for what comes next; `None`: for ever.
    pub(super) fn wait_for(&self, limit: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(limit)
    }

    pub(super) fn say(&mut self, line: &Value) -> io::Result<()> {
        self.say_with(line, &[])
    }

    /// A line, with descriptors beside it.
    pub(super) fn say_with(&mut self, line: &Value, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let line = format!("{line}\n");
        let sent = pass::send(self.0.as_fd(), line.as_bytes(), descriptors)?;
        self.0.write_all(line.as_bytes().get(sent..).unwrap_or_default())
    }

    /// The next line, and the descriptors that came with it. One octet at a time: what follows may be secret.
    pub(super) fn hear(&mut self) -> io::Result<(Value, Vec<OwnedFd>)> {
        let (mut line, mut descriptors) = (Vec::new(), Vec::new());
        while line.len() < LONGEST_LINE {
            let mut octet = [0];
            let (count, more) = pass::receive(self.0.as_fd(), &mut octet)?;
            descriptors.extend(more);
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if octet == *b"\n" {
                return Ok((serde_json::from_slice(&line)?, descriptors));
            }
            line.extend(octet);
        }
        Err(io::Error::new(ErrorKind::InvalidData, "a line without end"))
    }

    pub(super) fn send_text(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0.write_all(octets)
    }

    pub(super) fn receive_text(&mut self, length: usize) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut octets = Zeroizing::new(vec![0; length]);
        self.0.read_exact(&mut octets)?;
        Ok(octets)
    }
}
