mod ikev1;

use super::shown::configured;
use super::*;
use crate::ike::action::Phase;
use crate::sa::selector::Selector;

const REMOTE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn diagnose(failure: &Failure) -> Diagnosis {
    let gateways = [Host::Name("vpn.example.org".into())];
    let local_identity = LocalIdentity::Fixed(Identity::Email("client@example.com".into()));
    let context = Context {
        gateways: &gateways,
        first_port: 500,
        local_identity: &local_identity,
        ike_lifetime: Some(Duration::from_secs(3600)),
        remote: Some(REMOTE),
        psk_key: "[gateway] psk_file",
    };
    Diagnosis::of(failure, &context)
}

fn subnet(text: &str) -> Vec<Selector> {
    let (address, prefix_len) = text.split_once('/').unwrap();
    vec![Selector::from_prefix(address.parse().unwrap(), prefix_len.parse().unwrap()).unwrap()]
}

fn one_of_each() -> Vec<(Failure, ExitKind, &'static [&'static str])> {
    let client = Identity::Email("client@example.com".into());
    let other = Identity::Fqdn("other.example.com".into());
    let offered = vec!["aes256-sha256-ecp256".to_owned()];
    let waited = Duration::from_secs(64);
    let silent_init =
        Failure::NoAnswer { phase: Phase::SaInit, sent: 9, waited, hints: vec!["NO_PROPOSAL_CHOSEN".into()] };
    let silent_auth = Failure::NoAnswer { phase: Phase::Auth, sent: 9, waited, hints: vec![] };
    let narrowed = Some((subnet("10.1.0.0/16"), subnet("10.99.0.0/24")));
    let selectors = |answered| Failure::SelectorsRefused {
        phase: Phase::Auth,
        local: subnet("0.0.0.0/0"),
        remote: subnet("10.250.0.0/24"),
        answered,
    };
    let notify = |name: &str| Failure::Refused { phase: Phase::Auth, notify: name.into() };
    vec![
        (
            silent_init,
            ExitKind::Unreachable,
            &["vpn.example.org (192.0.2.1)", "[gateway] address", "9 times", "NO_PROPOSAL_CHOSEN", "4500"],
        ),
        (silent_auth, ExitKind::Unreachable, &["IKE_AUTH", "4500"]),
        (
            Failure::IkeProposalRefused { phase: Phase::SaInit, offered: offered.clone(), wanted_group: None },
            ExitKind::Proposal,
            &["[ike] proposals", "aes256-sha256-ecp256", "NO_PROPOSAL_CHOSEN"],
        ),
        (
            Failure::IkeProposalRefused { phase: Phase::SaInit, offered: offered.clone(), wanted_group: Some(20) },
            ExitKind::Proposal,
            &["aes256-sha256-ecp256", "asks for ecp384", "add `-ecp384`"],
        ),
        (
            Failure::IkeProposalRefused { phase: Phase::SaInit, offered: offered.clone(), wanted_group: Some(2) },
            ExitKind::Proposal,
            &["asks for modp1024", "allow_weak"],
        ),
        (
            Failure::IkeProposalRefused { phase: Phase::SaInit, offered: offered.clone(), wanted_group: Some(24) },
            ExitKind::Proposal,
            &["modp2048s256", "let the gateway use"],
        ),
        (
            Failure::IkeProposalRefused { phase: Phase::SaInit, offered: offered.clone(), wanted_group: Some(999) },
            ExitKind::Proposal,
            &["group 999"],
        ),
        (
            Failure::PfsRefused { offered: vec!["aes256-sha256-ecp256".into()], wanted_group: None },
            ExitKind::Proposal,
            &["[esp] proposals", "first rekey", "aes256-sha256-ecp256", "NO_PROPOSAL_CHOSEN", "in place of `-ecp256`"],
        ),
        (
            Failure::PfsRefused { offered: vec!["aes256-sha256-ecp256".into()], wanted_group: Some(20) },
            ExitKind::Proposal,
            &["[esp] proposals", "asks for ecp384", "write `-ecp384` in place of `-ecp256`"],
        ),
        (
            Failure::ChildProposalRefused { phase: Phase::Auth, offered },
            ExitKind::Proposal,
            &["[esp] proposals", "aes256-sha256-ecp256", "NO_PROPOSAL_CHOSEN"],
        ),
        (
            Failure::AuthenticationRefused { phase: Phase::Auth, local: client.clone(), remote: None },
            ExitKind::Authentication,
            &["[gateway] psk_file", "client@example.com", "AUTHENTICATION_FAILED"],
        ),
        (
            Failure::PeerAuthenticationFailed { phase: Phase::Auth, identity: other.clone() },
            ExitKind::Authentication,
            &["[gateway] psk_file", "other.example.com"],
        ),
        (
            Failure::PeerIdentityUnexpected { expected: vec![Identity::Ipv4([192, 0, 2, 1].into())], received: other },
            ExitKind::Authentication,
            &["[gateway] id", "192.0.2.1", "`id = \"other.example.com\"`"],
        ),
        (Failure::PeerMethodUnexpected { method: "EAP".into() }, ExitKind::Authentication, &["EAP", "pre-shared key"]),
        (selectors(None), ExitKind::Selectors, &["[gateway] subnets", "10.250.0.0/24", "TS_UNACCEPTABLE"]),
        (selectors(narrowed), ExitKind::Selectors, &["10.250.0.0/24", "10.99.0.0/24"]),
        (
            Failure::AddressRefused { reason: "INTERNAL_ADDRESS_FAILURE".into() },
            ExitKind::Selectors,
            &["[local] address", "INTERNAL_ADDRESS_FAILURE", "rightsourceip"],
        ),
        (notify("SINGLE_PAIR_REQUIRED"), ExitKind::Selectors, &["SINGLE_PAIR_REQUIRED", "[gateway] subnets"]),
        (notify("NO_ADDITIONAL_SAS"), ExitKind::Other, &["IKE_AUTH", "NO_ADDITIONAL_SAS"]),
        (notify("INVALID_SYNTAX"), ExitKind::Other, &["INVALID_SYNTAX"]),
        (notify("notify 40000"), ExitKind::Other, &["notify 40000"]),
        (Failure::PeerViolation { what: "two SA payloads" }, ExitKind::Other, &["two SA payloads"]),
        (
            Failure::ChildrenDeleted { phase: Phase::QuickMode },
            ExitKind::Other,
            &["quick mode", "[esp] proposals", "DELETE", "log"],
        ),
        (
            Failure::NoEncapsulation { phase: Phase::MainModeProposal },
            ExitKind::Other,
            &["NAT traversal", "RFC 3947", "switch"],
        ),
        (Failure::XauthWanted, ExitKind::Authentication, &["XAUTH", "xauth_user", "xauth_password_file"]),
        (
            Failure::XauthRefused { user: "alice".into(), message: Some("locked".into()) },
            ExitKind::Authentication,
            &["alice", "locked", "xauth_password_file"],
        ),
        (Failure::Unsendable { phase: Phase::Auth }, ExitKind::Configuration, &["IKE_AUTH", "fewer"]),
        (Failure::ClosedByPeer, ExitKind::Other, &["DELETE", "client@example.com", "uniqueids=never"]),
        (Failure::PeerDead { silent: waited }, ExitKind::Unreachable, &["64 s", "[ike] dpd"]),
        (Failure::LifetimeEnded, ExitKind::Other, &["[ike] lifetime", "3600 s"]),
        (
            Failure::Moved { from: [10, 0, 0, 7].into(), to: [10, 9, 0, 7].into() },
            ExitKind::Other,
            &["10.0.0.7", "10.9.0.7", "anew"],
        ),
        (
            Failure::MoveRefused { notify: "UNACCEPTABLE_ADDRESSES".into() },
            ExitKind::Other,
            &["UNACCEPTABLE_ADDRESSES", "[ike] mobike", "anew"],
        ),
        (Failure::ClosedByUs { confirmed: true }, ExitKind::Success, &["confirmed"]),
        (Failure::ClosedByUs { confirmed: false }, ExitKind::Success, &["no answer"]),
    ]
}

