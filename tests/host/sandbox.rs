//! What a process can do no more inside of the sandbox, and what it still can. Each test looks at a copy of this program that has entered it.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use vpnd::daemon::privilege::protect_memory;
use vpnd::io::tun::Tun;
use vpnd::os::sandbox::{Layer, Places, enter};

use crate::namespace::enter_new;

const ROLE: &str = "VPND_SANDBOX_ROLE";

/// Runs the role `name` in a copy of this program, which must find everything as it expects it.
fn play(name: &str, scratch: &Path) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    // Capabilities and Landlock belong to threads: this one must be the only one.
    command.args(["--exact", &format!("sandbox::{name}"), "--ignored", "--nocapture", "--test-threads=1"]);
    let output = command.env(ROLE, scratch).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("everything was as expected"), "{said}");
}

/// The scratch directory of the role, or nothing when it is not played.
fn stage() -> Option<PathBuf> {
    std::env::var_os(ROLE).map(PathBuf::from)
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vpnd-sandbox-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        for directory in ["configuration", "state", "elsewhere"] {
            fs::create_dir_all(path.join(directory)).unwrap();
        }
        for file in ["configuration/psk", "elsewhere/secret"] {
            fs::write(path.join(file), "words").unwrap();
        }
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn places(scratch: &Path) -> Places {
    Places {
        read: vec![scratch.join("configuration")],
        write: vec![scratch.join("state")],
        reread: vec![scratch.join("configuration/psk")],
        low_port: false,
    }
}

fn status(line: &str) -> String {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':')).unwrap();
    value.trim().to_owned()
}

#[track_caller]
fn assert_refused<T>(result: io::Result<T>) {
    let kind = result.map(drop).expect_err("this must be refused").kind();
    assert_eq!(kind, ErrorKind::PermissionDenied);
}

#[test]
fn l_11_what_is_given_up_cannot_be_had_back_and_the_work_goes_on() {
    let scratch = Scratch::new("walls");
    play("role_walls", &scratch.0);
}

#[test]
#[ignore = "a role in another test"]
fn role_walls() {
    let Some(scratch) = stage() else { return };
    // libtest runs even a single test in a thread of its own; that thread is what is looked at.
    enter_new();
    protect_memory();
    let missing = enter(&places(&scratch));
    let missing: Vec<String> =
        missing.iter().filter(|missing| missing.layer != Layer::OneThread).map(ToString::to_string).collect();
    assert!(missing.is_empty(), "{missing:?}");

    let net_admin = format!("{:016x}", 1_u64 << 12);
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(status(set), net_admin, "{set}");
    }
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(status(set), format!("{:016x}", 0), "{set}");
    }
    assert_eq!((status("NoNewPrivs"), status("Seccomp")), ("1".to_owned(), "2".to_owned()));

    // What is given up.
    assert_refused(Command::new("/bin/true").status());
    assert_refused(fs::read("/etc/shadow"));
    assert_refused(fs::read(scratch.join("elsewhere/secret")));
    assert_refused(fs::write(scratch.join("elsewhere/new"), ""));
    assert_refused(fs::write(scratch.join("configuration/psk"), "others"));
    assert_refused(fs::remove_file(scratch.join("configuration/psk")));
    assert_refused(fs::write("/proc/sys/kernel/core_pattern", "|/tmp/x"));
    assert_refused(TcpListener::bind("127.0.0.1:0"));
    assert_refused(TcpStream::connect("127.0.0.1:80"));
    // SAFETY: none of these calls is handed a pointer.
    unsafe {
        let refused = |result: libc::c_int, what: &str| {
            let error = io::Error::last_os_error();
            assert!(result < 0 && error.raw_os_error() == Some(libc::EPERM), "{what}: {error}");
        };
        refused(libc::fork(), "fork");
        refused(libc::unshare(libc::CLONE_NEWUSER), "unshare");
        refused(libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0), "a packet socket");
        refused(libc::socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0), "a cipher socket");
        refused(libc::setns(0, 0), "setns");
        refused(libc::setuid(65_534), "setuid");
        assert_eq!(libc::prctl(libc::PR_GET_DUMPABLE), 0, "core dumps stay off");
    }

    // What the work needs.
    assert_eq!(fs::read(scratch.join("configuration/psk")).unwrap(), b"words");
    fs::write(scratch.join("state/record"), "1").unwrap();
    fs::rename(scratch.join("state/record"), scratch.join("state/other")).unwrap();
    fs::remove_file(scratch.join("state/other")).unwrap();
    drop(UnixListener::bind(scratch.join("state/socket")).unwrap());
    let name = fs::read("/etc/resolv.conf")
        .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(vec![]) } else { Err(error) });
    name.unwrap();
    let tun = Tun::open("vpnd-walls").unwrap();
    assert_eq!(tun.name(), "vpnd-walls");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mark: libc::c_int = 118;
    // SAFETY: the pointer and length are those of `mark`.
    let marked =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MARK, (&raw const mark).cast(), 4) };
    assert_eq!(marked, 0, "{}", io::Error::last_os_error());
    std::thread::spawn(|| assert_eq!(status("NoNewPrivs"), "1")).join().unwrap();
    println!("everything was as expected");
}

#[test]
fn l_11_root_keeps_the_power_to_read_a_key_that_is_not_its_own_and_no_more_of_it_than_that() {
    let scratch = Scratch::new("owner");
    let key = scratch.0.join("configuration/psk");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::chown(&key, Some(65_534), Some(65_534)).unwrap();
    play("role_owner", &scratch.0);
}

#[test]
#[ignore = "a role in another test"]
fn role_owner() {
    let Some(scratch) = stage() else { return };
    enter(&places(&scratch));
    assert_eq!(status("CapEff"), format!("{:016x}", 1_u64 << 12 | 1 << 2));
    assert_eq!(fs::read(scratch.join("configuration/psk")).unwrap(), b"words");
    assert_refused(fs::read(scratch.join("elsewhere/secret")));
    println!("everything was as expected");
}

#[test]
fn l_11_a_port_below_1024_keeps_its_capability() {
    let scratch = Scratch::new("port");
    play("role_port", &scratch.0);
}

#[test]
#[ignore = "a role in another test"]
fn role_port() {
    let Some(scratch) = stage() else { return };
    enter_new();
    enter(&Places { low_port: true, ..places(&scratch) });
    assert_eq!(status("CapEff"), format!("{:016x}", 1_u64 << 12 | 1 << 10));
    UdpSocket::bind("127.0.0.1:500").unwrap();
    println!("everything was as expected");
}
