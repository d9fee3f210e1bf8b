//! A valid configuration. Only `validate` makes one.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::secret_source::{PskFormat, PskSource, SecretSource};
use super::subnet::Subnet;
use crate::ike::identity::Identity;
use crate::ike::profile::Phase1Mode;
use crate::sa::selector::Selector;
use crate::sa::suite::{EspOffer, IkeOffer};
use crate::tunnel::settings::{Host, LocalIdentity};

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) gateways: Vec<Host>,
    pub(super) first_port: u16,
    pub(super) return_after: Option<Duration>,
    pub(super) remote_identity: Option<Identity>,
    pub(super) subnets: Vec<Subnet>,
    pub(super) psk_source: PskSource,
    pub(super) psk_format: PskFormat,
    pub(super) local_identity: LocalIdentity,
    pub(super) shared_identity: bool,
    pub(super) address: AddressMode,
    pub(super) local_subnets: Vec<Subnet>,
    pub(super) local_port: Option<u16>,
    pub(super) spoken: Spoken,
    pub(super) ike_offers: Vec<IkeOffer>,
    pub(super) ike_lifetime: Duration,
    pub(super) dpd: Option<Duration>,
    pub(super) keepalive: Duration,
    pub(super) fragmentation: Option<u16>,
    pub(super) initial_contact: bool,
    pub(super) mobike: bool,
    pub(super) esp_offers: Vec<EspOffer>,
    pub(super) esp_lifetime: Duration,
    pub(super) replay_window: u32,
    pub(super) verify_pfs: bool,
    pub(super) children: Children,
    pub(super) device: String,
    pub(super) mtu: Option<u16>,
    pub(super) routes: bool,
    pub(super) default_route: bool,
    pub(super) kill_switch: KillSwitch,
    pub(super) log_level: LogLevel,
    pub(super) log_format: LogFormat,
    pub(super) control_socket: ControlSocket,
    pub(super) sandbox: Sandbox,
    pub(super) watch: bool,
}

/// Which IKE is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// RFC 2409.
    Ikev1(Ikev1Settings),
    /// RFC 7296.
    Ikev2,
}

/// What only IKEv1 has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ikev1Settings {
    /// How phase 1 is negotiated.
    pub mode: Phase1Mode,
    /// What XAUTH is answered with.
    pub xauth: Option<XauthAccount>,
}

/// An account at the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XauthAccount {
    /// The name.
    pub user: String,
    /// Where the password is.
    pub password: SecretSource,
}

/// What child SAs are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Children {
    /// For the configured subnets: one for all of them with IKEv2, one a pair of subnets with IKEv1.
    #[default]
    Subnets,
    /// One for everything; only the configured subnets are routed into it.
    Any,
}

/// Where the inner addresses come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressMode {
    /// The gateway assigns them.
    Virtual {
        /// An IPv4 address is asked for.
        ipv4: bool,
        /// An IPv6 address is asked for.
        ipv6: bool,
    },
    /// The TUN device has none: whatever has an address in `[local] subnets` is elsewhere.
    None,
    /// These, at most one of a family.
    Fixed(Vec<IpAddr>),
}

/// Whether packets for the subnets can leave otherwise than through the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillSwitch {
    /// They can, while there is no tunnel.
    Off,
    /// They cannot.
    On(Nftables),
}

/// Whether the kill switch uses the kernel's packet filter, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nftables {
    /// Where the kernel has it.
    #[default]
    Auto,
    /// Without it the tunnel is not started.
    Required,
    /// Never.
    Never,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What ends something.
    Error,
    /// What should not be.
    Warn,
    /// Changes of state.
    #[default]
    Info,
    /// Identities and inner addresses too.
    Debug,
    /// Packets too.
    Trace,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Where a running vpnd is asked and told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ControlSocket {
    /// In the state directory, by the name of the device; vpnd runs without one where there can be none.
    #[default]
    ByDevice,
    /// Here, or vpnd does not start.
    At(PathBuf),
    /// Nowhere.
    Off,
}

/// Whether the process gives up what it does not need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// As far as the kernel has the means; what it has not is told.
    #[default]
    Auto,
    /// All of it, or vpnd does not start.
    Required,
    /// Nothing.
    Off,
}

impl Sandbox {
    /// All of them by name.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("required", Self::Required), ("off", Self::Off)];
}

