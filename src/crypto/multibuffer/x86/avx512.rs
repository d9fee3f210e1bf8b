//! Sixteen lanes of 32-bit words in 512-bit registers: SHA-256 and SHA-1.
#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::*;

use crate::crypto::multibuffer::hmac::{Compress, State};
use crate::crypto::multibuffer::x86::Avx512;
use crate::crypto::multibuffer::x86::lanes::Lanes;
use crate::crypto::multibuffer::x86::rounds::{SHA256, sha1_block, sha2_block};

/// SHA-256 in sixteen lanes.
#[derive(Clone, Copy)]
pub(in crate::crypto::multibuffer) struct Sha256(pub(in crate::crypto::multibuffer) Avx512);

/// SHA-1 in sixteen lanes.
#[derive(Clone, Copy)]
pub(in crate::crypto::multibuffer) struct Sha1(pub(in crate::crypto::multibuffer) Avx512);

impl Compress<u32, 16> for Sha256 {
    fn compress(self, state: &mut State<u32, 16>, blocks: &[&[u8]; 16], count: usize) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { sha256(state, &Lanes::new(blocks, count, 64)) }
    }

    fn compress_words(self, state: &mut State<u32, 16>, words: &[[u32; 16]; 16]) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { sha256_words(state, words) }
    }
}

impl Compress<u32, 16> for Sha1 {
    fn compress(self, state: &mut State<u32, 16>, blocks: &[&[u8]; 16], count: usize) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { sha1(state, &Lanes::new(blocks, count, 64)) }
    }

    fn compress_words(self, state: &mut State<u32, 16>, words: &[[u32; 16]; 16]) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { sha1_words(state, words) }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn sha256(state: &mut State<u32, 16>, lanes: &Lanes<'_, 16>) {
    let mut h = load(&state.0);
    for block in lanes.blocks() {
        h = sha2_block!(h, transposed(block), SHA256);
    }
    store(&mut state.0, h);
}

#[target_feature(enable = "avx512f,avx512bw")]
fn sha256_words(state: &mut State<u32, 16>, words: &[[u32; 16]; 16]) {
    let h = load(&state.0);
    store(&mut state.0, sha2_block!(h, load(words), SHA256));
}

#[target_feature(enable = "avx512f,avx512bw")]
fn sha1(state: &mut State<u32, 16>, lanes: &Lanes<'_, 16>) {
    let mut h = load(&state.0);
    for block in lanes.blocks() {
        h = sha1_block!(h, transposed(block));
    }
    store(&mut state.0, h);
}

#[target_feature(enable = "avx512f,avx512bw")]
fn sha1_words(state: &mut State<u32, 16>, words: &[[u32; 16]; 16]) {
    let h = load(&state.0);
    store(&mut state.0, sha1_block!(h, load(words)));
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load<const N: usize>(words: &[[u32; 16]; N]) -> [__m512i; N] {
    let mut loaded = [_mm512_setzero_si512(); N];
    for (to, from) in loaded.iter_mut().zip(words) {
        // SAFETY: sixteen words are 64 octets, and alignment is not asked for.
        *to = unsafe { _mm512_loadu_si512(from.as_ptr().cast()) };
    }
    loaded
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(words: &mut [[u32; 16]; 8], values: [__m512i; 8]) {
    for (to, value) in words.iter_mut().zip(values) {
        // SAFETY: sixteen words are 64 octets, and alignment is not asked for.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), value) };
    }
}

/// The sixteen words of a block, in each of them the lanes. `block` are 64 readable octets in each lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn transposed(block: [*const u8; 16]) -> [__m512i; 16] {
    let mut rows = [_mm512_setzero_si512(); 16];
    for (row, at) in rows.iter_mut().zip(block) {
        // SAFETY: `Lanes` gives out places with a whole block of 64 octets each.
        *row = swap_octets(unsafe { _mm512_loadu_si512(at.cast()) });
    }
    let mut words = [_mm512_setzero_si512(); 16];
    // By fours: afterwards a quarter of quads[q][c] is the word c of its quarter, in the rows 4q to 4q + 3.
    let mut quads = [[_mm512_setzero_si512(); 4]; 4];
    for (quad, rows) in quads.iter_mut().zip(rows.as_chunks::<4>().0) {
        let [a, b, c, d] = *rows;
        let (ab_low, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (cd_low, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        *quad = [
            _mm512_unpacklo_epi64(ab_low, cd_low),
            _mm512_unpackhi_epi64(ab_low, cd_low),
            _mm512_unpacklo_epi64(ab_high, cd_high),
            _mm512_unpackhi_epi64(ab_high, cd_high),
        ];
    }
    let [q0, q1, q2, q3] = quads;
    macro_rules! column {
        ($c:literal) => {
            let quarters = by_quarters(q0[$c], q1[$c], q2[$c], q3[$c]);
            [words[$c], words[$c + 4], words[$c + 8], words[$c + 12]] = quarters;
        };
    }
    column!(0);
    column!(1);
    column!(2);
    column!(3);
    words
}

/// All first quarters in the first, all second ones in the second, and so on.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn by_quarters(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [__m512i; 4] {
    let (ab_even, ab_odd) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b));
    let (cd_even, cd_odd) = (_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xdd>(c, d));
    [
        _mm512_shuffle_i32x4::<0x88>(ab_even, cd_even),
        _mm512_shuffle_i32x4::<0x88>(ab_odd, cd_odd),
        _mm512_shuffle_i32x4::<0xdd>(ab_even, cd_even),
        _mm512_shuffle_i32x4::<0xdd>(ab_odd, cd_odd),
    ]
}

/// Big-endian words as the processor has them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn swap_octets(row: __m512i) -> __m512i {
    let order = _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
    _mm512_shuffle_epi8(row, order)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0x96>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn choose(e: __m512i, f: __m512i, g: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xca>(e, f, g)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn majority(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xe8>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn big_sigma0(a: __m512i) -> __m512i {
    xor3(_mm512_ror_epi32::<2>(a), _mm512_ror_epi32::<13>(a), _mm512_ror_epi32::<22>(a))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn big_sigma1(e: __m512i) -> __m512i {
    xor3(_mm512_ror_epi32::<6>(e), _mm512_ror_epi32::<11>(e), _mm512_ror_epi32::<25>(e))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn small_sigma0(w: __m512i) -> __m512i {
    xor3(_mm512_ror_epi32::<7>(w), _mm512_ror_epi32::<18>(w), _mm512_srli_epi32::<3>(w))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn small_sigma1(w: __m512i) -> __m512i {
    xor3(_mm512_ror_epi32::<17>(w), _mm512_ror_epi32::<19>(w), _mm512_srli_epi32::<10>(w))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(a: __m512i, b: __m512i) -> __m512i {
    _mm512_xor_si512(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate1(w: __m512i) -> __m512i {
    _mm512_rol_epi32::<1>(w)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate5(w: __m512i) -> __m512i {
    _mm512_rol_epi32::<5>(w)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate30(w: __m512i) -> __m512i {
    _mm512_rol_epi32::<30>(w)
}

/// A sum that is added as it stands here: the compiler must not take it apart. See `sha2_block`.
#[inline]
#[target_feature(enable = "avx512f")]
fn early(mut sum: __m512i) -> __m512i {
    // SAFETY: there is no instruction in it.
    unsafe { asm!("/* {0} */", inout(zmm_reg) sum, options(pure, nomem, nostack, preserves_flags)) };
    sum
}
