//! What failures of IKEv1's phases mean.

use super::*;

const PHASES: &[(Phase, &str)] = &[
    (Phase::MainModeProposal, "main mode (proposals)"),
    (Phase::MainModeKeys, "main mode (keys)"),
    (Phase::MainModeAuth, "main mode (identities)"),
    (Phase::AggressiveMode, "aggressive mode"),
    (Phase::Xauth, "XAUTH"),
    (Phase::ModeConfig, "Mode Config"),
    (Phase::QuickMode, "quick mode"),
];

fn says(failure: &Failure, exit: ExitKind, key: &str, words: &[&str]) {
    let diagnosis = diagnose(failure);
    let text = diagnosis.to_string();
    assert_eq!((diagnosis.exit, diagnosis.key), (exit, Some(key)), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in:\n{text}");
    }
}

fn silence(phase: Phase, sent: u32) -> Failure {
    Failure::NoAnswer { phase, sent, waited: Duration::from_secs(30), hints: vec!["PAYLOAD-MALFORMED".into()] }
}

#[test]
fn every_phase_is_named_with_what_its_silence_means() {
    for (phase, name) in PHASES {
        let text = diagnose(&silence(*phase, 9)).to_string();
        assert!(text.contains(name) && text.contains("PAYLOAD-MALFORMED") && text.contains("9 times"), "{text}");
    }
    let psk = "[gateway] psk_file";
    let unreachable = ExitKind::Unreachable;
    says(&silence(Phase::MainModeProposal, 9), unreachable, ADDRESS, &["UDP 500", "IKEv2", "aggressive mode"]);
    says(&silence(Phase::MainModeKeys, 9), unreachable, psk, &["NAT", "`%any`"]);
    let words = &["is wrong", "4500", "client@example.com", psk, "address we come from"];
    says(&silence(Phase::MainModeAuth, 9), ExitKind::Authentication, psk, words);
    says(&silence(Phase::AggressiveMode, 9), unreachable, ADDRESS, &["aggressive mode is off", "client@example.com"]);
    says(&silence(Phase::Xauth, 9), unreachable, XAUTH_USER, &["RADIUS"]);
    says(&silence(Phase::Xauth, 0), unreachable, XAUTH_USER, &["did not begin XAUTH", "remove `xauth_user`"]);
    says(&silence(Phase::ModeConfig, 9), unreachable, LOCAL_ADDRESS, &["rightsourceip", "`subnets`"]);
    says(&silence(Phase::QuickMode, 9), unreachable, SUBNETS, &["[esp] proposals", "exactly"]);
}

#[test]
fn refused_proposals_name_phase_and_what_was_offered() {
    let offered = vec!["aes256-sha256-modp2048".to_owned()];
    for phase in [Phase::MainModeProposal, Phase::AggressiveMode] {
        let failure = Failure::IkeProposalRefused { phase, offered: offered.clone(), wanted_group: None };
        let words = &["phase 1", "NO_PROPOSAL_CHOSEN", "aes256-sha256-modp2048", "xauth_user", "authby=psk"];
        says(&failure, ExitKind::Proposal, IKE_PROPOSALS, words);
    }
    let child =
        |offered: &str| Failure::ChildProposalRefused { phase: Phase::QuickMode, offered: vec![offered.into()] };
    let words = &["phase 2", "quick mode", "NO_PROPOSAL_CHOSEN", "with modp2048", "remove `-modp2048`"];
    says(&child("aes256-sha256-modp2048"), ExitKind::Proposal, ESP_PROPOSALS, words);
    let words = &["without perfect forward secrecy", "add its group"];
    says(&child("aes256-sha256"), ExitKind::Proposal, ESP_PROPOSALS, words);
}

#[test]
fn a_refused_proof_in_main_mode_is_probably_the_key() {
    let local = Identity::Email("client@example.com".into());
    let refused = |phase| Failure::AuthenticationRefused { phase, local: local.clone(), remote: None };
    let words =
        &["main mode (identities)", "client@example.com", "[local] id", "is wrong", "address that we come from"];
    says(&refused(Phase::MainModeAuth), ExitKind::Authentication, "[gateway] psk_file", words);
    let words = &["aggressive mode", "client@example.com", "AUTHENTICATION_FAILED", "[local] id", "leave `mode` out"];
    says(&refused(Phase::AggressiveMode), ExitKind::Authentication, "[gateway] psk_file", words);
    let failed = Failure::PeerAuthenticationFailed { phase: Phase::AggressiveMode, identity: local };
    says(&failed, ExitKind::Authentication, "[gateway] psk_file", &["aggressive mode"]);
}

#[test]
fn refused_subnets_in_quick_mode_must_be_equal() {
    let failure = |answered| Failure::SelectorsRefused {
        phase: Phase::QuickMode,
        local: subnet("10.200.0.7/32"),
        remote: subnet("10.250.0.0/24"),
        answered,
    };
    let words = &["phase 2", "INVALID_ID_INFORMATION", "10.250.0.0/24", "10.200.0.7/32", "no narrowing", "exactly"];
    says(&failure(None), ExitKind::Selectors, SUBNETS, words);
    let narrowed = Some((subnet("10.200.0.7/32"), subnet("10.250.0.0/28")));
    says(&failure(narrowed), ExitKind::Selectors, SUBNETS, &["10.250.0.0/24", "10.250.0.0/28"]);
}

#[test]
fn other_notifies_point_at_the_key_of_their_phase() {
    let refused = |phase, notify: &str| Failure::Refused { phase, notify: notify.into() };
    let cases = [
        (Phase::MainModeAuth, "NO-PROPOSAL-CHOSEN", ExitKind::Proposal, IKE_PROPOSALS),
        (Phase::QuickMode, "NO-PROPOSAL-CHOSEN", ExitKind::Proposal, ESP_PROPOSALS),
        (Phase::QuickMode, "INVALID-ID-INFORMATION", ExitKind::Selectors, SUBNETS),
        (Phase::MainModeAuth, "INVALID-ID-INFORMATION", ExitKind::Authentication, "[gateway] psk_file"),
        (Phase::MainModeProposal, "INVALID-MAJOR-VERSION", ExitKind::Other, "[ike] version"),
    ];
    for (phase, notify, exit, key) in cases {
        says(&refused(phase, notify), exit, key, &[notify]);
    }
    says(
        &Failure::Unsendable { phase: Phase::MainModeProposal },
        ExitKind::Configuration,
        IKE_PROPOSALS,
        &["main mode"],
    );
    says(&Failure::Unsendable { phase: Phase::QuickMode }, ExitKind::Configuration, SUBNETS, &["quick mode"]);
}

#[test]
fn another_client_of_the_same_identity_is_named_with_both_ways_out() {
    let gateways = [Host::Address(REMOTE)];
    let identity = Identity::Fqdn("web.example.org".into());
    let local_identity = LocalIdentity::Fixed(identity.clone());
    let context = Context {
        gateways: &gateways,
        first_port: 500,
        local_identity: &local_identity,
        ike_lifetime: None,
        remote: Some(REMOTE),
        psk_key: "[gateway] psk_env",
    };
    let diagnosis = Diagnosis::displaced(&identity, &context);
    let text = diagnosis.to_string();
    assert_eq!(diagnosis.key, Some(LOCAL_ID));
    for word in ["another client uses this identity", "web.example.org", "uniqueids=never", "${HOSTNAME}", "192.0.2.1"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
}
