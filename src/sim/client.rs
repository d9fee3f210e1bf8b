//! vpnd in the simulated world: a tunnel and both halves of the packet path, with the world in the place of the daemon.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::crypto::random::{Random, SeededRandom};
use crate::esp::dataplane::{Applied, Arrival, Batch, InboundPath, OutboundPath, split};
use crate::ike::action::Outer;
use crate::sa::path::{Framing, Path};
use crate::time::Instant;
use crate::tunnel::progress::Progress;
use crate::tunnel::settings::TunnelSettings;
use crate::tunnel::{Change, Tunnel, TunnelAction};

use super::Datagram;

const ROOM: usize = 4096;

/// All sessions have one socket.
const PORT: u16 = 40_001;

/// The client side of the world.
pub struct Client {
    address: IpAddr,
    /// Whether it has a way to anywhere.
    is_connected: bool,
    tunnel: Tunnel,
    #[cfg_attr(not(feature = "daemon"), expect(dead_code, reason = "another process goes on with them"))]
    settings: Arc<TunnelSettings>,
    outbound: OutboundPath,
    inbound: InboundPath,
    batch: Batch,
    socket: Option<SocketAddr>,
    /// What names stand for.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// What it knows its first link to carry, IP header included: only if it does, it asks what the path carries.
    pub first_link: Option<u16>,
    /// What it was told last that the path carries.
    pub follows: Option<u16>,
    /// What it told people, with the time.
    pub told: Vec<(Instant, Progress)>,
    /// Inner packets that came through the tunnel.
    pub delivered: Vec<Vec<u8>>,
    /// Datagrams it wants to send.
    pub outbox: Vec<Datagram>,
    /// Whether it said that it is closed, and whether the gateway confirmed.
    pub closed: Option<bool>,
}

impl Client {
    pub fn new(address: IpAddr, settings: TunnelSettings, seed: u64, now: Instant) -> Self {
        let mut random = SeededRandom::new(seed);
        let outbound = OutboundPath::new(&mut random);
        let settings = Arc::new(settings);
        let mut client = Self {
            address,
            is_connected: true,
            tunnel: Tunnel::new(Arc::clone(&settings), Box::new(random), fork, now),
            settings,
            outbound,
            inbound: InboundPath::new(),
            batch: Batch::new(1, ROOM),
            socket: None,
            names: BTreeMap::new(),
            first_link: None,
            follows: None,
            told: Vec::new(),
            delivered: Vec::new(),
            outbox: Vec::new(),
            closed: None,
        };
        client.settle(now);
        client
    }

    /// Its own address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Where it can be reached, while it has a socket.
    pub fn socket(&self) -> Option<SocketAddr> {
        self.socket
    }

    /// Its network changes: it has another address, or none.
    pub fn change_network(&mut self, now: Instant, address: Option<IpAddr>) {
        self.is_connected = address.is_some();
        self.address = address.unwrap_or(self.address);
        if let Some(socket) = &mut self.socket {
            socket.set_ip(self.address);
        }
        self.tunnel.handle_network_change(now);
        self.settle(now);
    }

    /// Its settings change.
    pub fn change_settings(&mut self, now: Instant, settings: TunnelSettings, change: Change) {
        self.tunnel.handle_settings(now, Arc::new(settings), change);
        self.settle(now);
    }

    /// Another process goes on with everything. Says why it cannot, when it cannot: then nothing has happened.
    #[cfg(feature = "daemon")]
    pub fn hand_over(&mut self, now: Instant, seed: u64) -> Result<(), String> {
        fn carried<T: serde::Serialize + serde::de::DeserializeOwned>(state: &T) -> T {
            let text = serde_json::to_vec(state).expect("a state is written down");
            serde_json::from_slice(&text).expect("what was written down is read")
        }
        let tunnel = carried(&self.tunnel.export().map_err(|busy| busy.to_string())?);
        let outbound = carried(&self.outbound.export().ok_or("no sequence numbers are left")?);
        let inbound = carried(&self.inbound.export());
        let mut random = SeededRandom::new(seed);
        self.outbound = OutboundPath::restore(outbound, &mut random).expect("keys fit");
        self.inbound = InboundPath::restore(inbound).expect("keys fit");
        let settings = Arc::clone(&self.settings);
        self.tunnel = Tunnel::restore(settings, Box::new(random), fork, now, tunnel).expect("the session goes on");
        self.settle(now);
        Ok(())
    }

    /// The tunnel.
    pub fn tunnel(&self) -> &Tunnel {
        &self.tunnel
    }

    /// Whether it carries traffic.
    pub fn is_up(&self) -> bool {
        self.tunnel.status().state == "up"
    }

    /// The inner addresses it has now.
    pub fn inner_addresses(&self) -> Vec<IpAddr> {
        let children = self.tunnel.status().children;
        children
            .first()
            .map(|child| child.configuration.addresses.iter().map(|(address, _)| *address).collect())
            .unwrap_or_default()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.tunnel.poll_timeout()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.tunnel.handle_timeout(now);
        self.settle(now);
    }

