//! Runs one tunnel: gives it time, names, datagrams and signals, and carries out what it wants done. It knows no protocol rule.

mod actions;
mod fit;
mod handover;
mod reload;

use std::future::Future;
use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{Config, Secrets};
use crate::crypto::random::Random;
use crate::daemon::control::{Call, Control, Request};
use crate::daemon::data_thread::{DataNews, DataPlane, DataPlaneEvents, Halves};
use crate::daemon::handover::{Offer, Pending, Reach, ask, find};
use crate::daemon::logging::LogChoice;
use crate::daemon::privilege::{protect_memory, require_net_admin};
use crate::daemon::rivals::Rivals;
use crate::daemon::source::Source;
use crate::daemon::start::{StartError, open_control, open_sockets};
use crate::daemon::status;
use crate::ike::action::ChildUp;
use crate::io::batch::Gateway;
use crate::io::tun::Tun;
use crate::os::clock::Clock;
use crate::os::host::Host;
use crate::os::network::NetworkWatch;
use crate::os::plan::{HostPlan, HostSettings};
use crate::os::random::OsRandom;
use crate::os::watch::{News, Watch};
use crate::time::Instant;
use crate::tunnel::Tunnel;
use crate::tunnel::progress::Progress;

use fit::host_settings;
use reload::{AskedBy, Job, Reloads};

/// News of the network come in swarms. One look at so many of them is enough; those that come later are looked at again.
const NETWORK_SETTLES: Duration = Duration::from_millis(100);

/// The runtime's timers stand still while the host sleeps: nothing is waited for longer than this without a look at the clock.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// Shorter sleep is none.
const SHORTEST_NAP: Duration = Duration::from_secs(2);

/// How a tunnel is run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Give up when the tunnel is not up after this time, or at once when the gateway refuses; `None`: try for ever.
    pub wait: Option<Duration>,
    /// Where the record of the host's changes is kept.
    pub state_directory: PathBuf,
    /// What is done about a vpnd that runs with the same device.
    pub running: Running,
    /// What the command line says of the log.
    pub log: LogChoice,
    /// Where the configuration is read again.
    pub source: Source,
    /// The files that it came from.
    pub files: Vec<PathBuf>,
}

/// What is done about a vpnd that runs with the same device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// Its SAs and all else are taken over.
    TakeOver,
    /// It is left alone: nothing is started.
    Leave,
}

/// How a tunnel ended.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// It was told to close.
    Closed {
        /// Whether the gateway confirmed the DELETE of a live tunnel.
        confirmed: bool,
    },
    /// It did not come up in time. The last thing that went wrong or was not answered, if anything was.
    GaveUp(Option<Progress>),
    /// It cannot go on: the device is gone.
    Broken(String),
    /// Another process goes on with it; nothing on the host was touched.
    HandedOver {
        /// Its own number.
        process: u32,
    },
}

/// Tells people of a step, and returns what was told.
pub type Tell<'a> = dyn FnMut(&Config, &Progress) -> Option<String> + 'a;

/// Runs the tunnel of `config` until it is told to end or gives up; `config` is the one in force then. Everything on the host is undone when
/// this returns.
///
/// # Errors
/// [`StartError`] when it could not even begin.
pub async fn run(
    config: &mut Config,
    secrets: Secrets,
    options: &RunOptions,
    tell: &mut Tell<'_>,
) -> Result<Outcome, StartError> {
    require_net_admin()?;
    protect_memory();
    match find_running(config, options).await? {
        Some(offer) => handover::take_over(config, secrets, options, *offer, tell).await,
        None => start(config, secrets, options, tell).await,
    }
}

/// What a vpnd that runs with the same device offers, if there is one.
async fn find_running(config: &Config, options: &RunOptions) -> Result<Option<Box<Offer>>, StartError> {
    let Some(path) = crate::daemon::control::path(config, &options.state_directory) else { return Ok(None) };
    // One directory serves many network namespaces, and one socket's path only one of them.
    if !Host::is_recorded(&options.state_directory, config.device()) {
        return Ok(None);
    }
    if options.running == Running::Leave {
        return match find(&path).await {
            Some(process) => Err(StartError::Runs { device: config.device().to_owned(), process }),
            None => Ok(None),
        };
    }
    match ask(&path).await {
        Reach::Nobody => Ok(None),
        Reach::Offered(offer) => Ok(Some(offer)),
        Reach::Refused(reason) => Err(StartError::NotHandedOver { reason }),
    }
}

