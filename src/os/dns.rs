//! Questions to a name server and its answers (RFC 1035), as octets. Just enough for the addresses of one name; whatever else stands in an answer is passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where the host says who its name servers are.
pub(super) const CONFIGURATION: &str = "/etc/resolv.conf";
/// The servers behind systemd's own, which stands in the file above under a loopback address.
pub(super) const UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";

/// The most that a name server sends over UDP when nothing else was agreed on (RFC 1035 §2.3.4).
pub(super) const LONGEST: usize = 512;
/// As the C library has it (resolv.conf(5)).
const MAX_SERVERS: usize = 3;
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;
/// Steps of a name, and names behind names: more is no honest answer.
const MAX_STEPS: usize = 128;
const MAX_ALIASES: usize = 8;
/// Addresses that are taken of an answer.
const MAX_ADDRESSES: usize = 16;

const INTERNET: u16 = 1;
const ALIAS: u16 = 5;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ipv4,
    Ipv6,
}

impl Kind {
    const fn number(self) -> u16 {
        match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 28,
        }
    }
}

/// A question that was asked. An answer to another is none: whoever forges one has to guess the number and which letters are capitals.
#[derive(Clone, Debug)]
pub(super) struct Question {
    octets: Vec<u8>,
    kind: Kind,
}

impl Question {
    /// `random` gives the number and the capitals. `None` for what is no name of a host.
    pub(super) fn new(name: &str, kind: Kind, random: [u8; 34]) -> Option<Self> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() || name.len() > LONGEST_NAME {
            return None;
        }
        let ([high, low, ..], coins) = (random, random.get(2..)?);
        // Recursion is desired; one question.
        let mut octets = vec![high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let mut place = 0_usize;
        for label in name.split('.') {
            let harmless = label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_');
            if label.is_empty() || label.len() > LONGEST_LABEL || !harmless {
                return None;
            }
            octets.push(u8::try_from(label.len()).ok()?);
            for octet in label.bytes() {
                let coin = coins.get(place.wrapping_shr(3) & 31).copied().unwrap_or(0);
                let is_capital = coin.wrapping_shr(u32::try_from(place & 7).unwrap_or(0)) & 1 == 1;
                octets.push(if is_capital { octet.to_ascii_uppercase() } else { octet.to_ascii_lowercase() });
                place = place.saturating_add(1);
            }
        }
        octets.push(0);
        octets.extend(kind.number().to_be_bytes());
        octets.extend(INTERNET.to_be_bytes());
        Some(Self { octets, kind })
    }

    /// The datagram.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The addresses in an answer, in its order; none where the name has none of this kind. `None` when it is no answer to this question, or says that
    /// there is none to be had.
    pub(super) fn answer(&self, datagram: &[u8]) -> Option<Vec<IpAddr>> {
        let ([id_a, id_b, flags_a, flags_b, 0, 1, answers_a, answers_b, _, _, _, _], _) =
            datagram.split_first_chunk::<12>()?
        else {
            return None;
        };
        let is_ours = self.octets.get(..2) == Some(&[*id_a, *id_b])
            && self.octets.get(12..) == datagram.get(12..self.octets.len());
        let is_answer = flags_a & 0x80 != 0;
        // No error, or no such name: that is an answer, too.
        if !is_ours || !is_answer || !matches!(flags_b & 0x0f, 0 | 3) {
            return None;
        }
        let records = records(datagram, self.octets.len(), u16::from_be_bytes([*answers_a, *answers_b]));
        let (mut wanted, _) = name(datagram, 12)?;
        for _ in 0..MAX_ALIASES {
            let Some(alias) = records.iter().find(|record| record.kind == ALIAS && record.owner == wanted) else {
                break;
            };
            (wanted, _) = name(datagram, alias.data)?;
        }
        let of_kind = records.iter().filter(|record| record.kind == self.kind.number() && record.owner == wanted);
        Some(of_kind.filter_map(|record| self.address(datagram, record)).take(MAX_ADDRESSES).collect())
    }

