//! The system calls of the packet path that the standard library does not have. The only file of `io` with unsafe code:
//! each block hands the kernel pointers to memory that is borrowed or owned for the whole call, with its true length.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io::{self, IoSlice};
use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use crate::bpf::Instruction;

/// The most messages of one receiving or sending call.
pub const BATCH: usize = 64;

/// Room for the ancillary data that is used: the TOS or traffic class octet and the length of a train's datagrams, each kept as an int.
const CONTROL: usize = 64;

/// Memory for ancillary data, aligned as the kernel's header for it wants.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn checked_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn socklen(len: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(len).unwrap_or(libc::socklen_t::MAX)
}

/// A non-blocking eventfd(2).
pub(super) fn event_descriptor() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let fd = checked(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Adds one to an eventfd.
pub(super) fn signal_event(fd: &OwnedFd) -> io::Result<()> {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: the pointer and length are those of `one`.
    checked_len(unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) }).map(|_| ())
}

/// Sets an eventfd to zero.
pub(super) fn clear_event(fd: &OwnedFd) -> io::Result<()> {
    let mut count = [0_u8; 8];
    // SAFETY: the pointer and length are those of `count`.
    checked_len(unsafe { libc::read(fd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) }).map(|_| ())
}

/// poll(2) for reading, on at most three descriptors: each gets whether a read will not block. A signal ends it with nothing ready.
pub(super) fn poll(list: &mut [(RawFd, bool)], limit: Option<Duration>) -> io::Result<()> {
    let mut entries = [libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 }; 3];
    for (entry, (fd, _)) in entries.iter_mut().zip(list.iter()) {
        entry.fd = *fd;
    }
    let milliseconds = limit.map_or(-1, milliseconds);
    // SAFETY: the pointer and count are those of `entries`; entries with a descriptor of -1 are ignored by the kernel.
    let result = unsafe { libc::poll(entries.as_mut_ptr(), 3, milliseconds) };
    if let Err(error) = checked(result) {
        return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
    }
    // POLLERR, POLLHUP and POLLNVAL count as readable: the read tells what is the matter.
    for (entry, (_, readable)) in entries.iter().zip(list.iter_mut()) {
        *readable = entry.revents != 0;
    }
    Ok(())
}

/// Waits until a write will not block; `false` when `limit` is over first.
pub(super) fn poll_writable(fd: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: the pointer is to one entry.
    checked(unsafe { libc::poll(&raw mut entry, 1, milliseconds(limit)) }).map(|ready| ready > 0)
}

/// Rounded up, so that a short wait does not become a busy loop.
fn milliseconds(limit: Duration) -> libc::c_int {
    libc::c_int::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
}

/// TUNSETIFF on an open `/dev/net/tun`; gives the name the kernel chose. `name` may hold one `%d`, and has at most 15 octets.
/// `flags` are those beside IFF_TUN and IFF_NO_PI.
pub(super) fn attach_tun(fd: BorrowedFd<'_>, name: &str, flags: libc::c_int) -> io::Result<String> {
    // SAFETY: all zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if name.len() >= request.ifr_name.len() || name.contains('\0') {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    for (slot, octet) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *slot = libc::c_char::from_ne_bytes([octet]);
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | flags;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).unwrap_or_default();
    // SAFETY: TUNSETIFF reads and writes one ifreq, which `request` is.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
    // SAFETY: the array started as zeros, at most 15 octets were written by us, and the kernel ends what it writes with a zero.
    let chosen = unsafe { CStr::from_ptr(request.ifr_name.as_ptr()) };
    Ok(chosen.to_string_lossy().into_owned())
}

/// TUNGETIFF: the name and the flags of the device that is attached.
pub(super) fn attached_tun(fd: BorrowedFd<'_>) -> io::Result<(String, libc::c_int)> {
    // SAFETY: all zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // SAFETY: TUNGETIFF writes one ifreq, which `request` is.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNGETIFF, &raw mut request) })?;
    // SAFETY: the kernel ends the name with a zero, and wrote the flags.
    let (name, flags) = unsafe { (CStr::from_ptr(request.ifr_name.as_ptr()), request.ifr_ifru.ifru_flags) };
    Ok((name.to_string_lossy().into_owned(), libc::c_int::from(flags)))
}

