//! Cisco's fragmentation of IKEv1 messages: a header, and one payload with the message's number, the fragment's, a flag on the last, and octets.

use super::Gateway;
use super::impair::Impairment;
use super::octets::{FLAG_ENCRYPTION, HEADER, Header, payload};

const LAST: u8 = 1;

fn fragment(header: &Header, message: u16, number: u8, last: bool, octets: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + octets.len()).expect("a fragment's length").to_be_bytes();
    let flag = if last { LAST } else { 0 };
    let body = [&[0, 0][..], &length, &message.to_be_bytes(), &[number, flag], octets].concat();
    Header { flags: header.flags & !FLAG_ENCRYPTION, id: 0, ..*header }.write(payload::FRAGMENT, &body)
}

impl Gateway {
    /// The message whole, or in fragments if it is longer than they may be and the client takes them.
    pub(super) fn fragmented(&mut self, client_takes_them: bool, message: Vec<u8>) -> Vec<Vec<u8>> {
        let size = self.settings.fragment.filter(|size| client_takes_them && message.len() > *size);
        let Some((size, (header, _))) = size.zip(Header::read(&message)) else { return vec![message] };
        self.fragments_sent += 1;
        let name = self.fragments_sent;
        if self.impaired(&Impairment::FragmentsEndless) {
            self.settings.impairments.retain(|impairment| *impairment != Impairment::FragmentsEndless);
            return (1..=255).map(|number| fragment(&header, name, number, false, &message[..size])).collect();
        }
        let first = if self.impaired(&Impairment::FragmentZero) { 0 } else { 1 };
        let count = message.chunks(size).count();
        let mut out = Vec::new();
        for ((number, index), octets) in (first..).zip(1..).zip(message.chunks(size)) {
            let whole = fragment(&header, name, number, index == count, octets);
            if self.impaired(&Impairment::FragmentsMixed) {
                out.push(fragment(&header, name + 1000, number, false, octets));
                out.push(whole.clone());
            }
            out.push(whole);
            if self.impaired(&Impairment::FragmentsOverlapping) {
                let other: Vec<u8> = octets.iter().map(|octet| !octet).collect();
                out.push(fragment(&header, name, number, index == count, &other));
            }
        }
        if self.impaired(&Impairment::FragmentsReversed) {
            out.reverse();
        }
        out
    }

    /// Takes a fragment; gives the message when it was the last one missing.
    pub(super) fn collect(&mut self, header: &Header, octets: &[u8]) -> Option<Vec<u8>> {
        self.counts.fragments += 1;
        let body = octets.get(HEADER + 4..)?;
        let (head, data) = (body.get(..4)?, body.get(4..)?);
        let (name, number, flags) = (u16::from_be_bytes([head[0], head[1]]), head[2], head[3]);
        let key = (header.cky_i, name);
        let pieces = self.pieces.entry(key).or_default();
        pieces.entry(number).or_insert((flags & LAST != 0, data.to_vec()));
        let last = pieces.iter().find(|(_, (last, _))| *last).map(|(number, _)| *number)?;
        let whole =
            (1..=last).map(|number| pieces.get(&number).map(|(_, data)| data.clone())).collect::<Option<Vec<_>>>();
        let whole = whole?.concat();
        self.pieces.remove(&key);
        // No fragment in a fragment.
        (whole.get(16) != Some(&payload::FRAGMENT)).then_some(whole)
    }
}
