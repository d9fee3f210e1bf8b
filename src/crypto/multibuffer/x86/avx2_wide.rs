//! Four lanes of 64-bit words in 256-bit registers: SHA-512, and SHA-384, which differs in its first state only.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use crate::crypto::multibuffer::hmac::{Compress, State};
use crate::crypto::multibuffer::x86::Avx2;
use crate::crypto::multibuffer::x86::lanes::Lanes;
use crate::crypto::multibuffer::x86::rounds::{SHA512, sha2_block};

/// SHA-512 in four lanes.
#[derive(Clone, Copy)]
pub(in crate::crypto::multibuffer) struct Sha512(pub(in crate::crypto::multibuffer) Avx2);

impl Compress<u64, 4> for Sha512 {
    fn compress(self, state: &mut State<u64, 4>, blocks: &[&[u8]; 4], count: usize) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { sha512(state, &Lanes::new(blocks, count, 128)) }
    }

    fn compress_words(self, state: &mut State<u64, 4>, words: &[[u64; 4]; 16]) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { sha512_words(state, words) }
    }
}

#[target_feature(enable = "avx2")]
fn sha512(state: &mut State<u64, 4>, lanes: &Lanes<'_, 4>) {
    let mut h = load(&state.0);
    for block in lanes.blocks() {
        h = sha2_block!(h, transposed(block), SHA512);
    }
    store(&mut state.0, h);
}

#[target_feature(enable = "avx2")]
fn sha512_words(state: &mut State<u64, 4>, words: &[[u64; 4]; 16]) {
    let h = load(&state.0);
    store(&mut state.0, sha2_block!(h, load(words), SHA512));
}

#[inline]
#[target_feature(enable = "avx2")]
fn load<const N: usize>(words: &[[u64; 4]; N]) -> [__m256i; N] {
    let mut loaded = [_mm256_setzero_si256(); N];
    for (to, from) in loaded.iter_mut().zip(words) {
        // SAFETY: four words are 32 octets, and alignment is not asked for.
        *to = unsafe { _mm256_loadu_si256(from.as_ptr().cast()) };
    }
    loaded
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(words: &mut [[u64; 4]; 8], values: [__m256i; 8]) {
    for (to, value) in words.iter_mut().zip(values) {
        // SAFETY: four words are 32 octets, and alignment is not asked for.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), value) };
    }
}

/// The sixteen words of a block, in each of them the lanes. `block` are 128 readable octets in each lane.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(block: [*const u8; 4]) -> [__m256i; 16] {
    let mut words = [_mm256_setzero_si256(); 16];
    let [a, b, c, d] = block;
    for (words, offset) in words.as_chunks_mut::<4>().0.iter_mut().zip([0, 32, 64, 96]) {
        // SAFETY: `Lanes` gives out places with a whole block of 128 octets each.
        let row = |at: *const u8| unsafe { _mm256_loadu_si256(at.wrapping_add(offset).cast()) };
        let (a, b, c, d) = (swap_octets(row(a)), swap_octets(row(b)), swap_octets(row(c)), swap_octets(row(d)));
        let (ab_even, ab_odd) = (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
        let (cd_even, cd_odd) = (_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
        *words = [
            _mm256_permute2x128_si256::<0x20>(ab_even, cd_even),
            _mm256_permute2x128_si256::<0x20>(ab_odd, cd_odd),
            _mm256_permute2x128_si256::<0x31>(ab_even, cd_even),
            _mm256_permute2x128_si256::<0x31>(ab_odd, cd_odd),
        ];
    }
    words
}

/// Big-endian words as the processor has them.
#[inline]
#[target_feature(enable = "avx2")]
fn swap_octets(row: __m256i) -> __m256i {
    let order = _mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_shuffle_epi8(row, _mm256_broadcastsi128_si256(order))
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u64) -> __m256i {
    _mm256_set1_epi64x(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi64(a, b)
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
    _mm256_or_si256(_mm256_srli_epi64::<RIGHT>(w), _mm256_slli_epi64::<LEFT>(w))
}

#[inline]
#[target_feature(enable = "avx2")]
fn big_sigma0(a: __m256i) -> __m256i {
    xor3(rotate_right::<28, 36>(a), rotate_right::<34, 30>(a), rotate_right::<39, 25>(a))
}

#[inline]
#[target_feature(enable = "avx2")]
fn big_sigma1(e: __m256i) -> __m256i {
    xor3(rotate_right::<14, 50>(e), rotate_right::<18, 46>(e), rotate_right::<41, 23>(e))
}

#[inline]
#[target_feature(enable = "avx2")]
fn small_sigma0(w: __m256i) -> __m256i {
    xor3(rotate_right::<1, 63>(w), rotate_right::<8, 56>(w), _mm256_srli_epi64::<7>(w))
}

#[inline]
#[target_feature(enable = "avx2")]
fn small_sigma1(w: __m256i) -> __m256i {
    xor3(rotate_right::<19, 45>(w), rotate_right::<61, 3>(w), _mm256_srli_epi64::<6>(w))
}

/// Any order does here: with half the registers the loads take longer than the sums.
#[inline]
fn early(sum: __m256i) -> __m256i {
    sum
}
