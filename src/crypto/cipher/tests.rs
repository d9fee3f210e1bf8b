use super::*;
use crate::crypto::random::{Random, SeededRandom};

pub(super) fn every_protection() -> Vec<Protection> {
    let keys = [AesKey::Aes128, AesKey::Aes192, AesKey::Aes256];
    let icvs = [GcmIcv::Eight, GcmIcv::Twelve, GcmIcv::Sixteen];
    let integrities = [
        Integrity::HmacSha1_96,
        Integrity::HmacSha256_96,
        Integrity::HmacSha256_128,
        Integrity::HmacSha384_192,
        Integrity::HmacSha512_256,
    ];
    let mut all = vec![Protection::Aead(Aead::ChaCha20Poly1305)];
    for key in keys {
        all.extend(icvs.map(|icv| Protection::Aead(Aead::AesGcm(key, icv))));
    }
    for integrity in integrities {
        all.push(Protection::CbcHmac { encryption: Cbc::TripleDes, integrity });
        all.extend(keys.map(|key| Protection::CbcHmac { encryption: Cbc::Aes(key), integrity }));
    }
    all
}

fn octets(random: &mut SeededRandom, len: usize) -> Vec<u8> {
    let mut octets = vec![0; len];
    random.fill(&mut octets);
    octets
}

