//! ISAKMP messages as this gateway reads and writes them, from RFC 2408 §3 and nothing of `ike`.

/// Payload numbers (RFC 2408 §3.1, RFC 3947 §6, draft-ietf-ipsec-nat-t-ike-02 §3.2, draft-dukes-ike-mode-cfg-02 §3.2).
pub mod payload {
    pub const SA: u8 = 1;
    pub const KE: u8 = 4;
    pub const ID: u8 = 5;
    pub const HASH: u8 = 8;
    pub const NONCE: u8 = 10;
    pub const NOTIFY: u8 = 11;
    pub const DELETE: u8 = 12;
    pub const VENDOR: u8 = 13;
    pub const ATTRIBUTES: u8 = 14;
    pub const NAT_D: u8 = 20;
    pub const NAT_D_DRAFT: u8 = 130;
    pub const FRAGMENT: u8 = 132;
}

/// Exchange numbers (RFC 2408 §3.1, RFC 2409 appendix A, draft-dukes-ike-mode-cfg-02 §3.1).
pub mod exchange {
    pub const MAIN: u8 = 2;
    pub const AGGRESSIVE: u8 = 4;
    pub const INFORMATIONAL: u8 = 5;
    pub const TRANSACTION: u8 = 6;
    pub const QUICK: u8 = 32;
}

/// Notify numbers (RFC 2408 §3.14.1, RFC 2407 §4.6.3, RFC 3706 §5.2).
pub mod notify {
    pub const INVALID_COOKIE: u16 = 4;
    pub const NO_PROPOSAL_CHOSEN: u16 = 14;
    pub const PAYLOAD_MALFORMED: u16 = 16;
    pub const INVALID_ID_INFORMATION: u16 = 18;
    pub const INVALID_HASH_INFORMATION: u16 = 23;
    pub const AUTHENTICATION_FAILED: u16 = 24;
    pub const CONNECTED: u16 = 16384;
    pub const RESPONDER_LIFETIME: u16 = 24576;
    pub const INITIAL_CONTACT: u16 = 24578;
    pub const R_U_THERE: u16 = 36136;
    pub const R_U_THERE_ACK: u16 = 36137;
}

pub const FLAG_ENCRYPTION: u8 = 0x01;
pub const FLAG_COMMIT: u8 = 0x02;

/// Octets of the header.
pub const HEADER: usize = 28;

/// A payload: its number and body.
pub type Payload = (u8, Vec<u8>);

/// The header's fields, without the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub cky_i: [u8; 8],
    pub cky_r: [u8; 8],
    pub exchange: u8,
    pub flags: u8,
    pub id: u32,
}

impl Header {
    /// The header and the number of the first payload; none if the length is not the datagram's.
    pub fn read(datagram: &[u8]) -> Option<(Self, u8)> {
        let length = u32::from_be_bytes(datagram.get(24..28)?.try_into().ok()?) as usize;
        if length != datagram.len() || datagram[17] != 0x10 {
            return None;
        }
        let header = Self {
            cky_i: datagram[0..8].try_into().ok()?,
            cky_r: datagram[8..16].try_into().ok()?,
            exchange: datagram[18],
            flags: datagram[19],
            id: u32::from_be_bytes(datagram[20..24].try_into().ok()?),
        };
        Some((header, datagram[16]))
    }

    pub fn is_encrypted(&self) -> bool {
        self.flags & FLAG_ENCRYPTION != 0
    }

    /// The message with this body.
    pub fn write(&self, first: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + body.len()).expect("a message's length");
        [
            &self.cky_i[..],
            &self.cky_r,
            &[first, 0x10, self.exchange, self.flags],
            &self.id.to_be_bytes(),
            &length.to_be_bytes(),
            body,
        ]
        .concat()
    }

    /// The message in clear.
    pub fn write_clear(&self, payloads: &[Payload]) -> Vec<u8> {
        self.write(payloads.first().map_or(0, |(kind, _)| *kind), &write_chain(payloads))
    }
}

/// Payloads, and where they end: padding may follow (RFC 2409 §5.4, appendix B).
pub fn read_chain(first: u8, octets: &[u8]) -> Option<(Vec<Payload>, usize)> {
    let mut kind = first;
    let mut at = 0;
    let mut payloads = Vec::new();
    while kind != 0 {
        let head = octets.get(at..at + 4)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        payloads.push((kind, octets.get(at + 4..at + length)?.to_vec()));
        kind = head[0];
        at += length;
    }
    Some((payloads, at))
}

/// The payloads of a message in clear, which ends with the last of them.
pub fn read_clear(first: u8, octets: &[u8]) -> Option<Vec<Payload>> {
    let (payloads, end) = read_chain(first, octets)?;
    (end == octets.len()).then_some(payloads)
}

pub fn write_chain(payloads: &[Payload]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, (_, body)) in payloads.iter().enumerate() {
        out.extend_from_slice(&[payloads.get(index + 1).map_or(0, |(kind, _)| *kind), 0]);
        out.extend_from_slice(&u16::try_from(body.len() + 4).expect("a payload's length").to_be_bytes());
        out.extend_from_slice(body);
    }
    out
}

