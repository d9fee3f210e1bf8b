//! Where the configuration of a running tunnel comes from, to be read again: by whom, this does not know.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::config::{Config, Secrets};

/// How long the files may take: one of them may be a pipe, or lie on a server that is gone.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// A valid configuration and what belongs to it.
#[derive(Debug)]
pub struct Fresh {
    /// The configuration.
    pub config: Config,
    /// All its secrets.
    pub secrets: Secrets,
    /// What there is to say about it, for people: lines.
    pub warnings: String,
    /// The files that it came from.
    pub files: Vec<PathBuf>,
}

/// Why there is none, for people: lines, each mistake with its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Unfit(pub String);

/// What reading came to.
pub type Reread = Result<Fresh, Unfit>;

/// Reads configuration and secrets.
#[derive(Clone)]
pub struct Source {
    read: Arc<dyn Fn() -> Reread + Send + Sync>,
    is_reading: Arc<AtomicBool>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

impl Source {
    /// What is read by `read`, which may take its time.
    pub fn new(read: impl Fn() -> Reread + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read), is_reading: Arc::default() }
    }

    /// Reads on another thread: who hangs there holds up no tunnel.
    pub async fn read(self) -> Reread {
        if self.is_reading.swap(true, Ordering::AcqRel) {
            return Err(Unfit("an earlier attempt to read the configuration still hangs\n".into()));
        }
        let reader = tokio::task::spawn_blocking(move || {
            let read = (self.read)();
            self.is_reading.store(false, Ordering::Release);
            read
        });
        match tokio::time::timeout(READ_LIMIT, reader).await {
            Ok(Ok(read)) => read,
            Ok(Err(_)) => Err(Unfit("reading the configuration failed\n".into())),
            Err(_) => {
                let seconds = READ_LIMIT.as_secs();
                Err(Unfit(format!("configuration and secrets could not be read within {seconds} s\n")))
            }
        }
    }
}
