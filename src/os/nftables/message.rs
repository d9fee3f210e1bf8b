//! Batches of nftables' netlink messages, as octets (linux/netfilter/{nfnetlink,nf_tables}.h, netlink(7)). Pure.

use std::net::IpAddr;

use crate::os::NUMBER;
use crate::os::prefix::{Family, Prefix};

const MESSAGE_HEADER: usize = 16;
const REQUEST: u16 = 0x001;
const ACKNOWLEDGE: u16 = 0x004;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
const ERROR: u16 = 2;

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYSTEM: u16 = 10;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const DELETE_TABLE: u16 = (SUBSYSTEM << 8) | 2;
const NEW_CHAIN: u16 = (SUBSYSTEM << 8) | 3;
const NEW_RULE: u16 = (SUBSYSTEM << 8) | 6;

/// Tables for both address families.
const INET: u8 = 1;
const NESTED: u16 = 0x8000;

/// The register that everything is compared in.
const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
const ICMP_V6: u8 = 58;

/// Where a chain is asked.
#[derive(Clone, Copy)]
pub(super) enum Hook {
    PreRouting,
    PostRouting,
}

/// A chain that lets everything pass that no rule speaks of.
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) hook: Hook,
    pub(super) priority: i32,
}

/// What becomes of a packet that all matches of a rule fit.
#[derive(Clone, Copy)]
pub(super) enum Verdict {
    Drop,
    Accept,
}

/// What a rule asks of a packet.
pub(super) enum Match {
    /// It leaves by a tunnel's device.
    IntoTunnel,
    /// It stays on the host.
    IntoLoopback,
    /// It came by another device than a tunnel's.
    NotFromTunnel,
    /// It came from outside of the host.
    NotFromLoopback,
    /// A socket of vpnd's sent it.
    Marked,
    Family(Family),
    To(Prefix),
    /// ICMPv6 types 133 to 137.
    NeighbourDiscovery,
}

/// Messages that the kernel carries out together or not at all.
pub(super) struct Batch {
    octets: Vec<u8>,
    table: String,
    sequence: u32,
}

impl Batch {
    /// Begins with the table, empty, whether it was there or not.
    pub(super) fn replace_table(table: &str) -> Self {
        let mut batch = Self::begin(table);
        batch.name_table(NEW_TABLE, CREATE | ACKNOWLEDGE);
        batch.name_table(DELETE_TABLE, 0);
        batch.name_table(NEW_TABLE, CREATE);
        batch
    }

    pub(super) fn delete_table(table: &str) -> Self {
        let mut batch = Self::begin(table);
        batch.name_table(DELETE_TABLE, ACKNOWLEDGE);
        batch
    }

    pub(super) fn chain(&mut self, chain: &Chain) -> &'static str {
        let mut body = Attributes::default();
        body.text(1, &self.table);
        body.text(3, chain.name);
        body.nested(4, |hook| {
            hook.number(
                1,
                match chain.hook {
                    Hook::PreRouting => 0,
                    Hook::PostRouting => 4,
                },
            );
            hook.number(2, chain.priority.cast_unsigned());
        });
        body.number(5, Verdict::Accept.code());
        body.text(7, "filter");
        self.message(NEW_CHAIN, CREATE, INET, 0, &body.0);
        chain.name
    }

    /// Appends a rule that counts what it fits.
    pub(super) fn rule(&mut self, chain: &str, matches: &[Match], verdict: Verdict) {
        let mut body = Attributes::default();
        body.text(1, &self.table);
        body.text(2, chain);
        body.nested(4, |expressions| {
            for one in matches {
                one.write(expressions);
            }
            expressions.expression("counter", |_| {});
            expressions.expression("immediate", |immediate| {
                immediate.number(1, VERDICT_REGISTER);
                immediate.nested(2, |data| data.nested(2, |code| code.number(1, verdict.code())));
            });
        });
        self.message(NEW_RULE, CREATE | APPEND, INET, 0, &body.0);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.message(BATCH_END, 0, 0, SUBSYSTEM, &[]);
        self.octets
    }

    fn begin(table: &str) -> Self {
        let mut batch = Self { octets: Vec::new(), table: table.to_owned(), sequence: 0 };
        batch.message(BATCH_BEGIN, 0, 0, SUBSYSTEM, &[]);
        batch
    }

    fn name_table(&mut self, kind: u16, flags: u16) {
        let mut body = Attributes::default();
        body.text(1, &self.table);
        self.message(kind, flags, INET, 0, &body.0);
    }

    fn message(&mut self, kind: u16, flags: u16, family: u8, resource: u16, body: &[u8]) {
        let length = MESSAGE_HEADER.saturating_add(4).saturating_add(body.len());
        self.octets.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        self.octets.extend(kind.to_ne_bytes());
        self.octets.extend((flags | REQUEST).to_ne_bytes());
        self.octets.extend(self.sequence.to_ne_bytes());
        self.octets.extend([0; 4]);
        self.octets.extend([family, 0]);
        self.octets.extend(resource.to_be_bytes());
        self.octets.extend(body);
        self.sequence = self.sequence.saturating_add(1);
    }
}

