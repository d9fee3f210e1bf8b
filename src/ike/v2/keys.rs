//! Key material (RFC 7296 §2.13, §2.14, §2.17). It knows which octets belong to whom; it knows no message.

use serde::{Deserialize, Serialize};

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

/// Which side of an exchange, or of an IKE SA, is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    Initiator,
    Responder,
}

/// SKEYSEED of the first IKE SA (RFC 7296 §2.14): prf(Ni | Nr, g^ir).
pub(super) fn first_skeyseed(prf: Prf, shared: &Secret, initiator_nonce: &[u8], responder_nonce: &[u8]) -> Secret {
    prf.compute(&[initiator_nonce, responder_nonce].concat(), &[shared.expose()])
}

/// SKEYSEED of an IKE SA in place of another, with the PRF and the SK_d of the other (RFC 7296 §2.18): prf(SK_d, g^ir | Ni | Nr).
pub(super) fn next_skeyseed(
    old_prf: Prf,
    old_sk_d: &Secret,
    shared: &Secret,
    initiator_nonce: &[u8],
    responder_nonce: &[u8],
) -> Secret {
    old_prf.compute(old_sk_d.expose(), &[shared.expose(), initiator_nonce, responder_nonce])
}

/// The keys of an IKE SA. `None` only if the suite needed more than prf+ can give, which none does.
pub(super) fn ike_keys(suite: IkeSuite, skeyseed: &Secret, exchanged: Exchanged<'_>) -> Option<IkeKeys> {
    let Exchanged { initiator_nonce, responder_nonce, initiator_spi, responder_spi } = exchanged;
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

/// The keys of a child SA, by the sides of the exchange that made it (RFC 7296 §2.17); `shared` comes from a key exchange of its own.
pub(super) fn child_keys(
    prf: Prf,
    sk_d: &Secret,
    suite: EspSuite,
    shared: Option<&Secret>,
    initiator_nonce: &[u8],
    responder_nonce: &[u8],
    role: Role,
) -> Option<ChildKeys> {
    let protection = suite.protection;
    let one_way = protection.encryption_key_len().checked_add(protection.integrity_key_len())?;
    let shared = shared.map_or(&[][..], Secret::expose);
    let material = prf.plus(sk_d.expose(), &[shared, initiator_nonce, responder_nonce], one_way.checked_mul(2)?)?;
    let mut rest = material.expose();
    // RFC 7296 §2.17: the initiator's direction first, encryption before integrity.
    let initiator = take_protection(&mut rest, protection)?;
    let responder = take_protection(&mut rest, protection)?;
    Some(match role {
        Role::Initiator => ChildKeys { outbound: initiator, inbound: responder },
        Role::Responder => ChildKeys { outbound: responder, inbound: initiator },
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity};
    use crate::crypto::dh::Group;

    const CBC: Protection =
        Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity: Integrity::HmacSha256_128 };
    const GCM: Protection = Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen));

    fn hex(secret: &Secret) -> String {
        secret.expose().iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn nonces() -> (Vec<u8>, Vec<u8>) {
        ((0..32).collect(), (100..132).collect())
    }

    fn keys(protection: Protection, prf: Prf) -> IkeKeys {
        let (initiator_nonce, responder_nonce) = nonces();
        let shared = Secret::new((0..32_u8).map(|index| 7 * index + 3).collect());
        let exchanged = Exchanged {
            initiator_nonce: &initiator_nonce,
            responder_nonce: &responder_nonce,
            initiator_spi: [0x11; 8],
            responder_spi: [0x22; 8],
        };
        let skeyseed = first_skeyseed(prf, &shared, &initiator_nonce, &responder_nonce);
        ike_keys(IkeSuite { protection, prf, group: Group::Curve25519 }, &skeyseed, exchanged).unwrap()
    }

    // The expected values of this module were computed by another program, from RFC 7296 §2.13 and §2.14 with Python's hmac.

    #[test]
    fn ike_keys_are_cut_in_the_order_of_the_rfc() {
        let keys = keys(CBC, Prf::HmacSha256);
        for (secret, expected) in [
            (&keys.sk_d, "6a65dd6b70ae41c45e6a9418a59cb5cbbfb328109e426017e274938aaf5646de"),
            (&keys.initiator.integrity, "0dc3155999ae4d7bcc0c5ab4f5e84331cdbe13b72a470f053496c6720866251a"),
            (&keys.responder.integrity, "17a27ce58fa63aab5cbfa7879f85648bda5b34a238b25354851d937aead505cd"),
            (&keys.initiator.encryption, "741f56ee70e259181f6a45da6ceaa19327a3b8ce15a949a4960914751724b665"),
            (&keys.responder.encryption, "919d79393af648f05536f85ba74fa8950fb32c8aa964ce620d419832c9a77056"),
            (&keys.sk_pi, "04f928a6c8bb727338312d972b887ef2750dd3d1f20dd8750e4945568de1d73f"),
            (&keys.sk_pr, "e7db30c040a71a131287960ddf5e61f940385170a930b618a0416c84600b4459"),
        ] {
            assert_eq!(hex(secret), expected);
        }
    }

    #[test]
    fn an_aead_has_its_salt_behind_its_key_and_no_integrity_keys() {
        let keys = keys(GCM, Prf::HmacSha384);
        for (secret, expected) in [
            (&keys.initiator.integrity, ""),
            (&keys.responder.integrity, ""),
            (&keys.initiator.encryption, "1b26eba85ed7611f1e2278e7b9f5c2f261359b5bd52185cdd945affa871867143212b6d4"),
            (&keys.responder.encryption, "412daea0545615d5f20f2e3d1ae9b2d20573d8ccd08a1ca11004dfc7a85c33c77791a285"),
            (
                &keys.sk_pr,
                "c5eb4c982ecc3f3a31c65a108b932502ec47383ce0aae0f3b01623af55676fdb32bec8754c166fd55762f84d6f2a3746",
            ),
        ] {
            assert_eq!(hex(secret), expected);
        }
    }

    fn child(keys: &IkeKeys, prf: Prf, protection: Protection) -> ChildKeys {
        let (ours, theirs) = nonces();
        let suite = EspSuite { protection, esn: false };
        child_keys(prf, &keys.sk_d, suite, None, &ours, &theirs, Role::Initiator).unwrap()
    }

    #[test]
    fn k2_142_child_keys_are_ours_first_and_encryption_before_integrity() {
        let child = child(&keys(CBC, Prf::HmacSha256), Prf::HmacSha256, CBC);
        for (secret, expected) in [
            (&child.outbound.encryption, "7a0498fb863420e4dd8b160c92a3731306f694750a0209090e43a550eb7f4424"),
            (&child.outbound.integrity, "97394621768c34d8badeb9f34be5f8c25954884fb6175f0c09dbcf9351ce2ee7"),
            (&child.inbound.encryption, "329855b002a43934bf1ce6277cb8d17d5188011a858957c91b8ec4d552429a8d"),
            (&child.inbound.integrity, "f8353ac38b256d638db3bfa1587e6cc2fa2534765e5c7ef9519d38b9e51ce847"),
        ] {
            assert_eq!(hex(secret), expected);
        }
    }

    #[test]
    fn k2_142_an_aead_child_takes_key_and_salt_a_direction() {
        let gcm128 = Protection::Aead(Aead::AesGcm(AesKey::Aes128, GcmIcv::Sixteen));
        let child = child(&keys(GCM, Prf::HmacSha384), Prf::HmacSha384, gcm128);
        assert_eq!(hex(&child.outbound.encryption), "2754eb6f5e6a9460a35bff191d24d2ea1b5b560f");
        assert_eq!(hex(&child.inbound.encryption), "246ba7bd1e3ea63192fb47d73769fddb75933148");
        assert!(child.outbound.integrity.is_empty() && child.inbound.integrity.is_empty());
    }

    #[test]
    fn k2_130_the_next_ike_sa_has_its_keys_from_the_old_sk_d_and_the_old_prf() {
        let (ours, theirs) = nonces();
        let shared = Secret::new((0..32_u8).map(|index| 7 * index + 3).collect());
        let old = keys(CBC, Prf::HmacSha256);
        let skeyseed = next_skeyseed(Prf::HmacSha256, &old.sk_d, &shared, &ours, &theirs);
        assert_eq!(hex(&skeyseed), "919d6940b5bd24cb38380e30050ddfeef6406598cc633d676c40947f2a7a145a");
        let exchanged = Exchanged {
            initiator_nonce: &ours,
            responder_nonce: &theirs,
            initiator_spi: [0x11; 8],
            responder_spi: [0x22; 8],
        };
        let suite = IkeSuite { protection: CBC, prf: Prf::HmacSha256, group: Group::Curve25519 };
        let next = ike_keys(suite, &skeyseed, exchanged).unwrap();
        assert_eq!(hex(&next.sk_d), "9f003b33c1b482a782b68c8ff97e2c52bd4f7864cc6dfd077a73d658bc4e1f60");
    }

    #[test]
    fn k2_132_a_child_with_its_own_key_exchange_has_the_shared_secret_before_the_nonces_and_each_side_its_direction() {
        let (ours, theirs) = nonces();
        let shared = Secret::new((0..32_u8).map(|index| 7 * index + 3).collect());
        let keys = keys(CBC, Prf::HmacSha256);
        let suite = EspSuite { protection: CBC, esn: false };
        let made = |role| child_keys(Prf::HmacSha256, &keys.sk_d, suite, Some(&shared), &ours, &theirs, role).unwrap();
        let (initiator, responder) = (made(Role::Initiator), made(Role::Responder));
        for (secret, expected) in [
            (&initiator.outbound.encryption, "231c00ed7bdd453b33a4c2e147e423c5b67a81093f929a5360e407b9e558558e"),
            (&initiator.outbound.integrity, "0efcc3b414babf7bd59ab315e3bbec8f5160fc8699a64a28e7d6744e95f5a695"),
            (&responder.outbound.encryption, "de272141ab3e69bfeabcf04feee32a48a65a3710ae7318a34168b47e8a67d07d"),
            (&responder.outbound.integrity, "852933817da995812348de3a139caebf12e5167b8a0d947cc734c6ba877b8e8a"),
        ] {
            assert_eq!(hex(secret), expected);
        }
        assert_eq!(hex(&initiator.inbound.encryption), hex(&responder.outbound.encryption));
        assert_eq!(hex(&responder.inbound.integrity), hex(&initiator.outbound.integrity));
    }
}
