//! AES in lanes: VAES does four blocks a register, four registers at a time.
#![allow(unsafe_code)]

use std::arch::x86_64::*;
use std::array;

use crate::crypto::cipher::AesKey;
use crate::crypto::multibuffer::cbc::{Block, EncryptCbc, Schedule};
use crate::crypto::multibuffer::x86::Avx512;

/// AES-CBC by VAES, sixteen lanes.
#[derive(Clone, Copy)]
pub(in crate::crypto::multibuffer) struct Vaes(Avx512);

impl Avx512 {
    pub(in crate::crypto::multibuffer) fn aes(self) -> Vaes {
        Vaes(self)
    }
}

impl Vaes {
    /// None when the key's length is not `size`.
    pub(in crate::crypto::multibuffer) fn expand(self, size: AesKey, key: &[u8]) -> Option<Box<Schedule>> {
        // SAFETY: the value inside `self` shows that the processor has AES instructions.
        unsafe { expand(size, key) }
    }
}

impl EncryptCbc<16> for Vaes {
    fn encrypt(self, schedule: &Schedule, chains: &mut [Block; 16], texts: [&mut [u8]; 16]) {
        let mut idle = [[0; 16]; 16];
        let lanes = Places::new(texts, &mut idle);
        // SAFETY: the value inside `self` shows that the processor has these instructions, and `lanes` has a place for every block.
        unsafe {
            match schedule.size {
                AesKey::Aes128 => cbc_16::<10>(&schedule.keys, chains, &lanes),
                AesKey::Aes192 => cbc_16::<12>(&schedule.keys, chains, &lanes),
                AesKey::Aes256 => cbc_16::<14>(&schedule.keys, chains, &lanes),
            }
        }
    }
}

/// Where the lanes' blocks are.
struct Places<const L: usize> {
    starts: [*mut u8; L],
    /// All ones, or zero in a lane without work: it stays on its idle block.
    steps: [usize; L],
    octets: usize,
}

impl<const L: usize> Places<L> {
    /// Texts of one length, whole blocks; a text of any other length than the longest has no work.
    fn new(texts: [&mut [u8]; L], idle: &mut [Block; L]) -> Self {
        let octets = texts.iter().map(|text| text.len()).max().unwrap_or(0) & !15;
        let mut places = Self { starts: idle.each_mut().map(|block| block.as_mut_ptr()), steps: [0; L], octets };
        for ((start, step), text) in places.starts.iter_mut().zip(&mut places.steps).zip(texts) {
            if text.len() >= octets {
                (*start, *step) = (text.as_mut_ptr(), usize::MAX);
            }
        }
        places
    }

    #[inline]
    fn blocks(&self) -> impl Iterator<Item = [*mut u8; L]> {
        (0..self.octets).step_by(16).map(|offset| {
            let mut at = self.starts;
            at.iter_mut().zip(&self.steps).for_each(|(at, step)| *at = at.wrapping_add(offset & step));
            at
        })
    }
}

/// FIPS 197 §5.2. The processor's own S-box takes the same time for every octet.
#[target_feature(enable = "aes")]
fn expand(size: AesKey, key: &[u8]) -> Option<Box<Schedule>> {
    let (words, rest) = key.as_chunks::<4>();
    if !rest.is_empty() || key.len() != size.len() {
        return None;
    }
    let mut schedule = Box::new(Schedule { keys: [[0; 16]; 15], size });
    let all = schedule.keys.as_flattened_mut().as_chunks_mut::<4>().0;
    all.iter_mut().zip(words).for_each(|(to, from)| *to = *from);
    let mut constant = 1u8;
    for at in words.len()..all.len() {
        let (done, rest) = all.split_at_mut_checked(at)?;
        let [a, b, c, d] = *done.last()?;
        let mut word = [a, b, c, d];
        if at.is_multiple_of(words.len()) {
            let [a, b, c, d] = substitute([b, c, d, a]);
            word = [a ^ constant, b, c, d];
            constant = (constant << 1) ^ (if constant & 0x80 == 0 { 0 } else { 0x1b });
        } else if words.len() == 8 && at & 7 == 4 {
            word = substitute(word);
        }
        let before = done.get(at.checked_sub(words.len())?)?;
        let next = rest.first_mut()?;
        *next = array::from_fn(|_| 0);
        next.iter_mut().zip(word.iter().zip(before)).for_each(|(to, (a, b))| *to = a ^ b);
    }
    Some(schedule)
}

#[inline]
#[target_feature(enable = "aes")]
fn substitute(word: [u8; 4]) -> [u8; 4] {
    let words = _mm_set1_epi32(i32::from_le_bytes(word));
    _mm_cvtsi128_si32(_mm_aeskeygenassist_si128::<0>(words)).to_le_bytes()
}

#[target_feature(enable = "avx512f,vaes")]
fn cbc_16<const ROUNDS: usize>(keys: &[Block; 15], chains: &mut [Block; 16], places: &Places<16>) {
    let mut k = [_mm512_setzero_si512(); 15];
    for (k, key) in k.iter_mut().zip(keys) {
        // SAFETY: a key is 16 octets.
        *k = _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(key.as_ptr().cast()) });
    }
    let [first, others @ ..] = k;
    let (middle, last) = match ROUNDS {
        10 => (&others[..9], others[9]),
        12 => (&others[..11], others[11]),
        _ => (&others[..13], others[13]),
    };
    let mut state = [_mm512_setzero_si512(); 4];
    for (state, chains) in state.iter_mut().zip(chains.as_chunks::<4>().0) {
        // SAFETY: four blocks are 64 octets.
        *state = unsafe { _mm512_loadu_si512(chains.as_ptr().cast()) };
    }
    for at in places.blocks() {
        for (state, at) in state.iter_mut().zip(at.as_chunks::<4>().0) {
            let [a, b, c, d] = *at;
            // SAFETY: `Places` gives out places of whole blocks that belong to this call.
            let (low, high) =
                unsafe { (_mm256_loadu2_m128i(b.cast(), a.cast()), _mm256_loadu2_m128i(d.cast(), c.cast())) };
            let text = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
            *state = _mm512_ternarylogic_epi32::<0x96>(*state, text, first);
        }
        for key in middle {
            for state in &mut state {
                *state = _mm512_aesenc_epi128(*state, *key);
            }
        }
        for (state, at) in state.iter_mut().zip(at.as_chunks::<4>().0) {
            *state = _mm512_aesenclast_epi128(*state, last);
            let [a, b, c, d] = *at;
            // SAFETY: `Places` gives out places of whole blocks that belong to this call.
            unsafe {
                _mm_storeu_si128(a.cast(), _mm512_castsi512_si128(*state));
                _mm_storeu_si128(b.cast(), _mm512_extracti32x4_epi32::<1>(*state));
                _mm_storeu_si128(c.cast(), _mm512_extracti32x4_epi32::<2>(*state));
                _mm_storeu_si128(d.cast(), _mm512_extracti32x4_epi32::<3>(*state));
            }
        }
    }
    for (state, chains) in state.iter().zip(chains.as_chunks_mut::<4>().0) {
        // SAFETY: four blocks are 64 octets.
        unsafe { _mm512_storeu_si512(chains.as_mut_ptr().cast(), *state) };
    }
}
