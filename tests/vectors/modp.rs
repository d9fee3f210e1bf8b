//! RFC 2409 §6.2 and RFC 3526: the primes, computed here from π as the RFCs define them, with num-bigint as the other side of the exchange.

use num_bigint::BigUint;
use vpnd::crypto::dh::{EphemeralSecret, Group};

use crate::Given;

/// Bits, and the number added to the digits of π.
const GROUPS: [(Group, u32, u32); 5] = [
    (Group::Modp1024, 1024, 129_093),
    (Group::Modp1536, 1536, 741_804),
    (Group::Modp2048, 2048, 124_476),
    (Group::Modp3072, 3072, 1_690_314),
    (Group::Modp4096, 4096, 240_904),
];

/// p = 2^n - 2^(n - 64) - 1 + 2^64 * ([2^(n - 130) π] + number).
fn prime(bits: u32, number: u32) -> BigUint {
    let two = |exponent: u32| BigUint::from(1u8) << exponent;
    two(bits) - two(bits - 64) - 1u8 + two(64) * (pi(bits - 130) + number)
}

/// [2^bits π] by Machin: π/4 = 4 arctan(1/5) - arctan(1/239).
fn pi(bits: u32) -> BigUint {
    let guard = 64;
    let arctan = |inverse: u32| {
        let mut power = (BigUint::from(1u8) << (bits + guard)) / inverse;
        let (mut added, mut taken) = (BigUint::ZERO, BigUint::ZERO);
        for n in 0u32.. {
            let term = &power / (2 * n + 1);
            if power == BigUint::ZERO {
                break;
            }
            *(if n % 2 == 0 { &mut added } else { &mut taken }) += term;
            power /= inverse * inverse;
        }
        added - taken
    };
    (4u8 * (4u8 * arctan(5) - arctan(239))) >> guard
}

fn octets(group: Group, number: &BigUint) -> Vec<u8> {
    let octets = number.to_bytes_be();
    [vec![0; group.public_len() - octets.len()], octets].concat()
}

fn ours(group: Group) -> EphemeralSecret {
    EphemeralSecret::generate(group, &mut Given(&[0xa5; 48]))
}

#[test]
fn the_digits_of_pi_are_known() {
    // 3.243f6a8885a308d313198a2e03707344 in base 16.
    assert_eq!(pi(128).to_str_radix(16), "3243f6a8885a308d313198a2e03707344");
}

#[test]
fn the_other_side_computes_the_same_with_the_primes_of_the_rfcs() {
    for (group, bits, number) in GROUPS {
        let prime = prime(bits, number);
        for theirs in [BigUint::from(3u8), BigUint::from_bytes_be(&[0x6b; 40]), (&prime >> 1u8) - 5u8] {
            let their_public = octets(group, &BigUint::from(2u8).modpow(&theirs, &prime));
            let our_public = BigUint::from_bytes_be(ours(group).public());
            let shared = octets(group, &our_public.modpow(&theirs, &prime));
            assert_eq!(ours(group).agree(&their_public).unwrap().expose(), shared);
        }
    }
}

#[test]
fn c_01_a_value_is_valid_above_one_and_below_the_prime_less_one() {
    for (group, bits, number) in GROUPS {
        let prime = prime(bits, number);
        let all_ones = (BigUint::from(1u8) << bits) - 1u8;
        for invalid in [BigUint::ZERO, BigUint::from(1u8), &prime - 1u8, prime.clone(), &prime + 1u8, all_ones] {
            assert!(ours(group).agree(&octets(group, &invalid)).is_err(), "{group:?} {invalid:x}");
        }
        for valid in [BigUint::from(2u8), &prime - 2u8] {
            assert!(ours(group).agree(&octets(group, &valid)).is_ok(), "{group:?} {valid:x}");
        }
    }
}
