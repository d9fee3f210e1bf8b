//! Datagrams of somebody without a key: over two hundred kinds of them, seeded. The same seed makes the same datagrams, wherever they are sent:
//! at the pure stack in the simulator, or on a wire at the program itself.

use crate::crypto::random::{Random, SeededRandom};

/// What somebody on the path knows of a tunnel.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// SPIs or cookies of the IKE SA, initiator's first.
    pub ike: (u64, u64),
    /// Of the SA from the gateway to the client.
    pub inbound: u32,
    /// Of the SA from the client to the gateway.
    pub outbound: u32,
    /// Whole UDP payloads that the gateway sent, markers included.
    pub recorded: Vec<Vec<u8>>,
}

/// In whose name a datagram is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The gateway's address and its port.
    Gateway,
    /// The gateway's address and port 500.
    GatewayBare,
    /// The gateway's address and another port.
    GatewayElsewhere,
    /// Anybody else.
    Stranger,
}

type Make = Box<dyn Fn(&Known, &mut Dice) -> Vec<u8> + Send + Sync>;

/// One kind of datagram.
pub struct Kind {
    /// What it is, for people.
    pub name: String,
    /// From whom.
    pub sender: Sender,
    make: Make,
}

impl Kind {
    /// One of the kind: the UDP payload.
    pub fn make(&self, known: &Known, dice: &mut Dice) -> Vec<u8> {
        (self.make)(known, dice)
    }
}

/// Chance.
pub struct Dice(SeededRandom);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(SeededRandom::new(seed))
    }

    pub fn number(&mut self) -> u64 {
        let mut octets = [0; 8];
        self.0.fill(&mut octets);
        u64::from_be_bytes(octets)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound.max(1) as u64) as usize
    }

    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        self.0.fill(&mut octets);
        octets
    }
}

/// The most that a UDP datagram over IPv4 carries.
pub const LONGEST: usize = 65_507;

const V1: u8 = 0x10;
const V2: u8 = 0x20;
const RESPONSE: u8 = 0x20;
const INITIATOR: u8 = 0x08;

/// An IKE message: what its header says, and what follows.
struct Ike {
    spis: Option<(u64, u64)>,
    first: u8,
    version: u8,
    exchange: u8,
    flags: u8,
    id: u32,
    length: Option<u32>,
    body: Vec<u8>,
}

impl Ike {
    fn v2(exchange: u8, flags: u8, id: u32, first: u8, body: Vec<u8>) -> Self {
        Self { spis: None, first, version: V2, exchange, flags, id, length: None, body }
    }

    fn v1(exchange: u8, flags: u8, id: u32, first: u8, body: Vec<u8>) -> Self {
        Self { spis: None, first, version: V1, exchange, flags, id, length: None, body }
    }

    fn octets(self, known: &Known) -> Vec<u8> {
        let (initiator, responder) = self.spis.unwrap_or(known.ike);
        let length = self.length.unwrap_or(28 + self.body.len() as u32);
        let mut octets = [initiator.to_be_bytes(), responder.to_be_bytes()].concat();
        octets.extend([self.first, self.version, self.exchange, self.flags]);
        octets.extend(self.id.to_be_bytes());
        octets.extend(length.to_be_bytes());
        octets.extend(self.body);
        octets
    }
}

fn payload(next: u8, critical: bool, body: &[u8]) -> Vec<u8> {
    let length = 4 + body.len() as u16;
    [&[next, u8::from(critical) << 7][..], &length.to_be_bytes(), body].concat()
}

fn v2_notify(kind: u16, data: &[u8]) -> Vec<u8> {
    payload(0, false, &[&[0, 0][..], &kind.to_be_bytes(), data].concat())
}

fn v1_notify(protocol: u8, kind: u16, spi: &[u8], data: &[u8]) -> Vec<u8> {
    let head = [0, 0, 0, 1, protocol, spi.len() as u8];
    payload(0, false, &[&head[..], &kind.to_be_bytes(), spi, data].concat())
}

