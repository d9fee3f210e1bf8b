//! AES-CBC (NIST SP 800-38A) of several texts under one key; encrypted one text a lane.

use std::array;
use std::mem;

use zeroize::Zeroize;

use crate::crypto::cipher::AesKey;
#[cfg(target_arch = "x86_64")]
use crate::crypto::multibuffer::x86::aes::{AesNi, Vaes};
use crate::crypto::multibuffer::{Backend, Kind};

/// An AES block.
pub(super) type Block = [u8; 16];

/// A key's rounds (FIPS 197 §5.2): the first `rounds + 1` count.
pub(super) struct Schedule {
    pub(super) keys: [Block; 15],
    pub(super) size: AesKey,
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

/// AES-CBC encryption in `L` lanes.
pub(super) trait EncryptCbc<const L: usize>: Copy {
    /// The rounds of a key; none when its length is not `size`.
    fn expand(self, size: AesKey, key: &[u8]) -> Option<Box<Schedule>>;

    /// Encrypts texts of one length, whole blocks; empty ones are lanes without work. `chains` are the blocks before them and become their last ones.
    fn encrypt(self, schedule: &Schedule, chains: &mut [Block; L], texts: [&mut [u8]; L]);
}

/// AES-CBC decryption of one text after the other.
pub(super) trait DecryptCbc: Copy {
    /// Makes the rounds of encryption those of decryption.
    fn invert(self, schedule: &mut Schedule);

    /// Decrypts texts of whole blocks.
    fn decrypt(self, schedule: &Schedule, chains: &mut [Chain<'_>]);
}

/// One key's encryption by lanes.
pub(in crate::crypto) struct EncryptionLanes {
    kind: Kind,
    schedule: Box<Schedule>,
}

impl EncryptionLanes {
    /// None where the backend has no lanes.
    pub(in crate::crypto) fn new(backend: Backend, size: AesKey, key: &[u8]) -> Option<Self> {
        let schedule = match backend.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(avx512, _) => Vaes(avx512).expand(size, key)?,
            #[cfg(target_arch = "x86_64")]
            Kind::ShaNi(avx2, _) | Kind::Avx2(avx2) => AesNi(avx2).expand(size, key)?,
            Kind::Portable => return None,
        };
        Some(Self { kind: backend.0, schedule })
    }

    /// Encrypts until fewer than two texts have something left. They are then what is left of them, behind the block that is with them.
    pub(in crate::crypto) fn encrypt(&self, chains: &mut [Chain<'_>]) {
        match self.kind {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(avx512, _) if chains.len() <= 8 => encrypt(AesNi(avx512.avx2()), &self.schedule, chains),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(avx512, _) => encrypt(Vaes(avx512), &self.schedule, chains),
            #[cfg(target_arch = "x86_64")]
            Kind::ShaNi(avx2, _) | Kind::Avx2(avx2) => encrypt(AesNi(avx2), &self.schedule, chains),
            Kind::Portable => {}
        }
    }
}

/// One key's decryption.
pub(in crate::crypto) struct Decryption {
    kind: Kind,
    schedule: Box<Schedule>,
}

impl Decryption {
    /// None where the plain path is as good.
    pub(in crate::crypto) fn new(backend: Backend, size: AesKey, key: &[u8]) -> Option<Self> {
        let schedule = match backend.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(avx512, _) => {
                let mut schedule = Vaes(avx512).expand(size, key)?;
                Vaes(avx512).invert(&mut schedule);
                schedule
            }
            _ => return None,
        };
        Some(Self { kind: backend.0, schedule })
    }

    /// Decrypts texts of whole blocks.
    pub(in crate::crypto) fn decrypt(&self, chains: &mut [Chain<'_>]) {
        #[cfg(target_arch = "x86_64")]
        if let Kind::Avx512(avx512, _) = self.kind {
            Vaes(avx512).decrypt(&self.schedule, chains);
        }
    }
}

/// A text that is being encrypted or decrypted.
#[derive(Debug, Default)]
pub(in crate::crypto) struct Chain<'a> {
    /// The IV, or the last block of cipher text.
    pub(in crate::crypto) block: Block,
    /// What is still to be done: whole blocks.
    pub(in crate::crypto) text: &'a mut [u8],
}

fn encrypt<E: EncryptCbc<L>, const L: usize>(engine: E, schedule: &Schedule, chains: &mut [Chain<'_>]) {
    for chains in chains.chunks_mut(L) {
        let mut blocks = [[0; 16]; L];
        blocks.iter_mut().zip(&*chains).for_each(|(block, chain)| *block = chain.block);
        loop {
            let lengths = chains.iter().map(|chain| chain.text.len()).filter(|len| *len > 0);
            let (busy, shortest) =
                lengths.fold((0u32, usize::MAX), |(busy, min), len| (busy.saturating_add(1), min.min(len)));
            if busy < 2 {
                break;
            }
            let mut texts: [&mut [u8]; L] = array::from_fn(|_| Default::default());
            for (now, chain) in texts.iter_mut().zip(&mut *chains) {
                if let Some((start, rest)) = mem::take(&mut chain.text).split_at_mut_checked(shortest) {
                    (*now, chain.text) = (start, rest);
                }
            }
            engine.encrypt(schedule, &mut blocks, texts);
        }
        chains.iter_mut().zip(blocks).for_each(|(chain, block)| chain.block = block);
    }
}
