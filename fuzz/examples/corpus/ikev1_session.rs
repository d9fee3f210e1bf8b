//! Stories of one IKEv1 session: a negotiation of each kind, then one thing that goes wrong or is asked for.

use crate::Input;
use crate::session::{
    CALM, COMMAND, DAMAGE, DEAF, DELIVER, FORGET, HARM, INVENT, LATER, LOSE, RAW, REPEAT, REPORT, WAIT,
};

/// Group, protections; kind, NAT words, fragments, dpd, commit bit, older SAs, rekeying, impairment and which; framing, seed; profile,
/// fragmentation.
const PLAIN: [u8; 15] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0];

const KIND: usize = 2;
const NAT: usize = 3;
const FRAGMENTS: usize = 4;
const DPD: usize = 5;
const COMMIT: usize = 6;
const UNIQUE: usize = 7;
const REKEYS: usize = 8;
const IMPAIRED: usize = 9;
const WHICH: usize = 10;
const FRAMING: usize = 11;
const PROFILE: usize = 13;

pub fn inputs() -> Vec<Input> {
    let story = |changes: &[(usize, u8)], steps: &[&[u8]]| {
        let mut octets = PLAIN;
        changes.iter().for_each(|(place, octet)| octets[*place] = *octet);
        [octets.as_slice(), &steps.concat()].concat()
    };
    let up: &[u8] = &[CALM];
    let on: &[u8] = &[WAIT, CALM, WAIT, CALM];
    let mut inputs: Vec<Input> = vec![
        ("main", story(&[], &[up])),
        ("aggressive", story(&[(PROFILE, 1)], &[up])),
        ("xauth", story(&[(KIND, 2), (PROFILE, 2)], &[up])),
        ("aggressive_xauth_one_by_one", story(&[(KIND, 6), (PROFILE, 3)], &[up])),
        ("push_draft_marked", story(&[(KIND, 1), (NAT, 1), (FRAMING, 1)], &[up])),
        ("pfs_gcm", story(&[(1, 1), (KIND, 8), (PROFILE, 8)], &[up])),
        ("triple_des_fragments", story(&[(1, 2), (FRAGMENTS, 1)], &[up])),
        ("commit_dpd", story(&[(DPD, 1), (COMMIT, 1)], &[up, &[WAIT; 6], up])),
        ("commit_own_id", story(&[(COMMIT, 2)], &[up, &[WAIT; 6], up])),
        ("both_rekey", story(&[(REKEYS, 1), (PROFILE, 4)], &[up, &[WAIT, CALM].repeat(30)])),
        ("renewed_beside_the_old_one", story(&[(UNIQUE, 2), (PROFILE, 4)], &[up, &[WAIT, CALM].repeat(30)])),
        ("step_by_step", story(&[], &[&[DELIVER; 12]])),
        (
            "lost_and_repeated",
            story(&[], &[&[LOSE, WAIT, DELIVER, LOSE, WAIT, CALM, REPEAT, 0, REPEAT, 1, REPEAT, 2, REPEAT, 3]]),
        ),
        ("damaged", story(&[], &[&[DAMAGE, 0, 40, 4, 1, DELIVER, DAMAGE, 0, 80, 4, 1, DAMAGE, 0, 80, 0, 1], up])),
        ("raw", story(&[], &[&[RAW, 0, 0, 0, 4, 1, 2, 3, 4], up, &[RAW, 1, 3, 0, 4, 1, 2, 3, 4]])),
        ("silence", story(&[], &[up, &[DEAF], &[WAIT; 16]])),
        ("forgotten", story(&[], &[up, &[FORGET], &[WAIT; 16]])),
        ("probe_and_close", story(&[], &[up, &[COMMAND, 0, CALM, COMMAND, 1, CALM]])),
        ("closed_early", story(&[], &[&[COMMAND, 1, CALM]])),
        ("later", story(&[], &[up, &[LATER, 0xff, 0xff, LATER, 0xff, 0xff, CALM]])),
        ("invented_refusal", story(&[], &[&invented(2, 0, (11, &[0, 0, 0, 1, 1, 0, 0, 14])), up])),
        ("invented_proposal", story(&[], &[&invented(0, 0, (1, &[0, 0, 0, 1, 0, 0, 0, 1])), up])),
        ("invented_fragment", story(&[], &[&invented(0, 0, (132, &[0, 1, 1, 0, 7, 7, 7, 7])), up])),
        ("harm_question", story(&[], &[up, &harm(0, 0, (11, &[0, 0, 0, 1, 1, 0, 0x8d, 0x28, 0, 0, 0, 9])), up])),
        ("harm_transaction", story(&[], &[up, &harm(0, 2, (14, &[1, 0, 0, 7, 0, 1, 0, 0])), up])),
        ("harm_quick_mode", story(&[], &[up, &harm(0, 3, (1, &[0, 0, 0, 1, 0, 0, 0, 1])), up])),
        ("harm_lifetime", story(&[], &[up, &[HARM, 8, 0, 10], on])),
        ("harm_push", story(&[], &[up, &[HARM, 14, 1, 0, 1, 0, 4, 10, 1, 1, 1], on])),
    ];
    let deeds = [5, 6, 7, 10, 11, 13, 15, 16, 17, 18, 19];
    let names = [
        "deed_clear_delete",
        "deed_clear_probe",
        "deed_probe_of_another",
        "deed_replay",
        "deed_rekey",
        "deed_odd_proposal",
        "deed_xauth_again",
        "deed_delete_twice",
        "deed_delete_then_notify",
        "deed_delete",
        "deed_delete_all",
    ];
    inputs.extend(names.into_iter().zip(deeds).map(|(name, deed)| (name, story(&[], &[up, &[HARM, deed], up, on]))));
    let names = ["wrong_psk", "wrong_identity", "no_hash", "wrong_hash", "short_hash"];
    let unauthentic = |which| story(&[(IMPAIRED, 7), (WHICH, which)], &[up]);
    inputs.extend(names.into_iter().zip(0..).map(|(name, which)| (name, unauthentic(which))));
    inputs.push(("reflected_hash", story(&[(IMPAIRED, 6), (WHICH, 37)], &[up])));
    let fragments = |which| story(&[(IMPAIRED, 6), (WHICH, which), (FRAGMENTS, 1)], &[up]);
    let names =
        ["fragment_zero", "fragments_mixed", "fragments_endless", "fragments_overlapping", "fragments_reversed"];
    inputs.extend(names.into_iter().zip(29..).map(|(name, which)| (name, fragments(which))));
    let reports: Vec<u8> = (0..7).flat_map(|kind| [REPORT, 1, kind, 5, 5, 5, 5]).collect();
    inputs.push(("reports", story(&[], &[up, &reports, &[CALM]])));
    inputs
}

/// In phase 1, in clear, one payload of this kind.
fn invented(exchange: u8, id: u8, (kind, body): (u8, &[u8])) -> Vec<u8> {
    // Path; responder cookie, exchange, flags, message ID, chain of one.
    [&[INVENT, 0, 0, 1, exchange, 0, id, 0, 1, kind][..], &counted(body)].concat()
}

fn harm(deed: u8, exchange: u8, (kind, body): (u8, &[u8])) -> Vec<u8> {
    [&[HARM, deed, exchange, 1, kind][..], &counted(body)].concat()
}

fn counted(body: &[u8]) -> Vec<u8> {
    [&u16::try_from(body.len()).expect("short").to_be_bytes()[..], body].concat()
}
