//! The system calls of the sandbox. Each hands the kernel numbers, or pointers to memory that lives for the whole call, with its true length.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr;

use super::capability::Set;
use crate::bpf::Instruction;

fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn control(option: libc::c_int, first: libc::c_ulong, second: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the options of this file take numbers and no pointers.
    let result = unsafe { libc::prctl(option, first, second, 0 as libc::c_ulong, 0 as libc::c_ulong) };
    checked(result.into()).map(drop)
}

pub(super) fn no_new_privileges() -> io::Result<()> {
    control(libc::PR_SET_NO_NEW_PRIVS, 1, 0)
}

pub(super) fn clear_ambient() -> io::Result<()> {
    // The constants' types differ among C libraries.
    control(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0)
}

pub(super) fn drop_from_bounding_set(capability: u32) -> io::Result<()> {
    control(libc::PR_CAPBSET_DROP, capability.into(), 0)
}

/// A thread's capabilities.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sets {
    pub(super) effective: Set,
    pub(super) permitted: Set,
    pub(super) inheritable: Set,
}

/// `struct __user_cap_header_struct` of linux/capability.h, for the calling thread.
#[repr(C)]
struct Header {
    format: u32,
    thread: libc::c_int,
}

/// `struct __user_cap_data_struct`; two make a set of 64.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const HEADER: Header = Header { format: 0x2008_0522, thread: 0 };

pub(super) fn capabilities() -> io::Result<Sets> {
    let (mut header, mut halves) = (HEADER, [Half::default(); 2]);
    // SAFETY: the pointers are to one header and two halves, as this format wants.
    checked(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) })?;
    let [low, high] = halves;
    let join = |of: fn(Half) -> u32| Set::from_bits(u64::from(of(low)) | u64::from(of(high)).wrapping_shl(32));
    Ok(Sets {
        effective: join(|half| half.effective),
        permitted: join(|half| half.permitted),
        inheritable: join(|half| half.inheritable),
    })
}

pub(super) fn set_capabilities(sets: Sets) -> io::Result<()> {
    let part = |set: Set, shift: u32| u32::try_from(set.bits().wrapping_shr(shift) & 0xffff_ffff).unwrap_or_default();
    let half = |shift| Half {
        effective: part(sets.effective, shift),
        permitted: part(sets.permitted, shift),
        inheritable: part(sets.inheritable, shift),
    };
    let (mut header, halves) = (HEADER, [half(0), half(32)]);
    // SAFETY: as above; the kernel only reads the halves.
    checked(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) }).map(drop)
}

/// What is to be done with a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access {
    Read,
    Write,
}

/// Whether the process as it is now may not do this with a file that is there.
pub(super) fn is_denied(path: &Path, access: Access) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    let mode = match access {
        Access::Read => libc::R_OK,
        Access::Write => libc::W_OK | libc::X_OK,
    };
    // SAFETY: the pointer is to a string that ends with a zero.
    let result = unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), mode, libc::AT_EACCESS) };
    checked(result.into()).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// What Landlock is to restrict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) files: u64,
    pub(super) network: u64,
    pub(super) scopes: u64,
}

/// `struct landlock_ruleset_attr`. A kernel that knows fewer fields wants the others to be zero.
#[repr(C)]
struct RulesetAttribute {
    files: u64,
    network: u64,
    scopes: u64,
}

/// `struct landlock_path_beneath_attr`, which is packed.
#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: RawFd,
}

/// `struct landlock_net_port_attr`.
#[repr(C)]
struct NetPort {
    allowed: u64,
    port: u64,
}

const PATH_BENEATH: libc::c_int = 1;
const NET_PORT: libc::c_int = 2;
const ASK_VERSION: libc::c_uint = 1;

pub(super) fn landlock_version() -> io::Result<u32> {
    // SAFETY: with this flag there is no attribute.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<RulesetAttribute>(), 0_usize, ASK_VERSION)
    };
    Ok(u32::try_from(checked(version)?).unwrap_or_default())
}

pub(super) fn landlock_rules(rules: Rules) -> io::Result<OwnedFd> {
    let attribute = RulesetAttribute { files: rules.files, network: rules.network, scopes: rules.scopes };
    let size = mem::size_of_val(&attribute);
    // SAFETY: the pointer and size are those of `attribute`.
    let fd = checked(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attribute, size, 0 as libc::c_uint)
    })?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn landlock_allow(rules: &OwnedFd, place: &File, rights: u64) -> io::Result<()> {
    let attribute = PathBeneath { allowed: rights, parent: place.as_raw_fd() };
    add_rule(rules, PATH_BENEATH, (&raw const attribute).cast())
}

pub(super) fn landlock_allow_port(rules: &OwnedFd, port: u64, rights: u64) -> io::Result<()> {
    let attribute = NetPort { allowed: rights, port };
    add_rule(rules, NET_PORT, (&raw const attribute).cast())
}

fn add_rule(rules: &OwnedFd, kind: libc::c_int, attribute: *const libc::c_void) -> io::Result<()> {
    // SAFETY: both callers hand the attribute that belongs to the kind, and it lives until the call returns.
    let result =
        unsafe { libc::syscall(libc::SYS_landlock_add_rule, rules.as_raw_fd(), kind, attribute, 0 as libc::c_uint) };
    checked(result).map(drop)
}

/// From here on the calling thread and those it makes are held to the rules.
pub(super) fn landlock_restrict(rules: &OwnedFd) -> io::Result<()> {
    // SAFETY: takes numbers.
    checked(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0 as libc::c_uint) }).map(drop)
}

/// A file or directory as a place, without opening what is in it; and whether it is a directory.
pub(super) fn open_place(path: &Path) -> io::Result<(File, bool)> {
    let place = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)?;
    let is_directory = place.metadata()?.is_dir();
    Ok((place, is_directory))
}

/// The program judges every call of every thread from now on.
pub(super) fn seccomp(program: &[Instruction]) -> io::Result<()> {
    const MODE_FILTER: libc::c_uint = 1;
    const ALL_THREADS: libc::c_uint = 1;
    let len = libc::c_ushort::try_from(program.len()).map_err(io::Error::other)?;
    // `Instruction` is laid out as sock_filter. The kernel only reads it, though the pointer is not const.
    let filter = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the pointer is to a sock_fprog, and that to `len` instructions; both live until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, MODE_FILTER, ALL_THREADS, &raw const filter) };
    // The number of a thread that could not be brought along.
    if checked(result)? == 0 { Ok(()) } else { Err(io::Error::other("another thread has a filter of its own")) }
}
