//! Messages of IKEv1: whole datagrams, and payloads behind the kind of their first.

use vpnd::{
    ike::{
        v1::{
            header::{Cookies, ExchangeType, Flags, Header, PayloadType},
            message::{
                AggressiveAnswer, AggressiveOpening, Attributes, Delete, Identification, Informational, MainModeAuth,
                MainModeKeys, MainModeProposal, Notify, QuickModeProposal,
            },
        },
        wire::chain::Contents,
    },
    sa::spi::IkeSpi,
};

use crate::Input;

pub fn inputs() -> Vec<Input> {
    let proposal = MainModeProposal { sa: sa(1, &[], PHASE_1), vendor_ids: vec![vec![7; 16], vec![8; 20]] };
    let keys = MainModeKeys {
        key_exchange: vec![3; 64],
        nonce: vec![4; 32],
        nat_detection: vec![vec![5; 32], vec![6; 32]],
        vendor_ids: vec![vec![9; 16]],
    };
    let identification = Identification { kind: 2, protocol: 17, port: 500, data: b"gateway.example".to_vec() };
    let contact = Notify { protocol: 1, spi: vec![1; 16], kind: 24_578, data: Vec::new() };
    let auth = MainModeAuth {
        identification_body: identification.body(),
        identification: identification.clone(),
        hash: vec![6; 32],
        notifies: vec![contact.clone()],
        vendor_ids: Vec::new(),
    };
    let opening = AggressiveOpening {
        sa: sa(1, &[], PHASE_1),
        key_exchange: vec![3; 64],
        nonce: vec![4; 32],
        identification: identification.clone(),
        vendor_ids: vec![vec![7; 16]],
    };
    let answer = AggressiveAnswer {
        sa: sa(1, &[], PHASE_1),
        key_exchange: vec![3; 64],
        nonce: vec![4; 32],
        identification_body: identification.body(),
        identification,
        hash: vec![6; 32],
        nat_detection: vec![vec![5; 32]; 2],
        vendor_ids: vec![vec![7; 16]],
        notifies: Vec::new(),
    };
    let subnet = |data: &[u8]| Identification { kind: 4, protocol: 0, port: 0, data: data.to_vec() };
    let quick = QuickModeProposal {
        sa: sa(3, &[1, 2, 3, 4], PHASE_2),
        nonce: vec![4; 32],
        key_exchange: Some(vec![3; 64]),
        identifications: Some((
            subnet(&[10, 200, 0, 7, 255, 255, 255, 255]),
            subnet(&[10, 250, 0, 0, 255, 255, 255, 0]),
        )),
        notifies: vec![Notify { protocol: 3, spi: vec![1, 2, 3, 4], kind: 24_576, data: PHASE_2[..8].to_vec() }],
    };
    let news = Informational {
        notifies: vec![contact, Notify { protocol: 1, spi: vec![1; 16], kind: 36_136, data: vec![0, 0, 0, 7] }],
        deletes: vec![
            Delete { protocol: 3, spis: vec![vec![1, 2, 3, 4], vec![5, 6, 7, 8]] },
            Delete { protocol: 1, spis: vec![vec![1; 16]] },
        ],
    };
    let attributes = Attributes {
        kind: 2,
        identifier: 7,
        attributes: vec![
            (1, vec![10, 200, 0, 7]),
            (3, vec![10, 0, 0, 1]),
            (28_672, b"hello".to_vec()),
            (16_527, vec![0, 1]),
        ],
    };
    vec![
        ("datagram_proposal", datagram(ExchangeType::MAIN_MODE, &proposal.contents().expect("a message"))),
        ("datagram_keys", datagram(ExchangeType::MAIN_MODE, &keys.contents().expect("a message"))),
        ("datagram_opening", datagram(ExchangeType::AGGRESSIVE, &opening.contents().expect("a message"))),
        ("datagram_answer", datagram(ExchangeType::AGGRESSIVE, &answer.contents().expect("a message"))),
        ("datagram_informational", datagram(ExchangeType::INFORMATIONAL, &news.contents().expect("a message"))),
        ("datagram_fragment", fragment()),
        ("payloads_auth", payloads(&auth.contents().expect("a message"))),
        ("payloads_quick_mode", payloads(&quick.contents().expect("a message"))),
        ("payloads_quick_mode_hashed", hashed(&quick.contents().expect("a message"))),
        ("payloads_informational_hashed", hashed(&news.contents().expect("a message"))),
        ("payloads_attributes", payloads(&attributes.contents().expect("a message"))),
        ("payloads_attributes_hashed", hashed(&attributes.contents().expect("a message"))),
    ]
}

/// AES-CBC 256, SHA2-256, a pre-shared key, group 14, an hour.
const PHASE_1: &[u8] = &[
    0x80, 1, 0, 7, 0x80, 14, 1, 0, 0x80, 2, 0, 4, 0x80, 3, 0, 1, 0x80, 4, 0, 14, 0x80, 11, 0, 1, 0, 12, 0, 4, 0, 0, 14,
    16,
];

/// Eight hours, UDP-encapsulated tunnel mode, SHA2-256, 256 bits.
const PHASE_2: &[u8] = &[0x80, 1, 0, 1, 0, 2, 0, 4, 0, 0, 0x70, 0x80, 0x80, 4, 0, 3, 0x80, 5, 0, 5, 0x80, 6, 1, 0];

/// The body of an SA payload with one transform.
fn sa(protocol: u8, spi: &[u8], attributes: &[u8]) -> Vec<u8> {
    let id = if protocol == 1 { 1 } else { 12 };
    let transform = [&[0, 0][..], &length(8 + attributes.len()), &[1, id, 0, 0], attributes].concat();
    let size = u8::try_from(spi.len()).expect("short");
    let proposal =
        [&[0, 0][..], &length(8 + spi.len() + transform.len()), &[1, protocol, size, 1], spi, &transform].concat();
    [&[0, 0, 0, 1, 0, 0, 0, 1][..], &proposal].concat()
}

fn length(octets: usize) -> [u8; 2] {
    u16::try_from(octets).expect("short").to_be_bytes()
}

fn header(exchange: ExchangeType, next_payload: PayloadType) -> Header {
    let cookies = Cookies { initiator: IkeSpi::new([1; 8]).expect("not zero"), responder: IkeSpi::new([2; 8]) };
    Header { cookies, next_payload, major: 1, exchange, flags: Flags::default(), message_id: 0 }
}

fn datagram(exchange: ExchangeType, contents: &Contents) -> Vec<u8> {
    header(exchange, PayloadType::NONE).message(contents).expect("a message")
}

fn fragment() -> Vec<u8> {
    let body = [&[0, 0, 0, 28, 0, 7, 1, 1][..], &[0xaa; 20]].concat();
    let header = header(ExchangeType::MAIN_MODE, PayloadType::FRAGMENT).write(body.len()).expect("a message");
    [header, body].concat()
}

fn payloads(contents: &Contents) -> Vec<u8> {
    [&[contents.first.0][..], &contents.octets].concat()
}

/// Behind a HASH, and with padding.
fn hashed(contents: &Contents) -> Vec<u8> {
    [&[PayloadType::HASH.0, contents.first.0, 0, 0, 36][..], &[6; 32], &contents.octets, &[0; 7]].concat()
}