    fn address(&self, datagram: &[u8], record: &Record) -> Option<IpAddr> {
        let data = datagram.get(record.data..)?.get(..record.length)?;
        match self.kind {
            Kind::Ipv4 => <[u8; 4]>::try_from(data).ok().map(|octets| Ipv4Addr::from(octets).into()),
            Kind::Ipv6 => <[u8; 16]>::try_from(data).ok().map(|octets| Ipv6Addr::from(octets).into()),
        }
    }
}

/// One entry of an answer: whose, of which type, and where its data stands.
struct Record {
    owner: String,
    kind: u16,
    data: usize,
    length: usize,
}

/// The records that can be read, up to the first that cannot: an answer may be cut.
fn records(datagram: &[u8], from: usize, count: u16) -> Vec<Record> {
    let mut records = Vec::new();
    let mut at = from;
    for _ in 0..count.min(64) {
        let Some((record, next)) = record(datagram, at) else { break };
        records.push(record);
        at = next;
    }
    records
}

fn record(datagram: &[u8], at: usize) -> Option<(Record, usize)> {
    let (owner, at) = name(datagram, at)?;
    let ([kind_a, kind_b, class_a, class_b, _, _, _, _, length_a, length_b], _) =
        datagram.get(at..)?.split_first_chunk::<10>()?;
    let data = at.checked_add(10)?;
    let length = usize::from(u16::from_be_bytes([*length_a, *length_b]));
    let next = data.checked_add(length).filter(|next| *next <= datagram.len())?;
    let class = u16::from_be_bytes([*class_a, *class_b]);
    let kind = if class == INTERNET { u16::from_be_bytes([*kind_a, *kind_b]) } else { 0 };
    Some((Record { owner, kind, data, length }, next))
}

/// A name in small letters, and where it ends. A pointer leads to what stood before it, and never in a circle.
fn name(datagram: &[u8], at: usize) -> Option<(String, usize)> {
    let (mut at, mut end, mut lowest) = (at, None, at);
    let mut text = String::new();
    for _ in 0..MAX_STEPS {
        let length = usize::from(*datagram.get(at)?);
        let next = at.checked_add(1)?;
        match length {
            0 => return Some((text, end.unwrap_or(next))),
            1..=LONGEST_LABEL => {
                let label = datagram.get(next..)?.get(..length)?;
                text.extend(label.iter().map(|octet| char::from(octet.to_ascii_lowercase())));
                text.push('.');
                at = next.checked_add(length)?;
            }
            0xc0..=0xff => {
                let target = (length & 0x3f).wrapping_shl(8) | usize::from(*datagram.get(next)?);
                if target >= lowest {
                    return None;
                }
                end = end.or(next.checked_add(1));
                (at, lowest) = (target, target);
            }
            _ => return None,
        }
    }
    None
}

