//! What a state is given with every call.

use std::collections::VecDeque;

use crate::crypto::random::Random;
use crate::ike::action::{Action, DropReason, Event, Outer, Transmit};
use crate::ike::profile::Profile;
use crate::sa::command::DataCommand;
use crate::sa::path::Path;
use crate::time::Instant;

/// The moment, the settings, randomness, and the queue of what is to be done.
pub(super) struct Context<'a> {
    pub(super) now: Instant,
    pub(super) profile: &'a Profile,
    pub(super) random: &'a mut dyn Random,
    pub(super) outbox: &'a mut VecDeque<Action>,
}

impl Context<'_> {
    pub(super) fn transmit(&mut self, path: Path, message: Vec<u8>) {
        self.outbox.push_back(Action::Transmit(Transmit { path, message, outer: Outer::MayBeCut }));
    }

    /// What is lost rather than cut.
    pub(super) fn transmit_whole(&mut self, path: Path, message: Vec<u8>) {
        self.outbox.push_back(Action::Transmit(Transmit { path, message, outer: Outer::Whole }));
    }

    pub(super) fn data(&mut self, command: DataCommand) {
        self.outbox.push_back(Action::Data(command));
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outbox.push_back(Action::Event(event));
    }

    pub(super) fn dropped(&mut self, reason: DropReason) {
        self.event(Event::Dropped(reason));
    }
}
