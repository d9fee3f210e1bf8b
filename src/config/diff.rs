//! What two valid configurations differ in, and what going over from one to the other takes.
//!
//! One table, a row for each field. It takes both configurations apart, so that a field that has no row does not compile.

use std::fmt;

use super::duration;
use super::model::{AddressMode, Children, Config, ControlSocket, KillSwitch, LogFormat, Nftables, Sandbox, Spoken};
use super::profile::Secrets;
use super::secret_source::{PskSource, SecretSource};
use crate::ike::profile::{Phase1Mode, Protocol};
use crate::tunnel::settings::{LocalIdentity, TunnelSettings};

/// What it takes that a difference is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Takes {
    /// Nothing: it is at once, and no SA is touched.
    InPlace,
    /// Addresses and routes of this host are set anew, at once.
    Host,
    /// SAs that are made from now on have it.
    NextRekeying,
    /// Sessions that are made from now on have it; none is made for it.
    NextSession,
    /// A new session is made beside the old one, which ends when the new one carries the traffic.
    NewSession,
    /// Another start of the program.
    Restart,
}

impl Takes {
    /// The word for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InPlace => "in_place",
            Self::Host => "host",
            Self::NextRekeying => "next_rekeying",
            Self::NextSession => "next_session",
            Self::NewSession => "new_session",
            Self::Restart => "restart",
        }
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InPlace => "in place",
            Self::Host => "routes and addresses of this host, in place",
            Self::NextRekeying => "from the next rekeying on",
            Self::NextSession => "when it connects again",
            Self::NewSession => "by a new session, made before the old one ends",
            Self::Restart => "only by a restart",
        })
    }
}

/// The two values of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// As people write them.
    Shown {
        /// In force.
        old: String,
        /// Wanted.
        new: String,
    },
    /// Secrets, which are not shown.
    Secret,
}

/// One thing in which two configurations differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key, such as `[ike] dpd`.
    pub key: &'static str,
    /// Its values.
    pub values: Values,
    /// What it takes.
    pub takes: Takes,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.values {
            Values::Shown { old, new } => write!(f, "{}: {old} -> {new}", self.key),
            Values::Secret => write!(f, "{}: changed", self.key),
        }
    }
}

/// Which secrets are others than those in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangedSecrets {
    /// The pre-shared key.
    pub psk: bool,
    /// The XAUTH password.
    pub xauth_password: bool,
}

impl Secrets {
    /// Which of them are others than those that the tunnel uses. Compared in constant time.
    pub fn changed(&self, in_use: &TunnelSettings) -> ChangedSecrets {
        let before = match &in_use.profile.protocol {
            Protocol::Ikev1(ikev1) => ikev1.xauth.as_ref().map(|xauth| &xauth.password),
            Protocol::Ikev2 => None,
        };
        let xauth_password = match (before, &self.xauth_password) {
            (Some(before), Some(now)) => !before.matches(now.expose()),
            (before, now) => before.is_some() != now.is_some(),
        };
        ChangedSecrets { psk: !in_use.profile.psk.matches(self.psk.expose()), xauth_password }
    }
}

