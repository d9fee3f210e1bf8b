//! What of a datagram may reach an established IKE SA, and which. Nothing here can change any.

use crate::ike::action::DropReason;
use crate::ike::v2::established::Established;
use crate::ike::v2::message::notify::Notify;
use crate::ike::v2::protect::{OpenError, Opened};
use crate::ike::v2::window::Place;
use crate::ike::wire::chain::{RawPayload, parse_outer};
use crate::ike::wire::header::Header;
use crate::ike::wire::reader::Reader;
use crate::ike::wire::registry::{NotifyType, PayloadType};
use crate::sa::path::Path;
use crate::sa::spi::IkeSpi;

/// A datagram that is about this SA.
pub(super) enum Admitted {
    /// Octet for octet the last request that was answered.
    Repetition(IkeSpi),
    /// Authentic: a request that is due, or a fragment of the last one that was answered; whole or a fragment.
    Request(IkeSpi, Opened),
    /// Authentic: the response that is waited for, whole or a fragment.
    Response(IkeSpi, Opened),
    /// Unprotected: somebody says that the SA is not known.
    Hint,
}

impl Established {
    pub(super) fn admit(&self, path: Path, datagram: &[u8]) -> Result<Admitted, DropReason> {
        // RFC 7296 §2.23: behind a NAT, and we always are, a peer's change of address is not followed. Its port may be another (RFC 7296 §2.11).
        // From an address that it told us of, it is heard, and still not followed (RFC 4555 §3.8).
        let from = path.remote.ip();
        if from != self.path.remote.ip() && !self.mobility.knows(from) {
            return Err(DropReason::WrongAddress);
        }
        let (header, rest) = Header::parse(datagram).map_err(|_| DropReason::Malformed)?;
        if header.major != 2 {
            return Err(DropReason::MajorVersion);
        }
        let sa = self.sas().find(|sa| sa.owns(&header)).ok_or(DropReason::NotOurs)?;
        let name = sa.name();
        let outer = parse_outer(&header, rest).map_err(|_| DropReason::Malformed)?;
        let Some(protected) = outer.protected else { return unprotected(&outer.clear) };
        if header.flags.response {
            if !sa.ours.awaits(header.message_id, header.exchange) {
                return Err(DropReason::OutsideWindow);
            }
        } else {
            if sa.peers.repeats(datagram) {
                return Ok(Admitted::Repetition(name));
            }
            let recognisable = match sa.peers.place(header.message_id) {
                Place::Due => true,
                Place::Answered => protected.fragment.is_some(),
                Place::Outside => false,
            };
            if !recognisable {
                return Err(DropReason::OutsideWindow);
            }
        }
        // RFC 7383 §2.3: fragments come only if both sides said that they understand them.
        if protected.fragment.is_some() && !self.capabilities.fragmentation {
            return Err(DropReason::Fragment);
        }
        let opened = sa.protection.open(datagram).map_err(|error| match error {
            OpenError::Malformed => DropReason::Malformed,
            OpenError::Unprotected => DropReason::Unauthenticated,
            OpenError::Forged => DropReason::Forged,
        })?;
        Ok(if header.flags.response { Admitted::Response(name, opened) } else { Admitted::Request(name, opened) })
    }
}

/// RFC 7296 §1.5, §2.21.4: the two notifies that a peer without the SA sends in clear. All else in clear is nothing.
fn unprotected(clear: &[RawPayload<'_>]) -> Result<Admitted, DropReason> {
    let says_unknown = |payload: &RawPayload<'_>| {
        payload.kind == PayloadType::NOTIFY
            && Notify::parse(Reader::new(payload.body, payload.offset))
                .is_ok_and(|notify| matches!(notify.kind, NotifyType::INVALID_IKE_SPI | NotifyType::INVALID_SPI))
    };
    if clear.iter().any(says_unknown) { Ok(Admitted::Hint) } else { Err(DropReason::Unauthenticated) }
}
