//! Eight lanes of 32-bit words in 256-bit registers: SHA-256 and SHA-1.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use crate::crypto::multibuffer::hmac::{Compress, State};
use crate::crypto::multibuffer::x86::Avx2;
use crate::crypto::multibuffer::x86::lanes::Lanes;
use crate::crypto::multibuffer::x86::rounds::{SHA256, sha1_block, sha2_block};

/// SHA-256 in eight lanes.
#[derive(Clone, Copy)]
pub(in crate::crypto::multibuffer) struct Sha256(pub(in crate::crypto::multibuffer) Avx2);

/// SHA-1 in eight lanes.
#[derive(Clone, Copy)]
pub(in crate::crypto::multibuffer) struct Sha1(pub(in crate::crypto::multibuffer) Avx2);

impl Compress<u32, 8> for Sha256 {
    fn compress(self, state: &mut State<u32, 8>, blocks: &[&[u8]; 8], count: usize) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { sha256(state, &Lanes::new(blocks, count, 64)) }
    }

    fn compress_words(self, state: &mut State<u32, 8>, words: &[[u32; 8]; 16]) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { sha256_words(state, words) }
    }
}

impl Compress<u32, 8> for Sha1 {
    fn compress(self, state: &mut State<u32, 8>, blocks: &[&[u8]; 8], count: usize) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { sha1(state, &Lanes::new(blocks, count, 64)) }
    }

    fn compress_words(self, state: &mut State<u32, 8>, words: &[[u32; 8]; 16]) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { sha1_words(state, words) }
    }
}

#[target_feature(enable = "avx2")]
fn sha256(state: &mut State<u32, 8>, lanes: &Lanes<'_, 8>) {
    let mut h = load(&state.0);
    for block in lanes.blocks() {
        h = sha2_block!(h, transposed(block), SHA256);
    }
    store(&mut state.0, h);
}

#[target_feature(enable = "avx2")]
fn sha256_words(state: &mut State<u32, 8>, words: &[[u32; 8]; 16]) {
    let h = load(&state.0);
    store(&mut state.0, sha2_block!(h, load(words), SHA256));
}

#[target_feature(enable = "avx2")]
fn sha1(state: &mut State<u32, 8>, lanes: &Lanes<'_, 8>) {
    let mut h = load(&state.0);
    for block in lanes.blocks() {
        h = sha1_block!(h, transposed(block));
    }
    store(&mut state.0, h);
}

#[target_feature(enable = "avx2")]
fn sha1_words(state: &mut State<u32, 8>, words: &[[u32; 8]; 16]) {
    let h = load(&state.0);
    store(&mut state.0, sha1_block!(h, load(words)));
}

#[inline]
#[target_feature(enable = "avx2")]
fn load<const N: usize>(words: &[[u32; 8]; N]) -> [__m256i; N] {
    let mut loaded = [_mm256_setzero_si256(); N];
    for (to, from) in loaded.iter_mut().zip(words) {
        // SAFETY: eight words are 32 octets, and alignment is not asked for.
        *to = unsafe { _mm256_loadu_si256(from.as_ptr().cast()) };
    }
    loaded
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(words: &mut [[u32; 8]; 8], values: [__m256i; 8]) {
    for (to, value) in words.iter_mut().zip(values) {
        // SAFETY: eight words are 32 octets, and alignment is not asked for.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), value) };
    }
}

/// The sixteen words of a block, in each of them the lanes. `block` are 64 readable octets in each lane.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(block: [*const u8; 8]) -> [__m256i; 16] {
    let mut rows = [[_mm256_setzero_si256(); 8]; 2];
    let [first, second] = &mut rows;
    for ((first, second), at) in first.iter_mut().zip(second).zip(block) {
        // SAFETY: `Lanes` gives out places with a whole block of 64 octets each.
        unsafe {
            *first = swap_octets(_mm256_loadu_si256(at.cast()));
            *second = swap_octets(_mm256_loadu_si256(at.wrapping_add(32).cast()));
        }
    }
    let mut words = [_mm256_setzero_si256(); 16];
    for (words, rows) in words.as_chunks_mut::<8>().0.iter_mut().zip(rows) {
        let [a, b, c, d, e, f, g, h] = rows;
        // A half of upper[c] is the word c of its half, in the first four rows; lower has the last four.
        let (upper, lower) = (by_fours(a, b, c, d), by_fours(e, f, g, h));
        *words = [
            _mm256_permute2x128_si256::<0x20>(upper[0], lower[0]),
            _mm256_permute2x128_si256::<0x20>(upper[1], lower[1]),
            _mm256_permute2x128_si256::<0x20>(upper[2], lower[2]),
            _mm256_permute2x128_si256::<0x20>(upper[3], lower[3]),
            _mm256_permute2x128_si256::<0x31>(upper[0], lower[0]),
            _mm256_permute2x128_si256::<0x31>(upper[1], lower[1]),
            _mm256_permute2x128_si256::<0x31>(upper[2], lower[2]),
            _mm256_permute2x128_si256::<0x31>(upper[3], lower[3]),
        ];
    }
    words
}