/// TUNSETOFFLOAD: what may be unfinished in the packets that are read.
pub(super) fn set_tun_offload(fd: BorrowedFd<'_>, features: libc::c_uint) -> io::Result<()> {
    // SAFETY: the argument is a number, not a pointer.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(features)) }).map(|_| ())
}

/// Whether the calling thread's network namespace has a device of this name.
pub(super) fn device_exists(name: &str) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    // SAFETY: the pointer is to a string that ends with a zero.
    unsafe { libc::if_nametoindex(name.as_ptr()) != 0 }
}

/// setsockopt(2) with an int.
pub(super) fn set_option(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let len = socklen(mem::size_of_val(&value));
    // SAFETY: the pointer and length are those of `value`.
    checked(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), len) }).map(|_| ())
}

/// getsockopt(2) of an int.
pub(super) fn option(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len = socklen(mem::size_of_val(&value));
    // SAFETY: the pointers are to `value` and its length, both ours.
    checked(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len) })?;
    Ok(value)
}

/// SO_ATTACH_FILTER: the program takes the place of the one before.
pub(super) fn attach_filter(fd: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    let len = libc::c_ushort::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // `Instruction` is laid out as sock_filter. The kernel only reads it, though the pointer is not const.
    let filter = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    let size = socklen(mem::size_of_val(&filter));
    // SAFETY: the pointer and length are those of `filter`, which points to `len` instructions that live until the call returns.
    checked(unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, (&raw const filter).cast(), size)
    })
    .map(|_| ())
}

/// Datagrams that a socket dropped since it was made, for want of room above all. The kernel counts 32 bits.
pub(super) fn drops(fd: BorrowedFd<'_>) -> io::Result<u32> {
    const DROPS: usize = libc::SK_MEMINFO_DROPS as usize;
    let mut values = [0_u32; DROPS + 1];
    let mut len = socklen(mem::size_of_val(&values));
    // SAFETY: the pointers are to `values` and its length, both ours; the kernel writes no more than that.
    checked(unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, values.as_mut_ptr().cast(), &raw mut len)
    })?;
    Ok(values[DROPS])
}

/// One datagram that was received, or room for one.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// Where the octets go.
    pub buffer: &'a mut [u8],
    /// How many arrived.
    pub len: usize,
    /// Octets of each datagram in it but the last, which may be shorter; 0 when there is one datagram.
    pub segment: usize,
    /// From whom.
    pub from: Option<SocketAddr>,
    /// TOS or traffic class of the outer header.
    pub tos: u8,
    /// More octets came than there was room for.
    pub truncated: bool,
}

impl<'a> Arrival<'a> {
    /// Room for one datagram.
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0, segment: 0, from: None, tos: 0, truncated: false }
    }
}

/// recvmmsg(2) without blocking: fills the first of `arrivals` (at most [`BATCH`]) and says how many.
pub(super) fn receive(fd: BorrowedFd<'_>, arrivals: &mut [Arrival<'_>]) -> io::Result<usize> {
    // SAFETY: all zero is a valid address of no family.
    let mut names: [libc::sockaddr_in6; BATCH] = unsafe { mem::zeroed() };
    let mut controls = [Control([0; CONTROL]); BATCH];
    let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
    // SAFETY: all zero is a valid mmsghdr: no name, no vectors, no control.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    let parts = headers.iter_mut().zip(names.iter_mut()).zip(controls.iter_mut()).zip(vectors.iter_mut());
    let mut count: libc::c_uint = 0;
    for ((((header, name), control), vector), arrival) in parts.zip(arrivals.iter_mut()) {
        vector.iov_base = arrival.buffer.as_mut_ptr().cast();
        vector.iov_len = arrival.buffer.len();
        header.msg_hdr.msg_name = ptr::from_mut(name).cast();
        header.msg_hdr.msg_namelen = socklen(mem::size_of::<libc::sockaddr_in6>());
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = CONTROL as _;
        count = count.saturating_add(1);
    }
    // SAFETY: the first `count` headers point to names, vectors, controls and buffers that live until this function returns,
    // each with its true length.
    let received = checked(unsafe {
        libc::recvmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _, ptr::null_mut())
    })?;
    let received = usize::try_from(received).unwrap_or_default();
    for ((header, name), arrival) in headers.iter().zip(names.iter()).zip(arrivals.iter_mut()).take(received) {
        arrival.len = usize::try_from(header.msg_len).unwrap_or_default().min(arrival.buffer.len());
        arrival.from = address(name);
        arrival.truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        (arrival.tos, arrival.segment) = ancillary(&header.msg_hdr);
    }
    Ok(received)
}

