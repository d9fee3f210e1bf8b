//! AES in lanes: VAES does four blocks a register, four registers at a time; AES-NI eight blocks at a time.
#![allow(unsafe_code)]

use std::arch::x86_64::*;
use std::array;
use std::mem;

use crate::crypto::cipher::AesKey;
use crate::crypto::multibuffer::cbc::{Block, Chain, DecryptCbc, EncryptCbc, Schedule};
use crate::crypto::multibuffer::x86::{Avx2, Avx512};

/// AES-CBC by VAES, sixteen lanes.
#[derive(Clone, Copy)]
pub(in crate::crypto::multibuffer) struct Vaes(pub(in crate::crypto::multibuffer) Avx512);

/// AES-CBC by AES-NI, eight lanes.
#[derive(Clone, Copy)]
pub(in crate::crypto::multibuffer) struct AesNi(pub(in crate::crypto::multibuffer) Avx2);

impl EncryptCbc<16> for Vaes {
    fn expand(self, size: AesKey, key: &[u8]) -> Option<Box<Schedule>> {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { expand(size, key) }
    }

    fn encrypt(self, schedule: &Schedule, chains: &mut [Block; 16], texts: [&mut [u8]; 16]) {
        let mut idle = [[0; 16]; 16];
        let places = Places::new(texts, &mut idle);
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe {
            match schedule.size {
                AesKey::Aes128 => cbc_16::<10>(&schedule.keys, chains, &places),
                AesKey::Aes192 => cbc_16::<12>(&schedule.keys, chains, &places),
                AesKey::Aes256 => cbc_16::<14>(&schedule.keys, chains, &places),
            }
        }
    }
}

impl DecryptCbc for Vaes {
    fn invert(self, schedule: &mut Schedule) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { invert(schedule) }
    }

    fn decrypt(self, schedule: &Schedule, chains: &mut [Chain<'_>]) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe {
            match schedule.size {
                AesKey::Aes128 => decrypt::<10>(&schedule.keys, chains),
                AesKey::Aes192 => decrypt::<12>(&schedule.keys, chains),
                AesKey::Aes256 => decrypt::<14>(&schedule.keys, chains),
            }
        }
    }
}

impl EncryptCbc<8> for AesNi {
    fn expand(self, size: AesKey, key: &[u8]) -> Option<Box<Schedule>> {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { expand(size, key) }
    }

