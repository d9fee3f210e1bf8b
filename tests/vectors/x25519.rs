//! RFC 7748 §5.2 and §6.1.

use vpnd::crypto::dh::Group;

use crate::{agrees_as_given, hex};

fn x25519(scalar: &[u8], u: &[u8]) -> Vec<u8> {
    agrees_as_given(Group::Curve25519, scalar, u).1.unwrap()
}

#[test]
fn the_products_of_rfc_7748() {
    let products = [
        [
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ],
        [
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ],
    ];
    for [scalar, u, product] in products {
        assert_eq!(x25519(&hex(scalar), &hex(u)), hex(product));
    }
}

#[test]
fn a_thousand_products_one_after_another() {
    let nine = hex("0900000000000000000000000000000000000000000000000000000000000000");
    let (mut k, mut u) = (nine.clone(), nine);
    for n in 1..=1000 {
        (k, u) = (x25519(&k, &u), k);
        if n == 1 {
            assert_eq!(k, hex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
        }
    }
    assert_eq!(k, hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

#[test]
fn the_key_exchange_of_rfc_7748() {
    let a = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let b = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    let ka = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    let kb = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    let k = hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    assert_eq!(agrees_as_given(Group::Curve25519, &a, &kb), (ka.clone(), Ok(k.clone())));
    assert_eq!(agrees_as_given(Group::Curve25519, &b, &ka), (kb, Ok(k)));
}

#[test]
fn c_04_values_of_small_order_are_invalid_in_every_writing() {
    // RFC 7748 §6.1 and the table of Langley, Hamburg and Turner it rests on: 0, 1, two of order 8, p - 1, p, p + 1.
    let small = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for u in small {
        let mut u = hex(u);
        assert!(agrees_as_given(Group::Curve25519, &[0x77; 32], &u).1.is_err());
        u[31] |= 0x80;
        assert!(agrees_as_given(Group::Curve25519, &[0x77; 32], &u).1.is_err());
    }
}

#[test]
fn c_04_a_value_not_below_the_prime_is_taken_modulo_it() {
    // 9 and p + 9, and 9 with the bit that RFC 7748 §5 says to ignore.
    let nine = hex("0900000000000000000000000000000000000000000000000000000000000000");
    let more = hex("f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    let bit = hex("0900000000000000000000000000000000000000000000000000000000000080");
    let scalar = [0x55; 32];
    assert_eq!(x25519(&scalar, &more), x25519(&scalar, &nine));
    assert_eq!(x25519(&scalar, &bit), x25519(&scalar, &nine));
}
