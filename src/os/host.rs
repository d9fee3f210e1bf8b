//! The host as one tunnel changes it: carries plans out, remembers what was changed, takes it back.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use crate::os::address;
use crate::os::netlink::{Netlink, exists};
use crate::os::plan::{HostPlan, Step};
use crate::os::prefix::Prefix;
use crate::os::repair::{Change, Record, RecordError};
use crate::os::route::{self, Route, Way};

/// The metric of routes into a tunnel. In IPv6 it must be smaller than that of connected subnets (256) and advertised routes (1024).
const TUNNEL_METRIC_IPV4: u32 = 0;
const TUNNEL_METRIC_IPV6: u32 = 64;

/// The metrics of gateway exemptions start here; the device's index is added, so that two tunnels to one gateway each have their own.
const EXEMPTION_METRIC: u32 = 0x1000;

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
    /// No route leads to the gateway, so it cannot be kept outside the tunnel.
    NoWayToGateway {
        /// Its outer address.
        gateway: IpAddr,
        /// What the kernel says.
        error: io::Error,
    },
    /// Another route to the subnet is in the way.
    RouteTaken {
        /// The subnet.
        destination: Prefix,
    },
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
            Self::NoWayToGateway { gateway, error } => write!(
                f,
                "no route leads to the gateway {gateway} ({error}). A negotiated subnet holds it, so it must be reachable otherwise; check `ip route get {gateway}`"
            ),
            Self::RouteTaken { destination } => write!(
                f,
                "another route to {destination} is in the way (`ip route show {destination}`). \
                 Remove it, take the subnet out of `[gateway] subnets`, or set `[tun] routes = false`"
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
                _ => write!(f, "the kernel refuses \"{step}\" ({error})"),
            },
        }
    }
}

impl std::error::Error for HostError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoNetlink(error) | Self::NoWayToGateway { error, .. } | Self::Refused { error, .. } => Some(error),
            Self::AlreadyRunning { .. } | Self::NoDevice { .. } | Self::RouteTaken { .. } => None,
        }
    }
}

/// The host's addresses and routes, as far as they are this tunnel's. Dropped without [`Host::undo`] it leaves its record for the next start.
#[derive(Debug)]
pub struct Host {
    netlink: Netlink,
    record: Option<Record>,
    done: Vec<Done>,
}

/// A step that was carried out, and what it changed; `None` where nothing has to be taken back.
#[derive(Debug)]
struct Done {
    step: Step,
    change: Option<Change>,
}

impl Host {
    /// Opens the record called `key` in `directory`, and takes back what a dead process left behind: the second value says how many changes.
    /// Must be called within a tokio runtime, in the network namespace that is to be changed.
    ///
    /// Where no record can be kept (a read-only `/run`) the tunnel works without one; that is logged.
    ///
    /// # Errors
    /// [`HostError::AlreadyRunning`] and [`HostError::NoNetlink`].
    pub async fn open(directory: &Path, key: &str) -> Result<(Self, usize), HostError> {
        let record = match Record::open(directory, key) {
            Ok(record) => Some(record),
            Err(RecordError::Locked) => return Err(HostError::AlreadyRunning { key: key.to_owned() }),
            Err(RecordError::Io(error)) => {
                tracing::warn!(%error, directory = %directory.display(), "changes of the host cannot be recorded; after a crash they stay");
                None
            }
        };
        let netlink = Netlink::connect().map_err(HostError::NoNetlink)?;
        let mut host = Self { netlink, record, done: Vec::new() };
        let repaired = host.repair().await;
        Ok((host, repaired))
    }

    /// Changes the host from what it is now to `plan`. What both have stays untouched. After an error what was done stays done and remembered.
    ///
    /// # Errors
    /// [`HostError`]; the steps behind the failed one were not tried.
    pub async fn apply(&mut self, plan: &HostPlan) -> Result<(), HostError> {
        let now = HostPlan { steps: self.done.iter().map(|done| done.step.clone()).collect(), refused: Vec::new() };
        let (undo, todo) = now.transition(plan);
        for step in undo {
            self.take_back(step).await?;
        }
        for step in todo {
            self.carry_out(step).await?;
        }
        Ok(())
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
        outcome
    }

    async fn repair(&mut self) -> usize {
        let left: Vec<Change> = self.record.as_ref().map(|record| record.changes().to_vec()).unwrap_or_default();
        let mut repaired = 0_usize;
        for change in left.iter().rev() {
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
            Step::ExemptGateway { device, gateway } => self.exempt(device, *gateway, step).await?,
            Step::Route { device, destination, source } => {
                let metric = if destination.address().is_ipv4() { TUNNEL_METRIC_IPV4 } else { TUNNEL_METRIC_IPV6 };
                let index = self.index_of(device, step).await?;
                let route = Route { destination: *destination, index, via: None, source: *source, metric };
                Some(self.add_route(route, step).await?)
            }
        };
        tracing::debug!(%step, "host changed");
        self.done.push(Done { step: step.clone(), change });
        Ok(())
    }

    async fn exempt(&mut self, device: &str, gateway: IpAddr, step: &Step) -> Result<Option<Change>, HostError> {
        let tunnel = self.index_of(device, step).await?;
        let no_way = |error| HostError::NoWayToGateway { gateway, error };
        let (index, via) = match route::way_to(&self.netlink, gateway).await.map_err(no_way)? {
            Way::Here => return Ok(None),
            Way::Out { index, .. } if index == tunnel => {
                return Err(no_way(io::Error::other("the only route leads into the tunnel itself")));
            }
            Way::Out { index, via, .. } => (index, via),
        };
        let metric = EXEMPTION_METRIC.saturating_add(tunnel);
        // No source: which of the host's addresses is used stays the other routes' matter.
        let route = Route { destination: Prefix::host(gateway), index, via, source: None, metric };
        self.add_route(route, step).await.map(Some)
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