async fn start(
    config: &mut Config,
    secrets: Secrets,
    options: &RunOptions,
    tell: &mut Tell<'_>,
) -> Result<Outcome, StartError> {
    let clock = Clock::start();
    let sockets = open_sockets(config)?;
    let device = Tun::open(config.device())?;
    let host_settings = host_settings(config, device.name());
    // What can fail comes before the subnets are closed. No SA is installed yet: what the threads read is dropped.
    let signals = Signals::listen().map_err(StartError::Signals)?;
    let (data, events) =
        DataPlane::start(device, sockets, clock, Halves::empty(&mut OsRandom)).map_err(StartError::Threads)?;
    let control = open_control(config, &options.state_directory)?;
    let closed = HostPlan::closed(&host_settings);
    let (host, repaired) = Host::open(&options.state_directory, config.device(), &closed).await?;
    if repaired > 0 {
        tell(
            config,
            &Progress::Notice(format!("{repaired} changes of the host that an earlier run left were taken back")),
        );
    }
    let subnets = closed.closed_subnets();
    if !subnets.is_empty() {
        tell(config, &Progress::SubnetsClosed { subnets, nftables: host.is_filtered() });
        if let Some(error) = host.filter_refused() {
            tell(
                config,
                &Progress::Notice(format!(
                    "the kill switch is made of routes alone: the kernel refuses nftables rules ({error}), so that a program which binds \
                 itself to another device passes by it. `[killswitch] nftables` says how to decide on it"
                )),
            );
        }
    }
    let settings = Arc::new(config.tunnel_settings(secrets));
    let tunnel = Tunnel::new(settings, Box::new(OsRandom), fork, clock.now());
    let driver = Driver::new(config, options, tell, Parts { clock, tunnel, data, host, control });
    Ok(driver.run(events, signals).await)
}

/// From here on they end the tunnel in order, or have the configuration read again, and do not end the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

fn fork(_: &mut dyn Random) -> Box<dyn Random> {
    Box::new(OsRandom)
}

type Lookup = Pin<Box<dyn Future<Output = (String, Result<Vec<IpAddr>, String>)>>>;

struct Driver<'a> {
    config: &'a mut Config,
    log: LogChoice,
    reloads: Reloads,
    /// The children that addresses and routes were last set for.
    fitted: Vec<ChildUp>,
    /// Whether a person reads along.
    is_on_terminal: bool,
    clock: Clock,
    tunnel: Tunnel,
    data: DataPlane,
    host: Host,
    host_settings: HostSettings,
    watch: Option<Watch>,
    control: Option<Control>,
    rivals: Rivals,
    tell: &'a mut Tell<'a>,
    lookup: Option<Lookup>,
    /// Datagrams are let in from these only.
    gateways: Vec<Gateway>,
    give_up: Option<Instant>,
    trouble: Option<Progress>,
    outcome: Option<Outcome>,
    /// What the path to a gateway was found to carry.
    path: Option<(IpAddr, u16)>,
    /// What people were told fits, where the configuration wants more.
    smaller_path_told: Option<u16>,
    /// When the tunnel is to be told that the network changed.
    network_changed: Option<Instant>,
    /// How long the host has slept, as far as the tunnel knows.
    slept: Duration,
    /// A process that wants everything.
    handing: Option<Pending>,
    state_directory: PathBuf,
}

/// What a driver drives.
struct Parts {
    clock: Clock,
    tunnel: Tunnel,
    data: DataPlane,
    host: Host,
    control: Option<Control>,
}

impl<'a> Driver<'a> {
    /// One whose tunnel is not up, and which has spoken to no gateway.
    fn new(config: &'a mut Config, options: &RunOptions, tell: &'a mut Tell<'a>, parts: Parts) -> Self {
        let Parts { clock, tunnel, data, host, control } = parts;
        Self {
            reloads: Reloads::new(options.source.clone(), config, &options.files),
            watch: watch(config),
            host_settings: host_settings(config, data.device().name()),
            config,
            log: options.log,
            fitted: Vec::new(),
            is_on_terminal: std::io::stdout().is_terminal(),
            give_up: options.wait.map(|wait| clock.now().after(wait)),
            clock,
            tunnel,
            data,
            host,
            control,
            rivals: Rivals::default(),
            tell,
            lookup: None,
            gateways: Vec::new(),
            trouble: None,
            outcome: None,
            path: None,
            smaller_path_told: None,
            network_changed: None,
            slept: Duration::ZERO,
            handing: None,
            state_directory: options.state_directory.clone(),
        }
    }

