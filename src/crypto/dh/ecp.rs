//! NIST curves (RFC 5903). Public values are x and y one behind the other, without compression or format octet (RFC 5903 §7).

use p256::NistP256;
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytes, FieldBytesSize, PublicKey, SecretKey};
use p384::NistP384;
use p521::NistP521;
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::random::Random;
use crate::crypto::secret::Secret;

/// SEC 1 §2.3.3: the octet before an uncompressed point.
const UNCOMPRESSED: u8 = 4;

pub(super) enum Scalar {
    P256(SecretKey<NistP256>),
    P384(SecretKey<NistP384>),
    P521(SecretKey<NistP521>),
}

impl Scalar {
    pub(super) fn generate_p256(random: &mut dyn Random) -> Self {
        Self::P256(generate(random, 0xff))
    }

    pub(super) fn generate_p384(random: &mut dyn Random) -> Self {
        Self::P384(generate(random, 0xff))
    }

    pub(super) fn generate_p521(random: &mut dyn Random) -> Self {
        Self::P521(generate(random, 0x01))
    }

    pub(super) fn public(&self) -> Vec<u8> {
        match self {
            Self::P256(key) => coordinates(&key.public_key()),
            Self::P384(key) => coordinates(&key.public_key()),
            Self::P521(key) => coordinates(&key.public_key()),
        }
    }

    pub(super) fn agree(&self, peer: &[u8]) -> Option<Secret> {
        match self {
            Self::P256(key) => agree(key, peer),
            Self::P384(key) => agree(key, peer),
            Self::P521(key) => agree(key, peer),
        }
    }
}

/// Draws until the number is from 1 to below the order; `top` keeps the bits of the first octet that the order has.
fn generate<C: CurveArithmetic>(random: &mut dyn Random, top: u8) -> SecretKey<C> {
    let mut octets = FieldBytes::<C>::default();
    loop {
        random.fill(&mut octets);
        if let Some(first) = octets.first_mut() {
            *first &= top;
        }
        if let Ok(key) = SecretKey::from_bytes(&octets) {
            octets.as_mut_slice().zeroize();
            return key;
        }
    }
}

fn coordinates<C>(public: &PublicKey<C>) -> Vec<u8>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    public.to_sec1_point(false).as_bytes().iter().skip(1).copied().collect()
}

fn agree<C>(key: &SecretKey<C>, peer: &[u8]) -> Option<Secret>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let mut point = Vec::with_capacity(peer.len().saturating_add(1));
    point.push(UNCOMPRESSED);
    point.extend_from_slice(peer);
    // RFC 6989 §2.3: both coordinates below the prime, and the point on the curve.
    let peer = PublicKey::<C>::from_sec1_bytes(&point).ok()?;
    let mut shared = Zeroizing::new(Vec::new());
    let agreed = key.diffie_hellman(&peer);
    shared.extend_from_slice(agreed.raw_secret_bytes());
    // RFC 5903 §9: the x coordinate alone.
    Some(Secret::copy_of(&shared))
}
