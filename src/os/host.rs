//! The host as one tunnel changes it: carries plans out, remembers what was changed, takes it back.

use std::fmt;
use std::io;
use std::mem::discriminant;
use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

use crate::os::address;
use crate::os::netlink::{Netlink, exists};
use crate::os::nftables::{self, Ruleset};
use crate::os::plan::{HostPlan, Need, Step};
use crate::os::prefix::{Family, Prefix};
pub use crate::os::repair::Owner;
use crate::os::repair::{Change, Record, RecordError};
use crate::os::route::{self, Route, Way};
use crate::os::rule;

/// The metric of routes into a tunnel: better than those of closed subnets.
const TUNNEL_METRIC: u32 = 64;

/// The metrics of closed subnets start here. What is added tells the tunnels of a host apart, so that each opens only what it closed.
const CLOSED_METRIC: u32 = 0xff00_0000;

/// Why the host could not be changed.
#[derive(Debug)]
pub enum HostError {
    /// Another living process works with the same device or configuration.
    AlreadyRunning {
        /// What the record is called.
        key: String,
    },
    /// There is no connection to rtnetlink.
    NoNetlink(io::Error),
    /// The device of the plan is not there.
    NoDevice {
        /// Its name.
        device: String,
    },
    /// Another tunnel has a route to the subnet.
    RouteTaken {
        /// The subnet.
        destination: Prefix,
    },
    /// The kernel takes no rules for its packet filter, and the configuration wants them.
    NoFilter(io::Error),
    /// The kernel refuses a step.
    Refused {
        /// The step.
        step: Step,
        /// What the kernel says.
        error: io::Error,
    },
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRunning { key } => {
                write!(f, "another vpnd already runs for {key:?}. Stop it first, or set another `[tun] name`")
            }
            Self::NoNetlink(error) => {
                write!(f, "the kernel's rtnetlink cannot be reached ({error}); addresses and routes need it")
            }
            Self::NoDevice { device } => write!(f, "the network device {device:?} is gone: somebody removed it"),
            Self::RouteTaken { destination } => write!(
                f,
                "another tunnel has a route to {destination} (`ip route show table {table} {destination}`). \
                 End it, or take the subnet out of `[gateway] subnets`",
                table = route::TABLE
            ),
            Self::NoFilter(error) => write!(
                f,
                "the kernel refuses the nftables rules that `[killswitch] nftables = true` asks for ({error}). Load the module nf_tables \
                 on the host, or write \"auto\" to do without"
            ),
            Self::Refused { step, error } => match error.raw_os_error() {
                Some(libc::EPERM) => write!(
                    f,
                    "the kernel refuses \"{step}\" ({error}): CAP_NET_ADMIN is missing in this network namespace"
                ),
                Some(libc::EACCES) => write!(
                    f,
                    "the kernel refuses \"{step}\" ({error}): is IPv6 switched off (sysctl net.ipv6.conf.all.disable_ipv6)?"
                ),
                Some(libc::EOPNOTSUPP | libc::EAFNOSUPPORT) if matches!(step, Step::Lookup { .. }) => write!(
                    f,
                    "the kernel refuses \"{step}\" ({error}): it has no policy routing (CONFIG_IP_MULTIPLE_TABLES). \
                     Set `[tun] routes = false` and make the routes yourself; the kill switch is off then"
                ),
                _ => write!(f, "the kernel refuses \"{step}\" ({error})"),
            },
        }
    }
}

impl std::error::Error for HostError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoNetlink(error) | Self::NoFilter(error) | Self::Refused { error, .. } => Some(error),
            Self::AlreadyRunning { .. } | Self::NoDevice { .. } | Self::RouteTaken { .. } => None,
        }
    }
}

/// The host's addresses and routes, as far as they are this tunnel's. Dropped without [`Host::undo`] it leaves its record for the next start.
#[derive(Debug)]
pub struct Host {
    netlink: Netlink,
    record: Option<Record>,
    key: String,
    closed_metric: u32,
    filter: Filter,
    done: Vec<Done>,
}

