//! Fetches the pre-shared key from where the configuration says it is.

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::load::is_world_readable;
use crate::config::report::escaped;
use crate::config::{Config, MAX_SOURCE, Psk, PskError, PskSource};

/// Why there is no key.
pub(super) enum SecretError {
    /// The source is not there or cannot be read.
    Unavailable(String),
    /// It was read, and holds no key.
    Unusable(PskError),
}

/// A key, and what to say about it.
pub(super) struct Fetched {
    pub(super) psk: Psk,
    pub(super) warnings: Vec<String>,
}

impl SecretError {
    /// For people; `config` says which key of the configuration it is about.
    pub(super) fn message(&self, config: &Config) -> String {
        let key = config.psk_source().key();
        match self {
            Self::Unavailable(reason) => format!("{key}: {reason}"),
            Self::Unusable(error) => format!("{key}: {error}"),
        }
    }
}

/// Fetches the key of a configuration whose relative paths start at `directory`.
pub(super) fn fetch(config: &Config, directory: &Path) -> Result<Fetched, SecretError> {
    let mut warnings = Vec::new();
    let octets = match config.psk_source() {
        PskSource::File(path) => {
            let path = directory.join(path);
            let (octets, mode) = read(&path).map_err(SecretError::Unavailable)?;
            if is_world_readable(mode) {
                let name = escaped(&path.display().to_string());
                warnings.push(format!(
                    "everybody on this host can read {name}: chmod 600 {name} (in Kubernetes, `defaultMode: 0400` for the volume)"
                ));
            }
            octets
        }
        PskSource::Environment(name) => std::env::var_os(name).map(OsStringExt::into_vec).ok_or_else(|| {
            SecretError::Unavailable(format!("the environment variable {} is not set", escaped(name)))
        })?,
        PskSource::Credential(name) => {
            let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                let reason = "CREDENTIALS_DIRECTORY is not set: add LoadCredential= to the systemd unit";
                SecretError::Unavailable(reason.into())
            })?;
            read(&Path::new(&directory).join(name)).map_err(SecretError::Unavailable)?.0
        }
        PskSource::Inline(secret) => secret.expose().to_vec(),
    };
    let psk = Psk::decode(octets, config.psk_format()).map_err(SecretError::Unusable)?;
    // What the validation has said about a key in the file is not said again.
    if !matches!(config.psk_source(), PskSource::Inline(_)) {
        warnings.extend(psk.warnings.iter().map(|warning| format!("{}: {warning}", config.psk_source().key())));
    }
    Ok(Fetched { psk, warnings })
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
