//! What a configuration means for a tunnel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use super::model::{AddressMode, Config, Spoken};
use crate::crypto::secret::Secret;
use crate::ike::identity::Identity;
use crate::ike::profile::{AddressRequest, ChildProfile, Ikev1, Profile, Protocol, RetransmissionPolicy, Xauth};
use crate::sa::command::ChildId;
use crate::sa::lifetime::Lifetime;
use crate::tunnel::diagnosis::Context;
use crate::tunnel::reconnect::ReconnectPolicy;
use crate::tunnel::settings::{Host, IKE_PORT, LocalIdentity, TunnelSettings};

/// The IANA port for IKE and ESP in UDP (RFC 3948 §2.1).
const ENCAPSULATION_PORT: u16 = 4500;
const NONCE_LEN: u16 = 32;

/// What a configuration names and does not hold.
#[derive(Debug)]
pub struct Secrets {
    /// The pre-shared key.
    pub psk: Arc<Secret>,
    /// The password of [`Config::xauth`].
    pub xauth_password: Option<Secret>,
}

impl From<Arc<Secret>> for Secrets {
    fn from(psk: Arc<Secret>) -> Self {
        Self { psk, xauth_password: None }
    }
}

impl Config {
    /// The tunnel that this configuration describes, with its secrets. Without its password an account is left out.
    pub fn tunnel_settings(&self, secrets: impl Into<Secrets>) -> TunnelSettings {
        TunnelSettings {
            gateways: self.gateways.clone(),
            first_port: self.first_port,
            local_identity: self.local_identity.clone(),
            remote_identity: self.remote_identity.clone(),
            profile: self.profile(secrets.into()),
            reconnect: ReconnectPolicy::default(),
            return_after: self.return_after,
        }
    }

    /// What a failure is explained by: with `remote`, or with the only gateway there is.
    pub fn context(&self, remote: Option<IpAddr>) -> Context<'_> {
        let only = match self.gateways.as_slice() {
            [Host::Address(address)] => Some(*address),
            _ => None,
        };
        Context {
            gateways: &self.gateways,
            first_port: self.first_port,
            local_identity: &self.local_identity,
            ike_lifetime: Some(self.ike_lifetime),
            remote: remote.or(only),
            psk_key: self.psk_source.key(),
        }
    }

    /// The profile; for identities that depend on addresses it holds placeholders, which the tunnel replaces.
    fn profile(&self, secrets: Secrets) -> Profile {
        let local_identity = match &self.local_identity {
            LocalIdentity::Fixed(identity) => identity.clone(),
            LocalIdentity::SourceAddress => Identity::Ipv4(Ipv4Addr::UNSPECIFIED),
        };
        Profile {
            protocol: self.protocol(secrets.xauth_password),
            local_identity,
            remote_identities: vec![self.remote_identity.clone().unwrap_or(Identity::Ipv4(Ipv4Addr::UNSPECIFIED))],
            send_remote_identity: self.remote_identity.is_some(),
            psk: secrets.psk,
            ike_offers: self.ike_offers.clone(),
            ike_lifetime: time(self.ike_lifetime),
            request: self.address_request(),
            child: ChildProfile {
                first_id: ChildId(1),
                offers: self.esp_offers.clone(),
                local: self.local_selectors(),
                remote: self.remote_selectors(),
                lifetime: time(self.esp_lifetime),
                replay_window: self.replay_window,
                verify_pfs: self.verify_pfs,
            },
            encapsulation_port: if self.first_port == IKE_PORT { ENCAPSULATION_PORT } else { self.first_port },
            retransmission: RetransmissionPolicy::default(),
            dpd: self.dpd,
            keepalive: self.keepalive,
            fragmentation: self.fragmentation,
            initial_contact: self.initial_contact,
            mobike: self.mobike,
            nonce_len: NONCE_LEN,
        }
    }

    fn protocol(&self, password: Option<Secret>) -> Protocol {
        match &self.spoken {
            Spoken::Ikev1(settings) => {
                let account = settings.xauth.as_ref().zip(password);
                let xauth = account.map(|(account, password)| Xauth { user: account.user.clone(), password });
                Protocol::Ikev1(Arc::new(Ikev1 { mode: settings.mode, xauth }))
            }
            Spoken::Ikev2 => Protocol::Ikev2,
        }
    }

    fn address_request(&self) -> AddressRequest {
        match &self.address {
            AddressMode::Virtual { ipv4, ipv6 } => AddressRequest {
                ipv4: ipv4.then_some(Ipv4Addr::UNSPECIFIED),
                ipv6: ipv6.then_some(Ipv6Addr::UNSPECIFIED),
                dns: true,
                fixed: Vec::new(),
            },
            AddressMode::None => AddressRequest::default(),
            AddressMode::Fixed(addresses) => {
                let whole = |address: &IpAddr| (*address, if address.is_ipv4() { 32 } else { 128 });
                AddressRequest { fixed: addresses.iter().map(whole).collect(), ..AddressRequest::default() }
            }
        }
    }
}

const fn time(limit: Duration) -> Lifetime {
    Lifetime { time: Some(limit), bytes: None, packets: None }
}
