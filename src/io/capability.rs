//! Which capabilities the process has, read from `/proc/thread-self/status`.

use std::io;

/// The bit of CAP_NET_ADMIN (capabilities(7)).
const NET_ADMIN: u32 = 12;

/// The effective capability set of the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// Reads the effective set.
    ///
    /// # Errors
    /// When `/proc` is not mounted or does not hold the line.
    pub fn effective() -> io::Result<Self> {
        // Capabilities belong to threads.
        let status = std::fs::read_to_string("/proc/thread-self/status")?;
        Self::parse(&status)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no CapEff in /proc/thread-self/status"))
    }

    /// Finds the `CapEff` line of a status file.
    pub fn parse(status: &str) -> Option<Self> {
        let digits = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        u64::from_str_radix(digits.trim(), 16).ok().map(Self)
    }

    /// Whether network devices, addresses and routes may be changed.
    pub const fn has_net_admin(self) -> bool {
        self.0.wrapping_shr(NET_ADMIN) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn net_admin_is_bit_twelve_of_the_effective_set() {
        let with = "Name:\tvpnd\nCapPrm:\t0000000000000000\nCapEff:\t0000000000001000\n";
        let without = "CapPrm:\t0000000000001000\nCapEff:\t000001ffffffefff\n";
        assert_eq!(Capabilities::parse(with).map(Capabilities::has_net_admin), Some(true));
        assert_eq!(Capabilities::parse(without).map(Capabilities::has_net_admin), Some(false));
    }

    #[test]
    fn a_status_without_the_line_is_not_guessed_at() {
        assert_eq!(Capabilities::parse("CapPrm:\t0000000000001000\n"), None);
        assert_eq!(Capabilities::parse("CapEff:\tzzz\n"), None);
    }
}
