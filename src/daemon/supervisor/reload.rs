//! Goes over to another configuration while the tunnel runs: reads it with its secrets, says what differs, has tunnel, host and log follow, and tells
//! whoever asked when a new session carries the traffic.

use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Value, json};

use super::fit::host_settings;
use super::{Driver, watch};
use crate::config::diff::{self, Difference, Takes, Values};
use crate::config::report::escaped;
use crate::config::{Config, Secrets};
use crate::daemon::control::Caller;
use crate::daemon::control::protocol::{Reload, answer};
use crate::daemon::file_watch::FileWatch;
use crate::daemon::logging;
use crate::daemon::source::{Fresh, Reread, Source, Unfit};
use crate::os::plan::{HostPlan, HostSettings, Outside};
use crate::tunnel::diagnosis::{Diagnosis, ExitKind};
use crate::tunnel::progress::Progress;
use crate::tunnel::{Change, Reason};

/// A reload that was asked for.
pub(super) struct Job {
    asked_by: AskedBy,
    wanted: Reload,
    caller: Option<Caller>,
}

/// What a reload is asked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskedBy {
    Signal,
    Socket,
    Files,
}

/// What is known of reloads between two turns of the control thread.
pub(super) struct Reloads {
    source: Source,
    files: Option<FileWatch>,
    waiting: VecDeque<Job>,
    reading: Option<Reading>,
    following: Option<Following>,
}

struct Reading {
    job: Job,
    answer: Pin<Box<dyn Future<Output = Reread>>>,
}

/// A new session that is being made, and whoever waits for it.
struct Following {
    callers: Vec<Caller>,
    needs_restart: bool,
    /// It carries the traffic.
    has_arrived: bool,
}

impl Job {
    pub(super) fn new(asked_by: AskedBy) -> Self {
        Self { asked_by, wanted: Reload::default(), caller: None }
    }

    pub(super) fn of(caller: Caller, wanted: Reload) -> Self {
        Self { asked_by: AskedBy::Socket, wanted, caller: Some(caller) }
    }

    fn tell(&mut self, answer: &Value) {
        if let Some(caller) = &mut self.caller {
            send(caller, answer);
        }
    }
}

impl Reloads {
    pub(super) fn new(source: Source, config: &Config, files: &[std::path::PathBuf]) -> Self {
        let files = config.is_watched().then(|| FileWatch::start(files.to_vec()));
        Self { source, files, waiting: VecDeque::new(), reading: None, following: None }
    }

    /// Takes a reload in. Callers are few; of the others one that waits does for all.
    pub(super) fn ask(&mut self, job: Job) {
        let is_needless = job.caller.is_none() && self.waiting.iter().any(|other| other.caller.is_none());
        if !is_needless {
            self.waiting.push_back(job);
        }
        self.begin();
    }

    fn begin(&mut self) {
        if self.reading.is_none()
            && let Some(job) = self.waiting.pop_front()
        {
            let answer = Box::pin(self.source.clone().read());
            self.reading = Some(Reading { job, answer });
        }
    }

    /// The next configuration that was read, and who asked for it; for ever when none is wanted.
    pub(super) async fn next(&mut self) -> (Job, Reread) {
        loop {
            let changed = async {
                match &mut self.files {
                    Some(files) => files.changed().await,
                    None => std::future::pending().await,
                }
            };
            let read = async {
                match &mut self.reading {
                    Some(reading) => reading.answer.as_mut().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => self.ask(Job::new(AskedBy::Files)),
                read = read => {
                    if let Some(Reading { job, .. }) = self.reading.take() {
                        return (job, read);
                    }
                }
            }
        }
    }

    /// Follows the files of what was read last, or none.
    fn watch(&mut self, config: &Config, files: Vec<std::path::PathBuf>) {
        match &self.files {
            _ if !config.is_watched() => self.files = None,
            Some(watch) => watch.set(files),
            None => self.files = Some(FileWatch::start(files)),
        }
    }

    /// A step of the tunnel's life, with its text for people, may be what somebody waits for.
    pub(super) fn progress(&mut self, config: &Config, progress: &Progress, text: Option<&str>) {
        let Some(following) = &mut self.following else { return };
        if let Some(text) = text {
            following.tell(&answer("progress", json!({ "text": text })));
        }
        match progress {
            Progress::Up | Progress::Succeeded { reason: Reason::Settings, .. } => following.has_arrived = true,
            Progress::SuccessionFailed { reason: Reason::Settings, cause } => following.failure(config, cause, true),
            Progress::Down { was_up: false, .. } => following.failure(config, progress, false),
            _ => {}
        }
    }

    pub(super) fn has_arrived(&self) -> bool {
        self.following.as_ref().is_some_and(|following| following.has_arrived)
    }

    /// Whether a new session is being made, so that the host has to fit the old and the new configuration.
    fn is_between(&self) -> bool {
        self.following.is_some()
    }
}

impl Following {
    fn tell(&mut self, answer: &Value) {
        self.callers.retain_mut(|caller| send(caller, answer));
    }

