//! Two packets at a time by the SHA extensions: one chain's instructions wait for each other, two chains fill the unit.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use crate::crypto::multibuffer::hmac::{Compress, State};
use crate::crypto::multibuffer::x86::ShaNi;
use crate::crypto::multibuffer::x86::lanes::Lanes;
use crate::crypto::multibuffer::x86::rounds::SHA256;

/// SHA-256 of two messages.
#[derive(Clone, Copy)]
pub(in crate::crypto::multibuffer) struct Sha256(pub(in crate::crypto::multibuffer) ShaNi);

/// SHA-1 of two messages.
#[derive(Clone, Copy)]
pub(in crate::crypto::multibuffer) struct Sha1(pub(in crate::crypto::multibuffer) ShaNi);

impl Compress<u32, 2> for Sha256 {
    fn compress(self, state: &mut State<u32, 2>, blocks: &[&[u8]; 2], count: usize) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { sha256(state, &Lanes::new(blocks, count, 64)) }
    }

    fn compress_words(self, state: &mut State<u32, 2>, words: &[[u32; 2]; 16]) {
        let [first, second] = octets(words);
        self.compress(state, &[&first, &second], 1);
    }
}

impl Compress<u32, 2> for Sha1 {
    fn compress(self, state: &mut State<u32, 2>, blocks: &[&[u8]; 2], count: usize) {
        // SAFETY: the value inside `self` shows that the processor has these instructions.
        unsafe { sha1(state, &Lanes::new(blocks, count, 64)) }
    }

    fn compress_words(self, state: &mut State<u32, 2>, words: &[[u32; 2]; 16]) {
        let [first, second] = octets(words);
        self.compress(state, &[&first, &second], 1);
    }
}

fn octets(words: &[[u32; 2]; 16]) -> [[u8; 64]; 2] {
    let mut blocks = [[0; 64]; 2];
    for (lane, block) in blocks.iter_mut().enumerate() {
        for (to, word) in block.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *to = word.get(lane).map_or([0; 4], |word| word.to_be_bytes());
        }
    }
    blocks
}

/// A SHA-256 state as the instructions want it.
#[derive(Clone, Copy)]
struct Chain {
    abef: __m128i,
    cdgh: __m128i,
}

#[target_feature(enable = "sha,avx2")]
fn sha256(state: &mut State<u32, 2>, lanes: &Lanes<'_, 2>) {
    let [a, b, c, d, e, f, g, h] = state.0.map(|lanes| lanes.map(u32::cast_signed));
    let mut x = Chain { abef: _mm_set_epi32(a[0], b[0], e[0], f[0]), cdgh: _mm_set_epi32(c[0], d[0], g[0], h[0]) };
    let mut y = Chain { abef: _mm_set_epi32(a[1], b[1], e[1], f[1]), cdgh: _mm_set_epi32(c[1], d[1], g[1], h[1]) };
    let order = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    for [at_x, at_y] in lanes.blocks() {
        let (x_before, y_before) = (x, y);
        let ([mut x0, mut x1, mut x2, mut x3], [mut y0, mut y1, mut y2, mut y3]) =
            (load(at_x, order), load(at_y, order));
        macro_rules! rounds {
            ($k:expr, $x:ident $y:ident) => {
                let [k0, k1, k2, k3] = $k.map(u32::cast_signed);
                let k = _mm_set_epi32(k3, k2, k1, k0);
                four_rounds(&mut x, _mm_add_epi32($x, k));
                four_rounds(&mut y, _mm_add_epi32($y, k));
            };
        }
        macro_rules! extend {
            ($x0:ident $x1:ident $x2:ident $x3:ident, $y0:ident $y1:ident $y2:ident $y3:ident) => {
                $x0 = four_words($x0, $x1, $x2, $x3);
                $y0 = four_words($y0, $y1, $y2, $y3);
            };
        }
        if let ([first, others @ ..], _) = SHA256.as_chunks::<4>().0.as_chunks::<4>() {
            rounds!(first[0], x0 y0);
            rounds!(first[1], x1 y1);
            rounds!(first[2], x2 y2);
            rounds!(first[3], x3 y3);
            for constants in others {
                extend!(x0 x1 x2 x3, y0 y1 y2 y3);
                rounds!(constants[0], x0 y0);
                extend!(x1 x2 x3 x0, y1 y2 y3 y0);
                rounds!(constants[1], x1 y1);
                extend!(x2 x3 x0 x1, y2 y3 y0 y1);
                rounds!(constants[2], x2 y2);
                extend!(x3 x0 x1 x2, y3 y0 y1 y2);
                rounds!(constants[3], x3 y3);
            }
        }
        for (chain, before) in [(&mut x, x_before), (&mut y, y_before)] {
            chain.abef = _mm_add_epi32(chain.abef, before.abef);
            chain.cdgh = _mm_add_epi32(chain.cdgh, before.cdgh);
        }
    }
    let ([f0, e0, b0, a0], [h0, g0, d0, c0]) = (words(x.abef), words(x.cdgh));
    let ([f1, e1, b1, a1], [h1, g1, d1, c1]) = (words(y.abef), words(y.cdgh));
    state.0 = [[a0, a1], [b0, b1], [c0, c1], [d0, d1], [e0, e1], [f0, f1], [g0, g1], [h0, h1]];
}

