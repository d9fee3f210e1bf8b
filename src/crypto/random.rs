//! Randomness as the pure layers know it: handed in. It knows no operating system.

use std::fmt;

use aes::Aes256Enc;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use zeroize::Zeroizing;

/// A source of octets that nobody can predict. The daemon's asks the operating system and ends the process when it fails; the simulator's is seeded.
pub trait Random: Send {
    /// Fills all of `out`.
    fn fill(&mut self, out: &mut [u8]);
}

const POOL: usize = 4096;
const KEY: usize = 32;

/// Unpredictable IVs, made many at a time (RFC 3602 §3). One generator belongs to one thread.
///
/// AES-256 in counter mode makes a key for the next pool and then the pool, so no key makes two pools; octets are erased as they are handed out.
/// Who reads the memory later learns nothing of what was used.
pub struct IvGenerator {
    key: Zeroizing<[u8; KEY]>,
    pool: Box<Zeroizing<[u8; POOL]>>,
    used: usize,
}

impl IvGenerator {
    /// A generator with a key of its own.
    pub fn new(random: &mut dyn Random) -> Self {
        let mut key = Zeroizing::new([0; KEY]);
        random.fill(key.as_mut_slice());
        Self { key, pool: Box::new(Zeroizing::new([0; POOL])), used: POOL }
    }

    /// Fills `out` with octets that were not handed out before.
    pub fn next(&mut self, out: &mut [u8]) {
        let mut wanted = out;
        while !wanted.is_empty() {
            if self.used >= POOL {
                self.refill();
            }
            let fresh = self.pool.get_mut(self.used..).unwrap_or_default();
            let len = fresh.len().min(wanted.len());
            let (now, later) = std::mem::take(&mut wanted).split_at_mut(len);
            let (fresh, _) = fresh.split_at_mut(len);
            now.copy_from_slice(fresh);
            fresh.fill(0);
            self.used = self.used.saturating_add(len);
            wanted = later;
        }
    }

    fn refill(&mut self) {
        let mut stream = Ctr128BE::<Aes256Enc>::new((&*self.key).into(), &[0; 16].into());
        self.key.fill(0);
        self.pool.fill(0);
        stream.apply_keystream(self.key.as_mut_slice());
        stream.apply_keystream(self.pool.as_mut_slice());
        self.used = 0;
    }
}

impl fmt::Debug for IvGenerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IvGenerator(..)")
    }
}

/// The same octets for the same seed, for tests and the simulator: predictable, so never for a real key.
#[cfg(any(test, feature = "sim"))]
pub struct SeededRandom(Ctr128BE<Aes256Enc>);

#[cfg(any(test, feature = "sim"))]
impl SeededRandom {
    /// The stream of one seed.
    pub fn new(seed: u64) -> Self {
        let mut key = [0; KEY];
        key.iter_mut().zip(seed.to_be_bytes()).for_each(|(to, from)| *to = from);
        Self(Ctr128BE::new(&key.into(), &[0; 16].into()))
    }
}

#[cfg(any(test, feature = "sim"))]
impl Random for SeededRandom {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0);
        self.0.apply_keystream(out);
    }
}

#[cfg(any(test, feature = "sim"))]
impl fmt::Debug for SeededRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededRandom(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_iv_comes_twice_over_many_pools() {
        let mut ivs = IvGenerator::new(&mut SeededRandom::new(1));
        let mut seen = BTreeSet::new();
        for _ in 0..10 * POOL / 16 {
            let mut iv = [0; 16];
            ivs.next(&mut iv);
            assert!(seen.insert(iv));
        }
    }

    #[test]
    fn the_stream_does_not_depend_on_the_lengths_asked_for() {
        let mut whole = vec![0; 3 * POOL + 5];
        IvGenerator::new(&mut SeededRandom::new(2)).next(&mut whole);
        for step in [1, 7, 8, 16, 24, POOL, POOL + 1] {
            let mut ivs = IvGenerator::new(&mut SeededRandom::new(2));
            let mut pieces = vec![0; whole.len()];
            pieces.chunks_mut(step).for_each(|piece| ivs.next(piece));
            assert!(pieces == whole, "{step}");
        }
    }

    #[test]
    fn two_generators_of_one_source_differ() {
        let mut random = SeededRandom::new(3);
        let (mut one, mut other) = ([0; 16], [0; 16]);
        IvGenerator::new(&mut random).next(&mut one);
        IvGenerator::new(&mut random).next(&mut other);
        assert_ne!(one, other);
    }

    #[test]
    fn what_was_handed_out_is_no_longer_in_memory() {
        let mut ivs = IvGenerator::new(&mut SeededRandom::new(4));
        let (key, mut out) = (ivs.key.clone(), [0; 48]);
        ivs.next(&mut out);
        assert_eq!(ivs.pool[..48], [0; 48]);
        assert_ne!(ivs.key, key);
    }

    #[test]
    fn every_bit_of_the_ivs_is_about_as_often_one_as_zero() {
        let mut ivs = IvGenerator::new(&mut SeededRandom::new(5));
        let mut ones = [0; 128];
        for _ in 0..4096 {
            let mut iv = [0; 16];
            ivs.next(&mut iv);
            for (bit, ones) in ones.iter_mut().enumerate() {
                *ones += u32::from(iv[bit / 8] >> (bit % 8) & 1);
            }
        }
        // Six standard deviations of 32 around one half of 4096.
        assert!(ones.iter().all(|ones| (2048 - 192..2048 + 192).contains(ones)), "{ones:?}");
    }

    #[test]
    fn a_seed_gives_the_same_octets_again_and_another_seed_others() {
        let draw = |seed, lens: &[usize]| {
            let mut random = SeededRandom::new(seed);
            lens.iter()
                .flat_map(|len| {
                    let mut octets = vec![9; *len];
                    random.fill(&mut octets);
                    octets
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(7, &[1, 30, 69]), draw(7, &[100]));
        assert_ne!(draw(7, &[100]), draw(8, &[100]));
    }
}
