//! A network namespace for a thread, and `ip` to look into it with.

use std::process::Command;

/// Moves the calling thread into a new network namespace, with `lo` up. Threads and processes made from here on are in it too.
pub(crate) fn enter_new() {
    // SAFETY: takes no pointer and concerns this thread only.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(result, 0, "these tests need root, to make network namespaces: {}", std::io::Error::last_os_error());
    ip("link set lo up");
}

/// Runs `ip` in the calling thread's namespace and gives what it printed.
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("iproute2 is needed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A connection to the outside: `eth0` with an address and a default route in each family, as a container has it.
pub(crate) fn with_uplink() {
    ip("link add eth0 type veth peer name far0");
    for device in ["eth0", "far0"] {
        // Link-local addresses would appear when they please.
        ip(&format!("link set {device} addrgenmode none"));
        ip(&format!("link set {device} up"));
    }
    ip("addr add 192.0.2.10/24 dev eth0");
    ip("-6 addr add 2001:db8:2::10/64 dev eth0 nodad");
    ip("route add default via 192.0.2.1");
    ip("-6 route add default via 2001:db8:2::1");
}

/// Takes CAP_NET_ADMIN from the calling thread.
pub(crate) fn drop_net_admin() {
    #[repr(C)]
    struct Header {
        format: u32,
        pid: i32,
    }
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const FORMAT: u32 = 0x2008_0522;
    let header = Header { format: FORMAT, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: the structures are those of capget(2) and capset(2), and outlive the calls.
    unsafe {
        assert_eq!(libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()), 0);
        data[0].effective &= !(1 << 12);
        assert_eq!(libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()), 0);
    }
}
