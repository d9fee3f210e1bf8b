//! MODP groups: generator 2 modulo a safe prime (RFC 2409 §6.2, RFC 3526).

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U384, U1024, U1536, U2048, U3072, U4096, Uint};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::random::Random;
use crate::crypto::secret::Secret;

#[derive(Clone, Copy)]
pub(super) enum Prime {
    Modp1024,
    Modp1536,
    Modp2048,
    Modp3072,
    Modp4096,
}

/// A secret exponent for one prime.
pub(super) struct Exponent {
    prime: Prime,
    value: U384,
}

impl Prime {
    /// At least twice the group's strength (RFC 3526 §8, NIST SP 800-56A §5.6.1.1).
    const fn exponent_bits(self) -> u32 {
        match self {
            Self::Modp1024 | Self::Modp1536 | Self::Modp2048 => 256,
            Self::Modp3072 => 320,
            Self::Modp4096 => 384,
        }
    }
}

impl Exponent {
    pub(super) fn generate(prime: Prime, random: &mut dyn Random) -> Self {
        let mut octets = Zeroizing::new([0; U384::BYTES]);
        random.fill(octets.as_mut_slice());
        let drawn = U384::from_be_slice(octets.as_slice());
        let value = drawn.shr_vartime(U384::BITS.saturating_sub(prime.exponent_bits()));
        // The highest bit is set, so the exponent is never small, whatever was drawn.
        let highest = U384::ONE.shl_vartime(prime.exponent_bits().saturating_sub(1));
        Self { prime, value: value.bitor(&highest) }
    }

    /// 2 to the exponent, as long as the prime.
    pub(super) fn public(&self) -> Vec<u8> {
        match self.prime {
            Prime::Modp1024 => octets(&self.power(MODP_1024, &Uint::from_u8(2))),
            Prime::Modp1536 => octets(&self.power(MODP_1536, &Uint::from_u8(2))),
            Prime::Modp2048 => octets(&self.power(MODP_2048, &Uint::from_u8(2))),
            Prime::Modp3072 => octets(&self.power(MODP_3072, &Uint::from_u8(2))),
            Prime::Modp4096 => octets(&self.power(MODP_4096, &Uint::from_u8(2))),
        }
    }

    /// The peer's value to the exponent, as long as the prime (RFC 7296 §2.14).
    pub(super) fn agree(&self, peer: &[u8]) -> Option<Secret> {
        match self.prime {
            Prime::Modp1024 => self.agree_modulo(MODP_1024, peer),
            Prime::Modp1536 => self.agree_modulo(MODP_1536, peer),
            Prime::Modp2048 => self.agree_modulo(MODP_2048, peer),
            Prime::Modp3072 => self.agree_modulo(MODP_3072, peer),
            Prime::Modp4096 => self.agree_modulo(MODP_4096, peer),
        }
    }

    fn agree_modulo<const LIMBS: usize>(&self, prime: Odd<Uint<LIMBS>>, peer: &[u8]) -> Option<Secret> {
        if peer.len() != Uint::<LIMBS>::BYTES {
            return None;
        }
        let peer = Uint::from_be_slice(peer);
        // RFC 6989 §2.1: 1 < r < p - 1.
        if peer <= Uint::ONE || peer >= prime.wrapping_sub(&Uint::ONE) {
            return None;
        }
        let shared = Zeroizing::new(self.power(prime, &peer));
        Some(Secret::new(octets(&shared)))
    }

    fn power<const LIMBS: usize>(&self, prime: Odd<Uint<LIMBS>>, base: &Uint<LIMBS>) -> Uint<LIMBS> {
        let base = FixedMontyForm::new(base, &FixedMontyParams::new_vartime(prime));
        base.pow_bounded_exp(&self.value, self.prime.exponent_bits()).retrieve()
    }
}