/// How it stands with the kernel's packet filter.
#[derive(Debug)]
enum Filter {
    /// It has no rules of this process.
    Empty,
    /// It has these.
    Loaded(Ruleset),
    /// It took none, and is not asked again.
    Refused(io::Error),
}

/// A step that was carried out, and what it changed; `None` where nothing has to be taken back.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Done {
    step: Step,
    change: Option<Change>,
}

/// What a tunnel changed of the host, on its way to another process.
#[derive(Debug, Serialize, Deserialize)]
pub struct HostState {
    key: String,
    directory: Option<PathBuf>,
    filter: Option<Ruleset>,
    done: Vec<Done>,
}

impl Host {
    /// Whether a process has, or had until it was killed, the record called `key` of this network namespace.
    pub fn is_recorded(directory: &Path, key: &str) -> bool {
        Record::is_there(directory, key)
    }

    /// What was changed, for another process that goes on with it.
    pub fn export(&self) -> HostState {
        let Self { netlink: _, record, key, closed_metric: _, filter, done } = self;
        let filter = match filter {
            Filter::Loaded(ruleset) => Some(ruleset.clone()),
            Filter::Empty | Filter::Refused(_) => None,
        };
        let directory = record.as_ref().and_then(|record| record.directory().map(Path::to_owned));
        HostState { key: key.clone(), directory, filter, done: done.clone() }
    }

