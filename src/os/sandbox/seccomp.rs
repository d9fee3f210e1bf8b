//! seccomp(2): the calls that the program never makes, and that whoever took it over would make next, are refused with EPERM.
//!
//! A list of what is refused, not of what is allowed: the C library's resolver, allocator and threads make other calls in each version, and a missing one
//! would show months after an update as a tunnel that does not come back (`docs/decisions/0019-sandbox.md`).

use std::io;

use crate::bpf::{Condition, Program};

use super::calls;

/// `struct seccomp_data`: the call's number, the processor's convention, and the lower half of each argument (both are little-endian machines).
const NUMBER: u32 = 0;
const CONVENTION: u32 = 4;
const FIRST: u32 = 16;
const SECOND: u32 = 24;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = ERRNO | 1;
const ENOSYS: u32 = ERRNO | 38;

/// Numbers from here on are the convention x32, another set of names for the same calls.
const X32: u32 = 0x4000_0000;

#[cfg(target_arch = "x86_64")]
const NATIVE: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
const NATIVE: Option<u32> = Some(0xc000_00b7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const NATIVE: Option<u32> = None;

/// Another program, another process's memory, another namespace or root, the kernel's own code and its clock, another user, and whatever is known best
/// for its holes. The last three may be asked for in harmless ways by libraries of the future; they can do without.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_mount_setattr,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_mknodat,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_syslog,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_personality,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_vmsplice,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
];

/// Sockets of these families can be made: the control socket, the gateway and name servers, the kernel's network configuration.
const FAMILIES: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Input for the terminal that the program was started from, as if somebody typed it.
const TYPE_INTO_TERMINAL: [u32; 2] = [0x5412, 0x541c];

pub(super) fn restrict() -> io::Result<()> {
    let native = NATIVE.ok_or(io::ErrorKind::Unsupported)?;
    calls::seccomp(program(native).instructions())
}

fn program(native: u32) -> Program {
    let mut program = Program::default();
    program.need_one_of(&[vec![(CONVENTION, native)]], EPERM);
    program.end_if_at_least(NUMBER, X32, EPERM);
    for call in REFUSED {
        program.end_if_all(&[is(*call)], EPERM);
    }
    // Threads, not processes. The C library takes the older call where it is told that there is no newer; that one's flags can be looked at.
    program.end_if_all(&[is(libc::SYS_clone3)], ENOSYS);
    let mut thread = Program::default();
    thread.end_if_no_bit(FIRST, number(libc::CLONE_THREAD.into()), EPERM);
    program.when(is(libc::SYS_clone), &thread);
    let mut family = Program::default();
    family.need_one_of(&FAMILIES.map(|family| vec![(FIRST, number(family.into()))]), EPERM);
    program.when(is(libc::SYS_socket), &family);
    let mut request = Program::default();
    for kind in TYPE_INTO_TERMINAL {
        request.end_if_all(&[(SECOND, kind)], EPERM);
    }
    program.when(is(libc::SYS_ioctl), &request);
    program.end(ALLOW);
    program
}

fn is(call: libc::c_long) -> Condition {
    (NUMBER, number(call))
}

fn number(value: libc::c_long) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::tests::run;

    const HERE: u32 = 0xc000_003e;

    fn verdict(call: libc::c_long, arguments: [u32; 2]) -> u32 {
        let mut data = vec![number(call), HERE, 0, 0];
        data.extend(arguments.into_iter().flat_map(|argument| [argument, 0]));
        judge(&data)
    }

    fn judge(data: &[u32]) -> u32 {
        run(&program(HERE), 64, |at| data.get(usize::try_from(at / 4).unwrap()).copied())
    }

    #[test]
    fn l_11_threads_can_be_made_and_processes_cannot() {
        assert_eq!(verdict(libc::SYS_clone, [number(libc::CLONE_THREAD.into()) | 0x3d_0f00, 0]), ALLOW);
        assert_eq!(verdict(libc::SYS_clone, [17, 0]), EPERM);
        assert_eq!(verdict(libc::SYS_clone3, [0, 0]), ENOSYS);
        assert_eq!(verdict(libc::SYS_execve, [0, 0]), EPERM);
    }

    #[test]
    fn l_11_only_sockets_of_four_families_can_be_made() {
        for family in 0..50 {
            let expected = if FAMILIES.contains(&family) { ALLOW } else { EPERM };
            assert_eq!(verdict(libc::SYS_socket, [number(family.into()), 0]), expected, "{family}");
        }
    }

    #[test]
    fn l_11_other_conventions_do_not_pass_by_the_list() {
        assert_eq!(judge(&[number(libc::SYS_read), 0x4000_0003, 0, 0, 0, 0, 0, 0]), EPERM);
        assert_eq!(judge(&[number(libc::SYS_execve) | X32, HERE, 0, 0, 0, 0, 0, 0]), EPERM);
    }

    #[test]
    fn what_the_work_is_made_of_is_allowed() {
        for call in [libc::SYS_recvmmsg, libc::SYS_sendmmsg, libc::SYS_openat, libc::SYS_bind, libc::SYS_setsockopt] {
            assert_eq!(verdict(call, [0, 0]), ALLOW, "{call}");
        }
        assert_eq!(verdict(libc::SYS_ioctl, [0, 0x4004_54ca]), ALLOW);
        assert_eq!(verdict(libc::SYS_ioctl, [0, TYPE_INTO_TERMINAL[0]]), EPERM);
    }
}
