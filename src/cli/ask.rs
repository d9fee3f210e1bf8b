//! Asks a running vpnd on its control socket.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::load::load;
use super::{Unusable, printed};
use crate::config::report::escaped;
use crate::daemon::control::{self, Request};
use crate::os::clock::Clock;
use crate::os::repair::DEFAULT_DIRECTORY;
use crate::tunnel::diagnosis::ExitKind;

/// Octets of the longest answer that is read.
const LONGEST_ANSWER: u64 = 1 << 20;

/// Which running vpnd is meant.
#[derive(Args)]
#[group(multiple = false)]
pub(super) struct Whom {
    /// The configuration file it was started with
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The name of its device [default: vpnd0]
    #[arg(long, short, value_name = "NAME")]
    device: Option<String>,
    /// Its control socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// Where sockets are unless the configuration says otherwise.
#[derive(Args)]
pub(super) struct Where {
    /// The state directory it was started with
    #[arg(long, value_name = "DIRECTORY", default_value = DEFAULT_DIRECTORY)]
    state_directory: PathBuf,
}

const DEFAULT_DEVICE: &str = "vpnd0";

impl Whom {
    /// The path of its control socket. The person is told why there is none.
    pub(super) fn socket(&self, place: &Where) -> Result<PathBuf, Unusable> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        let Some(file) = &self.config else {
            let device = self.device.as_deref().unwrap_or(DEFAULT_DEVICE);
            return Ok(control::default_path(&place.state_directory, device));
        };
        let loaded = load(file)?;
        loaded.show_report();
        let config = loaded.config.as_ref().ok_or(Unusable)?;
        control::path(config, &place.state_directory).ok_or_else(|| {
            let name = escaped(&loaded.name());
            printed(writeln!(io::stderr(), "{name}: error: `[control] socket = \"off\"`: this tunnel cannot be asked"));
            Unusable
        })
    }
}

/// Asks and hands each answer on, all within `limit`. The person is told what is wrong.
pub(super) fn ask(
    socket: &Path,
    request: &Request,
    limit: Duration,
    heard: &mut dyn FnMut(Value),
) -> Result<(), ExitKind> {
    let said = |error: io::Error| {
        let (exit, reason) = explained(&error);
        printed(writeln!(io::stderr(), "vpnd: {}: {reason}", escaped(&socket.display().to_string())));
        exit
    };
    let clock = Clock::start();
    let stream = UnixStream::connect(socket).map_err(said)?;
    (&stream).write_all(&request.to_line()).map_err(said)?;
    let mut lines = BufReader::new(&stream);
    let mut any = false;
    loop {
        let left = limit.saturating_sub(clock.now().since_start()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left)).map_err(said)?;
        let mut line = Vec::new();
        (&mut lines).take(LONGEST_ANSWER).read_until(b'\n', &mut line).map_err(said)?;
        if line.is_empty() && any {
            return Ok(());
        }
        let answer = serde_json::from_slice(&line).map_err(|_| said(ErrorKind::UnexpectedEof.into()))?;
        any = true;
        heard(answer);
    }
}

fn explained(error: &io::Error) -> (ExitKind, String) {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => (
            ExitKind::Other,
            format!(
                "no vpnd listens here ({error}). Is it running? `--config`, `--device` and `--socket` say which one is meant"
            ),
        ),
        ErrorKind::PermissionDenied => {
            (ExitKind::Privileges, format!("not allowed ({error}): only vpnd's own user and root may ask"))
        }
        ErrorKind::WouldBlock | ErrorKind::TimedOut => (ExitKind::Other, "no answer in time".into()),
        ErrorKind::UnexpectedEof => (ExitKind::Other, "the answer ended in the middle: did vpnd end?".into()),
        _ => (ExitKind::Other, error.to_string()),
    }
}
