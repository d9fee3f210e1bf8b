//! The TUN device: opened by name, non-persistent, so that it vanishes with the process.
//!
//! It reads and writes whole IP packets, each with what is unfinished in it. Its MTU, addresses and routes are `os`'s matter.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use crate::io::offload::header::{self, Header};
use crate::io::{capability::Capabilities, sys};

/// The device node of the TUN driver.
pub const DEVICE_NODE: &str = "/dev/net/tun";

/// The name that is asked for when none is configured: the kernel puts the first free number for `%d`.
pub const DEFAULT_NAME: &str = "vpnd%d";

/// Octets of the longest interface name (IFNAMSIZ without the closing zero).
const LONGEST_NAME: usize = 15;

/// Parts of one written packet, at most: headers and the payloads of the longest train.
pub const MAX_PARTS: usize = 127;

/// Work that the kernel leaves to the reader of the device. Each step holds the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Offload {
    /// Packets as on a wire, in both directions.
    None,
    /// The virtio header stands before each packet: super-packets can be written. What is read is as on a wire.
    Header,
    /// Packets that are read may have an unfinished checksum.
    Checksum,
    /// And TCP super-packets are read.
    Tcp,
    /// And UDP super-packets are read (Linux 6.2).
    Udp,
}

impl Offload {
    /// All steps, from the one that does most.
    const DOWNWARDS: [Self; 5] = [Self::Udp, Self::Tcp, Self::Checksum, Self::Header, Self::None];

    /// What TUNSETOFFLOAD is asked for.
    const fn features(self) -> libc::c_uint {
        const TCP: libc::c_uint = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
        match self {
            Self::None | Self::Header => 0,
            Self::Checksum => libc::TUN_F_CSUM,
            Self::Tcp => TCP,
            Self::Udp => TCP | libc::TUN_F_USO4 | libc::TUN_F_USO6,
        }
    }
}

/// A TUN device. Reading and writing take `&self`: one thread reads while another writes.
#[derive(Debug)]
pub struct Tun {
    file: File,
    name: String,
    offload: Offload,
}

impl Tun {
    /// Opens a device called `name` (it may end in `%d` for the first free number), non-blocking. It is down and has no address.
    /// The kernel leaves as much work to us as can be done here.
    ///
    /// # Errors
    /// [`TunError`] tells what the host refuses, and what helps.
    pub fn open(name: &str) -> Result<Self, TunError> {
        Self::open_with(name, Offload::Udp)
    }

    /// Opens a device with at most the offload `most`; less where the kernel refuses that.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_with(name: &str, most: Offload) -> Result<Self, TunError> {
        let name = checked_name(name)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(DEVICE_NODE)
            .map_err(TunError::from_open)?;
        let (offload, chosen) = attach(file.as_fd(), name, most).map_err(|error| {
            let net_admin = Capabilities::effective().ok().map(Capabilities::has_net_admin);
            let taken = sys::device_exists(name);
            TunError::from_attach(error, name, net_admin, taken)
        })?;
        Ok(Self { file, name: chosen, offload })
    }

    /// Takes over a device that another process has open, with the step of offload that it chose.
    ///
    /// # Errors
    /// [`TunError::Other`] when it is no TUN device, or was opened otherwise than that step says.
    pub fn adopt(descriptor: OwnedFd, offload: Offload) -> Result<Self, TunError> {
        let (name, flags) = sys::attached_tun(descriptor.as_fd()).map_err(TunError::Other)?;
        let has_header = flags & libc::IFF_VNET_HDR != 0;
        let is_plain = flags & (libc::IFF_TUN | libc::IFF_NO_PI) == libc::IFF_TUN | libc::IFF_NO_PI;
        if !is_plain || has_header != (offload > Offload::None) {
            return Err(TunError::Other(io::ErrorKind::InvalidInput.into()));
        }
        Ok(Self { file: File::from(descriptor), name, offload })
    }

    /// The device's name as the kernel knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which step of offload is in use.
    pub const fn offload(&self) -> Offload {
        self.offload
    }

    /// Reads one packet into `buffer`: what is unfinished in it, and its octets. `WouldBlock` when there is none. A longer packet is cut to the buffer.
    ///
    /// # Errors
    /// [`is_gone`] says of an error whether the device was removed; any other concerns one packet.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<(Header, usize)> {
        if self.offload == Offload::None {
            return Ok((Header::default(), (&self.file).read(buffer)?));
        }
        let mut octets = [0; header::LEN];
        let parts = &mut [IoSliceMut::new(&mut octets), IoSliceMut::new(buffer)];
        let read = (&self.file).read_vectored(parts)?;
        let len = read.checked_sub(header::LEN).ok_or(io::ErrorKind::InvalidData)?;
        let header = Header::parse(&octets).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok((header, len))
    }

    /// Writes one packet of at most [`MAX_PARTS`] parts, as if it had arrived on the device.
    ///
    /// # Errors
    /// As for [`Self::read`]. `InvalidInput` for an unfinished packet where the device has no header to say so, and for too many parts.
    /// While the device is down every write is refused with EIO.
    pub fn write(&self, header: &Header, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let octets = header.to_octets();
        if self.offload == Offload::None {
            return if header.is_plain() {
                write_parts(&self.file, parts)
            } else {
                Err(io::ErrorKind::InvalidInput.into())
            };
        }
        let mut all = [IoSlice::new(&octets); MAX_PARTS.saturating_add(1)];
        let end = parts.len().saturating_add(1);
        all.get_mut(1..end).ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(parts);
        write_parts(&self.file, all.get(..end).unwrap_or_default())
    }
}

