//! V-03: every message with every subset of its payloads removed, repeated or turned into other kinds.

use super::*;

fn subsets(count: usize) -> impl Iterator<Item = Vec<bool>> {
    (0..1_usize << count).map(move |mask| (0..count).map(|place| mask & (1 << place) != 0).collect())
}

fn count(parts: &[Part], kind: PayloadType) -> usize {
    parts.iter().filter(|part| part.0 == kind).count()
}

/// What the RFCs say of these payloads, without the table.
fn is_whole(case: &Case, parts: &[Part]) -> bool {
    let required = case.required.iter().all(|kind| count(parts, *kind) == 1);
    let ids = count(parts, PayloadType::IDENTIFICATION);
    let own = match case.name {
        "QuickModeProposal" => {
            (ids == 0 || ids == 2)
                && count(parts, PayloadType::KEY_EXCHANGE) <= 1
                && parts.first().is_some_and(|part| part.0 == PayloadType::SECURITY_ASSOCIATION)
        }
        "Informational" => count(parts, PayloadType::NOTIFY) + count(parts, PayloadType::DELETE) > 0,
        _ => true,
    };
    required && own
}

#[test]
fn v_03_an_ikev1_message_with_any_subset_of_its_payloads_removed_is_whole_or_refused() {
    for case in cases() {
        let whole = parts(&case.contents);
        for kept in subsets(whole.len()) {
            let left: Vec<Part> =
                whole.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(part, _)| part.clone()).collect();
            let read = case.read_parts(&left);
            assert_eq!(read.is_ok(), is_whole(&case, &left), "{} {kept:?}", case.name);
        }
    }
}

#[test]
fn v_03_an_ikev1_message_with_any_subset_of_its_payloads_repeated_is_refused_unless_all_may_be() {
    for case in cases() {
        let whole = parts(&case.contents);
        for twice in subsets(whole.len()) {
            let repeated: Vec<Part> = whole
                .iter()
                .zip(&twice)
                .flat_map(|(part, twice)| vec![part.clone(); if *twice { 2 } else { 1 }])
                .collect();
            let harmless = whole.iter().zip(&twice).all(|(part, twice)| !twice || case.repeatable.contains(&part.0));
            assert_eq!(case.read_parts(&repeated).is_ok(), harmless, "{} {twice:?}", case.name);
        }
    }
}

#[test]
fn v_03_an_ikev1_message_with_any_subset_of_its_payloads_of_unknown_kinds_is_refused_but_for_private_ones_in_phase_1() {
    for case in cases() {
        let whole = parts(&case.contents);
        for (number, private) in [(0x7f, false), (200, true)] {
            for retyped in subsets(whole.len()) {
                let mut message = whole.clone();
                for (part, retyped) in message.iter_mut().zip(&retyped) {
                    if *retyped {
                        part.0 = PayloadType(number);
                    }
                }
                let changed = retyped.contains(&true);
                let skipped = case.phase == 1 && private && is_whole(&case, &message);
                assert_eq!(case.read_parts(&message).is_ok(), !changed || skipped, "{} {retyped:?}", case.name);
            }
        }
    }
}

#[test]
fn k1_003_v_03_v_21_a_message_with_any_payload_turned_into_any_kind_is_refused_or_read() {
    for case in cases() {
        let whole = parts(&case.contents);
        for place in 0..whole.len() {
            for kind in 0..=255 {
                let mut message = whole.clone();
                message[place].0 = PayloadType(kind);
                let contents = join(&message).unwrap();
                read_as_everything(first(&contents), &contents.octets);
            }
        }
    }
}

#[test]
fn k1_003_no_message_is_read_as_one_of_another_kind() {
    for sender in cases() {
        for receiver in cases().into_iter().filter(|receiver| receiver.name != sender.name) {
            let read = (receiver.read)(first(&sender.contents), &sender.contents.octets);
            assert!(read.is_err(), "{} as {}", sender.name, receiver.name);
        }
    }
}

#[test]
fn v_21_payloads_of_ikev2_have_no_place_in_messages_of_ikev1() {
    for case in cases() {
        for kind in 33..=53 {
            let mut message = parts(&case.contents);
            message.push((PayloadType(kind), vec![0; 8]));
            assert!(case.read_parts(&message).is_err(), "{} {kind}", case.name);
        }
    }
}