impl Verdict {
    const fn code(self) -> u32 {
        match self {
            Self::Drop => 0,
            Self::Accept => 1,
        }
    }
}

impl Match {
    fn write(&self, out: &mut Attributes) {
        const MARK: u32 = 3;
        const NAME_IN: u32 = 6;
        const NAME_OUT: u32 = 7;
        const NETWORK_PROTOCOL: u32 = 15;
        const TRANSPORT_PROTOCOL: u32 = 16;
        const GROUP_IN: u32 = 21;
        const GROUP_OUT: u32 = 22;
        // Numbers of the host's own stand in registers in the host's order.
        let ours = u32::from(NUMBER).to_ne_bytes();
        match self {
            Self::IntoTunnel => out.compare_meta(GROUP_OUT, Comparison::Equal, &ours),
            Self::NotFromTunnel => out.compare_meta(GROUP_IN, Comparison::NotEqual, &ours),
            Self::IntoLoopback => out.compare_meta(NAME_OUT, Comparison::Equal, &LOOPBACK),
            Self::NotFromLoopback => out.compare_meta(NAME_IN, Comparison::NotEqual, &LOOPBACK),
            Self::Marked => out.compare_meta(MARK, Comparison::Equal, &ours),
            Self::Family(family) => out.compare_meta(NETWORK_PROTOCOL, Comparison::Equal, &[network_protocol(*family)]),
            Self::To(prefix) => {
                Self::Family(prefix.family()).write(out);
                let (offset, address, mask) = match (prefix.address(), prefix.mask()) {
                    (IpAddr::V4(address), IpAddr::V4(mask)) => (16, address.octets().to_vec(), mask.octets().to_vec()),
                    (IpAddr::V6(address), IpAddr::V6(mask)) => (24, address.octets().to_vec(), mask.octets().to_vec()),
                    // An address and its mask are of one family.
                    _ => return,
                };
                const NETWORK_HEADER: u32 = 1;
                let length = u32::try_from(address.len()).unwrap_or(0);
                out.load_payload(NETWORK_HEADER, offset, length);
                out.expression("bitwise", |bitwise| {
                    bitwise.number(1, REGISTER);
                    bitwise.number(2, REGISTER);
                    bitwise.number(3, length);
                    bitwise.nested(4, |data| data.put(1, &mask));
                    bitwise.nested(5, |data| data.put(1, &vec![0; mask.len()]));
                });
                out.compare(Comparison::Equal, &address);
            }
            Self::NeighbourDiscovery => {
                const TRANSPORT_HEADER: u32 = 2;
                out.compare_meta(TRANSPORT_PROTOCOL, Comparison::Equal, &[ICMP_V6]);
                out.load_payload(TRANSPORT_HEADER, 0, 1);
                out.compare(Comparison::AtLeast, &[133]);
                out.compare(Comparison::AtMost, &[137]);
            }
        }
    }
}

/// A device's name as the kernel compares it: 16 octets.
const LOOPBACK: [u8; 16] = *b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

const fn network_protocol(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 2,
        Family::Ipv6 => 10,
    }
}

#[derive(Clone, Copy)]
enum Comparison {
    Equal,
    NotEqual,
    AtMost,
    AtLeast,
}

/// Netlink attributes, one behind the other.
#[derive(Default)]
struct Attributes(Vec<u8>);

