//! Our requests on an IKE SA: the one that waits for its response, those that wait for their turn, and how a message becomes datagrams.
//! It knows when a request goes out again; what an answer means is known where the request was made.

use std::collections::VecDeque;
use std::time::Duration;

use crate::crypto::random::Random;
use crate::ike::profile::RetransmissionPolicy;
use crate::ike::retransmit::{Retransmission, Verdict};
use crate::ike::v2::fragment::{Fragment, FragmentFault, Progress, Reassembly, Sizes};
use crate::ike::v2::protect::{MessageProtection, SealError};
use crate::ike::v2::window::OurIds;
use crate::ike::wire::{chain::Contents, header::Header, registry::ExchangeType};
use crate::sa::spi::InboundSpi;
use crate::time::Instant;

/// Requests that wait for their turn; what comes on top is not asked.
const MOST_QUEUED: usize = 8;

/// What we ask of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// A sign of life: an INFORMATIONAL without payloads (RFC 7296 §1.4).
    Liveness,
    /// The same with a datagram of this length, which must arrive whole.
    PathProbe(u16),
    /// The question before, short, because it was not answered or something else wants to be asked.
    PathProbeCut(u16, Cut),
    /// A child SA in place of the one in use (RFC 7296 §1.3.3).
    RekeyChild,
    /// A child SA in place of one that the peer does not have any more (RFC 7296 §1.3.1).
    NewChild,
    /// To close the child SA that we receive on with this SPI.
    DeleteChild(InboundSpi),
    /// Another IKE SA in place of this one (RFC 7296 §1.3.2).
    RekeyIke,
    /// To take our packets' addresses from this message on: UPDATE_SA_ADDRESSES (RFC 4555 §3.5).
    UpdateAddresses,
    /// To close the IKE SA.
    DeleteIkeSa,
}

/// Why a question of a given length was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Unanswered,
    Hurried,
}

impl Request {
    /// Whether any sign of life is an answer for now.
    pub(super) const fn is_question(self) -> bool {
        matches!(self, Self::Liveness | Self::PathProbe(_) | Self::PathProbeCut(..) | Self::UpdateAddresses)
    }

    /// The exchange it is made in.
    pub(super) const fn exchange(self) -> ExchangeType {
        match self {
            Self::Liveness
            | Self::PathProbe(_)
            | Self::PathProbeCut(..)
            | Self::DeleteChild(_)
            | Self::UpdateAddresses
            | Self::DeleteIkeSa => ExchangeType::INFORMATIONAL,
            Self::RekeyChild | Self::NewChild | Self::RekeyIke => ExchangeType::CREATE_CHILD_SA,
        }
    }
}

/// Requests in their order, one at a time (RFC 7296 §2.3: the window is 1 until a peer says otherwise, and stays 1 if it does).
#[derive(Debug)]
pub(super) struct OurRequests {
    ids: OurIds,
    outstanding: Option<Outstanding>,
    queue: VecDeque<Request>,
}

#[derive(Debug)]
struct Outstanding {
    message_id: u32,
    request: Request,
    sending: Retransmission,
    response: Reassembly,
}

impl OurRequests {
    /// The first gets message ID `next`.
    pub(super) fn from(next: u32) -> Self {
        Self { ids: OurIds::from(next), outstanding: None, queue: VecDeque::new() }
    }

    /// The ID of the first request that is not made yet.
    pub(super) const fn next_id(&self) -> u32 {
        self.ids.next()
    }

    /// Queues a request, unless the same waits already or `MOST_QUEUED` do.
    pub(super) fn ask(&mut self, request: Request) {
        if self.queue.len() < MOST_QUEUED && !self.queue.contains(&request) && !self.is_asking(request) {
            self.queue.push_back(request);
        }
    }

    /// Puts a request before all that are queued, also when an earlier one of its kind waits for its response.
    pub(super) fn ask_next(&mut self, request: Request) {
        self.queue.retain(|queued| *queued != request);
        self.queue.truncate(MOST_QUEUED.saturating_sub(1));
        self.queue.push_front(request);
    }

