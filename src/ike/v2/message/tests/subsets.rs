//! V-03: every message with every subset of its payloads removed, repeated or turned into other kinds.

use super::*;
use crate::ike::v2::message::{CreateChildKind, CreateChildRequest, MessageError};

/// What a parser made of payloads: the name of the variant, or why not.
type Verdict = Result<&'static str, MessageError>;

/// A sample, its parser, and the kinds without which no message of any variant is left.
struct Case {
    name: &'static str,
    contents: Contents,
    read: fn(&Contents) -> Verdict,
    required: &'static [PayloadType],
}

fn cases() -> Vec<Case> {
    use PayloadType as P;
    vec![
        Case {
            name: "IKE_SA_INIT request",
            contents: sa_init_request().contents().unwrap(),
            read: |contents| SaInitRequest::parse(&inner(contents)).map(|_| "request"),
            required: &[P::SECURITY_ASSOCIATION, P::KEY_EXCHANGE, P::NONCE],
        },
        Case {
            name: "IKE_SA_INIT response",
            contents: sa_init_accepted().contents().unwrap(),
            read: |contents| {
                SaInitResponse::parse(&outer(contents)).map(|response| match response {
                    SaInitResponse::Accepted(_) => "accepted",
                    SaInitResponse::Notified(_) => "notified",
                })
            },
            required: &[P::SECURITY_ASSOCIATION, P::KEY_EXCHANGE, P::NONCE],
        },
        Case {
            name: "IKE_AUTH request",
            contents: auth_request().contents().unwrap(),
            read: |contents| AuthRequest::parse(&inner(contents)).map(|_| "request"),
            required: &[
                P::IDENTIFICATION_INITIATOR,
                P::AUTHENTICATION,
                P::SECURITY_ASSOCIATION,
                P::TRAFFIC_SELECTOR_INITIATOR,
                P::TRAFFIC_SELECTOR_RESPONDER,
            ],
        },
        Case {
            name: "IKE_AUTH response",
            contents: auth_accepted().contents().unwrap(),
            read: read_auth,
            required: &[
                P::IDENTIFICATION_RESPONDER,
                P::AUTHENTICATION,
                P::SECURITY_ASSOCIATION,
                P::TRAFFIC_SELECTOR_INITIATOR,
                P::TRAFFIC_SELECTOR_RESPONDER,
            ],
        },
        Case {
            name: "IKE_AUTH response without child",
            contents: auth_child_refused().contents().unwrap(),
            read: read_auth,
            required: &[P::IDENTIFICATION_RESPONDER, P::AUTHENTICATION, P::NOTIFY],
        },
        Case {
            name: "INFORMATIONAL",
            contents: informational().contents().unwrap(),
            read: |contents| Informational::parse(&inner(contents)).map(|_| "informational"),
            required: &[],
        },
        Case {
            name: "CREATE_CHILD_SA for a child",
            contents: rekey_child(),
            read: read_create_child,
            required: &[
                P::SECURITY_ASSOCIATION,
                P::NONCE,
                P::TRAFFIC_SELECTOR_INITIATOR,
                P::TRAFFIC_SELECTOR_RESPONDER,
            ],
        },
        Case {
            name: "CREATE_CHILD_SA for an IKE SA",
            contents: rekey_ike(),
            read: read_create_child,
            required: &[P::SECURITY_ASSOCIATION, P::NONCE, P::KEY_EXCHANGE],
        },
    ]
}

fn read_auth(contents: &Contents) -> Verdict {
    AuthResponse::parse(&inner(contents)).map(|response| match response {
        AuthResponse::Proof(proof) => match proof.child {
            ChildAnswer::Accepted { .. } => "child",
            ChildAnswer::Refused { .. } => "no child",
        },
        AuthResponse::Eap => "EAP",
        AuthResponse::Refused { .. } => "refused",
    })
}

fn read_create_child(contents: &Contents) -> Verdict {
    CreateChildRequest::parse(&inner(contents)).map(|request| match request.kind {
        CreateChildKind::RekeyIke => "IKE SA",
        CreateChildKind::RekeyChild { .. } => "rekeyed child",
        CreateChildKind::NewChild { .. } => "new child",
    })
}

/// All subsets of `count` things, as a test of membership.
fn subsets(count: usize) -> impl Iterator<Item = impl Fn(usize) -> bool> {
    (0..1_u32 << count).map(|mask| move |place: usize| mask & (1 << place) != 0)
}

fn may_be_repeated(kind: PayloadType) -> bool {
    matches!(kind, PayloadType::NOTIFY | PayloadType::DELETE | PayloadType::VENDOR_ID)
}

