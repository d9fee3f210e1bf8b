//! One configured gateway, as values: what every attempt to connect starts from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ike::identity::Identity;
use crate::ike::profile::{AddressRequest, Profile};
use crate::sa::path::{Framing, Path};
use crate::tunnel::displacement::Displacement;

/// The IANA port of IKE; messages to it carry no non-ESP marker.
pub const IKE_PORT: u16 = 500;

/// All a tunnel needs to know.
#[derive(Debug, Clone)]
pub struct TunnelSettings {
    /// Gateways in order of preference. Never empty.
    pub gateways: Vec<Host>,
    /// Port of the first message: 500 (bare), or another (marked, encapsulated from the start).
    pub first_port: u16,
    /// Who we say we are.
    pub local_identity: LocalIdentity,
    /// Who the gateway must say it is, when the configuration names it.
    pub remote_identity: Option<Identity>,
    /// What is negotiated. Its identities and the address it asks for are filled in for each attempt.
    pub profile: Profile,
    /// How to wait between attempts.
    pub reconnect: crate::tunnel::reconnect::ReconnectPolicy,
    /// While a later gateway is used, the ones before it are tried again after this, or up to half of it earlier; `None`: never.
    pub return_after: Option<Duration>,
}

/// A gateway as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// A name that is resolved at each attempt.
    Name(String),
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Who we say we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalIdentity {
    /// As configured.
    Fixed(Identity),
    /// The address we send from.
    SourceAddress,
}

/// Inner addresses of an earlier attempt that we would like to have again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EarlierAddresses {
    pub(crate) ipv4: Option<Ipv4Addr>,
    pub(crate) ipv6: Option<Ipv6Addr>,
}

impl EarlierAddresses {
    pub(crate) fn remember(&mut self, addresses: &[(IpAddr, u8)]) {
        for (address, _) in addresses {
            match address {
                IpAddr::V4(address) => self.ipv4 = Some(*address),
                IpAddr::V6(address) => self.ipv6 = Some(*address),
            }
        }
    }
}

impl TunnelSettings {
    /// The path of the first message from `local` (address and port of our socket) to `remote`.
    pub(crate) fn first_path(&self, local: std::net::SocketAddr, remote: IpAddr) -> Path {
        let framing = if self.first_port == IKE_PORT { Framing::Bare } else { Framing::Marked };
        Path { local, remote: (remote, self.first_port).into(), framing }
    }

    /// The profile of one attempt. Whoever is displaced by another client of the same identity does not displace it in turn.
    pub(crate) fn profile(
        &self,
        host: &Host,
        path: Path,
        earlier: EarlierAddresses,
        displacement: &Displacement,
    ) -> Profile {
        let local_identity = match &self.local_identity {
            LocalIdentity::Fixed(identity) => identity.clone(),
            LocalIdentity::SourceAddress => address_identity(path.local.ip()),
        };
        let by_address = address_identity(path.remote.ip());
        let remote_identities = match (&self.remote_identity, host) {
            (Some(identity), _) => vec![identity.clone()],
            (None, Host::Address(_)) => vec![by_address],
            (None, Host::Name(name)) => vec![Identity::Fqdn(name.clone()), by_address],
        };
        let request = &self.profile.request;
        Profile {
            local_identity,
            remote_identities,
            send_remote_identity: self.remote_identity.is_some(),
            request: AddressRequest {
                ipv4: request.ipv4.map(|asked| earlier.ipv4.unwrap_or(asked)),
                ipv6: request.ipv6.map(|asked| earlier.ipv6.unwrap_or(asked)),
                ..request.clone()
            },
            // Right after an earlier session of ours, too: what the gateway has left of it is of no use to us.
            initial_contact: self.profile.initial_contact && !displacement.is_recognised(),
            ..self.profile.clone()
        }
    }
}

fn address_identity(address: IpAddr) -> Identity {
    match address {
        IpAddr::V4(address) => Identity::Ipv4(address),
        IpAddr::V6(address) => Identity::Ipv6(address),
    }
}
