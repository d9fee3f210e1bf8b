//! Informational exchanges over an ISAKMP SA (RFC 2409 §5.7): what the peer says in them, and what we say. There is no answer to any; nothing in
//! one is looked at before its HASH is right.

use crate::crypto::random::Random;
use crate::ike::action::DropReason;
use crate::ike::v1::fragment;
use crate::ike::v1::header::{Cookies, ExchangeType, Header};
use crate::ike::v1::isakmp_sa::IsakmpSa;
use crate::ike::v1::message::{Delete, Informational, Notify};
use crate::sa::spi::{IkeSpi, InboundSpi, OutboundSpi};

const PROTOCOL_ISAKMP: u8 = 1;
const PROTOCOL_ESP: u8 = 3;

/// RFC 2408 §3.14.1: those below tell an error, the others a state.
const FIRST_STATUS: u16 = 16_384;
const INVALID_SPI: u16 = 11;
const CONNECTED: u16 = 16_384;
const RESPONDER_LIFETIME: u16 = 24_576;
const INITIAL_CONTACT: u16 = 24_578;
const R_U_THERE: u16 = 36_136;
const R_U_THERE_ACK: u16 = 36_137;
/// Says nothing: makes a question long.
const PATH_PROBE: u16 = 39_630;

/// One thing that the peer said, in the order of the message, deletes last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The SPIs that the peer received on, so ours to send with; those that cannot be one are left out (RFC 2408 §3.15).
    DeleteEsp(Vec<OutboundSpi>),
    /// An ISAKMP SA, this one or another of both.
    DeleteIsakmp(Cookies),
    /// R-U-THERE with its number.
    DpdRequest(u32),
    /// R-U-THERE-ACK with its number.
    DpdAck(u32),
    /// The peer keeps an SA for a shorter time (RFC 2407 §4.6.3.1).
    ResponderLifetime {
        /// Which.
        of: Subject,
        /// Attributes as they came.
        attributes: Vec<u8>,
    },
    /// The SA of a quick mode can be used (RFC 2408 §3.1): its message ID is the message's, or its SPI is here.
    Connected(Subject),
    /// ESP came to the peer on this SPI, which is none of its own (RFC 2408 §3.14.1), if it says which.
    InvalidSpi(Option<OutboundSpi>),
    /// The peer has no other SA with us.
    InitialContact,
    /// An error type, and what it is about.
    Error {
        /// RFC 2408 §3.14.1.
        kind: u16,
        /// As far as it is said.
        of: Subject,
    },
    /// A notify that means nothing here.
    Other {
        /// Its type.
        kind: u16,
    },
}

/// What a notify is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// It does not say.
    Unsaid,
    /// An ISAKMP SA.
    Isakmp(Cookies),
    /// A child SA by one of its SPIs: errors have that of the proposal they refuse, the others that which the peer receives on.
    Esp([u8; 4]),
}

/// What an informational exchange says. Its HASH was right; whether its message ID is new is for the caller to see.
pub(super) fn read(sa: &IsakmpSa, header: &Header, rest: &[u8]) -> Result<Vec<News>, DropReason> {
    if header.exchange != ExchangeType::INFORMATIONAL {
        return Err(DropReason::NotOurs);
    }
    // RFC 2408 §3.1: zero is phase 1's.
    if header.message_id == 0 {
        return Err(DropReason::Malformed);
    }
    let opened = sa.open(header, &sa.first_iv(header.message_id), rest)?;
    let (first, octets) = sa.verify_hash_1(&opened)?;
    let message = Informational::parse(first, octets).map_err(|_| DropReason::Malformed)?;
    Ok(news(sa.cookies, &message))
}

/// What a message says whose HASH was right.
pub(super) fn news(own: Cookies, message: &Informational) -> Vec<News> {
    let notifies = message.notifies.iter().map(|notify| notified(own, notify));
    // An ISAKMP SA's delete comes last: what else the message says is said under that SA.
    let children = message.deletes.iter().filter(|delete| delete.protocol == PROTOCOL_ESP);
    let children = children.map(|delete| News::DeleteEsp(delete.spis.iter().filter_map(|spi| outbound(spi)).collect()));
    let own_kind = message.deletes.iter().filter(|delete| delete.protocol == PROTOCOL_ISAKMP);
    let own_kind = own_kind.flat_map(|delete| &delete.spis).filter_map(|spi| cookies(spi).map(News::DeleteIsakmp));
    notifies.chain(children).chain(own_kind).collect()
}

