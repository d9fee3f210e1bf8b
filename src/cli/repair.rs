//! `vpnd repair`: takes back what a vpnd that was killed has left on this host, and opens the subnets that it kept closed.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::load::load;
use super::{Unusable, printed};
use crate::config::report::escaped;
use crate::daemon::privilege::require_net_admin;
use crate::os::host::{Host, HostError};
use crate::os::plan::HostPlan;
use crate::os::repair::DEFAULT_DIRECTORY;
use crate::tunnel::diagnosis::ExitKind;

/// Arguments of `vpnd repair`.
#[derive(Args)]
#[command(after_help = super::exit::HELP)]
pub(super) struct Arguments {
    /// The configuration file of the tunnel
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Where changes to this host were recorded
    #[arg(long, value_name = "DIRECTORY", default_value = DEFAULT_DIRECTORY)]
    state_directory: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitKind {
    let Ok(loaded) = load(&arguments.config) else { return Unusable.into() };
    loaded.show_report();
    let Some(config) = &loaded.config else { return Unusable.into() };
    if let Err(error) = require_net_admin() {
        printed(writeln!(std::io::stderr(), "vpnd: {error}"));
        return ExitKind::Privileges;
    }
    match repair(arguments, config.device()) {
        Ok(0) => printed(writeln!(std::io::stdout(), "nothing was left to take back")),
        Ok(repaired) => printed(writeln!(std::io::stdout(), "{repaired} changes of this host were taken back")),
        Err(reason) => {
            printed(writeln!(std::io::stderr(), "vpnd: {}", escaped(&reason)));
            return ExitKind::Other;
        }
    }
    ExitKind::Success
}

fn repair(arguments: &Arguments, device: &str) -> Result<usize, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let opened = runtime.block_on(Host::open(&arguments.state_directory, device, &HostPlan::default()));
    match opened {
        Ok((_, repaired)) => Ok(repaired),
        Err(HostError::AlreadyRunning { .. }) => {
            Err(format!("vpnd is running for {device}: end it, and it takes everything back itself"))
        }
        Err(error) => Err(error.to_string()),
    }
}
