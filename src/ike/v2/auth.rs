//! Authentication by a pre-shared key (RFC 7296 §2.15): what each side's AUTH is, and the proof that the peer's was right.
//! It knows octets and keys; it knows no exchange, and the proof has no other source.

use crate::crypto::prf::Prf;
use crate::crypto::secret::Secret;
use crate::ike::identity::Identity;
use crate::ike::v2::message::{AuthProof, Authentication, Identification};
use crate::ike::wire::registry::AuthMethod;

/// RFC 7296 §2.15.
const KEY_PAD: &[u8] = b"Key Pad for IKEv2";

/// Proof that the peer has the key and is whom we asked for: made by `check` only.
#[derive(Debug)]
pub(super) struct PeerAuthenticated(());

impl PeerAuthenticated {
    /// Of an IKE SA that another process of ours established, by the check below, and handed over.
    pub(super) const fn by_the_process_before() -> Self {
        Self(())
    }
}

/// What one side's AUTH covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    /// This side's IKE_SA_INIT message, as its octets travelled: the one that succeeded.
    pub(super) first_message: &'a [u8],
    /// The other side's nonce.
    pub(super) other_nonce: &'a [u8],
    /// SK_pi or SK_pr.
    pub(super) sk_p: &'a Secret,
}

/// Why the peer is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthFault {
    /// Another method than a shared key.
    Method(AuthMethod),
    /// It calls itself what we call ourselves: our own proof, turned around.
    Reflected,
    /// The proof is wrong.
    Wrong,
    /// The proof is right, but it is not the peer that was asked for.
    Identity,
}

/// Our AUTH payload.
pub(super) fn prove(prf: Prf, psk: &Secret, ours: Signed<'_>, identity: &Identification) -> Authentication {
    let data = shared_key_mac(prf, psk, ours, identity).expose().to_vec();
    Authentication { method: AuthMethod::SHARED_KEY, data }
}

/// Checks the peer's AUTH and then its identity, by type and octets.
pub(super) fn check(
    prf: Prf,
    psk: &Secret,
    theirs: Signed<'_>,
    proof: &AuthProof,
    local: &Identity,
    expected: &[Identity],
) -> Result<PeerAuthenticated, AuthFault> {
    if proof.authentication.method != AuthMethod::SHARED_KEY {
        return Err(AuthFault::Method(proof.authentication.method));
    }
    let identity = proof.responder.identity();
    if identity == *local {
        return Err(AuthFault::Reflected);
    }
    if !shared_key_mac(prf, psk, theirs, &proof.responder).matches(&proof.authentication.data) {
        return Err(AuthFault::Wrong);
    }
    if !expected.contains(&identity) {
        return Err(AuthFault::Identity);
    }
    Ok(PeerAuthenticated(()))
}