fn v1_delete(protocol: u8, spi: &[u8]) -> Vec<u8> {
    let head = [0, 0, 0, 1, protocol, spi.len() as u8, 0, 1];
    payload(0, false, &[&head[..], spi].concat())
}

fn cookies(known: &Known) -> Vec<u8> {
    [known.ike.0.to_be_bytes(), known.ike.1.to_be_bytes()].concat()
}

struct Catalogue(Vec<(String, bool, Make)>);

impl Catalogue {
    fn ike(&mut self, name: impl Into<String>, make: impl Fn(&Known, &mut Dice) -> Ike + Send + Sync + 'static) {
        self.0.push((name.into(), true, Box::new(move |known, dice| make(known, dice).octets(known))));
    }

    fn other(&mut self, name: impl Into<String>, make: impl Fn(&Known, &mut Dice) -> Vec<u8> + Send + Sync + 'static) {
        self.0.push((name.into(), false, Box::new(make)));
    }

    fn headers(&mut self) {
        const V1_EXCHANGES: [u8; 9] = [0, 1, 2, 3, 4, 5, 6, 32, 33];
        const V2_EXCHANGES: [u8; 10] = [0, 33, 34, 35, 36, 37, 38, 43, 44, 255];
        for (version, exchanges) in [(V1, &V1_EXCHANGES[..]), (V2, &V2_EXCHANGES)] {
            for exchange in exchanges.iter().copied() {
                for (whose, ours) in [("our SPIs", true), ("other SPIs", false)] {
                    self.ike(format!("version {version:#x}, exchange {exchange}, {whose}"), move |known, dice| {
                        let spis = if ours { known.ike } else { (dice.number(), dice.number()) };
                        let size = dice.below(300);
                        Ike {
                            spis: Some(spis),
                            first: dice.number() as u8,
                            version,
                            exchange,
                            flags: dice.number() as u8,
                            id: [0, 1, 2, 3, u32::MAX, dice.number() as u32][dice.below(6)],
                            length: None,
                            body: dice.octets(size),
                        }
                    });
                }
            }
            for (what, length) in
                [("none", 0), ("27", 27), ("one less", 127), ("one more", 129), ("2 GiB", 1 << 31), ("4 GiB", u32::MAX)]
            {
                self.ike(format!("version {version:#x} that says its length is {what}"), move |_, dice| Ike {
                    length: Some(length),
                    ..if version == V1 {
                        Ike::v1(5, 0, 7, 11, dice.octets(100))
                    } else {
                        Ike::v2(37, RESPONSE, 2, 41, dice.octets(100))
                    }
                });
            }
        }
        for version in [0x00, 0x11, 0x21, 0x30, 0xff] {
            self.ike(format!("version {version:#x}"), move |_, dice| Ike {
                version,
                ..Ike::v2(37, RESPONSE, 2, 41, dice.octets(40))
            });
        }
        self.ike("our SPIs exchanged", |known, dice| Ike {
            spis: Some((known.ike.1, known.ike.0)),
            ..Ike::v2(37, INITIATOR, 0, 46, dice.octets(60))
        });
        self.ike("no responder's SPI", |known, dice| Ike {
            spis: Some((known.ike.0, 0)),
            ..Ike::v2(34, RESPONSE, 0, 41, dice.octets(60))
        });
    }

