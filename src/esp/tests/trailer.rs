use aes::Aes256;
use cbc::{
    Encryptor,
    cipher::{BlockModeEncrypt, KeyIvInit, block_padding::NoPadding},
};
use hmac::{Hmac, KeyInit, Mac};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use sha2::Sha256;

use super::*;
use crate::{
    crypto::cipher::{Sealer, Text},
    esp::counters::DropReason,
};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// An authentic packet with this text, trailer included, whatever is in it.
fn authentic(protection: Protection, sequence: u8, text: &[u8]) -> Vec<u8> {
    let header = [0, 0, 0x10, 0, 0, 0, 0, sequence];
    let iv = vec![sequence; protection.iv_len()];
    let mut text = text.to_vec();
    let mut icv = vec![0; protection.icv_len()];
    let sealer = Sealer::new(protection, &keys(protection, 1)).unwrap();
    sealer.seal(Text { associated: &header, iv: &iv, text: &mut text, suffix: &[], icv: &mut icv }).unwrap();
    [&header[..], &iv, &text, &icv].concat()
}

/// The RFC's packet, with its outer IP header and what is in it (RFC 7634 appendix A).
#[test]
fn e_01_the_packet_of_rfc_7634_is_opened() {
    let packet =
        hex("4500008c234500004032de5bcb007199cb0071050102030400000005101112131415161724039428b97f417e3c13753a\
         4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2fac\
         c638e8f3cbec163fac469b502773f6fb94e664da9165b82829f641e076aaa8266b7fb0f7b11b369907e1ad43");
    let inner = hex("45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f10111213\
         1415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637");
    let suite = EspSuite { protection: Protection::Aead(Aead::ChaCha20Poly1305), esn: false };
    let mut pair = Pair::empty();
    let keys = ProtectionKeys {
        encryption: Secret::new(hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3")),
        integrity: Secret::new(vec![]),
    };
    let sa = InboundParameters {
        keys,
        sources: vec![subnet("198.51.100.5/32")],
        destinations: vec![subnet("192.0.2.5/32")],
        ..inbound_sa(suite, 0x0102_0304, 1)
    };
    pair.install(NOW, CHILD, sa);
    assert_eq!(pair.receive(NOW, &[packet[20..].to_vec()]), [inner]);
    assert_eq!(pair.inbound.counters().odd_padding, 0);
}

/// The same packet put together from the primitives, by the words of RFC 4303 §2.
#[test]
fn e_05_cbc_with_hmac_is_what_the_primitives_give_with_and_without_esn() {
    for esn in [false, true] {
        let mut pair = Pair::with(EspSuite { protection: CBC, esn });
        let sealed = pair.send(NOW, &[udp(5)]).remove(0);
        let keys = keys(CBC, 1);
        let mut text = udp(5);
        text.extend([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 13, 4]);
        assert_eq!(text.len(), 48);
        let encryptor = Encryptor::<Aes256>::new_from_slices(keys.encryption.expose(), &sealed[8..24]).unwrap();
        let len = text.len();
        encryptor.encrypt_padded::<NoPadding>(&mut text, len).unwrap();
        let mut expected = [&sealed[..24], &text].concat();
        assert_eq!(expected[..8], [0, 0, 0x10, 0, 0, 0, 0, 1]);
        let mut mac = Hmac::<Sha256>::new_from_slice(keys.integrity.expose()).unwrap();
        mac.update(&expected);
        if esn {
            mac.update(&[0, 0, 0, 0]);
        }
        expected.extend(&mac.finalize().into_bytes()[..16]);
        assert_eq!(sealed, expected);
    }
}

#[test]
fn e_05_an_aead_is_what_the_primitive_gives_with_and_without_esn() {
    let protection = Protection::Aead(Aead::ChaCha20Poly1305);
    for esn in [false, true] {
        let mut pair = Pair::with(EspSuite { protection, esn });
        let sealed = pair.send(NOW, &[udp(5)]).remove(0);
        let keys = keys(protection, 1);
        let (key, salt) = keys.encryption.expose().split_at(32);
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(salt);
        nonce[11] = 1;
        let associated: &[u8] =
            if esn { &[0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 1] } else { &[0, 0, 0x10, 0, 0, 0, 0, 1] };
        let mut text = udp(5);
        text.extend([1, 1, 4]);
        let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).unwrap());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), &mut text).unwrap();
        assert_eq!(sealed, [&[0, 0, 0x10, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1][..], &text].concat());
    }
}

#[test]
fn e_06_a_pad_length_beyond_the_text_looks_like_a_wrong_icv() {
    for protection in [GCM, CBC] {
        let mut pair = Pair::with(EspSuite { protection, esn: false });
        for (sequence, pad_len) in [(1, 31), (2, 32), (3, 255)] {
            let mut text = vec![0; 32];
            text[30] = pad_len;
            text[31] = 59;
            assert!(pair.receive(NOW, &[authentic(protection, sequence, &text)]).is_empty());
            assert_eq!(pair.receiving.dropped().collect::<Vec<_>>(), [DropReason::NotAuthentic], "{pad_len}");
        }
        assert_eq!(pair.inbound.poll_report(), None);
        assert_eq!(pair.inbound.counters().dummies, 0);
        let mut text = vec![0; 32];
        text[30..].copy_from_slice(&[30, 59]);
        pair.receive(NOW, &[authentic(protection, 4, &text)]);
        assert_eq!(pair.inbound.counters().dummies, 1, "nothing but padding is a dummy of no octets");
    }
}

#[test]
fn e_07_other_padding_is_accepted_and_counted() {
    let mut pair = Pair::with(EspSuite { protection: CBC, esn: false });
    let packet = udp(20);
    assert_eq!(packet.len(), 48);
    for (sequence, padding, odd) in [
        (1, (1..=14).collect::<Vec<u8>>(), 0),
        (2, vec![0; 14], 1),
        (3, vec![14; 14], 1),
        (4, (1..=254).collect(), 0),
        (5, vec![0xff; 254], 1),
    ] {
        let before = pair.inbound.counters().odd_padding;
        let pad_len = u8::try_from(padding.len()).unwrap();
        let text = [&packet[..], &padding, &[pad_len, 4]].concat();
        assert_eq!(pair.receive(NOW, &[authentic(CBC, sequence, &text)]), std::slice::from_ref(&packet));
        assert_eq!(pair.inbound.counters().odd_padding - before, odd, "{sequence}");
    }
}
