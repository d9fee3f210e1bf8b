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
        for octet in out {
            if self.used >= POOL {
                self.refill();
            }
            if let Some(fresh) = self.pool.get_mut(self.used) {
                *octet = std::mem::take(fresh);
            }
            self.used = self.used.saturating_add(1);
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
