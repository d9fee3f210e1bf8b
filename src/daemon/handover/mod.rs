//! "Restart without loss": a starting vpnd takes everything over from the one that runs, over its control socket: the device, the sockets, the lock of the
//! record as descriptors; SAs, sessions and what was changed of the host as a text in memory. Nothing of it is ever in a file.
//!
//! It is one of two processes at any time. The one that runs leaves packets where they are (`Hold`), says what it has, and waits for `ready`; then it says
//! `yours` and is not the owner any more; the other says `running` and lets packets flow. Whatever goes wrong before `running`, the first one goes on as if
//! nothing had been (`docs/decisions/0016-handover.md`).

mod channel;
mod give;
mod take;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crypto::random::Random;
use crate::daemon::data_thread::DataPlaneState;
use crate::io::tun::Offload;
use crate::os::clock::ClockState;
use crate::os::host::HostState;
use crate::os::random::OsRandom;
use crate::time::Instant;
use crate::tunnel::handover::{TunnelState, differing};
use crate::tunnel::settings::TunnelSettings;

pub(super) use give::{Descriptors, Given, Pending, give};
pub(super) use take::{Offer, Reach, ask, find, namespace};

/// The format of what is handed over. Another one is refused, and nothing happens.
pub(super) const FORMAT: u64 = 1;

/// Octets of the longest state: the largest configuration's hundreds of children need some megaoctets.
const LONGEST_STATE: usize = 16 << 20;

/// Everything that goes from one process to the other besides descriptors.
#[derive(Serialize, Deserialize)]
pub(super) struct State {
    pub(super) clock: ClockState,
    /// Since when packets wait.
    pub(super) held_at: Instant,
    pub(super) tunnel: TunnelState,
    pub(super) data: DataPlaneState,
    pub(super) host: HostState,
    pub(super) offload: Offload,
    pub(super) marks: Marks,
}

/// What the settings of a tunnel are told from others by, without being told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Marks {
    key: Vec<u8>,
    marks: BTreeMap<String, Vec<u8>>,
}

impl Marks {
    pub(super) fn of(settings: &TunnelSettings) -> Self {
        let mut key = vec![0; 32];
        OsRandom.fill(&mut key);
        Self { marks: settings.marks(&key), key }
    }

    /// The keys whose values differ, and take a new session.
    pub(super) fn differing(&self, settings: &TunnelSettings) -> Vec<String> {
        differing(&settings.marks(&self.key), &self.marks)
    }
}

impl State {
    /// In memory that is wiped, and was never anywhere else.
    fn encode(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut length = Length(0);
        serde_json::to_writer(&mut length, self)?;
        if length.0 > LONGEST_STATE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "there is more to hand over than can be"));
        }
        let mut octets = Zeroizing::new(Vec::with_capacity(length.0));
        serde_json::to_writer(&mut *octets, self)?;
        Ok(octets)
    }

    fn decode(octets: &[u8]) -> io::Result<Self> {
        // Where it is wrong is said, and not what stands there: that may be a key.
        serde_json::from_slice(octets).map_err(|error| {
            let text =
                format!("what is handed over cannot be read at octet {} ({:?})", error.column(), error.classify());
            io::Error::new(io::ErrorKind::InvalidData, text)
        })
    }
}

/// Counts what is written.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(octets.len());
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
