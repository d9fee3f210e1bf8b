//! Who may connect, how many at a time, and one request from each.

use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::net::UnixListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::protocol::{self, BadRequest, LONGEST_REQUEST, Request};
use super::{Call, MOST_CALLERS};
use crate::os::sys;

/// How long a request may take to come.
const READ_LIMIT: Duration = Duration::from_secs(2);
/// Nothing is accepted for so long when descriptors have run out.
const PAUSE: Duration = Duration::from_millis(200);
const ROOT: u32 = 0;

/// Connections that came to nothing, by reason.
#[derive(Debug, Default)]
pub struct Refused {
    /// There were as many already as there may be.
    busy: AtomicU64,
    /// Another user's.
    strangers: AtomicU64,
    /// No request came, or none that can be read.
    malformed: AtomicU64,
}

impl Refused {
    /// For status.
    pub fn to_json(&self) -> Value {
        let [busy, strangers, malformed] =
            [&self.busy, &self.strangers, &self.malformed].map(|counter| counter.load(Ordering::Relaxed));
        serde_json::json!({ "busy": busy, "strangers": strangers, "malformed": malformed })
    }
}

/// Whoever waits for an answer.
#[derive(Debug)]
pub struct Caller {
    stream: UnixStream,
    permit: OwnedSemaphorePermit,
}

impl Caller {
    /// Sends one answer. Nobody is waited for: who does not read what was sent so far gets no more.
    ///
    /// # Errors
    /// The caller is gone, or does not read.
    pub fn answer(&mut self, answer: &Value) -> io::Result<()> {
        write_line(&self.stream, answer)
    }

    /// The connection itself, non-blocking, for a request after which it is spoken otherwise. It counts as a caller while the second value lives.
    pub fn into_stream(self) -> (UnixStream, OwnedSemaphorePermit) {
        (self.stream, self.permit)
    }
}

fn write_line(mut stream: &UnixStream, answer: &Value) -> io::Result<()> {
    let line = protocol::line(answer);
    let written = stream.write(&line)?;
    if written == line.len() { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
}

pub(super) async fn accept(listener: UnixListener, calls: mpsc::Sender<Call>, refused: Arc<Refused>) {
    let places = Arc::new(Semaphore::new(MOST_CALLERS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if !stream.peer_cred().is_ok_and(|peer| peer.uid() == ROOT || peer.uid() == sys::user()) {
            refused.strangers.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        match Arc::clone(&places).try_acquire_owned() {
            Ok(permit) => drop(tokio::spawn(serve(stream, permit, calls.clone(), Arc::clone(&refused)))),
            Err(_) => {
                refused.busy.fetch_add(1, Ordering::Relaxed);
                refuse(stream, BadRequest::Busy);
            }
        }
    }
}

async fn serve(
    stream: tokio::net::UnixStream,
    permit: OwnedSemaphorePermit,
    calls: mpsc::Sender<Call>,
    refused: Arc<Refused>,
) {
    let read = tokio::time::timeout(READ_LIMIT, read_request(&stream)).await;
    match read.unwrap_or(Err(BadRequest::Late)) {
        Ok(request) => {
            let Ok(stream) = stream.into_std() else { return };
            calls.send(Call { request, caller: Caller { stream, permit } }).await.ok();
        }
        Err(fault) => {
            refused.malformed.fetch_add(1, Ordering::Relaxed);
            refuse(stream, fault);
        }
    }
}

fn refuse(stream: tokio::net::UnixStream, fault: BadRequest) {
    if let Ok(stream) = stream.into_std() {
        write_line(&stream, &protocol::refusal(&fault.to_string())).ok();
    }
}

/// One line and nothing behind it: what follows may belong to whoever takes the connection over.
async fn read_request(stream: &tokio::net::UnixStream) -> Result<Request, BadRequest> {
    let mut octets = [0; LONGEST_REQUEST];
    let mut read = 0_usize;
    loop {
        let room = octets.get_mut(read..).filter(|room| !room.is_empty()).ok_or(BadRequest::TooLong)?;
        stream.readable().await.map_err(|_| BadRequest::Unfinished)?;
        let count = match stream.try_read(room) {
            Ok(0) => return Err(BadRequest::Unfinished),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(_) => return Err(BadRequest::Unfinished),
        };
        read = read.saturating_add(count);
        let so_far = octets.get(..read).unwrap_or_default();
        if so_far.contains(&b'\n') {
            return Request::read(so_far);
        }
    }
}
