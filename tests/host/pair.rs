//! Two data planes that face each other over a link, with the keys an IKE would have installed.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use vpnd::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Protection, ProtectionKeys};
use vpnd::crypto::secret::Secret;
use vpnd::daemon::data_thread::{DataNews, DataPlane, DataPlaneEvents, Halves, InboundCounters, OutboundCounters};
use vpnd::io::batch::Gateway;
use vpnd::io::tun::{Offload, Tun};
use vpnd::io::udp::{UdpOptions, UdpSocket, UdpSockets};
use vpnd::os::clock::Clock;
use vpnd::os::random::OsRandom;
use vpnd::sa::command::{ChildId, DataCommand, DataReport, InboundParameters, OutboundParameters};
use vpnd::sa::lifetime::Lifetime;
use vpnd::sa::path::{Framing, Path};
use vpnd::sa::selector::Selector;
use vpnd::sa::spi::{InboundSpi, OutboundSpi};
use vpnd::sa::suite::EspSuite;

use crate::namespace::{Namespace, ip, run, thread_id};

pub(crate) const GCM: Protection = Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen));
pub(crate) const CBC: Protection =
    Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 };
pub(crate) const CHILD: ChildId = ChildId(1);

pub(crate) fn wait_for<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), work).await.expect("nothing happened") })
}

/// One end: a namespace with a TUN device `t0`, an outer address on `outer` and a running data plane.
pub(crate) struct End {
    pub(crate) namespace: Namespace,
    pub(crate) plane: DataPlane,
    pub(crate) events: DataPlaneEvents,
    pub(crate) outer: SocketAddr,
}

/// Two ends with outer and inner addresses of both families. `.1` is the first, `.2` the second.
pub(crate) struct Pair {
    pub(crate) ends: [End; 2],
    /// Where both send to, if not to each other.
    via: Option<SocketAddr>,
}

/// Octets of a packet on the devices `t0` and `outer`.
#[derive(Clone, Copy)]
pub(crate) struct Mtu {
    pub(crate) inner: u16,
    pub(crate) outer: u16,
}

impl Pair {
    pub(crate) fn new(outer_family: &str) -> Self {
        Self::with_offload(outer_family, Offload::Udp)
    }

    /// With at most this offload at both devices.
    pub(crate) fn with_offload(outer_family: &str, offload: Offload) -> Self {
        Self::with(outer_family, offload, |options| options)
    }

    /// And with sockets made by these options.
    pub(crate) fn with(outer_family: &str, offload: Offload, options: fn(UdpOptions) -> UdpOptions) -> Self {
        Self::made(outer_family, offload, Mtu { inner: 1400, outer: 1500 }, options)
    }

    pub(crate) fn with_mtu(outer_family: &str, mtu: Mtu) -> Self {
        Self::made(outer_family, Offload::Udp, mtu, |options| options)
    }

    fn made(outer_family: &str, offload: Offload, mtu: Mtu, options: fn(UdpOptions) -> UdpOptions) -> Self {
        let namespaces = [Namespace::new(), Namespace::new()];
        let other = namespaces[1].run(thread_id);
        namespaces[0].run(move || {
            ip("link add outer type veth peer name far");
            ip(&format!("link set far netns {other} name outer"));
        });
        let mut number = 0_u8;
        let ends = namespaces.map(|namespace| {
            number += 1;
            End::new(namespace, number, outer_family, offload, mtu, options)
        });
        let pair = Self { ends, via: None };
        pair.admit();
        pair
    }

    /// Both ends take `via` for the other; whoever has that address passes on what they send.
    pub(crate) fn send_through(&mut self, via: SocketAddr) {
        self.via = Some(via);
        self.admit();
    }

    fn admit(&self) {
        for (from, end) in self.ends.iter().enumerate() {
            let gateway = Gateway { remote: self.path(from).remote.ip(), local: end.outer, bare_port: Some(500) };
            wait_for(end.plane.admit(vec![gateway])).unwrap();
        }
    }

    pub(crate) fn path(&self, from: usize) -> Path {
        let remote = self.via.unwrap_or(self.ends[1 - from].outer);
        Path { local: self.ends[from].outer, remote, framing: Framing::Marked }
    }

    /// What both ends counted, the first's first.
    pub(crate) fn counters(&self) -> [(OutboundCounters, InboundCounters); 2] {
        [0, 1].map(|end| wait_for(self.ends[end].plane.counters()).unwrap())
    }

    /// Installs one child SA in both ends.
    pub(crate) fn install(&self, protection: Protection) {
        self.install_suite(EspSuite { protection, esn: false });
    }

    pub(crate) fn install_suite(&self, suite: EspSuite) {
        for end in [0, 1] {
            self.install_inbound(end, suite);
        }
        for end in [0, 1] {
            self.install_outbound(end, suite);
        }
    }

