//! RFC 7634 appendices A (an ESP packet) and B (an IKEv2 message).

use vpnd::crypto::cipher::{Aead, Opener, Protection, ProtectionKeys, Sealer, Text};
use vpnd::crypto::secret::Secret;

use crate::hex;

const PROTECTION: Protection = Protection::Aead(Aead::ChaCha20Poly1305);

/// Key and salt of both examples.
const KEYMAT: &str = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3";
/// With its outer IP header.
const ESP_PACKET: &str = "\
     4500008c234500004032de5bcb007199cb0071050102030400000005101112131415161724039428b97f417e3c13753a\
     4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2fac\
     c638e8f3cbec163fac469b502773f6fb94e664da9165b82829f641e076aaa8266b7fb0f7b11b369907e1ad43";
const ESP_PLAIN: &str = "\
     45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f10111213\
     1415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363701020204";
const IKE_MESSAGE: &str = "\
     c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e2025000000000900000045290000291011121314151617610394701f8d017f\
     7c129248896b71bfe25236efd7cdc67066906315b2";
const IKE_PLAIN: &str = "0000000c000040010000000a00";

/// Seals `plain` and compares with `sealed`: what is authenticated, IV, text and ICV one behind the other; then opens it.
fn check(sealed: &[u8], associated_len: usize, plain: &[u8]) {
    let keys = ProtectionKeys { encryption: Secret::new(hex(KEYMAT)), integrity: Secret::new(vec![]) };
    let (associated, rest) = sealed.split_at(associated_len);
    let (iv, rest) = rest.split_at(PROTECTION.iv_len());
    let (cipher, icv) = rest.split_at(rest.len() - PROTECTION.icv_len());
    let (mut text, mut made) = (plain.to_vec(), vec![0; icv.len()]);
    let sealer = Sealer::new(PROTECTION, &keys).unwrap();
    sealer.seal(Text { associated, iv, text: &mut text, suffix: &[], icv: &mut made }).unwrap();
    assert_eq!((&*text, &*made), (cipher, icv));
    let opener = Opener::new(PROTECTION, &keys).unwrap();
    opener.open(Text { associated, iv, text: &mut text, suffix: &[], icv: &mut made }).unwrap();
    assert_eq!(text, plain);
}

#[test]
fn the_esp_packet_of_rfc_7634() {
    check(&hex(ESP_PACKET)[20..], 8, &hex(ESP_PLAIN));
}

#[test]
fn the_ike_message_of_rfc_7634() {
    check(&hex(IKE_MESSAGE), 32, &hex(IKE_PLAIN));
}
