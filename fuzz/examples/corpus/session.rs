//! Stories of one session: a handshake of each kind, then one thing that goes wrong or is asked for.

use crate::Input;

pub const DELIVER: u8 = 0;
pub const LOSE: u8 = 1;
pub const DAMAGE: u8 = 2;
pub const REPEAT: u8 = 3;
pub const RAW: u8 = 4;
pub const INVENT: u8 = 5;
pub const WAIT: u8 = 6;
pub const LATER: u8 = 7;
pub const REPORT: u8 = 8;
pub const COMMAND: u8 = 9;
pub const HARM: u8 = 10;
pub const DEAF: u8 = 11;
pub const FORGET: u8 = 12;
pub const CALM: u8 = 13;

/// Group, protection; cookie, fragment, dpd, impairment; framing, seed, IDr, fragmentation.
const PLAIN: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0];

pub fn inputs() -> Vec<Input> {
    let story = |steps: &[&[u8]]| [PLAIN.as_slice(), &steps.concat()].concat();
    let up: &[u8] = &[CALM];
    let mut inputs: Vec<Input> = vec![
        ("up", story(&[up])),
        ("step_by_step", story(&[&[DELIVER, DELIVER, DELIVER]])),
        ("ecp256_cbc_marked", [&[1, 2, 0, 0, 0, 0, 1, 2, 1, 1][..], up].concat()),
        ("cookie_fragments_dpd", [&[0, 1, 1, 2, 1, 0, 0, 3, 0, 2][..], up, &[WAIT, WAIT, CALM]].concat()),
        ("lost_and_repeated", story(&[&[LOSE, WAIT, DELIVER, LOSE, WAIT, CALM, REPEAT, 0, REPEAT, 1]])),
        ("damaged", story(&[&[DAMAGE, 0, 40, 4, 1], &[DELIVER], &[DAMAGE, 0, 80, 4, 1], &[DAMAGE, 0, 80, 0, 1], up])),
        ("raw", story(&[&[RAW, 0, 0, 0, 4, 1, 2, 3, 4], up, &[RAW, 1, 3, 0, 4, 1, 2, 3, 4]])),
        ("invented_notify", story(&[&invented(&[0, 0, 0, 8, 0, 0, 0, 14]), up, &invented(&[0, 0, 0, 8, 0, 0, 0, 7])])),
        ("silence", story(&[up, &[DEAF], &[WAIT; 16]])),
        ("forgotten", story(&[up, &[FORGET], &[WAIT; 16]])),
        ("probe_and_close", story(&[up, &[COMMAND, 0, CALM, COMMAND, 1, CALM]])),
        ("closed_early", story(&[&[COMMAND, 1, CALM]])),
        ("later", story(&[up, &[LATER, 0xff, 0xff, LATER, 0xff, 0xff, CALM]])),
        ("deletes", story(&[up, &harm(3, 0), &[CALM]])),
        ("deletes_child", story(&[up, &harm(3, 1), &[CALM]])),
        ("rekeys", story(&[up, &harm(2, 2), &[CALM]])),
        ("odd_request", story(&[up, &[HARM, 3, 1, 2, 41, 0, 4, 0, 0, 64, 1, 200, 0, 1, 9, 7], &[CALM]])),
        ("in_clear", story(&[up, &[HARM, 3, 0, 1, 41, 0, 4, 0, 0, 0, 4, 7], &[CALM]])),
    ];
    let reports: Vec<u8> = (0..7).flat_map(|kind| [REPORT, 1, kind, 5, 5, 5, 5]).collect();
    inputs.push(("reports", story(&[up, &reports, &[CALM]])));
    inputs
}

fn invented(payloads: &[u8]) -> Vec<u8> {
    let count = u16::try_from(payloads.len()).expect("short").to_be_bytes();
    // Path, responder SPI, first payload, major, exchange, flags, message ID.
    [&[INVENT, 0, 0, 0, 41, 0, 0, 1, 0, 0][..], &count, payloads].concat()
}

fn harm(exchange: u8, kind: u8) -> Vec<u8> {
    vec![HARM, exchange, 1, 0, kind]
}
