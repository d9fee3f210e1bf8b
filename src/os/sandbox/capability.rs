//! Capabilities (capabilities(7)): only those that the work needs stay, and none can come back.

use std::io;

use super::Places;
use super::calls::{self, Access, Sets};

/// Write everybody's files.
pub(super) const DAC_OVERRIDE: u32 = 1;
/// Read everybody's files.
pub(super) const DAC_READ_SEARCH: u32 = 2;
/// Change what is in the bounding set.
const SETPCAP: u32 = 8;
/// Ports below 1024.
pub(super) const NET_BIND_SERVICE: u32 = 10;
/// Devices, addresses, routes, packet filter, marks.
pub(super) const NET_ADMIN: u32 = 12;
/// Beyond the last that there can be.
const END: u32 = 64;

/// Some capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    pub(super) const fn with(self, capability: u32) -> Self {
        Self(self.0 | 1_u64.wrapping_shl(capability))
    }

    pub(super) const fn has(self, capability: u32) -> bool {
        self.0 & 1_u64.wrapping_shl(capability) != 0
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// Keeps of what the process has what is `needed`, and what turns out to be needed for files of other users: root that has lost its
/// power over files cannot read a key which belongs to the person who started it.
pub(super) fn keep_only(needed: &Set, places: &Places) -> io::Result<()> {
    let now = calls::capabilities()?;
    let mut kept = *needed;
    // Tried without them, while they can still be had back.
    let trial = Sets { effective: now.effective.and(kept), permitted: now.permitted, inheritable: Set::default() };
    calls::set_capabilities(trial)?;
    let denied = |path: &&std::path::PathBuf, access| calls::is_denied(path, access);
    if places.write.iter().any(|path| denied(&path, Access::Write)) {
        kept = kept.with(DAC_OVERRIDE);
    } else if places.reread.iter().any(|path| denied(&path, Access::Read)) {
        kept = kept.with(DAC_READ_SEARCH);
    }
    if now.permitted.has(SETPCAP) {
        calls::set_capabilities(Sets { effective: now.permitted, ..trial })?;
        for capability in (0..END).filter(|capability| !kept.has(*capability)) {
            // EINVAL: the kernel has no more.
            if calls::drop_from_bounding_set(capability).is_err() {
                break;
            }
        }
    }
    calls::clear_ambient()?;
    let last = now.permitted.and(kept);
    calls::set_capabilities(Sets { effective: last, permitted: last, inheritable: Set::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = Set::default().with(NET_ADMIN).with(0).with(40);
        assert_eq!(set.bits(), 1 << 12 | 1 | 1 << 40);
        assert!(set.has(40) && !set.has(39));
        assert_eq!(set.and(Set::default().with(40).with(5)), Set::default().with(40));
    }
}
