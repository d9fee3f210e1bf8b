//! Carries out what the tunnel wants done, in order.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Driver, Outcome};
use crate::ike::action::{Outer, Transmit};
use crate::io::batch::Gateway;
use crate::os::plan::{HostPlan, Outside};
use crate::os::resolve::resolve;
use crate::sa::command::DataReport;
use crate::tunnel::TunnelAction;
use crate::tunnel::settings::IKE_PORT;

/// How long a name may take.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

impl Driver<'_> {
    /// Carries out everything that the tunnel wants done, in order.
    pub(super) async fn settle(&mut self) {
        loop {
            if self.reloads.has_arrived() {
                self.arrive().await;
            }
            let Some(action) = self.tunnel.poll_action() else { return };
            match action {
                TunnelAction::Resolve { name } => {
                    self.lookup = Some(Box::pin(async move {
                        let answer = resolve(&name, RESOLVE_LIMIT).await.map_err(|error| error.to_string());
                        (name, answer)
                    }));
                }
                TunnelAction::Bind { remote, port } => {
                    let answer = self.bind(remote, port).await;
                    self.tunnel.handle_bound(self.clock.now(), remote, answer);
                }
                TunnelAction::LookForPath { remote } => {
                    let answer = self.local_towards(remote);
                    self.tunnel.handle_path(self.clock.now(), answer);
                }
                TunnelAction::LookAtLink { remote } => {
                    let octets = self.link_mtu(remote).await;
                    self.tunnel.handle_link(self.clock.now(), remote, octets);
                    // A route may say that the path behind the link carries less; so may ICMP, a while ago.
                    if let Some(octets) = self.route_mtu(remote).filter(|routed| *routed < octets) {
                        self.tunnel.handle_report(self.clock.now(), DataReport::PathMtu { octets });
                    }
                }
                TunnelAction::FollowPath { remote, octets } => self.follow_path(remote, octets).await,
                TunnelAction::Transmit(transmit) => {
                    // What does not leave now is repeated by IKE.
                    if let Err(error) = self.transmit(&transmit).await {
                        tracing::debug!(%error, remote = %transmit.path.remote, "an IKE message did not leave");
                    }
                }
                TunnelAction::Data(command) => {
                    if let Err(error) = self.data.apply(command).await {
                        self.outcome.get_or_insert(Outcome::Broken(error.to_string()));
                    }
                }
                TunnelAction::Configure(children) => {
                    let answer = self.configure(&children).await;
                    self.tunnel.handle_configured(self.clock.now(), answer);
                }
                TunnelAction::Progress(progress) => self.progress(progress),
                TunnelAction::Closed { confirmed } => {
                    self.outcome.get_or_insert(Outcome::Closed { confirmed });
                }
            }
        }
    }

    async fn bind(&mut self, remote: IpAddr, port: u16) -> Result<SocketAddr, String> {
        let local = self.local_towards(remote)?;
        let outside = self.outside_with(Outside { gateway: remote, port: local.port() });
        let steps = HostPlan::towards(&self.host_settings, &outside);
        self.host.ensure(&steps).await.map_err(|error| error.to_string())?;
        let bare_port = (port == IKE_PORT).then_some(IKE_PORT);
        // Sessions that were there before are spoken to as before.
        self.gateways.retain(|gateway| {
            gateway.remote != remote && outside.iter().any(|outside| outside.gateway == gateway.remote)
        });
        self.gateways.push(Gateway { remote, local, bare_port });
        self.data.admit(self.gateways.clone()).await.map_err(|error| error.to_string())?;
        Ok(local)
    }

    /// Where all gateways are that are spoken to: this one and those of the sessions.
    pub(super) fn outside_with(&self, outside: Outside) -> Vec<Outside> {
        let mut all = vec![outside];
        let sessions = self.tunnel.outside().into_iter().map(|(gateway, port)| Outside { gateway, port });
        sessions.for_each(|outside| {
            if !all.contains(&outside) {
                all.push(outside)
            }
        });
        all
    }

    fn local_towards(&self, remote: IpAddr) -> Result<SocketAddr, String> {
        let family = if remote.is_ipv4() { "IPv4" } else { "IPv6" };
        let socket = self.data.sockets().towards(remote).ok_or_else(|| format!("this host has no {family}"))?;
        socket.local_towards(remote).map_err(|error| format!("no route to {remote} ({error})"))
    }
    async fn transmit(&mut self, transmit: &Transmit) -> std::io::Result<()> {
        let Transmit { path, message, outer } = transmit;
        match outer {
            Outer::MayBeCut => self.data.send_ike(path, message).await,
            Outer::Whole => self.data.send_ike_whole(path, message).await,
        }
    }
}
