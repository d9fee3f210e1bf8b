//! What a person types and reads: one file a subcommand. It decides nothing about protocols and hosts.

mod ask;
mod check;
mod describe;
mod exit;
mod load;
mod progress;
mod reload;
mod repair;
mod secret;
mod status;
mod up;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::tunnel::diagnosis::ExitKind;

/// A userspace IPsec client: IKEv1 or IKEv2 with a pre-shared key, and ESP in UDP.
#[derive(Parser)]
#[command(name = "vpnd", version, about, long_about = None, after_help = exit::HELP, subcommand_required = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring a tunnel up and keep it, in the foreground
    Up(up::Arguments),
    /// Have a running tunnel go over to its configuration as it is now
    Reload(reload::Arguments),
    /// Tell how a running tunnel stands
    Status(status::Arguments),
    /// Take back what a killed vpnd left on this host, and open the subnets that it kept closed
    Repair(repair::Arguments),
    /// Check a configuration file without touching the network
    Check(check::Arguments),
    /// Print a completion script for a shell
    Completions(describe::Completions),
    /// Print the manual page
    Man(describe::Man),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // clap ends the process with code 2 for wrong usage, 0 for help.
    let kind = match Arguments::parse().command {
        Command::Up(arguments) => up::run(&arguments),
        Command::Reload(arguments) => reload::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Repair(arguments) => repair::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Completions(arguments) => describe::completions(&arguments, Arguments::command()),
        Command::Man(arguments) => describe::man(&arguments, Arguments::command()),
    };
    exit::code(kind)
}

/// Runs something that prints; a reader that went away is no reason to fail.
fn printed(result: std::io::Result<()>) {
    result.ok();
}

/// The configuration is wrong or cannot be read; the person has been told.
struct Unusable;

impl From<Unusable> for ExitKind {
    fn from(_: Unusable) -> Self {
        Self::Configuration
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn c_14_no_argument_takes_a_secret() {
        for subcommand in Arguments::command().get_subcommands() {
            for argument in subcommand.get_arguments() {
                let name = argument.get_id().as_str();
                assert!(!["psk", "password", "secret", "key"].iter().any(|word| name.contains(word)), "{name}");
            }
        }
    }
}
