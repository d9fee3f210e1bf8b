//! What the process may do, checked before anything is changed, and what it should not be able to do.

use std::fmt;

use crate::io::capability::Capabilities;
use crate::os;

/// Why the process cannot do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingNetAdmin;

impl fmt::Display for MissingNetAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "vpnd needs CAP_NET_ADMIN to make a network device, addresses and routes, and this process does not have it. \
             Start the container with `--cap-add NET_ADMIN`; in systemd, `AmbientCapabilities=CAP_NET_ADMIN`; from a shell, run as root",
        )
    }
}

impl std::error::Error for MissingNetAdmin {}

/// Checks that addresses and routes can be changed. Where `/proc` cannot be read, the kernel's own refusal will tell.
///
/// # Errors
/// [`MissingNetAdmin`] when the effective set is known and lacks it.
pub fn require_net_admin() -> Result<(), MissingNetAdmin> {
    match Capabilities::effective() {
        Ok(capabilities) if !capabilities.has_net_admin() => Err(MissingNetAdmin),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Keeps keys out of core dumps and away from debuggers of the same user. Said once in the log where the host refuses.
pub fn protect_memory() {
    if let Err(error) = os::sys::forbid_dumps() {
        tracing::warn!(%error, "core dumps could not be switched off; a crash may write keys to disk");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_names_the_capability_and_how_to_get_it() {
        let text = MissingNetAdmin.to_string();
        assert!(text.contains("CAP_NET_ADMIN") && text.contains("--cap-add NET_ADMIN"));
    }

    #[test]
    fn a_protected_process_has_no_core_limit_left() {
        protect_memory();
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(line.split_whitespace().filter(|word| *word == "0").count(), 2, "{line}");
    }
}