impl LogLevel {
    /// All of them by name.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

impl LogFormat {
    /// All of them by name.
    pub const NAMES: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Config {
    /// Gateways in order of preference. Never empty.
    pub fn gateways(&self) -> &[Host] {
        &self.gateways
    }

    /// The gateway's port for the first message: 500, or another one on which everything is encapsulated.
    pub const fn first_port(&self) -> u16 {
        self.first_port
    }

    /// Who the gateway must say it is, if that is configured.
    pub const fn remote_identity(&self) -> Option<&Identity> {
        self.remote_identity.as_ref()
    }

    /// What is reached through the tunnel. Never empty.
    pub fn subnets(&self) -> &[Subnet] {
        &self.subnets
    }

    /// Where the pre-shared key comes from.
    pub const fn psk_source(&self) -> &PskSource {
        &self.psk_source
    }

    /// The places outside the file that hold secrets.
    pub fn secret_sources(&self) -> Vec<&SecretSource> {
        let psk = match &self.psk_source {
            PskSource::Elsewhere(source) => Some(source),
            PskSource::Inline(_) => None,
        };
        psk.into_iter().chain(self.xauth().map(|account| &account.password)).collect()
    }

    /// How the pre-shared key is written there.
    pub const fn psk_format(&self) -> PskFormat {
        self.psk_format
    }

    /// Who we say we are.
    pub const fn local_identity(&self) -> &LocalIdentity {
        &self.local_identity
    }

    /// Whether other replicas say that they are the same.
    pub const fn shared_identity(&self) -> bool {
        self.shared_identity
    }

    /// Where inner addresses come from.
    pub const fn address_mode(&self) -> &AddressMode {
        &self.address
    }

    /// Subnets on our side; empty when only the inner address is.
    pub fn local_subnets(&self) -> &[Subnet] {
        &self.local_subnets
    }

    /// The local UDP port, if it is fixed.
    pub const fn local_port(&self) -> Option<u16> {
        self.local_port
    }

    /// Which IKE is spoken.
    pub const fn spoken(&self) -> &Spoken {
        &self.spoken
    }

    /// What XAUTH is answered with, if that is configured.
    pub const fn xauth(&self) -> Option<&XauthAccount> {
        match &self.spoken {
            Spoken::Ikev1(settings) => settings.xauth.as_ref(),
            Spoken::Ikev2 => None,
        }
    }

    /// What is offered for the IKE SA. Never empty.
    pub fn ike_offers(&self) -> &[IkeOffer] {
        &self.ike_offers
    }

    /// How long the IKE SA may be used.
    pub const fn ike_lifetime(&self) -> Duration {
        self.ike_lifetime
    }

    /// After how long a silence the gateway is asked for a sign of life; `None`: never.
    pub const fn dpd(&self) -> Option<Duration> {
        self.dpd
    }

    /// How often a NAT keepalive is sent when nothing else was.
    pub const fn keepalive(&self) -> Duration {
        self.keepalive
    }

    /// The largest IKE datagram that is sent in one piece, in octets with IP header; `None`: never cut.
    pub const fn fragmentation(&self) -> Option<u16> {
        self.fragmentation
    }

    /// Whether INITIAL_CONTACT is sent.
    pub const fn initial_contact(&self) -> bool {
        self.initial_contact
    }

    /// Whether MOBIKE is announced.
    pub const fn mobike(&self) -> bool {
        self.mobike
    }

    /// What is offered for the child SA. Never empty.
    pub fn esp_offers(&self) -> &[EspOffer] {
        &self.esp_offers
    }

    /// How long a child SA may be used.
    pub const fn esp_lifetime(&self) -> Duration {
        self.esp_lifetime
    }

    /// Packets that may arrive out of order, 0 to 8192.
    pub const fn replay_window(&self) -> u32 {
        self.replay_window
    }

    /// What child SAs are asked for.
    pub const fn children(&self) -> Children {
        self.children
    }

    /// Name of the TUN device: 1 to 15 octets.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// MTU of the TUN device; `None`: computed from the suite and the path.
    pub const fn mtu(&self) -> Option<u16> {
        self.mtu
    }

    /// Whether routes are set for what was negotiated.
    pub const fn routes(&self) -> bool {
        self.routes
    }

    /// Whether the default route may be among them.
    pub const fn default_route(&self) -> bool {
        self.default_route
    }

    /// Whether packets for the subnets can leave otherwise than through the tunnel.
    pub const fn kill_switch(&self) -> KillSwitch {
        self.kill_switch
    }

    /// How much is logged.
    pub const fn log_level(&self) -> LogLevel {
        self.log_level
    }

    /// How the log is written.
    pub const fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// Where a running vpnd is asked and told.
    pub const fn control_socket(&self) -> &ControlSocket {
        &self.control_socket
    }

    /// Whether the process gives up what it does not need.
    pub const fn sandbox(&self) -> Sandbox {
        self.sandbox
    }

    /// Whether the file and those of its secrets are read again when they change.
    pub const fn is_watched(&self) -> bool {
        self.watch
    }

    /// Our side of the child SA (TSi). Everything of the asked families when the gateway assigns the address.
    pub fn local_selectors(&self) -> Vec<Selector> {
        match &self.address {
            AddressMode::Virtual { ipv4, ipv6 } => {
                let asked = [ipv4.then(Selector::any_v4), ipv6.then(Selector::any_v6)];
                asked.into_iter().flatten().collect()
            }
            AddressMode::None | AddressMode::Fixed(_) if self.children == Children::Any => self.everything(),
            AddressMode::Fixed(addresses) if self.local_subnets.is_empty() => {
                addresses.iter().copied().map(Selector::host).collect()
            }
            AddressMode::None | AddressMode::Fixed(_) => self.local_subnets.iter().map(Subnet::selector).collect(),
        }
    }

    /// The gateway's side of the child SA (TSr).
    pub fn remote_selectors(&self) -> Vec<Selector> {
        match self.children {
            Children::Subnets => self.routed_selectors(),
            Children::Any => self.everything(),
        }
    }

    /// What may be routed into the tunnel: the configured subnets.
    pub fn routed_selectors(&self) -> Vec<Selector> {
        self.subnets.iter().map(Subnet::selector).collect()
    }

    /// All of each family that a subnet is of.
    fn everything(&self) -> Vec<Selector> {
        let has = |ipv4: bool| self.subnets.iter().any(|subnet| subnet.address().is_ipv4() == ipv4);
        let families = [has(true).then(Selector::any_v4), has(false).then(Selector::any_v6)];
        families.into_iter().flatten().collect()
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES.iter().find(|(_, level)| level == self).map_or("", |(name, _)| name))
    }
}
