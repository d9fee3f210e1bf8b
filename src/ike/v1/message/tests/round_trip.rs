//! Messages are read as they were written, and any octets at all are read or refused.

use proptest::prelude::*;

use super::*;

fn octets(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=most)
}

fn lists(most: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(octets(most), 0..6)
}

fn sas() -> impl Strategy<Value = Vec<u8>> {
    octets(80).prop_map(|rest| [&[0, 0, 0, 1, 0, 0, 0, 1][..], &rest].concat())
}

fn nonces() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 8..=256)
}

fn identifications() -> impl Strategy<Value = Identification> {
    (any::<u8>(), prop_oneof![Just((0, 0)), Just((17, 500)), Just((17, 0)), Just((17, 4500))], octets(300))
        .prop_map(|(kind, (protocol, port), data)| Identification { kind, protocol, port, data })
}

fn notify_lists() -> impl Strategy<Value = Vec<Notify>> {
    let spis = prop_oneof![
        (Just(1_u8), octets(16)),
        (Just(3_u8), prop_oneof![Just(vec![]), prop::collection::vec(any::<u8>(), 4)])
    ];
    let notifies =
        (spis, any::<u16>(), octets(60)).prop_map(|((protocol, spi), kind, data)| Notify { protocol, spi, kind, data });
    prop::collection::vec(notifies, 0..5)
}

fn delete_lists() -> impl Strategy<Value = Vec<Delete>> {
    let of = |protocol, octets| {
        prop::collection::vec(prop::collection::vec(any::<u8>(), octets..=octets), 1..6)
            .prop_map(move |spis| Delete { protocol, spis })
    };
    prop::collection::vec(prop_oneof![of(1, 16), of(2, 4), of(3, 4)], 0..5)
}

macro_rules! same {
    ($message:ident, $value:expr) => {
        let value = $value;
        let contents = value.contents().unwrap();
        prop_assert_eq!($message::parse(first(&contents), &contents.octets), Ok(value));
    };
}

proptest! {
    #[test]
    fn messages_of_main_mode_are_read_as_they_were_written(
        (sa, vendor_ids, key_exchange, nonce) in (sas(), lists(40), octets(300), nonces()),
        (nat_detection, identification, hash, notifies) in (lists(64), identifications(), octets(64), notify_lists()),
    ) {
        same!(MainModeProposal, MainModeProposal { sa, vendor_ids: vendor_ids.clone() });
        same!(MainModeKeys, MainModeKeys { key_exchange, nonce, nat_detection, vendor_ids: vendor_ids.clone() });
        let identification_body = identification.body();
        same!(MainModeAuth, MainModeAuth { identification, identification_body, hash, notifies, vendor_ids });
    }

    #[test]
    fn messages_of_aggressive_mode_are_read_as_they_were_written(
        (sa, vendor_ids, key_exchange, nonce) in (sas(), lists(40), octets(300), nonces()),
        (nat_detection, identification, hash, notifies) in (lists(64), identifications(), octets(64), notify_lists()),
    ) {
        same!(AggressiveOpening, AggressiveOpening {
            sa: sa.clone(),
            key_exchange: key_exchange.clone(),
            nonce: nonce.clone(),
            identification: identification.clone(),
            vendor_ids: vendor_ids.clone(),
        });
        same!(AggressiveProof, AggressiveProof {
            hash: hash.clone(),
            nat_detection: nat_detection.clone(),
            notifies: notifies.clone(),
        });
        let identification_body = identification.body();
        same!(AggressiveAnswer, AggressiveAnswer {
            sa, key_exchange, nonce, identification, identification_body, hash, nat_detection, vendor_ids, notifies,
        });
    }

    #[test]
    fn messages_of_quick_mode_are_read_as_they_were_written(
        (sa, nonce, key_exchange) in (sas(), nonces(), prop::option::of(octets(300))),
        identifications in prop::option::of((identifications(), identifications())),
        notifies in notify_lists(),
    ) {
        same!(QuickModeProposal, QuickModeProposal { sa, nonce, key_exchange, identifications, notifies });
    }

    #[test]
    fn informational_messages_are_read_as_they_were_written(notifies in notify_lists(), deletes in delete_lists()) {
        let message = Informational { notifies, deletes };
        if message == Informational::default() {
            prop_assert!(message.contents().is_err());
        } else {
            same!(Informational, message);
        }
    }

    #[test]
    fn attributes_are_read_as_they_were_written(
        (kind, identifier) in any::<(u8, u16)>(),
        attributes in prop::collection::vec(
            (prop_oneof![0..0x8000_u16, Just(16_520), Just(16_527)], prop_oneof![octets(60), octets(2)]),
            0..20,
        ),
    ) {
        same!(Attributes, Attributes { kind, identifier, attributes });
    }

    #[test]
    fn any_octets_at_all_are_read_or_refused(kind in any::<u8>(), octets in octets(400)) {
        read_as_everything(PayloadType(kind), &octets);
    }

    #[test]
    fn any_chain_of_payloads_is_read_or_refused(
        payloads in prop::collection::vec((prop_oneof![1..=15_u8, any::<u8>()], octets(40)), 1..10),
    ) {
        let parts: Vec<Part> = payloads.into_iter().map(|(kind, body)| (PayloadType(kind), body)).collect();
        let contents = join(&parts).unwrap();
        read_as_everything(first(&contents), &contents.octets);
    }

    #[test]
    fn proposals_of_any_octets_are_read_or_refused(octets in octets(400)) {
        let body = [&[0, 0, 0, 1, 0, 0, 0, 1][..], &octets].concat();
        for body in [body.as_slice(), &octets] {
            if let Ok(proposals) = security_association::read_proposals(body) {
                prop_assert!(!proposals.is_empty());
            }
        }
    }
}