    /// A refusal is not mended by waiting: whoever waits wants to know now. The tunnel goes on trying.
    fn failure(&mut self, config: &Config, cause: &Progress, is_live: bool) {
        let Progress::Down { remote, failure, .. } = cause else { return };
        if !failure.is_refusal() {
            return;
        }
        let diagnosis = Diagnosis::of(failure, &config.context(Some(*remote)));
        let rest = match is_live {
            true => {
                "The tunnel goes on as it was, and the new session is tried again now and then: mend it on either side, or take the change back"
            }
            false => "It is tried again now and then",
        };
        let reason = format!("{diagnosis}\n{rest}");
        self.tell(&answer("failed", json!({ "outcome": diagnosis.exit.name(), "reason": reason })));
        self.callers.clear();
    }

    fn done(mut self) {
        self.tell(&done(self.needs_restart, "the new session carries the traffic"));
    }
}

impl Driver<'_> {
    pub(super) async fn reload(&mut self, job: Job, read: Reread) {
        match read {
            Ok(fresh) => self.consider(job, fresh).await,
            Err(unfit) => self.refuse(job, &unfit),
        }
        self.reloads.begin();
    }

    /// Nothing changes.
    fn refuse(&mut self, mut job: Job, Unfit(report): &Unfit) {
        for line in report.lines() {
            tracing::error!("{}", escaped(line));
        }
        let text = format!(
            "the configuration cannot be used ({}): nothing is changed. The log says what is wrong",
            job.asked_by
        );
        self.notice(text);
        let reason = "the configuration cannot be used: nothing is changed";
        job.tell(&answer(
            "failed",
            json!({ "outcome": ExitKind::Configuration.name(), "reason": reason, "report": report }),
        ));
    }

    async fn consider(&mut self, mut job: Job, fresh: Fresh) {
        let changed = fresh.secrets.changed(self.tunnel.settings());
        let differences = diff::differences(self.config, &fresh.config, changed);
        let listed: Vec<Value> = differences.iter().map(difference).collect();
        let device = &self.host_settings.device;
        job.tell(&answer(
            "differences",
            json!({ "device": device, "warnings": fresh.warnings, "differences": listed, "notes": self.notes(&differences) }),
        ));
        let takes: BTreeSet<Takes> = differences.iter().map(|difference| difference.takes).collect();
        let needs_restart = takes.contains(&Takes::Restart);
        if job.wanted.dry_run {
            return job.tell(&done(needs_restart, "this was a dry run: nothing is changed"));
        }
        for line in fresh.warnings.lines() {
            tracing::warn!("{}", escaped(line));
        }
        self.reloads.watch(&fresh.config, fresh.files);
        if takes.iter().all(|takes| *takes == Takes::Restart) {
            return self.nothing_to_do(job, needs_restart);
        }
        self.notice(format!("configuration read again ({}): {}", job.asked_by, summary(&differences)));
        if let Err(reason) = self.go_over(fresh.config, fresh.secrets, &takes).await {
            self.notice(format!("the configuration was not gone over to: {reason}"));
            return job.tell(&answer("failed", json!({ "outcome": ExitKind::Other.name(), "reason": reason })));
        }
        if !takes.contains(&Takes::NewSession) {
            return job.tell(&done(needs_restart, "done"));
        }
        if let Some(mut before) = self.reloads.following.take() {
            let reason = "another reload came before the new session carried the traffic";
            before.tell(&answer("failed", json!({ "outcome": ExitKind::Other.name(), "reason": reason })));
        }
        let callers = job.caller.into_iter().collect();
        self.reloads.following = Some(Following { callers, needs_restart, has_arrived: false });
    }

    /// The files say what is in force, or is on its way to be.
    fn nothing_to_do(&mut self, mut job: Job, needs_restart: bool) {
        match (&mut self.reloads.following, job.caller.take()) {
            (Some(following), Some(caller)) => following.callers.push(caller),
            (_, caller) => {
                job.caller = caller;
                tracing::debug!(asked_by = %job.asked_by, "the configuration was read again, and is the same");
                job.tell(&done(needs_restart, "nothing is to be done"));
            }
        }
    }

