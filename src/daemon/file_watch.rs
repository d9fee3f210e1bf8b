//! Notices when one of a few files is another one, or has other content.
//!
//! It looks again and again and does not have the kernel tell: editors put a new file in the old one's place, Kubernetes swaps a symbolic link
//! two directories up, and file systems of a network tell nothing. A look is one call a file.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Between two looks. What differs is believed when it is the same at the next look: a file that is being written is left to be finished.
const INTERVAL: Duration = Duration::from_secs(1);

/// The files, for as long as this lives.
#[derive(Debug)]
pub(super) struct FileWatch {
    changes: mpsc::Receiver<()>,
    files: watch::Sender<Vec<PathBuf>>,
    looking: JoinHandle<()>,
}

impl FileWatch {
    /// Begins to look. Must be called within a tokio runtime.
    pub(super) fn start(files: Vec<PathBuf>) -> Self {
        let (sender, changes) = mpsc::channel(1);
        let (files, asked) = watch::channel(files);
        let looking = tokio::spawn(look_on(asked, sender));
        Self { changes, files, looking }
    }

    /// These are the files from now on.
    pub(super) fn set(&self, files: Vec<PathBuf>) {
        self.files.send_if_modified(|before| {
            let differs = *before != files;
            *before = files;
            differs
        });
    }

    /// The next change.
    pub(super) async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

impl Drop for FileWatch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

async fn look_on(mut asked: watch::Receiver<Vec<PathBuf>>, changes: mpsc::Sender<()>) {
    let files = asked.borrow_and_update().clone();
    let Some(seen) = look(files).await else { return };
    let mut looks = Looks::first(seen);
    loop {
        tokio::time::sleep(INTERVAL).await;
        let are_others = asked.has_changed().unwrap_or(false);
        let files = asked.borrow_and_update().clone();
        let Some(seen) = look(files).await else { return };
        if are_others {
            looks = Looks::first(seen);
        } else if looks.next(seen) {
            // One that waits is enough.
            changes.try_send(()).ok();
        }
    }
}

/// What was seen.
struct Looks {
    known: Vec<Option<Stamp>>,
    last: Vec<Option<Stamp>>,
}

impl Looks {
    fn first(seen: Vec<Option<Stamp>>) -> Self {
        Self { known: seen.clone(), last: seen }
    }

    /// Whether it is time to read the files: they are others, and the same as at the look before.
    fn next(&mut self, seen: Vec<Option<Stamp>>) -> bool {
        let is_new = seen != self.known && seen == self.last;
        if is_new {
            self.known.clone_from(&seen);
        }
        self.last = seen;
        is_new
    }
}

/// What tells a file from another one, and its content from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What is there; `None` for a file that is not. A file system may hang: not the control thread.
async fn look(files: Vec<PathBuf>) -> Option<Vec<Option<Stamp>>> {
    tokio::task::spawn_blocking(move || files.iter().map(|file| stamp(file)).collect()).await.ok()
}

fn stamp(file: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(file).ok()?;
    Some(Stamp {
        device: found.dev(),
        inode: found.ino(),
        size: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A directory with `file`, which is reached as `current/file`, too.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let directory = std::env::temp_dir().join(format!("vpnd-watch-{}-{name}", std::process::id()));
            fs::create_dir_all(directory.join("one")).unwrap();
            fs::write(directory.join("one/file"), "one").unwrap();
            symlink("one", directory.join("current")).unwrap();
            Self(directory)
        }

        fn seen(&self) -> Vec<Option<Stamp>> {
            vec![stamp(&self.0.join("current/file"))]
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    /// Whether it is read at the first, second and third look after a change.
    fn after(name: &str, change: impl Fn(&Path)) -> [bool; 3] {
        let scratch = Scratch::new(name);
        let mut looks = Looks::first(scratch.seen());
        assert!(!looks.next(scratch.seen()));
        change(&scratch.0);
        [(); 3].map(|()| looks.next(scratch.seen()))
    }

    #[test]
    fn a_file_that_changed_is_read_once_when_it_is_still() {
        let rewritten = after("rewritten", |directory| fs::write(directory.join("one/file"), "longer").unwrap());
        let replaced = after("replaced", |directory| {
            fs::write(directory.join("new"), "two").unwrap();
            fs::rename(directory.join("new"), directory.join("one/file")).unwrap();
        });
        let swapped = after("swapped", |directory| {
            fs::create_dir(directory.join("two")).unwrap();
            fs::write(directory.join("two/file"), "two").unwrap();
            symlink("two", directory.join("next")).unwrap();
            fs::rename(directory.join("next"), directory.join("current")).unwrap();
        });
        let removed = after("removed", |directory| fs::remove_file(directory.join("one/file")).unwrap());
        assert_eq!([rewritten, replaced, swapped, removed], [[false, true, false]; 4]);
        assert_eq!(after("untouched", |_| {}), [false; 3]);
    }

    #[test]
    fn a_file_that_is_being_written_is_left_to_be_finished() {
        let scratch = Scratch::new("written");
        let mut looks = Looks::first(scratch.seen());
        for length in 10..20 {
            fs::write(scratch.0.join("one/file"), "x".repeat(length)).unwrap();
            assert!(!looks.next(scratch.seen()));
        }
        assert!(looks.next(scratch.seen()));
    }
}
