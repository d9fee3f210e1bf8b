//! X25519 (RFC 7748 §5, RFC 8031).

use x25519_dalek::{PublicKey, StaticSecret};

use crate::crypto::random::Random;
use crate::crypto::secret::Secret;

pub(super) struct Scalar(StaticSecret);

impl Scalar {
    pub(super) fn generate(random: &mut dyn Random) -> Self {
        let mut octets = zeroize::Zeroizing::new([0; 32]);
        random.fill(octets.as_mut_slice());
        Self(StaticSecret::from(*octets))
    }

    pub(super) fn public(&self) -> Vec<u8> {
        PublicKey::from(&self.0).as_bytes().to_vec()
    }

    /// RFC 8031 §3.2: a non-canonical value is taken modulo the prime, as RFC 7748 §5 says.
    pub(super) fn agree(&self, peer: &[u8]) -> Option<Secret> {
        let peer: [u8; 32] = peer.try_into().ok()?;
        let shared = self.0.diffie_hellman(&PublicKey::from(peer));
        // RFC 7748 §6.1: all zeros come from a peer's value of small order.
        shared.was_contributory().then(|| Secret::copy_of(shared.as_bytes()))
    }
}
