//! A running tunnel goes over to another process, or comes from one.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use super::fit::host_settings;
use super::{Driver, Outcome, Parts, RunOptions, Signals, Tell, fork};
use crate::config::{Config, Secrets};
use crate::daemon::data_thread::{DataPlane, DataPlaneEvents, Halves, Hold};
use crate::daemon::handover::{Descriptors, Given, Marks, Offer, Pending, State, give, namespace};
use crate::daemon::start::{StartError, open_control};
use crate::io::tun::Tun;
use crate::io::udp::{UdpSocket, UdpSockets};
use crate::os::clock::Clock;
use crate::os::host::{Host, Owner};
use crate::os::plan::HostPlan;
use crate::os::random::OsRandom;
use crate::time::Instant;
use crate::tunnel::progress::Progress;
use crate::tunnel::{Change, Tunnel};

/// Something may come to rest without any news of it.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl Driver<'_> {
    /// Another process asks for everything.
    pub(super) fn asked_for_everything(&mut self, mut caller: crate::daemon::control::Caller, asked: Asked) {
        let Asked { process, format, namespace: other } = asked;
        if other != namespace() {
            caller.answer(&serde_json::json!({ "elsewhere": true })).ok();
            return;
        }
        let reason = if format != crate::daemon::handover::FORMAT {
            Some(format!(
                "it hands over in format {}, and this one reads format {format}: they are of releases too far apart",
                crate::daemon::handover::FORMAT
            ))
        } else if self.handing.is_some() {
            Some("it hands over to another process already".into())
        } else {
            None
        };
        match reason {
            Some(reason) => drop(caller.answer(&crate::daemon::control::protocol::refusal(&reason))),
            None => self.handing = Some(Pending::new(self.clock.now(), caller, process)),
        }
    }

    /// When the next look is due whether everything is at rest.
    pub(super) fn hands_over_at(&self) -> Option<Instant> {
        self.handing.as_ref().map(|_| self.clock.now().after(LOOK_AGAIN))
    }

    /// Hands everything over, if somebody asks for it and all is at rest.
    pub(super) async fn hand_over(&mut self, events: &mut DataPlaneEvents) {
        let Some(pending) = self.handing.take() else { return };
        // A first look costs nothing; the second counts.
        let busy = match self.tunnel.export() {
            Ok(_) => match self.data.hold(Hold::Held).await {
                Ok(()) => match self.everything(events).await {
                    Ok(state) => return self.give(pending, &state).await,
                    Err(busy) => {
                        self.flow().await;
                        busy
                    }
                },
                Err(error) => error.to_string(),
            },
            Err(busy) => busy.to_string(),
        };
        if self.clock.now() < pending.until && self.outcome.is_none() {
            self.handing = Some(pending);
        } else {
            pending.refuse(&format!("{busy}, and that takes too long to wait for; it goes on. Try again"));
        }
    }

    /// All there is, while packets are held: what came before is dealt with first.
    async fn everything(&mut self, events: &mut DataPlaneEvents) -> Result<State, String> {
        let held_at = self.clock.now();
        while let Ok(ike) = events.ike.try_recv() {
            self.tunnel.handle_datagram(held_at, ike.path, &ike.message);
        }
        while let Ok(news) = events.news.try_recv() {
            self.take_news(held_at, news);
        }
        self.settle().await;
        if self.outcome.is_some() {
            return Err("the tunnel ends".into());
        }
        let tunnel = self.tunnel.export().map_err(|busy| busy.to_string())?;
        let data = self.data.export().await.map_err(|error| error.to_string())?;
        Ok(State {
            clock: self.clock.export(),
            held_at,
            tunnel,
            data: data.ok_or("an SA has to be replaced first")?,
            host: self.host.export(),
            offload: self.data.device().offload(),
            marks: Marks::of(self.tunnel.settings()),
        })
    }

    async fn give(&mut self, pending: Pending, state: &State) {
        let process = pending.process;
        let sockets = self.data.sockets();
        let descriptors = Descriptors {
            device: self.data.device().as_fd(),
            ipv4: sockets.ipv4.as_ref().map(AsFd::as_fd),
            ipv6: sockets.ipv6.as_ref().map(AsFd::as_fd),
            lock: self.host.lock(),
        };
        let failed = match give(pending, state, &descriptors) {
            Given::Kept(error) => error,
            Given::Ready(gone) => {
                // The other opens its own in the same place.
                let had_control = self.control.take().is_some();
                match gone.finish() {
                    Ok(()) => {
                        self.host.belongs_to(Owner::Another);
                        self.progress(Progress::HandedOver { process });
                        self.outcome = Some(Outcome::HandedOver { process });
                        return;
                    }
                    Err(error) => {
                        if had_control {
                            self.control = open_control(self.config, &self.state_directory).ok().flatten();
                        }
                        error
                    }
                }
            }
        };
        self.flow().await;
        let text = format!("process {process} did not take over ({failed}): this one goes on");
        self.progress(Progress::Notice(text));
    }

    async fn flow(&mut self) {
        // A thread that has ended says so itself.
        self.data.hold(Hold::Flowing).await.ok();
    }
}

