//! What this configuration needs of the host, and the walls around the rest (`os/sandbox`).

use std::fmt;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::config::{Config, Sandbox, SecretSource};
use crate::daemon::control;
use crate::os::sandbox::{self, Missing, Places};

/// A wall that the configuration insists on does not stand.
#[derive(Debug)]
pub struct NotWalled(Missing);

impl fmt::Display for NotWalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`[security] sandbox = \"required\"` cannot be kept: {}. With \"auto\" vpnd goes on with the rest",
            self.0
        )
    }
}

impl std::error::Error for NotWalled {}

/// Gives up what the process will not need. It must have one thread.
///
/// # Errors
/// [`NotWalled`] where the configuration insists.
pub fn enter(config: &Config, file: &Path, state_directory: &Path) -> Result<(), NotWalled> {
    if config.sandbox() == Sandbox::Off {
        return Ok(());
    }
    let missing = sandbox::enter(&places(config, file, state_directory));
    for missing in missing {
        if config.sandbox() == Sandbox::Required {
            return Err(NotWalled(missing));
        }
        tracing::warn!("{missing}; vpnd goes on without. `[security] sandbox` says how to decide on it");
    }
    Ok(())
}

fn places(config: &Config, file: &Path, state_directory: &Path) -> Places {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let secrets = config.secret_sources().into_iter().filter_map(|source| match source {
        SecretSource::File(path) => Some(directory.join(path)),
        SecretSource::Credential(name) => Some(Path::new(&std::env::var_os("CREDENTIALS_DIRECTORY")?).join(name)),
        SecretSource::Environment(_) => None,
    });
    let reread: Vec<PathBuf> = std::iter::once(file.to_owned()).chain(secrets).collect();
    let mut read: Vec<PathBuf> = reread.iter().flat_map(|file| ways_to(file)).collect();
    // A reload may name a gateway where none had a name.
    read.extend(resolver_directory());
    // What cannot be made here is told when it is needed.
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(state_directory);
    let mut write = vec![state_directory.to_owned()];
    write.extend(control::path(config, state_directory).and_then(|socket| socket.parent().map(Path::to_owned)));
    Places { read, write, reread, low_port: config.local_port().is_some_and(|port| port < 1024) }
}

/// The directories on the way to a file that have to be readable so that another file, or another link, may take its place: the one in which it is, and each
/// in which the way goes on by a link. Those at the root of the file system are not among them: too much is in them.
fn ways_to(file: &Path) -> Vec<PathBuf> {
    let mut ways: Vec<PathBuf> = file.parent().map(Path::to_owned).into_iter().collect();
    let real = fs::canonicalize(file);
    ways.extend(real.iter().filter_map(|real| real.parent()).map(Path::to_owned));
    for place in file.ancestors().filter(|place| place.is_symlink()) {
        ways.extend(place.parent().filter(|parent| parent.components().count() > 2).map(Path::to_owned));
    }
    for way in &mut ways {
        if way.as_os_str().is_empty() {
            *way = PathBuf::from(".");
        }
    }
    ways
}

/// Programs that write `/etc/resolv.conf` put another file in its place. Where it is a link, what it leads to lies in a directory of its own.
fn resolver_directory() -> Option<PathBuf> {
    let real = fs::canonicalize("/etc/resolv.conf").ok()?;
    real.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_may_lead_elsewhere_tomorrow_can_be_followed_then() {
        let scratch = std::env::temp_dir().join(format!("vpnd-ways-{}", std::process::id()));
        let _ = fs::remove_dir_all(&scratch);
        for directory in ["releases/1", "configuration"] {
            fs::create_dir_all(scratch.join(directory)).unwrap();
        }
        fs::write(scratch.join("releases/1/vpnd.toml"), "").unwrap();
        std::os::unix::fs::symlink("releases/1", scratch.join("current")).unwrap();
        std::os::unix::fs::symlink("../current/vpnd.toml", scratch.join("configuration/office.toml")).unwrap();

        let real = fs::canonicalize(&scratch).unwrap();
        let ways = ways_to(&scratch.join("current/vpnd.toml"));
        assert!(ways.contains(&scratch) && ways.contains(&real.join("releases/1")), "{ways:?}");
        let ways = ways_to(&scratch.join("configuration/office.toml"));
        assert!(ways.contains(&scratch.join("configuration")), "{ways:?}");
        assert!(ways_to(Path::new("office.toml")).contains(&PathBuf::from(".")));
        assert!(!ways_to(Path::new("/var/run/x")).contains(&PathBuf::from("/var")));
        fs::remove_dir_all(&scratch).unwrap();
    }
}
