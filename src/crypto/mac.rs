//! HMAC (RFC 2104) with its key's inner and outer state computed once. It knows no ICV length and no key schedule.

use std::fmt;

use hmac::digest::array::Array;
use hmac::digest::{FixedOutput, Key, KeyInit, Output, Update};
use hmac::{EagerHash, Hmac};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

use crate::crypto::secret::Secret;

/// An HMAC that has its key.
pub(in crate::crypto) enum Mac {
    Sha1(Box<Hmac<Sha1>>),
    Sha256(Box<Hmac<Sha256>>),
    Sha384(Box<Hmac<Sha384>>),
    Sha512(Box<Hmac<Sha512>>),
}

impl Mac {
    pub(in crate::crypto) fn sha1(key: &[u8]) -> Self {
        Self::Sha1(Box::new(keyed(key)))
    }

    pub(in crate::crypto) fn sha256(key: &[u8]) -> Self {
        Self::Sha256(Box::new(keyed(key)))
    }

    pub(in crate::crypto) fn sha384(key: &[u8]) -> Self {
        Self::Sha384(Box::new(keyed(key)))
    }

    pub(in crate::crypto) fn sha512(key: &[u8]) -> Self {
        Self::Sha512(Box::new(keyed(key)))
    }

    /// The whole output over the parts one behind the other.
    pub(in crate::crypto) fn over(&self, parts: &[&[u8]]) -> Secret {
        match self {
            Self::Sha1(mac) => Secret::copy_of(&output(mac, parts)),
            Self::Sha256(mac) => Secret::copy_of(&output(mac, parts)),
            Self::Sha384(mac) => Secret::copy_of(&output(mac, parts)),
            Self::Sha512(mac) => Secret::copy_of(&output(mac, parts)),
        }
    }

    /// Fills `icv` with the output's first octets (RFC 2104 §5); at most the output's length.
    pub(in crate::crypto) fn sign(&self, parts: &[&[u8]], icv: &mut [u8]) {
        match self {
            Self::Sha1(mac) => fill(icv, &output(mac, parts)),
            Self::Sha256(mac) => fill(icv, &output(mac, parts)),
            Self::Sha384(mac) => fill(icv, &output(mac, parts)),
            Self::Sha512(mac) => fill(icv, &output(mac, parts)),
        }
    }

    /// Whether `icv` is the output's first octets, in a time that does not depend on where they differ.
    pub(in crate::crypto) fn verify(&self, parts: &[&[u8]], icv: &[u8]) -> Choice {
        match self {
            Self::Sha1(mac) => starts_with(&output(mac, parts), icv),
            Self::Sha256(mac) => starts_with(&output(mac, parts), icv),
            Self::Sha384(mac) => starts_with(&output(mac, parts), icv),
            Self::Sha512(mac) => starts_with(&output(mac, parts), icv),
        }
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(..)")
    }
}

fn keyed<D: EagerHash>(key: &[u8]) -> Hmac<D>
where
    Hmac<D>: KeyInit,
{
    let mut block: Key<Hmac<D>> = Array::default();
    if key.len() > block.len() {
        // RFC 2104 §3: a key longer than the block is hashed first.
        fill(&mut block, &D::digest(key));
    } else {
        fill(&mut block, key);
    }
    let mac = Hmac::new(&block);
    block.as_mut_slice().zeroize();
    mac
}

fn output<D: EagerHash>(mac: &Hmac<D>, parts: &[&[u8]]) -> Output<Hmac<D>>
where
    Hmac<D>: Clone + Update + FixedOutput,
{
    let mut mac = mac.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize_fixed()
}

fn fill(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

fn starts_with(output: &[u8], icv: &[u8]) -> Choice {
    output.get(..icv.len()).map_or(Choice::from(0), |start| start.ct_eq(icv))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash::Hash;

    /// RFC 2104 §2, as it is written there.
    fn by_definition(hash: Hash, block: usize, key: &[u8], text: &[u8]) -> Vec<u8> {
        let mut key = if key.len() > block { hash.digest(&[key]) } else { key.to_vec() };
        key.resize(block, 0);
        let padded = |with: u8| key.iter().map(|octet| octet ^ with).collect::<Vec<u8>>();
        hash.digest(&[&padded(0x5c), &hash.digest(&[&padded(0x36), text])])
    }

    #[test]
    fn keys_of_every_length_around_the_block_are_used_as_defined() {
        for len in (0..=66).chain(126..=130) {
            let key = vec![0xa5; len];
            for (mac, hash, block) in [
                (Mac::sha1(&key), Hash::Sha1, 64),
                (Mac::sha256(&key), Hash::Sha256, 64),
                (Mac::sha384(&key), Hash::Sha384, 128),
                (Mac::sha512(&key), Hash::Sha512, 128),
            ] {
                let expected = by_definition(hash, block, &key, b"what is to be authenticated");
                assert_eq!(mac.over(&[b"what is to be ", b"authenticated"]).expose(), expected, "{hash:?}, {len}");
            }
        }
    }
}