#[test]
fn every_failure_says_what_happened_and_what_to_try() {
    for (failure, exit, words) in one_of_each() {
        let diagnosis = diagnose(&failure);
        let text = diagnosis.to_string();
        assert_eq!(diagnosis.exit, exit, "{text}");
        assert!(!diagnosis.what.is_empty() && !diagnosis.fix.is_empty());
        for word in words {
            assert!(text.contains(word), "{word:?} is missing in:\n{text}");
        }
    }
}

#[test]
fn no_failure_is_left_out() {
    let number = |failure: &Failure| match failure {
        Failure::NoAnswer { .. } => 0,
        Failure::IkeProposalRefused { .. } => 1,
        Failure::ChildProposalRefused { .. } => 2,
        Failure::AuthenticationRefused { .. } => 3,
        Failure::PeerAuthenticationFailed { .. } => 4,
        Failure::PeerIdentityUnexpected { .. } => 5,
        Failure::PeerMethodUnexpected { .. } => 6,
        Failure::SelectorsRefused { .. } => 7,
        Failure::AddressRefused { .. } => 8,
        Failure::Refused { .. } => 9,
        Failure::PeerViolation { .. } => 10,
        Failure::ClosedByPeer => 11,
        Failure::PeerDead { .. } => 12,
        Failure::LifetimeEnded => 13,
        Failure::ClosedByUs { .. } => 14,
        Failure::Unsendable { .. } => 15,
        Failure::XauthWanted => 16,
        Failure::XauthRefused { .. } => 17,
        Failure::NoEncapsulation { .. } => 18,
        Failure::ChildrenDeleted { .. } => 19,
        Failure::PfsRefused { .. } => 20,
        Failure::Moved { .. } => 21,
        Failure::MoveRefused { .. } => 22,
    };
    let seen: std::collections::BTreeSet<i32> = one_of_each().iter().map(|(failure, ..)| number(failure)).collect();
    assert!(seen.into_iter().eq(0..23));
}