/// Attaches to the device with the best step that the kernel takes.
fn attach(file: BorrowedFd<'_>, name: &str, most: Offload) -> io::Result<(Offload, String)> {
    if most == Offload::None {
        return Ok((Offload::None, sys::attach_tun(file, name, 0)?));
    }
    let chosen = match sys::attach_tun(file, name, libc::IFF_VNET_HDR) {
        Ok(chosen) => chosen,
        // A kernel without the header; or the name is at fault, and then it is again.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            return Ok((Offload::None, sys::attach_tun(file, name, 0)?));
        }
        Err(error) => return Err(error),
    };
    let takes = |step: &Offload| *step == Offload::Header || sys::set_tun_offload(file, step.features()).is_ok();
    let step = Offload::DOWNWARDS.into_iter().filter(|step| *step <= most).find(takes);
    Ok((step.unwrap_or(Offload::Header), chosen))
}

/// One write is one packet.
fn write_parts(mut file: &File, parts: &[IoSlice<'_>]) -> io::Result<()> {
    file.write_vectored(parts).map(|_| ())
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Whether an error of reading or writing means that the device was removed: it does not come back.
pub fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADFD | libc::EBADF | libc::ENODEV))
}

fn checked_name(name: &str) -> Result<&str, TunError> {
    let bad = |why| Err(TunError::BadName { name: name.to_owned(), why });
    if name.is_empty() || name.len() > LONGEST_NAME {
        return bad("an interface name has 1 to 15 characters");
    }
    if name == "."
        || name == ".."
        || !name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'/' && octet != b':')
    {
        return bad("an interface name has no space, no '/' and no ':'");
    }
    let stem = name.strip_suffix("%d").unwrap_or(name);
    if stem.contains('%') {
        return bad("'%' may stand only in a closing %d");
    }
    Ok(name)
}

/// Why there is no TUN device. Each says what happened and what to try; none is mended by trying again.
#[derive(Debug)]
pub enum TunError {
    /// There is no device node, or no driver behind it.
    Missing(io::Error),
    /// The device node is there, but the process may not open it: a device cgroup (EPERM) or the node's mode (EACCES).
    OpenDenied(io::Error),
    /// The node was opened, but making a device needs a capability.
    NoCapability {
        /// What TUNSETIFF said.
        error: io::Error,
        /// Whether CAP_NET_ADMIN is in the effective set; `None` when that cannot be told.
        net_admin: Option<bool>,
    },
    /// The name belongs to another device or process.
    NameTaken {
        /// The name.
        name: String,
        /// What TUNSETIFF said.
        error: io::Error,
    },
    /// No interface can have this name.
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Anything else.
    Other(io::Error),
}

impl TunError {
    fn from_open(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ENXIO) => Self::Missing(error),
            Some(libc::EPERM | libc::EACCES) => Self::OpenDenied(error),
            _ => Self::Other(error),
        }
    }

    fn from_attach(error: io::Error, name: &str, net_admin: Option<bool>, taken: bool) -> Self {
        match error.raw_os_error() {
            Some(libc::EBUSY) => Self::NameTaken { name: name.to_owned(), error },
            // The kernel says so when the name belongs to a device of another kind.
            Some(libc::EINVAL | libc::EEXIST) if taken => Self::NameTaken { name: name.to_owned(), error },
            Some(libc::EPERM | libc::EACCES) => Self::NoCapability { error, net_admin },
            _ => Self::Other(error),
        }
    }
}

