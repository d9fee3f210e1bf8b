//! Landlock (landlock(7)): of the file system only what [`Places`] names, and of TCP only the way to a name server.
//!
//! Rights are on directories where a file may be replaced by another of the same name.

use std::io;
use std::path::{Path, PathBuf};

use super::Places;
use super::calls::{self, Rules};

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
const MAKE_SOCK: u64 = 1 << 9;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;

const READ: u64 = READ_FILE | READ_DIR;
const USE: u64 = READ | WRITE_FILE | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | TRUNCATE;
const DEVICE: u64 = READ_FILE | WRITE_FILE | IOCTL_DEV;
/// What there is to be had of a file that is no directory.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

const BIND_TCP: u64 = 1;
const CONNECT_TCP: u64 = 1 << 1;
const ABSTRACT_SOCKETS: u64 = 1;
const SIGNALS: u64 = 1 << 1;
/// Long answers of a name server come over TCP.
const NAME_SERVER: u64 = 53;

/// What the kernel says of itself and the resolver reads, with the libraries that it loads when it is first asked.
const SYSTEM: &[&str] = &[
    "/proc",
    "/sys",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/localtime",
    "/etc/ld.so.cache",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/dev/urandom",
    "/dev/random",
];

const DEVICES: &[&str] = &["/dev/net/tun", "/dev/null"];

/// What a kernel with this version of the interface can restrict.
const fn handled(version: u32) -> Rules {
    let files = match version {
        0 => 0,
        1 => (1 << 13) - 1,
        2 => (1 << 14) - 1,
        3 | 4 => (1 << 15) - 1,
        _ => (1 << 16) - 1,
    };
    let network = if version >= 4 { BIND_TCP | CONNECT_TCP } else { 0 };
    let scopes = if version >= 6 { ABSTRACT_SOCKETS | SIGNALS } else { 0 };
    Rules { files, network, scopes }
}

pub(super) fn restrict(places: &Places) -> io::Result<()> {
    let handled = handled(calls::landlock_version()?);
    let rules = calls::landlock_rules(handled)?;
    let system = SYSTEM.iter().map(|path| (PathBuf::from(path), READ));
    let devices = DEVICES.iter().map(|path| (PathBuf::from(path), DEVICE));
    let read = places.read.iter().cloned().map(|path| (path, READ));
    let write = places.write.iter().cloned().map(|path| (path, USE));
    for (path, rights) in system.chain(devices).chain(read).chain(write) {
        allow(&rules, &path, rights & handled.files)?;
    }
    if handled.network != 0 {
        calls::landlock_allow_port(&rules, NAME_SERVER, CONNECT_TCP)?;
    }
    calls::landlock_restrict(&rules)
}

fn allow(rules: &std::os::fd::OwnedFd, path: &Path, rights: u64) -> io::Result<()> {
    match calls::open_place(path) {
        Ok((place, true)) => calls::landlock_allow(rules, &place, rights),
        Ok((place, false)) => calls::landlock_allow(rules, &place, rights & OF_FILES),
        // What is not there is not missed; what may not even be looked at cannot be used anyway.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_asked_for_that_an_older_kernel_does_not_know() {
        assert_eq!(handled(0), Rules { files: 0, network: 0, scopes: 0 });
        assert_eq!(handled(1).files & (TRUNCATE | IOCTL_DEV), 0);
        assert_eq!(handled(3).files & (TRUNCATE | IOCTL_DEV), TRUNCATE);
        assert_eq!(handled(3).network, 0);
        assert_eq!(handled(7), Rules { files: 0xffff, network: 3, scopes: 3 });
    }
}