/// prf(prf(PSK, "Key Pad for IKEv2"), message | nonce | prf(SK_p, ID)).
fn shared_key_mac(prf: Prf, psk: &Secret, signed: Signed<'_>, identity: &Identification) -> Secret {
    let maced_id = prf.compute(signed.sk_p.expose(), &[&identity.body()]);
    let key = prf.compute(psk.expose(), &[KEY_PAD]);
    prf.compute(key.expose(), &[signed.first_message, signed.other_nonce, maced_id.expose()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ike::v2::message::{ChildAnswer, notify::Notify};
    use crate::ike::wire::registry::NotifyType;

    const OTHER_NONCE: [u8; 32] = {
        let mut nonce = [0; 32];
        let mut index = 0;
        while index < 32 {
            nonce[index] = 100 + index as u8;
            index += 1;
        }
        nonce
    };

    /// SK_pi of the vector in `keys`.
    fn sk_p() -> Secret {
        let hex = "04f928a6c8bb727338312d972b887ef2750dd3d1f20dd8750e4945568de1d73f";
        Secret::new((0..32).map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap()).collect())
    }

    fn signed(sk_p: &Secret) -> Signed<'_> {
        Signed { first_message: b"first message", other_nonce: &OTHER_NONCE, sk_p }
    }

    fn peer() -> Identity {
        Identity::Fqdn("replica-1.example".into())
    }

    fn us() -> Identity {
        Identity::Fqdn("us.example".into())
    }

    /// Computed by another program from RFC 7296 §2.15.
    #[test]
    fn k2_050_auth_is_over_message_nonce_and_identity_with_keys_of_any_length() {
        let digits = "0123456789".repeat(7);
        for (psk, expected) in [
            ("secret", "ae8565601764474f8a7851b1abc2da9612ee6ab344e88cacd1133d014531db9b"),
            (&digits[..64], "4dd57936ceb2e6832f38012e818112fcb3eebe28f04d91638dacfcb1c4018362"),
            (&digits[..65], "1beaa0f9f525dc359084e9da453aacfb4206fef7d954954e5ec276ffd89ec36a"),
        ] {
            let sk_p = sk_p();
            let psk = Secret::copy_of(psk.as_bytes());
            let proof = prove(Prf::HmacSha256, &psk, signed(&sk_p), &Identification::of(&peer()));
            let data: String = proof.data.iter().map(|octet| format!("{octet:02x}")).collect();
            assert_eq!((proof.method, data.as_str()), (AuthMethod::SHARED_KEY, expected));
        }
    }

    struct Case {
        sk_p: Secret,
        psk: Secret,
        proof: AuthProof,
    }

    fn case() -> Case {
        let (sk_p, psk) = (sk_p(), Secret::copy_of(b"secret"));
        let responder = Identification::of(&peer());
        let authentication = prove(Prf::HmacSha256, &psk, signed(&sk_p), &responder);
        let child = ChildAnswer::Refused { error: Notify::new(NotifyType::TS_UNACCEPTABLE) };
        let proof = AuthProof { responder, authentication, configuration: None, child, notifies: Vec::new() };
        Case { sk_p, psk, proof }
    }

    fn verdict(case: &Case, local: &Identity, expected: &[Identity]) -> Option<AuthFault> {
        check(Prf::HmacSha256, &case.psk, signed(&case.sk_p), &case.proof, local, expected).err()
    }

    #[test]
    fn k2_053_only_the_right_proof_by_a_shared_key_of_the_expected_peer_is_accepted() {
        assert_eq!(verdict(&case(), &us(), &[peer()]), None);
        for method in (0..=255).filter(|method| *method != 2).map(AuthMethod) {
            let mut other = case();
            other.proof.authentication.method = method;
            assert_eq!(verdict(&other, &us(), &[peer()]), Some(AuthFault::Method(method)));
        }
        for index in 0..32 {
            let mut wrong = case();
            wrong.proof.authentication.data[index] ^= 1;
            assert_eq!(verdict(&wrong, &us(), &[peer()]), Some(AuthFault::Wrong));
        }
        for len in [0, 1, 20, 31, 33, 64] {
            let mut wrong = case();
            wrong.proof.authentication.data.resize(len, 0);
            assert_eq!(verdict(&wrong, &us(), &[peer()]), Some(AuthFault::Wrong));
        }
        let mut other_key = case();
        other_key.psk = Secret::copy_of(b"secret\n");
        assert_eq!(verdict(&other_key, &us(), &[peer()]), Some(AuthFault::Wrong));
    }

    #[test]
    fn k2_052_the_reserved_octets_of_the_identity_are_covered_as_received() {
        let mut case = case();
        case.proof.responder.reserved = [0, 0, 1];
        assert_eq!(verdict(&case, &us(), &[peer()]), Some(AuthFault::Wrong));
        case.proof.authentication = prove(Prf::HmacSha256, &case.psk, signed(&case.sk_p), &case.proof.responder);
        assert_eq!(verdict(&case, &us(), &[peer()]), None);
    }

    #[test]
    fn k2_054_identities_are_compared_by_type_and_octets() {
        for expected in [
            Identity::Fqdn("Replica-1.example".into()),
            Identity::Fqdn("*.example".into()),
            Identity::Fqdn("replica-1.example.".into()),
            Identity::Email("replica-1.example".into()),
            Identity::KeyId(b"replica-1.example".to_vec()),
            Identity::Other(2, b"replica-1.example".to_vec()),
        ] {
            assert_eq!(verdict(&case(), &us(), &[expected]), Some(AuthFault::Identity));
        }
        assert_eq!(verdict(&case(), &us(), &[]), Some(AuthFault::Identity));
        assert_eq!(verdict(&case(), &us(), &[us(), peer()]), None);
    }

    #[test]
    fn k2_056_a_peer_that_calls_itself_us_is_refused_whatever_is_expected() {
        assert_eq!(verdict(&case(), &peer(), &[peer()]), Some(AuthFault::Reflected));
    }

    #[test]
    fn k2_051_another_first_message_nonce_or_key_is_refused() {
        let case = case();
        let other_key = Secret::copy_of(&[1; 32]);
        for theirs in [
            Signed { first_message: b"first messagf", ..signed(&case.sk_p) },
            Signed { other_nonce: &[1; 32], ..signed(&case.sk_p) },
            Signed { sk_p: &other_key, ..signed(&case.sk_p) },
        ] {
            let verdict = check(Prf::HmacSha256, &case.psk, theirs, &case.proof, &us(), &[peer()]);
            assert_eq!(verdict.err(), Some(AuthFault::Wrong));
        }
    }
}
