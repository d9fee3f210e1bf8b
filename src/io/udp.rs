//! The UDP socket towards the gateway, one an address family. ESP and IKE share it (RFC 3948 §2).
//!
//! It is not connected: the gateway answers from port 500 and from port 4500, and a MOBIKE gateway from another address.
//! Who may send to us is the reader's matter. Nothing here is shared between threads but the descriptor.

mod send;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};

use socket2::{Domain, Protocol, Socket, Type};

use crate::bpf::Program;
use crate::io::sys;
use crate::io::train::Trains;
use crate::sa::path::Path;

pub use send::without_marker;
pub use sys::{Arrival, BATCH, Departure};

/// Whether the outer IP layer fragments datagrams that are larger than the path's MTU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathMtuDiscovery {
    /// The kernel remembers what the path carries, sets DF on what fits, and fragments what does not.
    Want,
    /// DF on everything; what does not fit is refused with EMSGSIZE.
    Do,
    /// DF on nothing.
    Dont,
    /// DF on everything, and the remembered path MTU is ignored: ICMP, which anybody can send, changes nothing.
    /// What may be cut ([`UdpSocket::send_cut`]) has no DF.
    #[default]
    Probe,
}

/// How a socket is made.
#[derive(Clone, Debug)]
pub struct UdpOptions {
    /// The local address; unspecified lets the routes choose, port 0 is an ephemeral one (N-08).
    pub bind: SocketAddr,
    /// A firewall mark for everything this socket sends. Needs CAP_NET_ADMIN.
    pub mark: Option<u32>,
    /// Fragmentation of the outer layer.
    pub discovery: PathMtuDiscovery,
    /// Octets of the kernel's receive and send buffers; the host's limit may make them smaller.
    pub buffers: usize,
    /// Whether datagrams of equal length may be received as one train (UDP_GRO). A kernel that refuses gives single ones.
    pub receive_trains: bool,
    /// Which datagrams go in trains, where the kernel has them (UDP_SEGMENT, Linux 4.18).
    pub send_trains: Trains,
}

/// Octets of the kernel's buffers unless asked otherwise: 10 ms at 3 Gbit/s.
pub const DEFAULT_BUFFERS: usize = 4 << 20;

impl UdpOptions {
    /// An ephemeral port on every address of the family of `remote`.
    pub fn towards(remote: IpAddr) -> Self {
        let any = match remote {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self {
            bind: SocketAddr::new(any, 0),
            mark: None,
            discovery: PathMtuDiscovery::default(),
            buffers: DEFAULT_BUFFERS,
            receive_trains: true,
            send_trains: Trains::ALL,
        }
    }
}

/// The socket. Clones share it.
#[derive(Clone, Debug)]
pub struct UdpSocket {
    socket: Arc<Socket>,
    bound: SocketAddr,
    mark: Option<u32>,
    receives_trains: bool,
    send_trains: Trains,
    discovery: PathMtuDiscovery,
    /// Held while DF is off, and while something leaves that must have it.
    uncut: Arc<Mutex<()>>,
}

/// What the network said, unprotected, of datagrams that were sent to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathNews {
    /// The path carries datagrams of so many octets, IP header included.
    TooLong(u16),
    /// They do not arrive.
    Unreachable,
}

/// Entries of the error queue that are looked at in one go.
const MOST_NEWS: usize = 4096;

impl UdpSocket {
    /// Makes and binds a non-blocking socket that tells the TOS or traffic class of what arrives.
    ///
    /// # Errors
    /// EADDRINUSE for a configured port that is taken, EADDRNOTAVAIL for a configured address that the host does not have,
    /// EPERM for a mark without CAP_NET_ADMIN, EAFNOSUPPORT where the family is switched off.
    pub fn bind(options: &UdpOptions) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(options.bind), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        let (level, discover) = if options.bind.is_ipv4() {
            socket.set_recv_tos_v4(true)?;
            (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER)
        } else {
            socket.set_only_v6(true)?;
            socket.set_recv_tclass_v6(true)?;
            (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER)
        };
        // IPV6_PMTUDISC_* have the same numbers.
        sys::set_option(socket.as_fd(), level, discover, options.discovery.mode())?;
        // What ICMP says waits in a queue of its own.
        let (level, name) = if options.bind.is_ipv4() {
            (libc::IPPROTO_IP, libc::IP_RECVERR)
        } else {
            (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        };
        sys::set_option(socket.as_fd(), level, name, 1)?;
        size_buffers(&socket, options.buffers);
        if let Some(mark) = options.mark {
            socket.set_mark(mark)?;
        }
        let receives_trains =
            options.receive_trains && sys::set_option(socket.as_fd(), libc::IPPROTO_UDP, libc::UDP_GRO, 1).is_ok();
        socket.bind(&options.bind.into())?;
        let bound = local_of(&socket)?;
        let has_trains = sys::option(socket.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT).is_ok();
        let send_trains = if has_trains { options.send_trains } else { Trains::NONE };
        Ok(Self {
            socket: Arc::new(socket),
            bound,
            mark: options.mark,
            receives_trains,
            send_trains,
            discovery: options.discovery,
            uncut: Arc::default(),
        })
    }