/// The first payload of a kind.
pub fn find(payloads: &[Payload], kind: u8) -> Option<&[u8]> {
    find_all(payloads, kind).next()
}

/// All payloads of a kind.
pub fn find_all(payloads: &[Payload], kind: u8) -> impl Iterator<Item = &[u8]> {
    payloads.iter().filter(move |(number, _)| *number == kind).map(|(_, body)| body.as_slice())
}

/// A data attribute (RFC 2408 §3.3): its type, its value, and whether it is written in the short form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub kind: u16,
    pub value: Vec<u8>,
    pub short: bool,
}

impl Attribute {
    pub fn short(kind: u16, value: u16) -> Self {
        Self { kind, value: value.to_be_bytes().to_vec(), short: true }
    }

    pub fn long(kind: u16, value: &[u8]) -> Self {
        Self { kind, value: value.to_vec(), short: false }
    }

    /// The value as a number, whichever form it has.
    pub fn number(&self) -> Option<u64> {
        (self.value.len() <= 8).then(|| self.value.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }
}

pub fn read_attributes(octets: &[u8]) -> Option<Vec<Attribute>> {
    let mut attributes = Vec::new();
    let mut at = 0;
    while at < octets.len() {
        let head = octets.get(at..at + 4)?;
        let kind = u16::from_be_bytes([head[0] & 0x7f, head[1]]);
        if head[0] & 0x80 != 0 {
            attributes.push(Attribute { kind, value: head[2..].to_vec(), short: true });
            at += 4;
        } else {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            attributes.push(Attribute::long(kind, octets.get(at + 4..at + 4 + length)?));
            at += 4 + length;
        }
    }
    Some(attributes)
}

pub fn write_attributes(attributes: &[Attribute]) -> Vec<u8> {
    let mut out = Vec::new();
    for attribute in attributes {
        if attribute.short {
            out.extend_from_slice(&(attribute.kind | 0x8000).to_be_bytes());
        } else {
            out.extend_from_slice(&attribute.kind.to_be_bytes());
            out.extend_from_slice(&u16::try_from(attribute.value.len()).expect("an attribute's length").to_be_bytes());
        }
        out.extend_from_slice(&attribute.value);
    }
    out
}

/// A transform of a proposal (RFC 2408 §3.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    pub number: u8,
    pub id: u8,
    pub attributes: Vec<Attribute>,
}

/// A proposal (RFC 2408 §3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub number: u8,
    pub protocol: u8,
    pub spi: Vec<u8>,
    pub transforms: Vec<Transform>,
}

/// DOI, situation and proposals of an SA payload (RFC 2408 §3.4, RFC 2407 §4.6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityAssociation {
    pub doi: u32,
    pub situation: u32,
    pub proposals: Vec<Proposal>,
}

impl SecurityAssociation {
    /// The IPsec DOI with SIT_IDENTITY_ONLY.
    pub fn ipsec(proposals: Vec<Proposal>) -> Self {
        Self { doi: 1, situation: 1, proposals }
    }

    pub fn read(body: &[u8]) -> Option<Self> {
        let word = |at: usize| body.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        let mut proposals = Vec::new();
        let mut at = 8;
        while at < body.len() {
            let head = body.get(at..at + 8)?;
            let end = at + usize::from(u16::from_be_bytes([head[2], head[3]]));
            let transforms_at = at + 8 + usize::from(head[6]);
            let spi = body.get(at + 8..transforms_at)?.to_vec();
            let transforms = read_transforms(body.get(transforms_at..end)?)?;
            if transforms.len() != usize::from(head[7]) {
                return None;
            }
            proposals.push(Proposal { number: head[4], protocol: head[5], spi, transforms });
            at = end;
        }
        Some(Self { doi: word(0)?, situation: word(4)?, proposals })
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = [self.doi.to_be_bytes(), self.situation.to_be_bytes()].concat();
        for (index, proposal) in self.proposals.iter().enumerate() {
            let more = if index + 1 < self.proposals.len() { 2 } else { 0 };
            let transforms = write_transforms(&proposal.transforms);
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
}

fn read_transforms(octets: &[u8]) -> Option<Vec<Transform>> {
    let mut transforms = Vec::new();
    let mut at = 0;
    while at < octets.len() {
        let head = octets.get(at..at + 8)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let attributes = read_attributes(octets.get(at + 8..at + length)?)?;
        transforms.push(Transform { number: head[4], id: head[5], attributes });
        at += length;
    }
    Some(transforms)
}

fn write_transforms(transforms: &[Transform]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, transform) in transforms.iter().enumerate() {
        let more = if index + 1 < transforms.len() { 3 } else { 0 };
        let attributes = write_attributes(&transform.attributes);
        let length = u16::try_from(8 + attributes.len()).expect("a transform's length");
        out.extend_from_slice(&[more, 0]);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&[transform.number, transform.id, 0, 0]);
        out.extend_from_slice(&attributes);
    }
    out
}

