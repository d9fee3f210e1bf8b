//! The first state: no answer to IKE_SA_INIT was worth a try yet.

use crate::ike::action::{Command, Deadline, Failure, SessionStatus};
use crate::ike::context::Context;
use crate::ike::v2::State;
use crate::ike::v2::await_auth::AwaitAuth;
use crate::ike::v2::sa_init::{Answer, Initiation};
use crate::sa::path::Path;

/// Waits for an answer to IKE_SA_INIT.
#[derive(Debug)]
pub(in crate::ike::v2) struct AwaitSaInit {
    initiation: Initiation,
}

impl AwaitSaInit {
    pub(in crate::ike::v2) fn new(initiation: Initiation) -> Self {
        Self { initiation }
    }

    pub(in crate::ike::v2) fn handle_datagram(self, ctx: &mut Context<'_>, path: Path, message: &[u8]) -> State {
        match self.initiation.admit(ctx.profile, path, message) {
            Ok(answer) => self.advance(ctx, answer),
            Err(reason) => {
                ctx.dropped(reason);
                State::AwaitSaInit(Box::new(self))
            }
        }
    }

    fn advance(mut self, ctx: &mut Context<'_>, answer: Answer) -> State {
        match answer {
            Answer::Cookie(cookie) => self.initiation.take_cookie(ctx, cookie),
            Answer::OtherGroup(group) => self.initiation.take_group(ctx, group),
            Answer::Hint { notify, wanted_group } => self.initiation.take_hint(ctx, notify, wanted_group),
            Answer::Accepted(accepted) => match self.initiation.open(ctx, *accepted) {
                Ok(opening) => return AwaitAuth::start(ctx, self.initiation, opening),
                Err(reason) => ctx.dropped(reason),
            },
        }
        State::AwaitSaInit(Box::new(self))
    }

    pub(in crate::ike::v2) fn handle_timeout(mut self, ctx: &mut Context<'_>) -> State {
        let refused = self.initiation.take_due_fallback(ctx.now);
        let given_up = self.initiation.repeat(ctx);
        match refused.or_else(|| given_up.map(|silence| self.initiation.take_fallback().unwrap_or(silence))) {
            Some(failure) => State::end(ctx, self.status(), failure),
            None => State::AwaitSaInit(Box::new(self)),
        }
    }

    pub(in crate::ike::v2) fn handle_command(self, ctx: &mut Context<'_>, command: Command) -> State {
        match command {
            Command::Close => State::end(ctx, self.status(), Failure::ClosedByUs { confirmed: false }),
            Command::ProbeLiveness | Command::ProbePath { .. } | Command::Adopt(_) | Command::Roam(_) => {
                State::AwaitSaInit(Box::new(self))
            }
        }
    }

    pub(in crate::ike::v2) fn poll_timeout(&self) -> Option<Deadline> {
        self.initiation.deadline()
    }

    pub(in crate::ike::v2) fn status(&self) -> SessionStatus {
        SessionStatus {
            state: "IKE_SA_INIT sent",
            spis: (self.initiation.spi(), None),
            suite: None,
            path: self.initiation.path(),
        }
    }
}