    /// Takes over a socket that another process made with [`Self::bind`], with everything that is set of it.
    ///
    /// # Errors
    /// It is no UDP socket.
    pub fn adopt(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(descriptor);
        if socket.r#type()? != Type::DGRAM {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let bound = local_of(&socket)?;
        let has = |level, name| sys::option(socket.as_fd(), level, name);
        let receives_trains = has(libc::IPPROTO_UDP, libc::UDP_GRO).is_ok_and(|set| set != 0);
        let send_trains = if has(libc::SOL_UDP, libc::UDP_SEGMENT).is_ok() { Trains::ALL } else { Trains::NONE };
        let mark = socket.mark().ok().filter(|mark| *mark != 0);
        let discovery = PathMtuDiscovery::default();
        let uncut = Arc::default();
        Ok(Self { socket: Arc::new(socket), bound, mark, receives_trains, send_trains, discovery, uncut })
    }

    /// Whether the kernel may give several datagrams as one train.
    pub const fn receives_trains(&self) -> bool {
        self.receives_trains
    }

    /// Which datagrams can be sent in trains, as far as the kernel tells before one was sent.
    pub const fn send_trains(&self) -> Trains {
        self.send_trains
    }

    /// The address and port the socket is bound to; the address may be unspecified.
    pub const fn bound(&self) -> SocketAddr {
        self.bound
    }

    /// The address that datagrams to `remote` leave from by today's routes, with this socket's port: `Path::local`.
    ///
    /// # Errors
    /// ENETUNREACH or EHOSTUNREACH when there is no route.
    pub fn local_towards(&self, remote: IpAddr) -> io::Result<SocketAddr> {
        if !self.bound.ip().is_unspecified() {
            return Ok(self.bound);
        }
        let probe = self.connected_probe(remote)?;
        Ok(SocketAddr::new(local_of(&probe)?.ip(), self.bound.port()))
    }

    /// Octets (IP header included) of the largest datagram that the kernel believes to reach `remote` whole.
    ///
    /// # Errors
    /// As for [`Self::local_towards`].
    pub fn path_mtu(&self, remote: IpAddr) -> io::Result<u16> {
        let probe = self.connected_probe(remote)?;
        let (level, name) =
            if remote.is_ipv4() { (libc::IPPROTO_IP, libc::IP_MTU) } else { (libc::IPPROTO_IPV6, libc::IPV6_MTU) };
        // A loopback device has 65536.
        Ok(u16::try_from(sys::option(probe.as_fd(), level, name)?).unwrap_or(u16::MAX))
    }

    /// Has the kernel drop what the program does not take, from now on. What waits already was let in by the one before; there is no moment
    /// with none.
    ///
    /// # Errors
    /// ENOMEM where the host allows sockets no memory for it; the program before stays in force.
    pub fn set_filter(&self, program: &Program) -> io::Result<()> {
        sys::attach_filter(self.socket.as_fd(), program.instructions())
    }

    /// Datagrams that arrived and were dropped by the kernel, because the filter did not take them or the buffer was full; 0 where it does not
    /// tell. Counts to 2^32 and begins anew.
    pub fn unreceived(&self) -> u32 {
        sys::drops(self.socket.as_fd()).unwrap_or(0)
    }

    /// What the network said of what was sent, and to whom; taken from the kernel's queue.
    pub fn take_news(&self, mut each: impl FnMut(IpAddr, PathNews)) {
        for _ in 0..MOST_NEWS {
            let Ok(Some(entry)) = sys::next_error(self.socket.as_fd()) else { return };
            let Some(to) = entry.to else { continue };
            match entry.code {
                // RFC 1191 §5: old routers say 0.
                libc::EMSGSIZE => each(to.ip(), PathNews::TooLong(u16::try_from(entry.info).unwrap_or(u16::MAX))),
                libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EHOSTDOWN | libc::ENOPROTOOPT => {
                    each(to.ip(), PathNews::Unreachable);
                }
                _ => {}
            }
        }
    }

