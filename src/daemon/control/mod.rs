//! The control socket: what a person or a program on this host asks of a running vpnd.
//!
//! It reads requests and hands each on with the connection to answer it on; what is done about them is the supervisor's. It is given no secret; what a handover carries does not pass through it.

mod connection;
pub mod protocol;
mod socket;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config::{Config, ControlSocket};

pub use connection::{Caller, Refused};
pub use protocol::Request;
pub use socket::SocketError;

/// Connections at the same time, those that wait for the end of a reload among them. Further ones are refused and counted.
pub const MOST_CALLERS: usize = 4;

/// A request, and who waits for the answer.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Whom to answer.
    pub caller: Caller,
}

/// The socket, for as long as this lives.
#[derive(Debug)]
pub struct Control {
    calls: mpsc::Receiver<Call>,
    refused: Arc<Refused>,
    accepting: JoinHandle<()>,
    _file: socket::SocketFile,
}

impl Control {
    /// Opens the socket at `path`, for this user and root. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn open(path: &Path) -> Result<Self, SocketError> {
        let (file, listener) = socket::bind(path)?;
        let listener = UnixListener::from_std(listener).map_err(|error| SocketError::io(path, error))?;
        let (sender, calls) = mpsc::channel(MOST_CALLERS);
        let refused = Arc::new(Refused::default());
        let accepting = tokio::spawn(connection::accept(listener, sender, Arc::clone(&refused)));
        Ok(Self { calls, refused, accepting, _file: file })
    }

    /// The next request; for ever when none can come any more.
    pub async fn next(&mut self) -> Call {
        match self.calls.recv().await {
            Some(call) => call,
            None => std::future::pending().await,
        }
    }

    /// What was refused so far.
    pub fn refused(&self) -> &Refused {
        &self.refused
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Where the socket of a configuration is; `None` when it has none.
pub fn path(config: &Config, state_directory: &Path) -> Option<PathBuf> {
    match config.control_socket() {
        ControlSocket::ByDevice => Some(default_path(state_directory, config.device())),
        ControlSocket::At(path) => Some(path.clone()),
        ControlSocket::Off => None,
    }
}

/// Where the socket of a device is unless the configuration says otherwise.
pub fn default_path(state_directory: &Path, device: &str) -> PathBuf {
    state_directory.join(format!("{device}.sock"))
}
