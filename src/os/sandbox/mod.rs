//! What the process gives up once it is known what it will need: capabilities, ways to gain new ones, files, and system calls.
//!
//! Everything that is done later is done inside, and so is allowed here: sockets and the TUN device opened anew, netlink, the configuration and its secrets
//! read again, look-ups of names, the record of the host's changes, the control socket and descriptors sent over it. **Who adds something that needs
//! another file, adds it to [`Places`]; another kind of socket or another call, in `seccomp`; another capability, in `capability`.**
//!
//! It must be entered while the process has one thread: capabilities and Landlock belong to threads, and those made later inherit them.

mod calls;
mod capability;
mod landlock;
mod seccomp;

use std::fmt;
use std::io;
use std::path::PathBuf;

use capability::{NET_ADMIN, NET_BIND_SERVICE, Set};

/// Files and directories that will be needed. What does not exist is passed over.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// To be read, directories with all that is in them.
    pub read: Vec<PathBuf>,
    /// Directories in which files and sockets are made and removed.
    pub write: Vec<PathBuf>,
    /// Files that will be read again, though another user may own them.
    pub reread: Vec<PathBuf>,
    /// A socket is bound to a port below 1024.
    pub low_port: bool,
}

/// One of the walls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The process has more than one thread already.
    OneThread,
    /// `no_new_privs`: no program that is started may do more than this one.
    NoNewPrivileges,
    /// Capabilities.
    Capabilities,
    /// Landlock: files and TCP.
    Files,
    /// seccomp: system calls.
    Calls,
}

/// A wall that does not stand.
#[derive(Debug)]
pub struct Missing {
    /// Which.
    pub layer: Layer,
    /// Why.
    pub error: io::Error,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.layer {
            Layer::OneThread => "the process has several threads already",
            Layer::NoNewPrivileges => "no_new_privs could not be set",
            Layer::Capabilities => "capabilities could not be given up",
            Layer::Files => {
                "files could not be closed off with Landlock (it is in Linux from 5.13 on, where it is switched on and nothing around vpnd refuses it)"
            }
            Layer::Calls => "system calls could not be closed off with seccomp",
        };
        write!(f, "{what}: {}", self.error)
    }
}

/// Gives up what is not needed, as far as the kernel has the means. What it has not is in the answer.
pub fn enter(places: &Places) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut note = |layer, result: io::Result<()>| missing.extend(result.err().map(|error| Missing { layer, error }));
    note(Layer::OneThread, one_thread());
    // Capabilities first: dropping the bounding set needs one. seccomp last: it forbids what the others need.
    note(Layer::Capabilities, capability::keep_only(&needed(places), places));
    note(Layer::NoNewPrivileges, calls::no_new_privileges());
    note(Layer::Files, landlock::restrict(places));
    note(Layer::Calls, seccomp::restrict());
    missing
}

fn needed(places: &Places) -> Set {
    let mut set = Set::default().with(NET_ADMIN);
    if places.low_port {
        set = set.with(NET_BIND_SERVICE);
    }
    set
}

/// Where `/proc` cannot be read, nobody counts.
fn one_thread() -> io::Result<()> {
    match std::fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(1) | Err(_) => Ok(()),
        Ok(count) => Err(io::Error::other(format!("there are {count}"))),
    }
}