/// A Notify of the IPsec DOI (RFC 2408 §3.14).
pub fn notify_payload(protocol: u8, spi: &[u8], kind: u16, data: &[u8]) -> Payload {
    let length = u8::try_from(spi.len()).expect("an SPI's length");
    let body = [&1u32.to_be_bytes()[..], &[protocol, length], &kind.to_be_bytes(), spi, data].concat();
    (payload::NOTIFY, body)
}

/// A Delete of the IPsec DOI (RFC 2408 §3.15) for SPIs of one length.
pub fn delete_payload(protocol: u8, spis: &[&[u8]]) -> Payload {
    let length = spis.first().map_or(0, |spi| u8::try_from(spi.len()).expect("an SPI's length"));
    let count = u16::try_from(spis.len()).expect("few SPIs");
    let body = [&1u32.to_be_bytes()[..], &[protocol, length], &count.to_be_bytes(), &spis.concat()].concat();
    (payload::DELETE, body)
}

/// A Notify, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    pub protocol: u8,
    pub spi: Vec<u8>,
    pub kind: u16,
    pub data: Vec<u8>,
}

impl Notify {
    pub fn read(body: &[u8]) -> Option<Self> {
        let head = body.get(..8)?;
        let end = 8 + usize::from(head[5]);
        Some(Self {
            protocol: head[4],
            spi: body.get(8..end)?.to_vec(),
            kind: u16::from_be_bytes([head[6], head[7]]),
            data: body.get(end..)?.to_vec(),
        })
    }
}

/// Protocol and SPIs of a Delete.
pub fn read_delete(body: &[u8]) -> Option<(u8, Vec<Vec<u8>>)> {
    let head = body.get(..8)?;
    let (length, count) = (usize::from(head[5]), usize::from(u16::from_be_bytes([head[6], head[7]])));
    let spis = body.get(8..)?;
    (length > 0 && spis.len() == length * count).then(|| (head[4], spis.chunks(length).map(<[u8]>::to_vec).collect()))
}

/// A message of a transaction exchange (draft-dukes-ike-mode-cfg-02 §3.2): its type, identifier and attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    pub kind: u8,
    pub identifier: u16,
    pub attributes: Vec<Attribute>,
}

impl Configuration {
    pub const REQUEST: u8 = 1;
    pub const REPLY: u8 = 2;
    pub const SET: u8 = 3;
    pub const ACK: u8 = 4;

    pub fn read(body: &[u8]) -> Option<Self> {
        let head = body.get(..4)?;
        let identifier = u16::from_be_bytes([head[2], head[3]]);
        Some(Self { kind: head[0], identifier, attributes: read_attributes(&body[4..])? })
    }

    pub fn payload(&self) -> Payload {
        let head = [&[self.kind, 0][..], &self.identifier.to_be_bytes()].concat();
        (payload::ATTRIBUTES, [head, write_attributes(&self.attributes)].concat())
    }

    pub fn has(&self, kind: u16) -> bool {
        self.get(kind).is_some()
    }

    pub fn get(&self, kind: u16) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.kind == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_clear_reads_back_as_written() {
        let header = Header { cky_i: [1; 8], cky_r: [2; 8], exchange: exchange::MAIN, flags: 0, id: 0 };
        let payloads = vec![(payload::NONCE, vec![9; 32]), notify_payload(1, &[7; 16], notify::R_U_THERE, b"abcd")];
        let written = header.write_clear(&payloads);
        let (read, first) = Header::read(&written).unwrap();
        assert_eq!((read, read_clear(first, &written[HEADER..])), (header, Some(payloads)));
    }

    #[test]
    fn an_sa_reads_back_as_written() {
        let attributes = vec![Attribute::short(1, 7), Attribute::long(12, &3600u32.to_be_bytes())];
        let transforms = vec![
            Transform { number: 1, id: 1, attributes: attributes.clone() },
            Transform { number: 2, id: 1, attributes },
        ];
        let sa =
            SecurityAssociation::ipsec(vec![Proposal { number: 1, protocol: 3, spi: vec![1, 2, 3, 4], transforms }]);
        assert_eq!(SecurityAssociation::read(&sa.write()), Some(sa));
    }

    #[test]
    fn deletes_and_configurations_read_back_as_written() {
        let (_, body) = delete_payload(3, &[&[1, 2, 3, 4], &[5, 6, 7, 8]]);
        assert_eq!(read_delete(&body), Some((3, vec![vec![1, 2, 3, 4], vec![5, 6, 7, 8]])));
        let attributes = vec![Attribute::short(16527, 1), Attribute::long(16521, b"anna")];
        let configuration = Configuration { kind: Configuration::SET, identifier: 77, attributes };
        assert_eq!(Configuration::read(&configuration.payload().1), Some(configuration));
    }
}
