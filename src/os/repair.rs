//! The memory of what was changed: a file that outlives the process, so that the next start after `kill -9` takes back what is left.
//!
//! A change is written down before it is made, and struck out after it was taken back. Taking back what was never made does no harm.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::os::prefix::Family;
use crate::os::route::Route;

/// Where the files are unless told otherwise: a directory that a restart of the host empties.
pub const DEFAULT_DIRECTORY: &str = "/run/vpnd";

/// A change of the host that has to be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// An address on a device.
    Address {
        /// The device's index: another device of the same name has another one.
        index: u32,
        /// The address.
        address: IpAddr,
    },
    /// A route.
    Route(Route),
    /// The rule that has vpnd's table asked.
    Lookup(Family),
    /// The exemption of what a gateway sends from the reverse path filter.
    ReversePath {
        /// The gateway.
        gateway: Ipv4Addr,
        /// Our UDP port.
        port: u16,
    },
}

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    format: u32,
    /// The network namespace that was changed, by its inode: indexes mean nothing in another one.
    namespace: u64,
    changes: Vec<Change>,
}

const FORMAT: u32 = 2;

/// The file, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Record {
    file: PathBuf,
    namespace: u64,
    changes: Vec<Change>,
    lock_file: PathBuf,
    lock: File,
    owner: Owner,
}

/// What the files of a record are called. Namespaces belong to threads. Each has a record of its own: one `/run` serves many namespaces.
struct Names {
    namespace: u64,
    file: PathBuf,
    lock: PathBuf,
}

impl Names {
    fn of(directory: &Path, key: &str) -> io::Result<Self> {
        let namespace = fs::metadata("/proc/thread-self/ns/net")?.ino();
        let name = format!("{}-{namespace}", file_name(key));
        let of = |kind| directory.join(format!("{name}.{kind}"));
        Ok(Self { namespace, file: of("json"), lock: of("lock") })
    }
}

/// Whose what was changed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This process's.
    Us,
    /// That of another process, which has a descriptor of the lock, too.
    Another,
}

impl Drop for Record {
    /// The lock's file goes while it is still locked; whoever waits for it sees that it went.
    fn drop(&mut self) {
        if self.owner == Owner::Us
            && let Err(error) = fs::remove_file(&self.lock_file)
        {
            tracing::debug!(%error, "the lock of the record stays behind");
        }
    }
}

/// Why there is no record.
#[derive(Debug)]
pub(super) enum RecordError {
    /// Another living process holds it.
    Locked,
    /// It cannot be kept here.
    Io(io::Error),
}

impl From<io::Error> for RecordError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Record {
    /// Opens and locks the record called `key`; with it come the changes that a dead process left in this network namespace.
    pub(super) fn open(directory: &Path, key: &str) -> Result<Self, RecordError> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let names = Names::of(directory, key)?;
        let lock = lock(&names.lock)?;
        Self::read(names, lock, Owner::Us)
    }

    /// Goes on with the record called `key` whose lock another process holds and handed on.
    pub(super) fn adopt(directory: &Path, key: &str, lock: File) -> Result<Self, RecordError> {
        let names = Names::of(directory, key)?;
        let (ours, named) = (lock.metadata()?, fs::symlink_metadata(&names.lock)?);
        // It is this file's lock, and held: by the same open file as before.
        if (ours.dev(), ours.ino()) != (named.dev(), named.ino()) || lock.try_lock().is_err() {
            return Err(RecordError::Locked);
        }
        // Until the other process says so.
        Self::read(names, lock, Owner::Another)
    }

    /// Whether a process has it, or had it until it was killed.
    pub(super) fn is_there(directory: &Path, key: &str) -> bool {
        Names::of(directory, key).is_ok_and(|names| names.lock.exists())
    }

    fn read(names: Names, lock: File, owner: Owner) -> Result<Self, RecordError> {
        let Names { namespace, file, lock: lock_file } = names;
        let changes = match fs::read(&file) {
            Ok(octets) => left_behind(&octets, namespace),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { file, namespace, changes, lock_file, lock, owner })
    }

    /// Where the record is.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.file.parent()
    }

    /// A descriptor of the lock.
    pub(super) fn lock(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }

    /// Says who removes the lock's file.
    pub(super) fn belongs_to(&mut self, owner: Owner) {
        self.owner = owner;
    }

    /// The changes that are written down, in the order in which they were made.
    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Writes a change down. What an earlier run wrote down counts as well.
    pub(super) fn add(&mut self, change: &Change) -> io::Result<()> {
        if self.changes.contains(change) {
            return Ok(());
        }
        self.changes.push(change.clone());
        self.save()
    }

    /// Strikes a change out; without any left the file goes.
    pub(super) fn strike(&mut self, change: &Change) -> io::Result<()> {
        if let Some(place) = self.changes.iter().rposition(|written| written == change) {
            self.changes.remove(place);
        }
        self.save()
    }

    fn save(&self) -> io::Result<()> {
        if self.changes.is_empty() {
            return match fs::remove_file(&self.file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let content = Content { format: FORMAT, namespace: self.namespace, changes: self.changes.clone() };
        let text = serde_json::to_vec(&content).map_err(io::Error::other)?;
        // A reader sees the old file or the new one, never half of one.
        let fresh = self.file.with_extension("new");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&fresh)?;
        file.write_all(&text)?;
        fs::rename(&fresh, &self.file)
    }
}