/// What a received header's ancillary data tells: the TOS or traffic class, and the length of a train's datagrams; 0 for what is not there.
fn ancillary(header: &libc::msghdr) -> (u8, usize) {
    let (mut tos, mut segment) = (0, 0);
    // SAFETY: `header` came back from the kernel with its control memory still borrowed by the caller; the macros stay inside it.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: not null, so it points to a whole cmsghdr within the control memory.
        let head = unsafe { message.read() };
        // SAFETY: as above; data follows the header within the control memory.
        let data = unsafe { libc::CMSG_DATA(message) };
        // SAFETY: called only where the kernel wrote an int; it may stand unaligned.
        let int = || unsafe { data.cast::<libc::c_int>().read_unaligned() };
        match (head.cmsg_level, head.cmsg_type) {
            // IP_TOS comes as one octet.
            // SAFETY: the kernel wrote at least one octet of data.
            (libc::IPPROTO_IP, libc::IP_TOS) => tos = unsafe { data.read() },
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => tos = u8::try_from(int() & 0xff).unwrap_or_default(),
            (libc::IPPROTO_UDP, libc::UDP_GRO) => segment = usize::try_from(int()).unwrap_or_default(),
            _ => {}
        }
        // SAFETY: both pointers are into the header's own control memory.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    (tos, segment)
}

/// What the network said of a datagram that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SocketError {
    /// To whom it had been sent.
    pub(super) to: Option<SocketAddr>,
    /// An error number.
    pub(super) code: libc::c_int,
    /// With EMSGSIZE, how long it may be.
    pub(super) info: u32,
}

/// Takes the next entry of the error queue (IP_RECVERR); `None` when it is empty.
pub(super) fn next_error(fd: BorrowedFd<'_>) -> io::Result<Option<SocketError>> {
    // SAFETY: all zero is a valid address of no family.
    let mut name: libc::sockaddr_in6 = unsafe { mem::zeroed() };
    let mut controls = [Control([0; CONTROL]); 4];
    // SAFETY: all zero is a valid msghdr: no name, no vectors, no control.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = socklen(mem::size_of_val(&name));
    header.msg_control = controls.as_mut_ptr().cast();
    header.msg_controllen = mem::size_of_val(&controls) as _;
    // SAFETY: the header points to a name and to ancillary memory that live until this function returns, with their true lengths.
    let result = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
    match checked_len(result) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut entry = SocketError { to: address(&name), code: 0, info: 0 };
    // SAFETY: the header came back from the kernel with its control memory still borrowed; the macros stay inside it.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    while !message.is_null() {
        // SAFETY: not null, so it points to a whole cmsghdr within the control memory.
        let head = unsafe { message.read() };
        if matches!(
            (head.cmsg_level, head.cmsg_type),
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        ) {
            // SAFETY: the kernel wrote a sock_extended_err here, valid for any octets; it may stand unaligned.
            let said = unsafe { libc::CMSG_DATA(message).cast::<libc::sock_extended_err>().read_unaligned() };
            entry.code = libc::c_int::try_from(said.ee_errno).unwrap_or_default();
            entry.info = said.ee_info;
        }
        // SAFETY: both pointers are into the header's own control memory.
        message = unsafe { libc::CMSG_NXTHDR(&raw const header, message) };
    }
    Ok(Some(entry))
}

/// One datagram to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Departure<'a> {
    /// The first part.
    pub head: &'a [u8],
    /// What follows it directly.
    pub body: &'a [u8],
    /// To whom.
    pub to: SocketAddr,
    /// TOS or traffic class of the outer header.
    pub tos: u8,
}

/// One message of a sending call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    /// To whom.
    pub(super) to: SocketAddr,
    /// TOS or traffic class of the outer header.
    pub(super) tos: u8,
    /// How many parts it is made of.
    pub(super) parts: usize,
    /// How many datagrams it is. One, or a train.
    pub(super) datagrams: usize,
    /// Octets of each datagram of a train but the last, which may be shorter.
    pub(super) segment: u16,
}

impl Message {
    /// Nothing, to nobody.
    pub(super) const NONE: Self = Self {
        to: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
        tos: 0,
        parts: 0,
        datagrams: 0,
        segment: 0,
    };
}