fn notified(own: Cookies, notify: &Notify) -> News {
    let of = match (notify.protocol, notify.spi.as_slice()) {
        (PROTOCOL_ESP, &[a, b, c, d]) => Subject::Esp([a, b, c, d]),
        (PROTOCOL_ISAKMP, spi) => cookies(spi).map_or(Subject::Unsaid, Subject::Isakmp),
        _ => Subject::Unsaid,
    };
    // RFC 3706 §6.1: the cookies, where they are there, are this SA's; the number has four octets.
    let is_own = notify.spi.is_empty() || of == Subject::Isakmp(own);
    let number = <[u8; 4]>::try_from(notify.data.as_slice()).ok().map(u32::from_be_bytes).filter(|_| is_own);
    match (notify.kind, number) {
        (R_U_THERE, Some(number)) => News::DpdRequest(number),
        (R_U_THERE_ACK, Some(number)) => News::DpdAck(number),
        (CONNECTED, _) => News::Connected(of),
        (RESPONDER_LIFETIME, _) => News::ResponderLifetime { of, attributes: notify.data.clone() },
        (INITIAL_CONTACT, _) => News::InitialContact,
        // RFC 2408 §3.14 puts it before the data; some write it there.
        (INVALID_SPI, _) => News::InvalidSpi(outbound(&notify.spi).or_else(|| outbound(&notify.data))),
        (kind, _) if kind < FIRST_STATUS => News::Error { kind, of },
        (kind, _) => News::Other { kind },
    }
}

fn cookies(spi: &[u8]) -> Option<Cookies> {
    let (initiator, responder) = spi.split_first_chunk()?;
    let responder = <[u8; 8]>::try_from(responder).ok()?;
    Some(Cookies { initiator: IkeSpi::new(*initiator)?, responder: Some(IkeSpi::new(responder)?) })
}

fn outbound(spi: &[u8]) -> Option<OutboundSpi> {
    OutboundSpi::new(u32::from_be_bytes(<[u8; 4]>::try_from(spi).ok()?))
}

/// An informational exchange of ours: one message with a message ID of its own.
pub(super) fn seal(sa: &mut IsakmpSa, random: &mut dyn Random, message: &Informational) -> Option<Vec<u8>> {
    let contents = message.contents().ok()?;
    let message_id = sa.fresh_message_id(random);
    let mut iv = sa.first_iv(message_id);
    sa.seal_with_hash_1(ExchangeType::INFORMATIONAL, message_id, &mut iv, &contents)
}

/// DELETE of an ISAKMP SA.
pub(super) fn delete_isakmp(cookies: Cookies) -> Informational {
    let delete = Delete { protocol: PROTOCOL_ISAKMP, spis: vec![spi_of(cookies)] };
    Informational { deletes: vec![delete], ..Informational::default() }
}

/// DELETE of child SAs, by the SPIs that we receive on (RFC 2408 §3.15).
pub(super) fn delete_esp(spis: &[InboundSpi]) -> Informational {
    let spis = spis.iter().map(|spi| spi.to_octets().to_vec()).collect();
    Informational { deletes: vec![Delete { protocol: PROTOCOL_ESP, spis }], ..Informational::default() }
}

/// R-U-THERE (RFC 3706 §5.3).
pub(super) fn dpd_request(cookies: Cookies, number: u32) -> Informational {
    dpd(cookies, R_U_THERE, number)
}

/// R-U-THERE in a datagram of so many octets, or as few less as whole cipher blocks allow, and how many it has.
pub(super) fn path_probe(sa: &IsakmpSa, number: u32, octets: u16) -> Option<(Informational, u16)> {
    let around = fragment::around(&sa.path);
    let (message, contents) = sa.whole_blocks(usize::from(octets).checked_sub(around)?)?;
    let with_data = |data: usize| {
        let mut words = dpd_request(sa.cookies, number);
        // RFC 2408 §3.14.1: a status type for private use. It stands behind the question: some look at the first notify only.
        words.notifies.extend(notify(sa.cookies, PATH_PROBE, vec![0; data]).notifies);
        words
    };
    let data = contents.checked_sub(with_data(0).contents().ok()?.octets.len())?;
    Some((with_data(data), u16::try_from(message.checked_add(around)?).ok()?))
}

/// R-U-THERE-ACK.
pub(super) fn dpd_ack(cookies: Cookies, number: u32) -> Informational {
    dpd(cookies, R_U_THERE_ACK, number)
}

/// Any notify about the ISAKMP SA itself.
pub(super) fn notify(cookies: Cookies, kind: u16, data: Vec<u8>) -> Informational {
    let notify = Notify { protocol: PROTOCOL_ISAKMP, spi: spi_of(cookies), kind, data };
    Informational { notifies: vec![notify], ..Informational::default() }
}

fn dpd(cookies: Cookies, kind: u16, number: u32) -> Informational {
    notify(cookies, kind, number.to_be_bytes().to_vec())
}

/// Both cookies, the initiator's first (RFC 2408 §3.15, RFC 3706 §5.3).
fn spi_of(cookies: Cookies) -> Vec<u8> {
    let responder = cookies.responder.map_or([0; 8], IkeSpi::to_octets);
    [cookies.initiator.to_octets(), responder].concat()
}

#[cfg(test)]
mod tests;
