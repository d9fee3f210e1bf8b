//! Responses to our requests: each is looked at once, by what had been asked.

use crate::ike::action::{DropReason, Event, Failure, Phase};
use crate::ike::context::Context;
use crate::ike::v2::established::{Established, Flow, confirmed, path_probe};
use crate::ike::v2::exchange::Request;
use crate::ike::v2::fragment::{Fragment, FragmentFault, Progress};
use crate::ike::v2::message::create_child::Made;
use crate::ike::v2::message::notify::{Notify, first_error};
use crate::ike::v2::message::{CreateChildResponse, Informational, MessageError};
use crate::ike::v2::protect::Opened;
use crate::ike::wire::chain::parse_inner;
use crate::ike::wire::registry::{NotifyType, PayloadType};
use crate::sa::spi::{IkeSpi, InboundSpi};

impl Established {
    /// A response came, authentic and waited for, under the IKE SA of this name.
    pub(super) fn receive_response(&mut self, ctx: &mut Context<'_>, name: IkeSpi, opened: Opened) -> Flow {
        let Some(sa) = self.sa_mut(name) else { return Flow::Continue(()) };
        let (first, inner) = match put_together(opened, |fragment| sa.ours.insert(fragment)) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Flow::Continue(()),
            Err(reason) => {
                ctx.dropped(reason);
                return Flow::Continue(());
            }
        };
        let asked = sa.ours.finish();
        self.liveness.heard(ctx.now);
        if !self.is_current(name) {
            // The last request of an IKE SA that was replaced: it is gone now. Anything else was asked before it was.
            if asked == Some(Request::DeleteIkeSa) {
                self.take_older(name);
            }
            return Flow::Continue(());
        }
        let raw = parse_inner(first, &inner).map_err(MessageError::from);
        match asked {
            // Whatever it says: the peer had our request and has no IKE SA to go on with.
            Some(Request::DeleteIkeSa) => {
                Flow::Break(self.closing.take().map_or(Failure::ClosedByPeer, |closing| confirmed(closing.failure)))
            }
            Some(Request::RekeyChild | Request::NewChild) => {
                let answer = raw.and_then(|raw| CreateChildResponse::parse(&raw, Made::Child));
                self.with_answer(ctx, answer, Self::receive_child_answer)
            }
            Some(Request::RekeyIke) => {
                let answer = raw.and_then(|raw| CreateChildResponse::parse(&raw, Made::Ike));
                self.with_answer(ctx, answer, Self::receive_ike_answer)
            }
            Some(Request::DeleteChild(inbound)) => {
                self.receive_deleted(ctx, inbound, raw.and_then(|raw| Informational::parse(&raw)))
            }
            Some(Request::UpdateAddresses) => {
                self.receive_update_answer(ctx, raw.and_then(|raw| Informational::parse(&raw)))
            }
            Some(asked @ (Request::Liveness | Request::PathProbe(_) | Request::PathProbeCut(..))) => {
                path_probe::answered(ctx, asked);
                let answer = raw.and_then(|raw| Informational::parse(&raw));
                if let Ok(answer) = &answer {
                    self.compare_mapping(answer);
                }
                self.receive_informational(ctx, answer)
            }
            None => self.receive_informational(ctx, raw.and_then(|raw| Informational::parse(&raw))),
        }
    }

    fn with_answer(
        &mut self,
        ctx: &mut Context<'_>,
        answer: Result<CreateChildResponse, MessageError>,
        receive: fn(&mut Self, &mut Context<'_>, Result<CreateChildResponse, MessageError>) -> Flow,
    ) -> Flow {
        if let Ok(CreateChildResponse::Refused(notify)) = &answer
            && notify.kind == NotifyType::INVALID_SYNTAX
        {
            return invalid_syntax(Phase::CreateChild);
        }
        match receive(self, ctx, answer) {
            Flow::Continue(()) => self.go_on(ctx),
            ended => ended,
        }
    }

    fn receive_deleted(
        &mut self,
        ctx: &mut Context<'_>,
        inbound: InboundSpi,
        answer: Result<Informational, MessageError>,
    ) -> Flow {
        // RFC 7296 §1.4.1: with a Delete payload or, when the peer's own DELETE crossed ours, without: it is gone either way.
        if let Some(child) = &mut self.child {
            child.deleted(ctx.now, inbound);
        }
        self.receive_informational(ctx, answer)
    }

    pub(super) fn receive_informational(
        &mut self,
        ctx: &mut Context<'_>,
        answer: Result<Informational, MessageError>,
    ) -> Flow {
        match answer {
            // RFC 7296 §2.21.3.
            Ok(answer) if says(&answer.notifies, NotifyType::INVALID_SYNTAX) => invalid_syntax(Phase::Informational),
            Ok(_) => self.go_on(ctx),
            // RFC 7296 §2.21.3: an answer is never answered with an error; the peer is alive, and that was the question.
            Err(error) => {
                ctx.event(Event::Notice(format!("the gateway's response cannot be read: {error}")));
                self.go_on(ctx)
            }
        }
    }
}

fn says(notifies: &[Notify], kind: NotifyType) -> bool {
    first_error(notifies).is_some_and(|notify| notify.kind == kind)
}

fn invalid_syntax(phase: Phase) -> Flow {
    Flow::Break(Failure::Refused { phase, notify: NotifyType::INVALID_SYNTAX.to_string() })
}

/// The first payload's type and the inner chain, once all of it is there.
pub(super) fn put_together(
    opened: Opened,
    insert: impl FnOnce(Fragment) -> Result<Progress, FragmentFault>,
) -> Result<Option<(PayloadType, Vec<u8>)>, DropReason> {
    let Some(number) = opened.fragment else { return Ok(Some((opened.first, opened.content))) };
    let Opened { header, first, content, .. } = opened;
    match insert(Fragment { exchange: header.exchange, number, first, content }) {
        Ok(Progress::Incomplete) => Ok(None),
        Ok(Progress::Complete { first, inner, .. }) => Ok(Some((first, inner))),
        Err(FragmentFault::TooLarge) => Err(DropReason::Bounded),
        Err(FragmentFault::Number | FragmentFault::Duplicate | FragmentFault::Stale) => Err(DropReason::Fragment),
    }
}
