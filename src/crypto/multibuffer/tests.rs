//! Every backend beside the plain path: the same octets, the same verdicts.

use proptest::prelude::*;

use super::*;
use crate::crypto::cipher::{Aead, AesKey, Cbc, GcmIcv, Integrity, Opener, Protection, ProtectionKeys, Sealer, Text};
use crate::crypto::random::{Random, SeededRandom};
use crate::crypto::secret::Secret;

const KEYS: [AesKey; 3] = [AesKey::Aes128, AesKey::Aes192, AesKey::Aes256];
const INTEGRITIES: [Integrity; 5] = [
    Integrity::HmacSha1_96,
    Integrity::HmacSha256_96,
    Integrity::HmacSha256_128,
    Integrity::HmacSha384_192,
    Integrity::HmacSha512_256,
];

fn suites() -> impl Iterator<Item = Protection> {
    INTEGRITIES.into_iter().flat_map(|integrity| {
        let with = move |encryption| Protection::CbcHmac { encryption, integrity };
        KEYS.map(|key| with(Cbc::Aes(key))).into_iter().chain([with(Cbc::TripleDes)])
    })
}

fn gcm_suites() -> impl Iterator<Item = Protection> {
    let icvs = [GcmIcv::Eight, GcmIcv::Twelve, GcmIcv::Sixteen];
    KEYS.into_iter().flat_map(move |key| icvs.map(|icv| Protection::Aead(Aead::AesGcm(key, icv))))
}

/// One of each hash.
fn hashes() -> impl Iterator<Item = Protection> {
    let hashes = INTEGRITIES.into_iter().filter(|integrity| *integrity != Integrity::HmacSha256_96);
    hashes.map(|integrity| Protection::CbcHmac { encryption: Cbc::Aes(AesKey::Aes256), integrity })
}

/// Those that are not the plain path itself.
fn backends() -> impl Iterator<Item = Backend> {
    Backend::available().filter(|backend| *backend != Backend::PORTABLE)
}

