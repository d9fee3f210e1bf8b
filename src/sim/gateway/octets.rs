//! IKEv2 messages as this gateway reads and writes them, from RFC 7296 §3 and nothing of `ike`.

/// Payload numbers (RFC 7296 §3.2, RFC 7383 §2.5).
pub mod payload {
    pub const SA: u8 = 33;
    pub const KE: u8 = 34;
    pub const ID_I: u8 = 35;
    pub const ID_R: u8 = 36;
    pub const AUTH: u8 = 39;
    pub const NONCE: u8 = 40;
    pub const NOTIFY: u8 = 41;
    pub const DELETE: u8 = 42;
    pub const TS_I: u8 = 44;
    pub const TS_R: u8 = 45;
    pub const SK: u8 = 46;
    pub const CP: u8 = 47;
    pub const EAP: u8 = 48;
    pub const SKF: u8 = 53;
}

/// Exchange numbers.
pub mod exchange {
    pub const SA_INIT: u8 = 34;
    pub const AUTH: u8 = 35;
    pub const CREATE_CHILD: u8 = 36;
    pub const INFORMATIONAL: u8 = 37;
}

/// Notify numbers.
pub mod notify {
    pub const INVALID_SYNTAX: u16 = 7;
    pub const INVALID_SPI: u16 = 11;
    pub const NO_PROPOSAL_CHOSEN: u16 = 14;
    pub const TEMPORARY_FAILURE: u16 = 43;
    pub const CHILD_SA_NOT_FOUND: u16 = 44;
    pub const INVALID_KE_PAYLOAD: u16 = 17;
    pub const AUTHENTICATION_FAILED: u16 = 24;
    pub const TS_UNACCEPTABLE: u16 = 38;
    pub const INTERNAL_ADDRESS_FAILURE: u16 = 36;
    pub const INITIAL_CONTACT: u16 = 16384;
    pub const NAT_DETECTION_SOURCE_IP: u16 = 16388;
    pub const NAT_DETECTION_DESTINATION_IP: u16 = 16389;
    pub const COOKIE: u16 = 16390;
    pub const USE_TRANSPORT_MODE: u16 = 16391;
    pub const REKEY_SA: u16 = 16393;
    pub const MOBIKE_SUPPORTED: u16 = 16396;
    pub const ADDITIONAL_IP4_ADDRESS: u16 = 16397;
    pub const ADDITIONAL_IP6_ADDRESS: u16 = 16398;
    pub const UPDATE_SA_ADDRESSES: u16 = 16400;
    pub const COOKIE2: u16 = 16401;
    pub const NO_NATS_ALLOWED: u16 = 16402;
    pub const AUTH_LIFETIME: u16 = 16403;
    pub const FRAGMENTATION_SUPPORTED: u16 = 16430;
}

pub const FLAG_INITIATOR: u8 = 0x08;
pub const FLAG_RESPONSE: u8 = 0x20;

/// A payload: its number and body.
pub type Payload = (u8, Vec<u8>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub spi_i: [u8; 8],
    pub spi_r: [u8; 8],
    pub exchange: u8,
    pub flags: u8,
    pub id: u32,
    pub payloads: Vec<Payload>,
    /// For the last payload, when it is SK or SKF: the number of the first payload inside, and where its body starts.
    pub inner: Option<(u8, usize)>,
}

impl Message {
    pub fn is_response(&self) -> bool {
        self.flags & FLAG_RESPONSE != 0
    }

    pub fn get(&self, kind: u8) -> Option<&[u8]> {
        find(&self.payloads, kind)
    }

    pub fn read(datagram: &[u8]) -> Option<Self> {
        if datagram.len() < 28 || datagram[17] != 0x20 {
            return None;
        }
        let length = u32::from_be_bytes(datagram[24..28].try_into().ok()?) as usize;
        if length != datagram.len() {
            return None;
        }
        let (payloads, inner) = chain(datagram[16], datagram, 28)?;
        Some(Self {
            spi_i: datagram[0..8].try_into().ok()?,
            spi_r: datagram[8..16].try_into().ok()?,
            exchange: datagram[18],
            flags: datagram[19],
            id: u32::from_be_bytes(datagram[20..24].try_into().ok()?),
            payloads,
            inner,
        })
    }

    /// The whole message in clear, or up to the body of an SK payload that is written by the caller.
    pub fn write(&self) -> Vec<u8> {
        let mut out = self.header(self.payloads.first().map_or(0, |(kind, _)| *kind));
        write_chain(&mut out, &self.payloads);
        set_length(&mut out);
        out
    }

    pub fn header(&self, first: u8) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.spi_i);
        out.extend_from_slice(&self.spi_r);
        out.extend_from_slice(&[first, 0x20, self.exchange, self.flags]);
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out
    }
}

pub fn set_length(message: &mut [u8]) {
    let length = u32::try_from(message.len()).expect("a datagram's length");
    message[24..28].copy_from_slice(&length.to_be_bytes());
}

pub fn find(payloads: &[Payload], kind: u8) -> Option<&[u8]> {
    payloads.iter().find(|(number, _)| *number == kind).map(|(_, body)| body.as_slice())
}

/// The payloads, and for a closing SK or SKF what is inside first and where its body starts.
pub type Chain = (Vec<Payload>, Option<(u8, usize)>);

