//! A network namespace for a thread, and `ip` to look into it with.

use std::process::Command;
use std::sync::{Mutex, PoisonError, mpsc};

/// Moves the calling thread into a new network namespace, with `lo` up. Threads and processes made from here on are in it too.
pub(crate) fn enter_new() {
    // SAFETY: takes no pointer and concerns this thread only.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(result, 0, "these tests need root, to make network namespaces: {}", std::io::Error::last_os_error());
    ip("link set lo up");
}

/// One at a time: a process on its way to `exec` still holds every descriptor of the tests, and with them devices that a test has closed.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Closes what the value holds, for good when this returns.
pub(crate) fn close<T>(value: T) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    drop(value);
}

/// Runs `ip` in the calling thread's namespace and gives what it printed.
pub(crate) fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

/// The same with `nft`.
pub(crate) fn nft(arguments: &str) -> String {
    run("nft", arguments)
}

/// Runs a program in the calling thread's namespace and gives what it printed.
pub(crate) fn run(program: &str, arguments: &str) -> String {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(program).args(arguments.split_whitespace()).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed: {error}"));
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
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

/// Covers `/dev/net` with an empty directory on which device nodes do not work, for the calling thread only.
pub(crate) fn cover_dev_net() {
    // SAFETY: takes no pointer and concerns this thread only.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    assert_eq!(result, 0, "these tests need root, to make mount namespaces: {}", std::io::Error::last_os_error());
    run("mount", "--make-rprivate /");
    run("mount", "-t tmpfs -o nodev none /dev/net");
}

/// Puts the TUN driver's node into the covered directory.
pub(crate) fn make_node() {
    run("mknod", "-m 666 /dev/net/tun c 10 200");
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

/// The calling thread's kernel ID: `ip` names its namespace by it.
pub(crate) fn thread_id() -> i32 {
    // SAFETY: takes nothing.
    unsafe { libc::gettid() }
}

/// A network namespace with a thread in it that does what it is told. Both go when this goes.
pub(crate) struct Namespace {
    work: mpsc::Sender<Box<dyn FnOnce() + Send>>,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let (work, orders) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let (ready, is_ready) = mpsc::channel();
        std::thread::spawn(move || {
            enter_new();
            ready.send(()).unwrap();
            orders.into_iter().for_each(|order| order());
        });
        is_ready.recv().expect("no namespace: these tests need root");
        Self { work }
    }

    /// Does the work in the namespace and gives its result. Sockets, threads and processes made there stay in it.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, result) = mpsc::channel();
        self.work.send(Box::new(move || drop(answer.send(work())))).expect("the namespace's thread is gone");
        result.recv().expect("the work panicked")
    }
}
