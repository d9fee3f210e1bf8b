//! One message of each kind as the RFCs draw it, put together by hand.

use super::*;
use crate::ike::v1::vendor::NatTraversal;

fn octets(lines: &[&[u8]]) -> Vec<u8> {
    lines.concat()
}

const SA: [u8; 20] = [0, 0, 0, 1, 0, 0, 0, 1, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa];
const INITIAL_CONTACT: [u8; 26] = [0, 0, 0, 1, 1, 16, 0x60, 0x02, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 1, 2];
const RESPONDER_LIFETIME: [u8; 26] =
    [0, 0, 0, 1, 1, 16, 0x60, 0x00, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 1, 2];

#[test]
fn the_messages_of_main_mode_are_written_as_the_rfcs_draw_them() {
    let proposal = main_mode_proposal().contents().unwrap();
    assert_eq!(proposal.first.0, 1);
    let expected = octets(&[&[13, 0, 0, 24], &SA, &[13, 0, 0, 20], &[1; 16], &[0, 0, 0, 12], &[2; 8]]);
    assert_eq!(proposal.octets, expected);

    let keys = main_mode_keys().contents().unwrap();
    assert_eq!(keys.first.0, 4);
    let expected = octets(&[
        &[10, 0, 0, 36],
        &[0x11; 32],
        &[20, 0, 0, 20],
        &[0x22; 16],
        &[20, 0, 0, 24],
        &[3; 20],
        &[13, 0, 0, 24],
        &[4; 20],
        &[0, 0, 0, 20],
        &[5; 16],
    ]);
    assert_eq!(keys.octets, expected);

    let auth = main_mode_auth().contents().unwrap();
    assert_eq!(auth.first.0, 5);
    let expected = octets(&[
        &[8, 0, 0, 23, 2, 0, 0, 0],
        b"replica.example",
        &[11, 0, 0, 24],
        &[0x33; 20],
        &[13, 0, 0, 30],
        &INITIAL_CONTACT,
        &[0, 0, 0, 20],
        &[6; 16],
    ]);
    assert_eq!(auth.octets, expected);
}

#[test]
fn the_messages_of_aggressive_mode_are_written_as_the_rfcs_draw_them() {
    let opening = aggressive_opening().contents().unwrap();
    assert_eq!(opening.first.0, 1);
    let start = [&[4, 0, 0, 24][..], &SA, &[10, 0, 0, 36], &[0x11; 32], &[5, 0, 0, 20], &[0x22; 16]].concat();
    let expected = octets(&[&start, &[13, 0, 0, 23, 2, 0, 0, 0], b"replica.example", &[0, 0, 0, 20], &[1; 16]]);
    assert_eq!(opening.octets, expected);

    let answer = aggressive_answer().contents().unwrap();
    assert_eq!(answer.first.0, 1);
    let expected = octets(&[
        &start,
        &[8, 0, 0, 23, 2, 0, 0, 0],
        b"replica.example",
        &[20, 0, 0, 24],
        &[0x33; 20],
        &[20, 0, 0, 24],
        &[3; 20],
        &[13, 0, 0, 24],
        &[4; 20],
        &[11, 0, 0, 20],
        &[1; 16],
        &[0, 0, 0, 30],
        &RESPONDER_LIFETIME,
    ]);
    assert_eq!(answer.octets, expected);

    let proof = aggressive_proof().contents().unwrap();
    assert_eq!(proof.first.0, 8);
    let expected = octets(&[
        &[20, 0, 0, 24],
        &[0x33; 20],
        &[20, 0, 0, 24],
        &[3; 20],
        &[11, 0, 0, 24],
        &[4; 20],
        &[0, 0, 0, 30],
        &INITIAL_CONTACT,
    ]);
    assert_eq!(proof.octets, expected);
}

#[test]
fn the_messages_of_phase_2_are_written_as_the_rfcs_draw_them() {
    let quick = quick_mode().contents().unwrap();
    assert_eq!(quick.first.0, 1);
    let expected = octets(&[
        &[10, 0, 0, 24],
        &SA,
        &[4, 0, 0, 20],
        &[0x22; 16],
        &[5, 0, 0, 36],
        &[0x11; 32],
        &[5, 0, 0, 16, 4, 0, 0, 0, 10, 0, 1, 0, 255, 255, 255, 0],
        &[11, 0, 0, 16, 4, 0, 0, 0, 10, 0, 2, 0, 255, 255, 255, 0],
        &[0, 0, 0, 30],
        &RESPONDER_LIFETIME,
    ]);
    assert_eq!(quick.octets, expected);

    let informational = informational().contents().unwrap();
    assert_eq!(informational.first.0, 11);
    let expected = octets(&[
        &[12, 0, 0, 30, 0, 0, 0, 1, 1, 16, 0x8d, 0x28],
        &[7; 16],
        &[1, 2],
        &[12, 0, 0, 20, 0, 0, 0, 1, 3, 4, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0, 0, 0, 28, 0, 0, 0, 1, 1, 16, 0, 1],
        &[9; 16],
    ]);
    assert_eq!(informational.octets, expected);

    let attributes = attributes().contents().unwrap();
    assert_eq!(attributes.first.0, 14);
    let expected = octets(&[
        &[0, 0, 0, 33, 2, 0, 0x12, 0x34],
        &[0, 1, 0, 4, 10, 0, 0, 7],
        &[0xc0, 0x8f, 0, 1],
        &[0, 3, 0, 0],
        &[0x70, 0, 0, 5],
        b"hello",
    ]);
    assert_eq!(attributes.octets, expected);
}

#[test]
fn nat_detection_has_the_drafts_number_for_a_peer_of_the_drafts_and_is_read_by_either() {
    let contents = main_mode_keys().contents_for(NatTraversal::Draft).unwrap();
    let kinds: Vec<u8> = [0, 36, 56, 80, 104].iter().map(|at| contents.octets[*at]).collect();
    assert_eq!(kinds, [10, 130, 130, 13, 0]);
    assert_eq!(MainModeKeys::parse(first(&contents), &contents.octets), Ok(main_mode_keys()));

    let contents = aggressive_proof().contents_for(NatTraversal::Draft).unwrap();
    assert_eq!((contents.octets[0], contents.octets[24]), (130, 130));
    assert_eq!(AggressiveProof::parse(first(&contents), &contents.octets), Ok(aggressive_proof()));
}

#[test]
fn a_hash_is_split_from_what_it_covers_without_the_padding() {
    let quick = quick_mode().contents().unwrap();
    let mut message = octets(&[&[1, 0, 0, 24], &[0x55; 20], &quick.octets]);
    for _ in 0..16 {
        let hashed = Hashed::parse(PayloadType::HASH, &message).unwrap();
        assert_eq!(hashed, Hashed { hash: &[0x55; 20], next: 1, rest: &quick.octets });
        message.push(0);
    }
    let alone = octets(&[&[0, 0, 0, 24], &[0x55; 20], &[9; 8]]);
    let hashed = Hashed::parse(PayloadType::HASH, &alone).unwrap();
    assert_eq!(hashed, Hashed { hash: &[0x55; 20], next: 0, rest: &[] });
}
