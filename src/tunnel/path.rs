//! The path under a tunnel: what it carries is asked of the session and told to the host, and what the network says of it, unprotected, is a
//! hint: a reason to ask, never an end.

use std::net::IpAddr;

use crate::ike::action::{Command, Probed};
use crate::sa::command::DataReport;
use crate::time::Instant;
use crate::tunnel::line::{Line, Name, Which};
use crate::tunnel::path_mtu::PathMtu;
use crate::tunnel::{Tunnel, TunnelAction};

/// The path of the current session, and what such a path was last found to carry.
#[derive(Debug, Default)]
pub(super) struct Following {
    path: Option<(Name, PathMtu)>,
    /// What the host was last told.
    told: Option<u16>,
    known: Option<(IpAddr, u16)>,
}

impl Following {
    /// When this was found before.
    pub(super) fn after(known: Option<(IpAddr, u16)>) -> Self {
        Self { known, ..Self::default() }
    }

    pub(super) const fn known(&self) -> Option<(IpAddr, u16)> {
        self.known
    }

    pub(super) fn poll_timeout(&self, current: &Line) -> Option<Instant> {
        let (name, path) = self.path.as_ref()?;
        path.poll_timeout().filter(|_| current.connected().is_some_and(|connected| connected.name == *name))
    }
}

impl Tunnel {
    /// The link towards the gateway carries datagrams of so many octets, IP header included.
    pub fn handle_link(&mut self, now: Instant, remote: IpAddr, octets: u16) {
        let Some(connected) = self.current.connected().filter(|connected| connected.remote == remote) else { return };
        let session = connected.name;
        let Following { path, told, known } = &mut self.following;
        match path {
            Some((name, path)) if *name == session && known.is_some_and(|(other, _)| other == remote) => {
                path.handle_link(now, octets);
            }
            _ => {
                let known = known.filter(|(other, _)| *other == remote).map(|(_, octets)| octets);
                *path = Some((session, PathMtu::new(now, remote, octets, known)));
                *told = None;
            }
        }
        self.follow_path(now);
    }

    pub(super) fn look_at_link(&mut self) {
        let Some(connected) = self.current.connected() else { return };
        self.actions.push_back(TunnelAction::LookAtLink { remote: connected.remote });
    }

    /// What the packet path tells of the path. What it means to the session, that knows itself.
    pub(super) fn note_report(&mut self, now: Instant, report: &DataReport) {
        if *report == DataReport::Unreachable {
            return self.question(now);
        }
        let Some(path) = self.path_mut() else { return };
        match report {
            DataReport::PathMtu { octets } => path.handle_hint(now, *octets),
            DataReport::OutboundSent { .. } => path.sent(now),
            DataReport::InboundSeen { .. } => path.heard(),
            _ => return,
        }
        self.follow_path(now);
    }

    pub(super) fn handle_path_probed(&mut self, now: Instant, which: Which, octets: u16, outcome: Probed) {
        if let (Which::Current, Some(path)) = (which, self.path_mut()) {
            path.handle_outcome(now, octets, outcome);
            self.follow_path(now);
        }
    }

    pub(super) fn path_timeout(&mut self, now: Instant) {
        if let Some(path) = self.path_mut() {
            path.handle_timeout(now);
            self.follow_path(now);
        }
    }

    fn path_mut(&mut self) -> Option<&mut PathMtu> {
        let current = self.current.connected()?.name;
        self.following.path.as_mut().filter(|(name, _)| *name == current).map(|(_, path)| path)
    }

    /// Asks what is to be asked, and has the host fit what was learnt.
    fn follow_path(&mut self, now: Instant) {
        let Some(remote) = self.current.connected().map(|connected| connected.remote) else { return };
        let Some(path) = self.path_mut() else { return };
        let (question, used) = (path.take_question(now), path.used());
        self.following.known = Some((remote, used));
        if self.following.told != Some(used) {
            self.following.told = Some(used);
            self.actions.push_back(TunnelAction::FollowPath { remote, octets: used });
        }
        if let Some(octets) = question {
            self.with_session(now, Which::Current, |session| {
                session.handle_command(now, Command::ProbePath { octets });
            });
        }
    }
}