impl fmt::Display for TunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(error) => write!(
                f,
                "there is no TUN driver at {DEVICE_NODE} ({error}). \
                 In a container, start it with `--device /dev/net/tun --cap-add NET_ADMIN`; on a host, load it with `modprobe tun`"
            ),
            Self::OpenDenied(error) if error.raw_os_error() == Some(libc::EACCES) => write!(
                f,
                "{DEVICE_NODE} is there, but its file permissions do not let this user open it ({error}). \
                 Run as root, or give the node mode 0666"
            ),
            Self::OpenDenied(error) => write!(
                f,
                "{DEVICE_NODE} is there, but the device cgroup does not let this process open it ({error}). \
                 Start the container with `--device /dev/net/tun` (or a device rule for char 10:200 rwm); in systemd, `DeviceAllow=/dev/net/tun rw`. \
                 runc 1.2.0 to 1.2.3 refuse it by default: use another release"
            ),
            Self::NoCapability { error, net_admin: Some(true) } => write!(
                f,
                "making a TUN device was refused ({error}) although CAP_NET_ADMIN is there: \
                 the network namespace belongs to another user namespace, or the device of this name belongs to another user"
            ),
            Self::NoCapability { error, .. } => write!(
                f,
                "making a TUN device needs CAP_NET_ADMIN, which this process does not have ({error}). \
                 Start the container with `--cap-add NET_ADMIN`; in systemd, `AmbientCapabilities=CAP_NET_ADMIN`; from a shell, run as root"
            ),
            Self::NameTaken { name, error } => write!(
                f,
                "the interface name {name:?} is taken by another device or process ({error}). \
                 Stop the other one, or set `[tun] name` to a free name; without it a free one is chosen"
            ),
            Self::BadName { name, why } => write!(f, "`[tun] name` cannot be {name:?}: {why}"),
            Self::Other(error) => write!(f, "making a TUN device failed: {error}"),
        }
    }
}

impl std::error::Error for TunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Missing(error) | Self::OpenDenied(error) | Self::Other(error) => Some(error),
            Self::NoCapability { error, .. } | Self::NameTaken { error, .. } => Some(error),
            Self::BadName { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(code: i32) -> io::Error {
        io::Error::from_raw_os_error(code)
    }

    #[test]
    fn each_refusal_of_the_host_is_a_message_of_its_own() {
        let texts = [
            TunError::from_open(os(libc::ENOENT)).to_string(),
            TunError::from_open(os(libc::EPERM)).to_string(),
            TunError::from_open(os(libc::EACCES)).to_string(),
            TunError::from_attach(os(libc::EPERM), "vpnd0", Some(false), false).to_string(),
            TunError::from_attach(os(libc::EPERM), "vpnd0", Some(true), false).to_string(),
            TunError::from_attach(os(libc::EBUSY), "vpnd0", Some(true), true).to_string(),
        ];
        let keys =
            ["no TUN driver", "device cgroup", "file permissions", "needs CAP_NET_ADMIN", "user namespace", "taken"];
        for (text, key) in texts.iter().zip(keys) {
            assert!(text.contains(key), "{text}");
            assert_eq!(texts.iter().filter(|other| other.contains(key)).count(), 1, "{key}");
        }
    }

    #[test]
    fn container_refusals_name_the_options_that_help() {
        assert!(
            TunError::from_open(os(libc::ENOENT)).to_string().contains("--device /dev/net/tun --cap-add NET_ADMIN")
        );
        assert!(TunError::from_open(os(libc::EPERM)).to_string().contains("--device /dev/net/tun"));
        assert!(
            TunError::from_attach(os(libc::EPERM), "t", Some(false), false).to_string().contains("--cap-add NET_ADMIN")
        );
    }

    #[test]
    fn a_name_of_another_kind_of_device_is_taken_too() {
        assert!(matches!(
            TunError::from_attach(os(libc::EINVAL), "eth0", Some(true), true),
            TunError::NameTaken { .. }
        ));
        assert!(matches!(TunError::from_attach(os(libc::EINVAL), "eth0", Some(true), false), TunError::Other(_)));
    }

    #[test]
    fn names_that_no_interface_can_have_are_refused_before_the_kernel_sees_them() {
        for name in ["", "sixteen-letters-", "a b", "a/b", "a:b", ".", "..", "%dx", "a%s", "tun%d%d", "ü"] {
            assert!(matches!(checked_name(name), Err(TunError::BadName { .. })), "{name:?}");
        }
        for name in ["vpnd0", "vpnd%d", "fifteen-letters"] {
            assert!(checked_name(name).is_ok(), "{name:?}");
        }
    }
}