    pub(crate) fn install_inbound(&self, end: usize, suite: EspSuite) {
        let command = DataCommand::InstallInbound { child: CHILD, sa: Box::new(inbound_sa(end, suite)) };
        wait_for(self.ends[end].plane.apply(command)).unwrap();
    }

    pub(crate) fn install_outbound(&self, end: usize, suite: EspSuite) {
        let sa = outbound_sa(end, suite, self.path(end));
        let command = DataCommand::SwitchOutbound { child: CHILD, sa: Box::new(sa) };
        wait_for(self.ends[end].plane.apply(command)).unwrap();
    }
}

/// What `end` receives with.
pub(crate) fn inbound_sa(end: usize, suite: EspSuite) -> InboundParameters {
    InboundParameters {
        spi: InboundSpi::new(spi_of_receiver(end)).unwrap(),
        suite,
        keys: keys_towards(end, suite.protection),
        sources: inner_networks(1 - end),
        destinations: inner_networks(end),
        replay_window: 1024,
        lifetime: Lifetime::default(),
    }
}

/// What `end` sends with.
pub(crate) fn outbound_sa(end: usize, suite: EspSuite, path: Path) -> OutboundParameters {
    let peer = 1 - end;
    OutboundParameters {
        spi: OutboundSpi::new(spi_of_receiver(peer)).unwrap(),
        suite,
        keys: keys_towards(peer, suite.protection),
        sources: inner_networks(end),
        destinations: inner_networks(peer),
        path,
        lifetime: Lifetime::default(),
    }
}

impl End {
    fn new(
        namespace: Namespace,
        number: u8,
        outer_family: &str,
        offload: Offload,
        mtu: Mtu,
        options: fn(UdpOptions) -> UdpOptions,
    ) -> Self {
        let outer_ip: IpAddr = match outer_family {
            "ipv4" => format!("192.0.2.{number}").parse().unwrap(),
            _ => format!("2001:db8:2::{number}").parse().unwrap(),
        };
        let (plane, events, outer) = namespace.run(move || {
            let peer = 3 - number;
            let tun = Tun::open_with("t0", offload).unwrap();
            for command in [
                "link set outer addrgenmode none".to_owned(),
                "link set t0 addrgenmode none".to_owned(),
                format!("link set outer mtu {} up", mtu.outer),
                format!("link set t0 mtu {} up", mtu.inner),
                format!("addr add 192.0.2.{number}/24 dev outer"),
                format!("-6 addr add 2001:db8:2::{number}/64 dev outer nodad"),
                format!("addr add 10.9.{number}.1/32 dev t0"),
                format!("-6 addr add 2001:db8:{number}0::1/128 dev t0 nodad"),
                format!("route add 10.9.{peer}.0/24 dev t0 src 10.9.{number}.1"),
                format!("-6 route add 2001:db8:{peer}0::/64 dev t0 src 2001:db8:{number}0::1"),
            ] {
                ip(&command);
            }
            // As `os` makes it.
            run("tc", "qdisc replace dev t0 root noqueue");
            let bind = SocketAddr::new(outer_ip, 0);
            let socket = UdpSocket::bind(&options(UdpOptions { bind, ..UdpOptions::towards(outer_ip) })).unwrap();
            let outer = socket.bound();
            let sockets = match outer_ip {
                IpAddr::V4(_) => UdpSockets { ipv4: Some(socket), ipv6: None },
                IpAddr::V6(_) => UdpSockets { ipv4: None, ipv6: Some(socket) },
            };
            let (plane, events) = DataPlane::start(tun, sockets, Clock::start(), Halves::empty(&mut OsRandom)).unwrap();
            (plane, events, outer)
        });
        Self { namespace, plane, events, outer }
    }
}

fn inner_networks(end: usize) -> Vec<Selector> {
    let number = end + 1;
    vec![
        Selector::from_prefix(format!("10.9.{number}.0").parse().unwrap(), 24).unwrap(),
        Selector::from_prefix(format!("2001:db8:{number}0::").parse().unwrap(), 64).unwrap(),
    ]
}

fn spi_of_receiver(end: usize) -> u32 {
    0x1000 + u32::try_from(end).unwrap()
}

pub(crate) fn keys_towards(end: usize, protection: Protection) -> ProtectionKeys {
    let octet = 0x40 + u8::try_from(end).unwrap();
    ProtectionKeys {
        encryption: Secret::new(vec![octet; protection.encryption_key_len()]),
        integrity: Secret::new(vec![octet; protection.integrity_key_len()]),
    }
}

pub(crate) fn expect_report(end: &mut End, wanted: impl Fn(&DataReport) -> bool) {
    wait_for(async {
        loop {
            match end.events.news.recv().await.expect("the data plane ended") {
                DataNews::Report(report) if wanted(&report) => return,
                DataNews::Report(_) | DataNews::Dropped(_) => {}
                DataNews::Failed(failure) => panic!("{failure}"),
            }
        }
    });
}