impl Attributes {
    fn put(&mut self, kind: u16, value: &[u8]) {
        let length = value.len().saturating_add(4);
        self.0.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn text(&mut self, kind: u16, text: &str) {
        self.put(kind, &[text.as_bytes(), &[0]].concat());
    }

    fn number(&mut self, kind: u16, number: u32) {
        self.put(kind, &number.to_be_bytes());
    }

    fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.put(kind | NESTED, &inner.0);
    }

    fn expression(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.nested(1, |element| {
            element.text(1, name);
            element.nested(2, fill);
        });
    }

    fn compare_meta(&mut self, key: u32, comparison: Comparison, value: &[u8]) {
        self.expression("meta", |meta| {
            meta.number(1, REGISTER);
            meta.number(2, key);
        });
        self.compare(comparison, value);
    }

    fn load_payload(&mut self, base: u32, offset: u32, length: u32) {
        self.expression("payload", |payload| {
            payload.number(1, REGISTER);
            payload.number(2, base);
            payload.number(3, offset);
            payload.number(4, length);
        });
    }

    fn compare(&mut self, comparison: Comparison, value: &[u8]) {
        self.expression("cmp", |cmp| {
            cmp.number(1, REGISTER);
            cmp.number(
                2,
                match comparison {
                    Comparison::Equal => 0,
                    Comparison::NotEqual => 1,
                    Comparison::AtMost => 3,
                    Comparison::AtLeast => 5,
                },
            );
            cmp.nested(3, |data| data.put(1, value));
        });
    }
}

/// The error numbers in what the kernel answered, 0 for what it acknowledged.
pub(super) fn answers(mut octets: &[u8]) -> Vec<i32> {
    let mut found = Vec::new();
    while let Some((header, body)) = octets.split_first_chunk::<MESSAGE_HEADER>() {
        let [a, b, c, d, kind_a, kind_b, ..] = *header;
        if u16::from_ne_bytes([kind_a, kind_b]) == ERROR
            && let Some(code) = body.first_chunk()
        {
            found.push(i32::from_ne_bytes(*code).saturating_neg());
        }
        let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).unwrap_or(usize::MAX).max(MESSAGE_HEADER);
        octets = octets.get(length.saturating_add(3) & !3..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_of_a_batch_has_its_own_length_and_number() {
        let mut batch = Batch::replace_table("vpnd-t0");
        let chain = batch.chain(&Chain { name: "leaving", hook: Hook::PostRouting, priority: 0 });
        batch.rule(chain, &[Match::To(Prefix::new(IpAddr::from([10, 250, 0, 0]), 24).unwrap())], Verdict::Drop);
        let octets = batch.finish();
        let mut rest = octets.as_slice();
        let mut kinds = Vec::new();
        while !rest.is_empty() {
            let length = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
            assert_eq!(u32::from_ne_bytes(rest[8..12].try_into().unwrap()) as usize, kinds.len());
            kinds.push(u16::from_ne_bytes(rest[4..6].try_into().unwrap()));
            rest = &rest[length..];
        }
        let expected = [BATCH_BEGIN, NEW_TABLE, DELETE_TABLE, NEW_TABLE, NEW_CHAIN, NEW_RULE, BATCH_END];
        assert_eq!(kinds, expected);
        assert!(octets.windows(4).any(|window| window == [10, 250, 0, 0]));
        assert!(octets.windows(4).any(|window| window == [255, 255, 255, 0]));
    }

    #[test]
    fn answers_are_read_whole_or_not_at_all() {
        let answer = |kind: u16, code: i32| {
            let mut octets = 36_u32.to_ne_bytes().to_vec();
            octets.extend(kind.to_ne_bytes());
            octets.extend([0; 10]);
            octets.extend(code.to_ne_bytes());
            octets.extend([0; 16]);
            octets
        };
        let both = [answer(ERROR, 0), answer(7, -1), answer(ERROR, -95)].concat();
        assert_eq!(answers(&both), [0, 95]);
        assert_eq!(answers(&both[..17]), [0; 0]);
        assert_eq!(answers(&[0; 40]), [0; 0]);
        assert_eq!(answers(&[]), [0; 0]);
    }
}