    /// Forgets what is queued; the outstanding request stays, its ID is used.
    pub(super) fn drop_queued(&mut self) {
        self.queue.clear();
    }

    /// The request whose turn it is, if none is outstanding. It is sent and `start`ed, or has become needless.
    pub(super) fn take_turn(&mut self) -> Option<Request> {
        if self.outstanding.is_some() { None } else { self.queue.pop_front() }
    }

    /// A message ID for the request whose turn it is.
    pub(super) fn issue_id(&mut self) -> u32 {
        self.ids.issue()
    }

    /// What waits for its turn asks elsewhere from now on: under the IKE SA that takes this one's place.
    pub(super) fn hand_over(&mut self, successor: &mut Self) {
        self.queue.drain(..).for_each(|request| successor.ask(request));
    }

    /// The request that waits for its response.
    pub(super) fn asking(&self) -> Option<Request> {
        self.outstanding.as_ref().map(|waiting| waiting.request)
    }

    /// The request was sent.
    pub(super) fn start(&mut self, message_id: u32, request: Request, sending: Retransmission) {
        self.outstanding = Some(Outstanding { message_id, request, sending, response: Reassembly::new() });
    }

    /// Whether a response with this ID and exchange is waited for (RFC 7296 §2.2).
    pub(super) fn awaits(&self, message_id: u32, exchange: ExchangeType) -> bool {
        self.outstanding
            .as_ref()
            .is_some_and(|waiting| waiting.message_id == message_id && waiting.request.exchange() == exchange)
    }

    /// Whether nothing waits for a response or its turn.
    pub(super) fn is_idle(&self) -> bool {
        self.outstanding.is_none() && self.queue.is_empty()
    }

    /// The question about the path that waits for its response whole: its message ID and length.
    pub(super) fn path_probe(&self) -> Option<(u32, u16)> {
        let waiting = self.outstanding.as_ref()?;
        match waiting.request {
            Request::PathProbe(octets) => Some((waiting.message_id, octets)),
            _ => None,
        }
    }

    /// Whether something waits for its turn.
    pub(super) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether `request` waits for its response or its turn.
    pub(super) fn asks(&self, request: Request) -> bool {
        self.is_asking(request) || self.queue.contains(&request)
    }

    /// Whether `request` waits for its response.
    fn is_asking(&self, request: Request) -> bool {
        self.outstanding.as_ref().is_some_and(|waiting| waiting.request == request)
    }

    /// Takes an authentic fragment of the response that is waited for.
    pub(super) fn insert(&mut self, fragment: Fragment) -> Result<Progress, FragmentFault> {
        self.outstanding.as_mut().map_or(Err(FragmentFault::Stale), |waiting| waiting.response.insert(fragment))
    }

    /// The response is there: what had been asked.
    pub(super) fn finish(&mut self) -> Option<Request> {
        self.outstanding.take().map(|waiting| waiting.request)
    }

    /// When the outstanding request is to be repeated.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.outstanding.as_ref().map(|waiting| waiting.sending.deadline())
    }

    /// What is due of the outstanding request.
    pub(super) fn handle_timeout(&mut self, now: Instant, random: &mut dyn Random) -> Verdict<'_> {
        match &mut self.outstanding {
            Some(waiting) => waiting.sending.handle_timeout(now, random),
            None => Verdict::Wait,
        }
    }

    /// How often the outstanding request was sent, and since when.
    pub(super) fn unanswered(&self, now: Instant) -> Option<(u32, Duration)> {
        self.outstanding.as_ref().map(|waiting| (waiting.sending.sent(), waiting.sending.waited(now)))
    }

    /// Repeats the outstanding request under another policy from now on.
    pub(super) fn hurry(&mut self, now: Instant, policy: RetransmissionPolicy, random: &mut dyn Random) {
        if let Some(waiting) = &mut self.outstanding {
            waiting.sending.hurry(now, policy, random);
        }
    }

    /// Repeats the outstanding request as if it had just been sent: the peer lives, and may still answer.
    pub(super) fn restart(&mut self, now: Instant, random: &mut dyn Random) {
        if let Some(waiting) = &mut self.outstanding {
            waiting.sending.restart(now, random);
        }
    }

    /// The octets of the outstanding request.
    pub(super) fn datagrams(&self) -> &[Vec<u8>] {
        self.outstanding.as_ref().map_or(&[], |waiting| waiting.sending.datagrams())
    }

    /// Whether the IKE SA must be closed for want of IDs.
    pub(super) const fn ids_are_used_up(&self) -> bool {
        self.ids.are_used_up()
    }
}