    pub fn close(&mut self, now: Instant) {
        self.tunnel.close(now);
        self.settle(now);
    }

    /// An application's packet.
    pub fn send_packet(&mut self, now: Instant, packet: &[u8]) {
        self.batch.clear();
        assert!(self.batch.push_inner(packet), "the packet fits");
        self.outbound.process(now, &mut self.batch);
        if let Some(local) = self.socket {
            for sealed in self.batch.sealed() {
                let octets = sealed.datagram.to_vec();
                self.outbox.push(Datagram { source: local, destination: sealed.path.remote, octets, whole: true });
            }
        }
        self.settle(now);
    }

    /// A datagram from the wire.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &Datagram) {
        let local = datagram.destination;
        if self.socket.is_none_or(|socket| socket.ip() != local.ip()) {
            return;
        }
        let remote = datagram.source;
        if remote.port() == 500 {
            self.tunnel.handle_datagram(now, Path { local, remote, framing: Framing::Bare }, &datagram.octets);
        } else {
            self.batch.clear();
            let path = Path { local, remote, framing: Framing::Marked };
            assert!(self.batch.push_datagram(&datagram.octets, Arrival { path, tos: 0 }), "the datagram fits");
            self.inbound.process(now, &mut self.batch);
            self.delivered.extend(self.batch.inner().map(<[u8]>::to_vec));
            let messages: Vec<(Path, Vec<u8>)> =
                self.batch.ike().map(|(path, message)| (path, message.to_vec())).collect();
            for (path, message) in messages {
                self.tunnel.handle_datagram(now, path, &message);
            }
        }
        self.settle(now);
    }

    /// Does all that the tunnel and the packet path want done.
    fn settle(&mut self, now: Instant) {
        loop {
            while let Some(report) = self.outbound.poll_report().or_else(|| self.inbound.poll_report()) {
                self.tunnel.handle_report(now, report);
            }
            let Some(action) = self.tunnel.poll_action() else { break };
            self.carry_out(now, action);
        }
        if !self.is_connected {
            self.outbox.clear();
        }
    }

    fn carry_out(&mut self, now: Instant, action: TunnelAction) {
        match action {
            TunnelAction::Resolve { name } => {
                let answer = self.names.get(&name).cloned().ok_or_else(|| "no such name".to_owned());
                self.tunnel.handle_resolved(now, &name, answer);
            }
            TunnelAction::Bind { remote, .. } if !self.is_connected => {
                self.tunnel.handle_bound(now, remote, Err("no route".into()));
            }
            TunnelAction::LookForPath { .. } => {
                let local = self.socket.filter(|_| self.is_connected).ok_or_else(|| "no route".to_owned());
                self.tunnel.handle_path(now, local);
            }
            TunnelAction::Bind { remote, .. } => {
                let local = SocketAddr::new(self.address, PORT);
                self.socket = Some(local);
                self.tunnel.handle_bound(now, remote, Ok(local));
            }
            TunnelAction::LookAtLink { remote } => {
                if let Some(octets) = self.first_link {
                    self.tunnel.handle_link(now, remote, octets);
                }
            }
            TunnelAction::FollowPath { octets, .. } => self.follows = Some(octets),
            TunnelAction::Transmit(transmit) => {
                let marker: &[u8] = match transmit.path.framing {
                    Framing::Bare => &[],
                    Framing::Marked => &[0; 4],
                };
                let octets = [marker, &transmit.message].concat();
                let source = SocketAddr::new(self.address, transmit.path.local.port());
                let whole = transmit.outer == Outer::Whole;
                self.outbox.push(Datagram { source, destination: transmit.path.remote, octets, whole });
            }
            TunnelAction::Data(command) => {
                let (outbound, inbound) = split(command);
                if let Some(command) = inbound {
                    self.inbound.apply(now, command).expect("derived keys fit");
                }
                if let Some(command) = outbound {
                    let applied = self.outbound.apply(now, command).expect("derived keys fit");
                    if let Applied::SendKeepalive(path) = applied {
                        let octets = vec![0xff];
                        self.outbox.push(Datagram {
                            source: path.local,
                            destination: path.remote,
                            octets,
                            whole: true,
                        });
                    }
                }
            }
            TunnelAction::Configure(children) => {
                let remote = children.iter().flat_map(|child| &child.remote);
                let routes = remote.flat_map(crate::sa::selector::Selector::to_prefixes).collect();
                self.tunnel.handle_configured(now, Ok(Progress::Routes { device: "sim".into(), mtu: 1400, routes }));
            }
            TunnelAction::Progress(progress) => self.told.push((now, progress)),
            TunnelAction::Closed { confirmed } => self.closed = Some(confirmed),
        }
    }
}

fn fork(random: &mut dyn Random) -> Box<dyn Random> {
    let mut octets = [0; 8];
    random.fill(&mut octets);
    Box::new(SeededRandom::new(u64::from_be_bytes(octets)))
}
