//! The process-wide system calls that the standard library does not have. The only file of `os` with unsafe code: neither call
//! is handed memory that outlives it.
#![allow(unsafe_code)]

use std::io;

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lets nobody of the same user trace the process or read its memory, and makes the kernel write no core dump of it.
///
/// # Errors
/// What the kernel says; the first failure ends the attempt.
pub fn forbid_dumps() -> io::Result<()> {
    // SAFETY: PR_SET_DUMPABLE takes one number and no pointer.
    checked(unsafe {
        libc::prctl(
            libc::PR_SET_DUMPABLE,
            0 as libc::c_ulong,
            0 as libc::c_ulong,
            0 as libc::c_ulong,
            0 as libc::c_ulong,
        )
    })?;
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a whole rlimit, which the kernel only reads.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) })
}
