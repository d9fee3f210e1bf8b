//! Message IDs (RFC 7296 §2.2, §2.3): which request is due in each direction, and the answer that is given again when its request is.
//! The window is 1 both ways: ours is never announced larger, and a peer's larger one need not be used. It knows no content.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ike::v2::fragment::{Fragment, FragmentFault, Progress, Reassembly};
use crate::time::Instant;

/// A message ID from here on is not used: the IKE SA is closed before (RFC 7296 §2.2).
pub(super) const LAST_MESSAGE_ID: u32 = u32::MAX - 0xffff;

/// Pieces of a request whose others do not come are given up after this.
const REASSEMBLY_TIME: Duration = Duration::from_secs(60);

/// The IDs of our requests.
#[derive(Debug)]
pub(super) struct OurIds {
    next: u32,
}

impl OurIds {
    /// The next request is `next`.
    pub(super) const fn from(next: u32) -> Self {
        Self { next }
    }

    /// The next one.
    pub(super) const fn next(&self) -> u32 {
        self.next
    }

    /// An ID for one request.
    pub(super) fn issue(&mut self) -> u32 {
        let issued = self.next;
        self.next = self.next.saturating_add(1);
        issued
    }

    /// Whether the IKE SA must be closed for want of IDs.
    pub(super) const fn are_used_up(&self) -> bool {
        self.next >= LAST_MESSAGE_ID
    }
}

/// The peer's requests. Where they go on in another process, pieces of one come again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PeerRequests {
    next: u32,
    answered: Option<Answered>,
    #[serde(skip)]
    incoming: Option<Incoming>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Answered {
    message_id: u32,
    request: Vec<u8>,
    reply: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Incoming {
    reassembly: Reassembly,
    first: Vec<u8>,
    given_up_at: Instant,
}

/// Where a request's ID stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the one that is waited for.
    Due,
    /// It was answered, and no other after it.
    Answered,
    /// Neither.
    Outside,
}

impl PeerRequests {
    /// None received yet; the first is `next`.
    pub(super) const fn from(next: u32) -> Self {
        Self { next, answered: None, incoming: None }
    }

    /// The same in another process: with the answer that may be asked for again.
    pub(super) fn duplicate(&self) -> Self {
        Self { next: self.next, answered: self.answered.clone(), incoming: None }
    }

    /// Where `message_id` stands. Says nothing about authenticity.
    pub(super) fn place(&self, message_id: u32) -> Place {
        if message_id == self.next {
            return Place::Due;
        }
        match &self.answered {
            Some(answered) if answered.message_id == message_id => Place::Answered,
            _ => Place::Outside,
        }
    }

    /// Whether the datagram is, octet for octet, the last answered request, or the first fragment of it (RFC 7296 §2.1, RFC 7383 §2.6.1).
    pub(super) fn repeats(&self, datagram: &[u8]) -> bool {
        self.answered.as_ref().is_some_and(|answered| answered.request == datagram)
    }

    /// The answer to the last request: what is sent again, never made anew (RFC 7296 §2.1).
    pub(super) fn reply(&self) -> &[Vec<u8>] {
        self.answered.as_ref().map_or(&[], |answered| &answered.reply)
    }

    /// Takes an authentic fragment of the due request; `datagram` is what it came in.
    pub(super) fn insert(
        &mut self,
        now: Instant,
        fragment: Fragment,
        datagram: &[u8],
    ) -> Result<Progress, FragmentFault> {
        self.give_up_pieces(now);
        let is_first = fragment.number.number == 1;
        let incoming = self.incoming.get_or_insert_with(|| Incoming {
            reassembly: Reassembly::new(),
            first: Vec::new(),
            given_up_at: now.after(REASSEMBLY_TIME),
        });
        let progress = incoming.reassembly.insert(fragment)?;
        if is_first {
            incoming.first = datagram.to_vec();
        }
        Ok(progress)
    }

    /// The due request was processed: it came whole in `datagram` or ended with it, and this is its answer.
    pub(super) fn answer(&mut self, datagram: &[u8], reply: Vec<Vec<u8>>) {
        // RFC 7383 §2.6.1: of a fragmented request only the first fragment asks for the answer again.
        let first =
            self.incoming.take().filter(|incoming| incoming.reassembly.is_complete()).map(|incoming| incoming.first);
        let request = first.unwrap_or_else(|| datagram.to_vec());
        self.answered = Some(Answered { message_id: self.next, request, reply });
        self.next = self.next.saturating_add(1);
    }

