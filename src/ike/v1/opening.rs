//! The way to an ISAKMP SA that can be used: phase 1, then XAUTH, then Mode Config. At the start of a session, and again for each renewal.

use std::sync::Arc;

use crate::ike::action::{Command, Configuration, Deadline, Failure, SessionStatus};
use crate::ike::context::Context;
use crate::ike::profile::Ikev1;
use crate::ike::v1::header::Cookies;
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::sa::path::Path;

/// Under way. It has its own cookies: while a session is renewed, its datagrams are told from the others' by them.
pub(super) struct Opening {}

/// What a call led to.
pub(super) enum Progress {
    /// More is to come.
    Waiting(Box<Opening>),
    /// The SA stands, and what the gateway assigned is known.
    Ready(Box<Opened>),
    /// It came to nothing.
    Failed {
        /// For people.
        last: SessionStatus,
        /// Why.
        failure: Failure,
    },
}

/// A finished opening.
pub(super) struct Opened {
    pub(super) settings: Arc<Ikev1>,
    pub(super) sa: IsakmpSa,
    pub(super) configuration: Configuration,
}

impl Opening {
    /// Sends the first message.
    pub(super) fn start(_ctx: &mut Context<'_>, _settings: Arc<Ikev1>, _path: Path) -> Progress {
        todo!()
    }

    /// Whether a datagram with these cookies belongs here: the initiator's are ours, the responder's fit or are not known yet.
    pub(super) fn owns(&self, _cookies: Cookies) -> bool {
        todo!()
    }

    pub(super) fn handle_datagram(self: Box<Self>, _ctx: &mut Context<'_>, _path: Path, _message: &[u8]) -> Progress {
        todo!()
    }

    pub(super) fn handle_timeout(self: Box<Self>, _ctx: &mut Context<'_>) -> Progress {
        todo!()
    }

    /// `Close` ends it with `ClosedByUs`, after a DELETE when there is an authenticated SA.
    pub(super) fn handle_command(self: Box<Self>, _ctx: &mut Context<'_>, _command: Command) -> Progress {
        todo!()
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        todo!()
    }

    pub(super) fn status(&self) -> SessionStatus {
        todo!()
    }
}
