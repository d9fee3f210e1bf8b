//! Known answers from RFCs and other published collections, through the public interface of `vpnd::crypto`.

mod cbc;
mod chacha20;
mod ecp;
mod gcm;
mod hmac;
mod modp;
mod wycheproof;
mod x25519;

use vpnd::crypto::dh::{EphemeralSecret, Group, InvalidPublic};
use vpnd::crypto::multibuffer::Backend;
use vpnd::crypto::random::Random;

fn hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2));
    (0..digits.len()).step_by(2).map(|n| u8::from_str_radix(&digits[n..n + 2], 16).unwrap()).collect()
}

/// Every backend, with numbers of packets that fill no lanes, some, and all of them with one left.
fn every_way() -> impl Iterator<Item = (Backend, usize)> {
    Backend::available().flat_map(|backend| [1, 2, 7, 17].map(|count| (backend, count)))
}

/// Draws exactly the given octets.
struct Given<'a>(&'a [u8]);

impl Random for Given<'_> {
    fn fill(&mut self, out: &mut [u8]) {
        out.copy_from_slice(self.0);
    }
}

/// The public value that belongs to a given secret, and what it agrees on with a peer.
fn agrees_as_given(group: Group, secret: &[u8], peer: &[u8]) -> (Vec<u8>, Result<Vec<u8>, InvalidPublic>) {
    let secret = EphemeralSecret::generate(group, &mut Given(secret));
    let public = secret.public().to_vec();
    (public, secret.agree(peer).map(|shared| shared.expose().to_vec()))
}