/// The name servers of a resolv.conf, as far as they have an address that can be asked. Those on this host pass questions on without our mark.
pub(super) fn servers(text: &str) -> Vec<IpAddr> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse::<IpAddr>().ok())?
    });
    addresses.filter(|address| !address.is_loopback() && !address.is_unspecified()).take(MAX_SERVERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COINS: [u8; 34] = [0x55; 34];

    fn question(kind: Kind) -> Question {
        Question::new("vpn.example.com", kind, COINS).unwrap()
    }

    fn answer(question: &Question, records: &[&[u8]]) -> Vec<u8> {
        let mut octets = question.octets().to_vec();
        octets[2] = 0x81;
        octets[3] = 0x80;
        octets[7] = u8::try_from(records.len()).unwrap();
        octets.extend(records.concat());
        octets
    }

    fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).unwrap();
        [owner, &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 60], &length.to_be_bytes(), data].concat()
    }

    const SELF: &[u8] = &[0xc0, 12];
    const OTHER: &[u8] = b"\x02gw\x07example\x03org\x00";

    #[test]
    fn l_09_addresses_of_the_name_and_of_what_it_stands_for_are_read_and_no_others() {
        let asked = question(Kind::Ipv4);
        let own = record(SELF, 1, &[192, 0, 2, 1]);
        let strangers = record(OTHER, 1, &[198, 51, 100, 9]);
        let alias = record(SELF, 5, OTHER);
        let ipv6 = record(SELF, 28, &[9; 16]);
        let long = record(SELF, 1, &[1; 5]);
        let read = |records: &[&[u8]]| asked.answer(&answer(&asked, records)).unwrap();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(read(&[&own, &strangers, &ipv6, &long]), [address("192.0.2.1")]);
        assert_eq!(read(&[&strangers, &alias]), [address("198.51.100.9")]);
        assert_eq!(read(&[]), [] as [IpAddr; 0]);
        let circle = record(SELF, 5, SELF);
        assert_eq!(read(&[&circle, &own]), [address("192.0.2.1")], "an alias of itself ends");
        let asked = question(Kind::Ipv6);
        let six = asked.answer(&answer(&asked, &[&record(SELF, 28, &Ipv6Addr::LOCALHOST.octets())])).unwrap();
        assert_eq!(six, [address("::1")]);
    }

    #[test]
    fn l_09_an_answer_to_another_question_is_none() {
        let asked = question(Kind::Ipv4);
        let good = answer(&asked, &[&record(SELF, 1, &[192, 0, 2, 1])]);
        assert!(asked.answer(&good).is_some());
        for place in [0, 1, 5, 13, 20, asked.octets().len() - 1] {
            let mut other = good.clone();
            other[place] ^= 0x20;
            assert_eq!(asked.answer(&other), None, "octet {place}");
        }
        let mut question_back = good.clone();
        question_back[2] = 1;
        assert_eq!(asked.answer(&question_back), None);
        for (code, is_answer) in [(0, true), (2, false), (3, true), (5, false)] {
            let mut told = good.clone();
            told[3] = 0x80 | code;
            assert_eq!(asked.answer(&told).is_some(), is_answer, "code {code}");
        }
        let other_coins = Question::new("vpn.example.com", Kind::Ipv4, [0xaa; 34]).unwrap();
        assert_ne!(other_coins.octets(), asked.octets());
    }

    #[test]
    fn l_09_no_octets_break_the_reader() {
        let asked = question(Kind::Ipv4);
        let good = answer(&asked, &[&record(SELF, 5, OTHER), &record(OTHER, 1, &[192, 0, 2, 1])]);
        for length in 0..good.len() {
            asked.answer(&good[..length]);
        }
        for place in 0..good.len() {
            for value in [0, 1, 0x3f, 0x40, 0xc0, 0xff] {
                let mut changed = good.clone();
                changed[place] = value;
                asked.answer(&changed);
            }
        }
        let pointing_at_itself =
            [good[..asked.octets().len()].to_vec(), vec![0xc0, u8::try_from(asked.octets().len()).unwrap()]].concat();
        assert_eq!(asked.answer(&pointing_at_itself), Some(vec![]));
    }

    #[test]
    fn only_names_of_hosts_are_asked_for() {
        let long = "a".repeat(64);
        let longest = ["a"; 127].join(".");
        for name in ["", ".", "a..b", "a b", "a\0b", "ä.example", &long, &format!("{longest}.b")] {
            assert!(Question::new(name, Kind::Ipv4, COINS).is_none(), "{name:?}");
        }
        assert!(Question::new(&longest, Kind::Ipv4, COINS).is_some());
        assert!(Question::new("vpn.example.com.", Kind::Ipv4, COINS).is_some());
    }

    #[test]
    fn servers_on_this_host_are_left_out_and_the_others_are_few() {
        let text = "# x\nnameserver 127.0.0.53\nsearch example.com\nnameserver 10.250.0.53\nnameserver fd00::53 # y\nnameserver x\n";
        assert_eq!(servers(text).len(), 2);
        assert_eq!(servers(&"nameserver 192.0.2.1\n".repeat(9)).len(), 3);
    }
}
