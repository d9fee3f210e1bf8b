//! In which order we write payloads, and that we read them in any (RFC 7296 §2.5, appendix C).

use proptest::prelude::*;

use super::*;
use crate::ike::v2::message::CreateChildRequest;

fn kinds(contents: &Contents) -> Vec<String> {
    inner(contents)
        .iter()
        .map(|raw| match raw.kind {
            PayloadType::NOTIFY => NotifyType(u16::from_be_bytes([raw.body[2], raw.body[3]])).to_string(),
            kind => kind.to_string(),
        })
        .collect()
}

#[test]
fn k2_032_a_cookie_goes_first_and_all_else_stays_as_it_was() {
    let with = sa_init_request();
    let without = SaInitRequest { cookie: None, ..with.clone() };
    let (with, without) = (with.contents().unwrap(), without.contents().unwrap());
    assert_eq!(
        kinds(&with),
        [
            "COOKIE",
            "SA",
            "KE",
            "Nonce",
            "NAT_DETECTION_SOURCE_IP",
            "NAT_DETECTION_DESTINATION_IP",
            "IKEV2_FRAGMENTATION_SUPPORTED"
        ]
    );
    assert_eq!(without.first, PayloadType::SECURITY_ASSOCIATION);
    assert!(with.octets.ends_with(&without.octets));
    assert_eq!(with.octets.len() - without.octets.len(), 8 + 20);
}

#[test]
fn k2_060_the_auth_request_has_the_rfcs_order_with_cp_before_sa() {
    assert_eq!(
        kinds(&auth_request().contents().unwrap()),
        [
            "IDi",
            "INITIAL_CONTACT",
            "IDr",
            "AUTH",
            "CP",
            "ESP_TFC_PADDING_NOT_SUPPORTED",
            "SA",
            "TSi",
            "TSr",
            "MOBIKE_SUPPORTED"
        ]
    );
}

#[test]
fn k2_052_the_octets_that_auth_covers_are_the_payloads_body_with_its_reserved_octets() {
    let identity = Identification { reserved: [1, 2, 3], ..auth_request().initiator };
    let request = AuthRequest { initiator: identity.clone(), ..auth_request() };
    let contents = request.contents().unwrap();
    assert_eq!(inner(&contents)[0].body, identity.body());
    assert_eq!(AuthRequest::parse(&inner(&contents)).unwrap().initiator.body(), identity.body());
}

fn shuffled(contents: &Contents) -> impl Strategy<Value = Contents> + use<> {
    Just(parts(contents)).prop_shuffle().prop_map(|parts| chained(&parts))
}

fn sorted(mut notifies: Vec<Notify>) -> Vec<Notify> {
    notifies.sort_by_key(|notify| notify.kind);
    notifies
}

proptest! {
    #[test]
    fn k2_008_an_sa_init_response_is_read_in_any_order(contents in shuffled(&sa_init_accepted().contents().unwrap())) {
        let SaInitResponse::Accepted(mut read) = SaInitResponse::parse(&outer(&contents)).unwrap() else { unreachable!() };
        read.notifies = sorted(read.notifies);
        let SaInitResponse::Accepted(mut sent) = sa_init_accepted() else { unreachable!() };
        sent.notifies = sorted(sent.notifies);
        prop_assert_eq!(read, sent);
    }

    #[test]
    fn k2_008_an_sa_init_request_is_read_in_any_order(contents in shuffled(&sa_init_request().contents().unwrap())) {
        let mut read = SaInitRequest::parse(&inner(&contents)).unwrap();
        read.notifies = sorted(read.notifies);
        let mut sent = sa_init_request();
        sent.notifies = sorted(sent.notifies);
        prop_assert_eq!(read, sent);
    }

    #[test]
    fn k2_008_an_auth_request_is_read_in_any_order(contents in shuffled(&auth_request().contents().unwrap())) {
        let mut read = AuthRequest::parse(&inner(&contents)).unwrap();
        read.notifies = sorted(read.notifies);
        let mut sent = auth_request();
        sent.notifies = sorted(sent.notifies);
        prop_assert_eq!(read, sent);
    }

    #[test]
    fn k2_008_an_auth_response_is_read_in_any_order(contents in shuffled(&auth_accepted().contents().unwrap())) {
        prop_assert_eq!(AuthResponse::parse(&inner(&contents)), Ok(auth_accepted()));
    }

    #[test]
    fn k2_008_a_refused_child_is_read_in_any_order(contents in shuffled(&auth_child_refused().contents().unwrap())) {
        prop_assert_eq!(AuthResponse::parse(&inner(&contents)), Ok(auth_child_refused()));
    }

    #[test]
    fn k2_008_a_rekeying_request_is_read_in_any_order(contents in shuffled(&rekey_child())) {
        prop_assert_eq!(CreateChildRequest::parse(&inner(&contents)), CreateChildRequest::parse(&inner(&rekey_child())));
    }
}