impl Drop for Exponent {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

fn octets<const LIMBS: usize>(number: &Uint<LIMBS>) -> Vec<u8> {
    number.to_be_bytes().as_ref().to_vec()
}

/// RFC 2409 §6.2.
const MODP_1024: Odd<U1024> = Odd::<U1024>::from_be_hex(
    "\
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
    EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF\
",
);

/// RFC 3526 §2.
const MODP_1536: Odd<U1536> = Odd::<U1536>::from_be_hex(
    "\
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
    EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F\
    83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA237327FFFFFFFFFFFFFFFF\
",
);

/// RFC 3526 §3.
const MODP_2048: Odd<U2048> = Odd::<U2048>::from_be_hex(
    "\
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
    EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F\
    83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510\
    15728E5A8AACAA68FFFFFFFFFFFFFFFF\
",
);

/// RFC 3526 §4.
const MODP_3072: Odd<U3072> = Odd::<U3072>::from_be_hex(
    "\
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
    EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F\
    83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510\
    15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
    ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C\
    BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF\
",
);

/// RFC 3526 §5.
const MODP_4096: Odd<U4096> = Odd::<U4096>::from_be_hex(
    "\
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
    EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F\
    83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510\
    15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
    ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C\
    BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A92108011A723C12A787E6D7\
    88719A10BDBA5B2699C327186AF4E23C1A946834B6150BDA2583E9CA2AD44CE8DBBBC2DB04DE8EF92E8EFC141FBECAA6\
    287C59474E6BC05D99B2964FA090C3A2233BA186515BE7ED1F612970CEE2D7AFB81BDD762170481CD0069127D5B05AA9\
    93B4EA988D8FDDC186FFB7DC90A6C08F4DF435C934063199FFFFFFFFFFFFFFFF\
",
);

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use proptest::prelude::*;

    struct Given([u8; 48]);

    impl Random for Given {
        fn fill(&mut self, out: &mut [u8]) {
            out.copy_from_slice(&self.0);
        }
    }

    fn primes() -> [(Prime, BigUint); 5] {
        let number = |octets: &[u8]| BigUint::from_bytes_be(octets);
        [
            (Prime::Modp1024, number(MODP_1024.to_be_bytes().as_ref())),
            (Prime::Modp1536, number(MODP_1536.to_be_bytes().as_ref())),
            (Prime::Modp2048, number(MODP_2048.to_be_bytes().as_ref())),
            (Prime::Modp3072, number(MODP_3072.to_be_bytes().as_ref())),
            (Prime::Modp4096, number(MODP_4096.to_be_bytes().as_ref())),
        ]
    }

    fn number(exponent: &Exponent) -> BigUint {
        BigUint::from_bytes_be(exponent.value.to_be_bytes().as_ref())
    }

    fn padded(len: usize, number: &BigUint) -> Vec<u8> {
        let octets = number.to_bytes_be();
        [vec![0; len - octets.len()], octets].concat()
    }

    #[test]
    fn an_exponent_has_exactly_its_bits_whatever_is_drawn() {
        for (prime, _) in primes() {
            for drawn in [0, 1, 0x7f, 0x80, 0xff] {
                let exponent = Exponent::generate(prime, &mut Given([drawn; 48]));
                assert_eq!(number(&exponent).bits(), u64::from(prime.exponent_bits()));
            }
        }
    }

    /// RFC 7296 §2.14: a secret is as long as the prime, with zeros in front.
    #[test]
    fn a_small_secret_keeps_the_primes_length() {
        let exponent = Exponent::generate(Prime::Modp1024, &mut Given([0x5a; 48]));
        let [(_, p), ..] = primes();
        let small = (2_u16..).find_map(|peer| {
            let peer = BigUint::from(peer);
            let shared = peer.modpow(&number(&exponent), &p);
            (shared.bits() <= 1016).then_some((peer, shared))
        });
        let (peer, shared) = small.unwrap();
        assert_eq!(exponent.agree(&padded(128, &peer)).unwrap().expose(), padded(128, &shared));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn every_prime_agrees_as_num_bigint_does(drawn: [u8; 48], peer in prop::collection::vec(any::<u8>(), 512)) {
            for (prime, p) in primes() {
                let exponent = Exponent::generate(prime, &mut Given(drawn));
                let x = number(&exponent);
                let len = exponent.public().len();
                prop_assert_eq!(BigUint::from_bytes_be(&exponent.public()), BigUint::from(2_u8).modpow(&x, &p));

                let peer = BigUint::from_bytes_be(&peer) % &p;
                prop_assume!(peer > BigUint::from(1_u8) && peer < &p - 1_u8);
                let shared = exponent.agree(&padded(len, &peer)).unwrap();
                prop_assert_eq!(shared.expose(), padded(len, &peer.modpow(&x, &p)));
            }
        }
    }
}