    /// Receives datagrams into `arrivals` (at most [`BATCH`] of them) and says how many came: none when none wait, or when there is news of
    /// those that we sent ([`Self::take_news`]).
    ///
    /// # Errors
    /// Only what makes the socket useless. What ICMP told of datagrams we sent is passed over (N-10).
    pub fn receive(&self, arrivals: &mut [Arrival<'_>]) -> io::Result<usize> {
        match sys::receive(self.socket.as_fd(), arrivals) {
            Ok(count) => Ok(count),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
                    || is_about_another(&error) =>
            {
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    fn connected_probe(&self, remote: IpAddr) -> io::Result<Socket> {
        let probe = Socket::new(Domain::for_address(self.bound), Type::DGRAM, Some(Protocol::UDP))?;
        if let Some(mark) = self.mark {
            probe.set_mark(mark)?;
        }
        if !self.bound.ip().is_unspecified() {
            probe.bind(&SocketAddr::new(self.bound.ip(), 0).into())?;
        }
        // Connecting a UDP socket sends nothing; the port only has to be one.
        probe.connect(&SocketAddr::new(remote, 4500).into())?;
        Ok(probe)
    }
}

impl PathMtuDiscovery {
    const fn mode(self) -> libc::c_int {
        match self {
            Self::Dont => libc::IP_PMTUDISC_DONT,
            Self::Want => libc::IP_PMTUDISC_WANT,
            Self::Do => libc::IP_PMTUDISC_DO,
            Self::Probe => libc::IP_PMTUDISC_PROBE,
        }
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The sockets of both families, as far as there are any. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct UdpSockets {
    /// For gateways with an IPv4 address.
    pub ipv4: Option<UdpSocket>,
    /// For gateways with an IPv6 address.
    pub ipv6: Option<UdpSocket>,
}

impl UdpSockets {
    /// The socket that reaches `remote`.
    pub const fn towards(&self, remote: IpAddr) -> Option<&UdpSocket> {
        match remote {
            IpAddr::V4(_) => self.ipv4.as_ref(),
            IpAddr::V6(_) => self.ipv6.as_ref(),
        }
    }

    /// Sends one IKE message, as [`UdpSocket::send_ike`].
    ///
    /// # Errors
    /// EAFNOSUPPORT when there is no socket of the family.
    pub fn send_ike(&self, path: &Path, message: &[u8]) -> io::Result<()> {
        let socket = self.towards(path.remote.ip());
        socket.ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))?.send_ike(path, message)
    }

    /// Sends one IKE message, as [`UdpSocket::send_ike_whole`].
    ///
    /// # Errors
    /// EAFNOSUPPORT when there is no socket of the family.
    pub fn send_ike_whole(&self, path: &Path, message: &[u8]) -> io::Result<()> {
        let socket = self.towards(path.remote.ip());
        socket.ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))?.send_ike_whole(path, message)
    }

    /// All sockets there are.
    pub fn iter(&self) -> impl Iterator<Item = &UdpSocket> {
        self.ipv4.iter().chain(&self.ipv6)
    }
}

/// Whether an error is news of the network and not of the socket: the next datagram may well pass.
pub fn is_about_another(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::EMSGSIZE
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::ENETDOWN
                | libc::ENOPROTOOPT
                | libc::EPROTO
                | libc::EPERM
                | libc::ENOBUFS
                | libc::ENOMEM
        )
    )
}

fn size_buffers(socket: &Socket, octets: usize) {
    let wanted = libc::c_int::try_from(octets).unwrap_or(libc::c_int::MAX);
    // With CAP_NET_ADMIN the host's limit does not hold; without, as much as it gives.
    if sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, wanted).is_err() {
        let _ = socket.set_recv_buffer_size(octets);
    }
    if sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, wanted).is_err() {
        let _ = socket.set_send_buffer_size(octets);
    }
}

