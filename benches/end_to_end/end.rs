//! One end of a tunnel between two data planes, with keys that no IKE negotiated.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use vpnd::crypto::cipher::{Protection, ProtectionKeys};
use vpnd::crypto::secret::Secret;
use vpnd::daemon::data_thread::{DataPlane, DataPlaneEvents, Halves, OrderError};
use vpnd::esp::counters::{Counters, DropReason};
use vpnd::io::batch::Gateway;
use vpnd::io::tun::Tun;
use vpnd::io::udp::{UdpOptions, UdpSocket, UdpSockets};
use vpnd::os::clock::Clock;
use vpnd::os::random::OsRandom;
use vpnd::sa::command::{ChildId, DataCommand, InboundParameters, OutboundParameters};
use vpnd::sa::lifetime::Lifetime;
use vpnd::sa::notation::parse_esp;
use vpnd::sa::path::{Framing, Path};
use vpnd::sa::selector::Selector;
use vpnd::sa::spi::{InboundSpi, OutboundSpi};
use vpnd::sa::suite::{EsnOffer, EspSuite, ProtectionOffer};

const CHILD: ChildId = ChildId(1);
const PORT: u16 = 4500;

type Failed = Box<dyn std::error::Error>;

/// The end `number` has the outer address 192.0.2.`number` and the inner network 10.9.`number`.0/24.
pub(crate) struct End {
    pub(crate) plane: DataPlane,
    pub(crate) events: DataPlaneEvents,
}

impl End {
    /// Opens the device `t0` and the socket, and installs one child SA. The device is down and has no address.
    pub(crate) async fn start(number: u8, suite: EspSuite, keys: &Secret, mtu: u16) -> Result<Self, Failed> {
        let peer = match number {
            1 => 2,
            2 => 1,
            _ => return Err("the ends are 1 and 2".into()),
        };
        let (local, remote) = (outer(number), outer(peer));
        let tun = Tun::open("t0")?;
        let socket = UdpSocket::bind(&UdpOptions { bind: local, ..UdpOptions::towards(remote.ip()) })?;
        let sockets = UdpSockets { ipv4: Some(socket), ipv6: None };
        let (plane, events) = DataPlane::start(tun, sockets, Clock::start(), Halves::empty(&mut OsRandom))?;

        plane.admit(vec![Gateway { remote: remote.ip(), local, bare_port: None }]).await?;
        plane.set_mtu(Some(mtu)).await?;
        let inbound = InboundParameters {
            spi: InboundSpi::new(spi_towards(number)).ok_or("a reserved SPI")?,
            suite,
            keys: keys_towards(number, suite.protection, keys)?,
            sources: inner(peer),
            destinations: inner(number),
            replay_window: 1024,
            lifetime: Lifetime::default(),
        };
        plane.apply(DataCommand::InstallInbound { child: CHILD, sa: Box::new(inbound) }).await?;
        let outbound = OutboundParameters {
            spi: OutboundSpi::new(spi_towards(peer)).ok_or("a reserved SPI")?,
            suite,
            keys: keys_towards(peer, suite.protection, keys)?,
            sources: inner(number),
            destinations: inner(peer),
            path: Path { local, remote, framing: Framing::Marked },
            lifetime: Lifetime::default(),
        };
        plane.apply(DataCommand::SwitchOutbound { child: CHILD, sa: Box::new(outbound) }).await?;
        Ok(Self { plane, events })
    }

    /// What both threads counted, in words.
    pub(crate) async fn counts(&self) -> Result<String, OrderError> {
        let (outbound, inbound) = self.plane.counters().await?;
        Ok(format!(
            "sealed {}, unsent {}; opened {}, undelivered {}, foreign {}, truncated {}",
            shown(&outbound.path),
            outbound.unsent,
            shown(&inbound.path),
            inbound.undelivered,
            inbound.foreign,
            inbound.truncated,
        ))
    }
}

fn shown(counters: &Counters) -> String {
    let mut text = format!("{} packets of {} octets", counters.packets, counters.octets);
    for reason in DropReason::ALL {
        let dropped = counters.dropped(*reason);
        if dropped > 0 {
            text.push_str(&format!(", dropped {dropped} ({reason})"));
        }
    }
    text
}

/// A suite in the words of the configuration: `aes256-sha256`, `aes256gcm16`.
pub(crate) fn suite_named(words: &str) -> Result<EspSuite, Failed> {
    let parsed = parse_esp(words, EsnOffer::Without).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("; ")
    })?;
    let protection = match parsed.offer.protection {
        ProtectionOffer::Aead(ciphers) => ciphers.first().map(|cipher| Protection::Aead(*cipher)),
        ProtectionOffer::CbcHmac { encryption, integrity } => encryption
            .first()
            .zip(integrity.first())
            .map(|(encryption, integrity)| Protection::CbcHmac { encryption: *encryption, integrity: *integrity }),
    };
    let protection = protection.ok_or("an empty suite")?;
    Ok(EspSuite { protection, esn: parsed.offer.esn == EsnOffer::Required })
}

fn outer(number: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)), PORT)
}

fn inner(number: u8) -> Vec<Selector> {
    Selector::from_prefix(IpAddr::V4(Ipv4Addr::new(10, 9, number, 0)), 24).into_iter().collect()
}

fn spi_towards(number: u8) -> u32 {
    0x1000 | u32::from(number)
}

/// Each direction has its half of the octets, and takes of it what its suite needs.
fn keys_towards(number: u8, protection: Protection, keys: &Secret) -> Result<ProtectionKeys, Failed> {
    let (first, second) = keys.expose().split_at(keys.len() / 2);
    let half = if number == 1 { first } else { second };
    let (encryption, rest) = half.split_at_checked(protection.encryption_key_len()).ok_or("too few keys")?;
    let integrity = rest.get(..protection.integrity_key_len()).ok_or("too few keys")?;
    Ok(ProtectionKeys { encryption: Secret::copy_of(encryption), integrity: Secret::copy_of(integrity) })
}