    /// The lock of the record, if there is one: it is held for as long as a descriptor of it is open in any process.
    pub fn lock(&self) -> Option<BorrowedFd<'_>> {
        self.record.as_ref().map(Record::lock)
    }

    /// From here on all of it is another process's. Or, if that came to nothing, this one's again.
    pub fn belongs_to(&mut self, owner: Owner) {
        if let Some(record) = &mut self.record {
            record.belongs_to(owner);
        }
    }

    /// Goes on with what another process changed. Nothing is touched by this. Must be called within a tokio runtime, in the same network namespace.
    ///
    /// # Errors
    /// [`HostError::NoNetlink`], or [`HostError::AlreadyRunning`] when what came with it is not the lock of that record.
    pub fn adopt(state: HostState, lock: Option<OwnedFd>) -> Result<Self, HostError> {
        let HostState { key, directory, filter, done } = state;
        let record = match (directory, lock) {
            (Some(directory), Some(lock)) => {
                let adopted = Record::adopt(&directory, &key, lock.into());
                Some(adopted.map_err(|_| HostError::AlreadyRunning { key: key.clone() })?)
            }
            _ => None,
        };
        let netlink = Netlink::connect().map_err(HostError::NoNetlink)?;
        let filter = filter.map_or(Filter::Empty, Filter::Loaded);
        Ok(Self { netlink, record, closed_metric: closed_metric(&key), key, filter, done })
    }

    /// Opens the record called `key` in `directory`, carries out `plan`, and then takes back what else a dead process left behind: the
    /// second value says how many changes. What it left and the plan wants is taken over, without a moment in which it is not there.
    /// Must be called within a tokio runtime, in the network namespace that is to be changed.
    ///
    /// Where no record can be kept (a read-only `/run`) the tunnel works without one; that is logged.
    ///
    /// # Errors
    /// [`HostError`]. What this call changed is taken back then, and nothing else.
    pub async fn open(directory: &Path, key: &str, plan: &HostPlan) -> Result<(Self, usize), HostError> {
        let record = match Record::open(directory, key) {
            Ok(record) => Some(record),
            Err(RecordError::Locked) => return Err(HostError::AlreadyRunning { key: key.to_owned() }),
            Err(RecordError::Io(error)) => {
                tracing::warn!(%error, directory = %directory.display(), "changes of the host cannot be recorded; after a crash they stay");
                None
            }
        };
        let netlink = Netlink::connect().map_err(HostError::NoNetlink)?;
        let closed_metric = closed_metric(key);
        let mut host =
            Self { netlink, record, key: key.to_owned(), closed_metric, filter: Filter::Empty, done: Vec::new() };
        let left = host.left_behind().await;
        if let Err(error) = host.apply(plan).await {
            // Rules that an earlier run had loaded were replaced, and are not known.
            if !left.is_empty() {
                host.filter = Filter::Empty;
            }
            host.done.retain(|done| done.change.as_ref().is_none_or(|change| !left.contains(change)));
            host.undo().await.ok();
            return Err(error);
        }
        let repaired = host.repair(&left).await;
        Ok((host, repaired))
    }

    /// Changes the host from what it is now to `plan`. What both have stays untouched. After an error what was done stays done and remembered.
    ///
    /// # Errors
    /// [`HostError`]; the steps behind the failed one were not tried.
    pub async fn apply(&mut self, plan: &HostPlan) -> Result<(), HostError> {
        let now = HostPlan { steps: self.done.iter().map(|done| done.step.clone()).collect(), ..HostPlan::default() };
        let (undo, todo) = now.transition(plan);
        self.load_filter(plan.filter.as_ref())?;
        for step in undo {
            self.take_back(step).await?;
        }
        for step in todo {
            self.carry_out(step).await?;
        }
        Ok(())
    }

    /// Carries out steps of one kind beside those of the plan, in the place of all others of that kind. The next plan undoes them or has them.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn ensure(&mut self, steps: &[Step]) -> Result<(), HostError> {
        let Some(kind) = steps.first().map(discriminant) else { return Ok(()) };
        let others = self.steps().filter(|done| discriminant(*done) == kind && !steps.contains(done)).cloned();
        for other in others.collect::<Vec<_>>() {
            self.take_back(&other).await?;
        }
        for step in steps {
            if !self.steps().any(|done| done == step) {
                self.carry_out(step).await?;
            }
        }
        Ok(())
    }

    /// Carries out again what somebody else took back of routes and rules: those steps.
    pub async fn restore(&mut self) -> Vec<Step> {
        let mut restored = Vec::new();
        for done in &self.done {
            let was_missing = match &done.change {
                Some(Change::Lookup(family)) => rule::add_lookup(&self.netlink, *family).await,
                Some(Change::ReversePath { gateway, port }) => {
                    rule::add_reverse_path(&self.netlink, *gateway, *port).await
                }
                Some(Change::Route(route)) => match route::add(&self.netlink, route).await {
                    Err(error) if exists(&error) => Ok(false),
                    other => other.map(|()| true),
                },
                Some(Change::Address { .. }) | None => Ok(false),
            };
            match was_missing {
                Ok(true) => restored.push(done.step.clone()),
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, step = %done.step, "what was removed could not be set again"),
            }
        }
        restored
    }

    /// The steps that are in force.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.done.iter().map(|done| &done.step)
    }

    /// Takes everything back, in reverse order. A step that fails does not keep the others.
    ///
    /// # Errors
    /// The first failure; what could not be taken back stays in the record for the next start.
    pub async fn undo(&mut self) -> Result<(), HostError> {
        let mut outcome = Ok(());
        while let Some(done) = self.done.last() {
            let step = done.step.clone();
            let result = self.take_back(&step).await;
            if result.is_err() {
                self.done.pop();
            }
            outcome = outcome.and(result);
        }
        // Last: while the routes go, nothing leaves.
        if let Err(error) = self.unload_filter() {
            tracing::warn!(%error, table = %nftables::table(&self.key), "the nftables rules could not be taken back");
        }
        outcome
    }

    /// Octets, IP header included, that the first link towards `remote` carries: the device's own word, whatever ICMP said of the path behind it.
    ///
    /// # Errors
    /// What the kernel says; there may be no way.
    pub async fn link_mtu(&self, remote: IpAddr) -> io::Result<Option<u16>> {
        let Some(index) = route::device_towards(&self.netlink, remote).await? else { return Ok(None) };
        let octets = self.netlink.mtu_of(index).await?;
        Ok(octets.map(|octets| u16::try_from(octets).unwrap_or(u16::MAX)))
    }

    /// Whether the packet filter has rules of this tunnel.
    pub const fn is_filtered(&self) -> bool {
        matches!(self.filter, Filter::Loaded(_))
    }

    /// Why the packet filter took no rules, if it was asked to.
    pub const fn filter_refused(&self) -> Option<&io::Error> {
        match &self.filter {
            Filter::Refused(error) => Some(error),
            Filter::Empty | Filter::Loaded(_) => None,
        }
    }

    /// Rules are replaced as a whole, and before the routes change: a new address is guarded before it is there.
    fn load_filter(&mut self, wanted: Option<&(Ruleset, Need)>) -> Result<(), HostError> {
        let Some((ruleset, need)) = wanted else { return self.unload_filter().map_err(HostError::NoFilter) };
        match &self.filter {
            Filter::Loaded(loaded) if loaded == ruleset => return Ok(()),
            Filter::Refused(_) if *need == Need::Wanted => return Ok(()),
            Filter::Empty | Filter::Loaded(_) | Filter::Refused(_) => {}
        }
        match nftables::load(&self.key, ruleset) {
            Ok(()) => self.filter = Filter::Loaded(ruleset.clone()),
            Err(error) if *need == Need::Required || self.is_filtered() => return Err(HostError::NoFilter(error)),
            Err(error) => self.filter = Filter::Refused(error),
        }
        Ok(())
    }

    fn unload_filter(&mut self) -> io::Result<()> {
        if self.is_filtered() {
            nftables::remove(&self.key)?;
            self.filter = Filter::Empty;
        }
        Ok(())
    }

    /// What a dead process left, oldest first: what it wrote down, and what is there without that. A container that starts again
    /// may have lost the record and kept the network namespace.
    async fn left_behind(&self) -> Vec<Change> {
        let mut left: Vec<Change> = self.record.as_ref().map(|record| record.changes().to_vec()).unwrap_or_default();
        let closed = route::unreachable(&self.netlink, self.closed_metric).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the kernel's routes cannot be read; what an earlier run closed may stay so");
            Vec::new()
        });
        for route in closed {
            let lookup = Change::Lookup(route.destination.family());
            if !left.contains(&lookup) {
                left.insert(0, lookup);
            }
            let change = Change::Route(route);
            if !left.contains(&change) {
                left.push(change);
            }
        }
        left
    }

    async fn repair(&mut self, left: &[Change]) -> usize {
        let mut repaired = 0_usize;
        // What the packet filter had went when it got new rules.
        if !left.is_empty()
            && !self.is_filtered()
            && let Err(error) = nftables::remove(&self.key)
        {
            tracing::debug!(%error, "the packet filter was not asked to forget the rules of an earlier run");
        }
        for change in left.iter().rev() {
            if self.done.iter().any(|done| done.change.as_ref() == Some(change)) {
                continue;
            }
            match self.revert(change).await {
                Ok(()) => {
                    repaired = repaired.saturating_add(1);
                    self.strike(change);
                }
                Err(error) => tracing::warn!(%error, ?change, "what an earlier run left could not be taken back"),
            }
        }
        repaired
    }

    async fn carry_out(&mut self, step: &Step) -> Result<(), HostError> {
        let change = match step {
            Step::Lookup { family } => {
                let change = Change::Lookup(*family);
                self.remember(&change);
                let result = rule::add_lookup(&self.netlink, *family).await.map(drop);
                self.done_or_needless(change, *family, step, result)?
            }
            Step::ReversePath { gateway, port } => {
                let change = Change::ReversePath { gateway: *gateway, port: *port };
                self.remember(&change);
                let result = rule::add_reverse_path(&self.netlink, *gateway, *port).await;
                Some(self.forget_if_failed(change, result.map(drop).map_err(refused(step)))?)
            }
            Step::Close { destination } => {
                let route = Route { destination: *destination, way: Way::Unreachable, metric: self.closed_metric };
                let change = Change::Route(route.clone());
                self.remember(&change);
                let result = match route::add(&self.netlink, &route).await {
                    // The metric says whose it is: this tunnel's, of an earlier run.
                    Err(error) if exists(&error) => Ok(()),
                    other => other,
                };
                self.done_or_needless(change, destination.family(), step, result)?
            }
            Step::Link { device, mtu } => {
                let index = self.index_of(device, step).await?;
                self.netlink.bring_up(index, *mtu).await.map_err(refused(step))?;
                None
            }
            Step::Address { device, address } => {
                let index = self.index_of(device, step).await?;
                let change = Change::Address { index, address: *address };
                self.remember(&change);
                let result = address::add(&self.netlink, index, *address).await.map_err(refused(step));
                Some(self.forget_if_failed(change, result)?)
            }
            Step::Route { device, destination, source } => {
                let index = self.index_of(device, step).await?;
                let way = Way::Device { index, source: *source };
                Some(self.add_route(Route { destination: *destination, way, metric: TUNNEL_METRIC }, step).await?)
            }
        };
        tracing::debug!(%step, "host changed");
        self.done.push(Done { step: step.clone(), change });
        Ok(())
    }

    /// Where the kernel has no IPv6 at all, nothing of it has to be held back.
    fn done_or_needless(
        &mut self,
        change: Change,
        family: Family,
        step: &Step,
        result: io::Result<()>,
    ) -> Result<Option<Change>, HostError> {
        match self.forget_if_failed(change, result.map_err(refused(step))) {
            Err(_) if family == Family::Ipv6 && !has_ipv6() => Ok(None),
            other => other.map(Some),
        }
    }

    async fn add_route(&mut self, route: Route, step: &Step) -> Result<Change, HostError> {
        let destination = route.destination;
        let change = Change::Route(route.clone());
        self.remember(&change);
        let result = route::add(&self.netlink, &route)
            .await
            .map_err(|error| if exists(&error) { HostError::RouteTaken { destination } } else { refused(step)(error) });
        self.forget_if_failed(change, result)
    }

    async fn take_back(&mut self, step: &Step) -> Result<(), HostError> {
        let Some(place) = self.done.iter().rposition(|done| done.step == *step) else { return Ok(()) };
        if let Some(change) = self.done.get(place).and_then(|done| done.change.clone()) {
            self.revert(&change).await.map_err(refused(step))?;
            self.strike(&change);
        }
        self.done.remove(place);
        Ok(())
    }

    async fn revert(&self, change: &Change) -> io::Result<()> {
        match change {
            Change::Address { index, address } => address::remove(&self.netlink, *index, *address).await,
            Change::Route(route) => route::remove(&self.netlink, route).await,
            Change::Lookup(family) => rule::remove_lookup_if_unused(&self.netlink, *family).await,
            Change::ReversePath { gateway, port } => rule::remove_reverse_path(&self.netlink, *gateway, *port).await,
        }
    }

    async fn index_of(&self, device: &str, step: &Step) -> Result<u32, HostError> {
        let found = self.netlink.index_of(device).await.map_err(refused(step))?;
        found.ok_or_else(|| HostError::NoDevice { device: device.to_owned() })
    }

    fn remember(&mut self, change: &Change) {
        if let Some(Err(error)) = self.record.as_mut().map(|record| record.add(change)) {
            tracing::warn!(%error, "a change of the host could not be recorded; after a crash it stays");
        }
    }

    fn strike(&mut self, change: &Change) {
        if let Some(Err(error)) = self.record.as_mut().map(|record| record.strike(change)) {
            tracing::warn!(%error, "the record of the host's changes could not be written");
        }
    }

    fn forget_if_failed(&mut self, change: Change, result: Result<(), HostError>) -> Result<Change, HostError> {
        match result {
            Ok(()) => Ok(change),
            Err(error) => {
                self.strike(&change);
                Err(error)
            }
        }
    }
}

fn refused(step: &Step) -> impl Fn(io::Error) -> HostError + use<> {
    let step = step.clone();
    move |error| HostError::Refused { step: step.clone(), error }
}

fn has_ipv6() -> bool {
    Socket::new(Domain::IPV6, Type::DGRAM, None).is_ok()
}

/// The same for the same tunnel at each start (FNV-1a, 24 bits of it).
fn closed_metric(key: &str) -> u32 {
    let hash = key.bytes().fold(0x811c_9dc5_u32, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193));
    CLOSED_METRIC | (hash & 0x00ff_ffff)
}