    /// When the pieces that are there are given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.incoming.as_ref().map(|incoming| incoming.given_up_at)
    }

    /// Forgets pieces whose others did not come in time.
    pub(super) fn give_up_pieces(&mut self, now: Instant) {
        self.incoming.take_if(|incoming| incoming.given_up_at <= now);
    }

    /// Whether the IKE SA must be closed for want of IDs.
    pub(super) const fn are_used_up(&self) -> bool {
        self.next >= LAST_MESSAGE_ID
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ike::wire::chain::FragmentNumber;
    use crate::ike::wire::registry::{ExchangeType, PayloadType};

    fn piece(number: u16, total: u16) -> Fragment {
        Fragment {
            exchange: ExchangeType::INFORMATIONAL,
            number: FragmentNumber { number, total },
            first: PayloadType::NONE,
            content: vec![0; 4],
        }
    }

    #[test]
    fn k2_080_ids_start_where_they_are_told_and_grow_by_one() {
        let mut ids = OurIds::from(2);
        assert_eq!([ids.issue(), ids.issue(), ids.issue()], [2, 3, 4]);
        let mut requests = PeerRequests::from(0);
        requests.answer(b"request 0", vec![]);
        requests.answer(b"request 1", vec![]);
        assert_eq!(requests.place(2), Place::Due);
    }

    #[test]
    fn k2_082_only_the_last_answered_request_is_recognised() {
        let mut requests = PeerRequests::from(0);
        assert!(!requests.repeats(b""));
        assert_eq!(requests.place(0), Place::Due);
        requests.answer(b"request 0", vec![b"reply 0".to_vec()]);
        assert!(requests.repeats(b"request 0") && !requests.repeats(b"request X"));
        assert_eq!(requests.reply(), [b"reply 0".to_vec()]);
        assert_eq!(requests.place(0), Place::Answered);
        requests.answer(b"request 1", vec![b"reply 1".to_vec()]);
        assert!(!requests.repeats(b"request 0"));
        assert_eq!(requests.place(0), Place::Outside);
        assert_eq!(requests.reply(), [b"reply 1".to_vec()]);
    }

    #[test]
    fn k2_084_requests_beyond_the_window_are_outside() {
        let requests = PeerRequests::from(0);
        for message_id in [1, 2, u32::MAX] {
            assert_eq!(requests.place(message_id), Place::Outside);
        }
    }

    #[test]
    fn k2_085_ids_are_used_up_before_they_wrap() {
        assert_eq!(LAST_MESSAGE_ID, 0xffff_0000);
        let mut ids = OurIds::from(LAST_MESSAGE_ID - 1);
        assert!(!ids.are_used_up());
        ids.issue();
        assert!(ids.are_used_up());
        let mut last = OurIds::from(u32::MAX);
        assert_eq!([last.issue(), last.issue()], [u32::MAX, u32::MAX], "an ID does not wrap");
        let mut requests = PeerRequests::from(LAST_MESSAGE_ID - 1);
        assert!(!requests.are_used_up());
        requests.answer(b"", vec![]);
        assert!(requests.are_used_up());
    }

    #[test]
    fn f_09_a_fragmented_request_is_recognised_by_its_first_fragment_only() {
        let mut requests = PeerRequests::from(0);
        requests.insert(Instant::START, piece(1, 2), b"first").unwrap();
        requests.insert(Instant::START, piece(2, 2), b"second").unwrap();
        requests.answer(b"second", vec![b"reply".to_vec()]);
        assert!(requests.repeats(b"first") && !requests.repeats(b"second"));
    }

    #[test]
    fn f_08_a_request_that_came_whole_beside_its_pieces_is_recognised_whole() {
        let mut requests = PeerRequests::from(0);
        requests.insert(Instant::START, piece(1, 2), b"first").unwrap();
        requests.answer(b"whole", vec![]);
        assert!(requests.repeats(b"whole") && !requests.repeats(b"first"));
        assert_eq!(requests.deadline(), None, "the pieces are forgotten");
    }

    #[test]
    fn f_07_pieces_whose_others_do_not_come_are_given_up() {
        let mut requests = PeerRequests::from(0);
        requests.insert(Instant::START, piece(1, 2), b"first").unwrap();
        let late = requests.deadline().unwrap();
        assert_eq!(requests.insert(late, piece(2, 2), b"second"), Ok(Progress::Incomplete));
        requests.give_up_pieces(late);
        assert!(requests.deadline().is_some(), "the later piece has its own time");
        requests.give_up_pieces(late.after(REASSEMBLY_TIME));
        assert_eq!(requests.deadline(), None);
    }
}