/// Four rounds, with the sum of words and constants.
#[inline]
#[target_feature(enable = "sha,avx2")]
fn four_rounds(chain: &mut Chain, sum: __m128i) {
    chain.cdgh = _mm_sha256rnds2_epu32(chain.cdgh, chain.abef, sum);
    chain.abef = _mm_sha256rnds2_epu32(chain.abef, chain.cdgh, _mm_shuffle_epi32::<0x0e>(sum));
}

/// The four words behind sixteen.
#[inline]
#[target_feature(enable = "sha,avx2")]
fn four_words(w0: __m128i, w1: __m128i, w2: __m128i, w3: __m128i) -> __m128i {
    _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8::<4>(w3, w2)), w3)
}

#[target_feature(enable = "sha,avx2")]
fn sha1(state: &mut State<u32, 2>, lanes: &Lanes<'_, 2>) {
    let [a, b, c, d, e, ..] = state.0.map(|lanes| lanes.map(u32::cast_signed));
    let (mut x, mut x_last) = (_mm_set_epi32(a[0], b[0], c[0], d[0]), _mm_set_epi32(e[0], 0, 0, 0));
    let (mut y, mut y_last) = (_mm_set_epi32(a[1], b[1], c[1], d[1]), _mm_set_epi32(e[1], 0, 0, 0));
    let order = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for [at_x, at_y] in lanes.blocks() {
        let (x_before, x_e, y_before, y_e) = (x, x_last, y, y_last);
        let ([mut x0, mut x1, mut x2, mut x3], [mut y0, mut y1, mut y2, mut y3]) =
            (load(at_x, order), load(at_y, order));
        // The first four rounds take e as it is; those behind get it from the state four rounds before.
        (x, x_last) = (_mm_sha1rnds4_epu32::<0>(x, _mm_add_epi32(x_last, x0)), x);
        (y, y_last) = (_mm_sha1rnds4_epu32::<0>(y, _mm_add_epi32(y_last, y0)), y);
        macro_rules! rounds {
            ($mix:literal, $x:ident $y:ident) => {
                (x, x_last) = (_mm_sha1rnds4_epu32::<$mix>(x, _mm_sha1nexte_epu32(x_last, $x)), x);
                (y, y_last) = (_mm_sha1rnds4_epu32::<$mix>(y, _mm_sha1nexte_epu32(y_last, $y)), y);
            };
        }
        macro_rules! more {
            ($mix:literal, $x0:ident $x1:ident $x2:ident $x3:ident, $y0:ident $y1:ident $y2:ident $y3:ident) => {
                $x0 = _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32($x0, $x1), $x2), $x3);
                $y0 = _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32($y0, $y1), $y2), $y3);
                rounds!($mix, $x0 $y0);
            };
        }
        rounds!(0, x1 y1);
        rounds!(0, x2 y2);
        rounds!(0, x3 y3);
        more!(0, x0 x1 x2 x3, y0 y1 y2 y3);
        more!(1, x1 x2 x3 x0, y1 y2 y3 y0);
        more!(1, x2 x3 x0 x1, y2 y3 y0 y1);
        more!(1, x3 x0 x1 x2, y3 y0 y1 y2);
        more!(1, x0 x1 x2 x3, y0 y1 y2 y3);
        more!(1, x1 x2 x3 x0, y1 y2 y3 y0);
        more!(2, x2 x3 x0 x1, y2 y3 y0 y1);
        more!(2, x3 x0 x1 x2, y3 y0 y1 y2);
        more!(2, x0 x1 x2 x3, y0 y1 y2 y3);
        more!(2, x1 x2 x3 x0, y1 y2 y3 y0);
        more!(2, x2 x3 x0 x1, y2 y3 y0 y1);
        more!(3, x3 x0 x1 x2, y3 y0 y1 y2);
        more!(3, x0 x1 x2 x3, y0 y1 y2 y3);
        more!(3, x1 x2 x3 x0, y1 y2 y3 y0);
        more!(3, x2 x3 x0 x1, y2 y3 y0 y1);
        more!(3, x3 x0 x1 x2, y3 y0 y1 y2);
        (x, x_last) = (_mm_add_epi32(x, x_before), _mm_sha1nexte_epu32(x_last, x_e));
        (y, y_last) = (_mm_add_epi32(y, y_before), _mm_sha1nexte_epu32(y_last, y_e));
    }
    let ([d0, c0, b0, a0], [_, _, _, e0]) = (words(x), words(x_last));
    let ([d1, c1, b1, a1], [_, _, _, e1]) = (words(y), words(y_last));
    let [_, _, _, _, _, rest @ ..] = state.0;
    let [f, g, h] = rest;
    state.0 = [[a0, a1], [b0, b1], [c0, c1], [d0, d1], [e0, e1], f, g, h];
}

/// The words of a block of 64 readable octets, in an order of their octets.
#[inline]
#[target_feature(enable = "sha,avx2")]
fn load(at: *const u8, order: __m128i) -> [__m128i; 4] {
    let mut words = [_mm_setzero_si128(); 4];
    for (words, offset) in words.iter_mut().zip([0, 16, 32, 48]) {
        // SAFETY: `Lanes` gives out places with a whole block of 64 octets each.
        *words = _mm_shuffle_epi8(unsafe { _mm_loadu_si128(at.wrapping_add(offset).cast()) }, order);
    }
    words
}

/// The lowest first.
#[inline]
#[target_feature(enable = "sha,avx2")]
fn words(register: __m128i) -> [u32; 4] {
    let mut words = [0; 4];
    // SAFETY: four words are 16 octets, and alignment is not asked for.
    unsafe { _mm_storeu_si128(words.as_mut_ptr().cast(), register) };
    words
}