    async fn run(mut self, mut events: DataPlaneEvents, mut signals: Signals) -> Outcome {
        let mut network = NetworkWatch::start(&self.host_settings.device);
        if let Err(error) = &network {
            tracing::warn!(%error, "changes of the network are not told by the kernel: they are noticed by the gateway's silence");
        }
        let mut told_to_close = false;
        let outcome = loop {
            self.settle().await;
            self.hand_over(&mut events).await;
            if let Some(outcome) = self.outcome.take() {
                break outcome;
            }
            self.look_at_the_clock();
            let timeout = self.tunnel.poll_timeout().map(|at| self.clock.until(at));
            let settled = self.network_changed.map(|at| self.clock.until(at));
            let give_up = self.give_up.map(|at| self.clock.until(at));
            let hands_over = self.hands_over_at().map(|at| self.clock.until(at));
            tokio::select! {
                _ = signals.terminate.recv() => self.close(&mut told_to_close),
                _ = signals.interrupt.recv() => self.close(&mut told_to_close),
                _ = signals.hang_up.recv() => self.hang_up(&mut told_to_close),
                (job, read) = self.reloads.next() => self.reload(job, read).await,
                Some(news) = events.news.recv() => self.take_news(self.clock.now(), news),
                Some(ike) = events.ike.recv() => self.tunnel.handle_datagram(self.clock.now(), ike.path, &ike.message),
                news = watched(&mut self.watch) => self.route_news(news).await,
                call = called(&mut self.control) => self.answer(call).await,
                (name, answer) = finished(&mut self.lookup) => {
                    self.tunnel.handle_resolved(self.clock.now(), &name, answer);
                }
                () = changed(&mut network) => {
                    self.network_changed.get_or_insert(self.clock.now().after(NETWORK_SETTLES));
                }
                () = sleep(settled) => self.network_change(),
                () = sleep(Some(LONGEST_SLEEP)) => {}
                () = sleep(timeout) => self.tunnel.handle_timeout(self.clock.now()),
                () = sleep(give_up) => self.stop_trying(),
                () = sleep(hands_over) => {}
            }
        };
        // Taking back needs a descriptor, as closing did; these came after that and may have had the last ones.
        drop(network);
        self.watch = None;
        self.clean_up(&outcome).await;
        self.data.stop();
        outcome
    }

    /// Whoever ends the tunnel opens the subnets. A tunnel that breaks leaves them closed, as a killed process does.
    async fn clean_up(&mut self, outcome: &Outcome) {
        let cleaned = match outcome {
            Outcome::Broken(_) => self.host.apply(&HostPlan::closed(&self.host_settings)).await,
            Outcome::Closed { .. } | Outcome::GaveUp(_) => self.host.undo().await,
            Outcome::HandedOver { .. } => return,
        };
        if let Err(error) = cleaned {
            self.progress(Progress::Notice(format!("not everything on the host could be taken back: {error}")));
        }
        if matches!(outcome, Outcome::Broken(_)) && self.host.steps().next().is_some() {
            let text = "the subnets stay closed until the next start, or until `vpnd repair` opens them";
            self.progress(Progress::Notice(text.into()));
        }
    }

    async fn answer(&mut self, call: Call) {
        let Call { request, mut caller } = call;
        let answer = match request {
            Request::Status => {
                let counters = self.data.counters().await.ok();
                let device = &self.host_settings.device;
                status::answer(device, &self.tunnel.status(), counters.as_ref(), self.control.as_ref())
            }
            Request::Handover { process, format, namespace } => {
                return self.asked_for_everything(caller, handover::Asked { process, format, namespace });
            }
            Request::Reload(wanted) => return self.reloads.ask(Job::of(caller, wanted)),
        };
        if let Err(error) = caller.answer(&answer) {
            tracing::debug!(%error, "an answer on the control socket was not taken");
        }
    }

