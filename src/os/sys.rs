//! The process-wide system calls that the standard library does not have. The only file of `os` with unsafe code: no call
//! is handed memory that it outlives.
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

/// Who the process acts as: its effective user.
pub fn user() -> u32 {
    // SAFETY: it takes nothing, and cannot fail.
    unsafe { libc::geteuid() }
}

/// Time since the host was started, that in which it slept included (CLOCK_BOOTTIME).
pub fn since_boot() -> std::time::Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a whole timespec that lives until the call returns.
    let known = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    debug_assert_eq!(known, 0, "Linux has this clock since 2.6.39");
    std::time::Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
