//! All of IKE as its users see it. Here, and only here, the versions fork; what a peer says never moves a session from one to the other.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::crypto::random::Random;
use crate::ike::action::{Action, Command, Deadline, SessionStatus};
use crate::ike::context::Context;
use crate::ike::handover::{Busy, Kind, SessionState};
use crate::ike::profile::{Profile, Protocol};
use crate::ike::{v1, v2};
use crate::sa::command::DataReport;
use crate::sa::handover::Unrestorable;
use crate::sa::path::Path;
use crate::time::Instant;

/// One attempt to negotiate with one gateway, and what it led to, until it ends.
///
/// What a peer sends never comes back as an error: it is an action, an event, or a counted drop.
pub struct Session {
    profile: Arc<Profile>,
    random: Box<dyn Random>,
    outbox: VecDeque<Action>,
    machine: Machine,
}

enum Machine {
    V1(v1::Machine),
    V2(v2::Machine),
}

impl Session {
    /// Starts to negotiate. The first message goes where `path` says: bare to port 500, or marked to the encapsulation port.
    pub fn initiate(profile: Arc<Profile>, path: Path, mut random: Box<dyn Random>, now: Instant) -> Self {
        let mut outbox = VecDeque::new();
        let mut ctx = Context { now, profile: &profile, random: &mut *random, outbox: &mut outbox };
        let machine = match &profile.protocol {
            Protocol::Ikev1(settings) => Machine::V1(v1::Machine::initiate(&mut ctx, settings.clone(), path)),
            Protocol::Ikev2 => Machine::V2(v2::Machine::initiate(&mut ctx, path)),
        };
        Self { profile, random, outbox, machine }
    }

    /// The session as values, for another process that goes on with it; this one is as before. Actions that wait have to be carried out before.
    ///
    /// # Errors
    /// [`Busy`] while something is under way that cannot be carried.
    pub fn export(&self) -> Result<SessionState, Busy> {
        if !self.outbox.is_empty() {
            return Err(Busy("something is left to be done"));
        }
        Ok(SessionState(match &self.machine {
            Machine::V1(machine) => Kind::Ikev1(Box::new(machine.export()?)),
            Machine::V2(machine) => Kind::Ikev2(Box::new(machine.export()?)),
        }))
    }

    /// The session again, in the process that goes on with it, under a profile of the same protocol: what follows is done as that says.
    ///
    /// # Errors
    /// [`Unrestorable`] when what was carried cannot be a session.
    pub fn restore(profile: Arc<Profile>, random: Box<dyn Random>, state: SessionState) -> Result<Self, Unrestorable> {
        let machine = match (state.0, &profile.protocol) {
            (Kind::Ikev1(state), Protocol::Ikev1(settings)) => {
                Machine::V1(v1::Machine::restore(&profile, settings.clone(), *state)?)
            }
            (Kind::Ikev2(state), Protocol::Ikev2) => Machine::V2(v2::Machine::restore(*state)?),
            (Kind::Ikev1(_), Protocol::Ikev2) | (Kind::Ikev2(_), Protocol::Ikev1(_)) => {
                return Err(Unrestorable("the tunnel that runs speaks another IKE than `[ike] version` says"));
            }
        };
        Ok(Self { profile, random, outbox: VecDeque::new(), machine })
    }

    /// A message arrived on `path`: from the IKE header on, without marker.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, message: &[u8]) {
        let (machine, mut ctx) = self.at(now);
        match machine {
            Machine::V1(machine) => machine.handle_datagram(&mut ctx, path, message),
            Machine::V2(machine) => machine.handle_datagram(&mut ctx, path, message),
        }
    }

    /// The clock reached what `poll_timeout` said, or went past it. Earlier calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let (machine, mut ctx) = self.at(now);
        match machine {
            Machine::V1(machine) => machine.handle_timeout(&mut ctx),
            Machine::V2(machine) => machine.handle_timeout(&mut ctx),
        }
    }

    /// Someone asks for something.
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        if let Command::Adopt(upkeep) = command {
            Arc::make_mut(&mut self.profile).adopt(upkeep);
        }
        let (machine, mut ctx) = self.at(now);
        match machine {
            Machine::V1(machine) => machine.handle_command(&mut ctx, command),
            Machine::V2(machine) => machine.handle_command(&mut ctx, command),
        }
    }

    /// The packet path has news.
    pub fn handle_report(&mut self, now: Instant, report: DataReport) {
        let (machine, mut ctx) = self.at(now);
        match machine {
            Machine::V1(machine) => machine.handle_report(&mut ctx, report),
            Machine::V2(machine) => machine.handle_report(&mut ctx, report),
        }
    }

    /// The next thing to do, in order. To be called until there is none, after each of the calls above.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.outbox.pop_front()
    }

    /// When `handle_timeout` is wanted next.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        match &self.machine {
            Machine::V1(machine) => machine.poll_timeout(),
            Machine::V2(machine) => machine.poll_timeout(),
        }
    }

    /// Whether a message names an IKE SA of this session.
    pub fn owns(&self, message: &[u8]) -> bool {
        match &self.machine {
            Machine::V1(machine) => machine.owns(message),
            Machine::V2(machine) => machine.owns(message),
        }
    }

    /// Whether `Command::Roam` moves it: both sides speak MOBIKE, and it is established.
    pub fn can_roam(&self) -> bool {
        match &self.machine {
            Machine::V1(_) => false,
            Machine::V2(machine) => machine.can_roam(),
        }
    }

    /// Whether the gateway is probably dead: it has not answered for a while, nor sent anything, and may still do so.
    pub const fn is_suspected(&self) -> bool {
        match &self.machine {
            Machine::V1(machine) => machine.is_suspected(),
            Machine::V2(machine) => machine.is_suspected(),
        }
    }

    /// How it stands, for people. There are no secrets in it.
    pub fn status(&self) -> SessionStatus {
        match &self.machine {
            Machine::V1(machine) => machine.status(),
            Machine::V2(machine) => machine.status(),
        }
    }

    fn at(&mut self, now: Instant) -> (&mut Machine, Context<'_>) {
        let ctx = Context { now, profile: &self.profile, random: &mut *self.random, outbox: &mut self.outbox };
        (&mut self.machine, ctx)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("status", &self.status()).finish_non_exhaustive()
    }
}
