//! Eight lanes of 64-bit words in 512-bit registers: SHA-512, and SHA-384, which differs in its first state only.
#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::*;

use crate::crypto::multibuffer::hmac::{Compress, State};
use crate::crypto::multibuffer::x86::Avx512;
use crate::crypto::multibuffer::x86::avx512::by_quarters;
use crate::crypto::multibuffer::x86::lanes::Lanes;
use crate::crypto::multibuffer::x86::rounds::{SHA512, sha2_block};

/// SHA-512 in eight lanes.
#[derive(Clone, Copy)]
pub(in crate::crypto::multibuffer) struct Sha512(pub(in crate::crypto::multibuffer) Avx512);

impl Compress<u64, 8> for Sha512 {
    fn compress(self, state: &mut State<u64, 8>, blocks: &[&[u8]; 8], count: usize) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { sha512(state, &Lanes::new(blocks, count, 128)) }
    }

    fn compress_words(self, state: &mut State<u64, 8>, words: &[[u64; 8]; 16]) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { sha512_words(state, words) }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn sha512(state: &mut State<u64, 8>, lanes: &Lanes<'_, 8>) {
    let mut h = load(&state.0);
    for block in lanes.blocks() {
        h = sha2_block!(h, transposed(block), SHA512);
    }
    store(&mut state.0, h);
}

#[target_feature(enable = "avx512f,avx512bw")]
fn sha512_words(state: &mut State<u64, 8>, words: &[[u64; 8]; 16]) {
    let h = load(&state.0);
    store(&mut state.0, sha2_block!(h, load(words), SHA512));
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load<const N: usize>(words: &[[u64; 8]; N]) -> [__m512i; N] {
    let mut loaded = [_mm512_setzero_si512(); N];
    for (to, from) in loaded.iter_mut().zip(words) {
        // SAFETY: eight words are 64 octets, and alignment is not asked for.
        *to = unsafe { _mm512_loadu_si512(from.as_ptr().cast()) };
    }
    loaded
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(words: &mut [[u64; 8]; 8], values: [__m512i; 8]) {
    for (to, value) in words.iter_mut().zip(values) {
        // SAFETY: eight words are 64 octets, and alignment is not asked for.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), value) };
    }
}

/// The sixteen words of a block, in each of them the lanes. `block` are 128 readable octets in each lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn transposed(block: [*const u8; 8]) -> [__m512i; 16] {
    let mut rows = [[_mm512_setzero_si512(); 8]; 2];
    let [first, second] = &mut rows;
    for ((first, second), at) in first.iter_mut().zip(second).zip(block) {
        // SAFETY: `Lanes` gives out places with a whole block of 128 octets each.
        unsafe {
            *first = swap_octets(_mm512_loadu_si512(at.cast()));
            *second = swap_octets(_mm512_loadu_si512(at.wrapping_add(64).cast()));
        }
    }
    let mut words = [_mm512_setzero_si512(); 16];
    for (words, rows) in words.as_chunks_mut::<8>().0.iter_mut().zip(rows) {
        let [a, b, c, d, e, f, g, h] = rows;
        let even = by_quarters(
            _mm512_unpacklo_epi64(a, b),
            _mm512_unpacklo_epi64(c, d),
            _mm512_unpacklo_epi64(e, f),
            _mm512_unpacklo_epi64(g, h),
        );
        let odd = by_quarters(
            _mm512_unpackhi_epi64(a, b),
            _mm512_unpackhi_epi64(c, d),
            _mm512_unpackhi_epi64(e, f),
            _mm512_unpackhi_epi64(g, h),
        );
        *words = [even[0], odd[0], even[1], odd[1], even[2], odd[2], even[3], odd[3]];
    }
    words
}

/// Big-endian words as the processor has them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn swap_octets(row: __m512i) -> __m512i {
    let order = _mm512_broadcast_i32x4(_mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    _mm512_shuffle_epi8(row, order)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u64) -> __m512i {
    _mm512_set1_epi64(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi64(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0x96>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn choose(e: __m512i, f: __m512i, g: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0xca>(e, f, g)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn majority(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0xe8>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn big_sigma0(a: __m512i) -> __m512i {
    xor3(_mm512_ror_epi64::<28>(a), _mm512_ror_epi64::<34>(a), _mm512_ror_epi64::<39>(a))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn big_sigma1(e: __m512i) -> __m512i {
    xor3(_mm512_ror_epi64::<14>(e), _mm512_ror_epi64::<18>(e), _mm512_ror_epi64::<41>(e))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn small_sigma0(w: __m512i) -> __m512i {
    xor3(_mm512_ror_epi64::<1>(w), _mm512_ror_epi64::<8>(w), _mm512_srli_epi64::<7>(w))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn small_sigma1(w: __m512i) -> __m512i {
    xor3(_mm512_ror_epi64::<19>(w), _mm512_ror_epi64::<61>(w), _mm512_srli_epi64::<6>(w))
}

/// A sum that is added as it stands here: the compiler must not take it apart. See `sha2_block`.
#[inline]
#[target_feature(enable = "avx512f")]
fn early(mut sum: __m512i) -> __m512i {
    // SAFETY: there is no instruction in it.
    unsafe { asm!("/* {0} */", inout(zmm_reg) sum, options(pure, nomem, nostack, preserves_flags)) };
    sum
}
