//! Reads a configuration file and shows what is wrong with it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Unusable, printed, secret};
use crate::config::report::{Report, Severity, escaped};
use crate::config::{self, Config, MAX_FILE, PskSource};
use crate::daemon::source::{Fresh, Reread, Unfit};

/// A file that was read, valid or not.
pub(super) struct Loaded {
    pub(super) path: PathBuf,
    /// May hold the pre-shared key.
    pub(super) text: Zeroizing<String>,
    pub(super) config: Option<Config>,
    pub(super) report: Report,
    mode: u32,
}

impl Loaded {
    /// The file's name for people.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Where relative paths in the file start.
    pub(super) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Shows the report on standard error.
    pub(super) fn show_report(&self) {
        printed(std::io::stderr().write_all(self.rendered().as_bytes()));
    }

    fn rendered(&self) -> String {
        self.report.render(&self.name(), &self.text)
    }

    /// What is wrong with the file besides its text.
    pub(super) fn warnings(&self) -> Vec<String> {
        let inline = self.config.as_ref().is_some_and(|config| matches!(config.psk_source(), PskSource::Inline(_)));
        let name = escaped(&self.name());
        let warning =
            format!("{name} holds the pre-shared key and everybody on this host can read it: chmod 600 {name}");
        if inline && is_world_readable(self.mode) { vec![warning] } else { Vec::new() }
    }
}

/// Reads the file; tells the person when that is not possible.
pub(super) fn load(path: &Path) -> Result<Loaded, Unusable> {
    read_file(path).map_err(|reason| {
        printed(writeln!(std::io::stderr(), "{reason}"));
        Unusable
    })
}

/// Configuration and secrets, or all that keeps them from being used.
pub(super) fn read_all(path: &Path) -> Reread {
    let loaded = read_file(path).map_err(|reason| Unfit(format!("{reason}\n")))?;
    let mut report = loaded.rendered();
    let name = escaped(&loaded.name());
    let mut add = |severity: Severity, text: &str| report.push_str(&format!("{name}: {}: {text}\n", severity.name()));
    let Some(config) = loaded.config.clone() else { return Err(Unfit(report)) };
    match secret::fetch(&config, loaded.directory()) {
        Ok(fetched) => {
            let warnings = loaded.warnings().into_iter().chain(fetched.warnings);
            warnings.for_each(|warning| add(Severity::Warning, &warning));
            let mut files = secret::files(&config, loaded.directory());
            files.insert(0, loaded.path.clone());
            Ok(Fresh { config, secrets: fetched.secrets, warnings: report, files })
        }
        Err(faults) => {
            faults.iter().for_each(|fault| add(Severity::Error, &fault.to_string()));
            Err(Unfit(report))
        }
    }
}

fn read_file(path: &Path) -> Result<Loaded, String> {
    let fault = |reason| format!("{}: error: {reason}", escaped(&path.display().to_string()));
    let (text, mode) = read(path).map_err(fault)?;
    let (config, report) = config::read(&text, &environment);
    Ok(Loaded { path: path.to_owned(), text, config, report, mode })
}

/// Whether others than the owner and the group can read a file of this mode.
pub(super) const fn is_world_readable(mode: u32) -> bool {
    mode & 0o004 != 0
}

fn read(path: &Path) -> Result<(Zeroizing<String>, u32), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("this is a directory".into());
    }
    let mut octets = Zeroizing::new(Vec::new());
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    file.take(limit.saturating_add(1)).read_to_end(&mut octets).map_err(|error| error.to_string())?;
    if octets.len() > MAX_FILE {
        return Err(format!("the file is larger than {MAX_FILE} octets"));
    }
    match std::str::from_utf8(&octets) {
        Ok(text) => Ok((Zeroizing::new(text.to_owned()), metadata.permissions().mode())),
        Err(error) => {
            let before = octets.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|octet| **octet == b'\n').count().saturating_add(1);
            Err(format!("line {line} is not UTF-8"))
        }
    }
}

/// What `${NAME}` stands for. `HOSTNAME` is a shell's variable and often not in the environment: the kernel knows it too.
fn environment(name: &str) -> Option<String> {
    let given = std::env::var(name).ok().filter(|value| !value.is_empty());
    if given.is_some() || name != "HOSTNAME" {
        return given;
    }
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(kernel.trim_end().to_owned()).filter(|name| !name.is_empty())
}