/// Locks a file that is still the one of that name: another process may have removed it between opening and locking.
fn lock(path: &Path) -> Result<File, RecordError> {
    loop {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RecordError::Locked),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let inode = file.metadata()?.ino();
        if fs::metadata(path).is_ok_and(|named| named.ino() == inode) {
            return Ok(file);
        }
    }
}

fn left_behind(octets: &[u8], namespace: u64) -> Vec<Change> {
    match serde_json::from_slice::<Content>(octets) {
        Ok(content) if content.format == FORMAT && content.namespace == namespace => content.changes,
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::warn!(%error, "the record of an earlier run cannot be read; nothing of it is repaired");
            Vec::new()
        }
    }
}

/// A key as a file name: what is not a letter, a digit, '-' or '_' becomes '_'.
fn file_name(key: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    key.chars().map(plain).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::prefix::Prefix;
    use crate::os::route::Way;
    use std::os::unix::fs::PermissionsExt;

    /// A directory that goes with the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("vpnd-repair-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn address(last: u8) -> Change {
        Change::Address { index: 7, address: IpAddr::from([10, 200, 0, last]) }
    }

    fn route() -> Change {
        Change::Route(Route {
            destination: Prefix::host(IpAddr::from([198, 51, 100, 1])),
            way: Way::Device { index: 2, source: None },
            metric: 9,
        })
    }

    #[test]
    fn what_a_dead_process_wrote_down_is_there_at_the_next_start() {
        let scratch = Scratch::new("next-start");
        let mut record = Record::open(&scratch.0, "vpnd0").unwrap();
        record.add(&route()).unwrap();
        record.add(&address(1)).unwrap();
        drop(record);
        assert_eq!(Record::open(&scratch.0, "vpnd0").unwrap().changes(), [route(), address(1)]);
    }

    #[test]
    fn what_was_taken_back_is_struck_out_and_an_empty_record_leaves_no_file() {
        let scratch = Scratch::new("struck");
        let mut record = Record::open(&scratch.0, "vpnd0").unwrap();
        record.add(&address(1)).unwrap();
        record.add(&address(2)).unwrap();
        record.strike(&address(1)).unwrap();
        assert_eq!(record.changes(), [address(2)]);
        assert!(record.file.exists());
        record.strike(&address(2)).unwrap();
        assert!(!record.file.exists());
    }

    #[test]
    fn two_living_processes_cannot_have_the_same_record() {
        let scratch = Scratch::new("locked");
        let record = Record::open(&scratch.0, "vpnd0").unwrap();
        assert!(matches!(Record::open(&scratch.0, "vpnd0"), Err(RecordError::Locked)));
        assert!(Record::open(&scratch.0, "vpnd1").is_ok());
        drop(record);
        assert!(Record::open(&scratch.0, "vpnd0").is_ok());
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 0);
    }

    #[test]
    fn a_record_goes_on_in_another_process_without_a_moment_in_which_it_is_not_locked() {
        let scratch = Scratch::new("adopted");
        let mut record = Record::open(&scratch.0, "vpnd0").unwrap();
        record.add(&address(1)).unwrap();
        let lock = File::from(record.lock().try_clone_to_owned().unwrap());
        let mut next = Record::adopt(&scratch.0, "vpnd0", lock).unwrap();
        assert_eq!(next.changes(), [address(1)]);
        record.belongs_to(Owner::Another);
        next.belongs_to(Owner::Us);
        drop(record);
        assert!(matches!(Record::open(&scratch.0, "vpnd0"), Err(RecordError::Locked)));
        next.strike(&address(1)).unwrap();
        drop(next);
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 0);
    }

    #[test]
    fn a_descriptor_that_is_not_the_lock_gives_no_record() {
        let scratch = Scratch::new("no-lock");
        let _record = Record::open(&scratch.0, "vpnd0").unwrap();
        let stranger = File::create(scratch.0.join("other")).unwrap();
        assert!(Record::adopt(&scratch.0, "vpnd0", stranger).is_err());
        let opened_anew = File::open(&_record.lock_file).unwrap();
        assert!(Record::adopt(&scratch.0, "vpnd0", opened_anew).is_err(), "the lock is the other process's");
    }

    #[test]
    fn a_record_of_another_namespace_or_a_broken_one_repairs_nothing() {
        let content = Content { format: FORMAT, namespace: 5, changes: vec![address(1)] };
        let octets = serde_json::to_vec(&content).unwrap();
        assert_eq!(left_behind(&octets, 5), [address(1)]);
        assert_eq!(left_behind(&octets, 6), []);
        assert_eq!(left_behind(&octets[1..], 5), []);
        assert_eq!(left_behind(b"", 5), []);
    }

    #[test]
    fn the_file_is_for_its_owner_only_and_its_name_stays_in_the_directory() {
        let scratch = Scratch::new("mode");
        let mut record = Record::open(&scratch.0, "../../etc/x").unwrap();
        record.add(&address(1)).unwrap();
        let name = record.file.strip_prefix(&scratch.0).unwrap().to_str().unwrap();
        assert!(name.starts_with("______etc_x-"), "{name}");
        assert_eq!(fs::metadata(&record.file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&scratch.0).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
