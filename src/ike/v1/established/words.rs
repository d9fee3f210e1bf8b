//! Why something came to nothing that does not end the session, for people.

use crate::ike::action::Failure;
use crate::sa::selector::Selector;

pub(super) fn in_words(failure: &Failure) -> String {
    let list = |selectors: &[Selector]| selectors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match failure {
        Failure::SelectorsRefused { answered: Some((local, remote)), .. } => {
            format!("the gateway answered {} and {}", list(local), list(remote))
        }
        Failure::SelectorsRefused { .. } => "the gateway does not carry these subnets (INVALID-ID-INFORMATION)".into(),
        Failure::ChildProposalRefused { offered, .. } => {
            format!("the gateway accepts none of the ESP proposals {} (NO-PROPOSAL-CHOSEN)", offered.join(", "))
        }
        Failure::PfsRefused { offered, .. } => format!("the gateway refuses the groups of {}", offered.join(", ")),
        Failure::IkeProposalRefused { offered, .. } => {
            format!("the gateway accepts none of the IKE proposals {} (NO-PROPOSAL-CHOSEN)", offered.join(", "))
        }
        Failure::Refused { notify, .. } => format!("the gateway says {notify}"),
        Failure::PeerViolation { what } => (*what).to_owned(),
        Failure::NoAnswer { hints, .. } if hints.is_empty() => "the gateway does not answer".into(),
        Failure::NoAnswer { hints, .. } => format!("the gateway answers nothing but {}, unprotected", hints.join(", ")),
        Failure::AuthenticationRefused { .. } | Failure::PeerAuthenticationFailed { .. } => {
            "the two pre-shared keys differ, or the gateway does not know our identity".into()
        }
        Failure::PeerIdentityUnexpected { received, .. } => format!("the gateway calls itself {received}"),
        Failure::PeerMethodUnexpected { method } => format!("the gateway wants to authenticate by {method}"),
        Failure::XauthWanted => "the gateway asks for a name and a password, and none is configured".into(),
        Failure::XauthRefused { user, .. } => format!("the gateway refuses the password of {user}"),
        Failure::AddressRefused { reason } => reason.clone(),
        Failure::ChildrenDeleted { .. } => "the gateway deletes it as soon as it is made".into(),
        Failure::NoEncapsulation { .. } => "the gateway announces no NAT traversal".into(),
        Failure::Unsendable { .. } => "IKEv1 has no words for what is configured".into(),
        Failure::ClosedByPeer => "the gateway ended it".into(),
        Failure::PeerDead { .. }
        | Failure::LifetimeEnded
        | Failure::Moved { .. }
        | Failure::MoveRefused { .. }
        | Failure::ClosedByUs { .. } => "it was ended".into(),
    }
}
