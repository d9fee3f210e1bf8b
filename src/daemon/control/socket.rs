//! The socket's file: made so that at no time anybody else can connect to it, and never in the place of one that somebody listens on.

use std::fmt;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::os::sys;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 16;
const ROOT: u32 = 0;

/// Why there is no control socket.
#[derive(Debug)]
pub struct SocketError {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Listening,
    NoSocket,
    Directory(&'static str),
    Io(io::Error),
}

impl SocketError {
    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        Self { path: path.to_owned(), reason: Reason::Io(error) }
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.reason {
            Reason::Listening => write!(
                f,
                "somebody listens on the control socket {path} already: another vpnd, perhaps in another network namespace. \
                 Give this one its own by `[control] socket`"
            ),
            Reason::NoSocket => {
                write!(f, "{path} of `[control] socket` is there and is no socket. Remove it, or name another path")
            }
            Reason::Directory(fault) => write!(
                f,
                "the directory of the control socket {path} {fault}, so that others could put theirs in its place. \
                 Set `[control] socket` to a path in a directory of vpnd's own user"
            ),
            Reason::Io(error) => {
                write!(f, "the control socket {path} cannot be opened ({error}). `[control] socket` says where it is")
            }
        }
    }
}

impl std::error::Error for SocketError {}

/// The socket's file; it is removed when this is dropped, unless another has taken its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours =
            fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket's file stays behind");
        }
    }
}

/// A listening socket at `path` that only this user and root can connect to.
pub(super) fn bind(path: &Path) -> Result<(SocketFile, UnixListener), SocketError> {
    let fail = |reason| SocketError { path: path.to_owned(), reason };
    let io = |error| SocketError::io(path, error);
    let directory = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
    let opened = File::open(directory).map_err(io)?;
    if let Some(fault) = fault(&opened.metadata().map_err(io)?) {
        return Err(fail(Reason::Directory(fault)));
    }
    // Two that start at once must not remove each other's.
    opened.lock().map_err(io)?;
    make_room(path).map_err(fail)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(io)?;
    // unix(7): the file gets the descriptor's mode, so that it is closed to others from its first moment on.
    let descriptor = File::from(OwnedFd::from(socket));
    descriptor.set_permissions(Permissions::from_mode(0o600)).map_err(io)?;
    let socket = Socket::from(OwnedFd::from(descriptor));
    socket.bind(&SockAddr::unix(path).map_err(io)?).map_err(io)?;
    let found = fs::symlink_metadata(path).map_err(io)?;
    let file = SocketFile { path: path.to_owned(), device: found.dev(), inode: found.ino() };
    socket.listen(BACKLOG).map_err(io)?;
    socket.set_nonblocking(true).map_err(io)?;
    Ok((file, OwnedFd::from(socket).into()))
}

/// What is wrong with the directory, for whoever reads "the directory ...".
fn fault(directory: &fs::Metadata) -> Option<&'static str> {
    if directory.mode() & 0o002 != 0 {
        return Some("can be written by everybody");
    }
    let owner = directory.uid();
    (owner != ROOT && owner != sys::user()).then_some("belongs to another user")
}

/// Removes the socket of a process that has ended.
fn make_room(path: &Path) -> Result<(), Reason> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Reason::Io(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(Reason::NoSocket),
        Ok(_) => {}
    }
    match connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(Reason::Io),
        // A full backlog is somebody, too.
        Ok(_) => Err(Reason::Listening),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(Reason::Listening),
        Err(error) => Err(Reason::Io(error)),
    }
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(OwnedFd::from(socket).into())
}