/// Everything in which `new` differs from `old`, in the order of the sections of a file.
pub fn differences(old: &Config, new: &Config, secrets: ChangedSecrets) -> Vec<Difference> {
    let Config {
        gateways,
        first_port,
        return_after,
        remote_identity,
        subnets,
        psk_source,
        psk_format: _, // What it makes of the source is compared.
        local_identity,
        shared_identity,
        address,
        local_subnets,
        local_port,
        spoken,
        ike_offers,
        ike_lifetime,
        dpd,
        keepalive,
        fragmentation,
        mobike,
        initial_contact,
        esp_offers,
        esp_lifetime,
        replay_window,
        verify_pfs,
        children,
        device,
        mtu,
        routes,
        default_route,
        kill_switch,
        log_level,
        log_format,
        control_socket,
        sandbox,
        watch,
    } = old;
    let mut table = Table::default();
    // A gateway that is added behind those there are is one more to turn to.
    let more = if new.gateways.starts_with(gateways) { Takes::InPlace } else { Takes::NewSession };
    table.row("[gateway] address", gateways, &new.gateways, more, |list| joined(list));
    table.row("[gateway] port", first_port, &new.first_port, Takes::NewSession, u16::to_string);
    table.row("[gateway] return_after", return_after, &new.return_after, Takes::InPlace, |time| {
        time.map_or_else(|| "off".into(), duration::shown)
    });
    table.row("[gateway] id", remote_identity, &new.remote_identity, Takes::NewSession, |identity| {
        identity.as_ref().map_or_else(|| "its address or name".into(), ToString::to_string)
    });
    table.row("[gateway] subnets", subnets, &new.subnets, asked(old, new), |list| joined(list));
    psk(&mut table, psk_source, new, secrets.psk);
    table.row("[local] id", local_identity, &new.local_identity, Takes::NewSession, |identity| match identity {
        LocalIdentity::Fixed(identity) => identity.to_string(),
        LocalIdentity::SourceAddress => "the address we send from".into(),
    });
    table.row("[local] shared_identity", shared_identity, &new.shared_identity, Takes::NextSession, bool::to_string);
    table.row("[local] address", address, &new.address, Takes::NewSession, address_mode);
    table.row("[local] subnets", local_subnets, &new.local_subnets, Takes::NewSession, |list| joined(list));
    table.row("[local] port", local_port, &new.local_port, Takes::Restart, |port| or(port.as_ref(), "any"));
    protocol(&mut table, spoken, &new.spoken, secrets.xauth_password);
    table.row("[ike] proposals", ike_offers, &new.ike_offers, Takes::NewSession, |list| joined(list));
    table.row("[ike] lifetime", ike_lifetime, &new.ike_lifetime, Takes::NextRekeying, |time| duration::shown(*time));
    table.row("[ike] dpd", dpd, &new.dpd, Takes::InPlace, |time| time.map_or_else(|| "off".into(), duration::shown));
    table.row("[ike] keepalive", keepalive, &new.keepalive, Takes::InPlace, |time| duration::shown(*time));
    // It can be left, and only be begun when it was announced.
    let cut = if fragmentation.is_some() { Takes::InPlace } else { Takes::NewSession };
    table.row("[ike] fragmentation", fragmentation, &new.fragmentation, cut, |octets| or(octets.as_ref(), "off"));
    table.row("[ike] mobike", mobike, &new.mobike, Takes::NewSession, bool::to_string);
    table.row("[ike] initial_contact", initial_contact, &new.initial_contact, Takes::NextSession, bool::to_string);
    table.row("[esp] proposals", esp_offers, &new.esp_offers, Takes::NewSession, |list| joined(list));
    table.row("[esp] lifetime", esp_lifetime, &new.esp_lifetime, Takes::NextRekeying, |time| duration::shown(*time));
    table.row("[esp] replay_window", replay_window, &new.replay_window, Takes::NextRekeying, u32::to_string);
    table.row("[esp] verify_pfs", verify_pfs, &new.verify_pfs, Takes::NextSession, bool::to_string);
    table.row("[esp] children", children, &new.children, asked(old, new), |children| match children {
        Children::Subnets => "for the subnets".into(),
        Children::Any => "any".into(),
    });
    table.row("[tun] name", device, &new.device, Takes::Restart, String::clone);
    table.row("[tun] mtu", mtu, &new.mtu, Takes::Host, |octets| or(octets.as_ref(), "auto"));
    table.row("[tun] routes", routes, &new.routes, Takes::Host, bool::to_string);
    table.row("[tun] default_route", default_route, &new.default_route, Takes::Host, bool::to_string);
    table.row("[killswitch]", kill_switch, &new.kill_switch, Takes::Host, |kill_switch| {
        match kill_switch {
            KillSwitch::Off => "off",
            KillSwitch::On(Nftables::Auto) => "on, nftables where the kernel has it",
            KillSwitch::On(Nftables::Required) => "on, with nftables",
            KillSwitch::On(Nftables::Never) => "on, without nftables",
        }
        .into()
    });
    table.row("[log] level", log_level, &new.log_level, Takes::InPlace, ToString::to_string);
    table.row("[log] format", log_format, &new.log_format, Takes::InPlace, |format| {
        let name = LogFormat::NAMES.iter().find(|(_, known)| known == format);
        name.map_or("", |(name, _)| name).into()
    });
    table.row("[control] socket", control_socket, &new.control_socket, Takes::Restart, |socket| match socket {
        ControlSocket::ByDevice => "in the state directory".into(),
        ControlSocket::At(path) => path.display().to_string(),
        ControlSocket::Off => "off".into(),
    });
    table.row("[control] watch", watch, &new.watch, Takes::InPlace, bool::to_string);
    table.row("[security] sandbox", sandbox, &new.sandbox, Takes::Restart, |sandbox| {
        match sandbox {
            Sandbox::Auto => "auto",
            Sandbox::Required => "required",
            Sandbox::Off => "off",
        }
        .into()
    });
    table.0
}

