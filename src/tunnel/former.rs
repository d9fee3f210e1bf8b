//! Sessions that were succeeded, given up or moved away from: they carry nothing new, say DELETE, and what is under way in them is still heard
//! for a while.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use crate::ike::action::{Action, Command, Event, Failure};
use crate::ike::session::Session;
use crate::sa::command::{ChildId, DataCommand};
use crate::time::Instant;
use crate::tunnel::line::{Connected, Name, State};
use crate::tunnel::{Tunnel, TunnelAction};

/// Packets that were sealed or sent before a switch are under way for so long, as a rule: the DELETE does not overtake them.
pub(super) const OVERLAP: Duration = Duration::from_secs(2);

/// What the gateway sealed before it read our DELETE may arrive for as long.
const GRACE: Duration = Duration::from_secs(5);

/// However fast sessions follow each other. The oldest is given up for another: its gateway notices by itself.
const MOST: usize = 4;

/// See the module.
#[derive(Default)]
pub(super) struct Formers {
    /// Oldest first.
    sessions: VecDeque<Former>,
    /// Children whose inbound half is still heard, and until when.
    heard: VecDeque<(Instant, ChildId)>,
}

struct Former {
    name: Name,
    session: Session,
    remote: IpAddr,
    port: u16,
    /// When it is told to close, if that has not been done.
    close_at: Option<Instant>,
}

impl Formers {
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Whether there is none, and nothing of one is heard any more.
    pub(super) fn is_quiet(&self) -> bool {
        self.sessions.is_empty() && self.heard.is_empty()
    }

    pub(super) fn find(&self, is_it: impl Fn(Name) -> bool) -> Option<Name> {
        self.sessions.iter().map(|former| former.name).find(|name| is_it(*name))
    }

    /// The session that an IKE message names.
    pub(super) fn owner(&self, message: &[u8]) -> Option<Name> {
        self.sessions.iter().find(|former| former.session.owns(message)).map(|former| former.name)
    }

    /// Their gateways, each with our port towards it.
    pub(super) fn outside(&self) -> impl Iterator<Item = (IpAddr, u16)> + '_ {
        self.sessions.iter().map(|former| (former.remote, former.port))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self.sessions.iter().flat_map(|former| {
            [former.session.poll_timeout().map(|deadline| deadline.at), former.close_at].into_iter().flatten()
        });
        sessions.chain(self.heard.iter().map(|(until, _)| *until)).min()
    }

    /// A child is forgotten after a while.
    pub(super) fn keep_for_a_while(&mut self, now: Instant, child: ChildId) {
        self.heard.push_back((now.after(GRACE), child));
    }

    fn get_mut(&mut self, name: Name) -> Option<&mut Former> {
        self.sessions.iter_mut().find(|former| former.name == name)
    }
}

impl Tunnel {
    /// The session is told to close at `close_at`.
    pub(super) fn retire(&mut self, now: Instant, connected: Connected, close_at: Instant) {
        self.put_aside(connected, close_at);
        if self.formers.sessions.len() > MOST
            && let Some(oldest) = self.formers.sessions.front().map(|former| former.name)
        {
            // Its DELETE leaves once; the answer is not waited for.
            self.close_former(now, oldest);
            self.formers.sessions.retain(|former| former.name != oldest);
        }
        self.formers_timeout(now);
    }

    /// The same, but for the time being nothing happens.
    pub(super) fn put_aside(&mut self, connected: Connected, close_at: Instant) {
        let Connected { name, session, remote, local, .. } = connected;
        let former = Former { name, session, remote, port: local.port(), close_at: Some(close_at) };
        self.formers.sessions.push_back(former);
    }

    /// Closes those that are due, lets go of what was heard long enough, and gives time to the others.
    pub(super) fn formers_timeout(&mut self, now: Instant) {
        let is_due = |former: &&Former| former.close_at.is_some_and(|at| at <= now);
        while let Some(name) = self.formers.sessions.iter().find(is_due).map(|former| former.name) {
            self.close_former(now, name);
        }
        let names: Vec<Name> = self.formers.sessions.iter().map(|former| former.name).collect();
        for name in names {
            self.with_former(now, name, |session| session.handle_timeout(now));
        }
        self.forget_heard(|until| until <= now);
    }

    /// All of them, now: what is under way is not waited for.
    pub(super) fn close_formers(&mut self, now: Instant) {
        let waiting = self.formers.sessions.iter().filter(|former| former.close_at.is_some());
        let names: Vec<Name> = waiting.map(|former| former.name).collect();
        names.into_iter().for_each(|name| self.close_former(now, name));
        self.forget_heard(|_| true);
    }

    fn close_former(&mut self, now: Instant, name: Name) {
        if let Some(former) = self.formers.get_mut(name) {
            former.close_at = None;
        }
        self.with_former(now, name, |session| session.handle_command(now, Command::Close));
    }

    /// RFC 7296 §2.3: its DELETE has to wait when another question of ours is not answered yet. How long, the session knows; then it ends.
    pub(super) fn with_former(&mut self, now: Instant, name: Name, act: impl FnOnce(&mut Session)) {
        let Some(former) = self.formers.get_mut(name) else { return };
        act(&mut former.session);
        while let Some(action) = self.formers.get_mut(name).and_then(|former| former.session.poll_action()) {
            match action {
                Action::Transmit(transmit) => self.actions.push_back(TunnelAction::Transmit(transmit)),
                Action::Data(command) => self.former_data(now, command),
                Action::Event(Event::Ended(failure)) => self.former_ended(name, &failure),
                Action::Event(_) => {}
            }
        }
    }

    /// Nothing is sent with it any more, and what still comes is heard for a while.
    fn former_data(&mut self, now: Instant, command: DataCommand) {
        match command {
            DataCommand::SwitchOutbound { .. } | DataCommand::MovePeer { .. } => {}
            DataCommand::RemoveChild { child } if !matches!(self.current.state, State::Closing { .. }) => {
                self.formers.keep_for_a_while(now, child);
                self.actions.push_back(TunnelAction::Data(DataCommand::RemoveOutbound { child }));
            }
            command @ (DataCommand::RemoveChild { .. }
            | DataCommand::RemoveOutbound { .. }
            | DataCommand::InstallInbound { .. }
            | DataCommand::RemoveInbound { .. }
            | DataCommand::Keepalive { .. }) => self.actions.push_back(TunnelAction::Data(command)),
        }
    }

    fn forget_heard(&mut self, is_over: impl Fn(Instant) -> bool) {
        let (over, heard) = std::mem::take(&mut self.formers.heard).into_iter().partition(|(until, _)| is_over(*until));
        self.formers.heard = heard;
        let over: VecDeque<(Instant, ChildId)> = over;
        self.actions.extend(over.into_iter().map(|(_, child)| TunnelAction::Data(DataCommand::RemoveChild { child })));
    }

    fn former_ended(&mut self, name: Name, failure: &Failure) {
        self.formers.sessions.retain(|former| former.name != name);
        if let State::Closing { confirmed } = &mut self.current.state {
            *confirmed &= matches!(failure, Failure::ClosedByUs { confirmed: true } | Failure::ClosedByPeer);
        }
        self.conclude_closing();
    }

    /// The tunnel is closed when all its sessions are.
    pub(super) fn conclude_closing(&mut self) {
        let State::Closing { confirmed } = self.current.state else { return };
        if self.formers.is_empty() {
            self.current.state = State::Closed;
            self.actions.push_back(TunnelAction::Closed { confirmed });
        }
    }
}
