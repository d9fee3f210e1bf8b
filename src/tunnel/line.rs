//! One line towards a gateway: the attempts, one after the other, and the session that one of them led to. A tunnel has one that is current,
//! and now and then a second that is to succeed it.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::ike::action::{ChildUp, Failure, SessionStatus};
use crate::ike::identity::Identity;
use crate::ike::profile::Phases;
use crate::ike::session::Session;
use crate::sa::command::{ChildId, DataCommand};
use crate::sa::path::Path;
use crate::time::Instant;
use crate::tunnel::attempts::Attempts;
use crate::tunnel::reconnect::Backoff;
use crate::tunnel::settings::Host;

/// See the module.
pub(super) struct Line {
    pub(super) state: State,
    pub(super) attempts: Attempts,
    pub(super) backoff: Backoff,
}

pub(super) enum State {
    Resolving(Host),
    Binding(Host, IpAddr),
    Connected(Box<Connected>),
    Waiting {
        until: Instant,
        since: Instant,
        /// The gateway did not refuse us: a network that changes is a reason to try sooner.
        is_for_the_network: bool,
    },
    /// All sessions were told to close.
    Closing {
        /// Whether every gateway confirmed so far.
        confirmed: bool,
    },
    Closed,
}

/// Which of a tunnel's two lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Current,
    Successor,
}

/// The children of one session are named from here on, so that those of two sessions differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Name(u32);

impl Name {
    /// More children than a session makes in its life, rekeys aside.
    const CHILDREN: u32 = 1024;

    pub(super) const FIRST: Self = Self(1);

    pub(super) const fn next(self) -> Self {
        match self.0.checked_add(Self::CHILDREN) {
            Some(next) => Self(next),
            None => Self::FIRST,
        }
    }

    pub(super) const fn first_child(self) -> ChildId {
        ChildId(self.0)
    }

    pub(super) fn has(self, child: ChildId) -> bool {
        child.0.checked_sub(self.0).is_some_and(|place| place < Self::CHILDREN)
    }
}

/// A session, and what came of it so far.
pub(super) struct Connected {
    pub(super) name: Name,
    pub(super) session: Session,
    /// The gateway's place in the list of those that are configured.
    pub(super) rank: usize,
    pub(super) remote: IpAddr,
    /// Our address and port of the first message.
    pub(super) local: SocketAddr,
    pub(super) identity: Identity,
    pub(super) phases: Phases,
    pub(super) children: Vec<ChildUp>,
    /// What packets are to be sent with, once it succeeds the current session.
    pub(super) held: Vec<DataCommand>,
    /// Children in which something came.
    pub(super) heard: Vec<ChildId>,
    /// It is ready, if the gateway is to be believed: nothing came in some of its children yet.
    pub(super) believed: Option<Belief>,
    /// The session has made all children that it could: changes of them are changes of the host from now on.
    pub(super) ready: bool,
    pub(super) started: Instant,
    /// IKE messages that left.
    pub(super) sent: u32,
    /// Something came that a session can be built on.
    pub(super) is_answered: bool,
    /// An address that has not answered at all by then makes room for the others.
    pub(super) answer_by: Option<Instant>,
    /// There was no way to the gateway when it was last looked for.
    pub(super) is_cut_off: bool,
    /// A way to this address of the gateway is being made, for the same session.
    pub(super) moving_to: Option<IpAddr>,
    /// When a change of the network last led to a question.
    pub(super) probed: Option<Instant>,
    /// Since when addresses and routes are set.
    pub(super) up_since: Option<Instant>,
    /// Why it will end before long, if it said so.
    pub(super) expiring: bool,
}

/// A gateway says that it has children, and has sent nothing in them.
pub(super) struct Belief {
    pub(super) since: Instant,
    /// Then it is believed.
    pub(super) at: Instant,
    /// Meanwhile it sent something in those of the session before.
    pub(super) is_doubtful: bool,
}

impl Line {
    pub(super) fn connected(&self) -> Option<&Connected> {
        if let State::Connected(connected) = &self.state { Some(connected) } else { None }
    }

    pub(super) fn connected_mut(&mut self) -> Option<&mut Connected> {
        if let State::Connected(connected) = &mut self.state { Some(connected) } else { None }
    }

    /// Takes the session out, if there is one; what stays is closed.
    pub(super) fn take_connected(&mut self) -> Option<Box<Connected>> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Connected(connected) => Some(connected),
            _ => None,
        }
    }

    /// When something is to be done.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until, .. } => Some(*until),
            State::Connected(connected) => {
                let session = connected.session.poll_timeout().map(|deadline| deadline.at);
                [session, connected.answer_by(), connected.believed.as_ref().map(|belief| belief.at)]
                    .into_iter()
                    .flatten()
                    .min()
            }
            State::Resolving(_) | State::Binding(..) | State::Closing { .. } | State::Closed => None,
        }
    }
}

impl Connected {
    /// Until when an answer is waited for, if none has come.
    fn answer_by(&self) -> Option<Instant> {
        self.answer_by.filter(|_| !self.is_answered)
    }

    /// Why it is given up at `now`: nobody answered.
    pub(super) fn unanswered_at(&self, now: Instant) -> Option<Failure> {
        self.answer_by().filter(|at| *at <= now)?;
        let (sent, waited) = (self.sent, now.since(self.started));
        Some(Failure::NoAnswer { phase: self.phases.first, sent, waited, hints: Vec::new() })
    }

    pub(super) fn status(&self) -> SessionStatus {
        self.session.status()
    }

    /// Something came in this child.
    pub(super) fn hear(&mut self, child: ChildId) {
        if self.children.iter().any(|known| known.child == child) && !self.heard.contains(&child) {
            self.heard.push(child);
        }
    }

    /// Whether the gateway is known to have all children.
    pub(super) fn has_proof(&self) -> bool {
        self.children.iter().all(|child| self.heard.contains(&child.child))
    }

    /// Keeps back what packets would be sent with: the newest of each child.
    pub(super) fn hold(&mut self, command: DataCommand) {
        if let DataCommand::SwitchOutbound { child, .. } = &command {
            let child = *child;
            self.let_go_of(child);
            self.held.push(command);
        }
    }

    /// A child's packets are to travel on another path.
    pub(super) fn held_moves(&mut self, moved: ChildId, to: Path) {
        for held in &mut self.held {
            if let DataCommand::SwitchOutbound { child, sa } = held
                && *child == moved
            {
                sa.path = to;
            }
        }
    }

    /// A child is gone: nothing will be sent with it.
    pub(super) fn let_go_of(&mut self, child: ChildId) {
        self.held.retain(|held| !matches!(held, DataCommand::SwitchOutbound { child: other, .. } if *other == child));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_of_two_sessions_never_share_a_name() {
        let (first, second) = (Name::FIRST, Name::FIRST.next());
        assert!(first.has(first.first_child()) && second.has(second.first_child()));
        assert!(first.has(ChildId(1024)) && !second.has(ChildId(1024)));
        assert!(!first.has(second.first_child()) && !second.has(first.first_child()));
    }

    #[test]
    fn names_begin_anew_when_there_are_no_more() {
        assert_eq!(Name(u32::MAX - 5).next(), Name::FIRST);
        assert!(!Name(5000).has(ChildId(3)));
    }
}