#[inline]
#[target_feature(enable = "avx2")]
fn by_fours(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> [__m256i; 4] {
    let (ab_low, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab_low, cd_low),
        _mm256_unpackhi_epi64(ab_low, cd_low),
        _mm256_unpacklo_epi64(ab_high, cd_high),
        _mm256_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// Big-endian words as the processor has them.
#[inline]
#[target_feature(enable = "avx2")]
fn swap_octets(row: __m256i) -> __m256i {
    let order = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    _mm256_shuffle_epi8(row, _mm256_broadcastsi128_si256(order))
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u32) -> __m256i {
    _mm256_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(a: __m256i, b: __m256i) -> __m256i {
    _mm256_xor_si256(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor3(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    xor(xor(a, b), c)
}

#[inline]
#[target_feature(enable = "avx2")]
fn choose(e: __m256i, f: __m256i, g: __m256i) -> __m256i {
    xor(_mm256_and_si256(xor(f, g), e), g)
}

#[inline]
#[target_feature(enable = "avx2")]
fn majority(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(_mm256_or_si256(a, b), c))
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate_right<const RIGHT: i32, const LEFT: i32>(w: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_srli_epi32::<RIGHT>(w), _mm256_slli_epi32::<LEFT>(w))
}

#[inline]
#[target_feature(enable = "avx2")]
fn big_sigma0(a: __m256i) -> __m256i {
    xor3(rotate_right::<2, 30>(a), rotate_right::<13, 19>(a), rotate_right::<22, 10>(a))
}

#[inline]
#[target_feature(enable = "avx2")]
fn big_sigma1(e: __m256i) -> __m256i {
    xor3(rotate_right::<6, 26>(e), rotate_right::<11, 21>(e), rotate_right::<25, 7>(e))
}

#[inline]
#[target_feature(enable = "avx2")]
fn small_sigma0(w: __m256i) -> __m256i {
    xor3(rotate_right::<7, 25>(w), rotate_right::<18, 14>(w), _mm256_srli_epi32::<3>(w))
}

#[inline]
#[target_feature(enable = "avx2")]
fn small_sigma1(w: __m256i) -> __m256i {
    xor3(rotate_right::<17, 15>(w), rotate_right::<19, 13>(w), _mm256_srli_epi32::<10>(w))
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate1(w: __m256i) -> __m256i {
    rotate_right::<31, 1>(w)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate5(w: __m256i) -> __m256i {
    rotate_right::<27, 5>(w)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate30(w: __m256i) -> __m256i {
    rotate_right::<2, 30>(w)
}

/// Any order does here: with half the registers the loads take longer than the sums.
#[inline]
fn early(sum: __m256i) -> __m256i {
    sum
}