#[test]
fn v_03_a_message_with_any_subset_of_its_payloads_removed_is_whole_or_refused() {
    for Case { name, contents, read, required } in cases() {
        let whole = parts(&contents);
        let full = read(&contents).unwrap();
        for removed in subsets(whole.len()) {
            let left: Vec<Part> =
                whole.iter().enumerate().filter(|(place, _)| !removed(*place)).map(|(_, part)| part.clone()).collect();
            let has_all = required.iter().all(|kind| left.iter().any(|part| part.0 == *kind));
            let verdict = read(&chained(&left));
            let kinds: Vec<PayloadType> = left.iter().map(|part| part.0).collect();
            if has_all {
                // Without REKEY_SA or TS payloads the message is another, and as whole.
                assert!(verdict.is_ok(), "{name} of {kinds:?}: {verdict:?}");
            } else {
                assert_ne!(verdict, Ok(full), "{name} of {kinds:?}");
                let named = matches!(verdict, Err(MessageError::Missing(_) | MessageError::Unexpected(_)));
                assert!(named || matches!(verdict, Ok("notified" | "refused")), "{name} of {kinds:?}: {verdict:?}");
            }
        }
    }
}

#[test]
fn k2_009_a_message_with_any_subset_of_its_payloads_repeated_is_refused_unless_all_may_be() {
    for Case { name, contents, read, .. } in cases() {
        let whole = parts(&contents);
        for repeated in subsets(whole.len()) {
            let more: Vec<Part> = whole
                .iter()
                .enumerate()
                .flat_map(|(place, part)| std::iter::repeat_n(part.clone(), if repeated(place) { 2 } else { 1 }))
                .collect();
            let allowed = whole.iter().enumerate().all(|(place, part)| {
                let once = may_be_repeated(part.0) && !names_once(part);
                !repeated(place) || once
            });
            let verdict = read(&chained(&more));
            match verdict {
                Ok(_) => assert!(allowed, "{name}"),
                Err(MessageError::Repeated(_)) => assert!(!allowed, "{name}"),
                Err(other) => panic!("{name}: {other:?}"),
            }
        }
    }
}

/// COOKIE in a request and REKEY_SA are notifies that may be there once.
fn names_once(part: &Part) -> bool {
    let kind = || NotifyType(u16::from_be_bytes([part.1[2], part.1[3]]));
    part.0 == PayloadType::NOTIFY && matches!(kind(), NotifyType::COOKIE | NotifyType::REKEY_SA)
}

#[test]
fn v_21_a_message_with_any_subset_of_its_payloads_of_unknown_kinds_is_as_if_they_were_not_there() {
    for Case { name, contents, read, .. } in cases() {
        let whole = parts(&contents);
        for other in subsets(whole.len()) {
            // IKEv1 numbers, drafts of its NAT traversal, numbers nobody has.
            for unknown in [1, 4, 5, 15, 32, 49, 130, 131, 255] {
                let retyped: Vec<Part> = whole
                    .iter()
                    .enumerate()
                    .map(|(place, part)| (if other(place) { PayloadType(unknown) } else { part.0 }, part.1.clone()))
                    .collect();
                let left: Vec<Part> = retyped.iter().filter(|part| part.0 != PayloadType(unknown)).cloned().collect();
                let (with, without) = (read(&chained(&retyped)), read(&chained(&left)));
                // A message of nothing but unknown payloads lacks what one without payloads lacks.
                assert!(with == without || left.is_empty() && with.is_err(), "{name}: {with:?} and {without:?}");
            }
        }
    }
}