    /// Others change routes, too. What they take of ours is put back.
    async fn route_news(&mut self, news: News) {
        let text = match news {
            News::Removed => {
                let restored = self.host.restore().await;
                self.rivals.restored(&restored)
            }
            News::Route { .. } | News::Rule { .. } => self.rivals.made(news, &self.host_settings),
        };
        if let Some(text) = text {
            self.progress(Progress::Notice(text));
        }
    }

    fn take_news(&mut self, now: Instant, news: DataNews) {
        match news {
            DataNews::Report(report) => self.tunnel.handle_report(now, report),
            DataNews::Dropped(told) => {
                tracing::info!("{told}");
                if let Some((source, destination)) = told.incident.inner {
                    tracing::debug!(%source, %destination, "the inner addresses of that packet");
                }
            }
            DataNews::Failed(failure) => self.outcome = Some(Outcome::Broken(failure.to_string())),
        }
    }

    fn network_change(&mut self) {
        self.network_changed = None;
        self.tunnel.handle_network_change(self.clock.now());
    }

    /// Who slept knows nothing of the network any more, and timers are over that have not rung.
    fn look_at_the_clock(&mut self) {
        let slept = self.clock.slept();
        let nap = slept.saturating_sub(self.slept);
        if nap < SHORTEST_NAP {
            return;
        }
        self.slept = slept;
        tracing::info!(seconds = nap.as_secs(), "the host slept");
        self.tunnel.handle_timeout(self.clock.now());
        self.network_changed = Some(self.clock.now());
    }

    /// The first signal closes in order, the second at once.
    fn close(&mut self, told: &mut bool) {
        if std::mem::replace(told, true) {
            self.outcome = Some(Outcome::Closed { confirmed: false });
        } else {
            self.tunnel.close(self.clock.now());
        }
    }

    /// The configuration is to be read again; or the terminal is gone, and with it whoever began this.
    fn hang_up(&mut self, told_to_close: &mut bool) {
        if self.is_on_terminal && !std::io::stdout().is_terminal() {
            return self.close(told_to_close);
        }
        self.reloads.ask(Job::new(AskedBy::Signal));
    }

    fn stop_trying(&mut self) {
        self.give_up = None;
        self.outcome = Some(Outcome::GaveUp(self.trouble.take()));
    }

    fn progress(&mut self, progress: Progress) {
        let text = (self.tell)(self.config, &progress);
        self.reloads.progress(self.config, &progress, text.as_deref());
        match &progress {
            Progress::Up => self.give_up = None,
            Progress::Down { failure, .. } => {
                // A refusal is not mended by waiting; whoever gave a time to wait wants to know now.
                if failure.is_refusal() && self.give_up.is_some() {
                    self.give_up = None;
                    self.outcome = Some(Outcome::GaveUp(Some(progress)));
                } else {
                    self.trouble = Some(progress);
                }
            }
            Progress::NotResolved { .. }
            | Progress::NoPath { .. }
            | Progress::HostFailed { .. }
            | Progress::Repeating { .. } => self.trouble = Some(progress),
            // The exchange that was not answered is behind us.
            Progress::SuiteAgreed { .. } | Progress::Authenticated { .. } | Progress::UserAccepted { .. }
                if matches!(self.trouble, Some(Progress::Repeating { .. })) =>
            {
                self.trouble = None;
            }
            _ => {}
        }
    }
}
/// Who makes the routes himself is not told of them.
fn watch(config: &Config) -> Option<Watch> {
    if !config.routes() {
        return None;
    }
    Watch::start()
        .inspect_err(|error| tracing::warn!(%error, "changes of routes by other programs are not noticed"))
        .ok()
}

/// What happens to the routes next; never when they are not watched.
async fn watched(watch: &mut Option<Watch>) -> News {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}

/// The next request; never without a control socket.
async fn called(control: &mut Option<Control>) -> Call {
    match control {
        Some(control) => control.next().await,
        None => std::future::pending().await,
    }
}

/// The look-up's answer, once; never when there is none under way.
async fn finished(lookup: &mut Option<Lookup>) -> (String, Result<Vec<IpAddr>, String>) {
    let Some(under_way) = lookup else { return std::future::pending().await };
    let answer = under_way.await;
    *lookup = None;
    answer
}

/// The next change of the network; never where the kernel does not tell.
async fn changed(watch: &mut std::io::Result<NetworkWatch>) {
    match watch {
        Ok(watch) => watch.changed().await,
        Err(_) => std::future::pending().await,
    }
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
