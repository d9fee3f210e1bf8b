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
