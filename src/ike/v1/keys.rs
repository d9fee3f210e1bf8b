//! Keys and proofs of IKEv1 with a pre-shared key (RFC 2409 §5, §5.5, appendix B): pure functions of octets.

use serde::{Deserialize, Serialize};

use crate::crypto::carried::Carried;
use crate::crypto::cipher::ProtectionKeys;
use crate::crypto::hash::Hash;
use crate::crypto::prf::Prf;
use crate::crypto::secret::Secret;
use crate::sa::suite::{Cbc, EspSuite, IkeSuite};

/// ESP's protocol number in quick mode (RFC 2407 §4.4.1).
const PROTOCOL_ESP: u8 = 3;

/// What phase 1 exchanged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchanged<'a> {
    /// g^xi and g^xr.
    pub(super) publics: (&'a [u8], &'a [u8]),
    /// Ni_b and Nr_b.
    pub(super) nonces: (&'a [u8], &'a [u8]),
    /// CKY-I and CKY-R.
    pub(super) cookies: ([u8; 8], [u8; 8]),
}

/// The hash that was negotiated: the PRF is its HMAC (RFC 2409 §4).
pub(super) const fn hash_of(prf: Prf) -> Hash {
    match prf {
        Prf::HmacSha1 => Hash::Sha1,
        Prf::HmacSha256 => Hash::Sha256,
        Prf::HmacSha384 => Hash::Sha384,
        Prf::HmacSha512 => Hash::Sha512,
    }
}

/// SKEYID and what is made of it (RFC 2409 §5).
#[derive(Debug)]
pub(super) struct Skeyid {
    prf: Prf,
    base: Secret,
    derivation: Secret,
    authentication: Secret,
    encryption: Secret,
}

/// SKEYID and what is made of it, on their way to another process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SkeyidState {
    base: Carried,
    derivation: Carried,
    authentication: Carried,
    encryption: Carried,
}

impl Skeyid {
    /// As values, for another process.
    pub(super) fn export(&self) -> SkeyidState {
        let Self { prf: _, base, derivation, authentication, encryption } = self;
        SkeyidState {
            base: Carried::copy_of(base),
            derivation: Carried::copy_of(derivation),
            authentication: Carried::copy_of(authentication),
            encryption: Carried::copy_of(encryption),
        }
    }

    /// The same in the process that goes on; `None` for keys that this function does not make.
    pub(super) fn restore(prf: Prf, state: SkeyidState) -> Option<Self> {
        let SkeyidState { base, derivation, authentication, encryption } = state;
        let fits = |key: Carried| Some(key.into_secret()).filter(|key| key.len() == prf.output_len());
        let (base, derivation) = (fits(base)?, fits(derivation)?);
        Some(Self { prf, base, derivation, authentication: fits(authentication)?, encryption: fits(encryption)? })
    }

    /// RFC 2409 §5, §5.4.
    pub(super) fn derive(suite: IkeSuite, psk: &Secret, shared: &Secret, exchanged: Exchanged<'_>) -> Self {
        let prf = suite.prf;
        let Exchanged { nonces: (ours, theirs), cookies: (initiator, responder), .. } = exchanged;
        let base = prf.compute(psk.expose(), &[ours, theirs]);
        let step = |before: &[u8], number: u8| {
            prf.compute(base.expose(), &[before, shared.expose(), &initiator, &responder, &[number]])
        };
        let derivation = step(&[], 0);
        let authentication = step(derivation.expose(), 1);
        let encryption = step(authentication.expose(), 2);
        Self { prf, base, derivation, authentication, encryption }
    }

    /// HASH_I over the SA body that the initiator sent and its ID body (RFC 2409 §5).
    pub(super) fn hash_i(&self, exchanged: Exchanged<'_>, sa: &[u8], id: &[u8]) -> Secret {
        let Exchanged { publics: (initiator, responder), cookies: (ours, theirs), .. } = exchanged;
        self.prf.compute(self.base.expose(), &[initiator, responder, &ours, &theirs, sa, id])
    }

    /// HASH_R, over the same SA body (the initiator's) and the responder's ID body.
    pub(super) fn hash_r(&self, exchanged: Exchanged<'_>, sa: &[u8], id: &[u8]) -> Secret {
        let Exchanged { publics: (initiator, responder), cookies: (ours, theirs), .. } = exchanged;
        self.prf.compute(self.base.expose(), &[responder, initiator, &theirs, &ours, sa, id])
    }

    /// The key of the ISAKMP SA's cipher, stretched if needed (RFC 2409 appendix B).
    pub(super) fn cipher_key(&self, cipher: Cbc) -> Secret {
        let wanted = cipher.key_len();
        if let Some(start) = self.encryption.expose().get(..wanted) {
            return Secret::copy_of(start);
        }
        chain(wanted, |before| self.prf.compute(self.encryption.expose(), &[before.map_or(&[0], Secret::expose)]))
    }

    /// HASH(1): of quick mode, Mode Config and informational exchanges. `rest` is what follows the HASH payload, without padding.
    pub(super) fn hash_1(&self, message_id: u32, rest: &[u8]) -> Secret {
        self.prf.compute(self.authentication.expose(), &[&message_id.to_be_bytes(), rest])
    }

    /// HASH(2).
    pub(super) fn hash_2(&self, message_id: u32, initiator_nonce: &[u8], rest: &[u8]) -> Secret {
        self.prf.compute(self.authentication.expose(), &[&message_id.to_be_bytes(), initiator_nonce, rest])
    }

    /// HASH(3).
    pub(super) fn hash_3(&self, message_id: u32, nonces: (&[u8], &[u8])) -> Secret {
        self.prf.compute(self.authentication.expose(), &[&[0], &message_id.to_be_bytes(), nonces.0, nonces.1])
    }

    /// KEYMAT of one direction: of the SA that has this SPI, which its receiver chose (RFC 2409 §5.5). `shared` with perfect forward secrecy.
    /// The encryption key comes first, with an AEAD's salt behind it (RFC 4106 §8.1), then the integrity key (RFC 2407 §4.5).
    pub(super) fn keymat(
        &self,
        suite: EspSuite,
        spi: [u8; 4],
        nonces: (&[u8], &[u8]),
        shared: Option<&Secret>,
    ) -> Option<ProtectionKeys> {
        let (encryption, integrity) = (suite.protection.encryption_key_len(), suite.protection.integrity_key_len());
        let material = chain(encryption.checked_add(integrity)?, |before| {
            let before = before.map_or(&[][..], Secret::expose);
            let shared = shared.map_or(&[][..], Secret::expose);
            let parts: [&[u8]; 6] = [before, shared, &[PROTOCOL_ESP], &spi, nonces.0, nonces.1];
            self.prf.compute(self.derivation.expose(), &parts)
        });
        let (encryption, integrity) = material.expose().split_at_checked(encryption)?;
        Some(ProtectionKeys { encryption: Secret::copy_of(encryption), integrity: Secret::copy_of(integrity) })
    }
}

/// K1 | K2 | ..., each made of the one before, cut to `wanted` octets.
fn chain(wanted: usize, step: impl Fn(Option<&Secret>) -> Secret) -> Secret {
    // Never more than this, so no copy stays behind.
    let mut octets = Vec::with_capacity(wanted);
    let mut last: Option<Secret> = None;
    while octets.len() < wanted {
        let next = step(last.as_ref());
        let missing = wanted.saturating_sub(octets.len());
        octets.extend(next.expose().iter().take(missing));
        last = Some(next);
    }
    Secret::new(octets)
}

#[cfg(test)]
mod tests;