#[test]
fn v_21_a_known_payload_that_does_not_belong_into_a_message_is_refused_by_name() {
    use PayloadType as P;
    let auth = parts(&auth_request().contents().unwrap());
    let of = |kind| auth.iter().find(|part| part.0 == kind).unwrap().1.clone();
    let strangers: Vec<Part> = [P::SECURITY_ASSOCIATION, P::AUTHENTICATION, P::CONFIGURATION]
        .into_iter()
        .chain([P::IDENTIFICATION_INITIATOR, P::IDENTIFICATION_RESPONDER])
        .chain([P::TRAFFIC_SELECTOR_INITIATOR, P::TRAFFIC_SELECTOR_RESPONDER])
        .map(|kind| (kind, of(kind)))
        .chain([(P::KEY_EXCHANGE, vec![0; 36]), (P::NONCE, vec![0; 16]), (P::DELETE, vec![1, 0, 0, 0])])
        .chain([(P::CERTIFICATE, vec![4]), (P::CERTIFICATE_REQUEST, vec![4]), (P::EAP, vec![3, 0, 0, 4])])
        .collect();
    for Case { name, contents, read, .. } in cases() {
        let whole = parts(&contents);
        let belongs: &[P] = match name {
            "IKE_SA_INIT response" => &[P::CERTIFICATE_REQUEST],
            "IKE_AUTH request" => &[P::CERTIFICATE, P::CERTIFICATE_REQUEST],
            "IKE_AUTH response" => &[P::CERTIFICATE, P::EAP],
            "IKE_AUTH response without child" => &[
                P::CERTIFICATE,
                P::EAP,
                P::CONFIGURATION,
                P::SECURITY_ASSOCIATION,
                P::TRAFFIC_SELECTOR_INITIATOR,
                P::TRAFFIC_SELECTOR_RESPONDER,
            ],
            "CREATE_CHILD_SA for a child" => &[P::CONFIGURATION],
            _ => &[],
        };
        for stranger in &strangers {
            if whole.iter().any(|part| part.0 == stranger.0) || belongs.contains(&stranger.0) {
                continue;
            }
            // Traffic selectors make a request for an IKE SA one for a child, which then lacks the other side's.
            let verdict = read(&chained(&[&whole[..], std::slice::from_ref(stranger)].concat()));
            let lacks = matches!(verdict, Err(MessageError::Missing(_))) && name == "CREATE_CHILD_SA for an IKE SA";
            assert!(
                lacks || verdict == Err(MessageError::Unexpected(stranger.0)),
                "{name} with {}: {verdict:?}",
                stranger.0
            );
        }
    }
}

#[test]
fn v_03_a_message_with_any_payload_turned_into_another_kind_is_refused_or_read() {
    let known: Vec<PayloadType> = (0..=255).map(PayloadType).filter(|kind| kind.name().is_some()).collect();
    for Case { name, contents, read, required } in cases() {
        let whole = parts(&contents);
        let full = read(&contents).unwrap();
        for place in 0..whole.len() {
            for kind in known.iter().filter(|kind| !matches!(kind.0, 0 | 46 | 53)) {
                let mut retyped = whole.clone();
                retyped[place].0 = *kind;
                let verdict = read(&chained(&retyped));
                let has_all = required.iter().all(|kind| retyped.iter().any(|part| part.0 == *kind));
                assert!(has_all || verdict != Ok(full), "{name} with {kind}: {verdict:?}");
            }
        }
    }
}

#[test]
fn k2_007_an_unknown_critical_payload_is_named_wherever_it_stands_and_whatever_else_is_wrong() {
    for Case { name, contents, read, .. } in cases() {
        let whole = parts(&contents);
        for place in 0..=whole.len() {
            for unknown in [1_u8, 15, 32, 49, 52, 54, 130, 255] {
                let mut more = whole.clone();
                more.insert(place, (PayloadType(unknown), vec![1, 2, 3]));
                more.insert(0, (PayloadType::NONCE, vec![]));
                let mut contents = chained(&more);
                let raw = inner(&contents);
                let offset = raw[place + 1].offset;
                contents.octets[offset - 3] = 0x80;
                assert_eq!(read(&contents), Err(MessageError::UnsupportedCritical(unknown)), "{name}");
                contents.octets[offset - 3] = 0x7f;
                assert_ne!(read(&contents), Err(MessageError::UnsupportedCritical(unknown)), "{name}");
            }
        }
    }
}

#[test]
fn k2_007_the_critical_bit_means_nothing_on_known_payloads() {
    for Case { name, contents, read, .. } in cases() {
        let mut marked = contents.clone();
        for raw in inner(&contents) {
            marked.octets[raw.offset - 3] = 0x80;
        }
        assert_eq!(read(&marked), read(&contents), "{name}");
    }
}

#[test]
fn v_07_an_eap_payload_anywhere_in_an_auth_response_makes_it_no_answer_to_a_shared_key() {
    for sample in [auth_accepted(), auth_child_refused()] {
        let whole = parts(&sample.contents().unwrap());
        for removed in subsets(whole.len()) {
            for code in [0, 1, 2, 3, 4, 255] {
                let mut left: Vec<Part> =
                    whole.iter().enumerate().filter(|(at, _)| !removed(*at)).map(|(_, part)| part.clone()).collect();
                left.insert(left.len() / 2, (PayloadType::EAP, vec![code, 1, 0, 4]));
                assert_eq!(read_auth(&chained(&left)), Ok("EAP"));
            }
        }
    }
}