    fn encrypt(self, schedule: &Schedule, chains: &mut [Block; 8], texts: [&mut [u8]; 8]) {
        let mut idle = [[0; 16]; 8];
        let places = Places::new(texts, &mut idle);
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe {
            match schedule.size {
                AesKey::Aes128 => cbc_8::<10>(&schedule.keys, chains, &places),
                AesKey::Aes192 => cbc_8::<12>(&schedule.keys, chains, &places),
                AesKey::Aes256 => cbc_8::<14>(&schedule.keys, chains, &places),
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
pub(super) fn expand(size: AesKey, key: &[u8]) -> Option<Box<Schedule>> {
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
    let k = broadcast(keys);
    let [first, others @ ..] = k;
    let (middle, last) = rounds::<_, ROUNDS>(&others);
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
            *state = _mm512_aesenclast_epi128(*state, *last);
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

/// CBC decryption is no chain: sixteen blocks of one text at a time.
#[target_feature(enable = "avx512f,vaes")]
fn decrypt<const ROUNDS: usize>(keys: &[Block; 15], chains: &mut [Chain<'_>]) {
    let k = broadcast(keys);
    for chain in chains {
        // SAFETY: a block is 16 octets.
        let iv = unsafe { _mm_loadu_si128(chain.block.as_ptr().cast()) };
        let mut before = _mm512_inserti32x4::<3>(_mm512_setzero_si512(), iv);
        let (whole, part) = chain.text.as_chunks_mut::<256>();
        for whole in whole {
            before = decrypt_quads::<4, ROUNDS>(&k, before, whole);
        }
        match part.len().div_ceil(64) {
            0 => {}
            1 => _ = decrypt_quads::<1, ROUNDS>(&k, before, part),
            2 => _ = decrypt_quads::<2, ROUNDS>(&k, before, part),
            3 => _ = decrypt_quads::<3, ROUNDS>(&k, before, part),
            _ => _ = decrypt_quads::<4, ROUNDS>(&k, before, part),
        }
    }
}

/// At most `N` times four blocks; `before` and the answer have in their last quarter the block of cipher text that is before the next one.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn decrypt_quads<const N: usize, const ROUNDS: usize>(
    keys: &[__m512i; 15],
    mut before: __m512i,
    text: &mut [u8],
) -> __m512i {
    let [first, others @ ..] = keys;
    let (middle, last) = rounds::<_, ROUNDS>(others);
    let mut state = [_mm512_setzero_si512(); N];
    let mut chained = [_mm512_setzero_si512(); N];
    let start: *mut i64 = text.as_mut_ptr().cast();
    let octets = text.len();
    let place = |n: usize| (start.wrapping_add(n.saturating_mul(8)), octets.saturating_sub(n.saturating_mul(64)));
    let places: [_; N] = array::from_fn(place);
    for ((state, chained), (at, left)) in state.iter_mut().zip(&mut chained).zip(places) {
        let text = if left >= 64 {
            // SAFETY: so many octets of the text are left from here on.
            unsafe { _mm512_loadu_epi64(at) }
        } else {
            // SAFETY: only what the mask has is read, and its bits are those of the octets that are left.
            unsafe { _mm512_maskz_loadu_epi64(eighths(left), at) }
        };
        *chained = _mm512_alignr_epi64::<6>(text, before);
        *state = _mm512_xor_si512(text, *first);
        before = text;
    }
    for key in middle {
        for state in &mut state {
            *state = _mm512_aesdec_epi128(*state, *key);
        }
    }
    for ((state, chained), (at, left)) in state.into_iter().zip(chained).zip(places) {
        let plain = _mm512_xor_si512(_mm512_aesdeclast_epi128(state, *last), chained);
        if left >= 64 {
            // SAFETY: so many octets of the text are left from here on.
            unsafe { _mm512_storeu_epi64(at, plain) };
        } else {
            // SAFETY: only what the mask has is written, and its bits are those of the octets that are left.
            unsafe { _mm512_mask_storeu_epi64(at, eighths(left), plain) };
        }
    }
    before
}

/// A bit for each eight of fewer than 64 octets.
#[inline]
fn eighths(octets: usize) -> u8 {
    u8::MAX.checked_shr(8u32.saturating_sub(u32::try_from(octets / 8).unwrap_or(0))).unwrap_or(0)
}

/// The keys of the inverse cipher (FIPS 197 §5.3.5), in the order of their use.
#[target_feature(enable = "aes,avx2")]
fn invert(schedule: &mut Schedule) {
    let used = match schedule.size {
        AesKey::Aes128 => 11,
        AesKey::Aes192 => 13,
        AesKey::Aes256 => 15,
    };
    let Some([first, middle @ .., last]) = schedule.keys.get_mut(..used) else { return };
    mem::swap(first, last);
    middle.reverse();
    for key in middle {
        let mixed = _mm_aesimc_si128(block(key));
        // SAFETY: a key is 16 octets.
        unsafe { _mm_storeu_si128(key.as_mut_ptr().cast(), mixed) };
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn broadcast(keys: &[Block; 15]) -> [__m512i; 15] {
    let mut all = [_mm512_setzero_si512(); 15];
    for (to, key) in all.iter_mut().zip(keys) {
        // SAFETY: a key is 16 octets.
        *to = _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(key.as_ptr().cast()) });
    }
    all
}

#[target_feature(enable = "aes,avx2")]
fn cbc_8<const ROUNDS: usize>(keys: &[Block; 15], chains: &mut [Block; 8], places: &Places<8>) {
    let [first, others @ ..] = keys;
    let (middle, last) = rounds::<_, ROUNDS>(others);
    let mut state = [_mm_setzero_si128(); 8];
    for (state, chain) in state.iter_mut().zip(&*chains) {
        *state = block(chain);
    }
    for at in places.blocks() {
        for (state, at) in state.iter_mut().zip(at) {
            // SAFETY: `Places` gives out places of whole blocks that belong to this call.
            let text = unsafe { _mm_loadu_si128(at.cast()) };
            *state = _mm_xor_si128(_mm_xor_si128(*state, text), block(first));
        }
        for key in middle {
            let key = block(key);
            for state in &mut state {
                *state = _mm_aesenc_si128(*state, key);
            }
        }
        for (state, at) in state.iter_mut().zip(at) {
            *state = _mm_aesenclast_si128(*state, block(last));
            // SAFETY: `Places` gives out places of whole blocks that belong to this call.
            unsafe { _mm_storeu_si128(at.cast(), *state) };
        }
    }
    for (state, chain) in state.iter().zip(chains) {
        // SAFETY: a block is 16 octets.
        unsafe { _mm_storeu_si128(chain.as_mut_ptr().cast(), *state) };
    }
}

#[inline]
#[target_feature(enable = "aes,avx2")]
pub(super) fn block(octets: &Block) -> __m128i {
    // SAFETY: a block is 16 octets.
    unsafe { _mm_loadu_si128(octets.as_ptr().cast()) }
}

/// Of the keys behind the first: those of the middle rounds, and the last one.
#[inline]
pub(super) fn rounds<T, const ROUNDS: usize>(keys: &[T; 14]) -> (&[T], &T) {
    match ROUNDS {
        10 => (&keys[..9], &keys[9]),
        12 => (&keys[..11], &keys[11]),
        _ => (&keys[..13], &keys[13]),
    }
}
