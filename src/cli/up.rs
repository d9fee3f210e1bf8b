//! `vpnd up`: brings a tunnel up and keeps it until it is told to end.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::load;
use super::progress::{Form, Printer, diagnose};
use super::{Unusable, printed};
use crate::config::report::escaped;
use crate::config::{Config, LogFormat, LogLevel};
use crate::daemon::logging::{self, LogChoice};
use crate::daemon::sandbox;
use crate::daemon::source::{Fresh, Source, Unfit};
use crate::daemon::start::StartError;
use crate::daemon::supervisor::{self, Outcome, RunOptions, Running};
use crate::ike::action::Failure;
use crate::io::tun::TunError;
use crate::os::clock::Clock;
use crate::os::repair::DEFAULT_DIRECTORY;
use crate::tunnel::diagnosis::{Diagnosis, ExitKind};
use crate::tunnel::progress::Progress;

/// Look-ups of names by the C library that may hang at the same time.
const MOST_LOOKUPS: usize = 4;

/// Arguments of `vpnd up`.
#[derive(Args)]
#[command(after_help = super::exit::HELP)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Give up when the tunnel is not up after this time, or at once when the gateway refuses [default: try for ever]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: Option<u64>,
    /// Print one JSON object a line instead of text
    #[arg(long)]
    json: bool,
    /// How much is logged [default: from the configuration, or info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<Level>,
    /// How the log is written [default: from the configuration, or text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,
    /// Where changes to this host are recorded, to be taken back after a crash
    #[arg(long, value_name = "DIRECTORY", default_value = DEFAULT_DIRECTORY)]
    state_directory: PathBuf,
    /// Do not go on with the tunnel of a vpnd that runs already, but say that it runs
    #[arg(long)]
    no_takeover: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> ExitKind {
    let clock = Clock::start();
    match load::read_all(&arguments.config) {
        Ok(fresh) => {
            printed(std::io::stderr().write_all(fresh.warnings.as_bytes()));
            bring_up(fresh, arguments, clock)
        }
        Err(Unfit(report)) => {
            printed(std::io::stderr().write_all(report.as_bytes()));
            Unusable.into()
        }
    }
}

fn bring_up(fresh: Fresh, arguments: &Arguments, clock: Clock) -> ExitKind {
    let Fresh { mut config, secrets, files, .. } = fresh;
    let log =
        LogChoice { level: arguments.log_level.map(LogLevel::from), format: arguments.log_format.map(LogFormat::from) };
    logging::set(log.level.unwrap_or(config.log_level()), log.format.unwrap_or(config.log_format()));
    if let Err(error) = sandbox::enter(&config, &arguments.config, &arguments.state_directory) {
        printed(writeln!(std::io::stderr(), "vpnd: {}", escaped(&error.to_string())));
        return ExitKind::Privileges;
    }
    let runtime =
        match tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(MOST_LOOKUPS).build() {
            Ok(runtime) => runtime,
            Err(error) => {
                printed(writeln!(std::io::stderr(), "vpnd: the control thread could not be started ({error})"));
                return ExitKind::Other;
            }
        };
    let form = if arguments.json { Form::Json } else { Form::Text };
    let file = std::path::absolute(&arguments.config).unwrap_or_else(|_| arguments.config.clone());
    let options = RunOptions {
        wait: arguments.wait.map(Duration::from_secs),
        state_directory: arguments.state_directory.clone(),
        running: if arguments.no_takeover { Running::Leave } else { Running::TakeOver },
        log,
        source: Source::new(move || load::read_all(&file)),
        files,
    };
    let mut printer = Printer::new(clock, form);
    let mut tell = |config: &Config, progress: &Progress| printer.tell(config, progress);
    let ended = runtime.block_on(supervisor::run(&mut config, secrets, &options, &mut tell));
    // A file that hangs while it is read holds nobody up.
    runtime.shutdown_background();
    let diagnosis = match ended {
        Ok(outcome) => conclude(outcome, &config, &options),
        Err(error) => Some(not_started(&error)),
    };
    if let Some(diagnosis) = &diagnosis {
        printer.end(diagnosis);
    }
    diagnosis.map_or(ExitKind::Success, |diagnosis| diagnosis.exit)
}

fn conclude(outcome: Outcome, config: &Config, options: &RunOptions) -> Option<Diagnosis> {
    match outcome {
        Outcome::Closed { .. } | Outcome::HandedOver { .. } => None,
        Outcome::GaveUp(last) => {
            let waited = options.wait.unwrap_or_default();
            let told = last.and_then(|progress| match progress {
                Progress::Repeating { exchange, repetition } => {
                    let sent = repetition.saturating_add(1);
                    let failure = Failure::NoAnswer { phase: exchange, sent, waited, hints: Vec::new() };
                    Some(Diagnosis::of(&failure, &config.context(None)))
                }
                progress => diagnose(&progress, config),
            });
            Some(told.unwrap_or_else(|| Diagnosis::not_up_in_time(waited, &config.context(None))))
        }
        Outcome::Broken(reason) => Some(failed(ExitKind::Other, "the tunnel cannot go on", &reason)),
    }
}

fn not_started(error: &StartError) -> Diagnosis {
    let exit = match error {
        StartError::Privilege(_)
        | StartError::Tun(TunError::Missing(_) | TunError::OpenDenied(_) | TunError::NoCapability { .. }) => {
            ExitKind::Privileges
        }
        StartError::Tun(TunError::BadName { .. }) => ExitKind::Configuration,
        _ => ExitKind::Other,
    };
    failed(exit, "the tunnel could not be started", &error.to_string())
}

/// What the host says names the way out itself.
fn failed(exit: ExitKind, what: &str, reason: &str) -> Diagnosis {
    let what = format!("{what}: {}", escaped(reason));
    Diagnosis { exit, what, key: None, ours: None, theirs: None, fix: String::new() }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Json => Self::Json,
        }
    }
}