impl Config {
    /// This configuration with what takes a restart as it is in `running`: the one that is in force after a reload.
    #[must_use]
    pub fn without_restart(self, running: &Self) -> Self {
        Self {
            local_port: running.local_port,
            device: running.device.clone(),
            control_socket: running.control_socket.clone(),
            sandbox: running.sandbox,
            ..self
        }
    }
}

#[derive(Default)]
struct Table(Vec<Difference>);

impl Table {
    fn row<T: PartialEq>(&mut self, key: &'static str, old: &T, new: &T, takes: Takes, shown: impl Fn(&T) -> String) {
        if old != new {
            self.0.push(Difference { key, values: Values::Shown { old: shown(old), new: shown(new) }, takes });
        }
    }

    fn secret(&mut self, key: &'static str) {
        self.0.push(Difference { key, values: Values::Secret, takes: Takes::NewSession });
    }
}

/// Subnets are negotiated, unless the child is one for everything: then they are routes alone.
fn asked(old: &Config, new: &Config) -> Takes {
    let is_same = old.remote_selectors() == new.remote_selectors() && old.local_selectors() == new.local_selectors();
    if is_same { Takes::Host } else { Takes::NewSession }
}

/// The same key in another place is the same key.
fn psk(table: &mut Table, old: &PskSource, new: &Config, is_changed: bool) {
    let new = &new.psk_source;
    if is_changed {
        table.secret(new.key());
    } else if old.place() != new.place() {
        let shown = |source: &PskSource| source.place().map_or_else(|| "in the file".into(), place);
        table.row("[gateway] psk", &shown(old), &shown(new), Takes::InPlace, String::clone);
    }
}

fn protocol(table: &mut Table, old: &Spoken, new: &Spoken, is_password_changed: bool) {
    let version = |spoken: &Spoken| match spoken {
        Spoken::Ikev1(_) => 1_u8,
        Spoken::Ikev2 => 2,
    };
    table.row("[ike] version", &version(old), &version(new), Takes::NewSession, u8::to_string);
    let (Spoken::Ikev1(old), Spoken::Ikev1(new)) = (old, new) else { return };
    table.row("[ike] mode", &old.mode, &new.mode, Takes::NewSession, |mode| {
        match mode {
            Phase1Mode::Main => "main",
            Phase1Mode::Aggressive => "aggressive",
        }
        .into()
    });
    let user = |account: &Option<super::XauthAccount>| account.as_ref().map(|account| account.user.clone());
    table.row("[ike] xauth_user", &user(&old.xauth), &user(&new.xauth), Takes::NewSession, |user| {
        or(user.as_ref(), "none")
    });
    let (Some(old), Some(new)) = (&old.xauth, &new.xauth) else { return };
    if is_password_changed {
        table.secret(new.password.password_key());
    } else {
        table.row("[ike] xauth_password", &old.password, &new.password, Takes::InPlace, place);
    }
}

fn place(source: &SecretSource) -> String {
    match source {
        SecretSource::File(path) => format!("file {}", path.display()),
        SecretSource::Environment(name) => format!("environment variable {name}"),
        SecretSource::Credential(name) => format!("credential {name}"),
    }
}

fn address_mode(mode: &AddressMode) -> String {
    match mode {
        AddressMode::Virtual { ipv4: true, ipv6: true } => "virtual (IPv4 and IPv6)".into(),
        AddressMode::Virtual { ipv6: true, .. } => "virtual (IPv6)".into(),
        AddressMode::Virtual { .. } => "virtual (IPv4)".into(),
        AddressMode::None => "none".into(),
        AddressMode::Fixed(addresses) => joined(addresses),
    }
}

fn or<T: ToString>(value: Option<&T>, otherwise: &str) -> String {
    value.map_or_else(|| otherwise.into(), ToString::to_string)
}

fn joined<T: ToString>(list: &[T]) -> String {
    let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
    if texts.is_empty() { "none".into() } else { texts.join(", ") }
}

#[cfg(test)]
mod tests;
