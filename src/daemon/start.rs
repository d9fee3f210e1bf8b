//! What has to be there before a tunnel can be tried, and why it may not be.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::config::{Config, ControlSocket};
use crate::daemon::control::{self, Control, SocketError};
use crate::daemon::privilege::MissingNetAdmin;
use crate::io::tun::TunError;
use crate::io::udp::{UdpOptions, UdpSocket, UdpSockets};
use crate::os::MARK;
use crate::os::host::HostError;

/// Why a tunnel could not even be tried.
#[derive(Debug)]
pub enum StartError {
    /// The process lacks CAP_NET_ADMIN.
    Privilege(MissingNetAdmin),
    /// There is no TUN device.
    Tun(TunError),
    /// The host's state cannot be worked with.
    Host(HostError),
    /// The UDP port is taken, or there is no socket at all.
    Socket {
        /// The configured port, if there is one.
        port: Option<u16>,
        /// What the kernel said.
        error: io::Error,
    },
    /// No thread could be started.
    Threads(io::Error),
    /// A vpnd runs with the same device, and is to be left alone.
    Runs {
        /// The device.
        device: String,
        /// Its number, where it can be known.
        process: Option<i32>,
    },
    /// A vpnd that runs with the same device keeps it.
    NotHandedOver {
        /// Why.
        reason: String,
    },
    /// What the running vpnd handed over could not be taken; it has everything again.
    NotTakenOver {
        /// Its own number.
        process: u32,
        /// Why.
        reason: String,
    },
    /// No signal could be waited for.
    Signals(io::Error),
    /// The configured control socket cannot be opened.
    Control(SocketError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Privilege(error) => error.fmt(f),
            Self::Tun(error) => error.fmt(f),
            Self::Host(error) => error.fmt(f),
            Self::Socket { port: Some(port), error } => write!(
                f,
                "UDP port {port} of `[local] port` cannot be used ({error}); another program may have it. Leave the key out for a free port"
            ),
            Self::Socket { port: None, error } => write!(f, "no UDP socket can be opened ({error})"),
            Self::Threads(error) => write!(f, "the threads of the packet path could not be started ({error})"),
            Self::Control(error) => error.fmt(f),
            Self::Runs { device, process } => write!(
                f,
                "a vpnd{} runs with the device {device:?}. Without --no-takeover this one would go on with its tunnel; `vpnd status` tells how \
                 that stands. Or end it first, or set another `[tun] name`",
                process.map(|process| format!(" (process {process})")).unwrap_or_default()
            ),
            Self::NotHandedOver { reason } => write!(
                f,
                "a vpnd that runs with the same device does not hand it over: {reason}. It is as it was. End it first to start anew"
            ),
            Self::NotTakenOver { process, reason } => write!(
                f,
                "process {process} goes on: what it handed over could not be taken ({reason}). `vpnd reload` changes a running tunnel; \
                 to start anew, end that process first"
            ),
            Self::Signals(error) => write!(f, "signals cannot be waited for ({error})"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<MissingNetAdmin> for StartError {
    fn from(error: MissingNetAdmin) -> Self {
        Self::Privilege(error)
    }
}

impl From<TunError> for StartError {
    fn from(error: TunError) -> Self {
        Self::Tun(error)
    }
}

impl From<HostError> for StartError {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

/// A socket for each address family that the host has. Their mark keeps what they send out of the tunnel.
///
/// # Errors
/// [`StartError::Socket`] when there is none at all.
pub(super) fn open_sockets(config: &Config) -> Result<UdpSockets, StartError> {
    let port = config.local_port();
    let open = |any: IpAddr| {
        let bind = SocketAddr::new(any, port.unwrap_or(0));
        UdpSocket::bind(&UdpOptions { bind, mark: Some(MARK), ..UdpOptions::towards(any) })
    };
    let ipv4 = open(Ipv4Addr::UNSPECIFIED.into());
    let ipv6 = open(Ipv6Addr::UNSPECIFIED.into());
    match (ipv4, ipv6) {
        (Err(error), Err(_)) => Err(StartError::Socket { port, error }),
        (ipv4, ipv6) => Ok(UdpSockets { ipv4: ipv4.ok(), ipv6: ipv6.ok() }),
    }
}

/// The control socket; `None` where there is to be none, or where the one that nobody asked for in words cannot be.
///
/// # Errors
/// [`StartError::Control`] when the configured one cannot be opened.
pub(super) fn open_control(config: &Config, state_directory: &Path) -> Result<Option<Control>, StartError> {
    let Some(path) = control::path(config, state_directory) else { return Ok(None) };
    match Control::open(&path) {
        Ok(control) => Ok(Some(control)),
        Err(error) if *config.control_socket() == ControlSocket::ByDevice => {
            tracing::warn!(%error, "there is no control socket: `vpnd status` and `vpnd reload` do not reach this process");
            Ok(None)
        }
        Err(error) => Err(StartError::Control(error)),
    }
}
