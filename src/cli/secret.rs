//! Fetches the pre-shared key and the XAUTH password from where the configuration says they are.

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::load::is_world_readable;
use crate::config::report::escaped;
use crate::config::{Config, MAX_SOURCE, Psk, PskSource, SecretSource, Secrets, decode_password};
use crate::crypto::secret::Secret;

/// Why there is no secret, for people: it begins with the key of the configuration that it is about.
pub(super) enum SecretError {
    /// The source is not there or cannot be read.
    Unavailable(String),
    /// It was read, and holds no secret.
    Unusable(String),
}

/// Secrets, and what to say about them.
pub(super) struct Fetched {
    pub(super) secrets: Secrets,
    pub(super) warnings: Vec<String>,
}

impl std::fmt::Display for SecretError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unavailable(message) | Self::Unusable(message) => f.write_str(message),
        }
    }
}

/// Fetches all secrets of a configuration whose relative paths start at `directory`. The first thing that is wrong with each of them
/// is an error.
pub(super) fn fetch(config: &Config, directory: &Path) -> Result<Fetched, Vec<SecretError>> {
    let mut warnings = Vec::new();
    let psk = psk(config, directory, &mut warnings);
    let password = password(config, directory, &mut warnings);
    match (psk, password) {
        (Ok(psk), Ok(xauth_password)) => {
            Ok(Fetched { secrets: Secrets { psk: Arc::new(psk.secret), xauth_password }, warnings })
        }
        (psk, password) => Err([psk.err(), password.err()].into_iter().flatten().collect()),
    }
}

/// The files that hold them.
pub(super) fn files(config: &Config, directory: &Path) -> Vec<PathBuf> {
    let file = |source: &SecretSource| match source {
        SecretSource::File(path) => Some(directory.join(path)),
        SecretSource::Environment(_) => None,
        SecretSource::Credential(name) => credential(name),
    };
    config.secret_sources().into_iter().filter_map(file).collect()
}

/// The file of a systemd credential, where there are any.
fn credential(name: &str) -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(|directory| Path::new(&directory).join(name))
}

fn psk(config: &Config, directory: &Path, warnings: &mut Vec<String>) -> Result<Psk, SecretError> {
    let source = config.psk_source();
    let octets = match source {
        PskSource::Elsewhere(place) => octets(place, source.key(), directory, warnings)?,
        PskSource::Inline(secret) => secret.expose().to_vec(),
    };
    let decoded = Psk::decode(octets, config.psk_format());
    let psk = decoded.map_err(|error| SecretError::Unusable(format!("{}: {error}", source.key())))?;
    // What the validation has said about a key in the file is not said again.
    if !matches!(source, PskSource::Inline(_)) {
        warnings.extend(psk.warnings.iter().map(|warning| format!("{}: {warning}", source.key())));
    }
    Ok(psk)
}

fn password(config: &Config, directory: &Path, warnings: &mut Vec<String>) -> Result<Option<Secret>, SecretError> {
    let Some(account) = config.xauth() else { return Ok(None) };
    let key = account.password.password_key();
    let octets = octets(&account.password, key, directory, warnings)?;
    decode_password(octets).map(Some).map_err(|error| SecretError::Unusable(format!("{key}: {error}")))
}

fn octets(
    source: &SecretSource,
    key: &str,
    directory: &Path,
    warnings: &mut Vec<String>,
) -> Result<Vec<u8>, SecretError> {
    let unavailable = |reason: String| SecretError::Unavailable(format!("{key}: {reason}"));
    match source {
        SecretSource::File(path) => {
            let path = directory.join(path);
            let (octets, mode) = read(&path).map_err(unavailable)?;
            if is_world_readable(mode) {
                let name = escaped(&path.display().to_string());
                warnings.push(format!(
                    "everybody on this host can read {name}: chmod 600 {name} (in Kubernetes, `defaultMode: 0400` for the volume)"
                ));
            }
            Ok(octets)
        }
        SecretSource::Environment(name) => std::env::var_os(name)
            .map(OsStringExt::into_vec)
            .ok_or_else(|| unavailable(format!("the environment variable {} is not set", escaped(name)))),
        SecretSource::Credential(name) => {
            let path = credential(name).ok_or_else(|| {
                unavailable("CREDENTIALS_DIRECTORY is not set: add LoadCredential= to the systemd unit".into())
            })?;
            Ok(read(&path).map_err(unavailable)?.0)
        }
    }
}

fn read(path: &Path) -> Result<(Vec<u8>, u32), String> {
    let told = |error: std::io::Error| format!("{}: {error}", escaped(&path.display().to_string()));
    let file = File::open(path).map_err(told)?;
    let metadata = file.metadata().map_err(told)?;
    let most = MAX_SOURCE.saturating_add(1);
    // Never grown, so that no copy is left behind.
    let mut octets = Vec::with_capacity(most.saturating_add(32));
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut octets).map_err(told)?;
    Ok((octets, metadata.permissions().mode()))
}