    /// Tunnel, host and log follow. When the host cannot, nothing else is touched, and the host is as before.
    async fn go_over(&mut self, config: Config, secrets: Secrets, takes: &BTreeSet<Takes>) -> Result<(), String> {
        let config = config.without_restart(self.config);
        let wanted = host_settings(&config, &self.host_settings.device);
        // What is added is closed before the new session is made; what goes is opened when it is there.
        let is_new_session = takes.contains(&Takes::NewSession) || self.reloads.is_between();
        let wanted = if is_new_session { self.host_settings.joined_with(&wanted) } else { wanted };
        let before = (std::mem::replace(self.config, config), self.host_settings.clone());
        if let Err(reason) = self.fit_host(wanted).await {
            let (config, host_settings) = before;
            *self.config = config;
            if let Err(error) = self.fit_host(host_settings).await {
                tracing::error!(%error, "the host could not be set back to what it was");
            }
            return Err(reason);
        }
        if before.0.routes() != self.config.routes() {
            self.watch = watch(self.config);
        }
        logging::set(
            self.log.level.unwrap_or(self.config.log_level()),
            self.log.format.unwrap_or(self.config.log_format()),
        );
        let settings = Arc::new(self.config.tunnel_settings(secrets));
        tracing::debug!(level = %self.log.level.unwrap_or(self.config.log_level()), "the log is as configured now");
        let change = if takes.contains(&Takes::NewSession) { Change::Successor } else { Change::InPlace };
        self.tunnel.handle_settings(self.clock.now(), settings, change);
        Ok(())
    }

    /// The new session carries the traffic: what only the old one had is given up.
    pub(super) async fn arrive(&mut self) {
        let Some(following) = self.reloads.following.take() else { return };
        let wanted = host_settings(self.config, &self.host_settings.device);
        if let Err(reason) = self.fit_host(wanted).await {
            self.notice(format!("the host could not be fitted to the new configuration: {reason}"));
        }
        following.done();
    }

    async fn fit_host(&mut self, settings: HostSettings) -> Result<(), String> {
        self.host_settings = settings;
        if !self.fitted.is_empty() {
            let children = self.fitted.clone();
            return self.configure(&children).await.map(drop);
        }
        let outside =
            self.gateways.iter().map(|gateway| Outside { gateway: gateway.remote, port: gateway.local.port() });
        let outside: Vec<Outside> = outside.collect();
        let mut plan = HostPlan::closed(&self.host_settings);
        plan.steps.extend(HostPlan::towards(&self.host_settings, &outside));
        self.host.apply(&plan).await.map_err(|error| error.to_string())
    }

    /// What goes before the configuration.
    fn notes(&self, differences: &[Difference]) -> Vec<&'static str> {
        let has = |key: &str| differences.iter().any(|difference| difference.key == key);
        let level = (has("[log] level") && self.log.level.is_some())
            .then_some("[log] level has no effect: `--log-level` of the command line goes before");
        let format = (has("[log] format") && self.log.format.is_some())
            .then_some("[log] format has no effect: `--log-format` of the command line goes before");
        level.into_iter().chain(format).collect()
    }

    fn notice(&mut self, text: String) {
        self.progress(Progress::Notice(text));
    }
}

/// Whether the caller is still there.
fn send(caller: &mut Caller, answer: &Value) -> bool {
    let sent = caller.answer(answer);
    if let Err(error) = &sent {
        tracing::debug!(%error, "an answer on the control socket was not taken");
    }
    sent.is_ok()
}

fn done(needs_restart: bool, text: &str) -> Value {
    let outcome = if needs_restart { ExitKind::Restart } else { ExitKind::Success };
    answer("done", json!({ "outcome": outcome.name(), "text": text }))
}

fn difference(difference: &Difference) -> Value {
    let (old, new) = match &difference.values {
        Values::Shown { old, new } => (Some(old), Some(new)),
        Values::Secret => (None, None),
    };
    json!({
        "key": difference.key,
        "old": old,
        "new": new,
        "takes": difference.takes.name(),
        "text": format!("{difference}, {}", difference.takes),
    })
}

fn summary(differences: &[Difference]) -> String {
    let texts = differences.iter().map(|difference| format!("{difference}, {}", difference.takes));
    texts.collect::<Vec<_>>().join("; ")
}

impl std::fmt::Display for AskedBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Signal => "SIGHUP",
            Self::Socket => "asked for on the control socket",
            Self::Files => "its files changed",
        })
    }
}