/// Seals a message into as many datagrams as it needs: one, or one a fragment where `sizes` says that fragments are understood and needed
/// (RFC 7383 §2.5).
pub(super) fn seal_datagrams(
    protection: &mut MessageProtection,
    header: &Header,
    contents: &Contents,
    sizes: Option<Sizes>,
    random: &mut dyn Random,
) -> Result<Vec<Vec<u8>>, SealError> {
    match sizes {
        Some(sizes) if !sizes.fits_whole(contents.octets.len()) => sizes
            .split(contents.first, &contents.octets)
            .map_err(|_| SealError::TooLong)?
            .iter()
            .map(|piece| protection.seal_fragment(header, piece.number, piece.first, piece.content, random))
            .collect(),
        _ => Ok(vec![protection.seal(header, contents, random)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::SeededRandom;

    fn sending() -> Retransmission {
        let policy = RetransmissionPolicy::default();
        Retransmission::start(Instant::START, vec![vec![1]], policy, &mut SeededRandom::new(1))
    }

    #[test]
    fn k2_081_one_request_at_a_time_is_outstanding_and_the_others_keep_their_order() {
        let mut requests = OurRequests::from(2);
        requests.ask(Request::Liveness);
        requests.ask(Request::DeleteIkeSa);
        assert_eq!((requests.take_turn(), requests.issue_id()), (Some(Request::Liveness), 2));
        requests.start(2, Request::Liveness, sending());
        assert_eq!(requests.take_turn(), None);
        assert_eq!(requests.finish(), Some(Request::Liveness));
        assert_eq!((requests.take_turn(), requests.issue_id()), (Some(Request::DeleteIkeSa), 3));
    }

    #[test]
    fn the_same_request_is_not_queued_twice() {
        let mut requests = OurRequests::from(2);
        requests.start(2, Request::Liveness, sending());
        requests.ask(Request::Liveness);
        requests.ask(Request::DeleteIkeSa);
        requests.ask(Request::DeleteIkeSa);
        assert_eq!(requests.queue, [Request::DeleteIkeSa]);
    }

    #[test]
    fn k2_086_only_the_outstanding_request_awaits_a_response() {
        let mut requests = OurRequests::from(2);
        assert!(!requests.awaits(2, ExchangeType::INFORMATIONAL));
        requests.start(2, Request::Liveness, sending());
        assert!(requests.awaits(2, ExchangeType::INFORMATIONAL));
        assert!(!requests.awaits(1, ExchangeType::INFORMATIONAL));
        assert!(!requests.awaits(3, ExchangeType::INFORMATIONAL));
        assert!(!requests.awaits(2, ExchangeType::CREATE_CHILD_SA));
        requests.finish();
        assert!(!requests.awaits(2, ExchangeType::INFORMATIONAL));
    }

    #[test]
    fn k2_131_what_waits_when_the_ike_sa_is_replaced_is_asked_under_the_new_one() {
        let (mut old, mut new) = (OurRequests::from(7), OurRequests::from(0));
        old.start(7, Request::RekeyIke, sending());
        old.ask(Request::RekeyChild);
        old.ask(Request::Liveness);
        old.hand_over(&mut new);
        assert!(old.queue.is_empty());
        assert_eq!((new.take_turn(), new.issue_id()), (Some(Request::RekeyChild), 0));
        assert_eq!(new.take_turn(), Some(Request::Liveness));
    }
}