    fn version_2(&mut self) {
        const NOTIFIES: [u16; 26] = [
            1, 4, 5, 7, 9, 11, 14, 17, 24, 34, 35, 36, 37, 38, 39, 40, 43, 44, 16384, 16388, 16390, 16404, 16407,
            16408, 16416, 65535,
        ];
        for kind in NOTIFIES {
            self.ike(format!("notify {kind} in clear"), move |_, dice| {
                let exchange = [34, 35, 36, 37][dice.below(4)];
                let flags = [RESPONSE, 0, INITIATOR][dice.below(3)];
                let size = [0, 1, 2, 4, 8, 64][dice.below(6)];
                Ike::v2(exchange, flags, dice.below(5) as u32, 41, v2_notify(kind, &dice.octets(size)))
            });
        }
        for (what, body) in [("the IKE SA", vec![1, 0, 0, 0]), ("a child", vec![3, 4, 0, 1])] {
            self.ike(format!("delete of {what} in clear"), move |known, dice| {
                let spi = if body[0] == 3 { known.outbound.to_be_bytes().to_vec() } else { Vec::new() };
                Ike::v2(37, 0, dice.below(4) as u32, 42, payload(0, false, &[body.clone(), spi].concat()))
            });
        }
        for id in [0, 1, 2, 5, u32::MAX] {
            for flags in [0, RESPONSE] {
                self.ike(format!("garbage as encrypted, message {id}, flags {flags:#x}"), move |_, dice| {
                    let size = [0, 1, 15, 16, 32, 33, 64, 500][dice.below(8)];
                    Ike::v2([35, 36, 37][dice.below(3)], flags, id, 46, payload(41, false, &dice.octets(size)))
                });
            }
        }
        for (number, total) in
            [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 2), (2, 1), (1, 65535), (65535, 65535), (255, 256)]
        {
            self.ike(format!("fragment {number} of {total}"), move |_, dice| {
                let size = [0, 16, 48, 500, 1200][dice.below(5)];
                let body = [u16::to_be_bytes(number), u16::to_be_bytes(total)].concat();
                let id = dice.below(6) as u32;
                Ike::v2(
                    37,
                    [0, RESPONSE][dice.below(2)],
                    id,
                    53,
                    payload(0, false, &[body, dice.octets(size)].concat()),
                )
            });
        }
        self.ike("a thousand payloads", |_, dice| {
            let critical = dice.below(2) == 1;
            Ike::v2(34, RESPONSE, 0, 43, payload(43, critical, &[]).repeat(300))
        });
        self.ike("a payload of no length", |_, _| Ike::v2(37, RESPONSE, 1, 41, vec![41, 0, 0, 0, 41, 0, 0, 0]));
        self.ike("a payload that reaches beyond", |_, _| {
            Ike::v2(37, RESPONSE, 1, 41, vec![0, 0, 0xff, 0xff, 0, 0, 0, 1])
        });
        self.ike("an unknown critical payload", |_, dice| {
            Ike::v2(37, 0, dice.below(4) as u32, 200, payload(0, true, &dice.octets(30)))
        });
        self.ike("a first answer with every group", |known, dice| {
            let group = (dice.below(40) as u16).to_be_bytes();
            let key = payload(40, false, &[&group[..], &[0, 0], &dice.octets(32)].concat());
            let nonce = payload(0, false, &dice.octets(32));
            Ike { spis: Some((known.ike.0, dice.number())), ..Ike::v2(34, RESPONSE, 0, 34, [key, nonce].concat()) }
        });
        self.ike("a first message of another initiator", |_, dice| Ike {
            spis: Some((dice.number(), 0)),
            ..Ike::v2(34, INITIATOR, 0, 33, dice.octets(200))
        });
    }

    fn version_1(&mut self) {
        for kind in [1, 4, 11, 14, 16, 18, 23, 24, 28, 9101, 24576, 24577, 24578, 36136, 36137, 65535] {
            self.ike(format!("IKEv1 notify {kind} in clear"), move |known, dice| {
                let protocol = [0, 1, 3][dice.below(3)];
                let spi = if protocol == 3 { known.outbound.to_be_bytes().to_vec() } else { cookies(known) };
                Ike::v1(5, 0, dice.number() as u32, 11, v1_notify(protocol, kind, &spi, &dice.octets(4)))
            });
        }
        self.ike("IKEv1 delete of the phase 1 SA in clear", |known, dice| {
            Ike::v1(5, 0, dice.number() as u32, 12, v1_delete(1, &cookies(known)))
        });
        self.ike("IKEv1 delete of a child in clear", |known, dice| {
            Ike::v1(5, 0, dice.number() as u32, 12, v1_delete(3, &known.outbound.to_be_bytes()))
        });
        for exchange in [2, 5, 6, 32, 33] {
            self.ike(format!("IKEv1 garbage as encrypted, exchange {exchange}"), move |_, dice| {
                let size = [0, 1, 8, 16, 32, 48, 500][dice.below(7)];
                let flags = [1, 3, 5, 7][dice.below(4)];
                Ike::v1(exchange, flags, [0, 1, dice.number() as u32][dice.below(3)], 8, dice.octets(size))
            });
        }
        for number in [0, 1, 2, 255] {
            self.ike(format!("IKEv1 fragment {number}"), move |_, dice| {
                let (last, message) = (dice.below(2) as u8, dice.number() as u16);
                let size = [0, 28, 500][dice.below(3)];
                let body = [&message.to_be_bytes()[..], &[number, last], &dice.octets(size)].concat();
                Ike::v1([2, 4, 5][dice.below(3)], 0, 0, 132, payload(0, false, &body))
            });
        }
    }

    fn esp(&mut self) {
        for (what, spi) in [("1", 1), ("255", 255), ("the greatest", u32::MAX)] {
            self.other(format!("ESP with SPI {what}"), move |_, dice| esp(spi, 1, &dice.octets(64)));
        }
        self.other("ESP with any SPI", |_, dice| esp(dice.number() as u32 | 256, 1, &dice.octets(64)));
        self.other("ESP with any SPI, full size", |_, dice| esp(dice.number() as u32 | 256, 1, &dice.octets(1400)));
        self.other("ESP with the SPI of the other direction", |known, dice| esp(known.outbound, 1, &dice.octets(64)));
        self.other("ESP with an SPI next to ours", |known, dice| esp(known.inbound ^ 1, 1, &dice.octets(64)));
        for (what, sequence) in
            [("0", 0), ("1", 1), ("1000", 1000), ("2^24", 1 << 24), ("2^31", 1 << 31), ("the greatest", u32::MAX)]
        {
            self.other(format!("ESP with our SPI and sequence number {what}"), move |known, dice| {
                let size = [24, 64, 128, 1400][dice.below(4)];
                esp(known.inbound, sequence, &dice.octets(size))
            });
        }
        for size in [0, 4, 8, 12, 15, 16, 17, 23, 24, 33, 1464] {
            self.other(format!("ESP with our SPI and {size} octets"), move |known, dice| {
                esp(known.inbound, dice.below(1 << 20) as u32, &dice.octets(size))
            });
        }
        self.other("our SPI alone", |known, _| known.inbound.to_be_bytes().to_vec());
        self.other("a packet of the gateway again", recorded);
        self.other("a packet of the gateway with a flipped bit", |known, dice| {
            let mut octets = recorded(known, dice);
            let place = dice.below(octets.len());
            if let Some(octet) = octets.get_mut(place) {
                *octet ^= 1 << dice.below(8);
            }
            octets
        });
        self.other("a packet of the gateway cut short", |known, dice| {
            let mut octets = recorded(known, dice);
            octets.truncate(dice.below(octets.len()));
            octets
        });
        self.other("a packet of the gateway made longer", |known, dice| {
            let more = 1 + dice.below(64);
            [recorded(known, dice), dice.octets(more)].concat()
        });
        self.other("a packet of the gateway with a later number", |known, dice| {
            let mut octets = recorded(known, dice);
            let later = (dice.number() as u32).to_be_bytes();
            if let Some(number) = octets.get_mut(4..8) {
                number.copy_from_slice(&later);
            }
            octets
        });
        self.other("two packets of the gateway in one", |known, dice| {
            let mut both = [recorded(known, dice), recorded(known, dice)].concat();
            both.truncate(LONGEST);
            both
        });
    }

    fn noise(&mut self) {
        for (what, octets) in [
            ("nothing", vec![]),
            ("a keepalive", vec![0xff]),
            ("an octet", vec![0]),
            ("two octets", vec![0xff; 2]),
            ("three octets", vec![0; 3]),
            ("a marker alone", vec![0; 4]),
            ("a marker and an octet", vec![0; 5]),
            ("a marker and less than a header", vec![0; 31]),
            ("zeros", vec![0; 1400]),
            (
                "a name server's answer",
                b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x07example\x03com\0\0\x01\0\x01".to_vec(),
            ),
            ("a STUN request", b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl".to_vec()),
            ("a time server's answer", [&[0x24, 1, 0, 0xe9][..], &[0; 44]].concat()),
            ("TLS", b"\x16\x03\x01\0\x05hello".to_vec()),
            ("text", b"GET / HTTP/1.1\r\n\r\n%s%n%x\x1b[2J\r\n".to_vec()),
        ] {
            self.other(what, move |_, _| octets.clone());
        }
        for size in [8, 28, 32, 64, 512, 1400, 1472] {
            self.other(format!("{size} random octets"), move |_, dice| dice.octets(size));
        }
    }
}