/// sendmmsg(2) without blocking: sends the first of `messages` (at most [`BATCH`]) and says how many. Each is made of the next of `parts`.
/// The error is that of the first; those after a failed one were not tried.
pub(super) fn send(fd: BorrowedFd<'_>, messages: &[Message], parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut names = [MaybeUninit::<libc::sockaddr_storage>::uninit(); BATCH];
    let mut controls = [Control([0; CONTROL]); BATCH];
    // SAFETY: all zero is a valid mmsghdr: no name, no vectors, no control.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    let slots = headers.iter_mut().zip(names.iter_mut()).zip(controls.iter_mut());
    let mut rest = parts;
    let mut count: libc::c_uint = 0;
    for (((header, name), control), message) in slots.zip(messages) {
        let (own, behind) = rest.split_at_checked(message.parts).ok_or(io::ErrorKind::InvalidInput)?;
        rest = behind;
        let header = &mut header.msg_hdr;
        header.msg_name = name.as_mut_ptr().cast();
        header.msg_namelen = to_storage(message.to, name);
        // IoSlice is laid out as iovec. The kernel only reads what is sent, though the pointer is not const.
        header.msg_iov = own.as_ptr().cast_mut().cast();
        header.msg_iovlen = own.len() as _;
        let mut used = 0;
        if message.tos != 0 {
            let (level, kind) = match message.to {
                SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
                SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            };
            used = put_control(control, used, (level, kind), libc::c_int::from(message.tos));
        }
        if message.datagrams > 1 {
            used = put_control(control, used, (libc::SOL_UDP, libc::UDP_SEGMENT), message.segment);
        }
        if used > 0 {
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = used as _;
        }
        count = count.saturating_add(1);
    }
    // SAFETY: the first `count` headers point to names, parts, controls and data that live until this function returns,
    // each with its true length.
    let sent =
        checked(unsafe { libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _) })?;
    Ok(usize::try_from(sent).unwrap_or_default())
}

/// Writes one item of ancillary data at `at`, where the one before it ended, and says where it ends.
fn put_control<T: Copy>(control: &mut Control, at: usize, what: (libc::c_int, libc::c_int), value: T) -> usize {
    let len = u32::try_from(mem::size_of::<T>()).unwrap_or_default();
    // SAFETY: pure arithmetic on a length.
    let (space, len) = unsafe { (libc::CMSG_SPACE(len) as usize, libc::CMSG_LEN(len)) };
    let end = at.saturating_add(space);
    if end > CONTROL {
        return at;
    }
    // SAFETY: `at` is 0 or the end of an item, so it is aligned as a header must be, and header and data lie before `end`, within the memory.
    unsafe {
        let message = control.0.as_mut_ptr().add(at).cast::<libc::cmsghdr>();
        (*message).cmsg_level = what.0;
        (*message).cmsg_type = what.1;
        (*message).cmsg_len = len as _;
        libc::CMSG_DATA(message).cast::<T>().write_unaligned(value);
    }
    end
}

/// An address of either family, which stands in memory for the longer one.
fn address(name: &libc::sockaddr_in6) -> Option<SocketAddr> {
    match libc::c_int::from(name.sin6_family) {
        libc::AF_INET => {
            // SAFETY: sockaddr_in is shorter than sockaddr_in6, needs no stricter alignment and is valid for any octets; the family says that it is one.
            let address = unsafe { &*ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(address.sin_port)).into())
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(name.sin6_port), 0, name.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn to_storage(address: SocketAddr, storage: &mut MaybeUninit<libc::sockaddr_storage>) -> libc::socklen_t {
    match address {
        SocketAddr::V4(address) => {
            let plain = libc::sockaddr_in {
                sin_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap_or_default(),
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage is large enough and aligned for every address.
            unsafe { storage.as_mut_ptr().cast::<libc::sockaddr_in>().write(plain) };
            socklen(mem::size_of_val(&plain))
        }
        SocketAddr::V6(address) => {
            let plain = libc::sockaddr_in6 {
                sin6_family: libc::sa_family_t::try_from(libc::AF_INET6).unwrap_or_default(),
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            };
            // SAFETY: as above.
            unsafe { storage.as_mut_ptr().cast::<libc::sockaddr_in6>().write(plain) };
            socklen(mem::size_of_val(&plain))
        }
    }
}