#[test]
fn an_identity_from_an_address_is_named_as_the_likely_cause() {
    let gateways = [Host::Address(REMOTE)];
    let context = Context {
        gateways: &gateways,
        first_port: 4500,
        local_identity: &LocalIdentity::SourceAddress,
        ike_lifetime: None,
        remote: Some(REMOTE),
        psk_key: "[gateway] psk_env",
    };
    let local = Identity::Ipv4([172, 17, 0, 2].into());
    let diagnosis =
        Diagnosis::of(&Failure::AuthenticationRefused { phase: Phase::Auth, local, remote: None }, &context);
    assert_eq!(diagnosis.key, Some("[local] id"));
    assert!(diagnosis.fix.contains("NAT") && diagnosis.fix.contains("[gateway] psk_env"));
    let late = Diagnosis::not_up_in_time(Duration::from_secs(3), &context);
    assert!(late.to_string().contains("192.0.2.1") && late.exit == ExitKind::Unreachable);
}

#[test]
fn l_12_what_the_gateway_says_cannot_disturb_a_terminal() {
    let bell = "\u{1b}]0;owned\u{7}";
    for failure in [
        Failure::Refused { phase: Phase::Auth, notify: bell.repeat(100) },
        Failure::PeerMethodUnexpected { method: bell.into() },
        Failure::AddressRefused { reason: bell.into() },
        Failure::PeerIdentityUnexpected { expected: vec![], received: Identity::Fqdn(format!("{bell}\"`")) },
        Failure::NoAnswer { phase: Phase::Auth, sent: 1, waited: Duration::ZERO, hints: vec![bell.into()] },
    ] {
        let text = diagnose(&failure).to_string();
        assert!(!text.contains(['\u{1b}', '\u{7}']) && text.len() < 3000, "{text:?}");
    }
}

#[test]
fn identities_are_suggested_only_as_the_configuration_reads_them() {
    for (identity, text) in [
        (Identity::Ipv4([192, 0, 2, 1].into()), Some("\"192.0.2.1\"")),
        (Identity::Fqdn("192.0.2.1".into()), Some("\"fqdn:192.0.2.1\"")),
        (Identity::Email("a@b".into()), Some("\"email:a@b\"")),
        (Identity::KeyId(b"x7".to_vec()), Some("\"keyid:x7\"")),
        (Identity::KeyId(vec![0xff]), None),
        (Identity::Fqdn("a\"b".into()), None),
        (Identity::Fqdn("${HOME}".into()), None),
        (Identity::Other(9, vec![1]), None),
    ] {
        assert_eq!(configured(&identity).as_deref(), text);
    }
}

#[test]
fn selectors_read_as_people_write_them() {
    let range = Selector::new([10, 0, 0, 1].into(), [10, 0, 0, 9].into(), 6, 80, 81).unwrap();
    let mut list = subnet("10.1.0.0/16");
    list.push(range);
    assert_eq!(selectors(&list), "10.1.0.0/16, 10.0.0.1-10.0.0.9 protocol 6 ports 80-81");
    assert_eq!(selectors(&[]), "nothing");
    assert!(selectors(&vec![range; 20]).ends_with("12 more"));
}