fn keys(protection: Protection, random: &mut SeededRandom) -> ProtectionKeys {
    ProtectionKeys {
        encryption: Secret::new(octets(random, protection.encryption_key_len())),
        integrity: Secret::new(octets(random, protection.integrity_key_len())),
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Packet {
    associated: Vec<u8>,
    iv: Vec<u8>,
    text: Vec<u8>,
    suffix: Vec<u8>,
    icv: Vec<u8>,
}

impl Packet {
    fn new(protection: Protection, blocks: usize, random: &mut SeededRandom) -> Self {
        let suffix = if matches!(protection, Protection::Aead(_)) { 0 } else { 4 };
        Self {
            associated: octets(random, 8),
            iv: octets(random, protection.iv_len()),
            text: octets(random, blocks * protection.block_len()),
            suffix: octets(random, suffix),
            icv: vec![0; protection.icv_len()],
        }
    }

    fn job(&mut self) -> Text<'_> {
        Text {
            associated: &self.associated,
            iv: &self.iv,
            text: &mut self.text,
            suffix: &self.suffix,
            icv: &mut self.icv,
        }
    }
}

#[test]
fn what_was_sealed_opens_to_the_same_text_at_every_length() {
    let mut random = SeededRandom::new(1);
    for protection in every_protection() {
        let keys = keys(protection, &mut random);
        let (sealer, opener) = (Sealer::new(protection, &keys).unwrap(), Opener::new(protection, &keys).unwrap());
        for blocks in (0..40).chain([96, 128, 1400 / protection.block_len(), 65536 / protection.block_len()]) {
            let plain = Packet::new(protection, blocks, &mut random);
            let mut packet = plain.clone();
            sealer.seal(packet.job()).unwrap();
            if blocks * protection.block_len() > 8 {
                assert_ne!(packet.text, plain.text);
            }
            opener.open(packet.job()).unwrap();
            assert_eq!(packet.text, plain.text, "{protection:?} {blocks}");
        }
    }
}

/// C-12: with CBC and HMAC the text is as it came; an AEAD may do both in one pass, and then leaves zeros.
#[test]
fn c_12_any_flipped_bit_is_forged_and_nothing_decrypted_is_left() {
    let mut random = SeededRandom::new(2);
    for protection in every_protection() {
        let keys = keys(protection, &mut random);
        let (sealer, opener) = (Sealer::new(protection, &keys).unwrap(), Opener::new(protection, &keys).unwrap());
        let blocks = 48 / protection.block_len();
        let mut sealed = Packet::new(protection, blocks, &mut random);
        sealer.seal(sealed.job()).unwrap();
        let fields: [fn(&mut Packet) -> &mut Vec<u8>; 5] =
            [|p| &mut p.associated, |p| &mut p.iv, |p| &mut p.text, |p| &mut p.suffix, |p| &mut p.icv];
        for field in fields {
            for bit in 0..field(&mut sealed).len() * 8 {
                let mut changed = sealed.clone();
                field(&mut changed)[bit / 8] ^= 1 << (bit % 8);
                let arrived = changed.text.clone();
                assert_eq!(opener.open(changed.job()).unwrap_err(), Forged, "{protection:?}");
                let zeros = vec![0; arrived.len()];
                let wiped = matches!(protection, Protection::Aead(_)) && changed.text == zeros;
                let left = if wiped { zeros } else { arrived };
                assert_eq!(changed.text, left, "{protection:?}");
            }
        }
        opener.open(sealed.job()).unwrap();
    }
}

#[test]
fn a_batch_is_a_loop_of_singles() {
    let mut random = SeededRandom::new(3);
    for protection in every_protection() {
        let keys = keys(protection, &mut random);
        let (sealer, opener) = (Sealer::new(protection, &keys).unwrap(), Opener::new(protection, &keys).unwrap());
        let plain: Vec<Packet> = (0..33).map(|n| Packet::new(protection, [3, 7, n][n % 3], &mut random)).collect();
        let (mut batch, mut singles) = (plain.clone(), plain.clone());
        sealer.seal_batch(&mut batch.iter_mut().map(Packet::job).collect::<Vec<_>>()).unwrap();
        singles.iter_mut().for_each(|packet| sealer.seal(packet.job()).unwrap());
        assert_eq!(batch, singles);

        batch[5].icv[0] ^= 1;
        batch[8].iv.pop();
        let mut verdicts = vec![];
        opener.open_batch(&mut batch.iter_mut().map(Packet::job).collect::<Vec<_>>(), &mut verdicts);
        assert_eq!(verdicts.len(), batch.len());
        for (n, verdict) in verdicts.iter().enumerate() {
            assert_eq!(verdict.is_ok(), n != 5 && n != 8);
            assert_eq!(batch[n].text == plain[n].text, verdict.is_ok());
        }
    }
}

#[test]
fn a_wrong_length_seals_nothing_in_the_batch_and_opens_as_forged() {
    let mut random = SeededRandom::new(4);
    for protection in every_protection() {
        let keys = keys(protection, &mut random);
        let (sealer, opener) = (Sealer::new(protection, &keys).unwrap(), Opener::new(protection, &keys).unwrap());
        let plain = Packet::new(protection, 4, &mut random);
        let mut changes: Vec<fn(&mut Packet)> = vec![
            |p| p.iv.push(0),
            |p| p.iv.truncate(p.iv.len() - 1),
            |p| p.icv.push(0),
            |p| p.icv.truncate(p.icv.len() - 1),
            |p| p.icv.clear(),
        ];
        match protection {
            Protection::Aead(_) => changes.push(|p| p.suffix.push(0)),
            Protection::CbcHmac { .. } => changes.push(|p| p.text.truncate(p.text.len() - 1)),
        }
        for change in changes {
            let mut wrong = plain.clone();
            change(&mut wrong);
            assert_eq!(sealer.seal(wrong.clone().job()), Err(BadLength));
            assert_eq!(opener.open(wrong.clone().job()).unwrap_err(), Forged);
            let mut batch = [plain.clone(), wrong.clone()];
            assert_eq!(sealer.seal_batch(&mut batch.iter_mut().map(Packet::job).collect::<Vec<_>>()), Err(BadLength));
            assert_eq!(batch, [plain.clone(), wrong]);
        }
    }
}

#[test]
fn keys_of_another_length_are_refused() {
    let mut random = SeededRandom::new(5);
    for protection in every_protection() {
        let (encryption, integrity) = (protection.encryption_key_len(), protection.integrity_key_len());
        for (encryption, integrity) in
            [(encryption - 1, integrity), (encryption + 1, integrity), (encryption, integrity + 1), (0, integrity)]
        {
            let keys = ProtectionKeys {
                encryption: Secret::new(octets(&mut random, encryption)),
                integrity: Secret::new(octets(&mut random, integrity)),
            };
            assert_eq!(Sealer::new(protection, &keys).unwrap_err(), BadKey);
            assert_eq!(Opener::new(protection, &keys).unwrap_err(), BadKey);
        }
    }
}

#[test]
fn c_10_an_icv_is_the_macs_start_at_exactly_its_length() {
    let lengths = [12, 12, 16, 24, 32];
    let all = [
        Integrity::HmacSha1_96,
        Integrity::HmacSha256_96,
        Integrity::HmacSha256_128,
        Integrity::HmacSha384_192,
        Integrity::HmacSha512_256,
    ];
    assert_eq!(all.map(Integrity::icv_len), lengths);
}

#[test]
fn what_is_printed_of_keys_is_what_they_are_for() {
    let protection = Protection::Aead(Aead::ChaCha20Poly1305);
    let keys = keys(protection, &mut SeededRandom::new(6));
    let sealer = Sealer::new(protection, &keys).unwrap();
    assert_eq!(format!("{sealer:?}"), "Sealer { protection: Aead(ChaCha20Poly1305), .. }");
    assert_eq!(format!("{keys:?}"), "ProtectionKeys { encryption: Secret(36 octets), integrity: Secret(0 octets) }");
}

#[test]
fn triple_des_and_sha_1_are_weak() {
    let weak = |encryption, integrity| Protection::CbcHmac { encryption, integrity }.is_weak();
    assert!(weak(Cbc::TripleDes, Integrity::HmacSha256_128));
    assert!(weak(Cbc::Aes(AesKey::Aes256), Integrity::HmacSha1_96));
    assert!(weak(Cbc::Aes(AesKey::Aes256), Integrity::HmacSha256_96));
    assert!(!weak(Cbc::Aes(AesKey::Aes128), Integrity::HmacSha256_128));
    assert!(!Protection::Aead(Aead::AesGcm(AesKey::Aes128, GcmIcv::Eight)).is_weak());
}
