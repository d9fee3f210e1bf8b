//! Descriptors that go from one process to another over a Unix socket (unix(7), SCM_RIGHTS). It knows how many there may be; it does not know what
//! they are. Unsafe as `io/sys` is: each block hands the kernel pointers to memory that is owned for the whole call, with its true length.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Descriptors in one message, at most.
pub const MOST: usize = 8;

const DATA: usize = MOST.saturating_mul(mem::size_of::<RawFd>());

/// Memory for the ancillary data, aligned as the kernel's header for it wants.
#[repr(C, align(8))]
struct Control([u8; DATA.saturating_add(32)]);

/// Sends octets, at least one, and descriptors with the first of them; the caller keeps its own. Says how many octets went.
///
/// # Errors
/// `InvalidInput` for more than [`MOST`] or nothing to send them with; else what the kernel says.
pub fn send(socket: BorrowedFd<'_>, octets: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if octets.is_empty() || descriptors.len() > MOST {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let len = u32::try_from(mem::size_of_val(descriptors)).unwrap_or_default();
    let mut control = Control([0; DATA.saturating_add(32)]);
    let mut part = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
    // SAFETY: all zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    if !descriptors.is_empty() {
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: pure arithmetic on a length; it is no more than the memory, which has room for `MOST`.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(len) } as _;
        // SAFETY: the message points to `control`, which is aligned for the header and has room for it and for all the numbers behind it.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(len) as _;
            let mut place = libc::CMSG_DATA(header).cast::<RawFd>();
            for descriptor in descriptors {
                place.write_unaligned(descriptor.as_raw_fd());
                place = place.add(1);
            }
        }
    }
    // SAFETY: the message points to one part and to `control`, both with their true lengths, and the kernel only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Receives into `octets` what is there: how many, none when the other side has closed, and the descriptors that came with them.
///
/// # Errors
/// What the kernel says; `InvalidData` when more descriptors came than there may be, which are closed then.
pub fn receive(socket: BorrowedFd<'_>, octets: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = Control([0; DATA.saturating_add(32)]);
    let mut part = libc::iovec { iov_base: octets.as_mut_ptr().cast(), iov_len: octets.len() };
    // SAFETY: all zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    // SAFETY: the message points to one part and to `control`, both with their true lengths.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    let mut descriptors = Vec::new();
    // SAFETY: the kernel filled the ancillary data, and its macros stay within the length that it wrote. Each number is a descriptor that it made for
    // us and nobody else owns.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let octets = ((*header).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
                let numbers = libc::CMSG_DATA(header).cast::<RawFd>();
                for index in 0..octets.checked_div(mem::size_of::<RawFd>()).unwrap_or(0) {
                    descriptors.push(OwnedFd::from_raw_fd(ptr::read_unaligned(numbers.add(index))));
                }
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more descriptors than there may be"));
    }
    Ok((received, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn descriptors_arrive_with_the_first_octet_and_work() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut near, far) = UnixStream::pair().unwrap();
        assert_eq!(send(one.as_fd(), b"two of them", &[far.as_fd(), one.as_fd()]).unwrap(), 11);
        let mut octets = [0; 11];
        let (count, mut descriptors) = receive(other.as_fd(), &mut octets[..1]).unwrap();
        assert_eq!((count, octets[0], descriptors.len()), (1, b't', 2));
        let (count, none) = receive(other.as_fd(), &mut octets[1..]).unwrap();
        assert_eq!((count, &octets, none.len()), (10, b"two of them", 0));
        drop(far);
        near.write_all(b"x").unwrap();
        let mut octet = [0];
        UnixStream::from(descriptors.remove(0)).read_exact(&mut octet).unwrap();
        assert_eq!(octet, *b"x");
    }

    #[test]
    fn what_comes_without_descriptors_has_none_and_an_end_is_no_octets() {
        let (one, other) = UnixStream::pair().unwrap();
        send(one.as_fd(), b"plain", &[]).unwrap();
        drop(one);
        let mut octets = [0; 20];
        let (count, descriptors) = receive(other.as_fd(), &mut octets).unwrap();
        assert_eq!((&octets[..count], descriptors.len()), (b"plain".as_slice(), 0));
        assert_eq!(receive(other.as_fd(), &mut octets).unwrap().0, 0);
    }

    #[test]
    fn more_descriptors_than_there_may_be_are_not_sent() {
        let (one, _other) = UnixStream::pair().unwrap();
        let many = [one.as_fd(); MOST + 1];
        assert_eq!(send(one.as_fd(), b"x", &many).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(send(one.as_fd(), b"x", &many[1..]).is_ok());
        assert_eq!(send(one.as_fd(), b"", &[]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
