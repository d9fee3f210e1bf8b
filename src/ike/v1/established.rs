//! The session after its first ISAKMP SA stands: the current SA, older ones, a renewal under way, the children and their quick modes.

use crate::ike::action::{Command, Deadline, SessionStatus};
use crate::ike::context::Context;
use crate::ike::v1::State;
use crate::ike::v1::opening::Opened;
use crate::sa::command::DataReport;
use crate::sa::path::Path;

/// See the module.
pub(super) struct Established {}

impl Established {
    /// Starts the first quick mode.
    pub(super) fn start(_ctx: &mut Context<'_>, _opened: Opened) -> State {
        todo!()
    }

    pub(super) fn handle_datagram(self: Box<Self>, _ctx: &mut Context<'_>, _path: Path, _message: &[u8]) -> State {
        todo!()
    }

    pub(super) fn handle_timeout(self: Box<Self>, _ctx: &mut Context<'_>) -> State {
        todo!()
    }

    pub(super) fn handle_command(self: Box<Self>, _ctx: &mut Context<'_>, _command: Command) -> State {
        todo!()
    }

    pub(super) fn handle_report(self: Box<Self>, _ctx: &mut Context<'_>, _report: DataReport) -> State {
        todo!()
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        todo!()
    }

    pub(super) fn status(&self) -> SessionStatus {
        todo!()
    }
}
