//! The packet path as its users see it: two halves, one a thread, which share nothing. Commands come in, packets go through in batches,
//! reports come out. It knows no channel and no thread.

pub use crate::esp::{
    batch::{Arrival, Batch, Sealed},
    counters::{Counters, DropReason},
    inbound_path::InboundPath,
    incidents::{Incident, Told},
    outbound_path::{Applied, OutboundPath},
};

use std::{collections::VecDeque, time::Duration};

use crate::{
    sa::{
        command::{ChildId, DataCommand, DataReport, InboundParameters, OutboundParameters},
        path::Path,
        spi::InboundSpi,
    },
    time::Instant,
};

/// Reports that wait to be fetched; more are counted and lost.
pub const MAX_REPORTS: usize = 256;

const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What concerns the outbound half of a `DataCommand`.
#[derive(Debug)]
pub enum OutboundCommand {
    /// Send the child's packets with this SA from now on.
    Switch {
        /// The child.
        child: ChildId,
        /// The SA.
        sa: Box<OutboundParameters>,
    },
    /// Forget the child.
    RemoveChild {
        /// The child.
        child: ChildId,
    },
    /// Send the child's packets on another path.
    MovePeer {
        /// The child.
        child: ChildId,
        /// The path.
        path: Path,
    },
    /// Ask for a keepalive, if nothing was sent since the last one.
    Keepalive {
        /// The path.
        path: Path,
    },
}

/// What concerns the inbound half of a `DataCommand`.
#[derive(Debug)]
pub enum InboundCommand {
    /// Accept packets on a new SA.
    Install {
        /// The child.
        child: ChildId,
        /// The SA.
        sa: Box<InboundParameters>,
    },
    /// Forget one SA.
    Remove {
        /// Its SPI.
        spi: InboundSpi,
    },
    /// Forget all SAs of the child.
    RemoveChild {
        /// The child.
        child: ChildId,
    },
    /// Where the gateway is: unknown SPIs are reported from there only.
    PeerAt {
        /// The path.
        path: Path,
    },
}

/// What each half has to do for a command. The command is carried out when both have done their part.
pub fn split(command: DataCommand) -> (Option<OutboundCommand>, Option<InboundCommand>) {
    match command {
        DataCommand::InstallInbound { child, sa } => (None, Some(InboundCommand::Install { child, sa })),
        DataCommand::SwitchOutbound { child, sa } => {
            let path = sa.path;
            (Some(OutboundCommand::Switch { child, sa }), Some(InboundCommand::PeerAt { path }))
        }
        DataCommand::RemoveInbound { spi } => (None, Some(InboundCommand::Remove { spi })),
        DataCommand::RemoveChild { child } => {
            (Some(OutboundCommand::RemoveChild { child }), Some(InboundCommand::RemoveChild { child }))
        }
        DataCommand::RemoveOutbound { child } => (Some(OutboundCommand::RemoveChild { child }), None),
        DataCommand::MovePeer { child, path } => {
            (Some(OutboundCommand::MovePeer { child, path }), Some(InboundCommand::PeerAt { path }))
        }
        DataCommand::Keepalive { path } => (Some(OutboundCommand::Keepalive { path }), None),
    }
}

/// Something that is told at most once a second.
#[derive(Debug, Default)]
pub(in crate::esp) struct Interval(Option<Instant>);

impl Interval {
    pub(in crate::esp) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.0.is_none_or(|last| now.since(last) >= REPORT_INTERVAL);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

/// Has its memory from the start: it fills on the packet path.
#[derive(Debug)]
pub(in crate::esp) struct Reports(VecDeque<DataReport>);

impl Default for Reports {
    fn default() -> Self {
        Self(VecDeque::with_capacity(MAX_REPORTS))
    }
}

impl Reports {
    pub(in crate::esp) fn push(&mut self, report: DataReport, counters: &mut Counters) {
        if self.0.len() < MAX_REPORTS {
            self.0.push_back(report);
        } else {
            counters.lost_reports = counters.lost_reports.saturating_add(1);
        }
    }

    pub(in crate::esp) fn pop(&mut self) -> Option<DataReport> {
        self.0.pop_front()
    }
}
