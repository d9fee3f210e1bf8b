//! Fits host and device to the configuration, to the children that stand, and to what the path carries.

use std::net::IpAddr;

use super::{Driver, Outcome};
use crate::config::{self, Children, Config};
use crate::esp::mtu::tunnel_mtu;
use crate::ike::action::ChildUp;
use crate::os::plan::{DefaultRoute, HostPlan, HostSettings, KillSwitch, Outside, Routes, Step, TunnelFacts};
use crate::tunnel::progress::Progress;

/// What Ethernet carries; used where the kernel does not tell.
const DEFAULT_LINK_MTU: u16 = 1500;
/// A loopback device carries 64 KiB, and no path behind it does.
const LARGEST_LINK_MTU: u16 = 9000;

impl Driver<'_> {
    pub(super) async fn configure(&mut self, children: &[ChildUp]) -> Result<Progress, String> {
        let child = children.first().ok_or("there is no child SA")?;
        let remote: Vec<_> = children.iter().flat_map(|child| child.remote.clone()).collect();
        let gateway = child.path.remote.ip();
        let addresses = child.configuration.addresses.clone();
        let path = match self.path.filter(|(remote, _)| *remote == gateway) {
            Some((_, octets)) => octets,
            None => self.link_mtu(gateway).await,
        };
        let mtu = self.config.mtu().or_else(|| smallest_mtu(children, path)).ok_or("there is no child SA")?;
        let outside = self.outside_with(Outside { gateway, port: child.path.local.port() });
        let facts = TunnelFacts { mtu, addresses: &addresses, remote: &remote, outside: &outside };
        let plan = HostPlan::of(&self.host_settings, &facts);
        for refusal in &plan.refused {
            self.progress(Progress::Notice(refusal.to_string()));
        }
        self.host.apply(&plan).await.map_err(|error| error.to_string())?;
        self.data.set_mtu(Some(mtu)).await.map_err(|error| error.to_string())?;
        self.fitted = children.to_vec();
        let routes = self.host.steps().filter_map(|step| match step {
            Step::Route { destination, .. } => Some((destination.address(), destination.length())),
            _ => None,
        });
        Ok(Progress::Routes { device: self.host_settings.device.clone(), mtu, routes: routes.collect() })
    }

    /// What the first link towards the gateway carries.
    pub(super) async fn link_mtu(&self, remote: IpAddr) -> u16 {
        let link = self.host.link_mtu(remote).await.ok().flatten();
        link.or_else(|| self.route_mtu(remote)).unwrap_or(DEFAULT_LINK_MTU).min(LARGEST_LINK_MTU)
    }

    /// What the kernel believes of the whole way.
    pub(super) fn route_mtu(&self, remote: IpAddr) -> Option<u16> {
        self.data.sockets().towards(remote).and_then(|socket| socket.path_mtu(remote).ok())
    }

    /// Fits device, handshakes and datagrams to what the path carries. Connections stay.
    pub(super) async fn follow_path(&mut self, remote: IpAddr, octets: u16) {
        self.path = Some((remote, octets));
        if let Err(error) = self.data.set_longest(Some(octets)).await {
            self.outcome.get_or_insert(Outcome::Broken(error.to_string()));
        }
        let children = self.tunnel.status().children;
        let Some(fits) = smallest_mtu(&children, octets) else { return };
        tracing::info!(%remote, octets, mtu = fits, "what the path to the gateway carries");
        match self.config.mtu() {
            Some(mtu) => {
                if mtu > fits && self.smaller_path_told != Some(fits) {
                    self.smaller_path_told = Some(fits);
                    (self.tell)(
                        self.config,
                        &Progress::Notice(format!(
                            "`[tun] mtu` is {mtu}, but the path to {remote} carries packets of {fits} octets in the tunnel: longer ones travel in \
                         pieces, which is slow. Leave the key out to have the path followed, or set it to {fits}"
                        )),
                    );
                }
            }
            None => {
                if let Err(reason) = self.configure(&children).await {
                    tracing::warn!(%reason, "the device's MTU could not be changed");
                }
            }
        }
    }
}

/// What the configuration asks of the host, for a device that is called `device`.
pub(super) fn host_settings(config: &Config, device: &str) -> HostSettings {
    HostSettings {
        device: device.to_owned(),
        configured: config.routed_selectors(),
        routes: match (config.routes(), config.children()) {
            (false, _) => Routes::None,
            (true, Children::Subnets) => Routes::Negotiated,
            (true, Children::Any) => Routes::Configured,
        },
        default_route: if config.default_route() { DefaultRoute::Allowed } else { DefaultRoute::Refused },
        kill_switch: match config.kill_switch() {
            config::KillSwitch::Off => KillSwitch::Off,
            config::KillSwitch::On(nftables) => KillSwitch::On(nftables),
        },
    }
}

/// What fits into the datagrams of all children, whatever their suites are: they share the device.
fn smallest_mtu(children: &[ChildUp], link: u16) -> Option<u16> {
    children.iter().map(|child| tunnel_mtu(link, child.path.remote.ip(), child.suite.protection)).min()
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Protection};
    use crate::ike::action::Configuration;
    use crate::sa::command::ChildId;
    use crate::sa::path::{Framing, Path};
    use crate::sa::spi::{InboundSpi, OutboundSpi};
    use crate::sa::suite::EspSuite;

    fn child(protection: Protection) -> ChildUp {
        ChildUp {
            child: ChildId(1),
            suite: EspSuite { protection, esn: false },
            inbound: InboundSpi::new(0x1000).unwrap(),
            outbound: OutboundSpi::new(0x1000).unwrap(),
            local: Vec::new(),
            remote: Vec::new(),
            configuration: Configuration::default(),
            path: Path {
                local: ([192, 0, 2, 9], 40_000).into(),
                remote: ([192, 0, 2, 1], 4500).into(),
                framing: Framing::Marked,
            },
        }
    }

    #[test]
    fn t_07_the_device_fits_the_child_that_carries_least() {
        let gcm = child(Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen)));
        let sha512 = Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha512_256 };
        assert_eq!(smallest_mtu(&[gcm.clone(), child(sha512), gcm.clone()], 1500), Some(1406));
        assert_eq!(smallest_mtu(&[gcm], 1500), Some(1438));
        assert_eq!(smallest_mtu(&[], 1500), None);
    }
}
