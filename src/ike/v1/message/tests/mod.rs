//! Samples that the message tests share.

mod bytes;
mod damage;
mod payloads;
mod round_trip;
mod subsets;

use super::chain::{Part, join, split};
use super::*;
use crate::ike::v1::header::PayloadType;
use crate::ike::wire::{chain::Contents, error::DecodeError};

/// DOI IPsec, SIT_IDENTITY_ONLY, and something that only others look at.
fn sa() -> Vec<u8> {
    [&[0, 0, 0, 1, 0, 0, 0, 1][..], &[0xaa; 12]].concat()
}

fn notify(kind: u16) -> Notify {
    Notify { protocol: 1, spi: vec![7; 16], kind, data: vec![1, 2] }
}

fn identification() -> Identification {
    Identification { kind: 2, protocol: 0, port: 0, data: b"replica.example".to_vec() }
}

fn subnet(last: u8) -> Identification {
    Identification { kind: 4, protocol: 0, port: 0, data: vec![10, 0, last, 0, 255, 255, 255, 0] }
}

fn main_mode_proposal() -> MainModeProposal {
    MainModeProposal { sa: sa(), vendor_ids: vec![vec![1; 16], vec![2; 8]] }
}

fn main_mode_keys() -> MainModeKeys {
    MainModeKeys {
        key_exchange: vec![0x11; 32],
        nonce: vec![0x22; 16],
        nat_detection: vec![vec![3; 20], vec![4; 20]],
        vendor_ids: vec![vec![5; 16]],
    }
}

fn main_mode_auth() -> MainModeAuth {
    MainModeAuth {
        identification: identification(),
        identification_body: identification().body(),
        hash: vec![0x33; 20],
        notifies: vec![notify(24_578)],
        vendor_ids: vec![vec![6; 16]],
    }
}

fn aggressive_opening() -> AggressiveOpening {
    AggressiveOpening {
        sa: sa(),
        key_exchange: vec![0x11; 32],
        nonce: vec![0x22; 16],
        identification: identification(),
        vendor_ids: vec![vec![1; 16]],
    }
}

fn aggressive_answer() -> AggressiveAnswer {
    AggressiveAnswer {
        sa: sa(),
        key_exchange: vec![0x11; 32],
        nonce: vec![0x22; 16],
        identification: identification(),
        identification_body: identification().body(),
        hash: vec![0x33; 20],
        nat_detection: vec![vec![3; 20], vec![4; 20]],
        vendor_ids: vec![vec![1; 16]],
        notifies: vec![notify(24_576)],
    }
}

fn aggressive_proof() -> AggressiveProof {
    AggressiveProof {
        hash: vec![0x33; 20],
        nat_detection: vec![vec![3; 20], vec![4; 20]],
        notifies: vec![notify(24_578)],
    }
}

fn quick_mode() -> QuickModeProposal {
    QuickModeProposal {
        sa: sa(),
        nonce: vec![0x22; 16],
        key_exchange: Some(vec![0x11; 32]),
        identifications: Some((subnet(1), subnet(2))),
        notifies: vec![notify(24_576)],
    }
}

fn informational() -> Informational {
    Informational {
        notifies: vec![notify(36_136)],
        deletes: vec![
            Delete { protocol: 3, spis: vec![vec![1, 2, 3, 4], vec![5, 6, 7, 8]] },
            Delete { protocol: 1, spis: vec![vec![9; 16]] },
        ],
    }
}

fn attributes() -> Attributes {
    Attributes {
        kind: 2,
        identifier: 0x1234,
        attributes: vec![(1, vec![10, 0, 0, 7]), (16_527, vec![0, 1]), (3, vec![]), (28_672, b"hello".to_vec())],
    }
}

/// What a parser made of octets, written again.
type Again = Result<Contents, DecodeError>;

/// A message, its parser, and which of its payloads it cannot lack or have twice.
struct Case {
    name: &'static str,
    contents: Contents,
    read: fn(PayloadType, &[u8]) -> Again,
    required: &'static [PayloadType],
    repeatable: &'static [PayloadType],
    phase: u8,
}

fn cases() -> Vec<Case> {
    use PayloadType as P;
    macro_rules! case {
        ($name:ident, $sample:expr, $required:expr, $repeatable:expr, $phase:expr) => {
            Case {
                name: stringify!($name),
                contents: $sample.contents().unwrap(),
                read: |first, octets| $name::parse(first, octets).map(|message| message.contents().unwrap()),
                required: $required,
                repeatable: $repeatable,
                phase: $phase,
            }
        };
    }
    const OFTEN: &[PayloadType] = &[P::VENDOR_ID, P::NOTIFY, P::NAT_DETECTION, P::DELETE];
    vec![
        case!(MainModeProposal, main_mode_proposal(), &[P::SECURITY_ASSOCIATION], OFTEN, 1),
        case!(MainModeKeys, main_mode_keys(), &[P::KEY_EXCHANGE, P::NONCE], OFTEN, 1),
        case!(MainModeAuth, main_mode_auth(), &[P::IDENTIFICATION, P::HASH], OFTEN, 1),
        case!(
            AggressiveOpening,
            aggressive_opening(),
            &[P::SECURITY_ASSOCIATION, P::KEY_EXCHANGE, P::NONCE, P::IDENTIFICATION],
            OFTEN,
            1
        ),
        case!(
            AggressiveAnswer,
            aggressive_answer(),
            &[P::SECURITY_ASSOCIATION, P::KEY_EXCHANGE, P::NONCE, P::IDENTIFICATION, P::HASH],
            OFTEN,
            1
        ),
        case!(AggressiveProof, aggressive_proof(), &[P::HASH], OFTEN, 1),
        case!(QuickModeProposal, quick_mode(), &[P::SECURITY_ASSOCIATION, P::NONCE], OFTEN, 2),
        case!(Informational, informational(), &[], OFTEN, 2),
        case!(Attributes, attributes(), &[P::ATTRIBUTES], OFTEN, 2),
    ]
}

fn first(contents: &Contents) -> PayloadType {
    PayloadType(contents.first.0)
}

fn parts(contents: &Contents) -> Vec<Part> {
    let chain = split(first(contents), &contents.octets).unwrap();
    chain.payloads.iter().map(|raw| (raw.kind, raw.body.to_vec())).collect()
}

impl Case {
    fn read_parts(&self, parts: &[Part]) -> Again {
        let contents = join(parts).unwrap();
        (self.read)(first(&contents), &contents.octets)
    }
}

/// Hands octets to every parser there is; a message that can be read is read the same after being written again.
fn read_as_everything(kind: PayloadType, octets: &[u8]) {
    for case in cases() {
        if let Ok(again) = (case.read)(kind, octets) {
            assert_eq!((case.read)(first(&again), &again.octets), Ok(again), "{}", case.name);
        }
    }
    if let Ok(hashed) = Hashed::parse(kind, octets) {
        assert!(hashed.rest.len() + hashed.hash.len() + 4 <= octets.len());
    }
}
