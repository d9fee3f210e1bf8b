//! Fragments of whole messages, as Cisco has them: cut for a datagram size, and put together again. It knows octets and numbers, no payload and no
//! key. Nothing here is authentic: what comes together is a datagram like any other, and a forged piece spoils at most the message it is in.

use std::net::SocketAddr;
use std::time::Duration;

use crate::ike::action::DropReason;
use crate::ike::profile::Profile;
use crate::ike::v1::header::{Cookies, ExchangeType, Flags, Header, PayloadType};
use crate::ike::v1::vendor::PeerCapabilities;
use crate::ike::wire::header::{HEADER_LEN, LONGEST_MESSAGE};
use crate::ike::wire::reader::Reader;
use crate::ike::wire::writer::Writer;
use crate::sa::path::{Framing, Path};
use crate::time::Instant;

/// No message is cut into or put together from more pieces than this.
const MOST_FRAGMENTS: u8 = 128;

/// Pieces whose others do not come are given up after this time.
const PATIENCE: Duration = Duration::from_secs(15);

/// Generic header, and ID, number and flags of the fragment.
const FRAGMENT_HEADER: usize = 8;
const UDP_HEADER: usize = 8;
const LAST: u8 = 1;

/// A fragment payload's fields.
#[derive(Debug)]
struct Fragment<'a> {
    id: u16,
    /// From 1.
    number: u8,
    last: bool,
    content: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// It is the only payload of its message.
    fn parse(rest: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(rest, HEADER_LEN);
        let structure = reader.structure().ok()?;
        reader.finish().ok()?;
        let mut content = structure.content;
        let id = content.u16().ok()?;
        let number = content.u8().ok()?;
        let last = content.u8().ok()? & LAST != 0;
        let content = content.remainder();
        let fits = structure.first == PayloadType::NONE.0 && (1..=MOST_FRAGMENTS).contains(&number);
        (fits && !content.is_empty()).then_some(Self { id, number, last, content })
    }
}

/// The pieces of one message at most: the first piece of another takes their place.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    set: Option<Set>,
}

#[derive(Debug)]
struct Set {
    name: Name,
    begun: Instant,
    /// By number; the first is number 1.
    pieces: Vec<Option<Vec<u8>>>,
    present: usize,
    octets: usize,
    /// The number of the last piece, once it is there.
    last: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    cookies: Cookies,
    id: u16,
}

impl Reassembly {
    /// Takes the fragment that `header` and `rest` are. When it was the one that was missing, the whole message is given; it is not checked but for
    /// its header. Message ID, exchange type and flags of a fragment mean nothing: peers differ in them.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        header: &Header,
        rest: &[u8],
    ) -> Result<Option<Vec<u8>>, DropReason> {
        let fragment = Fragment::parse(rest).ok_or(DropReason::Malformed)?;
        let name = Name { cookies: header.cookies, id: fragment.id };
        self.set.take_if(|set| now.since(set.begun) >= PATIENCE || is_replaced(set, name, &fragment));
        let set = self.set.get_or_insert_with(|| Set::new(name, now));
        if set.name != name {
            return Err(DropReason::Fragment);
        }
        if !set.insert(&fragment)? {
            return Ok(None);
        }
        let whole = self.set.take().map(Set::join).unwrap_or_default();
        // A message of this SA, of the length that its header says, and no fragment again.
        match Header::parse(&whole) {
            Ok((inner, _)) if inner.cookies == header.cookies && inner.next_payload != PayloadType::FRAGMENT => {
                Ok(Some(whole))
            }
            _ => Err(DropReason::Fragment),
        }
    }
}

/// Only where another message begins: stray pieces, as a forger's may be, do not interrupt one that is on its way.
fn is_replaced(set: &Set, name: Name, fragment: &Fragment<'_>) -> bool {
    set.name != name && fragment.number == 1
}

impl Set {
    fn new(name: Name, now: Instant) -> Self {
        Self { name, begun: now, pieces: Vec::new(), present: 0, octets: 0, last: None }
    }

