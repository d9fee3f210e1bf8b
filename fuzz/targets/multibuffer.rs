//! Batches of any lengths, of each suite of CBC with HMAC and of GCM, by each backend beside the plain path; some packets are damaged on the way.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vpnd::crypto::{
    cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Opener, Protection, ProtectionKeys, Sealer, Text},
    multibuffer::Backend,
    random::{Random, SeededRandom},
    secret::Secret,
};
use vpnd_fuzz::Story;

const MOST_PACKETS: usize = 70;

#[derive(Clone, Copy)]
enum Encryption {
    Cbc(Cbc),
    Gcm(AesKey),
}

const ENCRYPTIONS: &[Encryption] = &[
    Encryption::Cbc(Cbc::Aes(AesKey::Aes128)),
    Encryption::Cbc(Cbc::Aes(AesKey::Aes192)),
    Encryption::Cbc(Cbc::Aes(AesKey::Aes256)),
    Encryption::Cbc(Cbc::TripleDes),
    Encryption::Gcm(AesKey::Aes128),
    Encryption::Gcm(AesKey::Aes192),
    Encryption::Gcm(AesKey::Aes256),
];
const ICVS: &[GcmIcv] = &[GcmIcv::Eight, GcmIcv::Twelve, GcmIcv::Sixteen];
const INTEGRITIES: &[Integrity] = &[
    Integrity::HmacSha1_96,
    Integrity::HmacSha256_96,
    Integrity::HmacSha256_128,
    Integrity::HmacSha384_192,
    Integrity::HmacSha512_256,
];

#[derive(Clone, PartialEq)]
struct Packet {
    associated: Vec<u8>,
    iv: Vec<u8>,
    text: Vec<u8>,
    suffix: Vec<u8>,
    icv: Vec<u8>,
}

fuzz_target!(|data: &[u8]| {
    let mut story = Story::new(data);
    let protection = match story.choose(ENCRYPTIONS) {
        Encryption::Cbc(encryption) => Protection::CbcHmac { encryption, integrity: story.choose(INTEGRITIES) },
        Encryption::Gcm(key) => Protection::Aead(Aead::AesGcm(key, story.choose(ICVS))),
    };
    let aead = matches!(protection, Protection::Aead(_));
    let mut random = SeededRandom::new(u64::from(story.number()));
    let mut octets = |len: usize| {
        let mut octets = vec![0; len];
        random.fill(&mut octets);
        octets
    };
    let keys = ProtectionKeys {
        encryption: Secret::new(octets(protection.encryption_key_len())),
        integrity: Secret::new(octets(protection.integrity_key_len())),
    };
    // 3DES is slow enough for a fuzzer to think that it hangs.
    let longest = if matches!(protection, Protection::CbcHmac { encryption: Cbc::TripleDes, .. }) { 256 } else { 9216 };
    let (mut plain, mut damage) = (vec![], vec![]);
    while story.goes_on() && plain.len() < MOST_PACKETS {
        let associated = if story.octet() < 0xf0 { 8 } else { usize::from(story.octet()) };
        let len = usize::from(story.number()) % longest;
        let suffix = [0, 4, 8, 9, 40][usize::from(story.octet()) % 5];
        let suffix = if aead { 0 } else { suffix };
        damage.push(story.octet());
        plain.push(Packet {
            associated: octets(associated),
            iv: octets(protection.iv_len()),
            text: octets(len - len % protection.block_len()),
            suffix: octets(suffix),
            icv: vec![0; protection.icv_len()],
        });
    }

    let mut sealed = plain.clone();
    let single = Sealer::with_backend(protection, &keys, Backend::PORTABLE).expect("keys have their lengths");
    jobs(&mut sealed).into_iter().for_each(|job| single.seal(job).expect("lengths are right"));
    for backend in Backend::available() {
        let mut batch = plain.clone();
        let sealer = Sealer::with_backend(protection, &keys, backend).expect("keys have their lengths");
        sealer.seal_batch(&mut jobs(&mut batch)).expect("lengths are right");
        assert!(batch == sealed, "{backend:?} seals {protection:?} differently");

        batch.iter_mut().zip(&damage).for_each(|(packet, damage)| packet.damage(*damage));
        let arrived = batch.clone();
        let opener = Opener::with_backend(protection, &keys, backend).expect("keys have their lengths");
        let mut verdicts = vec![];
        opener.open_batch(&mut jobs(&mut batch), &mut verdicts);
        assert_eq!(verdicts.len(), batch.len());
        for (n, verdict) in verdicts.iter().enumerate() {
            let genuine = arrived[n] == sealed[n];
            assert!(verdict.is_ok() == genuine, "{backend:?} judges packet {n} of {protection:?} wrongly");
            let expected = if genuine { &plain[n].text } else { &arrived[n].text };
            // An AEAD may check and decrypt in one pass; it then wipes what it has decrypted.
            let wiped = aead && !genuine && batch[n].text.iter().all(|octet| *octet == 0);
            assert!(
                wiped || batch[n].text == *expected,
                "{backend:?} leaves something else in packet {n} of {protection:?}"
            );
        }
    }
});

fn jobs(packets: &mut [Packet]) -> Vec<Text<'_>> {
    fn job(Packet { associated, iv, text, suffix, icv }: &mut Packet) -> Text<'_> {
        Text { associated, iv, text, suffix, icv }
    }
    packets.iter_mut().map(job).collect()
}

impl Packet {
    fn damage(&mut self, how: u8) {
        let part = match how {
            0..0xd0 => return,
            0xd0..0xd8 => &mut self.associated,
            0xd8..0xe0 => &mut self.iv,
            0xe0..0xe8 => &mut self.text,
            0xe8..0xf0 => &mut self.suffix,
            _ => &mut self.icv,
        };
        let at = usize::from(how) * 37 % part.len().max(1);
        part.get_mut(at).into_iter().for_each(|octet| *octet ^= 1 << (how % 8));
    }
}