/// Payloads from `at` on; stops at SK or SKF, whose body is what is left.
pub fn chain(first: u8, octets: &[u8], mut at: usize) -> Option<Chain> {
    let mut kind = first;
    let mut payloads = Vec::new();
    while kind != 0 {
        let head = octets.get(at..at + 4)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let body = octets.get(at + 4..at + length)?;
        payloads.push((kind, body.to_vec()));
        if kind == payload::SK || kind == payload::SKF {
            return Some((payloads, Some((head[0], at + 4))));
        }
        kind = head[0];
        at += length;
    }
    (at == octets.len()).then_some((payloads, None))
}

/// Payload numbers from here on are written with the critical bit set; RFC 7296 knows none of them.
pub const FIRST_CRITICAL: u8 = 200;

pub fn write_chain(out: &mut Vec<u8>, payloads: &[Payload]) {
    for (index, (kind, body)) in payloads.iter().enumerate() {
        let next = payloads.get(index + 1).map_or(0, |(kind, _)| *kind);
        out.extend_from_slice(&[next, if *kind >= FIRST_CRITICAL { 0x80 } else { 0 }]);
        out.extend_from_slice(&u16::try_from(body.len() + 4).expect("a payload's length").to_be_bytes());
        out.extend_from_slice(body);
    }
}

/// A Notify without SPI.
pub fn notify_payload(kind: u16, data: &[u8]) -> Payload {
    let mut body = vec![0, 0];
    body.extend_from_slice(&kind.to_be_bytes());
    body.extend_from_slice(data);
    (payload::NOTIFY, body)
}

/// Numbers and data of all notifies.
pub fn notifies(payloads: &[Payload]) -> Vec<(u16, Vec<u8>)> {
    payloads
        .iter()
        .filter(|(kind, body)| *kind == payload::NOTIFY && body.len() >= 4)
        .filter_map(|(_, body)| {
            Some((u16::from_be_bytes([body[2], body[3]]), body.get(4 + usize::from(body[1])..)?.to_vec()))
        })
        .collect()
}

/// A proposal: number, protocol, SPI, transforms as (type, id, key bits).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub number: u8,
    pub protocol: u8,
    pub spi: Vec<u8>,
    pub transforms: Vec<(u8, u16, Option<u16>)>,
}

pub fn read_proposals(body: &[u8]) -> Option<Vec<Proposal>> {
    let mut proposals = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let head = body.get(at..at + 8)?;
        let spi_end = at + 8 + usize::from(head[6]);
        let spi = body.get(at + 8..spi_end)?.to_vec();
        let mut inner = spi_end;
        let mut transforms = Vec::new();
        for _ in 0..head[7] {
            let t = body.get(inner..inner + 8)?;
            let length = usize::from(u16::from_be_bytes([t[2], t[3]]));
            let attribute = body.get(inner + 8..inner + length)?;
            let bits = (attribute.len() >= 4 && attribute[..2] == [0x80, 14])
                .then(|| u16::from_be_bytes([attribute[2], attribute[3]]));
            transforms.push((t[4], u16::from_be_bytes([t[6], t[7]]), bits));
            inner += length;
        }
        proposals.push(Proposal { number: head[4], protocol: head[5], spi, transforms });
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        at = Some(at + length).filter(|end| *end >= inner)?;
    }
    Some(proposals)
}

pub fn write_proposals(proposals: &[Proposal]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, proposal) in proposals.iter().enumerate() {
        let mut transforms = Vec::new();
        for (position, (kind, id, bits)) in proposal.transforms.iter().enumerate() {
            let more = if position + 1 < proposal.transforms.len() { 3 } else { 0 };
            transforms.extend_from_slice(&[more, 0, 0, if bits.is_some() { 12 } else { 8 }, *kind, 0]);
            transforms.extend_from_slice(&id.to_be_bytes());
            if let Some(bits) = bits {
                transforms.extend_from_slice(&[0x80, 14]);
                transforms.extend_from_slice(&bits.to_be_bytes());
            }
        }
        let more = if index + 1 < proposals.len() { 2 } else { 0 };
        let length = u16::try_from(8 + proposal.spi.len() + transforms.len()).expect("a proposal's length");
        out.extend_from_slice(&[more, 0]);
        out.extend_from_slice(&length.to_be_bytes());
        let counts = [proposal.spi.len(), proposal.transforms.len()].map(|n| u8::try_from(n).expect("a count"));
        out.extend_from_slice(&[proposal.number, proposal.protocol, counts[0], counts[1]]);
        out.extend_from_slice(&proposal.spi);
        out.extend_from_slice(&transforms);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_back_as_written() {
        let message = Message {
            spi_i: [1; 8],
            spi_r: [2; 8],
            exchange: exchange::INFORMATIONAL,
            flags: FLAG_RESPONSE,
            id: 7,
            payloads: vec![notify_payload(notify::COOKIE, b"c"), (payload::NONCE, vec![9; 32])],
            inner: None,
        };
        assert_eq!(Message::read(&message.write()), Some(message));
    }

    #[test]
    fn proposals_read_back_as_written() {
        let proposals = vec![
            Proposal { number: 1, protocol: 1, spi: vec![], transforms: vec![(1, 12, Some(256)), (4, 14, None)] },
            Proposal { number: 2, protocol: 3, spi: vec![1, 2, 3, 4], transforms: vec![(1, 28, None)] },
        ];
        assert_eq!(read_proposals(&write_proposals(&proposals)), Some(proposals));
    }
}