    /// Whether all are there now.
    fn insert(&mut self, fragment: &Fragment<'_>) -> Result<bool, DropReason> {
        let number = usize::from(fragment.number);
        let beyond = self.last.is_some_and(|last| number > last || (fragment.last && number != last));
        // The last is the one with the highest number.
        let too_early = fragment.last && number < self.pieces.len();
        if beyond || too_early {
            return Err(DropReason::Fragment);
        }
        let octets = self.octets.saturating_add(fragment.content.len());
        if octets > LONGEST_MESSAGE {
            return Err(DropReason::Bounded);
        }
        if self.pieces.len() < number {
            self.pieces.resize(number, None);
        }
        let place = self.pieces.get_mut(number.saturating_sub(1)).ok_or(DropReason::Fragment)?;
        // There is one of each number, the first that came.
        if place.is_some() {
            return Err(DropReason::Fragment);
        }
        *place = Some(fragment.content.to_vec());
        self.octets = octets;
        self.present = self.present.saturating_add(1);
        if fragment.last {
            self.last = Some(number);
        }
        Ok(self.last == Some(self.present))
    }

    fn join(self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.octets);
        self.pieces.into_iter().flatten().for_each(|piece| whole.extend(piece));
        whole
    }
}

/// The largest datagram that is sent whole to a peer with these capabilities; `None` if nothing may be cut for it.
pub(super) fn limit(profile: &Profile, capabilities: PeerCapabilities) -> Option<u16> {
    profile.fragmentation.filter(|_| capabilities.fragmentation)
}

/// The datagrams of a message: itself if it fits into an IP datagram of `limit` octets or there is no limit, else fragments that do. A limit below
/// what every link carries is taken as that.
///
/// What would be too many pieces goes whole: then IP cuts it.
pub(super) fn datagrams(limit: Option<u16>, path: &Path, message: Vec<u8>) -> Vec<Vec<u8>> {
    let Some(room) = limit.map(|limit| room(limit, path)).filter(|room| message.len() > *room) else {
        return vec![message];
    };
    cut(room, &message).unwrap_or_else(|| vec![message])
}

/// Octets of a message that one datagram carries.
fn room(limit: u16, path: &Path) -> usize {
    let floor = match path.remote {
        SocketAddr::V4(_) => 576_usize,
        SocketAddr::V6(_) => 1280,
    };
    usize::from(limit).max(floor).saturating_sub(around(path))
}

/// Octets of an IP datagram that are none of the message's.
pub(super) const fn around(path: &Path) -> usize {
    let ip = match path.remote {
        SocketAddr::V4(_) => 20_usize,
        SocketAddr::V6(_) => 40,
    };
    let marker = match path.framing {
        Framing::Bare => 0,
        Framing::Marked => 4,
    };
    ip.saturating_add(UDP_HEADER).saturating_add(marker)
}

fn cut(room: usize, message: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (whole, _) = Header::parse(message).ok()?;
    let content = room.checked_sub(HEADER_LEN)?.checked_sub(FRAGMENT_HEADER).filter(|content| *content > 0)?;
    let count = u8::try_from(message.len().div_ceil(content)).ok().filter(|count| *count <= MOST_FRAGMENTS)?;
    // Fragments stand outside of all exchanges: in clear, with phase 1's message ID and a kind of exchange that phase 1 has.
    let exchange =
        if whole.exchange == ExchangeType::AGGRESSIVE { ExchangeType::AGGRESSIVE } else { ExchangeType::MAIN_MODE };
    let next_payload = PayloadType::FRAGMENT;
    let header = Header { next_payload, exchange, flags: Flags::default(), message_id: 0, ..whole };
    let id = id_of(message);
    (1..=count)
        .zip(message.chunks(content))
        .map(|(number, piece)| {
            let mut writer = Writer::new();
            let last = if number == count { LAST } else { 0 };
            let body = |writer: &mut Writer| {
                writer.u16(id);
                writer.u8(number);
                writer.u8(last);
                writer.octets(piece);
                Ok(())
            };
            writer.structure(PayloadType::NONE.0, 0, body).ok()?;
            let payload = writer.finish();
            let mut datagram = header.write(payload.len()).ok()?;
            datagram.extend_from_slice(&payload);
            Some(datagram)
        })
        .collect()
}

/// A repeated message has the ID that it had: its pieces complete those that arrived before. Others most likely have another.
fn id_of(message: &[u8]) -> u16 {
    let sum = message.iter().fold(0_u16, |sum, octet| sum.rotate_left(3) ^ u16::from(*octet));
    sum.max(1)
}

#[cfg(test)]
mod tests;
