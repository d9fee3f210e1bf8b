//! The kill switch in the kernel's packet filter: nothing for a closed subnet leaves by another device than a tunnel's, whatever
//! the routes say, and nothing for a tunnel's own address comes in by another device (CVE-2019-14899).
//!
//! One table a tunnel, replaced as a whole: there is no moment with half of the rules. Rules are written as netlink messages of the
//! kernel's own (linux/netfilter/nf_tables.h), in `message`; no program and no library is needed.

mod message;

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr};

use socket2::{Domain, Protocol, Socket, Type};

use crate::os::nftables::message::{Batch, Chain, Hook, Match, Verdict};
use crate::os::prefix::{Family, Prefix};

/// What the packet filter is to hold back for one tunnel.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ruleset {
    /// Subnets whose packets leave by the devices of tunnels only.
    pub closed: Vec<Prefix>,
    /// Our inner addresses: packets for them come from the devices of tunnels, or from this host itself.
    pub inside: Vec<IpAddr>,
}

/// Puts the rules in force in the network namespace of the calling thread, in the place of those that the tunnel had.
///
/// # Errors
/// EOPNOTSUPP or EPROTONOSUPPORT where the kernel has no nftables, EPERM without CAP_NET_ADMIN.
pub(super) fn load(tunnel: &str, ruleset: &Ruleset) -> io::Result<()> {
    let mut batch = Batch::replace_table(&table(tunnel));
    let leaving = batch.chain(&Chain { name: "leaving", hook: Hook::PostRouting, priority: 0 });
    for exempt in exemptions() {
        batch.rule(leaving, &exempt, Verdict::Accept);
    }
    for closed in &ruleset.closed {
        batch.rule(leaving, &[Match::To(*closed)], Verdict::Drop);
    }
    let arriving = batch.chain(&Chain { name: "arriving", hook: Hook::PreRouting, priority: BEFORE_TRACKING });
    for inside in &ruleset.inside {
        let matches = [Match::To(Prefix::host(*inside)), Match::NotFromTunnel, Match::NotFromLoopback];
        batch.rule(arriving, &matches, Verdict::Drop);
    }
    send(&batch.finish())
}

/// Takes the tunnel's rules out of force. None there is well.
pub(super) fn remove(tunnel: &str) -> io::Result<()> {
    match send(&Batch::delete_table(&table(tunnel)).finish()) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => other,
    }
}

/// The priority of the table `raw`: before connections are tracked.
const BEFORE_TRACKING: i32 = -300;

/// What leaves although a closed subnet may hold where it goes: what is sealed or will be, what stays on the host, and what keeps an
/// IPv6 link alive, which no tunnel could carry (RFC 4861).
fn exemptions() -> [Vec<Match>; 6] {
    let link_local = Prefix::new(IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10);
    let link_scope = Prefix::new(IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0)), 16);
    let to = |prefix: Option<Prefix>| prefix.map(Match::To).into_iter().collect();
    [
        vec![Match::IntoTunnel],
        vec![Match::IntoLoopback],
        vec![Match::Marked],
        to(link_local),
        to(link_scope),
        vec![Match::Family(Family::Ipv6), Match::NeighbourDiscovery],
    ]
}

/// As `nft list ruleset` shows it. nft wants letters, digits, `-`, `_` and `.` in a name.
pub(super) fn table(tunnel: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '_' };
    format!("vpnd-{}", tunnel.chars().map(plain).take(64).collect::<String>())
}

/// The kernel has done all of it, and said what it thinks of it, when sending returns.
fn send(batch: &[u8]) -> io::Result<()> {
    let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(Protocol::from(libc::NETLINK_NETFILTER)))?;
    socket.set_nonblocking(true)?;
    // A subnet is about 300 octets; a batch goes as one message.
    let _ = socket.set_send_buffer_size(batch.len().saturating_mul(2).max(1 << 16));
    if socket.send(batch)? != batch.len() {
        return Err(ErrorKind::WriteZero.into());
    }
    let mut acknowledged = false;
    let mut memory = [0_u8; 1 << 14];
    loop {
        let read = match io::Read::read(&mut &socket, &mut memory) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        };
        for answer in message::answers(memory.get(..read).unwrap_or_default()) {
            match answer {
                0 => acknowledged = true,
                number => return Err(io::Error::from_raw_os_error(number)),
            }
        }
    }
    if acknowledged { Ok(()) } else { Err(io::Error::other("the kernel did not answer")) }
}