fn octets(random: &mut SeededRandom, len: usize) -> Vec<u8> {
    let mut octets = vec![0; len];
    random.fill(&mut octets);
    octets
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
    /// `len` is cut to whole blocks.
    fn new(protection: Protection, associated: usize, len: usize, suffix: usize, random: &mut SeededRandom) -> Self {
        Self {
            associated: octets(random, associated),
            iv: octets(random, protection.iv_len()),
            text: octets(random, len - len % protection.block_len()),
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

fn jobs(packets: &mut [Packet]) -> Vec<Text<'_>> {
    packets.iter_mut().map(Packet::job).collect()
}

struct Pair {
    sealer: Sealer,
    opener: Opener,
}

impl Pair {
    fn new(protection: Protection, backend: Backend) -> Self {
        let mut random = SeededRandom::new(77);
        let keys = ProtectionKeys {
            encryption: Secret::new(octets(&mut random, protection.encryption_key_len())),
            integrity: Secret::new(octets(&mut random, protection.integrity_key_len())),
        };
        Self {
            sealer: Sealer::with_backend(protection, &keys, backend).unwrap(),
            opener: Opener::with_backend(protection, &keys, backend).unwrap(),
        }
    }

    fn open(&self, packets: &mut [Packet]) -> Vec<bool> {
        let mut verdicts = vec![];
        self.opener.open_batch(&mut jobs(packets), &mut verdicts);
        verdicts.iter().map(Result::is_ok).collect()
    }
}

/// Seals by the backend and singly by the plain path, compares, opens by the backend.
fn hold_against_the_plain_path(protection: Protection, backend: Backend, plain: &[Packet]) {
    let (lanes, single) = (Pair::new(protection, backend), Pair::new(protection, Backend::PORTABLE));
    let (mut batch, mut expected) = (plain.to_vec(), plain.to_vec());
    expected.iter_mut().for_each(|packet| single.sealer.seal(packet.job()).unwrap());
    lanes.sealer.seal_batch(&mut jobs(&mut batch)).unwrap();
    assert!(batch == expected, "{backend:?} {protection:?} seals {} packets differently", plain.len());
    assert_eq!(lanes.open(&mut batch), vec![true; plain.len()], "{backend:?} {protection:?}");
    for (opened, plain) in batch.iter().zip(plain) {
        assert!(opened.text == plain.text, "{backend:?} {protection:?} opens to something else");
    }
}

#[test]
fn every_number_of_packets_of_one_length_is_as_the_plain_path_has_it() {
    let mut random = SeededRandom::new(1);
    for protection in hashes() {
        for backend in backends() {
            for count in 1..=33 {
                let plain: Vec<_> = (0..count).map(|_| Packet::new(protection, 8, 80, 0, &mut random)).collect();
                hold_against_the_plain_path(protection, backend, &plain);
            }
        }
    }
}

#[test]
fn every_length_around_the_hashes_blocks_is_as_the_plain_path_has_it() {
    let mut random = SeededRandom::new(2);
    for protection in suites() {
        for backend in backends() {
            for suffix in [0, 4] {
                let plain: Vec<_> =
                    (0..33).map(|blocks| Packet::new(protection, 8, blocks * 16, suffix, &mut random)).collect();
                hold_against_the_plain_path(protection, backend, &plain);
            }
        }
    }
}

#[test]
fn more_packets_than_a_window_come_back_in_their_places() {
    let mut random = SeededRandom::new(3);
    for protection in hashes() {
        for backend in backends() {
            let plain: Vec<_> =
                (0..150).map(|n| Packet::new(protection, 8, [1408, 64, 64, n * 16][n % 4], 4, &mut random)).collect();
            hold_against_the_plain_path(protection, backend, &plain);
        }
    }
}

#[test]
fn a_header_that_leaves_no_room_in_the_first_block_is_done_singly() {
    let mut random = SeededRandom::new(4);
    for protection in hashes() {
        for backend in backends() {
            for (associated, suffix) in [(0, 0), (32, 0), (48, 0), (49, 0), (64, 0), (300, 0), (8, 8), (8, 9), (8, 200)]
            {
                let plain: Vec<_> =
                    (0..20).map(|n| Packet::new(protection, associated, n * 48, suffix, &mut random)).collect();
                hold_against_the_plain_path(protection, backend, &plain);
            }
        }
    }
}

#[test]
fn a_forged_icv_is_told_of_exactly_its_lane() {
    let mut random = SeededRandom::new(5);
    for protection in hashes() {
        for backend in backends() {
            let pair = Pair::new(protection, backend);
            for forged in 0..33 {
                let plain: Vec<_> =
                    (0..33).map(|n| Packet::new(protection, 8, 64 + 16 * (n % 3), 4, &mut random)).collect();
                let mut batch = plain.clone();
                pair.sealer.seal_batch(&mut jobs(&mut batch)).unwrap();
                let last = protection.icv_len() - 1;
                batch[forged].icv[[0, last][forged % 2]] ^= 0x80 >> (forged % 8);
                let arrived = batch[forged].clone();
                let expected: Vec<_> = (0..33).map(|lane| lane != forged).collect();
                assert_eq!(pair.open(&mut batch), expected, "{backend:?} {protection:?}");
                assert_eq!(batch[forged], arrived, "nothing of it is decrypted");
                assert!((0..33).all(|lane| (batch[lane].text == plain[lane].text) == (lane != forged)));
            }
        }
    }
}

/// Around registers, groups of registers, and the stretches that are hashed at once.
#[test]
fn gcm_of_every_length_is_as_the_plain_path_has_it() {
    let mut random = SeededRandom::new(6);
    let lengths: Vec<_> = (0..=600).chain(1900..=2080).chain(3960..=3980).chain([9000, 65_535]).collect();
    for protection in gcm_suites() {
        for backend in backends() {
            let plain: Vec<_> = lengths.iter().map(|len| Packet::new(protection, 8, *len, 0, &mut random)).collect();
            hold_against_the_plain_path(protection, backend, &plain);
        }
    }
}

#[test]
fn gcm_behind_headers_of_every_length_is_as_the_plain_path_has_it() {
    let mut random = SeededRandom::new(7);
    for protection in gcm_suites() {
        for backend in backends() {
            let plain: Vec<_> =
                (0..140).map(|header| Packet::new(protection, header, header % 5 * 40, 0, &mut random)).collect();
            hold_against_the_plain_path(protection, backend, &plain);
        }
    }
}

#[test]
fn a_change_anywhere_in_a_packet_of_gcm_is_forged_and_nothing_decrypted_is_left() {
    let mut random = SeededRandom::new(8);
    for protection in gcm_suites() {
        for backend in backends() {
            let pair = Pair::new(protection, backend);
            for (len, step) in [(0, 1), (37, 1), (300, 3), (1404, 61), (4100, 255)] {
                let mut sealed = Packet::new(protection, 12, len, 0, &mut random);
                pair.sealer.seal(sealed.job()).unwrap();
                let parts: [fn(&mut Packet) -> &mut Vec<u8>; 4] =
                    [|p| &mut p.associated, |p| &mut p.iv, |p| &mut p.text, |p| &mut p.icv];
                for part in parts {
                    for at in (0..part(&mut sealed).len()).step_by(step) {
                        let mut changed = sealed.clone();
                        part(&mut changed)[at] ^= 1 << (at % 8);
                        let arrived = changed.text.clone();
                        assert!(pair.opener.open(changed.job()).is_err(), "{backend:?} {protection:?} {len} {at}");
                        assert!(
                            changed.text == arrived || changed.text.iter().all(|octet| *octet == 0),
                            "{backend:?} {protection:?}"
                        );
                    }
                }
            }
        }
    }
}

/// The plain path gives the same octets, so that only this tells whether the lanes are used at all.
#[test]
fn what_the_processor_has_does_the_work() {
    let key = [7; 64];
    let message = Message { associated: &[1; 8], iv: &[2; 16], text: &[3; 200], suffix: &[4; 4] };
    for backend in backends() {
        let is_wide = backend.name() == "avx512";
        for size in KEYS {
            let (right, wrong) = (&key[..size.len()], &key[..size.len() + 1]);
            assert_eq!(Decryption::new(backend, size, right).is_some(), is_wide, "{backend:?}");
            assert_eq!(WideGcm::new(backend, size, right).is_some(), is_wide, "{backend:?}");
            for wrong in [wrong, &key[..size.len() + 4], &key[..size.len() - 4]] {
                assert!(
                    WideGcm::new(backend, size, wrong).is_none() && Decryption::new(backend, size, wrong).is_none()
                );
                assert!(EncryptionLanes::new(backend, size, wrong).is_none());
            }
            let lanes = EncryptionLanes::new(backend, size, right).unwrap();
            for count in [2, 7, 8, 9, 16, 17, 40] {
                let mut texts = vec![[1; 64]; count];
                let mut chains: Vec<_> = texts.iter_mut().map(|text| Chain { block: [0; 16], text }).collect();
                lanes.encrypt(&mut chains);
                let left = chains.iter().filter(|chain| !chain.text.is_empty()).count();
                assert!(left <= 1, "{backend:?}: {left} of {count}");
            }
        }
        for integrity in INTEGRITIES {
            let lanes = HmacLanes::new(backend, integrity, &key[..integrity.key_len()]).unwrap();
            assert_eq!(lanes.tags(&[message; 16], &mut [[0; 64]; 16]), 16, "{backend:?} {integrity:?}");
        }
    }
}

#[test]
fn what_is_backed_by_the_processor_has_a_name_and_portable_is_always_there() {
    let names: Vec<_> = Backend::available().map(Backend::name).collect();
    assert_eq!(names.last(), Some(&"portable"));
    assert_eq!(names.first(), Some(&Backend::fastest().name()));
    #[cfg(target_arch = "x86_64")]
    assert_eq!(names.contains(&"avx2"), is_x86_feature_detected!("avx2") && is_x86_feature_detected!("aes"));
    eprintln!("backends: {}", names.join(", "));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn gcm_of_any_lengths_is_as_the_plain_path_has_it(
        seed in any::<u64>(),
        suite in 0..9usize,
        header in prop_oneof![Just(8usize), Just(12usize), 0..300usize],
        lengths in prop::collection::vec(0..=9000usize, 1..=9),
    ) {
        let mut random = SeededRandom::new(seed);
        let protection = gcm_suites().nth(suite).unwrap();
        let plain: Vec<_> =
            lengths.iter().map(|len| Packet::new(protection, header, *len, 0, &mut random)).collect();
        for backend in backends() {
            hold_against_the_plain_path(protection, backend, &plain);
        }
    }

    #[test]
    fn batches_of_any_lengths_are_as_the_plain_path_has_them(
        seed in any::<u64>(),
        suite in 0..20usize,
        esn in any::<bool>(),
        lengths in prop::collection::vec(prop_oneof![0..200usize, 0..=9000usize, Just(1408usize)], 1..=33),
    ) {
        let mut random = SeededRandom::new(seed);
        let protection = suites().nth(suite).unwrap();
        let suffix = if esn { 4 } else { 0 };
        let plain: Vec<_> =
            lengths.iter().map(|len| Packet::new(protection, 8, *len, suffix, &mut random)).collect();
        for backend in backends() {
            hold_against_the_plain_path(protection, backend, &plain);
        }
    }
}