/// What another process says of itself when it asks.
pub(super) struct Asked {
    pub(super) process: u32,
    pub(super) format: u64,
    pub(super) namespace: u64,
}

/// Goes on with what another process offers. It is told when that does not work, and goes on itself.
pub(super) async fn take_over(
    config: &mut Config,
    secrets: Secrets,
    options: &RunOptions,
    offer: Offer,
    tell: &mut Tell<'_>,
) -> Result<Outcome, StartError> {
    let process = offer.process;
    let (state, descriptors, reply) = offer.take_apart();
    let held_at = state.held_at;
    let kept = |reason: String| StartError::NotTakenOver { process, reason };
    let restored = match restore(config, secrets, state, descriptors) {
        Ok(restored) => restored,
        Err(reason) => {
            reply.decline(&reason);
            return Err(kept(reason));
        }
    };
    let Restored { clock, data, events, mut host, tunnel, signals, differing, is_up, gateways } = restored;
    reply.accept().map_err(|error| kept(error.to_string()))?;
    host.belongs_to(Owner::Us);
    data.hold(Hold::Flowing).await.ok();
    let waited = clock.now().since(held_at);
    // What could keep it from being opened would have kept the other one from having it.
    let control = open_control(config, &options.state_directory).unwrap_or_else(|error| {
        tell(config, &Progress::Notice(error.to_string()));
        None
    });
    tell(config, &Progress::TookOver { process, waited, is_up, differing: differing.clone() });
    if !is_up {
        let closed = HostPlan::closed(&host_settings(config, data.device().name()));
        if let Err(error) = host.apply(&closed).await {
            let text = format!("the host could not be set up as the configuration has it: {error}");
            tell(config, &Progress::Notice(text));
        }
    }
    let now = clock.now();
    let mut driver = Driver::new(config, options, tell, Parts { clock, tunnel, data, host, control });
    driver.gateways = gateways;
    if is_up {
        driver.fitted = driver.tunnel.status().children;
        driver.give_up = None;
    }
    // Nobody looked at the network meanwhile; and the gateway's answer shows that all goes on.
    driver.network_changed = Some(now);
    driver.host.restore().await;
    let change = if differing.is_empty() { Change::InPlace } else { Change::Successor };
    let settings = Arc::clone(driver.tunnel.settings());
    driver.tunnel.handle_settings(now, settings, change);
    Ok(driver.run(events, signals).await)
}

/// Everything made again, and held until it is ours.
struct Restored {
    clock: Clock,
    data: DataPlane,
    events: DataPlaneEvents,
    host: Host,
    tunnel: Tunnel,
    signals: Signals,
    /// Keys whose values are others than those that are in force, and take a new session.
    differing: Vec<String>,
    is_up: bool,
    gateways: Vec<crate::io::batch::Gateway>,
}

fn restore(
    config: &Config,
    secrets: Secrets,
    state: State,
    [device, ipv4, ipv6, lock]: [Option<std::os::fd::OwnedFd>; 4],
) -> Result<Restored, String> {
    let State { clock, held_at: _, tunnel, data, host, offload, marks } = state;
    let clock = Clock::continued(clock);
    let device = device.ok_or("there is no device")?;
    let device = Tun::adopt(device, offload).map_err(|error| error.to_string())?;
    if device.name() != config.device() {
        return Err(format!("its device is {:?}, and `[tun] name` says {:?}", device.name(), config.device()));
    }
    let adopt = |descriptor: Option<_>| descriptor.map(UdpSocket::adopt).transpose().map_err(|error| error.to_string());
    let sockets = UdpSockets { ipv4: adopt(ipv4)?, ipv6: adopt(ipv6)? };
    let halves = Halves::restore(data, &mut OsRandom).map_err(|error| error.to_string())?;
    let gateways = halves.gateways().to_vec();
    let settings = Arc::new(config.tunnel_settings(secrets));
    let differing = marks.differing(&settings);
    let is_up = tunnel.is_up();
    let tunnel = Tunnel::restore(settings, Box::new(OsRandom), fork, clock.now(), tunnel);
    let tunnel = tunnel.map_err(|error| error.to_string())?;
    let host = Host::adopt(host, lock).map_err(|error| error.to_string())?;
    let signals = Signals::listen().map_err(|error| error.to_string())?;
    let (data, events) = DataPlane::start(device, sockets, clock, halves).map_err(|error| error.to_string())?;
    Ok(Restored { clock, data, events, host, tunnel, signals, differing, is_up, gateways })
}
