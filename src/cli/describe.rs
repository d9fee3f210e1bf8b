//! `vpnd completions` and `vpnd man`: the command line described for shells and for `man`, made from its own definition.

use std::io::Write;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::tunnel::diagnosis::ExitKind;

/// Arguments of `vpnd completions`.
#[derive(Args)]
pub(super) struct Completions {
    /// The shell to complete for
    shell: Shell,
}

/// Arguments of `vpnd man`.
#[derive(Args)]
pub(super) struct Man {
    /// The page of this subcommand instead of that of vpnd itself
    subcommand: Option<String>,
}

pub(super) fn completions(arguments: &Completions, mut command: Command) -> ExitKind {
    let mut page = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "vpnd", &mut page);
    print(&page)
}

pub(super) fn man(arguments: &Man, mut command: Command) -> ExitKind {
    // Subcommands learn their whole name, `vpnd up`, when the command is built.
    command.build();
    let chosen = match &arguments.subcommand {
        None => Some(command),
        Some(name) => command.find_subcommand(name).cloned(),
    };
    let Some(chosen) = chosen else {
        super::printed(writeln!(std::io::stderr(), "vpnd: there is no such subcommand; `vpnd help` lists them"));
        return ExitKind::Configuration;
    };
    let mut page = Vec::new();
    match clap_mangen::Man::new(chosen).render(&mut page) {
        Ok(()) => print(&page),
        Err(_) => ExitKind::Other,
    }
}

fn print(page: &[u8]) -> ExitKind {
    match std::io::stdout().write_all(page) {
        Ok(()) => ExitKind::Success,
        Err(_) => ExitKind::Other,
    }
}
