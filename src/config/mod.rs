//! A configuration file's text becomes a valid `Config`, or a report of everything that is wrong with it.
//! It does not know where the text, the environment and the pre-shared key come from: they are handed in.

pub mod diff;
pub mod duration;
mod identity;
pub mod model;
mod profile;
mod raw;
pub mod report;
mod secret_source;
mod subnet;
mod table;
#[cfg(test)]
mod tests;
mod validate;

pub use model::{
    AddressMode, Children, Config, ControlSocket, Ikev1Settings, KillSwitch, LogFormat, LogLevel, Nftables, Sandbox,
    Spoken, XauthAccount,
};
pub use profile::Secrets;
pub use secret_source::{
    MAX_SOURCE, PasswordError, Psk, PskError, PskFormat, PskSource, PskWarning, SecretSource, decode_password,
};
pub use subnet::Subnet;

use report::Report;

/// Octets of the largest configuration file that is looked at.
pub const MAX_FILE: usize = 1 << 20;

/// Reads a configuration. `variable` looks up what `${NAME}` stands for. The report holds errors exactly when there is no `Config`;
/// it may hold warnings in any case.
pub fn read(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> (Option<Config>, Report) {
    let mut report = Report::default();
    let raw = raw::read(text, &mut report);
    let config = raw.and_then(|raw| validate::validate(raw, variable, &mut report));
    report.sort();
    let config = config.filter(|_| !report.has_errors());
    (config, report)
}