fn local_of(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::io::wake::{Waker, wait};

    pub(super) fn loopback() -> UdpSocket {
        UdpSocket::bind(&UdpOptions {
            bind: "127.0.0.1:0".parse().unwrap(),
            ..UdpOptions::towards(IpAddr::V4(Ipv4Addr::LOCALHOST))
        })
        .unwrap()
    }

    pub(super) fn send_all(socket: &UdpSocket, departures: &[Departure<'_>]) -> (usize, io::Result<()>) {
        socket.send_all(departures.iter().copied(), &mut socket.send_trains())
    }

    pub(super) fn wait_for(socket: &UdpSocket) {
        let limit = Some(Duration::from_secs(10));
        assert!(wait(&Waker::new().unwrap(), &[socket.as_fd()], limit).unwrap().readable[0], "nothing arrived");
    }

    pub(super) fn receive_one(socket: &UdpSocket) -> (Vec<u8>, SocketAddr, u8) {
        wait_for(socket);
        let mut memory = [0_u8; 2048];
        let mut arrivals = [Arrival::new(&mut memory)];
        assert_eq!(socket.receive(&mut arrivals).unwrap(), 1);
        let [arrival] = arrivals;
        (arrival.buffer[..arrival.len].to_vec(), arrival.from.unwrap(), arrival.tos)
    }

    #[test]
    fn several_datagrams_come_in_one_call_and_a_long_one_says_that_it_was_cut() {
        let (a, b) = (loopback(), loopback());
        let long = [7_u8; 100];
        let departure = |body| Departure { head: b"", body, to: b.bound(), tos: 0 };
        assert_eq!(send_all(&a, &[departure(&[1]), departure(&long), departure(&[])]).0, 3);
        wait_for(&b);
        let mut memory = [[0_u8; 64]; 4];
        let mut arrivals = memory.each_mut().map(|buffer| Arrival::new(&mut buffer[..]));
        assert_eq!(b.receive(&mut arrivals).unwrap(), 3);
        let seen: Vec<_> = arrivals.iter().take(3).map(|arrival| (arrival.len, arrival.truncated)).collect();
        assert_eq!(seen, [(1, false), (64, true), (0, false)]);
        assert_eq!(b.receive(&mut arrivals).unwrap(), 0);
    }

    #[test]
    fn datagrams_that_find_no_room_are_counted() {
        let a = loopback();
        let bind = a.bound();
        let options = UdpOptions { buffers: 0, receive_trains: false, ..UdpOptions::towards(bind.ip()) };
        let b = UdpSocket::bind(&UdpOptions { bind: SocketAddr::new(bind.ip(), 0), ..options }).unwrap();
        assert_eq!(b.unreceived(), 0);
        let departure = Departure { head: b"", body: &[0; 1000], to: b.bound(), tos: 0 };
        assert_eq!(a.send_all([departure; 50].into_iter(), &mut a.send_trains()).0, 50);
        let mut memory = [[0_u8; 1000]; BATCH];
        let mut arrivals = memory.each_mut().map(|buffer| Arrival::new(&mut buffer[..]));
        let received = b.receive(&mut arrivals).unwrap();
        assert_eq!(received + usize::try_from(b.unreceived()).unwrap(), 50);
        assert!(b.unreceived() > 0, "{received}");
    }

    #[test]
    fn n_10_a_refusal_by_icmp_loses_no_datagram_and_ends_nothing() {
        let (a, b) = (loopback(), loopback());
        let closed = loopback().bound();
        // With this the kernel tells an unconnected socket what ICMP said.
        sys::set_option(a.as_fd(), libc::IPPROTO_IP, libc::IP_RECVERR, 1).unwrap();
        let departure = |to| Departure { head: b"", body: b"x", to, tos: 0 };
        assert_eq!(send_all(&a, &[departure(closed)]).0, 1);
        let (sent, outcome) = send_all(&a, &[departure(b.bound())]);
        assert_eq!((sent, outcome.is_ok()), (1, true));
        assert_eq!(receive_one(&b).0, b"x");
        assert_eq!(send_all(&a, &[departure(closed)]).0, 1);
        let mut memory = [0_u8; 64];
        assert_eq!(a.receive(&mut [Arrival::new(&mut memory)]).unwrap(), 0);
    }

    #[test]
    fn the_local_address_is_the_one_that_the_routes_choose_with_the_sockets_port() {
        let socket = UdpSocket::bind(&UdpOptions::towards(IpAddr::V4(Ipv4Addr::LOCALHOST))).unwrap();
        assert!(socket.bound().ip().is_unspecified());
        let local = socket.local_towards(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        assert_eq!(local, SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), socket.bound().port()));
        assert_ne!(local.port(), 0);
        assert!(socket.path_mtu(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap() >= 1500);
    }
}
