//! Key material (RFC 7296 §2.13, §2.14, §2.17). It knows which octets belong to whom; it knows no message.

use crate::crypto::cipher::{Protection, ProtectionKeys};
use crate::crypto::prf::Prf;
use crate::crypto::secret::Secret;
use crate::sa::keys::ChildKeys;
use crate::sa::suite::{EspSuite, IkeSuite};

/// All keys of an IKE SA, by the names of RFC 7296 §2.14.
#[derive(Debug)]
pub(super) struct IkeKeys {
    pub(super) sk_d: Secret,
    /// SK_ei with SK_ai.
    pub(super) initiator: ProtectionKeys,
    /// SK_er with SK_ar.
    pub(super) responder: ProtectionKeys,
    pub(super) sk_pi: Secret,
    pub(super) sk_pr: Secret,
}

/// Both nonces and both SPIs of an IKE SA, the initiator's first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchanged<'a> {
    pub(super) initiator_nonce: &'a [u8],
    pub(super) responder_nonce: &'a [u8],
    pub(super) initiator_spi: [u8; 8],
    pub(super) responder_spi: [u8; 8],
}

/// The keys of the first IKE SA. `None` only if the suite needed more than prf+ can give, which none does.
pub(super) fn ike_keys(suite: IkeSuite, shared: &Secret, exchanged: Exchanged<'_>) -> Option<IkeKeys> {
    let Exchanged { initiator_nonce, responder_nonce, initiator_spi, responder_spi } = exchanged;
    // RFC 7296 §2.14: SKEYSEED = prf(Ni | Nr, g^ir).
    let skeyseed = suite.prf.compute(&[initiator_nonce, responder_nonce].concat(), &[shared.expose()]);
    let seed: [&[u8]; 4] = [initiator_nonce, responder_nonce, &initiator_spi, &responder_spi];
    let prf_len = suite.prf.output_len();
    let encryption_len = suite.protection.encryption_key_len();
    let integrity_len = suite.protection.integrity_key_len();
    let lengths = [prf_len, integrity_len, integrity_len, encryption_len, encryption_len, prf_len, prf_len];
    let material = suite.prf.plus(skeyseed.expose(), &seed, lengths.into_iter().sum())?;
    let mut rest = material.expose();
    let sk_d = take(&mut rest, prf_len)?;
    let sk_ai = take(&mut rest, integrity_len)?;
    let sk_ar = take(&mut rest, integrity_len)?;
    let sk_ei = take(&mut rest, encryption_len)?;
    let sk_er = take(&mut rest, encryption_len)?;
    Some(IkeKeys {
        sk_d,
        initiator: ProtectionKeys { encryption: sk_ei, integrity: sk_ai },
        responder: ProtectionKeys { encryption: sk_er, integrity: sk_ar },
        sk_pi: take(&mut rest, prf_len)?,
        sk_pr: take(&mut rest, prf_len)?,
    })
}

/// The keys of a child SA that we asked for, made without a key exchange of its own (RFC 7296 §2.17).
pub(super) fn child_keys(
    prf: Prf,
    sk_d: &Secret,
    suite: EspSuite,
    initiator_nonce: &[u8],
    responder_nonce: &[u8],
) -> Option<ChildKeys> {
    let protection = suite.protection;
    let one_way = protection.encryption_key_len().checked_add(protection.integrity_key_len())?;
    let material = prf.plus(sk_d.expose(), &[initiator_nonce, responder_nonce], one_way.checked_mul(2)?)?;
    let mut rest = material.expose();
    // RFC 7296 §2.17: the initiator's direction first, encryption before integrity.
    let outbound = take_protection(&mut rest, protection)?;
    let inbound = take_protection(&mut rest, protection)?;
    Some(ChildKeys { outbound, inbound })
}

fn take_protection(rest: &mut &[u8], protection: Protection) -> Option<ProtectionKeys> {
    let encryption = take(rest, protection.encryption_key_len())?;
    let integrity = take(rest, protection.integrity_key_len())?;
    Some(ProtectionKeys { encryption, integrity })
}

fn take(rest: &mut &[u8], len: usize) -> Option<Secret> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(Secret::copy_of(taken))
}
