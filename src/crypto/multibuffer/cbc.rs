//! AES-CBC encryption (NIST SP 800-38A) of several texts under one key, one text a lane.

use std::array;
use std::mem;

use zeroize::Zeroize;

use crate::crypto::cipher::AesKey;
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
    /// Encrypts texts of one length, whole blocks; empty ones are lanes without work. `chains` are the blocks before them and become their last ones.
    fn encrypt(self, schedule: &Schedule, chains: &mut [Block; L], texts: [&mut [u8]; L]);
}

/// One key's encryption by lanes.
pub(in crate::crypto) struct CbcLanes {
    kind: Kind,
    schedule: Box<Schedule>,
}

impl CbcLanes {
    /// None where the backend has no lanes.
    pub(in crate::crypto) fn new(backend: Backend, size: AesKey, key: &[u8]) -> Option<Self> {
        let schedule = match backend.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(avx512) => avx512.aes().expand(size, key)?,
            Kind::Portable => return None,
        };
        Some(Self { kind: backend.0, schedule })
    }

    /// Encrypts until fewer than two texts have something left. They are then what is left of them, behind the block that is with them.
    pub(in crate::crypto) fn encrypt(&self, chains: &mut [Chain<'_>]) {
        match self.kind {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(avx512) => encrypt(avx512.aes(), &self.schedule, chains),
            Kind::Portable => {}
        }
    }
}

/// A text that is being encrypted.
#[derive(Debug, Default)]
pub(in crate::crypto) struct Chain<'a> {
    /// The IV or the last block of cipher text.
    pub(in crate::crypto) block: Block,
    /// What is still to be encrypted: whole blocks.
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