fn esp(spi: u32, sequence: u32, rest: &[u8]) -> Vec<u8> {
    [&spi.to_be_bytes()[..], &sequence.to_be_bytes(), rest].concat()
}

fn recorded(known: &Known, dice: &mut Dice) -> Vec<u8> {
    known.recorded.get(dice.below(known.recorded.len())).cloned().unwrap_or_default()
}

/// All kinds, each in the name of the gateway and of strangers, IKE from both of the gateway's ports.
pub fn kinds() -> Vec<Kind> {
    let mut catalogue = Catalogue(Vec::new());
    catalogue.headers();
    catalogue.version_2();
    catalogue.version_1();
    catalogue.esp();
    catalogue.noise();
    let mut kinds = Vec::new();
    for (name, is_ike, make) in catalogue.0 {
        let make = std::sync::Arc::new(make);
        let senders: &[Sender] = if is_ike {
            &[Sender::Gateway, Sender::GatewayBare, Sender::Stranger]
        } else {
            &[Sender::Gateway, Sender::GatewayElsewhere, Sender::Stranger]
        };
        for &sender in senders {
            let make = std::sync::Arc::clone(&make);
            let marker: &'static [u8] = if is_ike && sender != Sender::GatewayBare { &[0; 4] } else { &[] };
            let make: Make = Box::new(move |known, dice| [marker, &make(known, dice)].concat());
            kinds.push(Kind { name: format!("{name}, {sender:?}"), sender, make });
        }
    }
    for (name, sender) in
        [("the longest datagram", Sender::Gateway), ("a stranger's longest datagram", Sender::Stranger)]
    {
        kinds.push(Kind { name: name.into(), sender, make: Box::new(|_, dice| dice.octets(LONGEST)) });
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn known() -> Known {
        Known { ike: (1, 2), inbound: 0x1000, outbound: 0x2000, recorded: vec![vec![7; 100], vec![8; 60]] }
    }

    #[test]
    fn there_are_more_than_two_hundred_kinds_and_each_has_its_name() {
        let kinds = kinds();
        let names: BTreeSet<_> = kinds.iter().map(|kind| &kind.name).collect();
        assert_eq!(names.len(), kinds.len());
        let bases: BTreeSet<_> =
            kinds.iter().filter_map(|kind| kind.name.rsplit_once(", ").map(|(base, _)| base)).collect();
        assert!(bases.len() > 120 && kinds.len() > 300, "{} of {}", kinds.len(), bases.len());
    }

    #[test]
    fn a_seed_tells_every_octet_and_no_datagram_is_too_long() {
        let all = |seed| {
            let mut dice = Dice::new(seed);
            kinds().iter().map(|kind| kind.make(&known(), &mut dice)).collect::<Vec<_>>()
        };
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        assert!(all(3).iter().all(|octets| octets.len() <= LONGEST));
    }
}
