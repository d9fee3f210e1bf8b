//! Exit codes: part of the interface, never renumbered.

use std::process::ExitCode;

use crate::tunnel::diagnosis::ExitKind;

/// Shown by `--help`.
pub(super) const HELP: &str = "\
Exit codes:
  0  ended as asked
  1  another failure
  2  wrong usage or configuration
  3  this host does not allow it: CAP_NET_ADMIN or /dev/net/tun is missing
  4  the gateway cannot be reached
  5  authentication failed: pre-shared key or identities
  6  no proposal in common
  7  subnets or addresses not agreed on";

pub(super) const fn number(kind: ExitKind) -> u8 {
    match kind {
        ExitKind::Success => 0,
        ExitKind::Other => 1,
        ExitKind::Configuration => 2,
        ExitKind::Privileges => 3,
        ExitKind::Unreachable => 4,
        ExitKind::Authentication => 5,
        ExitKind::Proposal => 6,
        ExitKind::Selectors => 7,
        ExitKind::Restart => 8,
    }
}

pub(super) fn code(kind: ExitKind) -> ExitCode {
    ExitCode::from(number(kind))
}
